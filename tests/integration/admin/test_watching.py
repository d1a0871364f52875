"""`meetingpool status`, `poll once` and `db …`"""

import asyncio
import json
import os
import signal
import subprocess
import sys

import asyncpg
import pytest
from typer.testing import CliRunner

from admin.app import app
from meetingpool.database.engine import plain_url
from simulator.faults import Faults
from simulator.fleet import Fleet
from tests.integration.admin.conftest import CommandLine, Listed, Placed


@pytest.fixture
async def empty_schema(database_url: str) -> None:
    await execute(database_url, "DROP SCHEMA public CASCADE; CREATE SCHEMA public")


@pytest.fixture
async def newer_schema(database_url: str) -> None:
    await execute(database_url, "UPDATE alembic_version SET version_num = '9999'")


async def execute(database_url: str, statements: str) -> None:
    connection = await asyncpg.connect(plain_url(database_url))
    await connection.execute(statements)
    await connection.close()


async def test_status_without_servers_says_how_to_add_one(meetingpool: CommandLine) -> None:
    told = await meetingpool("status")

    assert told.stdout == "No servers are configured; `meetingpool servers add` adds one\n"


async def test_status_is_sorted_by_host_name_and_ends_with_totals(meetingpool: CommandLine, pool: Fleet) -> None:
    pool.servers[1].create_meeting("lecture", people=3)
    await meetingpool("servers", "add", "https://aaa.example", "--secret", "s", "--id", "z", "--tag", "gpu", "--region", "eu")
    await meetingpool("poll", "once", "b")

    lines = [line.split() for line in (await meetingpool("status")).stdout.splitlines()]

    heads = "HOSTNAME STATE STATUS MEETINGS USERS LARGEST VIDEOS LOAD VERSION TAG LAST POLL REGION"
    ports = sorted(str(server.url.split("/")[2]) for server in pool.servers)
    assert " ".join(lines[0]) == heads
    assert [line[0] for line in lines[1:4]] == [*ports, "aaa.example"]
    assert " ".join(lines[4]).startswith("2 of 3 servers take new meetings; 1 meetings, 3 users, ")
    assert lines[3][1:3] == ["disabled", "offline"]
    assert lines[3][-3:] == ["gpu", "never", "eu"]


async def test_watched_status_prints_a_document_per_line_until_interrupted(database_url: str, pool: Fleet) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "admin", "status", "--watch", "0.1", "--format", "json"),
        env=os.environ | {"MEETINGPOOL_DATABASE_URL": database_url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    documents = [json.loads(await process.stdout.readline()) for _ in range(2)]
    process.send_signal(signal.SIGINT)
    _, errors = await asyncio.wait_for(process.communicate(), 20)

    assert [sorted(server["id"] for server in document) for document in documents] == [["a", "b"]] * 2
    assert (process.returncode, errors) == (0, b"")


async def test_poll_once_records_what_it_saw(meetingpool: CommandLine, listed: Listed, pool: Fleet) -> None:
    pool.servers[0].create_meeting("lecture", people=2)

    told = await meetingpool("poll", "once")

    assert [line.split()[2] for line in told.stdout.splitlines()[1:]] == ["ok", "ok"]
    assert [server["users"] for server in await listed("servers", "list")] == [2, 0]


async def test_poll_once_fails_when_a_server_does_and_says_why(meetingpool: CommandLine, pool: Fleet) -> None:
    await pool.set_faults(pool.servers[1], Faults(refuse=True))

    told = await meetingpool("poll", "once", "--format", "json", exit_code=1)

    seen = json.loads(told.stdout)
    assert [(server["id"], server["reached"]) for server in seen] == [("a", True), ("b", False)]
    assert seen[1]["error"].startswith("no connection: ")
    assert (seen[1]["health"], seen[1]["meetings"]) == ("suspect", None)
    assert told.stderr == "1 of 2 servers could not be polled, see their reasons: b\n"


async def test_poll_once_takes_the_servers_that_are_named(meetingpool: CommandLine, pool: Fleet) -> None:
    before = pool.servers[0].count("getMeetings")

    await meetingpool("poll", "once", "b")

    assert pool.servers[0].count("getMeetings") == before


async def test_meeting_that_a_poll_does_not_find_any_more_stays_for_a_while(
    meetingpool: CommandLine, listed: Listed, placed: Placed, pool: Fleet
) -> None:
    await placed("lecture", "a")
    pool.servers[0].meetings.clear()

    await meetingpool("poll", "once")

    assert [meeting["id"] for meeting in await listed("meetings", "list")] == ["lecture"]


async def test_database_check_tells_the_revision(meetingpool: CommandLine) -> None:
    revision = (await meetingpool("db", "current")).stdout.strip()

    assert (await meetingpool("db", "check")).stdout == f"The database is at revision {revision}, which this version needs\n"
    assert (await meetingpool("db", "upgrade")).stdout == f"The database is at revision {revision}\n"


@pytest.mark.usefixtures("empty_schema")
async def test_commands_refuse_a_database_without_the_schema(meetingpool: CommandLine) -> None:
    for command in (["db", "check"], ["status"], ["servers", "list"]):
        told = await meetingpool(*command, exit_code=1)
        assert told.stderr.startswith("The database is at revision none, ")
        assert told.stderr.endswith(" is needed: run `meetingpool db upgrade`\n")
    assert (await meetingpool("db", "current")).stdout == "none\n"

    await meetingpool("db", "upgrade")
    await meetingpool("db", "check")


@pytest.mark.parametrize("wrong", ["no_such_user@", "meetingpool@/no_such_database"])
async def test_refused_connection_is_a_sentence(database_url: str, wrong: str) -> None:
    right, _, options = database_url.partition("?")
    url = f"postgresql://{wrong}{'' if '/' in wrong else '/' + right.rpartition('/')[2]}?{options}"
    runner = CliRunner(env={"MEETINGPOOL_DATABASE_URL": url})

    told = await asyncio.to_thread(runner.invoke, app, ["status"])

    assert (told.exit_code, told.stderr.partition(".")[0]) == (1, "The database does not answer")


@pytest.mark.usefixtures("newer_schema")
async def test_database_of_a_newer_version_is_left_alone(meetingpool: CommandLine) -> None:
    for command in ("upgrade", "check"):
        told = await meetingpool("db", command, exit_code=1)
        assert told.stderr == ("The database is at revision 9999, which this version does not know: install the newer version\n")
