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
#include "portability/instr_time.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/syscache.h"
#include "utils/wait_event.h"

#include "arguments.h"
#include "guc.h"
#include "password.h"

#define BCRYPT_MAX_PASSWORD	72
#define BCRYPT_HASH_LEN		60
#define BCRYPT_DIGITS		"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

/* How long a password waits for its turn, and at least and at most between looks. */
#define MAX_WAIT_MS		5000
#define MIN_DOZE_MS		20
#define MAX_DOZE_MS		250

/* Any number that no other extension is likely to use so. */
#define HASH_LOCK_CLASS	0x6A777461

/* A place to hash at, and since when. */
typedef struct Turn
{
	LOCKTAG		place;
	instr_time	begins;
	bool		waited;			/* others wanted it, too */
} Turn;

PG_FUNCTION_INFO_V1(jwt_auth_hash_password);
PG_FUNCTION_INFO_V1(jwt_auth_try_password);

/*
 * Whether the function has this name and these two types of argument, returns
 * text, and is in C.  Whoever owns pgcrypto, which need not be a superuser, can add
 * another function of that name to it, but none in C; or rename one of its own, but
 * those that take as much return bytea.
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
		proc->prorettype == TEXTOID && proc->pronargs == 2 &&
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

/*
 * Takes one of so many places if one is free.  Its own is: a credential_check that
 * sets a password is called in one.
 */
static bool
take_place(LOCKTAG *place, int places)
{
	for (int i = 0; i < places; i++)
	{
		/* the last field tells these from the locks of pg_advisory_lock */
		SET_LOCKTAG_ADVISORY(*place, InvalidOid, HASH_LOCK_CLASS, i, 3);
		if (LockAcquire(place, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL)
			return true;
	}
	return false;
}

static void
give_place_back(const LOCKTAG *place)
{
	LockRelease(place, ExclusiveLock, false);
}

/* By a clock that nobody sets: put back, the other one would keep a place for as long. */
static long
milliseconds_since(instr_time start)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, start);
	return (long) INSTR_TIME_GET_MILLISEC(now);
}

static void
doze(long timeout)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, timeout, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/*
 * Waits for a place, and an attempt (NULL: not one that counts) also for those
 * before it.  Returns 0; or no place, but for how many seconds the account is
 * locked.  Raises if its turn has not come after a while.  The longer somebody
 * has waited, the less often they look: many may wait.
 */
static int
take_turn(Turn *turn, const Attempt *attempt)
{
	int			places = hash_places();
	long		waited = 0;
	instr_time	start;

	INSTR_TIME_SET_CURRENT(start);
	turn->waited = false;
	do
	{
		int			wait = attempt != NULL ? throttle_account_wait(attempt) : 0;

		if (wait > 0)
			return wait;
		if (take_place(&turn->place, places))
		{
			INSTR_TIME_SET_CURRENT(turn->begins);
			if (attempt == NULL || throttle_begin(attempt))
				return 0;
			give_place_back(&turn->place);
		}
		turn->waited = true;
		doze(Min(Max(waited / 4, MIN_DOZE_MS), MAX_DOZE_MS));
		waited = milliseconds_since(start);
	} while (waited < MAX_WAIT_MS);
	ereport(ERROR,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("too many passwords are being hashed"),
			 errhint("Try again later, or raise \"jwt_auth.max_concurrent_hashes\".")));
}

/*
 * Where passwords have to wait for a place, it rests after each for half as long
 * as that took: a flood gets two thirds of a processor for each place.
 */
static void
end_turn(const Turn *turn)
{
	long		until = milliseconds_since(turn->begins) * 3 / 2;
	long		left;

	while (turn->waited && (left = until - milliseconds_since(turn->begins)) > 0)
		doze(left);
	give_place_back(&turn->place);
}

static char *
bcrypt(const char *password, const char *setting)
{
	Oid			crypt = pgcrypto_function("crypt", TEXTOID, TEXTOID);

	return TextDatumGetCString(OidFunctionCall2(crypt, CStringGetTextDatum(password),
												CStringGetTextDatum(setting)));
}

static char *
new_setting(int cost)
{
	Oid			gen_salt = pgcrypto_function("gen_salt", TEXTOID, INT4OID);

	return TextDatumGetCString(OidFunctionCall2(gen_salt, CStringGetTextDatum("bf"),
												Int32GetDatum(cost)));
}

static int
cost_of(const char *hash)
{
	return atoi(hash + 4);
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

	if (strlen(hash) != BCRYPT_HASH_LEN || hash[0] != '$' || hash[1] != '2' ||
		strchr("aby", hash[2]) == NULL || hash[3] != '$' || hash[6] != '$' ||
		strspn(hash + 4, "0123456789") != 2 || strspn(hash + 7, BCRYPT_DIGITS) != BCRYPT_HASH_LEN - 7)
		return NULL;
	if (cost_of(hash) < 4 || cost_of(hash) > BCRYPT_MAX_COST)
		return NULL;
	copy = pstrdup(hash);
	copy[2] = 'a';
	return copy;
}

