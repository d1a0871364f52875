"""What is used is counted once, in the hours in which it was used, whoever counts and whatever the clocks do."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from meetingpool.database.engine import Database
from meetingpool.database.servers import insert_server, update_server
from meetingpool.database.usage import LONGEST_GAP, count_usage, purge_samples, purge_usage, read_usage, sample_servers
from meetingpool.domain.servers import Server, ServerId
from meetingpool.domain.usage import Span, UsageBy, UsageQuery, Used
from meetingpool.operations.usage import curve, usage

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
FOR_EVER = datetime(2100, 1, 1, tzinfo=UTC)
# What passes between two statements of a test.
SLACK = 5.0


@pytest.fixture(autouse=True)
async def servers(database: Database) -> None:
    async with database.transaction() as connection:
        for name in ("s1", "s2"):
            await insert_server(connection, Server(id=ServerId(name), url=f"http://{name}/", secret="s"))
            changes = {"admin_state": "enabled", "health": "online", "load": 2.5, "meetings": 2, "users": 10}
            await update_server(connection, ServerId(name), changes)


class BrokenOff(Exception):
    """Whoever counts dies before it commits."""


async def meeting(database: Database, tenant: str, name: str, server: str, users: int, state: str = "live") -> None:
    await execute(
        database,
        "INSERT INTO meetings (tenant, meeting_id, host_id, server_id, state, users, expected_users) "
        "VALUES ($1, $2, $3, $4, $5, $6, 0)",
        *(tenant, name, f"{tenant}-{name}", server, state, users),
    )


async def execute(database: Database, statement: str, *arguments: object) -> None:
    async with database.transaction() as connection:
        await connection.execute(statement, *arguments)


async def counted_ago(database: Database, seconds: float) -> None:
    statement = "UPDATE installation SET usage_counted_at = clock_timestamp() - make_interval(secs => $1)"
    await execute(database, statement, seconds)


async def count(database: Database) -> None:
    async with database.transaction() as connection:
        await count_usage(connection)


async def read(database: Database, by: UsageBy, *, tenant: str | None = None, server: str | None = None) -> list[Used]:
    async with database.transaction() as connection:
        query = UsageQuery(begin=LONG_AGO, end=FOR_EVER, by=by, tenant=tenant, server=server)
        return await read_usage(connection, query)


async def total(database: Database) -> Used:
    rows = await read(database, UsageBy.HOUR)
    return sum(rows[1:], rows[0])


async def test_seconds_are_counted_by_tenant_by_server_and_in_sums(database: Database) -> None:
    await meeting(database, "a", "1", "s1", 10)
    await meeting(database, "a", "2", "s2", 5)
    await meeting(database, "b", "1", "s2", 1)
    await counted_ago(database, 60)
    await count(database)

    def shown(rows: list[Used]) -> list[tuple[str | None, str | None, int, int, int, int]]:
        return [
            (
                each.tenant,
                each.server,
                each.peak_meetings,
                each.peak_people,
                minutes(each.meeting_seconds),
                minutes(each.person_seconds),
            )
            for each in rows
        ]

    def minutes(seconds: float) -> int:
        return int((seconds + 0.01) // 60)

    assert shown(await read(database, UsageBy.TENANT)) == [("a", None, 2, 15, 2, 15), ("b", None, 1, 1, 1, 1)]
    assert shown(await read(database, UsageBy.SERVER)) == [(None, "s1", 1, 10, 1, 10), (None, "s2", 2, 6, 2, 6)]
    by_both = [("a", "s1", 1, 10, 1, 10), ("a", "s2", 1, 5, 1, 5), ("b", "s2", 1, 1, 1, 1)]
    assert shown(await read(database, UsageBy.TENANT_AND_SERVER)) == by_both
    assert shown(await read(database, UsageBy.TENANT_AND_SERVER, tenant="b")) == by_both[2:]
    assert shown(await read(database, UsageBy.TENANT, server="s1")) == [("a", None, 1, 10, 1, 10)]
    assert sum(each.person_seconds for each in await read(database, UsageBy.HOUR)) == pytest.approx(16 * 60, abs=16 * SLACK)
    assert sum(each.person_seconds for each in await read(database, UsageBy.DAY, tenant="a", server="s2")) == pytest.approx(
        5 * 60, abs=5 * SLACK
    )


@pytest.mark.parametrize("state", ["reserving", "unknown", "ending", "lost"])
async def test_only_meetings_that_run_are_counted(database: Database, state: str) -> None:
    await meeting(database, "a", "1", "s1", 10, state)
    await counted_ago(database, 60)
    await count(database)
    assert await read(database, UsageBy.TENANT) == []
    assert (await total(database)).peak_meetings == 0


async def test_the_first_count_begins_and_counts_nothing(database: Database) -> None:
    await meeting(database, "a", "1", "s1", 10)
    await count(database)
    (row,) = await read(database, UsageBy.TENANT)
    assert (row.meeting_seconds, row.peak_people) == (0, 10)


async def test_the_peak_of_a_sum_is_not_the_sum_of_peaks(database: Database) -> None:
    await meeting(database, "a", "1", "s1", 10)
    await meeting(database, "a", "2", "s2", 1)
    await count(database)
    await execute(database, "UPDATE meetings SET users = 11 - users")
    await count(database)
    assert [each.peak_people for each in await read(database, UsageBy.SERVER)] == [10, 10]
    assert (await total(database)).peak_people == 11


async def test_a_time_over_two_hours_is_counted_in_both(database: Database) -> None:
    await meeting(database, "a", "1", "s1", 3)
    # As if it were half a minute past the full hour: the statement takes the time from the row and from its own clock.
    await execute(database, "CREATE SCHEMA later")
    await execute(
        database,
        "CREATE FUNCTION later.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE "
        "AS $$ SELECT '2026-07-01 10:00:30Z'::timestamptz $$",
    )
    await execute(database, "UPDATE installation SET usage_counted_at = '2026-07-01 09:59:20Z'")
    async with database.transaction() as connection:
        await connection.execute("SET LOCAL search_path = later, pg_catalog, public")
        await count_usage(connection)
    hours = await read(database, UsageBy.HOUR)
    assert [(each.begin, each.meeting_seconds, each.person_seconds, each.peak_people) for each in hours] == [
        (datetime(2026, 7, 1, 9, tzinfo=UTC), 40, 120, 3),
        (datetime(2026, 7, 1, 10, tzinfo=UTC), 30, 90, 3),
    ]


async def test_an_outage_is_not_charged(database: Database) -> None:
    await meeting(database, "a", "1", "s1", 1)
    await counted_ago(database, 3 * 86_400)
    await count(database)
    assert (await total(database)).meeting_seconds == pytest.approx(LONGEST_GAP)
    await count(database)
    assert (await total(database)).meeting_seconds == pytest.approx(LONGEST_GAP, abs=SLACK)


async def test_a_clock_that_was_set_back_counts_from_then_on(database: Database) -> None:
    await meeting(database, "a", "1", "s1", 1)
    await counted_ago(database, -3 * 3600)
    await count(database)
    assert (await total(database)).meeting_seconds == 0
    await execute(database, "UPDATE installation SET usage_counted_at = usage_counted_at - interval '60 s'")
    await count(database)
    assert (await total(database)).meeting_seconds == pytest.approx(60, abs=SLACK)


async def test_counts_at_the_same_time_count_once(database: Database) -> None:
    await meeting(database, "a", "1", "s1", 1)
    await counted_ago(database, 60)
    async with database.transaction() as connection:
        await count_usage(connection)
        others = [asyncio.create_task(count(database)) for _ in range(3)]
        async with asyncio.timeout(SLACK):
            while await connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted") < len(others):
                await asyncio.sleep(0.01)
    await asyncio.gather(*others)
    assert (await total(database)).meeting_seconds == pytest.approx(60, abs=SLACK)


async def test_a_count_that_breaks_off_is_counted_by_the_next(database: Database) -> None:
    await meeting(database, "a", "1", "s1", 1)
    await counted_ago(database, 60)

    with suppress(BrokenOff):
        async with database.transaction() as connection:
            await count_usage(connection)
            raise BrokenOff
    await count(database)
    assert (await total(database)).meeting_seconds == pytest.approx(60, abs=SLACK)


async def test_days_and_the_most_used_come_in_their_order(database: Database) -> None:
    await execute(
        database,
        "INSERT INTO usage_hours VALUES "
        "('2026-07-01 22:00Z', '', '', 60, 600, 1, 10), ('2026-07-01 23:00Z', '', '', 60, 60, 2, 2), "
        "('2026-07-01 22:00Z', 'a', '', 6, 60, 1, 1), ('2026-07-01 22:00Z', 'b', '', 54, 540, 1, 9)",
    )
    async with database.transaction() as connection:
        days = await usage(connection, UsageQuery(begin=LONG_AGO, end=FOR_EVER, by=UsageBy.DAY))
        tenants = await usage(connection, UsageQuery(begin=LONG_AGO, end=FOR_EVER))
        late = await usage(connection, UsageQuery(begin=datetime(2026, 7, 1, 23, 59, tzinfo=UTC), end=FOR_EVER, by=UsageBy.HOUR))
    assert [(each.person_seconds, each.peak_meetings, each.peak_people) for each in days] == [(660, 2, 10)]
    assert [each.tenant for each in tenants] == ["b", "a"]
    assert [each.person_seconds for each in late] == [60]


async def test_servers_and_the_pool_are_sampled_once_in_five_minutes(database: Database) -> None:
    await execute(database, "UPDATE servers SET health = 'dead' WHERE id = 's2'")
    for _ in range(3):
        async with database.transaction() as connection:
            await sample_servers(connection)
    # Unless five minutes were over just then.
    now = datetime.now(UTC)
    async with database.transaction() as connection:
        assert await connection.fetchval("SELECT count(*) FROM server_samples GROUP BY at LIMIT 1") == 3
        pool, gone = await curve(connection, Span.DAY, now), await curve(connection, Span.DAY, now, "s2")
    seen = [(load, users) for load, users in zip(pool.load, pool.users, strict=True) if load is not None]
    assert set(seen) == {(2.5, 10)}
    assert "dead" in gone.health


async def test_what_is_old_is_dropped_a_part_at_a_time(database: Database) -> None:
    old_sample = "INSERT INTO server_samples SELECT id, now() - make_interval(days => $1), 'online', 1, 1, 1 FROM servers"
    old_hours = (
        "INSERT INTO usage_hours SELECT date_trunc('hour', now(), 'UTC') - make_interval(days => $1, hours => n), "
        "'', '', 1, 1, 1, 1 FROM generate_series(1, 3) AS n"
    )
    for days in (1, 20):
        await execute(database, old_sample, days)
        await execute(database, old_hours, days * 20)
    async with database.transaction() as connection:
        assert [await purge_samples(connection, 14, 1) for _ in range(3)] == [1, 1, 0]
        assert [await purge_usage(connection, 399, 2) for _ in range(3)] == [2, 1, 0]
    assert len(await read(database, UsageBy.HOUR)) == 3
    async with database.transaction() as connection:
        pooled = await curve(connection, Span.WEEK, datetime.now(UTC) + timedelta(minutes=1), "s1")
    assert [load for load in pooled.load if load] == [1.0]
