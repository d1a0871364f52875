"""What `recordings list` and `show` do."""

from dataclasses import dataclass

from admin.commands.arguments import Format
from admin.output import Column, Listing, iso_time, write_record
from admin.refusals import Refused
from meetingpool.database.engine import Connection, Database
from meetingpool.database.recordings import list_recordings as recordings_of
from meetingpool.database.recordings import lock_entry
from meetingpool.database.tenants import find_tenant
from meetingpool.domain.recordings import RecordId, RecordingState
from meetingpool.operations.recording_records import FormatRecord, RecordingRecord, recording_details, recording_record
from meetingpool.operations.records import names_of, tenant_names

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
        names=names_of(RecordingRecord),
        records=[recording_record(recording, tenants) for recording in shown],
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
    details = recording_details(found[0], entry, tenants)
    if style in (Format.JSON, Format.YAML):
        write_record(details, style)
    else:
        formats = {"placed": list(map(_in_words, details["placed"])), "arrived": list(map(_in_words, details["arrived"]))}
        write_record({**details, **formats}, style)


async def tenant_id(connection: Connection, tenant: str) -> str:
    """A tenant that was removed has its id only."""
    known = await find_tenant(connection, tenant)
    return known.id if known else tenant


def size(count: int) -> str:
    """Bytes, as people read them."""
    power = min(max(len(str(count)) - 1, 0) // 3, len(_UNITS) - 1)
    number = count / 1000**power
    return f"{number:.1f} {_UNITS[power]}" if power and number < 100 else f"{number:.0f} {_UNITS[power]}"


def _in_words(each: FormatRecord) -> str:
    where = f"{each['location']}, " if each["location"] else ""
    return f"{each['format']}: {where}{each['files']} files, {size(each['bytes'])}, {each['link']}"
