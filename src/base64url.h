/*
 * base64url.h
 *	  Strict base64url (RFC 4648 section 5 as RFC 7515 section 2 uses it).
 */
#ifndef JWT_AUTH_BASE64URL_H
#define JWT_AUTH_BASE64URL_H

#include <stdbool.h>
#include <stddef.h>

/* Characters that encoding len bytes takes; there is no terminating NUL. */
#define BASE64URL_ENCODED_LEN(len)	(((len) / 3) * 4 + ((len) % 3 == 0 ? 0 : (len) % 3 + 1))
/* Bytes that decoding len characters can take at most. */
#define BASE64URL_DECODED_LEN(len)	(((len) / 4) * 3 + ((len) % 4 == 0 ? 0 : (len) % 4 - 1))

extern size_t base64url_encode(const unsigned char *src, size_t len, char *dst);
extern bool base64url_decode(const char *src, size_t len, unsigned char *dst, size_t *dst_len);

#endif							/* JWT_AUTH_BASE64URL_H */
