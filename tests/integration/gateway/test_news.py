"""What one gateway placed, the others hear of in the order in which it changed, whoever dies in between."""

import asyncio

import asyncpg
import pytest

from meetingpool.database.engine import plain_url
from meetingpool.database.several_creates import tell_placed
from meetingpool.domain.meetings import DEFAULT_TENANT, Meeting, MeetingKey, MeetingState
from tests.integration.gateway.test_pool_view import until
from tests.pool import FrontEnd, RunningPool

KEY = MeetingKey(DEFAULT_TENANT, "class")
PLACED = """
    INSERT INTO meetings (tenant, meeting_id, host_id, server_id, state, internal_id, expected_users)
    VALUES ('default', 'class', 'class', $1, 'live', $2, 0)
"""


def known(front_end: FrontEnd) -> Meeting | None:
    return front_end.gateway.view.pool.meetings.get(KEY)


async def placed_by_one_that_died(pool: RunningPool) -> None:
    """A live meeting of which nobody was told."""
    server = pool.fleet.servers[0]
    meeting = server.create_meeting("class", name="Class")
    async with pool.database.transaction() as connection:
        await connection.execute(PLACED, server.name, meeting.internal_id)


async def test_others_hear_of_a_new_meeting_and_of_its_server_s_load(pool: RunningPool) -> None:
    here, there = await pool.front_end(), await pool.front_end()
    answer = await here.create("class")
    await until(lambda: (meeting := known(there)) is not None and meeting.state is MeetingState.LIVE)
    meeting = known(there)
    assert meeting is not None
    assert meeting.internal_id == answer.findtext("internalMeetingID")
    assert there.gateway.view.pool.servers[meeting.server_id].load >= 15


async def test_a_meeting_whose_gateway_died_before_it_told_of_it_is_told_of_by_the_next_poll(
    pool: RunningPool, front_end: FrontEnd
) -> None:
    await placed_by_one_that_died(pool)
    assert (await front_end.ask("getMeetings")).find("meetings/meeting") is None
    await pool.poll()
    await until(lambda: known(front_end) is not None)
    assert (await front_end.ask("getMeetings")).findtext("meetings/meeting/meetingID") == "class"


async def test_what_is_being_changed_is_told_of_afterwards(pool: RunningPool, front_end: FrontEnd) -> None:
    await placed_by_one_that_died(pool)
    changing = await asyncpg.connect(plain_url(pool.database.url))
    await changing.execute("BEGIN; UPDATE meetings SET state = 'ending'")
    assert await tell_placed(pool.database, [KEY]) == {KEY}
    front_end.gateway.placer.news.add(KEY)
    await asyncio.sleep(0.1)
    assert known(front_end) is None
    await changing.execute("COMMIT")
    await changing.close()
    await until(lambda: (meeting := known(front_end)) is not None and meeting.state is MeetingState.ENDING)


@pytest.mark.parametrize("there_was_one", [True, False])
async def test_a_meeting_that_is_gone_is_not_told_of(pool: RunningPool, front_end: FrontEnd, there_was_one: bool) -> None:
    if there_was_one:
        await placed_by_one_that_died(pool)
        async with pool.database.transaction() as connection:
            await connection.execute("DELETE FROM meetings")
    assert await tell_placed(pool.database, [KEY]) == set()
    await front_end.create("another")
    await until(lambda: len(front_end.gateway.view.pool.meetings) == 1)
    assert known(front_end) is None


async def test_a_gateway_that_stops_tells_of_what_it_placed_last(pool: RunningPool, front_end: FrontEnd) -> None:
    await placed_by_one_that_died(pool)
    news = type(front_end.gateway.placer.news)(pool.database)
    telling = asyncio.create_task(news.run())
    await asyncio.sleep(0)
    news.add(KEY)
    telling.cancel()
    await asyncio.gather(telling, return_exceptions=True)
    await until(lambda: known(front_end) is not None)
