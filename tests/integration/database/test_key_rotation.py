"""From one key to another, and from no key to the first: nothing is lost, whoever runs meanwhile and whatever is killed."""

import asyncio
import os
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import alembic.command
import alembic.config
import asyncpg
import pytest
from sqlalchemy import Connection as SyncConnection
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from admin.connection import upgrade_schema
from meetingpool.database.audit import find_audit
from meetingpool.database.engine import Database, plain_url
from meetingpool.database.installation import callback_key
from meetingpool.database.sealed_secrets import SecretsUnreadable, keys_in_use
from meetingpool.database.servers import all_servers, update_server
from meetingpool.database.tenants import all_tenants
from meetingpool.domain.refusals import Conflict
from meetingpool.domain.servers import ServerId
from meetingpool.domain.tenants import LrsAccess
from meetingpool.operations.changes import changing
from meetingpool.operations.rotate_keys import NO_KEY, NoKey, rotate_keys, seal_clear_secrets
from meetingpool.secret_keys import Keyring, keyring_of
from meetingpool.settings import Settings
from tests.actors import SOMEBODY
from tests.databases import execute, with_database
from tests.integration.database.test_sealed_secrets import dump_of, plant
from tests.keys import KEYRING, SECRET_KEY

NEW_KEY = "the next key of the tests, which is newer"
NEXT = Keyring([NEW_KEY, SECRET_KEY])
LATER = Keyring([NEW_KEY])
[OLD_ID], [NEW_ID] = KEYRING.ids, LATER.ids
# Ten were planted; the eleventh signs addresses, and is clear in a database that nobody upgraded by the command.
PLANTED = 11


async def rotated(url: str, keyring: Keyring, *, dry_run: bool = False) -> Counter[str]:
    database = Database(url, name="test", keyring=keyring)
    try:
        async with changing(database, SOMEBODY, dry_run=dry_run) as change:
            return await rotate_keys(change)
    finally:
        await database.close()


async def used_in(database: Database) -> dict[str | None, int]:
    async with database.transaction() as connection:
        return dict(await keys_in_use(connection))


async def all_read(url: str, keyring: Keyring) -> tuple[Any, ...]:
    """All secrets, as whoever has `keyring` reads them."""
    database = Database(url, name="test", keyring=keyring)
    try:
        async with database.transaction() as connection:
            tenants = [(tenant.secrets, tenant.lrs) for tenant in await all_tenants(connection)]
            return [server.secret for server in await all_servers(connection)], tenants, await callback_key(connection)
    finally:
        await database.close()


async def test_rotation_encrypts_everything_with_the_first_key(database: Database) -> None:
    await plant(database)
    before = await all_read(database.url, KEYRING)

    had = await rotated(database.url, NEXT)

    assert had == {OLD_ID: PLANTED - 1, NO_KEY: 1}
    assert await used_in(database) == {NEW_ID: PLANTED}
    assert await all_read(database.url, LATER) == before
    with pytest.raises(SecretsUnreadable):
        await all_read(database.url, KEYRING)


async def test_rotation_is_kept_in_the_audit_once(database: Database) -> None:
    await plant(database)

    await rotated(database.url, NEXT)
    assert await rotated(database.url, NEXT) == {}

    async with database.transaction() as connection:
        [entry] = await find_audit(connection, action="keys")
    assert (entry.action, entry.subject, entry.actor) == ("keys.rotate", NEW_ID, SOMEBODY)
    assert (entry.before, entry.after) == ({OLD_ID: PLANTED - 1, NO_KEY: 1}, {NEW_ID: PLANTED})


async def test_dry_run_changes_nothing(database: Database) -> None:
    await plant(database)
    rows = rows_of(dump_of(database.url))

    assert (await rotated(database.url, NEXT, dry_run=True)).total() == PLANTED

    assert rows_of(dump_of(database.url)) == rows


def rows_of(dump: str) -> list[str]:
    """Without what pg_dump says of sequences, which count on, and the words that it makes up for each dump."""
    return [line for line in dump.splitlines() if "setval" not in line and "restrict" not in line]


async def test_rotation_without_the_old_key_changes_nothing(database: Database) -> None:
    await plant(database)

    with pytest.raises(SecretsUnreadable, match=OLD_ID):
        await rotated(database.url, LATER)

    assert await used_in(database) == {OLD_ID: PLANTED - 1, None: 1}


async def test_rotation_without_any_key_is_refused(database_url: str) -> None:
    with pytest.raises(NoKey) as refused:
        await rotated(database_url, Keyring())

    assert isinstance(refused.value, Conflict)


async def test_rotation_that_is_killed_leaves_all_as_it_was_and_runs_again(database: Database) -> None:
    await plant(database)
    before = await all_read(database.url, KEYRING)
    blocker = await asyncpg.connect(plain_url(database.url))
    try:
        # The last row that it comes to.
        await blocker.execute("BEGIN; SELECT FROM installation FOR UPDATE")
        rotation = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "admin", "keys", "rotate"),
            env=os.environ | {"MEETINGPOOL_DATABASE_URL": database.url, "MEETINGPOOL_SECRET_KEY": f"{NEW_KEY}:{SECRET_KEY}"},
        )
        await until_blocked(blocker)
        rotation.send_signal(signal.SIGKILL)
        await rotation.wait()
    finally:
        await blocker.close()
    await until_gone(database)

    assert await used_in(database) == {OLD_ID: PLANTED - 1, None: 1}
    assert (await rotated(database.url, NEXT)).total() == PLANTED
    assert await all_read(database.url, LATER) == before


