"""The calls of a simulated server and the URL map that leads to them.

`application.py` asks `call_of` what a request wants, and `answer` for the reply.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from meetingpool.bbb.errors import ApiError
from simulator import create_call, hook_calls, join_call, meeting_calls
from simulator.refusals import refusal_document
from simulator.replies import Reply, html_reply, xml_reply
from simulator.requests import FORM_TYPES, XML_TYPES, Request, read_signed_parameters, require_content_type
from simulator.server import SimulatedServer

_API = "/bigbluebutton/api"
_GET = frozenset({"GET"})
_POST = frozenset({"POST"})
_BOTH = _GET | _POST
_HOOKS = "hooks/"
_HOOKS_REFUSAL = "You did not pass the checksum security check."


@dataclass(frozen=True, slots=True)
class Call:
    """An entry of the call catalogue. `content_types` are those a body may have."""

    act: Callable[[SimulatedServer, Mapping[str, str]], Reply]
    methods: frozenset[str] = _BOTH
    content_types: frozenset[str] = FORM_TYPES
    is_signed: bool = True
    checksum_refusal: str = "Checksums do not match"


CALLS = {
    "index": Call(meeting_calls.index, _GET, is_signed=False),
    "create": Call(create_call.create, content_types=FORM_TYPES | XML_TYPES),
    "join": Call(join_call.join, _GET),
    "isMeetingRunning": Call(meeting_calls.is_meeting_running),
    "end": Call(meeting_calls.end),
    "getMeetingInfo": Call(meeting_calls.get_meeting_info),
    "getMeetings": Call(meeting_calls.get_meetings),
    "getSessions": Call(meeting_calls.get_sessions),
    "insertDocument": Call(meeting_calls.insert_document, _POST, XML_TYPES),
    "sendChatMessage": Call(meeting_calls.send_chat_message, _GET),
    "signOut": Call(join_call.sign_out, is_signed=False),
    "html5client": Call(join_call.arrive, _GET, is_signed=False),
    f"{_HOOKS}create": Call(hook_calls.create, _GET, checksum_refusal=_HOOKS_REFUSAL),
    f"{_HOOKS}list": Call(hook_calls.list_hooks, _GET, checksum_refusal=_HOOKS_REFUSAL),
    f"{_HOOKS}destroy": Call(hook_calls.destroy, _GET, checksum_refusal=_HOOKS_REFUSAL),
    f"{_HOOKS}ping": Call(hook_calls.ping, _GET, is_signed=False),
}

_OTHER_PATHS = {
    "/bigbluebutton": "index",
    "/bigbluebutton/": "index",
    _API: "index",
    f"{_API}/": "index",
    "/html5client": "html5client",
    "/html5client/": "html5client",
    "/html5client/join": "html5client",
}


def call_of(path: str) -> str | None:
    """The name of the call at `path`, known or not; None outside of the API."""
    if name := _OTHER_PATHS.get(path):
        return name
    return path.removeprefix(f"{_API}/") if path.startswith(f"{_API}/") else None


def record(server: SimulatedServer, name: str, request: Request) -> None:
    """Notes a call that is not going to be acted upon."""
    try:
        parameters = read_signed_parameters(request).values
    except ApiError:
        parameters = {}
    server.record(name, parameters, request.body, request.content_type)


def answer(server: SimulatedServer, name: str, request: Request) -> Reply:
    """Acts on a call. Refusals are answers too; only what BBB has no action for is an HTTP error."""
    call = CALLS.get(name)
    if call is None or (name.startswith(_HOOKS) and not server.has_webhooks):
        return html_reply(404, "There is no such call.")
    if request.method not in call.methods:
        return html_reply(405, "This call does not take that method.")
    try:
        return _act(server, name, call, request)
    except ApiError as refusal:
        return xml_reply(refusal_document(refusal))


def _act(server: SimulatedServer, name: str, call: Call, request: Request) -> Reply:
    signed = read_signed_parameters(request)
    server.record(name, signed.values, request.body, request.content_type)
    if call.is_signed:
        require_content_type(request, call.content_types)
        signed.verify(name, server.secret, call.checksum_refusal)
    server.expire_meetings()
    return call.act(server, signed.values)
