--
-- CREATE EXTENSION, DROP EXTENSION, and the grants that come after
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcrypto;
CREATE ROLE regress_mallory;
CREATE ROLE regress_app CREATEROLE;

--
-- The schema auth is taken only where nobody else has a hand in it
--
CREATE SCHEMA auth AUTHORIZATION regress_mallory;
CREATE EXTENSION jwt_auth;
DROP SCHEMA auth;
CREATE SCHEMA auth;
GRANT CREATE ON SCHEMA auth TO regress_mallory;
CREATE EXTENSION jwt_auth;
REVOKE CREATE ON SCHEMA auth FROM regress_mallory;
GRANT CREATE ON SCHEMA auth TO PUBLIC;
CREATE EXTENSION jwt_auth;
REVOKE CREATE ON SCHEMA auth FROM PUBLIC;
-- whatever it is that is in it
CREATE TABLE auth.notes ();
CREATE EXTENSION jwt_auth;
DROP TABLE auth.notes;
CREATE FUNCTION auth.lower(text) RETURNS text LANGUAGE sql RETURN $1;
CREATE EXTENSION jwt_auth;
DROP FUNCTION auth.lower;
CREATE TYPE auth.mood AS ENUM ('good');
CREATE EXTENSION jwt_auth;
DROP TYPE auth.mood;
CREATE OPERATOR auth.= (LEFTARG = text, RIGHTARG = text, FUNCTION = texteq);
CREATE EXTENSION jwt_auth;
DROP OPERATOR auth.= (text, text);
CREATE COLLATION auth.c (LOCALE = 'C');
CREATE EXTENSION jwt_auth;
DROP COLLATION auth.c;
ALTER DEFAULT PRIVILEGES IN SCHEMA auth GRANT SELECT ON TABLES TO regress_mallory;
CREATE EXTENSION jwt_auth;
ALTER DEFAULT PRIVILEGES IN SCHEMA auth REVOKE SELECT ON TABLES FROM regress_mallory;
-- nor does it go anywhere else, or install for an ordinary role
CREATE EXTENSION jwt_auth SCHEMA public;
SET ROLE regress_mallory;
CREATE EXTENSION jwt_auth;
RESET ROLE;
SELECT count(*) FROM pg_extension WHERE extname = 'jwt_auth';
-- empty and one's own, with USAGE given away, is fine
GRANT USAGE ON SCHEMA auth TO regress_mallory;
CREATE EXTENSION jwt_auth;
ALTER EXTENSION jwt_auth SET SCHEMA public;
DROP SCHEMA auth;
DROP EXTENSION pgcrypto;

--
-- Dropped and made again, in a session that has keys and claims in its memory
--
CREATE FUNCTION journey() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	answer jsonb;
BEGIN
	RETURN NEXT auth.register('alice@example.com', 'correct horse') ->> 'email';
	answer := auth.login('alice@example.com', 'correct horse');
	answer := auth.refresh(answer ->> 'refresh_token');
	PERFORM auth.authenticate(answer ->> 'access_token');
	RETURN NEXT auth.me() ->> 'email';
	RETURN NEXT auth.login('alice@example.com', 'wrong') ->> 'error_code';
END
$$;
SET jwt_auth.bcrypt_cost = 4;
SELECT journey();
SELECT auth.jwt_sign('{"a": 1}') AS token \gset
SELECT auth.authenticate(auth.login('alice@example.com', 'correct horse') ->> 'access_token', false) ->> 'email' AS for_the_session;
DROP EXTENSION jwt_auth;
SELECT count(*) FROM pg_proc WHERE pronamespace = 'auth'::regnamespace;
CREATE EXTENSION jwt_auth;
SELECT auth.jwks();
SELECT auth.jwt_verify(:'token');
SELECT journey();
SELECT auth.jwt_verify(:'token');
DROP EXTENSION jwt_auth;
BEGIN;
CREATE EXTENSION jwt_auth;
SELECT journey();
ROLLBACK;

--
-- pgcrypto may live in any schema; without it there is nothing to install
--
DROP SCHEMA auth;
DROP EXTENSION pgcrypto;
CREATE EXTENSION jwt_auth;
CREATE SCHEMA "another Place";
CREATE EXTENSION pgcrypto SCHEMA "another Place";
CREATE EXTENSION jwt_auth;
SELECT journey();
DELETE FROM auth.users;
ALTER EXTENSION pgcrypto SET SCHEMA public;
SELECT journey();
DROP EXTENSION pgcrypto;

