/*
 * jwk.c
 *	  Keys: secrets, PEM, JWK members and PKCS#8 to and from OpenSSL keys.
 *	  RFC 7517 section 4, RFC 7518 section 6, RFC 8037 section 2, RFC 8812
 *	  section 3.1, RFC 7468, RFC 7638.
 *
 * Owns every way into and out of a JoseKey.  Guarantees that a key which made
 * it into one is of a type and curve in use here, is strong enough (RFC 8725
 * section 3.5), is valid (EC points on their curve, RFC 8725 section 3.4; OKP
 * points, on which OpenSSL has no check, are held against those of low order
 * alone), and that its private half belongs to its public one; that no secret
 * is empty; and that whatever held private bytes is wiped before it is freed.
 */
#include "jwk.h"

#include <limits.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/decoder.h>
#include <openssl/encoder.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>

#include "base64url.h"

#define LENGTH_OF(array)	(sizeof(array) / sizeof((array)[0]))

/* The most bytes of a coordinate (P-521) and of an OKP key (Ed448). */
#define MAX_COORDINATE		66
#define MAX_OKP				57

/* Beyond 3072 bits OpenSSL verifies with no longer exponent than this. */
#define MAX_RSA_EXPONENT_BITS	64

/* Curves of kty EC: RFC 7518 section 6.2.1.1, RFC 8812 section 3.1. */
typedef struct EcCurve
{
	const char *crv;
	const char *group;			/* OpenSSL's name */
	size_t		bytes;			/* of a coordinate, and of d */
} EcCurve;

static const EcCurve ec_curves[] = {
	{"P-256", "prime256v1", 32},
	{"P-384", "secp384r1", 48},
	{"P-521", "secp521r1", 66},
	{"secp256k1", "secp256k1", 32},
};

/*
 * y of the points of Ed25519 whose order divides 8, without the sign of x:
 * what a signature by such a key says depends on no secret.
 */
static const unsigned char ed25519_low_order[] = {
	/* 0: order 4 */
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	/* 1: the neutral element */
	0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	/* the two of order 8 */
	0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
	0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
	0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
	0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
	/* -1: order 2 */
	0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
	/* 0 and 1 again, not reduced */
	0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
	0xee, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
};

/* The same of Ed448: points whose order divides 4. */
static const unsigned char ed448_low_order[] = {
	/* 0: order 4 */
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	/* 1: the neutral element */
	0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	/* -1: order 2 */
	0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xff, 0xff, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00,
	/* 0 and 1 again, not reduced */
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xff, 0xff, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00,
};

/* Curves of kty OKP: RFC 8037 section 2. */
typedef struct OkpCurve
{
	const char *crv;
	const char *type;			/* OpenSSL's name */
	size_t		bytes;			/* of x, and of d */
	const unsigned char *low_order; /* public keys to refuse, one after another */
	size_t		low_order_len;	/* bytes of all of them */
} OkpCurve;

static const OkpCurve okp_curves[] = {
	{"Ed25519", "ED25519", 32, ed25519_low_order, sizeof(ed25519_low_order)},
	{"Ed448", "ED448", 57, ed448_low_order, sizeof(ed448_low_order)},
};

const char *const jwk_member_names[JWK_MEMBERS] = {
	[JWK_KTY] = "kty",[JWK_CRV] = "crv",[JWK_K] = "k",
	[JWK_N] = "n",[JWK_E] = "e",[JWK_D] = "d",[JWK_P] = "p",[JWK_Q] = "q",
	[JWK_DP] = "dp",[JWK_DQ] = "dq",[JWK_QI] = "qi",
	[JWK_X] = "x",[JWK_Y] = "y",
};

/* The numbers of an RSA key, the public ones first, in the order of JwkMember. */
enum
{
	RSA_N,
	RSA_E,
	RSA_D,
	RSA_P,
	RSA_Q,
	RSA_DP,
	RSA_DQ,
	RSA_QI,
	RSA_NUMBERS,
	RSA_PUBLIC_NUMBERS = RSA_D,
};

static const char *const rsa_params[RSA_NUMBERS] = {
	OSSL_PKEY_PARAM_RSA_N,
	OSSL_PKEY_PARAM_RSA_E,
	OSSL_PKEY_PARAM_RSA_D,
	OSSL_PKEY_PARAM_RSA_FACTOR1,
	OSSL_PKEY_PARAM_RSA_FACTOR2,
	OSSL_PKEY_PARAM_RSA_EXPONENT1,
	OSSL_PKEY_PARAM_RSA_EXPONENT2,
	OSSL_PKEY_PARAM_RSA_COEFFICIENT1,
};

/* What a PEM label says: which half of a key, and how it is written. */
typedef struct PemForm
{
	const char *label;
	bool		is_private;
	bool		is_encrypted;
	const char *type;			/* OpenSSL's key type; NULL where the DER tells */
	const char *structure;		/* OpenSSL's; NULL for a form not read here */
} PemForm;

#define STRUCTURE_CERTIFICATE	"Certificate"

static const PemForm pem_forms[] = {
	{"PRIVATE KEY", true, false, NULL, "PrivateKeyInfo"},
	{"ENCRYPTED PRIVATE KEY", true, true, NULL, NULL},
	{"RSA PRIVATE KEY", true, false, "RSA", "type-specific"},
	{"EC PRIVATE KEY", true, false, "EC", "type-specific"},
	{"DSA PRIVATE KEY", true, false, NULL, NULL},
	{"OPENSSH PRIVATE KEY", true, false, NULL, NULL},
	{"PUBLIC KEY", false, false, NULL, "SubjectPublicKeyInfo"},
	{"RSA PUBLIC KEY", false, false, "RSA", "type-specific"},
	{"CERTIFICATE", false, false, NULL, STRUCTURE_CERTIFICATE},
};

/*
 * Passes a status on, with no error of OpenSSL's left behind.
 */
static JoseStatus
done(JoseStatus status)
{
	ERR_clear_error();
	return status;
}

static bool
text_is(const JwkText *text, const char *word)
{
	return text->data != NULL && text->len == strlen(word) &&
		memcmp(text->data, word, text->len) == 0;
}

static const EcCurve *
ec_curve_by_crv(const char *crv, size_t len)
{
	for (size_t i = 0; i < LENGTH_OF(ec_curves); i++)
	{
		if (len == strlen(ec_curves[i].crv) && memcmp(crv, ec_curves[i].crv, len) == 0)
			return &ec_curves[i];
	}
	return NULL;
}

