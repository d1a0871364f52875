"""Whatever a history holds, expectations stay within what it has seen, and chances are chances."""

import json
from datetime import UTC, datetime, timedelta
from math import isfinite

from hypothesis import given
from hypothesis import strategies as st

from meetingpool.domain.foresight import Foresight, Hints
from meetingpool.domain.load import Expectation
from meetingpool.domain.meetings import MeetingKey
from meetingpool.domain.past_meetings import PastMeeting
from meetingpool.domain.rooms import FILLS_WITHIN
from meetingpool.domain.servers import ServerId

PRIOR = Expectation(users=15, fades_after=900)
KEYS = [MeetingKey(tenant, room) for tenant in ("default", "school") for room in ("a", "b", "c")]
BEGINNING = datetime(2026, 3, 1, tzinfo=UTC)
DAYS = 20

sizes = st.none() | st.integers(0, 3) | st.integers(0, 100_000)
minutes = st.integers(0, DAYS * 24 * 60)


@st.composite
def meetings(draw: st.DrawFn) -> PastMeeting:
    began_at = BEGINNING + timedelta(minutes=draw(minutes))
    return PastMeeting(
        key=draw(st.sampled_from(KEYS)),
        server_id=ServerId("a"),
        began_at=began_at,
        ended_at=began_at + timedelta(minutes=draw(st.integers(0, 3000))),
        curve=tuple(draw(st.lists(sizes, max_size=5))),
    )


histories = st.lists(meetings(), max_size=40)


def learnt(history: list[PastMeeting]) -> Foresight:
    """Told of begins and ends as they came: of a meeting that was never seen to run, both at its end."""
    foresight = Foresight(PRIOR)
    for meeting in sorted(history, key=lambda each: each.ended_at):
        foresight.upcoming(meeting.ended_at.timestamp(), ())
        foresight.began(meeting.key, meeting.began_at.timestamp())
        foresight.ended(meeting)
    return foresight


@given(history=histories)
def test_expectations_are_numbers_of_people_and_not_much_more_than_ever_came(history: list[PastMeeting]) -> None:
    foresight = learnt(history)
    most = max([PRIOR.users, *(meeting.peak for meeting in history)])

    for key in KEYS:
        expected = Hints().apply(foresight.rooms.expected(key) or PRIOR, is_of_room=True)
        assert isfinite(expected.users)
        assert 0 <= expected.users <= 1.7 * most
        assert 0 <= expected.holds_for <= FILLS_WITHIN[1]
    assert all(0 <= users <= most for users in foresight.rooms.typical_users().values())


@given(history=histories, looks=st.lists(minutes, max_size=10), running=st.sets(st.sampled_from(KEYS)))
def test_what_is_upcoming_is_known_and_its_chance_a_chance(
    history: list[PastMeeting], looks: list[int], running: set[MeetingKey]
) -> None:
    foresight = learnt(history)
    known = {meeting.key for meeting in history}

    # Clocks may go backwards.
    for look in looks:
        upcoming = foresight.upcoming((BEGINNING + timedelta(minutes=look)).timestamp(), running)
        assert all(0 < each.chance < 1 and isfinite(each.users) for each in upcoming)
        assert {each.key for each in upcoming} <= known - running
        assert [each.users for each in upcoming] == sorted((each.users for each in upcoming), reverse=True)


@given(history=histories)
def test_state_survives_json_and_says_the_same_of_the_future(history: list[PastMeeting]) -> None:
    foresight, following = learnt(history), Foresight(PRIOR)
    kept = json.loads(json.dumps(foresight.state(), allow_nan=False))
    following.restore(kept)
    following.remember(foresight.rooms.known.items(), BEGINNING.timestamp())

    assert following.rooms == foresight.rooms
    assert json.loads(json.dumps(following.state())) == kept


@given(text=st.text(max_size=12))
def test_a_hint_is_a_number_of_people_or_nothing(text: str) -> None:
    hints = Hints.read({"meta_bbb-meeting-size-hint": text, "maxParticipants": text, "duration": text})
    expected = hints.apply(PRIOR, is_of_room=False)

    assert hints.expects is None or 1 <= hints.expects <= 500
    assert 1 <= expected.users <= 500
    assert 0 <= expected.holds_for <= PRIOR.holds_for
