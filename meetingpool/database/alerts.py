"""Alerts: who is told, what they were told is so, and the messages on their way, which are rows of the outbox.

Called by `meetingpool.operations.alerts` and `alert_hooks`, and by the deliverer.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from meetingpool.database.engine import Connection, Record, Taken, affected
from meetingpool.database.outbox import announce_all
from meetingpool.database.sealed_secrets import seal, unseal
from meetingpool.domain.alerts import QUIET_FOR, Alert, AlertHook, AlertKey, AlertKind, Standing, WatchedServer
from meetingpool.domain.announcements import Announcement
from meetingpool.domain.callbacks import CallbackKind
from meetingpool.domain.refusals import Conflict
from meetingpool.domain.servers import AdminState, Health

# An alert is about no meeting and for no tenant.
NO_TENANT = NO_MEETING = ""

_HOOKS = "SELECT id, url, secret, kinds, created_at FROM alert_hooks"
_LIST_HOOKS = f"{_HOOKS} ORDER BY created_at, id"
_FIND_HOOKS = f"{_HOOKS} WHERE id = ANY($1::text[])"
_HOOKS_FOR = "SELECT id, url, kinds, now() AS at FROM alert_hooks WHERE kinds IS NULL OR kinds && $1::text[] ORDER BY id"
_INSERT_HOOK = """
    INSERT INTO alert_hooks (id, url, secret, kinds) VALUES ($1, $2, $3, $4) RETURNING id, url, secret, kinds, created_at
"""
_SEALED = "alert_hooks.secret"
_NOW = "SELECT now()"
_DELETE_HOOK = "DELETE FROM alert_hooks WHERE id = $1"

_SERVERS = """
    SELECT id, admin_state, health, failures, load, meetings, users, last_error AS error,
        CASE WHEN registration IN ('held', 'lapsed') AND registered_until < now() THEN registered_until END AS silent_since
    FROM servers ORDER BY id
"""
_STANDING = "SELECT kind, subject, extract(epoch FROM now() - over_since)::float8 AS over_for FROM alerts"
# Two processes may see the same begin: the row says whose it is to tell of it.
_BEGIN = """
    INSERT INTO alerts (kind, subject) SELECT * FROM unnest($1::text[], $2::text[]) AS key (kind, subject) ORDER BY kind, subject
    ON CONFLICT DO NOTHING RETURNING kind, subject
"""
_HAPPEN = """
    INSERT INTO alerts (kind, subject, over_since) VALUES ($1, $2, now())
    ON CONFLICT (kind, subject) DO UPDATE SET over_since = now(),
        since = CASE WHEN alerts.over_since < now() - make_interval(secs => $3) THEN now() ELSE alerts.since END
    RETURNING since = now() AS is_new
"""
_SET_OVER = """
    UPDATE alerts SET over_since = CASE WHEN $3 THEN now() END
    FROM unnest($1::text[], $2::text[]) AS key (kind, subject)
    WHERE (alerts.kind, alerts.subject) = (key.kind, key.subject) AND (over_since IS NULL) = $3
"""
_END = """
    DELETE FROM alerts USING unnest($1::text[], $2::text[]) AS key (kind, subject)
    WHERE (alerts.kind, alerts.subject) = (key.kind, key.subject) RETURNING alerts.kind, alerts.subject, since
