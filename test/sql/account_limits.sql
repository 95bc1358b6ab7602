--
-- What can be a password and a name, in a database of UTF-8: every byte as it
-- was typed.  And no error that shows a row of a table.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION jwt_auth CASCADE;
CREATE ROLE regress_admin;
CREATE ROLE regress_client;
CREATE ROLE authenticated;
RESET client_min_messages;
SET jwt_auth.bcrypt_cost = 4;
SET jwt_auth.max_failed_logins = 0;
SELECT auth.grant_access('regress_admin', 'admin'), auth.grant_access('regress_client', 'client');

CREATE FUNCTION pg_temp.outcome(answer jsonb) RETURNS text LANGUAGE sql AS
$$ SELECT coalesce(answer ->> 'error_code', 'ok') $$;

-- What a backslash is in SQL is the caller's to say, of a function's body too (19 has
-- one way alone): no address has one, no name in postgrest.conf, and all else is the same.
BEGIN;
DO $$ BEGIN
	IF current_setting('server_version_num')::int < 190000 THEN
		SET LOCAL standard_conforming_strings = off;
		SET LOCAL escape_string_warning = off;
	END IF;
END $$;
SELECT pg_temp.outcome(auth.register('ann' || chr(92) || '@example.com', 'correct horse'));
SELECT auth.create_user('bob@example.com', 'correct horse') IS NOT NULL AS create_user;
SELECT auth.import_pem(auth.jwk_to_pem(auth.jwk_generate('ES256')), 'ES256') IS NOT NULL AS import_pem;
SELECT pg_temp.outcome(auth.login('bob@example.com', 'wrong')) AS "pgrst_source";
SAVEPOINT s;
SELECT pg_temp.outcome(auth.login('bob@example.com', 'wrong')) AS filtered FROM (SELECT 1 AS x) AS "pgrst_source" WHERE "pgrst_source"."x" = 1;
ROLLBACK TO s;
SELECT auth.create_api('a' || chr(92));
ROLLBACK;
SELECT proname AS reads_a_backslash_two_ways FROM pg_proc
WHERE pronamespace = 'auth'::regnamespace AND strpos(regexp_replace(prosrc, $$E'([^'\\]|\\.|'\s*')*'$$, '', 'g'), chr(92)) > 0;

