#!/usr/bin/env bash
# Formats every C++ and BUILD file of the source tree in place.
set -euo pipefail

clang_format=$(readlink -f "$1")
buildifier=$(readlink -f "$2")
source tests/format/source_tree.sh
cd "${source_root}"
source_files '*.h' '*.cc' | xargs -r "${clang_format}" -i
source_files BUILD BUILD.bazel '*.BUILD' '*.bzl' WORKSPACE MODULE.bazel |
  xargs -r "${buildifier}" -mode=fix
