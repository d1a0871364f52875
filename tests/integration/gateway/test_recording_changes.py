"""publishRecordings, updateRecordings and deleteRecordings: what is wanted is written down, and seen at once or when it is so."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from meetingpool.bbb.client import signed_url
from meetingpool.database.recordings import Entry, lock_entry
from meetingpool.domain.recordings import Location, RecordId, RecordingState
from meetingpool.operations.change_recordings import MAX_METADATA_BYTES
from meetingpool.operations.settle_recording import Settler
from tests.integration.gateway.test_tenants import TenantFrontEnd, both
from tests.pool import ENDPOINT, SECRET, FrontEnd, RunningPool, key_of, read, running_pool, succeeded
from tests.recordings import new_record_id, planted_recording, storage_of
from tests.tenants import add_tenants

FILES = {"presentation": {"metadata.xml": b"<recording/>"}, "video": {"video-0.webm": b"moving"}}
NEW = RecordId(f"{'0' * 40}-1700000000000")


@pytest.fixture
async def library(database_url: str, tmp_path: Path) -> AsyncIterator[RunningPool]:
    async with running_pool(database_url, servers=0, data_dir=tmp_path) as pool:
        storage_of(pool.settings).create("test")
        yield pool


@pytest.fixture
async def without_worker(database_url: str, tmp_path: Path) -> AsyncIterator[RunningPool]:
    """Nobody moves files here, and whoever waits for it is soon at the end of his patience."""
    async with running_pool(database_url, servers=0, data_dir=tmp_path, clock=HastyClock()) as pool:
        storage_of(pool.settings).create("test")
        yield pool


class HastyClock:
    """A second passes with every look at it."""

    def __init__(self) -> None:
        self._now = 0.0

    def monotonic(self) -> float:
        self._now += 1.0
        return self._now

    def epoch(self) -> float:
        return 1_700_000_000.0


async def plant(pool: RunningPool, state: RecordingState = RecordingState.PUBLISHED, **options: Any) -> RecordId:
    return await planted_recording(pool.database, storage_of(pool.settings), FILES, state=state, **options)


async def entry_of(pool: RunningPool, record_id: RecordId) -> Entry:
    async with pool.database.transaction() as connection:
        entry = await lock_entry(connection, record_id)
    assert entry is not None
    return entry


async def states(front_end: FrontEnd | TenantFrontEnd, record_id: RecordId) -> tuple[str | None, ...]:
    """As getRecordings shows it: state, and whether it is published."""
    (shown,) = (await front_end.ask("getRecordings", recordID=record_id, state="any")).iterfind("recordings/recording")
    return shown.findtext("state"), shown.findtext("published")


@asynccontextmanager
async def worker(pool: RunningPool) -> AsyncIterator[None]:
    """Settles what is to be settled, as the recordings worker does."""
    settler = Settler(pool.database, storage_of(pool.settings))

    async def settle() -> None:
        while True:
            for row in await pool.database.rows("SELECT record_id FROM recordings WHERE NOT is_settled"):
                await settler.settle(RecordId(row["record_id"]))
            await asyncio.sleep(0.01)

    task = asyncio.create_task(settle())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def tree(pool: RunningPool, location: Location, name: str, record_id: RecordId) -> Path:
    return storage_of(pool.settings).tree(location, name, record_id)


async def test_what_is_unpublished_is_hidden_at_once_and_moved_by_the_worker(library: RunningPool) -> None:
    record_id, front_end = await plant(library), await library.front_end()
    answer = await front_end.ask("publishRecordings", recordID=record_id, publish="false")
    assert [(child.tag, child.text) for child in answer] == [("returncode", "SUCCESS"), ("published", "false")]
    assert await states(front_end, record_id) == ("unpublished", "false")
    entry = await entry_of(library, record_id)
    assert (entry.wanted, entry.is_settled) == (RecordingState.UNPUBLISHED, False)
    assert tree(library, Location.PUBLISHED, "video", record_id).exists()
    assert await Settler(library.database, storage_of(library.settings)).settle(record_id)
    assert not tree(library, Location.PUBLISHED, "video", record_id).exists()
    assert tree(library, Location.UNPUBLISHED, "presentation", record_id).exists()


async def test_what_is_published_is_there_when_the_answer_comes(library: RunningPool) -> None:
    planted = [await plant(library, RecordingState.UNPUBLISHED) for _ in range(3)]
    front_end = await library.front_end()
    async with worker(library):
        answer = await front_end.ask("publishRecordings", recordID=",".join(planted), publish="TRUE")
    assert (succeeded(answer), answer.findtext("published")) == (True, "true")
    for record_id in planted:
        assert await states(front_end, record_id) == ("published", "true")
        assert tree(library, Location.PUBLISHED, "video", record_id).exists()


async def test_without_a_worker_what_is_wanted_is_kept(without_worker: RunningPool) -> None:
    record_id, front_end = await plant(without_worker, RecordingState.UNPUBLISHED), await without_worker.front_end()
    assert succeeded(await front_end.ask("publishRecordings", recordID=record_id, publish="true"))
    assert await states(front_end, record_id) == ("unpublished", "false")
    assert await Settler(without_worker.database, storage_of(without_worker.settings)).settle(record_id)
    assert await states(front_end, record_id) == ("published", "true")


async def test_the_last_of_two_words_counts(without_worker: RunningPool) -> None:
    record_id, front_end = await plant(without_worker), await without_worker.front_end()
    for publish in ("false", "true", "false", "false"):
        assert succeeded(await front_end.ask("publishRecordings", recordID=record_id, publish=publish))
    assert await Settler(without_worker.database, storage_of(without_worker.settings)).settle(record_id)
    assert await states(front_end, record_id) == ("unpublished", "false")


async def test_what_is_as_it_should_be_is_left_alone(library: RunningPool) -> None:
    record_id, front_end = await plant(library), await library.front_end()
    assert succeeded(await front_end.ask("publishRecordings", recordID=record_id, publish="true"))
    assert (await entry_of(library, record_id)).is_settled


async def test_waiting_for_the_worker_holds_no_connection(library: RunningPool) -> None:
    record_id, front_end = await plant(library, RecordingState.UNPUBLISHED), await library.front_end()
    waiting = [asyncio.create_task(front_end.ask("publishRecordings", recordID=record_id, publish="true")) for _ in range(30)]
    while (await entry_of(library, record_id)).is_settled:
        await asyncio.sleep(0)
    # Three times as many as there are connections wait, and others are served.
    assert await states(front_end, record_id) == ("unpublished", "false")
    async with worker(library):
        assert all(map(succeeded, await asyncio.gather(*waiting)))


async def test_what_arrives_later_arrives_unpublished_if_that_is_wanted(library: RunningPool) -> None:
    record_id, front_end = await plant(library, RecordingState.PROCESSING), await library.front_end()
    assert succeeded(await front_end.ask("publishRecordings", recordID=record_id, publish="false"))
    assert await states(front_end, record_id) == ("processing", "false")
    assert (await entry_of(library, record_id)).wanted is RecordingState.UNPUBLISHED


async def test_what_is_deleted_is_gone_at_once_and_in_the_trash_later(library: RunningPool) -> None:
    kept, gone = await plant(library), [await plant(library), await plant(library, RecordingState.UNPUBLISHED)]
    front_end = await library.front_end()
    answer = await front_end.ask("deleteRecordings", recordID=",".join(gone))
    assert [(child.tag, child.text) for child in answer] == [("returncode", "SUCCESS"), ("deleted", "true")]
    listed = await front_end.ask("getRecordings")
    assert [element.text for element in listed.iterfind(".//recordID")] == [kept]
    settler = Settler(library.database, storage_of(library.settings))
    for record_id in gone:
        assert await states(front_end, record_id) == ("deleted", "false")
        assert await settler.settle(record_id)
        assert tree(library, Location.TRASH, "video", record_id).exists()
    assert key_of(await front_end.ask("deleteRecordings", recordID=gone[0])) == "notFound"
    assert key_of(await front_end.ask("publishRecordings", recordID=gone[0], publish="true")) == "notFound"
    assert key_of(await front_end.ask("updateRecordings", recordID=gone[0], meta_x="y")) == "notFound"


async def test_metadata_is_changed_added_and_removed(library: RunningPool) -> None:
    record_id = await plant(library, metadata={"name": "old", "gl-listed": "false", "kept": "yes"})
    front_end = await library.front_end()
    edits = {"meta_Name": "new & <better>", "meta_gl-listed": "", "meta_added": "too", "meta_with_underscore": "x", "meta_": "x"}
    answer = await front_end.ask("updateRecordings", recordID=record_id, **edits, **{"meta_tenant-id": "x"})
    assert [(child.tag, child.text) for child in answer] == [("returncode", "SUCCESS"), ("updated", "true")]
    (shown,) = (await front_end.ask("getRecordings", meta_added="too")).iterfind("recordings/recording/metadata")
    given = {str(child.tag): child.text for child in shown if child.tag not in ("meetingId", "meetingName", "isBreakout")}
    assert given == {"name": "new & <better>", "kept": "yes", "added": "too"}
    entry = await entry_of(library, record_id)
    assert entry.edited == {"name": "new & <better>", "gl-listed": None, "added": "too"}
    assert entry.is_settled
    assert key_of(await front_end.ask("getRecordings", **{"meta_gl-listed": "false"})) == "noRecordings"


async def test_all_recordings_that_are_named_are_protected(library: RunningPool) -> None:
    planted, front_end = [await plant(library) for _ in range(3)], await library.front_end()
    for protect in ("true", "False"):
        assert succeeded(await front_end.ask("updateRecordings", recordID=",".join(planted[:2]), protect=protect))
        shown = (await front_end.ask("getRecordings")).iterfind("recordings/recording")
        protected = {each.findtext("recordID") for each in shown if each.findtext("protected") == "true"}
        assert protected == (set(planted[:2]) if protect == "true" else set())
    (url,) = {each.text for each in (await front_end.ask("getRecordings", recordID=planted[0])).iterfind(".//url")} - {
        f"http://gateway/playback/presentation/2.3/{planted[0]}"
    }
    assert url == f"http://gateway/playback/video/{planted[0]}/"


async def test_an_update_may_change_nothing(library: RunningPool) -> None:
    record_id, front_end = await plant(library), await library.front_end()
    assert succeeded(await front_end.ask("updateRecordings", recordID=record_id))
    form = signed_url("", SECRET, "updateRecordings", [("recordID", record_id), ("meta_by", "form")]).partition("?")[2]
    headers = {"content-type": "application/x-www-form-urlencoded"}
    answer = await front_end.http.post(f"{ENDPOINT}/updateRecordings", content=form, headers=headers)
    assert succeeded(read(answer))
    assert (await entry_of(library, record_id)).recording.metadata == {"by": "form"}


async def test_metadata_does_not_grow_without_end(library: RunningPool) -> None:
    record_id, front_end = await plant(library), await library.front_end()
    value = "x" * (MAX_METADATA_BYTES // 4)
    answers = [
        await front_end.ask("updateRecordings", recordID=record_id, **{f"meta_name-{number}": value}) for number in range(5)
    ]
    assert [key_of(answer) for answer in answers] == [None, None, None, "validationError", "validationError"]
    assert len((await entry_of(library, record_id)).recording.metadata) == 3
    assert succeeded(await front_end.ask("updateRecordings", recordID=record_id, **{"meta_name-0": "", "meta_name-1": "short"}))


@pytest.mark.parametrize(
    ("call", "parameters", "key", "message"),
    [
        ("publishRecordings", {"publish": "true"}, "missingParamRecordID", "You must specify a recordID."),
        ("publishRecordings", {"recordID": " ,", "publish": ""}, "missingParamRecordID", "You must specify a recordID."),
        ("publishRecordings", {"recordID": NEW}, "missingParamPublish", "You must specify a publish value true or false."),
        ("publishRecordings", {"recordID": NEW, "publish": ""}, "missingParamPublish", None),
        ("publishRecordings", {"recordID": NEW, "publish": "1"}, "validationError", None),
        ("publishRecordings", {"recordID": NEW, "publish": "flase"}, "validationError", None),
        ("publishRecordings", {"recordID": NEW, "publish": "true"}, "notFound", "We could not find recordings"),
        ("deleteRecordings", {}, "missingParamRecordID", "You must specify a recordID."),
        ("deleteRecordings", {"recordID": NEW}, "notFound", "We could not find recordings"),
        ("deleteRecordings", {"recordID": "%"}, "notFound", None),
        ("updateRecordings", {"meta_x": "y"}, "missingParamRecordID", "You must specify a recordID."),
        ("updateRecordings", {"recordID": NEW, "protect": "yes"}, "validationError", None),
        ("updateRecordings", {"recordID": NEW, "meta_x": "y"}, "notFound", "We could not find recordings"),
    ],
)
async def test_what_cannot_be_done_is_refused_in_bbbs_words(
    library: RunningPool, call: str, parameters: dict[str, str], key: str, message: str | None
) -> None:
    answer = await (await library.front_end()).ask(call, **parameters)
    assert (answer.findtext("returncode"), key_of(answer)) == ("FAILED", key)
    assert message in (None, answer.findtext("message"))


@pytest.mark.parametrize("call", ["publishRecordings", "deleteRecordings", "updateRecordings"])
async def test_a_part_of_an_id_changes_nothing(library: RunningPool, call: str) -> None:
    record_id, front_end = await plant(library), await library.front_end()
    for named in (record_id[:-1], record_id[:40], "%", record_id + "%", record_id.upper() + "x"):
        assert key_of(await front_end.ask(call, recordID=named, publish="false", meta_x="y")) == "notFound"
    assert await states(front_end, record_id) == ("published", "true")


@pytest.mark.parametrize("call", ["publishRecordings", "deleteRecordings"])
async def test_what_hides_recordings_is_asked_with_get(library: RunningPool, call: str) -> None:
    record_id, front_end = await plant(library), await library.front_end()
    url = signed_url(ENDPOINT, SECRET, call, [("recordID", record_id), ("publish", "false")])
    assert key_of(read(await front_end.http.post(url))) == "unsupportedRequest"
    assert await states(front_end, record_id) == ("published", "true")


async def test_some_that_exist_are_enough(library: RunningPool) -> None:
    record_id, front_end = await plant(library), await library.front_end()
    for call in ("updateRecordings", "publishRecordings", "deleteRecordings"):
        named = f"{NEW},{record_id},{record_id}"
        assert succeeded(await front_end.ask(call, recordID=named, publish="false", meta_x="y"))
    assert await states(front_end, record_id) == ("deleted", "false")
    assert (await entry_of(library, record_id)).recording.metadata == {"x": "y"}


async def test_the_recordings_of_another_tenant_are_as_unknown_as_none(database_url: str, tmp_path: Path) -> None:
    async with running_pool(database_url, servers=0, data_dir=tmp_path, multitenancy_enabled=True) as pool:
        await add_tenants(pool.database, "a", "b")
        own, foreign = await plant(pool, tenant="id-of-a"), await plant(pool, tenant="id-of-b")
        a, b = await both(pool)
        before = await entry_of(pool, foreign)
        for call in ("updateRecordings", "publishRecordings", "deleteRecordings"):
            asked = {"publish": "false", "meta_x": "y", "protect": "true"}
            of_another = await a.get(call, recordID=foreign, **asked)
            assert of_another.content == (await a.get(call, recordID=new_record_id(), **asked)).content
            assert key_of(read(of_another)) == "notFound"
            assert succeeded(await a.ask(call, recordID=f"{foreign},{own}", **asked))
        assert await entry_of(pool, foreign) == before
        assert await states(b, foreign) == ("published", "true")
        assert await states(a, own) == ("deleted", "false")


async def test_changes_of_one_recording_at_once_are_all_kept(library: RunningPool) -> None:
    planted, front_end = [await plant(library) for _ in range(4)], await library.front_end()
    edits = [
        front_end.ask("updateRecordings", recordID=",".join(planted[:: (-1) ** number]), **{f"meta_n-{number}": "x"})
        for number in range(30)
    ]
    assert all(map(succeeded, await asyncio.gather(*edits)))
    for record_id in planted:
        assert len((await entry_of(library, record_id)).recording.metadata) == 30
