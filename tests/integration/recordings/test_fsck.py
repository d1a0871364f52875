"""What `recordings fsck` finds, what it repairs, and what it leaves alone."""

import asyncio
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import msgspec
import pytest
import typer
from typer.testing import CliRunner

from admin.commands.arguments import Format
from admin.commands.recordings_fsck import fsck as fsck_command
from admin.fsck import FsckOptions, fsck
from admin.refusals import Refused
from meetingpool.database.engine import Database
from meetingpool.database.library_queries import Kept
from meetingpool.database.tenants import insert_tenant
from meetingpool.domain.library_faults import Fault
from meetingpool.domain.recordings import Location, RecordId, RecordingState
from meetingpool.domain.tenants import Tenant
from meetingpool.library.storage import MARK, StorageUnusable
from meetingpool.operations.change_recordings import Edit, change_recordings, deleted, published, unpublished
from meetingpool.operations.check_library import Checker, CheckRules
from meetingpool.operations.import_recording import Importer
from meetingpool.operations.repair_library import Repairer, RepairRules
from meetingpool.operations.run_imports import ImportRunner
from meetingpool.operations.settle_recording import Settler
from tests.archives import deliver, metadata_xml, record_id_of, recording_archive
from tests.integration.recordings.planted_faults import Faults, snapshot, subject_of
from tests.library import Library

RECORD_ID = record_id_of("room")
PLANTED = 50
# Looked at again at once, and nothing is too new.
AT_ONCE = FsckOptions(quiet=0, patience=0)
TABLES = ("recordings", "recording_formats", "recording_arrivals", "imports", "outbox")
# What stays until somebody decides.
UNDECIDED = (Fault.UNKNOWN_TREE, Fault.MANIFEST_MISMATCH)


class Fsck(Protocol):
    """Runs the command; what it listed, and whether all was well at its end."""

    async def __call__(self, options: FsckOptions = AT_ONCE, **changes: Any) -> tuple[list[dict[str, Any]], bool]: ...


@pytest.fixture
def run(library: Library, capsys: pytest.CaptureFixture[str]) -> Fsck:
    async def run(options: FsckOptions = AT_ONCE, **changes: Any) -> tuple[list[dict[str, Any]], bool]:
        is_well = await fsck(library.database, library.settings, replace(options, **changes), Format.JSON)
        return json.loads(capsys.readouterr().out), is_well

    return run


@pytest.fixture
async def faults(library: Library) -> Faults:
    """Each class 50 times, among good recordings."""
    return await planted(library, PLANTED)


async def planted(library: Library, times: int) -> Faults:
    async with library.database.transaction() as connection:
        faults = Faults(library, connection)
        for number in range(times):
            for fault in Fault:
                await faults.plant(fault, number)
        await faults.innocent()
    return faults


def videos_of(library: Library) -> set[bytes]:
    """What is in the largest file of each recording, wherever it is; no two have the same."""
    roots = [library.storage.root_of(location) for location in Location]
    return {path.read_bytes() for root in roots for path in root.rglob("video.webm")}


def files_of(record_id: str) -> dict[str, bytes]:
    return {"metadata.xml": metadata_xml(record_id, "video"), "deeper/video.webm": b"video"}


async def rows_of(database: Database) -> dict[str, list[str]]:
    async with database.transaction() as connection:
        return {
            table: sorted(row[0] for row in await connection.fetch(f"SELECT {table}::text FROM {table}"))  # noqa: S608
            for table in TABLES
        }


async def test_each_fault_is_found_and_nothing_else(faults: Faults, library: Library, run: Fsck) -> None:
    roots = (library.settings.publish_dir, library.settings.unpublish_dir, library.settings.work_dir, library.spool.directory)
    before = await rows_of(library.database), snapshot(roots)

    listed, is_well = await run()

    assert Counter(row["class"] for row in listed) == dict.fromkeys(Fault, PLANTED)
    assert {subject_of(row) for row in listed} == faults.planted
    assert not is_well
    assert (await rows_of(library.database), snapshot(roots)) == before


async def test_what_is_repaired_is_not_found_again_and_nothing_is_lost(faults: Faults, library: Library, run: Fsck) -> None:
    expired = {subject.encode() * 3 for fault, subject in faults.planted if fault is Fault.TRASH_EXPIRED}
    before = videos_of(library)

    listed, is_well = await run(repair=True)
    stays = {subject_of(row) for row in listed if not row["repaired"]}
    assert stays == {(fault, what) for fault, what in faults.planted if fault in UNDECIDED} | {
        (Fault.FOREIGN_ENTRY, str(path)) for path in faults.strays
    }
    assert all(row["reason"] for row in listed if not row["repaired"])
    listed, _ = await run()
    assert {subject_of(row) for row in listed} == stays

    listed, is_well = await run(repair=True, adopt=True, accept_files=True)
    assert {subject_of(row) for row in listed if not row["repaired"]} == {
        (Fault.FOREIGN_ENTRY, str(path)) for path in faults.strays
    }
    assert not is_well

    for path in faults.strays:
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    assert await run() == ([], True)
    assert before >= expired
    assert videos_of(library) == before - expired


