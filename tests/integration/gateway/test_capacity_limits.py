"""What servers can carry holds between processes, and a full pool says so at once."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from meetingpool.database.creates import MeetingTaken, Reservation, Said, Unplaced, Wish, reserve
from meetingpool.domain.meetings import DEFAULT_TENANT, MeetingKey
from meetingpool.domain.servers import ServerId
from simulator.faults import Faults
from simulator.server import SimulatedServer
from tests.pool import FrontEnd, RunningPool, key_of, running_pool, succeeded

FULL = ("internalError", "Could not find any available servers.")


def carried(pool: RunningPool) -> list[int]:
    return [len(server.meetings) for server in pool.fleet.servers]


async def change(server: SimulatedServer, pool: RunningPool, *front_ends: FrontEnd, **changes: Any) -> None:
    """Until the gateways know of it."""
    await pool.change_server(server, **changes)
    async with asyncio.timeout(5):
        while not all(knows(front_end, server, **changes) for front_end in front_ends):
            await asyncio.sleep(0.01)


async def change_all(pool: RunningPool, *front_ends: FrontEnd, **changes: Any) -> None:
    for server in pool.fleet.servers:
        await change(server, pool, *front_ends, **changes)


def knows(front_end: FrontEnd, server: SimulatedServer, **changes: Any) -> bool:
    known = front_end.gateway.view.pool.servers[ServerId(server.name)]
    return all(getattr(known, name) == value for name, value in changes.items())


@pytest.mark.parametrize("limits", [{"max_meetings": 5}, {"max_users": 5 * 15 + 14}])
async def test_no_race_between_processes_exceeds_a_hard_limit(pool: RunningPool, limits: dict[str, int]) -> None:
    front_ends = [await pool.front_end() for _ in range(4)]
    await change_all(pool, *front_ends, **limits)
    answers = await asyncio.gather(*(front_ends[n % 4].create(f"room-{n}") for n in range(40)))
    assert carried(pool) == [5, 5, 5]
    assert Counter(map(succeeded, answers)) == {True: 15, False: 25}
    assert {(key_of(answer), answer.findtext("message")) for answer in answers if not succeeded(answer)} == {FULL}


async def test_limits_of_the_settings_hold_for_servers_without_their_own(database_url: str) -> None:
    async with running_pool(database_url, server_max_meetings=2, server_max_users=100) as pool:
        large = pool.fleet.servers[0]
        await pool.change_server(large, max_meetings=4)
        front_ends = [await pool.front_end() for _ in range(3)]
        answers = await asyncio.gather(*(front_ends[n % 3].create(f"room-{n}") for n in range(20)))
        assert carried(pool) == [4, 2, 2]
        assert sum(map(succeeded, answers)) == 8


async def test_a_full_pool_says_so_at_once_and_its_meetings_go_on(pool: RunningPool, front_end: FrontEnd) -> None:
    for number in range(3):
        await front_end.create(f"room-{number}")
    await change_all(pool, front_end, max_meetings=1)
    began = pool.clock.monotonic()
    answer = await front_end.create("one too many")
    assert pool.clock.monotonic() - began < 1
    assert (key_of(answer), answer.findtext("message")) == FULL
    assert (await front_end.get("join", meetingID="room-0", fullName="A", role="VIEWER")).status_code == 302
    assert key_of(await front_end.create("room-1")) == "duplicateWarning"
    await front_end.ask("end", meetingID="room-2")
    assert sum(carried(pool)) == 2


@pytest.mark.parametrize("how", [{"admin_state": "cordoned"}, {"admin_state": "disabled"}, {"max_users": 14}])
async def test_whatever_makes_the_pool_full_is_told_alike(pool: RunningPool, front_end: FrontEnd, how: dict[str, Any]) -> None:
    await change_all(pool, front_end, **how)
    answer = await front_end.create("room")
    assert (key_of(answer), answer.findtext("message")) == FULL


async def test_a_place_that_is_free_again_is_given_away(pool: RunningPool, front_end: FrontEnd) -> None:
    await change_all(pool, front_end, max_meetings=1)
    for number in range(3):
        assert succeeded(await front_end.create(f"room-{number}"))
    (free,) = pool.holders("room-1")
    free.meetings.clear()
    async with pool.database.transaction() as connection:
        await connection.execute("UPDATE meetings SET attempted_at = attempted_at - interval '2 minutes'")
    await pool.poll([free])
    async with asyncio.timeout(5):
        while not succeeded(await front_end.create("next")):
            await asyncio.sleep(0.01)
    assert pool.holders("next") == [free]


async def test_a_meeting_whose_server_refuses_moves_to_none_that_is_full(pool: RunningPool) -> None:
    refusing, full, _ = pool.fleet.servers
    one, other = await pool.front_end(), await pool.front_end()
    await change(full, pool, one, other, max_meetings=1)
    await pool.fleet.set_faults(refusing, Faults(refuse=True))
    answers = await asyncio.gather(*((one, other)[n % 2].create(f"room-{n}") for n in range(12)))
    assert all(map(succeeded, answers))
    assert carried(pool) == [0, 1, 11]


async def test_servers_beyond_soft_limits_take_over_when_nobody_has_room(database_url: str) -> None:
    async with running_pool(database_url, server_soft_meetings=2, server_max_meetings=3) as pool:
        front_end = await pool.front_end()
        await change(pool.fleet.servers[0], pool, front_end, soft_meetings=1, load_multiplier=0.1)
        for number in range(5):
            await front_end.create(f"room-{number}")
        assert sorted(carried(pool)) == [1, 2, 2]
        for number in range(5, 9):
            assert succeeded(await front_end.create(f"room-{number}"))
        assert carried(pool) == [3, 3, 3]
        assert not succeeded(await front_end.create("room-9"))


async def test_whoever_waited_for_a_server_counts_what_came_meanwhile(pool: RunningPool) -> None:
    """The statement began before the place was taken, and goes on after it."""
    wanted = Reservation(server_id=ServerId(pool.fleet.servers[0].name), ceiling=float("inf"), expected=0.0, max_meetings=1)

    def wish(name: str) -> Wish:
        return Wish(key=MeetingKey(DEFAULT_TENANT, name), wanted=wanted, said=Said())

    async with pool.database.transaction() as connection:
        await connection.execute("SELECT FROM servers WHERE id = $1 FOR UPDATE", wanted.server_id)
        waiting = [asyncio.create_task(reserve(pool.database, wish(f"room-{number}"))) for number in range(3)]
        async with asyncio.timeout(5):
            while await _waiting_for_locks(pool) < 3:
                await asyncio.sleep(0.01)
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert sum(isinstance(outcome, Unplaced) for outcome in outcomes) == 2
    assert not any(isinstance(outcome, MeetingTaken) for outcome in outcomes)
    rows = await pool.database.rows("SELECT meeting_id FROM meetings")
    assert len(rows) == 1


async def _waiting_for_locks(pool: RunningPool) -> int:
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    row = await pool.database.statement(query)
    assert row is not None
    return int(row["count"])
