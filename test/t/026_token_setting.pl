# A token that comes with the connection: the library loaded before or not, the
# session ended by somebody else while the connection stays, two-phase commit,
# and what the server's log has of it.  That takes connections with options of
# their own, and settings of the server.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "jwt_auth.bcrypt_cost = 4\nmax_prepared_transactions = 2\n");
$node->start;
$node->safe_psql('postgres', q{
	SET client_min_messages = error;
	CREATE EXTENSION jwt_auth CASCADE;
	CREATE ROLE person LOGIN;
	CREATE FUNCTION who() RETURNS text LANGUAGE plpgsql STABLE PARALLEL SAFE AS 'BEGIN RETURN auth.email(); END';
	CREATE TABLE numbers AS SELECT n FROM generate_series(1, 1000) AS n;
	GRANT SELECT ON numbers TO PUBLIC;
});

sub login
{
	return $node->safe_psql('postgres', q{
		SELECT auth.register('ann@example.com', 'correct horse') \gset
		SELECT auth.login('ann@example.com', 'correct horse') ->> 'access_token'});
}

# What psql says, errors too, on a connection as an ordinary user with this token.
sub ask
{
	my ($token, $sql) = @_;
	my ($stdout, $stderr);

	$node->psql('postgres', $sql, stdout => \$stdout, stderr => \$stderr, on_error_stop => 0,
		connstr => $node->connstr('postgres') . " user=person options='-c jwt_auth.token=$token'");
	$stderr =~ s/^psql:<stdin>:\d+: //mg;
	return "$stdout\n$stderr";
}

sub says
{
	my ($token, $sql, $expected, $name) = @_;
	like(ask($token, $sql), qr/\A\s*$expected\s*\z/, $name);
}

my $token = login();
my $other = $node->connstr('postgres');

#
# The library loaded on demand
#

says($token, 'SELECT auth.email(); SHOW jwt_auth.token', qr/ann\@example\.com\n\*\*\*/, 'a token in the options signs in, and is not shown');
like(ask($token, 'SHOW jwt_auth.token'), qr/^\Q$token\E/, 'what nobody has read yet is shown to its own connection');
says('x', 'SELECT auth.email(); SELECT auth.uid(); SELECT 1', qr/1\nERROR:  token is malformed\nDETAIL:  reason: malformed\nERROR:  token is malformed\nDETAIL:  reason: malformed/,
	'one that is no good is refused at each read, and in the way of nothing else');
says($token, q{SELECT auth.pre_request(); SELECT auth.email(); RESET ALL; SELECT auth.email()}, qr//, 'a request begins without what its connection carries');

# In parallel workers, which verify for themselves
my $parallel = q{
	SET min_parallel_table_scan_size = 0; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0;
	SELECT count(*), min(auth.email()), max(auth.email()) FROM numbers;};

says($token, $parallel, qr/1000\|ann\@example\.com\|ann\@example\.com/, 'workers see it');
like(ask('x', $parallel), qr/ERROR:  token is malformed/, 'workers refuse it');

# Loading the library in a worker would come too late for the settings
(my $inside = $parallel) =~ s/auth\.email/who/g;
says($token, "\\set VERBOSITY terse\n$inside SELECT auth.email(); $inside",
	qr/ann\@example\.com\n1000\|ann\@example\.com\|ann\@example\.com\nERROR:  jwt_auth cannot be loaded during a parallel operation/,
	'workers do not load the library themselves');

# Two-phase commit: what was signed in for the transaction does not come along
says('', qq{
	BEGIN;
	SET LOCAL jwt_auth.token = '$token';
	SELECT auth.email();
	PREPARE TRANSACTION 'a';
	SELECT coalesce(auth.email(), 'nobody');
	BEGIN;
	SELECT auth.authenticate('$token') ->> 'email';
	PREPARE TRANSACTION 'b';
	SELECT coalesce(auth.email(), 'nobody');
	COMMIT PREPARED 'a';
	COMMIT PREPARED 'b';
	SELECT coalesce(auth.email(), 'nobody')}, qr/ann\@example\.com\nnobody\nann\@example\.com\nnobody\nnobody/, 'two-phase commit');

# Somebody else ends the session, and disables the user
sub meanwhile
{
	my ($sql) = @_;
	return qq{
		BEGIN ISOLATION LEVEL REPEATABLE READ;
		SELECT auth.email();
		\\! psql -X -q -d "$other" -c "$sql"
		SELECT auth.email();
		COMMIT;
		SELECT auth.email();
		$parallel};
}

my $refused = qr/(ERROR:  session of the token has ended\nDETAIL:  reason: session_ended\n?(CONTEXT:.*\n?)?){3}/;

says($token, meanwhile("DO 'BEGIN PERFORM auth.revoke_sessions(id) FROM auth.users; END'"),
	qr/ann\@example\.com\n$refused/, 'a session that has ended is refused from the next statement on');
says($token, 'SELECT auth.email()', qr/ERROR:  session of the token has ended\nDETAIL:  reason: session_ended/, 'and on a new connection');

$token = login();
like(ask($token, meanwhile("UPDATE auth.users SET is_active = false")),
	qr/\A\s*ann\@example\.com\nERROR:  user of the token is gone or disabled/, 'so is a user who is disabled');
$node->safe_psql('postgres', 'UPDATE auth.users SET is_active = true');

# The same with a key that is revoked
like(ask($token, meanwhile("DO 'BEGIN PERFORM auth.revoke_key(kid) FROM auth.key_status WHERE purpose = ''access'' AND state = ''active''; END'")),
	qr/\A\s*ann\@example\.com\nERROR:  token names no known key/, 'and a token whose key is revoked');

#
# The library preloaded
#

$node->append_conf('postgresql.conf', "shared_preload_libraries = 'jwt_auth'\n");
$node->restart;
$token = login();
says($token, 'SHOW jwt_auth.token; SELECT auth.email(); SELECT reset_val FROM pg_settings WHERE name = $$jwt_auth.token$$',
	qr/\*\*\*\nann\@example\.com/, 'preloaded, it is never shown');
says('x', 'SELECT 1; SELECT auth.email()', qr/1\nERROR:  token is malformed\nDETAIL:  reason: malformed/, 'preloaded, one that is no good lets connect');
says($token, $inside, qr/1000\|ann\@example\.com\|ann\@example\.com/, 'preloaded, workers see it');

my ($signature) = $token =~ /\.([^.]+)\z/;
unlike(slurp_file($node->logfile), qr/\Q$signature\E/, 'the log has no token that came in the options');

done_testing();
