"""What systemd hands over in secret, as a layer and as single values."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from mjpegd.config import credentials
from mjpegd.config.load import load
from mjpegd.config.schema import KeyConfig
from mjpegd.errors import ConfigError

SECRET = "correct horse"  # noqa: S105  (a test's)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the service's credentials are."""
    folder = tmp_path / "credentials"
    folder.mkdir()
    return folder


@pytest.fixture
def environment(folder: Path) -> dict[str, str]:
    """What systemd tells the service of it."""
    return {"CREDENTIALS_DIRECTORY": str(folder)}


def problems(environment: Mapping[str, str], *sets: str, file: Path | None = None) -> tuple[str, ...]:
    """What is wrong with these layers."""
    with pytest.raises(ConfigError) as caught:
        load(file, environment, sets)
    return caught.value.problems


def test_files(folder: Path, environment: Mapping[str, str]) -> None:
    """Credentials named *.toml are configuration, in the order of their names; no other one is."""
    for name in ("b.toml", "a.toml", "tls.key", "toml", "c.toml.bak"):
        (folder / name).touch()

    assert credentials.files(environment, None, listening=True) == [folder / "a.toml", folder / "b.toml"]


@pytest.mark.parametrize("environment", [{}, {"CREDENTIALS_DIRECTORY": ""}, {"CREDENTIALS_DIRECTORY": "/nonexistent"}])
def test_without_credentials(environment: Mapping[str, str]) -> None:
    """Outside a service there are none."""
    assert credentials.files(environment, None, listening=True) == []
    assert load(environment=environment) == load()


def test_beside_the_configuration(environment: Mapping[str, str], tmp_path: Path) -> None:
    """Outside a service `secrets.toml` beside the configuration stands for the credentials, within one it does not."""
    file, beside = tmp_path / "mjpegd.toml", tmp_path / "secrets.toml"
    file.write_text("[server]\nport = 1\nbacklog = 1\n")
    assert credentials.files({}, file, listening=True) == []
    beside.write_text("[server]\nbacklog = 2\n")

    assert (load(file).server.port, load(file).server.backlog) == (1, 2)
    assert load(file, environment).server.backlog == 1
    assert credentials.files({}, beside, listening=True) == []
    assert credentials.files({}, None, listening=True) == []


def test_beside_the_configuration_and_not_to_be_read(tmp_path: Path) -> None:
    """A `secrets.toml` that cannot be read stops a daemon, which would listen without its keys; a command goes on."""
    file, beside = tmp_path / "mjpegd.toml", tmp_path / "secrets.toml"
    file.write_text("[server]\nport = 1\n")
    beside.symlink_to(tmp_path / "gone")

    assert problems({}, file=file) == (f"{beside}: cannot be read: No such file or directory",)
    assert load(file, listening=False).server.port == 1


def test_a_layer(folder: Path, environment: Mapping[str, str], tmp_path: Path) -> None:
    """A credential wins over the file, the environment and the command line over the credential, key by key."""
    file = tmp_path / "mjpegd.toml"
    file.write_text("[server]\nport = 1\nbacklog = 1\nheartbeat = 1\n[camera.porch]\nfps = 5\n")
    (folder / "secrets.toml").write_text(
        '[server]\nbacklog = 2\nheartbeat = 2\n[camera.porch]\nsource = "rtsp://me:hidden@camera/"\n'
    )
    config = load(file, {**environment, "MJPEGD_SERVER__HEARTBEAT": "3"}, [])

    assert (config.server.port, config.server.backlog, config.server.heartbeat) == (1, 2, 3)
    assert (config.camera["porch"].source, config.camera["porch"].fps) == ("rtsp://me:hidden@camera/", 5)


def test_the_later_credential_wins(folder: Path, environment: Mapping[str, str]) -> None:
    """Of two credentials that set one key the later name counts."""
    (folder / "10.toml").write_text("[server]\nport = 1\n")
    (folder / "20.toml").write_text("[server]\nport = 2\n")

    assert load(environment=environment).server.port == 2


def test_a_credential_that_is_wrong(folder: Path, environment: Mapping[str, str]) -> None:
    """What is wrong in a credential is told with its file and line, without any secret."""
    (folder / "secrets.toml").write_text('[key.wall]\nsecret = "hunter2"\n[key.b]\nsecrets = "hunter2"\n')
    found = problems(environment)

    assert any(problem.startswith(f"{folder}/secrets.toml:2: key.wall.secret is shorter") for problem in found)
    assert any(problem.startswith(f"{folder}/secrets.toml:4: unknown key key.b.secrets") for problem in found)
    assert "hunter2" not in "".join(found)


