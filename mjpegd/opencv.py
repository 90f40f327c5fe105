"""OpenCV, told what it reads from the environment before it is loaded: import `cv2` from here and nowhere else."""

import os

os.environ.setdefault("OPENCV_LOG_LEVEL", "OFF")  # its messages hold the addresses of sources, with their passwords
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET
# Else an opening holds a lock of the whole process, and one camera that does not answer holds up all others.
os.environ.setdefault("OPENCV_FFMPEG_IS_THREAD_SAFE", "1")

import cv2

# No threads of its own: pictures are made in as many as `limits.encoders` says, each camera's in its own, and a pool
# beside them, as large as there are cores, would take the cores from the loop and have one camera wait for another.
cv2.setNumThreads(1)

__all__ = ["cv2"]
