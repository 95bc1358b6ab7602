/*
 * worker.c
 *	  Pruning by itself, where the library is in shared_preload_libraries.
 *
 * A launcher without a database goes through pg_database every
 * jwt_auth.prune_interval and starts one worker after the other, each for one
 * database.  A worker calls auth.prune(), each time in a transaction of its
 * own, until nothing is left, and does nothing where the extension is not
 * installed.  What fails in one database is logged and ends that worker alone.
 *
 * Workers are superusers, so they call no function but the extension's own:
 * anybody can make a schema "auth" with a prune() in it.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/pg_database.h"
#include "catalog/pg_proc.h"
#include "commands/dbcommands.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "nodes/value.h"
#include "parser/parse_func.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/backend_status.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "compat.h"
#include "guc.h"
#include "worker.h"

/* How long a launcher that failed stays away. */
#define RESTART_SECONDS	60

/* The worker gives up on a lock, so that the other databases have their turn. */
#define LOCK_TIMEOUT	"10s"

static const char prune_command[] =
"SELECT coalesce(sum(deleted), 0)::bigint FROM auth.prune()";

/*
 * The databases that a worker can connect to.  Templates are left out: nobody
 * signs in there, and a connection holds up CREATE DATABASE.
 */
static List *
list_databases(void)
{
	MemoryContext caller = CurrentMemoryContext;
	List	   *databases = NIL;
	Relation	rel;
	SysScanDesc scan;
	HeapTuple	tuple;

	StartTransactionCommand();
	rel = table_open(DatabaseRelationId, AccessShareLock);
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_database database = (Form_pg_database) GETSTRUCT(tuple);
		MemoryContext here = MemoryContextSwitchTo(caller);

		if (database->datallowconn && !database->datistemplate &&
			database->datconnlimit != DATCONNLIMIT_INVALID_DB)
			databases = lappend_oid(databases, database->oid);
		MemoryContextSwitchTo(here);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	CommitTransactionCommand();
	MemoryContextSwitchTo(caller);
	return databases;
}

static void
describe_worker(BackgroundWorker *worker, const char *type, const char *function)
{
	memset(worker, 0, sizeof(*worker));
	strlcpy(worker->bgw_name, type, BGW_MAXLEN);
	strlcpy(worker->bgw_type, type, BGW_MAXLEN);
	worker->bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker->bgw_start_time = BgWorkerStart_RecoveryFinished;
	strlcpy(worker->bgw_library_name, "jwt_auth", sizeof(worker->bgw_library_name));
	strlcpy(worker->bgw_function_name, function, sizeof(worker->bgw_function_name));
}

/* Starts a worker for a database and waits for its end; false if there is no room. */
static bool
prune_database(Oid database)
{
	BackgroundWorker worker;
	BackgroundWorkerHandle *handle;

	describe_worker(&worker, "jwt_auth prune worker", "jwt_auth_prune_main");
	snprintf(worker.bgw_name, BGW_MAXLEN, "jwt_auth prune worker for database %u", database);
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_main_arg = ObjectIdGetDatum(database);
	worker.bgw_notify_pid = MyProcPid;
	if (!RegisterDynamicBackgroundWorker(&worker, &handle))
	{
		ereport(LOG,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("could not start a worker to prune jwt_auth's tables"),
				 errhint("You might need to increase \"max_worker_processes\".")));
		return false;
	}
	if (WaitForBackgroundWorkerShutdown(handle) == BGWH_POSTMASTER_DIED)
		proc_exit(1);
	pfree(handle);
	return true;
}

static void
prune_databases(void)
{
	List	   *databases = list_databases();
	ListCell   *cell;

	foreach(cell, databases)
		if (!prune_database(lfirst_oid(cell)))
			break;
	list_free(databases);
}

/* Milliseconds until the next round; -1 for never. */
static long
until_next(TimestampTz last)
{
	if (jwt_auth_prune_interval == 0)
		return -1;
	return TimestampDifferenceMilliseconds(GetCurrentTimestamp(),
										   last + jwt_auth_prune_interval * USECS_PER_SEC);
}

