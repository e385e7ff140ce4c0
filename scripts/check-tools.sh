#!/usr/bin/env bash
# Says in words what is missing to build, and how to get it. Installs nothing.
set -euo pipefail
fail() { printf '%s\n' "$@" >&2; exit 1; }

PG_CONFIG=${PG_CONFIG:-pg_config}
command -v "$PG_CONFIG" >/dev/null || fail "pg_config is missing: run \"make setup\", or name it: make PG_CONFIG=/path/to/pg_config"
major=$("$PG_CONFIG" --version | sed -E 's/^PostgreSQL ([0-9]+).*/\1/')
[ "$major" -ge 15 ] && [ "$major" -le 18 ] ||
	fail "$("$PG_CONFIG" --version) is not supported: expected 15 to 18"
[ -f "$("$PG_CONFIG" --includedir-server)/postgres.h" ] ||
	fail "the server headers of PostgreSQL $major are missing: run \"make setup\" or install postgresql-server-dev-$major"

command -v cargo >/dev/null ||
	fail "Rust is missing: expected 1.95 or later." "Install it from https://rustup.rs, then open a new shell. On Debian 13 \"make setup\" installs it."
rust=$(rustc --version | sed -E 's/^rustc ([0-9]+\.[0-9]+).*/\1/')
[ "$(printf '1.95\n%s\n' "$rust" | sort -V | head -n1)" = 1.95 ] ||
	fail "Rust $rust is too old: expected 1.95 or later." "Update it with \"rustup update stable\", or install it from https://rustup.rs."
# pgrx formats the bindings that it makes of PostgreSQL's headers.
command -v rustfmt >/dev/null || fail "rustfmt is missing: run \"rustup component add rustfmt\", or install it"
