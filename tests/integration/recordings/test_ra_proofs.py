"""proofs"""
import asyncio, os, sys, threading
from dataclasses import replace
from pathlib import Path
import pytest
from meetingpool.database import imports, recordings
from meetingpool.database.engine import Database
from meetingpool.database.imports import ImportState
from meetingpool.domain.recordings import Location, RecordingState, RecordId
from meetingpool.library.storage import MARK, StorageUnusable
from meetingpool.library.trees import place, relocate
from meetingpool.operations.change_recordings import change_recordings, deleted, unpublished, published
from meetingpool.operations.import_recording import CLAIMED, Importer, StillChanging
from meetingpool.operations.open_library import adopt_storage
from meetingpool.operations.tidy_library import Tidier
from tests.archives import archive, deliver, metadata_xml, record_id_of, recording_archive
from tests.library import Library
from tests.logs import Event, names_of
from tests.integration.recordings.test_worker import running_worker, eventually, in_state, _are_done

RECORD_ID = record_id_of("room")


async def test_forced_overtaken(library: Library) -> None:
    deliver(library.spool.directory, RECORD_ID, recording_archive(RECORD_ID))
    [older] = await library.claim()
    async with library.database.transaction() as connection:
        await connection.execute("UPDATE imports SET state = 'quarantined', finished_at = now()")
    deliver(library.spool.directory, RECORD_ID, recording_archive(RECORD_ID, content=b"rebuilt"))
    await library.take_in()
    await change_recordings(library.database, [RECORD_ID], deleted)
    await library.settler.settle(RECORD_ID)
    async with library.database.transaction() as connection:
        await imports.retry_imports(connection, [older.id], force=True)
    await library.runner.run_next()
    [done] = await library.imports(older.id)
    entry = await library.entry(RECORD_ID)
    assert (done.state, entry.recording.state, entry.is_settled) == (ImportState.DONE, RecordingState.PUBLISHED, True)
    assert library.files(Location.PUBLISHED, "presentation", RECORD_ID)["main.bin"] == b"rebuilt"


@pytest.mark.parametrize("year", [2300, 1600])
async def test_mtime_far(library: Library, year: int) -> None:
    path = deliver(library.spool.directory, RECORD_ID, recording_archive(RECORD_ID))
    seconds = (year - 1970) * 31_556_952
    os.utime(path, (seconds, seconds))
    print(path.stat().st_mtime_ns)
    [done] = await library.take_in()
    assert done.state is ImportState.DONE


async def test_unsettled_order(library: Library) -> None:
    for n in range(6):
        async with library.database.transaction() as connection:
            await connection.execute("INSERT INTO recordings (record_id, tenant, meeting_id, wanted, mover_until) VALUES ($1, 't', 'm', 'published', now() - make_interval(secs => $2))", f"{n}", float(n + 1))
    async with library.database.transaction() as connection:
        await connection.execute("INSERT INTO recordings (record_id, tenant, meeting_id, wanted) VALUES ('9', 't', 'm', 'published')")
        assert await recordings.unsettled(connection, 3) == ["9", "5", "4"]


async def test_changed_while_read(library: Library) -> None:
    files = {f"presentation/{RECORD_ID}/metadata.xml": metadata_xml(RECORD_ID, "presentation")}
    files |= {f"presentation/{RECORD_ID}/{n}": b"x" for n in range(600)}
    content = archive(files)
    middle = 512 * 1000
    deliver(library.spool.directory, RECORD_ID, content[:middle] + b"\x01" * 512 + content[middle + 512:])
    [claimed] = await library.claim()
    async with library.database.transaction() as connection:
        taken = await imports.take_import(connection, "t", claimed.id)
    path = library.spool.directory / CLAIMED / claimed.file
    def watch(_b: int, _f: int) -> None:
        os.utime(path, (1, 1))
    with pytest.raises(StillChanging):
        await Importer(library.database, library.storage, library.rules).run(taken, watch)


async def test_unmounted_spool(library: Library) -> None:
    deliver(library.spool.directory, RECORD_ID, recording_archive(RECORD_ID))
    [claimed] = await library.claim()
    async with library.database.transaction() as connection:
        await connection.execute("UPDATE imports SET record_ids = $1", [RECORD_ID])
    away = library.spool.directory.rename(library.spool.directory.with_name("away"))
    library.spool.directory.mkdir()
    await library.runner.run_next()
    library.spool.directory.rmdir()
    away.rename(library.spool.directory)
    [waiting] = await library.imports(claimed.id)
    assert waiting.state is ImportState.WAITING


async def test_release_token(library: Library) -> None:
    deliver(library.spool.directory, RECORD_ID, recording_archive(RECORD_ID))
    await library.claim()
    async with library.database.transaction() as connection:
        first = await imports.take_import(connection, "first")
        await imports.release_import(connection, first)
        second = await imports.take_import(connection, "second")
        # reply was lost: once more
        await imports.release_import(connection, first)
        [now] = await imports.find_imports(connection, [first.id])
    assert now.state is ImportState.WORKING


async def test_adopt_other(library: Library) -> None:
    for root in (library.storage.publish_dir, library.storage.unpublish_dir, library.storage.work_dir):
        (root / MARK).write_text("another\n")
    with pytest.raises(StorageUnusable):
        await adopt_storage(library.database, library.storage)


async def test_overtaken_by_other_format(library: Library) -> None:
    deliver(library.spool.directory, RECORD_ID, recording_archive(RECORD_ID, ["presentation"], content=b"first"))
    await library.take_in()
    deliver(library.spool.directory, RECORD_ID, recording_archive(RECORD_ID, ["presentation"], content=b"rebuilt"))
    [older] = await library.claim()
    async with library.database.transaction() as connection:
        await connection.execute("UPDATE imports SET next_attempt_at = now() + interval '1 hour' WHERE id = $1", older.id)
    deliver(library.spool.directory, RECORD_ID, recording_archive(RECORD_ID, ["video"]))
    await library.take_in()
    async with library.database.transaction() as connection:
        await connection.execute("UPDATE imports SET next_attempt_at = now() WHERE id = $1", older.id)
    await library.runner.run_next()
    assert library.files(Location.PUBLISHED, "presentation", RECORD_ID)["main.bin"] == b"rebuilt"


async def test_delete_while_away(library: Library) -> None:
    deliver(library.spool.directory, RECORD_ID, recording_archive(RECORD_ID))
    await library.take_in()
    await change_recordings(library.database, [RECORD_ID], deleted)
    pub = library.storage.publish_dir
    away = pub.rename(pub.with_name("away"))
    pub.mkdir()
    try:
        await library.settler.settle(RECORD_ID)
    except Exception as e:
        print(repr(e))
    pub.rmdir()
    away.rename(pub)
    entry = await library.entry(RECORD_ID)
    assert not entry.is_settled


async def test_timeout_of_statement_is_no_endless_loop(library: Library) -> None:
    deliver(library.spool.directory, RECORD_ID, recording_archive(RECORD_ID))
    [claimed] = await library.claim()
    async with library.database.transaction() as connection:
        await connection.execute("CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'late' USING ERRCODE = 'query_canceled'; END $$")
        await connection.execute("CREATE TRIGGER late BEFORE INSERT ON recording_arrivals FOR EACH ROW EXECUTE FUNCTION late()")
    n = 0
    while n < 5 and await library.runner.run_next():
        n += 1
    print((await library.imports(claimed.id)))
    assert n == 1


async def test_breakout(library: Library) -> None:
    pass
