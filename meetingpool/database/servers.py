"""The servers of the pool, as rows."""

from collections.abc import Collection, Mapping
from typing import Any

from meetingpool.database.engine import Connection, Record, Taken, assignments
from meetingpool.database.notifications import notify
from meetingpool.database.sealed_secrets import seal, unseal
from meetingpool.domain.refusals import Conflict
from meetingpool.domain.servers import AdminState, Health, Registration, Server, ServerId, Standing

_COLUMNS = (
    "id, url, secret, admin_state, health, load, load_multiplier, handicap, tags, region, max_meetings, max_users, "
    "soft_meetings, soft_users, meetings, users, largest_meeting, videos, bbb_version, last_poll, "
    "registered_by, registration, registered_state, registered_until"
)
_ALL = f"SELECT {_COLUMNS} FROM servers ORDER BY id"
_INSERT = """
    INSERT INTO servers (
        id, url, secret, admin_state, load_multiplier, tags, region, max_meetings, max_users, soft_meetings, soft_users
    ) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
"""
_STATUS = """
    SELECT load, health, admin_state, (SELECT count(*) FROM meetings WHERE server_id = servers.id) AS meetings
    FROM servers WHERE id = $1
"""
_SEALED = "servers.secret"
_LOCK = "SELECT FROM servers WHERE id = $1 FOR UPDATE"
_LOCK_KNOWN = f"SELECT {_COLUMNS} FROM servers WHERE id = ANY($1::text[]) ORDER BY id FOR UPDATE"


class ServerExists(Conflict):
    """There is a server with this id or URL already."""


async def all_servers(connection: Connection) -> list[Server]:
    """Raises SecretsUnreadable."""
    return [_server(connection, row) for row in await connection.fetch(_ALL)]


async def find_server(connection: Connection, name: str) -> Server | None:
    """The server with the id `name`, else the only one whose URL names the host `name`."""
    found = {server.id: server for server in await all_servers(connection)}
    if server := found.get(ServerId(name)):
        return server
    on_host = [server for server in found.values() if server.host_name == name.lower()]
    return on_host[0] if len(on_host) == 1 else None


async def insert_server(connection: Connection, server: Server) -> None:
    """Raises ServerExists or SecretsUnreadable."""
    try:
        await connection.execute(
            _INSERT,
            server.id,
            server.url,
            seal(connection, _SEALED, server.id, server.secret),
            server.admin_state,
            server.load_multiplier,
            sorted(server.tags),
            server.region,
            server.max_meetings,
            server.max_users,
            server.soft_meetings,
            server.soft_users,
        )
    except Taken as error:
        raise ServerExists(f"There is a server with the id {server.id} or the URL {server.url} already") from error
    await notify(connection, "servers", [server.id])


async def update_server(connection: Connection, server_id: ServerId, changes: Mapping[str, Any]) -> None:
    """Writes the columns in `changes`. Raises SecretsUnreadable, or ServerExists when the new URL is another server's.

    A state that is written so is an administrator's decision, which no registration undoes.
    """
    kept = dict(changes)
    if "admin_state" in kept:
        kept["registered_state"] = None
    if "secret" in kept:
        kept["secret"] = seal(connection, _SEALED, server_id, kept["secret"])
    try:
        await connection.execute(f"UPDATE servers SET {assignments(kept)} WHERE id = $1", server_id, *kept.values())
    except Taken as error:
        raise ServerExists(f"Another server has the URL {changes.get('url')} already") from error
    await notify(connection, "servers", [server_id])


async def delete_server(connection: Connection, server_id: ServerId) -> None:
    await connection.execute("DELETE FROM servers WHERE id = $1", server_id)
    await notify(connection, "servers", [server_id])


async def lock_server(connection: Connection, server_id: ServerId) -> None:
    """Holds off placements on a server, and polls of it, until the transaction ends."""
    await connection.execute(_LOCK, server_id)


async def lock_known(connection: Connection, ids: Collection[ServerId]) -> list[Server]:
    """The same for several, in the order of their ids. Returns them as they are then, without those that are gone."""
    return [_server(connection, row) for row in await connection.fetch(_LOCK_KNOWN, list(ids))]


async def server_status(connection: Connection, server_id: ServerId) -> tuple[float, Health, AdminState, int] | None:
    """The load, health and admin state as they are now, and how many meetings the server carries."""
    row = await connection.fetchrow(_STATUS, server_id)
    return (row["load"], Health(row["health"]), AdminState(row["admin_state"]), row["meetings"]) if row else None


def _server(connection: Connection, row: Record) -> Server:
    return Server(
        id=ServerId(row["id"]),
        url=row["url"],
        secret=unseal(connection, _SEALED, row["id"], row["secret"]),
        admin_state=AdminState(row["admin_state"]),
        health=Health(row["health"]),
        load=row["load"],
        load_multiplier=row["load_multiplier"],
        handicap=row["handicap"],
        tags=frozenset(row["tags"]),
        region=row["region"],
        max_meetings=row["max_meetings"],
        max_users=row["max_users"],
        soft_meetings=row["soft_meetings"],
        soft_users=row["soft_users"],
        meetings=row["meetings"],
        users=row["users"],
        largest_meeting=row["largest_meeting"],
        videos=row["videos"],
        bbb_version=row["bbb_version"],
        last_poll=row["last_poll"],
        registration=_registration(row) if row["registered_by"] else None,
    )


def _registration(row: Record) -> Registration:
    state = row["registered_state"]
    return Registration(
        token=row["registered_by"],
        standing=Standing(row["registration"]),
        state=AdminState(state) if state else None,
        until=row["registered_until"],
    )
