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
 * activates_at (one from elsewhere: at once) until the last token that it has
 * signed has expired, unless it is revoked.  It serves one purpose: an access
 * token never verifies as a refresh token, nor the other way round (RFC 8725
 * section 3.12).
 */
#include "postgres.h"

#include <math.h>

#include <openssl/crypto.h>

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "nodes/pg_list.h"
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
#define MAX_KID_LEN	255

PG_FUNCTION_INFO_V1(jwt_sign_ring);
PG_FUNCTION_INFO_V1(jwt_auth_generate_key);
PG_FUNCTION_INFO_V1(jwt_auth_wrap_jwk);
PG_FUNCTION_INFO_V1(jwt_auth_rewrap);
PG_FUNCTION_INFO_V1(jwt_auth_ensure_key);
PG_FUNCTION_INFO_V1(jwt_auth_successor_algorithm);

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
	bool		imported;		/* may have signed elsewhere, without its kid too */
	int64		longest_lifetime;	/* microseconds */
	JoseKey    *public_key;		/* these two once they were used */
	JoseKey    *private_key;
} RingKey;

static const char *const purpose_names[] = {
	[PURPOSE_ACCESS] = "access",
	[PURPOSE_REFRESH] = "refresh",
};

static void *load_ring(TableScan *scan);

static TableCopy ring_copy = {.table = TABLE_KEYS,.name = "key ring",.load = load_ring};

/* What wrapped bytes are bound to: they unwrap in their own row alone. */
static char *
wrap_context(const char *kid, const char *purpose, const char *algorithm)
{
	return psprintf("%s %s %s", kid, purpose, algorithm);
}

static void
read_ring_key(const Datum *values, const bool *nulls, RingKey *key)
{
	char	   *alg = TextDatumGetCString(values[KEYS_ALGORITHM]);

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
	key->imported = DatumGetBool(values[KEYS_IMPORTED]);
	key->longest_lifetime = client_interval_usec(values[KEYS_LONGEST_LIFETIME]);
}

static void *
load_ring(TableScan *scan)
{
	List	   *ring = NIL;
	Datum		values[KEYS_NATTS];
	bool		nulls[KEYS_NATTS];

	while (tables_scan_next(scan, values, nulls))
	{
		RingKey    *key = palloc0(sizeof(RingKey));

		read_ring_key(values, nulls, key);
		ring = lappend(ring, key);
	}
	return ring;
}

static RingKey *
find_key(const char *kid)
{
	List	   *ring = tables_copy(&ring_copy);
	ListCell   *cell;

	foreach(cell, ring)
	{
		RingKey    *key = lfirst(cell);

		if (strcmp(key->kid, kid) == 0)
			return key;
	}
	return NULL;
}

static bool
is_active(const RingKey *key, TimestampTz now)
{
	return !key->revoked && key->wrapped != NULL && key->activates_at != DT_NOBEGIN &&
		key->activates_at <= now && now < key->superseded_at;
}

/* From when on a key does not verify any more. */
static TimestampTz
verifies_until(const RingKey *key)
{
	return key->superseded_at == DT_NOEND ? DT_NOEND :
		key->superseded_at + key->longest_lifetime + jwt_auth_leeway * USECS_PER_SEC;
}

static bool
may_verify(const RingKey *key, TimestampTz now)
{
	int64		leeway = jwt_auth_leeway * USECS_PER_SEC;

	if (key->revoked || key->alg == NULL || (now + leeway < key->activates_at && !key->imported))
		return false;
	return now < verifies_until(key);
}

