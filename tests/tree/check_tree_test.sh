#!/usr/bin/env bash
# Broken twins of the tree: each breaks one rule, and the check must name the file and that rule only.
# usage: check_tree_test.sh PATH_OF_CHECK_TREE
set -euo pipefail
check=$1
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT

# fresh: a tree that follows every rule, with a condition, CUDA and FAISS where they may be, and a file of 400 lines.
fresh() {
  rm -rf "${tree:?}"/*
  mkdir -p "$tree/core/include/mpp" "$tree/kernels/src/cuda"
  printf '#pragma once\n// faiss/ may be named in prose\nint f();\n' >"$tree/core/include/mpp/good.hpp"
  printf '#pragma once\n#if 1\n#include <cuda_runtime.h>\n#include <faiss/Index.h>\n#endif\n' >"$tree/kernels/src/cuda/own.hpp"
  printf '#if defined(X) == defined(HWY_TARGET_TOGGLE)\n#endif\n' >"$tree/kernels/src/own-inl.hpp"
  for ((i = 0; i < 400; ++i)); do echo "int x$i;"; done >"$tree/kernels/src/full.cpp"
}

# expect_caught FILE RULE: FILE must be named with RULE, and nothing else may be.
expect_caught() {
  local said
  if said=$(bash "$check" "$tree"); then
    echo "not caught: $1 ($2)"; exit 1
  fi
  if ! grep -q "$1.*$2" <<<"$said" || [ "$(wc -l <<<"$said")" -ne 1 ]; then
    printf 'expected one line with %s and "%s", got:\n%s\n' "$1" "$2" "$said"; exit 1
  fi
}
header=core/include/mpp/bad.hpp

fresh
bash "$check" "$tree" || { echo "a tree that follows the rules was rejected"; exit 1; }

for line in '#if MPP_HAVE_CUDA' '  #  ifdef X' '#ifndef MPP_BAD_HPP'; do
  fresh; printf '#pragma once\n%s\n#endif\n' "$line" >"$tree/$header"; expect_caught "$header" condition
done
fresh; printf '#pragma once\n#include <cuda_runtime.h>\n' >"$tree/$header"; expect_caught "$header" CUDA
fresh; printf '#pragma once\n#include <cuda_fp16.h>\n' >"$tree/$header"; expect_caught "$header" CUDA
fresh; printf '#pragma once\n#include <faiss/Index.h>\n' >"$tree/$header"; expect_caught "$header" FAISS
fresh; printf 'int g();\n' >"$tree/$header"; expect_caught "$header" 'pragma once'
fresh; printf 'int g();\n' >"$tree/kernels/src/own.hpp"; expect_caught kernels/src/own.hpp 'pragma once'
fresh; echo 'int last;' >>"$tree/kernels/src/full.cpp"; expect_caught kernels/src/full.cpp '400 lines'
echo "every broken rule was caught"
