--
-- The audit log: who did what to whom, from where; and who may look at it
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION jwt_auth CASCADE;
RESET client_min_messages;
SET jwt_auth.bcrypt_cost = 4;
SET jwt_auth.audit = 'all';
SET jwt_auth.client_ip_header = 'X-Forwarded-For';
SELECT set_config('request.headers', '{"x-forwarded-for": "192.0.2.7", "user-agent": "a test"}', false);
CREATE ROLE regress_editor;
CREATE ROLE regress_admin;
CREATE ROLE regress_monitor;
CREATE ROLE regress_owner;
SELECT auth.grant_access('regress_admin', 'admin'), auth.grant_access('regress_monitor', 'monitor'), auth.grant_access('regress_owner', 'owner');

-- What is on record since the last time, and for whom: the names of this test
-- stand for ids, which differ from run to run.
CREATE TABLE known (id uuid PRIMARY KEY, name text);
GRANT SELECT ON known TO PUBLIC;
CREATE FUNCTION pg_temp.named(id uuid) RETURNS text LANGUAGE sql AS
$$ SELECT coalesce((SELECT k.name FROM known k WHERE k.id = $1), CASE WHEN $1 IS NOT NULL THEN '?' END) $$;
CREATE FUNCTION pg_temp.record() RETURNS TABLE (event text, whose text, actor text, session text, client text, told_apart boolean, details jsonb) LANGUAGE sql AS
$$ WITH said AS (DELETE FROM auth.audit_log RETURNING *)
   SELECT event, pg_temp.named(user_id), pg_temp.named(actor_id), pg_temp.named(session_id), client_id,
		  ip = '192.0.2.7' AND user_agent = 'a test' AND db_user = session_user, details - 'kid'
   FROM said ORDER BY at $$;
CREATE FUNCTION pg_temp.sign_in(answer jsonb, session_name text) RETURNS void LANGUAGE sql AS
$$ INSERT INTO known SELECT auth.session_id(), session_name FROM auth.authenticate(answer ->> 'access_token', false) $$;

SELECT * FROM pg_temp.record();

--
-- Accounts, by people themselves
--
SELECT auth.set_client('app', session_lifetime => '1 day');
SELECT auth.register('ann@example.com', 'correct horse', 'ann') ->> 'id' AS ann \gset
SELECT auth.register('bob@example.com', 'battery staple', 'bob') ->> 'id' AS bob \gset
INSERT INTO known VALUES (:'ann', 'ann'), (:'bob', 'bob');
SELECT auth.register('ANN@example.com', 'correct horse') IS NOT NULL AS taken, auth.register('new@example.com', 'correct horse', 'ann') IS NOT NULL AS taken_too;
SET jwt_auth.registration = 'closed';
SELECT auth.register('new@example.com', 'correct horse') ->> 'error_code' AS closed;
RESET jwt_auth.registration;
SELECT * FROM pg_temp.record();

SELECT auth.login('ann@example.com', 'correct horse', client_id => 'app') AS answer \gset
SELECT auth.login('ann@example.com', 'wrong', client_id => 'app') ->> 'error_code' AS wrong, auth.login('a secret typed here', 'x') ->> 'error_code' AS nobody;
SELECT pg_temp.sign_in(:'answer', 'laptop');
SELECT * FROM pg_temp.record();

SELECT auth.refresh(:'answer'::jsonb ->> 'refresh_token') ->> 'refresh_token' AS second \gset
SELECT auth.refresh(:'answer'::jsonb ->> 'refresh_token') IS NOT NULL AS again;
UPDATE auth.refresh_tokens SET rotated_at = rotated_at - interval '1 hour';
SELECT auth.refresh(:'answer'::jsonb ->> 'refresh_token') ->> 'error_code' AS reused, auth.refresh(:'second') ->> 'error_code' AS ended;
SELECT auth.refresh('nonsense') ->> 'error_code' AS nonsense;
SELECT * FROM pg_temp.record();

