--
-- Hostile and odd tokens: each is refused for the right reason, or accepted on
-- purpose.  Most are signed here with pgcrypto under the true secret, so that
-- nothing but the oddity can be what refuses them.
--
SET client_min_messages = warning;
CREATE EXTENSION jwt_auth CASCADE;
RESET client_min_messages;

\set secret 'a secret that has more than 32 bytes'
CREATE FUNCTION pg_temp.enc(bytes bytea) RETURNS text LANGUAGE sql AS
$$ SELECT translate(encode(bytes, 'base64'), E'+/=\n', '-_') $$;
CREATE FUNCTION pg_temp.enc(string text) RETURNS text LANGUAGE sql AS $$ SELECT pg_temp.enc(convert_to(string, 'UTF8')) $$;
CREATE FUNCTION pg_temp.dec(string text) RETURNS bytea LANGUAGE sql AS
$$ SELECT decode(rpad(translate(string, '-_', '+/'), (length(string) + 3) / 4 * 4, '='), 'base64') $$;
CREATE FUNCTION pg_temp.mac(input text, key bytea DEFAULT 'a secret that has more than 32 bytes') RETURNS text LANGUAGE sql AS
$$ SELECT input || '.' || pg_temp.enc(hmac(convert_to(input, 'UTF8'), key, 'sha256')) $$;
CREATE FUNCTION pg_temp.token(header text, payload text DEFAULT '{"sub":"u"}') RETURNS text LANGUAGE sql AS
$$ SELECT pg_temp.mac(pg_temp.enc(header) || '.' || pg_temp.enc(payload)) $$;
CREATE FUNCTION pg_temp.claims(payload text) RETURNS text LANGUAGE sql AS $$ SELECT pg_temp.token('{"alg":"HS256"}', payload) $$;
CREATE FUNCTION pg_temp.oct(secret bytea) RETURNS jsonb LANGUAGE sql AS $$ SELECT jsonb_build_object('kty', 'oct', 'k', pg_temp.enc(secret)) $$;

-- One row, one token.  It is shown to both forms of the verifier, with the
-- secret as text and as a JWK, unless the row brings a key of its own.
CREATE TEMP TABLE hostile (
	id text, token text, reason text,
	secret text DEFAULT :'secret', jwk jsonb DEFAULT pg_temp.oct(:'secret'), algorithms text[],
	issuer text, audience text, leeway interval DEFAULT '0', typ text, required text[],
	at_time timestamptz DEFAULT to_timestamp(1700000000)
);

--
-- A. Shape and encoding
--
SELECT h, p, s, h || '.' || p || '.' || s AS v FROM split_part(pg_temp.claims('{"sub":"?>~"}'), '.', 1) AS h,
	split_part(pg_temp.claims('{"sub":"?>~"}'), '.', 2) AS p, split_part(pg_temp.claims('{"sub":"?>~"}'), '.', 3) AS s \gset
SELECT :'p' ~ '[-_]' AND :'s' ~ '[-_]' AS worth_translating;
INSERT INTO hostile (id, token, reason) VALUES
	('P01', :'v', 'valid'), ('P03', pg_temp.token(E'{ "alg":"HS256",\n\t"x":{"y":[1,null]} }', '{"a":"\uD834\uDD1E"}'), 'valid'),
	('V01', '', 'malformed'), ('V01', '.', 'malformed'), ('V01', '..', 'malformed'), ('V01', '...', 'malformed'), ('V02', :'h', 'malformed'),
	('V03', :'h' || '.' || :'p', 'malformed'), ('V03', :'h' || '.' || :'p' || '.', 'malformed'), ('V03', '.' || :'p' || '.' || :'s', 'malformed'),
	('V04', :'v' || '.', 'malformed'), ('V04', :'v' || '.AA', 'malformed'), ('V04', :'v' || '.a.b', 'malformed'),
	('V05', ' ' || :'v', 'bad_encoding'), ('V05', :'v' || E'\n', 'bad_encoding'), ('V05', :'v' || ' ', 'bad_encoding'),
	('V06', 'Bearer ' || :'v', 'bad_encoding'), ('V06', 'bearer ' || :'v', 'bad_encoding'), ('V06', '"' || :'v' || '"', 'bad_encoding'),
	('V07', pg_temp.mac(pg_temp.enc('{"alg":"HS256" }') || '==.' || :'p'), 'bad_encoding'), ('V08', :'v' || '=', 'bad_encoding'),
	('V09', :'h' || '.' || :'p' || '.' || translate(:'s', '-_', '+/'), 'bad_encoding'), ('V09', pg_temp.mac(:'h' || '.' || translate(:'p', '-_', '+/')), 'bad_encoding'),
	('V12', pg_temp.mac(:'h' || '.' || overlay(pg_temp.enc('{"sub":"u"}') PLACING '1' FROM 15)), 'bad_encoding'),
	('V12', pg_temp.mac(:'h' || '.' || overlay(pg_temp.enc('{"sub":"u"}') PLACING '0' FROM 15)), 'valid'),
	('V13', pg_temp.mac(:'h' || '.' || pg_temp.enc('{"sub":"uu"}') || 'A'), 'bad_encoding'), ('V13', pg_temp.mac(:'h' || 'A.' || :'p'), 'bad_encoding'), ('V13', :'v' || 'AA', 'bad_encoding'),
	('V14', replace(:'v', '.', U&'\2024'), 'malformed'), ('V14', U&'\FF21' || :'v', 'bad_encoding'), ('V14', pg_temp.mac(:'h' || U&'\200B.' || :'p'), 'bad_encoding'),
	('V15', format('{"payload":"%s","protected":"%s","signature":"%s"}', :'p', :'h', :'s'), 'malformed'),
	('V15', format('{"payload":"%s","signatures":[{"protected":"%s","signature":"%s"}]}', :'p', :'h', :'s'), 'malformed'),
	('V15', format('{"payload":"%s","protected":"%s","signature":"..%s"}', :'p', :'h', :'s'), 'bad_encoding'),
	('V17', pg_temp.enc('{"alg":"dir","enc":"A128GCM"}') || '..AA.AA.AA', 'malformed'), ('V17', pg_temp.enc('{"alg":"A256KW","enc":"A256GCM"}') || '.AA.AA.AA.AA', 'malformed'),
	('V28', repeat('a', 65536), 'malformed'), ('V28', repeat('a', 65537), 'token_too_large'), ('V28', repeat('.', 70000), 'token_too_large'),
	('V28', repeat('a', 10000000), 'token_too_large'), ('V28', pg_temp.claims('{"a":"' || repeat('x', 49000) || '"}'), 'valid');
INSERT INTO hostile (id, token, reason) SELECT 'V10', pg_temp.mac(token), 'bad_encoding' FROM unnest(ARRAY[' ', E'\n', '?', '#', ':', '%3D', '+', '=', U&'\00E9']) AS c,
	LATERAL (VALUES (overlay(:'h' PLACING c FROM 4 FOR 0) || '.' || :'p'), (:'h' || '.' || overlay(:'p' PLACING c FROM 4 FOR 0))) AS t (token)
