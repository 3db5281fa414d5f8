#!/usr/bin/env bash
# Rules of the tree that no compiler checks. Prints every line that breaks one, and fails if there is any.
# usage: tools/check_tree.sh [ROOT]
set -euo pipefail
cd "${1:-$(dirname "$0")/..}"
broken=0

# report RULE: reads offending lines from stdin.
report() {
  local line
  while IFS= read -r line; do
    echo "$line: $1"
    broken=1
  done
}

list() { find . \( -name .git -o -name build -o -name out -o -name bundle -o -name '.venv*' \) -prune -o -type f "$@" -print; }
public=(-path './*/include/*' -name '*.hpp')

# grep finds nothing in a clean tree and says so with status 1; xargs turns that into 123.
search() { xargs --no-run-if-empty --delimiter '\n' grep --with-filename --line-number --extended-regexp "$1" || [ $? -eq 123 ]; }

report 'a public header has a preprocessor condition' \
  < <(list "${public[@]}" | search '^[[:space:]]*#[[:space:]]*(if|ifdef|ifndef|elif)\b')
report 'a public header includes CUDA' < <(list "${public[@]}" | search '#[[:space:]]*include.*(cuda_runtime|<cuda)')
report 'a public header includes FAISS' < <(list "${public[@]}" | search '#[[:space:]]*include.*faiss/')
# Highway's per-target files are meant to be included once per instruction set and carry its own guard.
report 'a header without #pragma once' < <(
  list \( -name '*.hpp' -o -name '*.cuh' -o -name '*.h' \) |
    xargs --no-run-if-empty --delimiter '\n' grep --files-without-match --extended-regexp '^#pragma once|HWY_TARGET_TOGGLE' || [ $? -eq 123 ]
)
report 'more than 400 lines: split it by idea' < <(
  list \( -name '*.[ch]pp' -o -name '*.cu' -o -name '*.cuh' -o -name '*.h' -o -name '*.py' -o -name '*.sh' \
    -o -name '*.cmake' -o -name CMakeLists.txt \) |
    xargs --no-run-if-empty --delimiter '\n' awk 'FNR == 401 { print FILENAME ":" FNR }'
)
exit "$broken"
