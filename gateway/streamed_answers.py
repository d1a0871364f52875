"""Answers that are too long to hold: sent piece by piece, as fast as the client takes them, and never longer than some minutes.

An answer that cannot be finished is broken off, so that nobody takes a part for the whole.
"""

import asyncio
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.answers import XML_HEADERS
from gateway.limits import busy
from gateway.state import Gateway
from meetingpool.database.engine import DatabaseUnavailable
from meetingpool.logs import get_logger

# In seconds.
LONGEST = 300.0

log = get_logger()


class StreamedAnswer(Response):
    """XML in `pieces`, for the tenant with this id, which may have so many at once."""

    def __init__(self, gateway: Gateway, tenant_id: str, pieces: AsyncIterator[bytes]) -> None:
        self.status_code = 200
        self.raw_headers = list(XML_HEADERS)
        self.background = None
        self._shares = gateway.list_shares
        self._tenant_id = tenant_id
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._shares.enter(self._tenant_id):
            await busy()(scope, receive, send)
            return
        try:
            async with asyncio.timeout(LONGEST):
                await self._send(Request(scope, receive), send)
        except (DatabaseUnavailable, TimeoutError) as error:
            # Who returns without an end leaves uvicorn to close the connection, which tells the client.
            log.warning("answer_broken_off", path=scope["path"], reason=type(error).__name__)
        finally:
            self._shares.leave(self._tenant_id)

    async def _send(self, request: Request, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        if request.method != "HEAD":
            async for piece in self._pieces:
                if await request.is_disconnected():
                    return
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
