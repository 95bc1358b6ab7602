--
-- What the key ring verifies, by the state of the key and by what a token says of
-- itself.  The keys were made here, so that tokens can be signed with them that
-- the ring itself would never issue; their rows are as create_key would leave
-- them after some time.
--
SET client_min_messages = warning;
CREATE EXTENSION jwt_auth CASCADE;
RESET client_min_messages;

CREATE TEMP TABLE known AS SELECT state, purpose, auth.jwk_generate('ES256', replace(state, ' ', '-')) AS jwk FROM (VALUES
	('never signs', 'access'), ('pending', 'access'), ('active', 'access'), ('in its overlap', 'access'), ('past its overlap', 'access'),
	('revoked', 'access'), ('revoked later', 'access'), ('deleted later', 'access'), ('of refresh tokens', 'refresh')) AS v (state, purpose);
INSERT INTO auth.keys (kid, purpose, algorithm, public_jwk, activates_at, superseded_at, revoked_at, longest_lifetime)
SELECT jwk ->> 'kid', purpose, 'ES256', auth.jwk_public(jwk),
	   now() + CASE state WHEN 'pending' THEN '1 hour' WHEN 'active' THEN '-5 min' WHEN 'in its overlap' THEN '-1 hour' WHEN 'past its overlap' THEN '-2 hours' END::interval,
	   now() + CASE state WHEN 'active' THEN '1 hour' WHEN 'in its overlap' THEN '-5 min' WHEN 'past its overlap' THEN '-1 hour' END::interval,
	   CASE state WHEN 'revoked' THEN now() END, '15 min'
