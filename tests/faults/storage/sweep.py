"""Sweeps over the calls of an operation: at each of them a fault, then recovery, and a look at what is there.

A usual run draws some of the calls; with TEST_EFFORT=100 it is all of them.
"""

import errno
import random
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TypeVar

from meetingpool.domain.recordings import LOCATION_OF, Location, RecordingState
from meetingpool.operations.change_recordings import Edit
from tests.effort import effort
from tests.faults.storage.calls import Call, count, read_log
from tests.faults.storage.scenarios import Scenario, Shelf
from tests.faults.storage.server import Ran
from tests.faults.storage.shim import Counted, Fault, Outcome
from tests.faults.storage.stand import Stand, require_nothing_broken, require_recovered

ALL_CALLS = Counted.CHANGE | Counted.SOCKET | Counted.LOOK
OF_FILES = Counted.CHANGE | Counted.LOOK
ERRORS = (errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.ETIMEDOUT)
_EVERYTHING = 100
_STATUS = {Outcome.KILL: -signal.SIGKILL, Outcome.STOP: -signal.SIGSTOP}

Case = TypeVar("Case")


def drawn(cases: Sequence[Case], usual: int) -> list[Case]:
    """As many of the cases as this run can afford. The same in every run: what fails, fails for everybody."""
    if effort(1) >= _EVERYTHING or effort(usual) >= len(cases):
        return list(cases)
    return random.Random(len(cases)).sample(cases, effort(usual))


async def calls_of(stand: Stand, scenario: Scenario) -> list[Call]:
    """The calls of the operation when nothing goes wrong."""
    log = stand.library.settings.data_dir.with_suffix(".calls")
    await stand.prepare(scenario)
    ran = await stand.run(scenario, Fault(counted=ALL_CALLS), log)
    calls = read_log(log)
    assert ran.calls == len(calls)
    return calls


def deaths(calls: Sequence[Call]) -> list[Fault]:
    """The process is killed before a call."""
    counted = Counted.CHANGE | Counted.SOCKET
    return [Fault(counted=counted, at=at, outcome=Outcome.KILL) for at in range(1, count(calls, counted) + 1)]


def standstills(calls: Sequence[Call]) -> list[Fault]:
    """The process stands still before a call."""
    return [Fault(counted=ALL_CALLS, at=at, outcome=Outcome.STOP) for at in range(1, count(calls, ALL_CALLS) + 1)]


def failures(calls: Sequence[Call]) -> list[Fault]:
    """A call fails with each of the errors once, or with one of them, and all after it too."""
    total = count(calls, OF_FILES)
    once = [_failure(at, error) for at in range(1, total + 1) for error in ERRORS]
    return once + [replace(_failure(at, ERRORS[at % len(ERRORS)]), stays=True) for at in range(1, total + 1)]


def losses(calls: Sequence[Call]) -> list[Fault]:
    """The connection to the database breaks: before a statement is sent, or before its answer is there."""
    numbers = range(1, count(calls, Counted.SOCKET) + 1)
    lost = [Fault(counted=Counted.SOCKET, at=at, outcome=Outcome.LOSE) for at in numbers]
    return lost + [replace(_failure(at, errno.ECONNRESET), counted=Counted.SOCKET) for at in numbers]


async def sweep(stand: Stand, scenario: Scenario, faults: Sequence[Fault]) -> None:
    """After each fault nothing is broken, and recovery makes it as it was asked for."""
    for fault in faults:
        async with _faulty(stand, scenario, fault) as ran:
            require_nothing_broken(scenario, await stand.look(), stand.key, is_acknowledged=ran.is_acknowledged)
            await stand.recover(trash_days=_trash_days(scenario))
            await require_recovered(stand, scenario, _shelves(scenario, ran))


async def sweep_with_change(
    stand: Stand, scenario: Scenario, faults: Sequence[Fault], change: Edit, state: RecordingState
) -> None:
    """The same when a front end asks for something else before anybody has recovered: that is what comes of it."""
    for fault in faults:
        async with _faulty(stand, scenario, fault):
            is_there = await stand.change(change)
            seen = await stand.look()
            is_shown = seen.entry is not None and seen.entry.recording.state is RecordingState.PUBLISHED
            assert not (is_there and is_shown) or state is RecordingState.PUBLISHED
            await stand.recover()
            if not is_there:
                await require_recovered(stand, scenario, [scenario.after])
            elif scenario.delivered and state is RecordingState.DELETED:
                await _require_deleted(stand)
            else:
                await require_recovered(stand, scenario, [Shelf(state, scenario.after.formats)])


async def sweep_standing_still(stand: Stand, scenario: Scenario, faults: Sequence[Fault]) -> None:
    """A worker stands still until another one has done its work, and goes on then: what it moves too late is moved back."""
    for fault in faults:
        async with _faulty(stand, scenario, fault) as stood:
            await stand.recover(trash_days=_trash_days(scenario))
            went_on = await stand.go_on()
            assert went_on.status == 0
            await stand.recover(trash_days=_trash_days(scenario))
            await require_recovered(stand, scenario, _shelves(scenario, stood, went_on))


async def sweep_standing_still_with_change(
    stand: Stand, scenario: Scenario, faults: Sequence[Fault], change: Edit, state: RecordingState
) -> None:
    """The same when a front end asks for something else meanwhile, and that is done: it stays done."""
    for fault in faults:
        async with _faulty(stand, scenario, fault):
            is_there = await stand.change(change)
            await stand.recover()
            went_on = await stand.go_on()
            assert went_on.status == 0
            await stand.recover()
            seen = await stand.look()
            assert seen.entry is not None
            if is_there and seen.entry.wanted is state:
                await require_recovered(stand, scenario, [Shelf(state, scenario.after.formats)])
            else:
                await require_recovered(stand, scenario, [scenario.after])


def _shelves(scenario: Scenario, *ran: Ran) -> list[Shelf]:
    """What may come of it: what was asked for, and if nobody was told that it will, what was there before."""
    is_certain = scenario.delivered or scenario.operation == "purge" or any(each.is_acknowledged for each in ran)
    return [scenario.after] if is_certain or not scenario.before else [scenario.before, scenario.after]


def _trash_days(scenario: Scenario) -> int:
    return 0 if scenario.operation == "purge" else 7


async def _require_deleted(stand: Stand) -> None:
    """What of the recording was in the library is in the trash; its archive may wait for somebody to say what is to be done."""
    seen = await stand.look()
    assert seen.entry is not None
    assert seen.entry.is_settled
    assert {location for location, trees in seen.trees.items() if trees} <= {LOCATION_OF[RecordingState.DELETED]}
    assert {each.format.name for each in seen.entry.placed} == set(seen.trees[Location.TRASH])
    assert stand.library.leftovers == []


def _failure(at: int, error: int) -> Fault:
    return Fault(counted=OF_FILES, at=at, outcome=Outcome.FAIL, error=error)


@asynccontextmanager
async def _faulty(stand: Stand, scenario: Scenario, fault: Fault) -> AsyncIterator[Ran]:
    """One run. What goes wrong afterwards says which fault it was."""
    await stand.prepare(scenario)
    ran = await stand.run(scenario, fault)
    try:
        assert ran.status == _STATUS.get(fault.outcome, 0)
        yield ran
    except Exception as error:
        error.add_note(f"after {fault}")
        raise
