/*
 * hook.c
 *	  Functions of the application that settings name: claims_hook,
 *	  credential_check and user_created_hook.
 *
 * Owns how they are called: as the owner of the function, with a search path
 * that nobody else chooses, and with whatever settings they change put back,
 * the verified claims among them.  So nobody's code runs with the rights of
 * the extension's owner, nor, by a temporary view or a deferred trigger that
 * stays behind, with those of whoever has called.
 *
 * A hook that is missing, has another signature, raises, or returns what it may
 * not is an error that says nothing of it; the server's log has the rest.  What
 * a hook says itself may hold a password, so its detail, hint and context go
 * nowhere, and its message does not either where it has seen one.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "arguments.h"
#include "claims.h"
#include "compat.h"
#include "guc.h"
#include "hook.h"
#include "password.h"

/* Bytes that no identifier and no password comes near. */
#define MAX_CREDENTIAL	1024

/* Hooks that may be called one in another; what goes deeper has no end. */
#define MAX_RUNNING		8

PG_FUNCTION_INFO_V1(jwt_auth_final_claims);
PG_FUNCTION_INFO_V1(jwt_auth_credential_check);
PG_FUNCTION_INFO_V1(jwt_auth_user_created);
PG_FUNCTION_INFO_V1(jwt_auth_hook_problem);

typedef struct Hook
{
	const char *setting;
	const char *signature;		/* of arguments[] and result, for people */
	Oid			arguments[2];
	Oid			result;
	bool		sees_password;
	char	   *function;		/* the setting's value; empty: none */
} Hook;

static Hook claims_hook = {
	.setting = "jwt_auth.claims_hook",
	.signature = "(uuid, jsonb) returns jsonb",
	.arguments = {UUIDOID, JSONBOID},
	.result = JSONBOID
};

static Hook credential_check = {
	.setting = "jwt_auth.credential_check",
	.signature = "(text, text) returns uuid",
	.arguments = {TEXTOID, TEXTOID},
	.result = UUIDOID,
	.sees_password = true
};

static Hook user_created_hook = {
	.setting = "jwt_auth.user_created_hook",
	.signature = "(uuid, jsonb) returns void",
	.arguments = {UUIDOID, JSONBOID},
	.result = VOIDOID
};

/* What a claims hook can neither change, remove nor add. */
static const char *const fixed_claims[] = {
	"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "type", "sid", "client_id", "auth_time", "amr", "csrf"
};

/* How many hooks are being called, one in another. */
static int	running;

/* Whether a hook is being called. */
bool
hook_is_running(void)
{
	return running > 0;
}

/* Says in the log what is wrong with a hook, and raises without saying it. */
pg_noreturn static void
raise_failed(const Hook *hook, const char *problem)
{
	ereport(LOG_SERVER_ONLY,
			(errmsg("hook \"%s\" of \"%s\" %s", hook->function, hook->setting, problem),
			 errhidestmt(true), errhidecontext(true)));
	ereport(ERROR,
			(errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
			 errmsg("a hook has failed"),
			 errhint("The server's log says which one, and why.")));
}

/* The same for an error that the hook has raised. */
pg_noreturn static void
raise_error_of(const Hook *hook, const ErrorData *error)
{
	switch (error->sqlerrcode)
	{
		case ERRCODE_QUERY_CANCELED:
		case ERRCODE_T_R_SERIALIZATION_FAILURE:
		case ERRCODE_T_R_DEADLOCK_DETECTED:
			/* no fault of the hook's, and the caller has to know */
			ereport(ERROR,
					(errcode(error->sqlerrcode),
					 errmsg("a hook was interrupted")));
	}
	raise_failed(hook, psprintf("has raised %s%s%s", unpack_sql_state(error->sqlerrcode),
								hook->sees_password ? "" : ": ",
								hook->sees_password ? "" : error->message));
}

/*
 * The hook's function and its owner: of exactly this signature, in exactly that
 * schema; or InvalidOid.
 */
