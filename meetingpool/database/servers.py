"""The servers of the pool, as rows."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.engine import Row
from sqlalchemy.exc import IntegrityError

from meetingpool.database import tables
from meetingpool.database.engine import Connection
from meetingpool.database.notifications import notify
from meetingpool.domain.servers import AdminState, Health, Server, ServerId

servers = tables.servers

_COLUMNS = [
    servers.c.id,
    servers.c.url,
    servers.c.secret,
    servers.c.admin_state,
    servers.c.health,
    servers.c.load,
    servers.c.load_multiplier,
    servers.c.tags,
    servers.c.region,
    servers.c.meetings,
    servers.c.users,
    servers.c.largest_meeting,
    servers.c.videos,
    servers.c.bbb_version,
    servers.c.last_poll,
]

_STATUS = text("SELECT load, health, admin_state FROM servers WHERE id = :id")


class ServerExists(Exception):
    """There is a server with this id or URL already."""


async def all_servers(connection: Connection) -> list[Server]:
    return [_server(row) for row in await connection.execute(select(*_COLUMNS).order_by(servers.c.id))]


async def find_server(connection: Connection, name: str) -> Server | None:
    """The server with the id `name`, else the only one whose URL names the host `name`."""
    found = {server.id: server for server in await all_servers(connection)}
    if server := found.get(ServerId(name)):
        return server
    on_host = [server for server in found.values() if server.host_name == name.lower()]
    return on_host[0] if len(on_host) == 1 else None


async def insert_server(connection: Connection, server: Server) -> None:
    """Raises ServerExists."""
    values = {
        "id": server.id,
        "url": server.url,
        "secret": server.secret,
        "admin_state": server.admin_state,
        "load_multiplier": server.load_multiplier,
        "tags": sorted(server.tags),
        "region": server.region,
    }
    try:
        await connection.execute(insert(servers).values(values))
    except IntegrityError as error:
        raise ServerExists(f"There is a server with the id {server.id} or the URL {server.url} already") from error
    await notify(connection, "servers", [server.id])


async def update_server(connection: Connection, server_id: ServerId, changes: Mapping[str, Any]) -> None:
    """Raises ServerExists when the new URL is another server's."""
    try:
        await connection.execute(update(servers).where(servers.c.id == server_id).values(**changes))
    except IntegrityError as error:
        raise ServerExists(f"Another server has the URL {changes.get('url')} already") from error
    await notify(connection, "servers", [server_id])


async def delete_server(connection: Connection, server_id: ServerId) -> None:
    await connection.execute(delete(servers).where(servers.c.id == server_id))
    await notify(connection, "servers", [server_id])


async def lock_server(connection: Connection, server_id: ServerId) -> None:
    """Holds off placements on a server, and polls of it, until the transaction ends."""
    await connection.execute(select(servers.c.id).where(servers.c.id == server_id).with_for_update())


async def server_status(connection: Connection, server_id: ServerId) -> tuple[float, Health, AdminState] | None:
    """The load, health and admin state as they are now."""
    row = (await connection.execute(_STATUS, {"id": server_id})).first()
    return (row.load, Health(row.health), AdminState(row.admin_state)) if row else None


def _server(row: Row[Any]) -> Server:
    return Server(
        id=ServerId(row.id),
        url=row.url,
        secret=row.secret,
        admin_state=AdminState(row.admin_state),
        health=Health(row.health),
        load=row.load,
        load_multiplier=row.load_multiplier,
        tags=frozenset(row.tags),
        region=row.region,
        meetings=row.meetings,
        users=row.users,
        largest_meeting=row.largest_meeting,
        videos=row.videos,
        bbb_version=row.bbb_version,
        last_poll=row.last_poll,
    )