static RingKey *
active_key(KeyPurpose purpose)
{
	List	   *ring = tables_copy(&ring_copy);
	TimestampTz now = GetCurrentTimestamp();
	ListCell   *cell;

	foreach(cell, ring)
	{
		RingKey    *key = lfirst(cell);

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
		bytes = masterkey_unwrap(key->wrapped, wrap_context(key->kid, purpose_names[key->purpose], key->alg->name), &len);
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

/*
 * The claims that every token must have as the settings want them; "iss" must be
 * this, or where it is NULL, missing.  The audience is the caller's to look at.
 */
JoseStatus
keyring_check_claims(const ClaimSet *claims, const char *issuer, TimestampTz now)
{
	static const char *required[] = {"exp"};
	ClaimRules	rules = {0};

	rules.no_issuer = issuer == NULL;
	rules.issuer = issuer;
	rules.any_audience = true;
	rules.leeway = jwt_auth_leeway * USECS_PER_SEC;
	rules.now = claims_unix_usec(now);
	rules.required = required;
	rules.nrequired = lengthof(required);
	return claims_check(claims, &rules);
}

static JoseStatus
check_own_claims(const Jwt *jwt, TimestampTz now)
{
	const char *issuer = jwt_auth_issuer[0] != '\0' ? jwt_auth_issuer : NULL;
	JoseStatus	status = keyring_check_claims(&jwt->payload, issuer, now);

	return status == JOSE_OK ? check_audience(jwt->payload.json) : status;
}

/* The signature under this key, which has to suit the token in every respect. */
static JoseStatus
verify_with_key(Jwt *jwt, RingKey *key, TimestampTz now)
{
	if (!may_verify(key, now))
		return JOSE_UNKNOWN_KID;
	if (jwt->alg != key->alg)
		return JOSE_KEY_MISMATCH;
	if ((guc_allowed_algorithms() & ALG_BIT(key->alg)) == 0)
		return JOSE_ALGORITHM_NOT_ALLOWED;
	jwt->key_ends = verifies_until(key);
	return jwt_verify_signature(jwt, key->public_jwk != NULL ? public_key(key) : private_key(key));
}

/*
 * Finds the key of a token and checks the signature.  "kid" names the key, and
 * no other is tried.  All that we sign has one; a token without one can only
 * be of a key from elsewhere.
 */
static JoseStatus
verify_signature(Jwt *jwt, KeyPurpose purpose, TimestampTz now)
{
	List	   *ring;
	ListCell   *cell;
	JoseStatus	status = JOSE_UNKNOWN_KID;

	if (jwt->kid != NULL)
	{
		RingKey    *key = find_key(jwt->kid);

		if (key != NULL)
			status = verify_with_key(jwt, key, now);
		if (status == JOSE_OK && key->purpose != purpose)
			status = JOSE_WRONG_TOKEN_TYPE;
		return status;
	}

	ring = tables_copy(&ring_copy);
	foreach(cell, ring)
	{
		RingKey    *key = lfirst(cell);

		if (status != JOSE_OK && key->imported && key->purpose == purpose && key->alg == jwt->alg)
			status = verify_with_key(jwt, key, now);
	}
	return status;
}

/* Whether a key that is published may have signed what is no token of ours. */
bool
keyring_has_foreign_key(void)
{
	List	   *ring = tables_copy(&ring_copy);
	ListCell   *cell;

	foreach(cell, ring)
	{
		RingKey    *key = lfirst(cell);

		if (key->imported && key->purpose == PURPOSE_ACCESS && key->public_jwk != NULL && !key->revoked)
			return true;
	}
	return false;
}

/*
 * Verifies an opened token that this database has issued: signature, then
 * claims.
 */
JoseStatus
keyring_check(Jwt *jwt, KeyPurpose purpose)
{
	TimestampTz now = GetCurrentTimestamp();
	JoseStatus	status = verify_signature(jwt, purpose, now);

	if (status == JOSE_OK)
		status = jwt_read_payload(jwt);
	return status == JOSE_OK ? check_own_claims(jwt, now) : status;
}

/* The same from its text on. */
JoseStatus
keyring_verify(Datum token, KeyPurpose purpose, Jwt *jwt)
{
	JoseStatus	status = jwt_open(token, jwt);

	return status == JOSE_OK ? keyring_check(jwt, purpose) : status;
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
	static TableCommand lock_command = {.text = "LOCK TABLE auth.keys IN SHARE ROW EXCLUSIVE MODE"};
	static TableCommand create_command = {
		.text = "SELECT auth.create_key($1, $2)",
		.nargs = 2,.types = {TEXTOID, TEXTOID}
	};
	RingKey    *key = active_key(purpose);
	Datum		args[2];

	if (key != NULL)
		return key;
	if (XactReadOnly)
		raise_no_key();
	tables_run(&lock_command, NULL);
	key = active_key(purpose);
	if (key != NULL)
		return key;
	args[0] = CStringGetTextDatum(guc_first_algorithm(purpose == PURPOSE_REFRESH)->name);
	args[1] = CStringGetTextDatum(purpose_names[purpose]);
	tables_run(&create_command, args);
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
	static TableCommand command = {
		.text = "UPDATE auth.keys SET longest_lifetime = "
		"greatest(longest_lifetime, make_interval(secs => $2)) WHERE kid = $1",
		.nargs = 2,.types = {TEXTOID, FLOAT8OID}
	};
	Datum		args[2];

	args[0] = CStringGetTextDatum(kid);
	args[1] = Float8GetDatum(ceil((double) lifetime / USECS_PER_SEC));
	if (tables_run(&command, args) == 0)
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

/* The key that signs a token that lives this long. */
static RingKey *
signing_key_for(KeyPurpose purpose, int64 lifetime)
{
	RingKey    *key = signing_key(purpose);

	if ((guc_allowed_algorithms() & ALG_BIT(key->alg)) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("algorithm of the active key is not one of \"jwt_auth.allowed_algorithms\""),
				 errhint("Call auth.rotate_key() for a key of another algorithm.")));
	while (lifetime > key->longest_lifetime)
	{
		raise_longest_lifetime(key->kid, lifetime);
		key = signing_key(purpose);
	}
	return key;
}

/* Signs a payload with the active key of this purpose. */
text *
keyring_sign(KeyPurpose purpose, Jsonb *payload)
{
	RingKey    *key = signing_key_for(purpose, payload_lifetime(payload));

	return jwt_compose(key->alg, private_key(key), key->kid, NULL, payload);
}

/*
 * The same of a payload that has been written, in the database's encoding; it
 * expires in lifetime microseconds.
 */
text *
keyring_sign_json(KeyPurpose purpose, StringInfo json, int64 lifetime)
{
	RingKey    *key = signing_key_for(purpose, lifetime);
	char	   *utf8 = pg_server_to_any(json->data, json->len, PG_UTF8);

	return jws_compose(key->alg, private_key(key), key->kid, "JWT", NULL, utf8, strlen(utf8));
}

/*
 * A jti (RFC 7519 section 4.1.7): a random uuid.  Many are drawn at a time, since
 * OpenSSL makes a system call for each draw.  They are no secrets: whoever has
 * the token reads its jti.
 */
pg_uuid_t
keyring_new_jti(void)
{
	static pg_uuid_t drawn[64];
	static int	left = 0;
	pg_uuid_t	jti;

	if (left == 0)
	{
		if (!pg_strong_random(drawn, sizeof(drawn)))
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR),
					 errmsg("could not generate random values")));
		left = lengthof(drawn);
	}
	jti = drawn[--left];
	/* version 4 and variant of RFC 9562 section 5.4 */
	jti.data[6] = (jti.data[6] & 0x0f) | 0x40;
	jti.data[8] = (jti.data[8] & 0x3f) | 0x80;
	return jti;
}

