"""What tests share: a real PostgreSQL whose schema is made once, and cloned for each test that asks for a database."""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from meetingpool.database import migrate
from meetingpool.database.embedded import acquire_embedded
from meetingpool.database.engine import Database
from tests.databases import cloned_database
from tests.keys import KEYRING, SECRET_KEY
from tests.logs import Event, captured_logs
from tests.pool import FrontEnd, RunningPool, running_pool

# In memory where there is room: what is made to last on a disk, which is most of what is tested here, takes its time there.
_MEMORY = Path("/dev/shm")  # noqa: S108
_ROOM = 6 * 1024**3
if os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ROOM:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))

# For the processes and commands that tests start.
os.environ["MEETINGPOOL_SECRET_KEY"] = SECRET_KEY
# They inherit it where it is ignored, as in what a shell runs in the background, and could not be interrupted.
signal.signal(signal.SIGINT, signal.default_int_handler)


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
def logged() -> Iterator[list[Event]]:
    """The events that are logged during the test."""
    with captured_logs() as events:
        yield events


@pytest.fixture
async def database_url(template_url: str) -> AsyncIterator[str]:
    """A database of the test's own."""
    async with cloned_database(template_url) as url:
        yield url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, name="test", pool_size=5, keyring=KEYRING)
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
