# One refresh token in many hands, and sixteen sessions that do at random whatever
# there is to do with sessions: at most one token of a session lives at any time,
# nothing that has ended comes back, and nobody ever waits in a circle.  It takes
# more connections at once than isolation tests have.
#
# RACE_SECONDS=60 has the sixteen go on for another time than the usual one.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $seconds = $ENV{RACE_SECONDS} // 30;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', <<'CONF');
log_statement = none
max_connections = 100
log_lock_waits = on
deadlock_timeout = 200ms
jwt_auth.bcrypt_cost = 4
jwt_auth.max_concurrent_hashes = 100
jwt_auth.max_failed_logins = 0
CONF
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION jwt_auth CASCADE');
$node->safe_psql('postgres', "SELECT auth.register('ann\@example.com', 'correct horse')");

sub sql
{
	return $node->safe_psql('postgres', $_[0]);
}

# A file for pgbench
sub script
{
	my ($name, $text) = @_;
	my $path = $node->basedir . "/$name.sql";

	append_to_file($path, $text);
	return $path;
}

#
# Many callers with one token, let loose at the same moment
#

sql(<<'SQL');
CREATE TABLE contested (token text);
CREATE TABLE outcome (status text, successor text);
SQL
my $rotate = script('rotate', <<'SQL');
INSERT INTO outcome SELECT r.status, r.refresh_token FROM contested, auth.rotate_refresh_token(token) r;
SQL

