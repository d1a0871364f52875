"""Where the management API begins. What it needs is loaded when the first request comes: many gateways never get one."""

from starlette.requests import Request
from starlette.types import Receive, Scope, Send


class ManagementApi:
    """The application behind `/api/v1/`, whatever the method."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        from gateway.management_api.application import answer

        response = await answer(Request(scope, receive))
        await response(scope, receive, send)
