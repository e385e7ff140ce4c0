#!/usr/bin/env bash
# What each image format costs the build: a table of the extension's library, built from nothing with none of the optional formats, with each
# alone, and with all.
#
#   formats.sh [DIR]     builds in DIR (target/formats by default), which it empties; six builds
#
# Seconds are those of processors, whatever else the machine does, and of all crates; the library is stripped of names.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=${1:-target/formats}
major=$(pg_config --version | sed -E 's/^PostgreSQL ([0-9]+).*/\1/')
PGRX_PG_CONFIG_PATH=$(command -v pg_config)
export PGRX_PG_CONFIG_PATH
TIMEFORMAT='%U %S'
mkdir -p "$dir"
echo "| formats | crates | CPU seconds | library, MB |"
echo "|---|---:|---:|---:|"
for formats in "" avif heic jxl more-formats "avif heic jxl more-formats"; do
	rm -rf "$dir/target"
	features=(--no-default-features --features "pg$major $formats")
	crates=$(cargo tree -p pg_clip "${features[@]}" -e normal,build --prefix none | awk '{ print $1, $2 }' | sort -u | wc -l)
	{ time cargo build --release -p pg_clip "${features[@]}" --target-dir "$dir/target" >"$dir/log" 2>&1; } 2>"$dir/time" || { cat "$dir/log" >&2; exit 1; }
	strip --strip-unneeded -o "$dir/library" "$dir/target/release/libpg_clip.so"
	size=$(stat -c %s "$dir/library")
	awk -v formats="${formats:-none}" -v crates="$crates" -v size="$size" '{ printf "| %s | %d | %.0f | %.1f |\n", formats, crates, $1 + $2, size / 1e6 }' "$dir/time"
done
rm -rf "$dir"
