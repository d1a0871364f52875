"""Several workers at one spool directory, into which servers deliver as they like."""

import asyncio
import os
import random
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from meetingpool.clock import SystemClock
from meetingpool.database.engine import Database
from meetingpool.database.imports import ImportState
from meetingpool.domain.recordings import Location, RecordId
from meetingpool.operations.change_recordings import change_recordings, deleted, published, unpublished
from meetingpool.operations.check_library import Checker, CheckRules
from meetingpool.operations.tidy_library import Tidier
from recordings.spool import Spool
from recordings.worker import Worker
from tests.archives import START_MS, deliver, record_id_of, recording_archive
from tests.effort import effort
from tests.keys import KEYRING
from tests.library import Library, made_library

WORKERS = 6
# Recordings that are delivered at the same time.
TOGETHER = 20
LATEST_SECOND_DELIVERY = 0.06


@pytest.fixture
async def library(database_url: str, tmp_path: Path) -> AsyncIterator[Library]:
    database = Database(database_url, name="workers", pool_size=20, keyring=KEYRING)
    yield await made_library(database, tmp_path)
    await database.close()


@asynccontextmanager
async def workers(library: Library, number: int = WORKERS) -> AsyncIterator[None]:
    """So many workers at work, each with its own look at the spool."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for _ in range(number):
            group.create_task(_worker(library).run(stop))
        yield
        stop.set()


def _worker(library: Library) -> Worker:
    return Worker(
        library.database,
        library.storage,
        [Spool(library.spool.directory, settle_time=0)],
        library.another_runner(),
        library.settler,
        Tidier(library.database, library.storage, library.settler, trash_days=7),
        SystemClock(),
        poll_interval=0.03,
    )


async def until_done(library: Library) -> None:
    """Until nothing waits, neither in the spool nor in the database."""
    async with asyncio.timeout(60):
        while library.archives or any(each.state in _UNDER_WAY for each in await library.imports()):
            await asyncio.sleep(0.05)


_UNDER_WAY = (ImportState.WAITING, ImportState.WORKING)


async def require_clean(library: Library) -> None:
    rules = CheckRules(trash_days=7, with_hashes=True, quiet=0, patience=0)
    report = await Checker(library.database, library.storage, [library.spool.directory], rules, lambda *_: None).run()
    assert report.findings == []


def names(number: int) -> list[RecordId]:
    return [record_id_of("room", START_MS + each) for each in range(number)]


def portions(record_ids: Sequence[RecordId], size: int) -> Iterator[Sequence[RecordId]]:
    """However many there are in all, so many are under way at once."""
    return (record_ids[first : first + size] for first in range(0, len(record_ids), size))


async def test_no_format_is_lost_when_an_archive_comes_again_at_any_moment(library: Library) -> None:
    record_ids = names(effort(100))
    spool = library.spool.directory

    async def deliver_twice(record_id: RecordId) -> None:
        deliver(spool, record_id, recording_archive(record_id, ["presentation"]))
        await asyncio.sleep(random.uniform(0, LATEST_SECOND_DELIVERY))
        deliver(spool, record_id, recording_archive(record_id, ["presentation", "video"]))

    async with workers(library):
        for some in portions(record_ids, TOGETHER):
            await asyncio.gather(*map(deliver_twice, some))
            await until_done(library)

    assert {each.state for each in await library.imports()} == {ImportState.DONE}
    for record_id in record_ids:
        entry = await library.entry(record_id)
        assert [each.format.name for each in entry.placed] == ["presentation", "video"]
    await require_clean(library)


async def test_each_archive_is_imported_by_one_of_many_workers(library: Library) -> None:
    record_ids = names(effort(100))
    async with workers(library, 8):
        for some in portions(record_ids, 100):
            for record_id in some:
                deliver(library.spool.directory, record_id, recording_archive(record_id))
            await until_done(library)

    done = await library.imports()
    assert sorted(record_id for each in done for record_id in each.record_ids) == sorted(record_ids)
    assert {(each.state, each.attempts) for each in done} == {(ImportState.DONE, 1)}
    await require_clean(library)


async def test_archives_that_cannot_be_read_keep_none_of_the_others(library: Library) -> None:
    record_ids = names(10)
    spool = library.spool.directory
    poison = {
        "random.tar": random.randbytes(5000),
        "zeros.tar": bytes(10_240),
        "half.tar": recording_archive(record_ids[0])[:700],
    }
    for name, content in poison.items():
        (spool / name).write_bytes(content)
    for record_id in record_ids:
        deliver(spool, record_id, recording_archive(record_id))

    async with workers(library, 2):
        async with asyncio.timeout(30):
            while sum(each.state is ImportState.DONE for each in await library.imports()) < len(record_ids):
                await asyncio.sleep(0.05)

    kept = {each.name: each for each in await library.imports() if each.state is not ImportState.DONE}
    assert kept.keys() == poison.keys()
    assert all(each.reason for each in kept.values())
    assert len(library.archives) == len(poison)
    assert kept["half.tar"].state is ImportState.WAITING


async def test_changes_of_many_kinds_while_archives_come_end_with_the_last_one(library: Library) -> None:
    record_ids = names(effort(10))
    wanted = {published: Location.PUBLISHED, unpublished: Location.UNPUBLISHED, deleted: Location.TRASH}
    last = {record_id: random.choice(list(wanted)) for record_id in record_ids}

    async def change_often(record_id: RecordId) -> None:
        for formats in (["presentation"], ["presentation", "video"]):
            deliver(library.spool.directory, record_id, recording_archive(record_id, formats, content=random.randbytes(9)))
            for _ in range(10):
                await asyncio.sleep(random.uniform(0, 0.02))
                await change_recordings(library.database, [record_id], random.choice([published, unpublished]))
        await until_done(library)
        await change_recordings(library.database, [record_id], last[record_id])

    async with workers(library):
        for some in portions(record_ids, 10):
            await asyncio.gather(*map(change_often, some))
            async with asyncio.timeout(60):
                while not all([(await library.entry(record_id)).is_settled for record_id in some]):
                    await asyncio.sleep(0.05)

    for record_id in record_ids:
        assert {each.location for each in (await library.entry(record_id)).placed} == {wanted[last[record_id]]}
    await require_clean(library)


@pytest.mark.parametrize("mtime", [0, 4_102_444_800, 10_413_792_000])
async def test_an_archive_settles_whatever_its_times_say(library: Library, mtime: int) -> None:
    [record_id] = names(1)
    path = deliver(library.spool.directory, record_id, recording_archive(record_id))
    os.utime(path, (mtime, mtime))
    spool = Spool(library.spool.directory, settle_time=5)

    assert spool.look(100.0) == []
    assert spool.look(104.0) == []
    assert spool.look(105.0) == [path.name]


async def test_an_archive_that_still_grows_does_not_settle(library: Library) -> None:
    path = library.spool.directory / "growing.tar"
    path.write_bytes(b"one")
    spool = Spool(library.spool.directory, settle_time=5)
    assert spool.look(100.0) == []
    path.write_bytes(b"three")

    assert spool.look(105.0) == []
    assert spool.look(110.0) == [path.name]


async def test_names_that_rsync_and_nfs_keep_for_themselves_are_left_alone(library: Library) -> None:
    [record_id] = names(1)
    spool, content = library.spool.directory, recording_archive(record_id)
    (spool / ".~tmp~").mkdir()
    theirs = [f".{record_id}.tar.AbC123", f".~tmp~/{record_id}.tar", ".nfs000000000a1b2c3d00000001", f"{record_id}.tar~"]
    theirs += [f"{record_id}.tar.tmp", f"{record_id}.tar.part", f".{record_id}.tar", f"{record_id}.TAR.filepart"]
    for name in theirs:
        (spool / name).write_bytes(content)

    assert await library.take_in() == []
    assert all((spool / name).read_bytes() == content for name in theirs)
