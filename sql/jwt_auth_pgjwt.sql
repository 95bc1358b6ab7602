\echo Use "CREATE EXTENSION jwt_auth_pgjwt" to load this file. \quit

-- As with pgjwt, the functions go wherever they are put, and PUBLIC may call
-- them: they read no table, and whoever has the secret may use it.

CREATE FUNCTION url_encode(data bytea)
RETURNS text LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'jwt_auth_base64url_encode';
COMMENT ON FUNCTION url_encode(bytea) IS
'base64url without padding (RFC 4648 section 5)';

CREATE FUNCTION url_decode(data text)
RETURNS bytea LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'jwt_auth_base64url_decode';
COMMENT ON FUNCTION url_decode(text) IS
'Decodes base64url strictly: no padding, no white space, no trailing bits';

-- Not strict: a NULL algorithm is an error.
CREATE FUNCTION algorithm_sign(signables text, secret text, algorithm text)
RETURNS text LANGUAGE c IMMUTABLE PARALLEL SAFE COST 100
AS 'MODULE_PATHNAME', 'jwt_auth_pgjwt_algorithm_sign';
COMMENT ON FUNCTION algorithm_sign(text, text, text) IS
'The HMAC of a text in base64url, with HS256, HS384 or HS512';

CREATE FUNCTION sign(payload json, secret text, algorithm text DEFAULT 'HS256')
RETURNS text LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
AS 'MODULE_PATHNAME', 'jwt_auth_pgjwt_sign';
COMMENT ON FUNCTION sign(json, text, text) IS
'Signs a payload into a compact JWT (RFC 7519) with HS256, HS384 or HS512';

-- Not strict: valid is never NULL.  Volatile: it reads the clock.
CREATE FUNCTION verify(token text, secret text, algorithm text DEFAULT 'HS256')
RETURNS TABLE (header json, payload json, valid boolean) LANGUAGE c VOLATILE PARALLEL SAFE COST 100 ROWS 1
AS 'MODULE_PATHNAME', 'jwt_auth_pgjwt_verify';
COMMENT ON FUNCTION verify(text, text, text) IS
'Whether a JWT is valid, which is never NULL, and its header and payload where they can be read, valid or not';
