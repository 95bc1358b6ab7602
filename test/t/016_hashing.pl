# Sessions that hash passwords at once, and those that wait for their turn: which
# locks they hold meanwhile, and how they are cut short, takes others to look.
use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', <<'CONF');
log_statement = none
jwt_auth.bcrypt_cost = 4
jwt_auth.max_concurrent_hashes = 1
CONF
$node->start;

my (@sessions, $stopped);

# Nobody outlives the test, and nobody stays stopped.
END
{
	my $status = $?;

	kill 'CONT', $stopped if $stopped;
	$_->{psql}->kill_kill foreach @sessions;
	$? = $status;
}

sub sql
{
	return $node->safe_psql('postgres', $_[0]);
}

# Runs this in a session of its own, where a hash takes a second or more.
sub start_session
{
	my ($sql) = @_;
	my $session = { output => '', sql => $sql };

	$session->{psql} = IPC::Run::start(
		[ 'psql', '-XAtq', '-d', $node->connstr('postgres') . ' application_name=session',
			'-c', 'SET jwt_auth.bcrypt_cost = 16', '-c', $sql ],
		'<', \undef, '>&', \$session->{output});
	push @sessions, $session;
	return $session;
}

# The process that has the one place
my $hashing = 'SELECT pid FROM pg_locks WHERE objsubid = 3 AND granted';

# Waits until somebody hashes and stops them in the middle of it.
sub stop_hashing
{
	$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM ($hashing) h") or die 'nobody hashes';
	$stopped = sql($hashing);
	kill 'STOP', $stopped or die "$stopped: $!";
	return $stopped;
}

# Ends a session that hashes or waits, by cancelling it: what it says.
sub cancel
{
	my ($session, $pid) = @_;

	sql("SELECT pg_cancel_backend($pid)");
	if ($stopped && $pid == $stopped)
	{
		kill 'CONT', $stopped;
		undef $stopped;
	}
	$session->{psql}->finish;
	return $session->{output};
}

# What a process keeps others from, but for its place
sub locks_of
{
	my ($pid) = @_;

	return sql("SELECT string_agg(concat_ws(' ', locktype, relation::regclass, mode), ', ')
		FROM pg_locks WHERE pid = $pid AND mode <> 'AccessShareLock' AND locktype <> 'virtualxid' AND objsubid IS DISTINCT FROM 3");
}

# Whether every user's row can be had
sub rows_are_free
{
	return $node->psql('postgres', 'SELECT FROM auth.users FOR UPDATE NOWAIT') == 0;
}

sql(<<'SQL');
CREATE EXTENSION jwt_auth CASCADE;
SELECT auth.create_user('ann@example.com', 'correct horse');
CREATE TABLE ann AS SELECT id, auth.login('ann@example.com', 'correct horse') ->> 'access_token' AS token FROM auth.users;
SQL

my $signed_in = "SELECT FROM ann, auth.authenticate(token)";
my @hashing = (
	[ 'login', "SELECT auth.login('ann\@example.com', 'guess')" ],
	[ 'login of a name that nobody has', "SELECT auth.login('bob\@example.com', 'guess')" ],
	[ 'login that renews the hash', "SELECT auth.login('ann\@example.com', 'correct horse')" ],
	[ 'change_password', "BEGIN; $signed_in; SELECT auth.change_password('correct horse', 'battery staple')" ],
	[ 'register', "SELECT auth.register('eve\@example.com', 'battery staple')" ],
	[ 'set_password', "SELECT auth.set_password(id, 'battery staple') FROM ann" ],
	[ 'create_user', "SELECT auth.create_user('eve\@example.com', 'battery staple')" ]);

foreach (@hashing)
{
	my ($name, $statement) = @$_;
	my $session = start_session($statement);
	my $pid = stop_hashing();

	is(locks_of($pid), '', "$name: no lock is held while hashing");
	ok(rows_are_free(), "$name: nor any user's row");
	like(cancel($session, $pid), qr/canceling statement due to user request/, "$name: hashing can be cancelled");
}

# The hash changes under a right password, to a costly one: it is looked at again.
my $costly = sql("SET jwt_auth.bcrypt_cost = 15; SELECT auth._hash_password('correct horse')");
my $holder = $node->background_psql('postgres');
$holder->query_safe('BEGIN; UPDATE auth.users SET password_hash = ' . "'$costly'");
my $again = start_session("SET jwt_auth.bcrypt_cost = 4; SELECT auth.login('ann\@example.com', 'correct horse')");
$node->poll_query_until('postgres',
	"SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = 'session' AND wait_event_type = 'Lock'") or die;
$holder->query_safe('COMMIT');
$holder->quit;
my $pid = stop_hashing();
ok(rows_are_free(), 'a row is not locked while its new hash is looked at');
kill 'CONT', $stopped;
undef $stopped;
$again->{psql}->finish;
like($again->{output}, qr/access_token/, 'and then the password is right again');

#
# Waiting
#

my $first = start_session("SELECT auth.login('ann\@example.com', 'guess')");
my $first_pid = stop_hashing();
my $waiting = "SELECT pid FROM pg_stat_activity WHERE application_name = 'session' AND pid <> $first_pid AND wait_event = 'Extension'";
my $second = start_session("SELECT auth.login('ann\@example.com', 'correct horse')");
$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM ($waiting) w") or die;
$pid = sql($waiting);
is(locks_of($pid), '', 'who waits holds no lock');
ok(rows_are_free(), 'nor any row');
like(cancel($second, $pid), qr/canceling statement due to user request/, 'waiting can be cancelled');
like(($node->psql('postgres', "SET statement_timeout = '100ms'; SELECT auth.login('ann\@example.com', 'correct horse')"))[2],
	qr/canceling statement due to statement timeout/, 'by a timeout, too');
is(sql(q{
	BEGIN;
	SELECT auth.login('ann@example.com', 'correct horse') ->> 'error_code';
	SELECT current_setting('response.status'), current_setting('response.headers')::jsonb -> 0;
	COMMIT}), qq{over_request_rate_limit\n503|{"Retry-After": "1"}}, 'who has waited too long is told to come back');
is(sql(q{SELECT auth.login('ann@example.com', repeat('x', 10 * 1024 * 1024)) ->> 'error_code'}), 'invalid_credentials',
	'ten megabytes need no place');

# Whoever is gone has given the place back.
sql("SELECT pg_terminate_backend($first_pid)");
kill 'CONT', $stopped;
undef $stopped;
$first->{psql}->finish;
is(sql(q{SELECT coalesce(auth.login('ann@example.com', 'correct horse') ->> 'error_code', 'ok')}), 'ok', 'its place is free again');

done_testing();
