"""Meetings that are over, for tests of what is foreseen from them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from meetingpool.database.engine import Connection, Database
from meetingpool.domain.load import Expectation
from meetingpool.domain.meetings import DEFAULT_TENANT
from poller.foreseeing import Foreseeing

PRIOR = Expectation(users=15, fades_after=900)
WEEK, DAY, MINUTE = 604_800.0, 86_400.0, 60.0


async def leads(_connection: Connection) -> None:
    """A fence that holds."""


def foreseeing(database: Database, **more: Any) -> Foreseeing:
    """Of a poller that leads."""
    return Foreseeing(database, PRIOR, leads, **more)


async def add_past_meeting(
    database: Database,
    meeting_id: str,
    *,
    users: int = 200,
    ago: float = WEEK,
    lasted: float = 3600.0,
    tenant: str = DEFAULT_TENANT,
    server_id: str = "bbb-1",
    fills_in: int = 1,
) -> None:
    """A meeting that began so many seconds `ago` and had filled in so many minutes; nobody has learnt from it."""
    await execute(
        database,
        "INSERT INTO past_meetings (tenant, meeting_id, server_id, began_at, ended_at, curve) "
        "SELECT $1, $2, $3, now() - make_interval(secs => $4), now() - make_interval(secs => $4 - $5::float8), $6",
        tenant,
        meeting_id,
        server_id,
        ago,
        lasted,
        [*[0] * (fills_in - 1), users],
    )


async def execute(database: Database, statement: str, *arguments: object) -> None:
    async with database.transaction() as connection:
        await connection.execute(statement, *arguments)


async def fetch(database: Database, statement: str, *arguments: object) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await database.rows(statement, *arguments)]


@asynccontextmanager
async def renamed(database: Database, table: str) -> AsyncIterator[None]:
    """What is about the table fails meanwhile."""
    await execute(database, f"ALTER TABLE {table} RENAME TO elsewhere")
    try:
        yield
    finally:
        await execute(database, f"ALTER TABLE elsewhere RENAME TO {table}")
