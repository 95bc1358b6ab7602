# The mailer of docs/messages.md, run as it stands there, against an SMTP server
# that also fails: password reset through PostgREST, a recipient who is refused, a
# server that is down, a mailer that is killed while it sends, and two at once.
use strict;
use warnings;

use FindBin;
use HTTP::Tiny;
use IO::Socket::INET;
use IPC::Run;
use JSON::PP;
use lib "$FindBin::RealBin/lib";
use MIME::QuotedPrint qw(decode_qp);
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Postgrest qw(start_postgrest wait_until);
use Test::More;

my $scratch = $PostgreSQL::Test::Utils::tmp_check;
my $inbox = "$scratch/inbox";
my ($smtp, $postgrest, $api, @mailers);

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "log_statement = none\njwt_auth.bcrypt_cost = 4\njwt_auth.message_interval = 0\n");
$node->start;

sub sql
{
	return $node->safe_psql('postgres', $_[0]);
}

# Nobody outlives the test.
END
{
	my $status = $?;

	$_->kill_kill foreach grep { defined } $postgrest, @mailers;
	kill 'KILL', $smtp if $smtp;
	$? = $status;
}

#
# A mail server: what it takes is appended to the inbox.  It refuses whoever is
# called nobody, and never answers to the mail for slow.
#

sub serve
{
	my ($client) = @_;
	my ($to, $mail) = ('', '');

	print $client "220 sink\r\n";
	while (my $line = <$client>)
	{
		$to = $1 if $line =~ /^RCPT TO:<(.*)>/i;
		if ($line =~ /^RCPT TO:<nobody@/i)
		{
			print $client "550 no such user\r\n";
		}
		elsif ($line =~ /^DATA/i)
		{
			print $client "354 go on\r\n";
			while (defined($line = <$client>) && $line ne ".\r\n") { $mail .= $line }
			$mail =~ s/\r\n/\n/g;
			append_to_file($inbox, encode_json({ to => $to, mail => decode_qp($mail) }) . "\n");
			sleep 1 while $to =~ /^slow@/ && !-e "$scratch/enough";
			print $client "250 ok\r\n";
		}
		elsif ($line =~ /^QUIT/i)
		{
			print $client "221 bye\r\n";
			last;
		}
		else
		{
			print $client "250 ok\r\n";
		}
	}
	close $client;
}

my $smtp_port = PostgreSQL::Test::Cluster::get_free_port();

sub start_smtp
{
	my $server = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $smtp_port, Listen => 10, ReuseAddr => 1)
	  or die "port $smtp_port: $!";

	$smtp = fork // die "fork: $!";
	return close $server if $smtp;
	$SIG{CHLD} = 'IGNORE';
	while (my $client = $server->accept)
	{
		next if fork;
		serve($client);
		POSIX::_exit(0);
	}
	POSIX::_exit(0);
}

sub stop_smtp
{
	kill 'KILL', $smtp;
	waitpid $smtp, 0;
	undef $smtp;
}

# All mail that has come to this address
sub mail_to
{
	my ($address) = @_;

	return grep { $_->{to} eq $address } map { decode_json($_) } split /\n/, -e $inbox ? slurp_file($inbox) : '';
}

# Waits for it: the text of the newest
sub newest_to
{
	my ($address, $count) = @_;

	wait_until(sub { mail_to($address) >= $count })
	  or BAIL_OUT("no mail to $address: " . slurp_file("$scratch/mailer.log"));
	return (mail_to($address))[-1]{mail};
}

my ($program) = slurp_file('docs/messages.md') =~ /^```python\n(.*?)^```$/ms;
append_to_file("$scratch/mailer.py", $program);
cmp_ok(scalar(grep { /\S/ } split /\n/, $program), '<', 35, 'the mailer is short');

sub start_mailer
{
	local %ENV = (%ENV, PGHOST => $node->host, PGPORT => $node->port, PGDATABASE => 'postgres', PGUSER => 'mailer',
		SMTP_HOST => '127.0.0.1', SMTP_PORT => $smtp_port);
	my $process = IPC::Run::start([ '/usr/bin/python3', "$scratch/mailer.py" ], '<', \undef, '>&', "$scratch/mailer.log");

	push @mailers, $process;
	return $process;
}

sub stop_mailer
{
	my ($process) = @_;

	$process->kill_kill;
	@mailers = grep { $_ != $process } @mailers;
}

sub post
{
	my ($endpoint, %arguments) = @_;
	my $answer = HTTP::Tiny->new->post("$api/rpc/$endpoint", {
		headers => { 'Content-Type' => 'application/json' }, content => encode_json(\%arguments) });

	return ($answer->{status}, decode_json($answer->{content}));
}

sub no_mailer
{
	return sql(q{SELECT count(*) FROM pg_stat_activity WHERE usename = 'mailer'}) eq '0';
}

my $waiting = 'SELECT count(*) FROM auth.outbox';

#
# A password reset, from the request to the login
#

sql(q{CREATE EXTENSION jwt_auth CASCADE;
	CREATE ROLE mailer LOGIN;
	SELECT auth.grant_access('mailer', 'mailer');
	SELECT auth.register('ann@example.com', 'correct horse')});
