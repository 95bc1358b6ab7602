--
-- jwt_auth.trust_request_claims, for those who migrate: whoever can run SQL can
-- then be anybody, as long as no token has been verified
--
SET client_min_messages = warning;
CREATE EXTENSION jwt_auth CASCADE;
RESET client_min_messages;
SET jwt_auth.bcrypt_cost = 4;
\set superuser :USER
CREATE ROLE regress_person LOGIN;
SELECT auth.register('alice@example.com', 'correct horse') ->> 'email' AS registered;
SELECT auth.login('alice@example.com', 'correct horse') ->> 'access_token' AS alice \gset
SELECT format('{"sub": "%s", "sid": "00000000-0000-0000-0000-00000000000a", "email": "claimed@example.com", "role": "regress_person", "n": 1}', id) AS claimed FROM auth.users \gset
CREATE FUNCTION who() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$ SELECT coalesce(split_part(auth.email(), '@', 1), 'nobody') $$;
CREATE FUNCTION try(claims text) RETURNS text LANGUAGE sql AS $$ SELECT set_config('request.jwt.claims', claims, true); SELECT who() $$;

-- Off, and only a superuser turns it on
SET ROLE regress_person;
SET jwt_auth.trust_request_claims = on;
SELECT set_config('request.jwt.claims', :'claimed', false) IS NOT NULL AS set;
SELECT who(), auth.uid(), auth.jwt();
RESET ROLE;
ALTER ROLE regress_person SET jwt_auth.trust_request_claims = on;
\c - regress_person
SELECT who();
SELECT set_config('request.jwt.claims', :'claimed', false) IS NOT NULL AS set;
SELECT who(), auth.uid() = auth.user_id()::uuid AS uid, auth.role(), auth.session_id(), auth.claim('n'), auth.jwt() = :'claimed'::jsonb AS jwt;

-- It is read as it stands now; what is no object, and what has expired, is nobody's
SELECT claims, try(claims) FROM unnest(ARRAY['{"email": "b@example.com"}', '{"email": "c@example.com"}', '', '{}', 'x', '[1]', '"x"', '{"email": "d@example.com", "exp": 1}',
	'{"email": "d@example.com", "exp": "soon"}', '{"email": "d@example.com", "email": "e@example.com"}', '{"email": "f@example.com", "exp": 4102444800}']) AS claims;
BEGIN;
SELECT try('{"email": "g@example.com"}');
SAVEPOINT s;
SELECT try('{"email": "h@example.com"}');
ROLLBACK TO s;
SELECT who();
COMMIT;
SELECT who();

-- What a token says comes first, expired or not, and one that is no good is an error
BEGIN;
SELECT auth.authenticate(:'alice') ->> 'email' AS authenticated;
SELECT who();
SELECT auth.deauthenticate();
SELECT who();
SET LOCAL jwt_auth.token = :'alice';
SELECT who();
SET LOCAL jwt_auth.token = 'x';
SELECT who();
COMMIT;

-- Nobody's account is theirs
SELECT auth.me();
SELECT auth.logout();
SELECT auth.sessions();
SELECT auth.change_password(NULL, 'correct battery');

-- Parallel workers see the same
\c - :superuser
SET jwt_auth.trust_request_claims = on;
CREATE TABLE notes AS SELECT n FROM generate_series(1, 1000) AS n;
SET min_parallel_table_scan_size = 0;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET client_min_messages = warning;
SELECT set_config(name, 'on', false) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query');
RESET client_min_messages;
SELECT set_config('request.jwt.claims', :'claimed', false) IS NOT NULL AS set;
SELECT count(*), min(who()), max(who()) FROM notes;
SELECT set_config('request.jwt.claims', '', false) IS NOT NULL AS set;
SELECT count(*), min(who()), max(who()) FROM notes;

DROP TABLE notes;
DROP FUNCTION try, who;
DROP ROLE regress_person;
DROP EXTENSION jwt_auth CASCADE;
DROP SCHEMA auth;
