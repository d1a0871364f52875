"""Whatever ends a meeting writes once how it was, in the same statement: when it began and ended, and how many were in it."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta

import pytest

from meetingpool.database import polls
from meetingpool.database.engine import Database
from meetingpool.database.meetings import find_meeting, forget, forget_all_on
from meetingpool.database.past_meetings import (
    delete_past_meetings_of,
    first_begin,
    last_meetings,
    meetings_begun,
    meetings_ended,
    purge_meetings_of_nobody,
    purge_past_meetings,
)
from meetingpool.domain.meetings import DEFAULT_TENANT, MeetingKey, MeetingState, ReportedMeeting
from meetingpool.domain.past_meetings import PastMeeting
from meetingpool.domain.servers import ServerId
from meetingpool.operations.panic_server import panic_server
from meetingpool.operations.record_polls import Poll
from simulator.faults import Faults
from simulator.server import SimulatedServer
from tests.actors import SOMEBODY
from tests.keys import KEYRING
from tests.pool import FrontEnd, RunningPool, meeting_row, succeeded
from tests.tenants import add_tenants

CLASS = MeetingKey(DEFAULT_TENANT, "class")
# What passes between two statements of a test, in seconds.
SLACK = 10.0
PATIENCE = 10.0


async def pass_time(pool: RunningPool, seconds: float, *, polled: bool = True) -> None:
    """The same as if so many seconds had passed, in which servers were `polled` or not, and nothing changed."""
    shift = timedelta(seconds=seconds)
    async with pool.database.transaction() as connection:
        await connection.execute(
            "UPDATE meetings SET created_at = created_at - $1::interval, attempted_at = attempted_at - $1::interval, "
            "over_since = over_since - $1::interval",
            shift,
        )
        await connection.execute("UPDATE servers SET last_poll = last_poll - $1::interval", timedelta() if polled else shift)
        await connection.execute(
            "UPDATE past_meetings SET began_at = began_at - $1::interval, ended_at = ended_at - $1::interval", shift
        )


async def begun(front_end: FrontEnd, pool: RunningPool, people: int = 3) -> SimulatedServer:
    """The meeting is live with so many people, as a poll has seen. Returns its server."""
    await front_end.create("class")
    (holder,) = pool.holders("class")
    await see(pool, holder, people)
    return holder


async def see(pool: RunningPool, server: SimulatedServer, *people: int, internal_id: str | None = None, ago: float = 0.0) -> None:
    """A poll of the server that began `ago` seconds ago finds the meeting with so many people; without, it finds none."""
    known = await meeting_row(pool.database, "class")
    found = internal_id or (known.internal_id if known else None) or "class-1"
    meetings = tuple(
        ReportedMeeting(meeting_id="class", internal_id=found, created_ms=None, users=users, videos=0, is_breakout=False)
        for users in people
    )
    name = ServerId(server.name)
    poll = Poll(server_id=name, began=pool.clock.monotonic() - ago, meetings=meetings, ages=tuple(60.0 for _ in meetings))
    await pool.record({name: poll})


async def curve(pool: RunningPool) -> list[int | None]:
    row = await pool.database.statement("SELECT curve FROM meetings WHERE meeting_id = 'class'")
    assert row is not None
    return list(row["curve"])


async def kept(database: Database) -> list[PastMeeting]:
    async with database.transaction() as connection:
        return await last_meetings(connection, 100)


async def lasted(pool: RunningPool) -> float:
    """The seconds of the one meeting that is kept."""
    (meeting,) = await kept(pool.database)
    return meeting.seconds


async def test_a_meeting_remembers_how_many_people_each_minute_ended_with(pool: RunningPool, front_end: FrontEnd) -> None:
    holder = await begun(front_end, pool, people=3)
    await pass_time(pool, 60)
    await see(pool, holder, 5)
    await pass_time(pool, 180)
    await see(pool, holder, 2)
    assert await curve(pool) == [3, 5, None, None, 2]


async def test_of_several_changes_in_a_minute_the_last_counts(pool: RunningPool, front_end: FrontEnd) -> None:
    holder = await begun(front_end, pool, people=3)
    await pass_time(pool, 60)
    for people in (9, 4, 0):
        await see(pool, holder, people)
    assert await curve(pool) == [3, 0]


async def test_a_change_counts_for_the_minute_in_which_the_poll_began(pool: RunningPool, front_end: FrontEnd) -> None:
    holder = await begun(front_end, pool, people=3)
    await pass_time(pool, 65)
    await see(pool, holder, 8, ago=7)
    assert await curve(pool) == [8]


async def test_a_meeting_in_which_nothing_changes_is_not_written(pool: RunningPool, front_end: FrontEnd) -> None:
    holder = await begun(front_end, pool, people=3)
    await pass_time(pool, 600)
    await see(pool, holder, 4)
    row = "SELECT ctid FROM meetings"
    before = await pool.database.statement(row)
    await pass_time_for_nobody(pool)
    await see(pool, holder, 4)
    assert await pool.database.statement(row) == before
    await see(pool, holder, 5)
    assert await pool.database.statement(row) != before


async def pass_time_for_nobody(pool: RunningPool) -> None:
    """The last poll was a minute ago, and no meeting's row is touched."""
    await pool.database.statement("UPDATE servers SET last_poll = last_poll - interval '1 minute'")


