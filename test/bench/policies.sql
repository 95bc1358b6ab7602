--
-- What a policy costs that names auth.uid() bare, against the same policy with
-- the uuid as a constant: scans of one table of 1,000,000 rows, by two roles.
--
CREATE ROLE bench_uid;
CREATE ROLE bench_constant;
GRANT USAGE ON SCHEMA bench TO bench_uid, bench_constant;

SELECT auth.create_user('policies@example.org') AS reader \gset

CREATE TABLE bench.document (id int, owner uuid NOT NULL);
INSERT INTO bench.document
SELECT n, CASE WHEN n % 1000 = 0 THEN :'reader'::uuid ELSE gen_random_uuid() END FROM generate_series(1, 1000000) n;
ALTER TABLE bench.document ENABLE ROW LEVEL SECURITY;
CREATE POLICY uid ON bench.document TO bench_uid USING (owner = auth.uid());
SELECT format('CREATE POLICY constant ON bench.document TO bench_constant USING (owner = %L)', :'reader') \gexec
GRANT SELECT ON bench.document TO bench_uid, bench_constant;
VACUUM (FREEZE, ANALYZE) bench.document;

CREATE TABLE bench.reader AS SELECT auth.issue_access_token(:'reader', lifetime => '1 day') AS token;

CREATE FUNCTION bench.measure_scan(reader name, workers int) RETURNS float8
LANGUAGE plpgsql
AS $$
DECLARE
    start timestamptz;
    n bigint;
BEGIN
    PERFORM set_config('max_parallel_workers_per_gather', workers::text, true), set_config('role', reader, true);
    start := clock_timestamp();
    EXECUTE 'SELECT count(*) FROM bench.document' INTO n;
    ASSERT n = 1000;
    RESET ROLE;
    RETURN extract(epoch FROM clock_timestamp() - start) * 1000000;
END $$;

-- Each twenty times, in random order; the least time counts.
CREATE PROCEDURE bench.measure_policies()
LANGUAGE plpgsql
SET jit = off
SET parallel_setup_cost = 0
AS $$
DECLARE
    o record;
BEGIN
    PERFORM auth.authenticate(token, false) FROM bench.reader;
    FOR o IN
        SELECT reader, workers
        FROM unnest(ARRAY['uid', 'constant']) reader, unnest(ARRAY[0, 2]) workers, generate_series(1, 20)
        ORDER BY random()
    LOOP
        PERFORM bench.note(format('%s policy, %s workers', o.reader, o.workers), bench.measure_scan('bench_' || o.reader, o.workers));
    END LOOP;
END $$;
