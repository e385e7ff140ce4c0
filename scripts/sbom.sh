#!/usr/bin/env bash
# What the library and the command line are made of, in CycloneDX: target/pg_clip.cdx.json and target/pgclip.cdx.json.
set -euo pipefail
cd "$(dirname "$0")/.."
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
PATH=$target/tools/bin:$PATH
command -v cargo-cyclonedx >/dev/null || cargo install -q --locked --root "$target/tools" cargo-cyclonedx@0.5.9
for place in . crates/pgclip; do
	name=$(sed -nE '/^\[package\]/,/^$/s/^name = "(.*)"/\1/p' "$place/Cargo.toml")
	cargo cyclonedx -q --manifest-path "$place/Cargo.toml" --format json --override-filename "$name.cdx" --no-default-features --features "$([ "$place" = . ] && echo pg18 || true)" --target all
	find . -path ./target -prune -o -name "$name.cdx.json" -print | while read -r file; do
		[ "$file" = "$place/$name.cdx.json" ] || [ "$file" = "./$name.cdx.json" ] && mv "$file" "$target/$name.cdx.json" || rm "$file"
	done
	echo "$target/$name.cdx.json: $(python3 -c 'import json, sys; print(len(json.load(open(sys.argv[1]))["components"]))' "$target/$name.cdx.json") components"
done