UNION ALL SELECT 'V10', :'h' || '.' || :'p' || '.' || overlay(:'s' PLACING c FROM 4 FOR 0), 'bad_encoding' FROM unnest(ARRAY[' ', E'\n', '?', '#', ':', '%3D', '+', '=', U&'\00E9']) AS c;
-- The tag ends in two bits that mean nothing: one token has one spelling, not four
INSERT INTO hostile (id, token, reason) SELECT 'V11', left(:'v', -1) || substr(alphabet, strpos(alphabet, right(:'v', 1)) + bits, 1), CASE bits WHEN 0 THEN 'valid' ELSE 'bad_encoding' END
FROM (VALUES ('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_')) AS a (alphabet), generate_series(0, 3) AS bits;
-- JSON that is none, as header and as payload
INSERT INTO hostile (id, token, reason) SELECT id, token, 'bad_json' FROM (VALUES
	('V18', '[]'), ('V18', '"HS256"'), ('V18', '1'), ('V18', 'null'), ('V18', 'true'), ('V18', ' '), ('V18', '{'), ('V18', '{}x'), ('V18', '{"alg":"HS256"}{}'),
	('V18', U&'\FEFF{"alg":"HS256"}'), ('V18', '[{"alg":"HS256"}]'), ('V19', '{''alg'':''HS256''}'), ('V19', '{"alg":"HS256"}//'), ('V19', '{"alg":"HS256",}'),
	('V19', '{alg:"HS256"}'), ('V19', '{"alg":"HS256","x":NaN}'), ('V19', '{"alg":"HS256","x":Infinity}'), ('V19', '{"alg":"HS256","x":01}'), ('V19', '{"alg":"HS256","x":1.}'),
	('V19', '{"alg":"HS256","x":+1}'), ('V19', '{"alg":"HS256","x":0x1}'), ('V19', E'{"alg":"HS256","x":"\t"}'), ('V19', '{"alg":"HS256","x":"\x"}'), ('V19', '{"alg":"HS256" "x":1}'),
	('V24', '{"alg":"HS256","sub":"a\u0000b"}'), ('V24', '{"alg":"HS256","kid":"hs1\u0000x"}'), ('V24', '{"alg":"HS256","a\u0000":1}'), ('V24', '{"alg":"HS256","x":"\ud834"}'), ('V24', '{"alg":"HS256","x":"\udd1e\ud834"}'),
	('V26', '{"alg":"HS256","x":' || repeat('[', 256) || repeat(']', 256) || '}'), ('V26', '{"alg":"HS256","x":' || repeat('[', 1000) || repeat(']', 1000) || '}'), ('V26', '{"alg":"HS256","x":' || repeat('[', 20000)), ('V26', '{"alg":"HS256","x":' || repeat('{"a":', 9000)),
	('V80', '{"alg":"HS256","x":1e131072}'), ('V80', '{"alg":"HS256","x":1e999999999999}'), ('V80', '{"alg":"HS256","x":1e-16384}')
) AS v (id, json), LATERAL (VALUES (pg_temp.token(json)), (pg_temp.claims(json))) AS t (token);
INSERT INTO hostile (id, token, reason) SELECT id, pg_temp.mac(token), reason FROM (VALUES
	('V20', 'c2', 'bad_json'), ('V20', 'c080', 'bad_json'), ('V20', 'eda080', 'bad_json'), ('V20', 'f8', 'bad_json'), ('V20', 'ff', 'bad_json'), ('V20', 'e9', 'bad_json'),
	('V20', 'f4908080', 'bad_json'), ('V25', '00', 'bad_json'), ('P03', 'f09d849e', 'valid')
) AS v (id, bytes, reason), LATERAL (VALUES
	(pg_temp.enc('{"alg":"HS256","x":"' || decode(bytes, 'hex') || '"}') || '.' || :'p'), (:'h' || '.' || pg_temp.enc('{"x":"' || decode(bytes, 'hex') || '"}'))) AS t (token);
-- {"alg":"HS256"} in UTF-16 and UTF-32, of either byte order, with a mark in front and without
INSERT INTO hostile (id, token, reason) SELECT 'V20', pg_temp.mac(token), 'bad_json' FROM (VALUES ('', '00', 'fffe'), ('00', '', 'feff'), ('', '000000', 'fffe0000'), ('000000', '', '0000feff')) AS v (before, after, mark),
	unnest(ARRAY['', mark]) AS first, LATERAL (SELECT decode(first || regexp_replace(encode('{"alg":"HS256"}', 'hex'), '(..)', before || '\1' || after, 'g'), 'hex') AS json) AS j,
	LATERAL (VALUES (pg_temp.enc(json) || '.' || :'p'), (:'h' || '.' || pg_temp.enc(json))) AS t (token);
INSERT INTO hostile (id, token, reason) SELECT id, token, 'duplicate_member' FROM (VALUES
	('V21', '{"alg":"none","alg":"HS256"}'), ('V21', '{"alg":"HS256","alg":"none"}'), ('V21', '{"alg":"HS256","alg":"HS256"}'), ('V21', '{"alg":"HS256","\u0061lg":"none"}'), ('V21', '{"alg":"HS256","kid":"a","kid":"b"}'),
	('V22', '{"alg":"HS256","sub":"a","sub":"b"}'), ('V22', '{"alg":"HS256","exp":1,"exp":4102444800}'), ('V22', '{"alg":"HS256","realm":{"roles":[],"roles":["admin"]}}'), ('V22', '{"alg":"HS256","sub":"a","\u0073ub":"b"}'), ('V22', '{"alg":"HS256","a":{"b":[{"c":1,"c":1}]}}')
) AS v (id, json), LATERAL (VALUES (pg_temp.token(json)), (pg_temp.claims(json))) AS t (token);
INSERT INTO hostile (id, token, reason) VALUES
	('V18', pg_temp.token(''), 'malformed'), ('V23', pg_temp.claims(''), 'bad_json'),
	('V22', pg_temp.claims('{"a":{"x":1},"b":{"x":1},"c":[{"x":1},{"x":1}],"x":1}'), 'valid'), ('V23', pg_temp.mac(:'h' || '.' || pg_temp.enc(sha256('random'))), 'bad_json'),
	('V26', pg_temp.claims('{"a":' || repeat('[', 255) || repeat(']', 255) || '}'), 'valid'), ('V26', pg_temp.token('{"alg":"HS256","a":' || repeat('[', 255) || repeat(']', 255) || '}'), 'valid'),
	('V26', pg_temp.claims(repeat('{"a":', 256) || '1' || repeat('}', 256)), 'valid'), ('V26', pg_temp.claims(repeat('{"a":', 257) || '1' || repeat('}', 257)), 'bad_json');

--
-- B. Algorithm and signature; D. Header extensions
--
INSERT INTO hostile (id, token, reason) SELECT 'V30', pg_temp.enc(format('{"alg":"%s"}', alg)) || '.' || :'p' || '.' || sig, CASE sig WHEN '' THEN 'malformed' ELSE reason END
FROM (VALUES ('none', 'unknown_algorithm'), ('None', 'unknown_algorithm'), ('NONE', 'unknown_algorithm'), ('nOnE', 'unknown_algorithm'),
			 ('none ', 'unknown_algorithm'), (' none', 'unknown_algorithm'), ('none\u0000', 'bad_json')) AS v (alg, reason), unnest(ARRAY['', :'s']) AS sig;
