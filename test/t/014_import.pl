# Moving 50,000 people here without a password reset, with one statement each
# from a table like Supabase's auth.users and from one of a Flask application.
# Their hashes come from crypt(3): what pgcrypto has made itself would prove
# nothing of what others make.
use strict;
use warnings;
use utf8;
use Encode qw(encode_utf8);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "log_statement = none\njwt_auth.bcrypt_cost = 6\n");
$node->start;
$node->safe_psql('postgres', 'SET client_min_messages = error; CREATE EXTENSION jwt_auth CASCADE');

# The bcrypt hash that another implementation makes, at a cost of 5.
sub bcrypt
{
	my ($variant, $password) = @_;
	my $hash = crypt(encode_utf8($password), "\$2$variant\$05\$abcdefghijklmnopqrstuu");

	die "crypt(3) knows no \$2$variant\$" unless defined $hash && length $hash == 60;
	return $hash;
}

sub sql
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', encode_utf8($sql));
}

# What a login comes to: the error code, or who it is.
sub login
{
	my ($email, $password) = @_;
	return sql("SELECT coalesce(r ->> 'error_code', r #>> '{user,id}') FROM auth.login('$email', '$password') r");
}

# id NNN of the tables that follow, as a uuid
sub id
{
	return sprintf '00000000-0000-4000-8000-%012d', $_[0];
}

#
# Supabase
#

my @passwords = ('correct horse', 'pässwörd mit ümläut', 'x' x 72);
my $hashes = join ', ', map { "'" . bcrypt('a', $_) . "'" } @passwords;

# Of each hundred, one has signed up with another provider, one is banned, one
# was banned once, and one is deleted.
sql(qq{
	CREATE SCHEMA supabase;
	CREATE TABLE supabase.users (
		instance_id uuid, id uuid PRIMARY KEY, aud varchar(255), role varchar(255), email varchar(255),
		encrypted_password varchar(255), email_confirmed_at timestamptz, last_sign_in_at timestamptz,
		raw_app_meta_data jsonb, raw_user_meta_data jsonb, is_super_admin boolean,
		created_at timestamptz, updated_at timestamptz, phone text, banned_until timestamptz,
		is_sso_user boolean NOT NULL DEFAULT false, deleted_at timestamptz);
	INSERT INTO supabase.users
	SELECT '00000000-0000-0000-0000-000000000000', ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid,
		'authenticated', 'authenticated', 'Person' || n || '\@example.com',
		CASE WHEN n % 100 = 1 THEN '' ELSE (ARRAY[$hashes])[n % 3 + 1] END,
		CASE WHEN n % 2 = 0 THEN '2020-02-02 02:02:02Z'::timestamptz END, NULL,
		jsonb_build_object('provider', 'email', 'providers', jsonb_build_array('email'), 'tenant', n % 7),
		jsonb_build_object('name', 'Person ' || n), NULL, '2020-01-01 00:00:00Z', now(), NULL,
		CASE n % 100 WHEN 2 THEN now() + interval '1 year' WHEN 3 THEN now() - interval '1 year' END, false,
		CASE WHEN n % 100 = 4 THEN now() END
	FROM generate_series(1, 50000) n});

my $import = q{
	SELECT count(auth.import_user(email, nullif(encrypted_password, ''), id, role => 'authenticated',
		user_metadata => raw_user_meta_data, app_metadata => raw_app_meta_data - '{provider,providers}'::text[],
		email_confirmed_at => email_confirmed_at, created_at => created_at,
		is_active => banned_until IS NULL OR banned_until < now()))
	FROM supabase.users WHERE deleted_at IS NULL};

# One role that does not exist stops all of it
my ($code, $stdout, $stderr) = $node->psql('postgres', $import);
like($stderr, qr/role does not exist/, 'a role must exist');
is(sql('SELECT count(*) FROM auth.users'), 0, 'and nobody is imported');

