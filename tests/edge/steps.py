"""The steps: what an edge box goes through, each measured.

A step brings the box into the state it needs, yields its findings, and raises `Failed` where it cannot go on.
"""

import json
import re
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.edge.guest.uvccam import jpeg_size
from tests.edge.machine import ADMIN, Guest, Report, wait_until
from tests.edge.scene import (
    CONFIG,
    ONE,
    OPEN_TO_ALL,
    PATIENCE,
    SECRETS,
    Findings,
    arrange,
    by_id,
    holds,
    is_card,
    note,
    serial,
    shows,
    table,
    wait_state,
    within,
)
from tests.edge.viewer import Failed, Viewer, serial_of

PACKAGE = "/root/mjpegd.deb"
CARD_WITHIN, LIVE_WITHIN, STALE_WITHIN = 2.0, 3.0, 3.0
"""Promised, in seconds: a card after the plug is pulled, a picture after the device node is there, `stale` after the
last frame. They are not stretched for the emulated machine."""
EXPOSURE = 1.5
"""What `systemd-analyze security` may say at most."""


def install(guest: Guest) -> Findings:
    """The package installs without a network; the service answers when `systemctl start` returns."""
    reached = guest.run("curl -s -m 5 -o /dev/null http://deb.debian.org; echo $?").strip()
    yield holds(reached != "0", "the guest reaches no network", reached)
    began = time.time()
    guest.run(f"DEBIAN_FRONTEND=noninteractive apt-get install -y {PACKAGE} 2>&1", within=300)
    yield note(f"installed in {time.time() - began:.0f} s")
    states = guest.run("systemctl is-enabled mjpegd; systemctl is-active mjpegd", check=False).split()
    yield holds(states == ["enabled", "active"], "the service is enabled and active", states)
    ask = "curl -s -m 10 -o /dev/null -w '%{http_code}' http://127.0.0.1:8080/health"
    answers = [guest.run(f"systemctl restart mjpegd && {ask}", check=False).strip() for _ in range(3)]
    yield holds(answers == ["200"] * 3, "it answers at once when systemctl start returns, three times", answers)
    yield holds(guest.show("Type").startswith("notify"), "systemd is told when it is ready", guest.show("Type"))


def picture(guest: Guest) -> Findings:
    """A camera is plugged in, and ffmpeg on the host gets its pictures."""
    arrange(guest)
    url = f"http://127.0.0.1:{guest.port}/stream"
    command = ["ffmpeg", "-nostdin", "-v", "error", "-i", url, "-frames:v", "60", "-f", "null", "-progress", "-", "-"]
    began = time.time()
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    frames = max(map(int, re.findall(r"^frame=\s*(\d+)", ended.stdout, re.MULTILINE)), default=0)
    yield holds(frames >= 60 and not ended.returncode, "ffmpeg got 60 frames", (frames, ended.stderr[-500:]))
    yield note(f"in {time.time() - began:.1f} s")
    with guest.watch() as viewer:
        viewer.first(shows(0), 0, PATIENCE, "a picture")
        time.sleep(5)
    ages = sorted(part.age for part in viewer.parts if part.serial)
    yield note(f"{len(ages) / 5:.1f} frames/s, camera to viewer {ages[len(ages) // 2] * 1000:.0f} ms (median)")


def keys(guest: Guest) -> Findings:
    """A key from the secrets file, which is root's alone, opens what nobody may see without one."""
    arrange(guest)
    codes = [guest.get("/clients", key)[0] for key in ("", "some-other-key-0000", ADMIN)]
    yield holds(codes[0] == 401, "without a key /clients answers 401", codes[0])
    yield holds(codes[1] in {401, 403}, f"with a wrong one {codes[1]}", codes[1])
    yield holds(codes[2] == 200, "with the key 200", codes[2])
    modes = guest.run(f"stat -c '%a %U' {SECRETS}").strip()
    user = guest.run("ps -o user= -p $(systemctl show --value -p MainPID mjpegd)").strip()
    yield holds(modes == "600 root" and user != "root", f"the file is root's alone, the daemon is {user}", modes)
    log = guest.journal("-b")
    yield holds(ADMIN not in log, "the key is not in the journal")


