"""The HTTP control, as another process uses it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from meetingpool.bbb.client import signed_url
from simulator.faults import Faults
from simulator.fleet import Fleet
from simulator.server import SimulatedServer


@pytest.fixture
async def server() -> AsyncIterator[SimulatedServer]:
    async with Fleet.running(servers=1) as fleet:
        yield fleet.servers[0]


@pytest.fixture
async def control(server: SimulatedServer) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"{server.origin}/simulator", timeout=2, trust_env=False) as opened:
        yield opened


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
        await _eventually(lambda faults=faults: server.faults == faults)


@pytest.mark.parametrize(
    ("method", "path", "values", "sentence"),
    [
        ("PUT", "/faults", {"latncy": 1}, "There is no fault named 'latncy'."),
        ("PUT", "/faults", {"seconds": -1}, "'seconds' must be a number of seconds."),
        ("PUT", "/faults", [], "Send a JSON object."),
        ("PUT", "/clock", {"offset": "1"}, "'offset' must be a number of seconds."),
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

    await _eventually(lambda: not server.meetings)


async def test_clock_offset_moves_the_servers_own_time(server: SimulatedServer, control: httpx.AsyncClient) -> None:
    before = server.epoch()

    await control.put("/clock", json={"offset": -86_400})

    assert server.epoch() < before - 86_000


async def test_other_paths_are_not_there(server: SimulatedServer, control: httpx.AsyncClient) -> None:
    assert (await control.get("/nothing")).status_code == 404
    assert (await control.get(f"{server.origin}/")).status_code == 404
    assert (await control.get(signed_url(server.url, server.secret, "noSuchCall", ()))).status_code == 404


async def _eventually(condition: Any) -> None:
    for _ in range(100):
        if condition():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it did not happen")
