/*
 * session.c
 *	  Verified claims: who is asking, for the rest of this transaction.
 *
 * The claims are the payload's own text in the setting jwt_auth.claims, after
 * a number that counts the sign-ins of this backend and what is known of the
 * token: "=" for one of ours, else the user whom an outside token speaks for
 * ("-" where that is nobody) and "+" where its role counts.  Its check hook takes no
 * value but from fix_claims(), so no SQL user can forge one by SET, set_config,
 * ALTER ROLE, a function's SET clause, PGOPTIONS, or a placeholder set before
 * the library is loaded; and PostgreSQL's own machinery gives transaction
 * scope, savepoints, DISCARD ALL and parallel workers.
 *
 * An authentication that fails leaves nobody signed in.  Its error would bring
 * back the setting of before, so session_deny() notes in jwt_auth.claims_denied that
 * claims up to the last number are void.  That is given as an override, which
 * no rollback undoes, yet which still reaches parallel workers.
 *
 * These functions run as their caller; they read the tables beneath the ACL.
 */
#include "postgres.h"

#include <float.h>

#include "access/parallel.h"
#include "access/xact.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "errors.h"
#include "guc.h"
#include "issuer.h"
#include "session.h"
#include "tables.h"

#define CLAIMS_SETTING	"jwt_auth.claims"
#define DENIED_SETTING	"jwt_auth.claims_denied"

PG_FUNCTION_INFO_V1(jwt_auth_authenticate);
PG_FUNCTION_INFO_V1(jwt_auth_live_claims);
PG_FUNCTION_INFO_V1(jwt_auth_deauthenticate);
PG_FUNCTION_INFO_V1(jwt_auth_uid);
PG_FUNCTION_INFO_V1(jwt_auth_user_id);
PG_FUNCTION_INFO_V1(jwt_auth_jwt);
PG_FUNCTION_INFO_V1(jwt_auth_claim);
PG_FUNCTION_INFO_V1(jwt_auth_role);
PG_FUNCTION_INFO_V1(jwt_auth_email);
PG_FUNCTION_INFO_V1(jwt_auth_session_id);

/* The two settings' own variables. */
static char *claims_text;
static double claims_denied;	/* a counter; an int would wrap in a few weeks */

/* The number of the claims that were fixed last. */
static double last_number;

/* True while fix_claims() or session_deny() is at work, and at no other time. */
static bool setting_is_ours;

/* What claims_text says, parsed when it is first asked for. */
static MemoryContext parsed_context;
static bool parsed_valid;
static double parsed_number;
static ClaimSet parsed;
static Identity parsed_identity;

static bool
check_claims(char **newval, void **extra, GucSource source)
{
	if (*newval == NULL || **newval == '\0' || setting_is_ours || InitializingParallelWorker)
		return true;
	GUC_check_errcode(ERRCODE_INSUFFICIENT_PRIVILEGE);
	GUC_check_errmsg("parameter \"%s\" cannot be set", CLAIMS_SETTING);
	GUC_check_errhint("Call auth.authenticate() with a token.");
	return false;
}

static void
assign_claims(const char *newval, void *extra)
{
	parsed_valid = false;
}

static bool
check_denied(double *newval, void **extra, GucSource source)
{
	if (source == PGC_S_DEFAULT || setting_is_ours || InitializingParallelWorker)
		return true;
	GUC_check_errcode(ERRCODE_INSUFFICIENT_PRIVILEGE);
	GUC_check_errmsg("parameter \"%s\" cannot be set", DENIED_SETTING);
	return false;
}

static void
set_ours(const char *name, const char *value, GucContext context, GucSource source, GucAction action)
{
	PG_TRY();
	{
		setting_is_ours = true;
		(void) set_config_option(name, value, context, source, action, true, 0, false);
	}
	PG_FINALLY();
	{
		setting_is_ours = false;
	}
	PG_END_TRY();
}

/* What stands before the payload; read_identity() is the reverse. */
static const char *
write_identity(const Identity *identity)
{
	const char *uid = "-";

	if (!identity->outside)
		return "=";
	if (identity->has_uid)
		uid = DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&identity->uid)));
	return psprintf("%s%s", uid, identity->has_role ? "+" : "");
}

