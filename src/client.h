/*
 * client.h
 *	  Clients: named token policies.
 */
#ifndef JWT_AUTH_CLIENT_H
#define JWT_AUTH_CLIENT_H

#include "postgres.h"

#define DEFAULT_CLIENT	"default"

typedef struct ClientPolicy
{
	char	   *audience;		/* NULL: tokens have none */
	int64		access_token_lifetime;	/* microseconds, all three */
	int64		refresh_token_lifetime;
	int64		session_lifetime;	/* 0: for ever */
	bool		refresh_tokens; /* whether it gets any */
	bool		cookies;		/* whether browsers get them as cookies */
} ClientPolicy;

extern int64 client_interval_usec(Datum interval);
extern bool client_policy(const char *client_id, ClientPolicy *policy);
extern bool client_any_cookies(void);
extern void client_init(void);

#endif							/* JWT_AUTH_CLIENT_H */
