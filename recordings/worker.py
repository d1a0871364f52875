"""The life of the worker: four tasks that look into the spools, import, settle what is not in place, and tidy up.

None of them waits for the others, and each goes on when the database or the storage was away. How many workers there are does not
matter: archives are claimed, and recordings moved, by one at a time.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any
from uuid import uuid4

from meetingpool.clock import Clock
from meetingpool.database import imports, recordings
from meetingpool.database.engine import Database, DatabaseUnavailable
from meetingpool.database.notifications import listening
from meetingpool.domain.recordings import RecordId
from meetingpool.library.storage import Storage, StorageUnusable
from meetingpool.library.trees import TreeMissing
from meetingpool.logs import get_logger
from meetingpool.operations.open_library import require_storage
from meetingpool.operations.run_imports import ImportRunner
from meetingpool.operations.settle_recording import Settler
from meetingpool.operations.tidy_library import Tidier
from recordings.spool import Claimed, Spool

# Seconds between two looks for what nobody told us of.
SWEEP_EVERY = 15.0
TIDY_EVERY = 60.0
RETRY = 1.0
SWEEP_AT_ONCE = 200

log = get_logger()


class Worker:
    """One worker's work. `poll_interval`: seconds between two looks into the spool directories."""

    def __init__(
        self,
        database: Database,
        storage: Storage,
        spools: list[Spool],
        runner: ImportRunner,
        settler: Settler,
        tidier: Tidier,
        clock: Clock,
        *,
        poll_interval: float,
    ) -> None:
        self._database = database
        self._storage = storage
        self._spools = spools
        self._runner = runner
        self._settler = settler
        self._tidier = tidier
        self._clock = clock
        self._poll_interval = poll_interval
        self._has_archives = asyncio.Event()
        self._has_unsettled = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Works until `stop` is set; the running import is then given up, and done by whoever takes it next."""
        works = (
            self._repeat("import", self._import, self._poll_interval, self._has_archives),
            self._repeat("spool", self._look, self._poll_interval),
            self._repeat("settle", self._settle, SWEEP_EVERY, self._has_unsettled),
            self._repeat("tidy", self._tidier.tidy, TIDY_EVERY),
            self._listen(),
        )
        async with asyncio.TaskGroup() as group:
            importing, *beside = [group.create_task(work) for work in works]
            await stop.wait()
            self._runner.stop()
            # The import ends by itself, at the next member of its archive.
            self._has_archives.set()
            for task in beside:
                task.cancel()
            await importing

    async def _repeat(
        self, name: str, work: Callable[[], Awaitable[None]], every: float, woken: asyncio.Event | None = None
    ) -> None:
        """Does some work again and again, while the storage is there. One line in the log each time that it cannot."""
        woken = woken or asyncio.Event()
        while not self._runner.is_stopping:
            woken.clear()
            try:
                await require_storage(self._database, self._storage)
                await work()
            except StorageUnusable as error:
                log.error("storage_unusable", work=name, reason=str(error))  # noqa: TRY400
            except OSError as error:
                log.error("storage_failed", work=name, reason=error.strerror)  # noqa: TRY400
            except DatabaseUnavailable:
                log.warning("database_unreachable", work=name)
            with suppress(TimeoutError):
                await asyncio.wait_for(woken.wait(), every)

    async def _look(self) -> None:
        """Claims what is complete, and what was claimed by somebody who died."""
        for spool in self._spools:
            try:
                await self._claim_from(spool)
            except OSError as error:
                log.error("spool_unreadable", spool=str(spool.directory), reason=error.strerror)  # noqa: TRY400

    async def _claim_from(self, spool: Spool) -> None:
        names = await asyncio.to_thread(spool.look, self._clock.monotonic())
        unclaimed = spool.seen
        for name in names:
            try:
                claimed = await asyncio.to_thread(spool.claim, name, self._clock.monotonic())
            except OSError as error:
                log.error("archive_not_claimed", spool=str(spool.directory), archive=name, reason=error.strerror)  # noqa: TRY400
                continue
            unclaimed -= 1
            if claimed:
                await self._add(claimed)
        async with self._database.transaction() as connection:
            await imports.note_look(connection, spool.directory, unclaimed)
            known = await imports.claimed_files(connection, spool.directory)
        for claimed in await asyncio.to_thread(spool.rowless, known):
            await self._add(claimed)

    async def _add(self, claimed: Claimed) -> None:
        async with self._database.transaction() as connection:
            added = await imports.add_import(
                connection,
                spool=claimed.spool,
                name=claimed.name,
                file=claimed.file,
                size=claimed.size,
                mtime_ns=claimed.mtime_ns,
                quiet_for=claimed.quiet_for,
            )
        if added:
            log.info("archive_claimed", archive=claimed.name, id=added.id, bytes=claimed.size)
            self._has_archives.set()

    async def _import(self) -> None:
        while await self._runner.run_next():
            pass

    async def _settle(self) -> None:
        async with self._database.transaction() as connection:
            record_ids = await recordings.unsettled(connection, SWEEP_AT_ONCE)
        settled = [await self._settle_one(record_id) for record_id in record_ids]
        if len(settled) == SWEEP_AT_ONCE and any(settled):
            # There may be more.
            self._has_unsettled.set()

    async def _settle_one(self, record_id: RecordId) -> bool:
        try:
            return await self._settler.settle(record_id)
        except (OSError, TreeMissing) as error:
            log.error("recording_not_settled", recording=record_id, reason=str(error))  # noqa: TRY400
            return False

    async def _listen(self) -> None:
        """Hears of recordings that are to be settled. Whatever was missed is found by the next sweep."""
        while True:
            with suppress(DatabaseUnavailable):
                async with listening(self._database.url, f"recordings {uuid4().hex[:8]}", self._hear) as until_lost:
                    self._has_unsettled.set()
                    await until_lost()
            await asyncio.sleep(RETRY)

    def _hear(self, message: dict[str, Any]) -> None:
        if message["kind"] == recordings.NOTIFICATION:
            self._has_unsettled.set()
