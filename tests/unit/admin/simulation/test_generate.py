"""What days that are made up are like."""

from collections import defaultdict
from dataclasses import replace
from itertools import pairwise
from statistics import fmean, median

import pytest

from admin.simulation.generate import HOUR, Profile, generate
from admin.simulation.trace import TracedMeeting
from meetingpool.domain.timetable import DAY

PROFILE = Profile(servers=10, days=7, seed=1)


def is_scheduled(meeting: TracedMeeting) -> bool:
    return "/room-" in meeting.room


def people_hours(trace: list[TracedMeeting]) -> float:
    return sum(leave - join for meeting in trace for join, leave in meeting.people) / HOUR


def by_day(trace: list[TracedMeeting], room: str) -> dict[int, list[int]]:
    sizes: dict[int, list[int]] = defaultdict(list)
    for meeting in trace:
        if meeting.room == room:
            sizes[int(meeting.start // DAY)].append(len(meeting.people))
    return sizes


def test_the_same_profile_makes_the_same_trace() -> None:
    assert generate(PROFILE) == generate(PROFILE)
    assert generate(PROFILE) != generate(replace(PROFILE, seed=2))


@pytest.mark.parametrize("seed", range(3))
def test_a_trace_is_in_order_and_people_are_in_their_meetings(seed: int) -> None:
    trace = generate(replace(PROFILE, seed=seed))

    assert [meeting.start for meeting in trace] == sorted(meeting.start for meeting in trace)
    over: dict[str, float] = {}
    for meeting in trace:
        assert meeting.start > over.get(meeting.room, -1)
        assert all(meeting.start <= join < leave <= meeting.end for join, leave in meeting.people)
        over[meeting.room] = meeting.end


def test_working_days_have_the_people_that_were_asked_for() -> None:
    trace = [meeting for meeting in generate(replace(PROFILE, cancelled=0.0)) if meeting.start < 5 * DAY]
    busy = [
        sum(join <= day * DAY + hour * HOUR < leave for meeting in trace for join, leave in meeting.people)
        for day in range(5)
        for hour in (9.75, 10.75, 11.75, 14.75)
    ]

    assert 0.7 < fmean(busy) / (PROFILE.servers * PROFILE.people_per_server) < 1.4


def test_weekends_are_quiet() -> None:
    trace = generate(PROFILE)
    weekend = [meeting for meeting in trace if meeting.start >= 5 * DAY]

    assert 0 < len(weekend) < len(trace) / 20
    assert not any(map(is_scheduled, weekend))


def test_most_scheduled_meetings_begin_around_the_hour() -> None:
    minutes = [meeting.start / 60 % 60 for meeting in generate(PROFILE) if is_scheduled(meeting)]

    assert sum(minute > 45 or minute < 5 for minute in minutes) > len(minutes) / 2


def test_sizes_have_a_heavy_tail() -> None:
    sizes = [len(meeting.people) for meeting in generate(PROFILE)]

    assert max(sizes) > 15 * median(sizes)
    assert max(sizes) <= PROFILE.largest


def test_rooms_meet_again_in_the_next_week_at_the_same_time() -> None:
    trace = [meeting for meeting in generate(replace(PROFILE, days=14, cancelled=0.0, changing=0.0)) if is_scheduled(meeting)]
    second = {(meeting.room, round((meeting.start - 7 * DAY) / HOUR)) for meeting in trace if meeting.start >= 7 * DAY}
    first = {(meeting.room, round(meeting.start / HOUR)) for meeting in trace if meeting.start < 7 * DAY}

    assert len(first & second) > 0.8 * len(first)


def test_the_part_of_ad_hoc_meetings_is_what_was_asked_for() -> None:
    trace = generate(replace(PROFILE, ad_hoc=0.5, seed=3))
    ad_hoc = people_hours([meeting for meeting in trace if not is_scheduled(meeting)])

    assert 0.35 < ad_hoc / people_hours(trace) < 0.65


def test_cancelled_meetings_are_not_there() -> None:
    """As many more rooms are made up, so that the people are as many."""
    usual = [meeting for meeting in generate(replace(PROFILE, cancelled=0.0, days=28)) if is_scheduled(meeting)]
    cancelled = [meeting for meeting in generate(replace(PROFILE, cancelled=0.5, days=28)) if is_scheduled(meeting)]

    assert len(cancelled) / len({meeting.room for meeting in cancelled}) < 0.75 * len(usual) / len(
        {meeting.room for meeting in usual}
    )


def test_on_an_exam_day_rooms_have_other_sizes_than_usual() -> None:
    quiet = replace(PROFILE, days=9, cancelled=0.0, changing=0.0, size_noise=0.05)
    exams = generate(replace(quiet, exam_day=7))
    changed = []
    for room in {meeting.room for meeting in exams if is_scheduled(meeting) and meeting.start < DAY}:
        days = by_day(exams, room)
        if 7 in days and min(days[0][0], days[7][0]) > 3:
            changed.append(days[7][0] / days[0][0])

    assert sum(ratio > 1.3 or ratio < 0.7 for ratio in changed) > 0.5 * len(changed) > 10


def test_rooms_that_change_keep_their_new_size() -> None:
    trace = generate(replace(PROFILE, days=15, cancelled=0.0, changing=1.0, size_noise=0.01, seed=2))
    daily = [room for room in {meeting.room for meeting in trace} if len(by_day(trace, room)) == 11 and "/room-" in room]
    changes = []
    for room in daily:
        sizes = [sizes[0] for _, sizes in sorted(by_day(trace, room).items())]
        changes.append(sum(abs(later - earlier) > 2 for earlier, later in pairwise(sizes)))

    assert daily
    assert max(changes) == 1
