"""Which server got which meeting, and whom to tell of it: rows that outlive the meetings. Written by creates.py.

Callbacks, and recordings that are ready weeks later, are found by them.
"""

from collections.abc import Collection

from meetingpool.database.engine import Connection, Record, affected
from meetingpool.domain.meetings import MeetingKey, Placement, host_id_of
from meetingpool.domain.reasons import Placed, Reason
from meetingpool.domain.servers import ServerId

# Recordings that are rebuilt come late, but hardly after this.
KEPT_DAYS = 400

_FIND = """
    SELECT generation, tenant, meeting_id, host_id, server_id, coalesce(callbacks -> $2::text, '{}') AS callbacks
    FROM placements WHERE generation = $1
"""

# Of a server, the last placement of each meeting there, and whether no other server got the meeting after it.
_FIND_ON = """
    SELECT DISTINCT ON (host_id) host_id, tenant, meeting_id, NOT EXISTS (
        SELECT FROM placements AS later WHERE later.host_id = placements.host_id AND later.generation > placements.generation
    ) AS is_latest
    FROM placements WHERE host_id = ANY($1::text[]) AND server_id = $2
    ORDER BY host_id, generation DESC
"""

_FIND_LAST = """
    SELECT generation, tenant, meeting_id, host_id, server_id, '{}'::jsonb AS callbacks
    FROM placements WHERE host_id = $1 ORDER BY generation DESC LIMIT 1
"""

# Of several tenants' meetings with the same id, the last placement of each.
_FIND_REASONS = """
    SELECT DISTINCT ON (host_id) tenant, meeting_id, server_id, placed_at, reason
    FROM placements WHERE host_id = ANY($1::text[]) AND meeting_id = $2
    ORDER BY host_id, generation DESC
"""

_PURGE = """
    DELETE FROM placements WHERE generation IN (
        SELECT generation FROM placements
        WHERE placed_at < now() - make_interval(days => $1)
            AND NOT EXISTS (SELECT FROM meetings WHERE meetings.generation = placements.generation)
        LIMIT $2
    )
"""


async def find_placement(connection: Connection, generation: int, mark: str) -> Placement | None:
    """The placement, with the callbacks of the meeting that has the mark: a server may have made several in one placement."""
    row = await connection.fetchrow(_FIND, generation, mark)
    return _placement(row) if row else None


async def last_placement_of(connection: Connection, host_id: str) -> Placement | None:
    """The last placement of the meeting that servers know by this id, without its callbacks."""
    row = await connection.fetchrow(_FIND_LAST, host_id)
    return _placement(row) if row else None


async def last_placed(connection: Connection, tenants: Collection[str], meeting_id: str) -> list[Placed]:
    """When, where and why the meetings with this id were placed last, which the tenants with these ids have or had."""
    host_ids = [host_id_of(MeetingKey(tenant, meeting_id)) for tenant in tenants]
    return [_placed(row) for row in await connection.fetch(_FIND_REASONS, host_ids, meeting_id)]


async def placed_on(connection: Connection, server_id: ServerId, host_ids: Collection[str]) -> dict[str, tuple[MeetingKey, bool]]:
    """Whose the meetings with these ids are that `server_id` ever got, and whether it is the last server that got them."""
    found = await connection.fetch(_FIND_ON, list(host_ids), server_id)
    return {row["host_id"]: (MeetingKey(row["tenant"], row["meeting_id"]), row["is_latest"]) for row in found}


async def purge_placements(connection: Connection, limit: int) -> int:
    """Drops up to `limit` placements that are too old to be asked for. Returns how many."""
    return affected(await connection.execute(_PURGE, KEPT_DAYS, limit))


def _placed(row: Record) -> Placed:
    # Rows written before reasons were kept have none.
    reason = Reason.read(row["reason"]) if row["reason"] else None
    return Placed(
        key=MeetingKey(row["tenant"], row["meeting_id"]),
        server_id=ServerId(row["server_id"]),
        at=row["placed_at"],
        reason=reason,
    )


def _placement(row: Record) -> Placement:
    return Placement(
        generation=row["generation"],
        key=MeetingKey(row["tenant"], row["meeting_id"]),
        host_id=row["host_id"],
        server_id=ServerId(row["server_id"]),
        callbacks=row["callbacks"],
    )
