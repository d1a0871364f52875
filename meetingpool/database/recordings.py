"""The library of recordings, as rows: what is there, what is wanted, and what waits to be placed.

A row is loaded and written whole, under its lock: its formats, arrivals and the document that front ends get belong together.
Called by the operations that import, change and settle recordings. The lists that front ends ask for are recording_queries.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from meetingpool.database.engine import Connection, Record
from meetingpool.database.notifications import notify
from meetingpool.domain.recordings import Breakout, Location, PlaybackFormat, Preview, RecordId, Recording, RecordingState

# The kinds of notifications that say that recordings are to be settled, and that they were.
NOTIFICATION = "recordings"
SETTLED_NOTIFICATION = "recordings_settled"

_FIND = "SELECT * FROM recordings WHERE record_id = $1 FOR UPDATE"
_FORMATS = """
    SELECT format, description, location, files, bytes, digest FROM recording_formats WHERE record_id = $1 ORDER BY format
"""
_ARRIVALS = """
    SELECT format, description, directory, inode, files, bytes, manifest, digest
    FROM recording_arrivals WHERE record_id = $1 ORDER BY format
"""
_INSERT = (
    "INSERT INTO recordings (record_id, tenant, meeting_id, wanted, protected) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING"
)
_WRITE = """
    UPDATE recordings SET
        tenant = $2, meeting_id = $3, internal_id = $4, name = $5, is_breakout = $6, breakout = $7, breakout_rooms = $8,
        state = $9, wanted = $10, protected = $11, start_ms = $12, end_ms = $13, participants = $14, raw_size = $15,
        delivered = $16, edited = $17, metadata = $18, document = $19, is_settled = $20, generation = $21, mark = $22,
        announced = $23,
        deleted_at = CASE WHEN $10 = 'deleted' THEN coalesce(deleted_at, now()) END
    WHERE record_id = $1
"""
_PUT_ARRIVAL = """
    INSERT INTO recording_arrivals (record_id, format, description, directory, inode, files, bytes, manifest, digest)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    ON CONFLICT (record_id, format) DO UPDATE SET description = excluded.description, directory = excluded.directory,
        inode = excluded.inode, files = excluded.files, bytes = excluded.bytes, manifest = excluded.manifest,
        digest = excluded.digest
"""
_PLACE_ARRIVAL = """
    WITH arrival AS (
        DELETE FROM recording_arrivals WHERE record_id = $1 AND format = $2 AND directory = $3
        RETURNING record_id, format, description, files, bytes, manifest, digest
    )
    INSERT INTO recording_formats (record_id, format, description, location, files, bytes, manifest, digest)
    SELECT record_id, format, description, $4, files, bytes, manifest, digest FROM arrival
    ON CONFLICT (record_id, format) DO UPDATE SET description = excluded.description, location = excluded.location,
        files = excluded.files, bytes = excluded.bytes, manifest = excluded.manifest, digest = excluded.digest, placed_at = now()
"""
_LOCATE = "UPDATE recording_formats SET location = $3 WHERE record_id = $1 AND format = $2"
_DROP_FORMAT = "DELETE FROM recording_formats WHERE record_id = $1 AND format = $2"
_DROP_FORMATS = "DELETE FROM recording_formats WHERE record_id = $1"

# Whoever moves a recording's files has it to itself until the lease ends, or it is done.
_TAKE = """
    UPDATE recordings SET mover = $2, mover_until = now() + make_interval(secs => $3)
    WHERE record_id = $1 AND (mover_until IS NULL OR mover_until <= now())
    RETURNING record_id
"""
_RELEASE = """
    UPDATE recordings SET mover = NULL, mover_until = CASE WHEN $3 > 0 THEN now() + make_interval(secs => $3) END
    WHERE record_id = $1 AND mover = $2
"""
_HOLDS = "SELECT 1 FROM recordings WHERE record_id = $1 AND mover = $2 AND mover_until > now() FOR UPDATE"

# First those that nobody has tried, then those whose pause ended first: what fails again and again keeps no others.
_UNSETTLED = """
    SELECT record_id FROM recordings WHERE NOT is_settled AND (mover_until IS NULL OR mover_until <= now())
    ORDER BY mover_until NULLS FIRST, record_id LIMIT $1
"""
_DELETED_BEFORE = """
    SELECT record_id FROM recordings
    WHERE deleted_at < now() - make_interval(days => $1) AND is_settled AND (mover_until IS NULL OR mover_until <= now())
        AND EXISTS (SELECT FROM recording_formats WHERE recording_formats.record_id = recordings.record_id)
    ORDER BY deleted_at LIMIT $2
"""
_ARRIVAL_DIRECTORIES = "SELECT DISTINCT directory FROM recording_arrivals"


_LIST = """
    SELECT recordings.record_id, tenant, meeting_id, name, state, wanted, protected, start_ms, is_settled,
        coalesce(array_agg(format ORDER BY format) FILTER (WHERE format IS NOT NULL), '{}') AS formats,
        coalesce(sum(bytes), 0)::bigint AS bytes
    FROM recordings LEFT JOIN recording_formats USING (record_id)
    WHERE ($1::text[] IS NULL OR recordings.record_id = ANY($1)) AND ($2::text IS NULL OR tenant = $2)
        AND ($3::text IS NULL OR meeting_id = $3) AND ($4::text IS NULL OR state = $4)
    GROUP BY recordings.record_id ORDER BY start_ms DESC, record_id DESC LIMIT $5
