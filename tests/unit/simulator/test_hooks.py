"""The hooks calls, and which events a server has for which hook."""

import hashlib
import json
import uuid
from typing import Any
from urllib.parse import parse_qsl

import pytest

from meetingpool.bbb.answers import Answer, read_answer
from meetingpool.bbb.checksum import Algorithm, sign
from meetingpool.bbb.query import encode
from simulator import api
from simulator.faults import OutwardFaults
from simulator.meetings import Role
from simulator.outward_calls import OutwardCall, OutwardKind
from simulator.requests import Request
from simulator.server import SimulatedServer, UnknownMeeting
from tests.unit.simulator.asking import SECRET, ask, children, create, make_server, reply_to

URL = "http://listener.example/events"


def telling_server() -> tuple[SimulatedServer, list[OutwardCall]]:
    """A server, and what it tells others."""
    server, calls = make_server(), list[OutwardCall]()
    server.on_outward_call = calls.append
    return server, calls


def register(server: SimulatedServer, url: str = URL, **parameters: str) -> Answer:
    return ask(server, "hooks/create", callbackURL=url, **parameters)


def sent_events(calls: list[OutwardCall]) -> list[dict[str, Any]]:
    return [json.loads(dict(parse_qsl(call.body.decode()))["event"])[0] for call in calls]


def sent_ids(calls: list[OutwardCall]) -> list[str]:
    return [event["data"]["id"] for event in sent_events(calls)]


def test_new_hook_is_answered_with_a_uuid() -> None:
    answer = register(make_server())

    assert children(answer) == ["returncode", "hookID", "permanentHook", "rawData"]
    assert str(uuid.UUID(answer.text("hookID"))) == answer.text("hookID")
    assert (answer.text("permanentHook"), answer.text("rawData")) == ("false", "false")


def test_url_that_has_a_hook_keeps_it() -> None:
    server = make_server()
    first = register(server)

    repeat = register(server, eventID="user-left")

    assert children(repeat) == ["returncode", "hookID", "messageKey", "message"]
    assert repeat.message_key == "duplicateWarning"
    assert repeat.text("hookID") == first.text("hookID")
    assert [hook.event_ids for hook in server.hooks.values()] == [()]


def test_list_shows_what_each_hook_was_registered_for() -> None:
    server = make_server()
    register(server, "http://all.example/?a=1&b=2")
    register(server, "http://some.example/", meetingID="room", eventID="User-Joined,user-left", getRaw="true")

    plain, special = ask(server, "hooks/list").root.findall("hooks/hook")

    assert [child.tag for child in plain] == ["hookID", "callbackURL", "permanentHook", "rawData"]
    assert plain.findtext("callbackURL") == "http://all.example/?a=1&b=2"
    assert [(child.tag, child.text) for child in special][1:] == [
        ("callbackURL", "http://some.example/"),
        ("meetingID", "room"),
        ("eventID", "user-joined,user-left"),
        ("permanentHook", "false"),
        ("rawData", "true"),
    ]


def test_list_for_a_meeting_holds_the_hooks_that_hear_of_it() -> None:
    server = make_server()
    for url, parameters in (("http://all.example", {}), ("http://one.example", {"meetingID": "one"})):
        register(server, url, **parameters)

    def listed(**parameters: str) -> list[str | None]:
        return [each.text for each in ask(server, "hooks/list", **parameters).root.findall("hooks/hook/callbackURL")]

    assert listed(meetingID="one") == ["http://all.example", "http://one.example"]
    assert listed(meetingID="two") == ["http://all.example"]
    assert len(listed()) == 2


def test_server_without_hooks_lists_none_and_succeeds() -> None:
    answer = ask(make_server(), "hooks/list")

    assert children(answer) == ["returncode", "hooks"]
    assert answer.succeeded


def test_destroyed_hook_is_gone() -> None:
    server = make_server()
    hook_id = register(server).text("hookID")

    answer = ask(server, "hooks/destroy", hookID=hook_id)

    assert (children(answer), answer.text("removed")) == (["returncode", "removed"], "true")
    assert server.hooks == {}
    assert ask(server, "hooks/destroy", hookID=hook_id).message_key == "destroyMissingHook"


def test_permanent_hook_is_removed_by_no_call_and_no_reboot() -> None:
    server = make_server()
    hook = server.add_hook(URL, is_permanent=True)
    register(server, "http://other.example")

    assert ask(server, "hooks/destroy", hookID=hook.id).message_key == "destroyMissingHook"
    server.forget_everything()

    [listed] = ask(server, "hooks/list").root.findall("hooks/hook")
    assert listed.findtext("permanentHook") == "true"


@pytest.mark.parametrize(("call", "key"), [("hooks/create", "missingParamCallbackURL"), ("hooks/destroy", "missingParamHookID")])
def test_what_a_call_is_about_must_be_named(call: str, key: str) -> None:
    assert ask(make_server(), call).message_key == key


