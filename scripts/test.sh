#!/usr/bin/env bash
# Every test: the crates', then the extension's in a throw-away cluster. `make test` calls it, after a build.
set -euo pipefail
cd "$(dirname "$0")/.."
started=$SECONDS
log=$(mktemp)
trap 'rm -f "$log"' EXIT

echo "== crates: unit and golden tests"
# With the features of `make`, so that nothing is compiled twice. Its own status counts, not that of the filter, which fails where there
# is nothing to show.
features="pg$PG_MAJOR avif heic jxl more-formats"
if ! PGRX_PG_CONFIG_PATH=$(command -v "${PG_CONFIG:-pg_config}") \
	cargo test --profile tests --workspace --no-default-features --features "$features" --no-fail-fast 2>&1 | tee "$log" |
	{ grep -vE '^\s*(Compiling|Finished|Running|Doc-tests)|^$|^running 0|0 passed; 0 failed' || true; }; then
	echo "tests of the crates failed" >&2
	exit 1
fi
if grep -qw avx512_bf16 /proc/cpuinfo && ! grep -qw amx_int8 /proc/cpuinfo; then
	echo "== packed-gemm: the kernel of AMX, whose instructions this machine lacks, on plain Rust's"
	cargo test --profile tests --quiet -p packed-gemm --features emulate-amx 2>&1 | tee -a "$log" | grep -E '^test result: (ok. [1-9]|FAILED)|panicked|^error'
fi
crates=$(awk '/^test result:/ { n += $4 } END { print n + 0 }' "$log")

echo "== the engine is free of PostgreSQL and of network clients"
scripts/check-dependencies.sh

echo "== no modules of the extension, or of packed-gemm, use each other in a circle"
scripts/check-imports.py
scripts/check-imports.py crates/packed-gemm/src

echo "== released scripts are as they were"
scripts/check-released.sh

echo "== extension: installing"
sudo=""
if [ ! -w "$(${PG_CONFIG:-pg_config} --pkglibdir)" ]; then sudo="sudo"; fi
$sudo env PATH="$PATH" CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-}" \
	make --no-print-directory -s install-extension PG_CONFIG="${PG_CONFIG:-pg_config}" BUILD_PROFILE="${BUILD_PROFILE:-release}"
scripts/check-install.sh

pg_test/run.sh | tee "$log"
regress=$(sed -nE 's/^regress: ([0-9]+) passed.*/\1/p' "$log")
sessions=$(sed -nE 's/^sessions: ([0-9]+) passed.*/\1/p' "$log")

echo "== crates: $crates tests, regress: $regress files, sessions: $sessions scripts, in $((SECONDS - started)) s"
echo "$((crates + regress + sessions)) passed, 0 failed"
