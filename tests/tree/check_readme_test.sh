#!/usr/bin/env bash
# Broken twins of the README: a changed line, a missing source and lines out of order must be caught.
# usage: check_readme_test.sh PATH_OF_CHECK_README
set -euo pipefail
check=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
printf 'int main() {\n  first();\n  second();\n}\n' >"$folder/program.cpp"

# page MARKER LINE...: a page with one C++ block.
page() {
  local marker=$1
  shift
  { echo "$marker"; echo '```cpp'; printf '%s\n' "$@"; echo '```'; } >"$folder/page.md"
}
expect_caught() {
  if bash "$check" "$folder/page.md" >/dev/null 2>&1; then
    echo "not caught: $1"; exit 1
  fi
}

marker='<!-- from: program.cpp -->'
page "$marker" 'first();' '' 'second();'
bash "$check" "$folder/page.md" || { echo "a true page was rejected"; exit 1; }

page "$marker" 'first();' 'third();'; expect_caught "a line the program does not have"
page "$marker" 'second();' 'first();'; expect_caught "lines out of order"
page '<!-- from: missing.cpp -->' 'first();'; expect_caught "a program that is not there"
page '' 'first();'; expect_caught "a block without a program"
echo "nothing to see" >"$folder/page.md"; expect_caught "a page without a block"
echo "every broken page was caught"