static const OkpCurve *
okp_curve_by_crv(const char *crv, size_t len)
{
	for (size_t i = 0; i < LENGTH_OF(okp_curves); i++)
	{
		if (len == strlen(okp_curves[i].crv) && memcmp(crv, okp_curves[i].crv, len) == 0)
			return &okp_curves[i];
	}
	return NULL;
}

/*
 * The curve of an EC key, or NULL: not one of ours, or spelled out as explicit
 * parameters, which could be those of a look-alike (RFC 5480 section 2.1.1
 * forbids them).
 */
static const EcCurve *
ec_curve_of(const EVP_PKEY *pkey)
{
	char		group[64];
	int			is_explicit = 0;

	if (EVP_PKEY_get_group_name(pkey, group, sizeof(group), NULL) != 1)
		return NULL;
	if (EVP_PKEY_get_int_param(pkey, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS,
							   &is_explicit) == 1 && is_explicit)
		return NULL;
	for (size_t i = 0; i < LENGTH_OF(ec_curves); i++)
	{
		if (strcmp(group, ec_curves[i].group) == 0)
			return &ec_curves[i];
	}
	return NULL;
}

static const OkpCurve *
okp_curve_of(const EVP_PKEY *pkey)
{
	for (size_t i = 0; i < LENGTH_OF(okp_curves); i++)
	{
		if (EVP_PKEY_is_a(pkey, okp_curves[i].type))
			return &okp_curves[i];
	}
	return NULL;
}

static void
free_numbers(BIGNUM *numbers[RSA_NUMBERS])
{
	for (int i = 0; i < RSA_NUMBERS; i++)
	{
		BN_clear_free(numbers[i]);
		numbers[i] = NULL;
	}
}

/*
 * Reads one number of a key into a new BIGNUM that is wiped when freed; NULL
 * where the key has no such.
 */
static BIGNUM *
get_number(const EVP_PKEY *pkey, const char *param)
{
	BIGNUM	   *number = BN_secure_new();

	if (number == NULL || EVP_PKEY_get_bn_param(pkey, param, &number) != 1)
	{
		BN_clear_free(number);
		return NULL;
	}
	return number;
}

/*
 * Reads the first `count` numbers of an RSA key; the others become NULL.  The
 * caller frees them with free_numbers, on failure too.
 */
static bool
get_rsa_numbers(const EVP_PKEY *pkey, int count, BIGNUM *numbers[RSA_NUMBERS])
{
	bool		ok = true;

	for (int i = 0; i < RSA_NUMBERS; i++)
	{
		numbers[i] = i < count ? get_number(pkey, rsa_params[i]) : NULL;
		if (i < count && numbers[i] == NULL)
			ok = false;
	}
	return ok;
}

/*
 * The demands of RFC 7518 section 3.3 and RFC 8725 section 3.5 on n and e.
 */
static JoseStatus
check_rsa_public(const BIGNUM *n, const BIGNUM *e)
{
	if (BN_num_bits(n) < JWK_MIN_RSA_BITS)
		return JOSE_WEAK_KEY;
	if (BN_num_bits(n) > JWK_MAX_RSA_BITS)
		return JOSE_UNSUPPORTED_KEY;
	if (!BN_is_odd(n))
		return JOSE_BAD_KEY;
	if (!BN_is_odd(e) || BN_is_one(e) || BN_num_bits(e) > MAX_RSA_EXPONENT_BITS)
		return JOSE_WEAK_KEY;
	return JOSE_OK;
}

/*
 * Whether d and dp fit one prime: dp = d mod (p - 1) and e * dp = 1 mod (p - 1).
 */
static bool
rsa_prime_fits(const BIGNUM *p, const BIGNUM *dp, const BIGNUM *d, const BIGNUM *e, BN_CTX *ctx)
{
	BIGNUM	   *p1 = BN_CTX_get(ctx);
	BIGNUM	   *t = BN_CTX_get(ctx);

	return t != NULL &&
		BN_sub(p1, p, BN_value_one()) == 1 && !BN_is_zero(p1) && !BN_is_negative(p1) &&
		BN_nnmod(t, d, p1, ctx) == 1 && BN_cmp(t, dp) == 0 &&
		BN_mod_mul(t, e, dp, p1, ctx) == 1 && BN_is_one(t);
}

/*
 * Whether the eight numbers belong together (RFC 8017 section 3.2, two
 * primes).  That p and q are prime is not looked into, see sign_and_verify.
 */
static bool
rsa_numbers_fit(BIGNUM *const v[RSA_NUMBERS])
{
	BN_CTX	   *ctx = BN_CTX_secure_new();
	BIGNUM	   *t;
	bool		ok = false;

	if (ctx == NULL)
		return false;
	BN_CTX_start(ctx);
	t = BN_CTX_get(ctx);
	if (t != NULL &&
		BN_mul(t, v[RSA_P], v[RSA_Q], ctx) == 1 && BN_cmp(t, v[RSA_N]) == 0 &&
		BN_cmp(v[RSA_D], v[RSA_N]) < 0 &&
		rsa_prime_fits(v[RSA_P], v[RSA_DP], v[RSA_D], v[RSA_E], ctx) &&
		rsa_prime_fits(v[RSA_Q], v[RSA_DQ], v[RSA_D], v[RSA_E], ctx) &&
		BN_cmp(v[RSA_QI], v[RSA_P]) < 0 &&
		BN_mod_mul(t, v[RSA_QI], v[RSA_Q], v[RSA_P], ctx) == 1)
		ok = BN_is_one(t);
	BN_CTX_end(ctx);
	BN_CTX_free(ctx);
	return ok;
}

/*
 * Whether the public half verifies what the private one signs.
 */
static bool
sign_and_verify(EVP_PKEY *pkey)
{
	static const unsigned char message[] = "jwt_auth pairwise consistency";
	unsigned char signature[JWK_MAX_RSA_BITS / 8];
	size_t		len = sizeof(signature);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool		ok = false;

	if (ctx != NULL &&
		EVP_DigestSignInit_ex(ctx, NULL, "SHA256", NULL, NULL, pkey, NULL) == 1 &&
		EVP_DigestSign(ctx, signature, &len, message, sizeof(message)) == 1 &&
		EVP_MD_CTX_reset(ctx) == 1 &&
		EVP_DigestVerifyInit_ex(ctx, NULL, "SHA256", NULL, NULL, pkey, NULL) == 1)
		ok = EVP_DigestVerify(ctx, signature, len, message, sizeof(message)) == 1;
	EVP_MD_CTX_free(ctx);
	return ok;
}

