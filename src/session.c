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
 * Anybody may put a token into jwt_auth.token instead.  It is kept behind a
 * number of the same count, and read where there are no claims.  The process
 * that reads verifies it, once for each statement and transaction: what comes of
 * it cannot go into a setting, which a parallel worker could not set.
 *
 * An authentication that fails leaves nobody signed in.  Its error would bring
 * back the settings of before, so session_deny() notes in jwt_auth.claims_denied that
 * claims and tokens up to the last number are void.  That is given as an
 * override, which no rollback undoes, yet which still reaches parallel workers.
 *
 * These functions run as their caller; they read the tables beneath the ACL.
 */
#include "postgres.h"

#include <float.h>

#include "access/parallel.h"
#include "access/xact.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "errors.h"
#include "guc.h"
#include "hook.h"
#include "issuer.h"
#include "session.h"
#include "tables.h"
#include "verified.h"

#define CLAIMS_SETTING	"jwt_auth.claims"
#define DENIED_SETTING	"jwt_auth.claims_denied"
#define TOKEN_SETTING	"jwt_auth.token"
#define REQUEST_SETTING	"request.jwt.claims"

#define NUMBER_LEN		24		/* bytes of a number, a blank and the end */

PG_FUNCTION_INFO_V1(jwt_auth_authenticate);
PG_FUNCTION_INFO_V1(jwt_auth_live_claims);
PG_FUNCTION_INFO_V1(jwt_auth_deauthenticate);
PG_FUNCTION_INFO_V1(jwt_auth_verified_uid);
PG_FUNCTION_INFO_V1(jwt_auth_uid);
PG_FUNCTION_INFO_V1(jwt_auth_user_id);
PG_FUNCTION_INFO_V1(jwt_auth_jwt);
PG_FUNCTION_INFO_V1(jwt_auth_claim);
PG_FUNCTION_INFO_V1(jwt_auth_role);
PG_FUNCTION_INFO_V1(jwt_auth_email);
PG_FUNCTION_INFO_V1(jwt_auth_session_id);

/* The three settings' own variables. */
static char *claims_text;
static char *token_text;
static double claims_denied;	/* a counter; an int would wrap in a few weeks */

/* The number that was given out last. */
static int64 last_number;

/* True while fix_claims() or session_deny() is at work, and at no other time. */
static bool setting_is_ours;

/* Where claims come from. */
typedef enum ClaimSource
{
	FROM_NOTHING,
	FROM_CLAIMS,
	FROM_TOKEN,
	FROM_REQUEST,
} ClaimSource;

/* The claims that were read last. */
static MemoryContext parsed_context;
static ClaimSource parsed_from; /* FROM_NOTHING: they have to be read again */
static ClaimSet parsed;
static Identity parsed_identity;

/*
 * What the readers say in the statement that began at this time; DT_NOBEGIN: to
 * be found out.
 */
static TimestampTz answer_statement = DT_NOBEGIN;
static ClaimSet *answer;		/* NULL: nobody is signed in */
static uint64 answers = 1;		/* how many were found or forgotten */

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
forget_answer(void)
{
	answer_statement = DT_NOBEGIN;
	answers++;
}

/* The assign hook of what claims are read from. */
static void
forget_claims(const char *newval, void *extra)
{
	parsed_from = FROM_NOTHING;
	forget_answer();
}

/* A number above all that are void, in a parallel worker too. */
static int64
next_number(void)
{
	last_number = Max(last_number, (int64) claims_denied) + 1;
	return last_number;
}

/* Puts a number before a token, unless the leader has. */
static bool
check_token(char **newval, void **extra, GucSource source)
{
	char	   *numbered;
	size_t		size;

	if (*newval == NULL || **newval == '\0' || InitializingParallelWorker)
		return true;
	size = strlen(*newval) + NUMBER_LEN;
	numbered = guc_malloc(LOG, size);
	if (numbered == NULL)
		return false;
	snprintf(numbered, size, INT64_FORMAT " %s", next_number(), *newval);
	guc_free(*newval);
	*newval = numbered;
	return true;
}

