--
-- Sessions for rotation, as many as pgbench_accounts has rows, and what is noted
-- of them.
--
CREATE FUNCTION bench.uuid(n int) RETURNS uuid
LANGUAGE sql IMMUTABLE
RETURN lpad(to_hex(n), 32, '0')::uuid;

CREATE FUNCTION bench.current_token(n int) RETURNS text
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT auth._sign_refresh_token(user_id, session_id, client_id, generation, jti, expires_at)
    FROM auth.refresh_tokens WHERE user_id = bench.uuid(n) AND session_id = bench.uuid(n);
END;

-- So many users with a session each, and nobody else
CREATE FUNCTION bench.make_sessions(n int) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    TRUNCATE auth.users CASCADE;
    INSERT INTO auth.users (id, email) SELECT bench.uuid(i), format('user%s@example.org', i) FROM generate_series(1, n) i;
    INSERT INTO auth.refresh_tokens (user_id, session_id, client_id, expires_at)
    SELECT id, id, 'default', date_trunc('second', clock_timestamp()) + interval '30 days' FROM auth.users;
    PERFORM bench.current_token(1);
END $$;
SELECT bench.make_sessions(:rows);
VACUUM ANALYZE auth.users, auth.refresh_tokens;
CHECKPOINT;

CREATE TABLE bench.rotation (clients int, rotated float8, bare float8);   -- per second

CREATE FUNCTION bench.session_size(OUT table_bytes bigint, OUT index_bytes bigint, OUT updates bigint, OUT hot bigint)
LANGUAGE sql
AS $$
    SELECT pg_relation_size(relid), pg_indexes_size(relid), n_tup_upd, n_tup_hot_upd
    FROM pg_stat_all_tables WHERE relid = 'auth.refresh_tokens'::regclass
$$;
CREATE TABLE bench.session_size (phase text, table_bytes bigint, index_bytes bigint, updates bigint, hot bigint);