/*
 * Whether the password has this hash, NULL for none.  It costs as much as a hash
 * of bcrypt_cost, at least: what a lower cost lacks to that, 2^c to 2^n, is
 * 2^c + 2^(c+1) + ... + 2^(n-1).
 */
static bool
matches(const char *password, const char *stored)
{
	char	   *computed = bcrypt(password, stored != NULL ? stored : new_setting(jwt_auth_bcrypt_cost));

	if (stored == NULL)
		return false;
	for (int cost = cost_of(stored); cost < jwt_auth_bcrypt_cost; cost++)
		(void) bcrypt(password, new_setting(cost));
	return strlen(computed) == BCRYPT_HASH_LEN && CRYPTO_memcmp(computed, stored, BCRYPT_HASH_LEN) == 0;
}

/*
 * The password as a string, or NULL if nobody's can be like that; a long one is
 * not looked at.
 */
static char *
password_argument(FunctionCallInfo fcinfo, int arg)
{
	char	   *password;

	if (PG_ARGISNULL(arg) ||
		toast_raw_datum_size(PG_GETARG_DATUM(arg)) > VARHDRSZ + BCRYPT_MAX_PASSWORD)
		return NULL;
	password = text_to_cstring(PG_GETARG_TEXT_PP(arg));
	return password[0] != '\0' ? password : NULL;
}

/*
 * _hash_password(password text) returns text
 */
Datum
jwt_auth_hash_password(PG_FUNCTION_ARGS)
{
	char	   *password = password_argument(fcinfo, 0);
	Turn		turn;
	char	   *hash;

	if (password == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("password must have between 1 and %d bytes", BCRYPT_MAX_PASSWORD)));
	(void) take_turn(&turn, NULL);
	hash = bcrypt(password, new_setting(jwt_auth_bcrypt_cost));
	end_turn(&turn);
	PG_RETURN_TEXT_P(cstring_to_text(hash));
}

static void
fail_attempt(int code, Datum attempt)
{
	throttle_end((Attempt *) DatumGetPointer(attempt), true);
}

/* Makes an attempt that has begun; it ends here, whatever happens. */
static bool
is_right_counted(Attempt *attempt, PasswordCheck is_right, void *guess)
{
	bool		right;

	PG_ENSURE_ERROR_CLEANUP(fail_attempt, PointerGetDatum(attempt));
	{
		right = is_right(guess);
	}
	PG_END_ENSURE_ERROR_CLEANUP(fail_attempt, PointerGetDatum(attempt));
	throttle_end(attempt, !right);
	return right;
}

/*
 * Whether a guess is right, once its turn has come; or sets for how many seconds
 * nobody may know.  At a locked address the right one counts where its account
 * has signed in before, and no answer tells whether there is such an account.
 */
bool
password_attempt(Attempt *attempt, PasswordCheck is_right, void *guess, int *wait)
{
	Turn		turn;
	bool		right;

	*wait = take_turn(&turn, attempt);
	if (*wait > 0)
		return false;
	*wait = throttle_address_wait(attempt);
	right = is_right_counted(attempt, is_right, guess);
	end_turn(&turn);
	if (right && attempt->known_there)
		*wait = 0;
	return right && *wait == 0;
}

/* A password, and the hash that it should have: NULL for none. */
typedef struct Guess
{
	const char *password;
	const char *stored;
} Guess;

static bool
guess_matches(void *guess)
{
	return matches(((Guess *) guess)->password, ((Guess *) guess)->stored);
}

/* Who tries, by the arguments identifier_hash, source and network from the third on. */
void
password_attempt_arguments(FunctionCallInfo fcinfo, Attempt *attempt)
{
	if (PG_ARGISNULL(2) || PG_ARGISNULL(3))
		elog(ERROR, "an attempt needs an identifier and a source");
	throttle_attempt(attempt, PG_GETARG_BYTEA_PP(2), PG_GETARG_TEXT_PP(3),
					 PG_ARGISNULL(4) ? NULL : PG_GETARG_TEXT_PP(4));
}

/*
 * _try_password(password text, hash text, identifier_hash bytea, source text,
 *		network text) returns (verified boolean, wait int)
 *
 * hash may be NULL, for a user that does not exist or has no password: the
 * same work is done, and the answer is no.
 */
Datum
jwt_auth_try_password(PG_FUNCTION_ARGS)
{
	Guess		guess = {password_argument(fcinfo, 0), NULL};
	Attempt		attempt;
	Datum		values[2];
	bool		nulls[2] = {false};
	bool		verified = false;
	int			wait = 0;

	if (!PG_ARGISNULL(1))
		guess.stored = usable_hash(text_to_cstring(PG_GETARG_TEXT_PP(1)));
	password_attempt_arguments(fcinfo, &attempt);
	if (guess.password != NULL)
		verified = password_attempt(&attempt, guess_matches, &guess, &wait);
	values[0] = BoolGetDatum(verified);
	nulls[1] = wait == 0;
	values[1] = Int32GetDatum(wait);
	return form_row(fcinfo, values, nulls);
}
