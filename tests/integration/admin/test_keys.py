import re
from pathlib import Path

import pytest

from meetingpool.secret_files import read_keys
from meetingpool.secret_keys import Keyring
from simulator.fleet import Fleet
from tests.integration.admin.conftest import CommandLine, Listed
from tests.keys import KEYRING, SECRET_KEY

NEW_KEY = "the next key of the tests, which is newer"
[OLD_ID], [NEW_ID] = KEYRING.ids, Keyring([NEW_KEY]).ids


def use(monkeypatch: pytest.MonkeyPatch, *keys: str) -> None:
    monkeypatch.setenv("MEETINGPOOL_SECRET_KEY", ":".join(keys))


async def test_rotation_from_the_first_step_to_the_last(
    meetingpool: CommandLine, listed: Listed, pool: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    await meetingpool("db", "upgrade")
    assert await listed("keys", "list") == [{"id": OLD_ID, "use": "encrypts", "secrets": 3}]

    use(monkeypatch, SECRET_KEY, NEW_KEY)
    await meetingpool("keys", "rotate")
    use(monkeypatch, NEW_KEY, SECRET_KEY)
    assert await listed("keys", "list") == [
        {"id": NEW_ID, "use": "encrypts", "secrets": 0},
        {"id": OLD_ID, "use": "decrypts", "secrets": 3},
    ]
    planned = await meetingpool("keys", "rotate", "--dry-run")
    told = await meetingpool("keys", "rotate")
    again = await meetingpool("keys", "rotate")

    sentence = f"Secrets that were encrypted with {OLD_ID}: 3, now encrypted with {NEW_ID}\n"
    assert planned.stdout == f"Dry run, nothing is changed: {sentence}"
    assert told.stdout == sentence
    assert again.stdout == f"All secrets are encrypted with {NEW_ID} already\n"
    use(monkeypatch, NEW_KEY)
    assert await listed("keys", "list") == [{"id": NEW_ID, "use": "encrypts", "secrets": 3}]
    shown = await listed("servers", "list", "--show-secrets")
    assert [server["secret"] for server in shown] == [server.secret for server in pool.servers]


async def test_secrets_that_are_kept_clear_are_listed_until_they_are_encrypted(meetingpool: CommandLine, listed: Listed) -> None:
    clear = {"id": "none", "use": "none", "secrets": 1}
    assert await listed("keys", "list") == [{"id": OLD_ID, "use": "encrypts", "secrets": 0}, clear]

    await meetingpool("keys", "rotate")

    assert await listed("keys", "list") == [{"id": OLD_ID, "use": "encrypts", "secrets": 1}]


async def test_with_the_wrong_key_nothing_is_done_but_to_list_the_keys(
    meetingpool: CommandLine, listed: Listed, pool: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, NEW_KEY)

    refusals = [
        await meetingpool(*command, exit_code=1)
        for command in (
            ("servers", "list"),
            ("servers", "add", "https://new.example", "--secret", "new-secret"),
            ("keys", "rotate"),
            ("db", "check"),
            ("db", "upgrade"),
        )
    ]

    for refused in refusals:
        assert refused.stderr.startswith("Secrets in the database are encrypted with a key that this process does not have (")
        assert OLD_ID in refused.stderr
        assert refused.stderr.count("\n") == 1
    assert await listed("keys", "list") == [
        {"id": NEW_ID, "use": "encrypts", "secrets": 0},
        {"id": OLD_ID, "use": "missing", "secrets": 2},
        {"id": "none", "use": "none", "secrets": 1},
    ]


async def test_list_for_people(meetingpool: CommandLine, pool: Fleet) -> None:
    printed = (await meetingpool("keys", "list")).stdout.splitlines()

    assert [line.split() for line in printed] == [["KEY", "USE", "SECRETS"], [OLD_ID, "encrypts", "2"], ["none", "none", "1"]]


async def test_new_key_can_be_used(meetingpool: CommandLine) -> None:
    one, two = [(await meetingpool("keys", "new")).stdout for _ in range(2)]

    assert re.fullmatch(r"[0-9a-f]{64}\n", one)
    assert one != two
    assert read_keys(one) == (one.strip(),)


async def test_upgrade_says_where_the_generated_key_is(
    meetingpool: CommandLine, listed: Listed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MEETINGPOOL_SECRET_KEY")
    monkeypatch.setenv("MEETINGPOOL_DATA_DIR", str(tmp_path))

    told = (await meetingpool("db", "upgrade")).stdout.splitlines()

    file = tmp_path / "secret_key"
    assert told[-1] == f"The key for the secrets in the database is in {file}: keep a copy of it, apart from the database"
    assert await listed("keys", "list") == [{"id": Keyring([file.read_text().strip()]).ids[0], "use": "encrypts", "secrets": 1}]


async def test_key_file_that_others_can_read_stops_every_command(
    meetingpool: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MEETINGPOOL_SECRET_KEY")
    file = tmp_path / "keys"
    file.write_text(SECRET_KEY)
    file.chmod(0o644)
    monkeypatch.setenv("MEETINGPOOL_SECRET_KEY_FILE", str(file))

    refused = await meetingpool("servers", "list", exit_code=1)

    assert refused.stderr.endswith(f"call `chmod o= {file}`\n")
    assert SECRET_KEY not in refused.output
