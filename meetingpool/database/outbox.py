"""Callbacks on their way to front ends: written with what they announce, taken by one deliverer at a time, kept until told.

Whoever takes a row pushes its next attempt ahead, which is a lease: nobody else sends it meanwhile, and if its holder dies it is
due again. Called by the gateway (`announce`), the deliverer and `meetingpool callbacks`.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Double, Row, Text, bindparam, text

from meetingpool.database.engine import Connection
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
_IDS = bindparam("ids", type_=ARRAY(BigInteger))

_ANNOUNCE = text("""
    INSERT INTO outbox (tenant, meeting_id, kind, url, payload, announcement)
    VALUES (:tenant, :meeting_id, :kind, :url, CAST(:payload AS jsonb), :announcement)
    ON CONFLICT (announcement) DO NOTHING
    RETURNING id
""")

# Of each webhook the oldest event that waits, so that a front end hears of events in their order; and these after all else, since
# they come in floods. Of each host no more than may be under way there, so that one that is slow does not take the places of all
# others; and tenants take turns, so that one with much to be told keeps nobody waiting. Another deliverer may take a row between
# the look and the lock: the condition is asked again of the locked row.
_CLAIM = text(f"""
    WITH due AS MATERIALIZED (
        SELECT id, tenant, url, next_attempt_at, false AS is_event
        FROM outbox WHERE state = 'pending' AND hook_id IS NULL AND next_attempt_at <= now() AND kind = ANY(:kinds)
        UNION ALL
        SELECT oldest.id, oldest.tenant, oldest.url, oldest.next_attempt_at, true
        FROM hooks CROSS JOIN LATERAL (
            SELECT id, tenant, url, next_attempt_at, kind FROM outbox
            WHERE hook_id = hooks.id AND state = 'pending' ORDER BY id LIMIT 1
        ) AS oldest
        WHERE oldest.next_attempt_at <= now() AND oldest.kind = ANY(:kinds)
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
            AND place <= :per_host - coalesce((CAST(:under_way AS jsonb) ->> host)::int, 0)
        ORDER BY is_event, turn, next_attempt_at, id
        LIMIT :limit
        FOR UPDATE OF outbox SKIP LOCKED
    )
    UPDATE outbox SET attempts = attempts + 1, next_attempt_at = now() + make_interval(secs => :lease)
    FROM taken WHERE outbox.id = taken.id
    RETURNING outbox.id, tenant, meeting_id, kind, url, payload, attempts, {_HOST} AS host, hook_id,
        extract(epoch FROM now() - created_at)::float8 AS age
""").bindparams(bindparam("kinds", type_=ARRAY(Text)), bindparam("lease", type_=Double))

# A success counts whoever has taken the row meanwhile; everything else is said by its holder only.
_DELIVERED = text(
    "UPDATE outbox SET state = 'delivered', settled_at = now(), last_error = NULL WHERE id = :id AND state = 'pending'"
)
_SETTLE = text("""
    UPDATE outbox SET state = :state, settled_at = now(), last_error = :error
    WHERE id = :id AND attempts = :attempts AND state = 'pending'
""")
_POSTPONE = text("""
    UPDATE outbox SET next_attempt_at = now() + make_interval(secs => :seconds), last_error = :error
    WHERE id = :id AND attempts = :attempts AND state = 'pending'
""").bindparams(bindparam("seconds", type_=Double))
_RELEASE = text("""
    UPDATE outbox SET next_attempt_at = now(), attempts = attempts - 1
    WHERE id = :id AND attempts = :attempts AND state = 'pending'
""")

_LIST = text(f"""
    SELECT {_LISTED} FROM outbox
    WHERE (CAST(:state AS text) IS NULL OR state = :state) AND (CAST(:tenant AS text) IS NULL OR tenant = :tenant)
    ORDER BY id
""")
_FIND = text(f"SELECT {_LISTED} FROM outbox WHERE id = ANY(:ids) ORDER BY id").bindparams(_IDS)

# What is due within the time of a lease may be under way now, and is tried soon anyway. Events of a webhook that is gone are not
# for anybody any more.
_RETRY = text("""
    UPDATE outbox SET state = 'pending', attempts = 0, next_attempt_at = now(), settled_at = NULL
    WHERE id = ANY(:ids) AND state <> 'delivered' AND (hook_id IS NULL OR EXISTS (SELECT FROM hooks WHERE hooks.id = hook_id))
        AND (state <> 'pending' OR next_attempt_at > now() + make_interval(secs => :lease))
    RETURNING id