async def test_only_the_named_classes_are_repaired(library: Library, run: Fsck) -> None:
    faults = await planted(library, 3)
    named = (Fault.STALE_DOCUMENT, Fault.LEFTOVER)
    listed, is_well = await run(repair=True, faults=named)
    assert is_well
    assert {row["class"] for row in listed} == set(named)

    listed, _ = await run()
    assert {subject_of(row) for row in listed} == {planted for planted in faults.planted if planted[0] not in named}


async def test_what_was_imported_is_as_it_should_be(library: Library, run: Fsck) -> None:
    deliver(library.spool.directory, RECORD_ID, recording_archive(RECORD_ID, ["presentation", "video"]))
    await library.take_in()
    assert await run(with_hashes=True) == ([], True)


async def test_other_content_of_the_same_size_is_found_by_hashes(library: Library, run: Fsck) -> None:
    deliver(library.spool.directory, RECORD_ID, recording_archive(RECORD_ID, content=b"original"))
    await library.take_in()
    file = library.storage.tree(Location.PUBLISHED, "presentation", RECORD_ID) / "main.bin"
    file.write_bytes(b"0riginal")

    assert await run() == ([], True)
    listed, _ = await run(with_hashes=True)
    assert [(row["class"], "'main.bin'" in row["detail"]) for row in listed] == [("manifest_mismatch", True)]


async def test_a_recording_without_its_last_format_is_shown_no_more(library: Library, run: Fsck) -> None:
    deliver(library.spool.directory, RECORD_ID, recording_archive(RECORD_ID, ["presentation", "video"]))
    await library.take_in()
    shutil.rmtree(library.storage.publish_dir / "video")
    await run(repair=True)
    entry = await library.entry(RECORD_ID)
    assert (entry.recording.state, len(entry.placed)) == (RecordingState.PUBLISHED, 1)

    shutil.rmtree(library.storage.publish_dir / "presentation")
    assert (await run(repair=True))[1]
    assert (await library.entry(RECORD_ID)).recording.state is RecordingState.PROCESSING
    assert await run() == ([], True)


async def test_a_tree_whose_place_a_link_takes_keeps_its_row(library: Library, run: Fsck) -> None:
    deliver(library.spool.directory, RECORD_ID, recording_archive(RECORD_ID))
    await library.take_in()
    tree = library.storage.tree(Location.PUBLISHED, "presentation", RECORD_ID)
    tree.rename(library.settings.data_dir / "elsewhere")
    tree.symlink_to(library.settings.data_dir / "elsewhere")

    listed, is_well = await run(repair=True, adopt=True)

    assert [(row["class"], row["repaired"]) for row in listed] == [("foreign_entry", False)]
    assert not is_well
    assert len((await library.entry(RECORD_ID)).placed) == 1


async def test_two_copies_that_differ_stay(library: Library, run: Fsck) -> None:
    deliver(library.spool.directory, RECORD_ID, recording_archive(RECORD_ID))
    await library.take_in()
    tree, copy = (library.storage.tree(each, "presentation", RECORD_ID) for each in (Location.PUBLISHED, Location.UNPUBLISHED))
    shutil.copytree(tree, copy)
    (copy / "main.bin").write_bytes(b"another")

    listed, _ = await run(repair=True)

    assert [(row["class"], row["repaired"]) for row in listed] == [("wrong_place", False)]
    assert (copy / "main.bin").read_bytes() == b"another"
    assert (tree / "main.bin").read_bytes() == b"content"


@pytest.mark.parametrize("root", ["publish_dir", "unpublish_dir", "work_dir"])
async def test_nothing_is_repaired_where_the_storage_is_not_mounted(library: Library, run: Fsck, root: str) -> None:
    deliver(library.spool.directory, RECORD_ID, recording_archive(RECORD_ID))
    await library.take_in()
    before = await rows_of(library.database)
    mount = getattr(library.storage, root)
    mount.rename(mount.with_name("away"))
    mount.mkdir()

    with pytest.raises(StorageUnusable):
        await run(repair=True, adopt=True, accept_files=True)
    assert await rows_of(library.database) == before


