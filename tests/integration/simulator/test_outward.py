"""What a server tells others by itself, as it arrives."""

import asyncio
import base64
import json
import logging
import socket
from collections.abc import AsyncIterator
from random import Random
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx
import pytest

from meetingpool.bbb.client import signed_url
from meetingpool.clock import SystemClock
from simulator.delivery import Delivery
from simulator.faults import OutwardFaults
from simulator.fleet import Fleet
from simulator.outward_calls import OutwardKind
from simulator.server import SimulatedServer
from tests.integration.simulator.receiving import Delivered, Receiver, eventually
from tests.unit.simulator.asking import ManualClock

RETRIES = 4
HOOK_RETRIES = 12


@pytest.fixture
async def fleet() -> AsyncIterator[Fleet]:
    async with Fleet.running(servers=1) as running:
        running.servers[0].retry_factor = 0.00001
        yield running


@pytest.fixture
def server(fleet: Fleet) -> SimulatedServer:
    return fleet.servers[0]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver.running() as running:
        yield running


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=2, trust_env=False) as opened:
        yield opened


async def create(client: httpx.AsyncClient, server: SimulatedServer, meeting_id: str = "room", **parameters: str) -> str:
    """The internal id of a new meeting."""
    named = {"name": "A room", "meetingID": meeting_id, **parameters}
    reply = await client.get(signed_url(server.url, server.secret, "create", named.items()))
    assert "<returncode>SUCCESS</returncode>" in reply.text
    return server.meetings[meeting_id].internal_id


async def register(client: httpx.AsyncClient, server: SimulatedServer, url: str) -> None:
    reply = await client.get(signed_url(server.url, server.secret, "hooks/create", [("callbackURL", url)]))
    assert "<returncode>SUCCESS</returncode>" in reply.text


def event_of(delivered: Delivered) -> str:
    event_id: str = json.loads(dict(parse_qsl(delivered.body.decode()))["event"])[0]["data"]["id"]
    return event_id


async def test_end_is_told_by_two_gets_that_know_nothing_of_each_other(
    server: SimulatedServer, receiver: Receiver, client: httpx.AsyncClient
) -> None:
    nobody = _closed_port()
    ended = f"{receiver.origin}/ended/room?signature=a%2Bb"
    await create(client, server, meetingEndedURL=ended, meta_endCallbackUrl=f"http://127.0.0.1:{nobody}/")

    await client.get(signed_url(server.url, server.secret, "end", [("meetingID", "room")]))

    told = await receiver.next()
    assert (told.method, told.target, told.body) == ("GET", "/ended/room?signature=a%2Bb", b"")
    assert told.headers["host"] == urlsplit(receiver.origin).netloc
    await eventually(lambda: server.outward_counts["end_callback_failed"])
    assert server.outward_counts["end_callback_attempted"] == 1 + RETRIES
    assert server.outward_counts["meeting_ended_attempted"] == 1


async def test_ending_waits_for_nobody(server: SimulatedServer, receiver: Receiver, client: httpx.AsyncClient) -> None:
    receiver.answers.append(None)
    await create(client, server, meetingEndedURL=receiver.origin)

    reply = await client.get(signed_url(server.url, server.secret, "end", [("meetingID", "room")]))

    assert "sentEndMeetingRequest" in reply.text
    assert (await receiver.next()).target == "/"


@pytest.mark.parametrize("refusal", ["500 Oops", "404 Not Found", "302 Found\r\nLocation: /elsewhere", "nonsense"])
async def test_end_is_told_again_until_it_is_accepted(server: SimulatedServer, receiver: Receiver, refusal: str) -> None:
    receiver.answers.extend([refusal, refusal, "204 No Content"])
    _end_meeting(server, f"{receiver.origin}/ended")

    targets = [(await receiver.next()).target for _ in range(3)]

    await eventually(lambda: server.outward_counts["end_callback_delivered"])
    assert [target.partition("?")[0] for target in targets] == ["/ended"] * 3
    assert receiver.is_idle


