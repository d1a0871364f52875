"""Makes announcements of the events that servers bring: whose meeting it is, who asked for it, each once. Called by the gateway.

Only a meeting's own server is believed. What is about meetings that were not created here, or comes from a server that another
has replaced, is dropped. Events of recordings come when the meeting is long over, and may run elsewhere again: they are believed
of every server that had it.
"""

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from meetingpool.database.engine import Connection, Database
from meetingpool.database.hook_events import announce_events
from meetingpool.database.hooks import hold_hooks_of
from meetingpool.database.placements import placed_on
from meetingpool.domain.hook_events import Brought, HookEvent, announcements_of
from meetingpool.domain.meetings import MeetingKey
from meetingpool.domain.pool import Pool
from meetingpool.domain.servers import ServerId
from meetingpool.logs import get_logger

# Floods of events must not take the connections from calls.
AT_ONCE = 3

log = get_logger()


class HookAnnouncer:
    """One process's share of the events."""

    def __init__(self, database: Database, pool: Pool) -> None:
        self._database = database
        self._pool = pool
        self._places = asyncio.Semaphore(AT_ONCE)
        self._dropped: Counter[str] = Counter()

    async def announce(self, brought: Brought) -> None:
        """Keeps all that front ends are to be told, in one transaction. Raises DatabaseUnavailable."""
        known = [self._known(brought.server_id, event) for event in brought.events]
        if not any(key or event.host_id for key, event in zip(known, brought.events, strict=True)):
            return
        async with self._places, self._database.transaction() as connection:
            keys = await self._with_past(connection, brought, known)
            hooks = await hold_hooks_of(connection, {key.tenant for key in keys if key})
            announcements = announcements_of(brought, keys, hooks)
            dropped = await announce_events(connection, announcements)
        self._tell(dropped, {announcement.hook_id for announcement in announcements if announcement.hook_id})

    def _known(self, server_id: ServerId, event: HookEvent) -> MeetingKey | None:
        """The meeting of an event as this process knows it."""
        if event.host_id is not None:
            meeting = self._pool.meeting_on(server_id, event.host_id)
            return meeting.key if meeting else None
        return self._pool.meeting_was_on(server_id, event.internal_id or "")

    async def _with_past(
        self, connection: Connection, brought: Brought, known: Sequence[MeetingKey | None]
    ) -> list[MeetingKey | None]:
        """The meetings of the events; those that this process does not know as the database remembers them."""
        missing = {
            event.host_id for event, key in zip(brought.events, known, strict=True) if key is None and event.host_id is not None
        }
        past = await placed_on(connection, brought.server_id, missing) if missing else {}
        return [key or _past(event, past) for event, key in zip(brought.events, known, strict=True)]

    def _tell(self, dropped: Counter[str], hook_ids: Collection[str]) -> None:
        """Says once that a webhook's events are too many, and how many were given up when they no longer are."""
        for hook_id in hook_ids:
            if dropped[hook_id] and not self._dropped[hook_id]:
                log.warning("hook_overflows", hook=hook_id)
            self._dropped[hook_id] += dropped[hook_id]
            if not dropped[hook_id] and (lost := self._dropped.pop(hook_id)):
                log.warning("hook_overflowed", hook=hook_id, events_given_up=lost)


def _past(event: HookEvent, past: Mapping[str, tuple[MeetingKey, bool]]) -> MeetingKey | None:
    key, is_latest = past.get(event.host_id or "", (None, False))
    return key if is_latest or event.is_of_recording else None
