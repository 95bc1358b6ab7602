/*
 * jose.h
 *	  Outcomes shared by the whole extension.
 *
 * The server-free core (base64url, numericdate, alg, jwk, jws) returns these
 * and never raises; errors.c alone turns one into an SQL error.
 */
#ifndef JWT_AUTH_JOSE_H
#define JWT_AUTH_JOSE_H

typedef enum JoseStatus
{
	JOSE_OK = 0,

	/* the token is refused; each has a machine-readable reason */
	JOSE_MALFORMED,
	JOSE_BAD_ENCODING,
	JOSE_BAD_JSON,
	JOSE_DUPLICATE_MEMBER,
	JOSE_UNKNOWN_ALGORITHM,
	JOSE_ALGORITHM_NOT_ALLOWED,
	JOSE_KEY_MISMATCH,
	JOSE_UNKNOWN_KID,
	JOSE_UNSUPPORTED_CRITICAL,
	JOSE_BAD_SIGNATURE,
	JOSE_TOKEN_EXPIRED,
	JOSE_TOKEN_NOT_YET_VALID,
	JOSE_ISSUED_IN_FUTURE,
	JOSE_BAD_ISSUER,
	JOSE_BAD_AUDIENCE,
	JOSE_BAD_CLAIM_TYPE,
	JOSE_MISSING_CLAIM,
	JOSE_WRONG_TOKEN_TYPE,
	JOSE_AMBIGUOUS_TOKEN,
	JOSE_SESSION_ENDED,
	JOSE_USER_INACTIVE,
	JOSE_ROLE_NOT_ALLOWED,
	JOSE_BAD_CSRF_TOKEN,
	JOSE_TOKEN_TOO_LARGE,

	/* the key is no good */
	JOSE_BAD_KEY,				/* not a key, or not a valid one */
	JOSE_TOO_MANY_KEYS,			/* in a JWK Set */
	JOSE_DUPLICATE_KID,			/* in a JWK Set */
	JOSE_MIXED_KEYS,			/* a JWK Set of secrets and public keys */
	JOSE_WEAK_KEY,				/* too short, or a bad exponent */
	JOSE_UNSUPPORTED_KEY,		/* a type or curve that no algorithm here uses */
	JOSE_ENCRYPTED_KEY,			/* PEM that wants a passphrase */
	JOSE_NOT_PRIVATE_KEY,		/* signing needs the private half */
	JOSE_PRIVATE_KEY,			/* a private key where a public one is meant */

	JOSE_CRYPTO_FAILURE,		/* OpenSSL failed for no fault of the input */
} JoseStatus;

#endif							/* JWT_AUTH_JOSE_H */
