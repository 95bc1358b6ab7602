/*
 * claims.c
 *	  JSON of tokens, and the registered claims (RFC 7519 section 4.1).
 *
 * Owns the strict reading of headers and payloads: one pass of PostgreSQL's
 * own JSON parser builds the jsonb, and on the way refuses duplicate members
 * at every depth (RFC 7515 section 4, RFC 8725 section 3.7), bytes that are
 * not UTF-8, nesting that is too deep, and numbers that jsonb cannot hold.
 * No input makes it raise.
 */
#include "postgres.h"

#include <ctype.h>

#include "catalog/namespace.h"
#include "compat.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/numeric.h"

#include "claims.h"
#include "numericdate.h"

/* Microseconds between the epochs of Unix and PostgreSQL. */
#define UNIX_EPOCH_USEC \
	((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

/* Deeper than any token needs, and far from the stack's end. */
#define JSON_MAX_DEPTH	256

/* What PostgreSQL's numeric can hold, counted in decimal digits. */
#define NUMERIC_MAX_INT_DIGITS	131072
#define NUMERIC_MAX_FRAC_DIGITS	16383

/* Characters of a whole number that int64 surely holds. */
#define MAX_INT64_DIGITS	18

PG_FUNCTION_INFO_V1(jwt_auth_fits);

/* The registered claims by ClaimDate first, and the type of each. */
static const struct
{
	const char *name;
	enum jbvType type;
}			registered[] = {
	[CLAIM_EXP] = {"exp", jbvNumeric},
	[CLAIM_NBF] = {"nbf", jbvNumeric},
	[CLAIM_IAT] = {"iat", jbvNumeric},
	{"iss", jbvString},
	{"sub", jbvString},
	{"jti", jbvString},
	{"aud", jbvString},			/* or an array of them */
};

#define REGISTERED_NAME_LEN	3
#define CLAIM_AUD	((int) lengthof(registered) - 1)

/*
 * Where a walk through a JSON object is, and whether its registered claims
 * have had their types so far.
 */
typedef struct ClaimTypes
{
	int			depth;			/* arrays and objects that are open */
	int			claim;			/* registered[] that is being read, or -1 */
	bool		aud_is_empty;	/* an array without an element so far */
	bool		bad;
} ClaimTypes;

typedef struct ParseState
{
	JsonbInState jsonb;
	ClaimSet   *claims;
	ClaimTypes	types;
	int			members[JSON_MAX_DEPTH + 1];	/* seen so far, by depth */
	JoseStatus	status;
} ParseState;

/* Microseconds since 1970 of a PostgreSQL timestamp, stopping at the top. */
int64
claims_unix_usec(TimestampTz timestamp)
{
	return timestamp > PG_INT64_MAX - UNIX_EPOCH_USEC ? PG_INT64_MAX : timestamp + UNIX_EPOCH_USEC;
}

/* Whether a character stands in the text more often than that. */
static bool
occurs_more_often(const char *text, size_t len, char c, int times)
{
	const char *end = text + len;

	for (; (text = memchr(text, c, end - text)) != NULL; text++)
		if (--times < 0)
			return true;
	return false;
}

/*
 * Whether brackets nest no deeper than JSON_MAX_DEPTH.  Looked at beforehand,
 * since the parser recurses and cannot be stopped without raising.
 */
static bool
depth_is_sane(const char *json, size_t len)
{
	int			depth = 0;
	bool		in_string = false;

	/* most have too few brackets for that */
	if (!occurs_more_often(json, len, '{', JSON_MAX_DEPTH / 2) &&
		!occurs_more_often(json, len, '[', JSON_MAX_DEPTH / 2))
		return true;

	for (size_t i = 0; i < len; i++)
	{
		char		c = json[i];

		if (in_string)
		{
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
		}
		else if (c == '"')
			in_string = true;
		else if (c == '{' || c == '[')
		{
			if (++depth > JSON_MAX_DEPTH)
				return false;
		}
		else if (c == '}' || c == ']')
			depth--;
	}
	return true;
}

/* Whether numeric_in takes this JSON number without raising. */
static bool
number_fits_numeric(const char *number)
{
	int64		int_digits = 0;
	int64		frac_digits = 0;
	int64		exponent = 0;
	const char *p = number + (*number == '-');

	for (; *p != '\0' && *p != '.' && *p != 'e' && *p != 'E'; p++)
		int_digits++;
	if (*p == '.')
		for (p++; *p != '\0' && *p != 'e' && *p != 'E'; p++)
			frac_digits++;
	if (*p != '\0')
	{
		if (strlen(p + 1) > 7)
			return false;
		exponent = atoi(p + 1);
	}
	return int_digits + exponent <= NUMERIC_MAX_INT_DIGITS &&
		frac_digits - exponent <= NUMERIC_MAX_FRAC_DIGITS;
}

static void
push_key(JsonbInState *state, const char *name)
{
	JsonbValue	key;

	key.type = jbvString;
	key.val.string.val = unconstify(char *, name);
	key.val.string.len = strlen(name);
	pushJsonbValue(state, WJB_KEY, &key);
}

/* Adds a value to the array or object that is being built. */
static void
push_value(ParseState *state, JsonbValue *value)
{
	if (state->jsonb.parseState == NULL)
		state->status = JOSE_BAD_JSON;	/* a bare scalar */
	else if (state->jsonb.parseState->contVal.type == jbvArray)
		pushJsonbValue(&state->jsonb, WJB_ELEM, value);
	else
		pushJsonbValue(&state->jsonb, WJB_VALUE, value);
}

/* The walk comes to the name of a member. */
static void
types_name(ClaimTypes *types, const char *name, size_t len)
{
	if (types->depth > 1)
		return;
	types->claim = -1;
	if (len == REGISTERED_NAME_LEN)
		for (int i = 0; i < (int) lengthof(registered); i++)
			if (memcmp(name, registered[i].name, REGISTERED_NAME_LEN) == 0)
				types->claim = i;
}

/* ... to a scalar, ... */
static void
types_scalar(ClaimTypes *types, enum jbvType type)
{
	if (types->claim >= 0 && type != registered[types->claim].type)
		types->bad = true;
	types->aud_is_empty = false;
}

/* ... to the start of an array or object, of which "aud" alone may be one, ... */
static void
types_open(ClaimTypes *types, bool is_array)
{
	types->depth++;
	if (types->claim >= 0 && (types->claim != CLAIM_AUD || !is_array || types->depth != 2))
	{
		types->bad = true;
		types->claim = -1;
	}
	types->aud_is_empty = true;
}

/* ... and to its end. */
static void
types_close(ClaimTypes *types)
{
	if (types->claim == CLAIM_AUD && types->aud_is_empty)
		types->bad = true;
	types->depth--;
}

static JsonActionResult
on_object_start(void *arg)
{
	ParseState *state = arg;

	types_open(&state->types, false);
	state->members[state->types.depth] = 0;
	pushJsonbValue(&state->jsonb, WJB_BEGIN_OBJECT, NULL);
	JSON_ACTION_RETURN();
}

/* The array or object that was closed last: all of it, or the newest member. */
static const JsonbValue *
closed_value(const JsonbInState *jsonb)
{
	const JsonbValue *outer;

	if (jsonb->parseState == NULL)
		return jsonb->result;
	outer = &jsonb->parseState->contVal;
	if (outer->type == jbvArray)
		return &outer->val.array.elems[outer->val.array.nElems - 1];
	return &outer->val.object.pairs[outer->val.object.nPairs - 1].value;
}

/* Closing an object drops duplicates, so a lower count tells of them. */
static JsonActionResult
on_object_end(void *arg)
{
	ParseState *state = arg;

	pushJsonbValue(&state->jsonb, WJB_END_OBJECT, NULL);
	if (closed_value(&state->jsonb)->val.object.nPairs != state->members[state->types.depth])
		state->status = JOSE_DUPLICATE_MEMBER;
	types_close(&state->types);
	JSON_ACTION_RETURN();
}

static JsonActionResult
on_array_start(void *arg)
{
	ParseState *state = arg;

	types_open(&state->types, true);
	if (state->jsonb.parseState == NULL)
		state->status = JOSE_BAD_JSON;	/* the top must be an object */
	pushJsonbValue(&state->jsonb, WJB_BEGIN_ARRAY, NULL);
	JSON_ACTION_RETURN();
}

static JsonActionResult
on_array_end(void *arg)
{
	ParseState *state = arg;

	types_close(&state->types);
	pushJsonbValue(&state->jsonb, WJB_END_ARRAY, NULL);
	JSON_ACTION_RETURN();
}

static JsonActionResult
on_member(void *arg, char *name, bool isnull)
{
	ParseState *state = arg;

	types_name(&state->types, name, strlen(name));
	state->members[state->types.depth]++;
	push_key(&state->jsonb, name);
	JSON_ACTION_RETURN();
}

/* A number as numeric; most are whole and short, which saves the longer way. */
static Numeric
read_numeric(char *number)
{
	size_t		len = strlen(number);

	if (len <= MAX_INT64_DIGITS && strspn(number, "-0123456789") == len)
		return int64_to_numeric(strtoi64(number, NULL, 10));
	return DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(number),
											   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
}

/* Reads a number into value, and notes it where it is a registered date. */
static void
read_number(ParseState *state, char *token, JsonbValue *value)
{
	int			claim = state->types.claim;

	if (!number_fits_numeric(token))
	{
		state->status = JOSE_BAD_JSON;
		token = "0";
	}
	else if (claim >= 0 && claim < CLAIM_DATES)
	{
		state->claims->has_date[claim] = true;
		state->claims->date[claim] = numericdate_parse(token, strlen(token));
	}
	value->type = jbvNumeric;
	value->val.numeric = read_numeric(token);
}

static JsonActionResult
on_scalar(void *arg, char *token, JsonTokenType type)
{
	ParseState *state = arg;
	JsonbValue	value;

	switch (type)
	{
		case JSON_TOKEN_STRING:
			value.type = jbvString;
			value.val.string.val = token;
			value.val.string.len = strlen(token);
			break;
		case JSON_TOKEN_NUMBER:
			read_number(state, token, &value);
			break;
		case JSON_TOKEN_TRUE:
		case JSON_TOKEN_FALSE:
			value.type = jbvBool;
			value.val.boolean = (type == JSON_TOKEN_TRUE);
			break;
		default:
			value.type = jbvNull;
			break;
	}
	types_scalar(&state->types, value.type);
	push_value(state, &value);
	JSON_ACTION_RETURN();
}

/* Text in another encoding, palloc'd; NULL where that lacks a character, or there is no way. */
char *
claims_convert(const unsigned char *bytes, size_t len, int from, int to)
{
	size_t		room = len * MAX_CONVERSION_GROWTH + 1;
	unsigned char *converted = palloc(room);
	Oid			conversion = FindDefaultConversionProc(from, to);

	if (!OidIsValid(conversion) ||
		pg_do_encoding_conversion_buf(conversion, from, to,
									  unconstify(unsigned char *, bytes), len,
									  converted, room, true) != (int) len)
		return NULL;
	return (char *) converted;
}

/* The bytes as text of the database, or NULL if they are no such. */
static char *
to_server_text(const unsigned char *bytes, size_t len, size_t *text_len)
{
	int			encoding = GetDatabaseEncoding();
	char	   *text;

	if (!pg_verify_mbstr(PG_UTF8, (const char *) bytes, len, true))
		return NULL;
	if (encoding == PG_UTF8 || encoding == PG_SQL_ASCII)
	{
		*text_len = len;
		return pnstrdup((const char *) bytes, len);
	}

	text = claims_convert(bytes, len, PG_UTF8, encoding);
	*text_len = text != NULL ? strlen(text) : 0;
	return text;
}

/*
 * Whether the database's encoding has every character that a \u escape names.
 * Before PostgreSQL 16 the parser raises where it has not.
 */
static bool
escapes_fit(const char *json, size_t len)
{
	int			encoding = GetDatabaseEncoding();
	pg_wchar	first = 0;

	if (encoding == PG_UTF8)
		return true;
	for (size_t i = 0; i + 1 < len; i++)
	{
		char		hex[5] = {0};
		pg_wchar	c;
		unsigned char utf8[MAX_UNICODE_EQUIVALENT_STRING + 1] = {0};

		if (json[i] != '\\' || json[++i] != 'u' || len - i < 5)
			continue;
		memcpy(hex, json + i + 1, 4);
		c = strtoul(hex, NULL, 16);
		if (is_utf16_surrogate_first(c))
		{
			first = c;
			continue;
		}
		if (is_utf16_surrogate_second(c))
			c = surrogate_pair_to_codepoint(first, c);
		if (c < 0x80)
			continue;
		unicode_to_utf8(c, utf8);
		if (encoding == PG_SQL_ASCII || claims_convert(utf8, pg_utf_mblen(utf8), PG_UTF8, encoding) == NULL)
			return false;
	}
	return true;
}

/*
 * Reads a JSON object in the database's encoding.  On JOSE_OK, *claims is
 * filled: text, which it keeps, and a palloc'd jsonb.
 */
JoseStatus
claims_parse_text(char *text, size_t len, ClaimSet *claims)
{
	ParseState	state = {0};
	JsonSemAction actions = {0};

	memset(claims, 0, sizeof(*claims));
	if (!depth_is_sane(text, len) || !escapes_fit(text, len))
		return JOSE_BAD_JSON;

	state.claims = claims;
	state.types.claim = -1;
	actions.semstate = &state;
	actions.object_start = on_object_start;
	actions.object_end = on_object_end;
	actions.array_start = on_array_start;
	actions.array_end = on_array_end;
	actions.object_field_start = on_member;
	actions.scalar = on_scalar;

	if (pg_parse_json(jwt_auth_json_lexer(text, len), &actions) != JSON_SUCCESS)
		return JOSE_BAD_JSON;
	if (state.status != JOSE_OK)
		return state.status;
	claims->text = text;
	claims->bad_type = state.types.bad;
	claims->json = JsonbValueToJsonb(state.jsonb.result);
	return JOSE_OK;
}

/*
 * The same of a token's header or payload, which is UTF-8 as RFC 7515 demands,
 * in any database.
 */
JoseStatus
claims_parse(const unsigned char *bytes, size_t len, ClaimSet *claims)
{
	size_t		text_len;
	char	   *text = to_server_text(bytes, len, &text_len);

	memset(claims, 0, sizeof(*claims));
	return text != NULL ? claims_parse_text(text, text_len, claims) : JOSE_BAD_JSON;
}

/* A copy in the current memory context. */
Jsonb *
claims_copy_json(const Jsonb *json)
{
	return memcpy(palloc(VARSIZE(json)), json, VARSIZE(json));
}

/* The same of all. */
void
claims_copy(const ClaimSet *from, ClaimSet *to)
{
	*to = *from;
	to->text = pstrdup(from->text);
	to->json = claims_copy_json(from->json);
}

/* A member of the top level, palloc'd, or NULL. */
JsonbValue *
claims_member(Jsonb *json, const char *name)
{
	return getKeyJsonValueFromContainer(&json->root, name, strlen(name), NULL);
}

/* A string member as a palloc'd C string; NULL if absent or not a string. */
char *
claims_string(Jsonb *json, const char *name)
{
	JsonbValue *value = claims_member(json, name);

	if (value == NULL || value->type != jbvString)
		return NULL;
	return pnstrdup(value->val.string.val, value->val.string.len);
}

/* A string member that is a uuid in its usual form; false if it is none. */
bool
claims_uuid(Jsonb *json, const char *name, pg_uuid_t *uuid)
{
	JsonbValue *value = claims_member(json, name);
	const char *text;
	int			nibbles = 0;

	if (value == NULL || value->type != jbvString || value->val.string.len != 36)
		return false;
	text = value->val.string.val;
	for (int i = 0; i < 36; i++)
	{
		unsigned char c = text[i];
		int			digit = (c & 0xf) + (c >> 6) * 9;	/* of a digit or letter */

		if (i == 8 || i == 13 || i == 18 || i == 23)
		{
			if (c != '-')
				return false;
			continue;
		}
		if (!isxdigit(c))
			return false;
		if (nibbles % 2 == 0)
			uuid->data[nibbles / 2] = digit << 4;
		else
			uuid->data[nibbles / 2] |= digit;
		nibbles++;
	}
	return true;
}

/* A number member that is an int64; false if it is none. */
bool
claims_integer(Jsonb *json, const char *name, int64 *value)
{
	JsonbValue *member = claims_member(json, name);
	char	   *text;
	char	   *end;

	if (member == NULL || member->type != jbvNumeric)
		return false;
	text = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(member->val.numeric)));
	errno = 0;
	*value = strtoi64(text, &end, 10);
	return errno == 0 && *end == '\0';
}

