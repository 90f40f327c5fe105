#!/bin/bash
# The USB cameras of the running guest; N is 0, 1, ..., and camera N has the serial number EDGE000N.
#   cam.sh plug N                     it appears on a USB port
#   cam.sh unplug N                   it is pulled out
#   cam.sh ctl N freeze|thaw|stat     it stays in, but sends no frames; goes on; says how it is
set -uo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need_running
n=${2:-}; [[ $n =~ ^[0-9]$ ]] || die "cam.sh plug|unplug|ctl N ..."
sock=$RUN/uvc$n.sock
case "$1" in
plug)
    [ -f "$sock.pid" ] && die "camera $n is plugged in already"
    camera_on "$n";;
unplug)
    monitor "device_del uvcdev$n" && camera_end "$n";;
ctl)
    python3 -c 'import socket, sys
s = socket.socket(socket.AF_UNIX); s.settimeout(5); s.connect(sys.argv[1])
s.sendall(" ".join(sys.argv[2:]).encode()); print(s.recv(999).decode(), end="")' "$sock.ctl" "${@:3}";;
*) sed -n '2,5p' "$0"; exit 2;;
esac
