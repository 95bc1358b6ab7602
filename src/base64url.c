/*
 * base64url.c
 *	  Strict base64url: RFC 4648 section 5, without padding as RFC 7515
 *	  section 2 has it.
 *
 * Owns the alphabet in both directions.  Guarantees that decoding is the exact
 * inverse of encoding: every byte string has one spelling, and all others
 * (padding, whitespace, the standard alphabet's + and /, unused bits that are
 * not zero, a length of 1 modulo 4) are refused.  A token can therefore not be
 * respelled and stay valid.
 */
#include "base64url.h"

#include <stdint.h>

/* Set in each entry of values[] that stands for a character of the alphabet. */
#define VALID	0x40
#define BITS	0x3F

static const char alphabet[64] = {
	'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M',
	'N', 'O', 'P', 'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z',
	'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm',
	'n', 'o', 'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z',
	'0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '-', '_'
};

/* VALID | value for each character of the alphabet, 0 for any other. */
static const unsigned char values[256] = {
	['A'] = 0x40, ['B'] = 0x41, ['C'] = 0x42, ['D'] = 0x43,
	['E'] = 0x44, ['F'] = 0x45, ['G'] = 0x46, ['H'] = 0x47,
	['I'] = 0x48, ['J'] = 0x49, ['K'] = 0x4A, ['L'] = 0x4B,
	['M'] = 0x4C, ['N'] = 0x4D, ['O'] = 0x4E, ['P'] = 0x4F,
	['Q'] = 0x50, ['R'] = 0x51, ['S'] = 0x52, ['T'] = 0x53,
	['U'] = 0x54, ['V'] = 0x55, ['W'] = 0x56, ['X'] = 0x57,
	['Y'] = 0x58, ['Z'] = 0x59, ['a'] = 0x5A, ['b'] = 0x5B,
	['c'] = 0x5C, ['d'] = 0x5D, ['e'] = 0x5E, ['f'] = 0x5F,
	['g'] = 0x60, ['h'] = 0x61, ['i'] = 0x62, ['j'] = 0x63,
	['k'] = 0x64, ['l'] = 0x65, ['m'] = 0x66, ['n'] = 0x67,
	['o'] = 0x68, ['p'] = 0x69, ['q'] = 0x6A, ['r'] = 0x6B,
	['s'] = 0x6C, ['t'] = 0x6D, ['u'] = 0x6E, ['v'] = 0x6F,
	['w'] = 0x70, ['x'] = 0x71, ['y'] = 0x72, ['z'] = 0x73,
	['0'] = 0x74, ['1'] = 0x75, ['2'] = 0x76, ['3'] = 0x77,
	['4'] = 0x78, ['5'] = 0x79, ['6'] = 0x7A, ['7'] = 0x7B,
	['8'] = 0x7C, ['9'] = 0x7D, ['-'] = 0x7E, ['_'] = 0x7F,
};

/*
 * Writes BASE64URL_ENCODED_LEN(len) characters to dst, no NUL after them, and
 * returns how many that were.
 */
size_t
base64url_encode(const unsigned char *src, size_t len, char *dst)
{
	char	   *out = dst;

	for (; len >= 3; src += 3, len -= 3)
	{
		uint32_t	group = (uint32_t) src[0] << 16 | (uint32_t) src[1] << 8 | src[2];

		*out++ = alphabet[group >> 18];
		*out++ = alphabet[(group >> 12) & BITS];
		*out++ = alphabet[(group >> 6) & BITS];
		*out++ = alphabet[group & BITS];
	}

	if (len > 0)
	{
		uint32_t	group = (uint32_t) src[0] << 16;

		if (len == 2)
			group |= (uint32_t) src[1] << 8;
		*out++ = alphabet[group >> 18];
		*out++ = alphabet[(group >> 12) & BITS];
		if (len == 2)
			*out++ = alphabet[(group >> 6) & BITS];
	}

	return (size_t) (out - dst);
}

/*
 * Decodes the last two or three characters, which make one or two bytes and
 * leave bits over that have to be zero.
 */
static bool
decode_tail(const unsigned char *in, size_t len, unsigned char *out)
{
	unsigned int a = values[in[0]];
	unsigned int b = values[in[1]];
	unsigned int c = len == 3 ? values[in[2]] : VALID;

	if ((a & b & c & VALID) == 0)
		return false;
	if (len == 2 ? (b & 0x0F) != 0 : (c & 0x03) != 0)
		return false;

	out[0] = (unsigned char) ((a & BITS) << 2 | (b & BITS) >> 4);
	if (len == 3)
		out[1] = (unsigned char) ((b & 0x0F) << 4 | (c & BITS) >> 2);
	return true;
}

/*
 * Decodes len characters into dst, which has room for
 * BASE64URL_DECODED_LEN(len) bytes and does not overlap src.  *dst_len is set
 * only on success; on failure the contents of dst are unspecified.
 */
bool
base64url_decode(const char *src, size_t len, unsigned char *dst, size_t *dst_len)
{
	const unsigned char *in = (const unsigned char *) src;
	unsigned char *out = dst;
	unsigned int valid = VALID;
	size_t		tail = len % 4;

	if (tail == 1)
		return false;

	/* A bad character is remembered rather than branched on. */
	for (size_t groups = len / 4; groups > 0; groups--, in += 4, out += 3)
	{
		unsigned int a = values[in[0]];
		unsigned int b = values[in[1]];
		unsigned int c = values[in[2]];
		unsigned int d = values[in[3]];

		valid &= a & b & c & d;
		out[0] = (unsigned char) ((a & BITS) << 2 | (b & BITS) >> 4);
		out[1] = (unsigned char) ((b & 0x0F) << 4 | (c & BITS) >> 2);
		out[2] = (unsigned char) ((c & 0x03) << 6 | (d & BITS));
	}

	if (valid == 0)
		return false;
	if (tail != 0 && !decode_tail(in, tail, out))
		return false;

	*dst_len = BASE64URL_DECODED_LEN(len);
	return true;
}
