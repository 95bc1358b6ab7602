--
-- A token in jwt_auth.token: anybody may put one there, and it proves itself
-- at the first claim that is read
--
SET client_min_messages = warning;
CREATE EXTENSION jwt_auth CASCADE;
RESET client_min_messages;
SET jwt_auth.bcrypt_cost = 4;
\set superuser :USER
CREATE ROLE regress_person LOGIN;
SELECT auth.register(name || '@example.com', 'correct horse', name) ->> 'username' AS registered FROM unnest(ARRAY['alice', 'bob']) AS name;
SELECT auth.login('alice@example.com', 'correct horse') ->> 'access_token' AS alice, auth.login('bob@example.com', 'correct horse') ->> 'access_token' AS bob \gset
SELECT id AS alice_id FROM auth.users WHERE username = 'alice' \gset
SELECT id AS bob_id FROM auth.users WHERE username = 'bob' \gset

-- Who is signed in, or why a token is refused
CREATE FUNCTION who() RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
	reason text;
BEGIN
	RETURN coalesce(split_part(auth.email(), '@', 1), 'nobody');
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS reason = PG_EXCEPTION_DETAIL;
	RETURN format('%s %s', SQLSTATE, reason);
END
$$;
-- Runs a command and says who is signed in then
CREATE FUNCTION try(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE command;
	RETURN 'done: ' || who();
EXCEPTION WHEN OTHERS THEN
	RETURN format('%s: %s', SQLSTATE, who());
END
$$;

SET ROLE regress_person;

--
-- Every way to set it
--
SELECT who();
BEGIN;
SET LOCAL jwt_auth.token = :'alice';
SELECT who(), auth.uid() = :'alice_id' AS uid, auth.user_id() = :'alice_id' AS user_id, auth.role(), auth.session_id() = auth.claim('sid')::uuid AS session_id,
	   auth.jwt() = (auth.jwt_decode(:'alice')).payload AS jwt;
COMMIT;
SELECT who();
SET jwt_auth.token = :'bob';
SELECT who();
SELECT set_config('jwt_auth.token', :'alice', false) AS shown;
SELECT who();
BEGIN READ ONLY;
SELECT set_config('jwt_auth.token', :'bob', true) AS shown, auth.email();
COMMIT;

-- It shows nowhere
SHOW jwt_auth.token;
SELECT current_setting('jwt_auth.token');
SELECT count(*) FROM pg_settings WHERE name = 'jwt_auth.token';
CREATE FUNCTION pg_temp.current() RETURNS text LANGUAGE sql SET jwt_auth.token FROM CURRENT AS 'SELECT public.who()';
SELECT proconfig FROM pg_proc WHERE oid = 'pg_temp.current()'::regprocedure;
SELECT who(), pg_temp.current(), who();
SET jwt_auth.token = '';
SHOW jwt_auth.token;
SELECT who();
RESET jwt_auth.token;
SHOW jwt_auth.token;

-- A function may have one of its own, for as long as it runs
SELECT try(format('CREATE FUNCTION pg_temp.as_bob() RETURNS text LANGUAGE sql SET jwt_auth.token = %L AS %L', :'bob', 'SELECT public.who()')) AS made;
SET jwt_auth.token = :'alice';
SELECT who(), pg_temp.as_bob(), who();

-- Savepoints, and what takes settings away
BEGIN;
SET LOCAL jwt_auth.token = :'bob';
SELECT who();
SAVEPOINT s;
SET LOCAL jwt_auth.token = 'x';
SELECT who();
ROLLBACK TO s;
SELECT who();
RESET ALL;
SELECT who();
ROLLBACK;
SELECT who();
DISCARD ALL;
SELECT who();

--
-- One that is no good raises at the first read and at every later one, and reads
-- as nobody in none
--
SET ROLE regress_person;
SET jwt_auth.token = 'x';
SELECT auth.uid();
SELECT auth.user_id();
SELECT auth.jwt();
SELECT auth.claim('sub');
SELECT auth.role();
SELECT auth.email();
SELECT auth.session_id();
SELECT auth.me();
SELECT who() AS first, who() AS again;
RESET ROLE;
CREATE FUNCTION ring(claims jsonb) RETURNS text LANGUAGE sql AS $$ SELECT auth.jwt_sign(claims) $$;
CREATE TABLE bad (n serial, name text, token text);
INSERT INTO bad (name, token) VALUES
	('tampered', overlay(:'alice' PLACING 'AA' FROM length(:'alice') - 20)), ('half', left(:'alice', 200)), ('with a blank', :'alice' || ' '), ('behind a number', '9 ' || :'alice'),
	('with a scheme', 'Bearer ' || :'alice'), ('as claims are kept', '9 = {"sub":"' || :'alice_id' || '"}'), ('stars', '***'), ('blank', ' '), ('too large', repeat('a', 70000)),
	('a key in hand', auth.jwt_sign(jsonb_build_object('sub', :'alice_id', 'type', 'access'), repeat('k', 32))), ('no type', ring(jsonb_build_object('sub', :'alice_id'))),
	('expired', ring(jsonb_build_object('sub', :'alice_id', 'type', 'access', 'exp', 1))), ('another audience', ring(jsonb_build_object('sub', :'alice_id', 'type', 'access', 'aud', 'example'))),
	('nobody''s', ring(jsonb_build_object('sub', gen_random_uuid(), 'type', 'access'))), ('without sub', ring('{"type": "access"}')),
	('unknown session', ring(jsonb_build_object('sub', :'alice_id', 'type', 'access', 'sid', gen_random_uuid())));
INSERT INTO bad (name, token) SELECT 'refresh token', auth.login('bob@example.com', 'correct horse') ->> 'refresh_token';
SELECT name, try(format('SET LOCAL jwt_auth.token = %L', token)), who() FROM bad ORDER BY n;
RESET jwt_auth.token;
SET jwt_auth.check_session = off;
SELECT name, try(format('SET LOCAL jwt_auth.token = %L', token)) AS without_check_session FROM bad WHERE name IN ('nobody''s', 'unknown session') ORDER BY n;
RESET jwt_auth.check_session;
-- It keeps nobody from signing in anew, and the audit log from nothing
SET jwt_auth.token = :'alice';
SELECT auth.login('bob@example.com', 'correct horse') ->> 'token_type' AS as_alice;
SET jwt_auth.token = 'x';
SELECT auth.login('bob@example.com', 'correct horse') ->> 'token_type' AS with_a_bad_token;
SELECT actor_id = :'alice_id' AS by_alice FROM auth.audit_log WHERE event = 'login' ORDER BY at DESC LIMIT 2;
SELECT auth.logout();
RESET jwt_auth.token;

--
-- Claims that authenticate() has fixed come first, also once they have expired
--
SELECT ring(jsonb_build_object('sub', :'bob_id', 'type', 'access', 'email', 'short@example.com', 'exp', extract(epoch FROM clock_timestamp()) + 2)) AS short \gset
SET jwt_auth.token = :'alice';
BEGIN;
SELECT who(), auth.authenticate(:'bob') ->> 'email' AS authenticated;
SELECT who();
SET LOCAL jwt_auth.token = 'x';
SELECT who();
COMMIT;
SELECT who();
BEGIN;
SELECT auth.authenticate(:'short') ->> 'email' AS authenticated;
SELECT pg_sleep(2.1);
SELECT who();
COMMIT;
SELECT who();
-- A token that expires where it stands is refused from the next statement on
SELECT ring(jsonb_build_object('sub', :'bob_id', 'type', 'access', 'email', 'short@example.com', 'exp', extract(epoch FROM clock_timestamp()) + 2)) AS short \gset
BEGIN;
SET LOCAL jwt_auth.token = :'short';
SELECT who(), pg_sleep(2.1), who();
SELECT who();
COMMIT;

--
-- What signs out makes the token void too, until one is set anew
--
SELECT who(), auth.deauthenticate(), who();
SELECT who();
RESET jwt_auth.token;
SET jwt_auth.token = :'alice';
SELECT who();
SELECT auth.authenticate('x');
SELECT who();
SET jwt_auth.token = :'alice';
BEGIN; SELECT auth.pre_request(); SELECT who(); ROLLBACK;
SELECT who();
SET jwt_auth.token = :'alice';
SELECT who();
-- whatever is rolled back then: the one of before stays void, and the next counts
BEGIN;
SAVEPOINT s;
SELECT auth.deauthenticate();
SET LOCAL jwt_auth.token = :'bob';
SELECT who();
ROLLBACK TO s;
SELECT who();
SET LOCAL jwt_auth.token = :'bob';
SELECT who();
COMMIT;
SELECT who();
-- and a token does not uncover claims that are void
SELECT auth.authenticate(:'alice', false) ->> 'email' AS authenticated, auth.deauthenticate();
SET jwt_auth.token = :'bob';
SELECT who();
RESET jwt_auth.token;
SELECT who();

--
-- The session and the user are looked at again for each statement, the token once
--
SELECT auth.login('bob@example.com', 'correct horse') ->> 'access_token' AS bob \gset
BEGIN;
SET LOCAL jwt_auth.token = :'bob';
SELECT who();
SELECT auth._end_session(auth.uid(), auth.session_id(), 'logout');
SELECT who();
ROLLBACK;
BEGIN;
SET LOCAL jwt_auth.token = :'bob';
SELECT who();
SELECT auth.set_active(:'bob_id', false);
SELECT who();
ROLLBACK;
-- so they are where one plan goes through several statements: of a cursor, and of an expression of PL/pgSQL
BEGIN;
SET LOCAL jwt_auth.token = :'bob';
DECLARE c CURSOR FOR SELECT auth.uid() = :'bob_id' AS bob FROM generate_series(1, 2);
FETCH c;
UPDATE auth.refresh_tokens SET revoked_at = now() WHERE user_id = :'bob_id';
FETCH c;
ROLLBACK;
CREATE FUNCTION my_id() RETURNS uuid LANGUAGE plpgsql AS 'BEGIN RETURN auth.uid(); END';
BEGIN;
SET LOCAL jwt_auth.token = :'bob';
SELECT my_id() = :'bob_id' AS bob;
UPDATE auth.refresh_tokens SET revoked_at = now() WHERE user_id = :'bob_id';
SELECT my_id() = :'bob_id' AS bob;
ROLLBACK;
-- A procedure is one statement of many transactions
CREATE PROCEDURE between_commits() LANGUAGE plpgsql AS $$
BEGIN
	RAISE NOTICE '%', who();
	PERFORM auth.set_active((SELECT id FROM auth.users WHERE username = 'bob'), false);
	RAISE NOTICE '%', who();
	COMMIT;
	RAISE NOTICE '%', who();
	PERFORM auth.set_active((SELECT id FROM auth.users WHERE username = 'bob'), true);
	COMMIT;
	RAISE NOTICE '%', who();
END
$$;
SET jwt_auth.token = :'bob';
CALL between_commits();
SELECT auth.login('bob@example.com', 'correct horse') ->> 'access_token' AS bob \gset
SET jwt_auth.token = :'bob';
CALL between_commits();
-- and what a reader has returned stays what it was
CREATE PROCEDURE keeps_argument(before uuid) LANGUAGE plpgsql AS $$
BEGIN
	COMMIT;
	PERFORM auth.authenticate((SELECT token FROM bad WHERE name = 'alice'), false);
	RAISE NOTICE '%', before = auth.uid();
	PERFORM auth.deauthenticate();
END
$$;
INSERT INTO bad (name, token) VALUES ('alice', :'alice');
SELECT auth.login('bob@example.com', 'correct horse') ->> 'access_token' AS bob \gset
SELECT auth.authenticate(:'bob', false) ->> 'email' AS authenticated;
CALL keeps_argument(auth.uid());
SELECT auth.authenticate(:'bob', false) ->> 'email' AS authenticated;
SELECT auth.uid() = :'bob_id' AS before, auth.authenticate(:'alice') ->> 'email' AS authenticated, auth.uid() = :'alice_id' AS after;
SELECT auth.deauthenticate();
RESET jwt_auth.token;

--
-- Policies: one plan for all, loops, an index, parallel workers
--
CREATE TABLE notes (id int PRIMARY KEY, owner uuid NOT NULL, body text);
INSERT INTO notes SELECT n, CASE n % 1000 WHEN 1 THEN :'alice_id'::uuid WHEN 2 THEN :'bob_id' ELSE gen_random_uuid() END, 'note' FROM generate_series(1, 5000) AS n;
CREATE INDEX ON notes (owner);
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON notes TO regress_person USING (owner = auth.uid());
GRANT SELECT ON notes TO regress_person;
ANALYZE notes;
SET ROLE regress_person;
SET jwt_auth.token = :'alice';
EXPLAIN (COSTS OFF) SELECT * FROM notes;
SET plan_cache_mode = force_generic_plan;
PREPARE mine AS SELECT count(*), min(id) FROM notes;
EXECUTE mine;
SET jwt_auth.token = :'bob';
EXECUTE mine;
SET jwt_auth.token = 'x';
EXECUTE mine;
RESET jwt_auth.token;
EXECUTE mine;
CREATE FUNCTION pg_temp.in_turn(tokens text[]) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	t text;
	n int;
BEGIN
	FOREACH t IN ARRAY tokens LOOP
		PERFORM set_config('jwt_auth.token', t, true);
		BEGIN
			SELECT min(id) INTO n FROM public.notes;
			RETURN NEXT format('%s %s', auth.email(), n);
		EXCEPTION WHEN invalid_authorization_specification THEN
			RETURN NEXT SQLERRM;
		END;
	END LOOP;
END
$$;
SELECT pg_temp.in_turn(ARRAY[:'alice', :'bob', 'x', '', :'alice', :'bob', :'alice']);
SET enable_indexscan = off;
SET enable_bitmapscan = off;
SET min_parallel_table_scan_size = 0;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET client_min_messages = warning;
SELECT set_config(name, 'on', false) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query');
RESET client_min_messages;
SET jwt_auth.token = :'alice';
EXPLAIN (COSTS OFF) SELECT count(*) FROM notes;
SELECT count(*), min(id), bool_and(auth.claim('sub') = owner::text) AS own FROM notes;
SET jwt_auth.token = :'bob';
SELECT count(*), min(id), bool_and(auth.claim('sub') = owner::text) AS own FROM notes;
-- void in the leader is void in a worker, whichever token stands there
SELECT auth.deauthenticate();
SELECT count(*) FROM notes;
BEGIN;
SET LOCAL jwt_auth.token = :'alice';
SELECT count(*), min(id) FROM notes;
ROLLBACK;
SELECT count(*) FROM notes;
SET jwt_auth.token = 'x';
\set VERBOSITY terse
SELECT count(*) FROM notes;
\set VERBOSITY default
-- A function with a token of its own runs in workers too, after a sign-out as well
RESET jwt_auth.token;
RESET ROLE;
SELECT try(format('CREATE FUNCTION as_bob() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE SET jwt_auth.token = %L AS %L', :'bob', 'SELECT auth.uid()')) AS made;
ALTER TABLE notes DISABLE ROW LEVEL SECURITY;
SET ROLE regress_person;
SELECT auth.deauthenticate();
SELECT count(*) FILTER (WHERE as_bob() = :'bob_id') AS bob, count(*) FILTER (WHERE auth.uid() IS NULL) AS nobody, count(*) FROM notes WHERE id <= 100;
DISCARD ALL;
DROP FUNCTION as_bob;

--
-- With the role, and with the connection
--
SELECT try(format('ALTER ROLE regress_person SET jwt_auth.token = %L', :'alice')) AS made;
\c - regress_person
SELECT auth.email();
SELECT who();
SET jwt_auth.token = :'bob';
SELECT who();
RESET jwt_auth.token;
SELECT who();
SELECT auth.deauthenticate();
RESET ALL;
SELECT who() AS stays_void;
SELECT auth.logout();
\c -
SELECT who();
SELECT auth.logout();
SELECT who();
\c - :superuser
ALTER ROLE regress_person RESET jwt_auth.token;
SET SESSION AUTHORIZATION regress_person;
SELECT who();
SET jwt_auth.token = :'bob';
SELECT who();
RESET SESSION AUTHORIZATION;
SELECT who() AS as_with_claims;
SELECT format('\c -reuse-previous=on "user=regress_person options=''-c jwt_auth.token=%s''"', :'bob') AS connect \gset
\set ECHO none
:connect
\set ECHO all
SELECT auth.email();
SHOW jwt_auth.token;
SELECT count(*) FROM pg_settings WHERE reset_val ~ '^ey' OR setting ~ '^ey';
SET jwt_auth.token = 'x';
SELECT who();
RESET jwt_auth.token;
SELECT who();
DISCARD ALL;
SELECT who();

\c -reuse-previous=on "options=''"
\c - :superuser
DROP TABLE notes, bad;
DROP FUNCTION who, try, ring;
DROP PROCEDURE between_commits, keeps_argument;
DROP ROLE regress_person;
DROP EXTENSION jwt_auth CASCADE;
DROP SCHEMA auth;
