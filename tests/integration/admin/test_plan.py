"""`meetingpool plan`"""

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from meetingpool.database.engine import Database
from tests.integration.admin.conftest import CommandLine, Listed, Placed

# A Monday.
BEGIN = datetime(2026, 7, 6, tzinfo=UTC)
WEEK = ("--from", "2026-07-06", "--to", "2026-07-13")
_INSERT = """
    INSERT INTO past_meetings (tenant, meeting_id, server_id, began_at, ended_at, curve)
    SELECT 'default', 'room ' || n, 's1', $1::timestamptz, $1::timestamptz + $2::interval, $3
    FROM generate_series(1, $4::int) AS n
"""


async def ran(database: Database, begin: datetime, minutes: int, curve: list[int | None], meetings: int = 1) -> None:
    async with database.transaction() as connection:
        await connection.execute(_INSERT, begin, timedelta(minutes=minutes), curve, meetings)


@pytest.fixture
async def week(database: Database) -> None:
    """A Monday on which three meetings of up to 120 people ran from 9:30 to 10:30, and a Tuesday with one of 30."""
    await ran(database, BEGIN + timedelta(hours=9, minutes=30), 60, [10, None, 120], 3)
    await ran(database, BEGIN + timedelta(days=1, hours=8), 30, [30])


@pytest.mark.usefixtures("week")
async def test_a_plan_says_what_was_needed_and_what_would_be_with_growth(listed: Listed) -> None:
    plan = await listed("plan", *WEEK, "--growth", "2", "--growth", "50%", "--servers", "3", "--capacity", "200")

    assert (plan["begin"], plan["end"]) == ("2026-07-06T09:00:00.000Z", "2026-07-13T00:00:00.000Z")
    assert (plan["server_capacity"], plan["pool"], plan["pool_capacity"], plan["reserve"]) == (200, 3, 600, 1)
    now, half, twice = plan["scenarios"]
    assert [scenario["growth"] for scenario in plan["scenarios"]] == [1.0, 1.5, 2.0]
    at = "2026-07-06T09:32:00.000Z"
    # Two meetings of 120 do not fit on a server for 200, however few people there are in all.
    assert now["peak"] == {"at": at, "people": 360, "meetings": 3, "largest_meeting": 120, "servers": 4}
    assert (half["peak"]["meetings"], half["peak"]["servers"]) == (5, 6)
    assert (twice["peak"]["people"], twice["peak"]["servers"]) == (720, 7)
    assert (now["busy_hours"], now["enough"]) == (3, {"50": 4, "90": 4, "95": 4, "99": 4})
    assert (now["full"], now["full_hours"]) == ([], 0)
    assert half["full"] == [{"begin": "2026-07-06T09:00:00.000Z", "end": "2026-07-06T11:00:00.000Z", "people": 240}]
    assert (twice["full"][0]["people"], twice["full_hours"]) == (360, 2)


@pytest.mark.usefixtures("week")
async def test_the_hours_of_the_week_are_a_timetable_for_autoscalers(meetingpool: CommandLine) -> None:
    text = (await meetingpool("plan", *WEEK, "--timezone", "Europe/Berlin", "--reserve", "0", "--format", "csv")).stdout

    rows = list(csv.DictReader(io.StringIO(text)))
    busy = [row for row in rows if row["people"] != "0"]
    assert [(row["weekday"], row["hour"], row["servers"]) for row in busy] == [
        ("Mon", "11", "3"),
        ("Mon", "12", "3"),
        ("Tue", "10", "1"),
    ]
    assert {row["weeks"] for row in rows} == {"1"}
    assert list(rows[0]) == ["growth", "weekday", "hour", "weeks", "people", "meetings", "servers"]


