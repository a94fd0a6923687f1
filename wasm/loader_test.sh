#!/bin/sh
# Runs the loader's tests under Node.
exec node wasm/loader/loader_test.mjs "$@"
