"""Every client by the bytes it sends, and by what it looks for in the answers."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from urllib.parse import parse_qsl, urlsplit

import pytest
from lxml import etree

from simulator.server import ReceivedCall
from tests.pool import SECRET, key_of, succeeded
from tests.properties.test_queries import CLIENTS as ENCODERS
from tests.stepped import SteppedPool, document, stepped_pool
from tests.unit.bbb.test_query import AS_SENT_BY, VALUE
from tests.wire import API, FORM, Answered, Headers, Request, signed, signed_target

KEY = SECRET.encode()
ALGORITHMS = ("sha1", "sha256", "sha384", "sha512")
# As Moodle writes it: no prolog, single quotes.
SLIDES = b"<modules><module name='presentation'><document url='https://m.example/a.pdf?b=c&amp;d'/></module></modules>"

numbers = count(1)


@pytest.fixture(scope="module")
def stepped(template_url: str) -> Iterator[SteppedPool]:
    with stepped_pool(template_url, servers=2) as stepped:
        yield stepped


@pytest.fixture
def room() -> str:
    """A meetingID that nobody has used yet."""
    return f"room-{next(numbers)}"


@dataclass(frozen=True)
class Client:
    """How a client writes a call. `bare` stands between a URL and its checksum when there are no parameters."""

    write: Callable[[str], str]
    algorithm: str = "sha1"
    headers: Headers = ()
    sorts: bool = False
    bare: bytes = b"?"
    probe: bytes = b"/"
    slides: bytes = b""
    slides_headers: Headers = ()

    def target(self, call: str, parameters: dict[str, str]) -> bytes:
        named = sorted(parameters.items()) if self.sorts else parameters.items()
        query = "&".join(f"{name}={self.write(value)}" for name, value in named).encode()
        if query:
            return signed_target(call.encode(), query, KEY, self.algorithm)
        return API + b"/" + call.encode() + self.bare + b"checksum=" + signed(call.encode(), b"", KEY, self.algorithm)

    def request(self, call: str, parameters: dict[str, str]) -> Request:
        if call == "create" and self.slides:
            headers = self.headers + self.slides_headers
            return Request(method="POST", target=self.target(call, parameters), headers=headers, body=self.slides)
        return Request(target=self.target(call, parameters), headers=self.headers)


WITH_TEXT_XML = ((b"Content-Type", b"text/xml"), (b"Content-Language", b"en-US"))
WITH_XML = ((b"Content-type", b"application/xml"),)
H2_OFFER = (
    (b"Connection", b"Upgrade, HTTP2-Settings"),
    (b"Upgrade", b"h2c"),
    (b"HTTP2-Settings", b"AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA"),
    (b"User-Agent", b"Java-http-client/17.0.9"),
)

CLIENTS = {
    "bigbluebutton-api-python": Client(
        ENCODERS["bigbluebutton-api-php"], headers=((b"Accept-Encoding", b"identity"),), probe=b"/?checksum="
    ),
    "bigbluebutton-js": Client(ENCODERS["JavaScript"], headers=((b"Accept", b"text/xml, application/json, text/plain, */*"),)),
    "bigbluebutton-api-php": Client(
        ENCODERS["bigbluebutton-api-php"],
        "sha256",
        headers=((b"Content-type", b"application/xml"), (b"Accept-Encoding", b"UTF-8"), (b"Cookie", b"JSESSIONID=1")),
        bare=b"?&",
        probe=b"/?&checksum=",
    ),
    "bigbluebutton-api-php with slides": Client(
        ENCODERS["bigbluebutton-api-php"],
        "sha256",
        headers=((b"Accept-Encoding", b"UTF-8"),),
        bare=b"?&",
        slides=b'<?xml version="1.0"?><modules><module name="presentation"><document name="a">YQ==</document></module></modules>',
        slides_headers=WITH_XML,
    ),
    "bigbluebutton-api-ruby": Client(
        ENCODERS["Ruby"],
        headers=((b"Accept-Encoding", b"gzip;q=1.0,deflate;q=0.6,identity;q=0.3"), (b"User-Agent", b"Ruby")),
        sorts=True,
        probe=b"",
        slides=b'<?xml version="1.0" encoding="UTF-8"?><modules><module name="presentation"/></modules>',
        slides_headers=WITH_XML,
    ),
    "Moodle": Client(ENCODERS["PHP"], headers=WITH_TEXT_XML[1:], bare=b"?&", probe=b"/?&checksum="),
    "Moodle with slides": Client(ENCODERS["PHP"], bare=b"?&", slides=SLIDES, slides_headers=WITH_TEXT_XML),
    "Java": Client(ENCODERS["Ruby"], "sha512", headers=H2_OFFER),
    "a script": Client(ENCODERS["lower-case escapes"], "sha384"),
}


def received(stepped: SteppedPool, call: str = "create") -> ReceivedCall:
    """The call that reached a server last."""
    calls = [request for server in stepped.pool.fleet.servers for request in server.requests if request.call == call]
    return max(calls, key=lambda request: request.at)


def children(element: "etree._Element | None") -> list[str]:
    assert element is not None
    return [str(child.tag) for child in element]


@pytest.mark.parametrize("encoder", AS_SENT_BY)
def test_what_any_encoder_writes_is_understood_and_shown_again(stepped: SteppedPool, encoder: str, room: str) -> None:
    written = AS_SENT_BY[encoder]
    # A comma is the one character that no meetingID may hold.
    tricky_id, written_id = room + VALUE.replace(",", ""), room + re.sub("%2C|%2c|,", "", written)
    query = f"name={written}&meetingID={written_id}&meta_note={written}".encode()

    created = document(stepped.get("create", query, "sha1"))
    info = document(stepped.get("getMeetingInfo", f"meetingID={written_id}".encode(), "sha1"))

    assert created.findtext("meetingID") == info.findtext("meetingID") == tricky_id
    assert (info.findtext("meetingName"), info.findtext("metadata/note")) == (VALUE, VALUE)
    at_server = received(stepped).parameters
    assert [at_server[name] for name in ("name", "meetingID", "meta_note")] == [VALUE, tricky_id, VALUE]


@pytest.mark.parametrize("client", CLIENTS)
def test_client_leads_a_meeting_through_its_life(stepped: SteppedPool, client: str, room: str) -> None:
    by = CLIENTS[client]

    def ask(call: str, **parameters: str) -> "etree._Element":
        return document(stepped.send(by.request(call, parameters)))

    probe = by.probe + (signed(b"", b"", KEY, by.algorithm) if by.probe.endswith(b"=") else b"")
    version = document(stepped.send(Request(target=API + probe, headers=by.headers)))
    assert float(version.findtext("version") or "") > 0
    meeting_id = f"{room} [0] (ä) * ~"
    given = {"meetingID": meeting_id, "moderatorPW": "m+p", "attendeePW": "", "meta_bbb-context": VALUE, "record": "false"}
    created = ask("create", name=VALUE, **given)
    assert (succeeded(created), key_of(created), created.findtext("moderatorPW")) == (True, "", "m+p")
    (holder,) = stepped.pool.holders(meeting_id)
    assert received(stepped).body == by.slides
    assert key_of(ask("create", name=VALUE, **given)) == "duplicateWarning"
    assert key_of(ask("create", name=VALUE, **{**given, "moderatorPW": "other"})) == "idNotUnique"

    whose = {"fullName": VALUE, "meetingID": meeting_id, "password": "", "role": "Moderator", "userdata-note": VALUE}
    time = {"createTime": created.findtext("createTime") or ""}
    url = urlsplit(stepped.send(by.request("join", {**whose, **time})).headers[b"location"].decode())
    assert dict(parse_qsl(url.query, keep_blank_values=True)).items() >= {**whose, **time}.items()
    holder.add_person(holder.meetings[meeting_id], VALUE)
    assert ask("isMeetingRunning", meetingID=meeting_id).findtext("running") == "true"
    info = ask("getMeetingInfo", meetingID=meeting_id)
    assert (info.findtext("participantCount"), info.findtext("attendees/attendee/fullName")) == ("1", VALUE)
    assert meeting_id in [listed.findtext("meetingID") for listed in ask("getMeetings").iter("meeting")]
    assert key_of(ask("end", meetingID=meeting_id, password="m+p")) == "sentEndMeetingRequest"
    assert meeting_id not in holder.meetings


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("form", ["{c}&{r}&name=A+room", "{r}&{c}&name=A+room", "{r}&name=A+room&{c}", "&{r}&&name=A+room&&{c}&"])
def test_checksum_is_found_wherever_it_stands(stepped: SteppedPool, form: str, algorithm: str, room: str) -> None:
    text = form.format(c="checksum=0", r=f"meetingID={room}")
    # As BBB takes it out of the text.
    covered = text.replace("&checksum=0", "").replace("checksum=0&", "")
    for write in (str.lower, str.upper):
        checksum = write(signed(b"create", covered.encode(), KEY, algorithm).decode())
        target = f"/create?{text.replace('checksum=0', f'checksum={checksum}')}"
        assert succeeded(document(stepped.send(Request(target=API + target.encode()))))


def test_a_client_may_change_its_algorithm_from_call_to_call(stepped: SteppedPool, room: str) -> None:
    query = f"name=A+room&meetingID={room}".encode()
    assert [succeeded(document(stepped.get("create", query, algorithm))) for algorithm in ALGORITHMS] == [True] * 4
    assert len(stepped.pool.holders(room)) == 1


@pytest.mark.parametrize("query", [b"?checksum=%b", b"?&checksum=%b", b"?checksum=%b&"])
def test_call_without_parameters_is_signed_over_nothing(stepped: SteppedPool, query: bytes) -> None:
    checksum = signed(b"getMeetings", b"", KEY, "sha1")
    assert succeeded(document(stepped.send(Request(target=API + b"/getMeetings" + query % checksum))))


def test_empty_values_count_as_absent(stepped: SteppedPool, room: str) -> None:
    query = f"name=A+room&meetingID={room}&attendeePW=&moderatorPW=&welcome=&record=&duration=&voiceBridge=&meta_x=".encode()
    created = document(stepped.get("create", query))
    assert succeeded(created)
    assert (created.findtext("moderatorPW"), created.findtext("duration")) != ("", "")
    assert succeeded(document(stepped.get("create", query)))
    join = f"meetingID={room}&fullName=Ann&role=VIEWER&password=&createTime=&userID=&avatarURL="
    assert stepped.get("join", join.encode()).status == 302
    assert succeeded(document(stepped.get("isMeetingRunning", b"meetingID=0&password=")))
    assert key_of(document(stepped.get("getMeetingInfo", b"meetingID="))) == "missingParamMeetingID"


def test_brackets_of_moodles_ids_may_be_written_in_any_way(stepped: SteppedPool, room: str) -> None:
    for brackets in ("[0]", "%5B0%5D", "%5b0%5d", "[0%5D"):
        assert succeeded(document(stepped.get("create", f"meetingID={room}-a-b-3{brackets}&name=Lesson".encode(), "sha1")))
    assert len(stepped.pool.holders(f"{room}-a-b-3[0]")) == 1


@pytest.mark.parametrize(
    "content_type", [b"text/xml", b"application/xml", b"Application/XML; charset=UTF-8", b'text/xml;charset="utf-8"']
)
def test_slides_reach_the_server_as_they_were_written(stepped: SteppedPool, content_type: bytes, room: str) -> None:
    target = signed_target(b"create", f"meetingID={room}&name=Slides".encode(), KEY, "sha1")
    headers = ((b"Content-Type", content_type), (b"Content-Language", b"en-US"))
    assert succeeded(document(stepped.send(Request(method="POST", target=target, headers=headers, body=SLIDES))))
    at_server = received(stepped)
    assert (at_server.body, at_server.content_type) == (SLIDES, content_type.partition(b";")[0].decode().lower())


def posted(stepped: SteppedPool, call: str, body: str, query: str = "", content_type: bytes = FORM) -> Answered:
    target = f"/{call}?{query}" if query else f"/{call}"
    headers = ((b"Content-Type", content_type),)
    return stepped.send(Request(method="POST", target=API + target.encode(), headers=headers, body=body.encode()))


@pytest.mark.parametrize("content_type", [FORM, FORM + b"; charset=UTF-8", FORM.upper()])
def test_form_may_be_signed_as_it_is_or_as_bbbs_code_rebuilds_it(stepped: SteppedPool, content_type: bytes, room: str) -> None:
    form = f"name=%41%20~room*&meetingID={room}&empty="
    for covered in (form, f"empty=&meetingID={room}&name=A+%7Eroom*"):
        checksum = signed(b"create", covered.encode(), KEY, "sha1").decode()
        for body in (f"{form}&checksum={checksum}", f"checksum={checksum}&{form}"):
            assert succeeded(document(posted(stepped, "create", body, content_type=content_type)))
        assert succeeded(document(posted(stepped, "create", form, f"checksum={checksum}", content_type)))
    assert received(stepped).parameters["name"] == "A ~room*"


def test_signature_over_nothing_covers_a_form_without_fields_only(stepped: SteppedPool, room: str) -> None:
    """As the documentation signs forms; what is in them would be anybody's."""
    checksum = signed(b"getMeetings", b"", KEY, "sha1").decode()
    assert succeeded(document(posted(stepped, "getMeetings", f"checksum={checksum}")))
    checksum = signed(b"create", b"", KEY, "sha1").decode()
    answer = document(posted(stepped, "create", f"meetingID={room}&name=A+room&checksum={checksum}"))
    assert key_of(answer) == "checksumError"


