"""The gateway: the meeting API in front of the pool, one process of an ASGI application."""
