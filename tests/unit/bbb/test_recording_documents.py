from collections.abc import Iterable
from dataclasses import replace

import pytest
from lxml import etree

from meetingpool.bbb.recording_documents import OPENING, Page, closing, fill, fill_tokens, no_recordings, render
from meetingpool.domain.recordings import Breakout, PlaybackFormat, Preview, RecordId, Recording, RecordingState

RECORD_ID = RecordId("183f0bf3a0982a127bdb8161e0c44eb696b3e75c-1554230749920")
PRESENTATION = PlaybackFormat(
    name="presentation",
    link=f"/playback/presentation/2.3/{RECORD_ID}",
    duration_ms=2_000_292,
    processing_ms=7177,
    size=1000,
    previews=(
        Preview(path="/presentation/thumb-1.png", alt='Welcome > "to"', width="176", height="136"),
        Preview(path="/presentation/thumb-2.png"),
    ),
    extensions="<text>a &lt; b</text>",
)
VIDEO = PlaybackFormat(name="video", link=f"/playback/video/{RECORD_ID}/?a=1&b=2", duration_ms=59_999)
RECORDING = Recording(
    record_id=RECORD_ID,
    tenant="secret tenant",
    meeting_id="room & 1",
    state=RecordingState.PUBLISHED,
    internal_id=RECORD_ID,
    name="A room",
    start_ms=1554230749920,
    end_ms=1554232750212,
    participants=3,
    raw_size=951067,
    metadata={"gl-listed": "false", "empty": ""},
    formats=(PRESENTATION, VIDEO),
)


def token_of(record_id: RecordId, name: str) -> str:
    return f"{record_id}-{name}"


def shown(recording: Recording) -> "etree._Element":
    return etree.fromstring(fill_tokens(fill(render(recording), "https://pool.example"), token_of))


def texts(element: "etree._Element", path: str) -> list[str | None]:
    return [found.text for found in element.iterfind(path)]


def names(elements: Iterable["etree._Element"]) -> list[str]:
    return [str(element.tag) for element in elements]


def test_recording_is_shown_as_bbb_shows_it() -> None:
    element = shown(RECORDING)

    simple = {str(child.tag): child.text for child in element if not len(child)}
    assert simple == {
        "recordID": RECORD_ID,
        "meetingID": "room & 1",
        "internalMeetingID": RECORD_ID,
        "name": "A room",
        "isBreakout": "false",
        "published": "true",
        "protected": "false",
        "state": "published",
        "startTime": "1554230749920",
        "endTime": "1554232750212",
        "participants": "3",
        "rawSize": "951067",
        "size": "1000",
        "data": None,
    }
    metadata = element.find("metadata")
    assert metadata is not None
    assert [(child.tag, child.text) for child in metadata] == [
        ("meetingId", "room & 1"),
        ("meetingName", "A room"),
        ("isBreakout", "false"),
        ("gl-listed", "false"),
        ("empty", None),
    ]
    presentation, video = element.iterfind("playback/format")
    assert names(presentation) == ["type", "url", "processingTime", "length", "size", "preview", "text"]
    assert presentation.findtext("url") == f"https://pool.example/playback/presentation/2.3/{RECORD_ID}"
    assert (presentation.findtext("processingTime"), presentation.findtext("length")) == ("7177", "33")
    assert presentation.findtext("text") == "a < b"
    assert [(dict(image.attrib), image.text) for image in presentation.iterfind("preview/images/image")] == [
        (
            {"width": "176", "height": "136", "alt": 'Welcome > "to"'},
            "https://pool.example/presentation/thumb-1.png",
        ),
        ({"width": "", "height": "", "alt": ""}, "https://pool.example/presentation/thumb-2.png"),
    ]
    assert [(child.tag, child.text) for child in video] == [
        ("type", "video"),
        ("url", f"https://pool.example/playback/video/{RECORD_ID}/?a=1&b=2"),
        ("processingTime", "0"),
        ("length", "0"),
        ("size", "0"),
    ]


def test_breakouts_are_shown_where_there_are_any() -> None:
    assert not {"breakout", "breakoutRooms"} & set(names(shown(RECORDING)))
    breakout = Breakout(parent_id="parent-1", sequence=2, is_free_join=True)
    element = shown(replace(RECORDING, is_breakout=True, breakout=breakout, breakout_rooms=("a", "b")))
    assert texts(element, "breakout/*") == ["parent-1", "2", "true"]
    assert texts(element, "breakoutRooms/breakoutRoom") == ["a", "b"]
    assert (element.findtext("isBreakout"), element.findtext("metadata/isBreakout")) == ("true", "true")


