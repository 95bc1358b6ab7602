/*
 * keycache.h
 *	  Keys that callers hand over, parsed once for each backend.
 */
#ifndef JWT_AUTH_KEYCACHE_H
#define JWT_AUTH_KEYCACHE_H

#include "postgres.h"

#include "jwkset.h"

/* What the text of a key is taken for. */
typedef enum KeyForm
{
	KEY_SECRET,
	KEY_PRIVATE_PEM,
	KEY_PUBLIC_PEM,
	KEY_JWK,
} KeyForm;

extern JoseStatus keycache_text(KeyForm form, const char *text, size_t len, JoseKey **key);
extern JoseStatus keycache_jwk(Jsonb *document, const char *kid, Jwk *jwk);

#endif							/* JWT_AUTH_KEYCACHE_H */
