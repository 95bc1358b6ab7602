/*
 * errors.h
 *	  What an outcome is as an SQL error.
 */
#ifndef JWT_AUTH_ERRORS_H
#define JWT_AUTH_ERRORS_H

#include "postgres.h"

#include "compat.h"
#include "jose.h"

extern const char *jose_reason(JoseStatus status);
extern int	jose_sqlstate(JoseStatus status);
extern const char *jose_message(JoseStatus status);
pg_noreturn extern void jose_raise_token(JoseStatus status);
pg_noreturn extern void jose_raise_key(JoseStatus status);
pg_noreturn extern void jose_raise_document(JoseStatus status);

#endif							/* JWT_AUTH_ERRORS_H */