INSERT INTO hostile (id, token, reason) SELECT id, pg_temp.token(header), reason FROM (VALUES
	('V31', '{"alg":"none"}', 'unknown_algorithm'), ('V32', '{}', 'unknown_algorithm'), ('V32', '{"alg":null}', 'unknown_algorithm'), ('V32', '{"alg":256}', 'unknown_algorithm'),
	('V32', '{"alg":["HS256"]}', 'unknown_algorithm'), ('V32', '{"alg":[]}', 'unknown_algorithm'), ('V32', '{"alg":{}}', 'unknown_algorithm'), ('V32', '{"alg":true}', 'unknown_algorithm'), ('V32', '{"alg":""}', 'unknown_algorithm'),
	('V33', '{"alg":"hs256"}', 'unknown_algorithm'), ('V33', '{"alg":"HS256 "}', 'unknown_algorithm'), ('V33', '{"alg":"HS-256"}', 'unknown_algorithm'), ('V33', '{"alg":"HS257"}', 'unknown_algorithm'),
	('V33', '{"alg":"sha256"}', 'unknown_algorithm'), ('V33', '{"alg":"ED25519"}', 'unknown_algorithm'), ('V33', '{"alg":"es256"}', 'unknown_algorithm'), ('V33', '{"alg":"RS256\n"}', 'unknown_algorithm'),
	('V33', '{"alg":"HMAC"}', 'unknown_algorithm'), ('V33', '{"alg":"HS256\n"}', 'unknown_algorithm'), ('V33', '{"Alg":"HS256"}', 'unknown_algorithm'), ('V33', '{"alg":"HS256HS256"}', 'unknown_algorithm'),
	('V34', '{"alg":"HS512"}', 'algorithm_not_allowed'), ('V34', '{"alg":"RS256"}', 'algorithm_not_allowed'), ('V34', '{"alg":"ES256"}', 'algorithm_not_allowed'), ('V34', '{"alg":"EdDSA"}', 'algorithm_not_allowed'),
	('V55', '{"alg":"HS256","kid":1}', 'malformed'), ('V55', '{"alg":"HS256","kid":null}', 'malformed'), ('V55', '{"alg":"HS256","kid":true}', 'malformed'), ('V55', '{"alg":"HS256","kid":[]}', 'malformed'), ('V55', '{"alg":"HS256","kid":{}}', 'malformed'),
	('V64', '{"alg":"HS256","jku":"http://127.0.0.1:1/","x5u":"file:///etc/passwd","x5c":["AA"]}', 'valid'), ('V62', '{"alg":"HS256","jwk":{"kty":"oct","k":"AA"}}', 'valid'),
	('V72', '{"alg":"HS256","crit":[]}', 'unsupported_critical'), ('V72', '{"alg":"HS256","crit":["exp"],"exp":1}', 'unsupported_critical'), ('V72', '{"alg":"HS256","crit":["alg"]}', 'unsupported_critical'),
	('V72', '{"alg":"HS256","crit":["x"],"x":1}', 'unsupported_critical'), ('V72', '{"alg":"HS256","crit":["x"]}', 'unsupported_critical'), ('V72', '{"alg":"HS256","crit":["x","x"],"x":1}', 'unsupported_critical'),
	('V72', '{"alg":"HS256","crit":"x"}', 'unsupported_critical'), ('V72', '{"alg":"HS256","crit":null}', 'unsupported_critical'), ('V72', '{"alg":"HS256","crit":{}}', 'unsupported_critical'), ('V72', '{"alg":"HS256","crit":[1]}', 'unsupported_critical'),
	('V73', '{"alg":"HS256","b64":false}', 'unsupported_critical'), ('V73', '{"alg":"HS256","b64":true,"crit":["b64"]}', 'unsupported_critical'), ('V73', '{"alg":"HS256","b64":true}', 'unsupported_critical'), ('V73', '{"alg":"HS256","b64":false,"crit":["b64"]}', 'unsupported_critical'),
	('V74', '{"alg":"HS256","zip":"DEF"}', 'unsupported_critical'), ('V74', '{"alg":"HS256","enc":"A256GCM"}', 'unsupported_critical'),
	('V75', '{"alg":"HS256","typ":1}', 'wrong_token_type'), ('V75', '{"alg":"HS256","typ":null}', 'wrong_token_type'), ('V75', '{"alg":"HS256","typ":["JWT"]}', 'wrong_token_type')
) AS v (id, header, reason);
INSERT INTO hostile (id, token, reason) VALUES
	('V73', pg_temp.mac(pg_temp.enc('{"alg":"HS256","b64":false,"crit":["b64"]}') || '.{"sub":"u"}'), 'bad_encoding'), ('V73', pg_temp.mac(pg_temp.enc('{"alg":"HS256","b64":false,"crit":["b64"]}') || '.'), 'unsupported_critical'),
	('V73', pg_temp.mac(pg_temp.enc('{"alg":"HS256","b64":false,"crit":["b64"]}') || '.subs'), 'unsupported_critical'), ('V74', pg_temp.mac(pg_temp.enc('{"alg":"HS256","zip":"DEF"}') || '.' || pg_temp.enc('\xab562a2e4d52b2522a55aa0500'::bytea)), 'unsupported_critical'), ('V73', pg_temp.mac(:'h' || '.'), 'bad_json'),
	('V74', pg_temp.token('{"alg":"HS256","cty":"JWT"}', :'v'), 'bad_json'),
	('V38', pg_temp.mac(:'h' || '.' || :'p', ''), 'bad_signature'), ('V50', :'h' || '.' || :'p' || '.' || pg_temp.enc(hmac(:'p', :'secret', 'sha256')), 'bad_signature'),
	('V50', :'h' || '.' || :'p' || '.' || pg_temp.enc(hmac('{"alg":"HS256"}{"sub":"?>~"}', :'secret', 'sha256')), 'bad_signature'), ('V50', :'h' || '.' || :'p' || '.' || pg_temp.enc(hmac('{"alg":"HS256"}.{"sub":"?>~"}', :'secret', 'sha256')), 'bad_signature'),
	('V50', :'h' || '.' || :'p' || '.' || pg_temp.enc(hmac(:'h' || '.' || :'p' || '.', :'secret', 'sha256')), 'bad_signature'),
	('V50', :'h' || '.' || :'p' || '.' || pg_temp.enc(substr(hmac(:'h' || '.' || :'p', :'secret', 'sha512'), 1, 32)), 'bad_signature'),
	('V50', :'h' || '.' || :'p' || '.' || pg_temp.enc(sha256((:'secret' || :'h' || '.' || :'p')::bytea)), 'bad_signature'),
	('V51', regexp_replace(pg_temp.token('{"alg":"HS256","kid":"a"}'), '^[^.]*', pg_temp.enc('{"alg":"HS256","kid":"b"}')), 'bad_signature'),
	('V51', regexp_replace(pg_temp.token('{"alg":"HS256","typ":"a"}'), '^[^.]*', pg_temp.enc('{"alg":"HS256","typ":"b"}')), 'bad_signature'), ('V51', pg_temp.enc('{"alg":"HS256","typ":"JWT"}') || '.' || :'p' || '.' || :'s', 'bad_signature'), ('V51', :'h' || '.' || pg_temp.enc('{"sub":"v"}') || '.' || :'s', 'bad_signature'),
	('V52', pg_temp.mac(:'h' || '.' || :'p', pg_temp.enc(:'secret')::bytea), 'bad_signature'), ('V52', pg_temp.mac(:'h' || '.' || :'p', encode(:'secret', 'hex')::bytea), 'bad_signature'),
	('V52', pg_temp.mac(:'h' || '.' || :'p', :'secret' || '\x0a'::bytea), 'bad_signature'), ('V52', pg_temp.mac(:'h' || '.' || :'p', rtrim(:'secret', 's')::bytea), 'bad_signature');
