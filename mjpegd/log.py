"""structlog, set up once: readable on a terminal, levels for journald under systemd, JSON elsewhere.

A camera's lines carry `camera`, a viewer's `viewer`; under systemd they are fields of the journal (`journalctl
CAMERA=porch`). No line ever holds a query string or a source's password: whoever logs a URL passes it through
`masking.mask`, and the last processor before the renderer does it again for every value.
"""

import logging
import os
import sys
import threading
from collections.abc import Mapping, MutableMapping
from functools import partial
from time import monotonic
from typing import Any, TextIO, cast

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor

from mjpegd.masking import mask
from mjpegd.systemd import Journal, journal_entry

Logger = FilteringBoundLogger

BURST = 10
"""Lines of one event in a period before the rest is only counted."""

_PRIORITIES: Mapping[str, int] = {"debug": 7, "info": 6, "warning": 4, "error": 3, "exception": 3, "critical": 2}
"""sd-daemon(3) line prefixes."""


def get(**context: Any) -> Logger:
    """A logger with `context` bound to it."""
    logger: Logger = structlog.get_logger(**context)
    return logger


def bind(**context: Any) -> None:
    """Bind `context` to every logger that this thread uses: a source does not know whose it is."""
    structlog.contextvars.bind_contextvars(**context)


class Flood:
    """Lets an event through `BURST` times a period, counts the rest, and reports the count once the period is over."""

    def __init__(self, period: float) -> None:
        self.period = period
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, ...], int] = {}
        self._since = monotonic()

    def __call__(self, logger: Any, method: str, event: EventDict) -> EventDict:
        """The interface of a structlog processor; raises `DropEvent` for a line that is only counted."""
        key = (method, str(event["event"]), str(event.get("camera", "")))
        with self._lock:
            self._counts[key] = self._counts.get(key, 0) + 1
            if self._counts[key] > BURST:
                raise structlog.DropEvent
        return event

    def report(self) -> None:
        """End the period: one line for each event that was held back."""
        with self._lock:
            counts, self._counts = self._counts, {}
            since, self._since = self._since, monotonic()
        for (method, event, camera), count in counts.items():
            if count > BURST:
                context = {"camera": camera} if camera else {}
                get(**context).log(
                    getattr(logging, method.upper().replace("EXCEPTION", "ERROR")),
                    f"{event} (more of these, not shown)",
                    count=count - BURST,
                    seconds=round(self._since - since, 1),
                )


class _Sink:
    """A stream whose failure fails nothing else: a full disk or a reader that left must not end a camera."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        """Write, or lose the line: there is no other place to tell it."""
        try:
            self._stream.write(text)
        except (OSError, ValueError):
            return

    def flush(self) -> None:
        """Flush, or lose what was buffered."""
        try:
            self._stream.flush()
        except (OSError, ValueError):
            return


class _JournalLogger:
    """Hands entries to the journal; what it does not take goes to `stream` as a line."""

    def __init__(self, journal: Journal, stream: TextIO) -> None:
        self._journal = journal
        self._lines = structlog.WriteLogger(stream)

    def msg(self, entry: bytes, line: str) -> None:
        """One entry, and the same as a line."""
        if not self._journal.send(entry):
            self._lines.msg(line)

    debug = info = warning = error = exception = critical = msg


def setup(level: str = "info", style: str = "auto", flood_period: float = 10.0, stream: TextIO = sys.stderr) -> Flood:
    """Configure structlog for the whole process. The caller calls `report()` of what is returned once a period."""
    flood = Flood(flood_period)
    sink = cast("TextIO", _Sink(stream))
    style = _detect(stream) if style == "auto" else style
    native = style == "journal" and _is_journal(stream)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            flood,
            structlog.processors.format_exc_info,
            _mask_values,  # behind the traceback, which may hold a URL too
            *([_journal_entry] if native else _RENDERERS[style](stream)),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=partial(_JournalLogger, Journal(), sink) if native else structlog.WriteLoggerFactory(sink),
        cache_logger_on_first_use=True,
    )
    return flood


def _detect(stream: TextIO) -> str:
    if _is_journal(stream):
        return "journal"
    return "console" if stream.isatty() else "json"


def _is_journal(stream: TextIO) -> bool:
    """Whether `stream` is the journal's: systemd names its device and inode in JOURNAL_STREAM (systemd.exec(5))."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def _mask_values(logger: Any, method: str, event: EventDict) -> EventDict:
    return {key: mask(value) if isinstance(value, str) else value for key, value in event.items()}


def _console(stream: TextIO) -> list[Processor]:
    return [
        structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
        structlog.dev.ConsoleRenderer(colors=stream.isatty(), pad_event_to=28),
    ]


def _json(stream: TextIO) -> list[Processor]:
    return [
        structlog.processors.TimeStamper(fmt="iso"),
        structlog.processors.JSONRenderer(),
    ]


def _journal(stream: TextIO) -> list[Processor]:
    return [_journal_line]


def _journal_line(logger: Any, method: str, event: MutableMapping[str, Any]) -> str:
    """`<6>viewer left camera=porch`: journald takes the level from the prefix and stamps the time itself."""
    text, trace = _as_text(event)
    return "\n".join(f"<{_PRIORITIES.get(method, 6)}>{line}" for line in (text, *trace.splitlines()))


def _journal_entry(
    logger: Any, method: str, event: MutableMapping[str, Any]
) -> tuple[tuple[bytes, str], dict[str, Any]]:
    """The same with a field for each value, and the line for when the journal is not there."""
    values = [(name, str(value)) for name, value in event.items() if name not in ("level", "event", "exception")]
    line = _journal_line(logger, method, dict(event))
    text, trace = _as_text(event)
    message = f"{text}\n{trace}" if trace else text
    priority = str(_PRIORITIES.get(method, 6))
    fixed = [("message", message), ("priority", priority), ("syslog_identifier", "mjpegd")]
    return (journal_entry([*fixed, *values]), line), {}


def _as_text(event: MutableMapping[str, Any]) -> tuple[str, str]:
    """One line of text and the traceback. Whatever a client put into its User-Agent stays on the one line: a line end
    of any kind would begin a forged one.
    """
    event.pop("level", None)
    text, trace = event.pop("event"), event.pop("exception", "")
    pairs = "".join(f" {key}={value}" for key, value in event.items())
    return " ".join(f"{text}{pairs}".splitlines()), trace


_RENDERERS = {"console": _console, "json": _json, "journal": _journal}