async def test_nothing_is_repaired_on_the_storage_of_another_installation(library: Library, run: Fsck) -> None:
    (library.storage.publish_dir / MARK).write_text("another\n")
    with pytest.raises(StorageUnusable):
        await run(repair=True)


async def test_imports_stay_where_their_spool_is_not_mounted(
    library: Library, run: Fsck, capsys: pytest.CaptureFixture[str]
) -> None:
    deliver(library.spool.directory, RECORD_ID, recording_archive(RECORD_ID))
    await library.claim()
    shutil.move(library.spool.directory, library.settings.data_dir / "away")

    assert await run(repair=True) == ([], False)
    assert len(await library.imports()) == 1


@pytest.fixture
def unknown(library: Library) -> Path:
    """A published tree that is not in the database."""
    tree = library.storage.tree(Location.PUBLISHED, "video", RECORD_ID)
    for path, content in files_of(RECORD_ID).items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_bytes(content)
    return tree


@pytest.mark.parametrize(
    ("location", "state"),
    [
        (Location.PUBLISHED, RecordingState.PUBLISHED),
        (Location.UNPUBLISHED, RecordingState.UNPUBLISHED),
        (Location.TRASH, RecordingState.DELETED),
    ],
)
async def test_an_adopted_recording_is_what_its_directory_says(
    library: Library, run: Fsck, unknown: Path, location: Location, state: RecordingState
) -> None:
    tree = library.storage.tree(location, "video", RECORD_ID)
    tree.parent.mkdir(parents=True, exist_ok=True)
    unknown.rename(tree)

    assert (await run(repair=True, adopt=True))[1]

    entry = await library.entry(RECORD_ID)
    assert (entry.recording.state, entry.is_settled, entry.recording.name) == (state, True, "A room")
    assert library.files(location, "video", RECORD_ID) == files_of(RECORD_ID)
    assert await run(with_hashes=True) == ([], True)


async def test_one_of_two_unknown_trees_of_a_format_is_adopted_and_the_same_one_removed(
    library: Library, run: Fsck, unknown: Path
) -> None:
    shutil.copytree(unknown, library.storage.tree(Location.UNPUBLISHED, "video", RECORD_ID))
    listed, _ = await run(repair=True, adopt=True)
    assert sorted(row["repaired"] for row in listed) == [False, True]

    assert (await run(repair=True))[1]
    assert library.files(Location.PUBLISHED, "video", RECORD_ID)
    assert not library.files(Location.UNPUBLISHED, "video", RECORD_ID)


async def test_what_is_no_plain_recording_is_not_adopted(library: Library, run: Fsck, unknown: Path) -> None:
    async def refusal(**changes: Any) -> str:
        listed, is_well = await run(repair=True, adopt=True, **changes)
        assert not is_well
        return str(next(row["reason"] for row in listed if row["class"] == "unknown_tree"))

    assert "may still be copied" in await refusal(quiet=600)
    (unknown / "link").symlink_to("/etc/passwd")
    assert "'link' is a symlink" in await refusal()
    (unknown / "link").unlink()
    (unknown / "a\nb").write_bytes(b"")
    assert "control characters" in await refusal()
    (unknown / "a\nb").unlink()
    (unknown / "metadata.xml").write_bytes(metadata_xml(record_id_of("other"), "video"))
    assert "names another recording" in await refusal()
    (unknown / "metadata.xml").write_bytes(b"<recording/>")
    assert "cannot be adopted" in await refusal()
    (unknown / "metadata.xml").unlink()
    assert "There is no metadata.xml" in await refusal()
    assert (await rows_of(library.database))["recordings"] == []


async def test_a_deleted_recording_is_not_brought_back_by_adoption(library: Library, run: Fsck, unknown: Path) -> None:
    assert (await run(repair=True, adopt=True))[1]
    await change_recordings(library.database, [RECORD_ID], deleted)
    await library.settler.settle(RECORD_ID)
    await library.settler.purge(RECORD_ID)
    unknown.mkdir()
    (unknown / "metadata.xml").write_bytes(metadata_xml(RECORD_ID, "video"))

    listed, _ = await run(repair=True, adopt=True)

    assert [(row["class"], "recordings restore" in row["reason"]) for row in listed] == [("unknown_tree", True)]
    assert unknown.is_dir()


