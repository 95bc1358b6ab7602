/*
 * client.c
 *	  Clients: named token policies.
 *
 * A client's row overrides the settings where it says something.  The client
 * "default" exists without a row.
 */
#include "postgres.h"

#include "fmgr.h"
#include "nodes/pg_list.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "arguments.h"
#include "client.h"
#include "guc.h"
#include "tables.h"

PG_FUNCTION_INFO_V1(jwt_auth_client_policy);

/* A row of the table; NULL and 0 fall back to the setting. */
typedef struct Client
{
	char	   *client_id;
	char	   *audience;
	int64		access_token_lifetime;	/* microseconds, as those below */
	int64		refresh_token_lifetime;
	int64		session_lifetime;
	bool		refresh_tokens;
	bool		has_cookies;	/* whether cookies says something */
	bool		cookies;
} Client;

static void *load_clients(TableScan *scan);

static TableCopy clients_copy = {.table = TABLE_CLIENTS,.name = "clients",.load = load_clients};

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

static void *
load_clients(TableScan *scan)
{
	List	   *clients = NIL;
	Datum		values[CLIENTS_NATTS];
	bool		nulls[CLIENTS_NATTS];

	while (tables_scan_next(scan, values, nulls))
	{
		Client	   *client = palloc0(sizeof(Client));

		client->client_id = TextDatumGetCString(values[CLIENTS_CLIENT_ID]);
		if (!nulls[CLIENTS_AUDIENCE])
			client->audience = TextDatumGetCString(values[CLIENTS_AUDIENCE]);
		if (!nulls[CLIENTS_ACCESS_TOKEN_LIFETIME])
			client->access_token_lifetime = client_interval_usec(values[CLIENTS_ACCESS_TOKEN_LIFETIME]);
		if (!nulls[CLIENTS_REFRESH_TOKEN_LIFETIME])
			client->refresh_token_lifetime = client_interval_usec(values[CLIENTS_REFRESH_TOKEN_LIFETIME]);
		if (!nulls[CLIENTS_SESSION_LIFETIME])
			client->session_lifetime = client_interval_usec(values[CLIENTS_SESSION_LIFETIME]);
		client->refresh_tokens = DatumGetBool(values[CLIENTS_REFRESH_TOKENS]);
		client->has_cookies = !nulls[CLIENTS_COOKIES];
		client->cookies = client->has_cookies && DatumGetBool(values[CLIENTS_COOKIES]);
		clients = lappend(clients, client);
	}
	return clients;
}

static const Client *
find_client(const char *client_id)
{
	ListCell   *cell;

	foreach(cell, (List *) tables_copy(&clients_copy))
	{
		const Client *client = lfirst(cell);

		if (strcmp(client->client_id, client_id) == 0)
			return client;
	}
	return NULL;
}

/* The policy of a client; false if there is no such client. */
bool
client_policy(const char *client_id, ClientPolicy *policy)
{
	const Client *client = find_client(client_id);

	policy->audience = jwt_auth_audience[0] != '\0' ? jwt_auth_audience : NULL;
	policy->access_token_lifetime = jwt_auth_access_token_lifetime * USECS_PER_SEC;
	policy->refresh_token_lifetime = jwt_auth_refresh_token_lifetime * USECS_PER_SEC;
	policy->session_lifetime = jwt_auth_session_lifetime * USECS_PER_SEC;
	policy->refresh_tokens = true;
	policy->cookies = jwt_auth_cookies;

	if (client == NULL)
		return strcmp(client_id, DEFAULT_CLIENT) == 0;
	if (client->audience != NULL)
		policy->audience = pstrdup(client->audience);
	if (client->access_token_lifetime != 0)
		policy->access_token_lifetime = client->access_token_lifetime;
	if (client->refresh_token_lifetime != 0)
		policy->refresh_token_lifetime = client->refresh_token_lifetime;
	if (client->session_lifetime != 0)
		policy->session_lifetime = client->session_lifetime;
	policy->refresh_tokens = client->refresh_tokens;
	if (client->has_cookies)
		policy->cookies = client->cookies;
	return true;
}

/* Whether any client gets its tokens as cookies. */
bool
client_any_cookies(void)
{
	ListCell   *cell;

	if (jwt_auth_cookies)
		return true;
	foreach(cell, (List *) tables_copy(&clients_copy))
	{
		if (((const Client *) lfirst(cell))->cookies)
			return true;
	}
	return false;
}

/*
 * _client_policy(client_id text) returns (audience text,
 *		access_token_lifetime interval, refresh_token_lifetime interval,
 *		session_lifetime interval, refresh_tokens boolean, cookies boolean)
 *
 * NULL where there is no such client.
 */
Datum
jwt_auth_client_policy(PG_FUNCTION_ARGS)
{
	ClientPolicy policy;
	Datum		values[6];
	bool		nulls[6] = {false};

	if (!client_policy(text_to_cstring(PG_GETARG_TEXT_PP(0)), &policy))
		PG_RETURN_NULL();
	nulls[0] = policy.audience == NULL;
	values[0] = nulls[0] ? (Datum) 0 : CStringGetTextDatum(policy.audience);
	values[1] = usec_interval(policy.access_token_lifetime);
	values[2] = usec_interval(policy.refresh_token_lifetime);
	nulls[3] = policy.session_lifetime == 0;
	values[3] = usec_interval(policy.session_lifetime);
	values[4] = BoolGetDatum(policy.refresh_tokens);
	values[5] = BoolGetDatum(policy.cookies);
	return form_row(fcinfo, values, nulls);
}

/* Called once, when the library is loaded. */
void
client_init(void)
{
	tables_watch(&clients_copy);
}
