# `make help` lists the targets. Rust must be installed (https://rustup.rs).

TRIPLE  := $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')
# For messages of tests/packages.
export MAKECMDGOALS
PREFIX  ?= /usr/local
# Most shells do not expand the tilde in `make PREFIX=~/.local`.
override PREFIX := $(patsubst ~/%,$(HOME)/%,$(PREFIX))
BIN     := $(DESTDIR)$(PREFIX)/bin
PROGRAM := target/$(TRIPLE)/release/rds-token
VERSION := $(shell sed -n '/^version = /{s/.*"\(.*\)"/\1/p;q;}' Cargo.toml)

# A static program at a fixed address starts as fast as /bin/true: nothing is loaded or relocated. --target applies
# these flags to neither build scripts nor macros. On systems other than Linux with glibc, the build is that of
# `cargo build --release`. SHA-256 does not query the processor: in a virtual machine, the query takes longer than
# hashing the few bytes that we hash. A panic aborts, so the
# index for unwinding is left out.
ifneq ($(findstring linux-gnu,$(TRIPLE)),)
STATIC := RUSTFLAGS='$(RUSTFLAGS) -C target-feature=+crt-static -C relocation-model=static \
	-C link-arg=-Wl,--no-eh-frame-hdr --cfg sha2_256_backend="soft"'
endif

.PHONY: build install setup demo test test-portable check bench lint workflows platforms fuzz deny dist checksums \
	publish clean help rust

build: rust  ## Build the program (default)
	@tests/install build
	$(STATIC) cargo build --release --locked --target $(TRIPLE)

install: build  ## Build and install it; PREFIX=DIR for another place than /usr/local
	@{ mkdir -p '$(BIN)' && install -m 755 '$(PROGRAM)' '$(BIN)/rds-token'; } || { \
		echo "make: the program is built, but this user cannot write to $(BIN); run:" >&2; \
		echo "    sudo mkdir -p '$(BIN)' && sudo install -m 755 '$(CURDIR)/$(PROGRAM)' '$(BIN)/rds-token'" >&2; exit 1; }
	@echo "installed $(BIN)/rds-token"
	@case ":$$PATH:" in *":$(BIN):"*) ;; *) echo "$(BIN) is not on PATH" ;; esac

setup:  ## Install what the other targets need (Debian, Ubuntu), with sudo unless run as root
	@tests/install --sudo build test drivers awscli moto parsers lint workflows fuzz deny platforms bench
	@tests/lab/install --sudo all
	@echo "everything is installed"

demo: rust  ## Start a MariaDB server that accepts IAM tokens, and log in with rds-token
	@tests/lab/install mariadb
	@$(MAKE) --no-print-directory build
	@tests/lab/demo $(PROGRAM)

# All tests run even if some fail, so that the summary comes last.
test: rust  ## Run all tests; `cargo test` alone runs those that need nothing but Rust
	@tests/install build test drivers awscli moto parsers
	@tests/lab/install all
	@$(MAKE) --no-print-directory build
	RDS_TOKEN_STATIC='$(CURDIR)/$(PROGRAM)' cargo test --locked --no-fail-fast -- --include-ignored

test-portable: rust  ## Run the tests that pass on Linux, macOS and Windows
	cargo test --locked --lib --bins --test portable

check: rust  ## Check types with this Rust
	cargo check --locked --all-targets

lint: rust  ## Check formatting, lints, documentation and shell scripts
	@tests/install build lint
	cargo fmt --all --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items
	shellcheck --external-sources shell/*.bash .ci/run fuzz/run fuzz/rustc src/client/ca/update tests/deny \
		tests/install tests/packages tests/lab/install tests/lab/demo tests/dist tests/workflows
	zsh -n shell/rds-token.zsh && zsh -n shell/completion.zsh
	fish -n shell/rds-token.fish && fish -n shell/completion.fish

workflows:  ## Check the files in .github
	@tests/install workflows
	@tests/workflows

deny: rust  ## Check licences, sources and security advisories of the dependencies
	@tests/install deny
	@tests/deny

platforms: rust  ## Check types and lints for macOS and Windows; runs nothing
	@tests/install build platforms
	@tests/platforms

# Searches for inputs that break the properties in tests/properties.rs. The dependencies are those of `make test`.
# For one property and longer: make fuzz PROPERTIES=token FUZZ_SECONDS=600
PROPERTIES ?= $(notdir $(wildcard fuzz/corpus/*))
FUZZ_SECONDS ?= 15
fuzz: rust  ## Fuzz parsers and formats, 15 seconds each
	@tests/install build fuzz
	RUSTC_WORKSPACE_WRAPPER='$(CURDIR)/fuzz/rustc' cargo build --locked -p rds-token-fuzz
	@fuzz/run target/debug/fuzz $(FUZZ_SECONDS) $(PROPERTIES)

bench: build  ## Compare start-up times with /bin/true and the AWS CLI, as in README.md
	@tests/install bench
	@tests/bench $(PROGRAM)

dist: build  ## Write dist/rds-token-VERSION-TARGET.tar.gz and dist/SHA256SUMS
	@tests/dist $(PROGRAM) rds-token-$(VERSION)-$(TRIPLE)
	@$(MAKE) --no-print-directory checksums

# For a release: archives of several machines are in dist (RELEASING.md).
checksums:
	cd dist && sha256sum -- *.tar.gz >SHA256SUMS

publish:
	gh release create v$(VERSION) --verify-tag --draft --title $(VERSION) --generate-notes dist/*.tar.gz dist/SHA256SUMS

clean:  ## Remove target and dist
	cargo clean
	rm -rf dist

help:  ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' Makefile | while IFS="$$(printf '\t')" read -r name what; do \
		printf '%-15s%s\n' "$$name" "$$what"; done

rust:
	@[ -n '$(TRIPLE)' ] || { \
		echo "make: rustc is not on PATH; install Rust (https://rustup.rs)" >&2; \
		[ -z "$$SUDO_USER" ] || echo "make: root has no Rust; run make without sudo. \`make install\` prints the command to run with sudo." >&2; \
		exit 1; }
