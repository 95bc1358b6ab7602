/*
 * jwt.h
 *	  A JSON Web Token between its compact text and its claims (RFC 7519).
 */
#ifndef JWT_AUTH_JWT_H
#define JWT_AUTH_JWT_H

#include "postgres.h"

#include "claims.h"
#include "jws.h"

/* A token taken apart: jwt_open, then jwt_verify_signature, then jwt_read_payload. */
typedef struct Jwt
{
	JwsParts	parts;
	const JoseAlg *alg;
	char	   *kid;			/* NULL where absent */
	TimestampTz key_ends;		/* when the key that has verified it stops to; DT_NOEND: never */
	ClaimSet	header;
	ClaimSet	payload;
} Jwt;

extern JoseStatus jwt_open(Datum token, Jwt *jwt);
extern JoseStatus jwt_read_unverified(Datum token, Jwt *jwt);
extern JoseStatus jwt_verify_signature(Jwt *jwt, JoseKey *key);
extern bool jwt_skip_bearer(const char **text, size_t *len);
extern JoseStatus jwt_read_payload(Jwt *jwt);
extern bool jwt_has_typ(const Jwt *jwt, const char *typ);

extern text *jws_compose(const JoseAlg *alg, JoseKey *key, const char *kid, const char *typ,
						 Jsonb *header, const char *payload, size_t len);
extern text *jwt_compose(const JoseAlg *alg, JoseKey *key, const char *kid,
						 Jsonb *header, Jsonb *payload);
extern JoseKey *jwt_own_key(JoseKey *key);

#endif							/* JWT_AUTH_JWT_H */
