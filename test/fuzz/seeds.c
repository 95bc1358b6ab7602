/*
 * seeds.c
 *	  seeds DIRECTORY: writes the inputs that the fuzz targets start from, a
 *	  directory of files for each target, from keys and tokens that are made
 *	  here and now.
 *
 * The keys and tokens are the ones that the targets know, see fuzz.c, and some
 * that are no good: a type or curve of no use, too short, of low order,
 * encrypted.
 */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/encoder.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base64url.h"

#define LENGTH_OF(array)	(sizeof(array) / sizeof((array)[0]))

/* A seed while it is written, of the target whose directory is the current one. */
static FILE *seed;
static const char *root;
static const char *target;
static int	count;

static void
start_target(const char *name)
{
	char		path[4096];

	snprintf(path, sizeof(path), "%s/%s", root, name);
	PROPERTY(mkdir(path, 0777) == 0);
	target = name;
	count = 0;
}

static void
start_seed(void)
{
	char		path[4096];

	snprintf(path, sizeof(path), "%s/%s/%03d", root, target, count++);
	PROPERTY((seed = fopen(path, "wb")) != NULL);
}

static void
put(const void *data, size_t len)
{
	PROPERTY(fwrite(data, 1, len, seed) == len);
}

static void
put_byte(unsigned int byte)
{
	PROPERTY(fputc((int) byte, seed) != EOF);
}

static void
put_length(size_t len)
{
	put_byte((unsigned int) len >> 8);
	put_byte((unsigned int) len & 0xFF);
}

static void
end_seed(void)
{
	PROPERTY(fclose(seed) == 0);
}

static void
text_seed(const char *text)
{
	start_seed();
	put(text, strlen(text));
	end_seed();
}

static unsigned int
alg_index(const JoseAlg *alg)
{
	unsigned int i = 0;

	while (alg_at(i) != alg)
		i++;
	return i;
}

/* --- the targets of text ---------------------------------------------------------- */

static void
base64url_seeds(void)
{
	static const char *const texts[] = {
		"", "A", "AA", "AB", "AAA", "AAB", "AAAA", "AAAAA", "_-8", "+/8=", "Zm9vYmFy", "Zm9v\nYmFy",
		"eyJhbGciOiJIUzI1NiJ9"
	};

	start_target("base64url");
	for (size_t i = 0; i < LENGTH_OF(texts); i++)
		text_seed(texts[i]);
}

static void
numericdate_seeds(void)
{
	static const char *const texts[] = {
		"0", "-0.0", "1300819380", "1300819380.123456", "1300819380.1234567", "-1.0000001", "1e10", "1E-7",
		"9223372036854.775807", "9223372036854.775808", "-9223372036854.775808", "-9223372036854.7758081",
		"0.00000000000000000000000000000001e40", "100000000000000000000000000e-20", "1e999999999999999999999",
		"1e-999999999999999999999", ".", "-", "1.2.3", "1e", "1e+", "null"
	};

	start_target("numericdate");
	for (size_t i = 0; i < LENGTH_OF(texts); i++)
		text_seed(texts[i]);
}

static void
parse_seeds(void)
{
	static const char *const texts[] = {
		"", "..", "e30.e30.AA", "e30..AA", "e30.e30.", ".e30.AA", "e30.e30", "e30.e30.AA.AA", "e30=.e30.AA",
		"e31.e30.AA", "e30.e30.AB"
	};

	start_target("parse");
	for (size_t i = 0; i < LENGTH_OF(texts); i++)
		text_seed(texts[i]);
	for (int i = 0; i < FUZZ_TOKENS; i++)
	{
		start_seed();
		put(fuzz_tokens[i].text, fuzz_tokens[i].len);
		end_seed();
	}
}

/* --- an EC key of short numbers ----------------------------------------------------- */

/* Bytes of d and of each coordinate of P-256. */
#define P256_BYTES	32

/*
 * The smallest d whose point on P-256 has an x that begins with a zero, as d
 * itself does: numbers that have to be padded.
 */
