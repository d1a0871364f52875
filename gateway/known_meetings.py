"""From a verified call to the meeting that it is about. Used by the calls that make no sense without one."""

from gateway.authentication import Call
from gateway.state import Gateway
from meetingpool.bbb.errors import MeetingNotFound
from meetingpool.domain.meetings import Meeting
from meetingpool.domain.servers import Server


async def require_meeting(gateway: Gateway, call: Call) -> tuple[Meeting, Server]:
    """The meeting that `call` names, and its server. Raises MissingMeetingID, MeetingNotFound or DatabaseUnavailable."""
    meeting = await gateway.view.find(call.meeting_key)
    server = gateway.server_of(meeting) if meeting else None
    if meeting is None or server is None:
        raise MeetingNotFound
    return meeting, server
