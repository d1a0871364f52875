"""A pool to measure: simulated servers full of meetings, and a durable PostgreSQL that knows all of them."""

import contextlib
import json
import tempfile
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cpu import cpu_of_family, parent_of
from benchmarks.fleet import ATTENDEE_PASSWORD, MODERATOR_PASSWORD
from benchmarks.processes import first_line, running_module
from meetingpool.database import migrate
from meetingpool.database.embedded import acquire_embedded
from meetingpool.database.engine import Connection, Database
from meetingpool.database.meetings import notify_gone
from meetingpool.database.servers import insert_server, update_server
from meetingpool.domain.meetings import DEFAULT_TENANT, MeetingKey, MeetingState
from meetingpool.domain.repeats import MARK
from meetingpool.domain.servers import AdminState, Health, Server, ServerId
from meetingpool.secret_keys import Keyring

# What a gateway counts on for a meeting of this size: its people.
EXPECTED_USERS = 10.0
# What the secrets of the servers are encrypted with.
SECRET_KEY = "the key of the benchmarks, which nobody else has"
_INSERT_MEETINGS = """
    INSERT INTO meetings (tenant, meeting_id, host_id, server_id, state, internal_id, expected_users, parameters)
    SELECT $1, id, id, $4, $5, internal_id, $6::float8, $7::jsonb FROM unnest($2::text[], $3::text[]) AS told (id, internal_id)
"""

_FORGET_ENDED = "DELETE FROM meetings WHERE state = $1 RETURNING tenant, meeting_id, generation"


@dataclass(frozen=True, slots=True, kw_only=True)
class FilledServer:
    """One simulated server and its meetings: the internal ids by the ids."""

    id: ServerId
    url: str
    secret: str
    meetings: Mapping[str, str]


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

    async def forget_ended(self) -> None:
        """Drops the meetings that were ended, as the next poll would if there were one."""
        async with self.database.transaction() as connection:
            ended = await connection.fetch(_FORGET_ENDED, MeetingState.ENDING)
            keys = [(MeetingKey(row["tenant"], row["meeting_id"]), row["generation"]) for row in ended]
            await notify_gone(connection, keys)


@contextlib.asynccontextmanager
async def filled_pool(*, servers: int, meetings: int, people: int) -> AsyncIterator[FilledPool]:
    """Enabled servers with `meetings` each, of so many `people`, every meeting mapped. Nothing of it is left at the end."""
    async with contextlib.AsyncExitStack() as stack:
        fleet = await stack.enter_async_context(running_module("benchmarks.fleet", *map(str, (servers, meetings, people))))
        filled = tuple(
            FilledServer(id=ServerId(each["id"]), url=each["url"], secret=each["secret"], meetings=each["meetings"])
            for each in json.loads(await first_line(fleet))
        )
        database_url = stack.enter_context(_database_url())
        await migrate.upgrade(database_url)
        database = Database(database_url, name="benchmark", pool_size=1, keyring=Keyring([SECRET_KEY]))
        stack.push_async_callback(database.close)
        await _insert(database, filled)
        async with database.transaction() as connection:
            own_backend = int(await connection.fetchval("SELECT pg_backend_pid()"))
        yield FilledPool(servers=filled, database=database, postmaster=parent_of(own_backend), own_backend=own_backend)


@contextlib.contextmanager
def _database_url() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="meetingpool-benchmark-") as directory:
        embedded = acquire_embedded(Path(directory))
        try:
            yield embedded.url
        finally:
            embedded.release()


async def insert_meetings(connection: Connection, server_id: ServerId, meetings: Mapping[str, str]) -> None:
    """Live meetings of the default tenant, internal ids by ids, mapped to a server."""
    # What is remembered of a create.
    said = {"attendeePW": ATTENDEE_PASSWORD, "moderatorPW": MODERATOR_PASSWORD, "meta_origin": "benchmark", MARK: "1"}
    known = (DEFAULT_TENANT, list(meetings), list(meetings.values()), server_id, MeetingState.LIVE, EXPECTED_USERS, said)
    await connection.execute(_INSERT_MEETINGS, *known)


async def _insert(database: Database, servers: Collection[FilledServer]) -> None:
    async with database.transaction() as connection:
        for server in servers:
            await insert_server(connection, Server(id=server.id, url=server.url, secret=server.secret))
            await update_server(connection, server.id, {"admin_state": AdminState.ENABLED, "health": Health.ONLINE})
            await insert_meetings(connection, server.id, server.meetings)
        await connection.execute("ANALYZE")
