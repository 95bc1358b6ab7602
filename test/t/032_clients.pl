# The code of docs/clients.md, as it stands there, with the real drivers and the
# real PostGraphile: whether it runs, and whether nobody gets past it, only they
# can say.
use strict;
use warnings;

use FindBin;
use HTTP::Tiny;
use IPC::Run;
use JSON::PP;
use lib "$FindBin::RealBin/lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Postgrest qw(wait_until);
use Test::More;

if (($ENV{INTEROP} // '') eq 'none')
{
	plan skip_all => 'this run is asked to do without other programs';
}

my $page = slurp_file('docs/clients.md');
my $scratch = PostgreSQL::Test::Utils::tempdir();
my $libraries = $ENV{INTEROP} || qx(test/interop/libraries);
my $postgraphile;
chomp $libraries;
$ENV{NODE_PATH} = "$libraries/node_modules";

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "log_statement = none\njwt_auth.bcrypt_cost = 4\n");
$node->start;

sub sql
{
	return $node->safe_psql('postgres', $_[0]);
}

END
{
	my $status = $?;

	$postgraphile->kill_kill if $postgraphile;
	$? = $status;
}

# The blocks of a language in a section of the page
sub blocks
{
	my ($section, $language) = @_;
	my ($text) = $page =~ /^## \Q$section\E\n(.*?)(?=^## |\z)/ms or BAIL_OUT("no section $section");

	return $text =~ /^```$language\n(.*?)^```/msg;
}

sub write_file
{
	my ($name, @text) = @_;

	append_to_file("$scratch/$name", join("\n", @text));
	return "$scratch/$name";
}

# Runs a program, and returns the JSON that it prints.
sub answer_of
{
	my ($stdout, $stderr);

	IPC::Run::run(\@_, '>', \$stdout, '2>', \$stderr) or BAIL_OUT("@_: $stderr");
	return decode_json($stdout);
}

sql('CREATE EXTENSION jwt_auth CASCADE');
my ($grants) = $page =~ /^```sql\n(.*?)^```/ms;
sql($grants);
sql(<<'SQL');
CREATE TABLE notes (owner uuid NOT NULL DEFAULT auth.uid(), body text);
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON notes USING (owner = auth.uid());
GRANT SELECT ON notes TO app;
SELECT auth.register(name || '@example.com', 'correct horse', name) FROM unnest('{ann,bob}'::text[]) name;
INSERT INTO notes SELECT id, username FROM auth.users;
SQL

#
# Drivers
#

my %expected = (
	notes => ['ann'], refreshed => JSON::PP::true, nobody => undef, refused => '28000', still => 1,
	wrong_password => 'invalid_credentials', wrong_token => 'bad_refresh_token');
my ($host, $port) = ($node->host, $node->port);
my $failures = "SELECT count(*) FROM auth.audit_log WHERE event = 'login_failed'";

my @python = blocks('psycopg', 'python');
my $script = write_file('clients.py', 'import json', $python[0],
	"connection = psycopg.connect('host=$host port=$port user=app dbname=postgres', autocommit=True)",
	$python[1], slurp_file('test/interop/clients.py'));
is_deeply(answer_of('/usr/bin/python3', $script), \%expected, 'psycopg');
is(sql($failures), '1', '... and the failed login counts');

my @node = blocks('node-postgres', 'js');
$script = write_file('clients.cjs', $node[0],
	"(async () => { const pool = new Pool({ host: '$host', port: $port, user: 'app', database: 'postgres' });",
	$node[1], slurp_file('test/interop/clients.js'), '})();');
is_deeply(answer_of('node', $script), \%expected, 'node-postgres');
is(sql($failures), '2', '... and the failed login counts');

#
# PostGraphile
#

my $conf = sql('SELECT auth.create_api()');
sql(<<'SQL');
CREATE ROLE editor;
GRANT editor TO authenticator;
GRANT USAGE ON SCHEMA api TO editor;
CREATE TABLE api.pages (id int PRIMARY KEY, owner uuid NOT NULL DEFAULT auth.uid(), body text);
ALTER TABLE api.pages ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON api.pages USING (owner = auth.uid());
CREATE POLICY every ON api.pages TO editor USING (true);
GRANT SELECT, INSERT ON api.pages TO anon, authenticated, editor;
INSERT INTO api.pages SELECT row_number() OVER (ORDER BY username), id, username FROM auth.users;
CREATE FUNCTION api.who() RETURNS text LANGUAGE sql STABLE AS $$ SELECT concat_ws(' ', current_user, auth.email()) $$;
GRANT EXECUTE ON FUNCTION api.who TO PUBLIC;
CREATE FUNCTION api.fail() RETURNS int LANGUAGE sql STABLE AS $$ SELECT 1 / count(*)::int FROM api.pages WHERE false $$;
GRANT EXECUTE ON FUNCTION api.fail TO PUBLIC;
SQL

# Starts the server of a section; $patch may change its code.  Returns its address.
sub start_postgraphile
{
	my ($section, $patch) = @_;
	my ($setup, $start) = blocks($section, 'js');
	my $http_port = PostgreSQL::Test::Cluster::get_free_port();

	$start =~ s,'postgres://.*?',`postgres:///postgres?host=$host&port=$port&user=authenticator`, or BAIL_OUT('no address to replace');
	$start =~ s/listen\(port\)/listen($http_port, '127.0.0.1')/ or BAIL_OUT('no port to replace');
	$_ = $setup;
	$patch->() if $patch;
	my $file = write_file("postgraphile$http_port.cjs", $_, $start);
	$postgraphile = IPC::Run::start([ 'node', $file ], '<', \undef, '>&', "$PostgreSQL::Test::Utils::tmp_check/postgraphile.log");
	my $url = "http://127.0.0.1:$http_port/graphql";
	wait_until(sub { HTTP::Tiny->new->get($url)->{status} == 405 }) or BAIL_OUT('PostGraphile did not get ready');
	return $url;
}

my $url = start_postgraphile('PostGraphile');

# Status, and the answer
sub graphql
{
	my ($query, $token) = @_;
	my %headers = ('Content-Type' => 'application/json');

	$headers{Authorization} = "Bearer $token" if defined $token;
	my $answer = HTTP::Tiny->new->post($url, { headers => \%headers, content => encode_json({ query => $query }) });
	return ($answer->{status}, decode_json($answer->{content}));
}

sub login
{
	my ($user, $password) = @_;

	return graphql(qq[mutation { login(input: {username: "$user", password: "$password"}) { json } }]);
}

# The answers of functions that return jsonb come as text.
sub tokens_of
{
	my ($answer) = @_;

	return decode_json($answer->{data}{login}{json});
}

my $read = '{ who allPages(orderBy: ID_ASC) { nodes { body } } }';
sub seen
{
	my ($status, $answer) = graphql($read, @_);

	return "$status " . join(' ', $answer->{data}{who} // 'nothing', map { $_->{body} } @{ $answer->{data}{allPages}{nodes} // [] });
}

is(seen(), '200 anon', 'PostGraphile: anonymous');
my ($status, $answer) = login('ann', 'correct horse');
my $ann = tokens_of($answer);
is(seen($ann->{access_token}), '200 authenticated ann@example.com ann', '... somebody');
my $bob = tokens_of((login('bob', 'correct horse'))[1]);
is(seen($bob->{access_token}), '200 authenticated bob@example.com bob', '... somebody else');
is(seen(), '200 anon', '... and nobody again');
sql("SELECT auth.set_user_role('$bob->{user}{id}', 'editor')");
$bob = tokens_of((login('bob', 'correct horse'))[1]);
is(seen($bob->{access_token}), '200 editor bob@example.com ann bob', '... the role that a token names');
($status, $answer) = graphql($read, "$ann->{access_token}x");
is("$status $answer->{errors}[0]{message}", '401 token is not strict base64url', '... a bad token is refused');
($status, $answer) = graphql(qq[mutation { createPage(input: {page: {id: 3, body: "new"}}) { page { body owner } } }], $ann->{access_token});
is($answer->{data}{createPage}{page}{owner}, $ann->{user}{id}, '... a row of one\'s own');
($status, $answer) = graphql(qq[mutation { createPage(input: {page: {id: 4, owner: "$bob->{user}{id}"}}) { page { body } } }], $ann->{access_token});
like($answer->{errors}[0]{message}, qr/row-level security/, '... and none for others');
($status, $answer) = graphql('mutation { logout(input: {}) { integer } }', $ann->{access_token});
is($answer->{data}{logout}{integer}, 3, '... logout, with the sessions of the drivers');
is((graphql($read, $ann->{access_token}))[0], 401, '... and the token is refused at once');

# A failed login counts, whatever is asked for in the same request.
my $guess = 'mutation { login(input: {username: "ann", password: "wrong"}) { json %s } %s }';
my $fails = 'query { fail }';
my $before = sql($failures);
login('ann', 'wrong');
graphql(sprintf($guess, '', 'b: createPage(input: {page: {id: 1}}) { page { body } }'));
is(sql($failures), $before + 2, 'failed logins count');
($status) = graphql(sprintf($guess, $fails, ''));
is($status, 400, 'a query in the answer is not possible');
is(sql($failures), $before + 2, '... so that no password was looked at');

# The same without skipPlugins, which is why the page says that it is needed
$postgraphile->kill_kill;
$url = start_postgraphile('PostGraphile', sub { s/^  skipPlugins: .*\n//m or BAIL_OUT('no skipPlugins to leave out') });
($status, $answer) = graphql(sprintf($guess, $fails, ''));
is(tokens_of($answer)->{error_code}, 'invalid_credentials', 'without skipPlugins a guess is answered');
is(sql($failures), $before + 2, '... and does not count');

#
# A token in a setting
#

$postgraphile->kill_kill;
$url = start_postgraphile('A token in a setting');
$ann = tokens_of((login('ann', 'correct horse'))[1]);
is(seen(), '200 authenticated', 'in a setting: anonymous');
is(seen($ann->{access_token}), '200 authenticated ann@example.com ann new', '... somebody');
is(seen(), '200 authenticated', '... and nobody again');
($status, $answer) = graphql($read, "$ann->{access_token}x");
is($answer->{errors}[0]{message}, 'token is not strict base64url', '... a bad token is refused');
is($answer->{data}{allPages}, undef, '... and sees nothing');
sql("SELECT auth.revoke_sessions('$ann->{user}{id}')");
($status, $answer) = graphql($read, $ann->{access_token});
is($answer->{errors}[0]{message}, 'session of the token has ended', '... as is an ended session');

done_testing();
