"""Meetings that are over, as rows. Triggers of the table `meetings` write them, in the statement that ends a meeting.

Read for lists, plans and simulations. What may be much is read in pieces, each in a transaction of its own: no connection is held
while the caller works, and no more than a piece is in memory.
"""

from collections.abc import AsyncIterator
from datetime import datetime

from meetingpool.database.engine import Connection, Database, Record, affected
from meetingpool.domain.meetings import DEFAULT_TENANT, MeetingKey
from meetingpool.domain.past_meetings import PastMeeting
from meetingpool.domain.servers import ServerId

PIECE = 1000
# Of a tenant that is removed so many go with it, and the rest with the next purge: the removal must not take too long.
GONE_WITH_TENANT = 50_000

_COLUMNS = "id, tenant, meeting_id, server_id, began_at, ended_at, curve"
_BEGAN = f"""
    SELECT {_COLUMNS} FROM past_meetings WHERE (began_at, id) > ($1, $2) AND began_at < $3 ORDER BY began_at, id LIMIT $4
"""
_ENDED = f"SELECT {_COLUMNS} FROM past_meetings WHERE (ended_at, id) > ($1, $2) ORDER BY ended_at, id LIMIT $3"
_FIRST = "SELECT min(began_at) AS began_at FROM past_meetings"

_PURGE = """
    DELETE FROM past_meetings WHERE id IN (
        SELECT id FROM past_meetings WHERE ended_at < now() - make_interval(days => $1) LIMIT $2
    )
"""
_PURGE_OF_NOBODY = f"""
    DELETE FROM past_meetings WHERE id IN (
        SELECT id FROM past_meetings
        WHERE tenant <> '{DEFAULT_TENANT}' AND NOT EXISTS (SELECT FROM tenants WHERE tenants.id = past_meetings.tenant) LIMIT $1
    )
"""
_DELETE_OF_TENANT = """
    DELETE FROM past_meetings WHERE id IN (SELECT id FROM past_meetings WHERE tenant = $1 LIMIT $2)
"""


async def meetings_begun(database: Database, begin: datetime, end: datetime, *, piece: int = PIECE) -> AsyncIterator[PastMeeting]:
    """Meetings that are over and began from `begin` on and before `end`, the first first."""
    after: tuple[datetime, int] | None = (begin, 0)
    while after:
        rows = await database.rows(_BEGAN, *after, end, piece)
        for row in rows:
            yield _past_meeting(row)
        after = (rows[-1]["began_at"], rows[-1]["id"]) if len(rows) == piece else None


async def meetings_ended(database: Database, since: datetime, *, piece: int = PIECE) -> AsyncIterator[PastMeeting]:
    """Meetings of all rooms that ended at that time or later, in the order in which they ended."""
    after: tuple[datetime, int] | None = (since, 0)
    while after:
        rows = await database.rows(_ENDED, *after, piece)
        for row in rows:
            yield _past_meeting(row)
        after = (rows[-1]["ended_at"], rows[-1]["id"]) if len(rows) == piece else None


async def last_meetings(
    connection: Connection, limit: int, *, tenant: str | None = None, meeting_id: str | None = None
) -> list[PastMeeting]:
    """The meetings that ended last, the last one first; of one tenant, or with one meetingID, or both, which is one room."""
    given = {"tenant": tenant, "meeting_id": meeting_id}
    wanted = {column: value for column, value in given.items() if value is not None}
    conditions = " AND ".join(["true", *(f"{column} = ${number}" for number, column in enumerate(wanted, 2))])
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM past_meetings WHERE {conditions} ORDER BY ended_at DESC, id DESC LIMIT $1",
        limit,
        *wanted.values(),
    )
    return [_past_meeting(row) for row in rows]


async def first_begin(database: Database) -> datetime | None:
    """When the first meeting that is kept began; None when there is none."""
    row = await database.statement(_FIRST)
    return row["began_at"] if row else None


async def purge_past_meetings(connection: Connection, days: int, limit: int) -> int:
    """Drops up to `limit` meetings that ended earlier. Returns how many."""
    return affected(await connection.execute(_PURGE, days, limit))


async def purge_meetings_of_nobody(connection: Connection, limit: int) -> int:
    """The same for those of tenants that were removed: some end only after their tenant is gone."""
    return affected(await connection.execute(_PURGE_OF_NOBODY, limit))


async def delete_past_meetings_of(connection: Connection, tenant_id: str) -> None:
    """Drops the meetings of a tenant that is removed, GONE_WITH_TENANT of them at the most."""
    await connection.execute(_DELETE_OF_TENANT, tenant_id, GONE_WITH_TENANT)


def _past_meeting(row: Record) -> PastMeeting:
    return PastMeeting(
        key=MeetingKey(row["tenant"], row["meeting_id"]),
        server_id=ServerId(row["server_id"]),
        began_at=row["began_at"],
        ended_at=row["ended_at"],
        curve=tuple(row["curve"]),
    )
