#!/bin/sh
# Install the Debian packages of packages.txt that are missing, if we are root on a Debian; else name them.
set -eu
wanted=$(sed 's/#.*//' "$(dirname "$0")/packages.txt" | xargs)
if ! command -v dpkg-query >/dev/null; then
    echo "not a Debian: tests with peers that are missing will be skipped (they use $wanted)"
    exit 0
fi
missing=""
for name in $wanted; do
    dpkg-query -W -f '${Status}' "$name" 2>/dev/null | grep -q 'ok installed' || missing="$missing $name"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ]; then
    echo "installing$missing"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing >/dev/null
else
    echo "not root: tests that need these packages will be skipped:$missing"
fi
