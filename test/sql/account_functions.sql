--
-- What people do with their own accounts, and what is done with a token in
-- hand: change_password, update_me, sessions, revoke_session,
-- revoke_refresh_token, introspect, token, and who may register
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION jwt_auth CASCADE;
RESET client_min_messages;
SET jwt_auth.bcrypt_cost = 4;

-- The outcome of an answer, with the HTTP status that PostgREST would send.
CREATE FUNCTION pg_temp.outcome(answer jsonb) RETURNS text LANGUAGE sql AS
$$ SELECT concat_ws(' ', coalesce(nullif(current_setting('response.status', true), ''), '200'), answer ->> 'error',
					coalesce(answer ->> 'error_code', (SELECT string_agg(k, ', ' ORDER BY k) FROM jsonb_object_keys(answer) k))) $$;
-- What has become of each session, by its name.
CREATE FUNCTION pg_temp.fates() RETURNS text LANGUAGE sql AS
$$ SELECT string_agg(name || ' ' || coalesce(revoke_reason, 'lives'), ', ' ORDER BY name) FROM auth.refresh_tokens $$;
-- What the audit log says since it was last asked.
CREATE FUNCTION pg_temp.events() RETURNS SETOF text LANGUAGE sql AS
$$ WITH said AS (DELETE FROM auth.audit_log RETURNING *)
   SELECT concat_ws(' ', event, CASE WHEN actor_id IS NOT NULL THEN 'by ' || CASE WHEN actor_id = user_id THEN 'self' ELSE 'another' END END, details)
   FROM said ORDER BY at $$;

CREATE TEMP TABLE given (person text, name text PRIMARY KEY, access text, refresh text);
CREATE FUNCTION pg_temp.open(person text, session_name text) RETURNS void LANGUAGE sql AS
$$ INSERT INTO given SELECT person, session_name, r ->> 'access_token', r ->> 'refresh_token'
   FROM auth.users u, auth.create_session(u.id, name => session_name) r WHERE u.username = person $$;
CREATE FUNCTION pg_temp.sign_in(session_name text) RETURNS text LANGUAGE sql AS
$$ SELECT g.person FROM given g, auth.authenticate(g.access) WHERE g.name = session_name $$;

SELECT pg_temp.outcome(auth.register('ann@example.com', 'correct horse', 'ann')), pg_temp.outcome(auth.register('bob@example.com', 'battery staple', 'bob'));
SELECT pg_temp.open('ann', 'laptop'), pg_temp.open('ann', 'phone'), pg_temp.open('bob', 'tablet');
DELETE FROM auth.audit_log;

--
-- Nobody acts without verified claims
--
SELECT auth.change_password('correct horse', 'new battery');
SELECT auth.update_me('{}');
SELECT * FROM auth.sessions();
SELECT auth.revoke_session('00000000-0000-0000-0000-000000000000');

--
-- sessions, and ending one of them
--
BEGIN;
SELECT pg_temp.sign_in('laptop');
SELECT client_id, name, is_current, expires_at > now() AS lives, ip, user_agent FROM auth.sessions() ORDER BY name;
-- one of somebody else's is none
SELECT label, auth.revoke_session(session_id) AS ended
FROM (SELECT 'somebody else''s', (SELECT s.session_id FROM auth.refresh_tokens s WHERE s.name = 'tablet')
	UNION ALL SELECT 'no such session', '00000000-0000-0000-0000-000000000000'
	UNION ALL SELECT 'NULL', NULL
	UNION ALL SELECT 'one''s own', (SELECT s.session_id FROM auth.refresh_tokens s WHERE s.name = 'phone')
	UNION ALL SELECT 'once more', (SELECT s.session_id FROM auth.refresh_tokens s WHERE s.name = 'phone')) AS attempt (label, session_id);
SELECT name FROM auth.sessions();
SELECT pg_temp.fates();
SELECT pg_temp.events();
-- what has expired is not among them
UPDATE auth.refresh_tokens SET session_expires_at = clock_timestamp() WHERE name = 'laptop';
SELECT count(*) FROM auth.sessions();
ROLLBACK;

