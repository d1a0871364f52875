"""The files of recordings: which can be had, in which pieces, as what, and that nothing else can."""

import asyncio
import itertools
import json
import os
import stat
import sys
import time
from collections.abc import AsyncIterator, Iterator
from email.message import Message
from email.parser import BytesParser
from pathlib import Path
from threading import Event

import httpx
import pytest
from lxml import etree

from gateway.playback_files import CHUNK_BYTES, MAX_OPEN
from gateway.playback_threads import MAX_CALLS, StorageBusy, StorageThreads
from meetingpool.database.text_tracks import keep_text_track
from meetingpool.domain.meetings import DEFAULT_TENANT
from meetingpool.domain.recordings import RecordId
from meetingpool.domain.text_tracks import TextTrack, TrackKind
from tests.recordings import Library, library, new_record_id

CANARY = b"canary: nobody may ever see this"
# Longer than what is read at once, and no two parts of it alike.
LONG = b"".join(number.to_bytes(4, "big") for number in range(CHUNK_BYTES))


@pytest.fixture
async def shelf(database_url: str, tmp_path: Path) -> AsyncIterator[Library]:
    async with library(database_url, tmp_path / "data") as shelf:
        yield shelf


@pytest.fixture
async def long(shelf: Library) -> str:
    """The path of a long file."""
    record_id = await shelf.plant({"video": {"video-0.webm": LONG}})
    return f"/video/{record_id}/video-0.webm"


# Paths


def hostile_paths(record_id: str, other: str, outside: str) -> list[bytes]:
    """Paths that lead out of a tree for some reader or other; many of them only if they are decoded twice, or by halves."""
    ups = [
        "..",
        "%2e%2e",
        "%2E.",
        ".%2e",
        "%252e%252e",
        "..%00",
        "%c0%ae%c0%ae",
        "..;",
        "...",
        "%2e",
        ".",
        "",
        "..\\",
        "%5c..",
        "..%5c",
        "x/..",
    ]
    slashes = ["/", "//", "%2f", "%2F", "\\", "%5c", "%252f", "/./", "%c0%af", "/%2f"]
    targets = [
        "canary.txt",
        "canary.txt%00.webm",
        "canary.txt/",
        "canary.txt%2f",
        ".canary",
        f"{other}/canary.txt",
        "etc/passwd",
        f"unpublished/video/{record_id}/canary.txt",
        f"work/trash/video/{record_id}/canary.txt",
    ]
    starts = [f"/video/{record_id}", f"/video/{record_id}/inside", f"/presentation/{record_id}", f"/recording/{record_id}/video"]
    paths = [
        f"{start}{slash}{slash.join([up] * depth)}{slash}{target}"
        for start, slash, up, depth, target in itertools.product(starts, slashes, ups, (1, 2, 4), targets)
    ]
    for middle in (
        outside,
        outside.replace("/", "%2f"),
        f"file://{outside}",
        "link/canary.txt",
        "link",
        "pipe",
        "socket",
        "dangling",
        "~root",
    ):
        paths += [f"/video/{record_id}/{middle}", f"/video/{record_id}{middle}", f"/video%2f{record_id}/{middle}"]
    paths += [f"/video/{record_id}/{'a' * 256}", f"/video/{record_id}/{'a/' * 500}", f"/video/{record_id}/.meetingpool-storage"]
    paths += [f"/video/{record_id[:-1]}%{ord(record_id[-1]):x}/canary.txt", f"/%76ideo/{record_id}/canary.txt"]
    return [path.encode() for path in paths]


