#!/bin/sh
# `make uninstall`: what install.sh put in place, but for the configuration and the state.
set -eu
if [ -z "$DESTDIR" ] && [ -d /run/systemd/system ]; then
    systemctl disable --now mjpegd.socket mjpegd.service 2>/dev/null || true
fi
rm -rf "$DESTDIR$PREFIX/lib/mjpegd"
rm -f "$DESTDIR$PREFIX/bin/mjpegd" "$DESTDIR$UNITS/mjpegd.service" "$DESTDIR$UNITS/mjpegd.socket"
if [ -z "$DESTDIR" ] && [ -d /run/systemd/system ]; then
    systemctl daemon-reload
fi
echo "removed, but for the configuration in /etc/mjpegd and the state in /var/lib/mjpegd${DESTDIR:+ (below $DESTDIR)}"
