"""Writes what polls saw: many servers in one transaction, one statement per kind of change.

Ages are compared as durations, `now()` of the database against seconds that the poller measured, so that nobody's clock matters.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from meetingpool.database.engine import Connection, Record
from meetingpool.database.meetings import LAST_THERE, MEETING_COLUMNS, meeting_of, notify_gone, notify_meetings, unwritten
from meetingpool.database.notifications import notify
from meetingpool.domain.health import HealthRecord
from meetingpool.domain.load import Expectation
from meetingpool.domain.meetings import MeetingKey, ReportedMeeting
from meetingpool.domain.servers import AdminState, Health, ServerId

_LOCK = """
    SELECT id, admin_state, health, load_multiplier, failures, successes, flaps, empty_polls, bbb_version,
        coalesce(extract(epoch FROM now() - failing_since), 0)::float8 AS failing_for,
        coalesce(extract(epoch FROM now() - offline_since), 'infinity')::float8 AS offline_ago,
        coalesce(extract(epoch FROM now() - online_since), 'infinity')::float8 AS online_for, handicap,
        (registration = 'held' AND registered_state = 'cordoned') IS TRUE AS is_newcomer
    FROM servers WHERE id = ANY($1::text[]) ORDER BY id FOR UPDATE
"""

# The curve of a meeting with one more minute, the one in which the poll began; the minutes that were left out are NULL.
_MINUTE = "greatest(1, least(1440, ceil(extract(epoch FROM x.polled_at - m.created_at) / 60)))::int"
_CURVE = f"""
    m.curve[:{_MINUTE} - 1] || array_fill(NULL::int, ARRAY[greatest({_MINUTE} - 1 - cardinality(m.curve), 0)]) || x.listed_users
"""

# Rows are judged by a snapshot and changed under a condition of their own, so that what changed meanwhile is judged again. A
# meeting about as young as the last poll is news in any case: whoever placed it may have died before it told of it. Of a meeting
# that its server made anew after the poll began, more is known than the poll could see.
_RECORD = f"""
    WITH r AS MATERIALIZED (
        SELECT * FROM unnest($4::text[], $5::text[], $6::text[], $7::int[]) AS r(server_id, host_id, internal_id, users)
    ),
    mapped AS MATERIALIZED (
        SELECT m.tenant, m.meeting_id, m.server_id, m.generation, m.state, m.internal_id, m.users, m.expected_users,
        m.expected_for, extract(epoch FROM now() - m.created_at)::float8 AS age,
            now() - make_interval(secs => p.elapsed + $3::float8) AS quiet_since,
            now() - make_interval(secs => p.elapsed) AS polled_at, {LAST_THERE} AS last_there,
            r.host_id IS NOT NULL AS listed, r.internal_id AS listed_id, r.users AS listed_users,
            m.internal_id IS DISTINCT FROM r.internal_id OR m.state NOT IN ('live', 'ending')
                OR m.created_at > s.last_poll - make_interval(secs => $3::float8) AS is_news,
            m.attempted_at
        FROM unnest($1::text[], $2::float8[]) AS p(server_id, elapsed)
        JOIN servers s ON s.id = p.server_id
        JOIN meetings m ON m.server_id = p.server_id
        LEFT JOIN r ON r.host_id = m.host_id AND r.server_id = m.server_id
    ),
    seen AS (
        UPDATE meetings m SET
            state = CASE WHEN m.state = 'ending' AND m.internal_id = x.listed_id THEN m.state ELSE 'live' END,
            internal_id = x.listed_id,
            users = x.listed_users,
            joining = 0,
            created_at = CASE WHEN m.internal_id <> x.listed_id THEN now() ELSE m.created_at END,
            curve = CASE WHEN m.internal_id <> x.listed_id THEN ARRAY[x.listed_users] ELSE {_CURVE} END,
            over_since = NULL
        FROM mapped x
        WHERE (m.tenant, m.meeting_id, m.generation) = (x.tenant, x.meeting_id, x.generation)
            AND x.listed AND (x.is_news OR x.users <> x.listed_users OR m.joining > 0 OR m.over_since IS NOT NULL)
            AND ((m.internal_id = x.listed_id) IS NOT FALSE OR m.created_at < x.polled_at)
        RETURNING {", ".join("m." + column for column in MEETING_COLUMNS.split(", "))}, x.is_news
    ),
    over AS (
        UPDATE meetings m SET state = CASE WHEN m.state = 'live' THEN 'ending' ELSE m.state END, users = 0, joining = 0,
            over_since = coalesce(m.over_since, x.last_there)
        FROM mapped x
        WHERE (m.tenant, m.meeting_id, m.generation) = (x.tenant, x.meeting_id, x.generation)
            AND NOT x.listed AND m.attempted_at < x.quiet_since AND (m.state = 'live' OR m.users + m.joining > 0)
            AND m.attempted_at >= x.quiet_since - {unwritten("m.state", "$8")}
        RETURNING {", ".join("m." + column for column in MEETING_COLUMNS.split(", "))}, x.state = 'live' AS is_news
    ),
    gone AS (
        DELETE FROM meetings m USING mapped x
        WHERE (m.tenant, m.meeting_id, m.generation) = (x.tenant, x.meeting_id, x.generation)
            AND NOT x.listed AND m.attempted_at < x.quiet_since - {unwritten("m.state", "$8")}
        RETURNING m.tenant, m.meeting_id, m.generation
    )
    SELECT 'seen' AS kind, {MEETING_COLUMNS}, NULL::float8 AS expected_for, NULL::float8 AS age, NULL AS mapped_to
    FROM (SELECT * FROM seen UNION ALL SELECT * FROM over) AS written WHERE is_news
    UNION ALL
    SELECT 'gone', tenant, meeting_id, NULL, generation, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM gone
    UNION ALL
    SELECT 'reserved', NULL, NULL, server_id, NULL, NULL, NULL, NULL, NULL, NULL,
        CASE WHEN attempted_at >= quiet_since THEN expected_users ELSE 0 END, expected_for, age, NULL
    FROM mapped WHERE NOT listed AND attempted_at >= quiet_since - {unwritten("state", "$8")}
    UNION ALL
    SELECT 'orphan', NULL, r.host_id, r.server_id, NULL, NULL, r.internal_id, NULL, NULL, NULL, NULL, NULL, NULL, m.server_id
    FROM r JOIN meetings m ON m.host_id = r.host_id AND m.server_id <> r.server_id
