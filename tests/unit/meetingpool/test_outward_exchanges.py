"""How the guarded client talks to those it may talk to: slow, huge, broken and false ones, and what of it may be told."""

import asyncio
import gzip
import logging
import ssl
import traceback
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from meetingpool.outward.client import MAX_REPLY_BYTES, Outward
from meetingpool.outward.errors import NotDelivered, OutwardFailure
from tests.unit.meetingpool.receivers import Answer, Receiver, new_authority, receiving, repeating, replying, say_nothing, saying
from tests.unit.meetingpool.sending import LOOPBACK, Names, post, reply_of, send

HEAD = b"HTTP/1.1 200 OK\r\n"
# A reply that never is complete must be given up; in seconds.
SHORT = 0.3


@pytest.fixture
async def canary() -> AsyncIterator[Receiver]:
    async with receiving() as canary:
        yield canary


@pytest.mark.parametrize(
    "status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"]
)
async def test_redirect_is_told_and_not_followed(status: str, canary: Receiver) -> None:
    names = Names()
    for location in ("http://169.254.169.254/latest/", f"http://127.0.0.1:{canary.port}/", "/elsewhere"):
        reply = await reply_of(replying(status=status, headers=f"Location: {location}\r\n"), resolve=names)
        assert reply.status == int(status[:3])

    assert (canary.connections, set(names.asked)) == (0, {"callback.example"})


async def test_each_request_has_a_connection_of_its_own() -> None:
    async with receiving() as receiver, Outward(allowed=LOOPBACK, resolve=Names()) as outward:
        for _ in range(2):
            await outward.send(post(f"http://callback.example:{receiver.port}/"))

    assert receiver.connections == 2


async def test_look_up_that_hangs_is_given_up() -> None:
    async def hang(host: str, port: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    with pytest.raises(NotDelivered, match="no complete reply within"):
        await send("http://callback.example/", resolve=hang, total_timeout=SHORT)


@pytest.mark.parametrize(
    "answer",
    [
        say_nothing,
        repeating(b"X: y\r\n", first=HEAD, pause=0.01),
        repeating(b"x", first=HEAD + b"Content-Length: 60000\r\n\r\n", pause=0.01),
        repeating(b"1\r\nx\r\n", first=HEAD + b"Transfer-Encoding: chunked\r\n\r\n", pause=0.01),
        repeating(b"HTTP/1.1 100 Continue\r\n\r\n", first=b"", pause=0.01),
    ],
    ids=["silence", "drips headers", "drips a body", "drips chunks", "drips provisional replies"],
)
async def test_slow_reply_is_given_up(answer: Answer) -> None:
    async with receiving(answer) as receiver:
        with pytest.raises(NotDelivered, match=r"no complete reply within 0\.3 s"):
            await send(f"http://callback.example:{receiver.port}/", total_timeout=SHORT)
        await asyncio.wait_for(receiver.hung_up.wait(), 5)


async def test_silence_instead_of_a_handshake_is_given_up() -> None:
    async with receiving(say_nothing) as receiver:
        with pytest.raises(NotDelivered, match=r"no complete reply within 0\.3 s"):
            await send(f"https://callback.example:{receiver.port}/", total_timeout=SHORT)
        await asyncio.wait_for(receiver.hung_up.wait(), 5)


async def test_handshake_is_part_of_the_connection() -> None:
    async with receiving(say_nothing) as receiver:
        with pytest.raises(NotDelivered, match=r"no connection: nothing answered within 0\.3 s"):
            await send(f"https://callback.example:{receiver.port}/", connect_timeout=SHORT)
        await asyncio.wait_for(receiver.hung_up.wait(), 5)


@pytest.mark.parametrize(
    "answer",
    [
        repeating(b"x" * 10_000, first=HEAD + b"\r\n"),
        repeating(b"x" * 10_000, first=HEAD + b"Content-Length: 1000000000000\r\n\r\n"),
        repeating(b"2710\r\n" + b"x" * 10_000 + b"\r\n", first=HEAD + b"Transfer-Encoding: chunked\r\n\r\n"),
    ],
    ids=["until it closes", "with a length", "in chunks"],
)
async def test_of_a_huge_reply_the_beginning_is_read(answer: Answer) -> None:
    async with receiving(answer) as receiver:
        reply = await send(f"http://callback.example:{receiver.port}/")
        await asyncio.wait_for(receiver.hung_up.wait(), 5)

    assert (reply.status, reply.body) == (200, b"x" * MAX_REPLY_BYTES)


async def test_endless_headers_are_not_read() -> None:
    with pytest.raises(NotDelivered, match="the connection broke"):
        await reply_of(repeating(b"X: " + b"y" * 10_000, first=HEAD))


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, gzip"])
async def test_compressed_reply_is_not_unpacked(encoding: str) -> None:
    bomb = gzip.compress(bytes(10_000_000))
    reply = await reply_of(replying(bomb, headers=f"Content-Encoding: {encoding}\r\n"))

    assert reply.body == bomb


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"HTTP/1.1 200",
        b"SSH-2.0-OpenSSH\r\n",
        b"\x00" * 100,
        HEAD + b"Content-Length: 10\r\n\r\nhalf",
        HEAD + b"Content-Length: x\r\n\r\n",
    ],
    ids=["nothing", "half a status line", "another protocol", "zeros", "half a body", "no length"],
)
async def test_what_is_not_a_whole_reply_may_be_tried_again(reply: bytes) -> None:
    with pytest.raises(NotDelivered, match="the connection broke"):
        await reply_of(saying(reply))


