/*
 * issuer.c
 *	  Outside identity providers whose tokens are accepted.
 *
 * Owns which keys a token is verified with: the key ring's, unless its "iss"
 * names a trusted issuer.  "iss" is read before the signature for that choice
 * alone; it is checked with the other claims afterwards, so that the keys of
 * one issuer never verify a token that names another, or us.  Our own name and
 * no name mean the ring.
 *
 * Owns also what an outside token may say: whose subject is which user of
 * ours, and which roles count.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "nodes/pg_list.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#include "arguments.h"
#include "errors.h"
#include "issuer.h"
#include "jwkset.h"
#include "keycache.h"
#include "keyring.h"
#include "tables.h"

/* The largest key set, as jsonb holds it. */
#define MAX_JWKS_SIZE	(64 * 1024)

/* The "typ" of an access token that says that it is one (RFC 9068 section 2.1). */
#define ACCESS_TOKEN_TYP	"at+jwt"

/* The longest subject, in bytes (OpenID Connect Core 1.0 section 2). */
#define MAX_SUBJECT		255

PG_FUNCTION_INFO_V1(jwt_verify_ring);
PG_FUNCTION_INFO_V1(jwt_auth_public_jwks);
PG_FUNCTION_INFO_V1(jwt_auth_verify_id_token);
PG_FUNCTION_INFO_V1(jwt_auth_known_algorithms);

static void *load_issuers(TableScan *scan);

static TableCopy issuers_copy = {.table = TABLE_ISSUERS,.name = "issuers",.load = load_issuers};

static AlgSet
algorithm_set(const char **names, int n)
{
	AlgSet		set = 0;

	for (int i = 0; i < n; i++)
	{
		const JoseAlg *alg = alg_find(names[i], strlen(names[i]));

		if (alg != NULL)
			set |= ALG_BIT(alg);
	}
	return set;
}

static void *
load_issuers(TableScan *scan)
{
	List	   *issuers = NIL;
	Datum		values[ISSUERS_NATTS];
	bool		nulls[ISSUERS_NATTS];

	while (tables_scan_next(scan, values, nulls))
	{
		Issuer	   *issuer = palloc0(sizeof(Issuer));
		const char **names;
		int			n;

		issuer->name = TextDatumGetCString(values[ISSUERS_ISSUER]);
		issuer->jwks = DatumGetJsonbPCopy(values[ISSUERS_JWKS]);
		issuer->naudiences = text_array(values[ISSUERS_AUDIENCES], &issuer->audiences);
		if (!nulls[ISSUERS_ALGORITHMS])
		{
			n = text_array(values[ISSUERS_ALGORITHMS], &names);
			issuer->algorithms = algorithm_set(names, n);
		}
		issuer->subject_is_uid = strcmp(TextDatumGetCString(values[ISSUERS_SUBJECT]), "uuid") == 0;
		issuer->nroles = text_array(values[ISSUERS_ROLES], &issuer->roles);
		issuers = lappend(issuers, issuer);
	}
	return issuers;
}

/* The trusted issuer of this name; NULL for our own, and where there is none. */
static const Issuer *
find_issuer(const char *name)
{
	List	   *issuers = tables_copy(&issuers_copy);
	ListCell   *cell;

	if (name == NULL || strcmp(name, jwt_auth_issuer) == 0)
		return NULL;
	foreach(cell, issuers)
	{
		const Issuer *issuer = lfirst(cell);

		if (strcmp(issuer->name, name) == 0)
			return issuer;
	}
	return NULL;
}

/* The issuer whose keys this token has to be verified with; NULL: ours. */
static const Issuer *
choose_issuer(Jwt *jwt)
{
	if (tables_copy(&issuers_copy) == NIL || jwt_read_payload(jwt) != JOSE_OK)
		return NULL;
	return find_issuer(claims_string(jwt->payload.json, "iss"));
}

/*
 * An issuer signs more with its keys than what speaks for a subject, such as
 * logout tokens.  These have a "typ" of their own, or else "events" (RFC 8725
 * section 3.11, RFC 8417 section 2.2).
 */
static bool
is_id_or_access_token(const Jwt *jwt)
{
	return (claims_member(jwt->header.json, "typ") == NULL ||
			jwt_has_typ(jwt, "JWT") || jwt_has_typ(jwt, ACCESS_TOKEN_TYP)) &&
		claims_member(jwt->payload.json, "events") == NULL;
}

static JoseStatus
check_outside_claims(const Jwt *jwt, const Issuer *issuer)
{
	JoseStatus	status = keyring_check_claims(&jwt->payload, issuer->name, GetCurrentTimestamp());

	if (status == JOSE_OK && !is_id_or_access_token(jwt))
		status = JOSE_WRONG_TOKEN_TYPE;
	if (status != JOSE_OK)
		return status;
	for (int i = 0; i < issuer->naudiences; i++)
		if (claims_has_audience(jwt->payload.json, issuer->audiences[i]))
			return JOSE_OK;
	return JOSE_BAD_AUDIENCE;
}

