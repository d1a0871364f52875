"""Creates of a meeting that is there already: what they say again, and what they write."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

import pytest

from meetingpool.bbb.client import Client
from meetingpool.operations.poll_server import ServerPoller
from meetingpool.operations.record_polls import GRACE, TOUCH_LASTS
from simulator.faults import Faults
from simulator.server import ReceivedCall
from tests.pool import FrontEnd, RunningPool, key_of, meeting_row, running_pool, succeeded


def creates(pool: RunningPool) -> Sequence[ReceivedCall]:
    return [request for server in pool.fleet.servers for request in server.requests if request.call == "create"]


def stated(request: ReceivedCall) -> dict[str, str]:
    named = ("attendeePW", "moderatorPW", "voiceBridge", "dialNumber")
    return {name: value for name, value in request.parameters.items() if name in named or name.startswith("meta_")}


async def written(pool: RunningPool) -> datetime:
    """When a create of the one meeting was last written down."""
    async with pool.database.transaction() as connection:
        found: datetime = await connection.fetchval("SELECT attempted_at FROM meetings")
        return found


async def test_a_repeat_says_what_the_first_create_said(pool: RunningPool, front_end: FrontEnd) -> None:
    said = {"attendeePW": "ap", "moderatorPW": "mp", "meta_origin": "test", "dialNumber": "123"}
    await front_end.create("room", **said, meta_endCallbackUrl="https://greenlight.example/end")
    again = await front_end.create("room", meta_origin="elsewhere", meta_note="new", dialNumber="456")
    assert key_of(again) == "duplicateWarning"
    first, second = map(stated, creates(pool))
    assert first == second
    assert said.items() <= first.items()


async def test_a_repeat_by_another_process_says_it_too(pool: RunningPool, front_end: FrontEnd) -> None:
    await front_end.create("room", moderatorPW="mp", meta_origin="test")
    assert succeeded(await (await pool.front_end()).create("room"))
    first, second = map(stated, creates(pool))
    assert first == second


async def test_a_repeat_with_another_password_is_refused_by_the_server(pool: RunningPool, front_end: FrontEnd) -> None:
    await front_end.create("room", attendeePW="ap", moderatorPW="mp")
    assert key_of(await front_end.create("room", attendeePW="ap", moderatorPW="other")) == "idNotUnique"
    assert succeeded(await front_end.create("room"))


async def test_passwords_that_the_server_made_up_are_said_again(pool: RunningPool, front_end: FrontEnd) -> None:
    first = await front_end.create("room")
    await front_end.create("room")
    repeat = stated(creates(pool)[1])
    assert repeat["moderatorPW"] == first.findtext("moderatorPW")
    assert repeat["attendeePW"] == first.findtext("attendeePW")


async def test_a_create_with_one_password_of_two_can_be_repeated(pool: RunningPool, front_end: FrontEnd) -> None:
    for _ in range(2):
        assert succeeded(await front_end.create("room", moderatorPW="mp"))


async def test_a_create_whose_reply_was_lost_is_repeated_word_for_word(database_url: str) -> None:
    async with running_pool(database_url, servers=1) as pool:
        (server,) = pool.fleet.servers
        front_end = await pool.front_end()
        await pool.fleet.set_faults(server, Faults(drop_after=True, calls=frozenset({"create"})))
        assert not succeeded(await front_end.create("room", moderatorPW="mp", meta_origin="test"))
        await pool.fleet.set_faults(server, Faults())
        assert succeeded(await front_end.create("room", moderatorPW="mp", meta_origin="elsewhere"))
        first, *repeats = map(stated, creates(pool))
        assert repeats
        assert all(repeat == first for repeat in repeats)


async def test_a_meeting_that_is_over_is_described_anew(pool: RunningPool, front_end: FrontEnd) -> None:
    await front_end.create("room", moderatorPW="mp", meta_origin="test")
    (holder,) = pool.holders("room")
    holder.end(holder.meetings["room"])
    assert succeeded(await front_end.create("room", meta_origin="elsewhere"))
    assert holder.meetings["room"].settings.metadata["origin"] == "elsewhere"
    assert succeeded(await front_end.create("room", meta_origin="a third time"))
    assert stated(creates(pool)[-1])["meta_origin"] == "elsewhere"


async def test_after_an_end_a_meeting_is_described_anew(pool: RunningPool, front_end: FrontEnd) -> None:
    await front_end.create("room", moderatorPW="mp", meta_origin="test")
    await front_end.ask("end", meetingID="room", password="mp")
    assert succeeded(await front_end.create("room", moderatorPW="new", meta_origin="elsewhere"))
    again = stated(creates(pool)[-1])
    assert (again["moderatorPW"], again["meta_origin"]) == ("new", "elsewhere")


async def test_voice_bridges_are_of_the_configured_length_and_each_a_meetings_own(database_url: str) -> None:
    async with running_pool(database_url, voice_bridge_len=5, voice_bridge_max=9) as pool:
        front_end = await pool.front_end()
        await asyncio.gather(*(front_end.create(f"room-{number}", voiceBridge="12345") for number in range(30)))
        bridges = [request.parameters["voiceBridge"] for request in creates(pool)]
        assert {len(bridge) for bridge in bridges} == {5}
        assert len(set(bridges)) == 30
        assert "12345" not in bridges


async def test_a_front_end_may_choose_the_voice_bridge_if_it_is_free(database_url: str) -> None:
    async with running_pool(database_url, use_external_voice_bridge=True) as pool:
        front_end = await pool.front_end()
        for number, bridge in enumerate(("12345", "12345", "no number")):
            assert succeeded(await front_end.create(f"room-{number}", voiceBridge=bridge))
        chosen = {request.parameters["meetingID"]: request.parameters["voiceBridge"] for request in creates(pool)}
        first, second, third = [chosen[f"room-{number}"] for number in range(3)]
        assert first == "12345"
        assert second != "12345"
        assert third.isdigit()


async def test_a_burst_of_repeats_is_written_once(pool: RunningPool, front_end: FrontEnd) -> None:
    await front_end.create("room")
    before = await written(pool)
    answers = await asyncio.gather(*(front_end.create("room") for _ in range(20)))
    assert {key_of(answer) for answer in answers} == {"duplicateWarning"}
    assert await written(pool) == before


async def test_a_repeat_that_was_not_written_is_not_lost_to_a_poll(pool: RunningPool, front_end: FrontEnd) -> None:
    """The meeting ends by itself; a poll sees that; a repeat makes it anew before the poll is written."""
    await front_end.create("room")
    (holder,) = pool.holders("room")
    holder.end(holder.meetings["room"])
    async with Client() as client:
        server = (await pool.servers())[holder.name]
        poll = await ServerPoller(client, pool.clock, deadline=1.0).poll(server)
    before = await written(pool)
    assert succeeded(await front_end.create("room"))
    assert await written(pool) == before
    await pool.record({server.id: poll})
    row = await meeting_row(pool.database, "room")
    assert row is not None
    assert row.internal_id == holder.meetings["room"].internal_id


@pytest.mark.parametrize(
    ("state", "written_ago", "is_kept"),
    [
        ("live", TOUCH_LASTS, True),
        ("ending", TOUCH_LASTS, True),
        ("live", TOUCH_LASTS + GRACE + 2, False),
        ("unknown", TOUCH_LASTS, False),
    ],
)
async def test_a_mapping_outlives_the_slowest_create_that_was_not_written(
    pool: RunningPool, front_end: FrontEnd, state: str, written_ago: float, is_kept: bool
) -> None:
    """A meeting that was never live is repeated in writing only, and forgotten as much sooner."""
    await front_end.create("room")
    (holder,) = pool.holders("room")
    holder.end(holder.meetings["room"])
    age = "UPDATE meetings SET state = $1, attempted_at = now() - make_interval(secs => $2)"
    await pool.database.statement(age, state, written_ago)
    await pool.poll()
    assert (await meeting_row(pool.database, "room") is not None) is is_kept


async def test_a_repeat_after_the_server_was_given_up_is_written_and_refused(pool: RunningPool, front_end: FrontEnd) -> None:
    await front_end.create("room")
    (holder,) = pool.holders("room")
    await pool.change_server(holder, admin_state="disabled")
    async with asyncio.timeout(5):
        while front_end.gateway.view.pool.servers[holder.name].takes_new_meetings:  # type: ignore[index]
            await asyncio.sleep(0.01)
    assert not succeeded(await front_end.create("room"))
