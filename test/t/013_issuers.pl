# Outside identity providers over HTTP, through a real PostgREST: it verifies with
# every key that it is handed and switches to the role that a token names before
# pre_request() runs.  And what only a shell, another server or another
# cluster shows: the documented line for cron, and dump and restore.

use strict;
use warnings;

use FindBin;
use HTTP::Tiny;
use IPC::Run;
use JSON::PP;
use lib "$FindBin::RealBin/lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Postgrest qw(start_postgrest wait_until);
use Test::More;

my $node;
my $api;
my $postgrest;
my $postgrest_log = "$PostgreSQL::Test::Utils::tmp_check/postgrest.log";
my $provider;
my $provider_port = PostgreSQL::Test::Cluster::get_free_port();
my $provider_dir = PostgreSQL::Test::Utils::tempdir();
my $issuer = "http://127.0.0.1:$provider_port";

#
# The servers
#

sub start_node
{
	$node = PostgreSQL::Test::Cluster->new('main');
	$node->init;
	$node->append_conf('postgresql.conf', <<'CONF');
jwt_auth.issuer = 'https://own.example'
jwt_auth.bcrypt_cost = 4
CONF
	$node->start;
}

sub sql
{
	return $node->safe_psql('postgres', $_[0]);
}

# The provider's web server: it serves its key set at /jwks.json, what a server
# that is cut off leaves of it at /truncated.json, and an error elsewhere.
sub start_provider
{
	my $server = <<'PERL';
use IO::Socket::INET;
my ($port, $file) = @ARGV;
my $socket = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 5, ReuseAddr => 1) or die $!;
while (my $client = $socket->accept)
{
	my ($path) = <$client> =~ m{^GET (\S+)};
	while (defined(my $line = <$client>)) { last if $line =~ /^\r?$/ }
	open my $in, '<', $file or die $!;
	my $body = join '', <$in>;
	my $half = substr($body, 0, length($body) / 2);
	print $client
	    $path eq '/jwks.json' ? "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: ${\length $body}\r\n\r\n$body"
	  : $path eq '/short.json' ? "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: ${\length $body}\r\n\r\n$half"
	  : $path eq '/truncated.json' ? "HTTP/1.0 200 OK\r\n\r\n$half"
	  : "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: ${\length $body}\r\n\r\n$body";
	close $client;
}
PERL
	$provider = IPC::Run::start([ $^X, '-e', $server, $provider_port, "$provider_dir/jwks.json" ], '<', \undef);
	wait_until(sub { HTTP::Tiny->new->get("$issuer/jwks.json")->{success} })
	  or BAIL_OUT('the provider did not get ready');
}

END
{
	my $status = $?;

	foreach my $server (grep { defined } $postgrest, $provider)
	{
		$server->kill_kill;
	}
	$? = $status;
}

#
# The provider
#

my $keys = 0;    # that the provider has had

# Gives the provider another key, published beside the one before.
sub rotate_provider
{
	$keys++;
	sql(<<"SQL");
CREATE TABLE IF NOT EXISTS provider_key (n int PRIMARY KEY, jwk jsonb);
INSERT INTO provider_key VALUES ($keys, auth.jwk_generate('RS256', 'provider-$keys'));
SQL
	open my $file, '>', "$provider_dir/jwks.json" or die $!;
	print $file sql("SELECT jsonb_build_object('keys', jsonb_agg(auth.jwk_public(jwk))) FROM provider_key WHERE n >= $keys - 1");
	close $file;
}

sub trust
{
	my (@more) = @_;
	my $jwks = slurp_file("$provider_dir/jwks.json");

	sql("SELECT auth.trust_issuer(" . join(', ', "'$issuer'", "\$jwks\$$jwks\$jwks\$", "'{notes}'", @more) . ')');
}

