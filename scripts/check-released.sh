#!/usr/bin/env bash
# What was released stays as it was: databases have been made from it. A release adds its script and its sum.
set -euo pipefail
cd "$(dirname "$0")/../pg_test/upgrade"
sha256sum --check --quiet --strict SHA256SUMS
for script in pg_clip--*.sql; do
	grep -q "  $script\$" SHA256SUMS || { echo "$script has no line in pg_test/upgrade/SHA256SUMS" >&2; exit 1; }
	version=${script#pg_clip--}
	ls ../../sql/upgrade/"${version%.sql}"--*.sql >/dev/null 2>&1 || { echo "sql/upgrade leads nowhere from ${version%.sql}" >&2; exit 1; }
done

cd ../..
version=$(sed -nE "s/^default_version *= *'(.*)'/\1/p" pg_clip.control)
for file in Cargo.toml META.json; do
	grep -qE "\"?version\"?( =|:) \"$version\"" $file || { echo "$file is not of version $version" >&2; exit 1; }
done
