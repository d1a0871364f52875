"""Repairs what the check of the library found, in ways that lose nothing. Called by `meetingpool recordings fsck --repair`.

Each repair looks again first, with the recording to itself, and does nothing when it is not as it was found. A row goes only when
the files that it is about are nowhere on a storage that is proved to be ours; a file only when it is there twice, was deleted
long ago, or is what an import left behind.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from uuid import uuid4

from meetingpool.bbb.recording_documents import render
from meetingpool.database import imports, library_queries, recordings
from meetingpool.database.engine import Connection, Database
from meetingpool.database.library_queries import Kept
from meetingpool.domain.library_faults import Fault, Finding
from meetingpool.domain.recordings import Location, RecordId
from meetingpool.library import check
from meetingpool.library.files import changed_at, remove_tree, sync_directory
from meetingpool.library.manifest import Manifest
from meetingpool.library.storage import Storage
from meetingpool.library.trees import TreeMissing, discard, relocate
from meetingpool.logs import get_logger
from meetingpool.operations.adopt_tree import Adopter, NotAdopted
from meetingpool.operations.check_library import QUIET, still_needed
from meetingpool.operations.check_recording import is_lost, is_missing, trees_of
from meetingpool.operations.open_library import require_storage
from meetingpool.operations.settle_recording import LEASE_SECONDS, Settler

NOT_AS_FOUND = "It is not as it was found any more: call it again"
BEING_MOVED = "Somebody is moving its files: call it again"

log = get_logger()


class NotRepaired(Exception):
    """A sentence that says why a finding stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairRules:
    """`accept_files`: what is in a tree counts from now on. `adopter`: takes trees in that no row knows; None: they stay."""

    adopter: Adopter | None = None
    accept_files: bool = False
    quiet: float = QUIET


