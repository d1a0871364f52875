"""How somebody gets in and out: the join call, the arrival at the HTML5 client, and signOut."""

import re
from collections.abc import Mapping

from meetingpool.bbb.errors import MissingMeetingID
from simulator.documents import joined_document, signed_out_document
from simulator.meetings import Role, SimulatedMeeting
from simulator.refusals import (
    CreateTimeMismatch,
    InvalidMeetingIdentifier,
    InvalidPassword,
    MeetingForciblyEnded,
    MeetingIsFull,
    MissingFullName,
    RoleRequired,
)
from simulator.replies import Reply, html_reply, redirect, xml_reply
from simulator.server import SimulatedServer

_CUSTOM_DATA = re.compile(r"userdata-([A-Za-z_][A-Za-z0-9_.]*)\Z")


def join(server: SimulatedServer, parameters: Mapping[str, str]) -> Reply:
    """Raises a refusal for who may not come in. A person counts from their arrival at the client on."""
    full_name = parameters.get("fullName", "")
    if not full_name:
        raise MissingFullName
    meeting = _meeting_to_join(server, parameters)
    role = _role(meeting, parameters)
    if parameters.get("createTime", "") not in ("", str(meeting.created_ms)):
        raise CreateTimeMismatch
    if meeting.is_full:
        raise MeetingIsFull
    person = server.let_in(meeting, full_name, role, user_id=parameters.get("userID", ""), custom_data=_custom_data(parameters))
    url = f"{server.origin}/html5client/?sessionToken={person.session_token}"
    if parameters.get("redirect", "").lower() == "false":
        return xml_reply(joined_document(meeting, person, url))
    return redirect(url)


def arrive(server: SimulatedServer, parameters: Mapping[str, str]) -> Reply:
    if not server.arrive(parameters.get("sessionToken", "")):
        return html_reply(404, "This session is over, or never was.")
    return html_reply(200, "You are in the meeting.")


def sign_out(server: SimulatedServer, parameters: Mapping[str, str]) -> Reply:
    server.leave(parameters.get("sessionToken", ""))
    return xml_reply(signed_out_document())


def _meeting_to_join(server: SimulatedServer, parameters: Mapping[str, str]) -> SimulatedMeeting:
    meeting_id = parameters.get("meetingID", "")
    if not meeting_id:
        raise MissingMeetingID("You must provide a meeting ID")
    if meeting := server.meetings.get(meeting_id):
        return meeting
    raise MeetingForciblyEnded if server.was_forcibly_ended(meeting_id) else InvalidMeetingIdentifier


def _role(meeting: SimulatedMeeting, parameters: Mapping[str, str]) -> Role:
    """A valid role wins over the password."""
    role, password = parameters.get("role", "").upper(), parameters.get("password", "")
    if role in Role.__members__:
        return Role(role)
    if not password:
        raise RoleRequired
    if password == meeting.settings.moderator_password:
        return Role.MODERATOR
    if password == meeting.settings.attendee_password:
        return Role.VIEWER
    raise InvalidPassword


def _custom_data(parameters: Mapping[str, str]) -> dict[str, str]:
    named = ((_CUSTOM_DATA.match(name), value) for name, value in parameters.items())
    return {match[1]: value for match, value in named if match}