--
-- change_password: the other sessions end, this one goes on
--
BEGIN;
SELECT pg_temp.sign_in('laptop');
SELECT label, pg_temp.outcome(auth.change_password(old_password, new_password)) AS answer
FROM (VALUES
	('wrong', 'wrong horse', 'new battery'),
	('none', NULL, 'new battery'),
	('short', 'correct horse', '1234567'),
	('no new one', 'correct horse', NULL),
	('73 bytes', 'correct horse', repeat('x', 73)),
	('the same', 'correct horse', 'correct horse'),
	('huge', repeat('x', 10000000), 'new battery')) AS attempt (label, old_password, new_password);
SELECT pg_temp.fates();
SELECT pg_temp.outcome(auth.change_password('correct horse', 'new battery'));
SELECT pg_temp.fates();
SELECT pg_temp.outcome(auth.login('ann@example.com', 'correct horse')) AS old, pg_temp.outcome(auth.login('ann@example.com', 'new battery')) AS new;
SELECT pg_temp.events();
SELECT updated_at > created_at AS updated FROM auth.users WHERE username = 'ann';
ROLLBACK;
-- who has come in by other means sets a first one without an old one ...
BEGIN;
UPDATE auth.users SET password_hash = NULL WHERE username = 'ann';
SELECT pg_temp.sign_in('laptop');
SELECT pg_temp.outcome(auth.change_password('', 'new battery')) AS some, pg_temp.outcome(auth.change_password(NULL, 'new battery')) AS none;
SELECT pg_temp.outcome(auth.change_password(NULL, 'newer battery')) AS again;
ROLLBACK;
-- ... and who is gone none at all
BEGIN;
SELECT pg_temp.sign_in('laptop');
DELETE FROM auth.users WHERE username = 'ann';
SELECT pg_temp.outcome(auth.change_password('correct horse', 'new battery')) AS change_password, pg_temp.outcome(auth.update_me('{}')) AS update_me, pg_temp.outcome(auth.me()) AS me;
ROLLBACK;
-- a URL filter could undo what a wrong password leaves behind: no work is done
BEGIN;
SELECT pg_temp.sign_in('laptop');
WITH "pgrst_source" AS (SELECT "auth"."change_password"("old_password" := 'x', "new_password" := 'new battery') AS pgrst_scalar)
SELECT 1 FROM (SELECT "change_password".* FROM "pgrst_source" AS "change_password" WHERE to_jsonb("change_password"."pgrst_scalar") ->> 'error' IS NULL) t;
ROLLBACK;

--
-- update_me: what people say of themselves, and nothing else
--
BEGIN;
SELECT pg_temp.sign_in('laptop');
SELECT label, pg_temp.outcome(answer) AS answer, answer -> 'user_metadata' AS user_metadata, answer ->> 'username' AS username
FROM (VALUES
	('nothing', NULL, NULL),
	('metadata', '{"colour": "red", "role": "postgres", "app_metadata": {"admin": true}}', NULL),
	('metadata is replaced', '{"colour": "blue"}', NULL),
	('username', NULL, 'Anna'),
	('taken, in other case', '{}', 'BOB'),
	('@', NULL, 'a@b'),
	('empty', NULL, ''),
	('blank around', NULL, ' ann'),
	('no object', '[]', NULL),
	('null', 'null', NULL),
	('prints as megabytes', '{"a": [1e131000]}', NULL)
) AS attempt (label, metadata, name), LATERAL (SELECT auth.update_me(metadata::jsonb, name) OFFSET 0) AS a (answer);
SELECT username, user_metadata, app_metadata, role, updated_at > created_at AS updated FROM auth.users WHERE username = 'Anna';
SELECT pg_temp.events();
ROLLBACK;

--
-- revoke_refresh_token (RFC 7009): whatever it is given, it succeeds
--
BEGIN;
SELECT label, auth.revoke_refresh_token(token) AS answer, pg_temp.fates()
FROM (SELECT 'NULL', NULL UNION ALL SELECT 'empty', '' UNION ALL SELECT 'garbage', 'a.b.c'
	UNION ALL SELECT 'huge', repeat('x', 100000)
	UNION ALL SELECT 'access token', access FROM given WHERE name = 'laptop'
	UNION ALL SELECT 'tampered', overlay(refresh placing 'A' from 60 for 1) FROM given WHERE name = 'laptop'
	UNION ALL SELECT 'genuine', refresh FROM given WHERE name = 'laptop'
	UNION ALL SELECT 'once more', refresh FROM given WHERE name = 'laptop') AS attempt (label, token);