-- V49: tags of another length; V51: one bit of the tag
INSERT INTO hostile (id, token, reason) SELECT 'V49', :'h' || '.' || :'p' || '.' || pg_temp.enc(tag), 'bad_signature'
FROM unnest(ARRAY[substr(pg_temp.dec(:'s'), 1, 1), substr(pg_temp.dec(:'s'), 1, 16), substr(pg_temp.dec(:'s'), 1, 31), pg_temp.dec(:'s') || '\x00', encode(pg_temp.dec(:'s'), 'hex')::bytea]) AS tag
UNION ALL SELECT 'V51', :'h' || '.' || :'p' || '.' || pg_temp.enc(set_bit(pg_temp.dec(:'s'), bit, 1 - get_bit(pg_temp.dec(:'s'), bit))), 'bad_signature' FROM generate_series(0, 255) AS bit
UNION ALL SELECT 'V51', :'h' || '.' || pg_temp.enc(set_bit(pg_temp.dec(:'p'), bit, 1 - get_bit(pg_temp.dec(:'p'), bit))) || '.' || :'s', 'bad_signature' FROM generate_series(0, length(pg_temp.dec(:'p')) * 8 - 1) AS bit;
-- V52: a secret that has a zero byte does not end there
INSERT INTO hostile (id, token, reason, secret, jwk) SELECT 'V52', pg_temp.mac(:'h' || '.' || :'p', key), CASE WHEN key = whole THEN 'valid' ELSE 'bad_signature' END, NULL, pg_temp.oct(whole)
FROM (SELECT :'secret'::bytea || '\x00'::bytea || :'secret'::bytea AS whole) AS w, unnest(ARRAY[whole, :'secret', whole || '\x00', rtrim(whole, 's'::bytea)]) AS key;

-- Key pairs: the tokens and public keys of RFC 7515 A.2 and A.3 and RFC 8037 A.4
SELECT 'eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0c'
	'nVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdb'
	'F9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6'
	'_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0ig'
	'cN_IoypGlUPQGe77Rw' AS rs256,
	'eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0c'
	'nVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q' AS es256,
	'eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4'
	'ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg' AS eddsa,
	'ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-'
	'pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2Ca'
	'pHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb5'
	'4h4FRWyuXpoQ' AS n,
	'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU' AS x, 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0' AS y, '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' AS ed \gset
SELECT jsonb_build_object('kty', 'RSA', 'n', :'n', 'e', 'AQAB') AS rsa, jsonb_build_object('kty', 'EC', 'crv', 'P-256', 'x', :'x', 'y', :'y') AS ec,
	jsonb_build_object('kty', 'OKP', 'crv', 'Ed25519', 'x', :'ed') AS okp, split_part(:'es256', '.', 3) AS es256_sig, split_part(:'rs256', '.', 1) AS rs256_h, split_part(:'rs256', '.', 3) AS rs256_sig \gset
CREATE FUNCTION pg_temp.ssh(VARIADIC parts bytea[]) RETURNS text LANGUAGE sql AS
$$ SELECT convert_from(parts[1], 'UTF8') || ' ' || replace(encode(string_agg(int4send(length(part)) || part, '' ORDER BY n), 'base64'), E'\n', '') FROM unnest(parts) WITH ORDINALITY AS p (part, n) $$;
CREATE TEMP TABLE spki AS SELECT jwk, der, E'-----BEGIN PUBLIC KEY-----\n' || encode(der, 'base64') || E'\n-----END PUBLIC KEY-----\n' AS pem,
	CASE jwk ->> 'kty' WHEN 'RSA' THEN E'-----BEGIN RSA PUBLIC KEY-----\n' || encode(substr(der, 25), 'base64') || E'\n-----END RSA PUBLIC KEY-----\n' END AS pkcs1,
	CASE jwk ->> 'kty' WHEN 'RSA' THEN pg_temp.ssh('ssh-rsa', '\x010001', '\x00' || pg_temp.dec(jwk ->> 'n')) WHEN 'EC' THEN pg_temp.ssh('ecdsa-sha2-nistp256', 'nistp256', substr(der, 27))
		ELSE pg_temp.ssh('ssh-ed25519', substr(der, 13)) END AS openssh
FROM (VALUES
	(:'rsa'::jsonb, '\x30820122300d06092a864886f70d01010105000382010f003082010a0282010100' || pg_temp.dec(:'n') || '\x0203010001'::bytea),
	(:'ec', '\x3059301306072a8648ce3d020106082a8648ce3d03010703420004'::bytea || pg_temp.dec(:'x') || pg_temp.dec(:'y')),
	(:'okp', '\x302a300506032b6570032100'::bytea || pg_temp.dec(:'ed'))) AS v (jwk, der);
-- V35, V36, V39: an HMAC keyed with any spelling of a public key
INSERT INTO hostile (id, token, reason, secret, jwk, algorithms)
SELECT 'V35', pg_temp.mac(:'h' || '.' || :'p', key), reason, secret, c.jwk, algorithms
FROM spki, LATERAL unnest(ARRAY[pem::bytea, rtrim(pem, E'\n')::bytea, replace(pem, E'\n', E'\r\n')::bytea, (' ' || pem)::bytea, der, substr(der, 25), substr(der, 27), jwk::text::bytea,
								replace(jwk::text, ' ', '')::bytea, pg_temp.dec(coalesce(jwk ->> 'n', jwk ->> 'x')), coalesce(jwk ->> 'n', jwk ->> 'x')::bytea,
								pkcs1::bytea, rtrim(pkcs1, E'\n')::bytea, openssh::bytea, (openssh || E'\n')::bytea, decode(split_part(openssh, ' ', 2), 'base64'), '']) AS key,
	LATERAL (SELECT CASE jwk ->> 'kty' WHEN 'RSA' THEN 'RS256' WHEN 'EC' THEN 'ES256' ELSE 'EdDSA' END) AS a (alg),
	LATERAL (VALUES ('algorithm_not_allowed', pem, NULL, ARRAY[alg]), ('algorithm_not_allowed', NULL, jwk, NULL), ('key_mismatch', NULL, jwk, ARRAY[alg, 'HS256']),
					('key_mismatch', NULL, jwk || jsonb_build_object('alg', alg), NULL), ('unknown_kid', NULL, jsonb_build_object('keys', jsonb_build_array(jwk, jwk)), ARRAY['HS256'])) AS c (reason, secret, jwk, algorithms)
