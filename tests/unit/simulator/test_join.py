from urllib.parse import parse_qs, urlsplit

import pytest

from simulator import api
from simulator.replies import Reply
from simulator.requests import Request
from simulator.server import SimulatedServer
from tests.unit.simulator.asking import ManualClock, ask, children, create, make_server, reply_to


def test_join_redirects_to_the_client_on_the_servers_own_host() -> None:
    server = _server_with_room()

    reply = _join(server, role="VIEWER")

    assert reply.status == 302
    assert (reply.location or "").startswith("http://server-1.example/html5client/?sessionToken=")


def test_person_counts_once_they_arrive_at_the_client() -> None:
    server = _server_with_room()

    token = _session_token(_join(server, role="VIEWER"))
    assert ask(server, "isMeetingRunning", meetingID="room").text("running") == "false"

    assert _arrive(server, token).status == 200
    assert _arrive(server, token).status == 200
    assert ask(server, "isMeetingRunning", meetingID="room").text("running") == "true"
    assert ask(server, "getMeetingInfo", meetingID="room").text("participantCount") == "1"


def test_arrival_with_an_unknown_session_is_refused() -> None:
    assert _arrive(_server_with_room(), "nobody").status == 404


def test_sign_out_makes_the_person_leave_and_always_succeeds() -> None:
    server = _server_with_room()
    token = _session_token(_join(server, role="VIEWER"))
    _arrive(server, token)

    for _ in range(2):
        reply = api.answer(server, "signOut", Request("GET", "/", f"sessionToken={token}".encode()))
        assert reply.body == b"<response><returncode>SUCCESS</returncode></response>"

    assert server.people_count == 0


def test_redirect_false_answers_with_the_session() -> None:
    answer = ask(_server_with_room(), "join", fullName="Ada", meetingID="room", role="moderator", redirect="false")

    assert children(answer) == [
        "returncode",
        "messageKey",
        "message",
        "meeting_id",
        "user_id",
        "auth_token",
        "session_token",
        "guestStatus",
        "url",
    ]
    assert answer.message_key == "successfullyJoined"
    assert answer.text("url").endswith(f"?sessionToken={answer.text('session_token')}")


@pytest.mark.parametrize(
    ("parameters", "role"),
    [
        ({"role": "Moderator"}, "MODERATOR"),
        ({"role": "viewer", "password": "mp"}, "VIEWER"),
        ({"password": "mp"}, "MODERATOR"),
        ({"password": "ap"}, "VIEWER"),
        ({"role": "boss", "password": "ap"}, "VIEWER"),
    ],
)
def test_role_comes_from_a_valid_role_or_else_from_the_password(parameters: dict[str, str], role: str) -> None:
    server = _server_with_room()

    _arrive(server, _session_token(_join(server, **parameters)))

    assert ask(server, "getMeetingInfo", meetingID="room").root.findtext("attendees/attendee/role") == role


@pytest.mark.parametrize(
    ("parameters", "key"),
    [
        ({"meetingID": "room", "role": "VIEWER"}, "missingParamFullName"),
        ({"fullName": "Ada", "role": "VIEWER"}, "missingParamMeetingID"),
        ({"fullName": "Ada", "meetingID": "elsewhere", "role": "VIEWER"}, "invalidMeetingIdentifier"),
        ({"fullName": "Ada", "meetingID": "room"}, "Params required"),
        ({"fullName": "Ada", "meetingID": "room", "password": "wrong"}, "invalidPassword"),
        ({"fullName": "Ada", "meetingID": "room", "password": "ap", "createTime": "1"}, "mismatchCreateTimeParam"),
    ],
)
def test_join_is_refused_with_the_key_of_bbb(parameters: dict[str, str], key: str) -> None:
    assert ask(_server_with_room(), "join", **parameters).message_key == key


def test_matching_create_time_is_accepted() -> None:
    server = _server_with_room()

    assert _join(server, role="VIEWER", createTime=str(server.meetings["room"].created_ms)).status == 302


def test_full_meeting_takes_nobody_else_even_before_they_arrive() -> None:
    server = _server_with_room(maxParticipants="1")
    _join(server, role="VIEWER")

    assert ask(server, "join", fullName="Bob", meetingID="room", role="VIEWER").message_key == "maxParticipantsReached"


def test_ended_meeting_says_so_for_a_minute() -> None:
    clock = ManualClock()
    server = make_server(clock)
    create(server)
    ask(server, "end", meetingID="room")

    assert _join_key(server) == "meetingForciblyEnded"
    clock.seconds += 60
    assert _join_key(server) == "invalidMeetingIdentifier"


def test_join_by_post_is_refused() -> None:
    reply = api.answer(_server_with_room(), "join", Request("POST", "/bigbluebutton/api/join"))

    assert reply.status == 405


def _server_with_room(**parameters: str) -> SimulatedServer:
    server = make_server()
    create(server, attendeePW="ap", moderatorPW="mp", **parameters)
    return server


def _join(server: SimulatedServer, **parameters: str) -> Reply:
    return reply_to(server, "join", fullName="Ada", meetingID="room", **parameters)


def _join_key(server: SimulatedServer) -> str:
    return ask(server, "join", fullName="Ada", meetingID="room", role="VIEWER").message_key


def _arrive(server: SimulatedServer, token: str) -> Reply:
    request = Request("GET", "/html5client/", f"sessionToken={token}".encode())
    return api.answer(server, "html5client", request)


def _session_token(reply: Reply) -> str:
    return parse_qs(urlsplit(reply.location or "").query)["sessionToken"][0]
