"""Web servers on real sockets that do on each connection what HTTP allows, or not."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from ssl import SSLContext

# Long enough for a healthy exchange within the machine, in seconds.
SOON = 5.0

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(
    serve: Serve, *, host: str = "127.0.0.1", tls: SSLContext | None = None
) -> AsyncIterator[tuple[str, asyncio.Server]]:
    """A server that does on each connection what `serve` does, and its endpoint."""

    serving: set[asyncio.Task[None] | None] = set()

    async def serve_and_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        try:
            await serve(reader, writer)
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            # The client is gone, or the test is over.
            pass
        finally:
            serving.discard(asyncio.current_task())
            writer.close()

    server = await asyncio.start_server(serve_and_close, host, 0, ssl=tls)
    name = f"[{host}]" if ":" in host else host
    try:
        yield f"{'https' if tls else 'http'}://{name}:{server.sockets[0].getsockname()[1]}/bigbluebutton/api/", server
    finally:
        server.close()
        for task in filter(None, serving.copy()):
            task.cancel()
            await task


@asynccontextmanager
async def replying(*pieces: bytes) -> AsyncIterator[str]:
    """The endpoint of a server that reads one request, replies with `pieces` one by one and closes the connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            # What is written at once would be read at once.
            await asyncio.sleep(0)

    async with listening(serve) as (endpoint, _):
        yield endpoint


async def read_head(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


def reply_of(body: bytes, *fields: bytes, version: bytes = b"1.1") -> bytes:
    lines = (b"HTTP/%s 200 OK" % version, b"Content-Length: %d" % len(body), *fields)
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


async def passes() -> None:
    """What can happen at once has happened."""
    for _ in range(5):
        await asyncio.sleep(0)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def until_open_files_are(number: int) -> None:
    async with asyncio.timeout(SOON):
        while open_files() > number:
            await asyncio.sleep(0.01)


class Numbered:
    """A server that replies to each request with the number of its connection, when `may_reply` lets it."""

    def __init__(self) -> None:
        self.connections = 0
        self.requests: list[bytes] = []
        self.closed = 0
        self.may_reply = asyncio.Event()
        self.may_reply.set()
        self.changed = asyncio.Condition()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        try:
            while True:
                request = await read_head(reader)
                await self._note(request)
                await self.may_reply.wait()
                writer.write(reply_of(b"%d" % number))
        finally:
            self.closed += 1
            await self._note()

    async def _note(self, *requests: bytes) -> None:
        async with self.changed:
            self.requests += requests
            self.changed.notify_all()

    async def until_asked(self, times: int) -> None:
        async with asyncio.timeout(SOON), self.changed:
            await self.changed.wait_for(lambda: len(self.requests) >= times)

    async def until_closed(self, times: int) -> None:
        async with asyncio.timeout(SOON), self.changed:
            await self.changed.wait_for(lambda: self.closed >= times)
