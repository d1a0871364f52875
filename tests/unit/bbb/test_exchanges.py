"""What is sent and what comes back, on connections that are used again or given up at any moment: over real sockets."""

import asyncio
import random
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from threading import Thread

import pytest

from meetingpool.bbb.client import Body, Client
from meetingpool.bbb.errors import ConnectionLost, NothingSent, RequestRejected, ServerFailure
from tests.unit.bbb.web_servers import (
    SOON,
    Numbered,
    listening,
    open_files,
    read_head,
    reply_of,
    until_open_files_are,
)


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with Client(connect_timeout=SOON) as client:
        yield client


@pytest.fixture
async def numbered() -> Numbered:
    return Numbered()


@pytest.fixture
async def endpoint(numbered: Numbered) -> AsyncIterator[str]:
    async with listening(numbered.serve) as (endpoint, _):
        yield endpoint


async def test_head_says_what_is_needed_and_nothing_else(client: Client, numbered: Numbered, endpoint: str) -> None:
    authority = endpoint.split("/")[2]

    await client.get(f"{endpoint}getMeetings?a=1&b=%C3%A4#fragment", deadline=SOON)
    await client.get(f"http://{authority}", deadline=SOON)

    about_us = f"Host: {authority}\r\nUser-Agent: Meetingpool\r\nAccept-Encoding: identity\r\n\r\n".encode()
    assert numbered.requests == [
        b"GET /bigbluebutton/api/getMeetings?a=1&b=%C3%A4 HTTP/1.1\r\n" + about_us,
        b"GET / HTTP/1.1\r\n" + about_us,
    ]


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
async def test_ipv6_address_stands_in_brackets(client: Client, numbered: Numbered) -> None:
    async with listening(numbered.serve, host="::1") as (endpoint, _):
        assert await client.fetch(endpoint, deadline=SOON) == b"1"

    assert f"Host: {endpoint.split('/')[2]}\r\n".encode() in numbered.requests[0]


@pytest.mark.parametrize("bad", ["a\r\nX-Injected: 1", "a b", "a\nb", "ä", "\x00", "a\x7f"])
async def test_nothing_breaks_out_of_the_request_line(client: Client, numbered: Numbered, endpoint: str, bad: str) -> None:
    for url in (endpoint + bad, f"{endpoint}?meetingID={bad}"):
        with pytest.raises(NothingSent, match="not a URL") as failure:
            await client.get(url, deadline=SOON)
        assert bad not in str(failure.value)

    assert numbered.connections == 0


@pytest.mark.parametrize("bad", ["text/xml\r\nX-Injected: 1", "text/xml\n", "text/\x00xml"])
async def test_nothing_breaks_out_of_the_content_type(client: Client, numbered: Numbered, endpoint: str, bad: str) -> None:
    with pytest.raises(ValueError, match="content type"):
        await client.get(endpoint, deadline=SOON, body=Body(b"<a/>", bad))

    assert numbered.connections == 0


@pytest.mark.parametrize("size", [0, 10, 1_000_000])
async def test_body_of_any_size_arrives_whole(client: Client, size: int) -> None:
    content = random.Random(1).randbytes(size)
    received: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await read_head(reader):
            received.append(head)
            received.append(await reader.readexactly(size))
            writer.write(reply_of(b"ok"))

    async with listening(serve) as (endpoint, _):
        for _ in range(2):
            await client.get(endpoint, deadline=SOON, body=Body(content, "application/xml; charset=ü"))

    assert received[1::2] == [content, content]
    assert received[0].startswith(b"POST /bigbluebutton/api/ HTTP/1.1\r\n")
    assert f"\r\nContent-Type: application/xml; charset=ü\r\nContent-Length: {size}\r\n".encode("latin-1") in received[0]


