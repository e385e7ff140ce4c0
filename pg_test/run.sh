#!/usr/bin/env bash
# The extension's tests in a throw-away cluster: pg_regress over sql/, then every script of sessions/.
#
#   run.sh [NAME...]    only these, by file name: `run.sh trigger test_cancel`
#
# The first failure ends it. With KEEP_GOING=1 the rest runs, too.
#
# The extension must be installed; its model comes from the checkout.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source "$here/../scripts/cluster.sh"
# Errors must not show the library's build paths to clients, whatever the server's environment asks for.
export RUST_BACKTRACE=1
# psql, pg_dump and the like are the server's own: those of another version may refuse it.
export PATH="$PG_BIN:$PATH"
start_cluster

wanted() { [ ${#names[@]} = 0 ] || printf '%s\n' "${names[@]}" | grep -qx "$1"; }
names=("$@")

# pg_regress, like the server, runs as the server's user, who may not be able to read this checkout.
regress=$CLUSTER_DIR/regress
mkdir "$regress"
export PG_ABS_SRCDIR=$regress  # where files include others from, as pg_regress says from PostgreSQL 15 on
cp -r "$here/sql" "$here/expected" "$regress/"
for file in "$here"/sql/*.sql; do touch "$regress/expected/$(basename "$file" .sql).out"; done  # a file without expected output fails, with a diff
chmod -R a+rX "$regress"
if [ "$(id -u)" = 0 ]; then chown -R "$SERVER_USER" "$regress"; fi
files=()
for file in "$here"/sql/*.sql; do
	name=$(basename "$file" .sql)
	if wanted "$name"; then files+=("$name"); fi
done
if [ ${#files[@]} -gt 0 ]; then
	runner=$(dirname "$("$PG_CONFIG" --pgxs)")/../test/regress/pg_regress
	begin=$SECONDS
	if as_server "$runner" --bindir="$PG_BIN" --inputdir="$regress" --outputdir="$regress" --host="$PGHOST" --port="$PGPORT" \
		--user="$PGUSER" --dbname=contrib_regression --load-extension=vector --load-extension=pg_clip "${files[@]}"; then
		echo "regress: ${#files[@]} passed, 0 failed, in $((SECONDS - begin)) s"
	else
		cat "$regress/regression.diffs" >&2 || true
		if [ -n "${KEEP_RESULTS:-}" ]; then cp "$regress"/results/*.out "$KEEP_RESULTS/"; fi
		echo "regress: failed" >&2
		[ -n "${KEEP_GOING:-}" ] || exit 1
		regress_failed=1
	fi
fi

passed=0 failed=0 began=$SECONDS
for file in "$here"/sessions/test_*.py; do
	name=$(basename "$file" .py)
	wanted "$name" || continue
	printf '%-24s ' "$name"
	begin=$SECONDS
	if ! PYTHONDONTWRITEBYTECODE=1 python3 "$file" >"$CLUSTER_DIR/out" 2>&1; then
		echo failed
		tail -n 60 "$CLUSTER_DIR/out" "$CLUSTER_DIR/server.log" >&2
		[ -n "${KEEP_GOING:-}" ] || exit 1
		failed=$((failed + 1))
		continue
	fi
	echo "ok, $((SECONDS - begin)) s"
	sed 's/^/    /' "$CLUSTER_DIR/out"
	passed=$((passed + 1))
done
echo "sessions: $passed passed, $failed failed, in $((SECONDS - began)) s"
[ "$failed${regress_failed:-}" = 0 ]
