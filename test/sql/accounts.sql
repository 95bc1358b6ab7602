-- Accounts and sessions: register, login, refresh, logout, me, set_active.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION jwt_auth CASCADE;
RESET client_min_messages;
SET jwt_auth.bcrypt_cost = 4;
SET jwt_auth.max_failed_logins = 0;

-- What PostgREST would answer with.
CREATE FUNCTION pg_temp.http() RETURNS text LANGUAGE sql AS
$$ SELECT concat_ws(' ', coalesce(nullif(current_setting('response.status', true), ''), '200'),
					nullif(current_setting('response.headers', true), '')) $$;
-- An answer without what differs in each run.
CREATE FUNCTION pg_temp.short(answer jsonb) RETURNS text LANGUAGE sql AS
$$ SELECT coalesce(answer ->> 'error_code', 'ok: ' || (
	SELECT string_agg(k, ', ' ORDER BY k) FROM jsonb_object_keys(answer) k)) $$;

-- Registration checks its form and stores a bcrypt hash at the cost that is set.
SELECT pg_temp.short(auth.register('Ann@Example.com', 'correct horse', 'ann', '{"colour": "red"}'));
SELECT email, username, role, is_active, email_confirmed_at, user_metadata, app_metadata, last_login_at,
	   password_hash LIKE '$2a$04$%' AS bcrypt, length(password_hash)
FROM auth.users;

SELECT label, r ->> 'error' AS error, r ->> 'error_code' AS error_code, http
FROM (VALUES
	('taken email, other case', 'ann@EXAMPLE.com', 'correct horse', NULL, '{}'),
	('taken username, other case', 'x@example.com', 'correct horse', 'ANN', '{}'),
	('no email', NULL, 'correct horse', NULL, '{}'),
	('empty email', '', 'correct horse', NULL, '{}'),
	('not an email', 'ann', 'correct horse', NULL, '{}'),
	('two @', 'a@b@c', 'correct horse', NULL, '{}'),
	('blank in email', 'a b@c', 'correct horse', NULL, '{}'),
	('long email', repeat('a', 251) || '@b.c', 'correct horse', NULL, '{}'),
	('@ in username', 'x@example.com', 'correct horse', 'a@b', '{}'),
	('empty username', 'x@example.com', 'correct horse', '', '{}'),
	('no password', 'x@example.com', NULL, NULL, '{}'),
	('empty password', 'x@example.com', '', NULL, '{}'),
	('short password', 'x@example.com', '1234567', NULL, '{}'),
	('73 bytes', 'x@example.com', repeat('x', 73), NULL, '{}'),
	('37 characters, 74 bytes', 'x@example.com', repeat('ä', 37), NULL, '{}'),
	('metadata is no object', 'x@example.com', 'correct horse', NULL, '[]'),
	('metadata prints as megabytes', 'x@example.com', 'correct horse', NULL, '{"a": [1e131000]}')
) AS bad (label, email, password, username, metadata),
LATERAL (SELECT auth.register(email, password, username, metadata::jsonb) AS r) answer,
LATERAL (SELECT pg_temp.http() || left(r::text, 0) AS http) status;
SELECT pg_temp.short(auth.register('max@example.com', repeat('x', 72), user_metadata => NULL));
SELECT count(*) FROM auth.users;

-- A person cannot choose role or app_metadata for themselves.
SELECT r ->> 'role' AS role, r -> 'app_metadata' AS app_metadata
FROM auth.register('eve@example.com', 'correct horse', NULL, '{"role": "postgres", "app_metadata": {"admin": true}}') r;

-- Login by email or username, without regard to case.
SELECT label, pg_temp.short(auth.login(email, password, username, client)) AS answer
FROM (VALUES
	('by email', 'ANN@example.COM', 'correct horse', NULL, 'default'),
	('by username', NULL, 'correct horse', 'Ann', 'default'),
	('72 bytes', 'max@example.com', repeat('x', 72), NULL, 'default'),
	('73 bytes', 'max@example.com', repeat('x', 73), NULL, 'default'),
	('wrong password', 'ann@example.com', 'wrong horse', NULL, 'default'),
	('password in other case', 'ann@example.com', 'Correct Horse', NULL, 'default'),
	('empty password', 'ann@example.com', '', NULL, 'default'),
	('unknown email', 'nobody@example.com', 'correct horse', NULL, 'default'),
	('email as username', NULL, 'correct horse', 'ann@example.com', 'default'),
	('pattern as email', '%', 'correct horse', NULL, 'default'),
	('huge password', 'ann@example.com', repeat('x', 10000000), NULL, 'default'),
	('email and username', 'ann@example.com', 'correct horse', 'ann', 'default'),
	('neither', NULL, 'correct horse', NULL, 'default'),
	('no password', 'ann@example.com', NULL, NULL, 'default'),
	('unknown client', 'ann@example.com', 'correct horse', NULL, 'nope'),
	('no client', 'ann@example.com', 'correct horse', NULL, NULL)
) AS attempt (label, email, password, username, client);

