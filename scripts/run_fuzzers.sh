#!/bin/sh
# Runs every fuzz target of a build folder, starting from its committed corpus:
#
#   run_fuzzers.sh BUILD_DIRECTORY CORPUS_DIRECTORY SECONDS [TARGET …]
#
# Each target runs for SECONDS; or, where the environment has FUZZ_RUNS, for that many executions
# however long they take. New inputs go to BUILD_DIRECTORY/corpus; a crash leaves its input in
# BUILD_DIRECTORY and fails the run. The last lines of each log tell executions and coverage.
set -eu
build=$1
corpus=$2
seconds=$3
shift 3
limit="-max_total_time=$seconds"
[ -z "${FUZZ_RUNS:-}" ] || limit="-runs=$FUZZ_RUNS"
# Freed memory that the address sanitizer keeps back counts for -rss_limit_mb.
export ASAN_OPTIONS="quarantine_size_mb=32${ASAN_OPTIONS:+:$ASAN_OPTIONS}"
found=0
for target in "$build"/tests/fuzz/fuzz_*; do
  [ -f "$target" ] && [ -x "$target" ] || continue
  name=$(basename "$target")
  case " $* " in
    "  " | *" $name "*) ;;
    *) continue ;;
  esac
  found=$((found + 1))
  mkdir -p "$build/corpus/$name"
  log="$build/$name.log"
  echo "fuzz: $name"
  # No input of a few kilobytes justifies more memory, or seconds. Inputs that are larger prove little.
  if ! "$target" "$limit" -max_len=2048 -rss_limit_mb=512 -malloc_limit_mb=64 -timeout=5 \
    -print_final_stats=1 -artifact_prefix="$build/$name-" \
    "$build/corpus/$name" "$corpus/$name" >"$log" 2>&1; then
    tail -n 60 "$log" >&2
    exit 1
  fi
  grep -E 'cov: ' "$log" | tail -n 1
  grep -E '^Done ' "$log"
done
if [ "$found" -eq 0 ]; then
  echo "fuzz: no target fuzz_* in $build/tests/fuzz" >&2
  exit 1
fi
