"""Health over any series of polls: what a failure or a success may do, and what panic forbids."""

from dataclasses import dataclass, replace

from hypothesis import given
from hypothesis import strategies as st

from meetingpool.domain.health import HealthRecord, Thresholds, after_failure, after_success, hold_down
from meetingpool.domain.servers import Health

WORSE = [Health.ONLINE, Health.SUSPECT, Health.OFFLINE, Health.DEAD]


@dataclass(frozen=True)
class Step:
    """A poll, so many seconds after the one before."""

    succeeds: bool
    panic: bool
    seconds: float


steps = st.builds(Step, st.booleans(), st.booleans(), st.sampled_from([1.0, 10.0, 30.0, 4000.0]))
thresholds = st.builds(Thresholds, fall=st.integers(1, 8), rise=st.integers(1, 4))


def later(record: HealthRecord, seconds: float) -> HealthRecord:
    failing_for = record.failing_for + seconds if record.failures else 0.0
    return replace(record, failing_for=failing_for, offline_ago=record.offline_ago + seconds)


def walk(series: list[Step], rules: Thresholds) -> list[tuple[Step, HealthRecord, HealthRecord]]:
    """Each step with the record before and after it."""
    record, walked = HealthRecord(), []
    for step in series:
        before = later(record, step.seconds)
        record = after_success(before, rules) if step.succeeds else after_failure(before, rules, panic=step.panic)
        walked.append((step, before, record))
    return walked


@given(series=st.lists(steps, max_size=40), rules=thresholds)
def test_success_never_makes_health_worse_and_failure_never_better(series: list[Step], rules: Thresholds) -> None:
    for step, before, after in walk(series, rules):
        change = WORSE.index(after.health) - WORSE.index(before.health)
        assert change <= 0 if step.succeeds else change >= 0


@given(series=st.lists(steps, max_size=40), rules=thresholds)
def test_panic_makes_nobody_worse_than_suspect(series: list[Step], rules: Thresholds) -> None:
    for step, before, after in walk(series, rules):
        if step.panic and not step.succeeds:
            assert after.health in (before.health, Health.SUSPECT)


@given(series=st.lists(steps, max_size=60), rules=thresholds)
def test_dead_takes_six_failures_in_a_row_and_a_minute(series: list[Step], rules: Thresholds) -> None:
    in_a_row, lasted = 0, 0.0
    for step, before, after in walk(series, rules):
        lasted = lasted + step.seconds if in_a_row and not step.succeeds else 0.0
        in_a_row = 0 if step.succeeds else in_a_row + 1
        if after.health is Health.DEAD and before.health is not Health.DEAD:
            assert in_a_row >= 6
            assert lasted >= 60
            assert not step.panic


@given(series=st.lists(steps, max_size=40), rules=thresholds)
def test_server_comes_back_after_enough_successes_and_its_hold_down(series: list[Step], rules: Thresholds) -> None:
    for step, before, after in walk(series, rules):
        if before.health in (Health.OFFLINE, Health.DEAD) and after.health is Health.ONLINE:
            assert step.succeeds
            assert after.successes >= rules.rise
            assert before.offline_ago >= hold_down(after.flaps)


@given(series=st.lists(steps, max_size=40), rules=thresholds)
def test_every_server_that_keeps_answering_is_online_within_ten_minutes(series: list[Step], rules: Thresholds) -> None:
    answering = [Step(succeeds=True, panic=False, seconds=10)] * 62

    assert walk([*series, *answering], rules)[-1][2].health is Health.ONLINE


@given(series=st.lists(steps, max_size=40), rules=thresholds)
def test_counts_are_those_of_the_current_series(series: list[Step], rules: Thresholds) -> None:
    for step, before, after in walk(series, rules):
        counted = 1 if step.panic and before.health is not Health.DEAD else before.failures + 1
        assert (after.failures, after.successes) == ((0, before.successes + 1) if step.succeeds else (counted, 0))
        assert after.flaps - before.flaps <= (not step.succeeds)


@given(first=st.integers(0, 100), second=st.integers(0, 100))
def test_more_falls_never_hold_a_server_down_for_less(first: int, second: int) -> None:
    assert 0 <= hold_down(min(first, second)) <= hold_down(max(first, second)) <= 600
