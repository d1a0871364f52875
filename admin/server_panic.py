"""What `servers panic` does."""

from collections.abc import Sequence
from dataclasses import dataclass

import typer

from admin.connection import this_account
from admin.refusals import Refused
from admin.server_changes import tell
from meetingpool.bbb.client import Client
from meetingpool.clock import SystemClock
from meetingpool.database.engine import Database
from meetingpool.database.meetings import count_meetings_on
from meetingpool.domain.servers import Server
from meetingpool.operations.find_server import server_named
from meetingpool.operations.panic_server import Panicked, panic_server
from meetingpool.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class PanicOptions:
    keep_state: bool
    skip_end_calls: bool
    yes: bool
    dry_run: bool


async def panic_servers(database: Database, settings: Settings, names: Sequence[str], options: PanicOptions) -> None:
    """Asks, unless told not to. Meetings that could not be ended are forgotten too, and named on standard error."""
    servers = await _with_meetings(database, names)
    for server, meetings in servers:
        state = server.admin_state if options.keep_state else "disabled"
        what = "forgets" if options.skip_end_calls else "ends and forgets"
        tell(f"Panic {what} {meetings} meetings of server {server.id} ({server.url}), which is {state} then", dry_run=False)
    if options.dry_run:
        tell("that is all", dry_run=True)
        return
    if not options.yes and not typer.confirm("Go on?"):
        raise Refused("Nothing is changed")
    async with Client(connect_timeout=settings.connect_timeout) as client:
        for server, _ in servers:
            _report(await _panic(database, client, server, options))


async def _with_meetings(database: Database, names: Sequence[str]) -> list[tuple[Server, int]]:
    async with database.transaction() as connection:
        servers = {server.id: server for server in [await server_named(connection, name) for name in names]}
        return [(server, await count_meetings_on(connection, server.id)) for server in servers.values()]


async def _panic(database: Database, client: Client, server: Server, options: PanicOptions) -> Panicked:
    keep_state, skip_end_calls = options.keep_state, options.skip_end_calls
    return await panic_server(
        database, client, SystemClock(), this_account(), server.id, keep_state=keep_state, skip_end_calls=skip_end_calls
    )


def _report(panicked: Panicked) -> None:
    for key, reason in panicked.not_ended.items():
        typer.echo(f"Meeting {key.meeting_id} may run on: {reason}", err=True)
    tell(f"Server {panicked.server.id}: {panicked.forgotten} meetings forgotten", dry_run=False)
