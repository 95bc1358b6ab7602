/*
 * sign.c
 *	  Fuzz target: sign, verify, and verify again with one thing changed.
 *
 * What was signed verifies, whatever it is; after any one change it does not,
 * with the one exception that negate_s() states.  See fuzz.h for the form of
 * an input.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>

#include "fuzz.h"

/* What can be signed and its signature, with room for one byte more. */
typedef struct Signed
{
	const JoseAlg *alg;
	FuzzKey    *key;			/* whose public half verifies */
	char	   *input;
	size_t		input_len;
	unsigned char signature[JWS_MAX_SIGNATURE + 1];
	size_t		signature_len;
} Signed;

/* The orders of the base points, RFC 8032 sections 5.1 and 5.2. */
#define ED25519_ORDER	"1000000000000000000000000000000014DEF9DEA2F79CD65812631A5CF5D3ED"
#define ED448_ORDER \
	"3FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF" \
	"7CCA23E9C44EDB49AED63690216CC2728DC58F552378C292AB5844F3"

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void) argc;
	(void) argv;
	fuzz_make_keys();
	return 0;
}

/*
 * What the numbers of a signature are counted modulo; NULL for HMAC, which has
 * none.
 */
static BIGNUM *
modulus(const Signed *it)
{
	BIGNUM	   *order = NULL;
	const EVP_PKEY *pkey = it->key->pair->pkey;

	switch (it->alg->family)
	{
		case JOSE_HMAC:
			break;
		case JOSE_RSA_PKCS1:
		case JOSE_RSA_PSS:
			PROPERTY(EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_N, &order) == 1);
			break;
		case JOSE_ECDSA:
			PROPERTY(EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_EC_ORDER, &order) == 1);
			break;
		case JOSE_EDDSA:
			PROPERTY(BN_hex2bn(&order, strcmp(it->key->name, "Ed448") == 0 ? ED448_ORDER : ED25519_ORDER) > 0);
			break;
	}
	return order;
}

static bool
flip_signature(Signed *it, size_t at)
{
	it->signature[at / 8 % it->signature_len] ^= (unsigned char) (1U << at % 8);
	return true;
}

static bool
flip_input(Signed *it, size_t at)
{
	if (it->input_len == 0)
		return false;
	it->input[at / 8 % it->input_len] ^= (char) (1U << at % 8);
	return true;
}

static bool
cut_signature(Signed *it, size_t at)
{
	it->signature_len = at % it->signature_len;
	return true;
}

static bool
lengthen_signature(Signed *it, size_t at)
{
	it->signature[it->signature_len++] = (unsigned char) at;
	return true;
}

static bool
cut_input(Signed *it, size_t at)
{
	if (it->input_len == 0)
		return false;
	it->input_len = at % it->input_len;
	return true;
}

static bool
ask_stranger(Signed *it, size_t at)
{
	(void) at;
	it->key += FUZZ_SIGNERS;
	return true;
}

/*
 * The same number modulo the order, larger than that: refused, also where it
 * has room, as in ES512 and Ed25519.
 */
static bool
add_modulus(Signed *it, size_t at)
{
	BIGNUM	   *order = modulus(it);
	BIGNUM	   *number;
	bool		is_rsa = it->key->pair->kty == JOSE_KTY_RSA;
	int			len = (int) it->signature_len / (is_rsa ? 1 : 2);
	unsigned char *bytes = it->signature;
	int			written;

	if (order == NULL)
		return false;
	if (!is_rsa && (at % 2 != 0 || it->alg->family == JOSE_EDDSA))
		bytes += len;
	if (it->alg->family == JOSE_EDDSA)
		number = BN_lebin2bn(bytes, len, NULL);
	else
		number = BN_bin2bn(bytes, len, NULL);
	PROPERTY(number != NULL && BN_add(number, number, order) == 1);
	if (it->alg->family == JOSE_EDDSA)
		written = BN_bn2lebinpad(number, bytes, len);
	else
		written = BN_bn2binpad(number, bytes, len);
	BN_free(number);
	BN_free(order);
	return written == len;
}

