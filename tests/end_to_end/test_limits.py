"""A gateway process under clients that send too much, too slowly, or on too many connections, while others are served."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import httpx
import psutil  # type: ignore[import-untyped]

from meetingpool.bbb.client import signed_url
from tests.end_to_end.processes import GatewayProcess, gateway_process
from tests.pool import SECRET, RunningPool

HALF_A_REQUEST = b"GET /bigbluebutton/api/getMeetings HTTP/1.1\r\nHost: gateway\r\nX: "
SLOW_CLIENTS = 300
# A head may take 10 s; the timer that looks comes round as often.
HEAD_EXPIRES_WITHIN = 25.0


@dataclass
class Crowd:
    """Many connections to a gateway."""

    gateway: GatewayProcess
    connections: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = field(default_factory=list)

    async def grow(self, number: int, greeting: bytes = b"") -> None:
        for _ in range(number):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.gateway.port)
            writer.write(greeting)
            self.connections.append((reader, writer))

    async def answers(self, *, within: float) -> list[bytes]:
        """What each got until it was closed."""
        async with asyncio.timeout(within):
            return await asyncio.gather(*(read_to_end(reader) for reader, _ in self.connections))

    async def leave(self) -> None:
        for _, writer in self.connections:
            writer.transport.abort()
        self.connections.clear()


async def read_to_end(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionError:
        return b""


@asynccontextmanager
async def crowd_at(gateway: GatewayProcess) -> AsyncIterator[Crowd]:
    crowd = Crowd(gateway)
    try:
        yield crowd
    finally:
        await crowd.leave()


async def exchange(gateway: GatewayProcess, request: bytes) -> bytes:
    """All that comes back until the gateway closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    with suppress(ConnectionError):
        writer.write(request)
        await writer.drain()
    try:
        return await asyncio.wait_for(read_to_end(reader), 10)
    finally:
        writer.transport.abort()


def request_of(target: str, *headers: str, body: bytes = b"", method: str = "GET") -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "Host: gateway", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def signed_target(call: str, *parameters: tuple[str, str]) -> str:
    return signed_url("/bigbluebutton/api", SECRET, call, parameters)


async def is_served(client: httpx.AsyncClient, gateway: GatewayProcess) -> float:
    """Makes sure that a call is answered. Returns the seconds that it took."""
    began = time.monotonic()
    response = await client.get(signed_url(gateway.endpoint, SECRET, "isMeetingRunning", [("meetingID", "room")]))
    assert b"<returncode>SUCCESS</returncode>" in response.content
    return time.monotonic() - began


async def test_a_request_may_be_so_large_and_no_larger(pool: RunningPool, database_url: str) -> None:
    slides = "Content-Type: application/xml"
    target = signed_target("isMeetingRunning", ("meetingID", "room"))
    async with gateway_process(database_url, MEETINGPOOL_MAX_DOCUMENT_BYTES=str(1024 * 1024)) as gateway:
        for request, status in [
            (request_of(target), b"200"),
            (request_of(target + "&x=" + "a" * 60_000), b"200"),
            (request_of(target + "&x=" + "a" * 66_000), b"414"),
            (request_of(target, *["X: y"] * 98), b"200"),
            (request_of(target, *["X: y"] * 99), b"431"),
            (request_of(target, "X: " + "a" * 32_000), b"200"),
            (request_of(target, "X: " + "a" * 33_000), b"431"),
            (request_of("/bigbluebutton/api/create", slides, f"Content-Length: {1024 * 1024}", body=b"a", method="POST"), b"200"),
            (request_of("/bigbluebutton/api/create", slides, f"Content-Length: {1024 * 1024 + 1}", method="POST"), b"413"),
        ]:
            answer = await exchange(gateway, request)
            assert answer.split(b" ", 2)[1] == status, (request[:100], answer[:200])
            if status != b"200":
                assert b"<returncode>FAILED</returncode>" in answer


async def test_no_call_is_smuggled_in_behind_another(pool: RunningPool, database_url: str) -> None:
    start = b"POST /bigbluebutton/api/getMeetings HTTP/1.1\r\nHost: gateway\r\n"
    smuggled = request_of(signed_target("create", ("meetingID", "smuggled"), ("name", "A room")))
    async with gateway_process(database_url) as gateway:
        for framing in (
            b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"Transfer-Encoding: chunked\r\nContent-Length: %d\r\n\r\n0\r\n\r\n",
            b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\nX: %d\r\n\r\n0\r\n\r\n",
            b"Transfer-Encoding:\r\n chunked\r\nX: %d\r\n\r\n0\r\n\r\n",
            b"Transfer-Encoding: chunked\nX: %d\r\n\r\n0\r\n\r\n",
            b"Content-Length: 0\r\nContent-Length: %d\r\n\r\n",
        ):
            answer = await exchange(gateway, start + framing % len(smuggled) + smuggled)
            assert answer.startswith(b"HTTP/1.1 400 "), framing
            assert answer.count(b"HTTP/1.1 ") == 1
    assert pool.holders("smuggled") == []


