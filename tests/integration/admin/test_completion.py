"""The shells' completion, as each of them asks for it."""

import asyncio
import os
import sys

import pytest

from meetingpool.database.engine import Database
from tests.integration.admin.conftest import CommandLine

MEETING = """
    INSERT INTO meetings (tenant, meeting_id, host_id, server_id, generation, state, expected_users)
    VALUES ('default', 'lecture', 'lecture', 'south', 1, 'live', 0)
"""


async def completed(shell: str, typed: str, database_url: str) -> list[str]:
    """What the shell offers behind `typed`, of which the last word is not complete; descriptions left out."""
    words = typed.split(" ")
    environment = os.environ | {
        "MEETINGPOOL_DATABASE_URL": database_url,
        "_MEETINGPOOL_COMPLETE": f"complete_{shell}",
        # To bash.
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(words) - 1),
        # To zsh and fish.
        "_TYPER_COMPLETE_ARGS": typed,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    program = "import sys; sys.argv[0] = 'meetingpool'; from admin.app import main; main()"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program), env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    told, complaint = await process.communicate()
    assert complaint == b""
    return [_offered(shell, line) for line in told.decode().splitlines() if line]


def _offered(shell: str, line: str) -> str:
    """Zsh is offered a list of quoted words in one line each, fish words with a tab behind them."""
    if shell == "zsh":
        return line.removeprefix("_arguments '*: :((").removesuffix("))'").strip('"').partition('":"')[0].partition('" "')[0]
    return line.partition("\t")[0]


@pytest.fixture
async def url(meetingpool: CommandLine, database_url: str) -> str:
    for name in ("north", "north-2", "south"):
        await meetingpool("servers", "add", f"https://{name}.example.org", "--secret", "s", "--id", name)
    await meetingpool("tenants", "add", "school")
    return database_url


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
async def test_names_are_offered_to_each_shell(shell: str, url: str) -> None:
    assert await completed(shell, "meetingpool servers enable nor", url) == ["north", "north-2"]
    assert await completed(shell, "meetingpool servers enable sou", url) == ["south"]


async def test_whatever_can_be_named_is_offered(url: str, database: Database) -> None:
    await database.statement(MEETING)
    offered = {
        "tenants show sch": ["school"],
        "meetings list --tenant s": ["school"],
        "meetings list --server so": ["south"],
        "meetings end lec": ["lecture"],
        "meetings show l": ["lecture"],
        "tenants rules set school j": ["join"],
        "recordings list --state unp": ["unpublished"],
        "callbacks list --state giv": ["given_up"],
        "servers sync x --mode f": ["force"],
        "servers list --format y": ["yaml"],
        "check cal": ["callbacks"],
        "rake servers:pan": ["servers:panic"],
    }
    assert {typed: await completed("bash", f"meetingpool {typed}", url) for typed in offered} == offered


@pytest.mark.parametrize("url", ["postgresql://nobody@127.0.0.1:1/none", "mysql://what"])
async def test_nothing_is_offered_and_nothing_complained_about_without_the_database(url: str) -> None:
    assert await completed("bash", "meetingpool servers enable x", url) == []