async def test_no_path_leads_out_of_a_recording(shelf: Library, tmp_path: Path) -> None:
    record_id = await shelf.plant(
        {"video": {"video-0.webm": b"good", "inside/a.png": b"good"}, "presentation": {"a.png": b"good"}}
    )
    hidden = await shelf.plant({"video": {"canary.txt": CANARY}}, is_protected=True)
    tree = shelf.storage.publish_dir / "video" / record_id
    outside = tmp_path / "canary.txt"
    roots = [shelf.storage.publish_dir, *shelf.storage.publish_dir.parents[:3], shelf.storage.publish_dir / "video"]
    for directory in roots:
        (directory / "canary.txt").write_bytes(CANARY)
    for name in (".canary", ".meetingpool-storage"):
        (tree / name).write_bytes(CANARY)
    (tree / "link").symlink_to(tmp_path)
    (tree / "file-link.txt").symlink_to(outside)
    (tree / "dangling").symlink_to("nowhere")
    os.mkfifo(tree / "pipe")
    os.mknod(tree / "socket", stat.S_IFSOCK | 0o600)
    paths = [*hostile_paths(record_id, hidden, str(outside)), f"/video/{record_id}/file-link.txt".encode()]
    assert len(set(paths)) > 5000
    for path in paths:
        status, body = await shelf.get_raw(path)
        assert CANARY not in body, path
        assert status in (404, 307), path
    assert await shelf.get_raw(f"/video/{record_id}/inside/a.png".encode()) == (200, b"good")
    assert await shelf.get_raw(f"/video/{record_id}/inside/%61.png".encode()) == (200, b"good")


async def test_a_link_in_the_place_of_a_tree_is_not_followed(shelf: Library, tmp_path: Path) -> None:
    record_id = await shelf.plant({"video": {}})
    (tmp_path / "video-0.webm").write_bytes(CANARY)
    (shelf.storage.publish_dir / "video").mkdir()
    (shelf.storage.publish_dir / "video" / record_id).symlink_to(tmp_path)
    assert (await shelf.get(f"/video/{record_id}/video-0.webm")).status_code == 404
    assert (await shelf.get(f"/video/{record_id}/")).status_code == 404


async def test_names_of_all_languages_are_found(shelf: Library) -> None:
    record_id = await shelf.plant({"notes": {"Prüfung 1 日本.pdf": b"%PDF-"}})
    assert (await shelf.get(f"/notes/{record_id}/Prüfung 1 日本.pdf")).content == b"%PDF-"


# Pieces


async def test_a_long_file_comes_whole(shelf: Library, long: str) -> None:
    answer = await shelf.get(long)
    assert answer.status_code == 200
    assert answer.content == LONG
    assert answer.headers["content-length"] == str(len(LONG))
    assert answer.headers["accept-ranges"] == "bytes"


async def test_an_empty_file_is_sent(shelf: Library) -> None:
    record_id = await shelf.plant({"video": {"empty.txt": b""}})
    answer = await shelf.get(f"/video/{record_id}/empty.txt")
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "0")
    assert (await shelf.get(f"/video/{record_id}/empty.txt", range="bytes=0-0")).status_code == 416


PIECES = {
    "bytes=0-0": (0, 1),
    "bytes=10-19": (10, 20),
    "bytes=5-": (5, len(LONG)),
    "bytes=-7": (len(LONG) - 7, len(LONG)),
    f"bytes=-{len(LONG) * 2}": (0, len(LONG)),
    f"bytes=100-{len(LONG) * 2}": (100, len(LONG)),
    f"bytes={CHUNK_BYTES - 1}-{CHUNK_BYTES}": (CHUNK_BYTES - 1, CHUNK_BYTES + 1),
    "bytes=0-9,5-19,20-29": (0, 30),
    "Bytes= 3-4": (3, 5),
}
NO_RANGES = ["bytes", "bytes=", "bytes=a-b", "bytes=5-4", "items=0-1", "bytes=0-1;2-3", "bytes=--1", "bytes=1-2,x", "bytes=²-³"]
NOT_THERE = [f"bytes={len(LONG)}-", "bytes=-0", f"bytes={len(LONG)}-{len(LONG) + 5},-0"]
TOO_MUCH = [
    "bytes=" + ",".join(f"{number}-{number}" for number in range(0, 22, 2)),
    "bytes=" + ",".join(["0-"] * 200),
    "bytes=" + "0" * 2000 + "-",
    "bytes=" + "," * 1000,
    "bytes=0-" + "9" * 1100,
]


