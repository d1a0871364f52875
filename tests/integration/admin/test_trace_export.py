"""`meetingpool simulate export`: meetings as they were, in a file that a simulation can play again."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from admin.refusals import Refused
from admin.trace_export import export_trace, pseudonym
from meetingpool.database.engine import Database
from meetingpool.domain.meetings import DEFAULT_TENANT, MeetingKey
from meetingpool.domain.usage import InvalidPeriod
from tests.tenants import add_tenants

WEDNESDAY = datetime(2026, 7, 1, tzinfo=UTC)
HOUR = 3600


async def keep(
    database: Database, name: str, hour: float, curve: list[int | None], minutes: float, tenant: str = DEFAULT_TENANT
) -> None:
    began = WEDNESDAY + timedelta(hours=hour)
    statement = """
        INSERT INTO past_meetings (tenant, meeting_id, server_id, began_at, ended_at, curve) VALUES ($1, $2, 's', $3, $4, $5)
    """
    async with database.transaction() as connection:
        await connection.execute(statement, tenant, name, began, began + timedelta(minutes=minutes), curve)


@pytest.fixture
async def history(database: Database) -> Database:
    await add_tenants(database, "school")
    await keep(database, "late", 33.5, [1], 10)
    await keep(database, "maths", 8, [2, 1], 5.5, tenant="id-of-school")
    await keep(database, "maths", 32, [0], 5, tenant="id-of-school")
    await keep(database, "ünïted/1", 9, [1, None, 3], 2.5)
    return database


async def exported(database: Database, path: Path, begin: str | None = None, end: str | None = None, **how: bool) -> list[Any]:
    await export_trace(database, begin, end, path, **({"anonymous": False} | how))
    return [json.loads(line) for line in path.read_text().splitlines()]


async def test_a_trace_has_the_meetings_of_a_period_from_its_midnight_on(history: Database, tmp_path: Path) -> None:
    eight, nine = 8 * HOUR, 9 * HOUR
    assert await exported(history, tmp_path / "trace.jsonl", "2026-07-01T07:30Z", "2026-07-02T08:00Z") == [
        {
            "room": "school/maths",
            "start": eight,
            "end": eight + 330,
            "people": [[eight, eight + 60], [eight, eight + 330]],
        },
        {
            "room": "default/ünïted/1",
            "start": nine,
            "end": nine + 150,
            "people": [[nine, nine + 150], *[[nine + 120, nine + 150]] * 2],
        },
    ]
    _, late = await exported(history, tmp_path / "trace.jsonl", "2026-07-02T09:00+01:00", "2026-07-03")
    assert (late["room"], late["start"]) == ("default/late", 9.5 * HOUR)


async def test_without_a_period_it_has_all_that_is_kept(history: Database, tmp_path: Path) -> None:
    found = await exported(history, tmp_path / "trace.jsonl")
    assert [meeting["start"] / HOUR for meeting in found] == [8, 9, 32, 33.5]


async def test_times_that_were_rounded_leave_nobody_who_was_there_for_no_time(database: Database, tmp_path: Path) -> None:
    await keep(database, "short", 8, [0, 4], 1.005)
    (short,) = await exported(database, tmp_path / "trace.jsonl")
    assert (short["end"] - short["start"], short["people"]) == (60, [])


async def test_anonymous_rooms_are_told_apart_and_not_known(history: Database, tmp_path: Path) -> None:
    first, second = [await exported(history, tmp_path / "trace.jsonl", anonymous=True) for _ in range(2)]
    rooms = [meeting["room"] for meeting in first]
    assert rooms[0] == rooms[2]
    assert len(set(rooms)) == 3
    assert rooms[1].split("/")[0] == rooms[3].split("/")[0] != rooms[0].split("/")[0]
    assert not any(name in room for room in rooms for name in ("maths", "late", "default", "school"))
    assert not set(rooms) & {meeting["room"] for meeting in second}
    assert [{**meeting, "room": ""} for meeting in first] == [{**meeting, "room": ""} for meeting in second]


def test_the_names_of_rooms_depend_on_the_secret_and_on_all_of_the_key() -> None:
    keys = [MeetingKey("a", "bc"), MeetingKey("ab", "c"), MeetingKey("a", 'b","c'), MeetingKey("a", "")]
    names = {pseudonym(secret, key) for secret in (b"1", b"2") for key in keys}
    assert len(names) == 8


async def test_it_goes_to_standard_output_where_no_file_is_named(history: Database, capsys: pytest.CaptureFixture[str]) -> None:
    await export_trace(history, None, None, None, anonymous=True)
    told = capsys.readouterr()
    assert len([json.loads(line) for line in told.out.splitlines()]) == 4
    assert told.err == ""


async def test_a_file_is_its_owners_and_whole(history: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trace = tmp_path / "trace.jsonl"
    trace.write_text("before")
    await export_trace(history, None, None, trace, anonymous=True)
    assert (trace.stat().st_mode & 0o777, capsys.readouterr().err) == (0o600, f"Wrote 4 meetings to {trace}\n")
    whole = trace.read_text()
    with pytest.raises(Refused):
        await export_trace(history, "2026-08-01", None, trace, anonymous=True)
    assert (trace.read_text(), list(tmp_path.iterdir())) == (whole, [trace])


async def test_what_cannot_be_exported_is_refused(history: Database, tmp_path: Path) -> None:
    trace = tmp_path / "trace.jsonl"
    with pytest.raises(InvalidPeriod, match="must end after it begins"):
        await export_trace(history, "2026-07-02", "2026-07-01", trace, anonymous=True)
    with pytest.raises(InvalidPeriod, match="'yesterday' is neither a date"):
        await export_trace(history, "yesterday", None, trace, anonymous=True)
    with pytest.raises(Refused, match="is not a file"):
        await export_trace(history, None, None, tmp_path, anonymous=True)
    with pytest.raises(Refused, match=r"cannot be written to .*: No such file or directory"):
        await export_trace(history, None, None, tmp_path / "nowhere" / "trace.jsonl", anonymous=True)
    assert list(tmp_path.iterdir()) == []


async def test_where_nothing_is_known_nothing_is_exported(database: Database, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="No meeting that is over is known: `meetingpool meetings history` shows"):
        await export_trace(database, None, None, tmp_path / "trace.jsonl", anonymous=True)
