"""Subtitles of recordings, as rows. Called by the gateway: by the calls about them, and by playback, which shows them."""

from meetingpool.database.engine import Connection, Database, Record
from meetingpool.domain.recordings import RecordingState
from meetingpool.domain.text_tracks import TextTrack, TrackKind

# Of one recording.
MAX_TRACKS = 100

_IS_THERE = f"record_id = $1 AND tenant = $2 AND state <> '{RecordingState.DELETED}'"
_EXISTS = f"SELECT 1 FROM recordings WHERE {_IS_THERE}"
_OF_RECORDING = "SELECT kind, lang, label, source FROM text_tracks WHERE record_id = $1 ORDER BY lang, kind"
_OF_TENANT = f"""
    SELECT text_tracks.kind, lang, label, source FROM recordings LEFT JOIN text_tracks USING (record_id)
    WHERE {_IS_THERE} ORDER BY lang, kind
"""
_DOCUMENT = "SELECT document FROM text_tracks WHERE record_id = $1 AND kind = $2 AND lang = $3"
_KEEP = f"""
    INSERT INTO text_tracks (record_id, kind, lang, label, source, document)
    SELECT record_id, $3, $4, $5, $6, $7 FROM recordings
    WHERE {_IS_THERE} AND {MAX_TRACKS} > (
        SELECT count(*) FROM text_tracks WHERE text_tracks.record_id = $1 AND (text_tracks.kind <> $3 OR lang <> $4)
    )
    ON CONFLICT (record_id, kind, lang) DO UPDATE
        SET label = excluded.label, source = excluded.source, document = excluded.document, created_at = now()
    RETURNING 1
"""


async def text_tracks_of(connection: Connection, record_id: str) -> list[TextTrack]:
    """The tracks of a recording, whosever it is, in the order of their languages."""
    return [_track(row) for row in await connection.fetch(_OF_RECORDING, record_id)]


async def find_text_tracks(database: Database, tenant: str, record_id: str) -> list[TextTrack] | None:
    """The same of a recording of the tenant that was not deleted; None when there is none. Raises DatabaseUnavailable."""
    rows = await database.rows(_OF_TENANT, record_id, tenant)
    return [_track(row) for row in rows if row["kind"]] if rows else None


async def has_recording(database: Database, tenant: str, record_id: str) -> bool:
    """Whether the tenant has the recording, and did not delete it. Raises DatabaseUnavailable."""
    return await database.statement(_EXISTS, record_id, tenant) is not None


async def keep_text_track(database: Database, tenant: str, record_id: str, track: TextTrack, document: str) -> bool:
    """Keeps a track instead of an earlier one of its kind and language; `document` in WebVTT. Raises DatabaseUnavailable.

    False when the recording is gone, or has MAX_TRACKS others.
    """
    named = track.kind, track.lang, track.label, track.source
    return await database.statement(_KEEP, record_id, tenant, *named, document) is not None


async def text_track_document(database: Database, record_id: str, kind: str, lang: str) -> str | None:
    """The track in WebVTT; None when there is none. Raises DatabaseUnavailable."""
    row = await database.statement(_DOCUMENT, record_id, kind, lang)
    return row["document"] if row else None


def _track(row: Record) -> TextTrack:
    return TextTrack(kind=TrackKind(row["kind"]), lang=row["lang"], label=row["label"], source=row["source"])
