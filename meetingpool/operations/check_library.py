"""Finds where the database and the directories of recordings disagree. Called by `meetingpool recordings fsck`.

A worker may be at work meanwhile. Of recordings, the rows are read before and after their files are looked at, and only what
nobody changed in between counts. What passes by itself, as an archive that was just claimed, counts if it is still the same some
time later. No transaction is open while files are looked at.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from meetingpool.database import imports, library_queries, recordings
from meetingpool.database.engine import Connection, Database
from meetingpool.database.imports import Import, ImportState
from meetingpool.database.library_queries import Kept
from meetingpool.domain.library_faults import Fault, Finding
from meetingpool.domain.recordings import RecordId
from meetingpool.library import check
from meetingpool.library.storage import Storage
from meetingpool.operations.check_recording import faults_of
from meetingpool.operations.import_recording import CLAIMED
from meetingpool.operations.open_library import require_storage

# How often one that is being changed is looked at again.
LOOKS = 3
# Seconds. A worker looks for what it was not told of every 15.
QUIET, PATIENCE = 600.0, 20.0

# Called with what is looked at, how many there were so far, and of how many if that is known.
Watch = Callable[[str, int, int | None], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRules:
    """`quiet`: seconds for which nobody touched what counts as left behind. `patience`: between two looks at what passes."""

    trash_days: int
    with_hashes: bool = False
    quiet: float = QUIET
    patience: float = PATIENCE


@dataclass(slots=True)
class Report:
    """`in_motion`: recordings that were changed whenever they were looked at. `unchecked`: sentences about what could not be."""

    findings: list[Finding] = field(default_factory=list)
    in_motion: int = 0
    unchecked: list[str] = field(default_factory=list)


class Checker:
    """Checks one storage and the spool directories `spools`."""

    def __init__(self, database: Database, storage: Storage, spools: Sequence[Path], rules: CheckRules, watch: Watch) -> None:
        self._database = database
        self._storage = storage
        self._spools = spools
        self._rules = rules
        self._watch = watch

    async def run(self) -> Report:
        """Raises StorageUnusable, OSError and DatabaseUnavailable."""
        await require_storage(self._database, self._storage)
        began, passing = time.monotonic(), await self._passing(Report())
        report = Report()
        await self._check_recordings(report)
        await self._check_trees(report)
        if passing:
            await asyncio.sleep(max(0.0, began + self._rules.patience - time.monotonic()))
        again = await self._passing(report)
        report.findings += [finding for finding in passing if finding in set(again)]
        return report

    async def _check_recordings(self, report: Report) -> None:
        total, done, after = await library_queries.count_all(self._database), 0, ""
        while record_ids := await library_queries.next_page(self._database, after):
            await self._check_page(record_ids, report)
            done, after = done + len(record_ids), record_ids[-1]
            self._watch("recordings", done, total)

    async def _check_page(self, record_ids: Sequence[RecordId], report: Report) -> None:
        kept = await self._read(record_ids)
        for _ in range(LOOKS):
            suspected = await asyncio.to_thread(self._suspected, kept.values())
            again = await self._read(suspected)
            confirmed = [name for name in suspected if again.get(name) == kept[name] and not kept[name].is_moving]
            report.findings += chain.from_iterable(suspected[record_id] for record_id in confirmed)
            kept = {record_id: read for record_id, read in again.items() if record_id not in confirmed}
            if not kept:
                return
        report.in_motion += len(kept)

    def _suspected(self, kept: Iterable[Kept]) -> dict[RecordId, list[Finding]]:
        suspected = {}
        for each in kept:
            found = faults_of(self._storage, each, with_hashes=self._rules.with_hashes)
            if found:
                suspected[each.recording.record_id] = found
        return suspected

    async def _read(self, record_ids: Iterable[RecordId]) -> dict[RecordId, Kept]:
        wanted = list(record_ids)
        if not wanted:
            return {}
        async with self._database.transaction() as connection:
            return await library_queries.read_kept(connection, wanted)

    async def _check_trees(self, report: Report) -> None:
        """What is in the directories and no row knows. Rows of trees are there before the trees, and gone after them."""
        walk, done = check.walk(self._storage), 0
        while seen := await asyncio.to_thread(next, walk, None):
            pairs = [(tree.record_id, tree.format) for tree in seen.trees]
            unknown = [seen.trees[position] for position in await library_queries.rowless(self._database, pairs)]
            report.findings += await asyncio.to_thread(self._unknown, unknown)
            report.findings += await asyncio.to_thread(_foreign, seen.foreign)
            done += len(seen.trees)
            self._watch("trees", done, None)

    def _unknown(self, trees: Iterable[check.TreeName]) -> list[Finding]:
        found = []
        for each in trees:
            tree = self._storage.tree(*each)
            if check.is_tree(tree):
                name = RecordId(each.record_id)
                detail = f"It is {each.location}, and not in the database"
                found.append(Finding(fault=Fault.UNKNOWN_TREE, detail=detail, record_id=name, format=each.format, path=tree))
        return found

    async def _passing(self, report: Report) -> list[Finding]:
        """What may be wrong, or only be seen at a bad moment."""
        async with self._database.transaction() as connection:
            found = await _of_rows(connection, self._rules.trash_days)
        return [*found, *await self._leftovers(), *await self._archives(report)]

    async def _leftovers(self) -> list[Finding]:
        left = await asyncio.to_thread(check.left_behind, self._storage, time.time() - self._rules.quiet)
        async with self._database.transaction() as connection:
            needed = await still_needed(connection)
        return [
            Finding(fault=Fault.LEFTOVER, detail="Nothing waits in it, and nobody works on it", path=path)
            for path in left
            if not needed.has(path, self._storage)
        ]

    async def _archives(self, report: Report) -> list[Finding]:
        async with self._database.transaction() as connection:
            waiting = await imports.list_imports(connection, [ImportState.WAITING, ImportState.QUARANTINED])
        found = []
        for spool in sorted({*self._spools, *(each.spool for each in waiting)}):
            rows = [each for each in waiting if each.spool == spool]
            try:
                there, old = await asyncio.to_thread(_claimed, spool, time.time() - self._rules.quiet)
            except (FileNotFoundError, NotADirectoryError):
                if rows:
                    report.unchecked.append(
                        f"{spool / CLAIMED} is not there, though archives wait in it: check that it is mounted"
                    )
                continue
            found += [_without_archive(each) for each in rows if each.file not in there]
            async with self._database.transaction() as connection:
                known = await imports.claimed_files(connection, spool)
            found += [_without_row(spool / CLAIMED / file) for file in sorted(old - known)]
        return found


@dataclass(frozen=True, slots=True)
class Needed:
    """What of the work directory is in use: the directories that something waits in, and the imports that run."""

    directories: set[str]
    imports: set[str]

    def has(self, path: Path, storage: Storage) -> bool:
        is_of_import = path.parent == storage.unpacking_dir
        return is_of_import and (path.name in self.directories or path.name.partition("-")[0] in self.imports)


async def still_needed(connection: Connection) -> Needed:
    working = await imports.list_imports(connection, [ImportState.WORKING])
    return Needed(await recordings.arrival_directories(connection), {str(each.id) for each in working})


async def _of_rows(connection: Connection, trash_days: int) -> list[Finding]:
    unsettled = [
        Finding(
            fault=Fault.UNSETTLED,
            detail=f"It should be {each.wanted}, and nobody brings its files there",
            record_id=each.record_id,
            version=each.version,
        )
        for each in await library_queries.left_unsettled(connection)
    ]
    expired = [
        Finding(
            fault=Fault.TRASH_EXPIRED,
            detail=f"It was deleted more than {trash_days} days ago, and its files are still in the trash",
            record_id=each.record_id,
            version=each.version,
        )
        for each in await library_queries.expired(connection, trash_days)
    ]
    orphans = [
        Finding(
            fault=Fault.ORPHAN_CALLBACK,
            detail="A front end is to be told of a recording that is not in the database",
            record_id=RecordId(each.record_id or ""),
            number=each.id,
        )
        for each in await library_queries.orphan_callbacks(connection)
    ]
    return unsettled + expired + orphans


def _foreign(paths: Iterable[Path]) -> list[Finding]:
    return [
        Finding(fault=Fault.FOREIGN_ENTRY, detail=f"Where recordings should be is {check.kind_of(path)}", path=path)
        for path in paths
        if check.is_there(path)
    ]


def _claimed(spool: Path, before: float) -> tuple[set[str], set[str]]:
    """The claimed archives of a spool directory, and those of them that nobody touched since `before`."""
    directory = spool / CLAIMED
    return check.archives_in(directory, float("inf")), check.archives_in(directory, before)


def _without_archive(each: Import) -> Finding:
    path = each.spool / CLAIMED / each.file
    detail = f"The archive {each.name} is gone, and its import is still {each.state}"
    return Finding(fault=Fault.IMPORT_WITHOUT_ARCHIVE, detail=detail, path=path, number=each.id, version=each.attempts)


def _without_row(path: Path) -> Finding:
    return Finding(fault=Fault.ARCHIVE_WITHOUT_ROW, detail="The archive was claimed, and nobody will import it", path=path)
