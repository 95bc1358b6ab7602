/*
 * worker.h
 *	  Pruning by itself.
 */
#ifndef JWT_AUTH_WORKER_H
#define JWT_AUTH_WORKER_H

#include "postgres.h"

extern PGDLLEXPORT void jwt_auth_launcher_main(Datum arg);
extern PGDLLEXPORT void jwt_auth_prune_main(Datum arg);

extern void worker_init(void);

#endif							/* JWT_AUTH_WORKER_H */
