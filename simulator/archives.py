"""Archives of recordings, as a BBB server's post-publish script brings them to the spool directory of a load balancer.

`Publishing` calls it when the recording of a meeting has been processed. Source of the forms: BBB's metadata.xml, and
Scalelite's scalelite_post_publish.rb.
"""

import io
import os
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from meetingpool.bbb import xml
from simulator.meetings import PastMeeting
from simulator.recording_files import published_files, thumbnails

_LINKS = {
    "presentation": "/playback/presentation/2.3/{}",
    "podcast": "/podcast/{}/audio.ogg",
    "notes": "/notes/{}/notes.pdf",
    "video": "/playback/video/{}/",
}
_USER = "bigbluebutton"
_USER_ID = 997
_PROCESSING_MS = 7177


def recording_archive(meeting: PastMeeting, formats: Sequence[str], *, origin: str) -> bytes:
    """A tar of `format/record id/…` for each of the formats. `origin`: where the server would play them, as `scheme://host`."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name in formats:
            files = published_files(name, meeting)
            metadata = _metadata(meeting, name, sum(map(len, files.values())), origin)
            _add_tree(archive, f"{name}/{meeting.internal_id}", {"metadata.xml": metadata, **files}, meeting.ended_ms // 1000)
    return buffer.getvalue()


def deliver(archive: bytes, record_id: str, spool: Path) -> None:
    """Writes it beside and renames it, as rsync does. Raises OSError when the spool directory is not there."""
    descriptor, name = tempfile.mkstemp(prefix=f".{record_id}.tar.", dir=spool)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, 0o664)
        file.write(archive)
    Path(name).replace(spool / f"{record_id}.tar")


def _add_tree(archive: tarfile.TarFile, root: str, files: Mapping[str, bytes], changed_at: int) -> None:
    folders = {str(folder) for path in files for folder in Path(root, path).parents if len(folder.parts) >= 2}
    for folder in sorted(folders):
        archive.addfile(_member(folder, changed_at, tarfile.DIRTYPE))
    for path, content in files.items():
        archive.addfile(_member(f"{root}/{path}", changed_at, tarfile.REGTYPE, len(content)), io.BytesIO(content))


def _member(path: str, changed_at: int, kind: bytes, size: int = 0) -> tarfile.TarInfo:
    member = tarfile.TarInfo(path)
    member.type, member.size, member.mtime = kind, size, changed_at
    member.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
    member.uid = member.gid = _USER_ID
    member.uname = member.gname = _USER
    return member


def _metadata(meeting: PastMeeting, name: str, size: int, origin: str) -> bytes:
    """The metadata.xml of one format. Videos say less, as the script that makes them does."""
    is_video = name == "video"
    fields: list[xml.Field] = [
        ("id", meeting.internal_id),
        ("state", "available" if is_video else "published"),
        ("published", True),
        ("start_time", meeting.created_ms),
        ("end_time", meeting.ended_ms),
        *(() if is_video else _meeting(meeting)),
        ("meta", _meta(meeting)),
        ("playback", list(_playback(meeting, name, size, origin))),
        *(() if is_video else [("raw_size", 10 * size)]),
    ]
    return b'<?xml version="1.0"?>\n' + xml.write("recording", fields)


def _meeting(meeting: PastMeeting) -> Iterator[xml.Field]:
    settings = meeting.settings
    named = {"id": meeting.internal_id, "externalId": meeting.meeting_id, "name": settings.name}
    yield "participants", meeting.participants
    yield "meeting", None, {**named, "breakout": "true" if settings.parent else "false"}
    if settings.parent:
        room = {"parentMeetingId": settings.parent, "sequence": str(settings.sequence), "meetingId": meeting.internal_id}
        yield "breakout", None, room
    if meeting.breakout_rooms:
        yield "breakoutRooms", [("breakoutRoom", room) for room in meeting.breakout_rooms]


def _meta(meeting: PastMeeting) -> list[xml.Field]:
    settings = meeting.settings
    own: list[xml.Field] = [
        ("isBreakout", bool(settings.parent)),
        ("meetingId", meeting.meeting_id),
        ("meetingName", settings.name),
    ]
    return [*own, *settings.metadata.items()]


def _playback(meeting: PastMeeting, name: str, size: int, origin: str) -> Iterator[xml.Field]:
    yield "format", name
    yield "link", origin + _LINKS[name].format(meeting.internal_id)
    if name == "presentation":
        yield "processing_time", _PROCESSING_MS
    yield "duration", meeting.duration_ms
    if name == "presentation":
        yield "extensions", [("preview", [("images", list(_previews(meeting, origin)))])]
    if name != "video":
        yield "size", size


def _previews(meeting: PastMeeting, origin: str) -> Iterator[xml.Field]:
    for path, text in thumbnails(meeting).items():
        yield "image", f"{origin}/presentation/{meeting.internal_id}/{path}", {"width": "176", "height": "136", "alt": text}
