"""Credentials, and to whom they are shown: the configured address, and nobody that it points to."""

from mjpegd.sources.client.target import Login, Target
from mjpegd.wire.authorization import Authorization, Bearer, challenges, choose


class Keyring:
    """The login or the token for one origin. A login is told only when asked for, in the way that is asked for."""

    def __init__(self, home: Target, login: Login | None, token: str) -> None:
        self._home, self._login, self._token = home.origin, login, token
        self._authorization: Authorization | None = Bearer(token) if token else None

    def field(self, target: Target) -> str | None:
        """The value of Authorization for a GET of `target`; None where there is nothing to be shown."""
        if self._authorization is None or target.origin != self._home:
            return None
        return self._authorization.field("GET", target.path)

    def answer(self, target: Target, values: tuple[str, ...], *, again: bool) -> bool:
        """Take up the challenges of a 401; whether it is worth another try.

        Once a fresh one was answered (`again`), only a nonce that was too old is worth it.
        """
        if target.origin != self._home or self._login is None or self._token:
            return False
        offered = challenges(values)
        if again and not any(challenge.stale for challenge in offered):
            return False
        chosen = choose(offered, self._login.user, self._login.password)
        self._authorization = chosen
        return chosen is not None

    def refusal(self, target: Target) -> str:
        """What a 401 that stays means, for the operator."""
        if target.origin != self._home:
            return "redirects to another server, which asks for a password: name that one as the source"
        if self._token:
            return "answers 401: the token is not accepted"
        if self._login is None:
            return "asks for a password"
        if self._authorization is None:
            return "asks for a login of a kind that is not known here"
        return "answers 401: the password is not accepted"
