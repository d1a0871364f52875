"""What a client may do with a connection: limits from both sides, and requests that two parsers could read in two ways."""

import asyncio
import re
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest
import uvicorn
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from gateway.connections import ConnectionLimits, OpenConnections, connections_within, this_machine_and

HEAD = b"GET / HTTP/1.1\r\nHost: gateway\r\n"
POST = b"POST / HTTP/1.1\r\nHost: gateway\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
KEPT_ALIVE = 0.6
DEADLINE = 10.0

Answer = Callable[[Request], Awaitable[Response]]


@dataclass
class Server:
    """Connections on a real socket, before an application that says what it was asked."""

    port: int
    state: ServerState
    asked: list[str] = field(default_factory=list)
    clients: list["RawClient"] = field(default_factory=list)

    async def exchange(self, *pieces: bytes) -> bytes:
        """All that comes back until the server closes."""
        client = await self.client()
        for piece in pieces:
            await client.send(piece)
        return await client.read_to_end()

    async def client(self, receive_buffer: int = 0) -> "RawClient":
        connecting = socket.socket()
        if receive_buffer:
            connecting.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connecting.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connecting, ("127.0.0.1", self.port))
        self.clients.append(RawClient(*await asyncio.open_connection(sock=connecting)))
        return self.clients[-1]


@dataclass
class RawClient:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> bytes:
        """One answer with its body."""
        async with asyncio.timeout(DEADLINE):
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head)
            assert length is not None
            return head + await self.reader.readexactly(int(length[1]))

    async def read_to_end(self) -> bytes:
        async with asyncio.timeout(DEADLINE):
            return await self.reader.read()

    def close(self) -> None:
        self.writer.transport.abort()


async def echo(request: Request) -> Response:
    body = await request.body()
    return PlainTextResponse(f"{request.method} {request.url.path} {len(body)}")


@asynccontextmanager
async def serving(
    limits: ConnectionLimits | None = None, answer: Answer = echo, *, send_buffer: int = 0, kept_alive: float = KEPT_ALIVE
) -> AsyncIterator[Server]:
    server = Server(0, ServerState())

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        server.asked.append(scope["path"])
        try:
            response = await answer(Request(scope, receive))
        except ClientDisconnect:
            server.asked.append("disconnected")
            return
        await response(scope, receive, send)

    config = uvicorn.Config(app, ws="none", lifespan="off", access_log=False, log_config=None, timeout_keep_alive=kept_alive)  # type: ignore[arg-type]
    config.http = connections_within(limits or ConnectionLimits(), lambda _address: False)
    config.load()
    loop = asyncio.get_running_loop()
    listener = socket.create_server(("127.0.0.1", 0))
    if send_buffer:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
    server.port = listener.getsockname()[1]
    listening = await loop.create_server(
        lambda: config.http_protocol_class(config, server.state, {}, loop),  # type: ignore[call-arg]
        sock=listener,
    )
    try:
        yield server
    finally:
        listening.close()
        for client in server.clients:
            client.close()
        for connection in list(server.state.connections):
            connection.transport.abort()
        for task in list(server.state.tasks):
            task.cancel()
        await asyncio.gather(*server.state.tasks, return_exceptions=True)
        await asyncio.sleep(0)


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def assert_refused(answer: bytes, expected: int) -> None:
    assert status(answer) == expected, answer[:200]
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"connection: close" in answer
    assert b"<returncode>FAILED</returncode>" in answer


def get(target: bytes = b"/", *headers: bytes) -> bytes:
    return b"\r\n".join([b"GET %s HTTP/1.1" % target, b"Host: gateway", *headers, b"", b""])


CLOSE = b"Connection: close"

