#!/bin/sh
# Debian's emcc, as the compiler and the linker of a Bazel toolchain.
set -eu

# Debian keeps the JavaScript parser that emcc calls in a folder that a node
# from elsewhere does not search.
export NODE_PATH="${NODE_PATH:-/usr/share/nodejs}"

# Actions run without HOME; Python would look for it.
export HOME="${HOME:-${TMPDIR:-/tmp}}"

exec emcc "$@"