/*
 * OpenSSL's own pairwise check of an RSA key proves p and q prime, which takes
 * seconds for long ones.  Instead: the numbers have to fit, and one signature
 * has to verify.  With a composite p or q that fits, it would not, but for
 * Carmichael numbers and their like; only who made the key could be hurt.
 */
static JoseStatus
check_rsa(EVP_PKEY *pkey, bool is_private)
{
	BIGNUM	   *numbers[RSA_NUMBERS];
	JoseStatus	status = JOSE_BAD_KEY;

	if (get_rsa_numbers(pkey, is_private ? RSA_NUMBERS : RSA_PUBLIC_NUMBERS, numbers))
	{
		status = check_rsa_public(numbers[RSA_N], numbers[RSA_E]);
		if (status == JOSE_OK && is_private &&
			!(rsa_numbers_fit(numbers) && sign_and_verify(pkey)))
			status = JOSE_BAD_KEY;
	}
	free_numbers(numbers);
	return status;
}

/*
 * The point is on the curve, in its group and not at infinity; a private
 * scalar is in range and its multiple of the generator is the point.
 */
static JoseStatus
check_ec(EVP_PKEY *pkey, bool is_private)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
	bool		ok = ctx != NULL && EVP_PKEY_public_check(ctx) == 1;

	if (ok && is_private)
		ok = EVP_PKEY_private_check(ctx) == 1 && EVP_PKEY_pairwise_check(ctx) == 1;
	EVP_PKEY_CTX_free(ctx);
	return ok ? JOSE_OK : JOSE_BAD_KEY;
}

/*
 * The public half is not of low order.  That it is the private one's need not
 * be checked: where there is a private half, OpenSSL derived the public one.
 */
static JoseStatus
check_okp(const EVP_PKEY *pkey, const OkpCurve *curve)
{
	unsigned char x[MAX_OKP];
	size_t		len = sizeof(x);

	if (EVP_PKEY_get_raw_public_key(pkey, x, &len) != 1 || len != curve->bytes)
		return JOSE_BAD_KEY;
	x[len - 1] &= 0x7F;			/* the sign of the other coordinate */
	if (len == MAX_OKP && x[len - 1] != 0)
		return JOSE_BAD_KEY;	/* Ed448's last byte holds nothing else */
	for (size_t i = 0; i < curve->low_order_len; i += len)
	{
		if (memcmp(x, curve->low_order + i, len) == 0)
			return JOSE_BAD_KEY;
	}
	return JOSE_OK;
}

/*
 * What kind of key this is, and whether it is a good one.
 */
static JoseStatus
check_pkey(EVP_PKEY *pkey, bool is_private, JoseKeyType *kty, const char **crv)
{
	const EcCurve *ec;
	const OkpCurve *okp;

	*crv = NULL;
	if (EVP_PKEY_is_a(pkey, "RSA"))
	{
		*kty = JOSE_KTY_RSA;
		return check_rsa(pkey, is_private);
	}
	if (EVP_PKEY_is_a(pkey, "EC") && (ec = ec_curve_of(pkey)) != NULL)
	{
		*kty = JOSE_KTY_EC;
		*crv = ec->crv;
		return check_ec(pkey, is_private);
	}
	if ((okp = okp_curve_of(pkey)) != NULL)
	{
		*kty = JOSE_KTY_OKP;
		*crv = okp->crv;
		return check_okp(pkey, okp);
	}
	return JOSE_UNSUPPORTED_KEY;
}

/*
 * A key around pkey, once it has passed every check.  Takes pkey over, in
 * failure too; NULL stands for one that could not be read and is
 * JOSE_BAD_KEY.
 */
static JoseStatus
key_from_pkey(EVP_PKEY *pkey, bool is_private, JoseKey **key)
{
	JoseKeyType kty;
	const char *crv;
	JoseStatus	status;

	*key = NULL;
	if (pkey == NULL)
		return JOSE_BAD_KEY;
	status = check_pkey(pkey, is_private, &kty, &crv);
	if (status == JOSE_OK && (*key = OPENSSL_zalloc(sizeof(JoseKey))) == NULL)
		status = JOSE_CRYPTO_FAILURE;
	if (status != JOSE_OK)
	{
		EVP_PKEY_free(pkey);
		return status;
	}
	(*key)->kty = kty;
	(*key)->curve = crv;
	(*key)->is_private = is_private;
	(*key)->pkey = pkey;
	return JOSE_OK;
}

/*
 * A key of a secret's bytes, which are copied.  Empty: JOSE_BAD_KEY.  Whether
 * it is long enough is up to the algorithm, see jwk_check_alg.
 */
JoseStatus
jwk_from_secret(const unsigned char *secret, size_t len, JoseKey **key)
{
	JoseKey    *new_key;

	*key = NULL;
	if (len == 0)
		return JOSE_BAD_KEY;
	new_key = OPENSSL_zalloc(sizeof(JoseKey));
	if (new_key == NULL || (new_key->secret = OPENSSL_memdup(secret, len)) == NULL)
	{
		OPENSSL_free(new_key);
		return done(JOSE_CRYPTO_FAILURE);
	}
	new_key->kty = JOSE_KTY_OCT;
	new_key->is_private = true;
	new_key->secret_len = len;
	*key = new_key;
	return JOSE_OK;
}

/*
 * Frees a key, wiping it; NULL is fine.
 */
void
jwk_free(JoseKey *key)
{
	if (key == NULL)
		return;
	EVP_MAC_CTX_free(key->mac);
	EVP_MD_CTX_free(key->signing.ctx);
	EVP_MD_CTX_free(key->verifying.ctx);
	EVP_PKEY_free(key->pkey);
	OPENSSL_clear_free(key->secret, key->secret_len);
	OPENSSL_clear_free(key, sizeof(*key));
}

/*
 * Whether a key may be used with an algorithm: JOSE_KEY_MISMATCH where its
 * type or curve is another (RFC 8725 section 3.1), JOSE_WEAK_KEY where a
 * secret is shorter than the hash (RFC 7518 section 3.2).
 */