async def test_the_curve_of_an_endless_meeting_ends_after_a_day(pool: RunningPool, front_end: FrontEnd) -> None:
    holder = await begun(front_end, pool, people=3)
    await pass_time(pool, 40 * 3600)
    for people in (6, 7):
        await see(pool, holder, people)
    found = await curve(pool)
    assert (len(found), found[0], found[-1]) == (1440, 3, 7)


async def test_a_meeting_that_its_server_lists_no_more_is_kept(pool: RunningPool, front_end: FrontEnd) -> None:
    holder = await begun(front_end, pool, people=3)
    await pass_time(pool, 1800)
    await see(pool, holder)
    (meeting,) = await kept(pool.database)
    assert (meeting.key, meeting.server_id, meeting.curve, meeting.peak) == (CLASS, holder.name, (3,), 3)
    assert meeting.seconds == pytest.approx(1800, abs=SLACK)
    assert datetime.now(UTC) - meeting.ended_at < timedelta(seconds=SLACK)
    assert await meeting_row(pool.database, "class") is None


async def test_one_that_nobody_was_in_is_kept_and_one_that_was_only_reserved_is_not(
    pool: RunningPool, front_end: FrontEnd
) -> None:
    for server in pool.fleet.servers:
        await pool.fleet.set_faults(server, Faults(drop_before=True, calls=frozenset({"create"})))
    await front_end.create("never")
    row = await meeting_row(pool.database, "never")
    assert row is not None
    assert row.state is MeetingState.UNKNOWN
    for server in pool.fleet.servers:
        await pool.fleet.set_faults(server, Faults())
    await begun(front_end, pool, people=0)
    await pass_time(pool, 600)
    for server in pool.fleet.servers:
        await see(pool, server)
    assert await meeting_row(pool.database, "never") is None
    assert [(meeting.key, meeting.curve) for meeting in await kept(pool.database)] == [(CLASS, (0,))]


async def test_it_ends_when_it_was_found_over_and_not_when_it_is_forgotten(pool: RunningPool, front_end: FrontEnd) -> None:
    holder = await begun(front_end, pool)
    await pass_time(pool, 30)
    await see(pool, holder)
    row = await meeting_row(pool.database, "class")
    assert row is not None
    assert (row.state, row.users, await kept(pool.database)) == (MeetingState.ENDING, 0, [])
    await pass_time(pool, 100)
    await see(pool, holder)
    assert await lasted(pool) == pytest.approx(30, abs=SLACK)


async def test_it_ends_when_a_front_end_has_ended_it(pool: RunningPool, front_end: FrontEnd) -> None:
    holder = await begun(front_end, pool)
    await pass_time(pool, 300)
    assert succeeded(await front_end.ask("end", meetingID="class"))
    await pass_time(pool, 40)
    await see(pool, holder)
    assert await lasted(pool) == pytest.approx(300, abs=SLACK)


