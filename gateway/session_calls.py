"""The answer to session calls, which a browser should make to the server of its meeting and not here.

They carry no checksum, so nothing of the request is used. See docs/decisions/0006-session-calls.md.
"""

from starlette.responses import Response

from gateway.answers import json_refusal, refusal
from meetingpool.bbb.calls import SessionCallSpec
from meetingpool.bbb.errors import MissingSession, UnsupportedRequest


def refuse_session_call(method: str, spec: SessionCallSpec) -> Response:
    if method not in spec.methods:
        return refusal(UnsupportedRequest())
    return json_refusal(MissingSession()) if spec.answers_json else refusal(MissingSession())
