"""What `recordings list` and `show` do."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from admin.commands.arguments import Format
from admin.output import Column, Listing, iso_time, write_record
from admin.refusals import Refused
from admin.tenants import tenant_names
from meetingpool.database.engine import Connection, Database
from meetingpool.database.recordings import Arrival, Listed, Placed, lock_entry
from meetingpool.database.recordings import list_recordings as recordings_of
from meetingpool.database.tenants import find_tenant
from meetingpool.domain.recordings import RecordId, RecordingState

# Scripts rely on these names.
NAMES = ("record_id", "meeting_id", "tenant", "name", "state", "published", "protected", "formats", "bytes", "start", "settled")
_COLUMNS = [
    Column("RECORD ID", lambda recording: recording["record_id"]),
    Column("NAME", lambda recording: recording["name"], can_be_spared=True),
    Column("MEETING", lambda recording: recording["meeting_id"], can_be_spared=True),
    Column("TENANT", lambda recording: recording["tenant"], can_be_spared=True),
    Column("STATE", lambda recording: recording["state"] if recording["settled"] else f"{recording['state']} (changing)"),
    Column("PROTECTED", lambda recording: "yes" if recording["protected"] else "no"),
    Column("FORMATS", lambda recording: recording["formats"]),
    Column("SIZE", lambda recording: size(recording["bytes"]), is_number=True),
    Column("BEGAN", lambda recording: recording["start"] and iso_time(recording["start"])),
]
_UNITS = ("B", "kB", "MB", "GB", "TB")

# Of the rows of a table, unless more are asked for: nobody reads them all, and a hundred thousand take minutes to set.
ROWS_SHOWN = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOptions:
    """`limit`: at most so many; None for all."""

    tenant: str | None = None
    meeting_id: str | None = None
    state: RecordingState | None = None
    limit: int | None = None


async def list_recordings(database: Database, options: ListOptions) -> Listing:
    """Recordings, the newest first."""
    async with database.transaction() as connection:
        found = await recordings_of(
            connection,
            tenant=await tenant_id(connection, options.tenant) if options.tenant else None,
            meeting_id=options.meeting_id,
            state=options.state,
            # One more, which tells whether there are more.
            limit=options.limit and options.limit + 1,
        )
        tenants = await tenant_names(connection)
    shown = found[: options.limit]
    summary = f"{len(shown)} recordings, {size(sum(recording.total_bytes for recording in shown))}"
    return Listing(
        names=NAMES,
        records=[record_of(recording, tenants) for recording in shown],
        columns=_COLUMNS,
        when_empty="No recordings",
        summary=summary if len(shown) == len(found) else f"{summary}; there are older ones: --limit shows more",
    )


async def show_recording(database: Database, record_id: str, style: Format) -> None:
    """Prints a recording with its formats and metadata. Raises Refused when there is none."""
    async with database.transaction() as connection:
        entry = await lock_entry(connection, RecordId(record_id))
        found = await recordings_of(connection, record_ids=[record_id])
        tenants = await tenant_names(connection)
    if entry is None:
        raise Refused(f"No recording found with id: {record_id}; `meetingpool recordings list` shows them all")
    placed = [_format_of(each) | {"location": str(each.location)} for each in entry.placed]
    arrived = [_format_of(each) for each in entry.arrivals]
    are_plain = style in (Format.JSON, Format.YAML)
    more = {
        "end": _moment(entry.recording.end_ms),
        "internal_id": entry.recording.internal_id,
        "wanted": entry.wanted,
        "participants": entry.recording.participants,
        "metadata": dict(entry.recording.metadata),
        "edited": dict(entry.edited),
        "placed": placed if are_plain else list(map(_in_words, placed)),
        "arrived": arrived if are_plain else list(map(_in_words, arrived)),
    }
    write_record(record_of(found[0], tenants) | more, style)


async def tenant_id(connection: Connection, tenant: str) -> str:
    """A tenant that was removed has its id only."""
    known = await find_tenant(connection, tenant)
    return known.id if known else tenant


def record_of(recording: Listed, tenants: Mapping[str, str]) -> dict[str, Any]:
    """The recording under the stable names; its tenant as in `tenants`, the names by ids, where it is there."""
    return {
        "record_id": recording.record_id,
        "meeting_id": recording.meeting_id,
        "tenant": tenants.get(recording.tenant, recording.tenant),
        "name": recording.name,
        "state": recording.state,
        "published": recording.state is RecordingState.PUBLISHED,
        "protected": recording.is_protected,
        "formats": list(recording.formats),
        "bytes": recording.total_bytes,
        "start": _moment(recording.start_ms),
        "settled": recording.is_settled,
    }


def size(count: int) -> str:
    """Bytes, as people read them."""
    power = min(max(len(str(count)) - 1, 0) // 3, len(_UNITS) - 1)
    number = count / 1000**power
    return f"{number:.1f} {_UNITS[power]}" if power and number < 100 else f"{number:.0f} {_UNITS[power]}"


def _format_of(each: Placed | Arrival) -> dict[str, Any]:
    return {"format": each.format.name, "files": each.files, "bytes": each.total_bytes, "link": each.format.link}


def _in_words(each: Mapping[str, Any]) -> str:
    where = f"{each['location']}, " if "location" in each else ""
    return f"{each['format']}: {where}{each['files']} files, {size(each['bytes'])}, {each['link']}"


def _moment(milliseconds: int) -> datetime | None:
    """None for what was not said."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None
