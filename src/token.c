/*
 * token.c
 *	  SQL functions on tokens with a key in hand: jwt_sign, jwt_verify,
 *	  jwt_try_verify, jwt_decode, jws_sign, jws_verify.  Pure: they read no
 *	  table.
 *
 * The key decides the algorithm, never the token (RFC 8725 section 3.1): a
 * text key is a secret or PEM by what the caller's algorithms want, a JWK says
 * itself what it is.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "port/pg_bitutils.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "arguments.h"
#include "errors.h"
#include "jwkset.h"
#include "jwt.h"
#include "keycache.h"

#define MAX_LEEWAY	USECS_PER_DAY

PG_FUNCTION_INFO_V1(jwt_sign);
PG_FUNCTION_INFO_V1(jwt_sign_jwk);
PG_FUNCTION_INFO_V1(jwt_verify);
PG_FUNCTION_INFO_V1(jwt_verify_jwk);
PG_FUNCTION_INFO_V1(jwt_try_verify);
PG_FUNCTION_INFO_V1(jwt_try_verify_jwk);
PG_FUNCTION_INFO_V1(jwt_decode);
PG_FUNCTION_INFO_V1(jwt_auth_jws_sign);
PG_FUNCTION_INFO_V1(jwt_auth_jws_verify);

/* Positions of the arguments that both forms of jwt_verify share; jwt_sign has its key there too. */
enum
{
	ARG_TOKEN,
	ARG_KEY,
	ARG_ALGORITHMS,
	ARG_ISSUER,
	ARG_AUDIENCE,
	ARG_LEEWAY,
	ARG_TYP,
	ARG_REQUIRED,
	ARG_AT_TIME,
};

/* The caller's demands, beyond the key. */
typedef struct VerifyArgs
{
	AlgSet		algorithms;		/* 0: what the JWK says */
	ClaimRules	rules;
	const char *typ;			/* NULL: any */
} VerifyArgs;

/* Microseconds of the leeway; months have no fixed length. */
static int64
leeway_argument(FunctionCallInfo fcinfo)
{
	Interval   *leeway;

	if (PG_ARGISNULL(ARG_LEEWAY))
		raise_argument("leeway must not be NULL", NULL);
	leeway = PG_GETARG_INTERVAL_P(ARG_LEEWAY);
	if (leeway->month != 0 || leeway->day < 0 || leeway->day > 1 ||
		leeway->time < 0 || leeway->time > MAX_LEEWAY - leeway->day * USECS_PER_DAY)
		raise_argument("leeway must be between zero and one day", NULL);
	return leeway->time + leeway->day * USECS_PER_DAY;
}

static int64
at_time_argument(FunctionCallInfo fcinfo)
{
	TimestampTz at_time = PG_ARGISNULL(ARG_AT_TIME) ? GetCurrentTimestamp() : PG_GETARG_TIMESTAMPTZ(ARG_AT_TIME);

	if (TIMESTAMP_NOT_FINITE(at_time))
		raise_argument("time to verify at must be finite", NULL);
	return claims_unix_usec(at_time);
}

static void
verify_arguments(FunctionCallInfo fcinfo, VerifyArgs *args)
{
	memset(args, 0, sizeof(*args));
	if (PG_ARGISNULL(ARG_KEY))
		raise_argument("key must not be NULL", NULL);
	args->algorithms = algorithms_argument(fcinfo, ARG_ALGORITHMS);
	args->typ = text_argument(fcinfo, ARG_TYP);
	args->rules.issuer = text_argument(fcinfo, ARG_ISSUER);
	args->rules.audience = text_argument(fcinfo, ARG_AUDIENCE);
	args->rules.leeway = leeway_argument(fcinfo);
	args->rules.now = at_time_argument(fcinfo);
	if (!PG_ARGISNULL(ARG_REQUIRED))
		args->rules.nrequired = text_array(PG_GETARG_DATUM(ARG_REQUIRED), &args->rules.required);
}

/* A shared secret is the bytes of its text in UTF-8, in any database. */
static JoseStatus
secret_key(const char *bytes, size_t len, JoseKey **key)
{
	int			encoding = GetDatabaseEncoding();
	char	   *utf8;

	if (encoding == PG_SQL_ASCII && !pg_verify_mbstr(PG_UTF8, bytes, len, true))
		return JOSE_BAD_KEY;
	if (encoding == PG_SQL_ASCII || encoding == PG_UTF8)
		return keycache_text(KEY_SECRET, bytes, len, key);
	/* not pg_server_to_any, whose error would show the bytes that it refuses */
	utf8 = claims_convert((const unsigned char *) bytes, len, encoding, PG_UTF8);
	return utf8 != NULL ? keycache_text(KEY_SECRET, utf8, strlen(utf8), key) : JOSE_BAD_KEY;
}

