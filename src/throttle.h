/*
 * throttle.h
 *	  How often passwords have been guessed, in shared memory.
 */
#ifndef JWT_AUTH_THROTTLE_H
#define JWT_AUTH_THROTTLE_H

#include "postgres.h"

#define THROTTLE_KEY_HALF	16

/* By what failures are counted: a keyed hash, in two halves. */
typedef struct ThrottleKey
{
	unsigned char name[THROTTLE_KEY_HALF];
	unsigned char source[THROTTLE_KEY_HALF];	/* zeros for an address */
} ThrottleKey;

/* One password that somebody tries. */
typedef struct Attempt
{
	ThrottleKey account;
	ThrottleKey address;
	bool		has_address;	/* and it is known to be the client's */
	bool		known_there;	/* the account has signed in from there before */
} Attempt;

extern void throttle_attempt(Attempt *attempt, const bytea *identifier, const text *source,
							 const text *network);
extern int	throttle_account_wait(const Attempt *attempt);
extern int	throttle_address_wait(const Attempt *attempt);
extern bool throttle_begin(const Attempt *attempt);
extern void throttle_end(const Attempt *attempt, bool failed);
extern void throttle_init(void);

#endif							/* JWT_AUTH_THROTTLE_H */