--
-- Passwords: registered with one spelling, tried with others
--
CREATE FUNCTION pg_temp.becomes(password text, tried text[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	email text := md5(random()::text) || '@example.com';
	answers text[] := ARRAY[pg_temp.outcome(auth.register(email, password))];
	try text;
BEGIN
	FOREACH try IN ARRAY tried LOOP
		answers := answers || pg_temp.outcome(auth.login(email, try));
	END LOOP;
	RETURN array_to_string(answers, ', ');
END
$$;
SELECT label, octet_length(password) AS bytes, pg_temp.becomes(password, tried) AS "registration, logins"
FROM (VALUES
	('8 bytes', repeat('x', 8), ARRAY[repeat('x', 8), repeat('x', 9), repeat('x', 7)]),
	('64 bytes', repeat('x', 64), ARRAY[repeat('x', 64), repeat('x', 65)]),
	('72 bytes', repeat('x', 72), ARRAY[repeat('x', 72), repeat('x', 71), repeat('x', 73), repeat('x', 10000000)]),
	('73 bytes', repeat('x', 73), ARRAY[repeat('x', 73)]),
	('10 MB', repeat('x', 10000000), ARRAY[repeat('x', 72)]),
	('36 letters of two bytes', repeat('ä', 36), ARRAY[repeat('ä', 36), repeat('ä', 35), repeat('ä', 37)]),
	('8 emoji', repeat('🐎', 8), ARRAY[repeat('🐎', 8), repeat('🐎', 7), repeat('🐴', 8)]),
	('7 emoji', repeat('🐎', 7), ARRAY[repeat('🐎', 7)]),
	('18 emoji', repeat('🐎', 18), ARRAY[repeat('🐎', 18)]),
	('19 emoji', repeat('🐎', 19), ARRAY[repeat('🐎', 19)]),
	('blanks around', '  correct horse  ', ARRAY['  correct horse  ', 'correct horse', ' correct horse ']),
	('blanks alone', repeat(' ', 8), ARRAY[repeat(' ', 8), repeat(' ', 9), '']),
	('line ends', E'correct\r\nhorse', ARRAY[E'correct\r\nhorse', E'correct\nhorse']),
	('composed (NFC)', U&'caf\00e9 caf\00e9', ARRAY[U&'caf\00e9 caf\00e9', U&'cafe\0301 cafe\0301']),
	('decomposed (NFD)', U&'cafe\0301 cafe\0301', ARRAY[U&'cafe\0301 cafe\0301', U&'caf\00e9 caf\00e9']),
	('byte order mark', U&'\FEFFcorrect horse', ARRAY[U&'\FEFFcorrect horse', 'correct horse']),
	('another case', 'Correct Horse', ARRAY['Correct Horse', 'correct horse', 'CORRECT HORSE'])
) AS p (label, password, tried);

-- The same for those who set one: at most 72 bytes, and no more characters than that
SELECT auth.create_user(username => 'ann', password => repeat('x', 72)) AS ann \gset
\set VERBOSITY terse
SELECT auth.create_user(password => repeat('x', 73));
SELECT auth.create_user(password => '1234567');
SELECT auth.create_user(password => '');
SELECT auth.set_password(:'ann', repeat('ä', 37));
SELECT auth._hash_password(repeat('x', 73));
\set VERBOSITY default
SET jwt_auth.password_min_length = 72;
SELECT pg_temp.becomes(repeat('x', 71), ARRAY[repeat('x', 71)]) AS shorter, pg_temp.becomes(repeat('x', 72), ARRAY[repeat('x', 72)]) AS just_right;
RESET jwt_auth.password_min_length;

-- A hash that is damaged, or of another kind, is nobody's, and is not shown.
SELECT auth._hash_password('correct horse') AS hash \gset
CREATE FUNCTION pg_temp.with_hash(hash text) RETURNS text LANGUAGE sql AS
$$ UPDATE auth.users SET password_hash = hash WHERE username = 'ann';
   SELECT pg_temp.outcome(auth.login(username => 'ann', password => 'correct horse')) $$;
SELECT label, pg_temp.with_hash(hash) AS login
FROM (VALUES ('good', :'hash'), ('none', NULL), ('empty', ''), ('text', 'correct horse'), ('cut', left(:'hash', 59)), ('longer', :'hash' || 'x'),
	('another salt', overlay(:'hash' placing 'xxxx' from 8 for 4)), ('salt that is none', overlay(:'hash' placing '!!!!' from 8 for 4)),
	('cost 31', overlay(:'hash' placing '31' from 5 for 2)), ('cost 99', overlay(:'hash' placing '99' from 5 for 2)), ('cost xx', overlay(:'hash' placing 'xx' from 5 for 2)),
	('cost 7x', overlay(:'hash' placing '7x' from 5 for 2)), ('cost -4', overlay(:'hash' placing '-4' from 5 for 2)), ('no hash after the salt', overlay(:'hash' placing repeat('$', 31) from 30)),
	('cost 00', overlay(:'hash' placing '00' from 5 for 2)), ('MD5', crypt('correct horse', gen_salt('md5'))), ('DES', crypt('correct horse', gen_salt('des'))),
	('argon2', '$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo'), ('scrypt of Werkzeug', 'scrypt:32768:8:1$salt$00ff')) AS h (label, hash);

--
-- Names: no blanks or control characters that nobody sees, no case in ASCII,
-- and no other spelling is the same
--
-- Their length is looked at first: no regular expression takes so many characters.
SELECT pg_temp.outcome(auth.register(huge, 'correct horse')) AS email, pg_temp.outcome(auth.register('zoe@example.com', 'correct horse', huge)) AS username
FROM repeat('x', 270000000) AS huge;
SELECT label, pg_temp.outcome(auth.register(format('%s@example.com', md5(random()::text)), 'correct horse', username)) AS answer
FROM (VALUES ('64 bytes', repeat('x', 64)), ('65 bytes', repeat('x', 65)), ('32 letters of two bytes', repeat('ö', 32)), ('33', repeat('ö', 33)), ('blank within', 'Ann Lee'), ('the same in other case', 'ANN LEE'),
	('blank before', ' zoe'), ('blank after', 'zoe '), ('line end', E'zoe\n'), ('tab within', E'z\toe'), ('DEL', E'z\x7foe'), ('C1 control', U&'z\0085oe'), ('blank', ' '), ('@', 'z@e'),
	('composed (NFC)', U&'ren\00e9'), ('decomposed (NFD)', U&'rene\0301'), ('other case beyond ASCII', U&'REN\00c9'), ('emoji', '🐎')) AS n (label, username);
SELECT label, pg_temp.outcome(auth.register(email, 'correct horse')) AS answer
FROM (VALUES ('254 bytes', repeat('a', 242) || '@example.com'), ('255', repeat('b', 243) || '@example.com'), ('no-break blank', U&'a\00a0b@example.com'), ('line end', E'c@example.com\n'),
	('blank before', ' d@example.com'), ('tab', E'd\t@example.com'), ('C1 control', U&'d\0085@example.com'), ('letters beyond ASCII', 'jürgen@exämple.com'), ('in other case', 'JÜRGEN@EXÄMPLE.COM'),
	('quotes', '"a''b"@example.com'), ('no domain', 'a@'), ('no name', '@example.com')) AS e (label, email);

--
-- No error shows a row, whoever calls: each function with each rule of the
-- tables broken
--
TRUNCATE auth.users CASCADE;
-- All that an error has to say of itself.
CREATE FUNCTION pg_temp.try(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	message text;
	said text;
	answer text;
BEGIN
	EXECUTE command INTO answer;
	RETURN coalesce(answer::jsonb ->> 'error_code', 'ok');
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, said = PG_EXCEPTION_DETAIL;
	RETURN concat_ws(' ', SQLSTATE, message, nullif(said, ''), CASE WHEN message || said ~ 'Failing row|Key \(|secret|\$2a\$' THEN 'LEAK' END);
END
$$;
SELECT auth.create_user('secret@example.com', 'correct horse', 'secret') AS id, auth.create_user(username => 'other') AS other \gset
SELECT auth.trust_issuer('https://id.example', jsonb_build_object('keys', jsonb_build_array(auth.jwk_public(auth.jwk_generate('ES256', 'k')))), '{app}');
SELECT auth.link_identity(:'id', 'https://id.example', 'secret');
SELECT set_config('regress.id', :'id', false), set_config('regress.other', :'other', false) \gset

SET ROLE regress_admin;
SELECT command, pg_temp.try(replace(replace(command, 'ID', quote_literal(current_setting('regress.id'))), 'OTHER', quote_literal(current_setting('regress.other')))) AS result
FROM unnest(ARRAY[
	$$SELECT to_jsonb(auth.create_user('SECRET@example.com'))$$,
	$$SELECT to_jsonb(auth.create_user(username => 'SECRET'))$$,
	$$SELECT to_jsonb(auth.create_user(username => 'secret@'))$$,
	$$SELECT to_jsonb(auth.create_user('secret'))$$,
	$$SELECT to_jsonb(auth.create_user('secret@example.com', role => 'secret'))$$,
	$$SELECT to_jsonb(auth.create_user(user_metadata => '["secret"]'))$$,
	$$SELECT to_jsonb(auth.create_user(app_metadata => '"secret"'))$$,
	$$SELECT to_jsonb(auth.create_user(app_metadata => jsonb_build_object('secret', repeat('x', 20000))))$$,
	$$SELECT to_jsonb(auth.import_user(NULL, id => ID))$$,
	$$SELECT to_jsonb(auth.import_user('secret@EXAMPLE.com'))$$,
	$$SELECT to_jsonb(auth.import_user(NULL, 'secret'))$$,
	$$SELECT to_jsonb(auth.import_user(NULL, role => 'secret'))$$,
	$$SELECT to_jsonb(auth.set_user_role(ID, 'secret'))$$,
	$$SELECT to_jsonb(auth.set_user_role(ID, NULL))$$,
	$$SELECT to_jsonb(auth.set_app_metadata(ID, '["secret"]'))$$,
	$$SELECT to_jsonb(auth.set_app_metadata(ID, NULL))$$,
	$$SELECT to_jsonb(auth.set_password(ID, 'secret'))$$,
	$$SELECT to_jsonb(auth.set_active(ID, NULL))$$,
	$$SELECT auth.create_session(ID, 'secret')$$,
	$$SELECT auth.create_session(ID, lifetime => '-1 s')$$,
	$$SELECT to_jsonb(auth.issue_access_token(ID, extra => '"secret"'))$$,
	$$SELECT to_jsonb(auth.link_identity(OTHER, 'https://id.example', 'secret'))$$,
	$$SELECT to_jsonb(auth.link_identity(gen_random_uuid(), 'https://id.example', 'secret'))$$,
	$$SELECT to_jsonb(auth.link_identity(ID, 'https://secret.example', 'x'))$$,
	$$SELECT to_jsonb(auth.link_identity(ID, 'https://id.example', repeat('secret', 50)))$$,
	$$SELECT to_jsonb(auth.link_identity(ID, NULL, NULL))$$,
	$$SELECT to_jsonb(auth.unlink_identity('https://id.example', 'secret2'))$$,
	$$SELECT to_jsonb(auth.set_client('secret', access_token_lifetime => '-1 s'))$$,
	$$SELECT to_jsonb(auth.set_client('secret', refresh_token_lifetime => '178000000 years'))$$,
	$$SELECT to_jsonb(auth.set_client('secret', session_lifetime => '0'))$$,
	$$SELECT to_jsonb(auth.set_client(repeat('secret', 1000)))$$,
	$$SELECT to_jsonb(auth.set_client('secret', ''))$$,
	$$SELECT to_jsonb(auth.set_client('secret', refresh_tokens => NULL))$$,
	$$SELECT to_jsonb(auth.drop_client('secret'))$$]) AS command;
SET ROLE regress_client;
SELECT command, pg_temp.try(command) AS result
FROM unnest(ARRAY[
	$$SELECT auth.register('secret@example.com', 'correct horse')$$,
	$$SELECT auth.register('new@example.com', 'correct horse', 'SECRET')$$,
	$$SELECT auth.register('SECRET@example.com', 'correct horse', 'SECRET')$$,
	$$SELECT auth.register('new@example.com', 'correct horse', 'secret@')$$,
	$$SELECT auth.register('new@example.com', 'correct horse', NULL, '"secret"')$$,
	$$SELECT auth.login('secret@example.com', 'correct horse', client_id => 'secret')$$,
	$$SELECT auth.login_with_id_token('secret', client_id => 'secret')$$,
	$$SELECT auth.login_with_id_token('secret')$$]) AS command;
RESET ROLE;
BEGIN;
SELECT auth.authenticate(auth.issue_access_token(:'other')) IS NOT NULL AS signed_in;
SET LOCAL ROLE authenticated;
SELECT command, pg_temp.try(command) AS result
FROM unnest(ARRAY[
	$$SELECT auth.update_me(username => 'SECRET')$$,
	$$SELECT auth.update_me(username => 'secret@')$$,
	$$SELECT auth.update_me('["secret"]')$$,
	$$SELECT auth.change_password('secret', 'correct horse')$$,
	$$SELECT auth.change_password(NULL, NULL)$$,
	$$SELECT to_jsonb(auth.revoke_session(NULL))$$,
	$$SELECT to_jsonb(auth.logout(NULL))$$,
	$$SELECT to_jsonb(auth.logout('secret'))$$]) AS command;
ROLLBACK;

DROP EXTENSION jwt_auth CASCADE;
DROP EXTENSION pgcrypto;
DROP SCHEMA auth;
DROP ROLE regress_admin, regress_client, authenticated;
