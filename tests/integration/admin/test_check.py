"""`meetingpool check …`"""

import asyncio
import os
import re
import socket
import sys
from pathlib import Path

import pytest

from meetingpool.database.engine import Database
from meetingpool.database.imports import note_look
from simulator.fleet import Fleet
from tests.integration.admin.conftest import CommandLine, Placed

LEADS = "INSERT INTO leases (name, holder, epoch, expires_at) VALUES ('poller', 'host:1:x', 1, now() + interval '1 minute')"
ARCHIVE = """
    INSERT INTO imports (spool, name, file, size, mtime_ns, seen_at, state, claimed_at)
    VALUES ('/spool', 'a.tar', $1, 1, 1, now(), $2, now() - interval '2 hours')
"""
CALLBACK = """
    INSERT INTO outbox (tenant, meeting_id, kind, url, payload, announcement, state, created_at, settled_at)
    VALUES ('default', 'm', 'recording_ready', 'https://lms.example.org/?canary', '{}', $1, $2, now() - interval '2 hours', now())
"""


async def look(database: Database) -> None:

    async with database.transaction() as connection:
        await note_look(connection, Path("/spool"), 3)


async def test_servers(meetingpool: CommandLine, pool: Fleet, placed: Placed, database: Database) -> None:
    await placed("lecture", "a", people=3)
    await meetingpool("poll", "once")
    told = (await meetingpool("check", "servers")).stdout
    sentence, _, figures = told.partition("|")
    assert sentence == "OK - 2 of 2 servers take new meetings"
    assert figures.startswith("away=0;0;;0 open=2;;;0 meetings=1;;;0 users=3;;;0 load=")

    await database.statement("UPDATE servers SET health = 'offline' WHERE id = 'a'")
    told = (await meetingpool("check", "servers", exit_code=1)).stdout
    assert told.startswith(
        "WARNING - 1 of 2 servers take new meetings; a do not answer: `meetingpool doctor` says why|away=1;0;;0 "
    )
    await meetingpool("check", "servers", "--warning", "1")
    assert "away=1;1;0;0" in (await meetingpool("check", "servers", "-w", "1", "-c", "0", exit_code=2)).stdout

    await meetingpool("servers", "cordon", "b")
    assert (await meetingpool("check", "servers", "-w", "9", exit_code=2)).stdout.startswith("CRITICAL - 0 of 2 servers take new")


async def test_recordings(meetingpool: CommandLine, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    told = (await meetingpool("check", "recordings", exit_code=2)).stdout
    assert told.startswith("CRITICAL - 0 archives on their way; nobody looks into the spool: start `meetingpool recordings run`|")

    await look(database)
    assert (await meetingpool("check", "recordings")).stdout == (
        "OK - 0 archives on their way|oldest_archive=0s;3600;21600;0 "
        "waiting=0;;;0 working=0;;;0 quarantined=0;;;0 unclaimed=3;;;0\n"
    )
    await database.statement(ARCHIVE, "a", "waiting")
    assert "|oldest_archive=7200s;3600;21600;0 waiting=1;" in (await meetingpool("check", "recordings", exit_code=1)).stdout
    await meetingpool("check", "recordings", "-w", "10000")
    await database.statement(ARCHIVE, "b", "quarantined")
    assert "1 refused" in (await meetingpool("check", "recordings", "-w", "10000", exit_code=1)).stdout

    monkeypatch.setenv("RECORDING_DISABLED", "true")
    assert (await meetingpool("check", "recordings")).stdout.startswith("OK - ")


async def test_callbacks(meetingpool: CommandLine, database: Database) -> None:
    assert (await meetingpool("check", "callbacks")).stdout == (
        "OK - 0 callbacks wait|oldest_callback=0s;3600;21600;0 pending=0;;;0 given_up=0;;;0\n"
    )
    await database.statement(CALLBACK, "a", "pending")
    told = (await meetingpool("check", "callbacks", "-c", "7000", exit_code=2)).stdout
    waited = r"CRITICAL - 1 callbacks wait\|oldest_callback=72\d\ds;3600;7000;0 pending=1;;;0 given_up=0;;;0\n"
    assert re.fullmatch(waited, told)
    await database.statement(CALLBACK, "b", "given_up")
    assert "1 given up within a day" in (await meetingpool("check", "callbacks", "-w", "8000", exit_code=1)).stdout


async def test_poller(meetingpool: CommandLine, pool: Fleet, database: Database) -> None:
    told = (await meetingpool("check", "poller", exit_code=2)).stdout
    assert told.startswith("CRITICAL - no poller leads: start `meetingpool poller`|poll_age=")
    await database.statement(LEADS)
    assert (await meetingpool("check", "poller")).stdout.startswith(
        "OK - host:1 leads; 2 servers that are online were polled within "
    )
    await database.statement("UPDATE servers SET last_poll = now() - interval '40 s' WHERE id = 'b'")
    assert (await meetingpool("check", "poller", exit_code=1)).stdout.startswith("WARNING - ")
    await database.statement("UPDATE leases SET expires_at = now()")
    await meetingpool("check", "poller", exit_code=2)


async def test_all_tells_the_worst(meetingpool: CommandLine, pool: Fleet, database: Database) -> None:
    await look(database)
    await database.statement(LEADS)
    told = (await meetingpool("check")).stdout
    assert told.startswith("OK - servers: 2 of 2 servers take new meetings; recordings: 0 archives on their way; callbacks: ")
    assert {"away", "oldest_archive", "oldest_callback", "poll_age"} <= {
        figure.partition("=")[0] for figure in told.partition("|")[2].split()
    }
    await database.statement("UPDATE servers SET health = 'dead' WHERE id = 'b'")
    assert (await meetingpool("check", "all", exit_code=1)).stdout.startswith("WARNING - servers: 1 of 2 ")
    assert (await meetingpool("check", "all", "-w", "1", exit_code=3)).stdout.startswith("UNKNOWN - thresholds are of one check")


async def test_database_that_never_answers_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://nobody@127.0.0.1:{silent.getsockname()[1]}/none"
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "admin", "check", "--timeout", "1"),
            env=os.environ | {"MEETINGPOOL_DATABASE_URL": url},
            stdout=asyncio.subprocess.PIPE,
        )
        told, _ = await process.communicate()
    assert process.returncode == 2
    assert told.decode() == "CRITICAL - no answer within 1 s: check the database and the way to it\n"
