"""insertDocument, sendChatMessage, getSessions, and the session calls that have no business here."""

import asyncio
from typing import Any

import httpx
import pytest

from gateway.bbb_api import HANDLERS
from meetingpool.bbb.calls import CALLS
from meetingpool.bbb.client import signed_url
from simulator.faults import Faults
from tests.pool import ENDPOINT, SECRET, FrontEnd, RunningPool, key_of, meeting_row, read, running_pool, succeeded

SLIDES = b"<?xml version='1.0'?>\n<modules><module name='presentation'><document url=\"https://x/a.pdf\"/></module></modules>\n"


async def insert(front_end: FrontEnd, body: bytes = SLIDES, content_type: str = "text/xml; charset=UTF-8", **named: str) -> Any:
    url = signed_url(ENDPOINT, SECRET, "insertDocument", named.items())
    return read(await front_end.http.post(url, content=body, headers={"content-type": content_type}))


def test_every_call_of_the_catalogue_is_answered() -> None:
    assert HANDLERS.keys() == CALLS.keys()


async def test_a_document_reaches_the_meetings_server_byte_for_byte(pool: RunningPool, front_end: FrontEnd) -> None:
    await front_end.create("class")
    answer = await insert(front_end, meetingID="class", brandNew="ä b")
    assert (succeeded(answer), answer.findtext("message")) == (True, "Presentation is being uploaded")
    (holder,) = pool.holders("class")
    request = holder.requests[-1]
    assert (request.call, request.body, request.content_type) == ("insertDocument", SLIDES, "text/xml")
    assert {name: request.parameters[name] for name in ("meetingID", "brandNew")} == {"meetingID": "class", "brandNew": "ä b"}


@pytest.mark.parametrize(
    ("named", "body", "content_type", "key"),
    [
        ({"meetingID": "nobody"}, SLIDES, "application/xml", "notFound"),
        ({}, SLIDES, "application/xml", "missingParamMeetingID"),
        ({"meetingID": "class"}, b"", "application/xml", "validationError"),
        ({"meetingID": "class"}, b"a=b", "application/x-www-form-urlencoded", "unsupportedContentType"),
        ({"meetingID": "class"}, SLIDES, "", "unsupportedContentType"),
    ],
)
async def test_a_document_that_cannot_be_inserted_is_refused(
    pool: RunningPool, front_end: FrontEnd, named: dict[str, str], body: bytes, content_type: str, key: str
) -> None:
    await front_end.create("class")
    assert key_of(await insert(front_end, body, content_type, **named)) == key
    assert all(server.count("insertDocument") == 0 for server in pool.fleet.servers)


async def test_a_document_is_only_taken_by_post_and_with_a_checksum(front_end: FrontEnd) -> None:
    await front_end.create("class")
    assert key_of(await front_end.ask("insertDocument", meetingID="class")) == "unsupportedRequest"
    url = f"{ENDPOINT}/insertDocument?meetingID=class&checksum={'0' * 64}"
    response = await front_end.http.post(url, content=SLIDES, headers={"content-type": "text/xml"})
    assert key_of(read(response)) == "checksumError"


@pytest.mark.parametrize("fault", [Faults(hang=True), Faults(drop_after=True), Faults(http_status=502), Faults(refuse=True)])
async def test_a_document_whose_server_does_not_answer_is_sent_once(
    pool: RunningPool, front_end: FrontEnd, fault: Faults
) -> None:
    await front_end.create("class")
    (holder,) = pool.holders("class")
    await pool.fleet.set_faults(holder, fault)
    answer = await insert(front_end, meetingID="class")
    assert (key_of(answer), answer.findtext("message")) == ("internalError", "Unable to insert document on server.")
    assert holder.count("insertDocument") <= 1


async def test_a_chat_message_reaches_the_meetings_server_as_given(pool: RunningPool, front_end: FrontEnd) -> None:
    await front_end.create("class")
    answer = await front_end.ask("sendChatMessage", meetingID="class", message="5 < 6 & ö", userName="Bot", brandNew="1")
    assert [(child.tag, child.text) for child in answer] == [("returncode", "SUCCESS"), ("messageKey", None), ("message", None)]
    (holder,) = pool.holders("class")
    sent = holder.requests[-1].parameters
    assert {name: sent[name] for name in sent if name != "checksum"} == {
        "meetingID": "class",
        "message": "5 < 6 & ö",
        "userName": "Bot",
        "brandNew": "1",
    }


