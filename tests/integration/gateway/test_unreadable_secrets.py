"""Secrets that a gateway has no key for: one that runs goes on with what it knows, until it can read them."""

import asyncio
from collections.abc import Callable

from meetingpool.database.engine import Database
from meetingpool.domain.servers import ServerId
from meetingpool.secret_keys import Keyring
from tests.keys import SECRET_KEY
from tests.logs import Event
from tests.pool import FrontEnd, RunningPool, succeeded

STRANGE = "a key that only another machine has"


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


async def write_with(pool: RunningPool, key: str, region: str) -> None:
    """A machine that encrypts with `key` writes the secrets of all servers."""
    mine, pool.database = pool.database, Database(pool.database.url, name="test", keyring=Keyring([key]))
    try:
        for server in pool.fleet.servers:
            await pool.change_server(server, secret=server.secret, region=region)
    finally:
        await pool.database.close()
        pool.database = mine


def told(logged: list[Event]) -> list[str]:
    return [event["reason"] for event in logged if event["event"] == "secrets_unreadable"]


async def test_running_gateway_goes_on_and_takes_in_what_it_can_read_again(
    pool: RunningPool, front_end: FrontEnd, logged: list[Event]
) -> None:
    await front_end.create("before")
    view = front_end.gateway.view.pool

    await write_with(pool, STRANGE, "north")
    await until(lambda: bool(told(logged)))

    assert succeeded(await front_end.create("meanwhile"))
    for meeting_id in ("before", "meanwhile"):
        joined = await front_end.get("join", meetingID=meeting_id, fullName="Ada", password="", role="MODERATOR")
        assert (joined.status_code, view.is_current) == (302, True)
    assert {server.region for server in view.servers.values()} == {None}
    assert str(Keyring([STRANGE]).ids[0]) in told(logged)[0]

    await write_with(pool, SECRET_KEY, "south")
    await until(lambda: {server.region for server in view.servers.values()} == {"south"})


async def test_gateway_that_lost_its_connection_meanwhile_serves_the_meetings_that_it_knows(
    pool: RunningPool, front_end: FrontEnd, logged: list[Event]
) -> None:
    await front_end.create("before")
    view = front_end.gateway.view.pool
    async with pool.database.transaction() as connection:
        # Nobody is told of it.
        sealed = Keyring([STRANGE]).seal("another secret", "servers.secret:elsewhere")
        await connection.execute("UPDATE servers SET secret = $1", sealed)
        await connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE '%listener'")

    await until(lambda: bool(told(logged)))
    await until(lambda: not view.is_current)

    joined = await front_end.get("join", meetingID="before", fullName="Ada", password="", role="MODERATOR")
    assert joined.status_code == 302
    assert succeeded(await front_end.create("meanwhile"))

    await write_with(pool, SECRET_KEY, "south")
    await until(lambda: view.is_current)
    assert view.servers[ServerId(pool.fleet.servers[0].name)].region == "south"
