--
-- jwt_auth.claims takes no value but from authenticate(), whoever asks and
-- however; no ordinary user sets any setting of ours, but jwt_auth.token.
--
SET client_min_messages = warning;
CREATE EXTENSION jwt_auth CASCADE;
RESET client_min_messages;
SET jwt_auth.bcrypt_cost = 4;
\set superuser :USER
CREATE ROLE regress_forger LOGIN;
GRANT CREATE ON SCHEMA public TO regress_forger;
SELECT auth.register('alice@example.com', 'correct horse') ->> 'email' AS registered;
SELECT auth.login('alice@example.com', 'correct horse') ->> 'access_token' AS alice \gset
\set forged '{"sub":"00000000-0000-0000-0000-00000000000a","email":"forged@example.com","exp":4102444800}'

-- Tries a command and says what came of it
CREATE FUNCTION try(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	hint text;
BEGIN
	EXECUTE command;
	RETURN 'done: ' || coalesce(auth.email(), 'nobody');
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
	RETURN format('%s %s: %s', SQLSTATE, concat_ws(', ', SQLERRM, nullif(hint, '')), coalesce(auth.email(), 'nobody'));
END
$$;
GRANT EXECUTE ON FUNCTION try TO PUBLIC;

--
-- Every way to write a setting.  A role that is signed in stays who it is.
--
CREATE TABLE way (n serial, command text);
GRANT SELECT ON way TO PUBLIC;
CREATE FUNCTION shown(command text) RETURNS text LANGUAGE sql AS
$$ SELECT replace(regexp_replace(command, '''{.*}''', '''{...}'''), current_database(), 'this_database') $$;
INSERT INTO way (command) SELECT replace(command, '$', quote_literal(:'forged')) FROM (VALUES
	('SET jwt_auth.claims = $'), ('SET SESSION jwt_auth.claims = $'), ('SET LOCAL jwt_auth.claims = $'), ('SET "JWT_AUTH.Claims" = $'), ('SET jwt_auth.claims TO x'),
	('SELECT set_config(''jwt_auth.claims'', $, true)'), ('SELECT set_config(''jwt_auth.claims'', $, false)'), ('SELECT set_config(''jwt_auth.claims'', '' '', true)'),
	('UPDATE pg_settings SET setting = $ WHERE name = ''jwt_auth.claims'''),
	('ALTER ROLE regress_forger SET jwt_auth.claims = $'), ('ALTER ROLE regress_forger IN DATABASE ' || current_database() || ' SET jwt_auth.claims = $'),
	('ALTER ROLE regress_forger SET jwt_auth.claims FROM CURRENT'), ('ALTER DATABASE ' || current_database() || ' SET jwt_auth.claims = $'),
	('CREATE FUNCTION public.forge() RETURNS text LANGUAGE sql SET jwt_auth.claims = $ AS ''SELECT auth.email()'''),
	('CREATE FUNCTION public.forge() RETURNS text LANGUAGE sql SET jwt_auth.claims FROM CURRENT AS ''SELECT auth.email()'''),
	('ALTER FUNCTION try(text) SET jwt_auth.claims = $'),
	('SET jwt_auth.claims_denied = 0')
) AS v (command);
SELECT auth.authenticate(:'alice', false) ->> 'email' AS authenticated;
SELECT shown(command) AS as_superuser, shown(try(command)) AS result FROM way ORDER BY n;
SET ROLE regress_forger;
SELECT shown(command) AS as_anybody, shown(try(command)) AS result FROM way ORDER BY n;
RESET ROLE;
SELECT auth.deauthenticate();
SELECT shown(command) AS with_nobody_signed_in, try(command) FROM way WHERE n IN (1, 3, 6) ORDER BY n;
-- Nor does the file take it
ALTER SYSTEM SET jwt_auth.claims = 'x';
SELECT count(*) AS kept FROM pg_db_role_setting WHERE setconfig::text ~ 'jwt_auth';

--
-- Taking it away is signing out, and nothing brings it back but a token
--
SET ROLE regress_forger;
SELECT auth.authenticate(:'alice', false) ->> 'email' AS authenticated;
SELECT command, try(command) FROM unnest(ARRAY['SET LOCAL jwt_auth.claims = ''''', 'RESET jwt_auth.claims', 'SET jwt_auth.claims = DEFAULT', 'RESET ALL']) AS command;
SELECT auth.email();
-- pg_settings and SHOW ALL keep quiet about it
SELECT count(*) FROM pg_settings WHERE name ~ '^jwt_auth.claims(_denied)?$';
-- After a token that was no good, no game with settings and savepoints helps
SELECT auth.authenticate(:'alice', false) ->> 'email' AS authenticated;
SELECT try('SELECT auth.authenticate(''x'')');
SELECT command, try(command) FROM unnest(ARRAY['RESET jwt_auth.claims_denied', 'SET jwt_auth.claims_denied = 0', 'SET LOCAL jwt_auth.claims_denied TO DEFAULT',
	'SELECT set_config(''jwt_auth.claims_denied'', ''0'', true)', 'RESET ALL', 'CREATE FUNCTION public.forge() RETURNS text LANGUAGE sql SET jwt_auth.claims_denied = 0 AS ''SELECT auth.email()''']) AS command;
BEGIN;
SELECT auth.authenticate(:'alice') ->> 'email' AS authenticated;
SAVEPOINT s;
SELECT auth.authenticate('x');
ROLLBACK TO s;
SELECT auth.email();
RELEASE s;
SELECT auth.email();
COMMIT;
DISCARD ALL;

--
-- What PostgREST's clients or anybody else can set is never trusted
--
SELECT set_config('request.jwt.claims', :'forged', false) IS NOT NULL AS set, set_config('request.jwt.claim.sub', 'x', false) IS NOT NULL AS set, set_config('role', 'regress_forger', false);
SELECT auth.uid(), auth.jwt(), auth.role(), auth.email();
DISCARD ALL;

--
-- Before the library is loaded, a name is but a name: what stands there is
-- dropped when the library comes, unless a superuser put it there
--
\c -
SET ROLE regress_forger;
SELECT set_config('jwt_auth.claims', :'forged', false) = :'forged' AS placeholder;
SET jwt_auth.claims_denied = 0;
SET jwt_auth.issuer = 'https://evil.example.com';
SET jwt_auth.default_role = 'postgres';
SET jwt_auth.max_token_size = '1MB';
SELECT auth.email();
SELECT current_setting('jwt_auth.claims') AS claims, current_setting('jwt_auth.issuer') AS issuer, current_setting('jwt_auth.default_role') AS default_role;
\c -
SET jwt_auth.default_role = 'regress_role';
SELECT set_config('jwt_auth.claims', :'forged', false) = :'forged' AS placeholder;
SELECT auth.email();
SHOW jwt_auth.default_role;

-- In a transaction, in savepoints
\c -
SET ROLE regress_forger;
BEGIN;
SELECT set_config('jwt_auth.claims', :'forged', true) = :'forged' AS placeholder;
SAVEPOINT s;
SELECT set_config('jwt_auth.claims', :'forged', true) = :'forged' AS placeholder;
SELECT auth.email();
ROLLBACK TO s;
SELECT auth.email();
COMMIT;
SELECT auth.email();

-- From the options of the connection
\c -reuse-previous=on "user=regress_forger options='-c jwt_auth.claims={} -c jwt_auth.default_role=postgres'"
SHOW jwt_auth.default_role;
SELECT auth.email();
SHOW jwt_auth.default_role;

-- With the role or the database only a superuser may store a placeholder, and
-- for the claims that does not help either; nor does a function that sets them
\c -reuse-previous=on "user=regress_forger options=''"
ALTER ROLE regress_forger SET jwt_auth.claims = '{}';
ALTER ROLE regress_forger SET jwt_auth.default_role = 'postgres';
CREATE FUNCTION forge() RETURNS text LANGUAGE sql SET jwt_auth.claims = '{}' AS 'SELECT auth.email()';
\c - :superuser
SELECT format('ALTER ROLE regress_forger SET jwt_auth.claims = %L', :'forged') \gexec
SELECT format('CREATE FUNCTION forge() RETURNS text LANGUAGE plpgsql SET jwt_auth.claims = %L AS %L', :'forged', 'BEGIN RETURN auth.email(); END') \gexec
\c - regress_forger
SELECT current_setting('jwt_auth.claims') = :'forged' AS placeholder;
SELECT auth.email();
SELECT forge();
\c - :superuser
SELECT forge() AS library_not_loaded_yet;
SELECT forge() AS library_loaded;
DROP FUNCTION forge;

-- A setting that PL/pgSQL reads is read with the library loaded
SELECT auth.grant_access('regress_forger', 'client');
\c -
SET jwt_auth.bcrypt_cost = 4;
SET ROLE regress_forger;
SET jwt_auth.default_role = 'postgres';
SET jwt_auth.password_min_length = 1;
SELECT auth.register('bob@example.com', 'short') ->> 'error_code' AS error;
SELECT auth.register('bob@example.com', 'correct horse') ->> 'role' AS role;

-- A setting with a list can be set again and again
RESET ROLE;
SET jwt_auth.allowed_algorithms = 'ES256, HS256';
SET jwt_auth.allowed_algorithms = 'HS256, ES256';
SET jwt_auth.allowed_algorithms = 'none';
RESET jwt_auth.allowed_algorithms;
SET ROLE regress_forger;

-- None of the settings that there are
SELECT count(*) > 10 AS some, bool_and(try(format('SET %s = %L', name, boot_val)) ~ '^(42501|55P02)') AS all_refused
FROM pg_settings WHERE name ~ '^jwt_auth\.';
RESET ROLE;

DROP FUNCTION try, shown;
DROP TABLE way;
DROP EXTENSION jwt_auth CASCADE;
DROP SCHEMA auth;
REVOKE CREATE ON SCHEMA public FROM regress_forger;
DROP ROLE regress_forger;