def test_what_nobody_said_is_shown_as_bbb_shows_it() -> None:
    element = shown(
        Recording(record_id=RECORD_ID, tenant="", meeting_id="room", state=RecordingState.PROCESSING, is_protected=True)
    )
    assert (element.findtext("name"), element.findtext("metadata/meetingName")) == ("unknown", "unknown")
    assert (element.findtext("participants"), element.findtext("rawSize"), element.findtext("size")) == ("0", "0", "0")
    assert (element.findtext("published"), element.findtext("state")) == ("false", "processing")
    assert "internalMeetingID" not in names(element)
    assert texts(element, "playback") == [None]


@pytest.mark.parametrize("state", list(RecordingState))
def test_only_a_published_recording_says_so(state: RecordingState) -> None:
    element = shown(replace(RECORDING, state=state))
    assert (element.findtext("published"), element.findtext("state")) == (str(state == "published").lower(), state)


def test_protected_recording_shows_nothing_but_its_entrances() -> None:
    element = shown(replace(RECORDING, is_protected=True))
    assert element.findtext("protected") == "true"
    assert texts(element, "playback/format/url") == [
        f"https://pool.example/recording/{RECORD_ID}/{name}?token={RECORD_ID}-{name}" for name in ("presentation", "video")
    ]
    assert "preview" not in names(element.iter())


def test_tokens_are_made_for_protected_recordings_only_and_for_each_format_of_each() -> None:
    other = replace(RECORDING, record_id=RecordId(RECORD_ID.replace("1", "2")), is_protected=True)
    documents = render(RECORDING) + render(replace(RECORDING, is_protected=True)) + render(other)
    asked: list[tuple[RecordId, str]] = []

    def counted(record_id: RecordId, name: str) -> str:
        asked.append((record_id, name))
        return "0" * 64

    assert fill_tokens(render(RECORDING), counted) == render(RECORDING)
    assert not asked
    assert fill_tokens(documents, counted).count(b"?token=" + b"0" * 64 + b"</url>") == 4
    formats = ("presentation", "video")
    assert asked == [(record_id, name) for record_id in (RECORD_ID, other.record_id) for name in formats]


def test_metadata_that_is_no_name_of_an_element_is_left_out() -> None:
    odd = dict.fromkeys(("", "1x", "a b", "<script", "a:b", "-a", "\u00e4", "x\n", "meetingId", "isBreakout"), "taken")
    metadata = shown(replace(RECORDING, metadata={**odd, "x-1": "kept"})).find("metadata")
    assert metadata is not None
    assert names(metadata) == ["meetingId", "meetingName", "isBreakout", "x-1"]
    assert "taken" not in [child.text for child in metadata]


def test_answer_holds_the_recordings_and_says_which_page_it_is() -> None:
    documents = fill(render(RECORDING) + render(RECORDING), "https://pool.example")
    plain = etree.fromstring(OPENING + documents + closing())
    assert (plain.findtext("returncode"), len(plain.findall("recordings/recording"))) == ("SUCCESS", 2)
    assert names(plain) == ["returncode", "recordings"]

    paged = etree.fromstring(OPENING + documents + closing(Page(offset=20, limit=2, total=57)))
    assert (paged.findtext("totalElements"), paged.findtext("pagination/totalElements")) == ("57", "57")
    assert texts(paged, "pagination/pageable/*") == ["20", "2", "true", "false"]
    assert paged.findtext("pagination/empty") == "false"


def test_answer_without_recordings_still_has_their_list() -> None:
    answer = etree.fromstring(no_recordings())
    assert [(child.tag, child.text) for child in answer] == [
        ("returncode", "SUCCESS"),
        ("recordings", None),
        ("messageKey", "noRecordings"),
        ("message", "There are no recordings for the meeting(s)."),
    ]
    beyond = etree.fromstring(no_recordings(Page(offset=60, limit=10, total=57)))
    assert (beyond.findtext("messageKey"), beyond.findtext("totalElements")) == ("noRecordings", "57")
    assert beyond.findtext("pagination/empty") == "true"


def test_address_that_is_asked_cannot_break_out() -> None:
    filled = etree.fromstring(fill(render(RECORDING), "https://pool.example:8443/<a>&"))
    assert (filled.findtext("playback/format/url") or "").startswith("https://pool.example:8443/<a>&/playback/")
