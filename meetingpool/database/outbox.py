"""Callbacks on their way to front ends, and alerts on theirs to administrators: written with what they announce, taken by one
deliverer at a time, kept until told.

Whoever takes a row pushes its next attempt ahead, which is a lease: nobody else sends it meanwhile, and if its holder dies it is
due again. Called by the gateway (`announce`), the deliverer and `meetingpool callbacks`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from meetingpool.database.engine import Connection, Record, affected
from meetingpool.database.notifications import notify
from meetingpool.domain.announcements import Announcement, AnnouncementState
from meetingpool.domain.callbacks import CallbackKind

# The kind of notification that says that something is due.
NOTIFICATION = "outbox"
# Seconds for which whoever took a row has it to itself.
LEASE_SECONDS = 60.0
KEPT_DAYS = 7
# Events of webhooks are many. What servers bring again, they bring within minutes.
EVENTS_KEPT_HOURS = 1

_HOST = "lower(substring(url from '://([^/?#]*)'))"
_LISTED = f"id, tenant, meeting_id, kind, {_HOST} AS host, state, attempts, created_at, next_attempt_at, last_error, url"

_ANNOUNCE = """
    INSERT INTO outbox (tenant, meeting_id, kind, url, payload, announcement)
    VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (announcement) DO NOTHING
    RETURNING id
"""

# In their order, which is that of their numbers from then on.
_ANNOUNCE_ALL = """
    INSERT INTO outbox (tenant, meeting_id, kind, url, payload, announcement, hook_id)
    SELECT tenant, meeting_id, kind, url, payload, announcement, hook_id
    FROM ROWS FROM (jsonb_to_recordset($1::jsonb) AS (
        tenant text, meeting_id text, kind text, url text, payload jsonb, announcement text, hook_id text
    )) WITH ORDINALITY AS told (tenant, meeting_id, kind, url, payload, announcement, hook_id, place)
    ORDER BY place
    ON CONFLICT (announcement) DO NOTHING
    RETURNING id
"""
_ANNOUNCED_AT_ONCE = 200

# Of each webhook the oldest event that waits, so that a front end hears of events in their order; and these after all else, since
# they come in floods. Of each host no more than may be under way there, so that one that is slow does not take the places of all
# others; and tenants take turns, so that one with much to be told keeps nobody waiting. Another deliverer may take a row between
# the look and the lock: the condition is asked again of the locked row.
_CLAIM = f"""
    WITH due AS MATERIALIZED (
        SELECT id, tenant, url, next_attempt_at, false AS is_event
        FROM outbox WHERE state = 'pending' AND hook_id IS NULL AND next_attempt_at <= now() AND kind = ANY($1::text[])
        UNION ALL
        SELECT oldest.id, oldest.tenant, oldest.url, oldest.next_attempt_at, true
        FROM hooks CROSS JOIN LATERAL (
            SELECT id, tenant, url, next_attempt_at, kind FROM outbox
            WHERE hook_id = hooks.id AND state = 'pending' ORDER BY id LIMIT 1
        ) AS oldest
        WHERE oldest.next_attempt_at <= now() AND oldest.kind = ANY($1::text[])
    ),
    placed AS (
        SELECT id, {_HOST} AS host, is_event,
            row_number() OVER (PARTITION BY {_HOST} ORDER BY is_event, next_attempt_at, id) AS place,
            row_number() OVER (PARTITION BY tenant ORDER BY is_event, next_attempt_at, id) AS turn
        FROM due
    ),
    taken AS (
        SELECT outbox.id FROM outbox JOIN placed USING (id)
        WHERE state = 'pending' AND next_attempt_at <= now()
            AND place <= $3::int - coalesce(($4::jsonb ->> host)::int, 0)
        ORDER BY is_event, turn, next_attempt_at, id
        LIMIT $2
        FOR UPDATE OF outbox SKIP LOCKED
    )
    UPDATE outbox SET attempts = attempts + 1, next_attempt_at = now() + make_interval(secs => $5)
    FROM taken WHERE outbox.id = taken.id
    RETURNING outbox.id, tenant, meeting_id, kind, url, payload, attempts, {_HOST} AS host, hook_id,
        extract(epoch FROM now() - created_at)::float8 AS age
