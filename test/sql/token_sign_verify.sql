--
-- jwt_sign and jwt_verify with a key in hand: secret, PEM, JWK and JWK Set
--
SET client_min_messages = warning;
CREATE EXTENSION jwt_auth CASCADE;
RESET client_min_messages;

--
-- Keys: those of RFC 7515 appendices A.2 and A.3 and RFC 8037 appendix A
--
CREATE TEMP TABLE key (alg text PRIMARY KEY, jwk jsonb);
INSERT INTO key VALUES
	('RS256', '{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1'
	 'Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBY'
	 'UsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco'
	 '9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB","d":"Eq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD5'
	 '0LpXyWPEAeP88vLNO97IjlA7_GQ5sLKMgvfTeXZx9SE-7YwVol2NXOoAJe46sui395IW_GO-pWJ1O0BkTGoVEn2bKVRUCgu-GjBVaYLU'
	 '6f3l9kJfFNS3E0QbVdxzubSu3Mkqzjkn439X0M_V51gfpRLI9JYanrC4D4qAdGcopV_0ZHHzQlBjudU2QvXt4ehNYTCBr6XCLQUShb1j'
	 'uUO1ZdiYoFaFQT5Tw8bGUl_x_jTj3ccPDVZFD9pIuhLhBOneufuBiB4cS98l2SR_RQyGWSeWjnczT0QU91p1DhOVRuOopznQ","p":"4'
	 'BzEEOtIpmVdVEZNCqS7baC4crd0pqnRH_5IB3jw3bcxGn6QLvnEtfdUdiYrqBdss1l58BQ3KhooKeQTa9AB0Hw_Py5PJdTJNPY8cQn7o'
	 'uZ2KKDcmnPGBY5t7yLc1QlQ5xHdwW1VhvKn-nXqhJTBgIPgtldC-KDV5z-y2XDwGUc","q":"uQPEfgmVtjL0Uyyx88GZFF1fOunH3-7'
	 'cepKmtH4pxhtCoHqpWmT8YAmZxaewHgHAjLYsp1ZSe7zFYHj7C6ul7TjeLQeZD_YwD66t62wDmpe_HlB-TnBA-njbglfIsRLtXlnDzQk'
	 'v5dTltRJ11BKBBypeeF6689rjcJIDEz9RWdc","dp":"BwKfV3Akq5_MFZDFZCnW-wzl-CCo83WoZvnLQwCTeDv8uzluRSnm71I3QCLd'
	 'hrqE2e9YkxvuxdBfpT_PI7Yz-FOKnu1R6HsJeDCjn12Sk3vmAktV2zb34MCdy7cpdTh_YVr7tss2u6vneTwrA86rZtu5Mbr1C1Xsmvkx'
	 'HQAdYo0","dq":"h_96-mK1R_7glhsum81dZxjTnYynPbZpHziZjeeHcXYsXaaMwkOlODsWa7I9xXDoRwbKgB719rrmI2oKr6N3Do9U0'
	 'ajaHF-NKJnwgjMd2w9cjz3_-kyNlxAr2v4IKhGNpmM5iIgOS1VZnOZ68m6_pbLBSp3nssTdlqvd0tIiTHU","qi":"IYd7DHOhrWvxkw'
	 'PQsRM2tOgrjbcrfvtQJipd-DlcxyVuuM9sQLdgjVk2oy26F0EmpScGLq2MowX7fhd_QJQ3ydy5cY7YIBi87w93IKLEdfnbJtoOPLUW0I'
	 'TrJReOgo1cq9SbsxYawBgfp_gh6A5603k2-ZQwVK0JKSHuLFkuQ3U"}'),
	('ES256', '{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",'
	 '"y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}'),
	('EdDSA', '{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",'
	 '"d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}');

CREATE FUNCTION pg_temp.base64url(bytea) RETURNS text LANGUAGE sql AS
$$ SELECT translate(encode($1, 'base64'), E'+/=\n', '-_') $$;
CREATE FUNCTION pg_temp.unbase64url(text) RETURNS bytea LANGUAGE sql AS
$$ SELECT decode(rpad(translate($1, '-_', '+/'), (length($1) + 3) / 4 * 4, '='), 'base64') $$;