# A token of the provider, signed by its newest key, but for what is said otherwise.
sub token
{
	my ($claims, $key) = @_;
	my %all = (iss => $issuer, aud => 'notes', sub => 'auth0|ann', exp => time + 300, %{ $claims // {} });
	my $json = encode_json({ map { $_ => $all{$_} } grep { defined $all{$_} } keys %all });

	$key //= $keys;
	return sql("SELECT auth.jwt_sign('$json', jwk) FROM provider_key WHERE n = $key");
}

#
# Requests
#

# Sends a request with a token, or with these Authorization headers; returns
# status, body (decoded where it is JSON) and headers.
sub request
{
	my ($method, $path, $token, $body) = @_;
	my %headers = (Prefer => 'return=representation');

	$headers{Authorization} = ref $token ? $token : "Bearer $token" if defined $token;
	$headers{'Content-Type'} = 'application/json' if defined $body;

	my $answer = HTTP::Tiny->new->request($method, $api . $path,
		{ headers => \%headers, content => defined $body ? encode_json($body) : '' });
	my $json = eval { JSON::PP->new->utf8->allow_nonref->decode($answer->{content}) };

	return ($answer->{status}, $json, $answer->{headers});
}

# What a request with this token is answered: "200 role of user", or the
# status with the reason.
sub answer
{
	my ($token) = @_;
	my ($status, $json) = request('GET', '/rpc/whoami', $token);

	return $status == 200 ? "200 $json->{role} of $json->{user}" : "$status " . ($json->{details} // $json->{message});
}

sub bearers
{
	return [ map { "Bearer $_" } @_ ];
}

sub becomes
{
	my ($token, $expected, $name) = @_;

	wait_until(sub { answer($token) eq $expected });
	is(answer($token), $expected, $name);
}

#
# The tests
#

my ($status, $json, $headers);

start_node();
sql('CREATE EXTENSION jwt_auth CASCADE');
my $conf = sql('SELECT auth.create_api()');
sql(<<'SQL');
CREATE TABLE api.notes (owner uuid NOT NULL DEFAULT auth.uid(), note text NOT NULL);
ALTER TABLE api.notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_notes ON api.notes USING (owner = auth.uid());
GRANT SELECT, INSERT ON api.notes TO authenticated;
CREATE FUNCTION api.whoami() RETURNS jsonb LANGUAGE sql STABLE SECURITY INVOKER AS
$$ SELECT jsonb_build_object('role', current_user, 'user', coalesce(auth.uid()::text, 'nobody')) $$;
GRANT EXECUTE ON FUNCTION api.whoami() TO PUBLIC;
-- a role that requests may have, but not by the provider's word
CREATE ROLE manager;
GRANT manager TO authenticator;
GRANT USAGE ON SCHEMA api TO manager;
SQL
rotate_provider();
start_provider();
($postgrest, $api) = start_postgrest($node, $conf, $postgrest_log);

foreach my $name (qw(ann bob))
{
	($status) = request('POST', '/rpc/register', undef, { email => "$name\@example.org", password => 'correct horse' });
	is($status, 200, "$name registers");
}
my $ann = sql("SELECT id FROM auth.users WHERE email = 'ann\@example.org'");
my $bob = sql("SELECT id FROM auth.users WHERE email = 'bob\@example.org'");
(undef, $json) = request('POST', '/rpc/login', undef, { email => 'bob@example.org', password => 'correct horse' });
my $own = $json->{access_token};
my $person = { role => 'authenticated' };

# Roles.  PostgREST does not even have the keys of a provider that gives none.

is(answer(token($person)), '401 JWSError JWSInvalidSignature', 'a provider that nobody trusts');
trust();
is(answer(token($person)), '401 JWSError JWSInvalidSignature', 'a provider that may give no role');
trust("roles => '{authenticated}'");
becomes(token($person), '200 authenticated of nobody', 'a role that it may give, an unknown subject');
sql("SELECT auth.link_identity('$ann', '$issuer', 'auth0|ann')");
is(answer(token($person)), "200 authenticated of $ann", 'a linked subject is its user');
is(answer(token({ %$person, sub => $bob })), '200 authenticated of nobody', 'the uuid of a user is nobody without a link');
is(answer(token({ role => 'manager' })), '403 reason: role_not_allowed', 'a role that it may not give');
is(answer(token()), '403 reason: role_not_allowed', 'no role');
is(answer(token({ %$person, aud => 'elsewhere' })), '401 reason: bad_audience', 'a token for somebody else');
($status, undef, $headers) = request('GET', '/notes', token({ role => 'manager' }));
like($headers->{'www-authenticate'}, qr/^Bearer error="insufficient_scope"/, '... with WWW-Authenticate');

# It has verified these with a key that it was handed, and switched role

is(answer(token({ iss => 'https://own.example', sub => $bob, type => 'access', %$person })),
	'401 reason: unknown_kid', 'our name under a key of the provider');
is(answer(token({ iss => undef, sub => $bob, type => 'access', %$person })),
	'401 reason: unknown_kid', '... and no name');
is(answer(bearers(token({ aud => 'elsewhere', role => 'manager' }), token())),
	'403 reason: role_not_allowed', 'a token for somebody else lends its role to none without one');
is(answer(bearers(token({ aud => 'elsewhere', role => 'manager' }), token($person))),
	'401 reason: ambiguous_token', '... nor to one with another');
is(answer(bearers(token({ sub => $bob, role => 'manager' }), $own)), '401 reason: ambiguous_token', '... nor to one of ours');
my $bare = sql(q(SELECT auth.jws_sign('{"role": "manager"}', jwk) FROM provider_key));
is(answer($bare), '401 reason: unknown_kid', 'nothing but a role');
is(answer([ "Bearer\t$bare" ]), '401 reason: ambiguous_token', '... behind a tab, which PostgREST takes for a blank');
is(answer([ "Bearer $bare", 'Basic x' ]), '401 reason: ambiguous_token', '... and before another scheme');
is(answer(['Basic x']), '401 reason: ambiguous_token', 'another scheme cannot be told from that');
is(answer(undef), '200 anon of nobody', 'no header is anonymous');
my $roleless = sql("SELECT auth.jwt_sign('{\"sub\": \"$bob\", \"type\": \"access\", \"jti\": \"j\"}')");
is(answer(bearers(token({ iss => 'https://own.example', sub => $bob, jti => 'j', role => 'manager' }), $roleless)),
	'401 reason: ambiguous_token', 'a token of ours without a role takes none from its double');
is(answer($own), "200 authenticated of $bob", 'tokens of ours are as good as ever');

# Rows

($status, $json) = request('POST', '/notes', token($person), { note => 'of Ann' });
is($status, 201, 'Ann writes a row with the token of her provider');
is($json->[0]{owner}, $ann, '... which is hers');
($status, $json) = request('GET', '/notes', token($person));
is_deeply([ map { $_->{note} } @$json ], ['of Ann'], '... and reads it');
($status, $json) = request('GET', '/notes', $own);
is_deeply($json, [], 'Bob does not');
($status, $json) = request('GET', '/notes', token({ %$person, sub => 'auth0|eve' }));
is_deeply($json, [], 'nor does an unknown subject');
($status) = request('POST', '/notes', token({ %$person, sub => 'auth0|eve' }), { note => 'x', owner => $ann });
is($status, 403, '... nor write one for Ann');

# A session of ours for a token of the provider, whatever role that names

($status, $json, $headers) = request('POST', '/rpc/login_with_id_token', undef,
	{ id_token => token({ role => 'manager', nonce => 'n-1' }), nonce => 'n-1' });
is($status, 200, 'an identity token signs in');
is($json->{user}{id}, $ann, '... its linked user');
is($headers->{'cache-control'}, 'no-store', '... with an answer that nobody keeps');
is(answer($json->{access_token}), "200 authenticated of $ann", '... with an access token');
($status) = request('POST', '/rpc/refresh', undef, { refresh_token => $json->{refresh_token} });
is($status, 200, '... and a refresh token');
($status, $json) = request('POST', '/rpc/login_with_id_token', undef, { id_token => token({ nonce => 'n-1' }), nonce => 'n-2' });
is_deeply([ $status, $json->{error_code} ], [ 401, 'bad_jwt' ], 'another nonce does not');
($status, $json) = request('POST', '/rpc/login_with_id_token', undef, { id_token => token({ exp => 1 }) });
is_deeply([ $status, $json->{error_code} ], [ 401, 'bad_jwt' ], 'nor does an expired token');
is(sql("SELECT string_agg(details ->> 'reason', ' ' ORDER BY at) FROM auth.audit_log WHERE event = 'login_failed'"),
	'bad_nonce token_expired', '... and both are on record');

# What an OpenID Connect library reads of us: the configuration, then the keys

($status, $json, $headers) = request('GET', "/rpc/openid_configuration?base_url=$api/");
is($status, 200, 'the discovery document');
like($headers->{'content-type'}, qr{^application/json}, '... is JSON');
is($json->{issuer}, 'https://own.example', '... names the issuer of our tokens');
is($json->{jwks_uri}, "$api/rpc/jwks", '... and the address of the keys');
ok((grep { $_ eq 'ES256' } @{ $json->{id_token_signing_alg_values_supported} }), '... and their algorithms');
is_deeply([ grep { ref $json->{$_} ne 'ARRAY' } qw(response_types_supported subject_types_supported) ], [], '... and the lists that must be there');
my $answer = HTTP::Tiny->new->get($json->{jwks_uri});
is($answer->{status}, 200, 'the key set is there');
my ($jwk) = @{ decode_json($answer->{content})->{keys} };
is_deeply([ sort keys %$jwk ], [qw(alg crv kid kty use x y)], '... with public members alone');
my $jwks = $answer->{content};
is(sql("SELECT auth.jwt_verify('$own', '$jwks'::jsonb, issuer => 'https://own.example') ->> 'sub'"),
	$bob, '... and verifies our tokens');
my $pem = sql("SELECT auth.jwk_to_pem('${\encode_json($jwk)}')");
unlike($pem, qr/PRIVATE/, '... as the public key that it is');

# Keys that PostgREST does not know, of ours or of the provider, harm nobody.  It
# has read them all once it takes the provider's next one.

sql("SELECT auth.create_key('ES256K', activate_in => '1 hour')");
rotate_provider();
my $odd = sql(q{SELECT jsonb_agg(auth.jwk_public(auth.jwk_generate(alg, alg))) FROM unnest('{ES256K,Ed448,Ed25519}'::text[]) alg});
my $set = encode_json({ keys => [ @{ decode_json($odd) }, @{ decode_json(slurp_file("$provider_dir/jwks.json"))->{keys} } ] });
sql("SELECT auth.trust_issuer('$issuer', '$set', '{notes}', roles => '{authenticated}')");
becomes(token($person), "200 authenticated of $ann", 'a new key of the provider is followed without a restart');
is(answer(token($person, 1)), "200 authenticated of $ann", '... the one before it still verifies');
is(answer($own), "200 authenticated of $bob", '... and so does ours');

# The line for cron, as the document has it

my ($line) = slurp_file('docs/identity_providers.md') =~ /^17 \* \* \* \* (.+)$/m;
ok($line, 'the document has a line for cron');
$line =~ s/my-app/notes/;
$line =~ s/-d app\b/-d postgres/;
unlike($line, qr/%/, '... without what cron takes for an end of line');
my $stored = "SELECT string_agg(k ->> 'kid', ' ' ORDER BY k ->> 'kid') FROM auth.issuers, jsonb_array_elements(jwks -> 'keys') k";

# Runs it as cron does, against an address of the provider; returns the status and
# what it has printed.
sub cron
{
	my ($path) = @_;
	my $output = '';

	(my $command = $line) =~ s{https://idp\.example/jwks\.json}{$issuer$path};
	$command =~ s{https://idp\.example}{$issuer};
	local %ENV = (%ENV, PGHOST => $node->host, PGPORT => $node->port);
	IPC::Run::run([ '/bin/sh', '-c', $command ], '<', \undef, '>&', \$output);
	return ($? >> 8, $output);
}

rotate_provider();
($status, $json) = cron('/jwks.json');
is_deeply([ $status, $json ], [ 0, '' ], 'it runs in silence');
is(sql($stored), 'provider-2 provider-3', '... and stores what the provider serves');
becomes(token($person), "200 authenticated of $ann", '... so that the rotated key is accepted');

rotate_provider();
foreach ([ '/gone.json', 22, 'an error of the server' ], [ '/short.json', 18, 'an answer that is cut off' ],
	[ '/truncated.json', 3, 'a truncated answer that does not say how long it is' ])
{
	my ($path, $expected, $name) = @$_;

	($status, $json) = cron($path);
	is($status, $expected, "$name fails");
	isnt($json, '', '... and says so');
	is(sql($stored), 'provider-2 provider-3', '... and leaves the keys as they were');
}
$set = decode_json(slurp_file("$provider_dir/jwks.json"));
$set->{"it's"} = q{\\'); DROP TABLE api.notes; -- "$(false)" `false`};
open my $file, '>', "$provider_dir/jwks.json" or die $!;
print $file encode_json($set);
close $file;
($status, $json) = cron('/jwks.json');
is_deeply([ $status, $json ], [ 0, '' ], 'quotes in an answer are an answer');
is(sql($stored), 'provider-3 provider-4', '... of which the keys are taken');
is(sql('SELECT count(*) FROM api.notes'), '1', '... and nothing is run');

# Distrust takes the keys away

becomes(token($person), "200 authenticated of $ann", 'the last key is there');
sql("SELECT auth.distrust_issuer('$issuer')");
like(answer(token($person)), qr/^401 /, 'a distrusted provider is refused at once');
becomes(token($person), '401 JWSError JWSInvalidSignature', '... and its keys are withdrawn');
is(answer($own), "200 authenticated of $bob", '... ours are not');

# Dump and restore

trust("algorithms => '{RS256}'", "roles => '{authenticated}'");
my $dump = "$PostgreSQL::Test::Utils::tmp_check/issuers.dump";
$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, 'postgres' ], 'dump');
sql('CREATE DATABASE copy');
$node->command_ok([ 'pg_restore', '--exit-on-error', '-d', 'copy', $dump ], 'restore');
foreach my $table (qw(issuers identities))
{
	my $rows = "SELECT count(*), md5(string_agg(t::text, ',' ORDER BY t::text)) FROM auth.$table t";

	like($node->safe_psql('copy', $rows), qr/^1\|/, "$table has a row");
	is($node->safe_psql('copy', $rows), sql($rows), '... which is the same');
}
my $good = token($person);
is($node->safe_psql('copy', "BEGIN; SELECT auth.authenticate('$good') IS NULL; SELECT auth.uid(), auth.role()"),
	"f\n$ann|authenticated", 'a token of the provider is as good there');
$node->safe_psql('copy', "SELECT auth.distrust_issuer('$issuer')");
my ($code, $stdout, $stderr) = $node->psql('copy', "SELECT auth.jwt_verify('$good')");
like($stderr, qr/token names no known key/, '... until it is distrusted there');

done_testing();
