"""Takes archives one after the other, imports them, and writes down what came of each.

Whatever goes wrong, the archive stays: it is tried again with growing pauses, or refused with the reason until somebody looks.
Called by the recordings worker and `meetingpool recordings import`.
"""

import asyncio
import errno
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from uuid import uuid4

from meetingpool.database import imports
from meetingpool.database.engine import Connection, Database, DatabaseUnavailable
from meetingpool.database.imports import Import, LeaseLost
from meetingpool.domain.recordings import RecordId
from meetingpool.library.trees import TreeMissing
from meetingpool.library.unpack import ArchiveIncomplete
from meetingpool.logs import get_logger
from meetingpool.operations.alerts import recording_quarantined
from meetingpool.operations.import_recording import ArchiveGone, Importer, NotSettled, Refused, StillChanging

KEEP_EVERY = 2.0
RETRY_DATABASE = 1.0
# In seconds: the pause after the first failure, which doubles up to the longest.
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 300.0
# Seconds after which what fails for a passing reason is refused: an archive that stays incomplete, a storage that stays full.
INCOMPLETE_FOR = 3600.0
FAILING_FOR = 24 * 3600.0

log = get_logger()


class Stopped(Exception):
    """The import was told to stop."""


@dataclass(slots=True)
class Progress:
    """How far an import is. Written by the thread that unpacks, read by the one that tells of it."""

    bytes_done: int = 0
    files_done: int = 0
    is_stopped: bool = False

    def watch(self, bytes_done: int, files_done: int) -> None:
        self.bytes_done, self.files_done = bytes_done, files_done
        if self.is_stopped:
            raise Stopped


class ImportRunner:
    """One worker's imports, one at a time."""

    def __init__(self, database: Database, importer: Importer, *, settle_time: float) -> None:
        self._database = database
        self._importer = importer
        self._settle_time = settle_time
        self._holder = f"{os.uname().nodename}-{os.getpid()}-{uuid4().hex[:8]}"
        self._progress = Progress()
        self._is_stopping = False

    @property
    def progress(self) -> Progress:
        """How far the running import is."""
        return self._progress

    @property
    def is_stopping(self) -> bool:
        return self._is_stopping

    def stop(self) -> None:
        """The running import ends soon, and is left to whoever takes it next."""
        self._is_stopping = True
        self._progress.is_stopped = True

    async def run_next(self, import_id: int | None = None) -> Import | None:
        """Imports the next archive that is due, or the one with this id, and returns what was taken; None when nothing is due.

        Nothing is for one who was told to stop. Raises DatabaseUnavailable when it cannot be known.
        """
        if self._is_stopping:
            return None
        async with self._database.transaction() as connection:
            taken = await imports.take_import(connection, self._holder, import_id)
        if taken is not None:
            await self._run(taken)
        return taken

    async def _run(self, taken: Import) -> None:
        self._progress = Progress(is_stopped=self._is_stopping)
        keeping = asyncio.create_task(self._keep(taken, self._progress))
        try:
            write_down = await self._outcome(taken)
        finally:
            keeping.cancel()
            with suppress(asyncio.CancelledError):
                await keeping
        await self._persist(write_down)

    async def _keep(self, taken: Import, progress: Progress) -> None:
        """Renews the lease as long as the import runs; one that lost it stops."""
        while True:
            await asyncio.sleep(KEEP_EVERY)
            try:
                async with self._database.transaction() as connection:
                    await imports.keep_import(connection, taken, progress.bytes_done, progress.files_done)
            except LeaseLost:
                progress.is_stopped = True
                return
            except DatabaseUnavailable:
                log.warning("database_unreachable")

    async def _outcome(self, taken: Import) -> "WriteDown | None":
        """Runs the import. What is to be written of it; None when the import has written all itself, or is somebody else's."""
        fields = {"archive": taken.name, "id": taken.id, "attempt": taken.attempts}
        try:
            record_ids = await self._importer.run(taken, self._progress.watch)
        except Refused as error:
            return _refused(taken, error.reason, error.detail)
        except StillChanging as error:
            log.debug("archive_still_changing", **fields)
            return _looked_at(taken, error, self._settle_time)
        except ArchiveIncomplete as error:
            return self._failed(taken, "incomplete", str(error), INCOMPLETE_FOR)
        except OSError as error:
            return self._failed(taken, "storage_error", _named(error), FAILING_FOR)
        except (ArchiveGone, NotSettled, TreeMissing) as error:
            return self._failed(taken, "not_placed", str(error), FAILING_FOR)
        except DatabaseUnavailable as error:
            # Not at once: it may be this archive that the database takes too long for.
            return self._failed(taken, "database_unavailable", str(error), FAILING_FOR)
        except Stopped:
            return lambda connection: imports.release_import(connection, taken)
        except LeaseLost:
            log.warning("import_lease_lost", **fields)
            return None
        except Exception as error:  # the outermost frame of an import: a defect of ours must not stop the others
            log.exception("import_broke", **fields)
            return self._failed(taken, "internal_error", type(error).__name__, FAILING_FOR)
        _tell_imported(record_ids, fields)
        return None

    def _failed(self, taken: Import, reason: str, detail: str, refused_after: float) -> "WriteDown":
        if taken.failing_for > refused_after:
            return _refused(taken, reason, detail)
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(taken.attempts - 1, 10))
        log.warning("import_failed", archive=taken.name, id=taken.id, reason=reason, detail=detail, tried_again_in=pause)
        return lambda connection: imports.postpone_import(connection, taken, pause, reason, detail)

    async def _persist(self, write_down: "WriteDown | None") -> None:
        """Writes down what came of it, when the database is there; a worker that stops leaves it to the end of the lease."""
        is_written = write_down is None
        while write_down and not is_written:
            try:
                async with self._database.transaction() as connection:
                    await write_down(connection)
                is_written = True
            except DatabaseUnavailable:
                if self._is_stopping:
                    return
                await asyncio.sleep(RETRY_DATABASE)


WriteDown = Callable[[Connection], Awaitable[None]]


def _refused(taken: Import, reason: str, detail: str) -> WriteDown:
    log.error("archive_refused", archive=taken.name, id=taken.id, reason=reason, detail=detail)

    async def write_down(connection: Connection) -> None:
        if await imports.quarantine_import(connection, taken, reason, detail):
            await recording_quarantined(connection, taken, reason)

    return write_down


def _looked_at(taken: Import, error: StillChanging, settle_time: float) -> WriteDown:
    return lambda connection: imports.note_change(connection, taken, settle_time, error.size, error.mtime_ns)


def _named(error: OSError) -> str:
    """What the storage said, without the path: it is shown to people."""
    name = errno.errorcode.get(error.errno or 0, "EIO")
    return f"{name}: {os.strerror(error.errno or errno.EIO)}"


def _tell_imported(record_ids: list[RecordId], fields: dict[str, object]) -> None:
    for record_id in record_ids:
        log.info("recording_imported", recording=record_id, **fields)
