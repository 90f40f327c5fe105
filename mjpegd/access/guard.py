"""The one door: every request passes here before anything is looked up for it.

In this order: is the host one of ours, is there room in the address's rate, whose key is it, and does that key allow
what the route needs.
"""

import asyncio
import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from math import ceil
from time import time

from mjpegd import log
from mjpegd.access.caller import Caller, Proxies
from mjpegd.access.keys import Keyring
from mjpegd.access.principal import Principal, anybody
from mjpegd.access.shares import Shares
from mjpegd.access.throttle import Throttle
from mjpegd.access.tokens import Signer
from mjpegd.config.schema import Config
from mjpegd.errors import HttpError
from mjpegd.wire.http import Request

SESSION = "session"
OPEN = ("view", "snapshot")
"""What everybody may where there are no keys at all; only loopback can be listened on then."""
CHALLENGES = 'Basic realm="mjpegd", charset="UTF-8", Bearer realm="mjpegd"'
"""RFC 9110 11.6.1. Basic is what ffmpeg, VLC and Home Assistant answer with; any user name, the key as password."""
QUIET_CHALLENGE = 'Bearer realm="mjpegd"'
"""For a browser that opens a page: it gets the login form, and no window of its own."""

SAFE = ("GET", "HEAD", "OPTIONS")
_PORT = re.compile(r":[0-9]*$")


class Guard:
    """Holds the keys and the proxies of one configuration. A reload makes a new one, which takes over `throttle`."""

    def __init__(self, config: Config, shares: Shares, signer: Signer, throttle: Throttle) -> None:
        self.throttle = throttle
        self._keyring = Keyring(config.key)
        self._shares, self._signer = shares, signer
        self._longest_session = config.auth.session
        self._cookie_name = f"mjpegd-{signer.mark(b'cookie')[:8]}"  # cookies know no ports: not another daemon's
        self._origins = config.server.cors_origins
        self._hosts = tuple(host.lower() for host in config.server.allowed_hosts)
        self._proxies = Proxies(config.server.trusted_proxies, config.server.base_path)
        self._anybody = anybody(config.auth.anonymous or (() if config.key else OPEN))

    def receive(self, request: Request, peer: str, *, secure: bool) -> Caller:
        """Who calls, seen through proxies; 421 for a host that is not ours, 429 for one in too much of a hurry."""
        caller = self._proxies.caller(peer, request.headers, secure=secure)
        self._check_hosts(caller.hosts)
        wait = self.throttle.requests.take(caller.address)
        if wait:
            raise _too_many("too many requests from this address", wait)
        return caller

    async def admit(
        self, request: Request, caller: Caller, scope: str | None, token: str | None = None, *, asks: bool = True
    ) -> Principal:
        """Whose request it is: 401 without a key that is good, 403 where that key does not allow `scope`.

        `token` is a share link's. A scope of None is anybody's, but a wrong key is refused there too, unless nobody
        `asks` for one.
        """
        self._refuse_foreign(request, caller)
        if not asks:
            return self._anybody
        principal = self._shared(token) if token is not None else await self._known(request, caller)
        if scope is None or principal.may(scope):
            return principal
        if self._anybody.may(scope):
            return self._anybody  # a key opens no less than none
        if principal is self._anybody:
            raise unauthorized(request, "this needs a key")
        raise HttpError(403, f"this key does not allow it: {scope} is needed", facts={"scope": scope})

    def lasts(self, principal: Principal, camera: str) -> bool:
        """Whether somebody who watches still may: keys and links expire, are revoked or changed."""
        if principal.share is not None:
            return self._shares.lasts(principal.share)
        current = self._keyring.named(principal.name) if principal.proof else self._anybody
        if current is None or current.proof != principal.proof or principal.expires <= time():
            return False
        return current.may("view") and current.sees(camera)

    async def login(self, secret: str, request: Request, caller: Caller) -> str:
        """The cookie for whoever has that key; 401 for a wrong one."""
        return self.session(await self._check(secret, request, caller), caller)

    def session(self, principal: Principal, caller: Caller) -> str:
        """The cookie for the holder of a key who was let in with it."""
        expires = min(principal.expires, time() + self._longest_session)
        token = self._signer.seal(SESSION, (principal.name, self._mark(principal), int(expires)))
        return self._cookie(token, int(expires - time()), caller)

    def logout(self, caller: Caller) -> str:
        """The cookie that ends a login."""
        return self._cookie("", 0, caller)

    async def _known(self, request: Request, caller: Caller) -> Principal:
        """The holder of the key in the request, or of its cookie, or anybody; 401 for a wrong key."""
        if not len(self._keyring):
            return self._anybody
        secret, session = stated(request), self._by_session(request)
        if secret is None and session is not None:
            return session  # beside our cookie an Authorization field is a proxy's, and no wrong key
        secret = secret or authorized(request)
        return self._anybody if secret is None else await self._check(secret, request, caller)

    async def _check(self, secret: str, request: Request, caller: Caller) -> Principal:
        locked = self.throttle.failures.locked(caller.address)
        if locked:
            raise _too_many("too many wrong keys from this address", locked)
        principal = self._keyring.find(secret)
        if principal is None:
            log.get(address=caller.address).warning("wrong key", agent=request.headers.get("user-agent", "")[:120])
            await asyncio.sleep(self.throttle.failures.note(caller.address))
            raise unauthorized(request, "this key is wrong, or has expired")
        return principal

    def _shared(self, token: str) -> Principal:
        share = self._shares.read(token)
        if share is None:
            raise HttpError(403, "this link is not good: it has expired, was revoked, or was not copied whole")
        return Principal(f"share {share.id}", OPEN, (share.camera,), share.expires, share=share)

    def _by_session(self, request: Request) -> Principal | None:
        """Who logged in with that key, while the key is the same and neither it nor the login has expired."""
        content = self._signer.open(SESSION, _cookies(request.headers).get(self._cookie_name, ""))
        if content is None:
            return None
        name, mark, expires = content
        principal = self._keyring.named(name)
        if principal is None or self._mark(principal) != mark or expires <= time():
            return None
        return replace(principal, expires=min(principal.expires, expires))

    def _mark(self, principal: Principal) -> str:
        """What a login says of its key: another one when the key is changed, and nothing to guess the key by."""
        return self._signer.mark(principal.proof)

    def _cookie(self, token: str, age: int, caller: Caller) -> str:
        secure = "; Secure" if caller.secure else ""
        attributes = f"Path={caller.prefix}/; Max-Age={max(0, age)}; HttpOnly; SameSite=Lax{secure}"
        return f"{self._cookie_name}={token}; {attributes}"

    def _check_hosts(self, hosts: Iterable[str]) -> None:
        """Every name that was asked for must be ours: a page may write X-Forwarded-Host, but not Host."""
        for name in (_PORT.sub("", host) for host in hosts if self._hosts):
            if not (_is_literal(name) or any(_matches(name, allowed) for allowed in self._hosts)):
                raise HttpError(421, "that host is not served here: server.allowed_hosts does not name it")

    def _refuse_foreign(self, request: Request, caller: Caller) -> None:
        """A browser sends its cookie along whoever asks: what changes something must come from a page of ours."""
        origin = request.headers.get("origin")
        if origin is None or request.method in SAFE or origin in self._origins:
            return
        if origin.partition("://")[2].lower() not in caller.hosts:
            raise HttpError(403, "a page of another site asked for this: server.cors_origins does not name it")