async def test_a_piece_is_sent(shelf: Library, long: str) -> None:
    for wanted, (start, end) in PIECES.items():
        answer = await shelf.get(long, range=wanted)
        assert answer.status_code == 206, wanted
        assert answer.content == LONG[start:end], wanted
        assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{len(LONG)}"
        assert answer.headers["content-length"] == str(end - start)


async def test_ranges_that_are_none_are_ignored(shelf: Library, long: str) -> None:
    for wanted in NO_RANGES:
        answer = await shelf.browser.get(long, headers={b"range": wanted.encode()})
        assert answer.status_code == 200, wanted
        assert answer.content == LONG


async def test_bytes_that_are_not_there_cannot_be_had(shelf: Library, long: str) -> None:
    for wanted in NOT_THERE:
        answer = await shelf.get(long, range=wanted)
        assert answer.status_code == 416, wanted
        assert answer.headers["content-range"] == f"bytes */{len(LONG)}"


async def test_ranges_that_would_cost_much_are_refused(shelf: Library, long: str) -> None:
    for wanted in TOO_MUCH:
        assert (await shelf.get(long, range=wanted)).status_code == 416, wanted


async def test_several_pieces_come_as_parts(shelf: Library, long: str) -> None:
    answer = await shelf.get(long, range="bytes=0-9,100-199,-5")
    assert answer.status_code == 206
    assert int(answer.headers["content-length"]) == len(answer.content)
    head = f"content-type: {answer.headers['content-type']}\r\n".encode()
    parts = BytesParser().parsebytes(head + answer.content).get_payload()
    read = [(part["content-range"], part.get_payload(decode=True)) for part in parts if isinstance(part, Message)]
    size = len(LONG)
    assert read == [
        (f"bytes 0-9/{size}", LONG[:10]),
        (f"bytes 100-199/{size}", LONG[100:200]),
        (f"bytes {size - 5}-{size - 1}/{size}", LONG[-5:]),
    ]


async def test_the_same_bytes_are_sent_once(shelf: Library, long: str) -> None:
    answer = await shelf.get(long, range="bytes=" + ",".join(["0-"] * 10))
    assert answer.content == LONG


async def test_what_the_client_has_is_not_sent_again(shelf: Library, long: str) -> None:
    first = await shelf.get(long)
    etag, modified = first.headers["etag"], first.headers["last-modified"]
    for known in ({"if_none_match": etag}, {"if_none_match": f'"x", W/{etag}'}, {"if_modified_since": modified}):
        again = await shelf.get(long, **known)
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == etag
    assert (await shelf.get(long, if_none_match='"x"', if_modified_since=modified)).status_code == 200
    assert (await shelf.get(long, if_modified_since="yesterday")).status_code == 200


async def test_a_piece_of_another_version_is_not_sent(shelf: Library, long: str) -> None:
    first = await shelf.get(long)
    for condition, status in ((first.headers["etag"], 206), (first.headers["last-modified"], 206), ('"other"', 200), ("x", 200)):
        assert (await shelf.get(long, range="bytes=0-9", if_range=condition)).status_code == status
    _, _format, record_id, name = long.split("/")
    os.utime(shelf.storage.publish_dir / "video" / record_id / name, (1, 1))
    assert (await shelf.get(long, range="bytes=0-9", if_range=first.headers["etag"])).status_code == 200


async def test_head_says_what_get_would(shelf: Library, long: str) -> None:
    head, whole = await shelf.browser.head(long), await shelf.get(long)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers == whole.headers
    assert (await shelf.browser.head(long.replace("video-0", "video-1"))).status_code == 404


# As what


SHOWN = [
    ("video/video-0.m4v", "video/mp4", False, False),
    ("presentation/presentation/d2/slide-1.PNG", "image/png", False, False),
    ("presentation/shapes.svg", "image/svg+xml", False, True),
    ("presentation/notes.html", "text/html; charset=utf-8", False, True),
    ("presentation/slides_new.xml", "text/xml; charset=utf-8", False, True),
    ("presentation/caption_en.vtt", "text/vtt; charset=utf-8", False, False),
    ("notes/notes.html", "text/html; charset=utf-8", True, True),
    ("notes/notes.pdf", "application/pdf", False, False),
    ("notes/notes.etherpad", "application/octet-stream", True, False),
    ("video/html", "application/octet-stream", True, False),
    ("video/page.xhtml", "application/octet-stream", True, False),
    ("video/js/video.js", "text/javascript; charset=utf-8", False, False),
]


