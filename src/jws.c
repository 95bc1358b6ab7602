/*
 * jws.c
 *	  JWS compact serialization: RFC 7515 sections 5 and 7.1, with the
 *	  signatures of RFC 7518 section 3, RFC 8037 section 3.1, RFC 8812
 *	  section 3.2 and RFC 9864 section 2.2.
 *
 * Owns splitting a token, signing and verifying.  Guarantees that the key
 * decides: its type, curve and size are held against the algorithm before it
 * touches a byte, no length is taken from the token, each signature has one
 * form of one length, tags are compared in constant time, and JOSE_OK means
 * that the signature is right.  Whatever is wrong with a signature is
 * JOSE_BAD_SIGNATURE.
 *
 * What is fetched from OpenSSL is kept for the life of the process; like a
 * PostgreSQL backend, this file knows one thread.
 */
#include "jws.h"

#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <openssl/rsa.h>

#include "base64url.h"

/* Room for the digests that the table of algorithms names. */
#define MAX_DIGESTS		8

/* The longest ECDSA signature in DER, that of P-521, has 139 bytes. */
#define MAX_ECDSA_DER	160

/*
 * Splits at the dots: exactly three segments, pointers into the token.
 */
static bool
split(const char *token, size_t len, const char *segment[3], size_t segment_len[3])
{
	const char *end = token + len;

	for (int i = 0; i < 3; i++)
	{
		const char *dot = token < end ? memchr(token, '.', (size_t) (end - token)) : NULL;

		/* A dot ends each segment but the last. */
		if ((dot != NULL) != (i < 2))
			return false;
		segment[i] = token;
		segment_len[i] = (size_t) ((dot != NULL ? dot : end) - token);
		if (dot != NULL)
			token = dot + 1;
	}
	return true;
}

/*
 * Splits and decodes a token.  buf has room for len bytes and takes the three
 * decoded pieces; an empty payload passes.  JOSE_MALFORMED where there are not
 * three segments or the first or last is empty (so an unsecured JWS, too, RFC
 * 7519 section 6), JOSE_BAD_ENCODING where one is not base64url.
 */
JoseStatus
jws_parse(const char *token, size_t len, unsigned char *buf, JwsParts *parts)
{
	const char *segment[3];
	size_t		segment_len[3];

	memset(parts, 0, sizeof(*parts));
	if (len == 0 || !split(token, len, segment, segment_len))
		return JOSE_MALFORMED;
	if (segment_len[0] == 0 || segment_len[2] == 0)
		return JOSE_MALFORMED;

	parts->header = buf;
	if (!base64url_decode(segment[0], segment_len[0], parts->header, &parts->header_len))
		return JOSE_BAD_ENCODING;
	parts->payload = parts->header + parts->header_len;
	if (!base64url_decode(segment[1], segment_len[1], parts->payload, &parts->payload_len))
		return JOSE_BAD_ENCODING;
	parts->signature = parts->payload + parts->payload_len;
	if (!base64url_decode(segment[2], segment_len[2], parts->signature, &parts->signature_len))
		return JOSE_BAD_ENCODING;

	parts->signing_input = token;
	parts->signing_input_len = segment_len[0] + 1 + segment_len[1];
	return JOSE_OK;
}

/*
 * Fetches an algorithm's digest, once per process.  False where OpenSSL does
 * not have it; *md is NULL where the algorithm brings its own.
 */
static bool
find_digest(const JoseAlg *alg, const EVP_MD **md)
{
	static struct
	{
		const char *name;
		EVP_MD	   *md;
	}			digests[MAX_DIGESTS];

	*md = NULL;
	if (alg->digest == NULL)
		return true;
	for (int i = 0; i < MAX_DIGESTS; i++)
	{
		if (digests[i].md == NULL)
		{
			digests[i].name = alg->digest;
			digests[i].md = EVP_MD_fetch(NULL, alg->digest, NULL);
		}
		if (digests[i].md == NULL)
			return false;
		if (strcmp(digests[i].name, alg->digest) == 0)
		{
			*md = digests[i].md;
			return true;
		}
	}
	return false;
}

