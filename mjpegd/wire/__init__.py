"""Bytes and their meanings. No file here knows a socket, a thread or an event loop."""
