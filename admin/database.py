"""What `meetingpool db` does."""

import asyncio

from admin.connection import database_url, tell_where_the_key_is, upgrade_schema
from meetingpool.database.engine import Database
from meetingpool.database.revision import current_revision, require_revision
from meetingpool.database.sealed_secrets import require_secrets
from meetingpool.secret_keys import Keyring, keyring_of
from meetingpool.settings import read_settings


def upgrade() -> None:
    settings = read_settings()
    with database_url(settings) as url:
        asyncio.run(upgrade_schema(url, settings))
        print(f"The database is at revision {asyncio.run(_current(url))}")
        tell_where_the_key_is(settings)


def current() -> None:
    with database_url(read_settings()) as url:
        print(asyncio.run(_current(url)) or "none")


def check() -> None:
    """Raises WrongRevision or SecretsUnreadable with what to do."""
    settings = read_settings()
    with database_url(settings) as url:
        asyncio.run(_check(url, keyring_of(settings)))


async def _current(url: str) -> str | None:
    database = Database(url, name="command", pool_size=1)
    try:
        return await current_revision(database)
    finally:
        await database.close()


async def _check(url: str, keyring: Keyring) -> None:
    database = Database(url, name="command", pool_size=1, keyring=keyring)
    try:
        await require_revision(database)
        await require_secrets(database)
        print(f"The database is at revision {await current_revision(database)}, which this version needs")
    finally:
        await database.close()
