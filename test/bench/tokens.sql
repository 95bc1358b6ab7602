--
-- Signing and verifying with a key in hand.  Each expression is measured over
-- rows that all differ; measure_all() may be called again and again, and the
-- least time of each counts.
--
CREATE SCHEMA bench;

CREATE TABLE bench.key (algorithm text PRIMARY KEY, private jsonb, private_pem text, public_pem text);
INSERT INTO bench.key
SELECT algorithm, jwk, auth.jwk_to_pem(jwk), auth.jwk_to_pem(auth.jwk_public(jwk))
FROM unnest(ARRAY['RS256', 'ES256', 'EdDSA']) algorithm, auth.jwk_generate(algorithm) jwk;

CREATE FUNCTION bench.secret() RETURNS text
LANGUAGE sql IMMUTABLE
RETURN 'a shared secret of more than 32 bytes';

CREATE FUNCTION bench.private_pem(algorithm text) RETURNS text
LANGUAGE sql STABLE
BEGIN ATOMIC SELECT private_pem FROM bench.key k WHERE k.algorithm = $1; END;

CREATE FUNCTION bench.public_pem(algorithm text) RETURNS text
LANGUAGE sql STABLE
BEGIN ATOMIC SELECT public_pem FROM bench.key k WHERE k.algorithm = $1; END;

-- The payload of an access token.
CREATE TABLE bench.token AS
SELECT n, payload, payload::text AS payload_text, payload::json AS payload_json
FROM generate_series(1, 1000) n,
     jsonb_build_object(
         'iss', 'https://auth.example.org', 'sub', gen_random_uuid(), 'iat', extract(epoch FROM now())::bigint,
         'exp', extract(epoch FROM now())::bigint + 86400, 'jti', gen_random_uuid(), 'type', 'access',
         'role', 'authenticated', 'email', format('user%s@example.org', n), 'email_verified', true,
         'sid', gen_random_uuid()) payload;
ALTER TABLE bench.token SET (toast_tuple_target = 8160);   -- reading is not what is measured
ALTER TABLE bench.token ADD hs256 text, ADD signing_input text, ADD rs256 text, ADD es256 text, ADD eddsa text;
UPDATE bench.token SET hs256 = auth.jwt_sign(payload, bench.secret());
UPDATE bench.token SET signing_input = left(hs256, length(hs256) - 44);
UPDATE bench.token
SET rs256 = auth.jwt_sign(payload, bench.private_pem('RS256'), 'RS256'),
    es256 = auth.jwt_sign(payload, bench.private_pem('ES256'), 'ES256'),
    eddsa = auth.jwt_sign(payload, bench.private_pem('EdDSA'), 'EdDSA');

-- The same by the key ring.
SELECT auth.create_key('ES256');
INSERT INTO bench.key (algorithm, public_pem) VALUES ('ring', auth.jwk_to_pem(auth.jwks() -> 'keys' -> 0));
ALTER TABLE bench.token ADD ring text;
UPDATE bench.token SET ring = auth.jwt_sign(payload);
VACUUM ANALYZE bench.token;

CREATE TABLE bench.operation (name text PRIMARY KEY, repeats int, expression text, usec float8);
INSERT INTO bench.operation (name, repeats, expression) VALUES
    ('nothing', 20, 'hs256'),
    ('pgcrypto HMAC', 20, 'hmac(signing_input, bench.secret(), ''sha256'')'),
    ('jsonb parse', 20, 'payload_text::jsonb'),
    ('HS256 sign', 20, 'auth.jwt_sign(payload, bench.secret())'),
    ('HS256 verify', 20, 'auth.jwt_verify(hs256, bench.secret())'),
    ('HS256 try_verify', 20, 'auth.jwt_try_verify(hs256, bench.secret())'),
    ('usual sign', 2, 'usual.sign(payload_json, bench.secret())'),
    ('usual verify', 2, '(SELECT v.valid FROM usual.verify(hs256, bench.secret()) v)'),
    ('pgjwt sign', 20, 'pgjwt.sign(payload_json, bench.secret())'),
    ('pgjwt verify', 20, '(SELECT v.valid FROM pgjwt.verify(hs256, bench.secret()) v)');
INSERT INTO bench.operation (name, repeats, expression)
SELECT algorithm || ' ' || operation, 1,
       CASE operation
           WHEN 'sign' THEN format('auth.jwt_sign(payload, %L::text, %L)', private_pem, algorithm)
           ELSE format('auth.jwt_verify(%I, %L::text, ARRAY[%L])', lower(algorithm), public_pem, algorithm)
       END
FROM bench.key, unnest(ARRAY['sign', 'verify']) operation
WHERE algorithm <> 'ring';
INSERT INTO bench.operation (name, repeats, expression) VALUES
    ('ring verify', 1, 'auth.jwt_verify(ring)'),
    ('ring verify, key in hand', 1,
     format('auth.jwt_verify(ring, %L::text, ''{ES256}'', ''https://auth.example.org'')', bench.public_pem('ring')));

-- Microseconds for one evaluation.
CREATE FUNCTION bench.measure(expression text, repeats int) RETURNS float8
LANGUAGE plpgsql
AS $$
DECLARE
    start timestamptz := clock_timestamp();
    n bigint;
BEGIN
    EXECUTE format('SELECT count(%s) FROM bench.token, generate_series(1, %s)', expression, repeats) INTO n;
    RETURN extract(epoch FROM clock_timestamp() - start) * 1000000 / n;
END $$;

CREATE PROCEDURE bench.measure_all()
LANGUAGE plpgsql
SET jit = off
SET max_parallel_workers_per_gather = 0
AS $$
DECLARE
    o record;
BEGIN
    FOR o IN SELECT * FROM bench.operation WHERE expression IS NOT NULL ORDER BY random() LOOP
        PERFORM bench.note(o.name, bench.measure(o.expression, o.repeats));
    END LOOP;
END $$;

-- What "openssl speed" says of the same machine comes in by this.
CREATE FUNCTION bench.note(operation text, measured float8) RETURNS void
LANGUAGE sql
AS $$
    INSERT INTO bench.operation AS o (name, usec) VALUES (operation, measured)
    ON CONFLICT (name) DO UPDATE SET usec = least(o.usec, excluded.usec)
$$;
