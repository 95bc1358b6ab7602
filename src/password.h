/*
 * password.h
 *	  Password hashes, and whose turn it is to try one.
 */
#ifndef JWT_AUTH_PASSWORD_H
#define JWT_AUTH_PASSWORD_H

#include "postgres.h"

#include "fmgr.h"

#include "throttle.h"

/* Whether a guess, which the caller knows the form of, is right. */
typedef bool (*PasswordCheck) (void *guess);

extern void password_attempt_arguments(FunctionCallInfo fcinfo, Attempt *attempt);
extern bool password_attempt(Attempt *attempt, PasswordCheck is_right, void *guess, int *wait);

#endif							/* JWT_AUTH_PASSWORD_H */
