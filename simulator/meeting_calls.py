"""The calls about meetings that exist: is it running, what does it look like, who is in it, end it, show or say something."""

from collections.abc import Mapping

from meetingpool.bbb.errors import MissingMeetingID, ValidationError
from simulator.documents import (
    document_inserted_document,
    ended_document,
    index_document,
    meeting_document,
    meetings_document,
    message_sent_document,
    running_document,
    sessions_document,
)
from simulator.meetings import SimulatedMeeting
from simulator.refusals import InvalidPassword, NoSuchMeeting
from simulator.replies import Reply, xml_reply
from simulator.server import SimulatedServer


def index(server: SimulatedServer, _: Mapping[str, str]) -> Reply:
    return xml_reply(index_document(server.version))


def is_meeting_running(server: SimulatedServer, parameters: Mapping[str, str]) -> Reply:
    meeting = server.meetings.get(_meeting_id(parameters))
    return xml_reply(running_document(is_running=meeting is not None and meeting.is_running))


def end(server: SimulatedServer, parameters: Mapping[str, str]) -> Reply:
    """Raises NoSuchMeeting, or InvalidPassword for a password that is not the moderators'."""
    meeting = _existing_meeting(server, parameters)
    if parameters.get("password", "") not in ("", meeting.settings.moderator_password):
        raise InvalidPassword
    server.end(meeting)
    return xml_reply(ended_document())


def get_meeting_info(server: SimulatedServer, parameters: Mapping[str, str]) -> Reply:
    return xml_reply(meeting_document(_existing_meeting(server, parameters)))


def get_meetings(server: SimulatedServer, _: Mapping[str, str]) -> Reply:
    return xml_reply(meetings_document(server.meetings.values()))


def get_sessions(server: SimulatedServer, _: Mapping[str, str]) -> Reply:
    return xml_reply(sessions_document(server.meetings.values()))


def insert_document(server: SimulatedServer, parameters: Mapping[str, str]) -> Reply:
    """The document itself is not kept; the server's `requests` hold the body."""
    _existing_meeting(server, parameters)
    return xml_reply(document_inserted_document())


def send_chat_message(server: SimulatedServer, parameters: Mapping[str, str]) -> Reply:
    """The message itself is not kept; the server's `requests` hold it."""
    _existing_meeting(server, parameters)
    if not 1 <= len(parameters.get("message", "")) <= 500:
        raise ValidationError("Param message must be between 1 and 500 characters")
    if len(parameters.get("userName", "")) > 255:
        raise ValidationError("Param userName must be between 1 and 255 characters")
    return xml_reply(message_sent_document())


def _meeting_id(parameters: Mapping[str, str]) -> str:
    if meeting_id := parameters.get("meetingID", ""):
        return meeting_id
    raise MissingMeetingID("You must provide a meeting ID")


def _existing_meeting(server: SimulatedServer, parameters: Mapping[str, str]) -> SimulatedMeeting:
    meeting = server.meetings.get(_meeting_id(parameters))
    if meeting is None:
        raise NoSuchMeeting
    return meeting