# What the server must refuse by itself, whatever a proxy before it makes of it.
AMBIGUOUS = {
    "bare line feeds": b"GET / HTTP/1.1\nHost: gateway\n\n",
    "a bare line feed behind a header": b"GET / HTTP/1.1\r\nHost: gateway\nX: y\r\n\r\n",
    "a bare line feed at the end": b"GET / HTTP/1.1\r\nHost: gateway\r\n\n",
    "a bare carriage return": b"GET / HTTP/1.1\r\nHost: gateway\rX: y\r\n\r\n",
    "content length before transfer encoding": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "transfer encoding before content length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two equal content lengths": POST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na",
    "two different content lengths": POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\na",
    "a list of content lengths": POST + b"Content-Length: 1, 1\r\n\r\na",
    "a signed content length": POST + b"Content-Length: +1\r\n\r\na",
    "a negative content length": POST + b"Content-Length: -1\r\n\r\na",
    "a hexadecimal content length": POST + b"Content-Length: 0x1\r\n\r\na",
    "an empty content length": POST + b"Content-Length:\r\n\r\na",
    "a content length beyond all numbers": POST + b"Content-Length: 99999999999999999999999\r\n\r\na",
    "a transfer encoding that is not chunked": POST + b"Transfer-Encoding: gzip\r\n\r\n",
    "a transfer encoding and then chunked": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked and then a transfer encoding": POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "chunked twice": POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "two transfer encodings": POST + b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a transfer encoding that looks like chunked": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a vertical tab before chunked": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "a quoted chunked": POST + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    "an empty transfer encoding": POST + b"Transfer-Encoding:\r\n\r\n0\r\n\r\n",
    "a space before the colon": POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "chunked in HTTP/1.0": b"POST / HTTP/1.0\r\nHost: gateway\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a folded header": HEAD + b"X: a\r\n b\r\n\r\n",
    "a header folded with a tab": HEAD + b"X: a\r\n\tb\r\n\r\n",
    "a folded transfer encoding": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "a first header that is folded": b"GET / HTTP/1.1\r\n Host: gateway\r\n\r\n",
    "a header without a name": HEAD + b": a\r\n\r\n",
    "a header without a colon": HEAD + b"X\r\n\r\n",
    "a space in the name of a header": HEAD + b"X y: a\r\n\r\n",
    "a NUL in the name of a header": HEAD + b"X\0y: a\r\n\r\n",
    "a brace in the name of a header": HEAD + b"X{y: a\r\n\r\n",
    "a byte beyond ASCII in the name of a header": HEAD + b"X\xffy: a\r\n\r\n",
    "a NUL in a header": HEAD + b"X: a\0b\r\n\r\n",
    "a control character in a header": HEAD + b"X: a\x01b\r\n\r\n",
    "an absolute target": b"GET http://other/ HTTP/1.1\r\nHost: gateway\r\n\r\n",
    "a target of all": b"OPTIONS * HTTP/1.1\r\nHost: gateway\r\n\r\n",
    "a target that is an authority": b"CONNECT other:80 HTTP/1.1\r\nHost: gateway\r\n\r\n",
    "a connection to a path": b"CONNECT / HTTP/1.1\r\nHost: gateway\r\n\r\n",
    "a control character in the target": b"GET /\x01 HTTP/1.1\r\nHost: gateway\r\n\r\n",
    "a byte beyond ASCII in the target": b"GET /\xff HTTP/1.1\r\nHost: gateway\r\n\r\n",
    "a tab before the target": b"GET\t/ HTTP/1.1\r\nHost: gateway\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": HEAD + b"Host: other\r\n\r\n",
    "two hosts in HTTP/1.0": b"GET / HTTP/1.0\r\nHost: gateway\r\nHost: other\r\n\r\n",
    "no version": b"GET /\r\n\r\n",
    "a version that is not there": b"GET / HTTP/1.2\r\nHost: gateway\r\n\r\n",
    "the beginning of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "the beginning of TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
}

# Bodies that end in a way that is not clear: the request has begun by then, but nothing comes of it.
AMBIGUOUS_BODIES = {
    "a bare line feed behind a chunk size": b"1\na\r\n0\r\n\r\n",
    "a bare line feed behind a chunk": b"1\r\na\n0\r\n\r\n",
    "a bare line feed behind the last chunk": b"1\r\na\r\n0\n\n",
    "a bare line feed in a chunk extension": b"1;a\nb\r\na\r\n0\r\n\r\n",
    "nothing behind a chunk": b"1\r\na0\r\n\r\n",
    "a space behind a chunk size": b"1 \r\na\r\n0\r\n\r\n",
    "a prefix of a chunk size": b"0x1\r\na\r\n0\r\n\r\n",
    "a negative chunk size": b"-1\r\na\r\n0\r\n\r\n",
    "a chunk size beyond all numbers": b"fffffffffffffffff\r\na\r\n0\r\n\r\n",
    "no chunk size": b"\r\n0\r\n\r\n",
    "a content length behind the body": b"1\r\na\r\n0\r\nContent-Length: 5\r\n\r\n",
}


