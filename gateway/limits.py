"""How much one gateway process works on at once; beyond that, callers are told at once, instead of waiting in a line without end.

`gateway.__main__` puts `BoundedRequests` around the application. create asks `is_overrun` before it begins.
"""

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.answers import refusal
from gateway.state import Gateway
from meetingpool.bbb.errors import InternalError
from meetingpool.request_ids import begin_request

# Seconds after which somebody who was turned away should come again.
RETRY_AFTER = 2
BUSY = "The service is busy; please try again in a moment."
_HEALTH = frozenset({"/livez", "/readyz", "/health_check", "/leader", "/metrics"})


class BoundedRequests:
    """Lets `limit` requests through at once, and those for health always.

    A request counts while we work on it, not while its client is still sending: nobody keeps others out by being slow.
    """

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit
        self._open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _HEALTH:
            await self._app(scope, receive, send)
        elif self._open >= self._limit:
            await busy()(scope, receive, send)
        else:
            await self._work(scope, receive, send)

    async def _work(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def receive_outside() -> Message:
            self._open -= 1
            try:
                return await receive()
            finally:
                self._open += 1

        self._open += 1
        request = begin_request(scope)
        try:
            await self._app(scope, receive_outside, send)
        except ClientDisconnect:
            pass  # Whoever leaves while sending gets no answer, and is no error of ours.
        finally:
            request.end()
            self._open -= 1


def is_overrun(gateway: Gateway) -> bool:
    """Whether so many calls wait for the database that no further create may. Half of all requests: the others find room."""
    return gateway.database.callers + gateway.placer.callers >= gateway.settings.max_requests // 2


def busy() -> Response:
    answer = refusal(InternalError(BUSY))
    answer.status_code = 503
    answer.headers["retry-after"] = str(RETRY_AFTER)
    return answer
