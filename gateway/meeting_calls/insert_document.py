"""insertDocument: slides for a meeting that runs, passed to its server byte for byte."""

from starlette.responses import Response

from gateway.answers import xml_answer
from gateway.authentication import Call
from gateway.known_meetings import require_meeting
from gateway.state import Gateway
from meetingpool.bbb.errors import ValidationError


async def insert_document(gateway: Gateway, call: Call) -> Response:
    meeting, server = await require_meeting(gateway, call)
    if call.body is None:
        raise ValidationError("You must provide the document to insert as XML in the body")
    answer = await gateway.relay(call, meeting, server)
    return xml_answer(gateway.document_for_client(answer, meeting))
