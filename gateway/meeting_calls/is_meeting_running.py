"""isMeetingRunning: whether anybody is in. An unknown meeting is not running, which is no error."""

from starlette.responses import Response

from gateway.answers import xml_answer
from gateway.authentication import Call
from gateway.state import Gateway
from meetingpool.bbb import xml


async def is_meeting_running(gateway: Gateway, call: Call) -> Response:
    meeting = await gateway.view.find(call.meeting_key)
    server = gateway.server_of(meeting) if meeting else None
    if meeting is None or server is None:
        return xml_answer(xml.response(("returncode", "SUCCESS"), ("running", False)))
    return xml_answer(await gateway.read(call, meeting, server))