@pytest.mark.parametrize("name", AMBIGUOUS)
async def test_a_request_that_can_be_read_in_two_ways_is_refused(name: str) -> None:
    async with serving() as server:
        smuggled = get(b"/smuggled")
        assert_refused(await server.exchange(AMBIGUOUS[name] + smuggled), 400)
        assert server.asked == []


@pytest.mark.parametrize("name", AMBIGUOUS)
async def test_it_is_refused_byte_by_byte_as_well(name: str) -> None:
    async with serving() as server:
        client = await server.client()
        for byte in AMBIGUOUS[name]:
            client.writer.write(bytes([byte]))
            await asyncio.sleep(0)
        assert_refused(await client.read_to_end(), 400)
        assert server.asked == []


@pytest.mark.parametrize("name", AMBIGUOUS_BODIES)
async def test_a_body_whose_end_is_not_clear_is_refused(name: str) -> None:
    async with serving() as server:
        assert_refused(await server.exchange(CHUNKED + AMBIGUOUS_BODIES[name] + get(b"/smuggled")), 400)
        assert server.asked == ["/", "disconnected"]


@pytest.mark.parametrize(
    ("request_bytes", "expected"),
    [
        (get(b"/a?b?c", CLOSE), b"GET /a 0"),
        (get(b"//a", CLOSE), b"GET //a 0"),
        (b"\r\n" + get(b"/", CLOSE), b"GET / 0"),
        (b"GET / HTTP/1.0\r\n\r\n", b"GET / 0"),
        (b"GET / HTTP/1.0\r\nHost: gateway\r\n\r\n", b"GET / 0"),
        (POST + CLOSE + b"\r\nContent-Length: 3\r\n\r\nabc", b"POST / 3"),
        (POST + CLOSE + b"\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", b"POST / 3"),
        (POST + CLOSE + b"\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\n\r\n", b"POST / 3"),
        (get(b"/", CLOSE, b"Transfer_Encoding: chunked", b"X-Y!#$: \xc3\xa4"), b"GET / 0"),
    ],
)
async def test_what_real_clients_send_is_taken(request_bytes: bytes, expected: bytes) -> None:
    async with serving() as server:
        answer = await server.exchange(request_bytes)
        assert (status(answer), answer.rpartition(b"\r\n\r\n")[2]) == (200, expected)


async def test_headers_behind_a_body_are_no_headers_of_the_request() -> None:
    headers: list[str] = []

    async def note_headers(request: Request) -> Response:
        await request.body()
        headers.extend(request.headers.keys())
        return Response()

    async with serving(answer=note_headers) as server:
        client = await server.client()
        await client.send(CHUNKED + b"1\r\na\r\n0\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n" + get())
        assert [status(await client.answer()) for _ in range(2)] == [200, 200]
        assert "x-forwarded-for" not in headers


async def test_endless_headers_behind_a_body_are_refused() -> None:
    async with serving() as server:
        client = await server.client()
        await client.send(CHUNKED + b"1\r\na\r\n0\r\nX: ")
        for _ in range(12):
            await client.send(b"a" * 50_000)
        assert_refused(await client.read_to_end(), 400)


async def test_a_connection_serves_one_request_after_another() -> None:
    async with serving() as server:
        client = await server.client()
        for number in range(5):
            await client.send(get(b"/%d" % number))
            assert (await client.answer()).endswith(b"GET /%d 0" % number)
        assert server.state.total_requests == 5


async def test_requests_sent_at_once_are_answered_in_their_order() -> None:
    async with serving() as server:
        client = await server.client()
        await client.send(
            get(b"/1") + POST + b"Content-Length: 3\r\n\r\nabc" + CHUNKED + b"4\r\nabcd\r\n0\r\n\r\n" + get(b"/4", CLOSE)
        )
        answers = [(await client.answer()).rpartition(b"\r\n\r\n")[2] for _ in range(4)]
        assert answers == [b"GET /1 0", b"POST / 3", b"POST / 4", b"GET /4 0"]
        assert await client.read_to_end() == b""


