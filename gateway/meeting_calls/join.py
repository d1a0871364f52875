"""join: the person's browser is sent to the meeting's server, with a URL that this server will accept."""

from starlette.responses import Response

from gateway.answers import redirect
from gateway.authentication import Call
from gateway.state import Gateway
from meetingpool.bbb.client import signed_url
from meetingpool.bbb.errors import MeetingNotFound, ServerUnavailable
from meetingpool.domain.meetings import host_id_of
from meetingpool.domain.parameters import apply_rules


async def join(gateway: Gateway, call: Call) -> Response:
    meeting = await gateway.view.find(call.meeting_key)
    if meeting is None:
        raise MeetingNotFound
    server = gateway.server_of(meeting)
    if server is None or not server.serves_joins:
        raise ServerUnavailable
    gateway.view.note_join(meeting)
    parameters = {**apply_rules(gateway.rules.join, call.parameters), "meetingID": host_id_of(meeting.key)}
    return redirect(signed_url(server.url, server.secret, "join", parameters.items()))