sub outcomes
{
	my ($callers, $grace, $isolation) = @_;

	sql(<<'SQL');
TRUNCATE contested, outcome;
INSERT INTO contested SELECT auth.login('ann@example.com', 'correct horse') ->> 'refresh_token';
SQL
	my $gate = $node->background_psql('postgres');
	$gate->query_safe('BEGIN; SELECT FROM auth.refresh_tokens FOR UPDATE');
	local $ENV{PGOPTIONS} = "-c jwt_auth.refresh_reuse_grace=$grace";
	$ENV{PGOPTIONS} .= " -c default_transaction_isolation=$isolation" if $isolation;
	my $run = IPC::Run::start([ 'pgbench', '-n', '-c', $callers, '-j', 4, '-t', 1, '-f', $rotate, '-h', $node->host, '-p', $node->port, 'postgres' ],
		'>', \my $stdout, '2>', \my $stderr);
	$node->poll_query_until('postgres', "SELECT count(*) = $callers FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
	  or die 'not all of them are waiting';
	$gate->query_safe('COMMIT');
	$gate->quit;
	$run->finish;
	return sql(q{SELECT string_agg(status || ' ' || n, ', ' ORDER BY n, status) FROM (SELECT status, count(*) AS n FROM outcome GROUP BY status) o});
}

# How many of the successors that were handed out can be rotated
sub live
{
	return sql(q{SELECT count(*) FROM outcome, auth._read_refresh_token(successor) t WHERE t.is_current AND status = 'rotated'});
}

foreach my $callers (2, 8, 64)
{
	my ($others, $rest) = ($callers - 1, $callers - 2);

	is(outcomes($callers, 10), $callers == 2 ? 'reissued 1, rotated 1' : "rotated 1, reissued $others", "$callers callers, in the grace");
	is(live(), 1, '... have one token that lives');
	is(outcomes($callers, 0), 'reused 1, rotated 1' . ($rest ? ", revoked $rest" : ''), "$callers callers, without a grace");
	is(live(), 0, '... have none');
}
foreach my $isolation ('repeatable\\ read', 'serializable')
{
	is(outcomes(16, 0, $isolation), 'rotated 1', "$isolation: one succeeds, the others fail");
	is(live(), 1, '... and that changes nothing');
}
is(sql("SELECT count(*) FROM pg_locks WHERE relation = 'auth.refresh_tokens'::regclass"), 0, 'no lock is left');

#
# Sixteen at random
#

$node->append_conf('postgresql.conf', "jwt_auth.refresh_reuse_grace = 1\n");
$node->reload;
sql(<<'SQL');
DELETE FROM auth.users;

-- Every token that was handed out.  That a generation has two is an error.
CREATE TABLE handed (session_id uuid, generation bigint, n int, refresh text, access text, at timestamptz DEFAULT clock_timestamp(),
	PRIMARY KEY (session_id, generation));
CREATE INDEX ON handed (n, at);
CREATE TABLE ended (session_id uuid);
CREATE TABLE done (action text, outcome text);

CREATE FUNCTION email(n int) RETURNS text LANGUAGE sql RETURN 'user' || n || '@example.com';
CREATE FUNCTION hand_out(n int, refresh text, access text DEFAULT NULL) RETURNS void LANGUAGE sql AS $$
	INSERT INTO handed SELECT (p ->> 'sid')::uuid, (p ->> 'gen')::bigint, n, refresh, access
	FROM (SELECT (auth.jwt_decode(refresh)).payload) d (p) $$;
CREATE FUNCTION play_login(n int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answer jsonb := auth.login(email(n), 'correct horse');
BEGIN
	IF answer ? 'access_token' THEN
		PERFORM hand_out(n, answer ->> 'refresh_token', answer ->> 'access_token');
	END IF;
	RETURN coalesce(answer ->> 'error_code', 'ok');
END $$;
CREATE FUNCTION play_rotate(n int, token text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	r record := auth.rotate_refresh_token(token);
BEGIN
	IF r.status = 'rotated' THEN
		PERFORM hand_out(n, r.refresh_token);
	ELSIF r.status = 'reused' THEN
		INSERT INTO ended VALUES (r.session_id);
	END IF;
	RETURN r.status;
END $$;
CREATE FUNCTION play_logout(scope text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO ended SELECT auth.session_id() WHERE scope <> 'others';
	RETURN CASE WHEN auth.logout(scope) > 0 THEN 'ok' ELSE 'none' END;
END $$;

CREATE FUNCTION play(action text, n int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	person uuid := (SELECT id FROM auth.users WHERE email = email(n));
	access text := (SELECT h.access FROM handed h WHERE h.n = play.n AND h.access IS NOT NULL ORDER BY at DESC LIMIT 1 OFFSET floor(random() * 2));
	newest text := (SELECT h.refresh FROM handed h WHERE h.n = play.n ORDER BY at DESC LIMIT 1 OFFSET floor(random() * 2));
BEGIN
	IF action ~ '^(logout|revoke_session|change)' THEN
		PERFORM auth.authenticate(access);
	END IF;
	CASE action
		WHEN 'rotate' THEN RETURN play_rotate(n, newest);
		WHEN 'replay' THEN RETURN play_rotate(n, (SELECT h.refresh FROM handed h WHERE h.n = play.n ORDER BY at DESC LIMIT 1 OFFSET floor(random() * 20)));
		WHEN 'login' THEN RETURN play_login(n);
		WHEN 'logout session' THEN RETURN play_logout('session');
		WHEN 'logout others' THEN RETURN play_logout('others');
		WHEN 'logout all' THEN RETURN play_logout('all');
		WHEN 'revoke_session' THEN PERFORM auth.revoke_session(s.session_id) FROM auth.sessions() s ORDER BY random() LIMIT 1;
		WHEN 'revoke_refresh_token' THEN PERFORM auth.revoke_refresh_token(newest);
		WHEN 'revoke_sessions' THEN PERFORM auth.revoke_sessions(person) WHERE person IS NOT NULL;
		WHEN 'change_password' THEN RETURN coalesce(auth.change_password('correct horse', 'battery staple') ->> 'error_code', 'ok');
		WHEN 'set_password' THEN PERFORM auth.set_password(person, 'correct horse') WHERE person IS NOT NULL;
		WHEN 'disable' THEN PERFORM auth.set_active(person, false) WHERE person IS NOT NULL;
		WHEN 'enable' THEN PERFORM auth.set_active(person, true) WHERE person IS NOT NULL;
		WHEN 'delete' THEN PERFORM auth.delete_user(person) WHERE person IS NOT NULL;
		WHEN 'register' THEN RETURN coalesce(auth.register(email(n), 'correct horse') ->> 'error_code', 'ok');
		WHEN 'prune' THEN PERFORM auth.prune();
		WHEN 'revoke_all' THEN PERFORM auth.revoke_all('a game');
	END CASE;
	RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END $$;

-- One transaction after the other, some of which stay open for a while
CREATE PROCEDURE play_on(until timestamptz) LANGUAGE plpgsql AS $$
DECLARE
	actions text[] := '{rotate,rotate,rotate,rotate,rotate,rotate,rotate,rotate,rotate,rotate,rotate,rotate,rotate,rotate,rotate,rotate,replay,
		login,login,login,login,login,login,login,login,register,register,register,register,register,register,
		enable,enable,enable,enable,enable,enable,logout session,logout others,logout all,revoke_session,revoke_refresh_token,
		revoke_sessions,change_password,set_password,set_password,disable,delete,prune}';
	action text;
BEGIN
	WHILE clock_timestamp() < until LOOP
		action := actions[1 + floor(random() * cardinality(actions))];
		IF random() < 0.001 THEN
			action := 'revoke_all';
		END IF;
		INSERT INTO done VALUES (action, play(action, 1 + floor(random() * 6)::int));
		IF random() < 0.2 THEN
			PERFORM pg_sleep(random() * 0.02);
		END IF;
		COMMIT;
	END LOOP;
END $$;

-- Tries the tokens of a session, with its row held so that nobody comes between:
-- how many live.
CREATE FUNCTION live_tokens(session uuid, newest int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	live int := 0;
	token text;
BEGIN
	PERFORM FROM auth.refresh_tokens s WHERE s.session_id = session FOR UPDATE;
	FOR token IN SELECT h.refresh FROM handed h WHERE h.session_id = session ORDER BY generation DESC LIMIT newest LOOP
		BEGIN
			IF (auth.rotate_refresh_token(token)).status = 'rotated' THEN
				live := live + 1;
			END IF;
			RAISE EXCEPTION 'undo' USING ERRCODE = 'JA000';
		EXCEPTION WHEN SQLSTATE 'JA000' THEN
			NULL;
		END;
	END LOOP;
	RETURN live;
END $$;
CREATE PROCEDURE watch(until timestamptz) LANGUAGE plpgsql AS $$
DECLARE
	session uuid;
BEGIN
	WHILE clock_timestamp() < until LOOP
		session := (SELECT session_id FROM handed ORDER BY at DESC LIMIT 1 OFFSET floor(random() * 30));
		INSERT INTO done VALUES ('watch', live_tokens(session, 8)::text);
		COMMIT;
	END LOOP;
END $$;
SQL

sub start_players
{
	my ($clients, $statement, $options) = @_;

	local $ENV{PGOPTIONS} = $options // '';
	return IPC::Run::start([ 'pgbench', '-n', '-c', $clients, '-j', $clients, '-t', 1, '-f', script($statement . $clients, "CALL $statement(:until);\n"),
			'-D', "until='$_[3]'::timestamptz", '-h', $node->host, '-p', $node->port, 'postgres' ], '>', \my $stdout, '2>&1');
}

my $until = sql("SELECT clock_timestamp() + interval '$seconds s'");
my @players = (
	start_players(12, 'play_on', undef, $until),
	start_players(3, 'play_on', '-c default_transaction_isolation=repeatable\\ read', $until),
	start_players(1, 'play_on', '-c default_transaction_isolation=serializable', $until),
	start_players(2, 'watch', undef, $until));
ok($_->finish, 'they all came to an end') foreach @players;

note(sql("SELECT string_agg(format('%s: %s', action, outcomes), E'\\n' ORDER BY action)
	FROM (SELECT action, string_agg(outcome || ' ' || n, ', ' ORDER BY n DESC) AS outcomes
		  FROM (SELECT action, outcome, count(*) AS n FROM done GROUP BY action, outcome) d GROUP BY action) d"));
is(sql(q{SELECT string_agg(DISTINCT action || ' ' || outcome, ', ') FROM done
		 WHERE outcome ~ '^[0-9A-Z]{5}$' AND outcome NOT IN ('28000', '40001', 'P0002')
		   AND (action, outcome) <> ('revoke_all', '25000')}), '',
	'nobody was in the way of another, and nothing was handed out twice');
is(sql("SELECT deadlocks FROM pg_stat_database WHERE datname = 'postgres'"), 0, 'no deadlock');
unlike(slurp_file($node->logfile), qr/deadlock detected|PANIC|TRAP/, '... nor one in the log');
cmp_ok(sql("SELECT count(*) FROM done WHERE action = 'watch'"), '>', 0, 'sessions were watched');
is(sql("SELECT count(*) FROM done WHERE action = 'watch' AND outcome NOT IN ('0', '1')"), 0, '... and never had two tokens that live');
cmp_ok(sql("SELECT count(*) FROM done WHERE outcome = 'rotated'"), '>', 0, 'tokens were rotated');
is(sql("SELECT count(*) FROM (SELECT session_id, live_tokens(session_id, 1000) AS live FROM (SELECT DISTINCT session_id FROM handed) h) l
	LEFT JOIN auth.refresh_tokens s USING (session_id) WHERE live > CASE WHEN s.revoked_at IS NULL AND s.session_id IS NOT NULL THEN 1 ELSE 0 END"), 0,
	'in the end, each session has one token that lives, or none');
is(sql('SELECT count(*) FROM ended JOIN auth.refresh_tokens s USING (session_id) WHERE s.revoked_at IS NULL'), 0, 'nothing that had ended came back');
is(sql("SELECT count(*) FROM pg_locks WHERE relation = 'auth.refresh_tokens'::regclass"), 0, 'no lock is left');

done_testing();
