--
-- One-time tokens and the messages that carry them: who gets what, what a token
-- opens, and what makes it void
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION jwt_auth CASCADE;
CREATE ROLE regress_mailer;
RESET client_min_messages;
SET jwt_auth.bcrypt_cost = 4;
SET jwt_auth.message_interval = 0;

-- The outcome of an answer, with the HTTP status that PostgREST would send.
CREATE FUNCTION pg_temp.outcome(answer jsonb) RETURNS text LANGUAGE sql AS
$$ SELECT concat_ws(' ', coalesce(nullif(current_setting('response.status', true), ''), '200'), answer ->> 'error',
					coalesce(answer ->> 'error_code', (SELECT string_agg(k, ', ' ORDER BY k) FROM jsonb_object_keys(answer) k))) $$;
-- What the audit log says since it was last asked.
CREATE FUNCTION pg_temp.events() RETURNS SETOF text LANGUAGE sql AS
$$ WITH said AS (DELETE FROM auth.audit_log RETURNING *)
   SELECT concat_ws(' ', event, (SELECT split_part(u.email, '@', 1) FROM auth.users u WHERE u.id = user_id), details) FROM said ORDER BY at $$;
-- The mailer: what it takes is kept here, the newest last.
CREATE TEMP TABLE mail (n int GENERATED ALWAYS AS IDENTITY, kind text, email text, token text);
CREATE FUNCTION pg_temp.mail() RETURNS SETOF text LANGUAGE sql AS
$$ INSERT INTO mail (kind, email, token) SELECT kind, email, token FROM auth.take_messages() RETURNING concat_ws(' ', kind, email, length(token)) $$;
CREATE FUNCTION pg_temp.token(kind text) RETURNS text LANGUAGE sql AS
$$ SELECT m.token FROM mail m WHERE m.kind = $1 ORDER BY n DESC LIMIT 1 $$;
-- What has become of the sessions.
CREATE FUNCTION pg_temp.fates() RETURNS text LANGUAGE sql AS
$$ SELECT string_agg(coalesce(revoke_reason, 'lives'), ', ' ORDER BY created_at) FROM auth.refresh_tokens $$;

DO $$ BEGIN PERFORM auth.register('ann@example.com', 'correct horse', 'ann', '{"name": "Ann"}'), auth.register('bob@example.com', 'battery staple'); END $$;
SELECT auth.create_user('off@example.com', 'correct horse') AS off \gset
SELECT auth.set_active(:'off', false);
SELECT * FROM pg_temp.mail();
DELETE FROM auth.audit_log;

--
-- Whoever asks gets one answer, and the owner of the address a message
--
SELECT label, email, pg_temp.outcome(reset) AS reset, pg_temp.outcome(link) AS link, pg_temp.outcome(confirmation) AS confirmation
FROM (VALUES ('known', 'ann@example.com'), ('in other case', 'ANN@example.com'), ('unknown', 'nobody@example.com'), ('disabled', 'off@example.com'),
			 ('none', NULL), ('no address', 'ann'), ('several', 'x,ann@example.com'), ('in brackets', '<ann@example.com>'), ('quoted', '"ann"@example.com'), ('a backslash', 'a\b@example.com')) AS attempt (label, email),
	 LATERAL (SELECT auth.request_password_reset(email), auth.request_magic_link(email), auth.request_email_confirmation(email) OFFSET 0) AS a (reset, link, confirmation);
