"""What a server wants to tell others, before anything is sent."""

import base64
import hashlib
import hmac
import json
from typing import Any
from urllib.parse import parse_qs

import pytest

from simulator.faults import OutwardFaults
from simulator.meetings import Role
from simulator.outward_calls import OutwardCall, OutwardKind
from simulator.server import SimulatedServer, UnknownMeeting
from tests.unit.simulator.asking import SECRET, ManualClock, ask, create, make_server

ENDED = "http://balancer.example/ended?signature=abc"
END_CALLBACK = "http://front.example/end"
READY = "http://front.example/ready"
ANALYTICS = "http://front.example/analytics"


def telling_server(clock: ManualClock | None = None) -> tuple[SimulatedServer, list[OutwardCall]]:
    """A server, and what it tells others."""
    server, calls = make_server(clock), list[OutwardCall]()
    server.on_outward_call = calls.append
    return server, calls


def verified_payload(token: str, digest: str, secret: str = SECRET) -> dict[str, Any]:
    signed, _, signature = token.rpartition(".")
    assert hmac.new(secret.encode(), signed.encode(), digest).digest() == _decoded(signature)
    payload: dict[str, Any] = json.loads(_decoded(signed.partition(".")[2]))
    return payload


def test_end_of_a_meeting_is_told_to_both_addresses() -> None:
    server, calls = telling_server()
    create(server, "a room", meetingEndedURL=ENDED, meta_endCallbackUrl=END_CALLBACK)

    ask(server, "end", meetingID="a room")

    assert [(call.kind, call.url, call.body) for call in calls] == [
        (OutwardKind.END_CALLBACK, f"{END_CALLBACK}?recordingmarks=false&meetingID=a+room", b""),
        (OutwardKind.MEETING_ENDED, ENDED, b""),
    ]
    assert {(call.pauses, call.max_redirects) for call in calls} == {((30, 60, 120, 300), 0)}


@pytest.mark.parametrize(
    ("url", "called"),
    [
        (f"{END_CALLBACK}?token=a%20b&flag", f"{END_CALLBACK}?token=a+b&flag&recordingmarks=false&meetingID=room"),
        (f"{END_CALLBACK}?meetingID=own", f"{END_CALLBACK}?meetingID=own&recordingmarks=false&meetingID=room"),
        (f"{END_CALLBACK}?#part", f"{END_CALLBACK}?recordingmarks=false&meetingID=room"),
    ],
)
def test_own_query_of_the_callback_is_kept_and_written_anew(url: str, called: str) -> None:
    server, calls = telling_server()
    create(server, meta_endCallbackUrl=url)

    ask(server, "end", meetingID="room")

    assert [call.url for call in calls] == [called]


@pytest.mark.parametrize(
    ("record", "is_pressed", "marks"), [("true", True, "true"), ("true", False, "false"), ("false", True, "false")]
)
def test_recording_marks_need_a_recorded_meeting_and_the_button(record: str, is_pressed: bool, marks: str) -> None:
    server, calls = telling_server()
    create(server, meta_endCallbackUrl=END_CALLBACK, record=record)
    server.meetings["room"].record_was_pressed = is_pressed

    ask(server, "end", meetingID="room")

    assert parse_qs(calls[0].url.partition("?")[2])["recordingmarks"] == [marks]


def test_recording_that_starts_by_itself_leaves_marks() -> None:
    server, calls = telling_server()
    create(server, meta_endCallbackUrl=END_CALLBACK, record="true", autoStartRecording="true")

    ask(server, "end", meetingID="room")

    assert "recordingmarks=true" in calls[0].url


@pytest.mark.parametrize(("way", "seconds"), [("nobody came", 300), ("everybody left", 60), ("duration", 600)])
def test_meeting_that_ends_by_itself_is_told_of_too(way: str, seconds: int) -> None:
    clock = ManualClock()
    server, calls = telling_server(clock)
    create(server, meetingEndedURL=ENDED, duration="10")
    if way != "nobody came":
        person = server.add_person(server.meetings["room"], "Ada")
    if way == "everybody left":
        server.leave(person.session_token)

    clock.seconds = seconds - 1
    server.expire_meetings()
    assert calls == []
    clock.seconds = seconds
    for _ in range(2):
        server.expire_meetings()
    assert [call.url for call in calls] == [ENDED]


def test_breakout_rooms_end_without_a_word() -> None:
    server, calls = telling_server()
    create(server, "parent", meetingEndedURL=ENDED)
    create(
        server, "breakout", isBreakout="true", parentMeetingID="parent", meetingEndedURL=ENDED, meta_endCallbackUrl=END_CALLBACK
    )

    ask(server, "end", meetingID="parent")

    assert [call.url for call in calls] == [ENDED]
    assert server.meetings == {}


