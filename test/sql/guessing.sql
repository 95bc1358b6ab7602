-- Failed logins make the next one wait, whether or not there is such an account.
SET client_min_messages = warning;
CREATE EXTENSION jwt_auth CASCADE;
RESET client_min_messages;
SET jwt_auth.bcrypt_cost = 4;
SET jwt_auth.max_failed_logins = 6;

CREATE FUNCTION pg_temp.answer(answer jsonb) RETURNS text LANGUAGE sql AS
$$ SELECT coalesce(answer ->> 'error_code', 'ok') $$;
-- The answers to so many attempts, one after the other.
CREATE FUNCTION pg_temp.attempts(email text, password text, n int) RETURNS text LANGUAGE plpgsql AS
$$
DECLARE
	answers text[];
BEGIN
	FOR i IN 1 .. n LOOP
		answers := answers || pg_temp.answer(auth.login(email, password));
	END LOOP;
	RETURN array_to_string(answers, ' ');
END
$$;
-- Time passes for those who wait.
CREATE FUNCTION pg_temp.pass(a_while interval) RETURNS void LANGUAGE sql AS
$$ UPDATE auth.login_failures SET last_at = last_at - a_while, locked_until = locked_until - a_while $$;
CREATE FUNCTION pg_temp.waits() RETURNS TABLE (failures int, source text, seconds numeric) LANGUAGE sql AS
$$ SELECT f.failures, f.source, round(extract(epoch FROM f.locked_until - f.last_at)) FROM auth.login_failures f ORDER BY 1, 2 $$;

SELECT auth.create_user('ann@example.com', 'correct horse', 'ann') AS ann \gset

-- Half of the failures are free, then each wait is twice the one before, and the
-- last one locks.  A name that nobody has is no different.
SELECT pg_temp.attempts('ann@example.com', 'guess', 4) AS known, pg_temp.attempts('nobody@example.com', 'guess', 4) AS unknown;
SELECT * FROM pg_temp.waits();
SELECT pg_temp.pass('1 s'), pg_temp.attempts('ANN@example.com', 'guess', 2) AS known;
SELECT pg_temp.pass('2 s'), pg_temp.attempts('ann@example.com', 'guess', 2) AS known;
SELECT pg_temp.pass('4 s'), pg_temp.attempts('ann@example.com', 'guess', 2) AS known;
SELECT * FROM pg_temp.waits();

-- The right password waits too.  What has to be said is 429, and for how long.
BEGIN;
SELECT auth.login('ann@example.com', 'correct horse') - 'error_description' AS locked, current_setting('response.status') AS status,
	   current_setting('response.headers')::jsonb -> 0 ? 'Retry-After' AS retry_after;
COMMIT;
-- The other name of the same person has a counter of its own.
SELECT pg_temp.answer(auth.login(username => 'ann', password => 'correct horse'));

-- An administrator forgets, and so does a right password, and time.
SELECT auth.unlock_user(:'ann'), pg_temp.attempts('ann@example.com', 'guess', 2) AS failed, pg_temp.answer(auth.login('ann@example.com', 'correct horse'));
SELECT * FROM pg_temp.waits();
SELECT pg_temp.attempts('ann@example.com', 'guess', 5) AS failed;
SELECT pg_temp.pass('16 min'), pg_temp.attempts('ann@example.com', 'guess', 3) AS failed;
SELECT auth.unlock_user(gen_random_uuid());
SELECT pg_temp.pass('16 min');
SELECT * FROM auth.prune() WHERE relation = 'login_failures';

-- An address from which the account has signed in before is not kept out by others.
SET jwt_auth.client_ip_header = 'X-Forwarded-For';
SELECT set_config('request.headers', '{"x-forwarded-for": "203.0.113.9, 192.0.2.1"}', false);
SELECT pg_temp.answer(auth.login('ann@example.com', 'correct horse'));
SELECT set_config('request.headers', '{"x-forwarded-for": "192.0.2.1, 198.51.100.7"}', false);
SELECT pg_temp.attempts('ann@example.com', 'guess', 4) AS elsewhere;
SELECT set_config('request.headers', '{"x-forwarded-for": "192.0.2.1"}', false);
SELECT pg_temp.attempts('ann@example.com', 'guess', 1) AS at_home, pg_temp.answer(auth.login('ann@example.com', 'correct horse'));
SELECT * FROM pg_temp.waits();
-- Some proxies say the port as well.
SELECT forwarded, auth._client_network()
FROM unnest('{2001:db8::1,192.0.2.1:49152,[2001:db8::1],[2001:db8::1]:49152,198.51.100.7:1\,192.0.2.1:2,192.0.2.1:port,[],:1}'::text[]) forwarded,
	 set_config('request.headers', jsonb_build_object('x-forwarded-for', forwarded)::text, false);
