"""`python -m tests.fuzz.archives`: spoils archives and unpacks them, and looks at what became of them.

An archive is unpacked, refused, or incomplete. Of one that is unpacked, another reader must say that the same is in it.
"""

import argparse
import multiprocessing
import os
import random
import resource
import shutil
import sys
import tarfile
import tempfile
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from pathlib import Path

from meetingpool.library.unpack import ArchiveIncomplete, ArchiveRefused, Limits, UnpackedTree, unpack
from tests.raw_tar import GNU, TREE, V7, extended, files_in, long_name, member, recording, with_checksum

CASES_A_RUN = 20_000

_LIMITS = Limits(max_bytes=100_000, max_files=50)
_FAILURES_KEPT = 20

SEEDS = [
    recording(member(f"{TREE}/a.png", b"a" * 700), member(f"{TREE}/d/", kind=b"5"), member(f"{TREE}/d/b", b"b")),
    recording(extended(("path", f"{TREE}/ü.png"), ("mtime", "1.5"), ("size", "3")) + member("x", b"abc"), member(f"{TREE}/c")),
    recording(long_name(f"{TREE}/{'l' * 120}".encode()) + member("x", b"long", magic=GNU), member(f"./{TREE}/z", magic=GNU)),
    recording(member(f"{TREE}/d/", kind=b"\0", magic=V7), member(f"{TREE}/d/x", b"x" * 513, kind=b"\0", magic=V7)),
    recording(
        extended(("comment", "g"), kind=b"g"),
        member("x", b"prefixed", prefix=TREE.encode()),
        member(TREE.replace("presentation", "video") + "/metadata.xml", b"<recording/>"),
        tree=f"published/{TREE}",
    ),
]

# Where fields of a header begin, and how long they are.
_FIELDS = [(0, 100), (100, 8), (124, 12), (148, 8), (156, 1), (157, 100), (257, 8), (345, 155)]
_VALUES = [
    *(b"", b"\0", b" ", b"/", b".", b"..", b"../x", b"./", b"a\0b", b"\xff" * 12, b"\x80" + bytes(11), b"\x80" + b"\xff" * 11),
    *(b"00000000001\0", b"77777777777\0", b"0004755\0", b"-1", b"+1", b" 1", b"1 ", b"0x1", b"ustar\x0000", b"ustar  \0"),
    *(b"0", b"1", b"2", b"3", b"5", b"6", b"7", b"L", b"K", b"x", b"g", b"S", b"D", b"X", b"A"),
    *(TREE.encode(), f"{TREE}/".encode(), f"{TREE}/metadata.xml".encode(), "é".encode(), b"e\xcc\x81", b"CON", b"x."),
]
_EXTRA = [
    *(bytes(512), bytes(1024), b"\xff" * 512, extended(("path", f"{TREE}/p")), extended(("size", "1")), extended(("size", "99"))),
    *(extended(("linkpath", "x")), extended(("path", "../x")), long_name(b"x"), long_name(f"{TREE}/n/".encode())),
    *(extended(("comment", "x"), kind=b"g"), member(f"{TREE}/A.PNG", b"twin"), member(f"{TREE}/e", kind=b"5")),
]


@dataclass(slots=True)
class Outcome:
    """How often archives came to what, and what was wrong."""

    ends: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    memory: int = 0

    def add(self, other: "Outcome") -> None:
        self.ends += other.ends
        self.failures += other.failures[: _FAILURES_KEPT - len(self.failures)]
        self.memory = max(self.memory, other.memory)

    def __str__(self) -> str:
        ends = (f"{count:>9} {end}" for end, count in self.ends.most_common())
        return "\n".join([*ends, f"{self.memory / 1e6:.0f} MB of memory at most", *self.failures])


def run(seed: int, cases: int) -> Outcome:
    """Spoils and unpacks that many archives, always the same ones for a `seed`."""
    outcome = Outcome()
    # In memory where there is such a place: every file is made to last.
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108, PTH112
    with tempfile.TemporaryDirectory(dir=memory) as directory, tempfile.TemporaryFile(buffering=0) as file:
        for number in range(cases):
            archive = spoilt(random.Random(f"{seed} {number}"))
            file.truncate(0)
            os.pwrite(file.fileno(), archive, 0)
            file.seek(0)
            try:
                outcome.ends[_end(archive, file.fileno(), Path(directory))] += 1
            except Exception as error:  # noqa: BLE001 - whatever comes out is what this looks for
                outcome.failures.append(f"seed {seed}, case {number}: {error!r}")
    outcome.memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return outcome


def spoilt(draw: random.Random) -> bytes:
    """One of the seeds, changed in a few places."""
    archive = bytearray(draw.choice(SEEDS))
    for _ in range(draw.choice((1, 1, 1, 2, 3, 5))):
        draw.choice(_WAYS)(draw, archive)
    return bytes(archive)


