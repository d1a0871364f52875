"""The worker as it runs: it finds archives by itself, settles what it is told of, and goes on after what was away is back."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from meetingpool.database import recordings
from meetingpool.database.engine import Database
from meetingpool.database.imports import ImportState
from meetingpool.domain.recordings import Location, RecordId, RecordingState
from meetingpool.library.storage import MARK, StorageUnusable
from meetingpool.operations.change_recordings import change_recordings, deleted, published, restored, unpublished
from meetingpool.operations.import_recording import CLAIMED
from meetingpool.operations.open_library import adopt_storage, prepare_storage, require_storage
from meetingpool.operations.tidy_library import Tidier
from meetingpool.settings import Settings
from recordings.__main__ import make_worker
from recordings.worker import SWEEP_AT_ONCE
from tests.archives import deliver, record_id_of, recording_archive
from tests.library import Library, made_library
from tests.logs import Event, names_of

PATIENCE = 20.0
RECORD_ID = record_id_of("room")


@pytest.fixture
async def working(library: Library) -> AsyncIterator[Library]:
    """A library that a worker works on."""
    async with running_worker(library):
        yield library


@asynccontextmanager
async def running_worker(library: Library) -> AsyncIterator[None]:
    settings = msgspec.structs.replace(library.settings, recording_import_poll_interval=0.05)
    worker = await make_worker(settings, library.database, library.storage)
    stop = asyncio.Event()
    running = asyncio.create_task(worker.run(stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(running, PATIENCE)


async def eventually(what: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await what():
            await asyncio.sleep(0.02)


async def in_state(library: Library, record_id: RecordId, state: RecordingState) -> bool:
    async with library.database.transaction() as connection:
        found = await connection.fetchrow("SELECT state, is_settled FROM recordings WHERE record_id = $1", record_id)
    return found is not None and (found["state"], found["is_settled"]) == (state, True)


async def test_an_archive_in_the_spool_becomes_a_recording(working: Library) -> None:
    deliver(working.spool.directory, RECORD_ID, recording_archive(RECORD_ID))
    await eventually(lambda: in_state(working, RECORD_ID, RecordingState.PUBLISHED))
    await eventually(lambda: _are_done(working))
    assert working.archives == []


async def test_files_follow_what_is_wanted(working: Library) -> None:
    deliver(working.spool.directory, RECORD_ID, recording_archive(RECORD_ID, ["presentation", "video"]))
    await eventually(lambda: in_state(working, RECORD_ID, RecordingState.PUBLISHED))

    await change_recordings(working.database, [RECORD_ID], unpublished)
    await eventually(lambda: in_state(working, RECORD_ID, RecordingState.UNPUBLISHED))
    assert working.files(Location.PUBLISHED, "video", RECORD_ID) == {}
    await change_recordings(working.database, [RECORD_ID], published)
    await eventually(lambda: in_state(working, RECORD_ID, RecordingState.PUBLISHED))
    assert working.files(Location.PUBLISHED, "video", RECORD_ID)
    await change_recordings(working.database, [RECORD_ID], deleted)
    await eventually(lambda: in_state(working, RECORD_ID, RecordingState.DELETED))
    assert working.files(Location.TRASH, "video", RECORD_ID)
    await change_recordings(working.database, [RECORD_ID], restored, of_deleted=True)
    await eventually(lambda: in_state(working, RECORD_ID, RecordingState.UNPUBLISHED))
    assert working.files(Location.UNPUBLISHED, "video", RECORD_ID)


async def test_a_claimed_archive_whose_worker_died_before_it_wrote_so_is_imported(library: Library) -> None:
    path = deliver(library.spool.directory, RECORD_ID, recording_archive(RECORD_ID))
    (library.spool.directory / CLAIMED).mkdir()
    path.rename(library.spool.directory / CLAIMED / f"0123456789abcdef.{path.name}")
    async with running_worker(library):
        await eventually(lambda: in_state(library, RECORD_ID, RecordingState.PUBLISHED))


async def test_an_import_whose_worker_died_is_done_by_another(library: Library) -> None:
    deliver(library.spool.directory, RECORD_ID, recording_archive(RECORD_ID))
    [claimed] = await library.claim()
    async with library.database.transaction() as connection:
        statement = "UPDATE imports SET state = 'working', attempts = 1, lease_until = now() WHERE id = $1"
        await connection.execute(statement, claimed.id)
    async with running_worker(library):
        await eventually(lambda: in_state(library, RECORD_ID, RecordingState.PUBLISHED))


async def test_nothing_is_done_while_the_storage_is_not_mounted(library: Library, logged: list[Event]) -> None:
    mark = library.storage.publish_dir / MARK
    aside = mark.rename(library.storage.work_dir / "mark")
    deliver(library.spool.directory, RECORD_ID, recording_archive(RECORD_ID))
    async with running_worker(library):
        async with asyncio.timeout(PATIENCE):
            while "storage_unusable" not in names_of(logged):
                await asyncio.sleep(0.02)
        assert library.archives == [f"{RECORD_ID}.tar"]
        aside.rename(mark)
        await eventually(lambda: in_state(library, RECORD_ID, RecordingState.PUBLISHED))


async def test_a_spool_that_is_not_mounted_keeps_nobody_from_the_others(database: Database, tmp_path: Path) -> None:
    def with_two(settings: Settings) -> Settings:
        return msgspec.structs.replace(settings, recording_spool_dir=(tmp_path / "there", tmp_path / "away"))

    library = await made_library(database, tmp_path, with_two)
    deliver(tmp_path / "there", RECORD_ID, recording_archive(RECORD_ID))
    async with running_worker(library):
        await eventually(lambda: in_state(library, RECORD_ID, RecordingState.PUBLISHED))
        other = record_id_of("other")
        deliver(tmp_path / "away", other, recording_archive(other, meeting_id="other"))
        await eventually(lambda: in_state(library, other, RecordingState.PUBLISHED))


async def test_a_poisoned_archive_keeps_nothing_from_being_imported(working: Library) -> None:
    for number in range(10):
        record_id = record_id_of("room", 1_700_000_000_000 + number)
        content = b"poison" * 1000 if number == 0 else recording_archive(record_id)
        deliver(working.spool.directory, record_id, content)
    await eventually(lambda: _are_done(working, 9))
    [refused] = [each for each in await working.imports() if each.state is ImportState.QUARANTINED]
    assert (refused.name, refused.reason) == (f"{record_id_of('room')}.tar", "not_a_tar")


@pytest.fixture
def stuck(library: Library) -> Iterator[Path]:
    """An archive in the spool, older than all others, that cannot be renamed."""
    path = deliver(library.spool.directory, RECORD_ID, recording_archive(RECORD_ID))
    os.utime(path, (0, 0))
    if subprocess.run(["mount", "--bind", path, path], check=False, capture_output=True).returncode:
        pytest.skip("needs the right to mount: run the tests as root")
    yield path
    subprocess.run(["umount", path], check=True)


async def test_an_archive_that_cannot_be_claimed_keeps_nothing_from_being_imported(library: Library, stuck: Path) -> None:
    other = record_id_of("other")
    deliver(library.spool.directory, other, recording_archive(other, meeting_id="other"))
    async with running_worker(library):
        await eventually(lambda: in_state(library, other, RecordingState.PUBLISHED))
    assert stuck.exists()


async def test_many_changes_at_once_are_settled_without_a_pause(library: Library) -> None:
    wanted = "INSERT INTO recordings (record_id, tenant, meeting_id, wanted) SELECT n::text, 't', 'm', 'deleted'"
    async with library.database.transaction() as connection:
        await connection.execute(f"{wanted} FROM generate_series(1, $1::int) AS n", 3 * SWEEP_AT_ONCE + 1)

    async def all_settled() -> bool:
        async with library.database.transaction() as connection:
            return await recordings.unsettled(connection, 1) == []

    async with running_worker(library):
        await eventually(all_settled)


async def test_what_cannot_be_settled_keeps_nothing_from_being_settled(library: Library) -> None:
    failed = (
        "INSERT INTO recordings (record_id, tenant, meeting_id, wanted, mover_until) "
        "VALUES ($1, 't', 'm', 'deleted', now() - $2::interval)"
    )
    async with library.database.transaction() as connection:
        for number in range(4):
            await connection.execute(failed, str(number), timedelta(seconds=number))
        await connection.execute(failed, "new", None)

        assert await recordings.unsettled(connection, 3) == ["new", "3", "2"]


async def test_an_archive_under_any_name_that_a_file_can_have_is_imported(working: Library) -> None:
    names = [os.fsdecode(b"\xff\xfe.tar"), "ü" * 120 + ".tar", "a\nb\t;.tar"]
    for number, name in enumerate(names):
        record_id = record_id_of("room", 1_700_000_000_000 + number)
        deliver(working.spool.directory, record_id, recording_archive(record_id)).rename(working.spool.directory / name)
    (working.spool.directory / CLAIMED).mkdir(exist_ok=True)
    other = record_id_of("room", 1_700_000_000_009)
    by_hand = working.spool.directory / CLAIMED / os.fsdecode(b"by \xff hand.tar")
    by_hand.write_bytes(recording_archive(other))

    await eventually(lambda: _are_done(working, 4))
    assert working.archives == []


async def test_the_storage_of_another_installation_is_refused(library: Library) -> None:
    (library.storage.unpublish_dir / MARK).write_text("another\n")
    with pytest.raises(StorageUnusable, match="another installation"):
        await require_storage(library.database, library.storage)


async def test_a_storage_of_another_installation_is_not_adopted(library: Library) -> None:
    for root in (library.storage.publish_dir, library.storage.unpublish_dir, library.storage.work_dir):
        (root / MARK).write_text("another\n")
    with pytest.raises(StorageUnusable, match="another installation"):
        await adopt_storage(library.database, library.storage)


async def test_a_new_storage_is_taken_only_by_the_word_of_an_administrator(library: Library) -> None:
    shutil.rmtree(library.storage.publish_dir)
    await prepare_storage(library.database, library.storage)
    with pytest.raises(StorageUnusable, match="adopt-storage"):
        await require_storage(library.database, library.storage)
    await adopt_storage(library.database, library.storage)
    await require_storage(library.database, library.storage)


async def test_the_trash_is_emptied_after_its_time_and_the_recording_stays_deleted(library: Library) -> None:
    deliver(library.spool.directory, RECORD_ID, recording_archive(RECORD_ID))
    await library.take_in()
    await change_recordings(library.database, [RECORD_ID], deleted)
    await library.settler.settle(RECORD_ID)
    tidier = Tidier(library.database, library.storage, library.settler, trash_days=14)

    await tidier.tidy()
    assert library.files(Location.TRASH, "presentation", RECORD_ID)
    async with library.database.transaction() as connection:
        await connection.execute("UPDATE recordings SET deleted_at = now() - interval '15 days'")
    await tidier.tidy()

    assert library.files(Location.TRASH, "presentation", RECORD_ID) == {}
    entry = await library.entry(RECORD_ID)
    assert (entry.recording.state, entry.placed) == (RecordingState.DELETED, ())
    deliver(library.spool.directory, RECORD_ID, recording_archive(RECORD_ID))
    [refused] = await library.take_in()
    assert refused.reason == "deleted"


async def test_what_imports_left_behind_is_removed_when_nobody_needs_it(library: Library) -> None:
    for name in ("7-abandoned", "waits"):
        (library.storage.unpacking_dir / name).mkdir()
        os.utime(library.storage.unpacking_dir / name, (0, 0))
    fresh = library.storage.unpacking_dir / "8-fresh"
    fresh.mkdir()
    async with library.database.transaction() as connection:
        await connection.execute(
            "INSERT INTO recordings (record_id, tenant, meeting_id, wanted) VALUES ('r', 't', 'm', 'published')"
        )
        await connection.execute(
            "INSERT INTO recording_arrivals (record_id, format, description, directory, inode, files, bytes, manifest, digest) "
            "VALUES ('r', 'video', '{}', 'waits', 1, 1, 1, '', '')"
        )

    await Tidier(library.database, library.storage, library.settler, trash_days=14).tidy()

    assert {path.name for path in library.leftovers} == {"waits", "8-fresh"}


async def _are_done(library: Library, number: int = 1) -> bool:
    return sum(each.state is ImportState.DONE for each in await library.imports()) == number