async def test_slow_clients_slow_nobody_and_are_closed(pool: RunningPool, database_url: str) -> None:
    async with gateway_process(database_url) as gateway, httpx.AsyncClient(timeout=20) as client, crowd_at(gateway) as crowd:
        await is_served(client, gateway)
        usual = sorted([await is_served(client, gateway) for _ in range(50)])
        await crowd.grow(SLOW_CLIENTS, HALF_A_REQUEST)
        closing = asyncio.create_task(crowd.answers(within=HEAD_EXPIRES_WITHIN))
        dripping = asyncio.create_task(drip(crowd))
        disturbed = []
        while not closing.done():
            disturbed.append(await is_served(client, gateway))
            await asyncio.sleep(0.05)
        dripping.cancel()
        answers = await closing
    assert all(answer.startswith(b"HTTP/1.1 408 ") for answer in answers)
    assert sorted(disturbed)[len(disturbed) // 2] < 3 * usual[len(usual) // 2] + 0.02


async def drip(crowd: Crowd) -> None:
    while True:
        for _, writer in crowd.connections:
            with suppress(ConnectionError):
                writer.write(b"a")
        await asyncio.sleep(1)


async def test_slow_clients_do_not_keep_a_gateway_from_stopping(pool: RunningPool, database_url: str) -> None:
    async with gateway_process(database_url) as gateway, crowd_at(gateway) as crowd:
        await crowd.grow(30, HALF_A_REQUEST)
        await crowd.grow(30, request_of("/livez").replace(b"Connection: close\r\n", b""))
        await crowd.grow(30)
        async with asyncio.timeout(10):
            assert await gateway.stop() == 0


async def test_connections_beyond_the_limit_are_turned_away_and_one_that_closes_makes_room(
    pool: RunningPool, database_url: str
) -> None:
    async with gateway_process(database_url, MEETINGPOOL_MAX_CONNECTIONS="20") as gateway, crowd_at(gateway) as crowd:
        await crowd.grow(20)
        refused = await until_answered(gateway, b"503")
        assert b"retry-after: 2" in refused
        assert b"<messageKey>internalError</messageKey>" in refused
        await crowd.leave()
        await until_answered(gateway, b"200")


async def test_a_gateway_with_few_file_descriptors_keeps_some_for_its_work(pool: RunningPool, database_url: str) -> None:
    within = ("sh", "-c", 'ulimit -n 128; exec "$@"', "sh")
    async with gateway_process(database_url, within=within) as gateway, crowd_at(gateway) as crowd:
        await crowd.grow(90)
        async with httpx.AsyncClient(timeout=20) as client:
            url = signed_url(gateway.endpoint, SECRET, "create", [("meetingID", "room"), ("name", "A room")])
            assert b"<returncode>SUCCESS</returncode>" in (await client.get(url)).content
        await crowd.grow(400)
        busy = psutil.Process(gateway.process.pid)
        await until_answered(gateway, b"503")
        before = busy.cpu_times().user
        await asyncio.sleep(1)
        assert busy.cpu_times().user - before < 0.5
        await crowd.leave()
        await until_answered(gateway, b"200")
        assert await gateway.stop() == 0


async def until_answered(gateway: GatewayProcess, status: bytes) -> bytes:
    async with asyncio.timeout(10):
        while True:
            answer = await exchange(gateway, request_of("/livez"))
            if answer.startswith(b"HTTP/1.1 " + status):
                return answer
            await asyncio.sleep(0.02)


async def test_clients_that_leave_while_sending_are_no_line_in_the_log(pool: RunningPool, database_url: str) -> None:
    async with gateway_process(database_url) as gateway:
        async with crowd_at(gateway) as crowd:
            form = request_of(
                "/bigbluebutton/api/create",
                "Content-Type: application/x-www-form-urlencoded",
                "Content-Length: 100",
                method="POST",
            )
            await crowd.grow(20, form + b"meetingID=ro")
            await until_answered(gateway, b"200")
        assert (await exchange(gateway, b"nonsense\r\n\r\n")).startswith(b"HTTP/1.1 400 ")
        assert await gateway.stop() == 0
        assert gateway.process.stderr is not None
        assert await gateway.process.stderr.read() == b""
