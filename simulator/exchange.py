"""One HTTP exchange on the wire, and the ways it can go wrong there.

The application reads the request from it and sends the reply through it. Methods that break the exchange return only when
the connection is gone, since uvicorn takes an application that returns without a reply for a crash.
"""

import asyncio
from typing import Any

from simulator.replies import Reply
from simulator.requests import Request

Scope = dict[str, Any]
DRIP_SECONDS_PER_BYTE = 1.0


class Exchange:
    def __init__(self, scope: Any, receive: Any, send: Any) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send

    async def read_request(self) -> Request:
        """The request with its body, or what came of it before the client went away."""
        headers = dict(self._scope["headers"])
        return Request(
            method=self._scope["method"],
            path=self._scope["path"],
            query=self._scope["query_string"],
            content_type=headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower(),
            body=await self._read_body(),
        )

    async def send(self, reply: Reply) -> None:
        await self._send_head(reply)
        await self._send({"type": "http.response.body", "body": reply.body})

    async def send_half(self, reply: Reply) -> None:
        """Headers and half of the body, then silence."""
        await self._send_head(reply)
        await self._send_part(reply.body[: len(reply.body) // 2])
        await self.keep_silent()

    async def drip(self, reply: Reply) -> None:
        """The body byte by byte, one a second, as long as the client has patience."""
        await self._send_head(reply)
        gone = asyncio.ensure_future(self.keep_silent())
        for position in range(len(reply.body)):
            await self._send_part(reply.body[position : position + 1])
            done, _ = await asyncio.wait([gone], timeout=DRIP_SECONDS_PER_BYTE)
            if done:
                return
        gone.cancel()
        await self._send({"type": "http.response.body", "body": b""})

    async def drop(self) -> None:
        """Closes the connection with a reset."""
        self._scope["state"]["transport"].abort()
        await self.keep_silent()

    async def keep_silent(self) -> None:
        """Waits until the client has had enough."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _read_body(self) -> bytes:
        body = b""
        while (message := await self._receive())["type"] == "http.request":
            body += message["body"]
            if not message["more_body"]:
                break
        return body

    async def _send_head(self, reply: Reply) -> None:
        await self._send({"type": "http.response.start", "status": reply.status, "headers": reply.headers()})

    async def _send_part(self, part: bytes) -> None:
        await self._send({"type": "http.response.body", "body": part, "more_body": True})
