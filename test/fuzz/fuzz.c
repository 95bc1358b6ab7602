/*
 * fuzz.c
 *	  What the fuzz targets share; see fuzz.h.
 *
 * Nothing here is random: OpenSSL's generator is replaced by one that starts
 * anew with each input, so that the same input does the same twice, and the
 * program that writes the seeds knows the same keys as the targets that read
 * them.  No key is kept in a file; with another version of OpenSSL they are
 * others.
 */
#define OPENSSL_API_COMPAT 0x10100000L	/* for RAND_set_rand_method */

#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>

#include "base64url.h"

FuzzKey		fuzz_keys[FUZZ_KEYS];
FuzzToken	fuzz_tokens[FUZZ_TOKENS];

#define MAY_BE_A_KEY	(STATUS(OK) | STATUS(BAD_KEY) | STATUS(WEAK_KEY) | STATUS(UNSUPPORTED_KEY))

const FuzzLabel fuzz_labels[FUZZ_LABELS] = {
	{"PRIVATE KEY", MAY_BE_A_KEY, STATUS(PRIVATE_KEY)},
	{"RSA PRIVATE KEY", MAY_BE_A_KEY, STATUS(PRIVATE_KEY)},
	{"EC PRIVATE KEY", MAY_BE_A_KEY, STATUS(PRIVATE_KEY)},
	{"ENCRYPTED PRIVATE KEY", STATUS(ENCRYPTED_KEY), STATUS(PRIVATE_KEY)},
	{"DSA PRIVATE KEY", STATUS(UNSUPPORTED_KEY), STATUS(PRIVATE_KEY)},
	{"OPENSSH PRIVATE KEY", STATUS(UNSUPPORTED_KEY), STATUS(PRIVATE_KEY)},
	{"PUBLIC KEY", STATUS(NOT_PRIVATE_KEY), MAY_BE_A_KEY},
	{"RSA PUBLIC KEY", STATUS(NOT_PRIVATE_KEY), MAY_BE_A_KEY},
	{"CERTIFICATE", STATUS(NOT_PRIVATE_KEY), MAY_BE_A_KEY},
	{"EC PARAMETERS", STATUS(BAD_KEY), STATUS(BAD_KEY)},
	{"X509 CERTIFICATE", STATUS(BAD_KEY), STATUS(BAD_KEY)},
	{"TRUSTED CERTIFICATE", STATUS(BAD_KEY), STATUS(BAD_KEY)},
	{"ANY PRIVATE KEY", STATUS(BAD_KEY), STATUS(BAD_KEY)},
	{"PARAMETERS", STATUS(BAD_KEY), STATUS(BAD_KEY)},
};

/*
 * Says which property is broken, and dies.
 */
void
fuzz_broken(const char *file, int line, const char *property)
{
	fprintf(stderr, "%s:%d: broken property: %s\n", file, line, property);
	ERR_print_errors_fp(stderr);
	abort();
}

/*
 * Passes a status on that is one of those documented, with nothing in
 * OpenSSL's error queue.
 */
JoseStatus
fuzz_expect(const char *file, int line, const char *call, JoseStatus status, uint64_t statuses)
{
	if ((statuses >> status & 1) == 0)
	{
		fprintf(stderr, "status %d\n", (int) status);
		fuzz_broken(file, line, call);
	}
	if (ERR_peek_error() != 0)
	{
		fprintf(stderr, "an error is left in OpenSSL's queue by:\n");
		fuzz_broken(file, line, call);
	}
	return status;
}

/*
 * Exactly len bytes, so that AddressSanitizer sees what goes beyond them.
 */
void *
fuzz_allocate(size_t len)
{
	void	   *memory = malloc(len > 0 ? len : 1);

	if (memory == NULL)
		abort();
	return memory;
}

/*
 * The next byte, 0 at the end.
 */