def test_meeting_that_nobody_asked_about_and_a_crash_are_told_to_nobody() -> None:
    server, calls = telling_server()
    create(server, "quiet")
    ask(server, "end", meetingID="quiet")
    create(server, "crashed", meetingEndedURL=ENDED)

    server.forget_everything()

    assert calls == []


@pytest.mark.parametrize("url", ["http://[", "no address", "http://front.example:99999/"])
def test_address_that_is_none_does_not_keep_a_meeting_alive(url: str) -> None:
    server, _ = telling_server()
    create(server, **{"meetingEndedURL": url, "meta_endCallbackUrl": url, "meta_analytics-callback-url": url, "record": "true"})
    server.add_hook(url)

    assert ask(server, "end", meetingID="room").succeeded
    assert server.meetings == {}


def test_ready_recording_is_told_with_a_signed_token_for_each_format() -> None:
    server, calls = telling_server()
    internal_id = create(server, "a room", **{"meta_bbb-recording-ready-url": READY}).text("internalMeetingID")
    ask(server, "end", meetingID="a room")

    for playback_format in ("presentation", "video"):
        server.publish_recording(internal_id, playback_format)

    assert [(call.kind, call.url, call.pauses) for call in calls] == [(OutwardKind.RECORDING_READY, READY, ())] * 2
    assert dict(calls[0].headers) == {"Content-Type": "application/x-www-form-urlencoded"}
    [(name, [token])] = parse_qs(calls[0].body.decode()).items()
    assert name == "signed_parameters"
    assert json.loads(_decoded(token.partition(".")[0])) == {"alg": "HS256"}
    assert verified_payload(token, "sha256") == {"meeting_id": "a room", "record_id": internal_id}


@pytest.mark.parametrize(
    ("names", "called"),
    [
        (("canvas", "bn", "bbb"), "http://bbb.example"),
        (("canvas", "bn"), "http://bn.example"),
        (("canvas",), "http://canvas.example"),
    ],
)
def test_bbb_is_asked_before_moodle_before_canvas(names: tuple[str, ...], called: str) -> None:
    server, calls = telling_server()
    create(server, **{f"meta_{name}-recording-ready-url": f"http://{name}.example" for name in names})
    [meeting] = server.meetings.values()
    server.end(meeting)

    server.publish_recording(meeting.internal_id)

    assert [call.url for call in calls] == [called]


def test_metadata_of_a_past_meeting_outlives_a_reboot_and_its_successor() -> None:
    clock = ManualClock()
    server, calls = telling_server(clock)
    internal_id = create(server, **{"meta_bbb-recording-ready-url": READY}).text("internalMeetingID")
    ask(server, "end", meetingID="room")
    clock.seconds += 1
    create(server)

    server.forget_everything()
    server.publish_recording(internal_id)

    assert [call.url for call in calls] == [READY]


def test_recording_of_a_meeting_that_goes_on_or_never_was_is_refused() -> None:
    server, _ = telling_server()
    going_on = create(server).text("internalMeetingID")

    for internal_id in (going_on, "nothing"):
        with pytest.raises(UnknownMeeting):
            server.publish_recording(internal_id)


@pytest.mark.parametrize("asked", [{"record": "true"}, {"meetingKeepEvents": "true"}])
def test_analytics_are_posted_with_a_token_that_lasts_a_day(asked: dict[str, str]) -> None:
    clock = ManualClock()
    server, calls = telling_server(clock)
    create(server, **{"meta_analytics-callback-url": ANALYTICS}, **asked)
    clock.seconds = 100

    ask(server, "end", meetingID="room")

    [call] = calls
    assert (call.kind, call.url, call.pauses) == (OutwardKind.ANALYTICS, ANALYTICS, ())
    headers = dict(call.headers)
    assert headers["Content-Type"] == "application/json"
    assert headers["User-Agent"] == "BigBlueButton Analytics Callback"
    scheme, _, token = headers["Authorization"].partition(" ")
    assert scheme == "Bearer"
    assert verified_payload(token, "sha512") == {"exp": int(clock.epoch()) + 86_400}


def test_analytics_of_a_meeting_whose_events_are_not_kept_are_not_there() -> None:
    server, calls = telling_server()
    create(server, **{"meta_analytics-callback-url": ANALYTICS})

    ask(server, "end", meetingID="room")

    assert calls == []


