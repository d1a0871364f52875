"""Archives as servers deliver them, for tests of imports."""

import io
import tarfile
from collections.abc import Mapping, Sequence
from hashlib import sha1
from pathlib import Path

from meetingpool.domain.recordings import RecordId
from tests.recordings import LINKS

START_MS = 1_700_000_000_000


def record_id_of(host_id: str, start_ms: int = START_MS) -> RecordId:
    """As BBB makes it from the meeting's id on the server."""
    return RecordId(f"{sha1(host_id.encode(), usedforsecurity=False).hexdigest()}-{start_ms}")


def metadata_xml(
    record_id: str,
    playback_format: str,
    *,
    meeting_id: str = "room",
    name: str = "A room",
    metadata: Mapping[str, str] | None = None,
    published: bool = True,
    duration_ms: int = 60_000,
) -> bytes:
    """A metadata.xml as BBB's scripts write it. The texts must need no escaping."""
    meta = "".join(f"<{key}>{value}</{key}>" for key, value in (metadata or {}).items())
    link = LINKS.get(playback_format, f"/{playback_format}/{{}}/").format(record_id)
    return (
        f"<recording><id>{record_id}</id><state>published</state><published>{str(published).lower()}</published>"
        f"<start_time>{START_MS}</start_time><end_time>{START_MS + duration_ms}</end_time><participants>3</participants>"
        f'<meeting id="{record_id}" externalId="{meeting_id}" name="{name}" breakout="false"/>'
        f"<meta><meetingId>{meeting_id}</meetingId><meetingName>{name}</meetingName><isBreakout>false</isBreakout>{meta}</meta>"
        f"<playback><format>{playback_format}</format><link>https://bbb.example{link}</link>"
        f"<duration>{duration_ms}</duration><size>1000</size></playback></recording>"
    ).encode()


def archive(files: Mapping[str, bytes]) -> bytes:
    """A tar with these files, by their whole paths."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for path, content in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def recording_archive(
    record_id: str,
    formats: Sequence[str] = ("presentation",),
    *,
    content: bytes = b"content",
    meeting_id: str = "room",
    name: str = "A room",
    metadata: Mapping[str, str] | None = None,
    published: bool = True,
) -> bytes:
    """A recording in these formats, each with a metadata.xml and two more files."""
    files: dict[str, bytes] = {}
    for each in formats:
        described = metadata_xml(record_id, each, meeting_id=meeting_id, name=name, metadata=metadata, published=published)
        files[f"{each}/{record_id}/metadata.xml"] = described
        files[f"{each}/{record_id}/main.bin"] = content
        files[f"{each}/{record_id}/deeper/more.bin"] = each.encode() * 100
    return archive(files)


def deliver(spool: Path, record_id: str, content: bytes) -> Path:
    """As rsync does: beside, and then under its name."""
    spool.mkdir(parents=True, exist_ok=True)
    path = spool / f"{record_id}.tar"
    draft = path.with_name(f".{path.name}.AbC123")
    draft.write_bytes(content)
    return draft.rename(path)
