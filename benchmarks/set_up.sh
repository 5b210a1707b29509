#!/bin/sh
# The programs that a benchmark needs beside Python: installed where that can be done, else named.
set -eu
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
