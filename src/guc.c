/*
 * guc.c
 *	  Settings that hold no state of a session.
 *
 * None of them can be set by an ordinary user.  PL/pgSQL reads them through _setting()
 * alone: calling a C function loads the library first, and with it go values
 * that a user has put under these names before.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/varlena.h"

#include "compat.h"
#include "guc.h"

#define DAY_SECONDS		86400
#define MAX_SECONDS		(50 * 366 * DAY_SECONDS)	/* fits an int */

#define LETTERS_AND_DIGITS	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

/* allowed_algorithms, parsed: the set, and the order in which they stand */
typedef struct AllowedAlgorithms
{
	AlgSet		set;
	int			n;
	int			order[32];
} AllowedAlgorithms;

uint64		guc_changes;
char	   *jwt_auth_issuer;
char	   *jwt_auth_audience;
int			jwt_auth_leeway;
int			jwt_auth_max_token_size;
int			jwt_auth_access_token_lifetime;
int			jwt_auth_refresh_token_lifetime;
int			jwt_auth_session_lifetime;
int			jwt_auth_refresh_reuse_grace;
bool		jwt_auth_check_session;
bool		jwt_auth_switch_role;
bool		jwt_auth_trust_request_claims;
bool		jwt_auth_cookies;
char	   *jwt_auth_cookie_name;
char	   *jwt_auth_cookie_domain;
char	   *jwt_auth_base_path;
int			jwt_auth_bcrypt_cost;
int			jwt_auth_max_concurrent_hashes;
int			jwt_auth_max_failed_logins;
int			jwt_auth_lockout_duration;
int			jwt_auth_prune_interval;
char	   *jwt_auth_master_key_file;
char	   *jwt_auth_previous_master_key_file;

/* The claims that verifying, refreshing and introspecting can do without. */
const char *const guc_optional_claims[] = {
	"role", "email", "email_verified", "app_metadata", "auth_time", "amr", NULL
};

static char *token_claims_text;
static uint32 *token_claims;	/* bit n stands for guc_optional_claims[n] */
static char *allowed_algorithms_text;
static AllowedAlgorithms *allowed_algorithms;
static char *default_role;
static int	password_min_length;
static int	audit;
static bool audit_to_log;
static int	audit_retention;
static char *client_ip_header;
static int	cookie_samesite;
static int	registration;
static bool require_confirmed_email;
static int	message_interval;

static const struct config_enum_entry registrations[] = {
	{"open", 0, false},
	{"invited", 1, false},
	{"closed", 2, false},
	{NULL, 0, false}
};

static const struct config_enum_entry samesites[] = {
	{"Strict", 0, false},
	{"Lax", 1, false},
	{"None", 2, false},
	{NULL, 0, false}
};

static const struct config_enum_entry audit_levels[] = {
	{"none", 0, false},
	{"failures", 1, false},
	{"changes", 2, false},
	{"all", 3, false},
	{NULL, 0, false}
};

PG_FUNCTION_INFO_V1(jwt_auth_setting);

/* The algorithms that the key ring may sign and verify with. */
AlgSet
guc_allowed_algorithms(void)
{
	return allowed_algorithms->set;
}

/*
 * The first allowed algorithm with a secret, or with a key pair; where there
 * is none of that kind, the first of all.
 */
const JoseAlg *
guc_first_algorithm(bool symmetric)
{
	for (int i = 0; i < allowed_algorithms->n; i++)
	{
		const JoseAlg *alg = alg_at(allowed_algorithms->order[i]);

		if ((alg->family == JOSE_HMAC) == symmetric)
			return alg;
	}
	return alg_at(allowed_algorithms->order[0]);
}

