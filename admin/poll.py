"""What `poll once` does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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
from meetingpool.operations.poll_now import PollRecord, poll_now, poll_record
from meetingpool.operations.poll_rules import poll_rules
from meetingpool.operations.record_polls import Poll, record_polls
from meetingpool.operations.records import names_of
from meetingpool.settings import Settings

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


@dataclass(frozen=True, slots=True)
class Polled:
    """Servers as they are after their polls, and the polls."""

    servers: Mapping[ServerId, Server]
    polls: Mapping[ServerId, Poll]


async def poll_once(database: Database, settings: Settings, names: Sequence[str], style: Format) -> None:
    """Polls servers and prints what was seen. Raises Refused when a poll failed."""
    polled = await poll_servers(database, settings, names)
    records = [poll_record(server, polled.polls[server_id]) for server_id, server in polled.servers.items()]
    write(Listing(names=names_of(PollRecord), records=records, columns=_COLUMNS, when_empty="No servers are configured"), style)
    if failed := [poll.server_id for poll in polled.polls.values() if poll.meetings is None]:
        raise Refused(f"{len(failed)} of {len(polled.polls)} servers could not be polled, see their reasons: {', '.join(failed)}")


async def poll_servers(database: Database, settings: Settings, names: Sequence[str]) -> Polled:
    """Polls servers at the same time, all of them without `names`, and records what was seen. Raises NoSuchServer."""
    servers = await _chosen(database, names)
    clock = SystemClock()
    async with Client(connect_timeout=settings.connect_timeout) as client:
        polls = await poll_now(client, clock, settings, list(servers.values()))
    in_use = [server.id for server in servers.values() if server.admin_state is not AdminState.DISABLED]
    panic = half_of_the_pool_fails(polls[server_id].meetings is not None for server_id in in_use)
    async with database.transaction() as connection:
        await record_polls(connection, polls, poll_rules(settings), clock, panic=panic)
        now = {server.id: server for server in await all_servers(connection)}
    return Polled({server_id: now.get(server_id, server) for server_id, server in servers.items()}, polls)


async def _chosen(database: Database, names: Sequence[str]) -> dict[ServerId, Server]:
    async with database.transaction() as connection:
        if names:
            servers = [await server_named(connection, name) for name in names]
        else:
            servers = await all_servers(connection)
    return {server.id: server for server in servers}
