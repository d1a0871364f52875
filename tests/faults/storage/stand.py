"""One scenario after the other in one database and one directory: set up, run, looked at, recovered, looked at again."""

import asyncio
import json
import os
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from meetingpool.bbb.recording_documents import render
from meetingpool.database import imports, recordings
from meetingpool.database.engine import Database
from meetingpool.database.imports import Import, ImportState
from meetingpool.database.recordings import Entry, lock_entry
from meetingpool.domain.callbacks import MARK_BITS, CallbackKind
from meetingpool.domain.meetings import DEFAULT_TENANT
from meetingpool.domain.recordings import LOCATION_OF, Location, RecordingState
from meetingpool.library.storage import MARK as MARK_FILE
from meetingpool.operations.change_recordings import Edit, change_recordings, deleted, unpublished
from meetingpool.operations.check_library import Checker, CheckRules
from meetingpool.operations.tidy_library import LEFT_ALONE, Tidier
from tests.archives import deliver
from tests.faults.storage.operations import NAME, Job, claim
from tests.faults.storage.scenarios import (
    GENERATION,
    HOST_ID,
    MARK,
    READY_URL,
    RECORD_ID,
    Files,
    Scenario,
    Shelf,
    archive_of,
    files_of,
)
from tests.faults.storage.server import FaultServer, Ran
from tests.faults.storage.shim import Fault
from tests.library import Library, made_library

_SESSIONS = f"meetingpool {NAME}"
_OF_OPERATION = "FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1"
_ANY = f"SELECT count(*) AS n {_OF_OPERATION}"
_BUSY = f"{_ANY} AND state <> 'idle'"
_END_TRANSACTIONS = f"SELECT pg_terminate_backend(pid) {_OF_OPERATION} AND state <> 'idle' AND wait_event = 'ClientRead'"
_PLACE = """
    INSERT INTO placements (generation, tenant, meeting_id, host_id, server_id, callbacks) VALUES ($1, $2, $3, $4, $5, $6)
"""
_READY = "SELECT announcement FROM outbox WHERE kind = 'recording-ready' ORDER BY id"
# What an import may be put down to whose calls failed.
_PASSING = (None, "storage_error", "not_placed", "database_unavailable")


@dataclass(frozen=True, slots=True)
class Seen:
    """What is there at one moment. `trees` by location and format, `archives` that wait in the spool;
    `announced`: of each announcement the formats.
    """

    entry: Entry | None
    document: bytes | None
    trees: dict[Location, dict[str, Files]]
    archives: list[str]
    imports: list[Import]
    announced: list[str]


@dataclass(frozen=True, slots=True)
class Stand:
    """The database and the directory of one test."""

    server: FaultServer
    library: Library

    @property
    def key(self) -> bytes:
        return self.library.rules.callback_key

    async def prepare(self, scenario: Scenario) -> None:
        """Everything as it is before the operation."""
        await self._clear()
        if scenario.before:
            await self._put_on_shelf(scenario.before)
        if scenario.delivered:
            deliver(self.library.spool.directory, RECORD_ID, archive_of(scenario.delivered, self.key))
        if scenario.is_forced:
            [refused] = await self.library.take_in()
            async with self.library.database.transaction() as connection:
                assert await imports.retry_imports(connection, [refused.id], force=True)

    async def run(self, scenario: Scenario, fault: Fault, log: Path | None = None) -> Ran:
        """Has the operation done, and returns when nothing of it goes on in the database."""
        job = Job(
            database_url=self.library.database.url,
            directory=str(self.library.settings.data_dir),
            operation=scenario.operation,
            record_id=RECORD_ID,
            fault=fault,
            can_exchange=scenario.can_exchange,
            log=str(log) if log else None,
        )
        return await self._ended(self.server.run(job))

    async def go_on(self) -> Ran:
        """The same of a process that stood still."""
        return await self._ended(self.server.go_on())

    async def _ended(self, ran: Ran) -> Ran:
        while await self._sessions(_BUSY if ran.stands else _ANY):
            # The database ends transactions and statements that nobody goes on with.
            await self.library.database.rows(_END_TRANSACTIONS, _SESSIONS)
            await asyncio.sleep(0.002)
        return ran

    async def look(self) -> Seen:
        library = self.library
        async with library.database.transaction() as connection:
            entry = await lock_entry(connection, RECORD_ID)
            document = await connection.fetchval("SELECT document FROM recordings WHERE record_id = $1", RECORD_ID)
            announced = [json.loads(row["announcement"])[-1] for row in await connection.fetch(_READY)]
        trees = {location: _trees(library, location) for location in Location}
        return Seen(entry, document, trees, library.archives, await library.imports(), announced)

    async def change(self, change: Edit) -> bool:
        """What a front end asks for before anybody recovers. Whether the recording was there."""
        return bool(await change_recordings(self.library.database, [RECORD_ID], change))

    async def recover(self, *, trash_days: int = 7) -> None:
        """As a worker does that was started again, when leases and pauses are over."""
        library = self.library
        async with library.database.transaction() as connection:
            await connection.execute("UPDATE imports SET lease_until = NULL, next_attempt_at = now() WHERE state <> 'done'")
            await connection.execute("UPDATE recordings SET mover_until = NULL")
        await claim(library)
        while await library.runner.run_next():
            pass
        async with library.database.transaction() as connection:
            record_ids = await recordings.unsettled(connection, 10)
        for record_id in record_ids:
            await library.settler.settle(record_id)
        for left in library.leftovers:
            os.utime(left, times=(time.time() - 2 * LEFT_ALONE,) * 2)
        await Tidier(library.database, library.storage, library.settler, trash_days=trash_days).tidy()

    async def require_clean(self) -> None:
        """Database and directories agree in every file."""
        library = self.library
        rules = CheckRules(trash_days=7, with_hashes=True, quiet=0, patience=0)
        report = await Checker(library.database, library.storage, [library.spool.directory], rules, lambda *_: None).run()
        assert report.findings == []
        assert report.unchecked == []

    async def _put_on_shelf(self, shelf: Shelf) -> None:
        deliver(self.library.spool.directory, RECORD_ID, archive_of(shelf.formats, self.key))
        await self.library.take_in()
        change = {RecordingState.UNPUBLISHED: unpublished, RecordingState.DELETED: deleted}.get(shelf.state)
        if change:
            await self.change(change)
            await self.library.settler.settle(RECORD_ID)

    async def _clear(self) -> None:
        """Nothing is left of the scenario before, but the directories."""
        library = self.library
        async with library.database.transaction() as connection:
            await connection.execute("DELETE FROM imports")
            await connection.execute("DELETE FROM outbox")
            await connection.execute("DELETE FROM recordings")
        roots = [library.storage.root_of(location) for location in Location]
        for root in (*roots, library.storage.unpacking_dir, library.storage.discarded_dir, library.spool.directory):
            _empty(root)

    async def _sessions(self, statement: str) -> int:
        row = await self.library.database.statement(statement, _SESSIONS)
        assert row is not None
        return int(row["n"])


