/*
 * compat.h
 *	  Differences between PostgreSQL versions, all in one place.
 */
#ifndef JWT_AUTH_COMPAT_H
#define JWT_AUTH_COMPAT_H

#include "postgres.h"

#include "access/tableam.h"
#include "catalog/pg_database.h"
#include "common/jsonapi.h"
#include "executor/executor.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/jsonb.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* 19: jsonb is built in a JsonbInState, which keeps the result */
#if PG_VERSION_NUM < 190000
typedef struct JsonbInState
{
	JsonbParseState *parseState;
	JsonbValue *result;
} JsonbInState;

#define pushJsonbValue(state, token, value) \
	((void) ((state)->result = pushJsonbValue(&(state)->parseState, token, value)))
#endif

/* 18: pg_noreturn comes first, where pg_attribute_noreturn() came last */
#ifndef pg_noreturn
#define pg_noreturn pg_attribute_noreturn()
#endif

/* 18: a deferrable primary key may be asked for too */
#if PG_VERSION_NUM < 180000
#define RelationGetPrimaryKeyIndex(rel, deferrable_ok) RelationGetPrimaryKeyIndex(rel)
#endif

/* 19: an update has options */
#if PG_VERSION_NUM >= 190000
#define table_tuple_update(rel, otid, slot, cid, snapshot, crosscheck, wait, failure, mode, indexes) \
	table_tuple_update(rel, otid, slot, cid, 0, snapshot, crosscheck, wait, failure, mode, indexes)
#endif

/* 16: the new version of a row may need entries in summarizing indexes alone */
#if PG_VERSION_NUM < 160000
#define TU_UpdateIndexes bool
#define TU_None false
#endif

static inline void
jwt_auth_insert_index_entries(ResultRelInfo *target, TupleTableSlot *slot, EState *estate, TU_UpdateIndexes which)
{
#if PG_VERSION_NUM >= 190000
	(void) ExecInsertIndexTuples(target, estate,
								 EIIT_IS_UPDATE | (which == TU_Summarizing ? EIIT_ONLY_SUMMARIZING : 0),
								 slot, NIL, NULL);
#elif PG_VERSION_NUM >= 160000
	(void) ExecInsertIndexTuples(target, slot, estate, true, false, NULL, NIL, which == TU_Summarizing);
#else
	(void) ExecInsertIndexTuples(target, slot, estate, true, false, NULL, NIL);
#endif
}

/* 16: semantic actions of the JSON parser return a status */
#if PG_VERSION_NUM >= 160000
typedef JsonParseErrorType JsonActionResult;
#define JSON_ACTION_RETURN() return JSON_SUCCESS
#else
typedef void JsonActionResult;
#define JSON_ACTION_RETURN() return
#endif

/* 16: what a check hook leaves behind is in the settings' own memory */
#if PG_VERSION_NUM < 160000
#define guc_malloc(elevel, size) malloc(size)
#define guc_free(pointer) free(pointer)
#endif

/* 15.4: a database whose DROP was interrupted is marked */
#ifndef DATCONNLIMIT_INVALID_DB
#define DATCONNLIMIT_INVALID_DB (-2)
#endif

/* 17: the caller may hand over the lexer's memory */
static inline JsonLexContext *
jwt_auth_json_lexer(char *json, int len)
{
#if PG_VERSION_NUM >= 170000
	return makeJsonLexContextCstringLen(NULL, json, len, GetDatabaseEncoding(), true);
#else
	return makeJsonLexContextCstringLen(json, len, GetDatabaseEncoding(), true);
#endif
}

/* 15: a prefix can be reserved, not only complained about; strtoi64 */
#if PG_VERSION_NUM < 150000
#define strtoi64(text, end, base) ((int64) strtoll(text, end, base))
#define MarkGUCPrefixReserved(prefix) EmitWarningsOnPlaceholders(prefix)
#endif

/* 15: shared memory is asked for in a hook of its own */
#if PG_VERSION_NUM >= 150000
#define SET_SHMEM_REQUEST_HOOK(previous, request) \
	((previous) = shmem_request_hook, shmem_request_hook = (request))
#else
typedef void (*shmem_request_hook_type) (void);

#define SET_SHMEM_REQUEST_HOOK(previous, request) ((previous) = NULL, (request) ())
#endif

#endif							/* JWT_AUTH_COMPAT_H */
