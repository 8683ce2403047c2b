#!/bin/sh
# Shows that a wheel works where nothing can be compiled:
#
#   wheel_smoke.sh PYTHON DIST_DIRECTORY     the one wheel of that folder, in an environment of its own
#   wheel_smoke.sh --installed PYTHON        what is installed for PYTHON
#
# Everything runs with an empty environment and a PATH that holds the new environment alone.
set -eu
smoke=$(cd "$(dirname "$0")" && pwd)/wheel_smoke.py

if [ "$1" = --installed ]; then
  "$2" "$smoke"
  exit 0
fi

python=$1
dist=$(cd "$2" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

"$python" -m venv "$scratch/venv"
set -- "$dist"/tf_fastckpt-*.whl
if [ $# -ne 1 ] || [ ! -f "$1" ]; then
  echo "wheel smoke: expected one wheel in $dist, found: $*" >&2
  exit 1
fi
"$scratch/venv/bin/python" -m pip install -q --disable-pip-version-check --no-input \
  --only-binary :all: "$1"
cd "$scratch"
env -i HOME="$scratch" LANG=C.UTF-8 PATH="$scratch/venv/bin" CC=/nonexistent CXX=/nonexistent \
  "$scratch/venv/bin/python" -I "$smoke" --no-compiler