/* iss, iat, exp and jti for a payload that has none of its own. */
static Jsonb *
default_claims(void)
{
	int64		now = claims_unix_usec(GetCurrentTimestamp()) / USECS_PER_SEC;
	JsonbInState state = {0};
	pg_uuid_t	jti = keyring_new_jti();

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	if (jwt_auth_issuer[0] != '\0')
		claims_push_string(&state, "iss", jwt_auth_issuer);
	claims_push_integer(&state, "iat", now);
	claims_push_integer(&state, "exp", now + jwt_auth_access_token_lifetime);
	claims_push_string(&state, "jti", DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&jti))));
	pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	return JsonbValueToJsonb(state.result);
}

/*
 * jwt_sign(payload jsonb) returns text
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

/* Whether a message waits whose token is wrapped. */
static bool
outbox_holds_token(void)
{
	TableScan	scan;
	Datum		values[OUTBOX_NATTS];
	bool		nulls[OUTBOX_NATTS];
	bool		found = false;

	tables_scan_begin(&scan, TABLE_OUTBOX);
	while (!found && tables_scan_next(&scan, values, nulls))
		found = !nulls[OUTBOX_WRAPPED_TOKEN];
	tables_scan_end(&scan);
	return found;
}

/*
 * Whether no key in use is wrapped, nor the token of a message, so that a
 * master key may be made.
 */
bool
keyring_nothing_wrapped(void)
{
	List	   *ring = tables_copy(&ring_copy);
	ListCell   *cell;

	foreach(cell, ring)
	{
		RingKey    *key = lfirst(cell);

		if (key->wrapped != NULL && !key->revoked)
			return false;
	}
	return !outbox_holds_token();
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
		wrapped = masterkey_wrap(bytes, len, context, keyring_nothing_wrapped());
	}
	PG_FINALLY();
	{
		jwk_free_bytes(bytes, len);
	}
	PG_END_TRY();
	return wrapped;
}

/* (kid, algorithm_name, public_jwk, wrapped_key): what the table has of a key */
static Datum
key_row(FunctionCallInfo fcinfo, KeyPurpose purpose, JoseKey *key, const JoseAlg *alg, const char *kid)
{
	Jsonb	   *public_jwk = jwkset_write(key, alg, kid, false);
	Datum		values[4] = {0};
	bool		nulls[4] = {false, false, true, true};

	if ((guc_allowed_algorithms() & ALG_BIT(alg)) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("algorithm is not one of \"jwt_auth.allowed_algorithms\"")));
	values[0] = CStringGetTextDatum(kid);
	values[1] = CStringGetTextDatum(alg->name);
	if (public_jwk != NULL)
	{
		values[2] = JsonbPGetDatum(public_jwk);
		nulls[2] = false;
	}
	if (key->is_private)
	{
		values[3] = PointerGetDatum(wrap_key(key, wrap_context(kid, purpose_names[purpose], alg->name)));
		nulls[3] = false;
	}
	return form_row(fcinfo, values, nulls);
}

