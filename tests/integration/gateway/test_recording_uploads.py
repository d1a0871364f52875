"""Archives that servers bring by HTTPS: in pieces, complete or not at all, by those who may."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from gateway.recording_uploads import KNOWN_SECONDS, MAX_OF_SERVER
from meetingpool.domain.servers import AdminState
from meetingpool.domain.uploads import upload_token
from meetingpool.library.uploads import UPLOADS, remove_given_up
from tests.archives import record_id_of, recording_archive
from tests.pool import FrontEnd, running_pool

RECORD_ID = record_id_of("room")
ARCHIVE = recording_archive(RECORD_ID)
DIGEST = sha256(ARCHIVE).hexdigest()
MORE_THAN_ANY_DISK = 10**14


@pytest.fixture
async def front_end(database_url: str, tmp_path: Path) -> AsyncIterator[FrontEnd]:
    async with running_pool(
        database_url, servers=2, recording_spool_dir=(tmp_path / "spool",), recording_max_bytes=MORE_THAN_ANY_DISK
    ) as pool:
        yield await pool.front_end()


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    directory = tmp_path / "spool"
    directory.mkdir()
    return directory


class Uploader:
    """A server that brings an archive."""

    def __init__(self, front_end: FrontEnd, token: str | None = None, digest: str = DIGEST, number: int = 0) -> None:
        gateway = front_end.gateway
        self._http = front_end.http
        server = list(gateway.view.pool.servers.values())[number]
        self.path = f"http://gateway/bigbluebutton/uploads/{server.id}/{RECORD_ID}/{digest}"
        token = upload_token(gateway.placer.callback_key, server) if token is None else token
        self._headers = {"authorization": f"Bearer {token}"} if token else {}

    async def ask(self) -> httpx.Response:
        return await self._http.head(self.path, headers=self._headers)

    async def bring(self, content: bytes | AsyncIterator[bytes], offset: int, length: int = len(ARCHIVE)) -> httpx.Response:
        headers = {**self._headers, "upload-offset": str(offset), "upload-length": str(length)}
        return await self._http.patch(self.path, headers=headers, content=content)


def claim(spool: Path) -> None:
    for path in spool.glob("*.tar"):
        path.unlink()


def archives_in(spool: Path) -> list[bytes]:
    """What the worker would find."""
    return [path.read_bytes() for path in sorted(spool.glob("*.tar"))]


async def test_an_archive_that_was_brought_in_pieces_is_in_the_spool(front_end: FrontEnd, spool: Path) -> None:
    uploader = Uploader(front_end)
    assert (await uploader.ask()).headers["upload-offset"] == "0"

    first = await uploader.bring(ARCHIVE[:1000], 0)
    assert (first.status_code, first.headers["upload-offset"]) == (204, "1000")
    assert list(spool.glob("*.tar")) == []
    assert (await uploader.ask()).headers["upload-offset"] == "1000"
    last = await uploader.bring(ARCHIVE[1000:], 1000)

    assert (last.status_code, last.headers["upload-complete"]) == (201, "?1")
    assert archives_in(spool) == [ARCHIVE]


async def test_who_missed_the_last_answer_hears_that_all_is_here(front_end: FrontEnd, spool: Path) -> None:
    uploader = Uploader(front_end)
    await uploader.bring(ARCHIVE, 0)
    claim(spool)

    asked, again = await uploader.ask(), await uploader.bring(ARCHIVE, 0)

    assert (asked.headers["upload-complete"], asked.headers["upload-offset"]) == ("?1", str(len(ARCHIVE)))
    assert again.status_code == 201
    assert list(spool.glob("*.tar")) == []


async def test_an_archive_is_taken_again_when_its_server_cannot_mean_the_same_delivery(front_end: FrontEnd, spool: Path) -> None:
    uploader = Uploader(front_end)
    await uploader.bring(ARCHIVE, 0)
    claim(spool)
    (done,) = (spool / UPLOADS).glob("*.done")
    os.utime(done, (0, time.time() - KNOWN_SECONDS))

    assert (await uploader.ask()).headers["upload-offset"] == "0"
    assert (await uploader.bring(ARCHIVE, 0)).status_code == 201
    assert archives_in(spool) == [ARCHIVE]


async def test_who_goes_on_at_the_wrong_place_is_told_the_right_one(front_end: FrontEnd, spool: Path) -> None:
    uploader = Uploader(front_end)
    await uploader.bring(ARCHIVE[:10], 0)
    for offset in (0, 9, 11):
        refused = await uploader.bring(ARCHIVE[offset:], offset)
        assert (refused.status_code, refused.headers["upload-offset"]) == (409, "10")
    assert list(spool.glob("*.tar")) == []


async def test_what_is_not_what_its_digest_says_begins_anew(front_end: FrontEnd, spool: Path) -> None:
    uploader = Uploader(front_end)
    assert (await uploader.bring(b"x" * len(ARCHIVE), 0)).status_code == 422
    assert (await uploader.ask()).headers["upload-offset"] == "0"
    assert (await uploader.bring(ARCHIVE, 0)).status_code == 201
    assert archives_in(spool) == [ARCHIVE]


@pytest.mark.parametrize("token", ["", "wrong", "0" * 64])
async def test_nobody_without_the_token_writes(front_end: FrontEnd, spool: Path, token: str) -> None:
    uploader = Uploader(front_end, token)
    assert (await uploader.bring(ARCHIVE, 0)).status_code == 401
    assert (await uploader.ask()).status_code == 401
    assert list(spool.iterdir()) == []


async def test_the_token_of_a_server_that_is_disabled_is_none(front_end: FrontEnd, spool: Path) -> None:
    server = next(iter(front_end.gateway.view.pool.servers.values()))
    front_end.gateway.view.pool.set_status(server.id, load=server.load, health=server.health, admin_state=AdminState.DISABLED)
    assert (await Uploader(front_end).bring(ARCHIVE, 0)).status_code == 401


@pytest.mark.parametrize("digest", ["0" * 63, "Z" * 64, "..%2F..%2Fx"])
async def test_an_address_that_is_none_is_refused(front_end: FrontEnd, spool: Path, digest: str) -> None:
    assert (await Uploader(front_end, digest=digest).bring(ARCHIVE, 0)).status_code in (400, 404)


async def test_more_than_was_announced_is_refused(front_end: FrontEnd, spool: Path) -> None:
    assert (await Uploader(front_end).bring(ARCHIVE, 0, length=len(ARCHIVE) - 1)).status_code == 413
    assert (await Uploader(front_end).bring(ARCHIVE, 0, length=MORE_THAN_ANY_DISK + 1)).status_code == 413


async def test_a_spool_that_is_not_mounted_takes_nothing(front_end: FrontEnd) -> None:
    assert (await Uploader(front_end).bring(ARCHIVE, 0)).status_code == 503


async def test_what_was_given_up_is_removed(front_end: FrontEnd, spool: Path) -> None:
    await Uploader(front_end).bring(ARCHIVE[:10], 0)
    assert remove_given_up(spool) == 0
    (part,) = (spool / UPLOADS).iterdir()
    os.utime(part, (0, 0))
    assert remove_given_up(spool) == 1


async def test_what_another_server_brought_waits_unchanged(front_end: FrontEnd, spool: Path) -> None:
    other = recording_archive(RECORD_ID, content=b"what another server says")
    first, second = Uploader(front_end), Uploader(front_end, digest=sha256(other).hexdigest(), number=1)
    assert (await first.bring(ARCHIVE, 0)).status_code == 201
    assert (await second.bring(other, 0, len(other))).status_code == 201
    assert sorted(archives_in(spool)) == sorted([ARCHIVE, other])


async def test_a_server_does_not_hear_what_another_brings(front_end: FrontEnd, spool: Path) -> None:
    await Uploader(front_end).bring(ARCHIVE[:10], 0)
    assert (await Uploader(front_end, number=1).ask()).headers["upload-offset"] == "0"


async def test_what_was_begun_of_an_earlier_archive_goes_when_the_next_one_comes(front_end: FrontEnd, spool: Path) -> None:
    await Uploader(front_end, digest="0" * 64).bring(b"x", 0, 2)
    await Uploader(front_end, digest="0" * 64, number=1).bring(b"x", 0, 2)
    await Uploader(front_end).bring(ARCHIVE[:10], 0)
    await Uploader(front_end).bring(ARCHIVE[10:20], 10)
    assert sorted(path.stat().st_size for path in (spool / UPLOADS).iterdir()) == [1, 20]


class SlowBody:
    """A body that has begun to come, and ends when it is let."""

    def __init__(self) -> None:
        self.has_begun = asyncio.Event()
        self.may_end = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"x"
        self.has_begun.set()
        await self.may_end.wait()


async def test_two_that_bring_the_same_archive_at_once_do_not_mix(front_end: FrontEnd, spool: Path) -> None:
    body = SlowBody()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(Uploader(front_end).bring(aiter(body), 0))
        await body.has_begun.wait()
        assert (await Uploader(front_end).bring(ARCHIVE, 0)).status_code == 423
        body.may_end.set()
    assert (first.result().status_code, first.result().headers["upload-offset"]) == (204, "1")


async def test_a_server_that_brings_much_at_once_leaves_room_for_others(front_end: FrontEnd, spool: Path) -> None:
    bodies = [SlowBody() for _ in range(MAX_OF_SERVER)]
    async with asyncio.TaskGroup() as group:
        for number, body in enumerate(bodies):
            group.create_task(Uploader(front_end, digest=f"{number:064x}").bring(aiter(body), 0))
            await body.has_begun.wait()
        one_more = await Uploader(front_end).bring(ARCHIVE, 0)
        assert (one_more.status_code, one_more.headers["retry-after"]) == (503, "30")
        assert (await Uploader(front_end, number=1).bring(ARCHIVE, 0)).status_code == 201
        for body in bodies:
            body.may_end.set()
    assert (await Uploader(front_end).bring(ARCHIVE, 0)).status_code == 201


async def test_an_archive_for_which_there_is_no_room_is_not_begun(front_end: FrontEnd, spool: Path) -> None:
    refused = await Uploader(front_end).bring(ARCHIVE, 0, MORE_THAN_ANY_DISK)
    assert (refused.status_code, refused.headers["retry-after"]) == (507, "30")
    assert list((spool / UPLOADS).iterdir()) == []


@pytest.mark.parametrize("suffix", ["", ".done"])
@pytest.mark.parametrize("plant", [lambda path: path.symlink_to("/etc/hostname"), os.mkfifo])
async def test_what_somebody_put_in_the_way_is_not_opened(
    front_end: FrontEnd, spool: Path, plant: Callable[[Path], None], suffix: str
) -> None:
    uploader = Uploader(front_end)
    await uploader.bring(ARCHIVE[:10], 0)
    (part,) = (spool / UPLOADS).iterdir()
    part.unlink()
    plant(part.with_name(part.name + suffix))
    assert (await uploader.bring(ARCHIVE, 0)).status_code in (409, 503)
    assert archives_in(spool) == []


async def test_uploads_that_lead_elsewhere_are_refused(front_end: FrontEnd, spool: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (spool / UPLOADS).symlink_to(tmp_path / "elsewhere")
    assert (await Uploader(front_end).bring(ARCHIVE, 0)).status_code == 503
    assert list((tmp_path / "elsewhere").iterdir()) == []
