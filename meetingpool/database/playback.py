"""What playback asks before each answer: whether a recording may be seen, whether a link was used. Called by the gateway."""

from dataclasses import dataclass

from meetingpool.database.engine import Database, affected
from meetingpool.domain.recordings import Location, RecordingState

# Links that nobody would accept any more are kept for this long, since the clocks of two gateways may differ.
KEPT_SECONDS = 3600
_MOST_AT_ONCE = 1000

# One look, whatever the reason is for which there is nothing to be seen: neither the answer nor its time tells which.
_FIND = f"""
    SELECT coalesce(nullif(metadata ->> 'name', ''), name) AS name, protected, description ->> 'link' AS link,
        coalesce((description ->> 'duration_ms')::bigint, 0) AS duration_ms
    FROM recordings JOIN recording_formats USING (record_id)
    WHERE record_id = $1 AND format = $2 AND tenant = $3
        AND state = '{RecordingState.PUBLISHED}' AND location = '{Location.PUBLISHED}'
"""

_USE = "INSERT INTO used_links (token, expires_at) VALUES ($1, to_timestamp($2)) ON CONFLICT DO NOTHING RETURNING true"
_PURGE = """
    DELETE FROM used_links WHERE token IN (SELECT token FROM used_links WHERE expires_at < to_timestamp($1) LIMIT $2)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Playable:
    """A format that may be seen. `name`: as front ends show it; `link`: path and query of where it is played."""

    name: str
    is_protected: bool
    link: str
    duration_ms: int


async def find_playable(database: Database, tenant: str, record_id: str, format_name: str) -> Playable | None:
    """The format of a published recording of the tenant; None for all else. Raises DatabaseUnavailable."""
    row = await database.statement(_FIND, record_id, format_name, tenant)
    if row is None:
        return None
    return Playable(name=row["name"], is_protected=row["protected"], link=row["link"], duration_ms=row["duration_ms"])


async def use_link(database: Database, token: bytes, expires_at: int) -> bool:
    """Notes that a link was used; False if it was before. `expires_at` in seconds since 1970. Raises DatabaseUnavailable."""
    return await database.statement(_USE, token, float(expires_at)) is not None


async def purge_used_links(database: Database, now: float) -> int:
    """Forgets links that expired long before `now`. Returns how many. Raises DatabaseUnavailable."""
    async with database.transaction() as connection:
        return affected(await connection.execute(_PURGE, now - KEPT_SECONDS, _MOST_AT_ONCE))
