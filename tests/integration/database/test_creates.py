"""Statements about several meetings do to each what those about one do, and wait for nobody."""

import asyncpg
import pytest

from meetingpool.database.creates import Attempt, Confirmation, Reservation, Said, Wish, confirm, reserve, touch
from meetingpool.database.engine import Database, plain_url
from meetingpool.database.several_creates import confirm_all, reserve_all, touch_all
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
    return {key: await reserve(pool.database, Wish(key=key, wanted=wanted, said=said)) for key in KEYS}


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


def wish(pool: RunningPool, server: int, name: str, *, ceiling: float = float("inf"), bridge: str = "") -> Wish:
    wanted = Reservation(server_id=ServerId(pool.fleet.servers[server].name), ceiling=ceiling, expected=2.0)
    parameters = {MARK: "1", "name": "A room"} | ({"voiceBridge": bridge} if bridge else {})
    said = Said(parameters=parameters, callbacks={"ended": f"https://{name}.example/"})
    return Wish(key=MeetingKey(DEFAULT_TENANT, name), wanted=wanted, said=said)


async def test_reserved_together_is_as_reserved_alone(pool: RunningPool, database: Database) -> None:
    alone = await reserve(database, wish(pool, 0, "alone", bridge="700001"))
    together = await reserve_all(database, [wish(pool, 1, "b", bridge="700002"), wish(pool, 2, "a", bridge="700003")])
    assert {server_id: attempt.meeting.key.meeting_id for server_id, attempt in together.items()} == {
        ServerId(pool.fleet.servers[1].name): "b",
        ServerId(pool.fleet.servers[2].name): "a",
    }
    for attempt in together.values():
        assert attempt.meeting.state is alone.meeting.state is MeetingState.RESERVING
        assert attempt.server_load == alone.server_load == 2.0
        assert attempt.parameters.keys() == alone.parameters.keys()
    meetings = "SELECT server_id, host_id, expected_users, open_attempts, voice_bridge, parameters FROM meetings"
    rows = await database.rows(f"{meetings} ORDER BY voice_bridge")
    assert [row["parameters"]["voiceBridge"] for row in rows] == ["700001", "700002", "700003"]
    assert [(row["expected_users"], row["open_attempts"], row["voice_bridge"][:-1]) for row in rows] == [(2.0, 1, "70000")] * 3
    placements = await database.rows(
        "SELECT generation, server_id, host_id, callbacks #>> '{1,ended}' FROM placements ORDER BY 1"
    )
    known = "SELECT generation, server_id, host_id, 'https://' || meeting_id || '.example/' FROM meetings ORDER BY 1"
    assert [tuple(row) for row in await database.rows(known)] == [tuple(row) for row in placements]
    loads = await database.rows("SELECT load FROM servers WHERE load > 0")
    assert [row["load"] for row in loads] == [2.0] * 3


async def test_what_cannot_be_reserved_keeps_none_of_the_others(pool: RunningPool, database: Database) -> None:
    await reserve(database, wish(pool, 0, "known", bridge="700001"))
    wishes = [wish(pool, 0, "a", ceiling=1.9), wish(pool, 1, "known"), wish(pool, 2, "c", ceiling=0.0)]
    assert [attempt.meeting.key.meeting_id for attempt in (await reserve_all(database, wishes)).values()] == ["c"]
    assert await reserve_all(database, [wish(pool, 1, "b", bridge="700001")]) == {}
    loads = await database.rows("SELECT load FROM servers ORDER BY id")
    assert [row["load"] for row in loads] == [2.0, 0.0, 2.0]


async def test_a_meeting_that_is_wished_twice_gets_one_server(pool: RunningPool, database: Database) -> None:
    found = await reserve_all(database, [wish(pool, 0, "a"), wish(pool, 1, "a")])
    assert len(found) == 1
    placements = await database.rows("SELECT server_id FROM placements")
    assert [ServerId(row["server_id"]) for row in placements] == list(found)
    loads = await database.rows("SELECT id FROM servers WHERE load > 0")
    assert [ServerId(row["id"]) for row in loads] == list(found)


async def test_servers_that_somebody_holds_are_not_waited_for(pool: RunningPool, database: Database) -> None:
    holding = await asyncpg.connect(plain_url(database.url))
    await holding.execute(f"BEGIN; SELECT FROM servers WHERE id = '{pool.fleet.servers[0].name}' FOR UPDATE")
    found = await reserve_all(database, [wish(pool, 0, "a"), wish(pool, 1, "b")])
    assert {attempt.meeting.key.meeting_id for attempt in found.values()} == {"b"}
    await holding.execute("ROLLBACK")
    await holding.close()