""").bindparams(_IDS, bindparam("lease", type_=Double))

_PURGE = text("""
    DELETE FROM outbox WHERE id IN (
        SELECT id FROM outbox
        WHERE state <> 'pending' AND settled_at < now() - make_interval(hours => :event_hours)
            AND (hook_id IS NOT NULL OR settled_at < now() - make_interval(days => :days))
        LIMIT :limit
    )
""")


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
    values = {
        "tenant": announcement.tenant,
        "meeting_id": announcement.meeting_id,
        "kind": announcement.kind,
        "url": announcement.url,
        "payload": json.dumps(announcement.payload),
        "announcement": announcement.identity,
    }
    row = (await connection.execute(_ANNOUNCE, values)).first()
    await notify(connection, NOTIFICATION, [row.id] if row else [])
    return row is not None


async def claim_due(
    connection: Connection, kinds: Collection[CallbackKind], *, limit: int, per_host: int, under_way: Mapping[str, int]
) -> list[Due]:
    """Takes up to `limit` rows that are due, and of each host no more than `per_host` less what is `under_way` there."""
    values = {
        "kinds": list(kinds),
        "limit": limit,
        "per_host": per_host,
        "under_way": json.dumps(dict(under_way)),
        "lease": LEASE_SECONDS,
    }
    return [_due(row) for row in await connection.execute(_CLAIM, values)]


async def mark_delivered(connection: Connection, due: Due) -> None:
    await connection.execute(_DELIVERED, {"id": due.id})


async def settle(connection: Connection, due: Due, state: AnnouncementState, error: str) -> None:
    """It will not be tried again, for the reason `error`."""
    await connection.execute(_SETTLE, _held(due) | {"state": state, "error": error})


async def postpone(connection: Connection, due: Due, seconds: float, error: str) -> None:
    """It is tried again in so many seconds."""
    await connection.execute(_POSTPONE, _held(due) | {"seconds": seconds, "error": error})


async def release(connection: Connection, due: Due) -> None:
    """Its holder stops, and did not get to the end: it is due as if nobody had taken it."""
    await connection.execute(_RELEASE, _held(due))
    await notify(connection, NOTIFICATION, [due.id])


async def list_kept(connection: Connection, state: AnnouncementState | None, tenant: str | None) -> list[Kept]:
    """The oldest first; only those in `state`, and of `tenant`, if given."""
    return [_kept(row) for row in await connection.execute(_LIST, {"state": state, "tenant": tenant})]


async def find_kept(connection: Connection, ids: Collection[int]) -> list[Kept]:
    return [_kept(row) for row in await connection.execute(_FIND, {"ids": list(ids)})]


async def retry(connection: Connection, ids: Collection[int]) -> list[int]:
    """Makes those due that wait or were settled without success, with all their attempts before them. Returns which."""
    retried = [row.id for row in await connection.execute(_RETRY, {"ids": list(ids), "lease": LEASE_SECONDS})]
    await notify(connection, NOTIFICATION, retried)
    return retried


async def purge_outbox(connection: Connection, limit: int) -> int:
    """Drops up to `limit` rows that were settled long ago. Returns how many."""
    values = {"days": KEPT_DAYS, "event_hours": EVENTS_KEPT_HOURS, "limit": limit}
    return (await connection.execute(_PURGE, values)).rowcount


def _held(due: Due) -> dict[str, Any]:
    return {"id": due.id, "attempts": due.attempts}


def _due(row: Row[Any]) -> Due:
    return Due(
        id=row.id,
        tenant=row.tenant,
        meeting_id=row.meeting_id,
        kind=CallbackKind(row.kind),
        url=row.url,
        host=row.host,
        payload=row.payload,
        attempts=row.attempts,
        hook_id=row.hook_id,
        age=row.age,
    )


def _kept(row: Row[Any]) -> Kept:
    return Kept(
        id=row.id,
        tenant=row.tenant,
        meeting_id=row.meeting_id,
        kind=row.kind,
        host=row.host,
        state=AnnouncementState(row.state),
        attempts=row.attempts,
        created_at=row.created_at,
        next_attempt_at=row.next_attempt_at,
        last_error=row.last_error,
        url=row.url,
    )
