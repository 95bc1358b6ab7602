# What a server writes down while people register, sign in and sign out, and keys
# come and go: no password, no token and no private key is in the data directory,
# in WAL, in a base backup, in what logical decoding says, or in the log; and those
# who may read everything read no more than that.  Only a server's files can show it.
use strict;
use warnings;

use File::Find;
use MIME::Base64 qw(encode_base64 encode_base64url);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 'logical');
$node->append_conf('postgresql.conf', "log_statement = none\njwt_auth.bcrypt_cost = 4\n");
$node->start;

sub sql
{
	return $node->safe_psql('postgres', $_[0]);
}

sql('CREATE EXTENSION jwt_auth CASCADE');
sql("SELECT pg_create_logical_replication_slot('slot', 'test_decoding')");
sql('CREATE PUBLICATION everything FOR ALL TABLES');

# Everything that must stay out of sight, by what it is
my $secret = 'a shared secret that nobody is to see: 0815-4711';
my %secrets = ('correct horse battery' => 'password', 'another wrong guess' => 'wrong password', $secret => 'imported secret');

my $jwk = sql("SELECT auth.jwk_generate('ES256', 'imported')");
my ($d) = $jwk =~ /"d": "([^"]*)"/;
$secrets{$d} = 'private key, as JWK';
sql("SELECT auth.import_secret('$secret', kid => 'secret', activate => false), auth.import_key('$jwk')");
sql("SELECT auth.register('ann\@example.com', 'correct horse battery')");
my ($access, $refresh) = split /\|/, sql("SELECT r ->> 'access_token', r ->> 'refresh_token' FROM auth.login('ann\@example.com', 'correct horse battery') r");
my $next = sql("SELECT auth.refresh('$refresh') ->> 'refresh_token'");
my $answers = sql(<<"SQL");
SELECT auth.login('ann\@example.com', 'another wrong guess') ->> 'error_code', auth.refresh('$refresh') ->> 'error_code';
SELECT auth.login('another wrong guess', 'x') ->> 'error_code';
SELECT auth.introspect('$access') ->> 'active';
SELECT auth.revoke_refresh_token('$next');
SQL
like($answers, qr/^invalid_credentials\|/, 'some answers');
$secrets{$access} = 'access token';
$secrets{$_} = 'refresh token' foreach $refresh, $next;

# The same in the forms in which bytes may stand
foreach my $bytes ($secret, MIME::Base64::decode_base64url($d))
{
	$secrets{$bytes} = 'bytes of a key';
	$secrets{encode_base64url($bytes)} = 'base64url of a key';
	$secrets{encode_base64($bytes, '')} = 'base64 of a key';
	$secrets{unpack('H*', $bytes)} = 'hexadecimal of a key';
}

# What of it stands in a text
sub found_in
{
	my ($text) = @_;
	my %found = map { ($secrets{$_} => 1) } grep { index($text, $_) >= 0 } keys %secrets;

	return join(', ', sort keys %found);
}

sub found_below
{
	my ($directory) = @_;
	my @found;

	find(sub {
		my $found = -f $_ ? found_in(slurp_file($_)) : '';
		push @found, "$File::Find::name: $found" if $found;
	}, $directory);
	return \@found;
}

is(found_in("...$next..."), 'refresh token', 'what is looked for would be found');
sql('CHECKPOINT');
is_deeply(found_below($node->data_dir), [], 'the data directory, with WAL');
is(found_in(slurp_file($node->logfile)), '', 'the log');
my $changes = sql("SELECT data FROM pg_logical_slot_get_changes('slot', NULL, NULL)");
like($changes, qr/table auth\.refresh_tokens: UPDATE/, 'logical decoding sees the changes');
is(found_in($changes), '', '... and no secret in them');
$node->backup('base');
is_deeply(found_below($node->backup_dir), [], 'a base backup');
my ($dump) = run_command([ 'pg_dump', '-d', $node->connstr('postgres') ]);
like($dump, qr/^COPY auth\.keys /m, 'a dump has the keys');
is(found_in($dump), '', '... wrapped');
is(found_in(sql('SELECT row_to_json(a) FROM pg_stat_activity a')), '', 'pg_stat_activity');

# Who may read everything
sql('CREATE ROLE reader IN ROLE pg_read_all_data; CREATE ROLE watcher IN ROLE pg_monitor');
my $read = sql('SET ROLE reader; SELECT row_to_json(k) FROM auth.keys k; SELECT row_to_json(s) FROM auth.refresh_tokens s; SELECT row_to_json(u) FROM auth.users u');
like($read, qr/"wrapped_key":"\\\\x/, 'pg_read_all_data reads the tables');
is(found_in($read), '', '... and nothing to sign in with');
my ($status, undef, $stderr) = $node->psql('postgres', "SET ROLE reader; SELECT auth.jwt_sign('{}')");
like($stderr, qr/permission denied/, '... nor does it sign');
($status, undef, $stderr) = $node->psql('postgres', 'SET ROLE watcher; TABLE auth.keys');
like($stderr, qr/permission denied/, 'pg_monitor reads no keys');
sql('ANALYZE auth.keys, auth.users');
is(sql("SET ROLE watcher; SELECT count(*) FROM pg_stats WHERE schemaname = 'auth'"), '0', '... nor their statistics');
is(found_in(sql("SET ROLE watcher; SELECT auth.uid(); SELECT row_to_json(s) FROM pg_settings s WHERE name ~ '^jwt_auth'")), '', '... and settings hold no secret');
my $plan = sql("EXPLAIN (VERBOSE, COSTS OFF) SELECT auth.jwt_sign('{}')");
like($plan, qr/jwt_sign\('\{\}'::jsonb\)/, 'a plan has the call and not its result');

done_testing();
