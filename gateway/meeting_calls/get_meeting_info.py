"""getMeetingInfo: all about one meeting, as its server tells it."""

from starlette.responses import Response

from gateway.answers import xml_answer
from gateway.authentication import Call
from gateway.state import Gateway
from meetingpool.bbb.errors import MeetingNotFound
from meetingpool.operations.forget_meeting import forget_if_gone


async def get_meeting_info(gateway: Gateway, call: Call) -> Response:
    meeting = await gateway.view.find(call.meeting_key)
    server = gateway.server_of(meeting) if meeting else None
    if meeting is None or server is None:
        raise MeetingNotFound
    answer = await gateway.relay(call, meeting, server)
    await forget_if_gone(gateway.database, gateway.view.pool, meeting, answer, gateway.settings.response_timeout)
    return xml_answer(answer.for_clients())