-- Known and unknown names get the same answer; it is a 401.
BEGIN;
SELECT auth.login('ann@example.com', 'wrong horse') = auth.login('nobody@example.com', 'wrong horse') AS same;
SELECT pg_temp.http();
SELECT pg_temp.short(auth.login('ann@example.com', 'correct horse'));
SELECT pg_temp.http();
COMMIT;

-- Hashes from elsewhere verify; a corrupt one or an absurd cost never does.
CREATE FUNCTION pg_temp.verified(password text, hash text) RETURNS boolean LANGUAGE sql AS
$$ SELECT (auth._try_password(password, hash, '', '', NULL)).verified $$;
SELECT auth._hash_password('correct horse') AS hash \gset
SELECT prefix, pg_temp.verified('correct horse', overlay(:'hash' placing prefix from 1 for 4)) AS verified
FROM unnest(ARRAY['$2a$', '$2b$', '$2y$', '$2x$', '$1$$']) prefix;
SELECT pg_temp.verified('correct horse', overlay(:'hash' placing '31' from 5 for 2)) AS cost_31,
	   pg_temp.verified('correct horse', left(:'hash', 59)) AS cut,
	   pg_temp.verified('correct horse', overlay(:'hash' placing '!' from 20 for 1)) AS no_digit,
	   pg_temp.verified('correct horse', '') AS empty,
	   pg_temp.verified('correct horse', NULL) AS null_hash,
	   pg_temp.verified(NULL, :'hash') AS null_password;

-- The tokens of a session.
SELECT auth.login('ann@example.com', 'correct horse') AS answer \gset
SELECT :'answer'::jsonb ->> 'access_token' AS access, :'answer'::jsonb ->> 'refresh_token' AS refresh \gset
SELECT :'answer'::jsonb ->> 'token_type' AS token_type, :'answer'::jsonb ->> 'expires_in' AS expires_in,
	   :'answer'::jsonb #>> '{user,email}' AS email, :'answer'::jsonb #> '{user,password_hash}' IS NULL AS no_hash;
SELECT header - 'kid' AS header,
	   (SELECT string_agg(k, ' ' ORDER BY k) FROM jsonb_object_keys(payload) k) AS claims,
	   payload ->> 'type' AS type, payload ->> 'role' AS role, payload -> 'amr' AS amr, payload -> 'email_verified' AS verified,
	   (payload ->> 'exp')::int - (payload ->> 'iat')::int AS lifetime
FROM unnest(ARRAY[:'access', :'refresh']) token, auth.jwt_decode(token);

-- me and logout act on the verified user alone.
SELECT auth.me();
SELECT auth.logout();
BEGIN;
SELECT auth.authenticate(:'access') IS NOT NULL AS signed_in;
SELECT auth.me() ->> 'username' AS me;
SELECT auth.logout('everything');
ROLLBACK;
UPDATE auth.refresh_tokens SET revoked_at = now() WHERE session_id::text <> auth.jwt_verify(:'access') ->> 'sid';
SELECT auth.login('ann@example.com', 'correct horse') IS NOT NULL AS second FROM generate_series(1, 2);
BEGIN;
SELECT auth.authenticate(:'access') IS NOT NULL AS signed_in;
SELECT auth.logout('others'), auth.logout('session'), auth.logout('session') AS again, auth.logout('all');
SELECT count(*) FILTER (WHERE revoked_at IS NULL) AS live FROM auth.refresh_tokens WHERE user_id = auth.uid();
ROLLBACK;

-- Refreshing: each error has its code and status.
SELECT pg_temp.short(auth.refresh(:'refresh')), pg_temp.http();
SELECT label, pg_temp.short(auth.refresh(token)) AS answer
FROM (VALUES ('null', NULL), ('empty', ''), ('garbage', 'a.b.c'), ('access token', :'access'),
	('tampered', overlay(:'refresh' placing 'A' from 60 for 1)),
	('huge', repeat('x', 100000))) AS bad (label, token);
BEGIN;
SET LOCAL jwt_auth.refresh_reuse_grace = 0;
SELECT r ->> 'error' AS error, r ->> 'error_code' AS error_code FROM auth.refresh(:'refresh') r;
SELECT pg_temp.http();
COMMIT;
SELECT revoke_reason FROM auth.refresh_tokens WHERE revoke_reason = 'reuse';
SELECT pg_temp.short(auth.refresh(:'refresh'));

-- No header, however broken, keeps a reused token from ending its session.
SELECT auth.login('ann@example.com', 'correct horse') ->> 'refresh_token' AS refresh \gset
SELECT auth.refresh(:'refresh') ->> 'refresh_token' AS refresh2 \gset
SET jwt_auth.refresh_reuse_grace = 0;
SET request.headers = '{"user-agent": "a\u0000b"}';
SET response.headers = 'nonsense';
SELECT pg_temp.short(auth.refresh(:'refresh'));
RESET request.headers;
RESET response.headers;
RESET jwt_auth.refresh_reuse_grace;
SELECT pg_temp.short(auth.refresh(:'refresh2'));

