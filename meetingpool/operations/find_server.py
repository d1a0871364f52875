"""Finds a server by what an administrator calls it. Called by the operations that change servers."""

from meetingpool.database.engine import Connection
from meetingpool.database.servers import all_servers, find_server
from meetingpool.domain.refusals import NotFound
from meetingpool.domain.servers import Server


class NoSuchServer(NotFound):
    """No server has this id, or none alone has this host name."""


async def server_named(connection: Connection, name: str) -> Server:
    """The server with the id or the host name `name`. Raises NoSuchServer with what to do."""
    if server := await find_server(connection, name):
        return server
    on_host = [server.id for server in await all_servers(connection) if server.host_name == name.lower()]
    if on_host:
        raise NoSuchServer(f"Several servers are on the host {name}, name one by its id: {', '.join(on_host)}")
    raise NoSuchServer(f"No server found with id: {name}; `meetingpool servers list` shows them all")
