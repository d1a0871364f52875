"""A meeting, with what its server says of it now. Called by `meetings show`, the management API and the dashboard."""

from collections.abc import Callable, Mapping
from typing import Any, NotRequired, cast

from meetingpool.bbb.client import Client
from meetingpool.bbb.errors import ServerFailure
from meetingpool.bbb.meetings import read_number
from meetingpool.domain.meetings import Meeting, host_id_of
from meetingpool.domain.servers import Server
from meetingpool.operations.records import MeetingRecord, meeting_record


class MeetingDetails(MeetingRecord):
    """A meeting with what its server says of it; `server_says` why that is nothing."""

    internal_id: str | None
    generation: int
    name: NotRequired[str]
    running: NotRequired[bool]
    recording: NotRequired[bool]
    participants: NotRequired[int]
    moderators: NotRequired[int]
    create_time: NotRequired[int]
    server_says: NotRequired[str]


async def meeting_details(
    client: Client, server: Server, meeting: Meeting, tenants: Mapping[str, str], deadline: float
) -> MeetingDetails:
    """Asks the server, for at most `deadline` seconds. `tenants`: names by ids. No transaction may be open."""
    own = {"internal_id": meeting.internal_id, "generation": meeting.generation}
    return cast(MeetingDetails, {**meeting_record(meeting, tenants), **own, **await _ask(client, server, meeting, deadline)})


async def _ask(client: Client, server: Server, meeting: Meeting, deadline: float) -> dict[str, Any]:
    """What the server says of a meeting, or why it says nothing."""
    host_id = [("meetingID", host_id_of(meeting.key))]
    try:
        info = await client.call(server.url, server.secret, "getMeetingInfo", host_id, deadline=deadline)
    except ServerFailure as error:
        return {"server_says": str(error)}
    if not info.succeeded:
        return {"server_says": info.message_key}
    return {ours: read(info.text(theirs)) for ours, (theirs, read) in _LIVE.items()}


def _is_true(text: str) -> bool:
    return text == "true"


# What is shown of the server's answer, nothing that lets anybody in: our name, BBB's, and how to read it.
_LIVE: dict[str, tuple[str, Callable[[str], Any]]] = {
    "name": ("meetingName", str),
    "running": ("running", _is_true),
    "recording": ("recording", _is_true),
    "participants": ("participantCount", read_number),
    "moderators": ("moderatorCount", read_number),
    "create_time": ("createTime", read_number),
}
