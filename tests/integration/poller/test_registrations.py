"""The leading poller follows servers that register themselves."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from meetingpool.clock import SystemClock
from meetingpool.database.engine import Connection, Database
from meetingpool.database.leases import StaleEpoch
from meetingpool.database.registrations import write_registration
from meetingpool.database.servers import all_servers
from meetingpool.domain.alerts import AlertRules
from meetingpool.domain.servers import AdminState, Health, Registration, Server, Standing
from meetingpool.operations.alerts import check_pool
from poller.leadership import Leadership
from poller.registrations import Registrations
from poller.watch import WatchSettings
from tests.alerts import added_hook, kinds_told
from tests.keys import KEYRING
from tests.logs import Event
from tests.pool import RunningPool

LIFETIME = 1.0
PATIENCE = 15.0


@asynccontextmanager
async def poller(pool: RunningPool) -> AsyncIterator[None]:
    stop = asyncio.Event()
    database = Database(str(pool.settings.database_url), name="poller", pool_size=3, keyring=KEYRING)
    settings = WatchSettings(
        interval=1.0, connect_timeout=1.0, response_timeout=2.0, rules=pool.rules, registration_lifetime=LIFETIME
    )
    running = asyncio.create_task(Leadership(database, settings, SystemClock(), random.Random(1)).run(stop))
    try:
        yield
    finally:
        stop.set()
        await running
        await database.close()


async def register_all(pool: RunningPool, *, lasts: float) -> list[Server]:
    """As if all servers of the pool had registered themselves."""
    registration = Registration(token="hosts", state=AdminState.ENABLED)
    async with pool.database.transaction() as connection:
        servers = await all_servers(connection)
        for server in servers:
            await write_registration(
                connection,
                Server(
                    id=server.id, url=server.url, secret=server.secret, admin_state=server.admin_state, registration=registration
                ),
                lasts=lasts,
            )
    return servers


async def test_the_leader_cordons_who_falls_silent_and_takes_out_who_left(pool: RunningPool, logged: list[Event]) -> None:
    silent, leaving, _ = await register_all(pool, lasts=600.0)
    async with pool.database.transaction() as connection:
        await connection.execute("UPDATE servers SET registered_until = now() WHERE id = $1", silent.id)
        await connection.execute(
            """
            UPDATE servers SET registration = 'ended', registered_until = now(), admin_state = 'disabled'
            WHERE id = $1
            """,
            leaving.id,
        )
    async with poller(pool), asyncio.timeout(PATIENCE):
        while leaving.id in (servers := await pool.servers()) or servers[silent.id].admin_state is AdminState.ENABLED:
            await asyncio.sleep(0.05)
    registration = servers[silent.id].registration
    assert registration is not None
    assert (registration.standing, registration.state) == (Standing.LAPSED, AdminState.ENABLED)
    events = {(event["event"], event.get("server")) for event in logged}
    assert events >= {("registration_lapsed", silent.id), ("server_left", leaving.id)}
    assert "most_servers_do_not_renew" not in {event["event"] for event in logged}


async def test_when_most_are_silent_nobody_is_cordoned_and_that_is_told(pool: RunningPool, logged: list[Event]) -> None:
    await register_all(pool, lasts=0.0)
    async with pool.database.transaction() as connection:
        await connection.execute("UPDATE servers SET registered_until = now() - interval '1 hour'")
    registrations = Registrations(pool.database, _leads, LIFETIME)
    for _ in range(2):
        await registrations.look()
    assert {server.admin_state for server in (await pool.servers()).values()} == {AdminState.ENABLED}
    await register_all(pool, lasts=600.0)
    await registrations.look()
    assert [event["event"] for event in logged] == ["most_servers_do_not_renew", "servers_renew_again"]


async def test_administrators_are_told_who_is_silent_and_when_that_is_over(pool: RunningPool) -> None:
    await added_hook(pool.database)
    silent, *_ = await register_all(pool, lasts=600.0)
    for statement, told_of in (
        ("UPDATE servers SET registered_until = now() WHERE id = $1", [("server.silent", silent.id)]),
        ("UPDATE servers SET registered_until = now() + interval '1 hour' WHERE id = $1", [("server.silent", silent.id)]),
    ):
        async with pool.database.transaction() as connection:
            await connection.execute(statement, silent.id)
        async with pool.database.transaction() as connection:
            await check_pool(connection, AlertRules())
        assert await kinds_told(pool.database) == told_of
    async with pool.database.transaction() as connection:
        await connection.execute("UPDATE alerts SET over_since = now() - interval '301 s'")
        await check_pool(connection, AlertRules())
    assert await kinds_told(pool.database) == [("server.silent", silent.id), ("server.renewed", silent.id)]


async def test_an_overtaken_leader_does_nothing(pool: RunningPool) -> None:
    await register_all(pool, lasts=0.0)
    async with pool.database.transaction() as connection:
        await connection.execute("UPDATE servers SET registered_until = now() - interval '1 hour', health = 'dead'")

    async def is_overtaken(_connection: Connection) -> None:
        raise StaleEpoch

    with pytest.raises(StaleEpoch):
        await Registrations(pool.database, is_overtaken, LIFETIME).look()
    await asyncio.wait_for(Registrations(pool.database, is_overtaken, LIFETIME).run(), PATIENCE)
    servers = (await pool.servers()).values()
    assert {(server.admin_state, server.health) for server in servers} == {(AdminState.ENABLED, Health.DEAD)}


async def _leads(_connection: Connection) -> None:
    pass
