"""Names for the shell's completion. Never waits for, starts or complains about anything."""

import asyncio

from meetingpool.database.engine import Database, DatabaseUnavailable
from meetingpool.database.servers import all_servers
from meetingpool.settings import SettingsError, read_settings


def server_ids(incomplete: str) -> list[str]:
    """The ids of servers that begin so; none with the embedded database, which would have to be started."""
    try:
        url = read_settings().database_url
        return asyncio.run(_ids(url, incomplete)) if url else []
    except (SettingsError, DatabaseUnavailable):
        return []


async def _ids(url: str, incomplete: str) -> list[str]:
    database = Database(url, name="completion", pool_size=1)
    try:
        async with database.transaction() as connection:
            return [server.id for server in await all_servers(connection) if server.id.startswith(incomplete)]
    finally:
        await database.close()
