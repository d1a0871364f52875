"""What front ends say of the size of a meeting, and what weighs more."""

import pytest

from meetingpool.domain.foresight import MOST_BELIEVED, Foresight, Hints
from meetingpool.domain.load import Expectation
from meetingpool.domain.meetings import MeetingKey
from tests.unit.domain.test_rooms import LECTURE, OTHER, past

PRIOR = Expectation(users=15, fades_after=900)
TYPICAL = Expectation(users=9, fades_after=900, besides=True)


@pytest.fixture
def foresight() -> Foresight:
    """The lecture had 200 people each time."""
    foresight = Foresight(PRIOR)
    for _ in range(10):
        foresight.ended(past(200))
    return foresight


def expected(foresight: Foresight, key: MeetingKey, hints: Hints) -> Expectation:
    own = foresight.rooms.expected(key)
    return hints.apply(own or TYPICAL, is_of_room=own is not None)


@pytest.mark.parametrize(("said", "understood"), [("30", 30), (" 250 ", 250), ("007", 7), ("1", 1)])
def test_hint_is_a_number_of_people(said: str, understood: float) -> None:
    assert Hints.read({"meta_bbb-meeting-size-hint": said}).expects == understood


@pytest.mark.parametrize(
    "said",
    ["", " ", "0", "000000", "-5", "+5", "1.5", "1e3", "many", "٣٠", "³", "30 people", "1_000", "NaN", "inf", "0x10", "30\0"],
)
def test_what_is_no_number_of_people_says_nothing(said: str) -> None:
    given = {"meta_bbb-meeting-size-hint": said, "maxParticipants": said, "duration": said}

    assert Hints.read(given) == Hints()


@pytest.mark.parametrize("said", ["501", "999999"])
def test_more_people_than_that_are_not_believed_to_come(said: str) -> None:
    assert Hints.read({"meta_bbb-meeting-size-hint": said}).expects == MOST_BELIEVED


def test_a_hint_says_more_than_what_is_typical(foresight: Foresight) -> None:
    assert expected(foresight, OTHER, Hints(expects=70)) == PRIOR.of(70)


def test_a_rooms_own_meetings_say_more_than_a_hint(foresight: Foresight) -> None:
    assert expected(foresight, LECTURE, Hints(expects=3)) == expected(foresight, LECTURE, Hints())


def test_without_any_hint_a_new_room_is_as_is_typical(foresight: Foresight) -> None:
    assert expected(foresight, OTHER, Hints()) == TYPICAL


@pytest.mark.parametrize("key", [LECTURE, OTHER])
def test_nobody_is_expected_beyond_those_who_get_in(foresight: Foresight, key: MeetingKey) -> None:
    assert expected(foresight, key, Hints(expects=100, at_most=4)).users == 4


def test_more_who_get_in_than_are_expected_change_nothing(foresight: Foresight) -> None:
    assert expected(foresight, OTHER, Hints(expects=20, at_most=1000)).users == 20


def test_nobody_is_expected_longer_than_the_meeting_lasts(foresight: Foresight) -> None:
    hints = Hints.read({"duration": "2"})

    assert expected(foresight, LECTURE, Hints()).holds_for == 300
    assert expected(foresight, LECTURE, hints).holds_for == 120
    assert expected(foresight, OTHER, hints).holds_for == 0


def test_a_room_that_is_not_known_cannot_be_asked_for(foresight: Foresight) -> None:
    with pytest.raises(KeyError):
        foresight.of_room(OTHER)
