# shellcheck shell=bash
#
# What the scripts beside it share: installing the packages that are missing,
# working on a copy of the tree as an ordinary user, and a throw-away cluster.
#
# Nothing on the machine changes but the packages: the extension is installed
# into the work directory, where the cluster is told to look for it, and the
# cluster listens on a socket there alone.
#
# $tree is the source tree, $work the work directory; both are absolute.

work=${work:-}
tree=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# C.UTF-8 is there on every Debian, and sorts and prints the same everywhere
export LC_ALL=C.UTF-8

die()
{
	echo "$(basename "$0"): $*" >&2
	exit 1
}

is_root()
{
	[ "$(id -u)" = 0 ]
}

# --- packages ---------------------------------------------------------------

as_root()
{
	if is_root; then
		"$@"
	else
		sudo "$@"
	fi
}

can_be_root()
{
	is_root || { command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; }
}

# The newest server that is installed, or else the one that the suite has
postgres_major()
{
	local newest

	newest=$(find /usr/lib/postgresql -path '*/bin/postgres' 2>/dev/null | sort --version-sort | tail -n 1)
	if [ -n "$newest" ]; then
		cut -d / -f 5 <<<"$newest"
	else
		apt-cache depends postgresql 2>/dev/null | sed -n 's/.*Depends: postgresql-\([0-9]*\)$/\1/p'
	fi
}

# package_unless PACKAGE COMMAND...: names the package when the command fails
package_unless()
{
	local package=$1

	shift
	"$@" >/dev/null 2>&1 || echo "$package"
}

