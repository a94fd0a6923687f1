# Sourced by the format tests: finds the files of the source tree.
#
# A test sees what its rule lists. To list every source file, each package would
# need a filegroup that somebody forgets; so these tests follow the link that
# Bazel makes for WORKSPACE back to the real tree. They are tagged `local`
# (unsandboxed) and `external` (never taken from a cache).

source_root=$(dirname "$(readlink -f WORKSPACE)")

# source_files PATTERN... prints the paths under the root of files whose names
# match, without generated and hidden folders.
source_files() {
  local expression=() pattern
  for pattern in "$@"; do
    expression+=(-o -name "${pattern}")
  done
  (
    cd "${source_root}"
    find . \
      \( -name '.?*' -o -name 'bazel-*' -o -name node_modules \) -prune \
      -o -type f \( "${expression[@]:1}" \) -print |
      sed 's|^\./||' | LC_ALL=C sort
  )
}