static void
read_identity(char *word, Jsonb *payload, Identity *identity)
{
	size_t		len = strlen(word);

	memset(identity, 0, sizeof(*identity));
	if (strcmp(word, "=") == 0)
	{
		identity->has_uid = claims_uuid(payload, "sub", &identity->uid);
		identity->has_role = true;
		return;
	}
	identity->outside = true;
	identity->has_role = word[len - 1] == '+';
	if (identity->has_role)
		word[len - 1] = '\0';
	identity->has_uid = strcmp(word, "-") != 0;
	if (identity->has_uid)
		identity->uid = *DatumGetUUIDP(DirectFunctionCall1(uuid_in, CStringGetDatum(word)));
}

static void
fix_claims(const Identity *identity, const char *payload, bool is_local)
{
	set_ours(CLAIMS_SETTING,
			 psprintf("%.0f %s %s", last_number + 1, write_identity(identity), payload),
			 PGC_USERSET, PGC_S_SESSION, is_local ? GUC_ACTION_LOCAL : GUC_ACTION_SET);
	last_number++;
}

/* Nobody is signed in any more, whatever is rolled back from here on. */
void
session_deny(void)
{
	if (IsInParallelMode())
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_STATE),
				 errmsg("cannot sign in or out during a parallel operation")));
	if (claims_denied < last_number)
		set_ours(DENIED_SETTING, psprintf("%.0f", last_number), PGC_SUSET, PGC_S_OVERRIDE, GUC_ACTION_SET);
}

static void
parse_claims(void)
{
	MemoryContext caller;
	JoseStatus	status;
	char	   *identity;
	char	   *payload;

	if (parsed_context == NULL)
		parsed_context = AllocSetContextCreate(CacheMemoryContext, "jwt_auth claims",
											   ALLOCSET_SMALL_SIZES);
	MemoryContextReset(parsed_context);
	caller = MemoryContextSwitchTo(parsed_context);
	parsed_number = strtod(claims_text, &identity);
	identity = pstrdup(identity + 1);
	payload = strchr(identity, ' ');
	*payload++ = '\0';
	status = claims_parse_text(payload, strlen(payload), &parsed);
	MemoryContextSwitchTo(caller);
	if (status != JOSE_OK)
		elog(ERROR, "verified claims cannot be read");
	read_identity(identity, parsed.json, &parsed_identity);
	parsed_valid = true;
}

/*
 * The verified claims, or NULL where nobody is signed in or the token has
 * expired by the time of this statement: one statement sees one answer.
 */
static ClaimSet *
current_claims(void)
{
	if (claims_text == NULL || claims_text[0] == '\0')
		return NULL;
	if (!parsed_valid)
		parse_claims();
	if (parsed_number <= claims_denied ||
		claims_expired(&parsed, claims_unix_usec(GetCurrentStatementStartTimestamp()),
					   jwt_auth_leeway * USECS_PER_SEC))
		return NULL;
	return &parsed;
}

/* A user who is there must be active; whether there must be one is the caller's. */
static JoseStatus
check_user(const pg_uuid_t *uid, bool must_exist)
{
	Datum		key = UUIDPGetDatum(uid);
	Datum		values[USERS_NATTS];
	bool		nulls[USERS_NATTS];

	if (!tables_fetch(TABLE_USERS, 1, &key, values, nulls))
		return must_exist ? JOSE_USER_INACTIVE : JOSE_OK;
	return DatumGetBool(values[USERS_IS_ACTIVE]) ? JOSE_OK : JOSE_USER_INACTIVE;
}

/* The session of a token of ours, if it has one, is live. */
static JoseStatus
check_live_session(const pg_uuid_t *uid, Jsonb *payload)
{
	TimestampTz now = GetCurrentTimestamp();
	pg_uuid_t	sid;
	Datum		keys[2] = {UUIDPGetDatum(uid), UUIDPGetDatum(&sid)};
	Datum		values[SESSIONS_NATTS];
	bool		nulls[SESSIONS_NATTS];

	if (claims_member(payload, "sid") == NULL)
		return JOSE_OK;
	if (!claims_uuid(payload, "sid", &sid) ||
		!tables_fetch(TABLE_REFRESH_TOKENS, 2, keys, values, nulls) ||
		!nulls[SESSIONS_REVOKED_AT] ||
		DatumGetTimestampTz(values[SESSIONS_EXPIRES_AT]) <= now)
		return JOSE_SESSION_ENDED;
	if (!nulls[SESSIONS_SESSION_EXPIRES_AT] &&
		DatumGetTimestampTz(values[SESSIONS_SESSION_EXPIRES_AT]) <= now)
		return JOSE_SESSION_ENDED;
	return JOSE_OK;
}

