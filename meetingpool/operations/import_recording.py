"""From a claimed archive to a recording in the library: unpack, register, settle, and only then remove the archive.

Each step can be killed and done again. Until the archive is removed the import begins anew with whoever takes it next; what was
unpacked before is removed when nothing waits in it. Called by the recordings worker and `meetingpool recordings import`.
"""

import asyncio
import os
import stat
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from uuid import uuid4

from meetingpool.bbb.recording_documents import render
from meetingpool.bbb.recording_metadata import MetadataRefused, read_metadata, shown_metadata
from meetingpool.database import imports, recordings
from meetingpool.database.engine import Connection, Database, DatabaseUnavailable
from meetingpool.database.imports import Import
from meetingpool.database.recordings import Arrival, Entry
from meetingpool.domain.meetings import MeetingKey
from meetingpool.domain.recordings import LOCATION_OF, Delivered, Description, RecordId, Recording, RecordingState, with_edits
from meetingpool.library.files import changed_at, remove_tree, sync_directory
from meetingpool.library.storage import Storage
from meetingpool.library.unpack import ArchiveRefused, Limits, UnpackedTree, unpack
from meetingpool.operations.recording_origin import Origin, UnknownTenant, find_origin
from meetingpool.operations.settle_recording import Blocking, Settler, is_in_place

# Where claimed archives are, below their spool directory.
CLAIMED = ".meetingpool"
# Somebody else may be moving the recording's files: a delete, or the archive of another format.
SETTLE_WITHIN = 30.0
SETTLE_AGAIN = 0.2

Watch = Callable[[int, int], None]


class Refused(Exception):
    """The archive is not imported until somebody says so. `reason` is a stable word, `detail` a sentence."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class StillChanging(Exception):
    """The archive is not as it was when it was last looked at: it is being written."""

    def __init__(self, size: int, mtime_ns: int) -> None:
        super().__init__("the archive is still being written")
        self.size = size
        self.mtime_ns = mtime_ns


class ArchiveGone(Exception):
    """The archive is not where it was claimed to."""


class NotSettled(Exception):
    """The recording is registered, but its files could not be placed yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRules:
    """What the settings say of imports. `settle_time`: seconds for which an archive must not have changed."""

    limits: Limits
    callback_key: bytes
    settle_time: float = 5.0
    are_many_tenants: bool = False
    is_published: bool = True
    is_protected: bool = False


@dataclass(frozen=True, slots=True)
class _Unpacked:
    """A tree of an archive, and what its metadata says."""

    tree: UnpackedTree
    inode: int
    delivered: Delivered

    @property
    def record_id(self) -> RecordId:
        return self.delivered.description.record_id


