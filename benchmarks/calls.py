"""What each call costs: the CPU of the gateway and of PostgreSQL per request.

The reference is one bare Starlette route under the same web server, measured again before each
call, so that a machine that is busy for a while is so for both.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import NamedTuple

from benchmarks.cpu import cpu_of, memory_of
from benchmarks.fleet import ATTENDEE_PASSWORD, MODERATOR_PASSWORD
from benchmarks.load import Job, ask
from benchmarks.neighbours import CLIENTS, hung_meeting, share_beside_hung_clients
from benchmarks.pool import SECRET_KEY, FilledPool, filled_pool
from benchmarks.processes import ProcessFailed, free_port, running_module, wait_for_port
from meetingpool.bbb.client import signed_url
from meetingpool.domain.servers import AdminState

SERVERS, MEETINGS, PEOPLE = 100, 5, 10
FEW_SERVERS = 10
ENDPOINT = "/bigbluebutton/api"
SECRET = "front-end-secret"
REQUESTS, QUICK_REQUESTS = 2000, 200
ROUNDS = 3
LIST_TRIES, LIST_PAUSE = 50, 0.1

PathOf = Callable[[int], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One row of the table. `path` of the n-th request; `share` of the usual number of requests; `goal` for the ratio, if any.

    `fresh`: asked of the gateway whose answers serve again for a second; `is_rush`: it makes or ends thousands of meetings,
    and is measured when what is about known meetings has been.
    """

    name: str
    goal: float | None
    path: PathOf
    expected: str
    times: int = 1
    concurrency: int = 8
    share: float = 1.0
    servers: int = SERVERS
    fresh: bool = False
    is_rush: bool = False


@dataclass(slots=True)
class CallCost:
    """Seconds of CPU per request, one figure for each round, and the ratio to the bare route just before."""

    name: str
    goal: float | None
    requests: int = 0
    errors: int = 0
    first_error: str = ""
    gateway: list[float] = field(default_factory=list)
    database: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        return median(self.ratios)

    @property
    def database_share(self) -> float:
        """The part of the cost that is PostgreSQL's."""
        both = [gateway + database for gateway, database in zip(self.gateway, self.database, strict=True)]
        return median(part / whole for part, whole in zip(self.database, both, strict=True))


class Listening(NamedTuple):
    pid: int
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """The running processes: two gateways on `pool`, of which one lets answers serve again, and the bare route."""

    pool: FilledPool
    gateway: Listening
    fresh_gateway: Listening
    bare: Listening


@dataclass(frozen=True, slots=True, kw_only=True)
class CallCosts:
    """What was measured of calls.

    `bare`: seconds of CPU of the bare route per request; `memory`: bytes of the gateway after the calls about known meetings;
    `memory_after_rush`: after thousands of new ones; `beside_hung`: the rate of calls beside clients of a server that hangs, as a
    part of the rate without them.
    """

    costs: list[CallCost]
    bare: float
    memory: int
    memory_after_rush: int
    beside_hung: float


async def measure_calls(*, quick: bool) -> CallCosts:
    """The cost of every call, and what goes with it."""
    requests = QUICK_REQUESTS if quick else REQUESTS
    async with _bench() as bench:
        catalogue = calls(bench.pool)
        costs = {call.name: CallCost(name=call.name, goal=call.goal) for call in catalogue}
        of_known = [call for call in catalogue if not call.is_rush]
        bare = await measure_rounds(bench, of_known, requests, costs)
        memory = memory_of(bench.gateway.pid)
        beside_hung = await _beside_hung(bench, requests)
        bare += await measure_rounds(bench, [call for call in catalogue if call.is_rush], requests, costs)
        memory_after_rush = memory_of(bench.gateway.pid)
    return CallCosts(
        costs=list(costs.values()),
        bare=median(bare),
        memory=memory,
        memory_after_rush=memory_after_rush,
        beside_hung=beside_hung,
    )


async def measure_rounds(bench: Bench, catalogue: Sequence[Call], requests: int, costs: dict[str, CallCost]) -> list[float]:
    """Measures the calls in several rounds. The first opens connections and prepares statements; it is not counted."""
    await _measure_round(bench, catalogue, QUICK_REQUESTS, 0, {})
    return [await _measure_round(bench, catalogue, requests, number + 1, costs) for number in range(ROUNDS)]