/* A key of the text form; raises where it is no good. */
static JoseKey *
text_key(FunctionCallInfo fcinfo, KeyForm form)
{
	text	   *key_text = key_text_argument(fcinfo, ARG_KEY);
	const char *bytes = VARDATA_ANY(key_text);
	size_t		len = VARSIZE_ANY_EXHDR(key_text);
	JwkLooks	looks = jwk_looks_like_key(bytes, len);
	JoseKey    *key;
	JoseStatus	status;

	if (looks == JWK_LOOKS_JSON)
		raise_argument("key looks like a JWK but was given as text", "Cast it to jsonb.");
	if (form == KEY_SECRET && looks == JWK_LOOKS_KEY_FILE)
		raise_argument("a public or private key cannot be used as a shared secret",
					   "Name the key's own algorithm, such as RS256.");
	if (form == KEY_SECRET)
		status = secret_key(bytes, len, &key);
	else
		status = keycache_text(form, bytes, len, &key);
	if (status != JOSE_OK)
		jose_raise_key(status);
	return key;
}

/* Takes one algorithm out of a set that is not empty. */
static const JoseAlg *
pop_algorithm(AlgSet *algorithms)
{
	const JoseAlg *alg = alg_at(pg_rightmost_one_pos32(*algorithms));

	*algorithms &= ~ALG_BIT(alg);
	return alg;
}

/* Whether the algorithms want a shared secret; they must not want both kinds. */
static bool
want_secret(AlgSet algorithms)
{
	bool		secret = false;
	bool		key_pair = false;

	while (algorithms != 0)
	{
		if (pop_algorithm(&algorithms)->family == JOSE_HMAC)
			secret = true;
		else
			key_pair = true;
	}
	if (secret && key_pair)
		raise_argument("algorithms mix shared secrets and key pairs", NULL);
	return secret;
}

/* Raises where a key is too short for one of the algorithms that it is asked for. */
static void
check_strength(const JoseKey *key, AlgSet algorithms)
{
	while (algorithms != 0)
		if (jwk_check_alg(key, pop_algorithm(&algorithms)) == JOSE_WEAK_KEY)
			jose_raise_key(JOSE_WEAK_KEY);
}

/* The key of the text form; its kind follows from the caller's algorithms. */
static JoseKey *
verification_key(FunctionCallInfo fcinfo, AlgSet algorithms)
{
	JoseKey    *key = text_key(fcinfo, want_secret(algorithms) ? KEY_SECRET : KEY_PUBLIC_PEM);

	check_strength(key, algorithms);
	return key;
}

/* What is left once the key is known: algorithm and signature. */
static JoseStatus
verify_signature(Jwt *jwt, JoseKey *key, AlgSet algorithms)
{
	JoseStatus	status;

	if ((algorithms & ALG_BIT(jwt->alg)) == 0)
		return JOSE_ALGORITHM_NOT_ALLOWED;
	status = jwt_verify_signature(jwt, key);
	/* too short for the algorithm that the token names */
	return status == JOSE_WEAK_KEY ? JOSE_KEY_MISMATCH : status;
}

/* The algorithms of a JWK: those that the caller names, else the one that it stands for. */
static AlgSet
jwk_algorithms(const Jwk *jwk, AlgSet algorithms)
{
	const JoseAlg *alg = jwkset_default_alg(jwk);
	AlgSet		own = alg != NULL ? ALG_BIT(alg) : 0;

	if (algorithms == 0)
		return own;
	return jwk->alg != NULL ? algorithms & own : algorithms;
}

/*
 * The same with the key that a JWK or JWK Set has for this token.  A weak key
 * is the caller's fault, but in a set the token has chosen it.
 */
static JoseStatus
verify_jwk_signature(Jwt *jwt, Jsonb *document, AlgSet algorithms)
{
	Jwk			jwk;
	JoseStatus	status = keycache_jwk(document, jwt->kid, &jwk);

	if (status == JOSE_UNKNOWN_KID || status == JOSE_KEY_MISMATCH)
		return status;
	if (status != JOSE_OK)
		jose_raise_key(status);
	if (!jwk.may_verify || (jwk.alg != NULL && jwk.alg != jwt->alg))
		return JOSE_KEY_MISMATCH;
	algorithms = jwk_algorithms(&jwk, algorithms);
	if (!jwk.in_set)
		check_strength(jwk.key, algorithms);
	return verify_signature(jwt, jwk.key, algorithms);
}

