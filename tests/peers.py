"""Other programs as peers: finding them, saying which package brings a missing one, running them to their end."""

import os
import pwd
import shutil
import socket
import subprocess
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

import pytest

from tests.daemon import SECONDS, wait_for

REQUIRE = "TEST_REQUIRE_PEERS"
"""Set to 1, a missing peer fails its tests instead of skipping them."""


def missing(what: str, package: str) -> NoReturn:
    """Skip the test in sight of everybody, or fail it where all peers are required."""
    reason = f"{what} is missing: apt-get install {package}"
    if os.environ.get(REQUIRE) == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def peer(program: str, package: str) -> str:
    """The path of a program that this Debian package brings."""
    path = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin")
    return path or missing(program, package)


def run(*command: str, within: float = 30) -> subprocess.CompletedProcess[bytes]:
    """Run a peer to its end, whatever its exit status; fails when it does not end."""
    return subprocess.run(command, capture_output=True, timeout=within * SECONDS, check=False)


class Nginx:
    """A real nginx in front of one port, with its defaults: `/` and `/cams/` both lead there."""

    def __init__(self, folder: Path, upstream: int, *directives: str) -> None:
        self._program = peer("nginx", "nginx-light")
        self._config = folder / "nginx.conf"
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
        paths = {kind: folder / kind for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")}
        self._config.write_text(
            f"""
            daemon off;
            user {pwd.getpwuid(os.getuid()).pw_name};
            pid {folder}/nginx.pid;
            events {{}}
            http {{
                access_log off;
                {"".join(f"{kind}_temp_path {path};" for kind, path in paths.items())}
                server {{
                    listen 127.0.0.1:{self.port};
                    {"".join(directives)}
                    location / {{ proxy_pass http://127.0.0.1:{upstream}; }}
                    location /cams/ {{ proxy_pass http://127.0.0.1:{upstream}/; }}
                }}
            }}
            """
        )
        self._log = folder / "nginx.log"
        self._process: subprocess.Popen[bytes]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen([self._program, "-e", str(self._log), "-c", str(self._config)])
        wait_for(self._answers, 10, "nginx to listen")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(10 * SECONDS)

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`."""
        return f"http://127.0.0.1:{self.port}"

    def _answers(self) -> bool:
        assert self._process.poll() is None, self._log.read_text()
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except ConnectionRefusedError:
            return False
        return True
