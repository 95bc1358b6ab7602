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
check_text(const JwkText *member, const JwkText *exported)
{
	PROPERTY(exported->data == NULL ||
			 (member->data != NULL && member->len == exported->len &&
			  memcmp(member->data, exported->data, exported->len) == 0));
	PROPERTY(exported->data == NULL || exported->data[exported->len] == '\0');
}

/*
 * Private where it has private members, and exported as it was.
 */
static void
check_imported(const JwkText m[FUZZ_MEMBERS], const JoseKey *key)
{
	bool		is_private = m[JWK_D].data != NULL;
	JwkMembers	jwk;

	for (int i = JWK_P; i <= JWK_QI && key->kty == JOSE_KTY_RSA; i++)
		PROPERTY((m[i].data != NULL) == is_private);
	PROPERTY(key->is_private == (is_private || key->kty == JOSE_KTY_OCT));

	(void) EXPECT(jwk_export(key, key->is_private, &jwk), STATUS(OK));
	for (int i = 0; i < JWK_MEMBERS; i++)
		check_text(&m[i], &jwk.text[i]);
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
	memcpy(members.text, m, sizeof(members.text));
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
