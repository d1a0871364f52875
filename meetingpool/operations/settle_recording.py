"""Brings the files of a recording to where they belong by what is wanted of it, and then says so.

Everything that changes a recording writes what is wanted, and is done; this makes it true: after an import, a publish, an
unpublish, a delete, a restore. Whoever does it has the recording to itself for the time of a lease, does what can be done again,
and writes down what was done in one transaction. If it dies, the next sweep does it. Called by the recordings worker and
`meetingpool recordings`; only they touch the files.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from meetingpool.bbb.recording_documents import render
from meetingpool.database import recordings
from meetingpool.database.engine import Connection, Database
from meetingpool.database.outbox import announce
from meetingpool.database.placements import find_placement
from meetingpool.database.recordings import Arrival, Entry, Placed
from meetingpool.domain.announcements import recording_ready
from meetingpool.domain.recordings import LOCATION_OF, Location, RecordId, RecordingState
from meetingpool.library.storage import Storage
from meetingpool.library.trees import TreeMissing, discard, place, relocate
from meetingpool.logs import get_logger

# Renames take milliseconds, the removal of what was replaced seconds. Who takes longer than this finds that the lease was lost,
# and does what is left anew. Who dies, or finds no database to give the lease back, keeps others waiting for it.
LEASE_SECONDS = 30.0
# After a failure, before anybody tries again.
PAUSE = 30.0

log = get_logger()

# Runs a function that blocks: asyncio.to_thread, or for one who has nothing else to do, `at_once`.
Blocking = Callable[..., Awaitable[Any]]


async def at_once(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*arguments)


@dataclass(frozen=True, slots=True)
class _Moves:
    """What is to be done with the files, all of which go to `target`."""

    target: Location
    placed: tuple[Placed, ...]
    arrivals: tuple[Arrival, ...]


class Settler:
    """Settles recordings of one storage."""

    def __init__(self, database: Database, storage: Storage, blocking: Blocking = asyncio.to_thread) -> None:
        self._database = database
        self._storage = storage
        self._blocking = blocking

    async def settle(self, record_id: RecordId) -> bool:
        """Whether the recording is settled now; False while somebody else moves its files, or when there is none.

        Raises OSError and TreeMissing when its files cannot be moved, DatabaseUnavailable.
        """
        mover, until = uuid4().hex, time.monotonic() + LEASE_SECONDS
        async with self._database.transaction() as connection:
            if not await recordings.take_recording(connection, record_id, mover, LEASE_SECONDS):
                return False
            entry = await recordings.lock_entry(connection, record_id)
        try:
            while entry is not None and not entry.is_settled:
                moves = moves_of(entry)
                is_moved = await self._blocking(self._move, record_id, moves, until)
                entry = await self._write(record_id, mover, moves) if is_moved else None
        except BaseException:
            await self._give_up(record_id, mover)
            raise
        await self._release(record_id, mover)
        return entry is not None

    async def purge(self, record_id: RecordId) -> bool:
        """Removes the files of a deleted recording for good. The row stays, so that the recording does not come back.

        Whether that was done: not while somebody else moves its files, nor when it is no longer deleted.
        """
        mover, until = uuid4().hex, time.monotonic() + LEASE_SECONDS
        async with self._database.transaction() as connection:
            taken = await recordings.take_recording(connection, record_id, mover, LEASE_SECONDS)
            entry = await recordings.lock_entry(connection, record_id) if taken else None
        if entry is None:
            return False
        try:
            is_purged = entry.is_settled and entry.wanted is RecordingState.DELETED
            if is_purged:
                is_purged = await self._blocking(self._discard, record_id, entry.placed, until)
            if is_purged:
                await self._write_purged(record_id, mover)
            return is_purged
        finally:
            await self._release(record_id, mover)

    def _move(self, record_id: RecordId, moves: _Moves, until: float) -> bool:
        """Whether all is moved. At `until` by our clock the lease is over, and the rest is another's to move."""
        formats: tuple[Placed | Arrival, ...] = (*moves.placed, *moves.arrivals)
        for each in formats:
            if time.monotonic() >= until:
                return False
            self._move_one(record_id, each, moves.target)
        return True

    def _move_one(self, record_id: RecordId, each: Placed | Arrival, location: Location) -> None:
        name = each.format.name
        target = self._storage.tree(location, name, record_id)
        elsewhere = [self._storage.tree(other, name, record_id) for other in Location if other is not location]
        if isinstance(each, Arrival):
            place(self._storage, self._storage.arrival(each.directory, name, record_id), target, each.inode, elsewhere)
            return
        try:
            relocate(self._storage, self._storage.tree(each.location, name, record_id), target, elsewhere)
        except TreeMissing:
            # Whoever wants it away has what was wanted.
            if location is not Location.TRASH:
                raise
            self._storage.require_mounted()

    def _discard(self, record_id: RecordId, formats: tuple[Placed, ...], until: float) -> bool:
        """Whether all is removed. At `until` the lease is over: what is in the trash then may have been deleted anew."""
        for placed in formats:
            if time.monotonic() >= until:
                return False
            discard(self._storage, self._storage.tree(Location.TRASH, placed.format.name, record_id))
        self._storage.require_mounted()
        return True

    async def _write(self, record_id: RecordId, mover: str, moves: _Moves) -> Entry | None:
        """Writes what was moved. The entry as it is then; None when the lease was lost."""
        async with self._database.transaction() as connection:
            if not await recordings.holds_recording(connection, record_id, mover):
                await _unsettle(connection, record_id)
                return None
            for placed in moves.placed:
                await recordings.locate_format(connection, record_id, placed.format.name, moves.target)
            for arrival in moves.arrivals:
                await recordings.place_arrival(connection, record_id, arrival, moves.target)
            entry = await recordings.lock_entry(connection, record_id)
            if entry is None or not is_in_place(entry):
                return entry
            settled = await _announced(connection, as_wanted(entry))
            await recordings.write_entry(connection, settled, render(settled.recording))
            await recordings.tell_settled(connection, record_id)
        log.info("recording_settled", recording=record_id, state=settled.recording.state, formats=_names(settled))
        return settled

    async def _write_purged(self, record_id: RecordId, mover: str) -> None:
        async with self._database.transaction() as connection:
            if not await recordings.holds_recording(connection, record_id, mover):
                return
            await recordings.drop_formats(connection, record_id)
            entry = await recordings.lock_entry(connection, record_id)
            if entry is not None:
                await recordings.write_entry(connection, entry, render(entry.recording))
        log.info("recording_purged", recording=record_id)

    async def _release(self, record_id: RecordId, mover: str) -> None:
        async with self._database.transaction() as connection:
            await recordings.release_recording(connection, record_id, mover)

    async def _give_up(self, record_id: RecordId, mover: str) -> None:
        async with self._database.transaction() as connection:
            if await recordings.holds_recording(connection, record_id, mover):
                await recordings.release_recording(connection, record_id, mover, PAUSE)
            else:
                await _unsettle(connection, record_id)


