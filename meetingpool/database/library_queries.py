"""What the check of the library reads, some recordings at a time, and the few rows that only its repairs change.

Whoever moves the files of a recording takes it first, which makes another version of its row. So if two readings are equal, what
was seen of the files between them is what the rows say, or a fault.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from meetingpool.database.engine import Connection, Database, Record
from meetingpool.database.recordings import read_description, read_recording
from meetingpool.domain.announcements import AnnouncementState
from meetingpool.domain.callbacks import CallbackKind
from meetingpool.domain.recordings import Location, RecordId, Recording, RecordingState

# A page ends with the recording that reaches this, in bytes of manifests, or after so many recordings.
PAGE_BYTES = 8 * 1024 * 1024
PAGE_RECORDINGS = 500

_PAGE = f"""
    WITH page AS (
        SELECT record_id, coalesce((
            SELECT sum(octet_length(manifest)) FROM recording_formats WHERE recording_formats.record_id = recordings.record_id
        ), 0) AS bytes
        FROM recordings WHERE record_id > $1 ORDER BY record_id LIMIT {PAGE_RECORDINGS}
    )
    SELECT record_id FROM (SELECT record_id, sum(bytes) OVER (ORDER BY record_id) - bytes AS bytes_before FROM page) AS sized
    WHERE bytes_before < {PAGE_BYTES} ORDER BY record_id
"""
_IS_MOVING = "(mover IS NOT NULL AND mover_until > now())"
_READ = f"""
    SELECT *, xmin::text::bigint AS version, {_IS_MOVING} IS TRUE AS is_moving FROM recordings WHERE record_id = ANY($1::text[])
"""
_FORMATS = """
    SELECT record_id, format, description, location, manifest FROM recording_formats WHERE record_id = ANY($1::text[])
    ORDER BY record_id, format
"""
_ARRIVALS = """
    SELECT record_id, format, directory, inode FROM recording_arrivals WHERE record_id = ANY($1::text[])
    ORDER BY record_id, format
"""
_ROWLESS = """
    SELECT position FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS trees (record_id, format, position)
    WHERE NOT EXISTS (SELECT FROM recording_formats AS known
            WHERE known.record_id = trees.record_id AND known.format = trees.format)
        AND NOT EXISTS (SELECT FROM recording_arrivals AS known
            WHERE known.record_id = trees.record_id AND known.format = trees.format)
"""
_UNSETTLED = f"""
    SELECT record_id, wanted, xmin::text::bigint AS version FROM recordings
    WHERE NOT is_settled AND {_IS_MOVING} IS NOT TRUE ORDER BY record_id
"""
# The worker purges every minute, and needs some time for many.
_EXPIRED = """
    SELECT record_id, xmin::text::bigint AS version FROM recordings
    WHERE deleted_at < now() - make_interval(days => $1, mins => 10) AND is_settled
        AND EXISTS (SELECT FROM recording_formats WHERE recording_formats.record_id = recordings.record_id)
    ORDER BY record_id
"""
_IS_ORPHAN = f"""
    kind = '{CallbackKind.RECORDING_READY}' AND state = '{AnnouncementState.PENDING}'
    AND NOT EXISTS (SELECT FROM recordings WHERE recordings.record_id = outbox.payload ->> 'record_id')
"""
_ORPHANS = f"SELECT id, payload ->> 'record_id' AS record_id FROM outbox WHERE {_IS_ORPHAN} ORDER BY id"
_GIVE_UP = f"""
    UPDATE outbox SET state = '{AnnouncementState.GIVEN_UP}', settled_at = now(), last_error = 'there is no such recording'
    WHERE id = $1 AND {_IS_ORPHAN} RETURNING id
"""
_PUT_MANIFEST = """
    UPDATE recording_formats SET files = $3, bytes = $4, manifest = $5, digest = $6 WHERE record_id = $1 AND format = $2
"""
_DROP_ARRIVAL = "DELETE FROM recording_arrivals WHERE record_id = $1 AND format = $2"
_END_PAUSE = "UPDATE recordings SET mover_until = NULL WHERE record_id = $1 AND mover IS NULL"
# What was registered was placed before its archive was removed.
_COMPLETE_IMPORT = """
    UPDATE imports SET state = 'done', finished_at = now(), reason = NULL, detail = NULL
    WHERE id = $1 AND attempts = $2 AND state = 'waiting' AND record_ids <> '{}' RETURNING id
"""
_FORGET_IMPORT = """
    DELETE FROM imports WHERE id = $1 AND attempts = $2 AND state IN ('waiting', 'quarantined') RETURNING id
