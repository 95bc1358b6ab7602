/*
 * jwt_auth.c
 *	  The library: its magic block, and the start of each module.
 */
#include "postgres.h"

#include "access/xact.h"
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

/*
 * A process that is in a parallel operation already would lose all our settings,
 * the issuer as well as a token, and go on with the defaults.
 */
static void
refuse_parallel_mode(void)
{
	if (IsInParallelMode())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("jwt_auth cannot be loaded during a parallel operation"),
				 errhint("Add it to \"session_preload_libraries\".")));
}

void
_PG_init(void)
{
	refuse_parallel_mode();
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
