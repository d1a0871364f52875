"""Which schema the database has, and bringing it to the one that this program needs."""

import asyncio

import alembic.command
import alembic.config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection as SyncConnection
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from meetingpool.database.engine import Database, DatabaseUnavailable, sqlalchemy_url

# Any number that nobody else uses for an advisory lock in this database.
_LOCK = 0x6D656574


class WrongRevision(Exception):
    """The database has another schema than this program needs."""


def needed_revision() -> str:
    """The newest revision that this program knows."""
    return ScriptDirectory.from_config(_config()).get_current_head() or ""


async def current_revision(database: Database) -> str | None:
    """The revision of the database; None when it has no schema yet."""
    async with database.transaction() as connection:
        return await connection.run_sync(lambda sync: MigrationContext.configure(sync).get_current_revision())


async def require_revision(database: Database) -> None:
    """Raises WrongRevision with what to do, unless the database has exactly the schema that this program needs."""
    current, needed = await current_revision(database), needed_revision()
    if current == needed:
        return
    if current is None or current in _known_revisions():
        raise WrongRevision(f"The database is at revision {current or 'none'}, {needed} is needed: run `meetingpool db upgrade`")
    raise _from_newer_version(current)


async def require_database(database_url: str | None) -> None:
    """What a process checks before it starts. Raises DatabaseUnavailable or WrongRevision, with what to do."""
    if database_url is None:
        raise DatabaseUnavailable("This process needs MEETINGPOOL_DATABASE_URL; `meetingpool up` sets it for its processes")
    database = Database(database_url, name="check", pool_size=1)
    try:
        await require_revision(database)
    finally:
        await database.close()


async def upgrade(database_url: str) -> None:
    """Brings the database to the needed revision. Of several processes at once, one migrates and the others wait.

    Raises WrongRevision when a newer version has been there.
    """
    engine = create_async_engine(sqlalchemy_url(database_url), poolclass=NullPool)
    try:
        await _upgrade(engine)
    finally:
        await engine.dispose()


async def _upgrade(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        await connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK})
        await connection.commit()
        try:
            await connection.run_sync(_run_upgrade)
            await connection.commit()
        finally:
            await asyncio.shield(connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _LOCK}))


def _run_upgrade(connection: SyncConnection) -> None:
    current = MigrationContext.configure(connection).get_current_revision()
    if current is not None and current not in _known_revisions():
        raise _from_newer_version(current)
    config = _config()
    config.attributes["connection"] = connection
    alembic.command.upgrade(config, "head")


def _from_newer_version(current: str) -> WrongRevision:
    return WrongRevision(f"The database is at revision {current}, which this version does not know: install the newer version")


def _known_revisions() -> set[str]:
    return {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}


def _config() -> alembic.config.Config:
    config = alembic.config.Config()
    config.set_main_option("script_location", "migrations:")
    return config
