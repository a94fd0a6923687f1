#!/usr/bin/env bash
# Fails where a C++ file is not formatted as .clang-format says.
set -euo pipefail

clang_format=$(readlink -f "$1")
source tests/format/source_tree.sh
mapfile -t files < <(source_files '*.h' '*.cc')
if [[ ${#files[@]} -eq 0 ]]; then
  echo "no C++ files under ${source_root}: the test looks at the wrong place" >&2
  exit 1
fi

cd "${source_root}"
bad=0
for file in "${files[@]}"; do
  if ! "${clang_format}" --dry-run --Werror "${file}" 2>/dev/null; then
    # A difference says more than a list of columns.
    "${clang_format}" "${file}" | diff -u --label "${file}" "${file}" \
      --label "${file} formatted" - | head -n 30 || true
    bad=$((bad + 1))
  fi
done
if [[ ${bad} -gt 0 ]]; then
  echo
  echo "${bad} of ${#files[@]} files need: bazel run //tests/format:fix"
  exit 1
fi
echo "${#files[@]} files are formatted"