SELECT pg_temp.fates();
SELECT pg_temp.events();
-- a token that has been used up still speaks for its session
SELECT pg_temp.outcome(auth.refresh(refresh)), auth.revoke_refresh_token('Bearer ' || refresh) FROM given WHERE name = 'phone';
SELECT pg_temp.fates();
ROLLBACK;

--
-- introspect (RFC 7662): whether a token is good at this moment
--
CREATE FUNCTION pg_temp.active(session_name text, OUT access boolean, OUT refresh boolean) LANGUAGE sql AS
$$ SELECT (auth.introspect(g.access) -> 'active')::boolean, (auth.introspect(g.refresh) -> 'active')::boolean FROM given g WHERE g.name = session_name $$;
SELECT kind, answer - '{sid,sub,iss,iat,exp,jti,auth_time}'::text[] AS answer, answer ?& '{sid,sub,iat,exp,jti}' AS has_claims
FROM given, LATERAL (VALUES ('access', access), ('refresh', refresh)) AS t (kind, token), auth.introspect(token) AS answer WHERE name = 'laptop';
SELECT label, auth.introspect(token)
FROM (VALUES ('NULL', NULL), ('empty', ''), ('garbage', 'a.b.c'), ('huge', repeat('x', 100000)),
	('another''s', auth.jwt_sign('{"sub": "ann", "exp": 9999999999}', 'a secret of more than thirty-two bytes')),
	('no access token', auth.jwt_sign('{"sub": "ann"}')),
	('expired', auth.jwt_sign('{"sub": "ann", "type": "access", "exp": 1}'))) AS t (label, token);
-- it asks for the session and the user, whatever authenticate() looks at
BEGIN READ ONLY;
SELECT * FROM pg_temp.active('laptop');
ROLLBACK;
SET jwt_auth.check_session = off;
BEGIN;
SELECT auth.revoke_refresh_token(refresh) FROM given WHERE name = 'laptop';
SELECT 'session ended' AS "when", * FROM pg_temp.active('laptop');
ROLLBACK;
BEGIN;
UPDATE auth.users SET is_active = false WHERE username = 'ann';
SELECT 'user disabled' AS "when", * FROM pg_temp.active('laptop');
ROLLBACK;
BEGIN;
DELETE FROM auth.users WHERE username = 'ann';
SELECT 'user gone' AS "when", * FROM pg_temp.active('laptop');
ROLLBACK;
BEGIN;
SELECT auth.rotate_refresh_token(refresh) IS NOT NULL AS rotated FROM given WHERE name = 'laptop';
SELECT 'refreshed' AS "when", * FROM pg_temp.active('laptop');
ROLLBACK;
RESET jwt_auth.check_session;
-- an outside issuer's token is good, but lends no role that the issuer may not give
SELECT key AS theirs, jsonb_build_object('keys', jsonb_build_array(auth.jwk_public(key))) AS their_set FROM auth.jwk_generate('ES256', 'theirs') AS key \gset
BEGIN;
SELECT auth.trust_issuer('https://id.example', :'their_set', '{app}', roles => '{reader}');
SELECT auth.introspect(auth.jwt_sign(jsonb_build_object('iss', 'https://id.example', 'aud', 'app', 'sub', 'x', 'exp', 9999999999, 'role', role), :'theirs'::jsonb))
FROM unnest('{reader,postgres}'::text[]) AS role;
ROLLBACK;

--
-- token: the OAuth 2 token endpoint (RFC 6749)
--
SELECT label, pg_temp.outcome(answer) AS answer
FROM (VALUES
	('password, email', 'password', 'ann@example.com', 'correct horse', NULL, NULL),
	('password, username', 'password', 'ann', 'correct horse', NULL, NULL),
	('password, wrong', 'password', 'ann', 'wrong horse', NULL, NULL),
	('password, no name', 'password', NULL, 'correct horse', NULL, NULL),
	('password, none', 'password', 'ann', NULL, NULL, NULL),
	('password, client', 'password', 'ann', 'correct horse', NULL, 'default'),
	('password, unknown client', 'password', 'ann', 'correct horse', NULL, 'nope'),
	('refresh, none', 'refresh_token', NULL, NULL, NULL, NULL),
	('refresh, garbage', 'refresh_token', NULL, NULL, 'a.b.c', NULL),
	('another grant', 'client_credentials', NULL, NULL, NULL, NULL),
	('no grant', NULL, 'ann', 'correct horse', NULL, NULL)
) AS attempt (label, grant_type, username, password, refresh_token, client_id),
LATERAL (SELECT auth.token(grant_type, username, password, refresh_token, client_id, 'a scope') OFFSET 0) AS a (answer);
SELECT pg_temp.outcome(auth.token('refresh_token', refresh_token => refresh)) FROM given WHERE name = 'phone';