/*
 * An HMAC context that has the secret in it, made anew; NULL on failure.
 */
static EVP_MAC_CTX *
hmac_new(const JoseAlg *alg, const JoseKey *key)
{
	static EVP_MAC *hmac = NULL;
	EVP_MAC_CTX *ctx;
	OSSL_PARAM	params[2];

	if (hmac == NULL && (hmac = EVP_MAC_fetch(NULL, "HMAC", NULL)) == NULL)
		return NULL;
	if ((ctx = EVP_MAC_CTX_new(hmac)) == NULL)
		return NULL;

	params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *) alg->digest, 0);
	params[1] = OSSL_PARAM_construct_end();
	if (EVP_MAC_init(ctx, key->secret, key->secret_len, params) != 1)
	{
		EVP_MAC_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

/*
 * Starts a keyed context anew.  Without a key OpenSSL before 3.0.3 reports
 * success and leaves the context where the input of before has put it, so that
 * it has to be given the key again, at the cost of the key's schedule.
 */
static bool
hmac_restart(JoseKey *key)
{
	bool		again = OpenSSL_version_num() < 0x30000030L;

	return EVP_MAC_init(key->mac, again ? key->secret : NULL, again ? key->secret_len : 0, NULL) == 1;
}

/*
 * Computes the tag: exactly alg->digest_len bytes.  The keyed context stays
 * with the key and starts anew each time, so that a token costs no key
 * schedule.
 */
static bool
hmac_tag(const JoseAlg *alg, JoseKey *key, const char *input, size_t input_len, unsigned char *tag)
{
	size_t		len = 0;

	if (key->mac == NULL || key->mac_alg != alg)
	{
		EVP_MAC_CTX_free(key->mac);
		key->mac = hmac_new(alg, key);
		key->mac_alg = alg;
	}
	else if (!hmac_restart(key))
		return false;
	return key->mac != NULL &&
		EVP_MAC_update(key->mac, (const unsigned char *) input, input_len) == 1 &&
		EVP_MAC_final(key->mac, tag, &len, alg->digest_len) == 1 &&
		len == alg->digest_len;
}

static JoseStatus
hmac_verify(const JoseAlg *alg, JoseKey *key, const char *input, size_t input_len,
			const unsigned char *signature)
{
	unsigned char tag[EVP_MAX_MD_SIZE];
	JoseStatus	status = JOSE_CRYPTO_FAILURE;

	if (hmac_tag(alg, key, input, input_len, tag))
		status = CRYPTO_memcmp(tag, signature, alg->digest_len) == 0 ?
			JOSE_OK : JOSE_BAD_SIGNATURE;
	OPENSSL_cleanse(tag, sizeof(tag));
	return status;
}

/*
 * ECDSA's DER to r || s of `half` bytes each, left-padded (RFC 7518 section
 * 3.4).
 */
static bool
ecdsa_der_to_raw(const unsigned char *der, size_t der_len, unsigned char *raw, size_t half)
{
	ECDSA_SIG  *sig = d2i_ECDSA_SIG(NULL, &der, (long) der_len);
	bool		ok;

	if (sig == NULL)
		return false;
	ok = BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, (int) half) == (int) half &&
		BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + half, (int) half) == (int) half;
	ECDSA_SIG_free(sig);
	return ok;
}

/*
 * r || s of `half` bytes each to DER, which the caller frees with
 * OPENSSL_free.  The ranges of r and s are left to the verification.
 */