static bool
check_allowed_algorithms(char **newval, void **extra, GucSource source)
{
	char	   *names = pstrdup(*newval);
	AllowedAlgorithms parsed = {0};
	List	   *list;
	ListCell   *cell;

	if (!SplitGUCList(names, ',', &list) || list == NIL)
	{
		GUC_check_errdetail("A list of algorithm names, separated by commas, is expected.");
		return false;
	}
	foreach(cell, list)
	{
		const char *name = lfirst(cell);
		const JoseAlg *alg = alg_find(name, strlen(name));

		if (alg == NULL)
		{
			GUC_check_errdetail("Unknown algorithm \"%s\".", name);
			return false;
		}
		if (parsed.set & ALG_BIT(alg))
			continue;
		parsed.set |= ALG_BIT(alg);
		parsed.order[parsed.n++] = alg - alg_at(0);
	}

	*extra = guc_malloc(LOG, sizeof(parsed));
	if (*extra == NULL)
		return false;
	memcpy(*extra, &parsed, sizeof(parsed));
	return true;
}

static void
assign_allowed_algorithms(const char *newval, void *extra)
{
	allowed_algorithms = extra;
	guc_changes++;
}

static void
string_changes(const char *newval, void *extra)
{
	guc_changes++;
}

static void
int_changes(int newval, void *extra)
{
	guc_changes++;
}

/* Whether jwt_auth.token_claims keeps the claim guc_optional_claims[claim] out of tokens. */
bool
guc_leaves_out(int claim)
{
	return (*token_claims & ((uint32) 1 << claim)) == 0;
}

static bool
check_token_claims(char **newval, void **extra, GucSource source)
{
	char	   *names = pstrdup(*newval);
	uint32		set = 0;
	List	   *list;
	ListCell   *cell;

	if (!SplitGUCList(names, ',', &list))
	{
		GUC_check_errdetail("A list of claims, separated by commas, is expected.");
		return false;
	}
	foreach(cell, list)
	{
		int			claim = 0;

		while (guc_optional_claims[claim] != NULL && strcmp(guc_optional_claims[claim], lfirst(cell)) != 0)
			claim++;
		if (guc_optional_claims[claim] == NULL)
		{
			GUC_check_errdetail("\"%s\" is not a claim that can be left out.", (char *) lfirst(cell));
			return false;
		}
		set |= (uint32) 1 << claim;
	}

	*extra = guc_malloc(LOG, sizeof(set));
	if (*extra == NULL)
		return false;
	memcpy(*extra, &set, sizeof(set));
	return true;
}

static void
assign_token_claims(const char *newval, void *extra)
{
	token_claims = extra;
}

static bool
is_made_of(const char *value, const char *characters)
{
	return value[strspn(value, characters)] == '\0';
}

/* These three stand in Set-Cookie headers as they are (RFC 6265 section 4.1.1). */

static bool
check_cookie_name(char **newval, void **extra, GucSource source)
{
	return **newval != '\0' && strlen(*newval) <= 100 && is_made_of(*newval, LETTERS_AND_DIGITS "-_.");
}

static bool
check_cookie_domain(char **newval, void **extra, GucSource source)
{
	return is_made_of(*newval, LETTERS_AND_DIGITS "-.");
}

static bool
check_base_path(char **newval, void **extra, GucSource source)
{
	return **newval == '\0' || (**newval == '/' && is_made_of(*newval, LETTERS_AND_DIGITS "/-_.~"));
}

/*
 * _setting(name text) returns text: the value of jwt_auth.<name>.
 */
Datum
jwt_auth_setting(PG_FUNCTION_ARGS)
{
	char	   *name = psprintf("jwt_auth.%s", text_to_cstring(PG_GETARG_TEXT_PP(0)));

	PG_RETURN_TEXT_P(cstring_to_text(GetConfigOptionByName(name, NULL, false)));
}

static void
define_seconds(const char *name, const char *description, int *variable,
			   int boot, int min, int max)
{
	DefineCustomIntVariable(name, description, NULL, variable, boot, min, max,
							PGC_SUSET, GUC_UNIT_S, NULL, int_changes, NULL);
}

