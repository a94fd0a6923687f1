#!/bin/sh
# usage: run.sh SCRIPT ARGUMENT...
#
# Runs a script that drives the page, under Node.
exec node "$@"
