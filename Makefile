# pg_clip. `make demo` and `make test` are all that a newcomer needs; `make help` lists the rest.

PG_CONFIG ?= pg_config
BINDIR ?= /usr/local/bin
TARGET := $(or $(CARGO_TARGET_DIR),target)
# Tests share one build, whose programs link in seconds; libraries have the features that all programs together need.
BUILD_PROFILE := release
export BUILD_PROFILE
BUILT = $(TARGET)/$(BUILD_PROFILE)

PG_MAJOR = $(shell $(PG_CONFIG) --version 2>/dev/null | sed -E 's/^PostgreSQL ([0-9]+).*/\1/')
PKGLIBDIR = $(DESTDIR)$(shell $(PG_CONFIG) --pkglibdir)
SHAREDIR = $(DESTDIR)$(shell $(PG_CONFIG) --sharedir)
VERSION = $(shell scripts/version.sh)
REGRESS = $(patsubst pg_test/sql/%.sql,%,$(wildcard pg_test/sql/*.sql))
CARGO_ENV = PGRX_PG_CONFIG_PATH="$$(command -v $(PG_CONFIG))"
# Image formats that may be left out: FORMATS= builds without them.
FORMATS ?= avif heic jxl more-formats
FEATURES = --no-default-features --features "pg$(PG_MAJOR) $(FORMATS)"

.NOTPARALLEL:
.PHONY: all help setup check-tools install install-extension installcheck test test-matrix test-arm64 demo examples model bench fuzz lint deb deb-arm64 test-deb test-container rpm volume dist sbom audit docs release-check clean

all: check-tools ## Build the extension and the command line
	$(CARGO_ENV) cargo build --profile $(BUILD_PROFILE) --workspace $(if $(filter tests,$(BUILD_PROFILE)),--all-targets) $(FEATURES)

help: ## List the targets
	@sed -nE 's/^([a-z0-9-]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

setup: ## Install what is missing: PostgreSQL's headers, libclang, pgvector (Debian, Ubuntu); and PACKAGES
	@PG_CONFIG="$(PG_CONFIG)" scripts/setup.sh $(PACKAGES)

check-tools:
	@PG_CONFIG="$(PG_CONFIG)" scripts/check-tools.sh

install: install-extension ## Install extension, command line and bundled model (after `make`)
	install -d "$(SHAREDIR)/pg_clip/models" "$(DESTDIR)$(BINDIR)"
	install -m 755 "$(BUILT)/pgclip" "$(DESTDIR)$(BINDIR)/pgclip"
	"$(BUILT)/pgclip" import models/pictograms --model-dir "$(SHAREDIR)/pg_clip/models"

install-extension:
	install -d "$(PKGLIBDIR)" "$(SHAREDIR)/extension"
	install -m 755 "$(BUILT)/libpg_clip.so" "$(PKGLIBDIR)/pg_clip.so"
	install -m 644 pg_clip.control "$(SHAREDIR)/extension/"
	scripts/extension-sql.sh "$(VERSION)" "$(SHAREDIR)/extension"

installcheck: ## Regression tests against your running server (PGHOST, PGPORT, PGUSER)
	PG_ABS_SRCDIR="$(CURDIR)/pg_test" "$$(dirname "$$($(PG_CONFIG) --pgxs)")/../test/regress/pg_regress" --bindir="$$($(PG_CONFIG) --bindir)" \
		--inputdir=pg_test --outputdir="$(TARGET)/regress" --dbname=contrib_regression_pg_clip \
		--load-extension=vector --load-extension=pg_clip $(REGRESS)

test: BUILD_PROFILE := tests
test: setup all ## Every test, in a throw-away cluster
	@PG_CONFIG="$(PG_CONFIG)" PG_MAJOR="$(PG_MAJOR)" scripts/test.sh

test-matrix: ## The extension's tests on PostgreSQL 15 to 18, in servers that it fetches; MAJORS: only these. Writes pg_test/VERSIONS.md
	@scripts/test-matrix.sh $(MAJORS)

test-arm64: ## The engine's tests for arm64, under qemu (as root)
	@scripts/test-arm64.sh

demo: setup all ## Search real pictures in a throw-away cluster, write an HTML page; PHOTOS=DIR MODEL=NAME: your own
	@PG_CONFIG="$(PG_CONFIG)" PHOTOS="$(PHOTOS)" MODEL="$(MODEL)" WORDS="$(WORDS)" scripts/demo.sh

examples: setup all ## Run the examples of clients in a throw-away cluster, with packages that it fetches; NAMES: only these
	@sudo=""; [ -w "$$($(PG_CONFIG) --pkglibdir)" ] || sudo=sudo; \
		$$sudo env PATH="$$PATH" CARGO_TARGET_DIR="$(CARGO_TARGET_DIR)" $(MAKE) --no-print-directory -s install-extension PG_CONFIG="$(PG_CONFIG)"
	@PG_CONFIG="$(PG_CONFIG)" examples/run.sh $(NAMES)

model: all ## Score the bundled model on the demo's pictures, without a server
	@scripts/score.sh

bench: all ## Time the engine beside others (PYTHON: one that has them; MODEL) into bench/RESULTS.md; whole loads: bench/end_to_end.sh
	@bench/run.sh

fuzz: ## Run each fuzz target SECONDS (60) with a nightly compiler; TARGETS: only these
	@scripts/fuzz.sh $(or $(SECONDS),60) $(TARGETS)

deb: all ## Debian packages of extension, command line and model, in target/deb
	@PG_CONFIG="$(PG_CONFIG)" scripts/deb.sh

deb-arm64: ## Debian packages for arm64, cross-compiled, tested under qemu alone (as root)
	@scripts/test-arm64.sh --packages

test-deb: ## A life of the packages in a clean Debian 13: install, first answer, upgrade, purge (as root)
	@scripts/test-deb.sh

rpm: all ## RPMs for PostgreSQL's own archive, in target/rpm (with rpmbuild)
	@PG_CONFIG="$(PG_CONFIG)" scripts/rpm.sh

volume: install ## The extension as CloudNativePG mounts it, in target/volume (after `make`; PostgreSQL 18)
	rm -rf "$(TARGET)/volume"
	@PG_CONFIG="$(PG_CONFIG)" scripts/volume.sh "$(TARGET)/volume"

test-container: ## What the Dockerfile runs, in chroots of the same Debian (as root)
	@scripts/test-container.sh

dist: ## The archive for PGXN, in target
	@scripts/dist.sh

sbom: ## What the binaries are made of, in CycloneDX, in target
	@scripts/sbom.sh

audit: ## Licenses, advisories, sources and duplicates of dependencies
	@scripts/audit.sh

release-check: lint ## All that a release needs, the tests with what is released
	$(MAKE) test BUILD_PROFILE=release
	$(MAKE) test-matrix deb test-deb dist audit sbom

docs: ## The site of docs/, in target/docs
	@scripts/docs.sh

lint: check-tools ## Formatting and clippy, warnings being errors; shellcheck; rules of the documents
	cargo fmt --all --check
	@scripts/check-shell.sh
	@scripts/check-docs.py
	$(CARGO_ENV) cargo clippy --profile tests --workspace --all-targets $(FEATURES) -- -D warnings

clean: ## Remove what was built
	cargo clean
