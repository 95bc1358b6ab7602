--
-- How long a login takes that fails, by what there is to know of the name: 500
-- of each, all of other names, in turn.  The cost is less than the default, to
-- be done sooner, which shows a difference the more.
--
SET jwt_auth.bcrypt_cost = 8;

CREATE TABLE bench.login (kind text, name text PRIMARY KEY, usec float8);
INSERT INTO bench.login (kind, name)
SELECT kind, format('%s %s', kind, n) FROM unnest(ARRAY['unknown', 'known', 'of lower cost', 'disabled', 'without a password']) kind,
     generate_series(1, 500) n;

-- What cost a hash says is all that counts: nobody guesses these.
SELECT count(auth.import_user(NULL, username => name, is_active => kind <> 'disabled', password_hash => CASE
    WHEN kind = 'of lower cost' THEN overlay(hash PLACING '05' FROM 5 FOR 2)
    WHEN kind <> 'without a password' THEN hash
END))
FROM bench.login, (SELECT auth._hash_password('correct horse') AS hash OFFSET 0) h
WHERE kind <> 'unknown';

CREATE PROCEDURE bench.measure_logins()
LANGUAGE plpgsql
AS $$
DECLARE
    l record;
    start timestamptz;
BEGIN
    FOR l IN SELECT name FROM bench.login ORDER BY random() LOOP
        start := clock_timestamp();
        PERFORM auth.login(username => l.name, password => 'guess');
        UPDATE bench.login SET usec = extract(epoch FROM clock_timestamp() - start) * 1000000 WHERE name = l.name;
    END LOOP;
END $$;
CALL bench.measure_logins();