JoseStatus
jwk_check_alg(const JoseKey *key, const JoseAlg *alg)
{
	if (key->kty != alg->kty)
		return JOSE_KEY_MISMATCH;
	if (alg->curve != NULL && (key->curve == NULL || strcmp(key->curve, alg->curve) != 0))
		return JOSE_KEY_MISMATCH;
	if (key->kty == JOSE_KTY_OCT && key->secret_len < alg->digest_len)
		return JOSE_WEAK_KEY;
	return JOSE_OK;
}

static bool
starts_with(const char *text, size_t len, const char *prefix)
{
	return len >= strlen(prefix) && memcmp(text, prefix, strlen(prefix)) == 0;
}

static bool
is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/*
 * Passes over white space and byte order marks.
 */
static void
skip_space(const char **text, size_t *len)
{
	static const char bom[] = "\xEF\xBB\xBF";

	while (*len > 0 && (is_space(**text) || starts_with(*text, *len, bom)))
	{
		size_t		step = is_space(**text) ? 1 : strlen(bom);

		*text += step;
		*len -= step;
	}
}

/*
 * Whether PEM, or SSH2's own form of it (RFC 4716), begins here.
 */
static bool
is_pem(const char *text, size_t len)
{
	return starts_with(text, len, "-----BEGIN") || starts_with(text, len, "---- BEGIN");
}

/*
 * Whether a word begins as OpenSSH's names of key types do.
 */
static bool
is_ssh_type(const char *text, size_t len)
{
	return starts_with(text, len, "ssh-") || starts_with(text, len, "sk-ssh-") ||
		starts_with(text, len, "ecdsa-sha2-") || starts_with(text, len, "sk-ecdsa-sha2-");
}

/*
 * Whether such a type and then a key stand here, whose base64 begins with the
 * zeros of a length: behind options or a host's name, say.
 */
static bool
is_ssh_key(const char *text, size_t len)
{
	if (!is_ssh_type(text, len))
		return false;
	for (; len > 0 && !is_space(*text); len--)
		text++;
	skip_space(&text, &len);
	return starts_with(text, len, "AAAA");
}

/*
 * Whether a JSON object begins here, or an array of them.
 */
static bool
is_json(const char *text, size_t len)
{
	if (starts_with(text, len, "["))
	{
		text++;
		len--;
		skip_space(&text, &len);
	}
	return starts_with(text, len, "{");
}

/*
 * Whether a text is somebody's key rather than a secret: PEM anywhere in it, a
 * public key of OpenSSH, also behind options, a JSON object or a list of such.  A
 * public key as an HMAC secret is how RS256 gets confused with HS256 (RFC 8725
 * section 2.1).
 */
JwkLooks
jwk_looks_like_key(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
	{
		if (text[i] == '-' && is_pem(text + i, len - i))
			return JWK_LOOKS_KEY_FILE;
		if (is_space(text[i]) && is_ssh_key(text + i + 1, len - i - 1))
			return JWK_LOOKS_KEY_FILE;
	}
	skip_space(&text, &len);
	if (is_ssh_type(text, len))
		return JWK_LOOKS_KEY_FILE;
	return is_json(text, len) ? JWK_LOOKS_JSON : JWK_LOOKS_PLAIN;
}

/*
 * Knows no passphrase: keeps OpenSSL from asking for one at the terminal.
 */
static int
no_passphrase(char *buf, int size, int rwflag, void *u)
{
	(void) buf;
	(void) size;
	(void) rwflag;
	(void) u;
	return -1;
}

/*
 * Reads DER of a structure ("PrivateKeyInfo", "SubjectPublicKeyInfo",
 * "type-specific") and of a key type (NULL: any), to its last byte; NULL where
 * it is not that.
 */
static EVP_PKEY *
pkey_from_der(const unsigned char *der, size_t len, const char *structure, const char *type,
			  int selection)
{
	EVP_PKEY   *pkey = NULL;
	OSSL_DECODER_CTX *ctx = OSSL_DECODER_CTX_new_for_pkey(&pkey, "DER", structure, type,
														  selection, NULL, NULL);
	bool		ok = ctx != NULL &&
		OSSL_DECODER_CTX_set_pem_password_cb(ctx, no_passphrase, NULL) == 1 &&
		OSSL_DECODER_from_data(ctx, &der, &len) == 1 && len == 0;

	OSSL_DECODER_CTX_free(ctx);
	if (!ok)
	{
		EVP_PKEY_free(pkey);
		return NULL;
	}
	return pkey;
}

/*
 * The public key in a certificate; nothing else in the certificate is looked
 * at.
 */
static EVP_PKEY *
pkey_from_certificate(const unsigned char *der, size_t len)
{
	const unsigned char *end = der + len;
	X509	   *certificate = d2i_X509(NULL, &der, (long) len);
	EVP_PKEY   *pkey = NULL;

	if (certificate != NULL && der == end)
		pkey = X509_get_pubkey(certificate);
	X509_free(certificate);
	return pkey;
}

static const PemForm *
find_pem_form(const char *label)
{
	for (size_t i = 0; i < LENGTH_OF(pem_forms); i++)
	{
		if (strcmp(label, pem_forms[i].label) == 0)
			return &pem_forms[i];
	}
	return NULL;
}

/*
 * Makes a key of one PEM block if it holds the half that is wanted.
 */
static JoseStatus
key_from_block(const char *label, const char *header, const unsigned char *der, size_t len,
			   bool want_private, JoseKey **key)
{
	const PemForm *form = find_pem_form(label);
	EVP_PKEY   *pkey;

	if (form == NULL)
		return JOSE_BAD_KEY;
	if (form->is_private != want_private)
		return want_private ? JOSE_NOT_PRIVATE_KEY : JOSE_PRIVATE_KEY;
	if (form->is_encrypted || strstr(header, "ENCRYPTED") != NULL)
		return JOSE_ENCRYPTED_KEY;
	if (form->structure == NULL)
		return JOSE_UNSUPPORTED_KEY;

	if (strcmp(form->structure, STRUCTURE_CERTIFICATE) == 0)
		pkey = pkey_from_certificate(der, len);
	else
		pkey = pkey_from_der(der, len, form->structure, form->type,
							 want_private ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY);
	return key_from_pkey(pkey, want_private, key);
}

