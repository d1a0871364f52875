"""create: the meeting lands on the server with the most room, or is found where it already is."""

from starlette.responses import Response

from gateway.answers import xml_answer
from gateway.authentication import Call
from gateway.state import Gateway
from meetingpool.bbb.answers import OWN_METADATA_PREFIX
from meetingpool.bbb.errors import ValidationError
from meetingpool.domain.meetings import host_id_of
from meetingpool.domain.placement import TagRequest
from meetingpool.operations.place_meeting import Create

_RESERVED_METADATA = f"meta_{OWN_METADATA_PREFIX}"


async def create(gateway: Gateway, call: Call) -> Response:
    key = call.meeting_key
    if not 2 <= len(key.meeting_id) <= 256:
        raise ValidationError("Meeting ID must be between 2 and 256 characters")
    if "," in key.meeting_id:
        raise ValidationError("Meeting ID cannot contain ','")
    parameters = {name: value for name, value in call.parameters.items() if not name.lower().startswith(_RESERVED_METADATA)}
    parameters["meetingID"] = host_id_of(key)
    answer = await gateway.placer.create(
        Create(
            key=key,
            parameters=list(parameters.items()),
            tags=TagRequest.parse(call.text("meta_server-tag")),
            body=call.body,
        )
    )
    return xml_answer(answer.for_clients())
