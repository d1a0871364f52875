"""Subtitles that front ends upload: kept as WebVTT, listed, and read at addresses that work once."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from gateway.recording_calls.put_recording_text_track import MAX_BYTES
from gateway.text_tracks import reading
from meetingpool.bbb.client import signed_url
from meetingpool.database.text_tracks import MAX_TRACKS, text_tracks_of
from meetingpool.domain.recordings import RecordId, RecordingState
from tests.pool import SECRET, FrontEnd, RunningPool, running_pool
from tests.recordings import change_recording, new_record_id, planted_recording, storage_of
from tests.tenants import add_tenants

SRT = "1\n00:00:01,000 --> 00:00:02,500\nHello\n\n2\n00:00:03,000 --> 00:00:04,000\nTwo <i>lines</i>\nof it\n"
ASS = """[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Dialogue: 0,0:00:01.00,0:00:02.50,Default,,0,0,0,,{\\i1}Hello{\\i0}\\Nthere
"""
VTT = "WEBVTT\n\nSTYLE\n::cue { color: red }\n\n00:01.000 --> 00:02.500 align:start\nHello\n"
GATEWAY = "http://gateway/bigbluebutton/api"


def response_in(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    response: dict[str, Any] = json.loads(answer.content)["response"]
    return response


@dataclass(frozen=True)
class Uploader:
    """A front end that deals in subtitles."""

    http: httpx.AsyncClient
    endpoint: str = GATEWAY
    secret: str = SECRET

    async def put(self, named: Mapping[str, str], upload: bytes = SRT.encode(), *, part: str = "file") -> dict[str, Any]:
        url = signed_url(self.endpoint, self.secret, "putRecordingTextTrack", named.items())
        return response_in(await self.http.post(url, files={part: ("track.srt", upload, "text/plain")}))

    async def list(self, record_id: str) -> dict[str, Any]:
        url = signed_url(self.endpoint, self.secret, "getRecordingTextTracks", [("recordID", record_id)])
        return response_in(await self.http.get(url))

    async def read(self, record_id: str) -> str:
        """The only track, by its address."""
        (track,) = (await self.list(record_id))["tracks"]
        return (await self.http.get(track["href"])).text


@pytest.fixture
async def library(database_url: str) -> AsyncIterator[RunningPool]:
    async with running_pool(database_url, servers=0) as pool:
        yield pool


@pytest.fixture
async def front_end(library: RunningPool) -> FrontEnd:
    return await library.front_end()


@pytest.fixture
async def uploader(front_end: FrontEnd) -> Uploader:
    return Uploader(front_end.http)


@pytest.fixture
async def record_id(library: RunningPool) -> RecordId:
    return await plant(library)


async def plant(pool: RunningPool, **options: Any) -> RecordId:
    return await planted_recording(pool.database, storage_of(pool.settings), {"presentation": {}}, **options)


def parameters(record_id: str, **more: str) -> dict[str, str]:
    return {"recordID": record_id, "kind": "subtitles", "lang": "en-US", "label": "English", **more}


async def test_a_track_is_kept_listed_and_read_once(uploader: Uploader, record_id: RecordId) -> None:
    http = uploader.http
    assert await uploader.put(parameters(record_id)) == {
        "messageKey": "upload_text_track_success",
        "message": "Text track uploaded successfully",
        "recordId": record_id,
        "returncode": "SUCCESS",
    }
    listed = await uploader.list(record_id)
    (track,) = listed["tracks"]
    href = track.pop("href")
    assert listed["returncode"] == "SUCCESS"
    assert track == {"kind": "subtitles", "label": "English", "lang": "en-US", "source": "upload"}
    assert href.startswith("http://gateway/bigbluebutton/textTrack/")
    assert href.endswith(f"/{record_id}/subtitles_en-US.vtt")
    assert (await http.head(href)).status_code == 200
    answers = await asyncio.gather(*(http.get(href) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [200] + 19 * [404]
    (document,) = [answer for answer in answers if answer.status_code == 200]
    assert document.headers["content-type"] == "text/vtt; charset=utf-8"
    assert document.text.startswith("WEBVTT")
    assert "00:00:01.000 --> 00:00:02.500\nHello" in document.text
    assert (await http.head(href)).status_code == 200


@pytest.mark.parametrize(
    ("upload", "lines"),
    [
        (SRT.encode(), ["00:00:03.000 --> 00:00:04.000\nTwo <i>lines</i>\nof it"]),
        (SRT.replace("\n", "\r\n").encode(), ["00:00:01.000 --> 00:00:02.500\nHello"]),
        (SRT.replace("Hello", "Größe").encode("utf-8-sig"), ["Größe"]),
        (SRT.replace("Hello", "Größe").encode("utf-16"), ["Größe"]),
        (SRT.replace("Hello", "Größe – “so”").encode("cp1252"), ["Größe – “so”"]),
        (SRT.replace("Hello", "a\0b & c --> d").encode(), ["ab & c"]),
        (SRT.replace("Hello", "<script>x</script>Hello").encode(), ["xHello"]),
        (ASS.encode(), ["00:00:01.000 --> 00:00:02.500\n<i>Hello</i>\nthere"]),
        (ASS.replace("V4+", "V4").replace("Layer", "Marked").encode(), ["there"]),
        (VTT.encode(), [VTT]),
    ],
)
async def test_the_usual_kinds_of_files_become_webvtt(
    uploader: Uploader, record_id: RecordId, upload: bytes, lines: list[str]
) -> None:
    assert (await uploader.put(parameters(record_id), upload))["returncode"] == "SUCCESS"
    document = await uploader.read(record_id)
    assert document.startswith("WEBVTT")
    assert all(line in document for line in lines)


@pytest.mark.parametrize(
    ("upload", "key"),
    [
        (b"", "empty_uploaded_text_track"),
        (b" \r\n", "empty_uploaded_text_track"),
        (b"Hello", "upload_text_track_failed"),
        (b"WEBVTT\n\n", "upload_text_track_failed"),
        (b"<html><body>1</body></html>", "upload_text_track_failed"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "upload_text_track_failed"),
        (b"{1}{25}MicroDVD needs a rate", "upload_text_track_failed"),
        (SRT.encode() + b"x" * MAX_BYTES, "upload_text_track_failed"),
        (ASS.replace("[Events]", "Style: Default,Arial,20,\n\n[Events]").encode(), "upload_text_track_failed"),
    ],
)
async def test_what_holds_no_subtitles_is_refused(uploader: Uploader, record_id: RecordId, upload: bytes, key: str) -> None:
    answer = await uploader.put(parameters(record_id), upload)
    assert (answer["returncode"], answer["messageKey"]) == ("FAILED", key)
    assert (await uploader.list(record_id))["messageKey"] == "noCaptionsFound"


@pytest.mark.parametrize("cue", ["a" + "\n" * 300_000 + "b", "a" + "{}" * 300_000], ids=["time", "memory"])
async def test_subtitles_that_take_hours_or_gigabytes_are_given_up_and_calls_go_on_meanwhile(
    uploader: Uploader, record_id: RecordId, cue: str
) -> None:
    put = asyncio.create_task(uploader.put(parameters(record_id), (SRT + cue).encode()))
    answered = 0
    while not put.done():
        assert (await uploader.list(record_id))["messageKey"] == "noCaptionsFound"
        answered += 1
        await asyncio.sleep(0.01)
    assert (await put)["messageKey"] == "upload_text_track_failed"
    assert answered > 10
    assert (await uploader.put(parameters(record_id)))["returncode"] == "SUCCESS"


async def test_the_longest_file_is_converted(uploader: Uploader, record_id: RecordId) -> None:
    cue = SRT.partition("\n\n")[0].encode() + b"\n\n"
    upload = cue * ((MAX_BYTES - 1024) // len(cue))
    assert (await uploader.put(parameters(record_id), upload))["returncode"] == "SUCCESS"


@pytest.mark.parametrize(
    ("body", "content_type", "key"),
    [
        (b"", "multipart/form-data; boundary=x", "empty_uploaded_text_track"),
        (b"no parts", "multipart/form-data; boundary=x", "upload_text_track_failed"),
        (b"--x\r\n\r\n", "multipart/form-data; boundary=x", "upload_text_track_failed"),
        (SRT.encode(), "multipart/form-data", "empty_uploaded_text_track"),
        (b"a=b", "application/x-www-form-urlencoded", "unsupportedContentType"),
        (SRT.encode(), "text/plain", "unsupportedContentType"),
    ],
)
async def test_a_body_that_is_no_upload_is_refused(
    uploader: Uploader, record_id: RecordId, body: bytes, content_type: str, key: str
) -> None:
    url = signed_url(GATEWAY, SECRET, "putRecordingTextTrack", parameters(record_id).items())
    answer = response_in(await uploader.http.post(url, content=body, headers={"content-type": content_type}))
    assert (answer["returncode"], answer["messageKey"]) == ("FAILED", key)


async def test_only_the_part_called_file_is_the_upload(uploader: Uploader, record_id: RecordId) -> None:
    assert (await uploader.put(parameters(record_id), part="other"))["messageKey"] == "empty_uploaded_text_track"


@pytest.mark.parametrize(
    ("changed", "key", "message"),
    [
        ({"recordID": ""}, "paramError", "Missing param recordID."),
        ({"recordID": new_record_id(), "kind": ""}, "noRecordings", "No recording found for ID"),
        ({"kind": "", "lang": ""}, "paramError", "Missing param kind."),
        ({"kind": "chapters"}, "invalidKind", "Invalid kind parameter, expected='subtitles|captions' actual=chapters"),
        ({"lang": ""}, "paramError", "Missing param lang."),
        ({"lang": "en_US"}, "invalidLang", "Malformed lang param, received=en_US"),
        ({"lang": "../../x"}, "invalidLang", None),
        ({"lang": "e"}, "invalidLang", None),
        ({"lang": "en" + "-variant1" * 5}, "invalidLang", None),
    ],
)
async def test_what_is_wrong_with_a_track_is_said_in_bbbs_order(
    uploader: Uploader, record_id: RecordId, changed: dict[str, str], key: str, message: str | None
) -> None:
    answer = await uploader.put({**parameters(record_id), **changed}, b"")
    assert (answer["returncode"], answer["messageKey"]) == ("FAILED", key)
    assert message in (None, answer["message"])


@pytest.mark.parametrize("call", ["getRecordingTextTracks", "putRecordingTextTrack"])
async def test_strangers_are_refused_in_json(uploader: Uploader, record_id: RecordId, call: str) -> None:
    url = signed_url(GATEWAY, "wrong", call, [("recordID", record_id)])
    ask = uploader.http.get if call == "getRecordingTextTracks" else uploader.http.post
    assert response_in(await ask(url))["messageKey"] == "checksumError"
    unsigned = response_in(await ask(f"{GATEWAY}/{call}?recordID={record_id}"))
    assert (unsigned["messageKey"], unsigned["message"]) == ("paramError", "Missing param checksum.")


async def test_lists_say_what_there_is(uploader: Uploader, library: RunningPool, record_id: RecordId) -> None:
    assert (await uploader.list(""))["message"] == "Missing param recordID."
    assert (await uploader.list(record_id[:-1]))["messageKey"] == "noRecordings"
    assert (await uploader.list(record_id))["messageKey"] == "noCaptionsFound"
    for lang, kind, label in (
        ("en", "subtitles", ""),
        ("de", "captions", "Deutsch"),
        ("en", "captions", ""),
        ("en", "captions", "E"),
    ):
        assert (await uploader.put(parameters(record_id, lang=lang, kind=kind, label=label)))["returncode"] == "SUCCESS"
    listed = [(track["lang"], track["kind"], track["label"]) for track in (await uploader.list(record_id))["tracks"]]
    assert listed == [("de", "captions", "Deutsch"), ("en", "captions", "E"), ("en", "subtitles", "en")]
    async with library.database.transaction() as connection:
        assert [(track.lang, str(track.kind), track.label) for track in await text_tracks_of(connection, record_id)] == listed
    await change_recording(library.database, record_id, state=RecordingState.DELETED)
    assert (await uploader.list(record_id))["messageKey"] == "noRecordings"


async def test_a_recording_has_so_many_tracks_at_most(uploader: Uploader, library: RunningPool, record_id: RecordId) -> None:
    async with library.database.transaction() as connection:
        await connection.execute(
            "INSERT INTO text_tracks (record_id, kind, lang, label, source, document) "
            "SELECT $1, 'captions', 'en-' || n, '', 'upload', 'WEBVTT' FROM generate_series(1, $2) AS n",
            record_id,
            MAX_TRACKS,
        )
    assert (await uploader.put(parameters(record_id)))["messageKey"] == "upload_text_track_failed"
    again = await uploader.put(parameters(record_id, kind="captions", lang="en-7"))
    assert again["returncode"] == "SUCCESS"


async def test_an_address_opens_its_own_track_only_and_not_for_ever(
    front_end: FrontEnd, uploader: Uploader, library: RunningPool, record_id: RecordId
) -> None:
    http, other = uploader.http, await plant(library)
    for each in (record_id, other):
        for lang in ("en", "de"):
            await uploader.put(parameters(each, lang=lang))
    href = (await uploader.list(record_id))["tracks"][0]["href"]
    assert href.endswith("_de.vtt")
    token = href.split("/")[-3]
    old = front_end.gateway.links.token_for(reading(record_id, "subtitles_de.vtt"), -1)
    for wrong in (
        href.replace("_de", "_en"),
        href.replace(record_id, other),
        href.replace(token, token[:-1] + ("0" if token[-1] != "0" else "1")),
        href.replace(token, old),
        href.replace(token, "x"),
        href.replace("subtitles_de.vtt", "..%2f..%2fx"),
    ):
        assert (await http.get(wrong)).status_code == 404
    assert (await http.get(href)).status_code == 200


async def test_a_tenant_has_its_own_tracks_only(database_url: str) -> None:
    async with running_pool(database_url, servers=0, multitenancy_enabled=True) as pool:
        await add_tenants(pool.database, "a", "b")
        record_id, http = await plant(pool, tenant="id-of-a"), (await pool.front_end()).http
        a, b = [Uploader(http, f"http://gateway/t/{name}/bigbluebutton/api", f"secret of {name}") for name in ("a", "b")]
        assert (await a.put(parameters(record_id)))["returncode"] == "SUCCESS"
        assert (await b.put(parameters(record_id)))["messageKey"] == "noRecordings"
        assert await b.list(record_id) == await b.list(new_record_id())
        (track,) = (await a.list(record_id))["tracks"]
        assert track["href"].startswith("http://gateway/t/a/bigbluebutton/textTrack/")
        assert (await http.get(track["href"].replace("/t/a/", "/t/b/"))).status_code == 404
        assert (await http.get(track["href"])).text.startswith("WEBVTT")


async def test_without_recordings_there_are_no_tracks(database_url: str) -> None:
    async with running_pool(database_url, servers=0, recording_disabled=True) as pool:
        record_id, uploader = await plant(pool), Uploader((await pool.front_end()).http)
        assert (await uploader.put(parameters(record_id)))["messageKey"] == "noRecordings"
        assert (await uploader.list(record_id))["messageKey"] == "noRecordings"
