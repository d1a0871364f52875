"""Each fault as a client sees it from outside."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from meetingpool.bbb.client import signed_url
from simulator.faults import Faults
from simulator.fleet import Fleet
from simulator.server import SimulatedServer


@pytest.fixture
async def fleet() -> AsyncIterator[Fleet]:
    async with Fleet.running(servers=2) as running:
        yield running


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=0.3, trust_env=False) as opened:
        yield opened


def url(server: SimulatedServer, call: str, **parameters: str) -> str:
    return signed_url(server.url, server.secret, call, parameters.items())


def create_url(server: SimulatedServer) -> str:
    return url(server, "create", name="A room", meetingID="room")


async def test_healthy_servers_answer_each_on_its_own_port(fleet: Fleet, client: httpx.AsyncClient) -> None:
    for server in fleet.servers:
        reply = await client.get(url(server, "getMeetings"))
        assert reply.status_code == 200
        assert reply.headers["content-type"] == "text/xml;charset=utf-8"
        assert reply.headers["cache-control"] == "no-cache"
    assert fleet.servers[0].url != fleet.servers[1].url
    assert fleet.servers[0].secret != fleet.servers[1].secret


async def test_fault_of_one_server_leaves_the_others_alone(fleet: Fleet, client: httpx.AsyncClient) -> None:
    await fleet.set_faults(fleet.servers[0], Faults(hang=True))

    assert (await client.get(url(fleet.servers[1], "getMeetings"))).status_code == 200


async def test_latency_passes_before_the_server_acts(fleet: Fleet, client: httpx.AsyncClient) -> None:
    server = fleet.servers[0]
    await fleet.set_faults(server, Faults(latency=0.1))

    asked = asyncio.create_task(client.get(create_url(server)))
    await asyncio.sleep(0.05)
    assert server.meetings == {}
    assert (await asked).status_code == 200
    assert "room" in server.meetings


async def test_delayed_reply_is_a_snapshot_from_before_the_delay(fleet: Fleet, client: httpx.AsyncClient) -> None:
    server = fleet.servers[0]
    server.create_meeting("before")
    await fleet.set_faults(server, Faults(reply_delay=0.1))

    asked = asyncio.create_task(client.get(url(server, "getMeetings")))
    await asyncio.sleep(0.05)
    server.create_meeting("meanwhile")

    assert "before" in (await asked).text
    assert "meanwhile" not in (await asked).text


async def test_server_works_on_when_the_client_has_gone(fleet: Fleet, client: httpx.AsyncClient) -> None:
    server = fleet.servers[0]
    await fleet.set_faults(server, Faults(latency=0.2))

    with pytest.raises(httpx.ReadTimeout):
        await client.get(create_url(server), timeout=0.05)
    await asyncio.sleep(0.3)

    assert "room" in server.meetings


@pytest.mark.parametrize("fault", ["hang", "hang_mid_body", "drip"])
async def test_reply_that_never_completes_runs_into_the_clients_deadline(
    fleet: Fleet, client: httpx.AsyncClient, fault: str
) -> None:
    server = fleet.servers[0]
    await fleet.set_faults(server, _faults(**{fault: True}))

    with pytest.raises((httpx.ReadTimeout, TimeoutError)):
        await asyncio.wait_for(client.get(create_url(server)), timeout=0.3)

    assert server.count("create") == 1
    assert ("room" in server.meetings) == (fault != "hang")


async def test_dripping_body_arrives_a_byte_at_a_time(fleet: Fleet, client: httpx.AsyncClient) -> None:
    server = fleet.servers[0]
    await fleet.set_faults(server, Faults(drip=True))

    async with client.stream("GET", url(server, "getMeetings")) as reply:
        assert int(reply.headers["content-length"]) > 100
        assert await anext(reply.aiter_raw()) == b"<"


@pytest.mark.parametrize(("fault", "acted"), [("drop_before", False), ("drop_after", True)])
async def test_dropped_connection_breaks_before_or_after_the_server_acts(
    fleet: Fleet, client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture, fault: str, acted: bool
) -> None:
    server = fleet.servers[0]
    await fleet.set_faults(server, _faults(**{fault: True}))

    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        await client.get(create_url(server))

    assert ("room" in server.meetings) == acted
    assert server.count("create") == acted
    assert [record for record in caplog.records if record.name.startswith("uvicorn")] == []


async def test_http_error_is_an_html_page_and_nothing_is_done(fleet: Fleet, client: httpx.AsyncClient) -> None:
    server = fleet.servers[0]
    await fleet.set_faults(server, Faults(http_status=503))

    reply = await client.get(create_url(server))

    assert reply.status_code == 503
    assert reply.text.startswith("<!DOCTYPE html>")
    assert server.meetings == {}
    assert server.count("create") == 1


@pytest.mark.parametrize(
    ("body", "sight"),
    [
        ("html", b"<!DOCTYPE html>"),
        ("truncated", b"<response><returncode>SUCCESS</returncode><meetings><meeting>"),
        ("empty_meetings", b"<response><returncode>SUCCESS</returncode><meetings/><messageKey>noMeetings"),
        ("failed", b"<response><returncode>FAILED</returncode>"),
        ("garbage", b"\x00"),
    ],
)
async def test_wrong_body_comes_with_status_200(fleet: Fleet, client: httpx.AsyncClient, body: str, sight: bytes) -> None:
    server = fleet.servers[0]
    server.create_meeting("room", people=3)
    await fleet.set_faults(server, _faults(body=body))

    reply = await client.get(url(server, "getMeetings"))

    assert reply.status_code == 200
    assert reply.content.startswith(sight)
    assert not reply.content.endswith(b"</response>") or body in ("empty_meetings", "failed")
    assert server.count("getMeetings") == 1


async def test_faults_hit_the_named_calls_only(fleet: Fleet, client: httpx.AsyncClient) -> None:
    server = fleet.servers[0]
    await fleet.set_faults(server, Faults(http_status=502, calls=frozenset({"create"})))

    assert (await client.get(create_url(server))).status_code == 502
    assert (await client.get(url(server, "getMeetings"))).status_code == 200


async def test_probability_hits_some_calls(fleet: Fleet, client: httpx.AsyncClient) -> None:
    server = fleet.servers[0]
    await fleet.set_faults(server, Faults(http_status=502, probability=0.5))

    statuses = [(await client.get(url(server, "getMeetings"))).status_code for _ in range(40)]

    assert set(statuses) == {200, 502}


async def test_refusing_server_comes_back_on_the_same_port_with_its_meetings(fleet: Fleet, client: httpx.AsyncClient) -> None:
    server = fleet.servers[0]
    server.create_meeting("room")
    await client.get(url(server, "getMeetings"))

    for _ in range(3):
        await fleet.set_faults(server, Faults(refuse=True))
        with pytest.raises(httpx.ConnectError):
            await client.get(url(server, "getMeetings"))
        await fleet.set_faults(server, Faults())
        assert "room" in (await client.get(url(server, "getMeetings"))).text


async def test_refusal_can_end_by_itself(fleet: Fleet, client: httpx.AsyncClient) -> None:
    server = fleet.servers[0]

    await fleet.set_faults(server, Faults(refuse=True), seconds=0.1)
    with pytest.raises(httpx.ConnectError):
        await client.get(url(server, "getMeetings"))
    await asyncio.sleep(0.2)

    assert (await client.get(url(server, "getMeetings"))).status_code == 200


@pytest.mark.parametrize("keep_state", [True, False])
async def test_restart_breaks_calls_in_flight_and_keeps_the_meetings_if_told_to(
    fleet: Fleet, client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture, keep_state: bool
) -> None:
    server = fleet.servers[0]
    server.create_meeting("old")
    await fleet.set_faults(server, Faults(latency=0.1))
    asked = asyncio.create_task(client.get(create_url(server)))
    await asyncio.sleep(0.05)

    await fleet.restart(server, keep_state=keep_state)

    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        await asked
    await asyncio.sleep(0.1)
    assert list(server.meetings) == (["old"] if keep_state else [])
    assert [record for record in caplog.records if record.name.startswith("uvicorn")] == []


async def test_every_call_is_told_to_the_listener_as_it_comes_in(fleet: Fleet, client: httpx.AsyncClient) -> None:
    told: list[tuple[str, str]] = []
    fleet.on_request = lambda server, call: told.append((server.name, call))

    await client.get(create_url(fleet.servers[1]))

    assert told == [("server-2", "create")]


async def test_five_hundred_servers_start_and_stop_quickly() -> None:
    started_at = time.monotonic()
    async with Fleet.running(servers=500, secret="one for all") as fleet:
        assert time.monotonic() - started_at < 3
        assert len({server.url for server in fleet.servers}) == 500
    assert time.monotonic() - started_at < 5


async def test_fleet_stops_while_calls_hang(client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    async with Fleet.running(servers=1) as fleet:
        await fleet.set_faults(fleet.servers[0], Faults(latency=60))
        asked = asyncio.create_task(client.get(create_url(fleet.servers[0])))
        await asyncio.sleep(0.05)

    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        await asked
    assert [record for record in caplog.records if record.name.startswith("uvicorn")] == []


def _faults(**values: Any) -> Faults:
    return Faults(**values)
