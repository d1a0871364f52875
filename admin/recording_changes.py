"""What `recordings publish`, `unpublish`, `protect`, `delete`, `restore`, `assign`, `purge` and `adopt-storage` do."""

import asyncio
import os
from collections.abc import Sequence

import typer

from admin.connection import changing
from admin.refusals import Refused
from admin.server_changes import tell
from meetingpool.clock import SystemClock
from meetingpool.database import recordings
from meetingpool.database.engine import Database
from meetingpool.domain.recordings import RecordId
from meetingpool.library.storage import Storage, StorageUnusable
from meetingpool.library.trees import TreeMissing
from meetingpool.operations import open_library
from meetingpool.operations.administer_recordings import assign_recordings, edit_recordings
from meetingpool.operations.change_recordings import until_settled
from meetingpool.operations.settle_recording import Settler
from meetingpool.operations.tidy_library import Tidier
from meetingpool.settings import Settings

# Seconds for which a worker that runs is given the time to move the files.
WORKER_PATIENCE = 5.0

_DONE = {
    "publish": "published",
    "unpublish": "unpublished",
    "protect": "protected",
    "unprotect": "no longer protected",
    "delete": "deleted",
    "restore": "restored, unpublished",
}
# What front ends see of these comes last, when the files are in place.
_LATER = {"publish": "will be published", "restore": "will be restored, unpublished"}


async def change(database: Database, settings: Settings, verb: str, record_ids: Sequence[str], *, dry_run: bool) -> None:
    """Changes recordings, all or none. Raises NoSuchRecording or WrongState, and Refused when files cannot be moved."""
    async with changing(database, dry_run=dry_run) as within:
        changed = await edit_recordings(within, verb, record_ids)
    is_settled, failures = True, dict[RecordId, str]()
    if not dry_run:
        failures = await _settle(database, settings, changed)
        is_settled = not failures and await until_settled(database, changed, SystemClock(), WORKER_PATIENCE)
    done = f"is {_DONE[verb]}" if is_settled else _LATER.get(verb, f"is {_DONE[verb]}")
    for record_id in changed:
        tell(f"Recording {record_id} {done}", dry_run=dry_run)
    for record_id, reason in failures.items():
        typer.echo(f"The files of recording {record_id} are not moved: {reason}", err=True)
    if failures:
        raise Refused(
            "Files are not moved: the recordings worker tries it again; `meetingpool recordings fsck` says what is missing"
        )
    if not is_settled:
        typer.echo("Files are not moved yet: the recordings worker does that as soon as it runs", err=True)


async def assign(database: Database, tenant: str, record_ids: Sequence[str], *, dry_run: bool) -> None:
    """Gives recordings to a tenant; without ids, all that are of none. Raises NoSuchTenant, NoSuchRecording or WrongState."""
    async with changing(database, dry_run=dry_run) as within:
        known, assigned = await assign_recordings(within, tenant, record_ids)
    tell(f"{len(assigned)} recordings belong to tenant {known.name}", dry_run=dry_run)


async def purge(database: Database, settings: Settings, days: int | None, *, yes: bool, dry_run: bool) -> None:
    """Removes the files of recordings that were deleted so many days ago. Raises StorageUnusable, and Refused when files stay."""
    days = settings.recording_trash_days if days is None else days
    storage = open_library.storage_of(settings)
    await open_library.require_storage(database, storage)
    found = await _deleted_before(database, days)
    if found and not (yes or dry_run):
        typer.confirm(f"Remove the files of {len(found)} recordings for good?", abort=True)
    left: list[RecordId] = []
    if not dry_run:
        try:
            async with changing(database, dry_run=False) as within:
                await within.note("recordings.purge", "trash", before={"recordings": len(found)}, after={"older_than_days": days})
            await Tidier(database, storage, Settler(database, storage), trash_days=days).purge(days)
        except OSError as error:
            raise Refused(f"Files of deleted recordings cannot be removed: {error}") from error
        left = await _deleted_before(database, days)
    tell(f"The files of {len(found) - len(left)} recordings are removed", dry_run=dry_run)
    if left:
        raise Refused(f"The files of {len(left)} recordings are being moved by somebody else: call it again")


async def adopt_storage(database: Database, settings: Settings) -> None:
    """Raises StorageUnusable, and Refused when the directories cannot be used."""
    try:
        await open_library.adopt_storage(database, open_library.storage_of(settings))
    except OSError as error:
        raise Refused(f"The directories of recordings cannot be used: {error}") from error
    tell("The directories of recordings are the storage of this installation", dry_run=False)


async def _settle(database: Database, settings: Settings, record_ids: Sequence[RecordId]) -> dict[RecordId, str]:
    """Moves the files from here if the storage is here and ours, else leaves it to the worker. What failed, and why."""
    storage = open_library.storage_of(settings)
    try:
        await open_library.require_storage(database, storage)
        if not await asyncio.to_thread(_is_own, storage):
            return {}
    except (StorageUnusable, OSError):
        return {}
    settler, failures = Settler(database, storage), dict[RecordId, str]()
    for record_id in record_ids:
        try:
            await settler.settle(record_id)
        except OSError as error:
            failures[record_id] = str(error)
        except TreeMissing as error:
            failures[record_id] = f"there is no {error}"
    return failures


def _is_own(storage: Storage) -> bool:
    """Whether what we make there belongs to who made the rest: what belongs to others, the worker could not move later."""
    return all(root.stat().st_uid == os.geteuid() for root in (storage.publish_dir, storage.unpublish_dir, storage.work_dir))


async def _deleted_before(database: Database, days: int) -> list[RecordId]:
    async with database.transaction() as connection:
        return await recordings.deleted_before(connection, days, limit=2**31)
