"""What is expected of a room's next meeting: what its own were like, the more of them the surer; else what is usual."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from meetingpool.domain.load import Expectation
from meetingpool.domain.meetings import MeetingKey
from meetingpool.domain.past_meetings import PastMeeting
from meetingpool.domain.rooms import ALL, FILLS_WITHIN, STARTS_KEPT, Rooms, fills_within
from meetingpool.domain.servers import ServerId

PRIOR = Expectation(users=15, fades_after=900)
LECTURE, OTHER = MeetingKey("default", "lecture"), MeetingKey("default", "other")
MONDAY = datetime(2026, 3, 2, 10, tzinfo=UTC)


def past(
    *curve: int | None, key: MeetingKey = LECTURE, began: datetime = MONDAY, minutes: float = 90, server: str = "a"
) -> PastMeeting:
    return PastMeeting(
        key=key, server_id=ServerId(server), began_at=began, ended_at=began + timedelta(minutes=minutes), curve=curve
    )


def expected_after(*meetings: PastMeeting, key: MeetingKey = LECTURE) -> Expectation:
    rooms = Rooms(PRIOR)
    for meeting in meetings:
        rooms.learn(meeting)
    expected = rooms.expected(key)
    assert expected is not None
    return expected


def test_nothing_is_known_of_a_room_that_had_no_meeting() -> None:
    rooms = Rooms(PRIOR)
    rooms.learn(past(100))

    assert rooms.expected(OTHER) is None


def test_one_meeting_says_most_of_what_the_next_will_be_like() -> None:
    assert 60 < expected_after(past(100)).users < 110


def test_the_more_meetings_were_alike_the_nearer_to_them_is_the_next() -> None:
    off = [abs(expected_after(*[past(300)] * count).users - 300) for count in (1, 3, 10)]

    assert off == sorted(off, reverse=True)
    assert off[-1] < 15


def test_a_room_that_shrank_is_expected_small_after_a_few_meetings() -> None:
    assert expected_after(*[past(300)] * 10, *[past(20)] * 6).users < 40


def test_what_came_lately_counts_more_than_what_came_long_ago() -> None:
    assert expected_after(past(10), past(100)).users > expected_after(past(100), past(10)).users


def test_same_meeting_id_of_another_tenant_is_another_room() -> None:
    rooms = Rooms(PRIOR)
    rooms.learn(past(300))

    assert rooms.expected(MeetingKey("other", LECTURE.meeting_id)) is None


@pytest.mark.parametrize("curve", [(), (None,), (None, None, None), (0, 0), (None, 0)])
def test_a_meeting_that_nobody_came_to_is_a_small_one(curve: tuple[int | None, ...]) -> None:
    assert 0.5 < expected_after(*[past(*curve)] * 5).users < 3


def test_a_hundred_thousand_people_are_expected_again() -> None:
    assert expected_after(*[past(100_000)] * 8).users == pytest.approx(100_000, rel=0.3)


@pytest.mark.parametrize("sizes", [(1, 2000), (1, 5), (300, 500)])
@pytest.mark.parametrize("rooms", [1, 400])
def test_one_tenants_jumping_rooms_do_not_make_nonsense_of_anothers(sizes: tuple[int, int], rooms: int) -> None:
    wild = [past(size, key=MeetingKey("wild", f"room-{number % rooms}")) for number in range(1000) for size in sizes]

    assert 100 < expected_after(*[past(200)] * 8, *wild).users < 400


def test_rooms_of_very_different_sizes_make_nobody_expect_many_more_than_ever_came() -> None:
    others = [past(size, key=MeetingKey("wild", f"{size}-{number}")) for number in range(200) for size in (1, 100_000)]
    jumping = [past(size, key=MeetingKey("wild", "jumping")) for _ in range(500) for size in (1, 1000)]

    assert expected_after(*others, *jumping, past(100)).users < 200


@pytest.mark.parametrize(
    ("curve", "seconds"),
    [
        ((), 60),
        ((0,), 60),
        ((None, None), 60),
        ((100,), 60),
        ((10, 50, 89, 90, 100), 240),
        ((10, None, None, 100, 5), 240),
        ((100, 10, 100), 60),
    ],
)
def test_a_meeting_is_full_when_nine_of_ten_are_there(curve: tuple[int | None, ...], seconds: float) -> None:
    assert fills_within(past(*curve)) == seconds


@pytest.mark.parametrize(("fills_after", "holds_for"), [(1, FILLS_WITHIN[0]), (12, 12 * 60), (80, FILLS_WITHIN[1])])
def test_people_are_expected_for_as_long_as_the_room_usually_takes_to_fill(fills_after: int, holds_for: float) -> None:
    curve = (*[1] * (fills_after - 1), 100)

    assert expected_after(*[past(*curve)] * 3).holds_for == pytest.approx(holds_for)


def test_nobody_is_expected_longer_than_the_rooms_meetings_last() -> None:
    assert expected_after(past(100, minutes=2)).holds_for == 120


@pytest.mark.parametrize("minutes", [0, 60 * 24 * 30])
def test_a_meeting_of_no_time_and_one_of_a_month_are_learnt_from(minutes: float) -> None:
    expected = expected_after(past(30, minutes=minutes))

    assert expected.users > 10
    assert 0 <= expected.holds_for <= FILLS_WITHIN[1]


def test_as_many_begins_are_remembered_as_say_when_the_next_may_be() -> None:
    rooms = Rooms(PRIOR)
    for week in range(20):
        room = rooms.learn(past(10, began=MONDAY + timedelta(weeks=week), server=f"s{week}"))

    assert room.starts == tuple((MONDAY + timedelta(weeks=week)).timestamp() for week in range(20 - STARTS_KEPT, 20))
    assert room.server_id == "s19"


def test_nothing_is_typical_before_any_meeting_was_over() -> None:
    rooms = Rooms(PRIOR)

    assert rooms.typical_users() == {}


def test_first_meetings_of_rooms_say_what_is_typical_of_a_tenant() -> None:
    rooms = Rooms(PRIOR)
    for number in range(300):
        rooms.learn(past(2, key=MeetingKey("small", f"room-{number}")))
        rooms.learn(past(200, key=MeetingKey("large", f"room-{number}")))

    typical = rooms.typical_users()
    assert typical["small"] < 10
    assert typical["large"] > 150
    assert typical["small"] < typical[ALL] < typical["large"]


def test_later_meetings_of_a_room_say_nothing_of_new_rooms() -> None:
    rooms = Rooms(PRIOR)
    rooms.learn(past(10))
    typical = rooms.typical_users()
    for _ in range(50):
        rooms.learn(past(500))

    assert rooms.typical_users() == typical


def test_what_is_typical_of_a_tenant_begins_with_what_is_typical_of_all() -> None:
    rooms = Rooms(PRIOR)
    for number in range(500):
        rooms.learn(past(3, key=MeetingKey("known", f"room-{number}")))
    of_all = rooms.typical_users()[ALL]

    rooms.learn(past(round(of_all), key=MeetingKey("new", "room")))

    assert rooms.typical_users()["new"] == pytest.approx(of_all, rel=0.1)


def test_state_survives_json() -> None:
    rooms, restored = Rooms(PRIOR), Rooms(PRIOR)
    for size in (5, 50, 500):
        rooms.learn(past(size))
        rooms.learn(past(size, key=OTHER))
    restored.restore(json.loads(json.dumps(rooms.state())))
    restored.known.update(rooms.known)

    assert restored == rooms
