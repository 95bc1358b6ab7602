/*
 * jwt.c
 *	  A JSON Web Token between its compact text and its claims (RFC 7519).
 *
 * Owns the header: which members a token may have, and that nothing in it
 * chooses a key by any other way than "kid" ("jwk", "jku", "x5c" and "x5u" are
 * never looked at, RFC 8725 section 3.10).  What a payload says counts only
 * once its signature has verified.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/memutils.h"

#include "base64url.h"
#include "errors.h"
#include "guc.h"
#include "jwt.h"

/* Header members that no verifier here accepts. */
static const char *const refused_header[] = {"b64", "crit", "enc", "zip"};

/* Longer headers are read each time. */
#define MAX_REMEMBERED_HEADER	512

/* The header read last: that of a key's tokens is always the same. */
static Jwt	last_header;

/*
 * RFC 7515 section 4.1: "alg" and what else we must understand.  "crit" names
 * extensions and we know none; "b64" (RFC 7797), "zip" and "enc" change what
 * the payload means, with or without "crit".
 */
static JoseStatus
read_header(Jwt *jwt)
{
	Jsonb	   *header = jwt->header.json;
	JsonbValue *alg = claims_member(header, "alg");
	JsonbValue *kid = claims_member(header, "kid");
	JsonbValue *typ = claims_member(header, "typ");

	for (size_t i = 0; i < lengthof(refused_header); i++)
		if (claims_member(header, refused_header[i]) != NULL)
			return JOSE_UNSUPPORTED_CRITICAL;
	if (alg == NULL || alg->type != jbvString)
		return JOSE_UNKNOWN_ALGORITHM;
	if (kid != NULL && kid->type != jbvString)
		return JOSE_MALFORMED;
	if (typ != NULL && typ->type != jbvString)
		return JOSE_WRONG_TOKEN_TYPE;

	jwt->alg = alg_find(alg->val.string.val, alg->val.string.len);
	if (jwt->alg == NULL)
		return JOSE_UNKNOWN_ALGORITHM;
	jwt->kid = claims_string(header, "kid");
	return JOSE_OK;
}

/*
 * Splits a compact token.  A value that is too large is refused before it is
 * decompressed.
 */
static JoseStatus
split(Datum token, Jwt *jwt)
{
	text	   *compact;
	size_t		len;

	memset(jwt, 0, sizeof(*jwt));
	jwt->key_ends = DT_NOEND;
	if (toast_raw_datum_size(token) > (Size) jwt_auth_max_token_size + VARHDRSZ)
		return JOSE_TOKEN_TOO_LARGE;
	compact = DatumGetTextPP(token);
	len = VARSIZE_ANY_EXHDR(compact);
	return jws_parse(VARDATA_ANY(compact), len, palloc(len + 1), &jwt->parts);
}

/* Takes over what the header opened last says, if this one has the same bytes. */
static bool
recall_header(Jwt *jwt)
{
	const JwsParts *seen = &last_header.parts;

	if (seen->header == NULL || seen->header_len != jwt->parts.header_len ||
		memcmp(seen->header, jwt->parts.header, seen->header_len) != 0)
		return false;
	jwt->header = last_header.header;
	jwt->alg = last_header.alg;
	jwt->kid = last_header.kid;
	return true;
}

/* Keeps a header that has been read. */
static void
remember_header(const Jwt *jwt)
{
	static MemoryContext context = NULL;
	const JwsParts *parts = &jwt->parts;

	last_header.parts.header = NULL;
	if (parts->header_len > MAX_REMEMBERED_HEADER)
		return;
	if (context == NULL)
		context = AllocSetContextCreate(TopMemoryContext, "jwt_auth header", ALLOCSET_SMALL_SIZES);
	MemoryContextReset(context);

	last_header.alg = jwt->alg;
	last_header.kid = jwt->kid != NULL ? MemoryContextStrdup(context, jwt->kid) : NULL;
	last_header.header.text = MemoryContextStrdup(context, jwt->header.text);
	last_header.header.json = MemoryContextAlloc(context, VARSIZE(jwt->header.json));
	memcpy(last_header.header.json, jwt->header.json, VARSIZE(jwt->header.json));
	last_header.parts.header_len = parts->header_len;
	last_header.parts.header = memcpy(MemoryContextAlloc(context, parts->header_len),
									  parts->header, parts->header_len);
}

