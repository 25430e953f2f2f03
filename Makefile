# `make demo` and `make test` set up all they need; Rust has to be there (https://rustup.rs).

TRIPLE  := $(shell rustc -vV | sed -n 's/^host: //p')
ifeq ($(TRIPLE),)
$(error there is no rustc on PATH (under sudo there seldom is one); see https://rustup.rs)
endif
PREFIX  ?= /usr/local
PROGRAM := target/$(TRIPLE)/release/rds-token

# Linked statically and at a fixed address, the program starts in the time of /bin/true: nothing is loaded or
# relocated. --target keeps these flags off build scripts and macros. On other systems than Linux with glibc the
# build is an ordinary one, as with `cargo build --release`. SHA-256 does not query the processor: in a virtual
# machine the query takes longer than hashing the few bytes that we hash.
ifneq ($(findstring linux-gnu,$(TRIPLE)),)
STATIC := RUSTFLAGS='$(RUSTFLAGS) -C target-feature=+crt-static -C relocation-model=static \
	--cfg sha2_256_backend="soft"'
endif

.PHONY: build install demo test bench lint platforms fuzz deny clean

build:
	@tests/install build
	$(STATIC) cargo build --release --locked --target $(TRIPLE)

# Not under sudo, which has no Rust: only the last step asks for it, where the place needs it.
install: build
	install -D -m 755 $(PROGRAM) $(DESTDIR)$(PREFIX)/bin/rds-token 2>/dev/null || \
		sudo install -D -m 755 $(PROGRAM) $(DESTDIR)$(PREFIX)/bin/rds-token

# A MariaDB that takes IAM tokens, and a login through rds-token.
demo:
	@tests/lab/install mariadb
	@$(MAKE) --no-print-directory build
	@tests/lab/demo $(PROGRAM)

test:
	@tests/install build test drivers awscli
	@tests/lab/install all
	@$(MAKE) --no-print-directory build
	RDS_TOKEN_STATIC=$(CURDIR)/$(PROGRAM) cargo test --locked

# Searches for inputs that break what tests/properties.rs asks of parsers and sinks. The dependencies are
# those of `make test`. One property, for longer: make fuzz PROPERTIES=token FUZZ_SECONDS=600
PROPERTIES ?= $(notdir $(wildcard fuzz/corpus/*))
FUZZ_SECONDS ?= 15
fuzz:
	@tests/install build fuzz
	RUSTC_WORKSPACE_WRAPPER=$(CURDIR)/fuzz/rustc cargo build --locked -p rds-token-fuzz
	@fuzz/run target/debug/fuzz $(FUZZ_SECONDS) $(PROPERTIES)

# Whole processes, in ratios to /bin/true; prints the table that README.md shows.
bench: build
	@tests/install bench
	@tests/bench $(PROGRAM)

lint:
	@tests/install build lint
	cargo fmt --all --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items
	shellcheck shell/rds-token.bash .ci/run fuzz/run fuzz/rustc src/client/ca/update tests/deny tests/install \
		tests/lab/install tests/lab/demo
	zsh -n shell/rds-token.zsh
	fish -n shell/rds-token.fish

# Types and lints on macOS and Windows, of which nothing is run.
platforms:
	@tests/install build platforms
	@tests/platforms

# Licences, sources and advisories of the dependencies.
deny:
	@tests/install deny
	@tests/deny

clean:
	cargo clean
