--
-- What administrators do: create_user, import_user, set_password, set_active,
-- set_user_role, set_app_metadata, revoke_sessions, create_session,
-- issue_access_token, export_user, delete_user
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION jwt_auth CASCADE;
RESET client_min_messages;
SET jwt_auth.bcrypt_cost = 4;
CREATE ROLE regress_admin;
CREATE ROLE regress_editor;
CREATE ROLE regress_super SUPERUSER;
CREATE ROLE regress_bypass BYPASSRLS;
SELECT auth.grant_access('regress_admin', 'admin');

-- The outcome of an answer.
CREATE FUNCTION pg_temp.outcome(answer jsonb) RETURNS text LANGUAGE sql AS
$$ SELECT coalesce(answer ->> 'error_code', 'ok') $$;
-- What a call raises, with all that its error says, or else "ok".
CREATE FUNCTION pg_temp.try(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	message text;
	detail text;
	hint text;
BEGIN
	EXECUTE command;
	RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(' ', SQLSTATE, message, nullif(detail, ''), nullif(hint, ''));
END
$$;
CREATE FUNCTION pg_temp.id(person text) RETURNS uuid LANGUAGE sql AS
$$ SELECT id FROM auth.users WHERE username = person $$;
CREATE FUNCTION pg_temp.fates() RETURNS text LANGUAGE sql AS
$$ SELECT string_agg(concat(username, '/', name, ' ', coalesce(revoke_reason, 'lives')), ', ' ORDER BY username, name)
   FROM auth.refresh_tokens JOIN auth.users ON id = user_id $$;

--
-- create_user: any of email, username and password may be missing
--
SELECT auth.create_user('Ann@example.com', 'correct horse', 'ann', 'regress_editor', '{"colour": "red"}', '{"tenant": "acme"}', '2001-02-03 04:05:06Z') IS NOT NULL AS ann,
	   auth.create_user('bob@example.com', username => 'bob') IS NOT NULL AS no_password,
	   auth.create_user(password => 'correct horse', username => 'robot') IS NOT NULL AS no_email,
	   auth.create_user() IS NOT NULL AS nothing;
SELECT email, username, left(password_hash, 7) AS cost, role, is_active, email_confirmed_at = '2001-02-03 04:05:06Z' AS confirmed, user_metadata, app_metadata, last_login_at
FROM auth.users ORDER BY username;
SELECT pg_temp.outcome(auth.login('ann@example.com', 'correct horse')) AS ann, pg_temp.outcome(auth.login(username => 'robot', password => 'correct horse')) AS robot,
	   pg_temp.outcome(auth.login('bob@example.com', '')) AS no_password, pg_temp.outcome(auth.login('bob@example.com', 'correct horse')) AS nor_any;

--
-- import_user: everything is kept; bcrypt hashes of others verify
--
SELECT overlay(auth._hash_password('battery staple') placing '$2y$' from 1 for 4) AS hash \gset
SELECT auth.import_user('eve@example.com', :'hash', '00000000-0000-0000-0000-00000000000e', 'eve', 'regress_editor', '{"a": 1}', '{"b": 2}', '2001-02-03 04:05:06Z', '2000-01-01 00:00:00Z', false);
SELECT id, email, username, password_hash = :'hash' AS hash_kept, role, is_active, email_confirmed_at = '2001-02-03 04:05:06Z' AS confirmed, user_metadata, app_metadata, created_at = '2000-01-01 00:00:00Z' AS created
FROM auth.users WHERE username = 'eve';
SELECT auth.import_user(NULL, NULL, NULL, 'zoe', NULL, NULL, NULL, NULL, NULL, NULL) IS NOT NULL AS zoe;
SELECT role, is_active, user_metadata, app_metadata, created_at IS NOT NULL AS created FROM auth.users WHERE username = 'zoe';

-- What is refused, and that no error shows what is in a row
SELECT label, pg_temp.try(command)
FROM (VALUES
	('taken email', 'SELECT auth.create_user(''ann@EXAMPLE.com'')'),
	('taken username', 'SELECT auth.create_user(username => ''ANN'')'),
	('taken id', 'SELECT auth.import_user(''new@example.com'', id => ''00000000-0000-0000-0000-00000000000e'')'),
	('email', 'SELECT auth.create_user(''ann'')'),
	('empty email', 'SELECT auth.create_user('''')'),
	('username', 'SELECT auth.create_user(username => ''a@b'')'),
	('short password', 'SELECT auth.create_user(''new@example.com'', ''1234567'')'),
	('73 bytes', 'SELECT auth.create_user(''new@example.com'', repeat(''x'', 73))'),
	('user_metadata', 'SELECT auth.create_user(user_metadata => ''[]'')'),
	('app_metadata', 'SELECT auth.create_user(app_metadata => ''"x"'')'),
	('megabytes', 'SELECT auth.create_user(app_metadata => ''{"a": [1e131000]}'')'),
	('no such role', 'SELECT auth.create_user(role => ''regress_unknown'')'),
	('superuser', 'SELECT auth.create_user(role => ''regress_super'')'),
	('BYPASSRLS', 'SELECT auth.import_user(NULL, role => ''regress_bypass'')'),
	('empty hash', 'SELECT auth.import_user(NULL, '''')'),
	('plain text', 'SELECT auth.import_user(NULL, ''correct horse'')'),
	('md5', 'SELECT auth.import_user(NULL, ''$1$abcdefgh$G4CzaTzIDUG1sVFPjQNfk0'')'),
	('cost 3', 'SELECT auth.import_user(NULL, overlay(auth._hash_password(''x'') placing ''03'' from 5 for 2))'),
	('cost 31', 'SELECT auth.import_user(NULL, overlay(auth._hash_password(''x'') placing ''31'' from 5 for 2))'),
	('$2x$', 'SELECT auth.import_user(NULL, overlay(auth._hash_password(''x'') placing ''x'' from 3 for 1))'),
	('text before it', 'SELECT auth.import_user(NULL, ''x'' || auth._hash_password(''x''))'),
	('cut', 'SELECT auth.import_user(NULL, left(auth._hash_password(''x''), 59))'),
	('newline after it', 'SELECT auth.import_user(NULL, auth._hash_password(''x'') || E''\n'')')
) AS attempt (label, command);
SELECT count(*) FROM auth.users;

--
-- create_session: a token response without a password
--
CREATE FUNCTION pg_temp.open(person text, session_name text) RETURNS text LANGUAGE sql AS
$$ SELECT pg_temp.outcome(auth.create_session(pg_temp.id(person), name => session_name)) $$;
BEGIN;
SELECT auth.set_client('kiosk', refresh_tokens => false);
SELECT (SELECT string_agg(k, ', ' ORDER BY k) FROM jsonb_object_keys(r) k) AS answer, (r ->> 'expires_in')::int BETWEEN 1 AND 60 AS cut_short, r #>> '{user,username}' AS username,
	   auth.jwt_verify(r ->> 'access_token') - '{sub,iss,iat,exp,jti,sid,auth_time}'::text[] AS claims
FROM auth.create_session(pg_temp.id('ann'), amr => '{sso,mfa}', name => 'sso', lifetime => '1 min') r;
SELECT name, amr, expires_at = session_expires_at AS ends, session_expires_at - created_at BETWEEN '1 s' AND '1 min' AS in_a_minute FROM auth.refresh_tokens WHERE name = 'sso';
SELECT r ? 'refresh_token' AS refresh, r ->> 'expires_in' AS expires_in FROM auth.create_session(pg_temp.id('bob'), 'kiosk') r;
SELECT last_login_at IS NOT NULL AS counts_as_a_login FROM auth.users WHERE username = 'bob';
ROLLBACK;

--
-- issue_access_token: no session, and no registered claim overridden
--
SELECT auth.jwt_verify(t) - '{sub,iat,exp,jti,auth_time}'::text[] AS claims, auth.jwt_verify(t) ->> 'sub' = pg_temp.id('ann')::text AS sub,
	   (auth.jwt_verify(t) ->> 'exp')::int - (auth.jwt_verify(t) ->> 'iat')::int AS lifetime
FROM auth.issue_access_token(pg_temp.id('ann'), extra => '{"scope": "read"}', lifetime => '1 day') t;
BEGIN;
SELECT auth.authenticate(auth.issue_access_token(pg_temp.id('bob'))) IS NOT NULL AS signed_in, auth.uid() = pg_temp.id('bob') AS bob, auth.session_id();
UPDATE auth.users SET is_active = false WHERE username = 'bob';
SELECT pg_temp.try(format('SELECT auth.issue_access_token(%L)', pg_temp.id('bob')));
ROLLBACK;

SELECT label, pg_temp.try(command)
FROM (VALUES
	('no such user', 'SELECT auth.create_session(gen_random_uuid())'),
	('disabled', 'SELECT auth.create_session(pg_temp.id(''eve''))'),
	('NULL', 'SELECT auth.create_session(NULL)'),
	('unknown client', 'SELECT auth.create_session(pg_temp.id(''ann''), ''nope'')'),
	('no client', 'SELECT auth.create_session(pg_temp.id(''ann''), NULL)'),
	('no time', 'SELECT auth.create_session(pg_temp.id(''ann''), lifetime => ''0'')'),
	('centuries', 'SELECT auth.create_session(pg_temp.id(''ann''), lifetime => ''51 years'')'),
	('no such user', 'SELECT auth.issue_access_token(gen_random_uuid())'),
	('disabled', 'SELECT auth.issue_access_token(pg_temp.id(''eve''))'),
	('unknown client', 'SELECT auth.issue_access_token(pg_temp.id(''ann''), ''nope'')'),
	('negative time', 'SELECT auth.issue_access_token(pg_temp.id(''ann''), lifetime => ''-1 s'')'),
	('no object', 'SELECT auth.issue_access_token(pg_temp.id(''ann''), extra => ''[]'')'),
	('NULL', 'SELECT auth.issue_access_token(pg_temp.id(''ann''), extra => NULL)'),
	('too large', 'SELECT auth.issue_access_token(pg_temp.id(''ann''), extra => jsonb_build_object(''a'', repeat(''x'', 70000)))')
) AS attempt (label, command);
SELECT claim, pg_temp.try(format('SELECT auth.issue_access_token(pg_temp.id(''ann''), extra => %L)', jsonb_build_object(claim, 1)))
FROM unnest('{iss,sub,aud,exp,nbf,iat,jti,type,role,email,email_verified,app_metadata,sid,client_id,auth_time,amr,scope}'::text[]) AS claim;

--
-- What ends a user's sessions, all of them and nobody else's
--
SELECT pg_temp.open('ann', 'laptop'), pg_temp.open('ann', 'phone'), pg_temp.open('bob', 'tablet');
UPDATE auth.refresh_tokens SET name = 'first' WHERE name IS NULL;
BEGIN;
SELECT auth.revoke_sessions(pg_temp.id('ann')) AS ended, auth.revoke_sessions(pg_temp.id('ann')) AS again;
SELECT pg_temp.fates();
ROLLBACK;
BEGIN;
SELECT auth.set_password(pg_temp.id('ann'), 'battery staple');
SELECT pg_temp.fates();
SELECT pg_temp.outcome(auth.login('ann@example.com', 'correct horse')) AS old, pg_temp.outcome(auth.login('ann@example.com', 'battery staple')) AS new;
ROLLBACK;
BEGIN;
SELECT auth.set_active(pg_temp.id('ann'), false);
SELECT pg_temp.fates();
ROLLBACK;

--
-- Role and app_metadata go into the next token; the user's own is left alone
--
BEGIN;
SELECT auth.create_session(pg_temp.id('ann')) ->> 'refresh_token' AS refresh \gset
SELECT auth.set_user_role(pg_temp.id('ann'), 'regress_admin'), auth.set_app_metadata(pg_temp.id('ann'), '{"tenant": "other"}');
SELECT auth.jwt_verify(auth.refresh(:'refresh') ->> 'access_token') - '{sub,iss,iat,exp,jti,sid,auth_time}'::text[] AS claims;
SELECT user_metadata, app_metadata, role, updated_at > created_at AS updated FROM auth.users WHERE username = 'ann';
ROLLBACK;
SELECT label, pg_temp.try(command)
FROM (VALUES
	('set_password, short', 'SELECT auth.set_password(pg_temp.id(''ann''), ''1234567'')'),
	('set_password, NULL', 'SELECT auth.set_password(pg_temp.id(''ann''), NULL)'),
	('set_password, nobody', 'SELECT auth.set_password(gen_random_uuid(), ''battery staple'')'),
	('set_active, NULL', 'SELECT auth.set_active(pg_temp.id(''ann''), NULL)'),
	('set_active, nobody', 'SELECT auth.set_active(gen_random_uuid(), true)'),
	('set_user_role, no such role', 'SELECT auth.set_user_role(pg_temp.id(''ann''), ''regress_unknown'')'),
	('set_user_role, superuser', 'SELECT auth.set_user_role(pg_temp.id(''ann''), ''regress_super'')'),
	('set_user_role, BYPASSRLS', 'SELECT auth.set_user_role(pg_temp.id(''ann''), ''regress_bypass'')'),
	('set_user_role, NULL', 'SELECT auth.set_user_role(pg_temp.id(''ann''), NULL)'),
	('set_user_role, nobody', 'SELECT auth.set_user_role(gen_random_uuid(), ''regress_editor'')'),
	('set_app_metadata, array', 'SELECT auth.set_app_metadata(pg_temp.id(''ann''), ''[]'')'),
	('set_app_metadata, NULL', 'SELECT auth.set_app_metadata(pg_temp.id(''ann''), NULL)'),
	('set_app_metadata, nobody', 'SELECT auth.set_app_metadata(gen_random_uuid(), ''{}'')'),
	('revoke_sessions, nobody', 'SELECT auth.revoke_sessions(gen_random_uuid())'),
	('export_user, nobody', 'SELECT auth.export_user(gen_random_uuid())'),
	('delete_user, nobody', 'SELECT auth.delete_user(gen_random_uuid())')
) AS attempt (label, command);

--
-- export_user: all that is kept, and no hash or token
--
SELECT pg_temp.outcome(auth.login('bob@example.com', 'wrong horse'));
SELECT e -> 'user' ->> 'username' AS username,
	   (SELECT string_agg(k, ', ' ORDER BY k) FROM jsonb_object_keys(e) k) AS parts,
	   (SELECT string_agg(k, ', ' ORDER BY k) FROM jsonb_object_keys(e #> '{user}') k) AS "user",
	   (SELECT string_agg(k, ', ' ORDER BY k) FROM jsonb_object_keys(e #> '{sessions,0}') k) AS session,
	   (SELECT string_agg(v ->> 'event', ', ') FROM jsonb_array_elements(e -> 'events') v) AS events,
	   (SELECT string_agg(k, ', ' ORDER BY k) FROM jsonb_object_keys(e #> '{events,0}') k) AS event, e -> 'identities' AS identities, e::text ~ '\$2a\$|eyJ' AS leaks
FROM auth.export_user(pg_temp.id('bob')) e;

--
-- delete_user, as an administrator: the audit log keeps that something
-- happened, and forgets who and where from
--
SELECT pg_temp.id('bob') AS bob \gset
CREATE TABLE notes (owner uuid REFERENCES auth.users ON DELETE CASCADE, body text);
INSERT INTO notes VALUES (:'bob', 'mine'), (pg_temp.id('ann'), 'hers');
UPDATE auth.audit_log SET ip = '192.0.2.1', user_agent = 'x', details = '{"a": 1}' WHERE user_id = :'bob';
SET ROLE regress_admin;
SELECT auth.delete_user(:'bob');
SELECT auth.delete_user(:'bob');
RESET ROLE;
SELECT body FROM notes;
SELECT pg_temp.fates();
SELECT event, ip, user_agent, details FROM auth.audit_log WHERE user_id = :'bob' ORDER BY at;

-- Beyond these functions an administrator can delete users, and see that there
-- are any: but not delete one without a trace, nor forget one who stays.
SET ROLE regress_admin;
SELECT command, left(pg_temp.try(command), 5) AS result
FROM unnest(ARRAY['SELECT id FROM auth.users', 'SELECT * FROM auth.users', 'SELECT email FROM auth.users', 'UPDATE auth.users SET id = id', 'SELECT id FROM auth.users FOR UPDATE',
	'INSERT INTO auth.users DEFAULT VALUES', 'TRUNCATE auth.users', 'SELECT * FROM auth.audit_log', 'DELETE FROM auth.audit_log', 'SELECT auth._forget_user()',
	'CREATE TEMP TABLE t (id uuid); CREATE TRIGGER t AFTER DELETE ON t FOR EACH ROW EXECUTE FUNCTION auth._forget_user()', 'SELECT * FROM auth.refresh_tokens']) AS command;
DELETE FROM auth.users WHERE id = '00000000-0000-0000-0000-00000000000e';
RESET ROLE;
SELECT event, ip, user_agent, details FROM auth.audit_log WHERE user_id = '00000000-0000-0000-0000-00000000000e' ORDER BY at;
SELECT count(*) AS of_those_who_stay FROM auth.audit_log JOIN auth.users u ON u.id = user_id WHERE event = 'user_deleted';

-- All of it is in the audit log, and nothing of what was typed
SELECT auth.revoke_sessions(id), auth.set_password(id, 'battery staple'), auth.set_active(id, false), auth.set_active(id, true), auth.set_user_role(id, 'regress_admin'), auth.set_app_metadata(id, '{}')
FROM pg_temp.id('ann') AS id;
SELECT string_agg(DISTINCT event, ', ' ORDER BY event) FROM auth.audit_log;
SELECT count(*) AS leaks FROM auth.audit_log l WHERE l::text ~ 'horse|battery|eyJ|\$2';

DROP TABLE notes;
DROP EXTENSION jwt_auth CASCADE;
DROP SCHEMA auth;
DROP ROLE regress_admin, regress_editor, regress_super, regress_bypass;
