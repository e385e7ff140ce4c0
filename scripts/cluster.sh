# A throw-away PostgreSQL cluster, for sourcing by bash scripts under `set -euo pipefail`.
#
#   start_cluster   makes and starts one, with the bundled model of this checkout; sets PGHOST, PGPORT, PGUSER, CLUSTER_DIR. Whatever way the script ends, the
#                   server is stopped and the directory removed.
#   restart_cluster stops and starts it again, for settings that are read at the start.
#   as_server ...   runs a command as the user that the server runs as: PostgreSQL refuses root.

PG_CONFIG=${PG_CONFIG:-pg_config}
CHECKOUT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PG_BIN=$("$PG_CONFIG" --bindir)
SERVER_USER=$(id -un)
if [ "$(id -u)" = 0 ]; then SERVER_USER=postgres; fi

as_server() {
	if [ "$(id -u)" = 0 ]; then (cd / && exec runuser -u "$SERVER_USER" -- "$@"); else "$@"; fi
}

stop_cluster() {
	local dir=${CLUSTER_DIR:-}
	[ -n "$dir" ] || return 0
	CLUSTER_DIR=""
	as_server "$PG_BIN/pg_ctl" -D "$dir/data" -m immediate -s stop >/dev/null 2>&1 || true
	rm -rf "$dir"
}

start_cluster() {
	CLUSTER_DIR=$(mktemp -d /tmp/pg_clip.XXXXXX)   # short: a socket's path has 107 bytes at most
	trap stop_cluster EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	chmod 755 "$CLUSTER_DIR"
	if [ "$(id -u)" = 0 ]; then chown "$SERVER_USER" "$CLUSTER_DIR"; fi
	as_server "$PG_BIN/initdb" -D "$CLUSTER_DIR/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 -N >"$CLUSTER_DIR/initdb.log" 2>&1 ||
		{ cat "$CLUSTER_DIR/initdb.log" >&2; return 1; }
	"${CARGO_TARGET_DIR:-$CHECKOUT/target}/${BUILD_PROFILE:-release}/pgclip" import "$CHECKOUT/models/pictograms" --model-dir "$CLUSTER_DIR/models" >/dev/null
	cat >>"$CLUSTER_DIR/data/postgresql.conf" <<-END
		listen_addresses = ''
		unix_socket_directories = '$CLUSTER_DIR'
		fsync = off
		max_wal_size = 2GB
		shared_buffers = 128MB
		clip.model_dir = '$CLUSTER_DIR/models'
	END
	# The socket lies in a directory of its own, so that any port is free.
	export PGHOST=$CLUSTER_DIR PGPORT=5432 PGUSER=postgres PGDATABASE=postgres
	as_server "$PG_BIN/pg_ctl" -D "$CLUSTER_DIR/data" -l "$CLUSTER_DIR/server.log" -w -s start ||
		{ cat "$CLUSTER_DIR/server.log" >&2; return 1; }
}

restart_cluster() {
	as_server "$PG_BIN/pg_ctl" -D "$CLUSTER_DIR/data" -l "$CLUSTER_DIR/server.log" -w -s restart
}
