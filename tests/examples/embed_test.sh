#!/bin/bash
# Builds and runs examples/embed as its users do: from outside, with Bazel, and
# with nothing of monoquant's own .bazelrc.
#
# usage: embed_test.sh WORKSPACE CHECKPOINT
set -euo pipefail

source_tree=$(dirname "$(realpath "$1")")
checkpoint=$(realpath "$2")

# A test sees no HOME, but pip and npm have their settings there. Everything
# that is fetched and built stays for the next run.
HOME=$(getent passwd "$(id -u)" | cut -d: -f6)
export HOME
cache=${XDG_CACHE_HOME:-$HOME/.cache}/monoquant/embed_test
mkdir -p "$cache"

cd "$source_tree/examples/embed"
bazel() {
  # Bazel behaves differently inside a test: this one is not to know.
  env -u TEST_TMPDIR bazel "--output_user_root=$cache" --nohome_rc "$@"
}
trap 'bazel shutdown' EXIT

# No bazel-* links in the source tree; Debian's sandbox is talkative.
bazel build --symlink_prefix=/ --nosandbox_debug --color=no --curses=no \
  --noshow_progress //:embed
program=$(bazel info bazel-bin)/embed

output=$TEST_TMPDIR/tensor.mqir
"$program" "$checkpoint" "$output" | tee "$TEST_TMPDIR/printed"

# What the example is for.
test -s "$output"
grep -q 'of them quantized' "$TEST_TMPDIR/printed"
if "$program" "$TEST_TMPDIR/absent.pt" "$output" 2>"$TEST_TMPDIR/error"; then
  echo 'no error for a file that does not exist' >&2
  exit 1
fi
grep -q 'absent.pt' "$TEST_TMPDIR/error"