/* Reads the payload of a token whose signature is right, and checks it. */
static JoseStatus
verify_claims(Jwt *jwt, const VerifyArgs *args)
{
	JoseStatus	status = jwt_read_payload(jwt);

	if (status == JOSE_OK && args->typ != NULL && !jwt_has_typ(jwt, args->typ))
		status = JOSE_WRONG_TOKEN_TYPE;
	if (status == JOSE_OK)
		status = claims_check(&jwt->payload, &args->rules);
	return status;
}

/* jwt_verify with a secret or PEM, up to the answer. */
static JoseStatus
verify_text(FunctionCallInfo fcinfo, Jwt *jwt)
{
	VerifyArgs	args;
	JoseKey    *key;
	JoseStatus	status;

	verify_arguments(fcinfo, &args);
	if (args.algorithms == 0)
		raise_argument("list of algorithms must not be NULL", NULL);
	key = verification_key(fcinfo, args.algorithms);
	if (PG_ARGISNULL(ARG_TOKEN))
		return JOSE_MALFORMED;
	status = jwt_open(PG_GETARG_DATUM(ARG_TOKEN), jwt);
	if (status == JOSE_OK)
		status = verify_signature(jwt, key, args.algorithms);
	return status == JOSE_OK ? verify_claims(jwt, &args) : status;
}

/* jwt_verify with a JWK or JWK Set, up to the answer. */
static JoseStatus
verify_jwk(FunctionCallInfo fcinfo, Jwt *jwt)
{
	VerifyArgs	args;
	JoseStatus	status;

	verify_arguments(fcinfo, &args);
	if (PG_ARGISNULL(ARG_TOKEN))
		return JOSE_MALFORMED;
	status = jwt_open(PG_GETARG_DATUM(ARG_TOKEN), jwt);
	if (status == JOSE_OK)
		status = verify_jwk_signature(jwt, key_document_argument(fcinfo, ARG_KEY), args.algorithms);
	return status == JOSE_OK ? verify_claims(jwt, &args) : status;
}

static bytea *
bytea_copy(const unsigned char *bytes, size_t len)
{
	bytea	   *copy = palloc(VARHDRSZ + len);

	SET_VARSIZE(copy, VARHDRSZ + len);
	memcpy(VARDATA(copy), bytes, len);
	return copy;
}

static Datum
payload_or_error(JoseStatus status, const Jwt *jwt)
{
	if (status != JOSE_OK)
		jose_raise_token(status);
	PG_RETURN_JSONB_P(jwt->payload.json);
}

/* (valid, error, header, payload) */
static Datum
try_result(FunctionCallInfo fcinfo, JoseStatus status, const Jwt *jwt)
{
	Datum		values[4] = {0};
	bool		nulls[4] = {false, true, true, true};

	if (status != JOSE_OK && jose_reason(status) == NULL)
		jose_raise_key(status);
	values[0] = BoolGetDatum(status == JOSE_OK);
	if (status == JOSE_OK)
	{
		values[2] = JsonbPGetDatum(jwt->header.json);
		values[3] = JsonbPGetDatum(jwt->payload.json);
		nulls[2] = nulls[3] = false;
	}
	else
	{
		values[1] = CStringGetTextDatum(jose_reason(status));
		nulls[1] = false;
	}
	return form_row(fcinfo, values, nulls);
}

/*
 * jwt_sign(payload jsonb, key text, algorithm text, header jsonb) returns text
 */
Datum
jwt_sign(PG_FUNCTION_ARGS)
{
	const JoseAlg *alg;
	JoseKey    *key;

	for (int i = 0; i < 4; i++)
		if (PG_ARGISNULL(i))
			raise_argument("payload, key, algorithm and header must not be NULL", NULL);
	alg = algorithm_argument(fcinfo, 2);
	key = text_key(fcinfo, alg->family == JOSE_HMAC ? KEY_SECRET : KEY_PRIVATE_PEM);
	PG_RETURN_TEXT_P(jwt_compose(alg, key, NULL, PG_GETARG_JSONB_P(3), PG_GETARG_JSONB_P(0)));
}

/*
 * The key and algorithm of jwt_sign and jws_sign with a JWK; their arguments
 * are payload, key, algorithm, header.
 */
static const JoseAlg *
signing_jwk(FunctionCallInfo fcinfo, Jwk *jwk)
{
	const JoseAlg *alg = algorithm_argument(fcinfo, 2);
	JoseStatus	status;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(3))
		raise_argument("payload, key and header must not be NULL", NULL);
	status = keycache_jwk(key_document_argument(fcinfo, ARG_KEY), NULL, jwk);
	if (status != JOSE_OK)
		jose_raise_document(status);
	if (alg == NULL)
		alg = jwkset_default_alg(jwk);
	if (alg == NULL || !jwk->may_sign || (jwk->alg != NULL && jwk->alg != alg))
		jose_raise_key(JOSE_KEY_MISMATCH);
	return alg;
}

