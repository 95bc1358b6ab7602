/*
 * numericdate.h
 *	  NumericDate (RFC 7519 section 2) read exactly from its JSON text.
 */
#ifndef JWT_AUTH_NUMERICDATE_H
#define JWT_AUTH_NUMERICDATE_H

#include <stddef.h>
#include <stdint.h>

/*
 * Microseconds since the Unix epoch, rounded up and saturating at the ends of
 * int64.  With a clock that ticks in whole microseconds, comparing against the
 * rounded-up value gives the same answer as comparing exactly.
 */
extern int64_t numericdate_parse(const char *number, size_t len);

#endif							/* JWT_AUTH_NUMERICDATE_H */