/*
 * Takes a compact token apart and checks its header.  Pointers lead into the
 * token, into palloc'd memory, and for what the header says into memory that
 * the next call may reuse.
 */
JoseStatus
jwt_open(Datum token, Jwt *jwt)
{
	JoseStatus	status = split(token, jwt);

	if (status != JOSE_OK || recall_header(jwt))
		return status;
	status = claims_parse(jwt->parts.header, jwt->parts.header_len, &jwt->header);
	if (status == JOSE_OK)
		status = read_header(jwt);
	if (status == JOSE_OK)
		remember_header(jwt);
	return status;
}

/* Takes a compact token apart and reads its JSON, whatever that says. */
JoseStatus
jwt_read_unverified(Datum token, Jwt *jwt)
{
	JoseStatus	status = split(token, jwt);

	if (status == JOSE_OK)
		status = claims_parse(jwt->parts.header, jwt->parts.header_len, &jwt->header);
	if (status == JOSE_OK)
		status = jwt_read_payload(jwt);
	return status;
}

/* Checks the signature under this key. */
JoseStatus
jwt_verify_signature(Jwt *jwt, JoseKey *key)
{
	const JwsParts *parts = &jwt->parts;

	return jws_verify(jwt->alg, key, parts->signing_input, parts->signing_input_len,
					  parts->signature, parts->signature_len);
}

/*
 * Reads the payload, unless it has been.  What it says counts only once the
 * signature has been checked.
 */
JoseStatus
jwt_read_payload(Jwt *jwt)
{
	if (jwt->payload.json != NULL)
		return JOSE_OK;
	return claims_parse(jwt->parts.payload, jwt->parts.payload_len, &jwt->payload);
}

/*
 * The token behind a "Bearer " (RFC 6750 section 2.1), whose case does not
 * matter; moves the two on, or returns false and leaves them.
 */
bool
jwt_skip_bearer(const char **text, size_t *len)
{
	static const char scheme[] = "bearer ";

	if (*len < strlen(scheme) || pg_strncasecmp(*text, scheme, strlen(scheme)) != 0)
		return false;
	*text += strlen(scheme);
	*len -= strlen(scheme);
	return true;
}

/*
 * Whether the header's "typ" is this media type: without regard to case, and
 * with "application/" left out or not (RFC 7515 section 4.1.9).
 */
bool
jwt_has_typ(const Jwt *jwt, const char *typ)
{
	static const char prefix[] = "application/";
	char	   *actual = claims_string(jwt->header.json, "typ");

	if (actual == NULL)
		return false;
	if (pg_strncasecmp(actual, prefix, strlen(prefix)) == 0)
		actual += strlen(prefix);
	if (pg_strncasecmp(typ, prefix, strlen(prefix)) == 0)
		typ += strlen(prefix);
	return pg_strcasecmp(actual, typ) == 0;
}

static void
free_key(void *key)
{
	jwk_free(key);
}

/* Frees the key together with the memory context that is current now. */
JoseKey *
jwt_own_key(JoseKey *key)
{
	MemoryContextCallback *callback = palloc_extended(sizeof(*callback), MCXT_ALLOC_NO_OOM);

	if (callback == NULL)
	{
		jwk_free(key);
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	}
	callback->func = free_key;
	callback->arg = key;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	return key;
}

static void
append_json_member(StringInfo out, const char *name, const char *value)
{
	appendStringInfoChar(out, out->len == 0 ? '{' : ',');
	escape_json(out, name);
	appendStringInfoChar(out, ':');
	escape_json(out, value);
}

pg_noreturn static void
raise_too_large(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("token would be larger than \"jwt_auth.max_token_size\", or nested too deeply")));
}

static void
check_not_set(Jsonb *header, const char *name)
{
	if (claims_member(header, name) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("header must not set \"%s\"", name)));
}