def stated(request: Request) -> str | None:
    """The key a request brings in a place that is ours alone: X-API-Key, or `?key=`."""
    return request.headers.get("x-api-key") or request.query.get("key") or None


def authorized(request: Request) -> str | None:
    """The key in the Authorization field: Bearer, or Basic with any user."""
    scheme, _, word = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        return _password(word.strip())
    return word.strip() if scheme.lower() == "bearer" else None


def presented(request: Request) -> str | None:
    """The key a request brings, wherever it is; the more explicit place counts first."""
    return stated(request) or authorized(request)


def _password(word: str) -> str:
    """The password of Basic credentials (RFC 7617), or the user where there is only one."""
    try:
        user, _, password = base64.b64decode(word, validate=True).decode(errors="replace").partition(":")
    except (ValueError, binascii.Error):
        return ""
    return password or user


def opens_page(request: Request) -> bool:
    """Whether a browser asks for a page, and not for a picture in one: it can show a form."""
    return "text/html" in request.headers.get("accept", "")


def unauthorized(request: Request, message: str) -> HttpError:
    """401 with its challenge (RFC 9110 15.5.2)."""
    challenge = QUIET_CHALLENGE if opens_page(request) else CHALLENGES
    return HttpError(401, message, headers={"WWW-Authenticate": challenge})


def _too_many(message: str, wait: float) -> HttpError:
    return HttpError(429, message, headers={"Retry-After": str(ceil(wait))})


def _cookies(headers: Mapping[str, str]) -> dict[str, str]:
    """The cookies by name. Other programs on the host put odd ones beside ours, which must not cost us ours."""
    pairs = (pair.partition("=") for pair in re.split("[;,]", headers.get("cookie", "")))
    return {name.strip(): value.strip() for name, _, value in pairs}


def _is_literal(host: str) -> bool:
    """An address or localhost: no name that somebody else's DNS could point at us."""
    return host == "localhost" or host.startswith("[") or host.replace(".", "").isdigit()


def _matches(host: str, allowed: str) -> bool:
    return host == allowed or (allowed.startswith("*.") and host.endswith(allowed[1:]))