"""


class KeptFormat(NamedTuple):
    """A row of `recording_formats`."""

    name: str
    location: Location
    manifest: bytes


class KeptArrival(NamedTuple):
    """A row of `recording_arrivals`."""

    name: str
    directory: str
    inode: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A recording as the database has it. `version` is another one after each change of the row; equal ones are the same."""

    recording: Recording
    wanted: RecordingState
    is_settled: bool
    is_moving: bool
    version: int
    document: bytes = field(repr=False)
    formats: tuple[KeptFormat, ...] = ()
    arrivals: tuple[KeptArrival, ...] = ()


class Changed(NamedTuple):
    """A row of `recordings` in one version."""

    record_id: RecordId
    version: int
    wanted: RecordingState = RecordingState.DELETED


class OrphanCallback(NamedTuple):
    """A callback of the outbox that names a recording which is not there."""

    id: int
    record_id: str


async def next_page(database: Database, after: str) -> list[RecordId]:
    """The recordings that follow this id, as many as are well read at once; none at the end."""
    return [RecordId(row["record_id"]) for row in await database.rows(_PAGE, after)]


async def count_all(database: Database) -> int:
    row = await database.statement("SELECT count(*) AS count FROM recordings")
    return int(row["count"]) if row else 0


async def read_kept(connection: Connection, record_ids: Collection[RecordId]) -> dict[RecordId, Kept]:
    """Those of the recordings that there are."""
    formats, arrivals = defaultdict(list), defaultdict(list)
    rows = await connection.fetch(_READ, list(record_ids))
    for row in await connection.fetch(_FORMATS, list(record_ids)):
        formats[row["record_id"]].append(row)
    for row in await connection.fetch(_ARRIVALS, list(record_ids)):
        arrivals[row["record_id"]].append(KeptArrival(row["format"], row["directory"], row["inode"]))
    return {row["record_id"]: _kept(row, formats[row["record_id"]], arrivals[row["record_id"]]) for row in rows}


async def rowless(database: Database, trees: Sequence[tuple[str, str]]) -> list[int]:
    """The positions of those among the trees, pairs of record id and format, that no row knows: none that waits either."""
    record_ids, formats = [each[0] for each in trees], [each[1] for each in trees]
    return [row["position"] - 1 for row in await database.rows(_ROWLESS, record_ids, formats)]


async def left_unsettled(connection: Connection) -> list[Changed]:
    """Recordings that are not settled, and that nobody is moving."""
    rows = await connection.fetch(_UNSETTLED)
    return [Changed(RecordId(row["record_id"]), row["version"], RecordingState(row["wanted"])) for row in rows]


async def expired(connection: Connection, days: int) -> list[Changed]:
    """Deleted recordings whose files should have been purged by now."""
    return [Changed(RecordId(row["record_id"]), row["version"]) for row in await connection.fetch(_EXPIRED, days)]


async def orphan_callbacks(connection: Connection) -> list[OrphanCallback]:
    return [OrphanCallback(row["id"], row["record_id"]) for row in await connection.fetch(_ORPHANS)]


async def give_up_callback(connection: Connection, callback_id: int) -> bool:
    """Nobody is told of a recording that there is not. Whether it was still so."""
    return await connection.fetchval(_GIVE_UP, callback_id) is not None


async def put_manifest(
    connection: Connection, record_id: RecordId, name: str, manifest: bytes, *, files: int, total_bytes: int, digest: str
) -> None:
    """The files of a format are those of this encoded manifest from now on."""
    await connection.execute(_PUT_MANIFEST, record_id, name, files, total_bytes, manifest, digest)


async def drop_arrival(connection: Connection, record_id: RecordId, name: str) -> None:
    await connection.execute(_DROP_ARRIVAL, record_id, name)


async def end_pause(connection: Connection, record_id: RecordId) -> None:
    """Its files may be moved now, though that failed a moment ago."""
    await connection.execute(_END_PAUSE, record_id)


async def close_import(connection: Connection, import_id: int, attempts: int) -> bool:
    """Its archive is gone: it is done if what was in it is in the library, else forgotten. Whether nobody was at it since."""
    for statement in (_COMPLETE_IMPORT, _FORGET_IMPORT):
        if await connection.fetchval(statement, import_id, attempts) is not None:
            return True
    return False


def _kept(row: Record, formats: Sequence[Record], arrivals: Sequence[KeptArrival]) -> Kept:
    return Kept(
        recording=read_recording(row, [read_description(each["description"]) for each in formats]),
        wanted=RecordingState(row["wanted"]),
        is_settled=row["is_settled"],
        is_moving=row["is_moving"],
        version=row["version"],
        document=row["document"],
        formats=tuple(KeptFormat(each["format"], Location(each["location"]), each["manifest"]) for each in formats),
        arrivals=tuple(arrivals),
    )
