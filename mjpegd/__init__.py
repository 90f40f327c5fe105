"""mjpegd: one process owns the cameras and shows them to any number of viewers."""

__version__ = "0.1.0"
