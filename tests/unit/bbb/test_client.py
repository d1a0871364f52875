"""What the client makes of a server that works, and of everything that can go wrong on the way: over real sockets."""

import asyncio
import socket
import time
import traceback
from collections.abc import AsyncIterator
from typing import Any

import pytest

from meetingpool.bbb import client as client_module
from meetingpool.bbb.checksum import Algorithm, sign
from meetingpool.bbb.client import CONNECTIONS_PER_SERVER, Body, Client, signed_url
from meetingpool.bbb.errors import (
    ConnectionLost,
    NothingSent,
    OutcomeUnknown,
    ReplyTimedOut,
    RequestRejected,
    SecretRefused,
    ServerFailure,
    UnusableAnswer,
)
from meetingpool.metrics import UPSTREAM_FAILURES, UPSTREAM_SECONDS
from meetingpool.metrics_counts import Counts
from meetingpool.request_ids import begin_request
from simulator.faults import Faults
from simulator.fleet import Fleet
from simulator.meetings import Role
from simulator.server import SimulatedServer
from tests.unit.bbb.web_servers import listening, reply_of, replying

SECRET = "a-secret-that-nobody-may-see"
# Long enough for a healthy exchange within the machine, in seconds.
SOON = 2.0


@pytest.fixture
async def fleet() -> AsyncIterator[Fleet]:
    async with Fleet.running(servers=1, secret=SECRET) as fleet:
        yield fleet


@pytest.fixture
def server(fleet: Fleet) -> SimulatedServer:
    return fleet.servers[0]


@pytest.fixture
def calls(fleet: Fleet) -> list[str]:
    """The calls as they come in, also those that are dropped at once."""
    calls: list[str] = []
    fleet.on_request = lambda _, call: calls.append(call)
    return calls


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with Client(connect_timeout=SOON) as client:
        yield client


def faults_of(**values: Any) -> Faults:
    return Faults(**values)


async def get_meetings(client: Client, server: SimulatedServer, *, deadline: float = SOON) -> None:
    await client.call(server.url, server.secret, "getMeetings", deadline=deadline)


@pytest.mark.parametrize("endpoint", ["http://h/bigbluebutton/api", "http://h/bigbluebutton/api/"])
def test_url_ends_in_the_checksum_of_its_query(endpoint: str) -> None:
    query = "meetingID=a+%26+b&name=%C3%A4"

    assert signed_url(endpoint, SECRET, "create", [("meetingID", "a & b"), ("name", "ä")]) == (
        f"http://h/bigbluebutton/api/create?{query}&checksum={sign('create', query.encode(), SECRET)}"
    )


def test_url_of_a_call_without_parameters_holds_the_checksum_alone() -> None:
    checksum = sign("getMeetings", b"", SECRET, Algorithm.SHA1)

    assert (
        signed_url("http://h/api", SECRET, "getMeetings", (), Algorithm.SHA1) == f"http://h/api/getMeetings?checksum={checksum}"
    )


async def test_success_is_returned_with_what_the_server_understood(client: Client, server: SimulatedServer) -> None:
    parameters = [("name", "Räume & more"), ("meetingID", "a b+c"), ("meta_x", "100 %")]

    answer = await client.call(server.url, SECRET, "create", parameters, deadline=SOON)

    assert answer.succeeded
    assert answer.text("meetingID") == "a b+c"
    assert server.meetings["a b+c"].settings.name == "Räume & more"


async def test_refusal_is_returned_and_not_raised(client: Client, server: SimulatedServer) -> None:
    answer = await client.call(server.url, SECRET, "getMeetingInfo", [("meetingID", "nobody")], deadline=SOON)

    assert not answer.succeeded
    assert answer.message_key == "notFound"


async def test_refused_secret_is_a_failure_of_the_server(client: Client, server: SimulatedServer) -> None:
    with pytest.raises(SecretRefused):
        await client.call(server.url, "another secret", "getMeetings", deadline=SOON)


async def test_body_is_posted_as_it_is(client: Client, server: SimulatedServer) -> None:
    body = Body(b"<modules/>", "application/xml; charset=utf-8")

    answer = await client.call(
        server.url, SECRET, "create", [("meetingID", "room"), ("name", "A room")], deadline=SOON, body=body
    )

    assert answer.succeeded
    assert [call.body for call in server.requests] == [b"<modules/>"]


async def test_proxies_of_the_environment_are_not_used(server: SimulatedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)

    async with Client() as client:
        await get_meetings(client, server)

    assert server.count("getMeetings") == 1


async def test_refused_connection_has_sent_nothing(
    client: Client, fleet: Fleet, server: SimulatedServer, calls: list[str]
) -> None:
    await fleet.set_faults(server, Faults(refuse=True))

    with pytest.raises(NothingSent, match="no connection: Connect"):
        await get_meetings(client, server)

    assert calls == []


