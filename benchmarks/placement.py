"""How evenly Meetingpool spreads people beside other load balancers, on traces that are made up: no process, no clock.

Fortnights for pools of several sizes, with several seeds and poll intervals. Counted are the second week, when rooms are known,
and the first day, when none is; and harder days than usual.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from admin.simulation.comparison import Case, Outcome, Period, play_all
from admin.simulation.generate import Profile

OURS, BBBLB, SCALELITE = "meetingpool", "bbblb", "scalelite"
POLICIES = (OURS, BBBLB, SCALELITE)
INTERVALS = (15.0, 60.0)
SECOND_WEEK, FIRST_DAY = "second week", "first day"
_WEEK = (Period(name=SECOND_WEEK, from_day=7), Period(name=FIRST_DAY, from_day=0, to_day=0))
# The Wednesday of the second week.
_EXAM = 9

_HEAD = (
    f"{'days':<16}{'counted':<13}{'excess':>8}{'bbblb':>8}{'scalelite':>11}"
    f"{'of bbblb':>10}{'of scalelite':>14}{'99 % of bbblb':>15}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Days:
    """A kind of days: `profile` says what they are like, on pools of `servers`, with so many `seeds`."""

    name: str
    profile: Profile
    servers: tuple[int, ...] = (10, 40)
    seeds: int = 4
    periods: tuple[Period, ...] = _WEEK


USUAL = "usual days"
_USUAL = Profile(servers=1)
SUITE = (
    Days(name=USUAL, profile=_USUAL, servers=(10, 40, 100)),
    Days(name="half ad hoc", profile=replace(_USUAL, ad_hoc=0.5, ad_hoc_users=6.0, ad_hoc_tail=1.2)),
    Days(name="sizes vary", profile=replace(_USUAL, size_noise=0.7)),
    Days(name="many cancelled", profile=replace(_USUAL, cancelled=0.4)),
    Days(name="rooms change", profile=replace(_USUAL, changing=0.5)),
    Days(
        name="an exam day",
        profile=replace(_USUAL, exam_day=_EXAM, days=_EXAM + 1),
        seeds=8,
        periods=(Period(name="exam day", from_day=_EXAM, to_day=_EXAM),),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spreads:
    """Of one kind of days and one period, by policy: the mean excess and the 99th percentile, averaged over pools."""

    days: str
    period: str
    excess: dict[str, float]
    p99: dict[str, float]

    def excess_ratio(self, other: str) -> float:
        return self.excess[OURS] / self.excess[other]

    def p99_ratio(self, other: str) -> float:
        return self.p99[OURS] / self.p99[other]


def measure_placement(*, quick: bool) -> list[Spreads]:
    """Plays the suite on all processors. `quick`: one seed, and small pools."""
    found: list[Spreads] = []
    for days in SUITE:
        if quick:
            days = replace(days, servers=(10,), seeds=1)
        outcomes = play_all(list(_cases(days)), os.cpu_count() or 1, lambda _: None)
        found.extend(_spreads(days, period.name, outcomes) for period in days.periods)
    return found


def _cases(days: Days) -> Iterator[Case]:
    for servers in days.servers:
        for seed in range(1, days.seeds + 1):
            yield Case(
                source=replace(days.profile, servers=servers, seed=seed),
                servers=servers,
                seed=seed,
                policies=POLICIES,
                poll_intervals=INTERVALS,
                periods=days.periods,
            )


def _spreads(days: Days, period: str, outcomes: Sequence[Outcome]) -> Spreads:
    chosen = [outcome for outcome in outcomes if outcome.period == period]
    return Spreads(
        days=days.name,
        period=period,
        excess={policy: _over_pools(chosen, policy, "excess") for policy in POLICIES},
        p99={policy: _over_pools(chosen, policy, "p99") for policy in POLICIES},
    )


def _over_pools(outcomes: Sequence[Outcome], policy: str, name: str) -> float:
    """The average of what the pools of each size have on average."""
    pools = {outcome.servers for outcome in outcomes}
    return fmean(
        fmean(getattr(each.figures, name) for each in outcomes if each.policy == policy and each.servers == servers)
        for servers in pools
    )


def placement_table(found: Sequence[Spreads]) -> str:
    lines = [
        "Placement: the hottest server's people above what nobody can avoid; Meetingpool's as a part of others'",
        "",
        _HEAD,
        *(_row(each) for each in found),
        "",
        *_verdicts(found),
    ]
    return "\n".join(lines)


def _row(each: Spreads) -> str:
    excess = each.excess
    figures = f"{excess[OURS]:>8.3f}{excess[BBBLB]:>8.3f}{excess[SCALELITE]:>11.3f}"
    ratios = f"{each.excess_ratio(BBBLB):>10.2f}{each.excess_ratio(SCALELITE):>14.2f}{each.p99_ratio(BBBLB):>15.2f}"
    return f"{each.days:<16}{each.period:<13}{figures}{ratios}"


def _verdicts(found: Sequence[Spreads]) -> Iterator[str]:
    for each in found:
        is_proof = each.days == USUAL and each.period == SECOND_WEEK
        where, of_bbblb = f"{each.days}, {each.period}", each.excess_ratio(BBBLB)
        yield _verdict(f"{where}: excess of bbblb's", of_bbblb, 0.8 if is_proof else 1.0)
        yield _verdict(f"{where}: 99th percentile of bbblb's", each.p99_ratio(BBBLB), 1.0)
        if is_proof:
            yield _verdict(f"{where}: excess of scalelite's", each.excess_ratio(SCALELITE), 0.65)


def _verdict(what: str, ratio: float, most: float) -> str:
    return f"{what}: {ratio:.2f}, goal {most:g} at most: {'met' if ratio <= most else 'MISSED'}"


def placement_json(found: Sequence[Spreads]) -> list[dict[str, Any]]:
    return [{"days": each.days, "period": each.period, "excess": each.excess, "p99": each.p99} for each in found]
