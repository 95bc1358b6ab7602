/*
 * tables.c
 *	  The extension's own tables, beneath the ACL and the executor.
 *
 * Owns two promises.  What it reads is the newest committed state (and what
 * this transaction did itself), at any isolation level, in parallel workers
 * and on a standby: a revocation counts from its commit on, whatever snapshot
 * the caller's transaction has.  And a copy of a table is dropped before the
 * next statement after a change: the tables that are copied carry a trigger
 * that turns a change of rows into a relcache invalidation.
 *
 * The one change that is made at every turn goes to the table directly, too;
 * what is rare is said in SQL.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "guc.h"
#include "tables.h"

#define AUTH_SCHEMA		"auth"

/* Columns that one update changes. */
#define MAX_UPDATED		5

PG_FUNCTION_INFO_V1(jwt_auth_changed);

static const char *const table_names[AUTH_TABLES] = {
	[TABLE_USERS] = "users",
	[TABLE_REFRESH_TOKENS] = "refresh_tokens",
	[TABLE_CLIENTS] = "clients",
	[TABLE_KEYS] = "keys",
	[TABLE_ISSUERS] = "issuers",
	[TABLE_IDENTITIES] = "identities",
	[TABLE_OUTBOX] = "outbox",
};

/* Columns that somebody has added stay unread. */
static const int table_natts[AUTH_TABLES] = {
	[TABLE_USERS] = USERS_NATTS,
	[TABLE_REFRESH_TOKENS] = SESSIONS_NATTS,
	[TABLE_CLIENTS] = CLIENTS_NATTS,
	[TABLE_KEYS] = KEYS_NATTS,
	[TABLE_ISSUERS] = ISSUERS_NATTS,
	[TABLE_IDENTITIES] = IDENTITIES_NATTS,
	[TABLE_OUTBOX] = OUTBOX_NATTS,
};

uint64		tables_changes;

static Oid	relids[AUTH_TABLES];
static TableCopy *copies[AUTH_TABLES];

static Relation
open_table(AuthTable table, LOCKMODE lockmode)
{
	if (!OidIsValid(relids[table]))
	{
		Oid			schema = get_namespace_oid(AUTH_SCHEMA, true);

		if (OidIsValid(schema))
			relids[table] = get_relname_relid(table_names[table], schema);
		if (!OidIsValid(relids[table]))
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_OBJECT),
					 errmsg("extension \"jwt_auth\" is not installed in this database")));
	}
	return table_open(relids[table], lockmode);
}

static void
read_columns(const TableScan *scan, HeapTuple tuple, Datum *values, bool *nulls)
{
	TupleDesc	desc = RelationGetDescr(scan->rel);
	Datum	   *all_values = palloc(desc->natts * sizeof(Datum));
	bool	   *all_nulls = palloc(desc->natts * sizeof(bool));
	int			natts = table_natts[scan->table];

	heap_deform_tuple(tuple, desc, all_values, all_nulls);
	memcpy(values, all_values, natts * sizeof(Datum));
	memcpy(nulls, all_nulls, natts * sizeof(bool));
	pfree(all_values);
	pfree(all_nulls);
}

/*
 * Begins a walk over all rows.  A NULL snapshot means a catalog snapshot:
 * taken now, registered, and allowed in parallel workers.
 */
void
tables_scan_begin(TableScan *scan, AuthTable table)
{
	AcceptInvalidationMessages();
	scan->table = table;
	scan->rel = open_table(table, AccessShareLock);
	scan->scan = systable_beginscan(scan->rel, InvalidOid, false, NULL, 0, NULL);
}

/* The next row, valid until the next call; false at the end. */
bool
tables_scan_next(TableScan *scan, Datum *values, bool *nulls)
{
	HeapTuple	tuple = systable_getnext(scan->scan);

	if (!HeapTupleIsValid(tuple))
		return false;
	read_columns(scan, tuple, values, nulls);
	return true;
}

