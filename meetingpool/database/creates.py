"""The statements of a create: reserve a server, begin a repeat, move on, confirm, withdraw. Called by place_meeting.

Each is one statement and a transaction of its own, since calls wait for it and every race between processes is decided in it.
What makes wrong what others know is told to them in it; what is only new to them is told a moment later
(`several_creates.py`), since transactions that notify are committed one by one. Locks are taken in the order tenants,
servers, meetings, so that nobody waits in a circle.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from meetingpool.database.engine import Database, Record, Statement
from meetingpool.database.meetings import MEETING_COLUMNS, find_meeting, meeting_of
from meetingpool.database.notifications import CHANNEL
from meetingpool.database.tenants import count_meetings_of, lock_tenant
from meetingpool.domain.meetings import Meeting, MeetingKey, MeetingState, host_id_of
from meetingpool.domain.repeats import MARK
from meetingpool.domain.servers import ServerId


def notification(kind: str, *columns: str) -> str:
    """The expression that tells all processes of one item of `kind`, made of `columns`."""
    item = f"json_build_array({', '.join(columns)})"
    payload = f"json_build_object('kind', '{kind}', 'items', json_build_array({item}))::text"
    return f"pg_notify('{CHANNEL}', {payload})"


_KEY = "tenant = $1 AND meeting_id = $2"
ITEM = ("tenant", "meeting_id", "server_id", "generation", "state", "internal_id", "voice_bridge", "expected_users")
OPEN_TO_NEW = "admin_state = 'enabled' AND health IN ('online', 'suspect')"


def room_for_one(most: str) -> str:
    """Whether the server `id`, whose row is locked, carries fewer meetings than `most`; NULL: as many as it likes.

    By a function of migration 0006, since only a function sees what was committed while the statement waited for the lock.
    """
    return f"({most}::int IS NULL OR carries_fewer(id, {most}::int))"


# The row of the server is locked before its meetings are counted and the new one is written, and its load only counted once that
# has succeeded.
_RESERVE = f"""
    WITH held AS MATERIALIZED (
        SELECT id FROM servers WHERE id = $4 AND {OPEN_TO_NEW} AND load <= $6::float8
            AND NOT EXISTS (SELECT FROM meetings WHERE {_KEY})
        FOR UPDATE
    ),
    fit AS MATERIALIZED (SELECT id FROM held WHERE {room_for_one("$10")}),
    reserved AS (
        INSERT INTO meetings
            (tenant, meeting_id, host_id, server_id, state, expected_users, expected_for, expected_besides, open_attempts,
            voice_bridge, parameters)
        SELECT $1, $2, $3, id, 'reserving', $5::float8, $11::float8, $13::boolean, 1, $7, $8::jsonb FROM fit
        ON CONFLICT DO NOTHING
        RETURNING {MEETING_COLUMNS}, attempted_at
    ),
    placed AS (
        INSERT INTO placements (generation, tenant, meeting_id, host_id, server_id, callbacks, reason)
        SELECT generation, $1, $2, $3, $4, $9::jsonb, $12::jsonb FROM reserved
    ),
    loaded AS (
        UPDATE servers SET load = load + $5::float8 * load_multiplier FROM reserved WHERE servers.id = $4 RETURNING load
    )
    SELECT reserved.*, loaded.load FROM fit LEFT JOIN (reserved CROSS JOIN loaded) ON true
"""

_TOUCH = f"""
    UPDATE meetings SET attempted_at = now(), open_attempts = open_attempts + (state = 'reserving')::int
    FROM (SELECT attempted_at AS before FROM meetings WHERE {_KEY} FOR UPDATE) AS earlier
    WHERE {_KEY}
    RETURNING {MEETING_COLUMNS}, attempted_at, extract(epoch FROM now() - earlier.before)::float8 AS quiet_for, parameters
"""

_UNTOUCH = f"""
    UPDATE meetings SET attempted_at = attempted_at - make_interval(secs => $5)
    WHERE {_KEY} AND generation = $3 AND attempted_at = $4
