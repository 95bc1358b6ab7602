--
-- jwt_auth.switch_role: authenticate() takes the token's role too, and no other
-- than the session's own user may have
--
SET client_min_messages = warning;
CREATE EXTENSION jwt_auth CASCADE;
RESET client_min_messages;
SET jwt_auth.bcrypt_cost = 4;
\set superuser :USER
CREATE ROLE regress_person;
CREATE ROLE regress_boss;
CREATE ROLE regress_app LOGIN NOINHERIT;
GRANT regress_person TO regress_app;
SELECT count(auth.register(name || '@example.com', 'correct horse', name)) AS registered FROM unnest(ARRAY['alice', 'boss', 'ghost']) AS name;
UPDATE auth.users SET role = CASE username WHEN 'alice' THEN 'regress_person' WHEN 'boss' THEN 'regress_boss' ELSE 'regress_ghost' END;
SELECT auth.login(NULL, 'correct horse', 'alice') ->> 'access_token' AS alice, auth.login(NULL, 'correct horse', 'boss') ->> 'access_token' AS boss,
	   auth.login(NULL, 'correct horse', 'ghost') ->> 'access_token' AS ghost \gset
SELECT auth.jwt_sign(jsonb_build_object('sub', id, 'type', 'access')) AS no_role, auth.jwt_sign(jsonb_build_object('sub', id, 'type', 'access', 'role', 'none')) AS none,
	   auth.jwt_sign(jsonb_build_object('sub', id, 'type', 'access', 'role', '')) AS empty, auth.jwt_sign(jsonb_build_object('sub', id, 'type', 'access', 'role', 1)) AS number
FROM auth.users WHERE username = 'alice' \gset
CREATE FUNCTION who() RETURNS text LANGUAGE sql AS $$ SELECT format('%s as %s', coalesce(split_part(auth.email(), '@', 1), 'nobody'), current_user) $$;
CREATE FUNCTION try(token text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	reason text;
BEGIN
	PERFORM auth.authenticate(token);
	RETURN 'ok: ' || who();
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS reason = PG_EXCEPTION_DETAIL;
	RETURN concat_ws(', ', SQLSTATE, SQLERRM, nullif(reason, '')) || ': ' || who();
END
$$;

-- Nobody else turns it on
SET ROLE regress_app;
SET jwt_auth.switch_role = on;
RESET ROLE;
ALTER ROLE regress_app SET jwt_auth.switch_role = on;
\c - regress_app

BEGIN;
SELECT auth.authenticate(:'alice') ->> 'role' AS role;
SELECT who();
SELECT auth.deauthenticate();
SELECT who();
SELECT try(:'alice');
COMMIT;
SELECT who();

-- With savepoints
BEGIN;
SAVEPOINT s;
SELECT try(:'alice');
ROLLBACK TO s;
SELECT who();
SELECT try(:'alice');
RELEASE s;
SELECT who();
ROLLBACK;
SELECT who();

-- For the session
SELECT auth.authenticate(:'alice', false) ->> 'role' AS role;
SELECT who();
DISCARD ALL;
SELECT who();
SELECT auth.authenticate(:'alice', false) ->> 'role' AS role;
BEGIN; SELECT auth.deauthenticate(); COMMIT;
SELECT who();

-- No role, one that the session's user is no member of, and none at all: nobody
BEGIN;
SELECT try(:'alice');
SELECT try(:'boss');
SELECT try(:'ghost');
SELECT try(:'no_role');
SELECT try(:'none');
SELECT try(:'empty');
SELECT try(:'number');
SELECT try('x');
SELECT try(:'alice');
COMMIT;
SELECT auth.authenticate(:'boss', false);
SELECT who();

-- Nor where a role cannot be set
\c - :superuser
CREATE FUNCTION definer(token text) RETURNS text LANGUAGE sql SECURITY DEFINER AS $$ SELECT try(token) $$;
GRANT CREATE ON SCHEMA public TO regress_person;
\c - regress_app
BEGIN;
SELECT try(:'alice');
SELECT split_part(definer(:'alice'), ' as ', 1) AS definer;
SELECT who();
COMMIT;

-- An outside token takes a role that its issuer may give, and else signs nobody in
\c - :superuser
SELECT jwk AS idp, jsonb_build_object('keys', jsonb_build_array(auth.jwk_public(jwk))) AS jwks FROM auth.jwk_generate('ES256', 'k1') AS jwk \gset
SELECT auth.trust_issuer('https://idp.example', :'jwks', '{app}', roles => '{regress_person,none}');
SELECT auth.jwt_sign(c || '{"role": "regress_person"}', :'idp'::jsonb) AS outside, auth.jwt_sign(c || '{"role": "regress_boss"}', :'idp'::jsonb) AS outside_boss,
	   auth.jwt_sign(c || '{"role": "none"}', :'idp'::jsonb) AS outside_none, auth.jwt_sign(c, :'idp'::jsonb) AS outside_no_role
FROM jsonb_build_object('iss', 'https://idp.example', 'aud', 'app', 'sub', 's', 'email', 'outside@example.com', 'exp', 4102444800) AS c \gset
\c - regress_app
BEGIN;
SELECT try(:'outside');
SELECT try(:'outside_boss'), try(:'outside_none'), try(:'outside_no_role');
COMMIT;

-- A plan that was made for another role is not used
\c - :superuser
CREATE TABLE notes (owner text);
INSERT INTO notes VALUES ('alice@example.com'), ('boss@example.com');
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON notes TO regress_person USING (owner = auth.email());
CREATE POLICY every ON notes TO regress_boss USING (true);
GRANT SELECT ON notes TO regress_person, regress_boss;
GRANT regress_boss TO regress_app;
\c - regress_app
SET plan_cache_mode = force_generic_plan;
PREPARE mine AS SELECT count(*) FROM notes;
BEGIN; SELECT try(:'boss'); EXECUTE mine; COMMIT;
BEGIN; SELECT try(:'alice'); EXECUTE mine; COMMIT;
EXECUTE mine;

\c - :superuser
DROP TABLE notes;
DROP FUNCTION definer, try, who;
DROP OWNED BY regress_person;
DROP ROLE regress_app, regress_person, regress_boss;
DROP EXTENSION jwt_auth CASCADE;
DROP SCHEMA auth;
