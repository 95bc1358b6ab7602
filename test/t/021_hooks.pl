# docs/your_users.md as it stands there, in a database of the name that it
# says, and what the server's log has of a hook that fails: its settings count
# for new connections alone, and no session can read the log.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', q{
log_statement = none
log_min_error_statement = error
log_error_verbosity = verbose
log_parameter_max_length_on_error = -1
jwt_auth.bcrypt_cost = 4
jwt_auth.max_failed_logins = 0
});
$node->start;
$node->safe_psql('postgres', 'CREATE ROLE authenticated; CREATE DATABASE app');
$node->safe_psql('app', 'SET client_min_messages = error; CREATE EXTENSION jwt_auth CASCADE');

my $docs = slurp_file('docs/your_users.md');

# The SQL of the section with this heading, each block as it is.
sub run_section
{
	my ($heading) = @_;
	my ($section) = $docs =~ /^## \Q$heading\E\n(.*?)(?=^## |\z)/ms;
	my @blocks = $section =~ /^```sql\n(.*?)^```/msg;

	cmp_ok(scalar @blocks, '>', 0, "$heading: there is something to run");
	$node->safe_psql('app', $_) foreach @blocks;
}

sub sql
{
	my ($sql) = @_;
	return $node->safe_psql('app', $sql);
}

# What a login comes to: the error code, or whose it is.
sub login
{
	my ($arguments) = @_;
	return sql("SELECT coalesce(r ->> 'error_code', r #>> '{user,id}') FROM auth.login($arguments) r");
}

# Rows of a policy's table, as a person of this login sees them.
sub sees
{
	my ($arguments, $query) = @_;
	my $token = sql("SELECT auth.login($arguments) ->> 'access_token'");
	return sql("BEGIN; SET LOCAL ROLE authenticated; SELECT auth.authenticate('$token') \\g /dev/null\n$query; COMMIT");
}

$docs =~ /^```sql\n(.*?)^```/ms;
sql($1);

#
# Users with a uuid
#

run_section('Users with a uuid');
my $ann = '00000000-0000-4000-8000-000000000001';
sql(qq{
	INSERT INTO app.users (id, email, password_hash) SELECT '$ann', 'Ann\@example.com', overlay(crypt('correct horse', gen_salt('bf', 4)) placing '\$2b\$' from 1 for 4);
	INSERT INTO app.users (email, password_hash) VALUES ('never\@example.com', crypt('correct horse', gen_salt('bf', 4))), ('long\@example.com', crypt(repeat('x', 72), gen_salt('bf', 4)))});
is(login(q{'ann@example.com', 'correct horse'}), $ann, 'who is in the table logs in');
is(login(q{'ann@example.com', 'wrong horse'}), 'invalid_credentials', 'with no other password');
is(login(q{'nobody@example.com', 'correct horse'}), 'invalid_credentials', 'and nobody else');
isnt(login(q{'long@example.com', repeat('x', 72)}), 'invalid_credentials', '72 bytes of a password count');
is(login(q{'long@example.com', repeat('x', 73)}), 'invalid_credentials', 'and 73 do not match');
is(sql(q{SELECT auth.register('new@example.com', 'correct horse') ->> 'error_code'}), 'signup_disabled', 'registration is closed');
sql(q{SELECT auth.create_user('boss@example.com', 'battery staple')});
isnt(login(q{'boss@example.com', 'battery staple'}), 'invalid_credentials', 'an account with a password here goes on');

my $live = "SELECT count(*) FROM auth.refresh_tokens WHERE user_id = '$ann' AND revoked_at IS NULL";
is(sql($live), 1, 'there is a session');
sql(q{UPDATE app.users SET password_hash = crypt('battery staple', gen_salt('bf', 4)) WHERE email <> 'long@example.com'});
is(sql($live), 0, 'which a new password ends');
is(login(q{'ann@example.com', 'battery staple'}), $ann, 'that password is good');
sql(q{UPDATE app.users SET active = false WHERE email = 'Ann@example.com'});
is(sql($live), 0, 'who has left has no session');
is(login(q{'ann@example.com', 'battery staple'}), 'invalid_credentials', 'and gets none');

#
# Users with an integer, profiles and claims
#