static Oid
find_function(const Hook *hook, Oid *owner)
{
	List	   *parts;
	Oid			schema = InvalidOid;
	Oid			found = InvalidOid;
	HeapTuple	tuple = NULL;

	if (SplitIdentifierString(pstrdup(hook->function), '.', &parts) && list_length(parts) == 2)
		schema = get_namespace_oid(linitial(parts), true);
	if (OidIsValid(schema))
		tuple = SearchSysCache3(PROCNAMEARGSNSP, CStringGetDatum(lsecond(parts)),
								PointerGetDatum(buildoidvector(hook->arguments, lengthof(hook->arguments))),
								ObjectIdGetDatum(schema));
	if (HeapTupleIsValid(tuple))
	{
		Form_pg_proc proc = (Form_pg_proc) GETSTRUCT(tuple);

		if (proc->prokind == PROKIND_FUNCTION && !proc->proretset && proc->prorettype == hook->result)
			found = proc->oid;
		*owner = proc->proowner;
		ReleaseSysCache(tuple);
	}
	return found;
}

static char *
no_function(const Hook *hook)
{
	return psprintf("is not the name, with its schema, of a function %s", hook->signature);
}

static Datum
invoke(Oid function, Datum first, Datum second, bool *isnull)
{
	LOCAL_FCINFO(fcinfo, 2);
	FmgrInfo	flinfo;
	Datum		result;

	fmgr_info(function, &flinfo);
	InitFunctionCallInfoData(*fcinfo, &flinfo, 2, DEFAULT_COLLATION_OID, NULL, NULL);
	fcinfo->args[0].value = first;
	fcinfo->args[0].isnull = false;
	fcinfo->args[1].value = second;
	fcinfo->args[1].isnull = false;
	result = FunctionCallInvoke(fcinfo);
	*isnull = fcinfo->isnull;
	return result;
}

/* The same, but an error of the function is one that says nothing of it. */
static Datum
invoke_guarded(const Hook *hook, Oid function, Datum first, Datum second, bool *isnull)
{
	MemoryContext caller = CurrentMemoryContext;
	Datum		result;

	running++;
	PG_TRY();
	{
		result = invoke(function, first, second, isnull);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		running--;
		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		FlushErrorState();
		raise_error_of(hook, error);
	}
	PG_END_TRY();
	running--;
	return result;
}

/*
 * Calls a hook as its owner.  Where that fails, user and settings come back
 * with the abort of the transaction or subtransaction, as after any error.
 */
