"""The tasks `meetings…`."""

from admin.connection import this_account
from admin.rake.calls import Call, fail, ids_of, somebody_says_yes
from meetingpool.bbb.answers import Answer, read_answer
from meetingpool.bbb.client import Client
from meetingpool.bbb.errors import ServerFailure
from meetingpool.clock import SystemClock
from meetingpool.database.servers import all_servers
from meetingpool.domain.meetings import Meeting, host_id_of
from meetingpool.domain.servers import Server, ServerId
from meetingpool.operations.end_meetings import end_meetings
from meetingpool.operations.find_meetings import meetings_named, meetings_of

# What is shown of a meeting, and what the server calls it.
_SHOWN = {
    "Meeting Name": "meetingName",
    "Internal MeetingID": "internalMeetingID",
    "Created Date": "createDate",
    "Recording Enabled": "recording",
}
_METADATA = (
    "bbb-context-name",
    "analytics-callback-url",
    "bbb-recording-tags",
    "bbb-origin-server-common-name",
    "bbb-context-label",
    "bbb-origin",
    "bbb-context",
    "bbb-context-id",
    "bbb-recording-name",
    "bbb-origin-server-name",
    "bbb-recording-description",
    "bbb-origin-tag",
)


async def list_meetings(call: Call) -> None:
    servers = await _servers(call)
    for meeting in await _chosen(call):
        print(f"\nMeetingID: {meeting.key.meeting_id}")
        print(f"\tServer ID: {meeting.server_id}")
        print(f"\tServer Url: {servers[meeting.server_id].url}")


async def show(call: Call) -> None:
    """Asks the meeting's server."""
    meeting_id = call.said("meeting_id")
    if meeting_id is None:
        fail("Error: Please input a meetingID!")
    async with call.database.transaction() as connection:
        (meeting,) = await meetings_named(connection, [meeting_id], None)
    server = (await _servers(call))[meeting.server_id]
    try:
        answer = await _asked(call, server, meeting)
    except ServerFailure as error:
        print(f"WARNING: Could not get info for meeting id={meeting_id}: {error}")
        return
    if not answer.succeeded:
        print(f"WARNING: Could not get info for meeting id={meeting_id}: {answer.text('message')} ({answer.message_key})")
        return
    _print(answer, server)


async def end(call: Call) -> None:
    print("WARNING: You are trying to clear active meetings.")
    print("If you still wish to continue please enter `yes`")
    if somebody_says_yes():
        meetings = await _chosen(call)
        if not meetings:
            print("No meetings to clear")
        async with Client(connect_timeout=call.settings.connect_timeout) as client:
            not_ended = await end_meetings(call.database, client, SystemClock(), this_account(), meetings)
        for meeting in meetings:
            reason = not_ended.get(meeting.key)
            said = f"WARNING: Could not end meeting id={meeting.key.meeting_id}: {reason}"
            print(said if reason else f"Clearing Meeting id={meeting.key.meeting_id}")
    print("OK")


async def _chosen(call: Call) -> list[Meeting]:
    """The named meetings, or all. Raises NoSuchMeeting or AmbiguousMeeting."""
    ids = ids_of(call.said("meeting_ids"))
    async with call.database.transaction() as connection:
        return await meetings_named(connection, ids, None) if ids else await meetings_of(connection, None)


async def _servers(call: Call) -> dict[ServerId, Server]:
    async with call.database.transaction() as connection:
        return {server.id: server for server in await all_servers(connection)}


async def _asked(call: Call, server: Server, meeting: Meeting) -> Answer:
    """The answer as front ends see it: with their meetingID and their addresses."""
    host_id, settings = host_id_of(meeting.key), call.settings
    async with Client(connect_timeout=settings.connect_timeout) as client:
        answer = await client.call(
            server.url, server.secret, "getMeetingInfo", [("meetingID", host_id)], deadline=settings.response_timeout
        )
    return read_answer(answer.for_clients(host_id, meeting.key.meeting_id))


def _print(answer: Answer, server: Server) -> None:
    print(f"\nMeeting ID: {answer.text('meetingID')}")
    for shown, name in _SHOWN.items():
        print(f"\t{shown}: {answer.text(name)}")
    print(f"\tServer id: {server.id}")
    # Misspelt since its first day; scripts look for it.
    print(f"\tSerevr url: {server.url}")
    print("\tMetaData:")
    for name in _METADATA:
        print(f"\t\t{name}: {(answer.root.findtext(f'metadata/{name}') or '').strip()}")