static void
find_short_numbers(unsigned char d[P256_BYTES], unsigned char x[P256_BYTES], unsigned char y[P256_BYTES])
{
	EC_GROUP   *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
	EC_POINT   *point = EC_POINT_new(group);
	BN_CTX	   *ctx = BN_CTX_new();
	BIGNUM	   *number = BN_new();
	BIGNUM	   *coordinate[2] = {BN_new(), BN_new()};

	do
	{
		PROPERTY(BN_add_word(number, 1) == 1 && EC_POINT_mul(group, point, number, NULL, NULL, ctx) == 1);
		PROPERTY(EC_POINT_get_affine_coordinates(group, point, coordinate[0], coordinate[1], ctx) == 1);
	} while (BN_num_bytes(coordinate[0]) == P256_BYTES);
	PROPERTY(BN_bn2binpad(number, d, P256_BYTES) == P256_BYTES);
	PROPERTY(BN_bn2binpad(coordinate[0], x, P256_BYTES) == P256_BYTES);
	PROPERTY(BN_bn2binpad(coordinate[1], y, P256_BYTES) == P256_BYTES);
	BN_free(coordinate[0]);
	BN_free(coordinate[1]);
	BN_free(number);
	BN_CTX_free(ctx);
	EC_POINT_free(point);
	EC_GROUP_free(group);
}

/* --- jwk ---------------------------------------------------------------------------- */

static void
put_member(unsigned int tag, const char *text)
{
	if (text == NULL)
		return;
	put_byte(tag);
	put_length(strlen(text));
	put(text, strlen(text));
}

static void
put_bytes(unsigned int tag, const unsigned char *bytes, size_t len)
{
	put_byte(tag | FUZZ_ENCODE);
	put_length(len);
	put(bytes, len);
}

/*
 * base64url as the bytes that it encodes.
 */
static void
put_number(unsigned int tag, const char *text)
{
	unsigned char bytes[4096];
	size_t		len;

	if (text == NULL)
		return;
	PROPERTY(strlen(text) < sizeof(bytes) && base64url_decode(text, strlen(text), bytes, &len));
	put_bytes(tag, bytes, len);
}

static void
jwk_seed(const JwkMembers *jwk, const char *alg, void (*put_value) (unsigned int, const char *))
{
	start_seed();
	for (unsigned int i = 0; i < JWK_MEMBERS; i++)
		(i == JWK_KTY || i == JWK_CRV ? put_member : put_value) (i, jwk->text[i].data);
	put_member(FUZZ_ALG, alg);
	end_seed();
}

static void
jwk_seeds_of(const FuzzKey *key, bool is_private)
{
	JwkMembers	jwk;

	(void) EXPECT(jwk_export(key->pair, is_private, &jwk), STATUS(OK));
	jwk_seed(&jwk, key->name, put_member);
	jwk_seed(&jwk, key->name, put_number);
	jwk_free_export(&jwk);
}

/*
 * An RSA key of nothing but public numbers: whatever is odd is one.
 */
static void
rsa_seed(size_t n_len, unsigned int first, unsigned int last, const char *e)
{
	start_seed();
	put_member(JWK_KTY, "RSA");
	put_member(FUZZ_ALG, "PS512");
	put_member(JWK_E, e);
	put_byte(JWK_N | FUZZ_ENCODE);
	put_length(n_len);
	put_byte(first);
	for (size_t i = 2; i < n_len; i++)
		put_byte(0xA5);
	put_byte(last);
	end_seed();
}

/*
 * An OKP key of whose x all bytes but the first and the last are the same.
 */
static void
okp_seed(const char *crv, size_t len, unsigned int first, unsigned int middle, unsigned int last)
{
	start_seed();
	put_member(JWK_KTY, "OKP");
	put_member(FUZZ_ALG, crv);
	put_member(JWK_CRV, crv);
	put_byte(JWK_X | FUZZ_ENCODE);
	put_length(len);
	put_byte(first);
	for (size_t i = 2; i < len; i++)
		put_byte(middle);
	put_byte(last);
	end_seed();
}

static void
short_numbers_seed(void)
{
	unsigned char d[P256_BYTES];
	unsigned char x[P256_BYTES];
	unsigned char y[P256_BYTES];

	find_short_numbers(d, x, y);
	start_seed();
	put_member(JWK_KTY, "EC");
	put_member(JWK_CRV, "P-256");
	put_bytes(JWK_X, x, sizeof(x));
	put_bytes(JWK_Y, y, sizeof(y));
	put_bytes(JWK_D, d, sizeof(d));
	put_member(FUZZ_ALG, "ES256");
	end_seed();
}