/* All checks of an access token of ours, once its signature is right. */
static JoseStatus
check_own_token(Jsonb *payload, bool check_session, Identity *identity)
{
	JoseStatus	status;

	identity->has_uid = claims_uuid(payload, "sub", &identity->uid);
	identity->has_role = true;
	if (!claims_string_equals(payload, "type", "access"))
		return JOSE_WRONG_TOKEN_TYPE;
	if (!check_session)
		return JOSE_OK;
	if (!identity->has_uid)
		return JOSE_USER_INACTIVE;
	status = check_user(&identity->uid, true);
	return status == JOSE_OK ? check_live_session(&identity->uid, payload) : status;
}

/*
 * The same of a trusted issuer's.  It need not be about a user of ours, and has
 * no session here.
 */
static JoseStatus
check_outside_token(const Issuer *issuer, Jsonb *payload, bool check_session, Identity *identity)
{
	identity->outside = true;
	identity->has_uid = issuer_uid(issuer, payload, &identity->uid);
	identity->has_role = issuer_allows_role(issuer, payload);
	return identity->has_uid && check_session ? check_user(&identity->uid, false) : JOSE_OK;
}

/* Verifies a token and, with check_session, its session and user as well. */
static JoseStatus
verify_access_token(Datum token, bool check_session, Jwt *jwt, Identity *identity)
{
	const Issuer *issuer;
	JoseStatus	status = issuer_verify(token, jwt, &issuer);

	memset(identity, 0, sizeof(*identity));
	if (status != JOSE_OK)
		return status;
	return issuer != NULL ? check_outside_token(issuer, jwt->payload.json, check_session, identity) :
		check_own_token(jwt->payload.json, check_session, identity);
}

/*
 * Verifies the token and signs its subject in, or leaves nobody signed in:
 * also where it raises, as it does without the master key.
 */
JoseStatus
session_sign_in(NullableDatum token, bool is_local, Jwt *jwt, Identity *identity)
{
	MemoryContext caller = CurrentMemoryContext;
	volatile JoseStatus status = JOSE_MALFORMED;

	PG_TRY();
	{
		if (!token.isnull)
			status = verify_access_token(token.value, jwt_auth_check_session, jwt, identity);
		if (status == JOSE_OK)
			fix_claims(identity, jwt->payload.text, is_local);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		session_deny();
		PG_RE_THROW();
	}
	PG_END_TRY();
	if (status != JOSE_OK)
		session_deny();
	return status;
}

/*
 * authenticate(token text, is_local boolean) returns jsonb
 */
Datum
jwt_auth_authenticate(PG_FUNCTION_ARGS)
{
	bool		is_local = PG_ARGISNULL(1) || PG_GETARG_BOOL(1);
	Identity	identity;
	Jwt			jwt;
	JoseStatus	status;

	if (is_local)
		WarnNoTransactionBlock(true, "auth.authenticate");
	status = session_sign_in(fcinfo->args[0], is_local, &jwt, &identity);
	if (status != JOSE_OK)
		jose_raise_token(status);
	PG_RETURN_JSONB_P(jwt.payload.json);
}

/*
 * _live_claims(token text) returns jsonb
 *
 * The claims of a token that authenticate() would accept with check_session,
 * or NULL.  A role that does not count is not among them.
 */
Datum
jwt_auth_live_claims(PG_FUNCTION_ARGS)
{
	Identity	identity;
	Jwt			jwt;
	JoseStatus	status = verify_access_token(PG_GETARG_DATUM(0), true, &jwt, &identity);

	if (status != JOSE_OK && jose_reason(status) == NULL)
		jose_raise_token(status);	/* our fault, not the token's */
	if (status != JOSE_OK)
		PG_RETURN_NULL();
	if (!identity.has_role)
		return DirectFunctionCall2(jsonb_delete, JsonbPGetDatum(jwt.payload.json), CStringGetTextDatum("role"));
	PG_RETURN_JSONB_P(jwt.payload.json);
}

