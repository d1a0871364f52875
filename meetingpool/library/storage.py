"""Where recordings are: the directories, the mark that proves they are ours, and the rule that they are one file system.

An NFS share that is not mounted looks like an empty directory. So each directory holds a file with the storage's id, written
when it was first used; without it nothing is imported, moved, repaired or purged there.
"""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from meetingpool.domain.recordings import Location
from meetingpool.library.files import make_directory, sync_directory, write_file

MARK = ".meetingpool-storage"


class StorageUnusable(Exception):
    """A sentence that says what is wrong with the directories, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """The directories of the settings. Trees of formats are in `format/record_id` under each root."""

    publish_dir: Path
    unpublish_dir: Path
    work_dir: Path

    @property
    def unpacking_dir(self) -> Path:
        """One directory for each import that is under way, or waits to be placed."""
        return self.work_dir / "unpacking"

    @property
    def discarded_dir(self) -> Path:
        """What was replaced or purged, until it is removed."""
        return self.work_dir / "discarded"

    def root_of(self, location: Location) -> Path:
        match location:
            case Location.PUBLISHED:
                return self.publish_dir
            case Location.UNPUBLISHED:
                return self.unpublish_dir
            case Location.TRASH:
                return self.work_dir / "trash"

    def tree(self, location: Location, format_name: str, record_id: str) -> Path:
        return self.root_of(location) / format_name / record_id

    def arrival(self, directory: str, format_name: str, record_id: str) -> Path:
        """Where an import unpacked a format."""
        return self.unpacking_dir / directory / format_name / record_id

    def create(self, storage_id: str) -> str:
        """Makes the directories and marks those that have no mark, with the id that the first of them has, else `storage_id`.

        Returns that id. Raises StorageUnusable when they are of different installations.
        """
        for root in self._roots:
            make_directory(root)
            storage_id = _marked(root, storage_id)
        self.require(storage_id)
        for directory in (self.unpacking_dir, self.discarded_dir, self.root_of(Location.TRASH)):
            make_directory(directory)
        return storage_id

    def require(self, storage_id: str) -> None:
        """Raises StorageUnusable unless all directories are there, are ours, and are on one file system."""
        for root in self._roots:
            _require_mark(root, storage_id)
        if len({root.stat().st_dev for root in self._roots}) > 1:
            raise StorageUnusable(
                "RECORDING_WORK_DIR, RECORDING_PUBLISH_DIR and RECORDING_UNPUBLISH_DIR must be on one file system, so that "
                "recordings are moved at once or not at all; set them to directories of one mount"
            )

    def require_mounted(self) -> None:
        """Raises OSError unless all directories hold their mark: what is missing from a share that is not mounted is not gone."""
        for root in self._roots:
            (root / MARK).stat()

    @property
    def _roots(self) -> tuple[Path, ...]:
        return (self.publish_dir, self.unpublish_dir, self.work_dir)


def _marked(root: Path, storage_id: str) -> str:
    """The id that the directory is marked with: of several processes that do it at once, one's."""
    mark = root / MARK
    if not mark.exists():
        draft = mark.with_name(f"{MARK}.{uuid4().hex}")
        write_file(draft, f"{storage_id}\n".encode())
        with suppress(FileExistsError):
            os.link(draft, mark)
        draft.unlink()
        sync_directory(root)
    return mark.read_text(errors="replace").strip()


def _require_mark(root: Path, storage_id: str) -> None:
    found = None
    with suppress(FileNotFoundError, NotADirectoryError):
        found = (root / MARK).read_text(errors="replace").strip()
    if found is None:
        raise StorageUnusable(
            f"{root} holds no file {MARK}, so it is not the storage of this installation: check that it is mounted. "
            "If it is a new one on purpose, call meetingpool recordings adopt-storage"
        )
    if found != storage_id:
        raise StorageUnusable(f"{root} belongs to another installation: its file {MARK} names another storage")
