/*
 * http.c
 *	  Requests that come through PostgREST: tokens in headers and cookies.
 *
 * PostgREST says what it has been asked in settings, which any SQL user can
 * set: they are believed in so far as they carry a token, which proves itself,
 * or a reason to refuse.
 *
 * Cookies are those of RFC 6265bis: "__Host-", which no other host can set,
 * for the access token and the CSRF token, and one on a path of its own for the
 * refresh token.  The CSRF token is random, stands in the claim "csrf" of both
 * tokens, and so is bound to the session without being kept anywhere.
 */
#include "postgres.h"

#include <openssl/crypto.h>

#include "access/xlog.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/json.h"

#include "client.h"
#include "errors.h"
#include "guc.h"
#include "issuer.h"
#include "keyring.h"
#include "session.h"

#define MAX_USER_AGENT	500		/* bytes */
#define MAX_COOKIE		4096	/* bytes of name and value that browsers keep */
#define CSRF_HEADER		"x-csrf-token"

PG_FUNCTION_INFO_V1(jwt_auth_pre_request);
PG_FUNCTION_INFO_V1(jwt_auth_user_agent);
PG_FUNCTION_INFO_V1(jwt_auth_request_header);
PG_FUNCTION_INFO_V1(jwt_auth_add_header);
PG_FUNCTION_INFO_V1(jwt_auth_cookie);
PG_FUNCTION_INFO_V1(jwt_auth_cookie_header);
PG_FUNCTION_INFO_V1(jwt_auth_csrf_token_matches);

typedef struct CookieKind
{
	const char *kind;
	const char *suffix;			/* of its name */
	const char *path;			/* below base_path; NULL: "/" */
	bool		http_only;		/* out of JavaScript's reach */
} CookieKind;

static const CookieKind access_cookie = {"access", "", NULL, true};
static const CookieKind refresh_cookie = {"refresh", "-refresh", "/rpc/refresh", true};
static const CookieKind csrf_cookie = {"csrf", "-csrf", NULL, false};

/*
 * Where people come in, on nobody's behalf yet.  An access cookie is not looked
 * at there: one that is no good must keep nobody out.
 */
static const char *const doors[] = {
	"/rpc/login", "/rpc/login_with_id_token", "/rpc/login_with_magic_link", "/rpc/register", "/rpc/refresh",
	"/rpc/token", "/rpc/revoke", "/rpc/accept_invitation", "/rpc/confirm_email", "/rpc/reset_password", "/rpc/request_password_reset",
	"/rpc/request_magic_link", "/rpc/request_email_confirmation"
};

/*
 * Reads what PostgREST says of the request in a setting, empty where it says
 * nothing; false if that is no JSON object.
 */
static bool
read_request(const char *setting, ClaimSet *object)
{
	const char *text = GetConfigOption(setting, true, false);

	if (text == NULL || text[0] == '\0')
		text = "{}";
	return claims_parse_text(pstrdup(text), strlen(text), object) == JOSE_OK;
}

/* A header by its name in lower case; NULL where there is none. */
static char *
request_header(const char *name)
{
	ClaimSet	headers;

	return read_request("request.headers", &headers) ? claims_string(headers.json, name) : NULL;
}

/* Whether PostgREST says this of the request in a setting that is no JSON. */
static bool
request_is(const char *setting, const char *const *values, int nvalues)
{
	const char *text = GetConfigOption(setting, true, false);

	for (int i = 0; text != NULL && i < nvalues; i++)
	{
		if (strcmp(text, values[i]) == 0)
			return true;
	}
	return false;
}

/* Whether the request can change nothing: PostgREST runs it READ ONLY. */
static bool
is_read(void)
{
	static const char *const methods[] = {"GET", "HEAD", "OPTIONS"};

	return request_is("request.method", methods, lengthof(methods));
}

/*
 * Whether it is the browser itself that asks, for a page or a part of one (Fetch
 * Metadata), and no script, which could refresh a session.
 */
static bool
loads_page(void)
{
	char	   *destination = request_header("sec-fetch-dest");

	return destination != NULL && strcmp(destination, "empty") != 0 && is_read();
}

/*
 * Adds to the headers of the answer, unless the same is among them.  As text:
 * what somebody left there must not raise now.
 */
