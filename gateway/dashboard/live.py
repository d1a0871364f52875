"""What changes on a page while somebody looks at it, as server-sent events.

A stream renders its page anew when the pool view hears of something that may show on it, and sends the parts that differ. It ends
when the session does, and when the process drains; the page then asks another process.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from functools import cache
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import compile_path
from starlette.types import Receive, Scope, Send

from gateway.broadcast import Listener
from gateway.dashboard.answers import PAGE_HEADERS
from gateway.dashboard.pages import PAGES
from gateway.dashboard.rendering import Fragments
from gateway.dashboard.shell import render
from gateway.dashboard.site import Page
from gateway.dashboard.visits import Visit, visit_of
from meetingpool.database.engine import DatabaseUnavailable
from meetingpool.domain.refusals import Refusal

# Seconds between two looks at what was told, and between two words to a page for which there is nothing new.
PAUSE = 2.0
HEARTBEAT = 15.0
_BEAT = b": still here\n\n"
# The page begins anew: somebody must sign in, or there are other parts than before.
_LOAD_ANEW = b"event: anew\ndata: {}\n\n"


def stream(visit: Visit) -> Response:
    """The stream of the page whose address is asked for: nothing for one that is not live, 503 when there are enough streams."""
    found = _page_at(visit, visit.asked("at"))
    if found is None:
        return Response(status_code=204, headers=PAGE_HEADERS)
    if not visit.gateway.door.open_stream(visit.token):
        return Response(status_code=503, headers={**PAGE_HEADERS, "retry-after": "60"})
    return _Stream(*found)


class _Stream(StreamingResponse):
    def __init__(self, visit: Visit, page: Page) -> None:
        # Proxies must not gather what is meant for now.
        headers = {**PAGE_HEADERS, "x-accel-buffering": "no"}
        super().__init__(_events(visit, page), headers=headers, media_type="text/event-stream")
        self._visit = visit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._visit.gateway.door.close_stream(self._visit.token)


async def _events(visit: Visit, page: Page) -> AsyncIterator[bytes]:
    known: Fragments | None = None
    with visit.gateway.view.broadcast.listening() as listener:
        while True:
            try:
                now = await _fragments(visit, page)
            except DatabaseUnavailable:
                now = known
            if now is None or (known is not None and now.keys() != known.keys()):
                yield _LOAD_ANEW
                return
            changed = {name: html for name, html in now.items() if known is None or known[name] != html}
            known = now
            if changed:
                yield f"data: {json.dumps(changed)}\n\n".encode()
            async for beat in _until_told(visit, page, listener):
                yield beat
            if visit.gateway.readiness.draining:
                return


async def _until_told(visit: Visit, page: Page, listener: Listener) -> AsyncIterator[bytes]:
    """Ends when something was told that may show on the page, or the process drains. Says meanwhile that the stream lives."""
    quiet_for = 0.0
    while not visit.gateway.readiness.draining:
        await asyncio.sleep(PAUSE)
        if any(message["kind"] in page.topics for message in listener.take_now()):
            return
        quiet_for += PAUSE
        if quiet_for >= HEARTBEAT:
            quiet_for = 0.0
            yield _BEAT


async def _fragments(visit: Visit, page: Page) -> Fragments | None:
    """The parts of the page as they are now; None when it is gone, or not for who looks. Raises DatabaseUnavailable."""
    current = await visit_of(visit.request, visit.gateway)
    if current is None or not page.is_for(current.token):
        return None
    try:
        _, fragments = render(current, page, await page.show(current))
    except Refusal:
        return None
    return fragments


def _page_at(visit: Visit, address: str) -> tuple[Visit, Page] | None:
    """The visit as if it were to that address, and its page; None when nothing there is live or for who asks."""
    path, _, query = address.partition("?")
    for page, pattern in _patterns():
        if (found := pattern.fullmatch(unquote(path))) and page.topics and page.is_for(visit.token):
            there = {"path": unquote(path), "query_string": query.encode(), "path_params": found.groupdict()}
            scope = {**visit.request.scope, **there}
            return Visit(Request(scope), visit.gateway, visit.token, visit.cookie), page
    return None


@cache
def _patterns() -> list[tuple[Page, re.Pattern[str]]]:
    return [(page, compile_path(page.path)[0]) for page in PAGES]
