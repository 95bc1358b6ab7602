/*
 * arguments.c
 *	  Arguments and rows of the SQL functions.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/htup_details.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

#include "arguments.h"

/* Bytes that no secret, PEM or SSH key comes near, and no JWK Set. */
#define MAX_KEY_TEXT		(64 * 1024)
#define MAX_KEY_DOCUMENT	(1024 * 1024)

PG_FUNCTION_INFO_V1(jwt_auth_role_problem);

/* Raises the error of an argument that is no good; hint may be NULL. */
void
raise_argument(const char *message, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg_internal("%s", message),
			 hint != NULL ? errhint("%s", hint) : 0));
}

/* A text argument as a C string, or NULL. */
char *
text_argument(FunctionCallInfo fcinfo, int arg)
{
	return PG_ARGISNULL(arg) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(arg));
}

/* Reading a key cannot be interrupted, so that a long one is not even detoasted. */
static Datum
key_argument(FunctionCallInfo fcinfo, int arg, Size max_bytes)
{
	if (toast_raw_datum_size(PG_GETARG_DATUM(arg)) > max_bytes + VARHDRSZ)
		raise_argument("key is too long", NULL);
	return PG_GETARG_DATUM(arg);
}

/* An argument that is a secret or PEM, and not NULL. */
text *
key_text_argument(FunctionCallInfo fcinfo, int arg)
{
	return DatumGetTextPP(key_argument(fcinfo, arg, MAX_KEY_TEXT));
}

/* An argument that is a JWK or JWK Set, and not NULL. */
Jsonb *
key_document_argument(FunctionCallInfo fcinfo, int arg)
{
	return DatumGetJsonbP(key_argument(fcinfo, arg, MAX_KEY_DOCUMENT));
}

/* The elements of a text[], none of which may be NULL; how many. */
int
text_array(Datum array, const char ***elements)
{
	Datum	   *datums;
	bool	   *nulls;
	int			n;

	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT,
					  &datums, &nulls, &n);
	*elements = palloc(sizeof(char *) * (n + 1));
	for (int i = 0; i < n; i++)
	{
		if (nulls[i])
			raise_argument("array must not contain NULL", NULL);
		(*elements)[i] = TextDatumGetCString(datums[i]);
	}
	return n;
}

static const JoseAlg *
find_algorithm(const char *name)
{
	const JoseAlg *alg = alg_find(name, strlen(name));

	if (alg == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("algorithm is not supported"),
				 errhint("Names are exact, such as HS256, RS256, ES256 and EdDSA; \"none\" does not exist.")));
	return alg;
}

/* The algorithm that an argument names; NULL where the argument is. */
const JoseAlg *
algorithm_argument(FunctionCallInfo fcinfo, int arg)
{
	return PG_ARGISNULL(arg) ? NULL : find_algorithm(text_argument(fcinfo, arg));
}

/* The algorithms that a text[] argument names; 0 where the argument is NULL. */
AlgSet
algorithms_argument(FunctionCallInfo fcinfo, int arg)
{
	const char **names;
	AlgSet		set = 0;
	int			n;

	if (PG_ARGISNULL(arg))
		return 0;
	n = text_array(PG_GETARG_DATUM(arg), &names);
	if (n == 0)
		raise_argument("list of algorithms must not be empty", NULL);
	for (int i = 0; i < n; i++)
		set |= ALG_BIT(find_algorithm(names[i]));
	return set;
}

/* Why no token can name this role; NULL where one can. */
const char *
role_problem(const char *role)
{
	HeapTuple	tuple = SearchSysCache1(AUTHNAME, CStringGetDatum(role));
	const char *problem = NULL;
	Form_pg_authid form;

	if (!HeapTupleIsValid(tuple))
		return "role does not exist";
	form = (Form_pg_authid) GETSTRUCT(tuple);
	if (form->rolsuper || form->rolbypassrls)
		problem = "role passes every policy";
	ReleaseSysCache(tuple);
	return problem;
}

/*
 * _role_problem(role name) returns text
 */
Datum
jwt_auth_role_problem(PG_FUNCTION_ARGS)
{
	const char *problem = role_problem(PG_ARGISNULL(0) ? "" : NameStr(*PG_GETARG_NAME(0)));

	if (problem == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(problem));
}

/*
 * The row that a function returns, of the columns that its signature has.  It
 * takes fn_extra, to find them out but once for each place that calls.
 */
Datum
form_row(FunctionCallInfo fcinfo, Datum *values, bool *nulls)
{
	FmgrInfo   *flinfo = fcinfo->flinfo;

	if (flinfo->fn_extra == NULL)
	{
		MemoryContext caller = MemoryContextSwitchTo(flinfo->fn_mcxt);
		TupleDesc	tupdesc;

		if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
			elog(ERROR, "return type must be a row type");
		flinfo->fn_extra = BlessTupleDesc(tupdesc);
		MemoryContextSwitchTo(caller);
	}
	return HeapTupleGetDatum(heap_form_tuple(flinfo->fn_extra, values, nulls));
}
