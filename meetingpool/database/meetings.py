"""The mapping of meetings to servers: the rows on which every race between processes is decided.

Locks are always taken in the order servers, meetings, so that two transactions never wait for each other in a circle.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, Double, Text, bindparam, text
from sqlalchemy.engine import Row

from meetingpool.database.engine import Connection
from meetingpool.database.notifications import notify
from meetingpool.domain.meetings import Meeting, MeetingKey, MeetingState, host_id_of
from meetingpool.domain.servers import ServerId

_SERVER_IS_DEAD = "EXISTS (SELECT FROM servers s WHERE s.id = meetings.server_id AND s.health = 'dead')"
_KEY = "tenant = :tenant AND meeting_id = :meeting_id"
MEETING_COLUMNS = "tenant, meeting_id, server_id, generation, state, internal_id, users, created_at"

_CHOSEN = """
    UPDATE servers SET load = load + :expected * load_multiplier
    WHERE id = :server_id AND admin_state = 'enabled' AND health IN ('online', 'suspect') AND load <= :ceiling
"""

_RESERVE = text(f"""
    WITH existing AS (SELECT 1 FROM meetings WHERE {_KEY}),
    chosen AS ({_CHOSEN} AND NOT EXISTS (SELECT FROM existing) RETURNING id, load),
    reserved AS (
        INSERT INTO meetings (tenant, meeting_id, host_id, server_id, state, expected_users, open_attempts)
        SELECT :tenant, :meeting_id, :host_id, chosen.id, 'reserving', :expected, 1 FROM chosen
        ON CONFLICT DO NOTHING
        RETURNING generation, attempted_at
    )
    SELECT chosen.load, reserved.generation, reserved.attempted_at FROM chosen LEFT JOIN reserved ON true
""").bindparams(bindparam("expected", type_=Double), bindparam("ceiling", type_=Double))

_TOUCH = text(f"""
    WITH before AS (SELECT attempted_at FROM meetings WHERE {_KEY} FOR UPDATE)
    UPDATE meetings SET attempted_at = now(), open_attempts = open_attempts + 1
    FROM before WHERE {_KEY}
    RETURNING {MEETING_COLUMNS}, meetings.attempted_at, extract(epoch FROM now() - before.attempted_at)::float8 AS quiet_for
""")

_MOVE = """
    WITH chosen AS ({chosen} RETURNING id, load),
    moved AS (
        UPDATE meetings SET
            server_id = chosen.id, generation = nextval('meeting_generations'), state = 'reserving', internal_id = NULL,
            users = 0, expected_users = :expected, open_attempts = 1, attempted_at = now(), created_at = now()
        FROM chosen
        WHERE {key} AND generation = :generation AND {guard}
        RETURNING generation, attempted_at
    )
    SELECT chosen.load, moved.generation, moved.attempted_at FROM chosen LEFT JOIN moved ON true
"""

_MOVE_REFUSED = text(_MOVE.format(chosen=_CHOSEN, key=_KEY, guard="state = 'reserving' AND open_attempts = 1")).bindparams(
    bindparam("expected", type_=Double), bindparam("ceiling", type_=Double)
)

_MOVE_GONE = text(
    _MOVE.format(chosen=_CHOSEN, key=_KEY, guard="attempted_at = :attempted_at AND (:told OR " + _SERVER_IS_DEAD + ")")
).bindparams(bindparam("expected", type_=Double), bindparam("ceiling", type_=Double))

_CONFIRM = text(f"""
    UPDATE meetings SET
        state = CASE WHEN state = 'ending' AND internal_id = :internal_id THEN state ELSE 'live' END,
        created_at = CASE WHEN internal_id <> :internal_id THEN now() ELSE created_at END,
        users = CASE WHEN internal_id <> :internal_id THEN 0 ELSE users END,
        internal_id = :internal_id,
        open_attempts = greatest(open_attempts - 1, 0)
    WHERE {_KEY} AND generation = :generation
    RETURNING {MEETING_COLUMNS}
""")

_WITHDRAW = text(f"""
    DELETE FROM meetings
    WHERE {_KEY} AND generation = :generation AND state = 'reserving' AND open_attempts = 1
    RETURNING generation
""")

_CLOSE_ATTEMPT = text(f"""
    UPDATE meetings SET open_attempts = greatest(open_attempts - 1, 0) WHERE {_KEY} AND generation = :generation
