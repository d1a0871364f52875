"""What pages ask for: how things were, what is wrong with a server, what waits, recordings by what is remembered of them."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from meetingpool.database.engine import Connection

_SAMPLES = """
    SELECT server_id, floor(extract(epoch FROM at - $1) / $3)::int AS place, avg(users) AS users, avg(load) AS load
    FROM server_samples WHERE at >= $1 AND at < $2 AND ($4::text IS NULL OR server_id = $4)
    GROUP BY server_id, place ORDER BY server_id, place
"""
_PEOPLE = """
    SELECT server_id, array_agg(place) AS places, array_agg(users) AS users FROM (
        SELECT server_id, floor(extract(epoch FROM at - $1) / $2)::int AS place, avg(users)::float8 AS users
        FROM server_samples WHERE at >= $1 AND at < $1 + $2 * $3 * interval '1 second' GROUP BY server_id, place
    ) AS steps GROUP BY server_id
"""
_TROUBLE = "SELECT last_error, failures, failing_since, offline_since, flaps, created_at FROM servers WHERE id = $1"
_WAITING = """
    SELECT
        (SELECT count(*) FROM imports WHERE state IN ('waiting', 'working')) AS importing,
        (SELECT count(*) FROM imports WHERE state = 'quarantined') AS quarantined,
        (SELECT count(*) FROM outbox WHERE state = 'pending' AND attempts > 0) AS failing,
        (SELECT count(*) FROM outbox WHERE state = 'given_up') AS given_up
"""
# What is looked for may begin a record id, and stand anywhere in a name or a meetingID.
_RECORDINGS = """
    SELECT record_id FROM recordings
    WHERE ($1::text IS NULL OR tenant = $1) AND ($2::text[] IS NULL OR state = ANY($2))
        AND ($3::boolean IS NULL OR protected = $3)
        AND ($4::text IS NULL OR name ILIKE '%' || $4 || '%' OR meeting_id ILIKE '%' || $4 || '%' OR record_id LIKE $4 || '%')
        AND ($5::bigint IS NULL OR (start_ms, record_id) < ($5, $6::text)) AND ($8::text IS NULL OR meeting_id = $8)
    ORDER BY start_ms DESC, record_id DESC LIMIT $7
"""


_BEGIN = "SELECT coalesce(now() - min(at), interval '0') FROM server_samples"


class Sample(NamedTuple):
    """People and load of a server in the mean of a step of time."""

    users: float
    load: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What polls of a server met with. `failures` in a row; `flaps`: how often it went offline lately."""

    last_error: str | None
    failures: int
    failing_since: datetime | None
    offline_since: datetime | None
    flaps: int
    created_at: datetime


class Waiting(NamedTuple):
    """How many archives are being imported or wait for it, were refused; callbacks failed so far, or for good."""

    importing: int
    quarantined: int
    failing: int
    given_up: int


async def samples(
    connection: Connection, begin: datetime, end: datetime, step: timedelta, server: str | None = None
) -> dict[str, dict[int, Sample]]:
    """By server, how it was in the steps from `begin`, by their numbers; steps in which nothing was seen are missing."""
    found: dict[str, dict[int, Sample]] = defaultdict(dict)
    for server_id, place, users, load in await connection.fetch(_SAMPLES, begin, end, step.total_seconds(), server):
        found[server_id][place] = Sample(float(users), load)
    return found


async def people_lines(connection: Connection, begin: datetime, step: timedelta, places: int) -> dict[str, list[float | None]]:
    """By server, the people in the mean of each of so many steps from `begin`; None where nothing was seen."""
    lines: dict[str, list[float | None]] = {}
    for server_id, found, users in await connection.fetch(_PEOPLE, begin, step.total_seconds(), places):
        line = lines[server_id] = [None] * places
        for place, value in zip(found, users, strict=True):
            if place < places:
                line[place] = value
    return lines


async def age_of_history(connection: Connection) -> timedelta:
    """Since when it is kept how servers are."""
    age: timedelta = await connection.fetchval(_BEGIN)
    return age


async def trouble_of(connection: Connection, server: str) -> Trouble | None:
    """None when there is no such server."""
    row = await connection.fetchrow(_TROUBLE, server)
    return Trouble(**dict(row)) if row else None


async def what_waits(connection: Connection) -> Waiting:
    return Waiting(*await connection.fetchrow(_WAITING))


async def look_for_recordings(
    connection: Connection,
    *,
    text: str | None = None,
    tenant: str | None = None,
    meeting_id: str | None = None,
    states: Collection[str] | None = None,
    is_protected: bool | None = None,
    after: tuple[int, str] | None = None,
    limit: int = 100,
) -> list[str]:
    """The record ids of those of which all that is given holds, the newest first, behind `after` (`start_ms`, record id)."""
    pattern = None if text is None else text.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")
    start_ms, record_id = after or (None, None)
    wanted = None if states is None else list(states)
    rows = await connection.fetch(_RECORDINGS, tenant, wanted, is_protected, pattern, start_ms, record_id, limit, meeting_id)
    return [row["record_id"] for row in rows]