async def test_one_that_is_listed_again_has_not_ended_yet(pool: RunningPool, front_end: FrontEnd) -> None:
    holder = await begun(front_end, pool)
    await pass_time(pool, 30)
    await see(pool, holder)
    await pass_time(pool, 60)
    await see(pool, holder, 0)
    await pass_time(pool, 600)
    await see(pool, holder)
    assert await lasted(pool) == pytest.approx(690, abs=SLACK)


async def test_one_that_its_server_does_not_know_any_more_is_kept(pool: RunningPool, front_end: FrontEnd) -> None:
    holder = await begun(front_end, pool)
    await pass_time(pool, 900)
    holder.meetings.clear()
    await front_end.ask("getMeetingInfo", meetingID="class")
    assert await meeting_row(pool.database, "class") is None
    assert await lasted(pool) == pytest.approx(900, abs=SLACK)


async def test_one_that_its_server_does_not_know_ends_then_though_it_is_too_young_to_be_forgotten(
    pool: RunningPool, front_end: FrontEnd
) -> None:
    holder = await begun(front_end, pool)
    holder.meetings.clear()
    await front_end.ask("getMeetingInfo", meetingID="class")
    await pass_time(pool, 200)
    await see(pool, holder)
    assert await lasted(pool) == pytest.approx(0, abs=SLACK)


async def test_the_meetings_of_a_server_that_is_given_up_are_kept(pool: RunningPool, front_end: FrontEnd) -> None:
    holder = await begun(front_end, pool)
    await pass_time(pool, 900)
    await panic_server(pool.database, front_end.gateway.client, pool.clock, SOMEBODY, holder.name)
    assert await lasted(pool) == pytest.approx(900, abs=SLACK)


async def test_one_that_moves_off_a_dead_server_ended_there_and_begins_anew(pool: RunningPool, front_end: FrontEnd) -> None:
    holder = await begun(front_end, pool, people=8)
    await pass_time(pool, 1200)
    await pool.fleet.set_faults(holder, Faults(refuse=True))
    await pool.change_server(holder, health="dead")
    await asyncio.sleep(0.1)
    assert succeeded(await front_end.create("class"))
    (meeting,) = await kept(pool.database)
    assert (meeting.server_id, meeting.curve) == (holder.name, (8,))
    row = await meeting_row(pool.database, "class")
    assert row is not None
    assert row.server_id != holder.name
    assert await curve(pool) == [0]


async def test_a_reservation_that_moves_was_no_meeting(pool: RunningPool, front_end: FrontEnd) -> None:
    first, *_ = pool.fleet.servers
    for server in pool.fleet.servers[1:]:
        await pool.change_server(server, load=5.0)
    await asyncio.sleep(0.1)
    await pool.fleet.set_faults(first, Faults(refuse=True))
    assert succeeded(await front_end.create("class"))
    row = await meeting_row(pool.database, "class")
    assert row is not None
    assert row.server_id != first.name
    assert await kept(pool.database) == []


async def test_one_that_its_server_makes_anew_for_a_create_is_another(pool: RunningPool, front_end: FrontEnd) -> None:
    holder = await begun(front_end, pool, people=8)
    await pass_time(pool, 700)
    holder.meetings.clear()
    assert succeeded(await front_end.create("class"))
    (meeting,) = await kept(pool.database)
    assert meeting.curve == (8,)
    assert meeting.seconds == pytest.approx(700, abs=SLACK)
    assert await curve(pool) == [0]
    await pass_time(pool, 90)
    await see(pool, holder)
    last, before = await kept(pool.database)
    assert last.began_at == before.ended_at
    assert last.seconds == pytest.approx(90, abs=SLACK)


async def test_a_room_that_is_used_again_before_its_meeting_is_forgotten_has_had_two(
    pool: RunningPool, front_end: FrontEnd
) -> None:
    holder = await begun(front_end, pool)
    await pass_time(pool, 300)
    assert succeeded(await front_end.ask("end", meetingID="class"))
    await pass_time(pool, 40)
    holder.meetings.clear()
    assert succeeded(await front_end.create("class"))
    await pass_time(pool, 90)
    await see(pool, holder)
    assert [meeting.seconds for meeting in await kept(pool.database)] == [
        pytest.approx(90, abs=SLACK),
        pytest.approx(300, abs=SLACK),
    ]


