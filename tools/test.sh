#!/usr/bin/env bash
# Configures, builds and tests one preset, and says in one line what passed, failed and was skipped, and why.
# usage: tools/test.sh PRESET [FOLDER]     FOLDER: only the tests of tests/FOLDER, for presets that build no others
# environment: CMAKE_ARGS   more arguments for the configure step, for example -DMPP_CUDA=OFF
set -euo pipefail
cd "$(dirname "$0")/.."
preset=$1
folder=${2:-}
build=build/$preset
tests=$build${folder:+/tests/$folder}

# ThreadSanitizer cannot map its shadow when the kernel randomises addresses with more bits than it was built for.
fixed_addresses=()
if [ "$preset" = tsan ] && setarch "$(uname -m)" -R true 2>/dev/null; then
  fixed_addresses=(setarch "$(uname -m)" -R)
fi

# shellcheck disable=SC2086  # CMAKE_ARGS is a list of words
cmake --preset "$preset" ${CMAKE_ARGS:-}
"${fixed_addresses[@]}" cmake --build --preset "$preset"

cuda="the CUDA back end was built"
if grep -q '^MPP_CUDA:[A-Z]*=OFF' "$build/CMakeCache.txt"; then
  cuda="the CUDA back end was not built: MPP_CUDA=OFF"
elif ! grep -q '^CMAKE_CUDA_COMPILER:[A-Z]*=/' "$build/CMakeCache.txt"; then
  cuda="the CUDA back end was not built: no CUDA compiler was found"
fi

# Counts the results as ctest prints them and reads why a case skipped from GoogleTest's own words in ctest's log.
# ctest's closing lines are held back, so that they end the output and the summary stands before them.
# shellcheck disable=SC2016  # awk's own variables
summary='
function reasons(   line, after, text, count, words, cuda_count) {
  while ((getline line < log_file) > 0) {
    if (after && line != "") { count[line]++; after = 0 }
    if (line ~ /: Skipped$/) after = 1
  }
  for (text in count) {
    words = words (words == "" ? "" : "; ") count[text] " x " text
    if (text ~ /[Cc][Uu][Dd][Aa]/) cuda_count += count[text]
  }
  return cuda_count + 0 " CUDA cases skipped; " cuda (words == "" ? "" : "\nskipped: " words)
}
/^[0-9]+% tests passed/ { closing = 1 }
closing { held = held $0 "\n"; next }
{ print; fflush() }
/^ *[0-9]+\/[0-9]+ Test +#/ {
  if (/   Passed /) passed++
  else if (/\*\*\*Skipped/) skipped++
  else failed++
}
END {
  printf "\nmpp %s: %d passed, %d failed, %d skipped; %s\n\n%s", preset, passed, failed, skipped, reasons(), held
}'
status=0
"${fixed_addresses[@]}" ctest --test-dir "$tests" --parallel "$(nproc)" --output-on-failure --no-tests=error 2>&1 |
  awk -v preset="$preset${folder:+ $folder}" -v cuda="$cuda" -v log_file="$tests/Testing/Temporary/LastTest.log" \
    "$summary" || status=$?
exit "$status"
