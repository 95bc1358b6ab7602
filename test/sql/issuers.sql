-- Outside identity providers: which of their tokens are accepted, whom these
-- speak for, and that none of them passes for one of ours.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION jwt_auth CASCADE;
RESET client_min_messages;
SET jwt_auth.bcrypt_cost = 4;
SET jwt_auth.issuer = 'https://own.example';

-- Two providers, with two keys the first and one the second.
CREATE TABLE jwk (name text PRIMARY KEY, private jsonb, public jsonb);
INSERT INTO jwk (name, private) SELECT name, auth.jwk_generate(alg, name) FROM (VALUES
	('idp', 'ES256'), ('idp2', 'RS256'), ('other', 'ES256'), ('ps', 'PS256'), ('k', 'ES256K'), ('ed448', 'Ed448'), ('ed25519', 'Ed25519'),
	('okp', 'EdDSA'), ('secret', 'HS256'), ('stranger', 'ES256')) AS k (name, alg);
UPDATE jwk SET public = auth.jwk_public(private) WHERE name <> 'secret';
CREATE FUNCTION jwks(VARIADIC names text[]) RETURNS jsonb LANGUAGE sql AS
$$ SELECT jsonb_build_object('keys', coalesce(jsonb_agg(public ORDER BY array_position(names, name)), '[]')) FROM jwk WHERE name = ANY (names) $$;
CREATE FUNCTION set_of(VARIADIC keys jsonb[]) RETURNS jsonb LANGUAGE sql AS
$$ SELECT jsonb_build_object('keys', to_jsonb(keys)) $$;

