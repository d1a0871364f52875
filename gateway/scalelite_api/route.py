"""Where Scalelite's management API begins. What it needs is loaded when it is called first: most gateways never are."""

from starlette.requests import Request
from starlette.responses import Response


async def scalelite_api(request: Request) -> Response:
    from gateway.scalelite_api.api import answer

    return await answer(request)