SELECT purpose, u.email, octet_length(token_hash) AS hash, t.expires_at - t.created_at > '14 min' AS lasts FROM auth.one_time_tokens t JOIN auth.users u ON u.id = user_id ORDER BY 1;
SELECT kind, email, octet_length(wrapped_token) AS wrapped, user_id = (SELECT id FROM auth.users WHERE username = 'ann') AS of_ann FROM auth.outbox ORDER BY created_at;
SELECT * FROM pg_temp.events();
-- the mailer has the token, the tables have not, and what was taken is gone
SELECT * FROM pg_temp.mail();
SELECT count(*) FROM mail, auth.one_time_tokens t, auth.outbox o WHERE strpos(concat(t, o), token) > 0 OR token_hash = convert_to(token, 'UTF8');
SELECT count(*) FROM mail JOIN auth.one_time_tokens t ON token_hash = sha256(token::bytea) AND purpose = kind;
SELECT * FROM auth.take_messages();
-- a confirmed address needs no confirmation
BEGIN;
UPDATE auth.users SET email_confirmed_at = now() WHERE username = 'ann';
SELECT pg_temp.outcome(auth.request_email_confirmation('ann@example.com'));
SELECT * FROM pg_temp.mail();
ROLLBACK;

--
-- message_interval: of each kind one message at a time, with the same answer
--
SET jwt_auth.message_interval = '1 min';
SELECT email, pg_temp.outcome(auth.request_password_reset(email)) AS answer
FROM unnest('{ann@example.com,Ann@example.com,nobody@example.com,NOBODY@example.com,off@example.com}'::text[]) AS email;
SELECT pg_temp.outcome(auth.request_magic_link('ann@example.com')) AS another_kind;
SELECT * FROM pg_temp.mail();
SELECT * FROM pg_temp.events();
-- an earlier one, of another's request, is what counts
SELECT kind, count(*) FROM auth.message_pace GROUP BY 1 ORDER BY 1;
UPDATE auth.message_pace SET last_at = last_at - interval '61 s';
SELECT pg_temp.outcome(auth.request_password_reset('ann@example.com'));
SELECT * FROM pg_temp.mail();
-- prune forgets what counts no more
SELECT relation, deleted FROM auth.prune() WHERE relation = 'message_pace';
SELECT kind FROM auth.message_pace;
SET jwt_auth.message_interval = 0;

--
-- reset_password
--
DO $$ BEGIN PERFORM auth.login('ann@example.com', 'correct horse'), auth.login(username => 'ann', password => 'correct horse'); END $$;
SELECT pg_temp.outcome(auth.request_password_reset('ann@example.com'));
SELECT pg_temp.token('password_reset') AS earlier \gset
SELECT * FROM pg_temp.mail();
DELETE FROM auth.audit_log;
SELECT label, pg_temp.outcome(auth.reset_password(token, 'new battery')) AS answer
FROM (VALUES ('NULL', NULL), ('empty', ''), ('made up', repeat('A', 43)), ('huge', repeat('A', 10000000)), ('not ASCII', repeat('é', 43)),
	('void, as there is a newer one', :'earlier'), ('of another purpose', pg_temp.token('magic_link')),
	('one digit changed', translate(pg_temp.token('password_reset'), '0123456789abcdef', '123456789abcdef0')),
	('with a blank', pg_temp.token('password_reset') || ' ')) AS attempt (label, token);