/*
 * Whether nothing but white space is left to read.
 */
static bool
only_space_left(BIO *bio)
{
	char		buf[256];
	int			len;

	while ((len = BIO_read(bio, buf, sizeof(buf))) > 0)
	{
		for (int i = 0; i < len; i++)
		{
			if (!is_space(buf[i]))
				return false;
		}
	}
	return true;
}

/*
 * Reads the one key in a PEM text.  Text before it is passed over (RFC 7468
 * section 2), as are the "EC PARAMETERS" that `openssl ecparam -genkey` puts
 * first; anything after it is refused, a second key above all.
 */
static JoseStatus
key_from_pem(const char *pem, size_t len, bool want_private, JoseKey **key)
{
	BIO		   *bio;
	JoseStatus	status = JOSE_BAD_KEY;
	bool		again = true;

	*key = NULL;
	if (len == 0 || len > INT_MAX)
		return JOSE_BAD_KEY;
	if ((bio = BIO_new_mem_buf(pem, (int) len)) == NULL)
		return JOSE_CRYPTO_FAILURE;
	while (again)
	{
		char	   *label = NULL;
		char	   *header = NULL;
		unsigned char *der = NULL;
		long		der_len = 0;

		again = false;
		if (PEM_read_bio_ex(bio, &label, &header, &der, &der_len,
							PEM_FLAG_SECURE | PEM_FLAG_EAY_COMPATIBLE) == 1)
		{
			again = strcmp(label, "EC PARAMETERS") == 0;
			if (!again)
				status = key_from_block(label, header, der, (size_t) der_len, want_private, key);
		}
		OPENSSL_secure_free(label);
		OPENSSL_secure_free(header);
		OPENSSL_secure_clear_free(der, (size_t) der_len);
	}
	if (status == JOSE_OK && !only_space_left(bio))
	{
		jwk_free(*key);
		*key = NULL;
		status = JOSE_BAD_KEY;
	}
	BIO_free(bio);
	return status;
}

/*
 * A private key from PEM: PKCS#8, or the older forms of RSA and EC keys.
 * JOSE_NOT_PRIVATE_KEY for a public one, JOSE_ENCRYPTED_KEY for one under a
 * passphrase, JOSE_UNSUPPORTED_KEY for a type or curve that no algorithm here
 * uses, JOSE_WEAK_KEY and JOSE_BAD_KEY for what their names say.
 */
JoseStatus
jwk_from_private_pem(const char *pem, size_t len, JoseKey **key)
{
	return done(key_from_pem(pem, len, true, key));
}

/*
 * A public key from PEM: SubjectPublicKeyInfo, PKCS#1, or a certificate whose
 * issuer, dates and purpose do not matter here.  JOSE_PRIVATE_KEY for a
 * private one; otherwise as above.
 */
JoseStatus
jwk_from_public_pem(const char *pem, size_t len, JoseKey **key)
{
	return done(key_from_pem(pem, len, false, key));
}

/*
 * Decodes a member of exactly `len` bytes.
 */
static bool
decode_exactly(const JwkText *member, unsigned char *bytes, size_t len)
{
	size_t		decoded_len;

	return member->data != NULL && member->len == BASE64URL_ENCODED_LEN(len) &&
		base64url_decode(member->data, member->len, bytes, &decoded_len) &&
		decoded_len == len;
}

/*
 * Decodes a Base64urlUInt, which has no byte more than it needs (RFC 7518
 * section 2) and is never zero here, into a number that is wiped when freed.
 */
static JoseStatus
decode_number(const JwkText *member, BIGNUM **number)
{
	unsigned char bytes[JWK_MAX_RSA_BITS / 8];
	size_t		len;
	JoseStatus	status = JOSE_BAD_KEY;

	if (member->data == NULL || member->len == 0)
		return JOSE_BAD_KEY;
	if (member->len > BASE64URL_ENCODED_LEN(sizeof(bytes)))
		return JOSE_UNSUPPORTED_KEY;
	if (base64url_decode(member->data, member->len, bytes, &len) && bytes[0] != 0)
	{
		*number = BN_secure_new();
		status = *number != NULL && BN_bin2bn(bytes, (int) len, *number) != NULL ?
			JOSE_OK : JOSE_CRYPTO_FAILURE;
	}
	OPENSSL_cleanse(bytes, sizeof(bytes));
	return status;
}

/*
 * Turns what has been pushed into a key of OpenSSL's; NULL where it refuses.
 * Secure numbers are wiped from the parameters as these are freed.
 */
static EVP_PKEY *
pkey_from_params(const char *type, OSSL_PARAM_BLD *bld, bool is_private)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
	EVP_PKEY   *pkey = NULL;

	if (ctx != NULL && params != NULL && EVP_PKEY_fromdata_init(ctx) == 1 &&
		EVP_PKEY_fromdata(ctx, &pkey, is_private ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY,
						  params) != 1)
	{
		EVP_PKEY_free(pkey);
		pkey = NULL;
	}
	OSSL_PARAM_free(params);
	EVP_PKEY_CTX_free(ctx);
	return pkey;
}

static EVP_PKEY *
rsa_pkey(BIGNUM *const numbers[RSA_NUMBERS], bool is_private)
{
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	int			count = is_private ? RSA_NUMBERS : RSA_PUBLIC_NUMBERS;
	EVP_PKEY   *pkey = NULL;
	bool		ok = bld != NULL;

	for (int i = 0; i < count && ok; i++)
		ok = OSSL_PARAM_BLD_push_BN(bld, rsa_params[i], numbers[i]) == 1;
	if (ok)
		pkey = pkey_from_params("RSA", bld, is_private);
	OSSL_PARAM_BLD_free(bld);
	return pkey;
}

/*
 * RFC 7518 section 6.3.  All of p, q, dp, dq and qi have to come with d (the
 * RFC lets a producer leave them out), and none of them without.
 */
