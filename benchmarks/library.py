"""A library full of recordings, made by one statement: rows as an import leaves them, and no files. For tests of size, too."""

from dataclasses import replace

from meetingpool.bbb.recording_documents import render
from meetingpool.database.engine import Connection
from meetingpool.domain.meetings import DEFAULT_TENANT
from meetingpool.domain.recordings import PlaybackFormat, Preview, RecordId, Recording, RecordingState

FIRST_BEGIN = 1_700_000_000_000
_FILL_SECONDS = 120.0

# Stand in the document for what differs from recording to recording; the statement puts the real ones in their places.
_RECORD_ID, _ROOM, _BEGIN = "the-record-id", "the-room", 1_234_567_890_123
_FILL = """
    INSERT INTO recordings (record_id, tenant, meeting_id, internal_id, name, state, wanted, start_ms, end_ms,
        participants, raw_size, delivered, metadata, document, is_settled)
    SELECT record_id, $1, room, record_id, 'A room', 'published', 'published', begin_ms, begin_ms, 3, 951067, metadata, metadata,
        convert_to(
            replace(replace(replace($2, 'the-record-id', record_id), 'the-room', room), '1234567890123', begin_ms::text), 'UTF8'
        ), true
    FROM (
        SELECT room, begin_ms, left(encode(sha256(room::bytea), 'hex'), 40) || '-' || begin_ms AS record_id,
            jsonb_build_object('gl-listed', (number % 100 = 0)::text, 'bbb-origin', 'greenlight', 'room', room) AS metadata
        FROM (
            SELECT number, 'room-' || (number % $4) AS room, $5::bigint + number AS begin_ms FROM generate_series(1, $3) AS number
        ) AS numbered
    ) AS named
"""


async def fill_library(connection: Connection, recordings: int, *, rooms: int, tenant: str = DEFAULT_TENANT) -> None:
    """So many published recordings, dealt out to the rooms `room-0` and so on. For a connection that is in no transaction."""
    document = render(_recording(tenant)).decode()
    async with connection.transaction():
        await connection.execute("SET LOCAL statement_timeout = 0")
        await connection.execute(_FILL, tenant, document, recordings, rooms, FIRST_BEGIN, timeout=_FILL_SECONDS)
    await connection.execute("VACUUM (ANALYZE) recordings", timeout=_FILL_SECONDS)


def _recording(tenant: str) -> Recording:
    """With what Greenlight says of its rooms, and the formats that most servers make."""
    presentation = PlaybackFormat(
        name="presentation",
        link=f"/playback/presentation/2.3/{_RECORD_ID}",
        duration_ms=2_000_292,
        processing_ms=7_177,
        size=1_104_836,
        previews=tuple(
            Preview(path=f"/presentation/{_RECORD_ID}/presentation/{'d2d9a672' * 5}-1700000000000/thumbnails/thumb-{number}.png")
            for number in (1, 2, 3)
        ),
    )
    video = replace(presentation, name="video", link=f"/playback/video/{_RECORD_ID}/", processing_ms=None, previews=())
    return Recording(
        record_id=RecordId(_RECORD_ID),
        tenant=tenant,
        meeting_id=_ROOM,
        state=RecordingState.PUBLISHED,
        internal_id=_RECORD_ID,
        name="A room",
        start_ms=_BEGIN,
        end_ms=_BEGIN,
        participants=3,
        raw_size=951_067,
        metadata={"gl-listed": "false", "bbb-origin": "greenlight", "bbb-origin-version": "3", "room": _ROOM},
        formats=(presentation, video),
    )
