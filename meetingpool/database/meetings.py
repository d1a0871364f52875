"""The mapping of meetings to servers: looked up, ended, forgotten. How it comes about is in creates.py."""

from collections.abc import Sequence

from meetingpool.database.engine import Connection, Record
from meetingpool.database.notifications import notify
from meetingpool.domain.meetings import Meeting, MeetingKey, MeetingState
from meetingpool.domain.servers import ServerId

_KEY = "tenant = $1 AND meeting_id = $2"
MEETING_COLUMNS = "tenant, meeting_id, server_id, generation, state, internal_id, users, created_at, voice_bridge, expected_users"

# Of a row of servers: when its meetings that are no longer there may have been there last. Nobody knows better after a minute.
LAST_THERE = "least(now(), last_poll + interval '1 minute')"

_SET_STATE = f"""
    UPDATE meetings SET state = $5,
        over_since = CASE
            WHEN $5 = 'ending' THEN coalesce(over_since, (SELECT {LAST_THERE} FROM servers WHERE id = server_id))
        END
    WHERE {_KEY} AND generation = $3 AND internal_id IS NOT DISTINCT FROM $4
        AND state = ANY($6::text[])
    RETURNING {MEETING_COLUMNS}
"""


def unwritten(state: str, seconds: str) -> str:
    """The SQL of how long creates of a meeting may go unwritten after one that was: `seconds`, unless it was never live."""
    return f"CASE WHEN {state} IN ('reserving', 'unknown') THEN interval '0' ELSE make_interval(secs => {seconds}) END"


_FORGET = f"""
    DELETE FROM meetings
    WHERE {_KEY} AND generation = $3 AND internal_id IS NOT DISTINCT FROM $4
        AND attempted_at < now() - make_interval(secs => $5) - {unwritten("state", "$6")}
    RETURNING generation
"""

_FORGET_SERVER = f"DELETE FROM meetings WHERE server_id = $1 RETURNING {MEETING_COLUMNS}"
_FIND = f"SELECT {MEETING_COLUMNS} FROM meetings WHERE {_KEY}"
_ALL = f"SELECT {MEETING_COLUMNS} FROM meetings ORDER BY created_at, meeting_id"
_ON_SERVER = f"SELECT {MEETING_COLUMNS} FROM meetings WHERE server_id = $1 ORDER BY created_at, meeting_id"
_COUNT = "SELECT count(*) FROM meetings WHERE server_id = $1"


async def set_state(
    connection: Connection, meeting: Meeting, state: MeetingState, *, allowed: Sequence[MeetingState]
) -> Meeting | None:
    """Moves a meeting from one of the `allowed` states to `state`. None when it is in another, or was created anew."""
    changed = await _meetings(connection, _SET_STATE, *_seen(meeting), state, list(allowed))
    await notify_meetings(connection, changed)
    return changed[0] if changed else None


async def forget(connection: Connection, meeting: Meeting, *, quiet_for: float, touch_lasts: float) -> bool:
    """Drops a meeting that its server no longer has.

    Not if it was created anew, or a create began in the last `quiet_for` seconds, and `touch_lasts` more if it was live. Returns
    whether it was dropped.
    """
    generation = await connection.fetchval(_FORGET, *_seen(meeting), quiet_for, touch_lasts)
    if generation is not None:
        await notify_gone(connection, [(meeting.key, generation)])
    return generation is not None


async def forget_all_on(connection: Connection, server_id: ServerId) -> list[Meeting]:
    """Drops every meeting of a server that the administrator gave up. Returns them."""
    forgotten = await _meetings(connection, _FORGET_SERVER, server_id)
    await notify_gone(connection, [(meeting.key, meeting.generation) for meeting in forgotten])
    return forgotten


async def find_meeting(connection: Connection, key: MeetingKey) -> Meeting | None:
    return next(iter(await _meetings(connection, _FIND, *key)), None)


async def all_meetings(connection: Connection) -> list[Meeting]:
    return await _meetings(connection, _ALL)


async def meetings_on(connection: Connection, server_id: ServerId) -> list[Meeting]:
    return await _meetings(connection, _ON_SERVER, server_id)


async def count_meetings_on(connection: Connection, server_id: ServerId) -> int:
    return int(await connection.fetchval(_COUNT, server_id))


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
                meeting.expected_users,
            ]
            for meeting in meetings
        ),
    )


async def notify_gone(connection: Connection, gone: Sequence[tuple[MeetingKey, int]]) -> None:
    await notify(connection, "gone", ([*key, generation] for key, generation in gone))


def meeting_of(row: Record) -> Meeting:
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
        expected_users=row["expected_users"],
    )


async def _meetings(connection: Connection, statement: str, *arguments: object) -> list[Meeting]:
    return [meeting_of(row) for row in await connection.fetch(statement, *arguments)]


def _seen(meeting: Meeting) -> tuple[object, ...]:
    """The meeting as whoever acts on it has seen it."""
    return (*meeting.key, meeting.generation, meeting.internal_id)
