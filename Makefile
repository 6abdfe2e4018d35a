# The commands of the README. Each checks what it needs first (deploy/needs.sh).

.PHONY: run test build fmt lint needs

needs:
	@deploy/needs.sh

# SIMULATE=0 leaves the example registers and the simulated fleet out.
SIMULATE ?= 24
EXAMPLE = $(if $(filter-out 0,$(SIMULATE)),--example deploy/example --simulate $(SIMULATE))

run: needs
	cargo build --release -p waywarden
	target/release/waywarden run --data data --unknown accept $(EXAMPLE)

build: needs
	cargo build --workspace

fmt: needs
	cargo fmt --all

lint: needs
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

test: lint
	cargo test --workspace

.PHONY: bench
# What is measured: cargo run --release -p waywarden-benches -- --help.
bench: needs
	cargo build --release -p waywarden -p waywarden-benches
	target/release/waywarden-benches $(BENCH)

# A minute for each target; FUZZ_SECONDS says otherwise.
.PHONY: fuzz
fuzz: needs
	deploy/fuzz.sh $(FUZZ_SECONDS)