async def test_end_is_given_up_after_the_last_retry_in_a_line_without_the_address(
    server: SimulatedServer, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.answers.extend(["503 Busy"] * 10)
    with caplog.at_level(logging.WARNING):
        _end_meeting(server, f"{receiver.origin}/?secret=canary")
        await eventually(lambda: server.outward_counts["end_callback_failed"])

    assert server.outward_counts["end_callback_attempted"] == 1 + RETRIES
    assert [record.getMessage() for record in caplog.records] == ["outward_call_failed server=server-1 kind=end_callback"]


async def test_answer_that_does_not_come_is_a_failure(receiver: Receiver) -> None:
    server = SimulatedServer(
        name="one", secret="s", origin="http://one.example", clock=SystemClock(), random=Random(1), version="3"
    )
    delivery = Delivery(server, answer_seconds=0.5)
    server.on_outward_call = delivery.start
    server.retry_factor = 0
    receiver.answers.append(None)

    _end_meeting(server, receiver.origin)

    await eventually(lambda: server.outward_counts["end_callback_delivered"])
    assert server.outward_counts["end_callback_attempted"] == 2
    await delivery.give_up()


async def test_meeting_that_expires_is_told_of_although_nobody_calls_the_server(receiver: Receiver) -> None:
    clock = ManualClock()
    async with Fleet.running(servers=1, clock=clock) as fleet:
        fleet.servers[0].create_meeting("room", metadata={"endcallbackurl": receiver.origin})
        clock.seconds = 300

        assert (await receiver.next()).target == "/?recordingmarks=false&meetingID=room"


async def test_ready_recording_is_posted_once_for_each_format_whatever_comes_back(
    server: SimulatedServer, receiver: Receiver, client: httpx.AsyncClient
) -> None:
    receiver.answers.extend(["500 Oops", "410 Gone"])
    internal_id = await create(client, server, **{"meta_bbb-recording-ready-url": f"{receiver.origin}/ready"})
    server.end(server.meetings["room"])

    for playback_format in ("presentation", "video"):
        server.publish_recording(internal_id, playback_format)
        told = await receiver.next()
        assert (told.method, told.target) == ("POST", "/ready")
        assert told.headers["content-type"] == "application/x-www-form-urlencoded"
        assert _payload(parse_qs(told.body.decode())["signed_parameters"][0]) == {"meeting_id": "room", "record_id": internal_id}

    await eventually(lambda: server.outward_counts["recording_ready_failed"] == 2)
    assert server.outward_counts["recording_ready_attempted"] == 2


async def test_analytics_are_posted_as_json_with_a_bearer_token(
    server: SimulatedServer, receiver: Receiver, client: httpx.AsyncClient
) -> None:
    await create(client, server, record="true", **{"meta_analytics-callback-url": f"{receiver.origin}/analytics"})
    server.end(server.meetings["room"])

    told = await receiver.next()

    assert (told.method, told.target) == ("POST", "/analytics")
    assert told.headers["content-type"] == "application/json"
    assert told.headers["user-agent"] == "BigBlueButton Analytics Callback"
    assert _payload(told.headers["authorization"].removeprefix("Bearer "))["exp"] > server.epoch() + 86_000
    assert json.loads(told.body)["meeting_id"] == "room"


async def test_events_arrive_in_their_order_although_one_needs_repeating(
    server: SimulatedServer, receiver: Receiver, client: httpx.AsyncClient
) -> None:
    await register(client, server, receiver.origin)
    receiver.answers.extend(["200 OK", "500 Oops", "500 Oops"])
    await create(client, server)
    server.leave(server.add_person(server.meetings["room"], "Ada").session_token)
    server.end(server.meetings["room"])

    events = [event_of(await receiver.next()) for _ in range(6)]

    assert events == ["meeting-created", "user-joined", "user-joined", "user-joined", "user-left", "meeting-ended"]
    assert receiver.is_idle


async def test_hook_that_hangs_holds_up_no_other(server: SimulatedServer, client: httpx.AsyncClient) -> None:
    async with Receiver.running() as hanging, Receiver.running() as healthy:
        hanging.answers.append(None)
        for each in (hanging, healthy):
            await register(client, server, each.origin)
        server.create_meeting("room", people=1)

        assert [event_of(await healthy.next()) for _ in range(2)] == ["meeting-created", "user-joined"]
        assert event_of(await hanging.next()) == "meeting-created"
        assert hanging.is_idle


async def test_hook_is_dropped_after_the_last_failure_with_all_that_waits_for_it(
    server: SimulatedServer, receiver: Receiver, client: httpx.AsyncClient
) -> None:
    await register(client, server, receiver.origin)
    receiver.answers.extend(["500 Oops"] * (1 + HOOK_RETRIES))
    server.create_meeting("room", people=3)

    events = [event_of(await receiver.next()) for _ in range(1 + HOOK_RETRIES)]

    await eventually(lambda: not server.hooks)
    assert set(events) == {"meeting-created"}
    server.create_meeting("another")
    assert server.outward_counts == {"webhook_attempted": 1 + HOOK_RETRIES, "webhook_failed": 1}
    assert receiver.is_idle


async def test_permanent_hook_is_tried_without_end(server: SimulatedServer, receiver: Receiver) -> None:
    server.add_hook(receiver.origin, is_permanent=True)
    receiver.answers.extend(["500 Oops"] * (HOOK_RETRIES + 20))
    server.create_meeting("room")

    await eventually(lambda: server.outward_counts["webhook_delivered"])
    assert server.outward_counts["webhook_attempted"] == HOOK_RETRIES + 21


async def test_hook_that_is_removed_hears_no_more(server: SimulatedServer, receiver: Receiver, client: httpx.AsyncClient) -> None:
    await register(client, server, receiver.origin)
    [hook_id] = server.hooks
    receiver.answers.extend(["500 Oops"] * (1 + HOOK_RETRIES))
    server.retry_factor = 1
    server.create_meeting("room", people=2)
    await receiver.next()

    await client.get(signed_url(server.url, server.secret, "hooks/destroy", [("hookID", hook_id)]))

    await eventually(lambda: server.outward_counts["webhook_failed"])
    assert server.outward_counts["webhook_attempted"] < 1 + HOOK_RETRIES


async def test_refusal_of_an_event_counts_as_delivered(server: SimulatedServer, receiver: Receiver) -> None:
    server.add_hook(receiver.origin)
    receiver.answers.append("401 Unauthorized")

    server.create_meeting("room")

    await eventually(lambda: server.outward_counts["webhook_delivered"])
    assert server.outward_counts["webhook_attempted"] == 1


@pytest.mark.parametrize(
    ("status", "method", "has_body"), [("302 Found", "GET", False), ("307 Temporary Redirect", "POST", True)]
)
async def test_event_follows_redirects(
    server: SimulatedServer, receiver: Receiver, status: str, method: str, has_body: bool
) -> None:
    server.add_hook(f"{receiver.origin}/old")
    receiver.answers.append(f"{status}\r\nLocation: /new?at=home")

    server.create_meeting("room")

    first, second = await receiver.next(), await receiver.next()
    assert (first.method, second.target) == ("POST", "/new?at=home")
    assert (second.method, bool(second.body)) == (method, has_body)
    await eventually(lambda: server.outward_counts["webhook_delivered"])


async def test_redirect_to_another_host_takes_no_token_along(server: SimulatedServer, receiver: Receiver) -> None:
    async with Receiver.running() as other:
        server.add_hook(receiver.origin)
        server.hook_algorithm = None
        receiver.answers.append(f"308 Permanent Redirect\r\nLocation: {other.origin}/")
        server.create_meeting("room")

        assert (await receiver.next()).headers["authorization"] == f"Bearer {server.secret}"
        assert "authorization" not in (await other.next()).headers


async def test_redirects_in_a_circle_are_a_failure(server: SimulatedServer, receiver: Receiver) -> None:
    server.add_hook(receiver.origin)
    receiver.answers.extend([f"307 Again\r\nLocation: {receiver.origin}/again"] * 11)

    server.create_meeting("room")

    await eventually(lambda: server.outward_counts["webhook_delivered"])
    assert server.outward_counts["webhook_attempted"] == 2


async def test_faults_repeat_and_hold_back_what_is_told(server: SimulatedServer, receiver: Receiver) -> None:
    server.outward_faults = OutwardFaults(twice=True, delay=0.2, kinds=frozenset({OutwardKind.END_CALLBACK}))
    started_at = asyncio.get_running_loop().time()
    _end_meeting(server, receiver.origin)

    first, second = await receiver.next(), await receiver.next()

    assert first == second
    assert asyncio.get_running_loop().time() - started_at >= 0.2
    await eventually(lambda: server.outward_counts["end_callback_delivered"] == 2)


@pytest.mark.parametrize("keep_state", [True, False])
async def test_restart_gives_up_what_is_being_told_and_may_forget_the_hooks(
    fleet: Fleet, server: SimulatedServer, receiver: Receiver, keep_state: bool
) -> None:
    server.retry_factor = 1
    server.add_hook(receiver.origin)
    receiver.answers.append("500 Oops")
    _end_meeting(server, "http://127.0.0.1:1/")
    await receiver.next()

    await fleet.restart(server, keep_state=keep_state)

    server.create_meeting("next")
    assert bool(server.hooks) == keep_state
    if keep_state:
        assert event_of(await receiver.next()) == "meeting-created"
        await eventually(lambda: server.outward_counts["webhook_delivered"] == 1)
    assert server.outward_counts["end_callback_attempted"] == 1
    assert not any(name.endswith("_failed") for name in server.outward_counts)


async def test_fleet_stops_while_somebody_is_being_told(receiver: Receiver) -> None:
    async with Fleet.running(servers=1) as fleet:
        receiver.answers.append(None)
        _end_meeting(fleet.servers[0], receiver.origin)
        await receiver.next()

    fleet.servers[0].create_meeting("after", metadata={"endcallbackurl": receiver.origin})
    fleet.servers[0].end(fleet.servers[0].meetings["after"])
    assert receiver.is_idle


@pytest.mark.parametrize("url", ["nonsense", "http://", "http://127.0.0.1:99999/", "http://[::", "http://a..b/"])
async def test_address_that_is_none_is_a_failure_like_any_other(server: SimulatedServer, url: str) -> None:
    _end_meeting(server, url)

    await eventually(lambda: server.outward_counts["end_callback_failed"])


async def test_other_protocols_are_not_spoken(server: SimulatedServer, receiver: Receiver) -> None:
    _end_meeting(server, receiver.origin.replace("http:", "ftp:"))

    await eventually(lambda: server.outward_counts["end_callback_failed"])
    assert receiver.is_idle


def _end_meeting(server: SimulatedServer, end_callback_url: str) -> None:
    server.end(server.create_meeting("ending", metadata={"endcallbackurl": end_callback_url}))


def _payload(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    payload: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return payload


def _closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
