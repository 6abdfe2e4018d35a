# The commands of the README. Each checks what it needs first (deploy/needs.sh).

.PHONY: test build fmt lint needs

needs:
	@deploy/needs.sh

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
bench: needs
	cargo run --release -p waywarden-benches
