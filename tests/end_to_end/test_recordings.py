"""Recordings all the way: from a spool directory and from a front end's meeting to somebody who watches, with real processes."""

import asyncio
import json
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import asyncpg
import httpx
import pytest
from lxml import etree

from meetingpool.bbb.client import signed_url
from meetingpool.database.engine import plain_url
from meetingpool.library.uploads import UPLOADS
from meetingpool.operations.import_recording import CLAIMED
from tests.archives import deliver, metadata_xml, record_id_of, recording_archive
from tests.end_to_end.commands import are_gone, command, free_port, started, until
from tests.integration.simulator.receiving import Delivered, Receiver
from tests.unit.simulator.test_outward_calls import verified_payload

SECRET = "the-secret-of-the-front-end"
VIDEO = bytes(range(256)) * 400
# Enough for a signal to come in the middle of its import.
LARGE = 500_000_000
PROMPT = {"RECORDING_IMPORT_POLL_INTERVAL": "1", "MEETINGPOOL_RECORDING_SETTLE_TIME": "0.2"}


@dataclass(frozen=True)
class Installation:
    """Meetingpool with one server, which delivers to `spool`. `environment` is what its commands need."""

    origin: str
    spool: Path
    environment: dict[str, str]

    def url(self, call: str, **parameters: str) -> str:
        return signed_url(f"{self.origin}/bigbluebutton/api", SECRET, call, parameters.items())

    def call(self, call: str, **parameters: str) -> etree._Element:
        return etree.fromstring(self.get(self.url(call, **parameters)).content)

    def get(self, url: str, **headers: str) -> httpx.Response:
        return httpx.get(url, trust_env=False, timeout=10, headers=headers)

    def recordings(self, **parameters: str) -> dict[str, list[str]]:
        """The addresses of recordings that front ends are told, by their ids."""
        found = self.call("getRecordings", **parameters).iterfind("recordings/recording")
        return {
            each.findtext("recordID") or "": [url.text or "" for url in each.iterfind("playback/format/url")] for each in found
        }

    def meetingpool(self, *arguments: str) -> str:
        return command("recordings", *arguments, environment=self.environment)

    def listed(self, record_id: str) -> dict[str, Any]:
        [found] = [each for each in json.loads(self.meetingpool("list", "--format", "json")) if each["record_id"] == record_id]
        return dict(found)


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    data_dir, port = tmp_path_factory.mktemp("recordings"), free_port()
    spool = data_dir / "recordings" / "spool"
    spool.mkdir(parents=True)
    environment = PROMPT | {
        "MEETINGPOOL_DATA_DIR": str(data_dir),
        "MEETINGPOOL_CALLBACK_ALLOW": "127.0.0.0/8",
        "PORT": str(port),
        "LOADBALANCER_SECRET": SECRET,
        "POLL_INTERVAL": "1",
    }
    installation = Installation(f"http://127.0.0.1:{port}", spool, environment)
    simulator = ["-m", "simulator", "--servers", "1", "--spool", str(spool), "--recording-delay", "0.3"]
    with (
        started("up", environment=environment),
        subprocess.Popen([sys.executable, *simulator], stdout=subprocess.PIPE, text=True) as servers,
    ):
        assert servers.stdout is not None
        try:
            server = json.loads(servers.stdout.readline())
            until(lambda: is_ready(installation), 30)
            command("servers", "add", server["url"], "--secret", server["secret"], "--enable", environment=environment)
            yield installation
        finally:
            servers.terminate()


def is_ready(installation: Installation) -> bool:
    try:
        return installation.get(f"{installation.origin}/readyz").is_success
    except httpx.TransportError:
        return False


def test_an_archive_in_the_spool_is_watched_hidden_and_brought_back(installation: Installation) -> None:
    record_id = record_id_of("lecture")
    deliver(installation.spool, record_id, recording_archive(record_id, ["video"], content=VIDEO, meeting_id="lecture"))
    until(lambda: installation.recordings(recordID=record_id), 20)

    listed = installation.listed(record_id)
    assert (listed["state"], listed["published"], listed["formats"]) == ("published", True, ["video"])
    assert list(installation.recordings(meetingID="lecture")) == [record_id]
    file = f"{installation.origin}/video/{record_id}/main.bin"
    assert installation.get(file).content == VIDEO
    piece = installation.get(file, range="bytes=1000-1999")
    assert (piece.status_code, piece.content) == (206, VIDEO[1000:2000])

    answer = installation.call("publishRecordings", recordID=record_id, publish="false")
    assert (answer.findtext("published"), installation.get(file).status_code) == ("false", 404)
    installation.call("deleteRecordings", recordID=record_id)
    assert installation.recordings(recordID=record_id) == {}
    installation.meetingpool("restore", record_id)
    assert installation.recordings(recordID=record_id, state="unpublished").keys() == {record_id}
    assert installation.get(file).status_code == 404
    installation.call("publishRecordings", recordID=record_id, publish="true")
    assert installation.get(file).content == VIDEO