static JoseStatus
import_rsa(const JwkMembers *m, JoseKey **key)
{
	const JwkText *members = &m->text[JWK_N];
	BIGNUM	   *numbers[RSA_NUMBERS] = {NULL};
	bool		is_private = false;
	JoseStatus	status = JOSE_OK;

	for (int i = RSA_PUBLIC_NUMBERS; i < RSA_NUMBERS; i++)
		is_private = is_private || members[i].data != NULL;
	for (int i = 0; i < (is_private ? RSA_NUMBERS : RSA_PUBLIC_NUMBERS) && status == JOSE_OK; i++)
		status = decode_number(&members[i], &numbers[i]);

	/* Before OpenSSL sees it: what it makes of a weak key depends on its age. */
	if (status == JOSE_OK)
		status = check_rsa_public(numbers[RSA_N], numbers[RSA_E]);
	if (status == JOSE_OK)
		status = key_from_pkey(rsa_pkey(numbers, is_private), is_private, key);
	free_numbers(numbers);
	return status;
}

/*
 * An EC key of an uncompressed point and, where d is not NULL, a scalar.
 */
static EVP_PKEY *
ec_pkey(const EcCurve *curve, const unsigned char *point, const BIGNUM *d)
{
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	EVP_PKEY   *pkey = NULL;

	if (bld != NULL &&
		OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, curve->group, 0) == 1 &&
		OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * curve->bytes) == 1 &&
		(d == NULL || OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_PRIV_KEY, d) == 1))
		pkey = pkey_from_params("EC", bld, d != NULL);
	OSSL_PARAM_BLD_free(bld);
	return pkey;
}

/*
 * RFC 7518 section 6.2: coordinates and d of full length, leading zeros and
 * all.
 */
static JoseStatus
import_ec(const JwkMembers *m, JoseKey **key)
{
	const JwkText *crv = &m->text[JWK_CRV];
	const EcCurve *curve;
	unsigned char point[1 + 2 * MAX_COORDINATE] = {0x04};	/* uncompressed */
	unsigned char scalar[MAX_COORDINATE];
	BIGNUM	   *d = NULL;
	JoseStatus	status = JOSE_BAD_KEY;

	if (crv->data == NULL)
		return JOSE_BAD_KEY;
	if ((curve = ec_curve_by_crv(crv->data, crv->len)) == NULL)
		return JOSE_UNSUPPORTED_KEY;
	if (!decode_exactly(&m->text[JWK_X], point + 1, curve->bytes) ||
		!decode_exactly(&m->text[JWK_Y], point + 1 + curve->bytes, curve->bytes))
		return JOSE_BAD_KEY;
	if (m->text[JWK_D].data == NULL)
		return key_from_pkey(ec_pkey(curve, point, NULL), false, key);

	if (decode_exactly(&m->text[JWK_D], scalar, curve->bytes) && (d = BN_secure_new()) != NULL &&
		BN_bin2bn(scalar, (int) curve->bytes, d) != NULL)
		status = key_from_pkey(ec_pkey(curve, point, d), true, key);
	BN_clear_free(d);
	OPENSSL_cleanse(scalar, sizeof(scalar));
	return status;
}

/*
 * A private OKP key whose public half, which OpenSSL derives, is x.
 */
static EVP_PKEY *
okp_private_pkey(const OkpCurve *curve, const JwkText *member, const unsigned char *x)
{
	unsigned char d[MAX_OKP];
	unsigned char derived[MAX_OKP];
	size_t		len = sizeof(derived);
	EVP_PKEY   *pkey = NULL;

	if (decode_exactly(member, d, curve->bytes))
		pkey = EVP_PKEY_new_raw_private_key_ex(NULL, curve->type, NULL, d, curve->bytes);
	OPENSSL_cleanse(d, sizeof(d));
	if (pkey != NULL && (EVP_PKEY_get_raw_public_key(pkey, derived, &len) != 1 ||
						 len != curve->bytes || CRYPTO_memcmp(derived, x, len) != 0))
	{
		EVP_PKEY_free(pkey);
		pkey = NULL;
	}
	return pkey;
}

/*
 * RFC 8037 section 2.
 */
static JoseStatus
import_okp(const JwkMembers *m, JoseKey **key)
{
	const JwkText *crv = &m->text[JWK_CRV];
	const JwkText *d = &m->text[JWK_D];
	const OkpCurve *curve;
	unsigned char x[MAX_OKP];
	EVP_PKEY   *pkey;

	if (crv->data == NULL)
		return JOSE_BAD_KEY;
	if ((curve = okp_curve_by_crv(crv->data, crv->len)) == NULL)
		return JOSE_UNSUPPORTED_KEY;
	if (!decode_exactly(&m->text[JWK_X], x, curve->bytes))
		return JOSE_BAD_KEY;
	if (d->data != NULL)
		pkey = okp_private_pkey(curve, d, x);
	else
		pkey = EVP_PKEY_new_raw_public_key_ex(NULL, curve->type, NULL, x, curve->bytes);
	return key_from_pkey(pkey, d->data != NULL, key);
}

/*
 * RFC 7518 section 6.4.
 */
static JoseStatus
import_oct(const JwkMembers *m, JoseKey **key)
{
	const JwkText *k = &m->text[JWK_K];
	unsigned char *secret;
	size_t		len;
	size_t		room = BASE64URL_DECODED_LEN(k->len);
	JoseStatus	status = JOSE_BAD_KEY;

	if (k->data == NULL || k->len == 0)
		return JOSE_BAD_KEY;
	if ((secret = OPENSSL_malloc(room + 1)) == NULL)
		return JOSE_CRYPTO_FAILURE;
	if (base64url_decode(k->data, k->len, secret, &len))
		status = jwk_from_secret(secret, len, key);
	OPENSSL_clear_free(secret, room + 1);
	return status;
}

/*
 * A key from a JWK's members, private where it has the private ones.  kty and
 * crv are compared exactly; members of other key types are not looked at.
 */
JoseStatus
jwk_import(const JwkMembers *members, JoseKey **key)
{
	const JwkText *kty = &members->text[JWK_KTY];
	JoseStatus	status = JOSE_UNSUPPORTED_KEY;

	*key = NULL;
	if (kty->data == NULL)
		status = JOSE_BAD_KEY;
	else if (text_is(kty, "oct"))
		status = import_oct(members, key);
	else if (text_is(kty, "RSA"))
		status = import_rsa(members, key);
	else if (text_is(kty, "EC"))
		status = import_ec(members, key);
	else if (text_is(kty, "OKP"))
		status = import_okp(members, key);
	return done(status);
}

/*
 * A new secret of the least length that the algorithm takes.
 */