/*
 * _generate_key(algorithm text, purpose text)
 *		returns (kid text, algorithm_name text, public_jwk jsonb, wrapped_key bytea)
 */
Datum
jwt_auth_generate_key(PG_FUNCTION_ARGS)
{
	const JoseAlg *alg = algorithm_argument(fcinfo, 0);
	KeyPurpose	purpose = purpose_argument(PG_GETARG_TEXT_PP(1));
	JoseKey    *key;
	JoseStatus	status = jwk_generate(alg, &key);

	if (status != JOSE_OK)
		jose_raise_key(status);
	return key_row(fcinfo, purpose, jwt_own_key(key), alg, random_kid());
}

/*
 * The name of a key from elsewhere: its own, else the thumbprint of a public
 * key (RFC 7638).  That of a secret would tell of it.
 */
static const char *
imported_kid(const Jwk *jwk)
{
	unsigned char thumbprint[JWK_THUMBPRINT_LEN];
	char	   *kid;

	if (jwk->kid != NULL)
	{
		if (jwk->kid[0] == '\0' || strlen(jwk->kid) > MAX_KID_LEN)
			raise_argument("kid of a key must have 1 to 255 bytes", NULL);
		return jwk->kid;
	}
	if (jwk->key->pkey == NULL)
		return random_kid();
	if (jwk_thumbprint(jwk->key, thumbprint) != JOSE_OK)
		jose_raise_key(JOSE_CRYPTO_FAILURE);
	kid = palloc0(BASE64URL_ENCODED_LEN(JWK_THUMBPRINT_LEN) + 1);
	base64url_encode(thumbprint, JWK_THUMBPRINT_LEN, kid);
	return kid;
}

/*
 * _wrap_jwk(key jsonb, purpose text)
 *		returns (kid text, algorithm_name text, public_jwk jsonb, wrapped_key bytea)
 */
Datum
jwt_auth_wrap_jwk(PG_FUNCTION_ARGS)
{
	Jsonb	   *document = PG_GETARG_JSONB_P(0);
	KeyPurpose	purpose = purpose_argument(PG_GETARG_TEXT_PP(1));
	const JoseAlg *alg;
	JoseStatus	status;
	Jwk			jwk;

	if (JB_ROOT_IS_OBJECT(document) && claims_member(document, "keys") != NULL)
		raise_argument("key must be one JWK, not a set", NULL);
	status = jwkset_read(document, NULL, &jwk);
	if (status != JOSE_OK)
		jose_raise_key(status);
	alg = jwkset_default_alg(&jwk);
	if (alg == NULL || !(jwk.may_verify || (jwk.may_sign && jwk.key->is_private)))
		jose_raise_key(JOSE_KEY_MISMATCH);
	status = jwk_check_alg(jwk.key, alg);
	if (status != JOSE_OK)
		jose_raise_key(status);
	return key_row(fcinfo, purpose, jwk.key, alg, imported_kid(&jwk));
}

/*
 * _rewrap(kid text, purpose text, algorithm text, wrapped_key bytea) returns bytea
 *
 * The same key under the master key file of now.
 */
Datum
jwt_auth_rewrap(PG_FUNCTION_ARGS)
{
	char	   *context = wrap_context(text_to_cstring(PG_GETARG_TEXT_PP(0)),
									   text_to_cstring(PG_GETARG_TEXT_PP(1)),
									   text_to_cstring(PG_GETARG_TEXT_PP(2)));

	PG_RETURN_BYTEA_P(masterkey_rewrap(PG_GETARG_BYTEA_PP(3), context));
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

/*
 * _successor_algorithm(algorithm text, purpose text) returns text
 *
 * This one if it is allowed, else (also for NULL) the first allowed one that suits
 * the purpose.
 */
Datum
jwt_auth_successor_algorithm(PG_FUNCTION_ARGS)
{
	char	   *name = text_argument(fcinfo, 0);
	const JoseAlg *alg = name != NULL ? alg_find(name, strlen(name)) : NULL;

	if (alg == NULL || (guc_allowed_algorithms() & ALG_BIT(alg)) == 0)
		alg = guc_first_algorithm(purpose_argument(PG_GETARG_TEXT_PP(1)) == PURPOSE_REFRESH);
	PG_RETURN_TEXT_P(cstring_to_text(alg->name));
}

/* Called once, when the library is loaded. */
void
keyring_init(void)
{
	tables_watch(&ring_copy);
}
