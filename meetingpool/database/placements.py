"""Which server got which meeting, and whom to tell of it: rows that outlive the meetings. Written by creates.py.

Callbacks, and recordings that are ready weeks later, are found by them.
"""

from collections.abc import Collection
from typing import Any

from sqlalchemy import ARRAY, Row, Text, bindparam, text

from meetingpool.database.engine import Connection
from meetingpool.domain.meetings import MeetingKey, Placement
from meetingpool.domain.servers import ServerId

# Recordings that are rebuilt come late, but hardly after this.
KEPT_DAYS = 400

_FIND = text("""
    SELECT generation, tenant, meeting_id, host_id, server_id, coalesce(callbacks -> :mark, '{}') AS callbacks
    FROM placements WHERE generation = :generation
""")

# Of a server, the last placement of each meeting there, and whether no other server got the meeting after it.
_FIND_ON = text("""
    SELECT DISTINCT ON (host_id) host_id, tenant, meeting_id, NOT EXISTS (
        SELECT FROM placements AS later WHERE later.host_id = placements.host_id AND later.generation > placements.generation
    ) AS is_latest
    FROM placements WHERE host_id = ANY(:host_ids) AND server_id = :server_id
    ORDER BY host_id, generation DESC
""").bindparams(bindparam("host_ids", type_=ARRAY(Text)))

_PURGE = text("""
    DELETE FROM placements WHERE generation IN (
        SELECT generation FROM placements
        WHERE placed_at < now() - make_interval(days => :days)
            AND NOT EXISTS (SELECT FROM meetings WHERE meetings.generation = placements.generation)
        LIMIT :limit
    )
""")


async def find_placement(connection: Connection, generation: int, mark: str) -> Placement | None:
    """The placement, with the callbacks of the meeting that has the mark: a server may have made several in one placement."""
    row = (await connection.execute(_FIND, {"generation": generation, "mark": mark})).first()
    return _placement(row) if row else None


async def placed_on(connection: Connection, server_id: ServerId, host_ids: Collection[str]) -> dict[str, tuple[MeetingKey, bool]]:
    """Whose the meetings with these ids are that `server_id` ever got, and whether it is the last server that got them."""
    found = await connection.execute(_FIND_ON, {"server_id": server_id, "host_ids": list(host_ids)})
    return {row.host_id: (MeetingKey(row.tenant, row.meeting_id), row.is_latest) for row in found}


async def purge_placements(connection: Connection, limit: int) -> int:
    """Drops up to `limit` placements that are too old to be asked for. Returns how many."""
    return (await connection.execute(_PURGE, {"days": KEPT_DAYS, "limit": limit})).rowcount


def _placement(row: Row[Any]) -> Placement:
    return Placement(
        generation=row.generation,
        key=MeetingKey(row.tenant, row.meeting_id),
        host_id=row.host_id,
        server_id=ServerId(row.server_id),
        callbacks=row.callbacks,
    )
