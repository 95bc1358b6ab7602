--
-- Row-level security as docs/policies.md has it: each of its blocks is run, and
-- then what it is to prevent is tried
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION jwt_auth CASCADE;
RESET client_min_messages;
SET jwt_auth.bcrypt_cost = 4;
CREATE ROLE regress_authenticated;
CREATE ROLE regress_editor;
CREATE ROLE regress_owner;
GRANT CREATE ON SCHEMA public TO regress_owner, regress_authenticated;
\set page `cat "$PG_ABS_SRCDIR/../docs/policies.md"`
-- The block of the page that begins so, for the roles of this test
CREATE FUNCTION block(page text, beginning text) RETURNS text LANGUAGE sql AS $$
SELECT regexp_replace(b[1], '\m(TO|ROLE) (authenticated|editor)\M', '\1 regress_\2', 'g')
FROM regexp_matches(page, '```sql\n(.*?)```', 'g') b WHERE starts_with(b[1], beginning)
$$;
SELECT count(*) AS blocks FROM regexp_matches(:'page', '```sql\n(.*?)```', 'g');

SELECT auth.register(name || '@example.com', 'correct horse', name) ->> 'username' AS registered FROM unnest('{ann,bob}'::text[]) name;
UPDATE auth.users SET email_confirmed_at = now(), app_metadata = jsonb_build_object('tenant', 't-' || username);
SELECT id AS ann_id, auth.issue_access_token(id) AS ann FROM auth.users WHERE username = 'ann' \gset
SELECT id AS bob_id, auth.issue_access_token(id) AS bob FROM auth.users WHERE username = 'bob' \gset

