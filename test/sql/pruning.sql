--
-- prune(): what has expired goes, a bounded number at a time, and nothing else
--
SET client_min_messages = warning;
CREATE EXTENSION jwt_auth CASCADE;
RESET client_min_messages;
SET jwt_auth.bcrypt_cost = 4;
CREATE FUNCTION pg_temp.prune() RETURNS text LANGUAGE sql AS
$$ SELECT coalesce(string_agg(relation || ' ' || deleted, ', '), 'nothing') FROM auth.prune() WHERE deleted > 0 $$;
SELECT auth.create_user('ann@example.com', 'correct horse') AS ann \gset

-- Sessions: one that has ended stays until it would have expired by itself, so that a
-- used token is told as such for as long as it could be a token at all.
SELECT auth.create_session(:'ann', name => 'reused') ->> 'refresh_token' AS first \gset
SELECT refresh_token AS second FROM auth.rotate_refresh_token(:'first') \gset
UPDATE auth.refresh_tokens SET rotated_at = rotated_at - interval '1 hour';
SELECT auth.create_session(:'ann', name => 'live') IS NOT NULL, auth.create_session(:'ann', name => 'revoked') IS NOT NULL,
	   auth.create_session(:'ann', name => 'expired') IS NOT NULL, auth.create_session(:'ann', name => 'both') IS NOT NULL;
UPDATE auth.refresh_tokens SET revoked_at = clock_timestamp() WHERE name IN ('revoked', 'both');
UPDATE auth.refresh_tokens SET expires_at = clock_timestamp() - interval '1 min' WHERE name IN ('expired', 'both');
SELECT pg_temp.prune();
SELECT string_agg(name, ' ' ORDER BY name) AS left FROM auth.refresh_tokens;
SELECT status FROM auth.rotate_refresh_token(:'first');
SELECT pg_temp.prune();
SELECT status FROM auth.rotate_refresh_token(:'second');
-- A token is good for the leeway longer, and so its row stays.
SET jwt_auth.leeway = '2 min';
UPDATE auth.refresh_tokens SET expires_at = clock_timestamp() - interval '1 min' WHERE name = 'live';
SELECT pg_temp.prune();
RESET jwt_auth.leeway;
SELECT pg_temp.prune();

-- Events, by audit_retention
INSERT INTO auth.audit_log (at, event) SELECT now() - make_interval(days => n), 'login' FROM generate_series(1, 100) n;
SELECT pg_temp.prune();
SET jwt_auth.audit_retention = '30 d';
SELECT pg_temp.prune();
SET jwt_auth.audit_retention = 0;
INSERT INTO auth.audit_log (at, event) VALUES ('2001-01-01', 'login');
SELECT pg_temp.prune();
RESET jwt_auth.audit_retention;
SELECT pg_temp.prune();

-- Ten thousand at a time; REPEATABLE READ will do.
INSERT INTO auth.audit_log (at, event) SELECT now() - interval '1 year', 'login' FROM generate_series(1, 12000);
INSERT INTO auth.login_failures SELECT sha256(n::text::bytea), '', 1, now() - interval '1 day', NULL FROM generate_series(1, 12000) n;
INSERT INTO auth.refresh_tokens (user_id, client_id, expires_at) SELECT :'ann', 'default', now() - interval '1 day' FROM generate_series(1, 12000);
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT pg_temp.prune();
ROLLBACK;
SELECT pg_temp.prune();
SELECT block > 0 AS goes_on FROM auth.prune_position;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT pg_temp.prune();
COMMIT;
SELECT pg_temp.prune();
SELECT * FROM auth.prune_position;

-- The walk goes on where it was, and comes back to the beginning, also where the
-- table has become shorter.
INSERT INTO auth.refresh_tokens (user_id, client_id, expires_at) SELECT :'ann', 'default', now() - interval '1 day' FROM generate_series(1, 3000);
SELECT max((ctid::text::point)[0]) AS last_block, count(*) FILTER (WHERE (ctid::text::point)[0] >= 10) AS from_ten_on FROM auth.refresh_tokens \gset
UPDATE auth.prune_position SET block = 10;
SELECT deleted = :from_ten_on AS second_part FROM auth.prune() WHERE relation = 'refresh_tokens';
SELECT deleted = 3000 - :from_ten_on AS first_part FROM auth.prune() WHERE relation = 'refresh_tokens';
INSERT INTO auth.refresh_tokens (user_id, client_id, expires_at) VALUES (:'ann', 'default', now() - interval '1 day');
UPDATE auth.prune_position SET block = 1000000;
SELECT pg_temp.prune();
SELECT * FROM auth.prune_position;
-- A range is read by itself.
SET enable_seqscan = off;
EXPLAIN (COSTS off) SELECT s.ctid FROM auth.refresh_tokens s WHERE s.ctid >= format('(%s,0)', 1)::tid AND s.ctid < format('(%s,0)', 2)::tid LIMIT 10 FOR UPDATE SKIP LOCKED;
RESET enable_seqscan;

DROP EXTENSION jwt_auth CASCADE;
DROP SCHEMA auth;
