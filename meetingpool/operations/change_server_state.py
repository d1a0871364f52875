"""Changes what the administrator wants of a server: enabled, cordoned, disabled, or gone. Called by `meetingpool servers`."""

from collections.abc import Sequence

from meetingpool.database.engine import Connection
from meetingpool.database.meetings import forget_all_on, meetings_on
from meetingpool.database.registrations import refuse_registration
from meetingpool.database.servers import delete_server, lock_server, update_server
from meetingpool.domain.meetings import Meeting, MeetingState
from meetingpool.domain.refusals import Conflict
from meetingpool.domain.servers import AdminState, Server, ServerId
from meetingpool.operations.changes import Change
from meetingpool.operations.find_server import server_named

# A meeting that was ended, or whose server is dead, keeps nobody from switching the server off.
RUNNING = (MeetingState.RESERVING, MeetingState.LIVE, MeetingState.UNKNOWN)
_NAMED_AT_MOST = 5


class MeetingsRunning(Conflict):
    """Meetings run on the server, so it is not switched off."""


_ACTIONS = {
    AdminState.ENABLED: "servers.enable",
    AdminState.CORDONED: "servers.cordon",
    AdminState.DISABLED: "servers.disable",
}


async def change_state(change: Change, name: str, state: AdminState) -> Server:
    """Returns the server as it was. Raises NoSuchServer; MeetingsRunning for disabling, with what to do."""
    server = await server_named(change.connection, name)
    await change_known_state(change, server, state)
    return server


async def change_known_state(change: Change, server: Server, state: AdminState) -> None:
    """The same to a server that was looked up in this transaction."""
    if state is AdminState.DISABLED:
        await _require_empty(change.connection, server.id, "disabled")
    await update_server(change.connection, server.id, {"admin_state": state})
    before = {"admin_state": server.admin_state}
    await change.note(_ACTIONS[state], server.id, before=before, after={"admin_state": state})


async def remove_server(change: Change, name: str) -> Server:
    """Takes a server out of the pool. Raises NoSuchServer or MeetingsRunning."""
    server = await server_named(change.connection, name)
    await remove_known_server(change, server)
    return server


async def remove_known_server(change: Change, server: Server) -> None:
    """The same to a server that was looked up in this transaction. If it registers itself, it is not to come back."""
    await _require_empty(change.connection, server.id, "removed")
    await refuse_registration(change.connection, server.id)
    await _take_out(change, server)


async def remove_abandoned_server(change: Change, server: Server) -> None:
    """Takes a server out that registered itself and left; it may come back. Raises MeetingsRunning."""
    await _require_empty(change.connection, server.id, "removed")
    await _take_out(change, server)


async def _take_out(change: Change, server: Server) -> None:
    await forget_all_on(change.connection, server.id)
    await delete_server(change.connection, server.id)
    await change.note("servers.remove", server.id, before={"url": server.url, "admin_state": server.admin_state})


async def _require_empty(connection: Connection, server_id: ServerId, wanted: str) -> None:
    await lock_server(connection, server_id)
    running = [meeting for meeting in await meetings_on(connection, server_id) if meeting.state in RUNNING]
    if running:
        raise MeetingsRunning(
            f"Server {server_id} is not {wanted}, because meetings run on it ({_names_of(running)}): "
            f"let them come to an end with `meetingpool servers cordon --wait {server_id}`, "
            f"or end them with `meetingpool servers panic {server_id}`"
        )


def _names_of(meetings: Sequence[Meeting]) -> str:
    names = ", ".join(meeting.key.meeting_id for meeting in meetings[:_NAMED_AT_MOST])
    return f"{names} and {len(meetings) - _NAMED_AT_MOST} more" if len(meetings) > _NAMED_AT_MOST else names
