/*
 * jwkset.c
 *	  JWK and JWK Set documents (RFC 7517) as jsonb.
 *
 * Owns the members around the key itself ("kid", "alg", "use", "key_ops") and
 * the choice of a key from a set; jwk.c owns the key's own members.
 */
#include "postgres.h"

#include "claims.h"
#include "jwkset.h"
#include "jwt.h"

/* Reads a string member, which may be absent; false where it is no string. */
static bool
text_member(JsonbContainer *jwk, const char *name, JwkText *text)
{
	JsonbValue *value = getKeyJsonValueFromContainer(jwk, name, strlen(name), NULL);

	text->data = NULL;
	text->len = 0;
	if (value == NULL)
		return true;
	if (value->type != jbvString)
		return false;
	text->data = value->val.string.val;
	text->len = value->val.string.len;
	return true;
}

static bool
text_equals(const JwkText *text, const char *value)
{
	return text->data != NULL && text->len == strlen(value) && memcmp(text->data, value, text->len) == 0;
}

static bool
has_string(JsonbContainer *array, const char *string)
{
	JsonbValue	value;

	value.type = jbvString;
	value.val.string.val = unconstify(char *, string);
	value.val.string.len = strlen(string);
	return findJsonbValueFromContainer(array, JB_FARRAY, &value) != NULL;
}

/*
 * RFC 7517 sections 4.2 and 4.3: what the key may be used for, which is nothing
 * where "key_ops" is no list; false where "use" is no string.
 */
static bool
read_uses(JsonbContainer *container, Jwk *jwk)
{
	JsonbValue *ops = getKeyJsonValueFromContainer(container, "key_ops", 7, NULL);
	JwkText		use;

	if (!text_member(container, "use", &use))
		return false;
	jwk->may_sign = jwk->may_verify = use.data == NULL || text_equals(&use, "sig");
	if (ops == NULL)
		return true;
	if (ops->type != jbvBinary || !JsonContainerIsArray(ops->val.binary.data))
	{
		jwk->may_sign = jwk->may_verify = false;
		return true;
	}
	jwk->may_sign &= has_string(ops->val.binary.data, "sign");
	jwk->may_verify &= has_string(ops->val.binary.data, "verify");
	return true;
}

/* The members that make up the key. */
static bool
read_members(JsonbContainer *container, JwkMembers *members)
{
	for (int i = 0; i < JWK_MEMBERS; i++)
		if (!text_member(container, jwk_member_names[i], &members->text[i]))
			return false;
	return true;
}

/* RFC 7518 section 6.3.2.7: an RSA key of more than two primes. */
static bool
has_other_primes(JsonbContainer *container, const JwkMembers *members)
{
	return text_equals(&members->text[JWK_KTY], "RSA") &&
		getKeyJsonValueFromContainer(container, "oth", 3, NULL) != NULL;
}

/*
 * Reads one JWK, unless it has another kid than the one given; its key is freed
 * with the current memory context.
 */
static JoseStatus
read_jwk(JsonbContainer *container, const char *kid, Jwk *jwk)
{
	JwkText		own_kid;
	JwkText		alg;
	JwkMembers	members;
	JoseStatus	status;

	if (!text_member(container, "kid", &own_kid) || !text_member(container, "alg", &alg) ||
		!read_uses(container, jwk) || !read_members(container, &members))
		return JOSE_BAD_KEY;
	if (own_kid.data != NULL)
		jwk->kid = pnstrdup(own_kid.data, own_kid.len);
	if (!jwkset_answers_to(jwk, kid))
		return JOSE_UNKNOWN_KID;
	if (alg.data != NULL && (jwk->alg = alg_find(alg.data, alg.len)) == NULL)
		return JOSE_UNSUPPORTED_KEY;
	if (has_other_primes(container, &members))
		return JOSE_UNSUPPORTED_KEY;

	status = jwk_import(&members, &jwk->key);
	if (status != JOSE_OK)
		return status;
	jwt_own_key(jwk->key);
	if (jwk->alg != NULL)
		status = jwk_check_alg(jwk->key, jwk->alg);
	return status == JOSE_KEY_MISMATCH ? JOSE_BAD_KEY : status;
}

/* The n'th key of a set, or NULL where that is no object. */
static JsonbContainer *
nth_key(JsonbContainer *keys, uint32 n)
{
	JsonbValue *value = getIthJsonbValueFromContainer(keys, n);

	if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
		return NULL;
	return value->val.binary.data;
}

/*
 * The one key of the set that has this kid; without a kid, the only key of a
 * set of one.  A kid that stands twice, and secrets beside public keys, make
 * the set no good: whoever published it did not know what they did.
 */
