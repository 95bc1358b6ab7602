/*
 * jwk.c
 *	  Fuzz target: JWK members to a key, and what can be done with one.
 *
 * A key that imports is exported as the very text that it came from: no member
 * has two spellings.  See fuzz.h for the form of an input.
 */
#include <stdlib.h>
#include <string.h>

#include "base64url.h"
#include "fuzz.h"

#define NO_KEY	(STATUS(BAD_KEY) | STATUS(WEAK_KEY) | STATUS(UNSUPPORTED_KEY))

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void) argc;
	(void) argv;
	fuzz_start();
	return 0;
}

/*
 * Reads one member; a later one takes the place of one before.
 */
static void
read_member(Input *input, JwkText members[FUZZ_MEMBERS])
{
	unsigned int tag = fuzz_byte(input);
	JwkText    *member = &members[(tag & ~FUZZ_ENCODE) % FUZZ_MEMBERS];
	size_t		len = fuzz_length(input);
	char	   *data = fuzz_copy(input, len);

	free((char *) member->data);
	if ((tag & FUZZ_ENCODE) != 0)
	{
		member->data = fuzz_allocate(BASE64URL_ENCODED_LEN(len));
		member->len = base64url_encode((unsigned char *) data, len, (char *) member->data);
		free(data);
	}
	else
	{
		member->data = data;
		member->len = len;
	}
}

/*
 * The algorithm that is named exactly so; the first one where none is.
 */
static const JoseAlg *
algorithm(const JwkText *name)
{
	const JoseAlg *alg = name->data != NULL ? alg_find(name->data, name->len) : NULL;

	if (alg == NULL)
		return alg_at(0);
	PROPERTY(strlen(alg->name) == name->len && memcmp(alg->name, name->data, name->len) == 0);
	return alg;
}

static void
check_text(const JwkText *member, const char *exported)
{
	PROPERTY(exported == NULL || (member->data != NULL && member->len == strlen(exported) &&
								  memcmp(member->data, exported, member->len) == 0));
}

/*
 * Private where it has private members, and exported as it was.
 */
static void
check_imported(const JwkText m[FUZZ_MEMBERS], const JoseKey *key)
{
	bool		is_private = m[FUZZ_D].data != NULL;
	JwkExport	jwk;

	for (int i = FUZZ_P; i <= FUZZ_QI && key->kty == JOSE_KTY_RSA; i++)
		PROPERTY((m[i].data != NULL) == is_private);
	PROPERTY(key->is_private == (is_private || key->kty == JOSE_KTY_OCT));

	(void) EXPECT(jwk_export(key, key->is_private, &jwk), STATUS(OK));
	check_text(&m[FUZZ_KTY], jwk.kty);
	check_text(&m[FUZZ_CRV], jwk.crv);
	check_text(&m[FUZZ_K], jwk.k);
	check_text(&m[FUZZ_N], jwk.n);
	check_text(&m[FUZZ_E], jwk.e);
	check_text(&m[FUZZ_D], jwk.d);
	check_text(&m[FUZZ_P], jwk.p);
	check_text(&m[FUZZ_Q], jwk.q);
	check_text(&m[FUZZ_DP], jwk.dp);
	check_text(&m[FUZZ_DQ], jwk.dq);
	check_text(&m[FUZZ_QI], jwk.qi);
	check_text(&m[FUZZ_X], jwk.x);
	check_text(&m[FUZZ_Y], jwk.y);
	jwk_free_export(&jwk);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input		input = {data, size};
	JwkText		m[FUZZ_MEMBERS] = {{NULL, 0}};
	JwkMembers	members;
	const JoseAlg *alg;
	JoseKey    *key;

	fuzz_start();
	while (input.len > 0)
		read_member(&input, m);
	members = (JwkMembers)
	{
		.kty = m[FUZZ_KTY], .crv = m[FUZZ_CRV], .k = m[FUZZ_K], .n = m[FUZZ_N], .e = m[FUZZ_E],
			.d = m[FUZZ_D], .p = m[FUZZ_P], .q = m[FUZZ_Q], .dp = m[FUZZ_DP], .dq = m[FUZZ_DQ],
			.qi = m[FUZZ_QI], .x = m[FUZZ_X], .y = m[FUZZ_Y]
	};
	alg = algorithm(&m[FUZZ_ALG]);
	if (EXPECT(jwk_import(&members, &key), STATUS(OK) | NO_KEY) == JOSE_OK)
	{
		check_imported(m, key);
		fuzz_check_key(key, alg);
	}
	else
		PROPERTY(key == NULL);
	jwk_free(key);
	for (int i = 0; i < FUZZ_MEMBERS; i++)
		free((char *) m[i].data);
	return 0;
}
