#!/usr/bin/env bash
# The engine's tests for arm64: compiled in a chroot of Debian forky, whose Rust has a standard library for arm64, and run under qemu.
# Run as root. SERVERS is the directory that gets the chroot, /var/tmp/pg_clip-servers by default.
#
#   test-arm64.sh [ARGUMENT...]    arguments of `cargo test`, instead of all of the engine's tests
#   test-arm64.sh --packages       Debian packages for arm64 of PostgreSQL 18, in target/arm64/aarch64-unknown-linux-gnu/deb
#
# What is measured under qemu says nothing about arm64's speed.
set -euo pipefail
cd "$(dirname "$0")/.."
checkout=$PWD
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")/arm64
root=${SERVERS:-/var/tmp/pg_clip-servers}/forky
registry=${CARGO_HOME:-$HOME/.cargo}/registry
[ "$(id -u)" = 0 ] || { echo "run this as root: it makes a chroot" >&2; exit 1; }
mkdir -p "$target" "$registry"

if [ ! -d "$root" ]; then
	command -v debootstrap >/dev/null || { echo "debootstrap is missing: apt-get install debootstrap" >&2; exit 1; }
	# an older debootstrap does not know the release, whose script is sid's
	rm -rf "$root.new"
	debootstrap --variant=minbase forky "$root.new" "" /usr/share/debootstrap/scripts/sid
	printf '#!/bin/sh\nexit 101\n' >"$root.new/usr/sbin/policy-rc.d"
	chmod 755 "$root.new/usr/sbin/policy-rc.d"
	chroot "$root.new" dpkg --add-architecture arm64
	# a mirror may lag behind
	echo 'Acquire::Check-Valid-Until "false";' >"$root.new/etc/apt/apt.conf.d/90lag"
	chroot "$root.new" apt-get update -qq
	chroot "$root.new" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends rustc cargo libstd-rust-dev:arm64 \
		gcc libc6-dev gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user ca-certificates >/dev/null
	mv "$root.new" "$root"
fi

# Cargo fetches here, as a chroot may have no way to the network.
triple=aarch64-unknown-linux-gnu
cargo fetch -q --target "$triple"
emulator="qemu-aarch64 -L /usr/aarch64-linux-gnu"

# In the chroot, with this checkout at the same place.
in_root() {
	unshare --mount --propagation private bash -euc '
		root=$1 checkout=$2 target=$3 registry=$4 emulator=$5
		shift 5
		for place in "$checkout" "$target" /dev /proc; do
			mkdir -p "$root$place"
			mount --rbind "$place" "$root$place"
		done
		mkdir -p "$root/root/.cargo/registry"
		mount --bind "$registry" "$root/root/.cargo/registry"
		exec chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive CARGO_NET_OFFLINE=true \
			CARGO_TARGET_DIR="$target" CARGO_INCREMENTAL=0 CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc \
			CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
			CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="$emulator" TEST_RUNNER="$emulator" \
			BINDGEN_EXTRA_CLANG_ARGS_aarch64_unknown_linux_gnu="--target=aarch64-linux-gnu -isystem /usr/aarch64-linux-gnu/include" \
			sh -euc "cd \"\$0\" && exec \"\$@\"" "$checkout" "$@"
	' bash "$root" "$checkout" "$target" "$registry" "$emulator" "$@"
}

if [ "${1:-}" = --packages ]; then
	major=18
	place=/opt/postgresql-$major-arm64
	if [ ! -x "$root$place/pg_config" ]; then
		# The headers are arm64's. Its pg_config would have to be emulated: what a build asks for is answered here.
		in_root sh -euc '
			apt-get update -qq
			apt-get install -y -qq --no-install-recommends clang libclang-dev dpkg-dev rustfmt >/dev/null
			mkdir -p "$1" && cd "$1" && apt-get download -qq "postgresql-server-dev-$2:arm64" "libpq-dev:arm64"
			for package in ./*.deb; do dpkg-deb -x "$package" . && rm "$package"; done
		' sh "$place" "$major"
		version=$(chroot "$root" apt-cache policy "postgresql-server-dev-$major:arm64" | sed -nE 's/^ *Candidate: *([0-9.]+).*/\1/p')
		cat >"$root$place/pg_config" <<-END
			#!/bin/sh
			case \${1:-} in
			    --version) echo "PostgreSQL $version" ;;
			    --includedir-server) echo $place/usr/include/postgresql/$major/server ;;
			    --includedir | --pkgincludedir) echo $place/usr/include/postgresql ;;
			    --pkglibdir | --libdir) echo /usr/lib/postgresql/$major/lib ;;
			    --sharedir) echo /usr/share/postgresql/$major ;;
			    --bindir) echo /usr/lib/postgresql/$major/bin ;;
			    *) echo ;;
			esac
		END
		chmod 755 "$root$place/pg_config"
	fi
	in_root env PGRX_PG_CONFIG_PATH="$place/pg_config" cargo build --release --target "$triple" --workspace --no-default-features \
		--features "pg$major avif heic jxl more-formats"
	in_root env CARGO_TARGET_DIR="$target/$triple" PG_CONFIG="$place/pg_config" ARCHITECTURE=arm64 EMULATOR="$emulator" CROSS=aarch64-linux-gnu- \
		scripts/deb.sh
	exit
fi

if [ $# = 0 ]; then set -- --workspace --exclude pg_clip --exclude pgclip --no-fail-fast; fi
status=0
in_root cargo test --profile tests --target "$triple" "$@" 2>&1 | tee "$target/log" || status=1
awk '/^test result:/ { n += $4; f += $6 } END { printf "arm64 under qemu: %d passed, %d failed\n", n, f; exit n == 0 || f > 0 }' "$target/log"
exit $status
