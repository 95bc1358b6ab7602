# The background worker, and the audit log's lines in the server's log: pg_regress
# has a server that has not preloaded the library, one database, and no standby.
use strict;
use warnings;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', <<'CONF');
shared_preload_libraries = 'jwt_auth'
jwt_auth.prune_interval = 0
jwt_auth.bcrypt_cost = 4
log_statement = none
CONF
$node->start;

my $launcher = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'jwt_auth prune launcher'";
$node->poll_query_until('postgres', "SELECT EXISTS ($launcher)") or die 'no launcher';
my $pid = $node->safe_psql('postgres', $launcher);
pass('the launcher is there, under its name');

# One that fails comes first, so that the others are behind it.
my $old = q{INSERT INTO auth.audit_log (at, event) VALUES ('2001-01-01', 'login')};
my $left = q{SELECT count(*) FROM auth.audit_log WHERE at < '2002-01-01'};
my $install = 'CREATE EXTENSION jwt_auth CASCADE';
foreach my $database (qw(broken app other plain foreign readonly closed))
{
	$node->safe_psql('postgres', "CREATE DATABASE \"$database\"");
}
$node->safe_psql($_, "$install; $old") foreach qw(broken app other readonly closed);
# Two batches
$node->safe_psql('app', "INSERT INTO auth.audit_log (at, event) SELECT '2001-01-01', 'login' FROM generate_series(1, 12000)");
$node->safe_psql('broken', 'ALTER TABLE auth.login_failures RENAME TO gone');
$node->safe_psql('postgres', q{
	ALTER DATABASE readonly SET default_transaction_read_only = on;
	ALTER DATABASE readonly SET default_transaction_isolation = 'serializable';
	ALTER DATABASE readonly SET statement_timeout = 1;
	CREATE ROLE nobody;
	ALTER DATABASE readonly SET role = nobody;
	ALTER DATABASE closed ALLOW_CONNECTIONS false});
# An ordinary role's schema of that name, with a function that a superuser must not run
$node->safe_psql('foreign', q{
	CREATE ROLE mallory;
	CREATE SCHEMA auth AUTHORIZATION mallory;
	SET ROLE mallory;
	CREATE FUNCTION auth.prune() RETURNS TABLE (relation text, deleted bigint) LANGUAGE plpgsql AS $$
	BEGIN
		RAISE LOG 'prune of mallory runs as %', current_user;
		RETURN QUERY VALUES ('stolen', 0::bigint);
	END
	$$});
# ... and one that is not the extension's, where the extension is
$node->safe_psql('postgres', 'CREATE DATABASE replaced');
$node->safe_psql('replaced', qq{
	$install;
	ALTER EXTENSION jwt_auth DROP FUNCTION auth.prune();
	CREATE OR REPLACE FUNCTION auth.prune() RETURNS TABLE (relation text, deleted bigint) LANGUAGE plpgsql AS
	'BEGIN RAISE LOG ''prune of mallory runs as %'', current_user; END'});

sub set
{
	my ($setting) = @_;

	$node->append_conf('postgresql.conf', "$setting\n");
	$node->reload;
}

set("jwt_auth.prune_interval = '1s'");
foreach my $database (qw(app other readonly))
{
	local $ENV{PGOPTIONS} = '-c role=none -c statement_timeout=0';
	ok($node->poll_query_until($database, "SELECT ($left) = 0"), "$database: what is old is gone");
}
# A second round, after all databases had their turn in the first
set('jwt_auth.prune_interval = 0');
$node->safe_psql('app', $old);
is($node->safe_psql('broken', $left), 1, 'the broken one is as it was');
set("jwt_auth.prune_interval = '1s'");
ok($node->poll_query_until('app', "SELECT ($left) = 0"), 'a change of the setting counts at once');
my $log = slurp_file($node->logfile);
like($log, qr/ERROR:  relation "auth.login_failures" does not exist/, 'the failure is in the log');
like($log, qr/CONTEXT: .*pruning of database "broken"/s, '... which says whose it was');
unlike($log, qr/prune of mallory runs/, 'no function ran that is not the extension\'s');
is($node->safe_psql('postgres', $launcher), $pid, 'the launcher has lived through all of it');
$node->safe_psql('postgres', 'ALTER DATABASE closed ALLOW_CONNECTIONS true');
ok($node->poll_query_until('closed', "SELECT ($left) = 0"), 'a database that is opened has its turn');