async def test_one_that_a_poll_finds_under_another_internal_id_is_another(pool: RunningPool, front_end: FrontEnd) -> None:
    holder = await begun(front_end, pool, people=8)
    await pass_time(pool, 700)
    await see(pool, holder, 2, internal_id="class-2")
    (meeting,) = await kept(pool.database)
    assert meeting.curve == (8,)
    row = await meeting_row(pool.database, "class")
    assert row is not None
    assert row.created_at is not None
    assert (row.internal_id, row.users, await curve(pool)) == ("class-2", 2, [2])
    assert datetime.now(UTC) - row.created_at < timedelta(seconds=SLACK)


async def test_a_list_that_is_older_than_the_new_meeting_says_nothing_of_it(pool: RunningPool, front_end: FrontEnd) -> None:
    holder = await begun(front_end, pool, people=8)
    await pass_time(pool, 700)
    holder.meetings.clear()
    await front_end.create("class")
    row = await meeting_row(pool.database, "class")
    await see(pool, holder, 8, internal_id="the one before", ago=30)
    assert await meeting_row(pool.database, "class") == row
    assert len(await kept(pool.database)) == 1


async def test_an_end_that_nobody_watched_was_at_most_a_minute_after_the_last_look(
    pool: RunningPool, front_end: FrontEnd
) -> None:
    holder = await begun(front_end, pool)
    await pass_time(pool, 1200)
    await pass_time(pool, 3600, polled=False)
    await see(pool, holder)
    assert await lasted(pool) == pytest.approx(1260, abs=SLACK)


async def test_so_was_one_that_is_first_found_over_and_forgotten_later(pool: RunningPool, front_end: FrontEnd) -> None:
    holder = await begun(front_end, pool)
    await pass_time(pool, 3600, polled=False)
    await pool.database.statement("UPDATE meetings SET attempted_at = now() - interval '30 s'")
    await see(pool, holder)
    await pass_time(pool, 100)
    await see(pool, holder)
    assert await lasted(pool) == pytest.approx(60, abs=SLACK)


async def _poll_finds_none(pool: RunningPool, database: Database) -> None:
    server = (await pool.servers()).popitem()[0]
    async with database.transaction() as connection:
        await polls.lock_servers(connection, [ServerId(server)])
        every = {ServerId(name): 0.0 for name in await pool.servers()}
        await polls.record_meetings(connection, every, polls.Reported(), quiet_for=1.0, touch_lasts=60.0)


async def _forgets(pool: RunningPool, database: Database) -> None:
    async with pool.database.transaction() as connection:
        meeting = await find_meeting(connection, CLASS)
    assert meeting is not None
    async with database.transaction() as connection:
        await forget(connection, meeting, quiet_for=1.0, touch_lasts=60.0)


async def _gives_up_server(pool: RunningPool, database: Database) -> None:
    async with database.transaction() as connection:
        for name in await pool.servers():
            await forget_all_on(connection, ServerId(name))


@pytest.mark.parametrize("late", [_poll_finds_none, _forgets, _gives_up_server])
@pytest.mark.parametrize("first", ["DELETE FROM meetings", "UPDATE meetings SET internal_id = NULL, attempted_at = now()"])
async def test_what_two_end_at_once_is_kept_once(
    pool: RunningPool, front_end: FrontEnd, late: Callable[[RunningPool, Database], Coroutine[None, None, None]], first: str
) -> None:
    await begun(front_end, pool)
    await pass_time(pool, 900)
    other = Database(pool.database.url, name="late", pool_size=1, keyring=KEYRING)
    async with pool.database.transaction() as connection:
        await connection.execute(first)
        waiting = asyncio.create_task(late(pool, other))
        await _until_it_waits(pool.database)
    await waiting
    await other.close()
    assert len(await kept(pool.database)) == 1


async def _until_it_waits(database: Database) -> None:
    asked = "SELECT FROM pg_stat_activity WHERE application_name = 'meetingpool late' AND wait_event_type = 'Lock'"
    async with asyncio.timeout(PATIENCE):
        while await database.statement(asked) is None:
            await asyncio.sleep(0.01)