class Repairer:
    """Repairs one storage."""

    def __init__(self, database: Database, storage: Storage, settler: Settler, rules: RepairRules) -> None:
        self._database = database
        self._storage = storage
        self._settler = settler
        self._rules = rules
        self._repairs: dict[Fault, Callable[[Finding], Awaitable[None]]] = {
            Fault.WRONG_PLACE: self._put_in_place,
            Fault.MISSING_FILES: self._drop_missing,
            Fault.UNKNOWN_TREE: self._adopt,
            Fault.MANIFEST_MISMATCH: self._accept_files,
            Fault.UNSETTLED: self._settle,
            Fault.UNPLAYABLE: self._settle,
            Fault.STALE_DOCUMENT: self._render,
            Fault.TRASH_EXPIRED: self._purge,
            Fault.FOREIGN_ENTRY: self._remove_link,
            Fault.LEFTOVER: self._remove_leftover,
            Fault.ARCHIVE_WITHOUT_ROW: self._add_row,
            Fault.IMPORT_WITHOUT_ARCHIVE: self._close_import,
            Fault.ORPHAN_CALLBACK: self._give_up,
        }

    async def repair(self, finding: Finding) -> None:
        """Raises NotRepaired when the finding stays; StorageUnusable and DatabaseUnavailable when nothing can be repaired."""
        await require_storage(self._database, self._storage)
        try:
            await self._repairs[finding.fault](finding)
        except OSError as error:
            raise NotRepaired(f"The storage said: {error.strerror}") from error
        except TreeMissing as error:
            raise NotRepaired(f"The files of {error} are missing") from error
        except NotAdopted as error:
            raise NotRepaired(str(error)) from error
        log.info(
            "library_repaired", fault=finding.fault, recording=finding.record_id, format=finding.format, path=_named(finding)
        )

    async def _put_in_place(self, finding: Finding) -> None:
        kept, name, location = await self._placed(finding)
        moves = await asyncio.to_thread(self._moves, kept, name, location)
        async with self._held(kept):
            await asyncio.to_thread(self._move, kept, name, location, moves)
        if moves.different:
            raise NotRepaired(
                f"Its files are {' and '.join([location, *moves.different])}, and not the same: remove the wrong ones"
            )

    def _moves(self, kept: Kept, name: str, location: Location) -> "_Moves":
        """Reads all copies, if there are several: only one that is there twice may go."""
        found = trees_of(self._storage, kept, name)
        if not found:
            raise NotRepaired(NOT_AS_FOUND)
        if len(found) == 1:
            return _Moves(None if found == [location] else found[0])
        manifests = {each: self._hashed(kept, name, each) for each in found}
        source = None if location in found else _as_delivered(kept, name, manifests)
        right = manifests[source or location]
        others = [each for each in found if each is not (source or location)]
        same = tuple(each for each in others if manifests[each] == right)
        return _Moves(source, same, tuple(each for each in others if each not in same))

    def _move(self, kept: Kept, name: str, location: Location, moves: "_Moves") -> None:
        place = partial(self._storage.tree, format_name=name, record_id=kept.recording.record_id)
        if moves.source:
            if check.is_there(place(location)):
                raise NotRepaired(NOT_AS_FOUND)
            relocate(self._storage, place(moves.source), place(location))
        for twice in moves.same:
            discard(self._storage, place(twice))

    def _hashed(self, kept: Kept, name: str, location: Location) -> Manifest:
        tree = self._storage.tree(location, name, kept.recording.record_id)
        if not check.is_tree(tree):
            raise NotRepaired(NOT_AS_FOUND)
        try:
            return check.hashed(tree)
        except check.TreeUnfit as error:
            raise NotRepaired(f"In {tree}, {error}") from error

    async def _drop_missing(self, finding: Finding) -> None:
        kept, name = await self._kept(finding)
        async with self._held(kept) as mover:
            missing, lost = await asyncio.to_thread(self._lacking, kept, name)
            if not missing and not lost:
                raise NotRepaired("Its files are there again")
            async with self._database.transaction() as connection:
                await self._require(connection, kept, mover)
                if missing:
                    await recordings.drop_format(connection, kept.recording.record_id, name)
                if lost:
                    await library_queries.drop_arrival(connection, kept.recording.record_id, name)
                await self._unsettle(connection, kept.recording.record_id)
        await self._settle(finding)

    def _lacking(self, kept: Kept, name: str) -> tuple[bool, bool]:
        missing = any(each.name == name for each in kept.formats) and is_missing(self._storage, kept, name)
        lost = any(each.name == name and is_lost(self._storage, kept, each) for each in kept.arrivals)
        return missing, lost

    async def _adopt(self, finding: Finding) -> None:
        if self._rules.adopter is None:
            raise NotRepaired("--adopt takes it into the library")
        await self._rules.adopter.adopt(finding)

    async def _accept_files(self, finding: Finding) -> None:
        if not self._rules.accept_files:
            raise NotRepaired("Deliver it again, or take it as it is with --accept-files")
        kept, name, location = await self._placed(finding)
        manifest = await asyncio.to_thread(self._hashed, kept, name, location)
        async with self._held(kept) as mover, self._database.transaction() as connection:
            await self._require(connection, kept, mover)
            await library_queries.put_manifest(
                connection,
                kept.recording.record_id,
                name,
                manifest.encode(),
                files=manifest.files,
                total_bytes=manifest.bytes,
                digest=manifest.digest,
            )

    async def _settle(self, finding: Finding) -> None:
        """Brings its files to where they belong, and its row to what is there then."""
        record_id = _record_id(finding)
        async with self._database.transaction() as connection:
            await library_queries.end_pause(connection, record_id)
            directories = await self._unsettle(connection, record_id)
        if not await self._settler.settle(record_id):
            raise NotRepaired(BEING_MOVED)
        for directory in directories:
            await self._remove_unneeded(directory)

    async def _render(self, finding: Finding) -> None:
        async with self._database.transaction() as connection:
            entry = await recordings.lock_entry(connection, _record_id(finding))
            if entry is not None:
                await recordings.write_entry(connection, entry, render(entry.recording))

    async def _purge(self, finding: Finding) -> None:
        record_id = _record_id(finding)
        await self._settler.purge(record_id)
        async with self._database.transaction() as connection:
            kept = await library_queries.read_kept(connection, [record_id])
        if any(each.formats for each in kept.values()):
            raise NotRepaired(BEING_MOVED)

    async def _remove_link(self, finding: Finding) -> None:
        if finding.path is None or not await asyncio.to_thread(_remove_dangling, finding.path):
            raise NotRepaired("Nobody knows what it is for: remove it, or put it elsewhere")

    async def _remove_leftover(self, finding: Finding) -> None:
        before = time.time() - self._rules.quiet
        left = await asyncio.to_thread(check.left_behind, self._storage, before)
        if finding.path not in left or not await self._remove_unneeded(finding.path):
            raise NotRepaired(NOT_AS_FOUND)

    async def _remove_unneeded(self, directory: Path) -> bool:
        """Removes a directory of an import, or what was discarded. False when something waits in it, or somebody works on it."""
        async with self._database.transaction() as connection:
            needed = await still_needed(connection)
        if needed.has(directory, self._storage):
            return False
        await asyncio.to_thread(remove_tree, directory)
        return True

    async def _add_row(self, finding: Finding) -> None:
        """As the worker does for what was claimed by somebody who died."""
        if finding.path is None:
            raise NotRepaired(NOT_AS_FOUND)
        found = await asyncio.to_thread(finding.path.lstat)
        async with self._database.transaction() as connection:
            added = await imports.add_import(
                connection,
                spool=finding.path.parent.parent,
                name=finding.path.name.partition(".")[2] or finding.path.name,
                file=finding.path.name,
                size=found.st_size,
                mtime_ns=changed_at(found),
                quiet_for=0.0,
            )
        if added is None:
            raise NotRepaired("It was imported already: remove it, or import it again with `recordings import`")

    async def _close_import(self, finding: Finding) -> None:
        async with self._database.transaction() as connection:
            if not await library_queries.close_import(connection, finding.number or 0, finding.version):
                raise NotRepaired(NOT_AS_FOUND)

    async def _give_up(self, finding: Finding) -> None:
        async with self._database.transaction() as connection:
            if not await library_queries.give_up_callback(connection, finding.number or 0):
                raise NotRepaired(NOT_AS_FOUND)

    async def _kept(self, finding: Finding) -> tuple[Kept, str]:
        """The recording as it is now, and the name of the format. Other repairs may have changed it since it was found."""
        record_id = _record_id(finding)
        async with self._database.transaction() as connection:
            kept = (await library_queries.read_kept(connection, [record_id])).get(record_id)
        if kept is None or finding.format is None:
            raise NotRepaired(NOT_AS_FOUND)
        return kept, finding.format

    async def _placed(self, finding: Finding) -> tuple[Kept, str, Location]:
        """The same with where the files of the format should be."""
        kept, name = await self._kept(finding)
        location = next((each.location for each in kept.formats if each.name == name), None)
        if location is None:
            raise NotRepaired(NOT_AS_FOUND)
        return kept, name, location

    @asynccontextmanager
    async def _held(self, kept: Kept) -> AsyncIterator[str]:
        """Nobody else moves its files meanwhile. Raises NotRepaired when somebody does, or it is not as it was read."""
        record_id, mover = kept.recording.record_id, uuid4().hex
        async with self._database.transaction() as connection:
            await recordings.lock_entry(connection, record_id)
            if (await library_queries.read_kept(connection, [record_id])).get(record_id) != kept:
                raise NotRepaired(NOT_AS_FOUND)
            await library_queries.end_pause(connection, record_id)
            if not await recordings.take_recording(connection, record_id, mover, LEASE_SECONDS):
                raise NotRepaired(BEING_MOVED)
        try:
            yield mover
        finally:
            async with self._database.transaction() as connection:
                await recordings.release_recording(connection, record_id, mover)

    async def _require(self, connection: Connection, kept: Kept, mover: str) -> None:
        if not await recordings.holds_recording(connection, kept.recording.record_id, mover):
            raise NotRepaired("It took too long: call it again")

    async def _unsettle(self, connection: Connection, record_id: RecordId) -> set[Path]:
        """Whoever settles it writes its row anew. The directories that something of it waits in."""
        entry = await recordings.lock_entry(connection, record_id)
        if entry is None:
            raise NotRepaired(NOT_AS_FOUND)
        if entry.is_settled:
            await recordings.write_entry(connection, replace(entry, is_settled=False), render(entry.recording))
        return {self._storage.unpacking_dir / arrival.directory for arrival in entry.arrivals}


