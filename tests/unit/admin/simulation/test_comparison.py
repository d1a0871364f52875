from pathlib import Path

import pytest

from admin.simulation.comparison import Case, Outcome, Period, play_all, scores
from admin.simulation.figures import Figures
from admin.simulation.generate import Profile
from admin.simulation.trace import InvalidTrace

USUAL = Period(name="all")


def outcome(policy: str, servers: int, excess: float, seed: int = 1) -> Outcome:
    figures = Figures(
        busy_minutes=1, mean=1 + excess, excess=excess, p99=2, worst=2, most_people=9, people_minutes=10, crowded_minutes=1
    )
    return Outcome(policy=policy, servers=servers, seed=seed, poll_interval=60, period="all", figures=figures)


def case(seed: int, source: Profile | Path) -> Case:
    return Case(source=source, servers=2, seed=seed, policies=("random", "bbblb"), poll_intervals=(60.0,), periods=(USUAL,))


def test_pools_count_alike_however_many_seeds_each_has() -> None:
    known = [outcome("a", 10, 0.2), outcome("a", 10, 0.4, seed=2), outcome("a", 40, 0.1)]
    known += [outcome("b", 10, 0.3), outcome("b", 10, 0.5, seed=2), outcome("b", 40, 0.4)]

    found = {(score.policy, score.servers): score for score in scores(known, "b")}

    assert found["a", 10].excess == pytest.approx(0.3)
    assert found["a", None].excess == pytest.approx(0.2)
    assert found["a", None].excess_ratio == pytest.approx(0.5)
    assert found["b", 40].excess_ratio == 1


def test_a_single_pool_has_no_line_for_all() -> None:
    assert [score.servers for score in scores([outcome("a", 10, 0.2), outcome("b", 10, 0.4)], "b")] == [10, 10]


def test_without_the_reference_or_any_excess_of_it_there_is_no_ratio() -> None:
    assert scores([outcome("a", 10, 0.2)], "b")[0].excess_ratio is None
    assert scores([outcome("a", 10, 0.2), outcome("b", 10, 0.0)], "b")[0].excess_ratio is None


def test_several_processes_find_what_one_finds() -> None:
    cases = [case(seed, Profile(servers=2, days=1, seed=seed)) for seed in (1, 2)]
    done: list[Case] = []

    outcomes = play_all(cases, 2, done.append)

    assert outcomes == play_all(cases, 1, lambda _: None)
    assert sorted(done, key=lambda each: each.seed) == cases
    assert [(each.seed, each.policy) for each in outcomes] == [(1, "random"), (1, "bbblb"), (2, "random"), (2, "bbblb")]


def test_a_trace_that_is_wrong_is_told_from_another_process(tmp_path: Path) -> None:
    (trace := tmp_path / "trace").write_text("no meeting\n")

    with pytest.raises(InvalidTrace, match="Line 1 of the trace is not JSON"):
        play_all([case(1, trace), case(2, trace)], 2, lambda _: None)
