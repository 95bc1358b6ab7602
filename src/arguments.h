/*
 * arguments.h
 *	  Arguments and rows of the SQL functions.
 */
#ifndef JWT_AUTH_ARGUMENTS_H
#define JWT_AUTH_ARGUMENTS_H

#include "postgres.h"

#include "fmgr.h"
#include "utils/jsonb.h"

#include "compat.h"
#include "guc.h"

pg_noreturn extern void raise_argument(const char *message, const char *hint);
extern char *text_argument(FunctionCallInfo fcinfo, int arg);
extern text *key_text_argument(FunctionCallInfo fcinfo, int arg);
extern Jsonb *key_document_argument(FunctionCallInfo fcinfo, int arg);
extern int	text_array(Datum array, const char ***elements);
extern const JoseAlg *algorithm_argument(FunctionCallInfo fcinfo, int arg);
extern AlgSet algorithms_argument(FunctionCallInfo fcinfo, int arg);
extern const char *role_problem(const char *role);
extern Datum form_row(FunctionCallInfo fcinfo, Datum *values, bool *nulls);

#endif							/* JWT_AUTH_ARGUMENTS_H */
