# Where tokens and addresses do not show: the server's log when it logs all
# statements, pg_stat_activity, the notifications, the WAL and every other file of
# the server.  A client has to bind parameters, which psql 15 does not do.
use strict;
use warnings;

use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', <<'CONF');
log_statement = all
log_min_duration_statement = 0
log_min_messages = debug1
log_min_error_statement = debug1
log_error_verbosity = verbose
log_parameter_max_length = 0
log_parameter_max_length_on_error = 0
jwt_auth.bcrypt_cost = 4
jwt_auth.message_interval = 0
jwt_auth.require_confirmed_email = on
CONF
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION jwt_auth CASCADE');

# The journey of a person and of a mailer.  It prints what it has seen, as JSON:
# tokens, outcomes, statements in pg_stat_activity, notifications.
my $journey = <<'PYTHON';
import json, psycopg

db = psycopg.connect(autocommit=True)
watcher = psycopg.connect(autocommit=True)
watcher.execute("LISTEN jwt_auth_outbox")
seen = {"tokens": [], "outcomes": [], "statements": [], "notifications": []}
watcher.add_notify_handler(lambda n: seen["notifications"].append(n.channel + n.payload))

def watch():
    seen["statements"] += [row[0] for row in watcher.execute(
        "SELECT query FROM pg_stat_activity WHERE pid = %s", (db.info.backend_pid,))]

def call(function, *arguments):
    marks = ", ".join(["%s"] * len(arguments))
    try:
        answer = db.execute(f"SELECT auth.{function}({marks})", arguments).fetchone()[0]
        seen["outcomes"].append(f"{function} {answer.get('error_code', 'ok')}")
    except psycopg.Error as error:
        seen["outcomes"].append(f"{function} {error.sqlstate} {error} {error.diag.message_detail} {error.diag.context}")
    watch()

def take():
    messages = db.execute("SELECT kind, token FROM auth.take_messages()").fetchall()
    watch()
    seen["tokens"] += [token for kind, token in messages if token]
    return dict(messages)

call("register", "ann@secret.example", "correct horse")
call("register", "ANN@secret.example", "correct horse")
call("confirm_email", take()["email_confirmation"])
call("request_password_reset", "ann@secret.example")
call("request_password_reset", "nobody@secret.example")
first = take()["password_reset"]
call("request_password_reset", "ann@secret.example")
call("reset_password", first, "battery staple")
call("reset_password", take()["password_reset"], "battery staple")
call("request_magic_link", "ann@secret.example")
call("login_with_magic_link", take()["magic_link"])
call("invite_user", "ann@secret.example")
db.execute("SET default_transaction_read_only = on")
call("request_magic_link", "ann@secret.example")
call("reset_password", first, "battery staple")
db.execute("SET default_transaction_read_only = off")
with db.transaction():
    db.execute("SET LOCAL jwt_auth.bcrypt_cost = 16")
    db.execute("SET LOCAL statement_timeout = '20ms'")
    call("register", "bob@secret.example", "correct horse")
call("request_magic_link", "ann@secret.example")
watch()
print(json.dumps(seen))
PYTHON
my ($seen, $errors) = ('', '');
{
	local %ENV = (%ENV, PGCLIENTENCODING => 'UTF8', PGHOST => $node->host, PGPORT => $node->port, PGDATABASE => 'postgres', PGUSER => $node->safe_psql('postgres', 'SELECT current_user'));
	ok(IPC::Run::run([ '/usr/bin/python3', '-c', $journey ], '>', \$seen, '2>', \$errors), 'the journey') or BAIL_OUT($errors);
}
$seen = decode_json($seen);

my @ok = grep { / ok$/ } @{ $seen->{outcomes} };
my @not_ok = grep { !/ ok$/ } @{ $seen->{outcomes} };
is(scalar @ok, 10, 'what should work has worked') or diag(explain($seen->{outcomes}));
is(scalar @not_ok, 5, 'and what should not has not') or diag(explain(\@not_ok));
is(scalar @{ $seen->{tokens} }, 4, 'four tokens were sent');

my $secrets = join '|', 'secret\.example', map { quotemeta } @{ $seen->{tokens} };
unlike(join("\n", @not_ok), qr/$secrets/i, 'no error shows one, or an address');
cmp_ok(scalar @{ $seen->{statements} }, '>', 15, 'pg_stat_activity was looked at');
unlike(join("\n", @{ $seen->{statements} }), qr/$secrets/i, '... and shows none');
cmp_ok(scalar @{ $seen->{notifications} }, '>', 5, 'there were notifications');
is_deeply([ grep { $_ ne 'jwt_auth_outbox' } @{ $seen->{notifications} } ], [], '... which say nothing');
my $log = slurp_file($node->logfile);
like($log, qr/execute <unnamed>: SELECT auth\.reset_password\(\$1, \$2\)/, 'the log has the statements');
unlike($log, qr/$secrets/i, '... and shows none');

# A token is nowhere on the server's disk, not even the one that waits in the outbox.
is($node->safe_psql('postgres', 'CHECKPOINT; SELECT count(*) FROM auth.outbox'), '1', 'one message waits');
push @{ $seen->{tokens} }, $node->safe_psql('postgres', 'BEGIN; SELECT token FROM auth.take_messages(); ROLLBACK');
$node->stop;
foreach my $token (@{ $seen->{tokens} })
{
	my ($stdout, $stderr) = ('', '');

	IPC::Run::run([ 'grep', '-rlF', '--', $token, $node->data_dir ], '>', \$stdout, '2>', \$stderr);
	is($stdout . $stderr, '', 'no file of the server has the token');
}
my $address = '';
IPC::Run::run([ 'grep', '-rlF', 'ann@secret.example', $node->data_dir ], '>', \$address);
isnt($address, '', 'as a control: some have the address');

done_testing();
