"""Other programs as peers: finding them, saying which package brings a missing one, running them to their end."""

import os
import pwd
import shutil
import socket
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

import cv2
import pytest
from numpy.typing import NDArray

from tests.daemon import SECONDS, free_port, wait_for

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


def opencv_frames(url: str, count: int) -> list[NDArray[Any]]:
    """So many frames of a stream as OpenCV's VideoCapture reads them; fails where it does not get one."""
    patience = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, 10_000, cv2.CAP_PROP_READ_TIMEOUT_MSEC, 10_000]
    capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG, patience)
    try:
        read = [capture.read() for _ in range(count)]
    finally:
        capture.release()
    assert all(there for there, _ in read)
    return [frame for _, frame in read]


class Proxy:
    """A proxy that listens on a port of loopback for as long as the block lasts."""

    def __init__(self, port: int, log: Path, *command: str | Path) -> None:
        self.port = port
        self._log = log
        self._command = command
        self._process: subprocess.Popen[bytes]

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        try:
            wait_for(self._answers, 10, "the proxy to listen")
        except BaseException:
            self._process.kill()
            self._process.wait()
            raise
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


def nginx(folder: Path, port: int, site: str) -> Proxy:
    """A real nginx with its defaults, and `site` in a file that its configuration includes."""
    program, config, log = peer("nginx", "nginx-light"), folder / "nginx.conf", folder / "nginx.log"
    (folder / "site.conf").write_text(site)
    paths = {kind: folder / kind for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")}
    config.write_text(
        f"""
        daemon off;
        user {pwd.getpwuid(os.getuid()).pw_name};
        pid {folder}/nginx.pid;
        events {{}}
        http {{
            access_log off;
            {"".join(f"{kind}_temp_path {path};" for kind, path in paths.items())}
            include {folder}/site.conf;
        }}
        """
    )
    return Proxy(port, log, program, "-e", "stderr", "-c", config)


def nginx_in_front(folder: Path, upstream: int, *directives: str) -> Proxy:
    """An nginx in front of one port, with nothing but proxy_pass: `/` and `/cams/` both lead there."""
    port = free_port()
    site = f"""
        server {{
            listen 127.0.0.1:{port};
            {"".join(directives)}
            location / {{ proxy_pass http://127.0.0.1:{upstream}; }}
            location /cams/ {{ proxy_pass http://127.0.0.1:{upstream}/; }}
        }}
        """
    return nginx(folder, port, site)


def haproxy(folder: Path, port: int, config: str) -> Proxy:
    """A real HAProxy with just this configuration."""
    program, file = peer("haproxy", "haproxy"), folder / "haproxy.cfg"
    file.write_text(config)
    return Proxy(port, folder / "haproxy.log", program, "-db", "-f", file)
