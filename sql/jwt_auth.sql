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

-- No reference to users: what happened stays when a user goes.
CREATE TABLE auth.audit_log (
	id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
	at timestamptz NOT NULL DEFAULT clock_timestamp(),
	event text NOT NULL,
	user_id uuid,
	actor_id uuid,
	session_id uuid,
	client_id text,
	ip inet,
	user_agent text,
	details jsonb
);
CREATE INDEX audit_log_at ON auth.audit_log (at);
CREATE INDEX audit_log_user ON auth.audit_log (user_id, at);

SELECT pg_extension_config_dump('auth.users', '');
SELECT pg_extension_config_dump('auth.refresh_tokens', '');
SELECT pg_extension_config_dump('auth.clients', '');
SELECT pg_extension_config_dump('auth.keys', '');
SELECT pg_extension_config_dump('auth.issuers', '');
SELECT pg_extension_config_dump('auth.identities', '');
SELECT pg_extension_config_dump('auth.login_failures', '');
SELECT pg_extension_config_dump('auth.audit_log', '');

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
RETURNS text LANGUAGE c VOLATILE PARALLEL UNSAFE COST 100 SECURITY DEFINER SET search_path = pg_catalog, pg_temp
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
RETURNS text LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
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
	IF pem ~ '^\s*\{' THEN
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
	LOCK TABLE auth.keys IN SHARE ROW EXCLUSIVE MODE;
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
'After a leak or a restored backup: revokes every key, makes new ones, ends every session; returns the counts';

CREATE FUNCTION auth.rewrap_keys()
RETURNS int LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	rewrapped int;
BEGIN
	PERFORM auth._require_read_committed();
	LOCK TABLE auth.keys IN SHARE ROW EXCLUSIVE MODE;
	UPDATE auth.keys k SET wrapped_key = auth._rewrap(k.kid, k.purpose, k.algorithm, k.wrapped_key)
	WHERE k.wrapped_key IS NOT NULL AND k.revoked_at IS NULL;
	GET DIAGNOSTICS rewrapped = ROW_COUNT;
	PERFORM auth._audit('keys_rewrapped', details => jsonb_build_object('keys', rewrapped));
	-- The old file may be deleted as soon as this is answered.
	PERFORM auth._flush_commit();
	RETURN rewrapped;
END
$$;
COMMENT ON FUNCTION auth.rewrap_keys() IS
'Wraps all keys under the present master key file, those too that the previous one wrapped; returns how many';

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
	'claims_supported', '["iss", "sub", "aud", "exp", "iat", "jti", "auth_time", "amr", "email", "email_verified",
						  "role", "sid", "client_id", "app_metadata"]'::jsonb)
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
'For PostgREST''s db-pre-request: authenticates the bearer token of the request, or answers 401';

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
	'$[*] ? (!(@.crv == "secp256k1" || @.crv == "Ed448" || @.alg == "Ed25519"))'))::text, true)
$$;
COMMENT ON FUNCTION auth.pre_config() IS
'For PostgREST''s db-pre-config: hands it the key ring''s public keys, and those of the issuers whose tokens may name roles';

--
-- Answers.  An outcome of authentication is returned, never raised: an error
-- would roll back the revocation or audit row that it must leave behind.
--

CREATE FUNCTION auth._respond(status int, header text DEFAULT NULL, value text DEFAULT NULL)
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	headers text := btrim(coalesce(current_setting('response.headers', true), ''), E' \t\r\n');
	more text := CASE WHEN header IS NOT NULL THEN jsonb_build_object(header, value) END;
BEGIN
	PERFORM set_config('response.status', coalesce(status::text, ''), true);
	-- As text: what somebody left there must not raise now.
	IF header IS NOT NULL AND strpos(headers, more) = 0 THEN
		PERFORM set_config('response.headers', CASE WHEN headers ~ '^(\[\s*\])?$' THEN '[' ELSE rtrim(headers, ']') || ', ' END
						   || more || ']', true);
	END IF;
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

CREATE FUNCTION auth._client_ip()
RETURNS inet LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	header text := lower(auth._setting('client_ip_header'));
BEGIN
	IF header <> '' THEN
		-- What stands last is what the nearest proxy has seen.
		RETURN coalesce(btrim(regexp_replace(current_setting('request.headers', true)::jsonb ->> header, '^.*,', ''))::inet,
						inet_client_addr());
	END IF;
	RETURN inet_client_addr();
