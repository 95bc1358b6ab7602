# What each outcome is over HTTP, through a real PostgREST: it turns SQL errors
# into statuses by its own rules, and what commits although the answer is an error
# can be seen from outside alone.
use strict;
use warnings;

use FindBin;
use HTTP::Tiny;
use JSON::PP;
use lib "$FindBin::RealBin/lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Postgrest qw(start_postgrest wait_until);
use Test::More;

my $postgrest_log = "$PostgreSQL::Test::Utils::tmp_check/postgrest.log";
my (@postgrests, $api, $stopped);

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', <<'CONF');
log_statement = none
jwt_auth.issuer = 'https://test.example'
jwt_auth.bcrypt_cost = 4
jwt_auth.refresh_reuse_grace = 0
jwt_auth.max_failed_logins = 0
CONF
$node->start;

END
{
	my $status = $?;

	kill 'CONT', $stopped if $stopped;
	$_->kill_kill foreach @postgrests;
	$? = $status;
}

sub sql
{
	return $node->safe_psql('postgres', $_[0]);
}

# A setting of the database counts from the next connection on, and so for all
# requests once the present ones have ended.
sub set
{
	my ($setting) = @_;

	sql("ALTER DATABASE postgres SET $setting");
	sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'authenticator'");
	wait_until(sub { HTTP::Tiny->new->get("$api/rpc/jwks")->{status} == 200 }) or die 'PostgREST does not come back';
}

# Of an error object, a PostgREST error, or anything else
sub code_of
{
	my ($json) = @_;

	return '' if ref $json ne 'HASH';
	return $json->{error} ? "$json->{error} $json->{error_code}" : $json->{code} // '';
}

sub check_error_object
{
	my ($json, $name) = @_;

	is_deeply([ sort keys %$json ], [qw(error error_code error_description)], "$name: an error object (RFC 6749 section 5.2)");
}

