--
-- A backend remembers tokens that it has verified.  Whatever verifying depends
-- on, a token that was accepted before is judged as a new one would be.
--
SET client_min_messages = warning;
CREATE EXTENSION jwt_auth CASCADE;
RESET client_min_messages;
SET jwt_auth.bcrypt_cost = 4;
SET jwt_auth.issuer = 'https://own.example';
SELECT auth.register('alice@example.com', 'correct horse') ->> 'email' AS registered;
SELECT auth.login('alice@example.com', 'correct horse') ->> 'access_token' AS alice, id AS alice_id FROM auth.users \gset

-- What comes of a token: by authenticate(), by introspect(), and by the setting
CREATE FUNCTION outcome(token text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	reason text;
	active text := auth.introspect(token) ->> 'active';
BEGIN
	PERFORM auth.authenticate(token);
	RETURN format('%s, active %s', coalesce(auth.email(), 'nobody'), active);
EXCEPTION WHEN invalid_authorization_specification OR program_limit_exceeded THEN
	GET STACKED DIAGNOSTICS reason = PG_EXCEPTION_DETAIL;
	RETURN format('%s, active %s', reason, active);
END
$$;
-- Before a change, after it, and after it was rolled back.  The second of the
-- same kind is remembered.
CREATE FUNCTION around(change text, token text) RETURNS TABLE (before text, after text, again text) LANGUAGE plpgsql AS $$
BEGIN
	before := outcome(token);
	before := outcome(token);
	BEGIN
		EXECUTE change;
		after := outcome(token);
		RAISE SQLSTATE 'RB000';
	EXCEPTION WHEN SQLSTATE 'RB000' THEN
		again := outcome(token);
	END;
	RETURN NEXT;
END
$$;

--
-- Keys, the session, the user, clients and settings
--
SELECT change, a.* FROM unnest(ARRAY[
	'UPDATE auth.keys SET revoked_at = clock_timestamp()',
	'DELETE FROM auth.keys',
	'TRUNCATE auth.keys',
	'SELECT auth.rotate_key(activate_in => ''0'')',
	'UPDATE auth.keys SET activates_at = activates_at - interval ''2 hours'', superseded_at = clock_timestamp() - interval ''1 hour''',
	'SELECT auth._end_sessions(id, NULL, ''logout'') FROM auth.users',
	'UPDATE auth.refresh_tokens SET expires_at = clock_timestamp()',
	'UPDATE auth.refresh_tokens SET session_expires_at = clock_timestamp()',
	'DELETE FROM auth.refresh_tokens',
	'SELECT auth.set_active(id, false) FROM auth.users',
	'SELECT auth.delete_user(id) FROM auth.users',
	'SELECT auth.set_client(''default'', audience => ''other'')',
	'SET LOCAL jwt_auth.issuer = ''https://other.example''',
	'SET LOCAL jwt_auth.issuer = ''''',
	'SET LOCAL jwt_auth.audience = ''other''',
	'SET LOCAL jwt_auth.allowed_algorithms = ''HS256''',
	'SELECT auth.revoke_all(''test'')'
]) WITH ORDINALITY AS c (change, n), around(change, :'alice') AS a ORDER BY n;

-- Times: the clock judges, and the leeway of now
SELECT auth.jwt_sign(jsonb_build_object('sub', :'alice_id', 'type', 'access', 'email', 'short', 'exp', extract(epoch FROM clock_timestamp()) + 2)) AS short,
	   auth.jwt_sign(jsonb_build_object('sub', :'alice_id', 'type', 'access', 'email', 'early', 'nbf', extract(epoch FROM clock_timestamp()) + 1800)) AS early \gset
SELECT outcome(:'short'), outcome(:'short');
SELECT pg_sleep(2.1);
SELECT outcome(:'short'), outcome(:'early');
SET jwt_auth.leeway = 3600;
SELECT outcome(:'short'), outcome(:'early'), outcome(:'short'), outcome(:'early');
RESET jwt_auth.leeway;
SELECT outcome(:'short'), outcome(:'early');

-- A key stops to verify by the clock alone
SELECT auth.jwt_sign(jsonb_build_object('sub', :'alice_id', 'type', 'access', 'email', 'last', 'exp', extract(epoch FROM clock_timestamp()) + 3600)) AS last \gset
SELECT auth.rotate_key(activate_in => '0') IS NOT NULL AS rotated;
UPDATE auth.keys SET longest_lifetime = clock_timestamp() - superseded_at + interval '2 s' WHERE purpose = 'access' AND superseded_at IS NOT NULL;
SELECT outcome(:'last'), outcome(:'last');
SELECT pg_sleep(2.1);
SELECT outcome(:'last');
UPDATE auth.keys SET longest_lifetime = '1 day' WHERE purpose = 'access';
SELECT outcome(:'last');

--
-- The whole token counts
--
SELECT outcome(:'alice');
SELECT name, outcome(token) FROM (VALUES ('cut', left(:'alice', -1)), ('longer', :'alice' || 'A'), ('other signature', left(:'alice', -6) || 'AAAAAA'),
	('without signature', substring(:'alice' FROM '^[^.]*\.[^.]*\.')), ('other payload', regexp_replace(:'alice', '\..', '.f')), ('good', :'alice')) AS v (name, token);
-- Too large is too large, whatever was remembered
SELECT auth.jwt_sign(jsonb_build_object('sub', :'alice_id', 'type', 'access', 'email', 'large', 'filler', repeat('x', 1200))) AS large,
	   auth.jwt_sign(jsonb_build_object('sub', :'alice_id', 'type', 'access', 'email', 'huge', 'filler', repeat('x', 20000))) AS huge \gset
SELECT a.* FROM unnest(ARRAY[:'large', :'huge']) AS t, around('SET LOCAL jwt_auth.max_token_size = 1024', t) AS a;

-- More tokens than are remembered, in turn and each twice
CREATE TABLE tokens AS SELECT n, auth.jwt_sign(jsonb_build_object('sub', :'alice_id', 'type', 'access', 'email', 'n' || n)) AS token FROM generate_series(1, 200) AS n;
SELECT bool_and(outcome(token) = format('n%s, active true', n)) AS each_its_own FROM tokens, generate_series(1, 2);
SELECT bool_and(outcome(token) = format('n%s, active true', n)) AS each_its_own FROM (SELECT * FROM tokens, generate_series(1, 3) ORDER BY md5(n::text || generate_series)) t;
BEGIN;
SELECT count(DISTINCT auth.authenticate(token) ->> 'email') AS each_its_own FROM tokens;
COMMIT;
SELECT outcome(:'alice');

--
-- Outside tokens: the issuer, its keys, audiences, algorithms, roles, links
--
SELECT jwk AS idp, jsonb_build_object('keys', jsonb_build_array(auth.jwk_public(jwk))) AS jwks FROM auth.jwk_generate('ES256', 'k1') AS jwk \gset
SELECT jsonb_build_object('keys', jsonb_build_array(auth.jwk_public(jwk))) AS other_jwks FROM auth.jwk_generate('ES256', 'k1') AS jwk \gset
SELECT auth.trust_issuer('https://idp.example', :'jwks', '{app}', roles => '{boss}'), auth.link_identity(:'alice_id', 'https://idp.example', 's');
SELECT auth.jwt_sign('{"iss": "https://idp.example", "aud": "app", "sub": "s", "email": "outside", "role": "boss", "exp": 4102444800}', :'idp'::jsonb) AS outside \gset
SELECT replace(change, :'other_jwks', '(other keys)') AS change, a.* FROM unnest(ARRAY[
	'SELECT auth.distrust_issuer(''https://idp.example'')',
	'SET LOCAL jwt_auth.issuer = ''https://idp.example''',
	format('SELECT auth.trust_issuer(''https://idp.example'', %L, ''{app}'')', :'other_jwks'),
	'UPDATE auth.issuers SET audiences = ''{other}''',
	'UPDATE auth.issuers SET algorithms = ''{RS256}''',
	'TRUNCATE auth.issuers, auth.identities',
	'SELECT auth.set_active(id, false) FROM auth.users'
]) WITH ORDINALITY AS c (change, n), around(change, :'outside') AS a ORDER BY n;
BEGIN;
SELECT outcome(:'outside'), auth.uid() = :'alice_id' AS linked, auth.role();
SELECT auth.unlink_identity('https://idp.example', 's');
SELECT outcome(:'outside'), auth.uid(), auth.role();
SELECT auth.trust_issuer('https://idp.example', :'jwks', '{app}');
SELECT outcome(:'outside'), auth.uid(), auth.role(), auth.introspect(:'outside') ? 'role' AS introspected_role;
ROLLBACK;
SELECT outcome(:'outside');

DROP TABLE tokens;
DROP FUNCTION around, outcome;
DROP EXTENSION jwt_auth CASCADE;
DROP SCHEMA auth;
