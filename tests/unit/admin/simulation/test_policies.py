"""Each policy by what it is said to do, and ours against the others."""

from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from admin.simulation.comparison import Case, Period, play_all, scores
from admin.simulation.figures import figures_of
from admin.simulation.generate import Profile, generate
from admin.simulation.policies.heedless import RoundRobin
from admin.simulation.policies.names import NAMES, OURS, UnknownPolicy, make_policy
from admin.simulation.policies.policy import Policy
from admin.simulation.policies.production import Production
from admin.simulation.policies.weighing import Bbblb, LeastMeetings, Scalelite, TwoChoices, Weighing
from admin.simulation.replay import replay
from admin.simulation.runs import Run, runs_of
from meetingpool.domain.meetings import MeetingKey
from tests.effort import effort

MINUTE = 60.0


def room(number: int) -> MeetingKey:
    return MeetingKey("t", f"room-{number}")


def place(policy: Policy, now: float, *meetings: int) -> list[int]:
    return [policy.place(now, meeting, room(meeting)) for meeting in meetings]


def weights(policy: Weighing) -> list[float]:
    return sorted(policy.weights)


def test_scalelite_counts_15_in_polls_of_young_meetings_and_1_between_polls() -> None:
    policy = Scalelite(2, Random(1))
    place(policy, 0, 0)
    policy.joined(1, 0)
    assert weights(policy) == [0, 2]

    policy.polled(60, {0: 1}, [])
    assert weights(policy) == [0, 15]
    policy.polled(120, {0: 20}, [])
    assert weights(policy) == [0, 20]
    policy.polled(15 * MINUTE, {0: 3}, [])
    assert weights(policy) == [0, 3]
    policy.polled(16 * MINUTE, {}, [0])
    assert weights(policy) == [0, 0]


def test_bbblb_adds_20_for_a_new_meeting_that_fade_in_half_an_hour() -> None:
    policy = Bbblb(2, Random(1))
    place(policy, 0, 0)
    policy.joined(1, 0)
    assert weights(policy) == [0, 26]

    policy.polled(15 * MINUTE, {0: 4}, [])
    assert weights(policy) == [0, 5 + 4 + 10]
    policy.polled(45 * MINUTE, {}, [])
    assert weights(policy) == [0, 9]


def test_least_meetings_counts_meetings_until_a_poll_misses_them() -> None:
    policy = LeastMeetings(2, Random(1))
    first, second = place(policy, 0, 0, 1)
    for _ in range(9):
        policy.joined(1, 0)
    policy.polled(60, {0: 9}, [1])

    assert first != second
    assert place(policy, 61, 2) == [second]


def test_two_choices_takes_the_one_with_fewer_people() -> None:
    policy = TwoChoices(2, Random(1))
    (first,) = place(policy, 0, 0)
    policy.joined(1, 0)
    assert place(policy, 2, 1) == [1 - first]

    policy.polled(60, {0: 0}, [])
    policy.joined(61, 1)
    assert place(policy, 62, 2) == [first]


def test_round_robin_goes_round() -> None:
    placed = place(RoundRobin(3, Random(1)), 0, *range(6))

    assert sorted(placed[:3]) == [0, 1, 2]
    assert placed[3:] == placed[:3]


def test_the_oracle_keeps_room_for_what_is_to_come() -> None:
    small = [Run(key=room(number), start=0, end=3600, people=[(0, 3600)] * 10) for number in range(2)]
    large = Run(key=room(2), start=300, end=3600, people=[(300, 3600)] * 100)

    placed = place(make_policy("oracle", [*small, large], 2, 1), 0, 0, 1, 2)

    assert placed[0] == placed[1] != placed[2]


def test_what_nobody_calls_a_policy_is_refused_with_all_there_are() -> None:
    with pytest.raises(UnknownPolicy, match="No policy is called best: there are meetingpool, bbblb"):
        make_policy("best", [], 2, 1)


@pytest.mark.parametrize("seed", range(20))
def test_8_creates_at_one_moment_land_on_8_servers(seed: int) -> None:
    assert sorted(place(make_policy(OURS, [], 8, seed), 0, *range(8))) == list(range(8))


def settle(policy: Production, meeting: int, key: MeetingKey, begin: float, people: int) -> None:
    """Lets a meeting of half an hour happen, and polls see it."""
    policy.place(begin, meeting, key)
    for _ in range(people):
        policy.joined(begin + 30, meeting)
    policy.polled(begin + MINUTE, {meeting: people}, [])
    policy.polled(begin + 30 * MINUTE, {}, [meeting])


def test_ours_expects_of_a_room_what_it_had_before() -> None:
    policy = Production(2, Random(1))
    for day in range(5):
        settle(policy, day, room(0), day * 1e5, 60)

    (server,) = place(policy, 1e6, 5)
    known = policy.place(1e6, 6, room(0))

    assert known != server
    assert max(each.load for each in policy.pool.servers.values()) > 40


def test_ours_counts_joins_beyond_those_who_were_expected_until_the_poll_counts_them() -> None:
    policy = Production(1, Random(1))
    place(policy, 0, 0)
    for _ in range(20):
        policy.joined(1, 0)
    (server,) = policy.pool.servers.values()
    assert policy.pool.load_of(server) == 20

    policy.polled(60, {0: 20}, [])

    (server,) = policy.pool.servers.values()
    assert policy.pool.load_of(server) == 20


def test_ours_keeps_room_for_a_meeting_that_usually_begins_now() -> None:
    day, begin = 86_400.0, 36_000.0
    policy = Production(2, Random(1))
    for number in range(6):
        settle(policy, number, room(0), number * day + begin, 100)
    now = 6 * day + begin

    small = place(policy, now - 120, 100, 101, 102)

    assert len(set(small)) == 1
    assert policy.place(now, 200, room(0)) not in small


@given(seed=st.integers(0, 10_000), servers=st.integers(1, 6), poll_interval=st.sampled_from((7.0, 60.0, 600.0)))
@settings(max_examples=effort(8), deadline=None)
def test_every_policy_places_every_meeting_the_same_way_each_time_and_loses_nobody(
    seed: int, servers: int, poll_interval: float
) -> None:
    runs, _ = runs_of(generate(Profile(servers=1, days=2, seed=seed)))
    for name in NAMES:
        first, again = (
            replay(runs, make_policy(name, runs, servers, seed), servers=servers, poll_interval=poll_interval, capacity=200)
            for _ in range(2)
        )
        assert first == again
        assert set(first.placed) <= set(range(servers))
        for sample in first.samples[::50]:
            there = sum(join < sample.at <= leave for run in runs for join, leave in run.people)
            assert sample.people == there >= sample.hottest >= sample.people / servers


def test_ours_spreads_people_better_than_the_others() -> None:
    week = Period(from_day=7)
    cases = [
        Case(
            source=Profile(servers=10, days=8, seed=seed),
            servers=10,
            seed=seed,
            policies=(OURS, "bbblb", "scalelite"),
            poll_intervals=(60.0,),
            periods=(week,),
        )
        for seed in range(1, 5)
    ]
    ratios = {score.policy: score.excess_ratio or 0.0 for score in scores(play_all(cases, 1, lambda _: None), "bbblb")}

    assert ratios[OURS] < 0.8


def test_what_each_server_carries_is_no_more_than_there_is() -> None:
    runs, _ = runs_of(generate(Profile(servers=3, days=1, seed=4)))
    played = replay(runs, make_policy("oracle", runs, 3, 1), servers=3, poll_interval=60, capacity=200)

    assert 1 <= figures_of(played).mean <= 3
    assert set(Counter(played.placed)) == {0, 1, 2}