/* Sleeps, or reads the configuration again. */
static void
wait_for(long milliseconds)
{
	(void) WaitLatch(MyLatch,
					 WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (milliseconds >= 0 ? WL_TIMEOUT : 0),
					 milliseconds, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
}

static void
begin_worker(Oid database)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	if (OidIsValid(database))
		BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, 0);
	else
		BackgroundWorkerInitializeConnection(NULL, NULL, 0);
}

/* The launcher, which lives as long as the server. */
void
jwt_auth_launcher_main(Datum arg)
{
	TimestampTz last = 0;

	begin_worker(InvalidOid);
	for (;;)
	{
		long		milliseconds = until_next(last);

		if (milliseconds == 0)
		{
			prune_databases();
			last = GetCurrentTimestamp();
		}
		else
			wait_for(milliseconds);
	}
}

/* Whether auth.prune() is there, and the extension's. */
static bool
is_installed(void)
{
	Oid			extension = get_extension_oid("jwt_auth", true);
	Oid			function;

	if (!OidIsValid(extension))
		return false;
	function = LookupFuncName(list_make2(makeString("auth"), makeString("prune")), 0, NULL, true);
	return OidIsValid(function) && getExtensionOfObject(ProcedureRelationId, function) == extension;
}

/* Whatever a database or role is set to. */
static void
set_our_own(const char *name, const char *value)
{
	SetConfigOption(name, value, PGC_SUSET, PGC_S_OVERRIDE);
}

/* One call of auth.prune(): how many rows it has deleted; 0 where it is not ours. */
static int64
prune_once(void)
{
	int64		deleted = 0;
	bool		isnull;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	if (is_installed())
	{
		pgstat_report_activity(STATE_RUNNING, prune_command);
		if (SPI_connect() != SPI_OK_CONNECT)
			elog(ERROR, "SPI_connect failed");
		if (SPI_execute(prune_command, false, 0) != SPI_OK_SELECT || SPI_processed != 1)
			elog(ERROR, "auth.prune() did not answer");
		deleted = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
		SPI_finish();
	}
	PopActiveSnapshot();
	CommitTransactionCommand();
	pgstat_report_stat(false);
	pgstat_report_activity(STATE_IDLE, NULL);
	return deleted;
}

/* The name of the database that we are in, for as long as we live. */
static char *
current_database(void)
{
	MemoryContext caller = CurrentMemoryContext;
	char	   *name;

	StartTransactionCommand();
	name = MemoryContextStrdup(caller, get_database_name(MyDatabaseId));
	CommitTransactionCommand();
	MemoryContextSwitchTo(caller);
	return name;
}

/* The log has to say where pruning failed. */
static void
add_context(void *database)
{
	errcontext("pruning of database \"%s\"", (char *) database);
}

/* A worker for one database. */
void
jwt_auth_prune_main(Datum arg)
{
	ErrorContextCallback context;

	begin_worker(DatumGetObjectId(arg));
	context.callback = add_context;
	context.arg = current_database();
	context.previous = error_context_stack;
	error_context_stack = &context;
	set_our_own("role", "none");
	set_our_own("search_path", "pg_catalog, pg_temp");
	set_our_own("default_transaction_isolation", "read committed");
	set_our_own("default_transaction_read_only", "false");
	set_our_own("statement_timeout", "0");
	set_our_own("lock_timeout", LOCK_TIMEOUT);
	while (prune_once() > 0)
		CHECK_FOR_INTERRUPTS();
	error_context_stack = context.previous;
}

/* Called once, when the library is loaded; by the postmaster, if at all. */
void
worker_init(void)
{
	BackgroundWorker launcher;

	if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade)
		return;
	describe_worker(&launcher, "jwt_auth prune launcher", "jwt_auth_launcher_main");
	launcher.bgw_restart_time = RESTART_SECONDS;
	RegisterBackgroundWorker(&launcher);
}