-- A secret is text: for a JWK its bytes are base64url
INSERT INTO key SELECT 'HS' || bits,
	jsonb_build_object('kty', 'oct', 'k', pg_temp.base64url(convert_to(repeat('secret', 11), 'UTF8')))
FROM unnest(ARRAY[256, 384, 512]) AS bits;

-- PEM is the DER of the same numbers: what stands between them is fixed
CREATE FUNCTION pg_temp.pem(label text, jwk jsonb, der text) RETURNS text LANGUAGE sql AS $$
SELECT format(E'-----BEGIN %s-----\n%s\n-----END %1$s-----\n', label, encode(string_agg(
	CASE WHEN jwk ? part THEN pg_temp.unbase64url(jwk ->> part) ELSE decode(part, 'hex') END, '' ORDER BY n), 'base64'))
FROM regexp_split_to_table(der, ' ') WITH ORDINALITY AS p (part, n)
$$;
CREATE FUNCTION pg_temp.jwk(alg text) RETURNS jsonb LANGUAGE sql AS $$ SELECT jwk FROM key WHERE key.alg = $1 $$;
CREATE FUNCTION pg_temp.public_jwk(alg text) RETURNS jsonb LANGUAGE sql AS
$$ SELECT pg_temp.jwk(alg) - '{d,p,q,dp,dq,qi}'::text[] $$;
CREATE FUNCTION pg_temp.private(alg text) RETURNS text LANGUAGE sql AS $$
SELECT CASE alg
	WHEN 'RS256' THEN pg_temp.pem('RSA PRIVATE KEY', pg_temp.jwk(alg), '308204a30201000282010100 n 0203 e 02820100 d '
								  '02818100 p 02818100 q 028180 dp 02818100 dq 028180 qi')
	WHEN 'ES256' THEN pg_temp.pem('EC PRIVATE KEY', pg_temp.jwk(alg), '30770201010420 d a00a06082a8648ce3d030107a14403420004 x y')
	WHEN 'EdDSA' THEN pg_temp.pem('PRIVATE KEY', pg_temp.jwk(alg), '302e020100300506032b657004220420 d')
	ELSE repeat('secret', 11)
END
$$;
CREATE FUNCTION pg_temp.public(alg text) RETURNS text LANGUAGE sql AS $$
SELECT CASE alg
	WHEN 'RS256' THEN pg_temp.pem('PUBLIC KEY', pg_temp.jwk(alg),
								  '30820122300d06092a864886f70d01010105000382010f003082010a0282010100 n 0203 e')
	WHEN 'ES256' THEN pg_temp.pem('PUBLIC KEY', pg_temp.jwk(alg), '3059301306072a8648ce3d020106082a8648ce3d03010703420004 x y')
	WHEN 'EdDSA' THEN pg_temp.pem('PUBLIC KEY', pg_temp.jwk(alg), '302a300506032b6570032100 x')
	ELSE repeat('secret', 11)
END
$$;
SELECT pg_temp.private('ES256'), pg_temp.public('EdDSA');

