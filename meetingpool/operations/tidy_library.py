"""What is no longer needed goes: the trash after its time, what imports left behind, old rows. Called by the worker."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from meetingpool.database import imports, recordings
from meetingpool.database.engine import Database
from meetingpool.database.imports import ImportState
from meetingpool.library.files import remove_tree
from meetingpool.library.storage import Storage
from meetingpool.library.uploads import remove_given_up
from meetingpool.logs import get_logger
from meetingpool.operations.import_recording import CLAIMED
from meetingpool.operations.settle_recording import Settler

# Of what was purged at once.
PURGE_AT_ONCE = 100
# Seconds for which nobody touches what an import, or a removal, left behind: it may still be under way.
LEFT_ALONE = 600.0

log = get_logger()


class Tidier:
    """Tidies one storage, and spool directories. `trash_days`: for which the files of deleted recordings are kept."""

    def __init__(
        self, database: Database, storage: Storage, settler: Settler, *, trash_days: int, spools: Sequence[Path] = ()
    ) -> None:
        self._database = database
        self._storage = storage
        self._settler = settler
        self._trash_days = trash_days
        self._spools = spools

    async def tidy(self) -> None:
        """Raises OSError and DatabaseUnavailable."""
        await self.purge(self._trash_days)
        await self._drop_refused()
        await self._remove_leftovers()
        for spool in self._spools:
            if removed := await asyncio.to_thread(remove_given_up, spool):
                log.info("uploads_given_up", spool=str(spool), number=removed)
        async with self._database.transaction() as connection:
            await imports.purge_imports(connection)

    async def purge(self, days: int) -> int:
        """Removes the files of recordings that were deleted so many days ago. Returns how many recordings."""
        purged = 0
        while True:
            async with self._database.transaction() as connection:
                record_ids = await recordings.deleted_before(connection, days, PURGE_AT_ONCE)
            done = [await self._settler.purge(record_id) for record_id in record_ids]
            purged += sum(done)
            if len(done) < PURGE_AT_ONCE or not any(done):
                return purged

    async def _drop_refused(self) -> None:
        """Archives of recordings that were deleted are kept as long as the trash."""
        async with self._database.transaction() as connection:
            expired = await imports.expired_imports(connection, "deleted", self._trash_days)
            found = await imports.find_imports(connection, expired)
        for each in found:
            # In this order: somebody may want it tried again by now. A file without a row is found, and looked at once more.
            async with self._database.transaction() as connection:
                is_dropped = await imports.drop_import(connection, each.id)
            if is_dropped:
                await asyncio.to_thread((each.spool / CLAIMED / each.file).unlink, missing_ok=True)
                log.info("refused_archive_purged", archive=each.name, id=each.id)

    async def _remove_leftovers(self) -> None:
        async with self._database.transaction() as connection:
            waited_for = await recordings.arrival_directories(connection)
            working = {each.id for each in await imports.list_imports(connection, [ImportState.WORKING])}
        for left in await asyncio.to_thread(self._leftovers):
            is_of_import = left.parent == self._storage.unpacking_dir
            if is_of_import and (left.name in waited_for or _import_of(left) in working):
                continue
            with suppress(FileNotFoundError):
                await asyncio.to_thread(remove_tree, left)
                log.info("leftover_removed", directory=left.name)

    def _leftovers(self) -> list[Path]:
        """What nobody has touched for a while."""
        before = time.time() - LEFT_ALONE
        directories = (self._storage.unpacking_dir, self._storage.discarded_dir)
        return [path for directory in directories for path in directory.iterdir() if path.lstat().st_mtime < before]


def _import_of(directory: Path) -> int:
    number = directory.name.partition("-")[0]
    return int(number) if number.isascii() and number.isdigit() else 0
