"""What `meetingpool db` does."""

import asyncio

from admin.connection import database_url, upgrade_schema
from meetingpool.database.engine import Database
from meetingpool.database.revision import current_revision, require_revision
from meetingpool.settings import read_settings


def upgrade() -> None:
    with database_url(read_settings()) as url:
        asyncio.run(upgrade_schema(url))
        print(f"The database is at revision {asyncio.run(_current(url))}")


def current() -> None:
    with database_url(read_settings()) as url:
        print(asyncio.run(_current(url)) or "none")


def check() -> None:
    """Raises WrongRevision with what to do."""
    with database_url(read_settings()) as url:
        asyncio.run(_check(url))


async def _current(url: str) -> str | None:
    database = Database(url, name="command", pool_size=1)
    try:
        return await current_revision(database)
    finally:
        await database.close()


async def _check(url: str) -> None:
    database = Database(url, name="command", pool_size=1)
    try:
        await require_revision(database)
        print(f"The database is at revision {await current_revision(database)}, which this version needs")
    finally:
        await database.close()