@pytest.mark.parametrize("content_type", [FORM, b"multipart/form-data; boundary=b"])
def test_body_beside_a_signed_query_adds_nothing(stepped: SteppedPool, content_type: bytes, room: str) -> None:
    query = f"meetingID={room}&name=A+room"
    body = "duration=1&isBreakout=true"
    if content_type != FORM:
        body = '--b\r\nContent-Disposition: form-data; name="duration"\r\n\r\n1\r\n--b--\r\n'
    checksum = signed(b"create", query.encode(), KEY).decode()
    assert succeeded(document(posted(stepped, "create", body, f"{query}&checksum={checksum}", content_type)))
    assert not {"duration", "isBreakout"} & received(stepped).parameters.keys()


def test_nothing_is_added_to_a_signed_join(stepped: SteppedPool, room: str) -> None:
    assert succeeded(document(stepped.get("create", f"meetingID={room}&name=A+room".encode())))
    target = signed_target(b"join", f"meetingID={room}&fullName=Eve&role=VIEWER".encode(), KEY)
    headers = ((b"Content-Type", FORM),)
    answer = stepped.send(Request(target=target, headers=headers, body=b"role=MODERATOR&userID=1"))
    sent = dict(parse_qsl(urlsplit(answer.headers[b"location"].decode()).query))
    assert (sent["role"], "userID" in sent) == ("VIEWER", False)
    assert key_of(document(stepped.send(Request(method="POST", target=target)))) == "unsupportedRequest"


