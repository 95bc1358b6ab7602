--
-- The extension jwt_auth_pgjwt: pgjwt's functions, what they answer as pgjwt
-- does, and where they are stricter (docs/pgjwt.md).
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;

-- It needs no other extension, and nothing of the schema auth, which may be
-- somebody else's.
CREATE ROLE regress_mallory;
CREATE SCHEMA auth AUTHORIZATION regress_mallory;
CREATE EXTENSION jwt_auth_pgjwt;
SELECT extname FROM pg_extension WHERE extname IN ('jwt_auth', 'pgcrypto', 'jwt_auth_pgjwt');

-- Signatures, volatility and strictness; PUBLIC may call them
SELECT p.proname AS name, pg_get_function_arguments(p.oid) AS arguments, pg_get_function_result(p.oid) AS result,
	   p.provolatile AS volatile, p.proisstrict AS strict, p.proparallel AS parallel, has_function_privilege('public', p.oid, 'EXECUTE') AS public
FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
WHERE d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'jwt_auth_pgjwt')
ORDER BY p.proname COLLATE "C";

--
-- As pgjwt: the example of its README, and its tokens of other algorithms
--
SELECT 'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiYWRtaW4iOnRydWV9.TJVA95OrM7E2cBab30RMHrHDcEfxjoYZgeFONFh7HgQ' AS hs256,
	   'eyJhbGciOiJIUzM4NCIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiYWRtaW4iOnRydWV9.DtVnCyiYCsCbg8gUP-579IC2GJ7P3CtFw6nfTTPw-0lZUzqgWAo9QIQElyxOpoRm' AS hs384,
	   'eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiYWRtaW4iOnRydWV9.YI0rUGDq5XdRw8vW2sDLRNFMN8Waol03iSFH8I4iLzuYK7FKHaQYWzPt0BJFGrAmKJ6SjY0mJIMZqNQJFVpkuw' AS hs512,
	   '{"sub":"1234567890","name":"John Doe","admin":true}' AS payload \gset
SELECT sign(:'payload', 'secret') = :'hs256' AS by_default, sign(:'payload', 'secret', 'HS256') = :'hs256' AS hs256,
	   sign(:'payload', 'secret', 'HS384') = :'hs384' AS hs384, sign(:'payload', 'secret', 'HS512') = :'hs512' AS hs512;
SELECT algorithm, v.* FROM (VALUES ('HS256', :'hs256'), ('HS384', :'hs384'), ('HS512', :'hs512')) AS t (algorithm, token),
	verify(token, 'secret', algorithm) AS v;
SELECT * FROM verify(:'hs256', 'secret');
-- another secret: shown, but not valid
SELECT * FROM verify(:'hs256', 'badsecret');
SELECT * FROM verify(:'hs512', 'badsecret', 'HS512');
-- names of arguments, and a call in the list of columns
SELECT (verify(token => :'hs256', secret => 'secret', algorithm => 'HS256')).valid;
SELECT sign(payload => :'payload', secret => 'secret') = :'hs256' AS named;
SELECT algorithm_sign(signables => split_part(:'hs256', '.', 1) || '.' || split_part(:'hs256', '.', 2), secret => 'secret', algorithm => 'HS256');
-- one token a row
SELECT count(*), count(*) FILTER (WHERE v.valid AND v.payload ->> 'n' = n::text) AS valid
FROM generate_series(1, 100) AS n, verify(sign(json_build_object('n', n), 'secret'), 'secret') AS v;

-- The payload's text goes in and comes out as it was written
SELECT payload FROM verify(sign(E'{ "b" : 1.50,\n "a" : "\\u00e9\u00e9" }', 'secret'), 'secret');
-- RFC 4231 section 4.3, whose secret is shorter than the hash
SELECT algorithm, encode(url_decode(algorithm_sign('what do ya want for nothing?', 'Jefe', algorithm)), 'hex') AS mac
FROM unnest(ARRAY['HS256', 'HS384', 'HS512']) AS algorithm;
-- around the length of the hash and of its block, against a plain HMAC (RFC 2104)
CREATE FUNCTION pg_temp.hmac256(message bytea, key bytea) RETURNS bytea LANGUAGE plpgsql AS $$
DECLARE
	inner_pad bytea := decode(repeat('36', 64), 'hex');
	outer_pad bytea := decode(repeat('5c', 64), 'hex');
