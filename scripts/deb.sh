#!/usr/bin/env bash
# Debian packages of a finished `make`: postgresql-NN-pg-clip, pgclip and pg-clip-model-pictograms, in target/deb.
#
# For another ARCHITECTURE than the machine's, EMULATOR runs its programs, and CROSS is what the names of its tools begin with.
set -euo pipefail
cd "$(dirname "$0")/.."
PG_CONFIG=${PG_CONFIG:-pg_config}
target=${CARGO_TARGET_DIR:-target}
out=$target/deb
major=$("$PG_CONFIG" --version | sed -E 's/^PostgreSQL ([0-9]+).*/\1/')
version=$(scripts/version.sh)-1
architecture=${ARCHITECTURE:-$(dpkg --print-architecture)}
read -ra pgclip <<<"${EMULATOR:-}"
pgclip+=("$(realpath "$target")/release/pgclip")
strip=${CROSS:-}strip
untested=""
if [ -n "${EMULATOR:-}" ]; then untested=" This build for $architecture was tested in an emulator, and not on hardware."; fi
# The project has no address for mail: who publishes packages gives his.
maintainer="${DEBFULLNAME:-the pg_clip developers} <${DEBEMAIL:-pg-clip@localhost}>"
# where every server's directory of models leads, and where `pgclip pull` puts them: no part of a package may write below /usr
models=var/lib/pg_clip/models
mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
umask 022

# build PACKAGE ARCHITECTURE DEPENDS RECOMMENDS SECTION SUMMARY DESCRIPTION: of the files in $work/PACKAGE
build() {
	local package=$1 arch=$2 depends=$3 recommends=$4 section=$5 summary=$6 description=$7 root=$work/$1
	local doc=$root/usr/share/doc/$package
	mkdir -p "$doc" "$root/DEBIAN"
	copyright "$package" >"$doc/copyright"
	{
		printf '%s (%s) unstable; urgency=medium\n\n  * Release %s: see CHANGELOG.md of the source.\n\n' "$package" "$version" "${version%-*}"
		printf ' -- %s  %s\n' "$maintainer" "$(date -Ru -d "@$(git log -1 --format=%ct 2>/dev/null || date +%s)")"
	} | gzip -9n >"$doc/changelog.Debian.gz"
	find "$root" -type d -exec chmod 755 {} +
	find "$root" -type f ! -perm -100 -exec chmod 644 {} +
	(cd "$root" && find . -type f ! -path './DEBIAN/*' -printf '%P\0' | sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
	{
		printf 'Package: %s\nVersion: %s\nArchitecture: %s\nMaintainer: %s\n' "$package" "$version" "$arch" "$maintainer"
		printf 'Installed-Size: %s\nDepends: %s\n' "$(du -ks --exclude=DEBIAN "$root" | cut -f 1)" "$depends"
		if [ -n "$recommends" ]; then printf 'Recommends: %s\n' "$recommends"; fi
		printf 'Section: %s\nPriority: optional\nDescription: %s\n' "$section" "$summary"
		fold -s -w 76 <<<"$description" | sed -E 's/^/ /; s/ +$//'
	} >"$root/DEBIAN/control"
	dpkg-deb --root-owner-group -Zxz -z2 --build "$root" "$out/${package}_${version}_$arch.deb" >/dev/null
	echo "$out/${package}_${version}_$arch.deb"
}

copyright() {
	printf 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: pg_clip\n\n'
	printf 'Files: *\nCopyright: %s\nLicense: PostgreSQL\n' "$(sed -nE 's/^Copyright \(c\) //p' LICENSE | head -n 1)"
	sed -E '/^PostgreSQL License$/d; s/^$/./; s/^/ /' LICENSE
	printf '\nFiles: crates/fix-text/*\nCopyright: 2023 Robyn Speer\nLicense: Apache-2.0\n Its text is in /usr/share/common-licenses/Apache-2.0 of Debian.\n'
	if [ "$1" = pg-clip-model-pictograms ]; then printf '\nFiles: %s/*\nCopyright: see the attributions\nLicense: attributions\n' "$models"; sed -E 's/^$/./; s/^/ /' models/pictograms/ATTRIBUTION.md; fi
}

# what a program or library needs, by its symbols
needs() {
	if [ -n "${EMULATOR:-}" ]; then
		# dpkg-shlibdeps knows the libraries of this architecture alone
		printf 'libc6 (>= %s), libgcc-s1\n' "$("${CROSS:-}objdump" -T "$@" | sed -nE 's/.*GLIBC_(2[0-9.]+).*/\1/p' | sort -V | tail -n 1)"
		return
	fi
	mkdir -p "$work/shlibs/debian"
	printf 'Source: pg-clip\n\nPackage: pg-clip\nArchitecture: any\n' >"$work/shlibs/debian/control"
	(cd "$work/shlibs" && dpkg-shlibdeps -O --ignore-missing-info "${@/#/-e}" 2>/dev/null) | sed -nE 's/^shlibs:Depends=//p'
}

package=postgresql-$major-pg-clip
root=$work/$package
# The paths of a package are those of Debian's server, whatever directory this one's files lie in.
lib=usr/lib/postgresql/$major/lib share=usr/share/postgresql/$major
make --no-print-directory -s install-extension PG_CONFIG="$PG_CONFIG" DESTDIR="$work/stage"
mkdir -p "$root/$lib" "$root/$share/pg_clip" "$root/$models"
cp -a "$work/stage$("$PG_CONFIG" --pkglibdir)/." "$root/$lib/"
cp -a "$work/stage$("$PG_CONFIG" --sharedir)/." "$root/$share/"
chmod 644 "$root/$lib/pg_clip.so"
for file in "$root/$lib"/*; do "$strip" --strip-unneeded --remove-section=.comment --remove-section=.note "$file"; done
ln -s "/$models" "$root/$share/pg_clip/models"
build "$package" "$architecture" "postgresql-$major, $(needs "$root/$lib"/*)" "postgresql-$major-pgvector, pg-clip-model-pictograms, pgclip" database \
	"CLIP embeddings of text and images in PostgreSQL" \
	"Puts a CLIP-family model inside PostgreSQL: text and image bytes become pgvector vectors of one shared space, embedded on insert, searched with one ORDER BY. It needs pgvector 0.8 or later.$untested"

root=$work/pgclip
mkdir -p "$root/usr/bin" "$root/$models"
install -m 755 "$target/release/pgclip" "$root/usr/bin/"
"$strip" --remove-section=.comment --remove-section=.note "$root/usr/bin/pgclip"
"${pgclip[@]}" manual "$root/usr"
gzip -9n "$root"/usr/share/man/man1/*.1
build pgclip "$architecture" "$(needs "$root/usr/bin/pgclip")" "" database "install and try CLIP models for pg_clip" \
	"The command line of pg_clip, an extension of PostgreSQL. It downloads, imports, inspects, verifies, calibrates and evaluates models. Nothing of it needs a running server.$untested"

root=$work/pg-clip-model-pictograms
mkdir -p "$root/$models"
"${pgclip[@]}" import models/pictograms --model-dir "$root/$models" >/dev/null
mkdir -p "$root/usr/share/doc/pg-clip-model-pictograms"
install -m 644 models/pictograms/README.md "$root/usr/share/doc/pg-clip-model-pictograms/"
build pg-clip-model-pictograms all "postgresql-common" "" database "small CLIP model for pg_clip, of pictograms and drawings" \
	"The model that pg_clip brings along. It knows drawings, emoji and simple pictures, and texts in several languages."
