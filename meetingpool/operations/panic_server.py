"""Gives up a server: nothing new goes there, its meetings are ended as far as it answers, and then forgotten.

Called by `servers panic`. From then on a create of such a meeting places it on another server.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from meetingpool.bbb.client import Client
from meetingpool.clock import Clock
from meetingpool.database.engine import Database
from meetingpool.database.meetings import forget_all_on, meetings_on
from meetingpool.database.servers import lock_server, update_server
from meetingpool.domain.audit import Actor
from meetingpool.domain.meetings import MeetingKey
from meetingpool.domain.servers import AdminState, Server
from meetingpool.operations.changes import changing
from meetingpool.operations.end_meetings import end_each
from meetingpool.operations.find_server import server_named


@dataclass(frozen=True, slots=True, kw_only=True)
class Panicked:
    """What became of a server's meetings. `not_ended`: forgotten like the others, with the reason why they may run on."""

    server: Server
    forgotten: int
    not_ended: Mapping[MeetingKey, str]


async def panic_server(
    database: Database,
    client: Client,
    clock: Clock,
    actor: Actor,
    name: str,
    *,
    keep_state: bool = False,
    skip_end_calls: bool = False,
) -> Panicked:
    """Disables the server, ends its meetings and forgets them; with `keep_state` it then is what it was. Raises NoSuchServer."""
    async with changing(database, actor) as change:
        server = await server_named(change.connection, name)
        await lock_server(change.connection, server.id)
        meetings = await meetings_on(change.connection, server.id)
        await update_server(change.connection, server.id, {"admin_state": AdminState.DISABLED})
        await change.note(
            "servers.panic",
            server.id,
            before={"admin_state": server.admin_state, "meetings": len(meetings)},
            after={"admin_state": server.admin_state if keep_state else AdminState.DISABLED, "meetings": 0},
        )
    not_ended = {} if skip_end_calls else dict(await end_each(client, clock, [(server, meeting) for meeting in meetings]))
    async with database.transaction() as connection:
        await lock_server(connection, server.id)
        forgotten = await forget_all_on(connection, server.id)
        if keep_state:
            await update_server(connection, server.id, {"admin_state": server.admin_state})
    if not skip_end_calls:
        # Creates that were on their way when the server was disabled.
        late = [meeting for meeting in forgotten if meeting.key not in {known.key for known in meetings}]
        not_ended |= await end_each(client, clock, [(server, meeting) for meeting in late])
    return Panicked(server=server, forgotten=len(forgotten), not_ended=not_ended)
