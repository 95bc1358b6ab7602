# Keys on a standby and on a logical subscriber: what the primary or publisher
# commits counts there as soon as it is applied, in sessions and transactions that
# began before; and what has to write says that it cannot.  One server cannot show
# that.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 'logical');
$primary->append_conf('postgresql.conf', "log_statement = none\njwt_auth.bcrypt_cost = 4\n");
$primary->start;
$primary->safe_psql('postgres', 'CREATE EXTENSION jwt_auth CASCADE');

sub sql
{
	return $primary->safe_psql('postgres', $_[0]);
}

# A session that stays, in a transaction of its own where $begin says so
sub verifier
{
	my ($node, $begin) = @_;
	my $session = $node->background_psql('postgres', on_error_stop => 0);

	$session->query($begin) if $begin;
	return $session;
}

# "ok", or the reason
sub outcome
{
	my ($session, $token) = @_;

	return $session->query("SELECT verify('$token')");
}

my $verify = <<'SQL';
CREATE FUNCTION verify(token text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	reason text;
BEGIN
	RETURN CASE WHEN auth.jwt_verify(token) IS NOT NULL THEN 'ok' END;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS reason = PG_EXCEPTION_DETAIL;
	RETURN coalesce(nullif(reason, ''), SQLERRM);
END
$$
SQL
sql($verify);
sql("SELECT auth.register('ann\@example.com', 'correct horse')");
my $first = sql("SELECT auth.jwt_sign('{}')");

#
# A standby that verifies while the primary rotates and revokes.  It comes from a
# base backup, which has the master key file where that is in the data directory.
#

$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
is((stat $primary->backup_dir . '/base/jwt_auth.key')[2] & 07777, 0600, 'a base backup has the master key file, and private');
chmod 0600, $standby->data_dir . '/jwt_auth.key';	# the copy that the framework made
$standby->start;
$primary->wait_for_catchup($standby);

my $session = verifier($standby);
my $transaction = verifier($standby, 'BEGIN ISOLATION LEVEL REPEATABLE READ');
my @verifiers = ([ $session, 'a session' ], [ $transaction, 'a transaction that began before' ]);

# Has the standby apply what the primary has committed, and looks at a token there
sub is_on_standby
{
	my ($token, $expected, $name) = @_;

	$primary->wait_for_catchup($standby);
	is(outcome($_->[0], $token), $expected, "$name, in $_->[1]") foreach @verifiers;
}

is_on_standby($first, 'ok', 'a token of the primary verifies');
sql("SELECT auth.rotate_key(activate_in => '0')");
my $second = sql("SELECT auth.jwt_sign('{}')");
is_on_standby($second, 'ok', 'a token of a new key verifies');
is_on_standby($first, 'ok', '... and one of the key before');
sql("SELECT auth.create_key('HS256', activate_in => '0')");
my $third = sql("SELECT auth.jwt_sign('{}')");
is_on_standby($third, 'ok', 'with the master key file, a secret verifies too');
sql("SELECT auth.revoke_key((auth.jwt_decode('$first')).header ->> 'kid')");
is_on_standby($first, 'reason: unknown_kid', 'revoked is revoked');
is_on_standby($second, 'ok', '... and the others are not');

# What a standby cannot do, it says.
is($standby->safe_psql('postgres', 'SELECT auth.jwks()'), sql('SELECT auth.jwks()'), 'the standby publishes the same keys');
is($standby->safe_psql('postgres', "SELECT auth.jwt_verify(auth.jwt_sign('{}')) ? 'exp'"), 't', 'it can sign with the active key');
is($standby->safe_psql('postgres', <<'SQL'), 'temporarily_unavailable', 'what has to write says that it cannot here');
	SELECT string_agg(DISTINCT answer ->> 'error', ' ')
	FROM (VALUES (auth.login('ann@example.com', 'x')), (auth.register('ann@example.com', 'correct horse')),
				 (auth.refresh('x')), (auth.token('refresh_token', refresh_token => 'x')),
				 (auth.create_session(gen_random_uuid())), (auth.login_with_id_token('x'))) v (answer)
SQL
foreach my $call ("auth.create_key()", "auth.rotate_key()", "auth.revoke_key('x')", "auth.revoke_all('x')", 'auth.rewrap_keys()')
{
	my (undef, undef, $stderr) = $standby->psql('postgres', "SELECT $call");
	like($stderr, qr/cannot (acquire|execute).*(recovery|read-only)/, "$call needs the primary");
}

# Without the file, public keys still verify.
unlink $standby->data_dir . '/jwt_auth.key';
$session->quit;
$session = verifier($standby);
@verifiers = ([ $session, 'a new session' ]);
is_on_standby($second, 'ok', 'without the master key file, a key pair verifies');
is_on_standby($third, 'master key file "jwt_auth.key" does not exist', '... and a secret does not');
ok(!-e $standby->data_dir . '/jwt_auth.key', '... nor is a file made');

@verifiers = ([ $session, 'a session' ], [ $transaction, 'a transaction that began before' ]);
sql('BEGIN; TRUNCATE auth.keys; ROLLBACK');
is_on_standby($second, 'ok', 'a TRUNCATE that is rolled back');
$transaction->query('COMMIT');	# it would hold the lock up
@verifiers = ([ $session, 'a session' ]);
sql('TRUNCATE auth.keys');
is_on_standby($second, 'reason: unknown_kid', 'TRUNCATE');
$session->quit;
$transaction->quit;

# A standby that takes over goes on by itself.
sql("SELECT auth.create_key()");
my $fourth = sql("SELECT auth.jwt_sign('{}')");
$primary->wait_for_catchup($standby);
append_to_file($standby->data_dir . '/jwt_auth.key', slurp_file($primary->data_dir . '/jwt_auth.key'));
chmod 0600, $standby->data_dir . '/jwt_auth.key';
$standby->promote;
is($standby->safe_psql('postgres', "SELECT verify('$fourth')"), 'ok', 'after promotion a token of before verifies');
is($standby->safe_psql('postgres', "SELECT auth.revoke_key((auth.jwt_decode('$fourth')).header ->> 'kid') IS NOT NULL"), 't',
	'... and its key can be revoked');
$standby->stop;

#
# A logical subscriber of the keys: the apply worker fires no ordinary trigger
#

my $subscriber = PostgreSQL::Test::Cluster->new('subscriber');
$subscriber->init;
$subscriber->append_conf('postgresql.conf', "log_statement = none\n");
$subscriber->start;
$subscriber->safe_psql('postgres', "CREATE EXTENSION jwt_auth CASCADE; $verify");
my $publisher = $primary->connstr . ' dbname=postgres';
$session = verifier($subscriber);
is(outcome($session, $fourth), 'reason: unknown_kid', 'a database of its own');
sql('CREATE PUBLICATION keys FOR TABLE auth.keys');
$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION keys CONNECTION '$publisher' PUBLICATION keys");
$subscriber->wait_for_subscription_sync($primary, 'keys');

sub is_on_subscriber
{
	my ($token, $expected, $name) = @_;

	$primary->wait_for_catchup('keys');
	is(outcome($session, $token), $expected, "subscriber: $name");
}

is_on_subscriber($fourth, 'ok', 'the first copy');
sql("SELECT auth.rotate_key(activate_in => '0')");
my $fifth = sql("SELECT auth.jwt_sign('{}')");
is_on_subscriber($fifth, 'ok', 'a new key');
is_on_subscriber($fourth, 'ok', 'the key before');
ok(!-e $subscriber->data_dir . '/jwt_auth.key', 'subscriber: no master key file is needed');
sql("SELECT auth.create_key('HS256', activate_in => '0')");
is_on_subscriber(sql("SELECT auth.jwt_sign('{}')"), 'master key file "jwt_auth.key" does not exist', 'a secret is of no use there');
sql("SELECT auth.revoke_key((auth.jwt_decode('$fourth')).header ->> 'kid')");
is_on_subscriber($fourth, 'reason: unknown_kid', 'a revoked key');
is_on_subscriber($fifth, 'ok', 'another one');
sql('TRUNCATE auth.keys');
is_on_subscriber($fifth, 'reason: unknown_kid', 'TRUNCATE');
$session->quit;

done_testing();