SELECT DISTINCT * FROM pg_temp.events();
-- a password that is no good leaves it as it is
SELECT pg_temp.outcome(auth.reset_password(pg_temp.token('password_reset'), password)) FROM (VALUES ('1234567'), (NULL), (repeat('x', 73))) AS attempt (password);
-- nor may it be used after its time, by who is disabled, or after the address has changed
BEGIN;
UPDATE auth.one_time_tokens SET expires_at = clock_timestamp();
SELECT pg_temp.outcome(auth.reset_password(pg_temp.token('password_reset'), 'new battery')) AS expired;
ROLLBACK;
BEGIN;
UPDATE auth.users SET is_active = false WHERE username = 'ann';
SELECT pg_temp.outcome(auth.reset_password(pg_temp.token('password_reset'), 'new battery')) AS disabled;
ROLLBACK;
BEGIN;
UPDATE auth.users SET email = 'anna@example.com' WHERE username = 'ann';
SELECT pg_temp.outcome(auth.reset_password(pg_temp.token('password_reset'), 'new battery')) AS address_changed;
ROLLBACK;
BEGIN;
UPDATE auth.users SET email = 'ANN@example.com' WHERE username = 'ann';
SELECT pg_temp.outcome(auth.reset_password(pg_temp.token('password_reset'), 'new battery')) AS the_same_address;
ROLLBACK;
-- it works once, ends the sessions, confirms the address and opens what failures have locked
SET jwt_auth.max_failed_logins = 2;
SELECT pg_temp.outcome(auth.login('ann@example.com', 'guess')) FROM generate_series(1, 3);
SELECT pg_temp.outcome(auth.request_magic_link('ann@example.com'));
DELETE FROM auth.audit_log;
SELECT pg_temp.outcome(auth.reset_password(pg_temp.token('password_reset'), 'new battery')) AS once, pg_temp.outcome(auth.reset_password(pg_temp.token('password_reset'), 'newer battery')) AS twice;
SELECT pg_temp.fates(), email_confirmed_at IS NOT NULL AS confirmed FROM auth.users WHERE username = 'ann';
SELECT * FROM pg_temp.events();
RESET jwt_auth.max_failed_logins;
SELECT pg_temp.outcome(auth.login('ann@example.com', 'correct horse')) AS old, pg_temp.outcome(auth.login('ann@example.com', 'new battery')) AS new;
-- what else was out is void, taken or not, and its owner is told
SELECT * FROM pg_temp.mail();
SELECT pg_temp.outcome(auth.login_with_magic_link(pg_temp.token('magic_link')));
SELECT purpose FROM auth.one_time_tokens ORDER BY 1;

--
-- Whatever else sets the password, or disables, voids what is out
--
SELECT id AS ann FROM auth.users WHERE username = 'ann' \gset
CREATE FUNCTION pg_temp.still_good() RETURNS text LANGUAGE sql AS
$$ SELECT concat_ws(' ', pg_temp.outcome(auth.request_password_reset('ann@example.com')), pg_temp.outcome(auth.request_magic_link('ann@example.com'))) $$;
CREATE FUNCTION pg_temp.out() RETURNS text LANGUAGE sql AS
$$ SELECT concat_ws('; ', (SELECT string_agg(purpose, ', ' ORDER BY purpose) FROM auth.one_time_tokens), (SELECT string_agg(kind, ', ' ORDER BY kind) FROM auth.outbox)) $$;
BEGIN;
SELECT pg_temp.still_good(), pg_temp.out();
SELECT auth.authenticate(auth.login('ann@example.com', 'new battery') ->> 'access_token') IS NOT NULL AS signed_in;
SELECT pg_temp.outcome(auth.change_password('new battery', 'newer battery'));
SELECT pg_temp.out();
ROLLBACK;
BEGIN;
SELECT pg_temp.still_good(), auth.set_password(:'ann', 'newer battery');
SELECT pg_temp.out();
ROLLBACK;
BEGIN;
SELECT pg_temp.still_good(), auth.set_active(:'ann', false);
SELECT pg_temp.out();
ROLLBACK;
BEGIN;
SELECT pg_temp.still_good(), auth.delete_user(:'ann');
SELECT pg_temp.out(), (SELECT count(*) FROM auth.message_pace WHERE name_hash = auth._identifier_hash('ann@example.com')) AS paced;
ROLLBACK;
BEGIN;
SELECT pg_temp.still_good(), auth.revoke_all('a test');
SELECT pg_temp.out();
ROLLBACK;

