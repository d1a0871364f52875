"""Follows servers that register themselves: cordons those that fell silent, takes those out that left. Run by the leader's Watch.

Each step is a transaction of its own under the leader's fence, since it locks servers in the order of their ids, as polls do.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from meetingpool.database.engine import Connection, Database, DatabaseUnavailable
from meetingpool.database.leases import StaleEpoch
from meetingpool.domain.audit import Actor, ActorKind
from meetingpool.logs import get_logger
from meetingpool.operations.changes import Change
from meetingpool.operations.expire_registrations import lapse_overdue, most_are_silent, remove_abandoned

# Seconds between two looks, and of them in a lifetime.
LOOK_EVERY = 30.0
LOOKS_OF_LIFETIME = 10

T = TypeVar("T")
_POLLER = Actor(kind=ActorKind.SYSTEM, name="poller")

log = get_logger()


class Registrations:
    """`lifetime`: seconds for which a registration holds. `fence` raises StaleEpoch when another process leads."""

    def __init__(self, database: Database, fence: Callable[[Connection], Awaitable[None]], lifetime: float) -> None:
        self._database = database
        self._fence = fence
        self._lifetime = lifetime
        self._most_are_silent = False

    async def run(self) -> None:
        """Until another process leads."""
        while True:
            try:
                await self.look()
            except StaleEpoch:
                return
            except DatabaseUnavailable:
                log.warning("registrations_not_followed")
            await asyncio.sleep(min(LOOK_EVERY, self._lifetime / LOOKS_OF_LIFETIME))

    async def look(self) -> None:
        """Raises StaleEpoch or DatabaseUnavailable."""
        self._tell_of_silence(await self._do(most_are_silent))
        for server_id in await self._do(lambda change: lapse_overdue(change, self._lifetime)):
            log.warning("registration_lapsed", server=server_id)
        for server_id in await self._do(lambda change: remove_abandoned(change, self._lifetime)):
            log.info("server_left", server=server_id)

    def _tell_of_silence(self, most: bool) -> None:
        if most != self._most_are_silent:
            self._most_are_silent = most
            log.error("most_servers_do_not_renew") if most else log.info("servers_renew_again")

    async def _do(self, step: Callable[[Change], Awaitable[T]]) -> T:
        async with self._database.transaction() as connection:
            await self._fence(connection)
            return await step(Change(connection, _POLLER))