static bool
ecdsa_raw_to_der(const unsigned char *raw, size_t half, unsigned char **der, size_t *der_len)
{
	ECDSA_SIG  *sig = ECDSA_SIG_new();
	BIGNUM	   *r = BN_bin2bn(raw, (int) half, NULL);
	BIGNUM	   *s = BN_bin2bn(raw + half, (int) half, NULL);
	int			len;

	*der = NULL;
	if (sig == NULL || r == NULL || s == NULL || ECDSA_SIG_set0(sig, r, s) != 1)
	{
		BN_free(r);
		BN_free(s);
		ECDSA_SIG_free(sig);
		return false;
	}
	len = i2d_ECDSA_SIG(sig, der);
	ECDSA_SIG_free(sig);
	if (len <= 0)
		return false;
	*der_len = (size_t) len;
	return true;
}

/*
 * RFC 7518 section 3.5: PSS with a salt as long as the digest, no other, and
 * MGF1 over the same digest, which is OpenSSL's default.
 */
static bool
set_padding(const JoseAlg *alg, EVP_PKEY_CTX *ctx)
{
	return alg->family != JOSE_RSA_PSS ||
		(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
		 EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1);
}

/* EVP_DigestSignInit or EVP_DigestVerifyInit */
typedef int (*InitFunction) (EVP_MD_CTX *ctx, EVP_PKEY_CTX **pkey_ctx, const EVP_MD *md,
							 ENGINE *engine, EVP_PKEY *pkey);

/* A context that waits for its input; NULL on failure. */
static EVP_MD_CTX *
pkey_new(const JoseAlg *alg, EVP_PKEY *pkey, InitFunction init)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pkey_ctx = NULL;
	const EVP_MD *md;

	if (ctx != NULL && find_digest(alg, &md) &&
		init(ctx, &pkey_ctx, md, NULL, pkey) == 1 && set_padding(alg, pkey_ctx))
		return ctx;
	EVP_MD_CTX_free(ctx);
	return NULL;
}

/*
 * The same as a copy of the one that stays with the key, so that a token does
 * not have OpenSSL look for its algorithms.
 */
static EVP_MD_CTX *
pkey_copy(const JoseAlg *alg, EVP_PKEY *pkey, JoseSetup *setup, InitFunction init)
{
	EVP_MD_CTX *ctx;

	if (setup->alg != alg)
	{
		EVP_MD_CTX_free(setup->ctx);
		setup->ctx = pkey_new(alg, pkey, init);
		setup->alg = setup->ctx != NULL ? alg : NULL;
	}
	if (setup->ctx == NULL || (ctx = EVP_MD_CTX_new()) == NULL)
		return NULL;
	if (EVP_MD_CTX_copy_ex(ctx, setup->ctx) == 1)
		return ctx;
	EVP_MD_CTX_free(ctx);
	return NULL;
}

/*
 * Signs with a private key, in OpenSSL's own form of the signature.  *len: the
 * room, then the length.
 */
static bool
pkey_sign(const JoseAlg *alg, JoseKey *key, const char *input, size_t input_len,
		  unsigned char *signature, size_t *len)
{
	EVP_MD_CTX *ctx = pkey_copy(alg, key->pkey, &key->signing, EVP_DigestSignInit);
	bool		ok;

	ok = ctx != NULL &&
		EVP_DigestSign(ctx, signature, len, (const unsigned char *) input, input_len) == 1;
	EVP_MD_CTX_free(ctx);
	return ok;
}

/*
 * Verifies a signature in OpenSSL's own form.
 */
static JoseStatus
pkey_verify(const JoseAlg *alg, JoseKey *key, const char *input, size_t input_len,
			const unsigned char *signature, size_t len)
{
	EVP_MD_CTX *ctx = pkey_copy(alg, key->pkey, &key->verifying, EVP_DigestVerifyInit);
	JoseStatus	status = JOSE_CRYPTO_FAILURE;

	if (ctx != NULL)
		status = EVP_DigestVerify(ctx, signature, len, (const unsigned char *) input, input_len) == 1 ?
			JOSE_OK : JOSE_BAD_SIGNATURE;
	EVP_MD_CTX_free(ctx);
	return status;
}

