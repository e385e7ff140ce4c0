#!/usr/bin/env bash
# Runs the examples, each in a database of its own in a throw-away cluster, and compares what they print with expected/.
#
#   run.sh [NAME...]   these alone; "pgbouncer" stands for all of them again, through PgBouncer in transaction mode
#
# The extension must be installed; its model comes from the checkout. Packages are fetched into target/examples and stay there. What cannot
# be had on this machine is skipped, by name; with NO_SKIP=1 that is a failure.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/cluster.sh
export PATH=$PG_BIN:$PATH:/usr/sbin   # where Debian has pgbouncer
cache=$PWD/target/examples
driver=${POSTGRESQL_JAR:-/usr/share/java/postgresql.jar}
examples=(psycopg psycopg_queue sqlalchemy django pg drizzle sqlx jdbc pgx)
names=("$@")
if [ ${#names[@]} = 0 ]; then names=("${examples[@]}" pgbouncer); fi
for name in "${names[@]}"; do
	[[ " ${examples[*]} pgbouncer " == *" $name "* ]] ||
		{ echo "no example is named \"$name\": expected some of ${examples[*]} pgbouncer" >&2; exit 2; }
done

# Tools and packages. Where these cannot be had the last line says why.
need() { command -v "$1" >/dev/null || { echo "$1 is missing"; return 1; }; }
# at_least NAME WANTED VERSION
at_least() { printf '%s\n' "$2" "$3" | sort -CV || { echo "$1 $3 is too old, expected $2 or later"; return 1; }; }

get_python() {
	need python3 || return
	if cmp -s examples/python/requirements.txt "$cache/python/requirements.txt"; then return; fi
	rm -rf "$cache/python"
	python3 -m venv "$cache/python" && "$cache/python/bin/pip" install -q -r examples/python/requirements.txt &&
		cp examples/python/requirements.txt "$cache/python/"
}

get_node() {
	need node && need npm || return
	mkdir -p "$cache/node"
	cp examples/node/*.mjs "$cache/node/"   # Node looks for packages beside a script
	if cmp -s examples/node/package-lock.json "$cache/node/node_modules/package-lock.json"; then return; fi
	cp examples/node/package*.json "$cache/node/"
	(cd "$cache/node" && npm ci --no-audit --no-fund) && cp examples/node/package-lock.json "$cache/node/node_modules/"
}

get_rust() {
	need cargo && cargo fetch -q --locked --manifest-path examples/rust/Cargo.toml
}

get_java() {
	need java || return
	[ -f "$driver" ] || { echo "$driver is missing: install libpostgresql-jdbc-java, or name another by POSTGRESQL_JAR"; return 1; }
}

get_go() {
	export GOMODCACHE=$cache/go/modules GOCACHE=$cache/go/cache GOFLAGS="-modcacherw ${GOFLAGS:-}" GOTOOLCHAIN=local CGO_ENABLED=0
	need go && at_least go 1.23 "$(go version | sed -E 's/^go version go([0-9.]+).*/\1/')" && (cd examples/go && timeout 300 go mod download)
}

# 1.21 was the first that knows prepared statements in transaction mode.
get_pgbouncer() {
	need pgbouncer && at_least pgbouncer 1.21 "$(pgbouncer --version | sed -nE '1s/^PgBouncer ([0-9.]+).*/\1/p')"
}

declare -A reasons=()   # what could not be had, and why; empty where it could
has() {
	if [ -z "${reasons[$1]+known}" ]; then
		if "get_$1" >"$CLUSTER_DIR/get.log" 2>&1; then reasons[$1]=""; else reasons[$1]=$(tail -n 1 "$CLUSTER_DIR/get.log"); fi
	fi
	[ -z "${reasons[$1]}" ]
}

build() {
	case $1 in
		rust) CARGO_TARGET_DIR=$cache/rust cargo build -q --locked --manifest-path examples/rust/Cargo.toml ;;
		go) (cd examples/go && go build -o "$cache/go/with-pgx" .) ;;
	esac
}

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