"""

_MOVE = """
    WITH held AS MATERIALIZED (
        SELECT id FROM servers WHERE id = $4 AND {open_to_new} AND load <= $6::float8 FOR UPDATE
    ),
    fit AS MATERIALIZED (SELECT id FROM held WHERE {room_for_one}),
    moved AS (
        UPDATE meetings SET
            server_id = fit.id, generation = nextval('meeting_generations'), state = 'reserving', internal_id = NULL,
            users = 0, joining = 0, expected_users = $5::float8, expected_for = $9::float8, expected_besides = $11::boolean,
            open_attempts = 1, attempted_at = now(), created_at = now(), curve = '{{0}}', over_since = NULL
        FROM fit
        WHERE {key} AND generation = $3 AND {guard}
        RETURNING {columns}, attempted_at, host_id
    ),
    placed AS (
        INSERT INTO placements (generation, tenant, meeting_id, host_id, server_id, callbacks, reason)
        SELECT generation, tenant, meeting_id, host_id, server_id, $7::jsonb, $10::jsonb FROM moved
    ),
    loaded AS (
        UPDATE servers SET load = load + $5::float8 * load_multiplier FROM moved WHERE servers.id = $4 RETURNING load
    )
    SELECT moved.*, loaded.load, CASE WHEN generation IS NOT NULL THEN {notification} END AS told
    FROM fit LEFT JOIN (moved CROSS JOIN loaded) ON true
"""


def _move(guard: str) -> str:
    return _MOVE.format(
        open_to_new=OPEN_TO_NEW,
        room_for_one=room_for_one("$8"),
        key=_KEY,
        guard=guard,
        columns=MEETING_COLUMNS,
        notification=notification("placed", *ITEM, "loaded.load"),
    )


_SERVER_IS_DEAD = "EXISTS (SELECT FROM servers s WHERE s.id = meetings.server_id AND s.health = 'dead')"
_MOVE_REFUSED = _move("state = 'reserving' AND open_attempts = 1")
_MOVE_GONE = _move(f"attempted_at = $12 AND ($13::boolean OR {_SERVER_IS_DEAD})")

# What a confirmation writes, whatever else it does; `told` is the internal id.
CONFIRMED = """
    state = CASE WHEN state = 'ending' AND internal_id = {told} THEN state ELSE 'live' END,
    created_at = CASE WHEN internal_id <> {told} THEN now() ELSE created_at END,
    users = CASE WHEN internal_id <> {told} THEN 0 ELSE users END,
    curve = CASE WHEN internal_id <> {told} THEN '{{0}}' ELSE curve END,
    over_since = CASE WHEN internal_id <> {told} THEN NULL ELSE over_since END,
    internal_id = {told},
    open_attempts = greatest(open_attempts - 1, 0),
"""
_CONFIRM = f"""
    WITH confirmed AS (
        UPDATE meetings SET {CONFIRMED.format(told="$4")} parameters = coalesce($7::jsonb, parameters)
        WHERE {_KEY} AND generation = $3
        RETURNING {MEETING_COLUMNS}
    )
    SELECT *,
        CASE WHEN $5 <> 'reserving' AND (state, internal_id) IS DISTINCT FROM ($5, $6)
            THEN {notification("meetings", *ITEM)} END AS told
    FROM confirmed
"""

_DESCRIBE = f"""
    WITH described AS (
        UPDATE meetings SET parameters = $4::jsonb WHERE {_KEY} AND generation = $3 RETURNING generation
    )
    UPDATE placements SET callbacks = placements.callbacks || $5::jsonb FROM described
    WHERE placements.generation = described.generation
