#!/bin/bash
# usage: build.sh NODE_MODULES MONOQUANT_WASM OUTPUT
#
# Makes the package @monoquant/core in the directory OUTPUT, as npm publishes
# it. NODE_MODULES has typescript and @types/node.
set -euo pipefail

modules=$(realpath "$1")
wasm=$(realpath "$2")
mkdir -p "$3/dist"
output=$(realpath "$3")
here=$(dirname "${BASH_SOURCE[0]}")

# Copies, since Bazel's sandbox has links, and tools differ in what they make of
# those.
stage=$(mktemp -d)
trap 'rm -r "$stage"' EXIT
mkdir -p "$stage/package"
cp -RL "$here"/{src,package.json,tsconfig.json,README.md} "$stage/package"
cp -RL "$here/../loader" "$stage/loader"
cp -L "$here/../../LICENSE" "$stage/package"

cd "$stage/package"
node "$modules/typescript/bin/tsc" --outDir "$output/dist" \
  --typeRoots "$modules/@types"
install -m 644 ../loader/{monoquant,node_files}{.mjs,.d.mts} "$output/dist"
install -m 644 "$wasm" "$output/dist/monoquant.wasm"
install -m 644 package.json README.md LICENSE "$output"
