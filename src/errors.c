/*
 * errors.c
 *	  SQL errors for the outcomes of jose.h.
 *
 * A message says what is wrong with a token or key and never holds any of it.
 * Refused tokens carry their reason in DETAIL, for programs.
 */
#include "postgres.h"

#include "errors.h"

typedef struct ErrorText
{
	int			sqlstate;
	const char *reason;			/* NULL for keys: no program decides on it */
	const char *message;
} ErrorText;

#define REFUSED	ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION

static const ErrorText error_texts[] = {
	[JOSE_OK] = {ERRCODE_SUCCESSFUL_COMPLETION, NULL, "ok"},
	[JOSE_MALFORMED] = {REFUSED, "malformed", "token is malformed"},
	[JOSE_BAD_ENCODING] = {REFUSED, "bad_encoding", "token is not strict base64url"},
	[JOSE_BAD_JSON] = {REFUSED, "bad_json", "token does not hold a valid JSON object"},
	[JOSE_DUPLICATE_MEMBER] = {REFUSED, "duplicate_member", "token holds a member twice"},
	[JOSE_UNKNOWN_ALGORITHM] = {REFUSED, "unknown_algorithm", "token names an unknown algorithm"},
	[JOSE_ALGORITHM_NOT_ALLOWED] = {REFUSED, "algorithm_not_allowed", "token uses an algorithm that is not allowed"},
	[JOSE_KEY_MISMATCH] = {REFUSED, "key_mismatch", "token uses an algorithm that does not fit the key"},
	[JOSE_UNKNOWN_KID] = {REFUSED, "unknown_kid", "token names no known key"},
	[JOSE_UNSUPPORTED_CRITICAL] = {REFUSED, "unsupported_critical", "token demands an extension that is not supported"},
	[JOSE_BAD_SIGNATURE] = {REFUSED, "bad_signature", "token signature does not verify"},
	[JOSE_TOKEN_EXPIRED] = {REFUSED, "token_expired", "token has expired"},
	[JOSE_TOKEN_NOT_YET_VALID] = {REFUSED, "token_not_yet_valid", "token is not valid yet"},
	[JOSE_ISSUED_IN_FUTURE] = {REFUSED, "issued_in_future", "token was issued in the future"},
	[JOSE_BAD_ISSUER] = {REFUSED, "bad_issuer", "token has the wrong issuer"},
	[JOSE_BAD_AUDIENCE] = {REFUSED, "bad_audience", "token is meant for another audience"},
	[JOSE_BAD_CLAIM_TYPE] = {REFUSED, "bad_claim_type", "token has a registered claim of the wrong type"},
	[JOSE_MISSING_CLAIM] = {REFUSED, "missing_claim", "token lacks a required claim"},
	[JOSE_WRONG_TOKEN_TYPE] = {REFUSED, "wrong_token_type", "token is of the wrong type"},
	[JOSE_AMBIGUOUS_TOKEN] = {REFUSED, "ambiguous_token", "request carries more than one token"},
	[JOSE_SESSION_ENDED] = {REFUSED, "session_ended", "session of the token has ended"},
	[JOSE_USER_INACTIVE] = {REFUSED, "user_inactive", "user of the token is gone or disabled"},
	[JOSE_ROLE_NOT_ALLOWED] = {REFUSED, "role_not_allowed", "token names no role that it may be served with"},
	[JOSE_BAD_CSRF_TOKEN] = {REFUSED, "bad_csrf_token", "request lacks the CSRF token of its session"},
	[JOSE_TOKEN_TOO_LARGE] = {ERRCODE_PROGRAM_LIMIT_EXCEEDED, "token_too_large", "token is too large"},

	[JOSE_BAD_KEY] = {ERRCODE_INVALID_PARAMETER_VALUE, NULL, "key is not valid"},
	[JOSE_TOO_MANY_KEYS] = {ERRCODE_INVALID_PARAMETER_VALUE, NULL, "JWK Set has more than 100 keys"},
	[JOSE_DUPLICATE_KID] = {ERRCODE_INVALID_PARAMETER_VALUE, NULL, "JWK Set has two keys with the same \"kid\""},
	[JOSE_MIXED_KEYS] = {ERRCODE_INVALID_PARAMETER_VALUE, NULL, "JWK Set has secrets beside public keys"},
	[JOSE_WEAK_KEY] = {ERRCODE_INVALID_PARAMETER_VALUE, NULL, "key is too weak for the algorithm"},
	[JOSE_UNSUPPORTED_KEY] = {ERRCODE_FEATURE_NOT_SUPPORTED, NULL, "type of key is not supported"},
	[JOSE_ENCRYPTED_KEY] = {ERRCODE_INVALID_PARAMETER_VALUE, NULL, "key is encrypted"},
	[JOSE_NOT_PRIVATE_KEY] = {ERRCODE_INVALID_PARAMETER_VALUE, NULL, "signing needs a private key"},
	[JOSE_PRIVATE_KEY] = {ERRCODE_INVALID_PARAMETER_VALUE, NULL, "verifying needs a public key, not a private one"},
	[JOSE_CRYPTO_FAILURE] = {ERRCODE_INTERNAL_ERROR, NULL, "cryptographic operation failed"},
};

/* The machine-readable reason, such as "token_expired"; NULL where none is. */
const char *
jose_reason(JoseStatus status)
{
	return error_texts[status].reason;
}

int
jose_sqlstate(JoseStatus status)
{
	return error_texts[status].sqlstate;
}

/* The message for a person, without token, key or signature. */
const char *
jose_message(JoseStatus status)
{
	return error_texts[status].message;
}

/* Raises the error of a refused token. */
void
jose_raise_token(JoseStatus status)
{
	const ErrorText *text = &error_texts[status];

	ereport(ERROR,
			(errcode(text->sqlstate),
			 errmsg("%s", text->message),
			 text->reason != NULL ? errdetail("reason: %s", text->reason) : 0));
}

/* Raises the error of a key or algorithm argument that is no good. */
void
jose_raise_key(JoseStatus status)
{
	if (status == JOSE_KEY_MISMATCH)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("algorithm cannot be used with this key")));
	jose_raise_token(status);
}

/*
 * Raises the error of a JWK or JWK Set whose one key is wanted: the same, but a
 * set may have none that is meant, or one that is no good.
 */
void
jose_raise_document(JoseStatus status)
{
	if (status == JOSE_UNKNOWN_KID || status == JOSE_KEY_MISMATCH)
		status = JOSE_BAD_KEY;
	jose_raise_key(status);
}