async def test_a_chat_message_that_the_server_refuses_comes_back_in_its_words(front_end: FrontEnd) -> None:
    await front_end.create("class")
    answer = await front_end.ask("sendChatMessage", meetingID="class", message="x" * 501)
    assert (key_of(answer), answer.findtext("message")) == (
        "validationError",
        "Param message must be between 1 and 500 characters",
    )


async def test_a_chat_message_needs_a_meeting(front_end: FrontEnd) -> None:
    assert key_of(await front_end.ask("sendChatMessage", meetingID="nobody", message="Hello")) == "notFound"
    assert key_of(await front_end.ask("sendChatMessage", message="Hello")) == "missingParamMeetingID"
    url = signed_url(ENDPOINT, SECRET, "sendChatMessage", [("meetingID", "class"), ("message", "Hello")])
    assert key_of(read(await front_end.http.post(url))) == "unsupportedRequest"


async def test_a_server_that_is_too_old_for_chat_messages_is_no_mystery(pool: RunningPool, front_end: FrontEnd) -> None:
    await front_end.create("class")
    (holder,) = pool.holders("class")
    await pool.fleet.set_faults(holder, Faults(http_status=404))
    answer = await front_end.ask("sendChatMessage", meetingID="class", message="Hello")
    assert key_of(answer) == "unsupportedRequest"
    assert "3.0" in (answer.findtext("message") or "")


async def test_a_chat_message_is_never_sent_twice(pool: RunningPool, front_end: FrontEnd) -> None:
    await front_end.create("class")
    (holder,) = pool.holders("class")
    await pool.fleet.set_faults(holder, Faults(drop_after=True))
    assert key_of(await front_end.ask("sendChatMessage", meetingID="class", message="Hello")) == "internalError"
    assert holder.count("sendChatMessage") == 1


async def test_a_meeting_that_its_server_no_longer_has_is_forgotten_by_any_call_about_it(
    pool: RunningPool, front_end: FrontEnd
) -> None:
    for meeting_id in ("one", "two"):
        await front_end.create(meeting_id)
        (holder,) = pool.holders(meeting_id)
        holder.meetings.clear()
    async with pool.database.transaction() as connection:
        await connection.execute("UPDATE meetings SET attempted_at = attempted_at - interval '2 minutes'")
    assert key_of(await front_end.ask("sendChatMessage", meetingID="one", message="Hello")) == "notFound"
    assert key_of(await insert(front_end, meetingID="two")) == "notFound"
    assert [await meeting_row(pool.database, meeting_id) for meeting_id in ("one", "two")] == [None, None]


def people_in(answer: Any) -> set[tuple[str, str]]:
    return {(session.findtext("meetingName"), session.findtext("userName")) for session in answer.iterfind("sessions/meeting")}


async def test_sessions_of_all_servers_are_one_list(pool: RunningPool, front_end: FrontEnd) -> None:
    for number in range(3):
        created = await front_end.create(f"room-{number}", name=f"Raum & {number}")
        (holder,) = pool.holders(f"room-{number}")
        holder.add_person(holder.meetings[f"room-{number}"], f"Ann <{number}>")
    assert succeeded(created)
    answer = await front_end.ask("getSessions")
    assert [child.tag for child in answer] == ["returncode", "sessions"]
    assert people_in(answer) == {(f"Raum & {number}", f"Ann <{number}>") for number in range(3)}
    form = await front_end.http.post(signed_url(ENDPOINT, SECRET, "getSessions", ()))
    assert people_in(read(form)) == people_in(answer)


