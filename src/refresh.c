/*
 * refresh.c
 *	  Refresh tokens and their rotation (RFC 9700 section 4.14.2).
 *
 * A session is one row of refresh_tokens.  Its token carries the row's
 * generation and jti; rotating is one update of the very version of the row that
 * was compared with the token, so of two callers exactly one succeeds.  A token
 * that comes back after its successor was used ends the session.
 *
 * What a token is, is decided on the newest committed state at any isolation
 * level; where the transaction's own snapshot is older, an update fails with a
 * serialization failure.  The times are the clock's, not the transaction's: a
 * transaction that waits does not keep a token alive.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "arguments.h"
#include "client.h"
#include "errors.h"
#include "guc.h"
#include "keyring.h"
#include "tables.h"

/* revoke_reason of a session that ended because its user was disabled. */
#define REASON_INACTIVE	"user_inactive"

PG_FUNCTION_INFO_V1(rotate_refresh_token);
PG_FUNCTION_INFO_V1(jwt_auth_newest_user);
PG_FUNCTION_INFO_V1(jwt_auth_newest_session);
PG_FUNCTION_INFO_V1(jwt_auth_read_refresh_token);
PG_FUNCTION_INFO_V1(jwt_auth_sign_refresh_token);
PG_FUNCTION_INFO_V1(jwt_auth_end_session);
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

/* The session's row, and its user's. */
typedef struct SessionRow
{
	HeapTuple	tuple;			/* NULL: there is no such session */
	bool		user_exists;
	bool		user_active;
	bool		revoked;
	bool		revoked_as_inactive;	/* since the user was disabled */
	int64		generation;
	pg_uuid_t	jti;
	pg_uuid_t	previous_jti;
	TimestampTz rotated_at;
	TimestampTz expires_at;		/* the earlier of the two expiries */
	TimestampTz session_expires_at; /* DT_NOEND: never */
} SessionRow;

static TimestampTz
whole_seconds(TimestampTz timestamp)
{
	return timestamp - timestamp % USECS_PER_SEC;
}

static char *
uuid_text(const pg_uuid_t *uuid)
{
	return DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(uuid)));
}

/* Appends a name to the JSON object that is being written. */
static void
append_name(StringInfo json, const char *name)
{
	appendStringInfoString(json, json->len == 0 ? "{\"" : ",\"");
	appendStringInfoString(json, name);
	appendStringInfoString(json, "\":");
}

static void
append_string(StringInfo json, const char *name, const char *value)
{
	append_name(json, name);
	escape_json(json, value);
}

static void
append_integer(StringInfo json, const char *name, int64 value)
{
	append_name(json, name);
	appendStringInfo(json, INT64_FORMAT, value);
}

