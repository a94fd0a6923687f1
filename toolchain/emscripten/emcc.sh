#!/bin/sh
# Debian's emcc, as the compiler and the linker of a Bazel toolchain.
set -eu

# Debian keeps the JavaScript parser that emcc calls in a folder that a node
# from elsewhere does not search.
export NODE_PATH="${NODE_PATH:-/usr/share/nodejs}"

# Actions run without HOME; Python would look for it.
export HOME="${HOME:-${TMPDIR:-/tmp}}"

# Where structures are passed as their members (config.bzl), clang 14 crashes at
# a parameter that is a pointer to a member function. GoogleTest has some, and is
# compiled without; in Abseil one file has one, which clang is shown as a
# reference to that pointer.
case " $* " in
  *" -c "*/absl/time/time.cc" "*)
    for source; do
      case "${source}" in */absl/time/time.cc) break ;; esac
    done
    shown=$(mktemp -d)
    trap 'rm -rf "${shown}"' EXIT
    sed 's/(cctz::time_zone::\*find_transition)/(cctz::time_zone::* const\& find_transition)/' \
      "${source}" >"${shown}/time.cc"
    printf '{"version": 0, "use-external-names": false, "roots": [{"type": "file", "name": "%s", "external-contents": "%s"}]}' \
      "${PWD}/${source}" "${shown}/time.cc" >"${shown}/overlay.json"
    emcc "$@" -Xclang -ivfsoverlay -Xclang "${shown}/overlay.json"
    exit
    ;;
esac

exec emcc "$@"
