# A rotation that is killed, cancelled or timed out at any moment has happened in
# full or not at all, and what was answered before a crash is true after it, also
# where synchronous_commit is off.  So do prepared transactions hold a token until
# they are decided.  It takes crashes to show that.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Postgrest qw(wait_until);
use Test::More;
use Time::HiRes qw(usleep);

# fsync may stay off: the operating system survives what the server does not.
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', <<'CONF');
log_statement = none
jwt_auth.bcrypt_cost = 4
jwt_auth.refresh_reuse_grace = 0
max_prepared_transactions = 5
restart_after_crash = on
CONF
$node->start;
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION jwt_auth CASCADE;
SELECT auth.register('ann@example.com', 'correct horse');
SQL

sub sql
{
	return $node->safe_psql('postgres', $_[0]);
}

sub login
{
	return split /\|/, sql(q{SELECT r ->> 'refresh_token', r ->> 'access_token' FROM auth.login('ann@example.com', 'correct horse') r});
}

sub status
{
	return sql("SELECT status FROM auth.rotate_refresh_token('$_[0]')");
}

# Whether a token could be rotated now
sub lives
{
	return sql("SELECT is_current FROM auth._read_refresh_token('$_[0]')") eq 't';
}

sub walwriter
{
	return sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'");
}

# After a process was killed, every other one is started anew.  The query goes as an
# argument: while there is no server, psql ends without reading its input.
sub wait_for_recovery
{
	my ($walwriter) = @_;
	my $query = "SELECT pid <> $walwriter FROM pg_stat_activity WHERE backend_type = 'walwriter'";

	wait_until(sub { (run_command([ 'psql', '-XAt', '-d', $node->connstr('postgres'), '-c', $query ]))[0] eq 't' }) or die 'no recovery';
}

#
# Interrupted at random points: a client rotates as fast as it can, each time the
# token that it was given last, and is stopped in one way or another.
#

# A backend that rotates without end, handing each token out by a NOTICE
sql(<<'SQL');
CREATE PROCEDURE rotate_on(token text) LANGUAGE plpgsql AS $$
DECLARE
	r record;
BEGIN
	LOOP
		r := auth.rotate_refresh_token(token);
		COMMIT;
		IF r.status <> 'rotated' THEN
			RAISE EXCEPTION 'became %', r.status;
		END IF;
		token := r.refresh_token;
		RAISE NOTICE 'given %', token;
	END LOOP;
END $$;
SQL

