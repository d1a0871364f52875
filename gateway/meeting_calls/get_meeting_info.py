"""getMeetingInfo: all about one meeting, as its server tells it."""

from starlette.responses import Response

from gateway.answers import xml_answer
from gateway.authentication import Call
from gateway.known_meetings import require_meeting
from gateway.state import Gateway


async def get_meeting_info(gateway: Gateway, call: Call) -> Response:
    meeting, server = await require_meeting(gateway, call)
    return xml_answer(await gateway.read(call, meeting, server))