def _end(archive: bytes, descriptor: int, directory: Path) -> str:
    """What became of the archive. Raises AssertionError when it was unpacked and should not have been."""
    target = directory / "target"
    target.mkdir()
    try:
        trees = unpack(descriptor, target, _LIMITS, lambda *_: None)
    except ArchiveRefused as error:
        return _reason(error)
    except ArchiveIncomplete:
        return "incomplete"
    else:
        _check(archive, trees, target)
        return "unpacked"
    finally:
        assert [path.name for path in directory.iterdir()] == ["target"]
        shutil.rmtree(target)


def _reason(error: ArchiveRefused) -> str:
    assert error.detail.isprintable()
    assert len(error.detail) <= 200
    return error.reason


def _check(archive: bytes, trees: tuple[UnpackedTree, ...], target: Path) -> None:
    """What lies there is what the manifests say, and what Python's own reader finds."""
    found = {path: content for path, content in files_in(target).items() if content is not None}
    listed = {f"{tree.format}/{tree.record_id}/{entry.path}": entry for tree in trees for entry in tree.manifest.entries}
    assert {path: len(content) for path, content in found.items()} == {path: entry.bytes for path, entry in listed.items()}
    with tarfile.open(fileobj=BytesIO(archive), mode="r:") as other:
        members = {_placed(each.name, trees): other.extractfile(each) for each in other if each.isreg()}
        assert {path: content.read() for path, content in members.items() if content} == found


def _placed(name: str, trees: tuple[UnpackedTree, ...]) -> str:
    places = [name.find(f"{tree.format}/{tree.record_id}/") for tree in trees]
    return name[min(place for place in places if place >= 0) :]


def _block(draw: random.Random, archive: bytearray) -> int:
    return draw.randrange(max(1, len(archive) // 512)) * 512


def _flip(draw: random.Random, archive: bytearray) -> None:
    if archive:
        archive[draw.randrange(len(archive))] ^= 1 << draw.randrange(8)


def _cut(draw: random.Random, archive: bytearray) -> None:
    del archive[draw.randrange(len(archive) + 1) :]


def _set_field(draw: random.Random, archive: bytearray) -> None:
    """Another value in a field of a header, with a checksum that is right."""
    block = _block(draw, archive)
    begin, length = draw.choice(_FIELDS)
    value = draw.choice(_VALUES)[:length]
    if draw.random() < 0.5:
        value = value.ljust(length, b"\0")
    archive[block + begin : block + begin + len(value)] = value
    _repair(archive, block)


def _set_bytes(draw: random.Random, archive: bytearray) -> None:
    block = _block(draw, archive)
    at = block + draw.randrange(512)
    archive[at : at + 1] = draw.randbytes(1)
    _repair(archive, block)


def _repair(archive: bytearray, block: int) -> None:
    if len(archive) >= block + 512:
        archive[block : block + 512] = with_checksum(bytes(archive[block : block + 512]))


def _remove(draw: random.Random, archive: bytearray) -> None:
    block = _block(draw, archive)
    del archive[block : block + 512]


def _repeat(draw: random.Random, archive: bytearray) -> None:
    block, length = _block(draw, archive), 512 * draw.randrange(1, 4)
    archive[block:block] = archive[block : block + length]


def _insert(draw: random.Random, archive: bytearray) -> None:
    block = _block(draw, archive)
    archive[block:block] = draw.choice(_EXTRA)


def _splice(draw: random.Random, archive: bytearray) -> None:
    other = bytearray(draw.choice(SEEDS))
    archive[_block(draw, archive) :] = other[_block(draw, other) :]


def _append(draw: random.Random, archive: bytearray) -> None:
    archive += draw.choice((bytes(9728), bytes(1), b"x", b"\0x", *_EXTRA))


_WAYS: list[Callable[[random.Random, bytearray], None]] = [
    *(_flip, _cut, _set_field, _set_field, _set_bytes, _remove, _repeat, _insert, _splice, _append),
]


def main() -> int:
    """The exit code: 0 when nothing was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.archives", description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000, metavar="N", help="how many in all (default: 100000)")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, metavar="N", help="how many at once")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help=f"of the first run of {CASES_A_RUN}; the next count on")
    options = parser.parse_args()
    seeds = range(options.seed, options.seed + max(1, options.cases // CASES_A_RUN))
    outcome = Outcome()
    with ProcessPoolExecutor(options.processes, multiprocessing.get_context("spawn")) as processes:
        for done in processes.map(partial(run, cases=min(options.cases, CASES_A_RUN)), seeds):
            outcome.add(done)
            sys.stderr.write(f"{outcome.ends.total()} archives, {len(outcome.failures)} failures\n")
    sys.stdout.write(f"{outcome}\n")
    return 1 if outcome.failures else 0


if __name__ == "__main__":
    sys.exit(main())
