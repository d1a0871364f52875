"""`meetingpool recordings …`"""

import asyncio
import csv
import io
import json
import os
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import asyncpg
import msgspec
import pytest

from admin import completion
from benchmarks.library import fill_library
from meetingpool.database.engine import Database, plain_url
from meetingpool.database.imports import ImportState
from meetingpool.domain.recordings import Location, RecordId, RecordingState
from meetingpool.library.storage import MARK
from tests.archives import deliver, record_id_of, recording_archive
from tests.integration.admin.conftest import CommandLine, Listed
from tests.integration.recordings.test_worker import running_worker
from tests.library import Library, made_library
from tests.recordings import planted_recording
from tests.tenants import add_tenants

RECORD_ID = record_id_of("room")
OTHER_ID = record_id_of("other room")
NO_RECORDING = "No recording found with id: nothing; `meetingpool recordings list` shows them all\n"
CHANGES = ["publish", "unpublish", "protect", "delete", "restore"]


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of the commands."""
    monkeypatch.setenv("MEETINGPOOL_DATA_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
async def library(database: Database, data_dir: Path) -> Library:
    return await made_library(database, data_dir)


@pytest.fixture
async def recording(library: Library) -> RecordId:
    """One that is published."""
    archive = recording_archive(RECORD_ID, ["presentation", "video"], name="Lecture 1", metadata={"context": "a course"})
    deliver(library.spool.directory, RECORD_ID, archive)
    await library.take_in()
    return RECORD_ID


@pytest.fixture
def archive_file(tmp_path: Path) -> Path:
    return deliver(tmp_path / "elsewhere", RECORD_ID, recording_archive(RECORD_ID))


@pytest.fixture
def bad_file(tmp_path: Path) -> Path:
    path = tmp_path / "letter.txt"
    path.write_bytes(b"Dear administrator, " * 100)
    return path


@pytest.fixture
def distant_file() -> Iterator[Path]:
    """An archive on a file system that is not the spool's, wherever that is."""
    descriptor = os.memfd_create("archive")
    try:
        os.write(descriptor, recording_archive(RECORD_ID))
        yield Path(f"/proc/{os.getpid()}/fd/{descriptor}")
    finally:
        os.close(descriptor)


async def refuse(library: Library, record_id: str = RECORD_ID) -> int:
    """The number of an archive that is refused."""
    deliver(library.spool.directory, record_id, b"no archive " * 100)
    [refused] = await library.take_in()
    assert refused.state is ImportState.QUARANTINED
    return refused.id


async def test_list_has_stable_names_and_the_newest_first(library: Library, recording: RecordId, listed: Listed) -> None:
    newer = await planted_recording(library.database, library.storage, {"notes": {}}, is_protected=True, meeting_id="staff")

    [first, second] = await listed("recordings", "list")

    assert first["record_id"] == newer
    assert (first["meeting_id"], first["protected"]) == ("staff", True)
    assert second == {
        "record_id": recording,
        "meeting_id": "room",
        "tenant": "default",
        "name": "Lecture 1",
        "state": "published",
        "published": True,
        "protected": False,
        "formats": ["presentation", "video"],
        "bytes": sum(len(file) for name in ("presentation", "video") for file in published_files(library, name).values()),
        "start": "2023-11-14T22:13:20.000Z",
        "settled": True,
    }


def published_files(library: Library, playback_format: str) -> dict[str, bytes]:
    return library.files(Location.PUBLISHED, playback_format, RECORD_ID)