unsigned int
fuzz_byte(Input *input)
{
	if (input->len == 0)
		return 0;
	input->len--;
	return *input->data++;
}

/*
 * A length of two bytes, or what is left where that is less.
 */
size_t
fuzz_length(Input *input)
{
	size_t		high = fuzz_byte(input);
	size_t		len = high << 8 | fuzz_byte(input);

	return len < input->len ? len : input->len;
}

/*
 * The next len bytes, as many as there are, in memory of their own.
 */
void *
fuzz_copy(Input *input, size_t len)
{
	void	   *copy = fuzz_allocate(len);

	memcpy(copy, input->data, len);
	input->data += len;
	input->len -= len;
	return copy;
}

/*
 * base64url by the book (RFC 4648 section 5), without a table or a shortcut:
 * what the core's decoder is held against.
 */
bool
fuzz_decode(const char *text, size_t len, unsigned char *bytes, size_t *bytes_len)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	unsigned int bits = 0;
	unsigned int pending = 0;

	*bytes_len = 0;
	for (size_t i = 0; i < len; i++)
	{
		const char *at = text[i] == '\0' ? NULL : strchr(alphabet, text[i]);

		if (at == NULL)
			return false;
		bits = (bits << 6 | (unsigned int) (at - alphabet)) & 0xFFFF;
		pending += 6;
		if (pending >= 8)
		{
			pending -= 8;
			bytes[(*bytes_len)++] = (unsigned char) (bits >> pending);
		}
	}
	return pending < 6 && (bits & ((1U << pending) - 1)) == 0;
}

/*
 * Appends bytes as base64url; returns where the text ends.
 */
char *
fuzz_encode(const unsigned char *bytes, size_t len, char *text)
{
	return text + base64url_encode(bytes, len, text);
}

/*
 * DER, which is not empty, as PEM, freed with OPENSSL_free.
 */
char *
fuzz_pem(const char *label, const unsigned char *der, size_t der_len, size_t *len)
{
	BIO		   *bio = BIO_new(BIO_s_mem());
	char	   *pem;

	if (bio == NULL || PEM_write_bio(bio, label, "", der, (long) der_len) <= 0)
		abort();
	*len = (size_t) BIO_get_mem_data(bio, &pem);
	pem = OPENSSL_memdup(pem, *len);
	if (pem == NULL)
		abort();
	BIO_free(bio);
	return pem;
}

/* --- a generator that can be told to start anew: SplitMix64 -------------------- */

static uint64_t random_state;

static int
random_bytes(unsigned char *buf, int len)
{
	for (int i = 0; i < len; i++)
	{
		uint64_t	z = (random_state += UINT64_C(0x9E3779B97F4A7C15));

		z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
		z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
		buf[i] = (unsigned char) (z >> 56);
	}
	return 1;
}

static int
random_status(void)
{
	return 1;
}

/*
 * Comes before all that may need a random number, with each input.
 */
void
fuzz_start(void)
{
	static const RAND_METHOD method = {
		.bytes = random_bytes, .pseudorand = random_bytes, .status = random_status
	};
	static bool installed = false;

	if (!installed && RAND_set_rand_method(&method) != 1)
		abort();
	installed = true;
	random_state = 0;
}

/* --- keys and tokens that are known --------------------------------------------- */

/*
 * A member of what was exported; NULL where it is not there.
 */
static const char *
member(const JwkMembers *jwk, JwkMember name)
{
	return jwk->text[name].data;
}

static bool
is_empty(const JwkMembers *jwk)
{
	for (int i = 0; i < JWK_MEMBERS; i++)
	{
		if (jwk->text[i].data != NULL || jwk->text[i].len != 0)
			return false;
	}
	return true;
}

/*
 * A key of what was exported; NULL where it is refused.
 */
static JoseKey *
import_export(const JwkMembers *jwk)
{
	JoseKey    *key;

	(void) EXPECT(jwk_import(jwk, &key), STATUS(OK));
	return key;
}