def unplug(guest: Guest) -> Findings:
    """The plug is pulled: a card. It is put in again: live, and the viewer stays on."""
    arrange(guest, restart=True)  # the first card of a process takes longest
    with guest.watch() as viewer:
        viewer.first(shows(0), 0, PATIENCE, "a picture")
        pulled = guest.cam("unplug", "0")
        lost = wait_state(guest, "lost")
        card = viewer.first(is_card, pulled, PATIENCE, "the card")
        yield within(CARD_WITHIN, card.arrived - pulled, "card in the stream")
        yield within(CARD_WITHIN, lost - pulled, "state lost")
        yield holds(card.size == (640, 480), "the card is as large as the pictures", card.size)
        time.sleep(5)  # a while, so that the pauses between two tries have grown
        plugged = guest.cam("plug", "0")
        back = viewer.first(shows(0), plugged, PATIENCE, "the camera again")
        yield from _returned(guest)
        yield note(f"at the viewer {back.arrived - plugged:.1f} s after it was plugged in")
        yield holds(not viewer.ended, "the viewer was kept", viewer.ended)


def _returned(guest: Guest, name: str = "cam", node: str = "/dev/video0") -> Findings:
    """Node, link and picture by one clock, the guest's."""
    wait_state(guest, "live", name)
    born, linked = guest.born(node), guest.born(by_id(0))
    yield within(LIVE_WITHIN, guest.camera(name)["since"] - born, f"live, {node} being there,")
    yield note(f"udev made the link after {linked - born:.2f} s")


def freeze(guest: Guest) -> Findings:
    """The camera stays plugged in and sends nothing: stale, opened again, live when it goes on."""
    arrange(guest)
    with guest.watch() as viewer:
        viewer.first(shows(0), 0, PATIENCE, "a picture")
        before = guest.camera()["restarts"]
        frozen = guest.cam("ctl", "0", "freeze")
        stale = wait_state(guest, "stale")
        yield within(STALE_WITHIN, stale - frozen, "stale")
        card = viewer.first(is_card, frozen, PATIENCE, "the card")
        yield within(STALE_WITHIN, card.arrived - frozen, "card in the stream")
        opened = wait_until(lambda: guest.camera()["restarts"] > before, PATIENCE, "it to be opened again")
        yield note(f"opened again after {opened - frozen:.1f} s")
        thawed = guest.cam("ctl", "0", "thaw")
        back = viewer.first(shows(0), thawed, PATIENCE, "the camera again")
        yield note(f"live {back.arrived - thawed:.2f} s after it went on")
        yield holds(not viewer.ended, "the viewer was kept", viewer.ended)


TEMPERATURE = "inactive: switch off white_balance_automatic first"
STEERED = """
[camera.cam.controls]
exposure_time_absolute = 100
auto_exposure = "Manual Mode"
white_balance_temperature = 3000
"""


def controls(guest: Guest) -> Findings:
    """The file's controls are set, those over HTTP too, and both again when the camera was out: it forgets."""
    arrange(guest, ONE + STEERED)
    now = _controls(guest)
    yield holds(now["auto_exposure"] == 1 and now["exposure_time_absolute"] == 100, "the file's are in force", now)
    yield holds(TEMPERATURE in guest.journal("-b", "-p", "warning"), "the journal says which could not be set, and why")
    status, answer = guest.post("/cameras/cam/controls", "brightness=20")
    yield holds(status == 200 and _controls(guest)["brightness"] == 20, "one is set while it streams", answer)
    status, answer = guest.post("/cameras/cam/controls", "brightness=65")
    yield holds(status == 400, f"a wrong value is {status}: {answer.get('error')}", status)
    status, answer = guest.post("/cameras/cam/controls", "white_balance_temperature=3000")
    yield holds(status == 409 and TEMPERATURE in answer["error"], f"an inactive one is {status}", answer)
    guest.cam("unplug", "0")
    wait_state(guest, "lost")
    guest.cam("plug", "0")
    wait_state(guest, "live")
    now = _controls(guest)
    wanted = {"auto_exposure": 1, "exposure_time_absolute": 100, "brightness": 20}
    yield holds(wanted.items() <= now.items(), "all are set again after it was pulled out", now)
    status, answer = guest.post("/cameras/cam/controls/reset", "name=brightness")
    yield holds(status == 200 and _controls(guest)["brightness"] == 0, "one is reset", answer)


def _controls(guest: Guest) -> Report:
    """What every control is at, as the camera says."""
    status, body = guest.get("/cameras/cam/controls")
    if status != 200:
        raise Failed(f"the controls are {status}: {body!r}")
    return {control["name"]: control["value"] for control in json.loads(body)["controls"]}


