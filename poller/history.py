"""The leader's work beside polls, once a minute: counts what is used, keeps how servers were, and tells of what lasts.

What was kept long enough, of meetings too, it drops once an hour.

Started by Watch. Each round is one transaction under the leader's fence.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from meetingpool.clock import Clock
from meetingpool.database.engine import Connection, Database, DatabaseUnavailable
from meetingpool.database.foresight import purge_rooms
from meetingpool.database.leases import StaleEpoch
from meetingpool.database.past_meetings import purge_meetings_of_nobody, purge_past_meetings
from meetingpool.database.usage import count_usage, purge_samples, purge_usage, sample_servers
from meetingpool.domain.alerts import AlertRules
from meetingpool.logs import get_logger
from meetingpool.operations.alerts import check_pool

PURGE_EVERY = 3600.0
PURGE_AT_ONCE = 5000

log = get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class HistorySettings:
    """`every`: seconds between two rounds; `sample_every`: between two samples of servers. The days for which each is kept."""

    every: float = 60.0
    sample_every: float = 300.0
    sample_days: int = 14
    usage_days: int = 400
    meeting_days: int = 60


class History:
    """`fence` raises StaleEpoch when another process leads."""

    def __init__(
        self,
        database: Database,
        settings: HistorySettings,
        alerts: AlertRules,
        clock: Clock,
        fence: Callable[[Connection], Awaitable[None]],
    ) -> None:
        self._database = database
        self._settings = settings
        self._alerts = alerts
        self._clock = clock
        self._fence = fence
        self._purge_at = clock.monotonic()

    async def run(self) -> None:
        """Until another process leads."""
        while True:
            try:
                await self._round()
                await self._purge()
            except StaleEpoch:
                return
            except DatabaseUnavailable:
                log.warning("usage_not_counted")
            await asyncio.sleep(self._settings.every)

    async def _round(self) -> None:
        async with self._database.transaction() as connection:
            await self._fence(connection)
            await count_usage(connection)
            await sample_servers(connection, self._settings.sample_every)
            await check_pool(connection, self._alerts)

    async def _purge(self) -> None:
        if self._clock.monotonic() < self._purge_at:
            return
        for purge in (
            partial(purge_samples, days=self._settings.sample_days),
            partial(purge_usage, days=self._settings.usage_days),
            partial(purge_past_meetings, days=self._settings.meeting_days),
            purge_meetings_of_nobody,
            partial(purge_rooms, days=self._settings.meeting_days),
        ):
            while await self._drop_some(purge) == PURGE_AT_ONCE:
                pass
        self._purge_at = self._clock.monotonic() + PURGE_EVERY

    async def _drop_some(self, purge: Callable[..., Awaitable[int]]) -> int:
        async with self._database.transaction() as connection:
            await self._fence(connection)
            return await purge(connection, limit=PURGE_AT_ONCE)
