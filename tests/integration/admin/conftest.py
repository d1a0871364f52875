"""The command line against a real database and simulated servers."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, Protocol

import pytest
from typer.testing import CliRunner, Result

from admin.app import app
from meetingpool.database.creates import Confirmation, Reservation, Said, Wish, confirm, reserve
from meetingpool.database.engine import Database
from meetingpool.domain.meetings import DEFAULT_TENANT, MeetingKey
from meetingpool.domain.servers import ServerId
from simulator.fleet import Fleet
from simulator.meetings import SimulatedMeeting


class CommandLine(Protocol):
    """Runs a command and returns what came of it. `exit_code` is what it must end with."""

    async def __call__(self, *arguments: str, exit_code: int = 0, typed: str = "") -> Result: ...


@pytest.fixture
def meetingpool(database_url: str) -> CommandLine:
    runner = CliRunner(env={"MEETINGPOOL_DATABASE_URL": database_url, "MEETINGPOOL_RESPONSE_TIMEOUT": "2"})

    async def run(*arguments: str, exit_code: int = 0, typed: str = "") -> Result:
        # In a thread: a command has an event loop of its own, and the simulated servers live in this one.
        result = await asyncio.to_thread(runner.invoke, app, list(arguments), input=typed)
        assert result.exit_code == exit_code, result.output
        return result

    return run


class Listed(Protocol):
    """Runs a list command and returns what it prints as JSON."""

    async def __call__(self, *arguments: str) -> Any: ...


class Placed(Protocol):
    """Puts a meeting with so many people on a server of the pool, and returns it as the simulated server has it."""

    async def __call__(self, meeting_id: str, server_id: str, *, people: int = 0) -> SimulatedMeeting: ...


@pytest.fixture
def listed(meetingpool: CommandLine) -> Listed:
    async def run(*arguments: str) -> Any:
        return json.loads((await meetingpool(*arguments, "--format", "json")).stdout)

    return run


@pytest.fixture
async def fleet() -> AsyncIterator[Fleet]:
    async with Fleet.running(servers=2) as fleet:
        yield fleet


@pytest.fixture
async def pool(fleet: Fleet, meetingpool: CommandLine) -> Fleet:
    """The fleet as servers a and b, enabled."""
    for name, server in zip("ab", fleet.servers, strict=True):
        await meetingpool("servers", "add", server.url, "--secret", server.secret, "--id", name, "--enable")
    return fleet


@pytest.fixture
def placed(pool: Fleet, database: Database) -> Placed:
    async def place(meeting_id: str, server_id: str, *, people: int = 0) -> SimulatedMeeting:
        meeting = pool.servers["ab".index(server_id)].create_meeting(meeting_id, people=people)
        wanted = Reservation(server_id=ServerId(server_id), ceiling=float("inf"), expected=1.0)
        attempt = await reserve(database, Wish(key=MeetingKey(DEFAULT_TENANT, meeting_id), wanted=wanted, said=Said()))
        await confirm(database, Confirmation(attempt=attempt, internal_id=meeting.internal_id))
        return meeting

    return place
