"""A pool to measure: simulated servers full of meetings, and a durable PostgreSQL that knows all of them."""

import contextlib
import json
import tempfile
from collections.abc import AsyncIterator, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import insert, text

from benchmarks.cpu import cpu_of_family, parent_of
from benchmarks.processes import first_line, running_module
from meetingpool.database import migrate, tables
from meetingpool.database.embedded import acquire_embedded
from meetingpool.database.engine import Database
from meetingpool.database.servers import update_server
from meetingpool.domain.meetings import DEFAULT_TENANT, MeetingState
from meetingpool.domain.servers import AdminState, Health, ServerId

# What a gateway counts on for a meeting of this size: its people.
EXPECTED_USERS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FilledServer:
    """One simulated server and the ids of its meetings."""

    id: ServerId
    url: str
    secret: str
    meetings: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FilledPool:
    """`postmaster`: the process id of PostgreSQL; `own_backend`: of the PostgreSQL process that serves the benchmark itself."""

    servers: tuple[FilledServer, ...]
    database: Database
    postmaster: int
    own_backend: int

    @property
    def url(self) -> str:
        return self.database.url

    def database_cpu(self) -> float:
        """Seconds of CPU of all PostgreSQL processes but the benchmark's own."""
        return cpu_of_family(self.postmaster, without={self.own_backend})

    async def set_admin_state(self, servers: Iterable[FilledServer], state: AdminState) -> None:
        async with self.database.transaction() as connection:
            for server in servers:
                await update_server(connection, server.id, {"admin_state": state})


@contextlib.asynccontextmanager
async def filled_pool(*, servers: int, meetings: int, people: int) -> AsyncIterator[FilledPool]:
    """Enabled servers with `meetings` each, of so many `people`, every meeting mapped. Nothing of it is left at the end."""
    async with contextlib.AsyncExitStack() as stack:
        fleet = await stack.enter_async_context(running_module("benchmarks.fleet", *map(str, (servers, meetings, people))))
        filled = tuple(
            FilledServer(id=ServerId(each["id"]), url=each["url"], secret=each["secret"], meetings=tuple(each["meetings"]))
            for each in json.loads(await first_line(fleet))
        )
        database_url = stack.enter_context(_database_url())
        await migrate.upgrade(database_url)
        database = Database(database_url, name="benchmark", pool_size=1)
        stack.push_async_callback(database.close)
        await _insert(database, filled)
        async with database.transaction() as connection:
            own_backend = int((await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one())
        yield FilledPool(servers=filled, database=database, postmaster=parent_of(own_backend), own_backend=own_backend)


@contextlib.contextmanager
def _database_url() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="meetingpool-benchmark-") as directory:
        embedded = acquire_embedded(Path(directory))
        try:
            yield embedded.url
        finally:
            embedded.release()


async def _insert(database: Database, servers: Collection[FilledServer]) -> None:
    server_rows = [
        {"id": server.id, "url": server.url, "secret": server.secret, "admin_state": AdminState.ENABLED, "health": Health.ONLINE}
        for server in servers
    ]
    meeting_rows = [
        {
            "tenant": DEFAULT_TENANT,
            "meeting_id": meeting,
            "host_id": meeting,
            "server_id": server.id,
            "state": MeetingState.LIVE,
            "internal_id": f"internal-{meeting}",
            "expected_users": EXPECTED_USERS,
        }
        for server in servers
        for meeting in server.meetings
    ]
    async with database.transaction() as connection:
        await connection.execute(insert(tables.servers), server_rows)
        await connection.execute(insert(tables.meetings), meeting_rows)
        await connection.execute(text("ANALYZE"))
