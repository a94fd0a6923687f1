#!/bin/sh
# usage: node_test.sh TEST ARGUMENT...
#
# Runs a test under Node.
exec node "$@"
