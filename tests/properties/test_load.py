"""Load never leaves its bounds, whatever clocks and meetings say."""

from hypothesis import given
from hypothesis import strategies as st

from meetingpool.domain.load import Expectation, Weights, age_of, meeting_load

ages = st.floats(-1e9, 1e9)
users = st.integers(0, 10_000)
expectations = st.builds(Expectation, users=st.floats(0, 1000), fades_after=st.floats(0, 1e6), holds_for=st.floats(0, 1e4))
weights = st.builds(Weights, user=st.floats(0.1, 10), voice=st.floats(0, 10), video=st.floats(0, 10))


@given(count=users, age=ages, expectation=expectations)
def test_meeting_counts_at_least_its_people_and_at_most_what_is_expected(
    count: int, age: float, expectation: Expectation
) -> None:
    assert count <= meeting_load(count, age, expectation) <= max(count, expectation.users)


@given(count=users, one=ages, other=ages, expectation=expectations)
def test_meeting_never_counts_more_for_being_older(count: int, one: float, other: float, expectation: Expectation) -> None:
    younger, older = sorted((one, other))

    assert meeting_load(count, older, expectation) <= meeting_load(count, younger, expectation)


@given(voices=users, videos=users, more=users, weights=weights)
def test_another_stream_never_makes_a_meeting_lighter(voices: int, videos: int, more: int, weights: Weights) -> None:
    fewer = weights.streams(voices, videos)

    assert 0 <= fewer <= min(weights.streams(voices + more, videos), weights.streams(voices, videos + more))


@given(created_ms=st.one_of(st.none(), st.integers(-(10**18), 10**18)), now=st.floats(0, 1e10), longest=st.floats(0, 1e6))
def test_age_stays_between_nothing_and_the_longest(created_ms: int | None, now: float, longest: float) -> None:
    assert 0 <= age_of(created_ms, now, longest) <= longest
