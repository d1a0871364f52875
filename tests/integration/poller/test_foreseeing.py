"""The leader learns from each meeting once, whatever happens to it, and the next leader goes on from there."""

import asyncio
import random
from itertools import chain

import asyncpg
import pytest

from meetingpool.clock import SystemClock
from meetingpool.database.engine import Connection, Database, DatabaseUnavailable
from meetingpool.database.foresight import purge_rooms, rooms_used_lately
from meetingpool.database.leases import StaleEpoch, acquire_lease, fence
from meetingpool.database.tenants import delete_tenant
from meetingpool.domain.meetings import DEFAULT_TENANT, MeetingKey
from poller.foreseeing import Foreseeing
from poller.leadership import Leadership
from poller.watch import WatchSettings
from tests.foreseen import DAY, MINUTE, PRIOR, WEEK, add_past_meeting, execute, fetch, foreseeing, renamed
from tests.keys import KEYRING
from tests.pool import FrontEnd, RunningPool
from tests.tenants import add_tenants

PATIENCE = 10.0


async def weight(database: Database, meeting_id: str = "lecture") -> float:
    """How often it was learnt from the room: 1, 1.6, 1.96 ..."""
    rows = await fetch(database, "SELECT (learnt->>'weight')::float8 FROM rooms WHERE meeting_id = $1", meeting_id)
    return float(rows[0][0]) if rows else 0.0


async def upcoming(database: Database) -> list[str]:
    return [name for (name,) in await fetch(database, "SELECT meeting_id FROM upcoming_meetings ORDER BY users DESC")]


async def tries(database: Database) -> float:
    """How many expectations came true or not, by what was learnt."""
    ((odds,),) = await fetch(database, "SELECT learnt->'odds' FROM foresight")
    return float(sum(tried for _, size, _, tried in odds if size is None))


async def test_a_meeting_that_is_over_is_learnt_from_once(database: Database) -> None:
    await add_past_meeting(database, "lecture", users=200, fills_in=10)
    leading = foreseeing(database)

    assert [await leading.round(), await leading.round(), await foreseeing(database).round()] == [1, 0, 0]
    ((users, holds_for),) = await fetch(database, "SELECT users, holds_for FROM rooms")
    assert 100 < users < 250
    assert holds_for == 600
    assert await weight(database) == 1


async def test_what_began_a_week_ago_is_upcoming_and_what_began_at_another_time_is_not(database: Database) -> None:
    await add_past_meeting(database, "next", ago=WEEK - 5 * MINUTE)
    await add_past_meeting(database, "tomorrow's", ago=WEEK - DAY)
    await add_past_meeting(database, "daily", ago=DAY - 5 * MINUTE, users=50)
    await foreseeing(database).round()

    assert await upcoming(database) == ["next", "daily"]


async def test_nothing_is_upcoming_where_nothing_is_known(database: Database) -> None:
    assert await foreseeing(database).round() == 0
    assert await upcoming(database) == []
    assert await fetch(database, "SELECT typical FROM foresight") == [({},)]


async def test_a_round_that_fails_has_taught_nothing_and_the_next_teaches_it_once(database: Database) -> None:
    await add_past_meeting(database, "lecture", ago=2 * WEEK)
    leading = foreseeing(database)
    await leading.round()
    await add_past_meeting(database, "lecture", ago=WEEK)
    async with renamed(database, "upcoming_meetings"):
        with pytest.raises(asyncpg.UndefinedTableError):
            await leading.round()

    assert await weight(database) == 1
    assert await leading.round() == 1
    assert await weight(database) == pytest.approx(1.6)


async def test_a_leader_that_lost_the_database_in_the_middle_goes_on(database: Database) -> None:
    cut = False

    async def cut_once(connection: Connection) -> None:
        nonlocal cut
        if not cut:
            cut = True
            (pid,) = await connection.fetchrow("SELECT pg_backend_pid()")
            await execute(database, "SELECT pg_terminate_backend($1)", pid)

    await add_past_meeting(database, "lecture", ago=WEEK)
    leading = Foreseeing(database, PRIOR, cut_once, every=0.01)
    running = asyncio.create_task(leading.run())
    async with asyncio.timeout(PATIENCE):
        while await weight(database) == 0:
            await asyncio.sleep(0.02)
    running.cancel()

    assert cut
    assert await weight(database) == 1


