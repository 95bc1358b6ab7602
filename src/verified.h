/*
 * verified.h
 *	  Access tokens that this backend has verified.
 */
#ifndef JWT_AUTH_VERIFIED_H
#define JWT_AUTH_VERIFIED_H

#include "postgres.h"

#include "issuer.h"

extern JoseStatus verified_token(Datum token, Jwt *jwt, const Issuer **issuer);

#endif							/* JWT_AUTH_VERIFIED_H */