BEGIN
	key := CASE WHEN length(key) > 64 THEN sha256(key) ELSE key END;
	FOR i IN 0 .. length(key) - 1 LOOP
		inner_pad := set_byte(inner_pad, i, get_byte(inner_pad, i) # get_byte(key, i));
		outer_pad := set_byte(outer_pad, i, get_byte(outer_pad, i) # get_byte(key, i));
	END LOOP;
	RETURN sha256(outer_pad || sha256(inner_pad || message));
END
$$;
SELECT count(*) AS lengths, bool_and(algorithm_sign('a.b', repeat('x', n), 'HS256') = url_encode(pg_temp.hmac256('a.b', repeat('x', n)::bytea))) AS same
FROM generate_series(1, 140) AS n;

-- base64url, without line breaks
SELECT url_encode(''), url_encode('\xfbff'), url_decode('-_8'), url_decode(''), length(url_encode(decode(repeat('00', 1000), 'hex')));

-- NULL in, NULL out, but for verify
SELECT url_encode(NULL) IS NULL AS url_encode, url_decode(NULL) IS NULL AS url_decode, sign(NULL, 'secret') IS NULL AS payload,
	   sign('{}', NULL) IS NULL AS secret, sign('{}', 'secret', NULL) IS NULL AS algorithm,
	   algorithm_sign(NULL, 'secret', 'HS256') IS NULL AS signables, algorithm_sign('a.b', NULL, 'HS256') IS NULL AS sign_secret;
SELECT algorithm_sign('a.b', 'secret', NULL);

--
-- The clock: nbf <= now < exp
--
CREATE FUNCTION pg_temp.in_time(nbf double precision, exp double precision) RETURNS boolean LANGUAGE sql AS $$
	SELECT valid FROM verify(sign(json_strip_nulls(json_build_object('nbf', extract(epoch FROM clock_timestamp())::float8 + nbf, 'exp', extract(epoch FROM clock_timestamp())::float8 + exp)), 'secret'), 'secret')
$$;
SELECT nbf, exp, pg_temp.in_time(nbf, exp) FROM (VALUES (NULL::float8, NULL::float8), (-60, NULL), (60, NULL), (NULL, 60), (NULL, -60), (-60, 60), (-60, -30), (30, 60), (60, -60)) AS t (nbf, exp);
-- it is the time of the day, not that of the transaction
BEGIN;
SELECT sign(json_build_object('exp', extract(epoch FROM now()) + 0.5), 'secret') AS token \gset
DO $$ BEGIN PERFORM pg_sleep(0.6); END $$;
SELECT valid FROM verify(:'token', 'secret');
COMMIT;
-- a date is a JSON number of any size, and nothing else
SELECT payload, valid FROM unnest(ARRAY[
	'{"exp":"soon"}', '{"exp":"99999999999"}', '{"exp":null}', '{"exp":true}', '{"exp":[99999999999]}', '{"exp":{}}', '{"exp":""}',
	'{"nbf":"no-double"}', '{"nbf":"0"}', '{"nbf":null}',
	'{"exp":99999999999}', '{"exp":1e300}', '{"exp":-1e300}', '{"exp":99999999999.5}', '{"exp":1e-5}', '{"exp":0}', '{"exp":-1}', '{"nbf":0}', '{"nbf":-1e300}', '{"nbf":1e300}',
	-- not the top level's
	'{"a":{"exp":1}}',
	-- and the rest is the caller's to look at
	'{"iat":99999999999}', '{"iat":"soon"}', '{"aud":"other"}', '{"iss":1}']) AS p, verify(sign(p::json, 'secret'), 'secret');

--
-- Hostile tokens: never NULL, never an error, and nothing shown that cannot be
-- read
--
CREATE FUNCTION pg_temp.token(header text, payload text, algorithm text DEFAULT 'HS256') RETURNS text LANGUAGE sql AS $$
	SELECT input || '.' || algorithm_sign(input, 'secret', algorithm)
	FROM (SELECT url_encode(convert_to(header, 'UTF8')) || '.' || url_encode(convert_to(payload, 'UTF8'))) AS t (input)
$$;
SELECT split_part(:'hs256', '.', 1) AS h, split_part(:'hs256', '.', 2) AS p, split_part(:'hs256', '.', 3) AS s \gset
SELECT what, v.header, v.payload, v.valid FROM (VALUES
	(1, 'nothing', ''), (2, 'no dot', 'garbage'), (3, 'garbage', 'x.y.z'), (4, 'dots', '..'),
	(10, 'one part', :'h'), (11, 'two parts', :'h' || '.' || :'p'), (12, 'two parts and a dot', :'h' || '.' || :'p' || '.'),
	(13, 'two parts, MAC of them', :'h' || '.' || algorithm_sign(:'h', 'secret', 'HS256')),
	(14, 'four parts', :'hs256' || '.x'), (15, 'four parts, empty', :'hs256' || '.'), (16, 'five parts', :'hs256' || '.x.y'),
	(20, 'padded MAC', :'hs256' || '='), (21, 'space', :'hs256' || ' '), (22, 'new line', :'hs256' || E'\n'), (23, 'space before', ' ' || :'hs256'),
	(24, 'short MAC', left(:'hs256', -2)), (25, 'trailing bits of the MAC', left(:'hs256', -1) || 'R'),
	(26, 'MAC of HS384', split_part(:'hs256', '.', 1) || '.' || :'p' || '.' || algorithm_sign(:'h' || '.' || :'p', 'secret', 'HS384')),
	(27, 'other payload', :'h' || '.' || url_encode('{"sub":"root"}') || '.' || :'s'),
	(28, 'padded payload, signed', :'h' || '.e30=.' || algorithm_sign(:'h' || '.e30=', 'secret', 'HS256')),
	(30, 'alg none', pg_temp.token('{"alg":"none"}', '{}')), (31, 'alg none, no MAC', url_encode('{"alg":"none"}') || '.' || :'p' || '.'),
	(32, 'alg of another HMAC', pg_temp.token('{"alg":"HS512"}', '{}')), (33, 'alg RS256', pg_temp.token('{"alg":"RS256"}', '{}')),
	(34, 'alg in lower case', pg_temp.token('{"alg":"hs256"}', '{}')), (35, 'no alg', pg_temp.token('{"typ":"JWT"}', '{}')), (36, 'alg a number', pg_temp.token('{"alg":256}', '{}')),
	(37, 'alg twice', pg_temp.token('{"alg":"none","alg":"HS256"}', '{}')), (38, 'crit', pg_temp.token('{"alg":"HS256","crit":["x"],"x":1}', '{}')),
	(39, 'b64', pg_temp.token('{"alg":"HS256","b64":false}', '{}')), (40, 'key of its own', pg_temp.token('{"alg":"HS256","jwk":{"kty":"oct","k":""}}', '{}')),
	(50, 'exp twice', pg_temp.token('{"alg":"HS256"}', '{"exp":1,"exp":99999999999}')), (51, 'payload no object', pg_temp.token('{"alg":"HS256"}', '[1]')),
	(52, 'payload no JSON', pg_temp.token('{"alg":"HS256"}', 'top secret')), (53, 'payload empty', pg_temp.token('{"alg":"HS256"}', '')),
	(54, 'header no JSON', pg_temp.token('top secret', '{"a":1}')), (55, 'header a string', pg_temp.token('"HS256"', '{"a":1}')),
	(56, 'not UTF-8', :'h' || '.' || url_encode('\x7b2261223a22ff227d') || '.' || algorithm_sign(:'h' || '.' || url_encode('\x7b2261223a22ff227d'), 'secret', 'HS256')),
	(57, 'zero character', pg_temp.token('{"alg":"HS256"}', '{"a":"\u0000"}')), (58, 'lone surrogate', pg_temp.token('{"alg":"HS256"}', '{"a":"\ud800"}')),
	(59, 'absurd number', pg_temp.token('{"alg":"HS256"}', '{"a":1e999999999}')), (60, 'deep', pg_temp.token('{"alg":"HS256"}', '{"a":' || repeat('[', 9999) || repeat(']', 9999) || '}')),
	(61, 'large', pg_temp.token('{"alg":"HS256"}', '{"a":"' || repeat('x', 65536) || '"}')),
	(70, 'good', :'hs256'), (71, 'no typ', pg_temp.token('{"alg":"HS256"}', '{}')), (72, 'other members', pg_temp.token('{ "kid":"k", "alg":"HS256", "typ":"at+jwt" }', '{}'))
) AS t (n, what, token), verify(token, 'secret') AS v ORDER BY n;
SELECT * FROM verify(NULL, 'secret');
SELECT * FROM verify(:'hs256', NULL);
SELECT * FROM verify(NULL, NULL);
-- the algorithm is the caller's, also where the token's own would verify
SELECT signed, asked, valid FROM unnest(ARRAY['HS256', 'HS384', 'HS512']) AS signed, unnest(ARRAY['HS256', 'HS384', 'HS512']) AS asked,
	verify(sign('{}', repeat('s', 64), signed), repeat('s', 64), asked);
-- every character matters
SELECT count(*) AS changed, count(*) FILTER (WHERE valid IS DISTINCT FROM false) AS not_refused
FROM generate_series(1, length(:'hs256')) AS n, unnest(ARRAY['A', 'b', '_', '.', '=', '']) AS c,
	verify(overlay(:'hs256' PLACING c FROM n FOR 1), 'secret') WHERE overlay(:'hs256' PLACING c FROM n FOR 1) <> :'hs256';

--
-- Algorithms and secrets that are no good
--
SELECT sign('{}', 'secret', 'bogus');
SELECT sign('{}', 'secret', 'none');
SELECT sign('{}', 'secret', 'hs256');
SELECT sign('{}', 'secret', 'RS256');
SELECT * FROM verify(:'hs256', 'secret', 'bogus');
SELECT * FROM verify('garbage', 'secret', 'none');
SELECT * FROM verify(:'hs256', 'secret', NULL);
SELECT algorithm_sign('a.b', 'secret', '');
\echo :LAST_ERROR_SQLSTATE
SELECT sign('{}', '');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM verify(:'hs256', '');
SELECT algorithm_sign('a.b', '', 'HS256');
-- a public key is no secret (RFC 8725 section 2.1)
SELECT sign('{}', E'-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----');
SELECT * FROM verify(:'hs256', E'\n-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----');
SELECT * FROM verify(:'hs256', 'ssh-rsa AAAA');
SELECT * FROM verify(:'hs256', ' {"kty":"RSA","n":"AQ","e":"AQAB"}');
SELECT * FROM verify(:'hs256', '{"keys":[]}');
-- but one may well begin so
SELECT valid FROM verify(sign('{}', '{x$%'), '{x$%');
SELECT url_decode('a');
SELECT url_decode('YQ==');
SELECT url_decode('+/8');
SELECT url_decode('-_9');
SELECT length(sign(json_build_object('a', repeat('x', 60000)), 'secret')) > 65536 AS signed;

--
-- In any schema, and moved; an ordinary role can use it but not install it
--
CREATE SCHEMA "an Other";
GRANT USAGE ON SCHEMA "an Other" TO regress_mallory;
DROP EXTENSION jwt_auth_pgjwt;
CREATE EXTENSION jwt_auth_pgjwt SCHEMA "an Other";
SELECT "an Other".sign('{}', 'secret');
SET ROLE regress_mallory;
SELECT valid FROM "an Other".verify("an Other".sign('{}', 'secret'), 'secret');
RESET ROLE;
ALTER EXTENSION jwt_auth_pgjwt SET SCHEMA auth;
SELECT valid FROM auth.verify(auth.sign('{}', 'secret'), 'secret');
SELECT count(*) AS left_behind FROM pg_proc WHERE pronamespace = '"an Other"'::regnamespace;
-- pgjwt's functions are not replaced under it
CREATE FUNCTION "an Other".sign(payload json, secret text, algorithm text DEFAULT 'HS256') RETURNS text LANGUAGE sql RETURN 'mine';
DROP EXTENSION jwt_auth_pgjwt;
CREATE EXTENSION jwt_auth_pgjwt SCHEMA "an Other";
SET ROLE regress_mallory;
CREATE EXTENSION jwt_auth_pgjwt;
RESET ROLE;
SELECT count(*) FROM pg_extension WHERE extname = 'jwt_auth_pgjwt';

DROP FUNCTION "an Other".sign;
DROP SCHEMA "an Other", auth;
DROP ROLE regress_mallory;
