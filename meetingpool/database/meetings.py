"""The mapping of meetings to servers: looked up, ended, forgotten. How it comes about is in creates.py."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ARRAY, Double, Text, TextClause, bindparam, text

from meetingpool.database.engine import Connection
from meetingpool.database.notifications import notify
from meetingpool.domain.meetings import Meeting, MeetingKey, MeetingState
from meetingpool.domain.servers import ServerId

_KEY = "tenant = :tenant AND meeting_id = :meeting_id"
MEETING_COLUMNS = "tenant, meeting_id, server_id, generation, state, internal_id, users, created_at, voice_bridge"

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


async def set_state(
    connection: Connection, meeting: Meeting, state: MeetingState, *, allowed: Sequence[MeetingState]
) -> Meeting | None:
    """Moves a meeting from one of the `allowed` states to `state`. None when it is in another, or was created anew."""
    parameters = _by_meeting(meeting) | {"state": state, "allowed": list(allowed), "internal_id": meeting.internal_id}
    changed = await _meetings(connection, _SET_STATE, parameters)
    await notify_meetings(connection, changed)
    return changed[0] if changed else None


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
    forgotten = await _meetings(connection, _FORGET_SERVER, {"server_id": server_id})
    await notify_gone(connection, [(meeting.key, meeting.generation) for meeting in forgotten])
    return forgotten


async def find_meeting(connection: Connection, key: MeetingKey) -> Meeting | None:
    return next(iter(await _meetings(connection, _FIND, _by_key(key))), None)


async def all_meetings(connection: Connection) -> list[Meeting]:
    return await _meetings(connection, _ALL, {})


async def meetings_on(connection: Connection, server_id: ServerId) -> list[Meeting]:
    return await _meetings(connection, _ON_SERVER, {"server_id": server_id})


async def count_meetings_on(connection: Connection, server_id: ServerId) -> int:
    return int((await connection.execute(_COUNT, {"server_id": server_id})).scalar_one())


async def notify_meetings(connection: Connection, meetings: Sequence[Meeting]) -> None:
    await notify(
        connection,
        "meetings",
        (
            [
                *meeting.key,
                meeting.server_id,
                meeting.generation,
                meeting.state,
                meeting.internal_id,
                meeting.voice_bridge,
            ]
            for meeting in meetings
        ),
    )


async def notify_gone(connection: Connection, gone: Sequence[tuple[MeetingKey, int]]) -> None:
    await notify(connection, "gone", ([*key, generation] for key, generation in gone))


def meeting_of(row: Mapping[Any, Any]) -> Meeting:
    """The meeting of a row that has MEETING_COLUMNS."""
    return Meeting(
        key=MeetingKey(row["tenant"], row["meeting_id"]),
        server_id=ServerId(row["server_id"]),
        generation=row["generation"],
        state=MeetingState(row["state"]),
        internal_id=row["internal_id"],
        users=row["users"],
        created_at=row["created_at"],
        voice_bridge=row["voice_bridge"],
    )


async def _meetings(connection: Connection, statement: TextClause, parameters: Mapping[str, Any]) -> list[Meeting]:
    return [meeting_of(row) for row in (await connection.execute(statement, parameters)).mappings()]


def _by_key(key: MeetingKey) -> dict[str, Any]:
    return {"tenant": key.tenant, "meeting_id": key.meeting_id}


def _by_meeting(meeting: Meeting) -> dict[str, Any]:
    return _by_key(meeting.key) | {"generation": meeting.generation}