async def test_foresight_that_breaks_goes_on_when_it_can(database: Database) -> None:
    await add_past_meeting(database, "lecture")
    async with renamed(database, "upcoming_meetings"):
        running = asyncio.create_task(foreseeing(database, every=0.01).run())
        await asyncio.sleep(0.1)
        assert not running.done()
    async with asyncio.timeout(PATIENCE):
        while await weight(database) == 0:
            await asyncio.sleep(0.02)
    running.cancel()

    assert await weight(database) == 1


async def test_an_overtaken_leader_learns_and_tells_nothing(database: Database) -> None:
    await add_past_meeting(database, "lecture")

    async def is_overtaken(_connection: Connection) -> None:
        raise StaleEpoch

    await asyncio.wait_for(Foreseeing(database, PRIOR, is_overtaken).run(), PATIENCE)

    assert await weight(database) == 0
    assert await fetch(database, "SELECT is_learnt FROM past_meetings") == [(False,)]
    assert await fetch(database, "SELECT typical FROM foresight") == []


async def test_of_two_who_lead_one_after_the_other_each_meeting_teaches_one(database: Database) -> None:
    async with database.transaction() as connection:
        epoch = await acquire_lease(connection, "poller", "first", 60)
    assert epoch is not None

    async def held_by_first(connection: Connection) -> None:
        await fence(connection, "poller", epoch)

    first, second = Foreseeing(database, PRIOR, held_by_first), foreseeing(database)
    await add_past_meeting(database, "lecture", ago=3 * WEEK)
    await first.round()
    await execute(database, "UPDATE leases SET holder = 'second', epoch = epoch + 1")
    await add_past_meeting(database, "lecture", ago=2 * WEEK)
    with pytest.raises(StaleEpoch):
        await first.round()
    await second.round()

    assert await weight(database) == pytest.approx(1.6)


async def test_reading_many_rooms_does_not_hold_the_lease(database: Database) -> None:
    """A leader that cannot renew its lease while it reads would never get to lead."""
    await add_past_meeting(database, "lecture", ago=WEEK - 2 * MINUTE)
    await foreseeing(database).round()

    async def after_reading(connection: Connection) -> None:
        await connection.execute("TRUNCATE rooms, foresight, upcoming_meetings")

    await Foreseeing(database, PRIOR, after_reading).round()

    assert await upcoming(database) == ["lecture"]


async def test_the_next_leader_foresees_what_the_one_before_did(database: Database) -> None:
    for number in range(7):
        await add_past_meeting(database, f"room-{number}", ago=WEEK - number * MINUTE, users=10 + number)
        await add_past_meeting(database, f"room-{number}", ago=2 * WEEK, users=20 + number)
    one = foreseeing(database)
    await one.round()
    await execute(database, "DELETE FROM upcoming_meetings")
    told = await fetch(database, "SELECT learnt, typical FROM foresight")
    await foreseeing(database).round()

    assert await upcoming(database) == [f"room-{number}" for number in range(6, -1, -1)]
    assert await fetch(database, "SELECT learnt, typical FROM foresight") == told


async def test_rooms_are_read_in_pieces_and_none_twice(database: Database) -> None:
    names = [f"room-{number}" for number in range(7)]
    for name in [*names, "old"]:
        await add_past_meeting(database, name)
    await foreseeing(database).round()
    await execute(database, "UPDATE rooms SET updated_at = now() - interval '9 days' WHERE meeting_id = 'old'")
    pieces = [[key.meeting_id for key, _ in piece] async for piece in rooms_used_lately(database, 8, piece=3)]

    assert [len(piece) for piece in pieces] == [3, 3, 1]
    assert sorted(chain.from_iterable(pieces)) == names


async def test_a_room_that_was_put_away_is_remembered_when_it_is_used_again(database: Database) -> None:
    leading = foreseeing(database)
    await add_past_meeting(database, "lecture", ago=30 * DAY, users=300)
    await leading.round()
    await execute(database, "UPDATE rooms SET updated_at = updated_at - interval '30 days'")
    for later in (leading, foreseeing(database)):
        before = await weight(database)
        await add_past_meeting(database, "lecture", ago=29 * DAY, users=300)
        await later.round()

        assert await weight(database) == pytest.approx(0.6 * before + 1)