static const char *
show_token(void)
{
	return token_text == NULL || token_text[0] == '\0' ? "" : "***";
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
assign_denied(double newval, void *extra)
{
	forget_answer();
}

/* What was verified for one transaction does not outlive it. */
static void
on_transaction_event(XactEvent event, void *arg)
{
	forget_answer();
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

/* The user of a token of ours, from which it can always be read again. */
static void
read_own_uid(Jsonb *payload, Identity *identity)
{
	identity->has_uid = claims_uuid(payload, "sub", &identity->uid);
}

static void
read_identity(char *word, Jsonb *payload, Identity *identity)
{
	size_t		len = strlen(word);

	memset(identity, 0, sizeof(*identity));
	if (strcmp(word, "=") == 0)
	{
		read_own_uid(payload, identity);
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
	StringInfoData value;

	initStringInfo(&value);
	appendStringInfo(&value, INT64_FORMAT " %s ", next_number(), write_identity(identity));
	appendStringInfoString(&value, payload);
	set_ours(CLAIMS_SETTING, value.data, PGC_USERSET, PGC_S_SESSION, is_local ? GUC_ACTION_LOCAL : GUC_ACTION_SET);
}

/* Nobody is signed in any more, whatever is rolled back from here on. */
void
session_deny(void)
{
	if (IsInParallelMode())
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_STATE),
				 errmsg("cannot sign in or out during a parallel operation")));
	/* its caller's claims are not its own to void */
	if (hook_is_running())
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_STATE),
				 errmsg("cannot sign out in a hook")));
	if (claims_denied < last_number)
		set_ours(DENIED_SETTING, psprintf(INT64_FORMAT, last_number), PGC_SUSET, PGC_S_OVERRIDE, GUC_ACTION_SET);
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

	identity->has_role = true;
	if (!claims_string_equals(payload, "type", "access"))
		return JOSE_WRONG_TOKEN_TYPE;
	if (!check_session)
		return JOSE_OK;
	read_own_uid(payload, identity);
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

/*
 * Verifies a token and, with check_session, its session and user as well; the
 * payload lasts until the next call.
 */
static JoseStatus
verify_access_token(Datum token, bool check_session, Jwt *jwt, Identity *identity)
{
	const Issuer *issuer;
	JoseStatus	status = verified_token(token, jwt, &issuer);

	memset(identity, 0, sizeof(*identity));
	if (status != JOSE_OK)
		return status;
	return issuer != NULL ? check_outside_token(issuer, jwt->payload.json, check_session, identity) :
		check_own_token(jwt->payload.json, check_session, identity);
}

/* Whether a setting holds something that is not void. */
static bool
counts(const char *text)
{
	return text != NULL && text[0] != '\0' && strtoi64(text, NULL, 10) > claims_denied;
}

/* Begins to read claims anew; what they are made of goes into the context that is current then. */
static MemoryContext
begin_reading(void)
{
	parsed_from = FROM_NOTHING;
	if (parsed_context == NULL)
		parsed_context = AllocSetContextCreate(CacheMemoryContext, "jwt_auth claims",
											   ALLOCSET_SMALL_SIZES);
	MemoryContextReset(parsed_context);
	return MemoryContextSwitchTo(parsed_context);
}

/* Reads what fix_claims() has written. */
static void
read_fixed_claims(void)
{
	MemoryContext caller;
	JoseStatus	status;
	char	   *identity;
	char	   *payload;

	if (parsed_from == FROM_CLAIMS)
		return;
	caller = begin_reading();
	identity = pstrdup(strchr(claims_text, ' ') + 1);
	payload = strchr(identity, ' ');
	*payload++ = '\0';
	status = claims_parse_text(payload, strlen(payload), &parsed);
	MemoryContextSwitchTo(caller);
	if (status != JOSE_OK)
		elog(ERROR, "verified claims cannot be read");
	read_identity(identity, parsed.json, &parsed_identity);
	parsed_from = FROM_CLAIMS;
}

/* Verifies the token in the setting, which check_token() has put behind a number. */
static JoseStatus
read_token(void)
{
	Datum		token = CStringGetTextDatum(strchr(token_text, ' ') + 1);
	MemoryContext caller;
	Identity	identity;
	Jwt			jwt;
	JoseStatus	status = verify_access_token(token, jwt_auth_check_session, &jwt, &identity);

	pfree(DatumGetPointer(token));
	if (status != JOSE_OK)
		return status;
	caller = begin_reading();
	claims_copy(&jwt.payload, &parsed);
	MemoryContextSwitchTo(caller);
	parsed_identity = identity;
	if (!identity.outside)
		read_own_uid(parsed.json, &parsed_identity);
	parsed_from = FROM_TOKEN;
	return JOSE_OK;
}

/*
 * Reads what PostgREST, or whoever can run SQL, says in request.jwt.claims; false
 * where that is nothing.
 */
