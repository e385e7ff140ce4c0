#!/usr/bin/env bash
# The main job on real input, in a throw-away cluster: pictures and texts in, one ORDER BY out. Expects a finished `make`.
#
#   PHOTOS=DIR    your own pictures instead of the demo's
#   MODEL=NAME    a model that `pgclip pull` or `pgclip import` has installed, instead of the bundled one
#   WORDS=TEXT    what to look for in them; several are separated by |
set -euo pipefail
cd "$(dirname "$0")/.."
photos=${PHOTOS:-} model=${MODEL:-}
if [ -n "$photos" ]; then photos=$(realpath -e "$photos"); fi
if [ -n "$model" ] && [ -z "$photos" ]; then
	echo "MODEL goes with PHOTOS: make demo PHOTOS=DIR MODEL=$model" >&2
	exit 1
fi
source scripts/cluster.sh
sudo=""
if [ ! -w "$("$PG_CONFIG" --pkglibdir)" ]; then sudo="sudo"; fi
$sudo env PATH="$PATH" CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-}" make --no-print-directory -s install-extension PG_CONFIG="$PG_CONFIG"
target=${CARGO_TARGET_DIR:-target}
program=$(realpath "$target/release/pgclip")

if [ -z "$photos" ]; then
	start_cluster
	python3 scripts/demo.py "$target/demo"
	cat <<-END

		Now your own pictures:
		    make demo PHOTOS=~/Pictures
		The bundled model knows drawings. For photographs have another:
		    sudo $program pull clip-vit-base-patch32
		    make demo PHOTOS=~/Pictures MODEL=clip-vit-base-patch32
	END
	exit
fi

models=${PGCLIP_MODEL_DIR:-$("$PG_CONFIG" --sharedir)/pg_clip/models}
if [ -n "$model" ] && ! "$program" list --model-dir "$models" | awk '{ print $1 }' | grep -qxF -- "$model"; then
	echo "model \"$model\" is not installed in $models: sudo $program pull $model" >&2
	exit 1
fi
start_cluster
{
	echo "shared_preload_libraries = 'pg_clip'"
	if [ -n "$model" ]; then printf "clip.model_dir = '%s'\nclip.model = '%s'\n" "$models" "$model"; fi
} >>"$CLUSTER_DIR/data/postgresql.conf"
restart_cluster
psql -X -q -c "SET client_min_messages = warning" -c "CREATE EXTENSION pg_clip CASCADE"
echo "Loading $photos"
# Status 3: some files could not be loaded, and are named.
(cd "$photos" && "$program" load . --table photos --exif) || [ $? = 3 ]
IFS='|' read -ra words <<<"${WORDS:-a dog|people at a table|the sea|a building|a drawing}"
mkdir -p "$target/demo"
for text in "${words[@]}"; do
	printf '\n%s\n' "$text"
	"$program" search "$text" --table photos --modality image --limit 5 --root "$photos"
done
"$program" search "${words[0]}" --table photos --modality image --limit 50 --root "$photos" --page "$target/demo/photos.html" >/dev/null
cat <<-END

	The answers to "${words[0]}" with their pictures: $target/demo/photos.html
	Other words: make demo PHOTOS=$photos${model:+ MODEL=$model} WORDS='a red bicycle|my cat'
	This cluster is gone now. In a database of yours, after \`make install\`:
	    CREATE EXTENSION pg_clip CASCADE;
	    pgclip load . --table photos
	    pgclip browse --table photos --root .
END
