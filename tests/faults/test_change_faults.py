"""Changes of recordings that end at any of their calls: what was hidden stays hidden, and no recording is split."""

from pathlib import Path

import pytest

from meetingpool.database.engine import Database
from meetingpool.domain.recordings import RecordingState
from meetingpool.operations.change_recordings import deleted, published, unpublished
from tests.faults.storage.calls import PowerCut
from tests.faults.storage.scenarios import CHANGES
from tests.faults.storage.server import FaultServer
from tests.faults.storage.stand import Stand, made_stand
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

CHANGE_TO = {RecordingState.PUBLISHED: published, RecordingState.UNPUBLISHED: unpublished, RecordingState.DELETED: deleted}
SECOND_THOUGHTS = [
    ("publish", RecordingState.UNPUBLISHED),
    ("publish", RecordingState.DELETED),
    ("unpublish", RecordingState.PUBLISHED),
    ("unpublish", RecordingState.DELETED),
]


@pytest.fixture
async def stand(fault_server: FaultServer, database: Database, tmp_path: Path) -> Stand:
    return await made_stand(fault_server, database, tmp_path / "data")


@pytest.mark.parametrize("name", CHANGES)
async def test_a_change_whose_worker_is_killed_is_completed_by_the_next_one(stand: Stand, name: str) -> None:
    scenario = CHANGES[name]
    await sweep(stand, scenario, drawn(deaths(await calls_of(stand, scenario)), 3))


@pytest.mark.parametrize(("name", "state"), SECOND_THOUGHTS)
async def test_a_change_counts_whose_predecessor_was_killed_half_way(stand: Stand, name: str, state: RecordingState) -> None:
    scenario = CHANGES[name]
    await sweep_with_change(stand, scenario, drawn(deaths(await calls_of(stand, scenario)), 2), CHANGE_TO[state], state)


@pytest.mark.parametrize("name", CHANGES)
async def test_a_change_whose_calls_fail_is_completed_when_they_work_again(stand: Stand, name: str) -> None:
    scenario = CHANGES[name]
    await sweep(stand, scenario, drawn(failures(await calls_of(stand, scenario)), 3))


@pytest.mark.parametrize("name", CHANGES)
async def test_a_change_that_loses_the_database_is_completed_when_it_is_back(stand: Stand, name: str) -> None:
    scenario = CHANGES[name]
    await sweep(stand, scenario, drawn(losses(await calls_of(stand, scenario)), 1))


@pytest.mark.parametrize("name", CHANGES)
async def test_a_worker_that_stood_still_finds_its_change_done_and_leaves_it(stand: Stand, name: str) -> None:
    scenario = CHANGES[name]
    await sweep_standing_still(stand, scenario, drawn(standstills(await calls_of(stand, scenario)), 1))


@pytest.mark.parametrize(("name", "state"), SECOND_THOUGHTS)
async def test_a_worker_that_stood_still_undoes_nothing_that_was_changed_since(
    stand: Stand, name: str, state: RecordingState
) -> None:
    scenario = CHANGES[name]
    faults = drawn(standstills(await calls_of(stand, scenario)), 1)
    await sweep_standing_still_with_change(stand, scenario, faults, CHANGE_TO[state], state)


@pytest.mark.parametrize("name", CHANGES)
async def test_what_a_change_relies_on_outlives_a_power_cut(stand: Stand, name: str) -> None:
    calls = await calls_of(stand, CHANGES[name])
    assert {"commit", "fsync"} <= {call.operation for call in calls}
    PowerCut(stand.library.storage).follow(calls)
