"""The recordings worker: `python -m recordings`. Started by `meetingpool recordings run` and `meetingpool up`."""

import asyncio
import os
import signal
import sys
import threading

from meetingpool.clock import SystemClock
from meetingpool.database.engine import Database, DatabaseUnavailable
from meetingpool.database.revision import WrongRevision, require_database
from meetingpool.library.storage import Storage, StorageUnusable
from meetingpool.logs import configure_logs, get_logger
from meetingpool.operations.import_recording import Importer
from meetingpool.operations.open_library import import_rules, prepare_storage, storage_of
from meetingpool.operations.run_imports import ImportRunner
from meetingpool.operations.settle_recording import Settler
from meetingpool.operations.tidy_library import Tidier
from meetingpool.secret_keys import keyring_of
from meetingpool.settings import Settings, SettingsError, read_settings
from recordings.spool import Spool
from recordings.worker import Worker

# Seconds for the running import to end. A storage that hangs lets nobody end in order.
FINISH_WITHIN = 20.0

log = get_logger()


def main() -> int:
    try:
        settings = read_settings()
        configure_logs(process="recordings", log_format=settings.log_format, level=settings.log_level)
        asyncio.run(run(settings))
    except (SettingsError, DatabaseUnavailable, WrongRevision, StorageUnusable) as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"The directories of recordings cannot be used: {error}", file=sys.stderr)
        return 1
    return 0


async def run(settings: Settings) -> None:
    """Imports until told to stop. Raises DatabaseUnavailable, WrongRevision, StorageUnusable or OSError at the start only."""
    keyring = keyring_of(settings)
    await require_database(settings.database_url, keyring)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop, stop)
    database = Database(str(settings.database_url), name="recordings", pool_size=4, keyring=keyring)
    try:
        storage = storage_of(settings)
        await prepare_storage(database, storage)
        worker = await make_worker(settings, database, storage)
        await worker.run(stop)
    finally:
        await database.close()


def _stop(stop: asyncio.Event) -> None:
    """Tells the worker to stop. One that cannot, since a thread of it waits for a storage that hangs, ends all the same."""
    stop.set()
    watchdog = threading.Timer(FINISH_WITHIN, _give_up)
    watchdog.daemon = True
    watchdog.start()


def _give_up() -> None:
    log.error("storage_hangs", waited=FINISH_WITHIN)
    os._exit(1)


async def make_worker(settings: Settings, database: Database, storage: Storage) -> Worker:
    """The only wiring of the worker."""
    rules = await import_rules(database, settings)
    settler = Settler(database, storage)
    spools = [Spool(directory.absolute(), settle_time=settings.recording_settle_time) for directory in settings.spool_dirs]
    if not settings.recording_spool_dir:
        # The one below the data directory is ours to make; a configured one that is not there is not mounted.
        for spool in spools:
            spool.directory.mkdir(parents=True, exist_ok=True)
    return Worker(
        database,
        storage,
        spools,
        ImportRunner(database, Importer(database, storage, rules), settle_time=settings.recording_settle_time),
        settler,
        Tidier(
            database,
            storage,
            settler,
            trash_days=settings.recording_trash_days,
            spools=[spool.directory for spool in spools],
        ),
        SystemClock(),
        poll_interval=settings.recording_import_poll_interval,
    )


if __name__ == "__main__":
    sys.exit(main())
