"""The index: which version of the API this is. Asked without a checksum, and never redirected."""

from starlette.requests import Request
from starlette.responses import Response

from gateway.answers import xml_answer
from gateway.state import Gateway
from meetingpool.bbb import xml


async def index(request: Request) -> Response:
    gateway: Gateway = request.state.gateway
    build = gateway.settings.build_number
    versions = [("returncode", "SUCCESS"), ("version", "2.0"), ("apiVersion", "2.0")]
    return xml_answer(xml.response(*versions, *([("build", build)] if build else [])))
