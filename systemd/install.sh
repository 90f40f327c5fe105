#!/bin/sh
# `make install`: mjpegd as a service of this machine, in a virtual environment of its own.
# Of the environment it takes PREFIX, DESTDIR, UNITS (the folder of the units) and PYTHON.
set -eu
umask 022 # whoever installs, the service's own user must be able to read it
home=$PREFIX/lib/mjpegd
settings=$DESTDIR/etc/mjpegd

# The service cannot see a Python in somebody's home (pyenv, uv, conda): ProtectHome.
usable='
import ensurepip, sys
sys.exit(sys.version_info < (3, 11) or sys.base_prefix.startswith(("/home/", "/root/")))'
for python in "$PYTHON" /usr/bin/python3 /usr/local/bin/python3 ''; do
    ! "$python" -c "$usable" 2>/dev/null || break
done
[ -n "$python" ] || {
    echo "no Python 3.11 or later outside of homes, with venv: apt-get install python3-venv, or make PYTHON=... install" >&2
    exit 1
}

# Built aside, without a trace of where, and put in place whole: a failed installation leaves the old one running.
mkdir -p "$DESTDIR$PREFIX/bin" "$DESTDIR$PREFIX/lib"
work=$(mktemp -d "$DESTDIR$PREFIX/lib/.mjpegd.XXXXXX")
trap 'rm -rf "$work"' EXIT
venv=$work/venv
mkdir "$work/source"
cp -RL mjpegd setup.cfg pyproject.toml README.md LICENSE "$work/source" # pip leaves root's files where it builds
"$python" -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --no-compile "$work/source"
"$venv/bin/python" -m pip uninstall --quiet --yes pip setuptools 2>/dev/null
find "$venv/bin" -type f -delete
sed -i '/^command/d' "$venv/pyvenv.cfg"
find "$venv" -name direct_url.json -delete
"$venv/bin/python" -m compileall -q -s "$venv" -p "$home" "$venv/lib"
cat >"$venv/bin/mjpegd" <<END
#!$home/bin/python3 -I
import sys

from mjpegd.cli import main

sys.exit(main())
END
chmod 755 "$venv/bin/mjpegd"
rm -rf "$DESTDIR$home"
mv "$venv" "$DESTDIR$home"
ln -sf ../lib/mjpegd/bin/mjpegd "$DESTDIR$PREFIX/bin/mjpegd"

# The units, with this prefix; the configuration, unless there is one.
mkdir -p "$DESTDIR$UNITS" "$settings"
for unit in mjpegd.service mjpegd.socket; do
    sed "s|/usr/bin/mjpegd|$PREFIX/bin/mjpegd|" "systemd/$unit" >"$DESTDIR$UNITS/$unit"
done
[ -e "$settings/mjpegd.toml" ] || install -m 644 mjpegd.toml "$settings"
[ -e "$settings/secrets.toml" ] || install -m 600 systemd/secrets.toml "$settings"

echo "installed: $PREFIX/bin/mjpegd, $UNITS/mjpegd.service, /etc/mjpegd/mjpegd.toml${DESTDIR:+ (below $DESTDIR)}"
if [ -z "$DESTDIR" ] && [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    echo "next: systemctl enable --now mjpegd (systemctl restart mjpegd, if it runs already)"
fi
