"""Pages as answers of HTTP: what browsers may do with them, and what is said once after something was done."""

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from gateway.dashboard.visits import Visit, cookie_name, set_cookie

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types dashboard"
)
SECURITY_HEADERS = {
    "content-security-policy": _POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), display-capture=()",
    # To no other site. To ourselves: without it browsers would not say of a form where it comes from.
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
PAGE_HEADERS = {**SECURITY_HEADERS, "cache-control": "no-store"}
# Seconds for which something that was done may be told; then nobody waits for it any more.
_TOLD_WITHIN = 60
# Of a cookie, browsers keep 4,096 bytes.
_LONGEST_MESSAGE = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What a page shows: a template and its values."""

    template: str
    title: str
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What was done, in a sentence without secrets, and where to go on; None: where the form was."""

    message: str
    to: str | None = None
    is_refused: bool = False


def page(html: str, status: int = 200) -> Response:
    return Response(html, status, PAGE_HEADERS, media_type="text/html")


def redirect(to: str, status: int = 303) -> Response:
    """`to`: a path that was checked."""
    return Response(status_code=status, headers={**PAGE_HEADERS, "location": to})


def told_on(visit: Visit, done: Done, to: str) -> Response:
    """Sends the browser on to a page, which says once what was done: it is kept by the browser, and signed."""
    answer = redirect(to)
    content = urlsafe_b64encode(json.dumps([_shortened(done.message), done.is_refused]).encode()).decode()
    value = f"{content}.{_signature(visit, content)}"
    answer.headers.append("set-cookie", set_cookie(visit.request, _flash_name(visit.request), value, _TOLD_WITHIN))
    return answer


def told(visit: Visit) -> Done | None:
    """What was done just before, if that is to be said here."""
    content, _, signature = visit.request.cookies.get(_flash_name(visit.request), "").partition(".")
    if not content or not hmac.compare_digest(_signature(visit, content).encode(), signature.encode()):
        return None
    try:
        message, is_refused = json.loads(urlsafe_b64decode(content))
    except (Error, ValueError):
        return None
    return Done(message=message, is_refused=is_refused)


def forget_told(request: Request, answer: Response) -> Response:
    """It was said, and is not said again."""
    if _flash_name(request) in request.cookies:
        answer.headers.append("set-cookie", set_cookie(request, _flash_name(request), "", 0))
    return answer


def _flash_name(request: Request) -> str:
    return f"{cookie_name(request)}-said"


def _shortened(message: str) -> str:
    return message if len(message) <= _LONGEST_MESSAGE else f"{message[:_LONGEST_MESSAGE]} …"


def _signature(visit: Visit, content: str) -> str:
    return hmac.new(visit.cookie.encode(), content.encode(), sha256).hexdigest()[:32]
