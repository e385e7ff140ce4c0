#!/usr/bin/env bash
# What the library and the command line are made of, in CycloneDX: target/pg_clip.cdx.json and target/pgclip.cdx.json.
set -euo pipefail
cd "$(dirname "$0")/.."
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
PATH=$target/tools/bin:$PATH
command -v cargo-sbom >/dev/null || cargo install -q --locked --root "$target/tools" cargo-sbom@0.10.0
for package in pg_clip pgclip; do
	file=$target/$package.cdx.json
	cargo sbom --cargo-package "$package" --output-format cyclone_dx_json_1_4 >"$file"
	python3 - "$file" <<-'END'
		import json, sys
		bill = json.load(open(sys.argv[1]))
		names = {part["name"] for part in bill["components"]}
		assert bill["bomFormat"] == "CycloneDX" and {"candle-core", "tokenizers"} <= names, sorted(names)
		print(f"{sys.argv[1]}: {len(bill['components'])} components")
	END
done
