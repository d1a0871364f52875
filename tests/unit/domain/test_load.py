import pytest

from meetingpool.domain.load import Expectation, age_of, meeting_load, server_load

FIFTEEN = Expectation(users=15, fades_after=900)
NONE = Expectation(users=0, fades_after=900)
DAY = 86_400.0


@pytest.mark.parametrize(("age", "users"), [(0, 15), (450, 7.5), (600, 5), (900, 0), (901, 0), (1e9, 0), (-1, 15), (-1e9, 15)])
def test_expectation_fades_with_age_and_never_leaves_its_bounds(age: float, users: float) -> None:
    assert FIFTEEN.at_age(age) == pytest.approx(users)


@pytest.mark.parametrize("fades_after", [0, -1])
def test_expectation_that_fades_at_once_is_none(fades_after: float) -> None:
    assert Expectation(users=15, fades_after=fades_after).at_age(0) == 0


@pytest.mark.parametrize(
    ("users", "age", "load"), [(0, 0, 15), (3, 0, 15), (40, 0, 40), (3, 450, 7.5), (9, 450, 9), (3, 900, 3), (0, 900, 0)]
)
def test_meeting_counts_for_the_larger_of_what_it_is_and_will_be(users: int, age: float, load: float) -> None:
    assert meeting_load(users, age, FIFTEEN) == pytest.approx(load)


@pytest.mark.parametrize(
    ("meetings", "multiplier", "load"),
    [([], 1, 0), ([(3, 900), (40, 0)], 1, 43), ([(3, 900), (40, 0)], 0.5, 21.5), ([(0, 0)], 2, 30)],
)
def test_server_carries_its_meetings_times_its_multiplier(
    meetings: list[tuple[int, float]], multiplier: float, load: float
) -> None:
    assert server_load(meetings, FIFTEEN, multiplier) == pytest.approx(load)


def test_without_an_expectation_only_people_count() -> None:
    assert server_load([(0, 0), (2, 0)], NONE, 1) == 2


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
