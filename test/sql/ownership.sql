--
-- What becomes of the extension, and of the claims, when objects and sessions
-- change hands
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcrypto;
CREATE ROLE regress_installer SUPERUSER;
CREATE ROLE regress_low;
CREATE ROLE regress_server;
CREATE ROLE regress_visitor;
CREATE ROLE regress_member;
SET ROLE regress_installer;
CREATE EXTENSION jwt_auth;
RESET ROLE;
SET jwt_auth.bcrypt_cost = 4;
SELECT auth.create_api('regress_api', 'regress_visitor', 'regress_member', 'regress_server') IS NOT NULL AS made;
SELECT auth.register('alice@example.com', 'correct horse') ->> 'email' AS registered;
SELECT id AS alice_id, auth.issue_access_token(id) AS alice FROM auth.users \gset

--
-- An ordinary role takes nothing over, and a role that is still of use stays
--
CREATE FUNCTION try(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE command;
	RETURN 'done';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END
$$;
GRANT EXECUTE ON FUNCTION try TO PUBLIC;
SET ROLE regress_low;
SELECT command, try(command) FROM unnest(ARRAY['ALTER EXTENSION jwt_auth SET SCHEMA public', 'ALTER EXTENSION jwt_auth UPDATE', 'DROP EXTENSION jwt_auth', 'ALTER EXTENSION jwt_auth DROP FUNCTION auth.uid()',
	'ALTER FUNCTION auth.uid() OWNER TO regress_low', 'ALTER FUNCTION auth.login OWNER TO regress_low', 'ALTER FUNCTION auth.login RESET search_path', 'ALTER TABLE auth.users OWNER TO regress_low',
	'CREATE OR REPLACE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql AS ''SELECT NULL::uuid''', 'ALTER SCHEMA auth RENAME TO auth2', 'ALTER SCHEMA auth OWNER TO regress_low', 'GRANT CREATE ON SCHEMA auth TO PUBLIC',
	'REASSIGN OWNED BY regress_installer TO regress_low', 'DROP OWNED BY regress_installer']) command;
RESET ROLE;
SELECT command, try(command) FROM unnest(ARRAY['ALTER EXTENSION jwt_auth SET SCHEMA public', 'DROP FUNCTION auth.uid()', 'DROP TABLE auth.audit_log', 'DROP SCHEMA auth', 'DROP ROLE regress_installer', 'DROP ROLE regress_visitor']) command;

-- What goes with a role is its grants
DROP OWNED BY regress_visitor, regress_low;
SELECT has_function_privilege('regress_visitor', 'regress_api.login(text, text, text)', 'EXECUTE') AS visitor, has_function_privilege('regress_member', 'regress_api.login(text, text, text)', 'EXECUTE') AS member;
SELECT auth.create_api('regress_api', 'regress_visitor', 'regress_member', 'regress_server') IS NOT NULL AS made_again;
SELECT has_function_privilege('regress_visitor', 'regress_api.login(text, text, text)', 'EXECUTE') AS visitor;

--
-- A superuser may hand all of it to another role, low as it may be: it then runs
-- with that role's rights and no others, and goes on
--
REASSIGN OWNED BY regress_installer TO regress_low;
SELECT DISTINCT proowner::regrole FROM pg_proc WHERE pronamespace = 'auth'::regnamespace;
SELECT DISTINCT relowner::regrole FROM pg_class WHERE relnamespace = 'auth'::regnamespace;
SET ROLE regress_visitor;
SELECT r ->> 'token_type' AS signed_in, r ->> 'refresh_token' AS refresh FROM regress_api.login('alice@example.com', 'correct horse') r \gset
SELECT regress_api.refresh(:'refresh') ->> 'token_type' AS refreshed;
RESET ROLE;
SELECT auth.rotate_key(activate_in => '0') IS NOT NULL AS rotated;
SELECT extowner::regrole FROM pg_extension WHERE extname = 'jwt_auth';

--
-- Claims belong to the transaction, whoever the session is: a policy that wants a
-- role as well says so.  DISCARD ALL and RESET ALL end them.
--
CREATE TABLE notes (owner uuid DEFAULT auth.uid());
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON notes TO regress_member USING (owner = auth.uid());
INSERT INTO notes VALUES (:'alice_id');
GRANT SELECT ON notes TO regress_member, regress_visitor;
CREATE FUNCTION seen() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN concat_ws(' ', current_user, auth.email(), (SELECT count(*) FROM notes)); END $$;
BEGIN;
SELECT auth.authenticate(:'alice') ->> 'email' AS authenticated;
SET LOCAL ROLE regress_member;
SELECT seen();
SET LOCAL ROLE regress_visitor;
SELECT seen();
RESET ROLE;
SET LOCAL SESSION AUTHORIZATION regress_member;
SELECT seen();
SET LOCAL SESSION AUTHORIZATION regress_visitor;
SELECT seen();
COMMIT;
SET ROLE regress_member;
SELECT seen();
SELECT auth.authenticate(:'alice', false) ->> 'email' AS for_the_session;
SET ROLE regress_visitor;
SELECT seen();
SET ROLE regress_member;
SELECT seen();
RESET ALL;
SELECT seen();
SELECT auth.authenticate(:'alice', false) ->> 'email' AS for_the_session;
DISCARD ALL;
SET ROLE regress_member;
SELECT seen();
RESET ROLE;

--
-- Before the library is loaded, nobody but a superuser gives a setting of ours to
-- a function or a role
--
GRANT CREATE ON SCHEMA public TO regress_member;
\c -
SET ROLE regress_member;
SELECT command, try(command) FROM unnest(ARRAY['CREATE FUNCTION evil() RETURNS uuid LANGUAGE sql SET jwt_auth.issuer = ''evil'' AS ''SELECT auth.uid()''',
	'ALTER ROLE regress_member SET jwt_auth.issuer = ''evil''']) command;
RESET ROLE;

SET client_min_messages = warning;
DROP FUNCTION try, seen;
DROP TABLE notes;
DROP SCHEMA regress_api CASCADE;
DROP EXTENSION jwt_auth;
DROP EXTENSION pgcrypto;
DROP OWNED BY regress_low, regress_member, regress_visitor, regress_server;
DROP ROLE regress_installer, regress_low, regress_server, regress_visitor, regress_member;