EXCEPTION WHEN data_exception THEN
	RETURN inet_client_addr();
END
$$;
COMMENT ON FUNCTION auth._client_ip() IS
'Internal: the client''s address, by jwt_auth.client_ip_header where that is set';

CREATE FUNCTION auth._audit(event text, user_id uuid DEFAULT NULL, session_id uuid DEFAULT NULL,
	client_id text DEFAULT NULL, details jsonb DEFAULT NULL)
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	wanted text := auth._setting('audit');
BEGIN
	IF wanted = 'none'
	   OR wanted = 'failures' AND event NOT IN ('login_failed', 'refresh_reused', 'refresh_revoked',
												'refresh_expired', 'refresh_unknown', 'refresh_inactive')
	   OR wanted <> 'all' AND event = 'refresh_rotated' THEN
		RETURN;
	END IF;
	INSERT INTO auth.audit_log (event, user_id, actor_id, session_id, client_id, ip, user_agent, details)
	VALUES (event, user_id, auth._verified_uid(), session_id, client_id, auth._client_ip(), auth._user_agent(), details);
END
$$;
COMMENT ON FUNCTION auth._audit(text, uuid, uuid, text, jsonb) IS
'Internal: one row in the audit log, as far as jwt_auth.audit wants it';

--
-- Accounts and sessions
--

CREATE FUNCTION auth._client_policy(client_id text, OUT audience text, OUT access_token_lifetime interval,
	OUT refresh_token_lifetime interval, OUT session_lifetime interval, OUT refresh_tokens boolean)
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'jwt_auth_client_policy';
COMMENT ON FUNCTION auth._client_policy(text) IS
'Internal: the token policy of a client, settings filled in; NULL for an unknown one';

CREATE FUNCTION auth._hash_password(password text)
RETURNS text LANGUAGE c VOLATILE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'jwt_auth_hash_password';
COMMENT ON FUNCTION auth._hash_password(text) IS
'Internal: the bcrypt hash of a password, at jwt_auth.bcrypt_cost';

CREATE FUNCTION auth._verify_password(password text, hash text)
RETURNS boolean LANGUAGE c VOLATILE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'jwt_auth_verify_password';
COMMENT ON FUNCTION auth._verify_password(text, text) IS
'Internal: whether the password has this hash; works as long where the hash is NULL';

CREATE FUNCTION auth._hash_is_cheap(hash text)
RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
SELECT substr(hash, 5, 2)::int < auth._setting('bcrypt_cost')::int
$$;
COMMENT ON FUNCTION auth._hash_is_cheap(text) IS
'Internal: whether a bcrypt hash has a lower cost than new ones get';

CREATE FUNCTION auth._sign_refresh_token(user_id uuid, session_id uuid, client_id text,
	generation bigint, jti uuid, expires_at timestamptz)
RETURNS text LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jwt_auth_sign_refresh_token';
COMMENT ON FUNCTION auth._sign_refresh_token(uuid, uuid, text, bigint, uuid, timestamptz) IS
'Internal: the refresh token of a session as it stands';

CREATE FUNCTION auth._flush_commit()
RETURNS void LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jwt_auth_flush_commit';
COMMENT ON FUNCTION auth._flush_commit() IS
'Internal: this commit reaches the disk before it is answered, whatever synchronous_commit says';

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
	token := auth.jwt_sign(payload);
	expires_in := extract(epoch FROM expires_at - issued_at);
END
$$;
COMMENT ON FUNCTION auth._access_token(auth.users, auth.refresh_tokens, jsonb, interval) IS
'Internal: an access token for this user and session, which may be none but its client';

CREATE FUNCTION auth._token_response(u auth.users, s auth.refresh_tokens, refresh_token text)
RETURNS jsonb LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	access record := auth._access_token(u, s);
	response jsonb;
BEGIN
	response := jsonb_build_object('access_token', access.token, 'token_type', 'bearer',
		'expires_in', access.expires_in, 'user', auth._user_json(u));
	IF refresh_token IS NOT NULL THEN
		response := response || jsonb_build_object('refresh_token', refresh_token);
	END IF;
	PERFORM auth._respond(NULL, 'Cache-Control', 'no-store');
	RETURN response;
