"""What says how much room there is, and how much was needed: servers with what they carry, sizes of meetings, how it was before.

Everything that is asked again and again is short: no history of meetings, but the samples of servers, one in five minutes.
"""

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from meetingpool.database.engine import Connection
from meetingpool.domain.busy_hours import Course
from meetingpool.domain.capacity import Carrier
from meetingpool.domain.outlook import STALE_AFTER
from meetingpool.domain.servers import AdminState, Health, ServerId

# Advice looks back so far, and as far ahead by what was so a week ago.
WINDOW = timedelta(minutes=30)
_WEEK = timedelta(days=7)
# Courses of meetings that are fetched at once.
_PIECE = 500

_CARRIERS = """
    SELECT id, region, admin_state, health, soft_users, max_users, meetings, users AS people,
        load / load_multiplier AS carried
    FROM servers ORDER BY id
"""
# Like sizes are one row.
_SIZES = """
    SELECT m.server_id, m.users, count(*)::int AS meetings FROM meetings m JOIN servers s ON s.id = m.server_id
    WHERE m.users > 0 AND s.health <> 'dead' GROUP BY m.server_id, m.users
"""
# The row of the pool counts servers that are gone since, too.
_BEFORE = """
    SELECT h.server_id = '' AS is_pool, s.region, h.at, sum(h.users)::int AS people
    FROM server_samples h LEFT JOIN servers s ON s.id = h.server_id
    WHERE (h.at >= now() - $1::interval OR h.at BETWEEN now() - $2::interval AND now() - $2::interval + $1::interval)
        AND h.health <> 'dead'
    GROUP BY 1, 2, 3
"""
# By the region in which a room was last. What the poller told too long ago is no longer upcoming.
_UPCOMING = """
    SELECT s.region, sum(u.users * u.chance) AS people
    FROM upcoming_meetings u LEFT JOIN servers s ON s.id = u.server_id
    WHERE EXISTS (SELECT FROM foresight WHERE told_at > now() - make_interval(secs => $1))
        AND NOT EXISTS (SELECT FROM meetings m WHERE (m.tenant, m.meeting_id) = (u.tenant, u.meeting_id))
    GROUP BY s.region
"""
# A meeting is in one of both, since this is one statement.
_COURSES = """
    SELECT extract(epoch FROM began_at)::float8, extract(epoch FROM ended_at)::float8, curve FROM past_meetings
    WHERE ended_at > $1 AND began_at < $2
    UNION ALL
    SELECT extract(epoch FROM created_at)::float8, extract(epoch FROM coalesce(over_since, now()))::float8, curve FROM meetings
    WHERE internal_id IS NOT NULL AND coalesce(over_since, now()) > $1 AND created_at < $2
"""
_BEGIN = """
    SELECT least(
        (SELECT min(began_at) FROM past_meetings),
        (SELECT min(created_at) FROM meetings WHERE internal_id IS NOT NULL)
    )
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityFigures:
    """`sizes`: the people of each meeting, by server; `most`: the most at once in the windows that advice looks at, by region.

    `pool_most` is that of all servers together: each region has its most at another time. `upcoming`: the people of meetings
    that are about to begin, by region.
    """

    servers: Sequence[Carrier]
    sizes: Mapping[ServerId, Sequence[int]]
    most: Mapping[str | None, int]
    pool_most: int
    upcoming: Mapping[str | None, float]


async def read_carriers(connection: Connection) -> list[Carrier]:
    rows = await connection.fetch(_CARRIERS)
    return [Carrier(**{**row, "admin_state": AdminState(row["admin_state"]), "health": Health(row["health"])}) for row in rows]


async def read_capacity(connection: Connection) -> CapacityFigures:
    sizes: dict[ServerId, list[int]] = defaultdict(list)
    for server_id, people, meetings in await connection.fetch(_SIZES):
        sizes[ServerId(server_id)] += [people] * meetings
    most: Counter[str | None] = Counter()
    pool_most = 0
    for is_pool, region, _, people in await connection.fetch(_BEFORE, WINDOW, _WEEK):
        if is_pool:
            pool_most = max(pool_most, people)
        else:
            most[region] = max(most[region], people)
    upcoming = {row["region"]: row["people"] for row in await connection.fetch(_UPCOMING, STALE_AFTER)}
    return CapacityFigures(
        servers=await read_carriers(connection), sizes=sizes, most=most, pool_most=pool_most, upcoming=upcoming
    )


async def courses(connection: Connection, begin: datetime, end: datetime) -> AsyncIterator[Course]:
    """How the meetings went that ran in the period, or run: a piece at a time, in no order."""
    async for row in connection.cursor(_COURSES, begin, end, prefetch=_PIECE):
        yield Course(*row)


async def begin_of_history(connection: Connection) -> datetime | None:
    """When the first meeting began of which it is kept how it went; None when there is none."""
    begin: datetime | None = await connection.fetchval(_BEGIN)
    return begin
