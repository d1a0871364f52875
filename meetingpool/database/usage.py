"""Counts how much of the pool is used, and keeps how servers were.

Written by the leading poller once a minute; read for `meetingpool usage`, the management API and the dashboard. All times are the
database's: between two counts lies what the row of the installation says, whoever counted last.
"""

from collections.abc import Sequence
from datetime import datetime

from meetingpool.database.engine import Connection, Record, affected
from meetingpool.domain.servers import Health
from meetingpool.domain.usage import ALL, Sample, UsageBy, UsageQuery, Used

# At most so many seconds pass between two counts: what was not watched for longer is not known, and nobody is charged for it.
LONGEST_GAP = 120.0
SAMPLE_SECONDS = 300

# Who comes second waits for the clock of who came first, and counts what has passed since. A clock that was set back starts anew:
# nothing has passed then. The time between two counts may lie in two hours. Sums have '' in the place of what they go over.
_COUNT = """
    WITH counted AS MATERIALIZED (SELECT usage_counted_at FROM installation FOR UPDATE),
    clock AS MATERIALIZED (SELECT usage_counted_at, clock_timestamp() AS now FROM counted),
    tick AS MATERIALIZED (
        SELECT now, least(greatest(coalesce(usage_counted_at, now), now - make_interval(secs => $1)), now) AS since FROM clock
    ),
    counts AS (UPDATE installation SET usage_counted_at = now FROM tick),
    spans AS MATERIALIZED (
        SELECT hour, extract(epoch FROM least(now, hour + interval '1 hour') - greatest(since, hour))::float8 AS seconds
        FROM tick, generate_series(date_trunc('hour', since, 'UTC'), now, interval '1 hour') AS hour
    ),
    used AS MATERIALIZED (
        SELECT coalesce(tenant, '') AS tenant, coalesce(server_id, '') AS server_id,
            count(*)::int AS meetings, coalesce(sum(users), 0)::int AS people
        FROM meetings WHERE state = 'live'
        GROUP BY GROUPING SETS ((tenant, server_id), (tenant), (server_id), ())
    )
    INSERT INTO usage_hours (hour, tenant, server_id, meeting_seconds, person_seconds, peak_meetings, peak_people)
    SELECT hour, tenant, server_id, seconds * meetings, seconds * people, meetings, people
    FROM used CROSS JOIN spans ORDER BY hour, tenant, server_id
    ON CONFLICT (hour, tenant, server_id) DO UPDATE SET
        meeting_seconds = usage_hours.meeting_seconds + excluded.meeting_seconds,
        person_seconds = usage_hours.person_seconds + excluded.person_seconds,
        peak_meetings = greatest(usage_hours.peak_meetings, excluded.peak_meetings),
        peak_people = greatest(usage_hours.peak_people, excluded.peak_people)
"""

# What dead servers carry is gone. The pool has a row of its own, under no server's id.
_SAMPLE = """
    WITH slot AS MATERIALIZED (SELECT to_timestamp(floor(extract(epoch FROM now()) / $1::int) * $1::int) AS at),
    seen AS (
        SELECT id, health, load, meetings, users FROM servers
        UNION ALL
        SELECT '',
            CASE WHEN bool_or(admin_state = 'enabled' AND health IN ('online', 'suspect')) THEN 'online' ELSE 'offline' END,
            coalesce(sum(load), 0), coalesce(sum(meetings), 0)::int, coalesce(sum(users), 0)::int
        FROM servers WHERE health <> 'dead'
    )
    INSERT INTO server_samples (server_id, at, health, load, meetings, users)
    SELECT id, at, health, load, meetings, users FROM seen CROSS JOIN slot
    WHERE NOT EXISTS (SELECT FROM server_samples WHERE at = (SELECT at FROM slot))
    ORDER BY id
    ON CONFLICT DO NOTHING
"""
_SAMPLES = "SELECT at, health, load, meetings, users FROM server_samples WHERE server_id = $1 AND at >= $2 ORDER BY at"

_PURGE_SAMPLES = """
    DELETE FROM server_samples WHERE (server_id, at) IN (
        SELECT server_id, at FROM server_samples WHERE at < now() - make_interval(days => $1) LIMIT $2
    )
"""
_PURGE_HOURS = """
    DELETE FROM usage_hours WHERE (hour, tenant, server_id) IN (
        SELECT hour, tenant, server_id FROM usage_hours WHERE hour < now() - make_interval(days => $1) LIMIT $2
    )
"""

_COLUMNS_BY = {
    UsageBy.TENANT: ("tenant",),
    UsageBy.SERVER: ("server_id",),
    UsageBy.TENANT_AND_SERVER: ("tenant", "server_id"),
    UsageBy.DAY: ("hour",),
    UsageBy.HOUR: ("hour",),
}


async def count_usage(connection: Connection) -> None:
    """Adds what was used since the last count, whenever that was, to the hours in which it was used."""
    await connection.execute(_COUNT, LONGEST_GAP)


async def sample_servers(connection: Connection, every: float = SAMPLE_SECONDS) -> None:
    """Keeps how servers are, unless that was done in the current `every` seconds."""
    await connection.execute(_SAMPLE, int(every))


async def purge_samples(connection: Connection, days: int, limit: int) -> int:
    """Drops up to `limit` samples that are older. Returns how many."""
    return affected(await connection.execute(_PURGE_SAMPLES, days, limit))


async def purge_usage(connection: Connection, days: int, limit: int) -> int:
    """The same for rows of hours."""
    return affected(await connection.execute(_PURGE_HOURS, days, limit))


async def read_usage(connection: Connection, query: UsageQuery) -> list[Used]:
    """What was used; by the day it is still by the hour. Hours in their order, other rows in that of their ids."""
    columns = _COLUMNS_BY[query.by]
    arguments: list[object] = [query.begin, query.end]
    conditions = [
        _condition("tenant", query.tenant, arguments, is_grouped="tenant" in columns),
        _condition("server_id", query.server, arguments, is_grouped="server_id" in columns),
    ]
    rows = await connection.fetch(
        f"""
        SELECT {", ".join(columns)}, sum(meeting_seconds) AS meeting_seconds, sum(person_seconds) AS person_seconds,
            max(peak_meetings) AS peak_meetings, max(peak_people) AS peak_people
        FROM usage_hours WHERE hour >= $1 AND hour < $2 AND {" AND ".join(conditions)}
        GROUP BY {", ".join(columns)} ORDER BY {", ".join(columns)}
        """,
        *arguments,
    )
    return [_used(row) for row in rows]


async def read_samples(connection: Connection, server_id: str, since: datetime) -> Sequence[Sample]:
    """How the server was, or the pool for ALL, the oldest first."""
    rows = await connection.fetch(_SAMPLES, server_id, since)
    return [Sample(**dict(row) | {"health": Health(row["health"])}) for row in rows]


def _condition(column: str, wanted: str | None, arguments: list[object], *, is_grouped: bool) -> str:
    # That it is the row of the sum is said in the statement itself, since the indexes of sums are known by it.
    if wanted is None:
        return f"{column} <> '{ALL}'" if is_grouped else f"{column} = '{ALL}'"
    arguments.append(wanted)
    return f"{column} = ${len(arguments)}"


def _used(row: Record) -> Used:
    return Used(
        begin=row.get("hour"),
        tenant=row.get("tenant"),
        server=row.get("server_id"),
        meeting_seconds=row["meeting_seconds"],
        person_seconds=row["person_seconds"],
        peak_meetings=row["peak_meetings"],
        peak_people=row["peak_people"],
    )
