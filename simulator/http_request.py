"""One HTTP request to an address that somebody gave a server, on a connection of its own. Called by `delivery.py`."""

import asyncio
import contextlib
import ssl
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, urlsplit

_MAX_REPLY_BYTES = 64 * 1024
# What may stand in a request's target as it is: the address was meant to be encoded, and `%` is how it says so.
_IN_TARGETS = "%!$&'()*+,/:;=?@[]~"
_DEFAULT_HEADERS = {"User-Agent": "BigBlueButton", "Accept": "*/*", "Connection": "close"}


class NotReached(Exception):
    """No HTTP reply came back: the address is none, nobody listens there, or what came is not HTTP."""


@dataclass(frozen=True, slots=True)
class Received:
    """The outcome of a request. `location` is where a redirect leads."""

    status: int
    location: str | None


async def request(url: str, *, body: bytes = b"", headers: tuple[tuple[str, str], ...] = (), deadline: float) -> Received:
    """A GET of `url`, or a POST when there is a `body`. `deadline` in seconds, for everything. Raises NotReached."""
    try:
        async with asyncio.timeout(deadline):
            parts = urlsplit(url)
            return _read(await _exchange(parts, _head(parts, body, headers) + body))
    except (OSError, ValueError) as error:
        # Without the address: its query may hold what proves the call.
        raise NotReached(type(error).__name__) from error


async def _exchange(parts: SplitResult, sent: bytes) -> bytes:
    """What came back until the receiver closed the connection."""
    is_secure = parts.scheme == "https"
    port = parts.port or (443 if is_secure else 80)
    context = ssl.create_default_context() if is_secure else None
    reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=context)
    try:
        writer.write(sent)
        received = b""
        while len(received) < _MAX_REPLY_BYTES and (part := await reader.read(_MAX_REPLY_BYTES)):
            received += part
        return received
    finally:
        # All was said, or too late: there is nothing to wait for but the end of the connection.
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def _head(parts: SplitResult, body: bytes, headers: tuple[tuple[str, str], ...]) -> bytes:
    """Raises ValueError for an address that is not one."""
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("not an address of the web")
    target = quote((parts.path or "/") + (f"?{parts.query}" if parts.query else ""), safe=_IN_TARGETS)
    host = parts.netloc.rpartition("@")[2].encode("idna").decode()
    length = {"Content-Length": str(len(body))} if body else {}
    lines = [f"{name}: {value}" for name, value in {"Host": host, **_DEFAULT_HEADERS, **length, **dict(headers)}.items()]
    return "\r\n".join([f"{'POST' if body else 'GET'} {target} HTTP/1.1", *lines, "", ""]).encode()


def _read(reply: bytes) -> Received:
    """Raises ValueError for what is not an HTTP reply."""
    head, is_complete, _ = reply.partition(b"\r\n\r\n")
    status_line, *lines = head.decode("latin-1").split("\r\n")
    version, _, rest = status_line.partition(" ")
    if not is_complete or not version.startswith("HTTP/1."):
        raise ValueError("not an HTTP reply")
    named = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Received(int(rest[:3]), named.get("location"))
