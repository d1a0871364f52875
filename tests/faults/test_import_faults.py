"""Imports that end at any of their calls: nothing is lost, nothing is half there, and the next worker gets them done."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from meetingpool.database.engine import Database
from meetingpool.domain.recordings import RecordingState
from meetingpool.operations.change_recordings import deleted, unpublished
from tests.effort import effort
from tests.faults.storage.calls import PowerCut
from tests.faults.storage.scenarios import IMPORTS
from tests.faults.storage.server import FaultServer
from tests.faults.storage.stand import Stand, made_stand, require_nothing_broken, require_recovered
from tests.faults.storage.sweep import (
    calls_of,
    deaths,
    drawn,
    failures,
    losses,
    standstills,
    sweep,
    sweep_standing_still,
    sweep_standing_still_with_change,
    sweep_with_change,
)

HIDING = {RecordingState.UNPUBLISHED: unpublished, RecordingState.DELETED: deleted}


@pytest.fixture
async def stand(fault_server: FaultServer, database: Database, tmp_path: Path) -> Stand:
    return await made_stand(fault_server, database, tmp_path / "data")


@pytest.mark.parametrize("name", IMPORTS)
async def test_an_import_that_is_killed_is_done_by_the_next_worker(stand: Stand, name: str) -> None:
    scenario = IMPORTS[name]
    await sweep(stand, scenario, drawn(deaths(await calls_of(stand, scenario)), 3))


@pytest.mark.parametrize("name", IMPORTS)
async def test_an_import_whose_calls_fail_is_done_when_they_work_again(stand: Stand, name: str) -> None:
    scenario = IMPORTS[name]
    await sweep(stand, scenario, drawn(failures(await calls_of(stand, scenario)), 3))


@pytest.mark.parametrize("name", IMPORTS)
async def test_an_import_that_loses_the_database_is_done_when_it_is_back(stand: Stand, name: str) -> None:
    scenario = IMPORTS[name]
    await sweep(stand, scenario, drawn(losses(await calls_of(stand, scenario)), 1))


@pytest.mark.parametrize("name", IMPORTS)
async def test_a_worker_that_stood_still_finds_its_import_done_and_leaves_it(stand: Stand, name: str) -> None:
    scenario = IMPORTS[name]
    await sweep_standing_still(stand, scenario, drawn(standstills(await calls_of(stand, scenario)), 1))


@pytest.mark.parametrize("state", HIDING)
@pytest.mark.parametrize("name", ["first of three formats", "rebuilt", "further formats"])
async def test_what_is_hidden_while_its_import_lies_dead_stays_hidden(stand: Stand, name: str, state: RecordingState) -> None:
    scenario = IMPORTS[name]
    await sweep_with_change(stand, scenario, drawn(deaths(await calls_of(stand, scenario)), 2), HIDING[state], state)


@pytest.mark.parametrize("name", ["first of three formats", "rebuilt", "further formats"])
async def test_a_worker_that_stood_still_brings_nothing_back_that_was_hidden_since(stand: Stand, name: str) -> None:
    scenario = IMPORTS[name]
    faults = drawn(standstills(await calls_of(stand, scenario)), 1)
    await sweep_standing_still_with_change(stand, scenario, faults, unpublished, RecordingState.UNPUBLISHED)


@pytest.mark.parametrize("name", IMPORTS)
async def test_what_an_import_relies_on_outlives_a_power_cut(stand: Stand, name: str) -> None:
    calls = await calls_of(stand, IMPORTS[name])
    assert {"commit", "fsync"} <= {call.operation for call in calls}
    PowerCut(stand.library.storage).follow(calls)


def _fill(filler: Path, *, leaving: int) -> None:
    """Takes all room but so many bytes."""
    free = os.statvfs(filler.parent)
    filler.write_bytes(bytes(free.f_bavail * free.f_bsize - leaving))


@pytest.fixture
def small_storage(tmp_path: Path) -> Iterator[Path]:
    """A file system that has room for little."""
    directory = tmp_path / "small"
    directory.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", directory], check=False, capture_output=True)
    if mounted.returncode:
        pytest.skip("needs the right to mount a tmpfs: run the tests as root")
    yield directory
    subprocess.run(["umount", directory], check=True)


async def test_an_import_waits_while_the_storage_is_full(
    fault_server: FaultServer, database: Database, small_storage: Path
) -> None:
    stand = await made_stand(fault_server, database, small_storage)
    scenario = IMPORTS["rebuilt"]
    for room in range(0, 160_000, 160_000 // effort(8)):
        await stand.prepare(scenario)
        filler = small_storage / "filler"
        _fill(filler, leaving=room)
        await stand.library.take_in()
        seen = await stand.look()
        require_nothing_broken(scenario, seen, stand.key, is_acknowledged=False)
        assert room > 100_000 or [each.reason for each in seen.imports if each.reason] == ["storage_error"]
        filler.unlink()
        await stand.recover()
        await require_recovered(stand, scenario, [scenario.after])
