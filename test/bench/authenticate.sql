--
-- Signing in with a token that the backend has verified before, against
-- set_config() with the same text; and what looking at its session and its user
-- adds, against a prepared lookup by primary key.
--
SET jwt_auth.access_token_lifetime = '1d';
CREATE TABLE bench.sign_in AS
SELECT id, auth.create_session(id) ->> 'access_token' AS token
FROM generate_series(1, 20) n, LATERAL auth.create_user(format('sign_in%s@example.org', n)) id;
RESET jwt_auth.access_token_lifetime;
INSERT INTO auth.users (email) SELECT format('other%s@example.org', n) FROM generate_series(1, 10000) n;
VACUUM ANALYZE auth.users, auth.refresh_tokens;

-- Microseconds for one, over the tokens in turn; the statement does nothing else.
CREATE FUNCTION bench.measure_sign_in(expression text) RETURNS float8
LANGUAGE plpgsql
AS $$
DECLARE
    start timestamptz := clock_timestamp();
    n bigint;
BEGIN
    EXECUTE format('SELECT count(%s) FROM generate_series(1, 50), bench.sign_in', expression) INTO n;
    RETURN extract(epoch FROM clock_timestamp() - start) * 1000000 / n;
END $$;

CREATE FUNCTION bench.measure_lookup() RETURNS float8
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    ids uuid[] := ARRAY(SELECT s.id FROM generate_series(1, 50), bench.sign_in s);
    start timestamptz := clock_timestamp();
    i uuid;
BEGIN
    FOREACH i IN ARRAY ids LOOP
        PERFORM is_active FROM auth.users WHERE id = i;
    END LOOP;
    RETURN extract(epoch FROM clock_timestamp() - start) * 1000000 / cardinality(ids);
END $$;

CREATE PROCEDURE bench.measure_authenticate()
LANGUAGE plpgsql
AS $$
DECLARE
    o record;
BEGIN
    FOR o IN
        SELECT name, expression, check_session
        FROM (VALUES ('token', 'token', 'off'), ('set_config', 'set_config(''bench.text'', token, true)', 'off'),
                     ('authenticate', 'auth.authenticate(token)', 'off'),
                     ('authenticate, check_session', 'auth.authenticate(token)', 'on')) v (name, expression, check_session),
             generate_series(1, 20)
        ORDER BY random()
    LOOP
        PERFORM set_config('jwt_auth.check_session', o.check_session, true);
        PERFORM bench.note(o.name, bench.measure_sign_in(o.expression)), bench.note('lookup', bench.measure_lookup());
    END LOOP;
END $$;