static void
define_string(const char *name, const char *description, char **variable, const char *boot)
{
	DefineCustomStringVariable(name, description, NULL, variable, boot,
							   PGC_SUSET, 0, NULL, string_changes, NULL);
}

static void
define_token_settings(void)
{
	define_string("jwt_auth.issuer", "The \"iss\" of tokens that are issued, and demanded of those that are verified.",
				  &jwt_auth_issuer, "");
	define_string("jwt_auth.audience", "The \"aud\" of tokens that are issued, and demanded of those that are verified.",
				  &jwt_auth_audience, "");
	define_seconds("jwt_auth.leeway", "How far the clocks of issuer and verifier may differ.",
				   &jwt_auth_leeway, 0, 0, 3600);
	define_seconds("jwt_auth.access_token_lifetime", "How long an access token is valid.",
				   &jwt_auth_access_token_lifetime, 15 * 60, 1, MAX_SECONDS);
	define_seconds("jwt_auth.refresh_token_lifetime", "How long a refresh token is valid, unless it is used.",
				   &jwt_auth_refresh_token_lifetime, 30 * DAY_SECONDS, 1, MAX_SECONDS);
	define_seconds("jwt_auth.session_lifetime", "How long a session can be refreshed at all; 0 is for ever.",
				   &jwt_auth_session_lifetime, 0, 0, MAX_SECONDS);
	define_seconds("jwt_auth.refresh_reuse_grace", "How long after its use a refresh token is answered again.",
				   &jwt_auth_refresh_reuse_grace, 10, 0, 60);
	DefineCustomIntVariable("jwt_auth.max_token_size", "The largest token that is looked at.", NULL,
							&jwt_auth_max_token_size, 64 * 1024, 1024, 1024 * 1024,
							PGC_SUSET, GUC_UNIT_BYTE, NULL, int_changes, NULL);
	DefineCustomBoolVariable("jwt_auth.check_session", "Whether authenticate() looks at the session and the user.", NULL,
							 &jwt_auth_check_session, true, PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("jwt_auth.switch_role", "Whether authenticate() switches to the token's role.", NULL,
							 &jwt_auth_switch_role, false, PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("jwt_auth.trust_request_claims", "Whether request.jwt.claims counts where no token has been verified.",
							 "Whoever can run SQL can then be anybody.",
							 &jwt_auth_trust_request_claims, false, PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("jwt_auth.allowed_algorithms", "The algorithms that the key ring signs and verifies with.",
							   "The first that suits is the one of a key that is made by itself.",
							   &allowed_algorithms_text, "ES256, EdDSA, PS256, RS256, ES384, ES512, ES256K, PS384, PS512, RS384, RS512, "
							   "Ed25519, Ed448, HS256, HS384, HS512",
							   PGC_SUSET, 0, check_allowed_algorithms, assign_allowed_algorithms, NULL);
	DefineCustomStringVariable("jwt_auth.token_claims", "The claims that access tokens carry, of those that they can do without.", NULL,
							   &token_claims_text, "role, email, email_verified, app_metadata, auth_time, amr",
							   PGC_SUSET, 0, check_token_claims, assign_token_claims, NULL);
}

static void
define_http_settings(void)
{
	define_string("jwt_auth.client_ip_header", "The request header whose last address is the client's; empty: the connection's.",
				  &client_ip_header, "");
	DefineCustomStringVariable("jwt_auth.base_path", "The path at which browsers reach PostgREST.", NULL,
							   &jwt_auth_base_path, "", PGC_SUSET, 0, check_base_path, NULL, NULL);
	DefineCustomBoolVariable("jwt_auth.cookies", "Whether requests in JSON are answered with cookies, not with tokens.", NULL,
							 &jwt_auth_cookies, false, PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("jwt_auth.cookie_name", "The name of the cookies, behind a prefix.", NULL,
							   &jwt_auth_cookie_name, "jwt_auth", PGC_SUSET, 0, check_cookie_name, NULL, NULL);
	DefineCustomStringVariable("jwt_auth.cookie_domain", "The domain whose hosts all get the cookies; empty: one host alone.", NULL,
							   &jwt_auth_cookie_domain, "", PGC_SUSET, 0, check_cookie_domain, NULL, NULL);
	DefineCustomEnumVariable("jwt_auth.cookie_samesite", "From which sites browsers send the cookies.", NULL,
							 &cookie_samesite, 0, samesites, PGC_SUSET, 0, NULL, NULL, NULL);
}

/*
 * The search path that our functions have, until the caller's GUC nest level
 * ends.
 */
void
guc_pin_search_path(void)
{
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

/* Defines the settings; called once, when the library is loaded. */
void
guc_init(void)
{
	define_token_settings();
	define_http_settings();
	DefineCustomEnumVariable("jwt_auth.registration", "Who may register.", NULL,
							 &registration, 0, registrations, PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("jwt_auth.require_confirmed_email", "Whether who registers must confirm the address before the first login.", NULL,
							 &require_confirmed_email, false, PGC_SUSET, 0, NULL, NULL, NULL);
	define_seconds("jwt_auth.message_interval", "How long after a message to an address no other of its kind goes there.",
				   &message_interval, 60, 0, DAY_SECONDS);
	define_string("jwt_auth.default_role", "The database role that new users get.", &default_role, "authenticated");
	DefineCustomIntVariable("jwt_auth.bcrypt_cost", "The cost of a password hash, as a power of two.", NULL,
							&jwt_auth_bcrypt_cost, 12, 4, BCRYPT_MAX_COST, PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("jwt_auth.password_min_length", "The least length of a password, in characters.", NULL,
							&password_min_length, 8, 1, 72, PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("jwt_auth.max_concurrent_hashes", "How many sessions may hash passwords at once; 0 is a quarter of the processors.", NULL,
							&jwt_auth_max_concurrent_hashes, 0, 0, 1000, PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("jwt_auth.max_failed_logins", "After how many failed logins an identifier is locked; 0 is never.", NULL,
							&jwt_auth_max_failed_logins, 10, 0, 100, PGC_SUSET, 0, NULL, NULL, NULL);
	define_seconds("jwt_auth.lockout_duration", "How long an identifier is locked after too many failed logins.",
				   &jwt_auth_lockout_duration, 15 * 60, 1, DAY_SECONDS);
	DefineCustomEnumVariable("jwt_auth.audit", "Which events go into the audit log.", NULL,
							 &audit, 2, audit_levels, PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("jwt_auth.audit_to_log", "Whether these events go into the server's log too.", NULL,
							 &audit_to_log, false, PGC_SUSET, 0, NULL, NULL, NULL);
	define_seconds("jwt_auth.audit_retention", "How long events stay in the audit log; 0 is for ever.",
				   &audit_retention, 90 * DAY_SECONDS, 0, MAX_SECONDS);
	DefineCustomIntVariable("jwt_auth.prune_interval", "How often the server prunes by itself; 0 is never.",
							"The library has to be in \"shared_preload_libraries\".",
							&jwt_auth_prune_interval, 10 * 60, 0, 7 * DAY_SECONDS,
							PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomStringVariable("jwt_auth.master_key_file", "The file with the key that wraps the keys in the database.",
							   "A relative path starts at the data directory.",
							   &jwt_auth_master_key_file, "jwt_auth.key",
							   PGC_SIGHUP, GUC_SUPERUSER_ONLY, NULL, NULL, NULL);
	DefineCustomStringVariable("jwt_auth.previous_master_key_file", "The file with the key that wrapped them before, until rewrap_keys() has run.",
							   "Empty when there is none.",
							   &jwt_auth_previous_master_key_file, "",
							   PGC_SIGHUP, GUC_SUPERUSER_ONLY, NULL, NULL, NULL);
}
