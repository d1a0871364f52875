from dataclasses import replace

import pytest

from meetingpool.domain.health import (
    HealthRecord,
    Thresholds,
    after_failure,
    after_success,
    half_of_the_pool_fails,
    hold_down,
)
from meetingpool.domain.servers import Health

ONLINE = HealthRecord(health=Health.ONLINE)
OFFLINE = HealthRecord(health=Health.OFFLINE, failures=3, failing_for=20, flaps=1, offline_ago=0)
DEAD = HealthRecord(health=Health.DEAD, failures=9, failing_for=90, flaps=1, offline_ago=70)
DEFAULTS = Thresholds()


def after(
    record: HealthRecord, polls: str, thresholds: Thresholds = DEFAULTS, *, every: float = 10.0, panic: bool = False
) -> HealthRecord:
    """The record after `polls`: `+` and `-`, one in `every` seconds."""
    for poll in polls:
        failing_for = record.failing_for + every if record.failures else 0.0
        record = replace(record, failing_for=failing_for, offline_ago=record.offline_ago + every)
        record = after_success(record, thresholds) if poll == "+" else after_failure(record, thresholds, panic=panic)
    return record


@pytest.mark.parametrize(
    ("polls", "health"),
    [
        ("", Health.ONLINE),
        ("+", Health.ONLINE),
        ("-", Health.SUSPECT),
        ("--", Health.SUSPECT),
        ("---", Health.OFFLINE),
        ("--+", Health.ONLINE),
        ("--+--+--", Health.SUSPECT),
        ("---+", Health.ONLINE),
        ("------", Health.OFFLINE),
        ("-------", Health.DEAD),
        ("-------+", Health.ONLINE),
    ],
)
def test_polls_become_health(polls: str, health: Health) -> None:
    assert after(ONLINE, polls).health is health


@pytest.mark.parametrize(
    ("thresholds", "polls", "health"),
    [
        (Thresholds(fall=1), "-", Health.OFFLINE),
        (Thresholds(fall=5), "----", Health.SUSPECT),
        (Thresholds(fall=5), "-----", Health.OFFLINE),
        (Thresholds(rise=3), "---++", Health.OFFLINE),
        (Thresholds(rise=3), "---+++", Health.ONLINE),
        (Thresholds(rise=3), "---++-++", Health.OFFLINE),
        (Thresholds(fall=20), "-------", Health.DEAD),
    ],
)
def test_thresholds_say_how_many_polls_in_a_row_it_takes(thresholds: Thresholds, polls: str, health: Health) -> None:
    assert after(ONLINE, polls, thresholds).health is health


def test_new_server_is_offline_until_its_first_good_poll() -> None:
    assert HealthRecord().health is Health.OFFLINE
    assert after(HealthRecord(), "-").health is Health.OFFLINE
    assert after(HealthRecord(), "+").health is Health.ONLINE


@pytest.mark.parametrize(
    ("failures", "failing_for", "health"),
    [(4, 600.0, Health.OFFLINE), (5, 59.9, Health.OFFLINE), (5, 60.0, Health.DEAD), (100, 30.0, Health.OFFLINE)],
)
def test_dead_takes_six_failures_and_a_minute(failures: int, failing_for: float, health: Health) -> None:
    record = replace(OFFLINE, failures=failures, failing_for=failing_for)

    assert after_failure(record, DEFAULTS, panic=False).health is health


def test_a_success_starts_the_count_again() -> None:
    record = after(OFFLINE, "+")

    assert (record.failures, record.failing_for, record.successes) == (0, 0.0, 1)
    assert after(record, "-----").health is Health.OFFLINE


