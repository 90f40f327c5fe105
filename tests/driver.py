"""A V4L2 driver without a kernel: what it is asked by `ioctl` it answers from a table of controls."""

import errno
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from linuxpy.video import raw

INTEGER, BOOLEAN, MENU, BUTTON = (int(raw.CtrlType[name]) for name in ("INTEGER", "BOOLEAN", "MENU", "BUTTON"))
MANUAL = {BOOLEAN: 0, MENU: 1}
"""What a switch is at while what it governs can be set."""
INACTIVE, WRITE_ONLY, READ_ONLY = (int(raw.ControlFlag[name]) for name in ("INACTIVE", "WRITE_ONLY", "READ_ONLY"))


ID = raw.ControlID


@dataclass
class Row:
    """A control; `error` is what setting it fails with, `unread` what reading it does."""

    id: int
    name: str
    type: int = INTEGER
    minimum: int = 0
    maximum: int = 255
    default: int = 0
    flags: int = 0
    menu: Mapping[int, str | int] = field(default_factory=dict)
    error: int = 0
    unread: int = 0
    value: int = 0

    def __post_init__(self) -> None:
        self.value = self.default


@dataclass
class Driver:
    """The rows, and what was set, in order. `masters` are ids of rows and of their switches.

    `breaks` is the errno of any question about a control behind the last one.
    """

    rows: list[Row]
    masters: Mapping[int, int] = field(default_factory=dict)
    breaks: int = errno.EINVAL
    taken: list[tuple[str, int]] = field(default_factory=list)

    def ioctl(self, fd: int, request: int, argument: Any) -> None:
        """As the system call of that name."""
        answers: dict[int, Callable[[Any], None]] = {
            raw.IOC.QUERY_EXT_CTRL: self._query,
            raw.IOC.QUERYMENU: self._menu,
            raw.IOC.G_CTRL: self._get,
            raw.IOC.S_CTRL: self._set,
        }
        answers[request](argument)

    def row(self, number: int) -> Row:
        return next(row for row in self.rows if row.id == number)

    def _query(self, info: Any) -> None:
        following = bool(info.id & raw.ControlFlag.NEXT_CTRL)
        number = info.id & 0x0FFFFFFF
        row = next((row for row in self.rows if (row.id > number if following else row.id == number)), None)
        if row is None:
            raise OSError(self.breaks, "no more")
        info.id, info.type, info.name, info.step = row.id, row.type, row.name.encode(), 1
        info.minimum, info.maximum, info.default_value = row.minimum, row.maximum, row.default
        info.flags = row.flags | (INACTIVE if self._waits(row) else 0)

    def _menu(self, entry: Any) -> None:
        label = self.row(entry.id).menu.get(entry.index)
        if label is None:
            raise OSError(errno.EINVAL, "a hole")
        if isinstance(label, int):
            entry.value = label
        else:
            entry.name = label.encode()

    def _get(self, answer: Any) -> None:
        row = self.row(answer.id)
        if row.unread:
            raise OSError(row.unread, "not now")
        answer.value = row.value

    def _set(self, wanted: Any) -> None:
        row = self.row(wanted.id)
        if row.error or self._waits(row):
            raise OSError(row.error or errno.EACCES, "no")
        row.value = wanted.value
        self.taken.append((row.name, wanted.value))

    def _waits(self, row: Row) -> bool:
        master = self.masters.get(row.id)
        return master is not None and self.row(master).value != MANUAL[self.row(master).type]


class Circling(Driver):
    """One that begins again whatever it is asked for next."""

    def _query(self, info: Any) -> None:
        info.id &= ~0x0FFFFFFF
        super()._query(info)


def webcam() -> Driver:
    """What uvcvideo makes of a common webcam."""
    return Driver(
        [
            Row(ID.BRIGHTNESS, "Brightness", default=128),
            Row(ID.HUE, "Hue", minimum=-180, maximum=180),
            Row(ID.AUTO_WHITE_BALANCE, "White Balance, Automatic", BOOLEAN, maximum=1, default=1),
            Row(ID.POWER_LINE_FREQUENCY, "Power Line Frequency", MENU, menu={0: "Disabled", 1: "50 Hz", 2: "60 Hz"}),
            Row(ID.WHITE_BALANCE_TEMPERATURE, "White Balance Temperature", minimum=2800, maximum=6500, default=4600),
            Row(
                ID.EXPOSURE_AUTO,
                "Auto Exposure",
                MENU,
                maximum=3,
                default=3,
                menu={1: "Manual Mode", 3: "Aperture Priority Mode"},
            ),
            Row(ID.EXPOSURE_ABSOLUTE, "Exposure Time, Absolute", minimum=3, maximum=2047, default=250),
            Row(ID.PAN_RESET, "Pan, Reset", BUTTON, maximum=0, flags=WRITE_ONLY),
            Row(ID.PRIVACY, "Privacy", BOOLEAN, maximum=1, flags=READ_ONLY),
        ],
        masters={
            ID.WHITE_BALANCE_TEMPERATURE: ID.AUTO_WHITE_BALANCE,
            ID.EXPOSURE_ABSOLUTE: ID.EXPOSURE_AUTO,
        },
    )
