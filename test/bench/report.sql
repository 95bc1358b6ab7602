--
-- The measures of one run, then each of them as a ratio to what it is held
-- against.  Reading the row is subtracted.
--
CREATE VIEW bench.net AS
SELECT name, usec - CASE WHEN expression IS NULL THEN 0 ELSE (SELECT usec FROM bench.operation WHERE name = 'nothing') END AS usec
FROM bench.operation
WHERE name <> 'nothing';

CREATE FUNCTION bench.usec(operation text) RETURNS float8
LANGUAGE sql STABLE
BEGIN ATOMIC SELECT usec FROM bench.net WHERE name = operation; END;

CREATE TABLE bench.ratio (n int GENERATED ALWAYS AS IDENTITY, what text, ratio float8, target text, met boolean);

-- times as fast
INSERT INTO bench.ratio (what, ratio, target)
SELECT format('%s against SQL on pgcrypto, times as fast', name), bench.usec('usual ' || operation) / bench.usec(name), 'at least 30'
FROM (VALUES ('HS256 sign', 'sign'), ('HS256 verify', 'verify'), ('pgjwt sign', 'sign'), ('pgjwt verify', 'verify')) v (name, operation);
UPDATE bench.ratio SET met = ratio >= 30;

-- times the time
INSERT INTO bench.ratio (what, ratio, target, met)
SELECT 'HS256 verify against one keyed HMAC and one jsonb parse', ratio, 'at most 1.5', ratio <= 1.5
FROM (SELECT bench.usec('HS256 verify') / (bench.usec('openssl HMAC') + bench.usec('jsonb parse')) AS ratio) r;

INSERT INTO bench.ratio (what, ratio, target, met)
SELECT format('%s %s against openssl speed plus 1.2 of HS256', algorithm, operation), ratio, 'at most 1', ratio <= 1
FROM unnest(ARRAY['RS256', 'ES256', 'EdDSA']) algorithm, unnest(ARRAY['sign', 'verify']) operation,
     format('%s %s', algorithm, operation) name,
     LATERAL (SELECT bench.usec(name) / (bench.usec('openssl ' || name) + 1.2 * bench.usec('HS256 ' || operation)) AS ratio) r;

INSERT INTO bench.ratio (what, ratio, target, met)
SELECT 'ES256 verify by the key ring against the key in hand', ratio, 'at most 1.05', ratio <= 1.05
FROM (SELECT bench.usec('ring verify') / bench.usec('ring verify, key in hand') AS ratio) r;

INSERT INTO bench.ratio (what, ratio, target, met)
SELECT format('Failed login, %s, against an unknown name', kind), ratio, '0.95 to 1.05', ratio BETWEEN 0.95 AND 1.05
FROM (SELECT kind, percentile_cont(0.5) WITHIN GROUP (ORDER BY usec)
             / (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY usec) FROM bench.login WHERE kind = 'unknown') AS ratio
      FROM bench.login WHERE kind <> 'unknown' GROUP BY kind) l;

INSERT INTO bench.ratio (what, ratio, target, met)
SELECT format('pgbench -N under a flood of logins %s, against itself', name), ratio, 'at least 0.7', ratio >= 0.7
FROM (SELECT name, percentile_cont(0.5) WITHIN GROUP (ORDER BY flooded / quiet) AS ratio FROM bench.flood GROUP BY name) f;

-- rotation: of each pair one ratio, and of these the median
INSERT INTO bench.ratio (what, ratio, target, met)
SELECT format('rotations per second against the bare update, %s client(s)', clients), ratio, 'at least 0.85', ratio >= 0.85
FROM (SELECT clients, percentile_cont(0.5) WITHIN GROUP (ORDER BY rotated / bare) AS ratio FROM bench.rotation GROUP BY clients ORDER BY clients) r;

INSERT INTO bench.ratio (what, ratio, target, met)
SELECT format(what, (a.updates - b.updates) / 1000), ratio, target, CASE target WHEN 'at most 2' THEN ratio <= 2 ELSE ratio >= 0.95 END
FROM bench.session_size b, bench.session_size a,
     LATERAL (VALUES ('size of sessions after %s thousand rotations, times before', a.table_bytes / b.table_bytes::float8, 'at most 2'),
                     ('size of their index after %s thousand rotations, times before', a.index_bytes / b.index_bytes::float8, 'at most 2'),
                     ('of %s thousand rotations, those that were heap-only', (a.hot - b.hot) / (a.updates - b.updates)::float8, 'at least 0.95')) v (what, ratio, target)
WHERE b.phase = 'before' AND a.phase = 'after';

INSERT INTO bench.ratio (what, ratio, target, met)
SELECT 'authenticate of a verified token against set_config', ratio, 'under 5', ratio < 5
FROM (SELECT (bench.usec('authenticate') - bench.usec('token')) / (bench.usec('set_config') - bench.usec('token')) AS ratio) r;

INSERT INTO bench.ratio (what, ratio, target, met)
SELECT 'what check_session adds, against a lookup by primary key', ratio, 'at most 1.5', ratio <= 1.5
FROM (SELECT (bench.usec('authenticate, check_session') - bench.usec('authenticate')) / bench.usec('lookup') AS ratio) r;

INSERT INTO bench.ratio (what, ratio, target, met)
SELECT format('scan under a policy with auth.uid() against a constant, %s workers', workers), ratio, 'at most 1.1', ratio <= 1.1
FROM unnest(ARRAY[0, 2]) workers,
     LATERAL (SELECT bench.usec(format('uid policy, %s workers', workers)) / bench.usec(format('constant policy, %s workers', workers)) AS ratio) r;

\pset footer off
\pset title 'Microseconds for one'
SELECT name, round(usec::numeric, 2) AS usec FROM bench.net ORDER BY name;
\pset title 'Ratios'
SELECT what, round(ratio::numeric, 2) AS ratio, target, CASE WHEN met THEN 'yes' ELSE 'no' END AS met FROM bench.ratio ORDER BY n;
\pset title
\pset tuples_only on
\pset format unaligned
SELECT format('%s targets met, %s missed', count(*) FILTER (WHERE met), count(*) FILTER (WHERE NOT met)) FROM bench.ratio;
