/*
 * audit.c
 *	  Events in the server's log.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/jsonb.h"

#include "compat.h"

PG_FUNCTION_INFO_V1(jwt_auth_log_event);

/*
 * _log_event(event jsonb) returns void
 *
 * Goes to no client.  The statement and the context stay out: these may show
 * what was typed.
 */
Datum
jwt_auth_log_event(PG_FUNCTION_ARGS)
{
	Jsonb	   *event = PG_GETARG_JSONB_P(0);

	ereport(LOG_SERVER_ONLY,
			(errmsg_internal("jwt_auth event: %s", JsonbToCString(NULL, &event->root, VARSIZE(event))),
			 errhidestmt(true),
			 errhidecontext(true)));
	PG_RETURN_VOID();
}