void
tables_scan_end(TableScan *scan)
{
	systable_endscan(scan->scan);
	table_close(scan->rel, AccessShareLock);
}

/*
 * The row with this primary key, whose columns are the table's first and of
 * type uuid (text in identities); NULL if there is none.  It is palloc'd, and
 * the values, where they are wanted, point into it.
 */
HeapTuple
tables_fetch(AuthTable table, int nkeys, const Datum *keys, Datum *values, bool *nulls)
{
	ScanKeyData scankeys[2];
	TableScan	scan;
	HeapTuple	tuple;

	AcceptInvalidationMessages();
	scan.table = table;
	scan.rel = open_table(table, AccessShareLock);
	for (int i = 0; i < nkeys; i++)
		ScanKeyInit(&scankeys[i], i + 1, BTEqualStrategyNumber,
					table == TABLE_IDENTITIES ? F_TEXTEQ : F_UUID_EQ, keys[i]);
	scan.scan = systable_beginscan(scan.rel, RelationGetPrimaryKeyIndex(scan.rel, false), true,
								   NULL, nkeys, scankeys);
	tuple = systable_getnext(scan.scan);
	if (HeapTupleIsValid(tuple))
	{
		tuple = heap_copytuple(tuple);
		if (values != NULL)
			read_columns(&scan, tuple, values, nulls);
	}
	tables_scan_end(&scan);
	return tuple;
}

/* The same row as a value of the table's row type; 0 if there is none. */
Datum
tables_fetch_row(AuthTable table, int nkeys, const Datum *keys)
{
	Relation	rel = open_table(table, AccessShareLock);
	HeapTuple	tuple = tables_fetch(table, nkeys, keys, NULL, NULL);
	Datum		row = tuple == NULL ? 0 : heap_copy_tuple_as_datum(tuple, RelationGetDescr(rel));

	table_close(rel, AccessShareLock);
	return row;
}

/* For a row version that is not heap-only. */
static void
insert_index_entries(Relation rel, TupleTableSlot *slot, TU_UpdateIndexes which)
{
	EState	   *estate = CreateExecutorState();
	ResultRelInfo *target = makeNode(ResultRelInfo);

	InitResultRelInfo(target, rel, 0, NULL, 0);
	ExecOpenIndices(target, false);
	jwt_auth_insert_index_entries(target, slot, estate, which);
	ExecCloseIndices(target);
	FreeExecutorState(estate);
}

/*
 * Changes n columns of a row that tables_fetch() has returned; false if it has
 * been changed or deleted since.  Waits for whoever is at it.  As always, where
 * the transaction has one snapshot for all of it, a row that is not as that
 * shows it is a serialization failure.
 *
 * Beneath the executor there are no triggers, and nothing checks constraints:
 * this is for columns that have none.
 */
bool
tables_update(AuthTable table, HeapTuple row, int n, const int *columns, Datum *values)
{
	Relation	rel = open_table(table, RowExclusiveLock);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsHeapTuple);
	Snapshot	crosscheck = IsolationUsesXactSnapshot() ? GetTransactionSnapshot() : InvalidSnapshot;
	int			numbers[MAX_UPDATED];
	bool		nulls[MAX_UPDATED] = {false};
	TM_FailureData failure;
	LockTupleMode lockmode;
	TU_UpdateIndexes indexes;
	TM_Result	result;

	Assert(n <= MAX_UPDATED);
	for (int i = 0; i < n; i++)
		numbers[i] = columns[i] + 1;
	CheckCmdReplicaIdentity(rel, CMD_UPDATE);
	ExecStoreHeapTuple(heap_modify_tuple_by_cols(row, RelationGetDescr(rel), n, numbers, values, nulls),
					   slot, true);
	result = table_tuple_update(rel, &row->t_self, slot, GetCurrentCommandId(true), GetActiveSnapshot(),
								crosscheck, true, &failure, &lockmode, &indexes);
	if (result == TM_Ok && indexes != TU_None)
		insert_index_entries(rel, slot, indexes);
	ExecDropSingleTupleTableSlot(slot);
	table_close(rel, NoLock);

	if (result == TM_Ok)
		return true;
	if (result != TM_Updated && result != TM_Deleted && result != TM_SelfModified)
		elog(ERROR, "unexpected result of table_tuple_update: %d", result);
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent %s",
						result == TM_Deleted ? "delete" : "update")));
	return false;
}

