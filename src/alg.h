/*
 * alg.h
 *	  The one table of signature algorithms (RFC 7518 section 3, RFC 8037,
 *	  RFC 8812, RFC 9864).
 */
#ifndef JWT_AUTH_ALG_H
#define JWT_AUTH_ALG_H

#include <stddef.h>

typedef enum JoseKeyType
{
	JOSE_KTY_OCT,
	JOSE_KTY_RSA,
	JOSE_KTY_EC,
	JOSE_KTY_OKP,
} JoseKeyType;

typedef enum JoseFamily
{
	JOSE_HMAC,
	JOSE_RSA_PKCS1,
	JOSE_RSA_PSS,
	JOSE_ECDSA,
	JOSE_EDDSA,
} JoseFamily;

typedef struct JoseAlg
{
	const char *name;			/* "alg" of the header; compared exactly */
	JoseFamily	family;
	JoseKeyType kty;
	const char *curve;			/* "crv" of the key; NULL: none, or any */
	const char *digest;			/* OpenSSL's name; NULL where it is built in */
	size_t		digest_len;		/* bytes; also the least length of a secret */
	size_t		signature_len;	/* bytes; 0 where it depends on the key */
} JoseAlg;

extern const JoseAlg *alg_find(const char *name, size_t len);
extern const JoseAlg *alg_at(size_t index); /* NULL past the end */

#endif							/* JWT_AUTH_ALG_H */
