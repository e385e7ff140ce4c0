#!/usr/bin/env bash
# The archive for PGXN: what git has of this commit, under NAME-VERSION/. META.json has to say the same version.
set -euo pipefail
cd "$(dirname "$0")/.."
version=$(scripts/version.sh)
scripts/check-released.sh
scripts/check-meta.sh
target=${CARGO_TARGET_DIR:-target}
mkdir -p "$target"
archive=$target/pg_clip-$version.zip
rm -f "$archive"
git archive --format=zip --prefix="pg_clip-$version/" -o "$archive" HEAD
# What META.json names is in it.
python3 - "$archive" "pg_clip-$version" <<-'END'
	import json, sys, zipfile
	archive, top = zipfile.ZipFile(sys.argv[1]), sys.argv[2]
	meta = json.loads(archive.read(f"{top}/META.json"))
	names = set(archive.namelist())
	for extension in meta["provides"].values():
	    for key in ("file", "docfile"):
	        assert f"{top}/{extension[key]}" in names, extension[key]
	print(f"{sys.argv[1]}: {len(names)} files, {sum(i.compress_size for i in archive.infolist()) >> 20} MiB")
END
