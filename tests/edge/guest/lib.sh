# Shared by the scripts in this folder: where things lie, and how to reach the guest and its cameras.
# Nothing is written outside EDGE_CACHE, but for Debian packages on the host.
EDGE_CACHE=${EDGE_CACHE:-/tmp/edge}
EDGE_NAME=${EDGE_NAME:-edge}                     # several guests can run side by side, with ports of their own
EDGE_SSH_PORT=${EDGE_SSH_PORT:-2222}             # 127.0.0.1:PORT on the host -> guest 22
EDGE_HTTP_PORT=${EDGE_HTTP_PORT:-18080}          # 127.0.0.1:PORT on the host -> guest 8080
EDGE_MEM=${EDGE_MEM:-2048}                       # MiB
EDGE_CPUS=${EDGE_CPUS:-2}
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
RUN=$EDGE_CACHE/run-$EDGE_NAME
KEY=$EDGE_CACHE/key

[ -f "$RUN/ports" ] && . "$RUN/ports"            # those that the running guest was started with

die() { echo "edge: $*" >&2; exit 1; }

ssh_opts=(-i "$KEY" -p "$EDGE_SSH_PORT" -o BatchMode=yes -o IdentitiesOnly=yes
          -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR
          -o ConnectTimeout=20 -o ServerAliveInterval=30
          -o ControlMaster=auto -o ControlPath="$RUN/ssh" -o ControlPersist=600 -F none)
gssh() { ssh "${ssh_opts[@]}" root@127.0.0.1 "$@"; }

running() { [ -f "$RUN/pid" ] && kill -0 "$(cat "$RUN/pid")" 2>/dev/null; }
need_running() { running || die "no guest '$EDGE_NAME' is running (boot.sh starts one)"; }

# One line to QEMU's own monitor (device_add, quit, ...), which is silent where all is well.
monitor() {
    python3 - "$RUN/monitor.sock" "$@" <<'PY'
import socket, sys
s = socket.socket(socket.AF_UNIX); s.settimeout(10); s.connect(sys.argv[1])
def until_prompt():
    b = b""
    while not b.rstrip().endswith(b"(qemu)"):
        d = s.recv(65536)
        if not d: break
        b += d
    return b.decode(errors="replace")
until_prompt()
s.sendall((" ".join(sys.argv[2:]) + "\n").encode())
trouble = "\n".join(until_prompt().replace("\r", "").split("\n")[1:-1]).strip()
sys.exit(trouble or None)
PY
}

# camera_on N: starts the process that is camera N, and plugs it into the guest's USB.
camera_on() {
    local sock=$RUN/uvc$1.sock size loop args=()
    for size in 640x480 320x240; do              # made once: three seconds of pictures in each size
        loop=$EDGE_CACHE/loop-$size.mjpeg
        [ -s "$loop" ] || ffmpeg -v error -y -f lavfi -i "testsrc2=s=$size:r=30" -t 3 -c:v mjpeg -huffman default \
            -pix_fmt yuvj422p -q:v 6 -f mjpeg "$loop" </dev/null || die "no pictures for the camera"
        args+=(--mjpeg "$loop")
    done
    setsid "$HERE/uvccam.py" "$sock" "${args[@]}" --serial "EDGE000$1" >"$RUN/uvc$1.log" 2>&1 </dev/null &
    echo $! >"$sock.pid"
    for _ in $(seq 50); do [ -S "$sock.ctl" ] && break; sleep 0.1; done
    [ -S "$sock.ctl" ] || die "camera $1 did not start: $(cat "$RUN/uvc$1.log")"
    monitor "chardev-add socket,id=uvc$1,path=$sock" && monitor "device_add usb-redir,chardev=uvc$1,id=uvcdev$1,bus=xhci.0"
}

# camera_end N: ends that process. The socket's end in QEMU goes with the device.
camera_end() {
    local sock=$RUN/uvc$1.sock
    [ -f "$sock.pid" ] && kill "$(cat "$sock.pid")" 2>/dev/null
    rm -f "$sock" "$sock.ctl" "$sock.pid"
}
cameras_end() { local n; for n in $(cd "$RUN" && ls uvc*.sock.pid 2>/dev/null | tr -dc '0-9\n'); do camera_end "$n"; done; }