async def test_list_has_only_what_is_asked_for(library: Library, meetingpool: CommandLine, listed: Listed) -> None:
    await add_tenants(library.database, "school")
    plant = partial(planted_recording, library.database, library.storage, {"video": {}})
    of_school = await plant(tenant="id-of-school", meeting_id="class")
    unpublished = await plant(state=RecordingState.UNPUBLISHED)

    async def ids(*options: str) -> list[str]:
        return [each["record_id"] for each in await listed("recordings", "list", *options)]

    assert await ids() == [unpublished, of_school]
    assert await ids("--tenant", "school") == await ids("--tenant", "id-of-school") == [of_school]
    assert await ids("--tenant", "nobody") == []
    assert await ids("--meeting", "class") == [of_school]
    assert await ids("--state", "unpublished") == [unpublished]
    assert await ids("--limit", "1") == [unpublished]
    told = await meetingpool("recordings", "list", "--limit", "1")
    assert told.stdout.splitlines()[-1] == "1 recordings, 0 B; there are older ones: --limit shows more"
    assert "--limit" not in (await meetingpool("recordings", "list", "--limit", "2")).stdout


async def test_a_table_has_a_hundred_rows_and_a_list_for_programs_all(
    database_url: str, data_dir: Path, meetingpool: CommandLine, listed: Listed
) -> None:
    connection = await asyncpg.connect(plain_url(database_url))
    await fill_library(connection, 101, rooms=1)
    await connection.close()

    table = (await meetingpool("recordings", "list")).stdout.splitlines()

    assert len(table) == 1 + 100 + 1
    assert "there are older ones" in table[-1]
    assert len(await listed("recordings", "list")) == 101


async def test_list_of_nothing_says_so(library: Library, meetingpool: CommandLine) -> None:
    assert (await meetingpool("recordings", "list")).stdout == "No recordings\n"
    assert (await meetingpool("recordings", "list", "--importing")).stdout == "Nothing is imported now\n"
    assert (await meetingpool("recordings", "quarantine", "list")).stdout == "No archive was refused\n"


async def test_what_is_on_its_way_is_listed(library: Library, meetingpool: CommandLine, listed: Listed) -> None:
    for record_id in (RECORD_ID, OTHER_ID):
        deliver(library.spool.directory, record_id, recording_archive(record_id))
    first, second = await library.claim()
    half = "UPDATE imports SET state = 'working', bytes_done = size / 2, files_done = 3, attempts = 1 WHERE id = $1"
    async with library.database.transaction() as connection:
        await connection.execute(half, first.id)

    working, waiting = await listed("recordings", "list", "--importing")

    assert (working["archive"], working["state"], working["files_done"]) == (first.name, "working", 3)
    assert (waiting["id"], waiting["state"], waiting["bytes_done"]) == (second.id, "waiting", 0)
    assert (working["next_attempt"], waiting["next_attempt"][-1]) == (None, "Z")
    rows = list(csv.DictReader(io.StringIO((await meetingpool("recordings", "list", "--importing", "-f", "csv")).stdout)))
    assert [list(row) for row in rows] == [list(working)] * 2
    assert " 50 % " in (await meetingpool("recordings", "list", "--importing")).stdout


@pytest.mark.parametrize("option", [("--tenant", "a"), ("--meeting", "a"), ("--state", "deleted"), ("--limit", "1")])
async def test_what_is_on_its_way_cannot_be_searched(meetingpool: CommandLine, option: tuple[str, str]) -> None:
    await meetingpool("recordings", "list", "--importing", *option, exit_code=2)


async def test_show_tells_all_that_is_known(library: Library, recording: RecordId, meetingpool: CommandLine) -> None:
    told = await meetingpool("recordings", "show", recording, "--format", "json")

    shown = json.loads(told.stdout)
    assert (shown["state"], shown["wanted"], shown["participants"]) == ("published", "published", 3)
    assert shown["metadata"]["context"] == "a course"
    assert [(each["format"], each["location"], each["files"]) for each in shown["placed"]] == [
        ("presentation", "published", 3),
        ("video", "published", 3),
    ]
    assert (shown["start"], shown["end"]) == ("2023-11-14T22:13:20.000Z", "2023-11-14T22:14:20.000Z")
    assert "video: published, 3 files, " in (await meetingpool("recordings", "show", recording)).stdout
    assert (await meetingpool("recordings", "show", "nothing", exit_code=1)).stderr == NO_RECORDING


