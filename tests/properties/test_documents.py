"""Whatever text we write is well-formed, and whatever bytes we are sent are read or refused."""

from contextlib import suppress
from xml.parsers import expat

from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from meetingpool.bbb import xml
from meetingpool.bbb.answers import read_answer
from meetingpool.bbb.errors import UnusableAnswer
from meetingpool.bbb.meetings import read_number, read_poll

POLL = (
    b"<response>\n<returncode>SUCCESS</returncode>\n<meetings>\n"
    b"<meeting><meetingID>one</meetingID><internalMeetingID>1-17</internalMeetingID><createTime>1715261728123</createTime>"
    b"<participantCount>1,234</participantCount><videoCount>2</videoCount>"
    b"<attendees><attendee><fullName>Ada &lt;b&gt; \xc3\xa4</fullName></attendee></attendees>"
    b"<metadata><meetingpool-generation>1</meetingpool-generation></metadata><isBreakout>false</isBreakout></meeting>\n"
    b"<meeting><meetingID><![CDATA[two]]></meetingID><attendees/><metadata/></meeting>\n"
    b"</meetings></response>"
)

# Also surrogates, which JSON and the file system can put into a str.
any_text = st.text(st.integers(0, 0x10FFFF).map(chr), max_size=40)
element_names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,8}", fullmatch=True)
contents = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), any_text),
    lambda inner: st.lists(st.tuples(element_names, inner), max_size=4),
    max_leaves=12,
)

markup = st.sampled_from(
    [
        b"<attendees>",
        b"</attendees>",
        b"<meeting>",
        b"</meeting>",
        b"<!--",
        b"-->",
        b"<![CDATA[",
        b"]]>",
        b"<?x ?>",
        b"<!DOCTYPE a>",
        b'<?xml version="1.0" encoding="UTF-7"?>',
        b"&a;",
        b"&#0;",
        b"&#xD800;",
        b"\x00",
        b"\xff",
        b"<",
        b">",
        b"&",
        b" xmlns='a'",
        b"<a:b/>",
        b"9" * 30,
    ]
)


@st.composite
def mutated_polls(draw: st.DrawFn) -> bytes:
    document = POLL
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(document)))
        removed = draw(st.one_of(st.integers(0, 5), st.integers(0, len(document))))
        inserted = draw(st.one_of(st.just(b""), markup, st.binary(max_size=4)))
        document = document[:start] + inserted + document[start + removed :]
    return document


def legal(text: str) -> str:
    """What XML 1.0 can hold of `text`."""

    def is_legal(code: int) -> bool:
        return code in (0x9, 0xA, 0xD) or 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or code >= 0x10000

    return "".join(character for character in text if is_legal(ord(character)))


def text_by_expat(document: bytes) -> str:
    pieces: list[str] = []
    parser = expat.ParserCreate()
    parser.CharacterDataHandler = pieces.append
    parser.Parse(document, True)
    return "".join(pieces)


@given(text=any_text)
def test_any_text_comes_back_without_what_xml_cannot_hold(text: str) -> None:
    document = xml.write("name", text)

    assert (etree.fromstring(document).text or "") == legal(text)
    assert text_by_expat(document) == legal(text)
    assert (xml.parse(document).text or "") == legal(text)


@given(content=contents, name=element_names)
def test_any_content_is_well_formed(content: xml.Content, name: str) -> None:
    document = xml.write(name, content)

    text_by_expat(document)
    assert xml.serialise(xml.parse(document)) == etree.tostring(etree.fromstring(document), encoding="utf-8")


@given(fields=st.lists(st.tuples(element_names, any_text), max_size=6))
def test_fields_keep_their_names_and_order(fields: list[tuple[str, str]]) -> None:
    root = xml.parse(xml.response(*fields))

    assert [(child.tag, child.text or "") for child in root] == [(name, legal(text)) for name, text in fields]


@given(name=any_text)
def test_name_is_refused_or_well_formed(name: str) -> None:
    with suppress(ValueError):
        text_by_expat(xml.write(name, "text"))


@given(document=st.one_of(st.binary(max_size=200), mutated_polls()))
def test_parser_reads_or_refuses(document: bytes) -> None:
    with suppress(xml.NotXml):
        xml.require_shallow(xml.parse(document))


@given(document=st.one_of(st.binary(max_size=200), mutated_polls()))
def test_answer_is_read_or_unusable(document: bytes) -> None:
    with suppress(UnusableAnswer):
        assert read_answer(document).document == document


@given(document=mutated_polls())
def test_poll_is_read_or_unusable(document: bytes) -> None:
    with suppress(UnusableAnswer):
        for meeting in read_poll(document):
            assert meeting.meeting_id
            assert meeting.users >= 0


@given(length=st.integers(0, len(POLL) - 1))
def test_part_of_a_poll_is_never_taken_for_the_whole(length: int) -> None:
    refused = False
    try:
        read_poll(POLL[:length])
    except UnusableAnswer:
        refused = True

    assert refused


@given(name=any_text, count=st.integers(0, 100_000))
def test_no_attendees_name_changes_what_a_poll_reads(name: str, count: int) -> None:
    attendee = ("attendee", (("fullName", name), ("meetingID", name)))
    fields = (("meetingID", "room"), ("attendees", (attendee, attendee)), ("participantCount", count))
    document = xml.response(("returncode", "SUCCESS"), ("meetings", (("meeting", fields),)))

    (meeting,) = read_poll(document)

    assert (meeting.meeting_id, meeting.users) == ("room", count)


@given(number=st.integers(0, 10**18 - 1), separator=st.sampled_from([",", ".", "\u00a0", "\u202f", ""]))
def test_number_is_read_with_any_separator(number: int, separator: str) -> None:
    assert read_number(f"{number:,}".replace(",", separator)) == number


@given(text=any_text)
def test_any_text_is_a_number_or_none(text: str) -> None:
    number = read_number(text)

    assert number is None or number >= 0
