"""Publishes, unpublishes, deletes, protects and describes recordings: writes what is wanted of them.

The files are moved by the recordings worker, which is told (`settle_recording.py`). What is to vanish is invisible from here on;
what is to appear becomes visible when its files are in place. Called by the gateway and `meetingpool recordings`.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from meetingpool.bbb.recording_documents import render
from meetingpool.clock import Clock
from meetingpool.database.engine import Connection, Database
from meetingpool.database.recording_changes import are_settled, find_existing
from meetingpool.database.recordings import Entry, lock_entry, tell_of, write_entry
from meetingpool.domain.recordings import RecordId, RecordingState, with_edits
from meetingpool.logs import get_logger

# Of all that was edited of one recording's metadata, names and values together.
MAX_METADATA_BYTES = 64 * 1024
# Seconds between two looks whether files were moved. The first is soon: it takes milliseconds.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 0.25

log = get_logger()

# An entry as it is to be; itself when nothing is to be changed.
Edit = Callable[[Entry], Entry]


class MetadataTooLong(ValueError):
    """What is edited of a recording's metadata would become longer than 65,536 bytes."""


async def change_recordings(
    database: Database, record_ids: Collection[str], change: Edit, *, tenant: str | None = None, of_deleted: bool = False
) -> list[RecordId]:
    """Changes those of the recordings that exist, of this tenant or of all. Returns them; together or none is changed.

    Those that were deleted are there only for one who asks `of_deleted` ones. Raises what `change` does, and DatabaseUnavailable.
    """
    async with database.transaction() as connection:
        return await change_within(connection, record_ids, change, tenant=tenant, of_deleted=of_deleted)


async def change_within(
    connection: Connection, record_ids: Collection[str], change: Edit, *, tenant: str | None = None, of_deleted: bool = False
) -> list[RecordId]:
    """As `change_recordings`, within a transaction of the caller's."""
    found = await find_existing(connection, record_ids, tenant, deleted=of_deleted)
    unsettled = []
    for record_id in found:
        entry = await lock_entry(connection, record_id)
        is_deleted = entry is not None and entry.wanted is RecordingState.DELETED
        if entry is None or is_deleted is not of_deleted or (changed := change(entry)) is entry:
            continue
        await write_entry(connection, changed, render(changed.recording))
        log.info("recording_changed", recording=record_id, wanted=changed.wanted, protected=changed.recording.is_protected)
        if not changed.is_settled:
            unsettled.append(record_id)
    await tell_of(connection, unsettled)
    return found


async def until_settled(database: Database, record_ids: Collection[RecordId], clock: Clock, patience: float) -> bool:
    """Waits for the files of the recordings to be in place, for `patience` seconds. Returns whether they are.

    No connection is held meanwhile. Raises DatabaseUnavailable.
    """
    deadline, pause = clock.monotonic() + patience, _FIRST_PAUSE
    while not await are_settled(database, record_ids):
        if clock.monotonic() >= deadline:
            return False
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
    return True


def published(entry: Entry) -> Entry:
    """Visible when its files are in place."""
    if entry.wanted is RecordingState.PUBLISHED:
        return entry
    return replace(entry, wanted=RecordingState.PUBLISHED, is_settled=False)


def unpublished(entry: Entry) -> Entry:
    """Invisible at once. One of which nothing is in the library yet arrives unpublished."""
    if entry.wanted is RecordingState.UNPUBLISHED:
        return entry
    state = entry.recording.state
    shown = RecordingState.UNPUBLISHED if state is RecordingState.PUBLISHED else state
    return replace(_seen_as(entry, shown), wanted=RecordingState.UNPUBLISHED, is_settled=False)


def deleted(entry: Entry) -> Entry:
    return replace(_seen_as(entry, RecordingState.DELETED), wanted=RecordingState.DELETED, is_settled=False)


def restored(entry: Entry) -> Entry:
    """Back from the trash, and visible to those who may publish it when its files are in place."""
    return replace(_seen_as(entry, RecordingState.PROCESSING), wanted=RecordingState.UNPUBLISHED, is_settled=False)


def protected(is_protected: bool) -> Edit:
    """The change after which a recording opens by links that work once, or by any."""

    def change(entry: Entry) -> Entry:
        if entry.recording.is_protected is is_protected:
            return entry
        return replace(entry, recording=replace(entry.recording, is_protected=is_protected))

    return change


def described(edits: Mapping[str, str | None]) -> Edit:
    """The change of metadata: values by their names, None for a name that goes. It raises MetadataTooLong."""

    def change(entry: Entry) -> Entry:
        edited = {**entry.edited, **edits}
        if edited == entry.edited:
            return entry
        if _size_of(edited) > MAX_METADATA_BYTES:
            raise MetadataTooLong(MetadataTooLong.__doc__)
        metadata = with_edits(entry.recording.metadata, edits)
        return replace(entry, edited=edited, recording=replace(entry.recording, metadata=metadata))

    return change


def all_of(*changes: Edit) -> Edit:
    """One after the other."""

    def change(entry: Entry) -> Entry:
        for each in changes:
            entry = each(entry)
        return entry

    return change


def _seen_as(entry: Entry, state: RecordingState) -> Entry:
    return replace(entry, recording=replace(entry.recording, state=state))


def _size_of(metadata: Mapping[str, str | None]) -> int:
    return sum(len(name.encode()) + len((value or "").encode()) for name, value in metadata.items())