--
-- Who may register
--
BEGIN;
SET LOCAL jwt_auth.registration = closed;
SELECT pg_temp.outcome(auth.register('eve@example.com', 'correct horse')) AS new, pg_temp.outcome(auth.register('ann@example.com', 'correct horse')) AS known;
SELECT pg_temp.outcome(auth.login('ann@example.com', 'correct horse')) AS login;
-- an outside identity makes no user either, but comes in where it is linked
SELECT auth.trust_issuer('https://id.example', :'their_set', '{app}');
CREATE FUNCTION pg_temp.federated(subject text, email text) RETURNS text LANGUAGE sql AS
$$ SELECT auth.jwt_sign(jsonb_build_object('iss', 'https://id.example', 'aud', 'app', 'sub', subject, 'exp', 9999999999, 'iat', 1, 'email', email, 'email_verified', true),
						current_setting('test.theirs')::jsonb) $$;
SELECT set_config('test.theirs', :'theirs', true) IS NOT NULL AS set;
SELECT pg_temp.outcome(auth.login_with_id_token(pg_temp.federated('eve', 'eve@example.com'))) AS new, pg_temp.outcome(auth.login_with_id_token(pg_temp.federated('ann', 'ann@example.com'))) AS unlinked;
SELECT auth.link_identity(id, 'https://id.example', 'ann') FROM auth.users WHERE username = 'ann';
SELECT pg_temp.outcome(auth.login_with_id_token(pg_temp.federated('ann', 'ann@example.com'))) AS linked;
SET LOCAL jwt_auth.registration = open;
SELECT pg_temp.outcome(auth.login_with_id_token(pg_temp.federated('eve', 'eve@example.com'))) AS new;
ROLLBACK;
SET jwt_auth.registration = 'sometimes';

--
-- A login renews a hash of lower cost, and only such a one
--
SET jwt_auth.bcrypt_cost = 5;
SELECT pg_temp.outcome(auth.login('ann@example.com', 'wrong horse'));
SELECT left(password_hash, 7) AS cost FROM auth.users WHERE username = 'ann';
SELECT pg_temp.outcome(auth.login('ann@example.com', 'correct horse'));
SELECT left(password_hash, 7) AS cost, password_hash AS hash FROM auth.users WHERE username = 'ann' \gset renewed_
SELECT :'renewed_cost' AS cost;
SET jwt_auth.bcrypt_cost = 4;
SELECT pg_temp.outcome(auth.login('ann@example.com', 'correct horse'));
SELECT password_hash = :'renewed_hash' AS kept FROM auth.users WHERE username = 'ann';

--
-- In a READ ONLY transaction all that writes is refused
--
BEGIN READ ONLY;
SELECT pg_temp.sign_in('laptop');
\set VERBOSITY sqlstate
SAVEPOINT s;
SELECT auth.change_password('correct horse', 'new battery');
ROLLBACK TO s;
SELECT auth.update_me('{}');
ROLLBACK TO s;
SELECT auth.revoke_session('00000000-0000-0000-0000-000000000000');
ROLLBACK TO s;
SELECT auth.revoke_refresh_token('a.b.c');
ROLLBACK TO s;
SELECT auth.token('password', 'ann', 'correct horse');
ROLLBACK TO s;
\set VERBOSITY default
SELECT count(*) FROM auth.sessions();
ROLLBACK;

-- The audit log has nothing of what was typed.
SELECT count(*) AS leaks FROM auth.audit_log l WHERE l::text ~ 'horse|battery|eyJ';

DROP EXTENSION jwt_auth CASCADE;
DROP SCHEMA auth;