/*
 * A key that went out as a JWK and came back: its public half or, of a secret
 * and where it is asked for, all of it.
 */
static JoseKey *
through_jwk(const JoseKey *key, bool with_private)
{
	JwkMembers	jwk;
	JoseKey    *back;

	(void) EXPECT(jwk_export(key, with_private || key->kty == JOSE_KTY_OCT, &jwk), STATUS(OK));
	PROPERTY((member(&jwk, JWK_K) != NULL) == (key->kty == JOSE_KTY_OCT));
	PROPERTY((member(&jwk, JWK_N) != NULL) == (key->kty == JOSE_KTY_RSA));
	PROPERTY((member(&jwk, JWK_E) != NULL) == (key->kty == JOSE_KTY_RSA));
	PROPERTY((member(&jwk, JWK_Y) != NULL) == (key->kty == JOSE_KTY_EC));
	PROPERTY((member(&jwk, JWK_X) != NULL) == (key->kty == JOSE_KTY_EC || key->kty == JOSE_KTY_OKP));
	PROPERTY((member(&jwk, JWK_D) != NULL) == (with_private && key->kty != JOSE_KTY_OCT));
	back = import_export(&jwk);
	jwk_free_export(&jwk);
	PROPERTY(is_empty(&jwk));
	return back;
}