/*
 * deauthenticate() returns void
 */
Datum
jwt_auth_deauthenticate(PG_FUNCTION_ARGS)
{
	session_deny();
	PG_RETURN_VOID();
}

/*
 * uid() returns uuid: the user, where the token speaks for one
 */
Datum
jwt_auth_uid(PG_FUNCTION_ARGS)
{
	pg_uuid_t  *uid;

	if (current_claims() == NULL || !parsed_identity.has_uid)
		PG_RETURN_NULL();
	uid = palloc(sizeof(pg_uuid_t));
	*uid = parsed_identity.uid;
	PG_RETURN_UUID_P(uid);
}

static Datum
string_claim(FunctionCallInfo fcinfo, const char *name)
{
	ClaimSet   *claims = current_claims();
	JsonbValue *value = claims == NULL ? NULL : claims_member(claims->json, name);

	if (value == NULL || value->type != jbvString)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text_with_len(value->val.string.val, value->val.string.len));
}

/*
 * user_id() returns text: the subject as it stands in the token
 */
Datum
jwt_auth_user_id(PG_FUNCTION_ARGS)
{
	return string_claim(fcinfo, "sub");
}

/*
 * role() returns text: NULL where the issuer may not give it
 */
Datum
jwt_auth_role(PG_FUNCTION_ARGS)
{
	if (current_claims() != NULL && !parsed_identity.has_role)
		PG_RETURN_NULL();
	return string_claim(fcinfo, "role");
}

/*
 * email() returns text
 */
Datum
jwt_auth_email(PG_FUNCTION_ARGS)
{
	return string_claim(fcinfo, "email");
}

/*
 * session_id() returns uuid: NULL for an outside token
 */
Datum
jwt_auth_session_id(PG_FUNCTION_ARGS)
{
	ClaimSet   *claims = current_claims();
	pg_uuid_t  *sid = palloc(sizeof(pg_uuid_t));

	if (claims == NULL || parsed_identity.outside || !claims_uuid(claims->json, "sid", sid))
		PG_RETURN_NULL();
	PG_RETURN_UUID_P(sid);
}

/*
 * jwt() returns jsonb: all claims
 */
Datum
jwt_auth_jwt(PG_FUNCTION_ARGS)
{
	ClaimSet   *claims = current_claims();
	Jsonb	   *copy;

	if (claims == NULL)
		PG_RETURN_NULL();
	copy = palloc(VARSIZE(claims->json));
	memcpy(copy, claims->json, VARSIZE(claims->json));
	PG_RETURN_JSONB_P(copy);
}

/*
 * claim(VARIADIC path text[]) returns text: what #>> says of jwt()
 */
Datum
jwt_auth_claim(PG_FUNCTION_ARGS)
{
	LOCAL_FCINFO(extract, 2);
	ClaimSet   *claims = current_claims();
	Datum		result;

	if (claims == NULL)
		PG_RETURN_NULL();
	InitFunctionCallInfoData(*extract, NULL, 2, InvalidOid, NULL, NULL);
	extract->args[0].value = JsonbPGetDatum(claims->json);
	extract->args[0].isnull = false;
	extract->args[1].value = PG_GETARG_DATUM(0);
	extract->args[1].isnull = false;
	result = jsonb_extract_path_text(extract);
	fcinfo->isnull = extract->isnull;
	return result;
}

/* Defines the two guarded settings; called once, when the library is loaded. */
void
session_init(void)
{
	const int	flags = GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_FILE;

	DefineCustomStringVariable(CLAIMS_SETTING, "The verified claims; set by auth.authenticate() alone.", NULL,
							   &claims_text, "", PGC_USERSET, flags,
							   check_claims, assign_claims, NULL);
	DefineCustomRealVariable(DENIED_SETTING, "The number up to which claims are void.", NULL,
							 &claims_denied, 0, 0, DBL_MAX, PGC_SUSET, flags,
							 check_denied, NULL, NULL);
}