async def test_changes_move_the_files_where_no_worker_runs(
    library: Library, recording: RecordId, meetingpool: CommandLine, listed: Listed
) -> None:
    async def state() -> str:
        [only] = await listed("recordings", "list")
        assert only["settled"]
        return str(only["state"])

    unpublished = await meetingpool("recordings", "unpublish", recording, recording)
    assert unpublished.output == f"Recording {recording} is unpublished\n"
    assert (await state(), published_files(library, "video")) == ("unpublished", {})
    assert (await meetingpool("recordings", "publish", recording)).output == f"Recording {recording} is published\n"
    assert await state() == "published"
    assert published_files(library, "video")
    assert (await meetingpool("recordings", "delete", recording, "--yes")).output == f"Recording {recording} is deleted\n"
    assert await state() == "deleted"
    assert library.files(Location.TRASH, "video", recording)
    restored = await meetingpool("recordings", "restore", recording)
    assert restored.output == f"Recording {recording} is restored, unpublished\n"
    assert await state() == "unpublished"
    assert library.files(Location.UNPUBLISHED, "video", recording)


async def test_protection_comes_and_goes(recording: RecordId, meetingpool: CommandLine, listed: Listed) -> None:
    assert (await meetingpool("recordings", "protect", recording)).output == f"Recording {recording} is protected\n"
    assert (await listed("recordings", "list"))[0]["protected"]
    told = await meetingpool("recordings", "protect", recording, "--off")
    assert told.output == f"Recording {recording} is no longer protected\n"
    assert not (await listed("recordings", "list"))[0]["protected"]


@pytest.mark.parametrize("verb", CHANGES)
async def test_a_dry_run_changes_nothing(recording: RecordId, meetingpool: CommandLine, listed: Listed, verb: str) -> None:
    if verb == "restore":
        await meetingpool("recordings", "delete", recording, "--yes")
    before = await listed("recordings", "list")

    told = await meetingpool("recordings", verb, recording, "--dry-run")

    assert told.stdout.startswith(f"Dry run, nothing is changed: Recording {recording} is ")
    assert await listed("recordings", "list") == before


@pytest.mark.parametrize("verb", CHANGES)
async def test_all_recordings_are_changed_or_none(
    recording: RecordId, meetingpool: CommandLine, listed: Listed, verb: str
) -> None:
    if verb in ("publish", "restore"):
        await meetingpool("recordings", "unpublish" if verb == "publish" else "delete", recording, typed="y")
    before = await listed("recordings", "list")

    told = await meetingpool("recordings", verb, recording, "nothing", typed="y", exit_code=1)

    assert told.stderr == NO_RECORDING
    assert await listed("recordings", "list") == before


async def test_delete_asks_first(recording: RecordId, meetingpool: CommandLine, listed: Listed) -> None:
    await meetingpool("recordings", "delete", recording, typed="n", exit_code=1)
    assert (await listed("recordings", "list"))[0]["state"] == "published"


async def test_what_was_deleted_can_only_be_restored(recording: RecordId, meetingpool: CommandLine) -> None:
    told = await meetingpool("recordings", "restore", recording, exit_code=1)
    assert told.stderr == f"Recording {recording} was not deleted\n"
    await meetingpool("recordings", "delete", recording, "--yes")
    for verb in ("publish", "unpublish", "protect"):
        told = await meetingpool("recordings", verb, recording, exit_code=1)
        assert "`meetingpool recordings restore` brings it back" in told.stderr
    await meetingpool("recordings", "purge", "--days", "0", "--yes")
    told = await meetingpool("recordings", "restore", recording, exit_code=1)
    assert "import its archive with --force" in told.stderr


async def test_files_that_are_gone_are_told_of(library: Library, recording: RecordId, meetingpool: CommandLine) -> None:
    shutil.rmtree(library.storage.tree(Location.PUBLISHED, "video", recording))

    told = await meetingpool("recordings", "unpublish", recording, exit_code=1)

    assert f"The files of recording {recording} are not moved: there is no video/{recording}\n" in told.stderr
    assert "`meetingpool recordings fsck`" in told.stderr


