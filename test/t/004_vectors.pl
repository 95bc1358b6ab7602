# Published vectors, from the data files in test/vectors: what an RFC signs
# verifies here, what it says of a key is so here, and what is signed here comes
# out as printed there wherever nothing is left to chance.
#
# A file has "keys" (JWK by section) and any of
#   tokens: "expected" is "valid" or the reason; a valid one has its "payload",
#     what jwt_verify says of it ("jwt"), and whether signing again gives the same
#     text ("signs_the_same": null where the key is public, false where a header
#     is laid out by hand or a signature is random);
#   thumbprints: RFC 7638, with SHA-256;
#   pems: of a private key, a public key or a certificate.
#
# pg_regress cannot read files that lie beside its own.
use strict;
use warnings;
use Cwd qw(abs_path);
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;

$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION jwt_auth CASCADE;
CREATE TABLE file (name text, content jsonb);

-- What a query of one text column gives, or why it gives nothing
CREATE FUNCTION try(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
	detail text;
BEGIN
	EXECUTE query INTO result;
	RETURN 'valid: ' || result;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN coalesce(substring(detail FROM '^reason: (.*)'), SQLERRM);
END
$$;

CREATE VIEW key AS
SELECT name AS file, key AS section, value AS jwk,
	   value ->> 'kty' = 'oct' AS is_secret, value ?| '{d,k}' AS is_private
FROM file, jsonb_each(content -> 'keys');

CREATE VIEW token AS
SELECT file, k.section, is_private, jwk, algorithm, token, payload, expected, jwt, signs_the_same,
	   format('%s: %s %s', file, t.section, t.name) AS name
FROM file f, jsonb_to_recordset(content -> 'tokens') AS t (section text, name text, key text, algorithm text,
		token text, payload text, expected text, jwt jsonb, signs_the_same boolean)
JOIN key k ON k.section = t.key
WHERE k.file = f.name;

-- Every form in which a token's key can be handed over; one is for encryption,
-- of which jwk_public makes no signature key
CREATE VIEW key_form AS
SELECT file, section, 'as printed' AS form, jwk FROM key
UNION ALL SELECT file, section, 'in a set', jsonb_build_object('keys', jsonb_build_array(jwk)) FROM key
UNION ALL SELECT file, section, 'its public half', auth.jwk_public(jwk - 'use') FROM key WHERE NOT is_secret
UNION ALL SELECT file, section, 'from PEM', auth.jwk_from_pem(auth.jwk_to_pem(jwk)) FROM key WHERE NOT is_secret;

CREATE VIEW result (file, name, got, expected) AS
SELECT t.file, format('%s, key %s', t.name, form),
	   try(format($q$SELECT convert_from(auth.jws_verify(%L, %L::jsonb, ARRAY[%L]), 'UTF8')$q$, token, f.jwk, algorithm)),
	   CASE expected WHEN 'valid' THEN 'valid: ' || payload ELSE expected END
FROM token t JOIN key_form f USING (file, section)

UNION ALL
SELECT file, format('%s, as JWT %s', t.name, coalesce('at ' || at_time, '')),
	   coalesce(error, 'valid: ' || (r.payload = t.payload::jsonb)), CASE j.expected WHEN 'valid' THEN 'valid: true' ELSE j.expected END
FROM token t, jsonb_to_recordset(jwt) AS j (at_time timestamptz, expected text),
	 auth.jwt_try_verify(token, jwk, ARRAY[algorithm], at_time => at_time) AS r

UNION ALL
SELECT file, name || ', signed again',
	   try(format($q$SELECT (signed = %L) || ' ' || convert_from(auth.jws_verify(signed, %L::jsonb), 'UTF8')
		   FROM auth.jws_sign(%L::bytea, %L::jsonb, %L, %L) AS signed$q$, token, jwk || jsonb_build_object('alg', algorithm),
		   convert_to(payload, 'UTF8'), jwk - 'kid', algorithm, header - 'alg')),
	   format('valid: %s %s', signs_the_same::text, payload)
FROM token, LATERAL (SELECT convert_from(auth.base64url_decode(split_part(token, '.', 1)), 'UTF8')::jsonb) AS h (header)
WHERE expected = 'valid' AND is_private

UNION ALL
SELECT file, format('%s: %s to PEM and back', file, section),
	   try(format($q$SELECT auth.jwk_from_pem(auth.jwk_to_pem(%L)) - 'use'$q$, jwk)),
	   'valid: ' || (jwk - '{alg,kid,use}'::text[])::text
FROM key WHERE NOT is_secret

UNION ALL
SELECT f.name, format('%s: %s thumbprint', f.name, t.section),
	   try(format('SELECT auth.jwk_thumbprint(%L)', jwk)), 'valid: ' || thumbprint
FROM file f, jsonb_to_recordset(content -> 'thumbprints') AS t (section text, key text, thumbprint text)
JOIN key k ON k.section = t.key
WHERE k.file = f.name

UNION ALL
SELECT f.name, format('%s: %s %s from PEM', f.name, p.section, p.name),
	   try(format($q$SELECT auth.jwk_from_pem(%L) - 'use'$q$, pem)),
	   'valid: ' || (jwk - '{alg,kid,use}'::text[])::text
FROM file f, jsonb_to_recordset(content -> 'pems') AS p (section text, name text, key text, pem text)
JOIN key k ON k.section = p.key
WHERE k.file = f.name

UNION ALL
SELECT f.name, format('%s: %s %s to PEM', f.name, p.section, p.name),
	   try(format('SELECT auth.jwk_to_pem(%L)', jwk)), 'valid: ' || pem
FROM file f, jsonb_to_recordset(content -> 'pems') AS p (section text, name text, key text, pem text)
JOIN key k ON k.section = p.key
WHERE k.file = f.name AND pem !~ 'CERTIFICATE';
SQL

my @files = glob 'test/vectors/*.json';
for my $file (@files)
{
	my $path = abs_path($file);
	my ($name) = $file =~ m{([^/]*)\.json$};
	$node->safe_psql('postgres', "INSERT INTO file SELECT '$name', pg_read_file('$path')::jsonb");
}

# A key that is not in the file would drop its records from the views.
my $lost = $node->safe_psql(
	'postgres', q{
	SELECT name, record ->> 'section' FROM file, unnest('{tokens,thumbprints,pems}'::text[]) AS kind,
		jsonb_array_elements(content -> kind) AS record
	WHERE NOT content -> 'keys' ? (record ->> 'key')});
is($lost, '', 'every record names a key of its file');

my $rows = $node->safe_psql('postgres',
	'SELECT row_to_json(r) FROM result r ORDER BY file, name COLLATE "C"');
my %seen;
for my $row (map { JSON::PP->new->decode($_) } split /\n/, $rows)
{
	is($row->{got}, $row->{expected}, $row->{name});
	$seen{ $row->{file} } = 1;
}
is(scalar(keys %seen), scalar(@files), 'every file has been looked at');

done_testing();