"""

_WRITE = """
    UPDATE servers s SET
        admin_state = p.admin_state,
        health = p.health,
        load = coalesce(p.load, s.load),
        meetings = coalesce(p.meetings, s.meetings),
        users = coalesce(p.users, s.users),
        largest_meeting = coalesce(p.largest_meeting, s.largest_meeting),
        videos = coalesce(p.videos, s.videos),
        rooms = CASE
            WHEN p.rooms IS NULL THEN s.rooms
            WHEN p.begun = 0 THEN s.rooms || p.rooms
            ELSE s.rooms || p.rooms || jsonb_build_object('begun', coalesce((s.rooms->>'begun')::bigint, 0) + p.begun)
        END,
        bbb_version = coalesce(nullif(p.bbb_version, ''), s.bbb_version),
        failures = p.failures,
        successes = p.successes,
        flaps = p.flaps,
        empty_polls = coalesce(p.empty_polls, s.empty_polls),
        last_error = nullif(p.last_error, ''),
        last_poll = CASE WHEN p.failures = 0 THEN now() ELSE s.last_poll END,
        failing_since = CASE WHEN p.failures = 0 THEN NULL ELSE coalesce(s.failing_since, now()) END,
        offline_since = CASE WHEN p.flaps > s.flaps THEN now() ELSE s.offline_since END,
        online_since = CASE
            WHEN p.health = 'online' AND s.health IN ('offline', 'dead') THEN now() ELSE s.online_since
        END,
        handicap = coalesce(p.handicap, s.handicap)
    FROM unnest($1::text[], $2::text[], $3::text[], $4::float8[], $5::int[], $6::int[], $7::int[], $8::int[], $9::text[],
        $10::int[], $11::int[], $12::int[], $13::int[], $14::text[], $15::jsonb[], $16::int[], $17::float8[])
        AS p(id, admin_state, health, load, meetings, users, largest_meeting, videos, bbb_version,
            failures, successes, flaps, empty_polls, last_error, rooms, begun, handicap)
    WHERE s.id = p.id
"""

_EXPECTED = """
    SELECT server_id, host_id, expected_users, expected_for, expected_besides FROM meetings
    WHERE server_id = ANY($1::text[]) AND created_at > now() - make_interval(secs => $2)
"""

# Of those that do not start slowly themselves: they say what is usual.
_USUAL_LOAD = """
    SELECT avg(load / load_multiplier)::float8 FROM servers
    WHERE admin_state = 'enabled' AND health IN ('online', 'suspect')
        AND (online_since IS NULL OR online_since < now() - make_interval(secs => $1))
"""

_LOST = f"""
    UPDATE meetings SET state = 'lost' WHERE server_id = ANY($1::text[]) AND state <> 'lost' RETURNING {MEETING_COLUMNS}
