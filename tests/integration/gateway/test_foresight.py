"""Meetings count from their create on for what their rooms usually become, and large ones find room when they come."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import httpx
import pytest

from meetingpool.database.foresight import find_rooms
from meetingpool.domain.meetings import DEFAULT_TENANT, MeetingKey
from meetingpool.domain.outlook import STALE_AFTER
from meetingpool.domain.pool import Pool
from simulator.faults import Faults
from tests.foreseen import DAY, MINUTE, WEEK, add_past_meeting, execute, fetch, foreseeing
from tests.pool import FrontEnd, RunningPool, meeting_row, running_pool, succeeded
from tests.tenants import add_tenants

LECTURE = MeetingKey(DEFAULT_TENANT, "lecture")
PATIENCE = 10.0


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


async def foreseen(pool: RunningPool, *front_ends: FrontEnd) -> None:
    """The poller has looked ahead, and these gateways know."""
    before = [front_end.gateway.view.pool.outlook for front_end in front_ends]
    await foreseeing(pool.database).round()
    await until(lambda: all(f.gateway.view.pool.outlook is not known for f, known in zip(front_ends, before, strict=True)))


async def expected(pool: RunningPool, meeting_id: str) -> tuple[float, float]:
    """Of how many people the reservation was made, and for how many seconds all of them are expected."""
    rows = await fetch(pool.database, "SELECT expected_users, expected_for FROM meetings WHERE meeting_id = $1", meeting_id)
    return rows[0][0], rows[0][1]


async def load_of(pool: RunningPool, meeting_id: str) -> float:
    """Of the server that has the meeting."""
    meeting = await meeting_row(pool.database, meeting_id)
    assert meeting is not None
    return (await pool.servers())[meeting.server_id].load


async def learnt_lecture(pool: RunningPool, *front_ends: FrontEnd, ago: float = 3 * DAY, users: int = 200) -> None:
    """The room had several meetings, the last of them `ago`; each had filled after ten minutes."""
    for weeks in (3, 2, 1, 0):
        await add_past_meeting(pool.database, "lecture", ago=weeks * WEEK + ago, users=users, fills_in=10)
    await foreseen(pool, *front_ends)


@pytest.mark.parametrize("ago", [3 * DAY, WEEK - 2 * MINUTE], ids=["at any time", "when it is due"])
async def test_a_known_room_counts_its_usual_people_at_once(pool: RunningPool, front_end: FrontEnd, ago: float) -> None:
    await learnt_lecture(pool, front_end, ago=ago)
    await front_end.create("lecture")

    users, holds_for = await expected(pool, "lecture")
    assert 150 < users < 250
    assert holds_for == pytest.approx(600)
    assert await load_of(pool, "lecture") == pytest.approx(users)


async def test_they_count_until_the_room_is_usually_full_and_fade_then(pool: RunningPool, front_end: FrontEnd) -> None:
    await learnt_lecture(pool, front_end)
    await front_end.create("lecture")
    (holder,) = pool.holders("lecture")
    users, _ = await expected(pool, "lecture")
    loads = []
    for minutes in (9, 10 + 7.5, 26):
        await execute(
            pool.database,
            "UPDATE meetings SET created_at = now() - make_interval(secs => $1), attempted_at = now() - interval '9 h'",
            60.0 * minutes,
        )
        poll = await pool.poller.poll((await pool.servers())[holder.name])
        await pool.record({poll.server_id: replace(poll, ages=(60.0 * minutes,))})
        loads.append((await pool.servers())[holder.name].load)

    assert loads == pytest.approx([users, users / 2, 0], abs=2)


async def test_a_new_room_counts_what_is_typical_or_what_its_create_says(pool: RunningPool, front_end: FrontEnd) -> None:
    for number in range(30):
        await add_past_meeting(pool.database, f"room-{number}", users=4, ago=3 * DAY + number)
    await foreseen(pool, front_end)
    await front_end.create("typical")
    await front_end.create("said", **{"meta_bbb-meeting-size-hint": "80"})
    await front_end.create("few", **{"meta_bbb-meeting-size-hint": "80", "maxParticipants": "5"})
    await front_end.create("garbage", **{"meta_bbb-meeting-size-hint": "eighty", "maxParticipants": "0"})

    typical, _ = await expected(pool, "typical")
    assert 4 < typical < 12
    assert [await expected(pool, name) for name in ("said", "few", "garbage")] == [(80, 0), (5, 0), (typical, 0)]


async def test_without_history_a_meeting_counts_as_the_settings_say(database_url: str) -> None:
    async with running_pool(database_url, load_min_user_count=7) as pool:
        front_end = await pool.front_end()
        await foreseeing(pool.database).round()
        await front_end.create("first")

        assert await expected(pool, "first") == (7, 0)


async def test_of_creates_at_the_same_moment_each_counts_its_own_room(pool: RunningPool, front_end: FrontEnd) -> None:
    names = [f"room-{number}" for number in range(12)]
    for number, name in enumerate(names):
        await add_past_meeting(pool.database, name, ago=3 * DAY, users=10 * (number + 1))
    await foreseen(pool, front_end)
    await asyncio.gather(*(front_end.create(name) for name in [*names, "new"]))
    known = await find_rooms(pool.database, [MeetingKey(DEFAULT_TENANT, name) for name in names])

    assert [(await expected(pool, key.meeting_id))[0] for key in known] == pytest.approx([room[0] for room in known.values()])


async def test_small_meetings_leave_room_for_a_lecture_that_is_due_and_it_gets_that(
    pool: RunningPool, front_end: FrontEnd
) -> None:
    await learnt_lecture(pool, front_end, ago=WEEK - 2 * MINUTE)
    for number in range(8):
        assert succeeded(await front_end.create(f"small-{number}"))
    assert sorted(len(server.meetings) for server in pool.fleet.servers) == [0, 4, 4]
    (empty,) = [server for server in pool.fleet.servers if not server.meetings]
    await front_end.create("lecture")

    assert pool.holders("lecture") == [empty]
    assert not front_end.gateway.view.pool.kept


async def test_a_lecture_whose_create_lets_in_fewer_gets_its_room_too(pool: RunningPool, front_end: FrontEnd) -> None:
    await learnt_lecture(pool, front_end, ago=WEEK - 2 * MINUTE)
    for number in range(4):
        await front_end.create(f"small-{number}")
    (empty,) = [server for server in pool.fleet.servers if not server.meetings]
    await front_end.create("lecture", maxParticipants="20")

    assert pool.holders("lecture") == [empty]
    assert (await expected(pool, "lecture"))[0] == 20


async def test_two_gateways_keep_the_same_room(pool: RunningPool, front_end: FrontEnd) -> None:
    there = await pool.front_end()
    # Servers that carry the same are drawn; which is least loaded is plain here.
    for number, server in enumerate(pool.fleet.servers):
        await pool.change_server(server, load=float(number))
    for each in (front_end, there):
        known = each.gateway.view.pool
        await until(lambda: sorted(server.load for server in known.servers.values()) == [0.0, 1.0, 2.0])  # noqa: B023
    await learnt_lecture(pool, front_end, there, ago=WEEK - 2 * MINUTE)
    await asyncio.gather(*((front_end, there)[number % 2].create(f"small-{number}") for number in range(8)))

    assert sorted(len(server.meetings) for server in pool.fleet.servers) == [0, 4, 4]
    await there.create("lecture")
    await until(lambda: not front_end.gateway.view.pool.kept)


async def test_an_outlook_that_is_not_renewed_is_dropped(pool: RunningPool, front_end: FrontEnd) -> None:
    known = front_end.gateway.view.pool
    await learnt_lecture(pool, front_end, ago=WEEK - 2 * MINUTE)
    assert known.kept
    await execute(pool.database, "UPDATE foresight SET told_at = now() - make_interval(secs => $1)", STALE_AFTER - 0.5)
    await execute(pool.database, "SELECT pg_notify('meetingpool', $1)", '{"kind": "foresight", "items": [1]}')
    await until(lambda: known.outlook.age > 1)
    assert known.kept
    await until(lambda: not known.kept)

    # A gateway that starts only now does not even begin to wait.
    await execute(pool.database, "UPDATE foresight SET told_at = now() - make_interval(secs => $1)", STALE_AFTER + 1)
    late = (await pool.front_end()).gateway.view.pool
    assert not late.kept
    assert late.outlook.knows_rooms


async def test_rooms_of_a_tenant_say_nothing_of_anothers_room_of_the_same_id(pool: RunningPool) -> None:
    await add_tenants(pool.database, "school")
    front_end = await pool.front_end()
    for weeks in (3, 2, 1):
        await add_past_meeting(pool.database, "lecture", ago=weeks * WEEK - 2 * MINUTE, users=400, tenant="id-of-school")
    await foreseen(pool, front_end)
    assert set(front_end.gateway.view.pool.kept.upcoming) == {MeetingKey("id-of-school", "lecture")}
    await front_end.create("lecture")
    await front_end.create("another")

    assert await expected(pool, "lecture") == await expected(pool, "another")
    assert set(front_end.gateway.view.pool.kept.upcoming) == {MeetingKey("id-of-school", "lecture")}


async def test_joins_count_from_the_one_beyond_those_expected(pool: RunningPool, front_end: FrontEnd) -> None:
    there = await pool.front_end()
    await front_end.create("small", maxParticipants="3")
    known = (await meeting_row(pool.database, "small")).server_id  # type: ignore[union-attr]

    def load(gateway: FrontEnd) -> float:
        view: Pool = gateway.gateway.view.pool
        return view.load_of(view.servers[known])

    await until(lambda: load(there) == 3)
    for number in range(3):
        await join(front_end, "small", f"user {number}")
    assert load(front_end) == 3
    await join(front_end, "small", "a fourth")
    assert load(front_end) == 4
    await until(lambda: load(there) == 4)


async def join(front_end: FrontEnd, meeting_id: str, name: str) -> httpx.Response:
    response = await front_end.get("join", meetingID=meeting_id, fullName=name, role="VIEWER")
    assert response.status_code == 302
    return response


async def test_what_is_expected_is_known_to_a_gateway_that_did_not_place_the_meeting(
    pool: RunningPool, front_end: FrontEnd
) -> None:
    there = await pool.front_end()
    await front_end.create("said", **{"meta_bbb-meeting-size-hint": "80"})
    key = MeetingKey(DEFAULT_TENANT, "said")
    await until(lambda: key in there.gateway.view.pool.meetings)
    late = await pool.front_end()

    assert [each.gateway.view.pool.meetings[key].expected_users for each in (front_end, there, late)] == [80, 80, 80]


async def test_a_process_of_an_older_version_says_nothing_of_what_is_expected(pool: RunningPool, front_end: FrontEnd) -> None:
    view = front_end.gateway.view.pool
    server = pool.fleet.servers[0].name
    new = f'["default", "old", "{server}", 900001, "live", "internal", null, 33.5]'
    await execute(pool.database, "SELECT pg_notify('meetingpool', $1)", f'{{"kind": "placed", "items": [{new}]}}')
    moved = f'["default", "said", "{server}", 900002, "live", "internal", null]'
    await execute(pool.database, "SELECT pg_notify('meetingpool', $1)", f'{{"kind": "meetings", "items": [{moved}]}}')
    await until(lambda: MeetingKey("default", "said") in view.meetings)

    assert [view.meetings[MeetingKey("default", name)].generation for name in ("old", "said")] == [900001, 900002]
    assert view.servers[server].load == 33.5  # type: ignore[index]


async def test_a_meeting_that_moves_is_expected_as_its_room_is(pool: RunningPool, front_end: FrontEnd) -> None:
    await learnt_lecture(pool, front_end)
    await front_end.create("lecture")
    before = await meeting_row(pool.database, "lecture")
    assert before is not None
    await execute(pool.database, "UPDATE meetings SET expected_users = 0, expected_for = 0")
    await pool.fleet.set_faults(pool.simulated(before.server_id), Faults(refuse=True))
    await execute(pool.database, "UPDATE servers SET health = 'dead' WHERE id = $1", before.server_id)
    await execute(pool.database, 'SELECT pg_notify(\'meetingpool\', \'{"kind": "servers", "items": ["x"]}\')')
    await until(lambda: front_end.gateway.view.pool.servers[before.server_id].health == "dead")
    assert succeeded(await front_end.create("lecture"))

    after = await meeting_row(pool.database, "lecture")
    assert after is not None
    assert after.server_id != before.server_id
    users, holds_for = await expected(pool, "lecture")
    assert users > 150
    assert holds_for == pytest.approx(600)
