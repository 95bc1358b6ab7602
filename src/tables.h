/*
 * tables.h
 *	  The extension's own tables, beneath the ACL and the executor.
 */
#ifndef JWT_AUTH_TABLES_H
#define JWT_AUTH_TABLES_H

#include "postgres.h"

#include "access/genam.h"
#include "access/htup.h"
#include "executor/spi.h"
#include "utils/relcache.h"

typedef enum AuthTable
{
	TABLE_USERS,
	TABLE_REFRESH_TOKENS,
	TABLE_CLIENTS,
	TABLE_KEYS,
	TABLE_ISSUERS,
	TABLE_IDENTITIES,
	TABLE_OUTBOX,
	AUTH_TABLES,
} AuthTable;

/* Columns that C reads, in the order of the install script, from zero. */
enum
{
	USERS_IS_ACTIVE = 5,
	USERS_NATTS = 12,

	SESSIONS_GENERATION = 3,
	SESSIONS_JTI = 4,
	SESSIONS_PREVIOUS_JTI = 5,
	SESSIONS_ROTATED_AT = 7,
	SESSIONS_EXPIRES_AT = 8,
	SESSIONS_SESSION_EXPIRES_AT = 9,
	SESSIONS_REVOKED_AT = 10,
	SESSIONS_REVOKE_REASON = 11,
	SESSIONS_NATTS = 16,

	CLIENTS_CLIENT_ID = 0,
	CLIENTS_AUDIENCE = 1,
	CLIENTS_ACCESS_TOKEN_LIFETIME = 2,
	CLIENTS_REFRESH_TOKEN_LIFETIME = 3,
	CLIENTS_SESSION_LIFETIME = 4,
	CLIENTS_REFRESH_TOKENS = 5,
	CLIENTS_COOKIES = 6,
	CLIENTS_NATTS = 9,

	KEYS_KID = 0,
	KEYS_PURPOSE = 1,
	KEYS_ALGORITHM = 2,
	KEYS_PUBLIC_JWK = 3,
	KEYS_WRAPPED_KEY = 4,
	KEYS_ACTIVATES_AT = 6,
	KEYS_SUPERSEDED_AT = 7,
	KEYS_REVOKED_AT = 8,
	KEYS_LONGEST_LIFETIME = 9,
	KEYS_IMPORTED = 10,
	KEYS_NATTS = 11,

	ISSUERS_ISSUER = 0,
	ISSUERS_JWKS = 1,
	ISSUERS_AUDIENCES = 2,
	ISSUERS_ALGORITHMS = 3,
	ISSUERS_SUBJECT = 4,
	ISSUERS_ROLES = 5,
	ISSUERS_NATTS = 8,

	IDENTITIES_USER_ID = 2,
	IDENTITIES_NATTS = 4,

	OUTBOX_WRAPPED_TOKEN = 4,
	OUTBOX_NATTS = 7,
};

/* A walk over a table as it is committed now. */
typedef struct TableScan
{
	AuthTable	table;
	Relation	rel;
	SysScanDesc scan;
} TableScan;

/*
 * A backend's copy of a whole table.  load reads the rows of a scan that has
 * begun and returns the copy, all in the current memory context.
 */
typedef struct TableCopy
{
	AuthTable	table;
	const char *name;			/* of the memory context */
	void	   *(*load) (TableScan *scan);
	void	   *rows;			/* what load returned last */
	MemoryContext context;		/* where it lives */
	bool		valid;
} TableCopy;

/* A command of ours in SQL, prepared once for each backend. */
typedef struct TableCommand
{
	const char *text;
	int			nargs;
	Oid			types[4];
	SPIPlanPtr	plan;
} TableCommand;

/* Counts the changes of tables with a copy, as far as this backend has heard. */
extern uint64 tables_changes;

extern void tables_scan_begin(TableScan *scan, AuthTable table);
extern bool tables_scan_next(TableScan *scan, Datum *values, bool *nulls);
extern void tables_scan_end(TableScan *scan);
extern HeapTuple tables_fetch(AuthTable table, int nkeys, const Datum *keys, Datum *values, bool *nulls);
extern Datum tables_fetch_row(AuthTable table, int nkeys, const Datum *keys);
extern bool tables_update(AuthTable table, HeapTuple row, int n, const int *columns, Datum *values);
extern uint64 tables_run(TableCommand *command, Datum *args);

extern void *tables_copy(TableCopy *copy);
extern void tables_watch(TableCopy *copy);
extern void tables_init(void);

#endif							/* JWT_AUTH_TABLES_H */
