\echo Use "CREATE EXTENSION jwt_auth" to load this file. \quit

-- From here on, a name that is not qualified is PostgreSQL's own.
SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);

-- Whoever owns the schema, or may create in it, could shadow or drop what the
-- rest of this script trusts.
DO $$
DECLARE
	schema_oid oid := 'auth'::regnamespace;
BEGIN
	IF NOT EXISTS (SELECT FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner
				   WHERE n.oid = schema_oid AND (r.rolsuper OR r.rolname = current_user)) THEN
		RAISE EXCEPTION 'schema "auth" belongs to another role'
			USING ERRCODE = 'insufficient_privilege',
				  HINT = 'Drop the schema, or change its owner, after looking at what is in it.';
	END IF;
	IF EXISTS (SELECT FROM pg_namespace n, aclexplode(n.nspacl) a
			   WHERE n.oid = schema_oid AND a.privilege_type = 'CREATE' AND a.grantee <> n.nspowner) THEN
		RAISE EXCEPTION 'other roles may create objects in schema "auth"'
			USING ERRCODE = 'insufficient_privilege',
				  HINT = 'Revoke CREATE on the schema first.';
	END IF;
	IF EXISTS (SELECT FROM pg_depend d
			   WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = schema_oid
				 AND d.classid <> 'pg_extension'::regclass) THEN
		RAISE EXCEPTION 'schema "auth" is not empty'
			USING ERRCODE = 'object_not_in_prerequisite_state';
	END IF;
END
$$;

-- Policies of every role name functions in it.
GRANT USAGE ON SCHEMA auth TO PUBLIC;

--
-- Tables.  Nobody but the owner reads them; C reads some columns by their
-- number (src/tables.h).
--

CREATE TABLE auth.users (
	id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
	email text,
	username text CHECK (strpos(username, '@') = 0),
	password_hash text,
	role name NOT NULL DEFAULT 'authenticated',
	is_active boolean NOT NULL DEFAULT true,
	email_confirmed_at timestamptz,
	user_metadata jsonb NOT NULL DEFAULT '{}',
	app_metadata jsonb NOT NULL DEFAULT '{}',
	created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	last_login_at timestamptz
);
CREATE UNIQUE INDEX users_email_key ON auth.users (lower(email COLLATE "C"));
CREATE UNIQUE INDEX users_username_key ON auth.users (lower(username COLLATE "C"));

-- The newest of each purpose; the address is the one that it went to.  It comes
-- before refresh_tokens because a user's rows cascade in this order, in which
-- everybody locks the two.
CREATE TABLE auth.one_time_tokens (
	user_id uuid REFERENCES auth.users (id) ON DELETE CASCADE,
	purpose text COLLATE "C",
	token_hash bytea NOT NULL UNIQUE,
	email text NOT NULL,
	created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	expires_at timestamptz NOT NULL,
	PRIMARY KEY (user_id, purpose)
);

-- What the mailer is to send.
CREATE TABLE auth.outbox (
	id uuid PRIMARY KEY,
	kind text COLLATE "C" NOT NULL,
	user_id uuid NOT NULL REFERENCES auth.users (id) ON DELETE CASCADE,
	email text NOT NULL,
	wrapped_token bytea,
	created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	expires_at timestamptz NOT NULL
);
CREATE INDEX outbox_created ON auth.outbox (created_at);
CREATE INDEX outbox_expires ON auth.outbox (expires_at);
CREATE INDEX outbox_user ON auth.outbox (user_id);

-- One row for each session; it changes in place, so pages keep room for that.
CREATE TABLE auth.refresh_tokens (
	user_id uuid REFERENCES auth.users (id) ON DELETE CASCADE,
	session_id uuid DEFAULT gen_random_uuid(),
	client_id text COLLATE "C" NOT NULL,
	generation bigint NOT NULL DEFAULT 1,
	jti uuid NOT NULL DEFAULT gen_random_uuid(),
	previous_jti uuid,
	created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	rotated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	expires_at timestamptz NOT NULL,
	session_expires_at timestamptz,
	revoked_at timestamptz,
	revoke_reason text,
	name text,
	amr text[],
	ip inet,
	user_agent text,
	PRIMARY KEY (user_id, session_id)
) WITH (fillfactor = 70);

