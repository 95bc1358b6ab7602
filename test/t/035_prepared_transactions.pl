# Two-phase commit: claims do not travel with a prepared transaction, and a rotation
# that is prepared holds its session until it is decided.  The servers of the
# regression tests have max_prepared_transactions = 0.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "max_prepared_transactions = 5\nlog_statement = none\njwt_auth.bcrypt_cost = 4\n");
$node->start;

sub sql
{
	return $node->safe_psql('postgres', $_[0]);
}

sql("CREATE EXTENSION jwt_auth CASCADE; SELECT auth.register('ann\@example.com', 'correct horse')");
my ($access, $refresh) = split /\|/,
  sql("SELECT r ->> 'access_token', r ->> 'refresh_token' FROM auth.login('ann\@example.com', 'correct horse') r");

# In one session: claims before PREPARE, after it, and after COMMIT PREPARED
my $who = "SELECT coalesce(auth.email(), 'nobody')";
is(sql(<<"SQL"), "ann\@example.com\nnobody\nnobody", 'claims end with PREPARE TRANSACTION');
CREATE TABLE t (owner uuid);
BEGIN;
DO \$\$ BEGIN PERFORM auth.authenticate('$access'); END \$\$;
INSERT INTO t VALUES (auth.uid());
$who;
PREPARE TRANSACTION 'one';
$who;
COMMIT PREPARED 'one';
$who;
SQL
is(sql('SELECT count(*) FROM t JOIN auth.users u ON u.id = t.owner'), '1', '... and what was written with them stays');

my $signed_in = "BEGIN; SELECT auth.authenticate('$access') IS NOT NULL; COMMIT";
my $status = 'SELECT status FROM auth.rotate_refresh_token';
is(sql("BEGIN; $status('$refresh'); PREPARE TRANSACTION 'two'"), 'rotated', 'a rotation is prepared');
my (undef, undef, $stderr) = $node->psql('postgres', "SET lock_timeout = '100ms'; $status('$refresh')");
like($stderr, qr/lock timeout/, '... and the next one waits for it');
is(sql($signed_in), 't', '... while the session goes on');
sql("ROLLBACK PREPARED 'two'");
is(sql("$status('$refresh')"), 'rotated', '... and gets its turn after a rollback');
is(sql("BEGIN; SELECT auth.revoke_refresh_token('$refresh'); PREPARE TRANSACTION 'three'"), '', 'a revocation is prepared');
is(sql($signed_in), 't', '... and does not count yet');
sql("COMMIT PREPARED 'three'");
(undef, undef, $stderr) = $node->psql('postgres', "SELECT auth.authenticate('$access')");
like($stderr, qr/session_ended/, '... but does when it is committed');

# What changes keys tells PostgREST by NOTIFY, and so cannot be prepared.
(undef, undef, $stderr) = $node->psql('postgres', "BEGIN; SELECT auth.create_key(activate_in => '0'); PREPARE TRANSACTION 'four'");
like($stderr, qr/cannot PREPARE/, 'a key cannot be prepared');
is(sql("SELECT count(*) FROM auth.key_status WHERE purpose = 'access'"), '1', '... and is not there');

done_testing();