static bool
string_value_equals(const JsonbValue *value, const char *text)
{
	return value->type == jbvString &&
		(size_t) value->val.string.len == strlen(text) &&
		memcmp(value->val.string.val, text, value->val.string.len) == 0;
}

/* Whether the member is exactly this string. */
bool
claims_string_equals(Jsonb *json, const char *name, const char *value)
{
	JsonbValue *member = claims_member(json, name);

	return member != NULL && string_value_equals(member, value);
}

/* Whether "aud" is or holds exactly this string. */
bool
claims_has_audience(Jsonb *json, const char *audience)
{
	JsonbValue *aud = claims_member(json, "aud");
	JsonbValue	wanted;

	if (aud == NULL)
		return false;
	if (aud->type != jbvBinary)
		return string_value_equals(aud, audience);

	wanted.type = jbvString;
	wanted.val.string.val = unconstify(char *, audience);
	wanted.val.string.len = strlen(audience);
	return findJsonbValueFromContainer(aud->val.binary.data, JB_FARRAY, &wanted) != NULL;
}

/* a + b for b >= 0, stopping at the top of int64. */
static int64
add_saturating(int64 a, int64 b)
{
	return a > PG_INT64_MAX - b ? PG_INT64_MAX : a + b;
}

/* "on or after" exp (RFC 7519 section 4.1.4), leeway granted. */
bool
claims_expired(const ClaimSet *claims, int64 now, int64 leeway)
{
	return claims->has_date[CLAIM_EXP] &&
		now >= add_saturating(claims->date[CLAIM_EXP], leeway);
}