static JoseStatus
generate_secret(const JoseAlg *alg, JoseKey **key)
{
	unsigned char secret[EVP_MAX_MD_SIZE];
	JoseStatus	status = JOSE_CRYPTO_FAILURE;

	if (alg->digest_len <= sizeof(secret) &&
		RAND_priv_bytes(secret, (int) alg->digest_len) == 1)
		status = jwk_from_secret(secret, alg->digest_len, key);
	OPENSSL_cleanse(secret, sizeof(secret));
	return status;
}

/*
 * A new key pair of OpenSSL's, or NULL.
 */
static EVP_PKEY *
generate_pkey(const JoseAlg *alg)
{
	const EcCurve *ec;
	const OkpCurve *okp;
	const char *crv = alg->curve != NULL ? alg->curve : okp_curves[0].crv;

	switch (alg->kty)
	{
		case JOSE_KTY_RSA:
			/* e is 65537 unless one asks otherwise */
			return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t) JWK_MIN_RSA_BITS);
		case JOSE_KTY_EC:
			ec = ec_curve_by_crv(crv, strlen(crv));
			return ec != NULL ? EVP_PKEY_Q_keygen(NULL, NULL, "EC", ec->group) : NULL;
		case JOSE_KTY_OKP:
			okp = okp_curve_by_crv(crv, strlen(crv));
			return okp != NULL ? EVP_PKEY_Q_keygen(NULL, NULL, okp->type) : NULL;
		case JOSE_KTY_OCT:
			break;
	}
	return NULL;
}

/*
 * A new key for an algorithm.
 */
JoseStatus
jwk_generate(const JoseAlg *alg, JoseKey **key)
{
	EVP_PKEY   *pkey;

	*key = NULL;
	if (alg->kty == JOSE_KTY_OCT)
		return done(generate_secret(alg, key));
	if ((pkey = generate_pkey(alg)) == NULL)
		return done(JOSE_CRYPTO_FAILURE);
	return done(key_from_pkey(pkey, true, key));
}

/*
 * Encodes a key pair, or its public half, as "DER" or "PEM".
 */
static JoseStatus
encode_pkey(const JoseKey *key, bool with_private, const char *format, unsigned char **bytes, size_t *len)
{
	OSSL_ENCODER_CTX *ctx =
		OSSL_ENCODER_CTX_new_for_pkey(key->pkey, with_private ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, format,
									  with_private ? "PrivateKeyInfo" : "SubjectPublicKeyInfo", NULL);

	if (ctx == NULL || OSSL_ENCODER_to_data(ctx, bytes, len) != 1)
		*bytes = NULL;
	OSSL_ENCODER_CTX_free(ctx);
	return *bytes != NULL ? JOSE_OK : JOSE_CRYPTO_FAILURE;
}

/*
 * The private half as bytes to be wrapped, freed with jwk_free_bytes.
 * JOSE_NOT_PRIVATE_KEY where there is none.
 */
JoseStatus
jwk_to_bytes(const JoseKey *key, unsigned char **bytes, size_t *len)
{
	*bytes = NULL;
	*len = 0;
	if (!key->is_private)
		return JOSE_NOT_PRIVATE_KEY;
	if (key->kty != JOSE_KTY_OCT)
		return done(encode_pkey(key, true, "DER", bytes, len));
	*bytes = OPENSSL_memdup(key->secret, key->secret_len);
	*len = key->secret_len;
	return done(*bytes != NULL ? JOSE_OK : JOSE_CRYPTO_FAILURE);
}

/*
 * A key as PEM, not NUL-terminated: the key pair, or its public half alone.
 * JOSE_UNSUPPORTED_KEY for a secret, of which there is no PEM.
 */
JoseStatus
jwk_to_pem(const JoseKey *key, bool with_private, unsigned char **pem, size_t *len)
{
	*pem = NULL;
	*len = 0;
	if (key->kty == JOSE_KTY_OCT)
		return JOSE_UNSUPPORTED_KEY;
	if (with_private && !key->is_private)
		return JOSE_NOT_PRIVATE_KEY;
	return done(encode_pkey(key, with_private, "PEM", pem, len));
}

/*
 * A key from what jwk_to_bytes made of one.  It is checked as any import, and
 * has to suit the algorithm, so JOSE_KEY_MISMATCH and JOSE_WEAK_KEY can be the
 * answer.
 */
JoseStatus
jwk_from_bytes(const JoseAlg *alg, const unsigned char *bytes, size_t len, JoseKey **key)
{
	JoseStatus	status;

	if (alg->kty == JOSE_KTY_OCT)
		status = jwk_from_secret(bytes, len, key);
	else
		status = key_from_pkey(pkey_from_der(bytes, len, "PrivateKeyInfo", NULL, EVP_PKEY_KEYPAIR),
							   true, key);
	if (status == JOSE_OK && (status = jwk_check_alg(*key, alg)) != JOSE_OK)
	{
		jwk_free(*key);
		*key = NULL;
	}
	return done(status);
}

/*
 * Wipes and frees what jwk_to_bytes returned; NULL is fine.
 */
void
jwk_free_bytes(unsigned char *bytes, size_t len)
{
	OPENSSL_clear_free(bytes, len);
}

/*
 * Exports a word such as "EC"; false where memory is short.
 */
static bool
export_word(const char *word, JwkText *out)
{
	out->data = OPENSSL_strdup(word);
	out->len = out->data != NULL ? strlen(word) : 0;
	return out->data != NULL;
}

/*
 * Exports bytes in base64url; false where memory is short.
 */
static bool
export_bytes(const unsigned char *bytes, size_t len, JwkText *out)
{
	char	   *text = OPENSSL_malloc(BASE64URL_ENCODED_LEN(len) + 1);

	if (text == NULL)
		return false;
	out->data = text;
	out->len = base64url_encode(bytes, len, text);
	text[out->len] = '\0';
	return true;
}

/*
 * Exports a number of the key in `width` bytes, or as few as it takes where
 * width is 0.
 */
static bool
export_number(const EVP_PKEY *pkey, const char *param, size_t width, JwkText *out)
{
	unsigned char bytes[JWK_MAX_RSA_BITS / 8];
	BIGNUM	   *number = get_number(pkey, param);
	bool		ok = false;

	if (number != NULL)
	{
		if (width == 0)
			width = (size_t) BN_num_bytes(number);
		if (width <= sizeof(bytes) &&
			BN_bn2binpad(number, bytes, (int) width) == (int) width)
			ok = export_bytes(bytes, width, out);
	}
	BN_clear_free(number);
	OPENSSL_cleanse(bytes, sizeof(bytes));
	return ok;
}

