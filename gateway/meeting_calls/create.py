"""create: the meeting lands on the server with the most room, or is found where it already is."""

from starlette.responses import Response

from gateway.answers import xml_answer
from gateway.authentication import Call
from gateway.state import Gateway
from meetingpool.bbb.errors import ServerTagUnavailable, ValidationError
from meetingpool.bbb.xml import can_hold
from meetingpool.domain.meetings import MeetingKey, host_id_of
from meetingpool.domain.parameters import Rule, apply_rules, first_filled, is_own_parameter
from meetingpool.domain.placement import NoServerWithTag, TagRequest
from meetingpool.operations.place_meeting import Create

_SERVER_TAG = "meta_server-tag"


async def create(gateway: Gateway, call: Call) -> Response:
    key = call.meeting_key
    _require_usable_id(key)
    rules = gateway.rules.create
    tag = first_filled(rules, call.parameters, _SERVER_TAG) or ""
    parameters = {**_ruled_parameters(rules, call, tag), "meetingID": host_id_of(key)}
    placed = Create(key=key, parameters=list(parameters.items()), tags=TagRequest.parse(tag), body=call.body)
    try:
        answer = await gateway.placer.create(placed)
    except NoServerWithTag:
        raise ServerTagUnavailable(f"There is no available server with the required tag={tag.rstrip('!')}.") from None
    return xml_answer(answer.for_clients())


def _require_usable_id(key: MeetingKey) -> None:
    if not 2 <= len(key.meeting_id) <= 256:
        raise ValidationError("Meeting ID must be between 2 and 256 characters")
    if not can_hold(key.meeting_id):
        raise ValidationError("Invalid meeting ID")
    if "," in key.meeting_id:
        raise ValidationError("Meeting ID cannot contain ','")


def _ruled_parameters(rules: tuple[Rule, ...], call: Call, tag: str) -> dict[str, str]:
    """What goes to the server: nothing of ours from the caller, the rules, and of the tags the one that decides."""
    ruled = apply_rules(rules, {name: value for name, value in call.parameters.items() if not is_own_parameter(name)})
    return {**ruled, _SERVER_TAG: tag} if _SERVER_TAG in ruled and tag else ruled
