/*
 * pgjwt.c
 *	  The functions of the extension jwt_auth_pgjwt, under the names and
 *	  signatures of pgjwt: url_encode and url_decode (which are base64url of
 *	  jwkfuncs.c), algorithm_sign, sign, verify.
 *
 * They sign what pgjwt signs, byte for byte.  They verify strictly: only
 * HMAC, only under the algorithm that the caller names, and "valid" is never
 * NULL.  They use no object of any schema, so that they work wherever they
 * are put.  See docs/pgjwt.md.
 */
#include "postgres.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "access/detoast.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "arguments.h"
#include "base64url.h"
#include "errors.h"
#include "jwt.h"
#include "keycache.h"

PG_FUNCTION_INFO_V1(jwt_auth_pgjwt_algorithm_sign);
PG_FUNCTION_INFO_V1(jwt_auth_pgjwt_sign);
PG_FUNCTION_INFO_V1(jwt_auth_pgjwt_verify);

/* The arguments of algorithm_sign, sign and verify. */
enum
{
	ARG_INPUT,
	ARG_SECRET,
	ARG_ALGORITHM,
};

/* The algorithm that the caller names: an HMAC, or it raises. */
static const JoseAlg *
hmac_argument(FunctionCallInfo fcinfo)
{
	char	   *name = text_argument(fcinfo, ARG_ALGORITHM);
	const JoseAlg *alg = name != NULL ? alg_find(name, strlen(name)) : NULL;

	if (alg == NULL || alg->family != JOSE_HMAC)
		raise_argument("algorithm must be \"HS256\", \"HS384\" or \"HS512\"", NULL);
	return alg;
}

/* Whether a text that begins as JSON is JSON: a secret may well begin so. */
static bool
is_json(const char *text, size_t len)
{
	size_t		start = 0;
	char	   *object;
	ClaimSet	claims;

	while (text[start] != '{' && text[start] != '[')
		start++;
	object = psprintf("{\"a\":%.*s}", (int) (len - start), text + start);
	return claims_parse_text(object, strlen(object), &claims) != JOSE_BAD_JSON;
}

/*
 * Raises where a text cannot be a shared secret.  A public key, which anybody
 * may have, would let anybody sign (RFC 8725 section 2.1).
 */
static void
check_secret(const char *secret, size_t len)
{
	JwkLooks	looks = jwk_looks_like_key(secret, len);

	if (len == 0)
		raise_argument("secret must not be empty", NULL);
	if (looks == JWK_LOOKS_KEY_FILE || (looks == JWK_LOOKS_JSON && is_json(secret, len)))
		raise_argument("a public or private key cannot be used as a shared secret", NULL);
}

/*
 * The key of the secret argument, which is not NULL: its bytes as they are, in
 * the database's encoding, as pgjwt has them.
 *
 * A secret that is shorter than the hash is filled up with zeros.  HMAC does
 * the same with it, up to the hash's block (RFC 2104 section 2), so that the
 * MAC stays what it is, and the rest of the library can keep to RFC 7518
 * section 3.2, which forbids such keys.
 */
static JoseKey *
secret_argument(FunctionCallInfo fcinfo, const JoseAlg *alg)
{
	text	   *secret = key_text_argument(fcinfo, ARG_SECRET);
	const char *bytes = VARDATA_ANY(secret);
	size_t		len = VARSIZE_ANY_EXHDR(secret);
	char		filled[EVP_MAX_MD_SIZE] = {0};
	JoseKey    *key;
	JoseStatus	status;

	check_secret(bytes, len);
	if (len >= alg->digest_len)
		status = keycache_text(KEY_SECRET, bytes, len, &key);
	else
	{
		memcpy(filled, bytes, len);
		status = keycache_text(KEY_SECRET, filled, alg->digest_len, &key);
		OPENSSL_cleanse(filled, sizeof(filled));
	}
	if (status != JOSE_OK)
		jose_raise_key(status);
	return key;
}

/*
 * algorithm_sign(signables text, secret text, algorithm text) returns text
 *
 * The MAC alone, in base64url.  Only a NULL algorithm raises.
 */