async def test_changes_are_left_to_the_worker_where_the_storage_is_not(
    library: Library, recording: RecordId, meetingpool: CommandLine, listed: Listed, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = library.storage.publish_dir / MARK
    aside = mark.rename(library.storage.work_dir / "mark")

    with monkeypatch.context() as patched:
        patched.setattr("admin.recording_changes.WORKER_PATIENCE", 0.0)
        hidden = await meetingpool("recordings", "unpublish", recording)
        shown = await meetingpool("recordings", "publish", recording)

    assert hidden.stdout == f"Recording {recording} is unpublished\n"
    assert shown.stdout == f"Recording {recording} will be published\n"
    assert hidden.stderr == "Files are not moved yet: the recordings worker does that as soon as it runs\n"
    aside.rename(mark)
    async with running_worker(library):
        told = await meetingpool("recordings", "publish", recording)
    assert told.output == f"Recording {recording} is published\n"
    assert (await listed("recordings", "list"))[0]["state"] == "published"


async def test_assign_gives_recordings_to_a_tenant(
    library: Library, recording: RecordId, meetingpool: CommandLine, listed: Listed
) -> None:
    await add_tenants(library.database, "school", "college")
    other = await planted_recording(library.database, library.storage, {"video": {}})

    dry = await meetingpool("recordings", "assign", "school", recording, "--dry-run")
    assert dry.stdout == "Dry run, nothing is changed: 1 recordings belong to tenant school\n"
    assert [each["tenant"] for each in await listed("recordings", "list")] == ["default", "default"]
    assert (await meetingpool("recordings", "assign", "school", recording)).output == "1 recordings belong to tenant school\n"
    told = await meetingpool("recordings", "assign", "college", "--all")
    assert told.output == "1 recordings belong to tenant college\n"
    tenants = {each["record_id"]: each["tenant"] for each in await listed("recordings", "list")}
    assert tenants == {recording: "school", other: "college"}


async def test_assign_refuses_what_is_not_there(library: Library, recording: RecordId, meetingpool: CommandLine) -> None:
    await add_tenants(library.database, "school")
    assert (await meetingpool("recordings", "assign", "school", "nothing", exit_code=1)).stderr == NO_RECORDING
    told = await meetingpool("recordings", "assign", "nobody", recording, exit_code=1)
    assert told.stderr == "No tenant found with id or name: nobody; `meetingpool tenants list` shows them all\n"
    await meetingpool("recordings", "assign", "school", exit_code=2)
    await meetingpool("recordings", "assign", "school", recording, "--all", exit_code=2)


async def test_purge_removes_the_trash_for_good(library: Library, recording: RecordId, meetingpool: CommandLine) -> None:
    await meetingpool("recordings", "delete", recording, "--yes")

    assert (await meetingpool("recordings", "purge", "--yes")).stdout == "The files of 0 recordings are removed\n"
    told = await meetingpool("recordings", "purge", "--days", "0", "--dry-run")
    assert told.stdout == "Dry run, nothing is changed: The files of 1 recordings are removed\n"
    await meetingpool("recordings", "purge", "--days", "0", typed="n", exit_code=1)
    assert library.files(Location.TRASH, "video", recording)
    told = await meetingpool("recordings", "purge", "--days", "0", typed="y")
    assert told.stdout.endswith("The files of 1 recordings are removed\n")
    assert library.files(Location.TRASH, "video", recording) == {}


async def test_a_storage_that_moved_is_adopted(library: Library, meetingpool: CommandLine) -> None:
    (library.storage.publish_dir / MARK).unlink()
    told = await meetingpool("recordings", "purge", "--yes", exit_code=1)
    assert "call meetingpool recordings adopt-storage" in told.stderr

    await meetingpool("recordings", "adopt-storage", typed="n", exit_code=1)
    assert not (library.storage.publish_dir / MARK).exists()
    told = await meetingpool("recordings", "adopt-storage", "--yes")
    assert told.output == "The directories of recordings are the storage of this installation\n"
    await meetingpool("recordings", "purge", "--yes")


async def test_a_storage_that_cannot_be_made_is_refused(
    database: Database, data_dir: Path, archive_file: Path, meetingpool: CommandLine
) -> None:
    (data_dir / "recordings").touch()
    for command in (["adopt-storage", "--yes"], ["import", str(archive_file)]):
        told = await meetingpool("recordings", *command, exit_code=1)
        assert told.stderr.startswith("The directories of recordings cannot be used: ")


async def test_an_archive_is_imported_and_stays(
    database: Database, data_dir: Path, archive_file: Path, meetingpool: CommandLine, listed: Listed
) -> None:
    told = await meetingpool("recordings", "import", str(archive_file))

    assert told.output == f"{archive_file.name} is imported: {RECORD_ID}\n"
    assert archive_file.read_bytes() == recording_archive(RECORD_ID)
    [only] = await listed("recordings", "list")
    assert (only["record_id"], only["state"]) == (RECORD_ID, "published")
    assert left_in_spool(data_dir) == []


def left_in_spool(data_dir: Path) -> list[Path]:
    return [path for path in (data_dir / "recordings" / "spool").rglob("*") if path.is_file()]


async def test_an_archive_of_another_file_system_is_copied(
    library: Library, distant_file: Path, data_dir: Path, meetingpool: CommandLine, listed: Listed
) -> None:
    told = await meetingpool("recordings", "import", str(distant_file))

    assert told.output == f"{distant_file.name} is imported: {RECORD_ID}\n"
    assert published_files(library, "presentation")["main.bin"] == b"content"
    assert left_in_spool(data_dir) == []


async def test_an_archive_with_any_name_is_imported(library: Library, archive_file: Path, meetingpool: CommandLine) -> None:
    for name in (b"lecture-\xff.tar", b"x" * 251 + b".tar"):
        told = await meetingpool("recordings", "import", str(archive_file.rename(archive_file.with_name(os.fsdecode(name)))))
        assert told.output.endswith(f".tar is imported: {RECORD_ID}\n")
        archive_file.with_name(os.fsdecode(name)).rename(archive_file)


async def test_what_is_no_archive_leaves_no_trace(
    library: Library, archive_file: Path, bad_file: Path, data_dir: Path, meetingpool: CommandLine, listed: Listed
) -> None:
    told = await meetingpool("recordings", "import", str(bad_file), str(archive_file), exit_code=1)

    assert told.stdout == f"{archive_file.name} is imported: {RECORD_ID}\n"
    why, last = told.stderr.splitlines()
    assert why.startswith("letter.txt is not imported: ")
    assert last == "1 of 2 archives are not imported: see above"
    assert await listed("recordings", "quarantine", "list") == []
    assert left_in_spool(data_dir) == []
    assert bad_file.exists()


async def test_only_files_can_be_imported(library: Library, tmp_path: Path, meetingpool: CommandLine) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("missing.tar", "recordings", "pipe"):
        await meetingpool("recordings", "import", str(tmp_path / name), exit_code=2)


async def test_an_archive_whose_tenant_nothing_proves_is_imported_for_one(
    library: Library, archive_file: Path, meetingpool: CommandLine, listed: Listed, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add_tenants(library.database, "school")
    monkeypatch.setenv("MULTITENANCY_ENABLED", "true")

    told = await meetingpool("recordings", "import", str(archive_file), exit_code=1)
    assert "name it with --tenant" in told.stderr
    told = await meetingpool("recordings", "import", str(archive_file), "--tenant", "nobody", exit_code=1)
    assert told.stderr.startswith("No tenant found with id or name: nobody; ")
    await meetingpool("recordings", "import", str(archive_file), "--tenant", "school")
    assert [each["tenant"] for each in await listed("recordings", "list")] == ["school"]


async def test_a_deleted_recording_comes_back_by_force(
    recording: RecordId, archive_file: Path, meetingpool: CommandLine, listed: Listed
) -> None:
    await meetingpool("recordings", "delete", recording, "--yes")

    told = await meetingpool("recordings", "import", str(archive_file), exit_code=1)
    assert "the recording was deleted; --force brings it back" in told.stderr
    await meetingpool("recordings", "import", str(archive_file), "--force")
    assert [each["state"] for each in await listed("recordings", "list")] == ["published"]


async def test_an_import_beside_a_worker_is_told_of_all_the_same(
    library: Library, tmp_path: Path, data_dir: Path, meetingpool: CommandLine, listed: Listed
) -> None:
    ids = [record_id_of(f"room {number}") for number in range(6)]
    files = [deliver(tmp_path / "elsewhere", record_id, recording_archive(record_id)) for record_id in ids]
    async with running_worker(library):
        told = await meetingpool("recordings", "import", *map(str, files))

    assert told.output == "".join(f"{record_id}.tar is imported: {record_id}\n" for record_id in ids)
    assert {each["record_id"] for each in await listed("recordings", "list")} == set(ids)
    assert [each.attempts for each in await library.imports()] == [1] * 6
    assert left_in_spool(data_dir) == []


async def test_nothing_is_imported_where_there_are_no_recordings(
    archive_file: Path, data_dir: Path, meetingpool: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECORDING_DISABLED", "true")
    for command in (["run"], ["import", str(archive_file)]):
        told = await meetingpool("recordings", *command, exit_code=1)
        assert told.stderr.startswith("RECORDING_DISABLED says that there are no recordings: ")


async def test_nothing_is_imported_through_a_spool_that_is_not_mounted(
    library: Library, archive_file: Path, tmp_path: Path, meetingpool: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECORDING_SPOOL_DIR", str(tmp_path / "mount"))
    told = await meetingpool("recordings", "import", str(archive_file), exit_code=1)
    assert told.stderr == f"The spool directory {tmp_path / 'mount'} is not there: check that it is mounted\n"


async def test_refused_archives_are_listed_with_the_reason(library: Library, meetingpool: CommandLine, listed: Listed) -> None:
    number = await refuse(library)

    [refused] = await listed("recordings", "quarantine", "list")

    assert list(refused) == ["id", "archive", "reason", "detail", "record_ids", "bytes", "since", "path"]
    assert (refused["id"], refused["archive"], refused["bytes"]) == (number, f"{RECORD_ID}.tar", 1100)
    assert Path(refused["path"]).read_bytes().startswith(b"no archive")
    assert refused["reason"] in (await meetingpool("recordings", "quarantine", "list")).stdout


async def test_a_refused_archive_is_tried_again_for_a_tenant(
    database: Database, data_dir: Path, meetingpool: CommandLine, listed: Listed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MULTITENANCY_ENABLED", "true")
    library = await made_library(database, data_dir, lambda given: msgspec.structs.replace(given, multitenancy_enabled=True))
    await add_tenants(database, "school")
    deliver(library.spool.directory, RECORD_ID, recording_archive(RECORD_ID))
    [refused] = await library.take_in()
    assert refused.reason == "unknown_tenant"

    retry = ("recordings", "quarantine", "retry", str(refused.id), "--tenant", "school")
    told = await meetingpool(*retry, "--dry-run")
    sentence = f"Archive {refused.id} ({RECORD_ID}.tar) is tried again by the recordings worker\n"
    assert told.output == f"Dry run, nothing is changed: {sentence}"
    assert await library.runner.run_next() is None
    assert (await meetingpool(*retry)).output == sentence
    await library.runner.run_next()
    assert [each["tenant"] for each in await listed("recordings", "list")] == ["school"]


async def test_an_archive_of_a_deleted_recording_is_tried_again_by_force(
    library: Library, recording: RecordId, meetingpool: CommandLine, listed: Listed
) -> None:
    await meetingpool("recordings", "delete", recording, "--yes")
    deliver(library.spool.directory, recording, recording_archive(recording, ["notes"]))
    [refused] = await library.take_in()
    assert refused.reason == "deleted"

    await meetingpool("recordings", "quarantine", "retry", str(refused.id))
    await library.runner.run_next()
    assert [each["reason"] for each in await listed("recordings", "quarantine", "list")] == ["deleted"]
    await meetingpool("recordings", "quarantine", "retry", str(refused.id), "--force")
    await library.runner.run_next()
    [only] = await listed("recordings", "list")
    assert (only["state"], only["formats"]) == ("published", ["notes", "presentation", "video"])


async def test_all_that_was_refused_is_tried_again(library: Library, meetingpool: CommandLine) -> None:
    assert (await meetingpool("recordings", "quarantine", "retry", "--all")).output == "No archive was refused\n"
    numbers = [await refuse(library), await refuse(library, OTHER_ID)]

    told = await meetingpool("recordings", "quarantine", "retry", "--all")

    assert len(told.output.splitlines()) == 2
    assert [each.state for each in await library.imports(*numbers)] == [ImportState.WAITING] * 2


async def test_only_what_was_refused_is_tried_again_or_removed(library: Library, meetingpool: CommandLine) -> None:
    number = await refuse(library)
    deliver(library.spool.directory, OTHER_ID, recording_archive(OTHER_ID))
    [waiting] = await library.claim()

    for command in (["retry"], ["remove", "--yes"]):
        told = await meetingpool("recordings", "quarantine", *command, str(number), str(waiting.id), exit_code=1)
        assert told.stderr.startswith(f"No refused archive found with id: {waiting.id}; ")
    assert len(library.archives) == 2
    for usage in (["retry"], ["retry", "1", "--all"], ["retry", "0"], ["remove"], ["remove", "x"]):
        await meetingpool("recordings", "quarantine", *usage, exit_code=2)


async def test_a_refused_archive_is_removed(library: Library, meetingpool: CommandLine, listed: Listed) -> None:
    number = str(await refuse(library))

    await meetingpool("recordings", "quarantine", "remove", number, typed="n", exit_code=1)
    told = await meetingpool("recordings", "quarantine", "remove", number, "--dry-run")
    assert told.stdout.startswith("Dry run, nothing is changed: ")
    assert len(library.archives) == 1
    told = await meetingpool("recordings", "quarantine", "remove", number, "--yes")
    assert told.output == f"Archive {number} ({RECORD_ID}.tar) is removed\n"
    assert library.archives == []
    assert await listed("recordings", "quarantine", "list") == []


async def test_the_shell_completes_ids(
    library: Library, recording: RecordId, database_url: str, monkeypatch: pytest.MonkeyPatch, meetingpool: CommandLine
) -> None:
    monkeypatch.setenv("MEETINGPOOL_DATABASE_URL", database_url)
    number = await refuse(library, OTHER_ID)

    async def completed(*names: str) -> list[list[str]]:
        return [await asyncio.to_thread(getattr(completion, name), "") for name in names]

    assert await completed("record_ids", "deleted_record_ids", "refused_archives") == [[recording], [], [str(number)]]
    await meetingpool("recordings", "delete", recording, "--yes")
    assert await completed("record_ids", "deleted_record_ids") == [[], [recording]]
    assert await asyncio.to_thread(completion.deleted_record_ids, "x") == []
    async with library.database.transaction() as connection:
        await connection.execute("UPDATE alembic_version SET version_num = '0001'")
    assert await completed("record_ids") == [[]]


async def test_repair_is_fsck_that_repairs(meetingpool: CommandLine, recording: RecordId, library: Library) -> None:
    storage = library.storage
    strayed = storage.tree(Location.UNPUBLISHED, "video", recording)
    strayed.parent.mkdir(parents=True, exist_ok=True)
    storage.tree(Location.PUBLISHED, "video", recording).rename(strayed)

    assert "wrong_place" in (await meetingpool("recordings", "repair", "--dry-run", exit_code=1)).stdout
    assert strayed.exists()
    assert "1 found, 1 repaired" in (await meetingpool("recordings", "repair")).stdout
    assert storage.tree(Location.PUBLISHED, "video", recording).exists()
    assert not strayed.exists()
