#!/bin/bash
# Boots the guest, cold, and returns when it answers on ssh and systemd has finished starting.
#   boot.sh [N ...]            on a fresh disk (an overlay on root.img), with these cameras plugged in
#   boot.sh --keep [N ...]     on the disk the last stop left
# Its network is closed: it reaches nothing, and is reached through the two forwarded ports only.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
keep=; [ "${1:-}" != --keep ] || { keep=1; shift; }
[ -f "$EDGE_CACHE/root.img" ] || die "no image: run build-image.sh"
running && die "guest '$EDGE_NAME' runs already (stop.sh ends it)"
mkdir -p "$RUN"; cd "$RUN"
cameras_end
rm -f ssh pid monitor.sock
[ -n "$keep" ] || qemu-img create -q -f qcow2 -F raw -b "$EDGE_CACHE/root.img" disk.qcow2
printf 'EDGE_SSH_PORT=%s\nEDGE_HTTP_PORT=%s\n' "$EDGE_SSH_PORT" "$EDGE_HTTP_PORT" >ports
# Emulated processors: neither KVM nor a kernel module is asked of the host.
setsid qemu-system-x86_64 -name "$EDGE_NAME" -M q35 -accel "tcg,thread=multi,tb-size=512" -cpu max \
    -smp "$EDGE_CPUS" -m "$EDGE_MEM" -nodefaults -display none -vga none -no-user-config \
    -kernel "$EDGE_CACHE/vmlinuz" -initrd "$EDGE_CACHE/initrd.img" \
    -append "root=/dev/vda rw console=ttyS0 quiet mitigations=off net.ifnames=0 random.trust_cpu=on tsc=reliable" \
    -drive file=disk.qcow2,if=virtio,cache=unsafe,discard=unmap \
    -netdev "user,id=n0,restrict=on,hostfwd=tcp:127.0.0.1:$EDGE_SSH_PORT-:22,hostfwd=tcp:127.0.0.1:$EDGE_HTTP_PORT-:8080" \
    -device virtio-net-pci,netdev=n0,romfile= -device virtio-rng-pci -rtc base=utc,clock=host \
    -device qemu-xhci,id=xhci,p2=8,p3=8 \
    -serial file:console.log -monitor unix:monitor.sock,server=on,wait=off -pidfile pid </dev/null >qemu.log 2>&1 &
for _ in $(seq 50); do [ -s pid ] && break; sleep 0.1; done
running || { cat qemu.log; die "qemu did not start (a port taken?)"; }
for n in "$@"; do camera_on "$n"; done              # long before the guest's kernel looks at its ports
limit=$((SECONDS + ${EDGE_BOOT_LIMIT:-240}))
until timeout 20 ssh "${ssh_opts[@]}" root@127.0.0.1 true 2>/dev/null; do
    running || { cat qemu.log; tail -20 console.log; die "qemu ended"; }
    [ $SECONDS -lt $limit ] || { tail -20 console.log; die "no answer on ssh"; }
    sleep 0.5
done
gssh systemctl is-system-running --wait || true
