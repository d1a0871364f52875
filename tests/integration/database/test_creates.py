"""Statements about several meetings do to each what those about one do, and wait for nobody."""

import asyncpg
import pytest

from meetingpool.database.creates import Attempt, Confirmation, Reservation, Said, confirm, reserve, touch
from meetingpool.database.engine import Database, plain_url
from meetingpool.database.several_creates import confirm_all, touch_all
from meetingpool.domain.meetings import DEFAULT_TENANT, MeetingKey, MeetingState
from meetingpool.domain.repeats import MARK
from meetingpool.domain.servers import ServerId
from tests.pool import RunningPool

KEYS = [MeetingKey(DEFAULT_TENANT, name) for name in ("c", "a", "b")]
STRANGER = MeetingKey(DEFAULT_TENANT, "stranger")


@pytest.fixture
async def reserved(pool: RunningPool) -> dict[MeetingKey, Attempt]:
    wanted = Reservation(server_id=ServerId(pool.fleet.servers[0].name), ceiling=float("inf"), expected=1.0)
    said = Said(parameters={MARK: "1", "name": "A room"})
    return {key: await reserve(pool.database, wanted, key=key, said=said) for key in KEYS}


@pytest.fixture
def database(pool: RunningPool) -> Database:
    return pool.database


def confirmations(attempts: dict[MeetingKey, Attempt]) -> list[Confirmation]:
    return [Confirmation(attempt=attempt, internal_id=f"{key.meeting_id}-1") for key, attempt in attempts.items()]


async def test_touched_together_is_as_touched_alone(database: Database, reserved: dict[MeetingKey, Attempt]) -> None:
    together = await touch_all(database, [*KEYS, STRANGER])
    assert together.keys() == set(KEYS)
    for key, attempt in together.items():
        alone = await touch(database, key)
        assert alone is not None
        assert (alone.meeting, alone.parameters) == (attempt.meeting, attempt.parameters)
        assert attempt.parameters == reserved[key].parameters
        assert reserved[key].attempted_at < attempt.attempted_at < alone.attempted_at
        assert attempt.quiet_for == pytest.approx((attempt.attempted_at - reserved[key].attempted_at).total_seconds())
    row = await database.statement("SELECT sum(open_attempts) AS open_attempts FROM meetings")
    assert row is not None
    assert row["open_attempts"] == 3 * len(KEYS)


async def test_confirmed_together_is_as_confirmed_alone(database: Database, reserved: dict[MeetingKey, Attempt]) -> None:
    first, *others = confirmations(reserved)
    alone = await confirm(database, first)
    together = await confirm_all(database, others)
    assert alone is not None
    for meeting in (alone, *together.values()):
        assert (meeting.state, meeting.internal_id) == (MeetingState.LIVE, f"{meeting.key.meeting_id}-1")
        assert meeting.created_at == reserved[meeting.key].meeting.created_at
    rows = await database.rows("SELECT open_attempts, parameters FROM meetings")
    assert [(row["open_attempts"], row["parameters"]["name"]) for row in rows] == [(0, "A room")] * len(KEYS)


async def test_what_another_has_taken_over_is_not_confirmed(database: Database, reserved: dict[MeetingKey, Attempt]) -> None:
    await database.statement("UPDATE meetings SET generation = nextval('meeting_generations') WHERE meeting_id = 'a'")
    await database.statement("DELETE FROM meetings WHERE meeting_id = 'b'")
    assert {key.meeting_id for key in await confirm_all(database, confirmations(reserved))} == {"c"}
    row = await database.statement("SELECT state FROM meetings WHERE meeting_id = 'a'")
    assert row is not None
    assert row["state"] == "reserving"


async def test_rows_that_somebody_holds_are_not_waited_for(database: Database, reserved: dict[MeetingKey, Attempt]) -> None:
    holding = await asyncpg.connect(plain_url(database.url))
    await holding.execute("BEGIN; SELECT FROM meetings WHERE meeting_id = 'a' FOR UPDATE")
    assert {key.meeting_id for key in await touch_all(database, KEYS)} == {"b", "c"}
    assert {key.meeting_id for key in await confirm_all(database, confirmations(reserved))} == {"b", "c"}
    await holding.execute("ROLLBACK")
    await holding.close()
    assert {key.meeting_id for key in await touch_all(database, KEYS)} == {"a", "b", "c"}
