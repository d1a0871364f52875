"""Encrypts the secrets of the database: what earlier versions kept clear, and all of it when there is a new key.

Called by `meetingpool keys rotate`, and by whatever upgrades a database.
"""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from meetingpool.database.engine import Database
from meetingpool.database.sealed_secrets import require_keys, seal_anew
from meetingpool.domain.refusals import Conflict
from meetingpool.operations.changes import Change
from meetingpool.secret_keys import Keyring, keyring_of, made_keyring
from meetingpool.settings import Settings

# What the audit calls the key of secrets that were kept clear.
NO_KEY = "none"


class NoKey(Conflict):
    """There is no key to encrypt with."""


async def rotate_keys(change: Change) -> Counter[str]:
    """Encrypts with the first key whatever is not. Returns how many secrets that were, by the keys that they had.

    Processes that run go on meanwhile, and afterwards if they have this key too. Raises NoKey, or SecretsUnreadable when one
    of the keys that secrets have is not here.
    """
    keyring: Keyring = change.connection.keyring
    if not keyring.ids:
        raise NoKey("There is no key to encrypt with: set MEETINGPOOL_SECRET_KEY or MEETINGPOOL_SECRET_KEY_FILE")
    had = Counter({key or NO_KEY: count for key, count in (await seal_anew(change.connection)).items()})
    if had:
        await change.note("keys.rotate", keyring.ids[0], before=dict(had), after={keyring.ids[0]: had.total()})
    return had


async def seal_clear_secrets(url: str, settings: Settings) -> None:
    """Encrypts what earlier versions kept clear. Makes a key in the data directory when there is none anywhere.

    Raises SecretsUnreadable when the database has secrets that there is no key for, and SettingsError.
    """
    # Before one is made: where others have a key, that is the one to use.
    async with _opened(url, keyring_of(settings)) as database:
        await require_keys(database)
    async with _opened(url, made_keyring(settings)) as database:
        async with database.transaction() as connection:
            await seal_anew(connection, only_clear=True)
        # Another machine may have made a key at the same moment, and been quicker.
        await require_keys(database)


@asynccontextmanager
async def _opened(url: str, keyring: Keyring) -> AsyncIterator[Database]:
    database = Database(url, name="upgrade", pool_size=1, keyring=keyring)
    try:
        yield database
    finally:
        await database.close()
