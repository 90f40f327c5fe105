"""Which device a spec means, on a `/dev` and `/sys` of our own."""

from pathlib import Path

import pytest

from mjpegd.sources import devices


class Machine:
    """A `/dev` and a `/sys/class/video4linux` in a folder, laid out as Linux does it."""

    def __init__(self, folder: Path) -> None:
        self.dev, self.sys, self.by_id = folder / "dev", folder / "sys/class/video4linux", folder / "dev/v4l/by-id"
        self._devices = folder / "sys/devices"
        for path in (self.dev, self.sys, self._devices, self.by_id):
            path.mkdir(parents=True)

    def node(self, number: int, interface: Path | None = None, index: int = 0) -> Path:
        """Add `/dev/videoN`, the `index`-th node of an interface."""
        name = f"video{number}"
        (self.dev / name).touch()
        entry = (interface or self._devices / "platform") / "video4linux" / name
        entry.mkdir(parents=True)
        (entry / "index").write_text(f"{index}\n")
        (entry / "device").symlink_to("../..")
        (self.sys / name).symlink_to(entry)
        return self.dev / name

    def usb(self, port: str, vendor: str, product: str, serial: str | None = None) -> Path:
        """Plug a USB camera into a port; its video interface is what nodes belong to."""
        device = self._devices / port
        interface = device / f"{port}:1.0"
        interface.mkdir(parents=True)
        facts = {"idVendor": vendor, "idProduct": product, "serial": serial}
        for name, value in facts.items():
            if value is not None:
                (device / name).write_text(f"{value}\n")
        return interface

    def resolve(self, spec: str) -> str | None:
        """What the spec means here."""
        return devices.resolve(spec, self.dev, self.sys)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine without any camera."""
    return Machine(tmp_path)


def test_nodes(machine: Machine) -> None:
    """Nodes are listed by number, not by name, and nothing else that is in `/dev`."""
    for name in ("video10", "video2", "video0", "video", "video1x", "xvideo1", "vbi0", "media0", "null"):
        (machine.dev / name).touch()

    assert [machine.dev / name for name in ("video0", "video2", "video10")] == devices.nodes(machine.dev)


def test_no_nodes(machine: Machine) -> None:
    """A machine without cameras has none."""
    assert devices.nodes(machine.dev) == []


def test_path(tmp_path: Path) -> None:
    """A path means itself, while it is there."""
    path = tmp_path / "video0"
    assert devices.resolve(str(path)) is None
    path.touch()

    assert str(path) == devices.resolve(str(path))


def test_dangling_link(tmp_path: Path) -> None:
    """A by-id link that points nowhere is a device that is not there."""
    link = tmp_path / "by-id"
    link.symlink_to(tmp_path / "video0")

    assert devices.resolve(str(link)) is None


@pytest.mark.parametrize("spec", ["usb:046d:0825", "usb:046D:0825", "usb:046d:0825:ABC 1"])
def test_usb(spec: str, machine: Machine) -> None:
    """Vendor and product, in either case, and the serial if one is given, find the node of that camera."""
    machine.node(0)
    machine.node(1, machine.usb("1-1", "1111", "0825", "ABC 1"))
    node = machine.node(2, machine.usb("1-2", "046d", "0825", "ABC 1"))

    assert str(node) == machine.resolve(spec)


def test_usb_serial(machine: Machine) -> None:
    """Two cameras of one kind are told apart by their serials; without one, the first by number is meant."""
    second = machine.node(11, machine.usb("1-2", "046d", "0825", "B"))
    first = machine.node(9, machine.usb("1-1", "046d", "0825", "A"))

    assert str(first) == machine.resolve("usb:046d:0825")
    assert str(first) == machine.resolve("usb:046d:0825:A")
    assert str(second) == machine.resolve("usb:046d:0825:B")
    assert machine.resolve("usb:046d:0825:b") is None


def test_usb_without_serial(machine: Machine) -> None:
    """A camera that has no serial is not the one that was asked for by serial."""
    machine.node(0, machine.usb("1-1", "046d", "0825"))

    assert machine.resolve("usb:046d:0825:A") is None


def test_metadata_node(machine: Machine) -> None:
    """Of a camera's two nodes the one for pictures is meant, whichever number it has."""
    interface = machine.usb("1-1", "046d", "0825")
    machine.node(0, interface, index=1)
    pictures = machine.node(1, interface, index=0)

    assert str(pictures) == machine.resolve("usb:046d:0825")


def test_renumbered(machine: Machine) -> None:
    """A camera that comes back under another number is found again."""
    interface = machine.usb("1-1", "046d", "0825", "A")
    old = machine.node(0, interface)
    assert str(old) == machine.resolve("usb:046d:0825:A")
    old.unlink()
    assert machine.resolve("usb:046d:0825:A") is None

    assert str(machine.node(4, interface)) == machine.resolve("usb:046d:0825:A")


def test_not_a_usb_camera(machine: Machine) -> None:
    """A node of the SoC's camera port, or without any entry in `/sys`, is no USB camera and no trouble."""
    machine.node(0)
    (machine.dev / "video1").touch()

    assert machine.resolve("usb:046d:0825") is None


@pytest.mark.parametrize(
    "spec", ["usb:", "usb:046d", "usb:046d:", "usb:46d:825", "usb:046d:082g", "usb:046d:0825x", "usb:046d:0825:"]
)
def test_bad_usb_spec(spec: str, machine: Machine) -> None:
    """A `usb:` spec that is none is refused with an example."""
    with pytest.raises(ValueError, match=r"is not usb:VID:PID or usb:VID:PID:SERIAL, as in usb:046d:0825$"):
        machine.resolve(spec)


def test_stable_name(machine: Machine) -> None:
    """A node is called by its by-id link, which survives renumbering; a node without one by its path."""
    node, other = machine.node(0), machine.node(1)
    link = machine.by_id / "usb-Camera_A-video-index0"
    link.symlink_to("../../video0")

    assert str(link) == devices.stable_name(str(node), machine.by_id)
    assert str(other) == devices.stable_name(str(other), machine.by_id)


def test_stable_name_without_by_id(tmp_path: Path) -> None:
    """A machine without by-id links has only paths."""
    assert devices.stable_name("/dev/video0", tmp_path / "by-id") == "/dev/video0"
