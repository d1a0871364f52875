import pytest

from meetingpool.bbb.errors import UnusableAnswer
from meetingpool.bbb.meetings import count_callers, read_number, read_poll
from meetingpool.domain.meetings import ReportedMeeting

ANTONS_ROOM = """
    <meeting>
      <meetingName>Anton's Room</meetingName>
      <meetingID>gbesu6dht08</meetingID>
      <internalMeetingID>a0715c95-1715261728123</internalMeetingID>
      <createTime>1715261728123</createTime>
      <createDate>Thu May 09 13:35:28 UTC 2024</createDate>
      <voiceBridge>66052</voiceBridge>
      <attendeePW>1umEM3ic</attendeePW>
      <moderatorPW>V91JirCa</moderatorPW>
      <running>true</running>
      <participantCount>3</participantCount>
      <listenerCount>1</listenerCount>
      <voiceParticipantCount>2</voiceParticipantCount>
      <videoCount>2</videoCount>
      <maxUsers>0</maxUsers>
      <moderatorCount>1</moderatorCount>
      <attendees>
        <attendee>
          <userID>gl-42</userID>
          <fullName>Anton G</fullName>
          <customdata><bbb_custom_style>body { }</bbb_custom_style></customdata>
        </attendee>
      </attendees>
      <metadata>
        <bbb-origin>greenlight</bbb-origin>
        <meetingpool-generation>4</meetingpool-generation>
      </metadata>
      <isBreakout>false</isBreakout>
    </meeting>"""
READ_AS = ReportedMeeting(
    meeting_id="gbesu6dht08",
    internal_id="a0715c95-1715261728123",
    created_ms=1715261728123,
    users=3,
    videos=2,
    is_breakout=False,
    listeners=1,
    voices=2,
)


def listing(*meetings: str) -> bytes:
    return f"<response>\n<returncode>SUCCESS</returncode>\n<meetings>{''.join(meetings)}</meetings>\n</response>".encode()


def room(fields: str, meeting_id: str = "room") -> str:
    return f"<meeting><meetingID>{meeting_id}</meetingID>{fields}</meeting>"


def read_one(fields: str) -> ReportedMeeting:
    (meeting,) = read_poll(listing(room(fields)))
    return meeting


def test_meeting_is_read_with_what_a_poll_needs() -> None:
    assert read_poll(listing(ANTONS_ROOM)) == [READ_AS]


def test_meeting_of_which_nothing_but_the_id_is_known_counts_as_empty() -> None:
    assert read_one("") == ReportedMeeting(
        meeting_id="room", internal_id="", created_ms=None, users=0, videos=0, is_breakout=False
    )


@pytest.mark.parametrize(
    "document",
    [
        b"<response><returncode>SUCCESS</returncode><meetings/></response>",
        b"<response><returncode>SUCCESS</returncode><meetings></meetings></response>",
        b"<response><returncode>SUCCESS</returncode><meetings/><messageKey>noMeetings</messageKey></response>",
        b"<response><returncode>SUCCESS</returncode><messageKey>noMeetings</messageKey><message/></response>",
    ],
)
def test_server_may_say_in_several_ways_that_it_has_no_meetings(document: bytes) -> None:
    assert read_poll(document) == []


@pytest.mark.parametrize(
    "document",
    [
        b"<response><returncode>SUCCESS</returncode></response>",
        b"<response><returncode>FAILED</returncode><messageKey>checksumError</messageKey></response>",
        b"<response><returncode>FAILED</returncode><meetings/></response>",
        b"<html><body>502</body></html>",
        b"",
        listing("<meeting><meetingName>no id</meetingName></meeting>"),
        listing("<meeting><meetingID/></meeting>"),
        listing(ANTONS_ROOM)[:-12],
    ],
)
def test_anything_else_is_a_failed_poll_and_not_an_empty_server(document: bytes) -> None:
    with pytest.raises(UnusableAnswer):
        read_poll(document)


