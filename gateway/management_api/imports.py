"""/imports and /quarantine: archives on their way into the library, and those that were refused."""

from typing import Annotated

import msgspec
from msgspec import Meta

from gateway.management_api.asked import Asked
from gateway.management_api.endpoint import MAX_ID, Page
from gateway.management_api.meetings import TenantName
from meetingpool.database.imports import ImportState
from meetingpool.database.imports import list_imports as imports_in
from meetingpool.operations import quarantine
from meetingpool.operations.recording_records import ImportRecord, RefusedRecord, import_record, refused_record

ArchiveId = Annotated[int, Meta(ge=1, le=MAX_ID)]


class Retry(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """`tenant`: whose the recording is to be; `force`: it may bring a deleted recording back."""

    tenant: TenantName | None = None
    force: bool = False


class RetryMany(Retry, kw_only=True):
    """Those with `ids`; without, all."""

    ids: Annotated[list[ArchiveId], Meta(max_length=10_000)] = []


async def list_imports(asked: Asked) -> Page[ImportRecord]:
    """Archives that wait or are being imported, the oldest first."""
    async with asked.reading() as connection:
        found = await imports_in(connection, [ImportState.WAITING, ImportState.WORKING])
    return {"items": list(map(import_record, found)), "next": None}


async def list_quarantine(asked: Asked) -> Page[RefusedRecord]:
    """Archives that were refused, the oldest first."""
    async with asked.reading() as connection:
        found = await imports_in(connection, [ImportState.QUARANTINED])
    return {"items": list(map(refused_record, found)), "next": None}


async def retry_archive(asked: Asked, archive: ArchiveId, body: Retry) -> RefusedRecord:
    """Have an archive that was refused tried again."""
    (record,) = (await _retried(asked, [archive], body))["items"]
    return record


async def retry_quarantine(asked: Asked, body: RetryMany) -> Page[RefusedRecord]:
    """Have archives that were refused tried again, or all."""
    return await _retried(asked, body.ids, body)


async def remove_archive(asked: Asked, archive: ArchiveId) -> RefusedRecord:
    """Remove an archive that was refused, with its file."""
    async with asked.reading() as connection:
        (refused,) = await quarantine.refused_archives(connection, [archive])
    if not asked.dry_run:
        await quarantine.remove_quarantined(asked.database, asked.actor, refused)
    return refused_record(refused)


async def _retried(asked: Asked, ids: list[int], wanted: Retry) -> Page[RefusedRecord]:
    async with asked.changing() as change:
        found = await quarantine.retry_quarantined(change, ids, tenant=wanted.tenant, force=wanted.force)
    return {"items": list(map(refused_record, found)), "next": None}
