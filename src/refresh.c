/*
 * refresh.c
 *	  Refresh tokens and their rotation (RFC 9700 section 4.14.2).
 *
 * A session is one row of refresh_tokens.  Its token carries the row's
 * generation and jti; rotating is one guarded update of that row, so of two
 * callers with one token exactly one succeeds.  What is not the current token
 * is told apart afterwards, and a token that comes back after its successor
 * was used ends the session.
 *
 * These functions run as the extension's owner.  The times are the clock's,
 * not the transaction's: a transaction that waits does not keep a token alive.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "arguments.h"
#include "client.h"
#include "errors.h"
#include "guc.h"
#include "keyring.h"

/* A row that changes between update and look is looked at again. */
#define MAX_ATTEMPTS	10

PG_FUNCTION_INFO_V1(rotate_refresh_token);
PG_FUNCTION_INFO_V1(jwt_auth_read_refresh_token);
PG_FUNCTION_INFO_V1(jwt_auth_sign_refresh_token);
PG_FUNCTION_INFO_V1(jwt_auth_flush_commit);

typedef enum RotationStatus
{
	ROTATION_INVALID,
	ROTATION_UNKNOWN,
	ROTATION_REVOKED,
	ROTATION_EXPIRED,
	ROTATION_INACTIVE,
	ROTATION_ROTATED,
	ROTATION_REISSUED,
	ROTATION_REUSED,
	ROTATION_CHANGED,			/* the row has changed under us: try again */
} RotationStatus;

static const char *const status_names[] = {
	[ROTATION_INVALID] = "invalid",
	[ROTATION_UNKNOWN] = "unknown",
	[ROTATION_REVOKED] = "revoked",
	[ROTATION_EXPIRED] = "expired",
	[ROTATION_INACTIVE] = "inactive",
	[ROTATION_ROTATED] = "rotated",
	[ROTATION_REISSUED] = "reissued",
	[ROTATION_REUSED] = "reused",
};

/* What a refresh token says. */
typedef struct RefreshToken
{
	pg_uuid_t	user_id;
	pg_uuid_t	session_id;
	pg_uuid_t	jti;
	int64		generation;
	char	   *client_id;
	char	   *csrf;			/* NULL unless it is a cookie's */
	TimestampTz expires_at;
	Jsonb	   *payload;		/* where it was read from a token */
} RefreshToken;

/* The session's row, and whether its user may still sign in. */
typedef struct SessionRow
{
	bool		exists;
	bool		user_active;
	bool		revoked;
	int64		generation;
	pg_uuid_t	jti;
	pg_uuid_t	previous_jti;
	TimestampTz rotated_at;
	TimestampTz expires_at;		/* the earlier of the two expiries */
} SessionRow;

static const char rotate_command[] =
"UPDATE auth.refresh_tokens SET generation = generation + 1, previous_jti = jti, jti = $5,"
" rotated_at = $6, expires_at = least($7, session_expires_at)"
" WHERE user_id = $1 AND session_id = $2 AND generation = $3 AND jti = $4"
" AND revoked_at IS NULL AND expires_at > $6"
" AND (session_expires_at IS NULL OR session_expires_at > $6)"
" AND EXISTS (SELECT FROM auth.users u WHERE u.id = $1 AND u.is_active)"
" RETURNING expires_at";

static const char look_command[] =
"SELECT s.session_id IS NOT NULL, coalesce(u.is_active, false), s.revoked_at IS NOT NULL,"
" s.generation, s.jti, s.previous_jti, s.rotated_at, least(s.expires_at, s.session_expires_at)"
" FROM (SELECT $1 AS user_id) k LEFT JOIN auth.users u ON u.id = k.user_id"
" LEFT JOIN auth.refresh_tokens s ON s.user_id = k.user_id AND s.session_id = $2";

static const char revoke_command[] =
"SELECT auth._end_session($1, $2, $3)";

static const char audit_command[] =
"SELECT auth._audit($1, $2, $3, $4)";

static SPIPlanPtr rotate_plan;
static SPIPlanPtr look_plan;
static SPIPlanPtr revoke_plan;
static SPIPlanPtr audit_plan;

/* Runs a command of ours, prepared once for each backend. */
static void
run_plan(SPIPlanPtr *plan, const char *command, int nargs, Oid *types, Datum *args)
{
	if (*plan == NULL)
	{
		SPIPlanPtr	prepared = SPI_prepare(command, nargs, types);

		if (prepared == NULL)
			elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
		if (SPI_keepplan(prepared) != 0)
			elog(ERROR, "SPI_keepplan failed");
		*plan = prepared;
	}
	if (SPI_execute_plan(*plan, args, NULL, false, 0) < 0)
		elog(ERROR, "SPI_execute_plan failed: %s", SPI_result_code_string(SPI_result));
}

