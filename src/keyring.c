/*
 * keyring.c
 *	  The key ring: the database's own signing and verification keys.
 *
 * Owns each backend's copy of the table "keys".  The copy is dropped when the
 * table changes, so a committed rotation or revocation holds from the next
 * statement of every backend on; a key is parsed, and unwrapped, when it is
 * first used, and its memory is wiped when the copy goes.
 *
 * A key signs from activates_at until superseded_at, and verifies from
 * activates_at until the last token that it has signed has expired, unless it
 * is revoked.  It serves one purpose: an access token never verifies as a
 * refresh token, nor the other way round (RFC 8725 section 3.12).
 */
#include "postgres.h"

#include <math.h>

#include <openssl/crypto.h>

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "arguments.h"
#include "base64url.h"
#include "client.h"
#include "errors.h"
#include "guc.h"
#include "jwkset.h"
#include "keyring.h"
#include "masterkey.h"
#include "numericdate.h"
#include "tables.h"

#define KID_BYTES	16

PG_FUNCTION_INFO_V1(jwt_sign_ring);
PG_FUNCTION_INFO_V1(jwt_verify_ring);
PG_FUNCTION_INFO_V1(jwt_auth_generate_key);
PG_FUNCTION_INFO_V1(jwt_auth_ensure_key);

typedef struct RingKey
{
	char	   *kid;
	KeyPurpose	purpose;
	const JoseAlg *alg;			/* NULL if this library does not know it */
	Jsonb	   *public_jwk;		/* NULL for a secret */
	bytea	   *wrapped;		/* NULL if it only verifies */
	TimestampTz activates_at;
	TimestampTz superseded_at;
	bool		revoked;
	int64		longest_lifetime;	/* microseconds */
	JoseKey    *public_key;		/* these two once they were used */
	JoseKey    *private_key;
} RingKey;

static const char *const purpose_names[] = {
	[PURPOSE_ACCESS] = "access",
	[PURPOSE_REFRESH] = "refresh",
};

typedef struct Ring
{
	int			size;
	int			capacity;
	RingKey    *keys;
} Ring;

static void *load_ring(TableScan *scan);

static TableCopy ring_copy = {.table = TABLE_KEYS,.name = "key ring",.load = load_ring};

/* What wrapped bytes are bound to: they unwrap in their own row alone. */
static char *
wrap_context(const char *kid, KeyPurpose purpose, const JoseAlg *alg)
{
	return psprintf("%s %s %s", kid, purpose_names[purpose], alg->name);
}

static void
read_ring_key(const Datum *values, const bool *nulls, RingKey *key)
{
	char	   *alg = TextDatumGetCString(values[KEYS_ALGORITHM]);

	memset(key, 0, sizeof(*key));
	key->kid = TextDatumGetCString(values[KEYS_KID]);
	key->purpose = strcmp(TextDatumGetCString(values[KEYS_PURPOSE]), "access") == 0 ?
		PURPOSE_ACCESS : PURPOSE_REFRESH;
	key->alg = alg_find(alg, strlen(alg));
	if (!nulls[KEYS_PUBLIC_JWK])
		key->public_jwk = DatumGetJsonbPCopy(values[KEYS_PUBLIC_JWK]);
	if (!nulls[KEYS_WRAPPED_KEY])
		key->wrapped = DatumGetByteaPCopy(values[KEYS_WRAPPED_KEY]);
	key->activates_at = nulls[KEYS_ACTIVATES_AT] ?
		DT_NOBEGIN : DatumGetTimestampTz(values[KEYS_ACTIVATES_AT]);
	key->superseded_at = nulls[KEYS_SUPERSEDED_AT] ?
		DT_NOEND : DatumGetTimestampTz(values[KEYS_SUPERSEDED_AT]);
	key->revoked = !nulls[KEYS_REVOKED_AT];
	key->longest_lifetime = client_interval_usec(values[KEYS_LONGEST_LIFETIME]);
}

static void *
load_ring(TableScan *scan)
{
	Ring	   *ring = palloc0(sizeof(Ring));
	Datum		values[KEYS_NATTS];
	bool		nulls[KEYS_NATTS];

	ring->capacity = 8;
	ring->keys = palloc(ring->capacity * sizeof(RingKey));
	while (tables_scan_next(scan, values, nulls))
	{
		if (ring->size == ring->capacity)
			ring->keys = repalloc(ring->keys, (ring->capacity *= 2) * sizeof(RingKey));
		read_ring_key(values, nulls, &ring->keys[ring->size++]);
	}
	return ring;
}