--
-- login_with_magic_link
--
DELETE FROM auth.audit_log;
SELECT pg_temp.outcome(auth.request_magic_link('ann@example.com'));
SELECT * FROM pg_temp.mail();
SELECT pg_temp.outcome(auth.login_with_magic_link(pg_temp.token('magic_link'), 'nope')) AS unknown_client, pg_temp.outcome(auth.confirm_email(pg_temp.token('magic_link'))) AS other_purpose;
SELECT auth.login_with_magic_link(pg_temp.token('magic_link')) AS answer \gset
SELECT pg_temp.outcome(:'answer'), auth.jwt_verify(:'answer'::jsonb ->> 'access_token') -> 'amr' AS amr;
SELECT pg_temp.outcome(auth.login_with_magic_link(pg_temp.token('magic_link'))) AS twice;
SELECT * FROM pg_temp.events();
-- her address is confirmed, so her password and sessions stay; not so where somebody
-- else may have registered with it
SELECT pg_temp.outcome(auth.login('ann@example.com', 'new battery')) AS ann, pg_temp.outcome(auth.login('bob@example.com', 'battery staple')) AS bob;
SELECT pg_temp.outcome(auth.request_magic_link('bob@example.com')), pg_temp.outcome(auth.request_password_reset('bob@example.com'));
SELECT * FROM pg_temp.mail();
SELECT pg_temp.outcome(auth.login_with_magic_link(pg_temp.token('magic_link'))), pg_temp.fates();
SELECT pg_temp.outcome(auth.login('bob@example.com', 'battery staple')) AS password, pg_temp.outcome(auth.reset_password(pg_temp.token('password_reset'), 'new battery')) AS reset;
SELECT email_confirmed_at IS NOT NULL AS confirmed, password_hash FROM auth.users WHERE email = 'bob@example.com';

--
-- Changing the address
--
SELECT auth.request_email_change('anna@example.com');
BEGIN;
SELECT auth.authenticate(auth.login('ann@example.com', 'new battery') ->> 'access_token') IS NOT NULL AS signed_in;
SELECT pg_temp.outcome(auth.request_email_change('anna')) AS no_address, pg_temp.outcome(auth.request_email_change(NULL)) AS none;
-- whether somebody has it is told to them alone
SELECT pg_temp.outcome(auth.request_email_change('bob@example.com')) AS taken, pg_temp.outcome(auth.request_email_change('off@example.com')) AS disabled;
SELECT * FROM pg_temp.mail();
SELECT pg_temp.outcome(auth.request_email_change('anna@example.com'));
SELECT * FROM pg_temp.mail();
SET LOCAL jwt_auth.message_interval = '1 min';
SELECT pg_temp.outcome(auth.request_email_change('annika@example.com')) AS too_soon;
SET LOCAL jwt_auth.message_interval = 0;
SELECT pg_temp.outcome(auth.request_password_reset('ann@example.com'));
SELECT pg_temp.outcome(auth.confirm_email(pg_temp.token('email_change'))) AS once, pg_temp.outcome(auth.confirm_email(pg_temp.token('email_change'))) AS twice;
SELECT email, email_confirmed_at IS NOT NULL AS confirmed, pg_temp.out() FROM auth.users WHERE username = 'ann';
SELECT * FROM pg_temp.events();
ROLLBACK;
-- somebody else may have the address by then; the token stays for when they have not
BEGIN;
SELECT auth.authenticate(auth.login('ann@example.com', 'new battery') ->> 'access_token') IS NOT NULL AS signed_in;
SELECT pg_temp.outcome(auth.request_email_change('anna@example.com'));
SELECT * FROM pg_temp.mail();
SELECT auth.create_user('ANNA@example.com') AS anna \gset
SELECT pg_temp.outcome(auth.confirm_email(pg_temp.token('email_change'))) AS taken;
SELECT auth.delete_user(:'anna');
SELECT pg_temp.outcome(auth.confirm_email(pg_temp.token('email_change'))) AS free;
ROLLBACK;
-- a new password voids a change that whoever had the account has asked for
BEGIN;
SELECT auth.authenticate(auth.login('ann@example.com', 'new battery') ->> 'access_token') IS NOT NULL AS signed_in;
SELECT pg_temp.outcome(auth.request_email_change('mallory@example.com')), pg_temp.outcome(auth.request_password_reset('ann@example.com'));
SELECT * FROM pg_temp.mail();
SELECT pg_temp.outcome(auth.reset_password(pg_temp.token('password_reset'), 'newest battery')), pg_temp.outcome(auth.confirm_email(pg_temp.token('email_change')));
ROLLBACK;
-- who has no address gets their first one so, and no notice
BEGIN;
SELECT auth.create_user(username => 'carl') AS carl \gset
SELECT auth.authenticate(auth.create_session(:'carl') ->> 'access_token') IS NOT NULL AS signed_in;
SELECT pg_temp.outcome(auth.request_email_change('carl@example.com'));
SELECT * FROM pg_temp.mail();
SELECT pg_temp.outcome(auth.confirm_email(pg_temp.token('email_change')));
ROLLBACK;

