"""Repeats of a live meeting go unwritten for a minute, in which its mapping stays. Nobody else is to see that minute."""

import asyncio
from datetime import timedelta

from meetingpool.database.creates import Reservation, Said, Wish, reserve_within
from meetingpool.database.tenants import people_of
from meetingpool.domain.meetings import DEFAULT_TENANT, MeetingKey
from meetingpool.domain.repeats import MARK
from meetingpool.domain.servers import AdminState, ServerId
from meetingpool.operations.change_server_state import change_state
from meetingpool.operations.changes import changing
from simulator.server import SimulatedServer
from tests.actors import SOMEBODY
from tests.pool import FrontEnd, RunningPool, succeeded


async def pass_time(pool: RunningPool, front_end: FrontEnd, seconds: int) -> None:
    """As if so many seconds had passed, for the database and for what the process wrote down."""
    statement = "UPDATE meetings SET attempted_at = attempted_at - $1::interval, created_at = created_at - $1::interval"
    await pool.database.statement(statement, timedelta(seconds=seconds))
    recent = front_end.gateway.placer.recent
    recent._begun = {  # noqa: SLF001
        key: (began - seconds, attempt)
        for key, (began, attempt) in recent._begun.items()  # noqa: SLF001
    }


async def ended_by_itself(pool: RunningPool, front_end: FrontEnd) -> SimulatedServer:
    """Half a minute after its last create, which is more than any create takes (7 s here), a meeting is over."""
    await front_end.create("class")
    (holder,) = pool.holders("class")
    await pool.poll()
    await pool.database.statement("UPDATE meetings SET users = 25")
    await pass_time(pool, front_end, 30)
    holder.meetings.clear()
    await pool.poll()
    return holder


async def test_a_room_can_be_created_after_its_server_was_retired(pool: RunningPool, front_end: FrontEnd) -> None:
    await front_end.create("class")
    (holder,) = pool.holders("class")
    await pool.change_server(holder, admin_state="cordoned")
    await pool.poll()
    await pass_time(pool, front_end, 30)
    holder.meetings.clear()
    for _ in range(2):
        await pool.poll()
    await asyncio.sleep(0.3)
    assert succeeded(await front_end.create("class"))


async def test_trying_again_does_not_keep_a_room_on_a_disabled_server(pool: RunningPool, front_end: FrontEnd) -> None:
    await front_end.create("class")
    (holder,) = pool.holders("class")
    assert succeeded(await front_end.ask("end", meetingID="class"))
    async with changing(pool.database, SOMEBODY) as change:
        await change_state(change, holder.name, AdminState.DISABLED)
    await asyncio.sleep(0.3)
    answers = [False]
    while not answers[-1] and len(answers) < 8:
        await pass_time(pool, front_end, 40)
        answers.append(succeeded(await front_end.create("class")))
        await pool.poll()
    assert answers[-1], f"not in {40 * len(answers)} seconds"


async def test_a_meeting_that_is_over_takes_no_place_of_its_tenant(pool: RunningPool, front_end: FrontEnd) -> None:
    await ended_by_itself(pool, front_end)
    wanted = Reservation(server_id=ServerId(pool.fleet.servers[1].name), ceiling=float("inf"), expected=2.0)
    next_one = Wish(key=MeetingKey(DEFAULT_TENANT, "next"), wanted=wanted, said=Said(parameters={MARK: "1"}))
    assert await reserve_within(pool.database, next_one, 1)


async def test_nobody_is_in_a_meeting_that_is_over(pool: RunningPool, front_end: FrontEnd) -> None:
    await ended_by_itself(pool, front_end)
    async with pool.database.transaction() as connection:
        assert (await people_of(connection, [DEFAULT_TENANT])).get(DEFAULT_TENANT, 0) == 0


async def test_a_meeting_that_is_over_keeps_its_server_on_for_nobody(pool: RunningPool, front_end: FrontEnd) -> None:
    holder = await ended_by_itself(pool, front_end)
    async with changing(pool.database, SOMEBODY) as change:
        await change_state(change, holder.name, AdminState.DISABLED)