/* Refuses header members that would change what our own verifier reads. */
static void
check_extra_header(Jsonb *header, const char *kid)
{
	JsonbValue *value;

	if (!JB_ROOT_IS_OBJECT(header))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("header must be a JSON object")));
	check_not_set(header, "alg");
	for (size_t i = 0; i < lengthof(refused_header); i++)
		check_not_set(header, refused_header[i]);

	value = claims_member(header, "kid");
	if (value != NULL &&
		(value->type != jbvString || (kid != NULL && !claims_string_equals(header, "kid", kid))))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("header has a \"kid\" that is not the key's")));
	value = claims_member(header, "typ");
	if (value != NULL && value->type != jbvString)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("header member \"typ\" must be a string")));
}

/* The header's JSON: "alg", "typ", "kid", then what the caller adds. */
static void
write_header(StringInfo out, const JoseAlg *alg, const char *kid, const char *typ, Jsonb *header)
{
	int			start;

	append_json_member(out, "alg", alg->name);
	if (typ != NULL && (header == NULL || claims_member(header, "typ") == NULL))
		append_json_member(out, "typ", typ);
	if (kid != NULL && (header == NULL || claims_member(header, "kid") == NULL))
		append_json_member(out, "kid", kid);
	if (header == NULL || JB_ROOT_COUNT(header) == 0)
	{
		appendStringInfoChar(out, '}');
		return;
	}

	/* the caller's members go on where ours end: its brace becomes a comma */
	start = out->len;
	if (!claims_write(out, header, jwt_auth_max_token_size))
		raise_too_large();
	out->data[start] = ',';
}

/* JSON is UTF-8 in a token, whatever the database's encoding. */
static const char *
to_utf8(const char *json, size_t *len)
{
	char	   *utf8 = pg_server_to_any(json, *len, PG_UTF8);

	if (utf8 != json)
		*len = strlen(utf8);
	return utf8;
}

static void
append_segment(StringInfo out, const char *bytes, size_t len)
{
	enlargeStringInfo(out, BASE64URL_ENCODED_LEN(len) + 1);
	out->len += base64url_encode((const unsigned char *) bytes, len, out->data + out->len);
}

/*
 * Signs any bytes into a compact token.
 *
 * kid, header and typ, which stands where the header has no "typ", may be
 * NULL.  Raises where the key cannot sign with this algorithm, where the
 * header is no good, and where the token would be larger than a verifier here
 * takes: what it emits, it also accepts.
 */
text *
jws_compose(const JoseAlg *alg, JoseKey *key, const char *kid, const char *typ,
			Jsonb *header, const char *payload, size_t len)
{
	StringInfoData json;
	StringInfoData token;
	size_t		json_len;
	unsigned char signature[JWS_MAX_SIGNATURE];
	size_t		signature_len = sizeof(signature);
	JoseStatus	status;

	if (header != NULL)
		check_extra_header(header, kid);
	initStringInfo(&json);
	initStringInfo(&token);
	write_header(&json, alg, kid, typ, header);
	json_len = json.len;
	append_segment(&token, to_utf8(json.data, &json_len), json_len);
	appendStringInfoChar(&token, '.');
	append_segment(&token, payload, len);

	status = jws_sign(alg, key, token.data, token.len, signature, &signature_len);
	if (status != JOSE_OK)
		jose_raise_key(status);
	appendStringInfoChar(&token, '.');
	append_segment(&token, (const char *) signature, signature_len);
	if (token.len > jwt_auth_max_token_size)
		raise_too_large();
	return cstring_to_text_with_len(token.data, token.len);
}

/*
 * Signs a payload of claims into a compact token.  Raises as jws_compose does,
 * and where the payload is no good.
 */
text *
jwt_compose(const JoseAlg *alg, JoseKey *key, const char *kid, Jsonb *header, Jsonb *payload)
{
	StringInfoData json;
	JoseStatus	status;
	size_t		len;
	const char *utf8;

	if (!JB_ROOT_IS_OBJECT(payload))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("payload must be a JSON object")));
	initStringInfo(&json);
	status = claims_write_payload(&json, payload, jwt_auth_max_token_size);
	if (status == JOSE_BAD_CLAIM_TYPE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("payload has a registered claim of the wrong type")));
	if (status != JOSE_OK)
		raise_too_large();
	len = json.len;
	utf8 = to_utf8(json.data, &len);
	return jws_compose(alg, key, kid, "JWT", header, utf8, len);
}
