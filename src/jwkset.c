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

/* More keys than any provider publishes. */
#define JWKSET_MAX_KEYS		100

static JwkText
text_member(JsonbContainer *jwk, const char *name)
{
	JsonbValue *value = getKeyJsonValueFromContainer(jwk, name, strlen(name), NULL);
	JwkText		text = {NULL, 0};

	if (value != NULL && value->type == jbvString)
	{
		text.data = value->val.string.val;
		text.len = value->val.string.len;
	}
	return text;
}

static bool
text_equals(JwkText text, const char *value)
{
	return text.data != NULL && text.len == strlen(value) && memcmp(text.data, value, text.len) == 0;
}

/* RFC 7517 sections 4.2 and 4.3: what the key may be used for. */
static void
read_uses(JsonbContainer *container, Jwk *jwk)
{
	JsonbValue *use = getKeyJsonValueFromContainer(container, "use", 3, NULL);
	JsonbValue *ops = getKeyJsonValueFromContainer(container, "key_ops", 7, NULL);
	JsonbValue	op;

	jwk->may_sign = jwk->may_verify =
		use == NULL || text_equals(text_member(container, "use"), "sig");
	if (ops == NULL)
		return;
	if (ops->type != jbvBinary || !JsonContainerIsArray(ops->val.binary.data))
	{
		jwk->may_sign = jwk->may_verify = false;
		return;
	}
	op.type = jbvString;
	op.val.string.val = "sign";
	op.val.string.len = 4;
	jwk->may_sign &= findJsonbValueFromContainer(ops->val.binary.data, JB_FARRAY, &op) != NULL;
	op.val.string.val = "verify";
	op.val.string.len = 6;
	jwk->may_verify &= findJsonbValueFromContainer(ops->val.binary.data, JB_FARRAY, &op) != NULL;
}

/* Reads one JWK; its key is freed with the current memory context. */
static JoseStatus
read_jwk(JsonbContainer *container, Jwk *jwk)
{
	JsonbValue *alg = getKeyJsonValueFromContainer(container, "alg", 3, NULL);
	JwkText		kid = text_member(container, "kid");
	JwkMembers	members;
	JoseStatus	status;

	memset(jwk, 0, sizeof(*jwk));
	if (kid.data != NULL)
		jwk->kid = pnstrdup(kid.data, kid.len);
	read_uses(container, jwk);
	if (alg != NULL)
	{
		if (alg->type != jbvString)
			return JOSE_BAD_KEY;
		jwk->alg = alg_find(alg->val.string.val, alg->val.string.len);
		if (jwk->alg == NULL)
			return JOSE_UNSUPPORTED_KEY;
	}

	members.kty = text_member(container, "kty");
	members.crv = text_member(container, "crv");
	members.k = text_member(container, "k");
	members.n = text_member(container, "n");
	members.e = text_member(container, "e");
	members.d = text_member(container, "d");
	members.p = text_member(container, "p");
	members.q = text_member(container, "q");
	members.dp = text_member(container, "dp");
	members.dq = text_member(container, "dq");
	members.qi = text_member(container, "qi");
	members.x = text_member(container, "x");
	members.y = text_member(container, "y");
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
	int			secrets = 0;
	JwkText		kids[JWKSET_MAX_KEYS];

	*chosen = NULL;
	if (nkeys == 0 || nkeys > JWKSET_MAX_KEYS)
		return JOSE_BAD_KEY;
	for (uint32 i = 0; i < nkeys; i++)
	{
		JsonbContainer *key = nth_key(keys, i);

		if (key == NULL || text_member(key, "kty").data == NULL)
			return JOSE_BAD_KEY;
		if (text_equals(text_member(key, "kty"), "oct"))
			secrets++;
		kids[i] = text_member(key, "kid");
		for (uint32 j = 0; j < i && kids[i].data != NULL; j++)
			if (kids[j].data != NULL && kids[j].len == kids[i].len &&
				memcmp(kids[j].data, kids[i].data, kids[i].len) == 0)
				return JOSE_BAD_KEY;
		if (kid != NULL ? text_equals(kids[i], kid) : nkeys == 1)
			*chosen = key;
	}
	if (secrets > 0 && secrets < (int) nkeys)
		return JOSE_BAD_KEY;
	return *chosen == NULL ? JOSE_UNKNOWN_KID : JOSE_OK;
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
	{
		status = read_jwk(&document->root, jwk);
		if (status == JOSE_OK && kid != NULL && jwk->kid != NULL && strcmp(kid, jwk->kid) != 0)
			return JOSE_UNKNOWN_KID;
		return status;
	}

	if (keys->type != jbvBinary || !JsonContainerIsArray(keys->val.binary.data))
		return JOSE_BAD_KEY;
	status = choose_key(keys->val.binary.data, kid, &chosen);
	if (status != JOSE_OK)
		return status;
	/* a set may well hold keys for other uses (RFC 7517 section 5) */
	return read_jwk(chosen, jwk) == JOSE_OK ? JOSE_OK : JOSE_KEY_MISMATCH;
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

/*
 * The JWK of a key: kty, kid and alg unless NULL, use, and the key's own
 * members; or NULL where it has no public half and with_private is false.
 */
Jsonb *
jwkset_write(JoseKey *key, const JoseAlg *alg, const char *kid, bool with_private)
{
	JsonbInState state = {0};
	JwkExport	members;
	Jsonb	   *result;

	if (jwk_export(key, with_private, &members) != JOSE_OK)
		return NULL;
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	claims_push_string(&state, "kty", members.kty);
	claims_push_string(&state, "kid", kid);
	if (alg != NULL)
		claims_push_string(&state, "alg", alg->name);
	claims_push_string(&state, "use", "sig");
	claims_push_string(&state, "crv", members.crv);
	claims_push_string(&state, "k", members.k);
	claims_push_string(&state, "n", members.n);
	claims_push_string(&state, "e", members.e);
	claims_push_string(&state, "d", members.d);
	claims_push_string(&state, "p", members.p);
	claims_push_string(&state, "q", members.q);
	claims_push_string(&state, "dp", members.dp);
	claims_push_string(&state, "dq", members.dq);
	claims_push_string(&state, "qi", members.qi);
	claims_push_string(&state, "x", members.x);
	claims_push_string(&state, "y", members.y);
	pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	result = JsonbValueToJsonb(state.result);
	jwk_free_export(&members);
	return result;
}