def test_ping_needs_no_checksum() -> None:
    reply = api.answer(make_server(), "hooks/ping", Request("GET", "/bigbluebutton/api/hooks/ping"))

    assert (reply.status, reply.content_type, reply.body) == (200, "text/plain;charset=utf-8", b"bbb-webhooks API up!")


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_checksum_covers_the_call_name_with_its_prefix(algorithm: Algorithm) -> None:
    assert read_answer(_create_signed_as("hooks/create", algorithm)).succeeded


def test_wrong_checksum_is_refused_in_the_words_of_bbb_webhooks() -> None:
    answer = read_answer(_create_signed_as("create", Algorithm.SHA1))

    assert answer.message_key == "checksumError"
    assert answer.text("message") == "You did not pass the checksum security check."


@pytest.mark.parametrize("call", ["hooks/create", "hooks/list", "hooks/destroy", "hooks/ping"])
def test_server_without_webhooks_has_no_such_call_and_sends_no_events(call: str) -> None:
    server, calls = telling_server()
    server.add_hook(URL)
    server.has_webhooks = False

    assert reply_to(server, call, callbackURL=URL).status == 404
    create(server)
    assert calls == []


def test_life_of_a_meeting_is_told_in_its_order() -> None:
    server, calls = telling_server()
    register(server)
    create(server)
    person = server.add_person(server.meetings["room"], "Ada")
    server.arrive(person.session_token)
    server.leave(person.session_token)
    server.leave(person.session_token)
    ask(server, "end", meetingID="room")

    assert sent_ids(calls) == ["meeting-created", "user-joined", "user-left", "meeting-ended"]
    assert {(call.kind, call.url.partition("?")[0]) for call in calls} == {(OutwardKind.WEBHOOK, URL)}


def test_event_is_a_form_signed_with_the_address_and_the_secret() -> None:
    server, calls = telling_server()
    register(server)
    create(server, "Rücksicht")

    [call] = calls
    assert [name for name, _ in parse_qsl(call.body.decode())] == ["domain", "event", "timestamp"]
    fields = dict(parse_qsl(call.body.decode()))
    assert (fields["domain"], fields["timestamp"]) == ("server-1.example", "1700000000000")
    assert dict(call.headers) == {"Content-Type": "application/x-www-form-urlencoded"}
    checksum = hashlib.sha1(URL.encode() + call.body + SECRET.encode(), usedforsecurity=False).hexdigest()
    assert call.url == f"{URL}?checksum={checksum}"


def test_checksum_follows_the_query_that_is_there() -> None:
    server, calls = telling_server()
    register(server, f"{URL}?token=x")
    create(server)

    assert calls[0].url.startswith(f"{URL}?token=x&checksum=")


def test_algorithm_of_the_checksum_can_be_chosen_or_replaced_by_a_bearer_token() -> None:
    server, calls = telling_server()
    register(server)
    server.hook_algorithm = Algorithm.SHA512
    create(server, "signed")
    server.hook_algorithm = None
    create(server, "unsigned")

    signed, unsigned = calls
    assert len(signed.url.partition("checksum=")[2]) == 128
    assert unsigned.url == URL
    assert dict(unsigned.headers)["Authorization"] == f"Bearer {SECRET}"


def test_wrong_signature_of_an_event_is_made_with_another_secret() -> None:
    server, calls = telling_server()
    register(server)
    server.outward_faults = OutwardFaults(wrong_signature=True)
    create(server)

    checksum = hashlib.sha1(URL.encode() + calls[0].body + SECRET.encode(), usedforsecurity=False).hexdigest()
    assert not calls[0].url.endswith(checksum)


def test_created_meeting_is_described_as_bbb_webhooks_does() -> None:
    server, calls = telling_server()
    register(server)
    answer = create(server, voiceBridge="12345", record="true", duration="10", meta_origin="test")

    [event] = sent_events(calls)
    assert event["data"]["type"] == "event"
    assert event["data"]["event"] == {"ts": 1_700_000_000_000}
    assert event["data"]["attributes"] == {
        "meeting": {
            "internal-meeting-id": answer.text("internalMeetingID"),
            "external-meeting-id": "room",
            "name": "A room",
            "is-breakout": False,
            "parent-id": "bbb-none",
            "duration": 10,
            "create-time": 1_700_000_000_000,
            "create-date": "Tue Nov 14 22:13:20 UTC 2023",
            "moderator-pass": answer.text("moderatorPW"),
            "viewer-pass": answer.text("attendeePW"),
            "record": True,
            "voice-conf": "12345",
            "dial-number": "613-555-1234",
            "max-users": 0,
            "metadata": {"origin": "test"},
        }
    }


