# The commands of the README. Each checks what it needs first (deploy/needs.sh).

.PHONY: run test faults build fmt lint web web-test tls-test bench bench-services fuzz needs needs-run needs-test deploy-check services services-stop

WEB = crates/console/web

needs:
	@deploy/needs.sh

needs-run:
	@deploy/needs.sh web

needs-test:
	@deploy/needs.sh web browser services deploy

# SIMULATE=0 leaves the example registers and the simulated fleet out.
SIMULATE ?= 24
EXAMPLE = $(if $(filter-out 0,$(SIMULATE)),--example deploy/example --simulate $(SIMULATE))

# Everything that is needed is checked before anything is compiled.
run: needs-run web
	cargo build --release -p waywarden
	target/release/waywarden run --data data --unknown accept $(EXAMPLE)

build: needs
	cargo build --workspace

# The page, embedded by the next build.
web: $(WEB)/dist/index.html

$(WEB)/dist/index.html: $(WEB)/node_modules/.package-lock.json $(WEB)/index.html \
		$(WEB)/vite.config.ts $(WEB)/tsconfig.json $(shell find $(WEB)/src $(WEB)/public -type f)
	cd $(WEB) && npm run --silent build

$(WEB)/node_modules/.package-lock.json: $(WEB)/package-lock.json
	@deploy/needs.sh web
	cd $(WEB) && npm ci --silent
	@touch $@

fmt: needs
	cargo fmt --all

lint: needs
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

# With a real Kafka and a real TimescaleDB, which it starts and ends (deploy/services.sh).
test: needs-test lint web deploy-check
	cargo test --workspace --no-run
	deploy/services.sh with cargo test --workspace
	$(MAKE) web-test

# More faults than `make test` has, in another order: make faults FAULTS=600 SEED=7
FAULTS ?= 240
SEED ?= 2
faults: needs-test
	cargo test --workspace --test faults --no-run
	WAYWARDEN_FAULTS=$(FAULTS) WAYWARDEN_FAULTS_SEED=$(SEED) deploy/services.sh with \
		cargo test --workspace --test faults -- --nocapture

# What is deployed, by the tools of those who run it.
deploy-check: $(WEB)/node_modules/.package-lock.json
	@deploy/needs.sh web deploy
	deploy/check.sh

services: needs
	deploy/services.sh start

services-stop:
	deploy/services.sh stop

# The page's own tests; the last of them in a browser, against the program itself.
web-test: web
	@deploy/needs.sh web browser
	cargo build -p waywarden
	cd $(WEB) && npm run --silent unit && npm run --silent browser

# Kafka over TLS, by a build of its own: OpenSSL is built for it, which takes minutes. With the
# system's (libssl-dev) it does not: OPENSSL_NO_VENDOR=1 make tls-test.
tls-test:
	@deploy/needs.sh services
	cargo test --workspace --features waywarden-bus/tls --test secured --no-run
	deploy/services.sh with cargo test --workspace --features waywarden-bus/tls --test secured

# What is measured: cargo run --release -p waywarden-benches -- --help.
bench: needs
	cargo build --release -p waywarden -p waywarden-benches
	target/release/waywarden-benches $(BENCH)

# The same product on Kafka and TimescaleDB; they are started for it, and ended unless they ran.
bench-services: needs
	cargo build --release -p waywarden -p waywarden-benches
	deploy/services.sh with kafka postgres -- target/release/waywarden-benches --services $(BENCH)

# A minute for each target; FUZZ_SECONDS says otherwise.
fuzz: needs
	deploy/fuzz.sh $(FUZZ_SECONDS)