-- PostgREST's URL filters run in the statement of the call: none that could
-- raise for an error object, and so undo it, is let through.
WITH "pgrst_source" AS (SELECT "auth"."login"("email" := 'x', "password" := 'y') AS pgrst_scalar)
SELECT pgrst_scalar ->> 'error_code' AS plain FROM (SELECT "login".* FROM "pgrst_source" AS "login") t;
WITH "pgrst_source" AS (SELECT "auth"."login"("email" := 'x', "password" := 'y') AS pgrst_scalar)
SELECT 1 FROM (SELECT "login".* FROM "pgrst_source" AS "login" WHERE to_jsonb("login"."pgrst_scalar") ->> 'error' IS NULL) t;
WITH "pgrst_source" AS (SELECT "auth"."login"("email" := 'x', "password" := 'y') AS pgrst_scalar)
SELECT 1 FROM (SELECT CAST(to_jsonb("login"."to_jsonb") ->> 'error' AS int) FROM "pgrst_source" AS "login") t;

-- A disabled account: said after the right password only; its sessions end.
SELECT auth.login('max@example.com', repeat('x', 72)) AS answer \gset
SELECT auth.set_active(id, false) FROM auth.users WHERE email = 'max@example.com';
SELECT pg_temp.short(auth.login('max@example.com', repeat('x', 72))), pg_temp.short(auth.login('max@example.com', 'wrong horse'));
SELECT pg_temp.short(auth.refresh(:'answer'::jsonb ->> 'refresh_token'));
SELECT auth.set_active(id, true) FROM auth.users WHERE email = 'max@example.com';
SELECT pg_temp.short(auth.login('max@example.com', repeat('x', 72))) AS again,
	   pg_temp.short(auth.refresh(:'answer'::jsonb ->> 'refresh_token')) AS old_session;
SELECT auth.set_active('00000000-0000-0000-0000-000000000000', true);
SELECT auth.set_active(id, NULL) FROM auth.users;

-- A user who is gone has no session, and no account that is disabled.
SELECT auth.login('eve@example.com', 'correct horse') ->> 'refresh_token' AS refresh \gset
DELETE FROM auth.users WHERE email = 'eve@example.com';
SELECT pg_temp.short(auth.refresh(:'refresh')) || ' ' || current_setting('response.status') AS answer;

-- A client's row overrides the settings; its audience binds its tokens.
INSERT INTO auth.clients (client_id, audience, access_token_lifetime, refresh_tokens)
VALUES ('kiosk', 'https://kiosk.example', '1 min', false), ('default', NULL, '2 min', true);
SELECT auth.login('ann@example.com', 'correct horse', client_id => 'kiosk') AS answer \gset
SELECT pg_temp.short(:'answer'), :'answer'::jsonb ->> 'expires_in' AS expires_in,
	   auth.jwt_verify(:'answer'::jsonb ->> 'access_token') ->> 'aud' AS aud;
SELECT auth.login('ann@example.com', 'correct horse') ->> 'expires_in' AS expires_in;
SET jwt_auth.audience = 'https://app.example';
SELECT auth.login('ann@example.com', 'correct horse', client_id => 'kiosk');
SELECT auth.jwt_verify(auth.login('ann@example.com', 'correct horse') ->> 'access_token') ->> 'aud' AS aud;
RESET jwt_auth.audience;
\set VERBOSITY sqlstate
INSERT INTO auth.clients (client_id, access_token_lifetime) VALUES ('eternal', '178000000 years');
\set VERBOSITY default
UPDATE auth.clients SET audience = 'https://other.example' WHERE client_id = 'kiosk';
SELECT auth.jwt_verify(:'answer'::jsonb ->> 'access_token');
SET jwt_auth.session_lifetime = '30 s';
SELECT (auth.login('ann@example.com', 'correct horse') ->> 'expires_in')::int BETWEEN 25 AND 30 AS cut_short;
RESET jwt_auth.session_lifetime;

-- Read-only transactions are refused before any hashing.
BEGIN READ ONLY;
\set VERBOSITY sqlstate
SAVEPOINT s;
SELECT auth.rotate_refresh_token('x');
ROLLBACK TO s;
SELECT auth.login('ann@example.com', 'correct horse');
ROLLBACK TO s;
SELECT auth.register('new@example.com', 'correct horse');
\set VERBOSITY default
ROLLBACK;

-- The audit log has what happened, and never what was typed.
SELECT event, count(*), count(user_id) AS with_user, min(details ->> 'reason') AS reason
FROM auth.audit_log GROUP BY event, details ->> 'reason' ORDER BY event, reason;
SELECT count(*) AS leaks FROM auth.audit_log l WHERE l::text ~ 'nobody|horse|eyJ';
DELETE FROM auth.audit_log;
SET jwt_auth.audit = 'failures';
SELECT pg_temp.short(auth.login('ann@example.com', 'correct horse')), pg_temp.short(auth.login('ann@example.com', 'x'));
SET jwt_auth.audit = 'none';
SELECT pg_temp.short(auth.login('ann@example.com', 'x'));
SELECT event FROM auth.audit_log;

DROP EXTENSION jwt_auth CASCADE;
DROP SCHEMA auth;
