"""Ends many meetings on their servers, several at a time. Called by `meetings end` and by panic_server."""

import asyncio
from collections.abc import Sequence

from meetingpool.bbb.client import Client
from meetingpool.clock import Clock
from meetingpool.domain.meetings import Meeting, MeetingKey
from meetingpool.domain.servers import Server
from meetingpool.operations.end_meeting import EndFailed, end_on_server

AT_ONCE = 10
# For one exchange with a server, and for all of them together, in seconds.
DEADLINE = 5.0
TOTAL_DEADLINE = 60.0


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
