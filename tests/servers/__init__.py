"""Cameras as mjpegd's users have them: servers of RTSP and HTTP, each with a picture that moves."""
