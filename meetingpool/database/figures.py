"""What the database knows of the pool, for those who watch it: one look at everything, which any gateway answers alike."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from meetingpool.database.capacity import CapacityFigures, read_capacity
from meetingpool.database.engine import Database
from meetingpool.domain.callbacks import CallbackKind

_SERVERS = """
    SELECT id, url, admin_state, health, load, meetings, users, largest_meeting, videos, bbb_version, failures, rooms,
        extract(epoch FROM now() - coalesce(last_poll, created_at))::float8 AS poll_age
    FROM servers ORDER BY id
"""
_MEETINGS = """
    SELECT coalesce(t.name, m.tenant) AS tenant, m.state, count(*) AS meetings, sum(m.users) AS users
    FROM meetings m LEFT JOIN tenants t ON t.id = m.tenant GROUP BY 1, 2 ORDER BY 1, 2
"""
_CALLBACKS = """
    SELECT count(*) AS pending, coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 AS oldest, (
        SELECT count(*) FROM outbox
        WHERE state <> 'pending' AND settled_at > now() - interval '1 day' AND state = 'given_up' AND kind <> $1
    ) AS given_up
    FROM (
        SELECT created_at, kind FROM outbox WHERE state = 'pending' AND hook_id IS NULL
        UNION ALL SELECT created_at, kind FROM outbox WHERE state = 'pending' AND hook_id IS NOT NULL
    ) AS on_their_way WHERE kind <> $1
"""
_IMPORTS = """
    SELECT count(*) FILTER (WHERE state = 'waiting') AS waiting, count(*) FILTER (WHERE state = 'working') AS working,
        count(*) FILTER (WHERE state = 'quarantined') AS quarantined,
        coalesce(extract(epoch FROM now() - min(claimed_at) FILTER (WHERE state IN ('waiting', 'working'))), 0)::float8 AS oldest
    FROM imports WHERE state IN ('waiting', 'working', 'quarantined')
"""
# A directory that nobody looks into any more was taken out of the settings.
_SPOOLS = """
    SELECT sum(unclaimed)::int AS unclaimed, extract(epoch FROM now() - min(looked_at))::float8 AS look_age
    FROM spool_looks WHERE looked_at > now() - interval '1 day'
"""
_SECONDS = "SELECT up_to, imports, seconds FROM import_seconds ORDER BY up_to"
_LEADER = """
    SELECT holder, epoch, expires_at > now() AS leads, extract(epoch FROM expires_at - now())::float8 AS ends_in
    FROM leases WHERE name = 'poller'
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leader:
    """Who leads, or did last. `holder`: host and process; `epoch`: how many led before; `ends_in`: seconds that its lease has."""

    holder: str
    epoch: int
    leads: bool
    ends_in: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Rows as they are read. `imports`: how many were done within each bound and their sum of seconds, by the bounds."""

    servers: list[Mapping[str, Any]]
    meetings: list[Mapping[str, Any]]
    callbacks: Mapping[str, Any]
    imports: Mapping[str, Any]
    spools: Mapping[str, Any]
    import_seconds: Mapping[float, tuple[int, float]]
    leader: Leader | None
    capacity: CapacityFigures


async def read_figures(database: Database) -> Figures:
    """Raises DatabaseUnavailable."""
    async with database.transaction() as connection:
        leader = await connection.fetchrow(_LEADER)
        return Figures(
            servers=list(await connection.fetch(_SERVERS)),
            meetings=list(await connection.fetch(_MEETINGS)),
            callbacks=await connection.fetchrow(_CALLBACKS, CallbackKind.ALERT),
            imports=await connection.fetchrow(_IMPORTS),
            spools=await connection.fetchrow(_SPOOLS),
            import_seconds={row["up_to"]: (row["imports"], row["seconds"]) for row in await connection.fetch(_SECONDS)},
            leader=_leader(leader) if leader else None,
            capacity=await read_capacity(connection),
        )


async def read_leader(database: Database) -> Leader | None:
    """Raises DatabaseUnavailable."""
    row = await database.statement(_LEADER)
    return _leader(row) if row else None


def _leader(row: Mapping[str, Any]) -> Leader:
    # What tells two lives of a process from each other is of no use to anybody.
    host, _, rest = row["holder"].rpartition(":")
    return Leader(holder=host or rest, epoch=row["epoch"], leads=row["leads"], ends_in=row["ends_in"])