END
$$;
COMMENT ON FUNCTION auth._token_response(auth.users, auth.refresh_tokens, text) IS
'Internal: a token response (RFC 6749 section 5.1)';

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
		first_token := auth._sign_refresh_token(s.user_id, s.session_id, s.client_id, s.generation, s.jti, s.expires_at);
	END IF;
	PERFORM auth._flush_commit();
	PERFORM auth._audit('login', u.id, s.session_id, s.client_id);
	RETURN auth._token_response(u, s, first_token);
END
$$;
COMMENT ON FUNCTION auth._open_session(auth.users, text, text[], text, interval) IS
'Internal: a new session and its tokens; the caller has just updated the user''s row';

CREATE FUNCTION auth._end_session(user_id uuid, session_id uuid, reason text)
RETURNS int LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	ended int;
BEGIN
	UPDATE auth.refresh_tokens s SET revoked_at = clock_timestamp(), revoke_reason = reason
	WHERE s.user_id = _end_session.user_id AND s.session_id = _end_session.session_id AND s.revoked_at IS NULL;
	GET DIAGNOSTICS ended = ROW_COUNT;
	PERFORM auth._flush_commit();
	RETURN ended;
END
$$;
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
SELECT email ~ '^[^@[:space:][:cntrl:]]+@[^@[:space:][:cntrl:]]+$' AND octet_length(email) <= 254
$$;
COMMENT ON FUNCTION auth._is_email(text) IS
'Internal: whether a text can be an address';

CREATE FUNCTION auth._profile_problem(email text, username text, metadata jsonb)
RETURNS text LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
SELECT CASE
	WHEN NOT auth._is_email(email)
		THEN 'email must be an address of at most 254 bytes'
	WHEN username !~ '^[^@[:cntrl:]]+$' OR username <> btrim(username) OR octet_length(username) > 64
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
	WHEN password IS NULL OR char_length(password) < auth._setting('password_min_length')::int
		THEN 'password must have at least ' || auth._setting('password_min_length') || ' characters'
	WHEN octet_length(password) > 72 THEN 'password must have at most 72 bytes'
END
$$;
COMMENT ON FUNCTION auth._password_problem(text) IS
'Internal: what is wrong with a new password, or NULL';

CREATE FUNCTION auth._registration_problem(email text, password text, username text, user_metadata jsonb)
RETURNS jsonb LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	problem text;
BEGIN
	IF auth._setting('registration') <> 'open' THEN
		RETURN auth._error(403, 'access_denied', 'signup_disabled', 'registration is closed');
	END IF;
	problem := auth._profile_problem(coalesce(email, ''), NULL, NULL);
	IF problem IS NOT NULL THEN
		RETURN auth._error(400, 'invalid_request', 'email_address_invalid', problem);
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
	IF current_query() ~ '"pgrst_source"' AND current_query() ~ '"\.("([^"]|"")*")(?!\()' THEN
		RAISE EXCEPTION 'the answer of %() cannot be filtered', function
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION auth._unavailable(text) IS
'Internal: before any work, the answer of a standby, an error where none can be given, or NULL';

CREATE FUNCTION auth.register(email text, password text, username text DEFAULT NULL, user_metadata jsonb DEFAULT '{}')
RETURNS jsonb LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	metadata jsonb := coalesce(user_metadata, '{}');
	problem jsonb := coalesce(auth._unavailable('auth.register'), auth._registration_problem(email, password, username, metadata));
	u auth.users;
BEGIN
	IF problem IS NOT NULL THEN
		RETURN problem;
	END IF;
	INSERT INTO auth.users (email, username, password_hash, role, user_metadata)
	VALUES (register.email, register.username, auth._hash_password(register.password),
			auth._setting('default_role'), metadata)
	ON CONFLICT DO NOTHING
	RETURNING * INTO u;
	IF NOT FOUND THEN
		IF EXISTS (SELECT FROM auth.users x WHERE lower(x.email COLLATE "C") = lower(register.email COLLATE "C")) THEN
			RETURN auth._error(409, 'invalid_request', 'email_exists', 'an account with this email already exists');
		END IF;
		RETURN auth._error(409, 'invalid_request', 'username_exists', 'this username is already taken');
	END IF;
	PERFORM auth._audit('registered', u.id);
	PERFORM auth._respond(NULL);
	RETURN auth._user_json(u);
EXCEPTION WHEN configuration_limit_exceeded THEN
	RETURN auth._too_many(503, 1, 'over_request_rate_limit', 'too many passwords at once; try again');
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
SELECT sha256(convert_to(lower(identifier COLLATE "C"), 'UTF8'))
$$;
COMMENT ON FUNCTION auth._identifier_hash(text) IS
'Internal: what is kept of an email or username that somebody typed';

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

