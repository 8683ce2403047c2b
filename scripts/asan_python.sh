#!/bin/sh
# Runs the tests that feed damaged files to the extension module with the module under ASan and UBSan:
#
#   asan_python.sh PYTHON BUILD_DIRECTORY [pytest arguments]
#
# The package is installed into a folder of its own beside the instrumented build. Both runtime
# libraries are preloaded: without libstdc++ the first C++ exception ends the process.
set -eu
python=$1
build=$2
shift 2
[ $# -gt 0 ] || set -- tests/corruption tests/golden tests/regressions

existing=
for folder in "$@"; do
  [ -e "$folder" ] && existing="$existing $folder"
done
if [ -z "$existing" ]; then
  echo "asan-python: none of these exists: $*" >&2
  exit 1
fi

site=$build/site
rm -rf "$site"
"$python" -m pip install -q --disable-pip-version-check --no-input --no-deps --no-build-isolation \
  --target "$site" -Cbuild-dir="$build/module" -Ccmake.build-type=RelWithDebInfo \
  -Ccmake.define.FASTCKPT_SANITIZE=address,undefined .

compiler=${CXX:-c++}
LD_PRELOAD="$("$compiler" -print-file-name=libasan.so) $("$compiler" -print-file-name=libstdc++.so.6)"
export LD_PRELOAD
# The interpreter keeps memory until its end, which is no leak of ours.
export ASAN_OPTIONS=detect_leaks=0:abort_on_error=1
export UBSAN_OPTIONS=print_stacktrace=1
export FASTCKPT_SANITIZED=1
PYTHONPATH=$site
export PYTHONPATH
# Python's own streams alone are captured: a sanitizer's report goes to the real standard error.
# shellcheck disable=SC2086  # a list of folders
exec "$python" -m pytest -q -p no:cacheprovider --capture=sys $existing
