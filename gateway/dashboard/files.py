"""The dashboard's own style sheet, script and picture. Nothing is loaded from elsewhere."""

from functools import cache

from starlette.requests import Request
from starlette.responses import Response

from gateway.dashboard.answers import SECURITY_HEADERS
from gateway.dashboard.rendering import STATIC, static_address

_TYPES = {"dashboard.css": "text/css", "dashboard.js": "text/javascript", "icon.svg": "image/svg+xml"}
# The address names the content.
_KEPT = {"cache-control": "public, max-age=31536000, immutable"}


async def static_file(request: Request) -> Response:
    """Anybody may have them."""
    name = request.path_params["name"]
    if name not in _TYPES or static_address(name) != request.url.path:
        return Response(status_code=404, headers=SECURITY_HEADERS)
    return Response(_content(name), headers={**SECURITY_HEADERS, **_KEPT}, media_type=_TYPES[name])


@cache
def _content(name: str) -> bytes:
    return (STATIC / name).read_bytes()