async def test_connection_that_does_not_open_in_time_has_sent_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        async with Client(connect_timeout=0.1) as client:
            with pytest.raises(NothingSent):
                await client.fetch(f"http://127.0.0.1:{full.getsockname()[1]}/", deadline=SOON)
        for filler in fillers:
            filler.close()


async def test_call_that_finds_no_free_connection_has_sent_nothing(
    fleet: Fleet, server: SimulatedServer, calls: list[str]
) -> None:
    await fleet.set_faults(server, Faults(hang=True))

    async with Client(connect_timeout=0.8) as client:
        asked = (get_meetings(client, server, deadline=1.2) for _ in range(CONNECTIONS_PER_SERVER + 1))
        outcomes = await asyncio.gather(*asked, return_exceptions=True)

    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NothingSent"] + ["ReplyTimedOut"] * CONNECTIONS_PER_SERVER
    assert len(calls) == CONNECTIONS_PER_SERVER


@pytest.mark.parametrize(
    "origin",
    [
        "http://127.0.0.1:99999",
        "http://",
        "http://no such host",
        "http://two..dots",
        f"http://{'a' * 64}.invalid",
        "https://127.0.0.1:1",
    ],
)
async def test_address_that_leads_nowhere_has_sent_nothing(client: Client, origin: str) -> None:
    with pytest.raises(NothingSent):
        await client.call(f"{origin}/bigbluebutton/api/", SECRET, "getMeetings", deadline=SOON)


@pytest.mark.parametrize("fault", ["hang", "hang_mid_body", "drip"])
async def test_deadline_covers_the_whole_reply(client: Client, fleet: Fleet, server: SimulatedServer, fault: str) -> None:
    await fleet.set_faults(server, faults_of(**{fault: True}))
    started_at = time.monotonic()

    with pytest.raises(ReplyTimedOut, match=r"no complete answer within 0\.15 s"):
        await get_meetings(client, server, deadline=0.15)

    assert 0.1 < time.monotonic() - started_at < 1
    assert server.count("getMeetings") == 1


@pytest.mark.parametrize("fault", ["drop_before", "drop_after"])
async def test_broken_connection_leaves_the_outcome_unknown_and_nothing_is_sent_again(
    client: Client, fleet: Fleet, server: SimulatedServer, calls: list[str], fault: str
) -> None:
    await get_meetings(client, server)
    await fleet.set_faults(server, faults_of(**{fault: True}))

    with pytest.raises(ConnectionLost):
        await client.call(server.url, SECRET, "create", [("meetingID", "room"), ("name", "A room")], deadline=SOON)

    assert calls == ["getMeetings", "create"]
    assert ("room" in server.meetings) == (fault == "drop_after")


async def test_server_that_refuses_after_a_successful_call_is_not_asked_again(
    client: Client, fleet: Fleet, server: SimulatedServer, calls: list[str]
) -> None:
    await get_meetings(client, server)
    await fleet.set_faults(server, Faults(refuse=True))

    with pytest.raises(NothingSent):
        await get_meetings(client, server)

    assert calls == ["getMeetings"]


async def test_request_on_a_reused_connection_that_breaks_is_unknown_though_a_new_connection_would_be_refused(
    client: Client,
) -> None:
    requests = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        body = b"<response><returncode>SUCCESS</returncode></response>"
        while await reader.readuntil(b"\r\n\r\n"):
            requests += 1
            if requests > 1:
                listener.close()
                return
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    async with listening(serve) as (endpoint, listener):
        await client.call(endpoint, SECRET, "getMeetings", deadline=SOON)
        with pytest.raises(ConnectionLost):
            await client.call(endpoint, SECRET, "create", [("meetingID", "room")], deadline=SOON)

    assert requests == 2


async def test_connection_is_reused(client: Client) -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    async with listening(serve) as (endpoint, _), Client() as client:
        for _ in range(3):
            assert await client.fetch(endpoint, deadline=SOON) == b"ok"

    assert connections == 1


@pytest.mark.parametrize(
    "values", [{"body": "html"}, {"body": "truncated"}, {"body": "garbage"}, {"http_status": 503}, {"http_status": 500}]
)
async def test_what_is_no_bbb_answer_leaves_the_outcome_unknown(
    client: Client, fleet: Fleet, server: SimulatedServer, values: dict[str, Any]
) -> None:
    await fleet.set_faults(server, faults_of(**values))

    with pytest.raises(UnusableAnswer):
        await get_meetings(client, server)

    assert server.count("getMeetings") == 1


@pytest.mark.parametrize("status", [400, 404, 405, 414, 429, 499])
async def test_request_turned_away_by_the_web_server_has_not_reached_bbb(
    client: Client, fleet: Fleet, server: SimulatedServer, status: int
) -> None:
    await fleet.set_faults(server, Faults(http_status=status))

    with pytest.raises(RequestRejected, match=f"HTTP status {status}"):
        await get_meetings(client, server)


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n<response>",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
)
async def test_reply_that_breaks_off_is_a_lost_connection(client: Client, reply: bytes) -> None:
    async with replying(reply) as endpoint:
        with pytest.raises(ConnectionLost):
            await client.call(endpoint, SECRET, "getMeetings", deadline=SOON)


