--
-- Keys as arguments: what is taken for one, and what is told of one that is no
-- good
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION jwt_auth CASCADE;
CREATE EXTENSION jwt_auth_pgjwt;

-- What an expression returns or raises
CREATE FUNCTION pg_temp.outcome(expression text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
	detail text;
	hint text;
BEGIN
	EXECUTE 'SELECT ' || expression INTO result;
	RETURN result;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN format('%s %s', SQLSTATE, concat_ws('; ', SQLERRM, nullif(detail, ''), nullif(hint, '')));
END
$$;

--
-- Length: 64 kB of text, 1 MB of jsonb, looked at before anything else is
--
SELECT expression, pg_temp.outcome(expression) FROM unnest(ARRAY[
	$$length(auth.jwt_sign('{}', repeat('k', 65536)))$$, $$auth.jwt_sign('{}', repeat('k', 65537))$$,
	$$auth.jwt_sign('{}', repeat('k', 65537), 'RS256')$$,
	$$auth.jwt_verify('x', repeat('k', 65536))$$, $$auth.jwt_verify('x', repeat('k', 65537))$$,
	$$auth.jwt_verify('x', repeat('k', 65537), '{RS256}')$$, $$auth.jwt_try_verify('x', repeat('k', 65537))$$,
	$$auth.jwk_from_pem(repeat('k', 65536))$$, $$auth.jwk_from_pem(repeat('k', 65537))$$,
	$$length(sign('{}', repeat('k', 65536)))$$, $$sign('{}', repeat('k', 65537))$$,
	$$algorithm_sign('x', repeat('k', 65537), 'HS256')$$, $$algorithm_sign('x', '{"a":[' || repeat('1,', 32768) || '1]}', 'HS256')$$,
	$$verify('x', repeat('k', 65537))$$
]) AS expression;
SELECT expression, pg_temp.outcome(replace(expression, 'KEY', format('jsonb_build_object(''kty'', ''oct'', ''k'', repeat(''A'', 43), ''pad'', repeat(''x'', %s))', n)))
FROM unnest(ARRAY[1048495, 1048496]) AS n, unnest(ARRAY[
	$$length(auth.jwt_sign('{}', KEY))$$, $$length(auth.jws_sign('{}', KEY))$$,
	$$auth.jwt_verify('eyJhbGciOiJIUzI1NiJ9.e30.AAAA', KEY)$$, $$auth.jws_verify('eyJhbGciOiJIUzI1NiJ9.e30.AAAA', KEY)$$,
	$$auth.jwk_public(KEY)$$, $$auth.jwk_to_pem(KEY)$$, $$length(auth.jwk_thumbprint(KEY))$$
]) AS expression ORDER BY expression COLLATE "C", n;
-- stored, compressed to less than that
CREATE TEMP TABLE stored AS SELECT repeat('k', 65537) AS key;
SELECT pg_column_size(key) < 65536 AS compressed FROM stored;
SELECT pg_temp.outcome('auth.jwt_sign(''{}'', key) FROM stored');
-- and so is what the functions of pgjwt sign
SELECT pg_temp.outcome(format('sign(json_build_object(''a'', repeat(''x'', %s)), ''secret'')', n)) FROM unnest(ARRAY[65540, 10000000]) AS n;


--
-- JWK: a member that is there has its type, whatever kind of key it is for
--
CREATE TEMP TABLE key AS SELECT kty, jwk
FROM unnest(ARRAY['oct', 'RSA', 'EC', 'OKP'], ARRAY['HS256', 'RS256', 'ES256', 'EdDSA']) AS a (kty, alg), auth.jwk_generate(alg, 'a') AS jwk;
SELECT kty, outcome, count(*)
FROM key, unnest('{kty,kid,alg,use,crv,k,n,e,d,p,q,dp,dq,qi,x,y}'::text[]) AS member,
	 unnest(ARRAY['5', 'null', 'true', '{"x": 1}', '["a"]']::jsonb[]) AS value,
	 pg_temp.outcome(format('left(auth.jwk_thumbprint(%L), 0)', jwk || jsonb_build_object(member, value))) AS outcome
GROUP BY kty, outcome ORDER BY kty COLLATE "C", outcome COLLATE "C";
-- so that none of these takes a token of another kid, or goes for a public key
CREATE FUNCTION pg_temp.verdict(token text, jwk jsonb, algorithms text[] DEFAULT NULL) RETURNS text LANGUAGE sql AS
$$ SELECT pg_temp.outcome(format('coalesce((auth.jwt_try_verify(%L, %L::jsonb, %L)).error, ''valid'')', token, jwk, algorithms)) $$;
SELECT kid, pg_temp.verdict(auth.jwt_sign('{}', jwk || '{"kid": "b"}'), jwk || jsonb_build_object('kid', kid)) AS jwk,
	   pg_temp.verdict(auth.jwt_sign('{}', jwk || '{"kid": "b"}'), jsonb_build_object('keys', jsonb_build_array(jwk || '{"kid": "b"}', jwk || jsonb_build_object('kid', kid)))) AS jwks
FROM key, unnest(ARRAY['"a"', '"b"', '5', 'null']::jsonb[]) AS kid WHERE kty = 'EC';
SELECT kty, pg_temp.outcome(format('auth.jwk_public(%L)', jwk || '{"d": {"x": 1}}')) FROM key WHERE kty <> 'oct' ORDER BY kty COLLATE "C";
-- an RSA key of three primes (RFC 7518 section 6.3.2.7)
SELECT kty, pg_temp.outcome(format('left(auth.jwk_thumbprint(%L), 0)', jwk || '{"oth": [{"r": "AQAB", "d": "AQAB", "t": "AQAB"}]}')) FROM key ORDER BY kty COLLATE "C";
-- another kid than the token's: the rest is not even looked at
SELECT kid, pg_temp.verdict(auth.jwt_sign('{}', jwk || '{"kid": "b"}'), jwk || jsonb_build_object('kid', kid, 'd', 'AAAA')) FROM key, unnest('{a,b}'::text[]) AS kid WHERE kty = 'EC';

--
-- JWK Set: what is wrong with it
--
SELECT what, pg_temp.verdict('eyJhbGciOiJFUzI1NiIsImtpZCI6ImEifQ.e30.AAAA', jsonb_build_object('keys', keys)) FROM key, LATERAL (VALUES
	(1, '100 keys', array_to_json(array_fill(jwk - 'kid', '{100}'))::jsonb), (2, '101 keys', array_to_json(array_fill(jwk - 'kid', '{101}'))::jsonb),
	(3, 'one kid twice', jsonb_build_array(jwk, jwk)), (4, 'a secret too', jsonb_build_array(jwk, '{"kty": "oct", "k": "AAAA"}'::jsonb)),
	(5, 'no key', '[]'), (6, 'no list', '{}'), (7, 'a broken key, unasked', jsonb_build_array(jwk, '{"kty": "EC"}'::jsonb)), (8, 'a broken key, asked', '[{"kty": "EC", "kid": "a"}]')
) AS v (n, what, keys) WHERE kty = 'EC' ORDER BY n;
-- of its keys, the one that the token names
SELECT signer, kid, n, (auth.jwt_try_verify(auth.jwt_sign('{}', k.jwk - 'kid', header => jsonb_build_object('kid', kid)), jwks)).error
FROM (VALUES ('EC'), ('OKP')) AS s (signer) JOIN key k ON k.kty = signer, unnest('{EC,OKP,RSA}'::text[]) AS kid,
	 (SELECT jsonb_build_object('keys', jsonb_agg(auth.jwk_public(jwk) || jsonb_build_object('kid', kty))) AS jwks FROM key WHERE kty IN ('EC', 'OKP')) AS j,
	 generate_series(1, 2) AS n
ORDER BY signer, kid, n;
-- a JWK without a kid, whatever the token calls it
SELECT count(*) FILTER (WHERE valid) AS valid, count(*) FROM key, generate_series(1, 100) AS n,
	 auth.jwt_try_verify(auth.jwt_sign('{}', jwk - 'kid', header => jsonb_build_object('kid', n::text)), auth.jwk_public(jwk - 'kid')) WHERE kty = 'EC';

--
-- A secret that is too short: by itself it is the caller's fault, in a set the
-- token's, which has chosen it
--
SELECT '{"kty": "oct", "k": "AAAAAAAAAAAAAAAAAAAAAA", "kid": "weak"}'::jsonb AS weak,
	   '{"kty": "oct", "k": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "kid": "good"}'::jsonb AS good \gset
SELECT kid, alg, keys, algorithms, pg_temp.verdict(auth.base64url_encode(convert_to(format('{"alg":"%s","kid":"%s"}', alg, kid), 'UTF8')) || '.e30.AAAA', jwk, algorithms)
FROM (VALUES ('weak', 'HS256'), ('good', 'HS256'), ('good', 'HS512')) AS t (kid, alg),
	 (VALUES ('set', jsonb_build_object('keys', jsonb_build_array(:'weak'::jsonb, :'good'::jsonb))), ('weak', :'weak'), ('good', :'good'), ('good HS256', :'good'::jsonb || '{"alg": "HS256"}')) AS k (keys, jwk),
	 (VALUES (NULL::text[]), ('{HS256}'), ('{HS256,HS512}')) AS a (algorithms)
WHERE keys = 'set' OR keys ~ kid ORDER BY kid, alg, keys COLLATE "C", algorithms NULLS FIRST;

-- and of a set that is to sign, its only key
SELECT keys, pg_temp.outcome(format('auth.jwt_sign(%L, jsonb_build_object(%L, %L::jsonb))', '{}', 'keys', keys)) AS jwt_sign,
	   pg_temp.outcome(format('auth.jwk_thumbprint(jsonb_build_object(%L, %L::jsonb))', 'keys', keys)) AS jwk_thumbprint
FROM unnest(ARRAY['[{"kty": "EC"}]', jsonb_build_array(:'weak'::jsonb, :'good'::jsonb)]) AS keys;

--
-- A key for anything but signatures does not become one
--
SELECT uses, pg_temp.outcome(format('auth.jwk_public(%L) ->> %L', jwk || uses, 'use')) FROM key, unnest(ARRAY[
	'{}', '{"use": "sig"}', '{"use": "enc"}', '{"use": "Sig"}', '{"key_ops": ["verify"]}', '{"key_ops": ["sign"]}', '{"key_ops": ["encrypt", "wrapKey"]}', '{"key_ops": []}', '{"key_ops": "sign"}'
]::jsonb[]) AS uses WHERE kty = 'RSA';

--
-- A secret that is somebody's key file: anybody may have the public half
--
CREATE TEMP TABLE file (n serial, text text);
INSERT INTO file (text) VALUES ('{"kty":"RSA"}'), (E'\uFEFF{"kty":"RSA"}'), (E'\x0b{"kty":"RSA"}'), (E'\t\uFEFF\x0b\f{"kty":"RSA"}'), ('[{"kty":"RSA"},{"kty":"EC"}]'), (E'\uFEFF[ {"kty":"RSA"}]'),
	('{ is how I begin'), ('[{ is how I begin'), ('[1]'), ('"kty"'),
	('-----BEGIN PUBLIC KEY-----'), (E'\uFEFF\n-----BEGIN CERTIFICATE-----'), ('---- BEGIN SSH2 PUBLIC KEY ----'), (E'Subject: me\n---- BEGIN SSH2 PUBLIC KEY ----'), ('--- I BEGIN'),
	('ssh-rsa AAAAB3NzaC1yc2E'), (E'\uFEFFecdsa-sha2-nistp256 AAAA'), ('sk-ssh-ed25519@openssh.com AAAAGnNr'), ('sk-ecdsa-sha2-nistp256@openssh.com AAAA'),
	('restrict ssh-rsa AAAAB3NzaC1yc2E'), ('no-pty,command="ls -l" ssh-ed25519 AAAAC3Nz me@host'), ('host.test,192.0.2.1 ssh-rsa AAAAB3Nz'), ('for my ssh-rsa secret');
SELECT to_json(replace(text, E'\uFEFF', '<BOM>')) AS text, split_part(signs, '; ', 2) AS hint, verifies = signs AS same, by_pgjwt
FROM file, pg_temp.outcome(format('left(auth.jwt_sign(%L, rpad(%L, 64)), 0)', '{}', text)) AS signs,
	 pg_temp.outcome(format('left(auth.jwt_try_verify(%L, rpad(%L, 64))::text, 0)', 'x', text)) AS verifies,
	 pg_temp.outcome(format('left(sign(%L, %L), 0)', '{}', text)) AS by_pgjwt ORDER BY n;
-- as PEM, what looks like a JWK is told so as well
SELECT to_json(replace(text, E'\uFEFF', '<BOM>')) AS text, pg_temp.outcome(format('auth.jwt_sign(%L, %L, %L)', '{}', text, 'RS256')) AS jwt_sign, pg_temp.outcome(format('auth.jwt_verify(%L, %L, %L)', 'x', text, '{RS256}')) AS jwt_verify
FROM file WHERE n IN (1, 2, 3, 5, 11, 16) ORDER BY n;

-- What a call costs, for the planner
SELECT procost, string_agg(DISTINCT proname, ' ' ORDER BY proname) AS functions FROM pg_proc
WHERE probin ~ 'jwt_auth' AND procost > 1 GROUP BY procost ORDER BY procost;

DROP TABLE stored, key, file;
DROP EXTENSION jwt_auth_pgjwt;
DROP EXTENSION jwt_auth, pgcrypto CASCADE;
DROP SCHEMA auth;

--
-- A secret that is not all characters of UTF-8: nothing of it is shown
--
SELECT current_database() AS here \gset
CREATE DATABASE regress_win1252 ENCODING 'WIN1252' LOCALE 'C' TEMPLATE template0;
CREATE DATABASE regress_euc_jp ENCODING 'EUC_JP' LOCALE 'C' TEMPLATE template0;
CREATE DATABASE regress_sql_ascii ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0;
\c regress_win1252
SET client_min_messages = warning;
CREATE EXTENSION jwt_auth CASCADE;
SELECT auth.jwt_sign('{}', repeat(chr(129), 32));
SELECT * FROM auth.jwt_try_verify('x', repeat(chr(129), 32));
-- others are the bytes that they have in UTF-8
SELECT auth.jwt_verify(auth.jwt_sign('{}', repeat(chr(233), 16)), jsonb_build_object('kty', 'oct', 'k', auth.base64url_encode(decode(repeat('c3a9', 16), 'hex')))) AS of_utf8;
\c regress_euc_jp
SET client_min_messages = warning;
CREATE EXTENSION jwt_auth CASCADE;
SELECT auth.jwt_sign('{}', repeat(convert_from('\xa9a1', 'EUC_JP'), 16));
SELECT auth.jwt_verify(auth.jwt_sign('{}', repeat(convert_from('\xa4a2', 'EUC_JP'), 16)), jsonb_build_object('kty', 'oct', 'k', auth.base64url_encode(decode(repeat('e38182', 16), 'hex')))) AS of_utf8;
\c regress_sql_ascii
SET client_min_messages = warning;
CREATE EXTENSION jwt_auth CASCADE;
SELECT auth.jwt_sign('{}', repeat(chr(233), 32));
\c :here
DROP DATABASE regress_win1252;
DROP DATABASE regress_euc_jp;
DROP DATABASE regress_sql_ascii;
