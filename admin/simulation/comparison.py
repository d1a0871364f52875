"""Plays many traces with many policies, in several processes, and says how the policies compare."""

import os
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, fields
from multiprocessing import get_context, parent_process
from pathlib import Path
from signal import SIG_DFL, SIGINT, signal
from statistics import fmean
from threading import Thread

from admin.simulation.figures import Figures, figures_of
from admin.simulation.generate import Profile, generate
from admin.simulation.policies.names import make_policy
from admin.simulation.replay import replay
from admin.simulation.runs import Run, runs_of
from admin.simulation.trace import read_trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """Days of a trace that are looked at, the last one included; None: from its begin, or to its end."""

    name: str = "all"
    from_day: int | None = None
    to_day: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A trace, made up or read, that is played with each policy and each poll interval. `seed`: of what policies draw."""

    source: Profile | Path
    servers: int
    seed: int
    policies: tuple[str, ...]
    poll_intervals: tuple[float, ...]
    periods: tuple[Period, ...]
    capacity: int = 200

    @property
    def plays(self) -> int:
        return len(self.policies) * len(self.poll_intervals)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How it went for one policy in one period."""

    policy: str
    servers: int
    seed: int
    poll_interval: float
    period: str
    figures: Figures


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Figures of a policy on pools of one size, or of all (None), averaged; and as parts of those of the reference."""

    policy: str
    servers: int | None
    excess: float
    p99: float
    crowded_minutes: float
    excess_ratio: float | None
    p99_ratio: float | None


def play(case: Case) -> list[Outcome]:
    """Raises NothingBusy, InvalidTrace or Refused."""
    source = case.source
    runs, _ = runs_of(generate(source) if isinstance(source, Profile) else read_trace(source))
    return [
        outcome
        for poll_interval in case.poll_intervals
        for policy in case.policies
        for outcome in _outcomes(case, runs, policy, poll_interval)
    ]


def _outcomes(case: Case, runs: Sequence[Run], policy: str, poll_interval: float) -> list[Outcome]:
    chosen = make_policy(policy, runs, case.servers, case.seed)
    played = replay(runs, chosen, servers=case.servers, poll_interval=poll_interval, capacity=case.capacity)
    return [
        Outcome(
            policy=policy,
            servers=case.servers,
            seed=case.seed,
            poll_interval=poll_interval,
            period=period.name,
            figures=figures_of(played, period.from_day, period.to_day),
        )
        for period in case.periods
    ]


def play_all(cases: Collection[Case], processes: int, done: Callable[[Case], None]) -> list[Outcome]:
    """The outcomes of all cases, in their order. `done` is told of each that is."""
    if processes == 1 or len(cases) == 1:
        return [outcome for case in cases for outcome in _played(case, done)]
    # Processes of their own, not copies of this one: it may have threads, which draw a progress bar.
    with ProcessPoolExecutor(min(processes, len(cases)), mp_context=get_context("spawn"), initializer=_end_with_parent) as pool:
        # The largest first, so that none is left alone at the end.
        ordered = sorted(cases, key=lambda case: -case.servers * case.plays)
        futures = {pool.submit(play, case): case for case in ordered}
        try:
            for future in as_completed(futures):
                future.result()
                done(futures[future])
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        of_case = {id(case): future for future, case in futures.items()}
        return [outcome for case in cases for outcome in of_case[id(case)].result()]


def _end_with_parent() -> None:
    """Whoever is interrupted or killed leaves nobody behind who goes on, or says more than they do."""
    signal(SIGINT, SIG_DFL)
    parent = parent_process()
    if parent:
        Thread(target=_exit_after, args=(parent.join,), daemon=True).start()


def _exit_after(wait: Callable[[], None]) -> None:
    wait()
    os._exit(1)


def _played(case: Case, done: Callable[[Case], None]) -> list[Outcome]:
    outcomes = play(case)
    done(case)
    return outcomes


def scores(outcomes: Iterable[Outcome], reference: str) -> list[Score]:
    """For each pool, and for all of them together when there are several, the policies in the order in which they were played.

    What stands for all pools is the average of theirs, however many seeds and intervals each was played with.
    """
    known = list(outcomes)
    policies = tuple(dict.fromkeys(outcome.policy for outcome in known))
    sizes = tuple(dict.fromkeys(outcome.servers for outcome in known))
    averages: dict[tuple[str, int | None], Figures] = {
        (policy, size): _average(each.figures for each in known if (each.policy, each.servers) == (policy, size))
        for size in sizes
        for policy in policies
    }
    if len(sizes) > 1:
        averages |= {(policy, None): _average(averages[policy, size] for size in sizes) for policy in policies}
    return [_score(policy, size, found, averages.get((reference, size))) for (policy, size), found in averages.items()]


def _score(policy: str, size: int | None, found: Figures, reference: Figures | None) -> Score:
    return Score(
        policy=policy,
        servers=size,
        excess=found.excess,
        p99=found.p99,
        crowded_minutes=found.crowded_minutes,
        excess_ratio=found.excess / reference.excess if reference and reference.excess else None,
        p99_ratio=found.p99 / reference.p99 if reference else None,
    )


def _average(figures: Iterable[Figures]) -> Figures:
    known = list(figures)
    return Figures(**{field.name: fmean(getattr(each, field.name) for each in known) for field in fields(Figures)})