--
-- require_confirmed_email: registering tells nobody who is there
--
SET jwt_auth.require_confirmed_email = on;
DELETE FROM auth.audit_log;
SELECT auth.register('Dora@example.com', 'correct horse', 'dora', '{"a": 1}') AS new \gset
SELECT auth.register('ANN@example.com', 'correct horse', 'annie', '{"a": 1}') AS taken \gset
SELECT auth.register('off@example.com', 'correct horse', NULL, '{"a": 1}') AS disabled \gset
SELECT answer - '{id,created_at}'::text[] AS answer, (answer ->> 'id')::uuid IS NOT NULL AS id, (answer ->> 'created_at')::timestamptz > now() - interval '1 min' AS now
FROM (VALUES (:'new'::jsonb), (:'taken'), (:'disabled')) AS a (answer);
SELECT EXISTS (SELECT FROM auth.users WHERE id = (:'taken'::jsonb ->> 'id')::uuid) AS made, count(*) FROM auth.users WHERE username = 'annie' OR lower(email) = 'ann@example.com';
SELECT * FROM pg_temp.mail();
SELECT * FROM pg_temp.events();
-- a username that is taken is refused with any address
SELECT pg_temp.outcome(auth.register('new@example.com', 'correct horse', 'DORA')) AS new, pg_temp.outcome(auth.register('ann@example.com', 'correct horse', 'dora')) AS taken;
-- the owner is told no more often than message_interval says
SET jwt_auth.message_interval = '1 min';
SELECT pg_temp.outcome(auth.register('ann@example.com', 'correct horse')) FROM generate_series(1, 3);
SELECT pg_temp.outcome(auth.request_email_confirmation('dora@example.com'));
SELECT * FROM pg_temp.mail();
SET jwt_auth.message_interval = 0;
-- login says so after the right password alone
SELECT pg_temp.outcome(auth.login('dora@example.com', 'wrong horse')) AS wrong, pg_temp.outcome(auth.login('dora@example.com', 'correct horse')) AS email,
	   pg_temp.outcome(auth.login(username => 'dora', password => 'correct horse')) AS username, pg_temp.outcome(auth.login('off@example.com', 'correct horse')) AS disabled;
SELECT * FROM pg_temp.events();
SELECT pg_temp.outcome(auth.confirm_email(pg_temp.token('email_confirmation'))) AS confirmed, pg_temp.outcome(auth.login('dora@example.com', 'correct horse')) AS login;
SELECT pg_temp.outcome(auth.confirm_email(pg_temp.token('email_confirmation'))) AS again;
-- who has no address has none to confirm, and an administrator knows what they do
BEGIN;
SELECT pg_temp.outcome(auth.login(username => 'carl', password => 'correct horse')) FROM auth.create_user(username => 'carl', password => 'correct horse');
SELECT pg_temp.outcome(auth.create_session(id)) FROM auth.create_user('eve@example.com') AS id;
ROLLBACK;
-- those who lost the message, or do not know that somebody else was faster, have ways in
BEGIN;
SELECT pg_temp.outcome(auth.register('fred@example.com', 'mallory''s password'));
SELECT pg_temp.outcome(auth.request_password_reset('fred@example.com')), pg_temp.outcome(auth.request_email_confirmation('fred@example.com'));
SELECT * FROM pg_temp.mail();
SELECT pg_temp.outcome(auth.reset_password(pg_temp.token('password_reset'), 'correct horse')), pg_temp.outcome(auth.login('fred@example.com', 'correct horse'));
ROLLBACK;
RESET jwt_auth.require_confirmed_email;

