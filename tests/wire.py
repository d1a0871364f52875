"""Requests as the bytes that arrive, without a client that would tidy them up, and what is answered to them.

They go straight to the application: what comes before it, reading HTTP from sockets, is tested with real processes.
"""

from dataclasses import dataclass
from hashlib import new
from urllib.parse import unquote

from starlette.types import ASGIApp, Message

API = b"/bigbluebutton/api"
FORM = b"application/x-www-form-urlencoded"
Headers = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """`target` is the path and the query. A body comes with its length. `is_cut_off`: the client is gone before its end."""

    target: bytes
    method: str = "GET"
    headers: Headers = ()
    body: bytes = b""
    address: str = "127.0.0.1"
    is_cut_off: bool = False

    def as_sent(self) -> bytes:
        """The request as it would be on a connection."""
        line = b"%b %b HTTP/1.1" % (self.method.encode(), self.target)
        return b"\r\n".join([line, *map(b": ".join, self._all_headers()), b"", self.body])

    def scope(self) -> dict[str, object]:
        raw_path, _, query = self.target.partition(b"?")
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": self.method,
            "scheme": "http",
            "path": unquote(raw_path.decode("ascii")),
            "raw_path": raw_path,
            "root_path": "",
            "query_string": query,
            "headers": self._all_headers(),
            "client": (self.address, 40_000),
            "server": ("127.0.0.1", 3000),
        }

    def _all_headers(self) -> list[tuple[bytes, bytes]]:
        names = {name.lower() for name, _ in self.headers}
        host = [] if b"host" in names else [(b"host", b"gateway")]
        length = [(b"content-length", b"%d" % len(self.body))] if self.body or self.method == "POST" else []
        return [*host, *((name.lower(), value) for name, value in self.headers), *length]


@dataclass(frozen=True, slots=True)
class Answered:
    """`headers` by their names in lower case; no answer of ours has two of one name."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes


async def exchange(app: ASGIApp, request: Request) -> Answered:
    """The answer of `app`. Raises what it raises, and AssertionError for what is no complete answer."""
    incoming: list[Message] = [{"type": "http.request", "body": request.body, "more_body": request.is_cut_off}]
    sent: list[Message] = []

    async def receive() -> Message:
        return incoming.pop(0) if incoming else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(request.scope(), receive, send)
    start, *parts = sent
    assert start["type"] == "http.response.start"
    assert parts
    assert not parts[-1].get("more_body")
    headers = dict(start["headers"])
    assert len(headers) == len(start["headers"])
    return Answered(start["status"], headers, b"".join(part.get("body", b"") for part in parts))


def signed(call: bytes, query: bytes, secret: bytes, algorithm: str = "sha256") -> bytes:
    """The checksum of the text `query`, as any client makes it."""
    return new(algorithm, call + query + secret, usedforsecurity=False).hexdigest().encode()


def signed_target(call: bytes, query: bytes, secret: bytes, algorithm: str = "sha256") -> bytes:
    """A call with its checksum last."""
    separator = b"&" if query else b""
    return API + b"/" + call + b"?" + query + separator + b"checksum=" + signed(call, query, secret, algorithm)
