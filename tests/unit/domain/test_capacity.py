"""How many servers meetings need, when there is no room, and what is advised."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest

from meetingpool.domain.busy_hours import BusyHour, Course, busy_hours
from meetingpool.domain.capacity import USUAL_CAPACITY, CapacityRules, Carrier, capacity_now
from meetingpool.domain.capacity_plan import Assumptions, FullPeriod, Scenario, scenarios
from meetingpool.domain.growth import InvalidGrowth, grown, read_growth
from meetingpool.domain.packing import servers_for, servers_needed, without_room
from meetingpool.domain.servers import AdminState, Health, ServerId

MONDAY = datetime(2026, 7, 6, tzinfo=UTC)
HOUR = timedelta(hours=1)


def carrier(**values: object) -> Carrier:
    usual = Carrier(
        id=ServerId("s"),
        region=None,
        admin_state=AdminState.ENABLED,
        health=Health.ONLINE,
        soft_users=None,
        max_users=None,
        meetings=0,
        people=0,
        carried=0.0,
    )
    return replace(usual, **values)  # type: ignore[arg-type]


def only(hours: list[BusyHour], assumed: Assumptions) -> Scenario:
    (scenario,) = scenarios(hours, (), assumed)
    return scenario


# Packing


@pytest.mark.parametrize(
    ("sizes", "needed"),
    [
        ([], 0),
        ([0, 0], 0),
        ([100, 100], 1),
        # 303 people would be two servers if meetings could be divided.
        ([101, 101, 101], 3),
        ([120, 80, 120, 80], 2),
        ([500], 1),
        ([500, 1], 2),
    ],
)
def test_a_meeting_is_on_one_server(sizes: list[int], needed: int) -> None:
    assert servers_needed(sizes, 200) == needed


def test_people_without_room_are_those_of_meetings_that_fit_nowhere() -> None:
    assert without_room([120, 120, 70], [200, 100]) == 120
    assert without_room([120, 70], [200, 100]) == 0
    assert without_room([5, 6], []) == 11


def test_people_who_are_yet_to_come_fill_up_what_is_free() -> None:
    assert servers_for([150, 150], 400, 200) == 2
    assert servers_for([150, 150], 401, 200) == 3
    assert servers_for([], 0, 200) == 0


def test_growth_multiplies_meetings_of_all_sizes_and_the_largest_first() -> None:
    assert grown([10, 40, 20, 30], Fraction("1.5")) == [40, 40, 30, 20, 20, 10]
    assert grown([10, 20], Fraction(1, 2)) == [20]
    assert grown([100], Fraction("1.1")) == [100, 100]


@pytest.mark.parametrize(("text", "growth"), [("1.5", "1.5"), ("50%", "1.5"), (" 2 ", "2"), ("-20%", "0.8"), ("+25%", "1.25")])
def test_growth_is_said_by_times_or_by_percent(text: str, growth: str) -> None:
    assert read_growth(text) == Fraction(growth)


@pytest.mark.parametrize("text", ["", "much", "0", "-1", "-100%", "101", "1e999999999", "1/0", "nan", "1.5 %", "٣"])
def test_other_growth_is_refused_with_what_to_give(text: str) -> None:
    with pytest.raises(InvalidGrowth, match=r"as 1\.5, or how many more, as 50%"):
        read_growth(text)


# Hours


def test_an_hour_is_known_by_its_busiest_minute() -> None:
    first = Course(MONDAY.timestamp(), MONDAY.timestamp() + 1800, (5, None, 50))
    second = Course(MONDAY.timestamp() + 600, MONDAY.timestamp() + 2 * 3600, (40,))

    early, late, idle = busy_hours([first, second], MONDAY, 3)

    assert (early.at, sorted(early.sizes)) == (MONDAY + timedelta(minutes=10), [40, 50])
    assert (late.begin, late.sizes) == (MONDAY + HOUR, (40,))
    assert idle.sizes == ()


def test_what_lies_outside_of_the_period_does_not_count() -> None:
    at = MONDAY.timestamp()
    before, after = Course(at - 7200, at - 3600, (9,)), Course(at + 3600, at + 7200, (9,))
    across = Course(at - 7200, at + 7200, (1, 2, *[None] * 118, 3))

    (hour,) = busy_hours([before, after, across], MONDAY, 1)

    assert (hour.sizes, hour.at) == ((3,), MONDAY)


def test_a_meeting_of_some_seconds_counts_for_a_minute() -> None:
    (hour,) = busy_hours([Course(MONDAY.timestamp() + 90, MONDAY.timestamp() + 95, (7,))], MONDAY, 1)

    assert (hour.sizes, hour.at) == ((7,), MONDAY + timedelta(minutes=1))


# Plans


def test_the_peak_takes_most_servers_and_of_those_hours_has_most_people() -> None:
    hours = [
        BusyHour(begin=MONDAY, at=MONDAY, sizes=(101, 101, 101)),
        BusyHour(begin=MONDAY + HOUR, at=MONDAY + HOUR, sizes=(200, 200)),
        BusyHour(begin=MONDAY + 2 * HOUR, at=MONDAY + 2 * HOUR, sizes=(101, 101, 101, 50)),
    ]

    peak = only(hours, Assumptions(capacity=200, reserve=1)).peak

    assert peak
    assert (peak.begin, peak.servers, peak.people, peak.meetings) == (MONDAY + 2 * HOUR, 4, 353, 4)


def test_servers_that_are_enough_are_counted_over_busy_hours_only() -> None:
    sizes = [()] * 100 + [(10,)] * 9 + [(200, 200)]
    hours = [BusyHour(begin=MONDAY + n * HOUR, at=MONDAY + n * HOUR, sizes=each) for n, each in enumerate(sizes)]

    scenario = only(hours, Assumptions(capacity=200))

    assert [scenario.percentile(percent) for percent in (50, 90, 95, 100)] == [1, 1, 2, 2]


def test_a_pool_is_full_from_the_first_to_the_last_hour_in_which_somebody_has_no_room() -> None:
    people = [100, 250, 300, 100, 210]
    hours = [BusyHour(begin=MONDAY + n * HOUR, at=MONDAY + n * HOUR, sizes=(each - 50, 50)) for n, each in enumerate(people)]

    scenario = only(hours, Assumptions(capacity=200, pool=(200,)))

    assert scenario.full_periods() == [
        FullPeriod(MONDAY + HOUR, MONDAY + 3 * HOUR, 50),
        FullPeriod(MONDAY + 4 * HOUR, MONDAY + 5 * HOUR, 50),
    ]
    assert only(hours, Assumptions(capacity=200)).full_periods() == []


def test_hours_of_the_week_are_those_of_the_clocks_there() -> None:
    hours = [BusyHour(begin=MONDAY - timedelta(hours=2), at=MONDAY, sizes=(10,) * number) for number in (1, 3)]
    scenario = only(hours, Assumptions(capacity=10))

    (hour,) = scenario.week(ZoneInfo("Europe/Berlin"))

    assert (hour.weekday, hour.hour, hour.weeks, hour.servers, hour.people) == (0, 0, 2, 3, 30)


def test_the_hour_that_comes_twice_when_clocks_are_set_back_is_counted_with_both() -> None:
    begin = datetime(2026, 10, 24, 22, tzinfo=UTC)
    hours = busy_hours([Course(begin.timestamp(), begin.timestamp() + 5 * 3600, (10,))], begin, 5)

    week = only(hours, Assumptions(capacity=10)).week(ZoneInfo("Europe/Berlin"))

    assert [(hour.hour, hour.weeks) for hour in week] == [(0, 1), (1, 1), (2, 2), (3, 1)]


# Now


def test_a_server_carries_what_its_limits_say_else_the_settings_else_what_is_usual() -> None:
    rules = CapacityRules(soft_users=150, max_users=180)

    assert rules.capacity_of(carrier()) == 150
    assert rules.capacity_of(carrier(soft_users=90)) == 90
    assert rules.capacity_of(carrier(max_users=100)) == 100
    assert CapacityRules(max_users=180).capacity_of(carrier()) == 180
    assert CapacityRules().capacity_of(carrier()) == USUAL_CAPACITY


def test_one_more_server_is_like_the_settings_say_else_like_the_others() -> None:
    others = [carrier(soft_users=limit) for limit in (50, 300, 80)]

    assert CapacityRules(soft_users=150).usual_capacity(others) == 150
    assert CapacityRules().usual_capacity([*others, carrier()]) == 80
    assert CapacityRules().usual_capacity([carrier()]) == USUAL_CAPACITY


def test_room_is_that_of_open_servers_above_what_is_there_and_expected() -> None:
    servers = [
        carrier(people=100, carried=115.0, meetings=2),
        carrier(people=250, carried=250.0, meetings=1),
        carrier(admin_state=AdminState.CORDONED, people=10, carried=10.0, meetings=1),
        carrier(health=Health.OFFLINE, people=5, carried=5.0, meetings=1),
        carrier(health=Health.DEAD, people=70, carried=70.0, meetings=1),
    ]

    now = capacity_now(servers, [60, 40, 250, 10, 5], 0, CapacityRules(reserve=0))

    assert (now.capacity, now.headroom, now.largest_fitting, now.open_servers) == (400, 85, 85, 2)
    assert (now.people, now.foreseen_people, now.meetings, now.largest_meeting) == (365, 380, 5, 250)


def test_what_is_foreseen_takes_servers_at_once_and_a_reserve_is_added() -> None:
    servers = [carrier(people=190, carried=190.0, meetings=2)]

    assert capacity_now(servers, [100, 90], 0, CapacityRules(reserve=0)).advised_servers == 1
    assert capacity_now(servers, [100, 90], 500, CapacityRules(reserve=0)).advised_servers == 3
    assert capacity_now(servers, [100, 90], 500, CapacityRules(reserve=2)).advised_servers == 5


def test_a_pool_in_which_nobody_is_keeps_one_server() -> None:
    assert capacity_now([], [], 0, CapacityRules(reserve=0)).advised_servers == 1
    assert capacity_now([carrier()], [], 0, CapacityRules(reserve=1)).advised_servers == 1
