# The notes application of docs/examples/notes in real browsers: cookies, what
# JavaScript can read, and how a page finds out that its session has ended are the
# browser's to decide.

use strict;
use warnings;

use FindBin;
use JSON::PP;
use lib "$FindBin::RealBin/lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Postgrest qw(start_postgrest);
use Test::More;

plan skip_all => 'INTEROP=none: without the libraries of others' if ($ENV{INTEROP} // '') eq 'none';

my $libraries = $ENV{INTEROP} || qx(test/interop/libraries);
my $node = PostgreSQL::Test::Cluster->new('main');
my $postgrest;

chomp $libraries;

END
{
	my $status = $?;

	$postgrest->kill_kill if $postgrest;
	$? = $status;
}

$node->init;
$node->append_conf('postgresql.conf', <<'CONF');
jwt_auth.issuer = 'https://notes.example'
jwt_auth.bcrypt_cost = 4
jwt_auth.access_token_lifetime = 4s
jwt_auth.refresh_reuse_grace = 0
CONF
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION jwt_auth CASCADE');
my $conf = $node->safe_psql('postgres', 'SELECT auth.create_api()');

command_ok([ 'sh', '-c', 'cd docs/examples/notes && psql -X -q -f notes.sql "$0"', $node->connstr('postgres') ], 'the application is installed');
($postgrest, my $api) = start_postgrest($node, $conf, "$PostgreSQL::Test::Utils::tmp_check/notes_postgrest.log");

# What a sanitizer wants loaded into servers, browsers cannot bear.
delete local $ENV{LD_PRELOAD};
my ($out, $err);
ok(IPC::Run::run([ 'node', 'test/interop/notes.mjs', $libraries, $api ], '<', \undef, '>', \$out, '2>', \$err,
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default)), 'the browsers come to an end')
  or diag($err);
foreach my $check (map { decode_json($_) } split /\n/, $out)
{
	ok($check->{ok}, $check->{name}) or diag(encode_json($check));
}
done_testing();
