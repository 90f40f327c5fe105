"""An HTTP client for one thread that reads pictures: asyncio on a loop of its own, blocking from outside."""
