"""Keys, found by their secret; and what the holder of one may."""

import hmac
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mjpegd.access.keys import Keyring, new_secret
from mjpegd.access.principal import Principal, anybody
from mjpegd.config.hashing import digest, hashed
from mjpegd.config.schema import SCOPES, KeyConfig
from tests.clock import Clock, stop_clocks

SECRETS = {"wall": "a wall display's", "lapse": "a timelapse's key", "boss": "the operator's own"}
NOW = "2027-01-31T12:00:00Z"
NOON = 1_801_396_800.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time of day, standing still at `NOW`."""
    clock = stop_clocks(monkeypatch, "mjpegd.access.keys.time")
    clock.now = NOON
    return clock


def ring(expires: str = "") -> Keyring:
    """A ring of `SECRETS`."""
    return Keyring({name: KeyConfig(secret=secret, expires=expires) for name, secret in SECRETS.items()})


def name_of(principal: Principal | None) -> str | None:
    """Whose it is."""
    return None if principal is None else principal.name


@pytest.mark.parametrize("name", SECRETS)
def test_found_by_its_secret(name: str) -> None:
    """A key is found by its secret, whether the configuration has it in clear or hashed."""
    plain, obscure = ring(), Keyring({key: KeyConfig(secret=hashed(secret)) for key, secret in SECRETS.items()})

    assert name_of(plain.find(SECRETS[name])) == name_of(obscure.find(SECRETS[name])) == name
    assert len(plain) == len(obscure) == len(SECRETS)


PLAIN = st.text(st.characters(codec="utf-8"), min_size=8).filter(lambda text: not text.startswith("sha256:"))


@given(st.dictionaries(st.text("abc", min_size=1), PLAIN), st.text())
def test_nothing_but_the_secret(secrets: dict[str, str], guess: str) -> None:
    """Whatever is presented finds a key with exactly that secret, or none."""
    owners = [name for name, secret in secrets.items() if secret == guess]
    found = Keyring({name: KeyConfig(secret=secret) for name, secret in secrets.items()}).find(guess)

    assert (name_of(found) in owners) if owners else (found is None)


@pytest.mark.parametrize("secret", ["", "a wall display", "a wall display's ", "A WALL DISPLAY'S", "wall", "sha256:"])
def test_nearly_the_secret(secret: str) -> None:
    """What is only nearly a secret finds nobody."""
    assert ring().find(secret) is None


def test_a_hash_is_no_key() -> None:
    """Whoever read the configuration has hashes, and none of them opens anything."""
    written = hashed(SECRETS["wall"])

    assert Keyring({"wall": KeyConfig(secret=written)}).find(written) is None


@pytest.mark.parametrize("secret", [*SECRETS.values(), "nobody's"])
def test_every_key_is_looked_at(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever key it is, and if it is none, it is compared with every one, so that time tells nothing."""
    compared, original = [], hmac.compare_digest

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return original(one, other)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    ring().find(secret)

    assert compared == [(digest(known), digest(secret)) for known in SECRETS.values()]


def test_new_secrets() -> None:
    """A new key is 256 bits, in characters that need no quoting, and each another one."""
    made = {new_secret() for _ in range(50)}

    assert len(made) == 50
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", secret) for secret in made)


@pytest.mark.parametrize(
    ("expires", "good"),
    [
        ("", True),
        ("2027-01-31T12:00:01Z", True),
        ("2027-01-31T13:00:00+00:30", True),
        ("2027-02-01", True),
        ("2027-01-31T12:00:00Z", False),
        ("2027-01-31T11:59:59Z", False),
        ("2027-01-30", False),
    ],
)
def test_expiry(expires: str, good: bool, clock: Clock) -> None:  # noqa: FBT001  (a row of the table)
    """A key that has expired is nobody's, by its secret and by its name, and comes to life no more."""
    found = ring(expires=expires)

    for _ in range(2):
        assert (found.find(SECRETS["wall"]) is not None) is good
        assert (found.named("wall") is not None) is good
        clock.forward(0)


def test_expiry_comes(clock: Clock) -> None:
    """A key is good to the last second and not beyond."""
    found = ring(expires="2027-01-31T13:00:00Z")
    clock.forward(3599)
    assert found.find(SECRETS["wall"]) is not None
    clock.forward(1)

    assert found.find(SECRETS["wall"]) is None
    assert found.named("wall") is None


def test_named() -> None:
    """A key is found by its name too, and nothing by a name that is none."""
    assert name_of(ring().named("lapse")) == "lapse"
    assert ring().named("nobody") is None


def test_what_a_key_says() -> None:
    """Its holder has its name, scopes and cameras."""
    key = KeyConfig(secret="12345678", scopes=("snapshot",), cameras=("porch",))  # noqa: S106  (a test's)
    holder = Keyring({"lapse": key}).find("12345678")

    assert holder is not None
    assert (holder.name, set(holder.scopes), set(holder.cameras)) == ("lapse", {"snapshot"}, {"porch"})


def test_another_secret_is_another_proof() -> None:
    """A key whose secret was changed is told from the one before by its proof; the same secret hashed is the same."""
    before, after, obscure = (
        Keyring({"wall": KeyConfig(secret=secret)}).named("wall")
        for secret in ("the old secret", "the new secret", hashed("the old secret"))
    )

    assert before is not None
    assert after is not None
    assert obscure is not None
    assert before.proof == obscure.proof != after.proof


@pytest.mark.parametrize("scope", SCOPES)
def test_scopes_stand_side_by_side(scope: str) -> None:
    """A scope allows itself and no other, but for admin, which allows all."""
    may = {asked for asked in SCOPES if anybody((scope,)).may(asked)}

    assert may == (set(SCOPES) if scope == "admin" else {scope})


def test_cameras_of_a_principal() -> None:
    """Somebody who is limited to cameras sees those; nobody else's sight is limited."""
    limited, free = Principal("a", ("view",), ("porch",)), Principal("b", ("view",))

    assert [limited.sees("porch"), limited.sees("attic"), free.sees("attic")] == [True, False, True]