@pytest.mark.parametrize("content", ["#", "", "\n", "# nothing yet\n"])
def test_an_empty_credential(content: str, folder: Path, environment: Mapping[str, str]) -> None:
    """A credential without anything in it, as the unit has one for who has none, changes nothing."""
    (folder / "secrets.toml").write_text(content)

    assert load(environment=environment) == load()


@pytest.mark.parametrize("content", [SECRET, f"{SECRET}\n", f"  {SECRET}\r\n"])
def test_a_secret(content: str, folder: Path, environment: Mapping[str, str]) -> None:
    """`credential:NAME` as a secret is the content of that credential, without the line's end."""
    (folder / "wall").write_text(content)

    assert load(environment=environment, sets=["key.wall.secret=credential:wall"]).key == {"wall": KeyConfig(SECRET)}


def test_a_certificate(folder: Path, environment: Mapping[str, str]) -> None:
    """`credential:NAME` as a TLS file is the path of that credential."""
    for name in ("tls.crt", "tls.key"):
        (folder / name).touch()
    tls = load(environment=environment, sets=["tls.certificate=credential:tls.crt", "tls.key=credential:tls.key"]).tls

    assert (tls.certificate, tls.key) == (str(folder / "tls.crt"), str(folder / "tls.key"))


def test_elsewhere_it_is_text(folder: Path, environment: Mapping[str, str]) -> None:
    """Where neither a secret nor a TLS file is wanted, `credential:NAME` is what it says."""
    (folder / "wall").write_text(SECRET)

    assert (
        load(environment=environment, sets=["camera.a.source=credential:wall"]).camera["a"].source == "credential:wall"
    )


@pytest.mark.parametrize("key", ["key.wall.secret", "tls.key"])
@pytest.mark.parametrize(
    "name",
    ["nothing", "", "..", ".", "../outside", "/etc/passwd", "sub/inner", "folder", pytest.param("x" * 300, id="long")],
)
def test_no_such_credential(key: str, name: str, folder: Path, environment: Mapping[str, str]) -> None:
    """A credential there is not, or a path or folder in place of a name, is one line; nothing outside is read."""
    (folder.parent / "outside").write_text(SECRET)
    (folder / "sub").mkdir()
    (folder / "sub" / "inner").write_text(SECRET)
    (folder / "folder").mkdir()
    also = ["tls.certificate=/etc/passwd"] if key == "tls.key" else []

    (problem,) = problems(environment, f"{key}=credential:{name}", *also)

    assert problem.startswith(f"--set {key}: ")
    assert "there is no credential" in problem or name in ("..", "folder")
    assert SECRET not in problem


def test_no_credentials_at_all() -> None:
    """Outside a service a credential cannot be had, and that is said."""
    assert problems({}, "key.wall.secret=credential:wall") == (
        "--set key.wall.secret: credential wall is not here: only a service with LoadCredential=wall:FILE has it",
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is missing: `mjpegd key NAME` makes one"),
        (b"\n", "is missing: `mjpegd key NAME` makes one"),
        (b"hunter2", "is shorter than 8 characters"),
        (b"\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8\xf7", "credential wall is not UTF-8 text"),
    ],
)
def test_a_credential_that_is_no_secret(
    content: bytes, said: str, folder: Path, environment: Mapping[str, str]
) -> None:
    """A credential that cannot be a key is told with the key it was for, and its content is not."""
    (folder / "wall").write_bytes(content)
    (problem,) = problems(environment, "key.wall.secret=credential:wall")

    assert problem.startswith("--set key.wall.secret: ")
    assert problem.endswith(said)
    assert "hunter2" not in problem


def test_a_hash_in_a_credential(folder: Path, environment: Mapping[str, str]) -> None:
    """A credential may hold a hash, like any secret."""
    (folder / "wall").write_text("sha256:" + "0" * 64 + "\n")
    config = load(environment=environment, sets=["key.wall.secret=credential:wall"])

    assert config.key["wall"].secret == "sha256:" + "0" * 64


def test_a_credential_within_a_credential(folder: Path, environment: Mapping[str, str]) -> None:
    """A credential that is configuration may name another one."""
    (folder / "secrets.toml").write_text('[key.wall]\nsecret = "credential:wall"\n')
    (folder / "wall").write_text(SECRET)

    assert load(environment=environment).key["wall"].secret == SECRET