async def test_sessions_of_strangers_and_of_orphaned_copies_are_not_shown(pool: RunningPool, front_end: FrontEnd) -> None:
    await front_end.create("twin")
    (holder,) = pool.holders("twin")
    holder.add_person(holder.meetings["twin"], "Ann")
    holder.create_meeting("stranger", people=2)
    other = next(server for server in pool.fleet.servers if server is not holder)
    other.create_meeting("twin", name="Old copy", people=2).internal_id = holder.meetings["twin"].internal_id
    assert people_in(await front_end.ask("getSessions")) == {("A room", "Ann")}


async def test_no_sessions_is_a_success_in_the_words_of_bbb(front_end: FrontEnd) -> None:
    await front_end.create("empty")
    answer = await front_end.ask("getSessions")
    assert [(child.tag, child.text) for child in answer] == [
        ("returncode", "SUCCESS"),
        ("sessions", None),
        ("messageKey", "noSessions"),
        ("message", "no sessions were found on this serverr"),
    ]


@pytest.mark.parametrize(
    "fault",
    [Faults(refuse=True), Faults(http_status=500), Faults(body="failed"), Faults(body="garbage"), Faults(drop_after=True)],
)
async def test_one_failing_server_costs_its_own_sessions_only(pool: RunningPool, front_end: FrontEnd, fault: Faults) -> None:
    for number in range(3):
        await front_end.create(f"room-{number}")
        (holder,) = pool.holders(f"room-{number}")
        holder.add_person(holder.meetings[f"room-{number}"], f"P{number}")
    await pool.fleet.set_faults(holder, fault)
    answer = await front_end.ask("getSessions")
    assert people_in(answer) == {("A room", "P0"), ("A room", "P1")}


async def test_a_hanging_server_delays_the_list_of_sessions_by_its_deadline_only(pool: RunningPool, front_end: FrontEnd) -> None:
    await pool.fleet.set_faults(pool.fleet.servers[0], Faults(hang=True))
    async with asyncio.timeout(4.5):
        assert succeeded(await front_end.ask("getSessions"))


async def test_a_list_of_sessions_that_no_server_answers_is_an_error(database_url: str) -> None:
    async with running_pool(database_url, servers=2) as pool:
        front_end = await pool.front_end()
        for server in pool.fleet.servers:
            await pool.fleet.set_faults(server, Faults(http_status=500))
        answer = await front_end.ask("getSessions")
        assert (key_of(answer), answer.findtext("message")) == ("internalError", "Unable to access server.")


async def test_servers_that_are_disabled_or_offline_are_not_asked_for_sessions(pool: RunningPool, front_end: FrontEnd) -> None:
    disabled, offline, online = pool.fleet.servers
    await pool.change_server(disabled, admin_state="disabled")
    await pool.change_server(offline, health="offline")
    await asyncio.sleep(0.1)
    assert key_of(await front_end.ask("getSessions")) == "noSessions"
    assert [server.count("getSessions") for server in (disabled, offline, online)] == [0, 0, 1]


@pytest.mark.parametrize("call", ["getJoinUrl", "learningDashboard", "enter", "stuns", "guestWait"])
async def test_a_session_call_is_told_in_json_where_its_session_lives(pool: RunningPool, front_end: FrontEnd, call: str) -> None:
    response = await front_end.http.get(f"{ENDPOINT}/{call}?sessionToken=abc")
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
    answer = response.json()["response"]
    assert (answer["returncode"], answer["messageKey"]) == ("FAILED", "missingSession")
    assert "server of its meeting" in answer["message"]
    assert all(server.count(call) == 0 for server in pool.fleet.servers)


async def test_sign_out_is_told_so_in_xml_and_never_that_it_worked(front_end: FrontEnd) -> None:
    answer = read(await front_end.http.get(f"{ENDPOINT}/signOut?sessionToken=abc"))
    assert (succeeded(answer), key_of(answer)) == (False, "missingSession")


async def test_session_calls_take_the_methods_of_bbb(front_end: FrontEnd) -> None:
    posted = {call: await front_end.http.post(f"{ENDPOINT}/{call}") for call in ("enter", "guestWait")}
    assert key_of(read(posted["guestWait"])) == "unsupportedRequest"
    assert _json_key(posted["enter"]) == "missingSession"


def _json_key(response: httpx.Response) -> str:
    key: str = response.json()["response"]["messageKey"]
    return key
