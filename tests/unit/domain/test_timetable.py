"""What is upcoming: what began a day or a week ago, while it is not too late for it."""

import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from meetingpool.domain.foresight import Foresight
from meetingpool.domain.load import Expectation
from meetingpool.domain.meetings import MeetingKey
from meetingpool.domain.past_meetings import PastMeeting
from meetingpool.domain.servers import ServerId
from meetingpool.domain.timetable import DAY, LATE, LEAD, SAME, WEEK, Upcoming

PRIOR = Expectation(users=15, fades_after=900)
LECTURE, SMALL = MeetingKey("default", "lecture"), MeetingKey("default", "small")
# A Monday at ten.
BEGAN = datetime(2026, 3, 2, 10, tzinfo=UTC).timestamp()


def foreseeing() -> Foresight:
    return Foresight(PRIOR)


def held(foresight: Foresight, *, key: MeetingKey = LECTURE, at: float = BEGAN, users: int = 200, lasts: float = 3600) -> None:
    """A meeting, from its begin to its end."""
    foresight.began(key, at)
    ended(foresight, key=key, at=at, users=users, lasts=lasts)


def ended(foresight: Foresight, *, key: MeetingKey = LECTURE, at: float = BEGAN, users: int = 200, lasts: float = 3600) -> None:
    foresight.ended(
        PastMeeting(
            key=key,
            server_id=ServerId("a"),
            began_at=datetime.fromtimestamp(at, UTC),
            ended_at=datetime.fromtimestamp(at + lasts, UTC),
            curve=(users,),
        )
    )


def keys(upcoming: list[Upcoming]) -> list[MeetingKey]:
    return [each.key for each in upcoming]


@pytest.mark.parametrize("period", [DAY, WEEK])
@pytest.mark.parametrize(
    ("since_due", "is_upcoming"), [(-LEAD - 1, False), (-LEAD, True), (0, True), (LATE - 60, True), (LATE, False)]
)
def test_a_room_is_upcoming_a_day_and_a_week_after_it_began(period: float, since_due: float, is_upcoming: bool) -> None:
    foresight = foreseeing()
    held(foresight)
    foresight.upcoming(BEGAN + 2 * 3600, ())

    assert bool(foresight.upcoming(BEGAN + period + since_due, ())) == is_upcoming


def test_what_is_told_of_it_is_what_its_meetings_were_like() -> None:
    foresight = foreseeing()
    held(foresight)
    expected = foresight.rooms.expected(LECTURE)
    assert expected is not None

    (upcoming,) = foresight.upcoming(BEGAN + WEEK, ())
    assert (upcoming.users, upcoming.holds_for, upcoming.server_id) == (expected.users, expected.holds_for, "a")
    assert 0 < upcoming.chance < 1


def test_the_largest_comes_first() -> None:
    foresight = foreseeing()
    for number, users in enumerate((20, 300, 80)):
        held(foresight, key=MeetingKey("default", f"room-{number}"), users=users)

    sizes = [each.users for each in foresight.upcoming(BEGAN + WEEK, ())]
    assert len(sizes) == 3
    assert sizes == sorted(sizes, reverse=True)


def test_it_is_the_less_likely_the_later_it_is() -> None:
    foresight = foreseeing()
    held(foresight)
    chances = [foresight.upcoming(BEGAN + WEEK + late, ())[0].chance for late in (-300, 0, 200, 600, 890)]

    assert chances[0] == chances[1]
    assert chances[1:] == sorted(chances[1:], reverse=True)
    assert chances[-1] < 0.1


def test_what_began_is_upcoming_no_more() -> None:
    foresight = foreseeing()
    held(foresight)
    assert keys(foresight.upcoming(BEGAN + WEEK - 60, ())) == [LECTURE]
    foresight.began(LECTURE, BEGAN + WEEK - 30)

    assert foresight.upcoming(BEGAN + WEEK, ()) == []


def test_what_runs_is_not_upcoming() -> None:
    foresight = foreseeing()
    held(foresight)

    assert foresight.upcoming(BEGAN + WEEK, [LECTURE]) == []


def test_a_room_whose_earlier_meeting_ends_before_the_next_is_due_is_upcoming_then() -> None:
    foresight = foreseeing()
    held(foresight)
    assert foresight.upcoming(BEGAN + WEEK - LEAD, [LECTURE]) == []

    assert keys(foresight.upcoming(BEGAN + WEEK - 120, ())) == [LECTURE]


def test_a_meeting_that_runs_for_weeks_is_neither_upcoming_nor_missed() -> None:
    foresight = foreseeing()
    held(foresight)
    foresight.began(LECTURE, BEGAN + 2 * DAY)
    before = foresight.state()
    for hour in range(24 * 30):
        assert foresight.upcoming(BEGAN + 2 * DAY + hour * 3600, [LECTURE]) == []

    assert foresight.state() == before


def test_a_meeting_that_began_long_before_does_not_make_come_true_what_is_due() -> None:
    """It is told of late: nobody led when it began, or its server was away."""
    foresight = foreseeing()
    held(foresight)
    foresight.upcoming(BEGAN + WEEK, ())
    before = foresight.state()
    foresight.began(LECTURE, BEGAN + 3 * 3600)

    assert foresight.state() == before
    assert keys(foresight.upcoming(BEGAN + WEEK, ())) == [LECTURE]