($postgrest, $api) = start_postgrest($node, sql('SELECT auth.create_api()'), "$scratch/postgrest.log");
start_smtp();
my $mailer = start_mailer();

is_deeply([ post('request_password_reset', email => 'Ann@example.com') ], [ 200, {} ], 'a reset is requested');
is_deeply([ post('request_password_reset', email => 'eve@example.com') ], [ 200, {} ], '... and one for who is not there');
my ($token) = newest_to('ann@example.com', 1) =~ m,^https://app\.example/password_reset#token=([\w-]{43})$,m;
ok($token, 'a link comes by mail');
my ($status, $answer) = post('reset_password', token => $token, new_password => 'short');
is("$status $answer->{error_code}", '400 weak_password', 'a password that is too weak is refused');
($status, $answer) = post('reset_password', token => $token, new_password => 'battery staple');
is("$status $answer->{email}", '200 ann@example.com', '... but the link works again, with a better one');
($status, $answer) = post('reset_password', token => $token, new_password => 'battery staple');
is("$status $answer->{error_code}", '403 otp_expired', '... and not any more');
($status, $answer) = post('login', email => 'ann@example.com', password => 'battery staple');
is("$status $answer->{token_type}", '200 bearer', 'the new password works');
($status, $answer) = post('login', email => 'ann@example.com', password => 'correct horse');
is("$status $answer->{error_code}", '401 invalid_credentials', 'the old one does not');
like(newest_to('ann@example.com', 2), qr/^Subject: Your password has been changed$/m, 'and its owner is told');

post('request_magic_link', email => 'ann@example.com');
($token) = newest_to('ann@example.com', 3) =~ m,magic_link#token=([\w-]{43})$,m;
($status, $answer) = post('login_with_magic_link', token => $token);
is("$status $answer->{token_type}", '200 bearer', 'a magic link signs in');
my $signed_in = HTTP::Tiny->new->post("$api/rpc/request_email_change", {
	headers => { 'Content-Type' => 'application/json', Authorization => "Bearer $answer->{access_token}" },
	content => '{"email": "anna@example.com"}' });
is("$signed_in->{status} $signed_in->{content}", '200 {}', 'a change of address is requested');
($token) = newest_to('anna@example.com', 1) =~ m,email_change#token=([\w-]{43})$,m;
like(newest_to('ann@example.com', 4), qr/^Subject: Somebody is changing the address/m, 'the old address gets a notice');
($status, $answer) = post('confirm_email', token => $token);
is("$status $answer->{email}", '200 anna@example.com', 'and the new one confirms');
($status) = post('request_email_change', email => 'mallory@example.com');
is($status, 401, 'nobody else can request one');
is(mail_to('eve@example.com'), 0, 'who is not there got nothing');

#
# What goes wrong
#

# An address that is refused for good does not stop the others.
sql(q{SELECT auth.invite_user('nobody@example.com'), auth.invite_user('bob@example.com')});
like(newest_to('bob@example.com', 1), qr/invitation#token=/, 'the next message is sent');
ok(wait_until(sub { sql($waiting) eq '0' }), 'one that is refused is dropped');
like(slurp_file("$scratch/mailer.log"), qr/^nobody can be reached there: [0-9a-f-]{36}$/m, '... and on record, without an address');

# The server is down.
stop_smtp();
sql(q{SELECT auth.invite_user('carol@example.com')});
ok(wait_until(sub { no_mailer() }), 'without a mail server the mailer ends');
stop_mailer($mailer);
is(sql($waiting), '1', '... and the message is in the outbox');
start_smtp();
$mailer = start_mailer();
like(newest_to('carol@example.com', 1), qr/invitation#token=/, 'a new one sends it');
is(sql('SELECT count(*) FROM auth.one_time_tokens'), '3', '... with a token that is still good');

# The mailer is killed after the server has the mail and before it has said so.
sql(q{SELECT auth.invite_user('slow@example.com')});
newest_to('slow@example.com', 1);
stop_mailer($mailer);
ok(wait_until(sub { no_mailer() }), 'the mailer is killed');
is(sql($waiting), '1', '... and the message is in the outbox');
append_to_file("$scratch/enough", '');
$mailer = start_mailer();
my $second = newest_to('slow@example.com', 2);
my ($first, $again) = map { $_->{mail} =~ /#token=([\w-]{43})/ } mail_to('slow@example.com');
is($again, $first, 'it is sent twice, with the same token');
is( sql("SELECT auth.accept_invitation('$first', 'correct horse') ->> 'email', auth.accept_invitation('$first', 'correct horse') ->> 'error_code'"),
	'slow@example.com|otp_expired', '... which works once');

# Two of them
my $other = start_mailer();
sql(q{SELECT count(auth.invite_user('guest' || n || '@example.com')) FROM generate_series(1, 40) n});
ok(wait_until(sub { sql($waiting) eq '0' }), 'two mailers send everything');
my %sent;
$sent{ $_->{to} }++ foreach map { decode_json($_) } split /\n/, slurp_file($inbox);
is_deeply([ map { $sent{"guest$_\@example.com"} } 1 .. 40 ], [ (1) x 40 ], '... each message once');

unlike(slurp_file($node->logfile), qr/\Q$first\E|\Q$token\E|example\.com/, 'no token and no address is in the log');

done_testing();
