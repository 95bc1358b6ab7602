# Sessions in cookies, through a real PostgREST: that it hands cookies over, sends
# several of them back, and keeps the role that pre_request() switches to, shows
# with the real one alone.
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

my $postgrest_log = "$PostgreSQL::Test::Utils::tmp_check/postgrest.log";
my ($postgrest, $api);

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', <<'CONF');
log_statement = none
jwt_auth.issuer = 'https://test.example'
jwt_auth.bcrypt_cost = 4
jwt_auth.refresh_reuse_grace = 0
CONF
$node->start;

END
{
	my $status = $?;

	$postgrest->kill_kill if $postgrest;
	$? = $status;
}

sub sql
{
	return $node->safe_psql('postgres', $_[0]);
}

#
# A browser: it keeps cookies, and sends those whose path fits
#

my %secrets;

sub keep_cookies
{
	my ($jar, $answer) = @_;
	my $set = $answer->{headers}{'set-cookie'} // [];

	foreach my $cookie (ref $set ? @$set : $set)
	{
		my ($name, $value, $path, $max_age) = $cookie =~ /^([^=]+)=([^;]*); Path=([^;]*).*; Max-Age=(\d+)/
		  or die "cookie: $cookie";

		delete $jar->{$name};
		next unless $max_age;
		$jar->{$name} = { value => $value, path => $path, max_age => $max_age, text => $cookie };
		$secrets{$value} = 1 unless $name =~ /csrf/;
	}
}

sub cookies_for
{
	my ($jar, $path) = @_;

	return map { "$_=$jar->{$_}{value}" } grep { $path =~ /^\Q$jar->{$_}{path}/ } sort keys %$jar;
}

sub csrf_of
{
	my ($jar) = @_;

	return (map { $jar->{$_}{value} } grep { /-csrf$/ } keys %$jar)[0];
}

