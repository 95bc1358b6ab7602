--
-- Verified claims: authenticate() fixes who is asking, policies read it
--
SET client_min_messages = warning;
CREATE EXTENSION jwt_auth CASCADE;
RESET client_min_messages;
SET jwt_auth.bcrypt_cost = 4;

-- Three people, each with a session of their own
CREATE ROLE regress_person;
SELECT auth.register(name || '@example.com', 'correct horse', name) ->> 'username' AS registered FROM unnest(ARRAY['alice', 'bob', 'carol']) AS name;
SELECT auth.login('alice@example.com', 'correct horse') ->> 'access_token' AS alice, auth.login('bob@example.com', 'correct horse') ->> 'access_token' AS bob \gset
SELECT r ->> 'access_token' AS carol, r ->> 'refresh_token' AS carol_refresh FROM auth.login('carol@example.com', 'correct horse') AS r \gset
SELECT id AS alice_id FROM auth.users WHERE username = 'alice' \gset
SELECT id AS bob_id FROM auth.users WHERE username = 'bob' \gset
SELECT id AS carol_id FROM auth.users WHERE username = 'carol' \gset
-- What a reader says, in words
CREATE FUNCTION who() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$ SELECT coalesce(split_part(auth.email(), '@', 1), 'nobody') $$;
-- Whether a token signs in, inside a subtransaction
CREATE FUNCTION try(token text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	reason text;
BEGIN
	PERFORM auth.authenticate(token);
	RETURN 'ok: ' || who();
EXCEPTION WHEN invalid_authorization_specification OR program_limit_exceeded THEN
	GET STACKED DIAGNOSTICS reason = PG_EXCEPTION_DETAIL;
	RETURN format('%s %s: %s', SQLSTATE, reason, who());
END
$$;

--
-- What the readers say
--
SELECT auth.uid(), auth.user_id(), auth.jwt(), auth.claim('sub'), auth.role(), auth.email(), auth.session_id();
UPDATE auth.users SET app_metadata = '{"tenant": "t1", "teams": ["red", "blue"], "level": 3, "none": null}' WHERE id = :'alice_id';
SELECT auth.login(NULL, 'correct horse', 'alice') ->> 'access_token' AS alice \gset
BEGIN;
SELECT auth.authenticate(:'alice') = (auth.jwt_decode(:'alice')).payload AS returns_the_claims;
SELECT auth.uid() = :'alice_id' AS uid, auth.user_id() = :'alice_id' AS user_id, auth.role(), auth.email(),
	   auth.session_id() = auth.claim('sid')::uuid AS session_id, auth.jwt() - '{sub,sid,jti,iat,exp,auth_time}'::text[] AS jwt;
SELECT auth.claim('app_metadata', 'tenant') AS tenant, auth.claim('app_metadata', 'teams', '-1') AS team, auth.claim('app_metadata', 'level') AS level,
	   auth.claim('app_metadata', 'none') AS null_claim, auth.claim('app_metadata', 'missing', 'deep') AS missing, auth.claim('email_verified') AS boolean,
	   auth.claim('app_metadata', 'teams') AS list, auth.claim(VARIADIC '{}') = auth.jwt()::text AS everything, auth.claim(NULL) AS no_path;
COMMIT;

--
-- Scope: the transaction, with savepoints; or the session
--
SELECT who();
SELECT auth.authenticate(:'alice') IS NOT NULL AS outside_of_a_transaction;
SELECT who();
BEGIN;
SELECT try(:'alice');
SAVEPOINT s;
SELECT try(:'bob');
ROLLBACK TO s;
SELECT who();
SELECT try(:'bob');
RELEASE s;
SELECT who();
SELECT auth.deauthenticate();
SELECT who();
ROLLBACK;
BEGIN READ ONLY;
SELECT try(:'bob');
COMMIT;
SELECT who();
SELECT auth.authenticate(:'alice', is_local => false) ->> 'email' AS for_the_session;
BEGIN;
SELECT who(), try(:'bob'), who();
COMMIT;
SELECT who();
SELECT auth.deauthenticate();
SELECT who();
SELECT auth.authenticate(:'alice', false) ->> 'email' AS for_the_session;
DISCARD ALL;
SELECT who();
SELECT auth.authenticate(:'alice', false) ->> 'email' AS for_the_session;
BEGIN;
SELECT auth.deauthenticate();
COMMIT;
SELECT who();

--
-- A token that is no good leaves nobody signed in, also where the error is caught
--
BEGIN;
SELECT try(:'alice');
SELECT try(:'bob' || 'x');
SELECT who(), auth.uid(), auth.jwt();
SELECT try(:'bob');
COMMIT;
SELECT auth.authenticate(:'alice', false) ->> 'email' AS for_the_session;
SELECT auth.authenticate('x');
SELECT who();
SELECT auth.authenticate(:'bob', false) ->> 'email' AS for_the_session;
BEGIN;
SAVEPOINT s;
SELECT auth.authenticate(NULL);
ROLLBACK TO s;
SELECT who();
ROLLBACK;
SELECT who();
SELECT auth.deauthenticate();

-- Which tokens are no good.  The ring signs what its owner asks for.
CREATE FUNCTION ring(claims jsonb) RETURNS text LANGUAGE sql AS $$ SELECT auth.jwt_sign(claims) $$;
SELECT name, try(token) FROM (VALUES
	('garbage', 'x'), ('empty', ''), ('too large', repeat('a', 70000)), ('tampered', overlay(:'alice' PLACING 'AA' FROM length(:'alice') - 20)),
	('refresh token', :'carol_refresh'), ('a key in hand', auth.jwt_sign(jsonb_build_object('sub', :'alice_id', 'type', 'access'), repeat('k', 32))),
	('another type', ring(jsonb_build_object('sub', :'alice_id', 'type', 'refresh'))), ('no type', ring(jsonb_build_object('sub', :'alice_id'))),
	('expired', ring(jsonb_build_object('sub', :'alice_id', 'type', 'access', 'exp', 1))),
	('from the future', ring(jsonb_build_object('sub', :'alice_id', 'type', 'access', 'nbf', 1e11))),
	('another issuer', ring(jsonb_build_object('sub', :'alice_id', 'type', 'access', 'iss', 'https://example.com'))),
	('another audience', ring(jsonb_build_object('sub', :'alice_id', 'type', 'access', 'aud', 'example'))),
	('unknown client', ring(jsonb_build_object('sub', :'alice_id', 'type', 'access', 'client_id', 'example'))),
	('nobody''s', ring(jsonb_build_object('sub', gen_random_uuid(), 'type', 'access'))), ('no user''s', ring('{"sub": "alice", "type": "access"}')), ('without sub', ring('{"type": "access"}')),
	('unknown session', ring(jsonb_build_object('sub', :'alice_id', 'type', 'access', 'sid', gen_random_uuid()))),
	('another one''s session', ring(jsonb_build_object('sub', :'alice_id', 'type', 'access', 'sid', (auth.jwt_decode(:'bob')).payload -> 'sid'))),
	('no session', ring(jsonb_build_object('sub', :'alice_id', 'type', 'access', 'email', 'machine@example.com'))), ('good', :'alice')
) AS v (name, token);
BEGIN;
SELECT try(:'carol'), auth.logout('session');
COMMIT;
SELECT 'ended session' AS name, try(:'carol');
SELECT auth.login('carol@example.com', 'correct horse') ->> 'access_token' AS carol, ring(jsonb_build_object('sub', :'carol_id', 'type', 'access')) AS carol_machine \gset
SELECT auth.set_active(:'carol_id', false);
SELECT 'disabled' AS name, try(:'carol'), try(:'carol_machine');
DELETE FROM auth.users WHERE id = :'carol_id';
SELECT 'deleted' AS name, try(:'carol'), try(:'carol_machine');
SET jwt_auth.check_session = off;
SELECT 'deleted, without check_session' AS name, try(:'carol');
-- A subject that is no uuid is no user of ours
BEGIN;
SELECT try(ring('{"sub": "alice", "type": "access", "email": "text@example.com"}')), auth.uid(), auth.user_id(), auth.session_id();
SELECT try(ring('{"sub": "{00000000-0000-0000-0000-00000000000a}", "type": "access", "role": 1}')), auth.uid(), auth.role();
COMMIT;
RESET jwt_auth.check_session;

-- Signed in, and then the token expires
SELECT ring(jsonb_build_object('sub', :'alice_id', 'type', 'access', 'email', 'short@example.com', 'exp', extract(epoch FROM clock_timestamp()) + 2)) AS short \gset
BEGIN;
SELECT try(:'short');
SELECT pg_sleep(2.1);
SELECT who(), auth.uid(), auth.jwt();
ROLLBACK;

--
-- Row-level security
--
CREATE TABLE notes (id int PRIMARY KEY, owner uuid NOT NULL DEFAULT auth.uid(), body text);
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON notes TO regress_person USING (owner = auth.uid());
GRANT SELECT, INSERT, UPDATE, DELETE ON notes TO regress_person;
INSERT INTO notes SELECT n, CASE WHEN n % 3 = 0 THEN :'alice_id'::uuid ELSE :'bob_id' END, 'note ' || n FROM generate_series(1, 3000) AS n;
ANALYZE notes;

SET ROLE regress_person;
SELECT count(*) FROM notes;
INSERT INTO notes VALUES (-1, :'alice_id', 'forged');
BEGIN;
SELECT try(:'alice');
SELECT count(*), bool_and(owner = :'alice_id') AS own FROM notes;
INSERT INTO notes (id, body) VALUES (3001, 'mine');
UPDATE notes SET body = 'changed' WHERE id IN (1, 2, 3, 3001) RETURNING id;
DELETE FROM notes WHERE id IN (4, 5, 6) RETURNING id;
SAVEPOINT s;
INSERT INTO notes VALUES (3002, :'bob_id', 'for bob');
ROLLBACK TO s;
UPDATE notes SET owner = :'bob_id' WHERE id = 3001;
ROLLBACK;

-- One generic plan serves two people, and nobody
SET plan_cache_mode = force_generic_plan;
PREPARE mine AS SELECT count(*), min(body) FROM notes;
BEGIN;
SELECT try(:'alice');
EXECUTE mine;
SELECT try(:'bob');
EXECUTE mine;
SELECT auth.deauthenticate();
EXECUTE mine;
COMMIT;
EXECUTE mine;

-- Claims from before a failure, or a deauthenticate(), stay away: whatever comes
-- and goes later does not uncover them
SELECT auth.authenticate(:'alice', false) IS NOT NULL AS for_the_session;
SELECT try('x');
BEGIN; SELECT try(:'bob'); COMMIT;
SELECT who() AS after_another;
BEGIN; SELECT try(:'alice');
SAVEPOINT a; SELECT auth.authenticate('x'); ROLLBACK TO a;
SAVEPOINT b; SELECT try(:'bob'); ROLLBACK TO b;
SELECT who() AS after_savepoints;
COMMIT;
SELECT auth.authenticate(:'alice', false) IS NOT NULL AS for_the_session;
BEGIN; SELECT auth.deauthenticate(); ROLLBACK;
SELECT who() AS after_rollback;
SELECT auth.authenticate(:'alice', false) IS NOT NULL AS for_the_session;
BEGIN; SELECT auth.pre_request(); ROLLBACK;
BEGIN; SELECT try(:'bob'); COMMIT;
SELECT who() AS after_pre_request;

-- Parallel workers see the same rows: signed in, after a failure, and expired
SET min_parallel_table_scan_size = 0;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SELECT set_config(name, 'on', false) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query');
EXPLAIN (COSTS OFF) SELECT count(*) FROM notes WHERE owner = auth.uid();
BEGIN;
SELECT try(:'alice');
SELECT count(*), min(who()), bool_and(auth.claim('app_metadata', 'tenant') = 't1') FROM notes;
SELECT try(:'bob' || 'x');
SELECT count(*), min(who()), min(auth.user_id()) FROM notes;
SELECT try(:'bob');
SELECT count(*), min(who()) FROM notes;
COMMIT;
RESET ROLE;
SELECT count(*), min(who()), max(who()) FROM notes;

DROP TABLE notes;
DROP FUNCTION who, try, ring;
DROP ROLE regress_person;
DROP EXTENSION jwt_auth CASCADE;
DROP SCHEMA auth;
