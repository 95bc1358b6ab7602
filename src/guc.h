/*
 * guc.h
 *	  Settings that hold no state of a session.
 */
#ifndef JWT_AUTH_GUC_H
#define JWT_AUTH_GUC_H

#include "postgres.h"

#include "alg.h"

/* The costliest password hash that is made or verified. */
#define BCRYPT_MAX_COST	16

/* A set of algorithms: bit n stands for alg_at(n). */
typedef uint32 AlgSet;

#define ALG_BIT(alg)	((AlgSet) 1 << ((alg) - alg_at(0)))

/* Counts the changes of settings that verifying depends on. */
extern uint64 guc_changes;

extern char *jwt_auth_issuer;
extern char *jwt_auth_audience;
extern int	jwt_auth_leeway;	/* seconds */
extern int	jwt_auth_max_token_size;	/* bytes */
extern int	jwt_auth_access_token_lifetime; /* seconds */
extern int	jwt_auth_refresh_token_lifetime;	/* seconds */
extern int	jwt_auth_session_lifetime;	/* seconds; 0 is none */
extern int	jwt_auth_refresh_reuse_grace;	/* seconds */
extern bool jwt_auth_check_session;
extern bool jwt_auth_switch_role;
extern bool jwt_auth_trust_request_claims;
extern bool jwt_auth_cookies;
extern char *jwt_auth_cookie_name;
extern char *jwt_auth_cookie_domain;
extern char *jwt_auth_base_path;
extern int	jwt_auth_bcrypt_cost;
extern int	jwt_auth_max_concurrent_hashes;
extern int	jwt_auth_max_failed_logins; /* 0: any number */
extern int	jwt_auth_lockout_duration;	/* seconds */
extern int	jwt_auth_prune_interval;	/* seconds; 0 is never */
extern char *jwt_auth_master_key_file;
extern char *jwt_auth_previous_master_key_file;

extern AlgSet guc_allowed_algorithms(void);
extern const JoseAlg *guc_first_algorithm(bool symmetric);

extern const char *const guc_optional_claims[];
extern bool guc_leaves_out(int claim);

extern void guc_pin_search_path(void);

extern void guc_init(void);

#endif							/* JWT_AUTH_GUC_H */
