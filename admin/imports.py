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
from meetingpool.database.imports import ImportState
from meetingpool.operations import quarantine
from meetingpool.operations.recording_records import ImportRecord, RefusedRecord, import_record, refused_record
from meetingpool.operations.records import names_of

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
    records = [import_record(each) for each in found]
    return Listing(names=names_of(ImportRecord), records=records, columns=_COLUMNS, when_empty="Nothing is imported now")


async def list_quarantine(database: Database) -> Listing:
    """Refused archives, the oldest first."""
    async with database.transaction() as connection:
        found = await imports.list_imports(connection, [ImportState.QUARANTINED])
    records = [refused_record(each) for each in found]
    return Listing(names=names_of(RefusedRecord), records=records, columns=_REFUSED_COLUMNS, when_empty="No archive was refused")


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


def _share(row: Mapping[str, Any]) -> str:
    return f"{100 * row['bytes_done'] // max(1, row['bytes'])} %" if row["state"] == ImportState.WORKING else ""
