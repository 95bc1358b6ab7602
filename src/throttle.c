/*
 * throttle.c
 *	  How often passwords have been guessed, in shared memory.
 *
 * The table login_failures outlives a restart, but whoever has SQL can roll
 * back what it says.  What is counted here stays: an attempt is noted before
 * its password is hashed, and is a failure unless the password was right,
 * whether it is answered, cancelled or rolled back.  It counts for the account
 * and for the client's address.
 *
 * There is such memory only where the library is in shared_preload_libraries;
 * elsewhere nothing is counted here and nobody waits for it.  It is of fixed
 * size: where a set is full, the counter with the fewest failures gives way, of
 * several the one that would be forgotten first.  Counters are found by a keyed
 * hash, so that nobody can choose names that fall into the set of another.
 *
 * Owns also the rule of how long failures make wait, for the table as well.
 */
#include "postgres.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "guc.h"
#include "throttle.h"

#define SETS	2048
#define WAYS	8

/* So many failures of an address, which many may share, weigh as much as one. */
#define ADDRESS_ALLOWANCE	10

#define TRANCHE	"jwt_auth"

typedef struct Counter
{
	ThrottleKey key;
	TimestampTz forgotten_at;	/* from then on the failures do not count */
	TimestampTz locked_until;
	int			failures;
	int			pending;		/* attempts whose outcome is not known yet */
} Counter;

typedef struct ThrottleMemory
{
	LWLock	   *lock;			/* of all that follows */
	unsigned char secret[32];	/* of the keys; never changes */
	Counter		sets[SETS][WAYS];
} ThrottleMemory;

PG_FUNCTION_INFO_V1(jwt_auth_login_pause);
PG_FUNCTION_INFO_V1(jwt_auth_forget_attempts);

static ThrottleMemory *shared;	/* NULL: not preloaded */
static shmem_request_hook_type previous_request_hook;
static shmem_startup_hook_type previous_startup_hook;

static bool
is_counting(void)
{
	return shared != NULL && jwt_auth_max_failed_logins > 0;
}

/* The first number of failures that makes wait. */
static int
first_pause(void)
{
	return (jwt_auth_max_failed_logins + 1) / 2;
}

/*
 * For how many seconds so many failures make wait: from half of those that lock
 * on the pause doubles, up to all of it.
 */
static int
pause_after(int failures)
{
	int			doublings = failures - first_pause();

	if (jwt_auth_max_failed_logins == 0 || doublings < 0)
		return 0;
	if (failures >= jwt_auth_max_failed_logins || doublings > 16)	/* over a day */
		return jwt_auth_lockout_duration;
	return Min(1 << doublings, jwt_auth_lockout_duration);
}

/* The keyed hash of something of this kind in this database. */
static void
hash_half(unsigned char *half, char kind, const void *data, size_t len)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	StringInfoData input;

	initStringInfo(&input);
	appendStringInfoChar(&input, kind);
	appendBinaryStringInfo(&input, (const char *) &MyDatabaseId, sizeof(MyDatabaseId));
	appendBinaryStringInfo(&input, data, len);
	if (HMAC(EVP_sha256(), shared->secret, sizeof(shared->secret),
			 (unsigned char *) input.data, input.len, digest, NULL) == NULL)
		elog(ERROR, "could not compute a MAC");
	memcpy(half, digest, THROTTLE_KEY_HALF);
	pfree(input.data);
}

static void
hash_name(ThrottleKey *key, char kind, const struct varlena *name)
{
	memset(key, 0, sizeof(*key));
	hash_half(key->name, kind, VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name));
}

static void
hash_source(ThrottleKey *key, const text *source)
{
	hash_half(key->source, 's', VARDATA_ANY(source), VARSIZE_ANY_EXHDR(source));
}

/*
 * Who tries: the identifier's hash, its source as in the table, and the client's
 * network, or NULL where that is not known.
 */
void
throttle_attempt(Attempt *attempt, const bytea *identifier, const text *source, const text *network)
{
	memset(attempt, 0, sizeof(*attempt));
	attempt->known_there = VARSIZE_ANY_EXHDR(source) > 0;
	attempt->has_address = network != NULL;
	if (!is_counting())
		return;
	hash_name(&attempt->account, 'i', identifier);
	hash_source(&attempt->account, source);
	if (network != NULL)
		hash_name(&attempt->address, 'a', network);
}

/* All counters of a name are in one set, whatever their source. */
static Counter *
set_of(const ThrottleKey *key)
{
	uint32		number;

	memcpy(&number, key->name, sizeof(number));
	return shared->sets[number % SETS];
}

static Counter *
find_counter(const ThrottleKey *key)
{
	Counter    *set = set_of(key);

	for (int i = 0; i < WAYS; i++)
		if (memcmp(&set[i].key, key, sizeof(*key)) == 0)
			return &set[i];
	return NULL;
}

static bool
is_stale(const Counter *counter, TimestampTz now)
{
	return Max(counter->forgotten_at, counter->locked_until) <= now;
}

/* What would be lost with a counter. */
static int
weight(const Counter *counter, TimestampTz now)
{
	return counter->pending + (is_stale(counter, now) ? 0 : counter->failures);
}

/* The counter that gives way to another one of its set. */
static Counter *
least_counter(Counter *set, TimestampTz now)
{
	Counter    *least = &set[0];

	for (int i = 1; i < WAYS; i++)
	{
		int			difference = weight(&set[i], now) - weight(least, now);

		if (difference < 0 || (difference == 0 && set[i].forgotten_at < least->forgotten_at))
			least = &set[i];
	}
	return least;
}