async def test_with_tenants_an_administrator_says_whose_it_is(library: Library, run: Fsck, unknown: Path) -> None:
    object.__setattr__(library, "settings", msgspec.structs.replace(library.settings, multitenancy_enabled=True))
    async with library.database.transaction() as connection:
        await insert_tenant(connection, Tenant(id="t-1", name="school", secrets=("s",)))

    listed, _ = await run(repair=True, adopt=True)
    assert ["--tenant" in row["reason"] for row in listed] == [True]
    assert (await run(repair=True, adopt=True, tenant="school"))[1]
    assert (await library.entry(RECORD_ID)).recording.tenant == "t-1"


async def test_a_tenant_that_is_not_there_is_refused(run: Fsck) -> None:
    with pytest.raises(Refused):
        await run(repair=True, adopt=True, tenant="nobody")


async def test_no_step_of_an_import_looks_like_a_fault(library: Library) -> None:
    """Before and after everything that touches files: a new recording, another format, a rebuilt one."""
    looks = 0

    async def watched(function: Callable[..., Any], *arguments: Any) -> Any:
        await _expect_nothing(library)
        result = function(*arguments)
        await _expect_nothing(library)
        nonlocal looks
        looks += 2
        return result

    runner = ImportRunner(library.database, Importer(library.database, library.storage, library.rules, watched), settle_time=0)
    for formats, content in ((["video"], b"1"), (["video", "presentation"], b"1"), (["video"], b"2")):
        deliver(library.spool.directory, RECORD_ID, recording_archive(RECORD_ID, formats, content=content))
        await library.claim()
        while await runner.run_next():
            pass
    assert {each.state for each in await library.imports()} == {"done"}
    assert looks > 20


async def test_no_step_of_a_change_looks_like_a_fault(library: Library) -> None:
    deliver(library.spool.directory, RECORD_ID, recording_archive(RECORD_ID, ["presentation", "video"]))
    await library.take_in()

    async def watched(function: Callable[..., Any], *arguments: Any) -> Any:
        await _expect_nothing(library)
        result = function(*arguments)
        await _expect_nothing(library)
        return result

    settler = Settler(library.database, library.storage, watched)
    for change in (unpublished, published, deleted):
        await change_recordings(library.database, [RECORD_ID], change)
        assert await settler.settle(RECORD_ID)
    await settler.purge(RECORD_ID)
    assert not any(library.files(location, "video", RECORD_ID) for location in Location)


async def test_what_is_changed_between_two_looks_is_no_fault(library: Library) -> None:
    """A publish that was asked for and is done a moment later."""
    deliver(library.spool.directory, RECORD_ID, recording_archive(RECORD_ID))
    await library.take_in()
    await change_recordings(library.database, [RECORD_ID], unpublished)

    async def settled_meanwhile() -> None:
        async with asyncio.timeout(60):
            await began.wait()
        assert await library.settler.settle(RECORD_ID)

    began = asyncio.Event()
    rules = CheckRules(trash_days=7, patience=3)
    checker = Checker(library.database, library.storage, [library.spool.directory], rules, lambda *_: began.set())
    report, _ = await asyncio.gather(checker.run(), settled_meanwhile())
    assert report.findings == []
    assert (await library.entry(RECORD_ID)).is_settled


async def test_a_backup_of_an_hour_ago_and_the_storage_of_now_lose_nothing(library: Library, run: Fsck) -> None:
    record_ids = [record_id_of("room", 1_700_000_000_000 + number) for number in range(12)]
    for record_id in record_ids[:8]:
        deliver(library.spool.directory, record_id, recording_archive(record_id))
    await library.take_in()
    async with library.database.transaction() as connection:
        for table in TABLES:
            await connection.execute(f"CREATE TABLE backup_{table} AS SELECT * FROM {table}")  # noqa: S608

    await _an_hour(library, record_ids)

    async with library.database.transaction() as connection:
        await connection.execute(f"TRUNCATE {', '.join(TABLES)} CASCADE")
        for table in TABLES:
            await connection.execute(f"INSERT INTO {table} OVERRIDING SYSTEM VALUE SELECT * FROM backup_{table}")  # noqa: S608

    _, is_well = await run(repair=True, adopt=True)

    assert is_well
    assert await run() == ([], True)
    for record_id in record_ids:
        entry = await library.entry(record_id)
        assert entry.placed
        formats = {"presentation", "video"} if record_id == record_ids[0] else {"presentation"}
        assert {each.format.name for each in entry.placed} == formats
        location = {each.location for each in entry.placed}.pop()
        assert library.files(location, "presentation", record_id)["main.bin"] == b"content"
    states = {record_id: (await library.entry(record_id)).recording.state for record_id in record_ids}
    # As the backup has them; those that are newer by where their files lie.
    assert {states[record_id] for record_id in record_ids[:10]} == {RecordingState.PUBLISHED}
    assert (states[record_ids[10]], states[record_ids[11]]) == (RecordingState.UNPUBLISHED, RecordingState.DELETED)


