/*
 * password.c
 *	  Password hashes: bcrypt through pgcrypto, in whatever schema it lives.
 *
 * pgcrypto's functions are found by belonging to that extension, never by
 * name and search path.  A password is at most 72 bytes: bcrypt would ignore
 * the rest.
 *
 * Owns also how many sessions hash at once, so that a flood of logins leaves
 * processors to everybody else.  The places are heavyweight locks that no SQL
 * function can take, which an error gives back by itself.
 */
#include "postgres.h"

#include <unistd.h>

#include <openssl/crypto.h>

#include "access/detoast.h"
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/syscache.h"
#include "utils/wait_event.h"

#include "guc.h"
#include "password.h"

#define BCRYPT_MAX_PASSWORD	72
#define BCRYPT_HASH_LEN		60
#define BCRYPT_DIGITS		"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

/* How long a password waits for its turn, and how often it looks. */
#define MAX_WAIT_MS		5000
#define POLL_MS			20

/* Any number that no other extension is likely to use so. */
#define HASH_LOCK_CLASS	0x6A777461

PG_FUNCTION_INFO_V1(jwt_auth_hash_password);
PG_FUNCTION_INFO_V1(jwt_auth_verify_password);

/*
 * Whether the function has this name and these two types of argument, and is
 * in C.  Whoever owns pgcrypto, which need not be a superuser, can add another
 * function of that name to it; but none in C.
 */
static bool
is_function(Oid oid, const char *name, Oid first, Oid second)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(oid));
	Form_pg_proc proc;
	bool		same;

	if (!HeapTupleIsValid(tuple))
		return false;
	proc = (Form_pg_proc) GETSTRUCT(tuple);
	same = strcmp(NameStr(proc->proname), name) == 0 && proc->prolang == ClanguageId &&
		proc->pronargs == 2 &&
		proc->proargtypes.values[0] == first && proc->proargtypes.values[1] == second;
	ReleaseSysCache(tuple);
	return same;
}

/* The function of pgcrypto with this name and these arguments. */
static Oid
pgcrypto_function(const char *name, Oid first, Oid second)
{
	Relation	depend = table_open(DependRelationId, AccessShareLock);
	Oid			found = InvalidOid;
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&keys[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(ExtensionRelationId));
	ScanKeyInit(&keys[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(get_extension_oid("pgcrypto", false)));
	scan = systable_beginscan(depend, DependReferenceIndexId, true, NULL, 2, keys);
	while (!OidIsValid(found) && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend entry = (Form_pg_depend) GETSTRUCT(tuple);

		if (entry->deptype == DEPENDENCY_EXTENSION && entry->classid == ProcedureRelationId &&
			is_function(entry->objid, name, first, second))
			found = entry->objid;
	}
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
	if (!OidIsValid(found))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("extension \"pgcrypto\" has no function %s", name)));
	return found;
}

static int
hash_places(void)
{
	if (jwt_auth_max_concurrent_hashes > 0)
		return jwt_auth_max_concurrent_hashes;
	return Max((int) sysconf(_SC_NPROCESSORS_ONLN) / 4, 1);
}

/* Takes one of the places, or raises after a while in which none is free. */
void
password_take_place(LOCKTAG *place)
{
	for (int waited = 0; waited < MAX_WAIT_MS; waited += POLL_MS)
	{
		for (int i = 0; i < hash_places(); i++)
		{
			/* the last field tells these from the locks of pg_advisory_lock */
			SET_LOCKTAG_ADVISORY(*place, InvalidOid, HASH_LOCK_CLASS, i, 3);
			if (LockAcquire(place, ExclusiveLock, false, true) == LOCKACQUIRE_OK)
				return;
		}
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, POLL_MS, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	ereport(ERROR,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("too many passwords are being hashed"),
			 errhint("Try again later, or raise \"jwt_auth.max_concurrent_hashes\".")));
}

/* Gives it back, as an error does by itself. */
void
password_leave_place(LOCKTAG *place)
{
	LockRelease(place, ExclusiveLock, false);
}

static char *
bcrypt(const char *password, const char *setting)
{
	Oid			crypt = pgcrypto_function("crypt", TEXTOID, TEXTOID);
	LOCKTAG		place;
	Datum		hash;

	password_take_place(&place);
	hash = OidFunctionCall2(crypt, CStringGetTextDatum(password), CStringGetTextDatum(setting));
	password_leave_place(&place);
	return TextDatumGetCString(hash);
}

static char *
new_setting(int cost)
{
	Oid			gen_salt = pgcrypto_function("gen_salt", TEXTOID, INT4OID);

	return TextDatumGetCString(OidFunctionCall2(gen_salt, CStringGetTextDatum("bf"),
												Int32GetDatum(cost)));
}

/*
 * A stored hash as pgcrypto reads it, or NULL if it is not a bcrypt hash whose
 * cost is bearable.  $2b$ and $2y$ are what $2a$ means today, but pgcrypto
 * takes them for something else.
 */
static char *
usable_hash(const char *hash)
{
	char	   *copy;
	int			cost;

	if (strlen(hash) != BCRYPT_HASH_LEN || hash[0] != '$' || hash[1] != '2' ||
		strchr("aby", hash[2]) == NULL || hash[3] != '$' || hash[6] != '$' ||
		strspn(hash + 4, "0123456789") != 2 || strspn(hash + 7, BCRYPT_DIGITS) != BCRYPT_HASH_LEN - 7)
		return NULL;
	cost = atoi(hash + 4);
	if (cost < 4 || cost > BCRYPT_MAX_COST)
		return NULL;
	copy = pstrdup(hash);
	copy[2] = 'a';
	return copy;
}

/*
 * _hash_password(password text) returns text
 */
Datum
jwt_auth_hash_password(PG_FUNCTION_ARGS)
{
	char	   *password = text_to_cstring(PG_GETARG_TEXT_PP(0));

	if (password[0] == '\0' || strlen(password) > BCRYPT_MAX_PASSWORD)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("password must have between 1 and %d bytes", BCRYPT_MAX_PASSWORD)));
	PG_RETURN_TEXT_P(cstring_to_text(bcrypt(password, new_setting(jwt_auth_bcrypt_cost))));
}

/*
 * _verify_password(password text, hash text) returns boolean
 *
 * hash may be NULL, for a user that does not exist or has no password: the
 * same work is done, and the answer is no.
 */
Datum
jwt_auth_verify_password(PG_FUNCTION_ARGS)
{
	char	   *password;
	char	   *stored = NULL;
	char	   *computed;

	if (PG_ARGISNULL(0) ||
		toast_raw_datum_size(PG_GETARG_DATUM(0)) > VARHDRSZ + BCRYPT_MAX_PASSWORD)
		PG_RETURN_BOOL(false);
	password = text_to_cstring(PG_GETARG_TEXT_PP(0));
	if (password[0] == '\0')
		PG_RETURN_BOOL(false);
	if (!PG_ARGISNULL(1))
		stored = usable_hash(text_to_cstring(PG_GETARG_TEXT_PP(1)));

	computed = bcrypt(password, stored != NULL ? stored : new_setting(jwt_auth_bcrypt_cost));
	PG_RETURN_BOOL(stored != NULL && strlen(computed) == BCRYPT_HASH_LEN &&
				   CRYPTO_memcmp(computed, stored, BCRYPT_HASH_LEN) == 0);
}