bool
fuzz_suits(const FuzzKey *key, const JoseAlg *alg)
{
	size_t		len = strlen(alg->name);

	for (const char *at = key->suits; (at = strstr(at, alg->name)) != NULL; at += len)
	{
		if ((at == key->suits || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0'))
			return true;
	}
	return false;
}

/*
 * The keys, always the same; the secrets are long enough for each HMAC.
 */
void
fuzz_make_keys(void)
{
	static const char *const made_for[FUZZ_SIGNERS][2] = {
		{"HS512", "HS256 HS384 HS512"},
		{"RS256", "RS256 RS384 RS512 PS256 PS384 PS512"},
		{"ES256", "ES256"},
		{"ES384", "ES384"},
		{"ES512", "ES512"},
		{"ES256K", "ES256K"},
		{"Ed25519", "EdDSA Ed25519"},
		{"Ed448", "EdDSA Ed448"},
	};

	fuzz_start();
	for (int i = 0; i < FUZZ_KEYS; i++)
	{
		FuzzKey    *key = &fuzz_keys[i];

		key->name = made_for[i % FUZZ_SIGNERS][0];
		key->suits = made_for[i % FUZZ_SIGNERS][1];
		(void) EXPECT(jwk_generate(alg_find(key->name, strlen(key->name)), &key->pair), STATUS(OK));
		key->public_half = through_jwk(key->pair, false);
	}
}

static void
make_token(FuzzToken *token)
{
	unsigned char signature[JWS_MAX_SIGNATURE];
	size_t		len = sizeof(signature);
	char		header[64];
	char		payload[64];
	char	   *end = token->text;

	snprintf(header, sizeof(header), "{\"alg\":\"%s\",\"typ\":\"JWT\"}", token->alg->name);
	snprintf(payload, sizeof(payload), "{\"sub\":\"ann\",\"exp\":%d}", 2000000000);
	end = fuzz_encode((unsigned char *) header, strlen(header), end);
	*end++ = '.';
	end = fuzz_encode((unsigned char *) payload, strlen(payload), end);
	(void) EXPECT(jws_sign(token->alg, token->key->pair, token->text, (size_t) (end - token->text),
						   signature, &len), STATUS(OK));
	*end++ = '.';
	end = fuzz_encode(signature, len, end);
	token->len = (size_t) (end - token->text);
	(void) EXPECT(jws_parse(token->text, token->len, token->decoded, &token->parts), STATUS(OK));
}

void
fuzz_make_tokens(void)
{
	const JoseAlg *alg;
	int			count = 0;

	fuzz_start();
	for (int i = 0; i < FUZZ_SIGNERS; i++)
	{
		for (size_t j = 0; (alg = alg_at(j)) != NULL; j++)
		{
			if (!fuzz_suits(&fuzz_keys[i], alg))
				continue;
			PROPERTY(count < FUZZ_TOKENS);
			fuzz_tokens[count].key = &fuzz_keys[i];
			fuzz_tokens[count].alg = alg;
			make_token(&fuzz_tokens[count++]);
		}
	}
	PROPERTY(count == FUZZ_TOKENS);
}

/* --- what holds of every key ------------------------------------------------------ */

/*
 * Bytes of a signature by a key under an algorithm that suits it.
 */
size_t
fuzz_signature_len(const JoseKey *key, const JoseAlg *alg)
{
	if (key->kty == JOSE_KTY_RSA)
		return ((size_t) EVP_PKEY_get_bits(key->pkey) + 7) / 8;
	if (alg->signature_len == 0)
		return strcmp(key->curve, "Ed448") == 0 ? 114 : 64;
	return alg->signature_len;
}

static BIGNUM *
number_of(const JoseKey *key, const char *param)
{
	BIGNUM	   *number = NULL;

	PROPERTY(EVP_PKEY_get_bn_param(key->pkey, param, &number) == 1);
	return number;
}

/*
 * The public numbers of an RSA key are as RFC 7518 section 3.3 and RFC 8725
 * section 3.5 want them.
 */
static void
check_rsa_public(const JoseKey *key)
{
	BIGNUM	   *n = number_of(key, OSSL_PKEY_PARAM_RSA_N);
	BIGNUM	   *e = number_of(key, OSSL_PKEY_PARAM_RSA_E);

	PROPERTY(BN_num_bits(n) >= 2048 && BN_num_bits(n) <= 16384 && BN_is_odd(n));
	PROPERTY(BN_is_odd(e) && !BN_is_one(e) && BN_num_bits(e) <= 64);
	BN_free(e);
	BN_free(n);
}

/*
 * One prime's half of the private numbers of an RSA key: d and its own
 * exponent invert e.
 */
static void
check_rsa_prime(const JoseKey *key, const BIGNUM *p, const char *exponent)
{
	BN_CTX	   *ctx = BN_CTX_new();
	BIGNUM	   *e = number_of(key, OSSL_PKEY_PARAM_RSA_E);
	BIGNUM	   *d = number_of(key, OSSL_PKEY_PARAM_RSA_D);
	BIGNUM	   *dp = number_of(key, exponent);
	BIGNUM	   *p1 = BN_dup(p);

	PROPERTY(BN_sub_word(p1, 1) == 1 && BN_cmp(dp, p1) < 0);
	PROPERTY(BN_mod_mul(d, e, d, p1, ctx) == 1 && BN_is_one(d));
	PROPERTY(BN_mod_mul(dp, e, dp, p1, ctx) == 1 && BN_is_one(dp));
	BN_free(p1);
	BN_free(dp);
	BN_free(d);
	BN_free(e);
	BN_CTX_free(ctx);
}

/*
 * The private numbers of an RSA key belong to the public ones.
 */
static void
check_rsa_private(const JoseKey *key)
{
	BN_CTX	   *ctx = BN_CTX_new();
	BIGNUM	   *n = number_of(key, OSSL_PKEY_PARAM_RSA_N);
	BIGNUM	   *p = number_of(key, OSSL_PKEY_PARAM_RSA_FACTOR1);
	BIGNUM	   *q = number_of(key, OSSL_PKEY_PARAM_RSA_FACTOR2);
	BIGNUM	   *qi = number_of(key, OSSL_PKEY_PARAM_RSA_COEFFICIENT1);
	BIGNUM	   *product = BN_new();

	PROPERTY(BN_mul(product, p, q, ctx) == 1 && BN_cmp(product, n) == 0);
	PROPERTY(BN_cmp(qi, p) < 0 && BN_mod_mul(product, qi, q, p, ctx) == 1 && BN_is_one(product));
	check_rsa_prime(key, p, OSSL_PKEY_PARAM_RSA_EXPONENT1);
	check_rsa_prime(key, q, OSSL_PKEY_PARAM_RSA_EXPONENT2);
	BN_free(product);
	BN_free(qi);
	BN_free(q);
	BN_free(p);
	BN_free(n);
	BN_CTX_free(ctx);
}

/*
 * The curve goes by its name; the point is on it; d times the base point is the
 * point.
 */
static void
check_ec(const JoseKey *key)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key->pkey, NULL);
	int			is_explicit = 0;

	PROPERTY(EVP_PKEY_get_int_param(key->pkey, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS,
									&is_explicit) != 1 || !is_explicit);
	PROPERTY(ctx != NULL && EVP_PKEY_public_check(ctx) == 1);
	PROPERTY(!key->is_private || EVP_PKEY_pairwise_check(ctx) == 1);
	EVP_PKEY_CTX_free(ctx);
}

