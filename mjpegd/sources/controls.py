"""The controls of an open V4L2 camera: listed, set, and put back to what its driver begins with.

Names are those of v4l2-ctl. The calls are those of the V4L2 API, chapter "User Controls"; the structures are linuxpy's,
without its module `device`: that is 10 MB.
"""

import errno
import fcntl
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from linuxpy.video import raw

from mjpegd.config.hint import hint
from mjpegd.config.schema import ControlValue
from mjpegd.sources.control import FLAGS, KINDS, LONGER, Control, Kind

Known = Mapping[str, Control]
Setting = tuple[Control, int]
"""A control, and the number that the driver is to be given."""
Refusals = dict[str, str]
"""Why, by the control's name."""

MOST = 1024
"""Controls after which a driver is taken for one that counts in circles."""

_ID = raw.ControlID
MASTERS: Mapping[int, int] = {
    int(_ID.BRIGHTNESS): int(_ID.AUTOBRIGHTNESS),
    int(_ID.HUE): int(_ID.HUE_AUTO),
    int(_ID.GAIN): int(_ID.AUTOGAIN),
    int(_ID.RED_BALANCE): int(_ID.AUTO_WHITE_BALANCE),
    int(_ID.BLUE_BALANCE): int(_ID.AUTO_WHITE_BALANCE),
    int(_ID.WHITE_BALANCE_TEMPERATURE): int(_ID.AUTO_WHITE_BALANCE),
    int(_ID.EXPOSURE): int(_ID.EXPOSURE_AUTO),
    int(_ID.EXPOSURE_ABSOLUTE): int(_ID.EXPOSURE_AUTO),
    int(_ID.IRIS_ABSOLUTE): int(_ID.EXPOSURE_AUTO),
    int(_ID.FOCUS_ABSOLUTE): int(_ID.FOCUS_AUTO),
    int(_ID.ISO_SENSITIVITY): int(_ID.ISO_SENSITIVITY_AUTO),
}
"""What a control waits for while it is inactive. By id: the names of both differ between kernels."""

WAITING = frozenset({errno.EACCES, errno.EBUSY, errno.EIO})
"""How drivers refuse to set what is inactive: uvcvideo by one or the other, as the kernel is old."""
_WORDS: Mapping[int, str] = {
    errno.EACCES: "inactive while its automatic mode is on",
    errno.EBUSY: "kept as it is while the camera streams",
    errno.EIO: "the camera refuses it; is an automatic mode on?",
    errno.ERANGE: "the driver refuses that value",
    errno.EINVAL: "the driver refuses that value",
}
_GONE = frozenset({errno.ENODEV, errno.ENXIO})

_NEXT = int(raw.ControlFlag.NEXT_CTRL)
_DISABLED = int(raw.ControlFlag.DISABLED)
_INACTIVE = int(raw.ControlFlag.INACTIVE)
_READ_ONLY = int(raw.ControlFlag.READ_ONLY)


@contextmanager
def session(path: str) -> Iterator[int]:
    """A descriptor of its own for a camera that may be streaming by another one, which V4L2 allows. `OSError`."""
    fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def listing(fd: int) -> Known:
    """Every control that is not disabled, by name, in the driver's order. `OSError` if the camera is gone."""
    known: dict[str, Control] = {}
    for info in _infos(fd):
        kind = KINDS.get(info.type) or LONGER.get(info.type)
        if kind is not None and not info.flags & _DISABLED:
            control = _control(fd, info, kind)
            known.setdefault(control.name, control)
    return known


def check(known: Known, wanted: Mapping[str, ControlValue]) -> tuple[list[Setting], Refusals]:
    """What is wanted as what the driver takes, and why the rest cannot be set."""
    settings: list[Setting] = []
    wrong: Refusals = {}
    for name, value in wanted.items():
        try:
            control = find(known, name)
            settings.append((control, control.number(value)))
        except ValueError as problem:
            wrong[name] = str(problem)
    return settings, wrong


def find(known: Known, name: str) -> Control:
    """The control of that name; `ValueError` says which one was probably meant."""
    if name not in known:
        raise ValueError(f"there is no such control{hint(name, known)}")
    return known[name]


def put(fd: int, known: Known, settings: Iterable[Setting]) -> Refusals:
    """Set them, automatic switches first, then other switches, then values; why any was refused.

    `OSError` if the camera is gone.
    """
    return _put(fd, known, sorted(settings, key=_rank))


def apply(fd: int, wanted: Mapping[str, ControlValue]) -> Refusals:
    """Set all that can be set of what is wanted; why the rest cannot be. `OSError` if the camera is gone."""
    if not wanted:
        return {}
    known = listing(fd)
    settings, wrong = check(known, wanted)
    return wrong | put(fd, known, settings)


