"""The files of recordings, opened and read in threads of their own. Nobody here decides whether somebody may see them."""

import errno
import os
import stat
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Lock

from gateway.playback_paths import Segments, open_below
from gateway.playback_ranges import Version
from gateway.playback_threads import StorageBusy, StorageThreads
from gateway.tally import Tally

CHUNK_BYTES = 128 * 1024
MAX_OPEN = 256
# Of one source, once half of all are open: who takes many files, and each slowly, leaves some to others.
MAX_OF_SOURCE = 32
# Of a directory; what is listed is what a page might show.
MAX_NAMES = 200


class PlaybackFiles:
    """What one process has open, which is bounded: each file that is being sent takes memory."""

    def __init__(self, threads: StorageThreads) -> None:
        self.threads = threads
        self._open: Counter[str] = Counter()
        # What could not be read, by reasons.
        self.failures = Tally()

    async def open(self, root: Path, segments: Segments, source: str = "") -> "OpenFile":
        """A regular file below `root`, to be closed. `source`: for whom, if that is a stranger.

        Raises StorageBusy, and OSError for what is not there or no such file.
        """
        self._enter(source)
        try:
            shared = await self.threads.run(lambda: _open(root, segments), _Shared.release)
        except BaseException:
            self._leave(source)
            raise
        return OpenFile(shared, self.threads, partial(self._leave, source))

    async def names(self, root: Path, segments: Segments) -> list[str]:
        """Some names in a directory below `root`, all of them unless they are many. Raises StorageBusy and OSError."""
        return await self.threads.run(lambda: _names(root, segments), lambda _: None)

    def close(self) -> None:
        self.threads.close()

    def _enter(self, source: str) -> None:
        is_crowded = self._open.total() >= MAX_OPEN // 2
        if self._open.total() >= MAX_OPEN or (source and is_crowded and self._open[source] >= MAX_OF_SOURCE):
            raise StorageBusy
        self._open[source] += 1

    def _leave(self, source: str) -> None:
        self._open[source] -= 1
        if not self._open[source]:
            del self._open[source]


class OpenFile:
    """One file that is being sent."""

    def __init__(self, shared: "_Shared", threads: StorageThreads, closed: Callable[[], None]) -> None:
        self._shared = shared
        self._threads = threads
        self._closed = closed
        status = shared.status
        self.size = status.st_size
        self.version = Version(f'"{status.st_mtime_ns:x}-{status.st_ino:x}-{self.size:x}"', int(status.st_mtime))

    async def read(self, start: int, length: int) -> bytes:
        """Up to `length` bytes, fewer at the end of the file. Raises StorageBusy and OSError."""
        return await self._threads.run(lambda: self._shared.read(start, length), lambda _: None)

    def close(self) -> None:
        self._closed()
        self._threads.later(self._shared.release)


class _Shared:
    """A descriptor that is closed when nobody uses it any more: a read for which nobody waits may still be under way."""

    def __init__(self, descriptor: int, status: os.stat_result) -> None:
        self._descriptor = descriptor
        self._users = 1
        self._lock = Lock()
        self.status = status

    def read(self, start: int, length: int) -> bytes:
        with self._lock:
            if not self._users:
                return b""
            self._users += 1
        try:
            return os.pread(self._descriptor, length, start)
        finally:
            self.release()

    def release(self) -> None:
        with self._lock:
            self._users -= 1
            is_last = not self._users
        if is_last:
            os.close(self._descriptor)


def _open(root: Path, segments: Segments) -> _Shared:
    descriptor = open_below(root, segments)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise FileNotFoundError(errno.ENOENT, "not a regular file")
    except OSError:
        os.close(descriptor)
        raise
    return _Shared(descriptor, status)


def _names(root: Path, segments: Segments) -> list[str]:
    descriptor = open_below(root, segments)
    try:
        with os.scandir(descriptor) as entries:
            return sorted(entry.name for entry, _ in zip(entries, range(MAX_NAMES), strict=False))
    finally:
        os.close(descriptor)