WHERE key IS NOT NULL;
INSERT INTO hostile (id, token, reason, secret, jwk, algorithms, at_time) SELECT id, token, reason, NULL, jwk::jsonb, algorithms::text[], '2011-03-22 18:42:59 UTC' FROM (VALUES
	('P01', :'rs256', 'valid', :'rsa', NULL), ('P01', :'es256', 'valid', :'ec', NULL), ('P01', :'eddsa', 'bad_json', :'okp', NULL),
	('V34', :'rs256', 'algorithm_not_allowed', :'rsa', '{ES256}'), ('V40', :'rs256', 'key_mismatch', :'ec', '{RS256,ES256}'), ('V40', :'es256', 'key_mismatch', :'okp', '{ES256}'),
	('V43', replace(:'es256', :'es256_sig', 'MEUCIA7RIVN5Y2xIPC9_FVgH1AKjsigDOvl8fheBmsMWnqZlAiEAxQoH04w8cOXY8S2vCEpUgKZlkMXyk1Cajz9_ioOjVNU'), 'bad_signature', :'ec', NULL),
	-- (r, n - s) is as good as (r, s): RFC 7518 asks for no low s, so nothing is keyed on signatures
	('V44', replace(:'es256', :'es256_sig', 'DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmU69fgrc8OPGycO0lD3tat_FoFp57SETepkeks4eL_QfA'), 'valid', :'ec', NULL),
	('V43', overlay(:'eddsa' PLACING 'KLa6_pyZkOh9Vg8wkiO1VhVsPt9g7sVvpAr_MuM0KEg' FROM length(:'eddsa') - 42), 'bad_signature', :'okp', NULL),
	('V65', :'es256', 'key_mismatch', :'ec'::jsonb || '{"use":"enc"}', NULL), ('V65', :'es256', 'key_mismatch', :'ec'::jsonb || '{"key_ops":["encrypt"]}', NULL),
	('V65', :'es256', 'key_mismatch', :'ec'::jsonb || '{"key_ops":"verify"}', NULL), ('V65', :'es256', 'valid', :'ec'::jsonb || '{"use":"sig","key_ops":["verify"]}', NULL)
) AS v (id, token, reason, jwk, algorithms);
INSERT INTO hostile (id, token, reason, secret, jwk, at_time)
WITH edge (n) AS (VALUES (decode(repeat('00', 32), 'hex')), (decode(repeat('00', 31) || '01', 'hex')), ('\xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632550'),
						 ('\xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551')),
forged AS (
	SELECT 'V42' AS id, :'es256' AS token, r.n || s.n AS signature, :'ec'::jsonb AS jwk FROM edge AS r, edge AS s
	UNION ALL SELECT 'V43', :'es256', s, :'ec' FROM pg_temp.dec(:'es256_sig') AS sig, unnest(ARRAY[substr(sig, 2), sig || '\x00', '\x00' || sig, '\x00' || substr(sig, 1, 32) || '\x00' || substr(sig, 33)]) AS s
	UNION ALL SELECT 'V43', :'eddsa', s, :'okp' FROM unnest(ARRAY[decode(repeat('00', 64), 'hex'), decode(repeat('00', 63), 'hex')]) AS s
	UNION ALL SELECT 'V48', :'rs256', s, :'rsa' FROM pg_temp.dec(:'rs256_sig') AS sig, unnest(ARRAY[substr(sig, 2), '\x00' || sig, sig || '\x00', decode(repeat('00', 256), 'hex'), decode(repeat('ff', 256), 'hex'), pg_temp.dec(:'n')]) AS s
)
SELECT id, regexp_replace(token, '[^.]*$', pg_temp.enc(signature)), 'bad_signature', NULL, jwk, '2011-03-22 18:42:59 UTC' FROM forged;

-- V47: PSS by the true key with another salt than the 32 bytes of RFC 7518 section 3.5, or another MGF; made elsewhere
INSERT INTO hostile (id, token, reason, secret, jwk, algorithms) SELECT 'V47', pg_temp.enc('{"alg":"PS256"}') || '.' || pg_temp.enc('{"sub":"u"}') || '.' || signature,
	CASE form WHEN 'salt 32' THEN 'valid' ELSE 'bad_signature' END, NULL, :'rsa', '{PS256}'