static bool
ecdsa_sign(const JoseAlg *alg, JoseKey *key, const char *input, size_t input_len,
		   unsigned char *signature)
{
	unsigned char der[MAX_ECDSA_DER];
	size_t		der_len = sizeof(der);

	return pkey_sign(alg, key, input, input_len, der, &der_len) &&
		ecdsa_der_to_raw(der, der_len, signature, alg->signature_len / 2);
}

static JoseStatus
ecdsa_verify(const JoseAlg *alg, JoseKey *key, const char *input, size_t input_len,
			 const unsigned char *signature)
{
	unsigned char *der;
	size_t		der_len;
	JoseStatus	status;

	if (!ecdsa_raw_to_der(signature, alg->signature_len / 2, &der, &der_len))
		return JOSE_CRYPTO_FAILURE;
	status = pkey_verify(alg, key, input, input_len, der, der_len);
	OPENSSL_free(der);
	return status;
}

/*
 * Bytes of this key's signatures under an algorithm that suits it.
 */
static size_t
signature_length(const JoseAlg *alg, const JoseKey *key)
{
	return alg->signature_len != 0 ? alg->signature_len : (size_t) EVP_PKEY_get_size(key->pkey);
}

/*
 * Signs input (RFC 7515 section 5.1 step 5).  *signature_len is the room at
 * signature, at most JWS_MAX_SIGNATURE is needed, and then the length.  Fails
 * as jwk_check_alg does, or with JOSE_NOT_PRIVATE_KEY; too little room is
 * JOSE_CRYPTO_FAILURE.
 */
JoseStatus
jws_sign(const JoseAlg *alg, JoseKey *key, const char *input, size_t input_len,
		 unsigned char *signature, size_t *signature_len)
{
	JoseStatus	status = jwk_check_alg(key, alg);
	size_t		len;
	bool		ok = false;

	if (status != JOSE_OK)
		return status;
	if (!key->is_private)
		return JOSE_NOT_PRIVATE_KEY;
	len = signature_length(alg, key);
	if (*signature_len < len)
		return JOSE_CRYPTO_FAILURE;

	*signature_len = len;
	switch (alg->family)
	{
		case JOSE_HMAC:
			ok = hmac_tag(alg, key, input, input_len, signature);
			break;
		case JOSE_ECDSA:
			ok = ecdsa_sign(alg, key, input, input_len, signature);
			break;
		case JOSE_RSA_PKCS1:
		case JOSE_RSA_PSS:
		case JOSE_EDDSA:
			ok = pkey_sign(alg, key, input, input_len, signature, signature_len) &&
				*signature_len == len;
			break;
	}

	if (ok)
		return JOSE_OK;
	OPENSSL_cleanse(signature, len);
	ERR_clear_error();
	return JOSE_CRYPTO_FAILURE;
}

/*
 * Verifies a signature over input (RFC 7515 section 5.2 step 8); a private
 * key's public half serves as well.  JOSE_OK only for a right signature.
 * Fails as jwk_check_alg does, or with JOSE_BAD_SIGNATURE.
 */
JoseStatus
jws_verify(const JoseAlg *alg, JoseKey *key, const char *input, size_t input_len,
		   const unsigned char *signature, size_t signature_len)
{
	JoseStatus	status = jwk_check_alg(key, alg);

	if (status != JOSE_OK)
		return status;
	if (signature_len != signature_length(alg, key))
		return JOSE_BAD_SIGNATURE;

	status = JOSE_CRYPTO_FAILURE;
	switch (alg->family)
	{
		case JOSE_HMAC:
			status = hmac_verify(alg, key, input, input_len, signature);
			break;
		case JOSE_ECDSA:
			status = ecdsa_verify(alg, key, input, input_len, signature);
			break;
		case JOSE_RSA_PKCS1:
		case JOSE_RSA_PSS:
		case JOSE_EDDSA:
			status = pkey_verify(alg, key, input, input_len, signature, signature_len);
			break;
	}

	if (status != JOSE_OK)
		ERR_clear_error();
	return status;
}
