"""Looks at the directories of recordings without changing anything: what is there, and whether it is as it was delivered.

What vanishes meanwhile is passed over: whoever calls looks again before it says that something is wrong. All functions block.
"""

import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import file_digest
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from meetingpool.domain.recordings import FORMAT_NAME, RECORD_ID, Location
from meetingpool.library.manifest import Entry, Manifest, ManifestCorrupt
from meetingpool.library.refusals import shown
from meetingpool.library.storage import MARK, Storage

# Entries of a directory that are looked at together.
BATCH = 500

# What file systems put there themselves: NFS for a removed file that is still open, others at the root of a mount.
_OF_NFS = re.compile(r"\.nfs[0-9a-f]+")
_OF_MOUNTS = frozenset((MARK, "lost+found", ".snapshot"))

_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# What a manifest cannot hold.
_UNSAFE_NAME = re.compile("[\0-\x1f\x7f]")


class TreeUnfit(Exception):
    """A sentence that says why the files cannot be taken as they are."""


class TreeName(NamedTuple):
    """A tree below one of the roots."""

    location: Location
    format: str
    record_id: str


@dataclass(slots=True)
class Seen:
    """Some entries of the directories that hold trees. `foreign`: what is no tree."""

    trees: list[TreeName] = field(default_factory=list)
    foreign: list[Path] = field(default_factory=list)


@dataclass(slots=True)
class Contents:
    """What is in a tree: sizes in bytes by the paths of files relative to it. `foreign`: neither files nor directories."""

    files: dict[str, int] = field(default_factory=dict)
    foreign: list[Path] = field(default_factory=list)


def walk(storage: Storage) -> Iterator[Seen]:
    """All trees of the library, some at a time."""
    for location in Location:
        seen = Seen()
        for entry in _entries(storage.root_of(location)):
            if entry.name in _OF_MOUNTS:
                continue
            if FORMAT_NAME.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                yield from _trees_of(location, Path(entry.path))
            else:
                seen.foreign.append(Path(entry.path))
        yield seen


def contents_of(tree: Path) -> Contents:
    contents = Contents()
    for path, entry in _within(tree):
        if entry.is_file(follow_symlinks=False):
            size = _size_of(entry)
            if size is not None:
                contents.files[path] = size
        elif not entry.is_dir(follow_symlinks=False):
            contents.foreign.append(Path(entry.path))
    return contents


def difference(encoded: bytes, files: Mapping[str, int]) -> str | None:
    """How the files of a tree are not those of its encoded manifest, in a sentence; None when they are, by name and size."""
    try:
        expected = {entry.path: entry.bytes for entry in Manifest.decode(encoded).entries}
    except ManifestCorrupt as error:
        return str(error)
    if expected == files:
        return None
    both = expected.keys() & files.keys()
    parts = {
        "missing": expected.keys() - both,
        "added": files.keys() - both,
        "of another size": {path for path in both if expected[path] != files[path]},
    }
    return _told(parts)


def content_difference(encoded: bytes, tree: Path) -> str | None:
    """The same by what is in the files. Reads all of them; raises TreeUnfit."""
    expected, found = Manifest.decode(encoded), hashed(tree)
    if expected == found:
        return None
    return _told({"not as delivered": {entry.path for entry in set(expected.entries) ^ set(found.entries)}})


def hashed(tree: Path) -> Manifest:
    """The manifest of what is in the tree. Raises TreeUnfit when something is no plain file, or has no plain name."""
    contents = contents_of(tree)
    for path in contents.foreign:
        raise TreeUnfit(f"{shown(path.name)} is {kind_of(path)}")
    return Manifest.of(_entry(tree, path) for path in contents.files)


def is_tree(path: Path) -> bool:
    """Whether there is a directory, and not only a link to one."""
    return stat.S_ISDIR(_mode(path))


def is_there(path: Path) -> bool:
    """Whether there is anything of that name. A server is asked for it: what NFS remembers to be missing may have come since."""
    if _mode(path) == 0:
        _ask_anew(path.parent)
    return _mode(path) != 0


