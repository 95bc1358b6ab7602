--
-- Functions of the application: claims_hook, credential_check,
-- user_created_hook, and the claims that token_claims leaves out
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION jwt_auth CASCADE;
RESET client_min_messages;
SET jwt_auth.bcrypt_cost = 4;
SET jwt_auth.max_failed_logins = 0;
CREATE ROLE regress_app;
CREATE ROLE regress_editor;
CREATE ROLE regress_super SUPERUSER;
CREATE ROLE regress_bypass BYPASSRLS;
CREATE SCHEMA app AUTHORIZATION regress_app;

-- The outcome of an answer, with the HTTP status that PostgREST would send.
CREATE FUNCTION pg_temp.outcome(answer jsonb) RETURNS text LANGUAGE sql AS
$$ SELECT concat_ws(' ', coalesce(answer ->> 'error_code', 'ok'), nullif(current_setting('response.status', true), '')) $$;
CREATE FUNCTION pg_temp.claims(answer jsonb) RETURNS jsonb LANGUAGE sql AS
$$ SELECT auth.jwt_verify(answer ->> 'access_token') - '{sub,iss,iat,exp,jti,sid,auth_time}'::text[] $$;
-- What a call raises, with all that its error says, or else "ok".
CREATE FUNCTION pg_temp.try(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	message text;
	detail text;
	hint text;
	context text;
BEGIN
	EXECUTE command;
	RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT, context = PG_EXCEPTION_CONTEXT;
	RETURN concat_ws(' ', SQLSTATE, message, nullif(detail, ''), nullif(hint, ''),
					 CASE WHEN concat(message, detail, hint, replace(context, command, '')) ~ 'secret|horse|@example|app\.(raises|broken|nothing|made)' THEN 'LEAK ' || context END);
END
$$;
CREATE FUNCTION pg_temp.id(person text) RETURNS uuid LANGUAGE sql AS
$$ SELECT id FROM auth.users WHERE username = person $$;

SELECT auth.create_user('ann@example.com', 'correct horse', 'ann', 'regress_editor', app_metadata => '{"tenant": "acme"}') IS NOT NULL AS ann;

--
-- The settings are an administrator's
--
SET ROLE regress_app;
SELECT setting, pg_temp.try(format('SET LOCAL jwt_auth.%I = %L', setting, value))
FROM (VALUES ('claims_hook', 'app.f'), ('credential_check', 'app.f'), ('user_created_hook', 'app.f'), ('token_claims', '')) AS s (setting, value);
RESET ROLE;

--
-- claims_hook: adds to every access token
--
CREATE FUNCTION app.tenant(user_id uuid, claims jsonb) RETURNS jsonb LANGUAGE sql AS
$$ SELECT claims || jsonb_build_object('tenant', claims #> '{app_metadata,tenant}') $$;
ALTER FUNCTION app.tenant OWNER TO regress_app;
SET jwt_auth.claims_hook = 'app.tenant';
SELECT auth.login('ann@example.com', 'correct horse') AS answer \gset
SELECT pg_temp.claims(:'answer') AS login;
SELECT pg_temp.claims(auth.refresh(:'answer'::jsonb ->> 'refresh_token')) AS refresh;
SELECT pg_temp.claims(auth.create_session(pg_temp.id('ann'))) AS create_session;
SELECT auth.jwt_verify(auth.issue_access_token(pg_temp.id('ann'), extra => '{"scope": "read"}')) ->> 'tenant' AS issue_access_token;
SELECT key AS theirs, jsonb_build_object('keys', jsonb_build_array(auth.jwk_public(key))) AS their_set FROM auth.jwk_generate('ES256', 'theirs') AS key \gset
SELECT auth.trust_issuer('https://id.example', :'their_set', '{app}');
SELECT auth.jwt_sign('{"iss": "https://id.example", "aud": "app", "sub": "x", "exp": 9999999999}', :'theirs'::jsonb) AS id_token \gset
SELECT pg_temp.claims(auth.login_with_id_token(:'id_token')) AS login_with_id_token;

-- It sees who it is about and what the token would say without it.
CREATE FUNCTION app.sees(user_id uuid, claims jsonb) RETURNS jsonb LANGUAGE sql AS
$$ SELECT claims || jsonb_build_object('saw', (SELECT string_agg(k, ' ' ORDER BY k) FROM jsonb_object_keys(claims) k), 'same', claims ->> 'sub' = user_id::text) $$;
SET jwt_auth.claims_hook = 'app.sees';
SELECT pg_temp.claims(auth.login('ann@example.com', 'correct horse')) - '{role,amr,email,email_verified,app_metadata,client_id,type}'::text[] AS seen;

-- It may drop what is not fixed, and name a role that a user can have.
CREATE FUNCTION app.changes(user_id uuid, claims jsonb) RETURNS jsonb LANGUAGE sql AS
$$ SELECT claims - '{email,email_verified,app_metadata}'::text[] || '{"role": "regress_app"}' $$;
SET jwt_auth.claims_hook = 'app.changes';
SELECT pg_temp.claims(auth.login('ann@example.com', 'correct horse'));

--
-- It runs as its owner, whoever calls, and leaves nothing behind
--
CREATE FUNCTION app.try(command text) RETURNS text LANGUAGE plpgsql AS
$$ BEGIN EXECUTE command; RETURN 'done'; EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE || ' ' || SQLERRM; END $$;
CREATE FUNCTION app.explores(user_id uuid, claims jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	command text;
	found jsonb := '{}';
BEGIN
	FOREACH command IN ARRAY ARRAY['TABLE auth.users', 'SELECT auth.set_active(NULL, true)', 'SET ROLE regress_super', 'RESET ROLE', 'SET SESSION AUTHORIZATION regress_super',
		'RESET SESSION AUTHORIZATION', 'SET jwt_auth.claims = ''1 = {"sub": "x"}''', 'SELECT auth.authenticate(''x.y.z'')', 'SELECT auth.deauthenticate()', 'SELECT auth.pre_request()',
		'SET jwt_auth.claims_hook = ''''', 'SET response.status = ''200''', 'SET search_path = public', 'SET LOCAL regress.x = ''y''', 'COMMIT'] LOOP
		found := found || jsonb_build_object(command, app.try(command));
	END LOOP;
	RETURN claims || jsonb_build_object('found', found || jsonb_build_object('user', current_user, 'uid', auth.uid()));
END
$$;
CREATE FUNCTION app.path(user_id uuid, claims jsonb) RETURNS jsonb LANGUAGE sql AS
$$ SELECT claims || jsonb_build_object('path', current_setting('search_path')) $$;
ALTER FUNCTION app.explores OWNER TO regress_app;
ALTER FUNCTION app.path OWNER TO regress_app;
SET jwt_auth.claims_hook = ' APP . "path" ';
SELECT pg_temp.claims(auth.login('ann@example.com', 'correct horse')) ->> 'path' AS path;
SET jwt_auth.claims_hook = 'app.explores';
BEGIN;
SELECT auth.authenticate(:'answer'::jsonb ->> 'access_token') IS NOT NULL AS signed_in;
SELECT command, result FROM jsonb_each_text(pg_temp.claims(auth.login('ann@example.com', 'correct horse')) -> 'found') AS f (command, result)
WHERE command <> 'uid' ORDER BY command COLLATE "C";
SELECT auth.uid() = pg_temp.id('ann') AS still_ann, current_user = session_user AS same_user, current_setting('search_path') AS path,
	   current_setting('regress.x', true) AS x, current_setting('jwt_auth.claims_hook') AS hook;
COMMIT;
-- A token of somebody else's counts within the hook alone.
SELECT auth.create_user(username => 'bob') AS bob \gset
SET jwt_auth.claims_hook = '';
SELECT set_config('regress.token', auth.create_session(:'bob') ->> 'access_token', false) IS NOT NULL AS bobs_token;
CREATE FUNCTION app.pretends(user_id uuid, claims jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	PERFORM auth.authenticate(current_setting('regress.token'), current_setting('regress.is_local')::boolean);
	IF current_setting('regress.raise')::boolean THEN
		RAISE EXCEPTION 'secret';
	END IF;
	RETURN claims || jsonb_build_object('uid', auth.uid());
END
$$;
SET jwt_auth.claims_hook = 'app.pretends';
SET regress.raise = false;
BEGIN;
SELECT auth.authenticate(:'answer'::jsonb ->> 'access_token') IS NOT NULL AS signed_in;
SELECT is_local, pg_temp.claims(auth.login('ann@example.com', 'correct horse')) ->> 'uid' = :'bob' AS bob_within, auth.uid() = pg_temp.id('ann') AS ann_after
FROM unnest('{true,false}'::text[]) AS is_local, LATERAL (SELECT set_config('regress.is_local', is_local, true) OFFSET 0) s;
SET LOCAL regress.raise = true;
SELECT is_local, pg_temp.outcome(auth.login('ann@example.com', 'correct horse')) AS login, auth.uid() = pg_temp.id('ann') AS ann_after
FROM unnest('{true,false}'::text[]) AS is_local, LATERAL (SELECT set_config('regress.is_local', is_local, true) OFFSET 0) s;
COMMIT;
SELECT auth.uid();

--
-- What is wrong with a hook signs nobody in, and says nothing of it
--
SET jwt_auth.claims_hook = '';
SELECT auth.create_session(pg_temp.id('ann')) ->> 'refresh_token' AS refresh \gset
DELETE FROM auth.audit_log;
CREATE FUNCTION app.two(jsonb, uuid) RETURNS jsonb LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION app.three(uuid, jsonb, text DEFAULT '') RETURNS jsonb LANGUAGE sql AS 'SELECT $2';
CREATE FUNCTION app.variadic(uuid, VARIADIC jsonb[]) RETURNS jsonb LANGUAGE sql AS 'SELECT $2[1]';
CREATE FUNCTION app.anything(uuid, anyelement) RETURNS anyelement LANGUAGE sql AS 'SELECT $2';
CREATE FUNCTION app.json(uuid, jsonb) RETURNS json LANGUAGE sql AS 'SELECT $2::json';
CREATE FUNCTION app.set(uuid, jsonb) RETURNS SETOF jsonb LANGUAGE sql AS 'SELECT $2';
CREATE PROCEDURE app.procedure(uuid, INOUT jsonb) LANGUAGE sql AS 'SELECT $2';
CREATE FUNCTION app.raises(user_id uuid, claims jsonb) RETURNS jsonb LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'secret %', claims USING DETAIL = claims, HINT = 'secret', ERRCODE = 'unique_violation'; END $$;
CREATE FUNCTION app.broken(user_id uuid, claims jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN RETURN app.nothing(claims); END $$;
CREATE TABLE app.returns (answer jsonb, take text[] DEFAULT '{}');
INSERT INTO app.returns DEFAULT VALUES;
GRANT SELECT ON app.returns TO regress_app;
-- NULL, or something of its own in the place of some of the claims
CREATE FUNCTION app.returns(user_id uuid, claims jsonb) RETURNS jsonb LANGUAGE sql AS
$$ SELECT CASE jsonb_typeof(answer) WHEN 'object' THEN claims - take || answer ELSE answer END FROM app.returns $$;
ALTER FUNCTION app.returns OWNER TO regress_app;
SELECT count(*) AS sessions FROM auth.refresh_tokens \gset

SELECT hook, pg_temp.outcome(auth.login('ann@example.com', 'correct horse')) AS login, pg_temp.try('SELECT auth.issue_access_token(pg_temp.id(''ann''))') AS issue_access_token
FROM string_to_array('tenant|app.app.tenant|app.|.tenant|app.tenant(uuid, jsonb)|"app.tenant|app|nowhere.f|app.nothing|app.two|app.three|app.variadic|app.anything|app.json|app.set|app.procedure|app.raises|app.broken', '|') AS hooks, unnest(hooks) AS hook,
LATERAL (SELECT set_config('jwt_auth.claims_hook', hook, false) OFFSET 0) s;

SET jwt_auth.claims_hook = 'app.returns';
CREATE FUNCTION pg_temp.returning(answer text, take text[] DEFAULT '{}') RETURNS text LANGUAGE sql AS
$$ UPDATE app.returns SET answer = $1::jsonb, take = $2;
   SELECT pg_temp.outcome(auth.login('ann@example.com', 'correct horse')) $$;
SELECT label, pg_temp.returning(answer, take) AS login
FROM (VALUES ('nothing changed', '{}', '{}'::text[]), ('NULL', NULL, '{}'), ('null', 'null', '{}'), ('array', '[]', '{}'), ('string', '"x"', '{}'), ('number', '1', '{}'),
	('role of a superuser', '{"role": "regress_super"}', '{}'), ('role that passes policies', '{"role": "regress_bypass"}', '{}'),
	('unknown role', '{"role": "regress_unknown"}', '{}'), ('role cut to 63 bytes', jsonb_build_object('role', 'regress_app' || repeat('x', 60))::text, '{}'),
	('role that is no string', '{"role": ["regress_app"]}', '{}'), ('no role', '{}', '{role}'), ('role that users can have', '{"role": "regress_app"}', '{}'),
	('too large', jsonb_build_object('x', repeat('x', 50000))::text, '{}'), ('prints as megabytes', '{"x": [1e131000]}', '{}'),
	('too deep', '{"x": ' || repeat('[', 300) || repeat(']', 300) || '}', '{}')) AS attempt (label, answer, take);
SELECT claim, pg_temp.returning('{}', ARRAY[claim]) AS removed, pg_temp.returning(jsonb_build_object(claim, 'x')::text) AS changed, pg_temp.returning(jsonb_build_object(claim, NULL)::text) AS nullified
FROM unnest('{iss,sub,aud,exp,nbf,iat,jti,type,sid,client_id,auth_time,amr,tenant}'::text[]) AS claim;

-- Nothing is left of it: no session but those of the answers that were "ok", and
-- a refresh token is not used up.
SELECT pg_temp.returning('[]') AS login;
SELECT pg_temp.outcome(auth.refresh(:'refresh')), pg_temp.outcome(auth.refresh(:'refresh')) AS again, pg_temp.outcome(auth.create_session(pg_temp.id('ann'))) AS create_session,
	   pg_temp.outcome(auth.login_with_id_token(:'id_token')) AS id_token, pg_temp.outcome(auth.token('password', 'ann', 'correct horse')) AS token;
SELECT generation FROM auth.refresh_tokens WHERE session_id::text = (auth.jwt_decode(:'refresh')).payload ->> 'sid';
SELECT event, details ->> 'reason' AS reason, bool_or(user_id IS NOT NULL) AS names_user FROM auth.audit_log GROUP BY 1, 2 ORDER BY 1, 2;
SELECT count(*) - :sessions - (SELECT count(*) FROM auth.audit_log WHERE event = 'login') AS left_behind FROM auth.refresh_tokens;
SET jwt_auth.claims_hook = '';
SELECT pg_temp.outcome(auth.refresh(:'refresh'));

-- Who cancels, or has to try again, is told so.
CREATE FUNCTION app.interrupted(user_id uuid, claims jsonb) RETURNS jsonb LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'secret' USING ERRCODE = current_setting('regress.sqlstate'); END $$;
SET jwt_auth.claims_hook = 'app.interrupted';
SELECT pg_temp.try(format('SET LOCAL regress.sqlstate = %L; SELECT auth.login(''ann@example.com'', ''correct horse'')', code)) FROM unnest('{40001,40P01}'::text[]) AS code;
SET regress.sqlstate = '57014';
SELECT auth.login('ann@example.com', 'correct horse');
SET jwt_auth.claims_hook = '';

-- One that has itself called, as a function of ours would, comes to an end.
SET jwt_auth.claims_hook = 'auth._final_claims';
SELECT pg_temp.outcome(auth.login('ann@example.com', 'correct horse'));
CREATE SEQUENCE app.calls;
CREATE FUNCTION app.nested(user_id uuid, claims jsonb) RETURNS jsonb LANGUAGE plpgsql AS
$$ BEGIN PERFORM nextval('app.calls'), auth.issue_access_token(user_id); RETURN claims; EXCEPTION WHEN external_routine_exception THEN RETURN claims; END $$;
SET jwt_auth.claims_hook = 'app.nested';
SELECT pg_temp.outcome(auth.login('ann@example.com', 'correct horse'));
SELECT nextval('app.calls') - 1 AS calls;
SET jwt_auth.claims_hook = '';
SET jwt_auth.user_created_hook = 'auth._user_created';
SELECT pg_temp.outcome(auth.register('zoe@example.com', 'correct horse'));
SET jwt_auth.user_created_hook = '';

--
-- token_claims: what travels, of the claims that a token can do without
--
SELECT value, pg_temp.try(format('SET LOCAL jwt_auth.token_claims = %L', value)) FROM unnest('{"","email","role, email","sub","email, tenant","email,,"}'::text[]) AS value;
SELECT value, pg_temp.claims(auth.login('ann@example.com', 'correct horse')) AS claims
FROM unnest('{"","role","email_verified, amr, app_metadata"}'::text[]) AS value, LATERAL (SELECT set_config('jwt_auth.token_claims', value, false) OFFSET 0) s;
-- All that tokens are for works without them, and a hook cannot bring them back.
SET jwt_auth.token_claims = '';
SET jwt_auth.claims_hook = 'app.tenant';
SELECT auth.login('ann@example.com', 'correct horse') AS answer \gset
SELECT pg_temp.claims(:'answer') AS login, auth.introspect(:'answer'::jsonb ->> 'access_token') -> 'active' AS active, pg_temp.outcome(auth.refresh(:'answer'::jsonb ->> 'refresh_token')) AS refresh;
BEGIN;
SELECT auth.authenticate(:'answer'::jsonb ->> 'access_token') ->> 'tenant' AS signed_in;
SELECT auth.uid() = pg_temp.id('ann') AS uid, auth.session_id() IS NOT NULL AS session, auth.email(), auth.role(), auth.logout('session');
COMMIT;
RESET jwt_auth.token_claims;
SET jwt_auth.claims_hook = '';

--
-- credential_check: users who are kept elsewhere
--
CREATE TABLE app.people (id uuid, name text, password text, is_broken boolean DEFAULT false);
INSERT INTO app.people VALUES ('00000000-0000-0000-0000-00000000000a', 'zoe', 'battery staple'), ('00000000-0000-0000-0000-00000000000b', 'kim@example.com', 'battery staple'),
	('00000000-0000-0000-0000-00000000000c', 'ann', 'battery staple'), ('00000000-0000-0000-0000-00000000000d', 'max', '');
ALTER TABLE app.people OWNER TO regress_app;
CREATE FUNCTION app.knows(identifier text, password text) RETURNS uuid LANGUAGE plpgsql AS $$
BEGIN
	IF current_user <> 'regress_app' OR (SELECT bool_or(is_broken) FROM app.people) THEN
		RAISE EXCEPTION 'secret % %', identifier, password;
	END IF;
	RETURN (SELECT p.id FROM app.people p WHERE p.name = identifier AND p.password = knows.password);
END
$$;
ALTER FUNCTION app.knows OWNER TO regress_app;
SET jwt_auth.credential_check = 'app.knows';
DELETE FROM auth.audit_log;
SELECT label, pg_temp.outcome(answer) AS answer, nullif(answer #>> '{user,id}', pg_temp.id('ann')::text) AS id
FROM (VALUES
	('by username', NULL, 'zoe', 'battery staple'),
	('by email', 'kim@example.com', NULL, 'battery staple'),
	('again', NULL, 'zoe', 'battery staple'),
	('wrong', NULL, 'zoe', 'correct horse'),
	('unknown', NULL, 'nobody', 'battery staple'),
	('empty password', NULL, 'max', ''),
	('no identifier', NULL, '', 'battery staple'),
	('huge password', NULL, 'zoe', repeat('x', 10000000)),
	('huge identifier', NULL, repeat('x', 10000000), 'battery staple'),
	-- an account with a password here is ours, and the hook is not asked
	('ours', 'ann@example.com', NULL, 'correct horse'),
	('theirs of the same name', NULL, 'ann', 'battery staple')
) AS attempt (label, email, username, password), LATERAL (SELECT auth.login(email, password, username) OFFSET 0) AS a (answer);
SELECT id, email, username, password_hash, role, is_active, last_login_at IS NOT NULL AS signed_in FROM auth.users WHERE id IN (SELECT id FROM app.people) ORDER BY id;
SELECT event, details, count(*) FROM auth.audit_log GROUP BY 1, 2 ORDER BY 1, 2;
SELECT pg_temp.outcome(auth.token('password', 'kim@example.com', 'battery staple')) AS token;

-- A disabled account stays so, which is said after the right password alone.
SELECT auth.set_active('00000000-0000-0000-0000-00000000000a', false);
SELECT pg_temp.outcome(auth.login(username => 'zoe', password => 'battery staple')), pg_temp.outcome(auth.login(username => 'zoe', password => 'wrong'));
SELECT auth.set_active('00000000-0000-0000-0000-00000000000a', true);

-- There is no password here that its owner could change; an administrator can make one.
BEGIN;
SELECT auth.authenticate(auth.login(username => 'zoe', password => 'battery staple') ->> 'access_token') ->> 'amr' AS signed_in;
SELECT pg_temp.outcome(auth.change_password('battery staple', 'correct horse')) AS theirs, pg_temp.outcome(auth.change_password(NULL, 'correct horse')) AS first;
SELECT pg_temp.outcome(auth.update_me(username => 'zoe')) AS update_me;
SELECT auth.set_password(auth.uid(), 'correct horse');
SELECT pg_temp.outcome(auth.login(username => 'zoe', password => 'correct horse')) AS ours_now, pg_temp.outcome(auth.login(username => 'zoe', password => 'battery staple')) AS theirs;
ROLLBACK;

-- The function may name an account of ours, which keeps its own password.
SELECT auth.create_user(username => 'tim', password => 'correct horse') AS tim \gset
UPDATE app.people SET id = :'tim' WHERE name = 'kim@example.com';
SET jwt_auth.bcrypt_cost = 5;
SELECT pg_temp.outcome(auth.login('kim@example.com', 'battery staple')) AS theirs, pg_temp.outcome(auth.login(username => 'tim', password => 'battery staple')) AS wrong;
SELECT left(password_hash, 7) AS hash FROM auth.users WHERE username = 'tim';
SELECT pg_temp.outcome(auth.login(username => 'tim', password => 'correct horse')) AS ours;
SET jwt_auth.bcrypt_cost = 4;
UPDATE app.people SET id = '00000000-0000-0000-0000-00000000000b' WHERE name = 'kim@example.com';

-- Guesses are counted, also where the hook raises for them.
SET jwt_auth.max_failed_logins = 4;
SELECT string_agg(pg_temp.outcome(auth.login(username => name, password => 'guess')), ', ') FROM unnest('{zoe,zoe,zoe,nobody,nobody,nobody}'::text[]) AS name;
SELECT pg_temp.outcome(auth.login(username => 'zoe', password => 'battery staple')) AS right_password;
TRUNCATE auth.login_failures;
UPDATE app.people SET is_broken = true;
SELECT string_agg(pg_temp.outcome(auth.login(username => 'kim', password => 'guess')), ', ') FROM generate_series(1, 3);
SELECT pg_temp.try('SELECT auth.login(username => ''secret'', password => ''secret'')');
UPDATE app.people SET is_broken = false;
-- A hook that fails after the right password is no guess.
TRUNCATE auth.login_failures;
SET jwt_auth.claims_hook = 'app.raises';
SELECT string_agg(pg_temp.outcome(auth.login(username => 'zoe', password => 'battery staple')), ', ') FROM generate_series(1, 3);
SELECT count(*) AS counted FROM auth.login_failures;
SET jwt_auth.claims_hook = '';
SET jwt_auth.max_failed_logins = 0;

-- It takes one of the places in which passwords are hashed.
CREATE FUNCTION app.place(identifier text, password text) RETURNS uuid LANGUAGE sql AS
$$ SELECT '00000000-0000-0000-0000-00000000000a'::uuid FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory' AND granted $$;
SET jwt_auth.credential_check = 'app.place';
SELECT pg_temp.outcome(auth.login(username => 'x', password => 'x')) AS in_a_place;
SELECT count(*) AS places FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory';
-- One that moves a password here, for the next login, hashes it in the same place.
CREATE FUNCTION app.moves(identifier text, password text) RETURNS uuid LANGUAGE sql AS
$$ SELECT auth.set_password('00000000-0000-0000-0000-00000000000a', password); SELECT '00000000-0000-0000-0000-00000000000a'::uuid $$;
SET jwt_auth.credential_check = 'app.moves';
BEGIN;
SET LOCAL jwt_auth.max_concurrent_hashes = 2;
SELECT pg_temp.outcome(auth.login(username => 'zoe', password => 'battery staple')) AS moves;
SELECT count(*) AS places FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory';
ROLLBACK;
BEGIN;
SET LOCAL jwt_auth.max_concurrent_hashes = 1;
SELECT pg_temp.outcome(auth.login(username => 'zoe', password => 'battery staple')) AS moves;
SELECT left(password_hash, 7) AS hash FROM auth.users WHERE id = '00000000-0000-0000-0000-00000000000a';
ROLLBACK;
SET jwt_auth.credential_check = 'app.knows';

--
-- user_created_hook: told of each new user, in the same transaction
--
CREATE TABLE app.profiles (user_id uuid, name text CHECK (name <> 'secret'), by name DEFAULT current_user);
ALTER TABLE app.profiles OWNER TO regress_app;
CREATE FUNCTION app.made(user_id uuid, user_metadata jsonb) RETURNS void LANGUAGE sql AS
$$ INSERT INTO app.profiles VALUES (user_id, user_metadata ->> 'name') $$;
ALTER FUNCTION app.made OWNER TO regress_app;
SET jwt_auth.user_created_hook = 'app.made';
SELECT pg_temp.outcome(auth.register('r@example.com', 'correct horse', 'r', '{"name": "register"}')) AS register, pg_temp.outcome(auth.register('r@example.com', 'correct horse')) AS taken;
SELECT auth.create_user(user_metadata => '{"name": "create_user"}') IS NOT NULL AS create_user, auth.import_user(NULL, user_metadata => '{"name": "import_user"}') IS NOT NULL AS import_user;
DELETE FROM auth.users WHERE id = '00000000-0000-0000-0000-00000000000b' OR id IN (SELECT user_id FROM auth.identities);
SELECT pg_temp.outcome(auth.login('kim@example.com', 'battery staple')) AS first, pg_temp.outcome(auth.login('kim@example.com', 'battery staple')) AS second;
SELECT pg_temp.outcome(auth.login_with_id_token(:'id_token')) AS first, pg_temp.outcome(auth.login_with_id_token(:'id_token')) AS second;
SELECT p.name, p.by, u.id IS NOT NULL AS has_user FROM app.profiles p LEFT JOIN auth.users u ON u.id = p.user_id ORDER BY p.name;

-- Nothing stays behind that would run with the rights of whoever has called: a
-- view that shadows a table, a statement, a trigger at the commit.
CREATE TABLE app.later (user_id uuid UNIQUE DEFERRABLE INITIALLY DEFERRED);
CREATE FUNCTION app.at_commit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'runs as %', current_user; RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON app.later DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION app.at_commit();
ALTER TABLE app.later OWNER TO regress_app;
ALTER FUNCTION app.at_commit OWNER TO regress_app;
CREATE FUNCTION app.stays(user_id uuid, user_metadata jsonb) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE user_metadata ->> 'command'; END $$;
ALTER FUNCTION app.stays OWNER TO regress_app;
SET jwt_auth.user_created_hook = 'app.stays';
SELECT command, pg_temp.outcome(auth.register('t@example.com', 'correct horse', NULL, jsonb_build_object('command', command)))
FROM unnest('{CREATE TEMP VIEW profiles AS SELECT 1,PREPARE stays AS SELECT 1,INSERT INTO app.later VALUES (gen_random_uuid())}'::text[]) AS command;

-- One that fails makes no user, and shows no row.
DELETE FROM auth.users WHERE id = '00000000-0000-0000-0000-00000000000b' OR id IN (SELECT user_id FROM auth.identities);
SELECT count(*) AS users FROM auth.users \gset
SELECT pg_temp.outcome(auth.register('s@example.com', 'correct horse', NULL, '{"name": "secret"}')) AS register;
SELECT pg_temp.try('SELECT auth.create_user(user_metadata => ''{"name": "secret"}'')') AS create_user;
SELECT pg_temp.try('SELECT auth.import_user(NULL, user_metadata => ''{"name": "secret"}'')') AS import_user;
SET jwt_auth.user_created_hook = 'app.nothing';
SELECT pg_temp.outcome(auth.login('kim@example.com', 'battery staple')) AS login, pg_temp.outcome(auth.login_with_id_token(:'id_token')) AS login_with_id_token;
SELECT count(*) - :users AS left_behind, (SELECT count(*) FROM app.profiles WHERE name = 'secret') AS profiles FROM auth.users;
-- check_setup() says so before anybody notices
SELECT ok, hint FROM auth.check_setup() WHERE item = 'settings';

SET client_min_messages = warning;
DROP SCHEMA app CASCADE;
DROP EXTENSION jwt_auth CASCADE;
DROP EXTENSION pgcrypto;
DROP SCHEMA auth;
DROP ROLE regress_app, regress_editor, regress_super, regress_bypass;
