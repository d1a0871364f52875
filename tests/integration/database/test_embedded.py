"""The embedded PostgreSQL: started by the first who needs it, stopped by the last, found again after a crash."""

import os
import signal
from pathlib import Path

import asyncpg
import pytest

from meetingpool.database.embedded import acquire_embedded


async def answer(url: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        return int(await connection.fetchval("SELECT 42"))
    finally:
        await connection.close()


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "a directory with a rather long name, blanks and a quote's sign, so that the socket goes elsewhere"


async def test_the_last_of_several_users_stops_it(data_dir: Path) -> None:
    first = acquire_embedded(data_dir, durable=False)
    second = acquire_embedded(data_dir, durable=False)
    assert first.url == second.url
    first.release()
    assert await answer(second.url) == 42
    second.release()
    with pytest.raises(OSError, match=r"."):
        await answer(second.url)


async def test_what_was_written_is_there_again(tmp_path: Path) -> None:
    embedded = acquire_embedded(tmp_path, durable=False)
    connection = await asyncpg.connect(embedded.url)
    await connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    await connection.close()
    embedded.release()
    embedded = acquire_embedded(tmp_path, durable=False)
    connection = await asyncpg.connect(embedded.url)
    assert await connection.fetchval("SELECT number FROM kept") == 7
    await connection.close()
    embedded.release()


async def test_a_server_that_was_killed_is_started_again(tmp_path: Path) -> None:
    killed = acquire_embedded(tmp_path)
    pid = int((tmp_path / "postgres" / "postmaster.pid").read_text().splitlines()[0])
    os.kill(pid, signal.SIGKILL)
    embedded = acquire_embedded(tmp_path)
    assert await answer(embedded.url) == 42
    embedded.release()
    killed.release()


async def test_nobody_else_may_use_it(tmp_path: Path) -> None:
    embedded = acquire_embedded(tmp_path, durable=False)
    assert (tmp_path / "postgres").stat().st_mode & 0o077 == 0
    assert "listen_addresses = ''" in (tmp_path / "postgres" / "postgresql.conf").read_text()
    embedded.release()
