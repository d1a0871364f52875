"""Webhooks of front ends, as rows: registered by the gateway, which finds in them whom an event is for.

Every change is told to the poller that leads, which registers ours on the servers as long as there is one here.
"""

from collections.abc import Collection
from dataclasses import dataclass

from meetingpool.database.engine import Connection, Record
from meetingpool.database.installation import read_callback_key
from meetingpool.database.notifications import notify
from meetingpool.domain.hooks import Hook, HookForm

# The kind of notification that says that a webhook was registered or removed.
NOTIFICATION = "hooks"
MAX_PER_TENANT = 100

_COLUMNS = "id, tenant, callback_url, meeting_id, event_ids, is_raw"

# Whoever has the lock counts alone. It is that of the transaction, under a number that belongs to the tenant.
_LOCK_TENANT = "SELECT pg_advisory_xact_lock(hashtextextended('hooks of ' || $1, 0))"
_OF_TENANT = f"SELECT {_COLUMNS} FROM hooks WHERE tenant = $1 ORDER BY created_at, id"
# Events are kept while their webhook is: who removes it waits until they are, and then finds them.
_OF_TENANTS = f"SELECT {_COLUMNS} FROM hooks WHERE tenant = ANY($1::text[]) ORDER BY id FOR KEY SHARE"
_INSERT = f"INSERT INTO hooks ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6)"
_NOTE_BASE_URL = "UPDATE installation SET hooks_base_url = $1 WHERE hooks_base_url IS DISTINCT FROM $1"
_DELETE = "DELETE FROM hooks WHERE id = $1 AND tenant = $2 RETURNING id"
_DELETE_OF_TENANT = "DELETE FROM hooks WHERE tenant = $1 RETURNING id"
_FORGET_EVENTS = "DELETE FROM outbox WHERE hook_id = ANY($1::text[]) AND state = 'pending'"

_REGISTRATION = """
    SELECT callback_key, hooks_base_url,
        EXISTS (SELECT FROM hooks) AS has_hooks, EXISTS (SELECT FROM hooks WHERE is_raw) AS has_raw
    FROM installation
"""


class TooManyHooks(Exception):
    """The tenant has as many webhooks as it may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """What servers are to tell us: events in these `forms`. `base_url`: where they reach us, as the last webhook showed it.

    Without it there has never been a webhook.
    """

    callback_key: bytes
    base_url: str | None
    forms: frozenset[HookForm]


async def keep_hook(connection: Connection, hook: Hook, *, base_url: str) -> Hook:
    """`hook`, which is kept from now on, or the one that its tenant has for the same address. Raises TooManyHooks."""
    await connection.execute(_LOCK_TENANT, hook.tenant)
    there = await hooks_of(connection, hook.tenant)
    if existing := next((other for other in there if other.callback_url == hook.callback_url), None):
        return existing
    if len(there) >= MAX_PER_TENANT:
        raise TooManyHooks
    await connection.execute(
        _INSERT,
        hook.id,
        hook.tenant,
        hook.callback_url,
        hook.meeting_id,
        list(hook.event_ids) or None,
        hook.form is HookForm.RAW,
    )
    await connection.execute(_NOTE_BASE_URL, base_url)
    await notify(connection, NOTIFICATION, [hook.id])
    return hook


async def hooks_of(connection: Connection, tenant: str) -> list[Hook]:
    """The oldest first."""
    return [_hook(row) for row in await connection.fetch(_OF_TENANT, tenant)]


async def hold_hooks_of(connection: Connection, tenants: Collection[str]) -> list[Hook]:
    """The webhooks of these tenants, none of which goes before the transaction ends."""
    return [_hook(row) for row in await connection.fetch(_OF_TENANTS, list(tenants))]


async def delete_hook(connection: Connection, tenant: str, hook_id: str) -> bool:
    """Removes a webhook with the events that wait for it. Returns whether the tenant had it."""
    gone = await connection.fetch(_DELETE, hook_id, tenant)
    await _forget(connection, gone)
    return bool(gone)


async def delete_hooks_of(connection: Connection, tenant: str) -> None:
    """Removes all webhooks of a tenant that is removed itself."""
    await _forget(connection, await connection.fetch(_DELETE_OF_TENANT, tenant))


async def registration(connection: Connection) -> Registration:
    row = await connection.fetchrow(_REGISTRATION)
    forms = {HookForm.PROCESSED: row["has_hooks"], HookForm.RAW: row["has_raw"]}
    return Registration(
        callback_key=read_callback_key(connection, row["callback_key"]),
        base_url=row["hooks_base_url"],
        forms=frozenset(form for form, is_wanted in forms.items() if is_wanted),
    )


async def _forget(connection: Connection, gone: Collection[Record]) -> None:
    ids = [row["id"] for row in gone]
    await connection.execute(_FORGET_EVENTS, ids)
    await notify(connection, NOTIFICATION, ids)


def _hook(row: Record) -> Hook:
    return Hook(
        id=row["id"],
        tenant=row["tenant"],
        callback_url=row["callback_url"],
        meeting_id=row["meeting_id"],
        event_ids=tuple(row["event_ids"] or ()),
        form=HookForm.RAW if row["is_raw"] else HookForm.PROCESSED,
    )
