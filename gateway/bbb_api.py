"""Every call of the BBB API passes here: found by its exact name, verified, answered, and refused in the API's own format."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from gateway.answers import refusal
from gateway.authentication import Call, read_call
from gateway.errors import EXPECTED, api_error
from gateway.meeting_calls.create import create
from gateway.meeting_calls.end import end
from gateway.meeting_calls.get_meeting_info import get_meeting_info
from gateway.meeting_calls.get_meetings import get_meetings
from gateway.meeting_calls.get_sessions import get_sessions
from gateway.meeting_calls.insert_document import insert_document
from gateway.meeting_calls.is_meeting_running import is_meeting_running
from gateway.meeting_calls.join import join
from gateway.meeting_calls.send_chat_message import send_chat_message
from gateway.session_calls import refuse_session_call
from gateway.state import Gateway
from meetingpool.bbb.calls import CALLS, SESSION_CALLS
from meetingpool.bbb.errors import InternalError, UnsupportedRequest
from meetingpool.logs import get_logger

log = get_logger()

Handler = Callable[[Gateway, Call], Awaitable[Response]]

HANDLERS: dict[str, Handler] = {
    "create": create,
    "join": join,
    "isMeetingRunning": is_meeting_running,
    "end": end,
    "getMeetingInfo": get_meeting_info,
    "getMeetings": get_meetings,
    "getSessions": get_sessions,
    "insertDocument": insert_document,
    "sendChatMessage": send_chat_message,
}


async def bbb_api(request: Request) -> Response:
    """Answers a call. A trailing or doubled slash is tolerated, as other balancers do; the name itself is exact."""
    gateway: Gateway = request.state.gateway
    name = request.path_params["call"].strip("/")
    if session_call := SESSION_CALLS.get(name):
        return refuse_session_call(request.method, session_call)
    spec = CALLS.get(name)
    if spec is None:
        return refusal(UnsupportedRequest())
    try:
        call = await read_call(request, spec, gateway.keys)
        return await HANDLERS[name](gateway, call)
    except EXPECTED as error:
        return refusal(api_error(error, name))
    except Exception:  # the outermost frame of a call: a defect of ours is no reason for an HTML page
        log.exception("unexpected_error", call=name)
        return refusal(InternalError("Something went wrong; please try again."))
