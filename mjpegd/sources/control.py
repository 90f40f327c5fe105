"""One control of a V4L2 camera as its driver tells of it, and which values it takes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from linuxpy.video.raw import ControlFlag, CtrlType

from mjpegd.config.schema import ControlValue

FLAGS: Mapping[int, str] = {
    int(ControlFlag.GRABBED): "grabbed",
    int(ControlFlag.READ_ONLY): "read_only",
    int(ControlFlag.INACTIVE): "inactive",
    int(ControlFlag.WRITE_ONLY): "write_only",
    int(ControlFlag.VOLATILE): "volatile",
}
"""What is told of a control, in v4l2-ctl's order and almost its words: kept as it is by the driver, never to be set,
waiting for a switch, never to be read, changing by itself.
"""


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of control: the number that a value stands for (None: it cannot be set to that), and what it takes.

    `rank` is its place in the order of setting: switches before what they wake or make inactive, buttons last.
    """

    name: str
    rank: int
    number: Callable[["Control", ControlValue], int | None]
    expected: Callable[["Control"], str]


@dataclass(frozen=True, slots=True)
class Control:
    """A control. `menu` has the labels by index; `value` is None where none can be read, and a bool of a boolean."""

    id: int
    name: str
    kind: Kind
    default: int
    minimum: int
    maximum: int
    step: int
    menu: Mapping[int, str]
    flags: tuple[str, ...]
    value: int | None = None

    @property
    def lasts(self) -> bool:
        """Whether it is set to stay so, and does not just do something once."""
        return self.kind is not BUTTON and not {"read_only", "write_only"}.intersection(self.flags)

    def number(self, value: ControlValue) -> int:
        """What the driver is to be given for `value`; `ValueError` says what it takes."""
        if "read_only" in self.flags:
            raise ValueError("can only be read")
        number = self.kind.number(self, value)
        if number is None:
            raise ValueError(f"must be {self.kind.expected(self)}, not {value!r}")
        return number

    def report(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return {
            "name": self.name,
            "kind": self.kind.name,
            "value": self.value,
            "default": self.default,
            "minimum": self.minimum,
            "maximum": self.maximum,
            "step": self.step,
            **({"menu": self.menu} if self.menu else {}),
            "flags": self.flags,
        }


def _whole(value: ControlValue) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _in_range(control: Control, value: ControlValue) -> int | None:
    number = _whole(value)
    return number if number is not None and control.minimum <= number <= control.maximum else None


def _range(control: Control) -> str:
    return f"a whole number from {control.minimum} to {control.maximum}"


def _switched(control: Control, value: ControlValue) -> int | None:
    return int(value) if value in (0, 1) else None


def _entry(control: Control, value: ControlValue) -> int | None:
    """An index; or a label, whatever its case. Labels of integer menus are numbers too."""
    number = _whole(value)
    if number in control.menu:
        return number
    labels = {label.casefold(): index for index, label in control.menu.items()}
    return labels.get(str(value).casefold())


def _entries(control: Control) -> str:
    return "one of " + ", ".join(f"{label} ({index})" for index, label in control.menu.items())


BUTTON = Kind("button", 2, lambda _, value: 1 if value == 1 else None, lambda _: "true")
KINDS: Mapping[int, Kind] = {
    int(CtrlType.BOOLEAN): Kind("boolean", 0, _switched, lambda _: "true or false"),
    int(CtrlType.MENU): Kind("menu", 0, _entry, _entries),
    int(CtrlType.INTEGER_MENU): Kind("integer_menu", 0, _entry, _entries),
    int(CtrlType.INTEGER): Kind("integer", 1, _in_range, _range),
    int(CtrlType.BITMASK): Kind("bitmask", 1, _in_range, _range),
    int(CtrlType.BUTTON): BUTTON,
}
"""Those whose value is a number of 32 bits."""
LONGER: Mapping[int, Kind] = {
    int(CtrlType.INTEGER64): Kind("integer64", 1, _in_range, _range),
    int(CtrlType.STRING): Kind("string", 1, _in_range, _range),
}
"""Those that are listed only: no camera is steered by them. Arrays and structures of codecs are not even that."""