static void
add_header(const char *name, const char *value)
{
	const char *headers = GetConfigOption("response.headers", true, false);
	size_t		len = headers != NULL ? strlen(headers) : 0;
	StringInfoData header,
				all;

	initStringInfo(&header);
	appendStringInfoChar(&header, '{');
	escape_json(&header, name);
	appendStringInfoString(&header, ": ");
	escape_json(&header, value);
	appendStringInfoChar(&header, '}');
	if (len > 0 && strstr(headers, header.data) != NULL)
		return;

	while (len > 0 && strchr(" \t\r\n]", headers[len - 1]) != NULL)
		len--;
	initStringInfo(&all);
	appendBinaryStringInfo(&all, headers, len);
	appendStringInfoString(&all, len == 0 ? "[" : headers[len - 1] == '[' ? "" : ", ");
	appendStringInfo(&all, "%s]", header.data);
	(void) set_config_option("response.headers", all.data, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
}

/*
 * Cookies
 */

static char *
cookie_path(const CookieKind *kind)
{
	size_t		len = strlen(jwt_auth_base_path);

	if (kind->path == NULL)
		return "/";
	if (len > 0 && jwt_auth_base_path[len - 1] == '/')
		len--;
	return psprintf("%.*s%s", (int) len, jwt_auth_base_path, kind->path);
}

/* Browsers take "__Host-" for path "/" and without a domain alone. */
static char *
cookie_name(const CookieKind *kind)
{
	bool		host_only = kind->path == NULL && jwt_auth_cookie_domain[0] == '\0';

	return psprintf("%s%s%s", host_only ? "__Host-" : "__Secure-", jwt_auth_cookie_name, kind->suffix);
}

/* The value of a Set-Cookie header; deletes the cookie where max_age is zero. */
static char *
cookie_header(const CookieKind *kind, const char *value, int64 max_age)
{
	char	   *name = cookie_name(kind);

	if (strlen(name) + strlen(value) > MAX_COOKIE)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("token is too large for a cookie"),
				 errhint("Keep app_metadata short, or give this client no cookies.")));
	return psprintf("%s=%s; Path=%s%s%s; Max-Age=" INT64_FORMAT "; Secure%s; SameSite=%s",
					name, value, cookie_path(kind),
					jwt_auth_cookie_domain[0] != '\0' ? "; Domain=" : "", jwt_auth_cookie_domain,
					max_age, kind->http_only ? "; HttpOnly" : "",
					GetConfigOption("jwt_auth.cookie_samesite", false, false));
}

/* The value of a cookie of the request; NULL where there is none. */
static char *
cookie_value(const CookieKind *kind)
{
	ClaimSet	cookies;
	char	   *value;

	if (!client_any_cookies() || !read_request("request.cookies", &cookies))
		return NULL;
	value = claims_string(cookies.json, cookie_name(kind));
	return value != NULL && value[0] != '\0' ? value : NULL;
}

static const CookieKind *
cookie_kind(text *name)
{
	static const CookieKind *const kinds[] = {&access_cookie, &refresh_cookie, &csrf_cookie};
	char	   *wanted = text_to_cstring(name);

	for (size_t i = 0; i < lengthof(kinds); i++)
	{
		if (strcmp(kinds[i]->kind, wanted) == 0)
			return kinds[i];
	}
	elog(ERROR, "unknown kind of cookie");
}

/* Whether the request's header has the CSRF token of a session; NULL: it has none. */
static bool
has_csrf_token(const char *csrf)
{
	char	   *header = request_header(CSRF_HEADER);

	return csrf != NULL && csrf[0] != '\0' && header != NULL && strlen(header) == strlen(csrf) &&
		CRYPTO_memcmp(header, csrf, strlen(csrf)) == 0;
}

/*
 * pre_request()
 */

/*
 * Whether PostgREST, which has switched to a role by its own reading of the
 * request, has read the same token as we have (NULL: none).  Of two
 * Authorization headers it takes the first, but hands over the last.  What it
 * says is believed only in so far as it is a reason to refuse.
 *
 * Where we know of no role it should be the anonymous one, but may as well come
 * from a token of an outside issuer, whose other claims are all alike, or from one
 * of theirs or of an imported key that has no others and stands in a header that
 * we do not read.
 */