/*
 * A key is what jwk.c guarantees of every key.
 */
static void
check_guarantees(const JoseKey *key)
{
	if (key->kty == JOSE_KTY_OCT)
	{
		PROPERTY(key->secret != NULL && key->secret_len > 0 && key->pkey == NULL);
		PROPERTY(key->is_private && key->curve == NULL);
		return;
	}
	PROPERTY(key->pkey != NULL && key->secret == NULL);
	PROPERTY((key->curve == NULL) == (key->kty == JOSE_KTY_RSA));
	if (key->kty == JOSE_KTY_RSA)
		check_rsa_public(key);
	if (key->kty == JOSE_KTY_RSA && key->is_private)
		check_rsa_private(key);
	if (key->kty == JOSE_KTY_EC)
		check_ec(key);
}

/*
 * The thumbprint of RFC 7638 section 3, of the members written out.
 */
static void
expected_thumbprint(const JoseKey *key, unsigned char thumbprint[JWK_THUMBPRINT_LEN])
{
	char		text[16384];	/* inputs, and with them secrets, are shorter */
	int			text_len = 0;
	size_t		len = JWK_THUMBPRINT_LEN;
	JwkMembers	jwk;

	(void) EXPECT(jwk_export(key, key->kty == JOSE_KTY_OCT, &jwk), STATUS(OK));
	switch (key->kty)
	{
		case JOSE_KTY_OCT:
			text_len = snprintf(text, sizeof(text), "{\"k\":\"%s\",\"kty\":\"oct\"}", member(&jwk, JWK_K));
			break;
		case JOSE_KTY_RSA:
			text_len = snprintf(text, sizeof(text), "{\"e\":\"%s\",\"kty\":\"RSA\",\"n\":\"%s\"}",
								member(&jwk, JWK_E), member(&jwk, JWK_N));
			break;
		case JOSE_KTY_EC:
			text_len = snprintf(text, sizeof(text), "{\"crv\":\"%s\",\"kty\":\"EC\",\"x\":\"%s\",\"y\":\"%s\"}",
								member(&jwk, JWK_CRV), member(&jwk, JWK_X), member(&jwk, JWK_Y));
			break;
		case JOSE_KTY_OKP:
			text_len = snprintf(text, sizeof(text), "{\"crv\":\"%s\",\"kty\":\"OKP\",\"x\":\"%s\"}",
								member(&jwk, JWK_CRV), member(&jwk, JWK_X));
			break;
	}
	PROPERTY(text_len > 0 && text_len < (int) sizeof(text));
	PROPERTY(EVP_Q_digest(NULL, "SHA256", NULL, text, (size_t) text_len, thumbprint, &len) == 1);
	jwk_free_export(&jwk);
}