@pytest.mark.parametrize("last_words", [b"", b"H", b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"])
async def test_idle_connection_that_ended_or_spoke_is_not_used_though_the_event_loop_has_not_noticed(
    client: Client, last_words: bytes
) -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def serve_one(*, keeps_open: bool) -> None:
        connection, _ = listener.accept()
        connection.recv(10_000)
        connection.sendall(reply_of(b"ok"))
        connection.sendall(last_words)
        if not keeps_open:
            connection.close()
        served.append(connection)

    served: list[socket.socket] = []
    with listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        for _ in range(2):
            # The reply and what follows it are written apart, but may well be read at once: all the same.
            server = Thread(target=serve_one, kwargs={"keeps_open": bool(last_words)})
            server.start()
            assert await client.fetch(url, deadline=SOON) == b"ok"
            server.join()
    for connection in served:
        connection.close()

    assert len(served) == 2


@pytest.mark.parametrize("surplus", [b"garbage", b"H", reply_of(b"another")])
async def test_connection_with_more_than_the_reply_is_not_used_again(client: Client, surplus: bytes) -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while await read_head(reader):
            writer.write(reply_of(b"ok") + surplus)

    async with listening(serve) as (endpoint, _):
        assert [await client.fetch(endpoint, deadline=SOON) for _ in range(3)] == [b"ok"] * 3

    assert connections == 3


@pytest.mark.parametrize("reply", [reply_of(b"ok", b"Connection: close"), reply_of(b"ok", version=b"1.0")])
async def test_connection_that_is_to_be_closed_is_closed(client: Client, reply: bytes) -> None:
    ended: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(reply)
        ended.append(await reader.read())

    async with listening(serve) as (endpoint, _):
        for _ in range(2):
            assert await client.fetch(endpoint, deadline=SOON) == b"ok"
        async with asyncio.timeout(SOON):
            while len(ended) < 2:
                await asyncio.sleep(0)

    assert ended == [b"", b""]


async def test_body_without_a_length_ends_with_the_connection(client: Client) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(3):
            writer.write(b"piece ")
            await writer.drain()
            await asyncio.sleep(0)

    async with listening(serve) as (endpoint, _):
        assert await client.fetch(endpoint, deadline=SOON) == b"piece piece piece "


async def test_body_without_a_length_that_is_reset_is_lost(client: Client) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nhalf of it")
        await writer.drain()
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    async with listening(serve) as (endpoint, _):
        with pytest.raises(ConnectionLost):
            await client.fetch(endpoint, deadline=SOON)


async def test_interim_replies_are_passed_over(client: Client) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await read_head(reader):
            for piece in (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", reply_of(b"ok")):
                writer.write(piece)
                await asyncio.sleep(0)

    async with listening(serve) as (endpoint, _):
        assert [await client.fetch(endpoint, deadline=SOON) for _ in range(2)] == [b"ok"] * 2


async def test_refusal_before_all_was_sent_is_told_and_the_connection_not_used_again(client: Client) -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await read_head(reader)
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        await reader.read()

    async with listening(serve) as (endpoint, _):
        for _ in range(2):
            with pytest.raises(RequestRejected, match="413"):
                await client.fetch(endpoint, deadline=SOON, body=Body(bytes(30_000_000), "application/xml"))

    assert connections == 2


async def test_cancelled_exchange_closes_its_connection(client: Client, numbered: Numbered, endpoint: str) -> None:
    numbered.may_reply.clear()
    cancelled = asyncio.create_task(client.get(endpoint, deadline=SOON))
    await numbered.until_asked(1)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    numbered.may_reply.set()

    assert await client.fetch(endpoint, deadline=SOON) == b"2"
    await numbered.until_closed(1)


async def test_client_that_is_closed_ends_what_is_under_way(numbered: Numbered, endpoint: str) -> None:
    numbered.may_reply.clear()
    async with Client() as client:
        asked = asyncio.create_task(client.get(endpoint, deadline=SOON))
        await numbered.until_asked(1)

    with pytest.raises(ConnectionLost):
        await asked
    with pytest.raises(NothingSent, match="client was closed"):
        await client.get(endpoint, deadline=SOON)
    numbered.may_reply.set()
    await numbered.until_closed(1)


async def test_request_without_time_is_not_sent(client: Client, numbered: Numbered, endpoint: str) -> None:
    for deadline in (0.0, -1.0):
        with pytest.raises(NothingSent):
            await client.get(endpoint, deadline=deadline)

    assert await client.fetch(endpoint, deadline=SOON) == b"1"
    assert len(numbered.requests) == 1


@pytest.mark.parametrize("seed", range(5))
async def test_whoever_gives_up_whenever_everybody_gets_his_own_reply(seed: int) -> None:
    rng = random.Random(seed)
    replied = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            path = (await read_head(reader)).split(b" ")[1]
            for _ in range(rng.randrange(4)):
                await asyncio.sleep(0)
            if rng.random() < 0.05:
                return
            reply = reply_of(path, *[b"Connection: close"] * (rng.random() < 0.05))
            cut = rng.randrange(len(reply))
            writer.write(reply[:cut])
            await asyncio.sleep(0)
            writer.write(reply[cut:])

    async def ask_and_maybe_leave(client: Client, url: str, number: int) -> None:
        nonlocal replied
        asked = asyncio.create_task(client.fetch(f"{url}{number}", deadline=SOON))
        if rng.random() < 0.4:
            for _ in range(rng.randrange(12)):
                await asyncio.sleep(0)
            asked.cancel()
        with suppress(asyncio.CancelledError, ServerFailure):
            assert await asked == f"/bigbluebutton/api/{number}".encode()
            replied += 1

    async with listening(serve) as (endpoint, _):
        before = open_files()
        async with Client(connect_timeout=SOON) as client:
            for start in range(0, 600, 150):
                await asyncio.gather(*(ask_and_maybe_leave(client, endpoint, start + number) for number in range(150)))
            assert replied > 200
        await until_open_files_are(before)