/* The signature under the issuer's key that the token names. */
static JoseStatus
verify_with_issuer_key(Jwt *jwt, const Issuer *issuer)
{
	AlgSet		algorithms = issuer->algorithms;
	Jwk			jwk;
	JoseStatus	status = keycache_jwk(issuer->jwks, jwt->kid, &jwk);

	if (status == JOSE_UNKNOWN_KID)
		return status;
	if (status != JOSE_OK || (jwk.alg != NULL && jwk.alg != jwt->alg))
		return JOSE_KEY_MISMATCH;
	if (algorithms == 0)
		algorithms = ALG_BIT(jwkset_default_alg(&jwk));
	if ((algorithms & guc_allowed_algorithms() & ALG_BIT(jwt->alg)) == 0)
		return JOSE_ALGORITHM_NOT_ALLOWED;
	return jwt_verify_signature(jwt, jwk.key);
}

static JoseStatus
verify_outside(Jwt *jwt, const Issuer *issuer)
{
	JoseStatus	status = verify_with_issuer_key(jwt, issuer);

	return status == JOSE_OK ? check_outside_claims(jwt, issuer) : status;
}

/*
 * Verifies an access token of ours, or a token of a trusted issuer: *issuer is
 * NULL for ours, and lives as long as the copy of the table.
 */
JoseStatus
issuer_verify(Datum token, Jwt *jwt, const Issuer **issuer)
{
	JoseStatus	status = jwt_open(token, jwt);

	*issuer = NULL;
	if (status != JOSE_OK)
		return status;
	*issuer = choose_issuer(jwt);
	return *issuer != NULL ? verify_outside(jwt, *issuer) : keyring_check(jwt, PURPOSE_ACCESS);
}

/* The user of ours whom a verified outside token speaks for; false: none. */
bool
issuer_uid(const Issuer *issuer, Jsonb *payload, pg_uuid_t *uid)
{
	char	   *subject = claims_string(payload, "sub");
	Datum		keys[2];
	Datum		values[IDENTITIES_NATTS];
	bool		nulls[IDENTITIES_NATTS];

	if (subject == NULL || subject[0] == '\0')
		return false;
	if (issuer->subject_is_uid)
		return claims_uuid(payload, "sub", uid);
	keys[0] = CStringGetTextDatum(issuer->name);
	keys[1] = CStringGetTextDatum(subject);
	if (!tables_fetch(TABLE_IDENTITIES, 2, keys, values, nulls))
		return false;
	*uid = *DatumGetUUIDP(values[IDENTITIES_USER_ID]);
	return true;
}

/* Whether the role that a verified outside token names counts. */
bool
issuer_allows_role(const Issuer *issuer, Jsonb *payload)
{
	for (int i = 0; i < issuer->nroles; i++)
		if (claims_string_equals(payload, "role", issuer->roles[i]))
			return true;
	return false;
}

/* Whether any issuer may give roles, so that PostgREST has its keys. */
bool
issuer_gives_roles(void)
{
	List	   *issuers = tables_copy(&issuers_copy);
	ListCell   *cell;

	foreach(cell, issuers)
	{
		const Issuer *issuer = lfirst(cell);

		if (issuer->nroles > 0)
			return true;
	}
	return false;
}

/*
 * jwt_verify(token text) returns jsonb
 */
Datum
jwt_verify_ring(PG_FUNCTION_ARGS)
{
	Jwt			jwt;
	const Issuer *issuer;
	JoseStatus	status = JOSE_MALFORMED;

	if (!PG_ARGISNULL(0))
		status = issuer_verify(PG_GETARG_DATUM(0), &jwt, &issuer);
	if (status != JOSE_OK)
		jose_raise_token(status);
	PG_RETURN_JSONB_P(jwt.payload.json);
}

/*
 * _verify_id_token(id_token text)
 *		returns (reason text, issuer text, subject text, user_id uuid, payload jsonb)
 *
 * A token of an outside issuer.  reason says why it is refused, and is NULL
 * where it is not; user_id is NULL where the subject is linked to nobody.
 */
