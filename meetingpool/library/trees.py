"""Trees of recordings: placed, moved, replaced. Each step can be killed and done again."""

import ctypes
import errno
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from meetingpool.library.files import move, remove_tree, sync_directory
from meetingpool.library.storage import Storage

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
# What kernels and file systems answer that cannot exchange; NFS is one.
_CANNOT_EXCHANGE = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)


class TreeMissing(Exception):
    """The files of a format are neither where they were nor where they should be."""


def place(storage: Storage, source: Path, target: Path, inode: int, elsewhere: Sequence[Path] = ()) -> None:
    """Puts a new tree, the directory `inode` at `source`, to `target`, in the place of what may be there, which goes at once.

    By its inode it is known whether that has been done already: after an exchange there is a tree at `source` as well, the old
    one. `elsewhere`: where somebody may have placed it before, who died and did not write it down. Afterwards nothing is there,
    nor at `source`. Raises TreeMissing when the new one is nowhere.
    """
    sources = (source, *elsewhere)
    if _inode(target) != inode:
        _replace(storage, _with_inode(sources, inode), target, inode)
    for left in sources:
        discard(storage, left, provided=(target, inode))


def _replace(storage: Storage, source: Path, target: Path, inode: int) -> None:
    """Afterwards the old tree is at `source`, or discarded. Raises OSError when the new one is no longer at `source`."""
    if _inode(target) is None:
        move(source, target)
    elif not _exchange(source, target):
        discard(storage, target, leave=True, provided=(source, inode))
        move(source, target)


def _with_inode(trees: Sequence[Path], inode: int) -> Path:
    for tree in trees:
        if _inode(tree) == inode:
            return tree
    raise TreeMissing(f"{trees[0].parent.name}/{trees[0].name}")


def relocate(storage: Storage, source: Path, target: Path, elsewhere: Sequence[Path] = ()) -> None:
    """Moves a tree of the library to another root. What may be there was left behind, and goes.

    Done already is fine. `elsewhere`: where somebody may have moved it, who died and did not write it down. Raises TreeMissing
    when the tree is nowhere.
    """
    inode = _inode(source)
    if source != target and inode is not None:
        discard(storage, target, provided=(source, inode))
        move(source, target)
    elif _inode(target) is None:
        found = next((tree for tree in elsewhere if _inode(tree) is not None), None)
        if found is None:
            raise TreeMissing(f"{source.parent.name}/{source.name}")
        move(found, target)


def discard(storage: Storage, tree: Path, *, leave: bool = False, provided: tuple[Path, int] | None = None) -> None:
    """Takes a tree away at once, and then its files; `leave`: somebody else removes them. Not there is fine.

    `provided`: a path and the inode of the tree there that this one makes room for. When that is not there, somebody moved it
    while we stood still, and what would be discarded may be all that there is: it stays.
    """
    if _inode(tree) is None:
        return
    discarded = storage.discarded_dir / uuid4().hex
    move(tree, discarded)
    if provided and _inode(provided[0]) != provided[1]:
        move(discarded, tree)
    elif not leave:
        # Others who tidy up may be at it, too.
        with suppress(FileNotFoundError):
            remove_tree(discarded)


def _inode(path: Path) -> int | None:
    """Of a directory entry, whatever it is; None without one."""
    try:
        return path.lstat().st_ino
    except FileNotFoundError:
        return None


def _exchange(one: Path, other: Path) -> bool:
    """Whether both could be exchanged in one step."""
    if _renameat2 is None:
        return False
    if _renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        sync_directory(other.parent)
        sync_directory(one.parent)
        return True
    number = ctypes.get_errno()
    if number in _CANNOT_EXCHANGE:
        return False
    raise OSError(number, os.strerror(number), str(other))


_renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