/* exp, nbf and iat, as far as there are any; times as in ClaimRules. */
JoseStatus
claims_check_dates(const ClaimSet *claims, int64 now, int64 leeway)
{
	int64		latest = add_saturating(now, leeway);

	if (claims_expired(claims, now, leeway))
		return JOSE_TOKEN_EXPIRED;
	if (claims->has_date[CLAIM_NBF] && claims->date[CLAIM_NBF] > latest)
		return JOSE_TOKEN_NOT_YET_VALID;
	if (claims->has_date[CLAIM_IAT] && claims->date[CLAIM_IAT] > latest)
		return JOSE_ISSUED_IN_FUTURE;
	return JOSE_OK;
}

static JoseStatus
check_parties(const ClaimSet *claims, const ClaimRules *rules)
{
	bool		has_issuer = claims_member(claims->json, "iss") != NULL;
	bool		has_audience = claims_member(claims->json, "aud") != NULL;

	if (rules->no_issuer && has_issuer)
		return JOSE_BAD_ISSUER;
	if (rules->issuer != NULL && !claims_string_equals(claims->json, "iss", rules->issuer))
		return JOSE_BAD_ISSUER;
	if (rules->any_audience)
		return JOSE_OK;
	if (rules->audience == NULL ? has_audience : !claims_has_audience(claims->json, rules->audience))
		return JOSE_BAD_AUDIENCE;
	return JOSE_OK;
}

