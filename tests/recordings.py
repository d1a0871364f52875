"""Recordings for tests: rows and files as an import leaves them, without one; and a gateway that plays them."""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.parse import unquote

import httpx
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.app import create_app, open_gateway
from gateway.state import Gateway, Readiness
from meetingpool.bbb.recording_documents import render
from meetingpool.clock import Clock, SystemClock
from meetingpool.database.engine import Database, assignments
from meetingpool.database.recordings import Arrival, Entry, insert_entry, place_arrival, put_arrival, write_entry
from meetingpool.domain.meetings import DEFAULT_TENANT
from meetingpool.domain.recordings import LOCATION_OF, Location, PlaybackFormat, RecordId, Recording, RecordingState
from meetingpool.library.manifest import Entry as EntryOfManifest
from meetingpool.library.manifest import Manifest
from meetingpool.library.storage import Storage
from meetingpool.settings import Settings
from tests.keys import SECRET_KEY

# Of each format: the link that BBB writes, with the record id to be filled in.
LINKS = {
    "presentation": "/playback/presentation/2.3/{}",
    "video": "/playback/video/{}/",
    "screenshare": "/recording/screenshare/{}/",
    "podcast": "/podcast/{}/audio.ogg",
    "notes": "/notes/{}/notes.pdf",
}

Files = Mapping[str, bytes]

SECRET = "front-end-secret"


@dataclass
class Library:
    """A gateway with a storage of recordings, and a browser at it."""

    gateway: Gateway
    app: ASGIApp
    storage: Storage
    browser: httpx.AsyncClient

    async def plant(self, formats: Mapping[str, Files], **described: Any) -> RecordId:
        """A recording, as `planted_recording`."""
        return await planted_recording(self.gateway.database, self.storage, formats, **described)

    async def get(self, path: str, **headers: str) -> httpx.Response:
        """The answer to a GET; `if_range` and so on are headers."""
        return await self.browser.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    async def get_raw(self, path: bytes) -> tuple[int, bytes]:
        """Status and body of the answer to a path that no browser would send."""
        return await raw_answer(self.app, path)


@asynccontextmanager
async def library(
    database_url: str, directory: Path, *, clock: Clock | None = None, base_url: str = "http://pool", **settings: Any
) -> AsyncIterator[Library]:
    """A library below `directory`, empty."""
    values = {
        "database_url": database_url,
        "loadbalancer_secret": SECRET,
        "data_dir": directory,
        "secret_key": (SECRET_KEY,),
        **settings,
    }
    own, clock = Settings(**values), clock or SystemClock()
    storage = storage_of(own)
    storage.publish_dir.mkdir(parents=True)
    async with open_gateway(own, Readiness(), clock) as gateway:
        app = create_app(own, gateway.readiness, clock)

        async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, "state": {"gateway": gateway}}, receive, send)

        transport = httpx.ASGITransport(with_state)
        async with httpx.AsyncClient(transport=transport, base_url=base_url) as browser:
            yield Library(gateway, with_state, storage, browser)


async def raw_answer(app: ASGIApp, path: bytes) -> tuple[int, bytes]:
    """Status and body for a GET of `path`, byte by byte as a server would hand it on."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": unquote(path.decode("latin-1")),
        "raw_path": path,
        "query_string": b"",
        "headers": [(b"host", b"pool")],
        "server": ("pool", 80),
        "client": ("192.0.2.1", 1234),
    }
    await app(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent)


def storage_of(settings: Settings) -> Storage:
    return Storage(publish_dir=settings.publish_dir, unpublish_dir=settings.unpublish_dir, work_dir=settings.work_dir)


def new_record_id() -> RecordId:
    return RecordId(f"{token_hex(20)}-{time.time_ns() // 1_000_000}")


async def planted_recording(
    database: Database,
    storage: Storage,
    formats: Mapping[str, Files],
    *,
    record_id: RecordId | None = None,
    tenant: str = DEFAULT_TENANT,
    meeting_id: str = "room",
    name: str = "A room",
    state: RecordingState = RecordingState.PUBLISHED,
    is_protected: bool = False,
    metadata: Mapping[str, str] | None = None,
    duration_ms: int = 60_000,
) -> RecordId:
    """A settled recording with these formats, each with its files by their paths in the format's tree."""
    record_id = record_id or new_record_id()
    start_ms = int(record_id.split("-")[1])
    described = tuple(
        PlaybackFormat(name=each, link=LINKS.get(each, f"/{each}/{{}}/").format(record_id), duration_ms=duration_ms)
        for each in formats
    )
    recording = Recording(
        record_id=record_id,
        tenant=tenant,
        meeting_id=meeting_id,
        state=state,
        internal_id=record_id,
        name=name,
        is_protected=is_protected,
        start_ms=start_ms,
        end_ms=start_ms + duration_ms,
        metadata=metadata or {},
        formats=described,
    )
    location = LOCATION_OF.get(state, Location.UNPUBLISHED)
    for playback_format in described:
        plant_files(storage.tree(location, playback_format.name, record_id), formats[playback_format.name])
    await _plant_rows(database, recording, location, formats)
    return record_id


def plant_files(tree: Path, files: Files) -> None:
    for path, content in files.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_bytes(content)


async def change_recording(database: Database, record_id: RecordId, **columns: object) -> None:
    """Overwrites columns of the row, which is not rendered anew."""
    statement = f"UPDATE recordings SET {assignments(columns)} WHERE record_id = $1"  # noqa: S608
    async with database.transaction() as connection:
        await connection.execute(statement, record_id, *columns.values())


async def _plant_rows(database: Database, recording: Recording, location: Location, formats: Mapping[str, Files]) -> None:
    wanted = RecordingState.PUBLISHED if recording.state is RecordingState.PROCESSING else recording.state
    entry = Entry(recording=recording, wanted=wanted, is_settled=True, delivered=recording.metadata)
    async with database.transaction() as connection:
        await insert_entry(connection, recording, wanted)
        await write_entry(connection, entry, render(recording))
        for playback_format in recording.formats:
            arrival = _arrival(playback_format, formats[playback_format.name])
            await put_arrival(connection, recording.record_id, arrival)
            await place_arrival(connection, recording.record_id, arrival, location)


def _arrival(playback_format: PlaybackFormat, files: Files) -> Arrival:
    manifest = Manifest.of(EntryOfManifest(path, len(content), sha256(content).hexdigest()) for path, content in files.items())
    return Arrival(
        format=playback_format,
        directory="planted",
        inode=0,
        files=manifest.files,
        total_bytes=manifest.bytes,
        digest=manifest.digest,
        manifest=manifest.encode(),
    )
