"""Where requests for the dashboard come in: at the first of them it is loaded, which takes some megabytes of a process."""

from functools import cache

from starlette.types import ASGIApp, Receive, Scope, Send


class Dashboard:
    """All below /dashboard."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await _application()(scope, receive, send)


@cache
def _application() -> ASGIApp:
    from gateway.dashboard.application import application

    return application
