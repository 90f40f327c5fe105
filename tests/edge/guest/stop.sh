#!/bin/bash
# stop.sh           shuts the guest down in order (systemd stops every service)
# stop.sh --cut     pulls the plug
set -uo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
running || { echo "no guest '$EDGE_NAME' runs"; exit 0; }
pid=$(cat "$RUN/pid")
if [ "${1:-}" = --cut ]; then monitor quit >/dev/null 2>&1; else gssh 'systemctl poweroff' >/dev/null 2>&1; fi
for _ in $(seq 120); do kill -0 "$pid" 2>/dev/null || break; sleep 0.5; done
if kill -0 "$pid" 2>/dev/null; then kill "$pid"; sleep 1; kill -9 "$pid" 2>/dev/null; echo "had to end qemu"; fi
cameras_end
ssh "${ssh_opts[@]}" -O exit root@127.0.0.1 2>/dev/null
rm -f "$RUN/pid" "$RUN/ssh" "$RUN/monitor.sock" "$RUN/ports"