static Datum
call_hook(const Hook *hook, Datum first, Datum second, bool *isnull)
{
	Oid			owner;
	Oid			function = find_function(hook, &owner);
	Oid			user;
	int			security;
	int			level = NewGUCNestLevel();
	Datum		result;

	if (!OidIsValid(function))
		raise_failed(hook, no_function(hook));
	if (running >= MAX_RUNNING)
		raise_failed(hook, "leads back to itself");
	guc_pin_search_path();
	GetUserIdAndSecContext(&user, &security);
	SetUserIdAndSecContext(owner, security | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
	result = invoke_guarded(hook, function, first, second, isnull);
	SetUserIdAndSecContext(user, security);
	AtEOXact_GUC(false, level);
	return result;
}

static bool
same_member(Jsonb *a, Jsonb *b, const char *name)
{
	JsonbValue *in_a = claims_member(a, name);
	JsonbValue *in_b = claims_member(b, name);

	if (in_a == NULL || in_b == NULL)
		return in_a == in_b;
	return compareJsonbContainers(&JsonbValueToJsonb(in_a)->root, &JsonbValueToJsonb(in_b)->root) == 0;
}

/* Raises unless the hook may make these claims of those. */
static void
check_claims(Jsonb *before, Jsonb *after)
{
	StringInfoData out;
	const char *role;

	if (!JB_ROOT_IS_OBJECT(after))
		raise_failed(&claims_hook, "has returned no JSON object");
	for (size_t i = 0; i < lengthof(fixed_claims); i++)
		if (!same_member(before, after, fixed_claims[i]))
			raise_failed(&claims_hook, psprintf("has changed the claim \"%s\"", fixed_claims[i]));
	if (!same_member(before, after, "role"))
	{
		role = claims_string(after, "role");
		if (role == NULL || role_problem(role) != NULL)
			raise_failed(&claims_hook, "has named a role that a user cannot have");
	}
	/* more than this does not fit once it is base64url */
	initStringInfo(&out);
	if (!claims_write(&out, after, jwt_auth_max_token_size / 4 * 3))
		raise_failed(&claims_hook, "has returned more than fits into a token");
}

static Jsonb *
hooked_claims(Datum user_id, Jsonb *claims)
{
	bool		isnull;
	Datum		result = call_hook(&claims_hook, user_id, JsonbPGetDatum(claims), &isnull);
	Jsonb	   *after;

	if (isnull)
		raise_failed(&claims_hook, "has returned NULL");
	after = DatumGetJsonbP(result);
	check_claims(claims, after);
	return after;
}

/*
 * _final_claims(user_id uuid, claims jsonb) returns jsonb
 */
Datum
jwt_auth_final_claims(PG_FUNCTION_ARGS)
{
	Jsonb	   *claims = PG_GETARG_JSONB_P(1);

	if (claims_hook.function[0] != '\0')
		claims = hooked_claims(PG_GETARG_DATUM(0), claims);
	for (int i = 0; guc_optional_claims[i] != NULL; i++)
		if (guc_leaves_out(i) && claims_member(claims, guc_optional_claims[i]) != NULL)
			claims = DatumGetJsonbP(DirectFunctionCall2(jsonb_delete, JsonbPGetDatum(claims),
														CStringGetTextDatum(guc_optional_claims[i])));
	PG_RETURN_JSONB_P(claims);
}

static bool
is_credential(Datum text)
{
	Size		size = toast_raw_datum_size(text);

	return size > VARHDRSZ && size <= VARHDRSZ + MAX_CREDENTIAL;
}

/* An identifier and a password, and whose they are. */
typedef struct Credential
{
	Datum		identifier;
	Datum		password;
	Datum		user_id;
} Credential;

static bool
credential_is_right(void *guess)
{
	Credential *credential = guess;
	bool		isnull;

	credential->user_id = call_hook(&credential_check, credential->identifier, credential->password, &isnull);
	return !isnull;
}

/*
 * _credential_check(identifier text, password text, identifier_hash bytea,
 *		source text, network text) returns (user_id uuid, wait int)
 *
 * NULLs where the password is not that of the identifier.  An empty one never is:
 * some directories take it for a request to stay anonymous, and say yes.
 */
Datum
jwt_auth_credential_check(PG_FUNCTION_ARGS)
{
	Credential	credential = {PG_GETARG_DATUM(0), PG_GETARG_DATUM(1), (Datum) 0};
	Attempt		attempt;
	Datum		values[2];
	bool		nulls[2] = {true, true};
	int			wait = 0;

	password_attempt_arguments(fcinfo, &attempt);
	if (!PG_ARGISNULL(0) && !PG_ARGISNULL(1) && is_credential(credential.identifier) && is_credential(credential.password))
		nulls[0] = !password_attempt(&attempt, credential_is_right, &credential, &wait);
	values[0] = credential.user_id;
	nulls[1] = wait == 0;
	values[1] = Int32GetDatum(wait);
	return form_row(fcinfo, values, nulls);
}

/*
 * _user_created(user_id uuid, user_metadata jsonb) returns void
 */
Datum
jwt_auth_user_created(PG_FUNCTION_ARGS)
{
	bool		isnull;

	if (user_created_hook.function[0] != '\0')
		(void) call_hook(&user_created_hook, PG_GETARG_DATUM(0), PG_GETARG_DATUM(1), &isnull);
	PG_RETURN_VOID();
}

/*
 * _hook_problem() returns text: which hook cannot be called, or NULL
 */
Datum
jwt_auth_hook_problem(PG_FUNCTION_ARGS)
{
	static const Hook *const hooks[] = {&claims_hook, &credential_check, &user_created_hook};
	Oid			owner;

	for (size_t i = 0; i < lengthof(hooks); i++)
		if (hooks[i]->function[0] != '\0' && !OidIsValid(find_function(hooks[i], &owner)))
			PG_RETURN_TEXT_P(cstring_to_text(psprintf("%s: \"%s\" %s", strchr(hooks[i]->setting, '.') + 1,
													  hooks[i]->function, no_function(hooks[i]))));
	PG_RETURN_NULL();
}

/*
 * No check hook: a name that is no good has to fail when it is called for.  One
 * that is refused when the library is loaded would mean that there is no hook.
 */
static void
define_hook(Hook *hook, const char *description)
{
	DefineCustomStringVariable(hook->setting, description, "Empty for none.", &hook->function, "",
							   PGC_SUSET, 0, NULL, NULL, NULL);
}

/* Defines the settings; called once, when the library is loaded. */
void
hook_init(void)
{
	define_hook(&claims_hook, "The function that has the last word on the claims of access tokens.");
	define_hook(&credential_check, "The function that knows the passwords of users who are kept elsewhere.");
	define_hook(&user_created_hook, "The function that is told of each new user.");
}
