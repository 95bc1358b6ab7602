--
-- What a policy with auth.uid() holds against: roles that change, claims that
-- are missing or of another kind, functions and views that look behind it
--
SET client_min_messages = warning;
CREATE EXTENSION jwt_auth CASCADE;
RESET client_min_messages;
SET jwt_auth.bcrypt_cost = 4;
SET jwt_auth.check_session = off;
CREATE ROLE regress_person;
CREATE ROLE regress_other;
CREATE ROLE regress_owner;
SELECT count(auth.register(name || '@example.com', 'correct horse', name)) AS registered FROM unnest(ARRAY['alice', 'bob']) AS name;
SELECT auth.login('alice@example.com', 'correct horse') ->> 'access_token' AS alice \gset
SELECT id AS alice_id FROM auth.users WHERE username = 'alice' \gset
SELECT id AS bob_id FROM auth.users WHERE username = 'bob' \gset
GRANT CREATE ON SCHEMA public TO regress_owner, regress_person;
CREATE TABLE notes (id int PRIMARY KEY, owner uuid DEFAULT auth.uid(), subject text DEFAULT auth.user_id(), body text);
ALTER TABLE notes OWNER TO regress_owner;
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
ALTER TABLE notes FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON notes TO regress_person USING (owner = auth.uid());
CREATE POLICY own_subject ON notes TO regress_other USING (subject = auth.user_id());
GRANT SELECT, INSERT, UPDATE, DELETE ON notes TO regress_person, regress_other;
INSERT INTO notes SELECT n, CASE WHEN n % 2 = 0 THEN :'alice_id'::uuid ELSE :'bob_id' END, n % 2, format('note %s of %s', n, CASE WHEN n % 2 = 0 THEN 'alice' ELSE 'bob' END)
FROM generate_series(1, 10) AS n;
INSERT INTO notes VALUES (11, NULL, NULL, 'nobody''s'), (12, NULL, '', 'empty');
ANALYZE notes;
CREATE FUNCTION who() RETURNS text LANGUAGE sql AS $$ SELECT format('%s as %s', coalesce(split_part(auth.email(), '@', 1), 'nobody'), CASE WHEN current_user ~ 'regress' THEN current_user ELSE 'superuser' END) $$;
CREATE FUNCTION try(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	n bigint;
BEGIN
	EXECUTE command;
	GET DIAGNOSTICS n = ROW_COUNT;
	RETURN n;
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END
$$;
CREATE TABLE claim (n serial, name text, token text);
INSERT INTO claim (name, token)
SELECT name, auth.jwt_sign(claims || '{"type": "access"}')
FROM (VALUES ('no sub', '{}'::jsonb), ('empty', '{"sub": ""}'), ('no uuid', '{"sub": "alice"}'), ('uuid in braces', '{"sub": "{00000000-0000-0000-0000-00000000000a}"}'),
	('injected', '{"sub": "'' OR true --"}')) AS v (name, claims);
INSERT INTO claim (name, token) VALUES ('nobody', NULL), ('alice', :'alice');
GRANT SELECT ON claim TO PUBLIC;

-- Claims that are missing or of another kind: no row, no insert, no error on the way.
-- What is no uuid may still be a subject.
CREATE FUNCTION seen(id int, token text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM auth.deauthenticate(), CASE WHEN token IS NOT NULL THEN auth.authenticate(token) END;
	RETURN format('%s seen, own %s, other %s, changed %s, given away %s', (SELECT count(*) FROM notes), try(format('INSERT INTO notes (id) VALUES (%s)', 100 + id)),
		try(format('INSERT INTO notes VALUES (%s, gen_random_uuid(), ''1'')', 200 + id)),
		try('UPDATE notes SET body = ''x'''), try('UPDATE notes SET owner = gen_random_uuid(), subject = ''1'''));
END
$$;
BEGIN;
SET LOCAL ROLE regress_person;
SELECT name, seen(n, token) AS by_uid FROM claim ORDER BY n;
ROLLBACK;
BEGIN;
SET LOCAL ROLE regress_other;
SELECT name, seen(n, token) AS by_subject FROM claim WHERE name <> 'alice' ORDER BY n;
ROLLBACK;

-- Claims are the transaction's, whatever the role
BEGIN;
SELECT auth.authenticate(:'alice') IS NOT NULL AS authenticated;
SET LOCAL ROLE regress_person;
SELECT who(), count(*) FROM notes;
SET LOCAL ROLE regress_owner;
SELECT who(), count(*) AS with_force FROM notes;
RESET ROLE;
SELECT who(), count(*) AS all_of_them FROM notes;
COMMIT;
SELECT auth.authenticate(:'alice', false) IS NOT NULL AS authenticated;
SET SESSION AUTHORIZATION regress_person;
SELECT who(), count(*) FROM notes;
RESET SESSION AUTHORIZATION;
SELECT who();
BEGIN; SELECT 1/0; ROLLBACK;
SELECT who();
RESET ALL;
SELECT who();
SET jwt_auth.check_session = off;

-- One plan in a loop, and a view and a function of the table's owner
CREATE FUNCTION in_turn(tokens text[]) RETURNS SETOF text LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE
	t text;
	n int;
BEGIN
	FOREACH t IN ARRAY tokens LOOP
		PERFORM auth.deauthenticate(), auth.authenticate(t);
		SELECT count(*) INTO n FROM public.notes;
		RETURN NEXT format('%s %s', who(), n);
	END LOOP;
END
$$;
SELECT auth.login('bob@example.com', 'correct horse') ->> 'access_token' AS bob \gset
BEGIN;
SET LOCAL ROLE regress_person;
SELECT in_turn(ARRAY[:'alice', :'bob', :'alice', :'bob']);
ROLLBACK;
CREATE VIEW invoker WITH (security_invoker = on) AS SELECT * FROM notes;
CREATE VIEW definer AS SELECT * FROM notes;
ALTER VIEW definer OWNER TO regress_owner;
GRANT SELECT ON invoker, definer TO regress_person;
BEGIN;
SET LOCAL ROLE regress_person;
SELECT auth.authenticate(:'alice') IS NOT NULL AS authenticated;
SELECT (SELECT count(*) FROM invoker) AS invoker, (SELECT count(*) FROM definer) AS of_an_owner_with_force;
ROLLBACK;

-- A function that costs nothing is still not shown a hidden row
SET ROLE regress_person;
CREATE FUNCTION peek(body text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN RAISE NOTICE '%', body; RETURN true; END $$;
BEGIN;
SELECT auth.authenticate(:'alice') IS NOT NULL AS authenticated;
SELECT count(*) FROM notes WHERE peek(body);
SELECT count(*) FROM notes WHERE id > 8 AND peek(body) OR id = 1 AND 1 / (id - 1) > 0;
COMMIT;
SELECT count(*) FROM notes WHERE peek(body);
RESET ROLE;
-- Nothing of ours may run before a policy, and readers are what a plan may rely on
SELECT count(*) FILTER (WHERE proleakproof) AS leakproof FROM pg_proc WHERE pronamespace = 'auth'::regnamespace;
SELECT proname, provolatile, proparallel FROM pg_proc WHERE pronamespace = 'auth'::regnamespace AND proname IN ('uid', 'user_id', 'role', 'email', 'session_id', 'jwt', 'claim', 'authenticate') ORDER BY 1;

SET client_min_messages = warning;
DROP TABLE notes, claim CASCADE;
DROP FUNCTION peek, in_turn, seen, try, who;
REVOKE CREATE ON SCHEMA public FROM regress_owner, regress_person;
DROP ROLE regress_person, regress_other, regress_owner;
DROP EXTENSION jwt_auth CASCADE;
DROP SCHEMA auth;
