# pg_clip. `make demo` and `make test` are all that a newcomer needs; `make help` lists the rest.

PG_CONFIG ?= pg_config
BINDIR ?= /usr/local/bin
TARGET := $(or $(CARGO_TARGET_DIR),target)

PG_MAJOR = $(shell $(PG_CONFIG) --version 2>/dev/null | sed -E 's/^PostgreSQL ([0-9]+).*/\1/')
PKGLIBDIR = $(DESTDIR)$(shell $(PG_CONFIG) --pkglibdir)
SHAREDIR = $(DESTDIR)$(shell $(PG_CONFIG) --sharedir)
VERSION = $(shell sed -nE "s/^default_version *= *'(.*)'/\1/p" pg_clip.control)
REGRESS = $(patsubst pg_test/sql/%.sql,%,$(wildcard pg_test/sql/*.sql))
CARGO_ENV = PGRX_PG_CONFIG_PATH="$$(command -v $(PG_CONFIG))"
FEATURES = --features pg$(PG_MAJOR)

.NOTPARALLEL:
.PHONY: all help setup check-tools install install-extension installcheck test demo model bench fuzz lint clean

all: check-tools ## Build the extension and the command line
	$(CARGO_ENV) cargo build --release --workspace $(FEATURES)

help: ## List the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

setup: ## Install what is missing: PostgreSQL's headers, libclang, pgvector (Debian, Ubuntu)
	@PG_CONFIG="$(PG_CONFIG)" scripts/setup.sh

check-tools:
	@PG_CONFIG="$(PG_CONFIG)" scripts/check-tools.sh

install: install-extension ## Install extension, command line and bundled model (after `make`)
	install -d "$(SHAREDIR)/pg_clip/models" "$(DESTDIR)$(BINDIR)"
	install -m 755 "$(TARGET)/release/pgclip" "$(DESTDIR)$(BINDIR)/pgclip"
	"$(TARGET)/release/pgclip" import models/pictograms --model-dir "$(SHAREDIR)/pg_clip/models"

install-extension:
	install -d "$(PKGLIBDIR)" "$(SHAREDIR)/extension"
	install -m 755 "$(TARGET)/release/libpg_clip.so" "$(PKGLIBDIR)/pg_clip.so"
	install -m 644 pg_clip.control "$(SHAREDIR)/extension/"
	scripts/extension-sql.sh "$(VERSION)" "$(SHAREDIR)/extension"

installcheck: ## Regression tests against your running server (PGHOST, PGPORT, PGUSER)
	PG_ABS_SRCDIR="$(CURDIR)/pg_test" "$$(dirname "$$($(PG_CONFIG) --pgxs)")/../test/regress/pg_regress" --bindir="$$($(PG_CONFIG) --bindir)" \
		--inputdir=pg_test --outputdir="$(TARGET)/regress" --dbname=contrib_regression_pg_clip \
		--load-extension=vector --load-extension=pg_clip $(REGRESS)

test: setup all ## Every test, in a throw-away cluster
	@PG_CONFIG="$(PG_CONFIG)" scripts/test.sh

demo: setup all ## Search real pictures in a throw-away cluster, write an HTML page
	@PG_CONFIG="$(PG_CONFIG)" scripts/demo.sh

model: all ## Score the bundled model on the demo's pictures, without a server
	@scripts/score.sh

bench: all ## Time the engine beside others (PYTHON: one that has them) and write bench/RESULTS.md
	@bench/run.sh

fuzz: ## Run each fuzz target SECONDS (60) with a nightly compiler; TARGETS: only these
	@scripts/fuzz.sh $(or $(SECONDS),60) $(TARGETS)

lint: check-tools ## Formatting and clippy, warnings being errors
	cargo fmt --all --check
	$(CARGO_ENV) cargo clippy --release --workspace --all-targets $(FEATURES) -- -D warnings

clean: ## Remove what was built
	cargo clean