# Sends a request with the cookies of a jar, and keeps those of the answer: its
# status, its body (decoded where it is JSON), its headers.
sub send_request
{
	my ($jar, $method, $path, $body, %headers) = @_;
	my @cookies = cookies_for($jar, $path);

	$headers{'Content-Type'} //= 'application/json' if ref $body;
	$headers{Cookie} = join '; ', @cookies if @cookies;
	my $answer = HTTP::Tiny->new->request($method, $api . $path,
		{ headers => \%headers, content => ref $body ? encode_json($body) : $body // '' });

	keep_cookies($jar, $answer);
	return ($answer->{status}, eval { JSON::PP->new->utf8->allow_nonref->decode($answer->{content}) }, $answer->{headers});
}

# The same with the CSRF token, as a page of the application's does
sub fetch
{
	my ($jar, $method, $path, $body, %headers) = @_;
	my $csrf = csrf_of($jar);

	return send_request($jar, $method, $path, $body, %headers, defined $csrf ? ('X-CSRF-Token' => $csrf) : ());
}

sub login
{
	my ($name) = @_;
	my $jar = {};
	my ($status) = send_request($jar, 'POST', '/rpc/login', { email => "$name\@example.com", password => 'correct horse' });

	is($status, 200, "$name signs in");
	return $jar;
}

sub who
{
	my ($jar, %headers) = @_;
	my ($status, $json) = send_request($jar, 'GET', '/rpc/who', undef, %headers);

	return $status == 200 ? $json : "$status " . ($json->{details} // '');
}

# A jar with these cookies alone
sub jar
{
	my (%values) = @_;

	return { map { $_ => { value => $values{$_}, path => '/' } } keys %values };
}

sub copy
{
	return { %{ $_[0] } };
}

#
# Set-up: browsers are served from schema api, others from schema mobile
#

sql('CREATE EXTENSION jwt_auth CASCADE');
sql("SELECT auth.set_client('web', cookies => true)");
my $conf = sql("SELECT auth.create_api(client_id => 'web')");
sql("SELECT auth.create_api('mobile')");
sql(<<'SQL');
CREATE TABLE api.notes (
	id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	owner uuid NOT NULL DEFAULT auth.uid(),
	note text NOT NULL
);
ALTER TABLE api.notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_notes ON api.notes USING (owner = auth.uid());
GRANT SELECT, INSERT, UPDATE, DELETE ON api.notes TO authenticated;
CREATE ROLE editor;
CREATE ROLE stranger;
GRANT editor TO authenticator;
GRANT USAGE ON SCHEMA api TO editor;
CREATE FUNCTION api.who() RETURNS text LANGUAGE sql STABLE AS $$ SELECT concat(current_user, ' ', auth.email()) $$;
SELECT auth.register(name || '@example.com', 'correct horse') FROM unnest('{ann,bob}'::text[]) name;
SQL
$conf =~ s/db-schemas = "api"/db-schemas = "api, mobile"/;
($postgrest, $api) = start_postgrest($node, $conf, $postgrest_log);

my ($access, $refresh, $csrf) = ('__Host-jwt_auth', '__Secure-jwt_auth-refresh', '__Host-jwt_auth-csrf');
my ($status, $json, $headers);

#
# What login answers, and to whom
#

my $ann = {};
my $month = qr/25(?:92000|9199\d)/;		# seconds; the first may have passed
my %right = (email => 'ann@example.com', password => 'correct horse');
($status, $json, $headers) = send_request($ann, 'POST', '/rpc/login', \%right);
is($status, 200, 'a login');
is_deeply([ sort keys %$json ], [ 'csrf_token', 'expires_in', 'user' ], '... whose body has no token but that against CSRF');
is($json->{csrf_token}, csrf_of($ann), '... which is also in its cookie');
is($headers->{'cache-control'}, 'no-store', '... and is not kept');
is_deeply([ sort keys %$ann ], [ sort $access, $refresh, $csrf ], 'three cookies');
like($ann->{$access}{text}, qr{^[^;]*; Path=/; Max-Age=$month; Secure; HttpOnly; SameSite=Strict$}, 'the access cookie');
like($ann->{$refresh}{text}, qr{^[^;]*; Path=/rpc/refresh; Max-Age=$month; Secure; HttpOnly; SameSite=Strict$}, 'the refresh cookie');
like($ann->{$csrf}{text}, qr{^[^;]*; Path=/; Max-Age=$month; Secure; SameSite=Strict$}, 'the CSRF cookie, which scripts may read');

my $typed = {};
send_request($typed, 'POST', '/rpc/login', encode_json(\%right), 'Content-Type' => 'application/json; charset=utf-8');
is(scalar keys %$typed, 3, 'a charset makes no difference');

# What a page of any site can have a browser send without being asked
my $from_form = {};
($status, $json) = send_request($from_form, 'POST', '/rpc/login', HTTP::Tiny->new->www_form_urlencode(\%right),
	'Content-Type' => 'application/x-www-form-urlencoded');
is("$status @{[ keys %$from_form ]}", '200 ', 'no cookies in answer to a form');
ok($json->{access_token} && $json->{refresh_token}, '... but tokens');
IPC::Run::run([ 'curl', '-s', '-i', '-H', 'Content-Type:', '-d', encode_json(\%right), "$api/rpc/login" ], '>', \my $answer);
like($answer, qr/^HTTP\S* 200 .*"access_token"/s, 'the same for JSON that does not say so');
unlike($answer, qr/^Set-Cookie/im, '... which PostgREST takes for JSON all the same');

my $none = {};
($status, my $bearer) = send_request($none, 'POST', '/rpc/login', \%right, 'Content-Profile' => 'mobile');
is("$status @{[ keys %$none ]}", '200 ', 'no cookies for a client without');
ok($bearer->{access_token} && $bearer->{refresh_token}, '... but tokens');
($status, $json) = send_request({}, 'POST', '/rpc/login', { %right, password => 'wrong' });
is("$status $json->{error_code}", '401 invalid_credentials', 'a wrong password');

#
# Whose request it is
#

is(who($ann), 'authenticated ann@example.com', 'a cookie signs its owner in, with the role');
is(who({}), 'anon ', 'no cookie is anonymous, also on the same connection');
is(who(jar($access => '')), 'anon ', 'an empty one too');
(undef, undef, $headers) = send_request($ann, 'GET', '/notes');
is($headers->{'cache-control'}, 'private', 'no shared cache keeps the answer');
is(who($ann, Authorization => "Bearer $bearer->{access_token}"), 'authenticated ann@example.com', 'a header with a cookie');
is(who($ann, Authorization => 'Basic eDp5'), 'anon ', 'any Authorization header wins');
is(who($ann, Authorization => 'Bearer x'), '401 ', '... a bad one too');
is(who({}, Cookie => "$access=x; $access=$ann->{$access}{value}"), 'authenticated ann@example.com', 'of two cookies of a name the last counts');

my $bob = login('bob');
my %bad = (
	'garbage' => [ 'x', 'malformed' ],
	'a bearer token' => [ $bearer->{access_token}, 'wrong_token_type' ],
	'the refresh cookie' => [ $bob->{$refresh}{value}, 'wrong_token_type' ]);
foreach my $what (sort keys %bad)
{
	my ($value, $reason) = @{ $bad{$what} };
	my $jar = jar($access => $value);

	($status, $json, $headers) = send_request($jar, 'GET', '/rpc/who');
	is("$status $json->{details}", "401 reason: $reason", "$what as access cookie");
	like($headers->{'www-authenticate'}, qr/^Bearer error="invalid_token"/, '... WWW-Authenticate');
	is_deeply($jar, {}, '... and it is taken back');
	($status) = send_request(jar($access => $value), 'POST', '/rpc/login', \%right);
	is($status, 200, '... and keeps nobody from signing in');
}

my $expired = sql(<<"SQL");
SELECT auth.jwt_sign((auth.jwt_decode('$ann->{$access}{value}')).payload || '{"exp": 1000000000, "iat": 1000000000}')
SQL
my $stale = { %$ann, $access => { value => $expired, path => '/' } };
is(who($stale), '401 reason: token_expired', 'an expired token is not anonymous');
is(who($stale), '401 reason: token_expired', '... and not the next time');
is(who($stale, 'Sec-Fetch-Dest' => 'empty'), '401 reason: token_expired', '... which a script is told');
is(who($stale, 'Sec-Fetch-Dest' => $_), 'anon ', "... but keeps no $_ away") foreach 'document', 'script', 'style';
is(who(jar($access => 'x'), 'Sec-Fetch-Dest' => 'document'), 'anon ', '... nor does one that is no token');
($status) = fetch($stale, 'POST', '/rpc/who', {}, 'Sec-Fetch-Dest' => 'document');
is($status, 401, '... while a form is refused');
is(who($ann, 'Sec-Fetch-Dest' => 'document'), 'authenticated ann@example.com', 'a page is shown to whom the cookie signs in');
($status) = fetch($stale, 'POST', '/rpc/refresh', {});
is($status, 200, '... until it is refreshed');
is(who($stale), 'authenticated ann@example.com', '... and good again');
my $early = sql(<<"SQL");
SELECT auth.jwt_sign((auth.jwt_decode('$ann->{$access}{value}')).payload || '{"iat": 4000000000, "exp": 4000000900}')
SQL
my $ahead = jar($access => $early);
is(who($ahead), '401 reason: issued_in_future', 'a token of a clock that is ahead');
is($ahead->{$access}{value}, $early, '... stays, since it will be good');
$ann = login('ann');
$stale = jar($access => $expired);
($status, $json) = send_request($stale, 'POST', '/rpc/refresh', {});
is("$status $json->{error_code}", '400 validation_failed', 'where there is nothing to refresh with');
is_deeply($stale, {}, '... it goes');

#
# Writing takes the CSRF token of the session
#

my %note = (note => 'buy milk');
sub is_forged
{
	my ($what, @request) = @_;

	($status, $json) = send_request(@request);
	is("$status " . ($json->{details} // ''), '403 reason: bad_csrf_token', $what);
}

is_forged('a write without CSRF token', $ann, 'POST', '/notes', \%note);
is_forged('... as a form', $ann, 'POST', '/notes', 'note=x', 'Content-Type' => 'application/x-www-form-urlencoded');
is_forged('... with an empty one', $ann, 'POST', '/notes', \%note, 'X-CSRF-Token' => '');
is_forged('... with one letter wrong', $ann, 'POST', '/notes', \%note, 'X-CSRF-Token' => csrf_of($ann) =~ s/.$/./r);
is_forged("... with Bob's", $ann, 'POST', '/notes', \%note, 'X-CSRF-Token' => csrf_of($bob));
is_forged("... with Bob's, and his cookie", { %$ann, $csrf => $bob->{$csrf} }, 'POST', '/notes', \%note, 'X-CSRF-Token' => csrf_of($bob));
is_forged('a deletion', $ann, 'DELETE', '/notes?id=gt.0');
is_forged('a function that reads', $ann, 'POST', '/rpc/who', {});
is_forged('a logout', $ann, 'POST', '/rpc/logout', {});
($status) = fetch($ann, 'POST', '/notes', \%note);
is($status, 201, 'a write with it');
($status) = fetch($bob, 'PATCH', '/notes?id=gt.0', { note => 'mine now' });
is(sql("SELECT string_agg(note, ',') FROM api.notes"), 'buy milk', 'to what is their own');
($status) = send_request({}, 'POST', '/rpc/who', {}, Authorization => "Bearer $bearer->{access_token}");
is($status, 200, 'a bearer needs none');

($status, $json) = fetch($ann, 'GET', '/rpc/logout');
is("$status $json->{code}", '405 25006', 'GET on a function that writes');
is(who($ann), 'authenticated ann@example.com', '... which has not been run');

#
# Which roles a cookie lends
#

sub who_with_role
{
	my ($role) = @_;

	# past set_user_role(), which would refuse some of them
	sql("UPDATE auth.users SET role = '$role' WHERE email = 'bob\@example.com'");
	return who(login('bob'));
}

is(who_with_role('editor'), 'editor bob@example.com', 'a role granted to the authenticator');
is(who_with_role($_), '403 reason: role_not_allowed', "not $_") foreach 'stranger', 'postgres', 'authenticator', 'missing';
is(who_with_role('authenticated'), 'authenticated bob@example.com', 'and back');

sql('CREATE ROLE eve LOGIN');
my $claims = $node->safe_psql('postgres', <<"SQL", extra_params => [ '-U', 'eve', '-v', 'ON_ERROR_STOP=0' ]);
BEGIN;
SELECT set_config('request.method', 'GET', true) = '', set_config('request.cookies', '{"$access": "$ann->{$access}{value}"}', true) = '';
SAVEPOINT s;
SELECT auth.pre_request();
ROLLBACK TO s;
SELECT current_user, auth.uid() IS NULL;
SQL
like($claims, qr/^eve\|t$/m, 'who has SQL gets no role that is not theirs');

#
# Refresh
#

($status, $json) = send_request(copy($ann), 'POST', '/rpc/refresh', {});
is("$status $json->{error_code}", '403 bad_csrf_token', 'a refresh without CSRF token');
($status, $json) = send_request(copy($ann), 'POST', '/rpc/refresh', {}, 'X-CSRF-Token' => csrf_of($bob));
is("$status $json->{error_code}", '403 bad_csrf_token', "... with somebody else's");
($status, $json) = send_request({}, 'POST', '/rpc/refresh', {});
is("$status $json->{error_code}", '400 validation_failed', '... without any token');

my $old = copy($ann);
($status, $json) = fetch($ann, 'POST', '/rpc/refresh');
is($status, 200, 'a refresh');
ok(!exists $json->{access_token} && !exists $json->{refresh_token}, '... whose body has no tokens');
isnt($ann->{$_}{value}, $old->{$_}{value}, "... renews $_") foreach $access, $refresh;
is(csrf_of($ann), csrf_of($old), '... and leaves the CSRF token to other tabs');
is(who($ann), 'authenticated ann@example.com', '... and they are good');
($status) = fetch($ann, 'POST', '/notes', { note => 'second' });
is($status, 201, '... for writing too');

($status, $json) = fetch(copy($ann), 'POST', '/rpc/refresh', { refresh_token => $bearer->{refresh_token} });
ok($json->{access_token} && $json->{refresh_token}, 'a token in the body is answered in the body');

($status, $json) = fetch($old, 'POST', '/rpc/refresh');
is("$status $json->{error_code}", '403 refresh_token_already_used', 'a refresh cookie that comes back');
is_deeply($old, {}, '... has the browser forget all');
is(who($ann), '401 reason: session_ended', '... and ends the session at once');

#
# Logout
#

$ann = login('ann');
my $elsewhere = login('ann');
($status, $json) = fetch($ann, 'POST', '/rpc/logout', { scope => 'others' });
is(scalar keys %$ann, 3, 'who ends other sessions keeps the cookies');
is(who($elsewhere), '401 reason: session_ended', '... and the others are over');
my $kept = copy($ann);
($status, $json) = fetch($ann, 'POST', '/rpc/logout', { scope => 'session' });
is("$status $json", '200 1', 'a logout');
is_deeply($ann, {}, '... clears the cookies');
is(who($kept), '401 reason: session_ended', '... and what was copied before is worth nothing');
($status) = send_request({}, 'POST', '/rpc/logout', {});
is($status, 401, 'a logout without cookies');

$ann = login('ann');
sql("SELECT auth.revoke_sessions(id) FROM auth.users WHERE email = 'ann\@example.com'");
is(who($ann), '401 reason: session_ended', 'a session that is revoked from elsewhere is over by the next request');

#
# Settings and clients
#

sub set
{
	my ($line) = @_;

	$node->append_conf('postgresql.conf', $line);
	$node->reload;
}

# The cookies of logins, once they fit: connections hear of a reload in their time
sub wait_for_cookies
{
	my ($fits) = @_;
	my $jar;

	wait_until(sub { $jar = {}; send_request($jar, 'POST', '/rpc/login', \%right); $fits->($jar) });
	return join ' ', map { $jar->{$_}{text} =~ s/=[^;]*;/;/r =~ s/; Max-Age=\d+//r } sort keys %$jar;
}

set("jwt_auth.cookie_domain = 'example.com'\njwt_auth.cookie_samesite = none\njwt_auth.base_path = '/app/'\njwt_auth.cookie_name = 'sid'");
is(wait_for_cookies(sub { grep { /^__Secure-sid-csrf$/ } keys %{ $_[0] } }),
	'__Secure-sid; Path=/; Domain=example.com; Secure; HttpOnly; SameSite=None '
	. '__Secure-sid-csrf; Path=/; Domain=example.com; Secure; SameSite=None '
	. '__Secure-sid-refresh; Path=/app/rpc/refresh; Domain=example.com; Secure; HttpOnly; SameSite=None',
	'a domain, a name, a path and SameSite');
($status, $json) = send_request({}, 'GET', '/');
is("$json->{servers}[0]{url} $json->{components}{securitySchemes}{password}{flows}{password}{tokenUrl}",
	'/app /app/rpc/token', 'the path is in the OpenAPI document too');
set("jwt_auth.cookie_domain = ''\njwt_auth.cookie_samesite = lax\njwt_auth.base_path = ''\njwt_auth.cookie_name = 'jwt_auth'");
like(wait_for_cookies(sub { $_[0]{$access} && $_[0]{$access}{text} =~ /Lax/ }), qr/^\Q$access\E; Path=\/; Secure; HttpOnly; SameSite=Lax/, 'and back');

foreach ([ cookie_name => 'a;b' ], [ cookie_name => '' ], [ cookie_name => 'a"b' ], [ cookie_domain => 'x; Path=/' ],
	[ base_path => 'app' ], [ base_path => "/a\nb" ], [ cookie_samesite => 'x' ])
{
	my ($name, $value) = @$_;
	my (undef, undef, $error) = $node->psql('postgres', "SELECT auth.uid(); SET jwt_auth.$name = '$value'");

	like($error, qr/invalid value for parameter "jwt_auth.$name"/, "$name cannot be '$value'");
}

sql("SELECT auth.set_client('web', cookies => true, refresh_tokens => false)");
$ann = login('ann');
is_deeply([ map { "$_ $ann->{$_}{max_age}" } sort keys %$ann ], [ "$access 900", "$csrf 900" ], 'a client without refresh tokens');
sql("SELECT auth.set_app_metadata(id, jsonb_build_object('x', repeat('x', 4000))) FROM auth.users WHERE email = 'ann\@example.com'");
($status, $json) = send_request({}, 'POST', '/rpc/login', \%right);
is("$status $json->{message}", '413 token is too large for a cookie', 'a token that no browser would keep');
sql("SELECT auth.set_app_metadata(id, '{}') FROM auth.users WHERE email = 'ann\@example.com'");

sql("SELECT auth.set_client('web', cookies => false)");
($status, $json) = send_request(copy($ann), 'POST', '/rpc/login', \%right);
ok($json->{access_token}, 'a client without cookies gets tokens again');
is(who($ann), 'anon ', '... and where no client has any they are not looked at');

set('jwt_auth.cookies = on');
ok(wait_until(sub { who($ann) ne 'anon ' }), 'the setting has them looked at');
my $mobile = {};
send_request($mobile, 'POST', '/rpc/login', \%right, 'Content-Profile' => 'mobile');
is(scalar keys %$mobile, 3, '... and gives them to a client that says nothing');
($status, $json) = send_request({}, 'POST', '/rpc/login', \%right);
ok($json->{access_token}, '... but not to one that says no');

#
# What the logs say
#

foreach my $log ($node->logfile, $postgrest_log)
{
	my $text = slurp_file($log);

	is(scalar(grep { index($text, $_) >= 0 } keys %secrets), 0, "no token in $log");
}

done_testing();
