"""The V4L2 source by itself, in a process with the fake camera: what a reader that dawdles is given."""

import json
import os
import subprocess
import sys

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


def test_who_dawdles_gets_the_newest_picture(camera: Camera) -> None:
    """After a pause the picture is a fresh one, and those that filled the driver's queue meanwhile are counted."""
    ended = subprocess.run(
        [sys.executable, "-c", DAWDLE],
        env={**os.environ, **camera.environment(), "LD_PRELOAD": str(camera.library)},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    grabs = json.loads(ended.stdout)
    ages = sorted(age for age, _ in grabs)
    assert ages[len(ages) // 2] < 0.06  # at 30 fps; the oldest of three in the queue would be 0.07 s old and more
    assert sum(skipped for _, skipped in grabs) >= len(grabs)
