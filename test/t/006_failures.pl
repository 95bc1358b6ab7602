# A refused token or key leaves nothing behind: no memory of PostgreSQL's or of
# OpenSSL's, which the process shows and no query does, and no word of a token or
# key in the server's log.
#
# All refusals are caught within one transaction of one backend, so that nothing
# but the extension itself gives memory back.  A row of the table below is one
# kind: each must end in the outcome that it names, and after a warm-up its
# rounds must not make the backend grow by more than $slack.  ROUNDS=1000000 asks
# for another number than the usual one.
use strict;
use warnings;
use MIME::Base64 qw(encode_base64);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $rounds = $ENV{ROUNDS} // 5_000;

# What takes OpenSSL long gets a twentieth of the rounds: there a leak is that of
# a whole key, of more than a kilobyte.
my $dear = 20;

# In bytes: less than half of what the smallest malloc takes in each of 5,000
# rounds.
my $slack = 64 * 1024;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;

# log_statement is all in test clusters, which writes every statement
$node->append_conf('postgresql.conf', <<'CONF');
log_statement = none
log_error_verbosity = verbose
jwt_auth.bcrypt_cost = 4
CONF
$node->start;

sub pem
{
	my ($label, $der) = @_;
	return "-----BEGIN $label-----\n" . encode_base64($der) . "-----END $label-----\n";
}

# SubjectPublicKeyInfo of keys that no algorithm takes
my %pem = (
	rsa_1024 => pem('PUBLIC KEY', pack('H*', '30819f300d06092a864886f70d010101050003818d0030818902818100'
			. 'ff' x 128 . '0203010001')),
	rsa_e1 => pem('PUBLIC KEY', pack('H*', '30820120300d06092a864886f70d01010105000382010d003082010802820101'
			. '00' . 'ff' x 256 . '020101')),
	x25519 => pem('PUBLIC KEY', pack('H*', '302a300506032b656e032100' . '09' . '00' x 31)),
	low_order => pem('PUBLIC KEY', pack('H*', '302a300506032b6570032100' . '01' . '00' x 31)),
	off_curve => pem('PUBLIC KEY', pack('H*', '3059301306072a8648ce3d020106082a8648ce3d03010703420004' . '11' x 64)),
	not_der => pem('PUBLIC KEY', 'not DER'),
	not_base64 => "-----BEGIN PUBLIC KEY-----\n!!!!\n-----END PUBLIC KEY-----\n",
	begin_only => "-----BEGIN PUBLIC KEY-----\n",
	certificate => pem('CERTIFICATE', 'not DER'),
	unknown_label => pem('THING', 'thing'),
	openssh => pem('OPENSSH PRIVATE KEY', 'openssh-key-v1'),
	encrypted => pem('ENCRYPTED PRIVATE KEY', 'secret'),
	old_encrypted => "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"
	  . "DEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\nAAAA\n-----END EC PRIVATE KEY-----\n",
	no_pem => 'no PEM at all');

$node->safe_psql('postgres', <<'SQL' . join '', map { "INSERT INTO pem VALUES ('$_', '$pem{$_}');\n" } sort keys %pem);
SET client_min_messages = error;
CREATE EXTENSION jwt_auth CASCADE;

CREATE FUNCTION mac(input text, key text) RETURNS text LANGUAGE sql AS
$$ SELECT input || '.' || auth.base64url_encode(hmac(convert_to(input, 'UTF8'), convert_to(key, 'UTF8'), 'sha256')) $$;
CREATE FUNCTION raw_token(header text, payload text, key text) RETURNS text LANGUAGE sql AS
$$ SELECT mac(auth.base64url_encode(convert_to(header, 'UTF8')) || '.' || auth.base64url_encode(convert_to(payload, 'UTF8')), key) $$;

-- Keys, and a token that each has signed and one that is not quite that
CREATE TABLE key AS SELECT name, auth.jwk_generate(name, name) AS jwk
FROM unnest(ARRAY['HS256', 'HS512', 'RS256', 'PS256', 'ES256', 'ES384', 'ES512', 'ES256K', 'Ed25519', 'Ed448']) AS name;
ALTER TABLE key ADD public jsonb, ADD pem text, ADD private_pem text, ADD token text, ADD forged text;
UPDATE key SET token = auth.jwt_sign('{"sub": "ann"}', jwk), public = CASE WHEN name ~ 'HS' THEN jwk ELSE auth.jwk_public(jwk) END,
	pem = CASE WHEN name !~ 'HS' THEN auth.jwk_to_pem(auth.jwk_public(jwk)) END, private_pem = CASE WHEN name !~ 'HS' THEN auth.jwk_to_pem(jwk) END;
