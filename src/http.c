/*
 * http.c
 *	  Requests that come through PostgREST.
 *
 * PostgREST says what it has been asked in settings, which any SQL user can
 * set: they are believed in so far as they carry a token, which proves itself,
 * or a reason to refuse.
 */
#include "postgres.h"

#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "errors.h"
#include "issuer.h"
#include "session.h"

#define MAX_USER_AGENT	500		/* bytes */

PG_FUNCTION_INFO_V1(jwt_auth_pre_request);
PG_FUNCTION_INFO_V1(jwt_auth_user_agent);

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

/*
 * Whether PostgREST, which has switched to a role by its own reading of the
 * request, has read the same token as we have (NULL: none).  Of two
 * Authorization headers it takes the first, but hands over the last.  What it
 * says is believed only in so far as it is a reason to refuse.
 *
 * Where we know of no role it should be the anonymous one, but may as well come
 * from a token of an outside issuer, whose other claims are all alike, or that
 * has no others and stands in a header that we do not read.
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
			!(has_header && outside_roles);
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
 * Answers 401 through PostgREST, or 403 where the token is good but its role is
 * not: the SQLSTATE PGRST lets message and detail set the whole answer.
 */
pg_noreturn static void
raise_refused(JoseStatus status)
{
	bool		forbidden = status == JOSE_ROLE_NOT_ALLOWED;

	if (jose_reason(status) == NULL)
		jose_raise_token(status);	/* our fault, not the token's */
	ereport(ERROR,
			(errcode(MAKE_SQLSTATE('P', 'G', 'R', 'S', 'T')),
			 errmsg("{\"code\":\"%s\",\"message\":\"%s\",\"details\":\"reason: %s\",\"hint\":null}",
					unpack_sql_state(jose_sqlstate(status)), jose_message(status), jose_reason(status)),
			 errdetail("{\"status\":%d,\"headers\":{\"WWW-Authenticate\":"
					   "\"Bearer error=\\\"%s\\\", error_description=\\\"%s\\\"\"}}",
					   forbidden ? 403 : 401, forbidden ? "insufficient_scope" : "invalid_token",
					   jose_message(status))));
}

/*
 * pre_request() returns void
 */
Datum
jwt_auth_pre_request(PG_FUNCTION_ARGS)
{
	const char *authorization;
	size_t		len;
	NullableDatum token = {0, false};
	ClaimSet	headers;
	Identity	identity;
	Jwt			jwt;
	bool		has_token;
	JoseStatus	status = JOSE_OK;

	session_deny();
	if (!read_request("request.headers", &headers))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("request.headers is not a JSON object")));
	authorization = claims_string(headers.json, "authorization");
	len = authorization != NULL ? strlen(authorization) : 0;
	has_token = jwt_skip_bearer(&authorization, &len);
	if (has_token)
	{
		token.value = PointerGetDatum(cstring_to_text_with_len(authorization, len));
		status = session_sign_in(token, true, &jwt, &identity);
	}
	/* PostgREST has switched to a role already, by this token or by another */
	if (status == JOSE_OK && has_token && !identity.has_role)
		status = JOSE_ROLE_NOT_ALLOWED;
	if (status == JOSE_OK && !same_token(has_token ? &jwt : NULL, authorization != NULL))
		status = JOSE_AMBIGUOUS_TOKEN;
	if (status != JOSE_OK)
	{
		session_deny();
		raise_refused(status);
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
	ClaimSet	headers;
	char	   *agent;

	if (!read_request("request.headers", &headers) || (agent = claims_string(headers.json, "user-agent")) == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text_with_len(agent, pg_mbcliplen(agent, strlen(agent), MAX_USER_AGENT)));
}