async def test_port_where_nobody_listens_may_be_tried_again() -> None:
    async with receiving() as receiver:
        pass
    with pytest.raises(NotDelivered, match="no connection: Connection refused"):
        await send(f"http://callback.example:{receiver.port}/")


async def test_certificate_is_checked_for_the_name_and_not_for_the_address(tmp_path: Path) -> None:
    authority = new_authority(tmp_path)
    asked_for: list[str | None] = []
    async with receiving(tls=authority.server("callback.example", asked_for=asked_for)) as receiver:
        reply = await send(f"https://callback.example:{receiver.port}/", tls=authority.client)

    assert (reply.status, asked_for) == (200, ["callback.example"])
    assert receiver.header("Host") == f"callback.example:{receiver.port}"


async def test_certificate_of_an_address_is_checked_for_the_address(tmp_path: Path) -> None:
    authority = new_authority(tmp_path)
    async with receiving(tls=authority.server("127.0.0.1")) as receiver:
        assert (await send(f"https://127.0.0.1:{receiver.port}/", tls=authority.client)).status == 200


@pytest.mark.parametrize(("name", "is_believed"), [("other.example", True), ("127.0.0.1", True), ("callback.example", False)])
async def test_server_with_a_wrong_certificate_gets_no_request(name: str, is_believed: bool, tmp_path: Path) -> None:
    authority = new_authority(tmp_path)
    tls = authority.client if is_believed else ssl.create_default_context()
    async with receiving(tls=authority.server(name)) as receiver:
        with pytest.raises(NotDelivered, match="the certificate is not believed"):
            await send(f"https://callback.example:{receiver.port}/", tls=tls)

    assert receiver.requests == []


REPLIED = b"reply-canary"
SECRETS = ("query-canary", "header-canary", "body-canary", "user-canary", "path-canary")


@pytest.mark.parametrize("answer", [replying(), saying(b""), say_nothing], ids=["answered", "closed", "silent"])
async def test_nothing_of_a_request_is_logged_or_told(answer: Answer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    told = ""
    async with receiving(answer) as receiver:
        for authority in (
            f"callback.example:{receiver.port}",
            f"user-canary@callback.example:{receiver.port}",
            "query-canary:1:2",
            "nothing.example",
        ):
            request = post(
                f"http://{authority}/path-canary?checksum=query-canary",
                headers=(("Authorization", "Bearer header-canary"),),
                body=b"body-canary",
            )
            told += repr(request)
            try:
                told += repr(await send(request, total_timeout=SHORT))
            except OutwardFailure:
                told += traceback.format_exc()

    assert [secret for secret in SECRETS if secret in told + caplog.text] == []


async def test_nothing_of_a_reply_is_told() -> None:
    with pytest.raises(NotDelivered) as failure:
        await reply_of(saying(REPLIED + b"\r\n\r\n"))

    assert REPLIED.decode() not in "".join(traceback.format_exception(failure.value))
    assert REPLIED.decode() not in repr(await reply_of(replying(REPLIED)))