async def _beside_hung(bench: Bench, requests: int) -> float:
    hung = [signed("getMeetingInfo", ("meetingID", hung_meeting(number))) for number in range(CLIENTS)]
    known = [next(iter(server.meetings)) for server in bench.pool.servers]
    paths = [signed("isMeetingRunning", ("meetingID", known[n % len(known)])) for n in range(requests)]
    others = Job(port=bench.gateway.port, paths=paths, concurrency=8, expected="<running>true</running>")
    return await share_beside_hung_clients(bench.pool, bench.gateway.port, hung, others)


def calls(pool: FilledPool) -> Sequence[Call]:
    """In this order: what create new has made is ended by end, and forgotten after the round, so that each begins alike."""
    # One meeting of each server, then the next of each: neighbours in time are on different servers, as in life.
    known = [list(server.meetings)[number] for number in range(MEETINGS) for server in pool.servers]

    def about_known(call: str, *parameters: tuple[str, str]) -> PathOf:
        return lambda n: signed(call, ("meetingID", known[n % len(known)]), *parameters)

    def about_new(call: str, *parameters: tuple[str, str]) -> PathOf:
        return lambda n: signed(call, ("meetingID", f"new-meeting-{n}"), *parameters)

    passwords = (("attendeePW", ATTENDEE_PASSWORD), ("moderatorPW", MODERATOR_PASSWORD))
    join = (("fullName", "A Person"), ("password", ATTENDEE_PASSWORD), ("redirect", "true"))
    create = (("name", "A room"), *passwords, ("meta_origin", "benchmark"))
    end = ("password", MODERATOR_PASSWORD)
    return (
        Call(name="refused checksum", goal=2.5, path=_refused(about_known("join", *join)), expected="checksumError"),
        Call(name="join", goal=3, path=about_known("join", *join), expected="HTTP/1.1 302 "),
        Call(name="isMeetingRunning", goal=5, path=about_known("isMeetingRunning"), expected="<running>true</running>"),
        Call(
            name="isMeetingRunning, fresh",
            goal=3,
            path=lambda n: signed("isMeetingRunning", ("meetingID", known[n % 20])),
            expected="<running>true</running>",
            fresh=True,
        ),
        Call(name="getMeetingInfo", goal=6, path=about_known("getMeetingInfo"), expected="<attendee>", times=PEOPLE),
        *_get_meetings(SERVERS, goal=150, share=0.04),
        *_get_meetings(FEW_SERVERS, goal=15, share=0.2),
        Call(
            name="getMeetings, 10 servers, fresh",
            goal=5,
            path=lambda _: signed("getMeetings"),
            expected="<meeting>",
            times=FEW_SERVERS * MEETINGS,
            servers=FEW_SERVERS,
            fresh=True,
        ),
        Call(name="create, existing", goal=8, path=about_known("create", *create), expected="duplicateWarning"),
        Call(
            name="create, new", goal=40, path=about_new("create", *create), expected="<messageKey/>", concurrency=64, is_rush=True
        ),
        Call(name="end", goal=None, path=about_new("end", end), expected="sentEndMeetingRequest", is_rush=True),
    )


def _get_meetings(servers: int, *, goal: float, share: float) -> Sequence[Call]:
    """At the usual concurrency, and one by one: then nothing can be shared between requests in flight at the same moment."""
    call = Call(
        name=f"getMeetings, {servers} servers",
        goal=goal,
        path=lambda _: signed("getMeetings"),
        expected="<meeting>",
        times=servers * MEETINGS,
        share=share,
        servers=servers,
    )
    return call, replace(call, name=f"{call.name}, alone", goal=None, concurrency=1, share=share / 2)


def signed(call: str, *parameters: tuple[str, str]) -> str:
    return signed_url(ENDPOINT, SECRET, call, parameters)


def _refused(path: PathOf) -> PathOf:
    return lambda n: f"{path(n)[:-8]}00000000"


@contextlib.asynccontextmanager
async def _bench() -> AsyncIterator[Bench]:
    async with (
        filled_pool(servers=SERVERS, meetings=MEETINGS, people=PEOPLE) as pool,
        bare_route() as bare,
        running_gateway(pool, freshness=0) as gateway,
        running_gateway(pool, freshness=1) as fresh_gateway,
    ):
        yield Bench(pool=pool, gateway=gateway, fresh_gateway=fresh_gateway, bare=bare)


