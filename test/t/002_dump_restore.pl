# Dump and restore, into the same cluster and into one without the master key:
# pg_regress has but one database and one cluster.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $key_file = PostgreSQL::Test::Utils::tempdir() . '/master.key';

sub new_cluster
{
	my ($name) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init;
	$node->append_conf('postgresql.conf', "jwt_auth.bcrypt_cost = 4\n");
	$node->start;
	return $node;
}

# The error code of an answer, or "ok".
sub outcome
{
	my ($node, $database, $call) = @_;
	return $node->safe_psql($database, "SELECT coalesce($call ->> 'error_code', 'ok')");
}

my $ann = "'ann\@example.com', 'correct horse'";
my $old = new_cluster('old');
$old->safe_psql('postgres', 'CREATE DATABASE app');
$old->safe_psql(
	'app', qq{
	CREATE EXTENSION jwt_auth CASCADE;
	SELECT auth.register($ann, 'ann');
	INSERT INTO auth.clients (client_id, audience) VALUES ('mobile', 'https://mobile.example');
	SELECT auth.create_api();
	CREATE ROLE backend;
	SELECT auth.grant_access('backend', 'client');
	CREATE TABLE notes (owner uuid REFERENCES auth.users (id), body text);
	INSERT INTO notes SELECT id, 'mine' FROM auth.users;});
my ($access, $refresh) = split /\|/, $old->safe_psql('app',
	"SELECT r ->> 'access_token', r ->> 'refresh_token' FROM auth.login($ann, client_id => 'mobile') r");

# One invitation is on its way, another one has not been sent.
my $invitation = $old->safe_psql('app', q{
	SELECT auth.invite_user('bob@example.com') \gset
	SELECT token FROM auth.take_messages();
	SELECT auth.invite_user('carol@example.com') \gset});

my $master_key = $old->data_dir . '/jwt_auth.key';
is((stat $master_key)[2] & 07777, 0600, 'the master key is private');

my $dump = "$PostgreSQL::Test::Utils::tmp_check/app.dump";
$old->command_ok([ 'pg_dump', '-Fc', '-f', $dump, 'app' ], 'dump');

# Whoever has the dump has no key, and no token in it either.
$old->command_ok([ 'pg_dump', '-f', "$dump.sql", 'app' ], 'dump as text');
unlike(slurp_file("$dump.sql"), qr/"d":|PRIVATE KEY|correct horse|eyJ/, 'the dump holds no usable key');

# Into a new database of the same cluster
$old->safe_psql('postgres', 'CREATE DATABASE copy');
$old->command_ok([ 'pg_restore', '--exit-on-error', '-d', 'copy', $dump ], 'restore beside the original');
for my $table (qw(users refresh_tokens clients keys one_time_tokens audit_log))
{
	my $rows = "SELECT count(*), md5(string_agg(t::text, ',' ORDER BY t::text)) FROM auth.$table t";
	is($old->safe_psql('copy', $rows), $old->safe_psql('app', $rows), "$table is there");
}
is(outcome($old, 'copy', "auth.login($ann)"), 'ok', 'the password works');
is($old->safe_psql('copy', "SELECT auth.jwt_verify('$access') ->> 'aud'"),
	'https://mobile.example', 'an access token of before verifies');
is(outcome($old, 'copy', "auth.refresh('$refresh')"), 'ok', 'a session of before goes on');
is($old->safe_psql('copy', "SELECT auth.accept_invitation('$invitation', 'battery staple') ->> 'email'"), 'bob@example.com',
	'an invitation of before is accepted');
is($old->safe_psql('copy', 'SELECT count(*) FROM auth.outbox'), 0, 'what the original will send is not sent twice');
is($old->safe_psql('app', 'SELECT email FROM auth.take_messages()'), 'carol@example.com', '... but once');
my $grants = "SELECT string_agg(p.oid::regprocedure || ' ' || p.proacl::text, ', ' ORDER BY p.oid::regprocedure::text)
	FROM pg_proc p WHERE pronamespace IN ('auth'::regnamespace, 'api'::regnamespace)";
is($old->safe_psql('copy', $grants), $old->safe_psql('app', $grants), 'grants are the same');
is($old->safe_psql('copy', 'SELECT body FROM notes JOIN auth.users u ON u.id = owner'), 'mine',
	"an application's foreign key to users survives");

is($old->safe_psql('copy', q{SELECT string_agg(item || ': ' || hint, E'\n') FROM auth.check_setup()
	WHERE NOT ok AND item ~ 'tables|triggers|privileges'}), '', 'tables, triggers and privileges are as they should be');
is($old->safe_psql('copy', 'SELECT count(*) FROM auth.prune()') > 0, 1, 'pruning goes on');

# Into a cluster without the master key: verifying works, signing says why not
my $new = new_cluster('new');
$new->safe_psql('postgres',
	'CREATE DATABASE app; CREATE ROLE anon; CREATE ROLE authenticated; CREATE ROLE authenticator; CREATE ROLE backend');
$new->command_ok([ 'pg_restore', '--exit-on-error', '-d', 'app', $dump ], 'restore elsewhere');
is($new->safe_psql('app', "SELECT auth.jwt_verify('$access') ->> 'type'"), 'access',
	'an asymmetric token verifies without the master key');

my ($code, $stdout, $stderr) = $new->psql('app', "SELECT auth.login($ann)");
like($stderr, qr/master key file ".*jwt_auth.key" does not exist/, 'a missing master key is named');
ok(!-e $new->data_dir . '/jwt_auth.key', 'and not quietly replaced by a new one');

# Wrong, damaged, readable by others, and right
sub login_with_key
{
	my ($content, $mode) = @_;
	my $file = $new->data_dir . '/jwt_auth.key';
	unlink $file;
	append_to_file($file, $content);
	chmod $mode, $file;
	($code, $stdout, $stderr) = $new->psql('app', "SELECT auth.login($ann) ->> 'token_type'");
	return $stdout . $stderr;
}
my $right = slurp_file($master_key);
like(login_with_key('ab' x 32, 0600), qr/is not the one that the keys are wrapped under/, 'wrong master key');
like(login_with_key(substr($right, 0, 40), 0600), qr/is damaged/, 'truncated master key');
like(login_with_key('zz' x 32, 0600), qr/is damaged/, 'master key that is not hexadecimal');
like(login_with_key($right, 0644), qr/is not a private file/, 'master key that others can read');
is(login_with_key($right, 0600), 'bearer', 'the right master key');
unlike(slurp_file($new->logfile), qr/\Q$right\E|abababab/, 'no error shows what is in the file');

# It can be kept elsewhere.
append_to_file($key_file, $right);
chmod 0600, $key_file;
unlink $new->data_dir . '/jwt_auth.key';
$new->append_conf('postgresql.conf', "jwt_auth.master_key_file = '$key_file'\n");
$new->reload;
is(outcome($new, 'app', "auth.refresh('$refresh')"), 'ok', 'a session of before goes on elsewhere');

done_testing();
