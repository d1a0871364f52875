"""/alerts: what administrators were told is so, and the addresses that are told."""

from typing import Annotated, TypedDict

import msgspec
from msgspec import Meta

from gateway.management_api.asked import Asked
from gateway.management_api.endpoint import Page
from gateway.management_api.servers import Secret, Url
from meetingpool.database.alerts import all_hooks, find_hooks, standing_alerts
from meetingpool.domain.alerts import ENDS, AlertKind
from meetingpool.domain.announcements import AnnouncementState
from meetingpool.operations import alert_hooks
from meetingpool.operations.alert_hooks import AlertHookRecord, NoSuchHook, hook_record
from meetingpool.outward.client import Outward


class NewHook(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """An address to tell. Without `secret` it gets one, which is in the answer; without `kinds` it is told of all."""

    url: Url
    secret: Secret | None = None
    kinds: Annotated[list[AlertKind], Meta(max_length=50)] = []


class AddedHook(AlertHookRecord):
    """An address that is told from now on. `secret`: what alerts are signed with, if it was made just now."""

    secret: str | None


class AlertRecord(TypedDict):
    """Something that is so. `over_for`: seconds since which it is no longer; null while it is."""

    kind: AlertKind
    subject: str
    over_for: float | None


class Tried(TypedDict):
    """What came of sending an alert of the kind test. `reason`: why it was not taken."""

    id: str
    delivered: bool
    reason: str | None


async def list_alerts(asked: Asked) -> Page[AlertRecord]:
    """What administrators were told is so, and is not over."""
    async with asked.reading() as connection:
        standing = await standing_alerts(connection)
    items = [
        AlertRecord(kind=each.key.kind, subject=each.key.subject, over_for=each.over_for)
        for each in standing
        if each.key.kind in ENDS
    ]
    return {"items": items, "next": None}


async def list_hooks(asked: Asked) -> Page[AlertHookRecord]:
    """The addresses that are told."""
    async with asked.reading() as connection:
        return {"items": list(map(hook_record, await all_hooks(connection))), "next": None}


async def add_hook(asked: Asked, body: NewHook) -> AddedHook:
    """Have an address told."""
    allowed = asked.gateway.settings.callback_allow
    async with asked.changing() as change:
        hook = await alert_hooks.add_hook(change, body.url, secret=body.secret, kinds=body.kinds, allowed=allowed)
    return {**hook_record(hook), "secret": None if body.secret or asked.dry_run else hook.secret}


async def remove_hook(asked: Asked, hook: str) -> AlertHookRecord:
    """Have an address told no more."""
    async with asked.changing() as change:
        return hook_record(await alert_hooks.remove_hook(change, hook))


async def try_hook(asked: Asked, hook: str) -> Tried:
    """Send an address an alert of the kind test, now."""
    gateway = asked.gateway
    async with asked.reading() as connection:
        known = await find_hooks(connection, [hook])
    if hook not in known:
        raise NoSuchHook(f"No address has the id: {hook}; `meetingpool alerts list` shows all that are told")
    if asked.dry_run:
        return {"id": hook, "delivered": False, "reason": "nothing was sent"}
    async with Outward(allowed=gateway.settings.callback_allow) as outward:
        outcome = await alert_hooks.try_hook(asked.database, asked.actor, outward, gateway.clock, hook)
    return {"id": hook, "delivered": outcome.state is AnnouncementState.DELIVERED, "reason": outcome.reason or None}
