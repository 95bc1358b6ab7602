# The whole path over HTTP, through a real PostgREST: what it verifies itself,
# what it hands to pre_request() and pre_config(), which answers commit, and what
# ends up in the server's log cannot be seen from within a session.

use strict;
use warnings;

use FindBin;
use HTTP::Tiny;
use JSON::PP;
use lib "$FindBin::RealBin/lib";
use MIME::Base64 qw(encode_base64url);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Postgrest qw(start_postgrest wait_until);
use Test::More;
use Time::HiRes qw(sleep);

my $node;
my $api;
my $postgrest;
my $postgrest_log = "$PostgreSQL::Test::Utils::tmp_check/postgrest.log";

# Whatever must never show up in a log: passwords, and every token answered.
my %secrets;

#
# The servers
#

sub start_node
{
	$node = PostgreSQL::Test::Cluster->new('main');
	$node->init;

	# log_statement is all in test clusters, which writes every parameter
	$node->append_conf('postgresql.conf', <<'CONF');
log_statement = none
jwt_auth.issuer = 'https://test.example'
jwt_auth.bcrypt_cost = 4
jwt_auth.refresh_reuse_grace = 0
CONF
	$node->start;
}

sub sql
{
	return $node->safe_psql('postgres', $_[0]);
}

END
{
	my $status = $?;

	$postgrest->kill_kill if $postgrest;
	$? = $status;
}

#
# Requests
#

