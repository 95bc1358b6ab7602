# A transaction pooler: a hundred clients of twenty people share four connections,
# and none ever sees another's claims or rows, whatever went wrong just before.
# Only a real pooler hands a connection on as a pooler does.
use strict;
use warnings;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

if (($ENV{INTEROP} // '') eq 'none')
{
	plan skip_all => 'this run is asked to do without other programs';
}

my $clients = 100;
my $seconds = 10;
my $pgbouncer;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', <<'CONF');
log_statement = none
max_connections = 30
jwt_auth.bcrypt_cost = 4
min_parallel_table_scan_size = 0
parallel_setup_cost = 0
parallel_tuple_cost = 0
CONF
$node->start;

sub sql
{
	return $node->safe_psql('postgres', $_[0]);
}

END
{
	my $status = $?;

	$pgbouncer->kill_kill if $pgbouncer;
	$? = $status;
}

# Starts pgbouncer as the ordinary user that runs this, and returns how it is
# reached.  "shared" has four connections to the server, "single" but one.
sub start_pgbouncer
{
	my $directory = $node->host;
	my $port = PostgreSQL::Test::Cluster::get_free_port();
	my $conf = PostgreSQL::Test::Utils::tempdir() . '/pgbouncer.ini';
	my $users = PostgreSQL::Test::Utils::tempdir() . '/users.txt';
	my $server = "host=$directory port=${\$node->port} dbname=postgres user=app";

	append_to_file($users, qq("app" ""\n));
	append_to_file($conf, <<"CONF");
[databases]
shared = $server pool_size=4
single = $server pool_size=1
[pgbouncer]
pool_mode = transaction
max_client_conn = 500
listen_addr =
unix_socket_dir = $directory
listen_port = $port
auth_type = trust
auth_file = $users
admin_users = app
ignore_startup_parameters = extra_float_digits
CONF
	local $ENV{PATH} = "$ENV{PATH}:/usr/sbin";
	$pgbouncer = IPC::Run::start([ 'pgbouncer', '-q', $conf ], '<', \undef, '>&',
		"$PostgreSQL::Test::Utils::tmp_check/pgbouncer.log");
	my $address = "host=$directory port=$port user=app";
	$node->poll_query_until('postgres', 'SELECT true', 't', connstr => "$address dbname=single")
	  or BAIL_OUT('pgbouncer did not get ready');
	return $address;
}

sql(<<'SQL');
CREATE EXTENSION jwt_auth CASCADE;
CREATE ROLE app LOGIN;
CREATE TABLE notes (owner uuid NOT NULL DEFAULT auth.uid(), body text);
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON notes USING (owner = auth.uid());
GRANT SELECT, INSERT ON notes TO app;
CREATE FUNCTION cached_notes() RETURNS SETOF notes LANGUAGE plpgsql STABLE AS $$
DECLARE
	r notes;
BEGIN
	FOR r IN SELECT * FROM notes LOOP
		RETURN NEXT r;
	END LOOP;
END
$$;
SQL
my $people = sql(<<'SQL');
CREATE TABLE person AS
SELECT auth.register('p' || n || '@example.com', 'correct horse') ->> 'id' AS id, n FROM generate_series(1, 20) n;
INSERT INTO notes SELECT id::uuid, id FROM person, generate_series(1, 3);
CREATE TABLE ended AS
SELECT id, auth.create_session(id::uuid) ->> 'access_token' AS token FROM person;
DO $$ BEGIN PERFORM auth.revoke_sessions(id::uuid) FROM person; END $$;
SELECT json_agg(json_build_object('id', id, 'ended', e.token, 'token', auth.create_session(id::uuid) ->> 'access_token')
				ORDER BY n)
FROM person JOIN ended e USING (id)
SQL
my $address = start_pgbouncer();

#
# All at once
#

my ($stdout, $stderr);
IPC::Run::run([ 'test/interop/pooled_clients.py', "$address dbname=shared", $clients, $seconds ],
	'<', \$people, '>', \$stdout, '2>', \$stderr)
  or BAIL_OUT("the clients: $stderr");
my $result = decode_json($stdout);
note explain $result->{done};
is_deeply([ grep { defined } @{ $result->{wrong} }[ 0 .. 9 ] ], [], 'nobody sees what is not theirs, and every error is the right one');
foreach my $deed (qw(reads reads_at_repeatable_read is_anonymous writes sets_a_token sets_a_bad_token changes_its_mind makes_an_error
	recovers_from_an_error is_refused forgets_the_transaction is_cancelled times_out hangs_up))
{
	cmp_ok($result->{done}{$deed} // 0, '>', 0, "a client that $deed");
}
is(sql('SELECT count(*) FROM notes'), '60', 'nobody has left a row behind');

#
# What the manual warns of: claims for the session are the session's, and that is
# the next client's as well, unless pgbouncer is told to clean up.
#

my $token = decode_json($people)->[0]{token};

# psql is a client of its own each time.
sub single
{
	my ($command, $database) = @_;

	return $node->safe_psql('postgres', $command, connstr => "$address dbname=" . ($database // 'single'));
}

my $ask = 'SELECT auth.email()';
single("BEGIN; SELECT auth.authenticate('$token'); COMMIT");
is(single($ask), '', 'claims for the transaction end with it');
single("SELECT auth.authenticate('$token', false)");
is(single($ask), 'p1@example.com', 'claims for the session are found by the next client');
single('SELECT auth.deauthenticate()');
is(single($ask), '', '... until somebody clears them');
single("BEGIN; SET LOCAL jwt_auth.token = '$token'; COMMIT");
is(single($ask), '', 'a token for the transaction ends with it');
single("SET jwt_auth.token = '$token'");
is(single($ask), 'p1@example.com', 'a token for the session is found by the next client');
single('RESET jwt_auth.token');
single('SET server_reset_query_always = 1', 'pgbouncer');
single("SELECT auth.authenticate('$token', false)");
is(single($ask), '', 'with server_reset_query_always, DISCARD ALL does');

done_testing();
