#!/usr/bin/env bash
# Fails where a BUILD, .bzl or WORKSPACE file is not as buildifier wants it.
set -euo pipefail

buildifier=$(readlink -f "$1")
source tests/format/source_tree.sh
mapfile -t files < <(
  source_files BUILD BUILD.bazel '*.BUILD' '*.bzl' WORKSPACE MODULE.bazel
)
if [[ ${#files[@]} -eq 0 ]]; then
  echo "no BUILD files under ${source_root}: the test looks at the wrong place" >&2
  exit 1
fi

# Rules are loaded from rule sets in newer releases of Bazel; 4.2.3 has them
# built in, and its rule sets are stand-ins (third_party/stubs.bzl).
native=(
  cc-binary cc-common cc-import cc-info cc-library cc-test cc-toolchain
  cc-toolchain-suite py sh-binary sh-library sh-test
)
cd "${source_root}"
if ! "${buildifier}" -mode=check -lint=warn \
  -warnings="$(printf -- ',-native-%s' "${native[@]}" | cut -c2-)" \
  "${files[@]}"; then
  echo
  echo "Format with: bazel run //tests/format:fix"
  exit 1
fi
echo "${#files[@]} files are formatted"
