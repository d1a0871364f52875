"""The library of the settings: its directories, marked as ours, and the rules of imports. For the worker and the commands."""

import asyncio
from uuid import uuid4

from meetingpool.database.engine import Database
from meetingpool.database.installation import callback_key, keep_storage_id, storage_id
from meetingpool.library.storage import Storage, StorageUnusable
from meetingpool.library.unpack import Limits
from meetingpool.operations.import_recording import ImportRules
from meetingpool.settings import Settings

# A storage that does not answer within so many seconds hangs, as NFS does whose server is gone.
STORAGE_TIMEOUT = 20.0


def storage_of(settings: Settings) -> Storage:
    return Storage(
        publish_dir=settings.publish_dir.absolute(),
        unpublish_dir=settings.unpublish_dir.absolute(),
        work_dir=settings.work_dir.absolute(),
    )


async def import_rules(database: Database, settings: Settings) -> ImportRules:
    async with database.transaction() as connection:
        key = await callback_key(connection)
    return ImportRules(
        limits=Limits(max_bytes=settings.recording_max_bytes, max_files=settings.recording_max_files),
        callback_key=key,
        settle_time=settings.recording_settle_time,
        are_many_tenants=settings.multitenancy_enabled,
        is_published=not settings.recording_import_unpublished,
        is_protected=settings.protected_recordings_enabled,
    )


async def prepare_storage(database: Database, storage: Storage) -> None:
    """Makes the directories if there has been no storage yet. Raises StorageUnusable, OSError or DatabaseUnavailable."""
    async with database.transaction() as connection:
        kept = await storage_id(connection)
    if kept is None:
        await adopt_storage(database, storage)


async def adopt_storage(database: Database, storage: Storage) -> None:
    """Takes the directories of the settings for the storage of this installation, whatever they hold.

    Raises StorageUnusable when they are another's, OSError or DatabaseUnavailable.
    """
    async with database.transaction() as connection:
        kept = await storage_id(connection)
    marked = await asyncio.to_thread(storage.create, kept or uuid4().hex)
    async with database.transaction() as connection:
        kept = await keep_storage_id(connection, marked)
    await asyncio.to_thread(storage.require, kept)


async def require_storage(database: Database, storage: Storage) -> None:
    """Raises StorageUnusable unless the directories are there and ours; OSError, DatabaseUnavailable."""
    async with database.transaction() as connection:
        kept = await storage_id(connection)
    if kept is None:
        raise StorageUnusable("There is no storage of recordings yet: start the recordings worker, which makes it")
    try:
        await asyncio.wait_for(asyncio.to_thread(storage.require, kept), STORAGE_TIMEOUT)
    except TimeoutError:
        raise StorageUnusable(f"The storage of recordings did not answer within {STORAGE_TIMEOUT:g} s: check its mount") from None