async def until_blocked(connection: asyncpg.Connection) -> None:
    async with asyncio.timeout(20):
        while not await connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            await asyncio.sleep(0.05)


async def until_gone(database: Database) -> None:
    statement = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'meetingpool command'"
    async with asyncio.timeout(20), database.transaction() as connection:
        while await connection.fetchval(statement):
            await asyncio.sleep(0.05)


async def test_secrets_that_are_written_during_a_rotation_are_not_lost(database: Database) -> None:
    """By whoever still encrypts with the old key; the next rotation takes them in."""
    await plant(database)

    async def write(number: int) -> None:
        async with database.transaction() as connection:
            await update_server(connection, ServerId("one"), {"secret": f"written-{number}"})

    for number in range(20):
        rotations = [rotated(database.url, NEXT) for _ in range(3)]
        await asyncio.gather(write(number), *rotations)
        await rotated(database.url, NEXT)
        assert await used_in(database) == {NEW_ID: PLANTED}
        secrets, *_ = await all_read(database.url, LATER)
        assert secrets[0] == f"written-{number}"


async def database_of_revision(url: str, revision: str) -> None:
    def migrate(connection: SyncConnection) -> None:
        config = alembic.config.Config()
        config.set_main_option("script_location", "migrations:")
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, revision)

    engine = create_async_engine(make_url(url).set(drivername="postgresql+asyncpg"))
    async with engine.connect() as connection:
        await connection.run_sync(migrate)
        await connection.commit()
    await engine.dispose()


# What the version before kept, and how it is read.
KEPT_CLEAR = """
    INSERT INTO servers (id, url, secret) VALUES ('one', 'https://one', 'clear-one'), ('two', 'https://two', 'clear-two');
    INSERT INTO tenants (id, name, secrets, lrs) VALUES
        ('a', 'a', ARRAY['clear-a', 'clear-b'], '{"endpoint": "https://lrs", "username": "u", "password": "clear-password"}'),
        ('b', 'b', ARRAY['clear-c'], NULL);
"""
LRS = LrsAccess(endpoint="https://lrs", username="u", password="clear-password")
SERVERS, TENANTS = ["clear-one", "clear-two"], [(("clear-a", "clear-b"), LRS), (("clear-c",), None)]


@pytest.fixture
async def old_url(database_url: str) -> str:
    """A database of the version before, with secrets as that kept them."""
    name = "old_" + (make_url(database_url).database or "")
    await execute(database_url, f"CREATE DATABASE {name}")
    url = with_database(database_url, name)
    await database_of_revision(url, "0004")
    await execute(url, KEPT_CLEAR)
    return url


async def test_upgrade_encrypts_what_the_version_before_kept_clear(old_url: str, tmp_path: Path) -> None:
    connection = await asyncpg.connect(plain_url(old_url))
    key = await connection.fetchval("SELECT callback_key FROM installation")
    await connection.close()
    assert "clear-" in dump_of(old_url)
    settings = Settings(database_url=old_url, data_dir=tmp_path)

    await upgrade_schema(old_url, settings)

    keyring = keyring_of(settings)
    dump = dump_of(old_url)
    assert "clear-" not in dump
    assert key.hex() not in dump
    assert await all_read(old_url, keyring) == (SERVERS, TENANTS, key)
    # Once more changes nothing.
    await upgrade_schema(old_url, settings)
    assert keyring_of(settings).ids == keyring.ids


async def test_upgrade_by_a_machine_that_lacks_the_key_makes_none(old_url: str, tmp_path: Path) -> None:
    await upgrade_schema(old_url, Settings(database_url=old_url, data_dir=tmp_path / "one"))
    await execute(old_url, "UPDATE servers SET secret = 'given by hand' WHERE id = 'one'")

    with pytest.raises(SecretsUnreadable, match="does not have"):
        await upgrade_schema(old_url, Settings(database_url=old_url, data_dir=tmp_path / "two"))

    assert not (tmp_path / "two").exists()
    assert "given by hand" in dump_of(old_url)


async def test_of_machines_that_upgrade_at_once_one_makes_the_key_and_the_others_are_told(old_url: str, tmp_path: Path) -> None:
    await upgrade_schema(old_url, Settings(database_url=old_url, data_dir=tmp_path / "before"))
    for attempt in range(5):
        await execute(old_url, "DELETE FROM servers; DELETE FROM tenants")
        await execute(old_url, KEPT_CLEAR)
        await execute(old_url, "UPDATE installation SET callback_key = repeat('ab', 32)")
        machines = [Settings(database_url=old_url, data_dir=tmp_path / f"{attempt}-{number}") for number in range(3)]

        done = await asyncio.gather(*(seal_clear_secrets(old_url, settings) for settings in machines), return_exceptions=True)

        assert sorted(type(error).__name__ for error in done) == ["NoneType", "SecretsUnreadable", "SecretsUnreadable"]
        winner = keyring_of(machines[done.index(None)])
        assert await all_read(old_url, winner) == (SERVERS, TENANTS, b"\xab" * 32)
        assert "clear-" not in dump_of(old_url)
