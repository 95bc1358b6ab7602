/*
 * jwk.h
 *	  Keys: secrets, PEM and JWK members (RFC 7517, RFC 7518 section 6,
 *	  RFC 8037 section 2) to and from OpenSSL keys.
 */
#ifndef JWT_AUTH_JWK_H
#define JWT_AUTH_JWK_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/evp.h>

#include "alg.h"
#include "jose.h"

#define JWK_MIN_RSA_BITS	2048
#define JWK_MAX_RSA_BITS	16384

/* What jws.c sets up once for a key pair and an algorithm, and copies for each token. */
typedef struct JoseSetup
{
	const JoseAlg *alg;			/* the one last used */
	EVP_MD_CTX *ctx;
} JoseSetup;

/* A parsed key.  Made by the functions below, freed by jwk_free alone. */
typedef struct JoseKey
{
	JoseKeyType kty;
	const char *curve;			/* as in JoseAlg; NULL where there is none */
	bool		is_private;		/* can sign; true of every secret */
	EVP_PKEY   *pkey;			/* NULL for a secret */
	unsigned char *secret;		/* NULL but for a secret */
	size_t		secret_len;
	EVP_MAC_CTX *mac;			/* of a secret: keyed context of the algorithm last used */
	const JoseAlg *mac_alg;		/* ... and which that is */
	JoseSetup	signing;		/* of a key pair */
	JoseSetup	verifying;
} JoseKey;

/* The members of a JWK that make up its key; the numbers of RSA stand together. */
typedef enum JwkMember
{
	JWK_KTY,
	JWK_CRV,
	JWK_K,
	JWK_N,
	JWK_E,
	JWK_D,
	JWK_P,
	JWK_Q,
	JWK_DP,
	JWK_DQ,
	JWK_QI,
	JWK_X,
	JWK_Y,
	JWK_MEMBERS,
} JwkMember;

extern const char *const jwk_member_names[JWK_MEMBERS];

/* A string member, of which nothing is said about its end; data is NULL where absent. */
typedef struct JwkText
{
	const char *data;
	size_t		len;
} JwkText;

typedef struct JwkMembers
{
	JwkText		text[JWK_MEMBERS];
} JwkMembers;

/* What a text that is meant as a secret looks like. */
typedef enum JwkLooks
{
	JWK_LOOKS_PLAIN,
	JWK_LOOKS_JSON,				/* begins as a JWK or JWK Set does */
	JWK_LOOKS_KEY_FILE,			/* PEM or SSH */
} JwkLooks;

extern JoseStatus jwk_from_secret(const unsigned char *secret, size_t len, JoseKey **key);
extern JoseStatus jwk_from_private_pem(const char *pem, size_t len, JoseKey **key);
extern JoseStatus jwk_from_public_pem(const char *pem, size_t len, JoseKey **key);
extern JwkLooks jwk_looks_like_key(const char *text, size_t len);
extern JoseStatus jwk_import(const JwkMembers *members, JoseKey **key);
extern JoseStatus jwk_generate(const JoseAlg *alg, JoseKey **key);
extern JoseStatus jwk_check_alg(const JoseKey *key, const JoseAlg *alg);
extern void jwk_free(JoseKey *key);

/* The private half as bytes to be wrapped: PKCS#8 DER, or the secret itself. */
extern JoseStatus jwk_to_bytes(const JoseKey *key, unsigned char **bytes, size_t *len);
extern JoseStatus jwk_from_bytes(const JoseAlg *alg, const unsigned char *bytes, size_t len, JoseKey **key);
extern void jwk_free_bytes(unsigned char *bytes, size_t len);

/* PEM: PKCS#8, or SubjectPublicKeyInfo.  Freed with jwk_free_bytes. */
extern JoseStatus jwk_to_pem(const JoseKey *key, bool with_private, unsigned char **pem, size_t *len);

/* Bytes of a thumbprint: SHA-256. */
#define JWK_THUMBPRINT_LEN	32

extern JoseStatus jwk_thumbprint(const JoseKey *key, unsigned char thumbprint[JWK_THUMBPRINT_LEN]);

extern JoseStatus jwk_export(const JoseKey *key, bool with_private, JwkMembers *out);
extern void jwk_free_export(JwkMembers *out);

#endif							/* JWT_AUTH_JWK_H */