-- What is no address is the connection's, which is none here.
SELECT set_config('request.headers', '{"x-forwarded-for": "not an address"}', false);
SELECT auth._client_ip();
SELECT set_config('request.headers', 'not JSON', false);
SELECT auth._client_ip();
RESET request.headers;
RESET jwt_auth.client_ip_header;

-- change_password counts apart, by the user.  Who types a user's id as a
-- username reaches another counter.
TRUNCATE auth.login_failures;
SELECT string_agg(pg_temp.answer(auth.login(username => :'ann', password => 'guess')), ' ') FROM generate_series(1, 4);
SELECT auth.login('ann@example.com', 'correct horse') ->> 'access_token' AS token \gset
BEGIN;
SELECT auth.authenticate(:'token') IS NOT NULL AS signed_in;
SELECT string_agg(pg_temp.answer(auth.change_password('guess', 'battery staple')), ' ') FROM generate_series(1, 4);
SELECT pg_temp.answer(auth.change_password('correct horse', 'battery staple')) AS locked;
SELECT pg_temp.answer(auth.login('ann@example.com', 'correct horse')) AS login;
SELECT pg_temp.pass('1 s'), pg_temp.answer(auth.change_password('correct horse', 'battery staple')) AS changed;
SELECT * FROM pg_temp.waits();
COMMIT;

-- No answer tells whether there is such an account, or what is the matter with
-- it; and what is locked is locked for all alike.
TRUNCATE auth.login_failures;
SELECT auth.create_user('without@example.com') IS NOT NULL AS without_password, auth.set_active(auth.create_user('disabled@example.com', 'correct horse'), false);
CREATE FUNCTION pg_temp.full_answer(email text, n int) RETURNS text LANGUAGE plpgsql AS
$$
DECLARE
	answer jsonb;
BEGIN
	FOR i IN 1 .. n LOOP
		PERFORM set_config('response.headers', '', true);
		answer := auth.login(email, CASE i % 3 WHEN 0 THEN '' WHEN 1 THEN 'guess' ELSE repeat('guess', 20) END);
	END LOOP;
	RETURN answer || jsonb_build_object('status', current_setting('response.status'), 'headers', current_setting('response.headers')::jsonb);
END
$$;
CREATE TEMP TABLE emails AS SELECT unnest(ARRAY['nobody', 'ann', 'without', 'disabled']) || '@example.com' AS email;
SELECT answer, count(*) FROM emails, pg_temp.full_answer(email, 1) answer GROUP BY 1;
SELECT count(DISTINCT pg_temp.full_answer(email, 2)) FROM emails;
SELECT answer, count(*) FROM emails, pg_temp.full_answer(email, 1) answer GROUP BY 1;
SELECT pg_temp.pass('1 s'), pg_temp.answer(auth.login('disabled@example.com', 'correct horse')) AS disabled;

-- A session lives on while its account is locked.
SELECT auth.unlock_user(:'ann'), pg_temp.attempts('ann@example.com', 'guess', 2) AS failed;
SELECT auth.login('ann@example.com', 'battery staple') ->> 'refresh_token' AS refresh_token \gset
SELECT pg_temp.attempts('ann@example.com', 'guess', 4) AS failed, pg_temp.answer(auth.refresh(:'refresh_token')) AS refreshed;
TRUNCATE auth.login_failures;

-- Whose username looks like another's id has nothing to do with their counter.
SELECT auth.create_user('eve@example.com', 'correct horse', :'ann') AS eve \gset
SELECT auth.login('ann@example.com', 'battery staple') ->> 'access_token' AS token \gset
BEGIN;
SELECT auth.authenticate(:'token') IS NOT NULL AS signed_in;
SELECT string_agg(pg_temp.answer(auth.change_password('guess', 'correct horse')), ' ') FROM generate_series(1, 4);
SELECT auth.unlock_user(:'eve'), auth.delete_user(:'eve'), pg_temp.answer(auth.change_password('battery staple', 'correct horse')) AS still_locked;
SELECT auth.unlock_user(:'ann'), pg_temp.answer(auth.change_password('battery staple', 'correct horse')) AS changed;
ROLLBACK;

-- Nothing of what was typed is kept, and nothing of a user who is gone.
SELECT pg_temp.attempts('my secret password', 'guess', 1) AS failed, pg_temp.attempts('ann@example.com', 'guess', 1) AS of_ann;
SELECT count(*) FROM auth.login_failures f WHERE to_jsonb(f)::text LIKE '%secret%';
SELECT auth.delete_user(:'ann');
SELECT count(*) FROM auth.login_failures;

-- 0 never waits, and no limit on failures means that none are kept.
SET jwt_auth.max_failed_logins = 0;
SELECT pg_temp.attempts('bob@example.com', 'guess', 20) NOT LIKE '%limit%' AS never, count(*) FROM auth.login_failures;

DROP EXTENSION jwt_auth CASCADE;
DROP EXTENSION pgcrypto;
DROP SCHEMA auth;