"""

# People who were sent to meetings count until a poll sees them. A meeting that somebody is writing now is left for the next time.
_ADD_JOINS = """
    WITH free AS MATERIALIZED (
        SELECT m.tenant, m.meeting_id, p.joining
        FROM unnest($1::text[], $2::text[], $3::int[]) AS p(tenant, meeting_id, joining)
        JOIN meetings m ON (m.tenant, m.meeting_id) = (p.tenant, p.meeting_id)
        FOR UPDATE OF m SKIP LOCKED
    )
    UPDATE meetings m SET joining = m.joining + free.joining FROM free
    WHERE (m.tenant, m.meeting_id) = (free.tenant, free.meeting_id)
    RETURNING m.tenant, m.meeting_id
"""

_ADD_LOADS = """
    WITH locked AS MATERIALIZED (SELECT id FROM servers WHERE id = ANY($1::text[]) ORDER BY id FOR UPDATE)
    UPDATE servers s SET load = s.load + p.load FROM unnest($1::text[], $2::float8[]) AS p(id, load)
    JOIN locked ON locked.id = p.id
    WHERE s.id = p.id RETURNING s.id, s.load
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedServer:
    """What the database knows of a server whose poll is about to be written. Its row is locked until then.

    `is_newcomer`: it registered itself and came in cordoned, and no administrator has decided on it yet. `online_for`: seconds
    since it came online, infinite where nobody knows.
    """

    id: ServerId
    admin_state: AdminState
    load_multiplier: float
    record: HealthRecord
    empty_polls: int
    bbb_version: str | None
    is_newcomer: bool
    online_for: float
    handicap: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStatus:
    """What a poll makes of a server's row. None leaves what the last good poll wrote.

    `rooms`: what of meetingpool.domain.room_sizes is known anew; `begun`: how many meetings are added to those that began.
    """

    id: ServerId
    admin_state: AdminState
    record: HealthRecord
    load: float | None = None
    handicap: float | None = None
    meetings: int | None = None
    users: int | None = None
    largest_meeting: int | None = None
    videos: int | None = None
    rooms: Mapping[str, Any] | None = None
    begun: int = 0
    bbb_version: str | None = None
    empty_polls: int | None = None
    error: str = ""


@dataclass(slots=True)
class Reported:
    """All meetings that a batch of good polls listed, as columns."""

    servers: list[str] = field(default_factory=list)
    host_ids: list[str] = field(default_factory=list)
    internal_ids: list[str] = field(default_factory=list)
    users: list[int] = field(default_factory=list)

    def add(self, server_id: ServerId, meetings: Sequence[ReportedMeeting]) -> None:
        self.servers.extend([server_id] * len(meetings))
        self.host_ids.extend([meeting.meeting_id for meeting in meetings])
        self.internal_ids.extend([meeting.internal_id for meeting in meetings])
        self.users.extend([meeting.users for meeting in meetings])

    def columns(self) -> tuple[list[Any], ...]:
        return self.servers, self.host_ids, self.internal_ids, self.users


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedMeetings:
    """What good polls found out about mapped meetings.

    `gone`: dropped. `reserved`: not listed, and too young to be gone, as (server, expected users, seconds for which all
    of them are expected, age in seconds). `orphans`:
    listed by one server and mapped to another, as (server, host id, internal id, mapped to).
    """

    gone: list[MeetingKey]
    reserved: list[tuple[ServerId, float, float, float]]
    orphans: list[tuple[ServerId, str, str, ServerId]]


async def lock_servers(connection: Connection, ids: Sequence[ServerId]) -> list[LockedServer]:
    """Locks the rows of the servers that still exist, in the order of their ids."""
    return [
        LockedServer(
            id=ServerId(row["id"]),
            admin_state=AdminState(row["admin_state"]),
            load_multiplier=row["load_multiplier"],
            record=HealthRecord(
                health=Health(row["health"]),
                failures=row["failures"],
                successes=row["successes"],
                failing_for=row["failing_for"],
                flaps=row["flaps"],
                offline_ago=row["offline_ago"],
            ),
            empty_polls=row["empty_polls"],
            bbb_version=row["bbb_version"],
            is_newcomer=row["is_newcomer"],
            online_for=row["online_for"],
            handicap=row["handicap"],
        )
        for row in await connection.fetch(_LOCK, list(ids))
    ]