"""
_ASSIGN = "UPDATE recordings SET tenant = $2 WHERE record_id = ANY($1::text[]) RETURNING record_id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A recording as administrators list it. `total_bytes` of its files; `start_ms` since 1970."""

    record_id: RecordId
    tenant: str
    meeting_id: str
    name: str
    state: RecordingState
    wanted: RecordingState
    is_protected: bool
    is_settled: bool
    start_ms: int
    formats: tuple[str, ...]
    total_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A format whose files are in the library. `digest` of its manifest."""

    format: PlaybackFormat
    location: Location
    files: int
    total_bytes: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A format that was unpacked, in `directory` below the storage's unpacking directory. `inode` of its tree."""

    format: PlaybackFormat
    directory: str
    inode: int
    files: int
    total_bytes: int
    digest: str
    manifest: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """All that is known of a recording. `recording.formats` are those of `placed`.

    `delivered` and `edited` make its metadata. `generation` and `mark` name the meeting that it is of, if that was one of ours;
    `announced`: the formats that its front end was told of.
    """

    recording: Recording
    wanted: RecordingState
    is_settled: bool = False
    delivered: Mapping[str, str] = field(default_factory=dict)
    edited: Mapping[str, str | None] = field(default_factory=dict)
    generation: int | None = None
    mark: str | None = None
    announced: str | None = None
    placed: tuple[Placed, ...] = ()
    arrivals: tuple[Arrival, ...] = ()


async def lock_entry(connection: Connection, record_id: RecordId) -> Entry | None:
    """The recording, which nobody else changes until the transaction ends."""
    row = await connection.fetchrow(_FIND, record_id)
    if row is None:
        return None
    placed = [_placed(each) for each in await connection.fetch(_FORMATS, record_id)]
    arrivals = [_arrival(each) for each in await connection.fetch(_ARRIVALS, record_id)]
    return _entry(row, placed, arrivals)


async def insert_entry(connection: Connection, recording: Recording, wanted: RecordingState) -> None:
    """A row for a recording that may be new; what is in it is for write_entry."""
    await connection.execute(_INSERT, recording.record_id, recording.tenant, recording.meeting_id, wanted, recording.is_protected)


async def write_entry(connection: Connection, entry: Entry, document: bytes) -> None:
    """Writes what is known of a recording, without its formats and arrivals. `document`: as front ends get it."""
    it = entry.recording
    await connection.execute(
        _WRITE,
        it.record_id,
        it.tenant,
        it.meeting_id,
        it.internal_id,
        it.name,
        it.is_breakout,
        asdict(it.breakout) if it.breakout else None,
        list(it.breakout_rooms),
        it.state,
        entry.wanted,
        it.is_protected,
        it.start_ms,
        it.end_ms,
        it.participants,
        it.raw_size,
        dict(entry.delivered),
        dict(entry.edited),
        dict(it.metadata),
        document,
        entry.is_settled,
        entry.generation,
        entry.mark,
        entry.announced,
    )


async def put_arrival(connection: Connection, record_id: RecordId, arrival: Arrival) -> None:
    """The format waits to be placed, instead of an earlier one that did."""
    await connection.execute(
        _PUT_ARRIVAL,
        record_id,
        arrival.format.name,
        described(arrival.format),
        arrival.directory,
        arrival.inode,
        arrival.files,
        arrival.total_bytes,
        arrival.manifest,
        arrival.digest,
    )


async def place_arrival(connection: Connection, record_id: RecordId, arrival: Arrival, location: Location) -> None:
    """Its files are in the library now."""
    await connection.execute(_PLACE_ARRIVAL, record_id, arrival.format.name, arrival.directory, location)


async def locate_format(connection: Connection, record_id: RecordId, name: str, location: Location) -> None:
    await connection.execute(_LOCATE, record_id, name, location)


async def drop_format(connection: Connection, record_id: RecordId, name: str) -> None:
    await connection.execute(_DROP_FORMAT, record_id, name)


async def drop_formats(connection: Connection, record_id: RecordId) -> None:
    """Its files are gone for good."""
    await connection.execute(_DROP_FORMATS, record_id)


async def take_recording(connection: Connection, record_id: RecordId, mover: str, seconds: float) -> bool:
    """Whether `mover` may move the recording's files from now on; nobody else does for so many seconds."""
    return await connection.fetchval(_TAKE, record_id, mover, seconds) is not None


async def release_recording(connection: Connection, record_id: RecordId, mover: str, pause: float = 0.0) -> None:
    """Others may move its files again, `pause` seconds from now."""
    await connection.execute(_RELEASE, record_id, mover, pause)