static bool
export_rsa(const EVP_PKEY *pkey, bool with_private, JwkText text[JWK_MEMBERS])
{
	int			count = with_private ? RSA_NUMBERS : RSA_PUBLIC_NUMBERS;
	bool		ok = export_word("RSA", &text[JWK_KTY]);

	for (int i = 0; i < count && ok; i++)
		ok = export_number(pkey, rsa_params[i], 0, &text[JWK_N + i]);
	return ok;
}

static bool
export_ec(const EVP_PKEY *pkey, bool with_private, JwkText text[JWK_MEMBERS])
{
	const EcCurve *curve = ec_curve_of(pkey);

	return curve != NULL && export_word("EC", &text[JWK_KTY]) && export_word(curve->crv, &text[JWK_CRV]) &&
		export_number(pkey, OSSL_PKEY_PARAM_EC_PUB_X, curve->bytes, &text[JWK_X]) &&
		export_number(pkey, OSSL_PKEY_PARAM_EC_PUB_Y, curve->bytes, &text[JWK_Y]) &&
		(!with_private || export_number(pkey, OSSL_PKEY_PARAM_PRIV_KEY, curve->bytes, &text[JWK_D]));
}

static bool
export_okp(const EVP_PKEY *pkey, bool with_private, JwkText text[JWK_MEMBERS])
{
	const OkpCurve *curve = okp_curve_of(pkey);
	unsigned char bytes[MAX_OKP];
	size_t		len = sizeof(bytes);
	bool		ok;

	ok = curve != NULL && export_word("OKP", &text[JWK_KTY]) && export_word(curve->crv, &text[JWK_CRV]) &&
		EVP_PKEY_get_raw_public_key(pkey, bytes, &len) == 1 && export_bytes(bytes, len, &text[JWK_X]);
	len = sizeof(bytes);
	if (ok && with_private)
		ok = EVP_PKEY_get_raw_private_key(pkey, bytes, &len) == 1 && export_bytes(bytes, len, &text[JWK_D]);
	OPENSSL_cleanse(bytes, sizeof(bytes));
	return ok;
}

/*
 * Whether a key has what is asked to be exported.  All of a secret is private.
 */
static JoseStatus
check_export(const JoseKey *key, bool with_private)
{
	if (with_private && !key->is_private)
		return JOSE_NOT_PRIVATE_KEY;
	if (!with_private && key->kty == JOSE_KTY_OCT)
		return JOSE_BAD_KEY;
	return JOSE_OK;
}

/*
 * A key as JWK members, each with a NUL behind it, freed with jwk_free_export;
 * on failure there is nothing to free.  JOSE_NOT_PRIVATE_KEY where the private
 * half is wanted and there is none, JOSE_BAD_KEY for a secret without
 * with_private.
 */
JoseStatus
jwk_export(const JoseKey *key, bool with_private, JwkMembers *out)
{
	JoseStatus	status = check_export(key, with_private);
	bool		ok = false;

	memset(out, 0, sizeof(*out));
	if (status != JOSE_OK)
		return status;
	switch (key->kty)
	{
		case JOSE_KTY_OCT:
			ok = export_word("oct", &out->text[JWK_KTY]) &&
				export_bytes(key->secret, key->secret_len, &out->text[JWK_K]);
			break;
		case JOSE_KTY_RSA:
			ok = export_rsa(key->pkey, with_private, out->text);
			break;
		case JOSE_KTY_EC:
			ok = export_ec(key->pkey, with_private, out->text);
			break;
		case JOSE_KTY_OKP:
			ok = export_okp(key->pkey, with_private, out->text);
			break;
	}
	if (!ok)
		jwk_free_export(out);
	return done(ok ? JOSE_OK : JOSE_CRYPTO_FAILURE);
}

/*
 * Wipes and frees the members that jwk_export made, and leaves *out empty.
 */
void
jwk_free_export(JwkMembers *out)
{
	for (int i = 0; i < JWK_MEMBERS; i++)
		OPENSSL_clear_free((char *) out->text[i].data, out->text[i].len);
	memset(out, 0, sizeof(*out));
}

/*
 * Hashes a JWK of its required members alone, in the order of their names and
 * without white space (RFC 7638 section 3.2, RFC 8037 section 2).  Its strings
 * need no escape.
 */
static bool
hash_required_members(EVP_MD_CTX *ctx, const JwkMembers *jwk)
{
	static const JwkMember required[] = {JWK_CRV, JWK_E, JWK_K, JWK_KTY, JWK_N, JWK_X, JWK_Y};
	const char *before = "{\"";
	bool		ok = true;

	for (size_t i = 0; i < LENGTH_OF(required) && ok; i++)
	{
		const JwkText *text = &jwk->text[required[i]];
		const char *name = jwk_member_names[required[i]];

		if (text->data == NULL)
			continue;
		ok = EVP_DigestUpdate(ctx, before, strlen(before)) == 1 &&
			EVP_DigestUpdate(ctx, name, strlen(name)) == 1 &&
			EVP_DigestUpdate(ctx, "\":\"", 3) == 1 &&
			EVP_DigestUpdate(ctx, text->data, text->len) == 1;
		before = "\",\"";
	}
	return ok && EVP_DigestUpdate(ctx, "\"}", 2) == 1;
}

/*
 * The SHA-256 thumbprint of a key (RFC 7638): the same for a private key and
 * its public half.
 */
JoseStatus
jwk_thumbprint(const JoseKey *key, unsigned char thumbprint[JWK_THUMBPRINT_LEN])
{
	EVP_MD_CTX *ctx;
	JwkMembers	jwk;
	JoseStatus	status = jwk_export(key, key->kty == JOSE_KTY_OCT, &jwk);

	if (status != JOSE_OK)
		return status;
	ctx = EVP_MD_CTX_new();
	if (ctx == NULL || EVP_DigestInit_ex2(ctx, EVP_sha256(), NULL) != 1 ||
		!hash_required_members(ctx, &jwk) || EVP_DigestFinal_ex(ctx, thumbprint, NULL) != 1)
		status = JOSE_CRYPTO_FAILURE;
	EVP_MD_CTX_free(ctx);
	jwk_free_export(&jwk);
	return done(status);
}
