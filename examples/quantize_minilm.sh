#!/bin/bash
# Quantizes all-MiniLM-L6-v2, a BERT of 90.9 MB, to INT8 and INT4 and compares.
#
# usage: bazel run //examples:quantize_minilm [-- FOLDER]
#
# The results go to FOLDER, or to monoquant_example/ where you stand.
set -euo pipefail

monoquant=$(realpath "$1")
model=$(realpath "$2")
cd "${BUILD_WORKING_DIRECTORY:-$PWD}"
folder=${3:-monoquant_example}
mkdir -p "$folder"

# Shows a command as a user would type it, then runs it.
run() {
  printf '\n$ monoquant'
  local word
  for word in "${@/#"$model"/model.safetensors}"; do
    # Quotes only what a shell would read otherwise.
    [[ $word == *'*'* ]] && word="'$word'"
    printf ' %s' "$word"
  done
  printf '\n'
  "$monoquant" "$@"
}

int8=$folder/minilm_int8.safetensors
int4=$folder/minilm_int4.safetensors

# Half of this model is its table of word embeddings. Embeddings stay as they
# are unless a rule says otherwise.
run quantize --model "$model" --output "$int8" --force --bits 8 \
  --rule '*.word_embeddings.weight=int8'
run quantize --model "$model" --output "$int4" --force --bits 4 \
  --group-size 128 --rule '*.word_embeddings.weight=int8'

# The worst tensors of each.
run compare "$model" "$int8" --top 5
run compare "$model" "$int4" --top 5

printf '\nThe files are in %s:\n' "$(realpath "$folder")"
ls -l "$folder"
