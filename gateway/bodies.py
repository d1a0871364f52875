"""Request bodies that are no longer than anybody needs."""

from starlette.requests import Request


class BodyTooLong(Exception):
    """The body is longer than allowed; the rest of it was not read."""


async def read_body(request: Request, limit: int) -> bytes:
    """The body, of at most `limit` bytes. Raises BodyTooLong."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise BodyTooLong
    return bytes(body)
