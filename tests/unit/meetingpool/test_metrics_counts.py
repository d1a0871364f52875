import subprocess
import sys
from pathlib import Path

import pytest

from meetingpool.metrics import REQUEST_SECONDS, REQUESTS
from meetingpool.metrics_counts import SIZE, Counts
from tests.logs import Event, names_of

JOINS = (REQUESTS.key, "join", "ok")
JOIN_SECONDS = (REQUEST_SECONDS.key, "join")

COUNTING_PROCESS = """
import sys
from pathlib import Path
from meetingpool.metrics import REQUESTS
from meetingpool.metrics_counts import Counts
counter = Counts.of_process(Path(sys.argv[1]), "gateway").counter(REQUESTS, "join", "ok")
for _ in range(int(sys.argv[2])):
    counter.add()
print("counted", flush=True)
sys.stdin.readline()
"""


def counting_process(directory: Path, times: int) -> "subprocess.Popen[str]":
    """A gateway that has counted so many joins, and lives until it is told to die."""
    process = subprocess.Popen(
        [sys.executable, "-c", COUNTING_PROCESS, str(directory), str(times)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "counted\n"
    return process


def kill(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.communicate()


def joins(counts: Counts) -> float:
    return counts.totals()[JOINS][0]


def test_what_several_processes_count_is_added_up(tmp_path: Path) -> None:
    ours = Counts.of_process(tmp_path, "gateway")
    ours.counter(REQUESTS, "join", "ok").add()

    other = counting_process(tmp_path, 5)

    assert joins(ours) == 6
    assert ours.processes() == {"gateway": 2}
    kill(other)
    assert ours.processes() == {"gateway": 1}


def test_what_a_killed_process_counted_stays_and_is_counted_once_whoever_takes_its_place(tmp_path: Path) -> None:
    ours = Counts.of_process(tmp_path, "poller")
    kill(counting_process(tmp_path, 5))
    assert joins(ours) == 5

    second, third = counting_process(tmp_path, 3), counting_process(tmp_path, 2)

    assert joins(ours) == 10
    kill(second)
    kill(third)
    assert joins(ours) == 10
    assert len(list(tmp_path.rglob("gateway-*"))) == 2


def test_a_histogram_holds_how_many_fell_into_each_bucket_and_their_sum() -> None:
    counts = Counts.alone()
    histogram = counts.histogram(REQUEST_SECONDS, "join")

    for seconds in (0.001, 0.005, 0.006, 60.0):
        histogram.observe(seconds)

    *buckets, total = counts.totals()[JOIN_SECONDS]
    assert (buckets[0], buckets[1], buckets[-1], sum(buckets)) == (2, 1, 1, 4)
    assert total == pytest.approx(60.012)


def test_the_same_metric_with_the_same_labels_is_the_same_number() -> None:
    counts = Counts.alone()

    counts.counter(REQUESTS, "join", "ok").add()
    counts.counter(REQUESTS, "join", "ok").add()
    counts.counter(REQUESTS, "join", "busy").add()

    assert counts.totals() == {JOINS: [2.0], (REQUESTS.key, "join", "busy"): [1.0]}


def test_without_a_usable_directory_a_process_counts_for_itself(tmp_path: Path, logged: list[Event]) -> None:
    in_the_way = tmp_path / "metrics"
    in_the_way.touch()

    counts = Counts.of_process(tmp_path, "gateway")
    counts.counter(REQUESTS, "join", "ok").add()

    assert joins(counts) == 1
    assert names_of(logged) == ["metrics_of_this_process_only"]


def test_what_there_is_no_room_for_is_not_counted_and_harms_nothing(logged: list[Event]) -> None:
    counts = Counts.alone()
    for number in range(SIZE // 100):
        counts.histogram(REQUEST_SECONDS, f"call-{number}").observe(1.0)

    totals = counts.totals()

    assert 1000 < len(totals) < SIZE // 100
    assert {sum(numbers[:-1]) for numbers in totals.values()} == {1.0}
    assert set(names_of(logged)) == {"metrics_full"}


@pytest.mark.parametrize("content", [b"", b"x", bytes(range(64)), b"MPCOUNT1" + b"\xff" * 8 + b"\xff" * 500, b"\0" * SIZE])
def test_a_file_that_holds_something_else_is_begun_anew_and_read_as_nothing(tmp_path: Path, content: bytes) -> None:
    watcher = Counts.of_process(tmp_path, "poller")
    (directory,) = (tmp_path / "metrics").iterdir()
    (directory / "gateway-0.counts").write_bytes(content)
    assert watcher.totals() == {}

    Counts.of_process(tmp_path, "gateway").counter(REQUESTS, "join", "ok").add()

    assert watcher.totals() == {JOINS: [1.0]}
