"""Files that were written and do not last yet. Called by `unpack.py`."""

import os
from types import TracebackType
from typing import Self

_MOST_OPEN = 64
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW


class Unsynced:
    """Keeps files open until some are there: a file system makes many last in little more time than one.

    At the end all are closed; those last for which `sync` was called after they were written.
    """

    def __init__(self) -> None:
        self._descriptors: list[int] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._close()

    def create(self, path: str, mode: int, *, root: int) -> int:
        """A new file at `path` in the directory that is open as `root`."""
        if len(self._descriptors) == _MOST_OPEN:
            self.sync()
        descriptor = os.open(path, _NEW_FILE, mode, dir_fd=root)
        self._descriptors.append(descriptor)
        # Whatever the umask is.
        os.fchmod(descriptor, mode)
        return descriptor

    def sync(self) -> None:
        for descriptor in self._descriptors:
            os.fsync(descriptor)
        self._close()

    def _close(self) -> None:
        while self._descriptors:
            os.close(self._descriptors.pop())
