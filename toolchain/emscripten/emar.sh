#!/bin/sh
# Debian's emar, as the archiver of a Bazel toolchain.
set -eu
export HOME="${HOME:-${TMPDIR:-/tmp}}"
exec emar "$@"
