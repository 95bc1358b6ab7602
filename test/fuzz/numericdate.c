/*
 * numericdate.c
 *	  Fuzz target: NumericDate from text, JSON number or not.
 *
 * The answer is that of the definition, worked out with numbers of any size.
 */
#include "numericdate.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>

#include "fuzz.h"

/* Beyond these exponents, and these lengths of text, the answer is a limit. */
#define HUGE_EXPONENT	100000000
#define MICRO_PLACES	6

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/*
 * The exponent that starts at text, as far as it matters.
 */
static long
exponent_of(const char *text, size_t len)
{
	size_t		i = 0;
	bool		negative = false;
	long		exponent = 0;

	if (len == 0 || (text[0] != 'e' && text[0] != 'E'))
		return 0;
	i++;
	if (i < len && (text[i] == '+' || text[i] == '-'))
		negative = text[i++] == '-';
	for (; i < len && is_digit(text[i]); i++)
		exponent = exponent > HUGE_EXPONENT ? exponent : exponent * 10 + (text[i] - '0');
	return negative ? -exponent : exponent;
}

/*
 * value times ten to the power of shift, towards plus infinity where negative
 * or not says which way that is.
 */
static void
scale(BIGNUM *value, long shift, bool negative)
{
	BN_CTX	   *ctx = BN_CTX_new();
	BIGNUM	   *ten = BN_new();
	BIGNUM	   *power = BN_new();
	BIGNUM	   *rest = BN_new();
	bool		ok = BN_set_word(ten, 10) && BN_set_word(rest, (BN_ULONG) labs(shift)) &&
		BN_exp(power, ten, rest, ctx);

	if (ok && shift >= 0)
		ok = BN_mul(value, value, power, ctx);
	else if (ok)
	{
		ok = BN_div(value, rest, value, power, ctx);
		if (ok && !negative && !BN_is_zero(rest))
			ok = BN_add_word(value, 1);
	}
	PROPERTY(ok);
	BN_free(rest);
	BN_free(power);
	BN_free(ten);
	BN_CTX_free(ctx);
}

static int64_t
saturated(const BIGNUM *value, bool negative)
{
	if (BN_num_bits(value) > 63)
		return negative ? INT64_MIN : INT64_MAX;
	return negative ? -(int64_t) BN_get_word(value) : (int64_t) BN_get_word(value);
}

/*
 * What numericdate_parse has to return.
 */
static int64_t
expected(const char *text, size_t len)
{
	bool		negative = len > 0 && text[0] == '-';
	char	   *digits = fuzz_allocate(len + 1);
	size_t		count = 0;
	long		shift = MICRO_PLACES;
	bool		fraction = false;
	BIGNUM	   *value = NULL;
	int64_t		result;
	size_t		i;

	for (i = negative ? 1 : 0; i < len && (is_digit(text[i]) || (text[i] == '.' && !fraction)); i++)
	{
		if (text[i] == '.')
			fraction = true;
		else
		{
			digits[count++] = text[i];
			shift -= fraction ? 1 : 0;
		}
	}
	digits[count] = '\0';
	shift += exponent_of(text + i, len - i);

	if (count == 0 || BN_dec2bn(&value, digits) == 0 || BN_is_zero(value))
		result = 0;
	else if (shift > 20)
		result = negative ? INT64_MIN : INT64_MAX;
	else if (shift < -(long) count)
		result = negative ? 0 : 1;
	else
	{
		scale(value, shift, negative);
		result = saturated(value, negative);
	}
	BN_free(value);
	free(digits);
	return result;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	PROPERTY(numericdate_parse((const char *) data, size) == expected((const char *) data, size));
	return 0;
}
