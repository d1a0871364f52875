"""end: the meeting's server is told; the mapping goes when that server no longer lists the meeting."""

from contextlib import suppress

from starlette.responses import Response

from gateway.answers import xml_answer
from gateway.authentication import Call
from gateway.known_meetings import require_meeting
from gateway.state import Gateway
from meetingpool.database.engine import DatabaseUnavailable
from meetingpool.operations.end_meeting import mark_ending


async def end(gateway: Gateway, call: Call) -> Response:
    meeting, server = await require_meeting(gateway, call)
    answer = await gateway.relay(call, meeting, server)
    gateway.reads.drop(meeting.key)
    if answer.succeeded:
        # The server has ended it; that we could not note so changes nothing for the caller.
        with suppress(DatabaseUnavailable):
            await mark_ending(gateway.database, gateway.view.pool, meeting)
    return xml_answer(gateway.document_for_client(answer, meeting))
