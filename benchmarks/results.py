"""Results as a table to read and as JSON to keep."""

from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks.calls import CallCost, CallCosts
from benchmarks.neighbours import CLIENTS
from benchmarks.poll_round import GOAL_SECONDS, MEETINGS, PEOPLE, SERVERS, PollCost
from benchmarks.recordings import RECORDINGS, RecordingCosts
from benchmarks.unpacking import BYTES, FILES, GOAL_RATIO, UnpackCost

# Bytes for each worker, and the part of their rate that the neighbours of a hung server's clients keep.
GOAL_MEMORY = 60_000_000
GOAL_BESIDE_HUNG = 0.8
# Bytes for a list of a whole library, however large it is.
GOAL_MEMORY_OF_LIST = 20_000_000


def polls_table(cost: PollCost) -> str:
    """One round of polls, in milliseconds of CPU and as a ratio to fetching the same documents."""
    lines = [
        f"A round of polls over {SERVERS} servers, {MEETINGS} meetings each, {PEOPLE} people in each",
        f"median of {len(cost.rounds)} rounds, one every {cost.interval:g} s",
        "",
        f"{'':<24}{'CPU ms':>8}{'ratio':>8}",
        *(
            f"{name:<24}{seconds * 1000:>8.0f}{seconds / cost.bare:>8.2f}"
            for name, seconds in (
                ("bare fetch", cost.bare),
                ("poller", cost.poller),
                ("PostgreSQL", cost.database),
                ("poller and PostgreSQL", cost.total),
            )
        ),
        "",
        f"goal: {GOAL_SECONDS * 1000:.0f} ms in all: {_verdict(cost.total, GOAL_SECONDS)}",
    ]
    return "\n".join(lines)


def calls_table(calls: CallCosts) -> str:
    """A row per call: the ratio to the bare route, its spread over the rounds, and the part of it that is PostgreSQL's."""
    lines = [
        f"Calls: CPU of the gateway and PostgreSQL per request, as a ratio to a bare route ({calls.bare * 1e6:.0f} us)",
        "",
        *_call_rows(calls.costs),
        "",
        _beyond("memory of the gateway in MB", f"{calls.memory / 1e6:.0f}", "at most 60", met=calls.memory <= GOAL_MEMORY),
        f"the same after a rush of new meetings: {calls.memory_after_rush / 1e6:.0f}",
        _beyond(
            f"rate beside {CLIENTS} clients of a hung server, of the rate without them",
            f"{calls.beside_hung:.0%}",
            "at least 80%",
            met=calls.beside_hung >= GOAL_BESIDE_HUNG,
        ),
    ]
    return "\n".join(lines)


def unpacking_table(cost: UnpackCost) -> str:
    """The ratio to GNU tar, its spread over the rounds, and what it costs that files last."""
    lines = [
        f"Unpacking an archive of {BYTES / 1e6:g} MB in {FILES} files, in memory, as a ratio to GNU tar",
        "",
        f"{'':<24}{'CPU ms':>8}{'ratio':>8}{'lowest':>8}{'highest':>8}",
        f"{'GNU tar':<24}{cost.tar * 1000:>8.1f}{1:>8.2f}",
        f"{'unpack':<24}{cost.ours * 1000:>8.1f}{cost.ratio:>8.2f}{min(cost.ratios):>8.2f}{max(cost.ratios):>8.2f}",
        "",
        f"goal: a ratio of {GOAL_RATIO:g}: {_verdict(cost.ratio, GOAL_RATIO)}",
        f"on this disk: {cost.on_disk * 1000:.0f} ms on the clock until all files last, GNU tar {cost.tar_on_disk * 1000:.0f} ms",
    ]
    return "\n".join(lines)


def recordings_table(recordings: RecordingCosts) -> str:
    """As `calls_table`."""
    lines = [
        f"getRecordings among {RECORDINGS:,} recordings, as a ratio to a bare route ({recordings.bare * 1e6:.0f} us)",
        "",
        *_call_rows(recordings.costs),
        "",
        _beyond(
            "memory that a list of all of them takes, in MB",
            f"{recordings.memory_of_list / 1e6:.0f}",
            "less than 20",
            met=recordings.memory_of_list < GOAL_MEMORY_OF_LIST,
        ),
    ]
    return "\n".join(lines)


def _call_rows(costs: Sequence[CallCost]) -> Iterator[str]:
    yield (
        f"{'call':<32}{'ratio':>7}{'lowest':>8}{'highest':>8}{'goal':>6}  {'':<7}{'PostgreSQL':>10}{'requests':>9}{'errors':>7}"
    )
    yield from map(_call_row, costs)
    yield from (f"\n{cost.name}: {cost.first_error}" for cost in costs if cost.errors)


def _beyond(what: str, value: str, goal: str, *, met: bool) -> str:
    return f"{what}: {value}, goal {goal}: {'met' if met else 'missed'}"


def _call_row(cost: CallCost) -> str:
    return (
        f"{cost.name:<32}{cost.ratio:>7.1f}{min(cost.ratios):>8.1f}{max(cost.ratios):>8.1f}{_goal(cost.goal)}  "
        f"{_verdict(cost.ratio, cost.goal):<7}{cost.database_share:>10.0%}{cost.requests:>9}{cost.errors:>7}"
    )


def _goal(goal: float | None) -> str:
    return " " * 6 if goal is None else f"{goal:>6g}"


def _verdict(value: float, goal: float | None) -> str:
    if goal is None:
        return ""
    return "met" if value <= goal else "missed"


def polls_json(cost: PollCost) -> dict[str, Any]:
    """All times in seconds of CPU."""
    return {
        "interval": cost.interval,
        "bare_fetch": cost.bare,
        "poller": cost.poller,
        "database": cost.database,
        "total": cost.total,
        "goal": GOAL_SECONDS,
        "ratio": cost.ratio,
        "rounds": [{"poller": each.poller, "database": each.database} for each in cost.rounds],
    }


def unpacking_json(cost: UnpackCost) -> dict[str, Any]:
    """Seconds for each archive: of CPU, and of the clock on the disk."""
    return {
        "tar": cost.tar,
        "unpack": cost.ours,
        "ratios": cost.ratios,
        "ratio": cost.ratio,
        "goal": GOAL_RATIO,
        "tar_on_disk": cost.tar_on_disk,
        "unpack_on_disk": cost.on_disk,
    }


def calls_json(calls: CallCosts) -> dict[str, Any]:
    """All times in seconds of CPU per request, memory in bytes."""
    return {
        "bare_route": calls.bare,
        "memory": calls.memory,
        "memory_after_rush": calls.memory_after_rush,
        "beside_hung": calls.beside_hung,
        "calls": _costs_json(calls.costs),
    }


def recordings_json(recordings: RecordingCosts) -> dict[str, Any]:
    """As `calls_json`."""
    return {
        "bare_route": recordings.bare,
        "memory_of_list": recordings.memory_of_list,
        "calls": _costs_json(recordings.costs),
    }


def _costs_json(costs: Sequence[CallCost]) -> list[dict[str, Any]]:
    return [
        {
            "name": cost.name,
            "ratio": cost.ratio,
            "goal": cost.goal,
            "ratios": cost.ratios,
            "gateway": cost.gateway,
            "database": cost.database,
            "requests": cost.requests,
            "errors": cost.errors,
        }
        for cost in costs
    ]