class Importer:
    """Imports archives into one storage."""

    def __init__(self, database: Database, storage: Storage, rules: ImportRules, blocking: Blocking = asyncio.to_thread) -> None:
        self._database = database
        self._storage = storage
        self._rules = rules
        self._blocking = blocking
        self._settler = Settler(database, storage, blocking)

    async def run(self, taken: Import, watch: Watch) -> list[RecordId]:
        """Imports an archive that was taken, and returns what it held. `watch` hears how far it is, and may raise to stop.

        Raises Refused, StillChanging, ArchiveGone, ArchiveIncomplete, NotSettled, LeaseLost, OSError, DatabaseUnavailable; in
        each of these cases the archive is where it was.
        """
        archive = taken.spool / CLAIMED / taken.file
        try:
            record_ids = await self._import(taken, archive, watch)
        except ArchiveGone:
            if not taken.record_ids:
                raise
            # It was imported before, and removed: only that was not written down.
            record_ids = [RecordId(record_id) for record_id in taken.record_ids]
        except (ArchiveRefused, MetadataRefused) as error:
            raise Refused(error.reason, str(error)) from error
        await self._blocking(_remove_archive, archive)
        async with self._database.transaction() as connection:
            await imports.finish_import(connection, taken)
        return record_ids

    async def _import(self, taken: Import, archive: Path, watch: Watch) -> list[RecordId]:
        directory = self._storage.unpacking_dir / f"{taken.id}-{uuid4().hex}"
        try:
            unpacked = await self._blocking(self._unpack, taken, archive, directory, watch)
            record_ids = await self._register(taken, unpacked, directory.name)
        except DatabaseUnavailable:
            # Nobody knows whether that was written; what nothing waits in is removed by the next sweep.
            raise
        except BaseException:
            with suppress(OSError):
                await self._blocking(remove_tree, directory)
            raise
        for record_id in record_ids:
            await self._settle(record_id)
        await self._blocking(remove_tree, directory)
        return record_ids

    def _unpack(self, taken: Import, archive: Path, directory: Path, watch: Watch) -> list[_Unpacked]:
        source = _open(archive)
        try:
            self._require_unchanged(taken, os.fstat(source))
            directory.mkdir()
            sync_directory(directory.parent)
            try:
                trees = unpack(source, directory, self._rules.limits, watch)
            finally:
                # What is wrong with one that is being written says nothing of it.
                self._require_unchanged(taken, os.fstat(source))
        finally:
            os.close(source)
        return [_described(tree) for tree in trees]

    def _require_unchanged(self, taken: Import, found: os.stat_result) -> None:
        if not stat.S_ISREG(found.st_mode):
            raise Refused("not_a_file", "it is not a regular file")
        now = (found.st_size, changed_at(found))
        if now != (taken.size, taken.mtime_ns) or taken.quiet_for < self._rules.settle_time:
            raise StillChanging(*now)

    async def _register(self, taken: Import, unpacked: Sequence[_Unpacked], directory: str) -> list[RecordId]:
        """Writes down what arrived, in one transaction. Raises LeaseLost when another worker has the archive by now."""
        ordered = sorted(unpacked, key=lambda each: (each.record_id, each.tree.format))
        record_ids = list(dict.fromkeys(each.record_id for each in ordered))
        async with self._database.transaction() as connection:
            await imports.require_lease(connection, taken, [(each.record_id, each.tree.format) for each in ordered])
            for record_id, formats in groupby(ordered, key=lambda each: each.record_id):
                await self._register_one(connection, taken, record_id, list(formats), directory)
        return record_ids

    async def _register_one(
        self, connection: Connection, taken: Import, record_id: RecordId, formats: list[_Unpacked], directory: str
    ) -> None:
        origin = await self._origin(connection, taken, formats[0].delivered.description)
        new = Recording(
            record_id=record_id,
            tenant=origin.key.tenant,
            meeting_id=origin.key.meeting_id,
            state=RecordingState.PROCESSING,
            is_protected=self._rules.is_protected,
        )
        await recordings.insert_entry(connection, new, self._first_wanted(formats))
        entry = await recordings.lock_entry(connection, record_id)
        if entry is None:
            raise NotSettled
        _require_welcome(entry, origin, is_forced=taken.is_forced)
        if taken.is_forced and entry.wanted is RecordingState.DELETED:
            entry = replace(entry, wanted=self._first_wanted(formats))
        later = await imports.later_formats(connection, taken, record_id)
        arrivals = [_arrival(each, directory) for each in formats if _is_news(each, entry, later)]
        for arrival in arrivals:
            await recordings.put_arrival(connection, record_id, arrival)
        for each in formats if not later else ():
            entry = merged(entry, each.delivered.description, origin)
        entry = replace(entry, is_settled=entry.is_settled and not arrivals and is_in_place(entry))
        await recordings.write_entry(connection, entry, render(entry.recording))

    async def _origin(self, connection: Connection, taken: Import, description: Description) -> Origin:
        try:
            return await find_origin(
                connection,
                description,
                callback_key=self._rules.callback_key,
                are_many=self._rules.are_many_tenants,
                tenant=taken.tenant,
            )
        except UnknownTenant as error:
            raise Refused("unknown_tenant", str(error)) from None

    def _first_wanted(self, formats: Iterable[_Unpacked]) -> RecordingState:
        is_published = self._rules.is_published and all(each.delivered.description.is_published for each in formats)
        return RecordingState.PUBLISHED if is_published else RecordingState.UNPUBLISHED

    async def _settle(self, record_id: RecordId) -> None:
        deadline = asyncio.get_running_loop().time() + SETTLE_WITHIN
        while not await self._settler.settle(record_id):
            if asyncio.get_running_loop().time() > deadline:
                raise NotSettled(NotSettled.__doc__)
            await asyncio.sleep(SETTLE_AGAIN)


