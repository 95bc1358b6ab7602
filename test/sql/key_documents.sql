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

DROP TABLE stored;
DROP EXTENSION jwt_auth_pgjwt;
DROP EXTENSION jwt_auth CASCADE;
DROP SCHEMA auth;
