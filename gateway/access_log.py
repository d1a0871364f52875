"""One line for each request, for those who want it (MEETINGPOOL_ACCESS_LOG): never a query, and of a path no more than is known.

`gateway.__main__` puts it around the application. What proves something in a path is taken out where all secrets are.
"""

import re

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from meetingpool.clock import Clock
from meetingpool.logs import get_logger
from meetingpool.request_ids import id_of

_PLAIN = re.compile(r"(?:/[A-Za-z0-9._~@-]{0,128}){1,12}")
_UNKNOWN = "/..."
# The client was gone, or the process failed, before there was an answer.
_NO_STATUS = 0

log = get_logger()


class AccessLog:
    """Logs each request when it has been answered."""

    def __init__(self, app: ASGIApp, clock: Clock) -> None:
        self._app = app
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = self._clock.monotonic(), _NO_STATUS

        async def send_noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_noted)
        finally:
            log.info(
                "request",
                method=scope["method"],
                path=shown_path(scope["path"]),
                status=status,
                seconds=round(self._clock.monotonic() - began, 6),
                address=(scope.get("client") or ("",))[0],
                request_id=id_of(scope),
            )


def shown_path(path: str) -> str:
    """The path, if it could be one of ours."""
    return path if _PLAIN.fullmatch(path) else _UNKNOWN
