import hashlib

import pytest

from meetingpool.bbb.answers import read_answer
from meetingpool.bbb.checksum import sign
from meetingpool.bbb.query import encode, signed_as_java
from simulator import api
from simulator.replies import Reply
from simulator.requests import FORM, Request
from tests.unit.simulator.asking import SECRET, ManualClock, ask, children, create, make_server, signed_query


def test_answer_has_the_elements_of_bbb_in_their_order() -> None:
    answer = create(make_server(), attendeePW="ap", moderatorPW="mp")

    assert children(answer) == [
        "returncode",
        "meetingID",
        "internalMeetingID",
        "parentMeetingID",
        "attendeePW",
        "moderatorPW",
        "createTime",
        "voiceBridge",
        "dialNumber",
        "createDate",
        "hasUserJoined",
        "duration",
        "hasBeenForciblyEnded",
        "messageKey",
        "message",
    ]
    assert answer.text("parentMeetingID") == "bbb-none"
    assert answer.text("createDate") == "Tue Nov 14 22:13:20 UTC 2023"


def test_internal_id_is_the_hash_of_the_id_and_the_create_time() -> None:
    sha1_of_room = hashlib.sha1(b"room", usedforsecurity=False).hexdigest()

    answer = create(make_server(), "room")

    assert answer.text("createTime") == "1700000000000"
    assert answer.text("internalMeetingID") == f"{sha1_of_room}-1700000000000"


def test_create_time_follows_the_offset_of_the_servers_clock() -> None:
    server = make_server()
    server.clock_offset = -86_400

    assert create(server).text("createTime") == str(1_700_000_000_000 - 86_400_000)


def test_passwords_and_voice_bridge_are_made_up_when_absent_or_empty() -> None:
    answer = create(make_server(), attendeePW="")

    for password in (answer.text("attendeePW"), answer.text("moderatorPW")):
        assert len(password) == 8
        assert password.isalnum()
    assert len(answer.text("voiceBridge")) == 5


@pytest.mark.parametrize("passwords", [{}, {"attendeePW": "ap", "moderatorPW": "mp"}])
def test_repeat_with_the_same_passwords_or_none_is_the_same_meeting(passwords: dict[str, str]) -> None:
    server = make_server()
    first = create(server, attendeePW="ap", moderatorPW="mp")

    repeat = create(server, **passwords)

    assert repeat.message_key == "duplicateWarning"
    assert repeat.text("internalMeetingID") == first.text("internalMeetingID")
    assert repeat.text("moderatorPW") == "mp"


@pytest.mark.parametrize("passwords", [{"attendeePW": "ap", "moderatorPW": "other"}, {"moderatorPW": "mp"}, {"attendeePW": "ap"}])
def test_repeat_with_other_passwords_is_refused_by_a_strict_server_only(passwords: dict[str, str]) -> None:
    server = make_server()
    create(server, attendeePW="ap", moderatorPW="mp")

    assert create(server, **passwords).message_key == "idNotUnique"
    server.strict = False
    assert create(server, **passwords).message_key == "duplicateWarning"


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"meetingID": "x", "name": "A room"}, "Meeting ID must be between 2 and 256 characters"),
        ({"meetingID": "x" * 257, "name": "A room"}, "Meeting ID must be between 2 and 256 characters"),
        ({"meetingID": "a,b", "name": "A room"}, "Meeting ID cannot contain ','"),
        ({"meetingID": "room"}, "You must provide a meeting name"),
        ({"meetingID": "room", "name": "A"}, "Meeting name must be between 2 and 256 characters"),
        ({"meetingID": "room", "name": "A room", "voiceBridge": "12a"}, "Voice bridge must be an integral value"),
        ({"meetingID": "room", "name": "A room", "record": "yes"}, "Record must be a boolean value (true or false)"),
    ],
)
def test_invalid_parameters_are_named(parameters: dict[str, str], message: str) -> None:
    answer = ask(make_server(), "create", **parameters)

    assert answer.message_key == "validationError"
    assert answer.text("message") == message


def test_missing_meeting_id_has_its_own_key() -> None:
    assert ask(make_server(), "create", name="A room").message_key == "missingParamMeetingID"