static RingKey *
find_key(const char *kid)
{
	Ring	   *ring = tables_copy(&ring_copy);

	for (int i = 0; i < ring->size; i++)
		if (strcmp(ring->keys[i].kid, kid) == 0)
			return &ring->keys[i];
	return NULL;
}

static bool
is_active(const RingKey *key, TimestampTz now)
{
	return !key->revoked && key->wrapped != NULL && key->activates_at != DT_NOBEGIN &&
		key->activates_at <= now && now < key->superseded_at;
}

static bool
may_verify(const RingKey *key, TimestampTz now)
{
	int64		tail = key->longest_lifetime + jwt_auth_leeway * USECS_PER_SEC;

	if (key->revoked || now < key->activates_at)
		return false;
	return key->superseded_at == DT_NOEND || now < key->superseded_at + tail;
}

static RingKey *
active_key(KeyPurpose purpose)
{
	Ring	   *ring = tables_copy(&ring_copy);
	TimestampTz now = GetCurrentTimestamp();

	for (int i = 0; i < ring->size; i++)
	{
		RingKey    *key = &ring->keys[i];

		if (key->purpose == purpose && key->alg != NULL && is_active(key, now))
			return key;
	}
	return NULL;
}

/* The parsed public half; it lives as long as the copy. */
static JoseKey *
public_key(RingKey *key)
{
	MemoryContext caller;
	Jwk			jwk;

	if (key->public_key == NULL)
	{
		caller = MemoryContextSwitchTo(ring_copy.context);
		if (jwkset_read(key->public_jwk, key->kid, &jwk) != JOSE_OK)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("public key \"%s\" in the key ring is damaged", key->kid)));
		key->public_key = jwk.key;
		MemoryContextSwitchTo(caller);
	}
	return key->public_key;
}

/* The unwrapped private half or secret; it lives as long as the copy. */
static JoseKey *
private_key(RingKey *key)
{
	MemoryContext caller;
	unsigned char *bytes;
	size_t		len;
	JoseKey    *parsed;
	JoseStatus	status;

	if (key->private_key == NULL)
	{
		bytes = masterkey_unwrap(key->wrapped, wrap_context(key->kid, key->purpose, key->alg), &len);
		status = jwk_from_bytes(key->alg, bytes, len, &parsed);
		OPENSSL_cleanse(bytes, len);
		if (status != JOSE_OK)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("private key \"%s\" in the key ring is damaged", key->kid)));
		caller = MemoryContextSwitchTo(ring_copy.context);
		key->private_key = jwt_own_key(parsed);
		MemoryContextSwitchTo(caller);
	}
	return key->private_key;
}

/*
 * The audience rule of our own tokens: "aud" is the one of the token's client,
 * and where jwt_auth.audience is set, also that one.
 */
static JoseStatus
check_audience(Jsonb *payload)
{
	char	   *client_id = claims_string(payload, "client_id");
	bool		has_audience = claims_member(payload, "aud") != NULL;
	ClientPolicy policy;

	if (!client_policy(client_id != NULL ? client_id : DEFAULT_CLIENT, &policy))
		return JOSE_BAD_AUDIENCE;
	if (policy.audience == NULL ? has_audience : !claims_has_audience(payload, policy.audience))
		return JOSE_BAD_AUDIENCE;
	if (jwt_auth_audience[0] != '\0' && !claims_has_audience(payload, jwt_auth_audience))
		return JOSE_BAD_AUDIENCE;
	return JOSE_OK;
}

static JoseStatus
check_own_claims(const Jwt *jwt, TimestampTz now)
{
	static const char *required[] = {"exp"};
	ClaimRules	rules = {0};
	JoseStatus	status;

	rules.no_issuer = jwt_auth_issuer[0] == '\0';
	rules.issuer = rules.no_issuer ? NULL : jwt_auth_issuer;
	rules.any_audience = true;
	rules.leeway = jwt_auth_leeway * USECS_PER_SEC;
	rules.now = claims_unix_usec(now);
	rules.required = required;
	rules.nrequired = lengthof(required);
	status = claims_check(&jwt->payload, &rules);
	return status == JOSE_OK ? check_audience(jwt->payload.json) : status;
}

/*
 * Verifies a token that this database has issued: signature, then claims.
 * "kid" chooses the key; there is no guessing without one.
 */