@pytest.mark.parametrize(
    ("record", "health"),
    [
        (ONLINE, Health.SUSPECT),
        (replace(ONLINE, health=Health.SUSPECT, failures=2), Health.SUSPECT),
        (replace(ONLINE, health=Health.SUSPECT, failures=50, failing_for=600), Health.SUSPECT),
        (replace(OFFLINE, failures=50, failing_for=600), Health.OFFLINE),
        (DEAD, Health.DEAD),
    ],
)
def test_panic_keeps_everybody_where_they_are(record: HealthRecord, health: Health) -> None:
    assert after_failure(record, DEFAULTS, panic=True).health is health


def test_ten_minutes_of_panic_cost_nothing_once_it_is_over() -> None:
    record = after(ONLINE, "-" * 60, panic=True)

    assert after(record, "+") == replace(ONLINE, successes=1, offline_ago=float("inf"))


def test_dead_server_that_answers_comes_back_by_the_same_rules_as_an_offline_one() -> None:
    assert after(DEAD, "-").health is Health.DEAD
    assert after(DEAD, "+").health is Health.ONLINE
    assert after(DEAD, "+", Thresholds(rise=2)).health is Health.OFFLINE


@pytest.mark.parametrize(("flaps", "seconds"), [(0, 0), (1, 0), (2, 30), (3, 60), (11, 300), (21, 600), (22, 600), (1000, 600)])
def test_each_further_fall_holds_a_server_down_for_longer(flaps: int, seconds: float) -> None:
    assert hold_down(flaps) == seconds


@pytest.mark.parametrize(("offline_ago", "health"), [(29.9, Health.OFFLINE), (30.0, Health.ONLINE)])
def test_held_down_server_stays_offline_though_it_answers(offline_ago: float, health: Health) -> None:
    record = replace(OFFLINE, flaps=2, offline_ago=offline_ago)

    assert after_success(record, DEFAULTS).health is health


def test_every_fall_counts_once() -> None:
    assert after(ONLINE, "---").flaps == 1
    assert after(ONLINE, "--------").flaps == 1
    assert after(ONLINE, "---+---").flaps == 2


def test_server_that_flaps_for_an_hour_gets_at_most_a_tenth_of_the_meetings_beside_one_other() -> None:
    record, usable, polls = ONLINE, 0, "----++++" * 45
    for poll in polls:
        record = after(record, poll)
        usable += record.health in (Health.ONLINE, Health.SUSPECT)

    assert usable / len(polls) / 2 <= 0.1


def test_falls_are_forgotten_after_a_quiet_hour() -> None:
    record = replace(ONLINE, flaps=7, offline_ago=3590)

    assert after(record, "+").flaps == 7
    assert after(record, "++").flaps == 0


@pytest.mark.parametrize(
    ("outcomes", "is_panic"),
    [
        ("", False),
        ("+", False),
        ("-", False),
        ("--", True),
        ("+-", False),
        ("+--", True),
        ("++--", False),
        ("+---", True),
        ("+++++", False),
    ],
)
def test_more_than_half_of_several_servers_failing_is_panic(outcomes: str, is_panic: bool) -> None:
    assert half_of_the_pool_fails(outcome == "+" for outcome in outcomes) is is_panic


def test_server_that_falls_while_it_is_held_down_is_held_down_anew_and_for_longer() -> None:
    rules = Thresholds(fall=3)
    held = HealthRecord(health=Health.OFFLINE, successes=4, flaps=3, offline_ago=59.0)

    once = after_failure(held, rules, panic=False)
    twice = after_failure(once, rules, panic=False)
    fallen = after_failure(twice, rules, panic=False)
    longer = after_failure(fallen, rules, panic=False)

    assert [(record.flaps, record.offline_ago) for record in (once, twice)] == [(3, 59.0)] * 2
    assert (fallen.flaps, fallen.offline_ago) == (4, 0.0)
    assert longer.flaps == 4


def test_server_that_never_answered_has_not_fallen() -> None:
    record = HealthRecord()
    for _ in range(5):
        record = after_failure(record, Thresholds(fall=3), panic=False)

    assert (record.health, record.flaps) == (Health.OFFLINE, 0)
