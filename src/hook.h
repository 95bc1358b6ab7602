/*
 * hook.h
 *	  Functions of the application that settings name.
 */
#ifndef JWT_AUTH_HOOK_H
#define JWT_AUTH_HOOK_H

#include "postgres.h"

extern bool hook_is_running(void);
extern void hook_init(void);

#endif							/* JWT_AUTH_HOOK_H */
