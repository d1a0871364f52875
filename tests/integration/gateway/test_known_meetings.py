"""Calls about meetings that exist: they reach the meeting's own server, and what it says comes back."""

import asyncio
from urllib.parse import parse_qs, urlsplit

import httpx

from meetingpool.bbb.checksum import Algorithm
from meetingpool.domain.meetings import MeetingState
from simulator.faults import NO_FAULTS, Faults
from simulator.server import SimulatedServer
from tests.pool import FrontEnd, RunningPool, key_of, meeting_row, succeeded


async def test_join_redirects_to_the_meetings_server_with_a_url_that_it_accepts(pool: RunningPool, front_end: FrontEnd) -> None:
    created = await front_end.create("class", moderatorPW="mod")
    response = await front_end.get("join", meetingID="class", fullName="Ann Ö'Hara", password="mod", redirect="true")
    assert response.status_code == 302
    (holder,) = pool.holders("class")
    assert response.headers["location"].startswith(holder.url + "join?")
    async with httpx.AsyncClient(follow_redirects=True) as browser:
        page = await browser.get(response.headers["location"])
    assert page.status_code == 200
    info = await front_end.ask("getMeetingInfo", meetingID="class")
    assert [person.findtext("fullName") for person in info.iter("attendee")] == ["Ann Ö'Hara"]
    assert info.findtext("internalMeetingID") == created.findtext("internalMeetingID")


async def test_join_passes_every_parameter_on(front_end: FrontEnd) -> None:
    created = await front_end.create("class")
    time = created.findtext("createTime") or ""
    response = await front_end.get(
        "join", ("userdata-bbb_x", "ü"), meetingID="class", fullName="B", role="VIEWER", createTime=time
    )
    sent = parse_qs(urlsplit(response.headers["location"]).query)
    assert (sent["userdata-bbb_x"], sent["createTime"], len(sent["checksum"])) == (["ü"], [time], 1)


async def test_join_of_an_unknown_meeting_is_not_found(front_end: FrontEnd) -> None:
    assert key_of(await front_end.ask("join", meetingID="nobody", fullName="B", role="VIEWER")) == "notFound"


async def test_people_are_still_sent_to_an_offline_server_but_not_to_a_dead_or_disabled_one(
    pool: RunningPool, front_end: FrontEnd
) -> None:
    await front_end.create("class")
    (holder,) = pool.holders("class")
    await pool.change_server(holder, health="offline")
    await asyncio.sleep(0.1)
    assert (await front_end.get("join", meetingID="class", fullName="B", role="VIEWER")).status_code == 302
    for change in ({"health": "dead"}, {"health": "online", "admin_state": "disabled"}):
        await pool.change_server(holder, **change)
        await asyncio.sleep(0.1)
        answer = await front_end.ask("join", meetingID="class", fullName="B", role="VIEWER")
        assert key_of(answer) == "serverUnavailable"


async def test_is_meeting_running_tells_whether_anybody_is_in(pool: RunningPool, front_end: FrontEnd) -> None:
    await front_end.create("class")
    assert (await front_end.ask("isMeetingRunning", meetingID="class")).findtext("running") == "false"
    (holder,) = pool.holders("class")
    holder.add_person(holder.meetings["class"], "Ann")
    assert (await front_end.ask("isMeetingRunning", meetingID="class")).findtext("running") == "true"


async def test_an_unknown_meeting_is_not_running_even_with_a_one_letter_id(front_end: FrontEnd) -> None:
    front_end.algorithm = Algorithm.SHA1
    answer = await front_end.ask("isMeetingRunning", meetingID="0")
    assert (succeeded(answer), answer.findtext("running")) == (True, "false")


async def test_end_is_known_at_once_and_forgotten_by_the_next_poll(pool: RunningPool, front_end: FrontEnd) -> None:
    created = await front_end.create("class")
    answer = await front_end.ask("end", meetingID="class", password=created.findtext("moderatorPW") or "")
    assert key_of(answer) == "sentEndMeetingRequest"
    row = await meeting_row(pool.database, "class")
    assert row is not None
    assert row.state is MeetingState.ENDING
    await _age_attempts(pool)
    recorded = await pool.poll()
    assert [key.meeting_id for key in recorded.gone] == ["class"]
    assert key_of(await front_end.ask("getMeetingInfo", meetingID="class")) == "notFound"


async def test_end_with_a_wrong_password_is_refused_by_the_server(front_end: FrontEnd) -> None:
    await front_end.create("class")
    assert key_of(await front_end.ask("end", meetingID="class", password="wrong")) == "invalidPassword"


async def test_a_meeting_can_be_created_again_after_its_end(pool: RunningPool, front_end: FrontEnd) -> None:
    created = await front_end.create("class")
    await front_end.ask("end", meetingID="class", password=created.findtext("moderatorPW") or "")
    again = await front_end.create("class")
    assert succeeded(again)
    assert again.findtext("internalMeetingID") != created.findtext("internalMeetingID")
    row = await meeting_row(pool.database, "class")
    assert row is not None
    assert (row.state, row.internal_id) == (MeetingState.LIVE, again.findtext("internalMeetingID"))


