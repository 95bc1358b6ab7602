/*
 * jwkfuncs.c
 *	  SQL functions on keys and bytes: jwk_from_pem, jwk_to_pem, jwk_public,
 *	  jwk_thumbprint, jwk_generate, base64url_encode, base64url_decode.  Pure:
 *	  they read no table.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "arguments.h"
#include "base64url.h"
#include "errors.h"
#include "jwkset.h"
#include "jwt.h"

PG_FUNCTION_INFO_V1(jwt_auth_jwk_from_pem);
PG_FUNCTION_INFO_V1(jwt_auth_jwk_to_pem);
PG_FUNCTION_INFO_V1(jwt_auth_jwk_public);
PG_FUNCTION_INFO_V1(jwt_auth_jwk_thumbprint);
PG_FUNCTION_INFO_V1(jwt_auth_jwk_generate);
PG_FUNCTION_INFO_V1(jwt_auth_base64url_encode);
PG_FUNCTION_INFO_V1(jwt_auth_base64url_decode);

static void
raise_unless_ok(JoseStatus status)
{
	if (status != JOSE_OK)
		jose_raise_key(status);
}

static void
jwk_argument(FunctionCallInfo fcinfo, Jwk *jwk)
{
	JoseStatus	status = jwkset_read(key_document_argument(fcinfo, 0), NULL, jwk);

	if (status != JOSE_OK)
		jose_raise_document(status);
}

/*
 * jwk_from_pem(pem text) returns jsonb
 *
 * The JWK of a private key, a public key or a certificate in PEM.
 */
Datum
jwt_auth_jwk_from_pem(PG_FUNCTION_ARGS)
{
	text	   *pem = key_text_argument(fcinfo, 0);
	JoseKey    *key;
	JoseStatus	status;

	status = jwk_from_private_pem(VARDATA_ANY(pem), VARSIZE_ANY_EXHDR(pem), &key);
	if (status == JOSE_NOT_PRIVATE_KEY)
		status = jwk_from_public_pem(VARDATA_ANY(pem), VARSIZE_ANY_EXHDR(pem), &key);
	raise_unless_ok(status);
	jwt_own_key(key);
	PG_RETURN_JSONB_P(jwkset_write(key, NULL, NULL, key->is_private));
}

/*
 * jwk_to_pem(jwk jsonb) returns text
 *
 * PKCS#8 of a private JWK, SubjectPublicKeyInfo of a public one.
 */
Datum
jwt_auth_jwk_to_pem(PG_FUNCTION_ARGS)
{
	Jwk			jwk;
	unsigned char *pem;
	size_t		len;
	text	   *volatile result = NULL;

	jwk_argument(fcinfo, &jwk);
	raise_unless_ok(jwk_to_pem(jwk.key, jwk.key->is_private, &pem, &len));
	PG_TRY();
	{
		result = cstring_to_text_with_len((char *) pem, len);
	}
	PG_FINALLY();
	{
		jwk_free_bytes(pem, len);
	}
	PG_END_TRY();
	PG_RETURN_TEXT_P(result);
}

/*
 * jwk_public(jwk jsonb) returns jsonb
 *
 * The JWK without its private members, and with nothing that we do not know.
 * What it says of its use is "sig", so that a key for anything else is refused.
 */
Datum
jwt_auth_jwk_public(PG_FUNCTION_ARGS)
{
	Jwk			jwk;
	Jsonb	   *public_jwk;

	jwk_argument(fcinfo, &jwk);
	if (!jwk.may_sign && !jwk.may_verify)
		raise_argument("key is not one for signatures", NULL);
	public_jwk = jwkset_write(jwk.key, jwk.alg, jwk.kid, false);
	if (public_jwk == NULL)
		raise_argument("a secret has no public half", NULL);
	PG_RETURN_JSONB_P(public_jwk);
}

/*
 * jwk_thumbprint(jwk jsonb) returns text: RFC 7638, with SHA-256
 */
Datum
jwt_auth_jwk_thumbprint(PG_FUNCTION_ARGS)
{
	Jwk			jwk;
	unsigned char thumbprint[JWK_THUMBPRINT_LEN];
	char		encoded[BASE64URL_ENCODED_LEN(JWK_THUMBPRINT_LEN)];

	jwk_argument(fcinfo, &jwk);
	raise_unless_ok(jwk_thumbprint(jwk.key, thumbprint));
	base64url_encode(thumbprint, sizeof(thumbprint), encoded);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(encoded, sizeof(encoded)));
}

/*
 * jwk_generate(algorithm text, kid text) returns jsonb: a private JWK
 */
Datum
jwt_auth_jwk_generate(PG_FUNCTION_ARGS)
{
	const JoseAlg *alg = algorithm_argument(fcinfo, 0);
	JoseKey    *key;

	if (alg == NULL)
		raise_argument("algorithm must not be NULL", NULL);
	raise_unless_ok(jwk_generate(alg, &key));
	jwt_own_key(key);
	PG_RETURN_JSONB_P(jwkset_write(key, alg, text_argument(fcinfo, 1), true));
}

/*
 * base64url_encode(bytes bytea) returns text
 */
Datum
jwt_auth_base64url_encode(PG_FUNCTION_ARGS)
{
	bytea	   *bytes = PG_GETARG_BYTEA_PP(0);
	size_t		len = VARSIZE_ANY_EXHDR(bytes);
	text	   *encoded;

	if (!AllocSizeIsValid(VARHDRSZ + BASE64URL_ENCODED_LEN(len)))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("result is too large")));
	encoded = palloc(VARHDRSZ + BASE64URL_ENCODED_LEN(len));
	SET_VARSIZE(encoded, VARHDRSZ + BASE64URL_ENCODED_LEN(len));
	base64url_encode((unsigned char *) VARDATA_ANY(bytes), len, VARDATA(encoded));
	PG_RETURN_TEXT_P(encoded);
}

/*
 * base64url_decode(encoded text) returns bytea
 *
 * Strict: no padding, no white space, no trailing bits.
 */
Datum
jwt_auth_base64url_decode(PG_FUNCTION_ARGS)
{
	text	   *encoded = PG_GETARG_TEXT_PP(0);
	size_t		len = VARSIZE_ANY_EXHDR(encoded);
	bytea	   *bytes = palloc(VARHDRSZ + BASE64URL_DECODED_LEN(len) + 1);
	size_t		decoded_len;

	if (!base64url_decode(VARDATA_ANY(encoded), len, (unsigned char *) VARDATA(bytes), &decoded_len))
		raise_argument("text is not strict base64url", NULL);
	SET_VARSIZE(bytes, VARHDRSZ + decoded_len);
	PG_RETURN_BYTEA_P(bytes);
}
