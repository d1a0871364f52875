"""Whatever meetings there are: nobody is packed onto a server twice or not at all, and more meetings never take fewer servers."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from meetingpool.domain.busy_hours import BusyHour, Course, busy_hours
from meetingpool.domain.capacity_plan import Assumptions, scenarios
from meetingpool.domain.growth import grown
from meetingpool.domain.packing import servers_for, servers_needed, without_room

BEGIN = datetime(2026, 7, 6, tzinfo=UTC)

sizes = st.lists(st.integers(0, 250), max_size=60)
capacities = st.integers(1, 200)
growths = st.fractions(Fraction(1, 10), 5, max_denominator=100)
curves = st.lists(st.one_of(st.none(), st.integers(0, 300)), max_size=150)


@st.composite
def courses(draw: st.DrawFn) -> Course:
    """Meetings that may begin before the three hours of the test, and end after them."""
    began = draw(st.integers(-7200, 11000))
    return Course(BEGIN.timestamp() + began, BEGIN.timestamp() + began + draw(st.integers(0, 9000)), draw(curves))


@given(sizes=sizes, capacity=capacities)
def test_meetings_take_at_least_as_many_servers_as_their_people_and_hardly_more_than_needed(
    sizes: list[int], capacity: int
) -> None:
    clamped = [min(size, capacity) for size in sizes]
    least = ceil(sum(clamped) / capacity)

    needed = servers_needed(sizes, capacity)

    assert least <= needed <= sum(size > 0 for size in sizes)
    # Of any two servers that were opened the second holds a meeting that the first had no room for.
    assert needed <= 2 * least


@given(sizes=sizes, capacity=capacities, servers=st.integers(0, 20))
def test_there_is_room_for_all_on_exactly_as_many_servers_as_are_needed(sizes: list[int], capacity: int, servers: int) -> None:
    left = without_room(sizes, [capacity] * servers)

    assert (left == 0) is (servers_needed(sizes, capacity) <= servers)
    if servers:
        assert left >= sum(min(size, capacity) for size in sizes) - servers * capacity
    else:
        assert left == sum(sizes)


@given(sizes=sizes, capacity=capacities, people=st.floats(0, 20_000))
def test_people_who_are_yet_to_come_take_servers_when_there_is_no_room_for_them(
    sizes: list[int], capacity: int, people: float
) -> None:
    needed = servers_for(sizes, people, capacity)

    assert needed >= servers_needed(sizes, capacity)
    oversize = sum(max(0, size - capacity) for size in sizes)
    assert needed * capacity >= max(people, sum(sizes)) - oversize - 1e-6
    assert servers_for(sizes, people + capacity, capacity) >= needed


@given(sizes=sizes, growth=growths)
def test_growth_makes_more_meetings_of_the_same_sizes(sizes: list[int], growth: Fraction) -> None:
    found = grown(sizes, growth)

    assert len(found) == ceil(len(sizes) * growth)
    assert found == sorted(found, reverse=True)
    for size in set(sizes):
        above = sum(each >= size for each in sizes)
        assert sum(each >= size for each in found) == ceil(above * growth)


@given(
    hours=st.lists(sizes, min_size=1, max_size=5),
    growths=st.lists(growths, max_size=5),
    capacity=capacities,
    pool=st.lists(capacities, max_size=6),
)
def test_with_more_growth_no_hour_takes_less(
    hours: list[list[int]], growths: list[Fraction], capacity: int, pool: list[int]
) -> None:
    moments = [BEGIN + timedelta(hours=number) for number in range(len(hours))]
    known = [BusyHour(begin=at, at=at, sizes=tuple(sizes)) for at, sizes in zip(moments, hours, strict=True)]

    found = scenarios(known, growths, Assumptions(capacity=capacity, pool=tuple(pool)))

    assert [scenario.growth for scenario in found] == sorted({Fraction(1), *growths})
    for one, other in pairwise(found):
        for less, more in zip(one.needs, other.needs, strict=True):
            assert less.people <= more.people
            assert less.meetings <= more.meetings
            assert less.servers <= more.servers
            assert less.without_room <= more.without_room


@given(st.lists(courses(), max_size=8))
def test_no_minute_of_an_hour_is_busier_than_the_one_that_stands_for_it(meetings: list[Course]) -> None:
    found = busy_hours(meetings, BEGIN, 3)

    for number, hour in enumerate(found):
        minutes = [people_at(meetings, 60 * number + minute) for minute in range(60)]
        assert hour.begin == BEGIN + timedelta(hours=number)
        assert sum(hour.sizes) == max(minutes) == minutes[(hour.at - hour.begin) // timedelta(minutes=1)]


def people_at(meetings: list[Course], minute: int) -> int:
    """In all meetings together, counted one by one."""
    total = 0
    for began, ended, people in meetings:
        own = minute - int((began - BEGIN.timestamp()) // 60)
        if 0 <= own < max(1, ceil((ended - began) / 60)):
            total += next((value for value in reversed(people[: own + 1]) if value is not None), 0)
    return total