/* The counter of this key, a new one where there is none; what is old forgotten. */
static Counter *
take_counter(const ThrottleKey *key, TimestampTz now)
{
	Counter    *counter = find_counter(key);

	if (counter == NULL)
	{
		counter = least_counter(set_of(key), now);
		memset(counter, 0, sizeof(*counter));
		counter->key = *key;
	}
	if (is_stale(counter, now))
		counter->failures = 0;
	return counter;
}

/* For how many seconds this key is locked; 0: not at all. */
static int
seconds_locked(const ThrottleKey *key)
{
	TimestampTz left = 0;
	Counter    *counter;

	LWLockAcquire(shared->lock, LW_SHARED);
	counter = find_counter(key);
	if (counter != NULL)
		left = counter->locked_until - GetCurrentTimestamp();
	LWLockRelease(shared->lock);
	return left > 0 ? (left + USECS_PER_SEC - 1) / USECS_PER_SEC : 0;
}

int
throttle_account_wait(const Attempt *attempt)
{
	return is_counting() ? seconds_locked(&attempt->account) : 0;
}

int
throttle_address_wait(const Attempt *attempt)
{
	return is_counting() && attempt->has_address ? seconds_locked(&attempt->address) : 0;
}

/*
 * Notes an attempt that must end with throttle_end(); false if it may not begin
 * now.  As many may be under way at once as could fail without a pause, and one
 * where there has been a pause already: so they do not outrun the limit, and
 * right passwords do not lock each other out.
 */
bool
throttle_begin(const Attempt *attempt)
{
	TimestampTz now = GetCurrentTimestamp();
	Counter    *counter;
	bool		may;

	if (!is_counting())
		return true;
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	counter = take_counter(&attempt->account, now);
	may = counter->locked_until <= now &&
		(counter->pending == 0 || counter->failures + counter->pending < first_pause());
	if (may)
		counter->pending++;
	LWLockRelease(shared->lock);
	return may;
}

/* One failure more, and what comes of it. */
static void
count_failure(Counter *counter, int allowance, TimestampTz now)
{
	int			pause = pause_after(++counter->failures / allowance);

	if (pause > 0)
		counter->locked_until = now + pause * USECS_PER_SEC;
}

/*
 * An account's failures are forgotten once there has been none for a while.  Of
 * an address there may always be some, so they are forgotten a while after the
 * first one; and while it is locked there are no more.
 */
void
throttle_end(const Attempt *attempt, bool failed)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz forgotten_at = now + jwt_auth_lockout_duration * USECS_PER_SEC;
	Counter    *counter;

	if (!is_counting())
		return;
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	counter = take_counter(&attempt->account, now);
	counter->pending = Max(counter->pending - 1, 0);
	if (failed)
	{
		count_failure(counter, 1, now);
		counter->forgotten_at = forgotten_at;
	}
	if (failed && attempt->has_address)
	{
		counter = take_counter(&attempt->address, now);
		if (counter->failures == 0)
			counter->forgotten_at = forgotten_at;
		if (counter->locked_until <= now)
			count_failure(counter, ADDRESS_ALLOWANCE, now);
	}
	LWLockRelease(shared->lock);
}

/*
 * _login_pause(failures int) returns int
 */
Datum
jwt_auth_login_pause(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(pause_after(PG_GETARG_INT32(0)));
}

/*
 * _forget_attempts(identifier_hash bytea, source text) returns void
 *
 * source may be NULL, for all.
 */
Datum
jwt_auth_forget_attempts(PG_FUNCTION_ARGS)
{
	bool		all = PG_ARGISNULL(1);
	ThrottleKey key;
	Counter    *set;

	if (shared == NULL || PG_ARGISNULL(0))
		PG_RETURN_VOID();
	hash_name(&key, 'i', PG_GETARG_BYTEA_PP(0));
	if (!all)
		hash_source(&key, PG_GETARG_TEXT_PP(1));
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	set = set_of(&key);
	for (int i = 0; i < WAYS; i++)
	{
		if (memcmp(&set[i].key, &key, all ? THROTTLE_KEY_HALF : sizeof(key)) == 0)
		{
			set[i].failures = 0;
			set[i].locked_until = 0;
		}
	}
	LWLockRelease(shared->lock);
	PG_RETURN_VOID();
}

static void
request_memory(void)
{
	if (previous_request_hook != NULL)
		previous_request_hook();
	RequestAddinShmemSpace(sizeof(ThrottleMemory));
	RequestNamedLWLockTranche(TRANCHE, 1);
}

static void
start_memory(void)
{
	bool		found;

	if (previous_startup_hook != NULL)
		previous_startup_hook();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	shared = ShmemInitStruct("jwt_auth throttle", sizeof(ThrottleMemory), &found);
	if (!found)
	{
		memset(shared, 0, sizeof(*shared));
		shared->lock = &GetNamedLWLockTranche(TRANCHE)->lock;
		if (!pg_strong_random(shared->secret, sizeof(shared->secret)))
			elog(FATAL, "could not make random bytes");
	}
	LWLockRelease(AddinShmemInitLock);
}

/* Called once, when the library is loaded. */
void
throttle_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	SET_SHMEM_REQUEST_HOOK(previous_request_hook, request_memory);
	previous_startup_hook = shmem_startup_hook;
	shmem_startup_hook = start_memory;
}