"""


class HookExists(Conflict):
    """This address is told already."""


async def insert_hook(
    connection: Connection, hook_id: str, url: str, secret: str, kinds: Sequence[AlertKind] | None
) -> AlertHook:
    """Raises HookExists."""
    sealed = seal(connection, _SEALED, hook_id, secret)
    try:
        row = await connection.fetchrow(_INSERT_HOOK, hook_id, url, sealed, None if kinds is None else list(kinds))
    except Taken as error:
        raise HookExists("This address is told already; `meetingpool alerts list` shows all") from error
    return _hook(connection, row)


async def all_hooks(connection: Connection) -> list[AlertHook]:
    """The oldest first."""
    return [_hook(connection, row) for row in await connection.fetch(_LIST_HOOKS)]


async def find_hooks(connection: Connection, ids: Collection[str]) -> dict[str, AlertHook]:
    """Those with these ids that are there, by their ids."""
    return {row["id"]: _hook(connection, row) for row in await connection.fetch(_FIND_HOOKS, list(ids))}


async def delete_hook(connection: Connection, hook_id: str) -> bool:
    """Whether it was there. What is on its way to it is given up."""
    return affected(await connection.execute(_DELETE_HOOK, hook_id)) > 0


async def database_time(connection: Connection) -> datetime:
    """The time by which alerts are dated."""
    now: datetime = await connection.fetchval(_NOW)
    return now


async def announce_alerts(connection: Connection, alerts: Sequence[Alert]) -> None:
    """Keeps each alert for every address that wants its kind, until it was told."""
    if not alerts:
        return
    hooks = await connection.fetch(_HOOKS_FOR, sorted({alert.kind for alert in alerts}))
    await announce_all(
        connection,
        [
            _announcement(alert, hook)
            for alert in alerts
            for hook in hooks
            if hook["kinds"] is None or alert.kind in hook["kinds"]
        ],
    )


async def watched_servers(connection: Connection) -> list[WatchedServer]:
    return [
        WatchedServer(**dict(row) | {"admin_state": AdminState(row["admin_state"]), "health": Health(row["health"])})
        for row in await connection.fetch(_SERVERS)
    ]


async def standing_alerts(connection: Connection) -> list[Standing]:
    """What administrators were told is so, by its age."""
    return [Standing(_key(row), row["over_for"]) for row in await connection.fetch(_STANDING)]


async def begin_alerts(connection: Connection, keys: Iterable[AlertKey]) -> set[AlertKey]:
    """Keeps that these are so. Returns those of which nobody had said it before."""
    return {_key(row) for row in await connection.fetch(_BEGIN, *_columns(keys))}


async def note_occurrence(connection: Connection, key: AlertKey) -> bool:
    """Keeps that it happened now. Whether it is to be told."""
    is_new: bool = await connection.fetchval(_HAPPEN, *key, QUIET_FOR)
    return is_new


async def mark_over(connection: Connection, keys: Collection[AlertKey], *, is_over: bool) -> None:
    """Keeps that these are no longer so, or are so again."""
    if keys:
        await connection.execute(_SET_OVER, *_columns(keys), is_over)


async def end_alerts(connection: Connection, keys: Collection[AlertKey]) -> dict[AlertKey, datetime]:
    """Forgets these. Returns since when they were so, without those that somebody else forgot."""
    return {_key(row): row["since"] for row in await connection.fetch(_END, *_columns(keys))} if keys else {}


def _announcement(alert: Alert, hook: Record) -> Announcement:
    return Announcement(
        kind=CallbackKind.ALERT,
        tenant=NO_TENANT,
        meeting_id=NO_MEETING,
        url=hook["url"],
        # As text: what is signed is what is sent, byte by byte.
        payload={"hook": hook["id"], "body": alert.body(hook["at"])},
        subject=(alert.id, hook["id"]),
    )


def _columns(keys: Iterable[AlertKey]) -> tuple[list[str], list[str]]:
    ordered = sorted(keys)
    return [key.kind for key in ordered], [key.subject for key in ordered]


def _key(row: Record) -> AlertKey:
    return AlertKey(AlertKind(row["kind"]), row["subject"])


def _hook(connection: Connection, row: Record) -> AlertHook:
    kinds = None if row["kinds"] is None else tuple(map(AlertKind, row["kinds"]))
    secret = unseal(connection, _SEALED, row["id"], row["secret"])
    return AlertHook(id=row["id"], url=row["url"], secret=secret, kinds=kinds, created_at=row["created_at"])
