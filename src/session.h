/*
 * session.h
 *	  Verified claims: who is asking, for the rest of this transaction.
 */
#ifndef JWT_AUTH_SESSION_H
#define JWT_AUTH_SESSION_H

#include "postgres.h"

#include "utils/uuid.h"

#include "jwt.h"

/* Who a verified token speaks for. */
typedef struct Identity
{
	bool		outside;		/* of a trusted issuer, not ours */
	bool		has_uid;		/* of a token of ours: once it has been looked at */
	pg_uuid_t	uid;
	bool		has_role;		/* the role that it names counts */
} Identity;

extern JoseStatus session_sign_in(NullableDatum token, bool is_local, Jwt *jwt, Identity *identity);
extern void session_deny(void);
extern void session_init(void);

#endif							/* JWT_AUTH_SESSION_H */
