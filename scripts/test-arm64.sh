#!/usr/bin/env bash
# The engine's tests for arm64: compiled in a chroot of Debian forky, whose Rust has a standard library for arm64, and run under qemu.
# Run as root. SERVERS is the directory that gets the chroot, /var/tmp/pg_clip-servers by default.
#
#   test-arm64.sh [ARGUMENT...]    arguments of `cargo test`, instead of all of the engine's tests
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
cargo fetch -q --target aarch64-unknown-linux-gnu
if [ $# = 0 ]; then set -- --workspace --exclude pg_clip --exclude pgclip --no-fail-fast; fi
status=0
unshare --mount --propagation private bash -euc '
	root=$1 checkout=$2 target=$3 registry=$4
	shift 4
	for place in "$checkout" "$target" /dev /proc; do
		mkdir -p "$root$place"
		mount --rbind "$place" "$root$place"
	done
	mkdir -p "$root/root/.cargo/registry"
	mount --bind "$registry" "$root/root/.cargo/registry"
	exec chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root CARGO_NET_OFFLINE=true CARGO_TARGET_DIR="$target" CARGO_INCREMENTAL=0 \
		CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
		CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -L /usr/aarch64-linux-gnu" TEST_RUNNER="qemu-aarch64 -L /usr/aarch64-linux-gnu" \
		sh -c "cd \"\$0\" && exec cargo test --profile tests --target aarch64-unknown-linux-gnu \"\$@\"" "$checkout" "$@"
' bash "$root" "$checkout" "$target" "$registry" "$@" 2>&1 | tee "$target/log" || status=1
awk '/^test result:/ { n += $4; f += $6 } END { printf "arm64 under qemu: %d passed, %d failed\n", n, f; exit n == 0 || f > 0 }' "$target/log"
exit $status
