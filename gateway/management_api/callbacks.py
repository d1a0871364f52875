"""/callbacks: what front ends are told, and when they could not be."""

from typing import Annotated

import msgspec
from msgspec import Meta

from gateway.management_api.asked import Asked
from gateway.management_api.endpoint import MAX_ID, Page
from gateway.management_api.meetings import TenantName
from gateway.management_api.recordings import Limit
from meetingpool.database.outbox import list_kept
from meetingpool.domain.announcements import AnnouncementState
from meetingpool.operations import retry_callbacks as retrying
from meetingpool.operations.records import CallbackRecord, callback_record, tenant_names

CallbackId = Annotated[int, Meta(ge=1, le=MAX_ID)]


class CallbacksQuery(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """`cursor`: the `next` of an earlier page."""

    state: AnnouncementState | None = None
    tenant: TenantName | None = None
    cursor: CallbackId | None = None
    limit: Limit = 100


class RetryCallbacks(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Those with `ids`; without, all that wait or were given up."""

    ids: Annotated[list[CallbackId], Meta(min_length=1, max_length=10_000)] | None = None


async def list_callbacks(asked: Asked, query: CallbacksQuery) -> Page[CallbackRecord]:
    """Callbacks that are kept, the oldest first."""
    async with asked.reading() as connection:
        tenant = await asked.tenant_asked(connection, query.tenant)
        kept = await list_kept(connection, query.state, tenant, after_id=query.cursor or 0, limit=query.limit + 1)
        tenants = await tenant_names(connection)
    items = [callback_record(callback, tenants) for callback in kept[: query.limit]]
    return {"items": items, "next": str(items[-1]["id"]) if len(kept) > query.limit else None}


async def retry_callback(asked: Asked, callback: CallbackId) -> CallbackRecord:
    """Try a callback again, now."""
    (record,) = (await _retried(asked, [callback]))["items"]
    return record


async def retry_callbacks(asked: Asked, body: RetryCallbacks) -> Page[CallbackRecord]:
    """Try callbacks again, now."""
    return await _retried(asked, body.ids)


async def _retried(asked: Asked, ids: list[int] | None) -> Page[CallbackRecord]:
    """They are shown as they were."""
    async with asked.changing() as change:
        wanted, _ = await retrying.retry_callbacks(change, ids, tenant=asked.token.tenant)
        tenants = await tenant_names(change.connection)
    return {"items": [callback_record(callback, tenants) for callback in wanted], "next": None}