sql('CREATE ROLE authenticated');
is(sql($import), 49500, 'everybody who is not deleted is imported');
is( sql(q{
		SELECT count(*) FROM supabase.users s JOIN auth.users u USING (id)
		WHERE u.email = s.email AND u.role = s.role AND u.created_at = s.created_at
		  AND u.email_confirmed_at IS NOT DISTINCT FROM s.email_confirmed_at
		  AND u.password_hash IS NOT DISTINCT FROM nullif(s.encrypted_password, '')
		  AND u.user_metadata = s.raw_user_meta_data AND u.app_metadata = jsonb_build_object('tenant', s.raw_app_meta_data -> 'tenant')
		  AND u.is_active = (coalesce(s.banned_until, '-infinity') < now())}),
	49500, 'with id, address, password, metadata and times');

foreach my $n (10, 11, 12)
{
	is(login("person$n\@example.com", $passwords[ $n % 3 ]), id($n), "person $n logs in with the password of before");
}
is(login('person10@example.com', $passwords[0]), 'invalid_credentials', 'but with no other');
is(login('person3@example.com', $passwords[0]), id(3), 'so does one who is banned no more');
is(login('person2@example.com', $passwords[2]), 'user_banned', 'one who is banned does not');
is(login('person1@example.com', ''), 'invalid_credentials', 'one who had no password has none');
is(login('person4@example.com', $passwords[1]), 'invalid_credentials', 'one who was deleted stays so');
is( sql("SELECT left(password_hash, 7) FROM auth.users WHERE id IN ('${\id(10)}', '${\id(13)}') ORDER BY id"),
	"\$2a\$06\$\n\$2a\$05\$", 'a login renews a hash of lower cost');
is( sql(qq{
		SELECT c ->> 'email', c ->> 'email_verified', c ->> 'role', c -> 'app_metadata', c ? 'user_metadata'
		FROM auth.jwt_verify(auth.login('person10\@example.com', '$passwords[1]') ->> 'access_token') c}),
	'Person10@example.com|true|authenticated|{"tenant": 3}|f', 'the token says what it said');

($code, $stdout, $stderr) = $node->psql('postgres', $import);
like($stderr, qr/a user with this id, email or username already exists/, 'nobody is imported twice');
unlike($stderr, qr/example\.com|\$2a\$/, "the error shows nothing of anybody's row");

#
# Flask, with Flask-Bcrypt and integer ids, which the application's table keeps
#

my @hashes = map { bcrypt('b', $_) } @passwords[ 0, 1 ];
sql(qq{
	CREATE TABLE "user" (
		id serial PRIMARY KEY, username varchar(80) UNIQUE NOT NULL, email varchar(120) UNIQUE NOT NULL,
		password_hash varchar(128), active boolean NOT NULL DEFAULT true, created_at timestamp);
	INSERT INTO "user" (username, email, password_hash, active, created_at)
	SELECT 'flask' || n, 'flask' || n || '\@example.org', (ARRAY['$hashes[0]', '$hashes[1]'])[n % 2 + 1], n % 100 <> 1, '2020-01-01'
	FROM generate_series(1, 5000) n;
	ALTER TABLE "user" ADD COLUMN auth_id uuid UNIQUE REFERENCES auth.users (id);
	UPDATE "user" SET auth_id = auth.import_user(email, password_hash, username => username,
		created_at => created_at AT TIME ZONE 'UTC', is_active => active)});
my $find = q{SELECT count(*) FROM "user" f JOIN auth.users u ON u.id = f.auth_id WHERE u.email = f.email AND u.username = f.username};
is(sql($find), 5000, 'each row of the application has its user');
is(login('flask2@example.org', $passwords[0]), sql(q{SELECT auth_id FROM "user" WHERE id = 2}), 'who logs in by email');
is( sql("SELECT r #>> '{user,email}' FROM auth.login(username => 'Flask3', password => '$passwords[1]') r"),
	'flask3@example.org', 'and by username');
is(login('flask1@example.org', $passwords[1]), 'user_banned', 'unless disabled');

done_testing();
