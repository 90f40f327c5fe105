"""Which V4L2 device nodes there are, and which one a spec means. Reads `/dev` and `/sys` only; opens nothing."""

import re
from pathlib import Path

from mjpegd.config.schema import USB_SPEC

DEV = Path("/dev")
SYS = Path("/sys/class/video4linux")
BY_ID = Path("/dev/v4l/by-id")

_NODE = re.compile(r"video(\d+)")


def nodes(dev: Path = DEV) -> list[Path]:
    """Every `/dev/videoN`, by number."""
    found = [(int(match[1]), path) for path in dev.iterdir() if (match := _NODE.fullmatch(path.name))]
    return [path for _, path in sorted(found)]


def resolve(spec: str, dev: Path = DEV, sys: Path = SYS) -> str | None:
    """The device path that `spec` means now; None while it is not there. `ValueError` for a malformed `usb:` spec."""
    if not spec.startswith("usb:"):
        return spec if Path(spec).exists() else None
    wanted = USB_SPEC.fullmatch(spec)
    if wanted is None:
        raise ValueError(f"{spec} is not usb:VID:PID or usb:VID:PID:SERIAL, as in usb:046d:0825")
    return next((str(node) for node in nodes(dev) if _is_usb(sys / node.name, wanted)), None)


def stable_name(node: str, by_id: Path = BY_ID) -> str:
    """The by-id link that points at `node`, which survives renumbering; `node` itself where there is none."""
    if not by_id.is_dir():
        return node
    target = Path(node).resolve()
    return next((str(link) for link in sorted(by_id.iterdir()) if link.resolve() == target), node)


def _is_usb(entry: Path, wanted: re.Match[str]) -> bool:
    """Whether a sysfs entry is the first capture node (`index` 0, not its metadata twin) of the wanted USB device."""
    if _text(entry / "index") not in ("0", ""):
        return False
    interface = (entry / "device").resolve()
    for device in (interface, interface.parent):
        if (device / "idVendor").exists():
            return (
                _text(device / "idVendor").lower() == wanted["vendor"].lower()
                and _text(device / "idProduct").lower() == wanted["product"].lower()
                and wanted["serial"] in (None, _text(device / "serial"))
            )
    return False


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