def is_dangling(path: Path) -> bool:
    """Whether it is a symlink that leads nowhere."""
    return path.is_symlink() and not path.exists()


def kind_of(path: Path) -> str:
    """What an entry is, with its article."""
    mode = _mode(path)
    if stat.S_ISLNK(mode):
        return "a symlink that leads nowhere" if is_dangling(path) else "a symlink"
    kinds = {
        stat.S_IFREG: "a file",
        stat.S_IFDIR: "a directory of another name",
        stat.S_IFSOCK: "a socket",
        stat.S_IFIFO: "a pipe",
    }
    return kinds.get(stat.S_IFMT(mode), "a device" if mode else "gone")


def last_change(tree: Path) -> float:
    """When anything in the tree was last written, renamed or made, in seconds since 1970. Copying sets no such time back."""
    return max(tree.lstat().st_ctime, *(_changed_at(entry) for _, entry in _within(tree)), 0.0)


def left_behind(storage: Storage, before: float) -> list[Path]:
    """What imports and removals left in the work directory, and nobody touched since `before`, in seconds since 1970."""
    directories = (storage.unpacking_dir, storage.discarded_dir)
    entries = [entry for directory in directories for entry in _entries(directory)]
    return [Path(entry.path) for entry in entries if 0 < _changed_at(entry) < before]


def archives_in(directory: Path, before: float) -> set[str]:
    """The names of the regular files in a directory that were there `before`. Raises OSError when there is no directory."""
    with os.scandir(directory) as entries:
        return {entry.name for entry in entries if 0 < _changed_at(entry) < before and entry.is_file(follow_symlinks=False)}


def _trees_of(location: Location, directory: Path) -> Iterator[Seen]:
    entries = _entries(directory)
    while batch := list(islice(entries, BATCH)):
        seen = Seen()
        for entry in batch:
            if RECORD_ID.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                seen.trees.append(TreeName(location, directory.name, entry.name))
            else:
                seen.foreign.append(Path(entry.path))
        yield seen


def _within(tree: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """All that is in a tree, by paths relative to it, however deep."""
    pending = [(str(tree), "")]
    while pending:
        directory, prefix = pending.pop()
        for entry in _entries(directory):
            path = f"{prefix}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                pending.append((entry.path, f"{path}/"))
            yield path, entry


def _entries(directory: Path | str) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                if not _OF_NFS.fullmatch(entry.name):
                    yield entry
    except FileNotFoundError:
        return


def _entry(tree: Path, path: str) -> Entry:
    if _UNSAFE_NAME.search(path) or not _is_utf8(path):
        raise TreeUnfit(f"the name {shown(path)} is not UTF-8 or has control characters")
    with os.fdopen(os.open(tree / path, _OPEN), "rb") as file:
        digest = file_digest(file, "sha256").hexdigest()
        return Entry(path, file.tell(), digest)


def _is_utf8(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _mode(path: Path) -> int:
    try:
        return os.lstat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0


def _ask_anew(directory: Path) -> None:
    """Opening a directory makes NFS ask whether it has changed."""
    try:
        os.close(os.open(directory, os.O_RDONLY | os.O_DIRECTORY))
    except (FileNotFoundError, NotADirectoryError):
        return


def _size_of(entry: os.DirEntry[str]) -> int | None:
    try:
        return entry.stat(follow_symlinks=False).st_size
    except FileNotFoundError:
        return None


def _changed_at(entry: os.DirEntry[str]) -> float:
    try:
        return entry.stat(follow_symlinks=False).st_ctime
    except FileNotFoundError:
        return 0.0


def _told(parts: Mapping[str, set[str]]) -> str:
    """`2 files missing, 1 added, first 'a.png'`"""
    counts = ", ".join(f"{len(paths)} {what}" for what, paths in parts.items() if paths)
    return f"files: {counts}; the first is {shown(min(set().union(*parts.values())))}"
