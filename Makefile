EXTENSION = jwt_auth jwt_auth_pgjwt
# the control files are the version's only home, and of one library
EXTVERSION := $(sort $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" $(EXTENSION:=.control)))
ifneq ($(words $(EXTVERSION)),1)
$(error The control files name several versions: $(EXTVERSION))
endif

MODULE_big = jwt_auth
# the server-free core, which test/core links alone
CORE = src/alg.o src/base64url.o src/jwk.o src/jws.o src/numericdate.o
OBJS = $(CORE) src/arguments.o src/audit.o src/claims.o src/client.o src/errors.o src/guc.o src/hook.o src/http.o \
	src/issuer.o src/jwkfuncs.o src/jwkset.o src/jwt.o src/jwt_auth.o src/keycache.o src/keyring.o src/masterkey.o src/onetime.o \
	src/password.o src/pgjwt.o src/refresh.o src/session.o src/tables.o src/throttle.o src/token.o src/verified.o src/worker.o

# upgrades and kept base scripts; this version's own is built
DATA_built = $(EXTENSION:%=sql/%--$(EXTVERSION).sql)
DATA = $(filter-out $(DATA_built),$(wildcard $(EXTENSION:%=sql/%--*.sql)))

REGRESS = $(sort $(patsubst test/sql/%.sql,%,$(wildcard test/sql/*.sql)))
REGRESS_OPTS = --inputdir=test --outputdir=.
ISOLATION = $(sort $(patsubst test/specs/%.spec,%,$(wildcard test/specs/*.spec)))
ISOLATION_OPTS = --inputdir=test --outputdir=.
TAP_TESTS = 1
PROVE_TESTS = test/t/*.pl

# PostgreSQL's headers are not ours to warn about
PG_CPPFLAGS = -isystem $(includedir_server)
# no detour for calls into the server, of which policies make one for every row
PG_CFLAGS = -Wall -Wextra -Werror -Wno-unused-parameter -fno-plt
# our functions are ours, whatever other libraries export under these names
SHLIB_LINK += -lcrypto -Wl,-Bsymbolic
EXTRA_CLEAN = test/core/core_test

.PHONY: core-test test test-asan test-matrix differential fuzz bench demo

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)
ifneq ($(wildcard $(PGXS)),)

# no bitcode where the tools that the server was built with are missing
llvm_tools := $(shell sed -n -e 's/^CLANG *= *//p' -e 's/^LLVM_BINPATH *= *\(.*\)/\1\/llvm-lto/p' $(dir $(PGXS))../Makefile.global)
ifneq ($(words $(foreach tool,$(llvm_tools),$(shell command -v $(tool)))),2)
override with_llvm = no
endif

include $(PGXS)

$(OBJS) $(OBJS:.o=.bc): $(wildcard src/*.h)

else

# "make test" and "make demo" install what is missing
.DEFAULT_GOAL = all
all install installcheck:
	$(error PostgreSQL's build files are missing: install postgresql-server-dev-NN, or set PG_CONFIG)

clean:
	rm -rf $(EXTRA_CLEAN)

endif

$(DATA_built): sql/%--$(EXTVERSION).sql: sql/%.sql
	cp $< $@

# Without a server, and with the sanitizers watching
test/core/core_test: test/core/core_test.c $(CORE:.o=.c) $(wildcard src/*.h)
	$(CC) -g -O1 -Wall -Wextra -Werror -fsanitize=address,undefined -fno-sanitize-recover=undefined \
		-Isrc -o $@ $(filter %.c,$^) -lcrypto

core-test: test/core/core_test
	test/core/core_test

# Against a throw-away server, with what is missing installed first
test:
	@test/run

# The same in servers with AddressSanitizer and UndefinedBehaviorSanitizer
test-asan:
	@test/asan

# The same on other suites' PostgreSQL, as root; VERSIONS="17 18" chooses
test-matrix:
	@test/matrix $(VERSIONS)

# Ratios to what the same work costs elsewhere; ROUNDS=n and PAIRS=n measure more often
bench:
	@test/bench/run
	@test/bench/postgrest

# The server-free core against what libFuzzer makes up, for SECONDS altogether;
# TARGETS="jwk pem" chooses
fuzz:
	@test/fuzz/run $(or $(SECONDS),60) $(TARGETS)

# Mutated tokens and keys against other libraries; CASES and SEED choose
differential:
	@test/interop/differential

# KEEP=1 leaves it running
demo:
	@test/demo
