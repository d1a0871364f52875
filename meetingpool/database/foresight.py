"""What is foreseen, as rows. Written by the leading poller, read by gateways.

The poller learns from each meeting that is over once: it takes meetings that nobody has learnt from, and writes what it learnt,
in one transaction. Gateways hold what is upcoming in memory, and look up other rooms when a meeting of them is created.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from meetingpool.database.engine import Connection, Database, Record, affected
from meetingpool.database.notifications import notify
from meetingpool.database.past_meetings import GONE_WITH_TENANT
from meetingpool.domain.load import Expectation
from meetingpool.domain.meetings import DEFAULT_TENANT, MeetingKey
from meetingpool.domain.outlook import Outlook
from meetingpool.domain.past_meetings import PastMeeting
from meetingpool.domain.rooms import Room
from meetingpool.domain.servers import ServerId
from meetingpool.domain.timetable import Upcoming

NOTIFICATION = "foresight"
# So many rooms are read at once.
PIECE = 2000

_TAKE = """
    WITH taken AS (
        UPDATE past_meetings SET is_learnt = true
        WHERE id IN (SELECT id FROM past_meetings WHERE NOT is_learnt ORDER BY id LIMIT $1)
        RETURNING id, tenant, meeting_id, server_id, began_at, ended_at, curve
    )
    SELECT * FROM taken ORDER BY ended_at, id
"""
_SAVE_ROOMS = """
    INSERT INTO rooms (tenant, meeting_id, users, holds_for, learnt)
    SELECT * FROM unnest($1::text[], $2::text[], $3::float8[], $4::float8[], $5::jsonb[])
    ON CONFLICT (tenant, meeting_id) DO UPDATE SET
        users = excluded.users, holds_for = excluded.holds_for, learnt = excluded.learnt, updated_at = now()
"""
_RECENT_ROOMS = """
    SELECT tenant, meeting_id, learnt FROM rooms
    WHERE (tenant, meeting_id) > ($1, $2) AND updated_at > now() - make_interval(days => $3) ORDER BY tenant, meeting_id LIMIT $4
"""
_ROOMS_OF = """
    SELECT tenant, meeting_id, learnt
    FROM unnest($1::text[], $2::text[]) AS given (tenant, meeting_id) JOIN rooms USING (tenant, meeting_id)
"""
# Those that servers have confirmed: a past meeting is made of each, whatever becomes of it until then.
_RUNNING = "SELECT tenant, meeting_id, created_at FROM meetings WHERE internal_id IS NOT NULL"
_UPCOMING = """
    SELECT tenant, meeting_id, users, chance, holds_for, server_id FROM upcoming_meetings
    ORDER BY users DESC, tenant, meeting_id
"""
# Most of what is upcoming was so at the last round too: only what changed is written.
_DROP_UPCOMING = """
    DELETE FROM upcoming_meetings WHERE (tenant, meeting_id) NOT IN (SELECT * FROM unnest($1::text[], $2::text[]))
"""
_SAVE_UPCOMING = """
    INSERT INTO upcoming_meetings AS known (tenant, meeting_id, users, chance, holds_for, server_id)
    SELECT * FROM unnest($1::text[], $2::text[], $3::float8[], $4::float8[], $5::float8[], $6::text[])
    ON CONFLICT (tenant, meeting_id) DO UPDATE SET
        users = excluded.users, chance = excluded.chance, holds_for = excluded.holds_for, server_id = excluded.server_id
    WHERE (known.users, known.chance, known.holds_for, known.server_id)
        IS DISTINCT FROM (excluded.users, excluded.chance, excluded.holds_for, excluded.server_id)
"""
_STATE = "SELECT learnt FROM foresight"
_SAVE_STATE = """
    INSERT INTO foresight (learnt, typical) VALUES ($1, $2)
    ON CONFLICT (id) DO UPDATE SET learnt = excluded.learnt, typical = excluded.typical, told_at = now()
"""
_TYPICAL = """
    SELECT typical, extract(epoch FROM now() - told_at)::float8 AS age, EXISTS (SELECT FROM rooms) AS knows_rooms FROM foresight
"""
_FIND = """
    SELECT tenant, meeting_id, rooms.users, rooms.holds_for
    FROM unnest($1::text[], $2::text[]) AS given (tenant, meeting_id) JOIN rooms USING (tenant, meeting_id)
"""
# What the leader is learning at this moment is left to the next purge, so that nobody waits in a circle.
_PURGE = f"""
    DELETE FROM rooms WHERE (tenant, meeting_id) IN (
        SELECT tenant, meeting_id FROM rooms
        WHERE updated_at < now() - make_interval(days => $1)
            OR (tenant <> '{DEFAULT_TENANT}' AND NOT EXISTS (SELECT FROM tenants WHERE tenants.id = rooms.tenant))
        LIMIT $2 FOR UPDATE SKIP LOCKED
    )
"""
_DELETE_OF_TENANT = """
    DELETE FROM rooms WHERE (tenant, meeting_id) IN (
        SELECT tenant, meeting_id FROM rooms WHERE tenant = $1 LIMIT $2 FOR UPDATE SKIP LOCKED
    )
