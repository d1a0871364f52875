"""`meetingpool usage`"""

from datetime import UTC, datetime

import pytest

from meetingpool.database.engine import Database
from meetingpool.database.tenants import insert_tenant
from meetingpool.domain.tenants import Tenant
from tests.integration.admin.conftest import CommandLine, Listed

JULY = ("--from", "2026-07-01", "--to", "2026-08-01")
_INSERT = "INSERT INTO usage_hours VALUES ($1, $2, $3, $4, $5, $6, $7)"


@pytest.fixture
async def used(database: Database) -> None:
    """Three hours around the begin of the second of July in Berlin, which are the last of the first of July in UTC."""
    async with database.transaction() as connection:
        await insert_tenant(connection, Tenant(id="t-1", name="school", secrets=("s",)))
        for number, hour in enumerate(("20:00", "21:00", "22:00"), 1):
            begin = datetime.fromisoformat(f"2026-07-01T{hour}Z")
            for tenant, server, people in (
                ("t-1", "s1", 1),
                ("gone", "s1", 2),
                ("t-1", "", 1),
                ("gone", "", 2),
                ("", "s1", 3),
                ("", "", 3),
            ):
                meetings = 1 if tenant else 2
                await connection.execute(
                    _INSERT, begin, tenant, server, 600.0 * meetings, 600.0 * people * number, meetings, people * number
                )


@pytest.mark.usefixtures("used")
async def test_usage_is_shown_by_what_is_asked_for(listed: Listed) -> None:
    assert await listed("usage", *JULY) == [
        {"tenant": "gone", "meeting_minutes": 30.0, "person_minutes": 120.0, "peak_meetings": 1, "peak_people": 6},
        {"tenant": "school", "meeting_minutes": 30.0, "person_minutes": 60.0, "peak_meetings": 1, "peak_people": 3},
    ]
    assert await listed("usage", *JULY, "--by", "server") == [
        {"server": "s1", "meeting_minutes": 60.0, "person_minutes": 180.0, "peak_meetings": 2, "peak_people": 9}
    ]
    both = await listed("usage", *JULY, "--by", "tenant,server", "--tenant", "school")
    assert [(row["tenant"], row["server"], row["person_minutes"]) for row in both] == [("school", "s1", 60.0)]
    hours = await listed("usage", *JULY, "--by", "hour", "--server", "s1")
    assert [(row["hour"], row["peak_people"]) for row in hours] == [
        ("2026-07-01T20:00:00.000Z", 3),
        ("2026-07-01T21:00:00.000Z", 6),
        ("2026-07-01T22:00:00.000Z", 9),
    ]


@pytest.mark.usefixtures("used")
async def test_days_are_those_of_a_time_zone(listed: Listed) -> None:
    days = await listed("usage", *JULY, "--by", "day")
    assert [(row["day"], row["person_minutes"]) for row in days] == [("2026-07-01", 180.0)]
    days = await listed("usage", *JULY, "--by", "day", "--timezone", "Europe/Berlin")
    assert [(row["day"], row["person_minutes"]) for row in days] == [("2026-07-01", 90.0), ("2026-07-02", 90.0)]
    second = await listed("usage", "--from", "2026-07-02", "--to", "2026-07-03", "--timezone", "Europe/Berlin", "--by", "hour")
    assert [row["hour"] for row in second] == ["2026-07-01T22:00:00.000Z"]


@pytest.mark.usefixtures("used")
async def test_usage_is_printed_in_every_format(meetingpool: CommandLine) -> None:
    table = (await meetingpool("usage", *JULY)).stdout.splitlines()
    assert table[0].split() == ["TENANT", "PERSON", "MINUTES", "MEETING", "MINUTES", "PEAK", "PEOPLE", "PEAK", "MEETINGS"]
    assert table[1].split() == ["gone", "120", "30", "6", "1"]
    assert table[-1] == "From 2026-07-01T00:00:00.000Z to 2026-08-01T00:00:00.000Z"
    as_csv = (await meetingpool("usage", *JULY, "--format", "csv", "--by", "day")).stdout.splitlines()
    assert as_csv == ["day,meeting_minutes,person_minutes,peak_meetings,peak_people", "2026-07-01,60.0,180.0,2,9"]
    assert "- tenant: gone\n" in (await meetingpool("usage", *JULY, "--format", "yaml")).stdout


async def test_without_a_period_it_is_this_month(meetingpool: CommandLine, listed: Listed, database: Database) -> None:
    assert (await meetingpool("usage")).stdout.startswith(f"Nothing is known of the time from {datetime.now(UTC):%Y-%m}-01T00:00")
    async with database.transaction() as connection:
        await connection.execute(_INSERT, datetime.now(UTC), "t", "", 1.0, 1.0, 1, 1)
        await connection.execute(_INSERT, datetime(2020, 1, 1, tzinfo=UTC), "t", "", 1.0, 1.0, 7, 7)
    assert [row["peak_people"] for row in await listed("usage")] == [1]


async def test_what_is_no_period_is_refused(meetingpool: CommandLine) -> None:
    told = await meetingpool("usage", "--from", "soon", exit_code=1)
    assert told.stderr == "'soon' is neither a date like 2026-07-01 nor a time like 2026-07-01T08:00Z\n"
    told = await meetingpool("usage", "--from", "2026-07-02", "--to", "2026-07-01", exit_code=1)
    assert told.stderr == "The period must end after it begins: give an earlier --from or a later --to\n"
    for zone in ("Mars/Olympus", "../../etc/passwd", ""):
        told = await meetingpool("usage", "--timezone", zone, exit_code=1)
        assert told.stderr == f"No time zone is called {zone}: give one like Europe/Berlin\n"
    await meetingpool("usage", "--by", "colour", exit_code=2)
