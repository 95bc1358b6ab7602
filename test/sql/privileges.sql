--
-- Who may do what: looked up in the catalogs, then tried
--
SET client_min_messages = warning;
CREATE EXTENSION jwt_auth CASCADE;
RESET client_min_messages;
SET jwt_auth.bcrypt_cost = 4;

CREATE TEMP VIEW member AS
SELECT d.classid::regclass AS catalog, d.objid, i.type, i.schema, i.identity
FROM pg_depend AS d JOIN pg_extension AS e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e',
	 pg_identify_object(d.classid, d.objid, 0) AS i
WHERE e.extname = 'jwt_auth';
CREATE TEMP VIEW function AS
SELECT p.*, p.oid::regprocedure::text AS signature FROM pg_proc AS p JOIN member ON catalog = 'pg_proc'::regclass AND objid = p.oid;
CREATE TEMP VIEW relation AS SELECT c.* FROM pg_class AS c JOIN member ON catalog = 'pg_class'::regclass AND objid = c.oid;

-- All of it is in the schema auth, which holds nothing else
SELECT type, count(*) FROM member WHERE schema IS DISTINCT FROM 'auth' GROUP BY type;
SELECT oid::regclass FROM pg_class WHERE relnamespace = 'auth'::regnamespace AND relkind IN ('r', 'v', 'm', 'S', 'f', 'p') AND oid NOT IN (SELECT oid FROM relation);
SELECT oid::regprocedure FROM pg_proc WHERE pronamespace = 'auth'::regnamespace AND oid NOT IN (SELECT oid FROM function);
SELECT relname, relkind FROM relation WHERE relkind <> 'i' ORDER BY relname;

-- What everybody may use: this list of functions, and the schema's name
SELECT signature FROM function WHERE has_function_privilege('public', oid, 'EXECUTE') ORDER BY signature COLLATE "C";
SELECT grantee::regrole, privilege_type FROM pg_namespace, aclexplode(nspacl) WHERE nspname = 'auth' AND grantee <> nspowner;
SELECT relname, privilege_type FROM relation, aclexplode(relacl) WHERE grantee <> relowner;
SELECT attrelid::regclass, attname FROM pg_attribute, aclexplode(attacl) WHERE attrelid IN (SELECT oid FROM relation);
SELECT signature, grantee::regrole FROM function, aclexplode(proacl) WHERE grantee NOT IN (0, proowner);
-- nor may anybody have a column of their types
SELECT relname FROM relation WHERE reltype <> 0 AND has_type_privilege('public', reltype, 'USAGE');
-- What else there is comes with the tables
SELECT type, identity FROM member WHERE type NOT IN ('function', 'table', 'view', 'type', 'index', 'trigger', 'table constraint') ORDER BY 1, 2;

-- A function that runs as its owner, or that runs any SQL, pins where names come from
SELECT signature, proconfig FROM function JOIN pg_language AS l ON l.oid = prolang
WHERE (prosecdef OR lanname NOT IN ('c', 'internal')) AND proconfig IS DISTINCT FROM '{"search_path=pg_catalog, pg_temp"}';
-- These run as their owner
SELECT signature FROM function WHERE prosecdef ORDER BY signature COLLATE "C";
-- All have a comment; none is leakproof; none belongs to an ordinary role
SELECT signature FROM function WHERE obj_description(oid, 'pg_proc') IS NULL OR proleakproof
	OR NOT (SELECT rolsuper FROM pg_roles AS r WHERE r.oid = proowner);
-- Nothing that depends on time, settings or tables may be folded or indexed
SELECT signature FROM function WHERE provolatile = 'i' ORDER BY signature COLLATE "C";
SELECT proname, provolatile AS volatile, proparallel AS parallel FROM function
WHERE proname IN ('uid', 'user_id', 'jwt', 'claim', 'role', 'email', 'session_id', 'jwt_verify', 'jwt_try_verify', 'authenticate', 'pre_request') GROUP BY 1, 2, 3 ORDER BY 1, 3;

