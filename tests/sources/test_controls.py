"""What a driver's controls are called, what they take, and in what order they are set."""

import contextlib
import errno
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from linuxpy.video import raw

from mjpegd.config.schema import ControlValue
from mjpegd.sources import controls
from mjpegd.sources.control import Control
from tests.driver import BOOLEAN, Circling, Driver, Row, webcam

ID = raw.ControlID
FD = 3


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    """A webcam's driver that is asked whenever this process asks any."""
    return plugged(webcam(), monkeypatch)


def plugged(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> Driver:
    """That driver behind `ioctl`."""
    monkeypatch.setattr("fcntl.ioctl", driver.ioctl)
    return driver


def sole(row: Row, monkeypatch: pytest.MonkeyPatch) -> Control:
    """The control that a driver with that one row has."""
    plugged(Driver([row]), monkeypatch)
    (control,) = controls.listing(FD).values()
    return control


def values() -> Mapping[str, int | None]:
    """What every control is at."""
    return {name: control.value for name, control in controls.listing(FD).items()}


def test_names(driver: Driver) -> None:
    """Controls are called as v4l2-ctl calls them, in the driver's order."""
    assert list(controls.listing(FD)) == [
        *("brightness", "hue", "white_balance_automatic", "power_line_frequency", "white_balance_temperature"),
        *("auto_exposure", "exposure_time_absolute", "pan_reset", "privacy"),
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("White Balance Temperature, Auto", "white_balance_temperature_auto"),
        ("Exposure (Absolute)", "exposure_absolute"),
        ("LED1 Mode", "led1_mode"),
        ("  Focus -- near  ", "focus_near"),
        ("Gamma\xe9", "gamma"),
    ],
)
def test_any_name(name: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is no letter and no digit is one underscore, and none at the ends."""
    assert expected == sole(Row(1, name), monkeypatch).name


def test_report(driver: Driver) -> None:
    """A control is told with its kind, its range, its value, the labels of its menu and its flags in words."""
    known = controls.listing(FD)

    hue = {"name": "hue", "kind": "integer", "value": 0, "default": 0, "minimum": -180, "maximum": 180}
    assert known["hue"].report() == {**hue, "step": 1, "flags": ()}
    assert known["auto_exposure"].report()["menu"] == {1: "Manual Mode", 3: "Aperture Priority Mode"}
    assert known["white_balance_automatic"].report()["value"] is True
    assert known["exposure_time_absolute"].flags == ("inactive",)
    assert (known["pan_reset"].value, known["pan_reset"].flags) == (None, ("write_only",))
    assert known["privacy"].flags == ("read_only",)


@pytest.mark.parametrize("name", ["STRING", "INTEGER64"])
def test_listed_only(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has no number of 32 bits is listed without a value, and can only be read."""
    control = sole(Row(1, "Serial", int(raw.CtrlType[name])), monkeypatch)

    assert (control.kind.name, control.value, control.flags) == (name.lower(), None, ("read_only",))
    with pytest.raises(ValueError, match="can only be read"):
        control.number(1)


@pytest.mark.parametrize(
    "row",
    [
        Row(1, "User Controls", int(raw.CtrlType.CTRL_CLASS)),
        Row(1, "Broken", flags=int(raw.ControlFlag.DISABLED)),
        Row(1, "Regions", int(raw.CtrlType.U8)),
    ],
)
def test_left_out(row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    """Headings, disabled controls and arrays are not listed."""
    plugged(Driver([row]), monkeypatch)

    assert controls.listing(FD) == {}


def test_bitmask(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bitmask is a number without a sign."""
    row = Row(1, "Leds", int(raw.CtrlType.BITMASK), maximum=0xFFFFFFFF, default=0x80000000)
    control = sole(row, monkeypatch)

    assert (control.value, control.number(0xC0000000)) == (0x80000000, 0xC0000000)


def test_integer_menu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The entries of an integer menu are meant by their index, else by their number."""
    row = Row(1, "Rate", int(raw.CtrlType.INTEGER_MENU), maximum=2, menu={0: 1000, 1: 1, 2: 64})
    control = sole(row, monkeypatch)

    assert control.menu == {0: "1000", 1: "1", 2: "64"}
    assert [control.number(value) for value in (0, 1, 2, 64, 1000, "64")] == [0, 1, 2, 2, 0, 2]


def test_value_that_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A control that the camera does not tell the value of is listed without one."""
    assert sole(Row(1, "Gamma", unread=errno.EIO), monkeypatch).value is None


@pytest.mark.parametrize(
    ("name", "value", "number"),
    [
        ("brightness", 0, 0),
        ("brightness", 255, 255),
        ("hue", -180, -180),
        ("white_balance_automatic", True, 1),
        ("white_balance_automatic", 0, 0),
        ("auto_exposure", 1, 1),
        ("auto_exposure", "Manual Mode", 1),
        ("auto_exposure", "aperture priority MODE", 3),
        ("power_line_frequency", "50 Hz", 1),
        ("pan_reset", True, 1),
    ],
)
def test_value(name: str, value: ControlValue, number: int, driver: Driver) -> None:
    """Numbers, switches, and labels in any case are what the driver takes."""
    assert number == controls.listing(FD)[name].number(value)


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("brightness", 256, "must be a whole number from 0 to 255, not 256"),
        ("brightness", -1, "must be a whole number from 0 to 255, not -1"),
        ("brightness", True, "must be a whole number from 0 to 255, not True"),
        ("brightness", "10", "must be a whole number from 0 to 255, not '10'"),
        ("hue", 2**70, "must be a whole number from -180 to 180, not "),
        ("white_balance_automatic", 2, "must be true or false, not 2"),
        ("white_balance_automatic", "on", "must be true or false, not 'on'"),
        ("auto_exposure", 2, "must be one of Manual Mode (1), Aperture Priority Mode (3), not 2"),
        ("auto_exposure", True, "must be one of Manual Mode (1), Aperture Priority Mode (3), not True"),
        ("auto_exposure", "manual", "must be one of Manual Mode (1), Aperture Priority Mode (3), not 'manual'"),
        ("pan_reset", 0, "must be true, not 0"),
        ("privacy", True, "can only be read"),
        ("brigthness", 1, "there is no such control; did you mean brightness?"),
        ("xyzzy", 1, "there is no such control; known are brightness, hue, "),
    ],
)
def test_wrong_value(name: str, value: ControlValue, problem: str, driver: Driver) -> None:
    """What cannot be set is told with what can, and does not keep the rest from being set."""
    refused = controls.apply(FD, {name: value, "power_line_frequency": 2})

    assert list(refused) == [name]
    assert refused[name].startswith(problem)
    assert driver.taken == [("Power Line Frequency", 2)]


@given(st.one_of(st.integers(), st.booleans(), st.text(max_size=20)))
def test_any_value(value: ControlValue) -> None:
    """Whatever is wanted, the driver is given a number in its range, or nothing and a reason."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        plugged(webcam(), monkeypatch)
        for control in controls.listing(FD).values():
            highest = 1 if control.kind.name == "button" else control.maximum
            with contextlib.suppress(ValueError):
                assert control.minimum <= control.number(value) <= highest


def test_order(driver: Driver) -> None:
    """Automatic switches are set first, then other switches, then values, then buttons, however they were written."""
    wanted: list[tuple[str, ControlValue]] = [
        *(("pan_reset", True), ("exposure_time_absolute", 100), ("white_balance_temperature", 3000)),
        *(("power_line_frequency", "60 Hz"), ("auto_exposure", "Manual Mode"), ("white_balance_automatic", False)),
    ]

    assert controls.apply(FD, dict(wanted)) == {}
    assert [name for name, _ in driver.taken] == [
        *("Auto Exposure", "White Balance, Automatic", "Power Line Frequency"),
        *("Exposure Time, Absolute", "White Balance Temperature", "Pan, Reset"),
    ]


def test_nothing_wanted(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is wanted the driver is asked nothing."""
    monkeypatch.setattr("fcntl.ioctl", None)

    assert controls.apply(FD, {}) == {}


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("white_balance_temperature", 3000, "inactive: switch off white_balance_automatic first"),
        ("exposure_time_absolute", 100, "inactive: set auto_exposure to Manual Mode first"),
    ],
)
def test_inactive(name: str, value: int, reason: str, driver: Driver) -> None:
    """What an automatic mode governs is refused with the switch that is in its way."""
    assert controls.apply(FD, {name: value}) == {name: reason}


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.EACCES, "inactive while its automatic mode is on"),
        (errno.EBUSY, "kept as it is while the camera streams"),
        (errno.EIO, "the camera refuses it; is an automatic mode on?"),
        (errno.ERANGE, "the driver refuses that value"),
        (errno.ETIMEDOUT, "no (errno 110)"),
    ],
)
def test_refused_by_the_driver(number: int, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the driver refuses is told in words, and the rest is set."""
    driver = plugged(Driver([Row(1, "Zoom", error=number), Row(2, "Tilt")]), monkeypatch)

    assert controls.apply(FD, {"zoom": 1, "tilt": 2}) == {"zoom": reason}
    assert driver.taken == [("Tilt", 2)]


def test_inactive_without_a_known_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without knowing its switch it is said that there must be one."""
    rows = [Row(1, "Iris Magic"), Row(2, "Iris Magic, Auto", BOOLEAN, maximum=1, default=1)]
    plugged(Driver(rows, masters={1: 2}), monkeypatch)

    assert controls.apply(FD, {"iris_magic": 1}) == {"iris_magic": "inactive while its automatic mode is on"}


@pytest.mark.parametrize("number", [errno.ENODEV, errno.ENXIO])
def test_gone(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A camera that is pulled out meanwhile is an error, and not a control that cannot be set."""
    for driver in (
        Driver([], breaks=number),
        Driver([Row(1, "Zoom", unread=number)]),
        Driver([Row(1, "Zoom", error=number)]),
    ):
        plugged(driver, monkeypatch)
        with pytest.raises(OSError, match=str(number)):
            controls.apply(FD, {"zoom": 1})


@pytest.mark.parametrize("number", [errno.ENOTTY, errno.EIO])
def test_driver_that_breaks_off(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver without controls has none, and one that fails in the middle has those before."""
    plugged(Driver([], breaks=number), monkeypatch)
    assert controls.listing(FD) == {}
    plugged(Driver([Row(1, "Zoom")], breaks=number), monkeypatch)
    assert list(controls.listing(FD)) == ["zoom"]


def test_driver_that_counts_in_circles(monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver that never comes to an end is left, and a name that comes twice is the first one's."""
    plugged(Circling([Row(1, "Zoom", default=7)]), monkeypatch)
    assert values() == {"zoom": 7}
    plugged(Driver([Row(1, "Zoom", default=7), Row(2, "Zoom")]), monkeypatch)
    assert values() == {"zoom": 7}


def test_reset(driver: Driver) -> None:
    """All that was set is at its default again, also what a manual mode had; what was not set is left alone."""
    before = values()
    wanted: dict[str, ControlValue] = {"auto_exposure": 1, "exposure_time_absolute": 100, "brightness": 3}
    controls.apply(FD, wanted)
    driver.taken.clear()

    assert controls.reset(FD) == {}
    assert before == values()
    assert sorted(driver.taken) == [("Auto Exposure", 3), ("Brightness", 128), ("Exposure Time, Absolute", 250)]


def test_reset_to_a_manual_default(driver: Driver) -> None:
    """What is inactive until its switch is back at its default is reset behind it."""
    driver.row(ID.AUTO_WHITE_BALANCE).default = 0
    driver.row(ID.WHITE_BALANCE_TEMPERATURE).value = 3000

    assert controls.reset(FD) == {}
    assert values()["white_balance_temperature"] == 4600


def test_reset_of_one(driver: Driver) -> None:
    """A control that is named is reset alone; one there is not is told."""
    controls.apply(FD, {"brightness": 3, "hue": 5})

    assert controls.reset(FD, ["hue"]) == {}
    assert (values()["brightness"], values()["hue"]) == (3, 0)
    with pytest.raises(ValueError, match="did you mean brightness"):
        controls.reset(FD, ["brigthness"])


def test_reset_of_what_is_inactive(driver: Driver) -> None:
    """What cannot be reset is told with the reason."""
    driver.row(ID.EXPOSURE_ABSOLUTE).value = 100

    assert controls.reset(FD) == {"exposure_time_absolute": "inactive: set auto_exposure to Manual Mode first"}
