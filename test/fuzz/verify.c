/*
 * verify.c
 *	  Fuzz target: a token from its text to the verdict.
 *
 * Nobody but the signer makes a token that verifies: what does is one of
 * fuzz_tokens[] to the last bit, except that an ECDSA signature has a twin.
 * See fuzz.h for the form of an input.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>

#include "base64url.h"
#include "fuzz.h"

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void) argc;
	(void) argv;
	fuzz_make_keys();
	fuzz_make_tokens();
	return 0;
}

/*
 * Whether two ECDSA signatures differ in the sign of s alone.
 */
static bool
is_twin(const FuzzToken *token, const unsigned char *signature)
{
	int			half = (int) token->alg->signature_len / 2;
	BIGNUM	   *order = NULL;
	BIGNUM	   *s[2] = {NULL, NULL};
	bool		same;

	PROPERTY(EVP_PKEY_get_bn_param(token->key->pair->pkey, OSSL_PKEY_PARAM_EC_ORDER, &order) == 1);
	PROPERTY((s[0] = BN_bin2bn(token->parts.signature + half, half, NULL)) != NULL);
	PROPERTY((s[1] = BN_bin2bn(signature + half, half, NULL)) != NULL);
	PROPERTY(BN_add(s[0], s[0], s[1]) == 1);
	same = memcmp(signature, token->parts.signature, (size_t) half) == 0 && BN_cmp(s[0], order) == 0;
	BN_free(s[0]);
	BN_free(s[1]);
	BN_free(order);
	return same;
}

/*
 * Whether a token is one that was signed.  "EdDSA" and the name of its curve
 * are one algorithm.
 */
static bool
is_genuine(const FuzzToken *token, const JoseAlg *alg, const FuzzKey *key, const JwsParts *parts)
{
	bool		same = token->alg == alg || (token->alg->family == JOSE_EDDSA && alg->family == JOSE_EDDSA);

	if (token->key != key || !same)
		return false;
	if (token->parts.signing_input_len != parts->signing_input_len ||
		memcmp(token->text, parts->signing_input, parts->signing_input_len) != 0)
		return false;
	if (token->parts.signature_len != parts->signature_len)
		return false;
	return memcmp(token->parts.signature, parts->signature, parts->signature_len) == 0 ||
		(alg->family == JOSE_ECDSA && is_twin(token, parts->signature));
}

static bool
was_signed(const JoseAlg *alg, const FuzzKey *key, const JwsParts *parts)
{
	for (int i = 0; i < FUZZ_TOKENS; i++)
	{
		if (is_genuine(&fuzz_tokens[i], alg, key, parts))
			return true;
	}
	return false;
}

/*
 * The three pieces of a token, from what is left of the input.
 */
static JwsParts
read_pieces(Input *input)
{
	JwsParts	pieces;

	memset(&pieces, 0, sizeof(pieces));
	pieces.header_len = fuzz_length(input);
	pieces.header = fuzz_copy(input, pieces.header_len);
	pieces.payload_len = fuzz_length(input);
	pieces.payload = fuzz_copy(input, pieces.payload_len);
	pieces.signature_len = input->len;
	pieces.signature = fuzz_copy(input, pieces.signature_len);
	return pieces;
}

static void
free_pieces(JwsParts *pieces)
{
	free(pieces->header);
	free(pieces->payload);
	free(pieces->signature);
}

/*
 * Their compact form.
 */
static char *
make_token(const JwsParts *pieces, size_t *len)
{
	char	   *token;
	char	   *end;

	*len = BASE64URL_ENCODED_LEN(pieces->header_len) + 1 + BASE64URL_ENCODED_LEN(pieces->payload_len) + 1 +
		BASE64URL_ENCODED_LEN(pieces->signature_len);
	token = fuzz_allocate(*len);
	end = fuzz_encode(pieces->header, pieces->header_len, token);
	*end++ = '.';
	end = fuzz_encode(pieces->payload, pieces->payload_len, end);
	*end++ = '.';
	(void) fuzz_encode(pieces->signature, pieces->signature_len, end);
	return token;
}

/*
 * Parses the token, where neither its header nor its signature is empty, into
 * the pieces that it was made of.
 */
static bool
parse(const char *token, size_t len, const JwsParts *pieces, unsigned char *buf, JwsParts *parts)
{
	bool		ok = pieces->header_len > 0 && pieces->signature_len > 0;

	(void) EXPECT(jws_parse(token, len, buf, parts), ok ? STATUS(OK) : STATUS(MALFORMED));
	if (!ok)
		return false;
	PROPERTY(parts->header_len == pieces->header_len &&
			 memcmp(parts->header, pieces->header, parts->header_len) == 0);
	PROPERTY(parts->payload_len == pieces->payload_len &&
			 memcmp(parts->payload, pieces->payload, parts->payload_len) == 0);
	PROPERTY(parts->signature_len == pieces->signature_len &&
			 memcmp(parts->signature, pieces->signature, parts->signature_len) == 0);
	return true;
}

/*
 * What jws_verify has to say.
 */
static uint64_t
verdict(const JoseAlg *alg, const FuzzKey *key, const JwsParts *parts)
{
	if (!fuzz_suits(key, alg))
		return STATUS(KEY_MISMATCH);
	return was_signed(alg, key, parts) ? STATUS(OK) : STATUS(BAD_SIGNATURE);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input		input = {data, size};
	const JoseAlg *alg = alg_at(fuzz_byte(&input) % 16);
	const FuzzKey *key = &fuzz_keys[fuzz_byte(&input) % FUZZ_KEYS];
	JoseKey    *half = fuzz_byte(&input) % 2 != 0 ? key->pair : key->public_half;
	JwsParts	pieces = read_pieces(&input);
	size_t		len;
	char	   *token = make_token(&pieces, &len);
	unsigned char *buf = fuzz_allocate(len);
	JwsParts	parts;

	fuzz_start();
	if (parse(token, len, &pieces, buf, &parts))
		(void) EXPECT(jws_verify(alg, half, parts.signing_input, parts.signing_input_len,
								 parts.signature, parts.signature_len),
					  verdict(alg, key, &parts));
	free(buf);
	free(token);
	free_pieces(&pieces);
	return 0;
}
