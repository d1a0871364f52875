"""The HTTP control, as another process uses it."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import httpx
import pytest

from meetingpool.bbb.client import signed_url
from simulator.faults import Faults, OutwardFaults
from simulator.fleet import Fleet
from simulator.outward_calls import OutwardKind
from simulator.server import SimulatedServer
from tests.integration.simulator.receiving import Receiver, eventually


@pytest.fixture
async def server() -> AsyncIterator[SimulatedServer]:
    async with Fleet.running(servers=1) as fleet:
        yield fleet.servers[0]


@pytest.fixture
async def control(server: SimulatedServer) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"{server.origin}/simulator", timeout=2, trust_env=False) as opened:
        yield opened


def _has_faults(server: SimulatedServer, faults: Faults) -> bool:
    return server.faults == faults


async def test_state_tells_what_is_on_the_server(server: SimulatedServer, control: httpx.AsyncClient) -> None:
    server.create_meeting("room", people=3)

    state = (await control.get("/state")).json()

    assert state["name"] == "server-1"
    assert state["meetings"] == {"room": 3}
    assert state["people"] == 3
    assert state["faults"]["hang"] is False
    assert server.secret not in str(state)


async def test_faults_are_set_and_do_not_touch_the_control(server: SimulatedServer, control: httpx.AsyncClient) -> None:
    for values, faults in (
        ({"hang": True, "calls": ["create"]}, Faults(hang=True, calls=frozenset({"create"}))),
        ({"http_status": 503}, Faults(http_status=503)),
        ({}, Faults()),
    ):
        assert (await control.put("/faults", json=values)).status_code == 200
        await eventually(partial(_has_faults, server, faults))


@pytest.mark.parametrize(
    ("method", "path", "values", "sentence"),
    [
        ("PUT", "/faults", {"latncy": 1}, "There is no fault named 'latncy'."),
        ("PUT", "/faults", {"seconds": -1}, "'seconds' must be a number of seconds."),
        ("PUT", "/faults", [], "Send a JSON object."),
        ("PUT", "/clock", {"offset": "1"}, "'offset' must be a number of seconds."),
        ("PUT", "/outward-faults", {"hang": True}, "There is no fault named 'hang'."),
        ("PUT", "/outward", {"strict": False}, "There is no setting 'strict'."),
        ("PUT", "/outward", {"retry_factor": -1}, "'retry_factor' must be a number, 0 or more."),
        ("PUT", "/outward", {"has_webhooks": 1}, "'has_webhooks' must be true or false."),
        ("PUT", "/outward", {"hook_algorithm": "md5"}, "'hook_algorithm' must be null or one of sha1, sha256, sha384, sha512."),
        ("POST", "/recordings", {"record_id": "x"}, "'format' must be a text."),
        ("POST", "/recordings", {"record_id": "x", "format": "video"}, "No meeting with that id has ended here."),
        ("POST", "/events", {"id": "user-left"}, "'meeting' must be a text."),
        ("POST", "/events", {"id": "user-left", "meeting": "x", "raw": 1}, "'raw' must be a JSON object."),
        ("POST", "/events", {"id": "x", "meeting": "x", "attributes": {"meeting": 1}}, "'meeting' must be a JSON object."),
        ("POST", "/events", {"id": "user-left", "meeting": "x"}, "No meeting with that id is or was here."),
        ("POST", "/restart", {}, "Say whether the meetings survive: 'keep_state' must be true or false."),
    ],
)
async def test_mistake_is_answered_with_a_sentence(
    control: httpx.AsyncClient, method: str, path: str, values: Any, sentence: str
) -> None:
    reply = await control.request(method, path, json=values)

    assert reply.status_code == 400
    assert reply.json()["error"].startswith(sentence)


async def test_body_that_is_not_json_is_answered_with_a_sentence(control: httpx.AsyncClient) -> None:
    assert (await control.put("/faults", content=b"{")).json() == {"error": "Send a JSON object."}


async def test_port_closes_after_the_answer_and_comes_back_by_itself(server: SimulatedServer, control: httpx.AsyncClient) -> None:
    assert (await control.put("/faults", json={"refuse": True, "seconds": 0.2})).json() == {"done": True}
    await asyncio.sleep(0.05)

    with pytest.raises(httpx.ConnectError):
        await control.get("/state")
    await asyncio.sleep(0.3)
    assert (await control.get("/state")).json()["faults"]["refuse"] is False


async def test_restart_without_state_forgets_the_meetings(server: SimulatedServer, control: httpx.AsyncClient) -> None:
    server.create_meeting("room")

    assert (await control.post("/restart", json={"keep_state": False})).json() == {"done": True}

    await eventually(lambda: not server.meetings)


async def test_clock_offset_moves_the_servers_own_time(server: SimulatedServer, control: httpx.AsyncClient) -> None:
    before = server.epoch()

    await control.put("/clock", json={"offset": -86_400})

    assert server.epoch() < before - 86_000


async def test_outward_settings_and_faults_are_set_and_told(server: SimulatedServer, control: httpx.AsyncClient) -> None:
    await control.put("/outward", json={"retry_factor": 0.5, "has_webhooks": False, "hook_algorithm": None})
    await control.put("/outward-faults", json={"never": True, "kinds": ["webhook"]})

    assert (server.retry_factor, server.has_webhooks, server.hook_algorithm) == (0.5, False, None)
    assert server.outward_faults == OutwardFaults(never=True, kinds=frozenset({OutwardKind.WEBHOOK}))
    state = (await control.get("/state")).json()
    assert (state["retry_factor"], state["has_webhooks"], state["hook_algorithm"], state["hooks"]) == (0.5, False, None, 0)
    assert state["outward_faults"]["kinds"] == ["webhook"]


async def test_mistake_in_one_setting_changes_none(server: SimulatedServer, control: httpx.AsyncClient) -> None:
    assert (await control.put("/outward", json={"has_webhooks": False, "retry_factor": "1"})).status_code == 400

    assert server.has_webhooks


async def test_recordings_and_events_are_sent_when_the_control_says_so(
    server: SimulatedServer, control: httpx.AsyncClient
) -> None:
    async with Receiver.running() as receiver:
        meeting = server.create_meeting("room", metadata={"bbb-recording-ready-url": f"{receiver.origin}/ready"})
        server.end(meeting)
        await control.post("/recordings", json={"record_id": meeting.internal_id, "format": "presentation"})
        assert (await receiver.next()).target == "/ready"

        server.add_hook(f"{receiver.origin}/hook")
        event = {"id": "rap-published", "meeting": "room", "attributes": {"format": "presentation"}}
        await control.post("/events", json=event)
        assert b"rap-published" in (await receiver.next()).body

        await eventually(lambda: server.outward_counts["webhook_delivered"])
        counts = (await control.get("/state")).json()["outward"]
        assert counts["recording_ready_attempted"] == counts["webhook_attempted"] == 1


async def test_other_paths_are_not_there(server: SimulatedServer, control: httpx.AsyncClient) -> None:
    assert (await control.get("/nothing")).status_code == 404
    assert (await control.get(f"{server.origin}/")).status_code == 404
    assert (await control.get(signed_url(server.url, server.secret, "noSuchCall", ()))).status_code == 404