static bool
same_token(const Jwt *jwt, bool has_header)
{
	static const char *const names[] = {"iss", "jti", "sub", "role"};
	bool		outside_roles = issuer_gives_roles();
	ClaimSet	theirs;

	if (!read_request("request.jwt.claims", &theirs))
		return false;
	if (JB_ROOT_COUNT(theirs.json) == 0)
		return true;			/* not PostgREST */
	if (jwt == NULL)
		return JB_ROOT_COUNT(theirs.json) == 1 && claims_member(theirs.json, "role") != NULL &&
			!(has_header && (outside_roles || keyring_has_foreign_key()));
	for (size_t i = 0; i < lengthof(names); i++)
	{
		char	   *ours = claims_string(jwt->payload.json, names[i]);

		if (ours != NULL && !claims_string_equals(theirs.json, names[i], ours))
			return false;
		/* PostgREST adds a role where the token has none */
		if (ours == NULL && claims_member(theirs.json, names[i]) != NULL &&
			(outside_roles || strcmp(names[i], "role") != 0))
			return false;
	}
	return true;
}

/*
 * Whether a cookie that is refused will never be good again.  One that has
 * expired stays until it is refreshed, or the next request would be anonymous;
 * one of a clock that is ahead is good in a moment; and a standby may not have
 * heard yet of its session, user or key.
 */
static bool
is_final(JoseStatus status)
{
	switch (status)
	{
		case JOSE_TOKEN_EXPIRED:
		case JOSE_TOKEN_NOT_YET_VALID:
		case JOSE_ISSUED_IN_FUTURE:
			return false;
		default:
			return !RecoveryInProgress();
	}
}

/*
 * Answers 401 through PostgREST, or 403 where the token is good but what it is
 * used for is not: the SQLSTATE PGRST lets message and detail set the whole
 * answer.  A cookie that will never be good again is taken back.
 */
pg_noreturn static void
raise_refused(JoseStatus status, bool by_cookie)
{
	bool		forbidden = status == JOSE_ROLE_NOT_ALLOWED || status == JOSE_BAD_CSRF_TOKEN;
	char	   *challenge = "";
	char	   *set_cookie = "";

	if (jose_reason(status) == NULL)
		jose_raise_token(status);	/* our fault, not the token's */
	if (status != JOSE_BAD_CSRF_TOKEN)
		challenge = psprintf("\"WWW-Authenticate\":\"Bearer error=\\\"%s\\\", error_description=\\\"%s\\\"\"",
							 forbidden ? "insufficient_scope" : "invalid_token", jose_message(status));
	if (by_cookie && !forbidden && is_final(status))
		set_cookie = psprintf(",\"Set-Cookie\":\"%s\"", cookie_header(&access_cookie, "", 0));
	ereport(ERROR,
			(errcode(MAKE_SQLSTATE('P', 'G', 'R', 'S', 'T')),
			 errmsg("{\"code\":\"%s\",\"message\":\"%s\",\"details\":\"reason: %s\",\"hint\":null}",
					unpack_sql_state(jose_sqlstate(status)), jose_message(status), jose_reason(status)),
			 errdetail("{\"status\":%d,\"headers\":{%s%s}}", forbidden ? 403 : 401, challenge, set_cookie)));
}

/* Signs the bearer of the Authorization header in, if there is one. */
static JoseStatus
take_header(const char *authorization)
{
	size_t		len = strlen(authorization);
	NullableDatum token = {0, false};
	Identity	identity;
	Jwt			jwt;
	JoseStatus	status;

	if (!jwt_skip_bearer(&authorization, &len))
		return same_token(NULL, true) ? JOSE_OK : JOSE_AMBIGUOUS_TOKEN;
	token.value = PointerGetDatum(cstring_to_text_with_len(authorization, len));
	status = session_sign_in(token, true, &jwt, &identity);
	if (status != JOSE_OK)
		return status;
	/* PostgREST has switched to a role already, by this token or by another */
	if (!identity.has_role)
		return JOSE_ROLE_NOT_ALLOWED;
	return same_token(&jwt, true) ? JOSE_OK : JOSE_AMBIGUOUS_TOKEN;
}

/*
 * Takes a role on for the rest of the transaction, as PostgREST would: one that
 * the role it connects as is a member of, which create_api() sees to.
 */
