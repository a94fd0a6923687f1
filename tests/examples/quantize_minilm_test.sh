#!/bin/bash
# Runs the example where its user would stand.
#
# usage: quantize_minilm_test.sh SCRIPT MONOQUANT MODEL
set -euo pipefail

export BUILD_WORKING_DIRECTORY=$TEST_TMPDIR/stands
mkdir "$BUILD_WORKING_DIRECTORY"
"$@" | tee "$TEST_TMPDIR/printed"

original=$(stat -L -c %s "$3")
for expected in 'int8 27' 'int4 21'; do
  read -r name percent <<<"$expected"
  file=$BUILD_WORKING_DIRECTORY/monoquant_example/minilm_$name.safetensors
  test $((100 * $(stat -c %s "$file"))) -lt $((percent * original))
done
# The summary, the comparison and the line that loads the result.
grep -q 'SQNR' "$TEST_TMPDIR/printed"
grep -q 'load_file' "$TEST_TMPDIR/printed"