SELECT auth.login('ann@example.com', 'correct horse', client_id => 'app') AS answer \gset
SELECT auth.login('ann@example.com', 'correct horse') AS other \gset
INSERT INTO known SELECT session_id, 'phone' FROM auth.refresh_tokens WHERE client_id = 'default';
SELECT pg_temp.sign_in(:'answer', 'tablet');
DELETE FROM auth.audit_log;
SELECT auth.update_me('{"mood": "private"}') IS NOT NULL AS updated, auth.change_password('wrong', 'battery staple') ->> 'error_code' AS wrong,
	   auth.revoke_session(id) FROM known WHERE name = 'phone';
SELECT auth.change_password('correct horse', 'battery staple') IS NOT NULL AS changed, auth.logout('session');
SELECT * FROM pg_temp.record();
SELECT auth.login('ann@example.com', 'battery staple') AS answer \gset
SELECT auth.revoke_refresh_token(:'answer'::jsonb ->> 'refresh_token');
SELECT event, client FROM pg_temp.record();

-- The failure that locks has an event of its own; who then waits leaves none.
SET jwt_auth.max_failed_logins = 2;
SELECT auth.login('bob@example.com', 'x') ->> 'error_code' AS first;
UPDATE auth.login_failures SET locked_until = NULL;
SELECT auth.login('bob@example.com', 'x') ->> 'error_code' AS second, auth.login('bob@example.com', 'x') ->> 'error_code' AS third;
SELECT event, whose, details FROM pg_temp.record();
RESET jwt_auth.max_failed_logins;

--
-- By administrators: a person who is signed in, as a database user
--
SELECT auth.login('ann@example.com', 'battery staple') AS answer \gset
SELECT pg_temp.sign_in(:'answer', 'desk');
SET ROLE regress_admin;
SELECT auth.create_user('eve@example.com', username => 'eve', role => 'regress_editor') AS eve \gset
RESET ROLE;
INSERT INTO known VALUES (:'eve', 'eve');
DELETE FROM auth.audit_log WHERE event = 'login';
SET ROLE regress_admin;
SELECT auth.set_password(:'eve', 'correct horse'), auth.set_user_role(:'eve', 'regress_editor'), auth.set_app_metadata(:'eve', '{"salary": 1}'),
	   auth.set_active(:'eve', false), auth.set_active(:'eve', true), auth.revoke_sessions(:'eve'), auth.unlock_user(:'eve');
SELECT auth.create_session(:'eve', amr => '{sso}') IS NOT NULL AS session, auth.issue_access_token(:'eve') IS NOT NULL AS token;
SELECT auth.set_client('gone'), auth.drop_client('gone');
RESET ROLE;
INSERT INTO known SELECT session_id, 'sso' FROM auth.refresh_tokens WHERE user_id = :'eve';
SELECT * FROM pg_temp.record();

-- By those with keys, and owners, who write nothing else into the log
SELECT auth.create_key('ES256', activate_in => '0') AS kid \gset
SELECT auth.revoke_key(:'kid') IS NOT NULL AS revoked, auth.rewrap_keys() > 0 AS rewrapped, auth.revoke_all('a drill') IS NOT NULL AS all_revoked;
SELECT auth.trust_issuer('https://idp.example', jsonb_build_object('keys', jsonb_build_array(auth.jwk_public(auth.jwk_generate('ES256', 'k')))), '{app}');
SELECT auth.link_identity(:'eve', 'https://idp.example', 'a subject'), auth.unlink_identity('https://idp.example', 'a subject');
SELECT auth.distrust_issuer('https://idp.example');
SET ROLE regress_owner;
SELECT auth.grant_access('regress_editor', 'client'), auth.revoke_access('regress_editor', 'client');
SELECT auth._audit_owner('login', NULL);
SELECT auth.revoke_access('regress_owner', 'owner');
RESET ROLE;
SELECT event, whose, told_apart, details FROM pg_temp.record();

--
-- audit_events: newest first, by time, event and user
--
SELECT auth.deauthenticate();
INSERT INTO auth.audit_log (at, event, user_id, actor_id)
SELECT '2001-01-01 00:00Z'::timestamptz + n * interval '1 hour', CASE WHEN n % 3 = 0 THEN 'login_failed' ELSE 'login' END,
	   CASE WHEN n % 2 = 0 THEN :'ann'::uuid END, :'bob'
