"""The answers of the API as HTTP: XML, status 200 whatever the outcome, nothing cached."""

from starlette.responses import Response

from meetingpool.bbb import xml
from meetingpool.bbb.errors import ApiError

_HEADERS = {
    "content-type": "text/xml;charset=utf-8",
    "cache-control": "no-cache",
    "x-content-type-options": "nosniff",
}


def xml_answer(document: bytes) -> Response:
    return Response(document, headers=_HEADERS)


def refusal(error: ApiError) -> Response:
    return xml_answer(xml.failed(error.message_key, error.message))


def redirect(location: str) -> Response:
    """Sends the browser to `location`, which holds nothing but percent-encoded ASCII."""
    return Response(status_code=302, headers={"location": location, "cache-control": "no-cache"})
