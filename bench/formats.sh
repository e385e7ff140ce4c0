#!/usr/bin/env bash
# What each image format costs the build: a table of the extension's library with none of the optional formats, with each alone, and with all.
#
#   formats.sh [DIR]     builds in DIR (target/formats by default), which it empties
#
# Seconds are those of processors. The first build is from nothing. Each of the others begins with the crates that all have, and builds the
# format's crates, clip-core and the extension; the first row tells what the latter two take without any. The library is stripped of names.
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
build() {
	features=(--no-default-features --features "pg$major $1")
	{ time cargo build --release -p pg_clip "${features[@]}" --target-dir "$dir/target" >"$dir/log" 2>&1; } 2>"$dir/time" || { cat "$dir/log" >&2; exit 1; }
	awk '{ printf "%.0f", $1 + $2 }' "$dir/time"
}
rm -rf "$dir/target" "$dir/base"
echo "From nothing, with none: $(build "") s" >&2
mv "$dir/target" "$dir/base"
for formats in "" avif heic jxl more-formats "avif heic jxl more-formats"; do
	rm -rf "$dir/target"
	cp -a "$dir/base" "$dir/target"
	cargo clean --quiet --release -p pg_clip -p clip-core --target-dir "$dir/target"
	seconds=$(build "$formats")
	crates=$(cargo tree -p pg_clip --no-default-features --features "pg$major $formats" -e normal,build --prefix none | awk '{ print $1, $2 }' | sort -u | wc -l)
	strip --strip-unneeded -o "$dir/library" "$dir/target/release/libpg_clip.so"
	size=$(stat -c %s "$dir/library")
	awk -v formats="${formats:-none}" -v crates="$crates" -v size="$size" -v seconds="$seconds" \
		'BEGIN { printf "| %s | %d | %d | %.1f |\n", formats, crates, seconds, size / 1e6 }'
done
rm -rf "$dir"
