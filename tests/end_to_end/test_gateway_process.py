"""Gateways as the processes they are: racing each other, killed, told to stop, and sent nonsense over a real socket."""

import asyncio
import os
import sys
from contextlib import AsyncExitStack

import httpx
from lxml import etree

from meetingpool.bbb.client import signed_url
from simulator.faults import NO_FAULTS, Faults
from tests.end_to_end.processes import GatewayProcess, free_port, gateway_process
from tests.pool import SECRET, RunningPool

ROUNDS = 25


async def create(client: httpx.AsyncClient, gateway: GatewayProcess, meeting_id: str) -> "etree._Element":
    url = signed_url(gateway.endpoint, SECRET, "create", [("meetingID", meeting_id), ("name", "A room")])
    response = await client.get(url)
    assert response.status_code == 200
    return etree.fromstring(response.content)


async def test_four_processes_and_32_creates_of_one_id_at_once_make_one_meeting(pool: RunningPool, database_url: str) -> None:
    async with AsyncExitStack() as stack:
        gateways = await asyncio.gather(*(stack.enter_async_context(gateway_process(database_url)) for _ in range(4)))
        client = await stack.enter_async_context(httpx.AsyncClient(timeout=20))
        for number in range(ROUNDS):
            meeting_id = f"race-{number}"
            answers = await asyncio.gather(*(create(client, gateways[n % 4], meeting_id) for n in range(32)))
            assert {answer.findtext("returncode") for answer in answers} == {"SUCCESS"}
            assert len({answer.findtext("internalMeetingID") for answer in answers}) == 1
            assert len({answer.findtext("moderatorPW") for answer in answers}) == 1
            assert len(pool.holders(meeting_id)) == 1
    counts = [len(server.meetings) for server in pool.fleet.servers]
    assert max(counts) - min(counts) <= 1


async def test_a_create_whose_gateway_is_killed_goes_on_at_the_same_server(pool: RunningPool, database_url: str) -> None:
    for server in pool.fleet.servers:
        await pool.fleet.set_faults(server, Faults(latency=0.3, calls=frozenset({"create"})))
    async with httpx.AsyncClient(timeout=20) as client, gateway_process(database_url) as survivor:
        for number in range(3):
            async with gateway_process(database_url) as victim:
                creating = asyncio.create_task(create(client, victim, f"orphan-{number}"))
                await asyncio.sleep(0.05 + 0.1 * number)
                victim.process.kill()
                await asyncio.gather(creating, return_exceptions=True)
            answer = await create(client, survivor, f"orphan-{number}")
            assert answer.findtext("returncode") == "SUCCESS"
            assert len(pool.holders(f"orphan-{number}")) == 1


async def test_a_gateway_told_to_stop_says_so_finishes_and_exits_with_0(pool: RunningPool, database_url: str) -> None:
    for server in pool.fleet.servers:
        await pool.fleet.set_faults(server, Faults(reply_delay=1.0, calls=frozenset({"create"})))
    async with httpx.AsyncClient(timeout=20) as client, gateway_process(database_url) as gateway:
        creating = asyncio.create_task(create(client, gateway, "last"))
        await asyncio.sleep(0.2)
        stopping = asyncio.create_task(gateway.stop())
        await asyncio.sleep(0.2)
        assert (await client.get(f"{gateway.origin}/readyz")).status_code == 503
        assert (await client.get(f"{gateway.origin}/livez")).status_code == 200
        assert (await creating).findtext("returncode") == "SUCCESS"
        assert await stopping == 0


async def test_a_hanging_server_does_not_keep_a_gateway_from_stopping(pool: RunningPool, database_url: str) -> None:
    for server in pool.fleet.servers:
        await pool.fleet.set_faults(server, Faults(hang=True, calls=frozenset({"create"})))
    async with httpx.AsyncClient(timeout=40) as client, gateway_process(database_url, RESPONSE_TIMEOUT="5") as gateway:
        creating = asyncio.create_task(create(client, gateway, "hangs"))
        await asyncio.sleep(0.3)
        async with asyncio.timeout(28):
            assert await gateway.stop() == 0
        assert (await creating).findtext("messageKey") == "internalError"
    for server in pool.fleet.servers:
        await pool.fleet.set_faults(server, NO_FAULTS)


async def test_gateways_on_one_port_are_restarted_without_a_failed_request(pool: RunningPool, database_url: str) -> None:
    port = free_port()
    stop = asyncio.Event()
    answered = 0

    async def ask_all_the_time() -> None:
        nonlocal answered
        while not stop.is_set():
            async with httpx.AsyncClient(timeout=10, verify=False) as client:
                response = await client.get(signed_url(f"http://127.0.0.1:{port}/bigbluebutton/api", SECRET, "getMeetings", []))
            assert response.status_code == 200
            assert b"SUCCESS" in response.content
            answered += 1
            await asyncio.sleep(0.01)

    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(gateway_process(database_url, port))
        clients = [asyncio.create_task(ask_all_the_time()) for _ in range(4)]
        for _ in range(3):
            replacement = await stack.enter_async_context(gateway_process(database_url, port))
            await asyncio.sleep(0.2)
            assert await running.stop() == 0
            running = replacement
        stop.set()
        await asyncio.gather(*clients)
    assert answered > 100


async def test_nonsense_over_a_real_socket_is_refused_and_never_a_5xx(pool: RunningPool, database_url: str) -> None:
    async with gateway_process(database_url) as gateway:
        path = "/bigbluebutton/api"
        huge = "a" * 100_000
        requests = [
            f"GET {path}/create?meetingID=x1&welcome={huge}&checksum={'0' * 64} HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
            f"GET {path}/create?meetingID=x1&welcome={huge * 4}&checksum={'0' * 64} HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
            b"GET " + path.encode() + b"/create?meetingID=\xff\xfe&checksum=0 HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET " + path.encode() + b"/%ff%fe?checksum=0 HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET " + path.encode() + b"/cre%0d%0aate HTTP/1.1\r\nHost: x\r\n\r\n",
            b"BREW " + path.encode() + b"/create HTTP/1.1\r\nHost: x\r\n\r\n",
            b"POST " + path.encode() + b"/create HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n",
            b"POST " + path.encode() + b"/create HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Type: a/b\r\n\r\nabcd",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
            b"GET " + path.encode() + b" HTTP/9.9\r\n\r\n",
        ]
        for request in requests:
            answer = await exchange(gateway.port, request)
            status = answer.split(b" ", 2)[1]
            assert status in (b"200", b"400", b"404", b"405", b"414"), request[:80]
            assert b"Traceback" not in answer
        assert (await exchange(gateway.port, b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")).startswith(b"HTTP/1.1 200")


async def exchange(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    await writer.drain()
    answer = await asyncio.wait_for(reader.read(65_536), 10)
    writer.close()
    await writer.wait_closed()
    return answer


async def test_a_gateway_refuses_to_start_without_the_right_schema(template_url: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "gateway",
        env=os.environ | {"MEETINGPOOL_DATABASE_URL": template_url.replace("/meetingpool?", "/postgres?")},
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate()
    assert process.returncode == 1
    assert errors.decode().strip().endswith("run `meetingpool db upgrade`")
    assert len(errors.decode().splitlines()) == 1
