#!/bin/sh
# The programs that a benchmark needs beside Python: installed where that can be done, else named.
# $1: the environment's Python; $2: the one that was asked for, if any.
set -eu
if [ -n "${2:-}" ]; then
    whose='import sys; print(sys.base_prefix, sys.version)'
    if [ "$("$1" -c "$whose")" != "$("$2" -c "$whose")" ]; then
        environment=".venv-$(basename "$2")"
        echo "$1 was made with another Python. An environment beside it, for this one:" >&2
        echo "    make bench PYTHON=$2 VENV=$environment" >&2
        exit 1
    fi
fi
missing=
for wanted in wrk:wrk node:nodejs npm:npm; do
    command -v "${wanted%%:*}" >/dev/null || missing="$missing ${wanted#*:}"
done
[ -z "$missing" ] && exit 0
case "$(uname -s)" in
    Darwin) line='brew install wrk node' ;;
    *) line="apt-get install$missing" ;;
esac
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing$missing ..."
    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq update
    # shellcheck disable=SC2086 # several names
    apt-get -qq install --yes --no-install-recommends $missing >/dev/null
else
    echo "Missing:$missing. Install with: $line" >&2
    exit 1
fi
