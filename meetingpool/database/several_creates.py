"""Statements of several creates at once: reserve, touch, confirm, tell. To each meeting they do what those of creates.py do.

They wait for no row that somebody holds: it is left out of the answer, and the caller asks for it alone.
"""

from collections.abc import Collection
from dataclasses import replace
from math import inf

from meetingpool.database.creates import (
    CONFIRMED,
    ITEM,
    OPEN_TO_NEW,
    Attempt,
    Confirmation,
    Wish,
    callbacks_of,
    notification,
    placed,
    room_for_one,
    touched,
)
from meetingpool.database.engine import Database
from meetingpool.database.meetings import MEETING_COLUMNS, meeting_of
from meetingpool.domain.meetings import Meeting, MeetingKey, host_id_of
from meetingpool.domain.servers import ServerId

# Rows of several meetings, each found by its key however many there are, and locked in their order; those that somebody holds are
# passed over, so that nobody waits in a circle.
_HELD = """
    SELECT given.*, held.* FROM (
        SELECT * FROM unnest($1::text[], $2::text[]{more}) AS _ (given_tenant, given_id{names}) ORDER BY given_tenant, given_id
    ) AS given CROSS JOIN LATERAL (
        SELECT {columns} FROM meetings WHERE tenant = given_tenant AND meeting_id = given_id {lock} SKIP LOCKED
    ) AS held
"""


def _held(columns: str, lock: str, **given: str) -> str:
    """`given`: names of further parameters from $3 on, with their types."""
    more = "".join(f", ${number}::{kind}[]" for number, kind in enumerate(given.values(), 3))
    return _HELD.format(columns=columns, lock=lock, more=more, names="".join(f", {name}" for name in given))


_MEETING = ", ".join(f"meetings.{column}" for column in MEETING_COLUMNS.split(", "))

# Each for a server of its own, so that every load is compared with its ceiling as if it were alone. They are written in the order
# of their keys: who has to wait for somebody else's meeting of the same key does so in that order too.
_RESERVE_ALL = f"""
    WITH held AS MATERIALIZED (
        SELECT given.*, open.id FROM (
            SELECT * FROM jsonb_to_recordset($1::jsonb) AS _ (
                tenant text, meeting_id text, host_id text, server_id text, expected float8, ceiling float8, voice_bridge text,
                parameters jsonb, callbacks jsonb, max_meetings int, expected_for float8,
                expected_besides boolean, reason jsonb
            ) ORDER BY tenant, meeting_id
        ) AS given CROSS JOIN LATERAL (
            SELECT id FROM servers WHERE id = given.server_id AND {OPEN_TO_NEW} AND (ceiling IS NULL OR load <= ceiling)
                AND NOT EXISTS (
                    SELECT FROM meetings WHERE meetings.tenant = given.tenant AND meetings.meeting_id = given.meeting_id
                )
            FOR UPDATE SKIP LOCKED
        ) AS open
    ),
    fit AS MATERIALIZED (SELECT * FROM held WHERE {room_for_one("max_meetings")}),
    reserved AS (
        INSERT INTO meetings
            (tenant, meeting_id, host_id, server_id, state, expected_users, expected_for, expected_besides, open_attempts,
            voice_bridge, parameters)
        SELECT tenant, meeting_id, host_id, id, 'reserving', expected, expected_for, expected_besides, 1, voice_bridge, parameters
        FROM fit
        ON CONFLICT DO NOTHING
        RETURNING {MEETING_COLUMNS}, attempted_at
    ),
    placed AS (
        INSERT INTO placements (generation, tenant, meeting_id, host_id, server_id, callbacks, reason)
        SELECT generation, tenant, meeting_id, host_id, server_id, callbacks, reason
        FROM reserved JOIN fit USING (tenant, meeting_id, server_id)
    ),
    loaded AS (
        UPDATE servers SET load = load + expected_users * load_multiplier FROM reserved WHERE servers.id = reserved.server_id
        RETURNING servers.id, load
    )
    SELECT reserved.*, loaded.load FROM reserved JOIN loaded ON loaded.id = reserved.server_id
"""

_TOUCH_ALL = f"""
    WITH held AS MATERIALIZED ({_held("ctid AS place, attempted_at AS before", "FOR UPDATE")})
    UPDATE meetings SET attempted_at = now(), open_attempts = open_attempts + (state = 'reserving')::int
    FROM held WHERE meetings.ctid = held.place
    RETURNING {_MEETING}, attempted_at, extract(epoch FROM now() - held.before)::float8 AS quiet_for, parameters
"""

