"""What is shown of recordings and of archives on their way to become some, under names that scripts rely on: as `records.py`."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TypedDict

from meetingpool.database.imports import Import, ImportState
from meetingpool.database.recordings import Arrival, Entry, Listed, Placed
from meetingpool.domain.recordings import RecordingState
from meetingpool.operations.quarantine import path_of
from meetingpool.operations.records import Moment


class RecordingRecord(TypedDict):
    """A recording. `settled`: its files are where its state wants them; `bytes` of them."""

    record_id: str
    meeting_id: str
    tenant: str
    name: str
    state: RecordingState
    published: bool
    protected: bool
    formats: list[str]
    bytes: int
    start: Moment | None
    settled: bool


class FormatRecord(TypedDict):
    """A format of a recording. `location`: where in the library its files are; null while they are on their way there."""

    format: str
    location: str | None
    files: int
    bytes: int
    link: str


class RecordingDetails(RecordingRecord):
    """All that is kept of a recording. `wanted`: its state when its files are in place; `edited`: of its metadata."""

    end: Moment | None
    internal_id: str | None
    wanted: RecordingState
    participants: int | None
    metadata: dict[str, str]
    edited: dict[str, str | None]
    placed: list[FormatRecord]
    arrived: list[FormatRecord]


class ImportRecord(TypedDict):
    """An archive that waits, or is being imported. `bytes_done` and `files_done`: how far that is."""

    id: int
    archive: str
    state: ImportState
    bytes: int
    bytes_done: int
    files_done: int
    attempts: int
    reason: str | None
    detail: str | None
    next_attempt: Moment | None


class RefusedRecord(TypedDict):
    """An archive that was refused, and lies in quarantine at `path`."""

    id: int
    archive: str
    reason: str | None
    detail: str | None
    record_ids: list[str]
    bytes: int
    since: Moment | None
    path: str


def recording_record(recording: Listed, tenants: Mapping[str, str]) -> RecordingRecord:
    """`tenants`: names by ids."""
    return RecordingRecord(
        record_id=recording.record_id,
        meeting_id=recording.meeting_id,
        tenant=tenants.get(recording.tenant, recording.tenant),
        name=recording.name,
        state=recording.state,
        published=recording.state is RecordingState.PUBLISHED,
        protected=recording.is_protected,
        formats=list(recording.formats),
        bytes=recording.total_bytes,
        start=_moment(recording.start_ms),
        settled=recording.is_settled,
    )


def recording_details(recording: Listed, entry: Entry, tenants: Mapping[str, str]) -> RecordingDetails:
    return RecordingDetails(
        **recording_record(recording, tenants),
        end=_moment(entry.recording.end_ms),
        internal_id=entry.recording.internal_id,
        wanted=entry.wanted,
        participants=entry.recording.participants,
        metadata=dict(entry.recording.metadata),
        edited=dict(entry.edited),
        placed=[_format_record(each, str(each.location)) for each in entry.placed],
        arrived=[_format_record(each, None) for each in entry.arrivals],
    )


def import_record(archive: Import) -> ImportRecord:
    return ImportRecord(
        id=archive.id,
        archive=archive.name,
        state=archive.state,
        bytes=archive.size,
        bytes_done=archive.bytes_done,
        files_done=archive.files_done,
        attempts=archive.attempts,
        reason=archive.reason,
        detail=archive.detail,
        next_attempt=archive.next_attempt_at if archive.state is ImportState.WAITING else None,
    )


def refused_record(archive: Import) -> RefusedRecord:
    return RefusedRecord(
        id=archive.id,
        archive=archive.name,
        reason=archive.reason,
        detail=archive.detail,
        record_ids=list(archive.record_ids),
        bytes=archive.size,
        since=archive.finished_at,
        path=str(path_of(archive)),
    )


def _format_record(each: Placed | Arrival, location: str | None) -> FormatRecord:
    return FormatRecord(
        format=each.format.name, location=location, files=each.files, bytes=each.total_bytes, link=each.format.link
    )


def _moment(milliseconds: int) -> datetime | None:
    """None for what was not said."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None