# What is missing for building and for a cluster.  Looks for the files and not
# for the packages, which may have come from elsewhere under other names.
missing_for_cluster()
{
	local major bin pgxs headers

	if [ -n "${PG_CONFIG:-}" ]; then
		bin=$("$PG_CONFIG" --bindir)
		pgxs=$("$PG_CONFIG" --pgxs)
		headers=$("$PG_CONFIG" --includedir-server)
		major=$("$PG_CONFIG" --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
	else
		major=$(postgres_major)
		bin=/usr/lib/postgresql/$major/bin
		pgxs=/usr/lib/postgresql/$major/lib/pgxs/src/makefiles/pgxs.mk
		headers=/usr/include/postgresql/$major/server
	fi
	package_unless "postgresql-$major" test -x "$bin/postgres"
	package_unless "postgresql-server-dev-$major" test -x "$bin/pg_config" -a -e "$pgxs" -a -e "$headers/postgres.h"
	package_unless libssl-dev test -e /usr/include/openssl/evp.h
	package_unless gcc type -P cc
	package_unless libc6-dev test -e /usr/include/stdio.h
	package_unless make type -P make
}

# npm is needed for fetching PostgREST alone
missing_for_postgrest()
{
	[ -n "${POSTGREST:-}" ] || "$tree/test/postgrest" --cached >/dev/null || package_unless npm type -P npm
}

# The libraries that tokens and keys go to and come from, and what stands between
# a client and the server.  INTEROP=none does without them, where it is other
# things that a run is to test.
missing_for_interop()
{
	[ "${INTEROP:-}" != none ] || return 0
	package_unless python3-jwt /usr/bin/python3 -c 'import jwt'
	package_unless python3-jwcrypto /usr/bin/python3 -c 'import jwcrypto'
	package_unless python3-cryptography /usr/bin/python3 -c 'import cryptography'
	package_unless pgbouncer test -x /usr/sbin/pgbouncer
	package_unless python3-psycopg /usr/bin/python3 -c 'import psycopg'
	package_unless nodejs type -P node
	package_unless chromium test -x /usr/bin/chromium
	package_unless fonts-dejavu-core test -e /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf
	[ -n "${INTEROP:-}" ] || "$tree/test/interop/libraries" --cached >/dev/null || package_unless npm type -P npm
}

missing_for_tests()
{
	package_unless perl type -P prove
	package_unless libipc-run-perl perl -MIPC::Run -e 1
	package_unless curl type -P curl
	package_unless python3-psycopg /usr/bin/python3 -c 'import psycopg'
}

# install_packages FUNCTION...: installs what the functions name, if anything
install_packages()
{
	local missing log

	command -v apt-get >/dev/null || return 0
	# a fresh machine has no lists yet, and then the suite's version is not known
	if [ -z "${PG_CONFIG:-}" ] && [ -z "$(postgres_major)" ] && can_be_root; then
		as_root apt-get update -qq </dev/null
	fi
	missing=$(for list in "$@"; do "$list"; done | sort -u | xargs)
	[ -n "$missing" ] || return 0
	can_be_root || die "these packages are missing; as root: apt-get install $missing"
	echo "installing $missing ..."
	log=$(mktemp)
	# shellcheck disable=SC2086 # one word for each package
	{
		as_root apt-get update &&
			as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing
	} </dev/null >"$log" 2>&1 || die "apt-get failed: $(cat "$log")"
	rm -f "$log"
}

# Sets PG_CONFIG and $bindir
find_postgres()
{
	if [ -z "${PG_CONFIG:-}" ]; then
		PG_CONFIG=/usr/lib/postgresql/$(postgres_major)/bin/pg_config
		[ -x "$PG_CONFIG" ] || PG_CONFIG=$(command -v pg_config) || die "there is no pg_config: set PG_CONFIG"
	fi
	export PG_CONFIG
	bindir=$("$PG_CONFIG" --bindir)
}

# Sets POSTGREST
find_postgrest()
{
	POSTGREST=${POSTGREST:-$("$tree/test/postgrest")}
	export POSTGREST
}

# Sets INTEROP, the directory of the libraries that npm has
find_interop()
{
	INTEROP=${INTEROP:-$("$tree/test/interop/libraries")}
	export INTEROP
}

# --- a copy of the tree, and an ordinary user --------------------------------

# What git knows or would take, as it stands in the tree; all of it where the
# tree is no clone
list_files()
{
	# root may well test a tree that somebody else owns
	git -c safe.directory="$tree" ls-files -z --cached --others --exclude-standard 2>/dev/null ||
		find . -type f -print0
}

only_existing()
{
	local file

	while IFS= read -r -d '' file; do
		if [ -e "$file" ]; then
			printf '%s\0' "$file"
		fi
	done
}

# The server refuses root, and a user of its own cannot write where root does
as_ordinary_user()
{
	if is_root; then
		HOME=$work TMPDIR=$work/tmp runuser -u postgres -- "$@"
	else
		TMPDIR=$work/tmp "$@"
	fi
}

# Sets $work, with a copy of the tree in $work/tree.  The name is short: the
# path of a socket has 107 bytes at most.
make_work_directory()
{
	work=$(mktemp -d "${TMPDIR:-/tmp}/jwt_auth.XXXXXX")
	mkdir "$work/tree" "$work/tmp"
	(cd "$tree" && list_files | only_existing | tar -c --null -T - | tar -x -C "$work/tree" --no-same-owner)
	if is_root; then
		chown -R postgres: "$work"
	fi
}

# Servers that a test left running when it was cut short, and all files
remove_work_directory()
{
	local pidfile

	cd /
	find "$work" -name postmaster.pid 2>/dev/null | while read -r pidfile; do
		as_ordinary_user "$bindir/pg_ctl" stop -s -m immediate -D "$(dirname "$pidfile")" || true
	done
	rm -rf "$work"
}

# For the end of a script; KEEP=1 keeps the files
finish()
{
	local status=$?

	if [ -n "${KEEP:-}" ]; then
		echo "kept: $work" >&2
	else
		remove_work_directory
	fi
	exit "$status"
}

# --- a throw-away cluster; all of this runs as the ordinary user ----------------

# The lines of postgresql.conf with which a server finds what "make install
# DESTDIR=$work/install" put there: Debian patches the first setting in, and
# PostgreSQL has the second since 18.
private_install_conf()
{
	local known destination=$work/install

	known=$("$bindir/postgres" --describe-config | cut -f 1)
	if grep -qx extension_destdir <<<"$known"; then
		echo "extension_destdir = '$destination'"
	elif grep -qx extension_control_path <<<"$known"; then
		echo "extension_control_path = '$destination$("$PG_CONFIG" --sharedir):\$system'"
	else
		die "this server loads extensions from its own directories alone: make install, make installcheck"
	fi
	echo "dynamic_library_path = '$destination$("$PG_CONFIG" --pkglibdir):\$libdir'"
}

# What else make is told when it builds
build_arguments=()

# Builds the extension and installs it into the work directory
build()
{
	make -s -j "$(nproc)" "${build_arguments[@]}" all </dev/null
	make -s "${build_arguments[@]}" install DESTDIR="$work/install" </dev/null >"$work/install.log" 2>&1 ||
		die "make install: $(cat "$work/install.log")"
	private_install_conf >"$work/extension.conf"
}

# start_cluster [LINE...]: with these lines of configuration.  Sets PGHOST,
# PGUSER and PGDATA, by which every client finds it.
start_cluster()
{
	export PGDATA=$work/data PGHOST=$work/socket PGUSER=postgres
	unset PGPORT PGDATABASE PGOPTIONS PGSERVICE

	mkdir "$PGHOST"
	"$bindir/initdb" -U "$PGUSER" -A trust -E UTF8 --no-sync >"$work/initdb.log" 2>&1 ||
		die "initdb: $(cat "$work/initdb.log")"
	{
		cat "$work/extension.conf"
		echo "listen_addresses = ''"
		echo "unix_socket_directories = '$PGHOST'"
		echo "fsync = off"
		printf '%s\n' "$@"
	} >>"$PGDATA/postgresql.conf"
	"$bindir/pg_ctl" start -s -w -l "$work/server.log" || die "server: $(cat "$work/server.log")"
}

stop_cluster()
{
	"$bindir/pg_ctl" stop -s -m fast
}

# free_ports N: of loopback, held at once so that they differ
free_ports()
{
	perl -MIO::Socket::INET -e '
		my @s = map { IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1") } 1 .. shift;
		print join(" ", map { $_->sockport } @s), "\n"' "$1"
}

# postgrest_is_ready ADMIN_PORT: waits ten seconds for it
postgrest_is_ready()
{
	for _ in $(seq 100); do
		if command curl -s -f -o "$work/ready" "http://127.0.0.1:$1/ready"; then
			return 0
		fi
		sleep 0.1
	done
	return 1
}

# --- stages, and the count of their tests -------------------------------------

passed=0
failed=0

# counts LOG: how many tests passed and how many failed.  pg_regress speaks TAP
# since PostgreSQL 16, as prove does; the core's test prints its sum alone.
counts()
{
	awk '
		/^(ok |test .*[.][.][.] ok )/ { passed++ }
		/^(not ok |test .*[.][.][.] FAILED)/ { failed++ }
		/^core: [0-9]+ checks passed, [0-9]+ failed$/ { if ($5 == 0) passed++; else failed++ }
		END { print passed + 0, failed + 0 }' "$1"
}

# A stage that fails without naming a test, or that names none, counts as one
# failure: silence must not pass.
stage()
{
	local title=$1 log status=0 ok not_ok

	shift
	log=$work/stage.log
	printf '\n=== %s\n' "$title"
	"$@" </dev/null 2>&1 | tee "$log" || status=$?
	read -r ok not_ok < <(counts "$log")
	if [ "$not_ok" = 0 ] && { [ "$status" != 0 ] || [ "$ok" = 0 ]; }; then
		echo "$title: failed without counting a test (status $status)"
		not_ok=1
	fi
	passed=$((passed + ok))
	failed=$((failed + not_ok))
	[ "$not_ok" = 0 ]
}

show_differences()
{
	if [ -s regression.diffs ]; then
		cat regression.diffs
	fi
	grep -E -A 2 'PANIC:|TRAP:|was terminated by signal' "$work/server.log" || true
}

# Against the cluster that runs.  The expected output is that of a library
# loaded on demand, by the first call.
installcheck_stages()
{
	stage "regression" make -s installcheck ISOLATION= TAP_TESTS= || show_differences
	stage "isolation" make -s installcheck REGRESS= TAP_TESTS= || show_differences
}

# The ends of the logs of the TAP tests that prove's summary names
show_tap_logs()
{
	local test

	sed -n 's,^test/t/\(.*\)\.pl .*(Wstat:.*,\1,p' "$work/stage.log" | while read -r test; do
		printf '\n--- %s\n' "$test"
		tail -n 40 "tmp_check/log/regress_log_$test"
	done
}

# These make their own clusters, which take TEMP_CONFIG into postgresql.conf.
# Several at a time: most of them wait, for a crash or a clock.
tap_stage()
{
	export TEMP_CONFIG=$work/extension.conf
	unset PGHOST PGUSER PGDATA
	stage "tap" make -s installcheck REGRESS= ISOLATION= PROVE_FLAGS='--verbose --jobs=4' || show_tap_logs
}
