"""Tests of `mjpegd.encoding`."""
