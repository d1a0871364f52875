"""The leader counts what is used. One that was overtaken counts nothing more, and the next goes on where it ended."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from meetingpool.clock import SystemClock
from meetingpool.database.engine import Database
from meetingpool.database.leases import StaleEpoch
from meetingpool.database.usage import LONGEST_GAP
from meetingpool.domain.alerts import AlertRules
from poller.history import History, HistorySettings
from poller.leadership import Leadership
from poller.watch import WatchSettings
from tests.alerts import added_hook, told
from tests.keys import KEYRING
from tests.pool import FrontEnd, RunningPool

OFTEN = HistorySettings(every=0.05)
PATIENCE = 10.0


@asynccontextmanager
async def poller(pool: RunningPool) -> AsyncIterator[None]:
    stop = asyncio.Event()
    database = Database(str(pool.settings.database_url), name="poller", pool_size=3, keyring=KEYRING)
    settings = WatchSettings(interval=1.0, connect_timeout=1.0, response_timeout=2.0, rules=pool.rules, history=OFTEN)
    running = asyncio.create_task(Leadership(database, settings, SystemClock(), random.Random(1)).run(stop))
    try:
        yield
    finally:
        stop.set()
        await running
        await database.close()


async def seconds_counted(database: Database) -> float:
    async with database.transaction() as connection:
        counted: float | None = await connection.fetchval(
            "SELECT sum(meeting_seconds) FROM usage_hours WHERE tenant = '' AND server_id = ''"
        )
    return counted or 0.0


async def counted_more_than(database: Database, seconds: float) -> float:
    async with asyncio.timeout(PATIENCE):
        while (counted := await seconds_counted(database)) <= seconds:
            await asyncio.sleep(0.02)
    return counted


async def execute(database: Database, statement: str) -> None:
    async with database.transaction() as connection:
        await connection.execute(statement)


async def test_the_leader_counts_and_the_next_goes_on(pool: RunningPool, front_end: FrontEnd) -> None:
    await front_end.create("class")
    began = pool.clock.monotonic()
    async with poller(pool), poller(pool):
        first = await counted_more_than(pool.database, 0.1)
    # As if the next had come half a minute later.
    await execute(pool.database, "UPDATE installation SET usage_counted_at = usage_counted_at - interval '30 s'")
    async with poller(pool):
        counted = await counted_more_than(pool.database, first + 29)
    # Two pollers together count no second twice.
    assert counted <= 30 + (pool.clock.monotonic() - began)


async def test_an_overtaken_leader_counts_and_tells_nothing(pool: RunningPool, front_end: FrontEnd) -> None:
    await added_hook(pool.database)
    await front_end.create("class")
    await execute(pool.database, "UPDATE servers SET health = 'dead', failures = 9")
    await execute(pool.database, "UPDATE installation SET usage_counted_at = now() - interval '60 s'")

    async def is_overtaken(_connection: object) -> None:
        raise StaleEpoch

    late = History(pool.database, OFTEN, AlertRules(), pool.clock, is_overtaken)
    await asyncio.wait_for(late.run(), PATIENCE)
    assert (await seconds_counted(pool.database), await told(pool.database)) == (0.0, [])


async def test_a_round_that_is_overtaken_in_the_middle_leaves_nothing(pool: RunningPool, front_end: FrontEnd) -> None:
    await front_end.create("class")
    await execute(pool.database, "UPDATE installation SET usage_counted_at = now() - interval '60 s'")
    await execute(pool.database, "ALTER TABLE server_samples RENAME TO elsewhere")

    async def leads(_connection: object) -> None:
        pass

    broken = History(pool.database, OFTEN, AlertRules(), pool.clock, leads)
    with pytest.raises(Exception, match="server_samples"):
        await broken.run()
    assert await seconds_counted(pool.database) == 0.0
    await execute(pool.database, "ALTER TABLE elsewhere RENAME TO server_samples")
    async with poller(pool):
        assert await counted_more_than(pool.database, 59) < LONGEST_GAP


async def test_the_leader_drops_what_is_old(pool: RunningPool) -> None:
    await execute(
        pool.database,
        "INSERT INTO usage_hours SELECT now() - make_interval(days => n), '', '', 1, 1, 1, 1 FROM generate_series(395, 405) AS n",
    )
    await execute(
        pool.database,
        "INSERT INTO server_samples "
        "SELECT 's', now() - make_interval(days => n), 'online', 1, 1, 1 FROM generate_series(10, 18) AS n",
    )
    await execute(
        pool.database,
        "INSERT INTO past_meetings (tenant, meeting_id, server_id, began_at, ended_at, curve) "
        "SELECT tenant, 'class', 's', now(), now() - make_interval(days => n), '{0}' "
        "FROM generate_series(55, 63) AS n, (VALUES ('default'), ('gone')) AS of(tenant)",
    )
    async with poller(pool):
        async with asyncio.timeout(PATIENCE):
            while await _old(pool.database) != (5, 4, 5):
                await asyncio.sleep(0.02)


async def _old(database: Database) -> tuple[int, int, int]:
    async with database.transaction() as connection:
        return (
            await connection.fetchval("SELECT count(*) FROM usage_hours WHERE hour < now() - interval '300 days'"),
            await connection.fetchval("SELECT count(*) FROM server_samples WHERE at < now() - interval '9 days'"),
            await connection.fetchval("SELECT count(*) FROM past_meetings"),
        )
