# A token means the same in a database of every encoding; what the encoding
# cannot hold is refused, never raised.  One database has but one encoding.
use strict;
use warnings;
use MIME::Base64 qw(encode_base64url);
use Digest::SHA qw(hmac_sha256);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $secret = 'a secret of more than thirty-two bytes';
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "jwt_auth.bcrypt_cost = 4\n");
$node->start;

sub token
{
	my ($header, $payload) = @_;
	my $input = encode_base64url($header) . '.' . encode_base64url($payload);
	return "$input." . encode_base64url(hmac_sha256($input, $secret));
}

my $header = '{"alg":"HS256"}';
my %tokens = (
	ascii => token($header, '{"name":"Ann"}'),
	latin => token($header, "{\"name\":\"J\xc3\xbcrgen\"}"),
	latin_escape => token($header, '{"name":"J\u00fcrgen"}'),
	chinese => token($header, "{\"name\":\"\xe4\xb8\xad\"}"),
	chinese_escape => token($header, '{"name":"\u4e2d"}'),
	pair_escape => token($header, '{"name":"\ud834\udd1e"}'),
	lone_surrogate => token($header, '{"name":"\ud834"}'),
	header_escape => token('{"alg":"HS256","x":"\u4e2d"}', '{"name":"Ann"}'),
	not_utf8 => token($header, "{\"name\":\"\xfc\"}"),
);
my %bad = (
	UTF8 => [qw(lone_surrogate not_utf8)],
	LATIN1 => [qw(chinese chinese_escape header_escape lone_surrogate not_utf8 pair_escape)],
	EUC_JP => [qw(lone_surrogate not_utf8 pair_escape)],
	SQL_ASCII => [qw(chinese_escape header_escape latin_escape lone_surrogate not_utf8 pair_escape)],
);

for my $encoding (sort keys %bad)
{
	my $database = lc $encoding;
	$node->safe_psql('postgres',
		"CREATE DATABASE $database ENCODING '$encoding' LOCALE 'C' TEMPLATE template0");
	$node->safe_psql($database, 'SET client_min_messages = error; CREATE EXTENSION jwt_auth CASCADE');

	my @refused;
	for my $name (sort keys %tokens)
	{
		my $answer = $node->safe_psql($database,
			"SELECT valid, error FROM auth.jwt_try_verify('$tokens{$name}', '$secret')");
		push @refused, $name if $answer eq 'f|bad_json';
		fail("$encoding: $name: $answer") unless $answer =~ /^(t\||f\|bad_json)$/;
	}
	is_deeply(\@refused, [ sort @{ $bad{$encoding} } ], "$encoding: what it cannot hold is refused");

	is( $node->safe_psql(
			$database, q{
			SELECT auth.register('ann@example.com', 'correct horse') IS NOT NULL;
			SELECT auth.authenticate(auth.login('ann@example.com', 'correct horse') ->> 'access_token', false) IS NOT NULL;
			SELECT auth.email()}),
		"t\nt\nann\@example.com", "$encoding: signing in works");
}

# What is signed is UTF-8 everywhere.
my $token = $node->safe_psql('latin1', qq{SELECT auth.jwt_sign('{"name": "J\\u00fcrgen"}', '$secret')});
is($node->safe_psql('utf8', "SELECT auth.jwt_verify('$token', '$secret') ->> 'name' = U&'J\\00fcrgen'"),
	't', 'a token signed in LATIN1 verifies in UTF8');

done_testing();
