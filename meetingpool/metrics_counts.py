"""What processes count: numbers in a file that is mapped into memory, so that counting is an addition and nothing else.

Each process has a file of its own, and nobody else writes to it. Whoever reads adds up the files of the directory, those of
processes that are gone included. A process that starts takes over such a file and goes on counting where the other one stopped.
So what a dead process counted neither vanishes nor counts twice, and there are only ever as many files as there were processes
at the same time. docs/decisions/0021-metrics.md.

A file: how many bytes of it are used, then records of a key and its numbers, all of eight bytes and at multiples of eight.
"""

import fcntl
import mmap
import os
import socket
import struct
from bisect import bisect_left
from collections import Counter as Tally
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from meetingpool.logs import get_logger
from meetingpool.metrics import Metric

# Room for a few thousand servers and calls. What does not fit is not counted.
SIZE = 2 * 1024 * 1024
_WORD = 8
_BEGIN = 2 * _WORD
_MAGIC = 0x31544E554F43504D
_HEADER = struct.Struct("<QQ")
_LENGTHS = struct.Struct("<II")
_SUFFIX = ".counts"
_SEPARATOR = "\x1f"

log = get_logger()

Key = tuple[str, ...]
# The numbers of each metric and its labels.
Totals = dict[Key, list[float]]


class Counter:
    """One number that grows."""

    __slots__ = ("_at", "_cells")

    def __init__(self, cells: "memoryview[float]", at: int) -> None:
        self._cells = cells
        self._at = at

    def add(self) -> None:
        self._cells[self._at] += 1.0


class Histogram:
    """How many were how large, and their sum."""

    __slots__ = ("_at", "_bounds", "_cells", "_sum_at")

    def __init__(self, cells: "memoryview[float]", at: int, bounds: tuple[float, ...]) -> None:
        self._cells = cells
        self._at = at
        self._bounds = bounds
        self._sum_at = at + len(bounds) + 1

    def observe(self, value: float) -> None:
        cells = self._cells
        cells[self._at + bisect_left(self._bounds, value)] += 1.0
        cells[self._sum_at] += value


@dataclass(slots=True)
class Counts:
    """What this process counts. `directory`: where the files of all processes of this machine are; None: it counts for itself."""

    memory: mmap.mmap
    directory: Path | None = None
    # Kept open, since closing it would give the file free.
    lock: int | None = None
    _places: dict[Key, int] = field(default_factory=dict)
    _cells: "memoryview[float]" = field(init=False)
    _nowhere: "memoryview[float]" = field(init=False)

    def __post_init__(self) -> None:
        self._cells = memoryview(self.memory).cast("d")
        # Where those count for which there is no room.
        self._nowhere = memoryview(bytearray(64 * _WORD)).cast("d")
        magic, used = _HEADER.unpack_from(self.memory)
        if magic != _MAGIC or used > SIZE // 2:
            # New, of another form, or half full of servers that are long gone.
            self.memory[:] = bytes(SIZE)
            _HEADER.pack_into(self.memory, 0, _MAGIC, _BEGIN)
        self._places = {key: at for key, at, _ in _records(self.memory)}

    @classmethod
    def alone(cls) -> Self:
        """For a process that nobody asks, or that cannot have a file."""
        return cls(mmap.mmap(-1, SIZE))

    @classmethod
    def of_process(cls, data_dir: Path, process: str) -> Self:
        """Goes on counting in the first free file of `process`, in the data directory; alone, if there can be none."""
        directory = data_dir / "metrics" / socket.gethostname()
        try:
            directory.mkdir(parents=True, exist_ok=True)
            descriptor = _take_file(directory, process)
            try:
                # All of it now: a disk that is full later must not be found out about by writing to memory.
                os.posix_fallocate(descriptor, 0, SIZE)
                return cls(mmap.mmap(descriptor, SIZE), directory, descriptor)
            except OSError:
                os.close(descriptor)
                raise
        except OSError as error:
            log.warning("metrics_of_this_process_only", directory=str(directory), reason=error.strerror)
            return cls.alone()

    def counter(self, metric: Metric, *labels: str) -> Counter:
        return Counter(*self._place(metric, labels))

    def histogram(self, metric: Metric, *labels: str) -> Histogram:
        return Histogram(*self._place(metric, labels), metric.bounds)

    def totals(self) -> Totals:
        """What all processes of this machine counted. Raises OSError."""
        totals: Totals = {}
        for content in self._contents():
            for key, _, numbers in _records(content):
                known = totals.get(key, [0.0] * len(numbers))
                if len(known) == len(numbers):
                    totals[key] = [one + other for one, other in zip(known, numbers, strict=True)]
        return totals

    def processes(self) -> Tally[str]:
        """How many processes of each kind count now."""
        return Tally(path.name.partition("-")[0] for path in self._files() if _is_held(path))

    def _place(self, metric: Metric, labels: Key) -> "tuple[memoryview[float], int]":
        key = (metric.key, *labels)
        at = self._places.get(key)
        if at is None:
            at = self._append(key, metric.cells)
            self._places[key] = at
        return (self._cells, at // _WORD) if at else (self._nowhere, 0)

    def _append(self, key: Key, cells: int) -> int:
        """Where the numbers of a new record are; 0 if it does not fit."""
        name = _SEPARATOR.join(key).encode()
        begin: int = _HEADER.unpack_from(self.memory)[1]
        numbers = begin + _rounded(_LENGTHS.size + len(name))
        end = numbers + cells * _WORD
        if end > SIZE:
            log.warning("metrics_full", metric=key[0])
            return 0
        self.memory[begin + _LENGTHS.size : begin + _LENGTHS.size + len(name)] = name
        _LENGTHS.pack_into(self.memory, begin, len(name), cells)
        # Last: whoever reads meanwhile sees whole records only.
        _HEADER.pack_into(self.memory, 0, _MAGIC, end)
        return numbers

    def _files(self) -> list[Path]:
        return sorted(self.directory.glob(f"*{_SUFFIX}")) if self.directory else []

    def _contents(self) -> Iterator[bytes]:
        if self.directory is None:
            yield self.memory[: _HEADER.unpack_from(self.memory)[1]]
        for path in self._files():
            with path.open("rb", buffering=0) as file:
                header = file.read(_HEADER.size)
                if len(header) == _HEADER.size and header[:_WORD] == _MAGIC.to_bytes(_WORD, "little"):
                    yield header + file.read(min(SIZE, _HEADER.unpack(header)[1]) - _HEADER.size)


def _take_file(directory: Path, process: str) -> int:
    """Opens and locks the first file of `process` that no process has. Raises OSError."""
    for number in range(1000):
        descriptor = os.open(directory / f"{process}-{number}{_SUFFIX}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
        else:
            return descriptor
    raise OSError(0, "all files are taken")


def _is_held(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def _records(content: "bytes | mmap.mmap") -> Iterator[tuple[Key, int, list[float]]]:
    """The key of each record, where its numbers are, and the numbers. Ends where a power cut left something else."""
    used = min(_HEADER.unpack_from(content)[1], len(content))
    at = _BEGIN
    while at + _LENGTHS.size < used:
        length, cells = _LENGTHS.unpack_from(content, at)
        name = content[at + _LENGTHS.size : at + _LENGTHS.size + length].decode(errors="replace")
        at += _rounded(_LENGTHS.size + length)
        if not name or at + cells * _WORD > used:
            return
        yield tuple(name.split(_SEPARATOR)), at, list(struct.unpack_from(f"={cells}d", content, at))
        at += cells * _WORD


def _rounded(length: int) -> int:
    return (length + _WORD - 1) // _WORD * _WORD
