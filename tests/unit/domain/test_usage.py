"""Hours become days, samples become curves, and what people write becomes a period."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from meetingpool.domain.servers import Health
from meetingpool.domain.usage import (
    InvalidPeriod,
    Sample,
    Span,
    UsageQuery,
    Used,
    by_day,
    curve_of,
    midnight,
    read_moment,
    this_month,
)

BERLIN = ZoneInfo("Europe/Berlin")
KOLKATA = ZoneInfo("Asia/Kolkata")
NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)


def used(begin: datetime, minutes: int = 1, people: int = 1) -> Used:
    return Used(
        begin=begin, meeting_seconds=60.0 * minutes, person_seconds=60.0 * minutes * people, peak_meetings=1, peak_people=people
    )


def sample(at: datetime, *, load: float = 1.0, health: Health = Health.ONLINE) -> Sample:
    return Sample(at=at, health=health, load=load, meetings=int(load), users=int(load))


def test_seconds_add_up_and_peaks_do_not() -> None:
    (day,) = by_day([used(NOON, 10, people=7), used(NOON + timedelta(hours=1), 20, people=3)], UTC)
    assert (day.begin, day.meeting_seconds, day.person_seconds, day.peak_people) == (midnight(NOON.date(), UTC), 1800, 7800, 7)


@pytest.mark.parametrize(
    ("zone", "hour", "day"),
    [
        (UTC, "2026-07-01T23:00Z", "2026-07-01"),
        (BERLIN, "2026-07-01T22:00Z", "2026-07-02"),
        (BERLIN, "2026-07-01T21:00Z", "2026-07-01"),
        # The hour in which the day begins counts for the day before.
        (KOLKATA, "2026-07-01T18:00Z", "2026-07-01"),
        (KOLKATA, "2026-07-01T19:00Z", "2026-07-02"),
    ],
)
def test_an_hour_belongs_to_the_day_in_which_it_begins(zone: ZoneInfo, hour: str, day: str) -> None:
    (only,) = by_day([used(datetime.fromisoformat(hour))], zone)
    assert only.begin is not None
    assert only.begin.date().isoformat() == day


@pytest.mark.parametrize(("month", "day", "hours"), [(3, 29, 23), (10, 25, 25), (7, 1, 24)])
def test_days_on_which_clocks_are_set_have_their_hours(month: int, day: int, hours: int) -> None:
    begin = midnight(datetime(2026, month, day, tzinfo=BERLIN).date(), BERLIN).astimezone(UTC)
    days = by_day([used(begin + timedelta(hours=number)) for number in range(26)], BERLIN)
    assert days[0].meeting_seconds == 60 * hours
    assert [each.begin and each.begin.day for each in days] == [day, day + 1]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-07-01", "2026-06-30T22:00Z"),
        ("2026-07-01T08:30", "2026-07-01T06:30Z"),
        ("2026-07-01T08:30Z", "2026-07-01T08:30Z"),
        (" 2026-07-01T08:30+05:30 ", "2026-07-01T03:00Z"),
    ],
)
def test_a_moment_is_in_the_zone_that_it_names_or_in_the_one_that_was_asked_for(text: str, moment: str) -> None:
    assert read_moment(text, BERLIN) == datetime.fromisoformat(moment)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "2026-07-01T25:00"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(InvalidPeriod, match="neither a date"):
        read_moment(text, UTC)


def test_a_month_begins_where_the_calendar_hangs() -> None:
    late = datetime(2026, 6, 30, 23, tzinfo=UTC)
    assert this_month(late, UTC) == datetime(2026, 6, 1, tzinfo=UTC)
    assert this_month(late, BERLIN) == datetime(2026, 7, 1, tzinfo=BERLIN)


def test_a_period_has_whole_hours_and_a_length() -> None:
    query = UsageQuery(begin=datetime(2026, 7, 1, 8, 59, tzinfo=BERLIN), end=NOON)
    assert query.whole_hours.begin == datetime(2026, 7, 1, 6, tzinfo=UTC)
    for end in (query.begin, query.begin - timedelta(hours=1)):
        with pytest.raises(InvalidPeriod, match="must end after it begins"):
            UsageQuery(begin=query.begin, end=end)


@pytest.mark.parametrize(("span", "points", "step"), [(Span.DAY, 288, 300), (Span.WEEK, 336, 1800)])
def test_a_curve_ends_now_and_has_even_steps(span: Span, points: int, step: int) -> None:
    end = NOON + timedelta(seconds=100)
    curve = curve_of([], end, span)
    assert (len(curve.at), curve.step, curve.at[-1]) == (points, step, int(NOON.timestamp()))
    assert {later - earlier for earlier, later in zip(curve.at, curve.at[1:], strict=False)} == {step}


def test_each_step_shows_its_worst_and_a_gap_is_a_gap() -> None:
    minute = timedelta(minutes=1)
    samples = [
        sample(NOON - 2 * Span.DAY.length),
        sample(NOON - 61 * minute, load=5),
        sample(NOON - 36 * minute, load=9, health=Health.OFFLINE),
        sample(NOON - 31 * minute, load=3),
        sample(NOON, load=1),
        sample(NOON + 40 * minute, load=77),
    ]
    curve = curve_of(samples, NOON, Span.WEEK)
    assert curve.load[-4:] == [5, 9, None, 1]
    assert curve.health[-4:] == [Health.ONLINE, Health.OFFLINE, None, Health.ONLINE]
    assert (curve.users[-3], curve.meetings[-3]) == (9, 9)
    assert set(curve.load[:-4]) == {1.0, None}