@pytest.mark.parametrize("target", ["", "/", "?checksum=0", "/?checksum=0", "?&checksum=0", "/?&checksum=0"])
@pytest.mark.parametrize("path", ["/bigbluebutton", "/bigbluebutton/api"])
def test_index_is_answered_at_once_with_or_without_slash_and_checksum(stepped: SteppedPool, path: str, target: str) -> None:
    answer = document(stepped.send(Request(target=f"{path}{target}".encode())))
    assert [(child.tag, child.text) for child in answer][:2] == [("returncode", "SUCCESS"), ("version", "2.0")]


# In the order of BBB's own templates.
CREATED = [
    *(
        "returncode",
        "meetingID",
        "internalMeetingID",
        "parentMeetingID",
        "attendeePW",
        "moderatorPW",
        "createTime",
        "voiceBridge",
    ),
    *("dialNumber", "createDate", "hasUserJoined", "duration", "hasBeenForciblyEnded", "messageKey", "message"),
]
MEETING = [
    *("meetingName", "meetingID", "internalMeetingID", "createTime", "createDate", "voiceBridge", "dialNumber", "attendeePW"),
    *("moderatorPW", "running", "duration", "hasUserJoined", "recording", "hasBeenForciblyEnded", "startTime", "endTime"),
    *("participantCount", "listenerCount", "voiceParticipantCount", "videoCount", "maxUsers", "moderatorCount", "attendees"),
    *("metadata", "isBreakout"),
]
ATTENDEE = ["userID", "fullName", "role", "isPresenter", "isListeningOnly", "hasJoinedVoice", "hasVideo", "clientType"]