--
-- Invitations
--
SET jwt_auth.registration = invited;
SELECT pg_temp.outcome(auth.register('new@example.com', 'correct horse')) AS register;
SELECT auth.invite_user('gail@example.com', 'postgres'), auth.invite_user('h@example.com');
SELECT auth.invite_user('gail');
SELECT auth.invite_user(NULL);
SELECT auth.invite_user('ann@example.com');
DELETE FROM auth.audit_log;
SELECT auth.invite_user('gail@example.com', 'regress_mailer', '{"name": "Gail"}', '{"tenant": 1}') AS gail \gset
SELECT pg_temp.outcome(auth.login('gail@example.com', 'correct horse')) AS login;
SELECT auth.invite_user('GAIL@example.com') = :'gail' AS again;
SELECT * FROM pg_temp.mail();
SELECT label, pg_temp.outcome(auth.accept_invitation(token, password, username, metadata::jsonb)) AS answer
FROM (VALUES ('weak', pg_temp.token('invitation'), '1234567', NULL, NULL),
	('username taken', pg_temp.token('invitation'), 'correct horse', 'ANN', NULL),
	('username with @', pg_temp.token('invitation'), 'correct horse', 'a@b', NULL),
	('metadata no object', pg_temp.token('invitation'), 'correct horse', 'gail', '[]'),
	('no token', NULL, 'correct horse', 'gail', NULL),
	('another''s token', pg_temp.token('magic_link'), 'correct horse', 'gail', NULL),
	('good', pg_temp.token('invitation'), 'correct horse', 'gail', NULL),
	('twice', pg_temp.token('invitation'), 'correct horse', 'gail', NULL)) AS attempt (label, token, password, username, metadata);
SELECT email, username, role, user_metadata, app_metadata, email_confirmed_at IS NOT NULL AS confirmed FROM auth.users WHERE id = :'gail';
SELECT pg_temp.outcome(auth.login(username => 'gail', password => 'correct horse')) AS login;
SELECT auth.invite_user('gail@example.com');
SELECT * FROM pg_temp.events();
-- a password that an administrator has set in the meantime stands
SELECT auth.set_password(auth.invite_user('hal@example.com'), 'battery staple');
SELECT * FROM pg_temp.mail();
-- closed means closed
SELECT auth.invite_user('ida@example.com') IS NOT NULL AS invited;
SELECT * FROM pg_temp.mail();
SET jwt_auth.registration = closed;
SELECT pg_temp.outcome(auth.accept_invitation(pg_temp.token('invitation'), 'correct horse')) AS closed;
SELECT auth.invite_user('jo@example.com');
RESET jwt_auth.registration;
SELECT pg_temp.outcome(auth.accept_invitation(pg_temp.token('invitation'), 'correct horse')) AS open;

