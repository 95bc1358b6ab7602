# The key ring in many backends at once, across a restart and a crash: what 64
# connections see while keys rotate and go needs more than the two sessions of an
# isolation test, and a regression test cannot stop its server.
use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $backends = 64;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
# A commit that nobody flushes is lost in a crash.
$node->append_conf('postgresql.conf', <<'CONF');
max_connections = 100
log_statement = none
synchronous_commit = off
wal_writer_delay = 10s
bgwriter_delay = 10s
jwt_auth.bcrypt_cost = 4
CONF
$node->start;

sub sql
{
	return $node->safe_psql('postgres', $_[0]);
}

sub outcome
{
	return sql("SELECT outcome('$_[0]')");
}

my $pgbench;

END
{
	my $status = $?;

	$pgbench->kill_kill if $pgbench;
	$? = $status;
}

sql(<<'SQL');
CREATE EXTENSION jwt_auth CASCADE;
CREATE FUNCTION outcome(token text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	reason text;
BEGIN
	RETURN CASE WHEN auth.jwt_verify(token) IS NOT NULL THEN 'ok' END;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS reason = PG_EXCEPTION_DETAIL;
	RETURN coalesce(nullif(reason, ''), SQLERRM);
END
$$;
-- The tokens that are about, and which change of the ring was the last: it stands
-- in the same commit as the change.
CREATE TABLE tokens (name text PRIMARY KEY, token text);
CREATE TABLE phase (n int);
INSERT INTO phase VALUES (0);
CREATE UNLOGGED TABLE seen (pid int, phase int, name text, outcome text, PRIMARY KEY (phase, pid, name, outcome));
-- What this backend makes of all tokens.  The phase is read by a statement of its
-- own before: its change is committed by the time that a token is looked at.
CREATE PROCEDURE look() LANGUAGE plpgsql AS $$
DECLARE
	known int;
BEGIN
	SELECT n INTO known FROM phase;
	INSERT INTO seen SELECT pg_backend_pid(), known, name, outcome(token) FROM tokens ON CONFLICT DO NOTHING;
END
$$;
SQL

#
# 64 backends verify in a loop while keys rotate and go
#

my $phase = 0;
my $pgbench_log = '';

# A change of the ring, and the phase that begins with it, in one commit
sub change
{
	$phase++;
	sql("BEGIN; $_[0]; UPDATE phase SET n = $phase; COMMIT");
}

sub token_named
{
	return "INSERT INTO tokens VALUES ('$_[0]', auth.jwt_sign('{}'))";
}

sub kid_of
{
	return "(SELECT (auth.jwt_decode(token)).header ->> 'kid' FROM tokens WHERE name = '$_[0]')";
}

sub wait_for_all
{
	ok( $node->poll_query_until('postgres',
			"SELECT count(DISTINCT pid) = $backends FROM seen WHERE phase = $phase"),
		"all $backends backends have looked in phase $phase")
	  or BAIL_OUT("pgbench: $pgbench_log");
}

my $script = "$PostgreSQL::Test::Utils::tmp_check/look.sql";
append_to_file($script, "CALL look();\n\\sleep 10 ms\n");
my @pgbench = ('pgbench', '-n', '-c', $backends, '-j', 2, '-T', 3600, '-f', $script,
	$node->connstr('postgres') . ' application_name=pgbench');

change(token_named('first'));
$pgbench = IPC::Run::start(\@pgbench, '<', \undef, '>&', \$pgbench_log);
wait_for_all();
foreach my $algorithm (qw(ES256 EdDSA HS256 RS256 ES384))
{
	change("SELECT auth.create_key('$algorithm', activate_in => '0'); " . token_named($algorithm));
	wait_for_all();
}
change('SELECT auth.revoke_key(' . kid_of('HS256') . ')');
my $verifying_revoked = $phase;
wait_for_all();
change('SELECT auth.revoke_key(' . kid_of('ES384') . '); ' . token_named('successor'));
my $active_revoked = $phase;
wait_for_all();
change("SELECT auth.revoke_all('test'); " . token_named('last'));
my $all_revoked = $phase;
wait_for_all();

is(sql('SELECT count(DISTINCT pid) FROM seen'), $backends, 'they were the same backends all the time');
is( sql("SELECT DISTINCT name, outcome FROM seen WHERE outcome <> 'ok' AND phase < CASE name
		 WHEN 'HS256' THEN $verifying_revoked - 1 WHEN 'ES384' THEN $active_revoked - 1 ELSE $all_revoked - 1 END"),
	'', 'no good token was refused');
is( sql("SELECT DISTINCT name, outcome FROM seen WHERE phase >= CASE name
		 WHEN 'last' THEN NULL WHEN 'HS256' THEN $verifying_revoked WHEN 'ES384' THEN $active_revoked ELSE $all_revoked END
		 AND outcome <> 'reason: unknown_kid'"),
	'', 'and none of a revoked key taken once that was committed');
is(sql("SELECT DISTINCT outcome FROM seen WHERE name = 'last'"), 'ok', 'the last key is good in all of them');
$pgbench->kill_kill;
undef $pgbench;
$node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'pgbench'");

#
# Restart and crash
#

sql("SELECT auth.create_key('ES256', activate_in => '0')");
my $before = sql("SELECT auth.jwt_sign('{}')");
my $pending = sql("SELECT auth.rotate_key(activate_in => '1 h')");
my $status = 'SELECT kid, purpose, state, activates_at, verifies_until FROM auth.key_status ORDER BY created_at, kid';
my $ring = sql($status);
$node->restart;
is(sql($status), $ring, 'a restart changes nothing');
is(outcome($before), 'ok', 'a token of before verifies');
is(sql("SELECT (auth.jwt_decode(auth.jwt_sign('{}'))).header ->> 'kid' = (auth.jwt_decode('$before')).header ->> 'kid'"),
	't', 'the key that signed goes on');

# synchronous_commit is off, and nothing but the revocation itself flushes it.
$node->safe_psql('postgres', "CHECKPOINT");
my $active = sql("SELECT kid FROM auth.key_status WHERE state = 'active' AND purpose = 'access'");
is(sql("SELECT auth.revoke_key('$active')"), $pending, 'the key that was pending takes over');
$node->stop('immediate');
$node->start;
is(sql("SELECT state FROM auth.key_status WHERE kid = '$active'"), 'revoked', 'a crash brings no revoked key back');
is(outcome($before), 'reason: unknown_kid', 'nor a token of it');
is(sql("SELECT (auth.jwt_decode(auth.jwt_sign('{}'))).header ->> 'kid'"), $pending, 'its successor signs');
my $last = sql("SELECT auth.jwt_sign('{}')");
sql("SELECT auth.revoke_all('test')");
$node->stop('immediate');
$node->start;
is(outcome($last), 'reason: unknown_kid', 'revoke_all survives a crash too');

done_testing();