CREATE FUNCTION auth._note_failure(identifier_hash bytea, source text)
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	most int := auth._setting('max_failed_logins');
	pause interval := auth._setting('lockout_duration');
	counted int;
BEGIN
	IF most = 0 THEN
		RETURN;
	END IF;
	-- What is older than a lockout is forgotten.
	INSERT INTO auth.login_failures AS f (identifier_hash, source, failures, last_at)
	VALUES (_note_failure.identifier_hash, _note_failure.source, 1, clock_timestamp())
	ON CONFLICT ON CONSTRAINT login_failures_pkey DO UPDATE
	SET failures = CASE WHEN f.last_at + pause < clock_timestamp() THEN 1 ELSE f.failures + 1 END,
		last_at = clock_timestamp()
	RETURNING f.failures INTO counted;
	-- From half of the failures on the pause doubles, up to all of it.
	UPDATE auth.login_failures f
	SET locked_until = f.last_at + CASE WHEN counted >= most THEN pause
		ELSE least(pause, interval '1 s' * power(2, least(counted - (most + 1) / 2, 30))) END
	WHERE f.identifier_hash = _note_failure.identifier_hash AND f.source = _note_failure.source
	  AND counted >= (most + 1) / 2;
END
$$;
COMMENT ON FUNCTION auth._note_failure(bytea, text) IS
'Internal: counts a failed login, and has the next one wait after several';

CREATE FUNCTION auth._forget_failures(identifier_hash bytea, source text DEFAULT NULL)
RETURNS void LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
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
	wait int;
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
		wait := auth._locked_seconds(identifier, source);
		IF wait IS NULL THEN
			verified := auth._verify_password(password, u.password_hash);
			-- Others may have failed while this one waited for its turn.
			wait := auth._locked_seconds(identifier, source);
		END IF;
		IF wait IS NOT NULL THEN
			RETURN auth._too_many(429, wait, 'over_request_rate_limit', 'too many failed logins; try again later');
		END IF;
		EXIT WHEN NOT verified;
		IF NOT u.is_active THEN
			PERFORM auth._audit('login_failed', u.id, NULL, client_id, '{"reason": "user_banned"}');
			RETURN auth._error(400, 'invalid_grant', 'user_banned', 'this account is disabled');
		END IF;
		new_hash := CASE WHEN auth._hash_is_cheap(u.password_hash) THEN auth._hash_password(password) END;
		-- Only if the hash is still the one just verified: whoever changes the
		-- password has either seen this session, or is seen here.  Another
		-- login may have renewed it, so it is looked at again.
		UPDATE auth.users x SET last_login_at = clock_timestamp(), password_hash = coalesce(new_hash, x.password_hash)
		WHERE x.id = u.id AND x.password_hash = u.password_hash AND x.is_active
		RETURNING * INTO u;
		IF FOUND THEN
			PERFORM auth._forget_failures(identifier, source);
			RETURN auth._open_session(u, client_id, '{pwd}');
		END IF;
	END LOOP;
	PERFORM auth._note_failure(identifier, source);
	PERFORM auth._audit('login_failed', u.id, NULL, client_id, '{"reason": "invalid_credentials"}');
	RETURN auth._error(401, 'invalid_grant', 'invalid_credentials', 'wrong email, username or password');
EXCEPTION WHEN configuration_limit_exceeded THEN
	RETURN auth._too_many(503, 1, 'over_request_rate_limit', 'too many logins at once; try again');
END
$$;
COMMENT ON FUNCTION auth.login(text, text, text, text) IS
'Signs a person in by email or username: a token response, or an error object';

CREATE FUNCTION auth.rotate_refresh_token(refresh_token text, OUT status text, OUT user_id uuid,
	OUT session_id uuid, OUT client_id text, OUT refresh_token text, OUT expires_at timestamptz)
LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'rotate_refresh_token';
COMMENT ON FUNCTION auth.rotate_refresh_token(text) IS
'Uses a refresh token up and returns its successor; status says what the token was';

CREATE FUNCTION auth.refresh(refresh_token text)
RETURNS jsonb LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	problem jsonb := auth._unavailable('auth.refresh');
	rotation record;
	u auth.users;
	s auth.refresh_tokens;
