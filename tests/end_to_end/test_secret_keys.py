"""Keys for the secrets in the database, as the processes of an installation meet them."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from meetingpool.database.engine import Database
from tests.end_to_end.commands import clean_environment, command
from tests.end_to_end.processes import free_port
from tests.integration.database.test_sealed_secrets import plant
from tests.keys import KEYRING, SECRET_KEY

SERVER = ("servers", "add", "https://one.example/bigbluebutton/api", "--secret", "secret-of-the-server", "--id", "one")


@pytest.fixture
async def planted(database: Database) -> Database:
    """A database with secrets that are encrypted with the key of the tests."""
    await plant(database)
    return database


def started_in_vain(module: str, environment: dict[str, str]) -> str:
    """What a process says that must not start."""
    done = subprocess.run(
        [sys.executable, "-m", module],
        env=clean_environment() | environment | {"PORT": str(free_port()), "LOADBALANCER_SECRET": "s"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    return done.stderr


@pytest.mark.parametrize("module", ["gateway", "poller", "recordings"])
@pytest.mark.parametrize("key", [None, "a key that only another machine has"])
async def test_process_without_the_key_does_not_start_and_says_why(
    planted: Database, tmp_path: Path, module: str, key: str | None
) -> None:
    given = {"MEETINGPOOL_SECRET_KEY": key} if key else {}

    told = started_in_vain(module, {"MEETINGPOOL_DATABASE_URL": planted.url, "MEETINGPOOL_DATA_DIR": str(tmp_path), **given})

    assert told == (
        f"Secrets in the database are encrypted with a key that this process does not have ({KEYRING.ids[0]}): give it in "
        "MEETINGPOOL_SECRET_KEY or MEETINGPOOL_SECRET_KEY_FILE, or copy the file secret_key of the machine that has it into "
        "MEETINGPOOL_DATA_DIR\n"
    )
    assert list(tmp_path.iterdir()) == []


async def test_process_does_not_start_on_a_damaged_secret_and_says_where_it_is(planted: Database) -> None:
    async with planted.transaction() as connection:
        await connection.execute("UPDATE servers SET secret = (SELECT secret FROM servers WHERE id = 'one') WHERE id = 'two'")

    told = started_in_vain("gateway", {"MEETINGPOOL_DATABASE_URL": planted.url, "MEETINGPOOL_SECRET_KEY": SECRET_KEY})

    assert told == (
        "A secret in the database, servers.secret of two, was damaged or copied from another row: "
        "write it anew, as docs/secrets.md says\n"
    )


@pytest.mark.parametrize("module", ["gateway", "poller", "recordings"])
def test_process_does_not_start_with_a_key_that_others_can_read(tmp_path: Path, database_url: str, module: str) -> None:
    file = tmp_path / "secret_key"
    file.write_text(SECRET_KEY)
    file.chmod(0o604)

    told = started_in_vain(module, {"MEETINGPOOL_DATABASE_URL": database_url, "MEETINGPOOL_DATA_DIR": str(tmp_path)})

    assert told.endswith(f": call `chmod o= {file}`\n")
    assert "Traceback" not in told


def test_fresh_machine_makes_its_key_with_its_first_command(tmp_path: Path) -> None:
    environment = {"MEETINGPOOL_DATA_DIR": str(tmp_path)}

    command(*SERVER, environment=environment)

    key = tmp_path / "secret_key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    listed = command("keys", "list", "--format", "csv", environment=environment).splitlines()
    assert listed[0] == "id,use,secrets"
    assert [line.split(",")[1:] for line in listed[1:]] == [["encrypts", "2"]]
