"""What the database says of itself, for `meetingpool doctor`."""

from dataclasses import dataclass

from meetingpool.database.engine import Database

_CHECKUP = """
    SELECT extract(epoch FROM clock_timestamp())::float8 AS now,
        current_setting('server_version') AS version,
        current_setting('server_version_num')::int AS version_number,
        current_setting('max_connections')::int AS most_connections,
        (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS connections,
        pg_is_in_recovery() AS is_replica
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkup:
    """`now`: by the database's clock, in seconds since 1970; `connections`: open now, of all programs."""

    now: float
    version: str
    version_number: int
    most_connections: int
    connections: int
    is_replica: bool


async def check_up(database: Database) -> Checkup:
    """Raises DatabaseUnavailable."""
    row = await database.statement(_CHECKUP)
    return Checkup(**dict(row or {}))
