/*
 * keycache.c
 *	  Keys that callers hand over, parsed once for each backend.
 *
 * Owns a few parsed keys, found again by their whole text and what it is taken
 * for; parsing and checking a key takes up to a thousand times as long as
 * using it.  A key is good until the next call of these functions, which may
 * drop it; keys that are dropped are wiped, and so is the text kept of them.
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
	uint64		used;			/* when it was last asked for */
	Jwk			jwk;			/* of a text key, its key alone */
} Entry;

static Entry entries[MAX_ENTRIES];
static uint64 clock_hand;

/* Compares without telling where two texts differ: other people's are here too. */
static Entry *
find_entry(KeyForm form, const char *text, size_t len)
{
	for (int i = 0; i < MAX_ENTRIES; i++)
	{
		Entry	   *entry = &entries[i];

		if (entry->context != NULL && entry->form == form && entry->len == len &&
			CRYPTO_memcmp(entry->text, text, len) == 0)
		{
			entry->used = ++clock_hand;
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

static JoseStatus
parse_text(KeyForm form, const char *text, size_t len, JoseKey **key)
{
	switch (form)
	{
		case KEY_SECRET:
			return jwk_from_secret((const unsigned char *) text, len, key);
		case KEY_PRIVATE_PEM:
			return jwk_from_private_pem(text, len, key);
		default:
			return jwk_from_public_pem(text, len, key);
	}
}

/* Parses a key into memory of the current context. */
static JoseStatus
parse_key(KeyForm form, const char *text, size_t len, Jsonb *document, const char *kid, Jwk *jwk)
{
	JoseStatus	status;

	if (form == KEY_JWK)
		return jwkset_read(document, kid, jwk);
	status = parse_text(form, text, len, &jwk->key);
	if (status == JOSE_OK)
		jwt_own_key(jwk->key);
	return status;
}

/*
 * Finds or parses a key.  A key that is no good is not remembered; its memory
 * goes with the caller's.
 */
static JoseStatus
lookup(KeyForm form, const char *text, size_t len, Jsonb *document, const char *kid, Jwk *jwk)
{
	Entry	   *entry;
	MemoryContext context;
	MemoryContext caller;
	JoseStatus	status;

	if (len > MAX_TEXT)
		return parse_key(form, text, len, document, kid, jwk);
	entry = find_entry(form, text, len);
	if (entry != NULL)
	{
		*jwk = entry->jwk;
		return JOSE_OK;
	}

	context = AllocSetContextCreate(CurrentMemoryContext, "jwt_auth key", ALLOCSET_SMALL_SIZES);
	caller = MemoryContextSwitchTo(context);
	status = parse_key(form, text, len, document, kid, jwk);
	if (status == JOSE_OK)
	{
		entry = free_entry();
		entry->form = form;
		entry->text = palloc(len);
		memcpy(entry->text, text, len);
		entry->len = len;
		entry->used = ++clock_hand;
		entry->jwk = *jwk;
		MemoryContextSetParent(context, TopMemoryContext);
		entry->context = context;
	}
	MemoryContextSwitchTo(caller);
	return status;
}

/* A secret (in UTF-8), or a key in PEM; fails as the parsers of jwk.h do. */
JoseStatus
keycache_text(KeyForm form, const char *text, size_t len, JoseKey **key)
{
	Jwk			jwk = {0};
	JoseStatus	status = lookup(form, text, len, NULL, NULL, &jwk);

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
	size_t		kid_len = kid != NULL ? strlen(kid) + 1 : 0;
	size_t		len = VARSIZE(document) + kid_len;
	char	   *text = palloc(len);
	JoseStatus	status;

	/* a jsonb says how long it is, so that what follows is not taken for it */
	memcpy(text, document, VARSIZE(document));
	if (kid != NULL)
		memcpy(text + VARSIZE(document), kid, kid_len);
	status = lookup(KEY_JWK, text, len, document, kid, jwk);
	OPENSSL_cleanse(text, len);
	return status;
}
