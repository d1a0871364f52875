"""A server of the pool that says what it was told, in every way that is no answer."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

HONEST = b"<response><returncode>SUCCESS</returncode><meetings/></response>"


def _reply(body: bytes, status: bytes = b"200 OK", headers: bytes = b"Content-Type: text/xml\r\n") -> bytes:
    return b"HTTP/1.1 %b\r\n%bContent-Length: %d\r\n\r\n%b" % (status, headers, len(body), body)


def _failure(key: bytes, message: bytes) -> bytes:
    fields = b"<returncode>FAILED</returncode><messageKey>%b</messageKey><message>%b</message>" % (key, message)
    return _reply(b"<response>" + fields + b"</response>")


# What is made of all that is known.
LIES: dict[str, Callable[[bytes], bytes]] = {
    "a page": lambda known: _reply(b"<!DOCTYPE html><html>%b</html>" % known, headers=b"Content-Type: text/html\r\n"),
    "an error page": lambda known: _reply(b"<html>%b</html>" % known, b"500 %b" % known),
    "a refusal of the host": lambda known: _reply(known, b"404 %b" % known),
    "a redirect": lambda known: _reply(b"", b"302 Found", b"Location: http://127.0.0.1/?%b\r\n" % known),
    "a failure": lambda known: _failure(known, known),
    "a wrong checksum": lambda known: _failure(b"checksumError", known),
    "half an answer": lambda known: _reply(b"<response><returncode>SUCCESS</returncode><meetingID>%b</meeti" % known),
    "another document": lambda known: _reply(b"<answer>%b</answer>" % known),
    "no HTTP": lambda known: known + b"\r\n\r\n",
    "an odd head": lambda known: b"HTTP/1.1 200 OK\r\n%b\r\nContent-Length: %b\r\n\r\n" % (known, known),
    "more lines": lambda _: _failure(b"a&#13;&#10;{&quot;event&quot;:&quot;forged&quot;}&#x2028;forged", b"&#10;forged"),
    "nothing": lambda _: b"",
}


@dataclass
class Liar:
    """`lie` names what is said to every call; None, to be honest: there are no meetings. `targets`: what was asked for."""

    secrets: str
    lie: str | None = None
    port: int = 0
    targets: list[str] = field(default_factory=list)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Liar"]:
        server = await asyncio.start_server(self._answer, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            target = (await reader.readuntil(b"\r\n\r\n")).decode().split(" ")[1]
            self.targets.append(target)
            known = escape(f"{self.secrets} {target}").encode()
            writer.write(_reply(HONEST) if self.lie is None else LIES[self.lie](known))
            await writer.drain()
        finally:
            writer.close()