static void
jwk_seeds(void)
{
	start_target("jwk");
	for (int i = 0; i < FUZZ_SIGNERS; i++)
	{
		jwk_seeds_of(&fuzz_keys[i], true);
		if (fuzz_keys[i].pair->kty != JOSE_KTY_OCT)
			jwk_seeds_of(&fuzz_keys[i], false);
	}
	rsa_seed(255, 0xFF, 0xA5, "AQAB");
	rsa_seed(256, 0x7F, 0xA5, "AQAB");
	rsa_seed(256, 0x80, 0xA4, "AQAB");
	rsa_seed(256, 0x80, 0xA5, "AQ");
	rsa_seed(256, 0x80, 0xA5, "Aw");
	rsa_seed(256, 0x80, 0xA5, "__________8");
	rsa_seed(256, 0x80, 0xA5, "AQAAAAAAAAAB");
	rsa_seed(2048, 0x80, 0xA5, "AQAB");
	rsa_seed(2049, 0x01, 0xA5, "AQAB");
	okp_seed("Ed25519", 32, 0x00, 0x00, 0x00);
	okp_seed("Ed25519", 32, 0x01, 0x00, 0x80);
	okp_seed("Ed25519", 32, 0xEC, 0xFF, 0x7F);
	okp_seed("Ed25519", 32, 0xEE, 0xFF, 0xFF);
	okp_seed("Ed448", 57, 0x00, 0x00, 0x00);
	okp_seed("Ed448", 57, 0x01, 0x00, 0x80);
	short_numbers_seed();
}

/* --- pem ---------------------------------------------------------------------------- */

static void
start_pem_seed(const char *alg, unsigned int label)
{
	start_seed();
	put_byte(alg_index(alg_find(alg, strlen(alg))));
	put_byte(label);
}

/*
 * What a BIO holds, as text; takes it over.
 */
static void
pem_text_seed(const char *alg, BIO *bio)
{
	char	   *text;
	long		len = BIO_get_mem_data(bio, &text);

	start_pem_seed(alg, 0);
	put(text, (size_t) len);
	end_seed();
	BIO_free(bio);
}

/*
 * DER in the form that goes with a label, and the whole as text; takes it over.
 */
static void
der_seeds(const char *alg, const char *label, unsigned char *der, size_t len)
{
	BIO		   *bio = BIO_new(BIO_s_mem());
	unsigned int i = 0;

	PROPERTY(der != NULL && bio != NULL);
	while (strcmp(fuzz_labels[i].name, label) != 0)
		i++;
	start_pem_seed(alg, 1 + i);
	put(der, len);
	end_seed();
	PROPERTY(PEM_write_bio(bio, label, "", der, (long) len) > 0);
	pem_text_seed(alg, bio);
	OPENSSL_free(der);
}

static void
pkey_seeds(const char *alg, EVP_PKEY *pkey, int selection, const char *structure, const char *label)
{
	OSSL_ENCODER_CTX *ctx = OSSL_ENCODER_CTX_new_for_pkey(pkey, selection, "DER", structure, NULL);
	unsigned char *der = NULL;
	size_t		len = 0;

	PROPERTY(OSSL_ENCODER_to_data(ctx, &der, &len) == 1);
	OSSL_ENCODER_CTX_free(ctx);
	der_seeds(alg, label, der, len);
}

static void
pair_seeds(const char *alg, EVP_PKEY *pkey)
{
	pkey_seeds(alg, pkey, EVP_PKEY_KEYPAIR, "PrivateKeyInfo", "PRIVATE KEY");
	pkey_seeds(alg, pkey, EVP_PKEY_PUBLIC_KEY, "SubjectPublicKeyInfo", "PUBLIC KEY");
}

static void
certificate_seeds(const char *alg, EVP_PKEY *pkey)
{
	X509	   *certificate = X509_new();
	X509_NAME  *name = X509_NAME_new();
	unsigned char *der = NULL;
	int			len;

	PROPERTY(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *) "fuzz", -1, -1, 0) == 1);
	PROPERTY(X509_set_version(certificate, X509_VERSION_3) == 1);
	PROPERTY(ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1) == 1);
	PROPERTY(X509_set_subject_name(certificate, name) == 1 && X509_set_issuer_name(certificate, name) == 1);
	PROPERTY(ASN1_TIME_set_string(X509_getm_notBefore(certificate), "20260101000000Z") == 1);
	PROPERTY(ASN1_TIME_set_string(X509_getm_notAfter(certificate), "20360101000000Z") == 1);
	PROPERTY(X509_set_pubkey(certificate, pkey) == 1);
	PROPERTY(X509_sign(certificate, pkey, EVP_PKEY_is_a(pkey, "ED25519") ? NULL : EVP_sha256()) > 0);
	len = i2d_X509(certificate, &der);
	X509_NAME_free(name);
	X509_free(certificate);
	der_seeds(alg, "CERTIFICATE", der, (size_t) len);
}

