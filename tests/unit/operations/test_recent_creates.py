"""A create counts as recent from when it began to be written down, for as long as that covers another one, and no longer."""

from datetime import UTC, datetime

from meetingpool.database.creates import Attempt
from meetingpool.domain.meetings import DEFAULT_TENANT, Meeting, MeetingKey, MeetingState
from meetingpool.domain.servers import ServerId
from meetingpool.operations.recent_creates import RecentCreates
from meetingpool.operations.record_polls import TOUCH_LASTS


def attempt(meeting_id: str, **parameters: str) -> Attempt:
    key = MeetingKey(DEFAULT_TENANT, meeting_id)
    meeting = Meeting(key=key, server_id=ServerId("s1"), generation=1, state=MeetingState.LIVE)
    return Attempt(meeting=meeting, attempted_at=datetime.now(UTC), parameters=parameters)


def test_a_create_is_recent_until_its_time_is_over() -> None:
    recent, begun = RecentCreates(), attempt("room")
    recent.note(begun, 100.0)
    assert recent.find(begun.meeting.key, 100.0 + TOUCH_LASTS - 0.1) is begun
    assert recent.find(begun.meeting.key, 100.0 + TOUCH_LASTS) is None


def test_what_is_learnt_later_does_not_make_it_younger() -> None:
    recent, learnt = RecentCreates(), attempt("room", moderatorPW="made up by the server")
    recent.note(attempt("room"), 100.0)
    recent.update(learnt)
    assert recent.find(learnt.meeting.key, 100.0) is learnt
    assert recent.find(learnt.meeting.key, 100.0 + TOUCH_LASTS) is None


def test_what_is_learnt_of_a_create_that_was_never_noted_is_not_kept() -> None:
    recent, begun = RecentCreates(), attempt("room")
    recent.update(begun)
    assert recent.find(begun.meeting.key, 0.0) is None


def test_creates_that_are_no_longer_recent_take_no_memory() -> None:
    recent = RecentCreates()
    for number in range(1000):
        recent.note(attempt(f"room-{number}"), number * TOUCH_LASTS / 10)
    assert len(recent) <= 12
