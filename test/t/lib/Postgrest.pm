# What the tests with a real PostgREST share.
package Postgrest;

use strict;
use warnings;

use Exporter qw(import);
use HTTP::Tiny;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

our @EXPORT_OK = qw(start_postgrest wait_until);

# Calls $done until it is true, for as long as any test may wait.
sub wait_until
{
	my ($done) = @_;

	foreach (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		return 1 if $done->();
		sleep 0.1;
	}
	return 0;
}

# Starts PostgREST before $node with what create_api() returned, and waits until
# it is ready: the process, which the caller has to kill, and the API's address.
sub start_postgrest
{
	my ($node, $conf, $log) = @_;
	my $binary = $ENV{POSTGREST} || qx(test/postgrest);
	my ($port, $admin_port) = map { PostgreSQL::Test::Cluster::get_free_port() } 1 .. 2;
	my $conf_file = PostgreSQL::Test::Utils::tempdir() . '/postgrest.conf';
	my $process;

	chomp $binary;
	append_to_file($conf_file, <<"CONF");
$conf
db-uri = "postgresql:///postgres?host=${\$node->host}&port=${\$node->port}&user=authenticator"
server-host = "127.0.0.1"
server-port = $port
admin-server-port = $admin_port
CONF
	$process = IPC::Run::start([ $binary, $conf_file ], '<', \undef, '>&', $log);
	unless (wait_until(sub { HTTP::Tiny->new->get("http://127.0.0.1:$admin_port/ready")->{success} }))
	{
		$process->kill_kill;
		BAIL_OUT('PostgREST did not get ready: ' . slurp_file($log));
	}
	return ($process, "http://127.0.0.1:$port");
}

1;
