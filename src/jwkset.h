/*
 * jwkset.h
 *	  JWK and JWK Set documents (RFC 7517) as jsonb.
 */
#ifndef JWT_AUTH_JWKSET_H
#define JWT_AUTH_JWKSET_H

#include "postgres.h"

#include "utils/jsonb.h"

#include "jwk.h"

/* More keys than any provider publishes; errors.c says how many. */
#define JWKSET_MAX_KEYS		100

/* A JWK with what binds it (RFC 7517 section 4). */
typedef struct Jwk
{
	JoseKey    *key;
	const JoseAlg *alg;			/* "alg", or NULL */
	char	   *kid;			/* "kid", or NULL */
	bool		may_sign;		/* as far as "use" and "key_ops" say */
	bool		may_verify;
	bool		in_set;			/* one key of a JWK Set, which others may well be beside */
} Jwk;

extern JoseStatus jwkset_read(Jsonb *document, const char *kid, Jwk *jwk);
extern bool jwkset_answers_to(const Jwk *jwk, const char *kid);
extern Jsonb *jwkset_write(JoseKey *key, const JoseAlg *alg, const char *kid, bool with_private);
extern const JoseAlg *jwkset_default_alg(const Jwk *jwk);

#endif							/* JWT_AUTH_JWKSET_H */
