"""How a meeting was, by the people at the end of its minutes."""

from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meetingpool.domain.meetings import DEFAULT_TENANT, MeetingKey
from meetingpool.domain.past_meetings import PastMeeting, stays
from meetingpool.domain.servers import ServerId

BEGAN = datetime(2026, 7, 1, 8, tzinfo=UTC)


def past(*curve: int | None, seconds: float) -> PastMeeting:
    return PastMeeting(
        key=MeetingKey(DEFAULT_TENANT, "class"),
        server_id=ServerId("s1"),
        began_at=BEGAN,
        ended_at=BEGAN + timedelta(seconds=seconds),
        curve=curve,
    )


def test_minutes_without_a_change_have_as_many_people_as_before() -> None:
    meeting = past(3, 5, None, None, 2, seconds=400)
    assert [meeting.people_at(minute) for minute in range(-1, 8)] == [0, 3, 5, 5, 5, 2, 2, 2, 0]
    assert list(meeting.people()) == [3, 5, 5, 5, 2, 2, 2]
    assert (meeting.peak, meeting.seconds) == (5, 400)


@pytest.mark.parametrize("curve", [(), (0,), (None, None)])
def test_a_meeting_that_nobody_was_in(curve: tuple[int | None, ...]) -> None:
    meeting = past(*curve, seconds=120)
    assert (list(meeting.people()), meeting.peak, meeting.stays()) == ([0, 0], 0, [])


def test_a_meeting_of_no_length_had_nobody_for_no_time() -> None:
    meeting = past(4, seconds=0)
    assert (list(meeting.people()), meeting.people_at(0), meeting.stays()) == ([], 0, [])


def test_who_came_first_leaves_first_and_the_last_with_the_end() -> None:
    assert stays([2, 3, 1, None, 2], 310) == [(0, 120), (0, 120), (60, 310), (240, 310)]


def test_changes_after_the_end_are_nobodys() -> None:
    assert stays([2, 3, 9], 100) == [(0, 100), (0, 100), (60, 100)]


curves = st.lists(st.none() | st.integers(0, 20), max_size=30)


@given(curves, st.floats(0, 40 * 60))
def test_stays_give_the_curve_and_no_list_of_stays_is_shorter(curve: list[int | None], seconds: float) -> None:
    meeting = past(*curve, seconds=seconds)
    found = stays(curve, meeting.seconds)
    assert found == sorted(found)
    assert all(0 <= join < leave <= meeting.seconds for join, leave in found)
    people = list(meeting.people())
    for minute, expected in enumerate(people):
        end = min((minute + 1) * 60, meeting.seconds)
        assert sum(join < end <= leave for join, leave in found) == expected == meeting.people_at(minute)
    # As many as came.
    assert len(found) == sum(max(0, now - before) for before, now in zip([0, *people], people, strict=False))


@given(curves, st.integers(1, 40))
def test_who_leaves_was_there_longest(curve: list[int | None], minutes: int) -> None:
    found = stays(curve, minutes * 60)
    assert all(one[1] <= other[1] for one, other in zip(found, islice(found, 1, None), strict=False))