"""

_WITHDRAW = f"""
    WITH dropped AS (
        DELETE FROM meetings WHERE {_KEY} AND generation = $3 AND state = 'reserving' AND open_attempts = 1
        RETURNING tenant, meeting_id, generation
    ),
    closed AS (
        UPDATE meetings SET open_attempts = greatest(open_attempts - 1, 0)
        WHERE {_KEY} AND generation = $3 AND NOT EXISTS (SELECT FROM dropped)
    )
    SELECT generation, {notification("gone", "tenant", "meeting_id", "generation")} AS told FROM dropped
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a create said that outlives it.

    `parameters`: passwords, voice bridge, metadata and mark, which a repeat says again; `callbacks`: the addresses by their kind.
    """

    parameters: Mapping[str, str] = field(default_factory=dict)
    callbacks: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """What is wanted of a server: up to which load it is still the right one, and how many users are expected.

    `expected_for`: for how many seconds all of them; `expected_besides`: besides those who are there; `max_meetings`: how many
    meetings it may carry with this one; None: as many as it likes; `reason`: why it was chosen, as it is kept.
    """

    server_id: ServerId
    ceiling: float
    expected: float
    expected_for: float = 0.0
    expected_besides: bool = False
    max_meetings: int | None = None
    reason: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A create that may now be sent to the meeting's server.

    `attempted_at` marks this attempt; `quiet_for` is the number of seconds that no other create was begun before it;
    `server_load` is the load written with a new placement, None when the meeting had its server already; `parameters` are those
    of the first create; `is_anew`: the meeting that they described is over.
    """

    meeting: Meeting
    attempted_at: datetime
    quiet_for: float = 0.0
    server_load: float | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    is_anew: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """A server's word that it has the attempt's meeting, as `internal_id`.

    `learnt`: the parameters with what the server made up, where that is news.
    """

    attempt: Attempt
    internal_id: str
    learnt: Mapping[str, str] | None = None

    @property
    def is_plain(self) -> bool:
        """Whether it is of a reservation, and says nothing but the id."""
        return self.learnt is None and self.attempt.meeting.state is MeetingState.RESERVING


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A new meeting that a server is to get, and what its create said."""

    key: MeetingKey
    wanted: Reservation
    said: Said


class Unplaced(Exception):
    """The server did not take the meeting: it is no longer open to new ones, or no longer the least loaded."""


class MeetingTaken(Exception):
    """Another create changed the meeting first, or has its voice bridge."""


class TenantFull(Exception):
    """As many meetings of the tenant run as it may have."""


async def reserve(database: Database, wish: Wish) -> Attempt:
    """Gives a new meeting to a server and counts the expected users on it. Others are to be told by `tell_placed`.

    Raises Unplaced when the server's load is above the ceiling or it takes no meetings, MeetingTaken when the meeting exists.
    """
    attempt = await _reserve(database.statement, wish)
    if attempt is None:
        async with database.transaction() as connection:
            raise MeetingTaken if await find_meeting(connection, wish.key) else Unplaced
    return attempt


async def reserve_within(database: Database, wish: Wish, max_meetings: int) -> Attempt:
    """As `reserve`, for a tenant that may have so many meetings. Raises TenantFull too."""
    async with database.transaction() as connection:
        # Whoever holds the tenant's row counts alone, so that no two creates take the last place.
        await lock_tenant(connection, wish.key.tenant)
        if await find_meeting(connection, wish.key):
            raise MeetingTaken
        if await count_meetings_of(connection, wish.key.tenant) >= max_meetings:
            raise TenantFull
        attempt = await _reserve(connection.fetchrow, wish)
        if attempt is None:
            raise Unplaced
        return attempt


async def _reserve(run: Statement, wish: Wish) -> Attempt | None:
    wanted, said = wish.wanted, wish.said
    row = await run(
        _RESERVE,
        *wish.key,
        host_id_of(wish.key),
        wanted.server_id,
        wanted.expected,
        wanted.ceiling,
        said.parameters.get("voiceBridge"),
        dict(said.parameters),
        callbacks_of(said),
        wanted.max_meetings,
        wanted.expected_for,
        wanted.reason,
        wanted.expected_besides,
    )
    return None if row is None else replace(placed(row), parameters=said.parameters)


async def touch(database: Database, key: MeetingKey) -> Attempt | None:
    """Begins another create of a meeting that has a server. None when there is no such meeting."""
    row = await database.statement(_TOUCH, *key)
    return None if row is None else touched(row)


async def untouch(database: Database, attempt: Attempt) -> None:
    """Nothing was sent of a repeat, nor will be: the last create is the one before it."""
    known = attempt.meeting
    await database.statement(_UNTOUCH, *known.key, known.generation, attempt.attempted_at, attempt.quiet_for)


async def move_refused(database: Database, wanted: Reservation, *, attempt: Attempt, said: Said) -> Attempt:
    """Gives a reservation to another server after its own refused the connection.

    Only while no other create of it may have reached the server; raises MeetingTaken otherwise, Unplaced as `reserve`.
    """
    row = await database.statement(_MOVE_REFUSED, *_move_arguments(wanted, attempt, said))
    return replace(placed(row), parameters=attempt.parameters)


async def move_gone(database: Database, wanted: Reservation, *, attempt: Attempt, said: Said, told: bool) -> Attempt:
    """Gives a meeting to another server after positive evidence that its own no longer has it.

    The evidence is the server's own word (`told`), or that it is dead. Only while no other create was begun since `attempt`;
    raises MeetingTaken otherwise, Unplaced as `reserve`.
    """
    row = await database.statement(_MOVE_GONE, *_move_arguments(wanted, attempt, said), attempt.attempted_at, told)
    return replace(placed(row), parameters=attempt.parameters)


async def describe(database: Database, attempt: Attempt, said: Said) -> None:
    """The meeting is over, and its server is about to make another: from now on repeats say what `said` holds."""
    known = attempt.meeting
    await database.statement(_DESCRIBE, *known.key, known.generation, dict(said.parameters), callbacks_of(said))


async def confirm(database: Database, confirmation: Confirmation) -> Meeting | None:
    """The meeting as it is now; None when it is no longer the attempt's.

    Of a meeting that was only reserved, others are to be told by `tell_placed`.
    """
    known, internal_id, learnt = confirmation.attempt.meeting, confirmation.internal_id, confirmation.learnt
    row = await database.statement(
        _CONFIRM,
        *known.key,
        known.generation,
        internal_id,
        known.state,
        known.internal_id,
        dict(learnt) if learnt else None,
    )
    return meeting_of(row) if row else None


async def withdraw(database: Database, attempt: Attempt) -> bool:
    """The server did not take the create. A reservation with no other create under way is dropped; True when it was."""
    row = await database.statement(_WITHDRAW, *attempt.meeting.key, attempt.meeting.generation)
    return row is not None


def callbacks_of(said: Said) -> dict[str, dict[str, str]]:
    """As they are kept: by the mark of the meeting that they are about."""
    return {said.parameters[MARK]: dict(said.callbacks)} if said.callbacks else {}


def _move_arguments(wanted: Reservation, attempt: Attempt, said: Said) -> tuple[object, ...]:
    return (
        *attempt.meeting.key,
        attempt.meeting.generation,
        wanted.server_id,
        wanted.expected,
        wanted.ceiling,
        callbacks_of(said),
        wanted.max_meetings,
        wanted.expected_for,
        wanted.reason,
        wanted.expected_besides,
    )


def touched(row: Record) -> Attempt:
    """The attempt of a row that a touch returned."""
    return Attempt(
        meeting=meeting_of(row),
        attempted_at=row["attempted_at"],
        quiet_for=row["quiet_for"],
        parameters=row["parameters"],
    )


def placed(row: Record | None) -> Attempt:
    """The attempt of a row that a reservation returned. Raises Unplaced or MeetingTaken where there is none."""
    if row is None:
        raise Unplaced
    if row["generation"] is None:
        raise MeetingTaken
    return Attempt(meeting=meeting_of(row), attempted_at=row["attempted_at"], server_load=row["load"])