passed=0 failed=0 skipped=0 databases=0
skip() {
	echo "$1: skipped, as ${reasons[$2]}"
	skipped=$((skipped + 1))
}

# example NAME TITLE PORT
example() {
	local name=$1 title=$2 port=$3 database kind command begin=$SECONDS
	databases=$((databases + 1))
	database=example_$databases
	case $name in
		psycopg* | sqlalchemy | django) kind=python command=("$cache/python/bin/python" "examples/python/with_$name.py") ;;
		pg | drizzle) kind=node command=(node "$cache/node/with_$name.mjs") ;;
		sqlx) kind=rust command=("$cache/rust/debug/with-sqlx") ;;
		jdbc) kind=java command=(java -cp "$driver" examples/java/WithJdbc.java "jdbc:postgresql://$PGHOST:$port/$database?user=app") ;;
		pgx) kind=go command=("$cache/go/with-pgx") ;;
	esac
	if ! has $kind; then skip "$title" $kind; return; fi
	if ! {
		build $kind &&
			createdb -O app "$database" && psql -q -d "$database" -c 'CREATE EXTENSION pg_clip CASCADE' &&
			PGPORT=$port PGUSER=app PGDATABASE=$database timeout 300 "${command[@]}" >"$CLUSTER_DIR/out"
	} 2>"$CLUSTER_DIR/err"; then
		echo "$title: failed"
		cat "$CLUSTER_DIR/err" >&2
		tail -n 20 "$CLUSTER_DIR/server.log" >&2
	elif ! diff -u "examples/expected/$name.txt" "$CLUSTER_DIR/out"; then
		echo "$title: failed"
	else
		echo "$title: ok, $((SECONDS - begin)) s"
		passed=$((passed + 1))
		return
	fi
	failed=$((failed + 1))
}

start_pgbouncer() {
	bouncer_port=$(free_port)
	echo '"app" ""' >"$CLUSTER_DIR/users.txt"
	cat >"$CLUSTER_DIR/pgbouncer.ini" <<-END
		[databases]
		* = host=$PGHOST port=$PGPORT
		[pgbouncer]
		listen_addr = $PGHOST
		listen_port = $bouncer_port
		unix_socket_dir =
		auth_type = trust
		auth_file = $CLUSTER_DIR/users.txt
		pool_mode = transaction
		max_prepared_statements = 100
		# JDBC and sqlx set it at the start of a connection
		ignore_startup_parameters = extra_float_digits
		logfile = $CLUSTER_DIR/pgbouncer.log
		pidfile = $CLUSTER_DIR/pgbouncer.pid
	END
	as_server pgbouncer -qd "$CLUSTER_DIR/pgbouncer.ini"
	for _ in {1..100}; do
		if pg_isready -q -p "$bouncer_port"; then return; fi
		sleep 0.1
	done
	cat "$CLUSTER_DIR/pgbouncer.log" >&2
	return 1
}

stop() {
	local pid=""
	[ -z "${CLUSTER_DIR:-}" ] || pid=$(cat "$CLUSTER_DIR/pgbouncer.pid" 2>/dev/null) || true
	if [ -n "$pid" ]; then kill "$pid"; fi
	stop_cluster
}

mkdir -p "$cache"
start_cluster
trap stop EXIT
# Over TCP, as JDBC has no other way; with background workers for tables in mode async.
port=$(free_port)
cat >>"$CLUSTER_DIR/data/postgresql.conf" <<END
listen_addresses = '127.0.0.1'
port = $port
shared_preload_libraries = 'pg_clip'
END
export PGHOST=127.0.0.1 PGPORT=$port
restart_cluster
psql -q -c "CREATE ROLE app LOGIN"

for name in "${names[@]}"; do
	if [ "$name" != pgbouncer ]; then
		example "$name" "$name" "$PGPORT"
	elif has pgbouncer; then
		start_pgbouncer
		for one in "${examples[@]}"; do example "$one" "$one through PgBouncer" "$bouncer_port"; done
	else
		skip pgbouncer pgbouncer
	fi
done
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ] && [ $passed -gt 0 ] && { [ -z "${NO_SKIP:-}" ] || [ $skipped = 0 ]; }
