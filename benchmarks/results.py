"""Results as a table to read and as JSON to keep."""

from collections.abc import Sequence
from typing import Any

from benchmarks.calls import CallCost
from benchmarks.poll_round import GOAL_SECONDS, MEETINGS, PEOPLE, SERVERS, PollCost


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


def calls_table(costs: Sequence[CallCost], bare: float) -> str:
    """A row per call: the ratio to the bare route, its spread over the rounds, and the part of it that is PostgreSQL's."""
    lines = [
        f"Calls: CPU of the gateway and PostgreSQL per request, as a ratio to a bare route ({bare * 1e6:.0f} us)",
        "",
        f"{'call':<32}{'ratio':>7}{'lowest':>8}{'highest':>8}{'goal':>6}  {'':<7}{'PostgreSQL':>10}{'requests':>9}{'errors':>7}",
        *map(_call_row, costs),
        *(f"\n{cost.name}: {cost.first_error}" for cost in costs if cost.errors),
    ]
    return "\n".join(lines)


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


def calls_json(costs: Sequence[CallCost], bare: float) -> dict[str, Any]:
    """All times in seconds of CPU per request."""
    return {
        "bare_route": bare,
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
            for cost in costs
        ],
    }