def test_person_who_joins_is_named_and_who_leaves_is_known_by_ids() -> None:
    server, calls = telling_server()
    create(server)
    register(server)
    meeting = server.meetings["room"]
    person = server.let_in(meeting, "Ada", Role.MODERATOR, user_id="gl-7", custom_data={"style": "x"})
    server.arrive(person.session_token)
    server.leave(person.session_token)

    joined, left = (event["data"]["attributes"] for event in sent_events(calls))
    ids = {"internal-user-id": person.internal_id, "external-user-id": "gl-7"}
    assert joined["user"] == {**ids, "name": "Ada", "role": "MODERATOR", "presenter": True, "userdata": {"style": "x"}}
    assert left["user"] == ids
    assert left["meeting"] == {"internal-meeting-id": meeting.internal_id, "external-meeting-id": "room"}


def test_hook_for_a_meeting_hears_of_that_one_only() -> None:
    server, calls = telling_server()
    register(server, meetingID="mine")

    create(server, "other")
    create(server, "mine")

    assert [event["data"]["attributes"]["meeting"]["external-meeting-id"] for event in sent_events(calls)] == ["mine"]


def test_hook_for_some_events_hears_those_only_whatever_their_case() -> None:
    server, calls = telling_server()
    register(server, eventID="Meeting-ENDED,user-left")

    create(server)
    server.add_person(server.meetings["room"], "Ada")
    ask(server, "end", meetingID="room")

    assert sent_ids(calls) == ["meeting-ended"]


def test_hook_for_raw_data_gets_the_message_of_the_servers_own_bus() -> None:
    server, calls = telling_server()
    register(server, getRaw="true", eventID="meeting-created,meeting-ended")
    internal_id = create(server).text("internalMeetingID")
    ask(server, "end", meetingID="room")

    created, ended = sent_events(calls)
    assert created["envelope"]["name"] == "MeetingCreatedEvtMsg"
    assert created["core"]["body"]["props"]["meetingProp"]["extId"] == "room"
    assert (ended["envelope"]["name"], ended["core"]["body"]) == ("MeetingDestroyedEvtMsg", {"meetingId": internal_id})


def test_each_hook_gets_a_post_of_its_own() -> None:
    server, calls = telling_server()
    ids = [register(server, url).text("hookID") for url in ("http://one.example", "http://two.example")]
    create(server)

    assert [call.hook_id for call in calls] == ids


def test_any_event_can_be_sent_about_a_meeting_by_either_id_even_when_it_is_over() -> None:
    server, calls = telling_server()
    internal_id = create(server).text("internalMeetingID")
    register(server)
    attributes = {"meeting": {"presentation-id": "p"}, "chat-message": {"message": "Hello"}}

    server.send_event("chat-group-message-sent", "room", attributes)
    server.end(server.meetings["room"])
    server.send_event("rap-published", internal_id)
    server.send_event("rap-published", "room")

    chat, _, *published = sent_events(calls)
    ids = {"internal-meeting-id": internal_id, "external-meeting-id": "room"}
    assert chat["data"]["attributes"] == {"meeting": {**ids, "presentation-id": "p"}, "chat-message": {"message": "Hello"}}
    assert [event["data"]["attributes"] for event in published] == [{"meeting": ids}] * 2
    with pytest.raises(UnknownMeeting):
        server.send_event("rap-published", "nowhere")


def test_event_without_raw_data_is_nothing_for_a_hook_that_wants_them() -> None:
    server, calls = telling_server()
    create(server)
    register(server, getRaw="true")

    server.send_event("poll-started", "room")
    server.send_event("poll-started", "room", raw={"envelope": {"name": "PollStartedEvtMsg"}})

    assert sent_events(calls) == [{"envelope": {"name": "PollStartedEvtMsg"}}]


def test_published_format_of_a_recording_is_an_event_too() -> None:
    server, calls = telling_server()
    internal_id = create(server, meta_origin="test").text("internalMeetingID")
    ask(server, "end", meetingID="room")
    register(server)

    server.publish_recording(internal_id, "video")

    [event] = sent_events(calls)
    assert event["data"]["id"] == "rap-publish-ended"
    attributes = event["data"]["attributes"]
    assert (attributes["record-id"], attributes["workflow"], attributes["success"]) == (internal_id, "video", True)
    assert attributes["recording"]["metadata"] == {"meetingId": "room", "meetingName": "A room", "origin": "test"}


def _create_signed_as(call: str, algorithm: Algorithm) -> bytes:
    query = encode([("callbackURL", URL)])
    signed = f"{query}&checksum={sign(call, query.encode(), SECRET, algorithm)}".encode()
    return api.answer(make_server(), "hooks/create", Request("GET", "/bigbluebutton/api/hooks/create", signed)).body
