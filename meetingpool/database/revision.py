"""Which schema the database has, and which one this program needs. Asked by every process before it starts.

Apart from the migrations themselves (`migrate.py`), since what runs them is large, and a process that serves needs none of it.
"""

from importlib.resources import files

from meetingpool.database.engine import Connection, Database, DatabaseUnavailable
from meetingpool.database.sealed_secrets import require_secrets
from meetingpool.secret_keys import Keyring


class WrongRevision(Exception):
    """The database has another schema than this program needs."""


def known_revisions() -> list[str]:
    """All revisions that this program knows, the newest last. Their files begin with them, and follow one another."""
    versions = files("migrations").joinpath("versions").iterdir()
    return sorted(file.name.partition("_")[0] for file in versions if file.name[:1].isdigit() and file.name.endswith(".py"))


def needed_revision() -> str:
    """The newest revision that this program knows."""
    return known_revisions()[-1]


async def current_revision(database: Database) -> str | None:
    """The revision of the database; None when it has no schema yet."""
    async with database.transaction() as connection:
        return await revision_of(connection)


async def revision_of(connection: Connection) -> str | None:
    """The same, in a transaction that is there already."""
    if await connection.fetchval("SELECT to_regclass('alembic_version')") is None:
        return None
    revision: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
    return revision


async def require_revision(database: Database) -> None:
    """Raises WrongRevision with what to do, unless the database has exactly the schema that this program needs."""
    current, needed = await current_revision(database), needed_revision()
    if current == needed:
        return
    if current is None or current in known_revisions():
        raise WrongRevision(f"The database is at revision {current or 'none'}, {needed} is needed: run `meetingpool db upgrade`")
    raise from_newer_version(current)


async def require_database(database_url: str | None, keyring: Keyring) -> None:
    """What a process checks before it starts. Raises DatabaseUnavailable, SecretsUnreadable or WrongRevision, with what to do."""
    if database_url is None:
        raise DatabaseUnavailable("This process needs MEETINGPOOL_DATABASE_URL; `meetingpool up` sets it for its processes")
    database = Database(database_url, name="check", pool_size=1, keyring=keyring)
    try:
        await require_revision(database)
        await require_secrets(database)
    finally:
        await database.close()


def from_newer_version(current: str) -> WrongRevision:
    return WrongRevision(f"The database is at revision {current}, which this version does not know: install the newer version")
