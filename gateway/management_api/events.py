"""/events: what changes in the pool, as server-sent events.

A stream begins with the state of all that it tells of, so whoever lost one and opens another has missed nothing. It tells what
this process's picture of the pool hears, and ends when the process drains, and when its token counts no more.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from gateway.broadcast import Message
from gateway.management_api.asked import Asked
from gateway.management_api.problems import HEADERS, Problem
from meetingpool.database.api_tokens import token_counts
from meetingpool.database.engine import DatabaseUnavailable
from meetingpool.domain.access import Permission
from meetingpool.domain.servers import Server, ServerId
from meetingpool.operations.records import plain

# Seconds between two looks at what was told; between two words to a client for which there is nothing new; between two looks
# whether the token counts still.
PAUSE = 1.0
HEARTBEAT = 15.0
ASK_AGAIN_EVERY = 60.0
# Milliseconds after which a client that lost the stream is to open another.
_BEGIN = b"retry: 3000\n\n"
_BEAT = b": still here\n\n"


class EventStream(StreamingResponse):
    """Server-sent events: `state` with all that is told of, then `servers`, `meetings` and `audit` with what changed."""

    def __init__(self, asked: Asked) -> None:
        # Proxies must not gather what is meant for now.
        headers = {**HEADERS, "x-accel-buffering": "no"}
        super().__init__(_events(asked), headers=headers, media_type="text/event-stream")
        self._asked = asked

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        door, token = self._asked.gateway.door, self._asked.token
        if not door.open_stream(token):
            problem = Problem(503, "too_many_streams", "Close another stream first", headers={"retry-after": "60"})
            await problem.response()(scope, receive, send)
            return
        try:
            await super().__call__(scope, receive, send)
        finally:
            door.close_stream(token)


class _Watcher:
    """What one client was told of the pool, and what is new to it."""

    def __init__(self, asked: Asked) -> None:
        self._pool = asked.gateway.view.pool
        self._tenant = asked.token.tenant
        self._sees_servers = asked.token.may(Permission.READ_POOL)
        self._sees_audit = self._tenant is None and asked.token.may(Permission.READ_AUDIT)
        self._servers: dict[ServerId, Server] = {}

    def state(self) -> dict[str, Any]:
        """All that is told of, as it is now."""
        self._servers = dict(self._pool.servers) if self._sees_servers else {}
        return {"servers": [_shown(server) for server in self._servers.values()], "meetings": self._meetings()}

    def news(self, told: list[Message]) -> dict[str, dict[str, Any]]:
        """What is new, by the names of events: of what changed several times, how it is now."""
        if any(message["kind"] == "reloaded" for message in told):
            return {"state": self.state()}
        news = {"servers": self._changed_servers()} if self._sees_servers else {}
        placed, gone = self._count(told, "placed"), self._count(told, "gone")
        if placed or gone:
            news["meetings"] = {"placed": placed, "gone": gone, "meetings": self._meetings()}
        if self._sees_audit:
            news["audit"] = {"actions": [action for each in told if each["kind"] == "audit" for action in each["items"]]}
        return {name: data for name, data in news.items() if any(data.values())}

    def _changed_servers(self) -> dict[str, Any]:
        """A server that changes is another object in the pool's picture, so most cost one look."""
        before, now = self._servers, dict(self._pool.servers)
        self._servers = now
        changed = [server for server in now.values() if before.get(server.id) is not server]
        new = [_shown(server) for server in changed if _of(before.get(server.id)) != _of(server)]
        return {"servers": new, "removed": sorted(before.keys() - now.keys())}

    def _count(self, told: list[Message], kind: str) -> int:
        """How many meetings were placed or are gone, of those that the client sees. Their first part is the tenant."""
        items = [item for message in told if message["kind"] == kind for item in message["items"]]
        return sum(self._tenant in (None, item[0]) for item in items)

    def _meetings(self) -> int:
        if self._tenant is None:
            return len(self._pool.meetings)
        return sum(key.tenant == self._tenant for key in self._pool.meetings)


async def stream_events(asked: Asked) -> EventStream:
    """What changes in the pool, as server-sent events.

    First comes `state`: servers with their states and loads, and how many meetings there are. Then come `servers` with those
    that changed and the ids of those that were removed, `meetings` with how many were placed and are gone, and `audit` with the
    actions that were done. A tenant's administrator is told of the tenant's meetings only. Whoever lost the stream opens another,
    which begins with `state` again.
    """
    return EventStream(asked)


async def _events(asked: Asked) -> AsyncIterator[bytes]:
    gateway, watcher = asked.gateway, _Watcher(asked)
    now = gateway.clock.monotonic()
    beat_at, ask_at = now + HEARTBEAT, now + ASK_AGAIN_EVERY
    yield _BEGIN
    with gateway.view.broadcast.listening() as listener:
        yield _event("state", watcher.state())
        while not gateway.readiness.draining:
            await asyncio.sleep(PAUSE)
            now = gateway.clock.monotonic()
            news = watcher.news(listener.take_now())
            for name, data in news.items():
                yield _event(name, data)
            if not news and now >= beat_at:
                yield _BEAT
            if news or now >= beat_at:
                beat_at = now + HEARTBEAT
            if now >= ask_at:
                ask_at = now + ASK_AGAIN_EVERY
                if not await _counts(asked):
                    return


async def _counts(asked: Asked) -> bool:
    """Whether the token does still; while nobody knows, it does."""
    try:
        return await token_counts(asked.database, asked.token.id)
    except DatabaseUnavailable:
        return True


def _event(name: str, data: dict[str, Any]) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), msgspec.json.encode(plain(data)))


def _of(server: Server | None) -> tuple[object, ...]:
    return () if server is None else (server.admin_state, server.health, server.load)


def _shown(server: Server) -> dict[str, Any]:
    return {"id": server.id, "admin_state": server.admin_state, "health": server.health, "load": server.load}
