"""Bytes and their meanings. No file here knows a socket, a thread, an event loop or asks for the time."""
