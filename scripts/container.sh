#!/usr/bin/env bash
# What the Dockerfile runs, as root in an image of PostgreSQL on Debian.
#
#   container.sh build      the packages, in target/deb of this checkout; from PostgreSQL 18 on also the image volume, in target/volume
#   container.sh install    the packages that lie in packages/ beside this script
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
here=$(cd "$(dirname "$0")" && pwd)
PG_CONFIG=${PG_CONFIG:-pg_config}
case ${1:-} in
	build)
		apt-get update -qq
		apt-get install -y -qq --no-install-recommends make dpkg-dev >/dev/null
		make -C "$here/.." --no-print-directory setup deb PG_CONFIG="$PG_CONFIG"
		# Docker copies no directory that is not there.
		mkdir -p "$here/../target/volume"
		case $("$PG_CONFIG" --version) in
			"PostgreSQL 15"* | "PostgreSQL 16"* | "PostgreSQL 17"*) ;;
			*) make -C "$here/.." --no-print-directory volume PG_CONFIG="$PG_CONFIG" ;;
		esac
		;;
	install)
		apt-get update -qq
		# The packages recommend what is not everybody's; here it is wanted.
		packages=("$here"/packages/*.deb)
		major=$(sed -nE 's|.*/postgresql-([0-9]+)-pg-clip_.*|\1|p' < <(printf '%s\n' "${packages[@]}"))
		apt-get install -y -qq --no-install-recommends "${packages[@]}" "postgresql-$major-pgvector" >/dev/null
		rm -rf "$here/packages" /var/lib/apt/lists/*
		;;
	*) echo "usage: container.sh build|install" >&2; exit 2 ;;
esac