async def test_more_requests_at_once_than_allowed_close_the_connection_behind_those_that_are() -> None:
    async with serving(ConnectionLimits(pipelined=3)) as server:
        answers = await server.exchange(b"".join(get(b"/%d" % number) for number in range(20)))
        assert answers.count(b"HTTP/1.1 200 OK") == 4
        assert server.asked == ["/0", "/1", "/2", "/3"]


async def test_nonsense_behind_a_request_does_not_take_its_answer_away() -> None:
    async with serving() as server:
        answer = await server.exchange(get(b"/good") + b"nonsense\r\n\r\n")
        assert answer.endswith(b"GET /good 0")
        assert answer.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
async def test_an_offer_to_upgrade_is_answered_as_if_it_had_not_been_made(version: bytes) -> None:
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    async with serving() as server:
        answer = await server.exchange(
            b"POST /1 HTTP/" + version + b"\r\nHost: gateway\r\n" + offer + b"Content-Length: 5\r\n\r\nab",
            b"cde" + (get(b"/2", CLOSE) if version == b"1.1" else b""),
        )
        assert b"POST /1 5" in answer
        assert server.asked == (["/1", "/2"] if version == b"1.1" else ["/1"])


async def test_offers_to_upgrade_one_behind_the_other_are_all_answered() -> None:
    offer = (b"Connection: Upgrade", b"Upgrade: websocket")
    async with serving() as server:
        answers = await server.exchange(get(b"/1", *offer) + get(b"/2", *offer) + get(b"/3", CLOSE))
        assert answers.count(b"HTTP/1.1 200 OK") == 3


LIMITS = ConnectionLimits(target_bytes=1000, headers=10, header_bytes=2000, body_bytes=5000)