def test_answers_hold_what_clients_read(stepped: SteppedPool, room: str) -> None:
    created = stepped.get("create", f"meetingID={room}&name=A+room&meta_Own=x".encode())
    assert children(document(created)) == CREATED
    assert not created.body.startswith(b"<?xml")
    assert created.headers[b"cache-control"] == b"no-cache"
    (holder,) = stepped.pool.holders(room)
    holder.add_person(holder.meetings[room], "Ann")
    info = document(stepped.get("getMeetingInfo", f"meetingID={room}".encode()))
    # Moodle takes a messageKey for a failure.
    assert children(info) == ["returncode", *MEETING]
    assert children(info.find("attendees/attendee")) == ATTENDEE
    assert info.findtext("attendees/attendee/role") in ("MODERATOR", "VIEWER")
    assert children(info.find("metadata")) == ["own"]
    assert (info.findtext("createTime") or "").isdecimal()
    assert re.fullmatch(r"[0-9a-f]{40}-[0-9]{13}", document(created).findtext("internalMeetingID") or "")
    listed = document(stepped.get("getMeetings", b""))
    assert children(listed) == ["returncode", "meetings"]
    assert children(next(listed.iter("meeting"))) == MEETING
    running = document(stepped.get("isMeetingRunning", f"meetingID={room}".encode()))
    assert [(child.tag, child.text) for child in running] == [("returncode", "SUCCESS"), ("running", "true")]


