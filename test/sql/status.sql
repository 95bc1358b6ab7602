--
-- What goes on: user_status, session_status, metrics, check_setup
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION jwt_auth CASCADE;
RESET client_min_messages;
SET jwt_auth.bcrypt_cost = 4;
CREATE ROLE regress_monitor;
CREATE ROLE regress_admin;
SELECT auth.grant_access('regress_monitor', 'monitor'), auth.grant_access('regress_admin', 'admin');

-- Nobody yet
SET ROLE regress_monitor;
SELECT count(*) FROM auth.user_status;
SELECT count(*) FROM auth.session_status;
SELECT name, labels, value FROM auth.metrics WHERE name <> 'jwt_auth_oldest_event_age_seconds' ORDER BY 1, 2;
RESET ROLE;

SELECT auth.create_user('ann@example.com', 'correct horse', 'ann', app_metadata => '{"salary": 1}') AS ann, auth.create_user(username => 'robot') AS robot \gset
SELECT auth.set_client('app');
SELECT auth.create_session(:'ann', name => 'lives') IS NOT NULL, auth.create_session(:'ann', 'app', 'revoked') IS NOT NULL, auth.create_session(:'ann', name => 'over') IS NOT NULL,
	   auth.create_session(:'robot', name => 'expired') IS NOT NULL;
UPDATE auth.refresh_tokens SET revoked_at = clock_timestamp(), revoke_reason = 'logout' WHERE name = 'revoked';
UPDATE auth.refresh_tokens SET expires_at = clock_timestamp() - interval '1 s' WHERE name = 'expired';
UPDATE auth.refresh_tokens SET session_expires_at = clock_timestamp() - interval '1 s' WHERE name = 'over';
SELECT auth.set_active(:'robot', false);
SET jwt_auth.max_failed_logins = 1;
SELECT auth.login(username => 'ANN', password => 'x') ->> 'error_code' AS failed, auth.login('nobody@example.com', 'x') ->> 'error_code' AS unknown;

SET ROLE regress_monitor;
SELECT email, username, role, is_active, email_confirmed_at, has_password, last_login_at IS NOT NULL AS came, live_sessions,
	   locked_until > clock_timestamp() AS locked, created_at <= updated_at AS dates
FROM auth.user_status ORDER BY username;
SELECT u.username, s.name, s.client_id, s.state, s.revoke_reason, s.revoked_at IS NOT NULL AS ended, s.expires_at > clock_timestamp() AS has_time, s.last_used_at >= s.created_at AS used
FROM auth.session_status s JOIN auth.user_status u ON u.id = s.user_id ORDER BY s.name;
-- each key once, with its age
SELECT name, labels - 'kid' AS labels, CASE WHEN name ~ '_seconds$' THEN (value BETWEEN 0 AND 3600)::int ELSE value END AS value, labels ? 'kid' AS kid FROM auth.metrics ORDER BY 1, 2;
-- names and labels are what Prometheus takes, and no series comes twice
SELECT count(*) AS wrong FROM auth.metrics m WHERE name !~ '^jwt_auth_[a-z_]+$' OR jsonb_typeof(labels) <> 'object' OR value IS NULL
	OR EXISTS (SELECT FROM jsonb_each(labels) l WHERE l.key !~ '^[a-z_]+$' OR jsonb_typeof(l.value) <> 'string');
SELECT name, labels FROM auth.metrics GROUP BY 1, 2 HAVING count(*) > 1;
-- as the docs have an exporter read it
SELECT line ~ '^[a-z_]+(\{[a-z_]+="([^"\\]|\\.)*"(,[a-z_]+="([^"\\]|\\.)*")*\})? [0-9.]+$' AS fine, count(*) FROM (
SELECT m.name || coalesce('{' || string_agg(l.key || '=' || to_json(l.value), ',' ORDER BY l.key) || '}', '') || ' ' || m.value AS line
FROM auth.metrics m LEFT JOIN jsonb_each_text(m.labels) l ON true
GROUP BY m.name, m.labels, m.value ORDER BY 1) AS exporter GROUP BY 1;
-- an hour ago is not the last hour
RESET ROLE;
UPDATE auth.audit_log SET at = at - interval '61 min';
SELECT labels ->> 'event' AS event, value FROM auth.metrics WHERE name = 'jwt_auth_events_last_hour' ORDER BY 1;
SET enable_seqscan = off;
EXPLAIN (COSTS off) SELECT event FROM auth.audit_log l WHERE l.at > statement_timestamp() - interval '1 hour';
RESET enable_seqscan;

--
-- check_setup: each of these once wrong
--
SET jwt_auth.default_role = 'regress_monitor';
SET jwt_auth.issuer = 'https://app.example';
SET jwt_auth.bcrypt_cost = 10;
CREATE FUNCTION pg_temp.wrong() RETURNS TABLE (item text, hint text) LANGUAGE sql AS
$$ SELECT c.item, c.hint FROM auth.check_setup() c WHERE NOT c.ok AND c.item NOT IN ('preloading', 'master key file') $$;

SET ROLE regress_admin;
SELECT item, ok IS NOT NULL AS answered, (hint IS NULL) = ok AS hinted FROM auth.check_setup();
SELECT * FROM pg_temp.wrong();
SET ROLE regress_monitor;
SELECT * FROM auth.check_setup();
RESET ROLE;
-- whoever quotes every name has the same tables
SET quote_all_identifiers = on;
SELECT item, hint FROM auth.check_setup() WHERE item LIKE '%the tables';
RESET quote_all_identifiers;
-- where the library is not preloaded, and the master key is where it is by default
SELECT hint FROM auth.check_setup() WHERE item = 'master key file';

