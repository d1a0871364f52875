"""putRecordingTextTrack: keeps subtitles of a recording, which come as a file of any of the usual kinds.

The answers, and their order when several things are wrong, are BBB's.
"""

import asyncio
from io import BytesIO

from starlette.responses import Response

from gateway.answers import json_answer
from gateway.authentication import Call
from gateway.bodies import BodyTooLong, read_body
from gateway.state import Gateway
from meetingpool.bbb.errors import (
    EmptyTextTrack,
    InvalidKind,
    InvalidLang,
    MissingTrackParameter,
    NoRecordingFound,
    TextTrackNotKept,
)
from meetingpool.database.text_tracks import MAX_TRACKS, has_recording, keep_text_track
from meetingpool.domain.text_tracks import LANGUAGE, TextTrack, TrackKind
from meetingpool.logs import get_logger
from meetingpool.operations.convert_subtitles import NotSubtitles, converted

# As the nginx of a server lets through; a day of speech is less.
MAX_BYTES = 2 * 1024 * 1024
MAX_LABEL_LENGTH = 256
_PART = "file"

log = get_logger()


async def put_recording_text_track(gateway: Gateway, call: Call) -> Response:
    record_id = _required(call, "recordID")
    if gateway.settings.recording_disabled or not await has_recording(gateway.database, call.tenant.id, record_id):
        raise NoRecordingFound
    track = _described(call)
    document = await _uploaded(gateway, call)
    if not await keep_text_track(gateway.database, call.tenant.id, record_id, track, document):
        raise TextTrackNotKept(f"The recording is gone, or has {MAX_TRACKS} text tracks already.")
    log.info("text_track_kept", recording=record_id, track=track.file_name)
    success = {"messageKey": "upload_text_track_success", "message": "Text track uploaded successfully"}
    return json_answer({**success, "recordId": record_id, "returncode": "SUCCESS"})


def _described(call: Call) -> TextTrack:
    kind = _required(call, "kind")
    if kind not in set(TrackKind):
        raise InvalidKind(kind)
    lang = _required(call, "lang")
    if not LANGUAGE.fullmatch(lang):
        raise InvalidLang(lang)
    return TextTrack(kind=TrackKind(kind), lang=lang, label=(call.text("label") or lang)[:MAX_LABEL_LENGTH], source="upload")


def _required(call: Call, name: str) -> str:
    value = call.text(name)
    if value is None:
        raise MissingTrackParameter(name)
    return value


async def _uploaded(gateway: Gateway, call: Call) -> str:
    """The subtitles in the body, in WebVTT. Raises EmptyTextTrack or TextTrackNotKept."""
    if not gateway.subtitle_shares.enter(call.tenant.id):
        raise TextTrackNotKept("Too many text tracks are uploaded at the same time; please try again in a moment.")
    try:
        return await _converted(gateway, call)
    finally:
        gateway.subtitle_shares.leave(call.tenant.id)


async def _converted(gateway: Gateway, call: Call) -> str:
    try:
        body = await read_body(call.request, MAX_BYTES)
    except BodyTooLong:
        raise TextTrackNotKept(f"The upload is longer than {MAX_BYTES} bytes.") from None
    async with gateway.subtitles:
        upload = await asyncio.to_thread(_file_in, body, call.request.headers.get("content-type", ""))
        try:
            return await converted(upload)
        except NotSubtitles as error:
            raise TextTrackNotKept(str(error)) from None


def _file_in(body: bytes, content_type: str) -> bytes:
    # Needed by few processes, and few times: it would cost all of them memory.
    from multipart import MultipartError, MultipartParser, parse_options_header

    boundary = parse_options_header(content_type)[1].get("boundary", "")
    try:
        parts = MultipartParser(BytesIO(body), boundary, len(body), spool_limit=MAX_BYTES) if body and boundary else ()
        upload = next((part.raw for part in parts if part.name == _PART), b"")
    except MultipartError as error:
        raise TextTrackNotKept("The body is not what its Content-Type says.") from error
    if not upload.strip():
        raise EmptyTextTrack
    return bytes(upload)