static SPIPlanPtr
prepare(TableCommand *command)
{
	SPIPlanPtr	plan = SPI_prepare(command->text, command->nargs, command->types);

	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	if (SPI_keepplan(plan) != 0)
		elog(ERROR, "SPI_keepplan failed");
	return plan;
}

/*
 * Runs a command: how many rows.  It runs as the owner of the tables, whoever
 * has called, and with the search path that our functions have.  Where it
 * fails, user and search path come back with the transaction.
 */
uint64
tables_run(TableCommand *command, Datum *args)
{
	Relation	rel = open_table(TABLE_USERS, AccessShareLock);
	Oid			owner = rel->rd_rel->relowner;
	Oid			user;
	int			security;
	int			nest_level = NewGUCNestLevel();
	int			result;
	uint64		rows;

	table_close(rel, AccessShareLock);
	GetUserIdAndSecContext(&user, &security);
	SetUserIdAndSecContext(owner, security | SECURITY_LOCAL_USERID_CHANGE);
	guc_pin_search_path();
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (command->plan == NULL)
		command->plan = prepare(command);
	result = SPI_execute_plan(command->plan, args, NULL, false, 0);
	if (result < 0)
		elog(ERROR, "SPI_execute_plan failed: %s", SPI_result_code_string(result));
	rows = SPI_processed;
	SPI_finish();
	AtEOXact_GUC(true, nest_level);
	SetUserIdAndSecContext(user, security);
	return rows;
}

/* Loads a new copy; the old one stays until it is done. */
static void
load_copy(TableCopy *copy)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "jwt_auth table",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	TableScan	scan;
	void	   *rows;

	MemoryContextSetIdentifier(context, copy->name);
	tables_scan_begin(&scan, copy->table);
	rows = copy->load(&scan);
	tables_scan_end(&scan);
	MemoryContextSwitchTo(caller);

	if (copy->context != NULL)
		MemoryContextDelete(copy->context);
	MemoryContextSetParent(context, CacheMemoryContext);
	copy->context = context;
	copy->rows = rows;
}

/*
 * The rows of a copy, which is made anew where the table has changed since; what
 * an earlier call returned may be gone then.
 */
void *
tables_copy(TableCopy *copy)
{
	AcceptInvalidationMessages();
	if (copy->valid)
		return copy->rows;
	copy->valid = true;			/* an invalidation from here on counts */
	PG_TRY();
	{
		load_copy(copy);
	}
	PG_CATCH();
	{
		copy->valid = false;
		PG_RE_THROW();
	}
	PG_END_TRY();
	return copy->rows;
}

/* Called once for a copy: it has to hear of changes. */
void
tables_watch(TableCopy *copy)
{
	copies[copy->table] = copy;
}

static void
on_relcache_invalidation(Datum arg, Oid relid)
{
	for (int i = 0; i < AUTH_TABLES; i++)
		if (relid == InvalidOid || relid == relids[i])
		{
			relids[i] = InvalidOid;
			if (copies[i] != NULL)
			{
				copies[i]->valid = false;
				tables_changes++;
			}
		}
}

/*
 * _changed() returns trigger
 *
 * Tells every backend at commit, and standbys, that the table has changed.
 */
Datum
jwt_auth_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function must be called as a trigger")));
	CacheInvalidateRelcache(trigger->tg_relation);
	PG_RETURN_POINTER(NULL);
}

/* Called once, when the library is loaded. */
void
tables_init(void)
{
	CacheRegisterRelcacheCallback(on_relcache_invalidation, (Datum) 0);
}
