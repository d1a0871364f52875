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


async def get_meetings(gateway: Gateway, call: Call) -> Response:
    if gateway.settings.get_meetings_api_disabled:
        return xml_answer(_NONE)
    # A meeting that is created, changes or ends makes another question of the same call.
    tenant_id, changes = call.tenant.id, gateway.view.pool.changes_of(call.tenant.id)
    return xml_answer(await gateway.reads.read(tenant_id, changes, lambda: _document(gateway, tenant_id)))


async def _document(gateway: Gateway, tenant_id: str) -> bytes:
    documents = await gateway.lists.documents(gateway.view.pool, tenant_id)
    if not documents:
        return _NONE
    return b"<response><returncode>SUCCESS</returncode><meetings>" + b"".join(documents) + b"</meetings></response>"
