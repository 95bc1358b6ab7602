# The master key file: dumps restored with it, with another one and without, what
# each state of the file does to each function, and moving to a new one, with a
# message waiting all the time.  The file is the server's, and a dump needs another
# database.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $directory = PostgreSQL::Test::Utils::tempdir();
my $file = "$directory/master.key";
my $ann = "'ann\@example.com', 'correct horse'";

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', <<"CONF");
log_statement = none
synchronous_commit = off
wal_writer_delay = 10s
jwt_auth.bcrypt_cost = 4
jwt_auth.master_key_file = '$file'
jwt_auth.previous_master_key_file = ''
CONF
$node->start;

# Runs a query, in $database where it is set: its result, or the error and its hint
my $database = 'postgres';

sub try
{
	my ($query) = @_;
	my ($code, $stdout, $stderr) = $node->psql($database, $query);

	$stderr =~ s/^psql:<stdin>:\d+: //mg;
	$stderr =~ s/^CONTEXT:.*//ms;
	chomp $stderr;
	return $code == 0 ? $stdout : $stderr;
}

sub sql
{
	return $node->safe_psql($database, $_[0]);
}

# A file with this content instead of what is there
sub write_key
{
	my ($path, $content, $mode) = @_;

	unlink $path;
	append_to_file($path, $content);
	chmod $mode // 0600, $path;
}

# Changes settings, which count from the next session on.
sub set
{
	my (%settings) = @_;

	$node->adjust_conf('postgresql.conf', "jwt_auth.$_", "'$settings{$_}'") foreach sort keys %settings;
	$node->reload;
	is_set(%settings);
}

# Waits until new sessions have these settings.
sub is_set
{
	my (%settings) = @_;

	foreach my $name (sort keys %settings)
	{
		$node->poll_query_until('postgres', "SELECT auth._setting('$name') = '$settings{$name}'")
		  or BAIL_OUT("$name is not set");
	}
}

#
# A ring, and a dump of it
#

sql("CREATE EXTENSION jwt_auth CASCADE; SELECT auth.register($ann)");
my ($access, $refresh) = split /\|/, sql("SELECT r ->> 'access_token', r ->> 'refresh_token' FROM auth.login($ann) r");
sql("SELECT auth.request_password_reset('ann\@example.com')");
my $access_kid = sql("SELECT kid FROM auth.key_status WHERE purpose = 'access'");
my $right = slurp_file($file);
my $other = ('5a' x 32) . "\n";
is((stat $file)[2] & 07777, 0600, 'the master key is private');
my $dump = "$PostgreSQL::Test::Utils::tmp_check/ring.dump";
$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, 'postgres' ], 'dump');

#
# Each state of the file, and what can be done in it: where nothing is said, it works.
# A public key in clear needs no master key; revoke_all starts afresh without one.
#

my $missing = qr/^ERROR:  master key file "\Q$file\E" does not exist\nHINT:  .*Put it back/;
my $wrong = qr/^ERROR:  master key file "\Q$file\E" is not the one that the keys are wrapped under\nHINT:  Put the right file back/;
my $unsafe = qr/^ERROR:  master key file "\Q$file\E" is not a private file\nHINT:  It must belong to the server's user with mode 0600/;
my $damaged = qr/^ERROR:  master key file "\Q$file\E" is damaged\nHINT:  It must hold 64 hexadecimal digits/;
my %states = (
	right => [ sub { write_key($file, $right) }, undef, undef ],
	'right, without newline' => [ sub { write_key($file, substr($right, 0, 64)) }, undef, undef ],
	'right, in capitals' => [ sub { write_key($file, uc $right) }, undef, undef ],
	missing => [ sub { unlink $file }, $missing, $missing ],
	wrong => [ sub { write_key($file, $other) }, $wrong, undef ],
	truncated => [ sub { write_key($file, substr($right, 0, 40)) }, $damaged, $damaged ],
	empty => [ sub { write_key($file, '') }, $damaged, $damaged ],
	'too long' => [ sub { write_key($file, "$right\n") }, $damaged, $damaged ],
	'not hexadecimal' => [ sub { write_key($file, 'g' x 64) }, $damaged, $damaged ],
	'for the group' => [ sub { write_key($file, $right, 0640) }, $unsafe, $unsafe ],
	'for the world' => [ sub { write_key($file, $right, 0604) }, $unsafe, $unsafe ],
	'a directory' => [ sub { unlink $file; mkdir $file, 0700 }, $unsafe, $unsafe ]);
my %unwraps = (
	'signing' => "SELECT auth.jwt_sign('{}')",
	'login' => "SELECT auth.login($ann)",
	'refresh' => "SELECT auth.refresh('$refresh')",
	'taking messages' => 'SELECT auth.take_messages()',
	'rewrapping' => 'SELECT auth.rewrap_keys()');