async def made_stand(server: FaultServer, database: Database, directory: Path) -> Stand:
    """With the placement that the recording is of."""
    library = await made_library(database, directory)
    callbacks = {f"{MARK:0{MARK_BITS // 4}x}": {CallbackKind.RECORDING_READY: READY_URL}}
    async with database.transaction() as connection:
        await connection.execute(_PLACE, GENERATION, DEFAULT_TENANT, "room", HOST_ID, "server", callbacks)
    return Stand(server, library)


def require_nothing_broken(scenario: Scenario, seen: Seen, key: bytes, *, is_acknowledged: bool) -> None:
    """Right after a fault: every tree is whole, what is shown can be played, what was hidden is not shown, nothing is lost."""
    for trees in seen.trees.values():
        for name, files in trees.items():
            assert files in scenario.versions(name, key), f"{name} is neither the old tree nor the new one"
    _require_shown_is_there(scenario, seen)
    if scenario.delivered and not is_on_shelf(scenario.after, seen, key):
        assert seen.archives, "the archive is gone, and what was in it is not in the library"
    if is_acknowledged and scenario.after.state is not RecordingState.PUBLISHED:
        assert seen.entry is not None
        assert seen.entry.recording.state is not RecordingState.PUBLISHED
    assert {each.reason for each in seen.imports} <= set(_PASSING)
    assert ImportState.QUARANTINED not in {each.state for each in seen.imports}


def _require_shown_is_there(scenario: Scenario, seen: Seen) -> None:
    if seen.entry is None:
        assert scenario.before is None
        return
    assert seen.document == render(seen.entry.recording)
    shown = {each.format.name for each in seen.entry.placed}
    is_shown = seen.entry.recording.state is RecordingState.PUBLISHED
    if is_shown and scenario.can_exchange:
        assert shown <= set(seen.trees[Location.PUBLISHED]), "what front ends are shown cannot be played"
    if scenario.before and {scenario.before.state, scenario.after.state} == {RecordingState.PUBLISHED}:
        assert is_shown
        assert set(scenario.before.formats) <= shown


def is_on_shelf(shelf: Shelf, seen: Seen, key: bytes) -> bool:
    """Whether the recording is complete: state, rows and files as they should be."""
    entry = seen.entry
    if entry is None or not entry.is_settled or entry.arrivals:
        return False
    location = LOCATION_OF[shelf.state]
    trees = {name: files_of(name, content, key) for name, content in shelf.formats.items()}
    return (
        (entry.recording.state, entry.wanted) == (shelf.state, shelf.state)
        and {each.format.name: each.location for each in entry.placed} == dict.fromkeys(trees, location)
        and seen.trees == {each: trees if each is location else {} for each in Location}
    )


async def require_recovered(stand: Stand, scenario: Scenario, shelves: Iterable[Shelf]) -> None:
    """After recovery: one of these shelves, nothing beside it, each set of formats announced once, and a check finds nothing."""
    seen = await stand.look()
    now = [shelf for shelf in shelves if is_on_shelf(shelf, seen, stand.key)]
    assert now, f"not as it should be: {seen.entry}, trees {seen.trees}"
    assert seen.entry is not None
    assert seen.document == render(seen.entry.recording)
    assert seen.archives == []
    assert {each.state for each in seen.imports} <= {ImportState.DONE}
    assert stand.library.leftovers == []
    was_published = [scenario.before, *(shelf for shelf in now if shelf.state is RecordingState.PUBLISHED)]
    assert set(seen.announced) >= {shelf.names for shelf in was_published if shelf}
    await stand.require_clean()


def _trees(library: Library, location: Location) -> dict[str, Files]:
    root = library.storage.root_of(location)
    formats = [path.name for path in root.iterdir() if path.is_dir()] if root.exists() else []
    there = [name for name in formats if library.storage.tree(location, name, RECORD_ID).exists()]
    return {name: library.files(location, name, RECORD_ID) for name in there}


def _empty(directory: Path) -> None:
    for path in directory.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != MARK_FILE:
            path.unlink()
