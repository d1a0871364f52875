"""The revisions that the program knows by the names of their files are those that Alembic would run, and make the tables."""

import alembic.config
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from meetingpool.database.engine import Database
from meetingpool.database.revision import current_revision, known_revisions, needed_revision
from meetingpool.database.tables import metadata


def test_the_known_revisions_are_those_of_the_scripts_in_their_order() -> None:
    config = alembic.config.Config()
    config.set_main_option("script_location", "migrations:")
    scripts = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert known_revisions() == scripts[::-1]


async def test_a_migrated_database_has_the_needed_revision(database: Database) -> None:
    assert await current_revision(database) == needed_revision()


async def test_the_migrations_make_the_tables_that_the_program_uses(database: Database) -> None:
    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    async with database.transaction() as connection:
        assert await connection.run_sync(differences) == []
