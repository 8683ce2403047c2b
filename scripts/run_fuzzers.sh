#!/bin/sh
# Runs every fuzz target of a build folder for some seconds, starting from its committed corpus:
#
#   run_fuzzers.sh BUILD_DIRECTORY CORPUS_DIRECTORY SECONDS
#
# New inputs go to BUILD_DIRECTORY/corpus; a crash leaves its input in BUILD_DIRECTORY and fails the run.
set -eu
build=$1
corpus=$2
seconds=$3
found=0
for target in "$build"/fuzz_* "$build"/tests/fuzz/fuzz_*; do
  [ -f "$target" ] && [ -x "$target" ] || continue
  found=$((found + 1))
  name=$(basename "$target")
  mkdir -p "$build/corpus/$name"
  seeds=
  [ -d "$corpus/$name" ] && seeds="$corpus/$name"
  # shellcheck disable=SC2086  # absent seeds are no argument
  "$target" -max_total_time="$seconds" -rss_limit_mb=1024 -timeout=10 \
    -artifact_prefix="$build/$name-" "$build/corpus/$name" $seeds
done
if [ "$found" -eq 0 ]; then
  echo "fuzz: no target fuzz_* in $build" >&2
  exit 1
fi