static TimestampTz
whole_seconds(TimestampTz timestamp)
{
	return timestamp - timestamp % USECS_PER_SEC;
}

static pg_uuid_t
random_uuid(void)
{
	return *DatumGetUUIDP(DirectFunctionCall1(gen_random_uuid, (Datum) 0));
}

static char *
uuid_text(const pg_uuid_t *uuid)
{
	return DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(uuid)));
}

/* Signs a refresh token that says this. */
static text *
sign_refresh_token(const RefreshToken *token)
{
	JsonbInState state = {0};
	ClientPolicy policy;

	client_policy(token->client_id, &policy);
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	if (jwt_auth_issuer[0] != '\0')
		claims_push_string(&state, "iss", jwt_auth_issuer);
	claims_push_string(&state, "sub", uuid_text(&token->user_id));
	claims_push_string(&state, "aud", policy.audience);
	claims_push_integer(&state, "iat", claims_unix_usec(GetCurrentTimestamp()) / USECS_PER_SEC);
	claims_push_integer(&state, "exp", claims_unix_usec(token->expires_at) / USECS_PER_SEC);
	claims_push_string(&state, "jti", uuid_text(&token->jti));
	claims_push_string(&state, "type", "refresh");
	claims_push_string(&state, "sid", uuid_text(&token->session_id));
	claims_push_integer(&state, "gen", token->generation);
	claims_push_string(&state, "client_id", token->client_id);
	claims_push_string(&state, "csrf", token->csrf);
	pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	return keyring_sign(PURPOSE_REFRESH, JsonbValueToJsonb(state.result));
}

/* The token without a leading "Bearer ". */
static text *
strip_bearer(text *token)
{
	const char *data = VARDATA_ANY(token);
	size_t		len = VARSIZE_ANY_EXHDR(token);

	return jwt_skip_bearer(&data, &len) ? cstring_to_text_with_len(data, len) : token;
}

/* Verifies a refresh token and reads it; ROTATION_ROTATED if it is genuine. */
static RotationStatus
read_refresh_token(Datum datum, RefreshToken *token)
{
	Jsonb	   *payload;
	Jwt			jwt;
	JoseStatus	status;

	if (toast_raw_datum_size(datum) > (Size) jwt_auth_max_token_size + VARHDRSZ + strlen("Bearer "))
		return ROTATION_INVALID;
	status = keyring_verify(PointerGetDatum(strip_bearer(DatumGetTextPP(datum))),
							PURPOSE_REFRESH, &jwt);
	if (status == JOSE_TOKEN_EXPIRED)
		return ROTATION_EXPIRED;
	if (status != JOSE_OK)
		return ROTATION_INVALID;

	payload = jwt.payload.json;
	token->payload = payload;
	token->client_id = claims_string(payload, "client_id");
	token->csrf = claims_string(payload, "csrf");
	if (!claims_string_equals(payload, "type", "refresh") || token->client_id == NULL ||
		!claims_uuid(payload, "sub", &token->user_id) ||
		!claims_uuid(payload, "sid", &token->session_id) ||
		!claims_uuid(payload, "jti", &token->jti) ||
		!claims_integer(payload, "gen", &token->generation))
		return ROTATION_INVALID;
	return ROTATION_ROTATED;
}

/* Column n of the one row; zero where it is NULL. */
static Datum
column(int n, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, n, isnull);
}

/* The one update.  On true, *token says what the successor says. */
static bool
rotate(RefreshToken *token)
{
	static Oid	types[7] = {UUIDOID, UUIDOID, INT8OID, UUIDOID, UUIDOID, TIMESTAMPTZOID, TIMESTAMPTZOID};
	TimestampTz now = GetCurrentTimestamp();
	pg_uuid_t	jti = random_uuid();
	ClientPolicy policy;
	Datum		args[7];
	bool		isnull;

	if (!client_policy(token->client_id, &policy))
		return false;
	args[0] = UUIDPGetDatum(&token->user_id);
	args[1] = UUIDPGetDatum(&token->session_id);
	args[2] = Int64GetDatum(token->generation);
	args[3] = UUIDPGetDatum(&token->jti);
	args[4] = UUIDPGetDatum(&jti);
	args[5] = TimestampTzGetDatum(now);
	args[6] = TimestampTzGetDatum(whole_seconds(now + policy.refresh_token_lifetime));
	run_plan(&rotate_plan, rotate_command, 7, types, args);
	if (SPI_processed != 1)
		return false;

	token->generation++;
	token->jti = jti;
	token->expires_at = DatumGetTimestampTz(column(1, &isnull));
	return true;
}