"""

# A success counts whoever has taken the row meanwhile; everything else is said by its holder only.
_DELIVERED = "UPDATE outbox SET state = 'delivered', settled_at = now(), last_error = NULL WHERE id = $1 AND state = 'pending'"
_SETTLE = """
    UPDATE outbox SET state = $3, settled_at = now(), last_error = $4
    WHERE id = $1 AND attempts = $2 AND state = 'pending'
"""
_POSTPONE = """
    UPDATE outbox SET next_attempt_at = now() + make_interval(secs => $3), last_error = $4
    WHERE id = $1 AND attempts = $2 AND state = 'pending'
"""
_RELEASE = """
    UPDATE outbox SET next_attempt_at = now(), attempts = attempts - 1
    WHERE id = $1 AND attempts = $2 AND state = 'pending'
"""

_LIST = f"""
    SELECT {_LISTED} FROM outbox
    WHERE ($1::text IS NULL OR state = $1) AND ($2::text IS NULL OR tenant = $2) AND id > $3
    ORDER BY id LIMIT $4
"""
_FIND = f"SELECT {_LISTED} FROM outbox WHERE id = ANY($1::bigint[]) ORDER BY id"

# What is due within the time of a lease may be under way now, and is tried soon anyway. Events of a webhook that is gone are not
# for anybody any more.
_RETRY = """
    UPDATE outbox SET state = 'pending', attempts = 0, next_attempt_at = now(), settled_at = NULL
    WHERE id = ANY($1::bigint[]) AND state <> 'delivered'
        AND (hook_id IS NULL OR EXISTS (SELECT FROM hooks WHERE hooks.id = hook_id))
        AND (state <> 'pending' OR next_attempt_at > now() + make_interval(secs => $2))
    RETURNING id
"""

_PURGE = """
    DELETE FROM outbox WHERE id IN (
        SELECT id FROM outbox
        WHERE state <> 'pending' AND settled_at < now() - make_interval(hours => $1)
            AND (hook_id IS NOT NULL OR settled_at < now() - make_interval(days => $2))
        LIMIT $3
    )
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """An announcement that its holder has to itself for LEASE_SECONDS. `attempts` counts the one that begins now.

    `hook_id`: the webhook that it is for, if it is an event; `age`: seconds since it was kept.
    """

    id: int
    tenant: str
    meeting_id: str
    kind: CallbackKind
    url: str = field(repr=False)
    host: str
    payload: Mapping[str, Any] = field(repr=False)
    attempts: int
    hook_id: str | None = None
    age: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A row as it is listed. The query of `url` is the front end's secret."""

    id: int
    tenant: str
    meeting_id: str
    kind: str
    host: str
    state: AnnouncementState
    attempts: int
    created_at: datetime
    next_attempt_at: datetime
    last_error: str | None
    url: str = field(repr=False)


async def announce(connection: Connection, announcement: Announcement) -> bool:
    """Keeps an announcement until it is delivered; False when it was kept before, whatever became of it."""
    row_id = await connection.fetchval(
        _ANNOUNCE,
        announcement.tenant,
        announcement.meeting_id,
        announcement.kind,
        announcement.url,
        announcement.payload,
        announcement.identity,
    )
    await notify(connection, NOTIFICATION, [] if row_id is None else [row_id])
    return row_id is not None


