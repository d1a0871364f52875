"""Names for the shell's completion. Never waits for, starts or complains about anything."""

import asyncio
from collections.abc import Awaitable, Callable

from meetingpool.database.engine import Connection, Database, DatabaseUnavailable
from meetingpool.database.servers import all_servers
from meetingpool.database.tenants import all_tenants
from meetingpool.settings import SettingsError, read_settings

Names = Callable[[Connection], Awaitable[list[str]]]


def server_ids(incomplete: str) -> list[str]:
    """The ids of servers that begin so; none with the embedded database, which would have to be started."""
    return _beginning(incomplete, _server_ids)


def tenant_names(incomplete: str) -> list[str]:
    """The names of tenants that begin so, as for servers."""
    return _beginning(incomplete, _tenant_names)


def _beginning(incomplete: str, names: Names) -> list[str]:
    try:
        url = read_settings().database_url
        found = asyncio.run(_asked(url, names)) if url else []
    except (SettingsError, DatabaseUnavailable):
        return []
    return [name for name in found if name.startswith(incomplete)]


async def _asked(url: str, names: Names) -> list[str]:
    database = Database(url, name="completion", pool_size=1)
    try:
        async with database.transaction() as connection:
            return await names(connection)
    finally:
        await database.close()


async def _server_ids(connection: Connection) -> list[str]:
    return [server.id for server in await all_servers(connection)]


async def _tenant_names(connection: Connection) -> list[str]:
    return [tenant.name for tenant in await all_tenants(connection)]