static bool
read_request_claims(void)
{
	const char *text = GetConfigOption(REQUEST_SETTING, true, false);
	MemoryContext caller;
	JoseStatus	status;

	if (text == NULL)
		return false;
	if (parsed_from == FROM_REQUEST && strcmp(text, parsed.text) == 0)
		return true;
	caller = begin_reading();
	status = claims_parse_text(pstrdup(text), strlen(text), &parsed);
	MemoryContextSwitchTo(caller);
	if (status != JOSE_OK || parsed.bad_type)
		return false;
	memset(&parsed_identity, 0, sizeof(parsed_identity));
	parsed_identity.outside = true;
	parsed_identity.has_uid = claims_uuid(parsed.json, "sub", &parsed_identity.uid);
	parsed_identity.has_role = true;
	parsed_from = FROM_REQUEST;
	return true;
}

/*
 * Where claims are to be read from now: those that were fixed come first, also
 * once they have expired, then a token in the setting.
 */
static ClaimSource
claims_source(void)
{
	if (counts(claims_text))
		return FROM_CLAIMS;
	if (counts(token_text))
		return FROM_TOKEN;
	return jwt_auth_trust_request_claims ? FROM_REQUEST : FROM_NOTHING;
}

/*
 * Finds out who is signed in; fails where the token in the setting is no good.
 * One statement sees one answer, judged by the time at which it began.
 */
static JoseStatus
find_answer(void)
{
	TimestampTz statement = GetCurrentStatementStartTimestamp();
	ClaimSource source = claims_source();
	JoseStatus	status = JOSE_OK;

	forget_answer();
	answer = NULL;
	if (source == FROM_CLAIMS)
		read_fixed_claims();
	else if (source == FROM_TOKEN)
		status = read_token();
	else if (source == FROM_REQUEST && !read_request_claims())
		source = FROM_NOTHING;
	if (status != JOSE_OK)
		return status;
	if (source != FROM_NOTHING &&
		!claims_expired(&parsed, claims_unix_usec(statement), jwt_auth_leeway * USECS_PER_SEC))
		answer = &parsed;
	/* nobody tells us when request.jwt.claims changes */
	if (!jwt_auth_trust_request_claims || source == FROM_CLAIMS || source == FROM_TOKEN)
		answer_statement = statement;
	return JOSE_OK;
}

/* Policies call this for every row. */
static inline JoseStatus
have_answer(void)
{
	return likely(answer_statement == GetCurrentStatementStartTimestamp()) ? JOSE_OK : find_answer();
}

/* The claims of whoever is signed in, or NULL. */
static inline ClaimSet *
current_claims(void)
{
	JoseStatus	status = have_answer();

	if (status != JOSE_OK)
		jose_raise_token(status);
	return answer;
}

/*
 * Switches to the role that a token names, as far as the session's own user may
 * SET ROLE to it, which is PostgreSQL's to judge.  "none" would be that user.
 */
static JoseStatus
take_role(const Jwt *jwt, const Identity *identity, bool is_local)
{
	char	   *role = identity->has_role ? claims_string(jwt->payload.json, "role") : NULL;

	if (role == NULL || role[0] == '\0' || strcmp(role, "none") == 0)
		return JOSE_ROLE_NOT_ALLOWED;
	(void) set_config_option("role", role, PGC_USERSET, PGC_S_SESSION,
							 is_local ? GUC_ACTION_LOCAL : GUC_ACTION_SET, true, 0, false);
	return JOSE_OK;
}

/*
 * Verifies the token and signs its subject in, or leaves nobody signed in:
 * also where it raises, as it does without the master key, and where the role
 * is not to be had.  What *jwt says lasts until the next token is verified.
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
		if (status == JOSE_OK && jwt_auth_switch_role)
			status = take_role(jwt, identity, is_local);
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
	PG_RETURN_JSONB_P(claims_copy_json(jwt.payload.json));
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
	PG_RETURN_JSONB_P(claims_copy_json(jwt.payload.json));
}

/*
 * deauthenticate() returns void
 */
Datum
jwt_auth_deauthenticate(PG_FUNCTION_ARGS)
{
	session_deny();
	if (jwt_auth_switch_role)
		(void) set_config_option("role", NULL, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SET, true, 0, false);
	PG_RETURN_VOID();
}

/*
 * _verified_uid() returns uuid
 *
 * The user whom a token has signed in, and never one of request.jwt.claims.  A
 * token in the setting that is no good is nobody's and no error here.
 */