"""

# The users expected of a room's next meeting, and for how many seconds all of them; nothing of a room that is not known.
Known = Sequence[float]


async def take_unlearnt(connection: Connection, limit: int) -> list[PastMeeting]:
    """Meetings that are over and that nobody has learnt from; whoever commits this has. In the order in which they ended."""
    return [_past_meeting(row) for row in await connection.fetch(_TAKE, limit)]


async def save_rooms(connection: Connection, rooms: Mapping[MeetingKey, tuple[Room, Expectation]]) -> None:
    ordered = sorted(rooms.items())
    await connection.execute(
        _SAVE_ROOMS,
        [key.tenant for key, _ in ordered],
        [key.meeting_id for key, _ in ordered],
        [expected.users for _, (_, expected) in ordered],
        [expected.holds_for for _, (_, expected) in ordered],
        [asdict(room) for _, (room, _) in ordered],
    )


async def rooms_used_lately(database: Database, days: int, *, piece: int = PIECE) -> AsyncIterator[list[tuple[MeetingKey, Room]]]:
    """Rooms that had a meeting which ended in the last days, in pieces: each is a statement of its own."""
    after: tuple[str, str] | None = ("", "")
    while after:
        rows = await database.rows(_RECENT_ROOMS, *after, days, piece)
        yield [_room(row) for row in rows]
        after = (rows[-1]["tenant"], rows[-1]["meeting_id"]) if len(rows) == piece else None


async def rooms_of(connection: Connection, keys: Collection[MeetingKey]) -> list[tuple[MeetingKey, Room]]:
    """Those of the rooms that had a meeting before."""
    return [
        _room(row) for row in await connection.fetch(_ROOMS_OF, [key.tenant for key in keys], [key.meeting_id for key in keys])
    ]


async def running_meetings(connection: Connection) -> dict[MeetingKey, datetime]:
    """When each meeting began that is not known to be over."""
    rows = await connection.fetch(_RUNNING)
    return {MeetingKey(row["tenant"], row["meeting_id"]): row["created_at"] for row in rows}


async def database_time(connection: Connection) -> float:
    """In seconds since 1970."""
    return float(await connection.fetchval("SELECT extract(epoch FROM now())::float8"))


async def common_state(connection: Connection) -> Mapping[str, Any] | None:
    """What all rooms have in common, as it was saved; None when nothing was learnt yet."""
    row = await connection.fetchrow(_STATE)
    return row["learnt"] if row else None


async def tell(
    connection: Connection, upcoming: Sequence[Upcoming], typical: Mapping[str, float], state: Mapping[str, Any]
) -> None:
    """Writes what is foreseen now, and tells all gateways to read it."""
    keys = [each.key.tenant for each in upcoming], [each.key.meeting_id for each in upcoming]
    await connection.execute(_DROP_UPCOMING, *keys)
    await connection.execute(
        _SAVE_UPCOMING,
        *keys,
        [each.users for each in upcoming],
        [each.chance for each in upcoming],
        [each.holds_for for each in upcoming],
        [each.server_id for each in upcoming],
    )
    await connection.execute(_SAVE_STATE, state, typical)
    await notify(connection, NOTIFICATION, [len(upcoming)])


async def read_outlook(connection: Connection) -> Outlook:
    """What the leading poller told last."""
    row = await connection.fetchrow(_TYPICAL)
    if row is None:
        return Outlook()
    return Outlook(
        upcoming=tuple(_upcoming(each) for each in await connection.fetch(_UPCOMING)),
        typical=row["typical"],
        knows_rooms=row["knows_rooms"],
        age=row["age"],
    )


async def find_rooms(database: Database, keys: Collection[MeetingKey]) -> dict[MeetingKey, Known]:
    rows = await database.rows(_FIND, [key.tenant for key in keys], [key.meeting_id for key in keys])
    found = {MeetingKey(row["tenant"], row["meeting_id"]): (row["users"], row["holds_for"]) for row in rows}
    return {key: found.get(key, ()) for key in keys}


async def find_room(database: Database, key: MeetingKey) -> Known:
    return (await find_rooms(database, [key]))[key]


async def delete_rooms_of(connection: Connection, tenant_id: str) -> None:
    """Drops the rooms of a tenant that is removed, up to a number; the next purge drops the rest."""
    await connection.execute(_DELETE_OF_TENANT, tenant_id, GONE_WITH_TENANT)


async def purge_rooms(connection: Connection, days: int, limit: int) -> int:
    """Drops up to `limit` rooms that had no meeting for so many days, or whose tenant is gone. Returns how many."""
    return affected(await connection.execute(_PURGE, days, limit))


def _room(row: Record) -> tuple[MeetingKey, Room]:
    return MeetingKey(row["tenant"], row["meeting_id"]), Room.read(row["learnt"])


def _past_meeting(row: Record) -> PastMeeting:
    return PastMeeting(
        key=MeetingKey(row["tenant"], row["meeting_id"]),
        server_id=ServerId(row["server_id"]),
        began_at=row["began_at"],
        ended_at=row["ended_at"],
        curve=tuple(row["curve"]),
    )


def _upcoming(row: Record) -> Upcoming:
    key = MeetingKey(row["tenant"], row["meeting_id"])
    return Upcoming(key=key, users=row["users"], chance=row["chance"], holds_for=row["holds_for"], server_id=row["server_id"])