/* Signs a refresh token that says this. */
static text *
sign_refresh_token(const RefreshToken *token)
{
	TimestampTz now = GetCurrentTimestamp();
	StringInfoData json;
	ClientPolicy policy;

	client_policy(token->client_id, &policy);
	initStringInfo(&json);
	/* in the order of jsonb, which it is to become again */
	if (policy.audience != NULL)
		append_string(&json, "aud", policy.audience);
	append_integer(&json, "exp", claims_unix_usec(token->expires_at) / USECS_PER_SEC);
	append_integer(&json, "gen", token->generation);
	append_integer(&json, "iat", claims_unix_usec(now) / USECS_PER_SEC);
	if (jwt_auth_issuer[0] != '\0')
		append_string(&json, "iss", jwt_auth_issuer);
	append_string(&json, "jti", uuid_text(&token->jti));
	append_string(&json, "sid", uuid_text(&token->session_id));
	append_string(&json, "sub", uuid_text(&token->user_id));
	if (token->csrf != NULL)
		append_string(&json, "csrf", token->csrf);
	append_string(&json, "type", "refresh");
	append_string(&json, "client_id", token->client_id);
	appendStringInfoChar(&json, '}');
	return keyring_sign_json(PURPOSE_REFRESH, &json, token->expires_at - now);
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

/*
 * The session and its user as they are now.  The user comes second: whoever is
 * deleted in between takes the session along.
 */
static void
look(const RefreshToken *token, SessionRow *row)
{
	Datum		keys[2] = {UUIDPGetDatum(&token->user_id), UUIDPGetDatum(&token->session_id)};
	Datum		user[USERS_NATTS];
	bool		user_nulls[USERS_NATTS];
	Datum		values[SESSIONS_NATTS];
	bool		nulls[SESSIONS_NATTS];

	memset(row, 0, sizeof(*row));
	CommandCounterIncrement();	/* so that what this statement did counts */
	row->tuple = tables_fetch(TABLE_REFRESH_TOKENS, 2, keys, values, nulls);
	row->user_exists = tables_fetch(TABLE_USERS, 1, keys, user, user_nulls) != NULL;
	row->user_active = row->user_exists && DatumGetBool(user[USERS_IS_ACTIVE]);
	if (row->tuple == NULL)
		return;
	row->revoked = !nulls[SESSIONS_REVOKED_AT];
	row->revoked_as_inactive = !nulls[SESSIONS_REVOKE_REASON] &&
		strcmp(TextDatumGetCString(values[SESSIONS_REVOKE_REASON]), REASON_INACTIVE) == 0;
	row->generation = DatumGetInt64(values[SESSIONS_GENERATION]);
	row->jti = *DatumGetUUIDP(values[SESSIONS_JTI]);
	if (!nulls[SESSIONS_PREVIOUS_JTI])
		row->previous_jti = *DatumGetUUIDP(values[SESSIONS_PREVIOUS_JTI]);
	row->rotated_at = DatumGetTimestampTz(values[SESSIONS_ROTATED_AT]);
	row->session_expires_at = nulls[SESSIONS_SESSION_EXPIRES_AT] ?
		DT_NOEND : DatumGetTimestampTz(values[SESSIONS_SESSION_EXPIRES_AT]);
	row->expires_at = Min(DatumGetTimestampTz(values[SESSIONS_EXPIRES_AT]), row->session_expires_at);
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

/* Whether the session had this token, as far as its row tells. */
static bool
was_issued(const RefreshToken *token, const SessionRow *row)
{
	if (token->generation == row->generation)
		return same_uuid(&token->jti, &row->jti);
	if (token->generation == row->generation - 1)
		return same_uuid(&token->jti, &row->previous_jti);
	return token->generation < row->generation;
}

/* What a genuine token is; ROTATION_ROTATED if it can be rotated. */
static RotationStatus
classify(const RefreshToken *token, const SessionRow *row)
{
	if (!row->user_exists)
		return ROTATION_INACTIVE;
	if (row->tuple == NULL || !was_issued(token, row))
		return ROTATION_UNKNOWN;
	if (row->revoked && (row->user_active || !row->revoked_as_inactive))
		return ROTATION_REVOKED;
	if (row->expires_at <= GetCurrentTimestamp())
		return ROTATION_EXPIRED;
	if (!row->user_active)
		return ROTATION_INACTIVE;
	if (token->generation == row->generation)
		return ROTATION_ROTATED;
	if (token->generation == row->generation - 1 && within_grace(row->rotated_at))
		return ROTATION_REISSUED;
	return ROTATION_REUSED;
}

/*
 * The one update, of the row as it was looked at; false if it has changed.  On
 * true, *token is the successor.
 */
static bool
rotate(RefreshToken *token, const SessionRow *row)
{
	static const int columns[] = {SESSIONS_GENERATION, SESSIONS_JTI, SESSIONS_PREVIOUS_JTI,
	SESSIONS_ROTATED_AT, SESSIONS_EXPIRES_AT};
	TimestampTz now = GetCurrentTimestamp();
	pg_uuid_t	jti = keyring_new_jti();
	ClientPolicy policy;
	TimestampTz expires_at;
	Datum		values[lengthof(columns)];

	client_policy(token->client_id, &policy);
	expires_at = whole_seconds(Min(now + policy.refresh_token_lifetime, row->session_expires_at));
	values[0] = Int64GetDatum(token->generation + 1);
	values[1] = UUIDPGetDatum(&jti);
	values[2] = UUIDPGetDatum(&token->jti);
	values[3] = TimestampTzGetDatum(now);
	values[4] = TimestampTzGetDatum(expires_at);
	if (!tables_update(TABLE_REFRESH_TOKENS, row->tuple, lengthof(columns), columns, values))
		return false;

	ForceSyncCommit();
	token->generation++;
	token->jti = jti;
	token->expires_at = expires_at;
	return true;
}

/* Ends a session that lives; false if its row has changed. */
static bool
end_row(HeapTuple row, Datum reason)
{
	static const int columns[] = {SESSIONS_REVOKED_AT, SESSIONS_REVOKE_REASON};
	Datum		values[lengthof(columns)] = {TimestampTzGetDatum(GetCurrentTimestamp()), reason};

	ForceSyncCommit();
	return tables_update(TABLE_REFRESH_TOKENS, row, lengthof(columns), columns, values);
}

/* The same by its key; false if it had ended before. */
static bool
end_session(const pg_uuid_t *user_id, const pg_uuid_t *session_id, Datum reason)
{
	Datum		keys[2] = {UUIDPGetDatum(user_id), UUIDPGetDatum(session_id)};
	Datum		values[SESSIONS_NATTS];
	bool		nulls[SESSIONS_NATTS];
	HeapTuple	row;

	do
	{
		CHECK_FOR_INTERRUPTS();
		CommandCounterIncrement();
		row = tables_fetch(TABLE_REFRESH_TOKENS, 2, keys, values, nulls);
		if (row == NULL || !nulls[SESSIONS_REVOKED_AT])
			return false;
	} while (!end_row(row, reason));
	return true;
}

static void
audit(const RefreshToken *token, RotationStatus status)
{
	static TableCommand command = {
		.text = "SELECT auth._audit($1, $2, $3, $4)",
		.nargs = 4,.types = {TEXTOID, UUIDOID, UUIDOID, TEXTOID}
	};
	Datum		args[4];

	if (status == ROTATION_ROTATED && strcmp(GetConfigOption("jwt_auth.audit", false, false), "all") != 0)
		return;
	args[0] = CStringGetTextDatum(psprintf("refresh_%s", status_names[status]));
	args[1] = UUIDPGetDatum(&token->user_id);
	args[2] = UUIDPGetDatum(&token->session_id);
	args[3] = CStringGetTextDatum(token->client_id);
	tables_run(&command, args);
}

/* Does what a genuine token calls for; false if the session's row has changed. */
static bool
act(RotationStatus status, RefreshToken *token, const SessionRow *row)
{
	if (status == ROTATION_ROTATED)
		return rotate(token, row);
	if (status == ROTATION_REUSED)
		return end_row(row->tuple, CStringGetTextDatum("reuse"));
	if (status == ROTATION_INACTIVE && row->tuple != NULL && !row->revoked)
		return end_row(row->tuple, CStringGetTextDatum(REASON_INACTIVE));
	return true;
}

/* Decides on a genuine token. */
static RotationStatus
rotate_or_classify(RefreshToken *token)
{
	RotationStatus status;
	SessionRow	row;

	do
	{
		CHECK_FOR_INTERRUPTS();
		look(token, &row);
		status = classify(token, &row);
	} while (!act(status, token, &row));

	if (status == ROTATION_REISSUED)
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

	status = rotate_or_classify(&token);
	if (status == ROTATION_ROTATED || status == ROTATION_REISSUED)
		successor = sign_refresh_token(&token);
	return rotation_result(fcinfo, status, &token, successor);
}

static Datum
newest_row(FunctionCallInfo fcinfo, AuthTable table, int nkeys)
{
	Datum		keys[2];
	Datum		row;

	for (int i = 0; i < nkeys; i++)
		keys[i] = PG_GETARG_DATUM(i);
	CommandCounterIncrement();	/* as in look() */
	row = tables_fetch_row(table, nkeys, keys);
	if (row == 0)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(row);
}

/*
 * _newest_user(user_id uuid) returns auth.users
 */
Datum
jwt_auth_newest_user(PG_FUNCTION_ARGS)
{
	return newest_row(fcinfo, TABLE_USERS, 1);
}

/*
 * _newest_session(user_id uuid, session_id uuid) returns auth.refresh_tokens
 */
Datum
jwt_auth_newest_session(PG_FUNCTION_ARGS)
{
	return newest_row(fcinfo, TABLE_REFRESH_TOKENS, 2);
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
	SessionRow	row;
	Datum		values[4] = {0};
	bool		nulls[4] = {true, true, true, true};

	if (!PG_ARGISNULL(0) && read_refresh_token(PG_GETARG_DATUM(0), &token) == ROTATION_ROTATED)
	{
		look(&token, &row);
		values[0] = UUIDPGetDatum(&token.user_id);
		values[1] = UUIDPGetDatum(&token.session_id);
		values[2] = BoolGetDatum(classify(&token, &row) == ROTATION_ROTATED);
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
 * _end_session(user_id uuid, session_id uuid, reason text) returns int
 *
 * How many: none where it had ended before, or where an argument is NULL.
 */
Datum
jwt_auth_end_session(PG_FUNCTION_ARGS)
{
	PreventCommandIfReadOnly("UPDATE");
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		PG_RETURN_INT32(0);
	PG_RETURN_INT32(end_session(PG_GETARG_UUID_P(0), PG_GETARG_UUID_P(1), PG_GETARG_DATUM(2)));
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
