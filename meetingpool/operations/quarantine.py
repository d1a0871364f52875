"""Archives that were refused: tried again, or removed. Called by `recordings quarantine`, the management API, the dashboard."""

import asyncio
from collections.abc import Collection
from pathlib import Path

from meetingpool.database import imports
from meetingpool.database.engine import Connection, Database
from meetingpool.database.imports import Import, ImportState
from meetingpool.domain.audit import Actor
from meetingpool.domain.refusals import Conflict, NotFound
from meetingpool.operations.change_tenant import tenant_named
from meetingpool.operations.changes import Change, changing
from meetingpool.operations.import_recording import CLAIMED


class NoSuchArchive(NotFound):
    """No refused archive has this number."""


class ArchiveStays(Conflict):
    """The archive is tried again by now, or its file cannot be removed."""


async def retry_quarantined(
    change: Change, ids: Collection[int], *, tenant: str | None = None, force: bool = False
) -> list[Import]:
    """Has the worker try archives again; without ids, all that were refused. Returns them.

    `tenant`: whose they are, an id or a name; `force`: they may bring a deleted recording back. Raises NoSuchArchive or
    NoSuchTenant.
    """
    found = await refused_archives(change.connection, ids)
    owner = (await tenant_named(change.connection, tenant)).id if tenant is not None else None
    await imports.retry_imports(change.connection, [each.id for each in found], tenant=owner, force=force)
    for each in found:
        before = {"archive": each.name, "reason": each.reason}
        await change.note("quarantine.retry", str(each.id), tenant=owner, before=before, after={"force": force})
    return found


async def refused_archives(connection: Connection, ids: Collection[int]) -> list[Import]:
    """Those with `ids`; without ids, all. The oldest first. Raises NoSuchArchive."""
    found = {each.id: each for each in await imports.list_imports(connection, [ImportState.QUARANTINED])}
    for number in ids:
        if number not in found:
            raise NoSuchArchive(
                f"No refused archive found with id: {number}; `meetingpool recordings quarantine list` shows them all"
            )
    return [each for each in found.values() if not ids or each.id in ids]


async def remove_quarantined(database: Database, actor: Actor, refused: Import) -> None:
    """Removes an archive with its file, unless somebody wants it tried again by now. Raises ArchiveStays."""
    async with changing(database, actor) as change:
        await imports.drop_import(change.connection, refused.id)
        if await imports.find_imports(change.connection, [refused.id]):
            raise ArchiveStays(f"Archive {refused.id} ({refused.name}) is tried again now, and not removed")
        before = {"archive": refused.name, "reason": refused.reason, "bytes": refused.size}
        await change.note("quarantine.remove", str(refused.id), before=before)
    try:
        # In this order: a file without a row is found by the worker, who looks at it once more.
        await asyncio.to_thread(path_of(refused).unlink, missing_ok=True)
    except OSError as error:
        raise ArchiveStays(f"Archive {refused.id} ({refused.name}) cannot be removed: {error}") from error


def path_of(archive: Import) -> Path:
    """Where it is since it was claimed."""
    return archive.spool / CLAIMED / archive.file
