"""A server whose secret is wrong, and other trouble between the gateway and its servers, is not the front end's."""

import asyncio
import socket
import time
from contextlib import suppress

from meetingpool.domain.servers import AdminState
from meetingpool.operations.change_server_state import MeetingsRunning, change_state
from meetingpool.operations.changes import changing
from simulator.faults import NO_FAULTS, Faults
from tests.actors import SOMEBODY
from tests.pool import FrontEnd, RunningPool, key_of, meeting_row, running_pool, succeeded

CREATE = frozenset({"create"})


async def test_the_secret_of_a_server_being_wrong_is_not_blamed_on_the_front_end(pool: RunningPool, front_end: FrontEnd) -> None:
    for server in pool.fleet.servers:
        await pool.change_server(server, secret="wrong")
    await asyncio.sleep(0.3)
    answer = await front_end.create("wrong-secret")
    assert key_of(answer) != "checksumError"


async def test_one_server_with_a_wrong_secret_does_not_swallow_creates(pool: RunningPool, front_end: FrontEnd) -> None:
    first = pool.fleet.servers[0]
    await pool.change_server(first, secret="wrong")
    await asyncio.sleep(0.3)
    answers = [await front_end.create(f"room-{n}") for n in range(12)]
    assert [succeeded(answer) for answer in answers].count(False) <= 1


async def test_removal_creation_and_polls_at_once(database_url: str) -> None:
    """32 creates of each id race with end, cordon, disable, removal and polls: nobody waits in a circle, none is split."""
    async with running_pool(database_url, servers=4) as pool:
        front_ends = [await pool.front_end() for _ in range(4)]
        for round_number in range(8):
            room = f"room-{round_number}"
            victim = pool.fleet.servers[round_number % 3]

            async def administer(victim: object = victim) -> None:
                for state in (AdminState.CORDONED, AdminState.DISABLED, AdminState.ENABLED):
                    with suppress(MeetingsRunning):
                        async with changing(pool.database, SOMEBODY) as change:
                            await change_state(change, victim.name, state)  # type: ignore[attr-defined]
                    await asyncio.sleep(0.02)

            async def end() -> None:
                await front_ends[0].ask("end", meetingID=room, password="m")  # noqa: B023

            async def polls() -> None:
                for _ in range(4):
                    await pool.poll()

            creates = [front_ends[n % 4].create(room, moderatorPW="m", attendeePW="a") for n in range(32)]
            began = time.monotonic()
            done = await asyncio.gather(*creates, administer(), end(), polls(), return_exceptions=True)
            assert not [e for e in done if isinstance(e, BaseException)], done
            assert time.monotonic() - began < 5
            assert len(pool.holders(room)) <= 1
            row = await meeting_row(pool.database, room)
            for holder in pool.holders(room):
                assert row is not None
                assert row.server_id == holder.name


async def test_a_read_only_database_costs_nothing_but_new_meetings(pool: RunningPool, front_end: FrontEnd) -> None:
    first = await front_end.create("known", moderatorPW="m", attendeePW="a")
    await asyncio.sleep(0.1)
    async with pool.database.transaction() as connection:
        name = await connection.fetchval("SELECT current_database()")
        await connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    async with pool.database.transaction() as connection:
        await connection.execute("SET TRANSACTION READ WRITE")
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'meetingpool gateway%'"
        )
    await asyncio.sleep(1.5)
    assert (await front_end.get("join", meetingID="known", fullName="Ada", password="m")).status_code == 302
    assert succeeded(await front_end.ask("getMeetingInfo", meetingID="known"))
    assert key_of(await front_end.create("new")) == "internalError"
    assert succeeded(await front_end.ask("end", meetingID="known", password="m"))
    assert first is not None
    async with pool.database.transaction() as connection:
        await connection.execute("SET TRANSACTION READ WRITE")
        await connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = off")
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'meetingpool gateway%'"
        )
    await asyncio.sleep(1.5)
    async with asyncio.timeout(3):
        while not succeeded(await front_end.create("new")):
            await asyncio.sleep(0.05)


async def test_a_gateway_cancelled_anywhere_in_a_create_leaves_a_meeting_that_can_be_created(pool: RunningPool) -> None:
    x, y = [await pool.front_end() for _ in range(2)]
    for server in pool.fleet.servers:
        await pool.fleet.set_faults(server, Faults(reply_delay=0.02, calls=CREATE))
    for n in range(60):
        room = f"room-{n}"
        creating = asyncio.create_task(x.create(room))
        await asyncio.sleep(n * 0.0008)
        creating.cancel()
        await asyncio.gather(creating, return_exceptions=True)
        began = time.monotonic()
        assert succeeded(await y.create(room))
        assert time.monotonic() - began < 1
        assert len(pool.holders(room)) == 1
    for server in pool.fleet.servers:
        await pool.fleet.set_faults(server, NO_FAULTS)
    assert x.gateway.database.checked_out == 0
    assert all(abs(v) < 1e-6 for v in x.gateway.view.pool._promised.values())  # noqa: SLF001


async def test_creates_are_not_pinned_to_one_black_hole_after_another(database_url: str) -> None:
    """Two of three servers swallow packets; the connection to the second is given as much time as the whole call has left."""
    holes = []
    async with running_pool(database_url, response_timeout=2.0, connect_timeout=1.0) as pool:
        front_end = await pool.front_end()
        for server in pool.fleet.servers[:2]:
            listener = socket.socket()
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)
            holes.append(listener)
            for _ in range(4):
                filler = socket.socket()
                filler.setblocking(False)
                with suppress(BlockingIOError):
                    filler.connect(listener.getsockname())
                holes.append(filler)
            await pool.change_server(server, url=f"http://127.0.0.1:{listener.getsockname()[1]}/bigbluebutton/api/")
            await pool.change_server(pool.fleet.servers[2], load=100.0)
        await asyncio.sleep(0.3)
        answer = await front_end.create("away")
        answer = answer if succeeded(answer) else await front_end.create("away")
        row = await meeting_row(pool.database, "away")
        for hole in holes:
            hole.close()
        assert succeeded(answer), row
