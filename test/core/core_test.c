/*
 * core_test.c
 *	  Exercises the server-free core (base64url, numericdate, alg, jwk, jws)
 *	  without a server: round trips, signatures that are of no token, and
 *	  everything that has to be refused.
 *
 * Prints a line for each check that fails and a summary; exits 1 where one
 * failed.  Build it with the five files of the core and -lcrypto.  Besides the
 * results it holds two promises of the core to account: a failure leaves no
 * error in OpenSSL's queue, and (under LeakSanitizer) nothing leaks.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/encoder.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "alg.h"
#include "base64url.h"
#include "jose.h"
#include "jwk.h"
#include "jws.h"
#include "numericdate.h"

#define LENGTH_OF(array)	(sizeof(array) / sizeof((array)[0]))
#define TEXT(literal)		{(literal), sizeof(literal) - 1}

static int	passed = 0;
static int	failed = 0;

/*
 * The keys of RFC 7515 appendices A.1 to A.3 and RFC 8037 appendix A, which the
 * tests make bad ones of, and a token to take apart.  Published tokens are run
 * through SQL, from test/vectors.
 */
static const char a1_token[] =
	"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODA"
	"sDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_w"
	"W1gFWFOEjXk";

#define A1_K \
	"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1" \
	"Z9CAow"

#define A2_N \
	"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJ" \
	"PMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0" \
	"LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uD" \
	"Zlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2" \
	"PAcDTW9gb54h4FRWyuXpoQ"

#define A2_E \
	"AQAB"

#define A2_D \
	"Eq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyWPEAeP88vLNO97IjlA7_GQ5sLKMgvfTeXZx9S" \
	"E-7YwVol2NXOoAJe46sui395IW_GO-pWJ1O0BkTGoVEn2bKVRUCgu-GjBVaYLU6f3l9kJfFNS3E0QbVd" \
	"xzubSu3Mkqzjkn439X0M_V51gfpRLI9JYanrC4D4qAdGcopV_0ZHHzQlBjudU2QvXt4ehNYTCBr6XCLQ" \
	"UShb1juUO1ZdiYoFaFQT5Tw8bGUl_x_jTj3ccPDVZFD9pIuhLhBOneufuBiB4cS98l2SR_RQyGWSeWjn" \
	"czT0QU91p1DhOVRuOopznQ"

#define A2_P \
	"4BzEEOtIpmVdVEZNCqS7baC4crd0pqnRH_5IB3jw3bcxGn6QLvnEtfdUdiYrqBdss1l58BQ3KhooKeQT" \
	"a9AB0Hw_Py5PJdTJNPY8cQn7ouZ2KKDcmnPGBY5t7yLc1QlQ5xHdwW1VhvKn-nXqhJTBgIPgtldC-KDV" \
	"5z-y2XDwGUc"

#define A2_Q \
	"uQPEfgmVtjL0Uyyx88GZFF1fOunH3-7cepKmtH4pxhtCoHqpWmT8YAmZxaewHgHAjLYsp1ZSe7zFYHj7" \
	"C6ul7TjeLQeZD_YwD66t62wDmpe_HlB-TnBA-njbglfIsRLtXlnDzQkv5dTltRJ11BKBBypeeF6689rj" \
	"cJIDEz9RWdc"

#define A2_DP \
	"BwKfV3Akq5_MFZDFZCnW-wzl-CCo83WoZvnLQwCTeDv8uzluRSnm71I3QCLdhrqE2e9YkxvuxdBfpT_P" \
	"I7Yz-FOKnu1R6HsJeDCjn12Sk3vmAktV2zb34MCdy7cpdTh_YVr7tss2u6vneTwrA86rZtu5Mbr1C1Xs" \
	"mvkxHQAdYo0"

#define A2_DQ \
	"h_96-mK1R_7glhsum81dZxjTnYynPbZpHziZjeeHcXYsXaaMwkOlODsWa7I9xXDoRwbKgB719rrmI2oK" \
	"r6N3Do9U0ajaHF-NKJnwgjMd2w9cjz3_-kyNlxAr2v4IKhGNpmM5iIgOS1VZnOZ68m6_pbLBSp3nssTd" \
	"lqvd0tIiTHU"

#define A2_QI \
	"IYd7DHOhrWvxkwPQsRM2tOgrjbcrfvtQJipd-DlcxyVuuM9sQLdgjVk2oy26F0EmpScGLq2MowX7fhd_" \
	"QJQ3ydy5cY7YIBi87w93IKLEdfnbJtoOPLUW0ITrJReOgo1cq9SbsxYawBgfp_gh6A5603k2-ZQwVK0J" \
	"KSHuLFkuQ3U"

#define A3_X \
	"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"

#define A3_Y \
	"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"

#define A3_D \
	"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"

#define A4_X \
	"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"

#define A4_D \
	"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"

/*
 * More keys, and signatures that are of no token, so that only this test can
 * check them: RFC 7515 appendix A.4 (P-521), RFC 8032 section 7.4 ("Blank" and
 * "1 octet"), RFC 6979 appendix A.2.6 (P-384 and SHA-384, "sample"), and the
 * deterministic signature of "Satoshi Nakamoto" with the secp256k1 key 1.
 */
#define ES512_X \
	"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxc" \
	"WceqwQGk"

#define ES512_Y \
	"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf6" \
	"3e3kyMj2"

#define ES512_D \
	"AY5pb7A0UFiB3RELSD64fTLOSV_jazdF7fLYyuTw8lOfRhWg6Y6rUrPAxerEzgdRhajnu0ferB0d53vM" \
	"9mE15j2C"

#define ED448_X \
	"X9dEm1m0Yf0s54fsYWrUah2hNCSFpw4fig6nXYDpZ3jt8SR2m0bHBhvWeD3x5Q9s0foavq_oJWGA"

#define ED448_D \
	"bIKlYsuAjRDWMr6JyFE-v2ySnzTd-oyfY8mWDvbjSKNSjIo_zC8ETjmj_FuUSS-PAy51SaIAmPlb"

#define ED448_SIGNATURE \
	"Uzo39rvkVyUfAjwNiPl2ri37UEqEPjTSB0_YI9QaWR8rIz8DT2KCgfL9eiLd1H14KMWb0KIb_TmA_w0g" \
	"KNSxip32PgBsXRwtNFuSXY3AC0EEhS25msXHzdqFMKEToPTbthFJ8FpzYyaMcdlYCP8uZSYA"

#define ED448_X1 \
	"Q7oo9DDN_0Vq5TFUX37NCsg0pV2TWMA3K_oMbGeYwIZq6gHrAHQoArhDjqTLghacI1FgYntMOpSA"

#define ED448_D1 \
	"xOqwXTVwB8Yy89u0hImSTVUrCP4MNToNSh8ArNosRjr76mfF6NKHfF47w5emWZSe-AIelU4KEidO"

#define ED448_SIGNATURE1 \
	"Jrj5Fye9Yol68V5B60PDd--5xhDUjyM1ywvQCHgQ9DUlQbFDxLmBt-GPYt6MzfYz_BvwN6t813mAXg28" \
	"wKrhy87hr7LgJ982vATc7L8VQzbBnwr34KZHKQXnmfGVPSoP8zSKshqkra_R0jREHPgHwDoA"

#define ES384_X \
	"7DpOQVtOGaRWhhgCn0J_pdqai8SukuAuBqrlKGswDGTe-PDqkFWGYGSiVFFUgLwT"

#define ES384_Y \
	"gBXZty19VyROqO-awMYhiWcIpZNn-d-59UyoSz8cnbEoiyMcOuDU_nNE_SUzJkcg"

#define ES384_SIGNATURE \
	"lO27kqXsuKrUc25WxpGRaz-IFAZmzp-nPWTE6pWtEzyBpkgVLkSs-W423R6A-r5Gme9K6xXxeM6h_kDb" \
	"JgMTjxMOdAoZYkUmIDtjUdCjqU-jKcFFeG5nnnuCxxo4YorI"

#define ES256K_X \
	"eb5mfvncu6xVoGKVzocLBwKb_NstzijZWfKBWxb4F5g"

#define ES256K_Y \
	"SDradyajxGVdpPv8DhEIqP0XtEimhVQZnEfQj_sQ1Lg"

#define ES256K_D \
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE"

#define ES256K_SIGNATURE \
	"k0seoQpLPBdX4rDAF9C2FDzjyafmpKSYYNemqyEO49gkQs6dK5FgZBCAFHg-kj7Da0l0Pi_6HESW8BpR" \
	"Kq_Z5Q"

/* A key of a type that nothing here uses. */
static const char dsa_pem[] =
	"-----BEGIN PRIVATE KEY-----\n"
	"MIIBWwIBADCCATMGByqGSM44BAEwggEmAoGBAJxm4cC89fRXkQ3sNDifBS9wCPlK\n"
	"zgexv0a7KzaSuVx+IUYF/W9ShjsFsgI367ASxGolXIi+SxLiFGkIilFpwG4JG5J7\n"
	"3LmAMMjSeKr2iiiwddY6IqIWtkHamvcACBbx0jlfOXjlDEs4KAbA4lyZSqCbEWes\n"
	"DuoUbus1Uvx9xFrjAh0A+JsnMHVB/FbsRWyvY0ff0UvmRdik77JknpGQ3QKBgGqV\n"
	"hulq8KMQkePrG28RWajjf4Ait79uJISgslqFJLfGKITQdRxcRqhRSwEZHHVj+S8O\n"
	"rhTqgxaUV/Rh+ktNRh1Vn93CyR5vRnIP4EAEPDfkQueYP2UdsCiCHpzPmagTuAhQ\n"
	"KdeGjABh/e9sKOWnNvRQTtUbEA+taolP3xuS2868BB8CHQD4E/DX0N5LCn2QPNUB\n"
	"ePKau7lqRGXzGVuu6xPv\n"
	"-----END PRIVATE KEY-----\n";

/* RSA of 2049 bits, of which OpenSSL would make 2048. */
static const char rsa_2049_pem[] =
	"-----BEGIN PRIVATE KEY-----\n"
	"MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQFJfkgSkKB5n87E\n"
	"VW1duamQpXG8dgWv2glQLa4bkCnCiTe/t2k/qlQltM4Q9rIojB0EzaulFa2BzPR9\n"
	"HlZhUm12XuM6BVWmjkNRo/Lf0FQUG8BS08iR3uY6jH2nAcpgJjJsJAzr6gReRuxC\n"
	"tT3UMVhPMcLC3F+i7PT3AUvvFAf9kNvgklq0fw4FJIf5fNZdAS31ei1ky5jSfbvN\n"
	"Ih4ntGLL+2Jjm5e7iQj6bwU3J32e7rhi+eYio1pT9eSCTvBc8BL0cd/m60/Rzc9I\n"
	"lE4DmmTHJETWE6kC3cV3nIdbfWH8b6B22asnu8hLBvi6H/40qFNbS/gkwRibOFzv\n"
	"5xufY8c5AgMBAAECggEAAJaWIFpbvvvXDaitYk5zjAuPkWuQhQjZnWgHeIsgV/WQ\n"
	"wOnd6TwvnEWfXI5kMQhXAOwxE0FfpuyrvxFvzAquoVh4BWF/DqYQXrPxOg8QJ10J\n"
	"UdyI7iG8vXwEuWiaaOOIkYLa9wza5yQvRcs3CgrwgmuvUlO8Y/kSUuKQtSOPBBfd\n"
	"/vDlYhrVvW9ZFwAS8qTihGx8chqZ23Erl2YXKXQtvuaMHFOkPJsglfJNeoZy1HHi\n"
	"/lCD+eTl10w1lsnqA7G0KqVgTf2zWvOJQYIN7oM6LK7cHM+DsGR+qQaDiwsB2Y+N\n"
	"ooh+Iazdkt+Yo/IDvbKH/bv0UxpbZMkN8/0RtPK2NQKBgQGsAYNHhrvkpnq0RnBi\n"
	"iAuuGMSDluGaO37KFObfCTQEiwAUt3HdNbkCt2qkRVDAXClc7RcT+p/SNun9M3Y5\n"
	"60SATAFqQtDuIdQ5TB3Hd6a+U3Tp3Jrl+PVo8SHphLVbvQiFqK7uYzF4EKx5BROA\n"
	"15x0GI+d05RwJewDY/DQXvTYawKBgQDFE87pmq/PEePBbtxt4nQNaLyDURgHP2oV\n"
	"q8yeM6Lwrb4DjhKdiWRkL5GrtuvXwBvrbjVUisBIO5GfG2u93YAd7UTOjAXue7Md\n"
	"jDG8AcICi62dVi92qTtkI6Lx9DWpG4Me/gZGPxOdYV3AKcT4hgX9T/utVj9Df0H7\n"
	"Xfb14W6X6wKBgAQ0r5mQVWBV0nbbCletho/bZnL0lJrzYreRpQMkEALLauDJPLEz\n"
	"yfGg48dhdv2s6isjmUp0+AUUzQ/T5aGEElRAavMkXPE6G9/EQ7amEllkcI2rwUnp\n"
	"PGAfnnmw+CdCoEbP9YgaKW5Im6lEx4BInhz18NNYNOk1NjCCVud1R2qpAoGAQ6FK\n"
	"jkvxLSQ8fnLm3iaqILfiiUXY8xPF+e3c6CVcMy/MVzf4F2vAscjJOp4pTP62FhLZ\n"
	"5ks/NQqMLIeib6OFhb+YrzDKEE8O5oLnxlbsFyeLysR6wUPOB81a66EckQ3J72bJ\n"
	"DG408vsoyvsKhyanA4jhG1jPmQAgynwydaqI40UCgYEBX5pNPIm7r82cGKiT2LQS\n"
	"Qhcr30c4HX0qBWFiIMIUWbEdjs5MCRY6WMSCGyt0A580aU8g3lRbkWpAIc98KwvM\n"
	"76Y9f6w+8OGAs73zqUOrEDWFEnkjLtzUeRKQCj2nawFsHZPkYSoSQbydMIhAlIrl\n"
	"Neo7WI+N1wksB7u/sfIkJ2U=\n"
	"-----END PRIVATE KEY-----\n";

