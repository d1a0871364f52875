"""What was changed, when and by whom: written in the transaction of the change, and never changed itself."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from meetingpool.database.engine import Connection, Record, affected
from meetingpool.database.notifications import notify
from meetingpool.domain.audit import Actor, ActorKind, AuditEntry

# The kind of notification that says that something was changed; its items are the actions.
NOTIFICATION = "audit"

_INSERT = """
    INSERT INTO audit (actor_kind, actor, address, request_id, action, subject, tenant, before, after)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""
# Of one tenant when $1 is given; the newest first, older than $5.
_FIND = """
    SELECT * FROM audit
    WHERE ($1::text IS NULL OR tenant = $1) AND ($2::text IS NULL OR subject = $2)
        AND ($3::text IS NULL OR action = $3 OR action LIKE replace($3, '_', '\\_') || '.%')
        AND ($4::timestamptz IS NULL OR at >= $4) AND ($5::bigint IS NULL OR id < $5)
    ORDER BY id DESC LIMIT $6
"""
_PURGE = "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at < now() - make_interval(days => $1) ORDER BY at LIMIT $2)"


async def write_audit(
    connection: Connection,
    actor: Actor,
    action: str,
    subject: str,
    *,
    tenant: str | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Keeps that `actor` did `action` to `subject`. `before` and `after` must hold what JSON can, and no secret."""
    await connection.execute(
        _INSERT,
        actor.kind,
        actor.name,
        actor.address,
        actor.request_id,
        action,
        subject,
        tenant,
        None if before is None else dict(before),
        None if after is None else dict(after),
    )
    await notify(connection, NOTIFICATION, [action])


async def find_audit(
    connection: Connection,
    *,
    tenant: str | None = None,
    subject: str | None = None,
    action: str | None = None,
    since: datetime | None = None,
    before_id: int | None = None,
    limit: int = 100,
) -> list[AuditEntry]:
    """The newest first. `action` may be a noun alone, for all that was done to such; `before_id` goes on from a page."""
    rows = await connection.fetch(_FIND, tenant, subject, action, since, before_id, limit)
    return [_entry(row) for row in rows]


async def purge_audit(connection: Connection, limit: int, *, days: int) -> int:
    """Drops up to `limit` entries that are older. Returns how many."""
    return affected(await connection.execute(_PURGE, days, limit))


def _entry(row: Record) -> AuditEntry:
    return AuditEntry(
        id=row["id"],
        at=row["at"],
        actor=Actor(kind=ActorKind(row["actor_kind"]), name=row["actor"], address=row["address"], request_id=row["request_id"]),
        action=row["action"],
        subject=row["subject"],
        tenant=row["tenant"],
        before=row["before"],
        after=row["after"],
    )
