"""Polls servers at once, because an administrator wants to know. Called by the management API."""

import asyncio
from collections.abc import Sequence
from typing import TypedDict

from meetingpool.bbb.client import Client
from meetingpool.clock import Clock
from meetingpool.domain.servers import Health, Server, ServerId
from meetingpool.operations.poll_server import ServerPoller
from meetingpool.operations.record_polls import Poll
from meetingpool.settings import Settings


class PollRecord(TypedDict):
    """What a poll saw of a server, or why it saw nothing; null where it did not."""

    id: str
    url: str
    reached: bool
    error: str | None
    health: Health
    meetings: int | None
    users: int | None
    bbb_version: str | None


async def poll_now(client: Client, clock: Clock, settings: Settings, servers: Sequence[Server]) -> dict[ServerId, Poll]:
    """All at the same time. No transaction may be open; what was seen is recorded by `record_polls`."""
    poller = ServerPoller(client, clock, deadline=settings.response_timeout)
    polls = await asyncio.gather(*map(poller.poll, servers))
    return {poll.server_id: poll for poll in polls}


def poll_record(server: Server, poll: Poll) -> PollRecord:
    """`server`: as it is known after the poll."""
    reached = poll.meetings is not None
    return PollRecord(
        id=server.id,
        url=server.url,
        reached=reached,
        error=poll.error or None,
        health=server.health,
        meetings=len(poll.meetings) if poll.meetings is not None else None,
        users=sum(meeting.users for meeting in poll.meetings) if poll.meetings is not None else None,
        bbb_version=server.bbb_version,
    )