my %wraps = (
	'create_key' => 'SELECT auth.create_key()',
	'rotate_key' => "SELECT auth.rotate_key('refresh')",
	'import_key' => "SELECT auth.import_key(auth.jwk_generate('ES256'))",
	'import_secret' => "SELECT auth.import_secret('a secret of thirty-two characters')",
	'revoke_key' => "SELECT auth.revoke_key('$access_kid')",
	'requesting a message' => "SELECT auth.request_magic_link('ann\@example.com')");
my %needs_none = (
	'verifying' => "SELECT auth.jwt_verify('$access')",
	'authenticating' => "BEGIN; SELECT auth.authenticate('$access'); COMMIT",
	'jwks' => 'SELECT auth.jwks()',
	'a public key' => "SELECT auth.import_key(auth.jwk_public(auth.jwk_generate('ES256')), activate => false)");

sub check
{
	my ($state, $name, $query, $error) = @_;
	my $answer = try("BEGIN; $query; ROLLBACK");

	if ($error)
	{
		like($answer, $error, "$state: $name says so");
	}
	else
	{
		unlike($answer, qr/ERROR/, "$state: $name works");
	}
}

foreach my $state (sort keys %states)
{
	my ($make, $unwrap_error, $wrap_error) = @{ $states{$state} };

	rmdir $file;
	$make->();
	check($state, $_, $unwraps{$_}, $unwrap_error) foreach sort keys %unwraps;
	check($state, $_, $wraps{$_}, $wrap_error) foreach sort keys %wraps;
	check($state, $_, $needs_none{$_}, undef) foreach sort keys %needs_none;
}
rmdir $file;
is(try('SELECT count(*) FROM auth.keys'), '2', 'and nothing was left behind');
write_key($file, $right);

# A backend that has unwrapped a key keeps it.
my $session = $node->background_psql('postgres');
$session->query_safe("SELECT auth.jwt_sign('{}')");
unlink $file;
like($session->query_safe("SELECT auth.jwt_sign('{}')"), qr/^eyJ/, 'a key that is in use is in memory');
$session->quit;
like(try("SELECT auth.jwt_sign('{}')"), $missing, 'a new session has none');
write_key($file, $right);

#
# Restore: with the same file (002 has more of that), with another one, with none
#

sub restore
{
	$database = $_[0];
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->command_ok([ 'pg_restore', '--exit-on-error', '-d', $database, $dump ], "restore into $database");
}

restore('same');
is(try("SELECT auth.login($ann) ->> 'token_type'"), 'bearer', 'with the same file it goes on');

foreach my $state (qw(wrong missing))
{
	$states{$state}[0]->();
	restore($state);
	is(try("SELECT auth.jwt_verify('$access') ->> 'type'"), 'access', "$state: an access token verifies");
	like(try("SELECT auth.login($ann)"), $states{$state}[1], "$state: nobody can log in");
	my $counts = try("SELECT auth.revoke_all('master key file is $state')");
	is($counts, '{"keys_created": 2, "keys_revoked": 2, "sessions_ended": 1}', "$state: revoke_all starts afresh");
	is((stat $file)[2] & 07777, 0600, "$state: there is a private file");
	is(slurp_file($file) eq $other, $state eq 'wrong', "$state: a file that is there is kept");
	isnt(slurp_file($file), $right, "$state: it is not the one of before");
	is(try("SELECT auth.jwt_verify(auth.login($ann) ->> 'access_token') ->> 'type'"), 'access', "$state: login works again");
	like(try("SELECT auth.jwt_verify('$access')"), qr/token names no known key/, "$state: tokens of before are refused");
	is(try("SELECT auth.refresh('$refresh') ->> 'error_code'"), 'bad_refresh_token', "$state: sessions of before too");
	write_key($file, $right);
}

#
# A new master key file
#

$database = 'postgres';
my $new = "$directory/new.key";
my $wrapped = 'SELECT md5(string_agg(wrapped_key::text, $$ $$ ORDER BY kid)) FROM auth.keys';
my $before = sql($wrapped);
sql("SELECT auth.import_key(auth.jwk_public(auth.jwk_generate('ES256')), activate => false)");

set(master_key_file => $new);
like(try("SELECT auth.jwt_sign('{}')"), qr/master key file "\Q$new\E" does not exist/, 'a new name alone is of no use');
like(try('SELECT auth.rewrap_keys()'), qr/master key file "\Q$new\E" does not exist/, '... for rewrapping neither');
ok(!-e $new, '... and makes no file');
set(previous_master_key_file => $file);
like(try("SELECT auth.jwt_sign('{}')"), qr/^eyJ/, 'with the previous one named, signing goes on');
is(sql($wrapped), $before, '... as it was');

