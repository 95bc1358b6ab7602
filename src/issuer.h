/*
 * issuer.h
 *	  Outside identity providers whose tokens are accepted.
 */
#ifndef JWT_AUTH_ISSUER_H
#define JWT_AUTH_ISSUER_H

#include "postgres.h"

#include "utils/uuid.h"

#include "guc.h"
#include "jwt.h"

typedef struct Issuer
{
	char	   *name;			/* "iss" */
	Jsonb	   *jwks;			/* its public keys */
	const char **audiences;
	int			naudiences;
	AlgSet		algorithms;		/* 0: what its keys say */
	bool		subject_is_uid; /* else a subject is a user through a link alone */
	const char **roles;			/* that its tokens may name */
	int			nroles;
} Issuer;

extern JoseStatus issuer_verify(Datum token, Jwt *jwt, const Issuer **issuer);
extern bool issuer_uid(const Issuer *issuer, Jsonb *payload, pg_uuid_t *uid);
extern bool issuer_allows_role(const Issuer *issuer, Jsonb *payload);
extern bool issuer_gives_roles(void);
extern void issuer_init(void);

#endif							/* JWT_AUTH_ISSUER_H */
