"""insertDocument: slides for a meeting that runs, passed to its server byte for byte."""

from starlette.responses import Response

from gateway.answers import xml_answer
from gateway.authentication import Call
from gateway.known_meetings import require_meeting
from gateway.state import Gateway
from meetingpool.bbb.errors import ValidationError
from meetingpool.domain.meetings import host_id_of
from meetingpool.operations.forget_meeting import forget_if_gone


async def insert_document(gateway: Gateway, call: Call) -> Response:
    meeting, server = await require_meeting(gateway, call)
    if call.body is None:
        raise ValidationError("You must provide the document to insert as XML in the body")
    parameters = {**call.parameters, "meetingID": host_id_of(meeting.key)}
    timeout = gateway.settings.response_timeout
    # Sent once: a repeat could insert the slides twice.
    answer = await gateway.client.call(server.url, server.secret, call.name, parameters.items(), deadline=timeout, body=call.body)
    await forget_if_gone(gateway.database, gateway.view.pool, meeting, answer, timeout)
    return xml_answer(answer.for_clients())
