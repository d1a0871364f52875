"""A small web server that takes what simulated servers send, and answers what a test has laid out."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

PATIENCE = 5.0


@dataclass(frozen=True)
class Delivered:
    """A request as it came. Names of `headers` in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Receiver:
    """`answers` are status lines with headers, given one after the other; then it is 200. None is no answer at all."""

    def __init__(self) -> None:
        self.origin = ""
        self.answers: deque[str | None] = deque()
        self._delivered: asyncio.Queue[Delivered] = asyncio.Queue()
        self._never = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def running(cls) -> AsyncIterator["Receiver"]:
        receiver = cls()
        server = await asyncio.start_server(receiver._serve, "127.0.0.1", 0)
        receiver.origin = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield receiver
        finally:
            server.close()
            receiver._never.set()

    @property
    def is_idle(self) -> bool:
        """Whether nothing has come that was not taken."""
        return self._delivered.empty()

    async def next(self) -> Delivered:
        """What came next; waits for it."""
        return await asyncio.wait_for(self._delivered.get(), PATIENCE)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            request_line, *lines = head.strip().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            method, target, _ = request_line.split(" ")
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            answer = self.answers.popleft() if self.answers else "200 OK"
            self._delivered.put_nowait(Delivered(method, target, headers, body))
            if answer is None:
                await self._never.wait()
            else:
                writer.write(f"HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        finally:
            writer.close()


async def eventually(condition: Callable[[], object]) -> None:
    """Waits until `condition` holds."""
    for _ in range(int(PATIENCE * 100)):
        if condition():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it did not happen")
