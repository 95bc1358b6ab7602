--
-- Hostile and odd keys and key sets: each is refused for the right reason, to
-- sign with, to verify with and to convert.  The tokens beside them are right
-- ones, or forged so that only the key's being refused keeps them out.
--
SET client_min_messages = warning;
CREATE EXTENSION jwt_auth CASCADE;
RESET client_min_messages;

-- The public keys of RFC 7515 A.2 and A.3 and RFC 8037 A.4, and what A.3 signs
SELECT jsonb_build_object('kty', 'RSA', 'e', 'AQAB', 'n', 'ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPM'
	'EzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e'
	'-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethF'
	'kMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ') AS rsa,
	'{"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}' AS ec,
	'{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}' AS okp,
	jsonb_build_object('kty', 'oct', 'k', auth.base64url_encode(convert_to(repeat('secret', 11), 'UTF8'))) AS oct,
	'eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0c'
	'nVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q' AS es256, repeat('A', 43) AS zeros \gset

-- An answer or an error, with its reason, as one line
CREATE FUNCTION pg_temp.outcome(token text, jwk jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
BEGIN
	PERFORM auth.jwt_verify(token, jwk, at_time => 'epoch');
	RETURN 'valid';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN concat_ws(' ', SQLSTATE, SQLERRM, nullif(detail, ''));
END
$$;
CREATE FUNCTION pg_temp.try(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE 'SELECT ' || command INTO result;
	RETURN result;
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ' ' || SQLERRM;
END
$$;

--
-- Weak and broken keys (RFC 7518 sections 3.2, 3.3 and 6, RFC 8725 sections 3.4
-- and 3.5): to be verified with, to be converted, and as the one key of a set,
-- which may well hold keys that are not for us
--
CREATE TEMP TABLE broken (id text, fault text, jwk jsonb);
INSERT INTO broken VALUES
	('', 'none', :'ec'),
	('V66', 'RSA of 1024 bits', :'rsa'::jsonb || jsonb_build_object('n', auth.base64url_encode(decode(repeat('ff', 128), 'hex')))),
	('V66', 'RSA of 2047 bits', :'rsa'::jsonb || jsonb_build_object('n', auth.base64url_encode(decode('7f' || repeat('ff', 255), 'hex')))),
	('V66', 'e = 1', :'rsa'::jsonb || '{"e": "AQ"}'), ('V66', 'e = 2', :'rsa'::jsonb || '{"e": "Ag"}'), ('V66', 'e = 65536', :'rsa'::jsonb || '{"e": "AQAA"}'),
	('V66', '16 bytes for HS256', '{"kty": "oct", "k": "AAAAAAAAAAAAAAAAAAAAAA", "alg": "HS256"}'), ('V66', '16 bytes', '{"kty": "oct", "k": "AAAAAAAAAAAAAAAAAAAAAA"}'),
	('V66', '32 bytes for HS512', jsonb_build_object('kty', 'oct', 'k', :'zeros', 'alg', 'HS512')), ('V38', 'no byte', '{"kty": "oct", "k": ""}'),
	('V66', 'off the curve', :'ec'::jsonb || jsonb_build_object('x', :'ec'::jsonb -> 'y')), ('V66', '(0, 0)', :'ec'::jsonb || jsonb_build_object('x', :'zeros', 'y', :'zeros')),
	('V66', 'crv of the same size', :'ec'::jsonb || '{"crv": "secp256k1"}'), ('V66', 'crv of another size', :'ec'::jsonb || '{"crv": "P-384"}'),
	('V66', 'crv of another type', :'ec'::jsonb || '{"crv": "Ed25519"}'), ('V66', 'unknown crv', :'ec'::jsonb || '{"crv": "P-257"}'), ('V66', 'X25519', :'okp'::jsonb || '{"crv": "X25519"}'),
	('V66', 'order 1', :'okp'::jsonb || jsonb_build_object('x', 'AQ' || right(:'zeros', 41))), ('V66', 'x of 33 bytes', :'ec'::jsonb || jsonb_build_object('x', 'AH_NzidwLsRdQYPL7m_bS3tYBzM1e-nvE7rPbjx70VRF')),
	('V61', 'x of 33 bytes', :'okp'::jsonb || jsonb_build_object('x', :'zeros' || 'A')), ('V61', 'x of 31 bytes', :'okp'::jsonb || '{"x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHUQ"}'),
	('V61', 'no kty', :'ec'::jsonb - 'kty'), ('V61', 'kty a number', :'ec'::jsonb || '{"kty": 1}'), ('V61', 'kty in lower case', :'ec'::jsonb || '{"kty": "ec"}'),
	('V61', 'no n', :'rsa'::jsonb - 'n'), ('V61', 'n a number', :'rsa'::jsonb || '{"n": 65537}'), ('V61', 'e an array', :'rsa'::jsonb || '{"e": ["AQAB"]}'), ('V61', 'e in base64', :'rsa'::jsonb || '{"e": "AQAB=="}'),
	('V61', 'n with a blank', :'rsa'::jsonb || jsonb_build_object('n', ' ' || (:'rsa'::jsonb ->> 'n'))), ('V61', 'n with a leading zero', :'rsa'::jsonb || jsonb_build_object('n', 'AAAA' || (:'rsa'::jsonb ->> 'n'))),
	('V61', 'no x', :'ec'::jsonb - 'x'), ('V61', 'no y', :'ec'::jsonb - 'y'), ('V61', 'no crv', :'okp'::jsonb - 'crv'), ('V61', 'k null', '{"kty": "oct", "k": null}'),
	('V61', 'alg a list', :'ec'::jsonb || '{"alg": ["ES256"]}'), ('V61', 'unknown alg', :'ec'::jsonb || '{"alg": "ES257"}'), ('V61', 'alg none', :'ec'::jsonb || '{"alg": "none"}'), ('V61', 'alg of another type', :'ec'::jsonb || '{"alg": "HS256"}');
SELECT id, fault, pg_temp.outcome(:'es256', jwk) AS verify, pg_temp.try(format('length(auth.jwk_thumbprint(%L))', jwk)) AS convert,
	   pg_temp.outcome(:'es256', jsonb_build_object('keys', jsonb_build_array(jwk))) AS verify_with_set
FROM broken;

-- V67: with e = 1 a signature is its own encoding (RFC 8017 section 9.2), which
-- anybody can write down
SELECT m || '.' || auth.base64url_encode(decode('0001' || repeat('ff', 202) || '00' || '3031300d060960864801650304020105000420', 'hex') || sha256(convert_to(m, 'UTF8'))) AS forged
FROM (VALUES ('eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJldmUifQ')) AS v (m) \gset
SELECT length((auth.jwt_decode(:'forged')).signature) AS bytes, e, pg_temp.outcome(:'forged', jwk) AS result, pg_temp.outcome(:'forged', jsonb_build_object('keys', jsonb_build_array(jwk))) AS result_with_set
FROM unnest(ARRAY['AQAB', 'AQ', 'AAEAAQ']) AS e, LATERAL (SELECT :'rsa'::jsonb || jsonb_build_object('e', e) AS jwk) AS k;
SELECT pg_temp.try(format('auth.jwt_verify(%L, %L, ''{RS256}'')', :'forged', E'-----BEGIN PUBLIC KEY-----\n' || encode('\x30820120300d06092a864886f70d01010105000382010d003082010802820101' || '\x00'::bytea
	|| auth.base64url_decode(:'rsa'::jsonb ->> 'n') || '\x020101', 'base64') || E'\n-----END PUBLIC KEY-----\n')) AS pem;

--
-- Sets that are none, and sets whose publisher did not know what they did
--
SELECT id, set, pg_temp.outcome(:'es256', jwks::jsonb) FROM (VALUES
	('V61', 'nothing in it',			'{"keys": []}'),
	('V61', 'an object',				'{"keys": {}}'),
	('V61', 'a string',					'{"keys": "x"}'),
	('V61', 'null',						'{"keys": null}'),
	('V61', 'a list of no key',			'{"keys": [1]}'),
	('V61', 'a list of null',			'{"keys": [null]}'),
	('V61', 'a list in a list',			format('{"keys": [[%s]]}', :'ec')),
	('V61', 'an empty key',				'{"keys": [{}]}'),
	('V61', 'a key without kty',		format('{"keys": [%s, {"kid": "x"}]}', :'ec')),
	('V61', 'an empty document',		'{}'),
	('V61', 'an empty list',			'[]'),
	('V61', 'the bare list',			format('[%s]', :'ec')),
	('V61', 'an empty string',			'""'),
	('V61', 'null',						'null'),
	('V61', 'a set in a set',			format('{"keys": [{"keys": [%s]}]}', :'ec')),
	('V61', 'a key beside a set',		(:'ec'::jsonb || '{"keys": []}')::text),
	('V61', '101 keys',					(SELECT jsonb_build_object('keys', jsonb_agg(:'ec'::jsonb || jsonb_build_object('kid', n))) FROM generate_series(1, 101) AS n)::text),
	('V54', 'of three types, no kid',	format('{"keys": [%s, %s, %s]}', :'rsa', :'ec', :'okp')),
	('V59', 'one kid, two types',		format('{"keys": [%s, %s]}', :'rsa'::jsonb || '{"kid": "dup"}', :'ec'::jsonb || '{"kid": "dup"}')),
	('V59', 'one kid, one key twice',	format('{"keys": [%s, %1$s]}', :'ec'::jsonb || '{"kid": "dup"}')),
	('V60', 'with a secret',			format('{"keys": [%s, %s, %s, %s]}', :'oct', :'rsa', :'ec'::jsonb || '{"kid": "ec"}', :'okp')),
	('V60', 'a secret first',			format('{"keys": [%s, %s]}', :'oct'::jsonb || '{"kid": "a"}', :'ec'::jsonb || '{"kid": "b"}')),
	('V26', 'deep, unknown member',		format('{"keys": [%s]}', :'ec'::jsonb || format('{"x-deep": %s%s}', repeat('[', 1000), repeat(']', 1000))::jsonb)),
	('P04', 'only the right key',		format('{"keys": [%s]}', :'ec'))
) AS v (id, set, jwks);
-- V59: no token is let in by such a set, whichever of the two its kid means
SELECT alg, pg_temp.outcome(auth.jwt_sign('{}', jwk), jsonb_build_object('keys', jsonb_build_array(auth.jwk_public(jwk), :'rsa'::jsonb || '{"kid": "dup"}'))) AS kid_twice,
	   pg_temp.outcome(auth.jwt_sign('{}', jwk), jsonb_build_object('keys', jsonb_build_array(auth.jwk_public(jwk), :'rsa'::jsonb || '{"kid": "other"}'))) AS control
FROM unnest(ARRAY['ES256', 'EdDSA']) AS alg, auth.jwk_generate(alg, 'dup') AS jwk;

--
-- V62, V63: a token brings its own key, or says where to fetch it, and is signed
-- with that; the header is not asked
--
CREATE TEMP TABLE attacker AS SELECT alg, auth.jwk_generate(alg, 'victim') AS jwk FROM unnest(ARRAY['RS256', 'ES256', 'EdDSA', 'HS256']) AS alg;
CREATE TEMP TABLE victim AS SELECT alg, auth.jwk_generate(alg, 'victim') AS jwk FROM unnest(ARRAY['RS256', 'ES256', 'EdDSA', 'HS256']) AS alg;
SELECT a.alg, count(*) AS tokens, string_agg(DISTINCT pg_temp.outcome(token, key), '; ') AS result
FROM attacker AS a JOIN victim AS v USING (alg),
	 LATERAL (VALUES ('jwk', CASE alg WHEN 'HS256' THEN a.jwk ELSE auth.jwk_public(a.jwk) END), ('jku', '"http://127.0.0.1:1/jwks"'), ('jku', '"https://issuer.test@127.0.0.1/"'), ('jku', '"//127.0.0.1/jwks"'), ('jku', '"data:application/json,{}"'),
					 ('x5u', '"file:///etc/passwd"'), ('x5c', '["AA"]'), ('x5t', '"AA"'), ('x5t#S256', '"AA"')) AS h (name, value),
	 LATERAL (VALUES (CASE alg WHEN 'HS256' THEN v.jwk ELSE auth.jwk_public(v.jwk) END)) AS k (public),
	 LATERAL (VALUES (public), (jsonb_build_object('keys', jsonb_build_array(public)))) AS f (key),
	 auth.jwt_sign('{"sub": "eve"}', a.jwk, NULL, jsonb_build_object(name, value)) AS token
GROUP BY a.alg ORDER BY a.alg COLLATE "C";

-- V40: a key that says what it is for takes nothing else, though its numbers would do
SELECT pinned, string_agg(token_alg || ': ' || pg_temp.outcome(auth.jwt_sign('{}', jwk - 'alg', token_alg), auth.jwk_public(jwk) || jsonb_build_object('alg', pinned)), E'\n' ORDER BY token_alg COLLATE "C") AS results
FROM (SELECT jwk FROM victim WHERE alg = 'RS256') AS k, unnest(ARRAY['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']) AS token_alg, unnest(ARRAY['RS256', 'PS256']) AS pinned
GROUP BY pinned ORDER BY pinned COLLATE "C";
-- V46: of the two names of Ed25519, the one that is allowed
SELECT token_alg, allowed, coalesce((auth.jwt_try_verify(auth.jwt_sign('{}', jwk - 'alg', token_alg), auth.jwk_public(jwk) - 'alg', allowed)).error, 'valid') AS result
FROM (SELECT jwk FROM victim WHERE alg = 'EdDSA') AS k, unnest(ARRAY['EdDSA', 'Ed25519']) AS token_alg, (VALUES (1, '{EdDSA}'::text[]), (2, '{Ed25519}'), (3, '{EdDSA,Ed25519}'), (4, '{Ed448}'), (5, NULL)) AS v (n, allowed)
ORDER BY token_alg COLLATE "C", n;

DROP TABLE attacker, victim, broken;
DROP EXTENSION jwt_auth, pgcrypto;
DROP SCHEMA auth;
