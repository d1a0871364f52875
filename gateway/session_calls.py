"""The answer to session calls, which a browser should make to the server of its meeting and not here.

They carry no checksum, so nothing of the request is used. See docs/decisions/0006-session-calls.md.
"""

from starlette.responses import JSONResponse, Response

from gateway.answers import refusal
from meetingpool.bbb.calls import SessionCallSpec
from meetingpool.bbb.errors import ApiError, MissingSession, UnsupportedRequest


def refuse_session_call(method: str, spec: SessionCallSpec) -> Response:
    if method not in spec.methods:
        return refusal(UnsupportedRequest())
    return _json_refusal(MissingSession()) if spec.answers_json else refusal(MissingSession())


def _json_refusal(error: ApiError) -> Response:
    fields = {"returncode": "FAILED", "messageKey": error.message_key, "message": error.message}
    return JSONResponse({"response": fields}, headers={"cache-control": "no-cache", "x-content-type-options": "nosniff"})