static void
look(const RefreshToken *token, SessionRow *row)
{
	static Oid	types[2] = {UUIDOID, UUIDOID};
	Datum		args[2] = {UUIDPGetDatum(&token->user_id), UUIDPGetDatum(&token->session_id)};
	bool		isnull;
	Datum		value;

	memset(row, 0, sizeof(*row));
	run_plan(&look_plan, look_command, 2, types, args);
	row->exists = DatumGetBool(column(1, &isnull));
	row->user_active = DatumGetBool(column(2, &isnull));
	if (!row->exists)
		return;
	row->revoked = DatumGetBool(column(3, &isnull));
	row->generation = DatumGetInt64(column(4, &isnull));
	row->jti = *DatumGetUUIDP(column(5, &isnull));
	value = column(6, &isnull);
	if (!isnull)
		row->previous_jti = *DatumGetUUIDP(value);
	row->rotated_at = DatumGetTimestampTz(column(7, &isnull));
	row->expires_at = DatumGetTimestampTz(column(8, &isnull));
}

static bool
same_uuid(const pg_uuid_t *a, const pg_uuid_t *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* Whether the statement began within the reuse grace of the last rotation. */
static bool
within_grace(TimestampTz rotated_at)
{
	int64		distance = GetCurrentStatementStartTimestamp() - rotated_at;

	return llabs(distance) < jwt_auth_refresh_reuse_grace * USECS_PER_SEC;
}

/* What a genuine token is that did not rotate. */
static RotationStatus
classify(const RefreshToken *token, const SessionRow *row)
{
	if (!row->user_active)
		return ROTATION_INACTIVE;
	if (!row->exists)
		return ROTATION_UNKNOWN;
	if (row->revoked)
		return ROTATION_REVOKED;
	if (row->expires_at <= GetCurrentTimestamp())
		return ROTATION_EXPIRED;
	if (token->generation > row->generation)
		return ROTATION_UNKNOWN;
	if (token->generation == row->generation)
		return same_uuid(&token->jti, &row->jti) ? ROTATION_CHANGED : ROTATION_UNKNOWN;
	if (token->generation < row->generation - 1)
		return ROTATION_REUSED;
	if (!same_uuid(&token->jti, &row->previous_jti))
		return ROTATION_UNKNOWN;
	return within_grace(row->rotated_at) ? ROTATION_REISSUED : ROTATION_REUSED;
}

static void
end_session(const RefreshToken *token, const char *reason)
{
	static Oid	types[3] = {UUIDOID, UUIDOID, TEXTOID};
	Datum		args[3] = {UUIDPGetDatum(&token->user_id), UUIDPGetDatum(&token->session_id),
	CStringGetTextDatum(reason)};

	run_plan(&revoke_plan, revoke_command, 3, types, args);
}

static void
audit(const RefreshToken *token, RotationStatus status)
{
	static Oid	types[4] = {TEXTOID, UUIDOID, UUIDOID, TEXTOID};
	Datum		args[4];
	char	   *event;

	if (status == ROTATION_ROTATED && strcmp(GetConfigOption("jwt_auth.audit", false, false), "all") != 0)
		return;
	event = psprintf("refresh_%s", status_names[status]);
	args[0] = CStringGetTextDatum(event);
	args[1] = UUIDPGetDatum(&token->user_id);
	args[2] = UUIDPGetDatum(&token->session_id);
	args[3] = CStringGetTextDatum(token->client_id);
	run_plan(&audit_plan, audit_command, 4, types, args);
}

/* Decides on a genuine token, with SPI connected. */
static RotationStatus
rotate_or_classify(RefreshToken *token)
{
	RotationStatus status = ROTATION_CHANGED;
	SessionRow	row;

	for (int i = 0; status == ROTATION_CHANGED; i++)
	{
		if (i == MAX_ATTEMPTS)
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("session has changed while its refresh token was rotated")));
		if (rotate(token))
		{
			ForceSyncCommit();
			status = ROTATION_ROTATED;
			break;
		}
		look(token, &row);
		status = classify(token, &row);
	}

	if (status == ROTATION_REUSED)
		end_session(token, "reuse");
	else if (status == ROTATION_INACTIVE && row.exists && !row.revoked)
		end_session(token, "user_inactive");
	else if (status == ROTATION_REISSUED)
	{
		token->generation = row.generation;
		token->jti = row.jti;
		token->expires_at = row.expires_at;
	}
	audit(token, status);
	return status;
}

