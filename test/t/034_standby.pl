# Sessions and requests on a standby: it verifies, signs nobody in, and refuses
# what the primary has revoked as soon as it has replayed that; also behind
# PostgREST; and takes over.  Only two servers can show that.  (011 has the keys.)
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

my ($postgrest, $api);
my $postgrest_log = "$PostgreSQL::Test::Utils::tmp_check/postgrest.log";

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', <<'CONF');
log_statement = none
jwt_auth.bcrypt_cost = 4
min_parallel_table_scan_size = 0
parallel_setup_cost = 0
parallel_tuple_cost = 0
CONF
$primary->start;

END
{
	my $status = $?;

	$postgrest->kill_kill if $postgrest;
	$? = $status;
}

sub sql
{
	return $primary->safe_psql('postgres', $_[0]);
}

sql('CREATE EXTENSION jwt_auth CASCADE');
my $conf = sql('SELECT auth.create_api()');
sql(<<'SQL');
CREATE TABLE api.notes (owner uuid NOT NULL DEFAULT auth.uid(), body text);
ALTER TABLE api.notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON api.notes USING (owner = auth.uid());
GRANT SELECT, INSERT ON api.notes TO authenticated, anon;
SELECT auth.register(name || '@example.com', 'correct horse', name) FROM unnest('{ann,bob}'::text[]) name;
INSERT INTO api.notes SELECT id, username FROM auth.users, generate_series(1, 1000);
ANALYZE api.notes;
-- "ok", or the reason
CREATE FUNCTION try(token text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	reason text;
BEGIN
	PERFORM auth.authenticate(token);
	RETURN 'ok';
EXCEPTION WHEN invalid_authorization_specification THEN
	GET STACKED DIAGNOSTICS reason = PG_EXCEPTION_DETAIL;
	RETURN reason;
END
$$;
-- the same through pre_request(), as PostgREST calls it
CREATE FUNCTION try_request(token text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('request.headers', json_build_object('authorization', 'Bearer ' || token)::text, true);
	PERFORM auth.pre_request();
	RETURN 'ok';
EXCEPTION WHEN SQLSTATE 'PGRST' THEN
	RETURN SQLERRM::json ->> 'details';
END
$$;
GRANT EXECUTE ON FUNCTION try, try_request TO PUBLIC;
SQL

sub login
{
	my ($name) = @_;

	return decode_json(sql("SELECT auth.login(username => '$name', password => 'correct horse')"));
}

my $ann = login('ann');
my $bob = login('bob');
my $ann_id = $ann->{user}{id};

$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
chmod 0600, $standby->data_dir . '/jwt_auth.key';	# the copy that the framework made
$standby->start;
$primary->wait_for_catchup($standby);
($postgrest, $api) = start_postgrest($standby, "$conf\ndb-channel-enabled = false", $postgrest_log);

sub on_standby
{
	return $standby->safe_psql('postgres', $_[0]);
}

# A session on the standby that stays, as an ordinary role
sub session
{
	my ($begin) = @_;
	my $session = $standby->background_psql('postgres', on_error_stop => 0);

	$session->query_safe('SET ROLE authenticated');
	$session->query_safe($begin) if $begin;
	return $session;
}

# Status, body and headers of a request to PostgREST before the standby
sub request
{
	my ($method, $path, $token, $body) = @_;
	my %headers = ('Content-Type' => 'application/json');

	$headers{Authorization} = "Bearer $token" if defined $token;
	my $answer = HTTP::Tiny->new->request($method, $api . $path,
		{ headers => \%headers, content => defined $body ? encode_json($body) : '' });
	my $json = eval { JSON::PP->new->utf8->allow_nonref->decode($answer->{content}) };
	return ($answer->{status}, $json, $answer->{headers});
}

#
# What is read works
#

my $parallel = on_standby("SELECT name FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query')");
my $rows = 'SELECT count(*), min(body), max(body), min(auth.email()), min(auth.uid()::text) FROM api.notes';
foreach my $level ('READ COMMITTED', 'REPEATABLE READ')
{
	foreach my $mode (qw(off on))
	{
		my $session = session("BEGIN ISOLATION LEVEL $level");

		$session->query_safe("SET LOCAL $parallel = $mode");
		is($session->query("SELECT try('$ann->{access_token}')"), 'ok', "authenticate() at $level");
		is($session->query($rows), "1000|ann|ann|ann\@example.com|$ann_id", "... policies, parallel $mode");
		is($session->query("SELECT try('$bob->{access_token}x')"), 'reason: bad_encoding', '... a bad token');
		is($session->query($rows), '0||||', '... leaves nobody');
		is($session->query("SELECT try_request('$ann->{access_token}')"), 'ok', '... pre_request()');
		is($session->query($rows), "1000|ann|ann|ann\@example.com|$ann_id", '... policies after it');
		$session->quit;
	}
}
my $sign_in = "DO \$\$ BEGIN PERFORM auth.authenticate('$ann->{access_token}', false); END \$\$";
is(on_standby(<<"SQL"), 't|ann|authenticated|t|ann|1', 'readers, me() and sessions()');
	$sign_in;
	SELECT auth.jwt_verify('$ann->{access_token}') = auth.jwt(), split_part(auth.claim('email'), '\@', 1), auth.role(),
		   auth.session_id()::text = auth.claim('sid'), auth.me() ->> 'username', (SELECT count(*) FROM auth.sessions())
SQL
is(on_standby('SELECT auth.jwks()'), sql('SELECT auth.jwks()'), 'jwks()');
is(on_standby("SELECT auth.introspect('$ann->{access_token}') ->> 'active', auth.introspect('$ann->{refresh_token}') ->> 'active'"),
	'true|true', 'introspect()');

#
# What writes says that it cannot
#

foreach my $call ("login('ann\@example.com', 'correct horse')", "login('ann\@example.com', 'wrong')",
	"register('eve\@example.com', 'correct horse')", "refresh('$ann->{refresh_token}')",
	"token('password', 'ann', 'correct horse')", "token('refresh_token', refresh_token => '$ann->{refresh_token}')",
	"login_with_id_token('x')", "create_session('$ann_id')", "change_password('correct horse', 'battery staple')",
	"update_me('{}')")
{
	my $name = $call =~ s/\(.*//r;

	is(on_standby(<<"SQL"), 'temporarily_unavailable|read_only_replica|503|t', "$name() answers 503");
		$sign_in;
		BEGIN;
		SELECT answer ->> 'error', answer ->> 'error_code', current_setting('response.status'),
			   current_setting('response.headers')::jsonb \@> '[{"Retry-After": "10"}]'
		FROM auth.$call answer;
		COMMIT
SQL
}
foreach my $call ("rotate_refresh_token('$ann->{refresh_token}')", "revoke_refresh_token('$ann->{refresh_token}')",
	'logout()', "logout('session')", "logout('others')", 'revoke_session(auth.session_id())',
	"set_active('$ann_id', false)", "set_password('$ann_id', 'battery staple')", "set_app_metadata('$ann_id', '{}')",
	"revoke_sessions('$ann_id')", "unlock_user('$ann_id')", "delete_user('$ann_id')", "create_user('eve\@example.com')",
	"set_client('app')", "drop_client('app')", 'prune()', 'create_api()')
{
	my ($status, $stdout, $stderr) = $standby->psql('postgres', "\\set VERBOSITY sqlstate\n$sign_in;\nSET jwt_auth.audit = 'none';\nSELECT auth.$call");

	like($stderr, qr/ERROR:  25006$/, "$call raises 25006");
}

#
# Behind PostgREST
#

my ($status, $json, $headers) = request('GET', '/notes?select=body&limit=1', $ann->{access_token});
is_deeply([ $status, $json ], [ 200, [ { body => 'ann' } ] ], 'PostgREST: rows');
is((request('GET', '/notes'))[0], 200, 'PostgREST: anonymous');
is((request('GET', '/notes', "$ann->{access_token}x"))[0], 401, 'PostgREST: a bad token');
is((request('GET', '/rpc/me', $ann->{access_token}))[1]{username}, 'ann', 'PostgREST: me()');
($status, $json, $headers) = request('GET', '/rpc/refresh?refresh_token=x');
is("$status $json->{error}", '503 temporarily_unavailable', 'PostgREST: what would write is 503');
like(join(' ', ref $headers->{'retry-after'} ? @{ $headers->{'retry-after'} } : $headers->{'retry-after'}), qr/\b10\b/,
	'... with Retry-After');
# PostgREST begins a POST with BEGIN READ WRITE, which the server refuses.
($status, $json) = request('POST', '/rpc/login', undef, { email => 'ann@example.com', password => 'correct horse' });
is("$status $json->{code}", '400 0A000', 'PostgREST: a POST does not get as far as us');

#
# What the primary takes back is refused here as soon as it has been replayed, in
# sessions that have taken the same token before
#

my %sessions = (
	'a session' => session(),
	'a transaction' => session('BEGIN'),
	'a REPEATABLE READ transaction' => session('BEGIN ISOLATION LEVEL REPEATABLE READ'));

sub everywhere
{
	my ($token, $expected, $name) = @_;

	$primary->wait_for_catchup($standby);
	foreach (sort keys %sessions)
	{
		is($sessions{$_}->query("SELECT try('$token')"), $expected, "$name, in $_");
		is($sessions{$_}->query("SELECT try_request('$token')"), $expected, '... and pre_request()');
	}
	is((request('GET', '/notes?limit=1', $token))[0], $expected eq 'ok' ? 200 : 401, '... and PostgREST');
}

everywhere($ann->{access_token}, 'ok', 'a live session');
sql("BEGIN; SELECT auth.revoke_sessions('$ann_id'); ROLLBACK");
everywhere($ann->{access_token}, 'ok', 'a revocation that was rolled back');
sql("SELECT auth.revoke_refresh_token('$ann->{refresh_token}')");
everywhere($ann->{access_token}, 'reason: session_ended', 'a revoked session');
is(on_standby("SELECT auth.introspect('$ann->{access_token}'), auth.introspect('$ann->{refresh_token}')"),
	'{"active": false}|{"active": false}', 'introspect() knows');
everywhere($bob->{access_token}, 'ok', 'the sessions of others');

$ann = login('ann');
everywhere($ann->{access_token}, 'ok', 'a new session');
sql("SELECT auth.set_active('$ann_id', false)");
everywhere($ann->{access_token}, 'reason: user_inactive', 'a disabled account');
sql("SELECT auth.set_active('$ann_id', true)");

$ann = login('ann');
my $rotated = decode_json(sql("SELECT auth.refresh('$ann->{refresh_token}')"));
everywhere($rotated->{access_token}, 'ok', 'after a rotation');
sql("SET jwt_auth.refresh_reuse_grace = 0; SELECT auth.refresh('$ann->{refresh_token}')");
everywhere($rotated->{access_token}, 'reason: session_ended', 'a reused token');

my $kid = sql("SELECT kid FROM auth.key_status WHERE purpose = 'access' AND state = 'active'");
sql("SELECT auth.rotate_key(activate_in => '0')");
everywhere($bob->{access_token}, 'ok', 'the key before');
sql("SELECT auth.revoke_key('$kid')");
everywhere($bob->{access_token}, 'reason: unknown_kid', 'a revoked key');
$_->quit foreach values %sessions;

# A page that reads here, a moment after it has signed in there, keeps its cookie.
sub cookie_fate
{
	my ($server, $cookie) = @_;
	my (undef, $stdout, $stderr) = $server->psql('postgres', <<"SQL");
SELECT set_config('request.method', 'GET', false) = set_config('request.cookies', '{"__Host-jwt_auth": "$cookie"}', false);
SELECT auth.pre_request()
SQL

	return join ' ', $stderr =~ /reason: (\w+)/, $stderr =~ /"Set-Cookie":"(__Host-jwt_auth=;)/;
}

sql("SELECT auth.set_client('web', cookies => true)");
$primary->wait_for_catchup($standby);
on_standby('SELECT pg_wal_replay_pause()');
sql(<<'SQL') =~ /__Host-jwt_auth=([^;]+)/;
BEGIN;
SELECT set_config('request.headers', '{"content-type": "application/json"}', true);
DO $$ BEGIN PERFORM auth.login(username => 'ann', password => 'correct horse', client_id => 'web'); END $$;
SELECT current_setting('response.headers');
COMMIT
SQL
my $cookie = $1;
is(cookie_fate($standby, $cookie), 'session_ended', 'a cookie whose session has not been replayed yet is not taken back');
on_standby('SELECT pg_wal_replay_resume()');
sql("SELECT auth.revoke_sessions('$ann_id')");
is(cookie_fate($primary, $cookie), 'session_ended __Host-jwt_auth=;', '... as it is where its end is certain');

# The first key is the primary's to make.
sql('TRUNCATE auth.keys');
$primary->wait_for_catchup($standby);
my (undef, undef, $stderr) = $standby->psql('postgres', "SELECT auth.jwt_sign('{}')");
like($stderr, qr/there is no key to sign with/, 'without a key, none is made');
is(on_standby('SELECT auth.jwks()'), '{"keys": []}', '... nor published');

# PostgREST cannot LISTEN on a standby, so somebody has to tell it of new keys.
$bob = login('bob');
$primary->wait_for_catchup($standby);
is(on_standby("SELECT try('$bob->{access_token}')"), 'ok', 'a token of the new key');
is((request('GET', '/notes?limit=1', $bob->{access_token}))[0], 401, 'PostgREST does not know the key');
$postgrest->signal('USR2');
ok(wait_until(sub { (request('GET', '/notes?limit=1', $bob->{access_token}))[0] == 200 }), '... until it is told to reload');

#
# Promotion
#

my $session = session();
is($session->query("SELECT try('$bob->{access_token}')"), 'ok', 'before promotion');
$standby->promote;
is($session->query("SELECT try('$bob->{access_token}')"), 'ok', 'after promotion the same session goes on');
$session->quit;
($status, $json) = request('POST', '/rpc/login', undef, { email => 'ann@example.com', password => 'correct horse' });
is($status, 200, '... and login answers');
is((request('GET', '/notes?limit=1', $json->{access_token}))[0], 200, '... with a token that is good');
($status, $json) = request('POST', '/rpc/refresh', undef, { refresh_token => $bob->{refresh_token} });
is($status, 200, '... and a session of before is refreshed');
is(on_standby("SELECT auth.revoke_sessions('$bob->{user}{id}')"), '2', '... and can be ended');

done_testing();
