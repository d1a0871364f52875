"""Brings the database to the schema that this program needs. Called by `meetingpool db upgrade`, `up` and the tests."""

import asyncio

import alembic.command
import alembic.config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection as SyncConnection
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from meetingpool.database.engine import plain_url
from meetingpool.database.revision import from_newer_version, known_revisions

# Any number that nobody else uses for an advisory lock in this database.
_LOCK = 0x6D656574


async def upgrade(database_url: str) -> None:
    """Brings the database to the needed revision. Of several processes at once, one migrates and the others wait.

    Raises WrongRevision when a newer version has been there.
    """
    url = plain_url(database_url).replace("postgresql", "postgresql+asyncpg", 1)
    engine = create_async_engine(url, poolclass=NullPool)
    try:
        await _upgrade(engine)
    finally:
        await engine.dispose()


async def _upgrade(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        await connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK})
        await connection.commit()
        try:
            current = await connection.run_sync(_current_revision)
            if current is not None and current not in known_revisions():
                raise from_newer_version(current)
            await connection.run_sync(_run_upgrade)
            await connection.commit()
        finally:
            await asyncio.shield(connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _LOCK}))


def _current_revision(connection: SyncConnection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _run_upgrade(connection: SyncConnection) -> None:
    config = alembic.config.Config()
    config.set_main_option("script_location", "migrations:")
    config.attributes["connection"] = connection
    alembic.command.upgrade(config, "head")