/*
 * The two ways in which PEM is encrypted.
 */
static void
encrypted_seeds(const char *alg, EVP_PKEY *pkey)
{
	BIO		   *bio = BIO_new(BIO_s_mem());

	PROPERTY(PEM_write_bio_PKCS8PrivateKey(bio, pkey, EVP_aes_256_cbc(), "fuzz", 4, NULL, NULL) == 1);
	pem_text_seed(alg, bio);
	bio = BIO_new(BIO_s_mem());
	PROPERTY(PEM_write_bio_PrivateKey_traditional(bio, pkey, EVP_aes_128_cbc(), (const unsigned char *) "fuzz", 4,
												  NULL, NULL) == 1);
	pem_text_seed(alg, bio);
}

/*
 * The same key with its curve spelled out, and with its point compressed.
 */
static void
ec_form_seeds(const char *alg, EVP_PKEY *pkey)
{
	EVP_PKEY   *copy = EVP_PKEY_dup(pkey);

	PROPERTY(EVP_PKEY_set_utf8_string_param(copy, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
											OSSL_PKEY_EC_POINT_CONVERSION_FORMAT_COMPRESSED) == 1);
	pair_seeds(alg, copy);
	PROPERTY(EVP_PKEY_set_utf8_string_param(copy, OSSL_PKEY_PARAM_EC_ENCODING,
											OSSL_PKEY_EC_ENCODING_EXPLICIT) == 1);
	pair_seeds(alg, copy);
	EVP_PKEY_free(copy);
}

/*
 * What `openssl ecparam -genkey` writes: the parameters, and the key.
 */
static void
ecparam_seed(EVP_PKEY *pkey)
{
	BIO		   *bio = BIO_new(BIO_s_mem());

	PROPERTY(PEM_write_bio_Parameters(bio, pkey) == 1);
	PROPERTY(PEM_write_bio_PrivateKey_traditional(bio, pkey, NULL, NULL, 0, NULL, NULL) == 1);
	pem_text_seed("ES256", bio);
}

/*
 * Keys that are none here, whatever OpenSSL makes of them.
 */
static void
useless_seeds(void)
{
	EVP_PKEY   *useless[] = {
		EVP_PKEY_Q_keygen(NULL, NULL, "EC", "secp224r1"),
		EVP_PKEY_Q_keygen(NULL, NULL, "EC", "brainpoolP256r1"),
		EVP_PKEY_Q_keygen(NULL, NULL, "EC", "sect233k1"),
		EVP_PKEY_Q_keygen(NULL, NULL, "X25519"),
		EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t) 1024),
		EVP_PKEY_Q_keygen(NULL, NULL, "SM2"),
	};

	for (size_t i = 0; i < LENGTH_OF(useless); i++)
	{
		PROPERTY(useless[i] != NULL);
		pair_seeds("RS256", useless[i]);
		EVP_PKEY_free(useless[i]);
	}
}

/*
 * The DER of an RSA public key with n of so many bytes, most of them the same.
 */
static void
rsa_public_seeds(size_t n_len, unsigned char last, unsigned char e)
{
	size_t		body_len = 4 + n_len + 3;
	unsigned char *der = OPENSSL_malloc(4 + body_len);
	const unsigned char head[] = {
		0x30, 0x82, (unsigned char) (body_len >> 8), (unsigned char) body_len,
		0x02, 0x82, (unsigned char) (n_len >> 8), (unsigned char) n_len
	};

	PROPERTY(der != NULL);
	memset(der, 0x5A, 4 + body_len);
	memcpy(der, head, sizeof(head));
	der[sizeof(head) + n_len - 1] = last;
	der[body_len + 1] = 0x02;
	der[body_len + 2] = 0x01;
	der[body_len + 3] = e;
	der_seeds("RS256", "RSA PUBLIC KEY", der, 4 + body_len);
}

/*
 * Keys of the right type with a point that is none: at infinity, of low order.
 */
static void
bad_point_seeds(void)
{
	static const unsigned char infinity[] = {
		0x30, 0x19, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01,
		0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07, 0x03, 0x02, 0x00, 0x00
	};
	static const unsigned char zeros[57] = {0};
	EVP_PKEY   *low_order[] = {
		EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, zeros, 32),
		EVP_PKEY_new_raw_public_key_ex(NULL, "ED448", NULL, zeros, 57),
	};

	der_seeds("ES256", "PUBLIC KEY", OPENSSL_memdup(infinity, sizeof(infinity)), sizeof(infinity));
	for (size_t i = 0; i < LENGTH_OF(low_order); i++)
	{
		pkey_seeds("EdDSA", low_order[i], EVP_PKEY_PUBLIC_KEY, "SubjectPublicKeyInfo", "PUBLIC KEY");
		EVP_PKEY_free(low_order[i]);
	}
}

