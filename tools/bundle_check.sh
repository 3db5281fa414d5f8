#!/usr/bin/env bash
# Proves that a bundle is enough: builds core and kernels with it, runs their tests and checks in the compiler's own dependency
# records that not one header of the packages it replaces came from this machine.
# usage: tools/bundle_check.sh DIR
set -euo pipefail
cd "$(dirname "$0")/.."
build=build/bundle

# shellcheck disable=SC2086  # CMAKE_ARGS is a list of words
cmake --preset dev -B "$build" -DMPP_BUNDLE="$1" -DCMAKE_FIND_USE_CMAKE_SYSTEM_PATH=OFF ${CMAKE_ARGS:-}
cmake --build "$build"

leaked=$(ninja -C "$build" -t deps | grep -E '^ +/usr/(local/)?include/(.*/)?(hwy|gtest|eigen3|boost|CLI|nlohmann)/' | sort -u || true)
if [ -n "$leaked" ]; then
  printf 'bundle: headers of installed packages were used:\n%s\n' "$leaked" >&2
  exit 1
fi
linked=$(grep -oE '[^ ]*lib(hwy|gtest|gtest_main|faiss|openblas)\.(a|so)[^ ]*' "$build/build.ninja" | grep '^/' | grep -vF "$PWD/" | sort -u || true)
if [ -n "$linked" ]; then
  printf 'bundle: libraries of installed packages were linked:\n%s\n' "$linked" >&2
  exit 1
fi
ctest --test-dir "$build" --parallel "$(nproc)" --output-on-failure --no-tests=error
echo "bundle: built and tested with nothing but $1 and the compiler"
