"""A list of meetings is cut into its meetings: as bytes where it is written as BBB writes it, by parsing otherwise."""

import pytest
from lxml import etree

from gateway.meeting_lists import ListedMeeting, cut_list, read_piece
from meetingpool.bbb.errors import UnusableAnswer

ONE = b"<meeting><meetingID>a &amp; b</meetingID><attendees><attendee><fullName>x</fullName></attendee></attendees></meeting>"
TWO = b"<meeting><meetingID>two</meetingID><parentMeetingID>p</parentMeetingID></meeting>"


def read_list(document: bytes) -> list[ListedMeeting]:
    return [read_piece(piece) for piece in cut_list(document)]


def listing(*meetings: bytes, between: bytes = b"") -> bytes:
    return b"<response><returncode>SUCCESS</returncode><meetings>" + between.join(meetings) + b"</meetings></response>"


@pytest.mark.parametrize(
    "document",
    [
        listing(ONE, TWO),
        listing(ONE, TWO, between=b"\n    "),
        b"\n<response>\n  <returncode>SUCCESS</returncode>\n  <meetings>\n" + ONE + b"\n" + TWO + b"\n</meetings>\n</response>\n",
        b'<?xml version="1.0"?>' + listing(ONE, TWO),
        b"<!-- a comment -->" + listing(ONE, TWO),
        listing(ONE, TWO).replace(b"<meetings>", b"<messageKey/><meetings>"),
        listing(ONE, TWO).replace(b"a &amp; b", b"<![CDATA[a & b]]>"),
    ],
)
def test_a_list_is_cut_into_its_meetings_however_it_is_written(document: bytes) -> None:
    listed = read_list(document)
    assert [(meeting.host_id, meeting.parent) for meeting in listed] == [("a & b", None), ("two", "p")]
    assert all(etree.fromstring(meeting.document).tag == "meeting" for meeting in listed)


@pytest.mark.parametrize(
    "document",
    [
        listing(ONE, TWO)[:-5],
        listing(ONE)[: listing(ONE).find(b"</meeting>")],
        listing(ONE).replace(b"SUCCESS", b"FAILED"),
        b"<html></html>",
        b"",
    ],
)
def test_what_is_no_complete_list_is_not_cut(document: bytes) -> None:
    with pytest.raises(UnusableAnswer):
        cut_list(document)


@pytest.mark.parametrize(
    "meeting",
    [
        b"<meeting><meetingID>x</meetingID></wrong></meeting>",
        b"<meeting><meetingID>x</meeting>",
        b"<meeting><meetingID>x</meetingID></meeting></meetings></response><response><meetings><meeting></meeting>",
        b"<meeting><meetingID>&unknown;</meetingID></meeting>",
    ],
)
def test_a_meeting_that_would_break_the_whole_list_is_refused(meeting: bytes) -> None:
    with pytest.raises(UnusableAnswer):
        read_list(listing(meeting))


def test_an_empty_list_has_no_meetings() -> None:
    assert cut_list(listing()) == []
    assert cut_list(b"<response><returncode>SUCCESS</returncode><meetings/><messageKey>noMeetings</messageKey></response>") == []