FROM (VALUES
	('salt 32', 'LgCNptmgy1i82dgKhCvbwR2-1rJsftAYzmdpv-a3vaq1reTsXwxXFhmnCJiw0eeoxKAqhtdTMEZcB8qy9RQriUVdVzbpShiUWSHPAiEfleEQ6T'
	 'L5XkwenIXOdCMBAEJdPeDSgdopmedxzNtbX8L0HdrbYm79c0zomsHA8DGl2CtQFsvhqDFB1f5xMO2edHa_zPcrrE8nqTQwRTorRjbslg8Pj5hR'
	 'm7-AC-T0SWNGLx2R-S0iuATLSi4thqJRP6zdrB8dIMZyUmYEAg_ExTP-AP7y-Y1Nng1aYjS6k8R_s4i4SMA0rTQdbdeeBPJBteO1IR9VZGnQn4'
	 'RJBV09Rud4SA'),
	('salt 0', 'F7pNL8Eno8aWfTe7xW6SuYJkI2-AApa9OAQsJd-WoTvzjnpZmYt7TKMj_oMAMlpJ5hmARLLREg9k7PnUrXbPtTySgkkXbrxKYp993y7l6Rapc7'
	 'wafdPDZeTeAKwAfxV1jd9yF2TNr9R8B38scjafR-NCpvX9WJZwoFEwJJqoFmvqhrv3DUNHzQDcrQnisZ_obR-Pu-VSJfZdrOHbL5ltHUFUQuw2'
	 'flxfGtkNmxQr_u-sCYnoCWc_Lpy9BVbu2dc3DqojKPNqhxH_q7w5bSlm0Yln1qdVpRFcH0W0xs9zx9UlTWbJh810GP04asv0xjzLllszuinPMT'
	 'hUpOPyST9dvQ'),
	('salt 20', 'Ymcrzpc_U1AVZlosQ3Du316w83X-VHRvy0nsi4K_iLYeQfKvT3jhah93JrmTlaVKwyG_Hn82IGzeDP5Nu0nwQePAS-R9pQzMZ_MX8W2tNSxsGQ'
	 'sPGjyMVbPwr5rXZNV_T3GJr_1PcaLC5U4FpBKwuPr4xJeVTTgrNjTCeQzqdziUf3fcQ-JC-Jdn8-_LGkhq3TPBStyZkS4HxXYvbotzldPzQ3uM'
	 'cikKoo4T3ERQa7SRJYH-5VSXB59T35sLdMw1E-9CEzyFROGT5GmLZqa6p_SJ4_3P5WpWgJaW3ARIjX5PoHV09WfA_oSU0mhkd3Uwq0N6aeON8I'
	 'L-toaPo6kpbw'),
	('salt 31', 'mv5vt5bsBlpk8eZMhXqgqvlro5vt01qNOqwSEJvZ2uCc7EYaH6ziplqP5cwFz2eLcxbvTsppBhU1dfPQtBRyDM4fonAbP3A33o0I_BpgnZ9jLD'
	 'ljrAAHcuTX4pA-c1oGMZN4iPKzNQrvLXj1RxfGWQaNJxsokC9PYSYfhIXEnkkoUFIHMBfCVN7C9L_LvG7aYoFCn9xb-Jjkr5HVjQx0WwMAoANf'
	 '7ovUCfU0lgPj0WJ_nix_gzR_xmzyhd2jH44cx2LraVmpnNQz5biP9yJwrkk76WtwWY6SidnQZDRWYNYgoADZK6xiXtmwQnbGSt7PT4z9At3Cqw'
	 'boerdn1bgenQ'),
	('salt 33', 'XOHm__Uz-LqQth8M3jiIh5J5VNiJkvq6RMHwwOjXdC6pv-nyefp_dc-jkcIfMMTWo7T9UEumkXjEZoP3XoJCQ1dJ5JfvcXL3es5_Ez4Yl5xG_k'
	 '8Jf7_3nh6uWdvWcHN_0YjAwV9QkwrSZaG4c8S6Vl977x3f_fGUZ1wPMqpo6-RfxasGdzJcsl6mik4kkF_Rlvp5Raz-3mvFuecCzckE7VYr2WvN'
	 '9S1mpEKH7pEEeROqdagDKPvTDIKOKaj_2esNAMtvdcJR24bZ_3jVvM5zF1OIBok_JNgqbnF0DVuyagWsWDRAoVgSp9uoCOE1iU8wcITG8gmlDl'
	 'zHjmw27eFS4A'),
	('salt 222', 'OyLjj06Jw9ohbgjJyKb-05MK11F0E5crYVsUnU9bXFPH0GZbQ55qcYVsTwNFTSy56CaGkRWoEwfkW4-FbAE8H1WXRep0k8USfcTxt_jDkeDafx'
	 'qaBIgKm8D_3wtRJ6EO-hIvEnvPjZpXprupiBfEjbhcD4R7JqiGJKg37DOlP-tzKeMzQkzgWEgcv8wCtcBDjkAVoRqsor1m5R-0goLligz1Z4gc'
	 'UoJzQi8-Rvp5_VM8Q6f2qKiWd95WC2DCbe50KIoZwLBZbs_v0IBMQIT6VF9djb7DS21DuL3XLebPnzlraDXOBzyHG9j4z2tQkD67wDV6F2izux'
	 'cwl-qiKo25gA'),
	('MGF1 with SHA-1', 'Wo2Aw2hy64dAxRCQLj40KpE13PUJtSK27YuEsuPNa8jmNx4Jq3wQ894CLlyTomZLz59ZAPZhZnYZleyEG38iOK8Np0sM9VG9iQxqZ8D0KcHpvD'
	 'lrV5xn_wAGwFrBXo8FBAioJIqH1KwfYdZUlpVxeZZhM8TI5aXhNY613YqCYMXz2t_ps6d3xA0cnmkUCHKiUk8GacSguGbtPQAZ0oLwEkjG14G0'
	 'UrX4VBH1t6iOuWB0_IHh5k6vR9_TvyZbY9phN3grUqWaEzBIErAjpoRA-IsGaOQOCYMUHUcXS-HCMAAiXkDj_CdF87heieriyqbkxizX4hVFCU'
	 'krKQnPabAp1g')
) AS v (form, signature);
-- V48: s and s + n, which is the same residue and has as many bytes
INSERT INTO hostile (id, token, reason, secret, jwk) SELECT 'V48', :'rs256_h' || '.' || pg_temp.enc('{"sub":"0"}') || '.' || signature, reason, NULL, :'rsa' FROM (VALUES
	('valid', 'QOsjM5J0BTljOqrRmL8VtmX0dPRKu5Ge7-WnJx-pOuY3X_xPYdnd1RFwz-eslJNovtBFsRvuaEggpR_IWDTJB1XyGyeswAB8td9Gyu5_XEYeJz'
	 'B5RYHiSRmms_7UAUZ-pa2g8ylGduUIdN9ukZ-0jCmhUfh1FYbpaKahlt8pYf9pTFchfrEsRYD2-tq17_-lJroUZ0ifkRUGpqtWcv_VyJmPHJnP'
	 'rGgrDu_1ZBNwyxjwMNyrTKrPqiH48p66I8eM7M1H01t7XjlMkEg1-80SJXbx3S3phm3fgPPzXSbt3kpHyal2xKaJGxp7lUDfcf8ZmRX0hYkSNl'
	 'YnLQAihsbR3g'),
	('bad_signature', '4uM5PnVXzu3JCTf-_iF47JGG8rJ0nYHDZ-G9TOw53B0a69WD-Z-Uv3VORvmTEQeSuCb2rKZ9cOL88IlRlPX8Rqnf60FlN4Sh5cvYGtME0693cx'
	 'q7xlUOWG9mFpMjFEoVYhw80pgESaKr3G5bMmYdgytU37hwTk8dlYmgBAckQEnDlMu5HIXmFRvVv6IQ9YTRUslzX-5hBhiZn_A_YGSW2WBFY_pq'
	 'UOBl-oxh_urF_ElAlGguswc_GZx7ljUqTebxCFAbv020gFKVr_68gvlpPGv81WN3IPl8mLczz7ZtZiLh4oJzcA42n3OHxBBVBThP1Rz30vhypf'
	 'RJDVR5Uay7fw')
) AS v (reason, signature);
INSERT INTO hostile (id, token, reason, secret, jwk) VALUES ('V48', regexp_replace(:'rs256', '[^.]*$', ''), 'malformed', NULL, :'rsa');
-- V41: signed by a key of another curve than the header's algorithm has; made elsewhere
INSERT INTO hostile (id, token, reason, secret, jwk, algorithms) SELECT 'V41', pg_temp.enc(format('{"alg":"%s"}', alg)) || '.' || pg_temp.enc('{"sub":"u"}') || '.' || signature, reason, NULL, c.jwk, algorithms FROM (VALUES
	('ES256', 'P-384', '2jT8qbySi5M3fmcjkc4nnVrZWJNwRdddDfi72SwXg1d2fjpBVtRbjRx0NHCFsX-N', 'JTycpu3SHXtmkEZgYdqEUEk0_sfkg2dC31Qya1oq_xdWgZzlOd4CkSmzVI7ozH8x',
	 'j3VGnwf_J_xNL3hIArxKHEk9yU0vvGt7j-VAidxjac3pRCFjhSkdFKJmkz26WutAM1m9Q06AJN1LsR6a8GtO3oEBqTQql2WwQXNYp172MduQx9'
	 'iQVQRSLEIDJbo79ZpL'),
	('ES256', 'secp256k1', '1R1AT4XIoKTc0SKuv5Hi-SfisZo6b2hFzWIj8oa7eO8', 'CHuKoBpA2epivwro8Ocu9NwOZ2i026if9TBAOuzMEM0', 'U0MT6VFN95ZzdKn1p9G4JiRoaTIM8JzhabEVSbaDm6wlIJb8f-Igsml2FPBFegN3Rzva68iQU3uLS41adGtO_g'),
	('ES384', 'P-256', :'x', :'y', 'vTnbjAZJnjvsyaQJ45hWAOv0aCeMbAPCbqIucrcpM6Wg15suRzq4yX8GQUIY61rCWTImxQzOdRlODsMtpbtzDA'),
	('ES256K', 'P-256', :'x', :'y', 'sQI9RXQ26hCXAhqNpW-BeZ0ODbnIL76kyTNuIdK58f66jANBNapYMpYajOPLXZ5jSaMHcw6mW9VccnCxm61SKQ')
) AS v (alg, crv, x, y, signature), LATERAL (SELECT jsonb_build_object('kty', 'EC', 'crv', crv, 'x', x, 'y', y) AS jwk) AS k,
	LATERAL (VALUES ('algorithm_not_allowed', k.jwk, NULL), ('key_mismatch', k.jwk, ARRAY[alg]), ('key_mismatch', k.jwk, '{ES256,ES384,ES256K}')) AS c (reason, jwk, algorithms);

--
-- C. Keys and key selection: kid is compared, and is nothing else
--
INSERT INTO hostile (id, token, reason, secret, jwk) SELECT 'V57', pg_temp.token(jsonb_build_object('alg', 'HS256', 'kid', kid)::text), CASE kid WHEN 'hs1' THEN 'valid' ELSE 'unknown_kid' END, NULL, jwk
FROM unnest(ARRAY['hs1', 'HS1', 'hs', 'hs1 ', '', '%', '_s1', 'x'' UNION SELECT ''k''--', '$$', E'hs1\\', 'hs1 OR 1=1', 'hs1''; DROP TABLE users;--', 'nope', '../hs1', 'hs1,hs2']) AS kid,
	 LATERAL (SELECT pg_temp.oct(:'secret') || '{"kid":"hs1"}' AS one) AS k,
	 unnest(ARRAY[one, jsonb_build_object('keys', jsonb_build_array(one)), jsonb_build_object('keys', jsonb_build_array(pg_temp.oct('another secret of at least 32 bytes'), one))]) AS jwk;
