-- Every algorithm with every form of key, conversions between the forms, and
-- the signature layer alone.
SET client_min_messages = warning;
CREATE EXTENSION jwt_auth CASCADE;
RESET client_min_messages;

CREATE TEMP TABLE algorithm (n serial, name text);
INSERT INTO algorithm (name) VALUES ('HS256'), ('HS384'), ('HS512'), ('RS256'), ('RS384'), ('RS512'),
	('PS256'), ('PS384'), ('PS512'), ('ES256'), ('ES384'), ('ES512'), ('ES256K'), ('EdDSA'), ('Ed25519'), ('Ed448');
-- An error as one line
CREATE FUNCTION pg_temp.try(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE 'SELECT (' || command || ')::text' INTO result;
	RETURN result;
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ' ' || SQLERRM;
END
$$;

-- A generated key has the members of its type, and what it signs verifies under
-- its public half, as JWK, as JWK Set and as PEM.
CREATE TEMP TABLE key AS
SELECT n, name, auth.jwk_generate(name, 'k' || n) AS jwk FROM algorithm;
SELECT name, (SELECT string_agg(k, ' ' ORDER BY k) FROM jsonb_object_keys(jwk) k) AS members,
	   jwk ->> 'crv' AS crv, length(auth.base64url_decode(coalesce(jwk ->> 'k', jwk ->> 'x', jwk ->> 'n'))) AS bytes
FROM key ORDER BY n;
CREATE TEMP TABLE signed AS
SELECT n, name, jwk, CASE WHEN name NOT LIKE 'HS%' THEN auth.jwk_public(jwk) END AS public,
	   auth.jwt_sign('{"sub": "ann"}', jwk) AS token FROM key;
SELECT name, length((auth.jwt_decode(token)).signature) AS signature,
	   auth.jwt_verify(token, jwk) ->> 'sub' = 'ann' AS jwk,
	   auth.jwt_verify(token, coalesce(public, jwk)) ->> 'sub' = 'ann' AS public,
	   auth.jwt_verify(token, jsonb_build_object('keys', jsonb_build_array(coalesce(public, jwk)))) ->> 'sub' = 'ann' AS jwks,
	   auth.jwt_verify(auth.jwt_sign('{"sub": "ann"}', auth.jwk_to_pem(jwk), name), auth.jwk_to_pem(public), ARRAY[name]) ->> 'sub' = 'ann' AS pem
FROM signed WHERE name NOT LIKE 'HS%' ORDER BY n;
SELECT name, length((auth.jwt_decode(token)).signature) AS signature, auth.jwt_verify(token, jwk) ->> 'sub' = 'ann' AS jwk
FROM signed WHERE name LIKE 'HS%' ORDER BY n;

-- No token verifies under another key or algorithm than its own, but EdDSA and
-- the name of its curve are the same signature.
SELECT t.name AS token, k.name AS key, r.error
FROM signed t, signed k, auth.jwt_try_verify(t.token, coalesce(k.public, k.jwk) - 'kid') r
WHERE t.n <> k.n AND (r.valid OR r.error NOT IN ('key_mismatch', 'bad_signature', 'algorithm_not_allowed'));
SELECT header ->> 'alg' AS alg, auth.jwt_verify(token, auth.jwk_public(jwk) - 'alg', '{EdDSA,Ed25519,Ed448}') ->> 'sub' AS sub
FROM key, unnest(ARRAY['EdDSA', name]) alg, auth.jwt_sign('{"sub": "ann"}', jwk - 'alg', alg) token, auth.jwt_decode(token)
WHERE name IN ('Ed25519', 'Ed448') ORDER BY n, alg COLLATE "C";
-- One RSA key for all: each token names the one algorithm that it verifies with.
SELECT t.name AS token, string_agg(v.name, ' ') AS verifies
FROM algorithm t, algorithm v, (SELECT jwk - 'alg' AS jwk FROM key WHERE name = 'RS256') k,
	 auth.jwt_try_verify(auth.jwt_sign('{}', k.jwk, t.name), k.jwk, ARRAY[v.name]) r
WHERE t.name ~ '^[RP]S' AND v.name ~ '^[RP]S' AND r.valid GROUP BY t.n, t.name ORDER BY t.n;

-- Keys go from one form to another and come back as they were.
SELECT name, auth.jwk_from_pem(auth.jwk_to_pem(jwk)) = jwk - 'kid' - 'alg' AS private,
	   auth.jwk_from_pem(auth.jwk_to_pem(public)) = public - 'kid' - 'alg' AS public,
	   public ?| ARRAY['d', 'p', 'q', 'dp', 'dq', 'qi', 'k'] AS leaks,
	   auth.jwk_thumbprint(jwk) = auth.jwk_thumbprint(public) AS thumbprint
FROM signed WHERE name NOT LIKE 'HS%' ORDER BY n;

-- RFC 7638 section 3.1, RFC 8037 appendix A.3
SELECT auth.jwk_thumbprint('{"kty": "RSA", "e": "AQAB", "alg": "RS256", "kid": "2011-04-29", "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"}');
SELECT auth.jwk_thumbprint('{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}');

-- The signature layer alone signs any bytes, and knows nothing of claims.
SELECT name, auth.jws_verify(auth.jws_sign('\x00ff00'::bytea, jwk), coalesce(public, jwk)) AS payload,
	   auth.jws_verify(auth.jws_sign('', jwk), jwk) = '' AS empty,
	   (auth.jwt_decode(auth.jws_sign('{}', jwk, NULL, '{"cty": "x"}'))).header - 'kid' - 'alg' AS header
FROM signed WHERE name IN ('HS256', 'ES512', 'Ed448') ORDER BY n;
SELECT auth.jws_verify(token, jwk) = convert_to('{"sub":"ann"}', 'UTF8') AS a_jwt_is_a_jws FROM signed WHERE name = 'ES256';

-- What is refused
SELECT command, pg_temp.try(command) AS result FROM unnest(ARRAY[
	$$auth.jwk_generate('none')$$, $$auth.jwk_generate(NULL)$$, $$auth.jwk_generate('rs256')$$,
	$$auth.jwk_public('{"kty": "oct", "k": "AAAA"}')$$, $$auth.jwk_to_pem('{"kty": "oct", "k": "AAAA"}')$$,
	$$auth.jwk_public('[]')$$, $$auth.jwk_public('{"keys": []}')$$, $$auth.jwk_public('{"kty": "EC"}')$$,
	$$auth.jwk_from_pem('secret')$$, $$auth.jwk_from_pem('')$$,
	$$auth.jwk_from_pem(E'-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----')$$,
	$$auth.jws_sign('x', NULL)$$, $$auth.jws_sign(NULL, '{}')$$, $$auth.jws_verify('a.b.c', NULL)$$, $$auth.jws_verify(NULL, '{}')$$,
	$$auth.jws_sign('x', '{"kty": "oct", "k": "AAAA"}')$$,
	$$auth.base64url_decode('QQ==')$$, $$auth.base64url_decode('Q Q')$$, $$auth.base64url_decode('QR')$$, $$auth.base64url_decode('+/')$$
]) command;
SELECT auth.base64url_encode('\x00'), auth.base64url_encode('\xfbff'), auth.base64url_encode(''), auth.base64url_decode('-_8'), auth.base64url_decode('') = '' AS empty;

-- Keys are kept once they are parsed, more of them here than there is room for:
-- each is found again as itself, and a text as what it is taken for.
SELECT count(*) AS tokens, count(*) FILTER (WHERE valid = (s = v)) AS right_answers
FROM (SELECT s, auth.jwt_sign('{}', repeat('x', 32) || s) AS token FROM generate_series(1, 50) s) t,
	 generate_series(1, 50) v, auth.jwt_try_verify(token, repeat('x', 32) || v);
SELECT pg_temp.try(format($$auth.jwt_verify(%L, %L, '{RS256}') ->> 'sub'$$, token, pem)) AS as_public_key,
	   pg_temp.try(format($$auth.jwt_sign('{}', %L, 'RS256')$$, pem)) AS as_private_key,
	   pg_temp.try(format($$auth.jwt_sign('{}', %L, 'HS256')$$, pem)) AS as_secret
FROM signed, auth.jwk_to_pem(public) pem WHERE name = 'RS256';
SELECT kid, error FROM unnest(ARRAY['k1', 'k2', NULL, 'k1']) WITH ORDINALITY AS k (kid, n),
	 auth.jwt_try_verify(auth.jwt_sign('{}', (SELECT jwk - 'kid' FROM key WHERE name = 'HS256'),
									   header => CASE WHEN kid IS NULL THEN '{}' ELSE jsonb_build_object('kid', kid) END),
						 (SELECT jwk FROM key WHERE name = 'HS256')) ORDER BY n;

DROP TABLE key, signed, algorithm;
DROP EXTENSION jwt_auth CASCADE;
DROP SCHEMA auth;