def test_analytics_tell_who_was_there_how_often_and_how_long() -> None:
    document = _analytics_of_a_visited_meeting()

    ada, bob = document["data"]["attendees"]
    assert (ada["ext_user_id"], ada["name"], ada["moderator"], ada["duration"]) == ("7", "Ada", True, 700)
    assert ada["joins"] == ["2023-11-14T22:13:20.000+00:00", "2023-11-14T22:28:20.000+00:00"]
    assert ada["leaves"] == ["2023-11-14T22:23:20.000+00:00", "2023-11-14T22:30:00.000+00:00"]
    assert ada["engagement"].keys() == {"chats", "talks", "raisehand", "emojis", "poll_votes", "talk_time"}
    assert ada["engagement"]["chats"] == 1
    assert (bob["ext_user_id"], bob["moderator"], bob["duration"]) == ("8", False, 950)
    assert bob["leaves"] == ["2023-11-14T22:30:00.000+00:00"]


def test_analytics_tell_what_meeting_it_was() -> None:
    document = _analytics_of_a_visited_meeting()

    assert list(document) == ["version", "meeting_id", "internal_meeting_id", "data"]
    assert (document["version"], document["meeting_id"]) == ("1.0", "room")
    assert document["internal_meeting_id"].endswith("-1700000000000")
    data = document["data"]
    assert data["metadata"] == {
        "analytics_callback_url": ANALYTICS,
        "bbb_context": "Course",
        "meeting_name": "A room",
        "is_breakout": "false",
    }
    assert (data["duration"], data["start"], data["finish"]) == (
        1000,
        "2023-11-14T22:13:20.000+00:00",
        "2023-11-14T22:30:00.000+00:00",
    )
    assert (data["files"], data["polls"]) == ([], [])


def test_clock_that_was_set_back_makes_no_negative_durations() -> None:
    server, calls = telling_server()
    create(server, **{"meta_analytics-callback-url": ANALYTICS, "record": "true"})
    server.add_person(server.meetings["room"], "Ada")
    server.clock_offset = -3600

    ask(server, "end", meetingID="room")

    data = json.loads(calls[0].body)["data"]
    assert (data["duration"], data["attendees"][0]["duration"]) == (0, 0)


def test_faults_hit_every_call_or_the_kinds_that_are_named() -> None:
    for faults, expected in (
        (OutwardFaults(never=True), []),
        (OutwardFaults(never=True, kinds=frozenset({OutwardKind.END_CALLBACK})), [(OutwardKind.MEETING_ENDED, 0.0, False)]),
        (
            OutwardFaults(twice=True, delay=2.5, kinds=frozenset({OutwardKind.MEETING_ENDED})),
            [(OutwardKind.END_CALLBACK, 0.0, False), (OutwardKind.MEETING_ENDED, 2.5, True)],
        ),
    ):
        server, calls = telling_server()
        server.outward_faults = faults
        create(server, meetingEndedURL=ENDED, meta_endCallbackUrl=END_CALLBACK)
        ask(server, "end", meetingID="room")
        assert [(call.kind, call.delay, call.is_sent_twice) for call in calls] == expected


def test_wrong_signatures_are_made_with_another_secret() -> None:
    server, calls = telling_server()
    server.outward_faults = OutwardFaults(wrong_signature=True, kinds=frozenset({OutwardKind.RECORDING_READY}))
    create(server, **{"meta_bbb-recording-ready-url": READY, "meta_analytics-callback-url": ANALYTICS, "record": "true"})
    [meeting] = server.meetings.values()
    server.end(meeting)
    server.publish_recording(meeting.internal_id)

    analytics, ready = calls
    assert verified_payload(dict(analytics.headers)["Authorization"].removeprefix("Bearer "), "sha512")
    signed, _, signature = parse_qs(ready.body.decode())["signed_parameters"][0].rpartition(".")
    assert hmac.new(SECRET.encode(), signed.encode(), hashlib.sha256).digest() != _decoded(signature)


def _analytics_of_a_visited_meeting() -> dict[str, Any]:
    """Ada comes twice, the second time as a viewer, and is there when it ends as Bob is, who came once."""
    clock = ManualClock()
    server, calls = telling_server(clock)
    metadata = {"analytics-callback-url": ANALYTICS, "bbb-context": "Course", "gl-listed": "false", "meeting-id": "7"}
    create(server, record="true", **{f"meta_{name}": value for name, value in metadata.items()})
    first = _arrive(server, "Ada", "7", Role.MODERATOR)
    clock.seconds = 50
    _arrive(server, "Bob", "8", Role.VIEWER)
    clock.seconds = 600
    server.leave(first)
    clock.seconds = 900
    _arrive(server, "Ada", "7", Role.VIEWER)
    clock.seconds = 1000
    ask(server, "end", meetingID="room")
    document: dict[str, Any] = json.loads(calls[0].body)
    return document


def _arrive(server: SimulatedServer, full_name: str, user_id: str, role: Role) -> str:
    token = server.let_in(server.meetings["room"], full_name, role, user_id=user_id).session_token
    server.arrive(token)
    return token


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
