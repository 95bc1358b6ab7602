--
-- What jwt_auth is measured against: JSON Web Tokens with HMAC as they are
-- usually written in SQL, on pgcrypto's hmac() and on encode(), in the manner
-- of pgjwt: a function for each step, and verify() with the times as a range.
--
CREATE SCHEMA usual;

CREATE FUNCTION usual.encode_segment(data bytea) RETURNS text
LANGUAGE sql IMMUTABLE
AS $$
    SELECT translate(encode(data, 'base64'), E'+/=\n', '-_')
$$;

CREATE FUNCTION usual.decode_segment(segment text) RETURNS bytea
LANGUAGE sql IMMUTABLE
AS $$
    WITH standard AS (
        SELECT translate(segment, '-_', '+/') AS data
    )
    SELECT decode(rpad(data, (length(data) + 3) / 4 * 4, '='), 'base64') FROM standard
$$;

CREATE FUNCTION usual.mac(signing_input text, secret text, algorithm text) RETURNS text
LANGUAGE sql IMMUTABLE
AS $$
    WITH hash AS (
        SELECT CASE algorithm WHEN 'HS256' THEN 'sha256' WHEN 'HS384' THEN 'sha384' WHEN 'HS512' THEN 'sha512' END AS name
    )
    SELECT usual.encode_segment(hmac(signing_input, secret, name)) FROM hash
$$;

CREATE FUNCTION usual.sign(payload json, secret text, algorithm text DEFAULT 'HS256') RETURNS text
LANGUAGE sql IMMUTABLE
AS $$
    WITH input AS (
        SELECT usual.encode_segment(convert_to('{"alg":"' || algorithm || '","typ":"JWT"}', 'utf8')) || '.' ||
               usual.encode_segment(convert_to(payload::text, 'utf8')) AS text
    )
    SELECT text || '.' || usual.mac(text, secret, algorithm) FROM input
$$;

CREATE FUNCTION usual.number_or_null(value text) RETURNS double precision
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN value::double precision;
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END $$;

CREATE FUNCTION usual.verify(token text, secret text, algorithm text DEFAULT 'HS256')
    RETURNS TABLE (header json, payload json, valid boolean)
LANGUAGE sql IMMUTABLE
AS $$
    SELECT o.header, o.payload,
           o.signature_ok AND
           tstzrange(to_timestamp(usual.number_or_null(o.payload ->> 'nbf')),
                     to_timestamp(usual.number_or_null(o.payload ->> 'exp'))) @> CURRENT_TIMESTAMP
    FROM (
        SELECT convert_from(usual.decode_segment(part[1]), 'utf8')::json AS header,
               convert_from(usual.decode_segment(part[2]), 'utf8')::json AS payload,
               part[3] = usual.mac(part[1] || '.' || part[2], secret, algorithm) AS signature_ok
        FROM regexp_split_to_array(token, '\.') part
    ) o
$$;
