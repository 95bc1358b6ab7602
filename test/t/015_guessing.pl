# Guesses are counted in shared memory where the library is preloaded, which a
# server has to be started for: by account and by address, whatever the caller
# rolls back, cancels, or tries at once over many connections.
use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
# One failure locks an account for as long as the test runs, and ten an address.
$node->append_conf('postgresql.conf', <<'CONF');
shared_preload_libraries = 'jwt_auth'
listen_addresses = '127.0.0.1'
max_connections = 100
log_statement = none
jwt_auth.bcrypt_cost = 4
jwt_auth.max_concurrent_hashes = 8
jwt_auth.max_failed_logins = 1
jwt_auth.lockout_duration = '1d'
CONF
$node->start;

my $names = 0;

sub sql
{
	my ($sql, %params) = @_;
	return $node->safe_psql('postgres', $sql, %params);
}

# A new account's name
sub new_user
{
	my $name = 'user' . ++$names;

	sql("SELECT auth.create_user(username => '$name', password => 'correct horse')");
	return $name;
}

sub login
{
	my ($name, $password) = @_;
	return "auth.login(username => '$name', password => '$password')";
}

# What a login comes to
sub answer
{
	my ($name, $password) = @_;
	return sql("SELECT coalesce(${\login($name, $password)} ->> 'error_code', 'ok')");
}

sub is_locked
{
	my ($name, $what) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(sql("SELECT ${\login($name, 'correct horse')} ->> 'error_description'"),
		'too many failed logins; try again later', $what);
}

# pgbench with a script of its own, once for each client or more often
sub pgbench
{
	my ($clients, $transactions, $script) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir() . '/script';
	my $log;

	append_to_file($file, $script);
	IPC::Run::run([ 'pgbench', '-n', '-c', $clients, '-j', 2, '-t', $transactions, '-f', $file,
			$node->connstr('postgres') ], '<', \undef, '>&', \$log) or die "pgbench: $log";
	return;
}

sql('CREATE EXTENSION jwt_auth CASCADE; CREATE TABLE outcome (code text)');
sql('SELECT auth.create_key()');

#
# What is rolled back has been counted
#

my $name = new_user();
sql("BEGIN; SELECT ${\login($name, 'guess')}; ROLLBACK");
is_locked($name, 'a transaction that was rolled back');
is(sql('SELECT count(*) FROM auth.login_failures'), 0, 'which the table knows nothing of');

my $rolled_back = $name = new_user();
sql("BEGIN; SAVEPOINT s; SELECT ${\login($name, 'guess')}; ROLLBACK TO s; COMMIT");
is_locked($name, 'a savepoint');

$name = new_user();
sql("DO \$\$ BEGIN PERFORM ${\login($name, 'guess')}; RAISE 'undo'; EXCEPTION WHEN raise_exception THEN NULL; END \$\$");
is_locked($name, 'a block with an exception handler');

$name = new_user();
is(sql(qq{
	SELECT count(*) FILTER (WHERE code = 'invalid_credentials') || ' ' || count(*)
	FROM (SELECT auth.login(username => '$name', password => 'guess' || n) ->> 'error_code' AS code
		  FROM generate_series(1, 100) n) guess}), '1 100', 'one guess of a hundred in one statement');

my $signed_in = new_user();
my $token = sql("SELECT ${\login($signed_in, 'correct horse')} ->> 'access_token'");
is(sql(qq{
	BEGIN;
	SELECT FROM auth.authenticate('$token');
	SAVEPOINT s;
	SELECT auth.change_password('guess', 'battery staple') ->> 'error_code';
	ROLLBACK TO s;
	SELECT auth.change_password('correct horse', 'battery staple') ->> 'error_code'}),
	"invalid_credentials\nover_request_rate_limit", 'change_password');
is(answer($signed_in, 'correct horse'), 'ok', 'which counts apart');

#
# What is cancelled while hashing has been counted
#

# These take a second or more: a hash of cost 4 is topped up.
my $costly = 'SET jwt_auth.bcrypt_cost = 16';

my %cuts = (
	pg_cancel_backend => qr/canceling statement due to user request/,
	pg_terminate_backend => qr/terminating connection/);