BEGIN
	IF problem IS NOT NULL THEN
		RETURN problem;
	END IF;
	IF refresh_token IS NULL THEN
		RETURN auth._error(400, 'invalid_request', 'validation_failed', 'refresh_token must be given');
	END IF;
	rotation := auth.rotate_refresh_token(refresh_token);
	CASE rotation.status
		WHEN 'rotated', 'reissued' THEN
			SELECT * INTO STRICT u FROM auth.users x WHERE x.id = rotation.user_id;
			SELECT * INTO STRICT s FROM auth.refresh_tokens x
			WHERE x.user_id = rotation.user_id AND x.session_id = rotation.session_id;
			RETURN auth._token_response(u, s, rotation.refresh_token);
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
END
$$;
COMMENT ON FUNCTION auth.refresh(text) IS
'Exchanges a refresh token for new tokens: a token response, or an error object';

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
	identifier bytea := auth._identifier_hash(signed_in::text);
	wait int := auth._locked_seconds(identifier, 'change_password');
BEGIN
	IF problem IS NOT NULL THEN
		RETURN problem;
	END IF;
	IF wait IS NOT NULL THEN
		RETURN auth._too_many(429, wait, 'over_request_rate_limit', 'too many wrong passwords; try again later');
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
		IF u.password_hash IS NULL AND old_password IS NULL AND auth.session_id() IS NOT NULL THEN
			NULL;	-- signed in by other means, and has none yet
		ELSIF NOT auth._verify_password(old_password, u.password_hash) THEN
			wait := auth._locked_seconds(identifier, 'change_password');
			IF wait IS NOT NULL THEN
				RETURN auth._too_many(429, wait, 'over_request_rate_limit', 'too many wrong passwords; try again later');
			END IF;
			PERFORM auth._note_failure(identifier, 'change_password');
			PERFORM auth._audit('login_failed', signed_in, auth.session_id(), NULL, '{"reason": "change_password"}');
			RETURN auth._error(401, 'invalid_grant', 'invalid_credentials', 'the old password is wrong');
		END IF;
		new_hash := coalesce(new_hash, auth._hash_password(new_password));
		-- As in login: only if the hash is still the one just verified.
		UPDATE auth.users x SET password_hash = new_hash, updated_at = clock_timestamp()
		WHERE x.id = u.id AND x.password_hash IS NOT DISTINCT FROM u.password_hash
		RETURNING * INTO u;
		EXIT WHEN FOUND;
	END LOOP;
	PERFORM auth._forget_failures(identifier, 'change_password');
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
	UPDATE auth.users x
	SET user_metadata = coalesce(update_me.user_metadata, x.user_metadata),
		username = coalesce(update_me.username, x.username), updated_at = clock_timestamp()
	WHERE x.id = signed_in
	RETURNING * INTO u;
	IF NOT FOUND THEN
		RETURN auth._error(404, 'invalid_request', 'user_not_found', 'the user of this token is gone');
	END IF;
	PERFORM auth._audit('user_updated', signed_in);
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
		PERFORM auth._end_sessions(set_active.user_id, NULL, 'user_inactive');
	END IF;
	PERFORM auth._audit(CASE WHEN active THEN 'user_enabled' ELSE 'user_disabled' END, set_active.user_id);
END
$$;
COMMENT ON FUNCTION auth.set_active(uuid, boolean) IS
'Disables an account and ends its sessions, or enables it again';

CREATE FUNCTION auth._changed_user(u auth.users, event text)
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF u.id IS NULL THEN
		RAISE EXCEPTION 'no such user' USING ERRCODE = 'no_data_found';
	END IF;
	PERFORM auth._audit(event, u.id);
END
$$;
COMMENT ON FUNCTION auth._changed_user(auth.users, text) IS
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
RETURNS text LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
SELECT CASE
	WHEN r.rolname IS NULL THEN 'role does not exist'
	WHEN r.rolsuper OR r.rolbypassrls THEN 'role passes every policy'
