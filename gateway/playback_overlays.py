"""Files of a recording that are not given out as the archive has them: metadata.xml, and captions that were uploaded since.

metadata.xml holds what the front end and we wrote for servers alone: addresses to call back, and whatever else was in the
metadata. Players need the meeting's name and id from it, and its times.
"""

import json
import re
from typing import Any

from gateway.playback_paths import Segments
from gateway.playback_refusals import NothingToSee
from gateway.state import Gateway
from meetingpool.bbb import xml
from meetingpool.database.playback import Playable
from meetingpool.database.text_tracks import text_track_document, text_tracks_of
from meetingpool.domain.text_tracks import TextTrack, TrackKind

CAPTION = re.compile(r"caption_(.+)\.vtt")
MAX_BYTES = 1024 * 1024
_SHOWN = frozenset({"meetingId", "meetingName", "isBreakout"})
# The name under which front ends show the recording is the one that the player shows.
_TITLE = "name"


async def overlay(gateway: Gateway, playable: Playable, path: Segments) -> bytes | None:
    """What is given out in the place of a file; None for the file itself. Raises what reading it raises, or NothingToSee."""
    _, record_id, *inside = path
    match inside:
        case ["metadata.xml"]:
            return _shown_metadata(await _read(gateway, path), playable.name)
        case ["captions.json"]:
            return await _listed_captions(gateway, path)
        case [name] if found := CAPTION.fullmatch(name):
            return await _uploaded_caption(gateway, record_id, found[1])
    return None


async def uploaded_captions(gateway: Gateway, record_id: str) -> dict[str, TextTrack]:
    """The captions of a recording by their languages; of a language that has none, the subtitles. Raises DatabaseUnavailable."""
    async with gateway.database.transaction() as connection:
        tracks = await text_tracks_of(connection, record_id)
    tracks.sort(key=lambda track: track.kind is TrackKind.CAPTIONS)
    return {track.lang: track for track in tracks}


async def _uploaded_caption(gateway: Gateway, record_id: str, lang: str) -> bytes | None:
    track = (await uploaded_captions(gateway, record_id)).get(lang)
    document = await text_track_document(gateway.database, record_id, track.kind, lang) if track else None
    return document.encode() if document is not None else None


async def _listed_captions(gateway: Gateway, path: Segments) -> bytes | None:
    """The list of languages that the player offers."""
    uploaded = await uploaded_captions(gateway, path[1])
    if not uploaded:
        return None
    try:
        delivered = json.loads(await _read(gateway, path))
    except (FileNotFoundError, ValueError, RecursionError):
        delivered = []
    return json.dumps(_with_uploaded(delivered if isinstance(delivered, list) else [], uploaded)).encode()


def _with_uploaded(delivered: list[Any], uploaded: dict[str, TextTrack]) -> list[Any]:
    kept = [each for each in delivered if isinstance(each, dict) and str(each.get("locale")) not in uploaded]
    return [*kept, *({"locale": lang, "localeName": track.label} for lang, track in uploaded.items())]


async def _read(gateway: Gateway, path: Segments) -> bytes:
    file = await gateway.files.open(gateway.settings.publish_dir, path)
    try:
        if file.size > MAX_BYTES:
            raise NothingToSee
        return await file.read(0, file.size)
    finally:
        file.close()


def _shown_metadata(document: bytes, title: str) -> bytes:
    try:
        root = xml.parse(document)
    except xml.NotXml:
        raise NothingToSee from None
    for metadata in root.iterfind("meta"):
        for element in list(metadata):
            if element.tag not in _SHOWN:
                metadata.remove(element)
        named = metadata.makeelement(_TITLE, {}, None)
        named.text = title if xml.can_hold(title) else None
        metadata.append(named)
    return xml.serialise(root)
