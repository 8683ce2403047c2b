#!/bin/sh
# Audits the wheels of one folder and leaves what may be published in another:
#
#   audit_wheel.sh BIN_DIRECTORY BUILT_DIRECTORY DIST_DIRECTORY
#
# auditwheel names the oldest platform the binary runs on and renames the wheel after it; abi3audit
# fails when a symbol outside the declared stable ABI is used. The sdist is copied as it is.
set -eu
bin=$(cd "$1" && pwd)
built=$2
dist=$3
PATH="$bin:$PATH"
export PATH

mkdir -p "$dist"
for wheel in "$built"/*.whl; do
  auditwheel show "$wheel"
  auditwheel repair --wheel-dir "$dist" "$wheel"
done
for wheel in "$dist"/*.whl; do
  # Free-threaded interpreters have no stable ABI to audit.
  case "$wheel" in
    *-abi3-*) abi3audit --strict --report "$wheel" ;;
    *) echo "not an abi3 wheel, not audited: $wheel" ;;
  esac
  echo "wheel: $wheel"
done
cp "$built"/*.tar.gz "$dist"/
