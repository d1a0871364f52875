"""The bytes of an archive, in order, through one buffer. Called by `archive.py`."""

import os
from collections.abc import Callable, Iterator

from meetingpool.library.refusals import ArchiveIncomplete

BLOCK = 512
# As much as stays in the processor's cache between the read, the digest and the write.
_BUFFER = 512 * BLOCK


class Blocks:
    """`watch` is told with every read how many bytes were read so far."""

    def __init__(self, descriptor: int, watch: Callable[[int], None]) -> None:
        self._descriptor = descriptor
        self._watch = watch
        self._buffer = memoryview(bytearray(_BUFFER))
        self._begin = self._end = 0
        self._bytes_read = 0

    def block(self) -> bytes:
        """The next block. Raises ArchiveIncomplete when the file ends before it does."""
        while self._end - self._begin < BLOCK:
            if not self._read():
                raise ArchiveIncomplete
        begin = self._begin
        self._begin = begin + BLOCK
        return bytes(self._buffer[begin : self._begin])

    def begin(self) -> bytes:
        """How the file begins: a block, or all that there is. To be called before anything else."""
        while self._end < BLOCK and self._read():
            pass
        return bytes(self._buffer[: min(self._end, BLOCK)])

    def content(self, size: int) -> Iterator[memoryview]:
        """The next `size` bytes in pieces, each good until the next one is asked for, and then to the end of the block."""
        padding = -size % BLOCK
        while size:
            if self._begin == self._end and not self._read():
                raise ArchiveIncomplete
            begin = self._begin
            self._begin = min(self._end, begin + size)
            size -= self._begin - begin
            yield self._buffer[begin : self._begin]
        while self._end - self._begin < padding:
            if not self._read():
                raise ArchiveIncomplete
        self._begin += padding

    def rest(self) -> Iterator[memoryview]:
        """What is left of the file, in pieces."""
        while self._begin < self._end or self._read():
            begin, self._begin = self._begin, self._end
            yield self._buffer[begin : self._end]

    def _read(self) -> int:
        """Fills the buffer, after what is left of it. 0 at the end of the file."""
        left = self._end - self._begin
        self._buffer[:left] = self._buffer[self._begin : self._end]
        count = os.readv(self._descriptor, [self._buffer[left:]])
        self._begin, self._end = 0, left + count
        self._bytes_read += count
        self._watch(self._bytes_read)
        return count