async def test_a_meeting_that_begins_is_noticed_and_no_longer_told(pool: RunningPool, front_end: FrontEnd) -> None:
    await add_past_meeting(pool.database, "lecture", ago=WEEK - 2 * MINUTE)
    leading = foreseeing(pool.database)
    await leading.round()
    assert await upcoming(pool.database) == ["lecture"]
    await front_end.create("lecture")
    await leading.round()

    assert await upcoming(pool.database) == []
    assert await tries(pool.database) == 1


async def test_a_meeting_counts_as_begun_once_however_it_ends(pool: RunningPool, front_end: FrontEnd) -> None:
    """Live, ended by the front end, gone: each of which a round may see, or not."""
    leading = foreseeing(pool.database)
    await front_end.create("lecture", moderatorPW="m")
    await leading.round()
    await front_end.ask("end", meetingID="lecture", password="m")
    await leading.round()
    # What is due now is another meeting.
    await add_past_meeting(pool.database, "lecture", ago=WEEK - 5 * MINUTE)
    await leading.round()
    await execute(pool.database, "DELETE FROM meetings")
    await leading.round()

    assert await weight(pool.database) == pytest.approx(1.6)
    ((starts,),) = await fetch(pool.database, "SELECT jsonb_array_length(learnt->'starts') FROM rooms")
    assert starts == 2


async def test_a_meeting_that_moved_is_learnt_from_in_its_parts(pool: RunningPool, front_end: FrontEnd) -> None:
    leading = foreseeing(pool.database)
    await front_end.create("lecture")
    await leading.round()
    await execute(
        pool.database,
        "UPDATE meetings SET generation = nextval('meeting_generations'), state = 'reserving', internal_id = NULL, "
        "created_at = now()",
    )
    assert await leading.round() == 1
    await execute(pool.database, "UPDATE meetings SET state = 'live', internal_id = 'another'")
    assert await leading.round() == 0
    await execute(pool.database, "DELETE FROM meetings")

    assert await leading.round() == 1
    assert await weight(pool.database) == pytest.approx(1.6)


@pytest.mark.parametrize("changes", ["state = 'lost'", "state = 'ending'", "created_at = created_at - interval '3 weeks'"])
async def test_meetings_that_are_lost_or_ending_or_run_for_weeks_do_no_harm(
    pool: RunningPool, front_end: FrontEnd, changes: str
) -> None:
    await front_end.create("lecture")
    leading = foreseeing(pool.database)
    await leading.round()
    await execute(pool.database, f"UPDATE meetings SET {changes}")  # noqa: S608
    for _ in range(3):
        await leading.round()
    assert (await upcoming(pool.database), await tries(pool.database)) == ([], 0)
    await execute(pool.database, "DELETE FROM meetings")
    await leading.round()

    assert await weight(pool.database) == 1


async def test_what_is_upcoming_as_before_is_not_written_again(database: Database) -> None:
    await add_past_meeting(database, "lecture", ago=WEEK - 5 * MINUTE)
    await add_past_meeting(database, "late", ago=WEEK + 5 * MINUTE)
    leading = foreseeing(database)
    await leading.round()
    rows = "SELECT meeting_id, xmin::text FROM upcoming_meetings ORDER BY 1"
    before = await fetch(database, rows)
    await leading.round()
    after = await fetch(database, rows)

    assert before[1] == after[1]
    assert [name for name, _ in after] == ["late", "lecture"]
    assert before[0] != after[0]


async def test_gateways_are_told(pool: RunningPool, front_end: FrontEnd) -> None:
    await add_past_meeting(pool.database, "lecture", ago=WEEK - 2 * MINUTE)
    await foreseeing(pool.database).round()
    known = front_end.gateway.view.pool
    async with asyncio.timeout(PATIENCE):
        while not known.kept.upcoming:
            await asyncio.sleep(0.02)

    assert set(known.kept.upcoming) == {MeetingKey(DEFAULT_TENANT, "lecture")}
    assert known.outlook.knows_rooms
    assert known.outlook.typical_of("anybody", PRIOR) != PRIOR


