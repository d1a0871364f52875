"""What a front end is told: as it knows the meeting, once, and for a day."""

import json
import random

import pytest

from meetingpool.domain import announcements
from meetingpool.domain.announcements import PAUSES, pause_after
from meetingpool.domain.callbacks import CallbackKind
from meetingpool.domain.meetings import MeetingKey, Placement
from meetingpool.domain.servers import ServerId

PLACEMENT = Placement(
    generation=7,
    key=MeetingKey("tenant", "a room"),
    host_id="host-id",
    server_id=ServerId("s1"),
    callbacks={kind: f"https://lms.example/{kind}" for kind in CallbackKind},
)
NOWHERE = Placement(generation=7, key=PLACEMENT.key, host_id="host-id", server_id=ServerId("s1"), callbacks={})


def test_nobody_is_told_who_did_not_ask() -> None:
    assert announcements.meeting_ended(NOWHERE, "m") is None
    assert announcements.end_callback(NOWHERE, "m", has_recording_marks=True) is None
    assert announcements.recording_ready(NOWHERE, "r", "video") is None
    assert announcements.analytics(NOWHERE, "i", {"meeting_id": "host-id"}) is None


def test_what_is_the_same_has_one_identity_and_nothing_else_has() -> None:
    told = [
        announcements.meeting_ended(PLACEMENT, "m"),
        announcements.meeting_ended(PLACEMENT, "n"),
        announcements.end_callback(PLACEMENT, "m", has_recording_marks=True),
        announcements.recording_ready(PLACEMENT, "r", "video"),
        announcements.recording_ready(PLACEMENT, "s", "video"),
        announcements.recording_ready(PLACEMENT, "r", "presentation,video"),
        announcements.analytics(PLACEMENT, "i", {"data": 1}),
        announcements.analytics(PLACEMENT, "i", {"data": 2}),
        announcements.analytics(PLACEMENT, "j", {"data": 1}),
    ]
    assert len({announcement.identity for announcement in told if announcement}) == len(told)
    again = announcements.end_callback(PLACEMENT, "m", has_recording_marks=False)
    assert again is not None
    assert told[2] is not None
    assert again.identity == told[2].identity


def test_ids_cannot_be_put_together_to_look_like_others() -> None:
    odd = [MeetingKey('a","b', "c"), MeetingKey("a", 'b","c'), MeetingKey("a", "b")]
    identities = set()
    for key in odd:
        placement = Placement(generation=7, key=key, host_id="h", server_id=ServerId("s1"), callbacks=PLACEMENT.callbacks)
        announcement = announcements.meeting_ended(placement, "m")
        assert announcement is not None
        identities.add(announcement.identity)
    assert len(identities) == 3


def test_the_longest_ids_fit_into_an_index() -> None:
    key = MeetingKey("t" * 64, "\U0001f600" * 256)
    placement = Placement(generation=2**63 - 1, key=key, host_id="h", server_id=ServerId("s1"), callbacks=PLACEMENT.callbacks)
    announcement = announcements.analytics(placement, "\U0001f600" * 256, {})
    assert announcement is not None
    # PostgreSQL takes 2,704 bytes.
    assert len(announcement.identity.encode()) < 2500


@pytest.mark.parametrize("separator", ["-", "_"])
def test_a_report_shows_the_metadata_that_the_front_end_gave(separator: str) -> None:
    metadata = {
        "meeting-name": "A room",
        "analytics-callback-url": "https://pool/bigbluebutton/callbacks/7/analytics/x",
        "meetingpool-given-analytics-callback-url": "https://lms.example/analytics",
        "meetingpool-generation": "7",
        "tenant-id": "tenant",
        "tenant-name": "name",
        "secret-lrs-payload": "encrypted",
        "context-id": "host-id",
        "number": 5,
    }
    data = {"metadata": {name.replace("-", separator): value for name, value in metadata.items()}, "duration": 5}
    announcement = announcements.analytics(PLACEMENT, "i", {"version": "1.0", "meeting_id": "host-id", "data": data})
    assert announcement is not None
    document = json.loads(announcement.payload["document"])
    assert document == {
        "version": "1.0",
        "meeting_id": "a room",
        "data": {
            "metadata": {
                f"meeting{separator}name": "A room",
                f"analytics{separator}callback{separator}url": "https://lms.example/analytics",
                f"context{separator}id": "a room",
                "number": 5,
            },
            "duration": 5,
        },
    }


@pytest.mark.parametrize("data", [None, [], "text", {"metadata": []}, {"metadata": None}])
def test_a_report_of_another_shape_is_passed_on(data: object) -> None:
    announcement = announcements.analytics(PLACEMENT, "i", {"meeting_id": "host-id", "data": data})
    assert announcement is not None
    assert json.loads(announcement.payload["document"])["data"] == data


def test_numbers_that_json_has_not_are_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        announcements.analytics(PLACEMENT, "i", {"data": float("inf")})


def test_attempts_go_on_for_a_day_with_pauses_that_grow() -> None:
    rng = random.Random(1)
    pauses = [pause_after(attempts, rng) for attempts in range(1, len(PAUSES) + 2)]
    assert pauses[-1] is None
    waited = [pause for pause in pauses if pause is not None]
    assert [round(waited[0] / 30), round(waited[-1] / 3600)] == [1, 1]
    assert 86_400 <= sum(PAUSES) <= sum(waited) <= 1.2 * sum(PAUSES)
    assert all(least <= pause <= 1.2 * least for least, pause in zip(PAUSES, waited, strict=True))


def test_what_failed_together_is_not_tried_together_for_ever() -> None:
    rng = random.Random(1)
    assert len({pause_after(3, rng) for _ in range(100)}) == 100
