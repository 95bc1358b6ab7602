--
-- What grant_access gives: each bundle does its work, and nothing else
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION jwt_auth CASCADE;
RESET client_min_messages;
CREATE ROLE regress_client;
CREATE ROLE regress_admin;
CREATE ROLE regress_keys;
CREATE ROLE regress_monitor;
CREATE ROLE regress_authenticator;
CREATE ROLE regress_owner;
CREATE ROLE regress_grantee;
SELECT auth.grant_access('regress_' || b, b) FROM unnest('{client,admin,keys,monitor,authenticator,owner}'::text[]) b;

-- People, and the secrets that are kept of them
SET jwt_auth.bcrypt_cost = 4;
SET jwt_auth.default_role = 'regress_grantee';
SELECT auth.create_user('ann@example.com', 'correct horse', 'ann', user_metadata => '{"diary": "dear secret"}', app_metadata => '{"salary": "a secret sum"}') AS ann \gset
SELECT auth.login('ann@example.com', 'correct horse') ->> 'refresh_token' AS refresh \gset
SELECT refresh_token AS refresh FROM auth.rotate_refresh_token(:'refresh') \gset
SELECT auth.trust_issuer('https://idp.example', jsonb_build_object('keys', jsonb_build_array(auth.jwk_public(auth.jwk_generate('ES256', 'k')))), '{app}');
CREATE TABLE secret (what text, value text);
INSERT INTO secret
SELECT 'hash', password_hash FROM auth.users UNION ALL SELECT 'metadata', 'secret'
UNION ALL SELECT 'jti', jti::text FROM auth.refresh_tokens UNION ALL SELECT 'jti', previous_jti::text FROM auth.refresh_tokens
UNION ALL SELECT 'key', encode(wrapped_key, 'base64') FROM auth.keys UNION ALL SELECT 'key', encode(wrapped_key, 'hex') FROM auth.keys
UNION ALL SELECT 'failure', encode(auth._identifier_hash('ann@example.com'), 'hex');

-- as a control: where they are, they are found
SELECT what, count(*) FROM secret WHERE strpos((SELECT string_agg(u::text || s::text || to_jsonb(k)::text || encode(k.wrapped_key, 'base64') || encode(auth._identifier_hash(u.email), 'hex'), '') FROM auth.users u, auth.refresh_tokens s, auth.keys k), value) > 0 GROUP BY 1 ORDER BY 1;

