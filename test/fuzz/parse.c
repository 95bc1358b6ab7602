/*
 * parse.c
 *	  Fuzz target: the text of a token into its parts.
 *
 * What parses is spelled again as it was, to the last character, and is
 * refused for exactly the reasons that jws_parse names.
 */
#include <stdlib.h>
#include <string.h>

#include "base64url.h"
#include "fuzz.h"

/*
 * Where the text before a dot, or before the end, stops.
 */
static size_t
segment_end(const char *text, size_t len, size_t from)
{
	while (from < len && text[from] != '.')
		from++;
	return from;
}

static JoseStatus
expected(const char *text, size_t len)
{
	size_t		first = segment_end(text, len, 0);
	size_t		second = first < len ? segment_end(text, len, first + 1) : len;
	unsigned char *bytes = fuzz_allocate(len);
	size_t		bytes_len;
	bool		ok;

	if (second == len || segment_end(text, len, second + 1) != len || first == 0 || second + 1 == len)
	{
		free(bytes);
		return JOSE_MALFORMED;
	}
	ok = fuzz_decode(text, first, bytes, &bytes_len) &&
		fuzz_decode(text + first + 1, second - first - 1, bytes, &bytes_len) &&
		fuzz_decode(text + second + 1, len - second - 1, bytes, &bytes_len);
	free(bytes);
	return ok ? JOSE_OK : JOSE_BAD_ENCODING;
}

static void
check_parts(const JwsParts *parts, const char *text, size_t len)
{
	char	   *again = fuzz_allocate(len + 3);
	char	   *end = fuzz_encode(parts->header, parts->header_len, again);

	PROPERTY(parts->header_len > 0 && parts->signature_len > 0);
	*end++ = '.';
	end = fuzz_encode(parts->payload, parts->payload_len, end);
	PROPERTY(parts->signing_input == text);
	PROPERTY(parts->signing_input_len == (size_t) (end - again));
	*end++ = '.';
	end = fuzz_encode(parts->signature, parts->signature_len, end);
	PROPERTY((size_t) (end - again) == len && memcmp(again, text, len) == 0);
	free(again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *) data;
	unsigned char *buf = fuzz_allocate(size);
	JwsParts	parts;

	if (EXPECT(jws_parse(text, size, buf, &parts), UINT64_C(1) << expected(text, size)) == JOSE_OK)
		check_parts(&parts, text, size);
	free(buf);
	return 0;
}