Datum
jwt_auth_verified_uid(PG_FUNCTION_ARGS)
{
	pg_uuid_t  *uid;
	JoseStatus	status = have_answer();

	if (status != JOSE_OK && jose_reason(status) == NULL)
		jose_raise_token(status);	/* our fault, not the token's */
	if (status != JOSE_OK || answer == NULL || parsed_from == FROM_REQUEST || !parsed_identity.has_uid)
		PG_RETURN_NULL();
	uid = palloc(sizeof(pg_uuid_t));
	*uid = parsed_identity.uid;
	PG_RETURN_UUID_P(uid);
}

/* Whether the next statement is to be heard of. */
static bool statement_is_watched;

static void
on_next_message(void *arg)
{
	statement_is_watched = false;
	forget_answer();
}

/*
 * Has the answer forgotten before the next statement, so that whoever compares
 * "answers" need not ask for the time; false where that cannot be had.  A
 * client's backend resets MessageContext for each message, and no statement
 * begins without one; a parallel worker has one statement in its life.
 */
static bool
watch_statement(void)
{
	static MemoryContextCallback callback = {.func = on_next_message};

	if (IsParallelWorker())
		return true;
	if (MyBackendType != B_BACKEND)
		return false;
	if (!statement_is_watched)
		MemoryContextRegisterResetCallback(MessageContext, &callback);
	statement_is_watched = true;
	return true;
}

/* What uid() has returned at one place of a plan, and for which answer. */
typedef struct SeenUid
{
	uint64		answers;		/* 0: for none that lasts */
	pg_uuid_t	uid;			/* never changed: it may be in use still */
} SeenUid;

/* What uid() returns for the answer of now.  Not inlined, so that the usual way stays short. */
static pg_noinline Datum
see_uid(FunctionCallInfo fcinfo)
{
	FmgrInfo   *flinfo = fcinfo->flinfo;
	SeenUid    *seen = flinfo->fn_extra;

	if (current_claims() == NULL || !parsed_identity.has_uid)
		PG_RETURN_NULL();
	if (seen == NULL || memcmp(&seen->uid, &parsed_identity.uid, sizeof(pg_uuid_t)) != 0)
	{
		seen = MemoryContextAlloc(flinfo->fn_mcxt, sizeof(SeenUid));
		seen->uid = parsed_identity.uid;
		flinfo->fn_extra = seen;
	}
	seen->answers = answer_statement != DT_NOBEGIN && watch_statement() ? answers : 0;
	PG_RETURN_UUID_P(&seen->uid);
}

/*
 * uid() returns uuid: the user, where the token speaks for one
 *
 * A policy asks for every row, so the answer is kept where it is called from.
 */
Datum
jwt_auth_uid(PG_FUNCTION_ARGS)
{
	SeenUid    *seen = fcinfo->flinfo->fn_extra;

	if (unlikely(seen == NULL || seen->answers != answers))
		return see_uid(fcinfo);
	PG_RETURN_UUID_P(&seen->uid);
}

/* An empty one is as good as none: a policy is not to take it for somebody. */
static Datum
string_claim(FunctionCallInfo fcinfo, const char *name)
{
	ClaimSet   *claims = current_claims();
	JsonbValue *value = claims == NULL ? NULL : claims_member(claims->json, name);

	if (value == NULL || value->type != jbvString || value->val.string.len == 0)
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

	if (claims == NULL)
		PG_RETURN_NULL();
	PG_RETURN_JSONB_P(claims_copy_json(claims->json));
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

/* Defines the settings; called once, when the library is loaded. */
void
session_init(void)
{
	const int	flags = GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_FILE;

	DefineCustomStringVariable(CLAIMS_SETTING, "The verified claims; set by auth.authenticate() alone.", NULL,
							   &claims_text, "", PGC_USERSET, flags,
							   check_claims, forget_claims, NULL);
	DefineCustomRealVariable(DENIED_SETTING, "The number up to which claims are void.", NULL,
							 &claims_denied, 0, 0, DBL_MAX, PGC_SUSET, flags,
							 check_denied, assign_denied, NULL);
	DefineCustomStringVariable(TOKEN_SETTING, "A token that signs its subject in where nobody else is.", NULL,
							   &token_text, "", PGC_USERSET, flags,
							   check_token, forget_claims, show_token);
	RegisterXactCallback(on_transaction_event, NULL);
}