def reset(fd: int, names: Collection[str] = ()) -> Refusals:
    """Put these controls, or all, back to the driver's defaults; why any was refused.

    Values go before switches, while those of manual modes are active still; what was inactive then is tried again
    behind the switches. `ValueError` for a control there is not, `OSError` if the camera is gone.
    """
    known = listing(fd)
    chosen = [find(known, name) for name in names] or known.values()
    moved = (control for control in chosen if control.lasts and control.value != control.default)
    settings = sorted(((control, control.default) for control in moved), key=_rank)
    refused = _put(fd, known, reversed(settings))
    return _put(fd, known, [(control, number) for control, number in settings if control.name in refused])


def _rank(setting: Setting) -> tuple[int, bool]:
    control, _ = setting
    return control.kind.rank, "auto" not in control.name


def _put(fd: int, known: Known, settings: Iterable[Setting]) -> Refusals:
    refused: Refusals = {}
    for control, number in settings:
        try:
            fcntl.ioctl(fd, raw.IOC.S_CTRL, raw.v4l2_control(control.id, number))
        except OSError as error:
            if error.errno in _GONE:
                raise
            refused[control.name] = _why(fd, control, known, error)
    return refused


def _why(fd: int, control: Control, known: Known, error: OSError) -> str:
    number = error.errno or 0
    if number in WAITING and _is_inactive(fd, control):
        return _inactive(control, known)
    return _WORDS.get(number, f"{error.strerror} (errno {number})")


def _is_inactive(fd: int, control: Control) -> bool:
    """Whether it is so now: switches may have been set since it was listed."""
    info = raw.v4l2_query_ext_ctrl()
    info.id = control.id
    return _told(fd, raw.IOC.QUERY_EXT_CTRL, info) and bool(info.flags & _INACTIVE)


def _inactive(control: Control, known: Known) -> str:
    """That it is inactive, and what to do about it where that is known."""
    master = next((each for each in known.values() if each.id == MASTERS.get(control.id)), None)
    if master is None:
        return _WORDS[errno.EACCES]
    manual = next((label for label in master.menu.values() if "manual" in label.casefold()), "")
    return f"inactive: set {master.name} to {manual} first" if manual else f"inactive: switch off {master.name} first"


def _told(fd: int, request: raw.IOC, question: Any) -> bool:
    """Whether the driver answered, into `question`. `OSError` only if the camera is gone."""
    try:
        fcntl.ioctl(fd, request, question)
    except OSError as error:
        if error.errno in _GONE:
            raise
        return False
    return True


def _infos(fd: int) -> Iterator[raw.v4l2_query_ext_ctrl]:
    """What the driver has, until it says that there is no more; what a broken camera has until it breaks off."""
    number = 0
    for _ in range(MOST):
        info = raw.v4l2_query_ext_ctrl()
        info.id = number | _NEXT
        if not _told(fd, raw.IOC.QUERY_EXT_CTRL, info):
            return
        yield info
        number = info.id


def _control(fd: int, info: raw.v4l2_query_ext_ctrl, kind: Kind) -> Control:
    read_only = _READ_ONLY if info.type in LONGER else 0
    read = _READ.get(info.type, int)
    return Control(
        id=info.id,
        name=_name(info.name),
        kind=kind,
        default=read(info.default_value),
        minimum=info.minimum,
        maximum=info.maximum,
        step=info.step,
        menu=dict(_menu(fd, info)),
        flags=tuple(word for bit, word in FLAGS.items() if (info.flags | read_only) & bit),
        value=_value(fd, info, read) if info.type in KINDS else None,
    )


_READ: Mapping[int, Callable[[int], int]] = {
    int(raw.CtrlType.BOOLEAN): bool,
    int(raw.CtrlType.BITMASK): lambda number: number & 0xFFFFFFFF,
}
"""How the 32 bits of a value are read, where they are not a number with a sign."""


def _name(text: bytes) -> str:
    """`White Balance, Automatic` as v4l2-ctl writes it: white_balance_automatic."""
    return re.sub(r"[^a-z0-9]+", "_", text.decode("ascii", "replace").lower()).strip("_")


def _menu(fd: int, info: raw.v4l2_query_ext_ctrl) -> Iterator[tuple[int, str]]:
    """Index and label of the entries; menus may have holes."""
    if info.type not in (raw.CtrlType.MENU, raw.CtrlType.INTEGER_MENU):
        return
    for index in range(info.minimum, info.maximum + 1)[:MOST]:
        entry = raw.v4l2_querymenu()
        entry.id, entry.index = info.id, index
        if _told(fd, raw.IOC.QUERYMENU, entry):
            is_text = info.type == raw.CtrlType.MENU
            yield index, entry.name.decode(errors="replace") if is_text else str(entry.value)


def _value(fd: int, info: raw.v4l2_query_ext_ctrl, read: Callable[[int], int]) -> int | None:
    """The value now; None of a control that has none, or that the camera does not tell."""
    answer = raw.v4l2_control(info.id, 0)
    silent = info.flags & raw.ControlFlag.WRITE_ONLY or info.type == raw.CtrlType.BUTTON
    return None if silent or not _told(fd, raw.IOC.G_CTRL, answer) else read(answer.value)
