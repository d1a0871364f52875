"""What happens when, what a policy is told of it, and what figures make of it."""

from collections.abc import Mapping, Sequence

import pytest

from admin.simulation.figures import NothingBusy, figures_of
from admin.simulation.replay import Replay, Sample, replay
from admin.simulation.runs import Run
from meetingpool.domain.meetings import MeetingKey
from meetingpool.domain.timetable import DAY


def run(start: float, end: float, *people: tuple[float, float], room: str = "a") -> Run:
    return Run(key=MeetingKey("t", room), start=start, end=end, people=list(people))


class Listener:
    """Places meetings on the given servers in turn, and writes down what it is told."""

    def __init__(self, *servers: int) -> None:
        self.servers = servers
        self.told: list[tuple[object, ...]] = []

    def place(self, now: float, meeting: int, key: MeetingKey) -> int:
        self.told.append(("place", now, meeting, key.meeting_id))
        return self.servers[meeting]

    def joined(self, now: float, meeting: int) -> None:
        self.told.append(("joined", now, meeting))

    def polled(self, now: float, changed: Mapping[int, int], ended: Sequence[int]) -> None:
        self.told.append(("polled", now, dict(changed), list(ended)))


def played(runs: Sequence[Run], *placed: int, servers: int = 2, poll_interval: float = 60.0, capacity: int = 200) -> Replay:
    return replay(runs, Listener(*placed), servers=servers, poll_interval=poll_interval, capacity=capacity)


def test_a_policy_hears_of_creates_and_joins_at_once_and_of_all_else_by_polls() -> None:
    listener = Listener(0, 1)

    replay([run(10, 130, (20, 70), (65, 130)), run(61, 300, room="b")], listener, servers=2, poll_interval=60, capacity=9)

    assert listener.told == [
        ("place", 10, 0, "a"),
        ("joined", 20, 0),
        ("polled", 60, {0: 1}, []),
        ("place", 61, 1, "b"),
        ("joined", 65, 0),
        ("polled", 120, {0: 1}, []),
        ("polled", 180, {}, [0]),
        ("polled", 240, {}, []),
        ("polled", 300, {}, []),
    ]


def test_at_one_moment_polls_come_first_then_leaves_ends_creates_and_joins() -> None:
    listener = Listener(0, 0)

    replay([run(0, 60, (0, 60)), run(60, 180, (60, 180))], listener, servers=1, poll_interval=60, capacity=9)

    assert listener.told == [
        ("place", 0, 0, "a"),
        ("joined", 0, 0),
        ("polled", 60, {0: 1}, []),
        ("place", 60, 1, "a"),
        ("joined", 60, 1),
        ("polled", 120, {1: 1}, [0]),
        ("polled", 180, {}, []),
    ]


def test_a_meeting_that_ends_as_it_begins_is_placed_and_gone() -> None:
    listener = Listener(0, 0)

    replay([run(5, 5), run(90, 91, room="b")], listener, servers=1, poll_interval=60, capacity=9)

    assert listener.told == [("place", 5, 0, "a"), ("polled", 60, {}, [0]), ("place", 90, 1, "b")]


def test_nothing_is_polled_while_nothing_runs() -> None:
    listener = Listener(0, 0)

    replay([run(0, 10), run(DAY, DAY + 100, room="b")], listener, servers=1, poll_interval=60, capacity=9)

    assert [told[:2] for told in listener.told] == [("place", 0), ("polled", 60), ("place", DAY), ("polled", DAY + 60)]


def test_samples_count_people_where_they_are() -> None:
    runs = [run(0, 95, (0, 95), (40, 95)), run(0, 95, (10, 95), (20, 50), (21, 95), room="b")]

    samples = played(runs, 0, 1, servers=3, capacity=2).samples

    assert samples == [Sample(30, 4, 3, 3, 3), Sample(60, 4, 2, 2, 0), Sample(90, 4, 2, 2, 0)]


def test_two_meetings_of_one_server_add_up() -> None:
    samples = played([run(0, 31, (0, 31)), run(0, 31, (0, 31), (0, 31), room="b")], 1, 1, capacity=2).samples

    assert samples == [Sample(30, 3, 3, 2, 3)]


def figures_sample(at: float, people: int, hottest: int, biggest: int = 1, crowded: int = 0) -> Sample:
    return Sample(at, people, hottest, biggest, crowded)


def of(*samples: Sample, servers: int = 2) -> Replay:
    return Replay(servers=servers, placed=[], samples=list(samples))


def test_the_hottest_server_is_compared_with_the_even_share_or_the_biggest_meeting() -> None:
    figures = figures_of(of(figures_sample(0, 20, 15), figures_sample(30, 20, 18, biggest=12)))

    assert (figures.mean, figures.excess, figures.worst) == (1.5, 0.5, 1.5)


def test_only_busy_times_count_for_the_ratio() -> None:
    quiet, busy = figures_sample(0, 29, 29), figures_sample(30, 100, 50)

    figures = figures_of(of(quiet, busy))

    assert (figures.mean, figures.busy_minutes) == (1.0, 0.5)
    assert figures_of(of(quiet._replace(people=30, hottest=30), busy)).mean == 1.5


def test_the_99th_percentile_leaves_out_one_in_a_hundred() -> None:
    samples = [figures_sample(30.0 * number, 100, 50 + number) for number in range(100)]

    figures = figures_of(of(*samples))

    assert figures.p99 == figures.worst == 149 / 50
    assert figures_of(of(*samples, figures_sample(3000, 100, 50))).p99 == 148 / 50


def test_minutes_on_crowded_servers_are_counted_at_all_times() -> None:
    figures = figures_of(of(figures_sample(0, 10, 10, crowded=10), figures_sample(30, 100, 60, crowded=60)))

    assert (figures.people_minutes, figures.crowded_minutes, figures.most_people) == (55, 35, 60)


def test_figures_of_some_days_are_of_these_alone() -> None:
    days = of(*(figures_sample(day * DAY, 20, 10 + day) for day in range(4)))

    assert figures_of(days, 1, 2).mean == pytest.approx(1.15)
    assert figures_of(days, from_day=3).mean == 1.3
    assert figures_of(days, to_day=0).mean == 1.0


def test_days_without_people_have_no_figures() -> None:
    with pytest.raises(NothingBusy, match="--from-day"):
        figures_of(of(figures_sample(0, 20, 10)), 1)