@pytest.mark.parametrize(
    "reply",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n<response>",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nabcde",
        b"HTTP/1.1 200 OK\r\nX-Long: " + b"a" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 99999 OK\r\n\r\n",
    ],
)
async def test_reply_that_is_not_http_is_no_answer(client: Client, reply: bytes) -> None:
    async with replying(reply) as endpoint:
        with pytest.raises(UnusableAnswer):
            await client.call(endpoint, SECRET, "getMeetings", deadline=SOON)


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" + b"a" * 1001 + b"\r\n",
    ],
)
async def test_answer_that_is_too_large_is_not_read_to_its_end(
    client: Client, monkeypatch: pytest.MonkeyPatch, reply: bytes
) -> None:
    monkeypatch.setattr(client_module, "MAX_ANSWER_BYTES", 1000)

    async with replying(reply) as endpoint:
        with pytest.raises(UnusableAnswer, match="too large"):
            await client.call(endpoint, SECRET, "getMeetings", deadline=SOON)


async def test_redirect_is_told_and_not_followed(client: Client, server: SimulatedServer, calls: list[str]) -> None:
    server.create_meeting("room", moderator_password="mp")
    parameters = [("meetingID", "room"), ("fullName", "Ada"), ("password", "mp"), ("role", Role.MODERATOR)]
    url = signed_url(server.url, SECRET, "join", parameters)

    reply = await client.get(url, deadline=SOON)
    with pytest.raises(UnusableAnswer, match="HTTP status 302"):
        await client.fetch(url, deadline=SOON)

    assert reply.status == 302
    assert reply.location
    assert reply.location.startswith(server.origin)
    assert calls == ["join", "join"]


async def test_cookies_of_a_server_are_not_sent_back(client: Client) -> None:
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nSet-Cookie: JSESSIONID=1; Path=/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    async with listening(serve) as (endpoint, _):
        for _ in range(2):
            await client.get(endpoint, deadline=SOON)

    assert len(heads) == 2
    assert b"cookie" not in heads[1].lower()


@pytest.mark.parametrize(
    "values",
    [
        {"refuse": True},
        {"hang": True},
        {"drop_before": True},
        {"drop_after": True},
        {"body": "html"},
        {"body": "truncated"},
        {"http_status": 503},
        {"http_status": 404},
    ],
)
async def test_failure_names_neither_checksum_nor_secret(
    client: Client, fleet: Fleet, server: SimulatedServer, values: dict[str, Any]
) -> None:
    await fleet.set_faults(server, faults_of(**values))

    with pytest.raises(ServerFailure) as failure:
        await get_meetings(client, server, deadline=0.1)

    told = "".join(traceback.format_exception(failure.value))
    assert str(failure.value)
    assert SECRET not in told
    assert sign("getMeetings", b"", SECRET) not in told


async def test_failure_of_the_protocol_names_neither_checksum_nor_secret(client: Client) -> None:
    async with replying(b"not HTTP\r\n\r\n") as endpoint:
        with pytest.raises(OutcomeUnknown) as failure:
            await client.call(endpoint, SECRET, "getMeetings", deadline=SOON)

    assert str(failure.value) == "the answer is not HTTP: Expected HTTP/, RTSP/ or ICE/"


async def test_a_server_gets_the_id_that_a_request_came_with_and_none_that_nobody_asked_for() -> None:
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(reply_of(b"ok"))

    async with listening(serve) as (endpoint, _), Client() as client:
        for headers in ([(b"x-request-id", b"proxy-7")], [(b"x-request-id", b"a b")], []):
            request = begin_request({"headers": headers})
            await client.fetch(endpoint, deadline=SOON)
            request.end()
        await client.fetch(endpoint, deadline=SOON, body=Body(b"x", "text/plain"))

    assert b"\r\nX-Request-Id: proxy-7\r\n" in heads[0]
    assert not any(b"x-request-id" in head.lower() for head in heads[1:])


async def test_how_long_a_server_took_is_counted_by_its_url_without_the_query() -> None:
    counts = Counts.alone()
    async with replying(reply_of(b"ok")) as endpoint, Client(counts=counts) as client:
        await client.fetch(signed_url(endpoint, SECRET, "create", [("meetingID", "room")]), deadline=SOON)
        with pytest.raises(UnusableAnswer):
            async with replying(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n") as broken:
                await client.fetch(broken, deadline=SOON)

    totals = counts.totals()
    assert sum(totals[UPSTREAM_SECONDS.key, f"{endpoint}create"][:-1]) == 1
    assert totals[UPSTREAM_FAILURES.key, f"{endpoint}create"] == [0]
    assert totals[UPSTREAM_FAILURES.key, broken] == [1]
    assert {key[0] for key in totals} == {UPSTREAM_SECONDS.key, UPSTREAM_FAILURES.key}