static JoseStatus
switch_role(const char *role)
{
	Oid			oid = role != NULL ? get_role_oid(role, true) : InvalidOid;

	if (!OidIsValid(oid) || oid == GetSessionUserId() || has_bypassrls_privilege(oid) ||
		!is_member_of_role_nosuper(GetSessionUserId(), oid))
		return JOSE_ROLE_NOT_ALLOWED;
	(void) set_config_option("role", role, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
	return JOSE_OK;
}

/*
 * Signs the owner of the access cookie in.  Only a token that was issued as a
 * cookie is taken from one; and since browsers send cookies with requests of any
 * site's making, what is no read has to prove that it knows the CSRF token.  A
 * token that is no good must not keep away the page that would refresh it.
 */
static JoseStatus
take_cookie(const char *cookie)
{
	NullableDatum token = {CStringGetTextDatum(cookie), false};
	Identity	identity;
	Jwt			jwt;
	char	   *csrf;
	JoseStatus	status;

	if (!same_token(NULL, false))
		return JOSE_AMBIGUOUS_TOKEN;
	status = session_sign_in(token, true, &jwt, &identity);
	if (status != JOSE_OK)
		return jose_reason(status) != NULL && loads_page() ? JOSE_OK : status;
	csrf = claims_string(jwt.payload.json, "csrf");
	if (identity.outside || csrf == NULL)
		return JOSE_WRONG_TOKEN_TYPE;
	if (!is_read() && !has_csrf_token(csrf))
		return JOSE_BAD_CSRF_TOKEN;
	/* shared caches know to keep off answers to Authorization alone */
	add_header("Cache-Control", "private");
	return switch_role(claims_string(jwt.payload.json, "role"));
}

/*
 * pre_request() returns void
 */
Datum
jwt_auth_pre_request(PG_FUNCTION_ARGS)
{
	ClaimSet	headers;
	char	   *authorization;
	char	   *cookie = NULL;
	JoseStatus	status;

	session_deny();
	if (!read_request("request.headers", &headers))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("request.headers is not a JSON object")));
	authorization = claims_string(headers.json, "authorization");
	if (authorization == NULL && !request_is("request.path", doors, lengthof(doors)))
		cookie = cookie_value(&access_cookie);
	if (authorization != NULL)
		status = take_header(authorization);
	else if (cookie != NULL)
		status = take_cookie(cookie);
	else
		status = same_token(NULL, false) ? JOSE_OK : JOSE_AMBIGUOUS_TOKEN;
	if (status != JOSE_OK)
	{
		session_deny();
		raise_refused(status, cookie != NULL);
	}
	PG_RETURN_VOID();
}

/*
 * _user_agent() returns text
 *
 * Raises for nothing: what a client says of itself must not keep an ended
 * session from being recorded.
 */
Datum
jwt_auth_user_agent(PG_FUNCTION_ARGS)
{
	char	   *agent = request_header("user-agent");

	if (agent == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text_with_len(agent, pg_mbcliplen(agent, strlen(agent), MAX_USER_AGENT)));
}

/*
 * _request_header(name text) returns text: raises for nothing either
 */
Datum
jwt_auth_request_header(PG_FUNCTION_ARGS)
{
	char	   *header = request_header(text_to_cstring(PG_GETARG_TEXT_PP(0)));

	if (header == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(header));
}

/*
 * _add_header(name text, value text) returns void
 */
Datum
jwt_auth_add_header(PG_FUNCTION_ARGS)
{
	add_header(text_to_cstring(PG_GETARG_TEXT_PP(0)), text_to_cstring(PG_GETARG_TEXT_PP(1)));
	PG_RETURN_VOID();
}

/*
 * _cookie(kind text) returns text
 */
Datum
jwt_auth_cookie(PG_FUNCTION_ARGS)
{
	char	   *value = cookie_value(cookie_kind(PG_GETARG_TEXT_PP(0)));

	if (value == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(value));
}

/*
 * _cookie_header(kind text, value text, max_age bigint) returns text
 */
Datum
jwt_auth_cookie_header(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(cookie_header(cookie_kind(PG_GETARG_TEXT_PP(0)),
												   text_to_cstring(PG_GETARG_TEXT_PP(1)),
												   PG_GETARG_INT64(2))));
}

/*
 * _csrf_token_matches(csrf text) returns boolean
 */
Datum
jwt_auth_csrf_token_matches(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(!PG_ARGISNULL(0) && has_csrf_token(text_to_cstring(PG_GETARG_TEXT_PP(0))));
}
