"""getRecordings of more than fits into one piece: complete, whoever takes it slowly or leaves."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from lxml import etree
from starlette.types import ASGIApp, Message

from benchmarks.library import FIRST_BEGIN, fill_library
from gateway.state import MAX_LISTS
from meetingpool.database.engine import Database
from meetingpool.database.recording_queries import FIRST_PIECE_BYTES
from tests.pool import RunningPool, running_pool
from tests.wire import Request, exchange, signed_target

RECORDINGS, ROOMS = 3_000, 30


@pytest.fixture
async def library(database_url: str, database: Database) -> AsyncIterator[RunningPool]:
    connection = await database.acquire()
    try:
        await fill_library(connection, RECORDINGS, rooms=ROOMS)
    finally:
        await database.release(connection)
    async with running_pool(database_url, servers=0) as pool:
        yield pool


def asked(query: bytes = b"", method: str = "GET") -> Request:
    return Request(target=signed_target(b"getRecordings", query, b"front-end-secret"), method=method)


def begins(document: bytes) -> list[int]:
    return [int(element.text or "") - FIRST_BEGIN for element in etree.fromstring(document).iter("startTime")]


class Client:
    """Takes an answer message by message, when `takes` is set, and leaves when `leaves` is."""

    def __init__(self) -> None:
        self.takes, self.leaves, self.got = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.messages: list[Message] = []

    async def receive(self) -> Message:
        await self.leaves.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.messages.append(message)
        self.got.set()
        await self.takes.wait()

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages)

    def ask(self, app: ASGIApp, request: Request | None = None) -> "asyncio.Task[None]":
        async def run() -> None:
            await app((request or asked()).scope(), self.receive, self.send)

        return asyncio.create_task(run())


async def test_a_list_comes_in_pieces_and_a_room_in_one(library: RunningPool) -> None:
    gateway = (await library.front_end()).gateway
    client = Client()
    client.takes.set()
    await client.ask(library.application(gateway))
    pieces = [message["body"] for message in client.messages[1:]]
    assert begins(client.body) == list(range(RECORDINGS, 0, -1))
    assert len(pieces) > 4
    assert max(map(len, pieces)) < 1.2 * FIRST_PIECE_BYTES
    room = await exchange(library.application(gateway), asked(b"meetingID=room-3"))
    assert room.headers[b"content-length"] == str(len(room.body)).encode()
    assert begins(room.body) == list(range(2973, 0, -30))


async def test_whoever_takes_a_list_slowly_holds_no_connection(library: RunningPool) -> None:
    gateway = (await library.front_end()).gateway
    clients = [Client() for _ in range(15)]
    tasks = [client.ask(library.application(gateway)) for client in clients]
    await asyncio.gather(*(client.got.wait() for client in clients))
    # They are more than there are connections.
    assert gateway.database.checked_out == 0
    assert begins((await exchange(library.application(gateway), asked(b"meetingID=room-3"))).body)
    for client in clients:
        client.takes.set()
    await asyncio.gather(*tasks)
    assert all(begins(client.body) == list(range(RECORDINGS, 0, -1)) for client in clients)


async def test_what_is_new_meanwhile_shifts_nothing(library: RunningPool) -> None:
    gateway, client = (await library.front_end()).gateway, Client()
    task = client.ask(library.application(gateway))
    await client.got.wait()
    async with library.database.transaction() as connection:
        await connection.execute(
            "UPDATE recordings SET start_ms = start_ms + 10000 WHERE start_ms % 2 = 0 AND start_ms > $1", FIRST_BEGIN + 900
        )
        await connection.execute("DELETE FROM recordings WHERE start_ms = $1", FIRST_BEGIN + 500)
    client.takes.set()
    await task
    listed = begins(client.body)
    assert listed == sorted(set(listed), reverse=True)
    assert set(range(1, 901)) - {500} <= set(listed)


async def test_a_list_is_not_read_to_its_end_for_nobody(library: RunningPool) -> None:
    gateway, client = (await library.front_end()).gateway, Client()
    task = client.ask(library.application(gateway))
    await client.got.wait()
    client.leaves.set()
    client.takes.set()
    await task
    assert len(client.messages) < 3


async def test_a_head_of_a_list_is_all_that_is_asked_for(library: RunningPool) -> None:
    gateway = (await library.front_end()).gateway
    answer = await exchange(library.application(gateway), asked(method="HEAD"))
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers[b"content-type"] == b"text/xml;charset=utf-8"


async def test_more_lists_than_may_be_under_way_come_again_later(library: RunningPool) -> None:
    gateway = (await library.front_end()).gateway
    clients = [Client() for _ in range(MAX_LISTS)]
    tasks = [client.ask(library.application(gateway)) for client in clients]
    await asyncio.gather(*(client.got.wait() for client in clients))
    refused = await exchange(library.application(gateway), asked())
    assert refused.status == 503
    assert b"retry-after" in refused.headers
    assert (await exchange(library.application(gateway), asked(b"limit=10"))).status == 200
    for client in clients:
        client.takes.set()
    await asyncio.gather(*tasks)
    assert (await exchange(library.application(gateway), asked(method="HEAD"))).status == 200


async def test_a_page_of_long_descriptions_is_whole_too(library: RunningPool) -> None:
    async with library.database.transaction() as connection:
        long = "replace(convert_from(document, 'UTF8'), 'A room', repeat('x', 150000))"
        await connection.execute(f"UPDATE recordings SET document = convert_to({long}, 'UTF8') WHERE meeting_id = 'room-3'")  # noqa: S608
    gateway, client = (await library.front_end()).gateway, Client()
    client.takes.set()
    await client.ask(library.application(gateway), asked(b"meetingID=room-3&offset=5&limit=20"))
    assert len(client.messages) > 4
    assert begins(client.body) == list(range(2973 - 5 * 30, 2973 - 25 * 30, -30))
    assert etree.fromstring(client.body).findtext("pagination/totalElements") == "100"
