/*
 * errors.h
 *	  The only place that turns an outcome into an SQL error.
 */
#ifndef JWT_AUTH_ERRORS_H
#define JWT_AUTH_ERRORS_H

#include "postgres.h"

#include "jose.h"

extern const char *jose_reason(JoseStatus status);
extern const char *jose_message(JoseStatus status);
extern void jose_raise_token(JoseStatus status) pg_attribute_noreturn();
extern void jose_raise_key(JoseStatus status) pg_attribute_noreturn();

#endif							/* JWT_AUTH_ERRORS_H */