@pytest.mark.parametrize(
    ("request_bytes", "expected"),
    [
        (get(b"/" + b"a" * 999, CLOSE), 200),
        (get(b"/" + b"a" * 1000, CLOSE), 414),
        (get(b"/?" + b"a" * 300_000, CLOSE), 414),
        (get(b"/", CLOSE, *[b"X: y"] * 8), 200),
        (get(b"/", CLOSE, *[b"X: y"] * 9), 431),
        (get(b"/", CLOSE, b"X: " + b"a" * 1900), 200),
        (get(b"/", CLOSE, b"X: " + b"a" * 2000), 431),
        (get(b"/", CLOSE, b"X" * 1000 + b": " + b"a" * 1000), 431),
        (get(b"/", CLOSE, b"X: " + b"a" * 300_000), 431),
        (POST + CLOSE + b"\r\nContent-Length: 5000\r\n\r\n" + b"a" * 5000, 200),
        (POST + CLOSE + b"\r\nContent-Length: 5001\r\n\r\n", 413),
        (POST + CLOSE + b"\r\nTransfer-Encoding: chunked\r\n\r\n1388\r\n" + b"a" * 5000 + b"\r\n0\r\n\r\n", 200),
        (POST + CLOSE + b"\r\nTransfer-Encoding: chunked\r\n\r\n1389\r\n" + b"a" * 5001 + b"\r\n0\r\n\r\n", 413),
        (POST + CLOSE + b"\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 5000 + b"0\r\n\r\n", 200),
    ],
)
async def test_a_request_may_be_so_large_and_no_larger(request_bytes: bytes, expected: int) -> None:
    async with serving(LIMITS) as server:
        answer = await server.exchange(request_bytes)
        assert status(answer) == expected
        if expected != 200:
            assert_refused(answer, expected)


async def test_a_request_after_a_large_one_has_its_own_limits() -> None:
    async with serving(LIMITS) as server:
        client = await server.client()
        for _ in range(3):
            await client.send(POST + b"Content-Length: 5000\r\n\r\n" + b"a" * 5000)
            await client.answer()
            await client.send(get(b"/" + b"a" * 900, b"X: " + b"a" * 1900))
            assert status(await client.answer()) == 200


@pytest.mark.parametrize(
    ("start", "more", "expected"),
    [(b"GET /", b"a" * 10_000, 414), (HEAD + b"X: ", b"a" * 10_000, 431), (HEAD, b"X: y\r\n" * 1000, 431)],
)
async def test_a_head_without_an_end_is_refused(start: bytes, more: bytes, expected: int) -> None:
    async with serving(LIMITS) as server:
        client = await server.client()
        await client.send(start)
        for _ in range(40):
            await client.send(more)
        assert_refused(await client.read_to_end(), expected)


async def test_a_body_that_grows_too_large_ends_the_request_that_waits_for_it() -> None:
    async with serving(LIMITS) as server:
        client = await server.client()
        await client.send(CHUNKED + b"10\r\n" + b"a" * 16 + b"\r\n")
        while not server.asked:
            await asyncio.sleep(0.01)
        await client.send(b"2000\r\n" + b"a" * 8192)
        assert_refused(await client.read_to_end(), 413)
        assert server.asked == ["/", "disconnected"]


SLOW = ConnectionLimits(head_seconds=0.4, body_seconds=0.4, body_rate=1000, stalled_seconds=0.4)


async def test_a_connection_on_which_nothing_comes_is_closed_without_a_word() -> None:
    async with serving(SLOW) as server:
        began = time.monotonic()
        assert await server.exchange() == b""
        assert time.monotonic() - began >= 0.39


async def test_empty_lines_do_not_keep_a_connection_open() -> None:
    async with serving(SLOW) as server:
        client = await server.client()
        await client.send(get())
        await client.answer()
        assert await drip(client, b"\r\n") == b""


@pytest.mark.parametrize("start", [b"GET /", b"GET / HTTP/1.1\r\nHost: ga", POST + b"Content-Length: 10\r\n\r\n", CHUNKED])
async def test_a_request_that_drips_is_refused_and_closed(start: bytes) -> None:
    drop = b"1\r\na\r\n" if start == CHUNKED else b"P"
    async with serving(SLOW) as server:
        client = await server.client()
        await client.send(start)
        began = time.monotonic()
        assert_refused(await drip(client, drop), 408)
        assert 0.3 <= time.monotonic() - began < 5


async def drip(client: RawClient, drop: bytes) -> bytes:
    """Sends a drop now and then until the server has enough of it. Returns what came back."""
    reading = asyncio.create_task(client.read_to_end())
    while not reading.done():
        with suppress(ConnectionError):
            await client.send(drop)
        await asyncio.wait({reading}, timeout=0.1)
    return await reading


@pytest.mark.parametrize("is_sent_at_once", [True, False])
async def test_a_request_after_another_may_take_no_longer_than_the_first(*, is_sent_at_once: bool) -> None:
    async with serving(SLOW, kept_alive=60) as server:
        client = await server.client()
        await client.send(get() + (b"GET /" if is_sent_at_once else b""))
        await client.answer()
        if not is_sent_at_once:
            await client.send(b"GET /")
        assert_refused(await client.read_to_end(), 408)


async def test_a_large_body_may_take_longer() -> None:
    async with serving(SLOW) as server:
        client = await server.client()
        await client.send(POST + CLOSE + b"\r\nContent-Length: 1500\r\n\r\n")
        for _ in range(15):
            await client.send(b"a" * 100)
            await asyncio.sleep(0.06)
        assert (await client.read_to_end()).endswith(b"POST / 1500")


async def test_the_time_for_a_request_is_not_the_time_for_its_answer() -> None:
    async def answer_late(_request: Request) -> Response:
        await asyncio.sleep(1.0)
        return Response()

    async with serving(SLOW, answer_late) as server:
        client = await server.client()
        await client.send(get() + get() + b"GET / HT")
        await asyncio.sleep(0.1)
        # While two requests wait, nothing is read. This is there in time all the same.
        await client.send(b"TP/1.1\r\nHost: gateway\r\n\r\n")
        assert [status(await client.answer()) for _ in range(3)] == [200, 200, 200]


async def test_the_rest_of_a_body_that_nobody_reads_does_not_keep_a_connection_open() -> None:
    async def refuse(_request: Request) -> Response:
        return Response("no")

    async with serving(SLOW, refuse) as server:
        client = await server.client()
        await client.send(POST + b"Content-Length: 5000000\r\n\r\na")
        assert status(await client.answer()) == 200
        assert await drip(client, b"a" * 1000) == b""


async def test_a_body_that_nobody_read_does_not_spoil_the_next_request() -> None:
    async def refuse(_request: Request) -> Response:
        return Response("no")

    async with serving(answer=refuse) as server:
        client = await server.client()
        await client.send(POST + b"Content-Length: 500000\r\n\r\n" + b"a" * 500_000 + get(b"/2"))
        assert [status(await client.answer()) for _ in range(2)] == [200, 200]
        assert server.asked == ["/", "/2"]


async def test_an_idle_connection_is_closed_without_a_word() -> None:
    async with serving(SLOW) as server:
        client = await server.client()
        await client.send(get())
        await client.answer()
        began = time.monotonic()
        assert await client.read_to_end() == b""
        assert time.monotonic() - began >= KEPT_ALIVE - 0.05


async def test_a_client_that_does_not_take_its_answer_is_left() -> None:
    async def much() -> AsyncIterator[bytes]:
        for _ in range(300):
            yield bytes(100_000)

    async def answer_much(_request: Request) -> Response:
        return StreamingResponse(much())

    async with serving(SLOW, answer_much) as server:
        client = await server.client()
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await client.send(get())
        async with asyncio.timeout(DEADLINE):
            while not server.asked or server.state.connections or server.state.tasks:
                await asyncio.sleep(0.02)


@pytest.mark.parametrize("header", [CLOSE, b"Connection: keep-alive"])
async def test_a_client_that_leaves_the_last_bytes_of_its_answer_is_left(header: bytes) -> None:
    async def answer_some(_request: Request) -> Response:
        return Response(bytes(50_000))

    async with serving(SLOW, answer_some, send_buffer=4096) as server:
        client = await server.client(receive_buffer=4096)
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await client.send(get(b"/", header))
        async with asyncio.timeout(DEADLINE):
            while not server.state.total_requests or server.state.connections:
                await asyncio.sleep(0.02)


async def test_connections_beyond_the_limit_of_the_process_are_turned_away_until_one_closes() -> None:
    async with serving(ConnectionLimits(connections=2)) as server:
        await turns_away_beyond_two(server)


async def test_connections_of_one_address_beyond_its_limit_are_turned_away_until_one_closes() -> None:
    async with serving(ConnectionLimits(connections_per_address=2)) as server:
        await turns_away_beyond_two(server)


async def turns_away_beyond_two(server: Server) -> None:
    first, _second = [await answered(server) for _ in range(2)]
    refused = await server.exchange()
    assert_refused(refused, 503)
    assert b"retry-after: 2" in refused
    first.close()
    async with asyncio.timeout(DEADLINE):
        while len(server.state.connections) > 1:
            await asyncio.sleep(0.01)
    await answered(server)


async def answered(server: Server) -> RawClient:
    client = await server.client()
    await client.send(get())
    assert status(await client.answer()) == 200
    return client


@pytest.mark.parametrize(
    ("address", "trusted", "admitted"),
    [("192.0.2.1", "", 3), ("192.0.2.1", "192.0.2.1", 5), ("127.0.0.1", "", 5), ("::1", "", 5), ("2001:db8::1", "", 3)],
)
def test_this_machine_and_trusted_proxies_may_hold_any_number(address: str, trusted: str, admitted: int) -> None:
    opened = OpenConnections(per_address=3, speaks_for_others=this_machine_and(lambda asked: asked == trusted))
    assert sum(opened.enter(address) for _ in range(5)) == admitted


def test_the_addresses_of_one_household_share_its_connections() -> None:
    opened = OpenConnections(per_address=3, speaks_for_others=lambda _address: False)
    assert [opened.enter(f"2001:db8::{number}") for number in range(4)] == [True, True, True, False]
    assert opened.enter("2001:db8:0:1::1")
    opened.leave("2001:db8::2")
    assert opened.enter("2001:db8::9")
