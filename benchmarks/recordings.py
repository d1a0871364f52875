"""What getRecordings costs in a large library: the CPU of the gateway and of PostgreSQL per request, beside the bare route.

As `calls.py` measures the calls about meetings.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.calls import (
    QUICK_REQUESTS,
    REQUESTS,
    Bench,
    Call,
    CallCost,
    PathOf,
    bare_route,
    measure_rounds,
    running_gateway,
    signed,
)
from benchmarks.cpu import memory_of, peak_memory_of
from benchmarks.library import fill_library
from benchmarks.load import Job, ask
from benchmarks.pool import filled_pool
from benchmarks.processes import ProcessFailed

RECORDINGS, ROOMS = 100_000, 10_000
IN_ROOM = RECORDINGS // ROOMS


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingCosts:
    """`bare`: seconds of CPU of the bare route per request; `memory_of_list`: bytes that the gateway takes to list all."""

    costs: list[CallCost]
    bare: float
    memory_of_list: int


async def measure_recordings(*, quick: bool) -> RecordingCosts:
    """The cost of getRecordings by what is asked for."""
    requests = QUICK_REQUESTS if quick else REQUESTS
    async with filled_pool(servers=1, meetings=1, people=1) as pool, bare_route() as bare:
        connection = await pool.database.acquire()
        await fill_library(connection, RECORDINGS, rooms=ROOMS)
        await pool.database.release(connection)
        async with running_gateway(pool, freshness=0) as gateway:
            bench = Bench(pool=pool, gateway=gateway, fresh_gateway=gateway, bare=bare)
            memory_of_list = await _memory_of_list(bench)
            costs = {call.name: CallCost(name=call.name, goal=call.goal) for call in calls()}
            bare_costs = await measure_rounds(bench, calls(), requests, costs)
    return RecordingCosts(costs=list(costs.values()), bare=median(bare_costs), memory_of_list=memory_of_list)


def calls() -> Sequence[Call]:
    hit = "<recordID>"
    return (
        Call(name="by meetingID, 10 found", goal=25, path=_rooms(1), expected=hit, times=IN_ROOM, servers=1),
        Call(
            name="by 25 meetingIDs, 250 found", goal=None, path=_rooms(25), expected=hit, times=25 * IN_ROOM, share=0.2, servers=1
        ),
        Call(name="by 100 meetingIDs, 1,000 found", goal=300, path=_rooms(100), expected=hit, times=1000, share=0.05, servers=1),
        Call(name="by metadata, 10 found", goal=None, path=_metadata, expected=hit, times=IN_ROOM, servers=1),
        Call(name="a page of 25, the newest", goal=None, path=_page, expected=hit, times=25, share=0.02, servers=1),
    )


def _rooms(count: int) -> PathOf:
    return lambda n: signed("getRecordings", ("meetingID", ",".join(f"room-{(n * count + k) % ROOMS}" for k in range(count))))


def _metadata(n: int) -> str:
    return signed("getRecordings", ("meta_room", f"room-{n % ROOMS}"))


def _page(n: int) -> str:
    return signed("getRecordings", ("limit", "25"), ("offset", str(25 * (n % 20))))


async def _memory_of_list(bench: Bench) -> int:
    """By how many bytes a gateway grows that lists the whole library to somebody. Raises ProcessFailed."""
    # What the first request loads is no part of it.
    await ask(Job(port=bench.gateway.port, paths=[_page(0)], concurrency=1, expected="<recordID>", times=25))
    before = memory_of(bench.gateway.pid)
    whole = Job(port=bench.gateway.port, paths=[signed("getRecordings")], concurrency=1, expected="<recordID>", times=RECORDINGS)
    outcome = await ask(whole)
    if outcome.wrong:
        raise ProcessFailed(f"the list of all recordings began with: {outcome.first_wrong}")
    return peak_memory_of(bench.gateway.pid) - before
