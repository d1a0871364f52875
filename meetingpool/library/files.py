"""What changes files, in the order that survives a power cut: write, sync, rename, sync the directory."""

import os
import shutil
from pathlib import Path

# Whoever delivers a file says when it was changed, and may say any year.
_FARTHEST_NS = 2**63 - 1


def write_file(path: Path, content: bytes) -> None:
    """A new file with `content`, there completely or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def changed_at(found: os.stat_result) -> int:
    """When a file was last changed, in nanoseconds since 1970: of what the database cannot hold, the nearest that it can."""
    return max(-_FARTHEST_NS, min(found.st_mtime_ns, _FARTHEST_NS))


def sync_directory(path: Path) -> None:
    """Makes what was renamed, made or removed in a directory last."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_directory(path: Path) -> None:
    """A directory that lasts, its parents too; fine if it is there."""
    if not path.is_dir():
        make_directory(path.parent)
        path.mkdir(exist_ok=True)
    # One that is there may have been made just now, by somebody who has not come to this.
    sync_directory(path.parent)


def move(source: Path, target: Path) -> None:
    """Renames on one file system, and makes it last in both directories."""
    make_directory(target.parent)
    source.rename(target)
    sync_directory(target.parent)
    if source.parent != target.parent:
        sync_directory(source.parent)


def remove_tree(path: Path) -> None:
    """Removes a directory and all in it, or nothing when it is not there. Raises OSError for what stays."""
    if path.is_symlink() or path.is_file():
        path.unlink(missing_ok=True)
    elif path.exists():
        shutil.rmtree(path)
