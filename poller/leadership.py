"""Leads or stands by. Started by `python -m poller`; starts a Watch while this process holds the lease."""

import asyncio
import os
import random
import secrets
import socket
from contextlib import suppress

from meetingpool.clock import Clock
from meetingpool.database.engine import Database, DatabaseUnavailable
from meetingpool.database.leases import acquire_lease, release_lease
from meetingpool.logs import get_logger
from poller.watch import LEASE, Watch, WatchSettings

LEASE_SECONDS = 9.0
RENEW_EVERY = 3.0

log = get_logger()


class Leadership:
    """One process's part in the election. `run` until `stop` is set."""

    def __init__(self, database: Database, settings: WatchSettings, clock: Clock, rng: random.Random) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock
        self._rng = rng
        self._holder = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            epoch = await self._acquire()
            if epoch is None:
                await _wait(stop, RENEW_EVERY * self._rng.uniform(0.8, 1.2))
                continue
            log.info("leads", epoch=epoch)
            async with Watch(self._database, self._settings, self._clock, epoch) as watch:
                await self._lead(stop, epoch, watch)
            log.info("leads_no_longer", epoch=epoch)
            with suppress(DatabaseUnavailable):
                async with self._database.transaction() as connection:
                    await release_lease(connection, LEASE, self._holder, epoch)

    async def _lead(self, stop: asyncio.Event, epoch: int, watch: Watch) -> None:
        """Renews the lease until it is lost. Without the database it goes on: nobody else can take the lease then either."""
        drift = self._clock_drift()
        while not stop.is_set() and not watch.ended:
            await _wait(stop, RENEW_EVERY)
            try:
                if await self._renewed() != epoch:
                    return
            except DatabaseUnavailable:
                log.warning("database_unreachable")
            if abs(self._clock_drift() - drift) > 1.0:
                drift = self._clock_drift()
                log.warning("system_clock_jumped")
                watch.reschedule()

    def _clock_drift(self) -> float:
        # The scheduler goes by the system clock, which may be set; polls must not stop for an hour because it was.
        return self._clock.epoch() - self._clock.monotonic()

    async def _acquire(self) -> int | None:
        try:
            return await self._renewed()
        except DatabaseUnavailable:
            log.warning("database_unreachable")
            return None

    async def _renewed(self) -> int | None:
        async with self._database.transaction() as connection:
            return await acquire_lease(connection, LEASE, self._holder, LEASE_SECONDS)


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
