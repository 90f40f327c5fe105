"""What is asked of the kernel for each connection: no stale frames queued, dead peers noticed."""

import asyncio
import fcntl
import ipaddress
import socket
import struct
import termios

UNIX = "unix"
"""What stands for the address of a peer on a unix socket."""
NOTSENT_LOWAT = 16 * 1024
"""Unsent bytes the kernel may hold for one viewer, the number Cloudflare uses too. Without it a slow one sees pictures
3 s old, with it 0.3 s; a small SO_SNDBUF would do as much but cap everyone far away at a buffer per round trip."""

_OPTIONS = (
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),  # else the boundary behind a picture waits 40 ms for an ACK
    (socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, NOTSENT_LOWAT),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),  # and for those who are sent nothing:
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10),  # s of silence before the first probe
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),  # s between probes
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),  # probes before it is gone
)
_LINGER_NOT = struct.pack("ii", 1, 0)


def prepare(writer: asyncio.StreamWriter, stall: float) -> None:
    """Set the options of a connection just accepted; what nobody acknowledges for `stall` seconds ends it."""
    connection = writer.get_extra_info("socket")
    if connection.family == socket.AF_UNIX:
        return
    for option in (*_OPTIONS, (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(stall * 1000))):
        connection.setsockopt(*option)


async def drained(writer: asyncio.StreamWriter, stall: float) -> bool:
    """Wait until the kernel has taken all that was written; False when it took nothing for `stall` seconds."""
    transport = writer.transport
    left = transport.get_write_buffer_size()
    while True:
        try:
            async with asyncio.timeout(stall):
                await writer.drain()
            return True
        except TimeoutError:
            before, left = left, transport.get_write_buffer_size()
            if left >= before:
                return False


def reset(writer: asyncio.StreamWriter) -> None:
    """Cut a connection with RST: a plain close would leave the kernel holding what the peer does not take."""
    if not writer.transport.is_closing():
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        writer.transport.abort()


def peer(writer: asyncio.StreamWriter) -> tuple[str, str]:
    """The address at the other end, and that with its port for the log: `192.0.2.7`, `192.0.2.7:51234`."""
    name = writer.get_extra_info("peername")
    if not isinstance(name, tuple):
        return UNIX, UNIX
    address = _plain(name[0])
    return address, f"[{address}]:{name[1]}" if ":" in address else f"{address}:{name[1]}"


def is_encrypted(writer: asyncio.StreamWriter) -> bool:
    """Whether the client itself speaks TLS with us."""
    return writer.get_extra_info("ssl_object") is not None


def backlog(writer: asyncio.StreamWriter) -> int:
    """Bytes written and not yet acknowledged: ours and the kernel's (SIOCOUTQ, tcp(7)); 0 on a closed connection."""
    connection = writer.get_extra_info("socket")
    try:
        queued = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4))
    except (OSError, ValueError):
        return 0
    return int(struct.unpack("i", queued)[0]) + writer.transport.get_write_buffer_size()


def _plain(address: str) -> str:
    """An IPv4 address that came through an IPv6 socket (::ffff:192.0.2.7) as what it is."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    return str(getattr(parsed, "ipv4_mapped", None) or address)
