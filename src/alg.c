/*
 * alg.c
 *	  The one table of signature algorithms: RFC 7518 section 3.1 (HMAC, RSA,
 *	  ECDSA), RFC 8812 section 3.2 (ES256K), RFC 8037 section 3.1 (EdDSA, whose
 *	  key says which curve), RFC 9864 section 2.2 (Ed25519 and Ed448 by name).
 *
 * Owns which algorithms exist and every size that follows from one.  All other
 * code goes by family, so a new algorithm of a known family is a new row here.
 * "none" has no row and so cannot be asked for.
 */
#include "alg.h"

#include <string.h>

static const JoseAlg algs[] = {
	{"HS256", JOSE_HMAC, JOSE_KTY_OCT, NULL, "SHA256", 32, 32},
	{"HS384", JOSE_HMAC, JOSE_KTY_OCT, NULL, "SHA384", 48, 48},
	{"HS512", JOSE_HMAC, JOSE_KTY_OCT, NULL, "SHA512", 64, 64},
	{"RS256", JOSE_RSA_PKCS1, JOSE_KTY_RSA, NULL, "SHA256", 32, 0},
	{"RS384", JOSE_RSA_PKCS1, JOSE_KTY_RSA, NULL, "SHA384", 48, 0},
	{"RS512", JOSE_RSA_PKCS1, JOSE_KTY_RSA, NULL, "SHA512", 64, 0},
	{"PS256", JOSE_RSA_PSS, JOSE_KTY_RSA, NULL, "SHA256", 32, 0},
	{"PS384", JOSE_RSA_PSS, JOSE_KTY_RSA, NULL, "SHA384", 48, 0},
	{"PS512", JOSE_RSA_PSS, JOSE_KTY_RSA, NULL, "SHA512", 64, 0},
	{"ES256", JOSE_ECDSA, JOSE_KTY_EC, "P-256", "SHA256", 32, 64},
	{"ES384", JOSE_ECDSA, JOSE_KTY_EC, "P-384", "SHA384", 48, 96},
	{"ES512", JOSE_ECDSA, JOSE_KTY_EC, "P-521", "SHA512", 64, 132},
	{"ES256K", JOSE_ECDSA, JOSE_KTY_EC, "secp256k1", "SHA256", 32, 64},
	{"EdDSA", JOSE_EDDSA, JOSE_KTY_OKP, NULL, NULL, 0, 0},
	{"Ed25519", JOSE_EDDSA, JOSE_KTY_OKP, "Ed25519", NULL, 0, 64},
	{"Ed448", JOSE_EDDSA, JOSE_KTY_OKP, "Ed448", NULL, 0, 114},
};

/*
 * The algorithm of exactly this name, case and length included, or NULL.
 */
const JoseAlg *
alg_find(const char *name, size_t len)
{
	const JoseAlg *alg;

	for (size_t i = 0; (alg = alg_at(i)) != NULL; i++)
	{
		if (len == strlen(alg->name) && memcmp(name, alg->name, len) == 0)
			return alg;
	}
	return NULL;
}

/*
 * The algorithm at an index that counts from 0, or NULL past the end.
 */
const JoseAlg *
alg_at(size_t index)
{
	return index < sizeof(algs) / sizeof(algs[0]) ? &algs[index] : NULL;
}
