"""What polls do to health, load and mappings: evidence counts, silence does not."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from meetingpool.domain.health import Thresholds
from meetingpool.domain.meetings import MeetingState, ReportedMeeting
from meetingpool.domain.servers import AdminState, Health, ServerId
from meetingpool.operations.record_polls import Poll
from simulator.faults import NO_FAULTS, BrokenBody, Faults
from tests.pool import FrontEnd, RunningPool, key_of, meeting_row, running_pool, succeeded


def ago(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


async def test_a_poll_writes_what_a_server_carries(pool: RunningPool) -> None:
    server = pool.fleet.servers[0]
    server.create_meeting("a", name="A", people=20)
    server.create_meeting("b", name="B", people=4)
    await pool.poll()
    row = (await pool.servers())[server.name]
    assert (row.meetings, row.users, row.largest_meeting, row.bbb_version) == (2, 24, 20, "3.0.19")
    assert row.load == pytest.approx(20 + 15, abs=0.1)
    assert row.last_poll is not None


async def test_the_multiplier_scales_the_load(pool: RunningPool) -> None:
    server = pool.fleet.servers[0]
    server.create_meeting("a", name="A", people=20)
    await pool.change_server(server, load_multiplier=2.5)
    await pool.poll()
    assert (await pool.servers())[server.name].load == pytest.approx(50)


async def test_breakout_rooms_add_nothing_to_the_load(pool: RunningPool) -> None:
    server = pool.fleet.servers[0]
    parent = server.create_meeting("a", name="A", people=20)
    server.create_meeting("a-1", name="Group", people=10, parent=parent)
    await pool.poll()
    row = (await pool.servers())[server.name]
    assert row.load == pytest.approx(20)
    assert row.meetings == 2


@pytest.mark.parametrize("body", ["html", "truncated", "failed", "garbage"])
async def test_one_failed_poll_changes_nothing(pool: RunningPool, front_end: FrontEnd, body: BrokenBody) -> None:
    await front_end.create("class")
    (holder,) = pool.holders("class")
    await pool.poll()
    await _age_attempts(pool)
    before = (await pool.servers())[holder.name]
    await pool.fleet.set_faults(holder, Faults(body=body, calls=frozenset({"getMeetings"})))
    await pool.poll()
    after = (await pool.servers())[holder.name]
    assert (after.health, after.takes_new_meetings) == (Health.SUSPECT, True)
    assert (after.load, after.meetings, after.last_poll) == (before.load, before.meetings, before.last_poll)
    assert succeeded(await front_end.ask("getMeetingInfo", meetingID="class"))
    assert (await front_end.get("join", meetingID="class", fullName="A", role="VIEWER")).status_code == 302


async def test_three_failures_are_offline_and_one_success_is_online_again(pool: RunningPool) -> None:
    server = pool.fleet.servers[0]
    await pool.fleet.set_faults(server, Faults(refuse=True))
    healths = []
    for _ in range(3):
        await pool.poll()
        healths.append((await pool.servers())[server.name].health)
    assert healths == [Health.SUSPECT, Health.SUSPECT, Health.OFFLINE]
    await pool.fleet.set_faults(server, NO_FAULTS)
    await pool.poll()
    assert (await pool.servers())[server.name].health is Health.ONLINE


async def test_six_failures_over_a_minute_are_dead_and_its_meetings_lost_but_kept(pool: RunningPool, front_end: FrontEnd) -> None:
    await front_end.create("class")
    (holder,) = pool.holders("class")
    await pool.fleet.set_faults(holder, Faults(refuse=True))
    for _ in range(6):
        await pool.poll()
    assert (await pool.servers())[holder.name].health is Health.OFFLINE
    await pool.change_server(holder, failing_since=ago(61))
    await pool.poll()
    assert (await pool.servers())[holder.name].health is Health.DEAD
    row = await meeting_row(pool.database, "class")
    assert row is not None
    assert row.state is MeetingState.LOST
    await pool.fleet.set_faults(holder, NO_FAULTS)
    await pool.poll()
    row = await meeting_row(pool.database, "class")
    assert row is not None
    assert (row.state, row.server_id) == (MeetingState.LIVE, holder.name)


async def test_when_more_than_half_of_the_pool_fails_nobody_gets_worse(pool: RunningPool, front_end: FrontEnd) -> None:
    await front_end.create("class")
    for server in pool.fleet.servers:
        await pool.fleet.set_faults(server, Faults(drop_before=True, calls=frozenset({"getMeetings"})))
    for _ in range(8):
        await pool.poll()
        await pool.change_server(pool.fleet.servers[0], failing_since=ago(3600))
    assert {server.health for server in (await pool.servers()).values()} == {Health.SUSPECT}
    assert succeeded(await front_end.create("another"))
    assert (await front_end.get("join", meetingID="class", fullName="A", role="VIEWER")).status_code == 302


async def test_a_meeting_that_is_gone_from_a_good_answer_is_forgotten(pool: RunningPool, front_end: FrontEnd) -> None:
    await front_end.create("class")
    (holder,) = pool.holders("class")
    await pool.fleet.restart(holder, keep_state=False)
    await pool.poll()
    assert await meeting_row(pool.database, "class") is not None
    await _age_attempts(pool)
    await pool.poll()
    assert await meeting_row(pool.database, "class") is None
    await asyncio.sleep(0.1)
    assert key_of(await front_end.ask("getMeetingInfo", meetingID="class")) == "notFound"


async def test_a_list_that_is_older_than_a_create_does_not_end_it(pool: RunningPool, front_end: FrontEnd) -> None:
    began = pool.clock.monotonic()
    await front_end.create("class")
    (holder,) = pool.holders("class")
    late = Poll(server_id=ServerId(holder.name), began=began - 60, meetings=())
    await pool.record({late.server_id: late})
    assert await meeting_row(pool.database, "class") is not None
    load = (await pool.servers())[holder.name].load
    assert load == pytest.approx(15, abs=0.1)


async def test_a_server_that_comes_back_with_its_meetings_serves_them(pool: RunningPool, front_end: FrontEnd) -> None:
    await front_end.create("class")
    (holder,) = pool.holders("class")
    await pool.fleet.set_faults(holder, Faults(refuse=True))
    for _ in range(4):
        await pool.poll()
    await pool.fleet.set_faults(holder, NO_FAULTS)
    assert (await front_end.get("join", meetingID="class", fullName="A", role="VIEWER")).status_code == 302
    await pool.poll()
    assert succeeded(await front_end.ask("getMeetingInfo", meetingID="class"))
    assert holder.count("end") == 0


async def test_a_cordoned_server_is_retired_when_two_polls_found_it_empty(pool: RunningPool, front_end: FrontEnd) -> None:
    await front_end.create("class")
    (holder,) = pool.holders("class")
    await pool.change_server(holder, admin_state="cordoned")
    for _ in range(3):
        await pool.poll()
    assert (await pool.servers())[holder.name].admin_state is AdminState.CORDONED
    holder.meetings.clear()
    await _age_attempts(pool)
    await pool.poll()
    assert (await pool.servers())[holder.name].admin_state is AdminState.CORDONED
    await pool.poll()
    assert (await pool.servers())[holder.name].admin_state is AdminState.DISABLED


@pytest.mark.parametrize("offset", [-86_400.0, 86_400.0, -4e9])
async def test_a_server_with_a_wrong_clock_is_counted_like_any_other(pool: RunningPool, offset: float) -> None:
    server = pool.fleet.servers[0]
    server.clock_offset = offset
    server.create_meeting("a", name="A", people=20)
    await pool.poll()
    assert (await pool.servers())[server.name].load == pytest.approx(20)


async def test_a_hanging_server_costs_its_deadline_and_delays_no_other(pool: RunningPool) -> None:
    slow = pool.fleet.servers[0]
    await pool.fleet.set_faults(slow, Faults(drip=True))
    began = pool.clock.monotonic()
    await pool.poll([slow])
    assert pool.clock.monotonic() - began < 1.5
    assert (await pool.servers())[slow.name].health is Health.SUSPECT


async def test_a_server_that_flaps_is_held_down(database_url: str) -> None:
    async with running_pool(database_url) as pool:
        server = pool.fleet.servers[0]
        name = ServerId(server.name)
        for _ in range(2):
            for _ in range(3):
                await pool.record({name: Poll(server_id=name, began=pool.clock.monotonic(), meetings=None, error="x")})
            pool.reached[name] = True
            await pool.poll([server])
        assert (await pool.servers())[server.name].health is Health.OFFLINE
        await pool.change_server(server, offline_since=ago(31))
        await pool.poll([server])
        assert (await pool.servers())[server.name].health is Health.ONLINE


async def test_a_higher_rise_threshold_wants_more_good_polls(pool: RunningPool) -> None:
    server = pool.fleet.servers[0]
    rules = pool.rules.__class__(thresholds=Thresholds(fall=1, rise=2), prior=pool.rules.prior, response_timeout=2.0)
    name = ServerId(server.name)
    await pool.record({name: Poll(server_id=name, began=0.0, meetings=None, error="x")}, rules)
    await pool.poll([server], rules)
    assert (await pool.servers())[server.name].health is Health.OFFLINE
    await pool.poll([server], rules)
    assert (await pool.servers())[server.name].health is Health.ONLINE


async def test_a_poll_of_a_server_that_was_removed_is_ignored(pool: RunningPool) -> None:
    meeting = ReportedMeeting(meeting_id="x", internal_id="y", created_ms=1, users=3, videos=0, is_breakout=False)
    ghost = ServerId("removed")
    recorded = await pool.record({ghost: Poll(server_id=ghost, began=0.0, meetings=(meeting,), ages=(0.0,))})
    assert (recorded.changes, recorded.gone) == ([], [])


async def _age_attempts(pool: RunningPool) -> None:
    async with pool.database.transaction() as connection:
        await connection.execute("UPDATE meetings SET attempted_at = attempted_at - interval '2 minutes'")


async def _expect(pool: RunningPool, *, users: float, holds_for: float, age: float) -> None:
    """All meetings are so old, and so many people are expected in them for so long."""
    async with pool.database.transaction() as connection:
        await connection.execute(
            "UPDATE meetings SET expected_users = $1, expected_for = $2, created_at = now() - make_interval(secs => $3)",
            users,
            holds_for,
            age,
        )


def _listed(pool: RunningPool, age: float, *, users: int, voices: int = 0, videos: int = 0) -> dict[ServerId, Poll]:
    """A poll of the server of `class`, which is so old."""
    (holder,) = pool.holders("class")
    meeting = ReportedMeeting(
        meeting_id="class", internal_id="one", created_ms=None, users=users, videos=videos, voices=voices, is_breakout=False
    )
    name = ServerId(holder.name)
    return {name: Poll(server_id=name, began=pool.clock.monotonic(), meetings=(meeting,), ages=(age,))}


@pytest.mark.parametrize(
    ("age", "users", "load"),
    [
        (0, 0, 200),
        (0, 250, 250),
        (590, 30, 200),
        (600 + 450, 30, 100),
        (600 + 450, 130, 130),
        (600 + 901, 30, 30),
        (90_000, 3, 3),
    ],
)
async def test_a_meeting_counts_for_whoever_is_there_or_still_expected(
    pool: RunningPool, front_end: FrontEnd, age: float, users: int, load: float
) -> None:
    await front_end.create("class")
    await _expect(pool, users=200, holds_for=600, age=age)
    polls = _listed(pool, age, users=users)
    await pool.record(polls)
    assert (await pool.servers())[next(iter(polls))].load == pytest.approx(load, abs=1)


@pytest.mark.parametrize(("age", "load"), [(0, 200), (300, 200), (600 + 450, 100)])
async def test_a_reservation_that_is_not_listed_yet_counts_for_what_is_expected_by_now(
    pool: RunningPool, front_end: FrontEnd, age: float, load: float
) -> None:
    await front_end.create("class")
    (holder,) = pool.holders("class")
    await _expect(pool, users=200, holds_for=600, age=age)
    name = ServerId(holder.name)
    await pool.record({name: Poll(server_id=name, began=pool.clock.monotonic(), meetings=())})
    assert (await pool.servers())[holder.name].load == pytest.approx(load, abs=1)


async def test_a_meeting_of_an_older_process_fades_from_its_beginning(pool: RunningPool, front_end: FrontEnd) -> None:
    """It writes no seconds for which all are expected."""
    await front_end.create("class")
    await _expect(pool, users=15, holds_for=0, age=450)
    polls = _listed(pool, 450, users=0)
    await pool.record(polls)
    assert (await pool.servers())[next(iter(polls))].load == pytest.approx(7.5, abs=0.2)


async def test_voices_and_videos_count_as_the_settings_say(database_url: str) -> None:
    async with running_pool(database_url, load_per_user=0.5, load_per_voice=0.25, load_per_video=2.0) as pool:
        front_end = await pool.front_end()
        await front_end.create("class")
        await _expect(pool, users=100, holds_for=600, age=0)
        loads = []
        for users in (20, 200):
            polls = _listed(pool, 0, users=users, voices=10, videos=5)
            await pool.record(polls)
            loads.append((await pool.servers())[next(iter(polls))].load)
    # Streams come on top of the people, of those who are only expected too.
    assert loads == pytest.approx([100 + 5 + 20, 200 + 5 + 20], abs=0.5)