END
FROM (SELECT role AS wanted) w LEFT JOIN pg_roles r ON r.rolname = w.wanted
$$;
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
	PERFORM auth._changed_user(u, 'role_set');
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
	PERFORM auth._changed_user(u, 'sessions_revoked');
	ended := auth._end_sessions(u.id, NULL, 'revoked');
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
	PERFORM auth._forget_failures(auth._identifier_hash(i)) FROM unnest(ARRAY[u.email, u.username, u.id::text]) i;
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
		CASE WHEN password_hash !~ '^\$2[aby]\$(0[4-9]|1[0-6])\$[./0-9A-Za-z]{53}$'
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
	PERFORM auth._audit('user_created', u.id);
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
		WHEN extra ?| '{iss,sub,aud,exp,nbf,iat,jti,type,role,email,email_verified,app_metadata,sid,client_id,auth_time,amr}'
			THEN 'extra must not have a claim that the token gets anyway' END);
	SELECT * INTO u FROM auth.users x WHERE x.id = issue_access_token.user_id;
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
		'events', (SELECT coalesce(jsonb_agg(to_jsonb(e) - '{id,user_id}'::text[] ORDER BY e.at), '[]')
				   FROM auth.audit_log e WHERE e.user_id = u.id));
END
$$;
COMMENT ON FUNCTION auth.export_user(uuid) IS
'All that is kept about a user, without hashes and tokens';

CREATE FUNCTION auth._forget_user()
RETURNS trigger LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	UPDATE auth.audit_log e SET ip = NULL, user_agent = NULL, details = NULL WHERE e.user_id = OLD.id;
	PERFORM auth._forget_failures(auth._identifier_hash(i)) FROM unnest(ARRAY[OLD.email, OLD.username, OLD.id::text]) i;
	PERFORM auth._audit('user_deleted', OLD.id);
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION auth._forget_user() IS
'Internal: leaves nothing of a person in the audit log but that something happened';

-- A trigger, so that it comes with every deletion and with nothing else.
CREATE TRIGGER forget AFTER DELETE ON auth.users
	FOR EACH ROW EXECUTE FUNCTION auth._forget_user();

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
	IF NOT EXISTS (SELECT FROM auth.users u WHERE u.id = link_identity.user_id) THEN
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
		EXCEPTION WHEN unique_violation THEN
			-- Somebody else has just made the same user or link: look again.
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
END
$$;
COMMENT ON FUNCTION auth.login_with_id_token(text, text, text) IS
'Signs in with a token of a trusted issuer: a token response (RFC 6749 section 5.1), or an error object';

--
-- Clients
--

CREATE FUNCTION auth.set_client(client_id text, audience text DEFAULT NULL,
	access_token_lifetime interval DEFAULT NULL, refresh_token_lifetime interval DEFAULT NULL,
	session_lifetime interval DEFAULT NULL, refresh_tokens boolean DEFAULT true)
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF client_id IS NULL OR client_id = '' OR length(client_id) > 255 OR refresh_tokens IS NULL OR audience = '' THEN
		RAISE EXCEPTION 'client needs a name of 1 to 255 characters, an audience that is not empty, and whether it gets refresh tokens'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	INSERT INTO auth.clients AS c (client_id, audience, access_token_lifetime, refresh_token_lifetime,
								   session_lifetime, refresh_tokens)
	VALUES (set_client.client_id, set_client.audience, set_client.access_token_lifetime,
			set_client.refresh_token_lifetime, set_client.session_lifetime, set_client.refresh_tokens)
	ON CONFLICT ON CONSTRAINT clients_pkey DO UPDATE
	SET audience = excluded.audience, access_token_lifetime = excluded.access_token_lifetime,
		refresh_token_lifetime = excluded.refresh_token_lifetime, session_lifetime = excluded.session_lifetime,
		refresh_tokens = excluded.refresh_tokens, updated_at = clock_timestamp();
	PERFORM auth._audit('client_set', NULL, NULL, client_id);
EXCEPTION WHEN check_violation THEN
	RAISE EXCEPTION 'lifetimes must be more than zero and at most 50 years' USING ERRCODE = 'invalid_parameter_value';
END
$$;
COMMENT ON FUNCTION auth.set_client(text, text, interval, interval, interval, boolean) IS
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
END
$$;
COMMENT ON FUNCTION auth.drop_client(text) IS
'Removes a client: its tokens and sessions are refused from now on; "default" goes back to the settings';

--
-- Running it
--

