"""A library with things wrong in it, each in its row or its files alone, and good recordings beside them."""

import os
import shutil
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

from meetingpool.bbb.recording_documents import render
from meetingpool.bbb.recording_metadata import read_metadata
from meetingpool.database.engine import Connection
from meetingpool.database.imports import add_import
from meetingpool.database.outbox import announce
from meetingpool.database.recordings import Arrival, Entry, insert_entry, place_arrival, put_arrival, write_entry
from meetingpool.domain.announcements import Announcement
from meetingpool.domain.callbacks import CallbackKind
from meetingpool.domain.library_faults import Fault
from meetingpool.domain.recordings import LOCATION_OF, Location, PlaybackFormat, RecordId, Recording, RecordingState
from meetingpool.library import manifest
from meetingpool.operations.import_recording import CLAIMED
from tests.archives import START_MS, metadata_xml, record_id_of
from tests.library import Library

PUBLISHED, UNPUBLISHED, DELETED = RecordingState.PUBLISHED, RecordingState.UNPUBLISHED, RecordingState.DELETED
STATES = (PUBLISHED, UNPUBLISHED, DELETED)


@dataclass(slots=True)
class Faults:
    """Plants faults into a library. `planted`: what is to be found, each as its class and what it is about."""

    library: Library
    connection: Connection
    planted: set[tuple[Fault, str]] = field(default_factory=set)
    # Entries that are nobody's, which an administrator would have to remove.
    strays: list[Path] = field(default_factory=list)
    _number: int = 0

    async def good(self, state: RecordingState = PUBLISHED, *, name: str = "video") -> RecordId:
        self._number += 1
        record_id = record_id_of("room", START_MS + self._number)
        location = LOCATION_OF[state]
        files = self.write(self.tree(location, record_id, name), record_id, name)
        delivered = read_metadata(files["metadata.xml"])
        recording = Recording(
            record_id=record_id,
            tenant="default",
            meeting_id="room",
            state=state,
            name="A room",
            start_ms=START_MS,
            end_ms=START_MS + 1,
            metadata={"a": "b"},
            formats=(delivered.format,),
        )
        await insert_entry(self.connection, recording, state)
        arrival = _arrival(delivered.format, files, self.tree(location, record_id, name))
        await put_arrival(self.connection, record_id, arrival)
        await place_arrival(self.connection, record_id, arrival, location)
        entry = Entry(recording=recording, wanted=state, is_settled=True, delivered=recording.metadata)
        await write_entry(self.connection, entry, render(recording))
        return record_id

    def tree(self, location: Location, record_id: str, name: str = "video") -> Path:
        return self.library.storage.tree(location, name, record_id)

    def write(self, tree: Path, record_id: str, name: str = "video") -> dict[str, bytes]:
        files = {
            "metadata.xml": metadata_xml(record_id, name),
            "video.webm": record_id.encode() * 3,
            "deeper/more.bin": b"more",
        }
        for path, content in files.items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_bytes(content)
        return files

    def expect(self, fault: Fault, subject: object) -> None:
        self.planted.add((fault, str(subject)))

    async def change(self, record_id: RecordId, assignments: str) -> None:
        await self.connection.execute(f"UPDATE recordings SET {assignments} WHERE record_id = $1", record_id)  # noqa: S608

    async def plant(self, fault: Fault, number: int) -> None:
        await getattr(self, f"_{fault}")(number)

    async def _missing_files(self, number: int) -> None:
        state = STATES[number % 3]
        record_id = await self.good(state)
        shutil.rmtree(self.tree(LOCATION_OF[state], record_id))
        self.expect(Fault.MISSING_FILES, record_id)

    async def _unknown_tree(self, number: int) -> None:
        self._number += 1
        record_id = record_id_of("room", START_MS + self._number)
        location = tuple(Location)[number % 3]
        self.write(self.tree(location, record_id), record_id)
        self.expect(Fault.UNKNOWN_TREE, record_id)

    async def _wrong_place(self, number: int) -> None:
        record_id = await self.good(PUBLISHED)
        source, other = self.tree(Location.PUBLISHED, record_id), tuple(Location)[1 + number % 2]
        target = self.tree(other, record_id)
        target.parent.mkdir(parents=True, exist_ok=True)
        if number % 3:
            source.rename(target)
        else:
            shutil.copytree(source, target)
        self.expect(Fault.WRONG_PLACE, record_id)

    async def _manifest_mismatch(self, number: int) -> None:
        record_id = await self.good(PUBLISHED)
        tree = self.tree(Location.PUBLISHED, record_id)
        changes: list[Callable[[], object]] = [
            lambda: (tree / "deeper/more.bin").unlink(),
            lambda: (tree / "deeper/added.bin").write_bytes(b""),
            lambda: (tree / "video.webm").write_bytes(b"longer" * 100),
            lambda: shutil.rmtree(tree / "deeper"),
        ]
        changes[number % len(changes)]()
        self.expect(Fault.MANIFEST_MISMATCH, record_id)

    async def _unsettled(self, number: int) -> None:
        record_id = await self.good(UNPUBLISHED)
        if number % 4 == 0:
            # Killed between the rename and the row; wanted elsewhere since.
            target = self.tree((Location.PUBLISHED, Location.TRASH)[number // 4 % 2], record_id)
            target.parent.mkdir(parents=True, exist_ok=True)
            self.tree(Location.UNPUBLISHED, record_id).rename(target)
        elif number % 4 == 1:
            directory = f"{10_000 + number}-waiting"
            tree = self.library.storage.arrival(directory, "podcast", record_id)
            files = self.write(tree, record_id, "podcast")
            arrival = _arrival(read_metadata(files["metadata.xml"]).format, files, tree)
            await put_arrival(self.connection, record_id, replace(arrival, directory=directory))
        elif number % 4 == 2:
            # Failed a moment ago.
            await self.change(record_id, "mover_until = now() + interval '30 s'")
        await self.change(record_id, "wanted = 'published', is_settled = false")
        self.expect(Fault.UNSETTLED, record_id)

    async def _unplayable(self, number: int) -> None:
        state = STATES[number % 2]
        record_id = await self.good(state)
        shutil.rmtree(self.tree(LOCATION_OF[state], record_id))
        await self.connection.execute("DELETE FROM recording_formats WHERE record_id = $1", record_id)
        self.expect(Fault.UNPLAYABLE, record_id)

    async def _stale_document(self, number: int) -> None:
        record_id = await self.good(STATES[number % 3])
        await self.change(record_id, "document = '<recording/>'" if number % 2 else "name = 'Another'")
        self.expect(Fault.STALE_DOCUMENT, record_id)

    async def _trash_expired(self, _number: int) -> None:
        record_id = await self.good(DELETED)
        await self.change(record_id, "deleted_at = now() - interval '100 days'")
        self.expect(Fault.TRASH_EXPIRED, record_id)

    async def _foreign_entry(self, number: int) -> None:
        root = self.library.storage.root_of(tuple(Location)[number % 3])
        directory = root / "video"
        directory.mkdir(exist_ok=True)
        id_like = record_id_of("foreign", START_MS + number)
        if number % 2:
            path = [root / f"link-{number}", directory / id_like][number // 2 % 2]
            path.symlink_to(f"nowhere-{number}")
        else:
            path = await self._stray(number // 2 % 6, directory / f"{id_like}", number)
            self.strays.append(path)
        self.expect(Fault.FOREIGN_ENTRY, path)

    async def _stray(self, kind: int, path: Path, number: int) -> Path:
        if kind == 0:
            path.write_bytes(b"a file with the name of a recording")
        elif kind == 1:
            os.mkfifo(path)
        elif kind == 2:
            path.symlink_to(self.library.spool.directory)
        elif kind == 3:
            path = path.with_name(f"lost-{number}")
            (path / "more").mkdir(parents=True)
        elif kind == 4:
            record_id = await self.good(PUBLISHED)
            path = self.tree(Location.PUBLISHED, record_id) / "deeper" / "link"
            path.symlink_to("/etc/passwd")
        else:
            path = path.parent.parent / f"s{number}"
            _make_socket(path)
        return path

    async def _leftover(self, number: int) -> None:
        storage = self.library.storage
        path = (storage.unpacking_dir, storage.discarded_dir)[number % 2] / f"{number}-left"
        self.write(path / "video" / "x", "x")
        self.expect(Fault.LEFTOVER, path)

    async def _orphan_callback(self, number: int) -> None:
        await self._callback(record_id_of("gone", START_MS + number))
        self.expect(Fault.ORPHAN_CALLBACK, record_id_of("gone", START_MS + number))

    async def _archive_without_row(self, number: int) -> None:
        path = self._archive(f"rowless-{number}.tar")
        self.expect(Fault.ARCHIVE_WITHOUT_ROW, path)

    async def _import_without_archive(self, number: int) -> None:
        file = f"gone-{number}.tar"
        await self._import(file)
        if number % 3 == 1:
            await self.connection.execute("UPDATE imports SET state = 'quarantined' WHERE file = $1", file)
        elif number % 3 == 2:
            await self.connection.execute("UPDATE imports SET record_ids = '{abc}' WHERE file = $1", file)
        self.expect(Fault.IMPORT_WITHOUT_ARCHIVE, self.library.spool.directory / CLAIMED / file)

    async def innocent(self) -> None:
        """What looks like a fault and is none."""
        for state in (*STATES, *STATES):
            record_id = await self.good(state)
            await self._callback(record_id)
        self._archive("waiting.tar")
        await self._import("waiting.tar")
        await self._import("done.tar")
        await self.connection.execute("UPDATE imports SET state = 'done' WHERE file = 'done.tar'")
        await self._import("working.tar")
        number = await self.connection.fetchval("UPDATE imports SET state = 'working' WHERE file = 'working.tar' RETURNING id")
        (self.library.storage.unpacking_dir / f"{number}-working").mkdir()
        await self._in_motion()
        (self.tree(Location.PUBLISHED, record_id).parent / ".nfs000000000123abcd").write_bytes(b"")
        (self.library.storage.publish_dir / "lost+found").mkdir()

    async def _in_motion(self) -> None:
        record_id = await self.good(UNPUBLISHED)
        shutil.rmtree(self.tree(Location.UNPUBLISHED, record_id))
        await self.change(record_id, "is_settled = false, mover = 'm', mover_until = now() + interval '1 h'")

    async def _callback(self, record_id: RecordId) -> None:
        announcement = Announcement(
            kind=CallbackKind.RECORDING_READY,
            tenant="default",
            meeting_id="room",
            url="https://front.example/ready",
            payload={"record_id": record_id},
            subject=(record_id, "video"),
        )
        await announce(self.connection, announcement)

    def _archive(self, file: str) -> Path:
        path = self.library.spool.directory / CLAIMED / file
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"archive")
        return path

    async def _import(self, file: str) -> None:
        spool = self.library.spool.directory
        await add_import(self.connection, spool=spool, name="a.tar", file=file, size=7, mtime_ns=0, quiet_for=0)


def subject_of(row: Mapping[str, str]) -> tuple[Fault, str]:
    """What a row of the output is about, in the words of `Faults.planted`."""
    fault = Fault(row["class"])
    is_of_path = fault in (Fault.FOREIGN_ENTRY, Fault.LEFTOVER, Fault.ARCHIVE_WITHOUT_ROW, Fault.IMPORT_WITHOUT_ARCHIVE)
    return fault, row["path"] if is_of_path else row["recording"]


def snapshot(paths: Iterable[Path]) -> dict[str, object]:
    """All entries below the directories, with what is in them and when they were changed."""
    return {str(path): _state_of(path) for directory in paths for path in directory.rglob("*")}


def _state_of(path: Path) -> tuple[object, ...]:
    found = path.lstat()
    return found.st_ino, found.st_mode, found.st_ctime_ns, path.read_bytes() if path.is_file() and not path.is_symlink() else None


def _arrival(playback: PlaybackFormat, files: Mapping[str, bytes], tree: Path) -> Arrival:
    entries = [manifest.Entry(path, len(content), sha256(content).hexdigest()) for path, content in files.items()]
    made = manifest.Manifest.of(entries)
    return Arrival(
        format=playback,
        directory="planted",
        inode=tree.lstat().st_ino,
        files=made.files,
        total_bytes=made.bytes,
        digest=made.digest,
        manifest=made.encode(),
    )


def _make_socket(path: Path) -> None:
    """Their addresses are short: by a name relative to the directory."""
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(f"/proc/self/fd/{descriptor}/{path.name}")
    finally:
        os.close(descriptor)
