/*
 * base64url.c
 *	  Fuzz target: base64url in both directions.
 *
 * The input is a text to decode, and bytes to encode.  Decoding does what the
 * slow decoder of fuzz.c does; no byte string has two spellings.
 */
#include "base64url.h"

#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

static void
check_decode(const char *text, size_t len)
{
	unsigned char *bytes = fuzz_allocate(BASE64URL_DECODED_LEN(len));
	unsigned char *expected = fuzz_allocate(len);
	char	   *again;
	size_t		bytes_len = SIZE_MAX;
	size_t		expected_len;
	bool		ok = base64url_decode(text, len, bytes, &bytes_len);

	PROPERTY(ok == fuzz_decode(text, len, expected, &expected_len));
	if (ok)
	{
		PROPERTY(bytes_len == expected_len && memcmp(bytes, expected, bytes_len) == 0);
		again = fuzz_allocate(BASE64URL_ENCODED_LEN(bytes_len));
		PROPERTY(base64url_encode(bytes, bytes_len, again) == len);
		PROPERTY(memcmp(again, text, len) == 0);
		free(again);
	}
	else
		PROPERTY(bytes_len == SIZE_MAX);
	free(expected);
	free(bytes);
}

static void
check_encode(const unsigned char *bytes, size_t len)
{
	char	   *text = fuzz_allocate(BASE64URL_ENCODED_LEN(len));
	unsigned char *back = fuzz_allocate(len);
	size_t		text_len = base64url_encode(bytes, len, text);
	size_t		back_len;

	PROPERTY(text_len == BASE64URL_ENCODED_LEN(len));
	PROPERTY(BASE64URL_DECODED_LEN(text_len) == len);
	PROPERTY(base64url_decode(text, text_len, back, &back_len));
	PROPERTY(back_len == len && memcmp(back, bytes, len) == 0);
	free(back);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_decode((const char *) data, size);
	check_encode(data, size);
	return 0;
}
