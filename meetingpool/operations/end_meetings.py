"""Ends many meetings on their servers, several at a time.

`end_meetings` is what an administrator asks for, from wherever; `end_each` also serves panic_server.
"""

import asyncio
from collections.abc import Sequence

from meetingpool.bbb.client import Client
from meetingpool.clock import Clock
from meetingpool.database.engine import Database
from meetingpool.database.servers import all_servers
from meetingpool.domain.audit import Actor
from meetingpool.domain.meetings import Meeting, MeetingKey
from meetingpool.domain.servers import Server
from meetingpool.operations.changes import changing
from meetingpool.operations.end_meeting import EndFailed, end_on_server, mark_ending

AT_ONCE = 10
# For one exchange with a server, and for all of them together, in seconds.
DEADLINE = 5.0
TOTAL_DEADLINE = 60.0


async def end_meetings(
    database: Database, client: Client, clock: Clock, actor: Actor, meetings: Sequence[Meeting]
) -> dict[MeetingKey, str]:
    """Ends meetings on their servers, and keeps in the audit that it was asked for.

    Returns why, for those that were not ended.
    """
    async with changing(database, actor) as change:
        servers = {server.id: server for server in await all_servers(change.connection)}
        for meeting in meetings:
            before = {"server": meeting.server_id, "users": meeting.users}
            await change.note("meetings.end", meeting.key.meeting_id, tenant=meeting.key.tenant, before=before)
    on_servers = [(servers[meeting.server_id], meeting) for meeting in meetings if meeting.server_id in servers]
    reasons = await end_each(client, clock, on_servers)
    for _, meeting in on_servers:
        if meeting.key not in reasons:
            await mark_ending(database, None, meeting)
    return reasons


async def end_each(client: Client, clock: Clock, meetings: Sequence[tuple[Server, Meeting]]) -> dict[MeetingKey, str]:
    """Asks the servers to end their meetings, with no transaction open. Returns why, for those that were not ended."""
    bound, finish_by = asyncio.Semaphore(AT_ONCE), clock.monotonic() + TOTAL_DEADLINE
    reasons: dict[MeetingKey, str] = {}

    async def end(server: Server, meeting: Meeting) -> None:
        async with bound:
            remaining = finish_by - clock.monotonic()
            if remaining <= 0:
                reasons[meeting.key] = f"Server {server.id} was not asked: {TOTAL_DEADLINE:g} s had passed"
                return
            try:
                await end_on_server(client, server, meeting, deadline=min(DEADLINE, remaining))
            except EndFailed as error:
                reasons[meeting.key] = str(error)

    async with asyncio.TaskGroup() as tasks:
        for server, meeting in meetings:
            tasks.create_task(end(server, meeting))
    return reasons
