"""A library for tests: directories of its own, and the worker's parts on it, which do what a test asks for at once."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from meetingpool.database import imports
from meetingpool.database.engine import Database
from meetingpool.database.imports import Import, ImportState
from meetingpool.database.recordings import Entry, lock_entry
from meetingpool.domain.recordings import Location, RecordId
from meetingpool.library.storage import Storage
from meetingpool.operations.import_recording import CLAIMED, Importer, ImportRules
from meetingpool.operations.open_library import import_rules, prepare_storage, storage_of
from meetingpool.operations.run_imports import ImportRunner
from meetingpool.operations.settle_recording import Settler
from meetingpool.settings import Settings
from recordings.spool import Spool


@dataclass(frozen=True, slots=True)
class Library:
    """The worker's parts. Archives are complete as soon as they are there."""

    database: Database
    storage: Storage
    spool: Spool
    rules: ImportRules
    settings: Settings
    settler: Settler = field(init=False)
    runner: ImportRunner = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "settler", Settler(self.database, self.storage))
        object.__setattr__(self, "runner", self.another_runner())

    def another_runner(self) -> ImportRunner:
        return ImportRunner(self.database, Importer(self.database, self.storage, self.rules), settle_time=0)

    async def claim(self, **given: Any) -> list[Import]:
        """Claims what is in the spool, as the worker does."""
        added = []
        for name in self.spool.look(0.0):
            claimed = self.spool.claim(name, 0.0)
            assert claimed is not None
            async with self.database.transaction() as connection:
                row = await imports.add_import(
                    connection,
                    spool=claimed.spool,
                    name=claimed.name,
                    file=claimed.file,
                    size=claimed.size,
                    mtime_ns=claimed.mtime_ns,
                    quiet_for=claimed.quiet_for,
                    **given,
                )
            assert row is not None
            added.append(row)
        return added

    async def take_in(self, **given: Any) -> list[Import]:
        """Claims and imports what is in the spool. What became of it."""
        claimed = await self.claim(**given)
        while await self.runner.run_next():
            pass
        return await self.imports(*(each.id for each in claimed))

    async def imports(self, *ids: int) -> list[Import]:
        async with self.database.transaction() as connection:
            if ids:
                return await imports.find_imports(connection, ids)
            return await imports.list_imports(connection, list(ImportState))

    async def entry(self, record_id: RecordId) -> Entry:
        async with self.database.transaction() as connection:
            entry = await lock_entry(connection, record_id)
        assert entry is not None
        return entry

    def files(self, location: Location, playback_format: str, record_id: str) -> dict[str, bytes]:
        """The files of a tree, by their paths; none without one."""
        tree = self.storage.tree(location, playback_format, record_id)
        return {str(path.relative_to(tree)): path.read_bytes() for path in tree.rglob("*") if path.is_file()}

    @property
    def archives(self) -> list[str]:
        """What waits in the spool, and what was claimed and not removed."""
        directory = self.spool.directory
        return sorted(path.name for where in (directory, directory / CLAIMED) for path in where.glob("*.tar"))

    @property
    def leftovers(self) -> list[Path]:
        storage = self.storage
        return [*storage.unpacking_dir.iterdir(), *storage.discarded_dir.iterdir()]


async def made_library(
    database: Database, directory: Path, change: Callable[[Settings], Settings] = lambda settings: settings
) -> Library:
    settings = change(Settings(data_dir=directory, recording_settle_time=0))
    storage = storage_of(settings)
    await prepare_storage(database, storage)
    spool = settings.spool_dirs[0]
    spool.mkdir(parents=True, exist_ok=True)
    return Library(database, storage, Spool(spool, settle_time=0), await import_rules(database, settings), settings)
