"""The answers of the API as HTTP: XML, for some calls JSON, status 200 whatever the outcome, nothing cached."""

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from meetingpool.bbb import xml
from meetingpool.bbb.errors import ApiError

_COMMON_HEADERS = ((b"cache-control", b"no-cache"), (b"x-content-type-options", b"nosniff"))
XML_HEADERS = ((b"content-type", b"text/xml;charset=utf-8"), *_COMMON_HEADERS)
_JSON_HEADERS = ((b"content-type", b"application/json"), *_COMMON_HEADERS)


class _PreparedResponse(Response):
    """A response whose headers need no work, as every call sends the same ones."""

    def __init__(self, status_code: int, body: bytes, *headers: tuple[bytes, bytes]) -> None:
        self.status_code = status_code
        self.body = body
        self.background = None
        self.raw_headers = [*headers, (b"content-length", b"%d" % len(body))]


def xml_answer(document: bytes) -> Response:
    return _PreparedResponse(200, document, *XML_HEADERS)


def json_answer(fields: Mapping[str, Any]) -> Response:
    """`fields` in the object that BBB puts around all that it says in JSON."""
    return _PreparedResponse(200, json.dumps({"response": fields}).encode(), *_JSON_HEADERS)


def json_refusal(error: ApiError) -> Response:
    return json_answer({"returncode": "FAILED", "messageKey": error.message_key, "message": error.message})


def refusal(error: ApiError) -> Response:
    return xml_answer(xml.failed(error.message_key, error.message))


def redirect(location: str) -> Response:
    """Sends the browser to `location`, which holds nothing but percent-encoded ASCII."""
    return _PreparedResponse(302, b"", (b"location", location.encode("ascii")), (b"cache-control", b"no-cache"))
