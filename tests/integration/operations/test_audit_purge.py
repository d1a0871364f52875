"""The deliverer drops what is old, of the audit as of the outbox."""

import asyncio
import random

from meetingpool.clock import SystemClock
from meetingpool.database.audit import find_audit
from meetingpool.database.engine import Database
from meetingpool.domain.access import Role
from meetingpool.operations.api_tokens import create_token
from meetingpool.operations.changes import changing
from meetingpool.operations.deliver_callbacks import Deliverer
from meetingpool.outward.client import Outward
from tests.actors import SOMEBODY


async def subjects(database: Database) -> list[str]:
    async with database.transaction() as connection:
        return [entry.subject for entry in await find_audit(connection)]


async def test_entries_go_after_so_many_days(database: Database) -> None:
    async with changing(database, SOMEBODY) as change:
        for name, days in (("old", 8), ("young", 6)):
            await create_token(change, name, Role.ADMIN)
            await change.connection.execute(
                "UPDATE audit SET at = now() - make_interval(days => $1) WHERE subject = $2", days, name
            )
    stop = asyncio.Event()
    async with Outward() as outward:
        deliverer = Deliverer(database, outward, ("s",), SystemClock(), random.Random(1), audit_days=7)
        delivery = asyncio.create_task(deliverer.run(stop))
        async with asyncio.timeout(20):
            while await subjects(database) != ["young"]:
                await asyncio.sleep(0.02)
        stop.set()
        await delivery