-- the key that such a kid would have selected
INSERT INTO hostile (id, token, reason, secret, jwk) SELECT 'V57', pg_temp.mac(pg_temp.enc(jsonb_build_object('alg', 'HS256', 'kid', 'x'' UNION SELECT ''k''--')::text) || '.' || :'p', 'k'), 'unknown_kid', NULL, pg_temp.oct(:'secret') || '{"kid":"hs1"}';
INSERT INTO hostile (id, token, reason, secret, jwk) VALUES
	('V54', :'v', 'unknown_kid', NULL, jsonb_build_object('keys', jsonb_build_array(pg_temp.oct(:'secret') || '{"kid":"a"}', pg_temp.oct(:'secret') || '{"kid":"b"}'))),
	('V40', :'v', 'key_mismatch', NULL, pg_temp.oct(repeat(:'secret', 2)::bytea) || '{"alg":"HS512"}'), ('V34', :'v', 'valid', NULL, pg_temp.oct(:'secret') || '{"alg":"HS256"}');
INSERT INTO hostile (id, token, reason, secret, jwk, algorithms) SELECT 'V34', auth.jwt_sign('{"sub":"u"}', double, 'HS512'), CASE algorithms WHEN '{HS512}' THEN 'valid' ELSE 'algorithm_not_allowed' END, double, pg_temp.oct(double::bytea), algorithms::text[]
FROM repeat(:'secret', 2) AS double, unnest(ARRAY['{HS256}', '{HS256,HS384}', '{HS512}']) AS algorithms;

--
-- E. Claims, looked at as of 1700000000
--
INSERT INTO hostile (id, token, reason) SELECT id, pg_temp.claims(payload), reason FROM (VALUES
	('V23', '[]', 'bad_json'), ('V23', '"x"', 'bad_json'), ('V23', '{"exp":1', 'bad_json'), ('V90', '{"sub":""}', 'valid'), ('V77', '{"exp":1700000001}', 'valid'), ('V77', '{"exp":1700000000}', 'token_expired'),
	('V82', '{"exp":1700000000.5}', 'valid'), ('V82', '{"exp":1699999999.999}', 'token_expired'), ('V82', '{"exp":1.7000000005E9}', 'valid'), ('V82', '{"exp":17000000005e-1}', 'valid'),
	('V82', '{"exp":1700000000.0000000000000000001}', 'valid'), ('V82', '{"exp":0.17e10}', 'token_expired'), ('V83', '{"exp":1700000600000}', 'valid'),
	('V84', '{"nbf":1700000000}', 'valid'), ('V84', '{"nbf":1700000001}', 'token_not_yet_valid'), ('V84', '{"nbf":1700000000.000000001}', 'token_not_yet_valid'), ('V84', '{"nbf":1e308}', 'token_not_yet_valid'),
	('V84', '{"nbf":-1e308}', 'valid'), ('V85', '{"iat":1700000000}', 'valid'), ('V85', '{"iat":1700000001}', 'issued_in_future'), ('V85', '{"iat":1e400}', 'issued_in_future'), ('V85', '{"iat":1700000200,"exp":1700000100}', 'issued_in_future'), ('V85', '{"iat":1699999999,"exp":1699999998}', 'token_expired'),
	('V90', '{"sub":"../"}', 'valid'), ('V90', '{"sub":"user-1 "}', 'valid'), ('V90', '{"sub":"user-1\u0000"}', 'bad_json'),
	('V88', '{"aud":"other"}', 'bad_audience'), ('V88', '{"aud":["other"]}', 'bad_audience')
) AS v (id, payload, reason);
INSERT INTO hostile (id, token, reason) SELECT 'V80', pg_temp.claims(format('{"exp":%s}', exp)), CASE WHEN exp ~ '^(-|0$)' THEN 'token_expired' ELSE 'valid' END
FROM unnest(ARRAY['-1', '0', '-0', '-1e308', '-1e131070', '1e308', '1e400', '1e131071', '9223372036854775807', '9223372036854775808', '9223372036855', '18446744073709551617', '253402300799', '253402300800', '9224318015999', '1e10']) AS exp;
INSERT INTO hostile (id, token, reason) SELECT 'V79', pg_temp.claims(format('{"%s":%s}', claim, bad)), 'bad_claim_type'
FROM unnest(ARRAY['exp', 'nbf', 'iat']) AS claim, unnest(ARRAY['"4102444800"', '"NaN"', '"Infinity"', '"infinity"', '"soon"', '"2100-01-01"', 'true', 'null', '[4102444800]', '{}', '""']) AS bad
UNION ALL SELECT 'V90', pg_temp.claims(format('{"%s":%s}', claim, bad)), 'bad_claim_type' FROM unnest(ARRAY['iss', 'sub', 'jti']) AS claim, unnest(ARRAY['1', 'null', '{}', '["u"]', '["https://issuer.test"]', 'false']) AS bad
UNION ALL SELECT 'V87', pg_temp.claims(format('{"aud":%s}', bad)), 'bad_claim_type' FROM unnest(ARRAY['1', 'null', '{}', '[]', '["api",1]', '[["api"]]', '[null]', '{"api":"api"}']) AS bad;
INSERT INTO hostile (id, token, reason, leeway) SELECT id, pg_temp.claims(payload), reason, '30 s' FROM (VALUES
	('V77', '{"exp":1699999971}', 'valid'), ('V77', '{"exp":1699999970}', 'token_expired'), ('V84', '{"nbf":1700000030}', 'valid'), ('V84', '{"nbf":1700000031}', 'token_not_yet_valid'),
	('V85', '{"iat":1700000030}', 'valid'), ('V85', '{"iat":1700000031}', 'issued_in_future'), ('V80', '{"exp":9223372036854}', 'valid'), ('V80', '{"exp":-9223372036854}', 'token_expired')) AS v (id, payload, reason);
INSERT INTO hostile (id, token, reason, required) SELECT 'V78', pg_temp.claims(payload), CASE payload WHEN '{"exp":1700000001}' THEN 'valid' ELSE 'missing_claim' END, '{exp}'::text[]
FROM unnest(ARRAY['{}', '{"Exp":1700000001}', '{"EXP":1700000001}', '{"exp ":1700000001}', '{"\u0435\u0445\u0440":1700000001}', '{"a":{"exp":1700000001}}', '{"exp":1700000001}']) AS payload
UNION ALL SELECT 'V78', pg_temp.token('{"alg":"HS256","exp":1700000001}', '{}'), 'missing_claim', '{exp}' UNION ALL SELECT 'V90', pg_temp.claims('{"exp":1700000001}'), 'missing_claim', '{exp,sub}';
INSERT INTO hostile (id, token, reason, audience) SELECT 'V87', pg_temp.claims(payload), CASE WHEN payload ~ '"api"' THEN 'valid' ELSE 'bad_audience' END, 'api'
FROM unnest(ARRAY['{"aud":"api"}', '{"aud":["x","api"]}', '{"aud":"API"}', '{"aud":"ap"}', '{"aud":"api "}', '{"aud":"api2"}', '{"aud":["x"]}', '{"aud":"api,x"}', '{}']) AS payload;
INSERT INTO hostile (id, token, reason, issuer) SELECT 'V89', pg_temp.claims(payload), CASE WHEN payload ~ 'test"}' THEN 'valid' ELSE 'bad_issuer' END, 'https://issuer.test'
FROM unnest(ARRAY['{"iss":"https://issuer.test"}', '{"iss":"https://issuer.test/"}', '{"iss":"https://ISSUER.test" }', '{"iss":"https://issuer"}', '{"iss":"https://issuer.tes"}', '{"iss":"https://issuer.test.evil"}', '{"iss":""}', '{}']) AS payload;
INSERT INTO hostile (id, token, reason, typ) SELECT 'V75', pg_temp.token(format('{"alg":"HS256"%s}', typ)), CASE WHEN typ ~* fits THEN 'valid' ELSE 'wrong_token_type' END, expected
FROM (VALUES ('at+jwt', '"(application/)?at\+jwt"'), ('application/at+jwt', '"(application/)?at\+jwt"'), ('JWT', '"(application/)?jwt"')) AS e (expected, fits),
	unnest(ARRAY[',"typ":"at+jwt"', ',"typ":"application/AT+JWT"', ',"typ":"JWT"', ',"typ":"jwt"', ',"typ":"application/JWT"', ',"typ":"refresh+jwt"', ',"typ":"reset+jwt"', ',"typ":"at+jwt "', ',"typ":""',
				 ',"typ":"application/"', ',"typ":"application/application/JWT"', ',"typ":"text/JWT"', ',"typ":"text/at+jwtx"', '']) AS typ;