static void
pem_seeds(void)
{
	start_target("pem");
	for (int i = 0; i < FUZZ_SIGNERS; i++)
	{
		const char *alg = fuzz_keys[i].name;
		EVP_PKEY   *pkey = fuzz_keys[i].pair->pkey;

		if (pkey == NULL)
			continue;
		pair_seeds(alg, pkey);
		if (fuzz_keys[i].pair->kty == JOSE_KTY_EC)
		{
			ec_form_seeds(alg, pkey);
			pkey_seeds(alg, pkey, EVP_PKEY_KEYPAIR, "type-specific", "EC PRIVATE KEY");
		}
		if (fuzz_keys[i].pair->kty == JOSE_KTY_RSA)
		{
			pkey_seeds(alg, pkey, EVP_PKEY_KEYPAIR, "type-specific", "RSA PRIVATE KEY");
			pkey_seeds(alg, pkey, EVP_PKEY_PUBLIC_KEY, "type-specific", "RSA PUBLIC KEY");
			encrypted_seeds(alg, pkey);
		}
		if (strcmp(alg, "RS256") == 0 || strcmp(alg, "ES256") == 0 || strcmp(alg, "Ed25519") == 0)
			certificate_seeds(alg, pkey);
		if (strcmp(alg, "ES256") == 0)
			ecparam_seed(pkey);
	}
	useless_seeds();
	rsa_public_seeds(257, 0x01, 3);
	rsa_public_seeds(257, 0x00, 3);
	rsa_public_seeds(257, 0x01, 1);
	rsa_public_seeds(2048, 0x01, 3);
	rsa_public_seeds(2049, 0x01, 3);
	bad_point_seeds();
	pem_text_seed("HS256", BIO_new_mem_buf("ssh-ed25519 AAAA", -1));
	pem_text_seed("HS256", BIO_new_mem_buf(" \xEF\xBB\xBF\n" "ecdsa-sha2-nistp256 AAAA", -1));
}

/* --- verify and sign ----------------------------------------------------------------- */

static void
verify_seed(const FuzzToken *token, const JoseAlg *alg, unsigned int key)
{
	const JwsParts *parts = &token->parts;

	start_seed();
	put_byte(alg_index(alg));
	put_byte(key);
	put_byte((unsigned int) count % 2);
	put_length(parts->header_len);
	put(parts->header, parts->header_len);
	put_length(parts->payload_len);
	put(parts->payload, parts->payload_len);
	put(parts->signature, parts->signature_len);
	end_seed();
}

/*
 * Each token, and the same for somebody else's key, and for another algorithm.
 */
static void
verify_seeds(void)
{
	start_target("verify");
	for (int i = 0; i < FUZZ_TOKENS; i++)
	{
		const FuzzToken *token = &fuzz_tokens[i];
		unsigned int key = (unsigned int) (token->key - fuzz_keys);

		verify_seed(token, token->alg, key);
		verify_seed(token, token->alg, key + FUZZ_SIGNERS);
		verify_seed(token, alg_at((alg_index(token->alg) + 1) % 16), key);
	}
}

static void
sign_seeds(void)
{
	start_target("sign");
	for (int i = 0; i < FUZZ_TOKENS; i++)
	{
		for (unsigned int change = 0; change < 8; change++)
		{
			unsigned int alg = alg_index(fuzz_tokens[i].alg);

			start_seed();
			put_byte(alg);
			put_byte((unsigned int) (fuzz_tokens[i].key - fuzz_keys));
			put_byte((alg + change) % 16);
			put_byte(change);
			put_length(change);
			put(fuzz_tokens[i].text, fuzz_tokens[i].parts.signing_input_len);
			end_seed();
		}
	}
}

int
main(int argc, char **argv)
{
	if (argc != 2)
	{
		fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
		return 2;
	}
	root = argv[1];
	fuzz_make_keys();
	fuzz_make_tokens();
	base64url_seeds();
	numericdate_seeds();
	parse_seeds();
	jwk_seeds();
	pem_seeds();
	verify_seeds();
	sign_seeds();
	for (int i = 0; i < FUZZ_KEYS; i++)
	{
		jwk_free(fuzz_keys[i].pair);
		jwk_free(fuzz_keys[i].public_half);
	}
	return 0;
}
