"""The revisions that the program knows by the names of their files are those that Alembic would run, and make the tables."""

import alembic.config
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, make_url
from sqlalchemy.ext.asyncio import create_async_engine

from meetingpool.database.engine import Database
from meetingpool.database.foresight_tables import metadata
from meetingpool.database.revision import current_revision, known_revisions, needed_revision


def test_the_known_revisions_are_those_of_the_scripts_in_their_order() -> None:
    config = alembic.config.Config()
    config.set_main_option("script_location", "migrations:")
    scripts = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert known_revisions() == scripts[::-1]


async def test_a_migrated_database_has_the_needed_revision(database: Database) -> None:
    assert await current_revision(database) == needed_revision()


async def test_the_migrations_make_the_tables_as_they_are_written_down(database_url: str) -> None:
    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    engine = create_async_engine(make_url(database_url).set(drivername="postgresql+asyncpg"))
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()