async def announce_all(connection: Connection, announcements: Sequence[Announcement]) -> int:
    """The same for many, in their order. Returns how many were not kept before."""
    kept: list[int] = []
    for start in range(0, len(announcements), _ANNOUNCED_AT_ONCE):
        rows = [_row(announcement) for announcement in announcements[start : start + _ANNOUNCED_AT_ONCE]]
        kept += [row["id"] for row in await connection.fetch(_ANNOUNCE_ALL, rows)]
    await notify(connection, NOTIFICATION, kept[:1])
    return len(kept)


async def claim_due(
    connection: Connection, kinds: Collection[CallbackKind], *, limit: int, per_host: int, under_way: Mapping[str, int]
) -> list[Due]:
    """Takes up to `limit` rows that are due, and of each host no more than `per_host` less what is `under_way` there."""
    taken = await connection.fetch(_CLAIM, list(kinds), limit, per_host, dict(under_way), LEASE_SECONDS)
    return [_due(row) for row in taken]


async def mark_delivered(connection: Connection, due: Due) -> None:
    await connection.execute(_DELIVERED, due.id)


async def settle(connection: Connection, due: Due, state: AnnouncementState, error: str) -> bool:
    """It will not be tried again, for the reason `error`. Whether its holder still was the one to say so."""
    return affected(await connection.execute(_SETTLE, due.id, due.attempts, state, error)) > 0


async def postpone(connection: Connection, due: Due, seconds: float, error: str) -> None:
    """It is tried again in so many seconds."""
    await connection.execute(_POSTPONE, due.id, due.attempts, seconds, error)


async def release(connection: Connection, due: Due) -> None:
    """Its holder stops, and did not get to the end: it is due as if nobody had taken it."""
    await connection.execute(_RELEASE, due.id, due.attempts)
    await notify(connection, NOTIFICATION, [due.id])


async def list_kept(
    connection: Connection, state: AnnouncementState | None, tenant: str | None, *, after_id: int = 0, limit: int | None = None
) -> list[Kept]:
    """The oldest first; only those in `state`, and of `tenant`, if given; behind `after_id`, and at most `limit`."""
    return [_kept(row) for row in await connection.fetch(_LIST, state, tenant, after_id, limit)]


async def find_kept(connection: Connection, ids: Collection[int]) -> list[Kept]:
    return [_kept(row) for row in await connection.fetch(_FIND, list(ids))]


async def retry(connection: Connection, ids: Collection[int]) -> list[int]:
    """Makes those due that wait or were settled without success, with all their attempts before them. Returns which."""
    retried = [row["id"] for row in await connection.fetch(_RETRY, list(ids), LEASE_SECONDS)]
    await notify(connection, NOTIFICATION, retried)
    return retried


async def purge_outbox(connection: Connection, limit: int) -> int:
    """Drops up to `limit` rows that were settled long ago. Returns how many."""
    return affected(await connection.execute(_PURGE, EVENTS_KEPT_HOURS, KEPT_DAYS, limit))


def _row(announcement: Announcement) -> dict[str, object]:
    return {
        "tenant": announcement.tenant,
        "meeting_id": announcement.meeting_id,
        "kind": announcement.kind,
        "url": announcement.url,
        "payload": announcement.payload,
        "announcement": announcement.identity,
        "hook_id": announcement.hook_id,
    }


def _due(row: Record) -> Due:
    return Due(
        id=row["id"],
        tenant=row["tenant"],
        meeting_id=row["meeting_id"],
        kind=CallbackKind(row["kind"]),
        url=row["url"],
        host=row["host"],
        payload=row["payload"],
        attempts=row["attempts"],
        hook_id=row["hook_id"],
        age=row["age"],
    )


def _kept(row: Record) -> Kept:
    return Kept(
        id=row["id"],
        tenant=row["tenant"],
        meeting_id=row["meeting_id"],
        kind=row["kind"],
        host=row["host"],
        state=AnnouncementState(row["state"]),
        attempts=row["attempts"],
        created_at=row["created_at"],
        next_attempt_at=row["next_attempt_at"],
        last_error=row["last_error"],
        url=row["url"],
    )