def test_lists_are_there_when_they_are_empty(template_url: str) -> None:
    with stepped_pool(template_url, servers=1) as stepped:
        for call, name, key in (("getMeetings", "meetings", "noMeetings"), ("getSessions", "sessions", "noSessions")):
            answer = document(stepped.get(call, b"", "sha1"))
            assert children(answer) == ["returncode", name, "messageKey", "message"]
            assert (succeeded(answer), key_of(answer)) == (True, key)


def test_join_is_a_redirect_whatever_the_client_wants(stepped: SteppedPool, room: str) -> None:
    stepped.get("create", f"meetingID={room}&name=A+room".encode())
    for wish in ("true", "false", "", "x"):
        query = f"meetingID={room}&fullName=Ann&role=VIEWER&redirect={wish}".encode()
        assert stepped.get("join", query).status == 302


@pytest.mark.parametrize(
    ("call", "query", "key"),
    [
        ("getMeetingInfo", "meetingID=nobody", "notFound"),
        ("end", "meetingID=nobody&password=x", "notFound"),
        ("create", "name=A+room", "missingParamMeetingID"),
        ("create", "meetingID=nobody&name=A+room&record=perhaps", "validationError"),
        ("enter.xml", "", "unsupportedRequest"),
    ],
)
def test_refusals_have_the_keys_that_clients_know(stepped: SteppedPool, call: str, query: str, key: str) -> None:
    answer = document(stepped.get(call, query.encode(), "sha1"))
    assert children(answer) == ["returncode", "messageKey", "message"]
    assert (answer.findtext("returncode"), key_of(answer), bool(answer.findtext("message"))) == ("FAILED", key, True)
    wrong = document(stepped.send(Request(target=f"/bigbluebutton/api/end?{query}&checksum={'0' * 40}".encode())))
    assert key_of(wrong) == "checksumError"


@pytest.mark.parametrize("path", ["/readyz/", "/bigbluebutton//", "/fsapi/", "/nowhere/"])
def test_a_slash_too_many_is_no_reason_to_fail_over_the_query(stepped: SteppedPool, path: str) -> None:
    assert stepped.send(Request(target=path.encode() + b"?\xff")).status in (200, 404)
