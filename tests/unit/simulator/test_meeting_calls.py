import pytest

from meetingpool.bbb.answers import read_answer
from meetingpool.bbb.checksum import Algorithm, sign
from meetingpool.bbb.meetings import read_poll
from simulator import api
from simulator.meetings import Role
from simulator.requests import Request
from tests.unit.simulator.asking import SECRET, ask, children, create, make_server, reply_to, signed_query

MEETING_ELEMENTS = [
    "meetingName",
    "meetingID",
    "internalMeetingID",
    "createTime",
    "createDate",
    "voiceBridge",
    "dialNumber",
    "attendeePW",
    "moderatorPW",
    "running",
    "duration",
    "hasUserJoined",
    "recording",
    "hasBeenForciblyEnded",
    "startTime",
    "endTime",
    "participantCount",
    "listenerCount",
    "voiceParticipantCount",
    "videoCount",
    "maxUsers",
    "moderatorCount",
    "attendees",
    "metadata",
    "isBreakout",
]


@pytest.mark.parametrize("path", ["/bigbluebutton/api", "/bigbluebutton/api/", "/bigbluebutton/"])
def test_index_needs_no_checksum(path: str) -> None:
    name = api.call_of(path)
    assert name is not None

    answer = read_answer(api.answer(make_server(), name, Request("GET", path, b"checksum=anything")).body)

    assert [(child.tag, child.text) for child in answer.root] == [
        ("returncode", "SUCCESS"),
        ("version", "2.0"),
        ("apiVersion", "2.0"),
        ("bbbVersion", "3.0.19"),
    ]


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_every_algorithm_of_bbb_is_accepted(algorithm: Algorithm) -> None:
    request = Request("GET", "/", f"checksum={sign('getMeetings', b'', SECRET, algorithm)}".encode())

    assert read_answer(api.answer(make_server(), "getMeetings", request).body).succeeded


@pytest.mark.parametrize("query", [b"", b"checksum=", signed_query("create"), b"a=b&" + signed_query("getMeetings")])
def test_wrong_checksum_is_refused_and_nothing_is_done(query: bytes) -> None:
    answer = read_answer(api.answer(make_server(), "getMeetings", Request("GET", "/", query)).body)

    assert answer.message_key == "checksumError"


def test_unknown_call_is_a_page_that_is_not_there() -> None:
    assert reply_to(make_server(), "setConfigXML").status == 404


def test_server_without_meetings_says_so_and_succeeds() -> None:
    answer = ask(make_server(), "getMeetings")

    assert children(answer) == ["returncode", "meetings", "messageKey", "message"]
    assert answer.succeeded
    assert answer.message_key == "noMeetings"


def test_listed_meeting_has_the_elements_of_bbb_in_their_order() -> None:
    server = make_server()
    server.create_meeting("room", people=2, metadata={"origin": "test"})

    meeting = ask(server, "getMeetings").root.find("meetings/meeting")

    assert meeting is not None
    assert [child.tag for child in meeting] == MEETING_ELEMENTS


def test_meeting_info_has_the_same_elements_below_the_response() -> None:
    server = make_server()
    server.create_meeting("room", people=1)

    assert children(ask(server, "getMeetingInfo", meetingID="room")) == ["returncode", *MEETING_ELEMENTS]


def test_counts_are_the_sums_over_the_attendees() -> None:
    server = make_server()
    server.create_meeting("room", people=40)

    root = ask(server, "getMeetingInfo", meetingID="room").root

    assert root.findtext("participantCount") == "40"
    assert root.findtext("moderatorCount") == "1"
    for count, flag in (
        ("listenerCount", "isListeningOnly"),
        ("voiceParticipantCount", "hasJoinedVoice"),
        ("videoCount", "hasVideo"),
    ):
        people = root.findall(f"attendees/attendee[{flag}='true']")
        assert root.findtext(count) == str(len(people))
        assert 0 < len(people) < 40


def test_exactly_one_attendee_presents() -> None:
    server = make_server()
    meeting = server.create_meeting("room")
    server.add_person(meeting, "A viewer")
    server.add_person(meeting, "A moderator", Role.MODERATOR)

    root = ask(server, "getMeetingInfo", meetingID="room").root

    assert [one.findtext("fullName") for one in root.findall("attendees/attendee[isPresenter='true']")] == ["A moderator"]


def test_document_follows_every_change() -> None:
    server = make_server()
    meeting = server.create_meeting("room", people=1)
    for expected in ("2", "3"):
        person = server.add_person(meeting, "One more")
        assert ask(server, "getMeetingInfo", meetingID="room").text("participantCount") == expected

    server.leave(person.session_token)

    assert ask(server, "getMeetingInfo", meetingID="room").text("participantCount") == "2"


def test_custom_data_and_user_id_of_the_join_are_listed() -> None:
    server = make_server()
    create(server)
    join = {"userdata-bbb_custom_style": "x", "userdata-a-b": "dropped", "userID": "gl-42"}
    token = ask(server, "join", fullName="<Ada & Bob>", meetingID="room", role="VIEWER", redirect="false", **join).text(
        "session_token"
    )
    server.arrive(token)

    attendee = ask(server, "getMeetingInfo", meetingID="room").root.find("attendees/attendee")

    assert attendee is not None
    assert attendee.findtext("userID") == "gl-42"
    assert attendee.findtext("fullName") == "<Ada & Bob>"
    assert [(each.tag, each.text) for each in attendee.findall("customdata/*")] == [("bbb_custom_style", "x")]


