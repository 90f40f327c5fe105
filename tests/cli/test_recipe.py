"""`mjpegd print-config`."""

import os
import sys

import pytest

from mjpegd.cli import main
from mjpegd.recipes import RECIPES

BLANK = ("--config", os.devnull)


@pytest.mark.parametrize("name", [recipe.name for recipe in RECIPES])
def test_print_config(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each program's configuration is printed, alone."""
    assert main(["print-config", name, *BLANK]) == 0
    printed = capsys.readouterr()

    assert printed.out.startswith("# ")
    assert printed.out.endswith("\n")
    assert not printed.out.endswith("\n\n")
    assert printed.err == ""


def test_made_from_ours(capsys: pytest.CaptureFixture[str]) -> None:
    """What is printed follows the configuration, and the port that is asked for."""
    main(["print-config", "nginx", *BLANK, "--set", "server.port=9090", "--listen", "8081"])
    printed = capsys.readouterr().out

    assert "server 127.0.0.1:9090;" in printed
    assert "listen 8081;" in printed


@pytest.mark.parametrize(
    ("started", "program"),
    [("/opt/x/bin/mjpegd", "/opt/x/bin/mjpegd"), ("/opt/x/mjpegd/__main__.py", f"{sys.executable} -m mjpegd")],
)
def test_unit_for_the_way_it_was_started(
    started: str, program: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The unit starts mjpegd by its whole path and with the file that was named, as it was started now."""
    monkeypatch.setattr(sys, "argv", [started, "print-config", "systemd"])
    main(["print-config", "systemd", *BLANK])

    assert f"\nExecStart={program} run --config {os.devnull}\n" in capsys.readouterr().out


@pytest.mark.parametrize("words", [[], ["apache"], ["nginx", "caddy"], ["nginx", "--listen", "x"]])
def test_arguments_that_make_no_sense(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A program there is no recipe for, none, or a port that is no number, is exit code 2 and nothing on the output."""
    with pytest.raises(SystemExit) as ended:
        main(["print-config", *words])

    assert ended.value.code == 2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("port", ["0", "-1", "65536"])
def test_a_port_that_is_none(port: str) -> None:
    """A proxy cannot listen on a port that is none."""
    with pytest.raises(SystemExit) as ended:
        main(["print-config", "nginx", *BLANK, "--listen", port])

    assert ended.value.code == 2


def test_wrong_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    """From a configuration that cannot be used nothing is made."""
    assert main(["print-config", "nginx", *BLANK, "--set", "server.port=x"]) == 2
    printed = capsys.readouterr()

    assert printed.out == ""
    assert printed.err.startswith("mjpegd: --set server.port: ")