sub start_rotating
{
	my ($token, $options) = @_;
	my %client = (stderr => '');

	local $ENV{PGOPTIONS} = $options // '';
	$client{run} = IPC::Run::start([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-v', 'VERBOSITY=verbose', '-d', $node->connstr('postgres'), '-c', "CALL rotate_on('$token')" ],
		'>', \my $stdout, '2>', \$client{stderr}, IPC::Run::timeout(60));
	return \%client;
}

sub wait_for_tokens
{
	my ($client) = @_;

	$client->{run}->pump_nb, usleep(1000) until $client->{stderr} =~ /given/ || !$client->{run}->pumpable;
	usleep(int rand 20_000);
}

# Ends the client; all tokens that it was given, the first of all before them
sub tokens_of
{
	my ($client, $first) = @_;

	eval { $client->{run}->finish };
	return ($first, $client->{stderr} =~ /given (\S+)/g);
}

# Of the tokens of one session, at most the last one that was given lives; where
# none does, its successor was committed and not delivered, and then it counts as
# used: either is one whole step.
sub is_whole
{
	my ($name, $session, @tokens) = @_;
	my $list = join ', ', map { "'$_'" } @tokens;
	my $n = @tokens;
	my $state = sql(<<"SQL");
SELECT (SELECT string_agg(n::text, ' ') FROM unnest(ARRAY[$list]) WITH ORDINALITY t (token, n), auth._read_refresh_token(token) r WHERE r.is_current),
	   generation, (SELECT count(*) FROM pg_locks WHERE relation = 'auth.refresh_tokens'::regclass AND pid <> pg_backend_pid())
FROM auth.refresh_tokens WHERE session_id = '$session'
SQL

	ok($state eq "$n|$n|0" || $state eq '|' . ($n + 1) . '|0', "$name: all or nothing, and no lock is left, after $n tokens")
	  or diag("live, generation, locks: $state");
}

sub session_of
{
	return sql("SELECT session_id FROM auth._read_refresh_token('$_[0]')");
}

# Calls a function, or none, with the process that rotates
sub backend
{
	return "SELECT $_[0](pid) FROM pg_stat_activity WHERE query ~ '^CALL rotate_on'";
}

foreach my $how ('pg_cancel_backend', 'pg_terminate_backend')
{
	foreach my $round (1 .. 8)
	{
		my ($token) = login();
		my $session = session_of($token);
		my $client = start_rotating($token);

		wait_for_tokens($client);
		sql(backend($how));
		is_whole("$how $round", $session, tokens_of($client, $token));
	}
}
foreach my $round (1 .. 8)
{
	my ($token) = login();
	my $session = session_of($token);
	my $client = start_rotating($token, '-c statement_timeout=' . (10 + int rand 100));

	is_whole("statement_timeout $round", $session, tokens_of($client, $token));
}
foreach my $round (1 .. 5)
{
	my ($token) = login();
	my $session = session_of($token);
	my $client = start_rotating($token, '-c lock_timeout=1');
	my $holder = $node->background_psql('postgres');

	wait_for_tokens($client);
	$holder->query_safe("BEGIN; UPDATE auth.refresh_tokens SET name = 'held' WHERE session_id = '$session'");
	my @tokens = tokens_of($client, $token);
	$holder->query_safe('COMMIT');
	$holder->quit;
	is_whole("lock_timeout $round", $session, @tokens);
	like($client->{stderr}, qr/55P03/, '... by an error that says so');
}
foreach my $round (1 .. 5)
{
	my ($token) = login();
	my $session = session_of($token);
	my $client = start_rotating($token, $round % 2 ? '-c synchronous_commit=off' : '');

	wait_for_tokens($client);
	my $walwriter = walwriter();
	kill 'KILL', sql(backend(''));
	my @tokens = tokens_of($client, $token);
	wait_for_recovery($walwriter);
	is_whole("kill -9 $round", $session, @tokens);
}

#
# What was answered is not lost in a crash, even where commits are not flushed.
# The WAL writer would flush them all within its delay: it is stopped meanwhile.
#

$node->append_conf('postgresql.conf', "synchronous_commit = off\n");
$node->reload;

# Each of these ends the session of a token, or uses it up
my %ending = (
	rotate => sub { status($_[0]) },
	reuse => sub { my $next = sql("SELECT refresh_token FROM auth.rotate_refresh_token('$_[0]')"); status($_[0]) },
	refresh => sub { sql("SELECT auth.refresh('$_[0]') ? 'access_token'") },
	revoke_refresh_token => sub { sql("SELECT auth.revoke_refresh_token('$_[0]')") },
	logout_session => sub { signed_in($_[1], "auth.logout('session')") },
	logout_all => sub { signed_in($_[1], "auth.logout('all')") },
	logout_others => sub { signed_in((login())[1], "auth.logout('others')") },
	revoke_session => sub { signed_in($_[1], 'auth.revoke_session(auth.session_id())') },
	revoke_sessions => sub { sql('SELECT auth.revoke_sessions(id) FROM auth.users') },
	set_password => sub { sql("SELECT auth.set_password(id, 'correct horse') FROM auth.users") },
	set_active => sub { sql('SELECT auth.set_active(id, false) FROM auth.users') },
	revoke_all => sub { sql("SELECT auth.revoke_all('test')") });

sub signed_in
{
	my ($access, $call) = @_;

	sql("BEGIN; SELECT auth.authenticate('$access') IS NOT NULL; SELECT $call; COMMIT");
}

# Does something, and crashes before the WAL writer comes round
sub crash_after
{
	my ($action) = @_;
	my $walwriter = walwriter();

	kill 'STOP', $walwriter;
	$action->();
	kill 'KILL', $walwriter;
	wait_for_recovery($walwriter);
}

sql('CREATE TABLE unflushed (n int)');
sql('CHECKPOINT');
crash_after(sub { sql('INSERT INTO unflushed VALUES (1)') });
is(sql('SELECT count(*) FROM unflushed'), 0, 'an ordinary commit is lost');
foreach my $name (sort keys %ending)
{
	my ($token, $access) = login();

	crash_after(sub { $ending{$name}->($token, $access) });
	ok(!lives($token), "$name: the token stays dead");
	sql('SELECT auth.set_active(id, true) FROM auth.users') if $name eq 'set_active';
}
{
	my ($token) = login();
	my $next;

	crash_after(sub { ($next) = sql("SELECT refresh_token FROM auth.rotate_refresh_token('$token')") });
	ok(lives($next), '... and its successor lives');
	crash_after(sub { ($next) = login() });
	ok(lives($next), 'a session that was answered is there');
}
# Nor does who or what is gone come back.
my $issuer = q{'https://elsewhere.example'};
sql(<<"SQL");
SET synchronous_commit = on;
SELECT auth.set_client('app');
SELECT auth.trust_issuer($issuer, jsonb_build_object('keys', jsonb_build_array(auth.jwk_public(auth.jwk_generate('ES256', 'k')))), '{app}');
SELECT auth.link_identity(auth.create_user('bob\@example.com'), $issuer, 'x');
SQL
foreach (
	[ 'drop_client', q{SELECT auth.drop_client('app')}, 'auth.clients' ],
	[ 'unlink_identity', "SELECT auth.unlink_identity($issuer, 'x')", 'auth.identities' ],
	[ 'distrust_issuer', "SELECT auth.distrust_issuer($issuer)", 'auth.issuers' ],
	[ 'delete_user', q{SELECT auth.delete_user(id) FROM auth.users WHERE email LIKE 'bob%'}, q{auth.users WHERE email LIKE 'bob%'} ])
{
	my ($name, $call, $from) = @$_;

	crash_after(sub { sql($call) });
	is(sql("SELECT count(*) FROM $from"), 0, "$name: stays done");
}
$node->append_conf('postgresql.conf', "synchronous_commit = on\n");
$node->reload;

#
# A prepared transaction holds the session, across a crash too; claims are not of it.
#

foreach my $end ('COMMIT', 'ROLLBACK')
{
	my ($token, $access) = login();
	my $client = $node->background_psql('postgres');
	my $next = $client->query_safe("BEGIN; SELECT refresh_token FROM auth.rotate_refresh_token('$token')");

	$client->query_safe("SELECT auth.authenticate('$access') IS NOT NULL");
	$client->query_safe("PREPARE TRANSACTION 'rotation'");
	is($client->query_safe('SELECT auth.uid() IS NULL'), 't', "$end PREPARED: PREPARE signs nobody in");
	if ($end eq 'COMMIT')
	{
		$node->stop('immediate');
		$node->start;
	}
	my (undef, undef, $stderr) = $node->psql('postgres', "SET lock_timeout = '100ms'; SELECT auth.rotate_refresh_token('$token')", extra_params => [ '-v', 'VERBOSITY=sqlstate' ]);
	like($stderr, qr/55P03/, '... a second rotation waits');
	ok(!lives($next), '... and the successor is not known yet');
	sql("$end PREPARED 'rotation'");
	is(lives($next) ? 'successor' : lives($token) ? 'token' : 'none', $end eq 'COMMIT' ? 'successor' : 'token', '... then one of the two lives');
	is(status($token), $end eq 'COMMIT' ? 'reused' : 'rotated', '... and the token is what it should be');
	eval { $client->quit };
}

done_testing();