async def test_a_file_is_shown_for_what_it_is(shelf: Library) -> None:
    for path, media_type, is_saved, is_sandboxed in SHOWN:
        format_name, _, name = path.partition("/")
        record_id = await shelf.plant({format_name: {name: b"content"}})
        answer = await shelf.get(f"/{format_name}/{record_id}/{name}")
        assert answer.headers["content-type"] == media_type, path
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert ("content-disposition" in answer.headers) == is_saved, path
        assert answer.headers.get("content-security-policy", "").startswith("sandbox;") == is_sandboxed, path


async def test_of_the_page_that_bbb_made_only_its_own_scripts_run(shelf: Library) -> None:
    record_id = await shelf.plant({"video": {"index.html": b"<h1>BBB's page</h1>", "video-0.webm": b"x"}})
    answer = await shelf.get(f"/video/{record_id}/")
    assert answer.content == b"<h1>BBB's page</h1>"
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    tree = f"http://pool/video/{record_id}"
    assert policy["script-src"] == f"{tree}/js/ {tree}/video-js/"
    assert policy["default-src"] == policy["base-uri"] == "'none'"
    strange = await shelf.get(f"/video/{record_id}/", host="pool; script-src *")
    assert strange.headers["content-security-policy"].startswith("sandbox;")


async def test_metadata_says_what_a_player_needs_and_no_more(shelf: Library) -> None:
    document = b"""<recording><id>x</id><start_time>1</start_time><meeting id="x" externalId="room" name="A &lt;room&gt;"/>
        <meta><meetingName>A room</meetingName><bbb-recording-ready-url>https://secret</bbb-recording-ready-url><name>old</name></meta>
        </recording>"""
    record_id = await shelf.plant({"presentation": {"metadata.xml": document}}, metadata={"name": "Renamed"})
    answer = await shelf.get(f"/presentation/{record_id}/metadata.xml")
    root = etree.fromstring(answer.content)
    assert b"secret" not in answer.content
    assert root.findtext("start_time") == "1"
    assert [(each.tag, each.text) for each in root.iterfind("meta/*")] == [("meetingName", "A room"), ("name", "Renamed")]
    meeting = root.find("meeting")
    assert meeting is not None
    assert meeting.get("name") == "A <room>"


# By nginx


async def test_nginx_is_told_which_file_to_send(database_url: str, tmp_path: Path) -> None:
    async with library(database_url, tmp_path, playback_x_accel="/static-resource") as shelf:
        record_id = await shelf.plant({"notes": {"a b%.pdf": b"x", "Prüfung 1.pdf": b"%PDF-"}})
        answer = await shelf.get(f"/notes/{record_id}/Prüfung 1.pdf?x=y")
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["x-accel-redirect"] == f"/static-resource/notes/{record_id}/Pr%C3%BCfung%201.pdf"
        assert answer.headers["content-type"] == "application/pdf"
        assert (await shelf.get(f"/notes/{record_id}/..%2fx")).status_code == 404
        assert (await shelf.get(f"/notes/{new_record_id()}/x")).status_code == 404


# Pages


async def test_what_has_no_page_gets_one(shelf: Library) -> None:
    files = {"video-0.webm": b"x", "video-0.m4v": b"x", "caption_pt-BR.vtt": b"WEBVTT", "<b>.txt": b"", "metadata.xml": b""}
    record_id = await shelf.plant({"video": files}, name="<script>alert(1)</script> & more", duration_ms=3_723_000)
    answer = await shelf.get(f"/video/{record_id}/")
    page = etree.HTML(answer.content)
    assert page.findtext(".//title") == page.findtext(".//h1") == "<script>alert(1)</script> & more"
    assert page.findtext(".//p") == "1:02:03"
    assert [source.get("src") for source in page.iterfind(".//source")] == ["video-0.m4v", "video-0.webm"]
    assert [(track.get("src"), track.get("srclang")) for track in page.iterfind(".//track")] == [("caption_pt-BR.vtt", "pt-BR")]
    assert page.find(".//script") is None
    assert answer.headers["content-security-policy"].startswith("default-src 'none';")
    assert "script-src" not in answer.headers["content-security-policy"]