def test_voice_bridge_in_use_is_refused_in_the_list_of_errors() -> None:
    server = make_server()
    create(server, "first", voiceBridge="12345")

    answer = create(server, "second", voiceBridge="12345")

    assert children(answer) == ["returncode", "errors"]
    assert answer.root.findtext("errors/error/key") == "nonUniqueVoiceBridge"
    assert "second" not in server.meetings


def test_voice_bridge_and_number_that_are_asked_for_are_the_meetings() -> None:
    server = make_server()

    created = create(server, voiceBridge="70757", dialNumber="030-1234")

    info = ask(server, "getMeetingInfo", meetingID="room")
    for answer in (created, info):
        assert (answer.text("voiceBridge"), answer.text("dialNumber")) == ("70757", "030-1234")


def test_repeat_with_another_voice_bridge_is_the_same_meeting() -> None:
    server = make_server()
    create(server, voiceBridge="12345")

    repeat = create(server, voiceBridge="54321")

    assert (repeat.message_key, repeat.text("voiceBridge")) == ("duplicateWarning", "12345")


def test_voice_bridge_is_free_again_once_its_meeting_has_ended() -> None:
    server = make_server()
    create(server, "first", voiceBridge="12345")
    ask(server, "end", meetingID="first")

    assert create(server, "second", voiceBridge="12345").text("voiceBridge") == "12345"


def test_made_up_voice_bridge_is_never_one_in_use() -> None:
    passwords = {"attendeePW": "ap", "moderatorPW": "mp"}
    first_choice = create(make_server(), **passwords).text("voiceBridge")
    server = make_server()
    create(server, "first", voiceBridge=first_choice, **passwords)

    second = create(server, "second", **passwords)

    assert second.succeeded
    assert second.text("voiceBridge") != first_choice


def test_metadata_keys_are_lower_cased_and_invalid_ones_dropped() -> None:
    server = make_server()

    create(server, **{"meta_endCallbackUrl": "https://x", "meta_a_b": "no", "meta_1x": "no", "meta_X-Note": "yes"})

    assert server.meetings["room"].settings.metadata == {"endcallbackurl": "https://x", "x-note": "yes"}


def test_breakout_room_needs_a_parent_that_exists() -> None:
    server = make_server()

    answer = create(server, "breakout", isBreakout="true", parentMeetingID="nowhere")

    assert answer.message_key == "parentMeetingIdMissing"


@pytest.mark.parametrize("as_java", [True, False])
def test_form_without_a_query_is_signed_over_its_sorted_fields_or_over_nothing(as_java: bool) -> None:
    fields = [("name", "Rück sicht"), ("meetingID", "room*~")]
    signed = signed_as_java(encode(fields).encode().split(b"&")) if as_java else b""
    body = f"{encode(fields)}&checksum={sign('create', signed, SECRET)}".encode()

    reply = _post(b"", FORM, body)

    assert read_answer(reply.body).succeeded


def test_form_fields_beside_a_signed_query_are_parameters() -> None:
    reply = _post(signed_query("create", meetingID="room"), FORM, b"name=From+the+form&meetingID=other")

    assert read_answer(reply.body).text("meetingID") == "room"


@pytest.mark.parametrize("content_type", ["text/xml", "application/xml"])
def test_slides_are_accepted_and_kept_as_received(content_type: str) -> None:
    server = make_server()
    body = b"<modules><module name='presentation'/></modules>"
    request = Request("POST", "/bigbluebutton/api/create", _query(), content_type, body)

    answer = read_answer(api.answer(server, "create", request).body)

    assert answer.succeeded
    assert server.requests[0].body == body


def test_body_of_another_type_is_refused() -> None:
    reply = _post(_query(), "application/json", b"{}")

    assert read_answer(reply.body).message_key == "unsupportedContentType"


def test_content_type_without_a_body_does_not_matter() -> None:
    request = Request("GET", "/bigbluebutton/api/create", _query(), "application/json")

    assert read_answer(api.answer(make_server(), "create", request).body).succeeded


def test_same_seed_gives_the_same_passwords() -> None:
    first, second = (create(make_server(ManualClock())).text("moderatorPW") for _ in range(2))

    assert first == second


def _query() -> bytes:
    return signed_query("create", name="A room", meetingID="room")


def _post(query: bytes, content_type: str, body: bytes) -> Reply:
    return api.answer(make_server(), "create", Request("POST", "/bigbluebutton/api/create", query, content_type, body))