async def test_more_meetings_than_are_learnt_from_at_once_are_all_learnt_from(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("poller.foreseeing.LEARN_AT_ONCE", 3)
    for number in range(10):
        await add_past_meeting(database, f"room-{number % 4}", ago=WEEK + number)
    running = asyncio.create_task(foreseeing(database).run())
    async with asyncio.timeout(PATIENCE):
        while await fetch(database, "SELECT 1 FROM past_meetings WHERE NOT is_learnt"):
            await asyncio.sleep(0.02)
    running.cancel()

    assert await fetch(database, "SELECT count(*) FROM rooms") == [(4,)]


@pytest.mark.parametrize("curve", [[], [None, None], [0], [100_000], [2**31 - 1]])
async def test_no_curve_stops_the_leader(database: Database, curve: list[int | None]) -> None:
    await execute(
        database,
        "INSERT INTO past_meetings (tenant, meeting_id, server_id, began_at, ended_at, curve) "
        "SELECT 'default', 'lecture', 's', now() - n * interval '1 week', now() - n * interval '1 week', $1::int[] "
        "FROM generate_series(0, 9) AS n",
        curve,
    )
    await foreseeing(database).round()
    ((users, holds_for),) = await fetch(database, "SELECT users, holds_for FROM rooms")

    assert 0 < users < 1e11
    assert 0 <= holds_for <= 1800


async def test_what_a_newer_version_kept_is_read_by_an_older_one(database: Database) -> None:
    await add_past_meeting(database, "lecture", ago=WEEK - 2 * MINUTE)
    await foreseeing(database).round()
    await execute(database, "UPDATE rooms SET learnt = learnt || '{\"colour\": 7}'")
    await execute(database, "UPDATE foresight SET learnt = jsonb_set(learnt, '{between,more}', '1') || '{\"colour\": 7}'")
    await foreseeing(database).round()

    assert await upcoming(database) == ["lecture"]


async def test_the_poller_that_leads_foresees(pool: RunningPool) -> None:
    await add_past_meeting(pool.database, "lecture", ago=WEEK - 2 * MINUTE)
    stop = asyncio.Event()
    database = Database(str(pool.settings.database_url), name="poller", pool_size=3, keyring=KEYRING)
    settings = WatchSettings(interval=1.0, connect_timeout=1.0, response_timeout=2.0, rules=pool.rules)
    running = asyncio.create_task(Leadership(database, settings, SystemClock(), random.Random(1)).run(stop))
    try:
        async with asyncio.timeout(PATIENCE):
            while await upcoming(pool.database) != ["lecture"]:
                await asyncio.sleep(0.02)
    finally:
        stop.set()
        await running
        await database.close()


async def test_rooms_without_meetings_for_long_and_those_of_removed_tenants_are_dropped(database: Database) -> None:
    await add_tenants(database, "school")
    for tenant, name in (("default", "kept"), ("default", "old"), ("id-of-school", "kept"), ("id-of-nobody", "gone")):
        await add_past_meeting(database, name, tenant=tenant)
    await foreseeing(database).round()
    await execute(database, "UPDATE rooms SET updated_at = now() - interval '61 days' WHERE meeting_id = 'old'")
    async with database.transaction() as connection:
        dropped = [await purge_rooms(connection, days=60, limit=1) for _ in range(3)]

    assert dropped == [1, 1, 0]
    assert await fetch(database, "SELECT tenant, meeting_id FROM rooms ORDER BY 1") == [
        ("default", "kept"),
        ("id-of-school", "kept"),
    ]


async def test_the_rooms_of_a_tenant_go_with_it(database: Database) -> None:
    await add_tenants(database, "school")
    for tenant in ("default", "id-of-school"):
        await add_past_meeting(database, "lecture", tenant=tenant)
    await foreseeing(database).round()
    async with database.transaction() as connection:
        await delete_tenant(connection, "id-of-school")

    assert await fetch(database, "SELECT tenant FROM rooms") == [("default",)]


async def test_a_room_that_is_being_learnt_about_is_left_to_the_next_purge(database: Database) -> None:
    for name in ("a", "b"):
        await add_past_meeting(database, name)
    await foreseeing(database).round()
    await execute(database, "UPDATE rooms SET updated_at = now() - interval '61 days'")
    async with database.transaction() as learning, asyncio.timeout(PATIENCE):
        await learning.execute("UPDATE rooms SET updated_at = now() WHERE meeting_id = 'a'")
        async with database.transaction() as connection:
            assert await purge_rooms(connection, days=60, limit=10) == 1

    assert await fetch(database, "SELECT meeting_id FROM rooms") == [("a",)]


async def test_a_database_that_is_away_is_said_so(database: Database) -> None:
    nowhere = Database("postgresql://nobody@127.0.0.1:1/none", name="test", pool_size=1, keyring=KEYRING)
    try:
        with pytest.raises(DatabaseUnavailable):
            await foreseeing(nowhere).round()
    finally:
        await nowhere.close()