# Sends a request and returns its status, its body (decoded where it is JSON)
# and its headers.  $token is a bearer token, or undef for none.
sub request
{
	my ($method, $path, $token, $body) = @_;
	my %headers = (Prefer => 'return=representation');
	my $content;

	$headers{Authorization} = "Bearer $token" if defined $token;
	if (defined $body)
	{
		$headers{'Content-Type'} = 'application/json';
		$content = encode_json($body);
	}

	my $answer = HTTP::Tiny->new->request($method, $api . $path,
		{ headers => \%headers, content => $content // '' });
	my $json = eval { JSON::PP->new->utf8->allow_nonref->decode($answer->{content}) };

	remember_tokens($json);
	return ($answer->{status}, $json, $answer->{headers});
}

sub remember_tokens
{
	my ($json) = @_;

	return if ref $json ne 'HASH';
	foreach my $member (qw(access_token refresh_token))
	{
		$secrets{ $json->{$member} } = $member if defined $json->{$member};
	}
}

# The same as tools that speak OAuth 2 send it
sub form
{
	my ($function, $fields) = @_;
	my $answer = HTTP::Tiny->new->post_form("$api/rpc/$function", $fields);
	my $json = eval { decode_json($answer->{content}) };

	remember_tokens($json);
	return ($answer->{status}, $json, $answer->{headers});
}

sub rpc
{
	my ($function, $body, $token) = @_;

	return request('POST', "/rpc/$function", $token, $body // {});
}

# Signs in and returns the token response.
sub login
{
	my ($email, $password) = @_;
	my ($status, $tokens) = rpc('login', { email => $email, password => $password });

	is($status, 200, "$email logs in");
	return $tokens;
}

# The notes that the bearer of a token sees, in order.
sub notes_of
{
	my ($token) = @_;
	my (undef, $rows) = request('GET', '/notes?select=note&order=note', $token);

	return [ map { $_->{note} } @$rows ];
}

sub is_refused
{
	my ($token, $name) = @_;
	my ($status, undef, $headers) = request('GET', '/notes', $token);

	is($status, 401, "$name: 401");
	like($headers->{'www-authenticate'} // '', qr/^Bearer/, "$name: WWW-Authenticate");
}

# A token's three parts, its header decoded.
sub header_of
{
	my ($token) = @_;

	return decode_json(MIME::Base64::decode_base64url((split /\./, $token)[0]));
}

#
# The tests
#

my ($status, $json);
my %password = (
	'alice@example.org' => 'alice-secret-4711',
	'bob@example.org' => 'bob-secret-0815');
my $wrong_password = 'wrong-guess-1234';
$secrets{$_} = 'password' foreach values %password, $wrong_password;

start_node();
sql('CREATE EXTENSION jwt_auth CASCADE');
my $conf = sql('SELECT auth.create_api()');
sql(<<'SQL');
CREATE TABLE api.notes (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	owner uuid NOT NULL DEFAULT auth.uid() REFERENCES auth.users (id),
	note text NOT NULL
);
ALTER TABLE api.notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_notes ON api.notes USING (owner = auth.uid());
GRANT SELECT, INSERT, UPDATE, DELETE ON api.notes TO authenticated;
GRANT SELECT ON api.notes TO anon;
SQL
($postgrest, $api) = start_postgrest($node, $conf, $postgrest_log);

# Accounts

foreach my $email (sort keys %password)
{
	($status, $json) = rpc('register', { email => $email, password => $password{$email} });
	is($status, 200, "$email registers");
	is($json->{email}, $email, "$email is in the answer");
	ok(!exists $json->{password_hash}, 'the hash is not');
}

($status, $json) =
  rpc('register', { email => 'ALICE@example.org', password => 'something else' });
is($status, 409, 'a taken address is refused');
is($json->{error_code}, 'email_exists', '... and says so');

my $failures = "SELECT count(*) FROM auth.audit_log WHERE event = 'login_failed'";
is(sql($failures), '0', 'no failed login on record');
($status, $json) =
  rpc('login', { email => 'alice@example.org', password => $wrong_password });
is($status, 401, 'a wrong password is 401');
is($json->{error}, 'invalid_grant', '... with the error of RFC 6749');
is($json->{error_code}, 'invalid_credentials', '... and our own');
is(sql($failures), '1', 'the failed login stays on record although its answer is an error');

my ($unknown_status, $unknown) =
  rpc('login', { email => 'nobody@example.org', password => $wrong_password });
is($unknown_status, $status, 'an unknown address gets the same status');
is_deeply($unknown, $json, '... and the same answer');

my $alice = login('alice@example.org', $password{'alice@example.org'});
my $bob = login('bob@example.org', $password{'bob@example.org'});
is($alice->{token_type}, 'bearer', 'a token response has its type');
is($alice->{expires_in}, 900, '... and its lifetime');
is($alice->{user}{email}, 'alice@example.org', '... and its user');

($status, $json) = request('GET', '/rpc/me', $alice->{access_token});
is($status, 200, 'me() answers GET');
is($json->{email}, 'alice@example.org', '... with whoever asks');

# Rows

foreach ([ $alice, 'buy milk' ], [ $bob, 'call the bank' ])
{
	my ($who, $note) = @$_;

	($status, $json) = request('POST', '/notes', $who->{access_token}, { note => $note });
	is($status, 201, "$who->{user}{email} writes a row");
	is($json->[0]{owner}, $who->{user}{id}, '... and owns it');
}
is_deeply(notes_of($alice->{access_token}), ['buy milk'], 'Alice sees her rows alone');
is_deeply(notes_of($bob->{access_token}), ['call the bank'], 'Bob sees his rows alone');
is_deeply(notes_of(undef), [], 'anonymous sees none');

($status, $json) = request('PATCH', '/notes?note=eq.buy%20milk',
	$bob->{access_token}, { note => 'mine now' });
is_deeply($json, [], 'Bob changes none of the rows of Alice');
($status) = request('POST', '/notes', $bob->{access_token},
	{ note => 'forged', owner => $alice->{user}{id} });
is($status, 403, 'Bob writes no row for Alice');
($status) = request('POST', '/notes', undef, { note => 'anonymous' });
is($status, 401, 'anonymous writes none');

# Tokens that are no good

my ($header, $payload, $signature) = split /\./, $alice->{access_token};
my $other_payload = (split /\./, $bob->{access_token})[1];
my $expired = sql(<<"SQL");
SELECT auth.jwt_sign((auth.jwt_decode('$alice->{access_token}')).payload
	|| jsonb_build_object('exp', extract(epoch FROM now())::bigint - 60))
SQL
my $other_key = sql(<<"SQL");
SELECT auth.jwt_sign((auth.jwt_decode('$alice->{access_token}')).payload,
	'a secret of thirty-two characters', 'HS256')
SQL

is_refused('garbage', 'garbage');
is_refused('a.b.c', 'three parts of garbage');
is_refused("$header.$payload", 'a token without its signature');
is_refused("$header.$payload.", 'an empty signature');
is_refused("$header.$other_payload.$signature", "the claims of another token");
is_refused("$header.$payload." . reverse($signature), 'another signature');
is_refused(encode_base64url('{"alg":"none"}') . ".$payload.", 'an unsigned token');
is_refused($expired, 'an expired token');
is_refused($other_key, "a token that somebody else's key signed");
is_refused($alice->{refresh_token}, 'a refresh token');

# Refresh, and a refresh token that comes back

($status, my $second) = rpc('refresh', { refresh_token => $alice->{refresh_token} });
is($status, 200, 'a refresh token buys new tokens');
isnt($second->{refresh_token}, $alice->{refresh_token}, '... another refresh token');
is_deeply(notes_of($second->{access_token}), ['buy milk'], '... and an access token');

($status, $json) = rpc('refresh', { refresh_token => $second->{access_token} });
is($status, 401, 'an access token is no refresh token');
($status, $json) = rpc('refresh', { refresh_token => 'garbage' });
is($status, 401, 'garbage is no refresh token');

($status, $json) = rpc('refresh', { refresh_token => $alice->{refresh_token} });
is($status, 403, 'a used refresh token is 403');
is($json->{error}, 'invalid_grant', '... with the error of RFC 6749');
is($json->{error_code}, 'refresh_token_already_used', '... and our own');
($status) = rpc('refresh', { refresh_token => $second->{refresh_token} });
is($status, 403, 'its successor is dead too');
is_refused($_->{access_token}, 'an access token of the revoked session') foreach $alice, $second;
is_deeply(notes_of($bob->{access_token}), ['call the bank'], 'the sessions of others live on');

# Logout

($status, $json) = rpc('logout', {}, $bob->{access_token});
is($status, 200, 'Bob logs out');
is($json, 1, '... which ends one session');
is_refused($bob->{access_token}, 'an access token after logout');
($status) = rpc('refresh', { refresh_token => $bob->{refresh_token} });
is($status, 403, 'a refresh token after logout is 403');

# One's own account, and OAuth 2, in forms

($status, $bob, my $headers) = form('token',
	{ grant_type => 'password', username => 'bob@example.org', password => $password{'bob@example.org'}, client_id => 'a tool' });
is($status, 200, 'the token endpoint signs Bob in');
is($headers->{'cache-control'}, 'no-store', '... and asks that nobody keeps the answer');
($status, $bob) = form('token', { grant_type => 'refresh_token', refresh_token => $bob->{refresh_token} });
is($status, 200, '... and refreshes');
($status, $json) = form('token', { grant_type => 'implicit' });
is("$status $json->{error}", '400 unsupported_grant_type', '... but knows no other grant');

my $elsewhere = login('bob@example.org', $password{'bob@example.org'});
($status, $json) = request('GET', '/rpc/sessions?is_current=is.false', $bob->{access_token});
is(scalar @$json, 1, 'Bob sees his other session');
($status, $json) = rpc('revoke_session', { session_id => $json->[0]{session_id} }, $alice->{access_token});
is($status, 401, 'whose session has ended ends none');
($status, $json) = request('GET', '/rpc/sessions?is_current=is.false', $bob->{access_token});
($status, $json) = rpc('revoke_session', { session_id => $json->[0]{session_id} }, $bob->{access_token});
ok($json, 'Bob ends it');
is_refused($elsewhere->{access_token}, 'an access token of the ended session');

($status, $json) = rpc('update_me', { user_metadata => { colour => 'red' }, username => 'bob' }, $bob->{access_token});
is($json->{user_metadata}{colour} . $json->{username}, 'redbob', 'Bob says something of himself');
($status) = rpc('update_me', { username => 'eve' });
is($status, 401, 'anonymous does not');

$elsewhere = login('bob@example.org', $password{'bob@example.org'});
my $new_password = 'bob-secret-1234';
$secrets{$new_password} = 'password';
my $before = sql($failures);
($status, $json) = rpc('change_password', { old_password => $wrong_password, new_password => $new_password }, $bob->{access_token});
is("$status $json->{error_code}", '401 invalid_credentials', 'the old password must be right');
is(sql($failures), $before + 1, '... and it stays on record where it was not');
($status, $json) = rpc('change_password', { old_password => $password{'bob@example.org'}, new_password => $new_password }, $bob->{access_token});
is($status, 200, 'Bob changes his password');
is_refused($elsewhere->{access_token}, 'an access token of another session of his');

($status) = form('revoke', { token => $bob->{refresh_token}, token_type_hint => 'refresh_token' });
is($status, 204, 'a refresh token is revoked');
is_refused($bob->{access_token}, 'an access token of its session');
($status) = form('revoke', { token => 'garbage' });
is($status, 204, 'revoking garbage is no error');

# PostgREST reads the first of several Authorization headers, and hands over the
# last; it also takes a tab for a blank.  A token that it alone has seen, and
# whose session is over, must lend nobody its role.

sub status_with
{
	my (@authorization) = @_;

	return HTTP::Tiny->new->get("$api/notes", { headers => { Authorization => \@authorization } })->{status};
}

my $dead = $bob->{access_token};
$alice = login('alice@example.org', $password{'alice@example.org'});
my $live = $alice->{access_token};
is(status_with("Bearer $live"), 200, 'one live token');
is(status_with("bearer $live"), 200, '... whatever the case of its scheme');
is(status_with('Basic x'), 200, 'another scheme is anonymous');
is(status_with("Bearer $dead", 'Basic x'), 401, 'an ended session before another scheme');
is(status_with("Bearer $dead", "Bearer $live"), 401, '... before a live one');
is(status_with("Bearer $live", "Bearer $dead"), 401, '... behind a live one');
is(status_with("Basic x", "Bearer $live"), 401, 'a live token that PostgREST has not read');
is(status_with("Bearer\t$dead"), 401, 'an ended session behind a tab');

# Filters from the URL run in the statement of the call.  One that raises for an
# error object alone would undo what the error leaves behind.

my @filters = (
	'?or=(pgrst_scalar-%3E%3Eerror.is.null,pgrst_scalar-%3E%3Eerror.like.*%5C)',
	'?select=pgrst_scalar:pgrst_scalar-%3E%3Eerror::int',
	'?or=(to_jsonb-%3Epgrst_scalar-%3E%3Eerror.is.null,to_jsonb-%3Epgrst_scalar-%3E%3Eerror.like.*%5C)');
($status, $second) = rpc('refresh', { refresh_token => $alice->{refresh_token} });
my $recorded = sql($failures);
foreach my $filter (@filters)
{
	($status) = rpc("login$filter", { email => 'alice@example.org', password => $wrong_password });
	is($status, 400, 'a filtered login is refused');
	($status) = rpc("login$filter",
		{ email => 'alice@example.org', password => $password{'alice@example.org'} });
	is($status, 400, '... with the right password as well');
	($status) = rpc("refresh$filter", { refresh_token => $second->{refresh_token} });
	is($status, 400, '... and so is a filtered refresh');
}
is(sql($failures), $recorded, 'no password was looked at');
($status) = rpc('login?select=*&limit=1', { email => 'alice@example.org', password => $wrong_password });
is($status, 401, 'what filters nothing is let through');
($status, $second) = rpc('refresh', { refresh_token => $second->{refresh_token} });
is($status, 200, 'the refresh token is still good');

# Keys: one that waits is published already, and one that signs is accepted as
# soon as PostgREST has reloaded its configuration, which NOTIFY asks it to do

sub published
{
	my (undef, $jwks) = request('GET', '/rpc/jwks');

	return { map { $_->{kid} => $_ } @{ $jwks->{keys} } };
}

$alice = login('alice@example.org', $password{'alice@example.org'});
my $old_kid = header_of($alice->{access_token})->{kid};
my $pending_kid = sql("SELECT auth.create_key('ES256', activate_in => '1 hour')");
my $keys = published();
is_deeply(
	[ sort keys %$keys ],
	[ sort $old_kid, $pending_kid ],
	'the active and the pending key are published');
is_deeply([ grep { exists $_->{d} || exists $_->{k} } values %$keys ],
	[], '... their public halves alone');

my $between = login('alice@example.org', $password{'alice@example.org'});
is(header_of($between->{access_token})->{kid}, $old_kid, 'a pending key signs nothing');

my $new_kid = sql("SELECT auth.create_key('ES256', activate_in => '0')");
my $after = login('alice@example.org', $password{'alice@example.org'});
is(header_of($after->{access_token})->{kid}, $new_kid, 'the new key signs');

my $accepted = 0;
foreach (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
{
	($status) = request('GET', '/notes', $after->{access_token});
	last if $accepted = $status == 200;
	sleep 0.1;
}
ok($accepted, 'PostgREST takes the new key');
is_deeply(notes_of($after->{access_token}), ['buy milk'], '... and rows are seen with it');
is_deeply(notes_of($alice->{access_token}), ['buy milk'], 'tokens of the old key live on');

# A key that was brought along may have signed a role for ever, and nothing else.

my $old_system = sql("SELECT auth.jwk_generate('ES256', 'old')");
my $bare_role = sql("SELECT auth.jwt_sign('{\"role\": \"authenticated\"}', '$old_system'::jsonb)");
sql("SELECT auth.import_key('$old_system', activate => false)");
ok(wait_until(sub { ((request('GET', '/notes', $bare_role))[1]{details} // '') eq 'reason: missing_claim' }),
	'PostgREST takes what an imported key has signed, and pre_request() does not');
is(status_with("Bearer\t$bare_role"), 401, '... behind a tab neither');
is(status_with("Bearer $bare_role", 'Basic x'), 401, '... nor before another scheme');
is(status_with('Basic x'), 401, 'another scheme cannot be told from that');
sql("SELECT auth.revoke_key('old')");
is(status_with('Basic x'), 200, '... as long as there is such a key');

# What the logs say

$secrets{$_} = 'token' foreach $expired, $other_key, $bare_role;
foreach my $log ($node->logfile, $postgrest_log)
{
	my $text = slurp_file($log);
	my @leaks = map { $secrets{$_} } grep { index($text, $_) >= 0 } keys %secrets;

	is_deeply(\@leaks, [], "no secret in $log");
}

done_testing();
