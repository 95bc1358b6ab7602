/*
 * keycache.c
 *	  Keys that callers hand over, parsed once for each backend.
 *
 * Owns a few parsed keys, found again by their whole text, what it is taken for
 * and, of a JWK Set, the kid; parsing and checking a key takes up to a thousand
 * times as long as using it.  A key is good until the next call of these
 * functions, which may drop it; keys that are dropped are wiped, and so is the
 * text kept of them.
 */
#include "postgres.h"

#include <openssl/crypto.h>

#include "utils/memutils.h"

#include "jwt.h"
#include "keycache.h"

#define MAX_ENTRIES		32

/* Longer texts, which no single key has, are parsed each time. */
#define MAX_TEXT		(64 * 1024)

typedef struct Entry
{
	MemoryContext context;		/* NULL: free */
	KeyForm		form;
	char	   *text;
	size_t		len;
	char	   *kid;			/* that a token names, or NULL */
	uint64		used;			/* the count of uses at the last one */
	Jwk			jwk;			/* of a text key, its key alone */
} Entry;

static Entry entries[MAX_ENTRIES];
static uint64 uses;

/* A single JWK is the same key whatever a token calls it. */
static bool
is_for(const Entry *entry, const char *kid)
{
	if (!entry->jwk.in_set)
		return true;
	if (entry->kid == NULL || kid == NULL)
		return entry->kid == kid;
	return strcmp(entry->kid, kid) == 0;
}

/* Compares without telling where two texts differ: other people's are here too. */
static Entry *
find_entry(KeyForm form, const char *text, size_t len, const char *kid)
{
	for (int i = 0; i < MAX_ENTRIES; i++)
	{
		Entry	   *entry = &entries[i];

		if (entry->context != NULL && entry->form == form && entry->len == len && is_for(entry, kid) &&
			CRYPTO_memcmp(entry->text, text, len) == 0)
		{
			entry->used = ++uses;
			return entry;
		}
	}
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
	OPENSSL_cleanse(oldest->text, oldest->len);
	MemoryContextDelete(oldest->context);
	oldest->context = NULL;
	return oldest;
}

/* Parses a key into memory of the current context. */
static JoseStatus
parse_key(KeyForm form, const char *text, size_t len, const char *kid, Jwk *jwk)
{
	JoseStatus	status = JOSE_BAD_KEY;

	memset(jwk, 0, sizeof(*jwk));
	switch (form)
	{
		case KEY_JWK:
			return jwkset_read((Jsonb *) text, kid, jwk);
		case KEY_SECRET:
			status = jwk_from_secret((const unsigned char *) text, len, &jwk->key);
			break;
		case KEY_PRIVATE_PEM:
			status = jwk_from_private_pem(text, len, &jwk->key);
			break;
		case KEY_PUBLIC_PEM:
			status = jwk_from_public_pem(text, len, &jwk->key);
			break;
	}
	if (status == JOSE_OK)
		jwt_own_key(jwk->key);
	return status;
}

/* Keeps a key that has been parsed into this context, and its text. */
static void
keep(MemoryContext context, KeyForm form, const char *text, size_t len, const char *kid, const Jwk *jwk)
{
	Entry	   *entry = free_entry();

	entry->form = form;
	entry->text = memcpy(MemoryContextAlloc(context, len), text, len);
	entry->len = len;
	entry->kid = kid != NULL ? MemoryContextStrdup(context, kid) : NULL;
	entry->used = ++uses;
	entry->jwk = *jwk;
	MemoryContextSetParent(context, TopMemoryContext);
	entry->context = context;
}

/*
 * Finds or parses a key; text is as aligned as its form wants.  A key that is
 * no good is not remembered; its memory goes with the caller's.
 */
static JoseStatus
lookup(KeyForm form, const char *text, size_t len, const char *kid, Jwk *jwk)
{
	Entry	   *entry;
	MemoryContext context;
	MemoryContext caller;
	JoseStatus	status;

	if (len > MAX_TEXT)
		return parse_key(form, text, len, kid, jwk);
	entry = find_entry(form, text, len, kid);
	if (entry != NULL)
	{
		*jwk = entry->jwk;
		return jwkset_answers_to(jwk, kid) ? JOSE_OK : JOSE_UNKNOWN_KID;
	}

	context = AllocSetContextCreate(CurrentMemoryContext, "jwt_auth key", ALLOCSET_SMALL_SIZES);
	caller = MemoryContextSwitchTo(context);
	status = parse_key(form, text, len, kid, jwk);
	MemoryContextSwitchTo(caller);
	if (status == JOSE_OK)
		keep(context, form, text, len, kid, jwk);
	return status;
}

/* A secret (in UTF-8), or a key in PEM; fails as the parsers of jwk.h do. */
JoseStatus
keycache_text(KeyForm form, const char *text, size_t len, JoseKey **key)
{
	Jwk			jwk;
	JoseStatus	status = lookup(form, text, len, NULL, &jwk);

	*key = jwk.key;
	return status;
}

/*
 * The key that kid, which may be NULL, names in a JWK or JWK Set; fails as
 * jwkset_read does.
 */
JoseStatus
keycache_jwk(Jsonb *document, const char *kid, Jwk *jwk)
{
	return lookup(KEY_JWK, (const char *) document, VARSIZE(document), kid, jwk);
}