--
-- grant_access gives a bundle, and revoke_access takes it back
--
CREATE TEMP VIEW access AS
SELECT string_agg(proname, ', ' ORDER BY proname COLLATE "C") AS functions, bool_or(has_function_privilege('regress_app', oid, 'EXECUTE WITH GRANT OPTION')) AS with_grant_option,
	   has_column_privilege('regress_app', 'auth.users', 'id', 'REFERENCES') AS references_users
FROM pg_proc WHERE pronamespace = 'auth'::regnamespace AND has_function_privilege('regress_app', oid, 'EXECUTE') AND NOT has_function_privilege('public', oid, 'EXECUTE');
SELECT auth.grant_access('regress_app', 'client'); SELECT * FROM access; SELECT auth.revoke_access('regress_app', 'client');
SELECT auth.grant_access('regress_app', 'admin'); SELECT * FROM access; SELECT auth.revoke_access('regress_app', 'admin');
SELECT auth.grant_access('regress_app', 'keys'); SELECT * FROM access; SELECT auth.revoke_access('regress_app', 'keys');
SELECT auth.grant_access('regress_app', 'mailer'); SELECT * FROM access; SELECT auth.revoke_access('regress_app', 'mailer');
SELECT auth.grant_access('regress_app', 'monitor'); SELECT * FROM access; SELECT has_table_privilege('regress_app', 'auth.key_status', 'SELECT'); SELECT auth.revoke_access('regress_app', 'monitor');
SELECT has_table_privilege('regress_app', 'auth.key_status', 'SELECT');
SELECT auth.grant_access('regress_app', 'authenticator'); SELECT * FROM access; SELECT auth.revoke_access('regress_app', 'authenticator');
SELECT * FROM access;
SELECT auth.grant_access('regress_app', 'everything');
SELECT auth.grant_access('regress_app', NULL);
SELECT auth.grant_access(NULL, 'client');
SELECT auth.grant_access('regress_unknown', 'client');
SET ROLE regress_mallory;
SELECT auth.grant_access('regress_mallory', 'owner');
RESET ROLE;

-- The owner of an application has an API of its own.  A foreign key to users is
-- a superuser's to make: with REFERENCES, a cast of one's own would run as that.
SELECT auth.grant_access('regress_app', 'owner');
SELECT with_grant_option, references_users, functions = (SELECT string_agg(proname, ', ' ORDER BY proname COLLATE "C") FROM pg_proc AS p JOIN auth._bundle('owner') ON object = 'FUNCTION ' || p.oid::regprocedure) AS all_of_it FROM access;
CREATE SCHEMA regress_app AUTHORIZATION regress_app;
SET ROLE regress_app;
CREATE TABLE regress_app.profile (user_id uuid PRIMARY KEY, name text);
ALTER TABLE regress_app.profile ADD FOREIGN KEY (user_id) REFERENCES auth.users (id) ON DELETE CASCADE;
RESET ROLE;
ALTER TABLE regress_app.profile ADD FOREIGN KEY (user_id) REFERENCES auth.users (id) ON DELETE CASCADE;
SET ROLE regress_app;
INSERT INTO regress_app.profile VALUES ('00000000-0000-0000-0000-00000000000a', 'nobody');
RESET ROLE;
INSERT INTO regress_app.profile SELECT id, 'alice' FROM auth.users;
DELETE FROM auth.users;
SELECT count(*) FROM regress_app.profile;
DROP TABLE regress_app.profile;
SET ROLE regress_app;
SELECT auth.create_api('regress_app', 'regress_visitor', 'regress_member', 'regress_server') IS NOT NULL AS made;
SET ROLE regress_visitor;
SELECT regress_app.register('bob@example.com', 'correct horse') ->> 'email' AS registered, regress_app.login('bob@example.com', 'correct horse') ->> 'token_type' AS signed_in;
RESET ROLE;
SELECT has_function_privilege('regress_server', 'auth.pre_config()', 'EXECUTE');
SELECT auth.revoke_access('regress_app', 'owner');
SELECT * FROM access;
SELECT has_function_privilege('regress_server', 'auth.pre_config()', 'EXECUTE');
SELECT regress_app.login('bob@example.com', 'correct horse');

--
-- create_api, run twice, with roles and schemas that are somebody's
--
CREATE ROLE regress_super SUPERUSER;
CREATE ROLE regress_bypass BYPASSRLS;
SELECT auth.create_api('regress_api', 'regress_anon', 'regress_authenticated', 'regress_authenticator');
SELECT auth.create_api('regress_api', 'regress_anon', 'regress_authenticated', 'regress_authenticator') IS NOT NULL AS again;
SELECT proname, pg_get_function_identity_arguments(p.oid) AS arguments, prosecdef AS definer,
	   has_function_privilege('regress_anon', p.oid, 'EXECUTE') AS anon, has_function_privilege('regress_authenticated', p.oid, 'EXECUTE') AS authenticated
