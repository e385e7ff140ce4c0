#!/usr/bin/env bash
# Runs fuzz targets, one after the other, and tells what each did.
#
#   fuzz.sh [--record] [SECONDS] [TARGET ...]     60 seconds each, and all of them, unless told otherwise
#
# --record adds each run to the table in fuzz/RUNS.md. Needs a nightly toolchain (FUZZ_TOOLCHAIN names one), as only it has what
# libFuzzer needs of the compiler. Findings lie in fuzz/artifacts/TARGET; `cargo +nightly fuzz run TARGET FILE` repeats one.
set -euo pipefail
cd "$(dirname "$0")/.."
record=no
if [ "${1:-}" = --record ]; then
	record=yes
	shift
fi
seconds=${1:-60}
shift || true
toolchain=${FUZZ_TOOLCHAIN:-nightly}
tools=$(realpath -m "${CARGO_TARGET_DIR:-target}")/fuzz-tools
missing=()
if ! cargo "+$toolchain" --version >/dev/null 2>&1; then missing+=("the toolchain $toolchain: rustup toolchain install $toolchain"); fi
if ! command -v c++ >/dev/null; then missing+=("a C++ compiler, which libFuzzer is built with: apt-get install g++"); fi
if [ ${#missing[@]} -gt 0 ]; then
	printf 'fuzzing needs %s\n' "${missing[@]}" >&2
	exit 1
fi
if ! cargo fuzz --version >/dev/null 2>&1 && [ ! -x "$tools/bin/cargo-fuzz" ]; then
	echo "installing cargo-fuzz into $tools"
	cargo install --quiet --locked --root "$tools" cargo-fuzz
fi
export PATH="$tools/bin:$PATH"
# The libraries are those that the extension is built with.
if [ ! -e fuzz/Cargo.lock ] || [ Cargo.lock -nt fuzz/Cargo.lock ]; then cp Cargo.lock fuzz/Cargo.lock; fi
fuzz/seeds.py >/dev/null
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then mapfile -t targets < <(cargo "+$toolchain" fuzz list); fi
cargo "+$toolchain" fuzz build
commit=$(git rev-parse --short HEAD 2>/dev/null || echo unknown)

# Models are written for each execution: into memory, where the system has such folders.
if [ -w /dev/shm ]; then export TMPDIR=/dev/shm; fi
TMPDIR=$(mktemp -d)
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
log=$TMPDIR/log
TIMEFORMAT='%U %S'
found=0
for target in "${targets[@]}"; do
	findings=0
	# A file of 64 KiB, and memory beside which a server would live. The targets count their seconds on a processor; ten minutes are for what
	# does not end, as other work may keep a target waiting.
	{ time cargo "+$toolchain" fuzz run "$target" -- -max_total_time="$seconds" -max_len=65536 -timeout=600 -rss_limit_mb=2048 \
		-print_final_stats=1 -close_fd_mask=1 >"$log" 2>&1; } 2>"$TMPDIR/time" || findings=1
	used=$(tail -1 "$TMPDIR/time" | awk '{ printf "%.0f", $1 + $2 }')
	runs=$(sed -nE 's/^stat::number_of_executed_units: *//p' "$log" | tail -1)
	covered=$(sed -nE 's/.* cov: ([0-9]+) .*/\1/p' "$log" | tail -1)
	memory=$(sed -nE 's/^stat::peak_rss_mb: *//p' "$log" | tail -1)
	# As under a limit of address space (ulimit -v), of which AddressSanitizer wants more than there is memory.
	if grep -qa 'ReserveShadowMemoryRange failed' "$log"; then
		echo "$target did not start:" >&2
		tail -3 "$log" >&2
		exit 1
	fi
	if [ "$findings" = 0 ]; then status=ok; else status=FINDING; fi
	echo "$target: ${runs:-0} executions, ${covered:-0} edges covered, ${memory:-?} MB at most: $status"
	if [ "$record" = yes ]; then fuzz/runs.py "$target" "$used" "${runs:-0}" "${covered:-0}" $findings "$commit"; fi
	if [ "$findings" != 0 ]; then
		found=1
		grep -aE 'panicked at|^==|SUMMARY|Test unit written|^error' -A 3 "$log" | tail -20 || true
	fi
done
exit $found
