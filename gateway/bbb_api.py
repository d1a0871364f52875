"""Every call of the BBB API passes here: found by its exact name, verified, answered, and refused in the API's own format."""

from collections.abc import Awaitable, Callable

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.answers import json_refusal, refusal
from gateway.authentication import Call, read_call
from gateway.errors import EXPECTED, api_error
from gateway.limits import busy
from gateway.meeting_calls.create import create
from gateway.meeting_calls.end import end
from gateway.meeting_calls.get_meeting_info import get_meeting_info
from gateway.meeting_calls.get_meetings import get_meetings
from gateway.meeting_calls.get_sessions import get_sessions
from gateway.meeting_calls.get_user import get_user
from gateway.meeting_calls.hooks import create_hook, destroy_hook, list_hooks
from gateway.meeting_calls.insert_document import insert_document
from gateway.meeting_calls.is_meeting_running import is_meeting_running
from gateway.meeting_calls.join import join
from gateway.meeting_calls.send_chat_message import send_chat_message
from gateway.metrics_requests import OTHER, Outcome, outcome_of, outcome_of_error
from gateway.recording_calls.delete_recordings import delete_recordings
from gateway.recording_calls.get_recording_text_tracks import get_recording_text_tracks
from gateway.recording_calls.get_recordings import get_recordings
from gateway.recording_calls.publish_recordings import publish_recordings
from gateway.recording_calls.put_recording_text_track import put_recording_text_track
from gateway.recording_calls.update_recordings import update_recordings
from gateway.session_calls import refuse_session_call
from gateway.state import Gateway
from meetingpool.bbb.calls import CALLS, SESSION_CALLS, CallSpec
from meetingpool.bbb.errors import ApiError, ChecksumError, InternalError, MissingTrackParameter, UnsupportedRequest
from meetingpool.logs import get_logger
from meetingpool.request_ids import HEADER, used_request_id

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
    "getRecordings": get_recordings,
    "publishRecordings": publish_recordings,
    "deleteRecordings": delete_recordings,
    "updateRecordings": update_recordings,
    "getRecordingTextTracks": get_recording_text_tracks,
    "putRecordingTextTrack": put_recording_text_track,
    "getUser": get_user,
    "hooks/create": create_hook,
    "hooks/list": list_hooks,
    "hooks/destroy": destroy_hook,
}


class BbbApi:
    """The application behind `/bigbluebutton/api/`. One itself, as a route's function would cost more than most calls do."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await bbb_api(Request(scope, receive))
        if request_id := used_request_id():
            response.raw_headers.append((HEADER, request_id.encode()))
        await response(scope, receive, send)


async def bbb_api(request: Request) -> Response:
    """Answers a call. A trailing or doubled slash is tolerated, as other balancers do; the name itself is exact."""
    gateway: Gateway = request.scope["state"]["gateway"]
    name, began = request.path_params["call"].strip("/"), gateway.clock.monotonic()
    spec = CALLS.get(name)
    if spec is None:
        return _unknown(gateway, request, name)
    try:
        response = await _answer(gateway, await read_call(request, spec, gateway.keys))
        outcome = outcome_of(response)
    except ChecksumError:
        response, outcome = _unverified(gateway, request, spec), "unverified"
    except ClientDisconnect:  # there is nobody to answer
        raise
    except EXPECTED as error:
        gateway.requests.note_refusal(name, error)
        response, outcome = _refused(spec, api_error(error, name))
    except Exception:  # the outermost frame of a call: a defect of ours is no reason for an HTML page
        log.exception("unexpected_error", call=name)
        response, outcome = _refused(spec, InternalError("Something went wrong; please try again."))
    gateway.requests.note(name, outcome, gateway.clock.monotonic() - began)
    return response


def _unknown(gateway: Gateway, request: Request, name: str) -> Response:
    gateway.requests.note(OTHER, "refused", 0.0)
    session_call = SESSION_CALLS.get(name)
    return refuse_session_call(request.method, session_call) if session_call else refusal(UnsupportedRequest())


def _unverified(gateway: Gateway, request: Request, spec: CallSpec) -> Response:
    if spec.answers_json and b"checksum=" not in request.scope["query_string"]:
        return json_refusal(MissingTrackParameter("checksum"))
    error = ChecksumError(spec.checksum_refusal)
    host = request.client.host if request.client else ""
    return gateway.failed_checksums.refuse(error, host, gateway.clock.monotonic(), in_json=spec.answers_json)


def _refused(spec: CallSpec, error: ApiError) -> tuple[Response, Outcome]:
    return json_refusal(error) if spec.answers_json else refusal(error), outcome_of_error(error)


async def _answer(gateway: Gateway, call: Call) -> Response:
    """Joins need no server, so nobody's hanging one takes their places."""
    handle = HANDLERS[call.name]
    if not gateway.tenants.are_many or handle is join:
        return await handle(gateway, call)
    if not gateway.tenant_shares.enter(call.tenant.id):
        return busy()
    try:
        return await handle(gateway, call)
    finally:
        gateway.tenant_shares.leave(call.tenant.id)