FROM pg_proc AS p WHERE pronamespace = 'regress_api'::regnamespace ORDER BY 1;
-- An endpoint of an older version goes; what an application has put beside it stays
SELECT auth._api_function('regress_api', 'me', 'integer', 'x integer', 'integer', 'SELECT 1', 'x', 'regress_anon');
CREATE FUNCTION regress_api.me(x text) RETURNS text LANGUAGE sql AS $$ SELECT x $$;
SELECT auth.create_api('regress_api', 'regress_anon', 'regress_authenticated', 'regress_authenticator') IS NOT NULL AS again;
SELECT oid::regprocedure FROM pg_proc WHERE pronamespace = 'regress_api'::regnamespace AND proname = 'me' ORDER BY pronargs;
DROP FUNCTION regress_api.me(text);
SELECT rolname, rolcanlogin, rolinherit, rolsuper, rolbypassrls FROM pg_roles WHERE rolname IN ('regress_anon', 'regress_authenticated', 'regress_authenticator') ORDER BY 1;
SELECT auth.create_api('regress_other', 'regress_super', 'regress_authenticated', 'regress_authenticator');
SELECT auth.create_api('regress_other', 'regress_anon', 'regress_bypass', 'regress_authenticator');
SELECT auth.create_api('regress_app', 'regress_anon', 'regress_authenticated', 'regress_authenticator');
SELECT auth.create_api('regress_other', client_id => 'unknown');
SELECT auth.create_api('auth'), auth.create_api('pg_catalog');
SELECT auth.create_api('regress"other');
GRANT CREATE ON SCHEMA regress_api TO regress_mallory;
SELECT auth.create_api('regress_api', 'regress_anon', 'regress_authenticated', 'regress_authenticator');
REVOKE CREATE ON SCHEMA regress_api FROM regress_mallory;
ALTER FUNCTION regress_api.me() OWNER TO regress_mallory;
SELECT auth.create_api('regress_api', 'regress_anon', 'regress_authenticated', 'regress_authenticator');
SELECT count(*) FROM pg_namespace WHERE nspname = 'regress_other';

--
-- Default privileges of the installing role open nothing
--
DROP VIEW access;
DROP EXTENSION jwt_auth;
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO regress_mallory;
ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO regress_mallory;
CREATE EXTENSION jwt_auth;
ALTER DEFAULT PRIVILEGES REVOKE SELECT ON TABLES FROM regress_mallory;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM regress_mallory;
SELECT bool_or(has_table_privilege('regress_mallory', oid, 'SELECT')) AS reads FROM pg_class WHERE relnamespace = 'auth'::regnamespace AND relkind = 'r';
SELECT count(*) AS calls FROM pg_proc WHERE pronamespace = 'auth'::regnamespace AND has_function_privilege('regress_mallory', oid, 'EXECUTE') AND NOT has_function_privilege('public', oid, 'EXECUTE');

--
-- Whoever owns pgcrypto, a trusted extension, can put functions into it; none
-- of these is ever called
--
DROP EXTENSION pgcrypto CASCADE;
DROP SCHEMA auth;
DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO regress_mallory', current_database()); END $$;
SET ROLE regress_mallory;
CREATE SCHEMA regress_evil;
CREATE EXTENSION pgcrypto SCHEMA regress_evil;
CREATE SCHEMA regress_worse;
CREATE FUNCTION regress_worse.crypt(text, text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'evil code runs as %', current_user; END $$;
ALTER EXTENSION pgcrypto ADD FUNCTION regress_worse.crypt(text, text);
RESET ROLE;
ALTER EXTENSION pgcrypto DROP FUNCTION regress_evil.crypt(text, text);
CREATE EXTENSION jwt_auth;
SELECT auth.register('alice@example.com', 'correct horse');
DO $$ BEGIN EXECUTE format('REVOKE CREATE ON DATABASE %I FROM regress_mallory', current_database()); END $$;

DROP EXTENSION pgcrypto CASCADE;
DROP SCHEMA regress_evil, regress_worse CASCADE;
DROP SCHEMA regress_api, regress_app, "another Place" CASCADE;
DROP FUNCTION journey;
DROP SCHEMA auth;
DROP ROLE regress_server, regress_visitor, regress_member, regress_authenticator, regress_anon, regress_authenticated, regress_super, regress_bypass, regress_app, regress_mallory;
