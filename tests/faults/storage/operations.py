"""What is done while calls fail: each operation of the worker, once, and in one thread."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from meetingpool.database import imports
from meetingpool.database.engine import Database, DatabaseUnavailable
from meetingpool.domain.recordings import RecordId
from meetingpool.library.trees import TreeMissing
from meetingpool.operations.change_recordings import Edit, change_recordings, deleted, published, restored, unpublished
from meetingpool.operations.import_recording import Importer
from meetingpool.operations.run_imports import ImportRunner
from meetingpool.operations.settle_recording import Settler, at_once
from meetingpool.operations.tidy_library import Tidier
from tests.faults.storage import shim
from tests.faults.storage.shim import Fault
from tests.keys import KEYRING
from tests.library import Library, made_library

# What the sessions of a child are called.
NAME = "faults"
ACKNOWLEDGED, CALLS = "acknowledged", "calls"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One operation on the recording, in the library of `directory`. `log`: the file that the calls are written to, if any."""

    database_url: str
    directory: str
    operation: str
    record_id: str
    fault: Fault
    can_exchange: bool = True
    log: str | None = None


@dataclass(frozen=True, slots=True)
class Worker:
    """The worker's parts, and `tell`, by which it says how far it came."""

    library: Library
    settler: Settler
    runner: ImportRunner
    tell: Callable[[str], None]


async def run(job: Job, log: int, tell: Callable[[str], None]) -> None:
    """Does the job. What the worker takes for a passing error is one here; everything else is raised."""
    database = Database(job.database_url, name=NAME, pool_size=2, keyring=KEYRING)
    try:
        library = await made_library(database, Path(job.directory))
        runner = ImportRunner(database, Importer(database, library.storage, library.rules, at_once), settle_time=0)
        worker = Worker(library, Settler(database, library.storage, at_once), runner, tell)
        shim.arm(Path(job.directory), job.fault, log, can_exchange=job.can_exchange)
        with suppress(OSError, TreeMissing, DatabaseUnavailable):
            await OPERATIONS[job.operation](worker, RecordId(job.record_id))
        tell(f"{CALLS} {shim.disarm()}")
    finally:
        await database.close()


async def claim(library: Library) -> None:
    """What waits in the spool, and what was claimed by somebody who died. Others may be faster."""
    found = [library.spool.claim(name, 0.0) for name in library.spool.look(0.0)]
    async with library.database.transaction() as connection:
        known = await imports.claimed_files(connection, library.spool.directory)
    for claimed in (*found, *library.spool.rowless(known)):
        if claimed:
            async with library.database.transaction() as connection:
                await imports.add_import(connection, **asdict(claimed))


async def _take_in(worker: Worker) -> None:
    await claim(worker.library)
    await worker.runner.run_next()


async def _change(worker: Worker, record_id: RecordId, change: Edit) -> None:
    await change_recordings(worker.library.database, [record_id], change, of_deleted=change is restored)
    worker.tell(ACKNOWLEDGED)
    await worker.settler.settle(record_id)


async def _purge(worker: Worker) -> None:
    library = worker.library
    await Tidier(library.database, library.storage, worker.settler, trash_days=0).purge(0)


OPERATIONS: dict[str, Callable[[Worker, RecordId], Awaitable[None]]] = {
    "import": lambda worker, _: _take_in(worker),
    "publish": lambda worker, record_id: _change(worker, record_id, published),
    "unpublish": lambda worker, record_id: _change(worker, record_id, unpublished),
    "delete": lambda worker, record_id: _change(worker, record_id, deleted),
    "restore": lambda worker, record_id: _change(worker, record_id, restored),
    "purge": lambda worker, _: _purge(worker),
}
