"""What `recordings list --importing` and `recordings quarantine` do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from admin.connection import changing, this_account
from admin.output import Column, Listing, iso_time
from admin.recordings import size
from admin.server_changes import tell
from meetingpool.database import imports
from meetingpool.database.engine import Database
from meetingpool.database.imports import Import, ImportState
from meetingpool.operations import quarantine
from meetingpool.operations.quarantine import path_of

# Of archives on their way, and of refused ones. Scripts rely on these names.
NAMES = ("id", "archive", "state", "bytes", "bytes_done", "files_done", "attempts", "reason", "detail", "next_attempt")
REFUSED_NAMES = ("id", "archive", "reason", "detail", "record_ids", "bytes", "since", "path")
_COLUMNS = [
    Column("ID", lambda row: row["id"], is_number=True),
    Column("ARCHIVE", lambda row: row["archive"]),
    Column("STATE", lambda row: row["state"]),
    Column("DONE", lambda row: _share(row), is_number=True),
    Column("SIZE", lambda row: size(row["bytes"]), is_number=True),
    Column("FILES", lambda row: row["files_done"], is_number=True),
    Column("ATTEMPTS", lambda row: row["attempts"], is_number=True, can_be_spared=True),
    Column("LAST ERROR", lambda row: row["detail"]),
    Column("NEXT ATTEMPT", lambda row: row["next_attempt"] and iso_time(row["next_attempt"]), can_be_spared=True),
]
_REFUSED_COLUMNS = [
    Column("ID", lambda row: row["id"], is_number=True),
    Column("ARCHIVE", lambda row: row["archive"]),
    Column("REASON", lambda row: row["reason"]),
    Column("WHY", lambda row: row["detail"]),
    Column("SIZE", lambda row: size(row["bytes"]), is_number=True),
    Column("SINCE", lambda row: iso_time(row["since"])),
    Column("PATH", lambda row: row["path"], can_be_spared=True),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryOptions:
    tenant: str | None
    force: bool
    dry_run: bool


async def list_importing(database: Database) -> Listing:
    """Archives that wait or are being imported, the oldest first."""
    async with database.transaction() as connection:
        found = await imports.list_imports(connection, [ImportState.WAITING, ImportState.WORKING])
    return Listing(names=NAMES, records=[_record(each) for each in found], columns=_COLUMNS, when_empty="Nothing is imported now")


async def list_quarantine(database: Database) -> Listing:
    """Refused archives, the oldest first."""
    async with database.transaction() as connection:
        found = await imports.list_imports(connection, [ImportState.QUARANTINED])
    records = [_refused_record(each) for each in found]
    return Listing(names=REFUSED_NAMES, records=records, columns=_REFUSED_COLUMNS, when_empty="No archive was refused")


async def retry_quarantined(database: Database, ids: Sequence[int], options: RetryOptions) -> None:
    """Those with `ids`; without ids, all. Raises NoSuchArchive or NoSuchTenant."""
    async with changing(database, dry_run=options.dry_run) as change:
        found = await quarantine.retry_quarantined(change, ids, tenant=options.tenant, force=options.force)
    for each in found:
        tell(f"Archive {each.id} ({each.name}) is tried again by the recordings worker", dry_run=options.dry_run)
    if not found:
        tell("No archive was refused", dry_run=options.dry_run)


async def remove_quarantined(database: Database, ids: Sequence[int], *, dry_run: bool) -> None:
    """Raises NoSuchArchive, and ArchiveStays when it is not removed."""
    async with database.transaction() as connection:
        found = await quarantine.refused_archives(connection, ids)
    for each in found:
        if not dry_run:
            await quarantine.remove_quarantined(database, this_account(), each)
        tell(f"Archive {each.id} ({each.name}) is removed", dry_run=dry_run)


def _record(each: Import) -> dict[str, Any]:
    return {
        "id": each.id,
        "archive": each.name,
        "state": each.state,
        "bytes": each.size,
        "bytes_done": each.bytes_done,
        "files_done": each.files_done,
        "attempts": each.attempts,
        "reason": each.reason,
        "detail": each.detail,
        "next_attempt": each.next_attempt_at if each.state is ImportState.WAITING else None,
    }


def _refused_record(each: Import) -> dict[str, Any]:
    return {
        "id": each.id,
        "archive": each.name,
        "reason": each.reason,
        "detail": each.detail,
        "record_ids": list(each.record_ids),
        "bytes": each.size,
        "since": each.finished_at,
        "path": str(path_of(each)),
    }


def _share(row: Mapping[str, Any]) -> str:
    return f"{100 * row['bytes_done'] // max(1, row['bytes'])} %" if row["state"] == ImportState.WORKING else ""
