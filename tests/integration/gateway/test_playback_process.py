"""Long recordings from a gateway as the process it is: slow viewers take no places, little memory, and see the end."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import psutil  # type: ignore[import-untyped]
import pytest

from gateway.playback_files import CHUNK_BYTES
from gateway.playback_links import PlaybackLinks, playing
from meetingpool.clock import SystemClock
from meetingpool.database.engine import Database
from meetingpool.database.installation import callback_key
from meetingpool.settings import Settings
from tests.end_to_end.processes import GatewayProcess, gateway_process
from tests.recordings import planted_recording, storage_of

VIEWERS = 24
# More than all buffers on the way hold together.
SIZE = 24 * 1024 * 1024


@pytest.fixture
async def gateway(database_url: str, tmp_path: Path) -> AsyncIterator[GatewayProcess]:
    async with gateway_process(database_url, MEETINGPOOL_DATA_DIR=str(tmp_path), MEETINGPOOL_MAX_REQUESTS="2") as gateway:
        yield gateway


@pytest.fixture
async def path(database: Database, tmp_path: Path) -> str:
    """Of a long file, all of which is zeros."""
    storage = storage_of(Settings(data_dir=tmp_path))
    record_id = await planted_recording(database, storage, {"video": {"video-0.webm": b""}})
    with (storage.publish_dir / "video" / record_id / "video-0.webm").open("wb") as file:
        file.truncate(SIZE)
    return f"/video/{record_id}/video-0.webm"


async def watch(stack: AsyncExitStack, gateway: GatewayProcess, path: str) -> httpx.Response:
    """A viewer's answer, of which the viewer has read nothing but the head."""
    client = await stack.enter_async_context(httpx.AsyncClient(base_url=gateway.origin, timeout=30))
    return await stack.enter_async_context(client.stream("GET", path))


async def test_slow_viewers_take_neither_places_nor_much_memory(gateway: GatewayProcess, path: str) -> None:
    process = psutil.Process(gateway.process.pid)
    async with AsyncExitStack() as stack:
        await watch(stack, gateway, path)
        before = process.memory_info().rss
        viewers = [await watch(stack, gateway, path) for _ in range(VIEWERS)]
        assert {viewer.status_code for viewer in viewers} == {200}
        async with httpx.AsyncClient(base_url=gateway.origin) as front_end:
            for _ in range(10):
                assert (await front_end.get("/bigbluebutton/api")).status_code == 200
        # A chunk that is being sent and one that is read ahead, and what lies between: about four, where a file has 192.
        assert process.memory_info().rss - before < VIEWERS * 8 * CHUNK_BYTES
        digest = hashlib.sha256()
        async for part in viewers[0].aiter_raw():
            digest.update(part)
        assert digest.digest() == hashlib.sha256(bytes(SIZE)).digest()


async def test_a_viewer_sees_the_end_from_a_gateway_that_stops(gateway: GatewayProcess, path: str) -> None:
    async with AsyncExitStack() as stack:
        viewer = await watch(stack, gateway, path)
        stopping = asyncio.create_task(gateway.stop())
        length = 0
        async for part in viewer.aiter_raw():
            length += len(part)
        assert length == SIZE
    assert await stopping == 0


async def test_what_a_viewer_who_leaves_had_open_is_closed(gateway: GatewayProcess, path: str) -> None:
    process = psutil.Process(gateway.process.pid)
    name = path.rpartition("/")[2]

    def held() -> int:
        return sum(Path(file.path).name == name for file in process.open_files())

    async with AsyncExitStack() as stack:
        for _ in range(3):
            await watch(stack, gateway, path)
        assert held() == 3
    async with asyncio.timeout(10):
        while held():
            await asyncio.sleep(0.01)


async def test_one_that_becomes_shorter_while_it_is_sent_does_not_look_complete(
    gateway: GatewayProcess, path: str, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        viewer = await watch(stack, gateway, path)
        with next(tmp_path.rglob("video-0.webm")).open("r+b") as file:
            file.truncate(1000)
        with pytest.raises(httpx.RemoteProtocolError):
            async for _ in viewer.aiter_raw():
                pass


async def test_behind_a_proxy_that_speaks_https_passes_are_for_https(
    gateway: GatewayProcess, database: Database, tmp_path: Path
) -> None:
    record_id = await planted_recording(database, storage_of(Settings(data_dir=tmp_path)), {"video": {}}, is_protected=True)
    async with database.transaction() as connection:
        links = PlaybackLinks(await callback_key(connection), SystemClock())
    link = f"/recording/{record_id}/video?token={links.token_for(playing(record_id, 'video'), 60)}"
    async with httpx.AsyncClient(base_url=gateway.origin) as browser:
        opened = await browser.get(link, headers={"x-forwarded-proto": "https"})
    assert opened.headers["set-cookie"].startswith(f"__Secure-recording_video_{record_id}=")
    assert opened.headers["set-cookie"].endswith("; Secure; SameSite=None; Partitioned")
