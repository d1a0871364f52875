"""getSessions: who is in which meeting, one list over all servers, of the meetings that were created here.

A session names its meeting by the internal id only, so breakout rooms, which their server creates by itself, are not in the list.
"""

import asyncio
from itertools import chain

from starlette.responses import Response

from gateway.answers import xml_answer
from gateway.authentication import Call
from gateway.state import Gateway
from meetingpool.bbb import xml
from meetingpool.bbb.errors import InternalError, ServerFailure, UnusableAnswer
from meetingpool.domain.servers import AdminState, Health, Server, ServerId
from meetingpool.logs import get_logger

# Seconds for each server; all are asked at once.
DEADLINE = 3.0

_NONE = xml.response(
    ("returncode", "SUCCESS"),
    ("sessions", None),
    ("messageKey", "noSessions"),
    # The misspelling is BBB's.
    ("message", "no sessions were found on this serverr"),
)

log = get_logger()


async def get_sessions(gateway: Gateway, call: Call) -> Response:
    """A server that does not answer is left out. Raises InternalError when servers were asked and none answered."""
    pool = gateway.view.pool
    ours = {(meeting.server_id, meeting.internal_id) for key, meeting in pool.meetings.items() if key.tenant == call.tenant.id}
    lists = await asyncio.gather(*(_listed(gateway, server, ours) for server in pool.servers.values() if _is_asked(server)))
    answered = [listed for listed in lists if listed is not None]
    if lists and not answered:
        raise InternalError("Unable to access server.")
    sessions = b"".join(chain.from_iterable(answered))
    if not sessions:
        return xml_answer(_NONE)
    return xml_answer(b"<response><returncode>SUCCESS</returncode><sessions>" + sessions + b"</sessions></response>")


def _is_asked(server: Server) -> bool:
    return server.admin_state is not AdminState.DISABLED and server.health in (Health.ONLINE, Health.SUSPECT)


async def _listed(gateway: Gateway, server: Server, ours: set[tuple[ServerId, str | None]]) -> list[bytes] | None:
    """The `<meeting>` documents, one for each session, of the server's meetings that are among `ours`; None if it fails."""
    try:
        elements = await _ask(gateway, server)
    except ServerFailure as error:
        log.warning("server_left_out", server=server.id, call="getSessions", reason=str(error))
        return None
    return [xml.serialise(element) for element in elements if (server.id, element.findtext("meetingID")) in ours]


async def _ask(gateway: Gateway, server: Server) -> list[xml.Element]:
    answer = await gateway.client.call(server.url, server.secret, "getSessions", deadline=DEADLINE)
    if not answer.succeeded:
        raise UnusableAnswer("getSessions failed")
    return answer.root.findall("sessions/meeting")
