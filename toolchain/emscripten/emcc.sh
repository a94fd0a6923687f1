#!/bin/sh
# Debian's emcc, as the compiler and the linker of a Bazel toolchain.
set -eu

# Debian keeps the JavaScript parser that emcc calls in a folder that a node
# from elsewhere does not search.
export NODE_PATH="${NODE_PATH:-/usr/share/nodejs}"

# Actions run without HOME; Python would look for it.
export HOME="${HOME:-${TMPDIR:-/tmp}}"

# Where structures are passed as their members (config.bzl), clang 14 crashes at
# a parameter that is a pointer to a member function, "Result (T::*method)()". Two
# files of others have some, which clang is shown as references.
case " $* " in
  *" -c "*/absl/time/time.cc" "* | *" -c "*/googletest/src/gtest.cc" "*)
    for source; do
      case "${source}" in */time.cc | */gtest.cc) break ;; esac
    done
    shown=$(mktemp -d)
    trap 'rm -rf "${shown}"' EXIT
    sed 's/::\*\([a-z_]*\))/::* const\& \1)/' "${source}" >"${shown}/source.cc"
    printf '{"version": 0, "use-external-names": false, "roots": [{"type": "file", "name": "%s", "external-contents": "%s"}]}' \
      "${PWD}/${source}" "${shown}/source.cc" >"${shown}/overlay.json"
    emcc "$@" -Xclang -ivfsoverlay -Xclang "${shown}/overlay.json"
    exit
    ;;
esac

exec emcc "$@"