def merged(entry: Entry, description: Description, origin: Origin) -> Entry:
    """The entry with what a delivery says. What front ends decided stays; what the delivery does not say stays too."""
    it = entry.recording
    delivered = {**entry.delivered, **description.metadata}
    recording = replace(
        it,
        internal_id=description.internal_id or it.internal_id,
        name=description.name or it.name,
        is_breakout=description.is_breakout or it.is_breakout,
        start_ms=description.start_ms or it.start_ms,
        end_ms=description.end_ms or it.end_ms,
        participants=it.participants if description.participants is None else description.participants,
        raw_size=it.raw_size if description.raw_size is None else description.raw_size,
        breakout=description.breakout or it.breakout,
        breakout_rooms=description.breakout_rooms or it.breakout_rooms,
        metadata=with_edits(_as_given(delivered, description.meeting_id, origin.key), entry.edited),
    )
    generation, mark = (origin.generation, origin.mark) if origin.mark else (entry.generation, entry.mark)
    return replace(entry, recording=recording, delivered=delivered, generation=generation or origin.generation, mark=mark)


def _as_given(delivered: dict[str, str], host_id: str, key: MeetingKey) -> dict[str, str]:
    """Metadata as the front end gave it, and under its own meetingID."""
    return {name: key.meeting_id if value == host_id else value for name, value in shown_metadata(delivered).items()}


def _require_welcome(entry: Entry, origin: Origin, *, is_forced: bool) -> None:
    if entry.recording.tenant != origin.key.tenant:
        raise Refused("other_tenant", "a recording with this id belongs to another tenant")
    if entry.wanted is RecordingState.DELETED and not is_forced:
        raise Refused("deleted", "the recording was deleted; to bring it back: recordings quarantine retry ID --force")


def _is_news(each: _Unpacked, entry: Entry, later: Collection[str]) -> bool:
    """Whether the format is not in the library yet just as it came, and where it belongs.

    An archive that had to wait may have been overtaken by others, in `later` formats: of these it brings only what is not there.
    """
    if each.tree.format in later:
        known = {placed.format.name for placed in entry.placed} | {arrival.format.name for arrival in entry.arrivals}
        return each.tree.format not in known
    digest, location = each.tree.manifest.digest, LOCATION_OF[entry.wanted]
    return not any(
        placed.format.name == each.tree.format and placed.digest == digest and placed.location is location
        for placed in entry.placed
    ) or any(arrival.format.name == each.tree.format for arrival in entry.arrivals)


def _arrival(each: _Unpacked, directory: str) -> Arrival:
    manifest = each.tree.manifest
    return Arrival(
        format=each.delivered.format,
        directory=directory,
        inode=each.inode,
        files=manifest.files,
        total_bytes=manifest.bytes,
        digest=manifest.digest,
        manifest=manifest.encode(),
    )


def _described(tree: UnpackedTree) -> _Unpacked:
    delivered = read_metadata(tree.metadata)
    if (delivered.format.name, delivered.description.record_id) != (tree.format, tree.record_id):
        raise Refused("id_mismatch", "its metadata.xml names another recording or format than its directories")
    return _Unpacked(tree, tree.directory.stat().st_ino, delivered)


def _open(archive: Path) -> int:
    try:
        # Neither is a link followed nor is waited for somebody to write into a pipe.
        return os.open(archive, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        if not archive.parent.is_dir():
            # The spool is not mounted.
            raise
        raise ArchiveGone(ArchiveGone.__doc__) from error


def _remove_archive(archive: Path) -> None:
    with suppress(FileNotFoundError):
        archive.unlink()
        sync_directory(archive.parent)
