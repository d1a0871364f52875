"""What unpacking costs: the CPU for archives as servers send them, as a ratio to GNU tar over the same archives.

In memory, where reading, checking and hashing is what there is to it. On a disk, where every file is made to last, the clock on
the wall says what that adds.
"""

import random
import resource
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from statistics import median

from meetingpool.library.unpack import Limits, unpack

ARCHIVES, FILES, BYTES = 100, 127, 5_000_000
# The ratio to GNU tar, in memory.
GOAL_RATIO = 2.0

_LIMITS = Limits(max_bytes=1_000_000_000, max_files=10_000)
_MEMORY = Path("/dev/shm")  # noqa: S108


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpackCost:
    """For one archive: medians over the rounds, in seconds of CPU.

    `on_disk`: seconds on the clock, of which GNU tar takes fewer (`tar_on_disk`), since it leaves the writing to the kernel.
    """

    ratios: list[float]
    tar: float
    ours: float
    tar_on_disk: float
    on_disk: float

    @property
    def ratio(self) -> float:
        return median(self.ratios)


def measure_unpacking(*, quick: bool) -> UnpackCost:
    """Unpacks archives with GNU tar and with ours in turn, in memory and where the current directory is."""
    archives, rounds, on_disk = (10, 2, 2) if quick else (ARCHIVES, 7, 10)
    with _directory(_MEMORY) as memory, _directory(Path.cwd()) as disk:
        paths = list(_archives(memory, archives))
        costs = [
            (_cost(_tar, paths, memory, _cpu_of_children), _cost(_ours, paths, memory, time.process_time)) for _ in range(rounds)
        ]
        return UnpackCost(
            ratios=[ours / tar for tar, ours in costs],
            tar=median(tar for tar, _ in costs),
            ours=median(ours for _, ours in costs),
            tar_on_disk=_cost(_tar, paths[:on_disk], disk, time.perf_counter),
            on_disk=_cost(_ours, paths[:on_disk], disk, time.perf_counter),
        )


@contextmanager
def _directory(parent: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=parent, prefix="unpacking.") as name:
        yield Path(name)


def _cost(way: Callable[[Path, Path], None], archives: list[Path], parent: Path, clock: Callable[[], float]) -> float:
    """Seconds for each of the archives. Removing what they leave does not count."""
    seconds = 0.0
    target = parent / "target"
    for archive in archives:
        target.mkdir()
        began = clock()
        way(archive, target)
        seconds += clock() - began
        shutil.rmtree(target)
    return seconds / len(archives)


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _tar(archive: Path, target: Path) -> None:
    subprocess.run(["tar", "-xf", archive, "-C", target], check=True)  # noqa: S607


def _ours(archive: Path, target: Path) -> None:
    with archive.open("rb", buffering=0) as file:
        unpack(file.fileno(), target, _LIMITS, lambda *_: None)


def _archives(directory: Path, count: int) -> Iterator[Path]:
    """Each with one sound track and many slides, thumbnails and texts, of the sizes that these have."""
    draw = random.Random(1)
    content = draw.randbytes(BYTES)
    for number in range(count):
        path = directory / f"{number}.tar"
        with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
            for name, size in _files(draw):
                member = tarfile.TarInfo(f"presentation/{number:040x}-1700000000000/{name}")
                member.size = size
                archive.addfile(member, BytesIO(content[:size]))
        yield path


def _files(draw: random.Random) -> Iterator[tuple[str, int]]:
    yield "metadata.xml", 2_000
    pages = (FILES - 2) // 5
    left = BYTES - 2_000
    for page in range(pages):
        for folder, extension, size in (
            ("slides", "png", draw.randrange(40_000, 160_000)),
            ("slides", "svg", draw.randrange(10_000, 40_000)),
            ("slides/thumbnails", "png", draw.randrange(2_000, 8_000)),
            ("slides/textfiles", "txt", draw.randrange(100, 2_000)),
            ("slides/notes", "json", draw.randrange(0, 200)),
        ):
            left -= size
            yield f"{folder}/slide-{page + 1}.{extension}", size
    yield "audio/audio.webm", left
