"""The `<recording>` elements of getRecordings, and what stands around them.

An element is rendered when its recording changes and kept with it; the gateway only fills in what is known when somebody asks:
the address that was asked, and the one-time tokens of protected recordings. Markers hold their places, bytes that XML cannot
hold otherwise. Source: BBB API, getRecordings; `<protected>` is the extension that Greenlight looks for.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from meetingpool.bbb import xml
from meetingpool.bbb.recording_metadata import MEETING_METADATA
from meetingpool.domain.recordings import Breakout, PlaybackFormat, Preview, RecordId, Recording

# Stands for `scheme://host`.
_ORIGIN = b"\x01"
# Around the recording and the format that the token is for.
_TOKEN = b"\x02"
_TOKENS = re.compile(rb"\x02([^/\x02]*)/([^\x02]*)\x02")

_METADATA_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")

# What an answer with recordings begins with; their elements follow, then `closing`.
OPENING = b"<response><returncode>SUCCESS</returncode><recordings>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The part of a list that was asked for: at most `limit` from `offset` on, of `total`."""

    offset: int
    limit: int
    total: int


def render(recording: Recording) -> bytes:
    """The `<recording>` element, with markers for `fill` and `fill_tokens`.

    What was not said of a recording is shown as BBB shows it: as 0, or as "unknown". Of metadata, names that cannot be those of
    elements are left out.
    """
    shown = [*_identity(recording), *_numbers(recording)]
    fields = b"".join(xml.write(name, content) for name, content in shown)
    return b"<recording>%b%b<playback>%b</playback><data/></recording>" % (
        fields,
        xml.write("size", sum(playback.size or 0 for playback in recording.formats)),
        b"".join(_format(playback, recording) for playback in recording.formats),
    )


def fill(documents: bytes, base_url: str) -> bytes:
    """Rendered elements with every address at `base_url`, which is `scheme://host` without a path."""
    return documents.replace(_ORIGIN, xml.escaped(base_url))


def fill_tokens(documents: bytes, token_of: Callable[[RecordId, str], str]) -> bytes:
    """Rendered elements with a token in each address of a protected recording, made for record id and format."""
    if _TOKEN not in documents:
        return documents
    return _TOKENS.sub(lambda found: token_of(RecordId(found[1].decode()), found[2].decode()).encode(), documents)


def closing(page: Page | None = None) -> bytes:
    """What follows the recordings. `page` if the caller asked for one."""
    return b"</recordings>%b</response>" % _pagination(page, is_empty=False)


def no_recordings(page: Page | None = None) -> bytes:
    """The whole answer when there are none, or none on the page that was asked for."""
    text = b"<messageKey>noRecordings</messageKey><message>There are no recordings for the meeting(s).</message>"
    return OPENING + b"</recordings>" + text + _pagination(page, is_empty=True) + b"</response>"


def _pagination(page: Page | None, *, is_empty: bool) -> bytes:
    """BBB counts them within `<pagination>`; the PHP library reads the number beside it."""
    if page is None:
        return b""
    total = ("totalElements", page.total)
    pageable = [("offset", page.offset), ("limit", page.limit), ("paged", True), ("unpaged", False)]
    return xml.write("pagination", [("pageable", pageable), total, ("empty", is_empty)]) + xml.write(*total)


def _identity(recording: Recording) -> Iterator[tuple[str, xml.Content]]:
    yield "recordID", recording.record_id
    yield "meetingID", recording.meeting_id
    if recording.internal_id:
        yield "internalMeetingID", recording.internal_id
    yield "name", _name(recording)
    yield "isBreakout", recording.is_breakout
    yield "published", recording.is_published
    yield "protected", recording.is_protected
    yield "state", recording.state


def _numbers(recording: Recording) -> Iterator[tuple[str, xml.Content]]:
    yield "startTime", recording.start_ms
    yield "endTime", recording.end_ms
    yield "participants", recording.participants or 0
    yield "rawSize", recording.raw_size or 0
    yield "metadata", _metadata(recording)
    if recording.breakout:
        yield "breakout", _breakout(recording.breakout)
    if recording.breakout_rooms:
        yield "breakoutRooms", [("breakoutRoom", room) for room in recording.breakout_rooms]


def _breakout(breakout: Breakout) -> list[xml.Field]:
    return [("parentId", breakout.parent_id), ("sequence", breakout.sequence), ("freeJoin", breakout.is_free_join)]


def _metadata(recording: Recording) -> list[xml.Field]:
    """BBB's own first. Nobody else's may take their names."""
    values = (recording.meeting_id, _name(recording), recording.is_breakout)
    own: list[xml.Field] = list(zip(MEETING_METADATA, values, strict=True))
    given = recording.metadata.items()
    return own + [(name, value) for name, value in given if _METADATA_NAME.fullmatch(name) and name not in MEETING_METADATA]


def _name(recording: Recording) -> str:
    return recording.name or "unknown"


def _format(playback: PlaybackFormat, recording: Recording) -> bytes:
    numbers = [
        ("processingTime", playback.processing_ms or 0),
        ("length", playback.duration_ms // 60_000),
        ("size", playback.size or 0),
    ]
    return b"<format>%b%b%b%b%b</format>" % (
        xml.write("type", playback.name),
        _protected_url(playback, recording) if recording.is_protected else _address("url", playback.link),
        b"".join(xml.write(*number) for number in numbers),
        b"" if recording.is_protected else _preview(playback.previews),
        playback.extensions.encode(),
    )


def _protected_url(playback: PlaybackFormat, recording: Recording) -> bytes:
    name = f"{recording.record_id}/{playback.name}".encode()
    return b"<url>%b/recording/%b?token=%b%b%b</url>" % (_ORIGIN, name, _TOKEN, name, _TOKEN)


def _preview(previews: tuple[Preview, ...]) -> bytes:
    if not previews:
        return b""
    return b"<preview><images>%b</images></preview>" % b"".join(
        _address("image", preview.path, {"width": preview.width, "height": preview.height, "alt": preview.alt})
        for preview in previews
    )


def _address(name: str, path: str, attributes: xml.Attributes | None = None) -> bytes:
    """An element that holds `path` on the host that is asked."""
    # In attributes it is escaped: the first one ends the tag.
    tag, _, rest = xml.write(name, path, attributes).partition(b">")
    return b"%b>%b%b" % (tag, _ORIGIN, rest)