async def test_sound_and_documents_get_a_page_too(shelf: Library) -> None:
    record_id = await shelf.plant({"podcast": {"audio.ogg": b"x"}, "notes": {"notes.pdf": b"x"}, "capture": {"data.bin": b"x"}})
    assert b'<audio controls autofocus tabindex="0"' in (await shelf.get(f"/podcast/{record_id}/")).content
    assert b'<a href="notes.pdf">' in (await shelf.get(f"/notes/{record_id}/")).content
    assert (await shelf.get(f"/capture/{record_id}/")).status_code == 404
    assert (await shelf.get(f"/podcast/{record_id}")).headers["location"] == f"/podcast/{record_id}/"


# Captions


async def upload(shelf: Library, record_id: RecordId, kind: TrackKind, lang: str, label: str, document: str) -> None:
    track = TextTrack(kind=kind, lang=lang, label=label, source="upload")
    assert await keep_text_track(shelf.gateway.database, DEFAULT_TENANT, record_id, track, document)


async def test_uploaded_captions_are_shown_with_those_of_the_archive(shelf: Library) -> None:
    delivered = [{"locale": "en", "localeName": "English"}, {"locale": "de", "localeName": "Deutsch"}]
    files = {
        "captions.json": json.dumps(delivered).encode(),
        "caption_en.vtt": b"en, delivered",
        "caption_de.vtt": b"de, delivered",
    }
    record_id = await shelf.plant({"presentation": files, "video": {"video-0.webm": b"x", **files}})
    path = f"/presentation/{record_id}"
    assert (await shelf.get(f"{path}/captions.json")).json() == delivered
    await upload(shelf, record_id, TrackKind.SUBTITLES, "en", "Subtitles", "en, subtitles")
    await upload(shelf, record_id, TrackKind.CAPTIONS, "en", "Captions", "en, captions")
    await upload(shelf, record_id, TrackKind.SUBTITLES, "pt-BR", "Português", "pt, subtitles")
    listed = (await shelf.get(f"{path}/captions.json")).json()
    assert {each["locale"]: each["localeName"] for each in listed} == {"en": "Captions", "de": "Deutsch", "pt-BR": "Português"}
    assert len(listed) == 3
    for lang, text in (("en", "en, captions"), ("de", "de, delivered"), ("pt-BR", "pt, subtitles")):
        answer = await shelf.get(f"{path}/caption_{lang}.vtt")
        assert (answer.text, answer.headers["content-type"]) == (text, "text/vtt; charset=utf-8")
    page = etree.HTML((await shelf.get(f"/video/{record_id}/")).content)
    labels = {track.get("srclang"): track.get("label") for track in page.iterfind(".//track")}
    assert labels == {"en": "Captions", "de": "de", "pt-BR": "Português"}


async def test_captions_are_listed_where_the_archive_has_no_list(shelf: Library) -> None:
    for files in (
        {},
        {"captions.json": b"not JSON"},
        {"captions.json": b"{}"},
        {"captions.json": b"[" * 10**5},
        {"captions.json": b'[{"locale": [1]}, 2]'},
    ):
        record_id = await shelf.plant({"presentation": files})
        await upload(shelf, record_id, TrackKind.CAPTIONS, "en", "English", "WEBVTT")
        answer = await shelf.get(f"/presentation/{record_id}/captions.json")
        assert {"locale": "en", "localeName": "English"} in answer.json()


async def test_a_caption_of_nobodys_is_not_found(shelf: Library) -> None:
    record_id = await shelf.plant({"presentation": {}})
    assert (await shelf.get(f"/presentation/{record_id}/caption_en.vtt")).status_code == 404
    assert (await shelf.get(f"/presentation/{record_id}/captions.json")).status_code == 404