FROM known;
-- A token by the key of a state
CREATE FUNCTION pg_temp.signed(state text, claims jsonb DEFAULT '{"exp": 4102444800}', header jsonb DEFAULT '{}') RETURNS text LANGUAGE sql AS
$$ SELECT auth.jwt_sign(claims, jwk, NULL, header) FROM known k WHERE k.state = signed.state $$;
CREATE FUNCTION pg_temp.ring(token text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
BEGIN
	PERFORM auth.jwt_verify(token);
	RETURN 'valid';
EXCEPTION WHEN invalid_authorization_specification THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN detail;
END
$$;
CREATE FUNCTION pg_temp.published(kid text) RETURNS boolean LANGUAGE sql AS
$$ SELECT EXISTS (SELECT FROM jsonb_array_elements(auth.jwks() -> 'keys') AS k WHERE k ->> 'kid' = published.kid) $$;

--
-- States (V69): what verifies, and what others are told to verify with
--
SELECT state, pg_temp.ring(pg_temp.signed(state)), pg_temp.published(jwk ->> 'kid') FROM known;
-- Also where this session has parsed the key already
UPDATE auth.keys SET revoked_at = now() WHERE kid = 'revoked-later';
DELETE FROM auth.keys WHERE kid = 'deleted-later';
SELECT state, pg_temp.ring(pg_temp.signed(state)), pg_temp.published(jwk ->> 'kid') FROM known WHERE state LIKE '% later';
-- The overlap is the longest lifetime that the key has signed, and the leeway
UPDATE auth.keys SET longest_lifetime = '2 hours' WHERE kid = 'past-its-overlap';
SELECT pg_temp.ring(pg_temp.signed('past its overlap')), pg_temp.published('past-its-overlap');
UPDATE auth.keys SET longest_lifetime = '50 min' WHERE kid = 'past-its-overlap';
SET jwt_auth.leeway = '15 min';
SELECT pg_temp.ring(pg_temp.signed('past its overlap')), pg_temp.published('past-its-overlap');
RESET jwt_auth.leeway;
SELECT pg_temp.ring(pg_temp.signed('past its overlap')), pg_temp.published('past-its-overlap');

--
-- The key is the one that kid names, for the algorithm that it was made for
-- (V40, V53, V54, V57, V62)
--
SELECT header, pg_temp.ring(auth.jwt_sign('{"exp": 4102444800}', jwk - 'kid', NULL, header))
FROM known, unnest(ARRAY['{}', '{"kid": "active"}', '{"kid": "ACTIVE"}', '{"kid": "active "}', '{"kid": ""}', '{"kid": "%"}', '{"kid": "nope"}', '{"kid": "x'' OR true --"}', '{"kid": "in-its-overlap"}']::jsonb[]) AS header
WHERE state = 'active';
SELECT pg_temp.ring(auth.jwt_sign('{"exp": 4102444800}', attacker, NULL, jsonb_build_object('jwk', auth.jwk_public(attacker), 'jku', 'http://127.0.0.1:1/'))) AS brings_its_own
FROM auth.jwk_generate('ES256', 'active') AS attacker;
SELECT algorithm, pg_temp.ring(auth.jwt_sign('{"exp": 4102444800}', auth.jwk_generate(algorithm, 'active'))) FROM unnest(ARRAY['HS256', 'ES256K', 'EdDSA']) AS algorithm;
SELECT pg_temp.ring(m || '.' || auth.base64url_encode(hmac(convert_to(m, 'UTF8'), convert_to(key, 'UTF8'), 'sha256'))) AS confused
FROM known, unnest(ARRAY[auth.jwk_to_pem(auth.jwk_public(jwk)), auth.jwk_public(jwk)::text, jwk ->> 'x', '']) AS key,
	 (VALUES (auth.base64url_encode('{"alg":"HS256","kid":"active"}') || '.' || auth.base64url_encode('{"exp":4102444800}'))) AS v (m)
WHERE state = 'active';
-- Of two names of what is one signature, the one in the key's row
SELECT auth.jwk_generate('EdDSA', 'ed') - 'alg' AS ed \gset
INSERT INTO auth.keys (kid, purpose, algorithm, public_jwk, longest_lifetime) VALUES ('ed', 'access', 'EdDSA', auth.jwk_public(:'ed'), '15 min');
SELECT algorithm, pg_temp.ring(auth.jwt_sign('{"exp": 4102444800}', :'ed'::jsonb, algorithm)) FROM unnest(ARRAY['EdDSA', 'Ed25519']) AS algorithm;
DELETE FROM auth.keys WHERE kid = 'ed';
SET jwt_auth.allowed_algorithms = 'EdDSA, RS256';
SELECT pg_temp.ring(pg_temp.signed('active')) AS no_longer_allowed;
RESET jwt_auth.allowed_algorithms;

--
-- Claims (V78, V79, V88, V89): exp must be there, and iss and aud fit the settings
--
SELECT claims, pg_temp.ring(pg_temp.signed('active', claims, header)) FROM (VALUES
	('{}'::jsonb, '{}'::jsonb), ('{}', '{"exp": 4102444800}'), ('{"Exp": 4102444800}', '{}'), ('{"EXP": 4102444800}', '{}'), ('{"\u0435\u0445\u0440": 4102444800}', '{}'),
	('{"exp": 1}', '{}'), ('{"exp": 1e30}', '{}'), ('{"exp": 4102444800, "nbf": 4102444799}', '{}'), ('{"exp": 4102444800, "iat": 4102444799}', '{}'),
	('{"exp": 4102444800, "iss": "https://issuer.test"}', '{}'), ('{"exp": 4102444800, "aud": "api"}', '{}'), ('{"exp": 4102444800, "client_id": "nope"}', '{}')) AS v (claims, header);
SET jwt_auth.issuer = 'https://issuer.test';
SELECT iss, pg_temp.ring(pg_temp.signed('active', jsonb_strip_nulls(jsonb_build_object('exp', 4102444800, 'iss', iss)))) FROM unnest(ARRAY['https://issuer.test', 'https://issuer.test/', 'https://ISSUER.test', 'https://issuer', '', NULL]) AS iss;
RESET jwt_auth.issuer;

--
-- The published set holds public members alone, and no secret at all (V70)
--
SELECT DISTINCT k ->> 'kty' AS kty, (SELECT string_agg(member, ' ' ORDER BY member) FROM jsonb_object_keys(k) AS member) AS members FROM jsonb_array_elements(auth.jwks() -> 'keys') AS k;
TRUNCATE auth.keys;
SELECT auth.jwks() AS of_nothing;
SELECT auth.create_key(algorithm, purpose, '0') IS NOT NULL AS created FROM (VALUES ('HS256', 'access'), ('HS512', 'access'), ('HS256', 'refresh'), ('ES256', 'refresh')) AS v (algorithm, purpose);
SELECT auth.jwks() AS of_secrets;
SELECT pg_temp.ring(auth.jwt_sign('{}')) AS verifies_all_the_same;
SELECT auth.create_key(algorithm, activate_in => '0') IS NOT NULL AS created FROM unnest(ARRAY['RS256', 'ES512', 'Ed25519', 'EdDSA', 'HS256']) AS algorithm;
SELECT k ->> 'kty' AS kty, k ->> 'alg' AS alg, (SELECT string_agg(member, ' ' ORDER BY member) FROM jsonb_object_keys(k) AS member) AS members
FROM jsonb_array_elements(auth.jwks() -> 'keys') AS k ORDER BY k ->> 'alg' COLLATE "C";

DROP TABLE known;
DROP EXTENSION jwt_auth, pgcrypto;
DROP SCHEMA auth;
