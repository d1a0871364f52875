"""Administrators are told of what becomes of servers: once, in the transaction that makes it so, and when it is over."""

import asyncio
from contextlib import suppress

import pytest

from meetingpool.database.engine import Database
from meetingpool.domain.alerts import STABLE_FOR, AlertKind, AlertRules
from meetingpool.domain.servers import Health
from meetingpool.operations.alerts import check_pool
from simulator.faults import NO_FAULTS, Faults
from simulator.server import SimulatedServer
from tests.alerts import added_hook, kinds_told, told
from tests.pool import RunningPool

NO_RULES = AlertRules()


class BrokenOff(Exception):
    """Whoever saw it dies before it commits."""


@pytest.fixture(autouse=True)
async def hook(database: Database) -> None:
    await added_hook(database)


async def goes_offline(pool: RunningPool, server: SimulatedServer) -> None:
    await pool.fleet.set_faults(server, Faults(refuse=True))
    for _ in range(3):
        await pool.poll()
    assert (await pool.servers())[server.name].health is Health.OFFLINE


async def comes_back(pool: RunningPool, server: SimulatedServer) -> None:
    await pool.fleet.set_faults(server, NO_FAULTS)
    await execute(pool.database, "UPDATE servers SET offline_since = now() - interval '1 hour' WHERE offline_since IS NOT NULL")
    await pool.poll()
    assert (await pool.servers())[server.name].health is Health.ONLINE


async def execute(database: Database, statement: str, *arguments: object) -> None:
    async with database.transaction() as connection:
        await connection.execute(statement, *arguments)


async def look(database: Database, rules: AlertRules = NO_RULES) -> None:
    """What the leading poller does once a minute."""
    async with database.transaction() as connection:
        await check_pool(connection, rules)


async def time_passes(database: Database, seconds: float) -> None:
    await execute(database, "UPDATE alerts SET over_since = over_since - make_interval(secs => $1)", seconds)


async def test_an_outage_is_told_with_the_poll_that_saw_it_and_its_end_when_it_lasts(pool: RunningPool) -> None:
    server = pool.fleet.servers[0]
    server.create_meeting("a", name="A", people=20)
    await pool.poll()
    await goes_offline(pool, server)
    (alert,) = await told(pool.database)
    assert (alert["kind"], alert["subject"]) == ("server.offline", server.name)
    assert alert["detail"].pop("reason")
    assert alert["detail"] == {"health": "offline", "meetings": 1, "people": 20}

    await comes_back(pool, server)
    await look(pool.database)
    assert len(await told(pool.database)) == 1
    await time_passes(pool.database, STABLE_FOR)
    await look(pool.database)
    await look(pool.database)
    _, over = await told(pool.database)
    assert (over["kind"], over["subject"], over["detail"]["since"][:10]) == ("server.online", server.name, alert["at"][:10])
    assert over["id"] != alert["id"]


async def test_a_server_that_flaps_is_told_once(pool: RunningPool) -> None:
    server = pool.fleet.servers[0]
    for _ in range(4):
        await goes_offline(pool, server)
        await look(pool.database)
        await comes_back(pool, server)
        await time_passes(pool.database, STABLE_FOR / 2)
        await look(pool.database)
    assert await kinds_told(pool.database) == [("server.offline", server.name)]


async def test_two_processes_that_see_the_same_tell_it_once(pool: RunningPool) -> None:
    await execute(pool.database, "UPDATE servers SET health = 'dead', failures = 9")
    await asyncio.gather(*(look(pool.database) for _ in range(5)))
    names = [server.name for server in pool.fleet.servers]
    assert sorted(await kinds_told(pool.database)) == [
        ("pool.unavailable", "pool"),
        *(("server.offline", name) for name in sorted(names)),
    ]
    await execute(pool.database, "UPDATE servers SET health = 'online', failures = 0")
    await asyncio.gather(*(look(pool.database) for _ in range(5)))
    await time_passes(pool.database, STABLE_FOR)
    await asyncio.gather(*(look(pool.database) for _ in range(5)))
    over = (await kinds_told(pool.database))[4:]
    assert sorted(over) == [("pool.available", "pool"), *(("server.online", name) for name in sorted(names))]


async def test_a_poll_that_is_not_written_is_not_told(pool: RunningPool) -> None:
    await execute(pool.database, "UPDATE servers SET health = 'dead', failures = 9")
    with suppress(BrokenOff):
        async with pool.database.transaction() as connection:
            await check_pool(connection, NO_RULES)
            raise BrokenOff
    assert await told(pool.database) == []
    await look(pool.database)
    assert len(await told(pool.database)) == 4


async def test_what_an_administrator_closes_is_found_by_the_next_look(pool: RunningPool) -> None:
    await execute(pool.database, "UPDATE servers SET admin_state = 'cordoned'")
    await look(pool.database)
    assert await kinds_told(pool.database) == [("pool.unavailable", "pool")]
    await execute(pool.database, "UPDATE servers SET admin_state = 'enabled'")
    await look(pool.database)
    await time_passes(pool.database, STABLE_FOR)
    await look(pool.database)
    assert (await kinds_told(pool.database))[1:] == [("pool.available", "pool")]


async def test_a_full_pool_is_told_where_that_is_defined(pool: RunningPool) -> None:
    await execute(pool.database, "UPDATE servers SET load = 200")
    await look(pool.database)
    assert await told(pool.database) == []
    await look(pool.database, AlertRules(full_at=150.0))
    (alert,) = await told(pool.database)
    assert (alert["kind"], alert["detail"]) == ("pool.nearly_full", {"open_servers": 3, "least_load": 200.0, "full_at": 150.0})


async def test_an_address_hears_of_the_kinds_that_it_wants(pool: RunningPool) -> None:
    only = await added_hook(pool.database, "https://other.example/", AlertKind.POOL_UNAVAILABLE, AlertKind.SERVER_ONLINE)
    await execute(pool.database, "UPDATE servers SET health = 'offline', failures = 3")
    await look(pool.database)
    async with pool.database.transaction() as connection:
        rows = await connection.fetch("SELECT payload FROM outbox WHERE payload ->> 'hook' = $1", only.id)
    assert [row["payload"]["body"].count("pool.unavailable") for row in rows] == [1]
    assert len(await told(pool.database)) == 5


async def test_who_subscribes_later_is_not_told_of_what_was(pool: RunningPool) -> None:
    await execute(pool.database, "DELETE FROM alert_hooks")
    await execute(pool.database, "UPDATE servers SET health = 'offline', failures = 3")
    await look(pool.database)
    await added_hook(pool.database)
    await look(pool.database)
    assert await told(pool.database) == []
