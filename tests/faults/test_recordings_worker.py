"""The recordings worker as a process: killed, told to stop, and without its database, in the middle of its work."""

import asyncio
import json
import os
import random
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from meetingpool.database import migrate
from meetingpool.database.embedded import acquire_embedded
from meetingpool.database.engine import Database
from meetingpool.database.imports import ImportState
from meetingpool.domain.recordings import Location, RecordId
from tests.archives import START_MS, deliver, record_id_of, recording_archive
from tests.effort import effort
from tests.faults.test_spool_races import require_clean, until_done
from tests.keys import KEYRING
from tests.library import Library, made_library

ARCHIVES = 20
# Seconds that a worker may take to stop, and to go on when the database is back.
AT_MOST = 30
FORMATS = ["presentation", "screenshare", "video"]


@dataclass(frozen=True, slots=True)
class WorkerProcess:
    """`python -m recordings`, and what it logs."""

    process: asyncio.subprocess.Process

    async def until_logged(self, event: str, times: int = 1) -> None:
        assert self.process.stderr is not None
        async with asyncio.timeout(AT_MOST):
            while times:
                line = await self.process.stderr.readline()
                assert line, "the worker ended"
                times -= _event(line) == event

    async def stop(self) -> int:
        """Told to stop. Its status; whatever it still logs is read."""
        self.process.terminate()
        async with asyncio.timeout(AT_MOST):
            await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode

    async def kill(self) -> None:
        self.process.kill()
        await self.process.communicate()


@asynccontextmanager
async def worker_process(library: Library) -> AsyncIterator[WorkerProcess]:
    settings = {
        "MEETINGPOOL_DATABASE_URL": library.database.url,
        "MEETINGPOOL_DATA_DIR": str(library.settings.data_dir),
        "MEETINGPOOL_LOG_FORMAT": "json",
        "RECORDING_SETTLE_TIME": "0",
        "RECORDING_IMPORT_POLL_INTERVAL": "1",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "recordings", env=os.environ | settings, stderr=asyncio.subprocess.PIPE
    )
    worker = WorkerProcess(process)
    try:
        yield worker
    finally:
        if process.returncode is None:
            await worker.kill()


def _event(line: bytes) -> Any:
    return json.loads(line).get("event")


def deliver_all(library: Library, first: int = 0) -> list[RecordId]:
    record_ids = [record_id_of("room", START_MS + number) for number in range(first, first + ARCHIVES)]
    for record_id in record_ids:
        deliver(library.spool.directory, record_id, recording_archive(record_id, FORMATS, content=bytes(50_000)))
    return record_ids


async def end_leases(library: Library) -> None:
    """What the next worker would wait for."""
    async with library.database.transaction() as connection:
        await connection.execute("UPDATE imports SET lease_until = NULL, next_attempt_at = now() WHERE state <> 'done'")
        await connection.execute("UPDATE recordings SET mover_until = NULL")


async def require_all(library: Library, record_ids: list[RecordId]) -> None:
    for record_id in record_ids:
        entry = await library.entry(record_id)
        assert [each.format.name for each in entry.placed] == FORMATS
        assert {each.location for each in entry.placed} == {Location.PUBLISHED}
    assert {each.state for each in await library.imports()} == {ImportState.DONE}


@pytest.fixture
async def library(database: Database, tmp_path: Path) -> Library:
    return await made_library(database, tmp_path)


async def test_a_worker_that_is_killed_again_and_again_loses_nothing(library: Library) -> None:
    record_ids = []
    for number in range(effort(1)):
        record_ids += deliver_all(library, number * ARCHIVES)
        for _ in range(2):
            async with worker_process(library) as worker:
                await worker.until_logged("recording_imported", random.randrange(1, ARCHIVES // 3))
                await asyncio.sleep(random.uniform(0, 0.03))
                await worker.kill()
            await end_leases(library)
    async with worker_process(library) as worker:
        await until_done(library)
        assert await worker.stop() == 0

    await require_all(library, record_ids)
    for left in library.leftovers:
        os.utime(left, (0, 0))
    async with worker_process(library) as worker:
        async with asyncio.timeout(AT_MOST):
            while library.leftovers:
                await asyncio.sleep(0.05)
        assert await worker.stop() == 0
    await require_clean(library)


async def test_a_worker_that_is_told_to_stop_leaves_the_rest_to_the_next_one_at_once(library: Library) -> None:
    record_ids = deliver_all(library)
    async with worker_process(library) as worker:
        await worker.until_logged("recording_imported")
        assert await worker.stop() == 0

    assert ImportState.WORKING not in {each.state for each in await library.imports()}
    assert library.leftovers == []
    assert library.archives
    async with worker_process(library) as worker:
        await until_done(library)
        assert await worker.stop() == 0
    await require_all(library, record_ids)
    await require_clean(library)


async def test_a_worker_goes_on_when_its_database_is_back(tmp_path: Path) -> None:
    embedded = await asyncio.to_thread(acquire_embedded, tmp_path / "database", durable=False)
    await migrate.upgrade(embedded.url)
    database = Database(embedded.url, name="test", pool_size=3, keyring=KEYRING)
    library = await made_library(database, tmp_path / "data")
    record_ids = deliver_all(library)
    async with worker_process(library) as worker:
        await worker.until_logged("recording_imported", 3)
        await asyncio.to_thread(embedded.release)
        await worker.until_logged("database_unreachable")
        record_ids += deliver_all(library, ARCHIVES)
        assert library.archives
        embedded = await asyncio.to_thread(acquire_embedded, tmp_path / "database", durable=False)
        try:
            async with asyncio.timeout(AT_MOST):
                await worker.until_logged("archive_claimed", ARCHIVES)
            await end_leases(library)
            await until_done(library)
            assert await worker.stop() == 0
            await require_all(library, record_ids)
        finally:
            await database.close()
            await asyncio.to_thread(embedded.release)