def renditions(guest: Guest) -> Findings:
    """In the closed unit too smaller pictures are made, at their own pace, and once for two viewers."""
    arrange(guest)
    status, body = guest.get("/snapshot?width=320")
    yield holds(status == 200 and jpeg_size(body) == (320, 240), "a snapshot is made smaller", status)
    small = "cam?width=320&fps=4"
    with guest.watch() as whole, guest.watch(small) as one, guest.watch(small) as other:
        for viewer in (one, other):
            viewer.first(lambda part: not part.repeat, 0, PATIENCE, "a small picture")
        before, began = guest.camera()["encodes"], time.time()
        time.sleep(5)
        made, seconds = guest.camera()["encodes"] - before, time.time() - began
    wanted = 4 * seconds
    yield holds(wanted / 2 < made <= wanted + 2, f"two viewers cost {made} pictures in {seconds:.1f} s", made)
    main = guest.show("MainPID")
    ours, theirs = (set(guest.run(f"ps -L -o ni= {which} {main}").split()) for which in ("-p", "--ppid"))
    yield holds((ours, theirs) == ({"0"}, {"10"}), "encoders stand back, in a process of their own", (ours, theirs))
    first = guest.run(f"cat /proc/$(pgrep -P {main})/oom_score_adj").strip()
    yield holds(first == "500", "where memory runs out they go first", first)
    guest.run(f"pkill -KILL -P {main}")
    status, body = guest.get("/snapshot?width=160")
    yield holds(status == 200 and jpeg_size(body) == (160, 120), "killed, they come back", status)
    yield holds(guest.show("MainPID") == main, "and the daemon did not notice", guest.show("MainPID"))
    rate = sum(part.arrived > began for part in whole.parts) / seconds
    yield note(f"the camera's own pictures meanwhile: {rate:.1f} frames/s")


def absent(guest: Guest) -> Findings:
    """No camera when the box boots: up, with a card. Plugged in later: live without a restart."""
    arrange(guest, OPEN_TO_ALL + table("cam", "camera"), ())
    guest.stop()
    guest.boot(keep=True)
    wait_state(guest, "lost")
    pid, restarts = guest.show("MainPID"), guest.show("NRestarts")
    yield holds(guest.show("ActiveState") == "active", "the service is active", guest.show("ActiveState"))
    with guest.watch() as viewer:
        viewer.first(is_card, 0, PATIENCE, "the card")
        yield holds(guest.get("/snapshot")[0] == 503, "a snapshot is refused")
        plugged = guest.cam("plug", "0")
        viewer.first(shows(0), plugged, PATIENCE, "the camera")
        yield from _returned(guest)
    same = (guest.show("MainPID"), guest.show("NRestarts")) == (pid, restarts)
    yield holds(same, "in the same process")


LEFT_AND_RIGHT = OPEN_TO_ALL + table("left", by_id(0)) + table("right", by_id(1))


def swap(guest: Guest) -> Findings:
    """Two cameras by their links: their numbers in /dev swap, each name still shows its own."""
    arrange(guest, LEFT_AND_RIGHT, (0, 1))
    before = _nodes(guest)
    yield holds(_shown(guest) == [serial(0), serial(1)], f"left and right are {before}", _shown(guest))
    for number in (0, 1):
        guest.cam("unplug", str(number))
    for name in ("left", "right"):
        wait_state(guest, "lost", name)
    later, sooner = (1, 0) if before[0] < before[1] else (0, 1)
    for number in (later, sooner):
        _plug(guest, number)
    for name in ("left", "right"):
        wait_state(guest, "live", name)
    after = _nodes(guest)
    yield holds(after == before[::-1], f"plugged in the other way round they are {after}", before)
    yield holds(_shown(guest) == [serial(0), serial(1)], "each shows its own camera", _shown(guest))


def _plug(guest: Guest, number: int) -> None:
    """Plug in a camera and wait for its link, so that the next one gets a later number."""
    guest.cam("plug", str(number))
    wait_until(lambda: guest.run(f"ls {by_id(number)}", check=False) != "", PATIENCE, f"the link of camera {number}")


def _nodes(guest: Guest) -> list[str]:
    return [guest.run(f"readlink -f {by_id(number)}").strip() for number in (0, 1)]


def _shown(guest: Guest) -> list[str]:
    return [serial_of(guest.get(f"/snapshot/{name}?fresh=1")[1]) for name in ("left", "right")]


def killed(guest: Guest) -> Findings:
    """Killed with -9: systemd starts it again, and it is live."""
    arrange(guest)
    yield from _restarted(guest, "KILL")


