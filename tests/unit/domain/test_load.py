from dataclasses import replace

import pytest

from meetingpool.domain.load import Expectation, Weights, age_of, meeting_load

FIFTEEN = Expectation(users=15, fades_after=900)
NONE = Expectation(users=0, fades_after=900)
DAY = 86_400.0


@pytest.mark.parametrize(("age", "users"), [(0, 15), (450, 7.5), (600, 5), (900, 0), (901, 0), (1e9, 0), (-1, 15), (-1e9, 15)])
def test_expectation_fades_with_age_and_never_leaves_its_bounds(age: float, users: float) -> None:
    assert FIFTEEN.at_age(age) == pytest.approx(users)


@pytest.mark.parametrize("fades_after", [0, -1])
def test_expectation_that_fades_at_once_is_none(fades_after: float) -> None:
    assert Expectation(users=15, fades_after=fades_after).at_age(0) == 0


@pytest.mark.parametrize(("users", "age", "load"), [(0, 0, 15), (3, 0, 18), (40, 0, 55), (3, 450, 10.5), (40, 900, 40)])
def test_people_come_on_top_of_those_who_are_expected_besides(users: int, age: float, load: float) -> None:
    assert meeting_load(users, age, replace(FIFTEEN, besides=True)) == pytest.approx(load)


@pytest.mark.parametrize(
    ("users", "age", "load"), [(0, 0, 15), (3, 0, 15), (40, 0, 40), (3, 450, 7.5), (9, 450, 9), (3, 900, 3), (0, 900, 0)]
)
def test_meeting_counts_for_the_larger_of_what_it_is_and_will_be(users: int, age: float, load: float) -> None:
    assert meeting_load(users, age, FIFTEEN) == pytest.approx(load)


@pytest.mark.parametrize(("age", "users"), [(-1, 15), (0, 15), (599, 15), (600, 15), (1050, 7.5), (1500, 0), (1e9, 0)])
def test_expectation_that_holds_fades_only_then(age: float, users: float) -> None:
    assert Expectation(users=15, fades_after=900, holds_for=600).at_age(age) == pytest.approx(users)


def test_expectation_that_fades_at_once_holds_all_the_same() -> None:
    at_once = Expectation(users=15, fades_after=0, holds_for=600)

    assert (at_once.at_age(599), at_once.at_age(600)) == (15, 0)


@pytest.mark.parametrize("users", [0, 2])
def test_without_an_expectation_only_people_count(users: int) -> None:
    assert meeting_load(users, 0, NONE) == users


@pytest.mark.parametrize(
    ("weights", "more"),
    [
        (Weights(), 0),
        (Weights(voice=0.5), 5),
        (Weights(video=2), 6),
        (Weights(voice=0.5, video=2), 11),
        (Weights(user=2, voice=1, video=4), 11),
    ],
)
def test_streams_count_as_so_many_people_more(weights: Weights, more: float) -> None:
    assert weights.streams(voices=10, videos=3) == more


@pytest.mark.parametrize(
    ("created_ms", "age"),
    [
        (1_700_000_000_000, 0),
        (1_699_999_940_500, 59.5),
        (1_700_000_000_000 + 86_400_000, 0),
        (1_700_000_000_000 - 10 * 86_400_000, DAY),
        (0, DAY),
        (10**18, 0),
        (None, 0),
    ],
)
def test_age_by_a_wrong_clock_stays_between_nothing_and_the_longest(created_ms: int | None, age: float) -> None:
    assert age_of(created_ms, 1_700_000_000.0, DAY) == age
