"""Webhooks of front ends, as rows: registered by the gateway, which finds in them whom an event is for.

Every change is told to the poller that leads, which registers ours on the servers as long as there is one here.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ARRAY, Row, Text, bindparam, text

from meetingpool.database.engine import Connection
from meetingpool.database.notifications import notify
from meetingpool.domain.hooks import Hook, HookForm

# The kind of notification that says that a webhook was registered or removed.
NOTIFICATION = "hooks"
MAX_PER_TENANT = 100

_COLUMNS = "id, tenant, callback_url, meeting_id, event_ids, is_raw"
_TENANTS = bindparam("tenants", type_=ARRAY(Text))

# Whoever has the lock counts alone. It is that of the transaction, under a number that belongs to the tenant.
_LOCK_TENANT = text("SELECT pg_advisory_xact_lock(hashtextextended('hooks of ' || :tenant, 0))")
_OF_TENANT = text(f"SELECT {_COLUMNS} FROM hooks WHERE tenant = :tenant ORDER BY created_at, id")
# Events are kept while their webhook is: who removes it waits until they are, and then finds them.
_OF_TENANTS = text(f"SELECT {_COLUMNS} FROM hooks WHERE tenant = ANY(:tenants) ORDER BY id FOR KEY SHARE").bindparams(_TENANTS)
_INSERT = text(f"""
    INSERT INTO hooks ({_COLUMNS}) VALUES (:id, :tenant, :callback_url, :meeting_id, :event_ids, :is_raw)
""").bindparams(bindparam("event_ids", type_=ARRAY(Text)))
_NOTE_BASE_URL = text("""
    UPDATE installation SET hooks_base_url = :base_url WHERE hooks_base_url IS DISTINCT FROM :base_url
""")
_DELETE = text("DELETE FROM hooks WHERE id = :id AND tenant = :tenant RETURNING id")
_DELETE_OF_TENANT = text("DELETE FROM hooks WHERE tenant = :tenant RETURNING id")
_FORGET_EVENTS = text("DELETE FROM outbox WHERE hook_id = ANY(:ids) AND state = 'pending'").bindparams(
    bindparam("ids", type_=ARRAY(Text))
)

_REGISTRATION = text("""
    SELECT callback_key, hooks_base_url,
        EXISTS (SELECT FROM hooks) AS has_hooks, EXISTS (SELECT FROM hooks WHERE is_raw) AS has_raw
    FROM installation
""")


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
    await connection.execute(_LOCK_TENANT, {"tenant": hook.tenant})
    there = await hooks_of(connection, hook.tenant)
    if existing := next((other for other in there if other.callback_url == hook.callback_url), None):
        return existing
    if len(there) >= MAX_PER_TENANT:
        raise TooManyHooks
    await connection.execute(_INSERT, _values(hook))
    await connection.execute(_NOTE_BASE_URL, {"base_url": base_url})
    await notify(connection, NOTIFICATION, [hook.id])
    return hook


async def hooks_of(connection: Connection, tenant: str) -> list[Hook]:
    """The oldest first."""
    return [_hook(row) for row in await connection.execute(_OF_TENANT, {"tenant": tenant})]


async def hold_hooks_of(connection: Connection, tenants: Collection[str]) -> list[Hook]:
    """The webhooks of these tenants, none of which goes before the transaction ends."""
    return [_hook(row) for row in await connection.execute(_OF_TENANTS, {"tenants": list(tenants)})]


async def delete_hook(connection: Connection, tenant: str, hook_id: str) -> bool:
    """Removes a webhook with the events that wait for it. Returns whether the tenant had it."""
    gone = (await connection.execute(_DELETE, {"id": hook_id, "tenant": tenant})).scalars().all()
    await _forget(connection, gone)
    return bool(gone)


async def delete_hooks_of(connection: Connection, tenant: str) -> None:
    """Removes all webhooks of a tenant that is removed itself."""
    await _forget(connection, (await connection.execute(_DELETE_OF_TENANT, {"tenant": tenant})).scalars().all())


async def registration(connection: Connection) -> Registration:
    row = (await connection.execute(_REGISTRATION)).one()
    forms = {HookForm.PROCESSED: row.has_hooks, HookForm.RAW: row.has_raw}
    return Registration(
        callback_key=bytes(row.callback_key),
        base_url=row.hooks_base_url,
        forms=frozenset(form for form, is_wanted in forms.items() if is_wanted),
    )


async def _forget(connection: Connection, gone: Collection[str]) -> None:
    await connection.execute(_FORGET_EVENTS, {"ids": list(gone)})
    await notify(connection, NOTIFICATION, gone)


def _values(hook: Hook) -> dict[str, Any]:
    return {
        "id": hook.id,
        "tenant": hook.tenant,
        "callback_url": hook.callback_url,
        "meeting_id": hook.meeting_id,
        "event_ids": list(hook.event_ids) or None,
        "is_raw": hook.form is HookForm.RAW,
    }


def _hook(row: Row[Any]) -> Hook:
    return Hook(
        id=row.id,
        tenant=row.tenant,
        callback_url=row.callback_url,
        meeting_id=row.meeting_id,
        event_ids=tuple(row.event_ids or ()),
        form=HookForm.RAW if row.is_raw else HookForm.PROCESSED,
    )