async def test_a_front_end_that_is_told_of_a_recording_can_show_it(installation: Installation) -> None:
    async with Receiver.running() as receiver, httpx.AsyncClient(trust_env=False, timeout=10) as http:
        create = {"name": "Room", "record": "true", "autoStartRecording": "true", "moderatorPW": "m"}
        ready = {"meta_bbb-recording-ready-url": f"{receiver.origin}/recording_ready"}
        created = await http.get(installation.url("create", meetingID="greenlight-room", **create, **ready))
        record_id = etree.fromstring(created.content).findtext("internalMeetingID")
        await http.get(installation.url("end", meetingID="greenlight-room", password="m"))

        told = await next_call(receiver)
        answer = await http.get(installation.url("getRecordings", recordID=str(record_id)))

        (token,) = parse_qs(told.body.decode())["signed_parameters"]
        assert verified_payload(token, "sha256", SECRET) == {"meeting_id": "greenlight-room", "record_id": record_id}
        [recording] = etree.fromstring(answer.content).iterfind("recordings/recording")
        assert (recording.findtext("meetingID"), recording.findtext("state")) == ("greenlight-room", "published")
        urls = {each.findtext("type"): each.findtext("url") or "" for each in recording.iterfind("playback/format")}
        assert {"presentation", "podcast", "notes"} <= urls.keys()
        for name in ("podcast", "notes"):
            assert (await http.get(urls[name])).status_code == 200


async def next_call(receiver: Receiver) -> Delivered:
    """What a recording takes some seconds for."""
    async with asyncio.timeout(30):
        while receiver.is_idle:
            await asyncio.sleep(0.05)
    return await receiver.next()


@dataclass(frozen=True)
class Storage:
    """The directories of workers that share a database."""

    root: Path
    database_url: str

    @property
    def environment(self) -> dict[str, str]:
        return PROMPT | {"MEETINGPOOL_DATA_DIR": str(self.root), "MEETINGPOOL_DATABASE_URL": self.database_url}

    @property
    def spool(self) -> Path:
        return self.root / "recordings" / "spool"

    @property
    def published(self) -> set[str]:
        return {path.name for path in (self.root / "recordings" / "published" / "video").glob("*")}

    @property
    def archives(self) -> list[Path]:
        """What waits, what was claimed and what is on its way to that."""
        return [path for where in (".", CLAIMED, UPLOADS) for path in (self.spool / where).glob("*.tar")]

    def is_unpacking(self) -> bool:
        return any((self.root / "recordings" / "work" / "unpacking").glob("*/video/*/large.bin"))

    def imports(self) -> list[tuple[str, int]]:
        """State and number of tries of each archive."""

        async def ask() -> list[tuple[str, int]]:
            connection = await asyncpg.connect(plain_url(self.database_url))
            try:
                return [(row["state"], row["attempts"]) for row in await connection.fetch("SELECT * FROM imports ORDER BY id")]
            finally:
                await connection.close()

        return asyncio.run(ask())


@pytest.fixture
def storage(database_url: str, tmp_path: Path) -> Storage:
    storage = Storage(tmp_path / "data", database_url)
    storage.spool.mkdir(parents=True)
    return storage


def large_archive(path: Path, record_id: str) -> Path:
    """As large as it says, most of it a hole."""
    with path.open("wb") as file:
        for name, size, content in (
            ("metadata.xml", None, metadata_xml(record_id, "video")),
            ("large.bin", LARGE, b""),
        ):
            member = tarfile.TarInfo(f"video/{record_id}/{name}")
            member.size = size or len(content)
            file.write(member.tobuf() + content)
            file.seek(member.size - len(content) + -member.size % tarfile.BLOCKSIZE, 1)
        file.truncate(file.tell() + 2 * tarfile.BLOCKSIZE)
    return path


def test_a_large_import_that_is_stopped_twice_is_done_by_one_of_two_workers(storage: Storage, tmp_path: Path) -> None:
    large = record_id_of("large")
    archive = large_archive(tmp_path / "large.tar", large)

    interrupted(storage, archive)
    stopped(storage)
    assert len(storage.archives) == 1
    assert (storage.published, storage.imports()) == (set(), [("waiting", 0)])

    small = [record_id_of(f"room {number}") for number in range(8)]
    with ExitStack() as workers:
        both = [workers.enter_context(started("recordings", "run", environment=storage.environment)) for _ in range(2)]
        for record_id in small:
            deliver(storage.spool, record_id, recording_archive(record_id, ["video"]))
        until(lambda: storage.published == {large, *small} and not storage.archives, 30)
        assert [worker.stop(signal.SIGTERM, 30) for worker in both] == [0, 0]

    assert storage.imports() == [("done", 1)] * 9
    file = storage.root / "recordings" / "published" / "video" / large / "large.bin"
    assert file.stat().st_size == LARGE
    assert archive.exists()
    assert "Traceback" not in "\n".join(line for worker in both for line in worker.lines)


def interrupted(storage: Storage, archive: Path) -> None:
    """By Ctrl-C in the middle of an import."""
    with started("recordings", "import", str(archive), environment=storage.environment) as importing:
        until(storage.is_unpacking, 20, lambda: "\n".join(importing.lines))
        assert importing.stop(signal.SIGINT, 10) == 130
    assert importing.lines == ["large.tar is not imported yet: the recordings worker goes on with it"]


def stopped(storage: Storage) -> None:
    """By SIGTERM in the middle of what was interrupted."""
    with started("recordings", "run", environment=storage.environment) as worker:
        until(storage.is_unpacking, 20, lambda: "\n".join(worker.lines))
        family = worker.family()
        assert worker.stop(signal.SIGTERM, 30) == 0
    assert are_gone(family)
    assert not storage.is_unpacking()
