"""What is asked of the kernel for each connection: no stale frames queued, dead peers noticed."""

import asyncio
import fcntl
import select
import socket
import struct
import termios
from collections.abc import Callable
from dataclasses import dataclass

from mjpegd.access.address import UNIX, plain
from mjpegd.hosts import bracketed

POLL = 0.005
"""Seconds between two looks at what nothing tells us of."""
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


_INFO = struct.Struct("=68xI72xII8xQQ")
"""Of `struct tcp_info` (linux/tcp.h): rtt at byte 68, notsent_bytes and min_rtt at 144, delivery_rate and busy_time at
160; times in microseconds."""
_NEVER_MEASURED = 2**32 - 1
"""What the kernel calls the least round trip before it has measured one, as behind a SYN cookie."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the kernel says of a connection; 0 where it says nothing.

    Of the `queued` bytes that nobody has acknowledged, `unsent` have not even left. Seconds to the peer and back, now
    and at `least`. `rate` is how many bytes a second were delivered, and `busy` are the seconds in which there was
    anything to deliver, since its beginning; None of a socket that does not count them.
    """

    queued: int
    unsent: int
    round_trip: float = 0.0
    least: float = 0.0
    rate: float = 0.0
    busy: float | None = None


def told(writer: asyncio.StreamWriter) -> Told:
    """Of a TCP connection that is open (tcp(7), TCP_INFO); of others only what is queued."""
    connection, queued = writer.get_extra_info("socket"), backlog(writer)
    if connection.family == socket.AF_UNIX:
        return Told(queued, queued)
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO.size)
    except (OSError, ValueError):  # of a closed one uvloop makes a socket by a negative descriptor
        return Told(queued, queued)
    round_trip, unsent, least, rate, busy = _INFO.unpack(info.ljust(_INFO.size, b"\0"))
    least = 0 if least == _NEVER_MEASURED else least
    unsent = min(queued, unsent + writer.transport.get_write_buffer_size())
    return Told(queued, unsent, round_trip / 1e6, least / 1e6, float(rate), busy / 1e6)


def prepare(writer: asyncio.StreamWriter) -> None:
    """Set the options of a connection just accepted.

    TCP_USER_TIMEOUT is none of them: it cuts a peer that reads in gulps, whose window never opens as far as the next
    segment while the kernel probes it (tcp_probe_timer). Whoever takes nothing is found by `drained`.
    """
    connection = writer.get_extra_info("socket")
    if connection.family == socket.AF_UNIX:
        return
    for option in _OPTIONS:
        connection.setsockopt(*option)


def hold_nothing(writer: asyncio.StreamWriter) -> None:
    """Have `drain` wait for the last byte.

    uvloop's TLS takes an empty buffer for one that has reached a limit of 0, and would wait for ever.
    """
    writer.transport.set_write_buffer_limits(high=int(is_encrypted(writer)), low=0)


def behind(writer: asyncio.StreamWriter) -> Callable[[], int]:
    """A question that is not 0 while something written has not reached the kernel; made once, asked for each frame.

    Under TLS a whole frame may lie in a buffer that uvloop keeps to itself. Then the kernel's is full, so it is asked.
    """
    ours = writer.transport.get_write_buffer_size
    if not is_encrypted(writer):
        return ours
    poller = select.poll()
    poller.register(writer.get_extra_info("socket").fileno(), select.POLLOUT)
    return lambda: ours() or int(not (writer.transport.is_closing() or poller.poll(0)))


def own(writer: asyncio.StreamWriter) -> socket.socket | None:
    """The connection by a descriptor of our own, for `push`; None where TLS comes between, or none is to be had.

    The transport closes its own whenever it likes, and the number is then another connection's. To be closed: until
    then the peer sees no end.
    """
    if is_encrypted(writer):
        return None
    theirs = writer.get_extra_info("socket")
    try:
        ours = socket.fromfd(theirs.fileno(), theirs.family, socket.SOCK_STREAM)
    except OSError:  # too many files are open, or it has just been closed: the transport knows what to do
        return None
    ours.setblocking(False)
    return ours


def push(connection: socket.socket | None, part: memoryview) -> int:
    """Hand a buffer to the kernel, past a transport that holds nothing itself; how many bytes it took.

    The transport's way costs a fifth of all that a frame costs. What is left goes that way, and so does everything
    where a connection is broken: the transport sees to its end.
    """
    if connection is None:
        return 0
    try:
        return connection.send(part)
    except OSError:
        return 0


async def drained(writer: asyncio.StreamWriter, stall: float) -> bool:
    """Wait until the kernel has taken all that was written; False when it took nothing for `stall` seconds."""
    transport = writer.transport
    left = transport.get_write_buffer_size()
    while True:
        try:
            async with asyncio.timeout(stall):
                await writer.drain()
                await _settled(writer)
            return True
        except TimeoutError:
            before, left = left, transport.get_write_buffer_size()
            if left >= before:
                return False


async def _settled(writer: asyncio.StreamWriter) -> None:
    """What `behind` says of TLS, waited for."""
    if writer.transport.is_closing() or not is_encrypted(writer):
        return
    pending = behind(writer)
    while pending():  # noqa: ASYNC110  (nobody tells us)
        await asyncio.sleep(POLL)


def reset(writer: asyncio.StreamWriter) -> None:
    """Cut a connection with RST: a plain close would leave the kernel holding what the peer does not take."""
    if not writer.transport.is_closing():
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
    writer.transport.abort()  # also one that is closing: TLS waits for the peer's word


def peer(writer: asyncio.StreamWriter) -> tuple[str, str]:
    """The address at the other end, and that with its port for the log: `192.0.2.7`, `192.0.2.7:51234`.

    Raises `ConnectionResetError` for a TCP peer that has left already: nobody must be taken for somebody else.
    """
    if writer.get_extra_info("socket").family == socket.AF_UNIX:
        return UNIX, UNIX
    name = writer.get_extra_info("peername")
    address = plain(name[0]) if isinstance(name, tuple) else None
    if address is None:
        raise ConnectionResetError
    return address, f"{bracketed(address)}:{name[1]}"


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
