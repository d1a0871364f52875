"""deleteRecordings: they vanish at once. Their files stay in the trash for a while; an administrator can bring them back."""

from starlette.responses import Response

from gateway.answers import xml_answer
from gateway.authentication import Call
from gateway.recording_calls.named_recordings import change_named, named_recordings
from gateway.state import Gateway
from meetingpool.bbb import xml
from meetingpool.operations.change_recordings import deleted


async def delete_recordings(gateway: Gateway, call: Call) -> Response:
    await change_named(gateway, call, named_recordings(call), deleted)
    return xml_answer(xml.response(("returncode", "SUCCESS"), ("deleted", True)))
