"""From the spool to the library: what is there afterwards, and what is not."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from meetingpool.database import imports
from meetingpool.database.imports import ImportState
from meetingpool.database.recordings import write_entry
from meetingpool.domain.recordings import Location, RecordingState
from meetingpool.library.files import remove_tree
from meetingpool.operations.change_recordings import change_recordings, deleted, unpublished
from meetingpool.operations.import_recording import CLAIMED, Importer, Refused, StillChanging
from tests.archives import archive, deliver, metadata_xml, record_id_of, recording_archive
from tests.library import Library

RECORD_ID = record_id_of("room")


async def test_an_archive_becomes_a_published_recording_and_is_removed(library: Library) -> None:
    deliver(library.spool.directory, RECORD_ID, recording_archive(RECORD_ID, ["presentation", "video"]))

    [done] = await library.take_in()

    assert (done.state, done.record_ids) == (ImportState.DONE, (RECORD_ID,))
    entry = await library.entry(RECORD_ID)
    assert (entry.recording.state, entry.is_settled) == (RecordingState.PUBLISHED, True)
    assert [each.format.name for each in entry.placed] == ["presentation", "video"]
    assert set(library.files(Location.PUBLISHED, "video", RECORD_ID)) == {"metadata.xml", "main.bin", "deeper/more.bin"}
    assert library.archives == []
    assert library.leftovers == []


async def test_an_archive_that_comes_again_changes_nothing(library: Library) -> None:
    for _ in range(2):
        deliver(library.spool.directory, RECORD_ID, recording_archive(RECORD_ID))
        [done] = await library.take_in()
        assert done.state is ImportState.DONE

    assert len((await library.entry(RECORD_ID)).placed) == 1
    assert library.leftovers == []


async def test_a_later_format_is_added(library: Library) -> None:
    for formats in (["presentation"], ["presentation", "video"]):
        deliver(library.spool.directory, RECORD_ID, recording_archive(RECORD_ID, formats))
        await library.take_in()

    assert [each.format.name for each in (await library.entry(RECORD_ID)).placed] == ["presentation", "video"]
    assert library.files(Location.PUBLISHED, "presentation", RECORD_ID)


async def test_a_rebuilt_format_takes_the_place_of_the_old_one(library: Library) -> None:
    for content in (b"old", b"new"):
        deliver(library.spool.directory, RECORD_ID, recording_archive(RECORD_ID, content=content))
        await library.take_in()

    assert library.files(Location.PUBLISHED, "presentation", RECORD_ID)["main.bin"] == b"new"
    assert library.leftovers == []


async def test_what_front_ends_decided_outlives_a_delivery(library: Library) -> None:
    deliver(library.spool.directory, RECORD_ID, recording_archive(RECORD_ID, metadata={"gl-listed": "false", "b": "1"}))
    await library.take_in()
    entry = await library.entry(RECORD_ID)
    decided = replace(entry, edited={"gl-listed": "true", "b": None}, recording=replace(entry.recording, is_protected=True))
    async with library.database.transaction() as connection:
        await write_entry(connection, decided, b"")
    await change_recordings(library.database, [RECORD_ID], unpublished)

    later = recording_archive(RECORD_ID, ["presentation", "video"], metadata={"gl-listed": "false", "b": "2", "c": "3"})
    deliver(library.spool.directory, RECORD_ID, later)
    await library.take_in()

    entry = await library.entry(RECORD_ID)
    assert entry.recording.state is RecordingState.UNPUBLISHED
    assert entry.recording.is_protected
    assert entry.recording.metadata == {"gl-listed": "true", "c": "3"}
    assert {each.location for each in entry.placed} == {Location.UNPUBLISHED}
    assert library.files(Location.PUBLISHED, "presentation", RECORD_ID) == {}
    assert library.files(Location.UNPUBLISHED, "video", RECORD_ID)


async def test_a_deleted_recording_does_not_come_back_by_itself(library: Library) -> None:
    deliver(library.spool.directory, RECORD_ID, recording_archive(RECORD_ID))
    await library.take_in()
    await change_recordings(library.database, [RECORD_ID], deleted)
    await library.settler.settle(RECORD_ID)

    deliver(library.spool.directory, RECORD_ID, recording_archive(RECORD_ID, ["presentation", "video"]))
    [refused] = await library.take_in()

    assert (refused.state, refused.reason) == (ImportState.QUARANTINED, "deleted")
    assert library.archives
    assert (await library.entry(RECORD_ID)).recording.state is RecordingState.DELETED
    assert library.files(Location.PUBLISHED, "presentation", RECORD_ID) == {}


async def test_a_deleted_recording_comes_back_by_the_word_of_an_administrator(library: Library) -> None:
    deliver(library.spool.directory, RECORD_ID, recording_archive(RECORD_ID))
    await library.take_in()
    await change_recordings(library.database, [RECORD_ID], deleted)
    await library.settler.settle(RECORD_ID)

    deliver(library.spool.directory, RECORD_ID, recording_archive(RECORD_ID, ["presentation", "video"]))
    [done] = await library.take_in(is_forced=True)

    assert done.state is ImportState.DONE
    entry = await library.entry(RECORD_ID)
    assert entry.recording.state is RecordingState.PUBLISHED
    assert {each.location for each in entry.placed} == {Location.PUBLISHED}
    assert library.files(Location.TRASH, "presentation", RECORD_ID) == {}


async def test_metadata_that_names_another_recording_is_refused(library: Library) -> None:
    other = record_id_of("other")
    files = {f"presentation/{RECORD_ID}/metadata.xml": metadata_xml(other, "presentation")}
    deliver(library.spool.directory, RECORD_ID, archive(files))

    [refused] = await library.take_in()

    assert (refused.state, refused.reason) == (ImportState.QUARANTINED, "id_mismatch")
    assert library.archives
    assert library.leftovers == []


async def test_an_archive_that_is_still_written_waits(library: Library) -> None:
    whole = recording_archive(RECORD_ID)
    path = library.spool.directory / f"{RECORD_ID}.tar"
    with path.open("wb") as writer:
        writer.write(whole[:700])
        writer.flush()
        [waiting] = await library.take_in()
        assert (waiting.state, waiting.reason) == (ImportState.WAITING, "incomplete")
        writer.write(whole[700:])

    # Seen to have grown, and then to be as it was.
    for _ in range(2):
        async with library.database.transaction() as connection:
            await connection.execute("UPDATE imports SET next_attempt_at = now()")
        await library.runner.run_next()

    [done] = await library.imports(waiting.id)
    assert done.state is ImportState.DONE


async def test_another_archive_under_the_same_name_is_another_import(library: Library) -> None:
    deliver(library.spool.directory, RECORD_ID, recording_archive(RECORD_ID))
    await library.claim()
    deliver(library.spool.directory, RECORD_ID, recording_archive(RECORD_ID, ["presentation", "video"]))
    await library.take_in()

    assert [each.state for each in await library.imports()] == [ImportState.DONE, ImportState.DONE]
    assert len((await library.entry(RECORD_ID)).placed) == 2


async def test_an_archive_that_was_overtaken_while_it_waited_replaces_nothing(library: Library) -> None:
    deliver(library.spool.directory, RECORD_ID, recording_archive(RECORD_ID, ["presentation", "podcast"], name="Old"))
    [older] = await library.claim()
    async with library.database.transaction() as connection:
        await connection.execute("UPDATE imports SET next_attempt_at = now() + interval '1 hour'")
    rebuilt = recording_archive(RECORD_ID, ["presentation", "video"], content=b"rebuilt", name="New")
    deliver(library.spool.directory, RECORD_ID, rebuilt)
    await library.take_in()

    async with library.database.transaction() as connection:
        await connection.execute("UPDATE imports SET next_attempt_at = now() WHERE id = $1", older.id)
    await library.runner.run_next()

    entry = await library.entry(RECORD_ID)
    assert [each.format.name for each in entry.placed] == ["podcast", "presentation", "video"]
    assert entry.recording.name == "New"
    assert library.files(Location.PUBLISHED, "presentation", RECORD_ID)["main.bin"] == b"rebuilt"
    assert library.archives == []


async def test_a_deleted_recording_comes_back_as_it_was_by_an_older_archive(library: Library) -> None:
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

    entry = await library.entry(RECORD_ID)
    assert (entry.recording.state, entry.is_settled) == (RecordingState.PUBLISHED, True)
    assert library.files(Location.PUBLISHED, "presentation", RECORD_ID)["main.bin"] == b"rebuilt"


async def test_what_is_wrong_with_an_archive_that_is_written_meanwhile_says_nothing(library: Library) -> None:
    taken = await _taken(library, _half_of(recording_archive(RECORD_ID)))
    path = taken.spool / CLAIMED / taken.file
    importer = Importer(library.database, library.storage, library.rules)

    def written_meanwhile(_bytes_done: int, _files_done: int) -> None:
        os.utime(path, (1, 1))

    with pytest.raises(StillChanging):
        await importer.run(taken, written_meanwhile)
    assert library.leftovers == []


async def test_what_is_missing_from_a_spool_that_is_not_mounted_is_not_imported(library: Library) -> None:
    deliver(library.spool.directory, RECORD_ID, recording_archive(RECORD_ID))
    [claimed] = await library.claim()
    async with library.database.transaction() as connection:
        await connection.execute("UPDATE imports SET record_ids = $1", [RECORD_ID])
    aside = library.spool.directory.rename(library.spool.directory.with_name("aside"))
    library.spool.directory.mkdir()

    await library.runner.run_next()

    [waiting] = await library.imports(claimed.id)
    assert (waiting.state, waiting.reason) == (ImportState.WAITING, "storage_error")
    library.spool.directory.rmdir()
    aside.rename(library.spool.directory)
    assert library.archives == [claimed.file]


async def test_what_the_database_takes_too_long_for_is_not_tried_again_at_once(library: Library) -> None:
    late = "BEGIN RAISE EXCEPTION 'late' USING ERRCODE = 'query_canceled'; END"
    async with library.database.transaction() as connection:
        await connection.execute(f"CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$ {late} $$")
        trigger = "CREATE TRIGGER late BEFORE INSERT ON recording_arrivals FOR EACH ROW EXECUTE FUNCTION late()"
        await connection.execute(trigger)
    deliver(library.spool.directory, RECORD_ID, recording_archive(RECORD_ID))

    [waiting] = await library.take_in()

    assert (waiting.state, waiting.reason, waiting.attempts) == (ImportState.WAITING, "database_unavailable", 1)


async def test_what_a_worker_says_of_an_archive_that_another_has_by_now_counts_for_nothing(library: Library) -> None:
    first = await _taken(library, recording_archive(RECORD_ID))
    async with library.database.transaction() as connection:
        await imports.release_import(connection, first)
        second = await imports.take_import(connection, "another")
        assert second is not None
        assert second.attempts == first.attempts
        # As whoever did not hear that it was written.
        await imports.release_import(connection, first)

    [now] = await library.imports(first.id)
    assert (now.state, now.holder) == (ImportState.WORKING, "another")


async def test_what_was_unpacked_for_nothing_is_removed_while_other_work_goes_on(library: Library) -> None:
    ran: list[Callable[..., Any]] = []

    async def beside(function: Callable[..., Any], *arguments: Any) -> Any:
        ran.append(function)
        return await asyncio.to_thread(function, *arguments)

    taken = await _taken(library, archive({f"presentation/{RECORD_ID}/metadata.xml": b"<recording/>"}))
    with pytest.raises(Refused):
        await Importer(library.database, library.storage, library.rules, beside).run(taken, lambda *_: None)

    assert ran[-1] is remove_tree
    assert library.leftovers == []


async def test_what_is_not_found_in_a_storage_that_is_not_mounted_is_not_taken_for_deleted(library: Library) -> None:
    deliver(library.spool.directory, RECORD_ID, recording_archive(RECORD_ID))
    await library.take_in()
    await change_recordings(library.database, [RECORD_ID], deleted)

    aside = _unmounted(library.storage.publish_dir)
    with pytest.raises(FileNotFoundError):
        await library.settler.settle(RECORD_ID)
    _mounted(library.storage.publish_dir, aside)

    assert not (await library.entry(RECORD_ID)).is_settled
    async with library.database.transaction() as connection:
        await connection.execute("UPDATE recordings SET mover_until = NULL")
    await library.settler.settle(RECORD_ID)
    assert library.files(Location.TRASH, "presentation", RECORD_ID)
    assert library.files(Location.PUBLISHED, "presentation", RECORD_ID) == {}


async def test_what_is_not_found_in_a_storage_that_is_not_mounted_is_not_taken_for_purged(library: Library) -> None:
    deliver(library.spool.directory, RECORD_ID, recording_archive(RECORD_ID))
    await library.take_in()
    await change_recordings(library.database, [RECORD_ID], deleted)
    await library.settler.settle(RECORD_ID)

    aside = _unmounted(library.storage.work_dir)
    with pytest.raises(FileNotFoundError):
        await library.settler.purge(RECORD_ID)
    _mounted(library.storage.work_dir, aside)

    assert (await library.entry(RECORD_ID)).placed
    assert await library.settler.purge(RECORD_ID)
    assert library.files(Location.TRASH, "presentation", RECORD_ID) == {}


async def test_a_rebuilt_format_that_waited_is_placed_although_another_format_came_later(library: Library) -> None:
    deliver(library.spool.directory, RECORD_ID, recording_archive(RECORD_ID))
    await library.take_in()
    deliver(library.spool.directory, RECORD_ID, recording_archive(RECORD_ID, content=b"rebuilt"))
    [waiting] = await library.claim()
    async with library.database.transaction() as connection:
        await connection.execute("UPDATE imports SET next_attempt_at = now() + interval '1 hour' WHERE id = $1", waiting.id)
    deliver(library.spool.directory, RECORD_ID, recording_archive(RECORD_ID, ["video"]))
    await library.take_in()

    async with library.database.transaction() as connection:
        await connection.execute("UPDATE imports SET next_attempt_at = now() WHERE id = $1", waiting.id)
    await library.runner.run_next()

    assert library.files(Location.PUBLISHED, "presentation", RECORD_ID)["main.bin"] == b"rebuilt"
    assert len((await library.entry(RECORD_ID)).placed) == 2


async def test_several_workers_import_each_archive_once(library: Library) -> None:
    record_ids = [record_id_of("room", 1_700_000_000_000 + number) for number in range(20)]
    for record_id in record_ids:
        deliver(library.spool.directory, record_id, recording_archive(record_id))
    await library.claim()
    runners = [library.another_runner() for _ in range(4)]

    async def run_all(number: int) -> int:
        done = 0
        while await runners[number].run_next():
            done += 1
        return done

    done = await asyncio.gather(*(run_all(number) for number in range(4)))

    assert sum(done) == len(record_ids)
    assert {each.state for each in await library.imports()} == {ImportState.DONE}
    assert library.archives == []


async def test_unpublished_at_first_where_the_settings_say_so(library: Library) -> None:
    object.__setattr__(library, "rules", replace(library.rules, is_published=False, is_protected=True))
    object.__setattr__(library, "runner", library.another_runner())
    deliver(library.spool.directory, RECORD_ID, recording_archive(RECORD_ID))

    await library.take_in()

    entry = await library.entry(RECORD_ID)
    assert (entry.recording.state, entry.recording.is_protected) == (RecordingState.UNPUBLISHED, True)
    assert library.files(Location.UNPUBLISHED, "presentation", RECORD_ID)


async def test_what_is_no_archive_is_left_alone(library: Library) -> None:
    spool = library.spool.directory
    (spool / "directory.tar").mkdir()
    os.mkfifo(spool / "pipe.tar")
    (spool / "link.tar").symlink_to("/etc/passwd")
    (spool / ".hidden.tar").write_bytes(recording_archive(RECORD_ID))
    (spool / "half.tar.tmp").write_bytes(b"")

    assert await library.take_in() == []


async def _taken(library: Library, content: bytes) -> imports.Import:
    """What a worker takes that is going to import it."""
    deliver(library.spool.directory, RECORD_ID, content)
    [claimed] = await library.claim()
    async with library.database.transaction() as connection:
        taken = await imports.take_import(connection, "one", claimed.id)
    assert taken is not None
    return taken


def _half_of(content: bytes) -> bytes:
    """As one writes it who makes room first."""
    half = len(content) // 2 // 512 * 512
    return content[:half] + b"\x01" * (len(content) - half)


def _unmounted(directory: Path) -> Path:
    aside = directory.rename(directory.with_name(f"{directory.name}-aside"))
    directory.mkdir()
    return aside


def _mounted(directory: Path, aside: Path) -> None:
    directory.rmdir()
    aside.rename(directory)