@contextlib.asynccontextmanager
async def bare_route() -> AsyncIterator[Listening]:
    """What all calls are compared with."""
    port = free_port()
    async with running_module("benchmarks.bare_route", str(port)) as bare:
        await wait_for_port(port, bare)
        yield Listening(bare.pid, port)


@contextlib.asynccontextmanager
async def running_gateway(pool: FilledPool, *, freshness: float) -> AsyncIterator[Listening]:
    """A gateway on the pool's database."""
    port = free_port()
    environment = {
        "MEETINGPOOL_DATABASE_URL": pool.url,
        "MEETINGPOOL_PORT": str(port),
        "MEETINGPOOL_LOADBALANCER_SECRET": SECRET,
        "MEETINGPOOL_SECRET_KEY": SECRET_KEY,
        "MEETINGPOOL_DRAIN_DELAY": "0",
        "MEETINGPOOL_FRESHNESS": str(freshness),
    }
    async with running_module("gateway", environment=environment) as gateway:
        await wait_for_port(port, gateway)
        yield Listening(gateway.pid, port)


async def _measure_round(
    bench: Bench, catalogue: Sequence[Call], requests: int, number: int, costs: dict[str, CallCost]
) -> float:
    """Measures every call once, each right after the bare route. Returns the median seconds of CPU of a bare request."""
    bare_costs = []
    for call in catalogue:
        bare = await _bare_cost(bench, requests)
        bare_costs.append(bare)
        paths = [call.path(number * REQUESTS + n) for n in range(max(5, round(requests * call.share)))]
        async with _only(bench, bench.fresh_gateway if call.fresh else bench.gateway, call.servers):
            cost = await _cost(bench, call, paths)
        if total := costs.get(call.name):
            _add(total, cost, bare)
    await bench.pool.forget_ended()
    return median(bare_costs)


async def _bare_cost(bench: Bench, requests: int) -> float:
    began = cpu_of(bench.bare.pid)
    outcome = await ask(Job(port=bench.bare.port, paths=["/ok"] * (requests * 2), concurrency=8, expected="\r\n\r\nok"))
    if outcome.wrong:
        raise ProcessFailed(f"the bare route answered: {outcome.first_wrong}")
    return (cpu_of(bench.bare.pid) - began) / (requests * 2)


async def _cost(bench: Bench, call: Call, paths: list[str]) -> CallCost:
    gateway = bench.fresh_gateway if call.fresh else bench.gateway
    job = Job(port=gateway.port, paths=paths, concurrency=call.concurrency, expected=call.expected, times=call.times)
    began = cpu_of(gateway.pid), bench.pool.database_cpu()
    outcome = await ask(job)
    return CallCost(
        name=call.name,
        goal=call.goal,
        requests=len(paths),
        errors=outcome.wrong,
        first_error=outcome.first_wrong,
        gateway=[(cpu_of(gateway.pid) - began[0]) / len(paths)],
        database=[(bench.pool.database_cpu() - began[1]) / len(paths)],
    )


def _add(total: CallCost, cost: CallCost, bare: float) -> None:
    total.requests += cost.requests
    total.errors += cost.errors
    total.first_error = total.first_error or cost.first_error
    total.gateway += cost.gateway
    total.database += cost.database
    total.ratios.append((cost.gateway[0] + cost.database[0]) / bare)


@contextlib.asynccontextmanager
async def _only(bench: Bench, gateway: Listening, servers: int) -> AsyncIterator[None]:
    """Only the first so many servers are in use meanwhile, and `gateway` knows."""
    others = bench.pool.servers[servers:]
    if not others:
        yield
        return
    await bench.pool.set_admin_state(others, AdminState.DISABLED)
    await _until_listed(gateway, servers * MEETINGS)
    try:
        yield
    finally:
        await bench.pool.set_admin_state(others, AdminState.ENABLED)
        await _until_listed(gateway, SERVERS * MEETINGS)


async def _until_listed(gateway: Listening, meetings: int) -> None:
    """Until getMeetings of the gateway lists so many. Raises ProcessFailed."""
    job = Job(port=gateway.port, paths=[signed("getMeetings")], concurrency=1, expected="<meeting>", times=meetings)
    for _ in range(LIST_TRIES):
        if not (await ask(job)).wrong:
            return
        await asyncio.sleep(LIST_PAUSE)
    raise ProcessFailed("the gateway does not see which servers are in use")
