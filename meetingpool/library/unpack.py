"""Unpacks an archive that a server delivered. Called by the worker, in a process that nothing else depends on.

What it writes lasts when it returns. When it does not return, the directory holds what was written so far: away with it.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from meetingpool.library.archive import ArchiveReader, Member
from meetingpool.library.layout import Layout
from meetingpool.library.manifest import LINE_BYTES, MAX_TEXT_BYTES, Entry, Manifest
from meetingpool.library.refusals import ArchiveIncomplete, ArchiveRefused, Refusal, shown
from meetingpool.library.unsynced import Unsynced

__all__ = ["ArchiveIncomplete", "ArchiveRefused", "Limits", "Refusal", "UnpackedTree", "Watch", "unpack"]

METADATA = "metadata.xml"
MAX_METADATA_BYTES = 1024 * 1024

_FILE_MODE, _DIRECTORY_MODE = 0o644, 0o755
_STEPS_WATCHED = 256
# For each file, on average, of what is written ahead of its header.
_HEADER_BYTES = 2048

# Called with the bytes read and the files written so far.
Watch = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """`max_bytes`: of all files together, unpacked. `max_files`: files and directories."""

    max_bytes: int
    max_files: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpackedTree:
    """One format of a recording, in `directory`. `metadata`: the content of its metadata.xml."""

    format: str
    record_id: str
    directory: Path
    metadata: bytes
    manifest: Manifest


def unpack(archive: int, target: Path, limits: Limits, watch: Watch) -> tuple[UnpackedTree, ...]:
    """Writes what is in `archive`, an open regular file, to `target`, an empty directory that nobody else has.

    `watch` is called at least every 16 MB and every few hundred members; what it raises stops the work. Raises ArchiveRefused,
    ArchiveIncomplete, and the OSErrors of both file systems as they are.
    """
    root = os.open(target, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with Unsynced() as unsynced:
            unpacking = _Unpacking(root, unsynced, limits, watch)
            unpacking.run(archive)
        return unpacking.trees(target)
    finally:
        os.close(root)


class _Unpacking:
    """One archive, on its way to the directory that is open as `root`."""

    def __init__(self, root: int, unsynced: Unsynced, limits: Limits, watch: Watch) -> None:
        self._root = root
        self._unsynced = unsynced
        self._limits = limits
        self._watch = watch
        self._layout = Layout()
        self._made: list[str] = []
        self._entries: defaultdict[str, list[Entry]] = defaultdict(list)
        self._metadata: dict[str, bytes] = {}
        self._bytes = self._bytes_read = self._name_bytes = 0
        self._files = self._steps = 0

    def run(self, archive: int) -> None:
        reader = ArchiveReader(archive, self._limits.max_files * _HEADER_BYTES, self._reading)
        for member in reader.members():
            if member.is_directory:
                self._layout.directory(member.name)
                self._check_counts()
                self._make_directories()
            else:
                self._write(member, reader.content(member))
            self._step()
        self._check_trees()
        self._unsynced.sync()
        self._sync_directories()

    def trees(self, target: Path) -> tuple[UnpackedTree, ...]:
        return tuple(
            UnpackedTree(
                format=tree.format,
                record_id=tree.record_id,
                directory=target / path,
                metadata=self._metadata[path],
                manifest=Manifest.of(self._entries[path]),
            )
            for path, tree in self._layout.trees.items()
        )

    def _write(self, member: Member, content: Iterator[memoryview]) -> None:
        tree, path = self._layout.file(member.name)
        self._count(member)
        self._make_directories()
        within = path[len(tree) + 1 :]
        if within == METADATA:
            content = self._kept_metadata(tree, member, content)
        digest = self._write_file(path, content)
        self._entries[tree].append(Entry(within, member.size, digest))

    def _write_file(self, path: str, content: Iterator[memoryview]) -> str:
        """Writes a file. The digest of its content."""
        digest = sha256()
        descriptor = self._unsynced.create(path, _FILE_MODE, root=self._root)
        for piece in content:
            digest.update(piece)
            _write_all(descriptor, piece)
        return digest.hexdigest()

    def _kept_metadata(self, tree: str, member: Member, content: Iterator[memoryview]) -> Iterator[memoryview]:
        if member.size > MAX_METADATA_BYTES:
            raise ArchiveRefused(Refusal.METADATA_TOO_LARGE, f"{METADATA} has {member.size} bytes")
        kept = bytearray()
        for piece in content:
            kept += piece
            yield piece
        self._metadata[tree] = bytes(kept)

    def _make_directories(self) -> None:
        for path in self._layout.new_directories():
            os.mkdir(path, _DIRECTORY_MODE, dir_fd=self._root)
            os.chmod(path, _DIRECTORY_MODE, dir_fd=self._root)
            self._made.append(path)

    def _sync_directories(self) -> None:
        """Children before parents, the target last."""
        for path in [*reversed(self._made), "."]:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=self._root)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            self._step()

    def _count(self, member: Member) -> None:
        """Raises ArchiveRefused when there is more of something than there may be, before any of it is read."""
        self._files += 1
        self._bytes += member.size
        self._name_bytes += len(member.name) + LINE_BYTES
        if self._bytes > self._limits.max_bytes:
            raise ArchiveRefused(Refusal.TOO_LARGE, f"the files have more than {self._limits.max_bytes} bytes")
        self._check_counts()

    def _check_counts(self) -> None:
        if self._files + self._layout.directories > self._limits.max_files:
            raise ArchiveRefused(Refusal.TOO_MANY_FILES, f"there are more than {self._limits.max_files} files and directories")
        if self._name_bytes + self._layout.bytes_kept > MAX_TEXT_BYTES:
            raise ArchiveRefused(Refusal.TOO_MANY_FILES, "there are too many files and directories with long names")

    def _check_trees(self) -> None:
        if not self._layout.trees:
            raise ArchiveRefused(Refusal.NO_RECORDING, "there is no recording: no <format>/<record id>/")
        for path in self._layout.trees:
            if path not in self._metadata:
                raise ArchiveRefused(Refusal.METADATA_MISSING, f"there is no file {METADATA} in {shown(path)}")

    def _reading(self, bytes_read: int) -> None:
        self._bytes_read = bytes_read
        self._watch(bytes_read, self._files)

    def _step(self) -> None:
        self._steps += 1
        if self._steps % _STEPS_WATCHED == 0:
            self._watch(self._bytes_read, self._files)


def _write_all(descriptor: int, content: memoryview) -> None:
    written = os.write(descriptor, content)
    while written < len(content):
        written += os.write(descriptor, content[written:])
