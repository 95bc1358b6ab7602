/*
 * keyring.h
 *	  The key ring: the database's own signing and verification keys.
 */
#ifndef JWT_AUTH_KEYRING_H
#define JWT_AUTH_KEYRING_H

#include "postgres.h"

#include "jwt.h"

typedef enum KeyPurpose
{
	PURPOSE_ACCESS,
	PURPOSE_REFRESH,
} KeyPurpose;

extern JoseStatus keyring_check_claims(const ClaimSet *claims, const char *issuer, TimestampTz now);
extern JoseStatus keyring_check(Jwt *jwt, KeyPurpose purpose);
extern JoseStatus keyring_verify(Datum token, KeyPurpose purpose, Jwt *jwt);
extern bool keyring_nothing_wrapped(void);
extern bool keyring_has_foreign_key(void);
extern pg_uuid_t keyring_new_jti(void);
extern text *keyring_sign(KeyPurpose purpose, Jsonb *payload);
extern text *keyring_sign_json(KeyPurpose purpose, StringInfo json, int64 lifetime);
extern void keyring_init(void);

#endif							/* JWT_AUTH_KEYRING_H */
