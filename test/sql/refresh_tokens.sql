-- Refresh tokens: what each of them is told to be and what comes of it, how long
-- they live, and what other people's do.
SET client_min_messages = warning;
CREATE EXTENSION jwt_auth CASCADE;
RESET client_min_messages;
SET jwt_auth.issuer = 'https://auth.example.org';
SET jwt_auth.bcrypt_cost = 4;

-- A new user with a session that has been refreshed twice, and its tokens: the
-- current one, those before, and some that a transaction made which rolled back.
CREATE TEMP TABLE held (owner text, name text, token text, PRIMARY KEY (owner, name));
CREATE FUNCTION pg_temp.sign_in(owner text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	person uuid := auth.create_user(owner || '@example.com');
	oldest text := auth.create_session(person) ->> 'refresh_token';
	previous text := (auth.rotate_refresh_token(oldest)).refresh_token;
	s auth.refresh_tokens;
BEGIN
	INSERT INTO held VALUES (owner, 'oldest', oldest), (owner, 'previous', previous),
		(owner, 'current', (auth.rotate_refresh_token(previous)).refresh_token);
	SELECT * INTO s FROM auth.refresh_tokens x WHERE x.user_id = person;
	INSERT INTO held SELECT owner, name,
		auth._sign_refresh_token(s.user_id, s.session_id, s.client_id, s.generation + more, gen_random_uuid(), s.expires_at)
	FROM (VALUES ('newer', 1), ('other current', 0), ('other previous', -1)) AS v (name, more);
END
$$;
CREATE FUNCTION pg_temp.token(owner text, name text) RETURNS text LANGUAGE sql AS
$$ SELECT h.token FROM held h WHERE (h.owner, h.name) = ($1, $2) $$;
CREATE FUNCTION pg_temp.id(owner text) RETURNS uuid LANGUAGE sql AS
$$ SELECT u.id FROM auth.users u WHERE u.email = owner || '@example.com' $$;
CREATE FUNCTION pg_temp.fate(owner text) RETURNS text LANGUAGE sql AS
$$ SELECT coalesce((SELECT coalesce(s.revoke_reason, 'lives') FROM auth.refresh_tokens s WHERE s.user_id = pg_temp.id(owner)), 'gone') $$;

-- What a token is, after something has happened: its status, and where the
-- session's fate is another than before, that
CREATE FUNCTION pg_temp.outcome(event text, happening text, name text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	owner text := 'u' || md5(event || name);
	before text;
	status text;
BEGIN
	PERFORM pg_temp.sign_in(owner);
	EXECUTE format(happening, pg_temp.id(owner));
	before := pg_temp.fate(owner);
	status := (auth.rotate_refresh_token(pg_temp.token(owner, name))).status;
	RETURN status || CASE WHEN pg_temp.fate(owner) <> before THEN ', ' || pg_temp.fate(owner) ELSE '' END;
END
$$;
CREATE TEMP TABLE event (n int GENERATED ALWAYS AS IDENTITY, event text, happening text);
INSERT INTO event (event, happening) VALUES
	('nothing', 'SELECT %L'),
	('9 s go by', 'UPDATE auth.refresh_tokens SET rotated_at = rotated_at - interval ''9 s'' WHERE user_id = %L'),
	('11 s go by', 'UPDATE auth.refresh_tokens SET rotated_at = rotated_at - interval ''11 s'' WHERE user_id = %L'),
	('the clock goes back 5 s', 'UPDATE auth.refresh_tokens SET rotated_at = rotated_at + interval ''5 s'' WHERE user_id = %L'),
	('the clock goes back 11 s', 'UPDATE auth.refresh_tokens SET rotated_at = rotated_at + interval ''11 s'' WHERE user_id = %L'),
	('logout', 'SELECT auth._end_sessions(%L, NULL, ''logout'')'),
	('it expires', 'UPDATE auth.refresh_tokens SET expires_at = clock_timestamp() WHERE user_id = %L'),
	('the session does', 'UPDATE auth.refresh_tokens SET session_expires_at = clock_timestamp() WHERE user_id = %L'),
	('disabled by hand', 'UPDATE auth.users SET is_active = false WHERE id = %L'),
	('disabled', 'SELECT auth.set_active(%L, false)'),
	('disabled and enabled', 'SELECT auth.set_active(id, false), auth.set_active(id, true) FROM CAST(%L AS uuid) id'),
	('logout, and disabled', 'SELECT auth._end_sessions(id, NULL, ''logout''), auth.set_active(id, false) FROM CAST(%L AS uuid) id'),
	('the session is gone', 'DELETE FROM auth.refresh_tokens WHERE user_id = %L'),
	('the user is gone', 'SELECT auth.delete_user(%L)');
SELECT event,
	   pg_temp.outcome(event, happening, 'current') AS current, pg_temp.outcome(event, happening, 'previous') AS previous,
	   pg_temp.outcome(event, happening, 'oldest') AS oldest
FROM event ORDER BY n;
SELECT event,
	   pg_temp.outcome(event, happening, 'newer') AS newer, pg_temp.outcome(event, happening, 'other current') AS other_current,
	   pg_temp.outcome(event, happening, 'other previous') AS other_previous
FROM event WHERE event IN ('nothing', 'logout', 'disabled by hand', 'the user is gone') ORDER BY n;

-- No grace at all
SET jwt_auth.refresh_reuse_grace = 0;
SELECT pg_temp.outcome('no grace', 'SELECT %L', 'previous') AS previous;
RESET jwt_auth.refresh_reuse_grace;

-- Within the grace the same successor is signed again: as often as one likes, and
-- none of it makes the grace longer.
SELECT pg_temp.sign_in('tab');
SELECT rotated_at AS before FROM auth.refresh_tokens WHERE user_id = pg_temp.id('tab') \gset
SELECT r.status, r.expires_at = s.expires_at AS same_expiry, p.payload - 'iat' = c.payload - 'iat' AS same_claims, s.rotated_at = :'before' AS same_time
FROM generate_series(1, 3), auth.rotate_refresh_token(pg_temp.token('tab', 'previous')) r,
	 auth.jwt_decode(r.refresh_token) p, auth.jwt_decode(pg_temp.token('tab', 'current')) c, auth.refresh_tokens s
WHERE s.session_id = r.session_id;
SELECT (auth.rotate_refresh_token('beArer ' || pg_temp.token('tab', 'current'))).status;

-- One statement that brings a token twice sees what it has done itself.
SELECT pg_temp.sign_in('twice');
SELECT (auth.rotate_refresh_token(token)).status FROM unnest(ARRAY[pg_temp.token('twice', 'current'), pg_temp.token('twice', 'current'),
	pg_temp.token('twice', 'oldest'), pg_temp.token('twice', 'oldest')]) token;

-- What is rolled back was not delivered; that includes, and this is a limit, the
-- end of a session.
SELECT pg_temp.sign_in('undo');
BEGIN;
SAVEPOINT a;
SELECT refresh_token AS lost FROM auth.rotate_refresh_token(pg_temp.token('undo', 'current')) \gset
ROLLBACK TO a;
SELECT (auth.rotate_refresh_token(:'lost')).status;
SELECT (auth.rotate_refresh_token(pg_temp.token('undo', 'current'))).status;
SELECT (auth.rotate_refresh_token(:'lost')).status;
COMMIT;
BEGIN;
SELECT (auth.rotate_refresh_token(pg_temp.token('undo', 'oldest'))).status, pg_temp.fate('undo');
ROLLBACK;
SELECT pg_temp.fate('undo');

-- Each rotation gives a new lifetime, up to the end of the session and no further.
SELECT auth.set_client('kiosk', refresh_token_lifetime => '1 hour', session_lifetime => '90 minutes');
SELECT auth.create_user('kiosk@example.com') AS kiosk \gset
SELECT auth.create_session(:'kiosk', 'kiosk') ->> 'refresh_token' AS token \gset
CREATE FUNCTION pg_temp.minutes(t timestamptz) RETURNS int LANGUAGE sql AS $$ SELECT round(extract(epoch FROM t - clock_timestamp()) / 60)::int $$;
SELECT r.status, pg_temp.minutes(r.expires_at) AS expires_in, pg_temp.minutes(s.session_expires_at) AS session_expires_in,
	   to_timestamp((d.payload ->> 'exp')::int) = r.expires_at AS exp_is_that, d.payload ->> 'client_id' AS client
FROM auth.rotate_refresh_token(:'token') r, auth.jwt_decode(r.refresh_token) d, auth.refresh_tokens s WHERE s.session_id = r.session_id;
-- 40 minutes later
UPDATE auth.refresh_tokens SET expires_at = expires_at - interval '40 minutes', session_expires_at = session_expires_at - interval '40 minutes'
WHERE user_id = :'kiosk'
RETURNING auth._sign_refresh_token(user_id, session_id, client_id, generation, jti, expires_at) AS token \gset
SELECT r.status, pg_temp.minutes(r.expires_at) AS expires_in, r.expires_at = s.session_expires_at AS as_the_session
FROM auth.rotate_refresh_token(:'token') r, auth.refresh_tokens s WHERE s.session_id = r.session_id;

-- The second in which it expires is too late, also in a transaction that began
-- before: the clock counts, not now().
SELECT pg_temp.sign_in('late');
BEGIN;
UPDATE auth.refresh_tokens SET expires_at = date_trunc('second', clock_timestamp()) + interval '2 s' WHERE user_id = pg_temp.id('late')
RETURNING auth._sign_refresh_token(user_id, session_id, client_id, generation, jti, expires_at) AS late \gset
SAVEPOINT a;
SELECT (auth.rotate_refresh_token(:'late')).status;
ROLLBACK TO a;
SELECT now() < expires_at, pg_sleep(extract(epoch FROM expires_at - clock_timestamp())) FROM auth.refresh_tokens WHERE user_id = pg_temp.id('late');
SELECT (auth.rotate_refresh_token(:'late')).status;
COMMIT;

-- What is no refresh token of ours, or not quite: one answer, and nothing happens.
SELECT pg_temp.sign_in('victim'), pg_temp.sign_in('thief');
CREATE TEMP TABLE refused AS
SELECT n, label, token FROM (VALUES
	(1, 'NULL', NULL), (2, 'empty', ''), (3, 'Bearer alone', 'Bearer '), (4, 'garbage', 'a.b.c'),
	(5, 'truncated', left(pg_temp.token('victim', 'current'), -1)),
	(6, 'signature changed', regexp_replace(pg_temp.token('victim', 'current'), '.{10}$', 'AAAAAAAAAA')),
	(7, 'signature of another', regexp_replace(pg_temp.token('victim', 'current'), '[^.]*$', '') || split_part(pg_temp.token('thief', 'current'), '.', 3)),
	(8, 'claims of another', split_part(pg_temp.token('thief', 'current'), '.', 1) || '.' || split_part(pg_temp.token('victim', 'current'), '.', 2)
		|| '.' || split_part(pg_temp.token('thief', 'current'), '.', 3)),
	(9, 'access token', auth.issue_access_token(pg_temp.id('victim'))),
	(10, 'access token that says otherwise', auth.jwt_sign((auth.jwt_decode(pg_temp.token('victim', 'current'))).payload)),
	(11, '1 MB', pg_temp.token('victim', 'current') || repeat('A', 1048576)),
	(12, 'twice', pg_temp.token('victim', 'current') || pg_temp.token('victim', 'current'))) AS v (n, label, token);
SELECT label, (auth.rotate_refresh_token(token)).status, coalesce(auth.refresh(token) ->> 'error_code', 'none') AS refresh
FROM refused ORDER BY n;
SELECT auth.revoke_refresh_token(token) FROM refused WHERE n = 6;
SELECT pg_temp.fate('victim'), generation FROM auth.refresh_tokens WHERE user_id = pg_temp.id('victim');
-- Whose access token comes along does not matter.
BEGIN;
SELECT auth.authenticate(auth.issue_access_token(pg_temp.id('thief'))) IS NOT NULL AS signed_in;
SELECT user_id = pg_temp.id('victim') AS of_the_victim FROM auth.rotate_refresh_token(pg_temp.token('victim', 'current'));
ROLLBACK;
-- One for another issuer or audience, or of a client that is gone
SELECT auth.set_client('short_lived');
SELECT auth.create_user('visitor@example.com') AS visitor \gset
SELECT auth.create_session(:'visitor', 'short_lived') ->> 'refresh_token' AS visit \gset
BEGIN;
SET LOCAL jwt_auth.issuer = 'https://other.example.org';
SELECT (auth.rotate_refresh_token(:'visit')).status;
ROLLBACK;
BEGIN;
SET LOCAL jwt_auth.audience = 'others';
SELECT (auth.rotate_refresh_token(:'visit')).status;
ROLLBACK;
BEGIN;
SELECT auth.drop_client('short_lived');
SELECT (auth.rotate_refresh_token(:'visit')).status;
ROLLBACK;

-- The new access token says what is true now.
SELECT pg_temp.sign_in('changed');
CREATE ROLE regress_editor;
SELECT auth.set_user_role(pg_temp.id('changed'), 'regress_editor'), auth.set_app_metadata(pg_temp.id('changed'), '{"tenant": 7}');
UPDATE auth.users SET email = 'renamed@example.com' WHERE id = pg_temp.id('changed');
SELECT c ->> 'email' AS email, c ->> 'role' AS role, c -> 'app_metadata' AS app_metadata
FROM auth.jwt_verify(auth.refresh(pg_temp.token('changed', 'current')) ->> 'access_token') c;

-- A READ ONLY transaction is refused before any work, whatever the token.
\set VERBOSITY sqlstate
BEGIN READ ONLY;
SAVEPOINT a;
SELECT auth.rotate_refresh_token('x');
ROLLBACK TO a;
SELECT auth.rotate_refresh_token(NULL);
ROLLBACK TO a;
SELECT auth.refresh(pg_temp.token('tab', 'oldest'));
ROLLBACK TO a;
SELECT auth.revoke_refresh_token(pg_temp.token('tab', 'oldest'));
ROLLBACK TO a;
SELECT auth.revoke_refresh_token('x');
ROLLBACK TO a;
SELECT auth.login('tab@example.com', 'correct horse');
ROLLBACK;
\set VERBOSITY default
SELECT pg_temp.fate('tab');

-- No column that a rotation changes is in an index, so that the row stays on its page.
SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
WHERE i.indrelid = 'auth.refresh_tokens'::regclass ORDER BY a.attnum;

-- Where it does not fit there any more, it is found by the new version all the
-- same, also in an index that somebody has added.
SELECT pg_temp.sign_in('full');
CREATE INDEX by_expiry ON auth.refresh_tokens (expires_at);
CREATE FUNCTION pg_temp.rotate_often(INOUT token text, times int, OUT outcomes text[]) LANGUAGE plpgsql AS $$
DECLARE
	r record;
BEGIN
	FOR i IN 1 .. times LOOP
		r := auth.rotate_refresh_token(token);
		outcomes := CASE WHEN r.status = ANY (outcomes) THEN outcomes ELSE outcomes || r.status END;
		token := r.refresh_token;
	END LOOP;
END
$$;
SELECT (pg_temp.rotate_often(pg_temp.token('full', 'current'), 200)).outcomes;
SET enable_seqscan = off;
SELECT count(*), max(generation) > 200 AS newest FROM auth.refresh_tokens WHERE user_id = pg_temp.id('full');
SET enable_bitmapscan = off;
SELECT count(*), max(generation) > 200 AS newest FROM auth.refresh_tokens s
WHERE expires_at = (SELECT expires_at FROM auth.refresh_tokens WHERE user_id = pg_temp.id('full')) AND user_id = pg_temp.id('full');
RESET enable_seqscan;
RESET enable_bitmapscan;
DROP INDEX auth.by_expiry;

-- It runs as whoever calls, but what it notes is the owner's, and no operator of
-- the caller's comes in.
CREATE ROLE regress_caller;
GRANT USAGE ON SCHEMA auth TO regress_caller;
GRANT EXECUTE ON FUNCTION auth.rotate_refresh_token(text) TO regress_caller;
CREATE SCHEMA regress_evil AUTHORIZATION regress_caller;
SELECT pg_temp.sign_in('caller');
SELECT pg_temp.token('caller', 'current') AS current, pg_temp.token('caller', 'oldest') AS oldest \gset
SELECT count(*) AS before FROM auth.audit_log \gset
SET jwt_auth.refresh_token_lifetime = '400d';	-- which the key has to note
SET ROLE regress_caller;
CREATE FUNCTION regress_evil.eq(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'evil'; END $$;
CREATE OPERATOR regress_evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = regress_evil.eq);
SET search_path = regress_evil, pg_catalog;
SELECT (auth.rotate_refresh_token(token)).status, current_user, current_setting('search_path')
FROM pg_catalog.unnest(ARRAY[:'current', :'oldest']) token;
RESET search_path;
RESET ROLE;
RESET jwt_auth.refresh_token_lifetime;
SELECT count(*) - :before AS noted, pg_temp.fate('caller') FROM auth.audit_log;
\set VERBOSITY terse
DROP OWNED BY regress_caller CASCADE;
\set VERBOSITY default
DROP ROLE regress_caller;

-- Random 128 bits name each token, and no two have the same.
SELECT count(DISTINCT jti) = count(*) AS all_differ, bool_and(substr(jti::text, 15, 1) = '4') AS random FROM auth.refresh_tokens;

DROP EXTENSION jwt_auth CASCADE;
DROP SCHEMA auth;
DROP ROLE regress_editor;
