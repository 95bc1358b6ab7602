/*
 * onetime.c
 *	  One-time tokens: made, and kept for the mailer.
 *
 * A token is 256 random bits in base64url.  What is kept for checking is the
 * SHA-256 hash of that text; the text itself waits in the outbox, wrapped
 * under the master key and bound to the message's id, and is in the clear in
 * the answer of take_messages() alone.
 */
#include "postgres.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/uuid.h"

#include "arguments.h"
#include "base64url.h"
#include "errors.h"
#include "keyring.h"
#include "masterkey.h"

#define TOKEN_BYTES		32
#define TOKEN_LEN		BASE64URL_ENCODED_LEN(TOKEN_BYTES)
#define TOKEN_HASH_LEN	32

PG_FUNCTION_INFO_V1(jwt_auth_make_token);
PG_FUNCTION_INFO_V1(jwt_auth_token_unwraps);
PG_FUNCTION_INFO_V1(jwt_auth_unwrap_token);
PG_FUNCTION_INFO_V1(jwt_auth_rewrap_token);

/* What the wrapped bytes are bound to; no key's context ends in a uuid. */
static char *
token_context(Datum message_id)
{
	return psprintf("outbox %s", DatumGetCString(DirectFunctionCall1(uuid_out, message_id)));
}

static void
random_token(char *token)
{
	unsigned char bytes[TOKEN_BYTES];

	if (!pg_strong_random(bytes, sizeof(bytes)))
		jose_raise_key(JOSE_CRYPTO_FAILURE);
	base64url_encode(bytes, sizeof(bytes), token);
	OPENSSL_cleanse(bytes, sizeof(bytes));
}

static bytea *
hash_token(const char *token)
{
	bytea	   *hash = palloc(VARHDRSZ + TOKEN_HASH_LEN);

	SET_VARSIZE(hash, VARHDRSZ + TOKEN_HASH_LEN);
	if (EVP_Digest(token, TOKEN_LEN, (unsigned char *) VARDATA(hash), NULL, EVP_sha256(), NULL) != 1)
		jose_raise_key(JOSE_CRYPTO_FAILURE);
	return hash;
}

/*
 * _make_token(message_id uuid) returns (token_hash bytea, wrapped_token bytea)
 */
Datum
jwt_auth_make_token(PG_FUNCTION_ARGS)
{
	char		token[TOKEN_LEN];
	Datum		values[2] = {0};
	bool		nulls[2] = {false, false};

	random_token(token);
	PG_TRY();
	{
		values[0] = PointerGetDatum(hash_token(token));
		values[1] = PointerGetDatum(masterkey_wrap((unsigned char *) token, TOKEN_LEN,
												   token_context(PG_GETARG_DATUM(0)),
												   keyring_nothing_wrapped()));
	}
	PG_FINALLY();
	{
		OPENSSL_cleanse(token, TOKEN_LEN);
	}
	PG_END_TRY();
	return form_row(fcinfo, values, nulls);
}

/*
 * _token_unwraps(message_id uuid, wrapped_token bytea) returns boolean
 */
Datum
jwt_auth_token_unwraps(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(masterkey_unwraps(PG_GETARG_BYTEA_PP(1), token_context(PG_GETARG_DATUM(0))));
}

/*
 * _unwrap_token(message_id uuid, wrapped_token bytea) returns text
 */
Datum
jwt_auth_unwrap_token(PG_FUNCTION_ARGS)
{
	size_t		len;
	unsigned char *token = masterkey_unwrap(PG_GETARG_BYTEA_PP(1), token_context(PG_GETARG_DATUM(0)), &len);

	PG_RETURN_TEXT_P(cstring_to_text_with_len((char *) token, len));
}

/*
 * _rewrap_token(message_id uuid, wrapped_token bytea) returns bytea
 */
Datum
jwt_auth_rewrap_token(PG_FUNCTION_ARGS)
{
	PG_RETURN_BYTEA_P(masterkey_rewrap(PG_GETARG_BYTEA_PP(1), token_context(PG_GETARG_DATUM(0))));
}
