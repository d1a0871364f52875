"""join: the person's browser is sent to the meeting's server, with a URL that this server will accept."""

from starlette.responses import Response

from gateway.answers import redirect
from gateway.authentication import Call
from gateway.state import Gateway
from meetingpool.bbb.client import signed_url
from meetingpool.bbb.errors import MeetingNotFound, ServerUnavailable
from meetingpool.domain.meetings import host_id_of
from meetingpool.domain.parameters import apply_rules, can_be_shown


async def join(gateway: Gateway, call: Call) -> Response:
    meeting = await gateway.view.find(call.meeting_key)
    if meeting is None:
        raise MeetingNotFound
    server = gateway.server_of(meeting)
    if server is None or not server.serves_joins:
        raise ServerUnavailable
    gateway.require_room_for_people(call.tenant)
    gateway.view.note_join(meeting)
    # The person will be in soon: whoever asks then is not to hear what was true before.
    gateway.reads.drop(meeting.key)
    rules = (*gateway.rules.join, *call.tenant.rules.join)
    given = {name: value for name, value in call.parameters.items() if can_be_shown(name)}
    parameters = {**apply_rules(rules, given), "meetingID": host_id_of(meeting.key)}
    return redirect(signed_url(server.url, server.secret, "join", parameters.items()))
