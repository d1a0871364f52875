"""Keeps what this process foresees current, and room for it where servers have it now. Part of PoolView."""

import asyncio
from contextlib import suppress
from dataclasses import replace

from meetingpool.clock import Clock
from meetingpool.database.engine import Connection, Database, DatabaseUnavailable
from meetingpool.database.foresight import read_outlook
from meetingpool.domain.outlook import STALE_AFTER
from meetingpool.domain.pool import Pool

# Seconds after which it is laid out anew what is upcoming: loads have changed by then.
PLAN_EVERY = 1.0


class OutlookView:
    """`hear` is told that there is news; `run` never returns."""

    def __init__(self, database: Database, pool: Pool, clock: Clock) -> None:
        self._database = database
        self._pool = pool
        self._clock = clock
        self._told_at = clock.monotonic()
        self._told = asyncio.Event()

    def hear(self) -> None:
        self._told.set()

    async def load(self, connection: Connection) -> None:
        """Reads what the poller told last."""
        outlook = await read_outlook(connection)
        self._told_at = self._clock.monotonic() - outlook.age
        self._pool.foresee(outlook if outlook.age <= STALE_AFTER else replace(outlook, upcoming=()))

    async def run(self) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._told.wait(), PLAN_EVERY)
            if self._told.is_set():
                await self._read()
            elif self._pool.kept.upcoming:
                self._plan()

    async def _read(self) -> None:
        self._told.clear()
        with suppress(DatabaseUnavailable):
            async with self._database.transaction() as connection:
                await self.load(connection)

    def _plan(self) -> None:
        if self._clock.monotonic() - self._told_at > STALE_AFTER:
            self._pool.foresee(replace(self._pool.outlook, upcoming=()))
        else:
            self._pool.plan()