async def test_what_the_server_no_longer_has_is_forgotten_once_no_create_can_be_on_its_way(
    pool: RunningPool, front_end: FrontEnd
) -> None:
    await front_end.create("class")
    (holder,) = pool.holders("class")
    holder.meetings.clear()
    assert key_of(await front_end.ask("getMeetingInfo", meetingID="class")) == "notFound"
    assert await meeting_row(pool.database, "class") is not None
    await _age_attempts(pool)
    assert key_of(await front_end.ask("getMeetingInfo", meetingID="class")) == "notFound"
    assert await meeting_row(pool.database, "class") is None


async def test_a_server_that_does_not_answer_means_an_error_and_no_change(pool: RunningPool, front_end: FrontEnd) -> None:
    await front_end.create("class")
    (holder,) = pool.holders("class")
    await pool.fleet.set_faults(holder, Faults(hang=True))
    answers = await asyncio.gather(
        *(front_end.ask(call, meetingID="class") for call in ("getMeetingInfo", "isMeetingRunning", "end"))
    )
    assert {(key_of(answer), answer.findtext("message")) for answer in answers} == {
        ("internalError", "Unable to access meeting on server.")
    }
    await pool.fleet.set_faults(holder, NO_FAULTS)
    assert succeeded(await front_end.ask("getMeetingInfo", meetingID="class"))


async def test_a_call_that_only_reads_is_repeated_when_the_connection_broke(pool: RunningPool, front_end: FrontEnd) -> None:
    created = await front_end.create("class")
    (holder,) = pool.holders("class")

    def heal_at_second_call(server: SimulatedServer, call: str) -> None:
        if server.count(call) == 1:
            server.faults = NO_FAULTS

    pool.fleet.on_request = heal_at_second_call
    for call in ("getMeetingInfo", "isMeetingRunning"):
        await pool.fleet.set_faults(holder, Faults(drop_after=True))
        assert succeeded(await front_end.ask(call, meetingID="class"))
    await pool.fleet.set_faults(holder, Faults(drop_after=True))
    password = created.findtext("moderatorPW") or ""
    assert key_of(await front_end.ask("end", meetingID="class", password=password)) == "internalError"
    assert holder.count("end") == 1


async def test_another_process_knows_a_meeting_at_once(pool: RunningPool) -> None:
    here, there = await pool.front_end(), await pool.front_end()
    await here.create("class")
    assert succeeded(await there.ask("getMeetingInfo", meetingID="class"))


async def test_get_meetings_lists_the_meetings_of_all_servers(pool: RunningPool, front_end: FrontEnd) -> None:
    for number in range(6):
        await front_end.create(f"room-{number}", name=f"Räume & <{number}>")
    answer = await front_end.ask("getMeetings")
    listed = {(m.findtext("meetingID"), m.findtext("meetingName")) for m in answer.iter("meeting")}
    assert listed == {(f"room-{number}", f"Räume & <{number}>") for number in range(6)}
    assert b"meetingpool-" not in (await front_end.get("getMeetings")).content


async def test_get_meetings_of_an_idle_pool_is_an_empty_list_with_its_key(front_end: FrontEnd) -> None:
    answer = await front_end.ask("getMeetings")
    assert [child.tag for child in answer] == ["returncode", "meetings", "messageKey", "message"]
    assert (succeeded(answer), key_of(answer)) == (True, "noMeetings")


async def test_get_meetings_shows_breakout_rooms_with_their_parent_and_no_strangers(
    pool: RunningPool, front_end: FrontEnd
) -> None:
    await front_end.create("parent")
    (holder,) = pool.holders("parent")
    holder.create_meeting("breakout", name="Group 1", people=2, parent=holder.meetings["parent"])
    holder.create_meeting("stranger", name="Not ours", people=2)
    answer = await front_end.ask("getMeetings")
    assert {meeting.findtext("meetingID") for meeting in answer.iter("meeting")} == {"parent", "breakout"}


async def test_a_hanging_server_is_represented_by_its_last_good_answer(pool: RunningPool, front_end: FrontEnd) -> None:
    for number in range(3):
        await front_end.create(f"room-{number}")
    await front_end.ask("getMeetings")
    await pool.fleet.set_faults(pool.fleet.servers[0], Faults(body="truncated", calls=frozenset({"getMeetings"})))
    for _ in range(2):
        answer = await front_end.ask("getMeetings")
        assert len(list(answer.iter("meeting"))) == 3
    assert pool.fleet.servers[0].count("getMeetings") == 3


async def test_an_orphaned_copy_is_never_shown(pool: RunningPool, front_end: FrontEnd) -> None:
    await front_end.create("twin")
    (holder,) = pool.holders("twin")
    other = next(server for server in pool.fleet.servers if server is not holder)
    other.create_meeting("twin", name="Old copy", people=3)
    answer = await front_end.ask("getMeetings")
    assert [meeting.findtext("meetingName") for meeting in answer.iter("meeting")] == ["A room"]
    recorded = await pool.poll()
    assert [(server_id, host_id) for server_id, host_id, _, _ in recorded.orphans] == [(other.name, "twin")]


async def test_joins_beyond_the_expected_people_count_before_the_next_poll(pool: RunningPool, front_end: FrontEnd) -> None:
    await front_end.create("large")
    (holder,) = pool.holders("large")
    for number in range(20):
        await front_end.get("join", meetingID="large", fullName=f"P{number}", role="VIEWER")
    await asyncio.sleep(1.3)
    assert (await pool.servers())[holder.name].load == 20.0


async def _age_attempts(pool: RunningPool) -> None:
    async with pool.database.transaction() as connection:
        await connection.execute("UPDATE meetings SET attempted_at = attempted_at - interval '2 minutes'")
