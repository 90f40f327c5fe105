"""Every error that mjpegd raises on purpose.

    MjpegdError
    ├── ConfigError       the operator's: every problem at once, exit code 2
    ├── SourceError       the camera's: shown on a card, retried; state `lost`
    │   ├── SourceStalled the camera is there but silent, or far behind; state `stale`
    │   ├── SourceFrozen  the camera gives the same picture again and again; state `frozen`
    │   └── SourceWoken   somebody watches again what was read sparingly: open it anew; no outage
    ├── BrokenPicture     one picture's: counted and skipped
    ├── EncoderLost       a rendition's: the process that was making a picture has ended
    └── HttpError         a request's: carries the status to answer with, and what else to say
        ├── NoRoom        a limit is reached: it is named, and when to come again
        └── ProtocolError the request itself is broken: answer, then close

Anything else that escapes is a bug and is logged with its traceback.
"""

from collections.abc import Mapping, Sequence


class MjpegdError(Exception):
    """Parent of all of them."""


class ConfigError(MjpegdError):
    """The configuration cannot be used; `problems` has one line for each reason."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class SourceError(MjpegdError):
    """The camera cannot be opened or read; the text is fit for a card and a log line."""


class SourceStalled(SourceError):
    """The camera is open and delivers nothing, or nothing new enough."""


class SourceFrozen(SourceError):
    """The camera is open and delivers the same picture again and again."""


class SourceWoken(SourceError):
    """The source was read sparingly while nobody watched, and is to be opened again."""


class BrokenPicture(MjpegdError):
    """These bytes are no complete JPEG."""


class EncoderLost(MjpegdError):
    """The encoder process ended before the picture was made; the next one is made by another."""


class HttpError(MjpegdError):
    """A request that gets no good answer. `facts` join the JSON body, `headers` the response head."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        headers: Mapping[str, str] | None = None,
        facts: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})
        self.facts = dict(facts or {})


RETRY_AFTER = 10
"""Seconds after which somebody who found no room may ask again."""


class NoRoom(HttpError):
    """There are as many as the key `limit` of the configuration allows: `most`."""

    def __init__(self, status: int, message: str, *, limit: str, most: int) -> None:
        retry, facts = {"Retry-After": str(RETRY_AFTER)}, {"limit": limit, "most": most}
        super().__init__(status, message, headers=retry, facts=facts)


class ProtocolError(HttpError):
    """The client broke HTTP; nothing after it can be trusted."""