@pytest.mark.usefixtures("week")
async def test_a_plan_is_understood_at_a_glance(meetingpool: CommandLine) -> None:
    lines = (await meetingpool("plan", *WEEK, "--growth", "1.5", "--servers", "3", "--capacity", "200")).stdout.splitlines()

    assert lines[0] == "Mon 2026-07-06 09:00 to Mon 2026-07-13 00:00, UTC"
    assert "of which 1 is in reserve" in lines[1]
    assert lines[4].split()[:3] == ["GROWTH", "SERVERS", "50"]
    assert lines[5].split()[:7] == ["1", "4", "4", "4", "4", "4", "0"]
    assert lines[5].endswith("Mon 2026-07-06 09:32")
    monday = next(line for line in lines if line.startswith("Mon ") and "to" not in line)
    # Of the hours before the first meeting nothing is known.
    assert monday.split() == ["Mon", "4", "4", *["1"] * 13]
    assert max(map(len, lines)) <= 100
    assert lines[-1].split() == ["1.5", "Mon", "2026-07-06", "09:00", "Mon", "2026-07-06", "11:00", "240"]


@pytest.mark.usefixtures("week")
async def test_the_pool_is_that_of_enabled_servers_with_their_limits(
    database: Database, meetingpool: CommandLine, listed: Listed
) -> None:
    async with database.transaction() as connection:
        await connection.execute(
            "INSERT INTO servers (id, url, secret, admin_state, health, soft_users, max_users) VALUES "
            "('a', 'https://a.example/', '', 'enabled', 'online', 100, 130), "
            "('b', 'https://b.example/', '', 'enabled', 'offline', NULL, 250), "
            "('c', 'https://c.example/', '', 'cordoned', 'online', NULL, 900)"
        )
    plan = await listed("plan", *WEEK)

    assert (plan["pool"], plan["pool_capacity"], plan["server_capacity"]) == (2, 350, 100)
    # Room for two on the larger one; the third is above what the other is to carry.
    assert plan["scenarios"][0]["full"][0]["people"] == 120
    assert "would never have been full" not in (await meetingpool("plan", *WEEK)).stdout
    assert (
        "The pool (3 servers for 900 people) would never have been full"
        in (await meetingpool("plan", *WEEK, "--servers", "3", "--capacity", "300")).stdout
    )


async def test_meetings_that_still_run_count_with_those_that_are_over(placed: Placed, database: Database, listed: Listed) -> None:
    await placed("room", "a", people=5)
    async with database.transaction() as connection:
        await connection.execute("UPDATE meetings SET created_at = now() - interval '90 minutes', curve = '{5,NULL,40}'")
    await ran(database, datetime.now(UTC) - timedelta(minutes=80), 80, [60])

    plan = await listed("plan", "--days", "1")

    peak: dict[str, Any] = plan["scenarios"][0]["peak"]
    assert (peak["people"], peak["meetings"], peak["largest_meeting"]) == (100, 2, 60)


async def test_without_history_it_says_so_and_what_to_do(meetingpool: CommandLine, database: Database, listed: Listed) -> None:
    told = (await meetingpool("plan")).stdout
    assert told.startswith("Nothing is known of meetings from ")
    assert told.endswith("let it run for a week, or give another --from\n")
    assert (await listed("plan"))["scenarios"] == []
    await ran(database, BEGIN, 60, [0])
    assert (await meetingpool("plan", *WEEK)).stdout.startswith("Nothing is known of meetings from ")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--growth", "much"), "'much' is no growth: give how many times as many meetings, as 1.5, or how many more, as 50%"),
        (("--from", "2026-07-01", "--days", "3"), "Give --from or --days, not both"),
        (
            ("--from", "2026-07-02", "--to", "2026-07-01"),
            "The period must end after it begins: give an earlier --from or a later --to",
        ),
        (("--from", "2999-01-01"), "The period must end after it begins: give an earlier --from or a later --to"),
        (("--from", "soon"), "'soon' is neither a date like 2026-07-01 nor a time like 2026-07-01T08:00Z"),
        (("--timezone", "Mars/Olympus"), "No time zone is called Mars/Olympus: give one like Europe/Berlin"),
    ],
)
async def test_what_cannot_be_answered_is_refused(meetingpool: CommandLine, arguments: tuple[str, ...], told: str) -> None:
    assert (await meetingpool("plan", *arguments, exit_code=1)).stderr == f"{told}\n"


@pytest.mark.parametrize("option", ["--capacity", "--servers", "--days"])
async def test_numbers_that_mean_nothing_are_wrong_usage(meetingpool: CommandLine, option: str) -> None:
    await meetingpool("plan", option, "0", exit_code=2)