@dataclass(frozen=True, slots=True)
class _Moves:
    """`source`: where the tree that belongs to the right place is, if it is not there. `same`: its copies, which go."""

    source: Location | None
    same: tuple[Location, ...] = ()
    different: tuple[Location, ...] = ()


def _as_delivered(kept: Kept, name: str, manifests: dict[Location, Manifest]) -> Location:
    """The one of several trees that is as its row says, or all are the same."""
    expected = next(each.manifest for each in kept.formats if each.name == name)
    matching = [location for location, manifest in manifests.items() if manifest.encode() == expected]
    if matching:
        return matching[0]
    if len(set(manifests.values())) == 1:
        return next(iter(manifests))
    raise NotRepaired("There are several, none as it was delivered: remove the wrong ones")


def _record_id(finding: Finding) -> RecordId:
    if finding.record_id is None:
        raise NotRepaired(NOT_AS_FOUND)
    return finding.record_id


def _remove_dangling(path: Path) -> bool:
    """Removes a symlink that leads nowhere. Whether it was one."""
    if not check.is_dangling(path):
        return False
    log.info("dangling_link_removed", path=str(path), target=str(path.readlink()))
    path.unlink()
    sync_directory(path.parent)
    return True


def _named(finding: Finding) -> str | None:
    return str(finding.path) if finding.path else None