@pytest.mark.parametrize("end", ["<attendees>", "Anton G", "</attendees>", "<isBreakout>"])
def test_document_that_was_cut_anywhere_is_a_failed_poll(end: str) -> None:
    document = listing(ANTONS_ROOM, ANTONS_ROOM)

    with pytest.raises(UnusableAnswer):
        read_poll(document[: document.rindex(end.encode()) + len(end)])


@pytest.mark.parametrize(
    "attendees",
    [
        "",
        "<attendees/>",
        "<attendees></attendees>",
        "<attendees><attendee><fullName>&lt;/attendees&gt;&lt;meetingID&gt;x</fullName></attendee></attendees>",
        "<attendees><attendee><fullName>&amp;&#60;</fullName></attendee></attendees>",
        "<attendees><attendee><fullName><![CDATA[</attendees></meeting>]]></fullName></attendee></attendees>",
        "<attendees><!-- </attendees> --><attendee/></attendees>",
        "<!-- <attendees> -->",
        "<meetingName><![CDATA[<attendees>]]></meetingName><attendees/>",
        '<attendees count="1"><attendee><meetingID>x</meetingID></attendee></attendees>',
    ],
)
def test_attendees_change_nothing_of_what_is_read(attendees: str) -> None:
    fields = "<participantCount>7</participantCount>{}<isBreakout>true</isBreakout>"

    document = listing(room(fields.format(attendees), "one"), room("<videoCount>2</videoCount>", "two"))

    assert [(m.meeting_id, m.users, m.videos, m.is_breakout) for m in read_poll(document)] == [
        ("one", 7, 0, True),
        ("two", 0, 2, False),
    ]


def test_id_is_read_as_the_server_knows_it() -> None:
    (meeting,) = read_poll(listing(room("", "a&amp;b &lt;c&gt; ä")))

    assert meeting.meeting_id == "a&b <c> ä"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        (" 12 ", 12),
        ("1,234", 1234),
        ("1.234.567", 1234567),
        ("12,34,567", 1234567),
        ("1\u00a0234", 1234),
        ("1\u202f234", 1234),
        ("1\u2019234", 1234),
        ("", None),
        (None, None),
        ("-1", None),
        ("abc", None),
        ("1e3", None),
        ("0x10", None),
        ("٣", None),
        ("²", None),
        ("9" * 19, None),
    ],
)
def test_number_is_read_with_the_separators_of_any_locale(text: str | None, number: int | None) -> None:
    assert read_number(text) == number


@pytest.mark.parametrize("created", ["", "<createTime/>", "<createTime>yesterday</createTime>", "<createTime>-5</createTime>"])
def test_missing_or_senseless_create_time_is_none(created: str) -> None:
    assert read_one(created).created_ms is None


def test_people_beyond_a_thousand_are_counted() -> None:
    assert read_one("<participantCount>1,234</participantCount>").users == 1234


@pytest.mark.parametrize(
    ("text", "is_breakout"), [("true", True), (" True\n", True), ("false", False), ("", False), ("1", False)]
)
def test_breakout_rooms_are_told_apart(text: str, is_breakout: bool) -> None:
    breakout = "<parentMeetingID>a0715c95-1715261728123</parentMeetingID><sequence>1</sequence>"

    assert read_one(f"<isBreakout>{text}</isBreakout>{breakout}").is_breakout == is_breakout


def test_metadata_cannot_pose_as_a_field() -> None:
    fields = "<participantCount>3</participantCount><metadata><participantCount>900</participantCount></metadata>"

    assert read_one(fields).users == 3


def test_people_by_telephone_are_counted() -> None:
    caller = "<attendees><attendee><clientType>DIAL-IN</clientType></attendee></attendees>"
    person = "<attendees><attendee><clientType>HTML5</clientType></attendee></attendees>"

    assert count_callers(listing(room(caller, "one"), room(person, "two"), room(caller, "three"))) == 2