JoseStatus
keyring_verify(Datum token, KeyPurpose purpose, Jwt *jwt)
{
	TimestampTz now = GetCurrentTimestamp();
	RingKey    *key;
	JoseStatus	status = jwt_open(token, jwt);

	if (status != JOSE_OK)
		return status;
	key = jwt->kid != NULL ? find_key(jwt->kid) : NULL;
	if (key == NULL || key->alg == NULL || !may_verify(key, now))
		return JOSE_UNKNOWN_KID;
	if (jwt->alg != key->alg)
		return JOSE_KEY_MISMATCH;
	if ((guc_allowed_algorithms() & ALG_BIT(key->alg)) == 0)
		return JOSE_ALGORITHM_NOT_ALLOWED;
	status = jwt_verify_signature(jwt, key->public_jwk != NULL ? public_key(key) : private_key(key));
	if (status != JOSE_OK)
		return status;
	if (key->purpose != purpose)
		return JOSE_WRONG_TOKEN_TYPE;
	status = jwt_read_payload(jwt);
	return status == JOSE_OK ? check_own_claims(jwt, now) : status;
}

/* Runs a command of ours as the owner of the calling function: how many rows. */
static uint64
run_command(const char *command, int nargs, Oid *types, Datum *args)
{
	int			result;
	uint64		rows;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	result = SPI_execute_with_args(command, nargs, types, args, NULL, false, 0);
	if (result < 0)
		elog(ERROR, "SPI_execute failed: %s", SPI_result_code_string(result));
	rows = SPI_processed;
	SPI_finish();
	return rows;
}

pg_noreturn static void
raise_no_key(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("there is no key to sign with"),
			 errhint("Create one with auth.create_key().")));
}

/*
 * The key that signs now.  Where a purpose has none, the first token makes
 * one; whoever comes second waits and finds it.
 */
static RingKey *
signing_key(KeyPurpose purpose)
{
	RingKey    *key = active_key(purpose);
	Oid			types[2] = {TEXTOID, TEXTOID};
	Datum		args[2];

	if (key != NULL)
		return key;
	if (XactReadOnly)
		raise_no_key();
	run_command("LOCK TABLE auth.keys IN SHARE ROW EXCLUSIVE MODE", 0, NULL, NULL);
	key = active_key(purpose);
	if (key != NULL)
		return key;
	args[0] = CStringGetTextDatum(guc_first_algorithm(purpose == PURPOSE_REFRESH)->name);
	args[1] = CStringGetTextDatum(purpose_names[purpose]);
	run_command("SELECT auth.create_key($1, $2)", 2, types, args);
	key = active_key(purpose);
	if (key == NULL)
		raise_no_key();
	return key;
}

/*
 * Notes that the key signs tokens that live this long.  The ring knows keys
 * that are younger than this transaction's snapshot; an update does not.
 */
static void
raise_longest_lifetime(const char *kid, int64 lifetime)
{
	Oid			types[2] = {TEXTOID, FLOAT8OID};
	Datum		args[2];

	args[0] = CStringGetTextDatum(kid);
	args[1] = Float8GetDatum(ceil((double) lifetime / USECS_PER_SEC));
	if (run_command("UPDATE auth.keys SET longest_lifetime = "
					"greatest(longest_lifetime, make_interval(secs => $2)) WHERE kid = $1",
					2, types, args) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to a concurrently created key")));
}

/* Microseconds until the payload's "exp", at most what a key can note. */
static int64
payload_lifetime(Jsonb *payload)
{
	JsonbValue *exp = claims_member(payload, "exp");
	const int64 forever = INT64CONST(1000) * 366 * USECS_PER_DAY;
	char	   *text;
	int64		lifetime;

	if (exp == NULL || exp->type != jbvNumeric)
		return 0;				/* jwt_compose refuses it */
	text = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(exp->val.numeric)));
	lifetime = numericdate_parse(text, strlen(text));
	if (lifetime <= 0)
		return 0;
	return Min(lifetime - claims_unix_usec(GetCurrentTimestamp()), forever);
}

/* Signs a payload with the active key of this purpose. */
text *
keyring_sign(KeyPurpose purpose, Jsonb *payload)
{
	int64		lifetime = payload_lifetime(payload);
	RingKey    *key = signing_key(purpose);

	while (lifetime > key->longest_lifetime)
	{
		raise_longest_lifetime(key->kid, lifetime);
		key = signing_key(purpose);
	}
	return jwt_compose(key->alg, private_key(key), key->kid, NULL, payload);
}

/* iss, iat, exp and jti for a payload that has none of its own. */
static Jsonb *
default_claims(void)
{
	int64		now = claims_unix_usec(GetCurrentTimestamp()) / USECS_PER_SEC;
	JsonbInState state = {0};
	Datum		jti = DirectFunctionCall1(gen_random_uuid, (Datum) 0);

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	if (jwt_auth_issuer[0] != '\0')
		claims_push_string(&state, "iss", jwt_auth_issuer);
	claims_push_integer(&state, "iat", now);
	claims_push_integer(&state, "exp", now + jwt_auth_access_token_lifetime);
	claims_push_string(&state, "jti", DatumGetCString(DirectFunctionCall1(uuid_out, jti)));
	pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	return JsonbValueToJsonb(state.result);
}

