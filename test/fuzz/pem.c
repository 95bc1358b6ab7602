/*
 * pem.c
 *	  Fuzz target: PEM to a key, private and public, and what can be done with
 *	  one.
 *
 * No text is both; a key that can be read can still be read after a line of
 * text and the parameters of a curve, and no longer with text behind it.  See
 * fuzz.h for the form of an input: mutated DER is worth more than mutated
 * base64.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "fuzz.h"

#define BOM			"\xEF\xBB\xBF"
#define BEFORE \
	"text before\n" \
	"-----BEGIN EC PARAMETERS-----\n" \
	"BggqhkjOPQMBBw==\n" \
	"-----END EC PARAMETERS-----\n"
#define ANY_STATUS	UINT64_MAX
#define NO_KEY		(STATUS(BAD_KEY) | STATUS(WEAK_KEY) | STATUS(UNSUPPORTED_KEY) | STATUS(ENCRYPTED_KEY))

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void) argc;
	(void) argv;
	fuzz_start();
	return 0;
}

static JoseStatus
read_pem(bool is_private, const char *pem, size_t len, JoseKey **key)
{
	JoseStatus	status;

	if (is_private)
		status = EXPECT(jwk_from_private_pem(pem, len, key),
						STATUS(OK) | STATUS(NOT_PRIVATE_KEY) | NO_KEY);
	else
		status = EXPECT(jwk_from_public_pem(pem, len, key),
						STATUS(OK) | STATUS(PRIVATE_KEY) | NO_KEY);
	PROPERTY((*key != NULL) == (status == JOSE_OK));
	PROPERTY(status != JOSE_OK || (*key)->is_private == is_private);
	return status;
}

/*
 * What a text says when it stands between two others.
 */
static JoseStatus
status_between(bool is_private, const char *before, const char *pem, size_t len, const char *after)
{
	size_t		total = strlen(before) + len + strlen(after);
	char	   *text = fuzz_allocate(total);
	JoseKey    *key;
	JoseStatus	status;

	memcpy(text, before, strlen(before));
	memcpy(text + strlen(before), pem, len);
	memcpy(text + strlen(before) + len, after, strlen(after));
	status = read_pem(is_private, text, total, &key);
	jwk_free(key);
	free(text);
	return status;
}

static bool
begins_with(const char *text, size_t len, const char *word)
{
	return len >= strlen(word) && memcmp(text, word, strlen(word)) == 0;
}

static void
check_surroundings(bool is_private, const char *pem, size_t len)
{
	PROPERTY(jwk_looks_like_key(pem, len) == JWK_LOOKS_KEY_FILE);
	/* OpenSSL passes over a byte order mark, but at the very beginning alone */
	PROPERTY(begins_with(pem, len, BOM) ||
			 status_between(is_private, BEFORE, pem, len, "\n \t\r\n") == JOSE_OK);
	PROPERTY(status_between(is_private, "", pem, len, "\ntext behind") == JOSE_BAD_KEY);
}

static bool
is_space(const char *text, size_t len)
{
	return len > 0 && *text != '\0' && strchr(" \t\n\v\f\r", *text) != NULL;
}

/*
 * Bytes of the white space and byte order marks in front.
 */
static size_t
space_before(const char *text, size_t len)
{
	size_t		i = 0;

	while (is_space(text + i, len - i) || begins_with(text + i, len - i, BOM))
		i += is_space(text + i, len - i) ? 1 : strlen(BOM);
	return i;
}

/*
 * Whether the name of an OpenSSH key's type begins here.
 */
static bool
is_ssh_type(const char *text, size_t len)
{
	static const char *const types[] = {"ssh-", "sk-ssh-", "ecdsa-sha2-", "sk-ecdsa-sha2-"};
	bool		found = false;

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		found = found || begins_with(text, len, types[i]);
	return found;
}

/*
 * What jwk_looks_like_key has to say.
 */
static JwkLooks
looks_like(const char *text, size_t len)
{
	size_t		start = space_before(text, len);

	if (is_ssh_type(text + start, len - start))
		return JWK_LOOKS_KEY_FILE;
	for (size_t i = 0; i < len; i++)
	{
		size_t		end = i;

		if (begins_with(text + i, len - i, "-----BEGIN") || begins_with(text + i, len - i, "---- BEGIN"))
			return JWK_LOOKS_KEY_FILE;
		if (i == 0 || !is_space(text + i - 1, 1) || !is_ssh_type(text + i, len - i))
			continue;
		while (end < len && !is_space(text + end, len - end))
			end++;
		end += space_before(text + end, len - end);
		if (begins_with(text + end, len - end, "AAAA"))
			return JWK_LOOKS_KEY_FILE;
	}
	if (begins_with(text + start, len - start, "["))
		start += 1 + space_before(text + start + 1, len - start - 1);
	return begins_with(text + start, len - start, "{") ? JWK_LOOKS_JSON : JWK_LOOKS_PLAIN;
}

/*
 * Holds a text against what may be said of it, as a private and as a public
 * key, and the keys that it gives against what holds of every key.  Returns
 * whether it gave one.
 */
static bool
check_pem(const char *pem, size_t len, const JoseAlg *alg, uint64_t as_private, uint64_t as_public)
{
	JoseKey    *private_key;
	JoseKey    *public_key;
	JoseStatus	private_status = read_pem(true, pem, len, &private_key);
	JoseStatus	public_status = read_pem(false, pem, len, &public_key);
	bool		ok = private_status == JOSE_OK || public_status == JOSE_OK;

	PROPERTY((as_private >> private_status & 1) != 0);
	PROPERTY((as_public >> public_status & 1) != 0);
	PROPERTY(private_status != JOSE_OK || public_status == JOSE_PRIVATE_KEY);
	PROPERTY(public_status != JOSE_OK || private_status == JOSE_NOT_PRIVATE_KEY);
	if (private_status == JOSE_OK)
		fuzz_check_key(private_key, alg);
	if (public_status == JOSE_OK)
		fuzz_check_key(public_key, alg);
	if (ok)
		check_surroundings(private_status == JOSE_OK, pem, len);
	PROPERTY(jwk_looks_like_key(pem, len) == looks_like(pem, len));
	jwk_free(private_key);
	jwk_free(public_key);
	return ok;
}

/*
 * DER under a label; what makes a key does not with one more byte behind it.
 */
static void
check_der(const unsigned char *der, size_t der_len, const JoseAlg *alg, const FuzzLabel *label)
{
	size_t		len;
	char	   *pem = fuzz_pem(label->name, der, der_len, &len);
	unsigned char *longer;

	if (check_pem(pem, len, alg, label->as_private, label->as_public))
	{
		longer = fuzz_allocate(der_len + 1);
		memcpy(longer, der, der_len);
		longer[der_len] = 0;
		OPENSSL_free(pem);
		pem = fuzz_pem(label->name, longer, der_len + 1, &len);
		PROPERTY(!check_pem(pem, len, alg, label->as_private, label->as_public));
		free(longer);
	}
	OPENSSL_free(pem);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input		input = {data, size};
	const JoseAlg *alg = alg_at(fuzz_byte(&input) % 16);
	unsigned int label = fuzz_byte(&input) % (1 + FUZZ_LABELS);
	size_t		len = input.len;
	char	   *text = fuzz_copy(&input, len);

	fuzz_start();
	if (label == 0)
		(void) check_pem(text, len, alg, ANY_STATUS, ANY_STATUS);
	else if (len > 0)
		check_der((unsigned char *) text, len, alg, &fuzz_labels[label - 1]);
	free(text);
	return 0;
}