BEGIN;
SET jwt_auth.issuer = '';
SET jwt_auth.bcrypt_cost = 9;
SET jwt_auth.audit = 'none';
SET jwt_auth.default_role = 'regress_unknown';
SET jwt_auth.audience = 'https://other.example';
SET jwt_auth.client_ip_header = 'X Forwarded For';
SET jwt_auth.allowed_algorithms = 'EdDSA, HS256';
SET LOCAL log_statement = 'all';
SET LOCAL log_parameter_max_length_on_error = -1;
INSERT INTO auth.audit_log (at, event) VALUES (now() - interval '92 days', 'login');
SELECT item, regexp_replace(hint, 'key "[^"]*"', 'key "…"') AS hint FROM pg_temp.wrong();
ROLLBACK;
BEGIN;
SET jwt_auth.audit_retention = 0;
INSERT INTO auth.audit_log (at, event) VALUES (now() - interval '92 days', 'login');
SELECT * FROM pg_temp.wrong();
SELECT auth.trust_issuer('https://idp.example', jsonb_build_object('keys', jsonb_build_array(auth.jwk_public(auth.jwk_generate('ES256', 'k')))), '{app}');
SET jwt_auth.issuer = 'https://idp.example';
SELECT * FROM pg_temp.wrong();
ROLLBACK;
-- what other roles are set to in this database
BEGIN;
ALTER ROLE regress_monitor SET log_min_duration_statement = 0;
SELECT * FROM pg_temp.wrong();
SET LOCAL log_parameter_max_length = 0;
SELECT * FROM pg_temp.wrong();
ROLLBACK;

-- the tables: what is not ours, and what of ours is gone
BEGIN;
CREATE FUNCTION pg_temp.nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
ALTER TABLE auth.users ADD COLUMN nickname text CHECK (nickname <> '');
CREATE INDEX users_created ON auth.users (created_at);
CREATE TRIGGER welcome AFTER INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION pg_temp.nothing();
CREATE POLICY own ON auth.users USING (true);
CREATE RULE quiet AS ON DELETE TO auth.audit_log DO INSTEAD NOTHING;
CREATE STATISTICS public.regress_statistics ON event, user_id FROM auth.audit_log;
CREATE TABLE public.regress_child () INHERITS (auth.login_failures);
DROP INDEX auth.audit_log_at;
DROP TRIGGER forget ON auth.users;
ALTER TABLE auth.keys DROP CONSTRAINT keys_one_active_access;
SELECT * FROM pg_temp.wrong();
ROLLBACK;
-- what references users is fine
BEGIN;
CREATE TABLE public.regress_notes (owner uuid REFERENCES auth.users);
SELECT * FROM pg_temp.wrong();
ROLLBACK;
-- as pg_restore --disable-triggers leaves them
BEGIN;
ALTER TABLE auth.keys DISABLE TRIGGER ALL;
ALTER TABLE auth.keys ENABLE TRIGGER ALL;
ALTER TABLE auth.users DISABLE TRIGGER forget;
SELECT hint AS commands, substr(hint, strpos(hint, 'ALTER')) AS to_run FROM pg_temp.wrong() \gset
SELECT :'commands' AS hint;
SELECT rtrim(:'to_run', '.') AS to_run \gset
:to_run;
SELECT * FROM pg_temp.wrong();
ROLLBACK;

-- privileges, given and taken; the hints undo it
BEGIN;
GRANT SELECT ON auth.users TO regress_monitor;
GRANT SELECT (wrapped_key) ON auth.keys TO PUBLIC;
GRANT SELECT ON auth.user_status TO PUBLIC;
GRANT UPDATE ON auth.clients TO regress_admin;
GRANT EXECUTE ON FUNCTION auth._open_session(auth.users, text, text[], text, interval) TO regress_admin;
GRANT EXECUTE ON FUNCTION auth.login(text, text, text, text) TO PUBLIC;
GRANT CREATE ON SCHEMA auth TO regress_monitor;
REVOKE EXECUTE ON FUNCTION auth.uid() FROM PUBLIC;
REVOKE USAGE ON SCHEMA auth FROM PUBLIC;
GRANT pg_read_all_data TO regress_monitor;
SELECT * FROM pg_temp.wrong();
SELECT string_agg(rtrim(substr(hint, strpos(hint, 'Run: ') + 5), '.'), '; ') AS to_run FROM pg_temp.wrong() WHERE item LIKE 'privileges%' \gset
:to_run;
REVOKE pg_read_all_data FROM regress_monitor;
SELECT * FROM pg_temp.wrong();
ROLLBACK;
-- every bundle is as it should be
BEGIN;
SELECT auth.grant_access('regress_admin', b) FROM unnest('{client,admin,keys,monitor,authenticator,owner}'::text[]) b;
SELECT * FROM pg_temp.wrong();
ROLLBACK;
-- pgcrypto of an ordinary role
BEGIN;
UPDATE pg_extension SET extowner = 'regress_monitor'::regrole WHERE extname = 'pgcrypto';
SELECT * FROM pg_temp.wrong();
ROLLBACK;
BEGIN;
ALTER TABLE auth.refresh_tokens SET (autovacuum_enabled = false);
SELECT * FROM pg_temp.wrong();
ROLLBACK;

DROP EXTENSION jwt_auth CASCADE;
DROP SCHEMA auth;
DROP ROLE regress_monitor, regress_admin;