async def _an_hour(library: Library, record_ids: list[RecordId]) -> None:
    """A format is added, four recordings are new, others are unpublished and deleted."""
    deliver(library.spool.directory, record_ids[0], recording_archive(record_ids[0], ["video"]))
    for record_id in record_ids[8:]:
        deliver(library.spool.directory, record_id, recording_archive(record_id))
    await library.take_in()
    await change_recordings(library.database, [record_ids[1], record_ids[10]], unpublished)
    await change_recordings(library.database, [record_ids[2], record_ids[11]], deleted)
    for number in (1, 2, 10, 11):
        assert await library.settler.settle(record_ids[number])


async def _expect_nothing(library: Library) -> None:
    rules = CheckRules(trash_days=7, patience=0)
    checker = Checker(library.database, library.storage, [library.spool.directory], rules, lambda *_: None)
    assert (await checker.run()).findings == []


async def test_an_arrival_whose_files_are_gone_keeps_nobody_waiting(library: Library, run: Fsck) -> None:
    deliver(library.spool.directory, RECORD_ID, recording_archive(RECORD_ID, ["video"]))
    await library.take_in()
    async with library.database.transaction() as connection:
        await connection.execute("""
            INSERT INTO recording_arrivals
                (record_id, format, directory, inode, description, files, bytes, manifest, digest)
            SELECT record_id, 'podcast', 'gone', 1, description, files, bytes, manifest, digest FROM recording_formats
        """)
        await connection.execute("UPDATE recordings SET is_settled = false")

    listed, is_well = await run(repair=True)

    assert [row["class"] for row in listed] == ["missing_files", "unsettled"]
    assert is_well
    assert await run() == ([], True)
    assert [each.format.name for each in (await library.entry(RECORD_ID)).placed] == ["video"]


async def test_the_command_ends_with_1_as_long_as_something_is_wrong(library: Library, unknown: Path) -> None:
    app = typer.Typer()
    app.command()(fsck_command)
    environment = {
        "MEETINGPOOL_DATABASE_URL": library.database.url,
        "MEETINGPOOL_DATA_DIR": str(library.settings.data_dir),
    }
    runner = CliRunner(env=environment)

    async def exit_code(*arguments: str) -> int:
        return (await asyncio.to_thread(runner.invoke, app, list(arguments))).exit_code

    assert await exit_code() == 1
    assert await exit_code("stale_document", "missing_files") == 0
    assert await exit_code("--adopt") == 2
    assert await exit_code("nonsense") == 2
    # It was written a moment ago.
    assert await exit_code("--repair", "--adopt") == 1
    shutil.rmtree(unknown)
    assert await exit_code("--repair") == 0


async def test_a_storage_that_goes_away_after_the_check_is_not_repaired(library: Library) -> None:
    deliver(library.spool.directory, RECORD_ID, recording_archive(RECORD_ID))
    await library.take_in()
    shutil.rmtree(library.storage.publish_dir / "presentation")
    rules = CheckRules(trash_days=7, patience=0)
    checker = Checker(library.database, library.storage, [library.spool.directory], rules, lambda *_: None)
    [missing] = (await checker.run()).findings
    (library.storage.publish_dir / MARK).unlink()

    with pytest.raises(StorageUnusable):
        await Repairer(library.database, library.storage, library.settler, RepairRules()).repair(missing)
    assert len((await library.entry(RECORD_ID)).placed) == 1


async def test_what_is_moved_after_its_row_was_read_is_no_fault(library: Library) -> None:
    deliver(library.spool.directory, RECORD_ID, recording_archive(RECORD_ID))
    await library.take_in()
    rules = CheckRules(trash_days=7, patience=0)
    checker = OvertakenChecker(library.database, library.storage, [library.spool.directory], rules, lambda *_: None)
    checker.changes = [unpublished, published, unpublished]
    checker.library = library

    report = await checker.run()

    assert report.findings == []
    # However often it was looked at.
    assert (report.in_motion, checker.changes) == (1, [])


class OvertakenChecker(Checker):
    """Each time that it has read a row, somebody moves the files."""

    library: Library
    changes: list[Edit]

    async def _read(self, record_ids: Iterable[RecordId]) -> dict[RecordId, Kept]:
        kept = await super()._read(record_ids)
        if kept and self.changes:
            await change_recordings(self.library.database, [RECORD_ID], self.changes.pop())
            await self.library.settler.settle(RECORD_ID)
        return kept
