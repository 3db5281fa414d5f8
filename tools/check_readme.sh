#!/usr/bin/env bash
# Every C++ block of a page that follows <!-- from: FILE --> must stand in FILE, line by line and in that order, so that
# what readers copy is what our tests compile and run.
# usage: tools/check_readme.sh [PAGE]     FILE is relative to the folder of PAGE
set -euo pipefail
page=${1:-$(dirname "$0")/../README.md}

awk -v root="$(dirname "$page")" '
function trim(text) { gsub(/^[ \t]+|[ \t]+$/, "", text); return text }
/^<!-- from: / { file = root "/" $3; next }
/^```cpp/ { if (file == "") { print FILENAME ":" FNR ": a C++ block without <!-- from: FILE -->"; broken = 1 } inside = 1; next }
/^```/ { if (inside && file != "") close(file); inside = 0; file = ""; next }
inside && file != "" && trim($0) != "" {
  found = 0
  while ((getline line < file) > 0) if (trim(line) == trim($0)) { found = 1; break }
  if (!found) { print FILENAME ":" FNR ": not in " file " (or out of order): " trim($0); broken = 1 }
  else ++lines
}
END {
  if (!broken && !lines) { print FILENAME ": no checked C++ block"; broken = 1 }
  exit broken
}' "$page"