static void
check_same(const JoseKey *key, const JoseKey *other)
{
	unsigned char thumbprint[2][JWK_THUMBPRINT_LEN];

	PROPERTY(key->kty == other->kty);
	PROPERTY(key->curve == other->curve);
	if (key->kty == JOSE_KTY_OCT)
		PROPERTY(key->secret_len == other->secret_len &&
				 memcmp(key->secret, other->secret, key->secret_len) == 0);
	else
		PROPERTY(EVP_PKEY_eq(key->pkey, other->pkey) == 1);
	expected_thumbprint(key, thumbprint[0]);
	(void) EXPECT(jwk_thumbprint(other, thumbprint[1]), STATUS(OK));
	PROPERTY(memcmp(thumbprint[0], thumbprint[1], JWK_THUMBPRINT_LEN) == 0);
}

/*
 * Takes a key over that should be the same again.
 */
static void
check_back(const JoseKey *key, JoseKey *back, bool is_private)
{
	PROPERTY(back->is_private == is_private);
	check_same(key, back);
	jwk_free(back);
}

static void
check_pem(const JoseKey *key, bool is_private)
{
	unsigned char *pem;
	size_t		len;
	JoseKey    *back;

	(void) EXPECT(jwk_to_pem(key, is_private, &pem, &len), STATUS(OK));
	PROPERTY(jwk_looks_like_key((char *) pem, len) == JWK_LOOKS_KEY_FILE);
	(void) EXPECT(is_private ? jwk_from_public_pem((char *) pem, len, &back) :
				  jwk_from_private_pem((char *) pem, len, &back),
				  is_private ? STATUS(PRIVATE_KEY) : STATUS(NOT_PRIVATE_KEY));
	PROPERTY(back == NULL);
	(void) EXPECT(is_private ? jwk_from_private_pem((char *) pem, len, &back) :
				  jwk_from_public_pem((char *) pem, len, &back), STATUS(OK));
	check_back(key, back, is_private);
	jwk_free_bytes(pem, len);
}

/*
 * Out to bytes and back in, as a key of an algorithm that it may not suit.
 */
static void
check_bytes(const JoseKey *key, const JoseAlg *alg)
{
	unsigned char *bytes;
	size_t		len;
	JoseKey    *back;

	(void) EXPECT(jwk_to_bytes(key, &bytes, &len), STATUS(OK));
	if ((key->kty == JOSE_KTY_OCT) == (alg->kty == JOSE_KTY_OCT))
	{
		(void) EXPECT(jwk_from_bytes(alg, bytes, len, &back), UINT64_C(1) << jwk_check_alg(key, alg));
		PROPERTY((back != NULL) == (jwk_check_alg(key, alg) == JOSE_OK));
		if (back != NULL)
			check_back(key, back, true);
	}
	jwk_free_bytes(bytes, len);
}

/*
 * A public key has no private half to give away.
 */
static void
check_public_only(JoseKey *key)
{
	unsigned char *bytes;
	size_t		len;
	JwkMembers	jwk;

	(void) EXPECT(jwk_export(key, true, &jwk), STATUS(NOT_PRIVATE_KEY));
	PROPERTY(is_empty(&jwk));
	(void) EXPECT(jwk_to_bytes(key, &bytes, &len), STATUS(NOT_PRIVATE_KEY));
	PROPERTY(bytes == NULL && len == 0);
	(void) EXPECT(jwk_to_pem(key, true, &bytes, &len), STATUS(NOT_PRIVATE_KEY));
	PROPERTY(bytes == NULL && len == 0);
}

/*
 * A secret has no public half, and no form but a JWK.
 */
static void
check_secret_only(JoseKey *key)
{
	unsigned char *pem;
	size_t		len;
	JwkMembers	jwk;

	(void) EXPECT(jwk_export(key, false, &jwk), STATUS(BAD_KEY));
	PROPERTY(is_empty(&jwk));
	(void) EXPECT(jwk_to_pem(key, true, &pem, &len), STATUS(UNSUPPORTED_KEY));
	PROPERTY(pem == NULL && len == 0);
}

