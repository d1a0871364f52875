"""What Scalelite's management API says of servers and does with them.

A server there has one tag, here it may have several: they are written as one, with `;` between them, as front ends ask for
several.
"""

from typing import Any

from gateway.scalelite_api.calls import Fields, ManagementCall, MissingObject
from meetingpool.database.servers import all_servers
from meetingpool.domain.refusals import Invalid
from meetingpool.domain.servers import AdminState, Health, Server
from meetingpool.operations import add_server as adding
from meetingpool.operations.change_server import change_server, checked_values
from meetingpool.operations.change_server_state import MeetingsRunning, change_state, remove_server
from meetingpool.operations.changes import Change
from meetingpool.operations.find_server import server_named
from meetingpool.operations.panic_server import panic_server as panicking

Answer = tuple[int, object]

_STATES = {"enable": AdminState.ENABLED, "cordon": AdminState.CORDONED, "disable": AdminState.DISABLED}
_ANSWERING = (Health.ONLINE, Health.SUSPECT)
_SHOWN = "servers.show_secret"


async def get_servers(call: ManagementCall) -> Answer:
    async with call.showing(_SHOWN, "all") as change:
        servers = await all_servers(change.connection)
    if not servers:
        return 404, {"error": "No servers are configured"}
    return 200, [described(server) for server in servers]


async def get_server_info(call: ManagementCall) -> Answer:
    async with call.showing(_SHOWN, call.id) as change:
        server = await server_named(change.connection, call.id)
    return 200, described(server)


async def add_server(call: ManagementCall) -> Answer:
    fields = call.fields_of("server")
    if not fields.text("url") or not fields.text("secret"):
        return 400, {"error": "Server needs a URL and a secret"}
    server = adding.new_server(
        fields.text("url"),
        fields.text("secret"),
        id_is_host_name=call.gateway.settings.server_id_is_hostname,
        load_multiplier=fields.number("load_multiplier") or 1.0,
        tags=_tags(fields),
    )
    async with call.changing() as change:
        await adding.add_server(change, server)
    return 201, described(server)


async def update_server(call: ManagementCall) -> Answer:
    """All of it or nothing."""
    async with call.showing(_SHOWN, call.id) as change:
        server = await server_named(change.connection, call.id)
        try:
            await _update(change, server, call.fields_of("server"))
        except MissingObject as error:
            raise Invalid(error.message) from None
        server = await server_named(change.connection, server.id)
    return 200, described(server)


async def delete_server(call: ManagementCall) -> Answer:
    try:
        async with call.changing() as change:
            server = await remove_server(change, call.id)
    except MeetingsRunning as error:
        return 400, {"error": f"Couldn't destroy server id={call.id}: {error}"}
    return 200, {"success": f"Server id={server.id} was destroyed"}


async def panic_server(call: ManagementCall) -> Answer:
    gateway, keep_state = call.gateway, call.says("keep_state")
    database = gateway.management_database
    panicked = await panicking(database, gateway.client, gateway.clock, call.actor, call.id, keep_state=keep_state)
    said: dict[str, Any] = {"success": f"Server id={panicked.server.id} has been disabled and the meetings have been destroyed"}
    if panicked.not_ended:
        said["not_ended"] = {key.meeting_id: reason for key, reason in panicked.not_ended.items()}
    return 200, said


def described(server: Server) -> dict[str, Any]:
    """A server as Scalelite shows it, its secret included."""
    has_load = server.admin_state is not AdminState.DISABLED and server.health in _ANSWERING and server.last_poll
    return {
        "id": server.id,
        "url": server.url,
        "secret": server.secret,
        "tag": ";".join(sorted(server.tags)),
        "bbb_version": server.bbb_version or "",
        "state": server.admin_state,
        "load": server.load if has_load else "unavailable",
        "load_multiplier": str(server.load_multiplier),
        "online": "online" if server.health in _ANSWERING else "offline",
    }


async def _update(change: Change, server: Server, fields: Fields) -> None:
    state, values = _state(fields), _values(fields)
    if values:
        await change_server(change, server.id, values)
    if state:
        await change_state(change, server.id, state)


def _state(fields: Fields) -> AdminState | None:
    if not fields.has("state"):
        return None
    wanted = fields.text("state")
    if wanted not in _STATES:
        raise Invalid(f"Invalid state parameter: {wanted}")
    return _STATES[wanted]


def _values(fields: Fields) -> dict[str, Any]:
    if fields.has("load_multiplier") and not fields.number("load_multiplier"):
        raise Invalid("Load-multiplier must be a non-zero number")
    return checked_values(
        secret=fields.text("secret") if fields.has("secret") else None,
        load_multiplier=fields.number("load_multiplier") or None,
        tags=_tags(fields) if fields.has("tag") else None,
    )


def _tags(fields: Fields) -> list[str]:
    return [tag.strip() for tag in fields.text("tag").split(";") if tag.strip()]