/* Checks a payload whose signature has verified against what is demanded. */
JoseStatus
claims_check(const ClaimSet *claims, const ClaimRules *rules)
{
	JoseStatus	status = claims->bad_type ? JOSE_BAD_CLAIM_TYPE : JOSE_OK;

	for (int i = 0; status == JOSE_OK && i < rules->nrequired; i++)
		if (claims_member(claims->json, rules->required[i]) == NULL)
			status = JOSE_MISSING_CLAIM;
	if (status == JOSE_OK)
		status = claims_check_dates(claims, rules->now, rules->leeway);
	if (status == JOSE_OK)
		status = check_parties(claims, rules);
	return status;
}

/* Adds a string member to the object that is being built, unless it is NULL. */
void
claims_push_string(JsonbInState *state, const char *name, const char *value)
{
	JsonbValue	string;

	if (value == NULL)
		return;
	push_key(state, name);
	string.type = jbvString;
	string.val.string.val = unconstify(char *, value);
	string.val.string.len = strlen(value);
	pushJsonbValue(state, WJB_VALUE, &string);
}

/* Adds a number member to the object that is being built. */
void
claims_push_integer(JsonbInState *state, const char *name, int64 value)
{
	JsonbValue	number;

	push_key(state, name);
	number.type = jbvNumeric;
	number.val.numeric = int64_to_numeric(value);
	pushJsonbValue(state, WJB_VALUE, &number);
}