def test_breakout_rooms_are_meetings_of_their_own_that_name_their_parent() -> None:
    server = make_server()
    create(server, "parent")
    parent = server.meetings["parent"]
    create(server, "breakout", isBreakout="true", parentMeetingID="parent", sequence="2", freeJoin="true")

    info = ask(server, "getMeetingInfo", meetingID="breakout")
    assert children(info)[-4:] == ["isBreakout", "parentMeetingID", "sequence", "freeJoin"]
    assert info.text("parentMeetingID") == parent.internal_id
    assert info.text("sequence") == "2"
    rooms = ask(server, "getMeetingInfo", meetingID="parent").root.findall("breakoutRooms/breakout")
    assert [room.text for room in rooms] == [server.meetings["breakout"].internal_id]


def test_breakout_rooms_end_with_their_parent_and_leave_its_list_when_they_end() -> None:
    server = make_server()
    parent = server.create_meeting("parent")
    server.create_meeting("one", parent=parent)
    server.create_meeting("two", parent=parent)

    ask(server, "end", meetingID="one")
    assert parent.breakout_rooms == [server.meetings["two"].internal_id]
    ask(server, "end", meetingID="parent")
    assert server.meetings == {}


def test_ended_meeting_is_gone() -> None:
    server = make_server()
    create(server, moderatorPW="mp")

    assert ask(server, "end", meetingID="room", password="mp").message_key == "sentEndMeetingRequest"
    assert ask(server, "getMeetingInfo", meetingID="room").message_key == "notFound"
    assert ask(server, "end", meetingID="room").message_key == "notFound"


def test_end_with_a_wrong_password_is_refused() -> None:
    server = make_server()
    create(server, moderatorPW="mp")

    assert ask(server, "end", meetingID="room", password="other").message_key == "invalidPassword"
    assert "room" in server.meetings


def test_unknown_meeting_is_not_running_and_not_an_error() -> None:
    assert ask(make_server(), "isMeetingRunning", meetingID="0").text("running") == "false"


@pytest.mark.parametrize("call", ["isMeetingRunning", "end", "getMeetingInfo", "sendChatMessage"])
def test_meeting_id_is_required(call: str) -> None:
    assert ask(make_server(), call).message_key == "missingParamMeetingID"


def test_document_can_be_inserted_into_a_meeting_that_exists() -> None:
    server = make_server()
    server.create_meeting("room")

    def insert(meeting_id: str) -> str:
        query = signed_query("insertDocument", meetingID=meeting_id)
        request = Request("POST", "/bigbluebutton/api/insertDocument", query, "application/xml", b"<modules/>")
        return read_answer(api.answer(server, "insertDocument", request).body).text("message")

    assert insert("room") == "Presentation is being uploaded"
    assert insert("elsewhere") == "A meeting with that ID does not exist"


@pytest.mark.parametrize(
    ("parameters", "key"),
    [
        ({"meetingID": "room", "message": "Hello"}, ""),
        ({"meetingID": "room", "message": "x" * 500, "userName": "Bot"}, ""),
        ({"meetingID": "room", "message": ""}, "validationError"),
        ({"meetingID": "room", "message": "x" * 501}, "validationError"),
        ({"meetingID": "room", "message": "Hello", "userName": "x" * 256}, "validationError"),
        ({"meetingID": "elsewhere", "message": "Hello"}, "notFound"),
    ],
)
def test_chat_message_needs_a_meeting_and_a_reasonable_length(parameters: dict[str, str], key: str) -> None:
    server = make_server()
    server.create_meeting("room")

    answer = ask(server, "sendChatMessage", **parameters)

    assert (answer.message_key, answer.succeeded) == (key, not key)


def test_every_person_who_is_in_has_a_session() -> None:
    server = make_server()
    full = server.create_meeting("full", name="Full & loud", people=2)
    server.let_in(full, "On the way", Role.VIEWER)
    server.create_meeting("empty")

    sessions = ask(server, "getSessions").root.findall("sessions/meeting")

    assert [[(field.tag, field.text) for field in session] for session in sessions] == [
        [("meetingID", full.internal_id), ("meetingName", "Full & loud"), ("userName", f"Person {number}")] for number in (1, 2)
    ]


def test_server_without_sessions_says_so_in_the_words_of_bbb() -> None:
    answer = ask(make_server(), "getSessions")

    assert children(answer) == ["returncode", "sessions", "messageKey", "message"]
    assert (answer.message_key, answer.text("message")) == ("noSessions", "no sessions were found on this serverr")


def test_received_calls_are_kept_with_their_parameters() -> None:
    server = make_server()

    create(server, "room")
    ask(server, "getMeetings")

    assert server.count("create") == 1
    assert server.requests[0].parameters["meetingID"] == "room"
    assert [received.call for received in server.requests] == ["create", "getMeetings"]


def test_poll_reader_understands_the_list() -> None:
    server = make_server()
    server.create_meeting("room", people=3)

    [reported] = read_poll(reply_to(server, "getMeetings").body)

    assert (reported.meeting_id, reported.users) == ("room", 3)
    assert reported.internal_id == server.meetings["room"].internal_id
