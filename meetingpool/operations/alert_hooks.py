"""Adds, removes and tries addresses that are told of alerts.

Called by `meetingpool alerts`, the management API and the dashboard.
"""

import secrets
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import NotRequired, TypedDict

from meetingpool.clock import Clock
from meetingpool.database import alerts
from meetingpool.database.audit import write_audit
from meetingpool.database.engine import Connection, Database
from meetingpool.domain.alerts import AlertHook, AlertKind
from meetingpool.domain.announcements import AnnouncementState
from meetingpool.domain.audit import Actor
from meetingpool.domain.refusals import Invalid, NotFound
from meetingpool.operations.alerts import new_alert
from meetingpool.operations.changes import Change
from meetingpool.operations.send_callback import Outcome, send_alert
from meetingpool.outward.client import Outward
from meetingpool.outward.errors import ForbiddenAddress
from meetingpool.outward.targets import EVERYTHING_ALLOWED, AllowList, require_allowed
from meetingpool.outward.urls import read_url

_SECRET_BYTES = 32
SHORTEST_SECRET = 16


class AlertHookRecord(TypedDict):
    """An address that is told of alerts. `kinds`: only of these; null: all. Of the address the host: the rest may be secret."""

    id: str
    host: str
    kinds: list[AlertKind] | None
    created_at: datetime
    url: NotRequired[str]


class InvalidHook(Invalid):
    """An address, a secret or kinds that cannot be used."""


class NoSuchHook(NotFound):
    """No address that is told has this id."""


async def add_hook(
    change: Change, url: str, *, secret: str | None = None, kinds: Sequence[AlertKind] = (), allowed: Sequence[str] = ()
) -> AlertHook:
    """An address that is told of alerts of `kinds` from now on, of all if there are none.

    Without a secret it gets one, which is in the result. `allowed`: the setting `callback_allow`. Raises InvalidHook or
    HookExists.
    """
    _require_usable(url, secret, kinds, allowed)
    hook = await alerts.insert_hook(
        change.connection,
        uuid.uuid4().hex[:12],
        url.strip(),
        secret or secrets.token_urlsafe(_SECRET_BYTES),
        sorted(set(kinds)) if kinds else None,
    )
    await change.note("alerts.add", hook.id, after={"host": host_of(hook), "kinds": hook.kinds and list(hook.kinds)})
    return hook


async def remove_hook(change: Change, hook_id: str) -> AlertHook:
    """The address that is told no more. Raises NoSuchHook."""
    hook = await _found(change.connection, hook_id)
    await alerts.delete_hook(change.connection, hook.id)
    await change.note("alerts.remove", hook.id, before={"host": host_of(hook), "kinds": hook.kinds and list(hook.kinds)})
    return hook


async def try_hook(database: Database, actor: Actor, outward: Outward, clock: Clock, hook_id: str) -> Outcome:
    """Sends an alert of the kind `test` at once, once, and says what came of it. Raises NoSuchHook."""
    async with database.transaction() as connection:
        hook = await _found(connection, hook_id)
        now = await alerts.database_time(connection)
    body = new_alert(AlertKind.TEST, hook.id, {"sent_by": actor.name}).body(now)
    outcome = await send_alert(outward, hook, body, now=clock.epoch())
    state = "delivered" if outcome.state is AnnouncementState.DELIVERED else "failed"
    async with database.transaction() as connection:
        await write_audit(connection, actor, "alerts.test", hook.id, after={"outcome": state, "reason": outcome.reason or None})
    return outcome


def hook_record(hook: AlertHook, *, show_url: bool = False) -> AlertHookRecord:
    kinds = None if hook.kinds is None else list(hook.kinds)
    record = AlertHookRecord(id=hook.id, host=host_of(hook), kinds=kinds, created_at=hook.created_at)
    if show_url:
        record["url"] = hook.url
    return record


def host_of(hook: AlertHook) -> str:
    """Host and port: the rest of an address may be a secret."""
    return read_url(hook.url).authority


async def _found(connection: Connection, hook_id: str) -> AlertHook:
    known = await alerts.find_hooks(connection, [hook_id])
    if hook_id not in known:
        raise NoSuchHook(f"No address has the id: {hook_id}; `meetingpool alerts list` shows all that are told")
    return known[hook_id]


def _require_usable(url: str, secret: str | None, kinds: Sequence[AlertKind], allowed: Sequence[str]) -> None:
    hint = ""
    try:
        require_allowed(url.strip(), EVERYTHING_ALLOWED)
        hint = "; MEETINGPOOL_CALLBACK_ALLOW allows it"
        require_allowed(url.strip(), AllowList.read(allowed))
    except ForbiddenAddress as error:
        raise InvalidHook(f"The address cannot be used: {error}{hint}") from None
    if secret is not None and len(secret) < SHORTEST_SECRET:
        raise InvalidHook(f"The secret of an address needs at least {SHORTEST_SECRET} characters; without one, it gets one")
    if AlertKind.TEST in kinds:
        raise InvalidHook("Leave the kind test out: it comes when somebody asks for it")
