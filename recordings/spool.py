"""Spool directories: where servers drop archives, and how one is claimed. Used by the worker.

Most are on NFS, which makes the rules. Changes that other hosts make raise no events here, so the directory is listed again and
again. What rsync brings appears under its name when it is complete; what cp or scp bring does not, so an archive counts as
complete when two looks, some seconds apart by our own clock, saw the same size and time of change; what the times themselves
say may be anything. Listings are late, so what is missing from one is not gone. Locks are not to be trusted: an archive is
claimed by a rename on its own mount, which one of several workers gets, and by a row that is written then. A claimed archive
that has no row, since somebody died between the two, gets one later.
"""

import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from meetingpool.library.files import changed_at, make_directory, sync_directory
from meetingpool.logs import get_logger
from meetingpool.operations.import_recording import CLAIMED

SUFFIX = ".tar"
# With what is before it, no more than file systems take.
_MAX_NAME_LENGTH = 200
_PLAIN, _NOT_PLAIN = re.compile("[A-Za-z0-9._-]+"), re.compile("[^A-Za-z0-9._-]")

log = get_logger()


@dataclass(frozen=True, slots=True)
class Look:
    """An archive as a look saw it. `first_at`: since when it looks like this, in seconds of the monotonic clock."""

    inode: int
    size: int
    mtime_ns: int
    first_at: float

    def is_same(self, other: "Look") -> bool:
        return (self.inode, self.size, self.mtime_ns) == (other.inode, other.size, other.mtime_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """An archive that is ours: `file` below the spool's directory of claimed archives, delivered under `name`.

    `quiet_for`: seconds for which it is known not to have changed.
    """

    spool: Path
    name: str
    file: str
    size: int
    mtime_ns: int
    quiet_for: float


class Spool:
    """One spool directory. Its functions block, and raise OSError when the directory is not there."""

    def __init__(self, directory: Path, *, settle_time: float) -> None:
        self.directory = directory
        self._settle_time = settle_time
        self._seen: dict[str, Look] = {}

    @property
    def seen(self) -> int:
        """How many archives the last look found."""
        return len(self._seen)

    @property
    def _claimed(self) -> Path:
        return self.directory / CLAIMED

    def look(self, now: float) -> list[str]:
        """The names of the archives that are complete, the oldest first. `now` in seconds of the monotonic clock."""
        found = dict(self._archives(now))
        self._seen = {name: self._since(name, look) for name, look in found.items()}
        settled = [name for name, look in self._seen.items() if now - look.first_at >= self._settle_time]
        return sorted(settled, key=lambda name: (self._seen[name].mtime_ns, name))

    def claim(self, name: str, now: float) -> Claimed | None:
        """Takes an archive that `look` found; None when another worker did."""
        make_directory(self._claimed)
        file = _file_of(name)
        look, target = self._seen[name], self._claimed / file
        try:
            (self.directory / name).rename(target)
        except FileNotFoundError:
            # NFS repeats a rename whose reply was lost, and then says that there is no such file.
            if not target.exists():
                return None
        sync_directory(self._claimed)
        sync_directory(self.directory)
        # Another one may have come in under the name since the look.
        found = target.stat(follow_symlinks=False)
        is_same = look.is_same(Look(found.st_ino, found.st_size, found.st_mtime_ns, now))
        return Claimed(
            spool=self.directory,
            name=os.fsencode(name).decode(errors="replace"),
            file=file,
            size=found.st_size,
            mtime_ns=changed_at(found),
            quiet_for=now - look.first_at if is_same else 0.0,
        )

    def rowless(self, known: set[str]) -> list[Claimed]:
        """Claimed archives that are not among the `known` ones."""
        orphans = []
        for entry in _entries(self._claimed):
            if entry.name in known:
                continue
            with suppress(FileNotFoundError):
                found = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(found.st_mode):
                    orphans.append(self._orphan(entry.name, found))
        return orphans

    def _orphan(self, file: str, found: os.stat_result) -> Claimed:
        if not _PLAIN.fullmatch(file):
            # Whoever put it there, no worker did.
            plain = _file_of(file)
            (self._claimed / file).rename(self._claimed / plain)
            file = plain
        name = file.partition(".")[2] or file
        return Claimed(spool=self.directory, name=name, file=file, size=found.st_size, mtime_ns=changed_at(found), quiet_for=0.0)

    def _since(self, name: str, look: Look) -> Look:
        earlier = self._seen.get(name)
        return earlier if earlier and earlier.is_same(look) else look

    def _archives(self, now: float) -> Iterator[tuple[str, Look]]:
        """Regular files that are called as archives are. What rsync and NFS keep for themselves begins with a dot."""
        for entry in _entries(self.directory, required=True):
            if entry.name.startswith(".") or not entry.name.endswith(SUFFIX):
                continue
            # It may be gone by now, claimed by another worker.
            with suppress(FileNotFoundError):
                found = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(found.st_mode):
                    yield entry.name, Look(found.st_ino, found.st_size, found.st_mtime_ns, now)
                else:
                    log.debug("spool_entry_ignored", name=entry.name)


def _entries(directory: Path, *, required: bool = False) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            return list(entries)
    except FileNotFoundError:
        if required:
            raise
        return []


def _file_of(name: str) -> str:
    """A name of its own for an archive, in which the one it was delivered under can be read, and that every system can hold."""
    return f"{uuid4().hex}.{_NOT_PLAIN.sub('_', name)[-_MAX_NAME_LENGTH:]}"
