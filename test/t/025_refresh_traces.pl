# A hundred thousand refresh tokens: no two alike, and none of them to be found
# afterwards, neither in a table nor in the WAL, the log, pg_stat_activity or
# pg_stat_statements.  It takes a server's own files to show that.
#
# TOKENS=n makes another number of them.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $tokens = $ENV{TOKENS} // 100_000;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', <<'CONF');
shared_preload_libraries = 'pg_stat_statements'
log_statement = none
log_error_verbosity = verbose
jwt_auth.bcrypt_cost = 4
wal_keep_size = 1GB
CONF
$node->start;
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION jwt_auth CASCADE;
CREATE EXTENSION pg_stat_statements;
SELECT auth.register('ann@example.com', 'correct horse');
SQL

# In one session, since a temporary table leaves nothing in the WAL.  The tokens
# that are looked for come from all over the run.
my ($differ, $jtis, @searched) = split /\n/, $node->safe_psql('postgres', <<"SQL");
SET client_min_messages = warning;
CREATE TEMP TABLE handed (n int, token text);
DO \$\$
DECLARE
	token text := auth.login('ann\@example.com', 'correct horse') ->> 'refresh_token';
BEGIN
	FOR i IN 1 .. $tokens LOOP
		INSERT INTO handed VALUES (i, token);
		token := (auth.rotate_refresh_token(token)).refresh_token;
		COMMIT;
	END LOOP;
END
\$\$;
SELECT count(DISTINCT split_part(token, '.', 3)) FROM handed;
SELECT count(DISTINCT (auth.jwt_decode(token)).payload ->> 'jti') FROM handed;
SELECT token FROM handed WHERE n % ($tokens / 20) = 1;
SQL

is($differ, $tokens, 'every token has a signature of its own');
is($jtis, $tokens, '... and a jti');

# Given to statements as literals, as careless clients do, and refused for some reason or another
my ($one, $two) = @searched;
my $forged = $one =~ s/.{6}$/AAAAAA/r;
$node->safe_psql('postgres', "SELECT auth.refresh('$one'), auth.rotate_refresh_token('$two'), auth.revoke_refresh_token('$one'), auth.introspect('$one')");
$node->safe_psql('postgres', "SELECT auth.refresh('$forged'), auth.rotate_refresh_token('$forged')");
$node->safe_psql('postgres', 'CHECKPOINT');

# The signature is what makes a token; its claims are in the table.
my @signatures = map { (split /\./)[2] } @searched, $forged;
cmp_ok(scalar @signatures, '>', 20, 'tokens are looked for');
$node->safe_psql('postgres', "CREATE TABLE leak AS SELECT '$signatures[-1]x'::text AS token");

sub files_with
{
	my ($what, @files) = @_;

	return grep { slurp_file($_) =~ $what } @files;
}

my @wal = grep { /[0-9A-F]{24}$/ } glob $node->data_dir . '/pg_wal/*';
my $relation = $node->safe_psql('postgres', 'CHECKPOINT; SELECT pg_relation_filepath($$leak$$)');
ok(scalar files_with(qr/\Q$signatures[-1]\Ex/, @wal), 'what is in the WAL is found there');
ok(scalar files_with(qr/\Q$signatures[-1]\Ex/, $node->data_dir . "/$relation"), '... and so is what is in a table');
pop @signatures;
my $pattern = join '|', map { quotemeta } @signatures;

is(join(' ', files_with(qr/$pattern/, @wal)), '', 'no token is in the WAL');
my @tables = map { $node->data_dir . "/$_" } split /\n/, $node->safe_psql('postgres',
	"SELECT pg_relation_filepath(oid) FROM pg_class WHERE relnamespace = 'auth'::regnamespace AND relkind IN ('r', 'i')");
is(join(' ', files_with(qr/$pattern/, grep { -e } @tables)), '', '... nor in a table');
unlike(slurp_file($node->logfile), qr/$pattern/, '... nor in the log');
my $statements = $node->safe_psql('postgres', 'SELECT query FROM pg_stat_statements');
like($statements, qr/rotate_refresh_token/, 'statements are counted');
unlike($statements, qr/$pattern/, '... without a token');
like($node->safe_psql('postgres', "SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid()"), qr/^SELECT query/, 'pg_stat_activity has what the caller wrote, no more');

done_testing();