# What PostgREST itself says of an error that was raised
sub check_raised
{
	my ($json, $name) = @_;

	like($json->{details} // '', qr/^(|reason: \w+|\\u0000 cannot be converted to text\.|Searched for .* were found in the schema cache\.)$/, "$name: no internals in its details");
	unlike($json->{hint} // '', qr/auth\./, "$name: ... nor in its hint");
}

# Sends a request, checks what is so of every answer, and returns status and code,
# the body, and the headers.
sub answer
{
	my ($name, $method, $path, $body, %headers) = @_;

	$headers{'Content-Type'} //= 'application/json' if defined $body;
	my $answer;

	# PostgREST, which connects anew on a machine that is too busy, answers for itself;
	# and where set() has ended the connection of a reload, it needs another
	wait_until(sub {
		$answer = HTTP::Tiny->new->request($method, $api . $path,
			{ headers => \%headers, content => ref $body ? encode_json($body) : $body // '' });
		sql("NOTIFY pgrst, 'reload config'") if $answer->{content} =~ /"PGRST300"/;
		return $answer->{content} !~ /"PGRST(002|300)"/;
	});
	my $json = eval { JSON::PP->new->utf8->allow_nonref->decode($answer->{content}) };
	my $got = $answer->{headers};

	if ($answer->{status} >= 400)
	{
		ref $json eq 'HASH' && $json->{error} ? check_error_object($json, $name) : check_raised($json, $name);
		is($got->{'cache-control'}, 'no-store', "$name: Cache-Control") if $json->{error};
		like($got->{'www-authenticate'}, qr/^Bearer/, "$name: WWW-Authenticate") if $answer->{status} == 401;
		# PostgREST adds one of its own to each 503
		my $retry_after = $got->{'retry-after'};
		like(ref $retry_after ? "@$retry_after" : $retry_after, qr/\b[1-9]\d*\b/, "$name: Retry-After") if $answer->{status} =~ /^(429|503)$/;
	}
	return (join(' ', grep { $_ ne '' } $answer->{status}, code_of($json)), $json, $got);
}

sub is_answer
{
	my ($name, $expected, @request) = @_;
	my ($got) = answer($name, @request);

	is($got, $expected, $name);
}

# is_rpc NAME EXPECTED FUNCTION BODY [BEARER]
sub is_rpc
{
	my ($name, $expected, $function, $body, $bearer) = @_;

	is_answer($name, $expected, 'POST', "/rpc/$function", $body, defined $bearer ? (Authorization => "Bearer $bearer") : ());
}

sub register
{
	my ($name) = @_;

	return sql("SELECT auth.register('$name\@example.com', 'correct horse') ->> 'id'");
}

sub login
{
	my ($name) = @_;
	my ($got, $tokens, $headers) =
	  answer("$name signs in", 'POST', '/rpc/login', { email => "$name\@example.com", password => 'correct horse' });

	is($got, 200, "$name signs in");
	is($headers->{'cache-control'}, 'no-store', '... with tokens that nobody keeps');
	return $tokens;
}

sub events
{
	my ($event) = @_;

	return sql("SELECT count(*) FROM auth.audit_log WHERE event = '$event'");
}

sql('CREATE EXTENSION jwt_auth CASCADE');
my $conf = sql('SELECT auth.create_api()');
# the extension has the last word
my ($process, $address) = start_postgrest($node, "$conf\ndb-tx-end = \"commit-allow-override\"\n", $postgrest_log);
push @postgrests, $process;
$api = $address;

my $ann = register('ann');
my $bob = register('bob');
my %wrong = (email => 'ann@example.com', password => 'wrong guess');

#
# Accounts
#

my %new = (email => 'carl@example.com', password => 'correct horse');
is_rpc('a new account', '200', 'register', { %new, username => 'carl' });
is_rpc('a taken address', '409 invalid_request email_exists', 'register', \%new);
is_rpc('a taken username', '409 invalid_request username_exists', 'register', { %new, email => 'c@example.com', username => 'carl' });
is_rpc('no address', '400 invalid_request email_address_invalid', 'register', { %new, email => 'carl' });
is_rpc('a NULL address', '400 invalid_request email_address_invalid', 'register', { %new, email => undef });
is_rpc('a weak password', '400 invalid_request weak_password', 'register', { %new, password => 'x' });
is_rpc('a long password', '400 invalid_request weak_password', 'register', { %new, password => 'x' x 73 });
is_rpc('a bad username', '400 invalid_request validation_failed', 'register', { %new, username => 'a@b' });
is_rpc('bad metadata', '400 invalid_request validation_failed', 'register', { %new, user_metadata => [] });
is_rpc('a missing argument', '404 PGRST202', 'register', { email => 'carl@example.com' });
is_rpc('one too many', '404 PGRST202', 'register', { %new, role => 'postgres' });
is_answer('no JSON', '400 PGRST102', 'POST', '/rpc/register', '{"email"');
is_answer('a NUL', '400 22P05', 'POST', '/rpc/register', '{"email": "\u0000", "password": "correct horse"}');
set("jwt_auth.registration = 'closed'");
is_rpc('no registration', '403 access_denied signup_disabled', 'register', \%new);
set("jwt_auth.registration = 'open'");

#
# Login
#

my $failures = events('login_failed');
is_rpc('a wrong password', '401 invalid_grant invalid_credentials', 'login', \%wrong);
is_rpc('an unknown name', '401 invalid_grant invalid_credentials', 'login', { %wrong, email => 'nobody@example.com' });
is(events('login_failed'), $failures + 2, 'both are on record');
is_answer('a wrong password that asks for a rollback', '401 invalid_grant invalid_credentials',
	'POST', '/rpc/login', \%wrong, Prefer => 'tx=rollback');
is(events('login_failed'), $failures + 3, '... is on record all the same');
is_rpc('no password', '400 invalid_request validation_failed', 'login', { email => 'ann@example.com' });
is_rpc('email and username', '400 invalid_request validation_failed', 'login', { %wrong, username => 'ann' });
is_rpc('no identity token', '401 invalid_grant bad_jwt', 'login_with_id_token', { id_token => 'x' });
is_rpc('a NULL one', '400 invalid_request validation_failed', 'login_with_id_token', { id_token => undef });
is_answer('GET on a function that writes', '405 25006', 'GET', '/rpc/login?email=x&password=y');
is_answer('a filtered answer', '400 22023', 'POST', '/rpc/login?select=pgrst_scalar', \%wrong);
set('jwt_auth.max_failed_logins = 2');
is_rpc('one failure too many', '401 invalid_grant invalid_credentials', 'login', \%wrong);
is_rpc('who has to wait', '429 temporarily_unavailable over_request_rate_limit', 'login', \%wrong);
is_rpc('... also as a tool', '429 temporarily_unavailable over_request_rate_limit', 'token', { grant_type => 'password', username => 'ann@example.com', password => 'x' });
set('jwt_auth.max_failed_logins = 0');
sql("SELECT auth.unlock_user('$ann'), auth.set_active('$bob', false)");
is_rpc('a disabled account', '400 invalid_grant user_banned', 'login', { email => 'bob@example.com', password => 'correct horse' });
is_rpc('... with a wrong password', '401 invalid_grant invalid_credentials', 'login', { %wrong, email => 'bob@example.com' });
sql("SELECT auth.set_active('$bob', true)");

# One who hashes, and is stopped while at it, takes the only place
set('jwt_auth.max_concurrent_hashes = 1');
my $hasher = $node->background_psql('postgres');
$stopped = $hasher->query('SELECT pg_backend_pid()');
$hasher->query_until(qr/begun/, "\\echo begun\nSET jwt_auth.bcrypt_cost = 15; SELECT auth._hash_password('x');\n");
ok(wait_until(sub { sql("SELECT count(*) FROM pg_locks WHERE pid = $stopped AND locktype = 'advisory'") }), 'somebody hashes a password');
kill 'STOP', $stopped;
is_rpc('a login that finds no place', '503 temporarily_unavailable over_request_rate_limit', 'login', { email => 'ann@example.com', password => 'correct horse' });
kill 'CONT', $stopped;
$hasher->quit;
set('jwt_auth.max_concurrent_hashes = 0');

my $provider = sql("SELECT auth.jwk_generate('ES256', 'k')");
sql(<<"SQL");
SELECT auth.trust_issuer('https://idp.example', jsonb_build_object('keys', jsonb_build_array(auth.jwk_public('$provider'))), '{app}')
SQL
my $id_token = sql(<<"SQL");
SELECT auth.jwt_sign(jsonb_build_object('iss', 'https://idp.example', 'sub', 'ann', 'aud', 'app', 'email', 'ann\@example.com',
	'email_verified', true, 'exp', floor(extract(epoch FROM now())) + 600, 'iat', floor(extract(epoch FROM now()))), '$provider'::jsonb)
SQL
is_rpc('an identity with a taken address', '409 invalid_grant email_exists', 'login_with_id_token', { id_token => $id_token });

#
# Tokens of requests
#

my $tokens = login('ann');
foreach my $bad ('x', 'x.y.z', $tokens->{refresh_token}, $tokens->{access_token} =~ s/[^.]{9}$/AAAAAAAAA/r)
{
	# PostgREST looks first, and has codes of its own
	my ($got) = answer('a bad token', 'GET', '/rpc/me', undef, Authorization => "Bearer $bad");

	like($got, qr/^401/, 'a bad token');
}
is_answer('nobody', '401 42501', 'GET', '/rpc/me');
is_answer('Basic', '401 42501', 'GET', '/rpc/me', undef, Authorization => 'Basic eDp5');
is_rpc('a scope that there is not', '400 22023', 'logout', { scope => 'x' }, $tokens->{access_token});
is_rpc('a session that is no uuid', '400 22P02', 'revoke_session', { session_id => 'x' }, $tokens->{access_token});
is_rpc('the same password', '400 invalid_request same_password', 'change_password',
	{ old_password => 'correct horse', new_password => 'correct horse' }, $tokens->{access_token});
is_rpc('a wrong old password', '401 invalid_grant invalid_credentials', 'change_password',
	{ old_password => 'wrong guess', new_password => 'battery staple' }, $tokens->{access_token});
is_rpc('a taken username', '409 invalid_request username_exists', 'update_me', { username => 'CARL' }, $tokens->{access_token});
is_rpc('a bad one', '400 invalid_request validation_failed', 'update_me', { username => ' ' }, $tokens->{access_token});
set('jwt_auth.check_session = off');
my $gone = login('bob');
sql("SELECT auth.delete_user('$bob')");
is_rpc('a user who is gone', '404 invalid_request user_not_found', 'update_me', { username => 'x' }, $gone->{access_token});
set('jwt_auth.check_session = on');
is_rpc('... where sessions are looked at', '401 28000', 'update_me', { username => 'x' }, $gone->{access_token});

#
# Refresh
#

is_rpc('no refresh token', '400 invalid_request validation_failed', 'refresh', {});
is_rpc('garbage', '401 invalid_grant bad_refresh_token', 'refresh', { refresh_token => 'x' });
is_rpc('an access token', '401 invalid_grant bad_refresh_token', 'refresh', { refresh_token => $tokens->{access_token} });
is_rpc('of a user who is gone', '404 invalid_grant user_not_found', 'refresh', { refresh_token => $gone->{refresh_token} });

my %spoilt = (
	'403 invalid_grant refresh_token_not_found' => 'DELETE FROM auth.refresh_tokens',
	'403 invalid_grant session_not_found' => "SELECT auth.revoke_sessions('$ann')",
	'403 invalid_grant session_expired' => "UPDATE auth.refresh_tokens SET expires_at = now() - interval '1 s'",
	'400 invalid_grant user_banned' => "UPDATE auth.users SET is_active = false WHERE id = '$ann'");
foreach my $expected (sort keys %spoilt)
{
	$tokens = login('ann');
	sql($spoilt{$expected});
	is_rpc("a refresh after: $spoilt{$expected}", $expected, 'refresh', { refresh_token => $tokens->{refresh_token} });
	is_answer('... and the next request', '401 28000', 'GET', '/rpc/me', undef, Authorization => "Bearer $tokens->{access_token}");
	sql("UPDATE auth.users SET is_active = true WHERE id = '$ann'");
}
$tokens = login('ann');
is_rpc('a refresh', '200', 'refresh', { refresh_token => $tokens->{refresh_token} });
is_answer('a reuse that asks for a rollback', '403 invalid_grant refresh_token_already_used', 'POST', '/rpc/refresh',
	{ refresh_token => $tokens->{refresh_token} }, Prefer => 'tx=rollback');
is(events('refresh_reused'), 1, '... is on record');
is_answer('... and has ended the session', '401 28000', 'GET', '/rpc/me', undef, Authorization => "Bearer $tokens->{access_token}");

#
# OAuth tools: forms, and HTTP Basic for the client, which is not looked at
#

my %tool = ('Content-Type' => 'application/x-www-form-urlencoded', Authorization => 'Basic ' . 'dG9vbDpzZWNyZXQ=');
my $http = HTTP::Tiny->new;
(my $got, $tokens) = answer('a tool signs in', 'POST', '/rpc/token', $http->www_form_urlencode(
	{ grant_type => 'password', username => 'ann@example.com', password => 'correct horse', client_id => 'tool', scope => 'a b' }), %tool);
is($got, 200, 'a tool signs in');
is($tokens->{token_type}, 'bearer', '... and gets what RFC 6749 says');
is_answer('a grant that there is not', '400 unsupported_grant_type validation_failed', 'POST', '/rpc/token', 'grant_type=implicit', %tool);
is_answer('a form without a grant', '404 PGRST202', 'POST', '/rpc/token', 'username=x', %tool);
my %ann = (Authorization => "Bearer $tokens->{access_token}");
my %form = ('Content-Type' => 'application/x-www-form-urlencoded');
is_answer('introspection by nobody', '401 42501', 'POST', '/rpc/introspect', 'token=x', %form);
my ($live) = (answer('introspection', 'POST', '/rpc/introspect', "token=$tokens->{refresh_token}&token_type_hint=refresh_token", %form, %ann))[1];
ok($live->{active} && $live->{sub} eq $ann, 'introspection of a token (RFC 7662)');
(undef, my $dead) = answer('introspection of garbage', 'POST', '/rpc/introspect', 'token=x', %form, %ann);
is_deeply($dead, { active => JSON::PP::false }, 'introspection of garbage');
is_answer('revocation', '204', 'POST', '/rpc/revoke', "token=$tokens->{refresh_token}&token_type_hint=refresh_token", %tool);
is_answer('... counts at once', '401 28000', 'GET', '/rpc/me', undef, %ann);
is_answer('revocation of garbage', '204', 'POST', '/rpc/revoke', 'token=x', %tool);

#
# What the endpoints say of themselves
#

$tokens = login('ann');
%ann = (Authorization => "Bearer $tokens->{access_token}");
my (undef, $mine) = answer('the document', 'GET', '/', undef, %ann);
my (undef, $public) = answer('the document', 'GET', '/');
is($mine->{openapi}, '3.0.3', 'an OpenAPI document');
ok($mine->{paths}{'/rpc/me'} && !$public->{paths}{'/rpc/me'}, '... of what the caller may do');
is_deeply([ grep { !$_->{summary} } map { values %$_ } values %{ $mine->{paths} } ], [], '... with a summary of each');
is($mine->{components}{securitySchemes}{password}{flows}{password}{tokenUrl}, '/rpc/token', '... and a way to sign in');
is_deeply($mine->{paths}{'/rpc/introspect'}{post}{requestBody}{content}{'application/json'}{schema}{required},
	['token'], '... and what each needs');

# An interactive page does as that says.
my $flow = $public->{components}{securitySchemes}{password}{flows}{password};
($got, $tokens) = answer('Authorize', 'POST', $flow->{tokenUrl}, $http->www_form_urlencode(
	{ grant_type => 'password', username => 'ann@example.com', password => 'correct horse' }), %tool);
foreach my $path (grep { exists $mine->{paths}{$_}{get} } sort keys %{ $mine->{paths} })
{
	my $query = join '&', map { "$_->{name}=x" } grep { $_->{required} } @{ $mine->{paths}{$path}{get}{parameters} };

	is_answer("GET $path", '200', 'GET', "$path?$query", undef, Authorization => "Bearer $tokens->{access_token}");
}

# PostgREST's own document, where db-root-spec is left out
my ($plain, $plain_api) = start_postgrest($node, $conf =~ s/^db-root-spec.*$//mr, $postgrest_log);
push @postgrests, $plain;
my $swagger = decode_json($http->get("$plain_api/", { headers => { Authorization => "Bearer $tokens->{access_token}" } })->{content});
foreach my $path (grep { m{^/rpc/} } sort keys %{ $swagger->{paths} })
{
	foreach my $operation (values %{ $swagger->{paths}{$path} })
	{
		ok($operation->{summary}, "PostgREST knows what $path is for");
	}
}
my ($body) = grep { $_->{in} eq 'body' } @{ $swagger->{paths}{'/rpc/login'}{post}{parameters} };
is_deeply([ sort keys %{ $body->{schema}{properties} } ], [qw(email password username)], '... and its parameters');

#
# A client that is no more, and a standby
#

$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
chmod 0600, $standby->data_dir . '/jwt_auth.key';	# the copy that the framework made
$standby->start;
$node->wait_for_catchup($standby);
my ($replica, $replica_api) = start_postgrest($standby, "$conf\ndb-channel-enabled = false\n", $postgrest_log);
push @postgrests, $replica;
$api = $replica_api;
# PostgREST does not get as far as our 503: it begins a READ WRITE transaction
is_rpc('a login on a standby', '400 0A000', 'login', { email => 'ann@example.com', password => 'correct horse' });
is_rpc('a refresh on a standby', '400 0A000', 'refresh', { refresh_token => $tokens->{refresh_token} });
is_answer('a request on a standby', '200', 'GET', '/rpc/me', undef, Authorization => "Bearer $tokens->{access_token}");
sql("SELECT auth.revoke_sessions('$ann')");
$node->wait_for_catchup($standby);
is_answer('... after the primary has ended the session', '401 28000', 'GET', '/rpc/me', undef, Authorization => "Bearer $tokens->{access_token}");

$api = $address;
sql("SELECT auth.set_client('app'), auth.create_api(client_id => 'app')");
sql("SELECT auth.drop_client('app')");
is_rpc('a client that is no more', '400 invalid_client invalid_client', 'login', { email => 'ann@example.com', password => 'correct horse' });

done_testing();