my $rolled_back = try('BEGIN; SELECT auth.rewrap_keys(); ROLLBACK');
is($rolled_back, '2', 'rewrap_keys rewraps what is wrapped');
is(sql($wrapped), $before, '... and rolls back');
is((stat $new)[2] & 07777, 0600, 'the new file is private');
rename $file, "$file.away";
like(try("SELECT auth.jwt_sign('{}')"), qr/master key file "\Q$new\E" is not the one that the keys are wrapped under/,
	'... so the old file is needed still');
like(try('SELECT auth.rewrap_keys()'), qr/is not the one that the keys are wrapped under/, '... for rewrapping above all');
is(sql($wrapped), $before, '... which leaves no key half done');
rename "$file.away", $file;
like(try("SELECT auth.import_secret('a secret of thirty-two characters', kid => 'between', activate => false)"),
	qr/^between$/, 'a key that comes in between');

is(try('SELECT auth.rewrap_keys()'), '3', 'rewrap_keys');
isnt(sql($wrapped), $before, '... has wrapped the keys anew');
is(sql("SELECT details FROM auth.audit_log WHERE event = 'keys_rewrapped'"), '{"keys": 3}', '... and is on record');
unlink $file;
set(previous_master_key_file => '');
# synchronous_commit is off: rewrap_keys itself sees to it that its commit survives
$node->stop('immediate');
$node->start;
like(try("SELECT auth.jwt_sign('{}')"), qr/^eyJ/, 'without the old file: signing');
is(try("SELECT auth.jwt_verify('$access') ->> 'type'"), 'access', '... tokens of before');
is(try("SELECT auth.refresh('$refresh') ->> 'token_type'"), 'bearer', '... sessions of before');
is(try("SELECT auth.jwt_verify(auth.jwt_sign('{\"exp\": 9999999999}', 'a secret of thirty-two characters')) ->> 'exp'"),
	'9999999999', '... and the key that came in between');
is(try('SELECT auth.rewrap_keys()'), '3', 'rewrapping again does no harm');

# The same by the book, to a third file
my $third = "$directory/third.key";
my @commands = slurp_file('docs/keys.md') =~ /^```sql\n(.*?)^```$/msg;
is(scalar @commands, 2, 'docs/keys.md says it in two steps');
s/'jwt_auth\.key'/'$new'/, s/'\/run\/secrets\/jwt_auth'/'$third'/ foreach @commands;
sql("SELECT auth.jwks(); $_") foreach split /;\n/, $commands[0];
is_set(master_key_file => $third, previous_master_key_file => $new);
$before = sql($wrapped);
sql("SELECT auth.jwks(); $_") foreach split /;\n/, $commands[1];
isnt(sql($wrapped), $before, 'the keys are wrapped anew');
is_set(previous_master_key_file => '');
unlink $new;
like(try("SELECT auth.jwt_sign('{}')"), qr/^eyJ/, 'and the old file is not needed');

# The message that has waited since is as good as a new one.
is(try("SELECT auth.reset_password(token, 'battery staple') ->> 'email' FROM auth.take_messages()"), 'ann@example.com',
	'the token of a message has moved along');

# Where there is no key, a message alone keeps a missing file from being made anew.
my $content = slurp_file($third);
$database = 'messages';
$node->safe_psql('postgres', "CREATE DATABASE $database");
sql("CREATE EXTENSION jwt_auth CASCADE; SELECT auth.register($ann)");
unlink $third;
is(try("BEGIN; SELECT auth.create_key() IS NOT NULL; ROLLBACK"), 't', 'while nothing is wrapped, a missing file is made');
sql("SELECT auth.request_password_reset('ann\@example.com')");
unlink $third;
like(try('SELECT auth.create_key()'), qr/master key file "\Q$third\E" does not exist/, 'with a message it is not');
like(try("SELECT auth.request_magic_link('ann\@example.com')"), qr/does not exist/, '... for another message neither');
is(try("SELECT auth.revoke_all('master key file lost'); SELECT auth.create_key() IS NOT NULL"),
	qq({"keys_created": 0, "keys_revoked": 0, "sessions_ended": 0}\nt), 'revoke_all takes the message back');
$database = 'postgres';
write_key($third, $content);

# Wrapped bytes belong to their row: moved to another one they are of no use.
like(try("UPDATE auth.keys k SET wrapped_key = (SELECT wrapped_key FROM auth.keys WHERE kid = 'between') WHERE kid = '$access_kid';
		  SELECT auth.jwt_sign('{}')"),
	qr/is not the one that the keys are wrapped under/, 'a wrapped key in another row is refused');

my $log = slurp_file($node->logfile);
foreach my $secret ($right, $other, slurp_file($third))
{
	unlike($log, qr/\Q${\substr($secret, 0, 20)}\E/i, 'no error shows what is in a file');
}

done_testing();
