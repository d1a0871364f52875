"""What tests share: a real PostgreSQL whose schema is made once, and cloned for each test that asks for a database."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import make_url

from meetingpool.database import migrate
from meetingpool.database.embedded import acquire_embedded
from meetingpool.database.engine import Database, plain_url
from tests.pool import FrontEnd, RunningPool, running_pool


def _with_database(url: str, name: str) -> str:
    return make_url(url).set(database=name).render_as_string(hide_password=False)


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(plain_url(url))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def template_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database with the whole schema and nothing in it, to be cloned and never connected to."""
    embedded = acquire_embedded(Path(tmp_path_factory.mktemp("postgres")), durable=False)
    try:
        asyncio.run(migrate.upgrade(embedded.url))
        yield embedded.url
    finally:
        embedded.release()


@pytest.fixture
async def database_url(template_url: str) -> AsyncIterator[str]:
    """A database of the test's own."""
    name = f"test_{uuid.uuid4().hex}"
    maintenance = _with_database(template_url, "postgres")
    await _execute(maintenance, f"CREATE DATABASE {name} TEMPLATE {make_url(template_url).database}")
    yield _with_database(template_url, name)
    await _execute(maintenance, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, name="test", pool_size=5)
    yield database
    await database.close()


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[RunningPool]:
    """Three enabled servers, polled once."""
    async with running_pool(database_url) as pool:
        yield pool


@pytest.fixture
async def front_end(pool: RunningPool) -> FrontEnd:
    return await pool.front_end()
