import json

from meetingpool.domain.meetings import ReportedMeeting
from meetingpool.domain.room_sizes import histogram, room_sizes, total


def meeting(users: int, *, listeners: int = 0, voices: int = 0, videos: int = 0) -> ReportedMeeting:
    return ReportedMeeting("room", "id", None, users, videos, is_breakout=False, listeners=listeners, voices=voices)


def test_meetings_are_counted_by_each_of_their_sizes() -> None:
    meetings = [meeting(3, listeners=1, voices=2, videos=2), meeting(3, voices=3), meeting(0)]

    assert room_sizes(meetings) == {
        "users": {3: 2, 0: 1},
        "listeners": {1: 1, 0: 2},
        "voices": {2: 1, 3: 1, 0: 1},
        "videos": {2: 1, 0: 2},
    }


def test_a_server_without_meetings_has_none_of_any_size() -> None:
    assert room_sizes([]) == {"users": {}, "listeners": {}, "voices": {}, "videos": {}}


def test_people_by_telephone_are_kept_when_they_were_counted() -> None:
    assert "callers" not in room_sizes([meeting(1)])
    assert room_sizes([meeting(1)], 1)["callers"] == 1


def test_sizes_become_buckets_after_they_were_written_down() -> None:
    sizes = json.loads(json.dumps(room_sizes([meeting(0), meeting(1), meeting(1), meeting(5), meeting(700)])))["users"]

    assert total(sizes) == 707
    assert histogram(sizes, (0.0, 1.0, 5.0, 500.0)) == [1, 2, 1, 0, 1, 707]