""")

_SET_STATE = text(f"""
    UPDATE meetings SET state = :state WHERE {_KEY} AND generation = :generation AND state = ANY(:allowed)
        AND internal_id IS NOT DISTINCT FROM CAST(:internal_id AS text)
    RETURNING {MEETING_COLUMNS}
""").bindparams(bindparam("allowed", type_=ARRAY(Text)))

_FORGET = text(f"""
    DELETE FROM meetings
    WHERE {_KEY} AND generation = :generation AND attempted_at < now() - make_interval(secs => :quiet_for)
        AND internal_id IS NOT DISTINCT FROM CAST(:internal_id AS text)
    RETURNING generation
""").bindparams(bindparam("quiet_for", type_=Double))

_FORGET_SERVER = text(f"DELETE FROM meetings WHERE server_id = :server_id RETURNING {MEETING_COLUMNS}")
_FIND = text(f"SELECT {MEETING_COLUMNS} FROM meetings WHERE {_KEY}")
_ALL = text(f"SELECT {MEETING_COLUMNS} FROM meetings ORDER BY created_at, meeting_id")
_ON_SERVER = text(f"SELECT {MEETING_COLUMNS} FROM meetings WHERE server_id = :server_id ORDER BY created_at, meeting_id")
_COUNT = text("SELECT count(*) FROM meetings WHERE server_id = :server_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A create that may now be sent to the meeting's server.

    `attempted_at` marks this attempt; `quiet_for` is the number of seconds that no other create was begun before it;
    `server_load` is the load written with a new placement, None when the meeting had its server already.
    """

    meeting: Meeting
    attempted_at: datetime
    quiet_for: float = 0.0
    server_load: float | None = None


class Unplaced(Exception):
    """The server did not take the meeting: it is no longer open to new ones, or no longer the least loaded."""


class MeetingTaken(Exception):
    """Another create changed the meeting first."""


async def reserve(connection: Connection, key: MeetingKey, server_id: ServerId, *, ceiling: float, expected: float) -> Attempt:
    """Gives a new meeting to a server and counts `expected` users on it, in one statement.

    Raises Unplaced when the server's load is above `ceiling` or it takes no meetings, MeetingTaken when the meeting exists.
    The caller lets the exception end the transaction.
    """
    parameters = {"host_id": host_id_of(key), "server_id": server_id, "ceiling": ceiling, "expected": expected}
    row = (await connection.execute(_RESERVE, _by_key(key) | parameters)).first()
    if row is None and await find_meeting(connection, key):
        raise MeetingTaken
    return await _placed(connection, key, server_id, row)


async def touch(connection: Connection, key: MeetingKey) -> Attempt | None:
    """Begins another create of a meeting that has a server. None when there is no such meeting."""
    row = (await connection.execute(_TOUCH, _by_key(key))).first()
    return Attempt(meeting=meeting_of(row), attempted_at=row.attempted_at, quiet_for=row.quiet_for) if row else None


async def move_refused(
    connection: Connection, attempt: Attempt, server_id: ServerId, *, ceiling: float, expected: float
) -> Attempt:
    """Gives a reservation to another server after its own refused the connection.

    Only while no other create of it may have reached the server; raises MeetingTaken otherwise, Unplaced as `reserve`.
    """
    parameters = _by_meeting(attempt.meeting) | {"server_id": server_id, "ceiling": ceiling, "expected": expected}
    row = (await connection.execute(_MOVE_REFUSED, parameters)).first()
    return await _placed(connection, attempt.meeting.key, server_id, row)


async def move_gone(
    connection: Connection, attempt: Attempt, server_id: ServerId, *, told: bool, ceiling: float, expected: float
) -> Attempt:
    """Gives a meeting to another server after positive evidence that its own no longer has it.

    The evidence is the server's own word (`told`), or that it is dead. Only while no other create was begun since `attempt`;
    raises MeetingTaken otherwise, Unplaced as `reserve`.
    """
    parameters = _by_meeting(attempt.meeting) | {"server_id": server_id, "ceiling": ceiling, "expected": expected}
    row = (await connection.execute(_MOVE_GONE, parameters | {"attempted_at": attempt.attempted_at, "told": told})).first()
    return await _placed(connection, attempt.meeting.key, server_id, row)


async def confirm(connection: Connection, attempt: Attempt, internal_id: str) -> Meeting | None:
    """The server has the meeting, as `internal_id`. None when the meeting is no longer this attempt's."""
    row = (await connection.execute(_CONFIRM, _by_meeting(attempt.meeting) | {"internal_id": internal_id})).first()
    known = attempt.meeting
    if row is not None and (row.state, row.internal_id) == (known.state, known.internal_id):
        return meeting_of(row)
    return await _changed(connection, row)


