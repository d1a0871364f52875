"""Reads metadata.xml: what a server says of a recording in one of its formats. The recordings worker calls it for each archive.

The file is BBB's own, or what its scripts, other people's scripts or a stranger made of it: what stands in it is used only where
it is of the right form. Source of the rules: BBB's publish scripts, and what bbb-web makes of what is missing.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from urllib.parse import unquote

from meetingpool.bbb import xml
from meetingpool.bbb.meetings import GENERATION_METADATA, MAX_COUNT, MAX_ID_LENGTH, read_number
from meetingpool.domain.announcements import metadata_as_given
from meetingpool.domain.recordings import (
    FORMAT_NAME,
    RECORD_ID,
    Breakout,
    Delivered,
    Description,
    PlaybackFormat,
    Preview,
    RecordId,
)

MAX_METADATA_BYTES = 1_000_000
MAX_LINK_LENGTH = 1024
# The last millisecond that a date can show.
_MAX_MS = 253_402_300_799_999

# Only ASCII can be declared beside UTF-8: every such document is UTF-8 too. Others could spell markup in other bytes.
_ENCODING = re.compile(rb"\s*(?:\xef\xbb\xbf)?<\?xml[^>]*?\sencoding\s*=\s*[\"']([^\"']*)", re.DOTALL)
_ENCODINGS = (b"utf-8", b"utf8", b"us-ascii", b"ascii")

# The host is dropped. Two slashes at the front would name another one.
_PLAIN = r"A-Za-z0-9._~!$&'()*+,;=:@%-"
_ADDRESS = re.compile(rf"(?:https?://[^/?#\\\s]*)?((/(?:[{_PLAIN}][{_PLAIN}/]*)?)(?:\?[{_PLAIN}/?]*)?)", re.IGNORECASE)

# What BBB's scripts write, for formats that others made the directory that is served.
_USUAL_LINKS = {
    "presentation": "/playback/presentation/2.3/{}",
    "video": "/playback/video/{}/",
    "podcast": "/podcast/{}/audio.ogg",
    "notes": "/notes/{}/notes.pdf",
    "screenshare": "/recording/screenshare/{}/",
}

# What getRecordings says of a format, beside which its extensions stand. Front ends would take a second one for the first.
_OF_FORMAT = frozenset({"type", "url", "processingTime", "length", "size", "preview"})

# What BBB says of the meeting among its metadata; it is shown from the recording itself.
MEETING_METADATA = ("meetingId", "meetingName", "isBreakout")
# In the order in which BBB looks for the one to call.
_RECORDING_READY_METADATA = ("bbb-recording-ready-url", "bn-recording-ready-url", "canvas-recording-ready-url")


class MetadataFault(StrEnum):
    """Why a metadata.xml is refused."""

    NOT_XML = "metadata_not_xml"
    TOO_LARGE = "metadata_too_large"
    INCOMPLETE = "metadata_incomplete"
    BAD_RECORD_ID = "bad_record_id"
    BAD_FORMAT = "bad_format"
    BAD_MEETING_ID = "bad_meeting_id"


class MetadataRefused(ValueError):
    """A sentence that says what is wrong, without anything from the document."""

    def __init__(self, reason: MetadataFault, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def read_metadata(document: bytes) -> Delivered:
    """What one metadata.xml says. Raises MetadataRefused.

    Numbers may hold blanks and grouping separators; what is no number was not said. A link, or a preview, is the path and the
    query of its address; a link that cannot be used becomes the one that BBB gives the format.
    """
    root = _parse(document)
    record_id = _record_id(root)
    return Delivered(description=_description(root, record_id), format=_format(root, record_id))


def shown_metadata(delivered: Mapping[str, str]) -> dict[str, str]:
    """Metadata as the front end gave it: its own addresses, nothing of ours, and not what BBB says of the meeting."""
    return {name: value for name, value in metadata_as_given(delivered).items() if name not in MEETING_METADATA}


def own_callback_address(delivered: Mapping[str, str]) -> str | None:
    """The address that the server calls when the recording is ready: one of ours proves where the recording comes from."""
    return next((delivered[name] for name in _RECORDING_READY_METADATA if delivered.get(name)), None)


def stated_generation(delivered: Mapping[str, str]) -> int | None:
    """The generation of the placement, as we gave it to the server. Anybody could have written it."""
    return read_number(delivered.get(GENERATION_METADATA, "").strip())


def _parse(document: bytes) -> xml.Element:
    if len(document) > MAX_METADATA_BYTES:
        raise MetadataRefused(MetadataFault.TOO_LARGE, f"metadata.xml has more than {MAX_METADATA_BYTES} bytes")
    declared = _ENCODING.match(document)
    if declared and declared[1].strip().lower() not in _ENCODINGS:
        raise MetadataRefused(MetadataFault.NOT_XML, "metadata.xml is not in UTF-8")
    try:
        root = xml.parse(document)
        xml.require_shallow(root)
    except xml.NotXml as error:
        raise MetadataRefused(MetadataFault.NOT_XML, f"metadata.xml cannot be read: {error}") from error
    if root.tag != "recording":
        raise MetadataRefused(MetadataFault.INCOMPLETE, "metadata.xml does not hold a recording")
    return root


def _record_id(root: xml.Element) -> RecordId:
    record_id = _word(root, "id")
    if not record_id:
        raise MetadataRefused(MetadataFault.INCOMPLETE, "metadata.xml does not say the id of the recording")
    if not RECORD_ID.fullmatch(record_id):
        raise MetadataRefused(MetadataFault.BAD_RECORD_ID, "the id in metadata.xml is not one that BBB gives a recording")
    return RecordId(record_id)


def _description(root: xml.Element, record_id: RecordId) -> Description:
    metadata = _metadata(root)
    meeting = _attributes(root, "meeting")
    is_breakout = meeting.get("breakout", "").strip() or metadata.get("isBreakout", "").strip()
    return Description(
        record_id=record_id,
        meeting_id=_meeting_id(metadata, meeting, record_id),
        internal_id=meeting.get("id", "").strip() or None,
        name=meeting.get("name") or metadata.get("meetingName", ""),
        is_breakout=is_breakout.lower() == "true",
        is_published=_is_published(root),
        start_ms=_time(root, "start_time"),
        end_ms=_time(root, "end_time"),
        participants=_participants(root),
        raw_size=_number(root, "raw_size"),
        metadata=metadata,
        breakout=_breakout(root),
        breakout_rooms=tuple(filter(None, (_text(room).strip() for room in root.iterfind("breakoutRooms/breakoutRoom")))),
    )


def _meeting_id(metadata: Mapping[str, str], meeting: Mapping[str, str], record_id: RecordId) -> str:
    meeting_id = next(filter(str.strip, (metadata.get("meetingId", ""), meeting.get("externalId", ""))), record_id)
    if len(meeting_id) > MAX_ID_LENGTH:
        raise MetadataRefused(MetadataFault.BAD_MEETING_ID, f"the meeting's id has more than {MAX_ID_LENGTH} characters")
    return meeting_id


def _is_published(root: xml.Element) -> bool:
    """BBB takes what says nothing for published. The scripts of some formats call that `available`."""
    return _word(root, "published").lower() in ("", "true") and _word(root, "state") not in ("unpublished", "deleted")


def _breakout(root: xml.Element) -> Breakout | None:
    said = _attributes(root, "breakout")
    if not said:
        return None
    return Breakout(
        parent_id=said.get("parentMeetingId", "").strip(),
        sequence=read_number(said.get("sequence")) or 0,
        is_free_join=said.get("freeJoin", "").strip().lower() == "true",
    )


def _metadata(root: xml.Element) -> dict[str, str]:
    return {str(element.tag): _text(element) for element in root.iterfind("meta/*")}


def _format(root: xml.Element, record_id: RecordId) -> PlaybackFormat:
    playback = root.find("playback")
    name = "" if playback is None else _word(playback, "format")
    if playback is None or not name:
        raise MetadataRefused(MetadataFault.INCOMPLETE, "metadata.xml does not say how the recording is played back")
    if not FORMAT_NAME.fullmatch(name):
        raise MetadataRefused(MetadataFault.BAD_FORMAT, "the format in metadata.xml is not one that BBB could publish")
    return PlaybackFormat(
        name=name,
        link=_path(_word(playback, "link")) or _usual_link(name, record_id),
        duration_ms=_number(playback, "duration") or 0,
        processing_ms=_number(playback, "processing_time"),
        size=_number(playback, "size"),
        previews=_previews(playback),
        extensions=b"".join(map(xml.serialise, _further_extensions(playback))).decode(),
    )


def _usual_link(name: str, record_id: RecordId) -> str:
    return _USUAL_LINKS[name].format(record_id) if name in _USUAL_LINKS else f"/{name}/{record_id}/"


def _previews(playback: xml.Element) -> tuple[Preview, ...]:
    images = [(image, _path(_text(image).strip())) for image in playback.iterfind("extensions/preview/images/image")]
    return tuple(
        Preview(path=path, alt=image.get("alt", ""), width=image.get("width", ""), height=image.get("height", ""))
        for image, path in images
        if path
    )


def _further_extensions(playback: xml.Element) -> list[xml.Element]:
    return [element for element in playback.iterfind("extensions/*") if element.tag not in _OF_FORMAT]


def _path(address: str) -> str | None:
    """Path and query of an http(s) address, or of a path; None for what we would not send a browser to."""
    found = _ADDRESS.fullmatch(address) if len(address) <= MAX_LINK_LENGTH else None
    if found is None:
        return None
    path = unquote(found[2])
    is_plain = path.isprintable() and "\\" not in path and not {".", ".."} & set(path.split("/"))
    return found[1] if is_plain else None


def _attributes(root: xml.Element, name: str) -> dict[str, str]:
    element = root.find(name)
    return {} if element is None else {str(key): str(value) for key, value in element.attrib.items()}


def _participants(root: xml.Element) -> int | None:
    number = _number(root, "participants")
    return None if number is None else min(number, MAX_COUNT)


def _time(root: xml.Element, name: str) -> int:
    number = _number(root, name) or 0
    return number if number <= _MAX_MS else 0


def _number(parent: xml.Element, name: str) -> int | None:
    return read_number(_word(parent, name))


def _word(parent: xml.Element, name: str) -> str:
    element = parent.find(name)
    return "" if element is None else _text(element).strip()


def _text(element: xml.Element) -> str:
    return "".join(map(str, element.itertext()))
