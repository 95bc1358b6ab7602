# Against libraries that nobody here wrote, for every algorithm: our tokens verify
# there and theirs here, keys go both ways as JWK and as PEM, thumbprints agree,
# and mutated tokens and keys get the same verdict or one that is explained.  Only
# other programs can tell whether the two sides mean the same.
use strict;
use warnings;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

if (($ENV{INTEROP} // '') eq 'none')
{
	plan skip_all => 'this run is asked to do without other libraries';
}

my $json = JSON::PP->new->canonical->utf8->allow_nonref;
my $libraries = $ENV{INTEROP} || qx(test/interop/libraries);
chomp $libraries;

my @python = ('test/interop/peer.py');
my @node = ('node', 'test/interop/peer.mjs', $libraries);

# An algorithm, and the curve where there is one
my @rows = (
	qw(HS256 HS384 HS512 RS256 RS384 RS512 PS256 PS384 PS512),
	'ES256 P-256', 'ES384 P-384', 'ES512 P-521', 'ES256K secp256k1',
	'EdDSA Ed25519', 'EdDSA Ed448', 'Ed25519 Ed25519', 'Ed448 Ed448');

# What a library lacks, in the versions that this was written with: it must refuse
# that, or, in a later version, do it right.  Two of them have no functions for
# keys: they sign and verify with those of others.
my %peers = (
	PyJWT => { command => \@python, lacks => [ 'Ed25519 Ed25519', 'Ed448 Ed448' ] },
	jwcrypto => { command => \@python, lacks => [ 'Ed25519 Ed25519', 'Ed448 Ed448' ], has_keys => 1 },
	jose => {
		command => \@node,
		lacks => [ 'ES256K secp256k1', 'EdDSA Ed448', 'Ed448 Ed448' ],
		has_keys => 1
	},
	jsonwebtoken => {
		command => \@node,
		lacks => [ 'ES256K secp256k1', 'EdDSA Ed25519', 'EdDSA Ed448', 'Ed25519 Ed25519', 'Ed448 Ed448' ]
	});

my $payload = '{"n": 1.5, "sub": "ann", "name": "\u5c0f"}';
my $claims = $json->decode($payload);

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION jwt_auth CASCADE;

-- A private key in all forms, and tokens signed with it
CREATE FUNCTION key_forms(key jsonb, algorithm text, payload jsonb) RETURNS jsonb LANGUAGE sql AS $$
	SELECT CASE WHEN algorithm ~ '^HS' THEN
		jsonb_build_object('private', jwk, 'public', jwk,
			'thumbprint', auth.jwk_thumbprint(jwk), 'token', auth.jwt_sign(payload, jwk))
	ELSE
		jsonb_build_object('private', jwk, 'public', auth.jwk_public(jwk),
			'private_pem', auth.jwk_to_pem(jwk), 'public_pem', auth.jwk_to_pem(auth.jwk_public(jwk)),
			'thumbprint', auth.jwk_thumbprint(jwk), 'token', auth.jwt_sign(payload, jwk),
			'pem_token', auth.jwt_sign(payload, auth.jwk_to_pem(jwk), algorithm))
	END
	FROM (SELECT key || jsonb_build_object('alg', algorithm)) AS k (jwk)
$$;

-- What makes a key the one that it is, from a JWK or PEM
CREATE FUNCTION identity(form jsonb) RETURNS jsonb LANGUAGE sql AS $$
	SELECT CASE WHEN form ->> 'kty' = 'oct' THEN form
		WHEN jsonb_typeof(form) = 'object' THEN auth.jwk_from_pem(auth.jwk_to_pem(form))
		ELSE auth.jwk_from_pem(form #>> '{}') END - '{alg,kid,use,key_ops,ext}'::text[]
$$;

-- The forms in which two keys are not the same, of those that are wanted
CREATE FUNCTION differences(theirs jsonb, ours jsonb, wanted text[]) RETURNS text LANGUAGE sql AS $$
	SELECT coalesce(string_agg(form, ' '), 'none') FROM unnest(wanted) AS form
	WHERE CASE form WHEN 'thumbprint' THEN theirs -> form = ours -> form
		ELSE identity(theirs -> form) = identity(ours -> form) END IS NOT TRUE
$$;

-- What a query of one text column gives, or its error
CREATE FUNCTION try(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE query INTO result;
	RETURN result;
EXCEPTION WHEN OTHERS THEN
	RETURN to_json(SQLERRM);
END
$$;
SQL

# The results of these queries
sub ask
{
	my (@queries) = @_;
	my $file = "$PostgreSQL::Test::Utils::tmp_check/queries.json";

	open my $out, '>', $file or die "$file: $!";
	print $out $json->encode(\@queries);
	close $out;
	my @results = split /\n/, $node->safe_psql('postgres', qq{
		SELECT try(query) FROM jsonb_array_elements_text(pg_read_file('$file')::jsonb)
			WITH ORDINALITY AS q (query, n) ORDER BY n});
	die 'queries without a result' if @results != @queries;
	return @results;
}

# Tests that wait for the result of a query, until all can be asked for at once
my @waiting;

sub test_query
{
	my ($query, $test) = @_;

	push @waiting, [ $query, $test ];
}

sub run_waiting
{
	my @results = ask(map { $_->[0] } @waiting);

	$_->[1]->(shift @results) foreach @waiting;
	@waiting = ();
}

# The answers of a library to these tasks
sub answers_of
{
	my ($library, @tasks) = @_;
	my $command = $peers{$library}{command};
	my ($answers, $errors);

	# a sanitizer that is there for the server is not there for them
	delete local $ENV{LD_PRELOAD};
	IPC::Run::run($command, '<', \join('', map { $json->encode($_) . "\n" } @tasks),
		'>', \$answers, '2>', \$errors) or die "@$command: $errors";
	return map { $json->decode($_)->{$library} } split /\n/, $answers;
}

# An SQL literal: what is no text as JSON
sub literal
{
	my ($value) = @_;

	$value = JSON::PP->new->encode($value) if ref $value;
	$value =~ s/'/''/g;
	return "'$value'";
}

sub key_forms
{
	my ($key, $row) = @_;
	my ($algorithm) = split ' ', $row;

	return "SELECT key_forms($key, '$algorithm', '$payload')";
}

# What a library shall do with a key of ours: verify what we sign, and sign
sub token_tasks
{
	my ($row, $key) = @_;
	my ($algorithm) = split ' ', $row;
	my %verify = (task => 'verify', algorithms => [$algorithm]);
	my %sign = (task => 'sign', algorithm => $algorithm, payload => $claims);
	my @tasks = (
		{ %verify, key => $key->{public}, token => $key->{token} },
		{ %sign, key => $key->{private} });

	push @tasks, { %verify, key => $key->{public_pem}, token => $key->{pem_token} },
	  { %sign, key => $key->{private_pem} }
	  if $key->{private_pem};
	return @tasks;
}

# The answers to that
sub test_tokens
{
	my ($name, $row, $key, @answers) = @_;
	my ($algorithm) = split ' ', $row;
	my @forms = ([ 'JWK', 'public', 'jsonb' ], [ 'PEM', 'public_pem', 'text' ]);

	while (my ($verified, $signed) = splice @answers, 0, 2)
	{
		my ($form, $public, $type) = @{ shift @forms };

		is_deeply($verified, { ok => $claims }, "$name: our token verifies there, with $form");
		test_query('SELECT auth.jwt_verify(' . literal($signed->{ok} // $signed->{error})
			  . ', ' . literal($key->{$public}) . "::$type, '{$algorithm}')",
			sub { is_deeply($json->decode($_[0]), $claims, "$name: its token verifies here, with $form") });
	}
}

# A key as the library writes it, and as we do
sub test_forms
{
	my ($name, $answer, $key, $is_private) = @_;
	my @wanted =
	    !$key->{public_pem} ? qw(private thumbprint)
	  : $is_private ? qw(private private_pem public public_pem thumbprint)
	  :               qw(public public_pem thumbprint);

	test_query('SELECT differences(' . literal($answer->{ok} // {}) . ', ' . literal($key)
		  . ", '{" . join(',', @wanted) . "}')",
		sub { is($_[0], 'none', $name) or diag($answer->{error} // '') });
}

# Every algorithm with keys of ours, by row
sub test_our_keys
{
	my ($library, $rows, $keys) = @_;
	my @tasks = map { [ token_tasks($_, $keys->{$_}) ] } @$rows;
	my @answers = answers_of($library, map { @$_ } @tasks);

	foreach my $row (@$rows)
	{
		my @own = splice @answers, 0, scalar @{ shift @tasks };

		if ((grep { $_ eq $row } @{ $peers{$library}{lacks} }) && !grep { exists $_->{ok} } @own)
		{
			pass("$library, $row: not known there, as listed");
			next;
		}
		test_tokens("$library, $row", $row, $keys->{$row}, @own);
	}
}

# Our keys read and written there
sub test_conversions
{
	my ($library, $rows, $keys) = @_;
	my @tasks;

	foreach my $row (@$rows)
	{
		foreach my $form ($keys->{$row}{public_pem} ? qw(private private_pem public public_pem) : 'private')
		{
			push @tasks, [ $row, $form, { task => 'convert', key => $keys->{$row}{$form} } ];
		}
	}
	my @answers = answers_of($library, map { $_->[2] } @tasks);
	foreach my $task (@tasks)
	{
		my ($row, $form) = @$task;

		test_forms("$library, $row: our $form is the same key there",
			shift @answers, $keys->{$row}, $form =~ /private/);
	}
}

# Keys made there, in all forms, and tokens with them
sub test_their_keys
{
	my ($library, $rows) = @_;
	my @tasks = map { { task => 'make', algorithm => (split)[0], curve => (split)[1] } } @$rows;
	my @made = answers_of($library, @tasks);
	my %keys;

	@keys{@$rows} = map { $json->decode($_) }
	  ask(map { key_forms(literal($made[$_]{ok}{private} // {}), $rows->[$_]) } 0 .. $#$rows);
	foreach my $row (@$rows)
	{
		test_forms("$library, $row: a key made there is the same here", shift @made, $keys{$row}, 1);
	}
	test_our_keys($library, $rows, \%keys);
}

# Keys of ours: one RSA key for its six algorithms
my @kinds = grep { !/^[RP]S/ || /RS256/ } @rows;
my %keys;
@keys{@kinds} = ask(map { "SELECT auth.jwk_generate('" . (/^EdDSA (.*)/ ? $1 : (split)[0]) . "')" } @kinds);
@keys{@rows} = map { $json->decode($_) } ask(map { key_forms(literal($keys{$_} // $keys{RS256}), $_) } @rows);

foreach my $library (sort keys %peers)
{
	my %lacks = map { $_ => 1 } @{ $peers{$library}{lacks} };
	my @known = grep { !$lacks{$_} } @kinds;

	test_our_keys($library, \@rows, \%keys);
	test_conversions($library, \@known, \%keys) if $peers{$library}{has_keys};
	test_their_keys($library, \@known) if $peers{$library}{has_keys};
	run_waiting();
}

#
# Mutated tokens and keys, judged by all: see docs/differences.md
#

{
	my $files = PostgreSQL::Test::Utils::tempdir();
	my $judged;

	delete local $ENV{LD_PRELOAD};
	local $ENV{INTEROP} = $libraries;
	local $ENV{PGHOST} = $node->host;
	local $ENV{PGPORT} = $node->port;
	local $ENV{PGDATABASE} = 'postgres';
	my $ok = IPC::Run::run([ 'test/interop/judge', 1, 2000, $files ], '>&', \$judged);
	ok($ok && $judged =~ /^2000 passed, 0 failed$/m, 'no verdict differs without a reason') or diag($judged);

	# and the reasons are the documented ones
	IPC::Run::run([ 'test/interop/compare.py', '--table' ], '>', \my $table) or die;
	like(slurp_file('docs/differences.md'), qr/^\Q$table\E\z/m, 'every reason is in docs/differences.md');
}

done_testing();