-- What comes of a command, run as somebody else.
CREATE FUNCTION pg_temp.try(role name, command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('SET LOCAL ROLE %I', role);
	EXECUTE command;
	RESET ROLE;
	RETURN 'works';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLERRM;
END
$$;

--
-- The functions that each may call beyond what everybody may, and no other
--
SELECT b AS bundle, count(*) FILTER (WHERE has_function_privilege('regress_' || b, p.oid, 'EXECUTE')) AS may,
	   string_agg(p.oid::regprocedure::text, ', ') FILTER (WHERE has_function_privilege('regress_' || b, p.oid, 'EXECUTE')
			<> EXISTS (SELECT FROM auth._bundle(b) x WHERE x.object = 'FUNCTION ' || p.oid::regprocedure)) AS wrong
FROM unnest('{client,admin,keys,monitor,authenticator,owner}'::text[]) b, pg_proc p
WHERE p.pronamespace = 'auth'::regnamespace AND NOT has_function_privilege('public', p.oid, 'EXECUTE')
GROUP BY b ORDER BY b;
-- what runs as its caller calls nothing that the bundle lacks
SELECT bundle, command, pg_temp.try(role, replace(replace(command, 'ANN', quote_literal(:'ann')), 'REFRESH', quote_literal(:'refresh'))) AS outcome
FROM (VALUES
	('client', 'SELECT auth.register(''bob@example.com'', ''battery staple'')'),
	('client', 'SELECT auth.login(''bob@example.com'', ''battery staple'')'),
	('client', 'SELECT auth.refresh(REFRESH)'),
	('client', 'SELECT auth.token(''password'', ''bob@example.com'', ''battery staple''), auth.introspect(''x''), auth.revoke_refresh_token(''x''), auth.login_with_id_token(''x'')'),
	('client', 'SELECT auth.rotate_refresh_token(''x'')'),
	('client', 'SELECT * FROM auth.user_status'),
	('client', 'SELECT auth.create_session(ANN)'),
	('client', 'SELECT auth.jwt_sign(''{}'')'),
	('admin', 'SELECT auth.set_active(ANN, true), auth.set_user_role(ANN, ''regress_grantee''), auth.export_user(ANN), auth.revoke_sessions(ANN)'),
	('admin', 'SELECT auth.delete_user(auth.create_user(''eve@example.com''))'),
	('admin', 'SELECT * FROM auth.prune(), auth.check_setup(), auth.audit_events()'),
	('admin', 'SELECT id FROM auth.users'),
	('admin', 'SELECT email FROM auth.users'),
	('admin', 'SELECT auth.jwt_sign(''{}'')'),
	('admin', 'SELECT * FROM auth.metrics'),
	('keys', 'SELECT auth.jwt_sign(''{}''), auth.rotate_key(), auth.revoke_key(auth.create_key()), auth.rewrap_keys(), auth.import_secret(''a secret of thirty-two characters'')'),
	('keys', 'SELECT auth.distrust_issuer(''https://idp.example'')'),
	('keys', 'SELECT auth.login(''ann@example.com'', ''x'')'),
	('keys', 'SELECT kid FROM auth.keys'),
	('monitor', 'SELECT * FROM auth.key_status, auth.user_status, auth.session_status, auth.metrics, auth.audit_events()'),
	('monitor', 'SELECT auth.check_setup()'),
	('monitor', 'SELECT auth.prune()'),
	('authenticator', 'SELECT auth.pre_config()'),
	('authenticator', 'SELECT auth.login(''ann@example.com'', ''x'')'),
	('owner', 'SELECT auth.grant_access(''regress_grantee'', ''monitor''), auth.revoke_access(''regress_grantee'', ''monitor'')'),
	('owner', 'SELECT password_hash FROM auth.users'),
	('owner', 'SELECT wrapped_key FROM auth.keys'),
	('owner', 'UPDATE auth.users SET is_active = true')) AS v (bundle, command),
	format('regress_%s', bundle) AS role;

--
-- What each reads: relations and columns
--
SELECT b AS bundle, c.relname, string_agg(a.attname, ', ' ORDER BY a.attnum) AS columns
FROM unnest('{client,admin,keys,monitor,authenticator,owner}'::text[]) b, pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
WHERE c.relnamespace = 'auth'::regnamespace AND c.relkind IN ('r', 'v') AND has_column_privilege('regress_' || b, c.oid, a.attnum, 'SELECT')
GROUP BY b, c.relname ORDER BY b, c.relname;
SELECT b AS bundle, c.relname, p AS privilege
FROM unnest('{client,admin,keys,monitor,authenticator,owner}'::text[]) b, pg_class c, unnest('{INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) p
WHERE c.relnamespace = 'auth'::regnamespace AND c.relkind IN ('r', 'v')
  AND (has_table_privilege('regress_' || b, c.oid, p) OR p IN ('INSERT', 'UPDATE', 'REFERENCES') AND has_any_column_privilege('regress_' || b, c.oid, p))
ORDER BY b, c.relname, p;

--
-- monitor: nothing secret in all that it can read, however it asks
--
GRANT SELECT ON secret TO regress_monitor;	-- to look for
SET ROLE regress_monitor;
CREATE TEMP TABLE seen AS
SELECT 'key_status' AS source, string_agg(k::text, E'\n') AS content FROM auth.key_status k
UNION ALL SELECT 'user_status', string_agg(u::text, E'\n') FROM auth.user_status u
UNION ALL SELECT 'session_status', string_agg(s::text, E'\n') FROM auth.session_status s
UNION ALL SELECT 'metrics', string_agg(m::text, E'\n') FROM auth.metrics m
UNION ALL SELECT 'audit_events', string_agg(e::text, E'\n') FROM auth.audit_events() e
UNION ALL SELECT 'statistics', string_agg(s::text, E'\n') FROM pg_stats s WHERE schemaname = 'auth';
SELECT source, content IS NOT NULL AS something, (SELECT string_agg(DISTINCT what, ', ') FROM secret WHERE strpos(content, value) > 0) AS leak FROM seen ORDER BY source;
-- a function in the condition sees what the view shows
CREATE FUNCTION pg_temp.look(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS
$$ BEGIN INSERT INTO seen VALUES ('look', $1); RETURN true; END $$;
SELECT count(*) > 0 AS some FROM auth.user_status u WHERE pg_temp.look(u::text);
SELECT count(*) > 0 AS some FROM auth.session_status s WHERE pg_temp.look(s::text);
SELECT count(*) > 0 AS some FROM auth.key_status k WHERE pg_temp.look(k::text);
SELECT count(*) AS looks, count(*) FILTER (WHERE EXISTS (SELECT FROM secret WHERE strpos(content, value) > 0)) AS leaks FROM seen WHERE source = 'look';
-- nor are the settings that only superusers see
\set VERBOSITY sqlstate
SELECT auth._setting('master_key_file');
\set VERBOSITY default
SELECT auth._setting('issuer') = '' AS others;
RESET ROLE;

-- What was granted can be taken back, all of it.
SELECT auth.revoke_access('regress_' || b, b) FROM unnest('{client,admin,keys,monitor,authenticator,owner}'::text[]) b;
SELECT r.rolname, count(*) FROM pg_roles r, pg_proc p WHERE r.rolname ~ '^regress_(client|admin|keys|monitor|owner)$' AND p.pronamespace = 'auth'::regnamespace
   AND has_function_privilege(r.oid, p.oid, 'EXECUTE') AND NOT has_function_privilege('public', p.oid, 'EXECUTE') GROUP BY 1;
SELECT r.rolname, c.relname FROM pg_roles r, pg_class c WHERE r.rolname ~ '^regress_(client|admin|keys|monitor|owner)$' AND c.relnamespace = 'auth'::regnamespace AND c.relkind IN ('r', 'v')
   AND (has_any_column_privilege(r.oid, c.oid, 'SELECT') OR has_table_privilege(r.oid, c.oid, 'DELETE'));

DROP TABLE secret;
SET client_min_messages = warning;
DROP EXTENSION jwt_auth CASCADE;
DROP SCHEMA auth;
DROP TABLE seen;
DROP FUNCTION pg_temp.look(text);
DROP ROLE regress_client, regress_admin, regress_keys, regress_monitor, regress_authenticator, regress_owner, regress_grantee;
