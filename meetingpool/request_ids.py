"""What a request is called in logs: the X-Request-Id that it came with, or one that is made when it is first asked for.

The gateway says where a request begins; everything that is logged until it ends carries its id. Most requests log nothing, and
cost nothing but that it is known which one is being worked on.
"""

import re
import secrets
from collections.abc import MutableMapping
from contextvars import ContextVar
from typing import Any

HEADER = b"x-request-id"

# As proxies and load balancers make them. Anything else could be made to look like something else in a log.
_FORM = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._:=+/-]{0,127}")
_MADE = "meetingpool.request_id"


class Request:
    """A request that is being worked on: its ASGI scope, until it ends."""

    __slots__ = ("_scope",)

    def __init__(self, scope: MutableMapping[str, Any]) -> None:
        self._scope: MutableMapping[str, Any] | None = scope

    def end(self) -> None:
        """What it left running, such as a connection to a server, is no longer its own."""
        self._scope = None

    @property
    def id(self) -> str | None:
        return None if self._scope is None else id_of(self._scope)

    @property
    def used_id(self) -> str | None:
        return None if self._scope is None else self._scope.get(_MADE)

    @property
    def known_id(self) -> str | None:
        return None if self._scope is None else known_id(self._scope)


_current: ContextVar[Request | None] = ContextVar("request", default=None)


def begin_request(scope: MutableMapping[str, Any]) -> Request:
    """What is done until its end, in this task and those that it starts, is done for this request."""
    request = Request(scope)
    _current.set(request)
    return request


def request_id() -> str | None:
    """The id of the request that is being worked on; None when there is none."""
    request = _current.get()
    return None if request is None else request.id


def known_request_id() -> str | None:
    """The same, but nothing is made up for a request that has none yet."""
    request = _current.get()
    return None if request is None else request.known_id


def used_request_id() -> str | None:
    """The same, if something was logged under it. Costs next to nothing."""
    request = _current.get()
    return None if request is None else request.used_id


def id_of(scope: MutableMapping[str, Any]) -> str:
    """The id of a request, made now if it has none."""
    known: str | None = scope.get(_MADE)
    if known is None:
        known = scope[_MADE] = _given(scope) or secrets.token_hex(8)
    return known


def known_id(scope: MutableMapping[str, Any]) -> str | None:
    """The id of a request, if it was asked for so far or came with the request."""
    return scope.get(_MADE) or _given(scope)


def _given(scope: MutableMapping[str, Any]) -> str | None:
    for name, value in scope.get("headers", ()):
        if name == HEADER:
            return value.decode("ascii") if _FORM.fullmatch(value) else None
    return None
