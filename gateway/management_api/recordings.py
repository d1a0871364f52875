"""/recordings: the library."""

import re
from typing import Annotated, TypedDict

import msgspec
from msgspec import UNSET, Meta, UnsetType

from gateway.management_api.asked import Asked
from gateway.management_api.endpoint import MAX_ID, Page
from gateway.management_api.meetings import TenantName
from meetingpool.database.engine import Connection
from meetingpool.database.overviews import look_for_recordings
from meetingpool.database.recordings import Listed, lock_entry
from meetingpool.database.recordings import list_recordings as recordings_with
from meetingpool.domain.recordings import RECORD_ID, RecordId, RecordingState
from meetingpool.domain.refusals import Invalid
from meetingpool.operations import administer_recordings as administering
from meetingpool.operations.administer_recordings import NoSuchRecording
from meetingpool.operations.recording_records import RecordingDetails, RecordingRecord, recording_details, recording_record
from meetingpool.operations.records import tenant_names

MOST = 1000
_CURSOR = re.compile(r"(\d{1,18})-(.{1,300})")

RecordingId = Annotated[str, Meta(pattern=rf"^{RECORD_ID.pattern}$(?!\n)")]
Limit = Annotated[int, Meta(ge=1, le=MOST)]


class RecordingsQuery(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """`search`: what a record id begins with, or what is in a name or a meetingID."""

    tenant: TenantName | None = None
    meeting_id: str | None = None
    state: RecordingState | None = None
    protected: bool | None = None
    search: str | None = None
    cursor: str | None = None
    limit: Limit = 100


class RecordingChange(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What is to be different of a recording."""

    published: bool | UnsetType = UNSET
    protected: bool | UnsetType = UNSET


class Assignment(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Whose recordings are to be. Without `record_ids`, all that are of no tenant."""

    tenant: TenantName
    record_ids: Annotated[list[str], Meta(max_length=MOST)] = []


class AssignedRecordings(TypedDict):
    """Whose they are now."""

    tenant: str
    record_ids: list[str]


async def list_recordings(asked: Asked, query: RecordingsQuery) -> Page[RecordingRecord]:
    """Recordings, the newest first."""
    async with asked.reading() as connection:
        found = await look_for_recordings(
            connection,
            text=query.search,
            tenant=await asked.tenant_asked(connection, query.tenant),
            meeting_id=query.meeting_id,
            states=None if query.state is None else [query.state],
            is_protected=query.protected,
            after=_position(query.cursor),
            limit=query.limit + 1,
        )
        listed = await recordings_with(connection, record_ids=found[: query.limit])
        tenants = await tenant_names(connection)
    items = [recording_record(recording, tenants) for recording in listed]
    has_more = len(found) > query.limit and listed
    return {"items": items, "next": f"{listed[-1].start_ms}-{listed[-1].record_id}" if has_more else None}


async def show_recording(asked: Asked, recording: RecordingId) -> RecordingDetails:
    """A recording with its formats and metadata."""
    async with asked.reading() as connection:
        listed = await _listed(asked, connection, recording)
        entry = await lock_entry(connection, listed.record_id)
        tenants = await tenant_names(connection)
    if entry is None:
        raise _no_such(recording)
    return recording_details(listed, entry, tenants)


async def change_recording(asked: Asked, recording: RecordingId, body: RecordingChange) -> RecordingRecord:
    """Publish or unpublish a recording, protect it or open it.

    Files are moved later: `settled` says whether they are where they belong.
    """
    verbs = []
    if body.published is not UNSET:
        verbs.append("publish" if body.published else "unpublish")
    if body.protected is not UNSET:
        verbs.append("protect" if body.protected else "unprotect")
    if not verbs:
        raise Invalid("Say what to change: published or protected")
    return await _edited(asked, recording, *verbs)


async def delete_recording(asked: Asked, recording: RecordingId) -> RecordingRecord:
    """Move a recording to the trash, from where it can be restored for some days."""
    return await _edited(asked, recording, "delete")


async def restore_recording(asked: Asked, recording: RecordingId) -> RecordingRecord:
    """Bring a recording back from the trash, unpublished."""
    return await _edited(asked, recording, "restore")


async def assign_recordings(asked: Asked, body: Assignment) -> AssignedRecordings:
    """Give recordings to a tenant."""
    async with asked.changing() as change:
        tenant, assigned = await administering.assign_recordings(change, body.tenant, body.record_ids)
    return {"tenant": tenant.name, "record_ids": list(assigned)}


async def _edited(asked: Asked, recording: str, *verbs: str) -> RecordingRecord:
    async with asked.changing() as change:
        for verb in verbs:
            await administering.edit_recordings(change, verb, [recording], tenant=asked.token.tenant)
        listed = await _listed(asked, change.connection, recording)
        return recording_record(listed, await tenant_names(change.connection))


async def _listed(asked: Asked, connection: Connection, recording: str) -> Listed:
    """Raises NoSuchRecording, also for one of a tenant that the token is not for."""
    found = await recordings_with(connection, record_ids=[RecordId(recording)], tenant=asked.token.tenant)
    if not found:
        raise _no_such(recording)
    return found[0]


def _no_such(recording: str) -> NoSuchRecording:
    return NoSuchRecording(f"No recording found with id: {recording}; `meetingpool recordings list` shows them all")


def _position(cursor: str | None) -> tuple[int, str] | None:
    """Where a list goes on."""
    if cursor is None:
        return None
    found = _CURSOR.fullmatch(cursor)
    if found is None or int(found[1]) > MAX_ID:
        raise Invalid("The cursor must be the next of an earlier page")
    return int(found[1]), found[2]
