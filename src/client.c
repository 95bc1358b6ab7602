/*
 * client.c
 *	  Clients: named token policies.
 *
 * A client's row overrides the settings where it says something.  The client
 * "default" exists without a row.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "arguments.h"
#include "client.h"
#include "guc.h"
#include "tables.h"

PG_FUNCTION_INFO_V1(jwt_auth_client_policy);

/* Microseconds of an interval, months and days taken as of fixed length. */
int64
client_interval_usec(Datum interval)
{
	Interval   *i = DatumGetIntervalP(interval);

	return i->time + ((int64) i->month * DAYS_PER_MONTH + i->day) * USECS_PER_DAY;
}

static Datum
usec_interval(int64 usec)
{
	Interval   *i = palloc0(sizeof(Interval));

	i->time = usec;
	return IntervalPGetDatum(i);
}

/*
 * The policy of a client, read afresh; false if there is no such client.
 */
bool
client_policy(const char *client_id, ClientPolicy *policy)
{
	Datum		key = CStringGetTextDatum(client_id);
	Datum		values[CLIENTS_NATTS];
	bool		nulls[CLIENTS_NATTS];

	policy->audience = jwt_auth_audience[0] != '\0' ? jwt_auth_audience : NULL;
	policy->access_token_lifetime = jwt_auth_access_token_lifetime * USECS_PER_SEC;
	policy->refresh_token_lifetime = jwt_auth_refresh_token_lifetime * USECS_PER_SEC;
	policy->session_lifetime = jwt_auth_session_lifetime * USECS_PER_SEC;
	policy->refresh_tokens = true;

	if (!tables_fetch(TABLE_CLIENTS, 1, &key, values, nulls))
		return strcmp(client_id, DEFAULT_CLIENT) == 0;
	if (!nulls[CLIENTS_AUDIENCE])
		policy->audience = TextDatumGetCString(values[CLIENTS_AUDIENCE]);
	if (!nulls[CLIENTS_ACCESS_TOKEN_LIFETIME])
		policy->access_token_lifetime = client_interval_usec(values[CLIENTS_ACCESS_TOKEN_LIFETIME]);
	if (!nulls[CLIENTS_REFRESH_TOKEN_LIFETIME])
		policy->refresh_token_lifetime = client_interval_usec(values[CLIENTS_REFRESH_TOKEN_LIFETIME]);
	if (!nulls[CLIENTS_SESSION_LIFETIME])
		policy->session_lifetime = client_interval_usec(values[CLIENTS_SESSION_LIFETIME]);
	policy->refresh_tokens = DatumGetBool(values[CLIENTS_REFRESH_TOKENS]);
	return true;
}

/*
 * _client_policy(client_id text) returns (audience text,
 *		access_token_lifetime interval, refresh_token_lifetime interval,
 *		session_lifetime interval, refresh_tokens boolean)
 *
 * NULL where there is no such client.
 */
Datum
jwt_auth_client_policy(PG_FUNCTION_ARGS)
{
	ClientPolicy policy;
	Datum		values[5];
	bool		nulls[5] = {false};

	if (!client_policy(text_to_cstring(PG_GETARG_TEXT_PP(0)), &policy))
		PG_RETURN_NULL();
	nulls[0] = policy.audience == NULL;
	values[0] = nulls[0] ? (Datum) 0 : CStringGetTextDatum(policy.audience);
	values[1] = usec_interval(policy.access_token_lifetime);
	values[2] = usec_interval(policy.refresh_token_lifetime);
	nulls[3] = policy.session_lifetime == 0;
	values[3] = usec_interval(policy.session_lifetime);
	values[4] = BoolGetDatum(policy.refresh_tokens);
	return form_row(fcinfo, values, nulls);
}