static JoseStatus
choose_key(JsonbContainer *keys, const char *kid, JsonbContainer **chosen)
{
	uint32		nkeys = JsonContainerSize(keys);
	uint32		secrets = 0;
	JwkText		kids[JWKSET_MAX_KEYS];

	*chosen = NULL;
	if (nkeys == 0)
		return JOSE_BAD_KEY;
	if (nkeys > JWKSET_MAX_KEYS)
		return JOSE_TOO_MANY_KEYS;
	for (uint32 i = 0; i < nkeys; i++)
	{
		JsonbContainer *key = nth_key(keys, i);
		JwkText		kty;

		if (key == NULL || !text_member(key, "kty", &kty) || kty.data == NULL ||
			!text_member(key, "kid", &kids[i]))
			return JOSE_BAD_KEY;
		if (text_equals(&kty, "oct"))
			secrets++;
		for (uint32 j = 0; j < i && kids[i].data != NULL; j++)
			if (kids[j].data != NULL && kids[j].len == kids[i].len &&
				memcmp(kids[j].data, kids[i].data, kids[i].len) == 0)
				return JOSE_DUPLICATE_KID;
		if (kid != NULL ? text_equals(&kids[i], kid) : nkeys == 1)
			*chosen = key;
	}
	if (secrets > 0 && secrets < nkeys)
		return JOSE_MIXED_KEYS;
	return *chosen == NULL ? JOSE_UNKNOWN_KID : JOSE_OK;
}

/* Whether a kid that a token names, or NULL, may mean this key. */
bool
jwkset_answers_to(const Jwk *jwk, const char *kid)
{
	return kid == NULL || jwk->kid == NULL || strcmp(kid, jwk->kid) == 0;
}

/*
 * Reads a JWK, or from a JWK Set the key that kid names.
 *
 * kid is the token's and may be NULL.  The key is freed with the current
 * memory context.  JOSE_UNKNOWN_KID: no such key; JOSE_KEY_MISMATCH: the set
 * has it, but it is none that verifies; other statuses: the document or the
 * key is no good.
 */
JoseStatus
jwkset_read(Jsonb *document, const char *kid, Jwk *jwk)
{
	JsonbValue *keys;
	JsonbContainer *chosen;
	JoseStatus	status;

	memset(jwk, 0, sizeof(*jwk));
	if (!JB_ROOT_IS_OBJECT(document))
		return JOSE_BAD_KEY;
	keys = claims_member(document, "keys");
	if (keys == NULL)
		return read_jwk(&document->root, kid, jwk);

	jwk->in_set = true;
	if (keys->type != jbvBinary || !JsonContainerIsArray(keys->val.binary.data))
		return JOSE_BAD_KEY;
	status = choose_key(keys->val.binary.data, kid, &chosen);
	if (status != JOSE_OK)
		return status;
	/* a set may well hold keys for other uses (RFC 7517 section 5) */
	return read_jwk(chosen, kid, jwk) == JOSE_OK ? JOSE_OK : JOSE_KEY_MISMATCH;
}

/*
 * The one algorithm that a key stands for: its "alg", else the usual one of
 * its type and curve.  A token's header never widens this.
 */
const JoseAlg *
jwkset_default_alg(const Jwk *jwk)
{
	const JoseAlg *alg = jwk->alg;

	for (size_t i = 0; alg == NULL && alg_at(i) != NULL; i++)
		if (jwk_check_alg(jwk->key, alg_at(i)) != JOSE_KEY_MISMATCH)
			alg = alg_at(i);
	return alg;
}

static Jsonb *
write_jwk(const JwkMembers *members, const JoseAlg *alg, const char *kid)
{
	JsonbInState state = {0};

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	claims_push_string(&state, "kid", kid);
	if (alg != NULL)
		claims_push_string(&state, "alg", alg->name);
	claims_push_string(&state, "use", "sig");
	for (int i = 0; i < JWK_MEMBERS; i++)
		claims_push_string(&state, jwk_member_names[i], members->text[i].data);
	pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	return JsonbValueToJsonb(state.result);
}

/*
 * The JWK of a key: kid and alg unless NULL, use, and the key's own members; or
 * NULL where it has no public half and with_private is false.
 */
Jsonb *
jwkset_write(JoseKey *key, const JoseAlg *alg, const char *kid, bool with_private)
{
	JwkMembers	members;
	Jsonb	   *volatile result = NULL;

	if (jwk_export(key, with_private, &members) != JOSE_OK)
		return NULL;
	PG_TRY();
	{
		result = write_jwk(&members, alg, kid);
	}
	PG_FINALLY();
	{
		jwk_free_export(&members);
	}
	PG_END_TRY();
	return result;
}
