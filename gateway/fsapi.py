"""/fsapi: FreeSWITCH (mod_xml_curl) asks here what to do with a telephone call, and gets a dialplan.

It says who it is by a password, as a dialplan names servers and lets people into meetings. What it says of a call comes from the
telephone network in part, and is believed no further than `gateway.dial_in` and `meetingpool.bbb.dialplan` say.
"""

from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response

from gateway.answers import refusal, xml_answer
from gateway.bodies import BodyTooLong, read_body
from gateway.state import Gateway
from meetingpool.bbb.dialplan import NOT_FOUND
from meetingpool.bbb.errors import UnsupportedRequest

MAX_BODY_BYTES = 64 * 1024
MAX_FIELDS = 2000


async def fsapi(request: Request) -> Response:
    gateway: Gateway = request.state.gateway
    if request.method != "POST":
        return refusal(UnsupportedRequest())
    now, address = gateway.clock.monotonic(), request.client.host if request.client else ""
    if refused := gateway.dial_in.door.turn_away(request.headers.get("authorization"), address, now):
        return refused
    channel = await _read_channel(request)
    return xml_answer(NOT_FOUND if channel is None else gateway.dial_in.dialplan(channel, address, now))


async def _read_channel(request: Request) -> dict[str, str] | None:
    """What FreeSWITCH says of the call; None when that is too long, or compressed."""
    if "content-encoding" in request.headers:
        return None
    try:
        return _read_form(await read_body(request, MAX_BODY_BYTES))
    except BodyTooLong:
        return None


def _read_form(body: bytes) -> dict[str, str] | None:
    """The fields of a form, of a repeated one the first value. None when there are more than anybody needs."""
    try:
        fields = parse_qsl(body.decode(errors="replace"), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="replace")
    except ValueError:
        return None
    return dict(reversed(fields))