Datum
jwt_auth_pgjwt_algorithm_sign(PG_FUNCTION_ARGS)
{
	const JoseAlg *alg;
	text	   *input;
	unsigned char mac[EVP_MAX_MD_SIZE];
	size_t		mac_len = sizeof(mac);
	char		encoded[BASE64URL_ENCODED_LEN(EVP_MAX_MD_SIZE)];
	JoseStatus	status;

	if (PG_ARGISNULL(ARG_INPUT) || PG_ARGISNULL(ARG_SECRET))
		PG_RETURN_NULL();
	alg = hmac_argument(fcinfo);
	input = PG_GETARG_TEXT_PP(ARG_INPUT);
	status = jws_sign(alg, secret_argument(fcinfo, alg), VARDATA_ANY(input), VARSIZE_ANY_EXHDR(input),
					  mac, &mac_len);
	if (status != JOSE_OK)
		jose_raise_key(status);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(encoded, base64url_encode(mac, mac_len, encoded)));
}

/*
 * sign(payload json, secret text, algorithm text) returns text
 *
 * The payload's text goes into the token as it was written, in UTF-8.
 */
Datum
jwt_auth_pgjwt_sign(PG_FUNCTION_ARGS)
{
	const JoseAlg *alg = hmac_argument(fcinfo);
	text	   *payload;
	const char *json;
	size_t		len;
	char	   *utf8;

	if (toast_raw_datum_size(PG_GETARG_DATUM(ARG_INPUT)) > (Size) jwt_auth_max_token_size)
		jose_raise_token(JOSE_TOKEN_TOO_LARGE);
	payload = PG_GETARG_TEXT_PP(ARG_INPUT);
	json = VARDATA_ANY(payload);
	len = VARSIZE_ANY_EXHDR(payload);
	utf8 = pg_server_to_any(json, len, PG_UTF8);
	if (utf8 != json)
		len = strlen(utf8);
	PG_RETURN_TEXT_P(jws_compose(alg, secret_argument(fcinfo, alg), NULL, "JWT", NULL, utf8, len));
}

/*
 * Whether it is now in [nbf, exp), of which either may be missing.  What is
 * there has to be a number (RFC 7519 section 2).
 */
static bool
is_in_time(const ClaimSet *payload)
{
	static const char *const names[] = {[CLAIM_EXP] = "exp",[CLAIM_NBF] = "nbf"};
	int64		now = claims_unix_usec(GetCurrentTimestamp());

	for (size_t i = 0; i < lengthof(names); i++)
		if (!payload->has_date[i] && claims_member(payload->json, names[i]) != NULL)
			return false;
	return !claims_expired(payload, now, 0) &&
		(!payload->has_date[CLAIM_NBF] || payload->date[CLAIM_NBF] <= now);
}

/*
 * Takes the token argument apart and judges it.  Header and payload are filled
 * in where they can be read, whatever the answer is.
 */
static bool
verify_token(FunctionCallInfo fcinfo, Jwt *jwt)
{
	const JoseAlg *alg = hmac_argument(fcinfo);
	JoseKey    *key = PG_ARGISNULL(ARG_SECRET) ? NULL : secret_argument(fcinfo, alg);
	JoseStatus	status;

	if (PG_ARGISNULL(ARG_INPUT))
		return false;
	status = jwt_open(PG_GETARG_DATUM(ARG_INPUT), jwt);
	if (jwt->parts.signing_input == NULL)
		return false;			/* not three segments of base64url */
	if (jwt_read_payload(jwt) != JOSE_OK || status != JOSE_OK)
		return false;
	if (key == NULL || jwt->alg != alg)
		return false;
	status = jwt_verify_signature(jwt, key);
	if (status == JOSE_CRYPTO_FAILURE)
		jose_raise_key(status);
	return status == JOSE_OK && is_in_time(&jwt->payload);
}

static Datum
json_or_null(const ClaimSet *claims, bool *isnull)
{
	*isnull = claims->text == NULL;
	return *isnull ? (Datum) 0 : CStringGetTextDatum(claims->text);
}

/*
 * verify(token text, secret text, algorithm text)
 *		returns table (header json, payload json, valid boolean)
 *
 * Always one row, so that the set is returned as a single value is.  Raises for
 * an algorithm or secret that is no good, and for no token.
 */
Datum
jwt_auth_pgjwt_verify(PG_FUNCTION_ARGS)
{
	Datum		values[3];
	bool		nulls[3] = {false};
	Jwt			jwt = {0};

	values[2] = BoolGetDatum(verify_token(fcinfo, &jwt));
	values[0] = json_or_null(&jwt.header, &nulls[0]);
	values[1] = json_or_null(&jwt.payload, &nulls[1]);
	return form_row(fcinfo, values, nulls);
}
