/*
 * jws.h
 *	  JWS compact serialization (RFC 7515 sections 5 and 7.1): split, sign,
 *	  verify.
 */
#ifndef JWT_AUTH_JWS_H
#define JWT_AUTH_JWS_H

#include <stddef.h>

#include "jwk.h"

/* The longest signature: RSA with JWK_MAX_RSA_BITS. */
#define JWS_MAX_SIGNATURE	(JWK_MAX_RSA_BITS / 8)

/* A token in three decoded pieces, and the text that its signature covers. */
typedef struct JwsParts
{
	const char *signing_input;	/* points into the token */
	size_t		signing_input_len;
	unsigned char *header;		/* these point into the caller's buffer */
	size_t		header_len;
	unsigned char *payload;
	size_t		payload_len;
	unsigned char *signature;
	size_t		signature_len;
} JwsParts;

extern JoseStatus jws_parse(const char *token, size_t len, unsigned char *buf, JwsParts *parts);
extern JoseStatus jws_sign(const JoseAlg *alg, JoseKey *key, const char *input, size_t input_len,
						   unsigned char *signature, size_t *signature_len);
extern JoseStatus jws_verify(const JoseAlg *alg, JoseKey *key, const char *input, size_t input_len,
							 const unsigned char *signature, size_t signature_len);

#endif							/* JWT_AUTH_JWS_H */