CREATE FUNCTION auth.prune()
RETURNS TABLE (relation text, deleted bigint)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- A revoked key stays for as long as it would have verified: until then its
	-- kid must not come back.
	relation := 'keys';
	DELETE FROM auth.keys k
	WHERE greatest(k.superseded_at, k.revoked_at) + k.longest_lifetime + auth._setting('leeway')::interval
		  <= clock_timestamp();
	GET DIAGNOSTICS deleted = ROW_COUNT;
	RETURN NEXT;
	relation := 'login_failures';
	DELETE FROM auth.login_failures f
	WHERE f.last_at + auth._setting('lockout_duration')::interval < clock_timestamp();
	GET DIAGNOSTICS deleted = ROW_COUNT;
	RETURN NEXT;
END
$$;
COMMENT ON FUNCTION auth.prune() IS
'Deletes what has expired; returns the count for each table';

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
	('admin', 'auth.set_client(text, text, interval, interval, interval, boolean)'),
	('admin', 'auth.drop_client(text)'),
	('admin', 'auth.prune()'),
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
	('monitor', 'auth._setting(text)'),	-- which the views call
	('authenticator', 'auth.pre_config()'),
	('owner', 'auth.create_api(name, name, name, name, text)'),
	('owner', 'auth.grant_access(name, text)'),
	('owner', 'auth.revoke_access(name, text)'),
	-- what create_api, grant_access and revoke_access call
	('owner', 'auth._bundle(text)'),
	('owner', 'auth._change_access(text, name, text)'),
	('owner', 'auth._api_role(name, text)'),
	('owner', 'auth._api_schema(name)'),
	('owner', 'auth._api_function(name, text, text, text, text, text, text, text)'),
	('owner', 'auth._client_policy(text)'),
	('owner', 'auth._ensure_key(text)')
) AS b (bundle, function)
WHERE b.bundle = _bundle.bundle OR _bundle.bundle = 'owner'
UNION ALL
SELECT t.privilege, 'TABLE ' || t.relation::regclass
FROM (VALUES
	('monitor', 'SELECT', 'auth.key_status'),
	('admin', 'DELETE, SELECT (id)', 'auth.users')	-- which delete_user needs
) AS t (bundle, privilege, relation)
WHERE t.bundle = _bundle.bundle OR _bundle.bundle = 'owner'
$$;
COMMENT ON FUNCTION auth._bundle(text) IS
'Internal: the privileges of a bundle of grants';

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
		RAISE EXCEPTION 'bundle must be "client", "admin", "keys", "monitor", "authenticator" or "owner"'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	IF bundle = 'owner' THEN
		-- An owner runs create_api, and so hands functions on.  No REFERENCES
		-- on users: a foreign key casts as the owner of the table it points
		-- to, so a type of one's own would run code as that.
		suffix := CASE command WHEN 'grant' THEN ' WITH GRANT OPTION' ELSE ' CASCADE' END;
	END IF;
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
'Gives a role the functions and views of a bundle: client, admin, keys, monitor, authenticator or owner';

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
BEGIN
	-- CREATE OR REPLACE keeps the owner, who could change it again.
	IF EXISTS (SELECT FROM pg_proc p JOIN pg_roles r ON r.oid = p.proowner
			   WHERE p.oid = to_regprocedure(signature) AND r.rolname <> current_user) THEN
		RAISE EXCEPTION 'function % belongs to another role', signature
			USING ERRCODE = 'insufficient_privilege';
	END IF;
	EXECUTE format('CREATE OR REPLACE FUNCTION %I.%I(%s) RETURNS %s LANGUAGE sql SET search_path = pg_catalog, pg_temp AS %L',
				   schema_name, function_name, parameters, returns_and_options, body);
	EXECUTE format('COMMENT ON FUNCTION %s IS %L', signature, description);
	EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', signature);
	EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s', signature, callers);