async def withdraw(connection: Connection, attempt: Attempt) -> bool:
    """The server did not take the create. A reservation with no other create under way is dropped; True when it was."""
    row = (await connection.execute(_WITHDRAW, _by_meeting(attempt.meeting))).first()
    if row is None:
        await connection.execute(_CLOSE_ATTEMPT, _by_meeting(attempt.meeting))
        return False
    await notify_gone(connection, [(attempt.meeting.key, row.generation)])
    return True


async def set_state(
    connection: Connection, meeting: Meeting, state: MeetingState, *, allowed: Sequence[MeetingState]
) -> Meeting | None:
    """Moves a meeting from one of the `allowed` states to `state`. None when it is in another, or was created anew."""
    parameters = _by_meeting(meeting) | {"state": state, "allowed": list(allowed), "internal_id": meeting.internal_id}
    return await _changed(connection, (await connection.execute(_SET_STATE, parameters)).first())


async def forget(connection: Connection, meeting: Meeting, *, quiet_for: float) -> bool:
    """Drops a meeting that its server no longer has.

    Not if it was created anew, or a create began in the last `quiet_for` seconds. Returns whether it was dropped.
    """
    row = (
        await connection.execute(_FORGET, _by_meeting(meeting) | {"quiet_for": quiet_for, "internal_id": meeting.internal_id})
    ).first()
    if row is not None:
        await notify_gone(connection, [(meeting.key, row.generation)])
    return row is not None


async def forget_all_on(connection: Connection, server_id: ServerId) -> list[Meeting]:
    """Drops every meeting of a server that the administrator gave up. Returns them."""
    forgotten = [meeting_of(row) for row in await connection.execute(_FORGET_SERVER, {"server_id": server_id})]
    await notify_gone(connection, [(meeting.key, meeting.generation) for meeting in forgotten])
    return forgotten


async def find_meeting(connection: Connection, key: MeetingKey) -> Meeting | None:
    row = (await connection.execute(_FIND, _by_key(key))).first()
    return meeting_of(row) if row else None


async def all_meetings(connection: Connection) -> list[Meeting]:
    return [meeting_of(row) for row in await connection.execute(_ALL)]


async def meetings_on(connection: Connection, server_id: ServerId) -> list[Meeting]:
    return [meeting_of(row) for row in await connection.execute(_ON_SERVER, {"server_id": server_id})]


async def count_meetings_on(connection: Connection, server_id: ServerId) -> int:
    return int((await connection.execute(_COUNT, {"server_id": server_id})).scalar_one())


async def notify_meetings(connection: Connection, meetings: Sequence[Meeting]) -> None:
    await notify(
        connection,
        "meetings",
        ([*meeting.key, meeting.server_id, meeting.generation, meeting.state, meeting.internal_id] for meeting in meetings),
    )


async def notify_gone(connection: Connection, gone: Sequence[tuple[MeetingKey, int]]) -> None:
    await notify(connection, "gone", ([*key, generation] for key, generation in gone))


async def _placed(connection: Connection, key: MeetingKey, server_id: ServerId, row: Row[Any] | None) -> Attempt:
    if row is None:
        raise Unplaced
    if row.generation is None:
        raise MeetingTaken
    meeting = Meeting(key=key, server_id=server_id, generation=row.generation, state=MeetingState.RESERVING)
    await notify_meetings(connection, [meeting])
    await notify(connection, "load", [[server_id, row.load]])
    return Attempt(meeting=meeting, attempted_at=row.attempted_at, server_load=row.load)


async def _changed(connection: Connection, row: Row[Any] | None) -> Meeting | None:
    if row is None:
        return None
    meeting = meeting_of(row)
    await notify_meetings(connection, [meeting])
    return meeting


def meeting_of(row: Row[Any]) -> Meeting:
    """The meeting of a row that has MEETING_COLUMNS."""
    return Meeting(
        key=MeetingKey(row.tenant, row.meeting_id),
        server_id=ServerId(row.server_id),
        generation=row.generation,
        state=MeetingState(row.state),
        internal_id=row.internal_id,
        users=row.users,
        created_at=row.created_at,
    )


def _by_key(key: MeetingKey) -> dict[str, Any]:
    return {"tenant": key.tenant, "meeting_id": key.meeting_id}


def _by_meeting(meeting: Meeting) -> dict[str, Any]:
    return _by_key(meeting.key) | {"generation": meeting.generation}