def stopped(guest: Guest) -> Findings:
    """Stopped with -STOP: it hangs, the watchdog ends it, and it is live again."""
    arrange(guest)
    yield note(f"the watchdog waits {guest.show('WatchdogUSec')}")
    yield from _restarted(guest, "STOP")
    timeouts = _watchdog_timeouts(guest)
    yield holds(len(timeouts) >= 1, "systemd names the watchdog in the journal", timeouts)


def _watchdog_timeouts(guest: Guest) -> list[str]:
    return [line for line in guest.journal().splitlines() if "Watchdog timeout" in line]


def _restarted(guest: Guest, signal: str) -> Findings:
    pid, restarts = guest.show("MainPID"), int(guest.show("NRestarts"))
    sent = time.time()
    guest.run(f"kill -{signal} {pid}")
    began = wait_until(lambda: guest.show("MainPID") not in {"0", pid}, 2 * PATIENCE, "a new process")
    live = wait_state(guest, "live")
    yield note(f"a new process after {began - sent:.1f} s, live after {live - sent:.1f} s")
    now = int(guest.show("NRestarts"))
    yield holds(now == restarts + 1, "systemd counts one restart", (restarts, now))


def reload(guest: Guest) -> Findings:
    """Reload: the camera whose keys changed is opened again, the other one's viewer loses no frame."""
    arrange(guest, _left_and_right(15), (0, 1))
    pid = guest.show("MainPID")
    with guest.watch("right") as viewer:
        began = _reload(guest, viewer, _left_and_right(10))
        changed = wait_until(lambda: _left(guest) == ("live", 10, 10), PATIENCE, "left to give 10 a second")
        yield note(f"left is live as changed after {changed - began:.1f} s")
        time.sleep(3)
        yield from _undisturbed(viewer, began)
    yield holds(guest.show("MainPID") == pid, "in the same process")


def _reload(guest: Guest, viewer: Viewer, configuration: str) -> float:
    """Reload with another configuration while somebody watches; when that was, by the host's clock."""
    viewer.first(shows(1), 0, PATIENCE, "a picture")
    guest.write(CONFIG, configuration)
    time.sleep(2)
    began = time.time()
    guest.run("systemctl reload mjpegd", check=False)
    return began


def _left_and_right(fps: object) -> str:
    """The right one at 5 a second, so that a loss is the reload's: the emulated box hiccups for a tenth of a second."""
    left = table("left", by_id(0)).replace("fps = 30", f"fps = {fps}")
    return OPEN_TO_ALL + left + table("right", by_id(1), 5)


def _left(guest: Guest) -> tuple[object, ...]:
    left: Report = guest.camera("left")
    return left["state"], *((left.get(part) or {}).get("fps") for part in ("requested", "granted"))


def _undisturbed(viewer: Viewer, began: float) -> Findings:
    """What the other camera's viewer noticed of a reload that began then."""
    yield holds(not viewer.ended, "right's viewer was kept", viewer.ended)
    gaps = [f"{missing} at {when - began:+.2f} s" for when, missing in viewer.gaps(began)]
    watched = sum(part.arrived > began for part in viewer.parts)
    yield holds(not gaps, f"and lost none of the next {watched} frames", ", ".join(gaps))


def refused(guest: Guest) -> Findings:
    """Reload with a mistake in the file: nothing changes, and status and journal say why."""
    arrange(guest, _left_and_right(10), (0, 1))
    with guest.watch("right") as viewer:
        began = _reload(guest, viewer, _left_and_right('"often"'))
        wait_until(lambda: "fps" in guest.show("StatusText"), 10, "systemctl status to say why")
        yield note(f"systemctl status says: {guest.show('StatusText')}")
        log = guest.journal("-p", "warning", "--since", "-1min")
        yield holds("fps" in log, "the journal says why", log[-500:])
        yield holds(_left(guest) == ("live", 10, 10), "left goes on as it was", _left(guest))
        time.sleep(3)
        yield from _undisturbed(viewer, began)
    guest.write(CONFIG, _left_and_right(15))
    guest.run("systemctl reload mjpegd")
    wait_until(lambda: _left(guest) == ("live", 15, 15), PATIENCE, "left to give 15 a second")
    wait_until(lambda: "fps" not in guest.show("StatusText"), 10, "systemctl status to say that all is well")
    yield note("mended, the next reload is taken")


def power(guest: Guest) -> Findings:
    """The power is cut. When it is back the service comes up by itself, live."""
    arrange(guest)
    time.sleep(2)
    guest.run("journalctl --sync")  # what is in the journal until now is judged in the last step
    guest.cut()
    began = time.time()
    guest.boot(keep=True, cameras=[0])
    booted = time.time()
    live = wait_state(guest, "live")
    yield note(f"the box was up after {booted - began:.0f} s, live after {live - began:.0f} s")
    yield holds(guest.show("NRestarts") == "0", "at the first start", guest.show("NRestarts"))
    yield holds(guest.get("/clients")[0] == 200, "the key is known")