BEGIN = datetime(2026, 7, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


async def keep(database: Database, name: str, began: datetime, hours: float = 1.0, tenant: str = DEFAULT_TENANT) -> None:
    statement = (
        "INSERT INTO past_meetings (tenant, meeting_id, server_id, began_at, ended_at, curve) VALUES ($1, $2, 's', $3, $4, $5)"
    )
    async with database.transaction() as connection:
        await connection.execute(statement, tenant, name, began, began + hours * HOUR, [1, None, 2])


async def names(found: object) -> list[str]:
    return [meeting.key.meeting_id async for meeting in found]  # type: ignore[attr-defined]


async def test_a_period_is_read_in_the_order_of_begins_whatever_the_pieces(database: Database) -> None:
    for number in (3, 1, 2, 0, 4):
        await keep(database, f"m{number}", BEGIN + number // 2 * HOUR)
    for piece in (1, 2, 3, 5, 6):
        everything = await names(meetings_begun(database, BEGIN, BEGIN + 3 * HOUR, piece=piece))
        assert sorted(everything) == ["m0", "m1", "m2", "m3", "m4"]
        assert [name[1] in "01" for name in everything] == [True, True, False, False, False]
        assert await names(meetings_begun(database, BEGIN + HOUR, BEGIN + 2 * HOUR, piece=piece)) == ["m3", "m2"]
    assert await first_begin(database) == BEGIN


async def test_what_ended_since_is_read_in_the_order_of_ends(database: Database) -> None:
    await keep(database, "early", BEGIN)
    await keep(database, "long", BEGIN, hours=5)
    await keep(database, "short", BEGIN + HOUR, hours=1)
    for piece in (1, 2, 3):
        assert await names(meetings_ended(database, BEGIN + 2 * HOUR, piece=piece)) == ["short", "long"]
    assert await first_begin(database) == BEGIN


async def test_nothing_is_read_of_nothing(database: Database) -> None:
    assert await names(meetings_begun(database, BEGIN, BEGIN + HOUR)) == []
    assert await first_begin(database) is None


async def test_the_last_meetings_of_a_room_a_tenant_or_all(database: Database) -> None:
    await keep(database, "a", BEGIN)
    await keep(database, "a", BEGIN + HOUR)
    await keep(database, "b", BEGIN + 2 * HOUR)
    await keep(database, "a", BEGIN + 3 * HOUR, tenant="other")

    async def found(limit: int, **wanted: str) -> list[tuple[str, str, int]]:
        async with database.transaction() as connection:
            return [
                (meeting.key.tenant, meeting.key.meeting_id, (meeting.began_at - BEGIN) // HOUR)
                for meeting in await last_meetings(connection, limit, **wanted)
            ]

    assert await found(2) == [("other", "a", 3), ("default", "b", 2)]
    assert await found(9, tenant="default") == [("default", "b", 2), ("default", "a", 1), ("default", "a", 0)]
    assert await found(9, meeting_id="a") == [("other", "a", 3), ("default", "a", 1), ("default", "a", 0)]
    assert await found(1, tenant="default", meeting_id="a") == [("default", "a", 1)]


async def test_old_meetings_are_dropped_some_at_a_time(database: Database) -> None:
    now = datetime.now(UTC)
    for days in (10, 70, 80, 90):
        await keep(database, f"m{days}", now - timedelta(days=days))
    async with database.transaction() as connection:
        assert [await purge_past_meetings(connection, 60, 2) for _ in range(3)] == [2, 1, 0]
    assert [meeting.key.meeting_id for meeting in await kept(database)] == ["m10"]


async def test_the_meetings_of_a_tenant_go_with_it_and_those_that_end_later_with_the_next_purge(database: Database) -> None:
    await add_tenants(database, "school")
    await keep(database, "school's", BEGIN, tenant="id-of-school")
    await keep(database, "of one that is gone", BEGIN, tenant="gone")
    await keep(database, "default's", BEGIN)
    async with database.transaction() as connection:
        assert [await purge_meetings_of_nobody(connection, 10) for _ in range(2)] == [1, 0]
    assert {meeting.key.meeting_id for meeting in await kept(database)} == {"school's", "default's"}
    async with database.transaction() as connection:
        await delete_past_meetings_of(connection, "id-of-school")
    assert {meeting.key.meeting_id for meeting in await kept(database)} == {"default's"}