typedef bool (*Change) (Signed *it, size_t at);

static const Change changes[] = {
	flip_signature, flip_input, cut_signature, lengthen_signature, cut_input, ask_stranger, add_modulus
};

#define CHANGES		(sizeof(changes) / sizeof(changes[0]))

static JoseStatus
verify(const Signed *it, const JoseAlg *alg, uint64_t statuses)
{
	return EXPECT(jws_verify(alg, it->key->public_half, it->input, it->input_len,
							 it->signature, it->signature_len), statuses);
}

/*
 * ECDSA: with n - s for s a signature is as right as before (RFC 7518 does not
 * say which).
 */
static void
negate_s(Signed *it)
{
	int			half = (int) it->signature_len / 2;
	BIGNUM	   *order = modulus(it);
	BIGNUM	   *s = BN_bin2bn(it->signature + half, half, NULL);

	PROPERTY(s != NULL && BN_sub(s, order, s) == 1);
	PROPERTY(BN_bn2binpad(s, it->signature + half, half) == half);
	BN_free(s);
	BN_free(order);
	(void) verify(it, it->alg, STATUS(OK));
}

/*
 * A signature that verifies, or false where the key is for something else.
 */
static bool
sign(Signed *it)
{
	JoseKey    *pair = it->key->pair;
	size_t		len;
	unsigned char *room;

	if (!fuzz_suits(it->key, it->alg))
	{
		it->signature_len = JWS_MAX_SIGNATURE;
		(void) EXPECT(jws_sign(it->alg, pair, it->input, it->input_len, it->signature, &it->signature_len),
					  STATUS(KEY_MISMATCH));
		(void) verify(it, it->alg, STATUS(KEY_MISMATCH));
		return false;
	}
	len = fuzz_signature_len(pair, it->alg);
	it->signature_len = len - 1;
	(void) EXPECT(jws_sign(it->alg, pair, it->input, it->input_len, it->signature, &it->signature_len),
				  STATUS(CRYPTO_FAILURE));
	it->signature_len = len;
	if (pair->kty != JOSE_KTY_OCT)
		(void) EXPECT(jws_sign(it->alg, it->key->public_half, it->input, it->input_len,
							   it->signature, &it->signature_len), STATUS(NOT_PRIVATE_KEY));
	room = fuzz_allocate(len);
	(void) EXPECT(jws_sign(it->alg, pair, it->input, it->input_len, room, &it->signature_len), STATUS(OK));
	PROPERTY(it->signature_len == len);
	memcpy(it->signature, room, len);
	free(room);
	return true;
}

/*
 * Another algorithm's verdict on a signature: "EdDSA" and the name of the curve
 * are one.
 */
static void
check_other(const Signed *it, const JoseAlg *other)
{
	bool		same = other == it->alg || (other->family == JOSE_EDDSA && it->alg->family == JOSE_EDDSA);

	if (!fuzz_suits(it->key, other))
		(void) verify(it, other, STATUS(KEY_MISMATCH));
	else
		(void) verify(it, other, same ? STATUS(OK) : STATUS(BAD_SIGNATURE));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input		input = {data, size};
	Signed		it;
	const JoseAlg *other;
	unsigned int change;
	size_t		at;

	fuzz_start();
	it.alg = alg_at(fuzz_byte(&input) % 16);
	it.key = &fuzz_keys[fuzz_byte(&input) % FUZZ_SIGNERS];
	other = alg_at(fuzz_byte(&input) % 16);
	change = fuzz_byte(&input) % (CHANGES + 1);
	at = fuzz_byte(&input) << 8;
	at |= fuzz_byte(&input);
	it.input_len = input.len;
	it.input = fuzz_copy(&input, input.len);

	if (sign(&it))
	{
		(void) verify(&it, it.alg, STATUS(OK));
		check_other(&it, other);
		if (change < CHANGES && changes[change] (&it, at))
			(void) verify(&it, it.alg, STATUS(BAD_SIGNATURE));
		else if (change == CHANGES && it.alg->family == JOSE_ECDSA)
			negate_s(&it);
	}
	free(it.input);
	return 0;
}