/*
 * The private half signs what the public one verifies, and no longer with one
 * bit changed.
 */
static void
check_signs(JoseKey *key, JoseKey *public_half, const JoseAlg *alg)
{
	static const char message[] = "fuzz";
	unsigned char signature[JWS_MAX_SIGNATURE];
	size_t		len = sizeof(signature);

	if (EXPECT(jws_sign(alg, key, message, sizeof(message), signature, &len),
			   key->is_private ? STATUS(OK) : STATUS(NOT_PRIVATE_KEY)) != JOSE_OK)
		return;
	PROPERTY(len == fuzz_signature_len(key, alg));
	(void) EXPECT(jws_verify(alg, public_half, message, sizeof(message), signature, len), STATUS(OK));
	signature[len - 1] ^= 1;
	(void) EXPECT(jws_verify(alg, public_half, message, sizeof(message), signature, len), STATUS(BAD_SIGNATURE));
}

/*
 * Signatures that anybody can make verify with no key: all zeros, or EdDSA's
 * R = the neutral element and S = 0, which is right for some messages where
 * the key is of low order.
 */
static void
check_worthless_signatures(JoseKey *key, const JoseAlg *alg)
{
	static const char messages[] = "0123";
	unsigned char signature[JWS_MAX_SIGNATURE] = {0};
	size_t		len = fuzz_signature_len(key, alg);

	(void) EXPECT(jws_verify(alg, key, messages, sizeof(messages), signature, len), STATUS(BAD_SIGNATURE));
	if (key->kty != JOSE_KTY_OKP)
		return;
	signature[0] = 1;
	for (size_t i = 0; i < sizeof(messages); i++)
		(void) EXPECT(jws_verify(alg, key, messages, i, signature, len), STATUS(BAD_SIGNATURE));
}

/*
 * What jwk_check_alg has to say: RFC 7518 sections 3.2 to 3.5, RFC 8037 section
 * 3.1.
 */
static JoseStatus
expected_check(const JoseKey *key, const JoseAlg *alg)
{
	if (key->kty != alg->kty)
		return JOSE_KEY_MISMATCH;
	if (key->kty == JOSE_KTY_OCT)
		return key->secret_len * 8 < strtoul(alg->name + 2, NULL, 10) ? JOSE_WEAK_KEY : JOSE_OK;
	if (alg->curve != NULL && strcmp(alg->curve, key->curve) != 0)
		return JOSE_KEY_MISMATCH;
	return JOSE_OK;
}

/*
 * What holds of every key that could be read, whatever it was read from.
 */
void
fuzz_check_key(JoseKey *key, const JoseAlg *alg)
{
	bool		has_public = key->kty != JOSE_KTY_OCT;
	JoseKey    *public_half = through_jwk(key, false);
	JoseStatus	suits = EXPECT(jwk_check_alg(key, alg), UINT64_C(1) << expected_check(key, alg));
	unsigned char signature[JWS_MAX_SIGNATURE];
	size_t		len = sizeof(signature);

	check_guarantees(key);
	if (key->is_private)
	{
		check_back(key, through_jwk(key, true), true);
		check_bytes(key, alg);
	}
	else
		check_public_only(key);
	if (has_public && key->is_private)
		check_pem(key, true);
	if (has_public)
		check_pem(key, false);
	else
		check_secret_only(key);

	if (suits == JOSE_OK)
	{
		check_signs(key, public_half, alg);
		check_worthless_signatures(public_half, alg);
	}
	else
	{
		(void) EXPECT(jws_sign(alg, key, "", 0, signature, &len), UINT64_C(1) << suits);
		(void) EXPECT(jws_verify(alg, key, "", 0, signature, 0), UINT64_C(1) << suits);
	}
	check_back(key, public_half, !has_public);
}
