"""The database goes away and comes back: known meetings work on, creates say so at once, and nobody has to restart anything."""

import asyncio
import time
from pathlib import Path

import pytest

from meetingpool.database import migrate
from meetingpool.database.embedded import acquire_embedded
from tests.pool import key_of, running_pool, succeeded


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


async def test_known_meetings_work_while_the_database_is_stopped(data_dir: Path) -> None:
    embedded = await asyncio.to_thread(acquire_embedded, data_dir, durable=False)
    await migrate.upgrade(embedded.url)
    async with running_pool(embedded.url) as pool:
        front_end = await pool.front_end()
        created = await front_end.create("class")
        await asyncio.to_thread(embedded.release)
        assert succeeded(await front_end.ask("getMeetingInfo", meetingID="class"))
        assert succeeded(await front_end.ask("isMeetingRunning", meetingID="class"))
        assert (await front_end.get("join", meetingID="class", fullName="A", role="VIEWER")).status_code == 302
        assert len(list((await front_end.ask("getMeetings")).iter("meeting"))) == 1
        began = time.monotonic()
        answer = await front_end.create("new")
        assert (key_of(answer), time.monotonic() - began < 2.0) == ("internalError", True)
        assert answer.findtext("message") == "The service is busy; please try again in a moment."
        assert pool.holders("new") == []
        assert key_of(await front_end.ask("join", meetingID="other", fullName="A", role="VIEWER")) == "internalError"
        password = created.findtext("moderatorPW") or ""
        assert succeeded(await front_end.ask("end", meetingID="class", password=password))
        embedded = await asyncio.to_thread(acquire_embedded, data_dir, durable=False)
        try:
            async with asyncio.timeout(5):
                while not front_end.gateway.view.pool.is_current:
                    await asyncio.sleep(0.05)
            assert succeeded(await front_end.create("new"))
        finally:
            await pool.database.close()
            await front_end.gateway.database.close()
    await asyncio.to_thread(embedded.release)
