"""Reads getMeetings and getMeetingInfo documents.

For a poll the people of a meeting are cut out of the bytes before anything is parsed: they are most of the
document, and their number stands beside them.
"""

import re

from meetingpool.bbb import xml
from meetingpool.bbb.answers import Answer, read_answer
from meetingpool.bbb.errors import UnusableAnswer
from meetingpool.domain.meetings import ReportedMeeting
from meetingpool.domain.parameters import OWN_METADATA_PREFIX

MAX_ID_LENGTH = 256
# No meeting has as many people; nonsense beyond it must not add up to more than the database can hold.
MAX_COUNT = 100_000

# What some locale or other puts between groups of digits.
_GROUPING = re.compile(r"[\s.,'\u2019]")

_READ = (
    "meetingID",
    "internalMeetingID",
    "createTime",
    "participantCount",
    "listenerCount",
    "voiceParticipantCount",
    "videoCount",
    "isBreakout",
)
_BY_TELEPHONE = b"<clientType>DIAL-IN<"

GENERATION_METADATA = f"{OWN_METADATA_PREFIX}generation"


def read_poll(document: bytes) -> list[ReportedMeeting]:
    """The meetings that a server lists. Raises UnusableAnswer for anything but a complete SUCCESS."""
    answer = read_answer(_without_attendees(document))
    return [_read_meeting(element) for element in meeting_elements(answer)]


def meeting_elements(answer: Answer) -> list[xml.Element]:
    """The `<meeting>` elements of a getMeetings answer. Raises UnusableAnswer unless it is a SUCCESS."""
    if not answer.succeeded:
        # What else the server calls its failure could be anything, and this goes to logs.
        known = ": checksumError" if answer.message_key == "checksumError" else ""
        raise UnusableAnswer(f"getMeetings failed{known}")
    listed = answer.root.find("meetings")
    if listed is None:
        if answer.message_key == "noMeetings":
            return []
        raise UnusableAnswer("getMeetings has no list of meetings")
    if any(element.tag != "meeting" for element in listed):
        raise UnusableAnswer("getMeetings lists something that is not a meeting")
    return list(listed)


def count_callers(document: bytes) -> int:
    """How many people of a getMeetings document are in by telephone. A look through all of it, for figures only."""
    return document.count(_BY_TELEPHONE)


def read_number(text: str | None) -> int | None:
    """A number as BBB prints it, grouping separators included; None when it is not one."""
    if not text:
        return None
    digits = text if text.isdigit() else _GROUPING.sub("", text)
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 19 else None


def _read_meeting(element: xml.Element) -> ReportedMeeting:
    fields = {child.tag: child.text for child in element.iterchildren(*_READ)}
    meeting_id, internal_id = (fields.get("meetingID") or "").strip(), (fields.get("internalMeetingID") or "").strip()
    if not meeting_id or len(meeting_id) > MAX_ID_LENGTH or len(internal_id) > MAX_ID_LENGTH:
        raise UnusableAnswer("a meeting has no meetingID, or one that BBB would not have accepted")
    return ReportedMeeting(
        meeting_id,
        internal_id,
        created_ms=read_number(fields.get("createTime")),
        users=_count(fields.get("participantCount")),
        videos=_count(fields.get("videoCount")),
        is_breakout=(fields.get("isBreakout") or "").strip().lower() == "true",
        listeners=_count(fields.get("listenerCount")),
        voices=_count(fields.get("voiceParticipantCount")),
    )


def _count(text: str | None) -> int:
    # There are tens of thousands of them in a round of polls, and nearly all look like this.
    if text and len(text) < 6 and text.isascii() and text.isdigit():
        return int(text)
    return min(read_number(text) or 0, MAX_COUNT)


def _without_attendees(document: bytes) -> bytes:
    # Markup that could hide the word "</attendees>" in text (CDATA, a comment) leaves the document as it is.
    if b"!" in document and (b"<![CDATA[" in document or b"<!--" in document):
        return document
    kept: list[bytes] = []
    position = 0
    while (start := document.find(b"<attendees>", position)) >= 0:
        end = document.find(b"</attendees>", start)
        inside = document[start + 1 : max(end, 0)]
        if end < 0 or b"<meeting>" in inside or b"<attendees>" in inside:
            # Not as BBB writes it, or what a person brings along looks like it: that is for the parser to tell.
            return document
        kept.append(document[position:start])
        position = end + len(b"</attendees>")
    kept.append(document[position:])
    return b"".join(kept)