--
-- The same, tried by a role that has nothing
--
CREATE ROLE regress_nobody;
CREATE FUNCTION try(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE command;
	RETURN 'done';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END
$$;
CREATE TABLE attempt AS
SELECT 'table' AS kind, format(command, relname) AS command FROM relation, unnest(ARRAY['SELECT FROM auth.%I', 'TABLE auth.%I', 'INSERT INTO auth.%I DEFAULT VALUES',
	'DELETE FROM auth.%I', 'TRUNCATE auth.%I CASCADE', 'LOCK auth.%I IN SHARE MODE', 'DROP TABLE auth.%I', 'ALTER TABLE auth.%I ADD x int',
	'ALTER TABLE auth.%I DISABLE TRIGGER ALL', 'CREATE RULE r AS ON INSERT TO auth.%I DO NOTHING', 'CREATE TABLE stolen () INHERITS (auth.%I)']) AS command
WHERE relkind = 'r'
UNION ALL SELECT 'column', format(command, relname, attname) FROM relation JOIN pg_attribute ON attrelid = relation.oid AND attnum > 0,
	unnest(ARRAY['SELECT %2$I FROM auth.%1$I', 'UPDATE auth.%1$I SET %2$I = NULL']) AS command
WHERE relkind = 'r'
UNION ALL SELECT 'foreign key', format('CREATE TABLE stolen (x text REFERENCES auth.%I)', relname) FROM relation WHERE relkind = 'r' AND relname <> 'refresh_tokens'
UNION ALL SELECT 'function', format('SELECT auth.%I(%s)', proname, (SELECT string_agg(format('(SELECT NULL::%s)', type::regtype), ', ') FROM unnest(proargtypes) AS type))
FROM function WHERE NOT has_function_privilege('public', oid, 'EXECUTE')
UNION ALL SELECT 'schema', 'CREATE FUNCTION auth.uid(text) RETURNS uuid LANGUAGE sql RETURN NULL'
UNION ALL SELECT 'schema', 'CREATE TABLE auth.notes ()' UNION ALL SELECT 'schema', 'DROP EXTENSION jwt_auth CASCADE';
GRANT SELECT ON attempt TO regress_nobody;
GRANT CREATE ON SCHEMA public TO regress_nobody;
SET ROLE regress_nobody;
SELECT kind, result, count(*) > 0 AS some FROM attempt, try(command) AS result GROUP BY 1, 2 ORDER BY 1, 2;
SELECT command, result FROM attempt, try(command) AS result WHERE result <> '42501';
RESET ROLE;
-- as a control: the owner reads what the role could not
SELECT kind, try(command) AS result, count(*) > 0 AS some FROM attempt WHERE command ~ '^(SELECT|TABLE).* FROM' GROUP BY 1, 2 ORDER BY 1, 2;

--
-- Hostile names, first in the search path and in pg_temp: nothing of the
-- extension finds them, whoever calls it
--
CREATE ROLE regress_mallory;
CREATE SCHEMA mallory AUTHORIZATION regress_mallory;
SELECT auth.grant_access('regress_mallory', 'client');
-- a provider of identities, and a token of it
SELECT auth.jwk_generate('ES256', 'k') AS key \gset
SELECT auth.trust_issuer('https://idp.example', jsonb_build_object('keys', jsonb_build_array(auth.jwk_public(:'key'::jsonb))), '{app}');
SELECT set_config('regress.id_token', auth.jwt_sign('{"iss": "https://idp.example", "aud": "app", "sub": "s", "exp": 4102444800, "email": "carol@example.com", "email_verified": true}', :'key'::jsonb), false) IS NOT NULL AS signed;
SET ROLE regress_mallory;
SET search_path = mallory, pg_catalog;
CREATE FUNCTION hostile(name text) RETURNS boolean LANGUAGE plpgsql AS
$$ BEGIN RAISE WARNING 'hostile % runs as %', name, current_user; RETURN true; END $$;
-- every function of these names and arguments that PostgreSQL has, in a hostile version
DO $$
DECLARE
	f record;
BEGIN
	FOR f IN SELECT p.oid, proname, pg_get_function_identity_arguments(p.oid) AS arguments, prorettype::regtype AS result
			 FROM pg_catalog.pg_proc AS p
			 WHERE pronamespace OPERATOR(pg_catalog.=) 'pg_catalog'::regnamespace AND prokind OPERATOR(pg_catalog.=) 'f' AND provariadic OPERATOR(pg_catalog.=) 0
			   AND proname OPERATOR(pg_catalog.=) ANY ('{lower,strpos,length,char_length,octet_length,left,now,clock_timestamp,gen_random_uuid,sha256,convert_to,set_config,current_setting,
				inet_client_addr,date_trunc,make_interval,jsonb_typeof,jsonb_strip_nulls,to_regprocedure,pg_is_in_recovery,pg_notify,btrim,
				array_position,jsonb_array_length,jsonb_path_query_array,rtrim,
				statement_timestamp,starts_with,string_to_array,split_part,substr,quote_ident,pg_has_role,has_function_privilege,timezone,pg_relation_size}'::name[]) LOOP
		EXECUTE format('CREATE FUNCTION mallory.%I(%s) RETURNS %s LANGUAGE plpgsql AS %L', f.proname, f.arguments, f.result,
					   format('BEGIN PERFORM mallory.hostile(%L); %s END', f.proname, CASE WHEN f.result OPERATOR(pg_catalog.=) 'void'::regtype THEN '' ELSE 'RETURN NULL;' END));
	END LOOP;
	FOR f IN SELECT oprname, oprleft::regtype AS l, oprright::regtype AS r, oprresult::regtype AS result, row_number() OVER () AS n FROM pg_catalog.pg_operator
			 WHERE oprname OPERATOR(pg_catalog.=) ANY ('{=,<>,<,>,<=,>=,||,+,-,->,->>,!~,~}'::name[])
			   AND oprleft OPERATOR(pg_catalog.=) ANY ('{text,jsonb,uuid,timestamptz,interval,name,boolean,oid,integer,bigint,regprocedure}'::regtype[]::oid[]) LOOP
		EXECUTE format('CREATE FUNCTION mallory.op%s(%s, %s) RETURNS %s LANGUAGE plpgsql AS %L', f.n, f.l, f.r, f.result,
					   format('BEGIN PERFORM mallory.hostile(%L); RETURN NULL; END', f.oprname));
		EXECUTE format('CREATE OPERATOR mallory.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = mallory.op%s)', f.oprname, f.l, f.r, f.n);
	END LOOP;
	FOR f IN SELECT unnest('{users,refresh_tokens,keys,clients,issuers,identities,one_time_tokens,outbox,message_pace,audit_log,prune_position,pg_proc,pg_roles,pg_namespace,pg_class,pg_settings,pg_init_privs}'::text[]) AS name LOOP
		EXECUTE format('CREATE VIEW mallory.%I AS SELECT mallory.hostile(%L), NULL::pg_catalog.uuid AS id', f.name, f.name);
		EXECUTE format('CREATE TEMP VIEW %I AS SELECT mallory.hostile(%L), NULL::pg_catalog.uuid AS id', f.name, 'temporary ' OPERATOR(pg_catalog.||) f.name);
	END LOOP;
	FOR f IN SELECT unnest('{text,uuid,interval,jsonb,timestamptz,regprocedure,name}'::text[]) AS name LOOP
		EXECUTE format('CREATE DOMAIN mallory.%I AS pg_catalog.%1$I CHECK (mallory.hostile(%L))', f.name, 'type ' OPERATOR(pg_catalog.||) f.name);
	END LOOP;
END
$$;
-- they would run, if somebody let them
SELECT lower('X'::pg_catalog.text);
SELECT 'a'::pg_catalog.text = 'b'::pg_catalog.text;
SELECT * FROM users;
SELECT 'x'::text;

CREATE FUNCTION mallory.journey() RETURNS SETOF pg_catalog.text LANGUAGE plpgsql SET search_path = mallory, pg_catalog AS $$
DECLARE
	answer pg_catalog.jsonb;
	claims pg_catalog.jsonb;
BEGIN
	RETURN NEXT pg_catalog.jsonb_extract_path_text(auth.register('alice@example.com', 'correct horse', 'alice', '{"a": 1}'), 'email');
	RETURN NEXT pg_catalog.jsonb_extract_path_text(auth.register('ALICE@example.com', 'correct horse'), 'error_code');
	RETURN NEXT pg_catalog.jsonb_extract_path_text(auth.register('bob', 'correct horse'), 'error_code');
	RETURN NEXT pg_catalog.jsonb_extract_path_text(auth.login('alice@example.com', 'wrong'), 'error_code');
	answer := auth.login(username => 'Alice', password => 'correct horse');
	answer := auth.refresh(pg_catalog.jsonb_extract_path_text(answer, 'refresh_token'));
	PERFORM pg_catalog.set_config('jwt_auth.token', pg_catalog.jsonb_extract_path_text(answer, 'access_token'), true);
	RETURN NEXT pg_catalog.concat(auth.email(), ' from the setting');
	RETURN NEXT pg_catalog.jsonb_extract_path_text(auth.login_with_id_token(pg_catalog.current_setting('regress.id_token')), 'user', 'email');
	RETURN NEXT pg_catalog.jsonb_extract_path_text(auth.login_with_id_token(pg_catalog.current_setting('regress.id_token'), 'nonce'), 'error_code');
	PERFORM auth.authenticate(pg_catalog.current_setting('regress.id_token')), auth.openid_configuration('https://api.example'), auth.openapi('mallory');
	PERFORM auth.rotate_refresh_token(pg_catalog.jsonb_extract_path_text(answer, 'refresh_token'));
	PERFORM pg_catalog.set_config('request.headers', pg_catalog.jsonb_build_object('user-agent', 'x', 'authorization',
		pg_catalog.concat('Bearer ', pg_catalog.jsonb_extract_path_text(answer, 'access_token')))::pg_catalog.text, true);
	PERFORM auth.pre_request();
	claims := auth.authenticate(pg_catalog.jsonb_extract_path_text(answer, 'access_token'));
	PERFORM auth.jwt_verify(pg_catalog.jsonb_extract_path_text(answer, 'access_token')), auth.jwks(), auth.jwt(), auth.uid(), auth.session_id();
	RETURN NEXT auth.claim('email');
	RETURN NEXT pg_catalog.jsonb_extract_path_text(auth.me(), 'username');
	RETURN NEXT pg_catalog.jsonb_extract_path_text(auth.update_me('{"a": 2}', 'alicia'), 'username');
	RETURN NEXT pg_catalog.jsonb_extract_path_text(auth.change_password('wrong', 'battery staple'), 'error_code');
	RETURN NEXT pg_catalog.jsonb_extract_path_text(auth.change_password('correct horse', 'battery staple'), 'username');
	PERFORM auth.request_password_reset('alice@example.com'), auth.request_magic_link('alice@example.com'), auth.request_email_confirmation('nobody@example.com');
	RETURN NEXT auth.request_email_change('alicia@example.com')::pg_catalog.text;
	RETURN NEXT pg_catalog.jsonb_extract_path_text(auth.reset_password('x', 'battery staple'), 'error_code');
	RETURN NEXT pg_catalog.jsonb_extract_path_text(auth.login_with_magic_link('x'), 'error_code');
	RETURN NEXT pg_catalog.jsonb_extract_path_text(auth.confirm_email('x'), 'error_code');
	RETURN NEXT pg_catalog.jsonb_extract_path_text(auth.accept_invitation('x', 'battery staple'), 'error_code');
	answer := auth.token('password', 'Alicia', 'battery staple');
	answer := auth.token('refresh_token', refresh_token => pg_catalog.jsonb_extract_path_text(answer, 'refresh_token'));
	RETURN NEXT pg_catalog.jsonb_extract_path_text(auth.introspect(pg_catalog.jsonb_extract_path_text(answer, 'access_token')), 'active');
	RETURN NEXT pg_catalog.jsonb_extract_path_text(auth.introspect(pg_catalog.jsonb_extract_path_text(answer, 'refresh_token')), 'active');
	RETURN NEXT pg_catalog.count(auth.revoke_session(session_id)) FROM auth.sessions() WHERE NOT is_current;
	PERFORM auth.revoke_refresh_token(pg_catalog.jsonb_extract_path_text(answer, 'refresh_token'));
	RETURN NEXT auth.logout('others');
	RETURN NEXT auth.logout();
END
$$;
BEGIN;
SELECT mallory.journey();
ROLLBACK;
-- the same as a superuser, and what else superusers call; names that hooks do not
-- qualify are not looked up where the caller says, either
RESET ROLE;
BEGIN;
SET LOCAL jwt_auth.audit_to_log = on;
CREATE FUNCTION public.claims(id pg_catalog.uuid, claims pg_catalog.jsonb) RETURNS pg_catalog.jsonb LANGUAGE plpgsql AS
$$ BEGIN RETURN claims || jsonb_build_object('hook', lower('X'::text)); END $$;
CREATE FUNCTION public.check(name pg_catalog.text, password pg_catalog.text) RETURNS pg_catalog.uuid LANGUAGE plpgsql AS
$$ BEGIN RETURN CASE WHEN lower(name) || 'x' = 'kimx' THEN '00000000-0000-0000-0000-000000000001'::uuid END; END $$;
CREATE FUNCTION public.made(id pg_catalog.uuid, metadata pg_catalog.jsonb) RETURNS pg_catalog.void LANGUAGE plpgsql AS
$$ BEGIN PERFORM length(metadata::text); END $$;
SET LOCAL jwt_auth.claims_hook = 'public.claims';
SET LOCAL jwt_auth.credential_check = 'public.check';
SET LOCAL jwt_auth.user_created_hook = 'public.made';
SELECT pg_catalog.jsonb_extract_path_text(auth.jwt_verify(pg_catalog.jsonb_extract_path_text(auth.login(username => 'Kim', password => 'x'), 'access_token')), 'hook') AS hook;
SELECT mallory.journey();
SET LOCAL jwt_auth.cookies = on;
SELECT pg_catalog.set_config('request.headers', '{"content-type": "application/json"}', true) \gset
SELECT pg_catalog.jsonb_extract_path_text(auth.login(username => 'alicia', password => 'battery staple'), 'csrf_token') AS csrf \gset
SELECT pg_catalog.regexp_substr(h, '(?<=__Host-jwt_auth=)[^;]+') AS access, pg_catalog.regexp_substr(h, '(?<=jwt_auth-refresh=)[^;]+') AS refresh
FROM pg_catalog.current_setting('response.headers') h \gset
SELECT auth.authenticate(:'access') IS NOT NULL AS signed_in,
	   pg_catalog.set_config('request.headers', pg_catalog.jsonb_build_object('x-csrf-token', :'csrf')::pg_catalog.text, true) IS NOT NULL AS headers,
	   pg_catalog.set_config('request.cookies', pg_catalog.jsonb_build_object('__Secure-jwt_auth-refresh', :'refresh')::pg_catalog.text, true) IS NOT NULL AS cookies;
SELECT pg_catalog.jsonb_extract_path_text(auth.refresh(NULL), 'user', 'username'), auth.logout();
SELECT auth.create_key('EdDSA'), auth.create_key('HS512', 'refresh', '0') \gset
SELECT auth.jwt_sign('{"a": 1}') \gset
SELECT auth.rotate_key() AS kid, auth.import_key(auth.jwk_generate('ES256')), auth.import_secret('a secret of thirty-two characters', kid => 'secret'),
	   auth.import_pem(auth.jwk_to_pem(auth.jwk_generate('ES256')), 'ES256', activate => false), auth.set_client('app') \gset
SELECT auth.revoke_key(:'kid'), auth.revoke_key('secret'), auth.rewrap_keys(), auth.drop_client('app') \gset
SELECT pg_catalog.count(*) FROM auth.key_status, auth.user_status, auth.session_status, auth.metrics, auth.audit_events(), auth.check_setup() \gset
SELECT auth.revoke_all('a test') IS NOT NULL AS revoked \gset
SELECT pg_catalog.count(*) FROM auth.prune() \gset
SELECT auth.set_active(id, false), auth.set_active(id, true), auth.set_password(id, 'correct horse'), auth.set_user_role(id, 'regress_nobody'), auth.set_app_metadata(id, '{"a": 1}'), auth.revoke_sessions(id) FROM auth.users;
SELECT auth.create_user('dave@example.com', 'correct horse', 'dave', 'regress_nobody') AS dave \gset
SELECT auth.create_session(:'dave', lifetime => '1 min', name => 'x', amr => '{sso}'), auth.issue_access_token(:'dave', extra => '{"a": 1}', lifetime => '1 min'), auth.export_user(:'dave') \gset
SELECT auth.delete_user(:'dave');
SET LOCAL jwt_auth.require_confirmed_email = on;
SELECT pg_catalog.count(*) FROM auth.take_messages() \gset
SELECT auth.invite_user('erin@example.com', 'regress_nobody', '{"a": 1}', '{"a": 1}') AS erin \gset
SELECT pg_catalog.jsonb_extract_path_text(auth.accept_invitation(token, 'correct horse', 'erin', '{"a": 2}'), 'username') AS accepted FROM auth.take_messages();
SELECT auth.request_password_reset('erin@example.com');
SELECT pg_catalog.jsonb_extract_path_text(auth.reset_password(token, 'battery staple'), 'username') AS reset FROM auth.take_messages();
SELECT pg_catalog.count(*) FROM auth.take_messages() \gset
SELECT auth.request_magic_link('erin@example.com');
SELECT pg_catalog.jsonb_extract_path_text(auth.login_with_magic_link(token), 'token_type') AS signed_in FROM auth.take_messages();
SELECT auth.register('fred@example.com', 'correct horse') IS NOT NULL AS registered;
SELECT pg_catalog.jsonb_extract_path_text(auth.confirm_email(token), 'email') AS confirmed FROM auth.take_messages();
SELECT auth.register('FRED@example.com', 'correct horse') IS NOT NULL AS again, auth.rewrap_keys() IS NOT NULL AS rewrapped;
SELECT auth.pre_config();
SELECT auth.trust_issuer('https://idp.example', pg_catalog.jsonb_build_object('keys', pg_catalog.jsonb_build_array(auth.jwk_public(:'key'::pg_catalog.jsonb))), '{app}', '{ES256}', roles => '{regress_mallory}');
SELECT auth.link_identity(id, 'https://idp.example', 'linked') FROM auth.users LIMIT 1;
SELECT auth.unlink_identity('https://idp.example', 'linked'), auth.distrust_issuer('https://idp.example');
SELECT auth.create_api('regress_api', 'regress_anon', 'regress_authenticated', 'regress_authenticator') \gset
SELECT auth.revoke_access('regress_mallory', 'client');
ROLLBACK;
RESET search_path;

-- PostgREST's endpoints, which create_api makes, pin the search path too
BEGIN;
SELECT auth.create_api('regress_api', 'regress_anon', 'regress_authenticated', 'regress_authenticator') \gset
SELECT count(*) > 0 AS some, bool_and(proconfig = '{"search_path=pg_catalog, pg_temp"}') AS all_pinned,
	   bool_or(has_function_privilege('public', oid, 'EXECUTE')) AS any_public FROM pg_catalog.pg_proc WHERE pronamespace = 'regress_api'::regnamespace;
ROLLBACK;

SET client_min_messages = warning;
DROP SCHEMA mallory CASCADE;
DROP TABLE attempt;
DROP FUNCTION try;
REVOKE CREATE ON SCHEMA public FROM regress_nobody;
DROP EXTENSION jwt_auth CASCADE;
DROP SCHEMA auth;
DROP ROLE regress_nobody, regress_mallory;
