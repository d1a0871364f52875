"""Tries in the directories of recordings what will be done there: create, rename, delete. Called by `meetingpool doctor`."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

# Nobody takes what begins so for a recording or an archive.
_PREFIX = ".meetingpool-doctor."


class TrialFailed(Exception):
    """What could not be done, and the error number that says why."""

    def __init__(self, step: str, error: OSError) -> None:
        super().__init__(step)
        self.step = step
        self.number = error.errno or 0

    @property
    def reason(self) -> str:
        return f"{os.strerror(self.number)}, {errno.errorcode.get(self.number, self.number)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ownership:
    """Whose a directory is, in numbers, as NFS knows them."""

    uid: int
    gid: int
    mode: int

    @property
    def is_sticky(self) -> bool:
        """Only the owner of a file can rename or remove it there."""
        return bool(self.mode & stat.S_ISVTX)

    def __str__(self) -> str:
        return f"uid {self.uid}, gid {self.gid}, mode {stat.S_IMODE(self.mode):04o}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What is free for us, in bytes and in parts of one."""

    free: int
    share: float
    files_share: float


def ownership(directory: Path) -> Ownership:
    """Raises TrialFailed, also when it is no directory."""
    with _doing("look at it"):
        seen = directory.stat()
    if not stat.S_ISDIR(seen.st_mode):
        raise TrialFailed("look into it", NotADirectoryError(errno.ENOTDIR, ""))
    return Ownership(uid=seen.st_uid, gid=seen.st_gid, mode=seen.st_mode)


def room_in(directory: Path) -> Room:
    """Raises TrialFailed."""
    with _doing("ask how much room it has"):
        seen = os.statvfs(directory)
    return Room(
        free=seen.f_bavail * seen.f_frsize,
        share=seen.f_bavail / seen.f_blocks if seen.f_blocks else 1.0,
        files_share=seen.f_favail / seen.f_files if seen.f_files else 1.0,
    )


def try_changes(directory: Path) -> int:
    """Lists, creates, renames and deletes there. Returns the uid that what was created belonged to. Raises TrialFailed."""
    first, second = (directory / f"{_PREFIX}{uuid4().hex}" for _ in range(2))
    with _doing("list it"):
        next(directory.iterdir(), None)
    try:
        with _doing("create a file in it"):
            first.touch(exist_ok=False)
            owner = first.stat().st_uid
        with _doing("rename a file in it"):
            first.rename(second)
        with _doing("delete a file in it"):
            second.unlink()
    finally:
        for left in (first, second):
            with suppress(OSError):
                left.unlink()
    return owner


def try_move(source: Path, target: Path) -> None:
    """Moves a file from one directory to the other. Raises TrialFailed."""
    moved, arrived = (directory / f"{_PREFIX}{uuid4().hex}" for directory in (source, target))
    try:
        with _doing(f"create a file in {source}"):
            moved.touch(exist_ok=False)
        with _doing(f"move a file to {target}"):
            moved.rename(arrived)
    finally:
        for left in (moved, arrived):
            with suppress(OSError):
                left.unlink()


@contextmanager
def _doing(step: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TrialFailed(step, error) from error