FROM generate_series(0, 9) n;
SET timezone = 'UTC';
SET ROLE regress_monitor;
SELECT to_char(at, 'HH24') AS hour, event, pg_temp.named(user_id) AS whose, db_user = session_user AS ours FROM auth.audit_events();
SELECT label, (SELECT string_agg(to_char(at, 'HH24'), ' ') FROM auth.audit_events(since, until, event, user_id, max_rows)) AS hours
FROM (VALUES ('since and until', '2001-01-01 02:00Z'::timestamptz, '2001-01-01 05:00Z'::timestamptz, NULL, NULL::uuid, 1000),
	('event', NULL, NULL, 'login_failed', NULL, 1000),
	('user', NULL, NULL, NULL, :'ann', 1000),
	('user and event', NULL, NULL, 'login', :'ann', 1000),
	('user since', '2001-01-01 03:00Z', NULL, NULL, :'ann', 1000),
	('newest of a user', NULL, NULL, NULL, :'ann', 2),
	('newest', NULL, NULL, NULL, NULL, 2),
	('no such event', NULL, NULL, 'nothing', NULL, 1000)) AS v (label, since, until, event, user_id, max_rows);
SELECT auth.audit_events(max_rows => 0);
SELECT auth.audit_events(max_rows => NULL);
SET ROLE regress_admin;
SELECT count(*) FROM auth.audit_events(max_rows => 3);
SET ROLE regress_editor;
SELECT auth.audit_events();
RESET ROLE;

-- Who is deleted leaves no address where they acted on others either.
INSERT INTO auth.audit_log (event, user_id, actor_id, ip, user_agent) VALUES ('role_set', :'ann', :'bob', '192.0.2.9', 'his'), ('role_set', :'bob', :'ann', '192.0.2.8', 'hers');
SELECT auth.delete_user(:'bob');
SELECT pg_temp.named(user_id) AS whose, pg_temp.named(actor_id) AS actor, ip, user_agent FROM auth.audit_log WHERE event = 'role_set' ORDER BY actor;

--
-- Levels, and the server's log, of which a client sees nothing
--
DELETE FROM auth.audit_log;
SET client_min_messages = log;
SET jwt_auth.audit_to_log = on;
SET jwt_auth.audit = 'changes';
CREATE FUNCTION pg_temp.journey() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	answer jsonb := auth.login('ann@example.com', 'battery staple');
BEGIN
	PERFORM auth.login('ann@example.com', 'wrong');
	PERFORM auth.refresh(answer ->> 'refresh_token');
	UPDATE auth.refresh_tokens SET rotated_at = rotated_at - interval '1 hour';
	PERFORM auth.refresh(answer ->> 'refresh_token');
END
$$;
SELECT pg_temp.journey();
SELECT string_agg(event, ' ' ORDER BY at) AS changes FROM auth.audit_log;
DELETE FROM auth.audit_log;
SET jwt_auth.audit = 'failures';
SELECT pg_temp.journey();
SELECT string_agg(event, ' ' ORDER BY at) AS failures FROM auth.audit_log;
DELETE FROM auth.audit_log;
SET jwt_auth.audit = 'all';
SELECT pg_temp.journey();
SELECT string_agg(event, ' ' ORDER BY at) AS everything FROM auth.audit_log;
DELETE FROM auth.audit_log;
SET jwt_auth.audit = 'none';
SELECT pg_temp.journey();
SELECT string_agg(event, ' ' ORDER BY at) AS nothing FROM auth.audit_log;
RESET jwt_auth.audit_to_log;
RESET client_min_messages;

-- A superuser's settings
SET ROLE regress_monitor;
SET jwt_auth.audit_to_log = on;
SET jwt_auth.audit_retention = '1 s';
SET jwt_auth.prune_interval = '1 s';
RESET ROLE;
SET jwt_auth.prune_interval = '1 s';
\set VERBOSITY sqlstate
SET jwt_auth.audit_retention = '-1';
\set VERBOSITY default

DROP TABLE known;
DROP EXTENSION jwt_auth CASCADE;
DROP SCHEMA auth;
DROP ROLE regress_editor, regress_admin, regress_monitor, regress_owner;