foreach my $function (sort keys %cuts)
{
	my $guess = "SELECT ${\login($name = new_user(), 'guess')}";
	my $psql = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', $costly, '-c', $guess ],
		'<', \undef, '>&', \my $output);

	$node->poll_query_until('postgres', 'SELECT count(*) = 1 FROM pg_locks WHERE objsubid = 3') or die;
	sql("SELECT $function(pid) FROM pg_locks WHERE objsubid = 3");
	$psql->finish;
	like($output, $cuts{$function}, "$function: hashing is cut short");
	is_locked($name, $function);
}
is(sql('SELECT count(*) FROM pg_locks WHERE objsubid = 3'), 0, 'every place has been given back');

#
# Many connections
#

$name = new_user();
pgbench(20, 10, "BEGIN;\n"
		. "SELECT (${\login($name, 'guess')} ->> 'error_code' = 'invalid_credentials')::int AS guessed \\gset\n"
		. "ROLLBACK;\nINSERT INTO outcome VALUES (:guessed);\n");
is(sql('SELECT sum(code::int), count(*) FROM outcome'), '1|200', 'one guess of 200 over 20 connections');

# None is lost: after 39 that make nobody wait, the next one does.
$name = new_user();
pgbench(39, 1, "BEGIN;\nSET LOCAL jwt_auth.max_failed_logins = 79;\nSELECT ${\login($name, 'guess')};\nROLLBACK;\n");
is(sql("SET jwt_auth.max_failed_logins = 79;
		SELECT ${\login($name, 'guess')} ->> 'error_code', ${\login($name, 'correct horse')} ->> 'error_code'"),
	'invalid_credentials|over_request_rate_limit', '39 guesses at once, and one more');

$name = new_user();
sql('TRUNCATE outcome');
pgbench(20, 5, "INSERT INTO outcome SELECT coalesce(${\login($name, 'correct horse')} ->> 'error_code', 'ok');\n");
is(sql('SELECT code, count(*) FROM outcome GROUP BY 1'), 'ok|100', 'right passwords at once keep nobody out');

#
# Addresses
#

my $header = "SET jwt_auth.client_ip_header = 'X-Forwarded-For'";

# What logins from this address come to, one for each name
sub answers_from
{
	my ($ip, $password, @names) = @_;
	my $logins = join ', ', map { login($_, $password) } @names;

	return join ' ', split /\n/, sql(qq{
		$header;
		SET request.headers = '{"x-forwarded-for": "192.0.2.1, $ip"}';
		SELECT coalesce(answer ->> 'error_code', 'ok') FROM unnest(ARRAY[$logins]) answer});
}

sub unknown_names
{
	return map { "nobody" . ++$names } 1 .. $_[0];
}

my ($here, $elsewhere) = (new_user(), new_user());
my $no = 'invalid_credentials';
my $wait = 'over_request_rate_limit';

is(answers_from('203.0.113.7', 'correct horse', $here), 'ok', 'somebody signs in');
is(answers_from('203.0.113.7', 'guess', unknown_names(11)), join(' ', ($no) x 10, $wait),
	'ten failures, with whatever names, lock an address');
is(answers_from('203.0.113.7', 'correct horse', $elsewhere), $wait, 'for the right password too');
is(answers_from('203.0.113.7', 'correct horse', $here), 'ok', 'but not for who has signed in from there before');
is(answers_from('203.0.113.7', 'guess', $here, unknown_names(1)), "$wait $wait",
	'which no answer to a wrong password tells');
is(answers_from('203.0.113.8', 'correct horse', $elsewhere), 'ok', 'another address is not locked');

answers_from("2001:db8:1:1::$_", 'guess', unknown_names(1)) foreach 1 .. 10;
is(answers_from('2001:db8:1:1:ffff::', 'guess', unknown_names(1)), $wait, 'all addresses of an IPv6 network are one');
is(answers_from('2001:db8:1:2::1', 'guess', unknown_names(1)), $no, 'another network is another');
answers_from("::ffff:198.51.100.$_", 'guess', unknown_names(1)) foreach 1 .. 10;
is(answers_from('::ffff:198.51.100.11', 'guess', unknown_names(1)), $no, 'where it is no IPv4 address');

# The owner of an account gets in where an attacker has locked it everywhere else.
is(answers_from('203.0.113.20', 'correct horse', $name = new_user()), 'ok', 'an owner signs in');
is(answers_from('203.0.113.21', 'guess', $name), $no, 'an attacker guesses from elsewhere');
is(answers_from('203.0.113.22', 'correct horse', $name), $wait, 'and has locked the account');
is(answers_from('203.0.113.20', 'correct horse', $name), 'ok', 'but not where its owner is');

# What an address of the connection stands for: how many of eleven have to wait
sub count_locked
{
	my ($settings, %params) = @_;
	my $guesses = join ', ', map { login($_, 'guess') } unknown_names(11);

	return sql("$settings; SELECT count(*) FILTER (WHERE a ->> 'error_code' = '$wait') FROM unnest(ARRAY[$guesses]) a", %params);
}

my %tcp = (connstr => 'host=127.0.0.1 dbname=postgres port=' . $node->port);
is(count_locked("SET request.headers = '{}'", %tcp), 0, 'a gateway\'s is everybody\'s');
is(count_locked($header, %tcp), 0, 'so is one that hands no address over where it should');
is(count_locked("$header; SET request.headers = '{\"x-forwarded-for\": \"unknown\"}'", %tcp), 0, 'or none that is one');
is(count_locked('SELECT'), 0, 'a socket has none');
is(count_locked('SELECT', %tcp), 1, 'without a gateway it is the client\'s');

#
# Forgetting
#

my $unlocked = new_user();
sql("BEGIN; SELECT ${\login($unlocked, 'guess')}; ROLLBACK");
is_locked($unlocked, 'an account is locked');
sql("SELECT auth.unlock_user(id) FROM auth.users WHERE username = '$unlocked'");
is(answer($unlocked, 'correct horse'), 'ok', 'and unlocked');

# A right password does so, too: here the second failure would lock.
$name = new_user();
is(sql("SET jwt_auth.max_failed_logins = 3;"
		. join(' ', map { "BEGIN; SELECT ${\login($name, $_)} ->> 'error_code'; ROLLBACK;" }
			'guess', 'correct horse', 'guess', 'correct horse')), "$no\n\n$no\n", 'a right password forgets a wrong one');

#
# Another database, and a crash
#

$node->safe_psql('postgres', 'CREATE DATABASE other');
is($node->safe_psql('other', "SET client_min_messages = error; CREATE EXTENSION jwt_auth CASCADE;
		SELECT auth.create_user(username => '$rolled_back', password => 'correct horse') IS NOT NULL,
			coalesce(${\login($rolled_back, 'correct horse')} ->> 'error_code', 'ok')"), 't|ok', 'another database counts apart');

my $committed = new_user();
is(answer($committed, 'guess'), $no, 'a guess that is committed');
is_locked($rolled_back, 'as one that is not');
$node->stop('immediate');
$node->start;
is_locked($committed, 'has been counted after a crash, too');
is(answer($rolled_back, 'correct horse'), 'ok', 'others are forgotten then');

#
# More names than there is room for
#

# A name with many failures does not give way to those with one.
$name = new_user();
sql("BEGIN; SET LOCAL jwt_auth.max_failed_logins = 9; " . "SELECT ${\login($name, 'guess')}; " x 4 . 'ROLLBACK');
# Without pgcrypto's function these fail sooner than by hashing, and count no less.
sql(q{
	ALTER EXTENSION pgcrypto DROP FUNCTION crypt(text, text);
	DO $$
	BEGIN
		FOR n IN 1 .. 20000 LOOP
			BEGIN
				PERFORM auth._try_password('guess', NULL, int4send(n), '', NULL);
				ASSERT false;
			EXCEPTION WHEN undefined_function THEN NULL;
			END;
		END LOOP;
	END $$;
	ALTER EXTENSION pgcrypto ADD FUNCTION crypt(text, text)});
is(sql("SET jwt_auth.max_failed_logins = 9; SELECT ${\login($name, 'guess')} ->> 'error_code', ${\login($name, 'guess')} ->> 'error_code'"),
	"$no|$wait", 'a flood of names makes nobody forgotten who has failed more often');

done_testing();