def socket(guest: Guest) -> Findings:
    """The first request on the unix socket starts the service and is answered."""
    arrange(guest)
    guest.run("systemctl stop mjpegd && systemctl start mjpegd.socket")
    try:
        yield holds(_activity(guest) == "inactive", "the socket alone waits", _activity(guest))
        code, seconds = _through_socket(guest, "/health")
        yield holds(code == "200", f"the first request is answered, after {seconds:.1f} s", code)
        yield holds(_activity(guest) == "active", "the service is active then", _activity(guest))
        live = wait_until(lambda: _through_socket(guest, "/health/cam")[0] == "200", PATIENCE, "the camera to be live")
        code, _ = _through_socket(guest, "/snapshot")
        size = int(guest.run("stat -c %s /tmp/answer"))
        yield holds(code == "200" and size > 5000, f"a snapshot comes through it, {size} bytes", (code, live))
    finally:
        guest.run("systemctl stop mjpegd.socket; systemctl restart mjpegd", check=False)


def _activity(guest: Guest) -> str:
    return guest.run("systemctl is-active mjpegd", check=False).strip()


def _through_socket(guest: Guest, path: str) -> tuple[str, float]:
    """Status and seconds of one request by the socket; the answer is in /tmp/answer."""
    curl = "curl -s -m 60 -o /tmp/answer -w '%{http_code} %{time_total}' --unix-socket /run/mjpegd.sock"
    code, seconds = guest.run(f"{curl} http://localhost{path}", check=False).split()
    return code, float(seconds)


def security(guest: Guest) -> Findings:
    """The unit is closed, as systemd-analyze counts it, with a camera live in it."""
    arrange(guest)
    said = guest.run("systemd-analyze security --no-pager mjpegd.service").strip().splitlines()
    exposure = re.search(r"exposure level for mjpegd.service: ([\d.]+)", said[-1])
    if exposure is None:
        raise Failed(f"systemd-analyze says {said[-1]!r}")
    yield holds(float(exposure[1]) <= EXPOSURE, f"exposure {exposure[1]} (at most {EXPOSURE:g})", "\n".join(said))
    body = guest.get("/snapshot?fresh=1")[1]
    yield holds(jpeg_size(body) == (640, 480), "the camera is live")


def journal(guest: Guest) -> Findings:
    """The journal of all boots has no traceback, and has the warnings and the fields."""
    lines = guest.journal("-o", "cat").splitlines()
    bad = [line for line in lines if re.search(r"Traceback|bug in mjpegd|Fatal Python error", line)]
    yield holds(not bad, f"no traceback in {len(lines)} lines", bad[:5])
    warnings = guest.journal("-p", "warning", "-o", "cat")
    yield holds("camera lost" in warnings, "-p warning shows the lost camera", warnings[-300:])
    yield holds("viewer left" not in warnings, "and no common line")
    entries = [json.loads(line) for line in guest.journal("-o", "json").splitlines()]
    for field in ("CAMERA", "VIEWER"):
        having = [entry for entry in entries if field in entry]
        yield holds(bool(having), f"{len(having)} entries have the field {field}", f"none of {len(entries)}")
    found = guest.run("journalctl -q --no-pager CAMERA=cam -n 1 -o cat").strip()
    yield holds(bool(found), f"journalctl CAMERA=cam finds: {found}", found)
    timeouts = _watchdog_timeouts(guest)
    yield holds(len(timeouts) <= 1, "the watchdog ended nothing but what was stopped", timeouts)


@dataclass(frozen=True)
class Step:
    """A row: a function, and the seconds after which it is given up."""

    play: Callable[[Guest], Findings]
    deadline: int = 240

    @property
    def name(self) -> str:
        """As on the command line."""
        return self.play.__name__

    @property
    def about(self) -> str:
        """What it shows, in a sentence or two."""
        return self.play.__doc__ or ""


STEPS = (
    Step(install, 480),
    *map(
        Step,
        (
            picture,
            keys,
            unplug,
            freeze,
            controls,
            renditions,
            absent,
            swap,
            killed,
            stopped,
            reload,
            refused,
            power,
            socket,
            security,
        ),
    ),
    Step(journal),
)
"""In this order: the first installs what the others use, the last judges what all have written."""