--
-- The mailer: oldest first, as many as it wants, none that has expired
--
DO $$ BEGIN PERFORM auth.request_password_reset(email) FROM auth.users ORDER BY lower(email COLLATE "C"); END $$;
SELECT email FROM auth.take_messages(2);
UPDATE auth.outbox SET expires_at = clock_timestamp() WHERE email LIKE 'D%';
SELECT email FROM auth.take_messages(1);
SELECT count(*) FROM auth.outbox WHERE email LIKE 'D%';
SELECT auth.take_messages(0);
SELECT auth.take_messages(NULL);
BEGIN;
SELECT count(*) > 0 AS took FROM auth.take_messages();
SELECT count(*) FROM auth.outbox;
ROLLBACK;
SELECT count(*) > 0 AS back FROM auth.outbox;
-- prune takes what has expired and nobody has taken
UPDATE auth.outbox SET expires_at = clock_timestamp() WHERE email LIKE 'g%';
UPDATE auth.one_time_tokens SET expires_at = clock_timestamp() WHERE user_id = :'gail';
SELECT * FROM auth.prune() WHERE relation IN ('outbox', 'one_time_tokens');
-- one that cannot be unwrapped holds up no other, and is an error where there is none
DO $$ BEGIN PERFORM auth.request_magic_link(email) FROM auth.users ORDER BY lower(email COLLATE "C"); END $$;
UPDATE auth.outbox SET wrapped_token = CASE WHEN id = (SELECT id FROM auth.outbox ORDER BY created_at LIMIT 1) THEN '\x01'
	ELSE set_byte(wrapped_token, 20, get_byte(wrapped_token, 20) # 1) END
WHERE id IN (SELECT id FROM auth.outbox ORDER BY created_at LIMIT 2);
BEGIN;
SELECT count(*) AS took FROM auth.take_messages(1);
SELECT count(*) > 1 AS took FROM auth.take_messages();
SELECT count(*) AS left FROM auth.outbox;
DO $$ BEGIN PERFORM auth.take_messages(); EXCEPTION WHEN OTHERS THEN RAISE NOTICE '%', SQLSTATE; END $$;
ROLLBACK;
-- nor a key or a message that is wrapped anew
BEGIN;
SELECT md5(string_agg(wrapped_token::text, ' ' ORDER BY created_at)) AS lost FROM (SELECT * FROM auth.outbox ORDER BY created_at LIMIT 2) o \gset
SELECT md5(string_agg(wrapped_key::text, ' ' ORDER BY kid)) AS keys FROM auth.keys \gset
SELECT auth.rewrap_keys() > 0 AS rewrapped;
SELECT md5(string_agg(wrapped_token::text, ' ' ORDER BY created_at)) = :'lost' AS as_it_was FROM (SELECT * FROM auth.outbox ORDER BY created_at LIMIT 2) o;
SELECT md5(string_agg(wrapped_key::text, ' ' ORDER BY kid)) <> :'keys' AS keys_anew FROM auth.keys;
SELECT count(*) > 1 AS took FROM auth.take_messages();
-- but a key that is lost is an error
UPDATE auth.keys SET wrapped_key = set_byte(wrapped_key, 20, get_byte(wrapped_key, 20) # 1) WHERE purpose = 'refresh';
SELECT auth.rewrap_keys();
ROLLBACK;
DELETE FROM auth.outbox WHERE id IN (SELECT id FROM auth.outbox ORDER BY created_at LIMIT 2);
-- a role with the bundle reads no table
SELECT auth.grant_access('regress_mailer', 'mailer');
SET ROLE regress_mailer;
SELECT count(*) > 0 AS took FROM auth.take_messages();
SELECT count(*) FROM auth.outbox;
SELECT auth.request_password_reset('ann@example.com');
RESET ROLE;

--
-- All that is kept about a user is theirs to see, but no hash and no token
--
SELECT pg_temp.outcome(auth.request_magic_link('ann@example.com'));
SELECT jsonb_array_elements(e -> 'one_time_tokens') - '{created_at,expires_at}'::text[] AS token, jsonb_array_elements(e -> 'messages') - '{id,created_at,expires_at}'::text[] AS message FROM auth.export_user(:'ann') e;

--
-- In a READ ONLY transaction, and filtered by PostgREST, all of it is refused
--
\set VERBOSITY sqlstate
BEGIN READ ONLY;
SAVEPOINT s;
SELECT auth.request_password_reset('ann@example.com');
ROLLBACK TO s;
SELECT auth.reset_password('x', 'correct horse');
ROLLBACK TO s;
SELECT auth.login_with_magic_link('x');
ROLLBACK TO s;
SELECT auth.confirm_email('x');
ROLLBACK TO s;
SELECT auth.accept_invitation('x', 'correct horse');
ROLLBACK TO s;
SELECT auth.take_messages();
ROLLBACK;
WITH "pgrst_source" AS (SELECT "auth"."login_with_magic_link"("token" := 'x') AS pgrst_scalar)
SELECT 1 FROM (SELECT "login_with_magic_link".* FROM "pgrst_source" AS "login_with_magic_link" WHERE to_jsonb("login_with_magic_link"."pgrst_scalar") ->> 'error' IS NULL) t;
\set VERBOSITY default

SET client_min_messages = warning;
DROP EXTENSION jwt_auth CASCADE;
DROP EXTENSION pgcrypto;
DROP SCHEMA auth;
DROP ROLE regress_mailer;