Datum
jwt_auth_verify_id_token(PG_FUNCTION_ARGS)
{
	Datum		values[5] = {0};
	bool		nulls[5] = {true, true, true, true, true};
	const Issuer *issuer;
	char	   *subject;
	pg_uuid_t	uid;
	Jwt			jwt;
	JoseStatus	status = issuer_verify(PG_GETARG_DATUM(0), &jwt, &issuer);

	if (status == JOSE_OK && issuer == NULL)
		status = JOSE_BAD_ISSUER;
	if (status == JOSE_OK && jwt_has_typ(&jwt, ACCESS_TOKEN_TYP))
		status = JOSE_WRONG_TOKEN_TYPE;
	if (status == JOSE_OK &&
		((subject = claims_string(jwt.payload.json, "sub")) == NULL || subject[0] == '\0'))
		status = JOSE_MISSING_CLAIM;
	if (status == JOSE_OK &&
		(strlen(subject) > MAX_SUBJECT ||
		 (issuer->subject_is_uid && !claims_uuid(jwt.payload.json, "sub", &uid))))
		status = JOSE_BAD_CLAIM_TYPE;
	if (status != JOSE_OK)
	{
		if (jose_reason(status) == NULL)
			jose_raise_key(status);
		values[0] = CStringGetTextDatum(jose_reason(status));
		nulls[0] = false;
		return form_row(fcinfo, values, nulls);
	}
	values[1] = CStringGetTextDatum(issuer->name);
	values[2] = CStringGetTextDatum(subject);
	if (issuer_uid(issuer, jwt.payload.json, &uid))
	{
		values[3] = UUIDPGetDatum(&uid);
		nulls[3] = false;
	}
	values[4] = JsonbPGetDatum(jwt.payload.json);
	nulls[1] = nulls[2] = nulls[4] = false;
	return form_row(fcinfo, values, nulls);
}

/* One key of a set that is to be trusted; NULL where it is of no use to us. */
static Jsonb *
public_jwk(JsonbValue *value)
{
	Jsonb	   *document = JsonbValueToJsonb(value);
	Jwk			jwk;
	JoseStatus	status;

	/* "d" of a private key, "k" of a secret, whatever else they are */
	if (claims_member(document, "d") != NULL || claims_member(document, "k") != NULL)
		raise_argument("key set of an issuer must hold public keys alone", NULL);
	status = jwkset_read(document, NULL, &jwk);
	if (status == JOSE_UNSUPPORTED_KEY)
		return NULL;
	if (status != JOSE_OK)
		jose_raise_key(status);
	if (!jwk.may_verify)
		return NULL;
	return jwkset_write(jwk.key, jwk.alg, jwk.kid, false);
}

/*
 * _public_jwks(jwks jsonb) returns jsonb
 *
 * The keys of a set that verify signatures here, with their public members and
 * nothing else.  Raises for a set that nobody should publish.
 */
Datum
jwt_auth_public_jwks(PG_FUNCTION_ARGS)
{
	Jsonb	   *document = PG_GETARG_JSONB_P(0);
	JsonbValue *keys;
	JsonbInState state = {0};
	JsonbValue	name;
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	value;

	if (VARSIZE(document) > MAX_JWKS_SIZE)
		raise_argument("key set is larger than 64 kB", NULL);
	keys = JB_ROOT_IS_OBJECT(document) ? claims_member(document, "keys") : NULL;
	if (keys == NULL || keys->type != jbvBinary || !JsonContainerIsArray(keys->val.binary.data))
		raise_argument("key set must be an object with an array \"keys\"", NULL);
	if (JsonContainerSize(keys->val.binary.data) > JWKSET_MAX_KEYS)
		raise_argument("key set has more than 100 keys", NULL);

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	name.type = jbvString;
	name.val.string.val = "keys";
	name.val.string.len = 4;
	pushJsonbValue(&state, WJB_KEY, &name);
	pushJsonbValue(&state, WJB_BEGIN_ARRAY, NULL);
	it = JsonbIteratorInit(keys->val.binary.data);
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		Jsonb	   *jwk;

		if (token != WJB_ELEM)
			continue;
		if (value.type != jbvBinary || !JsonContainerIsObject(value.val.binary.data))
			raise_argument("key set must hold objects alone", NULL);
		jwk = public_jwk(&value);
		if (jwk == NULL)
			continue;
		value.type = jbvBinary;
		value.val.binary.data = &jwk->root;
		value.val.binary.len = VARSIZE(jwk) - VARHDRSZ;
		pushJsonbValue(&state, WJB_ELEM, &value);
	}
	pushJsonbValue(&state, WJB_END_ARRAY, NULL);
	pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	PG_RETURN_JSONB_P(JsonbValueToJsonb(state.result));
}

/*
 * _known_algorithms(algorithms text[]) returns void
 */
Datum
jwt_auth_known_algorithms(PG_FUNCTION_ARGS)
{
	(void) algorithms_argument(fcinfo, 0);
	PG_RETURN_VOID();
}

/* Called once, when the library is loaded. */
void
issuer_init(void)
{
	tables_watch(&issuers_copy);
}
