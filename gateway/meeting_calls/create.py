"""create: the meeting lands on the server with the most room, or is found where it already is."""

from starlette.responses import Response

from gateway.answers import xml_answer
from gateway.authentication import Call
from gateway.limits import busy, is_overrun
from gateway.state import Gateway
from meetingpool.bbb.errors import ServerTagUnavailable, ValidationError
from meetingpool.bbb.xml import can_hold
from meetingpool.domain.meetings import MeetingKey, host_id_of
from meetingpool.domain.parameters import apply_rules, first_filled, is_own_parameter
from meetingpool.domain.placement import NoServerWithTag, TagRequest
from meetingpool.domain.voice_bridges import is_usable
from meetingpool.operations.send_create import SERVER_TAG, Create


async def create(gateway: Gateway, call: Call) -> Response:
    key = call.meeting_key
    _require_usable_id(key)
    if is_overrun(gateway):
        return busy()
    if key not in gateway.view.pool.meetings:
        gateway.require_room_for_people(call.tenant)
    rules = (*gateway.rules.create, *call.tenant.rules.create)
    tag = first_filled(rules, call.parameters, SERVER_TAG) or ""
    # Nothing of ours from the caller.
    given = {name: value for name, value in call.parameters.items() if not is_own_parameter(name)}
    parameters = apply_rules(rules, given)
    placed = Create(
        key=key,
        parameters=parameters,
        tenant=call.tenant,
        base_url=gateway.tenants.base_url(call.request),
        tags=TagRequest.parse(tag, call.tenant.server_tags),
        regions=gateway.regions.of(call, rules),
        body=call.body,
        voice_bridge=_voice_bridge(gateway, parameters),
        lrs=await gateway.learning_records.access_of(call.tenant),
    )
    try:
        answer = await gateway.placer.create(placed)
    except NoServerWithTag:
        raise ServerTagUnavailable(f"There is no available server with the required tag={tag.rstrip('!')}.") from None
    return xml_answer(answer.for_clients(host_id_of(key), key.meeting_id))


def _require_usable_id(key: MeetingKey) -> None:
    if not 2 <= len(key.meeting_id) <= 256:
        raise ValidationError("Meeting ID must be between 2 and 256 characters")
    if not can_hold(key.meeting_id):
        raise ValidationError("Invalid meeting ID")
    if "," in key.meeting_id:
        raise ValidationError("Meeting ID cannot contain ','")


def _voice_bridge(gateway: Gateway, parameters: dict[str, str]) -> str | None:
    """The caller's, where callers may choose."""
    wanted = parameters.get("voiceBridge", "")
    if not gateway.settings.use_external_voice_bridge or not is_usable(wanted):
        return None
    # A breakout room's number is its meeting's and a digit more: no other meeting may have it.
    rooms = (wanted[:-1], *(f"{wanted}{digit}" for digit in range(10)))
    return None if any(map(gateway.view.pool.meeting_with_bridge, rooms)) else wanted
