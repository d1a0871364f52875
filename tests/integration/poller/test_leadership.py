"""One poller leads. The others stand by, and one that was overtaken writes nothing more."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from meetingpool.clock import SystemClock
from meetingpool.database.engine import Database
from meetingpool.database.leases import StaleEpoch, acquire_lease, fence, release_lease
from meetingpool.database.servers import insert_server
from meetingpool.domain.servers import Server, ServerId
from poller.leadership import Leadership
from poller.watch import WatchSettings
from tests.keys import KEYRING
from tests.pool import RunningPool


async def test_a_lease_is_held_by_one_and_renewed_under_its_epoch(database: Database) -> None:
    async with database.transaction() as connection:
        assert await acquire_lease(connection, "x", "a", 60) == 1
        assert await acquire_lease(connection, "x", "b", 60) is None
        assert await acquire_lease(connection, "x", "a", 60) == 1


async def test_a_lease_that_ran_out_goes_to_the_next_with_a_higher_epoch(database: Database) -> None:
    async with database.transaction() as connection:
        assert await acquire_lease(connection, "x", "a", 0) == 1
    async with database.transaction() as connection:
        assert await acquire_lease(connection, "x", "b", 60) == 2
        await fence(connection, "x", 2)
        with pytest.raises(StaleEpoch):
            await fence(connection, "x", 1)


async def test_a_holder_whose_lease_ran_out_gets_a_new_epoch(database: Database) -> None:
    async with database.transaction() as connection:
        assert await acquire_lease(connection, "x", "a", 0) == 1
    async with database.transaction() as connection:
        assert await acquire_lease(connection, "x", "a", 60) == 2


async def test_a_lease_that_was_given_back_is_free_at_once(database: Database) -> None:
    async with database.transaction() as connection:
        await acquire_lease(connection, "x", "a", 60)
        await release_lease(connection, "x", "a", 1)
    async with database.transaction() as connection:
        assert await acquire_lease(connection, "x", "b", 60) == 2


async def test_of_two_pollers_one_polls_and_the_other_takes_over(pool: RunningPool) -> None:
    async with _poller(pool), _poller(pool):
        await asyncio.sleep(3.0)
    for server in pool.fleet.servers:
        assert 2 <= server.count("getMeetings") <= 6
    before = [server.count("getMeetings") for server in pool.fleet.servers]
    async with _poller(pool):
        await asyncio.sleep(1.5)
    assert all(server.count("getMeetings") > count for server, count in zip(pool.fleet.servers, before, strict=True))


async def test_an_overtaken_leader_writes_nothing_more(pool: RunningPool) -> None:
    async with _poller(pool):
        await asyncio.sleep(1.5)
        async with pool.database.transaction() as connection:
            await connection.execute(
                "UPDATE leases SET epoch = epoch + 1, holder = 'another', expires_at = now() + interval '1 hour'"
            )
            await connection.execute("UPDATE servers SET users = 777")
        await asyncio.sleep(2.5)
        assert {server.users for server in (await pool.servers()).values()} == {777}


async def test_a_server_that_is_added_is_polled_soon(pool: RunningPool) -> None:
    added = pool.fleet.servers[0]
    async with pool.database.transaction() as connection:
        await connection.execute("UPDATE servers SET last_poll = NULL")
        await connection.execute("DELETE FROM servers WHERE id = $1", added.name)
    async with _poller(pool):
        await asyncio.sleep(0.5)
        async with pool.database.transaction() as connection:
            await insert_server(connection, Server(id=ServerId(added.name), url=added.url, secret=added.secret))
        for _ in range(30):
            await asyncio.sleep(0.1)
            if (await pool.servers())[added.name].last_poll:
                break
        else:
            pytest.fail("the new server was not polled")


@asynccontextmanager
async def _poller(pool: RunningPool) -> AsyncIterator[None]:
    stop = asyncio.Event()
    database = Database(str(pool.settings.database_url), name="poller", pool_size=3, keyring=KEYRING)
    settings = WatchSettings(interval=1.0, connect_timeout=1.0, response_timeout=2.0, rules=pool.rules)
    running = asyncio.create_task(Leadership(database, settings, SystemClock(), random.Random(1)).run(stop))
    try:
        yield
    finally:
        stop.set()
        await running
        await database.close()
