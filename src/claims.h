/*
 * claims.h
 *	  JSON of tokens, and the registered claims (RFC 7519 section 4.1).
 */
#ifndef JWT_AUTH_CLAIMS_H
#define JWT_AUTH_CLAIMS_H

#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "compat.h"
#include "jose.h"

typedef enum ClaimDate
{
	CLAIM_EXP,
	CLAIM_NBF,
	CLAIM_IAT,
	CLAIM_DATES,
} ClaimDate;

/* A JSON object of a token. */
typedef struct ClaimSet
{
	char	   *text;			/* as it came, in the database's encoding */
	Jsonb	   *json;
	bool		bad_type;		/* a registered claim has another than its own */
	bool		has_date[CLAIM_DATES];
	int64		date[CLAIM_DATES];	/* microseconds since 1970, rounded up */
} ClaimSet;

/* What a verifier demands of a token's claims. */
typedef struct ClaimRules
{
	const char *issuer;			/* NULL: any */
	bool		no_issuer;		/* there must be none */
	const char *audience;		/* NULL: there must be none */
	bool		any_audience;	/* the caller looks at it */
	int64		leeway;			/* microseconds */
	int64		now;			/* microseconds since 1970 */
	const char **required;		/* claims that must be there */
	int			nrequired;
} ClaimRules;

extern JoseStatus claims_parse(const unsigned char *bytes, size_t len, ClaimSet *claims);
extern JoseStatus claims_parse_text(char *text, size_t len, ClaimSet *claims);
extern JoseStatus claims_check(const ClaimSet *claims, const ClaimRules *rules);
extern JoseStatus claims_check_dates(const ClaimSet *claims, int64 now, int64 leeway);
extern bool claims_expired(const ClaimSet *claims, int64 now, int64 leeway);
extern bool claims_has_audience(Jsonb *json, const char *audience);

extern Jsonb *claims_copy_json(const Jsonb *json);
extern void claims_copy(const ClaimSet *from, ClaimSet *to);
extern char *claims_convert(const unsigned char *bytes, size_t len, int from, int to);

extern JsonbValue *claims_member(Jsonb *json, const char *name);
extern char *claims_string(Jsonb *json, const char *name);
extern bool claims_string_equals(Jsonb *json, const char *name, const char *value);

extern bool claims_uuid(Jsonb *json, const char *name, pg_uuid_t *uuid);
extern bool claims_integer(Jsonb *json, const char *name, int64 *value);

extern void claims_push_string(JsonbInState *state, const char *name, const char *value);
extern void claims_push_integer(JsonbInState *state, const char *name, int64 value);
extern bool claims_write(StringInfo out, Jsonb *json, int max_bytes);
extern JoseStatus claims_write_payload(StringInfo out, Jsonb *json, int max_bytes);
extern int64 claims_unix_usec(TimestampTz timestamp);

#endif							/* JWT_AUTH_CLAIMS_H */
