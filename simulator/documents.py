"""The XML documents of a BBB server, element by element in the order of its answer templates.

Called by the API calls. A meeting's element is kept until the meeting changes, so that a load test's getMeetings costs a
join of bytes.
"""

from collections.abc import Iterable
from datetime import UTC, datetime

from meetingpool.bbb import xml
from simulator.meetings import MeetingSettings, Person, Role, SimulatedMeeting

_SUCCESS: xml.Field = ("returncode", "SUCCESS")


def index_document(version: str) -> bytes:
    return xml.response(_SUCCESS, ("version", "2.0"), ("apiVersion", "2.0"), ("bbbVersion", version))


def created_document(meeting: SimulatedMeeting, *, is_duplicate: bool) -> bytes:
    settings = meeting.settings
    key, message = _DUPLICATE if is_duplicate else ("", "")
    return xml.response(
        _SUCCESS,
        ("meetingID", settings.meeting_id),
        ("internalMeetingID", meeting.internal_id),
        ("parentMeetingID", settings.parent or "bbb-none"),
        ("attendeePW", settings.attendee_password),
        ("moderatorPW", settings.moderator_password),
        ("createTime", meeting.created_ms),
        ("voiceBridge", settings.voice_bridge),
        ("dialNumber", settings.dial_number),
        ("createDate", java_date(meeting.created_ms)),
        ("hasUserJoined", meeting.has_user_joined),
        ("duration", settings.duration_minutes),
        ("hasBeenForciblyEnded", False),
        ("messageKey", key),
        ("message", message),
    )


def joined_document(meeting: SimulatedMeeting, person: Person, url: str) -> bytes:
    return xml.response(
        _SUCCESS,
        ("messageKey", "successfullyJoined"),
        ("message", "You have joined successfully."),
        ("meeting_id", meeting.internal_id),
        ("user_id", person.internal_id),
        ("auth_token", person.auth_token),
        ("session_token", person.session_token),
        ("guestStatus", "ALLOW"),
        ("url", url),
    )


def running_document(*, is_running: bool) -> bytes:
    return xml.response(_SUCCESS, ("running", is_running))


def ended_document() -> bytes:
    return xml.response(
        _SUCCESS,
        ("messageKey", "sentEndMeetingRequest"),
        ("message", _END_WAS_REQUESTED),
    )


def document_inserted_document() -> bytes:
    return xml.response(_SUCCESS, ("message", "Presentation is being uploaded"))


def message_sent_document() -> bytes:
    return xml.response(_SUCCESS, ("messageKey", ""), ("message", ""))


def signed_out_document() -> bytes:
    return xml.response(_SUCCESS)


def meeting_document(meeting: SimulatedMeeting) -> bytes:
    """The getMeetingInfo answer: the children of `<meeting>` directly below `<response>`."""
    inner = meeting_element(meeting).removeprefix(b"<meeting>").removesuffix(b"</meeting>")
    return b"<response><returncode>SUCCESS</returncode>" + inner + b"</response>"


def meetings_document(meetings: Iterable[SimulatedMeeting]) -> bytes:
    listed = b"".join(map(meeting_element, meetings))
    if not listed:
        return no_meetings_document()
    return b"<response><returncode>SUCCESS</returncode><meetings>" + listed + b"</meetings></response>"


def no_meetings_document() -> bytes:
    return xml.response(
        _SUCCESS,
        ("meetings", None),
        ("messageKey", "noMeetings"),
        ("message", "no meetings were found on this server"),
    )


def sessions_document(meetings: Iterable[SimulatedMeeting]) -> bytes:
    """One `<meeting>` for each person, which names the meeting by its internal id."""
    sessions = tuple(("meeting", _session_fields(meeting, person)) for meeting in meetings for person in meeting.people.values())
    if sessions:
        return xml.response(_SUCCESS, ("sessions", sessions))
    # The misspelling is BBB's.
    nobody = (("messageKey", "noSessions"), ("message", "no sessions were found on this serverr"))
    return xml.response(_SUCCESS, ("sessions", None), *nobody)


