/*
 * verified.c
 *	  Access tokens that this backend has verified.
 *
 * Owns the payloads of a few tokens, so that the next request with the same one
 * costs a hash and no signature.  They are found by the SHA-256 of the whole
 * token, and hold no part of it but its payload.  All are dropped when the keys,
 * issuers or clients change, or a setting does; each counts no longer than its
 * key, and its times are judged anew.  What is not in the token, its session and
 * user, is the caller's to look at, each time.
 */
#include "postgres.h"

#include <openssl/err.h>
#include <openssl/evp.h>

#include "access/detoast.h"
#include "utils/inval.h"
#include "utils/memutils.h"

#include "guc.h"
#include "tables.h"
#include "verified.h"

#define MAX_ENTRIES		64

/* Longer ones, which fit no header of a request, are verified each time. */
#define MAX_TOKEN		(8 * 1024)

#define DIGEST_LEN		32

typedef struct Entry
{
	MemoryContext context;		/* NULL: free */
	unsigned char digest[DIGEST_LEN];
	uint64		used;			/* the count of uses at the last one */
	TimestampTz key_ends;
	const Issuer *issuer;		/* NULL: ours */
	ClaimSet	payload;
} Entry;

static Entry entries[MAX_ENTRIES];
static uint64 uses;

/* The changes that had been counted when the entries were made. */
static uint64 known_changes;

/* SHA-256; false where OpenSSL fails. */
static bool
digest_token(const text *token, unsigned char *digest)
{
	static EVP_MD *md = NULL;
	static EVP_MD_CTX *ctx = NULL;

	if (md == NULL)
		md = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (ctx == NULL)
		ctx = EVP_MD_CTX_new();
	if (md != NULL && ctx != NULL &&
		EVP_DigestInit_ex2(ctx, md, NULL) == 1 &&
		EVP_DigestUpdate(ctx, VARDATA_ANY(token), VARSIZE_ANY_EXHDR(token)) == 1 &&
		EVP_DigestFinal_ex(ctx, digest, NULL) == 1)
		return true;
	ERR_clear_error();
	return false;
}

static void
drop(Entry *entry)
{
	MemoryContextDelete(entry->context);
	entry->context = NULL;
}

/* Grows with each change that this backend has heard of. */
static uint64
count_changes(void)
{
	AcceptInvalidationMessages();
	return guc_changes + tables_changes;
}

static void
drop_outdated(void)
{
	uint64		changes = count_changes();

	for (int i = 0; i < MAX_ENTRIES && changes != known_changes; i++)
		if (entries[i].context != NULL)
			drop(&entries[i]);
	known_changes = changes;
}

static Entry *
find_entry(const unsigned char *digest)
{
	for (int i = 0; i < MAX_ENTRIES; i++)
		if (entries[i].context != NULL && memcmp(entries[i].digest, digest, DIGEST_LEN) == 0)
			return &entries[i];
	return NULL;
}

/* A free place, made by dropping what has not been asked for longest. */
static Entry *
free_entry(void)
{
	Entry	   *oldest = &entries[0];

	for (int i = 0; i < MAX_ENTRIES; i++)
	{
		if (entries[i].context == NULL)
			return &entries[i];
		if (entries[i].used < oldest->used)
			oldest = &entries[i];
	}
	drop(oldest);
	return oldest;
}

/* Keeps a token that has been verified. */
static void
keep(const unsigned char *digest, const Jwt *jwt, const Issuer *issuer)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "jwt_auth token", ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	ClaimSet	payload;
	Entry	   *entry;

	claims_copy(&jwt->payload, &payload);
	MemoryContextSwitchTo(caller);
	MemoryContextSetParent(context, TopMemoryContext);

	entry = free_entry();
	entry->context = context;
	memcpy(entry->digest, digest, DIGEST_LEN);
	entry->used = ++uses;
	entry->key_ends = jwt->key_ends;
	entry->issuer = issuer;
	entry->payload = payload;
}

/* What issuer_verify() would say of a token that it has accepted before. */
static JoseStatus
recall(Entry *entry, TimestampTz now, Jwt *jwt, const Issuer **issuer)
{
	entry->used = ++uses;
	memset(jwt, 0, sizeof(*jwt));
	jwt->payload = entry->payload;
	*issuer = entry->issuer;
	return claims_check_dates(&entry->payload, claims_unix_usec(now), jwt_auth_leeway * USECS_PER_SEC);
}

/*
 * Does what issuer_verify() does; but of *jwt the payload alone is filled for
 * sure, and lasts until the next call.
 */
JoseStatus
verified_token(Datum token, Jwt *jwt, const Issuer **issuer)
{
	unsigned char digest[DIGEST_LEN];
	TimestampTz now;
	Entry	   *entry;
	JoseStatus	status;

	if (toast_raw_datum_size(token) > MAX_TOKEN + VARHDRSZ)
		return issuer_verify(token, jwt, issuer);
	token = PointerGetDatum(DatumGetTextPP(token));
	if (!digest_token((text *) DatumGetPointer(token), digest))
		return issuer_verify(token, jwt, issuer);

	drop_outdated();
	entry = find_entry(digest);
	now = GetCurrentTimestamp();
	if (entry != NULL && now < entry->key_ends)
		return recall(entry, now, jwt, issuer);
	if (entry != NULL)
		drop(entry);
	status = issuer_verify(token, jwt, issuer);
	if (status == JOSE_OK && count_changes() == known_changes)
		keep(digest, jwt, *issuer);
	return status;
}