UPDATE key SET forged = regexp_replace(token, '\.[^.]*\.', '.' || auth.base64url_encode('{"sub":"eve"}') || '.');
CREATE TABLE pem (name text, pem text);
-- More than a backend keeps, so that each time one has to go
CREATE TABLE many AS SELECT array_agg(auth.jwk_generate('ES256')) AS keys, array_agg(auth.jwk_to_pem(auth.jwk_generate('Ed25519'))) AS pems
FROM generate_series(1, 40);

DO $$ BEGIN PERFORM auth.register('ann@example.com', 'correct horse'); END $$;
CREATE TABLE login AS SELECT r ->> 'access_token' AS access, r ->> 'refresh_token' AS refresh FROM auth.login('ann@example.com', 'correct horse') AS r;

-- The process as a whole, now (VmRSS) or at its largest (VmHWM), and what of that
-- PostgreSQL knows of, in bytes
CREATE FUNCTION process(field text) RETURNS bigint LANGUAGE sql AS
$$ SELECT substring(pg_read_file('/proc/self/status') from field || ':\s*(\d+) kB')::bigint * 1024 $$;
CREATE FUNCTION contexts() RETURNS bigint LANGUAGE sql AS $$ SELECT sum(used_bytes)::bigint FROM pg_backend_memory_contexts $$;
CREATE TABLE outcome (kind int, outcome text, resident bigint, contexts bigint);
CREATE FUNCTION measure(kind int, n int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	resident_growth bigint := -process('VmRSS');
	contexts_growth bigint := -contexts();
	outcome text;
BEGIN
	EXECUTE format('SELECT kind_%s(%s)', kind, n) INTO outcome;
	contexts_growth := contexts_growth + contexts();
	resident_growth := resident_growth + process('VmRSS');
	INSERT INTO outcome VALUES (kind, outcome, resident_growth, contexts_growth);
END
$$;
SQL

# The variables that the expressions below use
my $materials = <<'SQL';
	secret text := repeat('secret', 11);
	hs256 jsonb := (SELECT jwk FROM key WHERE name = 'HS256');
	rsa jsonb := (SELECT jwk FROM key WHERE name = 'RS256');
	rsa_public jsonb := (SELECT public FROM key WHERE name = 'RS256');
	ec jsonb := (SELECT jwk FROM key WHERE name = 'ES256');
	ec_public jsonb := (SELECT public FROM key WHERE name = 'ES256');
	ec_token text := (SELECT token FROM key WHERE name = 'ES256');
	ed jsonb := (SELECT jwk FROM key WHERE name = 'Ed25519');
	ed_public jsonb := (SELECT public FROM key WHERE name = 'Ed25519');
	other_ec jsonb := auth.jwk_generate('ES256');
	other_ed jsonb := auth.jwk_generate('Ed25519');
	other_rsa jsonb := (SELECT jwk FROM key WHERE name = 'PS256');
	pem text := (SELECT pem FROM key WHERE name = 'ES256');
	private_pem text := (SELECT private_pem FROM key WHERE name = 'ES256');
	rsa_private_pem text := (SELECT private_pem FROM key WHERE name = 'RS256');
	keys jsonb[] := (SELECT keys FROM many);
	pems text[] := (SELECT pems FROM many);
	login record;
	i int := 1;
SQL

# [ kind, outcome, expression, every how many rounds, variables of its own ]: the
# outcome is a reason, the message where there is none, or "valid"
my ($bad, $weak, $unsupported) = ('key is not valid', 'key is too weak for the algorithm', 'type of key is not supported');
my @kinds = (
	# tokens: shape, JSON and header
	[ 'malformed', 'malformed', q{auth.jwt_verify('a.b', secret)} ],
	[ 'not a token, tried', 'valid', q{auth.jwt_try_verify('a.b', secret)} ],
	[ 'not base64url', 'bad_encoding', q{auth.jwt_verify('a=.b.c', secret)} ],
	[ 'too large', 'token_too_large', q{auth.jwt_verify(large, secret)}, 1, q{large text := repeat('a', 70000)} ],
	[ 'no header', 'bad_json', q{auth.jwt_verify(token, secret)}, 1, q(token text := raw_token('{"alg":', '{}', secret)) ],
	[ 'no payload', 'bad_json', q{auth.jwt_verify(token, secret)}, 1, q(token text := raw_token('{"alg":"HS256"}', '{"a":[1,2', secret)) ],
	[ 'twice', 'duplicate_member', q{auth.jwt_verify(token, secret)}, 1, q{token text := raw_token('{"alg":"HS256"}', '{"a":[{"b":1,"b":2}]}', secret)} ],
	[ 'none', 'unknown_algorithm', q{auth.jwt_verify(token, secret)}, 1, q{token text := raw_token('{"alg":"none"}', '{}', secret)} ],
	[ 'crit', 'unsupported_critical', q{auth.jwt_verify(token, secret)}, 1, q{token text := raw_token('{"alg":"HS256","crit":["exp"]}', '{}', secret)} ],
	[ 'typ', 'wrong_token_type', q{auth.jwt_verify(token, secret, typ => 'at+jwt')}, 1, q{token text := raw_token('{"alg":"HS256","typ":"JWT"}', '{}', secret)} ],

	# tokens: key and signature
	[ 'not allowed', 'algorithm_not_allowed', q{auth.jwt_verify(ec_token, secret)} ],
	[ 'mismatch', 'key_mismatch', q{auth.jwt_verify(ec_token, ed_public - 'kid' - 'alg', '{ES256}')} ],
	[ 'unknown kid', 'unknown_kid', q{auth.jwt_verify(ec_token, rsa_public)} ],
	[ 'unknown kid in a set', 'unknown_kid', q{auth.jwt_verify(ec_token, jwks)}, 1, q{jwks jsonb := jsonb_build_object('keys', jsonb_build_array(rsa_public, ed_public))} ],
	(map { [ "forged $_", 'bad_signature', q{auth.jwt_verify(token, jwk)}, /HS/ ? 1 : $dear,
			 qq{token text := (SELECT k.forged FROM key k WHERE name = '$_'); jwk jsonb := (SELECT k.public FROM key k WHERE name = '$_')} ]
	} qw(HS256 HS512 RS256 PS256 ES256 ES384 ES512 ES256K Ed25519 Ed448)),
	[ 'signature cut short', 'bad_signature', q{auth.jwt_verify(token, ec_public)}, 1, q{token text := left(ec_token, -6)} ],
	[ 'forged JWS', 'bad_signature', q{auth.jws_verify(token, hs256)}, 1, q{token text := (SELECT k.forged FROM key k WHERE name = 'HS256')} ],

	# tokens: claims
	(map { [ "claim $_->[1]", $_->[0], qq{auth.jwt_verify(token, secret$_->[2])}, 1, qq{token text := auth.jwt_sign('$_->[1]', secret)} ] }
		[ 'token_expired', '{"exp":1}', '' ], [ 'token_not_yet_valid', '{"nbf":99999999999}', '' ], [ 'issued_in_future', '{"iat":99999999999}', '' ],
		[ 'bad_issuer', '{"iss":"a"}', q{, issuer => 'b'} ], [ 'bad_audience', '{"aud":["a","c"]}', q{, audience => 'b'} ], [ 'missing_claim', '{}', q{, required => '{exp}'} ]),
	[ 'claim of the wrong type', 'bad_claim_type', q{auth.jwt_verify(token, secret)}, 1, q{token text := raw_token('{"alg":"HS256"}', '{"exp":"1"}', secret)} ],

	# keys: PEM
	(map { [ "PEM $_->[0]", $_->[1], q{auth.jwt_verify(ec_token, bad, '{ES256}')}, $dear, qq{bad text := (SELECT p.pem FROM pem p WHERE name = '$_->[0]')} ] }
		[ 'rsa_1024', $weak ], [ 'rsa_e1', $weak ], [ 'x25519', $unsupported ], [ 'low_order', $bad ], [ 'off_curve', $bad ], [ 'not_der', $bad ],
		[ 'not_base64', $bad ], [ 'begin_only', $bad ], [ 'certificate', $bad ], [ 'unknown_label', $bad ], [ 'no_pem', $bad ]),
	(map { [ "private PEM $_->[0]", $_->[1], q{auth.jwt_sign('{}', bad, 'ES256')}, $dear, qq{bad text := (SELECT p.pem FROM pem p WHERE name = '$_->[0]')} ] }
		[ 'openssh', $unsupported ], [ 'encrypted', 'key is encrypted' ], [ 'old_encrypted', 'key is encrypted' ], [ 'x25519', 'signing needs a private key' ]),
	[ 'PEM and more', $bad, q{auth.jwt_verify(ec_token, pem || 'x', '{ES256}')}, $dear ],
	[ 'two PEM', $bad, q{auth.jwt_verify(ec_token, pem || pem, '{ES256}')}, $dear ],
	[ 'private PEM and more', $bad, q{auth.jwt_sign('{}', private_pem || 'x', 'ES256')}, $dear ],
	[ 'RSA private PEM and more', $bad, q{auth.jwt_sign('{}', rsa_private_pem || 'x', 'RS256')}, $dear ],
	[ 'private PEM to verify', 'verifying needs a public key, not a private one', q{auth.jwt_verify(ec_token, private_pem, '{ES256}')} ],
	[ 'public PEM to sign', 'signing needs a private key', q{auth.jwt_sign('{}', pem, 'ES256')} ],
	[ 'PEM as secret', 'a public or private key cannot be used as a shared secret', q{auth.jwt_verify(ec_token, pem)} ],
	[ 'PEM of another type', 'algorithm cannot be used with this key', q{auth.jwt_sign('{}', private_pem, 'RS256')} ],
	[ 'PEM of another curve', 'key_mismatch', q{auth.jwt_verify(token, pem, '{ES384}')}, 1, q{token text := (SELECT k.token FROM key k WHERE name = 'ES384')} ],
	[ 'PEM to JWK', $bad, q{auth.jwk_from_pem(bad)}, $dear, q{bad text := (SELECT p.pem FROM pem p WHERE name = 'off_curve')} ],

	# keys: secrets and JWK
	[ 'short secret', $weak, q{auth.jwt_verify(ec_token, 'short')} ],
	[ 'short oct', $weak, q{auth.jwt_sign('{}', jwk)}, 1, q{jwk jsonb := '{"kty": "oct", "k": "AAAA"}'} ],
	[ 'short oct of an algorithm', $weak, q{auth.jwt_sign('{}', jwk)}, 1, q{jwk jsonb := '{"kty": "oct", "k": "AAAA", "alg": "HS256"}'} ],
	[ 'no JWK', $bad, q{auth.jwt_verify(token, '[]'::jsonb)}, 1, q{token text := auth.jwt_sign('{}', secret)} ],
	[ 'no keys', $bad, q{auth.jwt_verify(ec_token, '{"keys": []}'::jsonb)} ],
	[ 'JWK without members', $bad, q{auth.jwt_verify(ec_token, '{"kty": "EC", "crv": "P-256"}'::jsonb)} ],
	[ 'unknown kty', $unsupported, q{auth.jwt_verify(ec_token, '{"kty": "AKP"}'::jsonb)} ],
	[ 'unknown alg', $unsupported, q{auth.jwt_verify(ec_token, ec_public || '{"alg": "ES257"}')} ],
	[ 'alg of another type', $bad, q{auth.jwt_verify(ec_token, ec_public || '{"alg": "RS256"}')} ],
	[ 'off curve', $bad, q{auth.jwt_verify(ec_token, ec_public || jsonb_build_object('x', ec -> 'y'))}, $dear ],
	[ 'another d, EC', $bad, q{auth.jwt_sign('{}', ec || jsonb_build_object('d', other_ec -> 'd'))}, $dear ],
	[ 'another d, OKP', $bad, q{auth.jwt_sign('{}', ed || jsonb_build_object('d', other_ed -> 'd'))} ],
	[ 'another p, RSA', $bad, q{auth.jwt_sign('{}', rsa || jsonb_build_object('p', other_rsa -> 'p'))}, $dear ],
	[ 'another d, RSA', $bad, q{auth.jwt_sign('{}', rsa || jsonb_build_object('d', other_rsa -> 'd'))}, $dear ],
	[ 'RSA without q', $bad, q{auth.jwt_sign('{}', rsa - 'q')} ],
	[ 'RSA, e = 1', $weak, q{auth.jwt_verify(ec_token, rsa_public - 'kid' || '{"e": "AQ"}')} ],
	[ 'low order', $bad, q{auth.jwt_verify(ec_token, ed_public - 'kid' || '{"x": "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}')} ],
	[ 'kid twice', 'JWK Set has two keys with the same "kid"', q{auth.jwt_verify(ec_token, jsonb_build_object('keys', jsonb_build_array(ec_public, ec_public)))} ],
	[ 'secret in a set', 'JWK Set has secrets beside public keys', q{auth.jwt_verify(ec_token, jsonb_build_object('keys', jsonb_build_array(ec_public, hs256)))} ],
	[ 'bad key in a set', 'key_mismatch', q{auth.jwt_verify(ec_token, jsonb_build_object('keys', jsonb_build_array(ec_public - 'x')))} ],
	[ 'public JWK to sign', 'signing needs a private key', q{auth.jwt_sign('{}', ec_public)} ],
	[ 'JWK to PEM', $unsupported, q{auth.jwk_to_pem(hs256)} ],
	[ 'public half', 'a secret has no public half', q{auth.jwk_public(hs256)} ],
	[ 'thumbprint', $bad, q{auth.jwk_thumbprint(ec_public - 'y')} ],

	# signing
	[ 'payload', 'payload has a registered claim of the wrong type', q{auth.jwt_sign('{"exp": "1"}', secret)} ],
	[ 'payload too large', 'token would be larger than "jwt_auth.max_token_size", or nested too deeply', q{auth.jwt_sign('{"a": 1e131000}', secret)}, $dear ],
	[ 'header', 'header must not set "crit"', q{auth.jwt_sign('{}', secret, 'HS256', '{"crit": []}')} ],
	[ 'kid of another', q{header has a "kid" that is not the key's}, q{auth.jwt_sign('{}', ec, NULL, '{"kid": "x"}')} ],
	[ 'JWS too large', 'token_too_large', q{auth.jws_sign(large, hs256)}, 1, q{large bytea := convert_to(repeat('a', 70000), 'UTF8')} ],

	# the key ring, and sessions
	[ 'unknown to the ring', 'unknown_kid', q{auth.jwt_verify(ec_token)} ],
	[ 'forged for the ring', 'bad_signature', q{auth.jwt_verify(regexp_replace(login.access, '.{20}$', 'AAAAAAAAAAAAAAAAAAAA'))}, $dear ],
	[ 'nobody', 'malformed', q{auth.authenticate('x')} ],
	[ 'refresh token', 'wrong_token_type', q{auth.authenticate(login.refresh)} ],
	[ 'no refresh token', 'valid', q{auth.rotate_refresh_token('x')} ],
	[ 'access token', 'valid', q{auth.rotate_refresh_token(login.access)} ],

	# keys that are good, each in the place of another
	[ 'ever new secrets', 'valid', q{auth.jwt_sign('{}', repeat(md5(i::text), 2))} ],
	[ 'ever new JWK', 'valid', q{auth.jwt_sign('{}', keys[i % 40 + 1])}, $dear ],
	[ 'ever new PEM', 'valid', q{auth.jwt_sign('{}', pems[i % 40 + 1], 'EdDSA')}, $dear ],
);

# Each kind is a function.  All run before any is measured: caches grow, too.
my ($functions, $once, $warm_up, $measure) = ('', '', '', '');
for my $i (0 .. $#kinds)
{
	my ($kind, $outcome, $expression, $share, $variables) = @{ $kinds[$i] };
	my $n = int($rounds / ($share // 1));
	my $more = defined $variables ? "$variables;" : '';
	$functions .= <<"SQL";
CREATE FUNCTION kind_$i(n int, OUT outcome text) LANGUAGE plpgsql AS \$f\$
#variable_conflict use_column
DECLARE
$materials	$more
	detail text;
	now_is text;
BEGIN
	SELECT * INTO login FROM login;
	IF n = 0 THEN
		PERFORM $expression;
		RETURN;
	END IF;
	FOR i IN 1..n LOOP
		BEGIN
			PERFORM $expression;
			now_is := 'valid';
		EXCEPTION WHEN OTHERS THEN
			GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
			now_is := coalesce(substring(detail from 'reason: (.*)'), SQLERRM);
		END;
		IF now_is IS DISTINCT FROM outcome THEN
			outcome := concat_ws(', then ', outcome, now_is);
		END IF;
		EXIT WHEN outcome ~ ',';
	END LOOP;
END
\$f\$;
SQL
	$once .= "SELECT kind_$i(0);\n";
	$warm_up .= "SELECT measure($i, 100);\n";
	$measure .= "SELECT measure($i, $n);\n";
}
$node->safe_psql('postgres', $functions);

#
# The log: as much as the server can say of each refusal
#
my $log_begins = -s $node->logfile;
$node->psql('postgres', "SET log_min_messages = debug5;\n$once", on_error_stop => 0);
my $log = slurp_file($node->logfile, $log_begins);
is(scalar(() = $log =~ /ERROR: /g), scalar(grep { $_->[1] ne 'valid' } @kinds), 'every error is in the log');
my @secrets = split /\n/, $node->safe_psql('postgres', <<'SQL');
SELECT repeat('secret', 11)
UNION SELECT unnest(string_to_array(token, '.')) FROM (SELECT token FROM key UNION SELECT forged FROM key UNION SELECT access FROM login UNION SELECT refresh FROM login) AS t
UNION SELECT value FROM key, jsonb_each_text(jwk) WHERE length(value) > 8
UNION SELECT unnest(string_to_array(private_pem, E'\n')) FROM key
SQL
my @leaked = grep { length($_) > 15 && index($log, $_) >= 0 && !/^-----/ } @secrets;
is(join(' ', @leaked), '', 'no token and no part of a key is in the log');

#
# Memory
#

# A backend that is watched for other errors keeps all that is freed for a while.
my $maps = $node->safe_psql('postgres', "SELECT pg_read_file('/proc/self/maps')");
my $growth = $maps =~ /libasan/ ? 1024 * 1024 * 1024 : $slack;

my ($worst, $worst_kind, $worst_context) = (0, 'none', 0);
my ($status, $stdout, $stderr) = $node->psql('postgres',
	"BEGIN;\n$warm_up TRUNCATE outcome;\n$measure SELECT * FROM outcome ORDER BY kind;\nCOMMIT;\n");
is($stderr, '', 'no error but those that were caught');
my @lines = grep { tr/|// == 3 } split /\n/, $stdout;
is(scalar @lines, scalar @kinds, 'every kind was tried');
for my $line (@lines)
{
	my ($i, $outcome, $resident, $contexts) = split /\|/, $line;
	my ($kind, $expected) = @{ $kinds[$i] };
	is($outcome, $expected, "$kind: outcome");
	cmp_ok($resident, '<=', $growth, "$kind: the process did not grow by more than $growth bytes");
	cmp_ok($contexts, '<=', $slack, "$kind: PostgreSQL's memory did not grow by more than $slack bytes");
	($worst, $worst_kind) = ($resident, $kind) if $resident > $worst;
	$worst_context = $contexts if $contexts > $worst_context;
}
note("the most that the process grew by: $worst bytes ($worst_kind); PostgreSQL's memory: $worst_context bytes");

# A token is too large by what it would be, and is not decompressed to see that.
$node->safe_psql('postgres', q{CREATE TABLE huge AS SELECT repeat('a', 40 * 1024 * 1024) AS token});
my ($compressed, $error, $grown) = split /\|/, $node->safe_psql('postgres', q{
	DO $$ BEGIN PERFORM auth.jwt_try_verify('a.b', repeat('secret', 11)); END $$;
	SELECT process('VmHWM') AS before \gset
	SELECT pg_column_size(token) < 1000000, (auth.jwt_try_verify(token, repeat('secret', 11))).error, process('VmHWM') - :before FROM huge});
is($compressed, 't', 'a token of 40 MiB is stored compressed');
is($error, 'token_too_large', 'it is refused');
cmp_ok($grown, '<', $growth + 8 * 1024 * 1024, 'and was not decompressed');

done_testing();
