/*
 * tables.c
 *	  The extension's own tables, read beneath the ACL.
 *
 * Owns two promises.  What it reads is the newest committed state (and what
 * this transaction did itself), at any isolation level, in parallel workers
 * and on a standby: a revocation counts from its commit on, whatever snapshot
 * the caller's transaction has.  And a copy of a table is dropped before the
 * next statement after a change: the tables that are copied carry a trigger
 * that turns a change of rows into a relcache invalidation.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "compat.h"
#include "tables.h"

#define AUTH_SCHEMA		"auth"

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
open_table(AuthTable table)
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
	return table_open(relids[table], AccessShareLock);
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
	scan->rel = open_table(table);
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
 * Fetches the row with this primary key, whose columns are the table's first
 * and of type uuid (text in identities).  The values point into palloc'd memory.
 */
bool
tables_fetch(AuthTable table, int nkeys, const Datum *keys, Datum *values, bool *nulls)
{
	ScanKeyData scankeys[2];
	TableScan	scan;
	HeapTuple	tuple;

	AcceptInvalidationMessages();
	scan.table = table;
	scan.rel = open_table(table);
	for (int i = 0; i < nkeys; i++)
		ScanKeyInit(&scankeys[i], i + 1, BTEqualStrategyNumber,
					table == TABLE_IDENTITIES ? F_TEXTEQ : F_UUID_EQ, keys[i]);
	scan.scan = systable_beginscan(scan.rel, RelationGetPrimaryKeyIndex(scan.rel, false), true,
								   NULL, nkeys, scankeys);
	tuple = systable_getnext(scan.scan);
	if (HeapTupleIsValid(tuple))
		read_columns(&scan, heap_copytuple(tuple), values, nulls);
	tables_scan_end(&scan);
	return HeapTupleIsValid(tuple);
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