static void
write_scalar(StringInfo out, const JsonbValue *value)
{
	char	   *text;

	switch (value->type)
	{
		case jbvNull:
			appendStringInfoString(out, "null");
			break;
		case jbvBool:
			appendStringInfoString(out, value->val.boolean ? "true" : "false");
			break;
		case jbvNumeric:
			text = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
			appendStringInfoString(out, text);
			pfree(text);
			break;
		case jbvString:
			text = pnstrdup(value->val.string.val, value->val.string.len);
			escape_json(out, text);
			pfree(text);
			break;
		default:
			elog(ERROR, "unexpected jsonb value of type %d", (int) value->type);
	}
}

/*
 * Appends the jsonb as compact JSON.  Returns false as soon as that has taken
 * more than max_bytes (a short jsonb of 1e131071s would print as megabytes), or
 * nests deeper than claims_parse takes.  Notes what types its claims have.
 */
static bool
write_json(StringInfo out, Jsonb *json, int max_bytes, ClaimTypes *types)
{
	JsonbIterator *it = JsonbIteratorInit(&json->root);
	JsonbIteratorToken token;
	JsonbValue	value;
	int			start = out->len;
	bool		first = true;

	while ((token = JsonbIteratorNext(&it, &value, false)) != WJB_DONE)
	{
		bool		closes = (token == WJB_END_ARRAY || token == WJB_END_OBJECT);

		if (!first && !closes && out->data[out->len - 1] != ':')
			appendStringInfoChar(out, ',');
		first = (token == WJB_BEGIN_ARRAY || token == WJB_BEGIN_OBJECT);

		switch (token)
		{
			case WJB_BEGIN_ARRAY:
			case WJB_BEGIN_OBJECT:
				types_open(types, token == WJB_BEGIN_ARRAY);
				appendStringInfoChar(out, token == WJB_BEGIN_ARRAY ? '[' : '{');
				break;
			case WJB_END_ARRAY:
			case WJB_END_OBJECT:
				types_close(types);
				appendStringInfoChar(out, token == WJB_END_ARRAY ? ']' : '}');
				break;
			case WJB_KEY:
				types_name(types, value.val.string.val, value.val.string.len);
				write_scalar(out, &value);
				appendStringInfoChar(out, ':');
				break;
			default:
				types_scalar(types, value.type);
				write_scalar(out, &value);
				break;
		}
		if (out->len - start > max_bytes || types->depth > JSON_MAX_DEPTH)
			return false;
	}
	return true;
}

/* Appends a jsonb, if it takes no more bytes and nests no deeper than allowed. */
bool
claims_write(StringInfo out, Jsonb *json, int max_bytes)
{
	ClaimTypes	types = {.claim = -1};

	return write_json(out, json, max_bytes, &types);
}

/*
 * The same of a payload: fails with JOSE_TOKEN_TOO_LARGE, or where a registered
 * claim does not have its type with JOSE_BAD_CLAIM_TYPE.
 */
JoseStatus
claims_write_payload(StringInfo out, Jsonb *json, int max_bytes)
{
	ClaimTypes	types = {.claim = -1};

	if (!write_json(out, json, max_bytes, &types))
		return JOSE_TOKEN_TOO_LARGE;
	return types.bad ? JOSE_BAD_CLAIM_TYPE : JOSE_OK;
}

/*
 * _fits(value jsonb, max_bytes int) returns boolean
 */
Datum
jwt_auth_fits(PG_FUNCTION_ARGS)
{
	StringInfoData out;

	initStringInfo(&out);
	PG_RETURN_BOOL(claims_write(&out, PG_GETARG_JSONB_P(0), PG_GETARG_INT32(1)));
}
