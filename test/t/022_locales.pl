# One account for each address and username in databases of every kind of locale
# and encoding, enforced by the index: a database has but one of each.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "jwt_auth.bcrypt_cost = 4\nclient_encoding = UTF8\njwt_auth.max_failed_logins = 0\n");
$node->start;

# Turkish lower-cases I to a letter without a dot; und ignores no case, but folds more.
my $icu = q{ENCODING 'UTF8' LOCALE_PROVIDER icu LOCALE 'C.UTF-8' ICU_LOCALE};
my %databases = (
	c => q{ENCODING 'UTF8' LOCALE 'C'},
	libc => q{ENCODING 'UTF8' LOCALE 'C.UTF-8'},
	turkish => "$icu 'tr-TR'",
	caseless => "$icu 'und-u-ks-level2'",
	lithuanian => "$icu 'lt'",
	latin1 => q{ENCODING 'LATIN1' LOCALE 'C'},
	ascii => q{ENCODING 'SQL_ASCII' LOCALE 'C'},
);

foreach my $database (sort keys %databases)
{
	$node->safe_psql('postgres', "CREATE DATABASE $database TEMPLATE template0 $databases{$database}");
	$node->safe_psql($database, 'SET client_min_messages = error; CREATE EXTENSION jwt_auth CASCADE');

	my $sql = sub { return $node->safe_psql($database, $_[0]) };
	is( $sql->(q{SELECT coalesce(r ->> 'error_code', r ->> 'email') FROM (VALUES
			('INFO@EXAMPLE.COM', 'IRIS'), ('info@example.com', 'other'), ('Info@Example.Com', NULL), ('iris@example.com', 'iris'), ('iris@example.com', 'Iris'),
			('iris@example.com', NULL)) v (email, username), LATERAL (SELECT auth.register(email, 'correct horse', username) OFFSET 0) a (r)}),
		"INFO\@EXAMPLE.COM\nemail_exists\nemail_exists\nusername_exists\nusername_exists\niris\@example.com",
		"$database: one account for an address or username, whatever the case");
	is( $sql->(q{SELECT coalesce(r ->> 'error_code', r #>> '{user,username}', r #>> '{user,email}') FROM (VALUES
			('info@example.com', NULL), ('InFo@eXaMpLe.CoM', NULL), (NULL, 'iris'), (NULL, 'iRiS'), ('IRIS@EXAMPLE.COM', NULL)) v (email, username),
			LATERAL (SELECT auth.login(email, 'correct horse', username) OFFSET 0) a (r)}),
		"IRIS\nIRIS\nIRIS\nIRIS\niris\@example.com", "$database: and whoever logs in finds it");

	# by the index, not by the function
	foreach my $row (q{(email) VALUES ('info@example.com')}, q{(username) VALUES ('IRIs')})
	{
		my ($code, $stdout, $stderr) = $node->psql($database, "\\set VERBOSITY sqlstate\nINSERT INTO auth.users $row");
		like($stderr, qr/23505/, "$database: the index sees to it: $row");
	}

	# Letters beyond ASCII are as they are typed, in every locale alike; so are
	# forms of one letter.  LATIN1 lacks most of these, and SQL_ASCII takes some of
	# their bytes for control characters.
	next if $database eq 'latin1' || $database eq 'ascii';
	is( $sql->(q{SELECT coalesce(r ->> 'error_code', r ->> 'username') = name FROM (VALUES ('ärger'), ('Ärger'), (E'\xc3\xa9t\xc3\xa9'), (E'e\xcc\x81te\xcc\x81'),
			(E'\xc4\xb1'), ('i'), (E'\xef\xac\x81'), ('fi')) v (name), LATERAL (SELECT auth.register(md5(random()::text) || '@example.com', 'correct horse', name) OFFSET 0) a (r)}),
		join("\n", ('t') x 8), "$database: other letters are themselves");
}

# SQL_ASCII takes what is text in no encoding.  A name like that is answered and
# counted as any other, and holds up nobody.
foreach ([ q{auth.register('mallory@example.com', 'correct horse', E'\xe9ve') ->> 'email'}, 'mallory@example.com' ],
	[ q{auth.login(username => E'\xe9ve', password => 'wrong') ->> 'error_code'}, 'invalid_credentials' ],
	[ q{auth.login(E'\xe9@example.com', 'wrong') ->> 'error_code'}, 'invalid_credentials' ],
	[ q{auth.request_magic_link(E'\xe9@example.com')}, '{}' ],
	[ q{count(locked_until) FROM auth.user_status}, '1' ],
	[ q{auth.unlock_user(id), auth.delete_user(id) FROM auth.users WHERE email = 'mallory@example.com'}, '|' ])
{
	my ($query, $answer) = @$_;
	is($node->safe_psql('ascii', "SET client_encoding = SQL_ASCII; SET jwt_auth.max_failed_logins = 2; SELECT $query"), $answer, "no text: $query");
}

# The name of a header is folded as such, too.
is( $node->safe_psql('turkish', q{SET jwt_auth.client_ip_header = 'X-CLIENT-IP'; SET request.headers = '{"x-client-ip": "192.0.2.1"}';
		SELECT auth._client_ip()}),
	'192.0.2.1', 'a header of the client is found in Turkish');

done_testing();
