"""getMeetings: one list over all servers, of the meetings that were created here."""

from starlette.responses import Response

from gateway.answers import xml_answer
from gateway.authentication import Call
from gateway.state import Gateway
from meetingpool.bbb import xml

_NONE = xml.response(
    ("returncode", "SUCCESS"),
    ("meetings", None),
    ("messageKey", "noMeetings"),
    ("message", "no meetings were found on this server"),
)


async def get_meetings(gateway: Gateway, _call: Call) -> Response:
    if gateway.settings.get_meetings_api_disabled:
        return xml_answer(_NONE)
    documents = await gateway.lists.documents(gateway.view.pool)
    if not documents:
        return xml_answer(_NONE)
    return xml_answer(b"<response><returncode>SUCCESS</returncode><meetings>" + b"".join(documents) + b"</meetings></response>")
