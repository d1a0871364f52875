"""What `servers add`, `set`, `enable`, `cordon`, `disable` and `remove` do."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from admin.connection import changing
from admin.refusals import Refused
from meetingpool.bbb.client import Client
from meetingpool.clock import SystemClock
from meetingpool.database.engine import Database
from meetingpool.database.meetings import count_meetings_on
from meetingpool.database.servers import find_server
from meetingpool.domain.servers import AdminState, Server, ServerId
from meetingpool.operations import add_server as adding
from meetingpool.operations import change_server as changing_server
from meetingpool.operations import change_server_state
from meetingpool.operations.changes import Change
from meetingpool.operations.find_server import server_named
from meetingpool.operations.poll_rules import poll_rules
from meetingpool.operations.poll_server import ServerPoller
from meetingpool.operations.record_polls import Poll
from meetingpool.settings import Settings

LOOK_EVERY = 1.0


async def add_server(database: Database, settings: Settings, server: Server, *, enable: bool, dry_run: bool) -> None:
    """Raises ServerExists, and ServerNotReached when it is to be enabled and a poll fails: then it is added, but disabled."""
    async with changing(database, dry_run=dry_run) as change:
        await adding.add_server(change, server)
    tell(f"Server {server.id} is added: {server.url}", dry_run=dry_run)
    if enable:
        await _enable_polled(database, settings, server, dry_run=dry_run)


async def poll_server(settings: Settings, server: Server) -> Poll:
    """One poll, at once."""
    async with Client(connect_timeout=settings.connect_timeout) as client:
        return await ServerPoller(client, SystemClock(), deadline=settings.response_timeout).poll(server)


async def change_server(database: Database, name: str, values: dict[str, Any], *, dry_run: bool) -> None:
    async with changing(database, dry_run=dry_run) as change:
        server = await changing_server.change_server(change, name, values)
    changed = ", ".join(_change_of(server, column, value) for column, value in values.items())
    tell(f"Server {server.id}: {changed}", dry_run=dry_run)


async def enable_servers(database: Database, names: Sequence[str], *, dry_run: bool) -> None:
    await _change_states(database, names, AdminState.ENABLED, dry_run=dry_run)


async def disable_servers(database: Database, names: Sequence[str], *, dry_run: bool) -> None:
    await _change_states(database, names, AdminState.DISABLED, dry_run=dry_run)


async def cordon_servers(database: Database, names: Sequence[str], *, wait: bool, patience: float | None, dry_run: bool) -> None:
    """With `wait`, returns when the servers are empty. Raises Refused after `patience` seconds."""
    servers = await _change_states(database, names, AdminState.CORDONED, dry_run=dry_run)
    if not wait:
        return
    try:
        async with asyncio.timeout(patience):
            for server in servers:
                await _wait_until_empty(database, server)
    except TimeoutError:
        raise Refused(
            f"Meetings still run after {patience:g} s: call it again to wait on, or end them with `meetingpool servers panic`"
        ) from None


async def remove_servers(database: Database, names: Sequence[str], *, dry_run: bool) -> None:
    removed = await _each(database, names, change_server_state.remove_server, dry_run=dry_run)
    for server in removed:
        tell(f"Server {server.id} is removed: {server.url}", dry_run=dry_run)


def tell(sentence: str, *, dry_run: bool) -> None:
    print(f"Dry run, nothing is changed: {sentence}" if dry_run else sentence, flush=True)


async def _enable_polled(database: Database, settings: Settings, server: Server, *, dry_run: bool) -> None:
    poll = await poll_server(settings, server)
    if not dry_run:
        async with changing(database, dry_run=False) as change:
            await adding.enable_reached(change, server, poll, poll_rules(settings), SystemClock())
    adding.require_reached(server, poll)
    meetings = poll.meetings or ()
    seen = f"BigBlueButton {poll.bbb_version or 'of an unknown version'}, {len(meetings)} meetings"
    tell(f"Server {server.id} is enabled: {seen}, {sum(meeting.users for meeting in meetings)} users", dry_run=dry_run)


async def _change_states(database: Database, names: Sequence[str], state: AdminState, *, dry_run: bool) -> list[Server]:
    """All of the servers, or none when one cannot be changed. Returns them as they were."""

    async def change_state(change: Change, name: str) -> Server:
        return await change_server_state.change_state(change, name, state)

    servers = await _each(database, names, change_state, dry_run=dry_run)
    for server in servers:
        was = "already" if server.admin_state is state else f"and was {server.admin_state}"
        tell(f"Server {server.id} is {state} {was}", dry_run=dry_run)
    return servers


async def _each(
    database: Database, names: Sequence[str], change_one: Callable[[Change, str], Awaitable[Server]], *, dry_run: bool
) -> list[Server]:
    """Changes the servers in the order in which everybody locks them."""
    changed: list[Server] = []
    async with changing(database, dry_run=dry_run) as change:
        ids = {(await server_named(change.connection, name)).id for name in names}
        changed += [await change_one(change, server_id) for server_id in sorted(ids)]
    return changed


async def _wait_until_empty(database: Database, server: Server) -> None:
    while True:
        async with database.transaction() as connection:
            now = await find_server(connection, server.id)
            meetings = await count_meetings_on(connection, ServerId(server.id))
        if now is None or now.admin_state is AdminState.DISABLED or not meetings + now.meetings:
            tell(f"Server {server.id} is empty", dry_run=False)
            return
        if now.admin_state is AdminState.ENABLED:
            raise Refused(f"Somebody enabled server {server.id} while it was to become empty: cordon it again")
        await asyncio.sleep(LOOK_EVERY)


def _change_of(server: Server, column: str, value: object) -> str:
    if column == "secret":
        return "secret changed"
    before = getattr(server, column)
    return f"{column} {_shown(before)} -> {_shown(value)}"


def _shown(value: object) -> str:
    if isinstance(value, frozenset | list):
        return ", ".join(sorted(value)) or "none"
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
