"""Ends meetings: what the gateway notes when a front end ended one, and what an administrator's `meetings end` does."""

from meetingpool.bbb.answers import Answer
from meetingpool.bbb.client import Client
from meetingpool.bbb.errors import ServerFailure
from meetingpool.database import meetings
from meetingpool.database.engine import Database
from meetingpool.domain.meetings import Meeting, MeetingState, host_id_of
from meetingpool.domain.pool import Pool
from meetingpool.domain.servers import Server

_OPEN = (MeetingState.RESERVING, MeetingState.LIVE, MeetingState.UNKNOWN, MeetingState.LOST)


class EndFailed(Exception):
    """The server did not end the meeting."""


async def mark_ending(database: Database, pool: Pool | None, meeting: Meeting) -> None:
    """The server accepted an end: it stays the meeting's until a poll no longer finds it there."""
    async with database.transaction() as connection:
        ending = await meetings.set_state(connection, meeting, MeetingState.ENDING, allowed=_OPEN)
    if ending and pool:
        pool.put_meeting(ending, host_id_of(meeting.key))


async def end_on_server(client: Client, server: Server, meeting: Meeting, *, deadline: float) -> None:
    """Ends a meeting as an administrator: with the moderator password that its server tells.

    A meeting that is not there any more is ended. Raises EndFailed with the reason.
    """
    info = await _info(client, server, meeting, deadline)
    if info.message_key != "notFound":
        await _end(client, server, meeting, info.text("moderatorPW"), deadline)


async def end_unused(client: Client, server: Server, meeting: Meeting, internal_id: str, *, deadline: float) -> None:
    """Ends the meeting `internal_id` if nobody has ever been in it. Raises EndFailed."""
    info = await _info(client, server, meeting, deadline)
    is_unused = info.text("participantCount") == "0" and info.text("hasUserJoined") == "false"
    if info.text("internalMeetingID") == internal_id and is_unused:
        await _end(client, server, meeting, info.text("moderatorPW"), deadline)


async def _info(client: Client, server: Server, meeting: Meeting, deadline: float) -> Answer:
    return await _call(client, server, "getMeetingInfo", [("meetingID", host_id_of(meeting.key))], deadline)


async def _end(client: Client, server: Server, meeting: Meeting, password: str, deadline: float) -> None:
    parameters = [("meetingID", host_id_of(meeting.key)), *([("password", password)] if password else [])]
    ended = await _call(client, server, "end", parameters, deadline)
    if not ended.succeeded and ended.message_key != "notFound":
        raise EndFailed(f"Server {server.id} refused to end the meeting: {ended.message_key}")


async def _call(client: Client, server: Server, call: str, parameters: list[tuple[str, str]], deadline: float) -> Answer:
    try:
        return await client.call(server.url, server.secret, call, parameters, deadline=deadline)
    except ServerFailure as error:
        raise EndFailed(f"Server {server.id} did not answer: {error}") from error