async def record_meetings(
    connection: Connection, elapsed: dict[ServerId, float], reported: Reported, *, quiet_for: float, touch_lasts: float
) -> MappedMeetings:
    """Writes what good polls say of the meetings mapped to their servers.

    Meetings that were listed are live, with as many people as their server said. Those that were not are dropped if their last
    create began more than `quiet_for` seconds before the poll, and those that were live `touch_lasts` seconds later; `elapsed` is
    the number of seconds since the poll of each server began.
    """
    rows: dict[str, list[Record]] = {"seen": [], "gone": [], "reserved": [], "orphan": []}
    of_polls = (list(elapsed), list(elapsed.values()))
    for row in await connection.fetch(_RECORD, *of_polls, quiet_for, *reported.columns(), touch_lasts):
        rows[row["kind"]].append(row)
    gone = [(MeetingKey(row["tenant"], row["meeting_id"]), row["generation"]) for row in rows["gone"]]
    await notify_meetings(connection, [meeting_of(row) for row in rows["seen"]])
    await notify_gone(connection, gone)
    return MappedMeetings(
        gone=[key for key, _ in gone],
        reserved=[
            (ServerId(row["server_id"]), row["expected_users"], row["expected_for"], row["age"]) for row in rows["reserved"]
        ],
        orphans=[_orphan(row) for row in rows["orphan"]],
    )


def _orphan(row: Record) -> tuple[ServerId, str, str, ServerId]:
    return ServerId(row["server_id"]), row["meeting_id"], row["internal_id"], ServerId(row["mapped_to"])


async def expected_on(
    connection: Connection, servers: Sequence[ServerId], prior: Expectation, *, younger_than: float
) -> dict[ServerId, dict[str, Expectation]]:
    """What is expected of young meetings, by server and host id; `younger_than`: in seconds, beside those in which it fades."""
    found: dict[ServerId, dict[str, Expectation]] = {}
    for row in await connection.fetch(_EXPECTED, list(servers), younger_than + prior.fades_after):
        expectation = Expectation(
            users=row["expected_users"],
            fades_after=prior.fades_after,
            holds_for=row["expected_for"],
            besides=row["expected_besides"],
        )
        found.setdefault(ServerId(row["server_id"]), {})[row["host_id"]] = expectation
    return found


async def usual_load(connection: Connection, settled_for: float) -> float | None:
    """What open servers carry that came online more than `settled_for` seconds ago, on average and for a multiplier of 1.

    None when there are none.
    """
    return cast(float | None, await connection.fetchval(_USUAL_LOAD, settled_for))


async def tell_handicaps(connection: Connection, handicaps: Mapping[ServerId, float]) -> None:
    """Tells all processes what servers are compared with others by, beside their loads."""
    await notify(connection, "handicap", ([server_id, handicap] for server_id, handicap in handicaps.items()))


async def write_statuses(connection: Connection, statuses: Sequence[ServerStatus]) -> None:
    """Writes the rows of polled servers, and marks the meetings of dead ones as lost."""
    await connection.execute(
        _WRITE,
        [status.id for status in statuses],
        [status.admin_state for status in statuses],
        [status.record.health for status in statuses],
        [status.load for status in statuses],
        [status.meetings for status in statuses],
        [status.users for status in statuses],
        [status.largest_meeting for status in statuses],
        [status.videos for status in statuses],
        [status.bbb_version or "" for status in statuses],
        [status.record.failures for status in statuses],
        [status.record.successes for status in statuses],
        [status.record.flaps for status in statuses],
        [status.empty_polls for status in statuses],
        [status.error for status in statuses],
        [status.rooms for status in statuses],
        [status.begun for status in statuses],
        [status.handicap for status in statuses],
    )
    await notify(
        connection,
        "status",
        ([s.id, s.load, s.record.health, s.admin_state, s.record.failures == 0] for s in statuses),
    )
    dead = [status.id for status in statuses if status.record.health is Health.DEAD]
    if dead:
        await mark_lost(connection, dead)


async def mark_lost(connection: Connection, servers: Sequence[ServerId]) -> None:
    """The meetings of dead servers may be created elsewhere."""
    lost = await connection.fetch(_LOST, list(servers))
    await notify_meetings(connection, [meeting_of(row) for row in lost])


async def add_loads(connection: Connection, loads: dict[ServerId, float]) -> dict[ServerId, float]:
    """Adds to the loads of servers what joins brought since the last time. Returns the new loads."""
    ordered = dict(sorted(loads.items()))
    rows = await connection.fetch(_ADD_LOADS, list(ordered), list(ordered.values()))
    await notify(connection, "load", ([row["id"], row["load"]] for row in rows))
    return {ServerId(row["id"]): row["load"] for row in rows}


async def add_joins(connection: Connection, joins: Mapping[MeetingKey, int]) -> set[MeetingKey]:
    """Adds how many people were sent to meetings since the last time. Returns the meetings that nobody was writing meanwhile."""
    ordered = dict(sorted(joins.items()))
    tenants, meeting_ids = [key.tenant for key in ordered], [key.meeting_id for key in ordered]
    rows = await connection.fetch(_ADD_JOINS, tenants, meeting_ids, list(ordered.values()))
    return {MeetingKey(row["tenant"], row["meeting_id"]) for row in rows}
