"""What the first page of the dashboard costs in a large pool: the CPU of the gateway and of PostgreSQL for each server on it.

The reference is the bare route of `calls.py`, measured again before each round.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

from benchmarks.calls import Listening, bare_route, running_gateway
from benchmarks.cpu import cpu_of, memory_of
from benchmarks.load import Job, ask
from benchmarks.pool import FilledPool, filled_pool
from benchmarks.processes import ProcessFailed
from meetingpool.database.engine import Connection
from meetingpool.domain.access import Role
from meetingpool.domain.audit import Actor, ActorKind
from meetingpool.operations.api_tokens import create_token, sign_in
from meetingpool.operations.changes import changing

SERVERS, MEETINGS_EACH = 200, 10
# For each server on the page, as a ratio to a bare request.
GOAL = 10
PAGES, QUICK_PAGES = 40, 5
ROUNDS = 3
_BARE_REQUESTS = 2000

_FILL_SERVERS = """
    INSERT INTO servers
        (id, url, secret, admin_state, health, load, meetings, users, largest_meeting, videos, bbb_version, last_poll, tags)
    SELECT 'bbb' || number, 'https://bbb' || number || '.example.org/bigbluebutton/api/', 'a secret', 'enabled', 'online',
        number, $2, number, 12, 3, '3.0.19', now(), ARRAY['big', 'eu']
    FROM generate_series(1, $1::int) AS number
"""
_FILL_MEETINGS = """
    INSERT INTO meetings (tenant, meeting_id, host_id, server_id, state, users, expected_users)
    SELECT 'default', id, id, 'bbb' || server, 'live', 10, 10
    FROM (SELECT server, 'meeting-' || server || '-' || number AS id
        FROM generate_series(1, $1::int) AS server, generate_series(1, $2::int) AS number) AS named
"""
_FILL_SAMPLES = """
    INSERT INTO server_samples (server_id, at, health, load, meetings, users)
    SELECT id, at, 'online', 10, 5, extract(hour FROM at)::int
    FROM (SELECT id FROM servers UNION ALL SELECT '') AS seen, generate_series($1::timestamptz, now(), interval '5 minutes') AS at
"""


@dataclass(slots=True)
class DashboardCost:
    """Seconds of CPU: of the bare route, of each page in the gateway and in PostgreSQL. Bytes of memory before and after."""

    bare: list[float] = field(default_factory=list)
    gateway: list[float] = field(default_factory=list)
    database: list[float] = field(default_factory=list)
    errors: int = 0
    first_error: str = ""
    memory_before: int = 0
    memory_after: int = 0

    @property
    def ratio(self) -> float:
        """Of one server on the page to a bare request."""
        ratios = [(ours + theirs) / bare for bare, ours, theirs in zip(self.bare, self.gateway, self.database, strict=True)]
        return median(ratios) / SERVERS


async def measure_dashboard(*, quick: bool) -> DashboardCost:
    async with filled_pool(servers=1, meetings=1, people=1) as pool, bare_route() as bare:
        async with pool.database.transaction() as connection:
            await _fill(connection)
        async with running_gateway(pool, freshness=0) as gateway:
            headers, cost = f"Cookie: meetingpool={await _session(pool)}\r\n", DashboardCost()
            cost.memory_before = memory_of(gateway.pid)
            # What the first request loads is no part of a page.
            await _pages(gateway, 2, headers, cost)
            for _ in range(ROUNDS):
                await _measure_round(pool, bare, gateway, QUICK_PAGES if quick else PAGES, headers, cost)
            cost.memory_after = memory_of(gateway.pid)
    return cost


def dashboard_table(cost: DashboardCost) -> str:
    verdict = "met" if cost.ratio <= GOAL else "missed"
    ours, theirs, bare = (1000 * median(each) for each in (cost.gateway, cost.database, cost.bare))
    lines = [
        f"The first page of the dashboard, with {SERVERS} servers, {SERVERS * MEETINGS_EACH} meetings and a day of history",
        "",
        f"CPU of a page: {ours:.1f} ms in the gateway, {theirs:.1f} ms in PostgreSQL",
        f"for each server, as a ratio to a bare route ({1000 * bare:.0f} us): {cost.ratio:.1f}, goal {GOAL}: {verdict}",
        f"memory of the gateway in MB: {cost.memory_before / 1e6:.0f} before the first page, {cost.memory_after / 1e6:.0f} after",
    ]
    return "\n".join([*lines, *([f"a wrong answer: {cost.first_error}"] if cost.errors else [])])


def dashboard_json(cost: DashboardCost) -> dict[str, Any]:
    """All times in seconds of CPU, memory in bytes."""
    return {
        "bare_route": cost.bare,
        "gateway": cost.gateway,
        "database": cost.database,
        "ratio": cost.ratio,
        "goal": GOAL,
        "errors": cost.errors,
        "memory_before": cost.memory_before,
        "memory_after": cost.memory_after,
    }


async def _fill(connection: Connection) -> None:
    await connection.execute(_FILL_SERVERS, SERVERS - 1, MEETINGS_EACH)
    await connection.execute(_FILL_MEETINGS, SERVERS - 1, MEETINGS_EACH)
    await connection.execute(_FILL_SAMPLES, datetime.now(UTC) - timedelta(days=1))


async def _session(pool: FilledPool) -> str:
    async with changing(pool.database, Actor(kind=ActorKind.SYSTEM, name="benchmark")) as change:
        return await sign_in(change, (await create_token(change, "benchmark", Role.ADMIN)).token)


async def _measure_round(
    pool: FilledPool, bare: Listening, gateway: Listening, pages: int, headers: str, cost: DashboardCost
) -> None:
    began = cpu_of(bare.pid)
    outcome = await ask(Job(port=bare.port, paths=["/ok"] * _BARE_REQUESTS, concurrency=8, expected="\r\n\r\nok"))
    if outcome.wrong:
        raise ProcessFailed(f"the bare route answered: {outcome.first_wrong}")
    cost.bare.append((cpu_of(bare.pid) - began) / _BARE_REQUESTS)
    before = cpu_of(gateway.pid), pool.database_cpu()
    await _pages(gateway, pages, headers, cost)
    cost.gateway.append((cpu_of(gateway.pid) - before[0]) / pages)
    cost.database.append((pool.database_cpu() - before[1]) / pages)


async def _pages(gateway: Listening, count: int, headers: str, cost: DashboardCost) -> None:
    job = Job(
        port=gateway.port, paths=["/dashboard"] * count, concurrency=2, expected='<tr id="server-', times=SERVERS, headers=headers
    )
    outcome = await ask(job)
    cost.errors += outcome.wrong
    cost.first_error = cost.first_error or outcome.first_wrong
