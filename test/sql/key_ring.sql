-- The key ring's life cycle: a key is pending, active, verifying, and then
-- expired or revoked; imports, clients, and who may do any of it.
SET client_min_messages = warning;
CREATE EXTENSION jwt_auth CASCADE;
RESET client_min_messages;
SET jwt_auth.bcrypt_cost = 4;

-- A kid is random: the tests speak of keys by names of their own.
CREATE TEMP TABLE named (kid text PRIMARY KEY, name text);
CREATE FUNCTION pg_temp.named(name text, kid text) RETURNS text LANGUAGE sql AS
$$ INSERT INTO named VALUES (kid, name) RETURNING name $$;
CREATE FUNCTION pg_temp.kid(name text) RETURNS text LANGUAGE sql AS
$$ SELECT kid FROM named n WHERE n.name = kid.name $$;
CREATE FUNCTION pg_temp.name(kid text) RETURNS text LANGUAGE sql AS
$$ SELECT CASE WHEN kid IS NOT NULL THEN coalesce((SELECT name FROM named n WHERE n.kid = name.kid), '?') END $$;
CREATE TEMP VIEW ring AS
SELECT purpose, string_agg(concat_ws(' ', pg_temp.name(kid), algorithm, state), ', ' ORDER BY created_at) AS keys
FROM auth.key_status GROUP BY purpose ORDER BY purpose;
CREATE TEMP VIEW published AS
SELECT string_agg(pg_temp.name(key ->> 'kid'), ' ' ORDER BY n) AS published
FROM jsonb_array_elements(auth.jwks() -> 'keys') WITH ORDINALITY j (key, n);
-- Tokens stay, and are looked at again later.
CREATE TEMP TABLE token (name text PRIMARY KEY, token text, n serial);
CREATE FUNCTION pg_temp.signer(token text) RETURNS text LANGUAGE sql AS
$$ SELECT pg_temp.name((auth.jwt_decode(token)).header ->> 'kid') $$;
-- Signs one and says which key did.
CREATE FUNCTION pg_temp.sign(name text, payload jsonb DEFAULT '{}') RETURNS text LANGUAGE sql AS
$$ INSERT INTO token VALUES (name, auth.jwt_sign(payload)) RETURNING pg_temp.signer(token) $$;
-- "ok", or the reason
CREATE FUNCTION pg_temp.verify(token text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
BEGIN
	RETURN CASE WHEN auth.jwt_verify(token) IS NOT NULL THEN 'ok' END;
EXCEPTION WHEN invalid_authorization_specification THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN detail;
END
$$;
CREATE TEMP VIEW tokens AS
SELECT string_agg(name || ': ' || pg_temp.verify(token), ', ' ORDER BY n) AS tokens FROM token;
-- An error as one line, hint included; a result is not shown
CREATE FUNCTION pg_temp.try(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	hint text;
BEGIN
	EXECUTE 'SELECT ' || command;
	RETURN 'done';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(' ', SQLSTATE, SQLERRM || ';', nullif(hint, ''));
END
$$;
-- Time passes for the keys, though not for tokens.
CREATE FUNCTION pg_temp.pass(span interval) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	k record;
BEGIN
	-- in the order in which no two keys ever sign at once
	FOR k IN SELECT kid FROM auth.keys ORDER BY extract(epoch FROM activates_at) * sign(extract(epoch FROM span)) LOOP
		UPDATE auth.keys SET activates_at = activates_at - span, superseded_at = superseded_at - span,
			revoked_at = revoked_at - span, created_at = created_at - span WHERE kid = k.kid;
	END LOOP;
END
$$;

--
-- A key's life
--

-- Nothing at first; the first token makes the first key, which signs at once.
SELECT * FROM ring;
SELECT auth.jwks();
SELECT pg_temp.sign('first');
SELECT pg_temp.named('a', kid) FROM auth.key_status;
SELECT * FROM ring;

-- A new key is published, and signs from activates_at on.
SELECT pg_temp.named('b', auth.create_key(activate_in => '1 h'));
SELECT * FROM ring;
SELECT * FROM published;
SELECT pg_temp.sign('second');
SELECT pg_temp.pass('59 min');
SELECT * FROM ring;
SELECT pg_temp.pass('1 min');
SELECT * FROM ring;
SELECT pg_temp.sign('third');
SELECT * FROM published;
SELECT * FROM tokens;

-- What is published: these members and no others
SELECT key - 'kid' - 'x' - 'y' AS key, ARRAY(SELECT jsonb_object_keys(key)) AS members FROM jsonb_array_elements(auth.jwks() -> 'keys') key;
SELECT key ->> 'kid' = k.kid AS kid, auth.jwt_verify(t.token, auth.jwks()) IS NOT NULL AS verifies
FROM jsonb_array_elements(auth.jwks() -> 'keys') WITH ORDINALITY j (key, place), named k, token t WHERE place = 1 AND k.name = 'b' AND t.name = 'third';

-- A verifier whose clock is late knows no key that is early, but for the leeway.
SELECT pg_temp.pass('-30 s');
SELECT * FROM tokens;
SET jwt_auth.leeway = '1 min';
SELECT * FROM tokens;
RESET jwt_auth.leeway;
SELECT pg_temp.pass('30 s');

-- The key before it goes on until the last token that it can have signed has expired
SELECT verifies_until - lead(activates_at) OVER (ORDER BY activates_at) AS verifies_for FROM auth.key_status;
SELECT pg_temp.pass('14 min');
SELECT * FROM ring;
SELECT pg_temp.pass('1 min');
SELECT * FROM ring;
SELECT * FROM published;
SELECT * FROM tokens;
-- ... which is later where one was asked to live longer, and leeway counts too.
SELECT pg_temp.sign('long', jsonb_build_object('exp', extract(epoch FROM now())::bigint + 7230));
SELECT pg_temp.sign('short', jsonb_build_object('exp', extract(epoch FROM now())::bigint + 60));
SELECT pg_temp.named('c', auth.rotate_key(activate_in => '0'));
SET jwt_auth.leeway = '1 min';
SELECT pg_temp.name(kid) AS key, date_trunc('minute', verifies_until - lead(activates_at) OVER (ORDER BY activates_at)) AS verifies_for FROM auth.key_status;
RESET jwt_auth.leeway;
SELECT pg_temp.pass('2 h');
SELECT * FROM tokens;
SELECT pg_temp.pass('1 min');
SELECT * FROM tokens;
SELECT * FROM ring;

-- prune() deletes what has expired, and nothing else.
SELECT auth.prune();
SELECT * FROM ring;
SELECT auth.prune();
DELETE FROM token;

-- Another algorithm, in the middle of it all
SELECT pg_temp.sign('c');
SELECT algorithm, pg_temp.named(algorithm, auth.create_key(algorithm, activate_in => '0')), pg_temp.sign(algorithm)
FROM unnest(ARRAY['RS256', 'ES256', 'Ed25519', 'HS512', 'PS256', 'ES256K']) algorithm;
SELECT * FROM ring;
SELECT * FROM tokens;
-- ... with no secret among the public keys
SELECT * FROM published;
SELECT bool_or(key ?| ARRAY['d', 'p', 'q', 'dp', 'dq', 'qi', 'k']) AS leaks FROM jsonb_array_elements(auth.jwks() -> 'keys') key;

-- By default it waits for ten seconds.
BEGIN;
SELECT auth.create_key() AS created, auth.rotate_key() AS rotated \gset
SELECT k.kid = :'rotated' AS rotated, round(extract(epoch FROM k.activates_at - k.created_at)) AS waits FROM auth.key_status k WHERE kid IN (:'created', :'rotated') ORDER BY 1;
ROLLBACK;

-- rotate_key() keeps the algorithm, makes the first key where there is none,
-- and knows two purposes.
SELECT pg_temp.named('d', auth.rotate_key(activate_in => '0'));
SELECT algorithm FROM auth.key_status WHERE kid = pg_temp.kid('d');
SELECT pg_temp.named('r', auth.rotate_key('refresh', '0'));
SELECT purpose, algorithm, state FROM auth.key_status WHERE purpose = 'refresh' ORDER BY created_at;
SELECT call, pg_temp.try(call) FROM unnest(ARRAY[
	$$auth.create_key('none')$$,
	$$auth.create_key('es256')$$,
	$$auth.create_key(NULL)$$,
	$$auth.create_key(purpose => 'id')$$,
	$$auth.create_key(purpose => NULL)$$,
	$$auth.create_key(activate_in => NULL)$$,
	$$auth.create_key(activate_in => '-1 s')$$,
	$$auth.create_key(activate_in => '367 days')$$,
	$$auth.rotate_key('id')$$,
	$$auth.rotate_key(NULL)$$,
	$$auth.rotate_key(activate_in => NULL)$$,
	$$auth.rotate_key(activate_in => '-1 s')$$,
	$$auth.revoke_key('no such key')$$,
	$$auth.revoke_key(NULL)$$,
	$$auth.revoke_all(NULL)$$]) call;

-- One active key for each purpose, whoever writes the table
\set VERBOSITY terse
UPDATE auth.keys SET superseded_at = NULL WHERE kid = pg_temp.kid('c');
UPDATE auth.keys SET superseded_at = NULL WHERE kid = (SELECT kid FROM auth.keys WHERE purpose = 'refresh' AND superseded_at IS NOT NULL);
\set VERBOSITY default

--
-- Rotating while a key is pending
--
TRUNCATE auth.keys; DELETE FROM token; DELETE FROM named;
SELECT pg_temp.named('a', auth.create_key());
SELECT pg_temp.named('b', auth.rotate_key(activate_in => '1 h'));
-- later than the pending one: all of them have their turn
SELECT pg_temp.named('c', auth.rotate_key(activate_in => '2 h'));
SELECT * FROM ring;
SELECT pg_temp.sign('a');
SELECT pg_temp.pass('1 h');
SELECT pg_temp.sign('b');
SELECT pg_temp.pass('1 h');
SELECT pg_temp.sign('c');
SELECT * FROM ring;
-- earlier than the pending one, which then never signs
SELECT pg_temp.named('d', auth.rotate_key(activate_in => '1 h'));
SELECT pg_temp.named('e', auth.rotate_key(activate_in => '0'));
SELECT pg_temp.sign('e');
SELECT * FROM ring;
SELECT pg_temp.pass('1 h');
SELECT pg_temp.sign('e, later');
SELECT * FROM ring;

--
-- Revoking
--
TRUNCATE auth.keys; DELETE FROM token; DELETE FROM named;
SELECT pg_temp.named('a', auth.create_key());
SELECT pg_temp.sign('a');
-- An active key gets a successor at once, of the same algorithm ...
SELECT pg_temp.named('b', auth.revoke_key(pg_temp.kid('a')));
SELECT pg_temp.sign('b');
SELECT * FROM ring;
SELECT * FROM tokens;
SELECT * FROM published;
-- ... of another where that is not allowed any more ...
SET jwt_auth.allowed_algorithms = 'ES384, EdDSA';
SELECT pg_temp.named('c', auth.revoke_key(pg_temp.kid('b')));
RESET jwt_auth.allowed_algorithms;
SELECT pg_temp.sign('c');
-- ... and the one that is pending where there is one.
SELECT pg_temp.named('d', auth.rotate_key(activate_in => '1 h'));
SELECT pg_temp.name(auth.revoke_key(pg_temp.kid('c'))) AS successor;
SELECT pg_temp.sign('d');
SELECT * FROM ring;
SELECT * FROM tokens;
-- A pending one: the active key stays, and for good.
SELECT pg_temp.named('e', auth.rotate_key(activate_in => '1 h'));
SELECT auth.revoke_key(pg_temp.kid('e'));
SELECT pg_temp.pass('2 h');
SELECT pg_temp.sign('d, later');
SELECT * FROM ring;
-- One of two that are pending: the other keeps its turn.
SELECT pg_temp.named('f', auth.rotate_key(activate_in => '1 h'));
SELECT pg_temp.named('g', auth.rotate_key(activate_in => '2 h'));
SELECT auth.revoke_key(pg_temp.kid('f'));
SELECT pg_temp.pass('90 min');
SELECT pg_temp.sign('d, once more');
SELECT pg_temp.pass('30 min');
SELECT pg_temp.sign('g');
-- One that verifies: the active key stays.
SELECT auth.revoke_key(pg_temp.kid('d'));
SELECT * FROM ring;
SELECT * FROM tokens;
-- Once is enough.
SELECT auth.revoke_key(pg_temp.kid('d'));
-- The private half is gone, and the kid stays taken until prune().
SELECT pg_temp.name(kid) AS key, wrapped_key IS NULL AS gone FROM auth.keys ORDER BY created_at;
-- What is rolled back leaves no trace.
BEGIN;
SELECT auth.revoke_key(pg_temp.kid('g')) IS NOT NULL AS successor;
SELECT pg_temp.verify(token) FROM token WHERE name = 'g';
ROLLBACK;
SELECT pg_temp.verify(token) FROM token WHERE name = 'g';
SELECT count(*) FILTER (WHERE pg_temp.name(kid) = '?') AS traces FROM auth.key_status;

--
-- Purposes are apart, whatever the claims of a token say.
--
TRUNCATE auth.keys; DELETE FROM token; DELETE FROM named;
SELECT left(auth.register('ann@example.com', 'correct horse')::text, 0) AS ann;
SELECT auth.login('ann@example.com', 'correct horse') AS login \gset
SELECT purpose, algorithm, state FROM auth.key_status ORDER BY purpose;
SELECT :'login'::jsonb ->> 'access_token' AS access, :'login'::jsonb ->> 'refresh_token' AS refresh \gset
SELECT pg_temp.verify(:'access') AS access, pg_temp.verify(:'refresh') AS refresh;
SELECT (auth.rotate_refresh_token(:'access')).status AS access;
-- with keys that we hold, tokens that say what they should under the wrong key
SELECT auth.jwk_generate('ES256', 'access') AS access_jwk, auth.jwk_generate('ES256', 'refresh') AS refresh_jwk \gset
SELECT auth.import_key(:'access_jwk', 'access', false), auth.import_key(:'refresh_jwk', 'refresh', false);
SELECT (auth.jwt_decode(:'access')).payload AS access_payload, (auth.jwt_decode(:'refresh')).payload AS refresh_payload \gset
SELECT pg_temp.verify(auth.jwt_sign(:'access_payload', :'access_jwk'::jsonb)) AS access, pg_temp.verify(auth.jwt_sign(:'access_payload', :'refresh_jwk'::jsonb)) AS refresh;
SELECT (auth.rotate_refresh_token(auth.jwt_sign(:'refresh_payload', :'access_jwk'::jsonb))).status AS access,
	   (auth.rotate_refresh_token(auth.jwt_sign(:'refresh_payload', :'refresh_jwk'::jsonb))).status AS refresh;
-- ... without a kid as well
SELECT pg_temp.verify(auth.jwt_sign(:'access_payload', :'access_jwk'::jsonb - 'kid')) AS access, pg_temp.verify(auth.jwt_sign(:'access_payload', :'refresh_jwk'::jsonb - 'kid')) AS refresh;
SELECT (auth.rotate_refresh_token(auth.jwt_sign(:'refresh_payload', :'access_jwk'::jsonb - 'kid'))).status AS access,
	   (auth.rotate_refresh_token(auth.jwt_sign(:'refresh_payload', :'refresh_jwk'::jsonb - 'kid'))).status AS refresh;
-- jwks() has the access keys alone
SELECT string_agg(key ->> 'kid', ' ') FILTER (WHERE key ->> 'kid' IN ('access', 'refresh')) AS published FROM jsonb_array_elements(auth.jwks() -> 'keys') key;

--
-- Keys from elsewhere
--
TRUNCATE auth.keys; DELETE FROM named;
SELECT auth.jwk_generate('ES256') - 'kid' AS ec, auth.jwk_generate('RS256', 'rsa') AS rsa, auth.jwk_generate('EdDSA') - 'kid' - 'alg' AS ed,
	   auth.jwk_generate('HS256', 'oct') AS oct, 'a secret of thirty-two characters' AS secret \gset
\set certificate '-----BEGIN CERTIFICATE-----\nMIIBhTCCASugAwIBAgIUfDJBkypAynNDHKf9obLFlcwrHLIwCgYIKoZIzj0EAwIw\nFzEVMBMGA1UEAwwMdGVzdC5leGFtcGxlMCAXDTI2MTEyMzAyMjUwMFoYDzIxMjYx\nMDMwMDIyNTAwWjAXMRUwEwYDVQQDDAx0ZXN0LmV4YW1wbGUwWTATBgcqhkjOPQIB\nBggqhkjOPQMBBwNCAASxjc1pEaFzhqfpNXPCAHm2fnU5A7x6RDAwN4QP6RC3CzWQ\nXV8J8omSON4jFDWmOsMvZuL7/6Im//H3ZJE7oaN6o1MwUTAdBgNVHQ4EFgQUPrvP\nokZY+T737xdWWna8sf55rNIwHwYDVR0jBBgwFoAUPrvPokZY+T737xdWWna8sf55\nrNIwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiADe7b51hVPKE0H\np/1/PqlCjI11FU7iFJlblGzg9JizyAIhAPVPgFvq8rbH0l9KFIp0B4ZAukbXhd6k\nWFu/Gq2Vntn3\n-----END CERTIFICATE-----'
\set claims '{"sub": "ann", "exp": 9999999999}'
-- It verifies at once, and signs when other verifiers have had time to fetch it.
SELECT pg_temp.named('own', auth.create_key());
SELECT auth.import_key(:'ec') = auth.jwk_thumbprint(:'ec') AS kid_is_thumbprint;
SELECT pg_temp.named('ec', auth.jwk_thumbprint(:'ec'));
SELECT * FROM ring;
SELECT pg_temp.verify(auth.jwt_sign(:'claims', :'ec'::jsonb || jsonb_build_object('kid', pg_temp.kid('ec')))) AS token;
SELECT pg_temp.pass('10 s');
SELECT pg_temp.signer(auth.jwt_sign(:'claims'));
SELECT * FROM ring;
-- One that only verifies, in every form
SELECT pg_temp.named('rsa', auth.import_key(auth.jwk_public(:'rsa'), activate => false));
SELECT pg_temp.named('ed', auth.import_pem(auth.jwk_to_pem(:'ed'), 'EdDSA', kid => 'ed', activate => false));
SELECT pg_temp.named('certificate', auth.import_pem(:'certificate', 'ES256', activate => false));
SELECT pg_temp.kid('certificate') = auth.jwk_thumbprint(auth.jwk_from_pem(:'certificate')) AS kid_is_thumbprint;
SELECT pg_temp.named('oct', auth.import_key(:'oct', activate => false));
SELECT pg_temp.named('secret', auth.import_secret(:'secret', activate => false));
SELECT * FROM ring;
SELECT pg_temp.signer(auth.jwt_sign(:'claims'));
SELECT * FROM published;
-- Their tokens need no kid; one that has a kid needs the right one.
SELECT pg_temp.verify(auth.jwt_sign(:'claims', :'rsa'::jsonb)) AS kid, pg_temp.verify(auth.jwt_sign(:'claims', :'rsa'::jsonb - 'kid')) AS none, pg_temp.verify(auth.jwt_sign(:'claims', :'rsa'::jsonb || '{"kid": "ed"}')) AS of_another,
	   pg_temp.verify(auth.jwt_sign(:'claims', :'rsa'::jsonb || '{"kid": "nobody"}')) AS unknown;
SELECT pg_temp.verify(auth.jwt_sign(:'claims', :'ed'::jsonb)) AS ed, pg_temp.verify(auth.jwt_sign(:'claims', :'oct'::jsonb - 'kid')) AS oct, pg_temp.verify(auth.jwt_sign(:'claims', :'secret')) AS secret;
SELECT pg_temp.verify(auth.jwt_sign(:'claims', auth.jwk_generate('ES256') - 'kid')) AS other_key, pg_temp.verify(auth.jwt_sign(:'claims', auth.jwk_generate('ES384') - 'kid')) AS other_algorithm;
-- ... as are exp and the other claims that the ring asks of every token.
SELECT pg_temp.verify(auth.jwt_sign('{"sub": "ann"}', :'secret')) AS without_exp;
-- A key of our own always names itself: a token without a kid is not tried under it.
SELECT pg_temp.named('verifier', auth.import_key(:'rsa'::jsonb || '{"kid": "rsa again"}', activate => false));
UPDATE auth.keys SET imported = false WHERE kid IN ('rsa', 'rsa again');
SELECT pg_temp.verify(auth.jwt_sign(:'claims', :'rsa'::jsonb)) AS kid, pg_temp.verify(auth.jwt_sign(:'claims', :'rsa'::jsonb - 'kid')) AS none;
-- Revoked, it is of no use; what signs is not concerned.
SELECT auth.revoke_key('ed');
SELECT auth.revoke_key(pg_temp.kid('secret'));
SELECT pg_temp.name(kid) AS key, wrapped_key AS left FROM auth.keys WHERE revoked_at IS NOT NULL ORDER BY created_at;
SELECT pg_temp.verify(auth.jwt_sign(:'claims', :'ed'::jsonb)) AS ed, pg_temp.verify(auth.jwt_sign(:'claims', :'secret')) AS secret;
SELECT * FROM ring;
-- A kid is taken as long as tokens of its key could be about.
SELECT label, pg_temp.try(call) AS result FROM (VALUES
	('same kid', format('auth.import_key(%L)', :'rsa')),
	('same thumbprint', format('auth.import_key(%L)', :'ec')),
	('revoked kid', format('auth.import_pem(%L, %L, kid => %L)', auth.jwk_to_pem(:'ec'), 'ES256', 'ed'))) AS c (label, call);
SELECT auth.prune();
SELECT pg_temp.pass('15 min');
SELECT auth.prune();
SELECT auth.import_pem(auth.jwk_to_pem(:'ed'), 'EdDSA', kid => 'ed', activate => false);

-- What is no key, or none that could do it
SELECT label, pg_temp.try(call) AS result FROM (VALUES
	('NULL', 'auth.import_key(NULL)'),
	('NULL purpose', format('auth.import_key(%L, NULL)', :'ec')),
	('NULL activate', format('auth.import_key(%L, activate => NULL)', :'ec')),
	('unknown purpose', format('auth.import_key(%L, %L)', :'ec', 'id')),
	('no object', $$auth.import_key('[]')$$),
	('nothing', $$auth.import_key('{}')$$),
	('a set', format('auth.import_key(%L)', jsonb_build_object('keys', jsonb_build_array(:'ec'::jsonb)))),
	('public, to sign', format('auth.import_key(%L)', auth.jwk_public(auth.jwk_generate('ES256')))),
	('for encryption', format('auth.import_key(%L)', auth.jwk_generate('ES256') || '{"use": "enc"}')),
	('key_ops', format('auth.import_key(%L)', auth.jwk_generate('ES256') || '{"key_ops": ["encrypt"]}')),
	('alg of another type', format('auth.import_key(%L)', auth.jwk_generate('ES256') || '{"alg": "RS256"}')),
	('alg of another curve', format('auth.import_key(%L)', auth.jwk_generate('ES256') || '{"alg": "ES384"}')),
	('unknown alg', format('auth.import_key(%L)', auth.jwk_generate('ES256') || '{"alg": "none"}')),
	('unknown kty', $$auth.import_key('{"kty": "AKP"}')$$),
	('short secret', $$auth.import_key('{"kty": "oct", "k": "c2hvcnQ"}')$$),
	('short for its algorithm', format('auth.import_key(%L)', :'oct'::jsonb || '{"kid": "x", "alg": "HS512"}')),
	('RSA with 1024 bits', $$auth.import_key('{"kty": "RSA", "alg": "RS256", "e": "AQAB", "n": "$$ || auth.base64url_encode(decode(repeat('c5', 128), 'hex')) || $$"}', activate => false)$$),
	('empty kid', format('auth.import_key(%L)', auth.jwk_generate('ES256') || '{"kid": ""}')),
	('long kid', format('auth.import_key(%L)', auth.jwk_generate('ES256') || jsonb_build_object('kid', repeat('k', 256)))),
	('no PEM', $$auth.import_pem('key', 'ES256')$$),
	('JWK as PEM', format('auth.import_pem(%L, %L)', :'ec', 'ES256')),
	('PEM without algorithm', format('auth.import_pem(%L, NULL)', :'certificate')),
	('PEM of another type', format('auth.import_pem(%L, %L, activate => false)', :'certificate', 'RS256')),
	('certificate, to sign', format('auth.import_pem(%L, %L, kid => %L)', :'certificate', 'ES256', 'x')),
	('secret, but no HS', format('auth.import_secret(%L, %L)', :'secret', 'RS256')),
	('secret, unknown HS', format('auth.import_secret(%L, %L)', :'secret', 'HS1')),
	('secret, NULL algorithm', format('auth.import_secret(%L, NULL)', :'secret')),
	('secret too short', $$auth.import_secret('too short')$$),
	('NULL secret', $$auth.import_secret(NULL)$$),
	('PEM as secret', format('auth.import_secret(%L)', :'certificate')),
	('JWK as secret', format('auth.import_secret(%L)', :'ec')),
	-- as a control
	('good', format('auth.import_key(%L)', :'oct'::jsonb || '{"kid": "good"}'))
) AS c (label, call);

--
-- jwt_auth.allowed_algorithms: for what is made, imported and verified
--
TRUNCATE auth.keys; DELETE FROM token; DELETE FROM named;
SELECT pg_temp.named('es', auth.create_key('ES256')), pg_temp.sign('es');
SELECT pg_temp.named('ed', auth.create_key('EdDSA', activate_in => '0')), pg_temp.sign('ed');
SET jwt_auth.allowed_algorithms = 'EdDSA, HS512';
SELECT * FROM tokens;
SELECT pg_temp.try($$auth.create_key('ES256')$$) AS created, pg_temp.try(format('auth.import_key(%L)', :'ec')) AS imported, pg_temp.try(format('auth.import_secret(%L)', :'secret')) AS secret,
	   pg_temp.try(format('auth.import_pem(%L, %L, activate => false)', :'certificate', 'ES256')) AS certificate;
SELECT pg_temp.try($$auth.create_key('HS512', 'refresh')$$) AS allowed;
RESET jwt_auth.allowed_algorithms;
SELECT * FROM tokens;
-- What the active key would sign now would not verify; rotating goes on to the
-- first algorithm that suits.
SET jwt_auth.allowed_algorithms = ' HS256, "PS256",ES256 ';
SELECT pg_temp.try($$auth.jwt_sign('{}')$$) AS signed;
SELECT pg_temp.named('ps', auth.rotate_key(activate_in => '0')), pg_temp.sign('ps');
SELECT * FROM ring;
RESET jwt_auth.allowed_algorithms;

--
-- revoke_all(): every key, every session
--
TRUNCATE auth.keys; DELETE FROM token; DELETE FROM named; DELETE FROM auth.refresh_tokens;
SELECT auth.login('ann@example.com', 'correct horse') AS login \gset
SELECT left(auth.login('ann@example.com', 'correct horse')::text, 0) AS another;
SELECT :'login'::jsonb ->> 'access_token' AS access, :'login'::jsonb ->> 'refresh_token' AS refresh \gset
SELECT auth.rotate_key(activate_in => '1 h') \g /dev/null
SELECT auth.import_key(:'rsa', activate => false), auth.import_secret(:'secret', kid => 'secret', activate => false);
SELECT auth.revoke_key('rsa');
DELETE FROM auth.audit_log;
SELECT auth.revoke_all('laptop stolen');
SELECT event, details - 'kid' AS details FROM auth.audit_log ORDER BY at;
SELECT purpose, state, count(*) FROM auth.key_status GROUP BY 1, 2 ORDER BY 1, 2;
SELECT count(*) AS sessions, count(revoked_at) AS ended, min(revoke_reason) AS reason FROM auth.refresh_tokens;
SELECT pg_temp.verify(:'access') AS access, pg_temp.verify(auth.jwt_sign(:'claims', :'secret')) AS imported, auth.refresh(:'refresh') ->> 'error_code' AS refresh;
-- ... the latter because of its key: no session that comes back makes it good
UPDATE auth.refresh_tokens SET revoked_at = NULL;
SELECT auth.refresh(:'refresh') ->> 'error_code' AS refresh;
UPDATE auth.refresh_tokens SET revoked_at = now();
-- Whoever signs in again is served by the new keys.
SELECT pg_temp.verify(r ->> 'access_token') AS access, (auth.rotate_refresh_token(r ->> 'refresh_token')).status AS refresh
FROM auth.login('ann@example.com', 'correct horse') r;
-- Where nothing is, nothing is made.
TRUNCATE auth.keys, auth.refresh_tokens;
SELECT auth.revoke_all('nothing there');

--
-- Clients: what is issued to each, and what counts of it
--
SELECT auth.set_client('app', 'https://app.example', '1 min', '1 h', '2 h'), auth.set_client('kiosk', refresh_tokens => false);
SELECT auth.login('ann@example.com', 'correct horse', client_id => 'app') AS login \gset
SELECT :'login'::jsonb ->> 'access_token' AS access, :'login'::jsonb ->> 'refresh_token' AS refresh \gset
SELECT client, r -> 'expires_in' AS expires_in, r ? 'refresh_token' AS refresh_token, pg_temp.verify(r ->> 'access_token'), auth.jwt_verify(r ->> 'access_token') -> 'aud' AS aud
FROM unnest(ARRAY['default', 'app', 'kiosk']) client, auth.login('ann@example.com', 'correct horse', client_id => client) r;
SELECT client_id, expires_at - date_trunc('second', created_at) AS refresh_token, session_expires_at - date_trunc('second', created_at) AS session
FROM auth.refresh_tokens ORDER BY created_at;
-- Another audience: tokens that are out do not have it.
SELECT auth.set_client('app', 'https://other.example');
SELECT pg_temp.verify(:'access') AS access, auth.refresh(:'refresh') ->> 'error_code' AS refresh;
SELECT client_id, audience, access_token_lifetime, refresh_token_lifetime, session_lifetime, refresh_tokens FROM auth.clients ORDER BY client_id;
-- (the other one was made after it)
SELECT a.updated_at > b.updated_at AS updated FROM auth.clients a, auth.clients b WHERE a.client_id = 'app' AND b.client_id = 'kiosk';
SELECT auth.set_client('app', 'https://app.example');
SELECT pg_temp.verify(:'access') AS access;
-- No client, no token of its own
SELECT auth.drop_client('app');
SELECT pg_temp.verify(:'access') AS access, auth.refresh(:'refresh') ->> 'error_code' AS refresh;
SELECT auth.login('ann@example.com', 'correct horse', client_id => 'app') ->> 'error_code' AS login;
-- The default without a row goes by the settings.
SELECT auth.set_client('default', access_token_lifetime => '30 s');
SELECT auth.login('ann@example.com', 'correct horse') -> 'expires_in' AS expires_in;
SELECT auth.drop_client('default');
SELECT auth.login('ann@example.com', 'correct horse') -> 'expires_in' AS expires_in;
SELECT call, pg_temp.try(call) FROM unnest(ARRAY[
	$$auth.set_client(NULL)$$,
	$$auth.set_client('')$$,
	$$auth.set_client(repeat('x', 256))$$,
	$$auth.set_client('x', '')$$,
	$$auth.set_client('x', refresh_tokens => NULL)$$,
	$$auth.set_client('x', access_token_lifetime => '0')$$,
	$$auth.set_client('x', refresh_token_lifetime => '51 years')$$,
	$$auth.set_client('x', session_lifetime => '-1 s')$$,
	$$auth.drop_client('x')$$,
	$$auth.drop_client(NULL)$$]) call;

--
-- Who may do what
--
CREATE ROLE regress_keys;
CREATE ROLE regress_monitor;
CREATE ROLE regress_admin;
CREATE ROLE regress_nobody;
SELECT auth.grant_access('regress_keys', 'keys'), auth.grant_access('regress_monitor', 'monitor'), auth.grant_access('regress_admin', 'admin');
SELECT auth.create_key(purpose => 'refresh') AS refresh_kid \gset
CREATE TEMP TABLE attempt (n serial, call text);
INSERT INTO attempt (call) VALUES
	($$auth.jwt_sign('{}')$$),
	($$auth.create_key()$$),
	($$auth.rotate_key()$$),
	(format('auth.import_key(%L, activate => false)', :'ec')),
	(format('auth.import_pem(%L, %L, kid => %L, activate => false)', :'certificate', 'ES256', 'certificate')),
	(format('auth.import_secret(%L, activate => false)', :'secret')),
	(format('auth.revoke_key(%L)', :'refresh_kid')),
	($$auth.revoke_all('why not')$$),
	($$auth.rewrap_keys()$$),
	($$count(*) FROM auth.key_status$$),
	($$auth.set_client('x')$$),
	($$auth.drop_client('x')$$),
	($$auth.prune()$$),
	($$auth.jwks()$$),
	($$count(*) FROM auth.keys$$),
	($$auth._ensure_key('access')$$),
	($$auth._generate_key('ES256', 'access')$$),
	($$auth._wrap_jwk('{}', 'access')$$),
	($$auth._rewrap('x', 'access', 'ES256', '')$$),
	($$auth._add_key('x', 'access', 'ES256', '{}', NULL, false, '0')$$),
	($$auth._active_key('access')$$),
	($$auth._successor_algorithm('ES256', 'access')$$),
	($$auth._revoke(NULL, now())$$);
CREATE TEMP TABLE outcome (role text, n int, call text, result text);
GRANT ALL ON attempt, outcome TO PUBLIC;
SET ROLE regress_keys; INSERT INTO outcome SELECT current_role, n, call, left(pg_temp.try(call), 5) FROM attempt;
SET ROLE regress_monitor; INSERT INTO outcome SELECT current_role, n, call, left(pg_temp.try(call), 5) FROM attempt;
SET ROLE regress_admin; INSERT INTO outcome SELECT current_role, n, call, left(pg_temp.try(call), 5) FROM attempt;
SET ROLE regress_nobody; INSERT INTO outcome SELECT current_role, n, call, left(pg_temp.try(call), 5) FROM attempt;
RESET ROLE;
SELECT split_part(call, '(', 1) || CASE WHEN call LIKE 'count%' THEN substr(call, 6) ELSE '' END AS call,
	   string_agg(substr(role, 9), ' ') FILTER (WHERE result = 'done') AS done_by
FROM outcome GROUP BY n, 1 ORDER BY n;
-- everybody else is told so
SELECT result, count(*) FROM outcome WHERE result <> 'done' GROUP BY result;
-- A monitor sees no key material.
SELECT attname FROM pg_attribute WHERE attrelid = 'auth.key_status'::regclass ORDER BY attnum;

--
-- Errors and audit log have no secret.
--
SELECT event, count(*) > 0 AS some, array_agg(DISTINCT keys ORDER BY keys) AS details
FROM auth.audit_log, LATERAL (SELECT string_agg(k, ' ' ORDER BY k COLLATE "C") AS keys FROM jsonb_object_keys(details) k) AS k
WHERE event ~ 'key|client|all_revoked' GROUP BY event ORDER BY event;
CREATE TEMP TABLE secret (secret text);
INSERT INTO secret VALUES (:'secret'), (:'ec'::jsonb ->> 'd'), (:'rsa'::jsonb ->> 'd'), (:'ed'::jsonb ->> 'd'), (:'oct'::jsonb ->> 'k'), (left(split_part(auth.jwk_to_pem(:'ec'), E'\n', 2), 40));
SELECT count(*) AS in_audit_log FROM auth.audit_log l, secret WHERE strpos(l::text, secret) > 0;
CREATE FUNCTION pg_temp.all_fields(command text, secret text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	message text;
	detail text;
	hint text;
	context text;
BEGIN
	EXECUTE 'SELECT ' || command USING secret;
	RETURN 'done';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT, context = PG_EXCEPTION_CONTEXT;
	RETURN concat_ws(E'\n', message, detail, hint, context);
END
$$;
SELECT call, count(*) FILTER (WHERE error <> 'done') AS errors, count(*) FILTER (WHERE strpos(error, secret) > 0) AS with_secret
FROM unnest(ARRAY[
	'auth.import_pem($1, ''ES256'')',
	'auth.import_secret($1 || ''{'', ''HS1'')',
	'auth.import_secret(''{'' || $1)',
	'auth.import_secret(left($1, 31) || $1, purpose => $1)',
	'auth.revoke_key($1)',
	'auth.create_key($1)',
	'auth.create_key(purpose => $1)',
	'auth.import_key(to_jsonb($1))',
	'auth.import_key(jsonb_build_object(''kty'', ''EC'', ''crv'', ''P-256'', ''x'', $1, ''y'', $1, ''d'', $1))',
	'auth.import_key(jsonb_build_object(''kty'', ''oct'', ''alg'', ''HS512'', ''k'', left($1, 40)), $1)',
	'auth.import_key(jsonb_build_object(''kty'', ''oct'', ''alg'', $1, ''k'', $1))']) call,
	secret, pg_temp.all_fields(call, secret) error
GROUP BY call ORDER BY call COLLATE "C";

DROP OWNED BY regress_keys, regress_monitor, regress_admin, regress_nobody;
DROP ROLE regress_keys, regress_monitor, regress_admin, regress_nobody;
SET client_min_messages = warning;
DROP EXTENSION jwt_auth, pgcrypto CASCADE;
DROP SCHEMA auth;