# Storage that stands still


@pytest.fixture
def standing_still() -> Iterator[Event]:
    released = Event()
    yield released
    released.set()


async def test_when_the_storage_stands_still_playback_is_refused_and_calls_go_on(
    shelf: Library, long: str, standing_still: Event
) -> None:
    threads = shelf.gateway.files.threads
    hanging = [asyncio.create_task(threads.run(standing_still.wait, lambda _: None)) for _ in range(MAX_CALLS)]
    # All of them begin before anything else does.
    await asyncio.sleep(0)
    refused = await shelf.get(long)
    assert refused.status_code == 503
    assert "retry-after" in refused.headers
    assert (await shelf.get("/bigbluebutton/api")).status_code == 200
    standing_still.set()
    assert all(await asyncio.gather(*hanging))
    assert (await shelf.get(long)).content == LONG


async def test_who_waits_too_long_for_the_storage_gives_up_and_leaves_nothing_behind(standing_still: Event) -> None:
    threads, unwanted = StorageThreads(threads=1, calls=2, deadline=0.05), list[str]()
    try:

        def late() -> str:
            standing_still.wait()
            return "late"

        begun = asyncio.create_task(threads.run(late, unwanted.append))
        waiting = asyncio.create_task(threads.run(lambda: "never", unwanted.append))
        with pytest.raises(StorageBusy):
            await begun
        with pytest.raises(StorageBusy):
            await waiting
        with pytest.raises(StorageBusy):
            await threads.run(lambda: "more", unwanted.append)
        standing_still.set()
        while True:
            try:
                assert await threads.run(lambda: "again", unwanted.append) == "again"
                break
            except StorageBusy:
                await asyncio.sleep(0.01)
        assert unwanted == ["late"]
    finally:
        threads.close()


async def test_a_storage_that_stands_still_does_not_keep_a_process_from_ending() -> None:
    program = """
import asyncio, threading
from gateway.playback_threads import StorageBusy, StorageThreads
async def main():
    threads = StorageThreads(deadline=0.1)
    try:
        await threads.run(threading.Event().wait, lambda _: None)
    except StorageBusy:
        threads.close()
        print("given up")
asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
    async with asyncio.timeout(30):
        said, _ = await process.communicate()
    assert said == b"given up\n"
    assert process.returncode == 0


async def test_only_so_many_files_are_open_and_all_are_closed(shelf: Library, long: str) -> None:
    files, root = shelf.gateway.files, shelf.storage.publish_dir
    segments = tuple(long.strip("/").split("/"))
    before = _open_files()
    opened = [await files.open(root, segments) for _ in range(MAX_OPEN)]
    assert (await shelf.get(long)).status_code == 503
    for file in opened:
        file.close()
    assert (await shelf.get(long)).content == LONG
    deadline = time.monotonic() + 10
    while _open_files() > before and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
    assert _open_files() <= before


async def test_a_stranger_who_opens_many_files_leaves_some_to_others(shelf: Library, long: str) -> None:
    files, root, segments = shelf.gateway.files, shelf.storage.publish_dir, tuple(long.strip("/").split("/"))
    opened = [await files.open(root, segments, "192.0.2.1") for _ in range(MAX_OPEN // 2)]
    transport = httpx.ASGITransport(shelf.app, client=("192.0.2.1", 1234))
    async with httpx.AsyncClient(transport=transport, base_url="http://pool") as stranger:
        assert (await stranger.get(long)).status_code == 503
        assert (await shelf.get(long)).content == LONG
        for file in opened:
            file.close()
        assert (await stranger.get(long)).content == LONG


async def test_a_file_that_becomes_shorter_breaks_the_answer_off(shelf: Library, long: str) -> None:
    file = await shelf.gateway.files.open(shelf.storage.publish_dir, tuple(long.strip("/").split("/")))
    _, format_name, record_id, name = long.split("/")
    os.truncate(shelf.storage.publish_dir / format_name / RecordId(record_id) / name, 10)
    try:
        assert await file.read(0, 100) == LONG[:10]
        assert await file.read(10, 100) == b""
    finally:
        file.close()


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
