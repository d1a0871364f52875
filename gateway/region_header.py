"""The header in which a proxy says where a client is (MEETINGPOOL_REGION_HEADER), believed of proxies alone.

`gateway.__main__` puts this around everything else, where a request still shows who sent it and not for whom. What was said is
kept in the scope of the request, for `regions.py`.
"""

from collections.abc import Container

from starlette.types import ASGIApp, Receive, Scope, Send

_KEY = "meetingpool.region"


class RegionHeader:
    """Notes what the header `name` says in requests from addresses that are `trusted`. Of several the last one counts."""

    def __init__(self, app: ASGIApp, name: str, trusted: Container[str | None]) -> None:
        self._app = app
        self._name = name.lower().encode()
        self._trusted = trusted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (scope.get("client") or (None,))[0] in self._trusted:
            for name, value in scope["headers"]:
                if name == self._name:
                    scope[_KEY] = value.decode("latin-1").strip()
        await self._app(scope, receive, send)


def said_by_proxy(scope: Scope) -> str | None:
    """What a proxy said of where the client is."""
    return scope.get(_KEY)
