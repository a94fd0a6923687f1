#!/usr/bin/env bash
# Runs a fuzz target with its seeds and dictionary; further arguments are the
# fuzzer's. What it finds is written to where the user stands.
#
#   run.sh libfuzzer|replay PROGRAM SEEDS DICTIONARY [ARGUMENTS]
set -euo pipefail
engine=$1 program=$2 seeds=$3 dictionary=$4
shift 4
here=${BUILD_WORKING_DIRECTORY:-.}
if [[ ${engine} == replay ]]; then
  echo "run.sh: without --config=fuzz there is no libFuzzer in this; replaying" >&2
  exec "${program}" --runs=20000 "${seeds}"
fi
# Grows while it runs. Kept between runs where FUZZ_CORPUS names a folder.
corpus=${FUZZ_CORPUS:-$(mktemp -d)}
mkdir -p "${corpus}"
echo "run.sh: corpus in ${corpus}" >&2
export ASAN_OPTIONS=${ASAN_OPTIONS:-allocator_may_return_null=1}
exec "${program}" -artifact_prefix="${here}/" -dict="${dictionary}" \
  -max_len=65536 -malloc_limit_mb=512 -rss_limit_mb=2048 -timeout=10 \
  "$@" "${corpus}" "${seeds}"