-- What an expression returns or raises
CREATE FUNCTION pg_temp.outcome(expression text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
	detail text;
BEGIN
	EXECUTE 'SELECT ' || regexp_replace(expression, '\m(jwt_\w+\()', 'auth.\1', 'g') INTO result;
	RETURN result;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN format('%s %s', SQLSTATE, concat_ws(', ', SQLERRM, nullif(detail, '')));
END
$$;

--
-- Tokens that others have signed
--
CREATE TEMP TABLE vector (name text, alg text, jwk jsonb, token text);
INSERT INTO vector VALUES
	('RFC 7515 A.1', 'HS256', '{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}',
	 'eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGF'
	 'tcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk'),
	('RFC 7515 A.2', 'RS256', pg_temp.public_jwk('RS256'),
	 'eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb29'
	 '0Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5'
	 'jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0Gar'
	 'ZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rq'
	 'Vt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw'),
	('RFC 7515 A.3', 'ES256', pg_temp.public_jwk('ES256'),
	 'eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb29'
	 '0Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q');

-- They expired at 18:43:00
SELECT name, auth.jwt_verify(token, jwk, at_time => '2011-03-22 18:42:59 UTC') AS payload FROM vector;
SELECT name, t.* FROM vector, auth.jwt_try_verify(token, jwk, at_time => '2011-03-22 18:43:00 UTC') AS t;
SELECT name, auth.jwt_verify(token, pg_temp.public(alg), ARRAY[alg], at_time => '2011-03-22 18:42:59 UTC') AS with_pem
FROM vector WHERE alg <> 'HS256';

-- RFC 8037 A.4 signs a text that is no JSON: the signature is right, the payload is not
SELECT tampered, (auth.jwt_try_verify(replace(token, '.RXhh', tampered), pg_temp.public_jwk('EdDSA'))).error
FROM unnest(ARRAY['.RXhh', '.RXhi']) AS tampered,
	 (VALUES ('eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbh'
	 'ijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg')) AS a4 (token);

--
-- What is signed with PEM or secret verifies with JWK, and the other way round
--
\set payload '{"sub":"user-1","n":1.50,"deep":[[[[[[[[[{"x":null}]]]]]]]]],"clef":"\\uD834\\uDD1E","a/b":"c\\"\\\\d"}'
SELECT alg, form,
	   auth.jwt_verify(token, pg_temp.public(alg), ARRAY[alg]) = :'payload' AS pem,
	   auth.jwt_verify(token, pg_temp.public_jwk(alg), ARRAY[alg]) = :'payload' AS jwk,
	   auth.jwt_verify(token, jsonb_build_object('keys', jsonb_build_array(pg_temp.public_jwk(alg))), ARRAY[alg]) = :'payload' AS jwk_set
FROM key, LATERAL (VALUES ('pem', auth.jwt_sign(:'payload', pg_temp.private(alg), alg)),
						  ('jwk', auth.jwt_sign(:'payload', pg_temp.jwk(alg), alg))) AS s (form, token)
ORDER BY alg, form;

-- Older and newer PEM of the same keys
SELECT auth.jwt_verify(auth.jwt_sign('{"a":1}', pg_temp.private('RS256'), 'RS256'),
	pg_temp.pem('RSA PUBLIC KEY', pg_temp.public_jwk('RS256'), '3082010a0282010100 n 0203 e'), '{RS256}') AS pkcs1,
	auth.jwt_verify(auth.jwt_sign('{"a":1}', pg_temp.pem('PRIVATE KEY', pg_temp.jwk('ES256'),
	'308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b0201010420 d a14403420004 x y'), 'ES256'), pg_temp.public('ES256'), '{ES256}') AS pkcs8;

-- HMAC, RSA and Ed25519 leave nothing to chance: other libraries sign the same bytes
SELECT alg, auth.jwt_sign('{"sub":"user-1","admin":true}', pg_temp.private(alg), alg) FROM key WHERE alg <> 'ES256' ORDER BY alg;
SELECT auth.jwt_sign('{}', repeat('k', 32)) = m || '.' || pg_temp.base64url(hmac(m, repeat('k', 32), 'sha256')) AS same_as_pgcrypto
FROM (VALUES (pg_temp.base64url('{"alg":"HS256","typ":"JWT"}') || '.' || pg_temp.base64url('{}'))) AS v (m);

-- A header laid out by hand, with members that nobody knows
SELECT t.* FROM (VALUES (pg_temp.base64url(E'{ "kid":"hs1",\n\t"alg":"HS256","x":{"y":[1,null]} }') || '.' || pg_temp.base64url('{}'))) AS v (m),
	auth.jwt_try_verify(m || '.' || pg_temp.base64url(hmac(m, repeat('k', 32), 'sha256')), repeat('k', 32)) AS t;

--
-- kid: the key's goes into the header, and picks the key from a set
--
SELECT jsonb_build_object('keys', jsonb_agg(pg_temp.public_jwk(alg) || jsonb_build_object('kid', lower(alg)))) AS jwks
FROM key WHERE alg !~ 'HS' \gset
SELECT alg, t.valid, t.error, t.header
FROM key, auth.jwt_sign('{}', jwk || jsonb_build_object('kid', lower(alg))) AS token, auth.jwt_try_verify(token, :'jwks'::jsonb) AS t
WHERE alg !~ 'HS' ORDER BY alg;
SELECT token_has, key_is, coalesce((auth.jwt_try_verify(auth.jwt_sign('{}', pg_temp.jwk('ES256') || kid), key)).error, 'valid') AS result
FROM (VALUES
	('no kid',				'{}'::jsonb,		'set of three',		:'jwks'::jsonb),
	('another kid',			'{"kid":"other"}',	'set of three',		:'jwks'),
	('kid of another key',	'{"kid":"eddsa"}',	'set of three',		:'jwks'),
	('no kid',				'{}',				'set of one',		jsonb_build_object('keys', jsonb_build_array(pg_temp.public_jwk('ES256') || '{"kid":"es256"}'))),
	('another kid',			'{"kid":"other"}',	'set of one',		jsonb_build_object('keys', jsonb_build_array(pg_temp.public_jwk('ES256') || '{"kid":"es256"}'))),
	('no kid',				'{}',				'key with kid',		pg_temp.public_jwk('ES256') || '{"kid":"es256"}'),
	('another kid',			'{"kid":"other"}',	'key with kid',		pg_temp.public_jwk('ES256') || '{"kid":"es256"}'),
	('another kid',			'{"kid":"other"}',	'key without kid',	pg_temp.public_jwk('ES256'))
) AS v (token_has, kid, key_is, key);

--
-- The header argument adds members, and may name kid and typ
--
SELECT header, (auth.jwt_decode(auth.jwt_sign('{}', repeat('k', 32), 'HS256', header))).header AS signed
FROM unnest(ARRAY['{}', '{"typ":"at+jwt"}', '{"kid":"k1","x5t":"abc","nested":{"a":[1,"\"",null]}}']::jsonb[]) AS header;
SELECT typ, (auth.jwt_try_verify(auth.jwt_sign('{}', repeat('k', 32), 'HS256', '{"typ":"application/AT+jwt"}'), repeat('k', 32), typ => typ)).error
FROM unnest(ARRAY['at+jwt', 'application/at+jwt', 'JWT', NULL]) AS typ;

--
-- jwt_decode looks and verifies nothing; what it cannot take apart it refuses
--
SELECT header, payload, length(signature) FROM auth.jwt_decode('eyJhbGciOiJub25lIn0.eyJleHAiOjF9.AA');
SELECT * FROM auth.jwt_decode(NULL);
SELECT auth.jwt_decode('eyJhbGciOiJub25lIn0.eyJleHAiOjF9.');

--
-- What the signer refuses
--
\set secret 'repeat(''k'', 32)'
SELECT attempt, pg_temp.outcome(replace(attempt, 'secret', :'secret')) FROM (VALUES
	-- payload and header
	($$jwt_sign('[]', secret)$$), ($$jwt_sign('1', secret)$$), ($$jwt_sign('{"exp":"1"}', secret)$$), ($$jwt_sign('{"nbf":null}', secret)$$),
	($$jwt_sign('{"iat":true}', secret)$$), ($$jwt_sign('{"iss":1}', secret)$$), ($$jwt_sign('{"sub":{}}', secret)$$),
	($$jwt_sign('{"jti":1}', secret)$$), ($$jwt_sign('{"aud":["a",1]}', secret)$$), ($$jwt_sign('{"aud":[]}', secret)$$),
	($$jwt_sign('{"aud":{"a":1}}', secret)$$), ($$jwt_sign('{"a":1e131000}', secret)$$),
	($$jwt_sign((repeat('{"a":', 300) || '1' || repeat('}', 300))::jsonb, secret)$$), ($$jwt_sign('{}', secret, 'HS256', '[]')$$),
	($$jwt_sign('{}', secret, 'HS256', '{"alg":"HS256"}')$$), ($$jwt_sign('{}', secret, 'HS256', '{"crit":["exp"]}')$$),
	($$jwt_sign('{}', secret, 'HS256', '{"b64":true}')$$), ($$jwt_sign('{}', secret, 'HS256', '{"zip":"DEF"}')$$),
	($$jwt_sign('{}', secret, 'HS256', '{"enc":"A256GCM"}')$$), ($$jwt_sign('{}', secret, 'HS256', '{"kid":1}')$$),
	($$jwt_sign('{}', secret, 'HS256', '{"typ":null}')$$), ($$jwt_sign('{}', pg_temp.jwk('EdDSA') || '{"kid":"a"}', NULL, '{"kid":"b"}')$$),
	-- algorithm
	($$jwt_sign('{}', secret, 'none')$$), ($$jwt_sign('{}', secret, 'hs256')$$), ($$jwt_sign('{}', secret, '')$$),
	($$jwt_sign('{}', pg_temp.private('ES256'), 'RS256')$$), ($$jwt_sign('{}', pg_temp.private('RS256'), 'EdDSA')$$),
	($$jwt_sign('{}', pg_temp.jwk('ES256'), 'HS256')$$), ($$jwt_sign('{}', pg_temp.jwk('HS256') || '{"alg":"HS256"}', 'HS512')$$),
	($$jwt_sign('{}', pg_temp.jwk('ES256') || '{"alg":"RS256"}')$$), ($$jwt_sign('{}', pg_temp.jwk('ES256') || '{"alg":"none"}')$$),
	-- key
	($$jwt_sign('{}', '')$$), ($$jwt_sign('{}', repeat('k', 31))$$), ($$jwt_sign('{}', secret, 'HS384')$$), ($$jwt_sign('{}', secret, 'HS512')$$),
	($$jwt_sign('{}', '{"kty":"oct","k":"Zm9v"}'::jsonb)$$), ($$jwt_sign('{}', '{"kty":"oct","k":""}'::jsonb)$$),
	($$jwt_sign('{}', pg_temp.private('ES256'))$$), ($$jwt_sign('{}', E' \n' || pg_temp.public('RS256'))$$),
	($$jwt_sign('{}', ' ' || pg_temp.jwk('HS256')::text)$$), ($$jwt_sign('{}', pg_temp.jwk('ES256')::text, 'ES256')$$),
	($$jwt_sign('{}', pg_temp.public('ES256'), 'ES256')$$), ($$jwt_sign('{}', pg_temp.public_jwk('ES256'))$$), ($$jwt_sign('{}', secret, 'ES256')$$),
	($$jwt_sign('{}', '[]'::jsonb)$$), ($$jwt_sign('{}', '{"keys":[]}'::jsonb)$$), ($$jwt_sign('{}', pg_temp.jwk('ES256') || '{"use":"enc"}')$$),
	($$jwt_sign('{}', pg_temp.jwk('ES256') || '{"key_ops":["verify"]}')$$),
	-- NULL
	($$jwt_sign(NULL, secret)$$), ($$jwt_sign('{}', NULL::text)$$), ($$jwt_sign('{}', secret, NULL)$$), ($$jwt_sign('{}', secret, 'HS256', NULL)$$),
	($$jwt_sign(NULL, pg_temp.jwk('ES256'))$$), ($$jwt_sign('{}', NULL::jsonb)$$), ($$jwt_sign('{}', pg_temp.jwk('ES256'), NULL, NULL)$$)
) AS v (attempt);

--
-- What the signer emits, our own verifier accepts and returns unchanged
--
CREATE FUNCTION pg_temp.round_trip(payload jsonb, header jsonb DEFAULT '{}') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	token text;
	verified jsonb;
	detail text;
BEGIN
	token := auth.jwt_sign(payload, repeat('k', 32), 'HS256', header);
	verified := auth.jwt_verify(token, repeat('k', 32), audience => coalesce(payload #>> '{aud,0}', payload ->> 'aud'), at_time => 'epoch');
	RETURN CASE WHEN verified::text = payload::text AND (auth.jwt_decode(token)).header @> header THEN 'same' ELSE format('%s becomes %s', payload, verified) END;
EXCEPTION
	WHEN invalid_parameter_value OR program_limit_exceeded THEN
		RETURN CASE WHEN token IS NULL THEN 'not signed' ELSE 'signed, and then no good' END;
	WHEN invalid_authorization_specification THEN
		GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
		RETURN detail;
END
$$;
-- Values and names that JSON, text and numeric find hard, wherever they stand
SELECT result, count(*) FROM unnest(ARRAY['""', '"\"\\\/\b\f\n\r\t"', '"\u0001\u001f\u007f\u0080\u2028\ufffe\uffff"', '"\uD834\uDD1E"', '"ÿ"', '" "', '"</script>"', '"a.b"',
		'0', '-0', '-0.0', '1.50', '1e-300', '1e300', '1e1000', '123456789012345678901234567890.123', '4102444800', 'true', 'null', '[]', '{}', '[[]]', '[{"a": [1, "b", null]}]', '{"": {"": ""}}']::jsonb[]) AS value,
	LATERAL (VALUES (jsonb_build_object('a', value)), (jsonb_build_object('deep', jsonb_build_array(jsonb_build_object('a', value), value))),
					(jsonb_build_object(value::text, 1)), (jsonb_build_object('a', value, 'exp', 4102444800, 'nbf', 0, 'iat', -1.5, 'aud', jsonb_build_array('x', 'y'), 'iss', '', 'sub', 'u'))) AS p (payload),
	LATERAL (VALUES (pg_temp.round_trip(payload)), (pg_temp.round_trip('{}', jsonb_build_object('x', payload)))) AS r (result)
GROUP BY result;
-- A registered claim of a wrong type is not signed; one of the right type verifies when it is its time
SELECT claim, result, string_agg(value::text, ' ' ORDER BY v.n) AS values
FROM unnest(ARRAY['exp', 'nbf', 'iat', 'aud', 'iss', 'sub', 'jti', 'typ', 'kid']) WITH ORDINALITY AS c (claim, n),
	 unnest(ARRAY['1', '0', '-1', '1e10', '"x"', '""', 'null', 'true', '[]', '["x"]', '["x", "y"]', '[1]', '{}']::jsonb[]) WITH ORDINALITY AS v (value, n), pg_temp.round_trip(jsonb_build_object(claim, value)) AS result
GROUP BY c.n, claim, result ORDER BY c.n, result COLLATE "C";
-- Up to the largest token and the deepest payload, and not beyond either
SELECT bytes, pg_temp.round_trip(jsonb_build_object('a', repeat('x', bytes))) FROM unnest(ARRAY[49082, 49083, 49084, 49085]) AS bytes;
SELECT length(auth.jwt_sign(jsonb_build_object('a', repeat('x', 49083)), repeat('k', 32)));
SELECT depth, pg_temp.round_trip((repeat('{"a":', depth) || '1' || repeat('}', depth))::jsonb) FROM unnest(ARRAY[255, 256, 257]) AS depth;

--
-- What a verifier must not be asked: an error for any token at all
--
SELECT attempt, pg_temp.outcome(replace(attempt, 'secret', :'secret')) FROM (VALUES
	($$jwt_try_verify('x', NULL::text)$$), ($$jwt_try_verify('x', NULL::jsonb)$$), ($$jwt_try_verify('x', '')$$), ($$jwt_try_verify('x', 'short')$$),
	($$jwt_try_verify('x', secret, NULL)$$), ($$jwt_try_verify('x', secret, '{}')$$), ($$jwt_try_verify('x', secret, '{NULL}')$$),
	($$jwt_try_verify('x', secret, '{none}')$$), ($$jwt_try_verify('x', secret, '{HS256,none}')$$), ($$jwt_try_verify('x', secret, '{hs256}')$$),
	($$jwt_try_verify('x', secret, '{HS256,RS256}')$$), ($$jwt_try_verify('x', secret, '{HS256,HS512}')$$),
	($$jwt_try_verify('x', pg_temp.public('RS256'))$$), ($$jwt_try_verify('x', pg_temp.private('RS256'), '{RS256}')$$),
	($$jwt_try_verify('x', pg_temp.public_jwk('RS256')::text, '{RS256}')$$), ($$jwt_try_verify('x', secret, '{ES256}')$$),
	($$jwt_try_verify('x', secret, leeway => NULL)$$), ($$jwt_try_verify('x', secret, leeway => '-1 s')$$),
	($$jwt_try_verify('x', secret, leeway => '25 h')$$), ($$jwt_try_verify('x', secret, leeway => '1000000000 s')$$), ($$jwt_try_verify('x', secret, leeway => '1 mon')$$),
	($$jwt_try_verify('x', secret, leeway => '1 d 1 s')$$), ($$jwt_try_verify('x', secret, leeway => '1 mon -30 d')$$),
	($$jwt_try_verify('x', secret, required => '{exp,NULL}')$$), ($$jwt_try_verify('x', secret, at_time => 'infinity')$$),
	-- for these the token alone is at fault
	($$jwt_try_verify('x', secret)$$), ($$jwt_verify('x', secret)$$), ($$jwt_try_verify(NULL, secret)$$), ($$jwt_verify(NULL, secret)$$),
	($$jwt_try_verify(NULL, pg_temp.public_jwk('ES256'))$$), ($$jwt_verify(NULL, pg_temp.public_jwk('ES256'))$$), ($$jwt_verify(NULL)$$)
) AS v (attempt);

DROP EXTENSION jwt_auth CASCADE;
DROP SCHEMA auth;
