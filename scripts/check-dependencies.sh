#!/usr/bin/env bash
# The engine and the command line build on a machine without PostgreSQL; the engine opens no network connection. candle-transformers
# is for its tests alone.
set -euo pipefail
cd "$(dirname "$0")/.."
for manifest in crates/*/Cargo.toml; do
	crate=$(basename "$(dirname "$manifest")")
	if [ "$crate" = pgclip ]; then continue; fi
	for forbidden in pgrx tokio hyper reqwest ureq hf-hub candle-transformers; do
		if cargo tree -p "$crate" -e normal --prefix none | grep -qE "^$forbidden "; then
			echo "$crate depends on $forbidden" >&2
			exit 1
		fi
	done
done
if cargo tree -p pgclip -e normal --prefix none | grep -qE "^pgrx "; then echo "pgclip depends on pgrx" >&2; exit 1; fi
