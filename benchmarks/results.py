"""Results as a table to read and as JSON to keep."""

from typing import Any

from benchmarks.calls import CallCost, CallCosts
from benchmarks.neighbours import CLIENTS
from benchmarks.poll_round import GOAL_SECONDS, MEETINGS, PEOPLE, SERVERS, PollCost

# Bytes for each worker, and the part of their rate that the neighbours of a hung server's clients keep.
GOAL_MEMORY = 60_000_000
GOAL_BESIDE_HUNG = 0.8


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
        f"{'call':<32}{'ratio':>7}{'lowest':>8}{'highest':>8}{'goal':>6}  {'':<7}{'PostgreSQL':>10}{'requests':>9}{'errors':>7}",
        *map(_call_row, calls.costs),
        *(f"\n{cost.name}: {cost.first_error}" for cost in calls.costs if cost.errors),
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


def calls_json(calls: CallCosts) -> dict[str, Any]:
    """All times in seconds of CPU per request, memory in bytes."""
    return {
        "bare_route": calls.bare,
        "memory": calls.memory,
        "memory_after_rush": calls.memory_after_rush,
        "beside_hung": calls.beside_hung,
        "calls": [
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
            for cost in calls.costs
        ],
    }