#define MEMBER(name, value) .text[JWK_##name] = TEXT(value)

static const JwkMembers a1_jwk = {MEMBER(KTY, "oct"), MEMBER(K, A1_K)};
static const JwkMembers a2_jwk = {
	MEMBER(KTY, "RSA"), MEMBER(N, A2_N), MEMBER(E, A2_E), MEMBER(D, A2_D), MEMBER(P, A2_P),
	MEMBER(Q, A2_Q), MEMBER(DP, A2_DP), MEMBER(DQ, A2_DQ), MEMBER(QI, A2_QI)
};
static const JwkMembers a2_public_jwk = {MEMBER(KTY, "RSA"), MEMBER(N, A2_N), MEMBER(E, A2_E)};
static const JwkMembers a3_jwk = {
	MEMBER(KTY, "EC"), MEMBER(CRV, "P-256"), MEMBER(X, A3_X), MEMBER(Y, A3_Y), MEMBER(D, A3_D)
};
static const JwkMembers a3_public_jwk = {
	MEMBER(KTY, "EC"), MEMBER(CRV, "P-256"), MEMBER(X, A3_X), MEMBER(Y, A3_Y)
};
static const JwkMembers a4_jwk = {
	MEMBER(KTY, "OKP"), MEMBER(CRV, "Ed25519"), MEMBER(X, A4_X), MEMBER(D, A4_D)
};
static const JwkMembers a4_public_jwk = {
	MEMBER(KTY, "OKP"), MEMBER(CRV, "Ed25519"), MEMBER(X, A4_X)
};

static const JwkMembers es512_jwk = {
	MEMBER(KTY, "EC"), MEMBER(CRV, "P-521"), MEMBER(X, ES512_X), MEMBER(Y, ES512_Y), MEMBER(D, ES512_D)
};
static const JwkMembers es384_public_jwk = {
	MEMBER(KTY, "EC"), MEMBER(CRV, "P-384"), MEMBER(X, ES384_X), MEMBER(Y, ES384_Y)
};
static const JwkMembers es256k_jwk = {
	MEMBER(KTY, "EC"), MEMBER(CRV, "secp256k1"), MEMBER(X, ES256K_X), MEMBER(Y, ES256K_Y), MEMBER(D, ES256K_D)
};
static const JwkMembers ed448_jwk = {
	MEMBER(KTY, "OKP"), MEMBER(CRV, "Ed448"), MEMBER(X, ED448_X), MEMBER(D, ED448_D)
};
static const JwkMembers ed448_public_jwk = {MEMBER(KTY, "OKP"), MEMBER(CRV, "Ed448"), MEMBER(X, ED448_X)};
static const JwkMembers ed448_1_jwk = {
	MEMBER(KTY, "OKP"), MEMBER(CRV, "Ed448"), MEMBER(X, ED448_X1), MEMBER(D, ED448_D1)
};

/*
 * What each algorithm is, and which take a key that was made for it; "twins"
 * are those whose signatures with that key are its own.
 */
typedef struct Algorithm
{
	const char *name;
	JoseKeyType kty;
	const char *crv;			/* of the key that is made for it */
	size_t		signature_len;	/* with that key */
	const char *suits;
	const char *twins;
} Algorithm;

#define RSA_ALGS	"RS256 RS384 RS512 PS256 PS384 PS512"

static const Algorithm algorithms[] = {
	{"HS256", JOSE_KTY_OCT, NULL, 32, "HS256", "HS256"},
	{"HS384", JOSE_KTY_OCT, NULL, 48, "HS256 HS384", "HS384"},
	{"HS512", JOSE_KTY_OCT, NULL, 64, "HS256 HS384 HS512", "HS512"},
	{"RS256", JOSE_KTY_RSA, NULL, 256, RSA_ALGS, "RS256"},
	{"RS384", JOSE_KTY_RSA, NULL, 256, RSA_ALGS, "RS384"},
	{"RS512", JOSE_KTY_RSA, NULL, 256, RSA_ALGS, "RS512"},
	{"PS256", JOSE_KTY_RSA, NULL, 256, RSA_ALGS, "PS256"},
	{"PS384", JOSE_KTY_RSA, NULL, 256, RSA_ALGS, "PS384"},
	{"PS512", JOSE_KTY_RSA, NULL, 256, RSA_ALGS, "PS512"},
	{"ES256", JOSE_KTY_EC, "P-256", 64, "ES256", "ES256"},
	{"ES384", JOSE_KTY_EC, "P-384", 96, "ES384", "ES384"},
	{"ES512", JOSE_KTY_EC, "P-521", 132, "ES512", "ES512"},
	{"ES256K", JOSE_KTY_EC, "secp256k1", 64, "ES256K", "ES256K"},
	{"EdDSA", JOSE_KTY_OKP, "Ed25519", 64, "EdDSA Ed25519", "EdDSA Ed25519"},
	{"Ed25519", JOSE_KTY_OKP, "Ed25519", 64, "EdDSA Ed25519", "EdDSA Ed25519"},
	{"Ed448", JOSE_KTY_OKP, "Ed448", 114, "EdDSA Ed448", "EdDSA Ed448"},
};