/* (status, user_id, session_id, client_id, refresh_token, expires_at) */
static Datum
rotation_result(FunctionCallInfo fcinfo, RotationStatus status, const RefreshToken *token, text *successor)
{
	Datum		values[6] = {0};
	bool		nulls[6] = {false, true, true, true, true, true};

	values[0] = CStringGetTextDatum(status_names[status]);
	if (token != NULL)
	{
		values[1] = UUIDPGetDatum(&token->user_id);
		values[2] = UUIDPGetDatum(&token->session_id);
		values[3] = CStringGetTextDatum(token->client_id);
		nulls[1] = nulls[2] = nulls[3] = false;
	}
	if (successor != NULL)
	{
		values[4] = PointerGetDatum(successor);
		values[5] = TimestampTzGetDatum(token->expires_at);
		nulls[4] = nulls[5] = false;
	}
	return form_row(fcinfo, values, nulls);
}

/*
 * rotate_refresh_token(refresh_token text)
 *		returns (status text, user_id uuid, session_id uuid, client_id text,
 *				 refresh_token text, expires_at timestamptz)
 */
Datum
rotate_refresh_token(PG_FUNCTION_ARGS)
{
	RefreshToken token = {0};
	RotationStatus status;
	text	   *successor = NULL;

	PreventCommandIfReadOnly("auth.rotate_refresh_token()");
	if (PG_ARGISNULL(0))
		return rotation_result(fcinfo, ROTATION_INVALID, NULL, NULL);
	status = read_refresh_token(PG_GETARG_DATUM(0), &token);
	if (status != ROTATION_ROTATED)
		return rotation_result(fcinfo, status, NULL, NULL);

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	status = rotate_or_classify(&token);
	SPI_finish();
	if (status == ROTATION_ROTATED || status == ROTATION_REISSUED)
		successor = sign_refresh_token(&token);
	return rotation_result(fcinfo, status, &token, successor);
}

/* Whether rotating this genuine token would succeed. */
static bool
can_be_rotated(const RefreshToken *token)
{
	SessionRow	row;
	bool		current;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	look(token, &row);
	/* "changed" is what classify() says of the token that the row has */
	current = classify(token, &row) == ROTATION_CHANGED;
	SPI_finish();
	return current;
}

/*
 * _read_refresh_token(refresh_token text)
 *		returns (user_id uuid, session_id uuid, is_current boolean, payload jsonb)
 *
 * All of it is NULL where that is no genuine refresh token.
 */
Datum
jwt_auth_read_refresh_token(PG_FUNCTION_ARGS)
{
	RefreshToken token = {0};
	Datum		values[4] = {0};
	bool		nulls[4] = {true, true, true, true};

	if (!PG_ARGISNULL(0) && read_refresh_token(PG_GETARG_DATUM(0), &token) == ROTATION_ROTATED)
	{
		values[0] = UUIDPGetDatum(&token.user_id);
		values[1] = UUIDPGetDatum(&token.session_id);
		values[2] = BoolGetDatum(can_be_rotated(&token));
		values[3] = JsonbPGetDatum(token.payload);
		memset(nulls, 0, sizeof(nulls));
	}
	return form_row(fcinfo, values, nulls);
}

/*
 * _sign_refresh_token(user_id uuid, session_id uuid, client_id text,
 *					   generation bigint, jti uuid, expires_at timestamptz,
 *					   csrf text)
 *		returns text
 *
 * The first token of a new session; csrf alone may be NULL.
 */
Datum
jwt_auth_sign_refresh_token(PG_FUNCTION_ARGS)
{
	RefreshToken token;

	token.user_id = *PG_GETARG_UUID_P(0);
	token.session_id = *PG_GETARG_UUID_P(1);
	token.client_id = text_to_cstring(PG_GETARG_TEXT_PP(2));
	token.generation = PG_GETARG_INT64(3);
	token.jti = *PG_GETARG_UUID_P(4);
	token.expires_at = PG_GETARG_TIMESTAMPTZ(5);
	token.csrf = PG_ARGISNULL(6) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(6));
	PG_RETURN_TEXT_P(sign_refresh_token(&token));
}

/*
 * _flush_commit() returns void
 *
 * The commit of this transaction is flushed, whatever synchronous_commit says:
 * an ended session does not come back after a crash.
 */
Datum
jwt_auth_flush_commit(PG_FUNCTION_ARGS)
{
	ForceSyncCommit();
	PG_RETURN_VOID();
}
