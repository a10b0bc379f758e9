#!/bin/sh
# installed.sh: pyoci installed as users have it, in a virtual environment of its own: what is measured must be that, and
# not a checkout. Usage: installed.sh PYTHON VENV [REQUIREMENT]...; PYTHON must have what building takes (requirements.txt)
set -eu
python=$1 venv=$2
shift 2
tree=$(cd "$(dirname "$0")/../.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# A copy, since a build leaves files behind that the next one would take for sources
mkdir "$scratch/sources"
(cd "$tree" && git ls-files -z --cached --others --exclude-standard -- pyoci csrc schemas setup.py pyproject.toml MANIFEST.in README.md |
    tar -c --null --ignore-failed-read -T - 2>/dev/null) | tar -x -C "$scratch/sources"
"$python" -m pip wheel -q --disable-pip-version-check --no-deps --no-build-isolation -w "$scratch" "$scratch/sources"
[ -x "$venv/bin/pip" ] || "$python" -m venv "$venv"
"$venv/bin/pip" install -q --disable-pip-version-check --force-reinstall --no-deps "$scratch"/pyoci_runtime-*.whl
"$venv/bin/pip" install -q --disable-pip-version-check cffi jsonschema "$@"
