#!/usr/bin/env bash
# The site of docs/, in target/docs. Installs mdBook under target where it is missing.
#
# With REPOSITORY_URL (https://.../blob/main) links to files outside of docs/ lead there.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
mkdir -p "$target"
target=$(cd "$target" && pwd)
tools=$target/docs-tools
if ! command -v mdbook >/dev/null && [ ! -x "$tools/bin/mdbook" ]; then
	echo "installing mdbook into $tools"
	cargo install --quiet --locked --root "$tools" mdbook
fi
export PATH="$tools/bin:$PATH"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
mdbook build docs --dest-dir "$target/docs" 2>&1 | tee "$log"
# A page that is not found, or a link of the summary that leads nowhere, is a warning to mdBook.
if grep -qE "WARN|ERROR|warning:" "$log"; then
	echo "mdbook warned: see above" >&2
	exit 1
fi
echo "$target/docs/index.html"
