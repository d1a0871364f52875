"""What `poll once` does."""

import asyncio
from collections.abc import Sequence
from typing import Any

from admin.commands.arguments import Format
from admin.output import Column, Listing, write
from admin.refusals import Refused
from meetingpool.bbb.client import Client
from meetingpool.clock import SystemClock
from meetingpool.database.engine import Database
from meetingpool.database.servers import all_servers
from meetingpool.domain.health import half_of_the_pool_fails
from meetingpool.domain.servers import AdminState, Server, ServerId
from meetingpool.operations.find_server import server_named
from meetingpool.operations.poll_rules import poll_rules
from meetingpool.operations.poll_server import ServerPoller
from meetingpool.operations.record_polls import Poll, record_polls
from meetingpool.settings import Settings

NAMES = ("id", "url", "reached", "error", "health", "meetings", "users", "bbb_version")
_COLUMNS = [
    Column("ID", lambda seen: seen["id"]),
    Column("URL", lambda seen: seen["url"]),
    Column("RESULT", lambda seen: "ok" if seen["reached"] else "failed"),
    Column("STATUS", lambda seen: seen["health"]),
    Column("MEETINGS", lambda seen: seen["meetings"], is_number=True),
    Column("USERS", lambda seen: seen["users"], is_number=True),
    Column("VERSION", lambda seen: seen["bbb_version"]),
    Column("REASON", lambda seen: seen["error"]),
]


async def poll_once(database: Database, settings: Settings, names: Sequence[str], style: Format) -> None:
    """Polls servers at the same time, records what was seen and prints it. Raises Refused when a poll failed."""
    servers = await _chosen(database, names)
    clock = SystemClock()
    async with Client(connect_timeout=settings.connect_timeout) as client:
        poller = ServerPoller(client, clock, deadline=settings.response_timeout)
        polls = dict(zip(servers, await asyncio.gather(*(poller.poll(server) for server in servers.values())), strict=True))
    in_use = [server.id for server in servers.values() if server.admin_state is not AdminState.DISABLED]
    panic = half_of_the_pool_fails(polls[server_id].meetings is not None for server_id in in_use)
    async with database.transaction() as connection:
        await record_polls(connection, polls, poll_rules(settings), clock, panic=panic)
        now = {server.id: server for server in await all_servers(connection)}
    records = [_record(now.get(server_id, server), polls[server_id]) for server_id, server in servers.items()]
    write(Listing(names=NAMES, records=records, columns=_COLUMNS, when_empty="No servers are configured"), style)
    if failed := [poll.server_id for poll in polls.values() if poll.meetings is None]:
        raise Refused(f"{len(failed)} of {len(polls)} servers could not be polled, see their reasons: {', '.join(failed)}")


async def _chosen(database: Database, names: Sequence[str]) -> dict[ServerId, Server]:
    async with database.transaction() as connection:
        if names:
            servers = [await server_named(connection, name) for name in names]
        else:
            servers = await all_servers(connection)
    return {server.id: server for server in servers}


def _record(server: Server, poll: Poll) -> dict[str, Any]:
    reached = poll.meetings is not None
    return {
        "id": server.id,
        "url": server.url,
        "reached": reached,
        "error": poll.error or None,
        "health": server.health.value,
        "meetings": len(poll.meetings) if poll.meetings is not None else None,
        "users": sum(meeting.users for meeting in poll.meetings) if poll.meetings is not None else None,
        "bbb_version": server.bbb_version,
    }