def meeting_element(meeting: SimulatedMeeting) -> bytes:
    if meeting.rendered is None:
        meeting.rendered = xml.write("meeting", _meeting_fields(meeting))
    return meeting.rendered


def java_date(milliseconds: int) -> str:
    """As Java's `Date.toString()` prints it on a server that runs in UTC."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%a %b %d %H:%M:%S UTC %Y")


_END_WAS_REQUESTED = (
    "A request to end the meeting was sent.  Please wait a few seconds, and then use the getMeetingInfo or "
    "isMeetingRunning API calls to verify that it was ended."
)
_DUPLICATE = (
    "duplicateWarning",
    "This conference was already in existence and may currently be in progress.",
)


def _meeting_fields(meeting: SimulatedMeeting) -> list[xml.Field]:
    settings = meeting.settings
    return [
        ("meetingName", settings.name),
        ("meetingID", settings.meeting_id),
        ("internalMeetingID", meeting.internal_id),
        ("createTime", meeting.created_ms),
        ("createDate", java_date(meeting.created_ms)),
        ("voiceBridge", settings.voice_bridge),
        ("dialNumber", settings.dial_number),
        ("attendeePW", settings.attendee_password),
        ("moderatorPW", settings.moderator_password),
        ("running", meeting.is_running),
        ("duration", settings.duration_minutes),
        ("hasUserJoined", meeting.has_user_joined),
        ("recording", settings.is_recorded),
        ("hasBeenForciblyEnded", False),
        ("startTime", meeting.created_ms),
        ("endTime", 0),
        *_people_fields(meeting),
        ("metadata", tuple(settings.metadata.items())),
        *_breakout_fields(settings),
        *_parent_fields(meeting),
    ]


def _session_fields(meeting: SimulatedMeeting, person: Person) -> list[xml.Field]:
    return [
        ("meetingID", meeting.internal_id),
        ("meetingName", meeting.settings.name),
        ("userName", person.full_name),
    ]


def _people_fields(meeting: SimulatedMeeting) -> list[xml.Field]:
    people = list(meeting.people.values())
    presenter = meeting.presenter
    return [
        ("participantCount", len(people)),
        ("listenerCount", sum(person.is_listening_only for person in people)),
        ("voiceParticipantCount", sum(person.has_joined_voice for person in people)),
        ("videoCount", sum(person.has_video for person in people)),
        ("maxUsers", meeting.settings.max_participants),
        ("moderatorCount", sum(person.role is Role.MODERATOR for person in people)),
        ("attendees", [("attendee", _attendee_fields(person, is_presenter=person is presenter)) for person in people]),
    ]


def _attendee_fields(person: Person, *, is_presenter: bool) -> list[xml.Field]:
    fields: list[xml.Field] = [
        ("userID", person.user_id),
        ("fullName", person.full_name),
        ("role", person.role),
        ("isPresenter", is_presenter),
        ("isListeningOnly", person.is_listening_only),
        ("hasJoinedVoice", person.has_joined_voice),
        ("hasVideo", person.has_video),
        ("clientType", "HTML5"),
    ]
    if person.custom_data:
        fields.append(("customdata", tuple(person.custom_data.items())))
    return fields


def _breakout_fields(settings: MeetingSettings) -> list[xml.Field]:
    if settings.parent is None:
        return [("isBreakout", False)]
    return [
        ("isBreakout", True),
        ("parentMeetingID", settings.parent),
        ("sequence", settings.sequence),
        ("freeJoin", settings.is_free_join),
    ]


def _parent_fields(meeting: SimulatedMeeting) -> list[xml.Field]:
    if not meeting.breakout_rooms:
        return []
    return [("breakoutRooms", [("breakout", room) for room in meeting.breakout_rooms])]
