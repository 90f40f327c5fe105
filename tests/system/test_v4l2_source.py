"""The V4L2 source by itself, in a process with the fake camera: what a reader that dawdles is given."""

import json
import os
import subprocess
import sys
from itertools import pairwise
from typing import Any

import pytest

from tests.daemon import SECONDS
from tests.system.fakecam import HEIGHT, WIDTH, Camera

DAWDLE = f"""
import json, threading, time
from mjpegd import sources
from mjpegd.config.schema import CameraConfig

source = sources.open_source("/dev/video0", CameraConfig(width={WIDTH}, height={HEIGHT}), threading.Event())
grabs = []
for _ in range(15):
    time.sleep(0.09)
    grab = source.read()
    grabs.append((time.monotonic() - grab.taken, grab.skipped))
source.close()
source.close()
print(json.dumps(grabs))
"""


UNWATCHED = f"""
import json, threading
from mjpegd import sources
from mjpegd.config.schema import CameraConfig

source = sources.open_source("/dev/video0", CameraConfig(width={WIDTH}, height={HEIGHT}), threading.Event())
grabs = [source.read(pixels=False) for _ in range(45)] + [source.read()]
print(json.dumps([(grab.taken, len(grab.data), grab.format, grab.skipped) for grab in grabs]))
source.close()
"""


def ended(program: str, camera: Camera, **switches: object) -> Any:
    """What a program prints, run with the camera to its end."""
    run = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **camera.environment(**switches), "LD_PRELOAD": str(camera.library)},
        capture_output=True,
        text=True,
        timeout=30 * SECONDS,
        check=True,
    )
    return json.loads(run.stdout)


def test_who_dawdles_gets_the_newest_picture(camera: Camera) -> None:
    """After a pause the picture is a fresh one, and those that filled the driver's queue meanwhile are counted."""
    grabs = ended(DAWDLE, camera)
    ages = sorted(age for age, _ in grabs)
    assert ages[len(ages) // 2] < 0.06  # at 30 fps; the oldest of three in the queue would be 0.07 s old and more
    assert sum(skipped for _, skipped in grabs) >= len(grabs)


@pytest.mark.parametrize(("form", "name"), [("YUYV", "YUYV"), ("MJPG", "JPEG")])
def test_nobody_watches(camera: Camera, form: str, name: str) -> None:
    """Pixels that nobody watches are given once a second and else only counted; JPEG costs nothing and is given."""
    grabs = ended(UNWATCHED, camera, formats=form)
    moments, lengths, names, _ = zip(*grabs, strict=True)
    *unwatched, watched = map(bool, lengths)

    assert set(names) == {name}
    assert all(later > sooner for sooner, later in pairwise(moments))
    assert watched
    assert unwatched[0]
    if form == "MJPG":
        assert all(unwatched)
    else:
        assert sum(unwatched) <= 1 + moments[-1] - moments[0]
        assert set(lengths) == {0, WIDTH * HEIGHT * 2}
