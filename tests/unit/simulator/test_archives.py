"""What is in the archives of recordings, read back as a load balancer reads it."""

import io
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from lxml import etree

from meetingpool.bbb.recording_metadata import read_metadata
from meetingpool.domain.recordings import Breakout, Delivered
from simulator.archives import deliver, recording_archive
from simulator.meetings import MeetingSettings, PastMeeting
from simulator.recording_files import published_files

INTERNAL_ID = f"{'a' * 40}-1700000000000"
ORIGIN = "https://bbb.example"
FORMATS = ("presentation", "podcast", "notes", "video")
MEETING = PastMeeting(
    settings=MeetingSettings(
        meeting_id="room & 1",
        name="A <room>",
        attendee_password="a",
        moderator_password="m",
        voice_bridge="70000",
        is_recorded=True,
        metadata={"gl-listed": "true", "bbb-origin": "a & b"},
    ),
    internal_id=INTERNAL_ID,
    created_ms=1_700_000_000_000,
    ended_ms=1_700_000_090_000,
    participants=3,
    breakout_rooms=("x-1", "x-2"),
)


def members(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        files = {member.name: opened.extractfile(member) for member in opened if member.isfile()}
        return {name: file.read() for name, file in files.items() if file}


def delivered(name: str, meeting: PastMeeting = MEETING) -> Delivered:
    files = members(recording_archive(meeting, [name], origin=ORIGIN))
    return read_metadata(files[f"{name}/{INTERNAL_ID}/metadata.xml"])


def test_archive_holds_a_directory_for_each_format() -> None:
    archive = recording_archive(MEETING, FORMATS, origin=ORIGIN)
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        listed = opened.getmembers()
    assert {tuple(Path(member.name).parts[:2]) for member in listed} == {(name, INTERNAL_ID) for name in FORMATS}
    assert all(member.isdir() or member.isfile() for member in listed)
    known: set[str] = set()
    for member in listed:
        parent = str(Path(member.name).parent)
        assert parent in known | set(FORMATS)
        known.add(member.name)
    assert {member.mode for member in listed if member.isfile()} == {0o644}
    for name in FORMATS:
        assert read_metadata(members(archive)[f"{name}/{INTERNAL_ID}/metadata.xml"]).format.name == name


@pytest.mark.parametrize("name", ["presentation", "podcast", "notes"])
def test_metadata_says_what_the_meeting_was(name: str) -> None:
    description = delivered(name).description
    assert (description.record_id, description.internal_id, description.meeting_id) == (INTERNAL_ID, INTERNAL_ID, "room & 1")
    assert (description.name, description.participants, description.is_published) == ("A <room>", 3, True)
    assert (description.start_ms, description.end_ms) == (1_700_000_000_000, 1_700_000_090_000)
    assert description.breakout_rooms == ("x-1", "x-2")
    assert description.metadata == {
        **MEETING.settings.metadata,
        "isBreakout": "false",
        "meetingId": "room & 1",
        "meetingName": "A <room>",
    }


def test_video_says_as_little_as_bbb_does() -> None:
    video = delivered("video")
    assert (video.description.internal_id, video.description.participants, video.description.raw_size) == (None, None, None)
    assert (video.description.meeting_id, video.description.name) == ("room & 1", "A <room>")
    assert (video.format.size, video.format.processing_ms, video.format.duration_ms) == (None, None, 90_000)


@pytest.mark.parametrize(
    ("name", "link"),
    [
        ("presentation", f"/playback/presentation/2.3/{INTERNAL_ID}"),
        ("podcast", f"/podcast/{INTERNAL_ID}/audio.ogg"),
        ("notes", f"/notes/{INTERNAL_ID}/notes.pdf"),
        ("video", f"/playback/video/{INTERNAL_ID}/"),
    ],
)
def test_link_leads_to_where_bbb_plays_the_format(name: str, link: str) -> None:
    assert delivered(name).format.link == link


def test_breakout_room_names_its_parent() -> None:
    settings = replace(MEETING.settings, parent="parent-1", sequence=2)
    room = delivered("presentation", replace(MEETING, settings=settings)).description
    assert (room.breakout, room.is_breakout) == (Breakout(parent_id="parent-1", sequence=2), True)


def test_presentation_has_the_files_that_it_speaks_of() -> None:
    files = published_files("presentation", MEETING)
    assert {"shapes.svg", "slides_new.xml", "panzooms.xml", "cursor.xml", "captions.json", "video/webcams.webm"} <= files.keys()
    images = etree.fromstring(files["shapes.svg"]).findall("{http://www.w3.org/2000/svg}image")
    assert [image.get("in") for image in images] == ["0.0", "30.0", "60.0"]
    for image in images:
        picture = files[image.get("{http://www.w3.org/1999/xlink}href") or ""]
        assert picture.startswith(b"\x89PNG\r\n\x1a\n")
        assert files[image.get("text") or ""]
    previews = delivered("presentation").format.previews
    assert [preview.path.removeprefix(f"/presentation/{INTERNAL_ID}/") in files for preview in previews] == [True] * 3


def test_notes_are_a_pdf_whose_parts_are_where_its_table_says() -> None:
    document = published_files("notes", replace(MEETING, settings=replace(MEETING.settings, name="\u4f1a (a) \\")))["notes.pdf"]
    table = int(document.split()[-2])
    assert document[table:].startswith(b"xref\n0 6\n")
    entries = document[table:].splitlines()[3:8]
    for number, entry in enumerate(entries, 1):
        assert document[int(entry[:10]) :].startswith(b"%d 0 obj\n" % number)
    assert b"(Notes of ? \\(a\\) \\\\) Tj" in document


def test_delivery_leaves_one_whole_file_whatever_was_there(tmp_path: Path) -> None:
    deliver(b"first", INTERNAL_ID, tmp_path)
    deliver(b"second", INTERNAL_ID, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [f"{INTERNAL_ID}.tar"]
    assert (tmp_path / f"{INTERNAL_ID}.tar").read_bytes() == b"second"
