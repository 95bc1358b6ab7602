# Three bad nights, by the book: runs the commands of docs/incident.md as they stand
# there, each in the situation that it is meant for.  That takes clusters, dumps
# and files.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $login = "auth.login('ann\@example.com', 'correct horse')";
my $directory = PostgreSQL::Test::Utils::tempdir();

#
# The document: a section's title and the sql blocks in it that nobody has run yet
#

my %blocks;

sub read_document
{
	my ($section, $block);

	foreach my $line (split /^/, slurp_file('docs/incident.md'))
	{
		if (defined $block)
		{
			if ($line =~ /^\s*```$/)
			{
				push @{ $blocks{$section} }, $block;
				undef $block;
			}
			else
			{
				$block .= $line;
			}
		}
		elsif ($line =~ /^\s*```sql$/)
		{
			$block = '';
		}
		elsif ($line =~ /^## (.*)$/)
		{
			$section = $1;
		}
	}
}

# Runs the next command of a section in psql, with these variables, and returns what
# it prints
sub follow
{
	my ($node, $section, %variables) = @_;
	my $block = shift @{ $blocks{$section} } // die "docs/incident.md has no more commands in \"$section\"";

	return $node->safe_psql('postgres', $block,
		extra_params => [ map { ('-v', "$_=$variables{$_}") } sort keys %variables ]);
}

#
# A server with a user who is signed in
#

sub new_node
{
	my ($name, $file) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init;
	$node->append_conf('postgresql.conf', <<"CONF");
log_statement = none
jwt_auth.bcrypt_cost = 4
jwt_auth.master_key_file = '$file'
jwt_auth.previous_master_key_file = ''
CONF
	$node->start;
	return $node;
}

sub install
{
	my ($node) = @_;

	$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION jwt_auth CASCADE;
SELECT auth.register('ann@example.com', 'correct horse'), auth.register('eve@example.com', 'correct horse');
SQL
}

# Signs Ann in: her access token and her refresh token
sub sign_in
{
	my ($node) = @_;

	return split /\|/, $node->safe_psql('postgres', "SELECT r ->> 'access_token', r ->> 'refresh_token' FROM $login r");
}

sub active_kid
{
	my ($node) = @_;

	return $node->safe_psql('postgres', "SELECT kid FROM auth.key_status WHERE purpose = 'access' AND state = 'active'");
}

# What becomes of a call: "ok", an error object's code, or the error's reason or message
sub outcome
{
	my ($node, $call) = @_;
	my ($code, $stdout, $stderr) = $node->psql('postgres', "SELECT coalesce($call ->> 'error_code', 'ok')");

	return $stdout if $code == 0;
	return $stderr =~ /reason: (\w+)/ ? $1 : $stderr;
}

sub verified
{
	my ($node, $token) = @_;

	return outcome($node, "auth.jwt_verify('$token')");
}

sub refreshed
{
	my ($node, $token) = @_;

	return outcome($node, "auth.refresh('$token')");
}

read_document();

#
# A signing key has leaked
#

my $section = 'A signing key has leaked';
my $file = "$directory/leaked.key";
my $node = new_node('leaked', $file);
install($node);

# Whoever has the key signs as anybody.
my $stolen = $node->safe_psql('postgres', "SELECT auth.jwk_generate('ES256', 'stolen')");
$node->safe_psql('postgres', "SELECT auth.create_key('EdDSA'); SELECT auth.import_key('$stolen')");
$node->safe_psql('postgres', "UPDATE auth.keys SET activates_at = activates_at - interval '11 s',
	superseded_at = superseded_at - interval '11 s' WHERE purpose = 'access' AND superseded_at IS NOT NULL");
$node->safe_psql('postgres', "UPDATE auth.keys SET activates_at = activates_at - interval '11 s' WHERE kid = 'stolen'");
my ($access, $refresh) = sign_in($node);
my $forged = $node->safe_psql('postgres',
	"SELECT auth.jwt_sign('{\"sub\": \"00000000-0000-0000-0000-000000000001\", \"type\": \"access\", \"exp\": 9999999999}', '$stolen'::jsonb)");
is(verified($node, $forged), 'ok', 'a forged token passes');
like(follow($node, $section), qr/^stolen\|access\|ES256\|active/m, 'which key it is');

my $successor = follow($node, $section, leaked => 'stolen');
is($successor, active_kid($node), 'revoke_key returns the successor');
is(verified($node, $forged), 'unknown_kid', 'the forged token passes no more');
is(verified($node, $access), 'unknown_kid', 'nor does a good one of that key');
is(refreshed($node, $refresh), 'ok', '... whose owner refreshes, and stays signed in');

($access, $refresh) = sign_in($node);
my $refresh_kid = $node->safe_psql('postgres', "SELECT kid FROM auth.key_status WHERE purpose = 'refresh'");
$node->safe_psql('postgres', "SELECT auth.revoke_key('$refresh_kid')");
is(refreshed($node, $refresh), 'bad_refresh_token', 'revoking a refresh key signs out');
is(verified($node, $access), 'ok', '... when the access token ends');

($access, $refresh) = sign_in($node);
# an open transaction holds it up, until that is ended
my $holder = $node->background_psql('postgres', on_error_stop => 0);
$holder->query('BEGIN; SELECT FROM auth.refresh_tokens FOR UPDATE');
my $revoker = $node->background_psql('postgres');
$revoker->query_until(qr/begun/, "\\echo begun\n" . shift(@{ $blocks{$section} }) . "\n");
$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE '%revoke_all%' AND wait_event_type = 'Lock'");
is(follow($node, $section), 't', 'whoever holds revoke_all up is ended');
like($revoker->query('SELECT 1'), qr/"keys_revoked": \d+/, 'revoke_all');
$revoker->quit;
is(verified($node, $access), 'unknown_kid', 'no access token of before is good');
is(refreshed($node, $refresh), 'bad_refresh_token', 'nor a refresh token');

my $old_file = slurp_file($file);
$node->adjust_conf('postgresql.conf', 'jwt_auth.master_key_file', "'$file.new'");
$node->adjust_conf('postgresql.conf', 'jwt_auth.previous_master_key_file', "'$file'");
$node->restart;
is(follow($node, $section), '2', 'rewrap_keys');
isnt(slurp_file("$file.new"), $old_file, '... under another master key');
unlink $file;
$node->adjust_conf('postgresql.conf', 'jwt_auth.previous_master_key_file', "''");
$node->restart;
is(outcome($node, $login), 'ok', '... and the old file is not needed any more');
like(follow($node, $section), qr/^access\|active\|1\naccess\|revoked\|\d+\nrefresh\|active\|1\nrefresh\|revoked\|2$/, 'that is how it should look');
$node->stop;

#
# Last night's backup has been restored
#

$section = "Last night's backup has been restored";
$file = "$directory/restored.key";
$node = new_node('today', $file);
install($node);
my ($night_access, $night_refresh) = sign_in($node);
my (undef, $stolen_refresh) = sign_in($node);
my $night_kid = active_kid($node);
my $dump = "$PostgreSQL::Test::Utils::tmp_check/night.dump";
$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, 'postgres' ], "last night's backup");

# The day after: a key is revoked, Ann signs out, Eve is thrown out, a token is used
$node->safe_psql('postgres', "SELECT auth.revoke_key('$night_kid'); SELECT auth.refresh('$stolen_refresh');
	SELECT auth.set_active(id, false) FROM auth.users WHERE email = 'eve\@example.com'");
$node->safe_psql('postgres', "BEGIN; SELECT auth.authenticate(auth.refresh('$night_refresh') ->> 'access_token'); SELECT auth.logout(); COMMIT");
is(verified($node, $night_access), 'unknown_kid', 'today it is refused');
is(refreshed($node, $night_refresh), 'session_not_found', '... the session as well');
$node->stop;

my $restored = new_node('restored', $file);
$restored->command_ok([ 'pg_restore', '--exit-on-error', '-d', 'postgres', $dump ], 'restore');
is(verified($restored, $night_access), 'ok', 'it is all back: a token of the revoked key');
is($restored->safe_psql('postgres', "BEGIN; SELECT auth.refresh('$night_refresh') ->> 'token_type'; ROLLBACK"), 'bearer', '... a session that had ended');
is($restored->safe_psql('postgres', "BEGIN; SELECT auth.refresh('$stolen_refresh') ->> 'token_type'; ROLLBACK"), 'bearer', '... a refresh token that was used');

like(follow($restored, $section), qr/"sessions_ended": 2/, 'revoke_all');
is(verified($restored, $night_access), 'unknown_kid', 'the key is gone again');
is(refreshed($restored, $_), 'bad_refresh_token', '... and so are the sessions') foreach $night_refresh, $stolen_refresh;
follow($restored, $section, disabled => 'eve@example.com');
is(outcome($restored, "auth.login('eve\@example.com', 'correct horse')"), 'user_banned', 'who was thrown out stays out');
my $left = follow($restored, $section);
like($left, qr/^0\n/, 'no session is left');
unlike($left, qr/\Q$night_kid\E/, '... nor a key of before');
is(outcome($restored, $login), 'ok', 'Ann signs in again');
$restored->stop;

#
# The master key file is lost
#

$section = 'The master key file is lost';
$file = "$directory/lost.key";
$node = new_node('lost', $file);
install($node);
my $partner = $node->safe_psql('postgres', "SELECT auth.jwk_generate('ES256', 'partner')");
$node->safe_psql('postgres', "SELECT auth.import_key(auth.jwk_public('$partner'), activate => false)");
($access, $refresh) = sign_in($node);
rename $file, "$file.copy";
is(verified($node, $access), 'ok', 'access tokens go on verifying');
like(outcome($node, $login), qr/master key file "\Q$file\E" does not exist/, 'nobody can log in');
like(refreshed($node, $refresh), qr/master key file "\Q$file\E" does not exist/, '... nor refresh');

rename "$file.copy", $file;
is(follow($node, $section), 't', 'the file is found, and all is as before');
is(refreshed($node, $refresh), 'ok', '... the sessions too');

unlink $file;
follow($node, $section);
is(follow($node, $section), 't', 'revoke_all starts afresh without it');
is((stat $file)[2] & 07777, 0600, '... with a new file');
is(outcome($node, $login), 'ok', 'Ann signs in again');
is(verified($node, $access), 'unknown_kid', 'tokens of before are refused');
my $import = "SELECT auth.import_key(auth.jwk_public('$partner') || jsonb_build_object('kid', '%s'), activate => false)";
my (undef, undef, $taken) = $node->psql('postgres', sprintf($import, 'partner'));
like($taken, qr/already has a key with this kid/, 'the kid of an import is taken for a while');
is($node->safe_psql('postgres', sprintf($import, 'partner 2')), 'partner 2', '... another one is not');

is_deeply([ map { @$_ } values %blocks ], [], 'every command of the document has been tried');

done_testing();