/*
 * jwt_sign(payload jsonb) returns text
 *
 * Runs as the owner: it may have to create the first key.
 */
Datum
jwt_sign_ring(PG_FUNCTION_ARGS)
{
	Jsonb	   *payload;

	if (PG_ARGISNULL(0) || !JB_ROOT_IS_OBJECT(PG_GETARG_JSONB_P(0)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("payload must be a JSON object")));
	payload = DatumGetJsonbP(DirectFunctionCall2(jsonb_concat, JsonbPGetDatum(default_claims()),
												 PG_GETARG_DATUM(0)));
	PG_RETURN_TEXT_P(keyring_sign(PURPOSE_ACCESS, payload));
}

/*
 * jwt_verify(token text) returns jsonb
 */
Datum
jwt_verify_ring(PG_FUNCTION_ARGS)
{
	Jwt			jwt;
	JoseStatus	status = JOSE_MALFORMED;

	if (!PG_ARGISNULL(0))
		status = keyring_verify(PG_GETARG_DATUM(0), PURPOSE_ACCESS, &jwt);
	if (status != JOSE_OK)
		jose_raise_token(status);
	PG_RETURN_JSONB_P(jwt.payload.json);
}

static KeyPurpose
purpose_argument(text *name)
{
	char	   *purpose = text_to_cstring(name);

	for (size_t i = 0; i < lengthof(purpose_names); i++)
		if (strcmp(purpose, purpose_names[i]) == 0)
			return (KeyPurpose) i;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("purpose of a key must be \"access\" or \"refresh\"")));
}

/* Whether no key in use is wrapped, so that a master key may be made. */
static bool
nothing_wrapped(void)
{
	Ring	   *ring = tables_copy(&ring_copy);

	for (int i = 0; i < ring->size; i++)
		if (ring->keys[i].wrapped != NULL && !ring->keys[i].revoked)
			return false;
	return true;
}

static char *
random_kid(void)
{
	unsigned char bytes[KID_BYTES];
	char	   *kid = palloc0(BASE64URL_ENCODED_LEN(KID_BYTES) + 1);

	if (!pg_strong_random(bytes, sizeof(bytes)))
		jose_raise_key(JOSE_CRYPTO_FAILURE);
	base64url_encode(bytes, sizeof(bytes), kid);
	return kid;
}

static bytea *
wrap_key(JoseKey *key, const char *context)
{
	unsigned char *bytes;
	size_t		len;
	bytea	   *volatile wrapped = NULL;

	if (jwk_to_bytes(key, &bytes, &len) != JOSE_OK)
		jose_raise_key(JOSE_CRYPTO_FAILURE);
	PG_TRY();
	{
		wrapped = masterkey_wrap(bytes, len, context, nothing_wrapped());
	}
	PG_FINALLY();
	{
		jwk_free_bytes(bytes, len);
	}
	PG_END_TRY();
	return wrapped;
}

/*
 * _generate_key(algorithm text, purpose text)
 *		returns (kid text, public_jwk jsonb, wrapped_key bytea)
 */
Datum
jwt_auth_generate_key(PG_FUNCTION_ARGS)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	const JoseAlg *alg = alg_find(name, strlen(name));
	KeyPurpose	purpose = purpose_argument(PG_GETARG_TEXT_PP(1));
	char	   *kid = random_kid();
	Datum		values[3];
	bool		nulls[3] = {false};
	Jsonb	   *public_jwk;
	JoseKey    *key;
	JoseStatus	status;

	if (alg == NULL || (guc_allowed_algorithms() & ALG_BIT(alg)) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("algorithm is not one of \"jwt_auth.allowed_algorithms\"")));

	status = jwk_generate(alg, &key);
	if (status != JOSE_OK)
		jose_raise_key(status);
	jwt_own_key(key);
	public_jwk = jwkset_write(key, alg, kid, false);
	values[0] = CStringGetTextDatum(kid);
	nulls[1] = public_jwk == NULL;
	values[1] = nulls[1] ? (Datum) 0 : JsonbPGetDatum(public_jwk);
	values[2] = PointerGetDatum(wrap_key(key, wrap_context(kid, purpose, alg)));
	return form_row(fcinfo, values, nulls);
}

/*
 * _ensure_key(purpose text) returns text
 *
 * The kid of the key that signs, created where there is none.
 */
Datum
jwt_auth_ensure_key(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(signing_key(purpose_argument(PG_GETARG_TEXT_PP(0)))->kid));
}

/* Called once, when the library is loaded. */
void
keyring_init(void)
{
	tables_watch(&ring_copy);
}