run_section('Users with an integer');
sql(q{INSERT INTO app.members (name, password_hash) SELECT n, crypt('correct horse', gen_salt('bf', 4)) FROM unnest('{bob,eve}'::text[]) n});
run_section('A profile for each user');
run_section('Claims');
sql(q{
	INSERT INTO app.orders SELECT id, name || '''s' FROM app.members;
	INSERT INTO app.documents VALUES ('acme', 'of acme'), ('other', 'of another');
	INSERT INTO app.memberships SELECT auth_id, 'acme' FROM app.members WHERE name = 'bob';
	GRANT USAGE ON SCHEMA app TO authenticated;
	GRANT SELECT ON app.orders, app.documents TO authenticated});
my $bob = sql(q{SELECT auth_id FROM app.members WHERE name = 'bob'});
is(login(q{username => 'bob', password => 'correct horse'}), $bob, 'a number has a uuid beside it');
is(login(q{username => 'bob', password => 'wrong horse'}), 'invalid_credentials', 'and its own password');
is(sees(q{username => 'bob', password => 'correct horse'}, 'SELECT item FROM app.orders'), q{bob's}, 'a policy compares the number');
is(sees(q{username => 'bob', password => 'correct horse'}, 'SELECT body FROM app.documents'), 'of acme', 'and the tenants');
is(sees(q{username => 'eve', password => 'correct horse'}, 'SELECT body FROM app.documents'), '', 'who has none sees none');
is(sees(q{'boss@example.com', 'battery staple'}, 'SELECT item FROM app.orders'), '', 'nor who has no number');
is(sql(q{SELECT display_name FROM app.profiles p JOIN app.members m ON m.auth_id = p.user_id ORDER BY m.name}), "somebody\nsomebody", 'a first login makes a profile');
sql(q{SELECT auth.create_user('kim@example.com', user_metadata => '{"name": "Kim"}')});
is(sql(q{SELECT display_name FROM app.profiles JOIN auth.users u ON u.id = user_id WHERE u.email = 'kim@example.com'}), 'Kim', 'so does an administrator');
is( sql(q{SELECT string_agg(k, ' ' ORDER BY k) FROM auth.login('boss@example.com', 'battery staple') r, jsonb_object_keys(auth.jwt_verify(r ->> 'access_token')) k}),
	'client_id exp iat jti role sid sub type', 'the address does not travel');

#
# Hooks that fail: the log says which and why, and nothing of a password; the
# client is told nothing, however much it wants to hear
#

# What a client sees of these statements, and what the log has of them.
sub both_sides
{
	my ($sql) = @_;
	my $offset = -s $node->logfile;
	my ($code, $stdout, $stderr) = $node->psql('app', "\\set VERBOSITY verbose\n\\set SHOW_CONTEXT always\nSET client_min_messages = debug5;\n$sql", on_error_stop => 0);
	# neither of them is about what the client has typed itself
	return ("$stdout\n$stderr", slurp_file($node->logfile, $offset));
}

sql(q{
	CREATE FUNCTION app.casts(identifier text, password text) RETURNS uuid LANGUAGE plpgsql AS
		$$ BEGIN EXECUTE format('SELECT %L::int', password); RETURN NULL; END $$;
	CREATE FUNCTION app.raises(identifier text, password text) RETURNS uuid LANGUAGE plpgsql AS
		$$ BEGIN RAISE EXCEPTION 'wrong: %', password USING DETAIL = password, HINT = password; END $$;
	CREATE FUNCTION app.cancels(identifier text, password text) RETURNS uuid LANGUAGE plpgsql AS
		$$ BEGIN EXECUTE format('SELECT pg_sleep(1000), %L', password); RETURN NULL; END $$;
	CREATE TABLE app.logins (identifier text CHECK (identifier <> 'zoe'), password text);
	CREATE FUNCTION app.keeps(identifier text, password text) RETURNS uuid LANGUAGE sql AS
		$$ INSERT INTO app.logins VALUES (identifier, password) RETURNING NULL::uuid $$});
my %failures = (casts => 'has raised 22P02', raises => 'has raised P0001', keeps => 'has raised 23514',
	nothing => 'is not the name, with its schema, of a function \(text, text\) returns uuid');
foreach my $function (sort keys %failures)
{
	my ($client, $log) = both_sides("SET jwt_auth.credential_check = 'app.$function';\nSELECT auth.login(username => 'zoe', password => 'secr' || 'et') ->> 'error_code'");
	like($log, qr/LOG:  (00000: )?hook "app\.$function" of "jwt_auth\.credential_check" $failures{$function}\n/, "$function: the log says which hook and why");
	unlike($log, qr/secret|STATEMENT|CONTEXT/, "$function: and nothing else");
	like($client, qr/^unexpected_failure$/m, "$function: the client gets an answer");
	unlike($client, qr/secret|has raised|23514/, "$function: which says nothing");
}
my ($client, $log) = both_sides("SET jwt_auth.credential_check = 'app.cancels';\nSET statement_timeout = '1s';\nSELECT auth.login(username => 'zoe', password => 'secr' || 'et')");
like($client, qr/ERROR:  57014: a hook was interrupted/, 'a timeout within a hook is one');
unlike("$client$log", qr/secret/, 'and does not show what the hook was at');

sql(q{CREATE FUNCTION app.counts(user_id uuid, claims jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN RETURN claims || to_jsonb(1 / 0); END $$});
($client, $log) = both_sides("SET jwt_auth.claims_hook = 'app.counts';\nSELECT auth.issue_access_token('$bob')");
like($log, qr/hook "app\.counts" of "jwt_auth\.claims_hook" has raised 22012: division by zero\n/, 'the message of a hook that sees no password is in the log');
like($client, qr/ERROR:  38000: a hook has failed/, 'where there is no answer, an error is raised');
unlike($client, qr/division|app\.counts/, 'which says as little');

done_testing();
