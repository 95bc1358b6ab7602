/*
 * masterkey.h
 *	  Wrapping of key material under the master key file.
 */
#ifndef JWT_AUTH_MASTERKEY_H
#define JWT_AUTH_MASTERKEY_H

#include "postgres.h"

extern bytea *masterkey_wrap(const unsigned char *plain, size_t len, const char *context, bool may_create);
extern bool masterkey_unwraps(bytea *wrapped, const char *context);
extern unsigned char *masterkey_unwrap(bytea *wrapped, const char *context, size_t *len);
extern bytea *masterkey_rewrap(bytea *wrapped, const char *context);

#endif							/* JWT_AUTH_MASTERKEY_H */