-- A NULL falls back to the setting of the same name.
CREATE TABLE auth.clients (
	client_id text COLLATE "C" PRIMARY KEY,
	audience text,
	access_token_lifetime interval CHECK (access_token_lifetime > '0' AND access_token_lifetime <= '50 years'),
	refresh_token_lifetime interval CHECK (refresh_token_lifetime > '0' AND refresh_token_lifetime <= '50 years'),
	session_lifetime interval CHECK (session_lifetime > '0' AND session_lifetime <= '50 years'),
	refresh_tokens boolean NOT NULL DEFAULT true,
	cookies boolean,
	created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- A key signs from activates_at (NULL: never) until superseded_at.  The two
-- exclusions are what keeps two keys of a purpose from signing at once.  A key
-- that was imported may have signed elsewhere before.
CREATE TABLE auth.keys (
	kid text COLLATE "C" PRIMARY KEY,
	purpose text NOT NULL CHECK (purpose IN ('access', 'refresh')),
	algorithm text NOT NULL,
	public_jwk jsonb,
	wrapped_key bytea,
	created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	activates_at timestamptz,
	superseded_at timestamptz,
	revoked_at timestamptz,
	longest_lifetime interval NOT NULL,
	imported boolean NOT NULL DEFAULT false,
	CHECK (public_jwk IS NOT NULL OR wrapped_key IS NOT NULL),
	CONSTRAINT keys_one_active_access EXCLUDE USING gist (tstzrange(activates_at, superseded_at) WITH &&)
		WHERE (purpose = 'access' AND activates_at IS NOT NULL AND revoked_at IS NULL),
	CONSTRAINT keys_one_active_refresh EXCLUDE USING gist (tstzrange(activates_at, superseded_at) WITH &&)
		WHERE (purpose = 'refresh' AND activates_at IS NOT NULL AND revoked_at IS NULL)
);

-- Outside identity providers, with their public keys.  roles are those that
-- their tokens may name.
CREATE TABLE auth.issuers (
	issuer text COLLATE "C" PRIMARY KEY,
	jwks jsonb NOT NULL,
	audiences text[] NOT NULL,
	algorithms text[],
	subject text NOT NULL CHECK (subject IN ('linked', 'uuid')),
	roles text[] NOT NULL,
	created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Which of their subjects is which user of ours.
CREATE TABLE auth.identities (
	issuer text COLLATE "C",
	subject text COLLATE "C",
	user_id uuid NOT NULL REFERENCES auth.users (id) ON DELETE CASCADE,
	created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	PRIMARY KEY (issuer, subject)
);
CREATE INDEX identities_user ON auth.identities (user_id);

-- Failed logins by what was typed, whether or not there is such an account, and
-- by source: an address from which the account has signed in before, or ''.
CREATE TABLE auth.login_failures (
	identifier_hash bytea,
	source text COLLATE "C",
	failures int NOT NULL,
	last_at timestamptz NOT NULL,
	locked_until timestamptz,
	PRIMARY KEY (identifier_hash, source)
);

-- When a message was last asked for, whether or not anybody has the name.
CREATE TABLE auth.message_pace (
	kind text COLLATE "C",
	name_hash bytea,
	last_at timestamptz NOT NULL,
	PRIMARY KEY (kind, name_hash)
);

-- No reference to users: what happened stays when a user goes.
CREATE TABLE auth.audit_log (
	id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
	at timestamptz NOT NULL DEFAULT clock_timestamp(),
	event text NOT NULL,
	user_id uuid,
	actor_id uuid,
	db_user name NOT NULL DEFAULT session_user,
	session_id uuid,
	client_id text,
	ip inet,
	user_agent text,
	details jsonb
);
CREATE INDEX audit_log_at ON auth.audit_log (at);
CREATE INDEX audit_log_user ON auth.audit_log (user_id, at);
CREATE INDEX audit_log_actor ON auth.audit_log (actor_id) WHERE actor_id IS DISTINCT FROM user_id;

-- Where prune() goes on in a table that it walks through in ranges.  Not dumped:
-- a restored table is walked from its beginning.
CREATE TABLE auth.prune_position (
	relation text COLLATE "C" PRIMARY KEY,
	block bigint NOT NULL
);
INSERT INTO auth.prune_position VALUES ('refresh_tokens', 0);

SELECT pg_extension_config_dump('auth.users', '');
SELECT pg_extension_config_dump('auth.refresh_tokens', '');
SELECT pg_extension_config_dump('auth.clients', '');
SELECT pg_extension_config_dump('auth.keys', '');
SELECT pg_extension_config_dump('auth.issuers', '');
SELECT pg_extension_config_dump('auth.identities', '');
SELECT pg_extension_config_dump('auth.login_failures', '');
SELECT pg_extension_config_dump('auth.one_time_tokens', '');
SELECT pg_extension_config_dump('auth.audit_log', '');
-- Not outbox: a copy of the database would send again, to real people, what the
-- original sends a moment later.  Nor message_pace, which is of no use by then.

--
-- Tokens with a key in hand
--

CREATE FUNCTION auth.jwt_sign(payload jsonb, key text, algorithm text DEFAULT 'HS256', header jsonb DEFAULT '{}')
RETURNS text LANGUAGE c VOLATILE PARALLEL SAFE COST 100
AS 'MODULE_PATHNAME', 'jwt_sign';
COMMENT ON FUNCTION auth.jwt_sign(jsonb, text, text, jsonb) IS
'Signs a payload into a compact JWT (RFC 7519) with a shared secret or a PEM private key';

CREATE FUNCTION auth.jwt_sign(payload jsonb, key jsonb, algorithm text DEFAULT NULL, header jsonb DEFAULT '{}')
RETURNS text LANGUAGE c VOLATILE PARALLEL SAFE COST 100
AS 'MODULE_PATHNAME', 'jwt_sign_jwk';
COMMENT ON FUNCTION auth.jwt_sign(jsonb, jsonb, text, jsonb) IS
'Signs a payload into a compact JWT (RFC 7519) with a private JWK (RFC 7517)';

CREATE FUNCTION auth.jwt_verify(token text, key text, algorithms text[] DEFAULT '{HS256}',
	issuer text DEFAULT NULL, audience text DEFAULT NULL, leeway interval DEFAULT '0',
	typ text DEFAULT NULL, required text[] DEFAULT NULL, at_time timestamptz DEFAULT NULL)
RETURNS jsonb LANGUAGE c VOLATILE PARALLEL SAFE COST 100
AS 'MODULE_PATHNAME', 'jwt_verify';
COMMENT ON FUNCTION auth.jwt_verify(text, text, text[], text, text, interval, text, text[], timestamptz) IS
'Verifies a JWT with a shared secret, PEM public key or certificate: its payload, or error 28000 with the reason in DETAIL';

CREATE FUNCTION auth.jwt_verify(token text, key jsonb, algorithms text[] DEFAULT NULL,
	issuer text DEFAULT NULL, audience text DEFAULT NULL, leeway interval DEFAULT '0',
	typ text DEFAULT NULL, required text[] DEFAULT NULL, at_time timestamptz DEFAULT NULL)
RETURNS jsonb LANGUAGE c VOLATILE PARALLEL SAFE COST 100
AS 'MODULE_PATHNAME', 'jwt_verify_jwk';
COMMENT ON FUNCTION auth.jwt_verify(text, jsonb, text[], text, text, interval, text, text[], timestamptz) IS
'Verifies a JWT with a JWK or JWK Set: its payload, or error 28000 with the reason in DETAIL';

CREATE FUNCTION auth.jwt_try_verify(token text, key text, algorithms text[] DEFAULT '{HS256}',
	issuer text DEFAULT NULL, audience text DEFAULT NULL, leeway interval DEFAULT '0',
	typ text DEFAULT NULL, required text[] DEFAULT NULL, at_time timestamptz DEFAULT NULL,
	OUT valid boolean, OUT error text, OUT header jsonb, OUT payload jsonb)
LANGUAGE c VOLATILE PARALLEL SAFE COST 100
AS 'MODULE_PATHNAME', 'jwt_try_verify';
COMMENT ON FUNCTION auth.jwt_try_verify(text, text, text[], text, text, interval, text, text[], timestamptz) IS
'As jwt_verify, but raises for no token: whether it is valid, or else the reason';

CREATE FUNCTION auth.jwt_try_verify(token text, key jsonb, algorithms text[] DEFAULT NULL,
	issuer text DEFAULT NULL, audience text DEFAULT NULL, leeway interval DEFAULT '0',
	typ text DEFAULT NULL, required text[] DEFAULT NULL, at_time timestamptz DEFAULT NULL,
	OUT valid boolean, OUT error text, OUT header jsonb, OUT payload jsonb)
LANGUAGE c VOLATILE PARALLEL SAFE COST 100
AS 'MODULE_PATHNAME', 'jwt_try_verify_jwk';
COMMENT ON FUNCTION auth.jwt_try_verify(text, jsonb, text[], text, text, interval, text, text[], timestamptz) IS
'As jwt_verify, but raises for no token: whether it is valid, or else the reason';

CREATE FUNCTION auth.jwt_decode(token text, OUT header jsonb, OUT payload jsonb, OUT signature bytea)
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'jwt_decode';
COMMENT ON FUNCTION auth.jwt_decode(text) IS
'Takes a JWT apart WITHOUT verifying it: for looking at, never for trusting';

CREATE FUNCTION auth.jws_sign(payload bytea, key jsonb, algorithm text DEFAULT NULL, header jsonb DEFAULT '{}')
RETURNS text LANGUAGE c VOLATILE PARALLEL SAFE COST 100
AS 'MODULE_PATHNAME', 'jwt_auth_jws_sign';
COMMENT ON FUNCTION auth.jws_sign(bytea, jsonb, text, jsonb) IS
'Signs any bytes into a compact JWS (RFC 7515 section 7.1) with a private JWK';

CREATE FUNCTION auth.jws_verify(token text, key jsonb, algorithms text[] DEFAULT NULL)
RETURNS bytea LANGUAGE c VOLATILE PARALLEL SAFE COST 100
AS 'MODULE_PATHNAME', 'jwt_auth_jws_verify';
COMMENT ON FUNCTION auth.jws_verify(text, jsonb, text[]) IS
'The bytes that a compact JWS signs, or error 28000 with the reason in DETAIL; knows nothing of claims';

CREATE FUNCTION auth.jwk_from_pem(pem text)
RETURNS jsonb LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
AS 'MODULE_PATHNAME', 'jwt_auth_jwk_from_pem';
COMMENT ON FUNCTION auth.jwk_from_pem(text) IS
'The JWK (RFC 7517) of a private key, public key or certificate in PEM';

CREATE FUNCTION auth.jwk_to_pem(jwk jsonb)
RETURNS text LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
AS 'MODULE_PATHNAME', 'jwt_auth_jwk_to_pem';
COMMENT ON FUNCTION auth.jwk_to_pem(jsonb) IS
'PEM of a JWK: PKCS#8 of a private one, SubjectPublicKeyInfo of a public one';

CREATE FUNCTION auth.jwk_public(jwk jsonb)
RETURNS jsonb LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
AS 'MODULE_PATHNAME', 'jwt_auth_jwk_public';
COMMENT ON FUNCTION auth.jwk_public(jsonb) IS
'The public half of a JWK, with kid and alg';

CREATE FUNCTION auth.jwk_thumbprint(jwk jsonb)
RETURNS text LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
AS 'MODULE_PATHNAME', 'jwt_auth_jwk_thumbprint';
COMMENT ON FUNCTION auth.jwk_thumbprint(jsonb) IS
'The SHA-256 thumbprint of a JWK (RFC 7638) in base64url';

CREATE FUNCTION auth.jwk_generate(algorithm text, kid text DEFAULT NULL)
RETURNS jsonb LANGUAGE c VOLATILE PARALLEL SAFE COST 10000
AS 'MODULE_PATHNAME', 'jwt_auth_jwk_generate';
COMMENT ON FUNCTION auth.jwk_generate(text, text) IS
'A fresh private JWK for an algorithm';

CREATE FUNCTION auth.base64url_encode(bytes bytea)
RETURNS text LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'jwt_auth_base64url_encode';
COMMENT ON FUNCTION auth.base64url_encode(bytea) IS
'base64url without padding (RFC 4648 section 5)';

CREATE FUNCTION auth.base64url_decode(encoded text)
RETURNS bytea LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'jwt_auth_base64url_decode';
COMMENT ON FUNCTION auth.base64url_decode(text) IS
'Decodes base64url strictly: no padding, no white space, no trailing bits';

--
-- Tokens with the key ring
--

CREATE FUNCTION auth.jwt_sign(payload jsonb)
RETURNS text LANGUAGE c VOLATILE PARALLEL UNSAFE COST 100
AS 'MODULE_PATHNAME', 'jwt_sign_ring';
COMMENT ON FUNCTION auth.jwt_sign(jsonb) IS
'Signs a payload with the active access key; adds iss, iat, exp and jti where it has none';

CREATE FUNCTION auth.jwt_verify(token text)
RETURNS jsonb LANGUAGE c VOLATILE PARALLEL SAFE COST 100
AS 'MODULE_PATHNAME', 'jwt_verify_ring';
COMMENT ON FUNCTION auth.jwt_verify(text) IS
'Verifies a JWT against the key ring, or the keys of the trusted issuer that it names; whether its session is live is for authenticate()';

CREATE FUNCTION auth._changed()
RETURNS trigger LANGUAGE c
AS 'MODULE_PATHNAME', 'jwt_auth_changed';
COMMENT ON FUNCTION auth._changed() IS
'Internal: tells every backend and standby that the table has changed';

-- Of the tables that every backend has a copy of.  ALWAYS: rows that logical
-- replication applies count as well.
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE ON auth.keys
	FOR EACH ROW EXECUTE FUNCTION auth._changed();
CREATE TRIGGER truncated AFTER TRUNCATE ON auth.keys
	FOR EACH STATEMENT EXECUTE FUNCTION auth._changed();
ALTER TABLE auth.keys ENABLE ALWAYS TRIGGER changed, ENABLE ALWAYS TRIGGER truncated;
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE ON auth.clients
	FOR EACH ROW EXECUTE FUNCTION auth._changed();
CREATE TRIGGER truncated AFTER TRUNCATE ON auth.clients
	FOR EACH STATEMENT EXECUTE FUNCTION auth._changed();
ALTER TABLE auth.clients ENABLE ALWAYS TRIGGER changed, ENABLE ALWAYS TRIGGER truncated;
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE ON auth.issuers
	FOR EACH ROW EXECUTE FUNCTION auth._changed();
CREATE TRIGGER truncated AFTER TRUNCATE ON auth.issuers
	FOR EACH STATEMENT EXECUTE FUNCTION auth._changed();
ALTER TABLE auth.issuers ENABLE ALWAYS TRIGGER changed, ENABLE ALWAYS TRIGGER truncated;

CREATE FUNCTION auth._generate_key(algorithm text, purpose text,
	OUT kid text, OUT algorithm_name text, OUT public_jwk jsonb, OUT wrapped_key bytea)
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jwt_auth_generate_key';
COMMENT ON FUNCTION auth._generate_key(text, text) IS
'Internal: a fresh key, its private half wrapped under the master key';

CREATE FUNCTION auth._wrap_jwk(key jsonb, purpose text,
	OUT kid text, OUT algorithm_name text, OUT public_jwk jsonb, OUT wrapped_key bytea)
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jwt_auth_wrap_jwk';
COMMENT ON FUNCTION auth._wrap_jwk(jsonb, text) IS
'Internal: a JWK from elsewhere, its private half wrapped under the master key';

CREATE FUNCTION auth._rewrap(kid text, purpose text, algorithm text, wrapped_key bytea)
RETURNS bytea LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jwt_auth_rewrap';
COMMENT ON FUNCTION auth._rewrap(text, text, text, bytea) IS
'Internal: a wrapped key, wrapped again under the master key file of now';

CREATE FUNCTION auth._ensure_key(purpose text)
RETURNS text LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jwt_auth_ensure_key';
COMMENT ON FUNCTION auth._ensure_key(text) IS
'Internal: the kid of the key that signs, created where there is none';

CREATE FUNCTION auth._setting(name text)
RETURNS text LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'jwt_auth_setting';
COMMENT ON FUNCTION auth._setting(text) IS
'Internal: a setting of ours, read with the library loaded, so that no user can have put it there';

CREATE FUNCTION auth._add_key(kid text, purpose text, algorithm text, public_jwk jsonb, wrapped_key bytea,
	imported boolean, activate_in interval)
RETURNS text LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	starts_at timestamptz;
BEGIN
	IF activate_in < '0' OR activate_in > '1 year' THEN
		RAISE EXCEPTION 'activate_in must be between zero and one year'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	IF EXISTS (SELECT FROM auth.keys k WHERE k.kid = _add_key.kid) THEN
		RAISE EXCEPTION 'key ring already has a key with this kid' USING ERRCODE = 'unique_violation';
	END IF;
	IF activate_in IS NOT NULL THEN
		starts_at := clock_timestamp();
		-- The first key of a purpose signs at once: no verifier can have another.
		IF (auth._active_key(purpose)).kid IS NOT NULL THEN
			starts_at := starts_at + activate_in;
		END IF;
		UPDATE auth.keys k SET superseded_at = greatest(k.activates_at, starts_at)
		WHERE k.purpose = _add_key.purpose AND k.revoked_at IS NULL
		  AND k.activates_at IS NOT NULL AND (k.superseded_at IS NULL OR k.superseded_at > starts_at);
	END IF;
	INSERT INTO auth.keys (kid, purpose, algorithm, public_jwk, wrapped_key, activates_at, longest_lifetime, imported)
	VALUES (_add_key.kid, _add_key.purpose, _add_key.algorithm, _add_key.public_jwk, _add_key.wrapped_key, starts_at,
			auth._setting(_add_key.purpose || '_token_lifetime')::interval, _add_key.imported);
	PERFORM auth._audit(CASE WHEN imported THEN 'key_imported' ELSE 'key_created' END,
						details => jsonb_build_object('kid', kid, 'purpose', purpose, 'algorithm', algorithm));
	PERFORM auth._keys_changed();
	RETURN kid;
EXCEPTION WHEN exclusion_violation THEN
	-- A key that this transaction's snapshot does not show.
	RAISE EXCEPTION 'could not serialize access due to a concurrently created key'
		USING ERRCODE = 'serialization_failure';
END
$$;
COMMENT ON FUNCTION auth._add_key(text, text, text, jsonb, bytea, boolean, interval) IS
'Internal: puts a key into the ring, to sign after activate_in; to verify alone where that is NULL';

CREATE FUNCTION auth._active_key(purpose text)
RETURNS auth.keys LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
SELECT k FROM auth.keys k
WHERE k.purpose = _active_key.purpose AND k.revoked_at IS NULL
  AND k.activates_at <= clock_timestamp() AND (k.superseded_at IS NULL OR k.superseded_at > clock_timestamp())
$$;
COMMENT ON FUNCTION auth._active_key(text) IS
'Internal: the key that signs now';

CREATE FUNCTION auth._keys_changed()
RETURNS void LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
SELECT pg_notify('pgrst', 'reload config')
$$;
COMMENT ON FUNCTION auth._keys_changed() IS
'Internal: has PostgREST fetch the public keys again';

CREATE FUNCTION auth.create_key(algorithm text DEFAULT 'ES256', purpose text DEFAULT 'access',
	activate_in interval DEFAULT '10 s')
RETURNS text LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	new_key record;
BEGIN
	IF algorithm IS NULL OR purpose IS NULL OR activate_in IS NULL THEN
		RAISE EXCEPTION 'algorithm, purpose and activate_in must not be NULL' USING ERRCODE = 'invalid_parameter_value';
	END IF;
	LOCK TABLE auth.keys IN SHARE ROW EXCLUSIVE MODE;
	new_key := auth._generate_key(algorithm, purpose);
	RETURN auth._add_key(new_key.kid, purpose, algorithm, new_key.public_jwk, new_key.wrapped_key, false, activate_in);
END
$$;
COMMENT ON FUNCTION auth.create_key(text, text, interval) IS
'Creates a signing key and returns its kid: published at once, signing after activate_in (the first of a purpose at once)';

CREATE FUNCTION auth._successor_algorithm(algorithm text, purpose text)
RETURNS text LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'jwt_auth_successor_algorithm';
COMMENT ON FUNCTION auth._successor_algorithm(text, text) IS
'Internal: this algorithm if it is allowed, else the first allowed one that suits the purpose';

CREATE FUNCTION auth.rotate_key(purpose text DEFAULT 'access', activate_in interval DEFAULT '10 s')
RETURNS text LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	active auth.keys;
	algorithm text;
BEGIN
	-- Makes the first key where there is none, and refuses other purposes.
	PERFORM auth._ensure_key(coalesce(purpose, ''));
	LOCK TABLE auth.keys IN SHARE ROW EXCLUSIVE MODE;
	active := auth._active_key(purpose);
	algorithm := auth._successor_algorithm(active.algorithm, purpose);
	-- One whose algorithm is not allowed any more cannot sign in the meantime.
	RETURN auth.create_key(algorithm, purpose, CASE WHEN algorithm = active.algorithm THEN activate_in ELSE '0' END);
END
$$;
COMMENT ON FUNCTION auth.rotate_key(text, interval) IS
'Creates a key of the active one''s algorithm, if that is still allowed, that takes over after activate_in; returns its kid';

CREATE FUNCTION auth.import_key(key jsonb, purpose text DEFAULT 'access', activate boolean DEFAULT true)
RETURNS text LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	new_key record;
BEGIN
	IF key IS NULL OR purpose IS NULL OR activate IS NULL THEN
		RAISE EXCEPTION 'key, purpose and activate must not be NULL' USING ERRCODE = 'invalid_parameter_value';
	END IF;
	LOCK TABLE auth.keys IN SHARE ROW EXCLUSIVE MODE;
	new_key := auth._wrap_jwk(key, purpose);
	IF activate AND new_key.wrapped_key IS NULL THEN
		RAISE EXCEPTION 'a public key cannot sign'
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Import it with activate => false, to verify alone.';
	END IF;
	RETURN auth._add_key(new_key.kid, purpose, new_key.algorithm_name, new_key.public_jwk, new_key.wrapped_key,
						 true, CASE WHEN activate THEN interval '10 s' END);
END
$$;
COMMENT ON FUNCTION auth.import_key(jsonb, text, boolean) IS
'Takes a JWK from elsewhere into the ring and returns its kid: it verifies at once and signs after ten seconds, or never where not activate';

CREATE FUNCTION auth.import_pem(pem text, algorithm text, purpose text DEFAULT 'access', kid text DEFAULT NULL,
	activate boolean DEFAULT true)
RETURNS text LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF pem IS NULL OR algorithm IS NULL THEN
		RAISE EXCEPTION 'pem and algorithm must not be NULL' USING ERRCODE = 'invalid_parameter_value';
	END IF;
	IF pem ~ '^[[:space:]]*[{]' THEN
		RAISE EXCEPTION 'key looks like a JWK but was given as PEM'
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Use auth.import_key().';
	END IF;
	RETURN auth.import_key(auth.jwk_from_pem(pem) ||
						   jsonb_strip_nulls(jsonb_build_object('alg', algorithm, 'kid', kid)), purpose, activate);
END
$$;
COMMENT ON FUNCTION auth.import_pem(text, text, text, text, boolean) IS
'The same for a private or public key in PEM, or a certificate';

CREATE FUNCTION auth.import_secret(secret text, algorithm text DEFAULT 'HS256', purpose text DEFAULT 'access',
	kid text DEFAULT NULL, activate boolean DEFAULT true)
RETURNS text LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF secret IS NULL THEN
		RAISE EXCEPTION 'secret must not be NULL' USING ERRCODE = 'invalid_parameter_value';
	END IF;
	IF algorithm IS NULL OR algorithm NOT LIKE 'HS%' THEN
		RAISE EXCEPTION 'algorithm of a shared secret must be "HS256", "HS384" or "HS512"'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	-- Signing refuses what is no secret: PEM, a JWK, too few bytes.
	PERFORM auth.jwt_sign('{}', secret, algorithm);
	RETURN auth.import_key(jsonb_strip_nulls(jsonb_build_object(
		'kty', 'oct', 'k', auth.base64url_encode(convert_to(secret, 'UTF8')), 'alg', algorithm, 'kid', kid)),
		purpose, activate);
END
$$;
COMMENT ON FUNCTION auth.import_secret(text, text, text, text, boolean) IS
'The same for a shared secret: the bytes of its text in UTF-8';

CREATE FUNCTION auth._revoke(key auth.keys, instant timestamptz)
RETURNS void LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
-- What it could sign with goes; a secret leaves its place empty.
UPDATE auth.keys k
SET revoked_at = instant, wrapped_key = CASE WHEN k.public_jwk IS NULL THEN ''::bytea END
WHERE k.kid = key.kid
$$;
COMMENT ON FUNCTION auth._revoke(auth.keys, timestamptz) IS
'Internal: marks a key as revoked and deletes its private half';

CREATE FUNCTION auth.revoke_key(kid text)
RETURNS text LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	instant timestamptz;
	revoked auth.keys;
	successor text;
BEGIN
	LOCK TABLE auth.keys IN SHARE ROW EXCLUSIVE MODE;
	instant := clock_timestamp();
	SELECT * INTO revoked FROM auth.keys k WHERE k.kid = revoke_key.kid;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'key ring has no key with this kid' USING ERRCODE = 'no_data_found';
	END IF;
	IF revoked.revoked_at IS NOT NULL THEN
		RETURN NULL;
	END IF;
	PERFORM auth._revoke(revoked, instant);
	PERFORM auth._audit('key_revoked', details => jsonb_build_object('kid', kid, 'purpose', revoked.purpose));

	IF revoked.activates_at > instant THEN
		-- It never signed: whoever was to make room for it stays.
		UPDATE auth.keys k SET superseded_at = revoked.superseded_at
		WHERE k.purpose = revoked.purpose AND k.revoked_at IS NULL AND k.superseded_at = revoked.activates_at;
	ELSIF revoked.activates_at <= instant AND (revoked.superseded_at IS NULL OR revoked.superseded_at > instant) THEN
		-- The next one, which is published already, takes over at once.
		UPDATE auth.keys k SET activates_at = instant
		WHERE k.purpose = revoked.purpose AND k.revoked_at IS NULL AND k.activates_at = revoked.superseded_at
		  AND (k.superseded_at IS NULL OR k.superseded_at > k.activates_at)
		RETURNING k.kid INTO successor;
		IF successor IS NULL THEN
			successor := auth.create_key(auth._successor_algorithm(revoked.algorithm, revoked.purpose), revoked.purpose, '0');
		END IF;
	END IF;
	PERFORM auth._keys_changed();
	PERFORM auth._flush_commit();
	RETURN successor;
END
$$;
COMMENT ON FUNCTION auth.revoke_key(text) IS
'Ends a key at once: nothing that it signed verifies any more. An active key gets a successor, whose kid is returned';

CREATE FUNCTION auth._require_read_committed()
RETURNS void LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
		RAISE EXCEPTION 'not every key may be visible to this transaction'
			USING ERRCODE = 'invalid_transaction_state', HINT = 'Use a transaction of isolation level READ COMMITTED.';
	END IF;
END
$$;
COMMENT ON FUNCTION auth._require_read_committed() IS
'Internal: raises where a snapshot of before could hide a row that a command for all rows must not miss';

CREATE FUNCTION auth.revoke_all(reason text)
RETURNS jsonb LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	instant timestamptz;
	active auth.keys[];
	counts jsonb;
	keys_revoked int;
	sessions_ended int;
BEGIN
	IF reason IS NULL THEN
		RAISE EXCEPTION 'reason must not be NULL' USING ERRCODE = 'invalid_parameter_value';
	END IF;
	PERFORM auth._require_read_committed();
	-- In the order in which others lock them, and all of each at once: those too
	-- that are being made, and row by row would cross those who end several
	-- sessions of one user.
	LOCK TABLE auth.one_time_tokens IN SHARE ROW EXCLUSIVE MODE;
	LOCK TABLE auth.outbox IN ROW EXCLUSIVE MODE;
	LOCK TABLE auth.refresh_tokens IN EXCLUSIVE MODE;
	LOCK TABLE auth.keys IN SHARE ROW EXCLUSIVE MODE;
	DELETE FROM auth.one_time_tokens;
	-- without waiting for a mailer
	DELETE FROM auth.outbox o
	WHERE o.id = ANY (ARRAY(SELECT x.id FROM auth.outbox x WHERE x.wrapped_token IS NOT NULL FOR UPDATE SKIP LOCKED));
	instant := clock_timestamp();
	active := ARRAY(SELECT k FROM auth._active_key('access') k WHERE k.kid IS NOT NULL
					UNION ALL SELECT k FROM auth._active_key('refresh') k WHERE k.kid IS NOT NULL);
	PERFORM auth._revoke(k, instant) FROM auth.keys k WHERE k.revoked_at IS NULL;
	GET DIAGNOSTICS keys_revoked = ROW_COUNT;
	UPDATE auth.refresh_tokens s SET revoked_at = instant, revoke_reason = 'revoke_all' WHERE s.revoked_at IS NULL;
	GET DIAGNOSTICS sessions_ended = ROW_COUNT;
	PERFORM auth.create_key(auth._successor_algorithm(k.algorithm, k.purpose), k.purpose, '0') FROM unnest(active) k;

	counts := jsonb_build_object('keys_revoked', keys_revoked, 'keys_created', cardinality(active),
								 'sessions_ended', sessions_ended);
	PERFORM auth._audit('all_revoked', details => counts || jsonb_build_object('reason', reason));
	PERFORM auth._keys_changed();
	PERFORM auth._flush_commit();
	RETURN counts;
END
$$;
COMMENT ON FUNCTION auth.revoke_all(text) IS
'After a leak or a restored backup: revokes every key, makes new ones, ends every session, voids every one-time token; returns the counts';

CREATE FUNCTION auth.rewrap_keys()
RETURNS int LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	rewrapped int;
	messages int;
	lost int;
BEGIN
	PERFORM auth._require_read_committed();
	LOCK TABLE auth.outbox, auth.keys IN SHARE ROW EXCLUSIVE MODE;
	UPDATE auth.keys k SET wrapped_key = auth._rewrap(k.kid, k.purpose, k.algorithm, k.wrapped_key)
	WHERE k.wrapped_key IS NOT NULL AND k.revoked_at IS NULL;
	GET DIAGNOSTICS rewrapped = ROW_COUNT;
	-- Without a key nothing verifies, so all must unwrap; without a message somebody
	-- asks for another.
	UPDATE auth.outbox o SET wrapped_token = auth._rewrap_token(o.id, o.wrapped_token)
	WHERE auth._token_unwraps(o.id, o.wrapped_token);
	GET DIAGNOSTICS messages = ROW_COUNT;
	SELECT count(o.wrapped_token) - messages INTO lost FROM auth.outbox o;
	IF lost > 0 THEN
		RAISE WARNING 'tokens of % messages cannot be unwrapped and stay as they are', lost
			USING HINT = 'No mailer gets these. They go when they have expired.';
	END IF;
	PERFORM auth._audit('keys_rewrapped', details => jsonb_build_object('keys', rewrapped));
	-- The old file may be deleted as soon as this is answered.
	PERFORM auth._flush_commit();
	RETURN rewrapped;
END
$$;
COMMENT ON FUNCTION auth.rewrap_keys() IS
'Wraps all keys, and the tokens of messages, under the present master key file, those too that the previous one wrapped; returns how many keys';

CREATE VIEW auth.key_status AS
SELECT k.kid, k.purpose, k.algorithm,
	   CASE WHEN k.revoked_at IS NOT NULL THEN 'revoked'
			WHEN v.verifies_until <= clock_timestamp() THEN 'expired'
			WHEN k.activates_at > clock_timestamp() THEN 'pending'
			WHEN k.superseded_at <= clock_timestamp() OR k.activates_at IS NULL THEN 'verifying'
			ELSE 'active' END AS state,
	   k.created_at, k.activates_at, v.verifies_until
FROM auth.keys k
CROSS JOIN LATERAL (
	-- one that was superseded before its time never signs
	SELECT least(k.revoked_at, CASE WHEN k.superseded_at <= k.activates_at AND NOT k.imported THEN k.superseded_at
		ELSE k.superseded_at + k.longest_lifetime + auth._setting('leeway')::interval END) AS verifies_until
) v;
COMMENT ON VIEW auth.key_status IS
'The keys of the ring and what each is for now, without key material; verifies_until is NULL where no end is known';

CREATE FUNCTION auth.jwks()
RETURNS jsonb LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
SELECT jsonb_build_object('keys', coalesce(jsonb_agg(k.public_jwk ORDER BY k.created_at DESC, k.kid), '[]'))
FROM auth.keys k
JOIN auth.key_status s ON s.kid = k.kid
WHERE k.purpose = 'access' AND k.public_jwk IS NOT NULL AND s.state IN ('pending', 'active', 'verifying')
$$;
COMMENT ON FUNCTION auth.jwks() IS
'The public keys that access tokens verify with, as a JWK Set (RFC 7517 section 5)';

CREATE FUNCTION auth.openid_configuration(base_url text)
RETURNS jsonb LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
SELECT jsonb_build_object(
	'issuer', coalesce(nullif(auth._setting('issuer'), ''), rtrim(base_url, '/')),
	'jwks_uri', rtrim(base_url, '/') || '/rpc/jwks',
	'response_types_supported', '["token"]'::jsonb,
	'subject_types_supported', '["public"]'::jsonb,
	'id_token_signing_alg_values_supported', coalesce(
		(SELECT jsonb_agg(DISTINCT k -> 'alg') FROM jsonb_array_elements(auth.jwks() -> 'keys') k), '[]'),
	'claims_supported', '["iss", "sub", "aud", "exp", "iat", "jti", "sid", "client_id"]'::jsonb ||
		to_jsonb(string_to_array(translate(auth._setting('token_claims'), ' "', ''), ',')))
WHERE base_url IS NOT NULL
$$;
COMMENT ON FUNCTION auth.openid_configuration(text) IS
'The discovery document (OpenID Connect Discovery 1.0 section 3) of this database behind PostgREST at base_url';

--
-- Verified claims
--

CREATE FUNCTION auth.authenticate(token text, is_local boolean DEFAULT true)
RETURNS jsonb LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jwt_auth_authenticate';
COMMENT ON FUNCTION auth.authenticate(text, boolean) IS
'Verifies an access token, its session and its user, and fixes its claims for this transaction (for the session where not is_local); error 28000 with the reason otherwise';

CREATE FUNCTION auth.deauthenticate()
RETURNS void LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jwt_auth_deauthenticate';
COMMENT ON FUNCTION auth.deauthenticate() IS
'Clears the verified claims';

CREATE FUNCTION auth.uid()
RETURNS uuid LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'jwt_auth_uid';
COMMENT ON FUNCTION auth.uid() IS
'The id of the verified user; NULL where nobody is signed in';

CREATE FUNCTION auth.user_id()
RETURNS text LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'jwt_auth_user_id';
COMMENT ON FUNCTION auth.user_id() IS
'The verified subject (RFC 7519 section 4.1.2) as it stands in the token';

CREATE FUNCTION auth.jwt()
RETURNS jsonb LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'jwt_auth_jwt';
COMMENT ON FUNCTION auth.jwt() IS
'All verified claims; NULL where nobody is signed in';

CREATE FUNCTION auth.claim(VARIADIC path text[])
RETURNS text LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'jwt_auth_claim';
COMMENT ON FUNCTION auth.claim(text[]) IS
'The verified claim at this path as text, such as claim(''app_metadata'', ''tenant'')';

CREATE FUNCTION auth.role()
RETURNS text LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'jwt_auth_role';
COMMENT ON FUNCTION auth.role() IS
'The database role that the verified token names';

CREATE FUNCTION auth.email()
RETURNS text LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'jwt_auth_email';
COMMENT ON FUNCTION auth.email() IS
'The email address in the verified token';

CREATE FUNCTION auth.session_id()
RETURNS uuid LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'jwt_auth_session_id';
COMMENT ON FUNCTION auth.session_id() IS
'The session of the verified token';

CREATE FUNCTION auth._verified_uid()
RETURNS uuid LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'jwt_auth_verified_uid';
COMMENT ON FUNCTION auth._verified_uid() IS
'Internal: uid(), but never what request.jwt.claims says, and NULL where a token in jwt_auth.token is no good';

CREATE FUNCTION auth.pre_request()
RETURNS void LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jwt_auth_pre_request';
COMMENT ON FUNCTION auth.pre_request() IS
'For PostgREST''s db-pre-request: authenticates the bearer token of the request, or that of its cookie, or answers 401';

CREATE FUNCTION auth.pre_config()
RETURNS void LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
-- PostgREST takes the role that a token names, so it gets the keys of those
-- issuers alone that may name one.  A set with a single key that it does not know
-- it would take as a whole for the text of a shared secret.
SELECT set_config('pgrst.jwt_secret', jsonb_build_object('keys', jsonb_path_query_array(
	(auth.jwks() -> 'keys') ||
	coalesce((SELECT jsonb_agg(k ORDER BY i.issuer, k ->> 'kid') FROM auth.issuers i, jsonb_array_elements(i.jwks -> 'keys') k
			  WHERE i.roles <> '{}'), '[]'),
	'$[*] ? (!(@.crv == "secp256k1" || @.crv == "Ed448" || @.alg == "Ed25519"))'))::text, true);
-- No client is to roll back what its failed login or reused token leaves behind.
SELECT set_config('pgrst.db_tx_end', 'commit', true)
$$;
COMMENT ON FUNCTION auth.pre_config() IS
'For PostgREST''s db-pre-config: hands it the key ring''s public keys, and those of the issuers whose tokens may name roles; has it commit every request';

--
-- Answers.  An outcome of authentication is returned, never raised: an error
-- would roll back the revocation or audit row that it must leave behind.
--

CREATE FUNCTION auth._request_header(name text)
RETURNS text LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'jwt_auth_request_header';
COMMENT ON FUNCTION auth._request_header(text) IS
'Internal: a header of the request as PostgREST hands it over, by its name in lower case';

CREATE FUNCTION auth._add_header(name text, value text)
RETURNS void LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jwt_auth_add_header';
COMMENT ON FUNCTION auth._add_header(text, text) IS
'Internal: one more header for PostgREST to answer with';

CREATE FUNCTION auth._respond(status int, header text DEFAULT NULL, value text DEFAULT NULL)
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM set_config('response.status', coalesce(status::text, ''), true), auth._add_header(header, value);
END
$$;
COMMENT ON FUNCTION auth._respond(int, text, text) IS
'Internal: the HTTP status that PostgREST answers with (NULL: its own), and one more header';

CREATE FUNCTION auth._error(status int, error text, error_code text, description text)
RETURNS jsonb LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF status = 401 THEN
		PERFORM auth._respond(status, 'WWW-Authenticate', 'Bearer');
	ELSE
		PERFORM auth._respond(status);
	END IF;
	PERFORM auth._add_header('Cache-Control', 'no-store');
	RETURN jsonb_build_object('error', error, 'error_code', error_code, 'error_description', description);
END
$$;
COMMENT ON FUNCTION auth._error(int, text, text, text) IS
'Internal: an error object (RFC 6749 section 5.2) and its HTTP status';

CREATE FUNCTION auth._user_json(u auth.users)
RETURNS jsonb LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
SELECT jsonb_build_object('id', u.id, 'email', u.email, 'email_confirmed_at', u.email_confirmed_at,
	'username', u.username, 'role', u.role, 'is_active', u.is_active,
	'user_metadata', u.user_metadata, 'app_metadata', u.app_metadata,
	'created_at', u.created_at, 'last_login_at', u.last_login_at)
$$;
COMMENT ON FUNCTION auth._user_json(auth.users) IS
'Internal: what a person may see of their own row';

CREATE FUNCTION auth._user_agent()
RETURNS text LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'jwt_auth_user_agent';
COMMENT ON FUNCTION auth._user_agent() IS
'Internal: the User-Agent header as PostgREST hands it over; anybody can say anything there';

CREATE FUNCTION auth._forwarded_ip()
RETURNS inet LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	address text;
BEGIN
	-- What stands last is what the nearest proxy has seen, maybe with its port.
	address := btrim(regexp_replace(current_setting('request.headers', true)::jsonb
									->> lower(nullif(auth._setting('client_ip_header'), '') COLLATE "C"),
									'^.*,', ''));
	RETURN coalesce(substring(address FROM '^[[](.*)[]](?::[0-9]+)?$'), substring(address FROM '^([0-9.]+):[0-9]+$'),
					address)::inet;
EXCEPTION WHEN data_exception THEN
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION auth._forwarded_ip() IS
'Internal: the client''s address as jwt_auth.client_ip_header says it, or NULL';

CREATE FUNCTION auth._client_ip()
RETURNS inet LANGUAGE sql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
SELECT coalesce(auth._forwarded_ip(), inet_client_addr())
$$;
COMMENT ON FUNCTION auth._client_ip() IS
'Internal: the client''s address, by jwt_auth.client_ip_header where that is set';

CREATE FUNCTION auth._client_network()
RETURNS text LANGUAGE sql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
-- A gateway's own address stands for everybody.  Of IPv6 a client has a whole
-- network, but not where an IPv4 address is written so.
SELECT CASE WHEN family(ip) = 6 AND NOT ip <<= '::ffff:0:0/96' THEN network(set_masklen(ip, 64))::text ELSE host(ip) END
FROM (SELECT CASE
	WHEN auth._setting('client_ip_header') <> '' THEN auth._forwarded_ip()
	WHEN coalesce(current_setting('request.headers', true), '') = '' THEN inet_client_addr()
END) c (ip)
$$;
COMMENT ON FUNCTION auth._client_network() IS
'Internal: by what failures of a client''s address count, or NULL where the address may not be the client''s';

CREATE FUNCTION auth._log_event(event jsonb)
RETURNS void LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jwt_auth_log_event';
COMMENT ON FUNCTION auth._log_event(jsonb) IS
'Internal: one line in the server''s log, which no rollback takes back';

CREATE FUNCTION auth._audit(event text, user_id uuid DEFAULT NULL, session_id uuid DEFAULT NULL,
	client_id text DEFAULT NULL, details jsonb DEFAULT NULL)
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	wanted text := auth._setting('audit');
	e auth.audit_log;
BEGIN
	IF wanted = 'none'
	   OR wanted = 'failures' AND event NOT IN ('login_failed', 'login_locked', 'register_failed', 'refresh_reused',
												'refresh_revoked', 'refresh_expired', 'refresh_unknown', 'refresh_inactive')
	   OR wanted <> 'all' AND event = 'refresh_rotated' THEN
		RETURN;
	END IF;
	IF client_id IS NULL AND session_id IS NOT NULL THEN
		client_id := (SELECT s.client_id FROM auth.refresh_tokens s
					  WHERE s.user_id = _audit.user_id AND s.session_id = _audit.session_id);
	END IF;
	INSERT INTO auth.audit_log (event, user_id, actor_id, session_id, client_id, ip, user_agent, details)
	VALUES (event, user_id, auth._verified_uid(), session_id, client_id, auth._client_ip(), auth._user_agent(), details)
	RETURNING * INTO e;
	IF auth._setting('audit_to_log')::boolean THEN
		PERFORM auth._log_event(jsonb_strip_nulls(to_jsonb(e)) ||
							   jsonb_build_object('at', (to_jsonb(e.at AT TIME ZONE 'UTC') #>> '{}') || 'Z'));
	END IF;
END
$$;
COMMENT ON FUNCTION auth._audit(text, uuid, uuid, text, jsonb) IS
'Internal: one row in the audit log, as far as jwt_auth.audit wants it, and one line where jwt_auth.audit_to_log does';

--
-- Accounts and sessions
--

CREATE FUNCTION auth._client_policy(client_id text, OUT audience text, OUT access_token_lifetime interval,
	OUT refresh_token_lifetime interval, OUT session_lifetime interval, OUT refresh_tokens boolean, OUT cookies boolean)
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'jwt_auth_client_policy';
COMMENT ON FUNCTION auth._client_policy(text) IS
'Internal: the token policy of a client, settings filled in; NULL for an unknown one';

CREATE FUNCTION auth._hash_password(password text)
RETURNS text LANGUAGE c VOLATILE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'jwt_auth_hash_password';
COMMENT ON FUNCTION auth._hash_password(text) IS
'Internal: the bcrypt hash of a password, at jwt_auth.bcrypt_cost';

CREATE FUNCTION auth._try_password(password text, hash text, identifier_hash bytea, source text, network text,
	OUT verified boolean, OUT wait int)
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jwt_auth_try_password';
COMMENT ON FUNCTION auth._try_password(text, text, bytea, text, text) IS
'Internal: whether the password has this hash, or how long shared memory has it wait; works as long where the hash is NULL';

CREATE FUNCTION auth._hash_is_cheap(hash text)
RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
SELECT substr(hash, 5, 2)::int < auth._setting('bcrypt_cost')::int
$$;
COMMENT ON FUNCTION auth._hash_is_cheap(text) IS
'Internal: whether a bcrypt hash has a lower cost than new ones get';

CREATE FUNCTION auth._sign_refresh_token(user_id uuid, session_id uuid, client_id text,
	generation bigint, jti uuid, expires_at timestamptz, csrf text DEFAULT NULL)
RETURNS text LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jwt_auth_sign_refresh_token';
COMMENT ON FUNCTION auth._sign_refresh_token(uuid, uuid, text, bigint, uuid, timestamptz, text) IS
'Internal: the refresh token of a session as it stands; csrf is NULL unless it goes into a cookie';

CREATE FUNCTION auth._cookie(kind text)
RETURNS text LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'jwt_auth_cookie';
COMMENT ON FUNCTION auth._cookie(text) IS
'Internal: the request''s "access" or "refresh" cookie, where any client gets cookies';

CREATE FUNCTION auth._cookie_header(kind text, value text, max_age bigint)
RETURNS text LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'jwt_auth_cookie_header';
COMMENT ON FUNCTION auth._cookie_header(text, text, bigint) IS
'Internal: a Set-Cookie header for "access", "refresh" or "csrf"; max_age 0 deletes the cookie';

CREATE FUNCTION auth._csrf_token_matches(csrf text)
RETURNS boolean LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'jwt_auth_csrf_token_matches';
COMMENT ON FUNCTION auth._csrf_token_matches(text) IS
'Internal: whether the request''s X-CSRF-Token header says this; false for NULL';

CREATE FUNCTION auth._new_csrf_token(client_id text)
RETURNS text LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
-- A form can be sent from any site, but a browser asks first before it sends JSON.
SELECT auth.base64url_encode(uuid_send(gen_random_uuid()))
FROM auth._client_policy(client_id) policy
WHERE policy.cookies AND auth._request_header('content-type') ~* '^application/json[[:blank:]]*(;|$)'
$$;
COMMENT ON FUNCTION auth._new_csrf_token(text) IS
'Internal: the CSRF token of a session whose tokens go into cookies; NULL where this client or request gets none';

CREATE FUNCTION auth._clear_cookies()
RETURNS void LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
SELECT auth._add_header('Set-Cookie', auth._cookie_header(kind, '', 0)) FROM unnest('{access,refresh,csrf}'::text[]) kind
$$;
COMMENT ON FUNCTION auth._clear_cookies() IS
'Internal: has the browser forget the session''s cookies';

CREATE FUNCTION auth._flush_commit()
RETURNS void LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jwt_auth_flush_commit';
COMMENT ON FUNCTION auth._flush_commit() IS
'Internal: this commit reaches the disk before it is answered, whatever synchronous_commit says';

CREATE FUNCTION auth._final_claims(user_id uuid, claims jsonb)
RETURNS jsonb LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jwt_auth_final_claims';
COMMENT ON FUNCTION auth._final_claims(uuid, jsonb) IS
'Internal: what jwt_auth.claims_hook makes of the claims, without those that jwt_auth.token_claims leaves out';

CREATE FUNCTION auth._access_token(u auth.users, s auth.refresh_tokens, extra jsonb DEFAULT '{}',
	lifetime interval DEFAULT NULL, OUT token text, OUT expires_in bigint)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	policy record := auth._client_policy(s.client_id);
	issued_at timestamptz := date_trunc('second', clock_timestamp());
	expires_at timestamptz := least(issued_at + coalesce(lifetime, policy.access_token_lifetime), s.session_expires_at);
	payload jsonb;
BEGIN
	payload := extra || jsonb_strip_nulls(jsonb_build_object(
		'sub', u.id, 'aud', policy.audience, 'type', 'access',
		'iat', extract(epoch FROM issued_at)::bigint, 'exp', extract(epoch FROM expires_at)::bigint,
		'role', u.role, 'email', u.email,
		'email_verified', CASE WHEN u.email IS NOT NULL THEN u.email_confirmed_at IS NOT NULL END,
		'sid', s.session_id, 'client_id', s.client_id,
		'auth_time', floor(extract(epoch FROM s.created_at))::bigint, 'amr', s.amr));
	IF u.app_metadata <> '{}' THEN
		payload := payload || jsonb_build_object('app_metadata', u.app_metadata);
	END IF;
	token := auth.jwt_sign(auth._final_claims(u.id, payload));
	expires_in := extract(epoch FROM expires_at - issued_at);
END
$$;
COMMENT ON FUNCTION auth._access_token(auth.users, auth.refresh_tokens, jsonb, interval) IS
'Internal: an access token for this user and session, which may be none but its client';

CREATE FUNCTION auth._token_response(u auth.users, s auth.refresh_tokens, refresh_token text, csrf text)
RETURNS jsonb LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	access record := auth._access_token(u, s, jsonb_strip_nulls(jsonb_build_object('csrf', csrf)));
	response jsonb := jsonb_build_object('expires_in', access.expires_in, 'user', auth._user_json(u));
	-- The access cookie outlives its token: a request with one that has expired is
	-- refused, where one without any would be taken for anonymous.
	cookie_seconds bigint := CASE WHEN refresh_token IS NULL THEN access.expires_in
		ELSE ceil(extract(epoch FROM s.expires_at - clock_timestamp())) END;
BEGIN
	PERFORM auth._respond(NULL, 'Cache-Control', 'no-store');
	IF csrf IS NULL THEN
		RETURN response || jsonb_strip_nulls(jsonb_build_object(
			'access_token', access.token, 'refresh_token', refresh_token, 'token_type', 'bearer'));
	END IF;
	-- What JavaScript could read, a script from elsewhere could steal.
	PERFORM auth._add_header('Set-Cookie', c) FROM unnest(ARRAY[
		auth._cookie_header('access', access.token, cookie_seconds),
		auth._cookie_header('refresh', refresh_token, cookie_seconds),
		auth._cookie_header('csrf', csrf, cookie_seconds)]) c;
	RETURN response || jsonb_build_object('csrf_token', csrf);
END
$$;
COMMENT ON FUNCTION auth._token_response(auth.users, auth.refresh_tokens, text, text) IS
'Internal: a token response (RFC 6749 section 5.1); with a CSRF token the others are in cookies';

CREATE FUNCTION auth._open_session(u auth.users, client_id text, amr text[], name text DEFAULT NULL,
	lifetime interval DEFAULT NULL)
RETURNS jsonb LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	policy record := auth._client_policy(client_id);
	now_s timestamptz := date_trunc('second', clock_timestamp());
	-- whole seconds, as a token's exp is
	session_end timestamptz := date_trunc('second', least(now_s + policy.session_lifetime, now_s + lifetime));
	s auth.refresh_tokens;
	first_token text;
	csrf text := auth._new_csrf_token(client_id);
BEGIN
	IF auth._setting('audience') NOT IN ('', policy.audience) THEN
		RAISE EXCEPTION 'client "%" has an audience that "jwt_auth.audience" does not accept', client_id
			USING ERRCODE = 'object_not_in_prerequisite_state';
	END IF;
	INSERT INTO auth.refresh_tokens (user_id, client_id, expires_at, session_expires_at, name, amr, ip, user_agent)
	VALUES (u.id, _open_session.client_id, least(now_s + policy.refresh_token_lifetime, session_end), session_end,
			_open_session.name, _open_session.amr, auth._client_ip(), auth._user_agent())
	RETURNING * INTO s;
	IF policy.refresh_tokens THEN
		first_token := auth._sign_refresh_token(s.user_id, s.session_id, s.client_id, s.generation, s.jti, s.expires_at, csrf);
	END IF;
	PERFORM auth._flush_commit();
	PERFORM auth._audit('login', u.id, s.session_id, s.client_id, jsonb_strip_nulls(jsonb_build_object('amr', amr)));
	RETURN auth._token_response(u, s, first_token, csrf);
END
$$;
COMMENT ON FUNCTION auth._open_session(auth.users, text, text[], text, interval) IS
'Internal: a new session and its tokens; the caller has just updated the user''s row';

CREATE FUNCTION auth._end_session(user_id uuid, session_id uuid, reason text)
RETURNS int LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jwt_auth_end_session';
COMMENT ON FUNCTION auth._end_session(uuid, uuid, text) IS
'Internal: ends one session; returns how many';

CREATE FUNCTION auth._end_sessions(user_id uuid, but uuid, reason text)
RETURNS int LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	ended int;
BEGIN
	-- A login updates this row first, so none slips in between.
	PERFORM FROM auth.users u WHERE u.id = _end_sessions.user_id FOR NO KEY UPDATE;
	UPDATE auth.refresh_tokens s SET revoked_at = clock_timestamp(), revoke_reason = reason
	WHERE s.user_id = _end_sessions.user_id AND s.session_id IS DISTINCT FROM but AND s.revoked_at IS NULL;
	GET DIAGNOSTICS ended = ROW_COUNT;
	PERFORM auth._flush_commit();
	RETURN ended;
END
$$;
COMMENT ON FUNCTION auth._end_sessions(uuid, uuid, text) IS
'Internal: ends all sessions of a user but one, or all where that is NULL';

CREATE FUNCTION auth._is_email(email text)
RETURNS boolean LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
-- Without what a mail program would take for the end of one, or for several.
-- E'': the caller has a say in what a backslash is elsewhere.
SELECT CASE WHEN octet_length(email) > 254 THEN false
	ELSE email ~ E'^[^]@[:space:][:cntrl:]"(),:;<>\\\\[]+@[^]@[:space:][:cntrl:]"(),:;<>\\\\[]+$' END
$$;
COMMENT ON FUNCTION auth._is_email(text) IS
'Internal: whether a text can be one address';

CREATE FUNCTION auth._profile_problem(email text, username text, metadata jsonb)
RETURNS text LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
SELECT CASE
	WHEN NOT auth._is_email(email)
		THEN 'email must be an address of at most 254 bytes'
	WHEN octet_length(username) > 64 OR username !~ '^[^@[:cntrl:]]+$' OR username <> btrim(username)
		THEN 'username must have 1 to 64 bytes, no @, and no blanks around it'
	WHEN jsonb_typeof(metadata) <> 'object' OR NOT auth._fits(metadata, 16384)
		THEN 'metadata must be a JSON object of at most 16 kB'
END
$$;
COMMENT ON FUNCTION auth._profile_problem(text, text, jsonb) IS
'Internal: what is wrong with these, where they are not NULL; or NULL';

CREATE FUNCTION auth._password_problem(password text)
RETURNS text LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
SELECT CASE
	WHEN octet_length(password) > 72 THEN 'password must have at most 72 bytes'
	WHEN password IS NULL OR char_length(password) < auth._setting('password_min_length')::int
		THEN 'password must have at least ' || auth._setting('password_min_length') || ' characters'
END
$$;
COMMENT ON FUNCTION auth._password_problem(text) IS
'Internal: what is wrong with a new password, or NULL';

CREATE FUNCTION auth._email_problem(email text)
RETURNS jsonb LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	problem text := auth._profile_problem(coalesce(email, ''), NULL, NULL);
BEGIN
	IF problem IS NOT NULL THEN
		RETURN auth._error(400, 'invalid_request', 'email_address_invalid', problem);
	END IF;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION auth._email_problem(text) IS
'Internal: the error object for what cannot be an address, or NULL';

CREATE FUNCTION auth._registration_problem(email text, password text, username text, user_metadata jsonb)
RETURNS jsonb LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	problem text;
BEGIN
	IF auth._setting('registration') <> 'open' THEN
		PERFORM auth._audit('register_failed', details => '{"reason": "signup_disabled"}');
		RETURN auth._error(403, 'access_denied', 'signup_disabled',
						   CASE auth._setting('registration') WHEN 'invited' THEN 'registration takes an invitation'
							ELSE 'registration is closed' END);
	END IF;
	IF auth._email_problem(email) IS NOT NULL THEN
		RETURN auth._email_problem(email);
	END IF;
	problem := auth._profile_problem(NULL, username, user_metadata);
	IF problem IS NOT NULL THEN
		RETURN auth._error(400, 'invalid_request', 'validation_failed', problem);
	END IF;
	problem := auth._password_problem(password);
	IF problem IS NOT NULL THEN
		RETURN auth._error(400, 'invalid_request', 'weak_password', problem);
	END IF;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION auth._registration_problem(text, text, text, jsonb) IS
'Internal: the error object for a registration that is refused, or NULL';

CREATE FUNCTION auth._fits(value jsonb, max_bytes int)
RETURNS boolean LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'jwt_auth_fits';
COMMENT ON FUNCTION auth._fits(jsonb, int) IS
'Internal: whether the JSON prints in so many bytes; a short 1e131071 does not';

CREATE FUNCTION auth._unavailable(function text)
RETURNS jsonb LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF pg_is_in_recovery() THEN
		PERFORM auth._respond(503, 'Retry-After', '10');
		RETURN auth._error(503, 'temporarily_unavailable', 'read_only_replica', 'this server is a read-only replica');
	END IF;
	IF current_setting('transaction_read_only')::boolean THEN
		RAISE EXCEPTION 'cannot execute %() in a read-only transaction', function
			USING ERRCODE = 'read_only_sql_transaction';
	END IF;
	-- PostgREST applies filters, casts and orders from the URL to the answer in
	-- the same statement.  One that raises for an error object alone would undo
	-- what a wrong password or a reused token leaves behind, so it is refused
	-- now: all of them name a column of "pgrst_source" in quotes.
	IF current_query() ~ '"pgrst_source"' AND current_query() ~ '"[.]("([^"]|"")*")(?![(])' THEN
		RAISE EXCEPTION 'the answer of %() cannot be filtered', function
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION auth._unavailable(text) IS
'Internal: before any work, the answer of a standby, an error where none can be given, or NULL';

CREATE FUNCTION auth._user_created(user_id uuid, user_metadata jsonb)
RETURNS void LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jwt_auth_user_created';
COMMENT ON FUNCTION auth._user_created(uuid, jsonb) IS
'Internal: tells jwt_auth.user_created_hook, where there is one, of a new user';

CREATE FUNCTION auth._hook_failed()
RETURNS jsonb LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
SELECT auth._error(503, 'temporarily_unavailable', 'unexpected_failure', 'this is not possible at the moment')
$$;
COMMENT ON FUNCTION auth._hook_failed() IS
'Internal: the answer where a hook has failed';

CREATE FUNCTION auth._registration_conflict(email text, username text, user_metadata jsonb)
RETURNS jsonb LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	in_secret boolean := auth._setting('require_confirmed_email');
	owner auth.users;
	nobody auth.users;
BEGIN
	SELECT * INTO owner FROM auth.users x WHERE lower(x.email COLLATE "C") = lower(_registration_conflict.email COLLATE "C");
	-- In secret, a username that is taken must be refused with any address.
	IF owner.id IS NULL OR in_secret AND EXISTS (
		SELECT FROM auth.users x WHERE lower(x.username COLLATE "C") = lower(_registration_conflict.username COLLATE "C"))
	THEN
		PERFORM auth._audit('register_failed', details => '{"reason": "username_exists"}');
		RETURN auth._error(409, 'invalid_request', 'username_exists', 'this username is already taken');
	END IF;
	IF NOT in_secret THEN
		PERFORM auth._audit('register_failed', details => '{"reason": "email_exists"}');
		RETURN auth._error(409, 'invalid_request', 'email_exists', 'an account with this email already exists');
	END IF;
	PERFORM auth._send_paced('account_exists', owner, owner.email);
	PERFORM auth._audit('registration_repeated', owner.id);
	nobody.id := gen_random_uuid();
	nobody.email := email;
	nobody.username := username;
	nobody.role := auth._setting('default_role');
	nobody.is_active := true;
	nobody.user_metadata := user_metadata;
	nobody.app_metadata := '{}';
	nobody.created_at := clock_timestamp();
	PERFORM auth._respond(NULL);
	RETURN auth._user_json(nobody);
END
$$;
COMMENT ON FUNCTION auth._registration_conflict(text, text, jsonb) IS
'Internal: the answer to who registers with what is taken; where addresses must be confirmed, that for a new account, and its owner is told';

CREATE FUNCTION auth.register(email text, password text, username text DEFAULT NULL, user_metadata jsonb DEFAULT '{}')
RETURNS jsonb LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	metadata jsonb := coalesce(user_metadata, '{}');
	problem jsonb := coalesce(auth._unavailable('auth.register'), auth._registration_problem(email, password, username, metadata));
	hash text;
	u auth.users;
BEGIN
	IF problem IS NOT NULL THEN
		RETURN problem;
	END IF;
	hash := auth._hash_password(password);
	INSERT INTO auth.users (email, username, password_hash, role, user_metadata)
	VALUES (register.email, register.username, hash, auth._setting('default_role'), metadata)
	ON CONFLICT DO NOTHING
	RETURNING * INTO u;
	IF NOT FOUND THEN
		RETURN auth._registration_conflict(email, username, metadata);
	END IF;
	IF auth._setting('require_confirmed_email')::boolean THEN
		PERFORM auth._paced('email_confirmation', email), auth._send('email_confirmation', u.id, email);
	END IF;
	PERFORM auth._user_created(u.id, u.user_metadata);
	PERFORM auth._audit('registered', u.id);
	PERFORM auth._respond(NULL);
	RETURN auth._user_json(u);
EXCEPTION
	WHEN configuration_limit_exceeded THEN
		RETURN auth._too_many(503, 1, 'over_request_rate_limit', 'too many passwords at once; try again');
	WHEN external_routine_exception THEN
		RETURN auth._hook_failed();
END
$$;
COMMENT ON FUNCTION auth.register(text, text, text, jsonb) IS
'Creates an account: the user, or an error object';

CREATE FUNCTION auth._login_source(user_id uuid)
RETURNS text LANGUAGE sql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
SELECT coalesce((SELECT host(s.ip) FROM auth.refresh_tokens s
				 WHERE s.user_id = _login_source.user_id AND s.ip = (SELECT auth._client_ip()) LIMIT 1), '')
$$;
COMMENT ON FUNCTION auth._login_source(uuid) IS
'Internal: the client''s address if this user has signed in from it before, so that others cannot keep them out';

CREATE FUNCTION auth._identifier_hash(identifier text)
RETURNS bytea LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
-- No name is as long as that.  Bytes as they are here: SQL_ASCII has some that are
-- text in no encoding.
SELECT sha256(convert_to(lower(left(identifier, 1000) COLLATE "C"), getdatabaseencoding()))
$$;
COMMENT ON FUNCTION auth._identifier_hash(text) IS
'Internal: what is kept of an email or username that somebody typed';

CREATE FUNCTION auth._own_identifier(user_id uuid)
RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
-- Nobody's email or username looks like this, as one may look like an id.
SELECT '@' || user_id::text
$$;
COMMENT ON FUNCTION auth._own_identifier(uuid) IS
'Internal: by what a user counts who has signed in already';

CREATE FUNCTION auth._locked_seconds(identifier_hash bytea, source text)
RETURNS int LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
SELECT ceil(extract(epoch FROM f.locked_until - clock_timestamp()))::int
FROM auth.login_failures f
WHERE f.identifier_hash = _locked_seconds.identifier_hash AND f.source = _locked_seconds.source
  AND f.locked_until > clock_timestamp()
$$;
COMMENT ON FUNCTION auth._locked_seconds(bytea, text) IS
'Internal: how long this identifier has to wait; NULL: not at all';

CREATE FUNCTION auth._login_pause(failures int)
RETURNS int LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'jwt_auth_login_pause';
COMMENT ON FUNCTION auth._login_pause(int) IS
'Internal: for how many seconds so many failures make wait';

CREATE FUNCTION auth._note_failure(identifier_hash bytea, source text, user_id uuid DEFAULT NULL)
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	counted int;
BEGIN
	IF auth._setting('max_failed_logins')::int = 0 THEN
		RETURN;
	END IF;
	-- What is older than a lockout is forgotten.
	INSERT INTO auth.login_failures AS f (identifier_hash, source, failures, last_at)
	VALUES (_note_failure.identifier_hash, _note_failure.source, 1, clock_timestamp())
	ON CONFLICT ON CONSTRAINT login_failures_pkey DO UPDATE
	SET failures = CASE WHEN f.last_at + auth._setting('lockout_duration')::interval < clock_timestamp() THEN 1
						ELSE f.failures + 1 END,
		last_at = clock_timestamp()
	RETURNING f.failures INTO counted;
	UPDATE auth.login_failures f SET locked_until = f.last_at + make_interval(secs => auth._login_pause(counted))
	WHERE f.identifier_hash = _note_failure.identifier_hash AND f.source = _note_failure.source
	  AND auth._login_pause(counted) > 0;
	IF counted = auth._setting('max_failed_logins')::int THEN
		PERFORM auth._audit('login_locked', user_id);
	END IF;
END
$$;
COMMENT ON FUNCTION auth._note_failure(bytea, text, uuid) IS
'Internal: counts a failed login, and has the next one wait after several';

CREATE FUNCTION auth._forget_attempts(identifier_hash bytea, source text)
RETURNS void LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jwt_auth_forget_attempts';
COMMENT ON FUNCTION auth._forget_attempts(bytea, text) IS
'Internal: forgets in shared memory what _forget_failures() forgets';

CREATE FUNCTION auth._forget_failures(identifier_hash bytea, source text DEFAULT NULL)
RETURNS void LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
SELECT auth._forget_attempts(identifier_hash, source);
-- Without waiting, since the caller may hold the user's row: a failure that is
-- being counted is one of later.
DELETE FROM auth.login_failures f
WHERE (f.identifier_hash, f.source) IN (
	SELECT x.identifier_hash, x.source FROM auth.login_failures x
	WHERE x.identifier_hash = _forget_failures.identifier_hash
	  AND (_forget_failures.source IS NULL OR x.source = _forget_failures.source)
	FOR UPDATE SKIP LOCKED)
$$;
COMMENT ON FUNCTION auth._forget_failures(bytea, text) IS
'Internal: forgets the failed logins of an identifier, of one source or all';

CREATE FUNCTION auth._forget_user_failures(u auth.users)
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM auth._forget_failures(auth._identifier_hash(i)) FROM unnest(ARRAY[u.email, u.username, auth._own_identifier(u.id)]) i;
END
$$;
COMMENT ON FUNCTION auth._forget_user_failures(auth.users) IS
'Internal: forgets all failures of a user, by whatever they were counted';

CREATE FUNCTION auth._credential_check(identifier text, password text, identifier_hash bytea, source text, network text,
	OUT user_id uuid, OUT wait int)
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jwt_auth_credential_check';
COMMENT ON FUNCTION auth._credential_check(text, text, bytea, text, text) IS
'Internal: whose password this is, by jwt_auth.credential_check, or how long shared memory has it wait; NULLs where it is wrong';

CREATE FUNCTION auth._check_password(password text, hash text, identifier_hash bytea, source text, network text DEFAULT NULL,
	elsewhere text DEFAULT NULL, OUT verified boolean, OUT user_id uuid, OUT wait int)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	wait := auth._locked_seconds(identifier_hash, source);
	IF wait IS NULL AND elsewhere IS NOT NULL THEN
		SELECT t.user_id IS NOT NULL, t.user_id, t.wait INTO verified, user_id, wait
		FROM auth._credential_check(elsewhere, password, identifier_hash, source, network) t;
	ELSIF wait IS NULL THEN
		SELECT t.verified, t.wait INTO verified, wait
		FROM auth._try_password(password, hash, identifier_hash, source, network) t;
	END IF;
	-- Others may have failed while this one waited for its turn.
	wait := coalesce(wait, auth._locked_seconds(identifier_hash, source));
	-- What needs no hash takes as long as one or longer, so that hammering gains nothing.
	IF wait IS NOT NULL OR elsewhere IS NULL AND octet_length(password) NOT BETWEEN 1 AND 72 THEN
		PERFORM pg_sleep(least(2 ^ (auth._setting('bcrypt_cost')::int - 13), 1));
	END IF;
END
$$;
COMMENT ON FUNCTION auth._check_password(text, text, bytea, text, text, text) IS
'Internal: whether a guess is right, for an identifier that is kept elsewhere also whose it is; not to be told where wait says for how many seconds there is no other answer';

CREATE FUNCTION auth._too_many(status int, seconds int, error_code text, description text)
RETURNS jsonb LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM auth._respond(status, 'Retry-After', seconds::text);
	RETURN auth._error(status, 'temporarily_unavailable', error_code, description);
END
$$;
COMMENT ON FUNCTION auth._too_many(int, int, text, text) IS
'Internal: the answer to who has to wait';

CREATE FUNCTION auth._user_kept_elsewhere(known uuid)
RETURNS auth.users LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	u auth.users;
BEGIN
	INSERT INTO auth.users (id, role)
	SELECT known, auth._setting('default_role')
	WHERE NOT EXISTS (SELECT FROM auth.users x WHERE x.id = known)
	ON CONFLICT DO NOTHING
	RETURNING * INTO u;
	IF FOUND THEN
		PERFORM auth._user_created(u.id, u.user_metadata);
		PERFORM auth._audit('registered', u.id, details => '{"by": "credential_check"}');
	ELSE
		SELECT * INTO u FROM auth.users x WHERE x.id = known;
	END IF;
	RETURN u;
END
$$;
COMMENT ON FUNCTION auth._user_kept_elsewhere(uuid) IS
'Internal: the user whom jwt_auth.credential_check has named, with a row here from the first time on';

CREATE FUNCTION auth._sign_in_problem(u auth.users, client_id text)
RETURNS jsonb LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT u.is_active THEN
		PERFORM auth._audit('login_failed', u.id, NULL, client_id, '{"reason": "user_banned"}');
		RETURN auth._error(400, 'invalid_grant', 'user_banned', 'this account is disabled');
	END IF;
	IF u.email IS NOT NULL AND u.email_confirmed_at IS NULL AND auth._setting('require_confirmed_email')::boolean THEN
		PERFORM auth._audit('login_failed', u.id, NULL, client_id, '{"reason": "email_not_confirmed"}');
		RETURN auth._error(400, 'invalid_grant', 'email_not_confirmed', 'the email address has not been confirmed');
	END IF;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION auth._sign_in_problem(auth.users, text) IS
'Internal: the error object for who may not sign in even with the right password, or NULL';

CREATE FUNCTION auth.login(email text DEFAULT NULL, password text DEFAULT NULL, username text DEFAULT NULL,
	client_id text DEFAULT 'default')
RETURNS jsonb LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	problem jsonb := auth._unavailable('auth.login');
	u auth.users;
	new_hash text;
	identifier bytea := auth._identifier_hash(coalesce(email, username));
	source text;
	elsewhere text;
	guess record;
	verified boolean;
BEGIN
	IF problem IS NOT NULL THEN
		RETURN problem;
	END IF;
	IF (email IS NULL) = (username IS NULL) OR password IS NULL THEN
		RETURN auth._error(400, 'invalid_request', 'validation_failed', 'email or username, and password, must be given');
	END IF;
	IF auth._client_policy(client_id) IS NULL THEN
		RETURN auth._error(400, 'invalid_client', 'invalid_client', 'unknown client');
	END IF;

	LOOP
		SELECT * INTO u FROM auth.users x
		WHERE lower(x.email COLLATE "C") = lower(login.email COLLATE "C")
		   OR lower(x.username COLLATE "C") = lower(login.username COLLATE "C");
		source := auth._login_source(u.id);
		elsewhere := CASE WHEN u.password_hash IS NULL AND auth._setting('credential_check') <> ''
						  THEN coalesce(email, username) END;
		guess := auth._check_password(password, u.password_hash, identifier, source, auth._client_network(), elsewhere);
		verified := guess.verified;
		IF guess.wait IS NOT NULL THEN
			RETURN auth._too_many(429, guess.wait, 'over_request_rate_limit', 'too many failed logins; try again later');
		END IF;
		EXIT WHEN NOT verified;
		IF elsewhere IS NOT NULL THEN
			u := auth._user_kept_elsewhere(guess.user_id);
		END IF;
		problem := auth._sign_in_problem(u, client_id);
		IF problem IS NOT NULL THEN
			RETURN problem;
		END IF;
		new_hash := CASE WHEN elsewhere IS NULL AND auth._hash_is_cheap(u.password_hash) THEN auth._hash_password(password) END;
		-- Only if the hash is still the one just verified: whoever changes the
		-- password has either seen this session, or is seen here.  Another
		-- login may have renewed it, so it is looked at again.
		BEGIN
			UPDATE auth.users x SET last_login_at = clock_timestamp(), password_hash = coalesce(new_hash, x.password_hash)
			WHERE x.id = u.id AND x.password_hash IS NOT DISTINCT FROM u.password_hash AND x.is_active
			RETURNING * INTO STRICT u;
		EXCEPTION WHEN no_data_found THEN
			CONTINUE;	-- with it goes the lock of the row
		END;
		PERFORM auth._forget_failures(identifier, source);
		RETURN auth._open_session(u, client_id, '{pwd}');
	END LOOP;
	PERFORM auth._audit('login_failed', u.id, NULL, client_id, '{"reason": "invalid_credentials"}');
	PERFORM auth._note_failure(identifier, source, u.id);
	RETURN auth._error(401, 'invalid_grant', 'invalid_credentials', 'wrong email, username or password');
EXCEPTION
	WHEN configuration_limit_exceeded THEN
		RETURN auth._too_many(503, 1, 'over_request_rate_limit', 'too many logins at once; try again');
	WHEN external_routine_exception THEN
		-- One that raises for a wrong password must not be guessed at for free.
		IF verified IS NOT TRUE THEN
			PERFORM auth._note_failure(identifier, source);
		END IF;
		PERFORM auth._audit('login_failed', NULL, NULL, client_id, '{"reason": "hook_failed"}');
		RETURN auth._hook_failed();
END
$$;
COMMENT ON FUNCTION auth.login(text, text, text, text) IS
'Signs a person in by email or username: a token response, or an error object';

CREATE FUNCTION auth.rotate_refresh_token(refresh_token text, OUT status text, OUT user_id uuid,
	OUT session_id uuid, OUT client_id text, OUT refresh_token text, OUT expires_at timestamptz)
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'rotate_refresh_token';
COMMENT ON FUNCTION auth.rotate_refresh_token(text) IS
'Uses a refresh token up and returns its successor; status says what the token was';

CREATE FUNCTION auth._newest_user(user_id uuid)
RETURNS auth.users LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jwt_auth_newest_user';
COMMENT ON FUNCTION auth._newest_user(uuid) IS
'Internal: a user as of now, whatever snapshot the transaction has; NULL where there is none';

CREATE FUNCTION auth._newest_session(user_id uuid, session_id uuid)
RETURNS auth.refresh_tokens LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jwt_auth_newest_session';
COMMENT ON FUNCTION auth._newest_session(uuid, uuid) IS
'Internal: a session as of now, whatever snapshot the transaction has; NULL where there is none';

CREATE FUNCTION auth.refresh(refresh_token text)
RETURNS jsonb LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	problem jsonb := auth._unavailable('auth.refresh');
	cookie text := CASE WHEN refresh_token IS NULL THEN auth._cookie('refresh') END;
	csrf text;
	rotation record;
	u auth.users;
	s auth.refresh_tokens;
BEGIN
	IF problem IS NOT NULL THEN
		RETURN problem;
	END IF;
	IF refresh_token IS NULL AND cookie IS NULL THEN
		IF auth._cookie('access') IS NOT NULL THEN
			PERFORM auth._clear_cookies();
		END IF;
		RETURN auth._error(400, 'invalid_request', 'validation_failed', 'refresh_token must be given');
	END IF;
	IF cookie IS NOT NULL THEN
		-- Before it is used: another site can have the browser send it.
		rotation := auth._read_refresh_token(cookie);
		csrf := rotation.payload ->> 'csrf';
		IF rotation.payload IS NOT NULL AND NOT auth._csrf_token_matches(csrf) THEN
			RETURN auth._error(403, 'access_denied', 'bad_csrf_token', 'request lacks the CSRF token of its session');
		END IF;
	END IF;
	rotation := auth.rotate_refresh_token(coalesce(refresh_token, cookie));
	IF cookie IS NOT NULL AND rotation.status NOT IN ('rotated', 'reissued') THEN
		PERFORM auth._clear_cookies();
	END IF;
	CASE rotation.status
		WHEN 'rotated', 'reissued' THEN
			u := auth._newest_user(rotation.user_id);
			s := auth._newest_session(rotation.user_id, rotation.session_id);
			IF s.session_id IS NULL THEN
				RETURN auth._error(404, 'invalid_grant', 'user_not_found', 'the user of this token is gone');
			END IF;
			RETURN auth._token_response(u, s, rotation.refresh_token, csrf);
		WHEN 'invalid' THEN
			RETURN auth._error(401, 'invalid_grant', 'bad_refresh_token', 'refresh token is not valid');
		WHEN 'unknown' THEN
			RETURN auth._error(403, 'invalid_grant', 'refresh_token_not_found', 'refresh token is not known');
		WHEN 'expired' THEN
			RETURN auth._error(403, 'invalid_grant', 'session_expired', 'session has expired');
		WHEN 'revoked' THEN
			RETURN auth._error(403, 'invalid_grant', 'session_not_found', 'session has ended');
		WHEN 'reused' THEN
			RETURN auth._error(403, 'invalid_grant', 'refresh_token_already_used',
							   'refresh token was used before; the session has been ended');
		WHEN 'inactive' THEN
			IF NOT EXISTS (SELECT FROM auth.users x WHERE x.id = rotation.user_id) THEN
				RETURN auth._error(404, 'invalid_grant', 'user_not_found', 'the user of this token is gone');
			END IF;
			RETURN auth._error(400, 'invalid_grant', 'user_banned', 'this account is disabled');
	END CASE;
EXCEPTION WHEN external_routine_exception THEN
	-- The token is not used up, since there is no successor.
	RETURN auth._hook_failed();
END
$$;
COMMENT ON FUNCTION auth.refresh(text) IS
'Exchanges a refresh token, that of the request''s cookie where it is NULL, for new tokens: a token response, or an error object';

CREATE FUNCTION auth._read_refresh_token(refresh_token text, OUT user_id uuid, OUT session_id uuid, OUT is_current boolean,
	OUT payload jsonb)
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jwt_auth_read_refresh_token';
COMMENT ON FUNCTION auth._read_refresh_token(text) IS
'Internal: whose genuine refresh token this is, and whether it can be rotated; NULLs where it is none';

CREATE FUNCTION auth.revoke_refresh_token(refresh_token text)
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	t record := auth._read_refresh_token(refresh_token);
BEGIN
	IF auth._end_session(t.user_id, t.session_id, 'revoked') > 0 THEN
		PERFORM auth._audit('session_revoked', t.user_id, t.session_id);
	END IF;
	PERFORM auth._respond(NULL);
END
$$;
COMMENT ON FUNCTION auth.revoke_refresh_token(text) IS
'Ends the session of a refresh token (RFC 7009); what is no such token is no error';

CREATE FUNCTION auth._live_claims(token text)
RETURNS jsonb LANGUAGE c VOLATILE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'jwt_auth_live_claims';
COMMENT ON FUNCTION auth._live_claims(text) IS
'Internal: the claims of an access token whose session and user are good too, or NULL; without a role that does not count';

CREATE FUNCTION auth.introspect(token text)
RETURNS jsonb LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	claims jsonb := auth._live_claims(token);
	t record;
BEGIN
	IF claims IS NOT NULL THEN
		RETURN claims || '{"active": true, "token_type": "bearer"}';
	END IF;
	-- Without a token_type: nobody is to take a refresh token for a bearer's.
	t := auth._read_refresh_token(token);
	RETURN CASE WHEN t.is_current THEN t.payload || '{"active": true}'
				ELSE '{"active": false}' END;
END
$$;
COMMENT ON FUNCTION auth.introspect(text) IS
'Whether a token is good at this moment, its session and user included, and then its claims (RFC 7662)';

CREATE FUNCTION auth.token(grant_type text, username text DEFAULT NULL, password text DEFAULT NULL,
	refresh_token text DEFAULT NULL, client_id text DEFAULT NULL, scope text DEFAULT NULL)
RETURNS jsonb LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	CASE grant_type
		WHEN 'password' THEN
			RETURN auth.login(CASE WHEN username LIKE '%@%' THEN username END, password,
							  CASE WHEN username NOT LIKE '%@%' THEN username END, coalesce(client_id, 'default'));
		WHEN 'refresh_token' THEN
			RETURN auth.refresh(refresh_token);
		ELSE
			RETURN auth._error(400, 'unsupported_grant_type', 'validation_failed',
							   'grant_type must be "password" or "refresh_token"');
	END CASE;
END
$$;
COMMENT ON FUNCTION auth.token(text, text, text, text, text, text) IS
'The OAuth 2 token endpoint (RFC 6749 sections 4.3 and 6); username may be an email address, scope is ignored';

CREATE FUNCTION auth._require_uid()
RETURNS uuid LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF auth.uid() IS NULL OR auth._verified_uid() IS NULL THEN
		RAISE EXCEPTION 'nobody is signed in'
			USING ERRCODE = 'invalid_authorization_specification', HINT = 'Call auth.authenticate() first.';
	END IF;
	RETURN auth.uid();
END
$$;
COMMENT ON FUNCTION auth._require_uid() IS
'Internal: the verified user, or error 28000, with the reason where a token in jwt_auth.token is no good';

CREATE FUNCTION auth._account_problem(user_id uuid)
RETURNS jsonb LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	u auth.users;
	s auth.refresh_tokens;
BEGIN
	-- Whoever ends this session, or voids tokens, has seen what is done then, or is seen.
	SELECT * INTO u FROM auth.users x WHERE x.id = user_id FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RETURN auth._error(404, 'invalid_request', 'user_not_found', 'the user of this token is gone');
	END IF;
	s := auth._newest_session(user_id, auth.session_id());
	IF auth.session_id() IS NOT NULL AND (s.session_id IS NULL OR s.revoked_at IS NOT NULL) THEN
		RETURN auth._error(403, 'invalid_grant', 'session_not_found', 'session has ended');
	END IF;
	IF NOT u.is_active THEN
		RETURN auth._error(400, 'invalid_grant', 'user_banned', 'this account is disabled');
	END IF;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION auth._account_problem(uuid) IS
'Internal: locks the verified user''s row; the error object where user or session have ended, or the user was disabled, since the claims were verified, or NULL';

CREATE FUNCTION auth.logout(scope text DEFAULT 'all')
RETURNS int LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	signed_in uuid := auth._require_uid();
	ended int;
BEGIN
	CASE scope
		WHEN 'session' THEN
			ended := auth._end_session(signed_in, auth.session_id(), 'logout');
		WHEN 'others' THEN
			ended := auth._end_sessions(signed_in, auth.session_id(), 'logout');
		WHEN 'all' THEN
			ended := auth._end_sessions(signed_in, NULL, 'logout');
		ELSE
			RAISE EXCEPTION 'scope must be "session", "others" or "all"'
				USING ERRCODE = 'invalid_parameter_value';
	END CASE;
	PERFORM auth._audit('logout', signed_in, auth.session_id(), NULL,
						jsonb_build_object('scope', scope, 'sessions', ended));
	PERFORM auth._respond(NULL);
	IF scope <> 'others' AND auth.claim('csrf') IS NOT NULL THEN
		PERFORM auth._clear_cookies();
	END IF;
	RETURN ended;
END
$$;
COMMENT ON FUNCTION auth.logout(text) IS
'Ends this session, the other ones or all of the verified user; returns how many';

CREATE FUNCTION auth.me()
RETURNS jsonb LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	signed_in uuid := auth._require_uid();
	u auth.users;
BEGIN
	SELECT * INTO u FROM auth.users x WHERE x.id = signed_in;
	IF NOT FOUND THEN
		RETURN auth._error(404, 'invalid_request', 'user_not_found', 'the user of this token is gone');
	END IF;
	PERFORM auth._respond(NULL);
	RETURN auth._user_json(u);
END
$$;
COMMENT ON FUNCTION auth.me() IS
'The verified user''s own account';

CREATE FUNCTION auth.sessions()
RETURNS TABLE (session_id uuid, client_id text, name text, created_at timestamptz, last_used_at timestamptz,
	expires_at timestamptz, ip inet, user_agent text, is_current boolean)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	signed_in uuid := auth._require_uid();
BEGIN
	RETURN QUERY
	SELECT s.session_id, s.client_id, s.name, s.created_at, s.rotated_at, least(s.expires_at, s.session_expires_at),
		   s.ip, s.user_agent, s.session_id IS NOT DISTINCT FROM auth.session_id()
	FROM auth.refresh_tokens s
	WHERE s.user_id = signed_in AND s.revoked_at IS NULL
	  AND least(s.expires_at, s.session_expires_at) > clock_timestamp()
	ORDER BY s.created_at;
	PERFORM auth._respond(NULL);
END
$$;
COMMENT ON FUNCTION auth.sessions() IS
'The verified user''s live sessions';

CREATE FUNCTION auth.revoke_session(session_id uuid)
RETURNS boolean LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	signed_in uuid := auth._require_uid();
	ended boolean := auth._end_session(signed_in, session_id, 'revoked') > 0;
BEGIN
	IF ended THEN
		PERFORM auth._audit('session_revoked', signed_in, session_id);
	END IF;
	PERFORM auth._respond(NULL);
	RETURN ended;
END
$$;
COMMENT ON FUNCTION auth.revoke_session(uuid) IS
'Ends one of the verified user''s sessions; false where that is none of them, or has ended';

CREATE FUNCTION auth.change_password(old_password text, new_password text)
RETURNS jsonb LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	signed_in uuid := auth._require_uid();
	problem jsonb := auth._unavailable('auth.change_password');
	u auth.users;
	new_hash text;
	identifier bytea := auth._identifier_hash(auth._own_identifier(signed_in));
	guess record;
BEGIN
	IF problem IS NOT NULL THEN
		RETURN problem;
	END IF;
	IF auth._password_problem(new_password) IS NOT NULL THEN
		RETURN auth._error(400, 'invalid_request', 'weak_password', auth._password_problem(new_password));
	END IF;
	IF new_password = old_password THEN
		RETURN auth._error(400, 'invalid_request', 'same_password', 'the new password is the old one');
	END IF;
	LOOP
		SELECT * INTO u FROM auth.users x WHERE x.id = signed_in;
		IF NOT FOUND THEN
			RETURN auth._error(404, 'invalid_request', 'user_not_found', 'the user of this token is gone');
		END IF;
		IF u.password_hash IS NULL AND auth._setting('credential_check') <> '' THEN
			RETURN auth._error(400, 'invalid_request', 'validation_failed', 'this account has no password here');
		END IF;
		-- Who signed in by other means and has none yet need not know one.
		IF u.password_hash IS NOT NULL OR old_password IS NOT NULL OR auth.session_id() IS NULL THEN
			guess := auth._check_password(old_password, u.password_hash, identifier, 'change_password');
			IF guess.wait IS NOT NULL THEN
				RETURN auth._too_many(429, guess.wait, 'over_request_rate_limit', 'too many wrong passwords; try again later');
			END IF;
			IF NOT guess.verified THEN
				PERFORM auth._audit('login_failed', signed_in, auth.session_id(), NULL, '{"reason": "change_password"}');
				PERFORM auth._note_failure(identifier, 'change_password', signed_in);
				RETURN auth._error(401, 'invalid_grant', 'invalid_credentials', 'the old password is wrong');
			END IF;
		END IF;
		new_hash := coalesce(new_hash, auth._hash_password(new_password));
		BEGIN
			-- As in login: only if the hash is still the one just verified.
			SELECT * INTO STRICT u FROM auth.users x
			WHERE x.id = u.id AND x.password_hash IS NOT DISTINCT FROM u.password_hash
			FOR NO KEY UPDATE;
			EXIT;
		EXCEPTION WHEN no_data_found THEN
			NULL;	-- with it goes the lock of the row
		END;
	END LOOP;
	problem := auth._account_problem(signed_in);
	IF problem IS NOT NULL THEN
		RETURN problem;
	END IF;
	UPDATE auth.users x SET password_hash = new_hash, updated_at = clock_timestamp()
	WHERE x.id = signed_in
	RETURNING * INTO u;
	PERFORM auth._forget_failures(identifier, 'change_password');
	PERFORM auth._send_paced('password_changed', u, u.email);
	PERFORM auth._void_tokens(signed_in);
	PERFORM auth._end_sessions(signed_in, auth.session_id(), 'password_changed');
	PERFORM auth._audit('password_changed', signed_in, auth.session_id());
	PERFORM auth._respond(NULL);
	RETURN auth._user_json(u);
EXCEPTION WHEN configuration_limit_exceeded THEN
	RETURN auth._too_many(503, 1, 'over_request_rate_limit', 'too many passwords at once; try again');
END
$$;
COMMENT ON FUNCTION auth.change_password(text, text) IS
'Changes the verified user''s password and ends the other sessions; the user, or an error object';

CREATE FUNCTION auth.update_me(user_metadata jsonb DEFAULT NULL, username text DEFAULT NULL)
RETURNS jsonb LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	signed_in uuid := auth._require_uid();
	problem jsonb := auth._unavailable('auth.update_me');
	u auth.users;
BEGIN
	IF problem IS NOT NULL THEN
		RETURN problem;
	END IF;
	IF auth._profile_problem(NULL, username, user_metadata) IS NOT NULL THEN
		RETURN auth._error(400, 'invalid_request', 'validation_failed',
						   auth._profile_problem(NULL, username, user_metadata));
	END IF;
	problem := auth._account_problem(signed_in);
	IF problem IS NOT NULL THEN
		RETURN problem;
	END IF;
	UPDATE auth.users x
	SET user_metadata = coalesce(update_me.user_metadata, x.user_metadata),
		username = coalesce(update_me.username, x.username), updated_at = clock_timestamp()
	WHERE x.id = signed_in
	RETURNING * INTO u;
	PERFORM auth._audit('user_updated', signed_in, auth.session_id());
	PERFORM auth._respond(NULL);
	RETURN auth._user_json(u);
EXCEPTION WHEN unique_violation THEN
	RETURN auth._error(409, 'invalid_request', 'username_exists', 'this username is already taken');
END
$$;
COMMENT ON FUNCTION auth.update_me(jsonb, text) IS
'Replaces what the verified user says of themself, where an argument is not NULL; the user, or an error object';

CREATE FUNCTION auth.set_active(user_id uuid, active boolean)
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF active IS NULL THEN
		RAISE EXCEPTION 'active must not be NULL' USING ERRCODE = 'invalid_parameter_value';
	END IF;
	UPDATE auth.users u SET is_active = active, updated_at = clock_timestamp() WHERE u.id = set_active.user_id;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'no such user' USING ERRCODE = 'no_data_found';
	END IF;
	IF NOT active THEN
		PERFORM auth._void_tokens(set_active.user_id);
		PERFORM auth._end_sessions(set_active.user_id, NULL, 'user_inactive');
	END IF;
	PERFORM auth._audit(CASE WHEN active THEN 'user_enabled' ELSE 'user_disabled' END, set_active.user_id);
END
$$;
COMMENT ON FUNCTION auth.set_active(uuid, boolean) IS
'Disables an account and ends its sessions, or enables it again';

CREATE FUNCTION auth._changed_user(u auth.users, event text, details jsonb DEFAULT NULL)
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF u.id IS NULL THEN
		RAISE EXCEPTION 'no such user' USING ERRCODE = 'no_data_found';
	END IF;
	PERFORM auth._audit(event, u.id, details => details);
END
$$;
COMMENT ON FUNCTION auth._changed_user(auth.users, text, jsonb) IS
'Internal: records what an administrator did to a user, or raises that there is none';

CREATE FUNCTION auth._check(problem text)
RETURNS void LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF problem IS NOT NULL THEN
		RAISE EXCEPTION '%', problem USING ERRCODE = 'invalid_parameter_value';
	END IF;
END
$$;
COMMENT ON FUNCTION auth._check(text) IS
'Internal: raises the problem, if there is one';

CREATE FUNCTION auth._role_problem(role name)
RETURNS text LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'jwt_auth_role_problem';
COMMENT ON FUNCTION auth._role_problem(name) IS
'Internal: why a user cannot have this role, or NULL';

CREATE FUNCTION auth.set_password(user_id uuid, password text)
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	u auth.users;
	new_hash text;
BEGIN
	PERFORM auth._check(auth._password_problem(password));
	new_hash := auth._hash_password(password);
	UPDATE auth.users x SET password_hash = new_hash, updated_at = clock_timestamp()
	WHERE x.id = set_password.user_id
	RETURNING * INTO u;
	PERFORM auth._changed_user(u, 'password_set');
	PERFORM auth._void_tokens(u.id);
	PERFORM auth._end_sessions(u.id, NULL, 'password_changed');
END
$$;
COMMENT ON FUNCTION auth.set_password(uuid, text) IS
'Gives a user a new password and ends all sessions';

CREATE FUNCTION auth.set_user_role(user_id uuid, role name)
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	u auth.users;
BEGIN
	PERFORM auth._check(auth._role_problem(role));
	UPDATE auth.users x SET role = set_user_role.role, updated_at = clock_timestamp()
	WHERE x.id = set_user_role.user_id
	RETURNING * INTO u;
	PERFORM auth._changed_user(u, 'role_set', jsonb_build_object('role', u.role));
END
$$;
COMMENT ON FUNCTION auth.set_user_role(uuid, name) IS
'Sets the database role that goes into a user''s tokens from the next one on';

CREATE FUNCTION auth.set_app_metadata(user_id uuid, app_metadata jsonb)
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	u auth.users;
BEGIN
	PERFORM auth._check(auth._profile_problem(NULL, NULL, coalesce(app_metadata, 'null')));
	UPDATE auth.users x SET app_metadata = set_app_metadata.app_metadata, updated_at = clock_timestamp()
	WHERE x.id = set_app_metadata.user_id
	RETURNING * INTO u;
	PERFORM auth._changed_user(u, 'app_metadata_set');
END
$$;
COMMENT ON FUNCTION auth.set_app_metadata(uuid, jsonb) IS
'Replaces what the application says of a user; it goes into tokens from the next one on';

CREATE FUNCTION auth.revoke_sessions(user_id uuid)
RETURNS int LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	u auth.users;
	ended int;
BEGIN
	SELECT * INTO u FROM auth.users x WHERE x.id = revoke_sessions.user_id;
	ended := auth._end_sessions(u.id, NULL, 'revoked');
	PERFORM auth._changed_user(u, 'sessions_revoked', jsonb_build_object('sessions', ended));
	RETURN ended;
END
$$;
COMMENT ON FUNCTION auth.revoke_sessions(uuid) IS
'Ends all of a user''s sessions; returns how many';

CREATE FUNCTION auth.unlock_user(user_id uuid)
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	u auth.users;
BEGIN
	SELECT * INTO u FROM auth.users x WHERE x.id = unlock_user.user_id;
	PERFORM auth._changed_user(u, 'user_unlocked');
	PERFORM auth._forget_user_failures(u);
END
$$;
COMMENT ON FUNCTION auth.unlock_user(uuid) IS
'Forgets a user''s failed logins, so that the next one need not wait';

CREATE FUNCTION auth.import_user(email text, password_hash text DEFAULT NULL, id uuid DEFAULT NULL,
	username text DEFAULT NULL, role name DEFAULT NULL, user_metadata jsonb DEFAULT '{}', app_metadata jsonb DEFAULT '{}',
	email_confirmed_at timestamptz DEFAULT NULL, created_at timestamptz DEFAULT NULL, is_active boolean DEFAULT true)
RETURNS uuid LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	-- An assignment, which plans the functions in it once for a whole import.
	problem text := coalesce(
		auth._profile_problem(email, username, coalesce(user_metadata, '{}')),
		auth._profile_problem(NULL, NULL, coalesce(app_metadata, '{}')),
		CASE WHEN role IS NOT NULL THEN auth._role_problem(role) END,
		CASE WHEN password_hash !~ '^[$]2[aby][$](0[4-9]|1[0-6])[$][./0-9A-Za-z]{53}$'
			 THEN 'password_hash is not a bcrypt hash of a cost from 4 to 16' END);
	u auth.users;
BEGIN
	PERFORM auth._check(problem);
	INSERT INTO auth.users (id, email, username, password_hash, role, is_active, email_confirmed_at,
							user_metadata, app_metadata, created_at)
	VALUES (coalesce(import_user.id, gen_random_uuid()), import_user.email, import_user.username,
			import_user.password_hash, coalesce(import_user.role, auth._setting('default_role')),
			coalesce(import_user.is_active, true), import_user.email_confirmed_at,
			coalesce(import_user.user_metadata, '{}'), coalesce(import_user.app_metadata, '{}'),
			coalesce(import_user.created_at, clock_timestamp()))
	ON CONFLICT DO NOTHING
	RETURNING * INTO u;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'a user with this id, email or username already exists' USING ERRCODE = 'unique_violation';
	END IF;
	PERFORM auth._user_created(u.id, u.user_metadata);
	PERFORM auth._audit('user_created', u.id, details => jsonb_build_object('role', u.role));
	RETURN u.id;
END
$$;
COMMENT ON FUNCTION auth.import_user(text, text, uuid, text, name, jsonb, jsonb, timestamptz, timestamptz, boolean) IS
'Creates a user who comes from elsewhere, with the bcrypt hash of the password; returns the id';

CREATE FUNCTION auth.create_user(email text DEFAULT NULL, password text DEFAULT NULL, username text DEFAULT NULL,
	role name DEFAULT NULL, user_metadata jsonb DEFAULT '{}', app_metadata jsonb DEFAULT '{}',
	email_confirmed_at timestamptz DEFAULT NULL)
RETURNS uuid LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	hash text;
BEGIN
	IF password IS NOT NULL THEN
		PERFORM auth._check(auth._password_problem(password));
		hash := auth._hash_password(password);
	END IF;
	RETURN auth.import_user(email, hash, NULL, username, role, user_metadata, app_metadata, email_confirmed_at);
END
$$;
COMMENT ON FUNCTION auth.create_user(text, text, text, name, jsonb, jsonb, timestamptz) IS
'Creates a user, who may do without an email or a password; returns the id';

CREATE FUNCTION auth._require_active(u auth.users)
RETURNS void LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF u.is_active IS NOT TRUE THEN
		RAISE EXCEPTION 'no such user, or a disabled one' USING ERRCODE = 'no_data_found';
	END IF;
END
$$;
COMMENT ON FUNCTION auth._require_active(auth.users) IS
'Internal: raises unless this is a user who may sign in';

CREATE FUNCTION auth._check_client(client_id text)
RETURNS void LANGUAGE sql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
SELECT auth._check(CASE WHEN auth._client_policy(client_id) IS NULL THEN 'unknown client' END)
$$;
COMMENT ON FUNCTION auth._check_client(text) IS
'Internal: raises where there is no such client';

CREATE FUNCTION auth.create_session(user_id uuid, client_id text DEFAULT 'default', name text DEFAULT NULL,
	lifetime interval DEFAULT NULL, amr text[] DEFAULT NULL)
RETURNS jsonb LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	problem jsonb := auth._unavailable('auth.create_session');
	u auth.users;
BEGIN
	IF problem IS NOT NULL THEN
		RETURN problem;
	END IF;
	PERFORM auth._check_client(client_id);
	PERFORM auth._check(CASE WHEN lifetime <= '0' OR lifetime > '50 years'
							 THEN 'lifetime must be more than zero and at most 50 years' END);
	-- As in login: whoever ends the user's sessions has seen this one, or is seen.
	UPDATE auth.users x SET last_login_at = clock_timestamp()
	WHERE x.id = create_session.user_id AND x.is_active
	RETURNING * INTO u;
	PERFORM auth._require_active(u);
	RETURN auth._open_session(u, client_id, amr, name, lifetime);
EXCEPTION WHEN external_routine_exception THEN
	RETURN auth._hook_failed();
END
$$;
COMMENT ON FUNCTION auth.create_session(uuid, text, text, interval, text[]) IS
'A token response (RFC 6749 section 5.1) without a password: for single sign-on of one''s own, and for machines';

CREATE FUNCTION auth.issue_access_token(user_id uuid, client_id text DEFAULT 'default', extra jsonb DEFAULT '{}',
	lifetime interval DEFAULT NULL)
RETURNS text LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	u auth.users;
	no_session auth.refresh_tokens;
BEGIN
	PERFORM auth._check_client(client_id);
	PERFORM auth._check(CASE
		WHEN lifetime <= '0' OR lifetime > '50 years' THEN 'lifetime must be more than zero and at most 50 years'
		WHEN jsonb_typeof(extra) IS DISTINCT FROM 'object' THEN 'extra must be a JSON object'
		WHEN extra ?| '{iss,sub,aud,exp,nbf,iat,jti,type,role,email,email_verified,app_metadata,sid,client_id,auth_time,amr,csrf}'
			THEN 'extra must not have a claim that the token gets anyway' END);
	u := auth._newest_user(user_id);
	PERFORM auth._require_active(u);
	no_session.client_id := client_id;
	PERFORM auth._audit('access_token_issued', user_id, NULL, client_id);
	RETURN (auth._access_token(u, no_session, extra, lifetime)).token;
END
$$;
COMMENT ON FUNCTION auth.issue_access_token(uuid, text, jsonb, interval) IS
'An access token that belongs to no session, and so ends by its time alone';

CREATE FUNCTION auth.export_user(user_id uuid)
RETURNS jsonb LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	u auth.users;
BEGIN
	SELECT * INTO u FROM auth.users x WHERE x.id = export_user.user_id;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'no such user' USING ERRCODE = 'no_data_found';
	END IF;
	RETURN jsonb_build_object('user', auth._user_json(u),
		'sessions', (SELECT coalesce(jsonb_agg(to_jsonb(s) - '{user_id,jti,previous_jti,generation}'::text[] ORDER BY s.created_at), '[]')
					 FROM auth.refresh_tokens s WHERE s.user_id = u.id),
		'identities', (SELECT coalesce(jsonb_agg(to_jsonb(i) - 'user_id' ORDER BY i.created_at), '[]')
					   FROM auth.identities i WHERE i.user_id = u.id),
		'one_time_tokens', (SELECT coalesce(jsonb_agg(to_jsonb(t) - '{user_id,token_hash}'::text[] ORDER BY t.created_at), '[]')
							FROM auth.one_time_tokens t WHERE t.user_id = u.id),
		'messages', (SELECT coalesce(jsonb_agg(to_jsonb(o) - '{user_id,wrapped_token}'::text[] ORDER BY o.created_at), '[]')
					 FROM auth.outbox o WHERE o.user_id = u.id),
		'events', (SELECT coalesce(jsonb_agg(to_jsonb(e) - '{id,user_id,db_user}'::text[] ORDER BY e.at), '[]')
				   FROM auth.audit_log e WHERE e.user_id = u.id));
END
$$;
COMMENT ON FUNCTION auth.export_user(uuid) IS
'All that is kept about a user, without hashes and tokens';

CREATE FUNCTION auth._forget_user()
RETURNS trigger LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- In one order, because two who have acted on each other may go at once.
	PERFORM FROM auth.audit_log e
	WHERE e.user_id = OLD.id OR e.actor_id = OLD.id AND e.actor_id IS DISTINCT FROM e.user_id
	ORDER BY e.id FOR NO KEY UPDATE;
	UPDATE auth.audit_log e SET ip = NULL, user_agent = NULL, details = NULL WHERE e.user_id = OLD.id;
	UPDATE auth.audit_log e SET ip = NULL, user_agent = NULL
	WHERE e.actor_id = OLD.id AND e.actor_id IS DISTINCT FROM e.user_id;
	PERFORM auth._forget_user_failures(OLD);
	DELETE FROM auth.message_pace p
	WHERE (p.kind, p.name_hash) IN (
		SELECT x.kind, x.name_hash FROM auth.message_pace x
		WHERE x.name_hash = ANY (ARRAY[auth._identifier_hash(OLD.email), auth._identifier_hash(auth._own_identifier(OLD.id))])
		FOR UPDATE SKIP LOCKED);
	PERFORM auth._audit('user_deleted', OLD.id);
	PERFORM auth._flush_commit();
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION auth._forget_user() IS
'Internal: leaves nothing of a person in the audit log but that something happened';

-- A trigger, so that it comes with every deletion and with nothing else.
CREATE TRIGGER forget AFTER DELETE ON auth.users
	FOR EACH ROW EXECUTE FUNCTION auth._forget_user();

--
-- One-time tokens and the messages that carry them.  Whoever asks learns
-- nothing: same answer, same work, whoever has the address.  Rows are locked in
-- the order users, message_pace, one_time_tokens, refresh_tokens; nobody waits
-- for a mailer but who deletes a user, or rewraps.
--

CREATE FUNCTION auth._message_kind(kind text, OUT has_token boolean, OUT lifetime interval)
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
SELECT k.has_token, k.lifetime
FROM (VALUES
	('password_reset', true, interval '1 hour'),
	('magic_link', true, '15 min'),
	('email_confirmation', true, '1 day'),
	('email_change', true, '1 day'),
	('invitation', true, '7 days'),
	-- these only tell
	('account_exists', false, '1 day'),
	('email_change_notice', false, '1 day'),
	('password_changed', false, '1 day')
) AS k (kind, has_token, lifetime)
WHERE k.kind = _message_kind.kind
$$;
COMMENT ON FUNCTION auth._message_kind(text) IS
'Internal: whether messages of this kind carry a token, and how long they are good';

CREATE FUNCTION auth._make_token(message_id uuid, OUT token_hash bytea, OUT wrapped_token bytea)
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jwt_auth_make_token';
COMMENT ON FUNCTION auth._make_token(uuid) IS
'Internal: a random one-time token, as it is kept for checking and as it waits in the outbox';

CREATE FUNCTION auth._token_unwraps(message_id uuid, wrapped_token bytea)
RETURNS boolean LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE COST 100
AS 'MODULE_PATHNAME', 'jwt_auth_token_unwraps';
COMMENT ON FUNCTION auth._token_unwraps(uuid, bytea) IS
'Internal: whether the token of a message can be had; NULL where it has none';

CREATE FUNCTION auth._unwrap_token(message_id uuid, wrapped_token bytea)
RETURNS text LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jwt_auth_unwrap_token';
COMMENT ON FUNCTION auth._unwrap_token(uuid, bytea) IS
'Internal: the token of a message';

CREATE FUNCTION auth._rewrap_token(message_id uuid, wrapped_token bytea)
RETURNS bytea LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jwt_auth_rewrap_token';
COMMENT ON FUNCTION auth._rewrap_token(uuid, bytea) IS
'Internal: the token of a message, wrapped again under the master key file of now';

CREATE FUNCTION auth._token_hash(token text)
RETURNS bytea LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
SELECT CASE WHEN octet_length(token) = 43 THEN
	CASE WHEN token ~ '^[A-Za-z0-9_-]+$' THEN sha256(convert_to(token, 'UTF8')) END END
$$;
COMMENT ON FUNCTION auth._token_hash(text) IS
'Internal: what a one-time token is found by; NULL for what cannot be one';

CREATE FUNCTION auth._send(kind text, user_id uuid, email text)
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	message record := auth._message_kind(kind);
	message_id uuid := gen_random_uuid();
	-- Nobody has the same work done, and the foreign key throws it away.
	recipient uuid := coalesce(user_id, gen_random_uuid());
	expiry timestamptz := clock_timestamp() + message.lifetime;
	new_hash bytea;
	new_token bytea;
BEGIN
	SELECT m.token_hash, m.wrapped_token INTO new_hash, new_token
	FROM auth._make_token(message_id) m WHERE message.has_token;
	BEGIN
		PERFORM auth._drop_messages(recipient, ARRAY[kind]);
		WITH token AS (
			INSERT INTO auth.one_time_tokens (user_id, purpose, token_hash, email, expires_at)
			SELECT recipient, _send.kind, new_hash, _send.email, expiry WHERE message.has_token
			ON CONFLICT ON CONSTRAINT one_time_tokens_pkey DO UPDATE
			SET token_hash = excluded.token_hash, email = excluded.email, created_at = excluded.created_at,
				expires_at = excluded.expires_at)
		INSERT INTO auth.outbox (id, kind, user_id, email, wrapped_token, expires_at)
		VALUES (message_id, _send.kind, recipient, _send.email, new_token, expiry);
	EXCEPTION WHEN foreign_key_violation THEN
		NULL;
	END;
	-- For nobody too: everybody may listen.
	PERFORM pg_notify('jwt_auth_outbox', '');
END
$$;
COMMENT ON FUNCTION auth._send(text, uuid, text) IS
'Internal: a message for the mailer, with a new token where its kind has one, which voids the one before; none where user_id is NULL';

CREATE FUNCTION auth._drop_messages(user_id uuid, kinds text[])
RETURNS void LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
-- What a mailer is sending is as good as sent, and nobody waits for it.
DELETE FROM auth.outbox o
WHERE o.id = ANY (ARRAY(SELECT x.id FROM auth.outbox x
						WHERE x.user_id = _drop_messages.user_id AND x.kind = ANY (kinds)
						FOR UPDATE SKIP LOCKED))
$$;
COMMENT ON FUNCTION auth._drop_messages(uuid, text[]) IS
'Internal: takes back messages of these kinds that no mailer has taken';

CREATE FUNCTION auth._void_tokens(user_id uuid)
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	-- all but email_confirmation, which opens nothing
	purposes text[] := '{password_reset,magic_link,email_change,invitation}';
BEGIN
	DELETE FROM auth.one_time_tokens t WHERE t.user_id = _void_tokens.user_id AND t.purpose = ANY (purposes);
	PERFORM auth._drop_messages(_void_tokens.user_id, purposes);
END
$$;
COMMENT ON FUNCTION auth._void_tokens(uuid) IS
'Internal: voids the one-time tokens that let somebody into an account or take it over';

CREATE FUNCTION auth._paced(kind text, name text)
RETURNS boolean LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	instant timestamptz := clock_timestamp();
	due boolean;
BEGIN
	-- It writes each time, so that the answer takes as long.
	INSERT INTO auth.message_pace AS p (kind, name_hash, last_at)
	VALUES (_paced.kind, auth._identifier_hash(name), instant)
	ON CONFLICT ON CONSTRAINT message_pace_pkey DO UPDATE
	SET last_at = CASE WHEN p.last_at + auth._setting('message_interval')::interval > instant THEN p.last_at ELSE instant END
	RETURNING p.last_at = instant INTO due;
	RETURN due;
END
$$;
COMMENT ON FUNCTION auth._paced(text, text) IS
'Internal: whether a message of this kind for this name is due, and if so it counts; of names that nobody has too';

CREATE FUNCTION auth._send_paced(kind text, u auth.users, email text)
RETURNS boolean LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	recipient uuid;
BEGIN
	IF email IS NULL THEN
		RETURN false;
	END IF;
	recipient := CASE WHEN auth._paced(kind, email) AND u.is_active THEN u.id END;
	PERFORM auth._send(kind, recipient, email);
	RETURN recipient IS NOT NULL;
END
$$;
COMMENT ON FUNCTION auth._send_paced(text, auth.users, text) IS
'Internal: the same, at most once in jwt_auth.message_interval, and for who may sign in alone; whether it is sent';

CREATE FUNCTION auth._request_message(kind text, email text)
RETURNS jsonb LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	problem jsonb := coalesce(auth._unavailable('auth.request_' || kind), auth._email_problem(email));
	u auth.users;
	sent boolean;
BEGIN
	IF problem IS NOT NULL THEN
		RETURN problem;
	END IF;
	-- The lock that a foreign key to the row takes anyway, but before others.
	SELECT * INTO u FROM auth.users x
	WHERE lower(x.email COLLATE "C") = lower(_request_message.email COLLATE "C")
	  AND (kind <> 'email_confirmation' OR x.email_confirmed_at IS NULL)
	FOR KEY SHARE;
	sent := auth._send_paced(kind, u, coalesce(u.email, email));
	PERFORM auth._audit('message_requested', u.id, details => jsonb_build_object('kind', kind, 'sent', sent));
	PERFORM auth._respond(NULL);
	RETURN '{}';
END
$$;
COMMENT ON FUNCTION auth._request_message(text, text) IS
'Internal: what the functions for people who are not signed in have in common; {}, or an error object';

CREATE FUNCTION auth.request_password_reset(email text)
RETURNS jsonb LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT auth._request_message('password_reset', email) $$;
COMMENT ON FUNCTION auth.request_password_reset(text) IS
'Has the mailer send a token for reset_password() to this address, if somebody has it';

CREATE FUNCTION auth.request_magic_link(email text)
RETURNS jsonb LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT auth._request_message('magic_link', email) $$;
COMMENT ON FUNCTION auth.request_magic_link(text) IS
'Has the mailer send a token for login_with_magic_link() to this address, if somebody has it';

CREATE FUNCTION auth.request_email_confirmation(email text)
RETURNS jsonb LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT auth._request_message('email_confirmation', email) $$;
COMMENT ON FUNCTION auth.request_email_confirmation(text) IS
'Has the mailer send a token for confirm_email() to this address, if somebody has it and has not confirmed it';

CREATE FUNCTION auth.request_email_change(email text)
RETURNS jsonb LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	signed_in uuid := auth._require_uid();
	problem jsonb := coalesce(auth._unavailable('auth.request_email_change'), auth._email_problem(email));
	u auth.users;
	owner auth.users;
	sent boolean;
BEGIN
	IF problem IS NOT NULL THEN
		RETURN problem;
	END IF;
	problem := auth._account_problem(signed_in);
	IF problem IS NOT NULL THEN
		RETURN problem;
	END IF;
	SELECT * INTO STRICT u FROM auth.users x WHERE x.id = signed_in;
	IF NOT auth._paced('email_change', auth._own_identifier(signed_in)) THEN
		RETURN auth._too_many(429, ceil(extract(epoch FROM auth._setting('message_interval')::interval))::int,
							  'over_email_send_rate_limit', 'a change was requested a moment ago; try again later');
	END IF;
	-- That somebody else has the address is told to them alone.
	SELECT * INTO owner FROM auth.users x
	WHERE lower(x.email COLLATE "C") = lower(request_email_change.email COLLATE "C") AND x.id <> signed_in;
	IF owner.id IS NULL THEN
		sent := auth._send_paced('email_change', u, email);
	ELSE
		sent := auth._send_paced('account_exists', owner, owner.email);
	END IF;
	PERFORM auth._send_paced('email_change_notice', u, u.email);
	PERFORM auth._audit('message_requested', u.id, details => jsonb_build_object('kind', 'email_change', 'sent', sent AND owner.id IS NULL));
	PERFORM auth._respond(NULL);
	RETURN '{}';
END
$$;
COMMENT ON FUNCTION auth.request_email_change(text) IS
'Has the mailer send a token for confirm_email() to the verified user''s new address, and a notice to the old one';

CREATE FUNCTION auth.invite_user(email text, role name DEFAULT NULL, user_metadata jsonb DEFAULT '{}',
	app_metadata jsonb DEFAULT '{}')
RETURNS uuid LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	u auth.users;
BEGIN
	PERFORM auth._check(auth._profile_problem(coalesce(email, ''), NULL, NULL));
	IF auth._setting('registration') = 'closed' THEN
		RAISE EXCEPTION 'registration is closed'
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Set "jwt_auth.registration" to "invited".';
	END IF;
	-- Somebody who has not come yet is invited once more.
	SELECT * INTO u FROM auth.users x
	WHERE lower(x.email COLLATE "C") = lower(invite_user.email COLLATE "C")
	  AND x.is_active AND x.password_hash IS NULL AND x.email_confirmed_at IS NULL
	FOR KEY SHARE;
	IF NOT FOUND THEN
		u.id := auth.import_user(email, role => role, user_metadata => user_metadata, app_metadata => app_metadata);
		u.email := email;
	END IF;
	PERFORM auth._send('invitation', u.id, u.email);
	PERFORM auth._audit('user_invited', u.id);
	RETURN u.id;
END
$$;
COMMENT ON FUNCTION auth.invite_user(text, name, jsonb, jsonb) IS
'Creates a user who chooses a password with a token for accept_invitation(), which the mailer sends; returns the id';

CREATE FUNCTION auth._live_token(token text, purposes text[])
RETURNS auth.one_time_tokens LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
-- One that went to another address than the user's of now proves nothing any more.
SELECT t FROM auth.one_time_tokens t JOIN auth.users u ON u.id = t.user_id
WHERE t.token_hash = auth._token_hash(token) AND t.purpose = ANY (purposes) AND t.expires_at > clock_timestamp()
  AND u.is_active AND (t.purpose = 'email_change' OR lower(u.email COLLATE "C") = lower(t.email COLLATE "C"))
$$;
COMMENT ON FUNCTION auth._live_token(text, text[]) IS
'Internal: the one-time token of one of these purposes, if it is good now; NULLs otherwise';

CREATE FUNCTION auth._consume_token(token text, purposes text[])
RETURNS auth.one_time_tokens LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	t auth.one_time_tokens := auth._live_token(token, purposes);
BEGIN
	PERFORM FROM auth.users u WHERE u.id = t.user_id FOR NO KEY UPDATE;
	-- The user may have changed while this one waited, and so may the token.
	t := auth._live_token(token, purposes);
	DELETE FROM auth.one_time_tokens x
	WHERE x.user_id = t.user_id AND x.purpose = t.purpose AND x.token_hash = t.token_hash
	RETURNING * INTO t;
	RETURN t;
END
$$;
COMMENT ON FUNCTION auth._consume_token(text, text[]) IS
'Internal: uses a one-time token up, with its user''s row locked; NULLs where it is no good';

CREATE FUNCTION auth._refuse_token(client_id text DEFAULT NULL)
RETURNS jsonb LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM auth._audit('login_failed', NULL, NULL, client_id, '{"reason": "otp_expired"}');
	RETURN auth._error(403, 'invalid_grant', 'otp_expired', 'the link has been used, has expired, or never was any good');
END
$$;
COMMENT ON FUNCTION auth._refuse_token(text) IS
'Internal: the answer to a one-time token that is no good, whatever the reason';

CREATE FUNCTION auth._consume_for_password(token text, purpose text, password text,
	OUT problem jsonb, OUT user_id uuid, OUT password_hash text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF auth._password_problem(password) IS NOT NULL THEN
		problem := auth._error(400, 'invalid_request', 'weak_password', auth._password_problem(password));
		RETURN;
	END IF;
	-- Looked at first, so that nobody has passwords hashed for nothing; used up
	-- afterwards, so that no lock is held meanwhile.
	IF (auth._live_token(token, ARRAY[purpose])).user_id IS NOT NULL THEN
		password_hash := auth._hash_password(password);
		user_id := (auth._consume_token(token, ARRAY[purpose])).user_id;
	END IF;
	IF user_id IS NULL THEN
		problem := auth._refuse_token();
	END IF;
EXCEPTION WHEN configuration_limit_exceeded THEN
	problem := auth._too_many(503, 1, 'over_request_rate_limit', 'too many passwords at once; try again');
END
$$;
COMMENT ON FUNCTION auth._consume_for_password(text, text, text) IS
'Internal: uses a token up and hashes the password that comes with it, or says why not; the user''s row is locked then';

CREATE FUNCTION auth.reset_password(token text, new_password text)
RETURNS jsonb LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	problem jsonb := auth._unavailable('auth.reset_password');
	consumed record;
	u auth.users;
BEGIN
	IF problem IS NOT NULL THEN
		RETURN problem;
	END IF;
	consumed := auth._consume_for_password(token, 'password_reset', new_password);
	IF consumed.problem IS NOT NULL THEN
		RETURN consumed.problem;
	END IF;
	UPDATE auth.users x
	SET password_hash = consumed.password_hash, email_confirmed_at = coalesce(x.email_confirmed_at, clock_timestamp()),
		updated_at = clock_timestamp()
	WHERE x.id = consumed.user_id
	RETURNING * INTO u;
	PERFORM auth._send_paced('password_changed', u, u.email);
	PERFORM auth._void_tokens(u.id);
	PERFORM auth._end_sessions(u.id, NULL, 'password_changed');
	PERFORM auth._forget_user_failures(u);
	PERFORM auth._audit('password_reset', u.id);
	PERFORM auth._respond(NULL);
	RETURN auth._user_json(u);
END
$$;
COMMENT ON FUNCTION auth.reset_password(text, text) IS
'Sets a password with a token that came by mail, confirms the address and ends all sessions; the user, or an error object';

CREATE FUNCTION auth.accept_invitation(token text, password text, username text DEFAULT NULL, user_metadata jsonb DEFAULT NULL)
RETURNS jsonb LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	problem jsonb := auth._unavailable('auth.accept_invitation');
	consumed record;
	u auth.users;
BEGIN
	IF problem IS NOT NULL THEN
		RETURN problem;
	END IF;
	IF auth._setting('registration') = 'closed' THEN
		RETURN auth._error(403, 'access_denied', 'signup_disabled', 'registration is closed');
	END IF;
	IF auth._profile_problem(NULL, username, user_metadata) IS NOT NULL THEN
		RETURN auth._error(400, 'invalid_request', 'validation_failed', auth._profile_problem(NULL, username, user_metadata));
	END IF;
	consumed := auth._consume_for_password(token, 'invitation', password);
	IF consumed.problem IS NOT NULL THEN
		RETURN consumed.problem;
	END IF;
	UPDATE auth.users x
	SET password_hash = consumed.password_hash, email_confirmed_at = clock_timestamp(),
		username = coalesce(accept_invitation.username, x.username),
		user_metadata = coalesce(accept_invitation.user_metadata, x.user_metadata), updated_at = clock_timestamp()
	WHERE x.id = consumed.user_id
	RETURNING * INTO u;
	PERFORM auth._void_tokens(u.id);
	PERFORM auth._end_sessions(u.id, NULL, 'password_changed');
	PERFORM auth._audit('invitation_accepted', u.id);
	PERFORM auth._respond(NULL);
	RETURN auth._user_json(u);
EXCEPTION WHEN unique_violation THEN
	-- The token is as it was.
	RETURN auth._error(409, 'invalid_request', 'username_exists', 'this username is already taken');
END
$$;
COMMENT ON FUNCTION auth.accept_invitation(text, text, text, jsonb) IS
'Sets the password of a user who was invited, and what they say of themself; the user, or an error object';

CREATE FUNCTION auth.confirm_email(token text)
RETURNS jsonb LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	problem jsonb := auth._unavailable('auth.confirm_email');
	t auth.one_time_tokens;
	u auth.users;
BEGIN
	IF problem IS NOT NULL THEN
		RETURN problem;
	END IF;
	t := auth._consume_token(token, '{email_confirmation,email_change}');
	IF t.user_id IS NULL THEN
		RETURN auth._refuse_token();
	END IF;
	UPDATE auth.users x
	SET email = CASE t.purpose WHEN 'email_change' THEN t.email ELSE x.email END,
		email_confirmed_at = clock_timestamp(), updated_at = clock_timestamp()
	WHERE x.id = t.user_id
	RETURNING * INTO u;
	IF t.purpose = 'email_change' THEN
		PERFORM auth._void_tokens(u.id);
	END IF;
	PERFORM auth._audit(CASE t.purpose WHEN 'email_change' THEN 'email_changed' ELSE 'email_confirmed' END, u.id);
	PERFORM auth._flush_commit();
	PERFORM auth._respond(NULL);
	RETURN auth._user_json(u);
EXCEPTION WHEN unique_violation THEN
	RETURN auth._error(409, 'invalid_request', 'email_exists', 'an account with this email already exists');
END
$$;
COMMENT ON FUNCTION auth.confirm_email(text) IS
'Confirms an address, or completes its change, with a token that came by mail; the user, or an error object';

CREATE FUNCTION auth.login_with_magic_link(token text, client_id text DEFAULT 'default')
RETURNS jsonb LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	problem jsonb := auth._unavailable('auth.login_with_magic_link');
	instant timestamptz := clock_timestamp();
	t auth.one_time_tokens;
	u auth.users;
BEGIN
	IF problem IS NOT NULL THEN
		RETURN problem;
	END IF;
	IF auth._client_policy(client_id) IS NULL THEN
		RETURN auth._error(400, 'invalid_client', 'invalid_client', 'unknown client');
	END IF;
	t := auth._consume_token(token, '{magic_link}');
	IF t.user_id IS NULL THEN
		RETURN auth._refuse_token(client_id);
	END IF;
	-- Whoever registered with an address without confirming it need not be whose
	-- it is: what they have set up does not stay.
	UPDATE auth.users x
	SET last_login_at = instant, email_confirmed_at = coalesce(x.email_confirmed_at, instant),
		password_hash = CASE WHEN x.email_confirmed_at IS NOT NULL THEN x.password_hash END
	WHERE x.id = t.user_id
	RETURNING * INTO u;
	IF u.email_confirmed_at = instant THEN
		PERFORM auth._void_tokens(u.id);
		PERFORM auth._end_sessions(u.id, NULL, 'email_confirmed');
	END IF;
	RETURN auth._open_session(u, client_id, '{otp}');
EXCEPTION WHEN external_routine_exception THEN
	-- The token is as it was.
	RETURN auth._hook_failed();
END
$$;
COMMENT ON FUNCTION auth.login_with_magic_link(text, text) IS
'Signs in with a token that came by mail, and confirms the address: a token response, or an error object';

CREATE FUNCTION auth.take_messages(max_rows int DEFAULT 100)
RETURNS TABLE (id uuid, kind text, user_id uuid, email text, token text, expires_at timestamptz)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM auth._check(CASE WHEN max_rows > 0 THEN NULL ELSE 'max_rows must be more than zero' END);
	PERFORM auth._drop_expired_messages();
	RETURN QUERY
	WITH taken AS (
		DELETE FROM auth.outbox o
		WHERE o.id = ANY (ARRAY(SELECT x.id FROM auth.outbox x
								WHERE coalesce(auth._token_unwraps(x.id, x.wrapped_token), true)
								ORDER BY x.created_at LIMIT max_rows FOR UPDATE SKIP LOCKED))
		RETURNING o.*)
	SELECT t.id, t.kind, t.user_id, t.email, auth._unwrap_token(t.id, t.wrapped_token), t.expires_at
	FROM taken t ORDER BY t.created_at;
	-- One that cannot be unwrapped holds up no other, but is not kept quiet about.
	IF NOT FOUND THEN
		PERFORM auth._unwrap_token(o.id, o.wrapped_token) FROM auth.outbox o;
	END IF;
END
$$;
COMMENT ON FUNCTION auth.take_messages(int) IS
'For the mailer: deletes the oldest messages and returns them, with their tokens in the clear; several mailers get different ones';

CREATE FUNCTION auth._drop_expired_messages()
RETURNS bigint LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	instant timestamptz := clock_timestamp();
	dropped bigint;
BEGIN
	DELETE FROM auth.outbox o
	WHERE o.id = ANY (ARRAY(SELECT x.id FROM auth.outbox x WHERE x.expires_at <= instant FOR UPDATE SKIP LOCKED));
	GET DIAGNOSTICS dropped = ROW_COUNT;
	RETURN dropped;
END
$$;
COMMENT ON FUNCTION auth._drop_expired_messages() IS
'Internal: deletes the messages that are of no use any more; returns how many';

--
-- Outside identity providers
--

CREATE FUNCTION auth._public_jwks(jwks jsonb)
RETURNS jsonb LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'jwt_auth_public_jwks';
COMMENT ON FUNCTION auth._public_jwks(jsonb) IS
'Internal: the keys of a set that verify signatures here, without anything else; an error for a set with secrets in it';

CREATE FUNCTION auth.trust_issuer(issuer text, jwks jsonb, audiences text[], algorithms text[] DEFAULT NULL,
	subject text DEFAULT 'linked', roles name[] DEFAULT '{}')
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	keys jsonb := auth._public_jwks(jwks);
	wrong text;
BEGIN
	wrong := CASE
		WHEN coalesce(issuer, '') = '' THEN 'issuer must not be empty'
		WHEN issuer = auth._setting('issuer') THEN 'issuer has the name of this database''s own'
		WHEN keys IS NULL OR keys -> 'keys' = '[]' THEN 'key set has no key that verifies signatures here'
		WHEN (SELECT count(*) > count(DISTINCT k ->> 'kid') FROM jsonb_array_elements(keys -> 'keys') k)
			 AND jsonb_array_length(keys -> 'keys') > 1 THEN 'each key of a set must have a kid of its own'
		WHEN coalesce(audiences, '{}') = '{}' OR array_position(audiences, NULL) IS NOT NULL
			 OR '' = ANY (audiences) THEN 'audiences must not be empty'
		WHEN algorithms = '{}' OR array_position(algorithms, NULL) IS NOT NULL
			 OR EXISTS (SELECT FROM unnest(algorithms) a WHERE a LIKE 'HS%') THEN 'algorithms must be those of key pairs'
		WHEN subject IS NULL OR subject NOT IN ('linked', 'uuid') THEN 'subject must be "linked" or "uuid"'
		WHEN roles IS NULL OR array_position(roles, NULL) IS NOT NULL THEN 'roles must not be NULL'
		WHEN EXISTS (SELECT FROM pg_roles r WHERE r.rolname = ANY (roles) AND (r.rolsuper OR r.rolbypassrls))
			 THEN 'roles must not pass every policy'
	END;
	IF wrong IS NOT NULL THEN
		RAISE EXCEPTION '%', wrong USING ERRCODE = 'invalid_parameter_value';
	END IF;
	PERFORM auth._known_algorithms(algorithms);
	INSERT INTO auth.issuers AS i (issuer, jwks, audiences, algorithms, subject, roles)
	VALUES (trust_issuer.issuer, keys, trust_issuer.audiences, trust_issuer.algorithms, trust_issuer.subject,
			trust_issuer.roles)
	ON CONFLICT ON CONSTRAINT issuers_pkey DO UPDATE
	SET jwks = excluded.jwks, audiences = excluded.audiences, algorithms = excluded.algorithms,
		subject = excluded.subject, roles = excluded.roles, updated_at = clock_timestamp()
	WHERE (i.jwks, i.audiences, i.algorithms, i.subject, i.roles) IS DISTINCT FROM
		  (excluded.jwks, excluded.audiences, excluded.algorithms, excluded.subject, excluded.roles);
	IF FOUND THEN
		PERFORM auth._audit('issuer_trusted', details => jsonb_build_object('issuer', issuer, 'roles', roles));
		PERFORM auth._keys_changed();
	END IF;
END
$$;
COMMENT ON FUNCTION auth.trust_issuer(text, jsonb, text[], text[], text, name[]) IS
'Accepts the tokens of an outside identity provider for these audiences, verified with these public keys; called again it updates';

CREATE FUNCTION auth._known_algorithms(algorithms text[])
RETURNS void LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'jwt_auth_known_algorithms';
COMMENT ON FUNCTION auth._known_algorithms(text[]) IS
'Internal: raises where a name is not that of an algorithm';

CREATE FUNCTION auth.distrust_issuer(issuer text)
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	DELETE FROM auth.issuers i WHERE i.issuer = distrust_issuer.issuer;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'no such issuer' USING ERRCODE = 'no_data_found';
	END IF;
	PERFORM auth._audit('issuer_distrusted', details => jsonb_build_object('issuer', issuer));
	PERFORM auth._flush_commit();
	PERFORM auth._keys_changed();
END
$$;
COMMENT ON FUNCTION auth.distrust_issuer(text) IS
'Refuses an issuer''s tokens from now on; links of its subjects stay';

CREATE FUNCTION auth.link_identity(user_id uuid, issuer text, subject text)
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF coalesce(subject, '') = '' OR octet_length(subject) > 255 THEN
		RAISE EXCEPTION 'subject must have 1 to 255 bytes' USING ERRCODE = 'invalid_parameter_value';
	END IF;
	IF NOT EXISTS (SELECT FROM auth.issuers i WHERE i.issuer = link_identity.issuer) THEN
		RAISE EXCEPTION 'no such issuer' USING ERRCODE = 'no_data_found', HINT = 'Call auth.trust_issuer() first.';
	END IF;
	PERFORM FROM auth.users u WHERE u.id = link_identity.user_id FOR KEY SHARE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'no such user' USING ERRCODE = 'no_data_found';
	END IF;
	INSERT INTO auth.identities (issuer, subject, user_id)
	VALUES (link_identity.issuer, link_identity.subject, link_identity.user_id)
	ON CONFLICT ON CONSTRAINT identities_pkey DO NOTHING;
	IF FOUND THEN
		PERFORM auth._audit('identity_linked', link_identity.user_id, details => jsonb_build_object('issuer', issuer));
	ELSIF NOT EXISTS (SELECT FROM auth.identities i
					  WHERE i.issuer = link_identity.issuer AND i.subject = link_identity.subject
						AND i.user_id = link_identity.user_id) THEN
		RAISE EXCEPTION 'subject is linked to another user' USING ERRCODE = 'unique_violation';
	END IF;
END
$$;
COMMENT ON FUNCTION auth.link_identity(uuid, text, text) IS
'Says that a subject of a trusted issuer is this user';

CREATE FUNCTION auth.unlink_identity(issuer text, subject text)
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	linked uuid;
BEGIN
	DELETE FROM auth.identities i
	WHERE i.issuer = unlink_identity.issuer AND i.subject = unlink_identity.subject
	RETURNING i.user_id INTO linked;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'no such identity' USING ERRCODE = 'no_data_found';
	END IF;
	PERFORM auth._audit('identity_unlinked', linked, details => jsonb_build_object('issuer', issuer));
	PERFORM auth._flush_commit();
END
$$;
COMMENT ON FUNCTION auth.unlink_identity(text, text) IS
'Takes back what link_identity said';

CREATE FUNCTION auth._verify_id_token(id_token text, OUT reason text, OUT issuer text, OUT subject text,
	OUT user_id uuid, OUT payload jsonb)
LANGUAGE c VOLATILE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'jwt_auth_verify_id_token';
COMMENT ON FUNCTION auth._verify_id_token(text) IS
'Internal: a token of an outside issuer, with the user whom it speaks for, or the reason why it is refused';

CREATE FUNCTION auth._user_of_identity(issuer text, subject text, user_id uuid, payload jsonb)
RETURNS auth.users LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	-- An address that the issuer has not verified is anybody's.
	verified_email text := CASE WHEN payload ->> 'email_verified' = 'true' AND auth._is_email(payload ->> 'email')
								THEN payload ->> 'email' END;
	u auth.users;
BEGIN
	FOR attempt IN 1 .. 2 LOOP
		BEGIN
			SELECT x.* INTO u FROM auth.users x
			WHERE x.id = coalesce(_user_of_identity.user_id,
								  (SELECT i.user_id FROM auth.identities i
								   WHERE i.issuer = _user_of_identity.issuer AND i.subject = _user_of_identity.subject));
			IF FOUND THEN
				RETURN u;
			END IF;
			SELECT x.* INTO u FROM auth.users x WHERE lower(x.email COLLATE "C") = lower(verified_email COLLATE "C");
			IF NOT FOUND THEN
				IF auth._setting('registration') <> 'open' THEN
					RETURN NULL;
				END IF;
				INSERT INTO auth.users (id, email, email_confirmed_at, role)
				VALUES (coalesce(user_id, gen_random_uuid()), verified_email,
						CASE WHEN verified_email IS NOT NULL THEN clock_timestamp() END, auth._setting('default_role'))
				RETURNING * INTO u;
				PERFORM auth._user_created(u.id, u.user_metadata);
				PERFORM auth._audit('registered', u.id, details => jsonb_build_object('issuer', issuer));
			ELSIF u.email_confirmed_at IS NULL OR user_id IS NOT NULL THEN
				RETURN NULL;
			END IF;
			IF user_id IS NULL THEN
				INSERT INTO auth.identities (issuer, subject, user_id)
				VALUES (_user_of_identity.issuer, _user_of_identity.subject, u.id);
				PERFORM auth._audit('identity_linked', u.id, details => jsonb_build_object('issuer', issuer));
			END IF;
			RETURN u;
		EXCEPTION WHEN unique_violation OR foreign_key_violation THEN
			-- Somebody else has just made the same user or link, or has deleted
			-- the user: look again.
			NULL;
		END;
	END LOOP;
	RAISE EXCEPTION 'could not serialize access due to a concurrent sign-in'
		USING ERRCODE = 'serialization_failure';
END
$$;
COMMENT ON FUNCTION auth._user_of_identity(text, text, uuid, jsonb) IS
'Internal: the user of an outside subject, linked by an address that both sides have verified, or new; NULL where the address is taken or registration is closed';

CREATE FUNCTION auth.login_with_id_token(id_token text, nonce text DEFAULT NULL, client_id text DEFAULT 'default')
RETURNS jsonb LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	problem jsonb := auth._unavailable('auth.login_with_id_token');
	verified record;
	u auth.users;
BEGIN
	IF problem IS NOT NULL THEN
		RETURN problem;
	END IF;
	IF id_token IS NULL THEN
		RETURN auth._error(400, 'invalid_request', 'validation_failed', 'id_token must be given');
	END IF;
	IF auth._client_policy(client_id) IS NULL THEN
		RETURN auth._error(400, 'invalid_client', 'invalid_client', 'unknown client');
	END IF;

	verified := auth._verify_id_token(id_token);
	IF verified.reason IS NULL AND verified.payload ->> 'nonce' IS DISTINCT FROM nonce THEN
		verified.reason := 'bad_nonce';
	END IF;
	IF verified.reason IS NOT NULL THEN
		PERFORM auth._audit('login_failed', NULL, NULL, client_id, jsonb_build_object('reason', verified.reason));
		RETURN auth._error(401, 'invalid_grant', 'bad_jwt', 'the identity token is not accepted');
	END IF;

	u := auth._user_of_identity(verified.issuer, verified.subject, verified.user_id, verified.payload);
	IF u.id IS NULL AND auth._setting('registration') <> 'open' THEN
		PERFORM auth._audit('login_failed', NULL, NULL, client_id, '{"reason": "signup_disabled"}');
		RETURN auth._error(403, 'access_denied', 'signup_disabled', 'no account is linked, and registration is closed');
	END IF;
	IF u.id IS NULL THEN
		PERFORM auth._audit('login_failed', NULL, NULL, client_id, '{"reason": "email_exists"}');
		RETURN auth._error(409, 'invalid_grant', 'email_exists', 'an account with this email already exists and is not linked');
	END IF;
	verified.user_id := u.id;
	-- As in login: whoever disables the user has seen this session, or is seen.
	UPDATE auth.users x SET last_login_at = clock_timestamp() WHERE x.id = u.id AND x.is_active RETURNING * INTO u;
	IF NOT FOUND THEN
		PERFORM auth._audit('login_failed', verified.user_id, NULL, client_id, '{"reason": "user_banned"}');
		RETURN auth._error(400, 'invalid_grant', 'user_banned', 'this account is disabled');
	END IF;
	RETURN auth._open_session(u, client_id, '{fed}');
EXCEPTION WHEN external_routine_exception THEN
	RETURN auth._hook_failed();
END
$$;
COMMENT ON FUNCTION auth.login_with_id_token(text, text, text) IS
'Signs in with a token of a trusted issuer: a token response (RFC 6749 section 5.1), or an error object';

--
-- Clients
--

CREATE FUNCTION auth.set_client(client_id text, audience text DEFAULT NULL,
	access_token_lifetime interval DEFAULT NULL, refresh_token_lifetime interval DEFAULT NULL,
	session_lifetime interval DEFAULT NULL, refresh_tokens boolean DEFAULT true, cookies boolean DEFAULT NULL)
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF client_id IS NULL OR client_id = '' OR length(client_id) > 255 OR refresh_tokens IS NULL OR audience = '' THEN
		RAISE EXCEPTION 'client needs a name of 1 to 255 characters, an audience that is not empty, and whether it gets refresh tokens'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	INSERT INTO auth.clients AS c (client_id, audience, access_token_lifetime, refresh_token_lifetime,
								   session_lifetime, refresh_tokens, cookies)
	VALUES (set_client.client_id, set_client.audience, set_client.access_token_lifetime,
			set_client.refresh_token_lifetime, set_client.session_lifetime, set_client.refresh_tokens, set_client.cookies)
	ON CONFLICT ON CONSTRAINT clients_pkey DO UPDATE
	SET audience = excluded.audience, access_token_lifetime = excluded.access_token_lifetime,
		refresh_token_lifetime = excluded.refresh_token_lifetime, session_lifetime = excluded.session_lifetime,
		refresh_tokens = excluded.refresh_tokens, cookies = excluded.cookies, updated_at = clock_timestamp();
	PERFORM auth._audit('client_set', NULL, NULL, client_id);
EXCEPTION WHEN check_violation THEN
	RAISE EXCEPTION 'lifetimes must be more than zero and at most 50 years' USING ERRCODE = 'invalid_parameter_value';
END
$$;
COMMENT ON FUNCTION auth.set_client(text, text, interval, interval, interval, boolean, boolean) IS
'Creates or replaces a client''s token policy; where an argument is NULL the setting of the same name counts';

CREATE FUNCTION auth.drop_client(client_id text)
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	DELETE FROM auth.clients c WHERE c.client_id = drop_client.client_id;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'no such client' USING ERRCODE = 'no_data_found';
	END IF;
	PERFORM auth._audit('client_dropped', NULL, NULL, client_id);
	PERFORM auth._flush_commit();
END
$$;
COMMENT ON FUNCTION auth.drop_client(text) IS
'Removes a client: its tokens and sessions are refused from now on; "default" goes back to the settings';

--
-- Running it
--

CREATE FUNCTION auth.audit_events(since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL,
	event text DEFAULT NULL, user_id uuid DEFAULT NULL, max_rows int DEFAULT 1000)
RETURNS SETOF auth.audit_log
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	-- Bounds that are always there, so that both indexes serve.
	first timestamptz := coalesce(since, '-infinity');
	last timestamptz := coalesce(until, 'infinity');
BEGIN
	PERFORM auth._check(CASE WHEN max_rows IS NULL OR max_rows < 1 THEN 'max_rows must be at least 1' END);
	IF user_id IS NULL THEN
		RETURN QUERY
		SELECT e.* FROM auth.audit_log e
		WHERE e.at >= first AND e.at < last AND (audit_events.event IS NULL OR e.event = audit_events.event)
		ORDER BY e.at DESC LIMIT max_rows;
	ELSE
		RETURN QUERY
		SELECT e.* FROM auth.audit_log e
		WHERE e.user_id = audit_events.user_id AND e.at >= first AND e.at < last
		  AND (audit_events.event IS NULL OR e.event = audit_events.event)
		ORDER BY e.at DESC LIMIT max_rows;
	END IF;
END
$$;
COMMENT ON FUNCTION auth.audit_events(timestamptz, timestamptz, text, uuid, int) IS
'The audit log, newest first: from since on and before until, where they are not NULL; of one event, of one user';

-- Times of the statement: a volatile function would be computed for every row
-- even where nobody asks for the column.
CREATE VIEW auth.user_status AS
SELECT u.id, u.email, u.username, u.role, u.is_active, u.email_confirmed_at, u.password_hash IS NOT NULL AS has_password,
	   u.created_at, u.updated_at, u.last_login_at,
	   (SELECT count(*) FROM auth.refresh_tokens s
		WHERE s.user_id = u.id AND s.revoked_at IS NULL AND least(s.expires_at, s.session_expires_at) > statement_timestamp())
		   AS live_sessions,
	   (SELECT max(f.locked_until) FROM auth.login_failures f
		WHERE f.identifier_hash IN (auth._identifier_hash(u.email), auth._identifier_hash(u.username),
									auth._identifier_hash(auth._own_identifier(u.id)))
		  AND f.locked_until > statement_timestamp()) AS locked_until
FROM auth.users u;
COMMENT ON VIEW auth.user_status IS
'The users, without hashes and metadata; locked_until is when their next try is heard, where they have to wait';

CREATE VIEW auth.session_status AS
SELECT s.user_id, s.session_id, s.client_id, s.name, s.amr,
	   CASE WHEN s.revoked_at IS NOT NULL THEN 'revoked'
			WHEN least(s.expires_at, s.session_expires_at) <= statement_timestamp() THEN 'expired'
			ELSE 'live' END AS state,
	   s.created_at, s.rotated_at AS last_used_at, least(s.expires_at, s.session_expires_at) AS expires_at,
	   s.revoked_at, s.revoke_reason, s.ip, s.user_agent
FROM auth.refresh_tokens s;
COMMENT ON VIEW auth.session_status IS
'The sessions that prune() has not deleted yet, without what their tokens are made of';

CREATE VIEW auth.metrics AS
SELECT 'jwt_auth_users' AS name, jsonb_build_object('state', CASE WHEN u.is_active THEN 'active' ELSE 'disabled' END) AS labels,
	   count(*)::float8 AS value
FROM auth.users u GROUP BY u.is_active
UNION ALL
SELECT 'jwt_auth_sessions', jsonb_build_object('state', s.state, 'client_id', s.client_id), count(*)
FROM auth.session_status s GROUP BY s.state, s.client_id
UNION ALL
-- Zero is said of those that one would alert on.
SELECT 'jwt_auth_events_last_hour', jsonb_strip_nulls(jsonb_build_object('event', e.event, 'reason', e.reason)), sum(e.n)
FROM (SELECT l.event, CASE WHEN l.event ~ '_failed$' THEN l.details ->> 'reason' END AS reason, 1 AS n
	  FROM auth.audit_log l WHERE l.at > statement_timestamp() - interval '1 hour'
	  UNION ALL
	  VALUES ('login', NULL, 0), ('login_locked', NULL, 0), ('refresh_reused', NULL, 0), ('registered', NULL, 0)) e
GROUP BY e.event, e.reason
UNION ALL
SELECT 'jwt_auth_locked_identifiers', '{}', count(*) FROM auth.login_failures f WHERE f.locked_until > statement_timestamp()
UNION ALL
SELECT 'jwt_auth_key_age_seconds',
	   jsonb_build_object('kid', k.kid, 'purpose', k.purpose, 'algorithm', k.algorithm, 'state', k.state),
	   extract(epoch FROM statement_timestamp() - k.created_at)
FROM auth.key_status k WHERE k.state IN ('pending', 'active', 'verifying')
UNION ALL
SELECT 'jwt_auth_oldest_event_age_seconds', '{}', extract(epoch FROM statement_timestamp() - l.at)
FROM (SELECT min(x.at) AS at FROM auth.audit_log x) l WHERE l.at IS NOT NULL;
COMMENT ON VIEW auth.metrics IS
'Gauges under names and labels such as Prometheus has, each counted when it is read';

CREATE FUNCTION auth._prune_sessions(max_rows int)
RETURNS bigint LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	-- expires_at has no index, so that rotating stays heap-only: the table is
	-- walked through in ranges of 128 MB, and the next call goes on.
	range CONSTANT bigint := 16384;
	pages bigint := pg_relation_size('auth.refresh_tokens') / current_setting('block_size')::int;
	expired timestamptz := clock_timestamp() - auth._setting('leeway')::interval;
	start bigint;
	dead tid[];
	deleted bigint;
BEGIN
	SELECT p.block INTO start FROM auth.prune_position p WHERE p.relation = 'refresh_tokens' FOR UPDATE SKIP LOCKED;
	IF NOT FOUND THEN
		RETURN 0;	-- somebody else is at it
	END IF;
	IF start >= pages THEN
		start := 0;
	END IF;
	-- A session is kept until its last token has expired by itself: until then
	-- one of them that comes back is told as what it is.
	dead := ARRAY(
		SELECT s.ctid FROM auth.refresh_tokens s
		WHERE s.ctid >= format('(%s,0)', start)::tid AND s.ctid < format('(%s,0)', start + range)::tid
		  AND s.expires_at < expired
		LIMIT max_rows FOR UPDATE SKIP LOCKED);
	DELETE FROM auth.refresh_tokens s WHERE s.ctid = ANY (dead);
	GET DIAGNOSTICS deleted = ROW_COUNT;
	UPDATE auth.prune_position p
	SET block = CASE WHEN cardinality(dead) = max_rows THEN (dead[max_rows]::text::point)[0]
					 WHEN start + range < pages THEN start + range ELSE 0 END
	WHERE p.relation = 'refresh_tokens';
	RETURN deleted;
END
$$;
COMMENT ON FUNCTION auth._prune_sessions(int) IS
'Internal: deletes so many expired sessions of the next range of blocks; returns how many';

CREATE FUNCTION auth.prune()
RETURNS TABLE (relation text, deleted bigint)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	batch CONSTANT int := 10000;
	-- NULL: nothing is too old
	oldest timestamptz := clock_timestamp() - nullif(auth._setting('audit_retention')::interval, '0');
	forgotten timestamptz := clock_timestamp() - auth._setting('lockout_duration')::interval;
	dead_keys text[];
BEGIN
	-- The only locks that are waited for are these, first and in the order of
	-- everybody else's; rows that others have locked are left to the next call.  So
	-- no wait is a deadlock.
	LOCK TABLE auth.one_time_tokens, auth.outbox, auth.refresh_tokens, auth.keys IN ROW EXCLUSIVE MODE;
	relation := 'keys';
	-- A revoked key stays for as long as it would have verified: until then its
	-- kid must not come back.
	dead_keys := ARRAY(
		SELECT k.kid FROM auth.keys k
		WHERE greatest(k.superseded_at, k.revoked_at) + k.longest_lifetime + auth._setting('leeway')::interval
			  <= clock_timestamp());
	deleted := 0;
	IF dead_keys <> '{}' THEN
		DELETE FROM auth.keys k WHERE k.kid = ANY (dead_keys);
		GET DIAGNOSTICS deleted = ROW_COUNT;
	END IF;
	RETURN NEXT;

	relation := 'login_failures';
	DELETE FROM auth.login_failures f
	WHERE f.ctid = ANY (ARRAY(
		SELECT x.ctid FROM auth.login_failures x
		WHERE x.last_at < forgotten
		LIMIT batch FOR UPDATE SKIP LOCKED));
	GET DIAGNOSTICS deleted = ROW_COUNT;
	RETURN NEXT;

	relation := 'refresh_tokens';
	deleted := auth._prune_sessions(batch);
	RETURN NEXT;

	relation := 'audit_log';
	DELETE FROM auth.audit_log e
	WHERE e.ctid = ANY (ARRAY(
		SELECT x.ctid FROM auth.audit_log x
		WHERE x.at < oldest
		ORDER BY x.at LIMIT batch FOR UPDATE SKIP LOCKED));
	GET DIAGNOSTICS deleted = ROW_COUNT;
	RETURN NEXT;

	relation := 'message_pace';
	DELETE FROM auth.message_pace p
	WHERE (p.kind, p.name_hash) IN (
		SELECT x.kind, x.name_hash FROM auth.message_pace x
		WHERE x.last_at + auth._setting('message_interval')::interval < clock_timestamp()
		LIMIT batch FOR UPDATE SKIP LOCKED);
	GET DIAGNOSTICS deleted = ROW_COUNT;
	RETURN NEXT;

	relation := 'one_time_tokens';
	DELETE FROM auth.one_time_tokens t
	WHERE (t.user_id, t.purpose) IN (
		SELECT x.user_id, x.purpose FROM auth.one_time_tokens x
		WHERE x.expires_at <= clock_timestamp()
		LIMIT batch FOR UPDATE SKIP LOCKED);
	GET DIAGNOSTICS deleted = ROW_COUNT;
	RETURN NEXT;

	relation := 'outbox';
	deleted := auth._drop_expired_messages();
	RETURN NEXT;
END
$$;
COMMENT ON FUNCTION auth.prune() IS
'Deletes what has expired, at most 10000 rows of a table; returns the count for each';

CREATE FUNCTION auth._members()
RETURNS TABLE (catalog regclass, oid oid) LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
SELECT d.classid, d.objid
FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname = 'jwt_auth'
$$;
COMMENT ON FUNCTION auth._members() IS
'Internal: the objects of this extension';

CREATE FUNCTION auth._table_parts()
RETURNS SETOF text LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off
AS $$
SELECT i.type || ' ' || i.identity
FROM (SELECT m.catalog, a.attrelid AS oid, a.attnum::int AS column, a.attrelid AS relation
	  FROM auth._members() m JOIN pg_attribute a ON a.attrelid = m.oid AND a.attnum > 0 AND NOT a.attisdropped
	  UNION ALL SELECT 'pg_class'::regclass, x.indexrelid, 0, x.indrelid FROM pg_index x
	  UNION ALL SELECT 'pg_trigger'::regclass, t.oid, 0, t.tgrelid FROM pg_trigger t WHERE NOT t.tgisinternal
	  UNION ALL SELECT 'pg_policy'::regclass, p.oid, 0, p.polrelid FROM pg_policy p
	  UNION ALL SELECT 'pg_rewrite'::regclass, r.oid, 0, r.ev_class FROM pg_rewrite r
	  UNION ALL SELECT 'pg_constraint'::regclass, c.oid, 0, c.conrelid FROM pg_constraint c WHERE c.contype IN ('c', 'f', 'p', 'u', 'x')
	  UNION ALL SELECT 'pg_statistic_ext'::regclass, s.oid, 0, s.stxrelid FROM pg_statistic_ext s
	  UNION ALL SELECT 'pg_class'::regclass, h.inhrelid, 0, h.inhparent FROM pg_inherits h) part
CROSS JOIN pg_identify_object(part.catalog, part.oid, part.column) i
WHERE part.relation IN (SELECT m.oid FROM auth._members() m WHERE m.catalog = 'pg_class'::regclass)
$$;
COMMENT ON FUNCTION auth._table_parts() IS
'Internal: the columns of the extension''s tables, and what hangs on them: indexes, triggers, policies, rules, constraints, children';

-- What is there now is what is ours, so all tables and triggers stand above.  A
-- script that changes them makes this anew.
DO $$
BEGIN
	EXECUTE format('CREATE FUNCTION auth._own_table_parts() RETURNS text[] '
				   'LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS %L',
				   format('SELECT %L::text[]', ARRAY(SELECT p FROM auth._table_parts() p ORDER BY p COLLATE "C")));
END
$$;
COMMENT ON FUNCTION auth._own_table_parts() IS
'Internal: what _table_parts() returned when the extension was installed';

CREATE FUNCTION auth._changed_parts(ours boolean)
RETURNS text LANGUAGE sql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
SELECT string_agg(coalesce(o.part, n.part), ', ' ORDER BY coalesce(o.part, n.part) COLLATE "C")
FROM unnest(auth._own_table_parts()) AS o (part) FULL JOIN auth._table_parts() AS n (part) ON n.part = o.part
WHERE CASE WHEN ours THEN n.part IS NULL ELSE o.part IS NULL END
$$;
COMMENT ON FUNCTION auth._changed_parts(boolean) IS
'Internal: parts of the extension''s tables that others have added, or that are ours and gone; or NULL';

CREATE FUNCTION auth._wrong_triggers()
RETURNS text LANGUAGE sql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
SELECT string_agg(format('ALTER TABLE %s ENABLE %sTRIGGER %I', t.tgrelid::regclass,
						 CASE w.enabled WHEN 'A' THEN 'ALWAYS ' ELSE '' END, t.tgname), '; ' ORDER BY t.tgrelid::regclass::text, t.tgname)
FROM auth._members() m
JOIN pg_trigger t ON m.catalog = 'pg_class'::regclass AND t.tgrelid = m.oid
CROSS JOIN LATERAL (SELECT CASE WHEN t.tgfoid = 'auth._changed()'::regprocedure THEN 'A' ELSE 'O' END AS enabled) w
WHERE t.tgenabled::text <> w.enabled
$$;
COMMENT ON FUNCTION auth._wrong_triggers() IS
'Internal: the commands that enable triggers of the extension''s tables as they should be, or NULL';

CREATE FUNCTION auth._grantee(role oid)
RETURNS text LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
SELECT CASE role WHEN 0 THEN 'PUBLIC' ELSE role::regrole::text END
$$;
COMMENT ON FUNCTION auth._grantee(oid) IS
'Internal: what an access list calls a role';

CREATE FUNCTION auth._undue_grants()
RETURNS text LANGUAGE sql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
-- Of tables what no bundle has, and anything of PUBLIC's; of functions also what
-- PUBLIC got at the installation.
SELECT string_agg(format('REVOKE %s ON %s FROM %s', g.privilege, g.object, auth._grantee(g.grantee)), '; '
				  ORDER BY g.object, g.privilege, auth._grantee(g.grantee))
FROM (
	SELECT a.privilege_type AS privilege, 'TABLE ' || c.oid::regclass AS object, a.grantee, c.relowner AS owner, NULL::oid AS function
	FROM pg_class c, aclexplode(c.relacl) a
	UNION ALL
	SELECT format('%s (%I)', a.privilege_type, b.attname), 'TABLE ' || c.oid::regclass, a.grantee, c.relowner, NULL
	FROM pg_class c JOIN pg_attribute b ON b.attrelid = c.oid, aclexplode(b.attacl) a
	UNION ALL
	SELECT a.privilege_type, 'FUNCTION ' || p.oid::regprocedure, a.grantee, p.proowner, p.oid
	FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
	UNION ALL
	SELECT a.privilege_type, 'SCHEMA auth', a.grantee, n.nspowner, NULL
	FROM pg_namespace n, aclexplode(n.nspacl) a WHERE n.nspname = 'auth' AND a.privilege_type <> 'USAGE'
) g
WHERE g.grantee <> g.owner
  AND (g.object = 'SCHEMA auth' OR g.object IN (
		SELECT CASE m.catalog WHEN 'pg_class'::regclass THEN 'TABLE ' || m.oid::regclass ELSE 'FUNCTION ' || m.oid::regprocedure END
		FROM auth._members() m WHERE m.catalog IN ('pg_class'::regclass, 'pg_proc'::regclass)))
  AND NOT EXISTS (SELECT FROM pg_init_privs i, aclexplode(i.initprivs) a
				  WHERE i.classoid = 'pg_proc'::regclass AND i.objoid = g.function AND a.grantee = g.grantee)
  AND (g.grantee = 0 OR (g.object, g.privilege) NOT IN (
		SELECT b.object, unnest(string_to_array(b.privilege, ', ')) FROM auth._bundle('owner') b))
$$;
COMMENT ON FUNCTION auth._undue_grants() IS
'Internal: the commands that take back privileges which neither the installation nor a bundle has given, or NULL';

CREATE FUNCTION auth._lost_grants()
RETURNS text LANGUAGE sql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
SELECT string_agg(l.command, '; ' ORDER BY l.command)
FROM (
	SELECT format('GRANT EXECUTE ON FUNCTION %s TO PUBLIC', i.objoid::regprocedure) AS command
	FROM pg_init_privs i JOIN auth._members() m ON m.catalog = i.classoid AND m.oid = i.objoid, aclexplode(i.initprivs) a
	WHERE i.classoid = 'pg_proc'::regclass AND a.grantee = 0 AND NOT has_function_privilege('public', i.objoid, 'EXECUTE')
	UNION ALL
	SELECT 'GRANT USAGE ON SCHEMA auth TO PUBLIC' WHERE NOT has_schema_privilege('public', 'auth', 'USAGE')
) l
$$;
COMMENT ON FUNCTION auth._lost_grants() IS
'Internal: the commands that give PUBLIC what the installation gave it and somebody has taken back, or NULL';

CREATE FUNCTION auth._roles_beneath()
RETURNS text LANGUAGE sql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
SELECT string_agg(format('%s (%s)', quote_ident(r.rolname), p.rolname), ', ' ORDER BY r.rolname, p.rolname)
FROM pg_roles r JOIN pg_roles p ON p.rolname IN ('pg_read_all_data', 'pg_write_all_data', 'pg_read_server_files',
												 'pg_write_server_files', 'pg_execute_server_program')
WHERE NOT r.rolsuper AND r.rolname !~ '^pg_' AND pg_has_role(r.oid, p.oid, 'MEMBER')
$$;
COMMENT ON FUNCTION auth._roles_beneath() IS
'Internal: the roles that read or write all tables or the server''s files without being superusers, or NULL';

CREATE FUNCTION auth._settings_that_log()
RETURNS text LANGUAGE sql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
-- Those in force here, and those that other roles get in this database.
WITH s AS (
	SELECT p.name, p.setting AS value, '' AS scope FROM pg_settings p
	UNION
	SELECT split_part(c, '=', 1), substr(c, strpos(c, '=') + 1), coalesce(' for role ' || nullif(d.setrole, 0)::regrole, ' for the database')
	FROM pg_db_role_setting d, unnest(d.setconfig) c
	WHERE d.setdatabase IN (0, (SELECT b.oid FROM pg_database b WHERE b.datname = current_database())))
SELECT string_agg(format('%s = %s%s', s.name, s.value, s.scope), ', ' ORDER BY s.name, s.scope)
FROM s
WHERE current_setting('log_parameter_max_length') <> '0'
	  AND (s.name = 'log_statement' AND s.value = 'all'
		   OR s.name IN ('log_min_duration_statement', 'log_min_duration_sample') AND s.value <> '-1'
		   OR s.name = 'log_transaction_sample_rate' AND s.value <> '0')
   OR s.name = 'log_parameter_max_length_on_error' AND s.value <> '0'
   OR s.name = 'auto_explain.log_min_duration' AND s.value <> '-1'
	  AND current_setting('auto_explain.log_parameter_max_length', true) <> '0'
   OR s.name = 'pgaudit.log_parameter' AND s.value = 'on'
$$;
COMMENT ON FUNCTION auth._settings_that_log() IS
'Internal: the settings with which the server logs the parameters of statements, or NULL';

CREATE FUNCTION auth._hook_problem()
RETURNS text LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'jwt_auth_hook_problem';
COMMENT ON FUNCTION auth._hook_problem() IS
'Internal: the setting that names a hook which cannot be called, or NULL';

CREATE FUNCTION auth._settings_that_fail()
RETURNS text LANGUAGE sql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
SELECT string_agg(f.problem, ', ' ORDER BY f.problem)
FROM (
	SELECT 'default_role: ' || auth._role_problem(auth._setting('default_role')::name)
	UNION ALL
	SELECT format('audience: client "%s" has another one', c.client_id)
	FROM auth.clients c WHERE auth._setting('audience') NOT IN ('', c.audience)
	UNION ALL
	SELECT format('issuer: "%s" is trusted as an outside one', i.issuer) FROM auth.issuers i WHERE i.issuer = auth._setting('issuer')
	UNION ALL
	SELECT format('allowed_algorithms: not that of the key "%s", which signs', k.kid)
	FROM auth.key_status k
	WHERE k.state = 'active' AND auth._successor_algorithm(k.algorithm, k.purpose) <> k.algorithm
	UNION ALL
	SELECT format('client_ip_header: "%s" is no header''s name', auth._setting('client_ip_header'))
	WHERE auth._setting('client_ip_header') !~ '^[A-Za-z0-9-]*$'
	UNION ALL
	SELECT auth._hook_problem()
) AS f (problem)
$$;
COMMENT ON FUNCTION auth._settings_that_fail() IS
'Internal: the settings with which logins or tokens fail, or NULL';

CREATE FUNCTION auth.check_setup()
RETURNS TABLE (item text, ok boolean, hint text)
LANGUAGE sql STABLE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
SELECT c.item, c.found IS NULL, CASE WHEN c.found IS NOT NULL THEN format(c.hint, c.found) END
FROM (VALUES
	('preloading',
	 CASE WHEN NOT EXISTS (SELECT FROM unnest(string_to_array(current_setting('shared_preload_libraries'), ',')) l
						   WHERE l ~ '^[ "]*(.*/)?jwt_auth([.]so)?[ "]*$') THEN '' END,
	 'Add jwt_auth to shared_preload_libraries and restart the server: until then rolled back guesses do not count, and a job of yours has to call auth.prune().'),
	('issuer', CASE auth._setting('issuer') WHEN '' THEN '' END,
	 'Set jwt_auth.issuer, or tokens of this database are not told from others'' with the same keys.'),
	('master key file',
	 CASE WHEN auth._setting('master_key_file') !~ '^/'
			   OR starts_with(auth._setting('master_key_file'), rtrim(current_setting('data_directory'), '/') || '/')
		  THEN auth._setting('master_key_file') END,
	 'Move "%s" out of the data directory: every base backup has the key beside what it opens.'),
	('settings', auth._settings_that_fail(), 'Change these settings, or what they do not go with: %s.'),
	('audit', CASE auth._setting('audit') WHEN 'none' THEN '' END, 'Set jwt_auth.audit to "changes", or nothing is on record.'),
	('bcrypt_cost', CASE WHEN auth._setting('bcrypt_cost')::int < 10 THEN auth._setting('bcrypt_cost') END,
	 'Raise jwt_auth.bcrypt_cost from %s to 10 or more; hashes are renewed at the next login.'),
	('logged parameters', auth._settings_that_log(),
	 'Turn these off, or set log_parameter_max_length to 0: the server logs passwords and tokens that are passed as parameters: %s.'),
	('added to the tables', auth._changed_parts(false),
	 'Drop what is not the extension''s, because no dump has it; use tables of your own that reference auth.users (id): %s.'),
	('missing from the tables', auth._changed_parts(true),
	 'Restore a dump into a fresh installation: it makes these again: %s.'),
	('triggers', auth._wrong_triggers(), 'Triggers are off, as after pg_restore --disable-triggers. Run: %s.'),
	('privileges given', auth._undue_grants(), 'Somebody was given more than a bundle has. Run: %s.'),
	('privileges taken', auth._lost_grants(), 'Policies and sessions need what PUBLIC had at the installation. Run: %s.'),
	('roles beneath', auth._roles_beneath(), 'Revoke these memberships; whoever has them reads or writes hashes and keys: %s.'),
	('pgcrypto', (SELECT quote_ident(r.rolname) FROM pg_extension e JOIN pg_roles r ON r.oid = e.extowner
				  WHERE e.extname = 'pgcrypto' AND NOT r.rolsuper),
	 'Who owns pgcrypto can drop it, and with it this extension and its users. Move all that the role owns here: REASSIGN OWNED BY %s TO a superuser.'),
	('pruning', (SELECT 'audit_log' FROM auth.audit_log l
				 WHERE l.at < statement_timestamp() - nullif(auth._setting('audit_retention')::interval, '0') - interval '1 day' LIMIT 1),
	 'Expired rows stay in %s: preload the library with jwt_auth.prune_interval above 0, or call auth.prune() in a job.'),
	('autovacuum', (SELECT c.relname::text FROM pg_class c
					WHERE c.oid = 'auth.refresh_tokens'::regclass
					  AND (NOT current_setting('autovacuum')::boolean OR 'autovacuum_enabled=false' = ANY (c.reloptions)
						   OR pg_stat_get_dead_tuples(c.oid) > greatest(10000, pg_stat_get_live_tuples(c.oid)))),
	 'Autovacuum is off or falls behind on auth.%s: look for old transactions and replication slots, or give it a lower autovacuum_vacuum_scale_factor.')
) AS c (item, found, hint)
$$;
COMMENT ON FUNCTION auth.check_setup() IS
'What of this installation is not as it should be, and what to do about it';

CREATE FUNCTION auth._bundle(bundle text)
RETURNS TABLE (privilege text, object text) LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
SELECT 'EXECUTE', 'FUNCTION ' || b.function::regprocedure
FROM (VALUES
	('client', 'auth.register(text, text, text, jsonb)'),
	('client', 'auth.login(text, text, text, text)'),
	('client', 'auth.rotate_refresh_token(text)'),
	('client', 'auth.refresh(text)'),
	('client', 'auth.revoke_refresh_token(text)'),
	('client', 'auth.introspect(text)'),
	('client', 'auth.token(text, text, text, text, text, text)'),
	('admin', 'auth.set_active(uuid, boolean)'),
	('admin', 'auth.set_password(uuid, text)'),
	('admin', 'auth.set_user_role(uuid, name)'),
	('admin', 'auth.set_app_metadata(uuid, jsonb)'),
	('admin', 'auth.revoke_sessions(uuid)'),
	('admin', 'auth.unlock_user(uuid)'),
	('admin', 'auth.create_user(text, text, text, name, jsonb, jsonb, timestamptz)'),
	('admin', 'auth.import_user(text, text, uuid, text, name, jsonb, jsonb, timestamptz, timestamptz, boolean)'),
	('admin', 'auth.create_session(uuid, text, text, interval, text[])'),
	('admin', 'auth.issue_access_token(uuid, text, jsonb, interval)'),
	('admin', 'auth.export_user(uuid)'),
	('admin', 'auth.delete_user(uuid)'),
	('admin', 'auth.set_client(text, text, interval, interval, interval, boolean, boolean)'),
	('admin', 'auth.drop_client(text)'),
	('admin', 'auth.prune()'),
	('admin', 'auth.check_setup()'),
	('admin', 'auth.audit_events(timestamptz, timestamptz, text, uuid, int)'),
	('monitor', 'auth.audit_events(timestamptz, timestamptz, text, uuid, int)'),
	('keys', 'auth.jwt_sign(jsonb)'),
	('keys', 'auth.create_key(text, text, interval)'),
	('keys', 'auth.rotate_key(text, interval)'),
	('keys', 'auth.import_key(jsonb, text, boolean)'),
	('keys', 'auth.import_pem(text, text, text, text, boolean)'),
	('keys', 'auth.import_secret(text, text, text, text, boolean)'),
	('keys', 'auth.revoke_key(text)'),
	('keys', 'auth.revoke_all(text)'),
	('keys', 'auth.rewrap_keys()'),
	('keys', 'auth.trust_issuer(text, jsonb, text[], text[], text, name[])'),
	('keys', 'auth.distrust_issuer(text)'),
	('admin', 'auth.link_identity(uuid, text, text)'),
	('admin', 'auth.unlink_identity(text, text)'),
	('client', 'auth.login_with_id_token(text, text, text)'),
	('client', 'auth.request_password_reset(text)'),
	('client', 'auth.request_magic_link(text)'),
	('client', 'auth.request_email_confirmation(text)'),
	('client', 'auth.reset_password(text, text)'),
	('client', 'auth.login_with_magic_link(text, text)'),
	('client', 'auth.confirm_email(text)'),
	('client', 'auth.accept_invitation(text, text, text, jsonb)'),
	('admin', 'auth.invite_user(text, name, jsonb, jsonb)'),
	('mailer', 'auth.take_messages(int)'),
	-- what the views call
	('monitor', 'auth._setting(text)'),
	('monitor', 'auth._identifier_hash(text)'),
	('monitor', 'auth._own_identifier(uuid)'),
	('authenticator', 'auth.pre_config()'),
	('owner', 'auth.create_api(name, name, name, name, text)'),
	('owner', 'auth.grant_access(name, text)'),
	('owner', 'auth.revoke_access(name, text)'),
	-- what create_api, grant_access and revoke_access call
	('owner', 'auth._bundle(text)'),
	('owner', 'auth._change_access(text, name, text)'),
	('owner', 'auth._audit_owner(text, jsonb)'),
	('owner', 'auth._api_role(name, text)'),
	('owner', 'auth._api_schema(name)'),
	('owner', 'auth._api_function(name, text, text, text, text, text, text, text)'),
	('owner', 'auth._client_policy(text)'),
	('owner', 'auth._ensure_key(text)')
) AS b (bundle, function)
WHERE b.bundle = _bundle.bundle OR _bundle.bundle = 'owner'
UNION
SELECT t.privilege, 'TABLE ' || t.relation::regclass
FROM (VALUES
	('monitor', 'SELECT', 'auth.key_status'),
	('monitor', 'SELECT', 'auth.user_status'),
	('monitor', 'SELECT', 'auth.session_status'),
	('monitor', 'SELECT', 'auth.metrics'),
	('admin', 'DELETE, SELECT (id)', 'auth.users')	-- which delete_user needs
) AS t (bundle, privilege, relation)
WHERE t.bundle = _bundle.bundle OR _bundle.bundle = 'owner'
$$;
COMMENT ON FUNCTION auth._bundle(text) IS
'Internal: the privileges of a bundle of grants';

CREATE FUNCTION auth._audit_owner(event text, details jsonb)
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM auth._check(CASE WHEN event IS NULL OR event NOT IN ('access_granted', 'access_revoked', 'api_created')
							 THEN 'no such event' END);
	PERFORM auth._audit(event, details => details);
END
$$;
COMMENT ON FUNCTION auth._audit_owner(text, jsonb) IS
'Internal: records what the functions below do, which may not write the audit log themselves';

-- From here on functions are SECURITY INVOKER: they do what their caller may do,
-- so that nothing grants, creates roles, or runs the triggers of an
-- application's tables, in the name of somebody else.

CREATE FUNCTION auth.delete_user(user_id uuid)
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	DELETE FROM auth.users u WHERE u.id = delete_user.user_id;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'no such user' USING ERRCODE = 'no_data_found';
	END IF;
END
$$;
COMMENT ON FUNCTION auth.delete_user(uuid) IS
'Deletes a user with sessions, links and whatever of the application''s cascades';

CREATE FUNCTION auth._change_access(command text, grantee name, bundle text)
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	pattern text := CASE command WHEN 'grant' THEN 'GRANT %s ON %s TO %I' ELSE 'REVOKE %s ON %s FROM %I' END;
	suffix text := '';
	item record;
BEGIN
	IF grantee IS NULL THEN
		RAISE EXCEPTION 'grantee must not be NULL' USING ERRCODE = 'invalid_parameter_value';
	END IF;
	IF NOT EXISTS (SELECT FROM auth._bundle(bundle)) THEN
		RAISE EXCEPTION 'bundle must be "client", "admin", "keys", "mailer", "monitor", "authenticator" or "owner"'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	IF bundle = 'owner' THEN
		-- An owner runs create_api, and so hands functions on.  No REFERENCES
		-- on users: a foreign key casts as the owner of the table it points
		-- to, so a type of one's own would run code as that.
		suffix := CASE command WHEN 'grant' THEN ' WITH GRANT OPTION' ELSE ' CASCADE' END;
	END IF;
	-- First: whoever takes the bundle from themselves cannot afterwards.
	PERFORM auth._audit_owner(CASE command WHEN 'grant' THEN 'access_granted' ELSE 'access_revoked' END,
							  jsonb_build_object('grantee', grantee, 'bundle', bundle));
	FOR item IN SELECT * FROM auth._bundle(bundle) LOOP
		EXECUTE format(pattern, item.privilege, item.object, grantee) || suffix;
	END LOOP;
END
$$;
COMMENT ON FUNCTION auth._change_access(text, name, text) IS
'Internal: grants or revokes a bundle';

CREATE FUNCTION auth.grant_access(grantee name, bundle text)
RETURNS void LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$ SELECT auth._change_access('grant', grantee, bundle) $$;
COMMENT ON FUNCTION auth.grant_access(name, text) IS
'Gives a role the functions and views of a bundle: client, admin, keys, mailer, monitor, authenticator or owner';

CREATE FUNCTION auth.revoke_access(grantee name, bundle text)
RETURNS void LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$ SELECT auth._change_access('revoke', grantee, bundle) $$;
COMMENT ON FUNCTION auth.revoke_access(name, text) IS
'Takes back what grant_access gave';

CREATE FUNCTION auth._api_role(role name, attributes text)
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = role) THEN
		EXECUTE format('CREATE ROLE %I %s', role, attributes);
	ELSIF EXISTS (SELECT FROM pg_roles r WHERE r.rolname = role AND (r.rolsuper OR r.rolbypassrls)) THEN
		RAISE EXCEPTION 'role "%" passes every policy and cannot serve requests', role
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
END
$$;
COMMENT ON FUNCTION auth._api_role(name, text) IS
'Internal: makes a role where it is missing';

CREATE FUNCTION auth._api_schema(schema_name name)
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF schema_name ~ '^(auth$|information_schema$|pg_)' THEN
		RAISE EXCEPTION 'schema "%" is not for endpoints', schema_name
			USING ERRCODE = 'invalid_parameter_value';
	ELSIF NOT EXISTS (SELECT FROM pg_namespace n WHERE n.nspname = schema_name) THEN
		EXECUTE format('CREATE SCHEMA %I', schema_name);
	ELSIF NOT EXISTS (SELECT FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner
					  WHERE n.nspname = schema_name AND (r.rolsuper OR r.rolname = current_user)) THEN
		RAISE EXCEPTION 'schema "%" belongs to another role', schema_name
			USING ERRCODE = 'insufficient_privilege';
	ELSIF EXISTS (SELECT FROM pg_namespace n, aclexplode(n.nspacl) a
				  WHERE n.nspname = schema_name AND a.privilege_type = 'CREATE' AND a.grantee <> n.nspowner) THEN
		RAISE EXCEPTION 'other roles may create objects in schema "%"', schema_name
			USING ERRCODE = 'insufficient_privilege',
				  HINT = 'Revoke CREATE on the schema first.';
	END IF;
END
$$;
COMMENT ON FUNCTION auth._api_schema(name) IS
'Internal: makes a schema where it is missing';

CREATE FUNCTION auth._api_function(schema_name name, function_name text, types text, parameters text,
	returns_and_options text, body text, description text, callers text)
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	signature text := format('%I.%I(%s)', schema_name, function_name, types);
	mark constant text := '-- An endpoint of auth.create_api(), which replaces it.';
	stale regprocedure;
BEGIN
	FOR stale IN
		SELECT p.oid FROM pg_proc p
		WHERE p.pronamespace = quote_ident(schema_name)::regnamespace AND p.proname = function_name
		  AND starts_with(p.prosrc, mark) AND p.oid IS DISTINCT FROM to_regprocedure(signature)
	LOOP
		EXECUTE 'DROP FUNCTION ' || stale;
	END LOOP;
	-- CREATE OR REPLACE keeps the owner, who could change it again.
	IF EXISTS (SELECT FROM pg_proc p JOIN pg_roles r ON r.oid = p.proowner
			   WHERE p.oid = to_regprocedure(signature) AND r.rolname <> current_user) THEN
		RAISE EXCEPTION 'function % belongs to another role', signature
			USING ERRCODE = 'insufficient_privilege';
	END IF;
	EXECUTE format('CREATE OR REPLACE FUNCTION %I.%I(%s) RETURNS %s LANGUAGE sql SET search_path = pg_catalog, pg_temp AS %L',
				   schema_name, function_name, parameters, returns_and_options, concat(mark, E'\n', body));
	EXECUTE format('COMMENT ON FUNCTION %s IS %L', signature, description);
	EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', signature);
	EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s', signature, callers);
END
$$;
COMMENT ON FUNCTION auth._api_function(name, text, text, text, text, text, text, text) IS
'Internal: makes one endpoint, or brings it up to date; one of the same name with other arguments goes';

CREATE FUNCTION auth._openapi_schema(type oid)
RETURNS jsonb LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
SELECT CASE
	WHEN t.typtype = 'd' THEN auth._openapi_schema(t.typbasetype)
	WHEN t.typcategory = 'A' THEN jsonb_build_object('type', 'array', 'items', auth._openapi_schema(t.typelem))
	WHEN t.typtype = 'e' THEN jsonb_build_object('type', 'string', 'enum',
		(SELECT jsonb_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid))
	WHEN t.typname IN ('json', 'jsonb') THEN '{}'
	WHEN t.typname IN ('int2', 'int4', 'int8') THEN '{"type": "integer"}'
	WHEN t.typname IN ('float4', 'float8', 'numeric') THEN '{"type": "number"}'
	WHEN t.typname = 'bool' THEN '{"type": "boolean"}'
	WHEN t.typname = 'uuid' THEN '{"type": "string", "format": "uuid"}'
	WHEN t.typname = 'date' THEN '{"type": "string", "format": "date"}'
	WHEN t.typname = 'timestamptz' THEN '{"type": "string", "format": "date-time"}'
	ELSE '{"type": "string"}'
END
FROM pg_type t WHERE t.oid = type
$$;
COMMENT ON FUNCTION auth._openapi_schema(oid) IS
'Internal: how a type reads in JSON';

CREATE FUNCTION auth._openapi_operation(comment text, more jsonb)
RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
SELECT jsonb_strip_nulls(jsonb_build_object(
	'summary', split_part(comment, E'\n', 1),
	'description', nullif(btrim(substr(comment, strpos(comment || E'\n', E'\n')), E'\n'), ''),
	'responses', '{"default": {"description": "JSON"}}'::jsonb)) || more
$$;
COMMENT ON FUNCTION auth._openapi_operation(text, jsonb) IS
'Internal: an operation of the OpenAPI document; the first line of a comment is its summary';

CREATE FUNCTION auth._openapi_functions(schema oid)
RETURNS TABLE (path text, item jsonb) LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
WITH callable AS (
	SELECT p.oid, p.proname, p.provolatile = 'v' AS writes, coalesce(obj_description(p.oid, 'pg_proc'), p.proname) AS comment,
		   p.proargnames, p.proargmodes, coalesce(p.proallargtypes, p.proargtypes::oid[]) AS types,
		   p.pronargs - p.pronargdefaults AS required
	FROM pg_proc p
	WHERE p.pronamespace = schema AND p.prokind = 'f' AND has_function_privilege(p.oid, 'EXECUTE')
	  AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
), argument AS (
	SELECT c.oid, a.name, auth._openapi_schema(a.type) AS schema,
		   row_number() OVER (PARTITION BY c.oid ORDER BY a.n) AS n,
		   row_number() OVER (PARTITION BY c.oid ORDER BY a.n) <= c.required AS required
	FROM callable c, unnest(c.types, c.proargnames, c.proargmodes) WITH ORDINALITY AS a (type, name, mode, n)
	WHERE coalesce(a.mode, 'i') IN ('i', 'b', 'v')
)
SELECT '/rpc/' || c.proname,
	   CASE WHEN c.writes THEN jsonb_build_object('post', auth._openapi_operation(c.comment, jsonb_build_object(
			'requestBody', jsonb_build_object('content', jsonb_build_object(
				'application/json', body.schema, 'application/x-www-form-urlencoded', body.schema)))))
	   ELSE jsonb_build_object('get', auth._openapi_operation(c.comment, jsonb_build_object(
			'parameters', coalesce(a.parameters, '[]')))) END
FROM callable c
CROSS JOIN LATERAL (
	SELECT jsonb_object_agg(x.name, x.schema) FILTER (WHERE x.name <> '') AS properties,
		   jsonb_agg(x.name ORDER BY x.n) FILTER (WHERE x.required) AS required,
		   jsonb_agg(jsonb_build_object('name', x.name, 'in', 'query', 'required', x.required, 'schema', x.schema)
					 ORDER BY x.n) AS parameters,
		   coalesce(bool_and(coalesce(x.name, '') <> ''), true) AS all_named
	FROM argument x WHERE x.oid = c.oid
) a
CROSS JOIN LATERAL (
	SELECT jsonb_build_object('schema', jsonb_build_object('type', 'object', 'properties', coalesce(a.properties, '{}'))
		   || CASE WHEN a.required IS NULL THEN '{}' ELSE jsonb_build_object('required', a.required) END) AS schema
) body
WHERE a.all_named	-- PostgREST passes arguments by name
$$;
COMMENT ON FUNCTION auth._openapi_functions(oid) IS
'Internal: the functions of a schema that the caller may call, as path items of the OpenAPI document';

CREATE FUNCTION auth._openapi_relations(schema oid)
RETURNS TABLE (path text, item jsonb) LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
WITH relation AS (
	SELECT c.oid, c.relname, coalesce(obj_description(c.oid, 'pg_class'), c.relname) AS comment,
		   jsonb_object_agg(a.attname, auth._openapi_schema(a.atttypid)
				|| jsonb_strip_nulls(jsonb_build_object('description', col_description(c.oid, a.attnum)))) AS properties,
		   jsonb_agg(a.attname ORDER BY a.attnum) FILTER (WHERE a.attnotnull AND NOT a.atthasdef AND a.attidentity = '') AS required,
		   jsonb_agg(jsonb_build_object('name', a.attname, 'in', 'query', 'schema', '{"type": "string"}'::jsonb)
					 ORDER BY a.attnum) AS filters
	FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
	WHERE c.relnamespace = schema AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
	  AND has_column_privilege(c.oid, a.attnum, 'SELECT, INSERT, UPDATE')
	GROUP BY c.oid, c.relname
), operation AS (
	SELECT r.relname, r.comment, m.method,
		   CASE WHEN m.body THEN jsonb_build_object('requestBody', jsonb_build_object('content', jsonb_build_object(
				'application/json', jsonb_build_object('schema', jsonb_build_object('type', 'object', 'properties', r.properties)
					|| CASE WHEN m.method = 'post' AND r.required IS NOT NULL
							THEN jsonb_build_object('required', r.required) ELSE '{}' END)))) ELSE '{}' END
		   || CASE WHEN m.method = 'post' THEN '{}' ELSE jsonb_build_object('parameters', r.filters || m.parameters) END AS details
	FROM relation r
	CROSS JOIN LATERAL (VALUES
		('get', has_any_column_privilege(r.oid, 'SELECT'), false,
		 '[{"name": "select", "in": "query", "schema": {"type": "string"}}, {"name": "order", "in": "query", "schema": {"type": "string"}},
		   {"name": "limit", "in": "query", "schema": {"type": "integer"}}, {"name": "offset", "in": "query", "schema": {"type": "integer"}}]'::jsonb),
		('post', has_any_column_privilege(r.oid, 'INSERT'), true, '[]'),
		('patch', has_any_column_privilege(r.oid, 'UPDATE'), true, '[]'),
		('delete', has_table_privilege(r.oid, 'DELETE'), false, '[]')
	) AS m (method, allowed, body, parameters)
	WHERE m.allowed
)
SELECT '/' || o.relname, jsonb_object_agg(o.method, auth._openapi_operation(o.comment, o.details))
FROM operation o
GROUP BY o.relname
$$;
COMMENT ON FUNCTION auth._openapi_relations(oid) IS
'Internal: the tables and views of a schema that the caller may use, as path items of the OpenAPI document';

CREATE FUNCTION auth.openapi(schema_name name)
RETURNS jsonb LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
SELECT jsonb_strip_nulls(jsonb_build_object(
		'openapi', '3.0.3',
		'info', jsonb_build_object('version', '1', 'title', n.nspname, 'description', obj_description(n.oid, 'pg_namespace')),
		'servers', CASE WHEN base.path <> '' THEN jsonb_build_array(jsonb_build_object('url', base.path)) END))
	|| jsonb_build_object(
		'security', '[{}, {"password": []}]'::jsonb,
		'components', jsonb_build_object('securitySchemes', jsonb_build_object('password', jsonb_build_object(
			'type', 'oauth2', 'flows', jsonb_build_object('password', jsonb_build_object(
				'tokenUrl', base.path || '/rpc/token', 'refreshUrl', base.path || '/rpc/token', 'scopes', '{}'::jsonb))))),
		'paths', (SELECT coalesce(jsonb_object_agg(x.path, x.item), '{}')
				  FROM (SELECT * FROM auth._openapi_relations(n.oid)
						UNION ALL SELECT * FROM auth._openapi_functions(n.oid)) x))
FROM pg_namespace n,
	 -- not by _setting(): this is to show what the caller may do, so it is the caller's
	 rtrim(coalesce(current_setting('jwt_auth.base_path', true), ''), '/') AS base (path)
WHERE n.nspname = schema_name
$$;
COMMENT ON FUNCTION auth.openapi(name) IS
'What the caller may do in a schema that PostgREST serves, as an OpenAPI 3 document with a way to sign in (db-root-spec)';

CREATE FUNCTION auth.create_api(schema_name name DEFAULT 'api', anon name DEFAULT 'anon',
	authenticated name DEFAULT 'authenticated', authenticator name DEFAULT 'authenticator',
	client_id text DEFAULT 'default')
RETURNS text LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	anyone text := format('%I, %I', anon, authenticated);
	person text := format('%I', authenticated);
BEGIN
	IF auth._client_policy(client_id) IS NULL THEN
		RAISE EXCEPTION 'unknown client' USING ERRCODE = 'invalid_parameter_value';
	END IF;
	IF concat(schema_name, anon, authenticator) ~ E'["\\\\[:cntrl:]]' THEN
		RAISE EXCEPTION 'names must not have quotes, backslashes or control characters: postgrest.conf cannot hold them'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	PERFORM auth._api_role(anon, 'NOLOGIN'), auth._api_role(authenticated, 'NOLOGIN'),
			auth._api_role(authenticator, 'LOGIN NOINHERIT'), auth._api_schema(schema_name);
	EXECUTE format('GRANT %s TO %I', anyone, authenticator);
	EXECUTE format('GRANT USAGE ON SCHEMA %I TO %s', schema_name, anyone);
	PERFORM auth.grant_access(authenticator, 'authenticator');
	PERFORM auth._ensure_key('access');
	PERFORM auth._audit_owner('api_created', jsonb_build_object('schema', schema_name, 'client_id', client_id));

	-- The client is fixed here: a caller cannot choose another one's policy.
	PERFORM auth._api_function(schema_name, 'register', 'text, text, text, jsonb',
		'email text, password text, username text DEFAULT NULL, user_metadata jsonb DEFAULT ''{}''',
		'jsonb SECURITY DEFINER', 'SELECT auth.register(email, password, username, user_metadata)',
		E'Create an account\n\nTakes email, password, and where wanted username and user_metadata (a JSON object). Answers the account.',
		anyone);
	PERFORM auth._api_function(schema_name, 'login', 'text, text, text',
		'email text DEFAULT NULL, password text DEFAULT NULL, username text DEFAULT NULL',
		'jsonb SECURITY DEFINER', format('SELECT auth.login(email, password, username, %L)', client_id),
		E'Sign in\n\nTakes email or username, and password. Answers an access token and a refresh token, or sets cookies.', anyone);
	PERFORM auth._api_function(schema_name, 'refresh', 'text', 'refresh_token text DEFAULT NULL',
		'jsonb SECURITY DEFINER', 'SELECT auth.refresh(refresh_token)',
		E'Exchange a refresh token for new tokens\n\nTakes refresh_token; without it that of the cookie.', anyone);
	PERFORM auth._api_function(schema_name, 'logout', 'text', 'scope text DEFAULT ''all''',
		'int', 'SELECT auth.logout(scope)',
		E'End sessions\n\nTakes scope: session (this one), others, or all. Answers how many have ended.', person);
	PERFORM auth._api_function(schema_name, 'me', '', '',
		'jsonb STABLE', 'SELECT auth.me()',
		'The account that is signed in', person);
	PERFORM auth._api_function(schema_name, 'change_password', 'text, text', 'old_password text, new_password text',
		'jsonb', 'SELECT auth.change_password(old_password, new_password)',
		E'Change the password\n\nTakes old_password and new_password. Ends the other sessions.', person);
	PERFORM auth._api_function(schema_name, 'update_me', 'jsonb, text',
		'user_metadata jsonb DEFAULT NULL, username text DEFAULT NULL',
		'jsonb', 'SELECT auth.update_me(user_metadata, username)',
		E'Change the account\n\nTakes user_metadata, username or both, and replaces them. Answers the account.', person);
	PERFORM auth._api_function(schema_name, 'sessions', '', '',
		'TABLE (session_id uuid, client_id text, name text, created_at timestamptz, last_used_at timestamptz,
				expires_at timestamptz, ip inet, user_agent text, is_current boolean) STABLE',
		'SELECT * FROM auth.sessions()',
		'The sessions of the account that is signed in', person);
	PERFORM auth._api_function(schema_name, 'revoke_session', 'uuid', 'session_id uuid',
		'boolean', 'SELECT auth.revoke_session(session_id)',
		E'End one session\n\nTakes session_id, one of those that sessions answers.', person);
	PERFORM auth._api_function(schema_name, 'revoke', 'text, text', 'token text, token_type_hint text DEFAULT NULL',
		'void SECURITY DEFINER', 'SELECT auth.revoke_refresh_token(token)',
		E'End the session of a refresh token\n\nTakes token (RFC 7009). What is no such token is no error.', anyone);
	PERFORM auth._api_function(schema_name, 'token', 'text, text, text, text, text, text',
		'grant_type text, username text DEFAULT NULL, password text DEFAULT NULL, refresh_token text DEFAULT NULL,
		 client_id text DEFAULT NULL, scope text DEFAULT NULL',
		'jsonb SECURITY DEFINER', format('SELECT auth.token(grant_type, username, password, refresh_token, %L, scope)', client_id),
		E'The OAuth 2 token endpoint\n\nTakes a form: grant_type password with username (or email) and password, or grant_type '
		 'refresh_token with refresh_token (RFC 6749). client_id, scope and HTTP Basic are not looked at.', anyone);
	PERFORM auth._api_function(schema_name, 'introspect', 'text, text', 'token text, token_type_hint text DEFAULT NULL',
		'jsonb SECURITY DEFINER', 'SELECT auth.introspect(token)',
		E'Whether a token is good at this moment\n\nTakes token, of either kind, and answers its claims with it (RFC 7662).', person);
	PERFORM auth._api_function(schema_name, 'jwks', '', '',
		'jsonb STABLE', 'SELECT auth.jwks()',
		'The public keys that access tokens verify with', anyone);
	PERFORM auth._api_function(schema_name, 'openid_configuration', 'text', 'base_url text',
		'jsonb STABLE', 'SELECT auth.openid_configuration(base_url)',
		E'The OpenID Connect discovery document\n\nTakes base_url, the address at which clients reach this API.', anyone);
	PERFORM auth._api_function(schema_name, 'openapi', '', '',
		'jsonb STABLE', format('SELECT auth.openapi(%L)', schema_name),
		'This document', anyone);
	PERFORM auth._api_function(schema_name, 'login_with_id_token', 'text, text', 'id_token text, nonce text DEFAULT NULL',
		'jsonb SECURITY DEFINER', format('SELECT auth.login_with_id_token(id_token, nonce, %L)', client_id),
		E'Sign in with a token of an identity provider\n\nTakes id_token, and the nonce that it was asked for with. Answers as login.', anyone);
	PERFORM auth._api_function(schema_name, 'request_password_reset', 'text', 'email text',
		'jsonb SECURITY DEFINER', 'SELECT auth.request_password_reset(email)',
		'Ask for a mail with a token for reset_password', anyone);
	PERFORM auth._api_function(schema_name, 'reset_password', 'text, text', 'token text, new_password text',
		'jsonb SECURITY DEFINER', 'SELECT auth.reset_password(token, new_password)',
		'Set a password with that token, and end all sessions', anyone);
	PERFORM auth._api_function(schema_name, 'request_magic_link', 'text', 'email text',
		'jsonb SECURITY DEFINER', 'SELECT auth.request_magic_link(email)',
		'Ask for a mail with a token for login_with_magic_link', anyone);
	PERFORM auth._api_function(schema_name, 'login_with_magic_link', 'text', 'token text',
		'jsonb SECURITY DEFINER', format('SELECT auth.login_with_magic_link(token, %L)', client_id),
		'Sign in with that token', anyone);
	PERFORM auth._api_function(schema_name, 'request_email_confirmation', 'text', 'email text',
		'jsonb SECURITY DEFINER', 'SELECT auth.request_email_confirmation(email)',
		'Ask for a mail with a token for confirm_email', anyone);
	PERFORM auth._api_function(schema_name, 'request_email_change', 'text', 'email text',
		'jsonb', 'SELECT auth.request_email_change(email)',
		'The same for a new address of the account that is signed in', person);
	PERFORM auth._api_function(schema_name, 'confirm_email', 'text', 'token text',
		'jsonb SECURITY DEFINER', 'SELECT auth.confirm_email(token)',
		'Confirm an address, or complete its change, with that token', anyone);
	PERFORM auth._api_function(schema_name, 'accept_invitation', 'text, text, text, jsonb',
		'token text, password text, username text DEFAULT NULL, user_metadata jsonb DEFAULT NULL',
		'jsonb SECURITY DEFINER', 'SELECT auth.accept_invitation(token, password, username, user_metadata)',
		'Set the password of an account that somebody was invited to', anyone);

	RETURN format(E'# postgrest.conf; db-uri names the database and the role %s\n'
				  'db-schemas = "%s"\ndb-anon-role = "%s"\n'
				  'db-pre-config = "auth.pre_config"\ndb-pre-request = "auth.pre_request"\ndb-root-spec = "openapi"\n',
				  authenticator, schema_name, anon);
END
$$;
COMMENT ON FUNCTION auth.create_api(name, name, name, name, text) IS
'Makes schema, roles and endpoints for PostgREST, or brings them up to date; returns the lines for postgrest.conf';

--
-- Privileges.  Nothing is PUBLIC's but what is named here.
--

DO $$
DECLARE
	object record;
BEGIN
	-- Whatever default privileges the installing role has set up.
	FOR object IN
		SELECT 'TABLE ' || c.oid::regclass AS name, a.grantee
		FROM pg_class c, aclexplode(c.relacl) a
		WHERE c.relnamespace = 'auth'::regnamespace AND c.relkind IN ('r', 'v') AND a.grantee <> c.relowner
		UNION
		SELECT 'FUNCTION ' || p.oid::regprocedure, a.grantee
		FROM pg_proc p, aclexplode(p.proacl) a
		WHERE p.pronamespace = 'auth'::regnamespace AND a.grantee <> p.proowner
	LOOP
		EXECUTE format('REVOKE ALL ON %s FROM %s', object.name,
					   CASE object.grantee WHEN 0 THEN 'PUBLIC' ELSE object.grantee::regrole::text END);
	END LOOP;
END
$$;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA auth FROM PUBLIC;
-- A column of such a type, in anybody's table, would keep ours from changing.
REVOKE USAGE ON TYPE auth.users, auth.refresh_tokens, auth.clients, auth.keys, auth.issuers,
	auth.identities, auth.login_failures, auth.one_time_tokens, auth.outbox, auth.message_pace, auth.audit_log,
	auth.prune_position, auth.key_status, auth.user_status, auth.session_status, auth.metrics FROM PUBLIC;
-- Pure: whoever has the key may use it.
GRANT EXECUTE ON FUNCTION auth.jwt_sign(jsonb, text, text, jsonb) TO PUBLIC;
GRANT EXECUTE ON FUNCTION auth.jwt_sign(jsonb, jsonb, text, jsonb) TO PUBLIC;
GRANT EXECUTE ON FUNCTION auth.jwt_verify(text, text, text[], text, text, interval, text, text[], timestamptz) TO PUBLIC;
GRANT EXECUTE ON FUNCTION auth.jwt_verify(text, jsonb, text[], text, text, interval, text, text[], timestamptz) TO PUBLIC;
GRANT EXECUTE ON FUNCTION auth.jwt_try_verify(text, text, text[], text, text, interval, text, text[], timestamptz) TO PUBLIC;
GRANT EXECUTE ON FUNCTION auth.jwt_try_verify(text, jsonb, text[], text, text, interval, text, text[], timestamptz) TO PUBLIC;
GRANT EXECUTE ON FUNCTION auth.jwt_decode(text) TO PUBLIC;
GRANT EXECUTE ON FUNCTION auth.jws_sign(bytea, jsonb, text, jsonb) TO PUBLIC;
GRANT EXECUTE ON FUNCTION auth.jws_verify(text, jsonb, text[]) TO PUBLIC;
GRANT EXECUTE ON FUNCTION auth.jwk_from_pem(text) TO PUBLIC;
GRANT EXECUTE ON FUNCTION auth.jwk_to_pem(jsonb) TO PUBLIC;
GRANT EXECUTE ON FUNCTION auth.jwk_public(jsonb) TO PUBLIC;
GRANT EXECUTE ON FUNCTION auth.jwk_thumbprint(jsonb) TO PUBLIC;
GRANT EXECUTE ON FUNCTION auth.jwk_generate(text, text) TO PUBLIC;
GRANT EXECUTE ON FUNCTION auth.base64url_encode(bytea) TO PUBLIC;
GRANT EXECUTE ON FUNCTION auth.base64url_decode(text) TO PUBLIC;
-- A token proves itself, and public keys are public.
GRANT EXECUTE ON FUNCTION auth.jwt_verify(text) TO PUBLIC;
GRANT EXECUTE ON FUNCTION auth.jwks() TO PUBLIC;
GRANT EXECUTE ON FUNCTION auth.openid_configuration(text) TO PUBLIC;
-- What the caller may see in the catalogs, told in another way.
GRANT EXECUTE ON FUNCTION auth.openapi(name) TO PUBLIC;
GRANT EXECUTE ON FUNCTION auth._openapi_schema(oid) TO PUBLIC;
GRANT EXECUTE ON FUNCTION auth._openapi_operation(text, jsonb) TO PUBLIC;
GRANT EXECUTE ON FUNCTION auth._openapi_functions(oid) TO PUBLIC;
GRANT EXECUTE ON FUNCTION auth._openapi_relations(oid) TO PUBLIC;
GRANT EXECUTE ON FUNCTION auth.authenticate(text, boolean) TO PUBLIC;
GRANT EXECUTE ON FUNCTION auth.deauthenticate() TO PUBLIC;
GRANT EXECUTE ON FUNCTION auth.pre_request() TO PUBLIC;
-- Policies of every role read these; they tell of the caller's own token.
GRANT EXECUTE ON FUNCTION auth.uid() TO PUBLIC;
GRANT EXECUTE ON FUNCTION auth.user_id() TO PUBLIC;
GRANT EXECUTE ON FUNCTION auth.jwt() TO PUBLIC;
GRANT EXECUTE ON FUNCTION auth.claim(text[]) TO PUBLIC;
GRANT EXECUTE ON FUNCTION auth.role() TO PUBLIC;
GRANT EXECUTE ON FUNCTION auth.email() TO PUBLIC;
GRANT EXECUTE ON FUNCTION auth.session_id() TO PUBLIC;
-- They act on the verified user alone.
GRANT EXECUTE ON FUNCTION auth.logout(text) TO PUBLIC;
GRANT EXECUTE ON FUNCTION auth.me() TO PUBLIC;
GRANT EXECUTE ON FUNCTION auth.sessions() TO PUBLIC;
GRANT EXECUTE ON FUNCTION auth.revoke_session(uuid) TO PUBLIC;
GRANT EXECUTE ON FUNCTION auth.change_password(text, text) TO PUBLIC;
GRANT EXECUTE ON FUNCTION auth.update_me(jsonb, text) TO PUBLIC;
GRANT EXECUTE ON FUNCTION auth.request_email_change(text) TO PUBLIC;