# Of those that were only reserved, and of which the server made nothing up.
_CONFIRM_ALL = f"""
    WITH held AS MATERIALIZED ({_held("ctid AS place", "FOR UPDATE", told_generation="bigint", told_id="text")})
    UPDATE meetings SET {CONFIRMED.format(told="held.told_id").rstrip().rstrip(",")}
    FROM held WHERE meetings.ctid = held.place AND generation = held.told_generation
    RETURNING {_MEETING}
"""

_TELL_PLACED = f"""
    WITH told AS MATERIALIZED (
        SELECT tenant, meeting_id, {notification("placed", *ITEM, "servers.load")}
        FROM ({_held(", ".join(ITEM), "FOR SHARE")}) AS held JOIN servers ON servers.id = held.server_id
    )
    SELECT tenant, meeting_id FROM unnest($1::text[], $2::text[]) AS given (tenant, meeting_id)
    WHERE (tenant, meeting_id) NOT IN (SELECT tenant, meeting_id FROM told)
        AND EXISTS (SELECT FROM meetings WHERE (meetings.tenant, meetings.meeting_id) = (given.tenant, given.meeting_id))
"""


async def reserve_all(database: Database, wishes: Collection[Wish]) -> dict[ServerId, Attempt]:
    """As `reserve`, for several meetings that each want another server. What is not to be had is not in the answer."""
    rows = await database.rows(_RESERVE_ALL, [_given(wish) for wish in wishes])
    said = {wish.wanted.server_id: wish.said.parameters for wish in wishes}
    attempts = [placed(row) for row in rows]
    return {attempt.meeting.server_id: replace(attempt, parameters=said[attempt.meeting.server_id]) for attempt in attempts}


async def touch_all(database: Database, keys: Collection[MeetingKey]) -> dict[MeetingKey, Attempt]:
    """As `touch`, for several meetings. Those that have no server, and those whose rows somebody holds, are not in the answer."""
    rows = await database.rows(_TOUCH_ALL, [key.tenant for key in keys], [key.meeting_id for key in keys])
    return {attempt.meeting.key: attempt for attempt in map(touched, rows)}


async def confirm_all(database: Database, confirmations: Collection[Confirmation]) -> dict[MeetingKey, Meeting]:
    """As `confirm`, for several reservations of which nothing was learnt.

    Those that are no longer the attempt's, and those whose rows somebody holds, are not in the answer.
    """
    known = [confirmation.attempt.meeting for confirmation in confirmations]
    rows = await database.rows(
        _CONFIRM_ALL,
        [meeting.key.tenant for meeting in known],
        [meeting.key.meeting_id for meeting in known],
        [meeting.generation for meeting in known],
        [confirmation.internal_id for confirmation in confirmations],
    )
    return {meeting.key: meeting for meeting in map(meeting_of, rows)}


async def tell_placed(database: Database, keys: Collection[MeetingKey]) -> set[MeetingKey]:
    """Tells all processes of these meetings as they are now. Returns those that somebody is changing at this moment.

    Their rows are held meanwhile, so that whatever changes them is told of later than this.
    """
    rows = await database.rows(_TELL_PLACED, [key.tenant for key in keys], [key.meeting_id for key in keys])
    return {MeetingKey(row["tenant"], row["meeting_id"]) for row in rows}


def _given(wish: Wish) -> dict[str, object]:
    """As the statement takes it. JSON knows no infinity."""
    return {
        "tenant": wish.key.tenant,
        "meeting_id": wish.key.meeting_id,
        "host_id": host_id_of(wish.key),
        "server_id": wish.wanted.server_id,
        "expected": wish.wanted.expected,
        "ceiling": None if wish.wanted.ceiling == inf else wish.wanted.ceiling,
        "voice_bridge": wish.said.parameters.get("voiceBridge"),
        "parameters": dict(wish.said.parameters),
        "callbacks": callbacks_of(wish.said),
        "max_meetings": wish.wanted.max_meetings,
        "expected_for": wish.wanted.expected_for,
        "expected_besides": wish.wanted.expected_besides,
        "reason": wish.wanted.reason,
    }