--
-- The judgement.  Both functions must agree; a refusal is never NULL.
--
CREATE TEMP TABLE said (message text, detail text, hint text);
CREATE FUNCTION pg_temp.judge(h hostile, as_jwk boolean) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	t record;
	raised text := 'valid';
	message text;
	detail text;
	hint text;
	context text;
BEGIN
	IF as_jwk THEN
		t := auth.jwt_try_verify(h.token, h.jwk, h.algorithms, h.issuer, h.audience, h.leeway, h.typ, h.required, h.at_time);
	ELSE
		t := auth.jwt_try_verify(h.token, h.secret, coalesce(h.algorithms, '{HS256}'), h.issuer, h.audience, h.leeway, h.typ, h.required, h.at_time);
	END IF;
	BEGIN
		IF as_jwk THEN
			PERFORM auth.jwt_verify(h.token, h.jwk, h.algorithms, h.issuer, h.audience, h.leeway, h.typ, h.required, h.at_time);
		ELSE
			PERFORM auth.jwt_verify(h.token, h.secret, coalesce(h.algorithms, '{HS256}'), h.issuer, h.audience, h.leeway, h.typ, h.required, h.at_time);
		END IF;
	EXCEPTION WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT, context = PG_EXCEPTION_CONTEXT;
		raised := SQLSTATE || ' ' || detail;
		INSERT INTO said VALUES (message, detail, hint);
		IF context ~ 'eyJ|secret that' THEN
			RETURN 'leaks in its context';
		END IF;
	END;
	IF t.valid IS NULL OR t.valid <> (t.error IS NULL) OR t.valid <> (t.header IS NOT NULL) OR t.valid <> (t.payload IS NOT NULL)
	   OR raised <> (CASE WHEN t.valid THEN 'valid' WHEN t.error = 'token_too_large' THEN '54000 reason: token_too_large' ELSE '28000 reason: ' || t.error END) THEN
		RETURN format('disagree: %s and %s', t, raised);
	END IF;
	RETURN coalesce(t.error, 'valid');
END
$$;
CREATE TEMP VIEW judged AS
SELECT h.id, form, h.reason, pg_temp.judge(h, form = 'jwk') AS judgement, left(h.token, 60) AS token
FROM hostile AS h, unnest(ARRAY['text', 'jwk']) AS form WHERE CASE form WHEN 'jwk' THEN h.jwk IS NOT NULL ELSE h.secret IS NOT NULL END;
SELECT * FROM judged WHERE judgement IS DISTINCT FROM reason;
-- V51: nor is it valid with any bit of its header flipped, whatever that then says
SELECT count(*) AS flipped, count(*) FILTER (WHERE (auth.jwt_try_verify(token, :'secret')).valid) AS valid
FROM pg_temp.dec(:'h') AS header, generate_series(0, length(header) * 8 - 1) AS bit, LATERAL (SELECT pg_temp.enc(set_bit(header, bit, 1 - get_bit(header, bit))) || '.' || :'p' || '.' || :'s' AS token) AS t;
SELECT reason, count(*) FROM judged WHERE judgement = reason GROUP BY reason ORDER BY reason;
-- Nothing of a token or key is in what they say
SELECT DISTINCT message, detail, hint FROM said ORDER BY detail;

-- Where a larger token is let in, depth counts all the same
SET jwt_auth.max_token_size = '1MB';
SELECT depth, (auth.jwt_try_verify(pg_temp.claims(format('{"a":%s1%s}', repeat(opening, depth), repeat(closing, depth))), :'secret')).error
FROM (VALUES ('[', ']', 100000), ('{"a":', '}', 100000)) AS v (opening, closing, depth);
SELECT length(auth.jwt_verify(pg_temp.claims(format('{"sub":"%s"}', repeat('x', 700000))), :'secret') ->> 'sub') AS long_subject;
RESET jwt_auth.max_token_size;

-- What is valid is returned as it was, not trimmed or taken for something else
SELECT auth.jwt_verify(pg_temp.claims(claims), :'secret', at_time => 'epoch') = claims::jsonb AS unchanged, claims
FROM unnest(ARRAY['{"sub":"user-1 "}', '{"sub":"../"}', '{"sub":"1"}', '{"exp":1700000000600,"n":1e2,"role":"postgres","a":{"role":"x"}}', '{"\uD834\uDD1E":"\uD834\uDD1E"}']) AS claims;

-- Settings of the session change nothing
SET TimeZone = 'Pacific/Chatham';
SET DateStyle = 'SQL, DMY';
SET IntervalStyle = 'sql_standard';
SET extra_float_digits = -15;
SET bytea_output = 'escape';
SET client_encoding = 'LATIN1';
SET search_path = '';
SELECT * FROM pg_temp.judged WHERE judgement IS DISTINCT FROM reason;
RESET ALL;

-- The clock goes on within a transaction
BEGIN;
SELECT auth.jwt_sign(jsonb_build_object('exp', extract(epoch FROM now() + '50 ms'::interval)), :'secret') AS short \gset
SELECT pg_sleep(0.1);
SELECT now() < to_timestamp(((auth.jwt_decode(:'short')).payload ->> 'exp')::float8) AS as_of_now, (auth.jwt_try_verify(:'short', :'secret')).error AS by_the_clock;
ROLLBACK;

-- ... and from one execution of a plan to the next
SELECT auth.jwt_sign(jsonb_build_object('exp', extract(epoch FROM clock_timestamp() + '50 ms'::interval)), :'secret') AS short \gset
SET plan_cache_mode = force_generic_plan;
PREPARE verify AS SELECT (auth.jwt_try_verify(:'short', :'secret')).error;
EXECUTE verify \gset
SELECT pg_sleep(0.1);
EXECUTE verify;
RESET plan_cache_mode;

-- No index takes a result that changes with time (PostgreSQL 19 points at it)
CREATE TEMP TABLE kept (token text);
\set VERBOSITY sqlstate
CREATE INDEX ON kept ((auth.jwt_verify(token, 'a secret that has more than 32 bytes')));
\set VERBOSITY default

DROP EXTENSION jwt_auth CASCADE;
DROP SCHEMA auth;
