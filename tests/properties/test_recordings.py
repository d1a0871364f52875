"""Whatever recordings are called, what we write is well-formed for two parsers, and what servers write is read or refused."""

from xml.parsers import expat

from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from meetingpool.bbb import xml
from meetingpool.bbb.recording_documents import OPENING, closing, fill, fill_tokens, render
from meetingpool.bbb.recording_metadata import MetadataRefused, read_metadata
from meetingpool.domain.recordings import Breakout, Delivered, PlaybackFormat, Preview, RecordId, Recording, RecordingState
from tests.effort import effort
from tests.properties.test_documents import legal

RECORD_ID = RecordId(f"{'a' * 40}-1554230749920")
MARKUP = [
    *(
        "<",
        ">",
        "&",
        '"',
        "'",
        "]]>",
        "<![CDATA[",
        "</recording>",
        "<metadata>",
        "&#0;",
        "\r",
        "\n",
        "\t",
        "\x00",
        "\x01",
        "\x02",
    ),
    *("\x1b[31m", "\ufffe", "\u202e", "\x85", "\u2028", f"\x02{RECORD_ID}/video\x02"),
]
texts = st.one_of(
    st.text(max_size=20), st.lists(st.one_of(st.sampled_from(MARKUP), st.text(max_size=3)), max_size=8).map("".join)
)
written_texts = texts.map(legal)
previews = st.builds(Preview, path=st.just("/a?b&c"), alt=texts, width=texts, height=texts)
formats = st.builds(
    PlaybackFormat,
    name=st.sampled_from(["presentation", "video", "x_1"]),
    link=st.sampled_from(["/", "/video/x?a=1&b='2'"]),
    duration_ms=st.integers(min_value=0),
    previews=st.lists(previews, max_size=2).map(tuple),
)
recordings = st.builds(
    Recording,
    record_id=st.just(RECORD_ID),
    tenant=texts,
    meeting_id=texts,
    state=st.sampled_from(RecordingState),
    internal_id=texts,
    name=texts,
    is_protected=st.booleans(),
    metadata=st.dictionaries(st.one_of(texts, st.sampled_from(["a", "xml", "meetingId", "x-y"])), texts, max_size=3),
    breakout=st.one_of(st.none(), st.builds(Breakout, parent_id=texts)),
    breakout_rooms=st.lists(texts, max_size=2).map(tuple),
    formats=st.lists(formats, max_size=2).map(tuple),
)


@given(several=st.lists(recordings, max_size=2))
@settings(max_examples=effort(300), deadline=None)
def test_recordings_are_well_formed_and_say_what_was_said(several: list[Recording]) -> None:
    rendered = b"".join(map(render, several))
    answer = OPENING + fill_tokens(fill(rendered, "https://pool.example"), lambda _, __: "0" * 64) + closing()
    expat.ParserCreate().Parse(answer, True)
    shown = etree.fromstring(answer).findall("recordings/recording")
    assert [element.findtext("meetingID") for element in shown] == [legal(recording.meeting_id) for recording in several]
    for element, recording in zip(shown, several, strict=True):
        assert element.findtext("name") == (legal(recording.name) if recording.name else "unknown")
        addresses = [element.text or "" for element in element.iter("url", "image")]
        assert all(address.startswith("https://pool.example/") for address in addresses)
        alts = (
            [] if recording.is_protected else [legal(image.alt) for playback in recording.formats for image in playback.previews]
        )
        assert [image.get("alt") for image in element.iter("image")] == alts


@given(meeting_id=written_texts, name=written_texts, value=written_texts, link=written_texts, alt=written_texts)
@settings(max_examples=effort(300), deadline=None)
def test_metadata_is_read_as_it_was_written(meeting_id: str, name: str, value: str, link: str, alt: str) -> None:
    images: list[xml.Field] = [("image", f"https://bbb.example/{link}", {"alt": alt})]
    extensions: list[xml.Field] = [("preview", [("images", images)]), ("further", [("x", value)])]
    playback: list[xml.Field] = [("format", "video"), ("link", link), ("extensions", extensions)]
    fields: list[xml.Field] = [
        ("id", RECORD_ID),
        ("meeting", None, {"name": name, "externalId": meeting_id}),
        ("meta", [("x-y", value)]),
        ("playback", playback),
    ]
    delivered = read_metadata(xml.write("recording", fields))
    assert delivered.description.meeting_id == (meeting_id if meeting_id.strip() else RECORD_ID)
    assert delivered.description.name == name
    assert delivered.description.metadata == {"x-y": value}
    assert etree.fromstring(delivered.format.extensions).findtext("x") == value
    assert_links_stay_on_the_host_that_is_asked(delivered)


@given(document=st.one_of(st.binary(max_size=200), written_texts.map(str.encode), written_texts.map(lambda text: within(text))))
@settings(max_examples=effort(300), deadline=None)
def test_any_bytes_are_read_or_refused(document: bytes) -> None:
    try:
        delivered = read_metadata(document)
    except MetadataRefused:
        return
    assert_links_stay_on_the_host_that_is_asked(delivered)


def within(text: str) -> bytes:
    """A document that would be read, with `text` as it is in its middle."""
    return f"<recording><id>{RECORD_ID}</id><playback><format>video</format><link>{text}</link></playback></recording>".encode()


def assert_links_stay_on_the_host_that_is_asked(delivered: Delivered) -> None:
    for link in (delivered.format.link, *(preview.path for preview in delivered.format.previews)):
        assert link.startswith("/")
        assert not link.startswith("//")
        assert link.isascii()
        assert link.isprintable()
        assert ".." not in link.partition("?")[0].split("/")