def test_expectations_that_come_true_are_worth_more() -> None:
    reliable, fickle = foreseeing(), foreseeing()
    for foresight in (reliable, fickle):
        for number in range(40):
            held(foresight, key=MeetingKey("default", f"room-{number}"), at=BEGAN + 60 * number)
        foresight.upcoming(BEGAN + DAY + 300, ())
    for number in range(10):
        reliable.began(MeetingKey("default", f"room-{number}"), BEGAN + DAY + 300)
    for foresight in (reliable, fickle):
        foresight.upcoming(BEGAN + DAY + 5 * 3600, ())
    held(reliable, at=BEGAN + DAY + 5 * 3600)
    held(fickle, at=BEGAN + DAY + 5 * 3600)

    chances = [foresight.upcoming(BEGAN + 2 * DAY + 5 * 3600, ())[0].chance for foresight in (reliable, fickle)]
    assert chances[0] > 2 * chances[1]


def test_rooms_that_nobody_needs_room_for_say_nothing_of_others() -> None:
    """A front end that looks each minute whether a meeting can be made begins more often than all lectures together."""
    foresight = foreseeing()
    held(foresight)
    for minute in range(3 * 24 * 60):
        at = BEGAN + DAY + 60 * minute
        held(foresight, key=SMALL, at=at, users=0, lasts=1)
        foresight.upcoming(at, ())

    hits, tries = (sum(odds.hits for odds in foresight.timetable.odds.values()), len(foresight.timetable.odds))
    assert hits == 0
    assert tries <= 2


def test_what_is_remembered_of_a_room_that_begins_each_minute_has_an_end() -> None:
    foresight = foreseeing()
    for day in range(12):
        for minute in range(24 * 60):
            at = BEGAN + day * DAY + 60 * minute
            held(foresight, key=SMALL, at=at, users=5, lasts=30)
        foresight.upcoming(at, ())

        assert len(foresight.timetable.ahead) <= 8 * DAY / SAME + 2


def test_the_next_process_goes_on_where_this_one_ended() -> None:
    foresight, following = foreseeing(), foreseeing()
    for number in range(5):
        held(foresight, key=MeetingKey("default", f"room-{number}"), at=BEGAN + 60 * number, users=20 * number)
    foresight.upcoming(BEGAN + DAY, ())
    foresight.upcoming(BEGAN + DAY + 3600, ())
    following.restore(json.loads(json.dumps(foresight.state())))
    following.remember(foresight.rooms.known.items(), BEGAN + DAY + 3600)

    assert following.state() == foresight.state()
    assert following.upcoming(BEGAN + WEEK, ()) == foresight.upcoming(BEGAN + WEEK, ())


def test_the_next_process_does_not_wait_for_what_began_and_ended_already() -> None:
    foresight = foreseeing()
    held(foresight)
    following = foreseeing()
    held(foresight, at=BEGAN + WEEK - 300, lasts=120)
    following.remember(foresight.rooms.known.items(), BEGAN + WEEK)

    assert following.upcoming(BEGAN + WEEK, ()) == []


def test_rooms_that_had_no_meeting_for_long_are_put_away_and_due_no_more() -> None:
    foresight = foreseeing()
    held(foresight)
    held(foresight, key=SMALL, at=BEGAN + 3 * DAY)
    foresight.forget_idle(BEGAN + WEEK + LATE + LEAD + 3600)

    assert set(foresight.rooms.known) == {SMALL}


def test_rooms_that_are_still_due_are_not_put_away() -> None:
    foresight = foreseeing()
    held(foresight)
    foresight.forget_idle(BEGAN + WEEK + LATE - 60)

    assert keys(foresight.upcoming(BEGAN + WEEK + LATE - 60, ())) == [LECTURE]


def test_of_a_room_that_is_opened_early_to_try_it_out_the_meeting_itself_is_expected() -> None:
    foresight = foreseeing()
    held(foresight, at=BEGAN - 1200, users=1, lasts=300)
    held(foresight)
    foresight.upcoming(BEGAN + WEEK - 1200, ())

    assert keys(foresight.upcoming(BEGAN + WEEK - 60, ())) == [LECTURE]


def test_a_clock_that_goes_backwards_begins_nothing_twice() -> None:
    foresight = foreseeing()
    held(foresight)
    assert keys(foresight.upcoming(BEGAN + WEEK, ())) == [LECTURE]
    assert keys(foresight.upcoming(BEGAN + WEEK - 7200, ())) == [LECTURE]
    foresight.began(LECTURE, BEGAN + WEEK)

    assert foresight.upcoming(BEGAN + WEEK + 60, ()) == []


def test_a_meeting_that_begins_before_it_could_have_is_learnt_from() -> None:
    foresight = foreseeing()
    held(foresight, at=-5.0)

    assert foresight.upcoming(BEGAN, ()) == []


@pytest.mark.parametrize(("last_before", "hours"), [("2026-03-23", -1), ("2026-10-19", 1)])
def test_when_clocks_are_set_one_week_is_missed_and_the_next_is_right(last_before: str, hours: int) -> None:
    """Lectures go by the clock of their town, of which the pool knows nothing."""
    town = ZoneInfo("Europe/Berlin")
    first = datetime.fromisoformat(f"{last_before}T10:00").replace(tzinfo=town)
    second, third = first + timedelta(weeks=1), first + timedelta(weeks=2)
    assert second.timestamp() - first.timestamp() == WEEK + hours * 3600
    foresight = foreseeing()
    held(foresight, at=first.timestamp())
    assert foresight.upcoming(second.timestamp(), ()) == []
    held(foresight, at=second.timestamp())

    assert keys(foresight.upcoming(third.timestamp(), ())) == [LECTURE]