/*
 * jwt_sign(payload jsonb, key jsonb, algorithm text, header jsonb) returns text
 */
Datum
jwt_sign_jwk(PG_FUNCTION_ARGS)
{
	Jwk			jwk;
	const JoseAlg *alg = signing_jwk(fcinfo, &jwk);

	PG_RETURN_TEXT_P(jwt_compose(alg, jwk.key, jwk.kid, PG_GETARG_JSONB_P(3), PG_GETARG_JSONB_P(0)));
}

/*
 * jws_sign(payload bytea, key jsonb, algorithm text, header jsonb) returns text
 *
 * The signature layer alone (RFC 7515 section 5.1), over any bytes.
 */
Datum
jwt_auth_jws_sign(PG_FUNCTION_ARGS)
{
	Jwk			jwk;
	const JoseAlg *alg = signing_jwk(fcinfo, &jwk);
	bytea	   *payload;

	if (toast_raw_datum_size(PG_GETARG_DATUM(0)) > (Size) jwt_auth_max_token_size)
		jose_raise_token(JOSE_TOKEN_TOO_LARGE);
	payload = PG_GETARG_BYTEA_PP(0);
	PG_RETURN_TEXT_P(jws_compose(alg, jwk.key, jwk.kid, NULL, PG_GETARG_JSONB_P(3),
								 VARDATA_ANY(payload), VARSIZE_ANY_EXHDR(payload)));
}

/*
 * jws_verify(token text, key jsonb, algorithms text[]) returns bytea
 */
Datum
jwt_auth_jws_verify(PG_FUNCTION_ARGS)
{
	AlgSet		algorithms = algorithms_argument(fcinfo, ARG_ALGORITHMS);
	Jwt			jwt;
	JoseStatus	status = JOSE_MALFORMED;

	if (PG_ARGISNULL(ARG_KEY))
		raise_argument("key must not be NULL", NULL);
	if (!PG_ARGISNULL(ARG_TOKEN))
		status = jwt_open(PG_GETARG_DATUM(ARG_TOKEN), &jwt);
	if (status == JOSE_OK)
		status = verify_jwk_signature(&jwt, key_document_argument(fcinfo, ARG_KEY), algorithms);
	if (status != JOSE_OK)
		jose_raise_token(status);
	PG_RETURN_BYTEA_P(bytea_copy(jwt.parts.payload, jwt.parts.payload_len));
}

/*
 * jwt_verify(token text, key text, algorithms text[], issuer text,
 *			  audience text, leeway interval, typ text, required text[],
 *			  at_time timestamptz) returns jsonb
 */
Datum
jwt_verify(PG_FUNCTION_ARGS)
{
	Jwt			jwt;
	JoseStatus	status = verify_text(fcinfo, &jwt);

	return payload_or_error(status, &jwt);
}

/*
 * jwt_verify(token text, key jsonb, …) returns jsonb
 */
Datum
jwt_verify_jwk(PG_FUNCTION_ARGS)
{
	Jwt			jwt;
	JoseStatus	status = verify_jwk(fcinfo, &jwt);

	return payload_or_error(status, &jwt);
}

/*
 * jwt_try_verify(token text, key text, …)
 *		returns (valid boolean, error text, header jsonb, payload jsonb)
 */
Datum
jwt_try_verify(PG_FUNCTION_ARGS)
{
	Jwt			jwt;
	JoseStatus	status = verify_text(fcinfo, &jwt);

	return try_result(fcinfo, status, &jwt);
}

/*
 * jwt_try_verify(token text, key jsonb, …)
 */
Datum
jwt_try_verify_jwk(PG_FUNCTION_ARGS)
{
	Jwt			jwt;
	JoseStatus	status = verify_jwk(fcinfo, &jwt);

	return try_result(fcinfo, status, &jwt);
}

/*
 * jwt_decode(token text) returns (header jsonb, payload jsonb, signature bytea)
 *
 * Verifies nothing.
 */
Datum
jwt_decode(PG_FUNCTION_ARGS)
{
	Datum		values[3];
	bool		nulls[3] = {false};
	Jwt			jwt;
	JoseStatus	status = jwt_read_unverified(PG_GETARG_DATUM(0), &jwt);

	if (status != JOSE_OK)
		jose_raise_token(status);

	values[0] = JsonbPGetDatum(jwt.header.json);
	values[1] = JsonbPGetDatum(jwt.payload.json);
	values[2] = PointerGetDatum(bytea_copy(jwt.parts.signature, jwt.parts.signature_len));
	return form_row(fcinfo, values, nulls);
}
