"""A library of a hundred thousand recordings: what is asked for costs what is found, and a list of all of them little memory."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx
import pytest
from sqlalchemy import make_url

from benchmarks.cpu import memory_of
from benchmarks.library import FIRST_BEGIN, fill_library
from meetingpool.bbb.client import signed_url
from meetingpool.database.engine import Database, plain_url
from meetingpool.database.recording_queries import RecordingQuery, read_piece
from meetingpool.domain.meetings import DEFAULT_TENANT
from tests.databases import cloned_database, execute, with_database
from tests.end_to_end.processes import GatewayProcess, gateway_process
from tests.pool import SECRET

RECORDINGS, ROOMS = 100_000, 10_000
MOST_MORE_MEMORY = 20_000_000
# Of 8 kB each: so many come with any statement. The whole table has more than twenty thousand.
FEW_PAGES = 400


@pytest.fixture(scope="module")
def library_url(template_url: str) -> Iterator[str]:
    with asyncio.Runner() as runner:
        database = cloned_database(template_url)
        url = runner.run(database.__aenter__())
        try:
            runner.run(_fill(url))
            yield url
        finally:
            runner.run(database.__aexit__(None, None, None))


async def _fill(url: str) -> None:
    connection = await asyncpg.connect(plain_url(url))
    await fill_library(connection, RECORDINGS, rooms=ROOMS)
    await connection.close()


def address(gateway: GatewayProcess, *parameters: tuple[str, str]) -> str:
    return signed_url(gateway.endpoint, SECRET, "getRecordings", parameters)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"meeting_ids": ("room-17",)}, 10),
        ({"meeting_ids": tuple(f"room-{number}" for number in range(5))}, 50),
        ({"prefixes": ("a6e5",)}, None),
        ({"prefixes": tuple(f"{digits:04x}" for digits in range(25))}, None),
        ({"metadata": {"room": "room-17"}}, 10),
        ({"metadata": {"room": "room-17", "gl-listed": "true"}}, 0),
        ({"meeting_ids": ("nowhere",), "states": None}, 0),
    ],
)
async def test_a_filter_reads_what_it_finds(library_url: str, asked: dict[str, Any], found: int | None) -> None:
    database = Database(library_url, name="test", pool_size=1)
    try:
        query = RecordingQuery(tenant=DEFAULT_TENANT, **asked)
        # The driver keeps statements; after five uses PostgreSQL may plan one for any arguments.
        pieces = [await read_piece(database, query) for _ in range(7)]
        before = await _pages_read(database)
        piece = await read_piece(database, query)
        pages = await _pages_read(database) - before
    finally:
        await database.close()
    assert {each.recordings for each in pieces} == {piece.recordings}
    assert found is None or piece.recordings == found
    assert pages < FEW_PAGES + 20 * piece.recordings


async def _pages_read(database: Database) -> int:
    """How many blocks of the table and its indexes were looked at so far."""
    async with database.transaction() as connection:
        await connection.execute("SELECT pg_stat_force_next_flush()")
    row = await database.statement(
        "SELECT heap_blks_read + heap_blks_hit + idx_blks_read + idx_blks_hit AS pages "
        "FROM pg_statio_user_tables WHERE relname = 'recordings'"
    )
    assert row is not None
    return int(row["pages"])


async def test_all_recordings_are_listed_once_and_take_little_memory(library_url: str) -> None:
    async with gateway_process(library_url) as gateway, httpx.AsyncClient(timeout=60) as http:
        (await http.get(address(gateway, ("limit", "1")))).raise_for_status()
        before, most = memory_of(gateway.process.pid), 0
        begins: list[int] = []
        end = b""
        async with http.stream("GET", address(gateway)) as answer:
            assert "content-length" not in answer.headers
            async for chunk in answer.aiter_bytes():
                *documents, end = (end + chunk).split(b"</recording>")
                begins += [int(document.partition(b"<startTime>")[2][:13]) for document in documents]
                most = max(most, memory_of(gateway.process.pid))
        assert end == b"</recordings></response>"
        assert begins == list(range(FIRST_BEGIN + RECORDINGS, FIRST_BEGIN, -1))
        assert most - before < MOST_MORE_MEMORY


async def test_a_list_that_cannot_be_finished_does_not_look_finished(library_url: str) -> None:
    async with gateway_process(library_url) as gateway, httpx.AsyncClient(timeout=60) as http:
        async with http.stream("GET", address(gateway)) as answer:
            chunks = answer.aiter_bytes()
            assert (await anext(chunks)).startswith(b"<response><returncode>SUCCESS")
            async with closed_database(library_url):
                with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
                    await _read_to_the_end(chunks)
                refused = await http.get(address(gateway, ("limit", "1")))
        assert b"<messageKey>internalError</messageKey>" in refused.content
        assert await gateway.stop() == 0
        assert gateway.process.stderr is not None
        events = [json.loads(line)["event"] for line in (await gateway.process.stderr.read()).splitlines()]
        assert "answer_broken_off" in events


@asynccontextmanager
async def closed_database(url: str) -> AsyncIterator[None]:
    """Nobody is connected to the database meanwhile, and nobody can be."""
    maintenance, name = with_database(url, "postgres"), make_url(url).database
    await execute(maintenance, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
    try:
        await execute(maintenance, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")  # noqa: S608
        yield
    finally:
        await execute(maintenance, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')


async def _read_to_the_end(chunks: AsyncIterator[bytes]) -> None:
    async for _ in chunks:
        pass
