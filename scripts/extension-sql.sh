#!/usr/bin/env bash
# Writes the extension's scripts: one that creates the present version, and one from each older version to it.
#
#   extension-sql.sh VERSION DIRECTORY
#
# A new database gets sql/tables and sql/functions. An old one gets the steps of sql/upgrade from its version on, which do what
# OR REPLACE cannot do, and then sql/functions, too.
set -euo pipefail
version=$1 directory=$2
cd "$(dirname "$0")/../sql"

write() {
	local name=$1 command=$2
	shift 2
	{ printf '\\echo Use "%s" to load this file. \\quit\n' "$command"; cat "$@"; } >"$directory/$name.sql"
	chmod 644 "$directory/$name.sql"
}

write "pg_clip--$version" "CREATE EXTENSION pg_clip" tables/*.sql functions/*.sql
mapfile -t steps < <(printf '%s\n' upgrade/*.sql | sort -V)
for i in "${!steps[@]}"; do
	from=$(basename "${steps[$i]%%--*}")
	write "pg_clip--$from--$version" "ALTER EXTENSION pg_clip UPDATE" "${steps[@]:$i}" functions/*.sql
done
