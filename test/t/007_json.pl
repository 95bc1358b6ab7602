# Every kind of JSON, and of what is none, as payload and as header of a token
# whose signature is right: accepted or refused with a reason, and never raised
# as an error of the parser or of an encoding.  One database has but one
# encoding, and what a token is must not depend on it.
use strict;
use warnings;
use Digest::SHA qw(hmac_sha256);
use MIME::Base64 qw(encode_base64url);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $secret = 'a secret of more than thirty-two bytes';

#
# The documents, see test/vectors/json.txt
#

sub unescape
{
	my ($text) = @_;
	$text =~ s/\\(?:(\\)|x([0-9a-f]{2})|\((\d+),([^)]*)\))/
		defined $1 ? $1 : defined $2 ? chr hex $2 : unescape($4) x $3/gex;
	return $text;
}

my @documents;
for my $line (split /\n/, slurp_file('test/vectors/json.txt'))
{
	next if $line =~ /^#/;
	my ($name, $answer, $text) = split /\t/, $line, 3;
	push @documents, { name => $name, answer => $answer, json => unescape($text) };
}
cmp_ok(scalar @documents, '>=', 450, 'there are documents');

# The classes are those of the file's names; what is right and yet refused has
# one of two reasons.
is_deeply([ map { $_->{name} } grep { $_->{name} =~ /^n_/ && $_->{answer} eq 'ok' } @documents ], [], 'what is wrong is refused');
is_deeply(
	[ grep { !/^y_(twice|string_nul)_/ } map { $_->{name} } grep { $_->{name} =~ /^y_/ && $_->{answer} ne 'ok' } @documents ],
	[], 'what is right is accepted, but for members that stand twice and the NUL that text cannot hold');

#
# Where a document stands in a token, and what then comes of it
#

sub token
{
	my ($header, $payload) = @_;
	my $input = encode_base64url($header) . '.' . encode_base64url($payload);
	return "$input." . encode_base64url(hmac_sha256($input, $secret));
}

my %places = (
	'payload' => {
		token => sub { token('{"alg":"HS256"}', $_[0]) },
		outcome => sub { outcome_of_whole(@_, 'valid', 'bad_json') } },
	'in payload' => {
		token => sub { token('{"alg":"HS256"}', "{\"x\":$_[0]}") },
		outcome => sub { $_[1] eq 'ok' ? 'valid' : $_[1] } },
	'header' => {
		token => sub { token($_[0], '{}') },
		outcome => sub { outcome_of_whole(@_, 'unknown_algorithm', 'malformed') } },
	'in header' => {
		token => sub { token("{\"alg\":\"HS256\",\"x\":$_[0]}", '{}') },
		outcome => sub { $_[1] eq 'ok' ? 'valid' : $_[1] } });

# A header or payload is an object.  An empty header is an empty segment.
sub outcome_of_whole
{
	my ($json, $answer, $good, $empty) = @_;
	return $empty if $json eq '';
	return $answer if $answer eq 'bad_json';
	return 'bad_json' if $json !~ /^\s*\{/ && $answer eq 'ok';
	return $answer eq 'ok' ? $good : $answer;
}

# Whether a character or an escape of the document is not in the encoding
sub lacks
{
	my ($encoding, $json) = @_;
	my @escaped = map { defined $_ ? hex : () } $json =~ /\\(?:u([0-9a-fA-F]{4})|.)/gs;
	return scalar grep { $_ >= 0x80 } @escaped if $encoding eq 'SQL_ASCII';
	my $text = $json;
	utf8::decode($text);
	return scalar grep { $_ > 0xff } @escaped, map { ord } split //, $text;
}

#
# The databases
#

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;

my $file = PostgreSQL::Test::Utils::tempdir() . '/tokens';
my @cases;
for my $document (@documents)
{
	for my $place (sort keys %places)
	{
		push @cases, { document => $document, place => $place, token => $places{$place}{token}->($document->{json}) };
	}
}
append_to_file($file, join '', map { "$_\t$cases[$_]{token}\t\\\\x" . unpack('H*', $cases[$_]{document}{json}) . "\n" } 0 .. $#cases);
chmod 0644, $file;

# The session lets larger tokens in, for the depth that they can hold.
my $setup = <<'SQL';
SET client_min_messages = error;
CREATE EXTENSION jwt_auth CASCADE;
CREATE TABLE tokens (id int, token text, document bytea);
CREATE FUNCTION judge(token text, secret text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answer record := auth.jwt_try_verify(token, secret);
	detail text;
BEGIN
	PERFORM auth.jwt_verify(token, secret);
	RETURN coalesce(answer.error, 'valid');
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	IF detail = 'reason: ' || answer.error AND SQLSTATE = '28000' THEN
		RETURN answer.error;
	END IF;
	RETURN concat_ws(' ', answer, SQLSTATE, SQLERRM);
END
$$;
CREATE FUNCTION jsonb_takes(document bytea) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	PERFORM convert_from(document, 'UTF8')::jsonb;
	RETURN true;
EXCEPTION WHEN OTHERS THEN
	RETURN false;
END
$$;
SQL

for my $encoding (qw(UTF8 LATIN1 SQL_ASCII))
{
	my $database = lc $encoding;
	$node->safe_psql('postgres', "CREATE DATABASE $database ENCODING '$encoding' LOCALE 'C' TEMPLATE template0");
	$node->safe_psql($database, "$setup COPY tokens FROM '$file'");

	my @wrong;
	my %verdict = map { split /\|/, $_, 2 } split /\n/, $node->safe_psql($database,
		"SET jwt_auth.max_token_size = '1MB'; SELECT id, judge(token, '$secret') FROM tokens");
	for my $i (0 .. $#cases)
	{
		my ($document, $place) = @{ $cases[$i] }{qw(document place)};
		my $outcome = $places{$place}{outcome}->($document->{json}, $document->{answer});
		$outcome = 'bad_json' if $encoding ne 'UTF8' && $outcome !~ /^(bad_json|malformed)$/ && lacks($encoding, $document->{json});
		push @wrong, "$document->{name} as $place: $verdict{$i}, not $outcome" if $verdict{$i} ne $outcome;
	}
	is(scalar keys %verdict, scalar @cases, "$encoding: every document was judged in every place");
	is_deeply(\@wrong, [], "$encoding: as it should be");
}

# PostgreSQL's jsonb is the same parser without our limits: it keeps the last of
# two members, goes as deep as the stack allows, and looks at no zero's exponent.
my $places = keys %places;
my %taken = map { $_ => 1 } split /\n/, $node->safe_psql('utf8', "SELECT DISTINCT id / $places FROM tokens WHERE jsonb_takes(document)");
my @differences = map { $documents[$_]{name} } grep { !!$taken{$_} ne ($documents[$_]{answer} eq 'ok') } 0 .. $#documents;
is_deeply([ grep { !/^(y_twice_|i_depth_|i_number_0e131072$)/ } @differences ], [], 'otherwise, what jsonb takes is accepted');
is(scalar(grep { /^y_twice_/ } @differences), scalar(grep { $_->{answer} eq 'duplicate_member' } @documents), 'jsonb takes members twice');

done_testing();
