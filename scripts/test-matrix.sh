#!/usr/bin/env bash
# The extension's tests on each supported PostgreSQL, in servers that scripts/server.sh fetches. What came of it is written into
# pg_test/VERSIONS.md.
#
#   test-matrix.sh [MAJOR...]                  these versions, all by default
#   test-matrix.sh --regress MAJOR...          the regression files alone; writes no table
#   test-matrix.sh --upgrade MAJOR OLDER...    pg_upgrade alone, from these to MAJOR; writes its column of the table
#
# SERVERS is the directory of servers, /var/tmp/pg_clip-servers by default. Cargo's target directory is one for all versions; two runs
# side by side take turns at it. pg_upgrade is tried from each older version that the same sources have been tested on, between servers of wheels:
# the machine's own may be of a minor release that is newer than theirs, whose dumps they do not know, and one in a chroot is by itself.
set -euo pipefail
cd "$(dirname "$0")/.."
fail() { printf '%s\n' "$@" >&2; exit 1; }
checkout=$PWD
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
servers=${SERVERS:-/var/tmp/pg_clip-servers}
table=pg_test/VERSIONS.md
logs=$target/matrix
mkdir -p "$logs"
regress_only="" upgrade_only=""
case ${1:-} in
	--regress) regress_only=1; shift ;;
	--upgrade) upgrade_only=1; shift; [ $# -ge 2 ] || fail "usage: test-matrix.sh --upgrade MAJOR OLDER..." ;;
esac
majors=("$@")
[ $# -gt 0 ] || majors=(15 16 17 18)

# Runs a command beside the server: in its chroot, where it has one, with this checkout at the same place. The mounts end with it.
beside() {
	local root=$1
	shift
	if [ -z "$root" ]; then "$@"; return; fi
	unshare --mount --propagation private bash -euc '
		root=$1 checkout=$2 target=$3
		shift 3
		for place in "$checkout" "$target" /dev /proc; do
			mkdir -p "$root$place"
			mount --rbind "$place" "$root$place"
		done
		exec chroot "$root" env PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root "$@"
	' bash "$root" "$checkout" "$target" "$@"
}

# pgvector, as the server has it
vector_version() { sed -nE "s/^default_version *= *'(.*)'/\1/p" "$("$1" --sharedir)/extension/vector.control"; }

# Takes the place of the line of the same major version; of a line that is left out only the column of pg_upgrade changes.
write_row() {
	local major=$1 row=$2 upgrades=${3:-} rows lock
	exec {lock}>"$logs/lock"
	flock "$lock"
	if [ -z "$row" ]; then
		row=$(grep -E "^\| $major\." "$table") || fail "$table has no line of PostgreSQL $major"
		row=$(awk -F ' [|] ' -v OFS=' | ' -v upgrades="$upgrades" '{ $6 = upgrades; print }' <<<"$row")
	fi
	rows=$(grep -E '^\| [0-9]+\.' "$table" 2>/dev/null | grep -vE "^\| $major\." || true)
	{
		echo "# Versions that were tested"
		echo
		echo "\`make test-matrix\` writes this table: one line for each PostgreSQL that the extension's tests ran on. They are the regression files,"
		echo "scripts of several sessions, the update of databases of each released version, and pg_upgrade from older PostgreSQLs."
		echo
		echo "| PostgreSQL | pgvector | regress | sessions | update | pg_upgrade | when, of commit |"
		echo "|---|---|---|---|---|---|---|"
		printf '%s\n%s\n' "$rows" "$row" | grep . | sort -t ' ' -k 2,2V
	} >"$table.new"
	mv "$table.new" "$table"
	exec {lock}>&-
}

# the extension that was tested, whatever else has changed
sources=$(git rev-parse HEAD:src HEAD:sql HEAD:crates | sha256sum | cut -c 1-16)
changes=$(git status --porcelain --untracked-files=no -- src sql crates pg_test/sql pg_test/sessions | grep -q . && echo " and changes" || true)
commit=$(git rev-parse --short HEAD)$changes
status=0

# build MAJOR: sets PG_CONFIG, ROOT and version
build() {
	local place
	place=$(scripts/server.sh "$1" "$servers")
	PG_CONFIG="" ROOT=""
	eval "$place"
	version=$("$PG_CONFIG" --version | sed -E 's/^PostgreSQL ([0-9.]+).*/\1/')
	echo "== PostgreSQL $version: building"
	flock "$logs" make --no-print-directory -s all install-extension PG_CONFIG="$PG_CONFIG" BUILD_PROFILE="${BUILD_PROFILE:-release}"
}

# upgrade_from MAJOR OLD_PG_CONFIG: to PG_CONFIG; adds to upgrades
upgrade_from() {
	local log=$logs/$1-$major.log
	upgrades+=${upgrades:+; }
	if env OLD_PG_CONFIG="$2" PG_CONFIG="$PG_CONFIG" CARGO_TARGET_DIR="$target" pg_test/pg_upgrade.sh >"$log" 2>&1; then
		upgrades+=$(sed -nE 's/^pg_upgrade: ([0-9.]+) to .* in ([0-9]+ s)$/from \1: ok, \2/p' "$log")
	else
		cat "$log" >&2
		upgrades+="from $1: failed"
		return 1
	fi
}

if [ -n "$upgrade_only" ]; then
	major=$1 upgrades="" configs=()
	shift
	for older; do
		build "$older"
		[ -z "$ROOT" ] || fail "PostgreSQL $older is in a chroot"
		configs+=("$PG_CONFIG")
	done
	build "$major"
	[ -z "$ROOT" ] || fail "PostgreSQL $major is in a chroot"
	for older; do
		upgrade_from "$older" "${configs[0]}" || status=1
		configs=("${configs[@]:1}")
	done
	write_row "$major" "" "$upgrades ($(date -u +%F), $commit)"
	cat "$table"
	exit $status
fi

for major in "${majors[@]}"; do
	log=$logs/$major.log
	build "$major"
	inside=$PG_CONFIG
	if [ -n "$ROOT" ]; then inside=/usr/lib/postgresql/$major/bin/pg_config; fi

	echo "== PostgreSQL $version: testing"
	names=()
	if [ -n "$regress_only" ]; then for file in pg_test/sql/*.sql; do names+=("$(basename "$file" .sql)"); done; fi
	result=0
	beside "$ROOT" env PG_CONFIG="$inside" CARGO_TARGET_DIR="$target" KEEP_GOING=1 "$checkout/pg_test/run.sh" "${names[@]}" 2>&1 | tee "$log" || result=1
	if [ -n "$regress_only" ]; then status=$((status | result)); continue; fi

	upgrades=""
	for older in "$logs"/*.tested; do
		[ -z "$ROOT" ] && [ -f "$older" ] || continue
		read -r older_major older_sources older_config <"$older"
		[ "$older_major" -lt "$major" ] && [ "$older_sources" = "$sources" ] || continue
		upgrade_from "$older_major" "$older_config" || result=1
	done
	if [ -z "$ROOT" ]; then upgrades=${upgrades:-no older one}; fi
	if [[ $PG_CONFIG == "$servers"/* && -z $ROOT ]]; then echo "$major $sources $PG_CONFIG" >"$logs/$major.tested"; fi
	count() { sed -nE "s/^$1: ([0-9]+ passed, [0-9]+ failed), in ([0-9]+ s)$/\1, \2/p" "$log"; }
	regress=$(count regress) sessions=$(count sessions)
	update=$(sed -nE 's/^test_upgrade +(ok, [0-9]+ s|failed).*/\1/p' "$log")
	write_row "$major" "| $version | $(vector_version "$PG_CONFIG") | ${regress:-failed} | ${sessions:-failed} | ${update:-failed} | ${upgrades:-in a chroot} | $(date -u +%F), $commit |"
	status=$((status | result))
done
[ -n "$regress_only" ] || cat "$table"
exit $status