def moves_of(entry: Entry) -> _Moves:
    """What is to be moved so that the files are where they belong.

    That includes what the rows say is there: somebody may have moved it, who died and did not write it down.
    """
    arriving = {arrival.format.name for arrival in entry.arrivals}
    staying = tuple(placed for placed in entry.placed if placed.format.name not in arriving)
    return _Moves(LOCATION_OF[entry.wanted], staying, entry.arrivals)


def is_in_place(entry: Entry) -> bool:
    """Whether all files are where what is wanted says, and nothing waits to be placed."""
    target = LOCATION_OF[entry.wanted]
    return not entry.arrivals and all(placed.location is target for placed in entry.placed)


def as_wanted(entry: Entry) -> Entry:
    """The entry when its files are in place: front ends see what was wanted. Without files there is nothing to see."""
    is_there = entry.placed or entry.wanted is RecordingState.DELETED
    state = entry.wanted if is_there else RecordingState.PROCESSING
    return replace(entry, recording=replace(entry.recording, state=state), is_settled=True)


async def _unsettle(connection: Connection, record_id: RecordId) -> None:
    """What was moved too late, after another had the recording, may be at the wrong place: that is looked at again."""
    entry = await recordings.lock_entry(connection, record_id)
    if entry is not None:
        await recordings.write_entry(connection, replace(entry, is_settled=False), render(entry.recording))
        await recordings.tell_of(connection, [record_id])


async def _announced(connection: Connection, entry: Entry) -> Entry:
    """Puts into the outbox that the recording can be played, if it can and that is news."""
    formats = _names(entry)
    if entry.recording.state is not RecordingState.PUBLISHED or formats == entry.announced:
        return entry
    if entry.generation is not None and entry.mark is not None:
        placement = await find_placement(connection, entry.generation, entry.mark)
        announcement = recording_ready(placement, entry.recording.record_id, formats) if placement else None
        if announcement:
            await announce(connection, announcement)
    return replace(entry, announced=formats)


def _names(entry: Entry) -> str:
    return ",".join(placed.format.name for placed in entry.placed)