/* Whether a word is one of a list's. */
static bool
listed(const char *list, const char *word)
{
	size_t		len = strlen(word);

	for (const char *at = list; (at = strstr(at, word)) != NULL; at += len)
	{
		if ((at == list || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0'))
			return true;
	}
	return false;
}

/* What another algorithm says of a key of this one. */
static JoseStatus
suits(const Algorithm *a, const JoseAlg *other)
{
	if (listed(a->suits, other->name))
		return JOSE_OK;
	return a->kty == JOSE_KTY_OCT && other->kty == JOSE_KTY_OCT ? JOSE_WEAK_KEY : JOSE_KEY_MISMATCH;
}

/* ... and of a signature of this one, by such a key. */
static JoseStatus
verifies(const Algorithm *a, const JoseAlg *other)
{
	JoseStatus	status = suits(a, other);

	return status == JOSE_OK && !listed(a->twins, other->name) ? JOSE_BAD_SIGNATURE : status;
}

static void
check(bool ok, const char *format,...)
{
	va_list		args;

	if (ok)
	{
		passed++;
		return;
	}
	failed++;
	printf("FAILED: ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
}

/* Exactly len bytes, so that AddressSanitizer sees a read past the end. */
static void *
allocate(size_t len)
{
	void	   *memory = malloc(len > 0 ? len : 1);

	if (memory == NULL)
		abort();
	return memory;
}

/* The status is as expected, and OpenSSL's error queue is empty. */
static void
check_status(const char *what, JoseStatus got, JoseStatus want)
{
	check(got == want, "%s: status %d, expected %d", what, (int) got, (int) want);
	check(ERR_peek_error() == 0, "%s: leaves an OpenSSL error", what);
	ERR_clear_error();
}

/* Without this key a test cannot go on. */
static JoseKey *
must(JoseStatus status, JoseKey *const *key, const char *what)
{
	if (status != JOSE_OK || *key == NULL)
	{
		printf("FAILED: %s: status %d\n", what, (int) status);
		exit(1);
	}
	return *key;
}

static JoseKey *
must_import(const JwkMembers *members)
{
	JoseKey    *key;
	JoseStatus	status = jwk_import(members, &key);

	return must(status, &key, "import");
}

static JoseKey *
must_generate(const char *alg)
{
	JoseKey    *key;
	JoseStatus	status = jwk_generate(alg_find(alg, strlen(alg)), &key);

	return must(status, &key, alg);
}

static const JoseAlg *
alg_named(const char *name)
{
	return alg_find(name, strlen(name));
}

/* base64url */

/* Decodes from and into allocations of the exact size, for ASan to watch. */
static bool
decode_exact(const char *text, size_t len, unsigned char **bytes, size_t *bytes_len)
{
	char	   *copy = allocate(len);
	bool		ok;

	memcpy(copy, text, len);
	*bytes = allocate(BASE64URL_DECODED_LEN(len));
	ok = base64url_decode(copy, len, *bytes, bytes_len);
	free(copy);
	return ok;
}

static void
test_base64url_good(void)
{
	/* RFC 4648 section 10, RFC 7515 appendix C, and the last two characters */
	static const struct
	{
		const char *bytes;
		size_t		len;
		const char *text;
	}			cases[] = {
		{"", 0, ""}, {"f", 1, "Zg"}, {"fo", 2, "Zm8"}, {"foo", 3, "Zm9v"},
		{"foob", 4, "Zm9vYg"}, {"fooba", 5, "Zm9vYmE"}, {"foobar", 6, "Zm9vYmFy"},
		{"\x03\xEC\xFF\xE0\xC1", 5, "A-z_4ME"}, {"\xFB\xFF\xFE", 3, "-__-"}, {"\0\0\0", 3, "AAAA"},
	};

	for (size_t i = 0; i < LENGTH_OF(cases); i++)
	{
		char		text[16];
		unsigned char *bytes;
		size_t		len = base64url_encode((const unsigned char *) cases[i].bytes, cases[i].len, text);

		check(len == strlen(cases[i].text) && memcmp(text, cases[i].text, len) == 0,
			  "encode to \"%s\"", cases[i].text);
		check(len == BASE64URL_ENCODED_LEN(cases[i].len), "encoded length of \"%s\"", cases[i].text);
		check(decode_exact(cases[i].text, len, &bytes, &len) && len == cases[i].len &&
			  memcmp(bytes, cases[i].bytes, len) == 0, "decode \"%s\"", cases[i].text);
		free(bytes);
	}
}

static void
test_base64url_bad(void)
{
	static const struct
	{
		const char *text;
		size_t		len;
	}			cases[] = {
		TEXT("Z"), TEXT("Zm9vY"), TEXT("Zg="), TEXT("Zg=="), TEXT("Zm8="), TEXT("===="), TEXT("Zm9v===="),
		TEXT("Zh"), TEXT("Zm9"), TEXT("Zm9vYh"), TEXT("Zm9vYmF"),
		TEXT("+/+/"), TEXT("Zm+v"), TEXT("Zm/v"), TEXT("Z+"), TEXT("Z/8"),
		TEXT(" Zm9v"), TEXT("Zm9v "), TEXT("Zm 9"), TEXT("Zm9v\n"), TEXT("Zm\r\n"), TEXT("Z\t8A"),
		TEXT("Zm9v\0\0\0\0"), TEXT("\0A"), TEXT("A\0"), TEXT("AA\0"), TEXT("Zm9v?A"), TEXT("Zm#v"), TEXT("Zm%3"),
		TEXT("Zm9v.AAA"), TEXT("\xEF\xBC\xA1\x41"), TEXT("\xE2\x80\x8B\x41"), TEXT("\xFF\xFF"), TEXT("\x80gAA"),
	};

	for (size_t i = 0; i < LENGTH_OF(cases); i++)
	{
		unsigned char *bytes;
		size_t		len;

		check(!decode_exact(cases[i].text, cases[i].len, &bytes, &len), "decode accepts \"%s\"",
			  cases[i].text);
		free(bytes);
	}
}

/*
 * Every text of two characters, and every byte at each place of four: decoding
 * succeeds exactly where encoding the result gives the text back, and for as
 * many texts as there are byte strings.
 */
static void
test_base64url_exhaustive(void)
{
	int			accepted = 0;
	unsigned char bytes[3];
	size_t		len;
	char		back[4];

	for (int i = 0; i < 65536; i++)
	{
		char		text[2] = {(char) (i >> 8), (char) (i & 0xFF)};

		if (!base64url_decode(text, 2, bytes, &len))
			continue;
		accepted++;
		check(len == 1 && base64url_encode(bytes, 1, back) == 2 && memcmp(back, text, 2) == 0,
			  "two characters %04x", (unsigned) i);
	}
	check(accepted == 256, "%d texts of two characters decode", accepted);

	for (int place = 0; place < 4; place++)
	{
		accepted = 0;
		for (int c = 0; c < 256; c++)
		{
			char		text[4] = {'A', 'A', 'A', 'A'};

			text[place] = (char) c;
			if (base64url_decode(text, 4, bytes, &len))
				accepted += base64url_encode(bytes, 3, back) == 4 && memcmp(back, text, 4) == 0;
		}
		check(accepted == 64, "%d characters pass at place %d", accepted, place);
	}
}

/* numericdate */

static void
test_numericdate(void)
{
	static const struct
	{
		const char *text;
		int64_t		micros;
	}			cases[] = {
		{"0", 0}, {"-0", 0}, {"0.0", 0}, {"-0.000e99", 0}, {"0e99999999", 0}, {"0E-99999999", 0},
		{"0e999999999999999999999999", 0}, {"1", 1000000}, {"-1", -1000000},
		{"1700000000", 1700000000000000}, {"-1.7e9", -1700000000000000},
		{"17000000005e-1", 1700000000500000}, {"1.7000000005E9", 1700000000500000},
		{"1.7000000005E+9", 1700000000500000}, {"1700000000.5", 1700000000500000},
		{"1699999999.999", 1699999999999000}, {"1700000000.0000001", 1700000000000001},
		{"1700000000.0000010", 1700000000000001}, {"1700000000.00000100000001", 1700000000000002},
		{"-1700000000.0000001", -1700000000000000}, {"-1700000000.0000011", -1700000000000001},
		{"0.000001", 1}, {"0.0000001", 1}, {"0.0000000", 0}, {"-0.000001", -1}, {"-0.0000001", 0},
		{"1e-6", 1}, {"1e-7", 1}, {"-1e-7", 0}, {"1e-999999999999999999999", 1},
		{"-1e-999999999999999999999", 0}, {"0.000001e6", 1000000}, {"0.00000000000000000001e20", 1000000},
		{"100000000000000000000e-20", 1000000}, {"1e400", INT64_MAX}, {"-1e400", INT64_MIN},
		{"1e999999999999999999", INT64_MAX}, {"1e9223372036854775807", INT64_MAX},
		{"1e9223372036854775808", INT64_MAX}, {"1e18446744073709551616", INT64_MAX},
		{"-1e18446744073709551616", INT64_MIN}, {"1e131071", INT64_MAX},
		{"1e4294967296", INT64_MAX}, {"1e-4294967296", 1},
		{"9223372036854.775806", INT64_MAX - 1}, {"9223372036854.7758060", INT64_MAX - 1},
		{"9223372036854.7758061", INT64_MAX}, {"9223372036854.775807", INT64_MAX},
		{"9223372036854.775808", INT64_MAX}, {"-9223372036854.775807", -INT64_MAX},
		{"-9223372036854.7758079", -INT64_MAX}, {"-9223372036854.775808", INT64_MIN},
		{"-9223372036854.775809", INT64_MIN}, {"-9999999999999.999999", INT64_MIN},
		{"9999999999999.999999", INT64_MAX}, {"10000000000000", INT64_MAX}, {"-10000000000000", INT64_MIN},
		{"18446744073709.551617", INT64_MAX}, {"-18446744073709.551617", INT64_MIN},
		{"9223372036854775807", INT64_MAX}, {"9223372036854775808", INT64_MAX},
		{"18446744073709551617", INT64_MAX}, {"253402300799", 253402300799000000},
		{"9224318015999", INT64_MAX}, {"1e10", 10000000000000000},
		/* not numbers: something sane */
		{"", 0}, {"-", 0}, {".", 0}, {"abc", 0}, {"+1", 0}, {"e5", 0}, {"-e5", 0}, {"1e", 1000000},
		{"1e+", 1000000}, {"1e-", 1000000}, {"1.2.3", 1200000}, {"1 ", 1000000}, {"NaN", 0}, {"--1", 0},
	};

	for (size_t i = 0; i < LENGTH_OF(cases); i++)
	{
		size_t		len = strlen(cases[i].text);
		char	   *copy = allocate(len);
		int64_t		micros;

		memcpy(copy, cases[i].text, len);
		micros = numericdate_parse(copy, len);
		check(micros == cases[i].micros, "numericdate \"%s\": %lld", cases[i].text, (long long) micros);
		free(copy);
	}
}

/* prefix, `count` times c, suffix */
static int64_t
parse_long(const char *prefix, char c, size_t count, const char *suffix)
{
	size_t		len = strlen(prefix) + count + strlen(suffix);
	char	   *text = allocate(len);
	int64_t		micros;

	memcpy(text, prefix, strlen(prefix));
	memset(text + strlen(prefix), c, count);
	memcpy(text + strlen(prefix) + count, suffix, strlen(suffix));
	micros = numericdate_parse(text, len);
	free(text);
	return micros;
}

static void
test_numericdate_long(void)
{
	check(parse_long("", '9', 60000, "") == INT64_MAX, "60000 nines");
	check(parse_long("", '9', 60000, "e-60000") == 1000000, "60000 nines shifted back");
	check(parse_long("-", '9', 60000, "e-60000") == -999999, "the same, negative");
	check(parse_long("1", '0', 60000, "e-60000") == 1000000, "60000 zeros shifted back");
	check(parse_long("0.", '0', 60000, "1") == 1, "60000 zeros after the point");
	check(parse_long("0.", '0', 60000, "1e60001") == 1000000, "the same, shifted back");
	check(parse_long("0.", '0', 60000, "") == 0, "0 in 60000 digits");
	check(parse_long("1.", '0', 60000, "1") == 1000001, "a digit far out rounds up");
	check(parse_long("1e", '9', 60000, "") == INT64_MAX, "an exponent of 60000 digits");
	check(parse_long("1e-", '9', 60000, "") == 1, "the same, negative");
	check(parse_long("1e", '0', 60000, "1") == 10000000, "an exponent of many zeros");
}

/* alg */

static void
test_alg(void)
{
	static const struct
	{
		const char *name;
		size_t		len;
	}			bad[] = {
		TEXT(""), TEXT("none"), TEXT("None"), TEXT("NONE"), TEXT("hs256"), TEXT("HS256 "), TEXT(" HS256"),
		TEXT("HS256\0"), TEXT("HS25"), TEXT("HS2566"), TEXT("RS1"), TEXT("EDDSA"),
		TEXT("ED25519"), TEXT("ed448"), TEXT("Ed44"),
		TEXT("ES256k"), TEXT("ES256KK"), TEXT("ES521"), TEXT("PS1"), TEXT("RS256 RS384"), TEXT("ESP256"), TEXT("ES"),
		TEXT("eddsa"), TEXT("dir"),
		TEXT("\0"), TEXT("HS256\0none"),
	};
	const JoseAlg *alg;
	size_t		count = 0;

	for (; (alg = alg_at(count)) != NULL; count++)
		check(alg_find(alg->name, strlen(alg->name)) == alg, "find %s", alg->name);
	check(count == LENGTH_OF(algorithms), "%zu algorithms", count);
	for (size_t i = 0; i < LENGTH_OF(algorithms); i++)
	{
		alg = alg_named(algorithms[i].name);
		check(alg != NULL && alg == alg_at(i) && alg->kty == algorithms[i].kty, "row of %s", algorithms[i].name);
	}
	check(alg_at((size_t) -1) == NULL, "alg_at far out");
	for (size_t i = 0; i < LENGTH_OF(bad); i++)
		check(alg_find(bad[i].name, bad[i].len) == NULL, "found \"%s\"", bad[i].name);
	check(alg_named("HS512")->digest_len == 64 && alg_named("ES256")->signature_len == 64, "sizes");
}

/* jws_parse */

static void
test_parse(void)
{
	static const struct
	{
		const char *token;
		size_t		len;
		JoseStatus	status;
	}			cases[] = {
#define CASE(literal, status) {(literal), sizeof(literal) - 1, (status)}
		CASE("e30.e30.AA", JOSE_OK),
		CASE("e30..AA", JOSE_OK),
		CASE("", JOSE_MALFORMED),
		CASE(".", JOSE_MALFORMED),
		CASE("..", JOSE_MALFORMED),
		CASE("...", JOSE_MALFORMED),
		CASE("e30", JOSE_MALFORMED),
		CASE("e30.e30", JOSE_MALFORMED),
		CASE("e30.e30.", JOSE_MALFORMED),
		CASE(".e30.AA", JOSE_MALFORMED),
		CASE("e30.e30.AA.", JOSE_MALFORMED),
		CASE("e30.e30.AA.AA", JOSE_MALFORMED),
		CASE("e30.e30.AA.AA.AA", JOSE_MALFORMED),
		CASE("{\"payload\":\"e30\"}", JOSE_MALFORMED),
		CASE(" e30.e30.AA", JOSE_BAD_ENCODING),
		CASE("e30.e30.AA\n", JOSE_BAD_ENCODING),
		CASE("e30.e30.AA\0", JOSE_BAD_ENCODING),
		CASE("Bearer e30.e30.AA", JOSE_BAD_ENCODING),
		CASE("e30=.e30.AA", JOSE_BAD_ENCODING),
		CASE("e30.e30=.AA", JOSE_BAD_ENCODING),
		CASE("e30.e30.AA==", JOSE_BAD_ENCODING),
		CASE("e31.e30.AA", JOSE_BAD_ENCODING),
		CASE("e30.e31.AA", JOSE_BAD_ENCODING),
		CASE("e30.e30.AB", JOSE_BAD_ENCODING),
		CASE("e30.e30.A", JOSE_BAD_ENCODING),
		CASE("e30.e.AA", JOSE_BAD_ENCODING),
		CASE("e30.e30.++", JOSE_BAD_ENCODING),
		CASE("e30\xE2\x80\xA4" "e30\xE2\x80\xA4" "AA", JOSE_MALFORMED),
#undef CASE
	};

	for (size_t i = 0; i < LENGTH_OF(cases); i++)
	{
		unsigned char *buf = allocate(cases[i].len);
		JwsParts	parts;

		check_status(cases[i].token, jws_parse(cases[i].token, cases[i].len, buf, &parts), cases[i].status);
		free(buf);
	}
}

static void
test_parse_pieces(void)
{
	unsigned char buf[sizeof(a1_token)];
	JwsParts	parts;
	static const char header[] = "{\"typ\":\"JWT\",\r\n \"alg\":\"HS256\"}";

	check_status("A.1", jws_parse(a1_token, strlen(a1_token), buf, &parts), JOSE_OK);
	check(parts.header_len == strlen(header) && memcmp(parts.header, header, parts.header_len) == 0,
		  "header of A.1");
	check(parts.payload_len == 70 && parts.signature_len == 32, "lengths of A.1");
	check(parts.signing_input == a1_token &&
		  parts.signing_input_len == (size_t) (strrchr(a1_token, '.') - a1_token), "signing input of A.1");
}

/* Every way to spoil the signature or the text is found out. */
static void
check_spoiled(const JoseAlg *alg, JoseKey *key, const char *text, size_t text_len,
			  const unsigned char *signature, size_t len)
{
	unsigned char bad[JWS_MAX_SIGNATURE + 2];
	char	   *input = allocate(text_len);
	size_t		step = alg->kty == JOSE_KTY_RSA ? 7 : alg->kty == JOSE_KTY_EC ? 3 : 1;

	for (size_t bit = 0; bit < len * 8; bit += step)
	{
		memcpy(bad, signature, len);
		bad[bit / 8] ^= (unsigned char) (1 << bit % 8);
		check_status("flipped bit", jws_verify(alg, key, text, text_len, bad, len), JOSE_BAD_SIGNATURE);
	}

	memset(bad, 0, sizeof(bad));
	memcpy(bad, signature, len);
	for (size_t other = 0; other <= len + 2; other++)
	{
		unsigned char *copy = allocate(other);

		memcpy(copy, bad, other);
		if (other != len)
			check_status("wrong length", jws_verify(alg, key, text, text_len, copy, other), JOSE_BAD_SIGNATURE);
		free(copy);
	}
	memset(bad, 0, sizeof(bad));
	check_status("zeros", jws_verify(alg, key, text, text_len, bad, len), JOSE_BAD_SIGNATURE);
	memset(bad, 0xFF, sizeof(bad));
	check_status("ones", jws_verify(alg, key, text, text_len, bad, len), JOSE_BAD_SIGNATURE);

	memcpy(input, text, text_len);
	input[text_len / 2] ^= 1;
	check_status("other text", jws_verify(alg, key, input, text_len, signature, len), JOSE_BAD_SIGNATURE);
	free(input);
	check_status("shorter text", jws_verify(alg, key, text, text_len - 1, signature, len), JOSE_BAD_SIGNATURE);
	check_status("no text", jws_verify(alg, key, "", 0, signature, len), JOSE_BAD_SIGNATURE);
	check_status("after all that", jws_verify(alg, key, text, text_len, signature, len), JOSE_OK);
}

static const Algorithm *
algorithm_named(const char *name)
{
	for (size_t i = 0; i < LENGTH_OF(algorithms); i++)
	{
		if (strcmp(algorithms[i].name, name) == 0)
			return &algorithms[i];
	}
	abort();
}

/* Signatures that are no tokens. */
static void
test_raw_vectors(void)
{
	static const struct
	{
		const char *name;
		const char *alg;
		const JwkMembers *key;
		const char *text;
		const char *signature;
		bool		signs;		/* the same signature */
	}			cases[] = {
		{"RFC 8032, Ed448 Blank", "Ed448", &ed448_jwk, "", ED448_SIGNATURE, true},
		{"RFC 8032, Ed448 Blank", "EdDSA", &ed448_jwk, "", ED448_SIGNATURE, true},
		{"RFC 8032, Ed448 Blank", "Ed448", &ed448_public_jwk, "", ED448_SIGNATURE, false},
		{"RFC 8032, Ed448 1 octet", "Ed448", &ed448_1_jwk, "\x03", ED448_SIGNATURE1, true},
		{"RFC 6979, P-384", "ES384", &es384_public_jwk, "sample", ES384_SIGNATURE, false},
		{"secp256k1", "ES256K", &es256k_jwk, "Satoshi Nakamoto", ES256K_SIGNATURE, false},
	};

	for (size_t i = 0; i < LENGTH_OF(cases); i++)
	{
		JoseKey    *key = must_import(cases[i].key);
		const JoseAlg *alg = alg_named(cases[i].alg);
		size_t		text_len = strlen(cases[i].text);
		unsigned char *signature;
		unsigned char again[JWS_MAX_SIGNATURE];
		size_t		len;
		size_t		again_len = sizeof(again);

		check(decode_exact(cases[i].signature, strlen(cases[i].signature), &signature, &len), "signature");
		check_status(cases[i].name, jws_verify(alg, key, cases[i].text, text_len, signature, len), JOSE_OK);
		check_status(cases[i].name, jws_verify(alg, key, "other", 5, signature, len), JOSE_BAD_SIGNATURE);
		if (text_len > 1)
			check_spoiled(alg, key, cases[i].text, text_len, signature, len);
		if (cases[i].signs)
		{
			check_status(cases[i].name, jws_sign(alg, key, cases[i].text, text_len, again, &again_len), JOSE_OK);
			check(again_len == len && memcmp(again, signature, len) == 0, "%s: another signature", cases[i].name);
		}
		free(signature);
		jwk_free(key);
	}
}

/* ECDSA: r and s out of range, DER, and the other s */

static void
check_ecdsa_forms(const char *name, const char *order_hex)
{
	JoseKey    *key = must_generate(name);
	const JoseAlg *alg = alg_named(name);
	size_t		len = algorithm_named(name)->signature_len;
	int			half = (int) len / 2;
	BIGNUM	   *n = NULL;
	BIGNUM	   *edge[5];
	BIGNUM	   *r;
	BIGNUM	   *t = BN_new();
	unsigned char good[132];
	unsigned char sig[132];
	unsigned char der[160];
	size_t		der_len = sizeof(der);
	size_t		room = sizeof(good);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	BN_hex2bn(&n, order_hex);
	check_status("sign", jws_sign(alg, key, "text", 4, good, &room), JOSE_OK);
	check(room == len, "%s: %zu bytes", name, room);
	check(BN_num_bytes(n) == half, "%s: order", name);
	r = BN_bin2bn(good, half, NULL);

	/* 0, 1, n, n - 1, n + 1: with each other, and in the place of a good r or s */
	for (int i = 0; i < 5; i++)
		edge[i] = i < 2 ? BN_new() : BN_dup(n);
	BN_set_word(edge[1], 1);
	BN_sub_word(edge[3], 1);
	BN_add_word(edge[4], 1);
	for (int i = 0; i < 25; i++)
	{
		BN_bn2binpad(edge[i / 5], sig, half);
		BN_bn2binpad(edge[i % 5], sig + half, half);
		check_status("edge r and s", jws_verify(alg, key, "text", 4, sig, len), JOSE_BAD_SIGNATURE);
	}
	for (int i = 0; i < 10; i++)
	{
		memcpy(sig, good, len);
		BN_bn2binpad(edge[i / 2], sig + i % 2 * half, half);
		check_status("edge r or s", jws_verify(alg, key, "text", 4, sig, len), JOSE_BAD_SIGNATURE);
	}

	/* The other s is a right one, too; not so r + n, for which P-521 has room. */
	memcpy(sig, good, len);
	BN_bin2bn(good + half, half, t);
	BN_sub(t, n, t);
	BN_bn2binpad(t, sig + half, half);
	check_status("n - s", jws_verify(alg, key, "text", 4, sig, len), JOSE_OK);
	if (half == 66)
	{
		BN_add(t, r, n);
		BN_bn2binpad(t, sig, half);
		check_status("r + n", jws_verify(alg, key, "text", 4, sig, len), JOSE_BAD_SIGNATURE);
	}

	EVP_DigestSignInit_ex(ctx, NULL, alg->digest, NULL, NULL, key->pkey, NULL);
	EVP_DigestSign(ctx, der, &der_len, (const unsigned char *) "text", 4);
	check_status("DER", jws_verify(alg, key, "text", 4, der, der_len), JOSE_BAD_SIGNATURE);
	memset(der + der_len, 0, sizeof(der) - der_len);
	check_status("DER, padded", jws_verify(alg, key, "text", 4, der, len), JOSE_BAD_SIGNATURE);

	EVP_MD_CTX_free(ctx);
	BN_free(n);
	BN_free(r);
	BN_free(t);
	for (int i = 0; i < 5; i++)
		BN_free(edge[i]);
	jwk_free(key);
}

/* Short r or s stay padded: signatures until there has been one of each. */
static void
check_ecdsa_padding(const char *name)
{
	JoseKey    *key = must_generate(name);
	const JoseAlg *alg = alg_named(name);
	size_t		want = algorithm_named(name)->signature_len;
	bool		ok = true;
	bool		short_r = false;
	bool		short_s = false;

	for (int i = 0; i < 10000 && ok && !(short_r && short_s); i++)
	{
		unsigned char sig[132];
		size_t		len = want;

		ok = jws_sign(alg, key, "text", 4, sig, &len) == JOSE_OK && len == want;
		if (ok && (sig[0] == 0 || sig[want / 2] == 0))
		{
			ok = jws_verify(alg, key, "text", 4, sig, len) == JOSE_OK;
			short_r = short_r || sig[0] == 0;
			short_s = short_s || sig[want / 2] == 0;
		}
	}
	check(ok, "%s: round trips", name);
	check(short_r && short_s, "%s: no signature with a leading zero", name);
	jwk_free(key);
}

static void
test_ecdsa(void)
{
	/* the orders of the curves */
	static const char *const cases[][2] = {
		{"ES256", "FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551"},
		{"ES384", "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF"
		"C7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973"},
		{"ES512", "01FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF"
		"FA51868783BF2F966B7FCC0148F709A5D03BB5C9B8899C47AEBB6FB71E91386409"},
		{"ES256K", "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141"},
	};

	for (size_t i = 0; i < LENGTH_OF(cases); i++)
	{
		check_ecdsa_forms(cases[i][0], cases[i][1]);
		check_ecdsa_padding(cases[i][0]);
	}
}

/* RSA: the same residue in another form */
static void
test_rsa_forms(void)
{
	static const char *const cases[] = {"RS256", "RS512", "PS256", "PS384", "PS512"};
	JoseKey    *key = must_import(&a2_jwk);
	BIGNUM	   *n = NULL;

	EVP_PKEY_get_bn_param(key->pkey, OSSL_PKEY_PARAM_RSA_N, &n);
	for (size_t i = 0; i < LENGTH_OF(cases); i++)
	{
		const JoseAlg *alg = alg_named(cases[i]);
		unsigned char sig[256];
		BIGNUM	   *s = BN_new();
		int			text = 0;

		do
		{
			size_t		len = sizeof(sig);

			text++;
			if (jws_sign(alg, key, (char *) &text, sizeof(text), sig, &len) != JOSE_OK)
				break;
			BN_bin2bn(sig, 256, s);
			BN_add(s, s, n);
		} while (BN_num_bytes(s) != 256 && text < 200);
		check(jws_verify(alg, key, (char *) &text, sizeof(text), sig, 256) == JOSE_OK &&
			  BN_bn2binpad(s, sig, 256) == 256, "%s: s + n never fits into 256 bytes", cases[i]);
		check_status("s + n", jws_verify(alg, key, (char *) &text, sizeof(text), sig, 256), JOSE_BAD_SIGNATURE);
		BN_free(s);
	}
	BN_free(n);
	jwk_free(key);
}

/* A PSS signature of "text" with OpenSSL alone. */
static void
sign_pss(JoseKey *key, const char *digest, const char *mgf1, int salt_len, unsigned char *sig)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pkey_ctx;
	size_t		len = 256;

	check(EVP_DigestSignInit_ex(ctx, &pkey_ctx, digest, NULL, NULL, key->pkey, NULL) == 1 &&
		  EVP_PKEY_CTX_set_rsa_padding(pkey_ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
		  EVP_PKEY_CTX_set_rsa_pss_saltlen(pkey_ctx, salt_len) == 1 &&
		  EVP_PKEY_CTX_set_rsa_mgf1_md_name(pkey_ctx, mgf1, NULL) == 1 &&
		  EVP_DigestSign(ctx, sig, &len, (const unsigned char *) "text", 4) == 1 && len == 256,
		  "PSS with %s, %s and %d", digest, mgf1, salt_len);
	EVP_MD_CTX_free(ctx);
}

/* Whether OpenSSL, told every parameter, takes what jws_sign makes. */
static void
check_pss_parameters(const char *name, JoseKey *key, const char *digest, int salt_len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pkey_ctx;
	unsigned char sig[2][256];
	size_t		len = sizeof(sig[0]);

	check_status(name, jws_sign(alg_named(name), key, "text", 4, sig[0], &len), JOSE_OK);
	check_status(name, jws_sign(alg_named(name), key, "text", 4, sig[1], &len), JOSE_OK);
	check(memcmp(sig[0], sig[1], len) != 0, "%s: the same salt twice", name);
	check(EVP_DigestVerifyInit_ex(ctx, &pkey_ctx, digest, NULL, NULL, key->pkey, NULL) == 1 &&
		  EVP_PKEY_CTX_set_rsa_padding(pkey_ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
		  EVP_PKEY_CTX_set_rsa_pss_saltlen(pkey_ctx, salt_len) == 1 &&
		  EVP_PKEY_CTX_set_rsa_mgf1_md_name(pkey_ctx, digest, NULL) == 1 &&
		  EVP_DigestVerify(ctx, sig[0], len, (const unsigned char *) "text", 4) == 1, "%s: parameters", name);
	EVP_MD_CTX_free(ctx);
}

/* PSS: one salt length, and MGF1 with the same digest */
static void
test_pss(void)
{
	static const struct
	{
		const char *name;
		const char *digest;
		int			len;
		const char *other;
	}			cases[] = {
		{"PS256", "SHA256", 32, "SHA512"}, {"PS384", "SHA384", 48, "SHA256"}, {"PS512", "SHA512", 64, "SHA256"},
	};
	JoseKey    *key = must_import(&a2_jwk);

	for (size_t i = 0; i < LENGTH_OF(cases); i++)
	{
		const char *digest = cases[i].digest;
		int			len = cases[i].len;
		const struct
		{
			const char *digest;
			const char *mgf1;
			int			salt_len;
			JoseStatus	status;
		}			forms[] = {
			{digest, digest, len, JOSE_OK},
			{digest, digest, 0, JOSE_BAD_SIGNATURE},
			{digest, digest, 1, JOSE_BAD_SIGNATURE},
			{digest, digest, 20, JOSE_BAD_SIGNATURE},
			{digest, digest, len - 1, JOSE_BAD_SIGNATURE},
			{digest, digest, len + 1, JOSE_BAD_SIGNATURE},
			{digest, digest, 256 - 2 - len - 1, JOSE_BAD_SIGNATURE},
			{digest, digest, 256 - 2 - len, JOSE_BAD_SIGNATURE},
			{digest, digest, RSA_PSS_SALTLEN_MAX, JOSE_BAD_SIGNATURE},
			{digest, "SHA1", len, JOSE_BAD_SIGNATURE},
			{digest, "SHA1", 20, JOSE_BAD_SIGNATURE},
			{digest, cases[i].other, len, JOSE_BAD_SIGNATURE},
			{cases[i].other, digest, len, JOSE_BAD_SIGNATURE},
			{cases[i].other, cases[i].other, len, JOSE_BAD_SIGNATURE},
			{"SHA1", "SHA1", len, JOSE_BAD_SIGNATURE},
		};

		for (size_t j = 0; j < LENGTH_OF(forms); j++)
		{
			unsigned char sig[256];

			sign_pss(key, forms[j].digest, forms[j].mgf1, forms[j].salt_len, sig);
			check_status(cases[i].name, jws_verify(alg_named(cases[i].name), key, "text", 4, sig, 256),
						 forms[j].status);
		}
		check_pss_parameters(cases[i].name, key, digest, len);
	}
	jwk_free(key);
}

static void
check_rsa_size(EVP_PKEY *pkey, const char *pem, size_t pem_len, int bits)
{
	static const char *const names[] = {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"};
	BIO		   *bio = BIO_new(BIO_s_mem());
	char	   *written;
	JoseKey    *key;

	if (pkey != NULL)
	{
		PEM_write_bio_PKCS8PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL);
		pem_len = (size_t) BIO_get_mem_data(bio, &written);
		pem = written;
	}
	must(jwk_from_private_pem(pem, pem_len, &key), &key, "RSA");
	check(EVP_PKEY_get_bits(key->pkey) == bits, "RSA of %d bits", bits);
	for (size_t i = 0; i < LENGTH_OF(names); i++)
	{
		const JoseAlg *alg = alg_named(names[i]);
		unsigned char sig[384];
		size_t		len = sizeof(sig);

		check_status(names[i], jws_sign(alg, key, "text", 4, sig, &len), JOSE_OK);
		check(len == ((size_t) bits + 7) / 8, "%s: %zu bytes", names[i], len);
		check_status(names[i], jws_verify(alg, key, "text", 4, sig, len), JOSE_OK);
		check_status("a byte less", jws_verify(alg, key, "text", 4, sig + 1, len - 1), JOSE_BAD_SIGNATURE);
		sig[0] ^= 1;
		check_status(names[i], jws_verify(alg, key, "text", 4, sig, len), JOSE_BAD_SIGNATURE);
	}
	jwk_free(key);
	BIO_free(bio);
	EVP_PKEY_free(pkey);
}

/* Moduli that do not fill their bytes: PSS encodes one bit less, of 2049 a byte less. */
static void
test_rsa_odd_sizes(void)
{
	static const int bits[] = {2050, 2054, 3072};

	check_rsa_size(NULL, rsa_2049_pem, strlen(rsa_2049_pem), 2049);
	for (size_t i = 0; i < LENGTH_OF(bits); i++)
		check_rsa_size(EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t) bits[i]), NULL, 0, bits[i]);
}

/* secrets */

static void
test_secrets(void)
{
	static const struct
	{
		const char *alg;
		size_t		len;
		JoseStatus	status;
	}			cases[] = {
		{"HS256", 1, JOSE_WEAK_KEY}, {"HS256", 31, JOSE_WEAK_KEY}, {"HS256", 32, JOSE_OK},
		{"HS384", 47, JOSE_WEAK_KEY}, {"HS384", 48, JOSE_OK}, {"HS512", 32, JOSE_WEAK_KEY},
		{"HS512", 63, JOSE_WEAK_KEY}, {"HS512", 64, JOSE_OK}, {"HS512", 300, JOSE_OK},
		{"RS256", 300, JOSE_KEY_MISMATCH}, {"ES256", 32, JOSE_KEY_MISMATCH}, {"EdDSA", 32, JOSE_KEY_MISMATCH},
	};
	unsigned char secret[300];
	unsigned char sig[JWS_MAX_SIGNATURE];
	JoseKey    *key;

	memset(secret, 'k', sizeof(secret));
	check_status("empty secret", jwk_from_secret(secret, 0, &key), JOSE_BAD_KEY);
	check(key == NULL, "a key of nothing");
	for (size_t i = 0; i < LENGTH_OF(cases); i++)
	{
		const JoseAlg *alg = alg_named(cases[i].alg);
		size_t		len = sizeof(sig);

		must(jwk_from_secret(secret, cases[i].len, &key), &key, "secret");
		check(key->secret != secret && key->is_private, "secret copied");
		check_status(cases[i].alg, jwk_check_alg(key, alg), cases[i].status);
		check_status(cases[i].alg, jws_sign(alg, key, "text", 4, sig, &len), cases[i].status);
		memset(sig, 0, sizeof(sig));
		check_status(cases[i].alg, jws_verify(alg, key, "text", 4, sig, alg->signature_len),
					 cases[i].status == JOSE_OK ? JOSE_BAD_SIGNATURE : cases[i].status);
		jwk_free(key);
	}
}

/*
 * One secret serves three algorithms in turn: RFC 4231 test case 6, whose key
 * is long enough for each.
 */
static void
test_hmac_switches(void)
{
	static const char text[] = "Test Using Larger Than Block-Size Key - Hash Key First";
	static const struct
	{
		const char *alg;
		unsigned char start[4];
	}			cases[] = {
		{"HS256", {0x60, 0xe4, 0x31, 0x59}}, {"HS384", {0x4e, 0xce, 0x08, 0x44}},
		{"HS512", {0x80, 0xb2, 0x42, 0x63}}, {"HS256", {0x60, 0xe4, 0x31, 0x59}},
		{"HS256", {0x60, 0xe4, 0x31, 0x59}},
	};
	unsigned char secret[131];
	unsigned char sig[64];
	JoseKey    *key;

	memset(secret, 0xaa, sizeof(secret));
	must(jwk_from_secret(secret, sizeof(secret), &key), &key, "secret");
	for (size_t i = 0; i < LENGTH_OF(cases); i++)
	{
		size_t		len = sizeof(sig);

		check_status("RFC 4231", jws_sign(alg_named(cases[i].alg), key, text, strlen(text), sig, &len), JOSE_OK);
		check(memcmp(sig, cases[i].start, 4) == 0, "RFC 4231 6 with %s", cases[i].alg);
		check_status("RFC 4231", jws_verify(alg_named(cases[i].alg), key, text, strlen(text), sig, len), JOSE_OK);
	}
	jwk_free(key);
}

static void
test_looks_like_key(void)
{
	static const struct
	{
		const char *text;
		size_t		len;
		JwkLooks	looks;
	}			cases[] = {
#define CASE(literal, looks) {(literal), sizeof(literal) - 1, JWK_LOOKS_##looks}
		CASE("-----BEGIN PUBLIC KEY-----", KEY_FILE), CASE("-----BEGIN", KEY_FILE), CASE("  \r\n-----BEGIN X", KEY_FILE),
		CASE("x-----BEGIN", KEY_FILE), CASE("------BEGIN", KEY_FILE), CASE("a\0b-----BEGIN", KEY_FILE),
		CASE("\xEF\xBB\xBF-----BEGIN", KEY_FILE), CASE("---- BEGIN SSH2 PUBLIC KEY ----", KEY_FILE),
		CASE("Comment\n---- BEGIN", KEY_FILE), CASE("{\"private_key\":\"-----BEGIN", KEY_FILE),
		CASE("-----BEGI", PLAIN), CASE("----BEGIN", PLAIN), CASE("--- BEGIN", PLAIN), CASE("-----begin", PLAIN),
		CASE("-----", PLAIN),

		CASE("ssh-ed25519 AAAA", KEY_FILE), CASE(" \n\tssh-rsa AAAA", KEY_FILE), CASE("\xEF\xBB\xBFssh-rsa", KEY_FILE),
		CASE("\xEF\xBB\xBF ssh-rsa", KEY_FILE), CASE(" \xEF\xBB\xBFssh-rsa", KEY_FILE),
		CASE("ecdsa-sha2-nistp256 A", KEY_FILE), CASE("sk-ssh-ed25519@openssh.com AAAA", KEY_FILE),
		CASE("sk-ecdsa-sha2-nistp256@openssh.com A", KEY_FILE), CASE("restrict ssh-rsa AAAA", KEY_FILE),
		CASE("no-pty,command=\"a b\" ssh-rsa\t AAAAB3Nz x", KEY_FILE), CASE("host,[1::2]:22 sk-ssh-ed25519@openssh.com AAAA", KEY_FILE),
		CASE("# mine\nssh-ed25519 AAAA", KEY_FILE), CASE("x ssh- ssh-rsa AAAA", KEY_FILE),
		CASE("my ssh-key", PLAIN), CASE("my ssh-key is AAAA", PLAIN), CASE("x ssh-rsa", PLAIN), CASE("x ssh-rsa AAA", PLAIN),
		CASE("xssh-rsa AAAA", PLAIN), CASE("x ssh-rsaAAAA", PLAIN), CASE("ssh", PLAIN), CASE("ecdsa-sha2", PLAIN), CASE("sk-", PLAIN),

		CASE("{", JSON), CASE("{\"kty\":\"RSA\"}", JSON), CASE(" \t\r\n\v\f{", JSON), CASE("\xEF\xBB\xBF{", JSON),
		CASE("\v\xEF\xBB\xBF\v{", JSON), CASE("[{\"kty\"", JSON), CASE("\v[ \n{", JSON),
		CASE("[", PLAIN), CASE("[ ", PLAIN), CASE("[\"", PLAIN), CASE("x{", PLAIN), CASE("}", PLAIN),

		CASE("", PLAIN), CASE(" ", PLAIN), CASE("\xEF\xBB", PLAIN), CASE("\xEF\xBB\xBF", PLAIN), CASE("a plain secret", PLAIN),
#undef CASE
	};

	for (size_t i = 0; i < LENGTH_OF(cases); i++)
	{
		char	   *copy = allocate(cases[i].len);

		memcpy(copy, cases[i].text, cases[i].len);
		check(jwk_looks_like_key(copy, cases[i].len) == cases[i].looks, "looks of \"%s\"", cases[i].text);
		free(copy);
	}
}

/* JWK */

static void
check_import(const char *what, JwkMembers members, JoseStatus want)
{
	JoseKey    *key;

	check_status(what, jwk_import(&members, &key), want);
	check((key != NULL) == (want == JOSE_OK), "%s: key", what);
	jwk_free(key);
}

#define WITH(base, member, literal) \
	do { \
		JwkMembers	members_ = (base); \
		static const JwkText text_ = TEXT(literal); \
		members_.text[JWK_##member] = text_; \
		check_import(#base " with " #member " = " literal, members_, want); \
	} while (0)
#define WITHOUT(base, member) \
	do { \
		JwkMembers	members_ = (base); \
		members_.text[JWK_##member].data = NULL; \
		check_import(#base " without " #member, members_, want); \
	} while (0)

static void
test_jwk_shape(void)
{
	JoseStatus	want = JOSE_BAD_KEY;

	WITHOUT(a1_jwk, KTY);
	WITHOUT(a1_jwk, K);
	WITH(a1_jwk, K, "");
	WITH(a1_jwk, K, "A");
	WITH(a1_jwk, K, "AA==");
	WITH(a1_jwk, K, "A+");
	WITH(a1_jwk, KTY, "RSA");
	WITH(a1_jwk, KTY, "EC");
	WITH(a2_public_jwk, KTY, "oct");
	WITHOUT(a3_jwk, CRV);
	WITHOUT(a3_jwk, X);
	WITHOUT(a3_jwk, Y);
	WITHOUT(a4_jwk, CRV);
	WITHOUT(a4_jwk, X);

	/* a curve that the key is not of */
	WITH(a3_jwk, CRV, "P-384");
	WITH(a3_jwk, CRV, "P-521");
	WITH(a3_jwk, CRV, "secp256k1");
	WITH(a3_public_jwk, CRV, "secp256k1");
	WITH(es256k_jwk, CRV, "P-256");
	WITH(es512_jwk, CRV, "P-384");
	WITH(es384_public_jwk, CRV, "P-256");
	WITH(a4_jwk, CRV, "Ed448");
	WITH(ed448_jwk, CRV, "Ed25519");

	want = JOSE_UNSUPPORTED_KEY;
	WITH(a1_jwk, KTY, "OCT");
	WITH(a1_jwk, KTY, "oct ");
	WITH(a1_jwk, KTY, "");
	WITH(a2_jwk, KTY, "rsa");
	WITH(a2_jwk, KTY, "RSA\0");
	WITH(a3_jwk, CRV, "p-384");
	WITH(a3_jwk, CRV, "P-2566");
	WITH(es512_jwk, CRV, "P-512");
	WITH(es256k_jwk, CRV, "P-256K");
	WITH(es256k_jwk, CRV, "secp256K1");
	WITH(a3_jwk, CRV, "p-256");
	WITH(a3_jwk, CRV, "P-256\0");
	WITH(a3_jwk, CRV, "secp256r1");
	WITH(a3_jwk, CRV, "prime256v1");
	WITH(a3_jwk, CRV, "Ed25519");
	WITH(a4_jwk, CRV, "X25519");
	WITH(ed448_jwk, CRV, "X448");
	WITH(ed448_jwk, CRV, "ED448");
	WITH(ed448_jwk, CRV, "Ed448\0");
	WITH(a4_jwk, CRV, "P-256");
}

static void
test_jwk_rsa(void)
{
	JoseStatus	want = JOSE_BAD_KEY;

	WITHOUT(a2_jwk, N);
	WITHOUT(a2_jwk, E);
	WITHOUT(a2_jwk, D);
	WITHOUT(a2_jwk, P);
	WITHOUT(a2_jwk, Q);
	WITHOUT(a2_jwk, DP);
	WITHOUT(a2_jwk, DQ);
	WITHOUT(a2_jwk, QI);
	WITH(a2_jwk, D, A2_DP);
	WITH(a2_jwk, D, A2_N);
	WITH(a2_jwk, P, A2_Q);
	WITH(a2_jwk, Q, A2_P);
	WITH(a2_jwk, P, "AQ");
	WITH(a2_jwk, P, "Ag");
	WITH(a2_jwk, DP, A2_DQ);
	WITH(a2_jwk, DQ, "AQ");
	WITH(a2_jwk, QI, A2_DP);
	WITH(a2_jwk, QI, A2_N);
	WITH(a2_jwk, QI, "");
	WITH(a2_jwk, E, "Aw");
	WITH(a2_public_jwk, E, "AAEAAQ");	/* a leading zero octet */
	WITH(a2_public_jwk, E, "AA");
	WITH(a2_public_jwk, E, "");
	WITH(a2_public_jwk, E, "AQAB=");
	WITH(a2_public_jwk, N, "AKH4Fgri48m0Zc6N");
	WITH(a2_public_jwk, N, A2_N "AA");	/* even, and 2064 bits */
	WITH(a2_public_jwk, N, "A");

	want = JOSE_WEAK_KEY;
	WITH(a2_public_jwk, E, "AQ");
	WITH(a2_public_jwk, E, "Ag");
	WITH(a2_public_jwk, E, "AQAA");
	WITH(a2_public_jwk, E, "AQAAAAAAAAAB");	/* 65 bits */
	WITH(a2_jwk, E, "AQ");
	WITH(a2_public_jwk, N, "Aw");
	WITH(a2_public_jwk, N, A2_P);
	WITH(a2_jwk, N, A2_P);

	want = JOSE_OK;
	WITH(a2_public_jwk, E, "Aw");
	WITH(a2_public_jwk, CRV, "P-256");
}

/* n of 2047, 2048, 16384 and 16385 bits, all ones */
static void
test_jwk_rsa_sizes(void)
{
	static const struct
	{
		int			bits;
		JoseStatus	status;
	}			cases[] = {
		{1024, JOSE_WEAK_KEY}, {2047, JOSE_WEAK_KEY}, {2048, JOSE_OK}, {16384, JOSE_OK},
		{16385, JOSE_UNSUPPORTED_KEY}, {65536, JOSE_UNSUPPORTED_KEY},
	};

	for (size_t i = 0; i < LENGTH_OF(cases); i++)
	{
		static char text[BASE64URL_ENCODED_LEN(65536 / 8)];
		static unsigned char bytes[65536 / 8];
		size_t		len = (size_t) (cases[i].bits + 7) / 8;
		JwkMembers	members = a2_public_jwk;

		memset(bytes, 0xFF, len);
		bytes[0] = (unsigned char) (0xFF >> (len * 8 - (size_t) cases[i].bits));
		members.text[JWK_N].data = text;
		members.text[JWK_N].len = base64url_encode(bytes, len, text);
		check_import("RSA size", members, cases[i].status);
	}
}

/* Numbers that fit although p is no prime. */
static void
test_jwk_rsa_composite(void)
{
	BN_CTX	   *ctx = BN_CTX_new();
	BIGNUM	   *v[8];			/* n e d p q dp dq qi */
	BIGNUM	   *a = BN_new();
	BIGNUM	   *b = BN_new();
	char		text[8][BASE64URL_ENCODED_LEN(256)];
	unsigned char bytes[256];
	JwkMembers	m = {MEMBER(KTY, "RSA")};
	JwkText    *members = &m.text[JWK_N];

	for (int i = 0; i < 8; i++)
		v[i] = BN_new();
	BN_set_word(v[1], 65537);
	BN_generate_prime_ex(v[4], 1024, 0, NULL, NULL, NULL);
	do
	{
		BN_generate_prime_ex(a, 512, 0, NULL, NULL, NULL);
		BN_generate_prime_ex(b, 512, 0, NULL, NULL, NULL);
		BN_mul(v[3], a, b, ctx);
		BN_mul(v[0], v[3], v[4], ctx);
		BN_sub(a, v[3], BN_value_one());
		BN_sub(b, v[4], BN_value_one());
	} while (BN_num_bits(v[0]) != 2048 ||
			 BN_mod_inverse(v[5], v[1], a, ctx) == NULL || BN_mod_inverse(v[6], v[1], b, ctx) == NULL);
	/* d mod lcm(p - 1, q - 1) */
	BN_gcd(v[7], a, b, ctx);
	BN_mul(v[2], a, b, ctx);
	BN_div(a, NULL, v[2], v[7], ctx);
	BN_mod_inverse(v[2], v[1], a, ctx);
	BN_mod_inverse(v[7], v[4], v[3], ctx);

	for (int i = 0; i < 8; i++)
	{
		size_t		len = (size_t) BN_bn2bin(v[i], bytes);

		members[i].data = text[i];
		members[i].len = base64url_encode(bytes, len, text[i]);
		BN_free(v[i]);
	}
	BN_free(a);
	BN_free(b);
	BN_CTX_free(ctx);
	ERR_clear_error();
	check_import("composite p", m, JOSE_BAD_KEY);
}

/* Numbers that fit but are not reduced: qi + p, and d + 2 * (p - 1) * (q - 1). */
static void
test_jwk_rsa_unreduced(void)
{
	JoseKey    *key = must_import(&a2_jwk);
	BN_CTX	   *ctx = BN_CTX_new();
	BIGNUM	   *p = NULL;
	BIGNUM	   *q = NULL;
	BIGNUM	   *d = NULL;
	BIGNUM	   *qi = NULL;
	unsigned char bytes[512];
	char		text[BASE64URL_ENCODED_LEN(512)];
	JwkMembers	members = a2_jwk;

	EVP_PKEY_get_bn_param(key->pkey, OSSL_PKEY_PARAM_RSA_FACTOR1, &p);
	EVP_PKEY_get_bn_param(key->pkey, OSSL_PKEY_PARAM_RSA_FACTOR2, &q);
	EVP_PKEY_get_bn_param(key->pkey, OSSL_PKEY_PARAM_RSA_D, &d);
	EVP_PKEY_get_bn_param(key->pkey, OSSL_PKEY_PARAM_RSA_COEFFICIENT1, &qi);

	BN_add(qi, qi, p);
	members.text[JWK_QI].data = text;
	members.text[JWK_QI].len = base64url_encode(bytes, (size_t) BN_bn2bin(qi, bytes), text);
	check_import("qi + p", members, JOSE_BAD_KEY);

	BN_sub_word(p, 1);
	BN_sub_word(q, 1);
	BN_mul(p, p, q, ctx);
	BN_lshift1(p, p);
	BN_add(d, d, p);
	members = a2_jwk;
	members.text[JWK_D].data = text;
	members.text[JWK_D].len = base64url_encode(bytes, (size_t) BN_bn2bin(d, bytes), text);
	check_import("d beyond n", members, JOSE_BAD_KEY);

	BN_free(p);
	BN_free(q);
	BN_free(d);
	BN_free(qi);
	BN_CTX_free(ctx);
	jwk_free(key);
}

#define ZEROS_32	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

static void
test_jwk_ec(void)
{
	JwkMembers	zero = a3_public_jwk;
	JoseStatus	want = JOSE_BAD_KEY;
	static const JwkText zeros = TEXT(ZEROS_32);

	zero.text[JWK_X] = zero.text[JWK_Y] = zeros;
	check_import("(0,0)", zero, JOSE_BAD_KEY);
	WITH(a3_public_jwk, X, A3_Y);
	WITH(a3_public_jwk, Y, A3_X);
	WITH(a3_public_jwk, X, ZEROS_32);
	WITH(a3_public_jwk, X, "");
	WITH(a3_public_jwk, X, "AA" A3_X);
	WITH(a3_public_jwk, X, A3_X "A");
	WITH(a3_public_jwk, X, A3_X "=");
	WITH(a3_public_jwk, X, "_____wAAAAEAAAAAAAAAAAAAAAD_______________8");	/* p */
	WITH(a3_public_jwk, X, "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEV");	/* trailing bits */
	WITH(a3_jwk, D, ZEROS_32);
	WITH(a3_jwk, D, A3_X);
	WITH(a3_jwk, D, "_____wAAAAD__________7zm-q2nF56E87nKwvxjJVE");	/* n */
	WITH(a3_jwk, D, "");
	WITH(a3_jwk, D, "AQ");
	WITH(a3_jwk, D, "AA" A3_D);
}

static void
test_jwk_okp(void)
{
	JoseStatus	want = JOSE_BAD_KEY;

	WITH(a4_public_jwk, X, "");
	WITH(a4_public_jwk, X, "AA" A4_X);
	WITH(a4_public_jwk, X, "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHUQ");
	WITH(a4_jwk, D, "");
	WITH(a4_jwk, D, A4_X);
	WITH(a4_jwk, D, ZEROS_32);
	WITH(a4_jwk, X, A4_D);
	/* of low order: 0, 1, the same with the sign bit, -1, p, order 8 */
	WITH(a4_public_jwk, X, ZEROS_32);
	WITH(a4_public_jwk, X, "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
	WITH(a4_public_jwk, X, "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAIA");
	WITH(a4_public_jwk, X, "7P________________________________________38");
	WITH(a4_public_jwk, X, "7f________________________________________38");
	WITH(a4_public_jwk, X, "JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_AU");
	WITH(a4_public_jwk, X, "xxdqcD1N2E-6PAt2DRBnDyogU_osOczGTsf9d5KsA_o");
}

/* What has to be refused of Ed448: y of low order, reduced or not, with either sign. */
static void
test_ed448_low_order(void)
{
	BIGNUM	   *p = BN_new();
	BIGNUM	   *y = BN_new();

	BN_set_bit(p, 448);
	BN_set_bit(y, 224);
	BN_sub(p, p, y);
	BN_sub_word(p, 1);
	for (int i = 0; i < 12; i++)
	{
		/* 0, 1, p - 1, p, p + 1, and 2, which is no such */
		static const int from_p[] = {0, 0, 1, 1, 1, 0};
		static const int offset[] = {0, 1, -1, 0, 1, 2};
		unsigned char bytes[57];
		char		text[BASE64URL_ENCODED_LEN(57)];
		JwkMembers	members = ed448_public_jwk;

		if (from_p[i / 2])
			BN_copy(y, p);
		else
			BN_zero(y);
		if (offset[i / 2] < 0)
			BN_sub_word(y, 1);
		else
			BN_add_word(y, (BN_ULONG) offset[i / 2]);
		BN_bn2lebinpad(y, bytes, sizeof(bytes));
		bytes[56] |= (unsigned char) (i % 2 << 7);
		members.text[JWK_X].data = text;
		members.text[JWK_X].len = base64url_encode(bytes, sizeof(bytes), text);
		check_import("low order", members, i < 10 ? JOSE_BAD_KEY : JOSE_OK);
		if (i < 10)
		{
			EVP_PKEY   *pkey = EVP_PKEY_new_raw_public_key_ex(NULL, "ED448", NULL, bytes, sizeof(bytes));
			unsigned char *der = NULL;
			int			der_len = i2d_PUBKEY(pkey, &der);
			BIO		   *bio = BIO_new(BIO_s_mem());
			char	   *pem;
			JoseKey    *key;

			PEM_write_bio(bio, "PUBLIC KEY", "", der, der_len);
			der_len = (int) BIO_get_mem_data(bio, &pem);
			check_status("low order, PEM", jwk_from_public_pem(pem, (size_t) der_len, &key), JOSE_BAD_KEY);
			OPENSSL_free(der);
			BIO_free(bio);
			EVP_PKEY_free(pkey);
		}
	}
	BN_free(p);
	BN_free(y);
}

/* y = 1 beside bits that no y has: should the key pass, then no signature by it does. */
static void
test_ed448_high_bits(void)
{
	for (int bit = 0; bit < 7; bit++)
	{
		unsigned char bytes[57] = {1};
		unsigned char sig[114] = {1};	/* R the neutral element, S zero */
		char		text[BASE64URL_ENCODED_LEN(57)];
		JwkMembers	members = ed448_public_jwk;
		JoseKey    *key;

		bytes[56] = (unsigned char) (1 << bit);
		members.text[JWK_X].data = text;
		members.text[JWK_X].len = base64url_encode(bytes, sizeof(bytes), text);
		check(jwk_import(&members, &key) != JOSE_OK ||
			  jws_verify(alg_named("Ed448"), key, "text", 4, sig, sizeof(sig)) == JOSE_BAD_SIGNATURE,
			  "bit %d of the last byte", bit);
		jwk_free(key);
	}
}

/* A key gives these members, each with a NUL behind it, and no other. */
static void
check_exported(const JoseKey *key, bool with_private, const JwkMembers *want)
{
	JwkMembers	out;

	check_status("export", jwk_export(key, with_private, &out), JOSE_OK);
	for (int i = 0; i < JWK_MEMBERS; i++)
	{
		const JwkText *text = &out.text[i];

		check((text->data != NULL) == (want->text[i].data != NULL) && text->len == want->text[i].len &&
			  (text->data == NULL ||
			   (memcmp(text->data, want->text[i].data, text->len) == 0 && text->data[text->len] == '\0')),
			  "exported member %s", jwk_member_names[i]);
	}
	jwk_free_export(&out);
	for (int i = 0; i < JWK_MEMBERS; i++)
		check(out.text[i].data == NULL && out.text[i].len == 0, "export left empty");
	jwk_free_export(&out);
}

/* A member with a zero in front, with one behind, without its first byte, without its last. */
static void
check_lengths(JwkMembers *members, JwkText *member)
{
	JwkText		whole = *member;
	unsigned char *bytes;
	unsigned char longer[68] = {0};
	char		text[BASE64URL_ENCODED_LEN(sizeof(longer))];
	size_t		len;

	check(decode_exact(whole.data, whole.len, &bytes, &len), "member");
	memcpy(longer + 1, bytes, len);
	free(bytes);
	member->data = text;
	member->len = base64url_encode(longer, len + 1, text);
	check_import("a zero in front", *members, JOSE_BAD_KEY);
	member->len = base64url_encode(longer + 1, len + 1, text);
	check_import("a zero behind", *members, JOSE_BAD_KEY);
	member->len = base64url_encode(longer + 2, len - 1, text);
	check_import("without the first byte", *members, JOSE_BAD_KEY);
	member->len = base64url_encode(longer + 1, len - 1, text);
	check_import("without the last byte", *members, JOSE_BAD_KEY);
	*member = whole;
}

/*
 * Coordinates and d have the length of the curve, leading zeros and all: the
 * multiple of each curve's generator whose x or y begins with one.
 */
static void
test_jwk_lengths(void)
{
	static const JwkMembers keys[] = {
		{MEMBER(KTY, "EC"), MEMBER(CRV, "P-256"),
		MEMBER(D, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAXs"),
		MEMBER(X, "AFVDiUrz0A7X10Cr29dclrBod7eH219w7qeLkKjXwAo"),
		MEMBER(Y, "u0yFo9jqKe-q-iRAaRLdhNWxTcMr9lbvbGvVil2UP5I")},
		{MEMBER(KTY, "EC"), MEMBER(CRV, "P-256"),
		MEMBER(D, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAACs"),
		MEMBER(X, "mGriUG8f8QTQQjCGHY9LSY9LxMbQCbMPdUTcEpuC0o0"),
		MEMBER(Y, "ADzMwKZGDgrjKKTZfTx7YdhvxiicGJ8lJREMRBuwfpc")},
		{MEMBER(KTY, "EC"), MEMBER(CRV, "P-384"),
		MEMBER(D, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAADF"),
		MEMBER(X, "AE0QSybuVnH3LBDJhoQdPmXSheJRYWG3uqNBsSYxueMrbw1YlthDHFHV2To3y8kO"),
		MEMBER(Y, "8RoeP4t7kFOO5CzADuk0puLuJVQWB9j7ZceosR4viGhTiG7vOGXskzIAufJVmfKf")},
		{MEMBER(KTY, "EC"), MEMBER(CRV, "P-384"),
		MEMBER(D, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAACw"),
		MEMBER(X, "0DqnSPX0jrPgxUtoPyXS4tfX4yASgqlbV6Wf-4-Uz0xDsRB8qUS5IRw1ERLeFu0Y"),
		MEMBER(Y, "AAoIxgLcXgAx2tCIwZMF9rJSorw_JF96W4C0hMe5n2mBwyN0xxSnaDJV9TMfZrsG")},
		{MEMBER(KTY, "EC"), MEMBER(CRV, "P-521"),
		MEMBER(D, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAC"),
		MEMBER(X, "AEM8IZAkJ35-aC_LKIFIwoJ0dAMnmxzMBjUsblUF12m-l7OyBNpu9VUHqhBKOjXFr0HPL6Nk1g_ZZ_Q-OTO6bXg9"),
		MEMBER(Y, "APS7jMf4bbJnAKfz7O7u0_C1xrUQfE2pd0CrIaKZBsQtu7Pjd96fJR9rk5N_qZoySPTq_L6V7cD09xvjVtZh9BsC")},
		{MEMBER(KTY, "EC"), MEMBER(CRV, "secp256k1"),
		MEMBER(D, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAJk"),
		MEMBER(X, "AOOuGXRWbKBsxRbUfg-xZaZ0o9q8_KFeci8ONFD0WIk"),
		MEMBER(Y, "Kuq-fkUxUQEWIX8Hv00HMA3pfkh0-B9TNCCnLusL1qQ")},
		{MEMBER(KTY, "EC"), MEMBER(CRV, "secp256k1"),
		MEMBER(D, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAHo"),
		MEMBER(X, "E5rkahEz8fnSPyXvug9t2Hv33a9Wil-54KO_2nMXYjc"),
		MEMBER(Y, "AJleVVyKq9Jj_SOIM6EhiLil_760gLoOPm7EgaiZFHI")},
		{MEMBER(KTY, "OKP"), MEMBER(CRV, "Ed25519"), MEMBER(D, A4_D), MEMBER(X, A4_X)},
		{MEMBER(KTY, "OKP"), MEMBER(CRV, "Ed448"), MEMBER(D, ED448_D), MEMBER(X, ED448_X)},
	};

	for (size_t i = 0; i < LENGTH_OF(keys); i++)
	{
		JwkMembers	members = keys[i];
		JoseKey    *key = must_import(&members);

		check_exported(key, true, &members);
		jwk_free(key);

		check_lengths(&members, &members.text[JWK_D]);
		check_lengths(&members, &members.text[JWK_X]);
		if (members.text[JWK_Y].data != NULL)
			check_lengths(&members, &members.text[JWK_Y]);
		members.text[JWK_D].data = NULL;
		check_import("public half", members, JOSE_OK);
		check_lengths(&members, &members.text[JWK_X]);
		if (members.text[JWK_Y].data != NULL)
			check_lengths(&members, &members.text[JWK_Y]);
	}
}

/* PEM */

/* What a BIO has been given, as a text of its own. */
static char *
take_text(BIO *bio, size_t *len)
{
	char	   *data;
	char	   *text;
	long		size = BIO_get_mem_data(bio, &data);

	text = allocate((size_t) size + 1);
	memcpy(text, data, (size_t) size);
	text[size] = '\0';
	*len = (size_t) size;
	BIO_free(bio);
	return text;
}

typedef enum PemKind
{
	PKCS8, PKCS8_ENCRYPTED, TRADITIONAL, TRADITIONAL_ENCRYPTED, SPKI, PKCS1_PUBLIC, CERTIFICATE
} PemKind;

static void
write_certificate(BIO *bio, EVP_PKEY *pkey)
{
	X509	   *certificate = X509_new();
	bool		own_digest = EVP_PKEY_is_a(pkey, "ED25519") || EVP_PKEY_is_a(pkey, "ED448");

	X509_gmtime_adj(X509_getm_notBefore(certificate), -100);
	X509_gmtime_adj(X509_getm_notAfter(certificate), -10);
	X509_set_pubkey(certificate, pkey);
	X509_sign(certificate, pkey, own_digest ? NULL : EVP_sha256());
	PEM_write_bio_X509(bio, certificate);
	X509_free(certificate);
}

static void
write_pkcs1_public(BIO *bio, EVP_PKEY *pkey)
{
	OSSL_ENCODER_CTX *ctx = OSSL_ENCODER_CTX_new_for_pkey(pkey, EVP_PKEY_PUBLIC_KEY, "PEM", "type-specific", NULL);

	OSSL_ENCODER_to_bio(ctx, bio);
	OSSL_ENCODER_CTX_free(ctx);
}

static char *
write_pem(EVP_PKEY *pkey, PemKind kind, size_t *len)
{
	BIO		   *bio = BIO_new(BIO_s_mem());
	unsigned char pass[] = "pass";

	switch (kind)
	{
		case PKCS8:
			PEM_write_bio_PKCS8PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL);
			break;
		case PKCS8_ENCRYPTED:
			PEM_write_bio_PKCS8PrivateKey(bio, pkey, EVP_aes_256_cbc(), (char *) pass, 4, NULL, NULL);
			break;
		case TRADITIONAL:
			PEM_write_bio_PrivateKey_traditional(bio, pkey, NULL, NULL, 0, NULL, NULL);
			break;
		case TRADITIONAL_ENCRYPTED:
			PEM_write_bio_PrivateKey_traditional(bio, pkey, EVP_aes_256_cbc(), pass, 4, NULL, NULL);
			break;
		case SPKI:
			PEM_write_bio_PUBKEY(bio, pkey);
			break;
		case PKCS1_PUBLIC:
			write_pkcs1_public(bio, pkey);
			break;
		case CERTIFICATE:
			write_certificate(bio, pkey);
			break;
	}
	return take_text(bio, len);
}

/* prefix + pem + suffix through both readers, from an allocation of the exact size */
static void
check_pem(const char *what, const char *prefix, const char *pem, const char *suffix, size_t suffix_len,
		  JoseStatus want_private, JoseStatus want_public)
{
	size_t		len = strlen(prefix) + strlen(pem) + suffix_len;
	char	   *text = allocate(len);
	JoseKey    *key;

	memcpy(text, prefix, strlen(prefix));
	memcpy(text + strlen(prefix), pem, strlen(pem));
	memcpy(text + len - suffix_len, suffix, suffix_len);
	check_status(what, jwk_from_private_pem(text, len, &key), want_private);
	check((key != NULL) == (want_private == JOSE_OK), "%s: private key", what);
	check(key == NULL || key->is_private, "%s: is private", what);
	jwk_free(key);
	check_status(what, jwk_from_public_pem(text, len, &key), want_public);
	check((key != NULL) == (want_public == JOSE_OK), "%s: public key", what);
	check(key == NULL || !key->is_private, "%s: is public", what);
	jwk_free(key);
	free(text);
}

static void
check_pem_kind(const char *what, EVP_PKEY *pkey, PemKind kind, JoseStatus want_private, JoseStatus want_public)
{
	size_t		len;
	char	   *pem = write_pem(pkey, kind, &len);
	char		whole[64];

	snprintf(whole, sizeof(whole), "%s, form %d", what, (int) kind);
	check(len > 0, "%s: written", whole);
	check_pem(whole, "", pem, "", 0, want_private, want_public);
	free(pem);
}

static void
test_pem_forms(void)
{
	static const struct
	{
		const char *name;
		const JwkMembers *jwk;
	}			keys[] = {
		{"RSA", &a2_jwk}, {"EC", &a3_jwk}, {"P-521", &es512_jwk}, {"secp256k1", &es256k_jwk},
		{"Ed25519", &a4_jwk}, {"Ed448", &ed448_jwk},
	};

	for (size_t i = 0; i < LENGTH_OF(keys); i++)
	{
		JoseKey    *key = must_import(keys[i].jwk);

		check_pem_kind(keys[i].name, key->pkey, PKCS8, JOSE_OK, JOSE_PRIVATE_KEY);
		check_pem_kind(keys[i].name, key->pkey, PKCS8_ENCRYPTED, JOSE_ENCRYPTED_KEY, JOSE_PRIVATE_KEY);
		check_pem_kind(keys[i].name, key->pkey, SPKI, JOSE_NOT_PRIVATE_KEY, JOSE_OK);
		check_pem_kind(keys[i].name, key->pkey, CERTIFICATE, JOSE_NOT_PRIVATE_KEY, JOSE_OK);
		if (key->kty != JOSE_KTY_OKP)
		{
			check_pem_kind(keys[i].name, key->pkey, TRADITIONAL, JOSE_OK, JOSE_PRIVATE_KEY);
			check_pem_kind(keys[i].name, key->pkey, TRADITIONAL_ENCRYPTED, JOSE_ENCRYPTED_KEY, JOSE_PRIVATE_KEY);
		}
		if (key->kty == JOSE_KTY_RSA)
			check_pem_kind(keys[i].name, key->pkey, PKCS1_PUBLIC, JOSE_NOT_PRIVATE_KEY, JOSE_OK);
		jwk_free(key);
	}
}

static void
check_pem_pkey(const char *what, EVP_PKEY *pkey, JoseStatus status)
{
	check(pkey != NULL, "%s: generated", what);
	check_pem_kind(what, pkey, PKCS8, status, JOSE_PRIVATE_KEY);
	check_pem_kind(what, pkey, SPKI, JOSE_NOT_PRIVATE_KEY, status);
	EVP_PKEY_free(pkey);
}

/* A public RSA key of so many bits, all ones. */
static EVP_PKEY *
rsa_of_bits(int bits)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	OSSL_PARAM *params;
	BIGNUM	   *n = BN_new();
	BIGNUM	   *e = BN_new();
	EVP_PKEY   *pkey = NULL;

	BN_set_bit(n, bits);
	BN_sub_word(n, 1);
	BN_set_word(e, 65537);
	OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, n);
	OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, e);
	params = OSSL_PARAM_BLD_to_param(bld);
	EVP_PKEY_fromdata_init(ctx);
	EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(bld);
	BN_free(n);
	BN_free(e);
	EVP_PKEY_CTX_free(ctx);
	return pkey;
}

/* The public key is what jwk_from_public_pem says it is. */
static void
check_public_pkey(const char *what, EVP_PKEY *pkey, JoseStatus status)
{
	check(pkey != NULL, "%s: made", what);
	check_pem_kind(what, pkey, SPKI, JOSE_NOT_PRIVATE_KEY, status);
	EVP_PKEY_free(pkey);
}

static EVP_PKEY *
generate_rsa_pss(void)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA-PSS", NULL);
	EVP_PKEY   *pkey = NULL;

	EVP_PKEY_keygen_init(ctx);
	EVP_PKEY_generate(ctx, &pkey);
	EVP_PKEY_CTX_free(ctx);
	return pkey;
}

static void
test_pem_unsupported(void)
{
	static const char *const groups[] = {"P-192", "P-224", "brainpoolP256r1", "brainpoolP384r1", "brainpoolP512r1"};
	static const char *const explicit[] = {"P-256", "P-384", "P-521", "secp256k1"};
	static const char *const types[] = {"X25519", "X448"};
	EVP_PKEY   *pkey;

	for (size_t i = 0; i < LENGTH_OF(groups); i++)
		check_pem_pkey(groups[i], EVP_PKEY_Q_keygen(NULL, NULL, "EC", groups[i]), JOSE_UNSUPPORTED_KEY);
	for (size_t i = 0; i < LENGTH_OF(types); i++)
		check_pem_pkey(types[i], EVP_PKEY_Q_keygen(NULL, NULL, types[i]), JOSE_UNSUPPORTED_KEY);
	check_pem_pkey("RSA 1024", EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t) 1024), JOSE_WEAK_KEY);

	check_public_pkey("RSA 2047", rsa_of_bits(2047), JOSE_WEAK_KEY);
	check_public_pkey("RSA 16384", rsa_of_bits(16384), JOSE_OK);
	check_public_pkey("RSA 16385", rsa_of_bits(16385), JOSE_UNSUPPORTED_KEY);

	for (size_t i = 0; i < LENGTH_OF(explicit); i++)
	{
		pkey = EVP_PKEY_Q_keygen(NULL, NULL, "EC", explicit[i]);
		EVP_PKEY_set_utf8_string_param(pkey, OSSL_PKEY_PARAM_EC_ENCODING, "explicit");
		check_pem_pkey("explicit parameters", pkey, JOSE_UNSUPPORTED_KEY);
	}

	check_pem_pkey("RSA-PSS", generate_rsa_pss(), JOSE_UNSUPPORTED_KEY);

	check_pem("DSA", "", dsa_pem, "", 0, JOSE_UNSUPPORTED_KEY, JOSE_PRIVATE_KEY);
}

static void
test_pem_text(void)
{
	static const char parameters[] =
		"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
	JoseKey    *key = must_import(&a3_jwk);
	size_t		len;
	char	   *sec1 = write_pem(key->pkey, TRADITIONAL, &len);
	char	   *spki = write_pem(key->pkey, SPKI, &len);
	char	   *crlf = allocate(2 * strlen(sec1) + 1);
	char	   *cut;

	crlf[0] = '\0';
	check_pem("EC PARAMETERS first", parameters, sec1, "", 0, JOSE_OK, JOSE_PRIVATE_KEY);
	check_pem("EC PARAMETERS only", parameters, "", "", 0, JOSE_BAD_KEY, JOSE_BAD_KEY);
	check_pem("text before", "my key\n\n", spki, "", 0, JOSE_NOT_PRIVATE_KEY, JOSE_OK);
	check_pem("space after", "", spki, " \r\n\t\n", 5, JOSE_NOT_PRIVATE_KEY, JOSE_OK);
	check_pem("space after", "", sec1, "\n\n", 2, JOSE_OK, JOSE_PRIVATE_KEY);
	check_pem("text after", "", sec1, "x", 1, JOSE_BAD_KEY, JOSE_PRIVATE_KEY);
	check_pem("text after", "", spki, "x", 1, JOSE_NOT_PRIVATE_KEY, JOSE_BAD_KEY);
	check_pem("NUL after", "", sec1, "\0", 1, JOSE_BAD_KEY, JOSE_PRIVATE_KEY);
	check_pem("key after", "", spki, spki, strlen(spki), JOSE_NOT_PRIVATE_KEY, JOSE_BAD_KEY);
	check_pem("key after", "", sec1, spki, strlen(spki), JOSE_BAD_KEY, JOSE_PRIVATE_KEY);
	check_pem("nothing", "", "", "", 0, JOSE_BAD_KEY, JOSE_BAD_KEY);
	check_pem("no PEM", "hello", "", "", 0, JOSE_BAD_KEY, JOSE_BAD_KEY);
	check_pem("begin only", "-----BEGIN PRIVATE KEY-----\n", "", "", 0, JOSE_BAD_KEY, JOSE_BAD_KEY);
	check_pem("empty block", "", "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n", "", 0,
			  JOSE_BAD_KEY, JOSE_BAD_KEY);
	check_pem("not DER", "", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "", 0,
			  JOSE_NOT_PRIVATE_KEY, JOSE_BAD_KEY);
	check_pem("not DER", "", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "", 0,
			  JOSE_NOT_PRIVATE_KEY, JOSE_BAD_KEY);
	check_pem("unknown label", "", "-----BEGIN THING-----\nAAAA\n-----END THING-----\n", "", 0,
			  JOSE_BAD_KEY, JOSE_BAD_KEY);
	check_pem("OpenSSH", "", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
			  "", 0, JOSE_UNSUPPORTED_KEY, JOSE_PRIVATE_KEY);

	for (const char *from = sec1; *from != '\0'; from++)
	{
		if (*from == '\n')
			strcat(crlf, "\r");
		strncat(crlf, from, 1);
	}
	check_pem("CRLF", "", crlf, "", 0, JOSE_OK, JOSE_PRIVATE_KEY);

	/* The final newline may lack, but nothing more. */
	cut = sec1 + strlen(sec1) - 1;
	*cut = '\0';
	check_pem("no final newline", "", sec1, "", 0, JOSE_OK, JOSE_PRIVATE_KEY);
	while (--cut > sec1)
	{
		*cut = '\0';
		check_pem("cut short", "", sec1, "", 0, JOSE_BAD_KEY, JOSE_BAD_KEY);
	}
	free(sec1);
	free(spki);
	free(crlf);
	jwk_free(key);
}

/* bytes and export */

static void
check_same_key(const char *what, const JoseAlg *alg, JoseKey *key, JoseKey *other)
{
	unsigned char sig[JWS_MAX_SIGNATURE];
	size_t		len = sizeof(sig);

	check_status(what, jws_sign(alg, key, "text", 4, sig, &len), JOSE_OK);
	check_status(what, jws_verify(alg, other, "text", 4, sig, len), JOSE_OK);
}

static void
check_bytes(const Algorithm *a, const JoseAlg *alg, JoseKey *key)
{
	unsigned char *bytes;
	size_t		len;
	JoseKey    *back;
	const JoseAlg *other;

	check_status(alg->name, jwk_to_bytes(key, &bytes, &len), JOSE_OK);
	must(jwk_from_bytes(alg, bytes, len, &back), &back, alg->name);
	check_same_key(alg->name, alg, key, back);
	check_same_key(alg->name, alg, back, key);
	jwk_free(back);

	for (size_t i = 0; (other = alg_at(i)) != NULL; i++)
	{
		JoseStatus	want = suits(a, other);

		/* Any bytes are a secret, and those of a secret are no key pair. */
		if (other->kty != alg->kty && other->kty == JOSE_KTY_OCT)
			continue;
		if (other->kty != alg->kty && alg->kty == JOSE_KTY_OCT)
			want = JOSE_BAD_KEY;
		check_status(other->name, jwk_from_bytes(other, bytes, len, &back), want);
		check((back != NULL) == (want == JOSE_OK), "%s: key of %s", other->name, alg->name);
		jwk_free(back);
	}
	for (size_t i = 0; i < 40 && alg->kty != JOSE_KTY_OCT; i++)
	{
		size_t		cut = len * i / 40;
		unsigned char *copy = allocate(cut);

		memcpy(copy, bytes, cut);
		check_status("cut bytes", jwk_from_bytes(alg, copy, cut, &back), JOSE_BAD_KEY);
		free(copy);
	}
	if (alg->kty != JOSE_KTY_OCT)
	{
		unsigned char *copy = allocate(len + 1);

		memcpy(copy, bytes, len);
		copy[len] = 0;
		check_status("a byte too many", jwk_from_bytes(alg, copy, len + 1, &back), JOSE_BAD_KEY);
		OPENSSL_cleanse(copy, len);
		free(copy);
	}
	jwk_free_bytes(bytes, len);
}

static void
check_export_of(const JoseAlg *alg, JoseKey *key, bool with_private)
{
	JwkMembers	out;
	JoseKey    *back;

	check_status(alg->name, jwk_export(key, with_private, &out), JOSE_OK);
	must(jwk_import(&out, &back), &back, alg->name);
	check(back->is_private == with_private, "%s: exported half", alg->name);
	check_same_key(alg->name, alg, key, back);
	if (!with_private)
	{
		unsigned char *bytes;
		size_t		len;
		JwkMembers	none;
		unsigned char sig[JWS_MAX_SIGNATURE];
		size_t		sig_len = sizeof(sig);

		check_status("sign with public key", jws_sign(alg, back, "x", 1, sig, &sig_len), JOSE_NOT_PRIVATE_KEY);
		check_status("bytes of a public key", jwk_to_bytes(back, &bytes, &len), JOSE_NOT_PRIVATE_KEY);
		check_status("private export of a public key", jwk_export(back, true, &none), JOSE_NOT_PRIVATE_KEY);
	}
	jwk_free(back);
	jwk_free_export(&out);
}

/* The curve counts as well as the type. */
static void
check_other_curve(const JoseAlg *alg, JoseKey *key)
{
	JoseAlg		other = *alg;
	unsigned char sig[132] = {0};

	if (alg->curve == NULL)
		return;
	other.curve = "P-999";
	check_status("other curve", jwk_check_alg(key, &other), JOSE_KEY_MISMATCH);
	check_status("other curve", jws_verify(&other, key, "x", 1, sig, alg->signature_len), JOSE_KEY_MISMATCH);
}

/* Through PEM, this library's and OpenSSL's, either half. */
static void
check_pem_trip(const JoseAlg *alg, JoseKey *key)
{
	unsigned char *pem;
	char	   *text;
	size_t		len;
	JoseKey    *back;
	JoseKey    *public_key;

	check_status(alg->name, jwk_to_pem(key, true, &pem, &len), JOSE_OK);
	must(jwk_from_private_pem((char *) pem, len, &back), &back, alg->name);
	text = write_pem(key->pkey, PKCS8, &len);
	check(strlen(text) == len && memcmp(text, pem, len) == 0, "%s: PKCS#8", alg->name);
	free(text);
	jwk_free_bytes(pem, len);
	check_same_key(alg->name, alg, back, key);

	check_status(alg->name, jwk_to_pem(back, false, &pem, &len), JOSE_OK);
	must(jwk_from_public_pem((char *) pem, len, &public_key), &public_key, alg->name);
	text = write_pem(key->pkey, SPKI, &len);
	check(strlen(text) == len && memcmp(text, pem, len) == 0, "%s: SubjectPublicKeyInfo", alg->name);
	free(text);
	jwk_free_bytes(pem, len);
	check_same_key(alg->name, alg, key, public_key);
	check_status(alg->name, jwk_to_pem(public_key, true, &pem, &len), JOSE_NOT_PRIVATE_KEY);
	check(pem == NULL && len == 0, "%s: PEM of what is not there", alg->name);
	jwk_free(back);
	jwk_free(public_key);

	text = write_pem(key->pkey, CERTIFICATE, &len);
	must(jwk_from_public_pem(text, len, &back), &back, alg->name);
	check_same_key(alg->name, alg, key, back);
	free(text);
	jwk_free(back);
	if (key->kty == JOSE_KTY_OKP)
		return;
	text = write_pem(key->pkey, TRADITIONAL, &len);
	must(jwk_from_private_pem(text, len, &back), &back, alg->name);
	check_same_key(alg->name, alg, back, key);
	free(text);
	jwk_free(back);
}

/* What each algorithm makes of this one's key and signature. */
static void
check_matrix(const Algorithm *a, const JoseAlg *alg, JoseKey *key)
{
	static const char text[] = "header.payload";
	unsigned char sig[JWS_MAX_SIGNATURE];
	unsigned char other_sig[JWS_MAX_SIGNATURE];
	size_t		len = sizeof(sig);
	const JoseAlg *other;

	check_status(a->name, jws_sign(alg, key, text, strlen(text), sig, &len), JOSE_OK);
	check(len == a->signature_len, "%s: %zu bytes", a->name, len);
	check_spoiled(alg, key, text, strlen(text), sig, len);
	for (size_t i = 0; (other = alg_at(i)) != NULL; i++)
	{
		size_t		other_len = sizeof(other_sig);

		check_status(other->name, jwk_check_alg(key, other), suits(a, other));
		check_status(other->name, jws_verify(other, key, text, strlen(text), sig, len), verifies(a, other));
		check_status(other->name, jws_sign(other, key, text, strlen(text), other_sig, &other_len), suits(a, other));
		if (suits(a, other) != JOSE_OK)
			continue;
		check_status(other->name, jws_verify(other, key, text, strlen(text), other_sig, other_len), JOSE_OK);
		check_status(other->name, jws_verify(alg, key, text, strlen(text), other_sig, other_len),
					 listed(a->twins, other->name) ? JOSE_OK : JOSE_BAD_SIGNATURE);
	}
	len--;
	check_status("too little room", jws_sign(alg, key, text, strlen(text), sig, &len), JOSE_CRYPTO_FAILURE);
}

static void
check_thumbprint_of(const JoseAlg *alg, JoseKey *key)
{
	unsigned char thumbprint[2][JWK_THUMBPRINT_LEN];
	unsigned char *pem;
	size_t		len;
	JoseKey    *back;

	check_status(alg->name, jwk_thumbprint(key, thumbprint[0]), JOSE_OK);
	if (key->kty == JOSE_KTY_OCT)
	{
		check_status("PEM of a secret", jwk_to_pem(key, true, &pem, &len), JOSE_UNSUPPORTED_KEY);
		return;
	}
	check_status(alg->name, jwk_to_pem(key, false, &pem, &len), JOSE_OK);
	must(jwk_from_public_pem((char *) pem, len, &back), &back, alg->name);
	check_status(alg->name, jwk_thumbprint(back, thumbprint[1]), JOSE_OK);
	check(memcmp(thumbprint[0], thumbprint[1], JWK_THUMBPRINT_LEN) == 0, "%s: thumbprints", alg->name);
	jwk_free_bytes(pem, len);
	jwk_free(back);
}

static void
test_generate(void)
{
	const JoseAlg *alg;

	for (size_t i = 0; (alg = alg_at(i)) != NULL; i++)
	{
		const Algorithm *a = algorithm_named(alg->name);
		JoseKey    *key = must_generate(alg->name);
		JwkMembers	out;

		check(key->kty == a->kty && (a->crv != NULL) == (key->curve != NULL) &&
			  (a->crv == NULL || strcmp(key->curve, a->crv) == 0), "%s: type and curve", alg->name);
		check_other_curve(alg, key);
		check(key->kty != JOSE_KTY_OCT || key->secret_len == alg->digest_len, "length of a secret");
		check(key->kty != JOSE_KTY_RSA || EVP_PKEY_get_bits(key->pkey) == 2048, "length of a modulus");
		check_matrix(a, alg, key);
		check_bytes(a, alg, key);
		check_thumbprint_of(alg, key);
		check_export_of(alg, key, true);
		if (key->kty != JOSE_KTY_OCT)
		{
			check_export_of(alg, key, false);
			check_pem_trip(alg, key);
		}
		else
			check_status("public export of a secret", jwk_export(key, false, &out), JOSE_BAD_KEY);
		jwk_free(key);
	}
	jwk_free(NULL);
	jwk_free_bytes(NULL, 0);
}

/* A byte after the certificate, inside of the PEM block */
static void
test_certificate_tail(void)
{
	JoseKey    *key = must_import(&a3_jwk);
	JoseKey    *back;
	size_t		len;
	char	   *pem = write_pem(key->pkey, CERTIFICATE, &len);
	BIO		   *bio = BIO_new_mem_buf(pem, (int) len);
	BIO		   *out = BIO_new(BIO_s_mem());
	char	   *label;
	char	   *header;
	char	   *longer;
	unsigned char *der;
	unsigned char *copy;
	long		der_len;

	check(PEM_read_bio(bio, &label, &header, &der, &der_len) == 1, "certificate's PEM");
	copy = allocate((size_t) der_len + 1);
	memcpy(copy, der, (size_t) der_len);
	copy[der_len] = 0;
	PEM_write_bio(out, label, header, copy, der_len + 1);
	longer = take_text(out, &len);
	check_status("certificate's tail", jwk_from_public_pem(longer, len, &back), JOSE_BAD_KEY);
	OPENSSL_free(label);
	OPENSSL_free(header);
	OPENSSL_free(der);
	BIO_free(bio);
	free(copy);
	free(longer);
	free(pem);
	jwk_free(key);
}

/* PKCS#8 that wants a passphrase, with nobody asked for it. */
static void
test_encrypted_bytes(void)
{
	JoseKey    *key = must_import(&a3_jwk);
	JoseKey    *back;
	size_t		len;
	char	   *pem = write_pem(key->pkey, PKCS8_ENCRYPTED, &len);
	BIO		   *bio = BIO_new_mem_buf(pem, (int) len);
	char	   *label;
	char	   *header;
	unsigned char *der;
	long		der_len;

	check(PEM_read_bio(bio, &label, &header, &der, &der_len) == 1, "encrypted PEM");
	check_status("encrypted bytes", jwk_from_bytes(alg_named("ES256"), der, (size_t) der_len, &back),
				 JOSE_BAD_KEY);
	OPENSSL_free(label);
	OPENSSL_free(header);
	OPENSSL_free(der);
	BIO_free(bio);
	free(pem);
	jwk_free(key);
}

int
main(void)
{
	/* LeakSanitizer ends the process without flushing */
	setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	test_base64url_good();
	test_base64url_bad();
	test_base64url_exhaustive();
	test_numericdate();
	test_numericdate_long();
	test_alg();
	test_parse();
	test_parse_pieces();
	test_raw_vectors();
	test_ecdsa();
	test_rsa_forms();
	test_pss();
	test_rsa_odd_sizes();
	test_secrets();
	test_hmac_switches();
	test_looks_like_key();
	test_jwk_shape();
	test_jwk_rsa();
	test_jwk_rsa_sizes();
	test_jwk_rsa_composite();
	test_jwk_rsa_unreduced();
	test_jwk_ec();
	test_jwk_okp();
	test_ed448_low_order();
	test_ed448_high_bits();
	test_jwk_lengths();
	test_pem_forms();
	test_pem_unsupported();
	test_pem_text();
	test_generate();
	test_certificate_tail();
	test_encrypted_bytes();
	printf("core: %d checks passed, %d failed\n", passed, failed);
	return failed == 0 ? 0 : 1;
}
