# PostgREST through a rotation: requests run all the time, with tokens that are
# issued all the time, and none gets a 401.  Whether PostgREST has the new key by
# the time that it signs can only be seen with the real one.
use strict;
use warnings;

use FindBin;
use HTTP::Tiny;
use JSON::PP;
use lib "$FindBin::RealBin/lib";
use MIME::Base64 ();
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Postgrest qw(start_postgrest wait_until);
use Test::More;

my $workers = 3;
my $scratch = $PostgreSQL::Test::Utils::tmp_check;
my $stop_file = "$scratch/stop";
my $postgrest_log = "$scratch/postgrest.log";
my ($postgrest, $api);

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "max_connections = 50\nlog_statement = none\njwt_auth.bcrypt_cost = 4\n");
$node->start;

sub sql
{
	return $node->safe_psql('postgres', $_[0]);
}

# Nobody outlives the test.
END
{
	my $status = $?;

	append_to_file($stop_file, '');
	$postgrest->kill_kill if $postgrest;
	$? = $status;
}

sub login
{
	my $answer = HTTP::Tiny->new->post("$api/rpc/login", {
		headers => { 'Content-Type' => 'application/json' },
		content => '{"email": "ann@example.com", "password": "correct horse"}' });

	return $answer->{success} ? decode_json($answer->{content})->{access_token} : undef;
}

sub kid_of
{
	return decode_json(MIME::Base64::decode_base64url((split /\./, $_[0])[0]))->{kid};
}

# The status of a request with this token
sub status_with
{
	return HTTP::Tiny->new->get("$api/rpc/me", { headers => { Authorization => "Bearer $_[0]" } })->{status};
}

# A client: it logs in, uses the token at once, and notes status and kid, over and
# over again.
sub work
{
	my ($file) = @_;

	open my $log, '>', $file or die "$file: $!";
	$log->autoflush(1);
	until (-e $stop_file)
	{
		my $token = login();

		print $log $token ? status_with($token) . ' ' . kid_of($token) . "\n" : "no login\n";
	}
	close $log;
}

sub start_worker
{
	my ($file) = @_;
	my $pid = fork // die "fork: $!";

	if ($pid == 0)
	{
		work($file);
		POSIX::_exit(0);	# without the END blocks, which stop the servers
	}
	return $pid;
}

# Whether each worker has noted this at least $times times
sub all_noted
{
	my ($times, $line, @files) = @_;

	foreach my $file (@files)
	{
		return 0 unless -e $file;
		return 0 if (() = slurp_file($file) =~ /^$line$/mg) < $times;
	}
	return 1;
}

sql("CREATE EXTENSION jwt_auth CASCADE; SELECT auth.register('ann\@example.com', 'correct horse')");
($postgrest, $api) = start_postgrest($node, sql('SELECT auth.create_api()'), $postgrest_log);

#
# Requests run through a rotation
#

my $old = sql("SELECT kid FROM auth.key_status WHERE purpose = 'access'");
my $old_token = login();
my @files = map { "$scratch/worker$_.log" } 1 .. $workers;
my @pids = map { start_worker($_) } @files;
ok(wait_until(sub { all_noted(10, "200 $old", @files) }), 'requests run');

# The default is 10 s; what counts is that it is there.
my $new = sql("SELECT auth.rotate_key(activate_in => '3 s')");
ok(wait_until(sub { all_noted(50, "200 $new", @files) }), 'each client has used tokens of the new key');
append_to_file($stop_file, '');
waitpid $_, 0 foreach @pids;
unlink $stop_file;

my %noted;
$noted{$_}++ foreach map { split /\n/, slurp_file($_) } @files;
is_deeply([ sort keys %noted ], [ sort "200 $old", "200 $new" ], 'every request was answered, none with 401')
  or diag(explain(\%noted));
cmp_ok($noted{"200 $old"}, '>', 10 * $workers, 'with tokens of the old key before');
is(status_with($old_token), 200, 'a token of the old key is good still');

#
# What PostgREST accepts afterwards, without a restart
#

sql("SELECT auth.revoke_key('$old')");
is(status_with($old_token), 401, 'a token of a revoked key is refused by the next request');
is(status_with(login()), 200, 'one of the other key is not');
sql("SELECT auth.revoke_key('$new')");
my $next = login();
isnt(kid_of($next), $new, 'a revoked active key has a successor at once');
ok(wait_until(sub { status_with($next) == 200 }), 'PostgREST takes it');

sql("SELECT auth.create_key('RS256', activate_in => '0')");
my $rs256 = login();
ok(wait_until(sub { status_with($rs256) == 200 }), 'another algorithm too');
is(status_with($next), 200, 'and the one before it still');

done_testing();