-- Tries a command and says what came of it
CREATE FUNCTION try(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	n bigint;
BEGIN
	EXECUTE command;
	GET DIAGNOSTICS n = ROW_COUNT;
	RETURN n || ' rows';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END
$$;

--
-- Rows of their owner
--
SELECT block(:'page', 'CREATE TABLE notes') AS sql \gset
:sql
INSERT INTO notes (id, owner, body) VALUES ('00000000-0000-0000-0000-00000000000b', :'bob_id', 'bob one'), (DEFAULT, :'bob_id', 'bob two');
-- what anybody may try, with the grants of the page and then with more than one should give
CREATE TABLE attempt (n serial, command text);
INSERT INTO attempt (command) SELECT replace(replace(command, '$bob', quote_literal(:'bob_id')), '$ann', quote_literal(:'ann_id')) FROM (VALUES
	('INSERT INTO notes (body) VALUES (''mine'')'),
	('INSERT INTO notes (owner, body) VALUES ($bob, ''forged'')'),
	('INSERT INTO notes (owner, body) VALUES (NULL, ''nobody'')'),
	('INSERT INTO notes (id, body) VALUES (''00000000-0000-0000-0000-00000000000b'', ''a key of bob'')'),
	('INSERT INTO notes (id, body) VALUES (''00000000-0000-0000-0000-00000000000b'', ''x'') ON CONFLICT DO NOTHING'),
	('INSERT INTO notes (id, body) VALUES (''00000000-0000-0000-0000-00000000000b'', ''x'') ON CONFLICT (id) DO UPDATE SET body = ''taken over'''),
	('INSERT INTO notes (id, owner, body) VALUES (''00000000-0000-0000-0000-00000000000a'', $ann, ''x'') ON CONFLICT (id) DO UPDATE SET owner = $bob RETURNING *'),
	('UPDATE notes SET body = body || ''!'''), ('UPDATE notes SET body = ''x'' WHERE owner = $bob RETURNING *'),
	('UPDATE notes SET owner = $bob'), ('UPDATE notes SET owner = NULL'),
	('DELETE FROM notes WHERE owner = $bob RETURNING *'),
	('MERGE INTO notes n USING (VALUES (''00000000-0000-0000-0000-00000000000b''::uuid)) v (id) ON n.id = v.id WHEN MATCHED THEN UPDATE SET body = ''merged'' WHEN NOT MATCHED THEN DO NOTHING'),
	('MERGE INTO notes n USING (VALUES (1)) v ON false WHEN NOT MATCHED THEN INSERT (owner, body) VALUES ($bob, ''merged'')'),
	('MERGE INTO notes n USING (VALUES (1)) v ON n.owner = $ann WHEN MATCHED THEN UPDATE SET owner = $bob'),
	('MERGE INTO notes n USING (VALUES (1)) v ON n.owner = $bob WHEN MATCHED THEN DELETE'),
	('SELECT FROM notes FOR UPDATE'), ('SELECT FROM notes WHERE owner = $bob FOR UPDATE'), ('SELECT FROM notes FOR KEY SHARE'),
	('TABLE notes'), ('SELECT FROM notes WHERE owner <> auth.uid()'), ('SELECT FROM notes WHERE owner IS NULL OR auth.uid() IS NULL'),
	('WITH w AS (DELETE FROM notes RETURNING *) SELECT * FROM w'),
	('TRUNCATE notes'), ('LOCK notes IN EXCLUSIVE MODE'), ('ALTER TABLE notes DISABLE ROW LEVEL SECURITY'), ('DROP POLICY own ON notes'),
	('CREATE TABLE ask (id uuid REFERENCES notes)'), ('CREATE RULE r AS ON INSERT TO notes DO INSTEAD NOTHING'),
	('CREATE INDEX ON notes ((leak(body)))'), ('CREATE STATISTICS s ON owner, body FROM notes'),
	('SET LOCAL row_security = off; TABLE notes')
) v (command);
GRANT SELECT ON attempt TO PUBLIC;
CREATE VIEW attempts AS SELECT n, replace(replace(replace(command, auth_users.bob, '(bob)'), auth_users.ann, '(ann)'), '00000000-0000-0000-0000-00000000000', '...') AS command, command AS real
FROM attempt, (SELECT max(id::text) FILTER (WHERE username = 'bob') AS bob, max(id::text) FILTER (WHERE username = 'ann') AS ann FROM auth.users) auth_users;
GRANT SELECT ON attempts TO PUBLIC;

BEGIN;
SELECT auth.authenticate(:'ann') ->> 'email' AS signed_in;
SET LOCAL ROLE regress_authenticated;
SELECT command, try(real) AS with_the_grants_of_the_page FROM attempts ORDER BY n;
ROLLBACK;
GRANT ALL ON notes TO regress_authenticated;
REVOKE TRUNCATE, REFERENCES, TRIGGER ON notes FROM regress_authenticated;
BEGIN;
SELECT auth.authenticate(:'ann') ->> 'email' AS signed_in;
SET LOCAL ROLE regress_authenticated;
SELECT command, try(real) AS with_more_grants FROM attempts ORDER BY n;
SAVEPOINT s;
COPY notes (body) FROM stdin;
copied
\.
ROLLBACK TO s;
INSERT INTO notes (body) VALUES ('mine');
COPY notes (body) TO stdout;
ROLLBACK;
BEGIN;
SET LOCAL ROLE regress_authenticated;
SELECT command, try(real) AS with_nobody_signed_in FROM attempts ORDER BY n;
COPY notes TO stdout;
ROLLBACK;
SELECT body FROM notes ORDER BY body;
-- claims that lack something, or are no uuid, are no error and no row
CREATE FUNCTION ring(claims jsonb) RETURNS text LANGUAGE sql AS $$ SELECT auth.jwt_sign(claims || '{"type": "access"}') $$;
SET jwt_auth.check_session = off;
CREATE FUNCTION rows_with(claims jsonb) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	n bigint;
	token text := ring(claims);
BEGIN
	PERFORM auth.authenticate(token);
	SET LOCAL ROLE regress_authenticated;
	SELECT count(*) INTO n FROM notes;
	RESET ROLE;
	RETURN n;
END
$$;
BEGIN;
SELECT claims, rows_with(claims) FROM unnest(ARRAY['{}', '{"sub": ""}', '{"sub": "bob"}', '{"sub": "%"}', '{"sub": "00000000000000000000000000000000"}']::jsonb[]) claims;
SELECT rows_with(jsonb_build_object('sub', upper(:'bob_id'))) AS upper_case, rows_with(jsonb_build_object('sub', :'bob_id')) AS as_it_is;
ROLLBACK;
RESET jwt_auth.check_session;

-- Reading more than one may write
SELECT block(:'page', 'ALTER TABLE notes ADD is_public') AS sql \gset
:sql
UPDATE notes SET is_public = true WHERE body = 'bob one';
BEGIN;
SELECT auth.authenticate(:'ann') ->> 'email' AS signed_in;
SET LOCAL ROLE regress_authenticated;
SELECT body FROM notes;
SELECT try('UPDATE notes SET is_public = false'), try('DELETE FROM notes'), try('SELECT FROM notes FOR UPDATE');
ROLLBACK;

--
-- Hidden rows stay hidden from functions and plans
--
CREATE FUNCTION leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN RAISE NOTICE 'leaked: %', $1; RETURN true; END $$;
CREATE OPERATOR <<< (LEFTARG = text, RIGHTARG = text, FUNCTION = text_lt, RESTRICT = scalarltsel);
ANALYZE notes;
BEGIN;
SELECT auth.authenticate(:'ann') ->> 'email' AS signed_in;
INSERT INTO notes (body) VALUES ('ann one');
SET LOCAL ROLE regress_authenticated;
SELECT body FROM notes WHERE leak(body) AND owner = auth.uid();
EXPLAIN (COSTS OFF) SELECT body FROM notes WHERE leak(body) AND body <<< 'x';
SELECT count(*) AS statistics FROM pg_stats WHERE tablename = 'notes';
ROLLBACK;

--
-- Tenants, by the token and by a table
--
SELECT block(:'page', 'CREATE TABLE projects') AS sql \gset
:sql
SELECT block(:'page', 'CREATE TABLE members') AS sql \gset
:sql
INSERT INTO projects (tenant, name) VALUES ('t-bob', 'of bob');
INSERT INTO members VALUES ('00000000-0000-0000-0000-000000000001', :'ann_id', false),
	('00000000-0000-0000-0000-000000000001', :'bob_id', true), ('00000000-0000-0000-0000-000000000002', :'bob_id', false);
BEGIN;
SELECT auth.authenticate(:'ann') ->> 'email' AS signed_in;
SET LOCAL ROLE regress_authenticated;
INSERT INTO projects (name) VALUES ('of ann') RETURNING tenant, name;
SELECT name FROM projects;
SELECT try('INSERT INTO projects (tenant, name) VALUES (''t-bob'', ''x'')'), try('UPDATE projects SET tenant = ''t-bob''');
SELECT team, user_id = auth.uid() AS me FROM members ORDER BY 1, 2 DESC;
SELECT try('UPDATE members SET is_admin = true'), try(format('INSERT INTO members VALUES (''00000000-0000-0000-0000-000000000002'', %L)', auth.uid())), try('DELETE FROM members');
RESET ROLE;
SELECT auth.authenticate(:'bob') ->> 'email' AS signed_in;
SET LOCAL ROLE regress_authenticated;
SELECT name FROM projects;
SELECT try('UPDATE members SET is_admin = true WHERE team = ''00000000-0000-0000-0000-000000000002'''), try('UPDATE members SET is_admin = true');
SELECT auth.deauthenticate();
SELECT try('TABLE projects'), try('INSERT INTO projects (name) VALUES (''x'')'), try('TABLE members');
ROLLBACK;

--
-- Roles, and what must hold besides
--
SELECT block(:'page', 'CREATE POLICY editors') AS sql \gset
:sql
BEGIN;
SELECT auth.authenticate(:'ann') ->> 'email' AS signed_in;
SET LOCAL ROLE regress_editor;
SELECT body FROM notes ORDER BY body;
SELECT try('INSERT INTO notes (body) VALUES (''x'')');
-- The claims are still those of Ann, and the role is another one
SET LOCAL ROLE regress_authenticated;
SELECT auth.email(), current_user, body FROM notes;
INSERT INTO notes (body) VALUES ('confirmed');
ROLLBACK;
UPDATE auth.users SET email_confirmed_at = NULL WHERE username = 'ann';
SELECT auth.issue_access_token(id) AS unconfirmed FROM auth.users WHERE username = 'ann' \gset
BEGIN;
SELECT auth.authenticate(:'unconfirmed') ->> 'email' AS signed_in;
SET LOCAL ROLE regress_authenticated;
SELECT try('INSERT INTO notes (body) VALUES (''x'')');
ROLLBACK;

--
-- Who passes: superusers, BYPASSRLS, owners without FORCE, SECURITY DEFINER
-- functions and plain views of theirs
--
SELECT block(:'page', 'CREATE VIEW note_list') AS sql \gset
:sql
CREATE VIEW plain_list AS SELECT id, body FROM notes;
CREATE MATERIALIZED VIEW stored_list AS SELECT id, body FROM notes;
CREATE FUNCTION all_notes() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS $$ SELECT count(*) FROM notes WHERE auth.uid() IS NOT NULL $$;
GRANT SELECT ON plain_list, stored_list TO regress_authenticated;
CREATE ROLE regress_bypass BYPASSRLS;
GRANT SELECT ON notes TO regress_bypass;
BEGIN;
SELECT auth.authenticate(:'ann') ->> 'email' AS signed_in;
SELECT count(*) AS superuser FROM notes;
SET LOCAL ROLE regress_bypass;
SELECT count(*) AS bypassrls FROM notes;
SET LOCAL ROLE regress_authenticated;
SELECT (SELECT count(*) FROM notes) AS notes, (SELECT count(*) FROM note_list) AS security_invoker, (SELECT count(*) FROM plain_list) AS plain_view,
	   (SELECT count(*) FROM stored_list) AS materialized, all_notes() AS definer;
ROLLBACK;
SELECT block(:'page', 'SELECT c.oid::regclass') AS sql \gset
:sql
ALTER TABLE projects OWNER TO regress_owner;
BEGIN;
SET LOCAL ROLE regress_owner;
SELECT count(*) AS owner FROM projects;
ROLLBACK;
SELECT block(:'page', 'ALTER TABLE projects FORCE') AS sql \gset
:sql
BEGIN;
SET LOCAL ROLE regress_owner;
SELECT count(*) AS owner_with_force FROM projects;
SET LOCAL row_security = off;	-- as pg_dump does
SELECT count(*) FROM projects;
ROLLBACK;

--
-- An index condition, and a foreign key that takes the rows along
--
BEGIN;
SET LOCAL enable_seqscan = off;
SELECT auth.authenticate(:'ann') ->> 'email' AS signed_in;
DROP POLICY published ON notes;
SET LOCAL ROLE regress_authenticated;
EXPLAIN (COSTS OFF) SELECT body FROM notes;
ROLLBACK;

-- Trying it out
INSERT INTO notes (owner, body) VALUES (:'ann_id', 'ann one');
SELECT block(:'page', 'BEGIN;') AS sql \gset
:sql
SELECT auth.delete_user(id) FROM auth.users WHERE username = 'ann';
SELECT body FROM notes ORDER BY body;

DROP VIEW attempts, plain_list, note_list;
DROP MATERIALIZED VIEW stored_list;
DROP TABLE attempt, notes, projects, members;
DROP FUNCTION block, try, ring, rows_with, all_notes, my_teams, leak CASCADE;
DROP OPERATOR <<< (text, text);
REVOKE CREATE ON SCHEMA public FROM regress_owner, regress_authenticated;
DROP ROLE regress_authenticated, regress_editor, regress_owner, regress_bypass;
DROP EXTENSION jwt_auth CASCADE;
DROP SCHEMA auth;
