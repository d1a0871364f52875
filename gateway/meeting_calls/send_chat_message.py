"""sendChatMessage: a line in the public chat of a meeting. BBB knows the call from 3.0 on."""

from starlette.responses import Response

from gateway.answers import xml_answer
from gateway.authentication import Call
from gateway.known_meetings import require_meeting
from gateway.state import Gateway
from meetingpool.bbb.errors import RequestRejected, UnsupportedRequest


async def send_chat_message(gateway: Gateway, call: Call) -> Response:
    meeting, server = await require_meeting(gateway, call)
    try:
        answer = await gateway.relay(call, meeting, server)
    except RequestRejected:
        raise UnsupportedRequest("The meeting's server turned the call away; sendChatMessage needs BigBlueButton 3.0.") from None
    return xml_answer(gateway.document_for_client(answer, meeting))
