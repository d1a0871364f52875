import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.throttle import MAX_SOURCE_LENGTH, Throttle, source_of

SOURCE = "192.0.2.1"


def throttle(limit: int = 10, window: float = 60.0, longest: float = 300.0, capacity: int = 10_000) -> Throttle:
    return Throttle(limit=limit, window=window, longest=longest, capacity=capacity)


def fail(throttle: Throttle, times: int, now: float, source: str = SOURCE) -> None:
    for _ in range(times):
        throttle.note_failure(source, now)


def fail_until_unwelcome(throttle: Throttle, now: float) -> float:
    """Returns how long the source has to wait then."""
    while not (wait := throttle.retry_after(SOURCE, now)):
        throttle.note_failure(SOURCE, now)
    return wait


def test_source_that_never_failed_is_welcome() -> None:
    assert throttle().retry_after(SOURCE, 0.0) == 0.0


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 10, 1000])
@pytest.mark.parametrize("now", [0.0, 0.1, 1e9])
def test_source_is_welcome_until_it_failed_as_often_as_it_may(limit: int, now: float) -> None:
    mine = throttle(limit=limit)

    fail(mine, limit - 1, now)
    assert mine.retry_after(SOURCE, now) == 0.0
    fail(mine, 1, now)
    assert mine.retry_after(SOURCE, now) == pytest.approx(60 / limit)


def test_source_waits_less_as_time_goes_by_and_is_welcome_again() -> None:
    mine = throttle()
    fail(mine, 10, 0.0)

    assert [mine.retry_after(SOURCE, now) for now in (0.0, 2.0, 5.0, 6.0, 7.0)] == [6.0, 4.0, 1.0, 0.0, 0.0]


def test_every_further_wait_is_twice_as_long_up_to_the_longest() -> None:
    mine, now, waits = throttle(), 0.0, []
    for _ in range(8):
        waits.append(fail_until_unwelcome(mine, now))
        now += waits[-1]

    assert waits == pytest.approx([6, 12, 24, 48, 96, 192, 300, 300])


def test_failures_while_it_is_not_welcome_count_too() -> None:
    mine = throttle()

    fail(mine, 100_000, 0.0)

    assert mine.retry_after(SOURCE, 0.0) == 300.0


def test_longest_wait_may_be_shorter_than_the_first_would_be() -> None:
    mine = throttle(limit=1, window=600, longest=60)

    fail(mine, 1, 0.0)

    assert mine.retry_after(SOURCE, 0.0) == 60.0


def test_source_that_fails_no_faster_than_it_may_is_always_welcome() -> None:
    mine = throttle()
    fail(mine, 9, 0.0)

    for minute in range(1, 200):
        fail(mine, 1, 6.0 * minute)
        assert mine.retry_after(SOURCE, 6.0 * minute) == 0.0


def test_source_that_fails_a_little_faster_is_not() -> None:
    mine, now = throttle(), 0.0
    while mine.retry_after(SOURCE, now) == 0.0:
        now += 5.0
        fail(mine, 1, now)

    assert now < 300


def test_failures_are_forgotten_after_quiet_time() -> None:
    mine = throttle()
    fail(mine, 9, 0.0)

    fail(mine, 9, 54.0)

    assert mine.retry_after(SOURCE, 54.0) == 0.0


def test_source_that_had_to_wait_and_then_fails_no_faster_than_it_may_is_welcome() -> None:
    mine = throttle()
    fail(mine, 100_000, 0.0)

    for step in range(200):
        assert mine.retry_after(SOURCE, 300.0 + 6.0 * step) == 0.0
        fail(mine, 1, 300.0 + 6.0 * step)


def test_long_wait_earns_nothing_beyond_the_limit() -> None:
    mine = throttle()
    fail(mine, 100_000, 0.0)

    fail(mine, 9, 300.0)
    assert mine.retry_after(SOURCE, 300.0) == 0.0
    fail(mine, 1, 300.0)
    assert mine.retry_after(SOURCE, 300.0) == 300.0


@pytest.mark.parametrize(("quiet", "wait"), [(1.0, 48.0), (59.0, 48.0), (60.0, 6.0), (1000.0, 6.0)])
def test_waits_are_forgotten_after_quiet_time(quiet: float, wait: float) -> None:
    mine = throttle()
    fail(mine, 12, 0.0)
    assert mine.retry_after(SOURCE, 0.0) == 24.0

    assert fail_until_unwelcome(mine, 24.0 + quiet) == pytest.approx(wait)


def test_sources_do_not_answer_for_each_other() -> None:
    mine = throttle()

    fail(mine, 50, 0.0)

    assert mine.retry_after("192.0.2.2", 0.0) == 0.0


def test_least_recently_seen_source_is_forgotten_when_there_are_too_many() -> None:
    mine = throttle(limit=1, capacity=3)
    for source in "abc":
        fail(mine, 1, 0.0, source)
    mine.retry_after("a", 1.0)

    fail(mine, 1, 2.0, "d")

    assert {source for source in "abcd" if mine.retry_after(source, 2.0)} == {"a", "c", "d"}


def test_no_more_sources_are_remembered_than_there_is_room_for() -> None:
    mine, sources = throttle(limit=1, capacity=100), [str(number) for number in range(10_000)]

    for source in sources:
        fail(mine, 1, 0.0, source)

    assert [source for source in sources if mine.retry_after(source, 0.0)] == sources[-100:]


@given(
    st.integers(1, 20),
    st.floats(1, 600),
    st.lists(st.tuples(st.sampled_from(["a", "b"]), st.floats(0, 100)), max_size=60),
)
def test_nobody_fails_more_often_in_a_window_than_twice_the_limit_while_welcome(
    limit: int, window: float, steps: list[tuple[str, float]]
) -> None:
    mine, now, failures = throttle(limit=limit, window=window), 0.0, []
    for source, pause in steps:
        now += pause
        if mine.retry_after(source, now) == 0.0:
            fail(mine, 1, now, source)
            failures.append((source, now))
        assert 0.0 <= mine.retry_after(source, now) <= 300.001

    for source, start in failures:
        assert len([1 for other, at in failures if other == source and start <= at < start + window]) <= 2 * limit


@pytest.mark.parametrize(
    ("host", "source"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("::1", "::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::ffff:c000:201", "192.0.2.1"),
        ("gateway", "gateway"),
        ("", ""),
        ("a:b:c", "a:b:c"),
        ("::1\x00", "::1\x00"),
        ("x" * 1000, "x" * MAX_SOURCE_LENGTH),
        (":" * 1000, ":" * MAX_SOURCE_LENGTH),
    ],
)
def test_addresses_of_one_household_are_one_source(host: str, source: str) -> None:
    assert source_of(host) == source