END
$$;
COMMENT ON FUNCTION auth._api_function(name, text, text, text, text, text, text, text) IS
'Internal: makes one endpoint, or brings it up to date';

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
	IF concat(schema_name, anon, authenticator) ~ '["\\[:cntrl:]]' THEN
		RAISE EXCEPTION 'names must not have quotes, backslashes or control characters: postgrest.conf cannot hold them'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	PERFORM auth._api_role(anon, 'NOLOGIN'), auth._api_role(authenticated, 'NOLOGIN'),
			auth._api_role(authenticator, 'LOGIN NOINHERIT'), auth._api_schema(schema_name);
	EXECUTE format('GRANT %s TO %I', anyone, authenticator);
	EXECUTE format('GRANT USAGE ON SCHEMA %I TO %s', schema_name, anyone);
	PERFORM auth.grant_access(authenticator, 'authenticator');
	PERFORM auth._ensure_key('access');

	-- The client is fixed here: a caller cannot choose another one's policy.
	PERFORM auth._api_function(schema_name, 'register', 'text, text, text, jsonb',
		'email text, password text, username text DEFAULT NULL, user_metadata jsonb DEFAULT ''{}''',
		'jsonb SECURITY DEFINER', 'SELECT auth.register(email, password, username, user_metadata)',
		'Create an account', anyone);
	PERFORM auth._api_function(schema_name, 'login', 'text, text, text',
		'email text DEFAULT NULL, password text DEFAULT NULL, username text DEFAULT NULL',
		'jsonb SECURITY DEFINER', format('SELECT auth.login(email, password, username, %L)', client_id),
		'Sign in: an access token and a refresh token', anyone);
	PERFORM auth._api_function(schema_name, 'refresh', 'text', 'refresh_token text',
		'jsonb SECURITY DEFINER', 'SELECT auth.refresh(refresh_token)',
		'Exchange a refresh token for new tokens', anyone);
	PERFORM auth._api_function(schema_name, 'logout', 'text', 'scope text DEFAULT ''all''',
		'int', 'SELECT auth.logout(scope)',
		'End this session, the other ones or all', person);
	PERFORM auth._api_function(schema_name, 'me', '', '',
		'jsonb STABLE', 'SELECT auth.me()',
		'The account that is signed in', person);
	PERFORM auth._api_function(schema_name, 'change_password', 'text, text', 'old_password text, new_password text',
		'jsonb', 'SELECT auth.change_password(old_password, new_password)',
		'Change the password and end the other sessions', person);
	PERFORM auth._api_function(schema_name, 'update_me', 'jsonb, text',
		'user_metadata jsonb DEFAULT NULL, username text DEFAULT NULL',
		'jsonb', 'SELECT auth.update_me(user_metadata, username)',
		'Change what the account says of its owner', person);
	PERFORM auth._api_function(schema_name, 'sessions', '', '',
		'TABLE (session_id uuid, client_id text, name text, created_at timestamptz, last_used_at timestamptz,
				expires_at timestamptz, ip inet, user_agent text, is_current boolean) STABLE',
		'SELECT * FROM auth.sessions()',
		'The sessions of the account that is signed in', person);
	PERFORM auth._api_function(schema_name, 'revoke_session', 'uuid', 'session_id uuid',
		'boolean', 'SELECT auth.revoke_session(session_id)',
		'End one of them', person);
	PERFORM auth._api_function(schema_name, 'revoke', 'text, text', 'token text, token_type_hint text DEFAULT NULL',
		'void SECURITY DEFINER', 'SELECT auth.revoke_refresh_token(token)',
		'End the session of a refresh token (RFC 7009)', anyone);
	PERFORM auth._api_function(schema_name, 'token', 'text, text, text, text, text, text',
		'grant_type text, username text DEFAULT NULL, password text DEFAULT NULL, refresh_token text DEFAULT NULL,
		 client_id text DEFAULT NULL, scope text DEFAULT NULL',
		'jsonb SECURITY DEFINER', format('SELECT auth.token(grant_type, username, password, refresh_token, %L, scope)', client_id),
		'The OAuth 2 token endpoint (RFC 6749); the client is fixed, whatever client_id says', anyone);
	PERFORM auth._api_function(schema_name, 'jwks', '', '',
		'jsonb STABLE', 'SELECT auth.jwks()',
		'The public keys that access tokens verify with', anyone);
	PERFORM auth._api_function(schema_name, 'openid_configuration', 'text', 'base_url text',
		'jsonb STABLE', 'SELECT auth.openid_configuration(base_url)',
		'The OpenID Connect discovery document', anyone);
	PERFORM auth._api_function(schema_name, 'login_with_id_token', 'text, text', 'id_token text, nonce text DEFAULT NULL',
		'jsonb SECURITY DEFINER', format('SELECT auth.login_with_id_token(id_token, nonce, %L)', client_id),
		'Sign in with a token of a trusted identity provider', anyone);

	RETURN format(E'# postgrest.conf; db-uri names the database and the role %s\n'
				  'db-schemas = "%s"\ndb-anon-role = "%s"\n'
				  'db-pre-config = "auth.pre_config"\ndb-pre-request = "auth.pre_request"\n',
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
	auth.identities, auth.login_failures, auth.audit_log, auth.key_status FROM PUBLIC;
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
