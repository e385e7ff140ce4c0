#!/usr/bin/env bash
# Every script that a newcomer or a machine runs, by shellcheck.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v shellcheck >/dev/null || { echo "shellcheck is missing: run \"make setup\" or install it" >&2; exit 1; }
# SC1091: sourced files are checked themselves. SC2015: `a && b || fail` is meant, as fail ends the script. SC2016: text for others.
shellcheck --shell=bash --exclude=SC1091,SC2015,SC2016 scripts/*.sh pg_test/*.sh examples/*.sh .ci/run