-- A command's outcome: what it returns, or its error with the reason.
CREATE FUNCTION try(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
	reason text;
	hint text;
BEGIN
	EXECUTE command INTO result;
	RETURN coalesce(nullif(result, ''), 'done');
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS reason = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(' ', SQLSTATE, CASE WHEN reason LIKE 'reason: %' THEN substr(reason, 9) ELSE SQLERRM END, nullif(hint, ''));
END
$$;
-- A token of the first provider, but for what is said otherwise; a NULL takes a claim away.
CREATE FUNCTION token(claims jsonb DEFAULT '{}', key text DEFAULT 'idp', header jsonb DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
SELECT auth.jwt_sign(jsonb_strip_nulls(jsonb_build_object('iss', 'https://idp.example', 'aud', 'app', 'sub', 'subject-1',
	'exp', extract(epoch FROM clock_timestamp())::bigint + 300) || claims), private, header => header) FROM jwk WHERE name = key
$$;
-- One whose payload is this text to the byte.
CREATE FUNCTION raw_token(payload text) RETURNS text LANGUAGE sql AS
$$ SELECT auth.jws_sign(convert_to(payload, 'UTF8'), private) FROM jwk WHERE name = 'idp' $$;
-- Whom a token signs in, as every reader says.
CREATE FUNCTION readers() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
SELECT format('uid %s, role %s, session %s, user_id %s, email %s, jwt %s, claim %s',
	coalesce((SELECT 'of ' || username FROM auth.users WHERE id = auth.uid()), auth.uid()::text, '-'), coalesce(auth.role(), '-'),
	CASE WHEN auth.session_id() IS NULL THEN '-' ELSE 'ours' END, regexp_replace(coalesce(auth.user_id(), '-'), '[[:xdigit:]-]{36}', 'a uuid'), coalesce(auth.email(), '-'),
	CASE WHEN auth.jwt() IS NULL THEN '-' ELSE auth.jwt() ->> 'iss' END, coalesce(auth.claim('iss'), '-'))
$$;
CREATE FUNCTION signs_in(token text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	reason text;
BEGIN
	PERFORM auth.authenticate(token);
	RETURN readers();
EXCEPTION WHEN invalid_authorization_specification THEN
	GET STACKED DIAGNOSTICS reason = PG_EXCEPTION_DETAIL;
	RETURN substr(reason, 9) || ': ' || readers();
END
$$;

SELECT auth.register(name || '@example.com', 'correct horse', name) ->> 'username' AS registered FROM unnest('{alice,bob}'::text[]) AS name;
SELECT id AS alice_id FROM auth.users WHERE username = 'alice' \gset
SELECT id AS bob_id FROM auth.users WHERE username = 'bob' \gset

--
-- trust_issuer(): what it refuses, and nothing half done
--
CREATE ROLE regress_super SUPERUSER;
CREATE ROLE regress_bypass BYPASSRLS;
SELECT label, try(format('SELECT auth.trust_issuer(%L, %L, %L, %L, %L, %L)', issuer, jwks, audiences, algorithms, subject, roles)) AS result
FROM (VALUES
	('no issuer', NULL, jwks('idp'), '{app}', NULL, 'linked', '{}'),
	('empty issuer', '', jwks('idp'), '{app}', NULL, 'linked', '{}'),
	('our own', 'https://own.example', jwks('idp'), '{app}', NULL, 'linked', '{}'),
	('no keys', 'https://idp.example', NULL, '{app}', NULL, 'linked', '{}'),
	('empty set', 'https://idp.example', '{"keys": []}', '{app}', NULL, 'linked', '{}'),
	('a single JWK', 'https://idp.example', (SELECT public FROM jwk WHERE name = 'idp'), '{app}', NULL, 'linked', '{}'),
	('no object', 'https://idp.example', '[]', '{app}', NULL, 'linked', '{}'),
	('keys is no array', 'https://idp.example', '{"keys": {}}', '{app}', NULL, 'linked', '{}'),
	('a key is no object', 'https://idp.example', '{"keys": [1]}', '{app}', NULL, 'linked', '{}'),
	('a key is a list', 'https://idp.example', '{"keys": [[]]}', '{app}', NULL, 'linked', '{}'),
	('a secret', 'https://idp.example', set_of((SELECT private FROM jwk WHERE name = 'secret')), '{app}', NULL, 'linked', '{}'),
	('a secret beside a key', 'https://idp.example', set_of((SELECT public FROM jwk WHERE name = 'idp'), (SELECT private FROM jwk WHERE name = 'secret')), '{app}', NULL, 'linked', '{}'),
	('a secret for encryption', 'https://idp.example', set_of((SELECT public FROM jwk WHERE name = 'idp'), '{"kty": "oct", "alg": "A256KW", "k": "AAAA"}'), '{app}', NULL, 'linked', '{}'),
	('a private key', 'https://idp.example', set_of((SELECT private FROM jwk WHERE name = 'idp')), '{app}', NULL, 'linked', '{}'),
	('a private key for encryption', 'https://idp.example', set_of((SELECT private FROM jwk WHERE name = 'idp2') || '{"alg": "RSA-OAEP"}'), '{app}', NULL, 'linked', '{}'),
	('a key of 512 bits', 'https://idp.example', set_of(format('{"kty": "RSA", "e": "AQAB", "n": "%s"}', auth.base64url_encode(decode(repeat('c5', 64), 'hex')))::jsonb), '{app}', NULL, 'linked', '{}'),
	('a point off its curve', 'https://idp.example', set_of((SELECT public || '{"y": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}' FROM jwk WHERE name = 'idp')), '{app}', NULL, 'linked', '{}'),
	('only for encryption', 'https://idp.example', set_of((SELECT public || '{"use": "enc"}' FROM jwk WHERE name = 'idp')), '{app}', NULL, 'linked', '{}'),
	('one kid twice', 'https://idp.example', set_of((SELECT public FROM jwk WHERE name = 'idp'), (SELECT public || '{"kid": "idp"}' FROM jwk WHERE name = 'other')), '{app}', NULL, 'linked', '{}'),
	('two without kid', 'https://idp.example', set_of((SELECT public - 'kid' FROM jwk WHERE name = 'idp'), (SELECT public - 'kid' FROM jwk WHERE name = 'other')), '{app}', NULL, 'linked', '{}'),
	('over 64 kB', 'https://idp.example', jwks('idp') || jsonb_build_object('x', repeat('x', 65536)), '{app}', NULL, 'linked', '{}'),
	('101 keys', 'https://idp.example', (SELECT jsonb_build_object('keys', jsonb_agg(public || jsonb_build_object('kid', n))) FROM jwk, generate_series(1, 101) n WHERE name = 'idp'), '{app}', NULL, 'linked', '{}'),
	('no audience', 'https://idp.example', jwks('idp'), NULL, NULL, 'linked', '{}'),
	('empty audiences', 'https://idp.example', jwks('idp'), '{}', NULL, 'linked', '{}'),
	('an empty audience', 'https://idp.example', jwks('idp'), '{app,""}', NULL, 'linked', '{}'),
	('a NULL audience', 'https://idp.example', jwks('idp'), '{app,NULL}', NULL, 'linked', '{}'),
	('no algorithm', 'https://idp.example', jwks('idp'), '{app}', '{}', 'linked', '{}'),
	('a NULL algorithm', 'https://idp.example', jwks('idp'), '{app}', '{ES256,NULL}', 'linked', '{}'),
	('an algorithm of secrets', 'https://idp.example', jwks('idp'), '{app}', '{ES256,HS256}', 'linked', '{}'),
	('an unknown algorithm', 'https://idp.example', jwks('idp'), '{app}', '{ES256,none}', 'linked', '{}'),
	('another subject', 'https://idp.example', jwks('idp'), '{app}', NULL, 'email', '{}'),
	('no subject', 'https://idp.example', jwks('idp'), '{app}', NULL, NULL, '{}'),
	('no roles', 'https://idp.example', jwks('idp'), '{app}', NULL, 'linked', NULL),
	('a NULL role', 'https://idp.example', jwks('idp'), '{app}', NULL, 'linked', '{authenticated,NULL}'),
	('a superuser', 'https://idp.example', jwks('idp'), '{app}', NULL, 'linked', '{authenticated,regress_super}'),
	('who bypasses policies', 'https://idp.example', jwks('idp'), '{app}', NULL, 'linked', '{regress_bypass}')
) AS bad (label, issuer, jwks, audiences, algorithms, subject, roles);
SELECT count(*) AS trusted FROM auth.issuers;

-- What is kept of a set: the keys that verify signatures, and of these the public members.
SELECT auth.trust_issuer('https://idp.example', set_of(
	(SELECT public || '{"x5c": ["AAAA"], "x5t": "x", "password": "x", "key_ops": ["verify"]}' FROM jwk WHERE name = 'idp'),
	(SELECT public - 'alg' || '{"use": "sig"}' FROM jwk WHERE name = 'idp2'),
	(SELECT public || '{"kid": "encryption", "alg": "RSA-OAEP", "use": "enc"}' FROM jwk WHERE name = 'ps'),
	(SELECT public || '{"kid": "not for this", "key_ops": ["encrypt"]}' FROM jwk WHERE name = 'ps'),
	'{"kty": "OKP", "crv": "X25519", "kid": "x25519", "x": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}', '{"kty": "AKP", "kid": "tomorrow", "alg": "ML-DSA-44", "pub": "AAAA"}'),
	'{app,https://api.example}');
SELECT k ->> 'kid' AS kid, k - '{n,x,y}'::text[] AS rest, k - '{kid,alg,use}'::text[] = j.public - '{kid,alg,use}'::text[] AS same_key
FROM auth.issuers, jsonb_array_elements(jwks -> 'keys') k JOIN jwk j ON j.name = k ->> 'kid';

--
-- Which of its tokens are good
--
SELECT label, try(format('SELECT auth.jwt_verify(%L) - %L::text[]', token, '{exp,nonsense}')) AS result
FROM (VALUES
	('good', token()),
	('second key', token(key => 'idp2')),
	('second audience', token('{"aud": ["x", "https://api.example"]}')),
	('another audience', token('{"aud": "application"}')),
	('no audience', token('{"aud": null}')),
	('audience of another case', token('{"aud": "App"}')),
	('no exp', token('{"exp": null}')),
	('expired', token('{"exp": 1}')),
	('not yet', token('{"nbf": 4102444800}')),
	('issued in future', token('{"iat": 4102444800}')),
	('no kid', (SELECT auth.jws_sign('{}', private - 'kid') FROM jwk WHERE name = 'idp')),
	('unknown kid', token(key => 'other')),
	('kid of ours', (SELECT auth.jwt_sign('{"iss": "https://idp.example"}', private || jsonb_build_object('kid', auth.create_key())) FROM jwk WHERE name = 'idp')),
	('forged', (SELECT auth.jwt_sign('{"iss": "https://idp.example"}', private || '{"kid": "idp"}') FROM jwk WHERE name = 'stranger')),
	('the other key''s kid', (SELECT auth.jwt_sign('{"iss": "https://idp.example"}', private || '{"kid": "idp2"}') FROM jwk WHERE name = 'idp')),
	('its public key as a secret', (SELECT auth.jwt_sign('{"iss": "https://idp.example"}', jsonb_build_object('kty', 'oct', 'kid', 'idp', 'k', auth.base64url_encode(convert_to(public::text, 'UTF8'))), 'HS256')
		FROM jwk WHERE name = 'idp')),
	('another algorithm of the key', (SELECT auth.jwt_sign('{"iss": "https://idp.example"}', private - 'alg', 'PS256') FROM jwk WHERE name = 'idp2')),
	('iss of another type', raw_token('{"iss": ["https://idp.example"], "aud": "app", "exp": 4102444800}')),
	('sub of another type', raw_token('{"iss": "https://idp.example", "aud": "app", "exp": 4102444800, "sub": 1}')),
	('iss twice', raw_token('{"iss": "https://idp.example", "iss": "https://own.example", "aud": "app", "exp": 4102444800}')),
	('no JSON', raw_token('iss')),
	('a tail behind iss', token('{"iss": "https://idp.example/"}')),
	('iss in another case', token('{"iss": "HTTPS://idp.example"}')),
	('typ JWT', token(header => '{"typ": "jwt"}')),
	('an access token', token(header => '{"typ": "application/at+jwt"}')),
	('a logout token', token(header => '{"typ": "logout+jwt"}')),
	('a security event', token('{"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}')),
	('no token', NULL)
) AS t (label, token);

-- It can never speak for us: with our name or none, its keys count for nothing.
SELECT label, try(format('SELECT auth.jwt_verify(%L)', token)) AS verify, signs_in(token)
FROM (VALUES
	('our name', token('{"iss": "https://own.example", "type": "access"}')),
	('no name', token('{"iss": null, "type": "access"}')),
	('empty name', token('{"iss": "", "type": "access"}')),
	('our name and kid', (SELECT auth.jwt_sign('{"iss": "https://own.example", "exp": 4102444800, "type": "access"}', private || jsonb_build_object('kid', auth.jwks() #> '{keys,0,kid}')) FROM jwk WHERE name = 'idp'))
) AS t (label, token);
-- ... also where we have no name, or take the name that it had.
SET jwt_auth.issuer = '';
SELECT signs_in(token('{"iss": null, "type": "access"}'));
SET jwt_auth.issuer = 'https://idp.example';
SELECT signs_in(token('{"type": "access"}'));
SELECT signs_in(auth.jwt_sign(jsonb_build_object('sub', :'alice_id', 'type', 'access', 'role', 'authenticated')));
SET jwt_auth.issuer = 'https://own.example';
-- Nor do we speak for it.
SELECT try(format('SELECT auth.jwt_verify(%L)', auth.jwt_sign('{"iss": "https://idp.example", "aud": "app"}')));

-- Two providers: the keys of one say nothing in the name of the other.
SELECT auth.trust_issuer('https://other.example', jwks('other'), '{app}');
SELECT try(format('SELECT auth.jwt_verify(%L) ->> ''iss''', token('{"iss": "https://other.example"}', 'other'))) AS own_key,
	   try(format('SELECT auth.jwt_verify(%L)', token('{"iss": "https://other.example"}', 'idp'))) AS foreign_key,
	   try(format('SELECT auth.jwt_verify(%L)', token('{"iss": "https://idp.example"}', 'other'))) AS foreign_name;
-- Of one key without a kid, a token without one; algorithms may say more than the key, and less
SELECT auth.trust_issuer('https://other.example', set_of((SELECT public - '{kid,alg}'::text[] FROM jwk WHERE name = 'ps')), '{app}');
CREATE FUNCTION other_token(alg text) RETURNS text LANGUAGE sql AS
$$ SELECT auth.jwt_sign('{"iss": "https://other.example", "aud": "app", "sub": "subject-1", "role": "authenticated", "exp": 4102444800}', private - '{kid,alg}'::text[], alg) FROM jwk WHERE name = 'ps' $$;
SELECT alg, try(format('SELECT auth.jwt_verify(%L) ->> ''iss''', other_token(alg))) FROM unnest('{RS256,PS256,RS512}'::text[]) alg;
SELECT auth.trust_issuer('https://other.example', set_of((SELECT public - '{kid,alg}'::text[] FROM jwk WHERE name = 'ps')), '{app}', '{PS256,RS512}');
SELECT alg, try(format('SELECT auth.jwt_verify(%L) ->> ''iss''', other_token(alg))) FROM unnest('{RS256,PS256,RS512}'::text[]) alg;
SET jwt_auth.allowed_algorithms = 'ES256, RS512, HS256';
SELECT alg, try(format('SELECT auth.jwt_verify(%L) ->> ''iss''', other_token(alg))) FROM unnest('{RS256,PS256,RS512}'::text[]) alg;
RESET jwt_auth.allowed_algorithms;

--
-- Whom a token speaks for
--
BEGIN;
-- A uuid is a subject like any other: it names a user of ours through a link alone
SELECT signs_in(token(jsonb_build_object('sub', :'alice_id', 'email', 'alice@example.com', 'email_verified', true,
										 'role', 'authenticated', 'sid', gen_random_uuid(), 'type', 'refresh', 'client_id', 'nobody')));
SELECT signs_in(token());
SELECT signs_in(token('{"sub": null}')), signs_in(token('{"sub": ""}'));
SELECT auth.link_identity(:'alice_id', 'https://idp.example', 'subject-1');
SELECT auth.link_identity(:'alice_id', 'https://idp.example', :'bob_id');
SELECT signs_in(token());
SELECT signs_in(token('{"sub": "Subject-1"}')), signs_in(token('{"sub": "subject-1 "}'));
SELECT signs_in(token(jsonb_build_object('sub', :'bob_id')));
SELECT signs_in(other_token('PS256')) AS the_same_subject_elsewhere;
SELECT auth.unlink_identity('https://idp.example', :'bob_id');
SELECT signs_in(token(jsonb_build_object('sub', :'bob_id')));
COMMIT;
-- The user must be active; without one there is nobody to be
SELECT auth.set_active(:'alice_id', false);
SELECT signs_in(token());
SET jwt_auth.check_session = off;
SELECT signs_in(token());
RESET jwt_auth.check_session;
SELECT auth.set_active(:'alice_id', true);

-- An issuer of our own user ids: the subject is the user, links do not count
SELECT auth.trust_issuer('https://idp.example', jwks('idp'), '{app}', subject => 'uuid');
SELECT label, signs_in(token(jsonb_build_object('sub', sub))) FROM (VALUES
	('a user', :'bob_id'), ('upper case', upper(:'bob_id')), ('linked', 'subject-1'), ('nobody yet', '00000000-0000-0000-0000-00000000000a'),
	('no uuid', '{00000000-0000-0000-0000-00000000000a}')) AS s (label, sub);
SELECT auth.set_active(:'bob_id', false);
SELECT signs_in(token(jsonb_build_object('sub', :'bob_id')));
SELECT auth.set_active(:'bob_id', true);

-- Its role counts where it is one of those that it may give, to the letter
SELECT auth.trust_issuer('https://idp.example', jwks('idp', 'idp2'), '{app}', roles => '{authenticated,regress_reader}');
BEGIN;
SELECT role, signs_in(token(jsonb_build_object('role', role))) FROM jsonb_array_elements(
	'["authenticated", "regress_reader", "Authenticated", "authenticated ", "regress_super", ["authenticated"], {"authenticated": 1}, 1, null, ""]') AS role;
COMMIT;

--
-- The claims that are fixed stay what they are
--
SELECT auth.login('bob@example.com', 'correct horse') ->> 'access_token' AS bob \gset
CREATE FUNCTION role_token(role text) RETURNS text LANGUAGE sql AS $$ SELECT token(jsonb_build_object('role', role)) $$;
BEGIN;
SELECT signs_in(:'bob');
SAVEPOINT a;
SELECT signs_in(role_token('authenticated'));
SAVEPOINT b;
SELECT signs_in(role_token('postgres'));
SAVEPOINT c;
SELECT signs_in(other_token('PS256'));
ROLLBACK TO c;
SELECT readers();
ROLLBACK TO b;
SELECT readers();
ROLLBACK TO a;
SELECT readers();
-- A provider that is trusted no more: who is signed in stays so, nobody else comes in
SELECT signs_in(role_token('authenticated'));
SELECT auth.distrust_issuer('https://idp.example');
SELECT readers();
SELECT signs_in(role_token('authenticated'));
SELECT readers();
ROLLBACK;
-- Links outlast distrust
BEGIN;
SELECT auth.distrust_issuer('https://idp.example');
SELECT auth.trust_issuer('https://idp.example', jwks('idp'), '{app}');
SELECT signs_in(token());
ROLLBACK;

-- No payload reads as something else, whatever stands in front of it, and however long it is
SELECT label, signs_in(raw_token(before || format('{"iss":"https://idp.example","aud":"app","exp":4102444800,"sub":"%s"%s}', :'bob_id', after)))
FROM (VALUES ('blanks', '   ', ''), ('lines', E'\n\t\r\n', ''), ('a word inside', '', ',"role":" = 1 = {}"'), ('claims of ours', '', ',"= ":"x","sid":"00000000-0000-0000-0000-00000000000a"'),
	('40 kB', '', ',"x":"' || repeat('x', 40000) || '"'), ('40 kB of blanks', repeat(' ', 40000), '')) AS p (label, before, after);
SELECT try(format('SELECT auth.jwt_verify(%L)', raw_token(E'= {"iss":"https://idp.example","aud":"app","exp":4102444800}'))) AS no_json,
	   try(format('SELECT auth.jwt_verify(%L)', (SELECT auth.jws_sign('{"iss":"https://idp.example"}'::bytea || '\x00'::bytea, private) FROM jwk WHERE name = 'idp'))) AS nul;

-- Parallel workers read the same
CREATE TABLE rows AS SELECT n FROM generate_series(1, 1000) n;
CREATE FUNCTION in_workers() RETURNS TABLE (uid uuid, role text, session uuid, subject text) LANGUAGE sql AS
$$ SELECT auth.uid(), auth.role(), auth.session_id(), auth.user_id() FROM rows GROUP BY 1, 2, 3, 4 $$;
SET min_parallel_table_scan_size = 0;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SELECT set_config(name, 'on', false) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query');
BEGIN;
SELECT auth.authenticate(token(jsonb_build_object('role', 'authenticated', 'sid', gen_random_uuid()))) IS NOT NULL AS linked_with_role;
SELECT uid = :'alice_id' AS uid_of_alice, role, session, subject FROM in_workers();
SELECT auth.authenticate(token(jsonb_build_object('sub', :'bob_id', 'role', 'postgres', 'sid', gen_random_uuid()))) IS NOT NULL AS unlinked;
SELECT uid, role, session, subject = :'bob_id' AS subject FROM in_workers();
COMMIT;
-- ... and verify the same
SELECT DISTINCT auth.jwt_verify(t) ->> 'iss' AS iss FROM rows, (SELECT token() AS t OFFSET 0) x;
RESET ALL;
SET jwt_auth.bcrypt_cost = 4;
SET jwt_auth.issuer = 'https://own.example';
DROP TABLE rows;

-- What asks for a session of ours gets none; what asks for a user, the linked one
BEGIN;
SELECT auth.authenticate(token()) IS NOT NULL AS signed_in;
SELECT auth.me() ->> 'username' AS me, auth.logout('session') AS this_session, auth.logout('all') AS all_sessions;
SELECT auth.authenticate(token('{"sub": "stranger"}')) IS NOT NULL AS signed_in;
SELECT try('SELECT auth.me()');
ROLLBACK;

--
-- link_identity(), unlink_identity(), distrust_issuer()
--
SELECT command, try(replace(replace(command, 'ALICE', quote_literal(:'alice_id')), 'BOB', quote_literal(:'bob_id'))) FROM unnest(ARRAY[
	'SELECT auth.link_identity(ALICE, ''https://idp.example'', ''subject-2'')',
	'SELECT auth.link_identity(ALICE, ''https://idp.example'', ''subject-2'')',
	'SELECT auth.link_identity(BOB, ''https://idp.example'', ''subject-2'')',
	'SELECT auth.link_identity(BOB, ''https://other.example'', ''subject-2'')',
	'SELECT auth.link_identity(ALICE, ''https://unknown.example'', ''subject-3'')',
	'SELECT auth.link_identity(''00000000-0000-0000-0000-00000000000a'', ''https://idp.example'', ''subject-3'')',
	'SELECT auth.link_identity(NULL, ''https://idp.example'', ''subject-3'')',
	'SELECT auth.link_identity(ALICE, NULL, ''subject-3'')',
	'SELECT auth.link_identity(ALICE, ''https://idp.example'', '''')',
	'SELECT auth.link_identity(ALICE, ''https://idp.example'', NULL)',
	'SELECT auth.link_identity(ALICE, ''https://idp.example'', repeat(''x'', 256))',
	'SELECT auth.unlink_identity(''https://other.example'', ''subject-2'')',
	'SELECT auth.unlink_identity(''https://other.example'', ''subject-2'')',
	'SELECT auth.unlink_identity(NULL, NULL)',
	'SELECT auth.distrust_issuer(''https://unknown.example'')',
	'SELECT auth.distrust_issuer(NULL)']) AS command;
SELECT issuer, subject, user_id = :'alice_id' AS alice FROM auth.identities ORDER BY 1, 2;

-- Calling trust_issuer() again with the same changes nothing, not even what is on record
SELECT auth.trust_issuer('https://idp.example', jwks('idp', 'idp2'), '{app}', roles => '{authenticated,regress_reader}');
SELECT event, user_id = :'alice_id' AS alice, details FROM auth.audit_log WHERE event ~ 'issuer|identity' ORDER BY at;

--
-- login_with_id_token()
--
CREATE FUNCTION login(token text, nonce text DEFAULT NULL, client text DEFAULT 'default') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answer jsonb;
	claims jsonb;
BEGIN
	PERFORM set_config('response.status', '', true);
	answer := auth.login_with_id_token(token, nonce, client);
	IF answer ? 'error' THEN
		RETURN concat_ws(' ', current_setting('response.status', true), answer ->> 'error', answer ->> 'error_code');
	END IF;
	claims := auth.authenticate(answer ->> 'access_token');
	RETURN format('%s: %s, role %s, amr %s, refresh token %s, confirmed %s', answer ->> 'token_type', coalesce(claims ->> 'email', 'no email'),
				  auth.role(), claims ->> 'amr', answer ? 'refresh_token', claims ->> 'email_verified');
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ' ' || SQLERRM;
END
$$;
SELECT auth.set_client('web', refresh_tokens => false);
SELECT auth.trust_issuer('https://other.example', jwks('other'), '{app}', subject => 'uuid');
UPDATE auth.users SET email_confirmed_at = now() WHERE username = 'alice';
SELECT label, login(token, nonce, client) AS result
FROM (VALUES
	('linked', token(), NULL, 'default'),
	('the role of the provider is not ours', token('{"role": "regress_reader"}'), NULL, 'default'),
	('another client', token(), NULL, 'web'),
	('unknown client', token(), NULL, 'unknown'),
	('no client', token(), NULL, NULL),
	('no token', NULL, NULL, 'default'),
	('garbage', 'x', NULL, 'default'),
	('expired', token('{"exp": 1}'), NULL, 'default'),
	('too large', repeat('x', 70000), NULL, 'default'),
	('forged', token(key => 'stranger'), NULL, 'default'),
	('another audience', token('{"aud": "x"}'), NULL, 'default'),
	('a token of ours', :'bob', NULL, 'default'),
	('no subject', token('{"sub": null}'), NULL, 'default'),
	('empty subject', token('{"sub": ""}'), NULL, 'default'),
	('a subject of 256 bytes', token(jsonb_build_object('sub', repeat('x', 256))), NULL, 'default'),
	('an access token', token(header => '{"typ": "at+jwt"}'), NULL, 'default'),
	('a logout token', token(header => '{"typ": "logout+jwt"}'), NULL, 'default'),
	('nonce', token('{"nonce": "n-1"}'), 'n-1', 'default'),
	('another nonce', token('{"nonce": "n-1"}'), 'n-2', 'default'),
	('nonce not asked for', token('{"nonce": "n-1"}'), NULL, 'default'),
	('nonce not there', token(), 'n-1', 'default'),
	('new, without an address', token('{"sub": "new-1"}'), NULL, 'default'),
	('the same again', token('{"sub": "new-1", "email": "later@example.com", "email_verified": true}'), NULL, 'default'),
	('new, with an address', token('{"sub": "new-2", "email": "New@example.com", "email_verified": true}'), NULL, 'default'),
	('the same subject elsewhere', token('{"sub": "new-3", "email": "NEW@example.com", "email_verified": "true"}'), NULL, 'default'),
	('address not verified', token('{"sub": "new-4", "email": "new4@example.com"}'), NULL, 'default'),
	('address said to be not verified', token('{"sub": "new-5", "email": "alice@example.com", "email_verified": false}'), NULL, 'default'),
	('no address at all', token('{"sub": "new-6", "email": "someone", "email_verified": true}'), NULL, 'default'),
	('an address of 3 kB', token(jsonb_build_object('sub', 'new-7', 'email', repeat('x', 3000) || '@example.com', 'email_verified', true)), NULL, 'default'),
	('address verified on both sides', token('{"sub": "new-8", "email": "alice@example.com", "email_verified": true}'), NULL, 'default'),
	('address that we have not verified', token('{"sub": "new-9", "email": "bob@example.com", "email_verified": true}'), NULL, 'default'),
	('uuid of a user', token(jsonb_build_object('iss', 'https://other.example', 'sub', :'bob_id'), 'other'), NULL, 'default'),
	('uuid of nobody', token('{"iss": "https://other.example", "sub": "00000000-0000-0000-0000-00000000000a", "email": "uuid@example.com", "email_verified": true}', 'other'), NULL, 'default'),
	('uuid, and the address of somebody', token('{"iss": "https://other.example", "sub": "00000000-0000-0000-0000-00000000000b", "email": "alice@example.com", "email_verified": true}', 'other'), NULL, 'default'),
	('no uuid where that is the rule', token('{"iss": "https://other.example", "sub": "subject-1"}', 'other'), NULL, 'default')
) AS t (label, token, nonce, client);
SELECT i.issuer, i.subject, coalesce(u.username, u.email, 'no email') AS is, u.email_confirmed_at IS NOT NULL AS confirmed, u.password_hash IS NOT NULL AS password
FROM auth.identities i JOIN auth.users u ON u.id = i.user_id ORDER BY 1, 2;
SELECT email, role, email_confirmed_at IS NOT NULL AS confirmed FROM auth.users WHERE id = '00000000-0000-0000-0000-00000000000a';
-- A disabled account, by a link that is there and by one that is made just now
SELECT auth.set_active(:'alice_id', false);
SELECT login(token()), login(token('{"sub": "new-10", "email": "alice@example.com", "email_verified": true}'));
SELECT auth.set_active(:'alice_id', true);
-- A provider that is trusted no more
SELECT auth.distrust_issuer('https://other.example');
SELECT login(token('{"iss": "https://other.example"}', 'other'));
-- What is on record
SELECT event, count(*), details FROM auth.audit_log
WHERE event IN ('login_failed', 'registered') GROUP BY event, details ORDER BY event, details::text COLLATE "C";
SELECT count(*) AS failures_of_alice FROM auth.audit_log WHERE event = 'login_failed' AND user_id = :'alice_id';
BEGIN READ ONLY;
SELECT login(token());
ROLLBACK;
-- A user who goes takes the links along
DELETE FROM auth.users WHERE username = 'alice';
SELECT count(*) FROM auth.identities WHERE subject ~ '^subject';
SELECT signs_in(token());

--
-- PostgREST: a request must name a role that counts, and gets the keys of those who may give one
--
CREATE FUNCTION request(token text, as_read_by_postgrest text DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('request.headers', jsonb_build_object('authorization', 'Bearer ' || token)::text, true),
			set_config('request.jwt.claims', ('{"role": "anon"}' || (auth.jwt_decode(coalesce(as_read_by_postgrest, token))).payload)::text, true);
	PERFORM auth.pre_request();
	RETURN readers();
EXCEPTION WHEN OTHERS THEN
	RETURN concat_ws(' ', SQLSTATE, SQLERRM::jsonb ->> 'details');
END
$$;
SELECT label, request(token, other) FROM (VALUES
	('allowed', role_token('authenticated'), NULL), ('not allowed', role_token('regress_super'), NULL), ('none', token(), NULL), ('a list', token('{"role": ["authenticated"]}'), NULL),
	('none, behind one that PostgREST took', token(), token('{"aud": "elsewhere", "role": "regress_super"}')),
	('of ours', :'bob', NULL)) AS t (label, token, other);
SELECT auth.trust_issuer('https://norole.example', jwks('other'), '{app}');
SELECT request(token('{"iss": "https://norole.example", "role": "authenticated"}', 'other'));
CREATE FUNCTION published() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM auth.pre_config();
	RETURN (SELECT string_agg(CASE WHEN k ->> 'kid' IN (SELECT name FROM jwk) THEN k ->> 'kid' ELSE 'ours' END, ', ' ORDER BY n)
			FROM jsonb_array_elements(current_setting('pgrst.jwt_secret')::jsonb -> 'keys') WITH ORDINALITY AS a (k, n));
END
$$;
SELECT published();
SELECT auth.trust_issuer('https://norole.example', jwks('other', 'k', 'ed448', 'ed25519', 'okp', 'ps'), '{app}', roles => '{authenticated}');
SELECT auth.create_key('ES256K') IS NOT NULL AS one_of_ours_too;
SELECT published();
SELECT jsonb_array_length(auth.jwks() -> 'keys') AS ours;

--
-- openid_configuration()
--
SELECT auth.openid_configuration('https://api.example/') - 'claims_supported' AS configuration;
SELECT auth.openid_configuration('https://api.example') ->> 'claims_supported' AS claims_supported;
SET jwt_auth.issuer = '';
SELECT auth.openid_configuration('https://api.example/') ->> 'issuer' AS without_a_name_of_ours, auth.openid_configuration(NULL) AS nowhere;

DROP FUNCTION jwks(text[]), set_of(jsonb[]), try, token, raw_token, readers, signs_in, other_token, role_token, in_workers, login, request, published;
DROP TABLE jwk;
SET client_min_messages = warning;
DROP EXTENSION jwt_auth, pgcrypto CASCADE;
DROP SCHEMA auth;
DROP ROLE regress_super, regress_bypass;
