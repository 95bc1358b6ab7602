/*
 * jwt_auth.c
 *	  The library: its magic block, and the start of each module.
 */
#include "postgres.h"

#include "compat.h"
#include "fmgr.h"

#include "client.h"
#include "guc.h"
#include "hook.h"
#include "issuer.h"
#include "keyring.h"
#include "session.h"
#include "tables.h"
#include "throttle.h"
#include "worker.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

void
_PG_init(void)
{
	guc_init();
	session_init();
	tables_init();
	client_init();
	keyring_init();
	issuer_init();
	hook_init();
	throttle_init();
	worker_init();
	MarkGUCPrefixReserved("jwt_auth");
}