async def holds_recording(connection: Connection, record_id: RecordId, mover: str) -> bool:
    """Whether `mover` still has the recording to itself; if so, until the transaction ends."""
    return await connection.fetchval(_HOLDS, record_id, mover) is not None


async def list_recordings(
    connection: Connection,
    *,
    record_ids: Sequence[str] | None = None,
    tenant: str | None = None,
    meeting_id: str | None = None,
    state: RecordingState | None = None,
    limit: int | None = None,
) -> list[Listed]:
    """Recordings, the newest first, of which all that is given holds."""
    ids = None if record_ids is None else list(record_ids)
    return [_listed(row) for row in await connection.fetch(_LIST, ids, tenant, meeting_id, state, limit)]


async def assign_recordings(connection: Connection, record_ids: Sequence[str], tenant: str) -> list[RecordId]:
    """Gives them to another tenant. Returns those that exist."""
    return [RecordId(row["record_id"]) for row in await connection.fetch(_ASSIGN, list(record_ids), tenant)]


async def tenant_of_recording(connection: Connection, record_id: RecordId) -> str | None:
    tenant: str | None = await connection.fetchval("SELECT tenant FROM recordings WHERE record_id = $1", record_id)
    return tenant


async def unsettled(connection: Connection, limit: int) -> list[RecordId]:
    """Recordings whose files are not where they should be, and that nobody is moving."""
    return [RecordId(row["record_id"]) for row in await connection.fetch(_UNSETTLED, limit)]


async def deleted_before(connection: Connection, days: int, limit: int) -> list[RecordId]:
    """Recordings that were deleted so many days ago and whose files are still in the trash."""
    return [RecordId(row["record_id"]) for row in await connection.fetch(_DELETED_BEFORE, days, limit)]


async def arrival_directories(connection: Connection) -> set[str]:
    """Those directories below the unpacking directory that something waits in."""
    return {row["directory"] for row in await connection.fetch(_ARRIVAL_DIRECTORIES)}


async def tell_of(connection: Connection, record_ids: Sequence[RecordId]) -> None:
    """The workers hear of recordings that are to be settled, when the transaction commits."""
    await notify(connection, NOTIFICATION, record_ids)


async def tell_settled(connection: Connection, record_id: RecordId) -> None:
    """Those who wait for the recording hear of it when the transaction commits."""
    await notify(connection, SETTLED_NOTIFICATION, [record_id])


def described(playback_format: PlaybackFormat) -> dict[str, Any]:
    """A format as its row keeps it."""
    return asdict(playback_format)


def read_description(description: Mapping[str, Any]) -> PlaybackFormat:
    """A format as its row keeps it."""
    previews = tuple(Preview(**preview) for preview in description["previews"])
    return PlaybackFormat(**{**description, "previews": previews})


def read_recording(row: Record, formats: Sequence[PlaybackFormat]) -> Recording:
    """A row of `recordings`."""
    return Recording(
        record_id=RecordId(row["record_id"]),
        tenant=row["tenant"],
        meeting_id=row["meeting_id"],
        state=RecordingState(row["state"]),
        internal_id=row["internal_id"],
        name=row["name"],
        is_breakout=row["is_breakout"],
        is_protected=row["protected"],
        start_ms=row["start_ms"],
        end_ms=row["end_ms"],
        participants=row["participants"],
        raw_size=row["raw_size"],
        metadata=row["metadata"],
        breakout=Breakout(**row["breakout"]) if row["breakout"] else None,
        breakout_rooms=tuple(row["breakout_rooms"]),
        formats=tuple(formats),
    )


def _entry(row: Record, placed: Sequence[Placed], arrivals: Sequence[Arrival]) -> Entry:
    return Entry(
        recording=read_recording(row, [each.format for each in placed]),
        wanted=RecordingState(row["wanted"]),
        is_settled=row["is_settled"],
        delivered=row["delivered"],
        edited=row["edited"],
        generation=row["generation"],
        mark=row["mark"],
        announced=row["announced"],
        placed=tuple(placed),
        arrivals=tuple(arrivals),
    )


def _listed(row: Record) -> Listed:
    return Listed(
        record_id=RecordId(row["record_id"]),
        tenant=row["tenant"],
        meeting_id=row["meeting_id"],
        name=row["name"],
        state=RecordingState(row["state"]),
        wanted=RecordingState(row["wanted"]),
        is_protected=row["protected"],
        is_settled=row["is_settled"],
        start_ms=row["start_ms"],
        formats=tuple(row["formats"]),
        total_bytes=row["bytes"],
    )


def _placed(row: Record) -> Placed:
    return Placed(
        format=read_description(row["description"]),
        location=Location(row["location"]),
        files=row["files"],
        total_bytes=row["bytes"],
        digest=row["digest"],
    )


def _arrival(row: Record) -> Arrival:
    return Arrival(
        format=read_description(row["description"]),
        directory=row["directory"],
        inode=row["inode"],
        files=row["files"],
        total_bytes=row["bytes"],
        digest=row["digest"],
        manifest=row["manifest"],
    )