# A database can be dropped and copied while workers come and go.
$node->safe_psql('postgres', 'DROP DATABASE broken; CREATE DATABASE copy TEMPLATE other; DROP DATABASE copy');
pass('databases can be dropped and copied');

#
# audit_to_log: what was rolled back too, as JSON, and nothing that was typed
#
$node->safe_psql('app', "SELECT auth.register('ann\@example.com', 'correct horse')");
set('jwt_auth.audit_to_log = on');
my $from = -s $node->logfile;
my (undef, $stdout, $stderr) = $node->psql('app', <<'SQL');
SET client_min_messages = debug1;
SET jwt_auth.client_ip_header = 'x-real-ip';
BEGIN;
SELECT set_config('request.headers', '{"user-agent": "a \"quoted\"\nline", "x-real-ip": "192.0.2.1"}', true);
SELECT auth.login('ann@example.com', 'a wrong password') ->> 'error_code';
SELECT auth.login('a secret typed here', 'a wrong password') ->> 'error_code';
ROLLBACK;
SELECT auth.refresh(auth.login('ann@example.com', 'correct horse') ->> 'refresh_token') ? 'access_token';
SQL
unlike($stdout . $stderr, qr/jwt_auth event/, 'a client sees nothing of it');
my $after = slurp_file($node->logfile, $from);
my @events = map { decode_json($_) } $after =~ /LOG:  jwt_auth event: (.*)/g;
is(join(' ', map { $_->{event} } grep { $_->{event} !~ /^key_/ } @events), 'login_failed login_failed login', 'each event is one line of JSON');
is($events[0]->{user_agent}, qq{a "quoted"\nline}, '... also with quotes and line breaks in it');
is("$events[0]->{ip} $events[0]->{db_user} $events[0]->{details}->{reason}",
	"192.0.2.1 " . $node->safe_psql('app', 'SELECT session_user') . ' invalid_credentials', '... from where, by whom, and why');
like($events[0]->{at}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/, '... in universal time');
unlike($after, qr/wrong password|secret typed|correct horse|eyJ/, 'nothing that was typed is in the log');
is($node->safe_psql('app', "SELECT count(*) FROM auth.audit_log WHERE event = 'login_failed'"), 0, 'the rollback has taken the rows back');

#
# A standby has no launcher until it is promoted.
#
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->safe_psql('other', $old);
$node->poll_query_until('other', "SELECT ($left) = 0");
$node->wait_for_catchup($standby);
is($standby->safe_psql('other', $left), 0, 'a standby gets what the primary prunes');
is($standby->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'jwt_auth%'"), 0, '... and prunes nothing itself');

#
# Shutting down does not wait for a worker that waits.
#
my $blocker = $node->background_psql('app');
$blocker->query_safe($_) foreach 'BEGIN', 'LOCK auth.login_failures';
ok($node->poll_query_until('postgres',
		q{SELECT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'jwt_auth prune worker' AND datname = 'app' AND wait_event_type = 'Lock')}),
	'a worker waits for a lock, under its name');
$node->stop('fast');
pass('the server stops all the same');
eval { $blocker->quit };

$standby->promote;
ok($standby->poll_query_until('postgres', "SELECT EXISTS ($launcher)"), 'after promotion the launcher is there');
$standby->safe_psql('other', $old);
ok($standby->poll_query_until('other', "SELECT ($left) = 0"), '... and prunes');
$standby->stop;

done_testing();
