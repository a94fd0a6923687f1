#!/bin/bash
# usage: quantize_file INPUT OUTPUT REQUEST [CHUNK_BYTES]
#
# Runs wasm/loader/quantize_file.mjs with the module that Bazel built. Paths are
# taken from where the user stands.
set -euo pipefail

runfiles=$(realpath "${RUNFILES_DIR:-$0.runfiles}")/monoquant
cd "${BUILD_WORKING_DIRECTORY:-.}"
exec node "$runfiles/wasm/loader/quantize_file.mjs" \
  "$runfiles/wasm/monoquant.wasm" "$@"
