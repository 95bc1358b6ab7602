/*
 * numericdate.c
 *	  NumericDate (RFC 7519 section 2) from the text of a JSON number
 *	  (RFC 8259 section 6).
 *
 * Owns the conversion of "exp", "nbf" and "iat" to microseconds.  Guarantees
 * an exact result, rounded up, for any number of digits and any exponent, in
 * time linear in the text: no floating point, nothing wraps, and what lies
 * outside int64 saturates.  Reads never leave the text, whatever it contains:
 * text that is not a number gives the value of what can be read as one at its
 * beginning, and 0 (long past) where nothing can.
 */
#include "numericdate.h"

#include <stdbool.h>

/* Microseconds are seconds shifted by this many decimal places. */
#define MICRO_PLACES	6

/* 10^19 fits into uint64 but exceeds int64: no more digits are ever needed. */
#define MAX_PLACES		19

/* Far beyond any shift that the length of a text could undo. */
#define MAX_EXPONENT	(INT64_MAX / 4)

/*
 * A number as 0.d1 d2 d3 ... times 10^point, d1 being its first digit that is
 * not zero.  Zero has no digits.
 */
typedef struct Decimal
{
	bool		negative;
	const char *digits;			/* from d1 on; may contain the decimal point */
	const char *end;			/* where the digits end */
	int64_t		point;
} Decimal;

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/*
 * Reads the digits around the decimal point; returns where they end.
 */
static const char *
read_mantissa(const char *p, const char *end, Decimal *number)
{
	bool		fraction = false;

	for (; p < end && (is_digit(*p) || (*p == '.' && !fraction)); p++)
	{
		if (*p == '.')
			fraction = true;
		else
		{
			if (number->digits == NULL && *p != '0')
				number->digits = p;
			if (number->digits != NULL && !fraction)
				number->point++;
			if (number->digits == NULL && fraction)
				number->point--;
		}
	}
	number->end = p;
	return p;
}

/*
 * The exponent that starts at p, 0 where none does, saturating.
 */
static int64_t
read_exponent(const char *p, const char *end)
{
	int64_t		exponent = 0;
	bool		negative = false;

	if (p == end || (*p != 'e' && *p != 'E'))
		return 0;
	p++;
	if (p < end && (*p == '-' || *p == '+'))
		negative = *p++ == '-';
	for (; p < end && is_digit(*p); p++)
	{
		if (exponent < MAX_EXPONENT / 10)
			exponent = exponent * 10 + (*p - '0');
		else
			exponent = MAX_EXPONENT;
	}
	return negative ? -exponent : exponent;
}

static void
read_number(const char *text, size_t len, Decimal *number)
{
	const char *p = text;
	const char *end = text + len;

	if (p < end && *p == '-')
	{
		number->negative = true;
		p++;
	}
	p = read_mantissa(p, end, number);
	number->point += read_exponent(p, end);
}

/*
 * The first `places` digits as an integer; *more tells whether any digit after
 * them is not zero.
 */
static uint64_t
take_digits(const Decimal *number, int64_t places, bool *more)
{
	uint64_t	value = 0;

	*more = false;
	for (const char *p = number->digits; p < number->end; p++)
	{
		if (*p == '.')
			continue;
		if (places > 0)
		{
			value = value * 10 + (uint64_t) (*p - '0');
			places--;
		}
		else if (*p != '0')
		{
			*more = true;
			break;
		}
	}
	for (; places > 0; places--)
		value *= 10;
	return value;
}

/*
 * Microseconds since the epoch for a number of seconds given as JSON text,
 * rounded towards plus infinity, saturating at INT64_MIN and INT64_MAX.
 */
int64_t
numericdate_parse(const char *number, size_t len)
{
	Decimal		decimal = {false, NULL, NULL, 0};
	int64_t		places;
	uint64_t	value = 0;
	bool		more = true;

	if (len == 0)
		return 0;
	read_number(number, len, &decimal);
	if (decimal.digits == NULL)
		return 0;

	/* Digits before the point of the value in microseconds. */
	places = decimal.point + MICRO_PLACES;
	if (places > MAX_PLACES)
		return decimal.negative ? INT64_MIN : INT64_MAX;
	if (places > 0)
		value = take_digits(&decimal, places, &more);

	/* Rounding up takes a negative number's fraction away. */
	if (decimal.negative)
		return value > INT64_MAX ? INT64_MIN : -(int64_t) value;
	if (value >= INT64_MAX)
		return INT64_MAX;
	return (int64_t) value + (more ? 1 : 0);
}
